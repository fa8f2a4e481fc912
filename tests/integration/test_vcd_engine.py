# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cloud Director engine against the lab's server: the whole way of a machine, and every fault that it can have.

It has a server of its own (it starts in a moment), because it breaks it on purpose.
"""

from __future__ import annotations

import json
import os
import random
import ssl
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk import vmdk_decode
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pipeline import measure_vmdk, stream_vmdk
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import open_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    Conflict,
    InvalidInput,
    NotFound,
    Refused,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.equivalence import compare
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.firewall import translate
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    balancer,
    client,
    disk,
    download,
    network,
    objects,
    orange,
    org,
    ovf,
    query,
    template,
    vapp,
    vm,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.spec import (
    DiskSpec,
    NicSpec,
    VmSpec,
)
from tests.lab.vcd.web import HOSTILE

ROOT = Path(__file__).resolve().parents[2]
ORG, USER, PASSWORD = "cav01ev01ocb0001234", "operator", "lab-Operator-1"
VDC, EDGE = "acme-vdc", "tn01e02ocb0001234spt101"
MIB = 1 << 20
MARKS = Marks("acme", "server-1", state="importing")


@dataclass
class Lab:
    """The server, and its own door."""

    url: str
    ca: str

    def door(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body or {}).encode()
        request = urllib.request.Request(f"{self.url}/_lab/{path}", data=data, method=method)
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=self.ca), timeout=60) as answer:
            return json.loads(answer.read())

    def faults(self, **faults: Any) -> None:
        self.door("PUT", "faults", faults)

    def writes(self) -> list[str]:
        calls = self.door("GET", "calls")
        paths = [f"{one['method']} {one['path']}" for one in calls if one["method"] != "GET"]
        return [one for one in paths if "/sessions" not in one and "/oauth/" not in one and "/auth/" not in one]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("vcd")
    command = [sys.executable, "-m", "tests.lab.vcd", "--port", "0", "--dir", str(folder), "--task-seconds", "0.02"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        yield Lab(url, str(folder / "ca.pem"))
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def lab(server: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server.door("POST", "reset")
    return server


@pytest.fixture
def session(lab: Lab) -> Iterator[Session]:
    with client.connect(lab.url, ORG, username=USER, password=PASSWORD, ca_file=lab.ca, timeout=20) as made:
        yield made


# -- one machine, all the way


@dataclass
class Disk:
    """A disk to be moved: measured, so that its stream is the same each time."""

    path: Path
    size: int
    length: int = 0
    root: str = ""

    def __post_init__(self) -> None:
        self.length = measure_vmdk(open_source(str(self.path)), lambda *dummy: None).bytes_sent

    def produce(self, write: Callable[[bytes], object]) -> None:
        done = stream_vmdk(
            open_source(str(self.path)),
            write,
            lambda *dummy: None,
            None,
            compressor="deterministic",
            expected_length=self.length,
        )
        self.root = done.manifest.root


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> list[Disk]:
    folder, chance, made = tmp_path_factory.mktemp("disks"), random.Random(5), []
    for number, (size, data) in enumerate(((16 * MIB, 6 * MIB), (8 * MIB, 0))):
        path = folder / f"{number}.raw"
        with open(path, "wb") as stream:
            stream.truncate(size)
            stream.seek(MIB)
            stream.write(chance.randbytes(data))
        made.append(Disk(path, size))
    return made


def spec_of(disks: list[Disk]) -> VmSpec:
    return VmSpec(
        "web-1",
        2,
        1024,
        tuple(DiskSpec(disk.size) for disk in disks),
        (NicSpec("front", "MANUAL", "10.1.0.10", "fa:16:3e:11:22:33"), NicSpec("front", "DHCP")),
        firmware="efi",
        guest_id="debian12_64Guest",
        description=f"Moved {vm.stamp(MARKS)}",
    )


def front(session: Session) -> None:
    edge = network.edge(session, EDGE)
    wanted = network.Network("front", "10.1.0.1", 24, edge.owner, edge.id, (("10.1.0.10", "10.1.0.50"),)).wanted()
    objects.apply(
        session, network.NETWORKS, objects.plan(network.NETWORKS, network.networks(session), [wanted], "acme")
    )


def uploaded(session: Session, disks: list[Disk], name: str = "cloudexit-web-1", piece: int = MIB) -> template.Template:
    catalog, dummy = org.ensure_catalog(session, "cloudexit-acme")
    sizes = {ovf.file_name(n): disk.length for n, disk in enumerate(disks)}
    descriptor = ovf.write(spec_of(disks), list(sizes.values()))
    with template.begin(session, catalog, name, descriptor, sizes) as transfer:
        for number, one in enumerate(disks):
            transfer.send(ovf.file_name(number), one.produce, piece=piece)
        return transfer.complete(timeout=60)


def moved(session: Session, disks: list[Disk]) -> vm.Vm:
    front(session)
    made = uploaded(session, disks)
    place = org.vdc(session, VDC)
    box, dummy = vapp.ensure(session, place, "group-1")
    vapp.ensure_networks(session, box, {"front": place.networks["front"]})
    machine = vapp.add_machine(session, vapp.get(session, box.href), made, spec_of(disks))
    assert template.remove(session, made.href)
    vm.set_marks(session, machine, MARKS)
    return machine


def roots(session: Session, machine: vm.Vm, disks: list[Disk]) -> list[str]:
    with download.open_package(session, machine.href, machine.name) as package:
        found = []
        for disk, there in zip(disks, package.disks, strict=True):
            with package.fetch(there).buffered() as stream:
                kind = disk.root.partition(":")[0]
                found.append(vmdk_decode.manifest_of(stream, lambda *dummy: None, algorithm=kind).root)
        return found


def test_a_machine_goes_all_the_way_and_what_comes_back_is_what_was_sent(
    lab: Lab, session: Session, disks: list[Disk]
) -> None:
    machine = moved(session, disks)
    assert (machine.firmware, machine.cpus, machine.power) == ("efi", 2, "off")
    assert [str(disk.place) for disk in machine.disks] == ["pvscsi0:0", "pvscsi0:1"]
    assert machine.nics[0].mac == "fa:16:3e:11:22:33" and machine.addresses[0] == "10.1.0.10"
    assert not vm.plan(machine, spec_of(disks)) and not vm.plan(machine, spec_of(disks)).conflicts
    assert roots(session, machine, disks) == [disk.root for disk in disks]
    assert template.find(session, "cloudexit-web-1") == []
    assert [(one.name, marks["cloudexit.source_id"]) for one, marks in vm.everything(session)] == [
        ("web-1", "server-1")
    ]
    found = vm.find(session, MARKS, (), vdc=org.vdc(session, VDC).href)
    assert found is not None and found[0].uuid == machine.uuid
    wanted = replace(spec_of(disks), cpus=4, nics=spec_of(disks).nics[:1])
    changed = vm.apply(session, machine, wanted, vm.plan(machine, wanted))
    assert changed.cpus == 4 and len(changed.nics) == 1 and len(changed.disks) == 2
    assert vm.power_on(session, changed) and not vm.power_on(session, changed)
    with pytest.raises(Conflict, match="running"):
        vm.destroy_ours(session, changed, MARKS)
    assert vm.shut_down(session, changed, timeout=30, force=True)
    assert vm.get(session, changed.href).power == "off"
    assert vm.destroy_ours(session, changed, MARKS)
    assert vapp.delete(session, vapp.find(session, org.vdc(session, VDC), "group-1") or pytest.fail("no vApp"))


def test_a_second_run_writes_nothing(lab: Lab, session: Session, disks: list[Disk]) -> None:
    machine = moved(session, disks)
    edge = network.edge(session, EDGE)
    wanted = firewall(session, edge)
    before = lab.writes()
    assert not vm.set_marks(session, machine, MARKS)
    assert vapp.ensure(session, org.vdc(session, VDC), "group-1")[1] is False
    assert org.ensure_catalog(session, "cloudexit-acme")[1] is False
    front(session)
    assert not objects.apply_list(session, network.edge_rules(edge.id), edge.id, wanted, "acme")
    assert lab.writes() == before


# -- faults of a transfer


TRANSFER = r"PUT /transfer/.*vmdk"
UPLOAD_FAULTS: dict[str, dict[str, Any]] = {
    "cut": {"cut_upload": {"match": "disk-1", "after": 300_000, "times": 2}},
    "cut before an answer": {"cut": {"match": TRANSFER, "times": 2}},
    "401 in the middle": {"expire": {"match": TRANSFER, "times": 1, "skip": 2}},
    "416": {"http": {"match": TRANSFER, "status": 416, "times": 1, "skip": 1}},
    "500": {"http": {"match": TRANSFER, "status": 500, "times": 2, "skip": 1}},
    "503": {"http": {"match": TRANSFER, "status": 503, "retry_after": 1, "times": 1}},
    "403 once": {"http": {"match": TRANSFER, "status": 403, "times": 1, "skip": 1}},
    "busy": {"busy": {"times": 1}},
    "overload": {"http": {"match": "GET /api/vAppTemplate", "status": 503, "retry_after": 1, "times": 1}},
}


@pytest.mark.parametrize("faults", UPLOAD_FAULTS.values(), ids=UPLOAD_FAULTS.keys())
def test_an_upload_survives(lab: Lab, session: Session, disks: list[Disk], faults: dict[str, Any]) -> None:
    org.ensure_catalog(session, "cloudexit-acme")
    lab.faults(**faults)
    made = uploaded(session, disks)
    assert made.ready


def test_an_upload_that_cannot_be_ends_in_an_error_and_leaves_nothing(
    lab: Lab, session: Session, disks: list[Disk]
) -> None:
    org.ensure_catalog(session, "cloudexit-acme")
    lab.faults(http={"match": TRANSFER, "status": 403})
    with pytest.raises(Refused, match="proxy"):
        uploaded(session, disks)
    lab.faults(task_error={"match": ".", "message": "No space left on the datastore.", "times": 1})
    with pytest.raises(CloudExitError, match="No space left"):
        uploaded(session, disks)
    lab.faults()
    assert query.records(session, "vAppTemplate", "x") == []
    assert uploaded(session, disks).ready


def test_a_vmdk_that_is_broken_on_the_way_is_not_imported(lab: Lab, session: Session, disks: list[Disk]) -> None:
    org.ensure_catalog(session, "cloudexit-acme")
    lab.faults(corrupt_upload={"match": "disk-1", "offset": 1, "times": 1})
    with pytest.raises(CloudExitError):
        uploaded(session, disks)
    assert query.records(session, "vAppTemplate", "x") == []


def test_a_wrong_size_is_an_error_and_not_a_wait(lab: Lab, session: Session, disks: list[Disk]) -> None:
    catalog, dummy = org.ensure_catalog(session, "cloudexit-acme")
    descriptor = ovf.write(spec_of(disks[:1]), [disks[0].length + 7])
    began = time.monotonic()
    with pytest.raises(Conflict):
        template.begin(session, catalog, "t", descriptor, {"disk-1.vmdk": disks[0].length})
    assert time.monotonic() - began < 30
    assert query.records(session, "vAppTemplate", "x") == []


def test_what_a_dead_process_left_is_found_and_removed(lab: Lab, session: Session, disks: list[Disk]) -> None:
    catalog, dummy = org.ensure_catalog(session, "cloudexit-acme")
    sizes = {ovf.file_name(n): disk.length for n, disk in enumerate(disks)}
    descriptor = ovf.write(spec_of(disks), list(sizes.values()))
    mark = vm.stamp(MARKS)
    dead = template.begin(session, catalog, "cloudexit-web-1", descriptor, sizes, description=mark)
    dead.send("disk-2.vmdk", disks[1].produce)
    with client.connect(lab.url, ORG, username=USER, password=PASSWORD, ca_file=lab.ca, timeout=20) as second:
        with pytest.raises(Conflict, match="DUPLICATE_NAME"):
            template.begin(second, catalog, "cloudexit-web-1", descriptor, sizes)
        with pytest.raises(Conflict, match="not ours"):
            template.remove_left(second, "cloudexit-web-1", "cloudexit-acme", vm.stamp(Marks("acme", "other")))
        assert template.remove_left(second, "cloudexit-web-1", "cloudexit-acme", mark)
        assert not template.remove_left(second, "cloudexit-web-1", "cloudexit-acme", mark)
        assert uploaded(second, disks).ready
    with pytest.raises(NotFound, match="somebody cancelled"):
        dead.state()
    dead.abort()


def test_quotas_that_are_full_name_what_is_full(lab: Lab, session: Session, disks: list[Disk]) -> None:
    machine = moved(session, disks)
    place = org.vdc(session, VDC)
    lab.door("PATCH", f"state/vdc/{place.uuid}", {"vm_quota": 1})
    made = uploaded(session, disks, "cloudexit-web-2")
    box = vapp.find(session, place, "group-1")
    assert box is not None
    with pytest.raises(CloudExitError, match=r"cannot make web-2 in the vApp group-1: .*IP_IN_USE.*in the plan"):
        vapp.add_machine(session, box, made, replace(spec_of(disks), name="web-2"))
    with pytest.raises(CloudExitError, match=r"cannot make web-2 in the vApp group-1: .*quota.*Raise the limit"):
        vapp.add_machine(session, box, made, replace(spec_of(disks), name="web-2", nics=()))
    assert template.remove(session, made.href)
    with pytest.raises(Conflict, match="of that name already"):
        vapp.add_machine(session, box, made, spec_of(disks))
    profiles = lab.door("GET", "state/storageprofile")
    gold = next(one["id"] for one in profiles.values() if one["vdc"] == place.uuid and one["name"] == "gold")
    lab.door("PATCH", f"state/storageprofile/{gold}", {"limit_mb": 30})
    with pytest.raises(InvalidInput, match="gold: 0 GiB are free"):
        org.check_space(org.vdc(session, VDC), {"": sum(disk.size for disk in disks)})
    with pytest.raises(CloudExitError, match="cannot upload the template"):
        uploaded(session, disks, "cloudexit-web-3")
    assert [row["name"] for row in query.records(session, "vAppTemplate", "x")] == []
    assert vm.get(session, machine.href).name == "web-1"


def test_a_name_that_is_taken(lab: Lab, session: Session, disks: list[Disk]) -> None:
    uploaded(session, disks)
    with pytest.raises(Conflict, match="DUPLICATE_NAME"):
        uploaded(session, disks)


DOWNLOAD_FAULTS: dict[str, dict[str, Any]] = {
    "cut": {"cut_download": {"match": "vmdk", "after": 100_000, "times": 2}},
    "401": {"expire": {"match": "GET /transfer", "times": 1}},
}


@pytest.mark.parametrize("faults", DOWNLOAD_FAULTS.values(), ids=DOWNLOAD_FAULTS.keys())
def test_reading_back_survives(lab: Lab, session: Session, disks: list[Disk], faults: dict[str, Any]) -> None:
    machine = moved(session, disks)
    lab.faults(**faults)
    assert roots(session, machine, disks) == [disk.root for disk in disks]


def test_bytes_that_come_back_otherwise_are_found(lab: Lab, session: Session, disks: list[Disk]) -> None:
    machine = moved(session, disks)
    lab.faults(corrupt_download={"match": "disk-0", "offset": 1_000_000, "times": 1})
    try:
        assert roots(session, machine, disks) != [disk.root for disk in disks]
    except CloudExitError as error:
        assert str(error)


# -- firewall of an edge with two hundred rules of others


def firewall(session: Session, edge: network.EdgeGateway) -> list[objects.Wanted]:
    owner = edge.owner
    sets = [
        model.AddressGroup(name="acme-web", addresses=["10.1.0.10", "10.1.0.12-10.1.0.14"]),
        model.AddressGroup(name="acme-db", addresses=["10.1.0.20"]),
    ]
    wanted = [network.ip_set(one, owner) for one in sets]
    objects.apply(session, network.GROUPS, objects.plan(network.GROUPS, network.groups(session, owner), wanted, "acme"))
    ids = {one["name"]: one["id"] for one in network.groups(session, owner)}
    rules = [
        model.FirewallRule(name="web to db", sources=["acme-web"], destinations=["acme-db"]),
        model.FirewallRule(name="no more", action="DROP", destinations=["acme-db"]),
    ]
    made = [network.rule(one, ids, distributed=False) for one in rules]
    objects.apply_list(session, network.edge_rules(edge.id), edge.id, made, "acme")
    return made


def theirs(session: Session, edge: network.EdgeGateway) -> list[Any]:
    rows = objects.read_list(session, network.edge_rules(edge.id), "x")
    return [
        (one["id"], {k: v for k, v in one.items() if k != "version"})
        for one in rows
        if "[cloudexit acme" not in one["name"]
    ]


@pytest.mark.parametrize(
    "faults",
    [
        {},
        {"busy": {"match": "gateway", "times": 2}},
        {"http": {"match": "PUT /cloudapi/.*firewall", "status": 409, "minor": "CONFLICT", "times": 1}},
        {"http": {"match": "PUT /cloudapi/.*firewall", "status": 503, "retry_after": 1, "times": 1}},
        {"expire": {"match": "PUT /cloudapi/.*firewall", "times": 1}},
        {"cut": {"match": "PUT /cloudapi/.*firewall", "times": 1}},
    ],
    ids=["none", "busy", "409", "503", "401", "cut"],
)
def test_rules_of_others_come_through(lab: Lab, session: Session, faults: dict[str, Any]) -> None:
    lab.door("POST", f"foreign/{EDGE}", {"firewall": 200})
    edge = network.edge(session, EDGE)
    before = theirs(session, edge)
    assert len(before) == 200
    lab.faults(**faults)
    try:
        firewall(session, edge)
    except CloudExitError as error:
        assert isinstance(error, (Conflict, Unreachable)), error
        lab.faults()
        firewall(session, edge)
    assert theirs(session, edge) == before
    rows = objects.read_list(session, network.edge_rules(edge.id), "x")
    assert len(rows) == 202
    objects.apply_list(session, network.edge_rules(edge.id), edge.id, [], "acme")
    assert theirs(session, edge) == before


def test_what_is_configured_is_read_in_the_words_of_the_model(lab: Lab, session: Session) -> None:
    edge = network.edge(session, EDGE)
    firewall(session, edge)
    found = network.read_firewall(session, edge_id=edge.id, group_id=edge.owner, inside=["10.1.0.0/24"])
    assert found.edge is not None and found.distributed is not None
    by_id = {one.id: one.addresses for one in found.groups}
    assert [(one.name, one.action) for one in found.edge.rules] == [("web to db", "ALLOW"), ("no more", "DROP")]
    assert by_id[found.edge.rules[1].destinations[0]] == ["10.1.0.20"]
    assert any(one.name == "HTTPS" and one.known for one in found.profiles)


def test_what_is_ours_is_made_changed_and_removed(lab: Lab, session: Session) -> None:
    front(session)
    edge = network.edge(session, EDGE)
    owner = edge.owner
    org_id = session.get("sessions/current", "x")["org"]["id"]
    path = {kind.name: kind for kind in (network.GROUPS, network.PROFILES, network.NETWORKS)}

    def read(kind: objects.Kind) -> list[Any]:
        if kind is network.GROUPS:
            return network.groups(session, owner)
        if kind is network.PROFILES:
            return network.profiles(session, owner, "TENANT")
        return network.networks(session)

    def net(dns: str) -> objects.Wanted:
        return network.Network("back", "10.2.0.1", 24, owner, edge.id, (("10.2.0.9", "10.2.0.20"),), dns).wanted()

    def ports(*numbers: str) -> objects.Wanted:
        entries = [model.PortEntry(protocol="TCP", ports=list(numbers)), model.PortEntry(protocol="ICMPv4")]
        return network.port_profile(model.PortProfile(name="p", entries=entries), owner, org_id)

    def addresses(*texts: str) -> objects.Wanted:
        return network.ip_set(model.AddressGroup(name="g", addresses=list(texts)), owner)

    for kind, first, second in (
        (path["firewall group"], addresses("10.0.0.1"), addresses("10.0.0.0/24", "10.1.0.1-10.1.0.9", "2001:db8::1")),
        (path["port profile"], ports("80"), ports("443", "8000-8010")),
        (path["network"], net("10.2.0.2"), net("10.2.0.3")),
    ):
        for want, action in ((first, ["create"]), (first, []), (second, ["update"]), (second, [])):
            changes = objects.plan(kind, read(kind), [want], "acme")
            assert [one.action for one in changes.changes] == action, (kind.name, changes)
            objects.apply(session, kind, changes)
        rest = [one for one in read(kind) if one["name"] == "front"]
        keep = [network.Network("front", "10.1.0.1", 24, owner, edge.id, (("10.1.0.10", "10.1.0.50"),)).wanted()]
        gone = objects.plan(kind, read(kind), keep if rest else [], "acme", remove=True)
        assert [one.action for one in gone.changes] == ["delete"]
        objects.apply(session, kind, gone)
        assert not objects.plan(kind, read(kind), keep if rest else [], "acme", remove=True)
    for hop, action in (("10.1.0.9", "create"), ("10.1.0.8", "update")):
        want = network.Route("r", "172.20.0.0/16", hop).wanted()
        made = network.apply_on_edge(session, edge.id, network.route_kind(edge.id), [want], "acme")
        assert [one.action for one in made.changes] == [action]
    assert network.apply_on_edge(session, edge.id, network.route_kind(edge.id), [], "acme", remove=True)
    assert network.used_addresses(session, edge.id) == []


def test_a_vdc_gets_a_group_its_edge_and_a_distributed_firewall(lab: Lab, session: Session) -> None:
    place = org.vdc(session, "acme-lone")
    edge = network.edge(session, "tn01e02ocb0001234spt102")
    assert edge.owner == place.urn
    assert network.ensure_vdc_group(session, "g", place.urn, dry_run=True)[1]
    group, changes = network.ensure_vdc_group(session, "g", place.urn)
    assert group.startswith("urn:vcloud:vdcGroup:") and changes
    assert network.ensure_vdc_group(session, "g", place.urn) == (group, objects.ChangeSet())
    assert network.give_edge(session, edge.id, group) and not network.give_edge(session, edge.id, group)
    network.enable_distributed(session, group)
    assert not network.enable_distributed(session, group)
    kind = network.distributed_rules(group)
    wanted = [network.rule(model.FirewallRule(name="all", comments="r1", direction="IN"), {}, distributed=True)]
    assert objects.apply_list(session, kind, group, wanted, "acme")
    assert not objects.apply_list(session, kind, group, wanted, "acme")
    found = network.read_distributed(session, group)
    assert found is not None and [one.comments for one in found.rules][:1] == ["r1"]


def test_load_balancers(lab: Lab, session: Session) -> None:
    front(session)
    edge = network.edge(session, EDGE)
    if not balancer.state(session, edge.id).enabled:
        pytest.fail("the lab's edge has no load balancing")
    members = (balancer.Member("10.1.0.10", 80), balancer.Member("10.1.0.11", 80, 2))
    wanted = [balancer.pool(balancer.Pool("web", members, monitors=("TCP",)), edge.id)]

    def made(kind: objects.Kind, asked: list[objects.Wanted]) -> objects.ChangeSet:
        changes = objects.plan(kind, balancer.there(session, kind, edge.id), asked, "acme", remove=True)
        objects.apply(session, kind, changes)
        return changes

    for number in (1, 0):
        assert len(made(balancer.POOLS, wanted).changes) == number
    pools = {one["name"]: one["id"] for one in balancer.there(session, balancer.POOLS, edge.id)}
    engines = balancer.state(session, edge.id).engines[0].id
    one = balancer.VirtualService("web", "10.1.0.5", ((80, 80),), pools["web"], engines)
    for number in (1, 0):
        asked = [balancer.service(one, edge.id)]
        assert len(made(balancer.SERVICES_OF, asked).changes) == number
    for kind in (balancer.SERVICES_OF, balancer.POOLS):
        made(kind, [])
        assert balancer.there(session, kind, edge.id) == []


# -- named disks, snapshots


def test_named_disks_and_snapshots(lab: Lab, session: Session, disks: list[Disk]) -> None:
    machine = moved(session, disks)
    place = org.vdc(session, VDC)
    assert disk.find(session, place, "data") is None
    made = disk.create(session, place, "data", 64, storage_profile="silver")
    assert (made.size_mib, made.controller, made.storage_profile) == (64, "pvscsi", "silver")
    assert disk.attach(session, machine, made) and not disk.attach(session, machine, made)
    with pytest.raises(Conflict, match="a machine has it"):
        disk.delete(session, made)
    assert any(one.named for one in vm.get(session, machine.href).disks)
    assert disk.detach(session, machine, made) and not disk.detach(session, machine, made)
    assert disk.delete(session, made) and disk.find(session, place, "data") is None
    assert disk.snapshot(session, machine) is None and not disk.drop(session, machine)
    disk.take(session, machine, "before")
    assert disk.snapshot(session, machine) is not None
    disk.revert(session, machine)
    assert disk.drop(session, machine) and disk.snapshot(session, machine) is None


# -- the firewall of a tenant, translated, configured, read back, proven


def source_firewall() -> model.SourceFirewall:
    def rule(identity: str, **more: Any) -> model.SourceRule:
        return model.SourceRule(id=identity, **{"side": "ingress", "protocol": 6, **more})

    everything = model.SourceRule(id="out", side="egress")
    groups = [
        model.SourceGroup(
            id="g1",
            name="web",
            rules=[rule("r1", first=80, last=80), rule("r2", first=443, last=443, remote="192.0.2.0/24"), everything],
        ),
        model.SourceGroup(id="g2", name="db", rules=[rule("r3", first=5432, last=5440, remote_group="g1")]),
    ]
    ports = [
        model.SourcePort(id="p1", name="web-1", addresses=["10.1.0.10"], groups=["g1"]),
        model.SourcePort(id="p2", name="web-2", addresses=["10.1.0.11"], groups=["g1"]),
        model.SourcePort(id="p3", name="db-1", addresses=["10.1.0.20"], groups=["g2"]),
    ]
    return model.SourceFirewall(groups=groups, ports=ports)


def test_a_firewall_is_configured_and_what_is_read_back_means_the_same(lab: Lab, session: Session) -> None:
    lab.door("POST", f"foreign/{EDGE}", {"firewall": 20})
    gateway = network.edge(session, EDGE)
    place = network.place_of(session, gateway)
    network.enable_distributed(session, place.group)
    source = source_firewall()
    system = [one for one in network.port_profiles(network.profiles(session, place.context)) if one.scope == "SYSTEM"]
    made = translate(source, prefix="acme", edge="none", inside=["10.1.0.0/24"], system=system)
    before = lab.writes()
    shown = network.apply_firewall(session, place, made.target, "acme", dry_run=True)
    assert shown and lab.writes() == before
    assert network.apply_firewall(session, place, made.target, "acme").diff() == shown.diff()
    assert "urn:" not in json.dumps(shown.diff())
    before = lab.writes()
    assert not network.apply_firewall(session, place, made.target, "acme")
    assert lab.writes() == before

    def verdict() -> Any:
        read = network.read_firewall(session, edge_id=gateway.id, group_id=place.group, inside=["10.1.0.0/24"])
        return compare(source, replace(read, edge=None), accepted=made.deviations)

    assert verdict().equal, verdict().differences
    rules = objects.read_list(session, network.distributed_rules(place.group), "x")
    loose = [{**rules[0], "sourceFirewallGroups": None, "applicationPortProfiles": None}, *rules[1:]]
    path = f"/cloudapi/1.0.0/{network.distributed_rules(place.group).path}"
    session.call("PUT", path, "cannot loosen", body={"values": loose})
    deadline = time.monotonic() + 10
    while objects.read_list(session, network.distributed_rules(place.group), "x") == rules:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not verdict().equal
    with pytest.raises(Conflict, match="edited by somebody"):
        network.apply_firewall(session, place, made.target, "acme")
    network.apply_firewall(session, place, made.target, "acme", overwrite=True)
    assert verdict().equal
    empty = replace(made.target, groups=[], profiles=[], distributed=model.Distributed(), edge=None)
    network.apply_firewall(session, place, empty, "acme")
    assert [one["name"] for one in network.groups(session, place.owner) if not one["name"].startswith("theirs")] == []


# -- sessions, rights, Orange


def test_ways_to_log_in(lab: Lab, tmp_path: Path) -> None:
    with client.connect(lab.url, ORG, api_token="lab-api-token-0000000000000000000001", ca_file=lab.ca) as one:
        assert org.vdc(one, VDC).name == VDC
    path = tmp_path / "token"
    path.write_text("lab-service-token-000000000000000001")
    for dummy in range(2):
        before = path.read_text()
        with client.connect(lab.url, ORG, token_file=str(path), ca_file=lab.ca) as one:
            assert org.vdc(one, VDC).name == VDC and path.read_text() != before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.connect(lab.url, ORG, username=USER, password=PASSWORD, validate_certs=False).close()
    with pytest.raises(AuthFailed):
        client.connect(lab.url, ORG, username=USER, password="no", ca_file=lab.ca)
    with pytest.raises(Unreachable, match="ca_file"):
        client.connect(lab.url, ORG, username=USER, password=PASSWORD)


def test_a_session_that_ends_between_calls(lab: Lab, session: Session) -> None:
    lab.door("DELETE", "sessions")
    assert org.vdc(session, VDC).name == VDC


def test_a_right_that_is_missing(lab: Lab) -> None:
    with client.connect(lab.url, ORG, username="reader", password="lab-Reader-1", ca_file=lab.ca) as reader:
        with pytest.raises(Refused, match="lacks a right"):
            org.ensure_catalog(reader, "c")
        with pytest.raises((Refused, NotFound)):
            front(reader)


@pytest.mark.parametrize("how", HOSTILE)
def test_hostile_answers(lab: Lab, session: Session, how: str) -> None:
    """Entities, 100 MB, wrong encodings, and ends that are none: in XML and in JSON."""
    place = org.vdc(session, VDC)
    box, dummy = vapp.ensure(session, place, "group-1")
    lab.faults(hostile={"match": "GET /(api/vApp|cloudapi/.*edgeGateways)", "how": how})
    with pytest.raises(Refused, match="is not taken"):
        vapp.get(session, box.href)
    with pytest.raises(Refused, match="is not taken"):
        network.edges(session)


def test_an_address_is_ordered_given_out_and_given_back(lab: Lab, session: Session) -> None:
    with orange.connect(ORG, USER, PASSWORD, core_api=lab.url, ca_file=lab.ca) as cloud:
        edge = network.edge(session, EDGE)
        lab.faults(http={"match": "POST /infra", "status": 429, "retry_after": 1, "times": 1})
        found = orange.order_address(cloud, edge.id)
        assert network.edge(session, EDGE).has_address(found.address)
        wanted = model.NatRule(name="web", type="DNAT", external=found.address, internal="10.1.0.10")
        for number in (1, 0):
            changes = network.apply_on_edge(
                session, edge.id, network.nat_kind(edge.id), [network.nat_rule(wanted, {})], "acme"
            )
            assert len(changes.changes) == number
        network.apply_on_edge(session, edge.id, network.nat_kind(edge.id), [], "acme", remove=True)
        orange.release(cloud, found.id)
        assert orange.public_addresses(cloud) == []
        assert {one for one, dummy in orange.t0s(cloud)} and orange.vdc(cloud, VDC).service_class == "STD"
    assert orange.vdcs(orange.of_session(session)).keys() >= {VDC}


@pytest.mark.parametrize("fault", ["job_exists", "job_empty", "job_fail"])
def test_jobs(lab: Lab, session: Session, fault: str) -> None:
    lab.faults(**{fault: {"times": 1}})
    with orange.connect(ORG, USER, PASSWORD, core_api=lab.url, ca_file=lab.ca) as cloud:
        cloud.pace = cloud.wire.pace = replace(cloud.pace, sleep=lambda seconds: time.sleep(min(seconds, 0.2)))
        edge = orange.edges(cloud)[0].id
        if fault == "job_fail":
            with pytest.raises(CloudExitError, match="failed"):
                orange.order_address(cloud, edge)
        else:
            assert orange.order_address(cloud, edge).address


def test_no_file_is_left(lab: Lab, session: Session, tmp_path: Path) -> None:
    front(session)
    assert [name for name in os.listdir(tmp_path) if not name.startswith("cloudexit-locks")] == []
