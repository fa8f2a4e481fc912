# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it takes to delete a tenant: our plan, quarantine and purge, and `openstack project cleanup` on its twin.

Two tenants of the same objects in the lab's real services, of many kinds; no guest of their servers runs. In each, a
volume and a container must stay. Ours runs act by act, each in a process of its own, with caps that take more than one
run; the peer is the command of python-openstackclient, with --auto-approve. Calls are counted by the lab's access logs,
log-ins included. What is left is what was made and is still there when nothing goes any more.

They do not do the same: ours reads and judges each object just before its turn, writes it down and reads until it is
absent; the peer lists, deletes, and looks at nothing afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import common
from tests.bench.common import CACHE, LAB, collection_env, say, write_result
from tests.lab import hypervisor, openstack, parts
from tests.lab import retire as tenants
from tests.lab.openstack.config import REGION
from tests.lab.paths import DEFAULT_NAME, Instance, running_procs

if TYPE_CHECKING:
    from tests.retiring import Desk

PEER_PACKAGE = "python-openstackclient==10.5.0"
SETTLE_S = 10.0
"""Seconds in which nothing must go, so that what is there counts as left."""
UNCOUNTED = "lb_"
"""Parts of balancers: the lab's driver of Octavia does not delete them with their balancer when it is asked to."""
STAYS = ("volumes", "containers")
"""Kinds of which one object must stay."""


@dataclass
class Cost:
    """What one step took. calls: by service."""

    seconds: float
    calls: dict[str, int]
    writes: int
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.calls.values())


def act(name: str, folder: str, auth: str) -> dict[str, Any]:
    """One of ours, in this process: what it says of itself."""
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import decommission
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import SourceAuth, connect

    with connect(SourceAuth(auth=json.loads(auth), region_name=REGION)) as cloud:
        (policy,) = Path(folder).glob("*.retirement.yml")
        plan = policy.with_suffix(".json")
        source = decommission.Source(cloud, decommission.papers(str(policy), str(Path(folder) / "evidence")))
        if name == "plan":
            made = decommission.draft(source, str(plan))
            plan.write_text(made.text)
            return {"objects": len(made.plan.items), "stopped": ""}
        lines: list[Any] = []
        result = decommission.run(name, source, str(plan), on_progress=lines.append)
        last = lines[-1] if lines else None
        return {
            "objects": len(result.objects),
            "waiting": len(result.waiting),
            "calls": result.calls,
            "stopped": str(result.stopped or ""),
            "progress": len(lines),
            "last": f"{last.objects} of {last.of}, {last.per_minute:g} a minute" if last is not None else "",
        }


def there(auth: dict[str, str]) -> set[str]:
    """Keys of all that a tenant has."""
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import SourceAuth, connect

    with connect(SourceAuth(auth=auth, region_name=REGION)) as cloud:
        estate = reading.read(cloud).estate
    return {f"{kind}/{obj.id}" for kind in estate.counts() for obj in estate.of(kind)}


def settled(auth: dict[str, str]) -> set[str]:
    """The same, once nothing goes any more: some services delete long after they said that they would."""
    before: set[str] = set()
    while (found := there(auth)) != before:
        before = found
        time.sleep(SETTLE_S)
    return found


def keys(tenant: tenants.Tenant) -> set[str]:
    """Keys of what was made."""
    return {f"{kind}/{ident}" for kind, idents in tenant.ids.items() for ident in idents}


def kinds(found: set[str]) -> dict[str, int]:
    """How many of each kind."""
    return dict(sorted(Counter(key.partition("/")[0] for key in found).items()))


def stays(tenant: tenants.Tenant) -> set[str]:
    """Keys of what must not go."""
    return {f"{kind}/{tenant.ids[kind][-1]}" for kind in STAYS}


class Bench:
    """The two contenders."""

    def __init__(self, instance: Instance, work: Path) -> None:
        self.instance = instance
        self.work = work
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)

    def _counted(
        self, words: Sequence[str | Path], env: dict[str, str]
    ) -> tuple[Cost, subprocess.CompletedProcess[str]]:
        since, began = time.time(), time.monotonic()
        done = subprocess.run([str(word) for word in words], env=env, capture_output=True, text=True, check=False)
        took = time.monotonic() - began
        calls = openstack.calls(self.instance, since)
        return Cost(took, calls.by_service(), len(calls.writes)), done

    def step(self, name: str, desk: Desk, auth: dict[str, str]) -> Cost:
        """One act of ours. Raises RuntimeError where its process fails."""
        words = [common.python(), "-m", "tests.bench.purge", "--act", name, desk.folder, json.dumps(auth)]
        cost, done = self._counted(words, collection_env())
        if done.returncode:
            raise RuntimeError(f"{name} failed: {done.stderr[-2000:]}")
        cost.told = json.loads(done.stdout)
        say(f"  {name}: {cost.seconds:.1f} s, {cost.total} calls, {cost.writes} of them write; {cost.told}")
        return cost

    def ours(self, tenant: tenants.Tenant) -> dict[str, list[Cost]]:
        """Costs by act."""
        from tests.retiring import ERASED, Desk

        desk = Desk(self.work / "ours", tenant.name, tenant.project_id)
        decided = {kind: dict.fromkeys(idents, ERASED) for kind, idents in tenant.ids.items()}
        count = tenant.count()
        limits = {"canary": 1, "then_percent": 3.0, "objects_per_run": count * 2 // 3, "objects_per_day": count * 2}
        desk.write(objects=decided, limits=limits, protected=dict.fromkeys(sorted(stays(tenant)), "it stays"))
        desk.evidence.mkdir()
        costs = {"plan": [self.step("plan", desk, tenant.auth("operator"))]}
        desk.sign()
        costs["quarantine"] = [self.step("quarantine", desk, tenant.auth("purge"))]
        costs["purge"] = []
        while True:
            cost = self.step("purge", desk, tenant.auth("purge"))
            costs["purge"].append(cost)
            if cost.told["objects"] > limits["objects_per_run"]:
                raise RuntimeError("the cap was not obeyed")
            if not cost.told["calls"]:
                if cost.told["stopped"]:
                    raise RuntimeError(cost.told["stopped"])
                return costs

    def peer(self, tenant: tenants.Tenant) -> tuple[Cost, subprocess.CompletedProcess[str]]:
        """The command on the twin."""
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(client()), "HOME": str(self.work)}
        env |= {f"OS_{name.upper()}": value for name, value in tenant.auth("purge").items()}
        env |= {"OS_REGION_NAME": REGION, "OS_IDENTITY_API_VERSION": "3"}
        words = [
            common.python(),
            "-m",
            "openstackclient.shell",
            "project",
            "cleanup",
            "--auth-project",
            "--auto-approve",
        ]
        cost, done = self._counted(words, env)
        say(f"  openstack project cleanup: {cost.seconds:.1f} s, {cost.total} calls, ended with {done.returncode}")
        (self.work / "cleanup.txt").write_text(done.stdout + done.stderr)
        return cost, done


def client() -> Path:
    """A folder for PYTHONPATH with the peer; fetched when it is not there."""
    folder = CACHE / PEER_PACKAGE.replace("==", "-")
    if not folder.is_dir():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        install = [common.python(), "-m", "pip", "install", "--quiet", "--target", str(part), PEER_PACKAGE]
        subprocess.run(install, check=True)
        part.rename(folder)
    return folder


def row(what: str, ours: float, peer: float | None, unit: str) -> dict[str, Any]:
    ratio = round(peer / ours, 3) if peer is not None and ours else None
    return {"what": what, "ours": round(ours, 3), "peer": peer if peer is None else round(peer, 3), "unit": unit} | {
        "ratio": ratio
    }


def bench(instance: Instance, objects: int) -> int:
    """Measure on a lab that runs; 0 when ours left nothing of its plan and took nothing else."""
    this = Bench(instance, LAB / "bench-purge")
    client()
    names = [f"{side}-{int(time.time())}" for side in ("ours", "peer")]
    made = []
    for name in names:
        with instance.step(f"making the tenant {name}"):
            made.append(tenants.many(instance, name, objects))
    mine, twin = made
    costs = this.ours(mine)
    peer, done = this.peer(twin)
    left = [settled(tenant.auth("operator")) & keys(tenant) for tenant in made]
    lost = [stays(tenant) - found for tenant, found in zip(made, left, strict=True)]
    residue = [
        {key for key in found - stays(tenant) if not key.startswith(UNCOUNTED)}
        for tenant, found in zip(made, left, strict=True)
    ]
    rows = []
    for name, several in costs.items():
        rows.append(row(f"{name}, wall time", sum(cost.seconds for cost in several), None, "s"))
        rows.append(row(f"{name}, API calls", sum(cost.total for cost in several), None, "calls"))
    purges = costs["purge"]
    gone = sum(cost.told["objects"] for cost in purges)
    rows += [
        row("deletion, wall time", sum(cost.seconds for cost in purges), peer.seconds, "s"),
        row("deletion, API calls", sum(cost.total for cost in purges), peer.total, "calls"),
        row("deletion, API calls that write", sum(cost.writes for cost in purges), peer.writes, "calls"),
        row("deletion, API calls for an object", sum(cost.total for cost in purges) / max(gone, 1), None, "calls"),
        row("left although it should go", len(residue[0]), len(residue[1]), "objects"),
        row("gone although it should stay", len(lost[0]), len(lost[1]), "objects"),
    ]
    said = (done.stdout + done.stderr).splitlines()
    conditions = {
        "objects": kinds(keys(mine)),
        "calls_by_service": {
            name: dict(sorted(sum((Counter(cost.calls) for cost in several), Counter()).items()))
            for name, several in costs.items()
        }
        | {"peer": dict(sorted(peer.calls.items()))},
        "runs": {name: [cost.told for cost in several] for name, several in costs.items()},
        "left": {"ours": kinds(residue[0]), "peer": kinds(residue[1])},
        "lost": {"ours": kinds(lost[0]), "peer": kinds(lost[1])},
        "peer": PEER_PACKAGE,
        "peer_exit": done.returncode,
        "peer_complaints": [
            line[:300] for line in said if "annot delete" in line or "rror" in line or "xception" in line
        ][:10],
        "services": "the lab's OpenStack on the same machine",
    }
    write_result("purge", conditions, rows)
    return 1 if residue[0] or lost[0] or costs["plan"][0].writes else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.purge", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--name", default=DEFAULT_NAME, help="the lab instance (default: %(default)s)")
    parser.add_argument("--objects", type=int, default=1000, help="objects of each tenant (default: %(default)s)")
    parser.add_argument("--act", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(LAB / "src"))  # the collection, as Ansible finds it
    if options.act:
        print(json.dumps(act(*options.act)))
        return 0
    instance = Instance(options.name)
    started = not any(proc.alive() for proc in running_procs(instance))
    say("purge: a tenant is deleted")
    if started:
        parts.up(instance)
    try:
        hypervisor.down(instance)  # the guests of the other tenants would take the processors
        parts.restore(instance)
        return bench(instance, options.objects)
    finally:
        if started:
            parts.down(instance)
        else:
            parts.restore(instance)
            hypervisor.up(instance)


if __name__ == "__main__":
    sys.exit(main())
