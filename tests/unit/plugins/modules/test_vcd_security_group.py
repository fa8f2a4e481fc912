# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups of networks."""

from __future__ import annotations

import pytest

from tests.lab.vcd import seed
from tests.unit.plugins.modules.cloud_director import Director, director

__all__ = ["director"]

ALL = {"name": "all of acme", "edge": seed.EDGE, "networks": ["front", "back"]}


@pytest.fixture
def networked(director: Director) -> Director:
    for number, name in enumerate(("front", "back", "alone"), 1):
        director.good("vcd_network", name=name, edge=seed.EDGE, gateway=f"10.{number}.0.1", prefix=24)
    return director


def test_a_security_group(networked: Director) -> None:
    made, changed, removed = networked.is_changed_by("vcd_security_group", ALL, networks=["front", "alone"])
    text = "firewall group all of acme\n  type: SECURITY_GROUP\n  members: back\n  members: front\n"
    assert made["diff"]["after"] == text
    assert changed["settings"]["members"] == ["alone", "front"] and removed["settings"] == {}
    assert networked.control.table("firewallGroup") == {}


def test_order_means_nothing(networked: Director) -> None:
    networked.good("vcd_security_group", **ALL)
    assert not networked.good("vcd_security_group", **{**ALL, "networks": ["back", "front", "back"]})["changed"]


def test_a_network_that_is_not_there(networked: Director) -> None:
    group = {**ALL, "networks": ["front", "nowhere"]}
    assert networked.good("vcd_security_group", **group, check=True)["pending"] == ["nowhere"]
    assert "nowhere" in networked.call("vcd_security_group", **group)["msg"]
    assert networked.control.table("firewallGroup") == {}


def test_an_ip_set_of_the_name_is_another_thing(networked: Director) -> None:
    networked.good("vcd_ip_set", name="all of acme", edge=seed.EDGE, addresses=["10.1.0.1"])
    assert "cannot get another type" in networked.call("vcd_security_group", **ALL)["msg"]
    assert "another kind of group" in networked.call("vcd_security_group", **ALL, state="absent")["msg"]
    assert networked.good("vcd_ip_set", name="all of acme", edge=seed.EDGE, state="absent")["changed"]
