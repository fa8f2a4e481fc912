# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Equivalence of firewalls: compared with an oracle that asks every packet, on 10,000 random pairs of firewalls."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as m
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.equivalence import (
    Difference,
    Verdict,
    compare,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.firewall import translate
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.packets import Packet
from tests.unit.plugins.module_utils.planning.firewalls import Oracle, mutate, source_firewall, target_firewall

INSIDE = ["10.0.0.0/24", "fd00::/64"]
CASES = 2500
"""Of each of four kinds: 10,000 in all."""


def agree(source: m.SourceFirewall, target: m.TargetFirewall, seed: object) -> Verdict:
    """The checker and the oracle say the same, and every counterexample is true."""
    verdict = compare(source, target)
    oracle = Oracle(source, target)
    found = oracle.difference()
    assert verdict.equal == (found is None), f"{seed}: {found} {verdict.differences}"
    for one in verdict.differences:
        packet = one.packet
        assert oracle.differs(packet.source, packet.destination, packet.protocol, packet.value), f"{seed}: {one}"
        assert one.target_passes is (not one.source_passes)
        assert packet in one.extent
        for box in one.extent.boxes:
            other = Packet.at(box.sources.spans[-1][1], box.destinations.spans[-1][1], box.services.spans[-1][1])
            assert oracle.differs(other.source, other.destination, other.protocol, other.value), f"{seed}: {other}"
        rules = {rule.name for wall in (target.distributed, target.edge) if wall for rule in wall.rules}
        assert one.target_rule in rules | {""}
        assert bool(one.source_rule) <= one.source_passes or one.source_passes, f"{seed}: {one}"
    return verdict


def test_random_firewalls_are_judged_as_by_asking_every_packet() -> None:
    equal = 0
    for seed in range(CASES):
        rng = random.Random(seed)
        equal += agree(source_firewall(rng, plain=False), target_firewall(rng), seed).equal
    assert 0 < equal < CASES


def test_translations_are_equal() -> None:
    for seed in range(CASES):
        rng = random.Random(seed)
        source = source_firewall(rng)
        made = translate(source, prefix="cx", inside=INSIDE)
        assert {rule for one in made.deviations for rule in one.rules} <= {"neighbours"}
        verdict = agree(source, made.target, seed)
        assert verdict.equal or made.deviations, f"{seed}: {verdict.differences}"
        verdict = compare(source, made.target, accepted=made.deviations)
        assert verdict.equal, f"{seed}: {verdict.differences}"


def test_a_changed_translation_is_found() -> None:
    changed = 0
    for seed in range(CASES):
        rng = random.Random(seed)
        source = source_firewall(rng)
        target = mutate(rng, translate(source, prefix="cx", inside=INSIDE).target)
        changed += not agree(source, target, seed).equal
    assert changed > CASES / 4


def test_what_the_target_cannot_say_is_exactly_the_deviations() -> None:
    deviating = 0
    for seed in range(CASES):
        rng = random.Random(seed)
        source = source_firewall(rng, plain=False)
        made = translate(source, prefix="cx", inside=INSIDE, icmp=rng.choice(["wider", "narrower"]))
        shared = len({a for p in source.ports if p.workload for a in p.addresses}) < sum(
            len(p.addresses) for p in source.ports if p.workload
        )
        verdict = agree(source, made.target, seed)
        accepted = compare(source, made.target, accepted=made.deviations)
        if not shared:
            assert accepted.equal, f"{seed}: {accepted.differences}"
        deviating += not verdict.equal and accepted.equal
    assert deviating > CASES / 20


@pytest.mark.parametrize("place", range(4))
def test_each_accepted_deviation_covers_only_itself(place: int) -> None:
    source = m.SourceFirewall(
        groups=[
            m.SourceGroup(
                id=f"g{n}", rules=[m.SourceRule(id=f"r{n}", side="ingress", protocol=protocol, remote="8.8.8.0/24")]
            )
            for n, protocol in enumerate((47, 50, 51, 112))
        ],
        ports=[m.SourcePort(id=f"p{n}", addresses=[f"10.0.0.{n + 1}"], groups=[f"g{n}"]) for n in range(4)],
    )
    made = translate(source, prefix="cx")
    assert len(made.deviations) == 4
    assert compare(source, made.target, accepted=made.deviations).equal
    lacking = [one for n, one in enumerate(made.deviations) if n != place]
    verdict = compare(source, made.target, accepted=lacking)
    assert [one.source_rule for one in verdict.differences] == made.deviations[place].rules
    assert verdict.accepted == [one.id for one in lacking]


# --- every single change of a tenant's translation


def tiers(count: int = 8, each: int = 3) -> m.SourceFirewall:
    """Tiers in a row: each talks to the next one, and is seen by a network and by monitoring."""
    groups = []
    for n in range(count):
        reach = m.SourceRule(id=f"r{n}0", side="egress", protocol=6)
        web = m.SourceRule(id=f"r{n}1", side="ingress", protocol=6, first=80 + n, last=90 + n, remote=f"192.0.{n}.0/24")
        chain = m.SourceRule(
            id=f"r{n}2", side="ingress", protocol=6, first=5432, last=5432, remote_group=f"g{(n + 1) % count}"
        )
        ping = m.SourceRule(id=f"r{n}3", side="ingress", protocol=1, remote="198.51.100.7")
        groups.append(m.SourceGroup(id=f"g{n}", name=f"tier {n}", rules=[reach, web, chain, ping]))
    ports = [
        m.SourcePort(id=f"p{n}-{k}", addresses=[f"10.0.{n}.{2 * k + 10}"], groups=[f"g{n}"])
        for n in range(count)
        for k in range(each)
    ]
    return m.SourceFirewall(groups=groups, ports=ports)


def changes(target: m.TargetFirewall) -> Iterator[tuple[str, m.TargetFirewall]]:
    """Every change of one thing that makes a difference."""
    wall = target.distributed
    assert wall is not None
    for place, rule in enumerate(wall.rules):

        def put(*rules: m.FirewallRule, at: int = place, wall: m.Distributed = wall) -> m.TargetFirewall:
            new = [*wall.rules[:at], *rules, *wall.rules[at + 1 :]]
            return replace(target, distributed=replace(wall, rules=new))

        yield f"{rule.name} removed", put()
        yield f"{rule.name} off", put(replace(rule, enabled=False))
        yield f"{rule.name} turned over", put(replace(rule, action="ALLOW" if rule.action == "DROP" else "DROP"))
        yield f"{rule.name} about IPv6", put(replace(rule, ip_protocol="IPV6"))
        yield f"{rule.name} the other way", put(replace(rule, direction="IN" if rule.direction == "OUT" else "OUT"))
        if rule.profiles:
            yield f"{rule.name} about all services", put(replace(rule, profiles=[]))
        if rule.sources and rule.action == "ALLOW" and rule.direction == "IN":
            yield f"{rule.name} from anybody", put(replace(rule, sources=[]))
            yield f"{rule.name} from all others", put(replace(rule, sources_excluded=True))
    for place, group in enumerate(target.groups):
        for addresses in ([], group.addresses[1:], [*group.addresses, "10.0.0.99"]):
            groups = [*target.groups[:place], replace(group, addresses=addresses), *target.groups[place + 1 :]]
            if "10.0.0.99" not in addresses or not group.name.endswith("-all"):
                yield f"{group.name} is {addresses}", replace(target, groups=groups)
    for place, profile in enumerate(target.profiles):
        ports = profile.entries[0].ports
        for new in ([], [*ports, "7"], ["9"]):
            if new != ports and ports:
                entries = [replace(profile.entries[0], ports=new)]
                profiles = [*target.profiles[:place], replace(profile, entries=entries), *target.profiles[place + 1 :]]
                yield f"{profile.name} is {new}", replace(target, profiles=profiles)


def test_every_change_of_a_translation_is_found_with_a_true_counterexample() -> None:
    source = tiers()
    target = translate(source, prefix="cx", inside=["10.0.0.0/16"]).target
    assert compare(source, target).equal
    found = 0
    for what, changed in changes(target):
        verdict = compare(source, changed, limit=3)
        assert not verdict.equal, what
        oracle = Oracle(source, changed)
        for one in verdict.differences:
            packet = one.packet
            assert oracle.differs(packet.source, packet.destination, packet.protocol, packet.value), f"{what}: {one}"
        found += 1
    assert found > 150


# --- single cases

SSH = m.SourceRule(id="r1", side="ingress", protocol=6, first=22, last=22, remote="192.0.2.0/24")


def one_machine(*rules: m.SourceRule) -> m.SourceFirewall:
    return m.SourceFirewall(
        groups=[m.SourceGroup(id="g1", name="web", rules=list(rules))],
        ports=[m.SourcePort(id="p1", name="web-1", addresses=["10.0.0.1"], groups=["g1"])],
    )


def with_rules(
    target: m.TargetFirewall, *rules: m.FirewallRule, last: bool = False, **changed: Any
) -> m.TargetFirewall:
    wall = target.distributed
    assert wall is not None
    new = [*wall.rules, *rules] if last else [*rules, *wall.rules]
    return replace(target, distributed=replace(wall, rules=new), **changed)


def only(verdict: Verdict) -> Difference:
    """The one difference, DHCP left aside."""
    (one,) = [one for one in verdict.differences if "DHCP" not in one.source_text]
    return one


def test_a_counterexample_says_who_decides() -> None:
    source = one_machine(SSH)
    target = translate(source, prefix="cx").target
    foreign = m.FirewallRule(name="no ssh here", action="REJECT", profiles=["cx-tcp-22"])
    one = only(compare(source, with_rules(target, foreign)))
    assert str(one.packet) == "192.0.2.0 → 10.0.0.1 tcp 22"
    assert (one.source_passes, one.target_passes, one.where, one.workload) == (True, False, "receiver", "p1")
    assert (one.source_rule, one.target_rule) == ("r1", "no ssh here")
    assert one.extent_texts() == ["192.0.2.0/24 → 10.0.0.1 tcp 22"]
    assert str(one) == (
        "192.0.2.0 → 10.0.0.1 tcp 22: at the source it passes (ingress rule r1 of group web), at the target it does "
        "not pass (rule no ssh here of the distributed firewall: REJECT), at the receiver"
    )


def test_rules_of_others_behind_ours_change_nothing() -> None:
    source = one_machine(SSH)
    target = translate(source, prefix="cx").target
    foreign = m.FirewallRule(name="anything", action="ALLOW", direction="OUT")
    assert compare(source, with_rules(target, foreign, last=True)).equal
    one = only(compare(source, with_rules(target, foreign)))
    assert (one.source_passes, one.target_passes, one.target_rule) == (False, True, "anything")
    assert one.source_text == "no egress rule of the groups of port p1 lets it pass" and one.source_rule == ""


def test_one_port_of_one_address_too_many() -> None:
    source = one_machine(replace(SSH, first=0, last=65535))
    target = translate(source, prefix="cx").target
    slip = m.FirewallRule(
        name="slip", action="DROP", direction="IN", sources=["one"], profiles=["last"], destinations=["cx-web-g1"]
    )
    target = with_rules(
        target,
        slip,
        groups=[*target.groups, m.AddressGroup(name="one", addresses=["192.0.2.255"])],
        profiles=[m.PortProfile(name="last", entries=[m.PortEntry(protocol="TCP", ports=["65535"])]), *target.profiles],
    )
    one = only(compare(source, target))
    assert str(one.packet) == "192.0.2.255 → 10.0.0.1 tcp 65535"


def test_a_hop_that_no_flow_takes_may_differ() -> None:
    """What the sender's groups stop anyway, the receiver's card may let pass."""
    source = m.SourceFirewall(
        groups=[
            m.SourceGroup(id="g1", rules=[m.SourceRule(id="r1", side="ingress", protocol=6, remote="10.0.0.2")]),
            m.SourceGroup(id="g2"),
        ],
        ports=[
            m.SourcePort(id="p1", addresses=["10.0.0.1"], groups=["g1"]),
            m.SourcePort(id="p2", addresses=["10.0.0.2"], groups=["g2"]),
        ],
    )
    dhcp = [m.PortProfile(name=port, entries=[m.PortEntry(protocol="UDP", ports=[port])]) for port in ("67", "68")]
    rules = [
        m.FirewallRule(name="ask", direction="OUT", profiles=["67"]),
        m.FirewallRule(name="answer", direction="IN", profiles=["68"]),
    ]
    target = m.TargetFirewall(profiles=dhcp, distributed=m.Distributed(rules=rules, default_action="DROP"))
    assert compare(source, target).equal
    moved = replace(source, ports=[source.ports[0], replace(source.ports[1], workload=False)])
    assert str(only(compare(moved, target)).packet) == "10.0.0.2 → 10.0.0.1 tcp 0"


def test_a_target_that_stops_dhcp_is_told() -> None:
    source = one_machine()
    verdict = compare(source, m.TargetFirewall(distributed=m.Distributed(default_action="DROP")))
    assert [(one.packet.value, one.where, one.source_text) for one in verdict.differences] == [
        (67, "sender", "DHCP and neighbour discovery pass by themselves"),
        (68, "receiver", "DHCP and neighbour discovery pass by themselves"),
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"sources": ["unread"]},
        {"sources": ["nobody knows"]},
        {"profiles": ["unread"]},
        {"profiles": ["nobody knows"]},
        {"context_profiles": ["SSL"]},
    ],
)
def test_what_was_not_read_is_no_proof(changed: dict[str, Any]) -> None:
    source = one_machine(SSH)
    target = translate(source, prefix="cx").target
    target = replace(
        target,
        groups=[*target.groups, m.AddressGroup(name="unread", known=False)],
        profiles=[*target.profiles, m.PortProfile(name="unread", known=False)],
    )
    drop = m.FirewallRule(name="doubt", direction="IN", **{"action": "DROP", **changed})
    one = only(compare(source, with_rules(target, drop)))
    assert (one.source_passes, one.target_passes, one.target_rule) == (True, None, "doubt")
    assert "not known" in one.target_text and "cannot be told" in str(one)
    allow = only(compare(source, with_rules(target, replace(drop, action="ALLOW"))))
    assert (allow.source_passes, allow.target_passes) == (False, None)
    # behind the last of our rules it decides nothing
    assert compare(source, with_rules(target, drop, last=True)).equal


def test_a_profile_that_makes_no_sense_is_not_known() -> None:
    source = one_machine(SSH)
    target = translate(source, prefix="cx").target
    bad = m.PortProfile(name="bad", entries=[m.PortEntry(protocol="TCP", ports=["ssh"])])
    target = with_rules(
        target, m.FirewallRule(name="doubt", action="DROP", profiles=["bad"]), profiles=[*target.profiles, bad]
    )
    assert only(compare(source, target)).target_passes is None


def test_an_empty_group_is_nobody_and_no_group_is_anybody() -> None:
    source = one_machine(SSH)
    target = translate(source, prefix="cx").target
    target = replace(target, groups=[*target.groups, m.AddressGroup(name="empty")])
    assert compare(source, with_rules(target, m.FirewallRule(name="x", action="DROP", sources=["empty"]))).equal
    assert not compare(source, with_rules(target, m.FirewallRule(name="x", action="DROP"))).equal


def edge(source: m.SourceFirewall, match: m.FirewallMatch, distributed: bool) -> Verdict:
    made = translate(source, prefix="cx", inside=["10.0.0.0/24"], distributed=distributed).target
    nat = m.NatRule(name="web", type="DNAT", external="203.0.113.1", internal="10.0.0.1", firewall_match=match)
    return compare(source, replace(made, nat=[nat]))


def test_a_translation_of_addresses_that_hides_them_from_the_edge() -> None:
    source = one_machine(SSH)
    assert edge(source, "MATCH_INTERNAL_ADDRESS", True).equal
    assert edge(source, "MATCH_INTERNAL_ADDRESS", False).equal is False  # 10.0.0.0/24 is inside
    # the distributed firewall decides in any case
    assert edge(source, "BYPASS", True).equal
    hidden = edge(source, "MATCH_EXTERNAL_ADDRESS", True)
    assert only(hidden).target_passes is None and "MATCH_EXTERNAL_ADDRESS" in only(hidden).target_text
    assert any("BYPASS" in one.target_text for one in edge(source, "BYPASS", False).differences)


def test_the_edge_stops_what_it_does_not_let_through() -> None:
    source = one_machine(SSH)
    target = translate(source, prefix="cx", edge="none").target
    target = replace(target, edge=m.Edge(inside=["10.0.0.0/24"]))
    one = only(compare(source, target))
    assert (one.where, one.target_text) == ("edge", "default of the edge's firewall: DROP")
    assert compare(source, replace(target, edge=replace(target.edge, enabled=False))).equal
    # it does not see who is behind it too
    near = one_machine(replace(SSH, remote="10.0.0.0/25"))
    target = replace(translate(near, prefix="cx", edge="none").target, edge=m.Edge(inside=["10.0.0.0/24"]))
    assert compare(near, target).equal


def test_differences_are_told_up_to_a_limit() -> None:
    rules = [m.SourceRule(id=f"r{n}", side="ingress", protocol=6, first=n, last=n) for n in range(30)]
    source = one_machine(*rules)
    target = m.TargetFirewall(distributed=m.Distributed(default_action="DROP"))
    verdict = compare(source, target, limit=7)
    assert (len(verdict.differences), verdict.truncated, verdict.equal) == (7, True, False)
    whole = compare(source, target, limit=40)
    assert (len(whole.differences), whole.truncated) == (30 + 2, False)


def test_a_target_without_any_firewall_is_told_quickly() -> None:
    groups = [m.SourceGroup(id=f"g{n}") for n in range(40)]
    ports = [
        m.SourcePort(id=f"p{n}", addresses=[f"10.0.{n // 200}.{n % 200}"], groups=[f"g{n % 40}"]) for n in range(400)
    ]
    verdict = compare(m.SourceFirewall(groups=groups, ports=ports), m.TargetFirewall())
    assert not verdict.equal and verdict.differences[0].target_text == "the distributed firewall is not there or off"
