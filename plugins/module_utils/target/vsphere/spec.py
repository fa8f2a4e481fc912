# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a virtual machine is to be, and its translation to vSphere's ConfigSpec.

Facts: VirtualMachineConfigSpec, VirtualSCSIController, VirtualAHCIController and VirtualNVMEController in the vSphere
API reference; limits of a machine from the configuration maximums of vSphere 7 and 8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import vmomi

NIC_TYPES = {"vmxnet3": "VirtualVmxnet3", "e1000e": "VirtualE1000e", "e1000": "VirtualE1000"}
DISK_KEY = "cloudexit.disk."
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True)
class ControllerKind:
    """A kind of disk controller: class in the API, how many there may be, their units, and the bus they share."""

    name: str
    class_name: str
    buses: int
    units: tuple[int, ...]
    family: str


_SCSI_UNITS = tuple(unit for unit in range(16) if unit != 7)  # 7 is the controller itself
CONTROLLERS: Mapping[str, ControllerKind] = {
    kind.name: kind
    for kind in (
        ControllerKind("pvscsi", "ParaVirtualSCSIController", 4, _SCSI_UNITS, "scsi"),
        ControllerKind("lsilogic", "VirtualLsiLogicController", 4, _SCSI_UNITS, "scsi"),
        ControllerKind("lsisas", "VirtualLsiLogicSASController", 4, _SCSI_UNITS, "scsi"),
        ControllerKind("sata", "VirtualAHCIController", 4, tuple(range(30)), "sata"),
        ControllerKind("nvme", "VirtualNVMEController", 4, tuple(range(15)), "nvme"),
    )
}
CONTROLLER_OF_CLASS: Mapping[str, str] = {kind.class_name: name for name, kind in CONTROLLERS.items()}


@dataclass(frozen=True)
class DiskSpec:
    """A disk: size in bytes, controller, its place there (None: the next free one), datastore (None: the machine's)."""

    capacity_bytes: int
    controller: str = "pvscsi"
    bus: int | None = None
    unit: int | None = None
    label: str = ""
    datastore: str | None = None


@dataclass(frozen=True)
class NicSpec:
    """A network card: the target network by name, a MAC to keep (None: vCenter makes one), connected at power-on."""

    network: str
    type: str = "vmxnet3"
    mac: str | None = None
    start_connected: bool = True


@dataclass(frozen=True)
class VmSpec:
    """A virtual machine to be imported. Disks are in the order in which they count, the boot disk first."""

    name: str
    cpus: int
    memory_mib: int
    disks: tuple[DiskSpec, ...]
    nics: tuple[NicSpec, ...] = ()
    firmware: str = "bios"
    guest_id: str = "otherLinux64Guest"
    marks: Marks | None = None
    annotation: str = ""
    instance_uuid: str = ""
    uuid: str = ""
    extra_config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DiskPlace:
    """Where a disk is: controller kind, bus and unit."""

    controller: str
    bus: int
    unit: int

    def __str__(self) -> str:
        return f"{self.controller}{self.bus}:{self.unit}"

    @classmethod
    def parse(cls, text: str) -> DiskPlace | None:
        """The place that `str` wrote, or None."""
        found = re.fullmatch(r"([a-z]+)(\d):(\d+)", text)
        return cls(found[1], int(found[2]), int(found[3])) if found and found[1] in CONTROLLERS else None


def escape_name(name: str) -> str:
    """A name as the API wants it: `%`, `/` and `\\` are escaped (ManagedEntity.name)."""
    return name.replace("%", "%25").replace("/", "%2f").replace("\\", "%5c")


def unescape_name(name: str) -> str:
    """A name as a person writes it."""
    return re.sub(r"%(2[fF]|5[cC]|25)", lambda found: chr(int(found[1], 16)), name)


def mac_problem(mac: str) -> str | None:
    """Why vCenter or the network would refuse a MAC address that is set by hand; None when it is good.

    VMware keeps 00:0c:29, 00:05:69 and the upper part of 00:50:56 for addresses that it makes itself (vSphere
    Networking, "Static MAC Addresses").
    """
    mac = mac.lower()
    if not _MAC.fullmatch(mac):
        return f"{mac!r} is not a MAC address"
    first = int(mac[:2], 16)
    if first & 1:
        return f"{mac} is a multicast address"
    if mac == "00:00:00:00:00:00":
        return "00:00:00:00:00:00 is no address"
    if mac.startswith(("00:0c:29", "00:05:69", "00:1c:14")):
        return f"{mac} is in a range that VMware reserves for generated addresses"
    if mac.startswith("00:50:56") and int(mac[9:11], 16) > 0x3F:
        return f"{mac} is in the part of 00:50:56 that vCenter generates from (static ones end at 00:50:56:3f:ff:ff)"
    return None


def layout(disks: Sequence[DiskSpec], path: str = "disks") -> tuple[list[DiskPlace], list[Problem]]:
    """A place for each disk, in order, and what is wrong with those that were asked for.

    SCSI controllers of any kind share four buses; unit 7 of each is taken by the controller.
    """
    problems: list[Problem] = []
    taken: set[DiskPlace] = set()
    bus_kind: dict[tuple[str, int], str] = {}
    places: list[DiskPlace | None] = []
    for index, disk in enumerate(disks):
        where = f"{path}[{index}]"
        kind = CONTROLLERS.get(disk.controller)
        if kind is None:
            problems.append(
                Problem(f"{where}.controller", f"{disk.controller!r} is not one of {', '.join(CONTROLLERS)}")
            )
            places.append(None)
            continue
        if disk.bus is not None:
            if not 0 <= disk.bus < kind.buses:
                problems.append(Problem(f"{where}.bus", f"{disk.bus} is not one of 0 to {kind.buses - 1}"))
                places.append(None)
                continue
            holder = bus_kind.setdefault((kind.family, disk.bus), kind.name)
            if holder != kind.name:
                problems.append(
                    Problem(f"{where}.bus", f"{kind.family} bus {disk.bus} is a {holder} controller already")
                )
                places.append(None)
                continue
            if disk.unit is not None:
                place = DiskPlace(kind.name, disk.bus, disk.unit)
                if disk.unit not in kind.units:
                    problems.append(Problem(f"{where}.unit", f"{disk.unit} is no unit of a {kind.name} controller"))
                elif place in taken:
                    problems.append(Problem(f"{where}.unit", f"{place} is taken by another disk"))
                taken.add(place)
                places.append(place)
                continue
        places.append(None)
    for index, disk in enumerate(disks):
        if places[index] is not None or disk.controller not in CONTROLLERS:
            continue
        if any(problem.path.startswith(f"{path}[{index}].") for problem in problems):
            continue
        kind = CONTROLLERS[disk.controller]
        found = _free_place(kind, disk, taken, bus_kind)
        if found is None:
            problems.append(Problem(f"{path}[{index}]", f"no place is left on {kind.name} controllers"))
            continue
        bus_kind[kind.family, found.bus] = kind.name
        taken.add(found)
        places[index] = found
    return [place or DiskPlace("pvscsi", 0, 0) for place in places], problems


def _free_place(
    kind: ControllerKind, disk: DiskSpec, taken: set[DiskPlace], bus_kind: Mapping[tuple[str, int], str]
) -> DiskPlace | None:
    buses = [disk.bus] if disk.bus is not None else range(kind.buses)
    for bus in buses:
        if bus_kind.get((kind.family, bus), kind.name) != kind.name:
            continue
        for unit in kind.units if disk.unit is None else [disk.unit]:
            place = DiskPlace(kind.name, bus, unit)
            if unit in kind.units and place not in taken:
                return place
    return None


def validate(spec: VmSpec, path: str = "vm") -> list[Problem]:
    """Everything that is wrong with a specification, each with its path."""
    problems: list[Problem] = []
    if not 1 <= len(escape_name(spec.name)) <= 80:
        problems.append(Problem(f"{path}.name", "a name has 1 to 80 characters, counting / \\ and % as three"))
    if any(ord(char) < 32 or ord(char) == 127 for char in spec.name):
        problems.append(Problem(f"{path}.name", "control characters are not allowed in a name"))
    if not 1 <= spec.cpus <= 768:
        problems.append(Problem(f"{path}.cpus", f"{spec.cpus} is not between 1 and 768"))
    if spec.memory_mib < 4:
        problems.append(Problem(f"{path}.memory_mib", f"{spec.memory_mib} is less than 4"))
    if spec.firmware not in ("bios", "efi"):
        problems.append(Problem(f"{path}.firmware", f"{spec.firmware!r} is not one of bios, efi"))
    if not spec.disks:
        problems.append(Problem(f"{path}.disks", "there is no disk"))
    for index, disk in enumerate(spec.disks):
        if disk.capacity_bytes <= 0 or disk.capacity_bytes > 62 * 1024**4:
            problems.append(Problem(f"{path}.disks[{index}].capacity_bytes", "not between 1 byte and 62 TiB"))
    problems += layout(spec.disks, f"{path}.disks")[1]
    if len(spec.nics) > 10:
        problems.append(Problem(f"{path}.nics", f"{len(spec.nics)} network cards; a machine has at most 10"))
    seen: dict[str, int] = {}
    for index, nic in enumerate(spec.nics):
        where = f"{path}.nics[{index}]"
        if nic.type not in NIC_TYPES:
            problems.append(Problem(f"{where}.type", f"{nic.type!r} is not one of {', '.join(NIC_TYPES)}"))
        if nic.mac is not None:
            problem = mac_problem(nic.mac)
            if problem:
                hint = "; leave it out and vCenter makes one"
                problems.append(Problem(f"{where}.mac", problem + hint))
            elif nic.mac.lower() in seen:
                problems.append(Problem(f"{where}.mac", f"{nic.mac} is also that of nics[{seen[nic.mac.lower()]}]"))
            else:
                seen[nic.mac.lower()] = index
    return problems


def capacity_of(disk: DiskSpec) -> int:
    """The size that the disk gets, in bytes: vSphere counts in KiB."""
    return -(-disk.capacity_bytes // 1024) * 1024


def to_config_spec(
    spec: VmSpec, datastore: str, networks: Mapping[str, Any], datastores: Mapping[str, Any] | None = None
) -> Any:
    """vSphere's ConfigSpec. `datastore` is the name of the machine's; `networks` maps a NIC's network to its backing,
    `datastores` a disk's datastore to its reference.

    Raises InvalidInput with every problem.
    """
    problems = validate(spec)
    for index, nic in enumerate(spec.nics):
        if nic.network not in networks:
            problems.append(Problem(f"vm.nics[{index}].network", f"the network {nic.network!r} was not resolved"))
    if problems:
        raise InvalidInput(f"the machine {spec.name} cannot be made", problems)
    vim = vmomi.vim()
    places = layout(spec.disks)[0]
    controllers: dict[tuple[str, int], int] = {}
    changes: list[Any] = []

    def add(device: Any, file_operation: str | None = None) -> None:
        change = vim.vm.device.VirtualDeviceSpec(operation="add", device=device)
        if file_operation:
            change.fileOperation = file_operation
        changes.append(change)

    for place in places:
        if (place.controller, place.bus) not in controllers:
            key = -100 - len(controllers)
            controllers[place.controller, place.bus] = key
            add(_controller(vim, place, key))
    for index, (disk, place) in enumerate(zip(spec.disks, places, strict=True)):
        add(
            _disk(vim, disk, place, controllers[place.controller, place.bus], index, datastore, datastores or {}),
            "create",
        )
    for index, nic in enumerate(spec.nics):
        add(_nic(vim, nic, networks[nic.network], index))
    config = vim.vm.ConfigSpec(
        name=escape_name(spec.name),
        numCPUs=spec.cpus,
        memoryMB=-(-spec.memory_mib // 4) * 4,
        firmware=spec.firmware,
        guestId=spec.guest_id,
        annotation=spec.annotation or None,
        files=vim.vm.FileInfo(vmPathName=f"[{datastore}]"),
        deviceChange=changes,
        extraConfig=[vim.option.OptionValue(key=key, value=value) for key, value in extra_config(spec, places).items()],
    )
    if spec.instance_uuid:
        config.instanceUuid = spec.instance_uuid
    if spec.uuid:
        config.uuid = spec.uuid
    return config


def extra_config(spec: VmSpec, places: Sequence[DiskPlace]) -> dict[str, str]:
    """The extraConfig of a new machine: owner marks, the order of its disks, and serial numbers for the guest."""
    order = {f"{DISK_KEY}{index}": str(place) for index, place in enumerate(places)}
    marks = spec.marks.to_extra_config() if spec.marks else {}
    return {**spec.extra_config, "disk.EnableUUID": "TRUE", **marks, **order}


def _controller(vim: Any, place: DiskPlace, key: int) -> Any:
    kind = CONTROLLERS[place.controller]
    device = getattr(vim.vm.device, kind.class_name)(key=key, busNumber=place.bus)
    if kind.family == "scsi":
        device.sharedBus = "noSharing"
    return device


def _disk(
    vim: Any,
    disk: DiskSpec,
    place: DiskPlace,
    controller: int,
    index: int,
    datastore: str,
    datastores: Mapping[str, Any],
) -> Any:
    name = disk.datastore or datastore
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        diskMode="persistent", thinProvisioned=True, fileName=f"[{name}]"
    )
    if name in datastores:
        backing.datastore = datastores[name]
    size = capacity_of(disk)
    device = vim.vm.device.VirtualDisk(
        key=-200 - index,
        controllerKey=controller,
        unitNumber=place.unit,
        capacityInKB=size // 1024,
        capacityInBytes=size,
        backing=backing,
    )
    if disk.label:
        device.deviceInfo = vim.Description(label=disk.label, summary="")
    return device


def _nic(vim: Any, nic: NicSpec, backing: Any, index: int) -> Any:
    device = getattr(vim.vm.device, NIC_TYPES[nic.type])(
        key=-300 - index,
        backing=backing,
        connectable=vim.vm.device.VirtualDevice.ConnectInfo(
            startConnected=nic.start_connected, connected=False, allowGuestControl=True
        ),
        wakeOnLanEnabled=False,
    )
    if nic.mac:
        device.addressType = "manual"
        device.macAddress = nic.mac.lower()
    else:
        device.addressType = "generated"
    return device
