# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""retirement_info: every gate with its reason, what waits, what is left; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.retiring import Desk
from tests.unit.openstack_http import FakeCloud, ident
from tests.unit.plugins.modules.clouds import Call


@pytest.fixture
def fake() -> Iterator[FakeCloud]:
    with FakeCloud() as cloud:
        cloud.add_server("web-1")
        yield cloud


def test_it_tells_which_gates_are_closed_and_what_is_left(call_module: Call, fake: FakeCloud, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk", "acme", ident("project acme"))
    params = desk.params(auth=fake.auth(), region_name="RegionOne")
    call_module("retirement_plan", params)
    told = call_module("retirement_info", {**params, "left": True})
    gates = {gate["name"]: gate for gate in told["gates"]}
    assert not gates["G11"]["open"] and "sign" in gates["G11"]["why"]
    assert gates["G1"]["open"] and gates["G1"]["evidence"]["by"] == "Alice Durand"
    assert not gates["G12"]["open"] and not told["changed"]
    server = f"servers/{ident('server web-1')}"
    assert server in told["waiting"] and told["done"] == []
    assert server in told["left"]["planned"] and server in told["left"]["billing"] and told["left"]["unknown"] == []
    assert call_module("retirement_info", {**params, "act": "none"})["gates"] == []
    assert not fake.writes()
