# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole pass into the lab's Cloud Director: two disks go up, a machine is made of them, they are read back and equal.

It has a server of its own in this process.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import (
    job,
    organisation,
    target,
    transfer,
    vcd,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk import vmdk_sample
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pipeline import hash_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import open_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    NotFound,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    client,
    locks,
    network,
    objects,
    org,
    vapp,
)
from tests.lab.vcd import Control, seed
from tests.lab.vcd.make import serve
from tests.unit.plugins.module_utils.acts.variable import variable

GIB = 1 << 30


@dataclass
class Cloud:
    """The server, its own door, and a workload that goes there from two files."""

    url: str
    folder: Path
    control: Control
    workload: Workload
    disks: list[Path]

    def connect(self) -> client.Session:
        ca = str(self.folder / "ca.pem")
        return client.connect(self.url, seed.ORG, username=seed.USER, password=seed.PASSWORD, ca_file=ca)

    def work(self, identity: str = "p1", **options: Any) -> transfer.Pass:
        disks = [
            transfer.PassDisk(index, f"volume-{'ab'[index]}", str(path), GIB) for index, path in enumerate(self.disks)
        ]
        return transfer.Pass(identity, "web-1", disks, frozen_at="2026-01-01T00:00:00+00:00", **options)

    def sampled(self, identity: str) -> transfer.Pass:
        """A pass of which the second disk is only sampled."""
        work = self.work(identity)
        return replace(work, disks=[work.disks[0], replace(work.disks[1], sampled=True)])

    def run(self, work: transfer.Pass | None = None) -> dict[str, Any]:
        record = job.Record(str(self.folder / "state"), job.job_id("acme", "server-1"))
        record.path.mkdir(parents=True, exist_ok=True)
        runner = transfer.Runner(
            work or self.work(), lambda: vcd.VcdTarget(self.workload, self.connect()), record, pause=lambda _s: None
        )
        result = runner.run()
        assert list(record.path.glob("*.part")) == [], "no spool is left"
        return result

    def machines(self) -> list[dict[str, Any]]:
        return self.control.machines()[1]


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    found = []
    for name in "ab":
        path = tmp_path_factory.mktemp("disks") / name
        with open(path, "wb") as stream:
            stream.truncate(GIB)
            for place in (0, 300 << 20, GIB - (1 << 20)):
                stream.seek(place)
                stream.write(random.Random(name + str(place)).randbytes(1 << 20))
        found.append(path)
    return found


@pytest.fixture
def cloud(tmp_path: Path, disks: list[Path]) -> Iterator[Cloud]:
    server = serve(tmp_path / "vcd")
    server.start()
    given = variable(target={"type": "vcd", "org": seed.ORG, "vdc": seed.VDC})
    for disk in given["disks"]:
        disk["datastore"] = None
    found = Cloud(
        server.url, tmp_path / "vcd", Control(server.url, tmp_path / "vcd" / "ca.pem"), Workload.of(given), disks
    )
    with found.connect() as session:
        place = org.vdc(session, seed.VDC)
        wanted = network.Network("VM Network", "10.20.0.1", 24, place.urn).wanted()
        objects.create(session, "orgVdcNetworks", {"name": "VM Network", **wanted.body}, "cannot make the network")
    yield found
    server.stop()


@pytest.mark.parametrize("upload", ["auto", "measured"])
def test_a_pass_makes_a_proven_machine(cloud: Cloud, upload: str) -> None:
    result = cloud.run(cloud.work(upload=upload))
    assert result["upload"] == {"auto": "spooled"}.get(upload, upload)
    assert result["changed"] and all(disk["equal"] for disk in result["disks"])
    (machine,) = cloud.machines()
    assert f"vm-{machine['instance_uuid']}" == result["vm_ref"]
    assert [(disk["controller"], disk["bus"], disk["unit"]) for disk in machine["disks"]] == [
        ("pvscsi", 0, 0),
        ("pvscsi", 0, 1),
    ]
    for disk, source in zip(machine["disks"], cloud.disks, strict=True):
        with open(disk["path"], "rb") as came, open(source, "rb") as sent:
            for place in (0, 100 << 20, 300 << 20, GIB - (1 << 20)):
                came.seek(place), sent.seek(place)
                assert came.read(1 << 20) == sent.read(1 << 20)
    (nic,) = machine["nics"]
    assert (nic["mac"], nic["address"]) == ("fa:16:3e:00:00:01", "10.20.0.11")
    assert machine["extra_config"]["cloudexit.state"] == "verified"
    assert machine["extra_config"]["cloudexit.manifest.1"] == result["disks"][1]["manifest_target"]
    assert cloud.control.table("vapptemplate") == {}, "the template is dropped"
    with cloud.connect() as session:
        found = target.find(cloud.workload, session)
        assert found is not None and found.state == "verified" and found.summary["name"] == "web-1"
        assert target.problems(cloud.workload, session) == []
    assert not cloud.run(cloud.work(upload=upload))["changed"], "it is there already"


def test_a_disk_goes_to_a_storage_profile_of_its_own(cloud: Cloud) -> None:
    given = schema.dump(cloud.workload.data)
    given["disks"][1]["storage_profile"] = "tin"
    workload = Workload.of(given)
    with cloud.connect() as session:
        (problem,) = target.problems(workload, session)
        assert problem.path == "disks[1].storage_profile" and "'tin' is not one of" in problem.message
        given["disks"][1]["storage_profile"] = "silver"
        cloud.workload = Workload.of(given)
        assert target.problems(cloud.workload, session) == []
        cloud.run()
        found = target.find(cloud.workload, session)
        assert found is not None
        assert [disk["storage_profile"] for disk in found.summary["disks"]] == ["gold", "silver"]
    names = {row["id"]: row["name"] for row in cloud.control.table("storageprofile").values()}
    (row,) = [row for row in cloud.control.table("vm").values() if not row.get("template")]
    assert [names[disk["profile"]] for disk in row["disks"]] == ["gold", "silver"]
    assert not cloud.run()["changed"]


def test_a_sample_is_compared_and_told_as_that(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the second disk. A byte that is flipped at the target is found where it is looked at, and nowhere else."""
    monkeypatch.setattr(vmdk_sample, "SIZE", 8)
    monkeypatch.setattr(vmdk_sample, "EDGE", 1)
    with open_source(cloud.disks[1]) as source:
        manifest = hash_source(source)
    chosen = [number for number, _digest in vmdk_sample.choose(manifest)]
    free = [first + n for first, count, digests in manifest.runs() if digests is not None for n in range(count)]
    free = [number for number in free if number not in chosen]
    assert free and len(chosen) < 11

    def flip(chunk: int) -> str:
        """Import it, and flip a byte of what the target holds before it is read back; the machine's reference."""
        broken = {"match": "EnableDownload", "status": 400, "minor": "BAD_REQUEST", "message": "no", "times": 1}
        cloud.control.faults(task_error=broken)
        with pytest.raises(CloudExitError):
            cloud.run(cloud.sampled(f"p{chunk}"))
        cloud.control.faults()
        (machine,) = cloud.machines()
        assert machine["extra_config"]["cloudexit.state"] == "imported"
        with open(machine["disks"][1]["path"], "r+b") as disk:
            disk.seek(chunk * 65536 + 5)
            byte = disk.read(1)
            disk.seek(-1, 1)
            disk.write(bytes([byte[0] ^ 1]))
        return f"vm-{machine['instance_uuid']}"

    damaged = flip(free[0])
    result = cloud.run(cloud.sampled(f"p{free[0]}"))
    assert result["vm_ref"] == damaged, "nothing was seen of it"
    first, second = result["disks"]
    assert (first["proof"], first["equal"]) == ("full", True)
    assert (second["proof"], second["equal"], second["manifest_target"]) == ("sampled", False, "")
    assert second["sample"] == {
        "read": len(chosen),
        "chunks": manifest.data_chunks,
        "finds_one": round(len(chosen) / manifest.data_chunks, 6),
        "finds_one_in_1000": round(1 - 0.999 ** len(chosen), 6),
    }
    (machine,) = cloud.machines()
    assert machine["extra_config"]["cloudexit.sample.1"] == f"{len(chosen)}/{manifest.data_chunks}"

    damaged = flip(chosen[0])
    result = cloud.run(cloud.sampled(f"p{chosen[0]}"))
    assert result["vm_ref"] != damaged and result["changed"], "it was seen, and copied anew"

    cloud.control.faults(whole_downloads={"match": "/transfer/"})
    result = cloud.run(cloud.sampled("p-whole"))
    assert [disk["proof"] for disk in result["disks"]] == ["full", "full"], "a server without ranges: all is read"


def test_a_machine_is_started_and_stopped(cloud: Cloud) -> None:
    with cloud.connect() as session:
        with pytest.raises(NotFound):
            vcd.started(cloud.workload, session, dry_run=False, timeout=60)
        cloud.run()
        assert vcd.started(cloud.workload, session, dry_run=True, timeout=60)[0]
        assert cloud.machines()[0]["power"] == "poweredOff"
        changed, before, after = vcd.started(cloud.workload, session, dry_run=False, timeout=60)
        assert changed and not before.running and after.running and after.state == "started"
        assert not vcd.started(cloud.workload, session, dry_run=False, timeout=60)[0]
        changed, _before, after = vcd.stopped(
            cloud.workload, session, dry_run=False, timeout=60, state=transfer.ROLLED_BACK
        )
        assert changed and not after.running and after.state == "rolled_back"
        assert not vcd.stopped(cloud.workload, session, dry_run=False, timeout=60, state=transfer.ROLLED_BACK)[0]
    with pytest.raises(Conflict, match="kept by a rollback"):
        cloud.run()


FAULTS: dict[str, tuple[dict[str, Any], bool]] = {
    "the connection breaks": ({"cut_upload": {"after": 1 << 20, "times": 1}}, True),
    "the upload is not imported": (
        {
            "task_error": {
                "match": "vdcUploadOvfContents",
                "status": 500,
                "minor": "INTERNAL",
                "message": "no",
                "times": 1,
            }
        },
        False,
    ),
    "the machine is not made": (
        {"task_error": {"match": "vdcRecomposeVapp", "status": 500, "minor": "INTERNAL", "message": "no", "times": 1}},
        False,
    ),
    "the machine is not marked": (
        {"task_error": {"match": "metadataUpdate", "status": 500, "minor": "INTERNAL", "message": "no", "times": 1}},
        False,
    ),
}
"""What goes wrong, and whether a run gets over it by itself."""


@pytest.mark.parametrize("fault", list(FAULTS))
def test_what_fails_leaves_nothing_but_a_way_on(cloud: Cloud, fault: str) -> None:
    planted, survives = FAULTS[fault]
    cloud.control.faults(**planted)
    if not survives:
        with pytest.raises(CloudExitError):
            cloud.run()
        assert cloud.machines() == [] and cloud.control.table("vapptemplate") == {}
        cloud.control.faults()
    result = cloud.run()
    assert all(disk["equal"] for disk in result["disks"])
    assert len(cloud.machines()) == 1 and cloud.control.table("vapptemplate") == {}


def test_what_a_dead_run_left_is_taken_away(cloud: Cloud) -> None:
    """It died with an upload open; another time after the machine was made, and before it was marked."""
    for lengths in ({0: 1000, 1: 1000}, {0: 1001, 1: 1001}):
        left = vcd.VcdTarget(cloud.workload, cloud.connect())
        left.open_import({"state": "importing"}, lengths).transfer._end()
        assert len(cloud.control.table("vapptemplate")) == 1
    cloud.run()
    assert len(cloud.machines()) == 1 and cloud.control.table("vapptemplate") == {}
    ref = f"vm-{cloud.machines()[0]['instance_uuid']}"
    result = cloud.run(cloud.work("p2"))
    assert result["vm_ref"] != ref and len(cloud.machines()) == 1


def test_what_is_wrong_at_the_target_is_told_at_once(cloud: Cloud) -> None:
    given = variable(target={"type": "vcd", "org": seed.ORG, "vdc": seed.VDC, "storage_profile": "tin"})
    given["nics"][0]["target"] = "nowhere"
    with cloud.connect() as session:
        found = [str(problem) for problem in target.problems(Workload.of(given), session)]
    assert any("tin" in problem for problem in found) and any("nowhere" in problem for problem in found)


def test_what_a_pass_makes_is_ours_to_the_modules_too(cloud: Cloud) -> None:
    cloud.run()
    name = vcd.vapp_name(cloud.workload)

    def options(thing: str, tenant: str, **more: bool) -> organisation.Options:
        return organisation.Options(thing, tenant, **more)

    with cloud.connect() as session:
        assert not organisation.box(session, options(name, "acme"), vdc=seed.VDC).changes
        assert not organisation.catalog(session, options(vcd.CATALOG, "acme")).changes
        done = organisation.box(session, options(name, "acme"), vdc=seed.VDC, description="ours")
        assert [one.action for one in done.changes.changes] == ["update"]
        for tenant in ("acme", "other"):
            with pytest.raises(Conflict, match="machines web-1" if tenant == "acme" else "not ours"):
                organisation.box(session, options(name, tenant, absent=True), vdc=seed.VDC)
        with pytest.raises(Conflict, match="not ours"):
            organisation.catalog(session, options(vcd.CATALOG, "other", absent=True))
        assert organisation.catalog(session, options(vcd.CATALOG, "acme", absent=True)).changes
    assert not cloud.run()["changed"], "nothing is needed of it once the machine is there"


def test_reader_hosts_that_make_one_vapp_and_one_catalog_at_once(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each host has locks of its own, so here there are none; and each brings another network."""
    monkeypatch.setattr(locks, "hold", lambda *dummy, **more: contextlib.nullcontext())
    hosts = 4
    with cloud.connect() as session:
        place = org.vdc(session, seed.VDC)
        for number in range(1, hosts):
            wanted = network.Network(f"net-{number}", f"10.30.{number}.1", 24, place.urn).wanted()
            body = {"name": f"net-{number}", **wanted.body}
            objects.create(session, "orgVdcNetworks", body, "cannot make the network")
    cloud.control.options(task_seconds=0.3)
    together = threading.Barrier(hosts)

    def one(number: int) -> tuple[str, str, bool]:
        with cloud.connect() as session:
            place = org.vdc(session, seed.VDC)
            net = f"net-{number}" if number else "VM Network"
            together.wait(30)
            box, dummy = vapp.ensure(session, place, "acme-group")
            vapp.ensure_networks(session, box, {net: place.networks[net]})
            catalog, new = org.ensure_catalog(session, "cloudexit")
            return box.href, catalog, new

    with ThreadPoolExecutor(hosts) as pool:
        found = list(pool.map(one, range(hosts)))
    assert len({box for box, *dummy in found}) == len({catalog for dummy, catalog, *more in found}) == 1
    assert sum(new for *dummy, new in found) == 1
    assert len(cloud.control.table("vapp")) == len(cloud.control.table("catalog")) == 1
    with cloud.connect() as session:
        assert set(vapp.get(session, found[0][0]).leases) == {0}
