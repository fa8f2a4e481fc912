# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NAT rules of an edge, with port profiles by name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.vcd import seed
from tests.unit.plugins.modules.cloud_director import Director, director

__all__ = ["director"]

ADDRESS = "198.51.100.10"
WEB = {
    "name": "web",
    "edge": seed.EDGE,
    "type": "DNAT",
    "external": ADDRESS,
    "external_port": "443",
    "internal": "10.1.0.10",
    "profile": "HTTPS",
}


def edge(director: Director) -> dict[str, Any]:
    return next(one for one in director.control.table("gateway").values() if one["name"] == seed.EDGE)


@pytest.fixture
def addressed(director: Director) -> Director:
    """The edge has a public address, and rules of others."""
    director.control.patch("gateway", edge(director)["id"], public=[ADDRESS])
    director.control.foreign(seed.EDGE, nat=10)
    return director


def others(director: Director) -> list[dict[str, Any]]:
    return [one for one in edge(director)["nat"] if "[cloudexit" not in str(one.get("description"))]


def test_a_nat_rule(addressed: Director) -> None:
    theirs = others(addressed)
    change = {"internal": "10.1.0.11", "profile": "", "external_port": ""}
    made, changed, removed = addressed.is_changed_by("vcd_nat", WEB, **change)
    assert made["id"] and made["settings"]["profile"] == "HTTPS" and "  profile: HTTPS\n" in made["diff"]["after"]
    assert "urn:" not in made["diff"]["after"]
    assert changed["diff"]["before"] == (
        "NAT rule web\n  external_port: 443\n  internal: 10.1.0.10\n  profile: HTTPS\n"
    )
    assert changed["id"] == made["id"]
    assert removed["settings"] == {} and others(addressed) == theirs and len(theirs) == 10


def test_a_way_out(addressed: Director) -> None:
    out = {"name": "out", "edge": seed.EDGE, "type": "SNAT", "external": ADDRESS, "internal": "10.1.0.0/24"}
    addressed.cycle("vcd_nat", **out, destinations="192.0.2.0/24", priority=7, firewall_match="BYPASS")
    addressed.cycle("vcd_nat", **out, destinations="192.0.2.0/24", priority=7, firewall_match="BYPASS", enabled=False)


def test_what_is_not_ours_or_was_edited_is_left_alone(addressed: Director) -> None:
    foreign = others(addressed)[0]["name"]
    for state in ("present", "absent"):
        assert "not ours" in addressed.call("vcd_nat", **{**WEB, "name": foreign}, state=state)["msg"]
    addressed.good("vcd_nat", **WEB)
    rules = [
        {**one, "internalAddresses": "10.1.0.66"} if one["name"] == "web" else one for one in edge(addressed)["nat"]
    ]
    addressed.control.patch("gateway", edge(addressed)["id"], nat=rules)
    for state in ("present", "absent"):
        assert "edited by somebody" in addressed.call("vcd_nat", **WEB, state=state)["msg"]
    assert addressed.good("vcd_nat", **WEB, overwrite=True)["settings"]["internal"] == "10.1.0.10"


def test_a_profile_that_is_not_there(addressed: Director) -> None:
    rule = {**WEB, "profile": "Telnet"}
    assert addressed.good("vcd_nat", **rule, check=True)["pending"] == ["Telnet"]
    assert "Telnet" in addressed.call("vcd_nat", **rule)["msg"]
    assert "type" in addressed.call("vcd_nat", **{**WEB, "type": None})["msg"]
