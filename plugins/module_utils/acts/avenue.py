# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is ordered of Cloud Avenue: virtual data centers, edges, public addresses.

Orders are jobs, one at a time for an organisation, and cost money: nothing is ordered that is there, and nothing is
given back that is in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.organisation import Done, Options, plan
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    network,
    objects,
    orange,
    tasks,
    wire,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.changes import Change, ChangeSet
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.objects import Kind, Shown, Wanted
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.orange import Orange
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Json

# -- public addresses


def addresses(
    cloud: Orange, session: Session, edge_name: str, *, count: int = 0, give_back: str = "", dry_run: bool = False
) -> tuple[ChangeSet, list[orange.Service]]:
    """Have at least `count` public addresses at an edge, or give one back; the changes, and those that are there then.

    One that something on the edge still uses is not given back.
    """
    edge = _edge_named(cloud, edge_name)
    there = orange.public_addresses(cloud, edge.id)
    if give_back:
        return _give_back(cloud, session, edge, there, give_back, dry_run)
    if count < 0:
        raise InvalidInput("addresses cannot be ordered", [Problem("count", f"{count} is less than 0")])
    missing = max(0, count - len(there))
    if not missing:
        return ChangeSet(), there
    shown = {"addresses": [one.address for one in there]}
    if dry_run:
        new = [f"to be ordered: {missing}"]
        return ChangeSet((Change("update", "edge", edge.name, shown, {"addresses": shown["addresses"] + new}),)), there
    for _number in range(missing):
        orange.order_address(cloud, edge.id)
    after = orange.public_addresses(cloud, edge.id)
    told = {"addresses": [one.address for one in after]}
    return ChangeSet((Change("update", "edge", edge.name, shown, told),)), after


def _give_back(
    cloud: Orange, session: Session, edge: orange.Edge, there: list[orange.Service], address: str, dry_run: bool
) -> tuple[ChangeSet, list[orange.Service]]:
    what = f"cannot give the public address {address} back"
    found = next((one for one in there if one.address == address), None)
    if found is None:
        elsewhere = [one for one in orange.public_addresses(cloud) if one.address == address]
        if elsewhere:
            raise Conflict(what, cause=f"it is one of the edge {elsewhere[0].edge_name}, not of {edge.name}")
        return ChangeSet(), there
    uses = network.used_addresses(session, f"urn:vcloud:gateway:{edge.id}")
    used = sorted({kind for one, kind in uses if one == address and kind})
    if used:
        raise Conflict(
            what,
            cause=f"the edge {edge.name} uses it for {', '.join(used)}",
            hint="Remove what uses it first: NAT rules, load balancers, VPN.",
        )
    rest = [one for one in there if one is not found]
    before, after = {"addresses": [one.address for one in there]}, {"addresses": [one.address for one in rest]}
    if not dry_run:
        orange.release(cloud, found.id)
    return ChangeSet((Change("update", "edge", edge.name, before, after),)), rest


def _edge_named(cloud: Orange, name: str) -> orange.Edge:
    known = orange.edges(cloud)
    found = [one for one in known if name in (one.name, one.id)]
    if len(found) != 1:
        names = ", ".join(sorted(one.name for one in known)) or "none"
        raise NotFound(f"cannot use the edge {name}", cause=f"there are {len(found)} of that name (of {names})")
    return found[0]


# -- edges

EDGE = Kind("edge", "", lambda one: {"t0": one["t0"], "rate": one["rate"]}, fixed=("t0",))


def edge(
    cloud: Orange,
    session: Session,
    options: Options,
    *,
    owner: str,
    group: bool = False,
    t0: str = "",
    rate: int = 0,
) -> Done:
    """Have an edge for a VDC or a VDC group, at a T0 (the only one, where none is named), with a bandwidth (Mbit/s; 0:
    as it is), or not. options.name: of one that is there, where the owner has several; "" otherwise.

    An edge that has networks or public addresses is not given back.
    """
    if rate and rate not in orange.RATES:
        raise InvalidInput("the bandwidth is not offered", [Problem("rate", f"{rate} is not one of {orange.RATES}")])
    what = f"cannot {'give back' if options.absent else 'order'} the edge of {owner}"
    kind = "vdc-group" if group else "vdc"
    mine = [one for one in orange.edges(cloud) if (one.owner, one.owner_type) == (owner, kind)]
    if options.name != owner:
        mine = [one for one in mine if one.name == options.name]
        if not mine and not options.absent:
            raise NotFound(what, cause=f"{owner} has no edge {options.name}", hint="Leave the name out to order one.")
    elif t0:
        mine = [one for one in mine if one.t0 == t0]
    if len(mine) > 1:
        raise Conflict(what, cause=f"it has {', '.join(sorted(one.name for one in mine))}", hint="Give the name.")
    found = mine[0] if mine else None
    options = replace(options, name=found.name if found else owner)
    there: Json | None = None
    if found is not None:
        # at a dedicated T0 the bandwidth is told as 0, and cannot be compared
        there = {"id": found.id, "name": found.name, "description": found.description, "t0": found.t0}
        there["rate"] = found.rate or rate
        options = replace(options, overwrite=options.overwrite or not found.rate)
    at = found.t0 if found else ("" if options.absent else t0 or _only_t0(cloud, what))
    shown: Shown = {"t0": at, "rate": rate or (found.rate if found else 0)}
    changes = plan(EDGE, there, Wanted(options.name, shown, {}), options)
    if options.absent and changes and found is not None:
        changes += _held(cloud, session, found)
    changes.refuse_conflicts(what)
    change = next(iter(changes.changes), None)
    if change is None or options.dry_run:
        return Done(changes, found.id if found else "")
    if change.action == "delete" and found is not None:
        orange.delete_edge(cloud, found.id)
        return Done(changes)
    if found is None:
        found = orange.create_edge(cloud, owner, at, group=group)
    if rate and found.rate != rate:
        orange.set_rate(cloud, found.id, rate)
    now = {"t0": at, "rate": rate or found.rate}
    _describe_edge(session, found, objects.stamped(found.description, options.tenant, now))
    return Done(changes, found.id)


def _only_t0(cloud: Orange, what: str) -> str:
    known = orange.t0s(cloud)
    if len(known) != 1:
        names = ", ".join(sorted(name for name, dummy in known)) or "none"
        raise InvalidInput(what, [Problem("t0", f"the organisation has {names}: name one")])
    return known[0][0]


def _held(cloud: Orange, session: Session, found: orange.Edge) -> ChangeSet:
    """The conflict that an edge in use is."""
    identity = f"urn:vcloud:gateway:{found.id}"
    routed = [
        wire.string(one.get("name"))
        for one in network.networks(session)
        if wire.ref(wire.mapping(one.get("connection")).get("routerRef"))[0] == identity
    ]
    held = sorted(routed) + [one.address for one in orange.public_addresses(cloud, found.id)]
    return ChangeSet(conflicts=(f"the edge {found.name} still has {', '.join(held[:5])}",)) if held else ChangeSet()


def _describe_edge(session: Session, found: orange.Edge, description: str) -> None:
    """Write the description of an edge, which only Cloud Director takes."""
    what = f"cannot describe the edge {found.name}"
    path = f"edgeGateways/urn:vcloud:gateway:{found.id}"
    with session.lock("edge", f"urn:vcloud:gateway:{found.id}"):
        body = {**session.get(path, what), "description": description}
        tasks.run(session, "PUT", objects.item("edgeGateways", f"urn:vcloud:gateway:{found.id}"), what, body=body)


# -- virtual data centers

_FIXED = ("service_class", "availability", "billing", "storage_billing")


def _shown_vdc(spec: orange.VdcSpec) -> dict[str, Any]:
    return {
        "service_class": spec.service_class,
        "availability": spec.availability,
        "billing": spec.billing,
        "storage_billing": spec.storage_billing,
        "cpu_mhz": spec.cpu_mhz,
        "memory_gb": spec.memory_gb,
        "vcpu_mhz": spec.vcpu_mhz,
        "description": objects.unstamped(spec.description),
        "storage": {
            one.name: f"{one.limit_gb} GB{', default' if one.default else ''}"
            for one in sorted(spec.storage, key=lambda one: one.name)
        },
    }


VDC = Kind("VDC", "", lambda one: one["shown"], fixed=_FIXED)


def vdc(cloud: Orange, options: Options, wanted: orange.VdcSpec | None, *, keep_description: bool = False) -> Done:
    """Have a VDC, or not (wanted None). Storage classes that are there and not named stay as they are.

    keep_description: the description of one that is there stays.
    """
    what = f"cannot {'give back' if options.absent else 'order'} the VDC {options.name}"
    known = orange.vdcs(cloud)
    found = orange.vdc(cloud, options.name) if options.name in known else None
    there: Json | None = None
    if found is not None:
        there = {"id": known[options.name], "name": options.name, "description": found.description}
        there["shown"] = _shown_vdc(found)
    if wanted is None:
        changes = plan(VDC, there, Wanted(options.name, {}, {}), options)
        changes.refuse_conflicts(what)
        if changes and not options.dry_run:
            orange.delete_vdc(cloud, options.name)
        return Done(changes, "" if changes and not options.dry_run else known.get(options.name, ""))
    if found is not None:
        plain = objects.unstamped(found.description) if keep_description else wanted.description
        wanted = replace(wanted, storage=_together(found.storage, wanted.storage), description=plain)
    problems = wanted.problems()
    if problems:
        raise InvalidInput(what, problems)
    shown = _shown_vdc(wanted)
    changes = plan(VDC, there, Wanted(options.name, shown, {}, wanted.description), options)
    changes.refuse_conflicts(what)
    change = next(iter(changes.changes), None)
    if change is None or options.dry_run:
        return Done(changes, known.get(options.name, ""))
    stamped = replace(wanted, description=objects.stamped(wanted.description, options.tenant, shown))
    if change.action == "create":
        orange.create_vdc(cloud, stamped)
    else:
        orange.update_vdc(cloud, stamped)
    return Done(changes, orange.vdcs(cloud).get(options.name, ""))


def _together(there: Sequence[orange.Storage], wanted: Sequence[orange.Storage]) -> tuple[orange.Storage, ...]:
    """The storage classes that are wanted, and those that are there and not named."""
    named = {one.name for one in wanted}
    chosen = any(one.default for one in wanted)
    rest = [replace(one, default=one.default and not chosen) for one in there if one.name not in named]
    return tuple(sorted([*wanted, *rest], key=lambda one: one.name))
