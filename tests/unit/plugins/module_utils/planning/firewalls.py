# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random small firewalls, and an oracle that asks every packet of a small domain, one by one.

The oracle shares nothing with the code under test but the model: it knows addresses by `ipaddress` alone.
"""

from __future__ import annotations

import functools
import ipaddress
import itertools
import random
from dataclasses import replace
from typing import Any, NamedTuple

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as m

POOL = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
POOL6 = ["fd00::1", "fd00::2"]
NETWORKS = ["10.0.0.1", "10.0.0.2", "10.0.0.0/30", "10.0.0.2/31", "10.0.0.0/24", "10.0.0.1-10.0.0.2", "0.0.0.0/0"]
NETWORKS6 = ["fd00::1", "fd00::/64", "::/0"]
# Every set of the domain is made of the networks above: these are all kinds of addresses that there are.
ADDRESSES = ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.9", "8.8.8.8"]
ADDRESSES6 = ["fd00::1", "fd00::2", "fd00::9", "2001:db8::1"]
# (protocol, value): port, or type * 256 + code; all that can differ with the ports and types below
_PORTS = [(6, 0), (6, 22), (6, 23), (6, 80), (17, 0), (17, 22)]
# what the source lets pass by itself
ALWAYS = {
    ("egress", 4): [(17, 67)],
    ("ingress", 4): [(17, 68)],
    ("egress", 6): [(17, 547), *((58, kind << 8) for kind in (130, 131, 132, 133, 135, 136, 143))],
    ("ingress", 6): [(17, 546), *((58, kind << 8) for kind in (130, 134, 135, 136))],
}
_TYPES = [0, 3 << 8 | 4, 8 << 8, 8 << 8 | 1]
SERVICES = [*_PORTS, *((1, value) for value in _TYPES), (17, 67), (17, 68), (47, 0), (50, 0)]
SERVICES6 = [
    (17, 546),
    (17, 547),
    (58, 130 << 8),
    (58, 133 << 8),
    (58, 134 << 8),
    *_PORTS,
    *((58, value) for value in _TYPES),
    (47, 0),
    (50, 0),
]

Range = tuple[int, int, int]


class Address(NamedTuple):
    version: int
    number: int


@functools.cache
def address(text: str) -> Address:
    known = ipaddress.ip_address(text)
    return Address(known.version, int(known))


@functools.cache
def span(text: str) -> Range:
    """(version, first, last)"""
    if "-" in text:
        first, last = (ipaddress.ip_address(part) for part in text.split("-"))
        return first.version, int(first), int(last)
    network = ipaddress.ip_network(text, strict=False)
    return network.version, int(network[0]), int(network[-1])


def within(one: Any, ranges: list[Range]) -> bool:
    return any(v == one.version and low <= one.number <= high for v, low, high in ranges)


class Oracle:
    """What becomes of one packet, asked rule by rule."""

    def __init__(self, source: m.SourceFirewall, target: m.TargetFirewall) -> None:
        self.source, self.target = source, target
        self.own = {port.id: [span(text) for text in port.addresses] for port in source.ports}
        self.members: dict[str, list[Range]] = {}
        for port in source.ports:
            for group in port.groups:
                self.members.setdefault(group, []).extend(span(text) for text in (*port.addresses, *port.forwards))
        self.groups = {group.id: group for group in source.groups}
        self.sets = {group.ref: [span(text) for text in group.addresses] for group in target.groups}
        self.profiles = {profile.ref: profile for profile in target.profiles}
        self.known: dict[Any, list[Any]] = {}
        self.near: dict[Any, bool] = {}
        self.held: dict[str, list[m.SourcePort | None]] = {}
        self.inside = [span(text) for text in target.edge.inside] if target.edge else []
        self.remote = {rule.id: [span(rule.remote)] if rule.remote else None for g in source.groups for rule in g.rules}
        self.spans = {
            ports: tuple(int(x) for x in (ports.split("-") * 2)[:2])
            for profile in target.profiles
            for entry in profile.entries
            for ports in entry.ports
        }

    def holders(self, text: str) -> list[m.SourcePort | None]:
        if text not in self.held:
            found: list[m.SourcePort | None] = [
                port for port in self.source.ports if port.workload and within(address(text), self.own[port.id])
            ]
            self.held[text] = found or [None]
        return self.held[text]

    def differs(self, source: str, destination: str, protocol: int, value: int) -> bool:
        """Whether anybody who may have these addresses is treated differently."""
        sends, gets = address(source), address(destination)
        for sender in self.holders(source):
            for receiver in self.holders(destination):
                if sender is receiver:  # nobody of ours, or one with itself
                    continue
                ends = (sends, gets, protocol, value, sender, receiver)
                if self.at_source(*ends) != self.at_target(*ends):
                    return True
        return False

    def at_source(self, sends: Any, gets: Any, protocol: int, value: int, sender: Any, receiver: Any) -> bool:
        for port, side, other in ((sender, "egress", gets), (receiver, "ingress", sends)):
            if port is None or not port.filtered:
                continue
            plain = (protocol, value & 0xFF00 if protocol == 58 else value)
            if plain in ALWAYS[side, other.version]:
                continue
            key = (port.id, side, other)
            if key not in self.known:
                rules = [rule for group in port.groups for rule in self.groups[group].rules]
                self.known[key] = [rule for rule in rules if self._about(rule, side, other)]
            if not any(
                rule.protocol is None
                or (rule.protocol == protocol and (protocol not in (6, 17, 1, 58) or rule.first <= value <= rule.last))
                for rule in self.known[key]
            ):
                return False
        return True

    def _about(self, rule: m.SourceRule, side: str, other: Any) -> bool:
        if rule.side != side or rule.family != other.version:
            return False
        if rule.remote_group:
            return within(other, self.members.get(rule.remote_group, []))
        remote = self.remote[rule.id]
        return remote is None or within(other, remote)

    def at_target(self, sends: Any, gets: Any, protocol: int, value: int, sender: Any, receiver: Any) -> bool:
        packet = (sends, gets, protocol, value)
        if self.target.distributed is not None and self.target.distributed.enabled:
            wall = self.target.distributed
            if sender is not None and not self._walk(wall.rules, wall.default_action, "OUT", packet):
                return False
            if receiver is not None and not self._walk(wall.rules, wall.default_action, "IN", packet):
                return False
        if self.target.edge is not None and self.target.edge.enabled:
            near, far = self._inside(sends), self._inside(gets)
            crosses = [
                direction
                for direction, ours, here, there in (("OUT", sender, near, far), ("IN", receiver, far, near))
                if ours is not None and here and not there
            ]
            plain = (protocol, value & 0xFF00 if protocol == 58 else value)
            for direction in crosses:
                if plain in ALWAYS["egress" if direction == "OUT" else "ingress", sends.version]:
                    continue
                if not self._walk(self.target.edge.rules, self.target.edge.default_action, direction, packet):
                    return False
        return True

    def _inside(self, address: Any) -> bool:
        if address not in self.near:
            self.near[address] = within(address, self.inside)
        return self.near[address]

    def _walk(self, rules: list[m.FirewallRule], default: str, direction: str, packet: Any) -> bool:
        sends, gets, protocol, value = packet
        key = (id(rules), direction, sends, gets)
        if key not in self.known:
            self.known[key] = [
                rule
                for rule in rules
                if rule.enabled
                and rule.direction in (direction, "IN_OUT")
                and rule.ip_protocol in (f"IPV{sends.version}", "IPV4_IPV6")
                and self._end(rule.sources, rule.sources_excluded, sends)
                and self._end(rule.destinations, rule.destinations_excluded, gets)
            ]
        for rule in self.known[key]:
            if not rule.profiles or any(self._fits(p, sends.version, protocol, value) for p in rule.profiles):
                return rule.action == "ALLOW"
        return default == "ALLOW"

    def _end(self, refs: list[str], excluded: bool, address: Any) -> bool:
        if not refs:
            return True
        return any(within(address, self.sets[ref]) for ref in refs) != excluded

    def _fits(self, ref: str, version: int, protocol: int, value: int) -> bool:
        for entry in self.profiles[ref].entries:
            number, versions = {"TCP": (6, 46), "UDP": (17, 46), "ICMPv4": (1, 4), "ICMPv6": (58, 6)}[entry.protocol]
            if number != protocol or str(version) not in str(versions):
                continue
            if not entry.ports or protocol in (1, 58):
                return True
            for text in entry.ports:
                low, high = self.spans[text]
                if low <= value <= high:
                    return True
        return False

    def difference(self) -> tuple[str, str, int, int] | None:
        """The first packet of the domain that is treated differently."""
        v6 = any(":" in text for port in self.source.ports for text in port.addresses)
        for addresses, services in ((ADDRESSES, SERVICES), (ADDRESSES6 if v6 else [], SERVICES6)):
            for sends, gets in itertools.product(addresses, addresses):
                if self.holders(sends) == self.holders(gets) == [None]:
                    continue
                for protocol, value in services:
                    if self.differs(sends, gets, protocol, value):
                        return sends, gets, protocol, value
        return None


def source_rule(rng: random.Random, number: int, groups: int, plain: bool) -> m.SourceRule:
    family: Any = 6 if rng.random() < 0.15 else 4
    icmp = 58 if family == 6 else 1
    protocol = rng.choice([None, 6, 6, 6, 17, icmp] if plain else [None, 6, 6, 17, icmp, 47])
    first, last = 0, 65535
    if protocol in (6, 17):
        first, last = rng.choice([(0, 65535), (22, 22), *([(22, 23), (80, 80)] if protocol == 6 else [])])
    elif protocol == icmp and not plain:
        first, last = rng.choice([(0, 65535), (8 << 8, 8 << 8 | 255), (8 << 8, 8 << 8), (3 << 8 | 4, 3 << 8 | 4)])
    remote, group = "", ""
    what = rng.random()
    if what < 0.4:
        group = f"g{rng.randrange(groups)}"
    elif what < 0.8:
        remote = rng.choice(NETWORKS6 if family == 6 else NETWORKS)
    side: Any = rng.choice(["ingress", "egress"])
    return m.SourceRule(
        id=f"r{number}",
        side=side,
        family=family,
        protocol=protocol,
        first=first,
        last=last,
        remote=remote,
        remote_group=group,
    )


def source_firewall(rng: random.Random, plain: bool = True) -> m.SourceFirewall:
    """plain: the target can say all of it, and no address has two owners."""
    count = rng.randint(1, 3)
    groups, number = [], 0
    for place in range(count):
        rules = []
        for _rule in range(rng.randint(0, 4)):
            rules.append(source_rule(rng, number, count, plain))
            number += 1
        groups.append(m.SourceGroup(id=f"g{place}", name=rng.choice(["web", "db", "a b'\"{{ 7*7 }}"]), rules=rules))
    pool, pool6 = list(POOL), list(POOL6)
    ports = []
    for place in range(rng.randint(1, 3)):
        own = [pool.pop() if plain else rng.choice(pool)]
        if rng.random() < 0.2:
            own.append(pool6.pop() if plain and pool6 else POOL6[0] if not plain else own[0])
        filtered = rng.random() < 0.9
        ports.append(
            m.SourcePort(
                id=f"p{place}",
                addresses=sorted(set(own)),
                forwards=["10.0.0.0/24"] if rng.random() < 0.05 else [],
                groups=[f"g{n}" for n in range(count) if rng.random() < 0.6] if filtered else [],
                filtered=filtered,
                workload=rng.random() < 0.9,
            )
        )
    return m.SourceFirewall(groups=groups, ports=ports)


def target_firewall(rng: random.Random) -> m.TargetFirewall:
    """Rules of chance, as a person might have left them."""
    groups = [
        m.AddressGroup(name=f"s{n}", addresses=rng.sample(NETWORKS + NETWORKS6, rng.randint(0, 2))) for n in range(3)
    ]
    protocols: list[m.Protocol] = ["TCP", "UDP", "ICMPv4", "ICMPv6"]
    profiles = [
        m.PortProfile(
            name=f"f{n}",
            entries=[
                m.PortEntry(
                    protocol=one,
                    ports=rng.choice({"TCP": [[], ["22"], ["22-23", "80"]], "UDP": [[], ["22"]]}.get(one, [[]])),
                )
                for one in rng.sample(protocols, rng.randint(1, 2))
            ],
        )
        for n in range(3)
    ]

    def rules(prefix: str) -> list[m.FirewallRule]:
        return [
            m.FirewallRule(
                name=f"{prefix}{number}",
                action=rng.choice(["ALLOW", "ALLOW", "DROP", "REJECT"]),
                enabled=rng.random() < 0.9,
                direction=rng.choice(["IN", "OUT", "IN_OUT"]),
                ip_protocol=rng.choice(["IPV4", "IPV6", "IPV4_IPV6", "IPV4_IPV6"]),
                sources=rng.sample(["s0", "s1", "s2"], rng.choice([0, 0, 1, 2])),
                destinations=rng.sample(["s0", "s1", "s2"], rng.choice([0, 0, 1, 2])),
                profiles=rng.sample(["f0", "f1", "f2"], rng.choice([0, 0, 1, 2])),
                sources_excluded=rng.random() < 0.1,
                destinations_excluded=rng.random() < 0.1,
            )
            for number in range(rng.randint(0, 4))
        ]

    return m.TargetFirewall(
        groups=groups,
        profiles=profiles,
        distributed=m.Distributed(
            enabled=rng.random() < 0.9, rules=rules("d"), default_action=rng.choice(["ALLOW", "DROP"])
        )
        if rng.random() < 0.8
        else None,
        edge=m.Edge(
            rules=rules("e"),
            default_action=rng.choice(["ALLOW", "DROP"]),
            inside=rng.choice([["10.0.0.0/24"], ["10.0.0.0/24", "fd00::/64"], ["10.0.0.2/31"]]),
        )
        if rng.random() < 0.5
        else None,
    )


def mutate(rng: random.Random, target: m.TargetFirewall) -> m.TargetFirewall:
    """The same but for one thing that a person or a fault might have changed."""
    wall = target.distributed
    assert wall is not None
    rules = list(wall.rules)
    kind = rng.randrange(9)
    if kind == 7 or not rules:
        groups = list(target.groups)
        if not groups:
            return replace(target, distributed=replace(wall, enabled=False))
        place = rng.randrange(len(groups))
        changed = rng.choice([[], [*groups[place].addresses, "10.0.0.2"], groups[place].addresses[1:]])
        groups[place] = replace(groups[place], addresses=changed)
        return replace(target, groups=groups)
    if kind == 8:
        return replace(target, distributed=replace(wall, enabled=False))
    place = rng.randrange(len(rules))
    rule = rules[place]
    if kind == 0:
        del rules[place]
    elif kind == 1:
        rules[place] = replace(rule, action="DROP" if rule.action == "ALLOW" else "ALLOW")
    elif kind == 2:
        rules[place] = replace(rule, enabled=False)
    elif kind == 3:
        rules[place] = replace(rule, direction=rng.choice(["IN", "OUT", "IN_OUT"]))
    elif kind == 4:
        rules[place] = replace(rule, profiles=[])
    elif kind == 5:
        rules[place] = replace(rule, sources=[], destinations=rule.destinations)
    else:
        rules.insert(0, rules.pop(place))
    return replace(target, distributed=replace(wall, rules=rules))
