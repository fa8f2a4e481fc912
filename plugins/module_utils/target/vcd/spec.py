# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine in Cloud Director is to be, and everything that can be wrong with it before a byte is sent."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import spec as vsphere
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.spec import DiskPlace

MAX_DISK = 2 << 40
"""Bytes of the largest disk that Cloud Avenue's datastores take."""

MAX_NICS = 10
MODES = ("POOL", "MANUAL", "DHCP", "NONE")
NIC_TYPES = {"vmxnet3": "VMXNET3", "e1000": "E1000", "e1000e": "E1000E"}
ADAPTERS = {"ide": "1", "lsilogic": "3", "lsisas": "4", "pvscsi": "5", "sata": "6", "nvme": "7"}
"""Kinds of controllers, and Cloud Director's numbers for them."""

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True)
class DiskSpec:
    """A disk: size in bytes, controller, its place there (None: the next free one), storage profile ("": the VM's)."""

    capacity_bytes: int
    controller: str = "pvscsi"
    bus: int | None = None
    unit: int | None = None
    storage_profile: str = ""


@dataclass(frozen=True)
class NicSpec:
    """A network card. network: name in the vApp, "" for none. mode: where its address comes from (MODES).

    mac: "" lets Cloud Director make one. address: for MANUAL.
    """

    network: str = ""
    mode: str = "DHCP"
    address: str = ""
    mac: str = ""
    type: str = "vmxnet3"
    connected: bool = True


@dataclass(frozen=True)
class VmSpec:
    """A machine. Disks and cards are in the order in which they count, the boot disk and the primary card first."""

    name: str
    cpus: int
    memory_mib: int
    disks: tuple[DiskSpec, ...]
    nics: tuple[NicSpec, ...] = ()
    firmware: str = "bios"
    guest_id: str = "otherLinux64Guest"
    hardware_version: int = 19
    cores_per_socket: int = 0
    computer_name: str = ""
    description: str = ""
    storage_profile: str = ""


def places(disks: Sequence[DiskSpec]) -> list[DiskPlace]:
    """A place for each disk, in order."""
    return _layout(disks)[0]


def _layout(disks: Sequence[DiskSpec], path: str = "disks") -> tuple[list[DiskPlace], list[Problem]]:
    return vsphere.layout([vsphere.DiskSpec(d.capacity_bytes, d.controller, d.bus, d.unit) for d in disks], path)


def problems(spec: VmSpec, path: str = "vm") -> list[Problem]:
    """Everything that is wrong with it, each with its path."""
    found: list[Problem] = []

    def say(where: str, message: str) -> None:
        found.append(Problem(f"{path}.{where}", message))

    if not 1 <= len(spec.name) <= 128 or any(ord(char) < 32 or ord(char) == 127 for char in spec.name):
        say("name", "a name has 1 to 128 characters, none of them a control character")
    if spec.computer_name and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}", spec.computer_name):
        say("computer_name", f"{spec.computer_name!r} is not up to 63 letters, digits and dashes")
    if not 1 <= spec.cpus <= 768:
        say("cpus", f"{spec.cpus} is not between 1 and 768")
    elif spec.cores_per_socket and spec.cpus % spec.cores_per_socket:
        say("cores_per_socket", f"{spec.cpus} CPUs are no multiple of {spec.cores_per_socket}")
    if spec.memory_mib < 4 or spec.memory_mib % 4:
        say("memory_mib", f"{spec.memory_mib} is not a multiple of 4")
    if spec.firmware not in ("bios", "efi"):
        say("firmware", f"{spec.firmware!r} is not one of bios, efi")
    if not spec.disks:
        say("disks", "there is no disk")
    for index, disk in enumerate(spec.disks):
        if disk.capacity_bytes <= 0 or disk.capacity_bytes % (1 << 20):
            say(f"disks[{index}].capacity_bytes", f"{disk.capacity_bytes} is not a positive number of whole MiB")
        elif disk.capacity_bytes > MAX_DISK:
            say(
                f"disks[{index}].capacity_bytes",
                f"{disk.capacity_bytes >> 30} GiB; a disk has at most {MAX_DISK >> 30} GiB here. Copy its files onto "
                "several smaller disks in the guest, shrink it before, or choose a vSphere target",
            )
    found += _layout(spec.disks, f"{path}.disks")[1]
    if len(spec.nics) > MAX_NICS:
        say("nics", f"{len(spec.nics)} network cards; a machine has at most {MAX_NICS}")
    seen: dict[str, int] = {}
    for index, nic in enumerate(spec.nics):
        where = f"nics[{index}]"
        if nic.type not in NIC_TYPES:
            say(f"{where}.type", f"{nic.type!r} is not one of {', '.join(NIC_TYPES)}")
        if nic.mode not in MODES:
            say(f"{where}.mode", f"{nic.mode!r} is not one of {', '.join(MODES)}")
        if nic.mode != "NONE" and not nic.network:
            say(f"{where}.network", f"the mode {nic.mode} needs a network")
        if nic.mode == "MANUAL" and not _is_address(nic.address):
            say(f"{where}.address", f"{nic.address!r} is not an address, and the mode MANUAL needs one")
        mac = nic.mac.lower()
        if mac and (not _MAC.fullmatch(mac) or int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00"):
            say(f"{where}.mac", f"{nic.mac!r} is not the MAC address of a card")
        elif mac and mac in seen:
            say(f"{where}.mac", f"{nic.mac} is also that of nics[{seen[mac]}]")
        elif mac:
            seen[mac] = index
    return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
