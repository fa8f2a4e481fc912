# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewalls: the rules of one tenant among those of others, in their order, shown one line a rule."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.vcd import seed
from tests.unit.plugins.modules.cloud_director import Director, director

__all__ = ["director"]

RULES = [
    {"name": "web from anywhere", "destinations": ["web"], "profiles": ["HTTPS"]},
    {"name": "no more", "action": "DROP", "destinations": ["web"]},
]
EDGE = {"firewall": "edge", "edge": seed.EDGE}
DISTRIBUTED = {"firewall": "distributed", "vdc_group": seed.GROUP}
WALLS = pytest.mark.parametrize("wall", [EDGE, DISTRIBUTED], ids=["edge", "distributed"])


@pytest.fixture
def wall_of(director: Director) -> Director:
    director.good("vcd_ip_set", name="web", edge=seed.EDGE, addresses=["10.1.0.10", "10.1.0.11"])
    director.control.foreign(seed.EDGE, firewall=20)
    return director


def edge_rules(director: Director) -> list[dict[str, Any]]:
    found = next(one for one in director.control.table("gateway").values() if one["name"] == seed.EDGE)
    return list(found["firewall"])


def theirs(director: Director) -> list[dict[str, Any]]:
    return [one for one in edge_rules(director) if "[cloudexit" not in one["name"]]


@WALLS
def test_rules(wall_of: Director, wall: dict[str, Any]) -> None:
    others = theirs(wall_of)
    change = {"rules": [RULES[1], {**RULES[0], "profiles": ["HTTPS", "HTTP"]}]}
    made, changed, removed = wall_of.is_changed_by("vcd_firewall", {**wall, "rules": RULES}, **change)
    assert theirs(wall_of) == others and len(others) == 20
    kind = f"{wall['firewall']} firewall"
    assert made["changes"] == [f"create {kind} rule web from anywhere", f"create {kind} rule no more"]
    new = set(made["diff"]["after"].splitlines()) - set(made["diff"]["before"].splitlines())
    assert new == {
        "     ALLOW  in/out IP   any → web (10.1.0.10, 10.1.0.11): TCP 443  [web from anywhere]",
        "     DROP   in/out IP   any → web (10.1.0.10, 10.1.0.11): any  [no more]",
    }
    assert set(made["diff"]["before"].splitlines()) <= set(made["diff"]["after"].splitlines())
    assert changed["changes"] == [f"update {kind} rule web from anywhere", f"move {kind} rule order"]
    assert changed["rules"] == ["no more", "web from anywhere"]
    assert removed["rules"] == [] and removed["diff"]["after"] == made["diff"]["before"]


def test_first(wall_of: Director) -> None:
    wall_of.good("vcd_firewall", **EDGE, rules=RULES, first=True)
    assert edge_rules(wall_of)[0]["name"].startswith("web from anywhere [cloudexit acme ")


@WALLS
def test_an_edit_of_somebody_is_a_conflict(wall_of: Director, wall: dict[str, Any]) -> None:
    wall_of.good("vcd_firewall", **wall, rules=RULES)
    kind, field = ("gateway", "firewall") if wall is EDGE else ("vdcGroup", "dfw_rules")
    row = next(one for one in wall_of.control.table(kind).values() if one["name"] in (seed.EDGE, seed.GROUP))
    rules = [
        {**one, "sourceFirewallGroups": None, "destinationFirewallGroups": None, "actionValue": "ALLOW"}
        if "cloudexit" in f"{one['name']} {one.get('comments')}"
        else one
        for one in row[field]
    ]
    wall_of.control.patch(kind, row["id"], **{field: rules})
    for state in ("present", "absent"):
        assert "edited by somebody" in wall_of.call("vcd_firewall", **wall, rules=RULES, state=state)["msg"]
    assert wall_of.good("vcd_firewall", **wall, rules=RULES, overwrite=True)["changed"]
    assert not wall_of.good("vcd_firewall", **wall, rules=RULES)["changed"]


def test_two_tenants_share_an_edge(wall_of: Director) -> None:
    wall_of.good("vcd_firewall", **EDGE, rules=RULES)
    wall_of.good("vcd_firewall", **EDGE, rules=RULES[:1], tenant="other")
    assert not wall_of.good("vcd_firewall", **EDGE, rules=RULES)["changed"]
    wall_of.good("vcd_firewall", **EDGE, state="absent", tenant="other")
    assert len(edge_rules(wall_of)) == 22


def test_the_profile_of_the_tenant_is_taken(wall_of: Director) -> None:
    wall_of.good("vcd_port_profile", name="HTTPS", edge=seed.EDGE, ports=[{"protocol": "TCP", "ports": ["8443"]}])
    made = wall_of.good("vcd_firewall", **EDGE, rules=RULES)
    assert "TCP 8443" in made["diff"]["after"]


def test_check_mode_forgives_names_that_are_made_before(wall_of: Director) -> None:
    rules = [{"name": "db", "destinations": ["db"]}]
    told = wall_of.good("vcd_firewall", **EDGE, rules=rules, check=True)
    assert told["pending"] == ["db"] and "any → db (not known): any  [db]" in told["diff"]["after"]
    assert "db" in wall_of.call("vcd_firewall", **EDGE, rules=rules)["msg"]


def test_a_distributed_firewall_that_is_off(wall_of: Director) -> None:
    (group,) = wall_of.control.table("vdcGroup").values()
    wall_of.control.patch("vdcGroup", group["id"], dfw=False)
    assert "Set `enable`" in wall_of.call("vcd_firewall", **DISTRIBUTED, rules=RULES)["msg"]
    assert not wall_of.good("vcd_firewall", **DISTRIBUTED, state="absent")["changed"]
    told = wall_of.good("vcd_firewall", **DISTRIBUTED, rules=RULES, enable=True, check=True)
    made = wall_of.good("vcd_firewall", **DISTRIBUTED, rules=RULES, enable=True)
    for one in (told, made):
        assert one["changes"][0] == "update switch of the distributed firewall of acme-group"
        assert one["changes"][1:] == [f"create distributed firewall rule {rule['name']}" for rule in RULES]
        assert "off: everything passes" in one["diff"]["before"] and "off" not in one["diff"]["after"]
    assert not wall_of.good("vcd_firewall", **DISTRIBUTED, rules=RULES, enable=True)["changed"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rules": [RULES[0], RULES[0]]}, "web from anywhere is there twice"),
        ({"rules": [{"name": " "}]}, "must not be empty"),
        ({"rules": [{"name": "x", "profiles": ["Telnet"]}]}, "Telnet"),
        ({"rules": [{"name": "x", "sources": ["web"], "sources_excluded": True}]}, "no rules for all but a group"),
        ({"rules": None}, "rules"),
        ({"edge": None, "vdc_group": seed.GROUP}, "edge"),
        ({"firewall": "distributed", "edge": seed.LONE_EDGE}, "belongs to no VDC group"),
    ],
)
def test_what_makes_no_sense_is_told(wall_of: Director, change: dict[str, Any], told: str) -> None:
    before = wall_of.writes()
    assert told in wall_of.call("vcd_firewall", **{**EDGE, "rules": RULES, **change})["msg"]
    assert wall_of.writes() == before
