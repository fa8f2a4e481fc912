# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is called without a seal, and with it not behind a closed gate. The act itself: test_retire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import sealed
from tests.retiring import Desk
from tests.unit.openstack_http import FakeCloud, ident
from tests.unit.plugins.modules.clouds import Call

MODULE = "retirement_purge"


@pytest.fixture
def fake() -> Iterator[FakeCloud]:
    with FakeCloud() as cloud:
        cloud.add_server("web-1")
        yield cloud


@pytest.fixture
def desk(tmp_path: Path, fake: FakeCloud, call_module: Call) -> Desk:
    desk = Desk(tmp_path / "desk", "acme", ident("project acme"))
    call_module("retirement_plan", desk.params(auth=fake.auth(), region_name="RegionOne"))
    return desk


@pytest.mark.parametrize("check", [True, False])
def test_what_enough_people_have_not_signed_is_refused(
    call_module: Call, fake: FakeCloud, desk: Desk, check: bool
) -> None:
    params = desk.params(auth=fake.auth(), region_name="RegionOne")
    for signed in ((), sealed.NAMES[:2]):
        if signed:
            desk.sign(*signed)
        result = call_module(MODULE, params, check=check)
        assert result["failed"] and "is not sealed" in result["msg"], result
    desk.sign()
    desk.path.write_bytes(desk.path.read_bytes().replace(b'"web-1"', b'"web-2"', 1))
    result = call_module(MODULE, params, check=check)
    assert result["failed"] and "is not sealed" in result["msg"]
    assert not fake.writes() and not desk.evidence.joinpath("ledger.jsonl").exists()


@pytest.mark.parametrize("check", [True, False])
def test_who_made_the_plan_does_not_carry_it_out(call_module: Call, fake: FakeCloud, desk: Desk, check: bool) -> None:
    desk.sign()
    result = call_module(MODULE, desk.params(auth=fake.auth(), region_name="RegionOne"), check=check)
    assert result["failed"] and "made the plan and executes it" in result["msg"], result
    assert not fake.writes()


def test_without_a_plan_it_says_how_to_make_one(call_module: Call, fake: FakeCloud, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "empty", "acme", ident("project acme"))
    result = call_module(MODULE, desk.params(auth=fake.auth(), region_name="RegionOne"))
    assert result["failed"] and "--tags plan" in result["msg"]
