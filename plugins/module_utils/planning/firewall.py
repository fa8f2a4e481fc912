# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups become IP sets, port profiles and rules of the distributed firewall that mean the same.

`read_source` takes the groups out of an estate, `translate` writes the target's rules. Both are pure: same estate, same
rules, same names. Whether the result means the same is not believed here: `equivalence.compare` decides.
"""

from __future__ import annotations

import contextlib
import hashlib
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import packets
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.equivalence import (
    BUILT_IN,
    members,
    profile_services,
    source_services,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.packets import Ranges

MAX_REFS = 100
"""Groups in one rule, on one side (NSX takes 128)."""
MAX_PORTS = 15
"""Ports in one entry of a profile; a range counts as two."""

Family = int
"""4 or 6."""
_REST = "What no security group lets pass. Must stay the last of these rules."


# --- the source


def read_source(
    estate: e.Estate, *, networks: Collection[str] | None = None, servers: Collection[str] | None = None
) -> tuple[model.SourceFirewall, list[e.Finding]]:
    """The firewall of a tenant, and what of it cannot be said.

    networks, servers: ids of those that go behind one edge; None: all. Ports of others stay members of groups.
    """
    reader = _Reader(estate, networks, servers)
    return reader.firewall(), sorted(reader.findings, key=lambda f: (f.rule, f.subject.id, f.seen))


def renumbered(source: model.SourceFirewall, addresses: Mapping[str, str]) -> model.SourceFirewall:
    """The same firewall where the other end of rules has another address at the target: `{old: new}`.

    Only rules that name exactly such an address change; both `translate` and `compare` take the result.
    """
    known = {packets.addresses(old): packets.address_texts(packets.addresses(new))[0] for old, new in addresses.items()}

    def changed(rule: model.SourceRule) -> model.SourceRule:
        new = known.get(packets.addresses(rule.remote)) if rule.remote else None
        return replace(rule, remote=new) if new is not None else rule

    groups = [replace(group, rules=[changed(rule) for rule in group.rules]) for group in source.groups]
    return replace(source, groups=groups)


class _Reader:
    def __init__(self, estate: e.Estate, networks: Collection[str] | None, servers: Collection[str] | None) -> None:
        self.estate = estate
        self.networks = networks
        self.servers = {server.id: server for server in estate.servers}
        self.wanted = None if servers is None else set(servers)
        self.findings: list[e.Finding] = []
        self.groups = {group.id for group in estate.security_groups}
        self.public = sorted(self._numbers(one.address for one in estate.floating_ips))
        # who stands where: addresses of ports that something uses
        self.standing = sorted(
            (address, port.id)
            for port in estate.ports
            if port.device_id and not port.device_owner.startswith("neutron:VIP")
            for address in self._numbers(fixed.ip for fixed in port.fixed_ips)
        )

    @staticmethod
    def _numbers(texts: Iterable[str]) -> list[int]:
        found = []
        for text in texts:
            try:
                found.append(packets.addresses(text).spans[0][0])
            except ValueError:
                continue
        return found

    def tell(
        self, rule: str, severity: e.Severity, subject: tuple[str, str, str], seen: str, action: str, gap: bool = False
    ) -> None:
        kind, identity, name = subject
        self.findings.append(
            e.Finding(
                rule=f"firewall_{rule}",
                severity=severity,
                subject=e.Subject(kind=kind, id=identity, name=name),
                seen=seen,
                action=action,
                data_gap=gap,
            )
        )

    def firewall(self) -> model.SourceFirewall:
        ports = [self._port(port) for port in sorted(self.estate.ports, key=lambda port: port.id)]
        groups = [
            model.SourceGroup(
                id=group.id,
                name=group.name,
                rules=[found for rule in group.rules if (found := self._rule(group, rule)) is not None],
            )
            for group in sorted(self.estate.security_groups, key=lambda group: group.id)
        ]
        for kind in ("security_groups", "ports", "servers"):
            if self.estate.read.get(kind) != "complete":
                self.tell(
                    "not_read",
                    "blocker",
                    (kind, "", ""),
                    "They were not all read: groups would lack rules or members, or machines be left without rules.",
                    "Read the tenant again with an account that sees them.",
                    gap=True,
                )
        self._shared(ports)
        return model.SourceFirewall(groups=groups, ports=ports)

    def _port(self, port: e.Port) -> model.SourcePort:
        server = self.servers.get(port.device_id)
        workload = (
            server is not None
            and (self.networks is None or port.network_id in self.networks)
            and (self.wanted is None or port.device_id in self.wanted)
        )
        name = server.name if server else port.name
        subject = ("ports", port.id, names.printable(name))
        own = Ranges.of((number, number) for number in self._numbers(fixed.ip for fixed in port.fixed_ips))
        forwards = packets.NOTHING
        for pair in port.allowed_address_pairs:
            try:
                ranges = packets.addresses(pair.ip)
            except ValueError:
                self.tell(
                    "address", "blocker", subject, f"Its address pair {pair.ip!r} is no address.", "Correct it there."
                )
                continue
            if ranges in (packets.ANY4, packets.ANY6) or self._others(ranges, port.id):
                forwards |= ranges
            else:
                own |= ranges
        if workload and not own:
            self.tell(
                "address",
                "warning",
                subject,
                "It has no address that is known, so no rule of the target can be about it.",
                "Nothing of it is translated or compared: look at it before it moves.",
            )
        if workload and forwards:
            texts = ", ".join(packets.address_texts(forwards))
            self.tell(
                "forwards",
                "warning",
                subject,
                f"It may speak for {texts}, where others stand: it forwards.",
                "Rules of the target know machines by their addresses. What it forwards is neither translated nor "
                "compared: write these rules by hand.",
            )
        for group in port.security_groups:
            if group not in self.groups:
                self.tell(
                    "group_unknown",
                    "blocker",
                    subject,
                    f"It is in group {group}, which was not read.",
                    "Read the tenant again with an account that sees the group.",
                    gap=True,
                )
        if workload and not port.port_security:
            self.tell(
                "unfiltered",
                "warning",
                subject,
                "Its port security is off: everything passes, from any address.",
                "Everything from and to its own addresses will pass; what it forwards for others is not compared.",
            )
        return model.SourcePort(
            id=port.id,
            name=name,
            addresses=packets.address_texts(own),
            forwards=packets.address_texts(forwards),
            groups=list(port.security_groups),
            filtered=port.port_security,
            workload=workload,
        )

    def _others(self, ranges: Ranges, port: str) -> bool:
        for low, high in ranges.spans:
            first = bisect_left(self.standing, (low, ""))
            last = bisect_right(self.standing, (high + 1, ""))
            if any(owner != port for _address, owner in self.standing[first:last]):
                return True
        return False

    def _shared(self, ports: Sequence[model.SourcePort]) -> None:
        """Addresses that several machines have, under rules that differ: no rule by address can say that."""
        spans = sorted(
            (low, high, place)
            for place, port in enumerate(ports)
            if port.workload
            for low, high in packets.all_addresses(port.addresses).spans
        )
        told = set()
        for place, (low, high, mine) in enumerate(spans):
            for other_low, _other_high, theirs in spans[place + 1 :]:
                if other_low > high:
                    break
                one, other = ports[mine], ports[theirs]
                differ = (sorted(one.groups), one.filtered) != (sorted(other.groups), other.filtered)
                if differ and (mine, theirs) not in told:
                    told.add((mine, theirs))
                    self.tell(
                        "shared_address",
                        "warning",
                        ("ports", one.id, names.printable(one.name)),
                        f"It shares {packets.address_text(max(low, other_low))} with port {other.id}, which is in "
                        "other groups.",
                        "Put both in the same groups before the move: at the target one address has one set of rules.",
                    )

    def _rule(self, group: e.SecurityGroup, rule: e.Rule) -> model.SourceRule | None:
        subject = ("security_groups", group.id, names.printable(group.name))

        def refuse(why: str, gap: bool = False) -> None:
            self.tell(
                "rule",
                "blocker",
                subject,
                f"Rule {rule.id}: {why}.",
                "It is not translated: decide what it means.",
                gap,
            )

        version: Family = 6 if rule.ethertype.lower() == "ipv6" else 4
        known, protocol = _protocol(rule.protocol, version)
        if not known:
            refuse(f"protocol {rule.protocol!r} is not known")
            return None
        first, last = 0, 65535
        low, high = rule.port_min, rule.port_max
        if protocol in (packets.ICMP, packets.ICMPV6):
            if low is not None and 0 <= low <= 255 and (high is None or 0 <= high <= 255):
                first, last = low << 8 | (high or 0), low << 8 | (255 if high is None else high)
            elif low is not None or high is not None:
                refuse(f"ICMP type {low}, code {high} is not understood")
                return None
        elif protocol in packets.WITH_PORTS:
            if low is not None and high is not None and 0 <= low <= high <= 65535:
                first, last = low, high
            elif low is not None or high is not None:
                refuse(f"ports {low} to {high} are not understood")
                return None
        remote = ""
        if rule.remote_group_id:
            if rule.remote_group_id not in self.groups:
                refuse(f"its other end {rule.remote_group_id} was not read, so nobody knows who is meant", gap=True)
                return None
        elif rule.remote_cidr:
            try:
                ranges = packets.addresses(rule.remote_cidr)
            except ValueError:
                refuse(f"{rule.remote_cidr!r} is no network")
                return None
            if packets.family(ranges.spans[0][0]) != version:
                refuse(f"{rule.remote_cidr} is not {rule.ethertype}")
                return None
            remote = "" if ranges == packets.FAMILIES[version] else packets.address_texts(ranges)[0]
            changing = [packets.address_text(number) for number in self.public if remote and number in ranges]
            if changing:
                self.tell(
                    "public_address",
                    "warning",
                    subject,
                    f"Rule {rule.id} names {remote}, where the tenant has public addresses that it will not keep: "
                    f"{', '.join(changing[:5])}.",
                    "Say which addresses take their place, or change the rule after the move.",
                )
        if rule.direction not in ("ingress", "egress"):
            refuse(f"direction {rule.direction!r} is not known")
            return None
        return model.SourceRule(
            id=rule.id,
            side=cast(model.Side, rule.direction),
            family=version,
            protocol=protocol,
            first=first,
            last=last,
            remote=remote,
            remote_group=rule.remote_group_id or "",
        )


def _protocol(text: str | None, version: Family) -> tuple[bool, int | None]:
    """(whether it is known, its number; None: any)."""
    plain = (text or "").strip().lower()
    if plain in ("", "any", "0", "-1"):
        return True, None
    number = packets.PROTOCOLS.get(plain)
    if number is None and plain.isascii() and plain.isdigit() and int(plain) < 256:
        number = int(plain)
    if number is None:
        return False, None
    return True, packets.ICMPV6 if version == 6 and number == packets.ICMP else number


# --- the target


@dataclass(frozen=True, kw_only=True)
class Translation:
    """Rules of the target, and where each comes from."""

    target: model.TargetFirewall
    deviations: list[model.Deviation] = field(default_factory=list)
    """What the target cannot say exactly: a person must agree to it."""
    origins: dict[str, list[str]] = field(default_factory=dict)
    """Rule of the target: the source's rules that it stands for."""
    idle: dict[str, str] = field(default_factory=dict)
    """Source's rules that need none: why."""


def translate(
    source: model.SourceFirewall,
    *,
    prefix: str,
    distributed: bool = True,
    edge: Literal["pass", "mirror", "none"] | None = None,
    inside: Sequence[str] = (),
    system: Sequence[model.PortProfile] = (),
    icmp: Literal["wider", "narrower"] = "wider",
) -> Translation:
    """The rules that mean at the target what the groups mean at the source.

    prefix: begins the name of all that is made. distributed: whether there is a distributed firewall.
    edge: pass: it lets the workloads through and the distributed firewall decides (the default where there is one);
    mirror: it has the rules too, as far as they cross it (the default where there is none). inside: networks behind it.
    system: port profiles that are there already and are used where they mean exactly the same.
    icmp: what a rule about some types of ICMP becomes, since the target knows only all of them.
    """
    how = edge or ("pass" if distributed else "mirror")
    return _Translator(source, prefix, system, icmp).run(distributed, how, inside)


@dataclass(frozen=True)
class _Entry:
    """Rules of the source that are about the same two ends."""

    side: model.Side
    families: tuple[Family, ...]
    owners: tuple[Ranges, ...]
    remotes: tuple[Ranges, ...]
    """ANYBODY: any."""
    services: Ranges
    origins: tuple[str, ...]


@dataclass(frozen=True)
class _Deviating:
    """What cannot be said of an entry."""

    entry: _Entry
    effect: Literal["wider", "narrower"]
    services: Ranges
    why: str


def _agreeable(deviating: Iterable[_Deviating]) -> list[model.Deviation]:
    """Deviations for people: one where several are the same but for the group."""
    alike: dict[tuple[object, ...], list[_Deviating]] = defaultdict(list)
    for one in deviating:
        entry = one.entry
        alike[one.effect, entry.side, entry.families, entry.remotes, one.services, one.why].append(one)
    found = []
    for same in alike.values():
        one = same[0]
        whole = packets.FAMILIES[one.entry.families[0]]
        owners = Ranges.of(span for each in same for span in each.entry.owners[0].spans)
        owner = packets.address_texts(owners & whole)
        anybody = one.entry.remotes[0] == packets.ANYBODY
        remote = [] if anybody else packets.address_texts(one.entry.remotes[0] & whole)
        texts = packets.service_texts(one.services)
        rules = _origins(each.entry for each in same)
        content = "|".join((one.entry.side, *owner, "", *remote, "", *texts))
        found.append(
            model.Deviation(
                id=f"{one.effect}-{names.short_id(rules[0])}-{hashlib.sha256(content.encode()).hexdigest()[:6]}",
                effect=one.effect,
                rules=list(rules),
                sources=remote if one.entry.side == "ingress" else owner,
                destinations=owner if one.entry.side == "ingress" else remote,
                family=one.entry.families[0],
                services=texts,
                why=one.why,
            )
        )
    return sorted(found, key=lambda deviation: deviation.id)


class _Masks:
    """Sets of addresses as bits, one a piece of the line that no set cuts."""

    def __init__(self, sets: Iterable[Ranges]) -> None:
        wanted = set(sets)
        cuts = sorted({cut for each in wanted for low, high in each.spans for cut in (low, high + 1)})
        place = {cut: number for number, cut in enumerate(cuts)}
        self.bits: dict[Ranges, int] = {}
        for each in wanted:
            mask = 0
            for low, high in each.spans:
                first, last = place[low], place[high + 1]
                mask |= ((1 << (last - first)) - 1) << first
            self.bits[each] = mask

    def within(self, small: Ranges, large: Ranges) -> bool:
        return not self.bits[small] & ~self.bits[large]


class _Translator:
    def __init__(
        self,
        source: model.SourceFirewall,
        prefix: str,
        system: Sequence[model.PortProfile],
        icmp: Literal["wider", "narrower"],
    ) -> None:
        self.source = source
        self.prefix = prefix
        self.icmp = icmp
        self.names = {group.id: group.name for group in source.groups}
        self.group_of = {rule.id: group.id for group in source.groups for rule in group.rules}
        self.members = members(source)
        filtered = [port for port in source.ports if port.workload and port.filtered]
        self.owned: dict[str, Ranges] = {}
        spans: dict[str, list[packets.Span]] = defaultdict(list)
        for port in filtered:
            for member_of in port.groups:
                spans[member_of] += packets.all_addresses(port.addresses).spans
        self.owned = {group: Ranges.of(found) for group, found in spans.items()}
        self.everybody = packets.all_addresses(text for port in filtered for text in port.addresses)
        self.unfiltered = packets.all_addresses(
            text for port in source.ports if port.workload and not port.filtered for text in port.addresses
        )
        self.taken: set[str] = set()
        self.groups: dict[Ranges, model.AddressGroup] = {}
        self.profiles: dict[Ranges, model.PortProfile] = {}
        self.system: dict[Ranges, model.PortProfile] = {}
        self.reused: dict[str, model.PortProfile] = {}
        for profile in sorted(system, key=lambda p: (len(p.name), p.name), reverse=True):
            entries = {entry.protocol for entry in profile.entries}
            if profile.known and entries and entries <= {"TCP", "UDP"}:
                with contextlib.suppress(ValueError):
                    self.system[profile_services(profile, 4)] = profile
        self.idle: dict[str, str] = {}
        self.origins: dict[str, list[str]] = {}
        self.labels: dict[Ranges, list[tuple[str, str]]] = defaultdict(list)
        for group in sorted(source.groups, key=lambda g: (names.slug(g.name), g.id)):
            for ranges in dict.fromkeys((self.owned.get(group.id, packets.NOTHING), self.members[group.id])):
                if ranges:
                    self.labels[ranges].append((group.name, group.id))

    # names

    def _unique(self, name: str, content: str) -> str:
        if name in self.taken:
            name = f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:6]}"
        number = 2
        wanted = name
        while name in self.taken:
            name = f"{wanted}-{number}"
            number += 1
        self.taken.add(name)
        return name

    def _label(self, ranges: Ranges) -> str:
        if ranges == self.everybody:
            return "all"
        if ranges in self.labels:
            return names.slug(self.labels[ranges][0][0], fallback="group", length=40)
        if ranges == self.unfiltered:
            return "unfiltered"
        return "net-" + names.slug(packets.address_texts(ranges)[0], length=48)

    def _group(self, ranges: Ranges) -> str:
        """The name of the IP set of these addresses."""
        if ranges not in self.groups:
            texts = packets.address_texts(ranges)
            label = self._label(ranges)
            if ranges == self.everybody:
                about = "All workloads of the tenant that security groups were on."
            elif ranges in self.labels:
                known = self.labels[ranges]
                label = f"{label}-{names.short_id(known[0][1])}"
                about = "Members of security group " + ", ".join(
                    f"{names.printable(title, 60)} ({identity})" for title, identity in known
                )
            elif ranges == self.unfiltered:
                about = "Workloads whose port security was off."
            else:
                about = f"Network {', '.join(texts)} that rules of security groups name."
            name = self._unique(f"{self.prefix}-{label}", " ".join(texts))
            self.groups[ranges] = model.AddressGroup(
                name=name, description=names.printable(about, 500), addresses=texts
            )
        return self.groups[ranges].name

    def _profile(self, services: Ranges) -> list[str]:
        """The profiles of these services; none: any."""
        if services == packets.ANY_SERVICE:
            return []
        if services in self.system:
            profile = self.system[services]
            self.reused[profile.ref] = profile
            return [profile.ref]
        if services not in self.profiles:
            texts = packets.service_texts(services)
            label = names.slug(" ".join(texts[:3]), length=40)
            if len(texts) > 3:
                label = f"{label}-{hashlib.sha256(' '.join(texts).encode()).hexdigest()[:6]}"
            self.profiles[services] = model.PortProfile(
                name=self._unique(f"{self.prefix}-{label}", " ".join(texts)),
                description=names.printable(", ".join(texts), 500),
                entries=_entries(services),
            )
        return [self.profiles[services].name]

    # rules

    def run(self, distributed: bool, edge: str, inside: Sequence[str]) -> Translation:
        raw = self._covered(self._collect())
        entries, deviations = self._express(raw)
        merged = self._merge(self._covered(entries))
        known = {origin for entry in merged for origin in entry.origins}
        deviations = [one for one in deviations if one.effect == "narrower" or known & set(one.entry.origins)]
        rules = self._distributed(merged) if distributed else []
        walls = None
        if edge != "none":
            walls = model.Edge(rules=self._edge(merged, edge, inside), inside=list(inside))
        target = model.TargetFirewall(
            groups=sorted(self.groups.values(), key=lambda group: group.name),
            profiles=sorted([*self.profiles.values(), *self.reused.values()], key=lambda profile: profile.name),
            distributed=model.Distributed(rules=rules) if distributed else None,
            edge=walls,
        )
        return Translation(
            target=target,
            deviations=_agreeable(deviations),
            origins=dict(sorted(self.origins.items())),
            idle={rule: why for rule, why in sorted(self.idle.items()) if rule in self.group_of},
        )

    def _collect(self) -> list[_Entry]:
        found: dict[tuple[model.Side, Family, Ranges, Ranges], list[model.SourceRule]] = defaultdict(list)
        for group in self.source.groups:
            owner = self.owned.get(group.id, packets.NOTHING)
            for rule in group.rules:
                if rule.remote_group:
                    remote = self.members.get(rule.remote_group, packets.NOTHING)
                else:
                    remote = packets.addresses(rule.remote) if rule.remote else packets.ANYBODY
                whole = packets.FAMILIES[rule.family]
                if not owner & whole:
                    self.idle[rule.id] = f"no workload of this group has an IPv{rule.family} address"
                elif not remote & whole:
                    self.idle[rule.id] = f"the group at the other end has no member with an IPv{rule.family} address"
                else:
                    found[rule.side, rule.family, owner, remote].append(rule)
        entries = []
        for (side, version, owner, remote), rules in found.items():
            services = Ranges.of(span for rule in rules for span in source_services(rule).spans)
            ids = tuple(sorted(rule.id for rule in rules))
            entries.append(_Entry(side, (version,), (owner,), (remote,), services, ids))
        for (side, version), known in BUILT_IN.items():
            if self.everybody & packets.FAMILIES[version]:
                for identity, services in known.items():
                    ends = (self.everybody,), (packets.ANYBODY,)
                    entries.append(_Entry(side, (version,), *ends, services, (identity,)))
        return self._of_everybody(sorted(entries, key=_order))

    def _of_everybody(self, entries: list[_Entry]) -> list[_Entry]:
        """One entry where the same is said of all groups, and these are all workloads."""
        alike: dict[tuple[object, ...], list[_Entry]] = defaultdict(list)
        for entry in entries:
            alike[entry.side, entry.families, entry.remotes, entry.services].append(entry)
        found = []
        for same in alike.values():
            owners = Ranges.of(span for entry in same for span in entry.owners[0].spans)
            if len(same) > 1 and owners == self.everybody:
                found.append(replace(same[0], owners=(self.everybody,), origins=_origins(same)))
            else:
                found += same
        return sorted(found, key=_order)

    def _covered(self, entries: list[_Entry]) -> list[_Entry]:
        """Without those that let pass only what others let pass anyway."""
        clipped: dict[tuple[Ranges, Family], Ranges] = {}

        def clip(ranges: Ranges, version: Family) -> Ranges:
            key = (ranges, version)
            if key not in clipped:
                clipped[key] = ranges & packets.FAMILIES[version]
            return clipped[key]

        ends = [(clip(x.owners[0], x.families[0]), clip(x.remotes[0], x.families[0])) for x in entries]
        masks = _Masks(each for pair in ends for each in pair)
        by_owner: dict[tuple[model.Side, Family, Ranges], list[int]] = defaultdict(list)
        for number, entry in enumerate(entries):
            by_owner[entry.side, entry.families[0], ends[number][0]].append(number)
        above: dict[Ranges, list[Ranges]] = {}
        owners = {owner for owner, _remote in ends}
        for owner in owners:
            above[owner] = [other for other in owners if masks.within(owner, other)]
        gone: set[int] = set()
        # what is about few is asked first, so that the rule about many stays
        for number in sorted(range(len(entries)), key=lambda n: (ends[n][0].size(), ends[n][1].size(), n)):
            entry, (owner, remote) = entries[number], ends[number]
            left = entry.services
            who: list[str] = []
            for other_owner in above[owner]:
                for other in by_owner.get((entry.side, entry.families[0], other_owner), ()):
                    if other != number and other not in gone and masks.within(remote, ends[other][1]):
                        smaller = left - entries[other].services
                        if smaller != left:
                            left = smaller
                            who.append(entries[other].origins[0])
            if not left:
                gone.add(number)
                for origin in entry.origins:
                    self.idle[origin] = f"what it lets pass, rule {', '.join(sorted(who)[:3])} lets pass too"
        return [entry for number, entry in enumerate(entries) if number not in gone]

    def _express(self, entries: list[_Entry]) -> tuple[list[_Entry], list[_Deviating]]:
        """What port profiles can say of it, and what they cannot."""
        found: list[_Entry] = []
        deviations: list[_Deviating] = []
        for entry in entries:
            if entry.services == packets.ANY_SERVICE:
                found.append(entry)
                continue
            icmp = packets.service(packets.ICMP if entry.families[0] == 4 else packets.ICMPV6)
            plain = entry.services & (packets.service(packets.TCP) | packets.service(packets.UDP))
            some = entry.services & icmp
            other = entry.services - plain - icmp
            if some and (some == icmp or self.icmp == "wider" or "neighbours" in entry.origins):
                plain |= icmp
                if some != icmp:
                    deviations.append(_Deviating(entry, "wider", icmp - some, "it knows no types of ICMP"))
            elif some:
                deviations.append(_Deviating(entry, "narrower", some, "it knows no types of ICMP"))
            if other:
                deviations.append(_Deviating(entry, "narrower", other, "its port profiles know only TCP, UDP and ICMP"))
            if plain:
                found.append(replace(entry, services=plain))
            else:
                for origin in entry.origins:
                    self.idle[origin] = "the target cannot say it; see the deviations"
        return found, deviations

    def _merge(self, entries: list[_Entry]) -> list[_Entry]:
        """One where several mean the same: of both families, of several other ends, of several groups."""
        families: dict[tuple[object, ...], list[_Entry]] = defaultdict(list)
        for entry in entries:
            families[entry.side, entry.owners, entry.remotes, entry.services].append(entry)
        found = [
            replace(same[0], families=tuple(sorted({f for x in same for f in x.families})), origins=_origins(same))
            for same in families.values()
        ]
        remotes: dict[tuple[object, ...], list[_Entry]] = defaultdict(list)
        for entry in found:
            remotes[entry.side, entry.families, entry.owners, entry.services].append(entry)
        found = [
            replace(same[0], remotes=self._sets(r for x in same for r in x.remotes), origins=_origins(same))
            for same in remotes.values()
        ]
        owners: dict[tuple[object, ...], list[_Entry]] = defaultdict(list)
        for entry in found:
            owners[entry.side, entry.families, entry.remotes, entry.services].append(entry)
        merged = []
        for same in owners.values():
            sets = self._sets(owner for entry in same for owner in entry.owners)
            if len(sets) > 1 and Ranges.of(span for each in sets for span in each.spans) == self.everybody:
                sets = (self.everybody,)
            merged.append(replace(same[0], owners=sets, origins=_origins(same)))
        return sorted(merged, key=lambda entry: (entry.side != "ingress", self._label(entry.owners[0]), _order(entry)))

    @staticmethod
    def _sets(sets: Iterable[Ranges]) -> tuple[Ranges, ...]:
        return tuple(sorted(set(sets), key=lambda ranges: ranges.spans))

    def _rules(
        self, entry: _Entry, where: str, direction: model.Direction, remotes: Sequence[Ranges]
    ) -> list[model.FirewallRule]:
        word = "in" if entry.side == "ingress" else "out"
        services = packets.service_texts(entry.services)
        what = names.slug(" ".join(services[:2]), length=20)
        label = names.slug(self._label(entry.owners[0]), length=24)
        base = f"{self.prefix}-{where}{word}-{label}-{what}-{names.short_id(entry.origins[0])}"
        own = sorted(self._group(ranges) for ranges in entry.owners)
        other = [] if packets.ANYBODY in remotes else sorted(self._group(ranges) for ranges in remotes)
        profiles = self._profile(entry.services)
        groups = sorted(
            {(self.names[self.group_of[rule]], self.group_of[rule]) for rule in entry.origins if rule in self.group_of}
        )
        about = ", ".join(f"{names.printable(name, 40)} ({identity})" for name, identity in groups)
        if groups:
            about = f"of security group {about}; rules {', '.join(entry.origins)}"
        else:
            about = f"that passes at the source whatever groups say: {', '.join(entry.origins)}"
        rules = []
        for mine in _chunks(own):
            for theirs in _chunks(other):
                name = self._unique(base, " ".join((*mine, "", *theirs)))
                self.origins[name] = list(entry.origins)
                rules.append(
                    model.FirewallRule(
                        name=name,
                        comments=names.printable(f"{entry.side} {', '.join(services)} {about}", 500),
                        direction=direction,
                        ip_protocol=_ip_protocol(entry.families),
                        sources=theirs if entry.side == "ingress" else mine,
                        destinations=mine if entry.side == "ingress" else theirs,
                        profiles=profiles,
                    )
                )
        return rules

    def _fixed(
        self, what: str, action: model.Action, who: Ranges, where: str, comments: str
    ) -> list[model.FirewallRule]:
        """Two rules about all packets to and from some."""
        if not who:
            return []
        group = [self._group(who)]
        inward: model.Direction = "IN_OUT" if where else "IN"
        outward: model.Direction = "IN_OUT" if where else "OUT"
        rules = [
            model.FirewallRule(
                name=self._unique(f"{self.prefix}-{where}in-{what}", ""),
                comments=comments,
                action=action,
                direction=inward,
                destinations=group,
            ),
            model.FirewallRule(
                name=self._unique(f"{self.prefix}-{where}out-{what}", ""),
                comments=comments,
                action=action,
                direction=outward,
                sources=group,
            ),
        ]
        for rule in rules:
            self.origins[rule.name] = []
        return rules

    def _distributed(self, entries: list[_Entry]) -> list[model.FirewallRule]:
        rules = self._fixed("unfiltered", "ALLOW", self.unfiltered, "", "Port security was off: everything passes.")
        for entry in entries:
            rules += self._rules(entry, "", "IN" if entry.side == "ingress" else "OUT", entry.remotes)
        return rules + self._fixed("rest", "DROP", self.everybody, "", _REST)

    def _edge(self, entries: list[_Entry], how: str, inside: Sequence[str]) -> list[model.FirewallRule]:
        everybody = self.everybody | self.unfiltered
        if how == "pass":
            return self._fixed(
                "workloads", "ALLOW", everybody, "edge-", "The distributed firewall decides about workloads."
            )
        near = packets.all_addresses(inside)
        built_in = {identity for known in BUILT_IN.values() for identity in known}
        rules = self._fixed(
            "unfiltered", "ALLOW", self.unfiltered, "edge-", "Port security was off: everything passes."
        )
        for entry in entries:
            remotes = [ranges for ranges in entry.remotes if ranges - near]
            # DHCP and its like stay behind the edge
            if remotes and not built_in.issuperset(entry.origins):
                rules += self._rules(entry, "edge-", "IN_OUT", remotes)
        return rules + self._fixed(
            "rest",
            "DROP",
            self.everybody,
            "edge-",
            _REST,
        )


def _order(entry: _Entry) -> tuple[object, ...]:
    return (
        entry.side,
        entry.families,
        tuple(ranges.spans for ranges in entry.owners),
        tuple(ranges.spans for ranges in entry.remotes),
        entry.services.spans,
        entry.origins,
    )


def _origins(entries: Iterable[_Entry]) -> tuple[str, ...]:
    return tuple(sorted({origin for entry in entries for origin in entry.origins}))


def _chunks(refs: list[str]) -> list[list[str]]:
    return [refs[start : start + MAX_REFS] for start in range(0, len(refs), MAX_REFS)] or [[]]


def _ip_protocol(families: Sequence[Family]) -> model.IpProtocol:
    if len(families) == 2:
        return "IPV4_IPV6"
    return "IPV4" if families[0] == 4 else "IPV6"


def _entries(services: Ranges) -> list[model.PortEntry]:
    """A profile's entries for services of TCP, UDP and all of ICMP."""
    entries: list[model.PortEntry] = []
    words: tuple[tuple[model.Protocol, int], ...] = (
        ("TCP", packets.TCP),
        ("UDP", packets.UDP),
        ("ICMPv4", packets.ICMP),
        ("ICMPv6", packets.ICMPV6),
    )
    for word, number in words:
        whole = packets.service(number)
        part = services & whole
        if not part:
            continue
        if part == whole or word.startswith("ICMP"):
            entries.append(model.PortEntry(protocol=word))
            continue
        ports: list[str] = []
        room = MAX_PORTS
        for low, high in part.spans:
            first, last = low & 0xFFFF, high & 0xFFFF
            need = 1 if first == last else 2
            if need > room:
                entries.append(model.PortEntry(protocol=word, ports=ports))
                ports, room = [], MAX_PORTS
            ports.append(str(first) if first == last else f"{first}-{last}")
            room -= need
        entries.append(model.PortEntry(protocol=word, ports=ports))
    return entries


# --- for people


def shown(target: model.TargetFirewall) -> list[str]:
    """The rules as a firewall engineer reads them, one a line, in their order."""
    groups = {group.ref: group for group in target.groups}
    profiles = {profile.ref: profile for profile in target.profiles}

    def end(refs: Sequence[str], excluded: bool) -> str:
        texts = []
        for ref in refs:
            group = groups.get(ref)
            if group is None or not group.known:
                texts.append(f"{names.printable(group.name if group else ref)} (not known)")
            else:
                some = ", ".join(group.addresses[:3]) + (", …" if len(group.addresses) > 3 else "")
                texts.append(f"{names.printable(group.name)} ({some or 'nobody'})")
        return ("all but " if excluded and refs else "") + (" + ".join(texts) or "any")

    def what(rule: model.FirewallRule) -> str:
        texts: list[str] = []
        for ref in rule.profiles:
            profile = profiles.get(ref)
            if profile is None or not profile.known:
                texts.append(f"{names.printable(profile.name if profile else ref)} (not known)")
            else:
                for entry in profile.entries:
                    texts.append(f"{entry.protocol} {','.join(entry.ports)}".strip())
        texts += [f"application {names.printable(ref)}" for ref in rule.context_profiles]
        return " + ".join(texts) or "any"

    def lines(rules: Iterable[model.FirewallRule]) -> Iterable[str]:
        for number, rule in enumerate(rules, 1):
            family = {"IPV4": "IPv4", "IPV6": "IPv6", "IPV4_IPV6": "IP"}[rule.ip_protocol]
            yield (
                f"{number:>4} {rule.action:<6} {rule.direction.replace('_', '/').lower():<6} {family:<4} "
                f"{end(rule.sources, rule.sources_excluded)} → {end(rule.destinations, rule.destinations_excluded)}: "
                f"{what(rule)}  [{names.printable(rule.name)}]{'' if rule.enabled else ' off'}"
            )

    found: list[str] = []
    for title, wall in (("distributed firewall", target.distributed), ("edge firewall", target.edge)):
        if wall is not None:
            found.append(title + ("" if wall.enabled else " (off: everything passes)"))
            found += lines(wall.rules)
            found.append(f"     {wall.default_action:<6} the rest")
    return found
