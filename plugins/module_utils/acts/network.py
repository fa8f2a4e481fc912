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
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import assess
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    InvalidInput,
    Problem,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import equivalence, firewall, nat
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import network, objects, org, wire
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.changes import Change, ChangeSet
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Json

TOLD = 5
"""Differences that an error tells."""


@dataclass(frozen=True)
class Net:
    """A network of the organisation in place of one of the source, with the same addresses."""

    name: str
    gateway: str
    prefix: int
    routed: bool
    dns: tuple[str, ...]
    addresses: tuple[str, ...]
    """Addresses of the workloads that move into it."""
    description: str

    @property
    def cidr(self) -> str:
        """The network with its prefix."""
        return str(ipaddress.ip_interface(f"{self.gateway}/{self.prefix}").network)


@dataclass(frozen=True)
class Design:
    """What a plan and an estate ask for, whatever is at the target."""

    plan: plans.Plan
    nets: tuple[Net, ...]
    source: model.SourceFirewall
    nat: nat.NatTranslation
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
    translated = nat.translate_nat(
        _moving_addresses(estate, servers),
        prefix=f"cloudexit-{names.slug(plan.tenant.name)}",
        public=public,
        outbound=plan.edge.outbound,
        networks=used,
    )
    problems: list[Problem] = []
    nets = _nets(plan, estate, used, problems)
    findings += translated.findings
    for one in findings:
        if one.severity == "blocker":
            subject = f"{one.subject.kind} {names.printable(one.subject.name)} ({one.subject.id})"
            problems.append(Problem(subject, f"{one.seen} {one.action}"))
    if problems:
        raise InvalidInput(what, problems)
    return Design(plan, nets, firewall.renumbered(source, public), translated, tuple(findings))


def _moving_addresses(estate: estates.Estate, servers: set[str]) -> estates.Estate:
    """The estate without floating addresses of servers that stay."""
    staying = {server.id for server in estate.servers} - servers
    ports = {port.id for port in estate.ports if port.device_id in staying}
    return replace(estate, floating_ips=[one for one in estate.floating_ips if one.port_id not in ports])


def _nets(plan: plans.Plan, estate: estates.Estate, used: set[str], problems: list[Problem]) -> tuple[Net, ...]:
    routed = {port.network_id for port in estate.ports if port.device_owner.startswith("network:router")}
    known = {one.id: one for one in estate.networks}
    addresses: dict[str, list[str]] = defaultdict(list)
    for workload in plan.moving().values():
        for nic in workload.nics:
            addresses[nic.network] += [one for one in nic.addresses if ":" not in one]
    found: dict[str, Net] = {}
    for identity in sorted(used):
        target = plan.networks[identity].target or ""
        where = f"networks.{identity}"
        subnets = [one for one in estate.subnets if one.network_id == identity and one.ip_version == 4]
        title = names.printable(known[identity].name if identity in known else plan.networks[identity].name)
        if len(subnets) != 1:
            text = f"{title} has {len(subnets)} subnets of IPv4; a network of the organisation takes exactly one"
            problems.append(Problem(where, text))
            continue
        subnet = subnets[0]
        net = ipaddress.ip_network(subnet.cidr, strict=False)
        made = Net(
            name=target,
            gateway=subnet.gateway or str(next(net.hosts())),
            prefix=net.prefixlen,
            routed=identity in routed,
            dns=tuple(subnet.dns[:2]),
            addresses=tuple(sorted(addresses[identity])),
            description=f"Network {title} ({identity})",
        )
        other = found.setdefault(target, made)
        if other != made:
            text = f"{target} takes the place of another network already, and has its addresses ({other.cidr})"
            problems.append(Problem(f"{where}.target", text))
    return tuple(found[name] for name in sorted(found))


# -- the target


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

    def told(self) -> dict[str, Any]:
        """What modules return of it."""
        return {
            "proven": "read_back" if self.made else "planned",
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
    problems = _misfits(session, wanted, gateway, rows, vdc)
    if problems:
        raise InvalidInput("The target is not as the plan says", problems)
    inside = sorted({*_inside(rows, gateway.id), *(one.cidr for one in wanted.nets if one.routed)})
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
    return Site(gateway, place, rows, inside, now, target, made.deviations, vdc, lacks_group)


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
        shown = network.NETWORKS.shown(row)
        try:
            theirs = ipaddress.ip_interface(f"{shown['gateway']}/{shown['prefix']}").network
            outside = [one for one in net.addresses if ipaddress.ip_address(one) not in theirs]
        except ValueError:
            theirs, outside = None, list(net.addresses)
        if outside:
            text = f"{net.name} is there already ({theirs}) and does not hold {', '.join(outside[:3])}"
            found.append(Problem("networks", text))
        elif net.routed and shown["edge"] != gateway.id:
            found.append(Problem("networks", f"{net.name} is there already and is not behind {gateway.name}"))
    return found


def _inside(rows: Sequence[Json], edge: str) -> list[str]:
    found = []
    for row in rows:
        shown = network.NETWORKS.shown(row)
        if shown["edge"] == edge and shown["gateway"]:
            net = ipaddress.ip_interface(f"{shown['gateway']}/{shown['prefix']}").network
            found.append(str(net))
    return found


def _wanted_nets(wanted: Design, site: Site) -> list[objects.Wanted]:
    """The networks that are to be made, or are ours; those of others are used as they are."""
    theirs = {wire.string(row.get("name")) for row in site.networks if not objects.is_of(row, wanted.owner)}
    found = []
    for net in wanted.nets:
        if net.name in theirs:
            continue
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
        )
        found.append(made.wanted())
    return found


def _routes(wanted: Design) -> list[objects.Wanted]:
    return [
        network.Route(one.name, one.network, one.next_hop, description=one.description).wanted()
        for one in wanted.nat.routes
    ]


def _ids(profiles: Sequence[model.PortProfile]) -> dict[str, str]:
    return {one.name: one.ref for one in profiles}


def planned(session: Session, wanted: Design, site: Site, *, overwrite: bool = False) -> ChangeSet:
    """All that `apply` would change, in its order; nothing is written. Conflicts of networks and NAT are in it; those
    of the firewall are raised.
    """
    owner, place = wanted.owner, site.place
    total = _ground(session, wanted, site, dry_run=True)
    total += objects.plan(network.NETWORKS, site.networks, _wanted_nets(wanted, site), owner, overwrite=overwrite)
    rules = site.wanted
    if rules.distributed is not None and site.now.distributed is None:
        news = [Change("create", "distributed firewall rule", one.name) for one in _distributed(rules)]
        total += ChangeSet(tuple(news))
        rules = replace(rules, distributed=None)
    first = wanted.plan.edge.rules == "first"
    total += network.apply_firewall(session, place, rules, owner, overwrite=overwrite, dry_run=True, first=first)
    on_edge = (
        (network.nat_kind(place.edge), [network.nat_rule(one, _ids(site.now.profiles)) for one in rules.nat]),
        (network.route_kind(place.edge), _routes(wanted)),
    )
    for kind, asked in on_edge:
        rows = (
            network.nat_rules(session, place.edge) if kind.name == "NAT rule" else network.routes(session, place.edge)
        )
        total += objects.plan(kind, rows, asked, owner, remove=True, overwrite=overwrite)
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
    objects.apply(session, network.NETWORKS, nets)
    first = wanted.plan.edge.rules == "first"
    network.apply_firewall(session, place, site.wanted, owner, overwrite=overwrite, first=first)
    ids = _ids(network.port_profiles(network.profiles(session, place.context)))
    rules = [network.nat_rule(one, ids) for one in site.wanted.nat]
    for kind, asked in ((network.nat_kind(place.edge), rules), (network.route_kind(place.edge), _routes(wanted))):
        network.apply_on_edge(session, place.edge, kind, asked, owner, remove=True, overwrite=overwrite)


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
        return Outcome(changes, before, after, verdict, site.deviations, wanted.findings, made=not changes)
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
    return Outcome(changes, before, after, verdict, site.deviations, wanted.findings, made=True)


def _inside_now(session: Session, site: Site) -> list[str]:
    return sorted({*_inside(network.networks(session), site.gateway.id)})


def verify(session: Session, wanted: Design) -> Outcome:
    """Whether the same flows pass in what is really configured, and what differs from the plan. Reads only."""
    site = survey(session, wanted)
    changes = planned(session, wanted, site, overwrite=True)
    verdict = _proof(wanted, site, site.now)
    first = wanted.plan.edge.rules == "first"
    would = network.predicted(session, site.place, site.now, site.wanted, wanted.owner, first=first)
    before = shown(wanted, site, site.now, ChangeSet())
    return Outcome(
        changes,
        before,
        shown(wanted, site, would, changes),
        verdict,
        site.deviations,
        wanted.findings,
        made=True,
    )


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

    changes: of networks and routes, which are not in the model of a firewall.
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
    routes: list[str] = []
    for change in changes.changes:
        if change.kind == network.NETWORKS.name and change.after:
            nets[change.name] = {**nets.get(change.name, {}), **change.after}
        elif change.kind == "static route":
            about: dict[str, Any] = dict(change.after or {})
            routes.append(f"{change.action} route {change.name} {about.get('cidr', '')}".rstrip())
    lines = []
    for name, net in sorted(nets.items()):
        where = f"behind {site.gateway.name}" if net["edge"] else "isolated"
        dns = f", DNS {', '.join(net['dns'])}" if net["dns"] else ""
        lines.append(f"network {names.printable(name)}: {net['gateway']}/{net['prefix']}, {where}{dns}")
    return lines + sorted(routes)
