# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a guest adaptation, what was found in the guest, and what was done to it.

Plain data: nothing here touches a disk. The same values serve the offline way (`offline.adapt`, on a disk) and the
online way (`online.prepare`, in the running guest).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem

MODES = ("offline", "none")
FIRMWARES = ("bios", "efi")
CONTROLLERS = ("pvscsi", "lsilogic", "lsisas", "sata", "nvme")
NIC_TYPES = ("vmxnet3", "e1000e", "e1000")

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
_DISK_NAME = re.compile(r"(vd|sd|xvd|hd)[a-z]{1,2}\Z")
# What Linux accepts (IFNAMSIZ, no slash, no white space), less what is special in a unit file.
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,14}\Z")


def is_mac(value: str) -> bool:
    """Whether `value` is a MAC address in lower case with colons."""
    return _MAC.match(value) is not None


def is_interface_name(value: str) -> bool:
    """Whether `value` may be written as an interface name into a configuration file."""
    return _INTERFACE.match(value) is not None and value not in {"all", "default"}


@dataclass(frozen=True)
class Hardware:
    """The virtual hardware at the target that the guest must be able to drive.

    controllers: of CONTROLLERS, the boot disk's first. nics: of NIC_TYPES. firmware: "bios", "efi", or "" when the
    guest's own is kept.
    """

    controllers: tuple[str, ...] = ("pvscsi",)
    nics: tuple[str, ...] = ("vmxnet3",)
    firmware: str = ""


@dataclass(frozen=True)
class Nic:
    """One network adapter: its MAC at the source, the one at the target, the guest's name for it where that is known,
    and the addresses that the cloud says it has (they help to find the name)."""

    mac: str
    new_mac: str = ""
    name: str = ""
    addresses: tuple[str, ...] = ()
    # False: the target will give it another MAC, and which one is not known yet.
    keep_mac: bool = True

    @property
    def mac_known(self) -> bool:
        """Whether the MAC at the target is known."""
        return self.keep_mac or bool(self.new_mac)

    @property
    def target_mac(self) -> str:
        """The MAC that the guest will see at the target."""
        return self.new_mac or self.mac


@dataclass(frozen=True)
class DataDisk:
    """Another disk of the same server, only read: its path on this host, the name that the guest knew it by (`vdb`),
    and its serial at the source (the first 20 characters of a Cinder volume's id)."""

    device: str
    name: str = ""
    serial: str = ""


@dataclass(frozen=True)
class AdaptPlan:
    """What is wanted. `mode: none` leaves the guest as it is."""

    mode: str = "offline"
    hardware: Hardware = field(default_factory=Hardware)
    nics: tuple[Nic, ...] = ()
    data_disks: tuple[DataDisk, ...] = ()
    boot_disk_name: str = ""
    boot_disk_serial: str = ""
    disable_agents: bool = True
    cloud_init: bool = True
    console: bool = True

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> AdaptPlan:
        """Read a plan from plain values, shaped as the dataclasses are.

        Raises InvalidInput that names every problem with its path.
        """
        reader = _Reader()
        plan = reader.plan(value)
        if reader.problems:
            raise InvalidInput("the adaptation cannot be started", reader.problems)
        return plan

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as from_dict takes them."""
        return asdict(self)

    @property
    def digest(self) -> str:
        """A short name for exactly this plan: paths of devices are left out, since they change from host to host."""
        value = self.to_dict()
        for disk in value["data_disks"]:
            disk.pop("device")
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Reader:
    """Collects problems while a plan is read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def plan(self, value: Mapping[str, Any]) -> AdaptPlan:
        known = set(AdaptPlan.__dataclass_fields__)
        for key in sorted(set(value) - known):
            self.problems.append(Problem(key, "is not known here"))
        mode = str(value.get("mode", "offline"))
        if mode not in MODES:
            self.problems.append(Problem("mode", f"is {mode!r}, expected one of {', '.join(MODES)}"))
        return AdaptPlan(
            mode=mode,
            hardware=self.hardware(value.get("hardware") or {}),
            nics=tuple(self.nic(f"nics[{index}]", nic) for index, nic in enumerate(value.get("nics") or ())),
            data_disks=tuple(
                self.disk(f"data_disks[{index}]", disk) for index, disk in enumerate(value.get("data_disks") or ())
            ),
            boot_disk_name=self.disk_name("boot_disk_name", value.get("boot_disk_name") or ""),
            boot_disk_serial=str(value.get("boot_disk_serial") or ""),
            disable_agents=bool(value.get("disable_agents", True)),
            cloud_init=bool(value.get("cloud_init", True)),
            console=bool(value.get("console", True)),
        )

    def hardware(self, value: Mapping[str, Any]) -> Hardware:
        firmware = str(value.get("firmware") or "")
        if firmware and firmware not in FIRMWARES:
            self.problems.append(
                Problem("hardware.firmware", f"is {firmware!r}, expected one of {', '.join(FIRMWARES)}")
            )
        return Hardware(
            controllers=self.choices("hardware.controllers", value.get("controllers"), CONTROLLERS, "pvscsi"),
            nics=self.choices("hardware.nics", value.get("nics"), NIC_TYPES, "vmxnet3"),
            firmware=firmware,
        )

    def choices(self, path: str, value: Any, allowed: Sequence[str], default: str) -> tuple[str, ...]:
        found: list[str] = []
        for index, item in enumerate([default] if value is None else value):
            if item not in allowed:
                self.problems.append(Problem(f"{path}[{index}]", f"is {item!r}, expected one of {', '.join(allowed)}"))
            elif item not in found:
                found.append(str(item))
        return tuple(found)

    def nic(self, path: str, value: Mapping[str, Any]) -> Nic:
        mac = str(value.get("mac") or "").lower().replace("-", ":")
        new_mac = str(value.get("new_mac") or "").lower().replace("-", ":")
        name = str(value.get("name") or "")
        if not is_mac(mac):
            self.problems.append(Problem(f"{path}.mac", f"{mac!r} is not a MAC address"))
        if new_mac and not is_mac(new_mac):
            self.problems.append(Problem(f"{path}.new_mac", f"{new_mac!r} is not a MAC address"))
        if name and not is_interface_name(name):
            self.problems.append(Problem(f"{path}.name", f"{name!r} is not an interface name"))
        addresses = tuple(str(address) for address in value.get("addresses") or ())
        return Nic(mac, new_mac, name, addresses, bool(value.get("keep_mac", True)))

    def disk(self, path: str, value: Mapping[str, Any]) -> DataDisk:
        device = str(value.get("device") or "")
        if not device.startswith("/"):
            self.problems.append(Problem(f"{path}.device", f"{device!r} is not an absolute path"))
        name = self.disk_name(f"{path}.name", value.get("name") or "")
        return DataDisk(device, name, str(value.get("serial") or ""))

    def disk_name(self, path: str, value: Any) -> str:
        name = str(value)
        if name.startswith("/dev/"):
            name = name[len("/dev/") :]
        if name and not _DISK_NAME.match(name):
            self.problems.append(Problem(path, f"{name!r} is not a disk name such as vdb"))
        return name


@dataclass(frozen=True)
class FileChange:
    """One file of the guest that was, or would be, changed.

    action: "created", "modified", "removed", or "rebuilt" for what a program of the guest made (an initramfs).
    before, after: SHA-256 in hex, None where the file is not there; in check mode also None for what would be
    rebuilt. For a symbolic link the digest is that of its target's name. before_text, after_text: the content where
    it is short text, for a diff.
    """

    path: str
    action: str
    before: str | None
    after: str | None
    reason: str
    before_text: str | None = None
    after_text: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """`{path, action, before, after, reason}`, without the content."""
        return {
            "path": self.path,
            "action": self.action,
            "before": self.before,
            "after": self.after,
            "reason": self.reason,
        }


@dataclass
class Kernel:
    """One installed kernel: its version, the path of its initramfs ("" when there is none), what it can drive of
    CONTROLLERS and NIC_TYPES, and whether it is the one that boots by default (the highest version)."""

    version: str
    initramfs: str = ""
    controllers: tuple[str, ...] = ()
    nics: tuple[str, ...] = ()
    default: bool = False


@dataclass
class Facts:
    """What was found in the guest; strings are empty and lists are empty where nothing was found."""

    distribution: str = ""
    version: str = ""
    name: str = ""
    family: str = ""
    architecture: str = ""
    kernels: list[Kernel] = field(default_factory=list)
    bootloader: str = ""
    firmware: list[str] = field(default_factory=list)
    initramfs_tool: str = ""
    network_tools: list[str] = field(default_factory=list)
    interfaces: dict[str, str] = field(default_factory=dict)
    root_spec: str = ""
    root_file_system: str = ""
    root_device: str = ""
    selinux: str = ""
    agents: list[str] = field(default_factory=list)
    cloud_init: bool = False
    vmware_tools: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass
class AdaptResult:
    """What an adaptation did, or in check mode would do."""

    changed: bool = False
    files: list[FileChange] = field(default_factory=list)
    found: Facts | None = None
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """`{changed, files[], found, warnings[], seconds}`."""
        return {
            "changed": self.changed,
            "files": [change.to_dict() for change in self.files],
            "found": self.found.to_dict() if self.found else {},
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 3),
        }


def diff_of(changes: Iterable[FileChange]) -> list[dict[str, str]]:
    """Ansible's diff of the changes: text where it is short text, digests for the rest."""
    result = []
    for change in changes:
        before = change.before_text if change.before_text is not None else _binary(change.before)
        after = (
            change.after_text if change.after_text is not None else _binary(change.after, change.action == "rebuilt")
        )
        result.append(
            {
                "before_header": change.path,
                "after_header": f"{change.path} ({change.reason})",
                "before": before,
                "after": after,
            }
        )
    return result


def _binary(digest: str | None, rebuilt: bool = False) -> str:
    if digest is None:
        return "(would be rebuilt)\n" if rebuilt else ""
    return f"sha256:{digest}\n"
