# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook is killed at ten points of a migration into each target; a plain re-run ends in the same state.

Into Cloud Director also together with the job on the reader host, as when that host dies. `make soak` takes all points,
`make test` three of each target, chosen by CLOUDEXIT_SEED (default: a fixed one).
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.end_to_end.steps import add_network, as_it_is, hardware, into_cloud_director
from tests.lab import openstack, vcd, vcenter
from tests.lab.both_sides import (
    Sides,
    api,
    come_and_gone,
    disk_bytes,
    left_behind,
    look,
    organisation,
    sha256,
)
from tests.lab.operator import Operator, Running
from tests.lab.paths import wait_for
from tests.lab.vcenter.service import Control

NAME = "app-1"


class VSphere:
    """A target: how the plan comes to name it, what it is asked, and what is there at the end."""

    def __init__(self, operator: Operator, server: str, point: str) -> None:
        self.instance = operator.instance
        self.since = vcenter.now()

    def again(self) -> None:
        """Count from now on."""
        self.since = vcenter.now()

    def told(self, method: str) -> bool:
        """Whether it was called so."""
        return method in vcenter.calls(self.instance, self.since)["by_method"]

    def writes(self) -> list[str]:
        """The calls that may have changed something."""
        return list(vcenter.calls(self.instance, self.since)["write_methods"])

    def quick(self) -> None:
        """No longer slow, so that the re-run is not either."""

    def check(self) -> None:
        """One machine, switched on. (Leases and sessions are among what is left behind.)"""
        assert [machine["power"] for machine in Control(self.instance).machines()[1]] == ["poweredOn"]


class Director:
    """The same of Cloud Director. Tasks and transfers take their time until it is to be quick; the guest is adapted
    only for points before the copy, since the others would be reached a minute later.
    """

    def __init__(self, operator: Operator, server: str, point: str) -> None:
        self.instance = operator.instance
        self.control = vcd.Control(self.instance)
        add_network(self.instance, hardware(self.instance, server)["nics"][0])
        operator.edit(lambda plan: into_cloud_director(plan, self.instance))
        if point not in SOURCE:
            as_it_is(operator, operator.host(NAME))
        self.box = f"acme-{operator.plan()['workloads'][operator.host(NAME)]['group']}"
        self.before = organisation(self.instance)
        self.control.options(task_seconds=0.4)
        self.control.faults(rate={"mib_s": 24})
        self.again()

    def again(self) -> None:
        self.since = time.time()

    def told(self, method: str) -> bool:
        return any(name.endswith(method) for name in vcd.calls(self.instance, self.since)["by_method"])

    def writes(self) -> list[str]:
        told = vcd.calls(self.instance, self.since)["write_methods"]
        return [name for name in told if "/sessions" not in name]

    def quick(self) -> None:
        self.control.options(task_seconds=0.05)
        self.control.faults()

    def check(self) -> None:
        """One machine, switched on, in one vApp; beside it the catalog, empty; of all else nothing came, went or
        changed.
        """
        (machine,) = self.control.machines()[1]
        assert machine["power"] == "poweredOn"
        assert come_and_gone(self.before, organisation(self.instance)) == {
            "catalog": ["+ cloudexit"],
            "vapp": [f"+ {self.box}"],
            "vm": [f"+ {NAME}"],
        }


class Seen:
    """Tells whether a migration has come to a point, by what can be seen in the clouds and on the reader host."""

    def __init__(self, operator: Operator, target: VSphere | Director) -> None:
        self.operator = operator
        self.told = target.told
        self.since = time.time()

    def asked(self, service: str, method: str, part: str) -> bool:
        """Whether OpenStack was asked for this."""
        calls = openstack.calls(self.operator.instance, self.since).writes
        return any(call.service == service and call.method == method and part in call.uri for call in calls)

    def job(self) -> dict[str, Any]:
        """The record of the copy on the reader host."""
        for file in self.operator.state.glob("jobs/*/status.json"):
            try:
                return dict(json.loads(file.read_text()))
            except (FileNotFoundError, ValueError):
                continue
        return {}

    def sent(self, mib: int) -> bool:
        """Whether so much of a disk is sent."""
        disks = self.job().get("disks", [])
        return any(disk.get("phase") == "copying" and disk.get("done", 0) > mib << 20 for disk in disks)

    def kill_job(self) -> None:
        """SIGKILL to the job."""
        pid = int(self.job()["pid"])
        assert pid > 1
        os.kill(pid, signal.SIGKILL)


Points = dict[str, Callable[[Seen], bool]]
SOURCE: Points = {
    "the source is stopped": lambda seen: seen.asked("nova", "POST", "/action"),
    "a snapshot is asked for": lambda seen: seen.asked("cinder", "POST", "/snapshots"),
    "a clone is attached": lambda seen: seen.asked("nova", "POST", "/os-volume_attachments"),
    "the guest is adapted": lambda seen: any(seen.operator.state.glob("guests/*/*")),
}
TARGETS = {"vsphere": VSphere, "vcd": Director}
COPY: dict[str, Points] = {
    "vsphere": {
        "the import has begun": lambda seen: seen.told("ImportVApp"),
        "bytes are under way": lambda seen: seen.sent(200),
        "the machine is read back": lambda seen: seen.told("ExportVm"),
    },
    "vcd": {
        "the upload has begun": lambda seen: seen.told("/action/upload"),
        "bytes are under way": lambda seen: seen.sent(200),
        "the machine is made": lambda seen: seen.told("/action/recomposeVApp"),
        "the machine is read back": lambda seen: seen.told("/action/enableDownload"),
    },
}
REST: dict[str, Points] = {
    "vsphere": {
        "the clones are removed": lambda seen: seen.asked("nova", "DELETE", "/os-volume_attachments"),
        "a clone is asked for": lambda seen: seen.asked("cinder", "POST", "/volumes"),
        "the machine is started": lambda seen: seen.told("PowerOnVM_Task"),
    },
    "vcd": {
        "the clones are removed": lambda seen: seen.asked("nova", "DELETE", "/os-volume_attachments"),
        "the machine is started": lambda seen: seen.told("/action/powerOn"),
    },
}
"""Points by target; those of COPY are such at which the job lives."""
POINTS = {target: {**SOURCE, **COPY[target], **REST[target]} for target in TARGETS}


def _cases() -> list[Any]:
    """(target, point, whether the job is killed too); what is not in the sample is for the soak."""
    chance = random.Random(os.environ.get("CLOUDEXIT_SEED", "2026"))
    plain = {target: [(target, point, False) for point in points] for target, points in POINTS.items()}
    both = [("vcd", point, True) for point in COPY["vcd"]]
    sample = [*chance.sample(plain["vsphere"], 3), *chance.sample(plain["vcd"], 2), chance.choice(both)]
    found = []
    for case in [*plain["vsphere"], *plain["vcd"], *both]:
        target, point, job_too = case
        name = f"{target}-{point}{'-and-the-job-too' if job_too else ''}".replace(" ", "-")
        found.append(pytest.param(*case, marks=() if case in sample else pytest.mark.soak, id=name))
    return found


@pytest.mark.usefixtures("without_guests")
@pytest.mark.parametrize(("kind", "point", "job_too"), _cases())
def test_killed_and_run_again(engineer: Operator, kind: str, point: str, job_too: bool) -> None:
    operator = engineer
    tenant = api(operator.instance)
    server = next(s for s in tenant.get("compute", "/servers/detail")["servers"] if s["name"] == NAME)
    tenant.post("compute", f"/servers/{server['id']}/action", {"os-start": None})
    tenant.wait_status("compute", f"/servers/{server['id']}", "server", "ACTIVE")
    before = look(operator.instance)
    host = operator.host(NAME)
    target = TARGETS[kind](operator, server["id"], point)
    workload = operator.plan()["workloads"][host]
    sums = {disk["volume"]: sha256(disk_bytes(operator.instance, disk["volume"])) for disk in workload["disks"]}

    seen = Seen(operator, target)
    try:
        running = operator.start("migrate", *operator.plan_arguments(), "--limit", host)
        _kill_at(running, lambda: POINTS[kind][point](seen), point, seen.kill_job if job_too else None)
    finally:
        target.quick()

    operator.migrate("--limit", host).ok()

    _moved(operator, before, server["id"], host)
    target.check()
    assert {v: sha256(disk_bytes(operator.instance, v)) for v in sums} == sums, "the source's own bytes changed"
    since = time.time()
    target.again()
    assert operator.migrate("--limit", host).ok().changed == 0
    assert not openstack.calls(operator.instance, since).writes
    assert target.writes() == []


def _kill_at(running: Running, reached: Callable[[], bool], point: str, also: Callable[[], None] | None) -> None:
    """SIGKILL to ansible-playbook as soon as the point is reached; its modules and the copy are not asked."""
    try:
        wait_for(lambda: reached() or not running.alive(), 300, point, every=0.05)
        assert running.alive(), f"it ended before: {point}\n{''.join(running.lines[-40:])}"
        if also is not None:
            also()
    finally:
        running.process.kill()
        running.process.wait()


def _moved(operator: Operator, before: Sides, server: str, host: str) -> None:
    """A machine that is proven; a source that is off and fenced; nothing left at the source or on the reader host."""
    after = look(operator.instance)
    assert left_behind(before, after) == {}
    assert after.servers == {**before.servers, server: "SHUTOFF"}
    locked = api(operator.instance).get("compute", f"/servers/{server}")["server"]["locked"]
    assert locked, "the source is not fenced"
    assert list(operator.state.glob("jobs/*/*.part")) == [], "a spool is left on the reader host"
    (result,) = (r for r in operator.results() if r["workload"] == host)
    disks = result["acts"]["disk_pass"]["result"]["disks"]
    assert [disk["equal"] for disk in disks] == [True, True]
    assert all(disk["manifest_source"] == disk["manifest_target"] for disk in disks)
