# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vSphere engine against VMware's simulator with the lab's disks: what works, and what is left when it does not.

It has a vCenter of its own (it starts in a moment), because it breaks it on purpose.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    Conflict,
    InvalidInput,
    NotFound,
    Refused,
    Timeout,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks, target_uuid
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import (
    client,
    lease,
    placement,
    upload,
    vm,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.spec import (
    DiskSpec,
    NicSpec,
    VmSpec,
)
from tests.lab import vcenter
from tests.lab.paths import Instance

MIB = 1024**2
HOSTILE = "a b'\"{{ 7*7 }}/../é"


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    made = Instance("vcenter-test", 24400)
    vcenter.reset(made, lease_timeout=4)
    yield made
    vcenter.down(made)


@pytest.fixture(scope="module")
def access(instance: Instance) -> dict[str, Any]:
    return dict(instance.env()["vcenter"])


@pytest.fixture
def control(instance: Instance) -> Iterator[vcenter.Control]:
    made = vcenter.Control(instance)
    made.faults()
    yield made
    made.faults()


def connect(access: dict[str, Any], **changes: Any) -> client.Session:
    values = {
        "host": access["host"],
        "port": access["port"],
        "username": access["user"],
        "password": access["password"],
        "ca_file": access["ca_file"],
        "timeout": 20.0,
        **changes,
    }
    return client.connect(**values)


@pytest.fixture
def session(access: dict[str, Any], control: vcenter.Control) -> Iterator[client.Session]:
    with connect(access) as made:
        yield made


@pytest.fixture
def place(session: client.Session) -> placement.Placement:
    return resolve(session)


def resolve(session: client.Session, **changes: Any) -> placement.Placement:
    wanted: dict[str, Any] = {
        "datacenter": "DC0",
        "compute": "DC0_C0",
        "datastore": "LocalDS_0",
        "folder": "cloudexit",
        "networks": ["VM Network", "DC0_DVPG0"],
    }
    return placement.resolve(session, **{**wanted, **changes})


class Disk:
    """A disk made for tests: raw, and as the stream-optimised VMDK that qemu-img makes of it."""

    def __init__(self, folder: Path, name: str, fill: bytes, size: int = 8 * MIB) -> None:
        self.raw, self.stream, self.size = folder / f"{name}.raw", folder / f"{name}.vmdk", size
        with open(self.raw, "wb") as raw:
            raw.truncate(size)
            raw.seek(size // 4)
            raw.write(fill * (size // 8 // len(fill)))
            raw.seek(size - 512)
            raw.write(fill[:1] * 512)
        convert = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
        subprocess.run([*convert, str(self.raw), str(self.stream)], check=True)

    def produce(self, write: upload.Write) -> None:
        with open(self.stream, "rb") as stream:
            while piece := stream.read(64 * 1024):
                write(piece)

    @property
    def length(self) -> int:
        return self.stream.stat().st_size


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> list[Disk]:
    folder = tmp_path_factory.mktemp("disks")
    noise = bytes((n * n * 2654435761 >> 7) & 255 for n in range(65536))
    return [
        Disk(folder, "boot", noise),
        Disk(folder, "data", b"data\0"),
        Disk(folder, "log", b"log", 5 * MIB + 512 * 2),
    ]


Make = Callable[..., VmSpec]


@pytest.fixture
def make(disks: list[Disk], session: client.Session) -> Iterator[Make]:
    """Specs for machines that are removed afterwards, whatever became of them."""
    made: list[VmSpec] = []

    def spec(count: int = 1, **changes: Any) -> VmSpec:
        marks = Marks("acme", str(uuid.uuid4()), role="vm", plan="p1", run="r1", state=vm.IMPORTING)
        values: dict[str, Any] = {
            "name": f"vm-{marks.source_id[:8]}",
            "cpus": 1,
            "memory_mib": 512,
            "disks": tuple(DiskSpec(disk.size) for disk in disks[:count]),
            "nics": (NicSpec("VM Network", mac="fa:16:3e:00:00:01"),),
            "marks": marks,
            "instance_uuid": target_uuid("acme", marks.source_id),
        }
        made.append(VmSpec(**{**values, **changes}))
        return made[-1]

    yield spec
    for one in made:
        found = vm.find(session, one.instance_uuid)
        if found is not None:
            vm.power_off(session, found)
            if found.marks and found.marks.state != vm.IMPORTING:
                found = vm.set_state(session, found, vm.IMPORTING)
            vm.destroy_partial(session, found, one.marks or Marks("", ""), timeout=20)


def do_import(session: client.Session, place: placement.Placement, spec: VmSpec, disks: list[Disk]) -> vm.Vm:
    with lease.open_import(session, place, spec) as opened:
        for number in range(len(spec.disks)):
            opened.upload(number, disks[number].produce, timeout=20)
        moref = opened.complete()
    return vm.get(session, moref)


def do_export(session: client.Session, moref: str, count: int, folder: Path) -> list[Path]:
    found = []
    with lease.open_export(session, moref) as opened:
        for number in range(count):
            path = folder / f"out-{number}.vmdk"
            with opened.download(number, timeout=20) as stream, open(path, "wb") as sink:
                upload.copy_to(stream, sink)
            found.append(path)
        opened.complete()
    return found


def same(raw: Path, other: Path, fmt: str = "vmdk") -> bool:
    done = subprocess.run(
        ["qemu-img", "compare", "-f", "raw", "-F", fmt, str(raw), str(other)], capture_output=True, check=False
    )
    return done.returncode == 0


def left(control: vcenter.Control, spec: VmSpec, access: dict[str, Any]) -> list[str]:
    """What there is of a machine: itself, leases, disk files."""
    found = [m["moref"] for m in control.machines()[1] if m["instance_uuid"] == spec.instance_uuid]
    found += [one["moref"] for one in control.leases()]
    folders = {m["moref"] for m in control.machines()[1]}
    return found + [path.name for path in Path(access["disks"]).iterdir() if path.name not in folders]


def eventually(condition: Callable[[], Any], timeout: float = 10.0) -> Any:
    end = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


# ------------------------------------------------------------------------------------------------ sessions


def test_wrong_credentials(access: dict[str, Any]) -> None:
    with pytest.raises(AuthFailed, match="password is wrong") as caught:
        connect(access, password="hunter2-planted")
    assert "hunter2" not in str(caught.value) and access["user"] in str(caught.value)


def test_an_unknown_certificate_is_refused_and_the_way_out_named(access: dict[str, Any]) -> None:
    with pytest.raises(Unreachable, match="not trusted") as caught:
        connect(access, ca_file=None)
    assert "ca_file" in caught.value.hint
    connect(access, ca_file=None, validate_certs=False).close()


def test_a_session_that_ended_is_renewed_once(session: client.Session, control: vcenter.Control) -> None:
    first = session.key
    assert control.end_sessions() >= 1
    assert vm.find(session, str(uuid.uuid4())) is None
    assert session.key != first


def test_leaving_logs_out(access: dict[str, Any], control: vcenter.Control) -> None:
    with connect(access) as made:
        assert made.key in [one["key"] for one in control.sessions()]
    assert made.key not in [one["key"] for one in control.sessions()]


# ----------------------------------------------------------------------------------------------- placement


def test_everything_missing_is_said_at_once(session: client.Session) -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve(session, compute="DC0_C9", datastore="LocalDS_9", networks=["VM Netwrk"])
    assert {problem.path for problem in caught.value.problems} == {
        "target.compute",
        "target.datastore",
        "target.networks",
    }
    assert "LocalDS_0, LocalDS_1" in str(caught.value) and "VM Network" in str(caught.value)


def test_a_disk_larger_than_the_free_space(session: client.Session, control: vcenter.Control, make: Make) -> None:
    control.datastore("LocalDS_1", 10 * MIB, 6 * MIB)
    place = resolve(session, datastore="LocalDS_1")
    with pytest.raises(Refused, match=r"disks\[0\]: needs .* are free in LocalDS_1"):
        placement.check_space(place, make())


def test_folders_are_made_once_by_whoever_comes_first(access: dict[str, Any], session: client.Session) -> None:
    path = f"deep-{uuid.uuid4().hex[:8]}/a%b/c"
    places = [resolve(session, folder=path) for dummy in range(3)]
    sessions = [connect(access) for dummy in places]
    results: list[str] = []
    threads = [
        threading.Thread(target=lambda s=s, p=p: results.append(placement.ensure_folder(s, p)[0]))
        for s, p in zip(sessions, places, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in sessions:
        one.close()
    assert len(results) == 3 and len(set(results)) == 1
    again = resolve(session, folder=path)
    assert again.folder == results[0] and placement.ensure_folder(session, again) == (results[0], [])


def test_a_name_that_somebody_else_has(
    session: client.Session, place: placement.Placement, make: Make, disks: list[Disk]
) -> None:
    other = do_import(session, place, make(), disks)
    mine = make(name=other.name)
    with pytest.raises(Conflict, match=other.moref):
        placement.check_name(session, place, other.name, mine.instance_uuid)
    placement.check_name(session, place, other.name, other.instance_uuid)
    with pytest.raises(Conflict, match="already exists"):
        lease.open_import(session, place, mine)
    assert vm.find(session, mine.instance_uuid) is None


# ---------------------------------------------------------------------------------------- import and export


@pytest.mark.parametrize("mode", upload.MODES)
def test_a_disk_goes_in_and_comes_out_equal(
    session: client.Session,
    place: placement.Placement,
    make: Make,
    disks: list[Disk],
    mode: str,
    tmp_path: Path,
    control: vcenter.Control,
) -> None:
    spec = make()
    with lease.open_import(session, place, spec) as opened:
        sent = opened.upload(0, disks[0].produce, mode=mode, length=disks[0].length, timeout=20)
        opened.progress(50)
        moref = opened.complete()
    assert sent == disks[0].length
    (stored,) = [m for m in control.machines()[1] if m["moref"] == moref]
    assert same(disks[0].raw, Path(stored["disks"][0]["path"]), "raw")
    (out,) = do_export(session, moref, 1, tmp_path)
    assert same(disks[0].raw, out)
    assert not control.leases()


def test_several_disks_on_several_controllers_keep_their_order(
    session: client.Session, place: placement.Placement, make: Make, disks: list[Disk], tmp_path: Path
) -> None:
    kinds = ("nvme", "lsisas", "sata")
    spec = make(3, disks=tuple(DiskSpec(d.size, kind) for d, kind in zip(disks, kinds, strict=True)), name=HOSTILE)
    with lease.open_import(session, place, spec) as opened:
        threads = [
            threading.Thread(target=opened.upload, args=(number, disk.produce)) for number, disk in enumerate(disks)
        ]
        for thread in reversed(threads):
            thread.start()
        for thread in threads:
            thread.join()
        moref = opened.complete()
    found = vm.get(session, moref)
    assert found.name == HOSTILE
    assert found.describe() == vm.describe_spec(spec)
    assert [disk.place for disk in found.disks] == ["nvme0:0", "lsisas0:0", "sata0:0"]
    for disk, out in zip(disks, do_export(session, moref, 3, tmp_path), strict=True):
        info = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", str(out)]))
        assert info["format-specific"]["data"]["create-type"] == "streamOptimized"
        assert same(disk.raw, out)


def test_what_the_machine_is_to_be(
    session: client.Session, place: placement.Placement, make: Make, disks: list[Disk], control: vcenter.Control
) -> None:
    spec = make(
        2,
        cpus=3,
        memory_mib=1022,
        firmware="efi",
        guest_id="debian12_64Guest",
        annotation="moved",
        nics=(NicSpec("VM Network", mac="fa:16:3e:00:00:02"), NicSpec("DC0_DVPG0", "e1000e", start_connected=False)),
    )
    found = do_import(session, place, spec, disks)
    wanted = vm.describe_spec(spec)
    wanted["nics"][1]["mac"] = found.nics[1].mac
    assert found.describe() == wanted and found.annotation == "moved"
    assert found.marks == spec.marks and found.instance_uuid == spec.instance_uuid and not found.powered_on
    (seen,) = [m for m in control.machines()[1] if m["moref"] == found.moref]
    assert [(n["type"], n["network"]) for n in seen["nics"]] == [("vmxnet3", "VM Network"), ("e1000e", "DC0_DVPG0")]
    assert [(d["controller"], d["bus"], d["unit"]) for d in seen["disks"]] == [("pvscsi", 0, 0), ("pvscsi", 0, 1)]


def test_an_unknown_guest_type_leaves_nothing(
    session: client.Session, place: placement.Placement, make: Make, control: vcenter.Control, access: dict[str, Any]
) -> None:
    spec = make(guest_id="debian99Guest")
    with pytest.raises(CloudExitError, match="guestId"):
        lease.open_import(session, place, spec)
    assert not left(control, spec, access)


def test_a_lease_wants_all_its_disks(
    session: client.Session,
    place: placement.Placement,
    make: Make,
    disks: list[Disk],
    control: vcenter.Control,
    access: dict[str, Any],
) -> None:
    spec = make(2)
    with pytest.raises(Conflict, match=r"\[1\] were not uploaded"), lease.open_import(session, place, spec) as opened:
        opened.upload(0, disks[0].produce)
        opened.complete()
    assert not left(control, spec, access)


def test_a_star_in_the_url_is_our_host(
    session: client.Session, place: placement.Placement, make: Make, disks: list[Disk], control: vcenter.Control
) -> None:
    control.faults(star_url=True, no_thumbprint=True)
    assert do_import(session, place, make(), disks).disks


# ----------------------------------------------------------------------------------------- when it goes wrong


def broken_import(
    session: client.Session, place: placement.Placement, spec: VmSpec, disks: list[Disk]
) -> CloudExitError:
    with pytest.raises(CloudExitError) as caught:
        do_import(session, place, spec, disks)
    return caught.value


def test_a_connection_that_is_cut_in_an_upload(
    session: client.Session,
    place: placement.Placement,
    make: Make,
    disks: list[Disk],
    control: vcenter.Control,
    access: dict[str, Any],
    tmp_path: Path,
) -> None:
    control.faults(cut_upload={"after": 300_000, "times": 1})
    spec = make()
    error = broken_import(session, place, spec, disks)
    assert isinstance(error, Unreachable) and error.retryable and "broke" in str(error)
    assert not left(control, spec, access)
    found = do_import(session, place, spec, disks)
    assert same(disks[0].raw, do_export(session, found.moref, 1, tmp_path)[0])


def test_a_connection_that_is_cut_in_a_download(
    session: client.Session,
    place: placement.Placement,
    make: Make,
    disks: list[Disk],
    control: vcenter.Control,
    tmp_path: Path,
) -> None:
    found = do_import(session, place, make(), disks)
    control.faults(cut_download={"after": 200_000, "times": 1})
    with pytest.raises(Unreachable) as caught:
        do_export(session, found.moref, 1, tmp_path)
    assert caught.value.retryable and not control.leases()
    assert same(disks[0].raw, do_export(session, found.moref, 1, tmp_path)[0])


def test_a_host_that_wants_lengths(
    session: client.Session, place: placement.Placement, make: Make, disks: list[Disk], control: vcenter.Control
) -> None:
    control.faults(refuse_chunked=True)
    runs: list[int] = []

    def produce(write: upload.Write) -> None:
        runs.append(1)
        disks[0].produce(write)

    with lease.open_import(session, place, make()) as opened:
        for mode in ("probe", "chunked"):
            with pytest.raises(upload.LengthRequired) as caught:
                opened.upload(0, produce, mode=mode, timeout=20)
            assert caught.value.consumed is (mode == "chunked")
        assert len(runs) == 1
        opened.upload(0, produce, mode="spooled", timeout=20)
        opened.complete()


def test_a_host_that_is_not_the_one_that_vcenter_named(
    session: client.Session,
    place: placement.Placement,
    make: Make,
    disks: list[Disk],
    control: vcenter.Control,
    access: dict[str, Any],
) -> None:
    control.faults(wrong_thumbprint=True)
    spec = make()
    error = broken_import(session, place, spec, disks)
    assert isinstance(error, Unreachable) and "not the one that vCenter named" in str(error) and not error.retryable
    assert not left(control, spec, access)


@pytest.mark.parametrize("state", ["initializing", "ready"])
def test_a_lease_that_fails(
    session: client.Session,
    place: placement.Placement,
    make: Make,
    disks: list[Disk],
    control: vcenter.Control,
    access: dict[str, Any],
    state: str,
) -> None:
    control.faults(lease={"state": state, "message": "Lost the host esx-7", "times": 1}, rate_mib_s=0.3)
    spec = make()
    error = broken_import(session, place, spec, disks)
    assert "Lost the host esx-7" in str(error)
    assert not left(control, spec, access)


def test_bytes_that_are_no_disk(
    session: client.Session,
    place: placement.Placement,
    make: Make,
    disks: list[Disk],
    control: vcenter.Control,
    access: dict[str, Any],
) -> None:
    whole = disks[0].stream.read_bytes()
    bodies = {
        "KDMV": b"\0" * 100_000,
        "too early": whole[: len(whole) // 2],
        "checksum": whole[:200_000] + bytes([whole[200_000] ^ 255]) + whole[200_001:],
    }
    for text, body in bodies.items():
        spec = make()
        with pytest.raises(CloudExitError) as caught, lease.open_import(session, place, spec) as opened:
            opened.upload(0, lambda write, body=body: write(body), timeout=20)
        assert text in str(caught.value) or text == "checksum"
        assert not left(control, spec, access)


def test_a_slow_upload_outlives_the_lease_timeout(
    session: client.Session, place: placement.Placement, make: Make, disks: list[Disk], control: vcenter.Control
) -> None:
    control.faults(rate_mib_s=disks[0].length / MIB / 6)  # six seconds; the lease ends after four without progress
    begun = time.monotonic()
    assert do_import(session, place, make(), disks).disks
    assert time.monotonic() - begun > 4.5


def test_a_session_that_ends_in_the_middle(
    session: client.Session,
    place: placement.Placement,
    make: Make,
    disks: list[Disk],
    control: vcenter.Control,
    access: dict[str, Any],
) -> None:
    control.faults(rate_mib_s=disks[0].length / MIB / 8)
    spec = make()
    timer = threading.Timer(1.0, control.end_sessions)
    timer.start()
    begun = time.monotonic()
    error = broken_import(session, place, spec, disks)
    assert error.retryable, str(error)
    assert time.monotonic() - begun < 7
    control.faults()
    assert not left(control, spec, access)
    assert do_import(session, place, spec, disks).disks


def stale(access: dict[str, Any], spec: VmSpec) -> str:
    """A lease of a process that died: its session and machine stay, nobody tells of progress."""
    dead = connect(access)
    opened = lease.open_import(dead, resolve(dead), spec)
    opened._end_beat()
    return opened.lease_id


def test_the_lease_of_a_dead_process_is_aborted_by_its_id(
    session: client.Session, make: Make, control: vcenter.Control, access: dict[str, Any]
) -> None:
    spec = make()
    assert lease.abort_by_id(session, stale(access, spec))
    eventually(lambda: not left(control, spec, access))
    assert vm.find(session, spec.instance_uuid) is None


def test_without_its_id_the_machine_is_removed_once_the_lease_times_out(
    session: client.Session, make: Make, control: vcenter.Control, access: dict[str, Any]
) -> None:
    spec = make()
    stale(access, spec)
    found = vm.find_ours(session, spec.instance_uuid, spec.marks or Marks("", ""))
    assert found is not None
    with pytest.raises(Timeout, match="still holds it"):
        vm.destroy_partial(session, found, spec.marks or Marks("", ""), timeout=0.1)
    assert vm.destroy_partial(session, found, spec.marks or Marks("", ""), timeout=20) is False
    assert not left(control, spec, access)


def test_corruption_at_the_target_is_there_to_be_found(
    session: client.Session,
    place: placement.Placement,
    make: Make,
    disks: list[Disk],
    control: vcenter.Control,
    tmp_path: Path,
) -> None:
    control.faults(corrupt_upload={"offset": 3 * MIB, "times": 1})
    found = do_import(session, place, make(), disks)
    assert not same(disks[0].raw, do_export(session, found.moref, 1, tmp_path)[0])


# -------------------------------------------------------------------------------------------------- machines


def test_marks_change_only_what_is_ours(
    session: client.Session, place: placement.Placement, make: Make, disks: list[Disk], instance: Instance
) -> None:
    spec = make(2)
    found = do_import(session, place, spec, disks)
    assert spec.marks is not None
    found = vm.set_state(session, found, "imported", manifests={0: "blake3:aa", 1: "blake3:bb"}, boot_disk=1)
    assert found.marks == replace(spec.marks, state="imported")
    assert found.manifests == {0: "blake3:aa", 1: "blake3:bb"}
    since = vcenter.now()
    vm.set_state(session, found, "imported")
    assert vm.find_ours(session, spec.instance_uuid, spec.marks) == vm.get(session, found.moref)
    resolve(session)
    assert vcenter.calls(instance, since)["writes"] == 0
    stranger = Marks("globex", spec.marks.source_id)
    for touch in (
        lambda: vm.find_ours(session, spec.instance_uuid, stranger),
        lambda: vm.set_marks(session, found.moref, stranger),
        lambda: vm.destroy_partial(session, found, stranger),
    ):
        with pytest.raises(Conflict, match="owner marks"):
            touch()
    with pytest.raises(Conflict, match="not unfinished"):
        vm.destroy_partial(session, found, spec.marks)
    assert vm.get(session, found.moref) == found


def test_power(
    session: client.Session, place: placement.Placement, make: Make, disks: list[Disk], control: vcenter.Control
) -> None:
    found = do_import(session, place, make(nics=(NicSpec("DC0_DVPG0", start_connected=False),)), disks)
    assert vm.connect_nics(session, found, True) is True
    found = vm.get(session, found.moref)
    assert vm.connect_nics(session, found, True) is False
    assert vm.power_on(session, found) is True and vm.power_on(session, found) is False
    found = vm.get(session, found.moref)
    assert found.powered_on and found.nics[0].connected
    with pytest.raises(Conflict, match="poweredOn"):
        vm.destroy_partial(session, found, found.marks or Marks("", ""))
    with pytest.raises(Refused, match="poweredOff"):
        lease.open_export(session, found.moref)
    with pytest.raises(Refused, match="Tools"):
        vm.shut_down(session, found)
    control.guest(found.moref, hostname="web", ip="10.0.0.5", nics=[{"mac": found.nics[0].mac, "ips": ["10.0.0.5"]}])
    found = vm.get(session, found.moref)
    assert (found.tools_running, found.hostname, found.addresses) == (True, "web", ("10.0.0.5",))
    assert vm.shut_down(session, found) is True and vm.shut_down(session, found) is False
    vm.power_on(session, found)
    assert vm.shut_down(session, found, force=True) is True
    assert vm.power_off(session, found) is False


def test_removing_a_machine_removes_its_disks_and_frees_the_space(
    session: client.Session,
    place: placement.Placement,
    make: Make,
    disks: list[Disk],
    control: vcenter.Control,
    access: dict[str, Any],
) -> None:
    before = resolve(session).datastore.free
    spec = make(2)
    found = do_import(session, place, spec, disks)
    assert resolve(session).datastore.free < before
    assert vm.destroy_partial(session, found, spec.marks or Marks("", "")) is True
    assert vm.destroy_partial(session, found, spec.marks or Marks("", "")) is False
    assert not left(control, spec, access) and resolve(session).datastore.free == before
    with pytest.raises(NotFound):
        vm.get(session, found.moref)
