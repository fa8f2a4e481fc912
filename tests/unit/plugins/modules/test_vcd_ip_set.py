# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IP sets: of an edge or its VDC group; order means nothing; used ones cannot go."""

from __future__ import annotations

import pytest

from tests.lab.vcd import seed
from tests.unit.plugins.modules.cloud_director import Director, director

__all__ = ["director"]

WEB = {"name": "web", "edge": seed.EDGE, "addresses": ["10.1.0.11", "10.1.0.10", "10.1.8.0/24"]}


def test_an_ip_set(director: Director) -> None:
    made, changed, removed = director.is_changed_by("vcd_ip_set", WEB, addresses=["10.1.0.10-10.1.0.20", "2001:db8::1"])
    text = "firewall group web\n  type: IP_SET\n  addresses: 10.1.0.10\n  addresses: 10.1.0.11\n"
    assert made["diff"]["after"] == text + "  addresses: 10.1.8.0/24\n"
    assert changed["id"] == made["id"] and changed["settings"]["addresses"] == ["10.1.0.10-10.1.0.20", "2001:db8::1"]
    assert removed["settings"] == {} and director.control.table("firewallGroup") == {}


def test_order_means_nothing_and_the_group_of_the_edge_is_meant(director: Director) -> None:
    director.good("vcd_ip_set", **WEB)
    same = {**WEB, "edge": None, "vdc_group": seed.GROUP, "addresses": ["10.1.8.7/24", "10.1.0.10", "10.1.0.11/32"]}
    assert not director.good("vcd_ip_set", **same)["changed"]


def test_of_many_only_the_one_is_read(director: Director) -> None:
    for number in range(5):
        director.good("vcd_ip_set", **{**WEB, "name": f"web-{number}"})
    director.control.forget()
    director.good("vcd_ip_set", **{**WEB, "name": "web-3"})
    reads = [one["path"] for one in director.control.calls() if "/firewallGroups/urn" in one["path"]]
    assert len(reads) == 1


def test_what_rules_use_does_not_go(director: Director) -> None:
    director.good("vcd_ip_set", **WEB)
    rule = {"name": "r", "destinations": ["web"]}
    director.good("vcd_firewall", firewall="edge", edge=seed.EDGE, rules=[rule])
    assert "in use" in director.call("vcd_ip_set", **WEB, state="absent")["msg"]


@pytest.mark.parametrize("address", ["10.1.0", "10.1.0.9-10.1.0.1", "10.1.0.0/33", "web", ""])
def test_what_is_no_address_is_told(director: Director, address: str) -> None:
    assert f"{address!r} is no address" in director.call("vcd_ip_set", **{**WEB, "addresses": [address]})["msg"]
    assert director.control.table("firewallGroup") == {}


def test_what_is_not_ours_or_was_edited_is_left_alone(director: Director) -> None:
    director.good("vcd_ip_set", **WEB, tenant="other")
    for change in ({"addresses": []}, {"state": "absent"}):
        assert "not ours" in director.call("vcd_ip_set", **{**WEB, **change})["msg"]
    (row,) = director.control.table("firewallGroup").values()
    director.control.patch("firewallGroup", row["id"], ipAddresses=["10.9.9.9"])
    for state in ("present", "absent"):
        assert "edited by somebody" in director.call("vcd_ip_set", **WEB, tenant="other", state=state)["msg"]
    assert director.good("vcd_ip_set", **WEB, tenant="other", state="absent", overwrite=True)["changed"]
