# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift between two readings of a tenant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import drift

READ: dict[str, e.ReadState] = dict.fromkeys(("servers", "volumes", "ports", "security_groups", "keys"), "complete")
BEFORE = e.Estate(
    kind=e.KIND,
    version=e.VERSION,
    tenant=e.Tenant(project_id="p"),
    read=READ,
    servers=[e.Server(id="s1", name="web", status="ACTIVE", flavor=e.Flavor(vcpus=1), metadata={"a": "1"})],
    volumes=[e.Volume(id="v1", size_gib=1, status="in-use"), e.Volume(id="v2", name="data", size_gib=2)],
    ports=[e.Port(id="p1", status="ACTIVE", fixed_ips=[e.FixedIp("10.0.0.1", "n")])],
    security_groups=[e.SecurityGroup(id="g", name="web", rules=[e.Rule(id="r1", port_min=80)])],
    resources={"keys": [e.Resource(id="k", name="key", properties={"state": 2})]},
)


def told(**changed: Any) -> list[str]:
    return drift.lines(drift.drift(BEFORE, replace(BEFORE, **changed)))


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ({}, []),
        ({"ports": [replace(BEFORE.ports[0], status="DOWN")]}, []),
        (
            {"volumes": [replace(BEFORE.volumes[0], size_gib=5), e.Volume(id="v3", name="new")]},
            ["~ volumes (no name) (v1): size_gib: 1 → 5", "- volumes data (v2)", "+ volumes new (v3)"],
        ),
        (
            {"servers": [replace(BEFORE.servers[0], flavor=e.Flavor(vcpus=2), metadata={"b": "2"})]},
            [
                "~ servers web (s1): flavor.vcpus: 1 → 2",
                "~ servers web (s1): metadata.a: 1 → nothing",
                "~ servers web (s1): metadata.b: nothing → 2",
            ],
        ),
        (
            {"security_groups": [e.SecurityGroup(id="g", name="web", rules=[e.Rule(id="r1", port_min=81)])]},
            ["~ security_groups web (g): rules[r1].port_min: 80 → 81"],
        ),
        (
            {"resources": {"keys": [replace(BEFORE.resources["keys"][0], properties={"state": 3})]}},
            ["~ keys key (k): properties.state: 2 → 3"],
        ),
        ({"read": {**READ, "volumes": "not_read"}, "volumes": []}, ["~ volumes: read: complete → not_read"]),
        ({"read": {**READ, "volumes": "partial"}, "volumes": []}, ["~ volumes: read: complete → partial"]),
        (
            {"servers": [replace(BEFORE.servers[0], name="x\n+ evil")]},
            ["~ servers x + evil (s1): name: web → x + evil"],
        ),
    ],
)
def test_changes(changed: dict[str, Any], lines: list[str]) -> None:
    assert [line.replace("\\n", " ") for line in told(**changed)] == lines


def test_the_use_of_a_quota_is_no_drift() -> None:
    quota = e.Resource(id="p", properties={"maxTotalCores": 20, "totalCoresUsed": 3})
    read: dict[str, e.ReadState] = {"compute_quotas": "complete"}
    before = replace(BEFORE, read=read, resources={"compute_quotas": [quota]})
    used = replace(quota, properties={"maxTotalCores": 20, "totalCoresUsed": 4})
    more = replace(quota, properties={"maxTotalCores": 40, "totalCoresUsed": 4})
    assert drift.drift(before, replace(before, resources={"compute_quotas": [used]})) == []
    assert [c.path for c in drift.drift(before, replace(before, resources={"compute_quotas": [more]}))] == [
        "properties.maxTotalCores"
    ]


def test_no_reading_before() -> None:
    assert drift.drift(None, BEFORE) == []


def test_the_order_of_disks() -> None:
    places = [e.Attachment("v1", "/dev/vda"), e.Attachment("v2", "/dev/vdb")]
    before = replace(BEFORE, servers=[replace(BEFORE.servers[0], volumes=places)])
    after = replace(before, servers=[replace(before.servers[0], volumes=places[::-1])])
    assert [change.path for change in drift.drift(before, after)] == ["volumes (order)"]
