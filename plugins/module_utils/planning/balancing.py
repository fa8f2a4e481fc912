# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers become pools and virtual services of the edge, and what the firewalls must let pass for them.

Octavia's, and Flexible Engine's dedicated ones, whose parts are alike. What has no counterpart at the target is a
finding that names it and says what to do; a load balancer that the plan decides otherwise about is left out.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans

MAX_RATIO = 20
"""The largest share of a member (NSX ALB takes 1 to 20)."""
COOKIE = "SRV"
"""The cookie that Octavia's own persistence sets."""
TRANSLATED = ("replace", "translate")
"""Decisions of the plan with which a load balancer is made at the target."""

Protocol = Literal["TCP", "UDP"]


@dataclass(frozen=True)
class _Generation:
    """The kinds of one generation of load balancers, and the protocols that end TLS there."""

    balancers: str
    listeners: str
    pools: str
    members: str
    ends_tls: tuple[str, ...]
    monitors: str = ""
    policies: str = ""


OCTAVIA = _Generation(
    "load_balancers",
    "lb_listeners",
    "lb_pools",
    "lb_members",
    ("TERMINATED_HTTPS",),
    "lb_health_monitors",
    "lb_l7_policies",
)
DEDICATED = _Generation(
    "dedicated_load_balancers",
    "elb_listeners",
    "elb_pools",
    "elb_members",
    ("HTTPS", "TLS", "QUIC", "TERMINATED_HTTPS"),
)
BY_HAND = ("shared_load_balancers", "classic_load_balancers")
"""Kinds of which nothing but the load balancer itself is read; a shared one is read through Octavia's interface too."""

_KINDS: Mapping[str, tuple[str, Protocol]] = {
    "HTTP": ("HTTP", "TCP"),
    "TCP": ("L4_TCP", "TCP"),
    "HTTPS": ("L4_TCP", "TCP"),  # TLS goes through to the members
    "UDP": ("L4_UDP", "UDP"),
}
_ALGORITHMS = {
    "ROUND_ROBIN": "ROUND_ROBIN",
    "LEAST_CONNECTIONS": "LEAST_CONNECTIONS",
    "SOURCE_IP": "CONSISTENT_HASH",
    "SOURCE_IP_PORT": "CONSISTENT_HASH",
}
_MONITORS = {"HTTP": "HTTP", "HTTPS": "HTTPS", "TCP": "TCP", "PING": "PING", "UDP-CONNECT": "UDP", "UDP_CONNECT": "UDP"}
_PERSISTENCE = {"SOURCE_IP": "CLIENT_IP", "HTTP_COOKIE": "HTTP_COOKIE", "APP_COOKIE": "APP_COOKIE"}


@dataclass(frozen=True)
class Member:
    """A member of a pool; one that is off gets no new connections."""

    address: str
    port: int
    ratio: int = 1
    enabled: bool = True


@dataclass(frozen=True)
class Pool:
    """A pool, in the words of the target."""

    name: str
    description: str
    members: tuple[Member, ...]
    port: int
    algorithm: str
    monitors: tuple[str, ...]
    persistence: str
    persistence_value: str
    enabled: bool
    protocol: Protocol


@dataclass(frozen=True)
class Service:
    """A virtual service before a pool, in the words of the target. allowed: networks that may come; none: anybody."""

    name: str
    description: str
    address: str
    port: int
    kind: str
    pool: str
    allowed: tuple[str, ...]
    enabled: bool
    protocol: Protocol


@dataclass(frozen=True)
class Balancing:
    """What is made in place of load balancers. vips: {address inside: name of the load balancer} of those."""

    pools: tuple[Pool, ...] = ()
    services: tuple[Service, ...] = ()
    vips: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[e.Finding, ...] = ()


def translate_balancers(
    plan: plans.Plan, estate: e.Estate, *, prefix: str, networks: Collection[str], public: Mapping[str, str]
) -> Balancing:
    """What takes the place of the load balancers before workloads that move.

    networks: ids of those that go behind the edge. public: {public address: the one that takes its place}.
    """
    return _Translator(plan, estate, prefix, networks, public).run()


def public_addresses(estate: e.Estate, moving: Collection[str]) -> set[str]:
    """The floating addresses of load balancers before some that move; moving: addresses of these."""
    vips, ports = set(), set()
    for kinds in (OCTAVIA, DEDICATED):
        members: Iterable[e.Resource] = estate.of(kinds.members)
        pools = {member.parent for member in members if _text(member, "address") in moving}
        balancers = {pool.parent for pool in estate.of(kinds.pools) if pool.id in pools}
        for one in estate.of(kinds.balancers):
            if one.id in balancers:
                vips.add(_text(one, "vip_address"))
                ports.add(_text(one, "vip_port_id"))
    return {
        one.address
        for one in estate.floating_ips
        if one.address and ((one.fixed_address or "?") in vips or (one.port_id or "?") in ports)
    }


class _Translator:
    def __init__(
        self, plan: plans.Plan, estate: e.Estate, prefix: str, networks: Collection[str], public: Mapping[str, str]
    ) -> None:
        self.plan, self.estate, self.prefix, self.public = plan, estate, prefix, public
        cards = [nic for workload in plan.moving().values() for nic in workload.nics if nic.network in networks]
        self.moving = {address for nic in cards for address in nic.addresses}
        self.nets = [
            ipaddress.ip_network(subnet.cidr, strict=False)
            for subnet in estate.subnets
            if subnet.network_id in networks and subnet.cidr
        ]
        self.pools: dict[str, Pool] = {}
        self.services: dict[str, Service] = {}
        self.vips: dict[str, str] = {}
        self.findings: list[e.Finding] = []

    def run(self) -> Balancing:
        for generation in (OCTAVIA, DEDICATED):
            for one in self.estate.of(generation.balancers):
                if self._asked(generation.balancers, one):
                    self._balancer(generation, one)
        known = {one.id for one in self.estate.of(OCTAVIA.balancers)}
        for kind in BY_HAND:
            for one in self.estate.of(kind):
                if one.id not in known and self._asked(kind, one):
                    self.tell(kind, one, "warning", "Its listeners and pools are not read.", "Make it by hand.")
        return Balancing(
            tuple(self.pools[name] for name in sorted(self.pools)),
            tuple(self.services[name] for name in sorted(self.services)),
            self.vips,
            tuple(sorted(self.findings, key=lambda one: (one.subject.kind, one.subject.id, one.seen))),
        )

    def tell(self, kind: str, one: e.Resource, severity: e.Severity, seen: str, action: str) -> None:
        subject = e.Subject(kind=kind, id=one.id, name=names.printable(one.name))
        self.findings.append(e.Finding(rule="balancer", severity=severity, subject=subject, seen=seen, action=action))

    def _asked(self, kind: str, one: e.Resource) -> bool:
        decided = self.plan.objects.get(kind, {}).get(one.id)
        if decided is None or decided.decision in TRANSLATED:
            return True
        self.tell(kind, one, "information", f"The plan decides: {decided.decision}.", "It is not made at the target.")
        return False

    def _parts(self, kind: str, parent: str) -> list[e.Resource]:
        return [one for one in (self.estate.of(kind) if kind else ()) if one.parent == parent]

    def _balancer(self, generation: _Generation, one: e.Resource) -> None:
        kind = generation.balancers
        pools = self._parts(generation.pools, one.id)
        members = {pool.id: self._parts(generation.members, pool.id) for pool in pools}
        if not any(_text(member, "address") in self.moving for each in members.values() for member in each):
            text = "None of its members is a workload that moves."
            self.tell(kind, one, "information", text, "It is not made at the target.")
            return
        vip = self._address(kind, one)
        listeners = self._parts(generation.listeners, one.id)
        known = {pool.id: pool for pool in pools}
        made: set[str] = set()
        for listener in listeners:
            pool = known.get(_text(listener, "default_pool_id"))
            self._policies(generation, listener)
            if pool is None:
                self.tell(
                    generation.listeners,
                    listener,
                    "warning",
                    "It has no pool of its own.",
                    "Make what it does by hand.",
                )
                continue
            protocol = _KINDS.get(_text(listener, "protocol").upper(), ("", "TCP"))[1]
            if pool.id not in made:
                made.add(pool.id)
                self._pool(generation, one, pool, members[pool.id], protocol)
            if vip:
                self._service(generation, one, listener, pool, vip)
        for pool in pools:
            if pool.id not in made:
                text = "No listener has it as its own pool."
                self.tell(generation.pools, pool, "warning", text, "Make it by hand, with what leads to it.")

    def _address(self, kind: str, one: e.Resource) -> str:
        """Where it listens: its own address, where the network of it moves; else its public one; "" is told."""
        vip = _text(one, "vip_address")
        try:
            address = ipaddress.ip_address(vip)
        except ValueError:
            self.tell(kind, one, "blocker", "It has no address that is known.", "Make it by hand, and decide so.")
            return ""
        if address.version == 6:
            self.tell(kind, one, "blocker", f"Its address {vip} is one of IPv6.", "Make it by hand, and decide so.")
            return ""
        if any(address.version == net.version and address in net for net in self.nets):
            self.vips[vip] = one.name or one.id
            return vip
        port = _text(one, "vip_port_id")
        outer = [
            self.public[floating.address]
            for floating in self.estate.floating_ips
            if (floating.fixed_address == vip or (port and floating.port_id == port))
            and self.public.get(floating.address)
        ]
        if outer:
            return min(outer)
        self.tell(
            kind,
            one,
            "blocker",
            f"Its address {vip} is in no network that moves, and it has no public address with a new one in the plan.",
            f"Set a new public address in edge.public, or decide otherwise in objects.{kind} (leave, recreate).",
        )
        return ""

    def _policies(self, generation: _Generation, listener: e.Resource) -> None:
        for policy in self._parts(generation.policies, listener.id):
            what = " ".join(
                names.printable(text)
                for text in (_text(policy, "action"), _text(policy, "redirect_url"), _text(policy, "redirect_pool_id"))
                if text
            )
            self.tell(
                generation.policies,
                policy,
                "warning",
                f"It is a rule about what is asked ({what or 'of level 7'}), which is not translated.",
                "Make it in the portal as an HTTP policy of the virtual service.",
            )

    def _pool(
        self,
        generation: _Generation,
        balancer: e.Resource,
        pool: e.Resource,
        members: Sequence[e.Resource],
        protocol: Protocol,
    ) -> None:
        def warn(seen: str, action: str) -> None:
            self.tell(generation.pools, pool, "warning", seen, action)

        algorithm = _text(pool, "lb_algorithm", "algorithm").upper()
        if algorithm not in _ALGORITHMS or algorithm == "SOURCE_IP_PORT":
            taken = _ALGORITHMS.get(algorithm, "ROUND_ROBIN")
            warn(f"It chooses members by {algorithm or 'nothing that is known'}.", f"The target takes {taken}.")
        if _text(pool, "protocol").upper() in ("PROXY", "PROXYV2"):
            warn("It speaks the PROXY protocol to its members.", "Set it in the profile of the virtual service.")
        if pool.properties.get("tls_enabled"):
            warn("It speaks TLS to its members.", "Switch TLS on at the pool, with the certificate of the authority.")
        found = self._members(generation, pool, members, warn)
        stick = pool.properties.get("session_persistence")
        about: Mapping[str, Any] = stick if isinstance(stick, Mapping) else {}
        word = names.printable(str(about.get("type") or "").upper())
        persistence = _PERSISTENCE.get(word, "")
        if word and not persistence:
            warn(f"Its sessions stay by {word}.", "Choose how they stay at the target.")
        value = {"HTTP_COOKIE": COOKIE, "APP_COOKIE": str(about.get("cookie_name") or COOKIE)}.get(persistence, "")
        name = f"{self.prefix}-lb-{names.slug(balancer.name, fallback='lb', length=24)}-{names.short_id(pool.id)}"
        self.pools[name] = Pool(
            name=name,
            description=names.printable(
                f"Pool {names.printable(pool.name, 60)} ({pool.id}) of load balancer "
                f"{names.printable(balancer.name, 60)} ({balancer.id})",
                250,
            ),
            members=found,
            port=found[0].port if found else 80,
            algorithm=_ALGORITHMS.get(algorithm, "ROUND_ROBIN"),
            monitors=self._monitors(generation, pool),
            persistence=persistence,
            persistence_value=value,
            enabled=pool.properties.get("admin_state_up") is not False,
            protocol=protocol,
        )

    def _members(
        self, generation: _Generation, pool: e.Resource, members: Sequence[e.Resource], warn: Any
    ) -> tuple[Member, ...]:
        found: dict[tuple[str, int], tuple[int, bool]] = {}
        for member in members:
            address, port = _text(member, "address"), _whole(member, "protocol_port")
            if address not in self.moving or not 0 < port < 65536:
                self.tell(
                    generation.members,
                    member,
                    "warning",
                    f"{names.printable(address)}:{port} is no workload that moves.",
                    "It is not in the pool at the target; add it there, if it can be reached.",
                )
                continue
            weight = _whole(member, "weight", 1)
            on = member.properties.get("admin_state_up") is not False and weight > 0
            if member.properties.get("backup") is True:
                warn(f"{address}:{port} is asked only when no other is there.", "It is off in the pool at the target.")
                on = False
            if member.properties.get("monitor_port") or member.properties.get("monitor_address"):
                warn(f"{address}:{port} is watched at another place.", "At the target it is watched where it serves.")
            found[address, port] = (max(weight, 1), on)
        common = math.gcd(*(weight for weight, dummy_on in found.values())) or 1
        weights = {key: weight // common for key, (weight, dummy_on) in found.items()}
        largest = max(weights.values(), default=1)
        if largest > MAX_RATIO:
            warn(f"A member has {largest} times the share of another.", f"At the target it has {MAX_RATIO} at most.")
            weights = {key: max(1, round(weight * MAX_RATIO / largest)) for key, weight in weights.items()}
        return tuple(Member(*key, weights[key], found[key][1]) for key in sorted(found))

    def _monitors(self, generation: _Generation, pool: e.Resource) -> tuple[str, ...]:
        known = (
            [one for one in self.estate.of(generation.monitors) if one.parent == pool.id] if generation.monitors else []
        )
        if not known:
            if _text(pool, "healthmonitor_id"):
                text = "Its health monitor was not read."
                self.tell(generation.pools, pool, "warning", text, "At the target members are watched by TCP.")
                return ("TCP",)
            return ()
        found = set()
        for monitor in known:
            word = _text(monitor, "type").upper()
            found.add(_MONITORS.get(word, "TCP"))
            told = [f"of type {word}"] if word not in _MONITORS else []
            path, codes = _text(monitor, "url_path"), _text(monitor, "expected_codes")
            if word in ("HTTP", "HTTPS"):
                told += [f"asks {names.printable(path)}"] if path not in ("", "/") else []
                told += [f"expects {names.printable(codes)}"] if codes not in ("", "200") else []
            if told:
                self.tell(
                    generation.monitors,
                    monitor,
                    "warning",
                    f"It {', '.join(told)}.",
                    f"At the target the system's own monitor ({_MONITORS.get(word, 'TCP')}) watches the members: see "
                    "that they answer it, or make one of your own.",
                )
        return tuple(sorted(found))

    def _service(
        self, generation: _Generation, balancer: e.Resource, listener: e.Resource, pool: e.Resource, vip: str
    ) -> None:
        def warn(seen: str, action: str) -> None:
            self.tell(generation.listeners, listener, "warning", seen, action)

        word, port = _text(listener, "protocol").upper(), _whole(listener, "protocol_port")
        label = names.slug(balancer.name, fallback="lb", length=24)
        pool_name = f"{self.prefix}-lb-{label}-{names.short_id(pool.id)}"
        if word in generation.ends_tls:
            warn(
                f"It ends TLS ({word}), for which the target needs the certificate and its key, which nobody can read.",
                f"Put the certificate into the library of certificates, and make the virtual service (HTTPS, {vip} "
                f"port {port}, pool {pool_name}) in the portal.",
            )
            return
        if word not in _KINDS or not 0 < port < 65536:
            warn(f"It is one of {word or 'no protocol that is known'}, port {port}.", "Make what it does by hand.")
            return
        headers = listener.properties.get("insert_headers")
        if isinstance(headers, Mapping) and headers:
            told = names.printable(", ".join(sorted(map(str, headers))), 200)
            warn(f"It adds headers: {told}.", "Set them in an HTTP policy of the virtual service.")
        if listener.properties.get("ipgroup"):
            warn("Who may come is in a group of addresses, which is not read.", "Write a rule of the edge for it.")
        allowed, wrong = [], []
        given = listener.properties.get("allowed_cidrs")
        for text in given if isinstance(given, list) else []:
            try:
                allowed.append(str(ipaddress.ip_network(str(text), strict=False)))
            except ValueError:
                wrong.append(names.printable(str(text)))
        if wrong:
            warn(f"Who may come is not understood: {', '.join(wrong)}.", "Write a rule of the edge for it.")
        kind, protocol = _KINDS[word]
        name = f"{self.prefix}-lb-{label}-{port}-{names.short_id(listener.id)}"
        self.services[name] = Service(
            name=name,
            description=names.printable(
                f"Listener {names.printable(listener.name, 60)} ({listener.id}) of load balancer "
                f"{names.printable(balancer.name, 60)} ({balancer.id})",
                250,
            ),
            address=vip,
            port=port,
            kind=kind,
            pool=pool_name,
            allowed=tuple(sorted(set(allowed))),
            enabled=all(one.properties.get("admin_state_up") is not False for one in (balancer, listener)),
            protocol=protocol,
        )


def _text(one: e.Resource, *keys: str) -> str:
    """The first of these properties that is there, as a text that can be shown."""
    return next((names.printable(str(one.properties[key]), 200) for key in keys if one.properties.get(key)), "")


def _whole(one: e.Resource, key: str, default: int = 0) -> int:
    value = one.properties.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


# -- the firewalls


@dataclass(frozen=True)
class Opened:
    """The firewalls with what load balancers need, and what passes by it that did not at the source."""

    target: model.TargetFirewall
    deviations: tuple[model.Deviation, ...]


def opened(target: model.TargetFirewall, balancing: Balancing, *, prefix: str, engines: str) -> Opened:
    """The rules of the target with those for load balancers.

    engines: the network from which the edge's load balancers reach the members; the source's had addresses that its
    groups let pass or not, so that this is a deviation, needed or not: `equivalence.compare` tells.
    """
    groups = {one.name: one for one in target.groups}
    profiles = {one.name: one for one in target.profiles}

    def group(label: str, addresses: Iterable[str], about: str) -> str:
        name = f"{prefix}-lb-{label}"
        groups[name] = model.AddressGroup(name=name, description=about, addresses=sorted(set(addresses)))
        return name

    def profile(protocol: Protocol, ports: Iterable[int]) -> str:
        texts = [str(port) for port in sorted(set(ports))]
        name = f"{prefix}-lb-{protocol.lower()}-{'-'.join(texts) if len(texts) < 4 else _short(texts)}"
        entries = [
            model.PortEntry(protocol=protocol, ports=texts[start : start + 15]) for start in range(0, len(texts), 15)
        ]
        profiles[name] = model.PortProfile(name=name, description="For load balancers.", entries=entries)
        return name

    walls: list[model.FirewallRule] = []
    ends: dict[tuple[str, Protocol, tuple[str, ...]], set[int]] = defaultdict(set)
    for service in balancing.services:
        ends[service.address, service.protocol, service.allowed].add(service.port)
    for (address, protocol, allowed), ports in sorted(ends.items()):
        label = f"{names.slug(address)}-{protocol.lower()}" + (f"-{_short(allowed)}" if allowed else "")
        sources = [group(f"from-{_short(allowed)}", allowed, "Who may come to a load balancer.")] if allowed else []
        walls.append(
            model.FirewallRule(
                name=f"{prefix}-edge-lb-{label}",
                comments=f"To the load balancer at {address}.",
                sources=sources,
                destinations=[group(f"at-{names.slug(address)}", [address], "A load balancer.")],
                profiles=[profile(protocol, ports)],
                ip_protocol="IPV4",
            )
        )
    inner: list[model.FirewallRule] = []
    deviations: list[model.Deviation] = []
    if target.distributed is not None and engines:
        source = [group("engines", [engines], "Where the edge's load balancers come from.")] if balancing.pools else []
        for pool in balancing.pools:
            members = sorted({one.address for one in pool.members})
            if not members:
                continue
            label = pool.name.removeprefix(f"{prefix}-lb-")
            ports = {one.port for one in pool.members}
            inner.append(
                model.FirewallRule(
                    name=f"{prefix}-in-lb-{label}",
                    comments=names.printable(pool.description, 250),
                    direction="IN",
                    sources=source,
                    destinations=[group(f"members-{label}", members, names.printable(pool.description, 250))],
                    profiles=[profile(pool.protocol, ports)],
                    ip_protocol="IPV4",
                )
            )
            services = [f"{pool.protocol.lower()} {port}" for port in sorted(ports)]
            deviations.append(
                model.Deviation(
                    id=f"wider-lb-{_short((label, engines, *members, *services))}",
                    effect="wider",
                    sources=[engines],
                    destinations=members,
                    services=services,
                    why="load balancers of the edge come from a network of their own",
                )
            )
    edge = target.edge
    made = replace(
        target,
        groups=[groups[name] for name in sorted(groups)],
        profiles=[profiles[name] for name in sorted(profiles)],
        edge=replace(edge, rules=_before_rest(edge.rules, walls)) if edge is not None else None,
    )
    if made.distributed is not None:
        made = replace(made, distributed=replace(made.distributed, rules=_before_rest(made.distributed.rules, inner)))
    return Opened(made, tuple(deviations))


def _before_rest(rules: Sequence[model.FirewallRule], more: Sequence[model.FirewallRule]) -> list[model.FirewallRule]:
    """With more rules before the first that lets nothing pass."""
    cut = next((number for number, one in enumerate(rules) if one.action != "ALLOW"), len(rules))
    return [*rules[:cut], *more, *rules[cut:]]


def _short(texts: Iterable[str]) -> str:
    return hashlib.sha256("|".join(texts).encode()).hexdigest()[:8]
