# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flexible Engine as an operator meets it: probes, load, and a tenant assessed, from a server of recorded shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import observations
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import listings
from tests.installed import Playbook
from tests.lab.flexible_engine.tenants import REGION, Tenants

MODULES = """
- hosts: localhost
  gather_facts: false
  module_defaults:
    group/cloudexit.flexible_engine.source: "{{ source }}"
  tasks:
    - name: Ask
      cloudexit.flexible_engine.source_probe:
      register: asked

    - name: Nothing was changed, and there are answers
      ansible.builtin.assert:
        that: asked is not changed and asked.summary.yes > 30

    - name: Read the load
      cloudexit.flexible_engine.metrics_read:
        path: acme.metrics.json
        days: 7
"""

PROBE = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Probe
      ansible.builtin.include_role:
        name: cloudexit.flexible_engine.assess
        tasks_from: probe
"""


@pytest.fixture
def tenants() -> Iterator[Tenants]:
    with Tenants(1, servers=3) as started:
        yield started


def test_probes_and_load(playbook: Playbook, tenants: Tenants, tmp_path: Path) -> None:
    play = tmp_path / "play.yml"
    play.write_text(MODULES)
    source = {"auth": tenants.auth("t001"), "region_name": REGION}
    checked = playbook(str(play), "--check", "--diff", extra={"source": source}).ok()
    assert checked.changed == 1 and not (tmp_path / "acme.metrics.json").exists()
    assert playbook(str(play), extra={"source": source}).ok().changed == 1
    found = observations.loads(observations.Metrics, (tmp_path / "acme.metrics.json").read_bytes(), "it")
    assert len(found.servers) == 3
    assert tenants.server.writes() == []


def test_probes_of_the_role(playbook: Playbook, tenants: Tenants, tmp_path: Path) -> None:
    play = tmp_path / "probe.yml"
    play.write_text(PROBE)
    extra = {"assess_auth": tenants.auth("t001"), "assess_region": REGION, "assess_tenant": "acme"}
    done = playbook(str(play), extra=extra).ok()
    probes = json.loads((tmp_path / "acme.probes.json").read_text())
    assert {probe["status"] for probe in probes} == {"yes", "no", "unknown"}
    assert "service_rds: yes: It answers." in done.output and done.changed == 1
    assert playbook(str(play), extra=extra).ok().changed == 0


def test_a_tenant_of_flexible_engine_is_assessed(playbook: Playbook, tenants: Tenants, tmp_path: Path) -> None:
    extra: dict[str, Any] = {
        "assess_auth": tenants.auth("t001"),
        "assess_region": REGION,
        "assess_tenant": "acme",
        "assess_dir": str(tmp_path),
    }
    playbook("assess", extra=extra).ok()
    first = {path.name: path.read_bytes() for path in sorted(tmp_path.glob("acme.*"))}
    assert playbook("assess", extra=extra).ok().changed == 0
    assert {path.name: path.read_bytes() for path in sorted(tmp_path.glob("acme.*"))} == first
    assert tenants.server.writes() == []

    estate = estates.loads(first["acme.estate.json"])
    family = {listing.kind for listing in listings.LISTINGS}
    assert {kind for kind in family if estate.read[kind] == "complete" and estate.resources[kind]} == family
    found = assessments.loads(first["acme.assessment.json"])
    decided = {(item.kind, item.id) for item in found.items}
    plan = first["acme.plan.yml"].decode()
    for kind in sorted(family):
        for resource in estate.resources[kind]:
            assert (kind, resource.id) in decided or json.dumps(resource.id)[1:-1] in plan or _within(estate, kind), (
                kind
            )
    assert "dimension_unexplained" in {finding.rule for finding in found.findings}


def _within(estate: estates.Estate, kind: str) -> bool:
    """Whether objects of this kind are decided with those of another."""
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds

    return bool(kinds.KINDS[kind].within)
