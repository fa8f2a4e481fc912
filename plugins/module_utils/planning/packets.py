# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of packets, exactly: who sends × who receives × what, as boxes on three lines of whole numbers.

- Addresses are one line: all IPv4 addresses first, then all of IPv6.
- Services are one line: protocol * 65536 + destination port, or + type * 256 + code for ICMP. Source ports are always
  free on both sides, so they are no part of it.

Only the first packet of a flow is meant: both sides are stateful, and answers pass with it.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

V6 = 1 << 32
"""Where IPv6 begins on the line of addresses."""
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
WITH_PORTS = frozenset({6, 17, 33, 132, 136})
"""tcp, udp, dccp, sctp, udplite."""
PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "icmpv6": 58, "igmp": 2, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43,
    "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
"""Numbers of the protocols that Neutron has names for."""
_SHOWN = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmpv6", 132: "sctp", 33: "dccp", 136: "udplite"}
_SERVICE = re.compile(r"^([a-z0-9-]+)(?: (\d+)(?:/(\d+))?(?:-(\d+)(?:/(\d+))?)?)?\Z")

Span = tuple[int, int]


@dataclass(frozen=True)
class Ranges:
    """A set of whole numbers: spans with both ends, in order, that neither overlap nor touch."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Ranges:
        """Any spans, in any order."""
        joined: list[Span] = []
        for low, high in sorted(spans):
            if joined and low <= joined[-1][1] + 1:
                if high > joined[-1][1]:
                    joined[-1] = (joined[-1][0], high)
            else:
                joined.append((low, high))
        return cls(tuple(joined))

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self.spans, (number, 1 << 200)) - 1
        return place >= 0 and number <= self.spans[place][1]

    def __or__(self, other: Ranges) -> Ranges:
        return Ranges.of(self.spans + other.spans)

    def __and__(self, other: Ranges) -> Ranges:
        found: list[Span] = []
        mine, theirs = self.spans, other.spans
        i = j = 0
        while i < len(mine) and j < len(theirs):
            low = max(mine[i][0], theirs[j][0])
            high = min(mine[i][1], theirs[j][1])
            if low <= high:
                found.append((low, high))
            if mine[i][1] < theirs[j][1]:
                i += 1
            else:
                j += 1
        return Ranges(tuple(found))

    def __sub__(self, other: Ranges) -> Ranges:
        found: list[Span] = []
        theirs = other.spans
        j = 0
        for low, high in self.spans:
            while j < len(theirs) and theirs[j][1] < low:
                j += 1
            k = j
            while k < len(theirs) and theirs[k][0] <= high:
                if theirs[k][0] > low:
                    found.append((low, theirs[k][0] - 1))
                low = theirs[k][1] + 1
                k += 1
            if low <= high:
                found.append((low, high))
        return Ranges(tuple(found))

    def __le__(self, other: Ranges) -> bool:
        return not self - other

    def size(self) -> int:
        """How many numbers."""
        return sum(high - low + 1 for low, high in self.spans)


NOTHING = Ranges()
ANY4 = Ranges(((0, V6 - 1),))
ANY6 = Ranges(((V6, V6 + (1 << 128) - 1),))
ANYBODY = ANY4 | ANY6
ANY_SERVICE = Ranges(((0, (256 << 16) - 1),))
FAMILIES = {4: ANY4, 6: ANY6}


# --- addresses


@functools.lru_cache(maxsize=1 << 16)
def _address(text: str) -> int:
    address = ipaddress.ip_address(text)
    return int(address) + (V6 if address.version == 6 else 0)


@functools.lru_cache(maxsize=1 << 16)
def addresses(text: str) -> Ranges:
    """`10.0.0.1`, `10.0.0.0/8` or `10.0.0.1-10.0.0.9` (IPv6 alike) on the line of addresses. ValueError for others."""
    text = text.strip()
    if "/" in text:
        network = ipaddress.ip_network(text, strict=False)
        low = int(network.network_address) + (V6 if network.version == 6 else 0)
        return Ranges(((low, low + network.num_addresses - 1),))
    first, dash, last = text.partition("-")
    low = _address(first.strip())
    high = _address(last.strip()) if dash else low
    if high < low or (low < V6) != (high < V6):
        raise ValueError(f"{text!r} is no range of addresses")
    return Ranges(((low, high),))


def all_addresses(texts: Iterable[str]) -> Ranges:
    """All of them together."""
    return Ranges.of(span for text in texts for span in addresses(text).spans)


def family(address: int) -> int:
    """4 or 6."""
    return 4 if address < V6 else 6


def address_text(address: int) -> str:
    """An address of the line as people write it."""
    return str(ipaddress.IPv4Address(address) if address < V6 else ipaddress.IPv6Address(address - V6))


def address_texts(ranges: Ranges) -> list[str]:
    """The set in the fewest words: addresses, networks, ranges; each family on its own."""
    texts = []
    for each in (ranges & ANY4, ranges & ANY6):
        for low, high in each.spans:
            size = high - low + 1
            if size == 1:
                texts.append(address_text(low))
            elif size & (size - 1) == 0 and (low if low < V6 else low - V6) % size == 0:
                bits = (32 if low < V6 else 128) - (size.bit_length() - 1)
                texts.append(f"{address_text(low)}/{bits}")
            else:
                texts.append(f"{address_text(low)}-{address_text(high)}")
    return texts


# --- services


def service(protocol: int | None, first: int = 0, last: int = 65535) -> Ranges:
    """Packets of a protocol (None: of all) on the line of services."""
    if protocol is None:
        return ANY_SERVICE
    return Ranges(((protocol << 16 | first, protocol << 16 | last),))


def _icmp_text(first: int, last: int) -> str:
    if first % 256 == 0 and last % 256 == 255:
        return str(first >> 8) if first >> 8 == last >> 8 else f"{first >> 8}-{last >> 8}"
    low, high = f"{first >> 8}/{first & 255}", f"{last >> 8}/{last & 255}"
    return low if low == high else f"{low}-{high}"


def service_texts(ranges: Ranges) -> list[str]:
    """`any`, `tcp 22`, `udp 1000-2000`, `icmp 8` (all codes), `icmp 3/4`, `47`, `47-50`."""
    if ranges == ANY_SERVICE:
        return ["any"]
    texts: list[str] = []
    for low, high in ranges.spans:
        unnamed: list[int] = []
        for protocol in range(low >> 16, (high >> 16) + 1):
            first = max(low, protocol << 16) & 0xFFFF
            last = min(high, protocol << 16 | 0xFFFF) & 0xFFFF
            whole = (first, last) == (0, 0xFFFF)
            if whole and protocol not in _SHOWN:
                unnamed.append(protocol)
                continue
            texts += _numbers(unnamed)
            unnamed = []
            name = _SHOWN.get(protocol, str(protocol))
            if whole:
                texts.append(name)
            elif protocol in (ICMP, ICMPV6):
                texts.append(f"{name} {_icmp_text(first, last)}")
            else:
                texts.append(f"{name} {first}" if first == last else f"{name} {first}-{last}")
        texts += _numbers(unnamed)
    return texts


def _numbers(protocols: Sequence[int]) -> list[str]:
    if not protocols:
        return []
    return [str(protocols[0]) if len(protocols) == 1 else f"{protocols[0]}-{protocols[-1]}"]


def services(texts: Iterable[str]) -> Ranges:
    """What `service_texts` wrote, on the line of services. ValueError for others."""
    return Ranges.of(span for text in texts for span in _service(text).spans)


def _service(text: str) -> Ranges:
    if text == "any":
        return ANY_SERVICE
    first_number, dash, last_number = text.partition("-")
    if dash and first_number.isdecimal() and last_number.isdecimal() and int(first_number) <= int(last_number) < 256:
        return Ranges(((int(first_number) << 16, int(last_number) << 16 | 0xFFFF),))
    found = _SERVICE.match(text)
    if not found:
        raise ValueError(f"{text!r} is no service")
    name, first, first_code, last, last_code = found.groups()
    protocol = PROTOCOLS[name] if name in PROTOCOLS else int(name) if name.isdecimal() else 256
    if protocol > 255:
        raise ValueError(f"{text!r} is no service: no such protocol")
    if first is None:
        return service(protocol)
    if protocol in (ICMP, ICMPV6):
        low = int(first) << 8 | int(first_code or 0)
        high_type, high_code = (last, last_code) if last is not None else (first, first_code)
        high = int(high_type) << 8 | int(high_code if high_code is not None else 255)
    else:
        low, high = int(first), int(last or first)
    if not 0 <= low <= high <= 0xFFFF:
        raise ValueError(f"{text!r} is no service")
    return service(protocol, low, high)


# --- packets


@dataclass(frozen=True)
class Packet:
    """The first packet of a flow."""

    source: str
    destination: str
    protocol: int
    value: int = 0
    """Destination port, or type * 256 + code for ICMP; 0 for protocols without ports."""

    @classmethod
    def at(cls, source: int, destination: int, what: int) -> Packet:
        """The packet at a point of the three lines."""
        protocol, value = what >> 16, what & 0xFFFF
        if protocol not in WITH_PORTS and protocol not in (ICMP, ICMPV6):
            value = 0
        return cls(address_text(source), address_text(destination), protocol, value)

    def point(self) -> tuple[int, int, int]:
        """Where it is on the three lines."""
        return _address(self.source), _address(self.destination), self.protocol << 16 | self.value

    def __str__(self) -> str:
        if self.protocol in (ICMP, ICMPV6):
            what = f"{_SHOWN[self.protocol]} type {self.value >> 8} code {self.value & 255}"
        elif self.protocol in WITH_PORTS:
            what = f"{_SHOWN[self.protocol]} {self.value}"
        else:
            what = f"protocol {self.protocol}"
        return f"{self.source} → {self.destination} {what}"


@dataclass(frozen=True)
class Box:
    """All packets from some to some of some services."""

    sources: Ranges
    destinations: Ranges
    services: Ranges

    def __bool__(self) -> bool:
        return bool(self.sources and self.destinations and self.services)

    def __str__(self) -> str:
        """In words: `10.0.0.0/8 → 10.1.0.1 tcp 22`; `any` for all addresses of the family."""

        def end(ranges: Ranges) -> str:
            return "any" if ranges in (ANY4, ANY6) else ", ".join(address_texts(ranges))

        return f"{end(self.sources)} → {end(self.destinations)} {', '.join(service_texts(self.services))}"

    def __and__(self, other: Box) -> Box:
        return Box(self.sources & other.sources, self.destinations & other.destinations, self.services & other.services)

    def minus(self, other: Box) -> Iterator[Box]:
        """What is left, as boxes that do not overlap."""
        sources, destinations = self.sources & other.sources, self.destinations & other.destinations
        parts = (
            Box(self.sources - other.sources, self.destinations, self.services),
            Box(sources, self.destinations - other.destinations, self.services),
            Box(sources, destinations, self.services - other.services),
        )
        return (part for part in parts if part)


@dataclass(frozen=True)
class Packets:
    """A set of packets: boxes that do not overlap. No box joins two families."""

    boxes: tuple[Box, ...] = ()

    @classmethod
    def of(cls, sources: Ranges = ANYBODY, destinations: Ranges = ANYBODY, what: Ranges = ANY_SERVICE) -> Packets:
        """All packets from some to some of some services."""
        boxes = (Box(sources & each, destinations & each, what) for each in (ANY4, ANY6))
        return cls(tuple(box for box in boxes if box))

    def __bool__(self) -> bool:
        return bool(self.boxes)

    def __contains__(self, packet: Packet) -> bool:
        source, destination, what = packet.point()
        return any(
            source in box.sources and destination in box.destinations and what in box.services for box in self.boxes
        )

    def __and__(self, other: Packets) -> Packets:
        return Packets(tuple(box for a in self.boxes for b in other.boxes if (box := a & b)))

    def __sub__(self, other: Packets) -> Packets:
        left = list(self.boxes)
        for taken in other.boxes:
            left = [part for box in left for part in (box.minus(taken) if box & taken else (box,))]
        return Packets(tuple(left))

    def __or__(self, other: Packets) -> Packets:
        return Packets(self.boxes + (other - self).boxes)

    def __le__(self, other: Packets) -> bool:
        return not self - other

    def same(self, other: Packets) -> bool:
        """Whether both hold the same packets, however they are cut into boxes."""
        return self <= other and other <= self

    def joined(self) -> Packets:
        """The same packets in fewer boxes, where boxes differ in one line only; in the order of the lines."""
        boxes = list(self.boxes)
        for line in ("sources", "destinations", "services"):
            alike: dict[tuple[Ranges, ...], list[Box]] = {}
            for box in boxes:
                key = tuple(getattr(box, name) for name in ("sources", "destinations", "services") if name != line)
                alike.setdefault(key, []).append(box)
            boxes = [
                replace(same[0], **{line: Ranges.of(span for box in same for span in getattr(box, line).spans)})
                for same in alike.values()
            ]
        return Packets(tuple(sorted(boxes, key=lambda b: (b.sources.spans, b.destinations.spans, b.services.spans))))

    def witness(self) -> Packet | None:
        """A packet of the set: the first of the lines; None where it is empty."""
        points = [(b.sources.spans[0][0], b.destinations.spans[0][0], b.services.spans[0][0]) for b in self.boxes]
        return Packet.at(*min(points)) if points else None
