# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks, groups, rules, translations, routes and load balancers of an organisation, as people name them.

Names become ids, what is there is read, what would change is planned (`target.vcd.objects`), made and read back. Each
function returns what a module returns: changed, id, changes, settings, and a diff with names instead of ids.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.names import printable
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.firewall import shown as lines_of
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    balancer,
    network,
    objects,
    org,
    query,
    wire,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.changes import Change, ChangeSet
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.objects import Kind, Ordered, Wanted
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Json

Result = dict[str, Any]


@dataclass(frozen=True)
class Owned:
    """What is asked of one object of ours. name: "" for a list of rules."""

    tenant: str
    name: str = ""
    present: bool = True
    overwrite: bool = False
    dry_run: bool = False

    @classmethod
    def of(cls, params: Mapping[str, Any], *, dry_run: bool) -> Owned:
        """Of a module's options."""
        problems = [
            Problem(key, "must not be empty")
            for key in ("tenant", "name")
            if key in params and not str(params[key] or "").strip()
        ]
        if not problems and not objects.is_name_of_tenant(params["tenant"]):
            problems.append(Problem("tenant", objects.NO_TENANT))
        if problems:
            raise InvalidInput("The options are not complete", problems)
        return cls(
            params["tenant"], params.get("name") or "", params["state"] == "present", params["overwrite"], dry_run
        )


# -- names and ids


def place_of(session: Session, *, edge: str = "", vdc_group: str = "") -> network.Place:
    """Where groups, profiles and rules are, by the name of an edge or of a VDC group."""
    if edge:
        return network.place_of(session, network.edge(session, edge))
    found = _vdc_group(session, vdc_group)
    who = wire.ref(session.get("sessions/current", "cannot read the session").get("org"))[0]
    return network.Place("", found, found, who)


def _vdc_group(session: Session, name: str) -> str:
    there = network.vdc_groups(session)
    return _the_one(f"cannot use the VDC group {name}", name, [_named(one) for one in there])


def _the_one(what: str, name: str, pairs: Sequence[tuple[str, str]]) -> str:
    """The id of the only one of a name among (id, name); what is an id already stays one."""
    if name.startswith("urn:"):
        return name
    found = [identity for identity, known in pairs if known == name]
    if len(found) != 1:
        there = ", ".join(sorted({known for _id, known in pairs})[:20]) or "none"
        raise NotFound(what, cause=f"there are {len(found)} of that name (of {there})")
    return found[0]


def _named(one: Json) -> tuple[str, str]:
    return wire.string(one.get("id")), wire.string(one.get("name"))


@dataclass
class _Names:
    """Ids by name, and names by id. pending: names that are not there, which only check mode forgives."""

    dry_run: bool
    known: dict[str, str]
    pending: list[str]

    @classmethod
    def new(cls, dry_run: bool) -> _Names:
        return cls(dry_run, {}, [])

    def note(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.known |= {identity: name for identity, name in pairs if identity}

    def ids(self, what: str, wanted: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[str]:
        """The ids of these names; in check mode a name for what is not there (it may be made before)."""
        self.note(pairs)
        found = []
        for name in wanted:
            if self.dry_run and not name.startswith("urn:") and name not in [known for _id, known in pairs]:
                self.pending.append(name)
                found.append(name)
            else:
                found.append(_the_one(f"{what}: {name}", name, pairs))
        return found

    def said(self, value: Any) -> Any:
        """The same with names instead of ids."""
        if isinstance(value, str):
            return " ".join(self.known.get(part, part) for part in value.split(" "))
        if isinstance(value, (list, tuple)):
            found = [self.said(one) for one in value]
            return found if found == list(value) else sorted(found)  # ids are sorted; by name the order is another
        return value

    def settings(self, found: Mapping[str, Any]) -> dict[str, Any]:
        return {key: self.said(value) for key, value in found.items()}

    def result(self, changes: ChangeSet, identity: str, settings: Mapping[str, Any]) -> Result:
        """What a module returns."""
        result: Result = {
            "changed": bool(changes),
            "id": identity,
            "changes": [str(one) for one in changes.changes],
            "settings": self.settings(settings),
        }
        if changes:
            title = f"{changes.changes[0].kind} {changes.changes[0].name}"
            result["diff"] = {
                "before_header": title,
                "after_header": title,
                "before": "".join(self._text(one, one.before) for one in changes.changes),
                "after": "".join(self._text(one, one.after) for one in changes.changes),
            }
        if self.pending:
            result["pending"] = sorted(set(self.pending))
        return result

    def _text(self, change: Change, found: Mapping[str, Any] | None) -> str:
        if found is None:
            return ""
        lines = [printable(f"{change.kind} {change.name}", 200)]
        for key, value in self.settings(found).items():
            for one in (value or [""]) if isinstance(value, list) else [value]:
                text = str(one).lower() if isinstance(one, bool) else printable(str(one), 200)
                lines.append(f"  {key}: {text}".rstrip())
        return "\n".join(lines) + "\n"


# -- one object


@dataclass(frozen=True)
class _Found:
    """What became of an object: what changed, its id and what it is like in the end."""

    changes: ChangeSet
    id: str
    settings: Mapping[str, Any]
    ours: bool


def _ensure(
    session: Session, owned: Owned, kind: Kind, read: Callable[[], list[Json]], wanted: Wanted | None
) -> _Found:
    """Have the object of that name as it is wanted, or not at all. Called under the lock of what it belongs to."""
    what = f"cannot change the {kind.name} {owned.name}"
    tenant, removing = owned.tenant, not owned.present

    def current() -> list[Json]:
        return [one for one in read() if wire.string(one.get("name")) == owned.name]

    def planned(there: list[Json], overwrite: bool) -> ChangeSet:
        asked = [wanted] if wanted is not None and not removing else []
        changes = objects.plan(kind, there, asked, tenant, remove=removing, overwrite=overwrite)
        if removing and not changes and not changes.conflicts and there:
            return ChangeSet((), (f"{kind.name} {owned.name} is there and is not ours",))
        return changes

    there = current()
    changes = planned(there, owned.overwrite)
    changes.refuse_conflicts(what)
    if changes and not owned.dry_run:
        objects.apply(session, kind, changes)
        there = current()
        left = planned(there, True)
        if left or left.conflicts:
            cause = "; ".join([*map(str, left.changes), *left.conflicts])
            raise Conflict(what, cause=f"what was written is not what is there: {cause}", retryable=True)
    ours = [one for one in there if _tenant_of(one) == tenant]
    one = next(iter(ours or there), None)
    settings: Mapping[str, Any] = {} if one is None or removing else kind.shown(one)
    if owned.dry_run and changes and wanted is not None and not removing:
        settings = {**settings, **wanted.shown}
    identity = wire.string(one.get("id")) if one is not None else ""
    return _Found(changes, identity, settings, bool(ours) or one is None)


def _tenant_of(one: Json) -> str:
    found = objects.stamp_of(one.get("description"))
    return found.tenant if found else ""


def ranges(option: str, texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Ranges of addresses `first-last`, or single ones."""
    found, problems = [], []
    for text in texts:
        first, dash, last = (part.strip() for part in text.partition("-"))
        try:
            low, high = ipaddress.ip_address(first), ipaddress.ip_address(last if dash else first)
            if low.version != high.version or int(low) > int(high):
                raise ValueError(f"{text} is no range")
            found.append((str(low), str(high)))
        except ValueError as error:
            problems.append(Problem(option, str(error)))
    if problems:
        raise InvalidInput("These are no ranges of addresses", problems)
    return tuple(found)


# -- networks


def ensure_network(
    session: Session,
    owned: Owned,
    *,
    edge: str = "",
    vdc: str = "",
    vdc_group: str = "",
    gateway: str = "",
    prefix: int = 0,
    ranges_: Sequence[str] = (),
    dns: Sequence[str] = (),
    dns_suffix: str = "",
    description: str = "",
    dhcp: network.Dhcp | None = None,
) -> Result:
    """A network, and its DHCP where that is told."""
    names = _Names.new(owned.dry_run)
    behind = network.edge(session, edge) if edge else None
    if vdc:
        owner = org.vdc(session, vdc).urn
    elif vdc_group:
        owner = _vdc_group(session, vdc_group)
    elif behind is not None:
        owner = behind.owner
    else:
        raise InvalidInput("It is not known where the network is", [Problem("vdc", "edge, vdc or vdc_group is needed")])
    names.note([(one.id, one.name) for one in ([behind] if behind else [])])
    wanted = None
    if owned.present:
        if len(dns) > 2:
            raise InvalidInput(
                f"the network {owned.name} cannot be made", [Problem("dns", "a network has two at most")]
            )
        first, second = (*dns, "", "")[:2]
        wanted = network.Network(
            owned.name,
            gateway,
            prefix,
            owner,
            behind.id if behind else "",
            ranges("ranges", ranges_),
            first,
            second,
            dns_suffix,
            description,
        ).wanted()
    with session.lock("edge", behind.id) if behind else session.lock("networks", owner):
        found = _ensure(session, owned, network.NETWORKS, lambda: network.networks(session, owner=owner), wanted)
        changes, settings = found.changes, dict(found.settings)
        if dhcp is not None and owned.present:
            more = network.plan_dhcp(session, found.id, owned.name, dhcp)
            if more and not found.ours:
                raise Conflict(
                    f"cannot change the DHCP of the network {owned.name}",
                    cause="the network is not ours",
                    hint="Leave `dhcp` out, or have its owner change it.",
                )
            if more and not owned.dry_run:
                network.apply_dhcp(session, more)
                if network.plan_dhcp(session, found.id, owned.name, dhcp):
                    raise Conflict(
                        f"cannot change the DHCP of the network {owned.name}",
                        cause="what was written is not what is there",
                        retryable=True,
                    )
            changes += more
    return names.result(changes, found.id, settings)


# -- groups and port profiles


def ensure_ip_set(
    session: Session,
    owned: Owned,
    *,
    edge: str = "",
    vdc_group: str = "",
    addresses: Sequence[str] = (),
    description: str = "",
) -> Result:
    """An IP set, for the rules of the edge or of its VDC group."""
    owner = place_of(session, edge=edge, vdc_group=vdc_group).owner
    problems = [Problem("addresses", f"{one!r} is no address, network or range") for one in addresses if not _is(one)]
    if problems:
        raise InvalidInput(f"the IP set {owned.name} cannot be made", problems)
    group = model.AddressGroup(name=owned.name, addresses=list(addresses), description=description)
    return _ensure_group(session, owned, owner, network.ip_set(group, owner), _Names.new(owned.dry_run))


def _is(text: str) -> bool:
    try:
        if "/" in text:
            ipaddress.ip_network(text.strip(), strict=False)
        else:
            ranges("addresses", [text])
    except (ValueError, InvalidInput):
        return False
    return True


def ensure_security_group(
    session: Session,
    owned: Owned,
    *,
    edge: str = "",
    vdc_group: str = "",
    networks: Sequence[str] = (),
    description: str = "",
) -> Result:
    """A group of networks: of all machines that are in them."""
    owner = place_of(session, edge=edge, vdc_group=vdc_group).owner
    names = _Names.new(owned.dry_run)
    there = [_named(one) for one in network.networks(session)]
    asked = networks if owned.present else ()
    members = names.ids(f"cannot make the security group {owned.name} of the network", asked, there)
    wanted = network.security_group(owned.name, members, owner, description=description)
    return _ensure_group(session, owned, owner, wanted, names)


def _ensure_group(session: Session, owned: Owned, owner: str, wanted: Wanted, names: _Names) -> Result:
    with session.lock("firewall", owner):
        there = [] if owned.present else network.groups(session, owner, owned.name)
        other = {network.GROUPS.shown(one).get("type") for one in there} - {wanted.shown["type"]}
        if other:
            cause = f"what has that name is another kind of group: {', '.join(sorted(map(str, other)))}"
            raise Conflict(f"cannot remove the firewall group {owned.name}", cause=cause)
        found = _ensure(session, owned, network.GROUPS, lambda: network.groups(session, owner, owned.name), wanted)
    return names.result(found.changes, found.id, found.settings)


def ensure_port_profile(
    session: Session,
    owned: Owned,
    *,
    edge: str = "",
    vdc_group: str = "",
    entries: Sequence[model.PortEntry] = (),
    description: str = "",
) -> Result:
    """An application port profile."""
    place = place_of(session, edge=edge, vdc_group=vdc_group)
    problems = []
    for entry in entries:
        for text in entry.ports:
            first, dash, last = text.partition("-")
            numbers = [first, last] if dash else [first]
            good = all(one.isascii() and one.isdigit() and int(one) < 65536 for one in numbers)
            if not good or int(numbers[0]) > int(numbers[-1]):
                problems.append(Problem("ports", f"{text!r} is no port and no range of ports"))
        if entry.ports and entry.protocol not in ("TCP", "UDP"):
            problems.append(Problem("ports", f"{entry.protocol} has no ports"))
    if owned.present and not entries:
        problems.append(Problem("ports", "a profile needs at least one protocol"))
    if problems:
        raise InvalidInput(f"the port profile {owned.name} cannot be made", problems)
    profile = model.PortProfile(name=owned.name, entries=list(entries), description=description)
    wanted = network.port_profile(profile, place.context, place.org)
    with session.lock("firewall", place.owner):
        found = _ensure(
            session, owned, network.PROFILES, lambda: network.profiles(session, place.context, "TENANT"), wanted
        )
    return _Names.new(owned.dry_run).result(found.changes, found.id, found.settings)


# -- firewalls


@dataclass(frozen=True)
class _Wall:
    """A firewall as it is: its rows, and what an engineer reads."""

    kind: Ordered
    identity: str
    rows: list[Json]
    model: model.Edge | model.Distributed | None
    off: bool = False


_NUMBER = re.compile(r"^ *\d+ (?=ALLOW|DROP|REJECT)")


def ensure_firewall(
    session: Session,
    owned: Owned,
    rules: Sequence[model.FirewallRule],
    *,
    distributed: bool,
    edge: str = "",
    vdc_group: str = "",
    first: bool = False,
    enable: bool = False,
) -> Result:
    """The rules of ours in a firewall, in their order; every other rule stays as it is and where it is."""
    place = place_of(session, edge=edge, vdc_group=vdc_group)
    title = f"the {'distributed firewall' if distributed else 'firewall'} of {edge or vdc_group}"
    if distributed and not place.group:
        cause = f"{edge} belongs to no VDC group: only a VDC group has a distributed firewall"
        raise InvalidInput(f"cannot change {title}", [Problem("edge", cause)])
    twice = sorted({one.name for one in rules if sum(other.name == one.name for other in rules) > 1})
    empty = [Problem("rules.name", "must not be empty") for one in rules if not one.name.strip()]
    if twice or empty:
        raise InvalidInput(
            f"cannot change {title}", [*empty, *(Problem("rules", f"{name} is there twice") for name in twice)]
        )
    names = _Names.new(owned.dry_run)
    asked = rules if owned.present else ()
    wanted = _rules(session, names, place, asked, distributed)
    with session.lock("firewall", place.owner):
        wall = _wall(session, place, distributed, title)
        if wall.off and not enable and asked:
            raise Conflict(
                f"cannot change {title}",
                cause="it is switched off: everything passes, and it takes no rules",
                hint="Set `enable`, or have it switched on.",
            )
        switched = ChangeSet()
        was = wall
        if wall.off and asked:
            switched = _switched_on(network.enable_distributed(session, place.group, dry_run=owned.dry_run), title)
            if not owned.dry_run:
                wall = _wall(session, place, distributed, title)
        made = objects.plan_list(wall.kind, wall.rows, wanted, owned.tenant, first=first, overwrite=owned.overwrite)
        made.changes.refuse_conflicts(f"cannot change {title}")
        if made and not owned.dry_run:
            made = objects.apply_list(
                session, wall.kind, wall.identity, wanted, owned.tenant, first=first, overwrite=owned.overwrite
            )
        changes = switched + made.changes
    result: Result = {
        "changed": bool(changes),
        "changes": [str(one) for one in changes.changes],
        "rules": [one.name for one in asked],
    }
    if changes:
        before, after = _lines(session, place, was, made.rules, on=bool(switched) or not was.off)
        result["diff"] = {"before_header": title, "after_header": title, "before": before, "after": after}
    if names.pending:
        result["pending"] = sorted(set(names.pending))
    return result


def _switched_on(changes: ChangeSet, title: str) -> ChangeSet:
    return ChangeSet(tuple(replace(one, kind="switch of", name=title) for one in changes.changes))


def _rules(
    session: Session, names: _Names, place: network.Place, rules: Sequence[model.FirewallRule], distributed: bool
) -> list[Wanted]:
    if not rules:
        return []
    groups = [_named(one) for one in network.group_summaries(session, place.owner)]
    profiles = _profiles(session, place.context) if any(one.profiles for one in rules) else []
    found = []
    for one in rules:
        what = f"the rule {one.name} cannot be made"
        known = replace(
            one,
            sources=names.ids(f"{what}, group", one.sources, groups),
            destinations=names.ids(f"{what}, group", one.destinations, groups),
            profiles=names.ids(f"{what}, port profile", one.profiles, profiles),
        )
        pending = {name: name for name in names.pending}
        found.append(network.rule(known, pending, distributed=distributed))
    return found


def _profiles(session: Session, context: str) -> list[tuple[str, str]]:
    """(id, name) of the port profiles that can be used; where two have a name, only the tenant's."""
    rows = network.profiles(session, context)
    mine = {wire.string(one.get("name")) for one in rows if wire.string(one.get("scope")) == "TENANT"}
    return [
        _named(one)
        for one in rows
        if wire.string(one.get("scope")) == "TENANT" or wire.string(one.get("name")) not in mine
    ]


def _wall(session: Session, place: network.Place, distributed: bool, title: str) -> _Wall:
    if not distributed:
        kind = network.edge_rules(place.edge)
        read = network.read_edge(session, place.edge)
        return _Wall(kind, place.edge, objects.read_list(session, kind, f"cannot read {title}"), read)
    kind = network.distributed_rules(place.group)
    there = network.read_distributed(session, place.group)
    if there is None:
        return _Wall(kind, place.group, [], model.Distributed(enabled=False), off=True)
    return _Wall(kind, place.group, objects.read_list(session, kind, f"cannot read {title}"), there)


def _lines(session: Session, place: network.Place, wall: _Wall, rows: Sequence[Json], *, on: bool) -> tuple[str, str]:
    """The firewall before and after, one line a rule, without numbers: a new rule must not change every line."""
    groups = network.address_groups(network.groups(session, place.owner))
    profiles = network.port_profiles(network.profiles(session, place.context))

    def text(rows: Sequence[Json], enabled: bool) -> str:
        rules = network.firewall_rules(rows, wall.kind)
        target = model.TargetFirewall(groups=groups, profiles=profiles)
        if isinstance(wall.model, model.Edge):
            target = replace(target, edge=replace(wall.model, rules=rules, enabled=enabled))
        elif isinstance(wall.model, model.Distributed):
            target = replace(target, distributed=replace(wall.model, rules=rules, enabled=enabled))
        return "".join(f"{_NUMBER.sub('     ', line)}\n" for line in lines_of(target))

    return text(wall.rows, not wall.off), text(rows, on)


# -- NAT and routes


def ensure_nat(session: Session, owned: Owned, *, edge: str, rule: model.NatRule | None) -> Result:
    """A NAT rule of an edge; its port profile by name."""
    gateway = network.edge(session, edge)
    names = _Names.new(owned.dry_run)
    wanted = None
    if rule is not None and owned.present:
        profiles = _profiles(session, gateway.owner)
        names.note(profiles)
        what = f"the NAT rule {rule.name} cannot be made, port profile"
        profile = names.ids(what, [rule.profile], profiles)[0] if rule.profile else ""
        wanted = network.nat_rule(replace(rule, profile=profile), {})
    return _on_edge(session, owned, gateway, network.nat_kind(gateway.id), wanted, names)


def ensure_route(session: Session, owned: Owned, *, edge: str, route: network.Route | None) -> Result:
    """A static route of an edge; the network that it goes through by name."""
    gateway = network.edge(session, edge)
    names = _Names.new(owned.dry_run)
    wanted = None
    if route is not None and owned.present:
        problems = []
        try:
            net = ipaddress.ip_network(route.cidr)
            if ipaddress.ip_address(route.next_hop).version != net.version:
                problems = [Problem("next_hop", f"{route.next_hop} is not of the family of {route.cidr}")]
        except ValueError as error:
            problems = [Problem("network", str(error))]
        if problems:
            raise InvalidInput(f"the static route {owned.name} cannot be made", problems)
        scope = ""
        if route.scope:
            there = [_named(one) for one in network.networks(session)]
            what = f"the static route {owned.name} cannot be made, network"
            scope = names.ids(what, [route.scope], there)[0]
        wanted = replace(route, scope=scope).wanted()
    return _on_edge(session, owned, gateway, network.route_kind(gateway.id), wanted, names)


def _on_edge(
    session: Session, owned: Owned, gateway: network.EdgeGateway, kind: Kind, wanted: Wanted | None, names: _Names
) -> Result:
    what = f"cannot list the {kind.name}s of {gateway.name}"
    with session.lock("edge", gateway.id):
        found = _ensure(session, owned, kind, lambda: query.listed(session, kind.path, what), wanted)
    return names.result(found.changes, found.id, found.settings)


# -- load balancers


@dataclass(frozen=True)
class Service:
    """A virtual service as people name it: engine group and certificate by name."""

    address: str
    ports: tuple[tuple[int, int], ...]
    kind: str = "HTTP"
    certificate: str = ""
    engine_group: str = ""
    enabled: bool = True


def ports(option: str, texts: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Ports and ranges of ports `first-last`."""
    found, problems = [], []
    for text in texts:
        first, dash, last = (part.strip() for part in str(text).partition("-"))
        numbers = [int(one) if one.isascii() and one.isdigit() else 0 for one in (first, last if dash else first)]
        if 0 < numbers[0] <= numbers[1] < 65536:
            found.append((numbers[0], numbers[1]))
        else:
            problems.append(Problem(option, f"{text!r} is no port and no range of ports"))
    if problems or not texts:
        raise InvalidInput("These are no ports", problems or [Problem(option, "at least one is needed")])
    return tuple(found)


def ensure_load_balancer(
    session: Session,
    owned: Owned,
    *,
    edge: str,
    pool: balancer.Pool | None = None,
    service: Service | None = None,
    description: str = "",
) -> Result:
    """A pool, and the virtual service of the same name before it; both go when it should be absent."""
    gateway = network.edge(session, edge)
    names = _Names.new(owned.dry_run)
    what = f"cannot make the load balancer {owned.name}"

    def read(kind: Kind) -> Callable[[], list[Json]]:
        return lambda: balancer.there(session, kind, gateway.id, owned.name)

    with session.lock("edge", gateway.id):
        there = balancer.state(session, gateway.id)
        if not there.enabled:
            if not owned.present:
                return _balanced(names, ChangeSet(), None, None)
            hint = "Ask Orange to switch it on."
            raise Conflict(what, cause=f"load balancing is not switched on at the edge {edge}", hint=hint)
        if not owned.present:
            # Both are looked at before one goes: what is not ours must not lose half of it.
            for kind in (balancer.SERVICES_OF, balancer.POOLS):
                _ensure(session, replace(owned, dry_run=True), kind, read(kind), None)
            before = _ensure(session, owned, balancer.SERVICES_OF, read(balancer.SERVICES_OF), None)
            behind = _ensure(session, owned, balancer.POOLS, read(balancer.POOLS), None)
            return _balanced(names, before.changes + behind.changes, behind, before)
        if pool is None:
            raise InvalidInput(what, [Problem("pool", "is needed")])
        wanted = balancer.pool(pool, gateway.id, description=description)
        planned = _ensure(session, replace(owned, dry_run=True), balancer.POOLS, read(balancer.POOLS), wanted)
        names.note([(planned.id, owned.name)])
        front: _Found | None = None
        if service is not None:
            virtual = _virtual(session, owned, names, {one.name: one.id for one in there.engines}, service)

            def asked(identity: str) -> Wanted:
                return balancer.service(replace(virtual, pool=identity), gateway.id, description=description)

            trial = replace(owned, dry_run=True)
            front = _ensure(
                session, trial, balancer.SERVICES_OF, read(balancer.SERVICES_OF), asked(planned.id or owned.name)
            )
        if owned.dry_run:
            changes = planned.changes + (front.changes if front else ChangeSet())
            return _balanced(names, changes, planned, front)
        behind = _ensure(session, owned, balancer.POOLS, read(balancer.POOLS), wanted)
        names.note([(behind.id, owned.name)])
        changes = behind.changes
        if service is not None:
            front = _ensure(session, owned, balancer.SERVICES_OF, read(balancer.SERVICES_OF), asked(behind.id))
            changes += front.changes
        return _balanced(names, changes, behind, front)


def _virtual(
    session: Session, owned: Owned, names: _Names, engines: Mapping[str, str], service: Service
) -> balancer.VirtualService:
    what = f"cannot make the load balancer {owned.name}"
    names.note([(identity, name) for name, identity in engines.items()])
    wanted = service.engine_group
    if not wanted:
        if len(engines) != 1:
            there = ", ".join(sorted(engines)) or "none"
            raise InvalidInput(what, [Problem("service.engine_group", f"say which one of {there}")])
        wanted = next(iter(engines))
    group = _the_one(f"{what}, engine group {wanted}", wanted, [(one, name) for name, one in engines.items()])
    certificate = ""
    if service.certificate:
        rows = query.listed(session, "ssl/certificateLibrary", f"{what}: cannot list the certificates")
        pairs = [(wire.string(one.get("id")), wire.string(one.get("alias"))) for one in rows]
        certificate = names.ids(f"{what}, certificate", [service.certificate], pairs)[0]
    return balancer.VirtualService(
        owned.name,
        service.address,
        service.ports,
        "",
        group,
        kind=service.kind,
        certificate=certificate,
        enabled=service.enabled,
    )


def _balanced(names: _Names, changes: ChangeSet, pool: _Found | None, service: _Found | None) -> Result:
    result = names.result(changes, pool.id if pool else "", pool.settings if pool else {})
    result["pool"], result["pool_id"] = result.pop("settings"), result.pop("id")
    result["service"] = names.settings(service.settings) if service else {}
    result["service_id"] = service.id if service else ""
    return result
