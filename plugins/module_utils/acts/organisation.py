# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that people have in an organisation of Cloud Director: catalogs, vApps, templates, named disks, snapshots.

Each has what it is to be, a plan as a value, and what makes it so. Ours is what carries our stamp; of what does not,
nothing is ever changed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    disk,
    metadata,
    objects,
    org,
    query,
    tasks,
    template,
    vapp,
    vm,
    wire,
    xml,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.changes import (
    Action,
    Change,
    ChangeSet,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.objects import Kind, Shown, Wanted
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Json
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.xml import el

VAPP = "application/vnd.vmware.vcloud.vApp+xml"


@dataclass(frozen=True)
class Options:
    """What all things have: their name, whose they are, whether they are to be gone, and whether edits of others go."""

    name: str
    tenant: str
    absent: bool = False
    overwrite: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.tenant.strip():
            raise InvalidInput("this cannot be done", [Problem("name and tenant", "must not be empty")])
        if not objects.is_name_of_tenant(self.tenant):
            raise InvalidInput("this cannot be done", [Problem("tenant", objects.NO_TENANT)])


@dataclass(frozen=True)
class Done:
    """What changed, or would, and the id of the thing ("" where there is none)."""

    changes: ChangeSet
    id: str = ""

    def result(self) -> dict[str, Any]:
        """As a module returns it."""
        told: dict[str, Any] = {"changed": bool(self.changes), "id": self.id}
        if self.changes:
            told["diff"] = self.changes.diff()
        return told


def plan(kind: Kind, there: Json | None, wanted: Wanted, options: Options) -> ChangeSet:
    """What would change of one thing. A thing that is not ours is in the way of its removal."""
    rows = [] if there is None else [there]
    if not options.absent:
        return objects.plan(kind, rows, [wanted], options.tenant, overwrite=options.overwrite)
    owner = objects.stamp_of(there.get("description")) if there else None
    if there is not None and (owner is None or owner.tenant != options.tenant):
        return ChangeSet(conflicts=(f"{kind.name} {options.name} is not ours",))
    return objects.plan(kind, rows, [], options.tenant, remove=True, overwrite=options.overwrite)


def _plain(description: str | None, there: Json | None) -> str:
    """The description that is wanted: what is there, where none is given."""
    if description is None:
        return objects.unstamped(there.get("description")) if there else ""
    return objects.unstamped(description)


def _text(change: Change) -> str:
    return wire.string(change.body.get("description"))


def _one(changes: ChangeSet, kind: Kind) -> Change | None:
    return next((one for one in changes.changes if one.kind == kind.name), None)


def _only_description(one: Json) -> Shown:
    return {"description": objects.unstamped(one.get("description"))}


# -- catalogs

CATALOG = Kind("catalog", "", _only_description)


def catalog(
    session: Session,
    options: Options,
    *,
    description: str | None = None,
    vdc: str = "",
    storage_profile: str = "",
    with_content: bool = False,
) -> Done:
    """Have a catalog, or not. vdc and storage_profile: where what is in it is kept; only for a new one.

    with_content: remove it with what is in it; otherwise one that is not empty stays, as a conflict.
    """
    what = f"cannot {'remove' if options.absent else 'make'} the catalog {options.name}"
    href = org.find_catalog(session, options.name)
    there: Json | None = None
    if href:
        tree = session.read(href, what)
        there = {"id": href, "name": options.name, "description": xml.text(tree, "Description")}
    plain = _plain(description, there)
    changes = plan(CATALOG, there, Wanted(options.name, {"description": plain}, {}, plain), options)
    if options.absent and changes and not with_content:
        inside = query.records(session, "catalogItem", what, where={"catalogName": options.name})
        names = sorted(row.get("name", "") for row in inside if tasks.uuid_of(row.get("catalog", href)) in href)
        if names:
            changes += ChangeSet(conflicts=(f"the catalog {options.name} still has {', '.join(names[:5])}",))
    changes.refuse_conflicts(what)
    profile = org.vdc(session, vdc).profile(storage_profile) if vdc and not options.absent and not href else None
    change = _one(changes, CATALOG)
    if change is None or options.dry_run:
        return Done(changes, tasks.uuid_of(href))
    if change.action == "create":
        href, _made = org.ensure_catalog(session, options.name, description=_text(change), profile=profile)
    elif change.action == "update":
        body = el("AdminCatalog", el("Description", _text(change)), name=options.name)
        path = f"/api/admin/catalog/{tasks.uuid_of(href)}"
        tasks.run(session, "PUT", path, what, body=body, content_type=org.CATALOG)
        tasks.settled(session, href, what)
    else:
        org.remove_catalog(session, href)
        href = ""
    return Done(changes, tasks.uuid_of(href))


# -- vApps

BOX = Kind("vApp", "", _only_description)


def box(
    session: Session,
    options: Options,
    *,
    vdc: str,
    description: str | None = None,
    networks: Sequence[str] = (),
) -> Done:
    """Have a vApp, or not, with leases that never end. networks: names of networks of the organisation to have in it.

    Networks that are in it and not named stay. One with machines is not removed.
    """
    what = f"cannot {'remove' if options.absent else 'make'} the vApp {options.name}"
    place = org.vdc(session, vdc)
    missing = [] if options.absent else sorted(set(networks) - set(place.networks))
    if missing:
        there_are = ", ".join(sorted(place.networks)) or "none"
        raise InvalidInput(what, [Problem("networks", f"{name!r} is not one of {there_are}") for name in missing])
    found = vapp.find(session, place, options.name)
    there = {"id": found.href, "name": found.name, "description": found.description} if found else None
    plain = _plain(description, there)
    changes = plan(BOX, there, Wanted(options.name, {"description": plain}, {}, plain), options)
    wanted = {name: place.networks[name] for name in networks} if not options.absent else {}
    if options.absent:
        if found is not None and found.vms and changes:
            names = ", ".join(sorted(one.name for one in found.vms)[:5])
            changes += ChangeSet(conflicts=(f"the vApp {options.name} still has the machines {names}",))
    else:
        changes += _box_settings(found, wanted, options)
    changes.refuse_conflicts(what)
    if not changes or options.dry_run:
        return Done(changes, found.uuid if found else "")
    change = _one(changes, BOX)
    if options.absent and found is not None:
        with session.lock("vApp", f"{place.uuid} {options.name}"):
            if vapp.get(session, found.href).vms:
                raise Conflict(what, cause="a machine came into it at the same moment", retryable=True)
            vapp.delete(session, found)
        return Done(changes)
    if found is None or (change is not None and change.action == "create"):
        text = _text(change) if change is not None else ""
        found, _made = vapp.ensure(session, place, options.name, description=text)
    elif change is not None:
        body = el("VApp", el("Description", _text(change)), name=options.name)
        tasks.run(session, "PUT", wire.path_of(found.href, what), what, body=body, content_type=VAPP)
    vapp.never_expires(session, found)
    vapp.ensure_networks(session, found, wanted)
    return Done(changes, found.uuid)


def _box_settings(found: vapp.VApp | None, wanted: Mapping[str, str], options: Options) -> ChangeSet:
    """What would change of the networks and the leases of a vApp."""
    if found is None:
        after: Shown = {"networks": sorted(wanted)}
        return ChangeSet((Change("create", "vApp networks", options.name, None, after),)) if wanted else ChangeSet()
    changes = []
    if vapp.missing_networks(found, wanted):
        before, together = {"networks": sorted(found.networks)}, sorted({*found.networks, *wanted})
        changes.append(Change("update", "vApp networks", options.name, before, {"networks": together}))
    if found.leases != (0, 0):
        deployment, storage = found.leases
        changes.append(
            Change(
                "update",
                "vApp leases",
                options.name,
                {"deployment_s": deployment, "storage_s": storage},
                {"deployment_s": 0, "storage_s": 0},
            )
        )
    owner = objects.stamp_of(found.description)
    foreign = bool(changes) and (owner is None or owner.tenant != options.tenant)
    return ChangeSet(tuple(changes), (f"the vApp {options.name} is not ours",) if foreign else ())


# -- templates

_CONTENT = re.compile(r"\s*\(content ([0-9a-f]{16})\)\s*$")
_FILE = re.compile(r"[A-Za-z0-9][^/\\?#\x00-\x20\x7f]{0,200}")
TEMPLATE_TYPE = "application/vnd.vmware.vcloud.vAppTemplate+xml"


@dataclass(frozen=True)
class Package:
    """An OVF package on this host: its descriptor, the files that it names with their sizes, and a digest of it all."""

    descriptor: bytes
    files: Mapping[str, Path]
    sizes: Mapping[str, int]
    content: str


def package(src: Path) -> Package:
    """Read the package of a descriptor. Raises InvalidInput with everything that Cloud Director would refuse."""
    what = f"the package {src} cannot be uploaded"
    try:
        descriptor = src.read_bytes()
    except OSError as error:
        raise InvalidInput(what, [Problem("src", error.strerror or str(error))]) from error
    tree = xml.parse(descriptor, what)
    if xml.local(tree) != "Envelope":
        raise InvalidInput(what, [Problem("src", "it is no OVF descriptor")])
    files: dict[str, Path] = {}
    sizes: dict[str, int] = {}
    problems: list[Problem] = []
    for one in xml.walk(tree, "File"):
        name = xml.attribute(one, "href")
        if not _FILE.fullmatch(name):
            problems.append(Problem("src", f"it names the file {name!r}, which is not beside it"))
            continue
        if xml.attribute(one, "chunkSize") or xml.attribute(one, "compression") not in ("", "identity"):
            problems.append(Problem("src", f"the file {name} is in pieces or compressed: unpack it first"))
        path = src.parent / name
        size = path.stat().st_size if path.is_file() else -1
        told = xml.whole(xml.attribute(one, "size"), -1)
        if size < 0:
            problems.append(Problem("src", f"the file {name} is not beside it"))
        elif size != told:
            problems.append(Problem("src", f"the file {name} has {size} bytes, and the descriptor says {told}"))
        files[name], sizes[name] = path, size
    if problems:
        raise InvalidInput(what, problems)
    hashed = hashlib.sha256(descriptor)
    for name in sorted(files):
        hashed.update(f"\n{name} {sizes[name]}\n".encode())
        _blocks(files[name], hashed.update)
    return Package(descriptor, files, sizes, hashed.hexdigest()[:16])


def _blocks(path: Path, write: Callable[[bytes], object]) -> None:
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            write(block)


def _shown_template(one: Json) -> Shown:
    text = objects.unstamped(one.get("description"))
    found = _CONTENT.search(text)
    return {"description": _CONTENT.sub("", text), "content": found[1] if found else ""}


TEMPLATE = Kind("template", "", _shown_template)


def image(
    session: Session,
    options: Options,
    *,
    catalog: str,
    src: str = "",
    description: str | None = None,
    vdc: str = "",
    storage_profile: str = "",
    timeout: float = 4 * 3600.0,
) -> Done:
    """Have a template in a catalog, of an OVF package on this host, or not.

    A digest of the package is in the description: another package replaces the template. What an earlier run of ours
    left of an upload is removed. vdc and storage_profile: where a new one is kept.
    """
    what = f"cannot {'remove' if options.absent else 'upload'} the template {options.name}"
    place = org.find_catalog(session, catalog)
    if not place and not options.absent:
        raise NotFound(what, cause=f"there is no catalog {catalog}", hint="Make it first: vcd_catalog.")
    given = None if options.absent else package(Path(src))
    rows = template.find(session, options.name, catalog) if place else []
    found = [template.get(session, row.get("href", "")) for row in rows]
    if len(found) > 1:
        raise Conflict(what, cause=f"there are {len(found)} of that name in the catalog {catalog}")
    now = found[0] if found else None
    there = {"id": now.href, "name": now.name, "description": now.description} if now else None
    owner = objects.stamp_of(now.description) if now else None
    left = now is not None and not now.ready and owner is not None and owner.tenant == options.tenant
    if left and not options.absent:
        there = None
    plain = objects.unstamped(description) if description is not None else ""
    if description is None and there is not None:
        plain = str(_shown_template(there)["description"])
    content = given.content if given else ""
    text = f"{plain} (content {content})".strip()
    wanted = Wanted(options.name, {"description": plain, "content": content}, {}, text)
    changes = plan(TEMPLATE, there, wanted, options)
    if not left and now is not None and not now.ready and not changes:
        changes += ChangeSet(conflicts=(f"template {options.name} is not ready, and not ours",))
    changes.refuse_conflicts(what)
    profile = org.vdc(session, vdc).profile(storage_profile).href if vdc and given else ""
    change = _one(changes, TEMPLATE)
    if change is None or options.dry_run:
        return Done(changes, tasks.uuid_of(now.href) if now else "")
    if change.action == "delete":
        template.remove(session, now.href if now else "")
        return Done(changes)
    if given is None:
        raise AssertionError("only a removal has no package")
    if change.action == "update" and now is not None and "content" not in (change.after or {}):
        body = el("VAppTemplate", el("Description", _text(change)), name=options.name)
        tasks.run(session, "PUT", wire.path_of(now.href, what), what, body=body, content_type=TEMPLATE_TYPE)
        return Done(changes, tasks.uuid_of(now.href))
    if now is not None:
        template.remove(session, now.href)
    with template.begin(
        session,
        place,
        options.name,
        given.descriptor,
        given.sizes,
        description=_text(change),
        storage_profile=profile,
    ) as transfer:
        for name, path in given.files.items():
            transfer.send(name, partial(_blocks, path))
        made = transfer.complete(timeout=timeout)
    return Done(changes, tasks.uuid_of(made.href))


# -- machines of ours


def _machine(session: Session, vdc: str, name: str, tenant: str, what: str) -> tuple[vm.Vm, dict[str, str]]:
    """A machine of the tenant in a VDC, by its name or id, and its metadata. Conflict for one that is not ours."""
    place = org.vdc(session, vdc)
    rows = query.records(session, "vm", what, where={"isVAppTemplate": "false"})
    here = [row for row in rows if tasks.uuid_of(row.get("vdc", "")) in ("", place.uuid)]
    found = [row for row in here if name in (row.get("name"), tasks.uuid_of(row.get("href", "")))]
    if not found:
        raise NotFound(what, cause=f"the VDC {vdc} has no machine {name}")
    if len(found) > 1:
        raise Conflict(what, cause=f"the VDC {vdc} has {len(found)} machines {name}", hint="Give the id of one.")
    one = vm.get(session, found[0].get("href", ""))
    entries = vm.marks_of(session, one)
    marks = metadata.marks(entries)
    if marks is None or marks.tenant != tenant:
        raise Conflict(what, cause=f"the machine {one.name} does not carry the owner marks of the tenant {tenant}")
    return one, entries


# -- snapshots

SNAPSHOT_MARK = "cloudexit.snapshot"
_PENDING = "pending"


def snapshot(
    session: Session,
    options: Options,
    *,
    vdc: str,
    machine: str,
    memory: bool = False,
    quiesce: bool = False,
) -> Done:
    """Have a snapshot of a machine of ours, or not. Which one is ours is noted in the machine's metadata.

    A machine has one at a time; one that somebody else took is a conflict, unless it may be overwritten.
    """
    what = f"cannot {'remove' if options.absent else 'take'} the snapshot of {machine}"
    one, entries = _machine(session, vdc, machine, options.tenant, what)
    there = disk.snapshot(session, one)
    noted = entries.get(SNAPSHOT_MARK, "")
    ours = there is not None and noted in (there.created, _PENDING)
    before = {"created": there.created, "size_mib": there.size_mib} if there else None
    if (options.absent and there is None) or (not options.absent and ours):
        if ours and there is not None and noted == _PENDING and not options.dry_run:
            metadata.write(session, one.href, {SNAPSHOT_MARK: there.created}, what)
        return Done(ChangeSet(), one.uuid)
    problems: tuple[str, ...] = ()
    if there is not None and not ours and not options.overwrite:
        problems = (f"{one.name} has a snapshot that somebody else took, of {there.created}",)
    after = None if options.absent else {"name": options.name, "memory": memory, "quiesce": quiesce}
    action: Action = "delete" if options.absent else ("create" if there is None else "update")
    changes = ChangeSet((Change(action, "snapshot", one.name, before, after),), problems)
    changes.refuse_conflicts(what)
    if options.dry_run:
        return Done(changes, one.uuid)
    if options.absent:
        disk.drop(session, one)
        if noted:
            metadata.remove(session, one.href, SNAPSHOT_MARK, what)
        return Done(changes, one.uuid)
    metadata.write(session, one.href, {SNAPSHOT_MARK: _PENDING}, what)
    if there is not None:
        disk.drop(session, one)
    disk.take(session, one, options.name, memory=memory, quiesce=quiesce)
    made = disk.snapshot(session, one)
    if made is None:
        raise CloudExitError(what, cause="the task succeeded, but there is no snapshot", retryable=True)
    metadata.write(session, one.href, {SNAPSHOT_MARK: made.created}, what)
    return Done(changes, one.uuid)


# -- named disks


def _shown_disk(one: Json) -> Shown:
    return {
        "description": objects.unstamped(one.get("description")),
        "size_mib": one["size_mib"],
        "controller": one["controller"],
        "storage_profile": one["storage_profile"],
    }


DISK = Kind("disk", "", _shown_disk, fixed=("controller", "storage_profile"))


@dataclass(frozen=True)
class DiskWanted:
    """A named disk as it is wanted. None: as it is, or the default of a new one. machine "": attached to none."""

    size_mib: int | None = None
    controller: str | None = None
    storage_profile: str | None = None
    description: str | None = None
    machine: str | None = None


def named_disk(session: Session, options: Options, wanted: DiskWanted, *, vdc: str) -> Done:
    """Have a named disk in a VDC, attached to a machine of ours or to none, or not have it.

    It can grow and not shrink. One that a machine has is not removed.
    """
    what = f"cannot {'remove' if options.absent else 'make'} the disk {options.name}"
    place = org.vdc(session, vdc)
    found = disk.find(session, place, options.name)
    there: Json | None = None
    if found is not None:
        there = {"id": found.href, "name": found.name, "description": found.description}
        there |= {"size_mib": found.size_mib, "controller": found.controller}
        there["storage_profile"] = found.storage_profile
    plain = _plain(wanted.description, there)
    shown: dict[str, Any] = {"description": plain, "size_mib": 0, "controller": "", "storage_profile": ""}
    if not options.absent:
        size = wanted.size_mib or (found.size_mib if found else 0)
        if not 1 <= size <= 2 << 20:
            raise InvalidInput(what, [Problem("size_gib", "a disk has from 1 MiB to 2048 GiB")])
        profile = wanted.storage_profile or (found.storage_profile if found else "")
        shown["size_mib"] = size
        shown["controller"] = wanted.controller or (found.controller if found else "pvscsi")
        shown["storage_profile"] = profile if found else place.profile(profile).name
    changes = plan(DISK, there, Wanted(options.name, shown, {}, plain), options)
    changes += _attachment(session, options, wanted, found, vdc, what)
    if found is not None and not options.absent and shown["size_mib"] < found.size_mib:
        changes += ChangeSet(conflicts=(f"disk {options.name} has {found.size_mib} MiB, and cannot shrink",))
    changes.refuse_conflicts(what)
    if not changes or options.dry_run:
        return Done(changes, tasks.uuid_of(found.href) if found else "")
    change = _one(changes, DISK)
    if options.absent:
        if found is not None:
            disk.delete(session, found)
        return Done(changes)
    if found is None:
        found = disk.create(
            session,
            place,
            options.name,
            shown["size_mib"],
            controller=shown["controller"],
            storage_profile=shown["storage_profile"],
            description=_text(change) if change else "",
        )
    elif change is not None:
        found = disk.edit(session, found, size_mib=shown["size_mib"], description=_text(change))
    if _one(changes, _ATTACHED) is not None:
        for href in found.attached:
            disk.detach(session, vm.get(session, href), found)
        if wanted.machine:
            disk.attach(session, _machine(session, vdc, wanted.machine, options.tenant, what)[0], found)
    return Done(changes, tasks.uuid_of(found.href))


_ATTACHED = Kind("attached disk", "", _only_description)


def _attachment(
    session: Session, options: Options, wanted: DiskWanted, found: disk.NamedDisk | None, vdc: str, what: str
) -> ChangeSet:
    """What would change of who has the disk."""
    has = sorted(tasks.uuid_of(href) for href in found.attached) if found else []
    if options.absent:
        if has:
            return ChangeSet(conflicts=(f"the machine {has[0]} has the disk {options.name}: detach it first",))
        return ChangeSet()
    if wanted.machine is None:
        return ChangeSet()
    asked = [_machine(session, vdc, wanted.machine, options.tenant, what)[0].uuid] if wanted.machine else []
    if has == asked:
        return ChangeSet()
    owner = objects.stamp_of(found.description) if found else None
    if found is not None and (owner is None or owner.tenant != options.tenant):
        return ChangeSet(conflicts=(f"disk {options.name} is not ours",))
    for identity in has:
        _machine(session, vdc, identity, options.tenant, what)
    before = {"machines": has} if found else None
    return ChangeSet((Change("update", _ATTACHED.name, options.name, before, {"machines": asked}),))
