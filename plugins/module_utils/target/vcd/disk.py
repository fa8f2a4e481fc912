# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named (independent) disks and snapshots.

A tenant cannot upload bytes into a named disk: what is migrated travels in the machine's package. These are for what
people do before and after.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import query, tasks, wire, xml
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.org import Vdc
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.vm import Vm
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.xml import el

CREATE = "application/vnd.vmware.vcloud.diskCreateParams+xml"
DISK = "application/vnd.vmware.vcloud.disk+xml"
ATTACH = "application/vnd.vmware.vcloud.diskAttachOrDetachParams+xml"
SNAPSHOT = "application/vnd.vmware.vcloud.createSnapshotParams+xml"
BUSES = {
    "pvscsi": ("6", "VirtualSCSI"),
    "lsilogic": ("6", "lsilogic"),
    "lsisas": ("6", "lsilogicsas"),
    "sata": ("20", "vmware.sata.ahci"),
    "nvme": ("20", "vmware.nvme.controller"),
}


@dataclass(frozen=True)
class NamedDisk:
    """A named disk as it is: sizes in MiB, the machines that it is attached to (hrefs)."""

    href: str
    name: str
    description: str
    size_mib: int
    controller: str
    storage_profile: str
    attached: tuple[str, ...] = ()


def of(session: Session, href: str) -> NamedDisk:
    """A named disk by its href."""
    what = f"cannot read the disk {tasks.uuid_of(href)}"
    tree = session.read(href, what)
    bus = (xml.attribute(tree, "busType"), xml.attribute(tree, "busSubType").lower())
    kinds = [name for name, (number, sub) in BUSES.items() if bus == (number, sub.lower())]
    vms = session.read(f"{wire.path_of(href, what)}/attachedVms", what)
    return NamedDisk(
        href=xml.attribute(tree, "href"),
        name=xml.attribute(tree, "name"),
        description=xml.text(tree, "Description"),
        size_mib=xml.whole(xml.attribute(tree, "sizeMb")),
        controller=kinds[0] if kinds else bus[1],
        storage_profile=xml.attribute(xml.child(tree, "StorageProfile"), "name"),
        attached=tuple(xml.attribute(one, "href") for one in xml.walk(vms, "VmReference")),
    )


def find(session: Session, place: Vdc, name: str) -> NamedDisk | None:
    """The named disk of that name in a VDC; Conflict for several (Cloud Director allows equal names)."""
    what = f"cannot look for the disk {name}"
    rows = query.records(session, "disk", what, where={"name": name})
    found = [row for row in rows if row.get("name") == name and tasks.uuid_of(row.get("vdc", "")) in ("", place.uuid)]
    if len(found) > 1:
        raise Conflict(what, cause=f"there are {len(found)} of that name in the VDC {place.name}")
    return of(session, found[0].get("href", "")) if found else None


def create(
    session: Session,
    place: Vdc,
    name: str,
    size_mib: int,
    *,
    controller: str = "pvscsi",
    storage_profile: str = "",
    description: str = "",
) -> NamedDisk:
    """Make an empty named disk. storage_profile: its name, "" for the default."""
    what = f"cannot make the disk {name}"
    problems = []
    if controller not in BUSES:
        problems.append(Problem("controller", f"{controller!r} is not one of {', '.join(BUSES)}"))
    if not 1 <= size_mib <= 2 << 20:
        problems.append(Problem("size_mib", f"{size_mib} is not between 1 and {2 << 20} (2 TiB)"))
    if problems:
        raise InvalidInput(what, problems)
    profile = place.profile(storage_profile)
    bus, sub = BUSES[controller]
    disk = el(
        "Disk",
        el("Description", description),
        el("StorageProfile", href=session.base + wire.path_of(profile.href, what)),
        name=name,
        sizeMb=size_mib,
        busType=bus,
        busSubType=sub,
    )
    body = el("DiskCreateParams", disk)
    answer, dummy = tasks.run(session, "POST", f"{place.href}/disk", what, body=body, content_type=CREATE)
    return of(session, xml.attribute(tasks.settled(session, xml.attribute(answer.xml(), "href"), what), "href"))


def edit(session: Session, disk: NamedDisk, *, size_mib: int, description: str) -> NamedDisk:
    """Describe a named disk, and have it grow; the disk as it is then."""
    what = f"cannot change the disk {disk.name}"
    path = wire.path_of(disk.href, what)
    storage = xml.attribute(xml.child(session.read(path, what), "StorageProfile"), "href")
    body = el(
        "Disk",
        el("Description", description),
        el("StorageProfile", href=session.base + wire.path_of(storage, what)) if storage else None,
        name=disk.name,
        sizeMb=size_mib,
    )
    tasks.run(session, "PUT", path, what, body=body, content_type=DISK)
    tasks.settled(session, path, what)
    return of(session, disk.href)


def attach(session: Session, vm: Vm, disk: NamedDisk) -> bool:
    """Attach it to a machine; False when it is there. Conflict where another machine has it."""
    what = f"cannot attach the disk {disk.name} to {vm.name}"
    now = of(session, disk.href)
    others = [href for href in now.attached if tasks.uuid_of(href) != vm.uuid]
    if others:
        raise Conflict(what, cause=f"it is attached to {', '.join(tasks.uuid_of(href) for href in others)}")
    return False if now.attached else _move(session, vm, disk, "attach", what)


def detach(session: Session, vm: Vm, disk: NamedDisk) -> bool:
    """Take it from a machine; False when it is not there."""
    what = f"cannot detach the disk {disk.name} from {vm.name}"
    if vm.uuid not in {tasks.uuid_of(href) for href in of(session, disk.href).attached}:
        return False
    return _move(session, vm, disk, "detach", what)


def _move(session: Session, vm: Vm, disk: NamedDisk, how: str, what: str) -> bool:
    body = el("DiskAttachOrDetachParams", el("Disk", href=session.base + wire.path_of(disk.href, what)))
    path = f"{wire.path_of(vm.href, what)}/disk/action/{how}"
    tasks.run(session, "POST", path, what, body=body, content_type=ATTACH)
    return True


def delete(session: Session, disk: NamedDisk) -> bool:
    """Remove a named disk that no machine has; False when it was gone."""
    what = f"cannot remove the disk {disk.name}"
    try:
        if of(session, disk.href).attached:
            raise Conflict(what, cause="a machine has it", hint="Detach it first.")
        tasks.run(session, "DELETE", wire.path_of(disk.href, what), what)
    except (NotFound, Refused) as error:
        reason = wire.said(error)
        if reason is None or reason.status != 404:
            raise
        return False
    return True


# -- snapshots


@dataclass(frozen=True)
class Snapshot:
    """The snapshot of a machine: when, in MiB, and whether it was running. A machine has one at a time here."""

    created: str
    size_mib: int
    powered_on: bool


def snapshot(session: Session, vm: Vm) -> Snapshot | None:
    """The snapshot of a machine, or None."""
    what = f"cannot read the snapshot of {vm.name}"
    tree = session.read(f"{wire.path_of(vm.href, what)}/snapshotSection", what)
    found = xml.child(tree, "Snapshot")
    if found is None:
        return None
    return Snapshot(
        xml.attribute(found, "created"),
        xml.whole(xml.attribute(found, "size")) >> 20,
        xml.attribute(found, "poweredOn") == "true",
    )


def take(session: Session, vm: Vm, name: str, *, memory: bool = False, quiesce: bool = False) -> None:
    """Take a snapshot. It replaces the one that there is: look first."""
    what = f"cannot take a snapshot of {vm.name}"
    body = el("CreateSnapshotParams", name=name, memory=memory, quiesce=quiesce)
    path = f"{wire.path_of(vm.href, what)}/action/createSnapshot"
    tasks.run(session, "POST", path, what, body=body, content_type=SNAPSHOT)


def revert(session: Session, vm: Vm) -> None:
    """Go back to the snapshot: what was written since is lost."""
    _act(session, vm, "revertToCurrentSnapshot", f"cannot go back to the snapshot of {vm.name}")


def drop(session: Session, vm: Vm) -> bool:
    """Remove the snapshots of a machine; False when it has none."""
    if snapshot(session, vm) is None:
        return False
    _act(session, vm, "removeAllSnapshots", f"cannot remove the snapshot of {vm.name}")
    return True


def _act(session: Session, vm: Vm, action: str, what: str) -> None:
    tasks.run(session, "POST", f"{wire.path_of(vm.href, what)}/action/{action}", what)
