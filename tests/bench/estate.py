# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it takes to read a tenant: ours against one call an object, and against the modules of openstack.cloud.

Two tenants in the lab's real services (tests.lab.openstack.bulk): a big one of 1,000 servers, 2,000 volumes, 2,000
ports and 300 groups with 3,000 rules, and a small one of 30 servers, 20 networks and 21 groups with 204 rules.

- One call an object is how os-migrate reads: each module lists, then shows its object by id. Here all of it is one
  process with one log-in (readers.py); os-migrate starts a module for each object, which costs a second each.
- openstack.cloud: a playbook that runs the collection's `*_info` modules one after the other, for what both can read.
  The collection comes out of the package `ansible` on PyPI.

Calls are counted by the lab's access logs, log-ins included, for all alike. Memory is that of the largest process.
The lab's services run on the same machine, and most of the wall time is theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench import common
from tests.bench.common import CACHE, CHECKOUT, LAB, Sample, row, say, write_result
from tests.lab import hypervisor, openstack, parts
from tests.lab.openstack import bulk
from tests.lab.operator import BIN, COLLECTION, TARGET, clean_env, exports, install
from tests.lab.paths import DEFAULT_NAME, Instance, running_procs

PEER_PACKAGE = "ansible==12.3.0"
PEER_SDK = "openstacksdk==4.7.2"
"""openstack.cloud 2.5.0 does not start with newer ones (they have no `openstack.version`)."""
PEER_MODULES = (
    "server_info",
    "volume_info",
    "volume_snapshot_info",
    "image_info",
    "port_info",
    "networks_info",
    "subnets_info",
    "routers_info",
    "security_group_info",
    "security_group_rule_info",
    "floating_ip_info",
    "keypair_info",
    "compute_flavor_info",
)
MIB = 1 << 20


@dataclass(frozen=True)
class Cost:
    """A run: what its process took, and how many calls it made to the cloud."""

    sample: Sample
    calls: int
    writes: int


class Bench:
    """The two tenants, the installed collection, and how each contender is run."""

    def __init__(self, instance: Instance, work: Path) -> None:
        self.instance = instance
        self.work = work
        shutil.rmtree(work, ignore_errors=True)
        self.collections = install(work / "collections", work)
        self.peer = peer_collection()
        shell = exports(instance.dir / "env.sh")
        self.env = clean_env(self.collections, work / "home", shell)

    def _counted(self, words: Sequence[str | Path], env: Mapping[str, str]) -> Cost:
        since = time.time()
        output = self.work / "output.txt"
        try:
            sample = common.run(words, env, str(output))
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{output.read_text(errors='replace')[-3000:]}") from error
        made = openstack.calls(self.instance, since)
        return Cost(sample, len(made.all), len(made.writes))

    def read(self, cloud: str) -> Cost:
        """Our reading alone, in a process of its own."""
        env = {**self.env, "PYTHONPATH": str(self.collections)}
        return self._counted([common.python(), CHECKOUT / "tests/bench/readers.py", "ours", cloud], env)

    def each(self, cloud: str) -> Cost:
        """One call an object."""
        return self._counted([common.python(), CHECKOUT / "tests/bench/readers.py", "each", cloud], self.env)

    def info_modules(self, cloud: str) -> Cost:
        """The modules of openstack.cloud, one after the other."""
        tasks = [{f"openstack.cloud.{name}": {"cloud": cloud}, "register": "found"} for name in PEER_MODULES]
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
        playbook = self.work / f"info-{cloud}.json"
        playbook.write_text(json.dumps([play]))
        env = {
            **self.env,
            "ANSIBLE_COLLECTIONS_PATH": str(self.peer),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "PYTHONPATH": str(self.peer / "python"),
        }
        return self._counted([BIN / "ansible-playbook", playbook], env)

    def assess(self, cloud: str, again: bool = False) -> Cost:
        """The playbook assess, from the command to the files; into an empty folder unless again."""
        folder = self.work / cloud
        if not again:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(exist_ok=True)
        extra = {"assess_cloud": cloud, "assess_target": TARGET, "assess_dir": str(folder)}
        words = [BIN / "ansible-playbook", f"{COLLECTION}.assess", "-e", json.dumps(extra)]
        return self._counted(words, self.env)


def peer_collection() -> Path:
    """A folder for ANSIBLE_COLLECTIONS_PATH with openstack.cloud alone; fetched when it is not there.

    The SDK that it works with is in its folder `python`.
    """
    folder = CACHE / f"{PEER_PACKAGE}-{PEER_SDK}".replace("==", "-")
    if folder.is_dir():
        return folder
    fetched = CACHE / "fetched"
    fetched.mkdir(parents=True, exist_ok=True)
    fetch = [common.python(), "-m", "pip", "download", "--quiet", "--no-deps", "--dest", fetched, PEER_PACKAGE]
    subprocess.run(fetch, check=True)
    (wheel,) = fetched.glob("ansible-*.whl")
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        wanted = [name for name in archive.namelist() if name.startswith("ansible_collections/openstack/cloud/")]
        archive.extractall(part, wanted)
    library = [common.python(), "-m", "pip", "install", "--quiet", "--target", part / "python", PEER_SDK]
    subprocess.run(library, check=True)
    part.rename(folder)
    shutil.rmtree(fetched)
    return folder


def peer_version(folder: Path) -> str:
    manifest = json.loads((folder / "ansible_collections/openstack/cloud/MANIFEST.json").read_text())
    return str(manifest["collection_info"]["version"])


def compared(
    label: str, peer_label: str, ours: Callable[[], Cost], peer: Callable[[], Cost], pairs: int
) -> list[dict[str, Any]]:
    """Rows of wall time, calls and memory from pairs of runs."""
    costs: tuple[list[Cost], list[Cost]] = ([], [])

    def kept(run: Callable[[], Cost], side: int) -> Callable[[], Sample]:
        def measure() -> Sample:
            costs[side].append(run())
            return costs[side][-1].sample

        return measure

    common.paired(kept(ours, 0), kept(peer, 1), pairs, f"{label}, {peer_label}:")
    both = list(zip(*costs, strict=True))
    what = f"{label}, {{}}, peer: {peer_label}"
    return [
        row(what.format("wall time"), [(a.sample.wall, b.sample.wall) for a, b in both], "s"),
        row(what.format("CPU of the client"), [(a.sample.cpu, b.sample.cpu) for a, b in both], "CPU s"),
        row(what.format("API calls"), [(a.calls, b.calls) for a, b in both], "calls"),
        row(what.format("peak memory"), [(a.sample.rss / MIB, b.sample.rss / MIB) for a, b in both], "MiB"),
    ]


def alone(label: str, costs: Sequence[Cost]) -> list[dict[str, Any]]:
    """Rows of what has no peer here; the median of the runs."""

    def middle(values: Sequence[float]) -> float:
        return round(sorted(values)[len(values) // 2], 3)

    def one(what: str, values: Sequence[float], unit: str) -> dict[str, Any]:
        return {"what": f"{label}, {what}", "ours": middle(values), "peer": None, "unit": unit, "ratio": None}

    say(f"  {label}: " + ", ".join(f"{cost.sample.wall:.2f} s" for cost in costs))
    return [
        one("wall time", [cost.sample.wall for cost in costs], "s"),
        one("CPU", [cost.sample.cpu for cost in costs], "CPU s"),
        one("API calls", [cost.calls for cost in costs], "calls"),
        one("peak memory", [cost.sample.rss / MIB for cost in costs], "MiB"),
    ]


def bench(instance: Instance, pairs: int, big_pairs: int) -> int:
    """Measure on a lab that has both tenants; 0 when nothing was written to the cloud."""
    load = os.getloadavg()[0]
    this = Bench(instance, LAB / "bench-estate")
    big, small = bulk.BIG, bulk.SMALL
    one_call, modules = "one call an object", f"openstack.cloud {peer_version(this.peer)}"
    for cloud in (small.name, big.name):  # what the services load at first, and what Python compiles
        this.read(cloud)
    rows = []
    for shape, count in ((small, pairs), (big, big_pairs)):
        label = f"{shape.servers} servers: reading"
        ours = partial(this.read, shape.name)
        rows += compared(label, one_call, ours, partial(this.each, shape.name), count)
        rows += compared(label, modules, ours, partial(this.info_modules, shape.name), count)
    writes = 0
    for shape, count in ((small, pairs), (big, big_pairs)):
        runs = [this.assess(shape.name) for _number in range(count)]
        second = [this.assess(shape.name, again=True) for _number in range(count)]
        rows += alone(f"{shape.servers} servers: assess", runs)
        rows += alone(f"{shape.servers} servers: assess again", second)
        writes += sum(cost.writes for cost in runs + second)
    conditions = {
        "small": describe(small),
        "big": describe(big),
        "pairs_small": pairs,
        "pairs_big": big_pairs,
        "openstack.cloud": peer_version(this.peer),
        "ansible-core": common.version_of([str(BIN / "ansible-playbook"), "--version"]),
        "openstacksdk": {"ours": version("openstacksdk"), "openstack.cloud": PEER_SDK.partition("==")[2]},
        "write_calls_of_assess": writes,
        "load_at_start": round(load, 2),
        "services": "the lab's OpenStack on the same machine",
    }
    write_result("estate", conditions, rows)
    return 1 if writes else 0


def describe(shape: bulk.Shape) -> dict[str, int]:
    """What a tenant holds, the default group and the external network left out."""
    return {
        "servers": shape.servers,
        "volumes": shape.servers * shape.volumes,
        "ports": shape.servers * shape.ports,
        "networks": shape.networks,
        "groups": shape.groups,
        "rules": shape.groups * bulk.RULES,
        "snapshots": shape.snapshots,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.estate", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--name", default=DEFAULT_NAME, help="the lab instance (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=3, help="pairs on the small tenant (default: %(default)s)")
    parser.add_argument("--big-pairs", type=int, default=1, help="pairs on the big tenant (default: %(default)s)")
    options = parser.parse_args(arguments)
    instance = Instance(options.name)
    started = not any(proc.alive() for proc in running_procs(instance))
    say("estate: a tenant is read")
    if started:
        parts.up(instance)
    try:
        hypervisor.down(instance)  # the guests of the other tenants would take the processors
        bulk.seed(instance)
        return bench(instance, options.pairs, options.big_pairs)
    finally:
        if started:
            parts.down(instance)
        else:
            parts.restore(instance)
            hypervisor.up(instance)


if __name__ == "__main__":
    sys.exit(main())
