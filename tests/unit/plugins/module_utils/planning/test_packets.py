# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exact sets: the algebra against sets of Python, and the words against the numbers."""

from __future__ import annotations

import itertools
import random

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import packets as p
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.packets import Packet, Packets, Ranges


def some(rng: random.Random, most: int) -> Ranges:
    starts = (rng.randrange(most) for _n in range(rng.randint(0, 4)))
    return Ranges.of((low, min(most - 1, low + rng.randrange(4))) for low in starts)


def plain(ranges: Ranges) -> set[int]:
    return {number for low, high in ranges.spans for number in range(low, high + 1)}


def test_ranges_are_sets() -> None:
    rng = random.Random(1)
    for _case in range(2000):
        a, b = some(rng, 16), some(rng, 16)
        assert plain(a | b) == plain(a) | plain(b)
        assert plain(a & b) == plain(a) & plain(b)
        assert plain(a - b) == plain(a) - plain(b)
        assert (a <= b) == (plain(a) <= plain(b))
        assert bool(a) == bool(plain(a)) and a.size() == len(plain(a))
        assert {n for n in range(18) if n in a} == plain(a)
        joined = (a | b).spans
        assert all(high + 1 < low for (_low, high), (low, _high) in itertools.pairwise(joined)), "they touch"
        assert ((a | b) == (b | a)) and (a == b) == (plain(a) == plain(b))


def points(packets: Packets) -> set[tuple[int, int, int]]:
    found: set[tuple[int, int, int]] = set()
    for box in packets.boxes:
        new = set(itertools.product(plain(box.sources), plain(box.destinations), plain(box.services)))
        assert not new & found, "boxes overlap"
        found |= new
    return found


def test_packets_are_sets() -> None:
    rng = random.Random(2)

    def any_of() -> Packets:
        found = Packets()
        for _box in range(rng.randint(0, 3)):
            ports = Ranges(tuple((6 << 16 | low, 6 << 16 | high) for low, high in some(rng, 6).spans))
            found |= Packets.of(some(rng, 6), some(rng, 6), ports)
        return found

    for _case in range(500):
        a, b = any_of(), any_of()
        one, other = points(a), points(b)
        assert points(a | b) == one | other
        assert points(a & b) == one & other
        assert points(a - b) == one - other
        assert (a <= b) == (one <= other) and a.same(b) == (one == other) and bool(a) == bool(one)
        assert points(a.joined()) == one and len(a.joined().boxes) <= len(a.boxes)
        witness = a.witness()
        assert (witness is None) == (not one)
        assert witness is None or witness in a


def test_no_packet_joins_two_families() -> None:
    everything = Packets.of()
    assert len(everything.boxes) == 2
    assert Packet("10.0.0.1", "10.0.0.2", 6, 22) in everything
    assert Packet("fd00::1", "fd00::2", 6, 22) in everything
    assert Packet("10.0.0.1", "fd00::2", 6, 22) not in everything
    assert not Packets.of(p.ANY4, p.ANY6)
    assert not everything - Packets.of(what=p.services(["tcp"])) - Packets.of(what=p.ANY_SERVICE - p.services(["tcp"]))


@pytest.mark.parametrize(
    "text", ["10.0.0.1", "10.0.0.0/8", "10.0.0.1-10.0.0.9", "0.0.0.0/0", "fd00::1", "fd00::/64", "::/0", "::1-::3"]
)
def test_addresses_come_back(text: str) -> None:
    assert p.address_texts(p.addresses(text)) == [text]


@pytest.mark.parametrize("text", ["", "a", "10.0.0.0/33", "10.0.0.9-10.0.0.1", "10.0.0.1-fd00::1", "10.0.0.1-"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        p.addresses(text)


def test_addresses_in_few_words() -> None:
    assert p.address_texts(p.all_addresses(["10.0.0.1", "10.0.0.0", "10.0.0.2-10.0.0.3"])) == ["10.0.0.0/30"]
    assert p.address_texts(p.ANYBODY) == ["0.0.0.0/0", "::/0"]
    assert p.addresses("10.0.0.7/24") == p.addresses("10.0.0.0/24")


@pytest.mark.parametrize(
    "texts",
    [
        ["any"],
        ["tcp"],
        ["tcp 22"],
        ["tcp 1-65535"],
        ["tcp 22", "tcp 80-90", "udp 53"],
        ["icmp"],
        ["icmp 8"],
        ["icmp 3/4"],
        ["icmp 3-5"],
        ["icmp 3/4-5/0"],
        ["icmp", "tcp", "icmpv6 128"],
        ["47", "50"],
        ["47-50", "icmp", "0", "2-5", "tcp", "7-16"],
    ],
)
def test_services_come_back(texts: list[str]) -> None:
    ranges = p.services(texts)
    assert sorted(p.service_texts(ranges)) == sorted(texts)
    assert p.services(p.service_texts(ranges)) == ranges


def test_services_mean_what_they_say() -> None:
    assert p.services(["icmp 8"]) == p.service(1, 8 << 8, 8 << 8 | 255)
    assert p.services(["esp"]) == p.service(50)
    assert p.service(None) == p.ANY_SERVICE == p.services([str(number) for number in range(256)])
    for bad in ("tcp 70000", "tcp 9-8", "256", "", "tcp x", "50-47", "0-256", "nonsense"):
        with pytest.raises(ValueError):
            p.services([bad])


def test_a_packet_in_words() -> None:
    assert str(Packet("10.0.0.1", "10.0.0.2", 6, 22)) == "10.0.0.1 → 10.0.0.2 tcp 22"
    assert str(Packet("fd00::1", "fd00::2", 58, 128 << 8)) == "fd00::1 → fd00::2 icmpv6 type 128 code 0"
    assert str(Packets.of(p.ANY4, p.addresses("10.0.0.1"), p.services(["tcp 22", "udp"])).boxes[0]) == (
        "any → 10.0.0.1 tcp 22, udp"
    )
    assert str(Packet.at(1, 2, 47 << 16 | 7)) == "0.0.0.1 → 0.0.0.2 protocol 47"
