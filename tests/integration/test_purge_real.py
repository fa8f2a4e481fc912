# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random decommissions of small tenants at the real services: killed anywhere, and with others at work meanwhile.

Whatever happens: nothing outside of the plan is deleted, no call that changes something is made without an intent in
the ledger just before it, a run that was killed is completed by the next one, and undo brings the exact state back.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import decommission
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import SourceAuth, connect
from tests.conftest import SOURCE_TREE
from tests.installed import Lab
from tests.lab import openstack
from tests.lab import retire as tenants
from tests.lab.openstack import database
from tests.lab.openstack.config import REGION
from tests.lab.paths import wait_for
from tests.retiring import ERASED, Desk

STORIES = 50
SAMPLE = (2, 9)
"""Seeds of the stories of a normal run."""
READS = ("/auth/tokens", "/securitytokens", "/list-keys", "/describe-key")
"""What is asked for with POST and changes nothing: log-ins, and lists of the key service."""
WATCHER = "ansible_collections.cloudexit.flexible_engine.plugins.module_utils.watch"
TABLES = {
    "servers": ("nova.instances", "uuid", "project_id", "deleted = 0"),
    "volumes": ("cinder.volumes", "id", "project_id", "deleted = 0"),
    "snapshots": ("cinder.snapshots", "id", "project_id", "deleted = 0"),
    "images": ("glance.images", "id", "owner", "deleted = 0"),
    "networks": ("neutron.networks", "id", "project_id", "1"),
    "subnets": ("neutron.subnets", "id", "project_id", "1"),
    "routers": ("neutron.routers", "id", "project_id", "1"),
    "security_groups": ("neutron.securitygroups", "id", "project_id", "1"),
    "floating_ips": ("neutron.floatingips", "id", "project_id", "1"),
    "ports": ("neutron.ports", "id", "project_id", "device_owner NOT LIKE 'network:%'"),
}
"""Where the services keep what they have: table, columns of id and project, which rows count."""

Write = Callable[[int, str, str], None]
"""Told of each call that changes something, before it is made: its number, method, address."""


def existing(lab: Lab) -> set[str]:
    """All objects of all projects (kind/id), by the databases of the services themselves."""
    parts = [
        f"SELECT CONCAT('{kind}/', {ident}) FROM {table} WHERE {where}"
        for kind, (table, ident, _owner, where) in TABLES.items()
    ]
    return {str(row[0]) for row in database.sql(lab.instance, " UNION ALL ".join(parts))}


def changes(before: Any, after: Any) -> list[str]:
    """The lines of two estates that differ."""
    lines = difflib.unified_diff(*(json.dumps(one, indent=1).splitlines() for one in (before, after)), n=0)
    return [line for line in lines if line[0] in "+-"]


class Killed(Exception):
    """A run was killed."""


class Story:
    """One tenant, its papers, and runs of acts in processes of their own."""

    def __init__(self, lab: Lab, folder: Path, seed: int, parts: Sequence[str] = ()) -> None:
        self.lab = lab
        self.chance = random.Random(seed)
        self.tenant = tenants.few(lab.instance, f"story-{seed}-{time.time_ns() % 10**9}", self.chance, parts)
        self.desk = Desk(folder, self.tenant.name, self.tenant.project_id)
        self.writes = folder / "writes.tsv"
        self.writes.touch()
        decided = {kind: dict.fromkeys(idents, ERASED) for kind, idents in self.tenant.ids.items()}
        limits = {"canary": 1, "then_percent": 20.0, "objects_per_run": 100, "objects_per_day": 1000}
        self.desk.write(objects=decided, limits=limits, protected=self.protected())
        self.auth = {user: self.tenant.auth(user) for user in tenants.USERS}

    def protected(self) -> dict[str, str]:
        """One object that must stay, or none."""
        keys = [f"{kind}/{ident}" for kind, idents in self.tenant.ids.items() for ident in idents]
        return {self.chance.choice(sorted(keys)): "it stays"} if self.chance.random() < 0.4 else {}

    def source(self, user: str) -> decommission.Source:
        cloud = connect(SourceAuth(auth=self.auth[user], region_name=REGION))
        return decommission.Source(cloud, decommission.papers(str(self.desk.policy_file), str(self.desk.evidence)))

    def estate(self) -> estates.Estate:
        with connect(SourceAuth(auth=self.auth["operator"], region_name=REGION)) as cloud:
            return reading.read(cloud).estate

    def plan(self) -> list[str]:
        """Make the plan and have it signed; keys of what goes."""
        self.desk.evidence.mkdir(exist_ok=True)
        made = decommission.draft(self.source("operator"), str(self.desk.path))
        self.desk.path.write_text(made.text)
        self.desk.sign()
        return [item.ref.key for item in made.plan.items]

    def run(self, act: str, write: Write | None = None, fatal: int = 0, after: bool = False) -> dict[str, Any]:
        """An act in a process of its own: what it says. fatal: number of the call (reads too) that kills it."""
        told = self.desk.folder / "result.json"
        told.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            try:
                self._child(act, told, write, fatal, after)
            except BaseException:
                told.write_text(json.dumps({"calls": 0, "objects": [], "stopped": traceback.format_exc()}))
            finally:
                os._exit(0)
        _pid, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            raise Killed
        found: dict[str, Any] = json.loads(told.read_text())
        return found

    def _child(self, act: str, told: Path, write: Write | None, fatal: int, after: bool) -> None:
        from keystoneauth1.session import Session

        made, count = Session.request, [0, 0]

        @functools.wraps(made)
        def request(session: Any, url: str, method: str, *arguments: Any, **options: Any) -> Any:
            count[0] += 1
            if count[0] == fatal and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            if method not in ("GET", "HEAD") and not url.partition("?")[0].endswith(READS):
                count[1] += 1
                self._noted(method, url)
                if write is not None:
                    write(count[1], method, url)
            answer = made(session, url, method, *arguments, **options)
            if count[0] == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        Session.request = request
        source = self.source("purge")
        result = decommission.run(act, source, str(self.desk.path), sleep=lambda seconds: time.sleep(seconds / 10))
        about = {"calls": result.calls, "objects": result.objects, "stopped": str(result.stopped or "")}
        told.write_text(json.dumps(about))

    def _noted(self, method: str, url: str) -> None:
        """Note a call that changes something, and whether the ledger intends it at this moment."""
        ledger = self.desk.evidence / decommission.LEDGER
        intended = False
        if ledger.exists():
            last = json.loads(ledger.read_bytes().splitlines()[-1])
            ident = str(last["ids"].get("object", "/")).partition("/")[2]
            intended = str(last["act"]).endswith("_intent") and ident in urllib.parse.unquote(url)
        with self.writes.open("a") as stream:
            stream.write(f"{intended}\t{method}\t{url}\n")
            stream.flush()

    def through(self, act: str, kills: int) -> dict[str, Any]:
        """Run it until it comes to its end, killed at random calls at first."""
        for _number in range(kills):
            try:
                return self.run(act, fatal=self.chance.randrange(5, 250), after=self.chance.random() < 0.5)
            except Killed:
                continue
        return self.run(act)

    def purged(self, kills: int) -> dict[str, Any]:
        """Purge to the end, keys in a run of their own."""
        self.through("purge", kills)
        return self.run("purge")

    @contextlib.contextmanager
    def watcher(self) -> Iterator[subprocess.Popen[str]]:
        """The watcher, as the user who can only read, once it has looked for the first time."""
        clouds = self.desk.folder / "clouds.yaml"
        clouds.write_text(yaml.safe_dump({"clouds": {"reader": {"auth": self.auth["reader"], "region_name": REGION}}}))
        files = ["--plan", self.desk.path, "--ledger", self.desk.evidence / decommission.LEDGER]
        more = ["--stop-file", self.desk.evidence / "STOP", "--cloud", "reader", "--interval", "0.2"]
        env = {**os.environ, "PYTHONPATH": str(SOURCE_TREE), "OS_CLIENT_CONFIG_FILE": str(clouds)}
        command = [sys.executable, "-m", WATCHER, *map(str, (*files, *more))]
        with (
            self.seen.open("w") as stream,
            subprocess.Popen(command, env=env, stdout=stream, stderr=subprocess.STDOUT, text=True) as process,
        ):
            try:
                wait_for(lambda: self.looks() or process.poll() is not None, 120, "the watcher to look", every=0.1)
                yield process
            finally:
                process.kill()

    @property
    def seen(self) -> Path:
        return self.desk.folder / "watcher.txt"

    def looks(self) -> int:
        """How often the watcher has looked."""
        return self.seen.read_text().count("still there")

    def unintended(self) -> list[str]:
        return [line for line in self.writes.read_text().splitlines() if not line.startswith("True")]


def removed(story: Story, ident: str) -> str:
    """Somebody else deletes a port of the plan."""
    story.tenant.api.delete("network", f"/ports/{ident}")
    return f"ports/{ident}"


def renamed(story: Story, ident: str) -> str:
    """Somebody else renames a group of the plan."""
    story.tenant.api.put("network", f"/security-groups/{ident}", {"security_group": {"name": "mine"}})
    return f"security_groups/{ident}"


def used(story: Story, ident: str) -> str:
    """Somebody else puts a port of their own into a network of the plan."""
    made = story.tenant.api.post("network", "/ports", {"port": {"network_id": ident, "name": "new"}})
    return f"ports/{made['port']['id']}"


Fault = Callable[[Story, str], str]
"""What somebody else does to an object of the plan, by its id; gives the key of what it was done to or made."""

FAULTS: tuple[tuple[str, Fault | None], ...] = (
    ("", None),
    ("ports", removed),
    ("security_groups", renamed),
    ("networks", used),
    ("", None),
)
"""What happens in the stories, and the kind that it happens to; nothing where the plan has none of it."""


@pytest.fixture(scope="module")
def neighbour(lab: Lab) -> tenants.Tenant:
    """Another tenant, with objects of the same names."""
    return tenants.few(lab.instance, f"neighbour-{time.time_ns() % 10**9}", random.Random(0))


@pytest.mark.usefixtures("neighbour")
@pytest.mark.parametrize(
    "seed", [pytest.param(one, marks=() if one in SAMPLE else pytest.mark.soak) for one in range(STORIES)]
)
def test_a_random_tenant_is_retired(lab: Lab, tmp_path: Path, seed: int) -> None:
    story = Story(lab, tmp_path / "acme", seed)
    kind, fault = FAULTS[seed % len(FAULTS)]
    kills = story.chance.randrange(3)
    before, state = existing(lab), estates.dump(story.estate())
    since = time.time()
    keys = story.plan()
    assert keys and not set(keys) & set(story.desk.policy["protected"])
    assert openstack.calls(lab.instance, since).writes == []

    if seed % 2:
        assert story.through("quarantine", kills)["stopped"] == ""
        assert story.through("undo", kills)["stopped"] == ""
        assert changes(state, estates.dump(story.estate())) == []
    assert story.through("quarantine", kills)["stopped"] == ""
    assert existing(lab) == before

    idents = [key.partition("/")[2] for key in keys if key.startswith(f"{kind}/")]
    fault = fault if idents else None
    ours = fault(story, idents[0]) if fault is not None else ""
    found = story.purged(kills)
    made = openstack.calls(lab.instance, since).writes
    gone = before - existing(lab)
    assert gone <= set(keys)
    assert story.unintended() == []
    assert len(made) <= len(story.writes.read_text().splitlines()) + (fault is not None)
    if fault is None:
        assert found["stopped"] == ""
        estate = story.estate()
        there = {f"{one}/{obj.id}" for one in estate.counts() for obj in estate.of(one)}
        assert there & set(keys) == set()
        assert set(story.desk.policy["protected"]) - there == set()
        again = story.run("purge")
        assert (again["calls"], again["stopped"]) == (0, "")
    else:
        assert found["stopped"] != ""
        assert (ours in existing(lab)) is (fault is not removed)


def test_the_watcher_lets_a_purge_pass_and_stops_it_when_somebody_else_deletes(lab: Lab, tmp_path: Path) -> None:
    """What the ledger intends is no difference. In the middle of the purge somebody deletes a volume that stays."""
    story = Story(lab, tmp_path / "acme", 0, ("volume", "disk"))
    keeps = story.tenant.ids["volumes"][0]
    story.desk.write(protected={f"volumes/{keeps}": "it stays"})
    keys = story.plan()
    assert story.run("quarantine")["stopped"] == ""
    stop = story.desk.evidence / "STOP"

    def intruder(number: int, _method: str, _url: str) -> None:
        if number == 3:
            before = story.looks()
            wait_for(lambda: story.looks() > before + 1, 120, "the watcher to look", every=0.1)
            assert not stop.exists()
            story.tenant.api.delete("volume", f"/{story.tenant.project_id}/volumes/{keeps}")
            wait_for(stop.exists, 120, "the watcher to stop it", every=0.1)

    with story.watcher() as watcher:
        found = story.run("purge", intruder)
        assert watcher.wait(60) == 1
    assert f"volumes/{keeps} is gone, and is not in the plan" in found["stopped"]
    assert f"volumes/{keeps} is gone" in stop.read_text()

    stop.unlink()
    with story.watcher() as watcher:
        assert story.run("purge")["stopped"] == ""
        assert watcher.wait(60) == 0
    assert not stop.exists() and not existing(lab) & set(keys)
    assert story.unintended() == []
