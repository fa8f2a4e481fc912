# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What uses what in an estate, and what the deletion of an object would take along.

Objects are called `kind/id`. Any id of another object that an object mentions counts as use, so that what is not known
errs on the side of staying; the exceptions are named below. Where two entries show one object (stages.py), their links
are those of the one object.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import stages

NAMED: dict[str, tuple[str, ...]] = {
    "key_pairs": ("key_name", "keypair", "key_pair"),
    "buckets": ("bucket",),
    "containers": ("container",),
    "image_repositories": ("image", "repo"),
    "trackers": (),
}
"""Kinds whose ids are names that people chose: a text is one of them only under a key that says so."""

ORIGINS: dict[str, frozenset[str]] = {
    "backups": frozenset({"volumes", "servers", "snapshots"}),
    "volume_backups": frozenset({"volumes", "servers"}),
    "server_backups": frozenset({"volumes", "servers"}),
    "vault_backups": frozenset({"volumes", "servers"}),
    "images": frozenset({"volumes", "servers"}),
    "private_images": frozenset({"volumes", "servers"}),
    "rds_backups": frozenset({"rds_instances"}),
    "vaults": frozenset({"volumes", "servers"}),
}
"""Copies, and what they are made of: they name it, and are still good when it is gone."""

COPIES = frozenset({"snapshots", *ORIGINS}) - {"vaults"}

UNENCRYPTED = frozenset({"servers", "bare_metal", "dns_zones", "dns_records", "cce_nodes", "keys"})
"""Kinds with data that no key of the key service encrypts by itself (their disks are objects of their own)."""

BALANCERS = ("load_balancers", "classic_load_balancers", "shared_load_balancers", "dedicated_load_balancers")

UNLISTED = frozenset({"stacks", "rts_stacks"})
"""Kinds whose deletion takes along what the estate does not show; somebody has to tell it."""

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_NO: frozenset[str] = frozenset()


class Closure(NamedTuple):
    """taken: what vanishes with an object, or may; users: what else uses it or anything of that. Sorted."""

    taken: tuple[str, ...]
    users: tuple[str, ...]


@dataclass(frozen=True)
class Links:
    """The links of an estate's objects, each from an object to a set of objects.

    uses: what must be there for it. takes: what its deletion takes along, or may. serves: what it works for.
    made_of: what it is a copy of. unclaimed: ports that belong to something which the estate does not show.
    untold: objects whose `takes` nobody knows.
    """

    uses: Mapping[str, frozenset[str]]
    takes: Mapping[str, frozenset[str]]
    serves: Mapping[str, frozenset[str]]
    made_of: Mapping[str, frozenset[str]]
    unclaimed: Mapping[str, str]
    untold: frozenset[str]

    @functools.cached_property
    def users(self) -> Mapping[str, frozenset[str]]:
        """For each object, what uses it."""
        found: dict[str, set[str]] = defaultdict(set)
        for user, used in self.uses.items():
            for key in used:
                found[key].add(user)
        return {key: frozenset(entries) for key, entries in found.items()}

    def closure(self, key: str) -> Closure:
        """What the deletion of an object takes along, all the way down, and what uses any of it."""
        taken = {key}
        todo = [key]
        while todo:
            for other in self.takes.get(todo.pop(), _NO) - taken:
                taken.add(other)
                todo.append(other)
        users = {user for each in taken for user in self.users.get(each, _NO)} - taken
        return Closure(tuple(sorted(taken - {key})), tuple(sorted(users)))


def closure(estate: estates.Estate, key: str, taken: Mapping[str, Sequence[str]] | None = None) -> Closure:
    """What the deletion of `kind/id` takes along, and what uses it; see `links`."""
    return links(estate, taken).closure(key)


def links(estate: estates.Estate, taken: Mapping[str, Sequence[str]] | None = None) -> Links:
    """The links of an estate. taken: for objects of UNLISTED, the ids that their deletion takes along."""
    return _Reader(estate, taken or {}).read()


class _Reader:
    def __init__(self, estate: estates.Estate, taken: Mapping[str, Sequence[str]]) -> None:
        self._estate = estate
        self._taken = taken
        self._same: dict[str, str] = {}
        self._by_id: dict[str, list[str]] = defaultdict(list)
        self._objects: dict[str, Any] = {}
        self._entries: list[tuple[str, str, Any]] = []
        self._uses: dict[str, set[str]] = defaultdict(set)
        self._takes: dict[str, set[str]] = defaultdict(set)
        self._serves: dict[str, set[str]] = defaultdict(set)
        self._made_of: dict[str, set[str]] = defaultdict(set)
        self._unclaimed: dict[str, str] = {}
        twins = {row.twin: {entry.id for entry in estate.of(row.twin)} for row in stages.ROWS.values() if row.twin}
        for kind, row in stages.ROWS.items():
            for entry in estate.of(kind):
                key = f"{kind}/{entry.id}"
                shown = f"{row.twin}/{entry.id}" if row.twin and entry.id in twins[row.twin] else key
                self._entries.append((kind, shown, entry))
                if shown == key:
                    self._objects[key] = entry
                    self._by_id[entry.id].append(key)

    def read(self) -> Links:
        for kind, key, entry in self._entries:
            self._mentions(kind, key, entry)
        for kind, key, entry in self._entries:
            self._parent(kind, key, entry)
        self._servers()
        self._ports()
        self._ways()
        self._addresses()
        self._managed()
        self._hosts()
        self._keys()
        untold = frozenset(
            key
            for kind in UNLISTED
            for entry in self._estate.of(kind)
            if (key := self._key(kind, entry)) not in self._taken
        )
        for key, ids in self._taken.items():
            self._takes[key] |= {other for ident in ids for other in self._by_id.get(ident, ())} - {key}
        return Links(
            uses=_frozen(self._uses),
            takes=_frozen(self._takes),
            serves=_frozen(self._serves),
            made_of=_frozen(self._made_of),
            unclaimed=dict(self._unclaimed),
            untold=untold,
        )

    def _hosts(self) -> None:
        """A dedicated host that carries servers may carry any of them: it tells how many, and not which."""
        for host in self._estate.of("dedicated_hosts"):
            if host.properties.get("instance_total"):
                self._serves[self._key("dedicated_hosts", host)] |= {
                    self._key("servers", server) for server in self._estate.servers
                }

    def _key(self, kind: str, entry: Any) -> str:
        """The object that an entry shows."""
        twin = stages.ROWS[kind].twin
        key = f"{kind}/{entry.id}"
        return f"{twin}/{entry.id}" if twin and f"{twin}/{entry.id}" in self._objects else key

    def _mentions(self, kind: str, key: str, entry: Any) -> None:
        origins = ORIGINS.get(kind, _NO)
        for other in sorted(self._named(kind, entry)):
            other_kind = other.partition("/")[0]
            if other == key:
                continue
            if other_kind in origins:
                self._made_of[key].add(other)
                continue
            if kind == "volumes" and other_kind in ("servers", "bare_metal"):
                self._uses[other].add(key)
                self._takes[other].add(key)
                continue
            if kind == "ports" and other_kind not in ("networks", "subnets", "security_groups"):
                continue  # what has the port, see _ports
            self._uses[key].add(other)
            if stages.ROWS[kind].serves:
                self._serves[key].add(other)
            if kind == "snapshots" and other_kind == "volumes":
                self._made_of[key].add(other)

    def _named(self, kind: str, entry: Any) -> set[str]:
        """All objects that an entry mentions by id."""
        found: set[str] = set()
        for word, text in _texts(schema.dump(entry) if kind in kinds.TYPED else self._plain(entry), ""):
            if text == entry.id:
                continue
            for ident in (text, *_UUID.findall(text)) if len(text) > 31 else (text,):
                for other in self._by_id.get(ident, ()):
                    said = NAMED.get(other.partition("/")[0])
                    if said is None or any(part in word for part in said):
                        found.add(other)
        return found

    @staticmethod
    def _plain(entry: Any) -> dict[str, Any]:
        return {"parent": entry.parent, "name": entry.name, **entry.properties}

    def _parent(self, kind: str, key: str, entry: Any) -> None:
        """A part uses what it is a part of, never the other way round, and goes with it."""
        ident = getattr(entry, "parent", "")
        for parent in self._by_id.get(ident, ()) if ident else ():
            if parent == key or parent.partition("/")[0] in ORIGINS.get(kind, _NO):
                continue
            self._uses[parent].discard(key)
            self._serves[parent].discard(key)
            self._uses[key].add(parent)
            self._takes[parent].add(key)

    def _servers(self) -> None:
        """A server's deletion takes ports that were made for it, and volumes unless it is known to leave them."""
        left: set[tuple[str, str]] = set()
        for detail in self._estate.of("ecs_servers"):
            for place in _mappings(detail.properties.get("os-extended-volumes:volumes_attached")):
                if str(place.get("delete_on_termination", "")).lower() == "false":
                    left.add((detail.id, str(place.get("id", ""))))
        for server in self._estate.servers:
            key = f"servers/{server.id}"
            for used in self._uses[key]:
                kind, _slash, ident = used.partition("/")
                if kind == "ports" or (kind == "volumes" and (server.id, ident) not in left):
                    self._takes[key].add(used)
            self._takes[key] -= {f"volumes/{volume}" for ident, volume in left if ident == server.id}
        for kind in ("bare_metal", "cce_nodes"):
            for entry in self._estate.of(kind):
                key = self._key(kind, entry)
                wanted = ("volumes/", "ports/", "servers/")
                self._takes[key] |= {used for used in self._uses[key] if used.startswith(wanted)}

    def _ports(self) -> None:
        """What has a port uses it. A router works for the subnets that it has ports on."""
        parts = stages.not_an_object(self._estate)
        inner: dict[str, set[str]] = {}
        for port in self._estate.ports:
            key = f"ports/{port.id}"
            owners = {
                owner
                for ident in (port.device_id, *_UUID.findall(port.device_id))
                for owner in self._by_id.get(ident, ())
                if not owner.startswith(("networks/", "subnets/")) and owner != key
            }
            if ("ports", port.id) in parts:
                inside = {f"networks/{port.network_id}", *(f"subnets/{fixed.subnet_id}" for fixed in port.fixed_ips)}
                for owner in owners:
                    self._uses[owner] |= inside & self._objects.keys()
                    self._serves[owner] |= inside & self._objects.keys()
                self._uses.pop(key, None)
                inner[key] = owners
                continue
            for owner in owners:
                self._uses[owner].add(key)
                self._takes[owner].add(key)
            if not owners and port.device_id:
                self._unclaimed[key] = f"{port.device_owner} {port.device_id}".strip()
        for links in (self._uses, self._serves):  # who names a part means what it is a part of
            for key, found in links.items():
                for part in found & inner.keys():
                    found.remove(part)
                    found |= inner[part] - {key}
        for kind in BALANCERS:
            for entry in self._estate.of(kind):
                key = self._key(kind, entry)
                own = {used for used in self._uses[key] if used.startswith("ports/")}
                self._takes[key] |= own
                self._serves[key] -= own
        claimed = {used for user, found in self._uses.items() for used in found if used not in self._serves[user]}
        for key in claimed & self._unclaimed.keys():
            del self._unclaimed[key]

    def _ways(self) -> None:
        """A floating address needs the routers that lead to the port that it is bound to.

        Neutron keeps the interface of such a router (409 to `remove_router_interface`), and without it the address
        leads nowhere.
        """
        routers: dict[str, set[str]] = defaultdict(set)
        for key, served in self._serves.items():
            if key.startswith("routers/"):
                for subnet in served:
                    if subnet.startswith("subnets/"):
                        routers[subnet].add(key)
        for kind in ("floating_ips", "public_ips"):
            for entry in self._estate.of(kind):
                key = self._key(kind, entry)
                bound = {used for used in self._uses[key] if used.startswith("ports/")}
                for subnet in {used for port in bound for used in self._uses.get(port, _NO)}:
                    self._uses[key] |= routers.get(subnet, set())

    def _addresses(self) -> None:
        """Members of pools and names work for what has their addresses."""
        at: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for port in self._estate.ports:
            for fixed in port.fixed_ips:
                at[fixed.ip].add((fixed.subnet_id, f"ports/{port.id}"))
        for floating in self._estate.floating_ips:
            at[floating.address].add(("", f"floating_ips/{floating.id}"))
        for kind in ("lb_members", "elb_members", "dns_records"):
            for entry in self._estate.of(kind):
                key = self._key(kind, entry)
                subnet = str(entry.properties.get("subnet_id") or entry.properties.get("subnet_cidr_id") or "")
                for _word, text in _texts(entry.properties, ""):
                    places = at.get(text, set())
                    near = {place for place in places if place[0] == subnet} or places
                    self._serves[key] |= {other for _subnet, other in near}

    def _managed(self) -> None:
        """What a service deletes with something else, or only with it.

        Automatic backups with their database, all backups of one checkpoint together, hidden snapshots with their
        backup, subnets with their network, bandwidths with an address.
        """
        for entry in self._estate.of("rds_backups"):
            database = f"rds_instances/{entry.parent}"
            if str(entry.properties.get("type", "auto")) != "manual" and database in self._objects:
                key = self._key("rds_backups", entry)
                self._takes[database].add(key)
                self._uses[database].add(key)  # it has no other end than its database's
        together: dict[str, set[str]] = defaultdict(set)
        for entry in self._estate.of("server_backups"):
            if entry.parent:
                together[entry.parent].add(self._key("server_backups", entry))
        for siblings in together.values():
            for key in siblings:
                self._takes[key] |= siblings - {key}
        for subnet in self._estate.subnets:
            if f"networks/{subnet.network_id}" in self._objects:
                self._takes[f"networks/{subnet.network_id}"].add(f"subnets/{subnet.id}")
        for kind in ("backups", "volume_backups"):
            for entry in self._estate.of(kind):
                key = self._key(kind, entry)
                self._takes[key] |= {used for used in self._uses[key] if used.startswith("snapshots/")}
        alone = {
            f"bandwidths/{entry.id}"
            for entry in self._estate.of("bandwidths")
            if str(entry.properties.get("share_type", "")).upper() == "PER"
        }
        for entry in self._estate.of("public_ips"):
            key = self._key("public_ips", entry)
            self._takes[key] |= self._uses[key] & alone

    def _keys(self) -> None:
        """What a key encrypts, or may: whatever holds data, unless its key is known or that it has none."""
        every = {key for key in self._objects if key.startswith("keys/")}
        if not every:
            return
        clear: set[str] = set()
        for kind, key, entry in self._entries:
            if self._known_clear(kind, entry):
                clear.add(key)
        for _round in range(3):  # a copy of a copy
            for key in self._objects:
                if key.partition("/")[0] not in COPIES or key in clear:
                    continue
                origins = self._made_of.get(key, set())
                for origin in origins:
                    volumes = {used for used in self._uses.get(origin, _NO) if used.startswith("volumes/")}
                    for source in {origin, *volumes}:
                        self._uses[key] |= self._uses.get(source, set()) & every
                disks = {
                    source
                    for origin in origins
                    for source in (
                        {used for used in self._uses.get(origin, _NO) if used.startswith("volumes/")}
                        if origin.startswith("servers/")
                        else {origin}
                    )
                }
                if disks and disks <= clear and origins <= self._objects.keys():
                    clear.add(key)
        for key in self._objects:
            kind = key.partition("/")[0]
            if stages.ROWS[kind].stage is None or not stages.ROWS[kind].data or kind in UNENCRYPTED or key in clear:
                continue
            if not self._uses[key] & every:
                self._uses[key] |= every

    @staticmethod
    def _known_clear(kind: str, entry: Any) -> bool:
        if kind == "volumes":
            return not entry.encrypted
        if kind == "images":
            return str(entry.properties.get("__system__encrypted", "0")) != "1"
        told = getattr(entry, "properties", {}).get("encrypted")
        return kind not in kinds.TYPED and told is not None and str(told).lower() in ("false", "0", "no")


def _frozen(links: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {key: frozenset(found - {key}) for key, found in links.items() if found - {key}}


def _texts(value: Any, word: str) -> Iterator[tuple[str, str]]:
    """All texts of a value, each with the key that it is under, in lower case; keys are texts as well."""
    if isinstance(value, str):
        if value:
            yield word, value
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield word, str(key)
            yield from _texts(entry, str(key).lower())
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _texts(entry, word)


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    return (entry for entry in (value if isinstance(value, list) else ()) if isinstance(entry, Mapping))


def order(keys: Collection[str], found: Links, last: Collection[str] = ()) -> tuple[list[str], dict[str, list[str]]]:
    """Objects in the order of their deletion, and for each what must be absent before.

    Stages come first; within a stage, what uses before what is used, then ranks, kinds and ids. Where objects of a
    stage use each other in a circle, their rank decides. last: objects that go after all others of their kind.
    """
    wanted = set(keys)
    late = set(last)

    def turn(key: str) -> tuple[int, int, bool, str]:
        stage, rank = stages.ROWS[key.partition("/")[0]].turn
        return stage, rank, key in late, key

    before: dict[str, set[str]] = {key: set() for key in wanted}
    for user in wanted:
        served = found.serves.get(user, _NO)
        for used in found.uses.get(user, _NO) & wanted:
            # what works for others mentions both what outlives it and what does not: ranks tell
            if used not in served or turn(user)[:2] < turn(used)[:2]:
                before[used].add(user)
            elif turn(used)[:2] < turn(user)[:2]:
                before[user].add(used)
        for taken in found.takes.get(user, _NO) & wanted:
            if turn(user)[:2] < turn(taken)[:2]:
                before[taken].add(user)
    queue = sorted(wanted, key=turn)
    done: dict[str, int] = {}
    while queue:
        stage = turn(queue[0])[0]
        block = [key for key in queue if turn(key)[0] == stage]
        queue = queue[len(block) :]
        here = set(block)
        while block:
            ready = [key for key in block if not before[key] & here] or block[:1]
            for key in ready:
                done[key] = len(done)
            here.difference_update(ready)
            block = [key for key in block if key in here]
    after = {key: sorted(other for other in before[key] if done[other] < done[key]) for key in done}
    return list(done), after
