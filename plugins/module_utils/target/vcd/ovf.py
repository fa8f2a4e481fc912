# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OVF descriptors: the one that is uploaded with a machine's disks, and what one that is downloaded says of them.

OVF 1.1 as DSP0243 gives it; the hardware as DSP0004's resource types. Every disk is a file, a disk and an item on a
controller; so the order of the files means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    Conflict,
    InvalidInput,
    Problem,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import spec as specs
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import xml
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.spec import VmSpec
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.xml import Node, el
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.spec import DiskPlace

FORMAT = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
MAX_DESCRIPTOR = 12 << 20
SYSTEM = "vm"
NO_NETWORK = "none"
_SUBTYPES = {
    "pvscsi": (6, "VirtualSCSI"),
    "lsilogic": (6, "lsilogic"),
    "lsisas": (6, "lsilogicsas"),
    "sata": (20, "vmware.sata.ahci"),
    "nvme": (20, "vmware.nvme.controller"),
}
_UNITS = {"": 1, "byte": 1, "bytes": 1, "kilobytes": 1 << 10, "megabytes": 1 << 20, "gigabytes": 1 << 30}


def file_name(index: int) -> str:
    """The name of a disk's file in the package, by the disk's place in the machine."""
    return f"disk-{index + 1}.vmdk"


def write(spec: VmSpec, sizes: Sequence[int | None]) -> bytes:
    """The descriptor. sizes: bytes of each disk's file; None for a disk that comes empty, without a file.

    Raises InvalidInput with every problem.
    """
    problems = specs.problems(spec)
    if len(sizes) != len(spec.disks):
        problems.append(Problem("sizes", f"{len(sizes)} sizes for {len(spec.disks)} disks"))
    problems += [Problem(f"sizes[{n}]", f"{size} is no size") for n, size in enumerate(sizes) if (size or 1) <= 0]
    if problems:
        raise InvalidInput(f"the machine {spec.name} cannot be made", problems)
    networks = list(dict.fromkeys(nic.network or NO_NETWORK for nic in spec.nics))
    envelope = el(
        "ovf:Envelope",
        el(
            "ovf:References",
            *[
                el("ovf:File", at={"ovf:href": file_name(n), "ovf:id": f"file{n + 1}", "ovf:size": size})
                for n, size in enumerate(sizes)
                if size is not None
            ],
        ),
        el("ovf:DiskSection", el("ovf:Info", "Virtual disks"), *[_disk(spec, n, sizes[n]) for n in range(len(sizes))]),
        _networks(networks),
        _system(spec),
    )
    data = xml.render(envelope)
    if len(data) > MAX_DESCRIPTOR:
        raise InvalidInput(
            f"the machine {spec.name} cannot be made",
            [Problem("descriptor", f"it has {len(data)} bytes, Cloud Director takes {MAX_DESCRIPTOR}")],
        )
    return data


def _disk(spec: VmSpec, index: int, size: int | None) -> Node:
    return el(
        "ovf:Disk",
        at={
            "ovf:capacity": spec.disks[index].capacity_bytes,
            "ovf:capacityAllocationUnits": "byte",
            "ovf:diskId": f"disk{index + 1}",
            "ovf:fileRef": f"file{index + 1}" if size is not None else None,
            "ovf:format": FORMAT,
        },
    )


def _networks(names: Sequence[str]) -> Node | None:
    if not names:
        return None
    each = [
        el("ovf:Network", el("ovf:Description", "A network of the machine"), at={"ovf:name": name}) for name in names
    ]
    return el("ovf:NetworkSection", el("ovf:Info", "Networks"), *each)


def _system(spec: VmSpec) -> Node:
    return el(
        "ovf:VirtualSystem",
        el("ovf:Info", "A virtual machine"),
        el("ovf:Name", spec.name),
        el(
            "ovf:OperatingSystemSection",
            el("ovf:Info", "The guest"),
            at={"ovf:id": 102, "vmw:osType": spec.guest_id or "otherGuest64"},
        ),
        _hardware(spec),
        at={"ovf:id": SYSTEM},
    )


def _hardware(spec: VmSpec) -> Node:
    places = specs.places(spec.disks)
    items = [
        _item(1, 3, f"{spec.cpus} virtual CPUs", units="hertz * 10^6", quantity=spec.cpus, cores=spec.cores_per_socket),
        _item(2, 4, f"{spec.memory_mib} MiB of memory", units="byte * 2^20", quantity=spec.memory_mib),
    ]
    controllers: dict[tuple[str, int], int] = {}
    for place in places:
        key = (place.controller, place.bus)
        if key not in controllers:
            controllers[key] = 100 + len(controllers)
            kind, subtype = _SUBTYPES[place.controller]
            items.append(
                _item(
                    controllers[key],
                    kind,
                    f"{place.controller} controller {place.bus}",
                    address=str(place.bus),
                    subtype=subtype,
                )
            )
    for index, place in enumerate(places):
        items.append(
            _item(
                200 + index,
                17,
                f"Disk {index + 1}",
                on_parent=place.unit,
                host=f"ovf:/disk/disk{index + 1}",
                parent=controllers[place.controller, place.bus],
            )
        )
    for index, nic in enumerate(spec.nics):
        items.append(
            _item(
                300 + index,
                10,
                f"Network card {index + 1}",
                address=nic.mac.lower() or None,
                on_parent=index,
                automatic=nic.connected and bool(nic.network),
                connection=nic.network or NO_NETWORK,
                subtype=specs.NIC_TYPES[nic.type],
            )
        )
    return el(
        "ovf:VirtualHardwareSection",
        el("ovf:Info", "Hardware"),
        el(
            "ovf:System",
            el("vssd:ElementName", "Virtual Hardware Family"),
            el("vssd:InstanceID", 0),
            el("vssd:VirtualSystemIdentifier", spec.name),
            el("vssd:VirtualSystemType", f"vmx-{spec.hardware_version:02d}"),
        ),
        *items,
        el("vmw:Config", at={"ovf:required": False, "vmw:key": "firmware", "vmw:value": spec.firmware}),
    )


def _item(
    instance: int,
    kind: int,
    name: str,
    *,
    address: str | None = None,
    on_parent: int | None = None,
    units: str | None = None,
    automatic: bool | None = None,
    connection: str | None = None,
    host: str | None = None,
    parent: int | None = None,
    subtype: str | None = None,
    quantity: int | None = None,
    cores: int = 0,
) -> Node:
    """An item of the hardware, its elements in the order of the alphabet as the schema has them."""
    values: list[tuple[str, str | int | bool | None]] = [
        ("Address", address),
        ("AddressOnParent", on_parent),
        ("AllocationUnits", units),
        ("AutomaticAllocation", automatic),
        ("Connection", connection),
        ("ElementName", name),
        ("HostResource", host),
        ("InstanceID", instance),
        ("Parent", parent),
        ("ResourceSubType", subtype),
        ("ResourceType", kind),
        ("VirtualQuantity", quantity),
    ]
    nodes = [el(f"rasd:{key}", value) for key, value in values if value is not None]
    if cores:
        nodes.append(el("vmw:CoresPerSocket", cores, at={"ovf:required": False}))
    return el("ovf:Item", *nodes)


# -- reading


@dataclass(frozen=True)
class PackageDisk:
    """A disk of a package: its place in the machine, the file with its bytes ("" for none) and both sizes in bytes."""

    place: DiskPlace
    file: str
    capacity_bytes: int
    file_bytes: int


def disks(data: bytes, what: str, *, system: str = "") -> list[PackageDisk]:
    """The disks of the machine in a descriptor, by their places. system: its name, where there are several.

    Raises Refused for what is no descriptor, Conflict where a disk cannot be told from another.
    """
    tree = xml.parse(data, what)
    files = {
        xml.attribute(one, "id"): (xml.attribute(one, "href"), xml.whole(xml.attribute(one, "size")))
        for one in xml.walk(tree, "File")
    }
    known = {xml.attribute(one, "diskId"): one for one in xml.walk(tree, "Disk")}
    systems = list(xml.walk(tree, "VirtualSystem"))
    if len(systems) > 1:
        systems = [one for one in systems if system in (xml.text(one, "Name"), xml.attribute(one, "id"))]
    if len(systems) != 1:
        raise Conflict(what, cause=f"the descriptor has {len(systems)} machines of that name")
    found: list[PackageDisk] = []
    items = list(xml.walk(systems[0], "Item"))
    controllers = {xml.text(one, "InstanceID"): _controller(one) for one in items}
    for item in items:
        if xml.text(item, "ResourceType") != "17":
            continue
        disk = known.get(xml.text(item, "HostResource").rpartition("/")[2])
        owner = controllers.get(xml.text(item, "Parent"))
        if disk is None or owner is None:
            raise Conflict(what, cause=f"the disk {xml.text(item, 'ElementName')!r} in the descriptor has no place")
        href, size = files.get(xml.attribute(disk, "fileRef"), ("", 0))
        if href and not re.fullmatch(r"[A-Za-z0-9][^/\\?#\x00-\x20\x7f]{0,200}", href):
            raise Conflict(what, cause="a file in the descriptor has a name that is none")
        capacity = xml.whole(xml.attribute(disk, "capacity")) * _unit(xml.attribute(disk, "capacityAllocationUnits"))
        place = DiskPlace(owner[0], owner[1], xml.number(item, "AddressOnParent"))
        found.append(PackageDisk(place, href, capacity, size))
    if len({one.place for one in found}) != len(found):
        raise Conflict(what, cause="two disks in the descriptor have the same place")
    return sorted(found, key=lambda one: (list(_SUBTYPES).index(one.place.controller), one.place.bus, one.place.unit))


def _controller(item: xml.Tree) -> tuple[str, int] | None:
    kind, subtype = xml.number(item, "ResourceType"), xml.text(item, "ResourceSubType").lower()
    for name, (number, known) in _SUBTYPES.items():
        if kind == number and subtype == known.lower():
            return name, xml.number(item, "Address")
    if kind == 6 and subtype in ("", "buslogic"):
        return "lsilogic", xml.number(item, "Address")
    return None


def _unit(text: str) -> int:
    power = re.fullmatch(r"bytes?\s*\*\s*2\s*\^\s*([0-9]{1,2})", text.strip().lower())
    return 1 << int(power[1]) if power else _UNITS.get(text.strip().lower(), 1)
