# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Application port profiles."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.vcd import seed
from tests.unit.plugins.modules.cloud_director import Director, director

__all__ = ["director"]

WEB = {
    "name": "web ports",
    "vdc_group": seed.GROUP,
    "ports": [{"protocol": "TCP", "ports": ["8000-8010", "443"]}, {"protocol": "ICMPv4"}],
}


def mine(director: Director) -> list[dict[str, Any]]:
    return [one for one in director.control.table("applicationPortProfile").values() if one["scope"] == "TENANT"]


def test_a_port_profile(director: Director) -> None:
    change = {"ports": [{"protocol": "UDP", "ports": ["53"]}]}
    made, changed, _removed = director.is_changed_by("vcd_port_profile", WEB, **change)
    assert made["diff"]["after"] == "port profile web ports\n  ports: ICMPv4\n  ports: TCP 443,8000-8010\n"
    assert changed["settings"] == {"ports": ["UDP 53"]} and changed["id"] == made["id"]
    assert mine(director) == []


def test_a_profile_of_the_system_is_nobodys_to_change(director: Director) -> None:
    """It may be there twice then; that of the tenant is the one that is made and removed."""
    profile = {**WEB, "name": "HTTPS", "edge": seed.EDGE, "vdc_group": None}
    assert not director.good("vcd_port_profile", **profile, state="absent")["changed"]
    director.good("vcd_port_profile", **profile)
    director.good("vcd_port_profile", **profile, state="absent")
    names = [one["name"] for one in director.control.table("applicationPortProfile").values()]
    assert names.count("HTTPS") == 1


@pytest.mark.parametrize(
    ("ports", "told"),
    [
        ([{"protocol": "TCP", "ports": ["80-70"]}], "'80-70' is no port"),
        ([{"protocol": "TCP", "ports": ["99999"]}], "'99999' is no port"),
        ([{"protocol": "TCP", "ports": ["http"]}], "'http' is no port"),
        ([{"protocol": "ICMPv4", "ports": ["8"]}], "ICMPv4 has no ports"),
        ([{"protocol": "GRE"}], "protocol"),
        ([], "at least one protocol"),
        (None, "ports"),
    ],
)
def test_what_makes_no_sense_is_told(director: Director, ports: Any, told: str) -> None:
    assert told in director.call("vcd_port_profile", **{**WEB, "ports": ports})["msg"]
    assert mine(director) == []
