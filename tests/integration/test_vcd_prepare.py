# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`prepare` killed anywhere, and against a Cloud Director that fails or that others work in: on an edge with 200 rules
of others, which stay as they are and where they are, throughout. It ends as a run that nobody disturbs.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import network as acts
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Conflict
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import client, objects
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Pace
from tests.installed import Alone
from tests.integration.test_vcd_network import Cloud, serving
from tests.lab.paths import wait_for
from tests.lab.vcd import seed
from tests.lab.vcd.core import Row
from tests.unit.plugins.module_utils.acts import network_tenant as tenant

WRITE = "^(POST|PUT|DELETE) /cloudapi/1.0.0/(?!sessions)"
MOMENTS = range(10)
SAMPLE = random.Random(os.environ.get("CLOUDEXIT_SEED", "2026")).sample(MOMENTS, 3)


@contextmanager
def shared_edge(folder: Path) -> Iterator[Cloud]:
    """An edge that others use too, and a plan whose rules are to stand before theirs."""
    with serving(folder) as found:
        found.control.foreign(tenant.EDGE, firewall=200, nat=20)
        found.plan(rules="first")
        assert [len(part) for part in found.theirs()[0]] == [200, 20]
        yield found


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with shared_edge(tmp_path) as found:
        yield found


def row(cloud: Cloud, kind: str, name: str) -> Row:
    """A row of the server, to be looked at, or to be edited behind everybody's back."""
    found: Row = next(one for one in cloud.server.cloud.table(kind).values() if one["name"] == name)
    return found


def state(cloud: Cloud) -> dict[str, list[str]]:
    """All that is ours, in words that are the same on every server; what is left over or twice there would show."""
    found: dict[str, list[str]] = {}
    for kind in ("network", "firewallGroup", "applicationPortProfile"):
        rows = [one for one in cloud.control.table(kind).values() if not str(one["name"]).startswith("theirs")]
        found[kind] = sorted(plain(one) for one in rows)
    edge, group = row(cloud, "gateway", tenant.EDGE), row(cloud, "vdcGroup", seed.GROUP)
    lists = {"edge rules": edge["firewall"], "translations": edge["nat"], "rules": group["dfw_rules"] or []}
    for name, rules in lists.items():
        found[name] = [plain(one) for one in rules if not one["name"].startswith("theirs")]
    return found


PLAIN = ("actionValue", "direction", "ipProtocol", "type", "externalAddresses", "internalAddresses", "ipAddresses")
REFERENCES = ("sourceFirewallGroups", "destinationFirewallGroups", "applicationPortProfiles")


def plain(one: Row) -> str:
    """An object or rule without what is another one on each server: ids, versions, and digests over ids."""
    values = [objects.unstamped(one["name"]), objects.unstamped(one.get("description"))]
    values += [f"{key} {one[key]}" for key in PLAIN if one.get(key)]
    values += [f"{key} {sorted(other['name'] for other in one[key])}" for key in REFERENCES if one.get(key)]
    return ", ".join(values)


@dataclass(frozen=True)
class Undisturbed:
    """What a run that nobody disturbs ends in, and how many of its calls change something."""

    state: dict[str, list[str]]
    writes: int


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    with shared_edge(tmp_path_factory.mktemp("undisturbed")) as cloud:
        theirs = cloud.theirs()
        with cloud.connect() as session:
            assert acts.prepare(session, cloud.design()).verdict.equal
        assert cloud.theirs() == theirs
        assert len(written(cloud)) >= len(MOMENTS)
        return Undisturbed(state(cloud), len(written(cloud)))


def written(cloud: Cloud) -> list[str]:
    """The calls to the newer interface that changed something."""
    return [one for one in cloud.writes() if re.match(WRITE, one)]


def ends_so(cloud: Cloud, session: client.Session, wanted: Undisturbed) -> None:
    """It is as after a run that nobody disturbed, nothing is left to do, and nothing is written for that."""
    assert state(cloud) == wanted.state
    cloud.control.forget()
    assert not acts.prepare(session, cloud.design()).changes
    assert acts.verify(session, cloud.design()).verdict.equal
    assert cloud.writes() == []


class Gate:
    """At the server: holds the call with this number (from 0) of those that change something, until it is opened."""

    def __init__(self, cloud: Cloud, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = number
        self.seen = itertools.count()
        self.reached, self.opened = threading.Event(), threading.Event()
        self.plain = cloud.server.cloud.fault
        monkeypatch.setattr(cloud.server.cloud, "fault", self.fault)

    def fault(self, name: str, subject: str = "", count: bool = True) -> Row | None:
        """In the place of the server's own, which it asks once for each call whether to stall."""
        if name == "stall" and re.match(WRITE, subject) and next(self.seen) == self.number:
            self.reached.set()
            self.opened.wait(120)
        return self.plain(name, subject, count)


@pytest.mark.parametrize(
    "moment", [pytest.param(one, marks=() if one in SAMPLE else pytest.mark.soak) for one in MOMENTS]
)
def test_killed_in_the_middle_and_run_again(
    cloud: Cloud,
    undisturbed: Undisturbed,
    collections_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: int,
) -> None:
    """SIGKILL to all of it while one of its calls is at the server, which carries it out afterwards."""
    theirs = cloud.theirs()
    number = moment * undisturbed.writes // len(MOMENTS)
    target = {"url": cloud.url, "username": seed.USER, "password": seed.PASSWORD, "ca_cert": cloud.ca}
    operator = Alone(collections_path, tmp_path)
    arguments = ("prepare", "-i", "acme.plan.yml")
    gate = Gate(cloud, number, monkeypatch)
    running = operator.start(*arguments, extra={"prepare_target": target})
    try:
        wait_for(lambda: gate.reached.is_set() or not running.alive(), 120, f"write {number}", every=0.02)
        assert running.alive(), "".join(running.lines)
    finally:
        running.kill()
        gate.opened.set()
    wait_for(lambda: len(written(cloud)) > number, 30, "the call that was held")
    cloud.control.settle()
    assert cloud.theirs() == theirs

    operator.run(*arguments, extra={"prepare_target": target}).ok()
    assert cloud.theirs() == theirs
    with cloud.connect() as session:
        ends_so(cloud, session, undisturbed)


RULES = "PUT /cloudapi/.*/rules"
FAULTS: dict[str, dict[str, Any]] = {
    "everything is busy again and again": {"busy": {"match": "gateway|vdcGroup|network|firewallGroup", "times": 4}},
    "409 for the rules": {"http": {"match": RULES, "status": 409, "minor": "CONFLICT", "times": 2}},
    "409 for the translations": {"http": {"match": "POST .*nat/rules", "status": 409, "minor": "CONFLICT", "times": 1}},
    "503 for the rules": {"http": {"match": RULES, "status": 503, "retry_after": 1, "times": 2}},
    "500 for the rules": {"http": {"match": RULES, "status": 500, "times": 1}},
    "the connection is cut at the rules": {"cut": {"match": RULES, "times": 2}},
    "the connection is cut at a group": {"cut": {"match": "POST .*firewallGroups", "skip": 2, "times": 1}},
    "the connection is cut at a translation": {"cut": {"match": "POST .*nat/rules", "skip": 1, "times": 1}},
    "the session ends": {"expire": {"match": WRITE, "skip": 3, "times": 2}},
    "a task fails": {"task_error": {"match": "(?i)firewall|nat|network", "message": "No answer of NSX.", "times": 1}},
    "what is read is no JSON": {"hostile": {"match": "GET .*/firewall/rules", "how": "bomb", "skip": 1, "times": 1}},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_server_does_to_it(cloud: Cloud, undisturbed: Undisturbed, fault: str) -> None:
    theirs = cloud.theirs()
    cloud.control.faults(**FAULTS[fault])
    with cloud.connect() as session:
        session.pace = session.wire.pace = Pace(sleep=lambda seconds: time.sleep(min(seconds, 0.1)))
        for dummy in range(3):
            try:
                acts.prepare(session, cloud.design())
                break
            except CloudExitError as error:
                assert error.what.startswith("cannot ") and error.cause and error.hint, str(error)
                cloud.control.settle()
                assert cloud.theirs() == theirs
        used = [one for planted in cloud.server.cloud.faults.values() for one in planted]
        assert all(one["left"] == 0 for one in used), "the fault never happened: the test shows nothing"
        cloud.control.faults()
        assert cloud.theirs() == theirs
        ends_so(cloud, session, undisturbed)


class Busybody:
    """Somebody who edits at the worst moment: after we read the list of rules, and before we write it."""

    def __init__(self, cloud: Cloud, session: client.Session, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cloud, self.session = cloud, session
        self.times = 1
        self.plain = session.call
        monkeypatch.setattr(session, "call", self.call)

    def call(self, method: str, path: str, what: str, **more: Any) -> Any:
        if method == "PUT" and path.endswith("/firewall/rules") and self.times:
            self.times -= 1
            with self.cloud.server.cloud.lock:
                self.edit(row(self.cloud, "gateway", tenant.EDGE)["firewall"])
        return self.plain(method, path, what, **more)

    def edit(self, rules: list[Row]) -> None:
        raise NotImplementedError

    @staticmethod
    def close(rule: Row) -> None:
        """As the server does it for an edit in the portal."""
        rule["actionValue"] = rule["action"] = "DROP"
        rule["version"] = {"version": rule["version"]["version"] + 1}


def test_a_rule_of_others_is_edited_at_the_same_moment(
    cloud: Cloud, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edit is kept: what we wrote is refused by the server, and written again on what is there then."""

    class Editor(Busybody):
        def edit(self, rules: list[Row]) -> None:
            self.close(next(one for one in rules if one["name"] == "theirs 42"))
            rules.remove(next(one for one in rules if one["name"] == "theirs 77"))

    (before, nat), groups = cloud.theirs()
    with cloud.connect() as session:
        editor = Editor(cloud, session, monkeypatch)
        acts.prepare(session, cloud.design())
        assert editor.times == 0
        (after, nat_after), groups_after = cloud.theirs()
        assert [one["name"] for one in after] == [one["name"] for one in before if one["name"] != "theirs 77"]
        assert [one["name"] for one in after if one not in before] == ["theirs 42"]
        assert (nat_after, groups_after) == (nat, groups)
        ends_so(cloud, session, undisturbed)


def test_a_rule_of_ours_is_edited_at_the_same_moment(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is a conflict, told and not written over, like one that was edited long before."""

    class Editor(Busybody):
        def edit(self, rules: list[Row]) -> None:
            self.close(next(one for one in rules if one["name"].startswith("cloudexit-acme-edge-in-workloads")))

    with cloud.connect() as session:
        acts.prepare(session, cloud.design())
        theirs = cloud.theirs()
        rules = row(cloud, "gateway", tenant.EDGE)["firewall"]
        rules.remove(next(one for one in rules if one["name"].startswith("cloudexit-acme-edge-out")))
        editor = Editor(cloud, session, monkeypatch)
        for dummy in range(2):
            with pytest.raises(Conflict, match=r"cloudexit-acme-edge-in-workloads was edited by somebody") as told:
                acts.prepare(session, cloud.design())
            assert "Take the edit over into the plan" in told.value.hint
        assert editor.times == 0 and cloud.theirs() == theirs
        edited = next(
            one
            for one in row(cloud, "gateway", tenant.EDGE)["firewall"]
            if one["name"].startswith("cloudexit-acme-edge-in-workloads")
        )
        assert edited["actionValue"] == "DROP"
