# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in a vCenter machines go: datacenter, compute, datastore, folder and networks, found by name or by id.

`resolve` reads the inventory once and reports everything that is missing or ambiguous together.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    Conflict,
    InvalidInput,
    Problem,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import vmomi
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.client import Session, ids
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.spec import (
    VmSpec,
    capacity_of,
    escape_name,
    unescape_name,
)

GIB = 1024**3
# Base types only: which of several matching specs a property collector takes for an object is not said anywhere, so
# what only a cluster or a port group has is read afterwards, from the one that was chosen.
_KINDS: Mapping[str, Sequence[str]] = {
    "Datacenter": ["name", "parent", "vmFolder"],
    "ComputeResource": ["name", "parent", "resourcePool", "host", "datastore", "network"],
    "ResourcePool": ["name", "parent", "owner"],
    "HostSystem": ["name", "parent", "datastore", "network", "runtime.connectionState", "runtime.inMaintenanceMode"],
    "Datastore": [
        "name",
        "parent",
        "summary.freeSpace",
        "summary.capacity",
        "summary.accessible",
        "summary.maintenanceMode",
    ],
    "Network": ["name", "parent"],
    "Folder": ["name", "parent"],
}
_Entry = dict[str, Any]


@dataclass(frozen=True)
class Datastore:
    """A datastore: id, name, size and free space in bytes."""

    moref: str
    name: str
    free: int
    capacity: int


@dataclass
class Placement:
    """Where machines go, resolved. `folder` is None until `ensure_folder` has made what `missing_folders` names."""

    datacenter: str
    pool: str
    host: str | None
    datastore: Datastore
    datastores: dict[str, Datastore]
    networks: dict[str, Any]
    network_names: dict[str, str]
    parent_folder: str
    folder: str | None
    missing_folders: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Plain values for reports and diffs; sizes in bytes."""
        return {
            "datacenter": self.datacenter,
            "pool": self.pool,
            "host": self.host,
            "datastore": {
                "name": self.datastore.name,
                "free": self.datastore.free,
                "capacity": self.datastore.capacity,
            },
            "folder": self.folder,
            "missing_folders": list(self.missing_folders),
            "networks": dict(self.network_names),
        }


class _Inventory:
    """What one read of the inventory found, with look-ups by name, id or path."""

    def __init__(self, found: dict[str, _Entry]) -> None:
        self.all = found
        self.problems: list[Problem] = []

    def name(self, entry: _Entry) -> str:
        return unescape_name(str(entry.get("name", "")))

    def parent(self, entry: _Entry) -> _Entry | None:
        parent = entry.get("parent")
        return self.all.get(parent._moId) if parent is not None else None

    def path(self, entry: _Entry) -> list[str]:
        """Names from below the root folder down to the object."""
        names: list[str] = []
        here: _Entry | None = entry
        while here is not None:
            names.append(self.name(here))
            here = self.parent(here)
        return names[::-1]

    def within(self, entry: _Entry, datacenter: _Entry) -> bool:
        here: _Entry | None = entry
        while here is not None:
            if here is datacenter:
                return True
            here = self.parent(here)
        return False

    def find(self, kinds: Sequence[str], wanted: str, datacenter: _Entry | None = None) -> list[_Entry]:
        """Objects whose name, path end or id is `wanted`; a name wins over an id."""
        pool = [
            entry
            for entry in self.all.values()
            if entry["type"] in kinds and (datacenter is None or self.within(entry, datacenter))
        ]
        named = [entry for entry in pool if self.name(entry) == wanted]
        if named:
            return named
        if "/" in wanted:
            parts = [unescape_name(part) for part in wanted.strip("/").split("/")]
            named = [entry for entry in pool if self.path(entry)[-len(parts) :] == parts]
            if named:
                return named
        return [entry for entry in pool if entry["object"]._moId == wanted]

    def one(self, where: str, what: str, kinds: Sequence[str], wanted: str, datacenter: _Entry | None) -> _Entry | None:
        """The one object that `wanted` names; otherwise a problem is noted."""
        found = self.find(kinds, wanted, datacenter)
        if len(found) == 1:
            return found[0]
        if found:
            morefs = ", ".join(sorted(ids(entry["object"] for entry in found)))
            self.problems.append(
                Problem(where, f"{len(found)} {what}s are called {wanted!r}; name one by its id: {morefs}")
            )
            return None
        known = sorted(
            {
                self.name(entry)
                for entry in self.all.values()
                if entry["type"] in kinds and (datacenter is None or self.within(entry, datacenter))
            }
        )
        there = f"; there are: {', '.join(known[:20])}{' ...' if len(known) > 20 else ''}" if known else ""
        self.problems.append(Problem(where, f"no {what} {wanted!r}{there}"))
        return None


def resolve(
    session: Session,
    *,
    datacenter: str,
    compute: str,
    datastore: str,
    folder: str = "",
    networks: Iterable[str] = (),
    datastores: Iterable[str] = (),
    spread: str = "",
    path: str = "target",
) -> Placement:
    """Find everything that is named, each by name, path or id.

    compute: a cluster, a stand-alone host, a host of a cluster or a resource pool (`cluster/pool` where a name is not
    enough). folder: below the datacenter's VM folder, `a/b` for nested ones; need not exist. networks: standard
    networks and distributed port groups. datastores: further ones that single disks name. spread: any text; it picks
    the host where a cluster has no DRS. Raises InvalidInput with every problem, each with its path in the document.
    """
    inventory = _Inventory(
        session.list(_KINDS, session.content.rootFolder, f"cannot read the inventory of {session.host}")
    )
    dc = inventory.one(f"{path}.datacenter", "datacenter", ["Datacenter"], datacenter, None)
    if dc is None:
        raise InvalidInput(f"the target in {session.host} is not as the plan says", inventory.problems)
    pool, host, reach = _compute(inventory, dc, compute, f"{path}.compute")
    main = _datastore(inventory, dc, datastore, f"{path}.datastore", reach, compute)
    others = {
        name: found
        for name in dict.fromkeys(datastores)
        if name and (found := _datastore(inventory, dc, name, f"{path}.datastore", reach, compute)) is not None
    }
    chosen = {
        wanted: entry
        for wanted in dict.fromkeys(networks)
        if (entry := _network(inventory, dc, wanted, f"{path}.networks", reach, compute)) is not None
    }
    parent, found_folder, missing = _folder(inventory, dc, folder)
    if inventory.problems or main is None or pool is None:
        raise InvalidInput(f"the target in {session.host} is not as the plan says", inventory.problems)
    if host is None and reach is not None:
        host = _pick_host(session, inventory, reach, main.moref, spread)
    return Placement(
        datacenter=dc["object"]._moId,
        pool=pool,
        host=host,
        datastore=main,
        datastores={main.name: main, datastore: main, **others},
        networks=_backings(session, chosen, f"{path}.networks"),
        network_names={wanted: inventory.name(entry) for wanted, entry in chosen.items()},
        parent_folder=parent,
        folder=found_folder,
        missing_folders=missing,
    )


def _compute(
    inventory: _Inventory, dc: _Entry, wanted: str, where: str
) -> tuple[str | None, str | None, _Entry | None]:
    """(pool id, host id, the entry whose `datastore` and `network` say what can be reached)."""
    groups = [["ClusterComputeResource"], ["ResourcePool", "VirtualApp"], ["HostSystem"], ["ComputeResource"]]
    kinds = next((kinds for kinds in groups if inventory.find(kinds, wanted, dc)), None)
    if kinds is None:
        everything = [kind for group in groups[:3] for kind in group]
        inventory.one(where, "cluster, host or resource pool", everything, wanted, dc)
        return None, None, None
    entry = inventory.one(where, "compute resource", kinds, wanted, dc)
    if entry is None:
        return None, None, None
    if entry["type"] in ("ResourcePool", "VirtualApp"):
        return entry["object"]._moId, None, inventory.all.get(entry["owner"]._moId)
    if entry["type"] == "HostSystem":
        owner = inventory.parent(entry)
        if owner is None:
            inventory.problems.append(Problem(where, f"the host {wanted!r} belongs to no compute resource"))
            return None, None, None
        if entry.get("runtime.inMaintenanceMode") or str(entry.get("runtime.connectionState")) != "connected":
            inventory.problems.append(Problem(where, f"the host {wanted!r} is not connected, or in maintenance"))
        return owner["resourcePool"]._moId, entry["object"]._moId, entry
    if not entry.get("host"):
        inventory.problems.append(Problem(where, f"{wanted!r} has no host"))
    return entry["resourcePool"]._moId, None, entry


def _reaches(reach: _Entry | None, property_name: str, entry: _Entry) -> bool:
    return reach is None or entry["object"]._moId in ids(reach.get(property_name) or [])


def _datastore(
    inventory: _Inventory, dc: _Entry, wanted: str, where: str, reach: _Entry | None, compute: str
) -> Datastore | None:
    entry = inventory.one(where, "datastore", ["Datastore"], wanted, dc)
    if entry is None:
        return None
    if not entry.get("summary.accessible", True):
        inventory.problems.append(Problem(where, f"the datastore {wanted!r} is not accessible now"))
    if str(entry.get("summary.maintenanceMode", "normal")) not in ("normal", "None"):
        inventory.problems.append(Problem(where, f"the datastore {wanted!r} is in maintenance"))
    if not _reaches(reach, "datastore", entry):
        inventory.problems.append(Problem(where, f"the datastore {wanted!r} is not reachable from {compute!r}"))
    return Datastore(
        entry["object"]._moId,
        inventory.name(entry),
        int(entry.get("summary.freeSpace", 0)),
        int(entry.get("summary.capacity", 0)),
    )


def _network(
    inventory: _Inventory, dc: _Entry, wanted: str, where: str, reach: _Entry | None, compute: str
) -> _Entry | None:
    kinds = ["Network", "DistributedVirtualPortgroup", "OpaqueNetwork"]
    found = inventory.find(kinds, wanted, dc)
    near = [entry for entry in found if _reaches(reach, "network", entry)]
    if found and not near:
        inventory.problems.append(Problem(where, f"the network {wanted!r} is not reachable from {compute!r}"))
        return None
    if len(near) == 1:
        return near[0]
    return inventory.one(where, "network", kinds, wanted, dc)


def _backings(session: Session, chosen: Mapping[str, _Entry], where: str) -> dict[str, Any]:
    """A network card's backing for each network. One or two calls when there are distributed port groups."""
    card = vmomi.vim().vm.device.VirtualEthernetCard
    what = "cannot read the distributed port groups"
    groups = {
        wanted: entry["object"] for wanted, entry in chosen.items() if entry["type"] == "DistributedVirtualPortgroup"
    }
    paths = ["key", "config.distributedVirtualSwitch", "config.uplink"]
    values = session.read(list(groups.values()), paths, what)
    uplinks = [wanted for wanted, group in groups.items() if values[group._moId].get("config.uplink")]
    if uplinks:
        problems = [Problem(where, f"{wanted!r} is the uplink of a switch, not a network") for wanted in uplinks]
        raise InvalidInput(f"the target in {session.host} is not as the plan says", problems)
    switches = {group["config.distributedVirtualSwitch"]._moId for group in values.values()}
    kinds = [session.ref("DistributedVirtualSwitch", moref) for moref in sorted(switches)]
    uuids = session.read(kinds, ["uuid"], what)
    found: dict[str, Any] = {}
    for wanted, entry in chosen.items():
        if wanted in groups:
            group = values[entry["object"]._moId]
            switch = uuids[group["config.distributedVirtualSwitch"]._moId]["uuid"]
            port = vmomi.vim().dvs.PortConnection(switchUuid=switch, portgroupKey=group["key"])
            found[wanted] = card.DistributedVirtualPortBackingInfo(port=port)
        elif entry["type"] == "OpaqueNetwork":
            summary = session.property(entry["object"], "summary", what)
            found[wanted] = card.OpaqueNetworkBackingInfo(
                opaqueNetworkId=summary.opaqueNetworkId, opaqueNetworkType=summary.opaqueNetworkType
            )
        else:
            found[wanted] = card.NetworkBackingInfo(deviceName=entry["name"], network=entry["object"])
    return found


def _folder(inventory: _Inventory, dc: _Entry, wanted: str) -> tuple[str, str | None, list[str]]:
    """(the deepest folder that exists, the wanted folder or None, the names that are missing)."""
    root = dc["vmFolder"]._moId
    by_id = inventory.all.get(wanted)
    if by_id is not None and by_id["type"] == "Folder":
        return wanted, wanted, []
    here = root
    parts = [unescape_name(part) for part in wanted.strip("/").split("/") if part]
    for depth, part in enumerate(parts):
        below = [
            entry
            for entry in inventory.all.values()
            if entry["type"] == "Folder"
            and entry.get("parent") is not None
            and entry["parent"]._moId == here
            and inventory.name(entry) == part
        ]
        if not below:
            return here, None, parts[depth:]
        here = below[0]["object"]._moId
    return here, here, []


def _pick_host(session: Session, inventory: _Inventory, reach: _Entry, datastore: str, spread: str) -> str | None:
    """A host where the cluster has no DRS to choose one (ImportVApp wants it then); None where vCenter chooses."""
    if reach["type"] != "ClusterComputeResource":
        return None
    what = f"cannot read the cluster {inventory.name(reach)}"
    drs = session.property(reach["object"], "configuration.drsConfig", what)
    if drs is not None and drs.enabled:
        return None
    good = sorted(
        moref
        for moref in ids(reach.get("host") or [])
        if (entry := inventory.all.get(moref)) is not None
        and not entry.get("runtime.inMaintenanceMode")
        and str(entry.get("runtime.connectionState", "connected")) == "connected"
        and datastore in ids(entry.get("datastore") or [])
    )
    return good[zlib.crc32(spread.encode()) % len(good)] if good else None


def ensure_folder(session: Session, placement: Placement) -> tuple[str, list[str]]:
    """The id of the VM folder, made with its parents where missing; and the names of the folders that were made.

    Two runs may make it at the same time: the one that comes second takes the first's.
    """
    made: list[str] = []
    here = placement.parent_folder
    for name in placement.missing_folders:
        what = f"cannot make the folder {name!r}"
        parent = session.ref("Folder", here)
        try:
            here = session.run(what, partial(parent.CreateFolder, name=escape_name(name)))._moId
            made.append(name)
        except Conflict:
            find = partial(session.content.searchIndex.FindChild, entity=parent, name=escape_name(name))
            child: Any = session.run(what, find, repeat=True)
            if child is None:
                raise
            here = child._moId
    placement.folder, placement.parent_folder, placement.missing_folders = here, here, []
    return here, made


def space_problems(placement: Placement, spec: VmSpec, *, margin: float = 0.0) -> list[Problem]:
    """Disks that do not fit: for each datastore, the disks in order until its free space is used up.

    Disks are thin, but the source may fill them: their full size counts. margin: part of the free space to leave.
    """
    problems: list[Problem] = []
    left = {store.moref: int(store.free * (1 - margin)) for store in placement.datastores.values()}
    for index, disk in enumerate(spec.disks):
        store = placement.datastores.get(disk.datastore or "", placement.datastore)
        size = capacity_of(disk)
        if size > left[store.moref]:
            text = (
                f"needs {size / GIB:.1f} GiB, but {left[store.moref] / GIB:.1f} GiB are free in {store.name}"
                f"{' after the disks before it' if index else ''}"
            )
            problems.append(Problem(f"disks[{index}]", text))
        else:
            left[store.moref] -= size
    return problems


def check_space(placement: Placement, spec: VmSpec, *, margin: float = 0.0) -> None:
    """Raise Refused, naming disk, need and free space, when a machine does not fit."""
    problems = space_problems(placement, spec, margin=margin)
    if problems:
        raise Refused(
            f"{spec.name} does not fit in the datastore",
            cause="; ".join(str(problem) for problem in problems),
            hint="Free space, or name another datastore in the plan.",
        )


def check_name(session: Session, placement: Placement, name: str, instance_uuid: str = "") -> None:
    """Raise Conflict when the folder has a machine of this name that has not this instance UUID."""
    if placement.folder is None:
        return
    folder = session.ref("Folder", placement.folder)
    what = f"cannot look for {name!r} in the target folder"
    child = session.run(
        what, lambda: session.content.searchIndex.FindChild(entity=folder, name=escape_name(name)), repeat=True
    )
    if child is None:
        return
    is_vm = isinstance(child, vmomi.vim().VirtualMachine)
    if is_vm and instance_uuid and session.property(child, "config.instanceUuid", what) == instance_uuid:
        return
    raise Conflict(
        f"the name {name!r} is taken in the target folder",
        cause=f"{child._moId} has it, and is not ours",
        hint="Give the workload another target name in the plan, or move the other object.",
    )
