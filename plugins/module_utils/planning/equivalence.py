# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do exactly the same flows pass at the target as at the source? For all packets, with a true counterexample if not.

A flow between two workloads passes two *hops*: out of the sender's card and into the receiver's. One with anybody else
passes the workload's own hop, and the edge where it crosses it.

All sets of addresses that any rule names cut the line of addresses into pieces on which every rule says the same; the
services alike. So all packets are a finite number of cases. For each workload both sides are computed for all pieces
at once, services as bits of a number. Only where a hop differs is the whole flow looked at.

The translator is not asked: what rules mean is read from the model alone, here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import packets
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.packets import (
    Box,
    Packet,
    Packets,
    Ranges,
)

Where = Literal["sender", "receiver", "edge"]
MAX_BOXES = 20
"""Boxes that one difference shows of its extent."""
MAX_EXPLAINED = 5000
"""Cases that are explained; where there are more, the verdict is cut short."""
MAX_OF_A_CARD = 200
"""Cases of one address of a card, in one direction, that are explained."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A packet that the two sides treat differently, and who decides there."""

    packet: Packet
    source_passes: bool
    target_passes: bool | None
    """None: nobody can tell, since what a rule is about was not read."""
    where: Where
    """The hop at which they differ."""
    workload: str
    """Port at that hop."""
    source_rule: str
    """Id of the group's rule that lets it pass; empty where none does."""
    source_text: str
    target_rule: str
    """Name of the rule that decides at the target; empty where it is the default."""
    target_text: str
    extent: Packets = field(default_factory=Packets)
    """All packets between the same pieces for which the same two rules differ, as far as they were looked at."""

    def extent_texts(self) -> list[str]:
        """The extent in words; cut after some."""
        texts = [str(box) for box in self.extent.boxes]
        return texts[:MAX_BOXES] + (["…"] if len(texts) > MAX_BOXES else [])

    def __str__(self) -> str:
        def says(passes: bool | None) -> str:
            return "cannot be told to pass" if passes is None else "passes" if passes else "does not pass"

        return (
            f"{self.packet}: at the source it {says(self.source_passes)} ({self.source_text}), "
            f"at the target it {says(self.target_passes)} ({self.target_text}), at the {self.where}"
        )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether the same flows pass."""

    equal: bool
    differences: list[Difference]
    truncated: bool
    """Whether there may be more differences, or more packets that differ."""
    accepted: list[str]
    """Ids of the deviations that were met and that somebody agreed to."""
    ports: int
    """Workload cards that were compared."""
    places: int
    """Pieces of the line of addresses."""
    services: int
    """Pieces of the line of services."""


def compare(
    source: model.SourceFirewall,
    target: model.TargetFirewall,
    *,
    accepted: Sequence[model.Deviation] = (),
    limit: int = 20,
) -> Verdict:
    """The verdict on all packets from and to the workloads.

    accepted: deviations that somebody agreed to; what they describe is no difference. limit: differences that are told,
    each about another pair of rules.
    """
    return _Comparison(source, target, accepted, limit).run()


# --- what the model means

BUILT_IN: Mapping[tuple[model.Side, int], Mapping[str, Ranges]] = {
    ("egress", 4): {"dhcp": packets.services(["udp 67"])},
    ("ingress", 4): {"dhcp": packets.services(["udp 68"])},
    ("egress", 6): {
        "dhcpv6": packets.services(["udp 547"]),
        "neighbours": packets.services(["icmpv6 130-133", "icmpv6 135-136", "icmpv6 143"]),
    },
    ("ingress", 6): {
        "dhcpv6": packets.services(["udp 546"]),
        "neighbours": packets.services(["icmpv6 130", "icmpv6 134-136"]),
    },
}
"""What the source lets pass at every port, whatever its groups say: without it no machine has an address."""


def source_services(rule: model.SourceRule) -> Ranges:
    """What a rule of a security group lets pass."""
    if rule.protocol in packets.WITH_PORTS or rule.protocol in (packets.ICMP, packets.ICMPV6):
        return packets.service(rule.protocol, rule.first, rule.last)
    return packets.service(rule.protocol)


def members(firewall: model.SourceFirewall) -> dict[str, Ranges]:
    """The addresses that a rule means which names a group: those of all its ports, pairs among them."""
    found: dict[str, list[packets.Span]] = {group.id: [] for group in firewall.groups}
    for port in firewall.ports:
        spans = packets.all_addresses([*port.addresses, *port.forwards]).spans
        for group in port.groups:
            found.setdefault(group, []).extend(spans)
    return {group: Ranges.of(spans) for group, spans in found.items()}


def profile_services(profile: model.PortProfile, version: int) -> Ranges:
    """What a port profile means for packets of IPv4 or IPv6. ValueError where a port is none."""
    numbers: Mapping[str, tuple[int, tuple[int, ...]]] = {
        "TCP": (packets.TCP, (4, 6)),
        "UDP": (packets.UDP, (4, 6)),
        "ICMPv4": (packets.ICMP, (4,)),
        "ICMPv6": (packets.ICMPV6, (6,)),
    }
    spans: list[packets.Span] = []
    for entry in profile.entries:
        number, versions = numbers[entry.protocol]
        if version not in versions:
            continue
        if not entry.ports or number in (packets.ICMP, packets.ICMPV6):
            spans += packets.service(number).spans
            continue
        for text in entry.ports:
            first, dash, last = text.partition("-")
            low, high = int(first), int(last if dash else first)
            if not 0 <= low <= high <= 65535:
                raise ValueError(f"port profile {profile.name}: {text!r} are no ports")
            spans += packets.service(number, low, high).spans
    return Ranges.of(spans)


# --- rules as numbers


@dataclass(frozen=True)
class _Set:
    """A set of addresses by its number; None: anybody."""

    number: int | None

    def holds(self, signature: int) -> bool:
        return self.number is None or bool(signature >> self.number & 1)


@dataclass(frozen=True)
class _SourceRule:
    rule: model.SourceRule
    group: model.SourceGroup
    remote: _Set
    mask: int


@dataclass(frozen=True)
class _TargetRule:
    rule: model.FirewallRule
    sources: _Set
    destinations: _Set
    masks: dict[int, int]
    unsure: bool
    """Whether it may fit less than it says here: a group, profile or application is not known."""


@dataclass(frozen=True)
class _Wall:
    """Rules of one firewall for one direction."""

    rules: tuple[_TargetRule, ...]
    passes: bool
    """What becomes of the rest."""


@dataclass(frozen=True)
class _Piece:
    """Addresses that all rules treat alike."""

    low: int
    high: int
    signature: int
    ports: tuple[int, ...]

    @property
    def family(self) -> int:
        return packets.family(self.low)


@dataclass(frozen=True)
class _Hop:
    """What passes at a card, in bits of services: at the source, at the target surely, at the target perhaps."""

    source: int
    surely: int
    perhaps: int

    def __and__(self, other: _Hop) -> _Hop:
        return _Hop(self.source & other.source, self.surely & other.surely, self.perhaps & other.perhaps)

    @property
    def differs(self) -> int:
        return (self.source ^ self.surely) | (self.source ^ self.perhaps)


@dataclass(frozen=True)
class _Agreed:
    """A deviation that somebody agreed to."""

    deviation: model.Deviation
    sources: _Set
    destinations: _Set
    mask: int


@dataclass
class _Local:
    """A card and one piece of its addresses, in one direction."""

    port: int
    piece: _Piece
    outward: bool
    source: tuple[_SourceRule, ...]
    wall: _Wall | None
    edge: _Wall | None
    agreed: tuple[_Agreed, ...]
    blind: str
    """Why the edge's firewall may not see this address: how a translation of addresses lets it match."""
    explained: int = 0


class _Comparison:
    def __init__(
        self,
        source: model.SourceFirewall,
        target: model.TargetFirewall,
        accepted: Sequence[model.Deviation],
        limit: int,
    ) -> None:
        self.source = source
        self.target = target
        self.accepted = accepted
        self.limit = limit
        self.numbers: dict[Ranges, int] = {}
        self.sets: list[Ranges] = []
        self.cuts: set[int] = {0, 256 << 16}
        self.met: set[str] = set()
        self.found: dict[tuple[object, ...], Difference] = {}
        self.extents: dict[tuple[object, ...], dict[tuple[packets.Span, packets.Span], int]] = {}
        self.truncated = False
        self.full = False
        self.explained = 0
        self.ports = [port for port in source.ports if port.workload]
        self.members = members(source)
        self._services()
        self._rules()
        self._pieces()

    # preparation

    def _intern(self, ranges: Ranges) -> _Set:
        if ranges == packets.ANYBODY:
            return _Set(None)
        if ranges not in self.numbers:
            self.numbers[ranges] = len(self.sets)
            self.sets.append(ranges)
        return _Set(self.numbers[ranges])

    def _services(self) -> None:
        """Cut the line of services wherever any rule does."""
        wanted = {source_services(rule) for group in self.source.groups for rule in group.rules}
        wanted |= {services for known in BUILT_IN.values() for services in known.values()}
        self.profiles: dict[str, dict[int, Ranges] | None] = {}
        for profile in self.target.profiles:
            try:
                meaning = {version: profile_services(profile, version) for version in (4, 6)}
            except ValueError:
                meaning = {}
            self.profiles[profile.ref] = meaning if profile.known and meaning else None
            wanted |= set(meaning.values())
        self.agreed = [(one, packets.services(one.services)) for one in self.accepted]
        wanted |= {services for _one, services in self.agreed}
        self.cuts |= {cut for services in wanted for low, high in services.spans for cut in (low, high + 1)}
        self.starts = sorted(self.cuts)[:-1]
        self.place = {cut: number for number, cut in enumerate(sorted(self.cuts))}
        self.all_services = (1 << len(self.starts)) - 1

    def _mask(self, services: Ranges) -> int:
        mask = 0
        for low, high in services.spans:
            first, last = self.place[low], self.place[high + 1]
            mask |= ((1 << (last - first)) - 1) << first
        return mask

    def _rules(self) -> None:
        self.built_in = {
            (side == "egress", version): self._mask(Ranges.of(span for each in known.values() for span in each.spans))
            for (side, version), known in BUILT_IN.items()
        }
        self.by_group: dict[str, dict[tuple[bool, int], list[_SourceRule]]] = {}
        for group in self.source.groups:
            rules = self.by_group.setdefault(group.id, {})
            for rule in group.rules:
                whole = packets.FAMILIES[rule.family]
                if rule.remote_group:
                    remote = self._intern(self.members.get(rule.remote_group, packets.NOTHING) & whole)
                else:
                    remote = self._intern(packets.addresses(rule.remote) & whole) if rule.remote else _Set(None)
                compiled = _SourceRule(rule, group, remote, self._mask(source_services(rule)))
                rules.setdefault((rule.side == "egress", rule.family), []).append(compiled)
        self.groups: dict[str, Ranges | None] = {}
        for addresses in self.target.groups:
            try:
                ranges = packets.all_addresses(addresses.addresses)
            except ValueError:
                self.groups[addresses.ref] = None
            else:
                self.groups[addresses.ref] = ranges if addresses.known else None
        distributed, edge = self.target.distributed, self.target.edge
        self.distributed = self._compile(distributed.rules) if distributed and distributed.enabled else None
        self.edge = self._compile(edge.rules) if edge and edge.enabled else None
        self.inside = self._intern(packets.all_addresses(edge.inside)) if edge else _Set(None)
        self.bypassed, self.elsewhere = self._nat("BYPASS"), self._nat("MATCH_EXTERNAL_ADDRESS")
        self.deviations = [
            _Agreed(
                one,
                self._intern(packets.all_addresses(one.sources)) if one.sources else _Set(None),
                self._intern(packets.all_addresses(one.destinations)) if one.destinations else _Set(None),
                self._mask(services),
            )
            for one, services in self.agreed
        ]

    def _nat(self, match: model.FirewallMatch) -> _Set:
        """The inner addresses of translations behind which the edge's firewall does not see them."""
        found = packets.NOTHING
        for rule in self.target.nat:
            if rule.enabled and rule.firewall_match == match:
                try:
                    found |= packets.addresses(rule.internal) if rule.internal else packets.ANYBODY
                except ValueError:
                    found = packets.ANYBODY
        return self._intern(found)

    def _compile(self, rules: Iterable[model.FirewallRule]) -> list[_TargetRule]:
        compiled = []
        for rule in rules:
            if not rule.enabled:
                continue
            sources, sure = self._end(rule.sources, rule.sources_excluded)
            destinations, sure_too = self._end(rule.destinations, rule.destinations_excluded)
            unsure = not (sure and sure_too) or bool(rule.context_profiles)
            masks = {}
            for version, word in ((4, "IPV4"), (6, "IPV6")):
                services = packets.NOTHING if rule.profiles else packets.ANY_SERVICE
                for ref in rule.profiles:
                    meaning = self.profiles.get(ref)
                    if meaning is None:
                        unsure = True
                        services = packets.ANY_SERVICE
                    else:
                        services |= meaning[version]
                masks[version] = self._mask(services) if rule.ip_protocol in (word, "IPV4_IPV6") else 0
            compiled.append(_TargetRule(rule, sources, destinations, masks, unsure))
        return compiled

    def _end(self, refs: Sequence[str], excluded: bool) -> tuple[_Set, bool]:
        """One end of a rule, and whether that is known for sure; where it is not, it may be anybody."""
        if not refs:
            return _Set(None), True
        known = [self.groups.get(ref) for ref in refs]
        if any(ranges is None for ranges in known):
            return _Set(None), False
        together = Ranges.of(span for ranges in known if ranges for span in ranges.spans)
        return self._intern(packets.ANYBODY - together if excluded else together), True

    def _pieces(self) -> None:
        """Cut the line of addresses wherever any set does."""
        own = [packets.all_addresses(port.addresses) for port in self.ports]
        starts: dict[int, int] = {span[0]: 0 for span in packets.ANYBODY.spans}
        starts[packets.V6] = 0
        toggles = starts  # number whose bits change at this place
        for number, ranges in enumerate(self.sets):
            for low, high in ranges.spans:
                toggles[low] = toggles.get(low, 0) ^ (1 << number)
                toggles[high + 1] = toggles.get(high + 1, 0) ^ (1 << number)
        arrivals: dict[int, list[int]] = {}
        leavings: dict[int, list[int]] = {}
        for number, ranges in enumerate(own):
            for low, high in ranges.spans:
                arrivals.setdefault(low, []).append(number)
                leavings.setdefault(high + 1, []).append(number)
                toggles.setdefault(low, 0)
                toggles.setdefault(high + 1, 0)
        end = packets.ANY6.spans[0][1] + 1
        line = sorted(place for place in toggles if place < end)
        signature = 0
        here: set[int] = set()
        self.pieces: list[_Piece] = []
        for place, low in enumerate(line):
            signature ^= toggles[low]
            here -= set(leavings.get(low, ()))
            here |= set(arrivals.get(low, ()))
            high = (line[place + 1] if place + 1 < len(line) else end) - 1
            self.pieces.append(_Piece(low, high, signature, tuple(sorted(here))))
        self.of_port: list[list[_Piece]] = [[] for _port in self.ports]
        self.by_signature: dict[int, dict[int, list[_Piece]]] = {4: {}, 6: {}}
        for piece in self.pieces:
            for number in piece.ports:
                self.of_port[number].append(piece)
            self.by_signature[piece.family].setdefault(piece.signature, []).append(piece)

    # hops

    def _local(self, port: int, piece: _Piece, outward: bool) -> _Local:
        version = piece.family
        rules = tuple(
            rule
            for group in self.ports[port].groups
            for rule in self.by_group.get(group, {}).get((outward, version), ())
        )
        wall = edge = None
        word = "OUT" if outward else "IN"
        if self.distributed is not None:
            default = self.target.distributed is not None and self.target.distributed.default_action == "ALLOW"
            wall = _Wall(self._fitting(self.distributed, piece, outward, word), default)
        if self.edge is not None and self.inside.holds(piece.signature):
            default = self.target.edge is not None and self.target.edge.default_action == "ALLOW"
            edge = _Wall(self._fitting(self.edge, piece, outward, word), default)
        blind = ""
        if edge is not None and self.elsewhere.holds(piece.signature):
            blind = "MATCH_EXTERNAL_ADDRESS"
        elif edge is not None and self.bypassed.holds(piece.signature):
            blind = "BYPASS"
        agreed = tuple(
            one
            for one in self.deviations
            if one.deviation.family == version and (one.sources if outward else one.destinations).holds(piece.signature)
        )
        return _Local(port, piece, outward, rules, wall, edge, agreed, blind)

    @staticmethod
    def _fitting(rules: Sequence[_TargetRule], piece: _Piece, outward: bool, word: str) -> tuple[_TargetRule, ...]:
        version, signature = piece.family, piece.signature
        return tuple(
            rule
            for rule in rules
            if rule.masks[version]
            and rule.rule.direction in (word, "IN_OUT")
            and (rule.sources if outward else rule.destinations).holds(signature)
        )

    def _wall(self, wall: _Wall, remote: int, version: int, outward: bool) -> tuple[int, int]:
        """(what surely passes, what passes perhaps) of a firewall towards a remote place."""
        left = self.all_services
        passes = may_pass = may_not = 0
        for rule in wall.rules:
            if not (rule.destinations if outward else rule.sources).holds(remote):
                continue
            hit = rule.masks[version] & left
            allow = rule.rule.action == "ALLOW"
            if rule.unsure:
                if allow:
                    may_pass |= hit
                else:
                    may_not |= hit
                continue
            if allow:
                passes |= hit
            left &= ~hit
            if not left:
                break
        if wall.passes:
            passes |= left
        return passes & ~may_not, passes | may_pass

    def _hop(self, local: _Local, remote: int) -> _Hop:
        version = local.piece.family
        if self.ports[local.port].filtered:
            source = self.built_in[local.outward, version]
            for rule in local.source:
                if rule.remote.holds(remote):
                    source |= rule.mask
        else:
            source = self.all_services
        surely = perhaps = self.all_services
        if local.wall is not None:
            surely, perhaps = self._wall(local.wall, remote, version, local.outward)
        if local.edge is not None and not self.inside.holds(remote):
            more, most = self._wall(local.edge, remote, version, local.outward)
            if local.blind:
                more, most = (more if local.blind == "BYPASS" else 0), self.all_services
            # DHCP and its like stay behind the edge: whether it would let them pass is no question
            free = self.built_in[local.outward, version]
            surely, perhaps = surely & (more | free), perhaps & (most | free)
        return _Hop(source, surely, perhaps)

    def _key(self, local: _Local) -> tuple[object, ...]:
        """Cards with the same key have the same hops."""
        walls = tuple(
            tuple(id(rule) for rule in wall.rules) if wall is not None else None for wall in (local.wall, local.edge)
        )
        return (
            local.outward,
            local.piece.family,
            self.ports[local.port].filtered,
            tuple(sorted({id(rule) for rule in local.source})),
            walls,
            tuple(id(one) for one in local.agreed),
            local.blind,
        )

    def _relevant(self, local: _Local) -> int:
        """Bits of the sets on which the hops of this card depend."""
        bits = 0
        for rule in local.source:
            if rule.remote.number is not None:
                bits |= 1 << rule.remote.number
        for one in local.agreed:
            number = (one.destinations if local.outward else one.sources).number
            if number is not None:
                bits |= 1 << number
        for wall in (local.wall, local.edge):
            for known in wall.rules if wall is not None else ():
                number = (known.destinations if local.outward else known.sources).number
                if number is not None:
                    bits |= 1 << number
        if local.edge is not None and self.inside.number is not None:
            bits |= 1 << self.inside.number
        return bits

    # comparison

    def run(self) -> Verdict:
        memo: dict[tuple[object, ...], list[int]] = {}
        for number in range(len(self.ports)):
            for piece in self.of_port[number]:
                for outward in (True, False):
                    local = self._local(number, piece, outward)
                    key = self._key(local)
                    if key not in memo:
                        memo[key] = list(self._differing(local))
                    cells = (remote for signature in memo[key] for remote in self.by_signature[piece.family][signature])
                    for remote in cells:
                        self._flows(local, remote)
                        if self.full or self.explained >= MAX_EXPLAINED:
                            self.truncated = True
                            return self._verdict()
                        if local.explained >= MAX_OF_A_CARD:
                            break
        return self._verdict()

    def _differing(self, local: _Local) -> Iterator[int]:
        """Signatures of the places for which the two sides differ at this hop."""
        relevant = self._relevant(local)
        known: dict[int, bool] = {}
        for signature in self.by_signature[local.piece.family]:
            part = signature & relevant
            if part not in known:
                hop = self._hop(local, part)
                # what somebody agreed to at this hop, the whole flow cannot treat otherwise: its ends are the same
                known[part] = bool(hop.differs and hop.differs & ~self._agreed_to(local, part, hop))
            if known[part]:
                yield signature

    def _agreed_to(self, local: _Local, remote: int, hop: _Hop) -> int:
        """Bits of what differs here and is covered by a deviation."""
        covered = 0
        for one in local.agreed:
            if (one.destinations if local.outward else one.sources).holds(remote):
                mask = one.mask & hop.differs & (hop.source if one.deviation.effect == "narrower" else ~hop.source)
                if mask:
                    self.met.add(one.deviation.id)
                    covered |= mask
        return covered

    def _flows(self, local: _Local, remote: _Piece) -> None:
        """The whole flows between a card and a place where its hop differs."""
        hop = self._hop(local, remote.signature)
        if not remote.ports:
            self._judge(local, None, remote, hop)
        for number in remote.ports:
            if number != local.port:
                other = self._local(number, remote, not local.outward)
                self._judge(local, other, remote, hop & self._hop(other, local.piece.signature))

    def _judge(self, local: _Local, other: _Local | None, remote: _Piece, flow: _Hop) -> None:
        differs = flow.differs
        if not differs:
            return
        sender, receiver = (local.piece, remote) if local.outward else (remote, local.piece)
        differs &= ~self._agreed_to(local, remote.signature, flow)
        seen: dict[tuple[object, ...], int] = {}
        while differs:
            if local.explained >= MAX_OF_A_CARD or self.explained >= MAX_EXPLAINED:
                self.truncated = True
                break
            local.explained += 1
            self.explained += 1
            bit = (differs & -differs).bit_length() - 1
            differs &= differs - 1
            found = self._explain(local, other, remote, flow, bit)
            key: tuple[object, ...] = (
                found.source_passes,
                found.target_passes,
                found.source_rule,
                found.target_rule,
                found.where,
            )
            if key not in self.found:
                if len(self.found) >= self.limit:
                    self.truncated = self.full = True
                    return
                self.found[key] = found
            seen[key] = seen.get(key, 0) | 1 << bit
        place = ((sender.low, sender.high), (receiver.low, receiver.high))
        for which, bits in seen.items():
            extent = self.extents.setdefault(which, {})
            extent[place] = extent.get(place, 0) | bits

    def _extent(self, key: tuple[object, ...]) -> Packets:
        boxes = (
            Box(Ranges((sender,)), Ranges((receiver,)), self._spans(bits))
            for (sender, receiver), bits in self.extents.get(key, {}).items()
        )
        return Packets(tuple(boxes)).joined()

    def _spans(self, bits: int) -> Ranges:
        ends = [*self.starts[1:], 256 << 16]
        found = []
        while bits:
            bit = (bits & -bits).bit_length() - 1
            bits &= bits - 1
            found.append((self.starts[bit], ends[bit] - 1))
        return Ranges.of(found)

    def _explain(self, local: _Local, other: _Local | None, remote: _Piece, flow: _Hop, bit: int) -> Difference:
        """A packet, and the two rules that treat it differently."""
        sender, receiver = (local.piece, remote) if local.outward else (remote, local.piece)
        source_passes = bool(flow.source >> bit & 1)
        surely, perhaps = bool(flow.surely >> bit & 1), bool(flow.perhaps >> bit & 1)
        target_passes = surely if surely == perhaps else None
        hops = [(local, remote.signature)] + ([(other, local.piece.signature)] if other is not None else [])
        # the hop that stops it on the side where it is stopped
        hop, far = hops[0]
        for candidate, signature in hops:
            one = self._hop(candidate, signature)
            passed = one.surely if source_passes else one.source
            if not passed >> bit & 1:
                hop, far = candidate, signature
                break
        where: Where = "sender" if hop.outward else "receiver"
        source_rule, source_text = self._source_says(hop, far, bit)
        decided = self._target_says(hop.wall, far, hop, bit, "the distributed firewall")
        passes, target_rule, target_text = decided
        free = self.built_in[hop.outward, hop.piece.family] >> bit & 1
        if hop.edge is not None and not free and not self.inside.holds(far) and (passes or not source_passes):
            edge = self._target_says(hop.edge, far, hop, bit, "the edge's firewall")
            if hop.blind and target_passes is None:
                edge = False, "", f"a NAT rule with {hop.blind} hides the addresses from the edge's firewall"
            if source_passes or target_passes is None:
                where, (passes, target_rule, target_text) = "edge", edge
        packet = Packet.at(
            _first(sender, receiver),
            _first(receiver, sender),
            self.starts[bit],
        )
        return Difference(
            packet=packet,
            source_passes=source_passes,
            target_passes=target_passes,
            where=where,
            workload=self.ports[hop.port].id,
            source_rule=source_rule,
            source_text=source_text,
            target_rule=target_rule,
            target_text=target_text,
        )

    def _source_says(self, hop: _Local, remote: int, bit: int) -> tuple[str, str]:
        port = self.ports[hop.port]
        if not port.filtered:
            return "", f"port security of port {port.id} is off"
        for rule in hop.source:
            if rule.remote.holds(remote) and rule.mask >> bit & 1:
                return rule.rule.id, f"{rule.rule.side} rule {rule.rule.id} of group {rule.group.name or rule.group.id}"
        if self.built_in[hop.outward, hop.piece.family] >> bit & 1:
            return "", "DHCP and neighbour discovery pass by themselves"
        side = "egress" if hop.outward else "ingress"
        return "", f"no {side} rule of the groups of port {port.id} lets it pass"

    def _target_says(self, wall: _Wall | None, remote: int, hop: _Local, bit: int, title: str) -> tuple[bool, str, str]:
        """(whether it passes, name of the rule that decides, in words)."""
        if wall is None:
            return True, "", f"{title} is not there or off"
        doubt = ""
        for rule in wall.rules:
            fits = (rule.destinations if hop.outward else rule.sources).holds(remote)
            if not fits or not rule.masks[hop.piece.family] >> bit & 1:
                continue
            if rule.unsure:
                doubt = doubt or rule.rule.name
                continue
            if doubt:
                break
            allow = rule.rule.action == "ALLOW"
            return allow, rule.rule.name, f"rule {rule.rule.name} of {title}: {rule.rule.action}"
        if doubt:
            return False, doubt, f"rule {doubt} of {title}: what it is about is not known"
        return wall.passes, "", f"default of {title}: {'ALLOW' if wall.passes else 'DROP'}"

    def _verdict(self) -> Verdict:
        differences = [replace(found, extent=self._extent(key)) for key, found in self.found.items()]
        return Verdict(
            equal=not differences,
            differences=differences,
            truncated=self.truncated,
            accepted=sorted(self.met),
            ports=len(self.ports),
            places=len(self.pieces),
            services=len(self.starts),
        )


def _first(piece: _Piece, other: _Piece) -> int:
    """An address of the piece, not that of the other where there is a choice."""
    return piece.low + 1 if piece is other and piece.high > piece.low else piece.low
