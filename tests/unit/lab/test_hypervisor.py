# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor's hardware: what a cloud says becomes exactly that QEMU command line."""

from __future__ import annotations

import json
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.lab.guests import nvram
from tests.lab.hypervisor import forwards as registry
from tests.lab.hypervisor import machine as machines
from tests.lab.hypervisor.daemon import Director, Source, Target
from tests.lab.hypervisor.guest import identity
from tests.lab.hypervisor.machine import Files, Network, UnknownHardware
from tests.lab.hypervisor.qmp import Qmp, QmpError
from tests.lab.paths import Instance

SERVER = {
    "uuid": "66e48f74-8d73-4c05-b88b-ab73fd514509",
    "name": "a b'\"{{ 7*7 }}/../é",
    "vcpus": 2,
    "memory_mib": 768,
    "firmware": "bios",
    "disks": [
        {"path": "/v/b", "serial": None, "device": "/dev/vdb", "boot_index": None},
        {"path": "/v/a,x", "serial": "8d4443ac-cce8-4914-b577-1bea19f9c327", "device": "/dev/vda", "boot_index": 0},
    ],
    "nics": [
        {"mac": "FA:16:3E:00:00:01", "cidr": "10.20.0.0/24", "gateway": "10.20.0.1", "addresses": ["10.20.0.11"]},
        {"mac": "fa:16:3e:00:00:02", "cidr": None, "gateway": None, "addresses": []},
    ],
}
FILES = Files(serial="/log/a.serial", qmp="a.qmp", code="/fw/code.fd", nvram="/fw/vars.fd")


def options(argv: list[str], name: str) -> list[str]:
    return [argv[i + 1] for i, word in enumerate(argv) if word == name]


def vm(controller: str, nic: str = "vmxnet3", **more: Any) -> dict[str, Any]:
    return {
        "moref": "vm-57",
        "uuid": "4217f6de-7fbd-5ea5-a127-0c4f4a6b3f0d",
        "firmware": "bios",
        "cpus": 1,
        "memory_mib": 512,
        "disks": [
            {"key": 2001, "controller": controller, "bus": 0, "unit": 1, "path": "/t/disk-2001.raw"},
            {"key": 2000, "controller": controller, "bus": 0, "unit": 0, "path": "/t/disk-2000.raw"},
        ],
        "nics": [{"key": 4000, "type": nic, "mac": "fa:16:3e:00:00:01", "connected": True}],
        **more,
    }


def test_source_hardware_is_virtio_with_serial_mac_and_uuid() -> None:
    machine = machines.from_server(SERVER, {"fa:16:3e:00:00:01": {80: 21041, 22: 21040}})
    argv = machines.argv(machine, FILES)
    devices = options(argv, "-device")
    assert devices == [
        "virtio-blk-pci,id=vd0,addr=0x8,drive=disk0,serial=8d4443ac-cce8-4914-b,bootindex=0",
        "virtio-blk-pci,id=vd1,addr=0x9,drive=disk1,bootindex=1",
        "virtio-net-pci,id=nic0,netdev=net0,mac=fa:16:3e:00:00:01,addr=0x3,romfile=",
        "virtio-net-pci,id=nic1,netdev=net1,mac=fa:16:3e:00:00:02,addr=0x4,romfile=",
    ]
    assert [d.rpartition("file=")[2] for d in options(argv, "-drive")] == ["/v/a,,x", "/v/b"]
    assert options(argv, "-uuid") == [SERVER["uuid"]]
    assert options(argv, "-smp") == ["2"] and options(argv, "-m") == ["768M"]
    first, second = options(argv, "-netdev")
    assert first.startswith("user,id=net0,net=10.20.0.0/24,host=10.20.0.1,dns=10.20.0.254,dhcpstart=10.20.0.11,")
    assert "restrict=on" in first and "restrict=on" in second
    assert first.endswith("hostfwd=tcp:127.0.0.1:21040-10.20.0.11:22,hostfwd=tcp:127.0.0.1:21041-10.20.0.11:80")
    assert "hostfwd" not in second
    assert not any("7*7" in word for word in argv)


@pytest.mark.parametrize(
    ("controller", "device", "disk"),
    [
        ("pvscsi", "pvscsi,id=pvscsi0,addr=0x12", "scsi-hd,id=sd0,bus=pvscsi0.0,scsi-id=0,drive=disk0,bootindex=0"),
        ("lsisas", "mptsas1068,id=lsisas0,addr=0x12", "scsi-hd,id=sd0,bus=lsisas0.0,scsi-id=0,drive=disk0,bootindex=0"),
        (
            "lsilogic",
            "lsi53c895a,id=lsilogic0,addr=0x12",
            "scsi-hd,id=sd0,bus=lsilogic0.0,scsi-id=0,drive=disk0,bootindex=0",
        ),
        ("sata", "ich9-ahci,id=sata0,addr=0x12", "ide-hd,id=hd0,bus=sata0.0,drive=disk0,bootindex=0"),
        (
            "nvme",
            "nvme,id=nvme0,addr=0x12,serial=VMWare NVME_0000",
            "nvme-ns,id=ns0,bus=nvme0,nsid=1,drive=disk0,bootindex=0",
        ),
        ("ide", "ide-hd,id=hd0,bus=ide.0,unit=0,drive=disk0,bootindex=0", None),
    ],
)
def test_target_hardware_is_what_the_vm_names(controller: str, device: str, disk: str | None) -> None:
    argv = machines.argv(machines.from_vm(vm(controller), {}, {}), FILES)
    devices = options(argv, "-device")
    assert devices[: 2 if disk else 1] == [device, disk] if disk else [device]
    assert [d.rpartition("file=")[2] for d in options(argv, "-drive")] == ["/t/disk-2000.raw", "/t/disk-2001.raw"]
    assert sum("addr=0x12" in d for d in devices) == (0 if controller == "ide" else 1)


def test_disks_on_two_controllers_keep_their_order() -> None:
    described = vm("pvscsi")
    described["disks"] = [
        {"key": 2016, "controller": "pvscsi", "bus": 1, "unit": 0, "path": "/t/b"},
        {"key": 2032, "controller": "sata", "bus": 0, "unit": 0, "path": "/t/c"},
        {"key": 2000, "controller": "pvscsi", "bus": 0, "unit": 3, "path": "/t/a"},
    ]
    machine = machines.from_vm(described, {}, {})
    assert [d.path for d in machine.disks] == ["/t/a", "/t/b", "/t/c"]
    devices = options(machines.argv(machine, FILES), "-device")
    assert [d.split(",")[0] for d in devices[:6]] == ["pvscsi", "scsi-hd", "pvscsi", "scsi-hd", "ich9-ahci", "ide-hd"]
    assert "scsi-id=3" in devices[1]


@pytest.mark.parametrize(("kind", "device"), [("vmxnet3", "vmxnet3"), ("e1000e", "e1000e"), ("e1000", "e1000-82545em")])
def test_target_nic_type(kind: str, device: str) -> None:
    net = Network.of("10.20.0.0/24", "10.20.0.1", "10.20.0.11")
    machine = machines.from_vm(vm("pvscsi", kind), {"fa:16:3e:00:00:01": net}, {"fa:16:3e:00:00:01": {80: 21043}})
    argv = machines.argv(machine, FILES)
    assert options(argv, "-device")[-1] == f"{device},id=nic0,netdev=net0,mac=fa:16:3e:00:00:01,addr=0xb,romfile="
    assert "dhcpstart=10.20.0.11" in options(argv, "-netdev")[0]
    assert "hostfwd=tcp:127.0.0.1:21043-10.20.0.11:80" in options(argv, "-netdev")[0]


def test_uefi_has_its_own_variables_and_leaves_the_boot_order_to_them() -> None:
    argv = machines.argv(machines.from_vm(vm("pvscsi", firmware="efi"), {}, {}), FILES)
    drives = options(argv, "-drive")
    assert drives[0] == "if=pflash,format=raw,unit=0,readonly=on,file=/fw/code.fd"
    assert drives[1] == "if=pflash,format=raw,unit=1,file=/fw/vars.fd"
    # the firmware has no driver for pvscsi: it gets the same bytes once more, read only, where it finds them
    assert [d for d in options(argv, "-device") if "bootindex" in d] == ["ide-hd,bus=ahci.0,drive=firmware,bootindex=0"]
    assert "snapshot=on" in drives[-1] and drives[-1].endswith("file.filename=/t/disk-2000.raw")
    argv = machines.argv(machines.from_vm(vm("sata", firmware="efi"), {}, {}), FILES)
    assert not any("bootindex" in d for d in options(argv, "-device"))


def test_unknown_hardware_is_refused() -> None:
    with pytest.raises(UnknownHardware, match="disk 2001 is on a controller that is not known: 'floppy'"):
        machines.from_vm({**vm("floppy"), "disks": vm("floppy")["disks"][:1]}, {}, {})
    with pytest.raises(UnknownHardware, match="NIC 4000 is of a type that is not known: 'sriov'"):
        machines.from_vm(vm("pvscsi", "sriov"), {}, {})
    with pytest.raises(UnknownHardware, match="no MAC address"):
        machines.from_server({**SERVER, "nics": [{"mac": "x,netdev=y"}]}, {})
    with pytest.raises(UnknownHardware, match="no server id"):
        machines.from_server({**SERVER, "uuid": "../x"}, {})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("10.0.0.0/24", None, None), ("10.0.0.0/24", "10.0.0.1", "10.0.0.15", "10.0.0.254")),
        (("10.0.0.0/24", "10.0.0.254", "10.0.0.1"), ("10.0.0.0/24", "10.0.0.254", "10.0.0.1", "10.0.0.253")),
        (("10.0.0.0/29", None, "10.0.0.1"), ("10.0.0.0/29", "10.0.0.2", "10.0.0.1", "10.0.0.6")),
        (("fd00::/64", None, None), ("10.99.0.0/24", "10.99.0.1", "10.99.0.15", "10.99.0.254")),
        ((None, None, None), ("10.99.0.0/24", "10.99.0.1", "10.99.0.15", "10.99.0.254")),
    ],
)
def test_network_addresses_differ_and_are_in_the_subnet(given: Any, expected: Any) -> None:
    net = Network.of(*given)
    assert (net.cidr, net.gateway, net.address, net.dns) == expected


def test_report_is_the_last_whole_line() -> None:
    console = (
        b'boot\r\nCLOUDEXIT-GUEST {"hostname": "a"}\r\nx CLOUDEXIT-GUEST {"hostname": "b"}\r\nCLOUDEXIT-GUEST {"ho'
    )
    assert machines.report_of(console) == {"hostname": "b"}
    assert machines.report_of(b"nothing") is None


def test_bootable() -> None:
    mbr = b"\xeb\x63" + bytes(508) + b"\x55\xaa"
    assert machines.bootable(mbr + bytes(512))
    assert machines.bootable(bytes(510) + b"\x55\xaa" + b"EFI PART" + bytes(504))
    assert not machines.bootable(bytes(510) + b"\x55\xaa" + bytes(512))
    assert not machines.bootable(b"lab disk web-1\n" + bytes(1009))
    assert not machines.bootable(mbr)


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = Instance("trial", 24000, root=tmp_path)
    made.make_dirs()
    return made


def test_ports_stay_and_differ(instance: Instance) -> None:
    first = registry.ports(instance, "source", "FA:16:3E:00:00:01")
    assert first == {22: 24040, 80: 24041}
    assert registry.ports(instance, "target", "fa:16:3e:00:00:01") == {22: 24042, 80: 24043}
    assert registry.ports(instance, "source", "fa:16:3e:00:00:01") == first
    assert registry.known(instance)["target", "fa:16:3e:00:00:01"] == {22: 24042, 80: 24043}
    with pytest.raises(ValueError, match="neither source nor target"):
        registry.ports(instance, "reader", "fa:16:3e:00:00:01")


def test_a_full_range_gives_up_what_nobody_uses(instance: Instance) -> None:
    macs = [f"fa:16:3e:00:00:{i:02x}" for i in range(180)]
    for mac in macs:
        registry.ports(instance, "source", mac)
    busy = frozenset({("source", macs[0])})
    assert registry.ports(instance, "target", macs[0], busy) == {22: 24042, 80: 24043}
    assert registry.ports(instance, "source", macs[0]) == {22: 24040, 80: 24041}
    with pytest.raises(RuntimeError, match="in use"):
        registry.ports(instance, "target", "fa:16:3e:ff:ff:ff", frozenset(registry.known(instance)))


class FakeQemu(threading.Thread):
    """Answers one conversation; the second command is refused."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen(1)
        self.heard: list[Any] = []

    def run(self) -> None:
        connection, dummy = self.server.accept()
        with connection, connection.makefile("rw") as f:
            f.write('{"QMP": {}}\n')
            f.flush()
            for line in f:
                self.heard.append(json.loads(line))
                f.write('{"event": "NOISE"}\n')
                good = len(self.heard) < 3
                f.write('{"return": {"ok": 1}}\n' if good else '{"error": {"desc": "no such NIC"}}\n')
                f.flush()


def test_qmp_skips_events_and_names_refusals(tmp_path: Path) -> None:
    fake = FakeQemu(tmp_path / "q.qmp")
    fake.start()
    with Qmp(tmp_path / "q.qmp") as qmp:
        assert qmp.execute("system_powerdown") == {"ok": 1}
        with pytest.raises(QmpError, match="set_link: no such NIC"):
            qmp.execute("set_link", name="nic9", up=False)
    assert fake.heard[1] == {"execute": "system_powerdown"}
    assert fake.heard[2] == {"execute": "set_link", "arguments": {"name": "nic9", "up": False}}
    with pytest.raises(QmpError), Qmp(tmp_path / "none.qmp"):
        pass


def test_boot_entry_in_firmware_variables() -> None:
    store = bytearray(b"\xff" * 4096)
    store[0:72] = bytes(40) + b"_FVH" + struct.pack("<IHHHBB", 0, 72, 0, 0, 0, 2) + bytes(16)
    header = struct.pack("<16sIBBHI", bytes.fromhex("782cf3aa7b949a43a1802e144ec37792"), 4096 - 72, 0x5A, 0xFE, 0, 0)
    store[72 : 72 + len(header)] = header
    guid = "573e1c1d-927f-4231-b9ef-7d870c74c785"
    entry = nvram.BootEntry("debian", 1, 2048, 129024, guid, "\\EFI\\debian\\shimx64.efi")
    made = nvram.with_boot_entry(bytes(store), entry)
    found = {name: content for name, content, dummy in nvram.variables(made)}
    assert found["BootOrder"] == b"\0\0"
    option = found["Boot0000"]
    assert option[:4] == b"\1\0\0\0" and "debian".encode("utf-16-le") in option
    assert bytes.fromhex("1d1c3e577f923142b9ef7d870c74c785") in option
    assert "\\EFI\\debian\\shimx64.efi".encode("utf-16-le") in option and option.endswith(b"\x7f\xff\x04\0")
    assert len(made) == len(store)
    with pytest.raises(ValueError, match="firmware volume"):
        nvram.with_boot_entry(bytes(4096), entry)


def put_server(instance: Instance, power: str, content: bytes = b"lab disk\n") -> Path:
    folder = instance.data / "nova" / "instances" / str(SERVER["uuid"])
    folder.mkdir(parents=True)
    disk = folder / "disk"
    disk.write_bytes(content.ljust(4096, b"\0"))
    disks = [{"path": str(disk), "serial": "x", "device": "/dev/vda", "boot_index": 0}]
    (folder / "server.json").write_text(json.dumps({**SERVER, "disks": disks}))
    (folder / "power").write_text(power)
    return folder


def test_a_server_without_a_system_has_no_guest(instance: Instance) -> None:
    folder = put_server(instance, "on")
    source = Source(instance, lambda _: None, "tcg")
    source.step(False)
    assert json.loads((folder / "guest.json").read_text()) == {"state": "none", "pid": None}
    (folder / "power").write_text("off")
    source.step(False)
    assert json.loads((folder / "guest.json").read_text())["state"] == "stopped"


def test_no_guest_where_none_is_wanted(instance: Instance) -> None:
    folder = put_server(instance, "on", b"\xeb\x63" + bytes(508) + b"\x55\xaa")
    Source(instance, lambda _: None, "tcg").step(True)
    assert json.loads((folder / "guest.json").read_text())["state"] == "none"
    server = json.loads((folder / "server.json").read_text())
    (folder / "server.json").write_text(json.dumps({**server, "guest": "none"}))
    Source(instance, lambda _: None, "tcg").step(False)
    assert json.loads((folder / "guest.json").read_text())["state"] == "none"


class FakeGuest:
    """Stands for a QEMU process in the loop's decisions."""

    @staticmethod
    def adopt(*_: Any) -> dict[str, Any]:
        return {}

    def __init__(self, instance: Instance, key: str) -> None:
        self.key = key
        self.note: dict[str, Any] = {}
        self.alive = False
        self.calls: list[str] = []
        self.stopping = False
        self.said: dict[str, Any] | None = None
        self.links: list[bool] = []
        self.proc = type("P", (), {"pid": 4711})()

    def start(self, machine: Any, order: str, *_: Any) -> int:
        self.calls.append("start")
        self.alive, self.stopping = True, False
        self.machine = machine
        self.note = {
            "order": order,
            "ended": False,
            "uuid": machine.uuid,
            "disks": [identity(Path(machine.disks[0].path))],
        }
        self.note["nics"] = [{"mac": n.mac, "address": n.network.address} for n in machine.nics]
        return 4711

    def running(self) -> bool:
        return self.alive

    def press_power(self, grace: float) -> None:
        self.calls.append("press")
        self.stopping = True

    def kill(self) -> None:
        self.calls.append("kill")
        self.alive = False

    def ended(self) -> None:
        self.note["ended"] = True

    def report(self) -> dict[str, Any] | None:
        return self.said

    def set_links(self, connected: list[bool]) -> None:
        self.links = connected

    def forget(self) -> None:
        self.calls.append("forget")


def test_a_guest_that_switched_itself_off_stays_off_until_switched_on_again(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.lab.hypervisor.daemon.Guest", FakeGuest)
    folder = put_server(instance, "on", b"\xeb\x63" + bytes(508) + b"\x55\xaa")
    source = Source(instance, lambda _: None, "tcg")

    def state() -> str:
        source.step(False)
        return str(json.loads((folder / "guest.json").read_text())["state"])

    assert state() == "running"
    guest: Any = source.guests[str(SERVER["uuid"])]
    guest.alive = False
    assert state() == "stopped" and state() == "stopped"
    assert guest.calls == ["start"]
    (folder / "power").unlink()
    (folder / "power").write_text("on\n")
    assert state() == "running" and guest.calls == ["start", "start"]
    (folder / "power").write_text("off")
    assert state() == "running" and guest.calls[-1] == "press"
    (folder / "power").write_text("kill")
    assert state() == "stopped" and guest.calls[-1] == "kill"


class FakeControl:
    """The lab's door to its vCenter, as far as the hypervisor uses it."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def power(self, moref: str, state: str) -> None:
        self.told.append((moref, state))

    def guest(self, moref: str, **said: Any) -> None:
        self.told.append((moref, said))


@pytest.fixture
def target(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("tests.lab.hypervisor.daemon.Guest", FakeGuest)
    put_server(instance, "off")
    source = Source(instance, lambda _: None, "tcg")
    source.step(False)
    made: Any = Target(instance, source, lambda _: None, "tcg")
    made._control = FakeControl()
    return made


def powered_on(tmp_path: Path, **more: Any) -> dict[str, Any]:
    described = vm("pvscsi", power="poweredOn", leased=False, extra_config={}, **more)
    described["disks"] = [{"key": 2000, "controller": "pvscsi", "bus": 0, "unit": 0, "path": str(tmp_path / "d.raw")}]
    (tmp_path / "d.raw").write_bytes((b"\xeb\x63" + bytes(508) + b"\x55\xaa").ljust(4096, b"\0"))
    return described


def test_a_vm_that_is_on_runs_where_its_mac_was_and_reports(target: Any, tmp_path: Path) -> None:
    described = powered_on(tmp_path)
    target._news = [described]
    target.step(False)
    guest = target.guests["vm-57"]
    assert guest.calls == ["start"]
    assert guest.machine.nics[0].network.address == "10.20.0.11"
    assert guest.machine.nics[0].forwards == registry.ports(target.instance, "target", "fa:16:3e:00:00:01")
    guest.said = {"hostname": "web-1", "ips": ["10.20.0.11"]}
    target.step(False)
    target.step(False)
    nics = [{"mac": "fa:16:3e:00:00:01", "ips": ["10.20.0.11"]}]
    said = {"hostname": "web-1", "ip": "10.20.0.11", "tools_running": True, "nics": nics}
    assert target._control.told == [("vm-57", said)]
    assert guest.links == [True]


def test_a_nic_with_another_mac_is_found_by_the_mark_of_its_source(target: Any, tmp_path: Path) -> None:
    described = powered_on(tmp_path)
    described["nics"][0]["mac"] = "00:50:56:00:00:01"
    described["extra_config"] = {"cloudexit.source_id": SERVER["uuid"]}
    assert target.machine(described).nics[0].network.address == "10.20.0.11"


def test_cloud_director_names_the_subnet_and_each_side_keeps_its_own_guests(target: Any, tmp_path: Path) -> None:
    director: Any = Director(target.instance, target.source, lambda _: None, "tcg")
    director._control = FakeControl()
    described = {**powered_on(tmp_path), "moref": "vm-0123456789ab"}
    described["nics"][0] |= {"mac": "00:50:56:00:00:01", "gateway": "10.20.0.1", "prefix": 24, "address": "10.20.0.77"}
    assert director.machine(described).nics[0].network == Network.of("10.20.0.0/24", "10.20.0.1", "10.20.0.77")
    described["nics"][0]["address"] = ""
    described["extra_config"] = {"cloudexit.source_id": SERVER["uuid"]}
    assert director.machine(described).nics[0].network.address == "10.20.0.11"
    director._news = [described]
    director.step(False)
    assert director.guests["vm-0123456789ab"].calls == ["start"]
    assert [bool(s.ours.fullmatch(m)) for s in (target, director) for m in ("vm-57", "vm-0123456789ab")] == [
        True,
        False,
        False,
        True,
    ]


def test_vcenter_hears_of_a_guest_that_switched_itself_off(target: Any, tmp_path: Path) -> None:
    described = powered_on(tmp_path)
    target._news = [described]
    target.step(False)
    target.guests["vm-57"].alive = False
    target.step(False)
    assert target._control.told == [("vm-57", "poweredOff")]
    assert target.guests["vm-57"].calls == ["start"]


def test_a_vm_is_shut_down_and_one_that_is_gone_is_unplugged(target: Any, tmp_path: Path) -> None:
    described = powered_on(tmp_path)
    target._news = [described]
    target.step(False)
    guest = target.guests["vm-57"]
    target._news = [{**described, "power": "poweredOff"}]
    target.step(False)
    assert guest.calls == ["start", "press"] and target._control.told == []
    target._news = []
    target.step(False)
    assert guest.calls == ["start", "press", "kill", "forget"] and target.guests == {}


def test_a_namesake_of_a_gone_vm_is_another_machine(target: Any, tmp_path: Path) -> None:
    described = powered_on(tmp_path)
    target._news = [described]
    target.step(False)
    former = target.guests["vm-57"]
    target._news = [{**described, "uuid": "5217f6de-7fbd-5ea5-a127-0c4f4a6b3f0d"}]
    target.step(False)
    assert former.calls[1:] == ["kill", "forget"]
    assert target.guests["vm-57"] is not former and target.guests["vm-57"].calls == ["start"]


@pytest.mark.parametrize("more", [{"leased": True}, {"power": "poweredOff"}])
def test_no_guest_while_a_vm_is_imported_or_off(target: Any, tmp_path: Path, more: dict[str, Any]) -> None:
    target._news = [{**powered_on(tmp_path), **more}]
    target.step(False)
    assert target.guests == {}
