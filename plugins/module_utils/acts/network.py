# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a tenant in Cloud Director, before anything moves: planned, proven, made, read back, proven again.

`Design` says what the plan and the estate ask for. `prepare` makes it, in an order in which nothing is open too early:
networks, IP sets and port profiles, firewall rules, NAT, routes. What nobody could undo is not begun: that the same
flows will pass is proven on what would be there, rules of others among it, before the first call that changes anything.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import assess
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    Conflict,
    InvalidInput,
    Problem,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import (
    balancing,
    equivalence,
    firewall,
    nat,
    networks,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    balancer,
    network,
    objects,
    org,
    wire,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.changes import Change, ChangeSet
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Json

TOLD = 5
"""Differences that an error tells."""


@dataclass(frozen=True)
class Design:
    """What a plan and an estate ask for, whatever is at the target."""

    plan: plans.Plan
    nets: tuple[networks.Net, ...]
    source: model.SourceFirewall
    nat: nat.NatTranslation
    balancing: balancing.Balancing
    findings: tuple[estates.Finding, ...]

    @property
    def tenant(self) -> str:
        """Whose all that is made is."""
        return self.plan.tenant.name

    @property
    def owner(self) -> str:
        """What the stamps of all that is made say."""
        return objects.of_prepare(self.tenant)

    @property
    def prefix(self) -> str:
        """What the names of all that is made begin with."""
        return f"cloudexit-{names.slug(self.tenant)}"


def read_files(plan_path: str, estate_path: str | None = None) -> tuple[plans.Plan, estates.Estate]:
    """A plan and its estate. Raises InvalidInput where the estate is another than the plan was drafted from."""
    plan = plans.loads(assess.read_text(plan_path, "plan"), f"The plan {plan_path}")
    path = estate_path or os.path.join(os.path.dirname(os.path.abspath(plan_path)), plan.estate.file)
    estate = assess.load_estate(path)
    if plan.estate.digest != estate.digest():
        raise InvalidInput(
            f"The plan {plan_path} is of another estate than {path}",
            [Problem("estate.digest", f"is {plan.estate.digest or 'empty'}, the estate's is {estate.digest()}")],
            hint="Run `assess` again: it brings the plan up to date.",
        )
    return plan, estate


def design(plan: plans.Plan, estate: estates.Estate) -> Design:
    """What a plan and an estate ask for. Raises InvalidInput with everything that keeps it from being made."""
    what = f"The network of {plan.tenant.name} cannot be prepared"
    if plan.target.type != "vcd" or not plan.edge.name:
        text = "must name the edge gateway of a target of type vcd"
        raise InvalidInput(what, [Problem("edge.name", text)])
    moving = plan.moving().values()
    servers = {workload.source.id for workload in moving}
    used = {nic.network for workload in moving for nic in workload.nics}
    public = {old: new for old, new in plan.edge.public.items() if new}
    source, findings = firewall.read_source(estate, networks=used, servers=servers)
    prefix = f"cloudexit-{names.slug(plan.tenant.name)}"
    balanced = balancing.translate_balancers(plan, estate, prefix=prefix, networks=used, public=public)
    translated = nat.translate_nat(
        _moving_addresses(estate, servers),
        prefix=prefix,
        public=public,
        outbound=plan.edge.outbound,
        networks=used,
        vips=balanced.vips,
    )
    nets = networks.translate_networks(plan, estate, prefix=prefix, used=used)
    problems = list(nets.problems)
    findings += [*nets.findings, *translated.findings, *balanced.findings, *nat.vpn_findings(estate)]
    for one in findings:
        if one.severity == "blocker":
            subject = f"{one.subject.kind} {names.printable(one.subject.name)} ({one.subject.id})"
            problems.append(Problem(subject, f"{one.seen} {one.action}"))
    if problems:
        raise InvalidInput(what, problems)
    return Design(plan, nets.nets, firewall.renumbered(source, public), translated, balanced, tuple(findings))


def _moving_addresses(estate: estates.Estate, servers: set[str]) -> estates.Estate:
    """The estate without floating addresses of servers that stay."""
    staying = {server.id for server in estate.servers} - servers
    ports = {port.id for port in estate.ports if port.device_id in staying}
    return replace(estate, floating_ips=[one for one in estate.floating_ips if one.port_id not in ports])


# -- the target

Thing = tuple[str, str]
"""Kind and name of an object."""


@dataclass(frozen=True)
class Site:
    """The target as it is: the edge, its owner, networks, and all firewall rules; and what is wanted of it."""

    gateway: network.EdgeGateway
    place: network.Place
    networks: list[Json]
    inside: list[str]
    now: model.TargetFirewall
    wanted: model.TargetFirewall
    deviations: list[model.Deviation]
    """What the target cannot say exactly."""
    vdc: str
    """The VDC of the machines (URN)."""
    lacks_group: bool
    """Whether the data center group is yet to be made; networks, sets and rules will be its."""
    balancer: balancer.Balancing
    """Load balancing of the edge."""
    things: Mapping[Thing, objects.Shown] = field(default_factory=dict)
    """What is ours of DHCP, routes and load balancers, as it is."""


@dataclass(frozen=True)
class Outcome:
    """What was or would be changed, what is there before and after, and the verdict on it."""

    changes: ChangeSet
    before: list[str]
    after: list[str]
    verdict: equivalence.Verdict
    deviations: list[model.Deviation]
    findings: tuple[estates.Finding, ...]
    made: bool
    """Whether the verdict is about what was read back, and not about what would be there."""
    tenant: str
    digests: dict[str, str]
    """Of the firewall as it is wanted, and as it was read back."""

    def told(self) -> dict[str, Any]:
        """What modules return of it."""
        return {
            "tenant": self.tenant,
            "digests": self.digests,
            "proven": "read_back" if self.made else "planned",
            "equal": self.verdict.equal,
            "compared": {
                "ports": self.verdict.ports,
                "places": self.verdict.places,
                "services": self.verdict.services,
            },
            "deviations": schema.dump(self.deviations),
            "findings": [
                {key: value for key, value in schema.dump(one).items() if not key.endswith("_fr")}
                for one in self.findings
            ],
        }

    def diff(self, header: str) -> dict[str, str]:
        """Both sides for Ansible, one line a rule."""
        return {
            "before_header": header,
            "after_header": header,
            "before": "".join(f"{line}\n" for line in self.before),
            "after": "".join(f"{line}\n" for line in self.after),
        }


def survey(session: Session, wanted: Design) -> Site:
    """Read the target, and translate for it. Raises InvalidInput where it is not as the plan says."""
    plan = wanted.plan
    gateway = network.edge(session, plan.edge.name)
    place = network.place_of(session, gateway)
    rows = network.networks(session)
    vdc = org.vdc(session, plan.target.vdc).urn
    alb = _balancing(session, wanted, gateway)
    problems = [*_misfits(session, wanted, gateway, rows, vdc), *_misfits_of_balancers(wanted, gateway, alb)]
    if problems:
        raise InvalidInput("The target is not as the plan says", problems)
    inside = sorted({*_inside(rows, gateway.id), *(one for net in wanted.nets if net.routed for one in net.cidrs)})
    now = network.read_firewall(session, edge_id=gateway.id, group_id=place.group, inside=inside)
    if place.group and now.distributed is None and plan.edge.vdc_group != gateway.owner_name:
        text = f"the distributed firewall of {gateway.owner_name} is off; name the group here, and it is switched on"
        raise InvalidInput("The target is not as the plan says", [Problem("edge.vdc_group", text)])
    system = [one for one in now.profiles if one.scope == "SYSTEM" and one.known]
    lacks_group = not place.group and bool(plan.edge.vdc_group)
    made = firewall.translate(
        wanted.source,
        prefix=wanted.prefix,
        distributed=bool(place.group) or lacks_group,
        inside=inside,
        system=system,
        icmp=plan.edge.icmp,
    )
    target = replace(made.target, profiles=[*made.target.profiles, *wanted.nat.profiles], nat=wanted.nat.rules)
    deviations = list(made.deviations)
    if wanted.balancing.pools:
        more = balancing.opened(target, wanted.balancing, prefix=wanted.prefix, engines=alb.network)
        target = more.target
        met = equivalence.compare(wanted.source, target, accepted=[*deviations, *more.deviations]).accepted
        deviations += [one for one in more.deviations if one.id in met]  # the others passed at the source too
    site = Site(gateway, place, rows, inside, now, target, deviations, vdc, lacks_group, alb)
    return replace(site, things=_things(session, wanted, site))


def _misfits(
    session: Session, wanted: Design, gateway: network.EdgeGateway, rows: Sequence[Json], vdc: str
) -> list[Problem]:
    plan, found = wanted.plan, []
    if session.who.org.lower() != plan.target.org.lower():
        found.append(Problem("target.org", f"is {plan.target.org}, but the log-in is one of {session.who.org}"))
    owners = {vdc}
    for group in network.vdc_groups(session):
        members = wire.objects(group.get("participatingOrgVdcs"))
        if vdc in [wire.ref(member.get("vdcRef"))[0] for member in members]:
            owners.add(wire.string(group.get("id")))
    if gateway.owner not in owners:
        text = f"{gateway.name} belongs to {gateway.owner_name}, where the VDC {plan.target.vdc} is not"
        found.append(Problem("edge.name", text))
    new = {one for one in [*plan.edge.public.values(), plan.edge.outbound] if one}
    for address in sorted(new):
        if not gateway.has_address(address):
            text = f"{gateway.name} has no public address {address}; order it, or name one that it has"
            found.append(Problem("edge.public", text))
    there = {wire.string(row.get("name")): row for row in rows}
    for net in wanted.nets:
        row = there.get(net.name)
        if row is None or objects.is_of(row, wanted.owner):
            continue
        theirs = [ipaddress.ip_network(one) for one in network.cidrs_of(row)]
        outside = [one for one in net.addresses if not any(ipaddress.ip_address(one) in there for there in theirs)]
        if outside:
            there_is = ", ".join(map(str, theirs)) or "without a subnet"
            text = f"{net.name} is there already ({there_is}) and does not hold {', '.join(outside[:3])}"
            found.append(Problem("networks", text))
        elif net.routed and network.NETWORKS.shown(row)["edge"] != gateway.id:
            found.append(Problem("networks", f"{net.name} is there already and is not behind {gateway.name}"))
    return found


def _balancing(session: Session, wanted: Design, gateway: network.EdgeGateway) -> balancer.Balancing:
    """Load balancing of the edge. Who may not see it has none, unless the tenant needs it."""
    try:
        return balancer.state(session, gateway.id)
    except Refused:
        if wanted.balancing.pools:
            raise
        return balancer.Balancing(False)


def _misfits_of_balancers(wanted: Design, gateway: network.EdgeGateway, alb: balancer.Balancing) -> list[Problem]:
    made = wanted.balancing
    if not made.pools:
        return []
    way = "or decide otherwise about the load balancers, in objects of the plan (leave, recreate)"
    if not alb.enabled:
        text = f"{gateway.name} has no load balancing, which {len(made.pools)} pools need; ask Orange to switch it on"
        return [Problem("edge.name", f"{text}, {way}")]
    if made.services and not alb.engines:
        return [Problem("edge.name", f"no engine group is assigned to {gateway.name}; ask Orange for one, {way}")]
    if made.services and alb.network == "":
        text = f"the service network of the load balancing of {gateway.name} is not told, so no rule can let it pass"
        return [Problem("edge.name", f"{text}; ask Orange, {way}")]
    return []


def _inside(rows: Sequence[Json], edge: str) -> list[str]:
    return [one for row in rows if network.NETWORKS.shown(row)["edge"] == edge for one in network.cidrs_of(row)]


def _our_nets(wanted: Design, site: Site) -> list[networks.Net]:
    """The networks that are to be made, or are ours; those of others are used as they are."""
    theirs = {wire.string(row.get("name")) for row in site.networks if not objects.is_of(row, wanted.owner)}
    return [net for net in wanted.nets if net.name not in theirs]


def _wanted_nets(wanted: Design, site: Site) -> list[objects.Wanted]:
    found = []
    for net in _our_nets(wanted, site):
        dns = [*net.dns, "", ""]
        made = network.Network(
            net.name,
            net.gateway,
            net.prefix,
            site.gateway.owner,
            site.gateway.id if net.routed else "",
            dns1=dns[0],
            dns2=dns[1],
            description=net.description,
            gateway6=net.gateway6,
            prefix6=net.prefix6,
            dns6=net.dns6,
        )
        found.append(made.wanted())
    return found


@dataclass(frozen=True)
class _Part:
    """Objects of a kind: those that are there, and those that should be; ours of the first go, where not wanted."""

    kind: objects.Kind
    rows: Sequence[Json]
    asked: Sequence[objects.Wanted]

    def plan(self, owner: str, *, overwrite: bool) -> ChangeSet:
        """What would change."""
        return objects.plan(self.kind, self.rows, self.asked, owner, remove=True, overwrite=overwrite)


@dataclass(frozen=True)
class _Served:
    """DHCP of a network that is ours: its id ("" while it is not made), and the addresses for one card only."""

    id: str
    net: networks.Net
    bindings: _Part

    def dhcp(self) -> network.Dhcp:
        about = self.net.dhcp
        return network.Dhcp(about.pools, about.dns, mode="NETWORK" if about.server else "EDGE", address=about.server)


def _served(session: Session, wanted: Design, site: Site, rows: Sequence[Json]) -> list[_Served]:
    """rows: the networks as they are now; one that is not there yet has no DHCP."""
    there = {wire.string(row.get("name")): wire.string(row.get("id")) for row in rows}
    found = []
    for net in _our_nets(wanted, site):
        identity = there.get(net.name, "")
        asked = [
            network.binding(
                one.name, one.mac, one.address, gateway=net.gateway, dns=net.dhcp.dns, description=one.description
            )
            for one in net.dhcp.bindings
        ]
        part = _Part(network.binding_kind(identity), network.bindings(session, identity), asked)
        found.append(_Served(identity, net, part))
    return found


def _on_edge(session: Session, wanted: Design, site: Site, profiles: Mapping[str, str]) -> list[_Part]:
    """NAT rules and routes. profiles: {name: id} of port profiles."""
    edge = site.place.edge
    rules = [network.nat_rule(one, profiles) for one in site.wanted.nat]
    routes = [
        network.Route(one.name, one.network, one.next_hop, description=one.description).wanted()
        for one in wanted.nat.routes
    ]
    return [
        _Part(network.nat_kind(edge), network.nat_rules(session, edge), rules),
        _Part(network.route_kind(edge), network.routes(session, edge), routes),
    ]


def _pools(session: Session, wanted: Design, site: Site) -> _Part:
    asked = []
    for one in wanted.balancing.pools:
        members = tuple(balancer.Member(m.address, m.port, m.ratio, m.enabled) for m in one.members)
        pool = balancer.Pool(
            one.name,
            members,
            one.port,
            one.algorithm,
            one.monitors,
            one.persistence,
            one.persistence_value,
            one.enabled,
        )
        asked.append(balancer.pool(pool, site.place.edge, description=one.description))
    return _Part(balancer.POOLS, _rows(session, site, balancer.POOLS), asked)


def _rows(session: Session, site: Site, kind: objects.Kind) -> list[Json]:
    return balancer.there(session, kind, site.place.edge) if site.balancer.enabled else []


def _services(session: Session, wanted: Design, site: Site, pools: Mapping[str, str]) -> _Part:
    """pools: {name: id}; one that is not there yet is called by its name.

    A service stays in its engine group; a new one goes to the first that has room.
    """
    rows = _rows(session, site, balancer.SERVICES_OF)
    at = {
        wire.string(row.get("name")): wire.ref(row.get("serviceEngineGroupRef"))[0]
        for row in rows
        if objects.is_of(row, wanted.owner)
    }
    room = {one.id: one.room for one in site.balancer.engines}
    asked = []
    for one in wanted.balancing.services:
        engines = at.get(one.name) or next((key for key, left in room.items() if left > 0), "")
        if not engines:
            known = ", ".join(group.name for group in site.balancer.engines)
            raise Refused(
                f"the edge {site.gateway.name} cannot have the load balancer {one.name}",
                cause=f"its engine groups take no more virtual services ({known})",
                hint="Nothing was changed. Order more at Orange, or decide otherwise about some in the plan (objects).",
            )
        if one.name not in at:
            room[engines] -= 1
        service = balancer.VirtualService(
            one.name,
            one.address,
            ((one.port, one.port),),
            pools.get(one.pool, one.pool),
            engines,
            kind=one.kind,
            enabled=one.enabled,
        )
        asked.append(balancer.service(service, site.place.edge, description=one.description))
    return _Part(balancer.SERVICES_OF, rows, asked)


def _split(changes: ChangeSet) -> tuple[ChangeSet, ChangeSet]:
    """What is made or changed, and what goes."""
    gone = tuple(one for one in changes.changes if one.action == "delete")
    return ChangeSet(tuple(one for one in changes.changes if one not in gone), changes.conflicts), ChangeSet(gone)


def _balancers(session: Session, wanted: Design, site: Site, *, overwrite: bool, dry_run: bool) -> ChangeSet:
    """Have pools, then the services before them; pools that nobody wants go when no service has them any more."""
    pools = _pools(session, wanted, site)
    made, gone = _split(pools.plan(wanted.owner, overwrite=overwrite))
    ids = {wire.string(row.get("name")): wire.string(row.get("id")) for row in pools.rows}
    if not dry_run:
        ids |= {name: one for name, one in objects.apply(session, pools.kind, made).items() if one}
    services = _services(session, wanted, site, ids)
    changes = services.plan(wanted.owner, overwrite=overwrite)
    if not dry_run:
        objects.apply(session, services.kind, changes)
        objects.apply(session, pools.kind, gone)
    return made + changes + gone


def _things(session: Session, wanted: Design, site: Site) -> dict[Thing, objects.Shown]:
    """What is ours of the kinds that are not in the model of a firewall, as it is."""
    found: dict[Thing, objects.Shown] = {}
    parts = []
    for served in _served(session, wanted, site, site.networks):
        shown = network.dhcp(session, served.id, served.net.name)
        found["dhcp", served.net.name] = shown
        parts.append(served.bindings)
    parts.append(_Part(network.route_kind(site.place.edge), network.routes(session, site.place.edge), []))
    parts += [_Part(kind, _rows(session, site, kind), []) for kind in (balancer.POOLS, balancer.SERVICES_OF)]
    for part in parts:
        for row in part.rows:
            if objects.is_of(row, wanted.owner):
                found[part.kind.name, wire.string(row.get("name"))] = part.kind.shown(row)
    return found


def _ids(profiles: Sequence[model.PortProfile]) -> dict[str, str]:
    return {one.name: one.ref for one in profiles}


def planned(session: Session, wanted: Design, site: Site, *, overwrite: bool = False) -> ChangeSet:
    """All that `apply` would change, in its order; nothing is written. Conflicts of networks and NAT are in it; those
    of the firewall are raised.
    """
    owner, place = wanted.owner, site.place
    total = _ground(session, wanted, site, dry_run=True)
    total += objects.plan(network.NETWORKS, site.networks, _wanted_nets(wanted, site), owner, overwrite=overwrite)
    for served in _served(session, wanted, site, site.networks):
        total += network.plan_dhcp(session, served.id, served.net.name, served.dhcp())
        total += served.bindings.plan(owner, overwrite=overwrite)
    rules = site.wanted
    if rules.distributed is not None and site.now.distributed is None:
        news = [Change("create", "distributed firewall rule", one.name) for one in _distributed(rules)]
        total += ChangeSet(tuple(news))
        rules = replace(rules, distributed=None)
    first = wanted.plan.edge.rules == "first"
    total += network.apply_firewall(session, place, rules, owner, overwrite=overwrite, dry_run=True, first=first)
    total += _balancers(session, wanted, site, overwrite=overwrite, dry_run=True)
    for part in _on_edge(session, wanted, replace(site, wanted=rules), _ids(site.now.profiles)):
        total += part.plan(owner, overwrite=overwrite)
    return total


def _ground(session: Session, wanted: Design, site: Site, *, dry_run: bool) -> ChangeSet:
    """Have the data center group that the plan names, with the edge in it and its distributed firewall on."""
    name, group = wanted.plan.edge.vdc_group, site.place.group
    if not name or (group and site.now.distributed is not None):
        return ChangeSet()
    total = ChangeSet()
    if site.lacks_group:
        text = f"Made by cloudexit for tenant {wanted.tenant}."
        group, total = network.ensure_vdc_group(session, name, site.vdc, description=text, dry_run=dry_run)
        total += network.give_edge(session, site.gateway.id, group, dry_run=dry_run)
    if not group:
        after = {"enabled": True}
        return total + ChangeSet((Change("update", "distributed firewall", name, {"enabled": False}, after),))
    return total + network.enable_distributed(session, group, dry_run=dry_run)


def _distributed(target: model.TargetFirewall) -> list[model.FirewallRule]:
    return target.distributed.rules if target.distributed else []


def apply(session: Session, wanted: Design, site: Site, *, overwrite: bool = False) -> None:
    """Make everything, in an order in which nothing is open before its rules are there."""
    owner, place = wanted.owner, site.place
    nets = objects.plan(network.NETWORKS, site.networks, _wanted_nets(wanted, site), owner, overwrite=overwrite)
    with session.lock("edge", place.edge):
        objects.apply(session, network.NETWORKS, nets)
        for served in _served(session, wanted, site, network.networks(session)):
            kind, bound = served.bindings.kind, served.bindings.plan(owner, overwrite=overwrite)
            bound.refuse_conflicts(f"cannot change the DHCP of {served.net.name}")
            new, gone = _split(bound)
            objects.apply(session, kind, gone)  # before the DHCP that they are of
            network.apply_dhcp(session, network.plan_dhcp(session, served.id, served.net.name, served.dhcp()))
            objects.apply(session, kind, new)
    first = wanted.plan.edge.rules == "first"
    network.apply_firewall(session, place, site.wanted, owner, overwrite=overwrite, first=first)
    ids = _ids(network.port_profiles(network.profiles(session, place.context)))
    with session.lock("edge", place.edge):
        _balancers(session, wanted, site, overwrite=overwrite, dry_run=False)
        left = _balancers(session, wanted, site, overwrite=True, dry_run=True)
    if left:
        cause = f"what was written is not what is there: {'; '.join(map(str, left.changes[:TOLD]))}"
        raise Conflict(f"cannot make the load balancers of {wanted.tenant}", cause=cause, retryable=True)
    for part in _on_edge(session, wanted, site, ids):
        network.apply_on_edge(session, place.edge, part.kind, part.asked, owner, remove=True, overwrite=overwrite)


def _proof(wanted: Design, site: Site, target: model.TargetFirewall) -> equivalence.Verdict:
    agreed = [one for one in site.deviations if one.id in wanted.plan.edge.accepted]
    return equivalence.compare(wanted.source, target, accepted=agreed)


def _refuse(verdict: equivalence.Verdict, what: str, hint: str) -> None:
    if verdict.equal:
        return
    texts = [str(one) for one in verdict.differences[:TOLD]]
    more = len(verdict.differences) - len(texts)
    rest = f" (and {more} more)" if more > 0 or verdict.truncated else ""
    raise Refused(what, cause="; ".join(texts) + rest, hint=hint)


def _refuse_deviations(wanted: Design, site: Site) -> None:
    problems = [
        Problem(f"edge.accepted: {one.id}", _deviation(one))
        for one in site.deviations
        if one.id not in wanted.plan.edge.accepted
    ]
    if problems:
        raise InvalidInput(
            f"The firewall of {wanted.tenant} cannot be said exactly at the target",
            problems,
            hint="Nothing was changed. Add the ids of those that you agree to, to edge.accepted in the plan.",
        )


def _deviation(one: model.Deviation) -> str:
    def ends(texts: list[str]) -> str:
        return ", ".join(texts[:3]) + (", …" if len(texts) > 3 else "") or "anybody"

    what = "passes besides" if one.effect == "wider" else "does not pass any more"
    return f"{ends(one.sources)} → {ends(one.destinations)}: {', '.join(one.services)} {what} ({one.why})"


def prepare(session: Session, wanted: Design, *, overwrite: bool = False, dry_run: bool = False) -> Outcome:
    """Have the network of a tenant as the plan wants it, proven before and after.

    Raises Refused with a packet where the same flows would not pass, or do not pass in what was read back;
    InvalidInput for deviations that nobody agreed to; Conflict for edits of others that would be lost.
    """
    site = survey(session, wanted)
    _refuse_deviations(wanted, site)
    changes = planned(session, wanted, site, overwrite=overwrite)
    changes.refuse_conflicts(f"cannot prepare the network of {wanted.tenant}")
    first = wanted.plan.edge.rules == "first"
    would = network.predicted(session, site.place, site.now, site.wanted, wanted.owner, first=first)
    verdict = _proof(wanted, site, would)
    _refuse(
        verdict,
        f"With the network of {wanted.tenant} as planned, other flows would pass than at the source",
        "Nothing was changed. Rules of others that stand before ours decide first: see edge.rules in docs/plan.md.",
    )
    before = shown(wanted, site, site.now, ChangeSet())
    after = shown(wanted, site, would, changes)
    if dry_run or not changes:
        told = _told(wanted, site, None if changes else site.now)
        return Outcome(changes, before, after, verdict, site.deviations, _findings(wanted, site), not changes, *told)
    if _ground(session, wanted, site, dry_run=False):
        site = survey(session, wanted)
    apply(session, wanted, site, overwrite=overwrite)
    there = network.read_firewall(
        session, edge_id=site.gateway.id, group_id=site.place.group, inside=_inside_now(session, site)
    )
    verdict = _proof(wanted, site, there)
    _refuse(
        verdict,
        f"The network of {wanted.tenant} was made, and what is read back lets other flows pass than the source does",
        "Do not move anything yet. Look at the rule that is named, and run this again.",
    )
    told = _told(wanted, site, there)
    return Outcome(changes, before, after, verdict, site.deviations, _findings(wanted, site), True, *told)


def _findings(wanted: Design, site: Site) -> tuple[estates.Finding, ...]:
    """What a person must know, of the translation and of what is there."""
    ours = _our_nets(wanted, site)
    theirs = [net for net in wanted.nets if net not in ours and net.dhcp.bindings]
    found = [
        estates.Finding(
            rule="network",
            severity="warning",
            subject=estates.Subject(kind="networks", id="", name=names.printable(net.name)),
            seen="It is at the target already, and not ours, so that its DHCP stays as it is.",
            action=f"See that it gives {len(net.dhcp.bindings)} cards their addresses, or set them in the guests.",
        )
        for net in theirs
    ]
    return (*wanted.findings, *found)


def _told(wanted: Design, site: Site, there: model.TargetFirewall | None) -> tuple[str, dict[str, str]]:
    """The tenant, and digests of its firewall as it is wanted and as it was read back."""
    read = schema.digest(schema.dump(there)) if there is not None else ""
    return wanted.tenant, {"wanted": schema.digest(schema.dump(site.wanted)), "read_back": read}


def _inside_now(session: Session, site: Site) -> list[str]:
    return sorted({*_inside(network.networks(session), site.gateway.id)})


def verify(session: Session, wanted: Design) -> Outcome:
    """Whether the same flows pass in what is really configured, and what differs from the plan. Reads only."""
    site = survey(session, wanted)
    changes = planned(session, wanted, site, overwrite=True)
    verdict = _proof(wanted, site, site.now)
    first = wanted.plan.edge.rules == "first"
    would = network.predicted(session, site.place, site.now, site.wanted, wanted.owner, first=first)
    before, after = shown(wanted, site, site.now, ChangeSet()), shown(wanted, site, would, changes)
    told = _told(wanted, site, site.now)
    return Outcome(changes, before, after, verdict, site.deviations, _findings(wanted, site), True, *told)


def refuse_drift(wanted: Design, found: Outcome) -> None:
    """Raise Refused where other flows pass than at the source, or the target is not as the plan wants it."""
    _refuse(
        found.verdict,
        f"The network of {wanted.tenant} lets other flows pass than the source does",
        "Run `prepare` with --check --diff to see what it would change.",
    )
    if found.changes:
        texts = [str(one) for one in found.changes.changes[:TOLD]]
        more = f" (and {len(found.changes.changes) - TOLD} more)" if len(found.changes.changes) > TOLD else ""
        raise Refused(
            f"The network of {wanted.tenant} is not as the plan wants it, although the same flows pass",
            cause="; ".join(texts) + more,
            hint="Run `prepare` with --check --diff to see what it would change.",
        )


# -- for people


def shown(wanted: Design, site: Site, target: model.TargetFirewall, changes: ChangeSet) -> list[str]:
    """Networks, sets, rules and translations as a firewall engineer reads them, one a line, in their order.

    changes: of networks and what is theirs, of routes: of all that is not in the model of a firewall.
    """
    lines = _shown_nets(wanted, site, changes)
    for group in sorted(target.groups, key=lambda one: one.name):
        if group.name.startswith(f"{wanted.prefix}-"):
            lines.append(f"IP set {names.printable(group.name)}: {', '.join(group.addresses)}")
    for profile in sorted(target.profiles, key=lambda one: one.name):
        if profile.scope == "TENANT" and profile.name.startswith(f"{wanted.prefix}-"):
            ports = " + ".join(f"{one.protocol} {','.join(one.ports)}".strip() for one in profile.entries)
            lines.append(f"port profile {names.printable(profile.name)}: {ports}")
    # a rule that comes in must not change the lines of all that follow
    lines += [re.sub(r"^ *\d+ ", "  ", line) for line in firewall.shown(target)]
    by_ref = {one.ref: one.name for one in target.profiles}
    for rule in sorted(target.nat, key=lambda one: (one.priority, one.name)):
        port = f":{rule.external_port}" if rule.external_port else ""
        inner = f" {by_ref.get(rule.profile, rule.profile)}" if rule.profile else ""
        way = (
            f"{rule.external}{port} → {rule.internal}{inner}"
            if rule.type == "DNAT"
            else f"{rule.internal} → {rule.external}"
        )
        off = "" if rule.enabled else " off"
        lines.append(f"{rule.type} {way}  [{names.printable(rule.name)}]{off}")
    return lines


def _shown_nets(wanted: Design, site: Site, changes: ChangeSet) -> list[str]:
    nets = {wire.string(row.get("name")): dict(network.NETWORKS.shown(row)) for row in site.networks}
    nets = {name: nets[name] for name in nets if name in {one.name for one in wanted.nets}}
    things = {key: dict(shown) for key, shown in site.things.items()}
    for change in changes.changes:
        key = (change.kind, change.name)
        if change.kind == network.NETWORKS.name and change.after:
            nets[change.name] = {**nets.get(change.name, {}), **change.after}
        elif change.action == "delete":
            things.pop(key, None)
        elif change.kind in SHOWN:
            things[key] = {**things.get(key, {}), **(change.after or {})}
    lines = []
    for name, net in sorted(nets.items()):
        where = f"behind {site.gateway.name}" if net["edge"] else "isolated"
        dns = f", DNS {', '.join(net['dns'])}" if net["dns"] else ""
        six = f" and {net['gateway6']}/{net['prefix6']}" if net.get("gateway6") else ""
        lines.append(f"network {names.printable(name)}: {net['gateway']}/{net['prefix']}{six}, {where}{dns}")
    lines += [SHOWN[kind](names.printable(name), things[kind, name]) for kind, name in sorted(things)]
    return [line for line in lines if line]


def _shown_dhcp(name: str, about: Mapping[str, Any]) -> str:
    return f"DHCP of {name}: {', '.join(about['pools'])}" if about.get("enabled") else ""


def _shown_binding(name: str, about: Mapping[str, Any]) -> str:
    return f"DHCP gives {about['mac']} {about['address']}  [{name}]"


def _shown_route(name: str, about: Mapping[str, Any]) -> str:
    return f"route {about['cidr']} → {', '.join(about['next_hops'])}  [{name}]"


def _shown_pool(name: str, about: Mapping[str, Any]) -> str:
    ways = ", ".join(text for text in (about["algorithm"].lower(), *about["monitors"], about["persistence"]) if text)
    return f"pool {', '.join(about['members']) or 'without members'} ({ways})  [{name}]"


def _shown_service(name: str, about: Mapping[str, Any]) -> str:
    ports = ", ".join(text.partition("-")[0] for text in about["ports"])
    return f"load balancer {about['kind']} {about['address']}:{ports}  [{name}]"


SHOWN: dict[str, Callable[[str, Mapping[str, Any]], str]] = {
    "dhcp": _shown_dhcp,
    "DHCP binding": _shown_binding,
    "static route": _shown_route,
    "pool": _shown_pool,
    "virtual service": _shown_service,
}
"""How what is no network and not in the model of a firewall is shown."""
