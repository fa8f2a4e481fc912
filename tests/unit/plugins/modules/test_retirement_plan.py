# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""retirement_plan: read-only, the same again and again, and no plan of half a reading."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.retiring import ERASED, Desk
from tests.unit.openstack_http import FakeCloud, ident
from tests.unit.plugins.modules.clouds import Call


@pytest.fixture
def fake() -> Iterator[FakeCloud]:
    with FakeCloud() as cloud:
        cloud.add_server("web-1")
        yield cloud


@pytest.fixture
def desk(tmp_path: Path, fake: FakeCloud) -> Desk:
    desk = Desk(tmp_path / "desk", "acme", ident("project acme"))
    desk.write(kinds={"snapshots": ERASED, "images": ERASED})
    return desk


def test_check_real_check_real(call_module: Call, fake: FakeCloud, desk: Desk) -> None:
    params = desk.params(auth=fake.auth(), region_name="RegionOne")
    first = call_module("retirement_plan", params, check=True, diff=True)
    assert first["changed"] and not desk.path.exists()
    assert "delete servers servers/" in first["diff"][0]["after"]
    made = call_module("retirement_plan", params)
    assert made["changed"] and made["items"]["servers"] == 1
    written = desk.path.read_bytes()
    assert written.endswith(b"}\n") and {sheet.suffix for sheet in desk.folder.glob("*.html")} == {".html"}
    assert not call_module("retirement_plan", params, check=True)["changed"]
    again = call_module("retirement_plan", params, diff=True)
    assert not again["changed"] and again["digest"] == made["digest"]
    assert desk.path.read_bytes() == written and not fake.writes()


def test_a_list_that_comes_back_empty_is_no_plan(call_module: Call, fake: FakeCloud, desk: Desk) -> None:
    params = desk.params(auth=fake.auth(), region_name="RegionOne")
    call_module("retirement_plan", params)
    before = desk.path.read_bytes()
    estate = desk.folder / "before.estate.json"
    call_module("estate_read", {"auth": fake.auth(), "region_name": "RegionOne", "path": str(estate)})
    fake.objects["acme"]["servers"].clear()
    result = call_module("retirement_plan", {**params, "previous": str(estate)})
    assert result["failed"] and "was there before, and no record of the ledger" in result["msg"]
    assert desk.path.read_bytes() == before


def test_a_policy_that_names_nothing_is_refused(call_module: Call, fake: FakeCloud, desk: Desk) -> None:
    desk.write(objects={"volumes": {"no-such-volume": ERASED}}, protected={"buckets/lost": "audit"})
    result: dict[str, Any] = call_module("retirement_plan", desk.params(auth=fake.auth(), region_name="RegionOne"))
    assert result["failed"]
    assert "volumes/no-such-volume is no object" in result["msg"] and "buckets/lost is no object" in result["msg"]
    assert not desk.path.exists()
