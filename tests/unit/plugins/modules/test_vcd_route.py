# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static routes of an edge."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.vcd import seed
from tests.unit.plugins.modules.cloud_director import Director, director

__all__ = ["director"]

BRANCH = {"name": "branch", "edge": seed.EDGE, "network": "172.20.0.0/16", "next_hop": "10.1.0.9"}


@pytest.fixture
def routed(director: Director) -> Director:
    director.good("vcd_network", name="front", edge=seed.EDGE, gateway="10.1.0.1", prefix=24)
    return director


def test_a_route(routed: Director) -> None:
    made, changed, removed = routed.is_changed_by("vcd_route", BRANCH, next_hop="10.1.0.8", distance=5, scope="front")
    assert made["diff"]["after"] == "static route branch\n  cidr: 172.20.0.0/16\n  next_hops: 10.1.0.9 1\n"
    assert changed["diff"]["after"] == "static route branch\n  next_hops: 10.1.0.8 5 front\n"
    assert made["id"] == changed["id"] != "" and removed["settings"] == {}


def test_what_is_not_ours_is_left_alone(routed: Director) -> None:
    routed.good("vcd_route", **BRANCH, tenant="other")
    for change in ({"distance": 3}, {"state": "absent"}):
        assert "not ours" in routed.call("vcd_route", **{**BRANCH, **change})["msg"]
    assert not routed.good("vcd_route", **BRANCH, tenant="other")["changed"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"network": "172.20.0.1/16"}, "has host bits set"),
        ({"network": "2001:db8::/64"}, "family"),
        ({"next_hop": "nowhere"}, "nowhere"),
        ({"scope": "back"}, "back"),
        ({"next_hop": None}, "next_hop"),
    ],
)
def test_what_makes_no_sense_is_told(routed: Director, change: dict[str, Any], told: str) -> None:
    before = routed.writes()
    assert told in routed.call("vcd_route", **{**BRANCH, **change})["msg"]
    assert routed.writes() == before
