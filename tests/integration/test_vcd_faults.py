# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault that the lab's Cloud Director can do is in a test. Each ends in success, or in an error that names the
object, the cause and the next step; and nothing is left over.

What the server can do, and the files with its tests (`test_vcd_...` of this folder); those of this file run the whole
pass of a machine, or installed modules:

    busy              faults  engine  prepare
    corrupt_download  faults  engine
    corrupt_upload    faults  engine
    cut               faults  engine  prepare
    cut_download      faults  engine
    cut_upload        faults  engine  target
    expire            faults  engine  prepare
    hostile           faults  engine  prepare
    http              faults  engine  prepare
    job_empty         engine
    job_exists        faults  engine
    job_fail          faults  engine
    rate              faults
    stall             faults
    task_error        faults  engine  target  prepare
    whole_downloads   target

Quotas, names that are taken and sizes that are wrong are no faults but states of the server: here and in engine.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import job, transfer, vcd
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    InvalidInput,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import network, objects, org, query
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Pace
from tests.cloud_director import Director, director
from tests.installed import Playbook
from tests.integration.test_vcd_things import book
from tests.lab.both_sides import come_and_gone
from tests.lab.vcd import seed
from tests.unit.plugins.module_utils.acts.variable import variable

__all__ = ["director"]

HERE = Path(__file__).parent
SERVER = HERE.parent / "lab" / "vcd"
GIB = 1 << 30
PASSING = ("task", "session", "orange_session", "job", "metadata")


def test_every_fault_of_the_server_is_in_a_test() -> None:
    can = {name for file in SERVER.glob("*.py") for name in re.findall(r"\bfault\(\s*\"(\w+)\"", file.read_text())}
    listed = {
        line.split()[0]: line.split()[1:] for line in (__doc__ or "").splitlines() if re.match(r"    \w+  +\w", line)
    }
    assert listed.keys() == can and len(can) > 10
    for name, files in listed.items():
        for file in files:
            text = (HERE / f"test_vcd_{file}.py").read_text().replace(__doc__ or "", "")
            assert re.search(rf"\"{name}\"|\b{name}=", text), f"{file} does not plant {name}"


def held(director: Director) -> dict[str, dict[str, Any]]:
    """What the server holds when none of its tasks is left, and the files of transfers."""
    director.control.settle()
    found = {kind: rows for kind, rows in director.control.tables().items() if kind not in PASSING and rows}
    files = {str(path): 0 for path in (director.folder / "transfer").glob("**/*") if path.is_file()}
    return {**found, "transfer file": files}


def told_well(error: CloudExitError) -> None:
    """It names the object (the machine, the template or catalog on its way, the VDC), the cause and the next step."""
    causes = [str(one) for one in error.problems] if isinstance(error, InvalidInput) else [error.cause]
    assert re.search(rf"\bweb-1\b|\bcloudexit(-[0-9a-f-]+)?\b|{seed.VDC}", error.what), error.what
    assert causes and all(causes) and error.hint, str(error)


# -- the pass of a machine


@dataclass(frozen=True)
class Case:
    """What goes wrong; and what the error says, "" where the pass gets over it by itself.

    state: rows of the server that are changed before: kind, name, values. left: what the pass leaves where it fails,
    beside vApp and catalog.
    """

    faults: Mapping[str, Any] = field(default_factory=dict)
    says: str = ""
    state: tuple[str, str, Mapping[str, Any]] | None = None
    left: Mapping[str, list[str]] = field(default_factory=dict)


PUT = "PUT /transfer/.*vmdk"
KEPT = {"vm": ["+ web-1"]}
PASS: dict[str, Case] = {
    "all is slow": Case({"rate": {"mib_s": 4}, "stall": {"match": "GET /api/query", "stall": 0.5, "times": 2}}),
    "the session ends in the middle of the upload": Case({"expire": {"match": PUT, "times": 1}}),
    "416 for a piece": Case({"http": {"match": PUT, "status": 416, "times": 1}}),
    "429 with Retry-After": Case(
        {"http": {"match": "/action/|/metadata", "status": 429, "retry_after": 1, "times": 3}}
    ),
    "the connection is cut at a call that may be repeated": Case({"cut": {"match": "^(GET /api/|PUT )", "times": 3}}),
    "the connection is cut when the machine is made": Case({"cut": {"match": "recomposeVApp", "times": 1}}),
    "the vApp is busy for some seconds": Case({"busy": {"match": "vapp", "for_seconds": 4}}),
    "the machine is busy again and again": Case({"busy": {"match": "vm web-1", "times": 4}}),
    "the read-back is cut": Case({"cut_download": {"match": "vmdk", "after": 100_000, "times": 2}}),
    "a bit is flipped on the way there": Case(
        {"corrupt_upload": {"match": "vmdk", "offset": 1, "times": 1}}, "the task .* failed"
    ),
    "a bit is flipped on the way back": Case(
        {"corrupt_download": {"match": "vmdk", "offset": 800_000, "times": 3}},
        "read back of web-1 is not what was sent: .* no sound VMDK .* copied anew",
        left=KEPT,
    ),
    "the import fails": Case(
        {"task_error": {"match": "vdcUploadOvfContents", "message": "No space left.", "times": 1}}, "No space left"
    ),
    "entities in an answer": Case(
        {"hostile": {"match": "GET /api/vAppTemplate", "how": "bomb", "times": 1}}, "is not taken"
    ),
    "100 MB in an answer": Case({"hostile": {"match": "GET /api/catalog", "how": "huge", "times": 1}}, "is not taken"),
    "403 for what is uploaded": Case({"http": {"match": PUT, "status": 403}}, "403.*proxy"),
    "the quota of machines is full": Case(says="quota", state=("vdc", seed.VDC, {"vm_quota": 1})),
    "the storage profile is full": Case(says="gold: 0 GiB are free", state=("storageprofile", "gold", {"limit_mb": 8})),
}


@dataclass
class Move:
    """A workload of one disk that goes into the server, where somebody else has a machine already."""

    director: Director
    disk: Path
    workload: Workload

    def run(self, identity: str = "p1") -> dict[str, Any]:
        session = self.director.connect()
        session.pace = session.wire.pace = Pace(sleep=lambda seconds: time.sleep(min(seconds, 0.5)))
        record = job.Record(str(self.director.folder / "state"), job.job_id("acme", "server-1"))
        record.path.mkdir(parents=True, exist_ok=True)
        disk = transfer.PassDisk(0, "volume-a", str(self.disk), GIB)
        work = transfer.Pass(identity, "web-1", [disk], frozen_at="2026-01-01T00:00:00+00:00")
        pass_ = transfer.Runner(work, lambda: vcd.VcdTarget(self.workload, session), record, pause=lambda dummy: None)
        return pass_.run()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disks") / "a"
    with open(path, "wb") as stream:
        stream.write(random.Random(1).randbytes(1 << 20))
        stream.truncate(GIB)
    return path


@pytest.fixture
def move(director: Director, disk: Path) -> Iterator[Move]:
    director.machine("theirs", box="others")
    given = variable(target={"type": "vcd", "org": seed.ORG, "vdc": seed.VDC})
    given["disks"] = [{**given["disks"][0], "datastore": None}]
    with director.connect() as session:
        wanted = network.Network("VM Network", "10.20.0.1", 24, org.vdc(session, seed.VDC).urn).wanted()
        objects.create(session, "orgVdcNetworks", {"name": "VM Network", **wanted.body}, "cannot make the network")
    yield Move(director, disk, Workload.of(given))


@pytest.mark.parametrize("what", PASS)
def test_a_pass(move: Move, what: str) -> None:
    case, control = PASS[what], move.director.control
    before = held(move.director)
    undo: list[tuple[str, str, dict[str, Any]]] = []
    if case.state is not None:
        kind, name, values = case.state
        for ident, row in control.table(kind).items():
            if row["name"] == name:
                undo.append((kind, ident, {key: row[key] for key in values}))
                control.patch(kind, ident, **values)
    control.faults(**case.faults)
    came = {"catalog": ["+ cloudexit"], "vapp": ["+ acme-web"]}
    if not case.says:
        assert move.run()["changed"]
    else:
        with pytest.raises(CloudExitError, match=case.says) as told:
            move.run()
        told_well(told.value)
    planted = [one for ones in control.call("GET", "/faults").values() for one in ones]
    assert all(one.get("left", 0) == 0 for one in planted), "the fault never happened: the test shows nothing"
    control.faults()
    for kind, ident, values in undo:
        control.patch(kind, ident, **values)
    if case.says:
        left = come_and_gone(before, held(move.director))
        assert {**left, **came} == {**came, **case.left} or left == case.left, left
        assert move.run()["disks"][0]["equal"], "and then it goes"
    assert come_and_gone(before, held(move.director)) == {**came, "vm": ["+ web-1"]}
    assert not move.run()["changed"]


# -- installed modules


NAME = "cloudexit.flexible_engine"
GROUP = model.AddressGroup(name="web", addresses=["10.1.0.10"])
MODULES: list[tuple[str, dict[str, Any], str]] = [
    ("vcd_catalog", {"name": "images", "vdc": seed.VDC}, ""),
    ("vcd_catalog", {"name": "taken", "vdc": seed.VDC}, r"cannot make the catalog taken: .*DUPLICATE_NAME.* rename it"),
    ("vcd_vapp", {"name": "box", "vdc": seed.VDC}, ""),
    ("vcd_disk", {"name": "data", "vdc": seed.LONE_VDC, "size_gib": 2000}, r"the disk data: .*QUOTA.*"),
    ("vcd_template", {"name": "one", "catalog": "images", "src": "SRC"}, ""),
    ("vcd_template", {"name": "two", "catalog": "images", "src": "SRC"}, r"the template two: .*NSX is away\..* "),
    ("vcd_ip_set", {"name": "web", "edge": seed.EDGE, "addresses": ["10.1.0.10"]}, ""),
    ("vcd_firewall", {"firewall": "edge", "edge": seed.EDGE, "rules": [{"name": "r", "sources": ["web"]}]}, ""),
    ("cloudavenue_public_ip", {"edge": seed.EDGE, "count": 1, "core_api": "URL"}, ""),
]
"""What is made while FAULTS are planted: module, options, what its error says ("" where it gets over them)."""
FAULTS: dict[str, Any] = {
    "http": [
        {"match": "POST /api/admin/org/.*catalogs", "skip": 1, "status": 400, "minor": "DUPLICATE_NAME", "times": 1},
        {"match": "POST /infra", "status": 429, "retry_after": 1, "times": 1},
        {"match": "GET /cloudapi/.*/firewall/rules", "status": 503, "retry_after": 1, "times": 1},
    ],
    "busy": [{"match": "vapp box", "for_seconds": 60, "times": 2}, {"match": "gateway", "times": 2}],
    "expire": {"match": "PUT /transfer/.*vmdk", "times": 1},
    "cut_upload": {"match": "vmdk", "after": 1000, "times": 1},
    "task_error": {"match": "vdcUploadOvfContents", "skip": 1, "message": "NSX is away.", "times": 1},
    "job_exists": {"times": 1},
}


def test_modules(director: Director, playbook: Playbook, tmp_path: Path) -> None:
    descriptor, files = director.package("debian")
    for name, data in {"debian.ovf": descriptor, **files}.items():
        (director.folder / name).write_bytes(data)
    given = {"SRC": str(director.folder / "debian.ovf"), "URL": director.url}
    tasks: list[Mapping[str, Any]] = []
    for number, (module, options, dummy) in enumerate(MODULES):
        filled = {key: given.get(value, value) if isinstance(value, str) else value for key, value in options.items()}
        owner = {} if module.startswith("cloudavenue") else {"tenant": "acme"}
        tasks.append({f"{NAME}.{module}": {**filled, **owner}, "register": f"told_{number}", "ignore_errors": True})
    content = (
        "[{% for n in range(" + str(len(MODULES)) + ") %}{{ lookup('vars', 'told_' ~ n) | to_json }},{% endfor %}0]"
    )
    tasks.append({"ansible.builtin.copy": {"content": content, "dest": str(tmp_path / "told.json"), "mode": "0600"}})
    before = held(director)
    director.control.faults(**FAULTS)
    playbook(str(book(tmp_path, tasks, director))).ok()
    told = json.loads((tmp_path / "told.json").read_text())[:-1]
    for (module, options, says), result in zip(MODULES, told, strict=True):
        assert bool(result.get("failed")) == bool(says), (module, options, result)
        assert not says or re.search(says, result["msg"]), result["msg"]
    planted = [one for ones in director.control.call("GET", "/faults").values() for one in ones]
    assert all(one.get("left", 0) == 0 for one in planted), planted
    assert come_and_gone(before, held(director)) == {
        "catalog": ["+ images"],
        "catalogitem": ["+ one"],
        "vm": ["+ debian"],
        "vapptemplate": ["+ one"],
        "vapp": ["+ box"],
        "firewallGroup": ["+ web"],
        "gateway": [f"~ {seed.EDGE}"],
    }


def test_403_for_an_id_that_is_not_there(director: Director) -> None:
    """The newer interface says so of what is gone as of what is forbidden; the list tells the two apart."""
    unknown = "urn:vcloud:firewallGroup:00000000-0000-4000-8000-000000000000"
    with director.connect() as session:
        owner = network.edge(session, seed.EDGE).owner
        places = {"where": [("_context", owner)], "lists": "firewallGroups/summaries"}
        assert query.one_of(session, "firewallGroups", unknown, "cannot read it", **places) is None
        refused = [one for one in director.control.calls() if unknown in one["path"]]
        assert [one["status"] for one in refused] == [403]
        made = objects.create(session, "firewallGroups", network.ip_set(GROUP, owner).body | {"name": "web"}, "x")
        director.control.faults(http={"match": f"GET .*{made}", "status": 403})
        with pytest.raises(Refused, match=r"cannot read web: .*403.* lacks a right"):
            query.one_of(session, "firewallGroups", made, "cannot read web", **places)


def test_a_job_of_orange_that_fails(director: Director, playbook: Playbook, tmp_path: Path) -> None:
    before = held(director)
    director.control.faults(job_fail={"times": 1})
    options = {"edge": seed.EDGE, "count": 1, "core_api": director.url}
    played = playbook(str(book(tmp_path, [{f"{NAME}.cloudavenue_public_ip": options}], director)))
    assert played.code != 0 and re.search(r"public address.*: .*job .*failed", " ".join(played.output.split()))
    assert come_and_gone(before, held(director)) == {}
