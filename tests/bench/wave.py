# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a wave of small workloads costs the operator's machine and the two clouds, per workload.

Twenty servers with a disk of 1 GiB each, of which some 30 MiB are written, move at once by the installed collection;
then the same playbook runs again on what has moved. The guests are not adapted, and none runs.

CPU seconds are those of ansible-playbook and of everything that came of it, the copy jobs included although they
leave it: the measuring process takes in orphans (prctl PR_SET_CHILD_SUBREAPER) and adds up what wait4 says of each. In
the lab the reader host is this machine as well, so the reader's work is in it. The lab's own services are not.

There is no peer: nothing else that we know moves servers from OpenStack into vSphere by import leases, so `peer` and
`ratio` are null.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.common import LAB, say, write_result
from tests.lab import openstack, parts, vcenter, wave
from tests.lab.both_sides import left_behind, look
from tests.lab.operator import BIN, COLLECTION, Operator, Played, install
from tests.lab.paths import DEFAULT_NAME, Instance, running_procs

FORKS = 8
AT_ONCE = 8
DISKS = 4
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Cost:
    """What a run took: seconds of wall and CPU time, processes, calls to either cloud, and how it ended."""

    played: Played
    cpu: float
    processes: int
    openstack: Mapping[str, int]
    vcenter: Mapping[str, int]


def measured(operator: Operator, *arguments: str) -> Cost:
    """Run migrate on the plan, and count."""
    since, vcenter_since = time.time(), vcenter.now()
    env = {**operator.env, "ANSIBLE_FORKS": str(FORKS)}
    argv = [str(BIN / "ansible-playbook"), f"{COLLECTION}.migrate", *operator.plan_arguments(), *arguments]
    log = operator.folder / "output.txt"
    counts = counted(argv, env, operator.folder, log)
    return Cost(
        Played(counts["code"], log.read_text(errors="replace"), counts["wall"]),
        counts["cpu"],
        counts["processes"],
        openstack.calls(operator.instance, since).by_service(),
        vcenter.calls(operator.instance, vcenter_since)["by_method"],
    )


def counted(argv: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> dict[str, Any]:
    """Run a program and wait for it and for all that comes of it, in a process that has no other children.

    code, wall: of the program itself. cpu: seconds of all. processes: those that this process saw the end of, which are
    the program and the orphans.
    """
    result, told = os.pipe()
    child = os.fork()
    if child:
        os.close(told)
        with open(result) as stream:
            found: dict[str, Any] = json.load(stream)
        os.waitpid(child, 0)
        return found
    try:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        began = time.monotonic()
        with open(log, "wb") as output:
            program = subprocess.Popen(
                argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        counts: dict[str, Any] = {"cpu": 0.0, "processes": 0}
        with contextlib.suppress(ChildProcessError):
            while True:
                ended, status, usage = os.wait4(-1, 0)
                counts["cpu"] += usage.ru_utime + usage.ru_stime
                counts["processes"] += 1
                if ended == program.pid:
                    counts |= {"code": os.waitstatus_to_exitcode(status), "wall": time.monotonic() - began}
        os.write(told, json.dumps(counts).encode())
    finally:
        os._exit(0)


def rows(cost: Cost, again: Cost, count: int) -> list[dict[str, Any]]:
    """The result's rows, per workload."""

    def row(what: str, value: float, unit: str) -> dict[str, Any]:
        return {"what": what, "ours": round(value / count, 3), "peer": None, "unit": unit, "ratio": None}

    found = []
    for prefix, run in (("", cost), ("second run: ", again)):
        recap = run.played.recap.values()
        found += [
            row(f"{prefix}wall time per workload", run.played.seconds, "s"),
            row(f"{prefix}CPU per workload", run.cpu, "CPU s"),
            row(f"{prefix}tasks per workload", sum(host.ok + host.failed for host in recap), "tasks"),
            row(f"{prefix}skipped tasks per workload", sum(host.skipped for host in recap), "tasks"),
            row(f"{prefix}OpenStack calls per workload", sum(run.openstack.values()), "calls"),
            row(f"{prefix}vCenter calls per workload", sum(run.vcenter.values()), "calls"),
        ]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.wave", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--name", default=DEFAULT_NAME, help="the lab instance (default: %(default)s)")
    parser.add_argument("--count", type=int, default=wave.COUNT, help="workloads (default: %(default)s)")
    options = parser.parse_args(arguments)
    instance = Instance(options.name)
    started = not any(proc.alive() for proc in running_procs(instance))
    say(f"wave: {options.count} small workloads")
    if started:
        parts.up(instance)
    try:
        wave.seed(instance, options.count)
        return run(instance, options.count)
    finally:
        if started:
            parts.down(instance)
        else:
            parts.restore(instance)


def run(instance: Instance, count: int) -> int:
    """Measure on a lab that is seeded; 0 when all have moved and nothing is left."""
    work = LAB / "bench-wave"
    shutil.rmtree(work, ignore_errors=True)
    operator = Operator(instance, install(work / "collections", work), work / "acme")
    operator.assess().ok()
    operator.edit(_as_measured)
    before = look(instance)
    load = os.getloadavg()[0]
    cost = measured(operator)
    say(f"  moved in {cost.played.seconds:.0f} s, {cost.cpu:.0f} CPU s")
    cost.played.ok()
    left = left_behind(before, look(instance))
    again = measured(operator)
    again.played.ok()
    if left or again.played.changed or len(cost.played.recap) != count:
        say(f"  left behind: {left}; second run changed {again.played.changed}; {len(cost.played.recap)} moved")
        return 1
    conditions = {
        "workloads": count,
        "disk_gib": 1,
        "written_mib_per_disk": 2 * wave.PIECE * wave.PIECES >> 20,
        "forks": FORKS,
        "workloads_at_once": AT_ONCE,
        "disks_per_reader": DISKS,
        "guest": "not adapted",
        "load_at_start": round(load, 2),
        "wall_s": round(cost.played.seconds, 1),
        "cpu_s": round(cost.cpu, 1),
        "openstack_calls": dict(cost.openstack),
        "vcenter_calls": dict(cost.vcenter),
        "cpu": "ansible-playbook, its modules and the copy jobs (orphans taken in by the measuring process); "
        "the lab's services are not in it",
    }
    write_result("wave", conditions, rows(cost, again, count))
    return 0


def _as_measured(plan: dict[str, Any]) -> None:
    plan["limits"] = {"workloads_at_once": AT_ONCE, "disks_per_reader": DISKS, "bandwidth_mib_s": 0}
    for workload in plan["workloads"].values():
        if workload["move"] == "cold":
            workload["guest"]["adapt"] = "none"


if __name__ == "__main__":
    sys.exit(main())
