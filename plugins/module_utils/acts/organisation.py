# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that people have in an organisation of Cloud Director: catalogs, vApps, templates, named disks, snapshots.

Each has what it is to be, a plan as a value, and what makes it so. Ours is what carries our stamp; of what does not,
nothing is ever changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    Conflict,
    InvalidInput,
    Problem,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    objects,
    org,
    query,
    tasks,
    vapp,
    wire,
    xml,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.changes import Change, ChangeSet
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
