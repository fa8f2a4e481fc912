# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stories share: a small workload, both sides before and after, errors as a person reads them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import client, network, objects, org
from tests.lab import openstack, vcenter
from tests.lab.both_sides import Sides, api, disk_bytes, left_behind, look
from tests.lab.operator import Operator, Played, Running
from tests.lab.paths import Instance, Proc, wait_for
from tests.lab.vcenter.service import Control

MIB = 1 << 20
CHUNK = 64 << 10
NETWORK = "app"
"""The network of the organisation that stands for all of the source's."""


def small(operator: Operator, name: str = "db-1") -> str:
    """The host of the server of this name that has one disk; it has no system, so the plan is not to adapt it."""
    workloads = operator.plan()["workloads"]
    (host,) = (h for h, w in workloads.items() if w["source"]["name"] == name and len(w.get("disks", [])) == 1)
    as_it_is(operator, host)
    return str(host)


def as_it_is(operator: Operator, *hosts: str) -> None:
    """Say in the plan that these guests are not adapted."""

    def change(plan: dict[str, Any]) -> None:
        for host in hosts:
            plan["workloads"][host]["guest"]["adapt"] = "none"

    operator.edit(change)


def workload(operator: Operator, host: str) -> dict[str, Any]:
    """The plan's entry of a host."""
    found: dict[str, Any] = operator.plan()["workloads"][host]
    return found


def fill(operator: Operator, host: str, mib: int) -> None:
    """Put so many MiB that cannot be compressed on the workload's first disk, from its second MiB on."""
    volume = workload(operator, host)["disks"][0]["volume"]
    with open(disk_bytes(operator.instance, volume), "r+b") as disk:
        for number in range(mib):
            disk.seek((number + 1) * MIB)
            disk.write(os.urandom(MIB))


def plain(played: Played) -> str:
    """The output with every run of blanks as one, as no line break matters to a reader."""
    return " ".join(played.output.split())


def failure(played: Played, host: str) -> str:
    """The message that a host's failed task ended with; the last, where there are several."""
    _before, found, rest = played.output.rpartition(f"\nfatal: [{host}")
    assert found, played.output
    result, _end = json.JSONDecoder().raw_decode(rest.partition("! => ")[2])
    return str(result["msg"])


def job(operator: Operator) -> dict[str, Any]:
    """What the reader host's record says of the copy that is under way; {} where there is none."""
    for file in operator.state.glob("jobs/*/status.json"):
        try:
            return dict(json.loads(file.read_text()))
        except (FileNotFoundError, ValueError):
            continue
    return {}


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


@contextmanager
def held(instance: Instance, service: str) -> Iterator[None]:
    """A service of OpenStack stands still: what it is asked for takes longer than usual."""
    proc = Proc(instance, service)
    proc.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        proc.signal(signal.SIGCONT)


def reach(running: Running, point: Callable[[], bool], what: str, timeout: float = 240) -> None:
    """Wait until a run that is under way has come to a point."""
    wait_for(lambda: point() or not running.alive(), timeout, what, every=0.05)
    assert running.alive(), f"it ended before: {what}\n{''.join(running.lines)}"


class Watch:
    """Both sides as they were when it was made, and what was written to either since."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.before: Sides = look(instance)
        self.again()

    def again(self) -> None:
        """Count from now on."""
        self._since, self._vcenter_since = time.time(), vcenter.now()

    def calls(self) -> openstack.Calls:
        """What OpenStack was asked."""
        return openstack.calls(self.instance, self._since)

    def writes(self) -> list[str]:
        """Every call to either side that may change something."""
        asked = [f"{call.service} {call.method} {call.uri}" for call in self.calls().writes]
        told = vcenter.calls(self.instance, self._vcenter_since)["write_methods"]
        return asked + [f"vcenter {method} ({count})" for method, count in told.items()]

    def asked(self, service: str, method: str, part: str) -> bool:
        """Whether OpenStack was asked for this."""
        writes = self.calls().writes
        return any(call.service == service and call.method == method and part in call.uri for call in writes)

    def left(self) -> dict[str, Any]:
        """What is left behind."""
        return left_behind(self.before, look(self.instance))

    def nothing_happened(self) -> None:
        """Nothing was written to either side, and both are as they were."""
        assert self.writes() == []
        assert look(self.instance) == self.before

    def moved(self, operator: Operator, host: str) -> dict[str, Any]:
        """One more machine, proven and on; the source off and fenced; nothing left. Returns the evidence's result."""
        server = workload(operator, host)["source"]["id"]
        after = look(self.instance)
        assert left_behind(self.before, after) == {}
        assert after.servers == {**self.before.servers, server: "SHUTOFF"}
        (machine,) = (m for m in machines(self.instance) if m["instance_uuid"] not in self.before.machines)
        assert machine["power"] == "poweredOn"
        assert machine["extra_config"]["cloudexit.state"] == "started"
        found = api(self.instance).get("compute", f"/servers/{server}")["server"]
        assert found["locked"], "the source is not fenced"
        (result,) = (r for r in operator.results() if r["workload"] == host)
        disks = result["acts"]["disk_pass"]["result"]["disks"]
        assert all(disk["equal"] and disk["manifest_source"] == disk["manifest_target"] for disk in disks)
        return result


def machines(instance: Instance) -> list[dict[str, Any]]:
    """The machines that vCenter has."""
    return Control(instance).machines()[1]
