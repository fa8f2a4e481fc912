# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edges, against the lab's Cloud Avenue."""

from __future__ import annotations

from typing import Any

from tests.cloud_director import Director, cycle, director
from tests.lab.vcd import seed
from tests.unit.plugins.modules.clouds import Call

__all__ = ["director"]

NAME = "cloudavenue_edge"


def edges(director: Director) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in director.control.table("gateway").values()}


def test_an_edge_comes_changes_and_goes(call_module: Call, director: Director) -> None:
    ours: dict[str, Any] = {"owner": seed.VDC, "tenant": "acme", "core_api": director.url}
    assert "name one" in call_module(NAME, {**director.login, **ours})["msg"], "there are two T0 routers"
    made = cycle(call_module, director, NAME, {**ours, "t0": seed.T0, "rate": 25})
    assert made[1]["diff"]["after"] == {"edge": {seed.VDC: {"t0": seed.T0, "rate": 25}}}
    (new,) = set(edges(director)) - {seed.EDGE, seed.LONE_EDGE}
    row = edges(director)[new]
    assert (row["id"], row["rate"], row["owner_kind"]) == (made[1]["id"], 25, "vdc")
    assert "[cloudexit acme " in row["description"]
    assert not call_module(NAME, {**director.login, **ours})["changed"], "what is left out is as it is"
    cycle(call_module, director, NAME, {**ours, "rate": 50})
    director.control.patch("gateway", row["id"], rate=75)
    assert "edited by somebody" in call_module(NAME, {**director.login, **ours, "rate": 25})["msg"]
    cycle(call_module, director, NAME, {**ours, "rate": 25, "overwrite": True})
    cycle(call_module, director, NAME, {**ours, "state": "absent"})
    assert set(edges(director)) == {seed.EDGE, seed.LONE_EDGE}


def test_an_edge_at_a_dedicated_t0_does_not_tell_its_bandwidth(call_module: Call, director: Director) -> None:
    ours = {"owner": seed.VDC, "tenant": "acme", "core_api": director.url, "t0": seed.SERVICES}
    cycle(call_module, director, NAME, {**ours, "rate": 1000})
    assert not call_module(NAME, {**director.login, **ours})["changed"]
    cycle(call_module, director, NAME, {**ours, "state": "absent"})


def test_what_is_not_ours_or_in_use_stays(call_module: Call, director: Director) -> None:
    params = {**director.login, "owner": seed.LONE_VDC, "tenant": "acme", "interface": "console"}
    assert not call_module(NAME, {**params, "t0": seed.T0})["changed"], "there is one"
    for more in ({"rate": 300}, {"state": "absent"}, {"state": "absent", "overwrite": True}):
        assert "not" in call_module(NAME, {**params, **more})["msg"]
    assert "is not one of" in call_module(NAME, {**params, "rate": 7})["msg"]
    assert "has no edge nowhere" in call_module(NAME, {**params, "name": "nowhere"})["msg"]
    grouped = {**params, "owner": seed.GROUP, "owner_type": "vdc_group", "name": seed.EDGE}
    assert not call_module(NAME, grouped)["changed"]
    made = call_module(NAME, {**params, "owner": seed.VDC, "t0": seed.T0})
    call_module("cloudavenue_public_ip", {**director.login, "edge": made["id"], "interface": "console"})
    gone = call_module(NAME, {**params, "owner": seed.VDC, "state": "absent"})
    assert "still has 198.51.100." in gone["msg"]
    assert len(edges(director)) == 3
