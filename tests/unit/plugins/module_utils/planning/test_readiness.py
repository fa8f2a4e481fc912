# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readiness: what a finding does to it, and that unknown is never ready."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.observations import METRICS, Load, Metrics
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import facts, readiness, rules
from tests.unit.plugins.module_utils.planning.estates import IMAGE, READ, estate, server, volume

KNOWN = dict.fromkeys(readiness.WEIGHTS, True)


def judged(found: e.Estate, metrics: Metrics | None = None) -> readiness.Readiness:
    collected = facts.collect(found, metrics)
    findings = readiness.by_server(rules.apply(rules.builtin(), collected))
    fact = collected.of("servers")[0]
    return readiness.of(fact, findings.get(fact["id"], []))


def finding(severity: Any, *, gap: bool = False, kind: str = "servers", ident: str = "s1") -> e.Finding:
    return e.Finding("r", severity, e.Subject(kind, ident), "seen", data_gap=gap)


def fact(**known: bool) -> dict[str, Any]:
    return {"id": "s1", "known": {**KNOWN, **known}}


@pytest.mark.parametrize(
    ("findings", "wanted"),
    [
        ([], "ready"),
        ([finding("information")], "ready"),
        ([finding("information", gap=True)], "ready"),
        ([finding("warning")], "ready_with_changes"),
        ([finding("warning", gap=True)], "unknown"),
        ([finding("warning", gap=True), finding("warning")], "unknown"),
        ([finding("blocker", gap=True)], "unknown"),
        ([finding("blocker", gap=True), finding("blocker")], "not_ready"),
        ([finding("blocker"), finding("warning", gap=True), finding("warning")], "not_ready"),
        ([finding("blocker", ident="s2"), finding("blocker", kind="volumes")], "ready"),
    ],
)
def test_what_findings_do(findings: list[e.Finding], wanted: str) -> None:
    assert readiness.of(fact(), findings).readiness == wanted
    assert readiness.of(fact(), reversed(findings)).readiness == wanted


@pytest.mark.parametrize("name", list(readiness.WEIGHTS))
def test_what_is_not_known_lowers_confidence_and_is_never_ready_where_it_is_needed(name: str) -> None:
    full, lacking = readiness.of(fact(), []), readiness.of(fact(**{name: False}), [])
    assert full == readiness.Readiness("ready", 100, [])
    assert lacking.missing == [name]
    assert lacking.confidence == 100 - readiness.WEIGHTS[name]
    assert lacking.readiness == ("unknown" if name in readiness.NEEDED else "ready")


def test_no_combination_of_gaps_is_ready() -> None:
    for count in (1, 2, len(readiness.NEEDED)):
        for names in itertools.combinations(readiness.NEEDED, count):
            for found in ([], [finding("warning")], [finding("information")]):
                result = readiness.of(fact(**dict.fromkeys(names, False)), found)
                assert result.readiness == "unknown"
    assert readiness.of({"id": "s1", "known": {}}, []) == readiness.Readiness("unknown", 0, list(readiness.WEIGHTS))


def test_weights_are_per_cent_and_facts_tell_all_of_them() -> None:
    assert sum(readiness.WEIGHTS.values()) == 100
    assert set(facts.collect(estate()).of("servers")[0]["known"]) == set(readiness.WEIGHTS)


def test_servers_of_an_estate() -> None:
    load = Metrics(kind=METRICS, version=1, servers={"s1": Load(cpu_p95=40.0, network_bytes_s=1e6, samples=99)})
    plain = judged(estate())
    assert (plain.readiness, plain.missing) == ("ready", ["hypervisor", "load"])
    on_kvm = e.Flavor(vcpus=1, ram_mib=512, extra_specs={"ecs:virtualization_env_types": "CloudCompute"})
    assert judged(estate(servers=[server(flavor=on_kvm)]), load) == readiness.Readiness("ready", 100, [])
    assert judged(estate(servers=[server(locked=True)])).readiness == "ready_with_changes"
    assert judged(estate(servers=[server(status="ERROR")])).readiness == "not_ready"
    unnamed = estate(volumes=[volume(image_metadata={**IMAGE, "hw_firmware_type": ""})])
    assert judged(unnamed) == readiness.Readiness("ready", 80, ["firmware", "hypervisor", "load"])
    no_image = estate(volumes=[volume(image_metadata={})])
    assert judged(no_image) == readiness.Readiness("unknown", 65, ["os", "firmware", "hypervisor", "load"])
    assert judged(estate(volumes=[], read={**READ, "volumes": "not_read"})).readiness == "unknown"
    assert judged(estate(ports=[], read={**READ, "ports": "partial"})).readiness == "unknown"
    # a blocker that is certain outweighs what is not known
    blocked = estate(servers=[server(status="ERROR")], volumes=[volume(image_metadata={})])
    assert judged(blocked).readiness == "not_ready"


def test_by_server_leaves_other_objects_out() -> None:
    found = [finding("warning"), finding("warning", kind="volumes"), finding("blocker", ident="s2")]
    assert readiness.by_server(found) == {"s1": [found[0]], "s2": [found[2]]}
