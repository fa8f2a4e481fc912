# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Equivalence of firewalls: compared with an oracle that asks every packet, on 10,000 random pairs of firewalls."""

from __future__ import annotations

import random

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as m
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.equivalence import Verdict, compare
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.firewall import translate
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
        assert made.deviations == []
        assert agree(source, made.target, seed).equal, f"{seed}: {compare(source, made.target).differences}"


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
