# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines in Cloud Director: what they are, what is to change, power, marks.

A machine of ours carries its owner marks as metadata; since these can only be written once it is there, its description
names the workload from the first moment on.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    NotFound,
    Refused,
    Timeout,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    metadata,
    query,
    tasks,
    wire,
    xml,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    spec as specs,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.changes import (
    Change,
    ChangeSet,
    differences,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.spec import NicSpec, VmSpec
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.xml import Node, el, maybe
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.spec import DiskPlace

VM = "application/vnd.vmware.vcloud.vm+xml"
NETWORKS = "application/vnd.vmware.vcloud.networkConnectionSection+xml"
CUSTOMIZATION = "application/vnd.vmware.vcloud.guestCustomizationSection+xml"
UNDEPLOY = "application/vnd.vmware.vcloud.undeployVAppParams+xml"
POWER = {3: "suspended", 4: "on", 8: "off"}
FIRMWARE_SINCE = "37.1"
READERS = 6
_KIND_OF = {number: name for name, number in specs.ADAPTERS.items()} | {"2": "buslogic"}
_STAMP = re.compile(r"\[cloudexit ([A-Za-z0-9%._~-]+)/([A-Za-z0-9%._~-]+)\]")


@dataclass(frozen=True)
class VmDisk:
    """A disk as it is: id, place, size in MiB, storage profile, and the named disk that it is ("" for none)."""

    id: str
    place: DiskPlace
    size_mib: int
    storage_profile: str = ""
    named: str = ""


@dataclass(frozen=True)
class VmNic:
    """A network card as it is."""

    index: int
    network: str
    mode: str
    address: str
    mac: str
    type: str
    connected: bool
    primary: bool


@dataclass(frozen=True)
class Vm:
    """A machine as Cloud Director describes it. tree: its element, for what is sent back as it was read."""

    href: str
    name: str
    description: str
    status: int
    deployed: bool
    cpus: int
    cores_per_socket: int
    memory_mib: int
    firmware: str
    guest_id: str
    hardware_version: int
    disks: tuple[VmDisk, ...]
    nics: tuple[VmNic, ...]
    storage_profile: str
    computer_name: str
    vapp: str
    busy: bool
    tree: xml.Tree = field(repr=False, compare=False)

    @property
    def uuid(self) -> str:
        """Its id."""
        return tasks.uuid_of(self.href)

    @property
    def urn(self) -> str:
        """Its id as the newer interface has it."""
        return f"urn:vcloud:vm:{self.uuid}"

    @property
    def power(self) -> str:
        """on, off, suspended, or the number of another status."""
        return POWER.get(self.status, str(self.status))

    @property
    def powered_on(self) -> bool:
        """Whether it runs."""
        return self.status == 4

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses, those of the primary card first."""
        cards = sorted(self.nics, key=lambda nic: (not nic.primary, nic.index))
        return tuple(nic.address for nic in cards if nic.address)

    def stamped(self) -> tuple[str, str] | None:
        """(tenant, source id) that its description names."""
        found = _STAMP.search(self.description)
        return (urllib.parse.unquote(found[1]), urllib.parse.unquote(found[2])) if found else None


def stamp(marks: Marks) -> str:
    """What the description of a machine of ours ends with."""
    return f"[cloudexit {urllib.parse.quote(marks.tenant, safe='')}/{urllib.parse.quote(marks.source_id, safe='')}]"


def of(tree: xml.Tree) -> Vm:
    """A machine from its element."""
    section = xml.child(tree, "VmSpecSection")
    cards = xml.child(tree, "NetworkConnectionSection")
    primary = xml.number(cards, "PrimaryNetworkConnectionIndex")
    nics = [_nic(one, primary) for one in (xml.children(cards, "NetworkConnection") if cards is not None else [])]
    disks = [_disk(one) for one in _disk_settings(section)]
    return Vm(
        href=xml.attribute(tree, "href"),
        name=xml.attribute(tree, "name"),
        description=xml.text(tree, "Description"),
        status=xml.whole(xml.attribute(tree, "status"), 0),
        deployed=xml.attribute(tree, "deployed") == "true",
        cpus=xml.number(section, "NumCpus"),
        cores_per_socket=xml.number(section, "NumCoresPerSocket"),
        memory_mib=xml.number(section, "MemoryResourceMb", "Configured"),
        firmware=xml.text(section, "Firmware") or xml.text(tree, "BootOptions", "Firmware"),
        guest_id=xml.text(section, "OsType"),
        hardware_version=_version(section),
        disks=tuple(sorted(disks, key=lambda one: (one.place.controller, one.place.bus, one.place.unit))),
        nics=tuple(sorted(nics, key=lambda one: one.index)),
        storage_profile=xml.attribute(xml.child(tree, "StorageProfile"), "name"),
        computer_name=xml.text(tree, "GuestCustomizationSection", "ComputerName"),
        vapp=next((one.href for one in xml.links(tree) if one.rel == "up" and "vApp+xml" in one.type), ""),
        busy=any(task.running for task in tasks.embedded(tree)),
        tree=tree,
    )


def _version(section: xml.Tree | None) -> int:
    found = re.fullmatch(r"vmx-([0-9]{1,3})", xml.text(section, "HardwareVersion"))
    return int(found[1]) if found else 0


def _disk_settings(section: xml.Tree | None) -> list[xml.Tree]:
    inside = xml.child(section, "DiskSection")
    return xml.children(inside, "DiskSettings") if inside is not None else []


def _disk(tree: xml.Tree) -> VmDisk:
    adapter = xml.text(tree, "AdapterType")
    return VmDisk(
        id=xml.text(tree, "DiskId"),
        place=DiskPlace(_KIND_OF.get(adapter, adapter), xml.number(tree, "BusNumber"), xml.number(tree, "UnitNumber")),
        size_mib=xml.number(tree, "SizeMb"),
        storage_profile=xml.attribute(xml.child(tree, "StorageProfile"), "name"),
        named=xml.attribute(xml.child(tree, "Disk"), "href"),
    )


def _nic(tree: xml.Tree, primary: int) -> VmNic:
    names = {number: name for name, number in specs.NIC_TYPES.items()}
    kind = xml.text(tree, "NetworkAdapterType")
    index = xml.number(tree, "NetworkConnectionIndex")
    network = xml.attribute(tree, "network")
    return VmNic(
        index=index,
        network="" if network == "none" else network,
        mode=xml.text(tree, "IpAddressAllocationMode") or "NONE",
        address=xml.text(tree, "IpAddress"),
        mac=xml.text(tree, "MACAddress").lower(),
        type=names.get(kind, kind),
        connected=xml.truth(tree, "IsConnected"),
        primary=index == primary,
    )


def get(session: Session, href: str) -> Vm:
    """A machine by its href. Raises NotFound; what is gone may be 403 to a tenant, which then says so."""
    return of(session.read(href, f"cannot read the machine {tasks.uuid_of(href)}"))


def marks_of(session: Session, vm: Vm) -> dict[str, str]:
    """The metadata of a machine; with the marks that its description names, where it has no others yet."""
    found = metadata.read(session, vm.href, f"cannot read the marks of {vm.name}")
    named = vm.stamped()
    if named and metadata.marks(found) is None:
        found |= Marks(tenant=named[0], source_id=named[1], state="importing").to_extra_config()
    return found


def set_marks(session: Session, vm: Vm, marks: Marks, extra: Mapping[str, str] | None = None) -> bool:
    """Write owner marks (and more entries) where they differ; whether any did.

    Only a machine that is marked as the same owner's, or named so in its description, is touched; otherwise Conflict.
    """
    what = f"cannot mark {vm.name}"
    there = marks_of(session, vm)
    if not marks.owns(metadata.marks(there)):
        raise Conflict(what, cause="it does not carry our owner marks")
    written = metadata.read(session, vm.href, what)
    wanted = {**marks.to_extra_config(), **(extra or {})}
    changed = {key: value for key, value in wanted.items() if written.get(key) != value}
    metadata.write(session, vm.href, changed, what)
    return bool(changed)


def everything(session: Session, *, vdc: str = "") -> list[tuple[Vm, dict[str, str]]]:
    """All machines that the session sees (in a VDC, by its href) with their metadata, by name; some at a time.

    What goes away meanwhile is left out.
    """
    return _whole(session, [row.get("href", "") for row in _rows(session, vdc)])


def _rows(session: Session, vdc: str, where: Mapping[str, str] | None = None) -> list[query.Record]:
    rows = query.records(session, "vm", "cannot list the machines", where={"isVAppTemplate": "false", **(where or {})})
    return [row for row in rows if not vdc or tasks.uuid_of(row.get("vdc", "")) in ("", tasks.uuid_of(vdc))]


def _whole(session: Session, hrefs: Sequence[str]) -> list[tuple[Vm, dict[str, str]]]:
    def whole(href: str) -> tuple[Vm, dict[str, str]] | None:
        try:
            found = get(session, href)
            return found, marks_of(session, found)
        except (NotFound, Refused) as error:
            reason = wire.said(error)
            if reason is None or reason.status not in (403, 404):
                raise
            return None

    with ThreadPoolExecutor(READERS) as pool:
        found = [one for one in pool.map(whole, hrefs) if one is not None]
    return sorted(found, key=lambda pair: (pair[0].name, pair[0].uuid))


def _candidates(session: Session, marks: Marks, vdc: str) -> list[str]:
    """hrefs of the machines in a VDC that may have these marks: those whose metadata name the source, which the query
    service looks for, and those whose description does. All of them, where the server takes no such filter.
    """
    rows = _rows(session, vdc)
    if not query.askable(marks.source_id):
        return [row.get("href", "") for row in rows]
    where = {"metadata:cloudexit.source_id": f"STRING:{marks.source_id}"}
    found = [row for row in rows if stamp(marks) in row.get("description", "")]
    try:
        found += _rows(session, vdc, where)
    except Refused as error:
        reason = wire.said(error)
        if reason is None or reason.status != 400:
            raise
        found = rows
    return list(dict.fromkeys(row.get("href", "") for row in found))


def find(session: Session, marks: Marks, among: Sequence[Vm], *, vdc: str = "") -> tuple[Vm, dict[str, str]] | None:
    """The machine with these marks, and its metadata: first among those given (of the vApp of its plan), then, with a
    VDC (its href), everywhere in it. Raises Conflict when several have them.
    """
    pairs = [(vm, marks_of(session, vm)) for vm in among]
    found = [(vm, entries) for vm, entries in pairs if marks.owns(metadata.marks(entries))]
    if not found and vdc:
        seen = {vm.uuid for vm in among}
        hrefs = [href for href in _candidates(session, marks, vdc) if tasks.uuid_of(href) not in seen]
        found = [pair for pair in _whole(session, hrefs) if marks.owns(metadata.marks(pair[1]))]
    if len(found) > 1:
        names = ", ".join(sorted(f"{vm.name} ({vm.uuid})" for vm, dummy in found))
        raise Conflict(
            f"the machine of {marks.source_id} cannot be told from its copies",
            cause=f"{names} have the same owner marks",
            hint="Remove the copies, or their cloudexit.* metadata.",
        )
    return found[0] if found else None


# -- sections that are sent


def network_section(nics: Sequence[NicSpec], primary: int = 0) -> Node:
    """The cards of a machine, all of them: what is not named goes."""
    cards = [
        el(
            "NetworkConnection",
            el("NetworkConnectionIndex", index),
            maybe("IpAddress", nic.address if nic.mode == "MANUAL" else ""),
            el("IsConnected", nic.connected and bool(nic.network)),
            maybe("MACAddress", nic.mac.lower()),
            el("IpAddressAllocationMode", nic.mode),
            el("NetworkAdapterType", specs.NIC_TYPES[nic.type]),
            network=nic.network or "none",
            needsCustomization=False,
        )
        for index, nic in enumerate(nics)
    ]
    return el(
        "NetworkConnectionSection",
        el("ovf:Info", "Network cards"),
        el("PrimaryNetworkConnectionIndex", primary if nics else 0),
        *cards,
        at={"ovf:required": False},
    )


def no_customization(computer_name: str = "") -> Node:
    """A guest that is moved is not customised."""
    return el(
        "GuestCustomizationSection",
        el("ovf:Info", "Guest customization"),
        el("Enabled", False),
        maybe("ComputerName", computer_name),
        at={"ovf:required": False},
    )


# -- what is to change


def plan(vm: Vm, wanted: VmSpec, *, firmware: bool = True) -> ChangeSet:
    """What would change of its hardware and cards. Disks are told, never removed: they hold a guest's data."""
    before: dict[str, Any] = {
        "cpus": vm.cpus,
        "memory_mib": vm.memory_mib,
        "guest_id": vm.guest_id,
        **({"cores_per_socket": vm.cores_per_socket} if wanted.cores_per_socket else {}),
        **({"firmware": vm.firmware or "bios"} if firmware else {}),
        **({"description": vm.description} if wanted.description else {}),
    }
    after: dict[str, Any] = {key: getattr(wanted, key) for key in before}
    before["name"], after["name"] = vm.name, wanted.name
    homes = zip(specs.places(wanted.disks), wanted.disks, strict=True)
    after["storage_profiles"] = {str(place): disk.storage_profile for place, disk in homes if disk.storage_profile}
    before["storage_profiles"] = {
        str(disk.place): disk.storage_profile for disk in vm.disks if str(disk.place) in after["storage_profiles"]
    }
    changes: list[Change] = []
    differing = differences(before, after)
    if differing:
        changes.append(
            Change(
                "update",
                "vm",
                wanted.name,
                {key: before[key] for key in differing},
                {key: after[key] for key in differing},
                id=vm.href,
            )
        )
    cards = [_shown(nic, vm.nics[n] if n < len(vm.nics) else None) for n, nic in enumerate(wanted.nics)]
    there = [_card(nic, wanted.nics[nic.index] if nic.index < len(wanted.nics) else None) for nic in vm.nics]
    if cards != there:
        changes.append(Change("update", "nics", wanted.name, {"nics": there}, {"nics": cards}, id=vm.href))
    places = {
        str(place): disk.capacity_bytes >> 20
        for place, disk in zip(specs.places(wanted.disks), wanted.disks, strict=True)
    }
    have = {str(disk.place): disk.size_mib for disk in vm.disks}
    conflicts = []
    if wanted.disks and places != have:
        conflicts.append(f"the disks of {vm.name} are {_text(have)}, the plan wants {_text(places)}")
    return ChangeSet(tuple(changes), tuple(conflicts))


def _text(disks: Mapping[str, int]) -> str:
    return ", ".join(f"{place} {size} MiB" for place, size in sorted(disks.items())) or "none"


def _shown(nic: NicSpec, there: VmNic | None) -> dict[str, Any]:
    return {
        "network": nic.network,
        "mode": nic.mode,
        "address": nic.address if nic.mode == "MANUAL" else "",
        "mac": nic.mac.lower() or (there.mac if there else ""),
        "type": nic.type,
        "connected": nic.connected and bool(nic.network),
    }


def _card(nic: VmNic, wanted: NicSpec | None) -> dict[str, Any]:
    return {
        "network": nic.network,
        "mode": nic.mode,
        "address": nic.address if nic.mode == "MANUAL" else "",
        "mac": nic.mac,
        "type": nic.type,
        "connected": nic.connected,
    }


def apply(
    session: Session, vm: Vm, wanted: VmSpec, changes: ChangeSet, *, profiles: Mapping[str, str] | None = None
) -> Vm:
    """Make what `plan` said; the machine as it is then. It must be off for most of it.

    profiles: {name: href} of the storage profiles that disks of their own name.
    """
    changes.refuse_conflicts(f"cannot change {vm.name}")
    for change in changes.changes:
        if change.kind == "vm":
            _reconfigure(session, vm, wanted, change, profiles or {})
        else:
            _set_nics(session, vm, wanted)
    return get(session, vm.href) if changes else vm


def _reconfigure(session: Session, vm: Vm, wanted: VmSpec, change: Change, profiles: Mapping[str, str]) -> None:
    """The section of the hardware is sent as it was read, with what is to differ: so no disk is left out."""
    what = f"cannot change {vm.name}"
    hardware = xml.child(vm.tree, "VmSpecSection")
    if hardware is None:
        raise wire.not_understood(what, "the machine has no hardware")
    node = xml.copied(hardware)
    after = change.after or {}
    values = {
        "OsType": after.get("guest_id"),
        "Firmware": after.get("firmware") if session.at_least(FIRMWARE_SINCE) else None,
        "NumCpus": after.get("cpus"),
        "NumCoresPerSocket": after.get("cores_per_socket"),
    }
    if "cpus" in after and "cores_per_socket" not in after and vm.cores_per_socket:
        cores = vm.cores_per_socket if not wanted.cpus % vm.cores_per_socket else 1
        values["NumCoresPerSocket"] = cores
    for name, value in values.items():
        if value is not None:
            _put(node, name, str(value))
    if "memory_mib" in after:
        memory = next((one for one in node.children if one.tag == "MemoryResourceMb"), None)
        if memory is None:
            raise wire.not_understood(what, "the machine has no memory")
        _put(memory, "Configured", str(after["memory_mib"]))
    homes = after.get("storage_profiles", {})
    ids = {disk.id: homes[str(disk.place)] for disk in vm.disks if str(disk.place) in homes}
    section = next((one for one in node.children if one.tag == "DiskSection"), None)
    for settings in section.children if section is not None else []:
        home = ids.get(next((one.text for one in settings.children if one.tag == "DiskId"), ""))
        if home:
            settings.children = [one for one in settings.children if one.tag != "StorageProfile"]
            settings.children.append(el("StorageProfile", href=session.base + wire.path_of(profiles[home], what)))
            _put(settings, "overrideVmDefault", "true")
    node.attributes["Modified"] = "true"
    body = el("Vm", el("Description", wanted.description or vm.description), ordered(node), name=wanted.name)
    tasks.run(session, "POST", f"{_path(vm)}/action/reconfigureVm", what, body=body, content_type=VM)


ORDERS: Mapping[str, tuple[str, ...]] = {
    "VmSpecSection": (
        "ovf:Info",
        "OsType",
        "Firmware",
        "NumCpus",
        "NumCoresPerSocket",
        "CpuResourceMhz",
        "MemoryResourceMb",
        "MediaSection",
        "DiskSection",
        "HardwareVersion",
        "VmToolsVersion",
        "VirtualCpuType",
        "TimeSyncWithHost",
    ),
    "DiskSettings": (
        "DiskId",
        "SizeMb",
        "UnitNumber",
        "BusNumber",
        "AdapterType",
        "ThinProvisioned",
        "Disk",
        "StorageProfile",
        "overrideVmDefault",
        "IopsAllocation",
        "VirtualQuantity",
        "VirtualQuantityUnit",
    ),
    "NetworkConnection": (
        "NetworkConnectionIndex",
        "IpAddress",
        "IpType",
        "SecondaryIpAddress",
        "SecondaryIpType",
        "IsConnected",
        "MACAddress",
        "IpAddressAllocationMode",
        "SecondaryIpAddressAllocationMode",
        "NetworkAdapterType",
    ),
}
"""The order of the schema. What is sent back as it was read is put into it, whatever the order in which it came."""


def ordered(node: Node) -> Node:
    """The same, with the elements of known sections in the order of the schema; what is not known keeps its place."""
    known = ORDERS.get(node.tag, ())
    rank, last = [], -1
    for one in node.children:
        last = known.index(one.tag) if one.tag in known else last
        rank.append(last)
        ordered(one)
    node.children = [one for dummy, one in sorted(zip(rank, node.children, strict=True), key=lambda pair: pair[0])]
    return node


def _put(node: Node, name: str, value: str) -> None:
    """Set a child; `ordered` puts a new one to its place."""
    for one in node.children:
        if one.tag == name:
            one.text, one.children = value, []
            return
    node.children.append(el(name, value))


def _set_nics(session: Session, vm: Vm, wanted: VmSpec) -> None:
    what = f"cannot change the network cards of {vm.name}"
    nics = [
        NicSpec(
            one.network,
            one.mode,
            one.address,
            one.mac or (vm.nics[n].mac if n < len(vm.nics) else ""),
            one.type,
            one.connected,
        )
        for n, one in enumerate(wanted.nics)
    ]
    body = network_section(nics)
    tasks.run(session, "PUT", f"{_path(vm)}/networkConnectionSection/", what, body=body, content_type=NETWORKS)


def connect_nics(session: Session, vm: Vm, connected: bool) -> bool:
    """Have all cards with a network connected, or not; whether it changed."""
    wrong = [nic for nic in vm.nics if nic.network and nic.connected != connected]
    section = xml.child(vm.tree, "NetworkConnectionSection")
    if not wrong or section is None:
        return False
    node = xml.copied(section)
    for card in node.children:
        if card.tag == "NetworkConnection" and card.attributes.get("network") != "none":
            for one in card.children:
                if one.tag == "IsConnected":
                    one.text = xml.plain(connected)
    what = f"cannot change the network cards of {vm.name}"
    tasks.run(session, "PUT", f"{_path(vm)}/networkConnectionSection/", what, body=ordered(node), content_type=NETWORKS)
    return True


def _path(vm: Vm) -> str:
    return wire.path_of(vm.href, f"cannot change {vm.name}")


# -- power


def power_on(session: Session, vm: Vm, *, timeout: float = 600.0) -> bool:
    """Switch it on; False when it was on already."""
    if get(session, vm.href).powered_on:
        return False
    tasks.run(session, "POST", f"{_path(vm)}/power/action/powerOn", f"cannot start {vm.name}", timeout=timeout)
    return True


def power_off(session: Session, vm: Vm, *, timeout: float = 600.0) -> bool:
    """Switch it off hard, and take it out of the hypervisor (undeploy), so that it can be changed and removed."""
    return _undeploy(session, vm, "powerOff", timeout)


def _undeploy(session: Session, vm: Vm, how: str, timeout: float) -> bool:
    now = get(session, vm.href)
    if not now.deployed and now.status == 8:
        return False
    body = el("UndeployVAppParams", el("UndeployPowerAction", how))
    what = f"cannot switch off {vm.name}"
    path = f"{_path(vm)}/action/undeploy"
    tasks.run(session, "POST", path, what, body=body, content_type=UNDEPLOY, timeout=timeout)
    return True


def shut_down(session: Session, vm: Vm, *, timeout: float = 300.0, force: bool = False) -> bool:
    """Ask the guest to shut down and wait; False when it was off already.

    Needs VMware Tools in the guest. With `force`, a guest that does not follow in time, or cannot, is switched off.
    """
    try:
        return _undeploy(session, vm, "shutdown", timeout)
    except CloudExitError as error:
        if not force:
            if isinstance(error, Timeout):
                error.hint = "Switch it off hard."
            raise
        now = get(session, vm.href)
        if now.busy:
            for task in tasks.embedded(now.tree):
                if task.running:
                    tasks.cancel(session, task, f"cannot switch off {vm.name}")
            tasks.settled(session, vm.href, f"cannot switch off {vm.name}", timeout=timeout)
        return power_off(session, vm, timeout=timeout) or True


def delete(session: Session, vm: Vm, *, timeout: float = 1800.0) -> bool:
    """Remove a machine with its disks (named disks stay); it is switched off first. False when it was gone."""
    what = f"cannot remove {vm.name}"
    try:
        power_off(session, vm, timeout=timeout)
        tasks.run(session, "DELETE", _path(vm), what, timeout=timeout)
    except NotFound:
        return False
    return True


def destroy_ours(session: Session, vm: Vm, marks: Marks, *, states: Sequence[str] = ("importing",)) -> bool:
    """Remove a machine of ours that is in one of these states and switched off; Conflict for any other."""
    what = f"cannot remove the unfinished machine {vm.name}"
    now = get(session, vm.href)
    found = metadata.marks(marks_of(session, now))
    if found is None or not marks.owns(found):
        raise Conflict(what, cause="it does not carry our owner marks")
    if found.state not in states:
        raise Conflict(what, cause=f"its state is {found.state or 'unknown'!r}")
    if now.powered_on:
        raise Conflict(what, cause="it is running")
    return delete(session, now)
