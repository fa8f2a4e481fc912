# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook is killed at ten points of a migration; a plain re-run ends in the same state each time.

`make soak` takes all ten, `make test` three of them, chosen by CLOUDEXIT_SEED (default: a fixed one).
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

from tests.lab import openstack, vcenter
from tests.lab.both_sides import Sides, api, disk_bytes, left_behind, look, sha256
from tests.lab.operator import Operator, Running
from tests.lab.paths import wait_for
from tests.lab.vcenter.service import Control

NAME = "app-1"


class Seen:
    """Tells whether a migration has come to a point, by what can be seen in the clouds and on the reader host."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.since = time.time()
        self.vcenter_since = vcenter.now()

    def asked(self, service: str, method: str, part: str) -> bool:
        """Whether OpenStack was asked for this."""
        calls = openstack.calls(self.operator.instance, self.since).writes
        return any(call.service == service and call.method == method and part in call.uri for call in calls)

    def told(self, method: str) -> bool:
        """Whether vCenter was called so."""
        return method in vcenter.calls(self.operator.instance, self.vcenter_since)["by_method"]

    def job(self) -> dict[str, Any]:
        """The record of the copy on the reader host."""
        for file in self.operator.state.glob("jobs/*/status.json"):
            try:
                return dict(json.loads(file.read_text()))
            except (FileNotFoundError, ValueError):
                continue
        return {}


POINTS: dict[str, Callable[[Seen], bool]] = {
    "the source is stopped": lambda seen: seen.asked("nova", "POST", "/action"),
    "a snapshot is asked for": lambda seen: seen.asked("cinder", "POST", "/snapshots"),
    "a clone is asked for": lambda seen: seen.asked("cinder", "POST", "/volumes"),
    "a clone is attached": lambda seen: seen.asked("nova", "POST", "/os-volume_attachments"),
    "the guest is adapted": lambda seen: any(seen.operator.state.glob("guests/*/*")),
    "the import has begun": lambda seen: seen.told("ImportVApp"),
    "bytes are under way": lambda seen: any(disk.get("done", 0) > 200 << 20 for disk in seen.job().get("disks", [])),
    "the machine is read back": lambda seen: seen.told("ExportVm"),
    "the clones are removed": lambda seen: seen.asked("nova", "DELETE", "/os-volume_attachments"),
    "the machine is started": lambda seen: seen.told("PowerOnVM_Task"),
}
SAMPLE = random.Random(os.environ.get("CLOUDEXIT_SEED", "2026")).sample(sorted(POINTS), 3)


@pytest.mark.usefixtures("without_guests")
@pytest.mark.parametrize(
    "point", [pytest.param(p, marks=() if p in SAMPLE else pytest.mark.soak, id=p.replace(" ", "-")) for p in POINTS]
)
def test_killed_and_run_again(engineer: Operator, point: str) -> None:
    operator = engineer
    tenant = api(operator.instance)
    server = next(s for s in tenant.get("compute", "/servers/detail")["servers"] if s["name"] == NAME)
    tenant.post("compute", f"/servers/{server['id']}/action", {"os-start": None})
    tenant.wait_status("compute", f"/servers/{server['id']}", "server", "ACTIVE")
    before = look(operator.instance)
    host = operator.host(NAME)
    workload = operator.plan()["workloads"][host]
    sums = {disk["volume"]: sha256(disk_bytes(operator.instance, disk["volume"])) for disk in workload["disks"]}

    seen = Seen(operator)
    running = operator.start("migrate", *operator.plan_arguments(), "--limit", host)
    _kill_at(running, lambda: POINTS[point](seen), point)

    operator.migrate("--limit", host).ok()

    _moved(operator, before, server["id"], host)
    assert {v: sha256(disk_bytes(operator.instance, v)) for v in sums} == sums, "the source's own bytes changed"
    since, vcenter_since = time.time(), vcenter.now()
    assert operator.migrate("--limit", host).ok().changed == 0
    assert not openstack.calls(operator.instance, since).writes
    assert vcenter.calls(operator.instance, vcenter_since)["writes"] == 0


def _kill_at(running: Running, reached: Callable[[], bool], point: str) -> None:
    """SIGKILL to ansible-playbook as soon as the point is reached; its modules and the copy are not asked."""
    try:
        wait_for(lambda: reached() or not running.alive(), 300, point, every=0.05)
        assert running.alive(), f"it ended before: {point}\n{''.join(running.lines[-40:])}"
    finally:
        os.kill(running.pid, signal.SIGKILL)
        running.process.wait()


def _moved(operator: Operator, before: Sides, server: str, host: str) -> None:
    """One machine, proven and on; a source that is off and fenced; nothing left on either side."""
    after = look(operator.instance)
    assert left_behind(before, after) == {}
    assert after.servers == {**before.servers, server: "SHUTOFF"}
    machines = Control(operator.instance).machines()[1]
    assert [machine["power"] for machine in machines] == ["poweredOn"]
    locked = api(operator.instance).get("compute", f"/servers/{server}")["server"]["locked"]
    assert locked, "the source is not fenced"
    (result,) = (r for r in operator.results() if r["workload"] == host)
    disks = result["acts"]["disk_pass"]["result"]["disks"]
    assert [disk["equal"] for disk in disks] == [True, True]
    assert all(disk["manifest_source"] == disk["manifest_target"] for disk in disks)
