# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks: routed and isolated, with DHCP; what is not ours, and what somebody edited, stays as it is."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import objects
from tests.lab.vcd import seed
from tests.unit.plugins.modules.cloud_director import Director, director

__all__ = ["director"]

FRONT = {
    "name": "front",
    "edge": seed.EDGE,
    "gateway": "10.1.0.1",
    "prefix": 24,
    "ranges": ["10.1.0.10-10.1.0.50"],
    "dns": ["10.1.0.3", "10.1.0.2"],
    "description": "The front",
}
BACK = {"name": "back", "vdc": seed.VDC, "gateway": "10.2.0.1", "prefix": 24}


def row(director: Director, name: str = "front") -> dict[str, Any]:
    return next(one for one in director.control.table("network").values() if one["name"] == name)


def test_a_network_behind_an_edge(director: Director) -> None:
    change = {"ranges": ["10.1.0.10-10.1.0.60", "10.1.0.70"]}
    made, changed, removed = director.is_changed_by("vcd_network", FRONT, **change)
    assert made["diff"]["before"] == ""
    assert made["diff"]["after"] == (
        "network front\n  type: NAT_ROUTED\n  edge: tn01e02ocb0001234spt101\n  gateway: 10.1.0.1\n  prefix: 24\n"
        "  dns: 10.1.0.3\n  dns: 10.1.0.2\n  dns_suffix:\n  ranges: 10.1.0.10-10.1.0.50\n"
    )
    assert made["id"].startswith("urn:vcloud:network:") and made["settings"]["edge"] == seed.EDGE
    assert changed["changes"] == ["update network front"]
    assert changed["settings"]["ranges"] == ["10.1.0.10-10.1.0.60", "10.1.0.70-10.1.0.70"]
    assert changed["diff"]["before"] == "network front\n  ranges: 10.1.0.10-10.1.0.50\n", "only what differs"
    assert removed["settings"] == {} and director.control.table("network") == {}


def test_an_isolated_network_and_its_dhcp(director: Director) -> None:
    dhcp = {"pools": ["10.2.0.100-10.2.0.120"], "dns": ["10.2.0.2"], "address": "10.2.0.3"}
    made, changed, _removed = director.is_changed_by("vcd_network", {**BACK, "dhcp": dhcp}, dhcp={"pools": []})
    assert made["changes"] == ["create network back", "update dhcp back"]
    assert "  pools: 10.2.0.100-10.2.0.120\n" in made["diff"]["after"]
    assert changed["changes"] == ["update dhcp back"] and changed["diff"]["after"] == "dhcp back\n  enabled: false\n"


def test_dhcp_that_is_left_out_stays(director: Director) -> None:
    director.good("vcd_network", **FRONT, dhcp={"pools": ["10.1.0.100-10.1.0.120"]})
    assert not director.good("vcd_network", **FRONT)["changed"]
    assert row(director)["dhcp"]["enabled"]


def test_what_is_not_ours_is_left_alone(director: Director) -> None:
    director.good("vcd_network", **FRONT, tenant="other")
    assert not director.good("vcd_network", **FRONT)["changed"], "it is just what is wanted"
    before = director.writes()
    for change in ({"ranges": []}, {"state": "absent"}, {"dhcp": {"pools": ["10.1.0.100"]}}):
        result = director.call("vcd_network", **{**FRONT, **change, "overwrite": True})
        assert "not ours" in result["msg"] and result["error"] == "Conflict", result
    assert director.writes() == before


def test_an_edit_of_somebody_is_a_conflict(director: Director) -> None:
    director.good("vcd_network", **FRONT)
    there = row(director)
    subnet = {**there["subnets"][0], "dnsServer1": "8.8.8.8"}
    director.control.patch("network", there["id"], subnets=[subnet])
    for state in ("present", "absent"):
        assert "edited by somebody" in director.call("vcd_network", **FRONT, state=state)["msg"]
    assert director.good("vcd_network", **FRONT, overwrite=True)["settings"]["dns"] == ["10.1.0.3", "10.1.0.2"]
    assert not director.good("vcd_network", **FRONT)["changed"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"gateway": "10.1.0"}, "10.1.0"),
        ({"ranges": ["10.9.0.1-10.9.0.2"]}, "no range in 10.1.0.0/24"),
        ({"ranges": ["10.1.0.9-10.1.0.2"]}, "no range"),
        ({"dns": ["1.1.1.1", "1.1.1.2", "1.1.1.3"]}, "two"),
        ({"edge": "nowhere"}, "cannot use the edge nowhere"),
        ({"tenant": " "}, "tenant: must not be empty"),
        ({"vdc_group": "nothing"}, "VDC group nothing"),
        ({"gateway": None}, "state is present but all of the following are missing: gateway"),
        ({"edge": None}, "one of the following is required"),
    ],
)
def test_what_makes_no_sense_is_told(director: Director, change: dict[str, Any], told: str) -> None:
    before = director.writes()
    assert told in director.call("vcd_network", **{**FRONT, **change})["msg"]
    assert director.writes() == before


def test_a_network_cannot_get_another_gateway(director: Director) -> None:
    director.good("vcd_network", **FRONT)
    assert "cannot get another gateway" in director.call("vcd_network", **{**FRONT, "gateway": "10.1.0.254"})["msg"]


def test_a_right_that_is_missing(director: Director) -> None:
    reader = {"username": seed.READER, "password": seed.READER_PASSWORD}
    assert "lacks a right" in director.call("vcd_network", **FRONT, **reader)["msg"]
    assert director.control.table("network") == {}


def test_what_is_not_as_it_was_written_is_told(director: Director, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server took it and has something else."""
    monkeypatch.setattr(objects, "apply", lambda *_args: {})
    result = director.call("vcd_network", **FRONT)
    assert "what was written is not what is there: create network front" in result["msg"] and result["retryable"]


def test_a_name_of_the_cloud_does_not_break_a_line(director: Director) -> None:
    row = next(one for one in director.control.table("gateway").values() if one["name"] == seed.EDGE)
    name = "edge\n  gateway: 6.6.6.6"
    director.control.patch("gateway", row["id"], name=name)
    made = director.good("vcd_network", **{**FRONT, "edge": name})
    assert "  edge: edge gateway: 6.6.6.6\n" in made["diff"]["after"] and made["settings"]["edge"] == name
