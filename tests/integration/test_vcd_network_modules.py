# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a tenant made in Cloud Director by the installed modules, from one playbook: checked, made, made again
without a write, and removed without a trace among the rules of others.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.installed import Playbook
from tests.lab.vcd import Control, seed
from tests.lab.vcd.make import serve

NAME = "cloudexit.flexible_engine"
ADDRESS = "198.51.100.10"
EDGE = {"edge": seed.EDGE}


def tasks() -> list[tuple[str, dict[str, Any]]]:
    """(module, options) of the whole network of acme."""
    networks = [
        {
            "name": name,
            **EDGE,
            "gateway": f"10.{number}.0.1",
            "prefix": 24,
            "ranges": [f"10.{number}.0.10-10.{number}.0.99"],
        }
        for number, name in enumerate(("front", "back"), 1)
    ]
    networks[0]["dhcp"] = {"pools": ["10.1.0.200-10.1.0.220"], "dns": ["10.1.0.2"]}
    lonely = {"name": "lonely", "vdc": seed.VDC, "gateway": "10.9.0.1", "prefix": 24}
    rules = [
        {"name": "web from anywhere", "destinations": ["web"], "profiles": ["HTTPS"]},
        {"name": "nothing else to web", "action": "DROP", "destinations": ["web"]},
    ]
    inner = [{"name": "web to back", "sources": ["web"], "destinations": ["all of back"], "profiles": ["db ports"]}]
    nat = {"name": "web", **EDGE, "type": "DNAT", "external": ADDRESS, "internal": "10.1.0.10", "profile": "HTTPS"}
    route = {"name": "branch", **EDGE, "network": "172.20.0.0/16", "next_hop": "10.1.0.9", "scope": "front"}
    pool = {"members": [{"address": "10.1.0.10"}, {"address": "10.1.0.11"}], "monitors": ["HTTP"]}
    balancer = {"name": "web", **EDGE, "pool": pool, "service": {"address": "10.1.0.5", "ports": ["80"]}}
    db = [{"protocol": "TCP", "ports": ["3306", "5432-5440"]}]
    return [
        *(("cloudexit.flexible_engine.vcd_network", one) for one in (*networks, lonely)),
        ("cloudexit.flexible_engine.vcd_ip_set", {"name": "web", **EDGE, "addresses": ["10.1.0.10", "10.1.0.11"]}),
        ("cloudexit.flexible_engine.vcd_port_profile", {"name": "db ports", **EDGE, "ports": db}),
        ("cloudexit.flexible_engine.vcd_security_group", {"name": "all of back", **EDGE, "networks": ["back"]}),
        ("cloudexit.flexible_engine.vcd_firewall", {"firewall": "edge", **EDGE, "rules": rules}),
        (
            "cloudexit.flexible_engine.vcd_firewall",
            {"firewall": "distributed", "vdc_group": seed.GROUP, "rules": inner, "enable": True},
        ),
        ("cloudexit.flexible_engine.vcd_nat", nat),
        ("cloudexit.flexible_engine.vcd_route", route),
        ("cloudexit.flexible_engine.vcd_load_balancer", balancer),
    ]


class Director:
    """The server, and a playbook of these tasks."""

    def __init__(self, control: Control, url: str, folder: Path, playbook: Playbook) -> None:
        self.control, self.folder, self.playbook = control, folder, playbook
        ca = str(folder / "vcd" / "ca.pem")
        login = {"url": url, "org": seed.ORG, "username": seed.USER, "password": seed.PASSWORD, "ca_cert": ca}
        self.defaults = {**login, "tenant": "acme"}

    def play(self, *arguments: str, state: str = "present", **defaults: Any) -> Any:
        asked = tasks() if state == "present" else tasks()[::-1]
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "module_defaults": {f"group/{NAME}.target": {**self.defaults, "state": state, **defaults}},
            "tasks": [{"name": f"{number} {name}", name: one} for number, (name, one) in enumerate(asked)],
        }
        path = self.folder / "network.yml"
        path.write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")
        return self.playbook(str(path), "--diff", *arguments)

    def writes(self) -> list[str]:
        calls = [f"{one['method']} {one['path']}" for one in self.control.calls() if one["method"] != "GET"]
        return [one for one in calls if not any(part in one for part in ("/sessions", "/oauth/", "/auth/"))]

    def state(self) -> dict[str, Any]:
        """All that these modules may touch, as the server keeps it."""
        kinds = ("network", "firewallGroup", "applicationPortProfile", "gateway", "vdcGroup", "loadBalancerPool")
        found = {kind: self.control.table(kind) for kind in (*kinds, "loadBalancerVirtualService")}
        for rows in found.values():
            for row in rows.values():
                for name in ("version", "configuring_until"):
                    row.pop(name, None)
                for field in ("firewall", "nat", "routes", "dfw_rules"):
                    row[field] = [{k: v for k, v in one.items() if k != "version"} for one in row.get(field) or []]
        return found


@pytest.fixture
def director(tmp_path: Path, playbook: Playbook) -> Iterator[Director]:
    server = serve(tmp_path / "vcd", options={"task_seconds": 0})
    server.start()
    found = Director(Control(server.url, tmp_path / "vcd" / "ca.pem"), server.url, tmp_path, playbook)
    (edge,) = [one for one in found.control.table("gateway").values() if one["name"] == seed.EDGE]
    found.control.patch("gateway", edge["id"], public=[ADDRESS])
    found.control.foreign(seed.EDGE, firewall=50, nat=20)
    yield found
    server.stop()


def test_a_whole_network_is_made_and_removed(director: Director) -> None:
    count = len(tasks())
    checked = director.play("--check").ok()
    assert checked.changed == count and director.writes() == []
    before = director.state()

    made = director.play().ok()
    assert made.changed == count
    for line in (
        "+     ALLOW  in/out IP   any → web (10.1.0.10, 10.1.0.11): TCP 443  [web from anywhere]",
        "+     DROP   in/out IP   any → web (10.1.0.10, 10.1.0.11): any  [nothing else to web]",
        "+  profile: HTTPS",
        "+  next_hops: 10.1.0.9 1 front",
    ):
        assert line in made.output, line
    assert "-     ALLOW" not in made.output, "no other line of a firewall changes"
    packet = director.control.packet("192.0.2.1", ADDRESS, 443)
    assert (packet["met"][0], packet["address"]) == ("NAT web", "10.1.0.10")
    assert director.control.packet("192.0.2.1", ADDRESS, 22)["met"] == ["no NAT rule"]

    director.control.forget()
    again = director.play().ok()
    assert again.changed == 0 and director.writes() == []

    other = director.play(state="absent", tenant="other")
    assert other.code != 0 and "not ours" in other.output and director.writes() == []

    assert director.play("--check", state="absent").ok().changed == count and director.writes() == []
    assert director.play(state="absent").ok().changed == count
    assert director.state() == before
    director.control.forget()
    assert director.play(state="absent").ok().changed == 0 and director.writes() == []
