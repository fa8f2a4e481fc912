# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine into Cloud Director, through all real parts: it runs there, is proven, and is what it was."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import client, network, objects, org
from tests.lab import hypervisor, openstack, vcd
from tests.lab.both_sides import api, look
from tests.lab.operator import Operator, Page
from tests.lab.paths import Instance, wait_for

BOOT_S = 420
NETWORK = "app"


def hardware(instance: Instance, server: str) -> dict[str, Any]:
    """What the source's hypervisor was told of a server."""
    found: dict[str, Any] = json.loads((instance.data / "nova" / "instances" / server / "server.json").read_text())
    return found


def add_network(instance: Instance, nic: dict[str, Any]) -> None:
    """The network of a card of the source, made anew in the organisation, by the tenant's administrator."""
    about = instance.env()["vcd"]
    with client.connect(
        about["url"], about["org"], username=about["user"], password=about["password"], ca_file=about["ca_file"]
    ) as session:
        place = org.vdc(session, about["vdc"])
        prefix = int(nic["cidr"].partition("/")[2])
        wanted = network.Network(NETWORK, nic["gateway"], prefix, place.urn).wanted()
        objects.create(session, "orgVdcNetworks", {"name": NETWORK, **wanted.body}, "cannot make the network")


def into_cloud_director(plan: dict[str, Any], instance: Instance) -> None:
    """Edit a plan: the tenant goes into the lab's organisation."""
    about = instance.env()["vcd"]
    plan["target"] = {"type": "vcd", "org": about["org"], "vdc": about["vdc"]}
    for mapped in plan["networks"].values():
        mapped["target"] = NETWORK


class Move:
    """web-1, whose page is seen at the source, and the plan that takes it into Cloud Director."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.instance = operator.instance
        self.host = operator.host("web-1")
        self.server = operator.plan()["workloads"][self.host]["source"]["id"]
        nic = hardware(self.instance, self.server)["nics"][0]
        self.mac = nic["mac"].lower()
        add_network(self.instance, nic)
        self.source = Page(hypervisor.ports(self.instance, "source", self.mac)[80])
        self.target = Page(hypervisor.ports(self.instance, "target", self.mac)[80])
        self.page = wait_for(self.source.get, BOOT_S, "the page at the source", every=0.5)
        operator.edit(self._edit)

    def _edit(self, plan: dict[str, Any]) -> None:
        into_cloud_director(plan, self.instance)
        expect = self.page.strip().splitlines()[-1].strip()
        check = {"type": "http", "url": f"{self.target.base}/", "expect": expect, "timeout_s": BOOT_S}
        plan["workloads"][self.host]["checks"] = [check]

    def writes(self, since: float) -> dict[str, Any]:
        """What either side was asked to change since a moment."""
        asked = openstack.calls(self.instance, since).writes_by_service()
        told = {
            name: count
            for name, count in vcd.calls(self.instance, since)["write_methods"].items()
            if "/sessions" not in name
        }
        return {**asked, **told}

    def machines(self) -> list[dict[str, Any]]:
        """The machines in Cloud Director."""
        return vcd.Control(self.instance).machines()[1]


@pytest.fixture
def move(engineer: Operator) -> Move:
    return Move(engineer)


def test_a_machine_moves_into_cloud_director(move: Move) -> None:
    operator, host = move.operator, move.host
    before = look(move.instance)

    began = time.time()
    checked = operator.migrate("--limit", host, "--check", "--diff").ok()
    assert "vapp: acme-" in checked.output
    assert move.writes(began) == {}

    operator.migrate("--limit", host).ok()
    (machine,) = move.machines()
    plan = operator.plan()["workloads"][host]
    assert machine["power"] == "poweredOn"
    assert machine["firmware"] == plan["firmware"] == "bios"
    assert (machine["cpus"], machine["memory_mib"]) == (plan["cpus"], plan["memory_mib"])
    assert [(disk["controller"], disk["bus"], disk["unit"]) for disk in machine["disks"]] == [
        ("pvscsi", 0, 0),
        ("pvscsi", 0, 1),
    ]
    (nic,) = machine["nics"]
    assert (nic["mac"], nic["type"], nic["network"]) == (move.mac, "vmxnet3", NETWORK)
    assert nic["address"] == plan["nics"][0]["addresses"][0]
    marks = machine["extra_config"]
    assert (marks["cloudexit.source_id"], marks["cloudexit.state"]) == (move.server, "started")

    # it runs with that hardware, and is what it was
    assert move.target.get() == move.page
    (guest,) = (g for g in hypervisor.status(move.instance) if g["id"] == machine["moref"])
    assert guest["running"] and guest["report"]["storage"] == "vmw_pvscsi" and guest["report"]["nic"] == "vmxnet3"

    # it is proven, and the source is fenced
    (result,) = (r for r in operator.results() if r["workload"] == host)
    acts = {name: act["result"] for name, act in result["acts"].items()}
    disks = acts["disk_pass"]["disks"]
    assert len(disks) == 2
    for disk in disks:
        assert disk["equal"] and disk["manifest_source"] == disk["manifest_target"] == marks[_root(disk)]
    assert acts["disk_pass"]["upload"] in ("spooled", "measured")
    server = api(move.instance).get("compute", f"/servers/{move.server}")["server"]
    assert server["locked"] and server["status"] == "SHUTOFF"

    # nothing is left behind
    after = look(move.instance)
    assert (after.volumes, after.snapshots, after.attachments) == (before.volumes, before.snapshots, before.attachments)
    control = vcd.Control(move.instance)
    assert control.table("vapptemplate") == {}
    assert list((move.instance.data / "vcd" / "transfer").glob("**/*.vmdk")) == []

    # a second run has nothing to do, and asks for nothing
    began = time.time()
    second = operator.migrate("--limit", host).ok()
    assert second.changed == 0
    assert move.writes(began) == {}

    # and back: the machine goes off and is kept, the source runs again and is not fenced
    operator.run("rollback", *operator.plan_arguments(), "--limit", host).ok()
    (machine,) = move.machines()
    assert (machine["power"], machine["extra_config"]["cloudexit.state"]) == ("poweredOff", "rolled_back")
    server = api(move.instance).get("compute", f"/servers/{move.server}")["server"]
    assert not server["locked"] and server["status"] == "ACTIVE"


def _root(disk: dict[str, Any]) -> str:
    return f"cloudexit.manifest.{disk['index']}"
