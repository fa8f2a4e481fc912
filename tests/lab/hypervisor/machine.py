# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine as either cloud describes it, and the QEMU command line that gives exactly this hardware. No I/O."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

QEMU = "qemu-system-x86_64"
HOST = "127.0.0.1"
GUEST_PORTS = (22, 80)
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# disk controller of vSphere -> QEMU's device, and the bus its disks sit on. QEMU has no parallel Fusion MPT
# (lsilogic), so that gets the older chip of the same maker.
_SCSI = {"pvscsi": "pvscsi", "lsisas": "mptsas1068", "lsilogic": "lsi53c895a", "buslogic": "am53c974"}
_NICS = {
    "virtio": "virtio-net-pci",
    "vmxnet3": "vmxnet3",
    "vmxnet2": "vmxnet3",
    "vmxnet": "vmxnet3",
    "e1000e": "e1000e",
    "e1000": "e1000-82545em",
}
_BOOT_RANK = {"virtio": 0, "pvscsi": 0, "lsisas": 0, "lsilogic": 0, "buslogic": 0, "sata": 1, "nvme": 2, "ide": 3}
# PCI slots. On the source they are those of a KVM cloud (first NIC in slot 3, so "ens3"); on the target others, so
# that a guest which relies on the old name is seen to.
_SLOTS = {"source": {"nic": 3, "disk": 8}, "target": {"nic": 11, "disk": 18}}


class UnknownHardware(ValueError):
    """Hardware that this hypervisor cannot give."""


@dataclass(frozen=True)
class Network:
    """What a NIC is plugged into: the subnet, the gateway's address and the address the guest has (or gets)."""

    cidr: str
    gateway: str
    address: str
    dns: str

    @classmethod
    def of(cls, cidr: str | None, gateway: str | None, address: str | None) -> Network:
        """Fill in what is unknown: a subnet of our own, its first address as gateway, the 15th for the guest."""
        try:
            net = ipaddress.IPv4Network(cidr or "10.99.0.0/24", strict=False)
        except ValueError:
            net = ipaddress.IPv4Network("10.99.0.0/24")
        last = net.num_addresses - 2
        taken = {a for a in (gateway, address) if a}

        def pick(*numbers: int) -> str:
            for n in numbers:
                found = str(net[max(1, min(n, last))])
                if found not in taken:
                    taken.add(found)
                    return found
            return str(next(a for a in net.hosts() if str(a) not in taken))

        gateway = gateway or pick(1, 2, 3)
        address = address if address and ipaddress.ip_address(address) in net else pick(15, 4, 5, 6)
        return cls(str(net), gateway, address, pick(last, last - 1, last - 2))


@dataclass(frozen=True)
class Nic:
    """A network card. ``forwards`` are ports of the guest -> ports of this machine's loopback."""

    mac: str
    kind: str
    network: Network
    forwards: Mapping[int, int] = field(default_factory=dict)
    connected: bool = True


@dataclass(frozen=True)
class Disk:
    """A disk: the raw file, where it sits, and what it says its serial is."""

    path: str
    controller: str
    bus: int = 0
    unit: int = 0
    serial: str = ""
    read_only: bool = False


@dataclass(frozen=True)
class Machine:
    """A machine. ``side`` is source or target; ``id`` the server's id, or the VM's moref; disks in boot order."""

    side: str
    id: str
    uuid: str
    firmware: str
    cpus: int
    memory_mib: int
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]

    @property
    def key(self) -> str:
        """The machine's name among processes and files."""
        return f"{self.side}-{self.id}"


@dataclass(frozen=True)
class Files:
    """Where a running machine's own files are: console, control socket (relative to its folder), firmware."""

    serial: str
    qmp: str
    code: str = ""
    nvram: str = ""


def _checked(pattern: re.Pattern[str], value: str, what: str) -> str:
    if not pattern.fullmatch(value):
        raise UnknownHardware(f"{value!r} is no {what}")
    return value


def from_server(server: Mapping[str, Any], forwards: Mapping[str, Mapping[int, int]]) -> Machine:
    """The machine of Nova's server.json; forwards by MAC. Disks: boot disk first, then by device name."""
    disks = sorted(server["disks"], key=lambda d: (d.get("boot_index") != 0, len(d["device"]), d["device"]))
    return Machine(
        side="source",
        id=_checked(_UUID, server["uuid"], "server id"),
        uuid=server["uuid"],
        firmware="efi" if server.get("firmware") in ("uefi", "efi") else "bios",
        cpus=int(server["vcpus"]),
        memory_mib=int(server["memory_mib"]),
        disks=tuple(
            Disk(d["path"], "virtio", 0, i, (d.get("serial") or "")[:20], bool(d.get("read_only")))
            for i, d in enumerate(disks)
        ),
        nics=tuple(
            Nic(
                _checked(_MAC, n["mac"].lower(), "MAC address"),
                "virtio",
                server_network(n),
                dict(forwards.get(n["mac"].lower(), {})),
            )
            for n in server["nics"]
        ),
    )


def server_network(nic: Mapping[str, Any]) -> Network:
    """The network of a NIC in server.json."""
    return Network.of(nic.get("cidr"), nic.get("gateway"), next(iter(nic.get("addresses") or []), None))


def from_vm(
    vm: Mapping[str, Any], networks: Mapping[str, Network], forwards: Mapping[str, Mapping[int, int]]
) -> Machine:
    """The machine of a VM as the lab's vCenter describes it; networks and forwards by MAC.

    Raises UnknownHardware for a controller or NIC type that is not known.
    """
    disks = sorted(vm["disks"], key=lambda d: (_BOOT_RANK.get(d["controller"], 9), d["bus"], d["unit"], d["key"]))
    for d in disks:
        if d["controller"] not in _BOOT_RANK:
            raise UnknownHardware(f"disk {d['key']} is on a controller that is not known: {d['controller']!r}")
    for n in vm["nics"]:
        if n["type"] not in _NICS:
            raise UnknownHardware(f"NIC {n['key']} is of a type that is not known: {n['type']!r}")
    return Machine(
        side="target",
        id=_checked(re.compile(r"[A-Za-z0-9-]{1,40}"), vm["moref"], "moref"),
        uuid=vm["uuid"] if _UUID.fullmatch(vm.get("uuid") or "") else "",
        firmware="efi" if vm.get("firmware") == "efi" else "bios",
        cpus=int(vm["cpus"]),
        memory_mib=int(vm["memory_mib"]),
        disks=tuple(Disk(d["path"], d["controller"], int(d["bus"]), int(d["unit"])) for d in disks),
        nics=tuple(
            Nic(
                _checked(_MAC, n["mac"].lower(), "MAC address"),
                n["type"],
                networks.get(n["mac"].lower()) or Network.of(None, None, None),
                dict(forwards.get(n["mac"].lower(), {})),
                bool(n["connected"]),
            )
            for n in vm["nics"]
        ),
    )


def _option(*parts: str, **values: Any) -> str:
    """A QEMU option string; commas in values are doubled, as QEMU wants it."""
    return ",".join([*parts, *(f"{k.replace('_', '-')}={str(v).replace(',', ',,')}" for k, v in values.items())])


def _controllers(machine: Machine) -> list[str]:
    """The disk controllers, each in a slot of its own, and the disks on them."""
    argv: list[str] = []
    slot = _SLOTS[machine.side]["disk"]
    seen: dict[tuple[str, int], str] = {}

    def controller(device: str, disk: Disk, **values: Any) -> str:
        nonlocal slot
        name = seen.get((disk.controller, disk.bus))
        if name is None:
            name = seen[disk.controller, disk.bus] = f"{disk.controller}{disk.bus}"
            argv.extend(["-device", _option(device, id=name, addr=f"{slot:#x}", **values)])
            slot += 1
        return name

    for i, disk in enumerate(machine.disks):
        common: dict[str, Any] = {"drive": f"disk{i}"}
        if disk.serial:
            common["serial"] = disk.serial
        if machine.firmware == "bios":
            common["bootindex"] = i
        if disk.controller == "virtio":
            device = _option("virtio-blk-pci", id=f"vd{i}", addr=f"{slot:#x}", **common)
            slot += 1
        elif disk.controller in _SCSI:
            name = controller(_SCSI[disk.controller], disk)
            device = _option("scsi-hd", id=f"sd{i}", bus=f"{name}.0", scsi_id=disk.unit, **common)
        elif disk.controller == "sata":
            name = controller("ich9-ahci", disk)
            device = _option("ide-hd", id=f"hd{i}", bus=f"{name}.{disk.unit}", **common)
        elif disk.controller == "nvme":
            name = controller("nvme", disk, serial=f"VMWare NVME_000{disk.bus}")
            bootindex = common.pop("bootindex", None)
            common.pop("serial", None)
            device = _option("nvme-ns", id=f"ns{i}", bus=name, nsid=disk.unit + 1, **common)
            if bootindex is not None:
                device += f",bootindex={bootindex}"
        else:
            device = _option("ide-hd", id=f"hd{i}", bus=f"ide.{disk.bus}", unit=disk.unit, **common)
        # unsafe: writes are in this machine's page cache, where everybody sees them; only its own crash loses them
        drive = _option(
            **{"if": "none", "id": f"disk{i}", "format": "raw", "cache": "unsafe", "discard": "unmap"},
            readonly="on" if disk.read_only else "off",
            file=disk.path,
        )
        argv.extend(["-drive", drive, "-device", device])
    return argv


def _for_firmware(machine: Machine) -> list[str]:
    """The boot disk once more, for UEFI firmware that has no driver for the controller that it is on.

    Debian's OVMF is built without SCSI controllers of VMware's kinds, which VMware's own firmware has. It gets the same
    bytes behind an AHCI controller, never to be written; a Debian cloud kernel has no driver for that one and sees the
    disk where the cloud says that it is.
    """
    if machine.firmware != "efi" or not machine.disks or machine.disks[0].controller not in _SCSI:
        return []
    # the other drive holds the lock of the file
    common = {"if": "none", "id": "firmware", "format": "raw", "snapshot": "on", "file.locking": "off"}
    drive = _option(**common, **{"file.filename": machine.disks[0].path})
    return ["-drive", drive, "-device", "ich9-ahci,id=ahci", "-device", "ide-hd,bus=ahci.0,drive=firmware,bootindex=0"]


def _cards(machine: Machine) -> list[str]:
    argv: list[str] = []
    for i, nic in enumerate(machine.nics):
        net = nic.network
        user = _option(
            "user",
            id=f"net{i}",
            net=net.cidr,
            host=net.gateway,
            dns=net.dns,
            dhcpstart=net.address,
            restrict="on",
            ipv6="off",
        )
        for inside, outside in sorted(nic.forwards.items()):
            user += f",hostfwd=tcp:{HOST}:{outside}-{net.address}:{inside}"
        argv += ["-netdev", user]
        slot = _SLOTS[machine.side]["nic"] + i
        argv += [
            "-device",
            _option(_NICS[nic.kind], id=f"nic{i}", netdev=f"net{i}", mac=nic.mac, addr=f"{slot:#x}", romfile=""),
        ]
    return argv


def argv(machine: Machine, files: Files, accel: str = "tcg") -> list[str]:
    """The command line. Relative names in ``files`` are of the folder that QEMU is started in."""
    line = [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none"]
    line += ["-name", f"guest={machine.key}", "-machine", "pc,vmport=off"]
    if accel == "kvm":
        line += ["-accel", "kvm", "-cpu", "host"]
    else:
        # the oldest 64-bit model: the guest does not look for (slowly emulated) features and test them
        line += ["-accel", "tcg,thread=multi,tb-size=192", "-cpu", "qemu64"]
    line += ["-smp", str(machine.cpus), "-m", f"{machine.memory_mib}M"]
    if machine.uuid:
        line += ["-uuid", machine.uuid]
    if machine.firmware == "efi":
        line += ["-drive", _option(**{"if": "pflash", "format": "raw", "unit": 0, "readonly": "on"}, file=files.code)]
        line += ["-drive", _option(**{"if": "pflash", "format": "raw", "unit": 1}, file=files.nvram)]
    line += _controllers(machine)
    line += _for_firmware(machine)
    line += _cards(machine)
    line += ["-chardev", _option("file", id="console", path=files.serial, append="on"), "-serial", "chardev:console"]
    line += ["-qmp", _option(f"unix:{files.qmp}", server="on", wait="off"), "-rtc", "base=utc"]
    return line


def report_of(console: bytes) -> dict[str, Any] | None:
    """What the guest said of itself last on its console (the line CLOUDEXIT-GUEST {json}); None when nothing yet."""
    found = None
    for line in console.splitlines():
        dummy, mark, text = line.partition(b"CLOUDEXIT-GUEST ")
        if mark:
            try:
                said = json.loads(text.strip())
            except ValueError:
                continue
            if isinstance(said, dict):
                found = said
    return found


def bootable(first: bytes) -> bool:
    """Whether a disk's first two sectors look like something to boot: MBR with code, or a GPT."""
    if len(first) < 1024 or first[510:512] != b"\x55\xaa":
        return False
    return any(first[:440]) or first[512:520] == b"EFI PART"
