# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of a decommission: every kind has its turn, and none is deleted twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import STAGES
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import stages


def test_every_kind_has_one_row_with_all_that_people_need() -> None:
    assert sorted(row.kind for row in stages._rows()) == sorted(kinds.KINDS)
    for row in stages.ROWS.values():
        assert (row.stage in STAGES and row.restorable) or (row.stage is None and row.why), row
        assert not row.twin or row.twin in kinds.KINDS
    assert set(stages.BY_TURN) == {kind for kind, row in stages.ROWS.items() if row.stage}
    assert stages.BY_TURN[-1] == "keys"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("volume_backup_policies", "servers"),
        ("scaling_groups", "servers"),
        ("lb_members", "lb_pools"),
        ("elb_listeners", "dedicated_load_balancers"),
        ("stacks", "servers"),
        ("cce_nodes", "cce_clusters"),
        ("rds_instances", "rds_backups"),
        ("servers", "images"),
        ("images", "server_backups"),
        ("vault_backups", "vaults"),
        ("backups", "snapshots"),
        ("snapshots", "volumes"),
        ("servers", "floating_ips"),
        ("dnat_rules", "floating_ips"),
        ("floating_ips", "bandwidths"),
        ("snat_rules", "nat_gateways"),
        ("turbo_shares", "subnets"),
        ("ports", "security_groups"),
        ("ports", "routers"),
        ("routers", "subnets"),
        ("subnets", "networks"),
        ("vpc_subnets", "vpcs"),
        ("dns_records", "dns_zones"),
        ("alarms", "topics"),
        ("volumes", "keys"),
        ("buckets", "keys"),
    ],
)
def test_the_order_of_the_reference(first: str, then: str) -> None:
    assert stages.ROWS[first].turn < stages.ROWS[then].turn


def test_what_shows_another_object_is_no_object_of_its_own_and_stands_for_itself_where_that_is_not_there() -> None:
    estate = model.Estate(
        kind=model.KIND,
        version=1,
        tenant=model.Tenant(project_id="p"),
        read={},
        servers=[model.Server(id="s1")],
        networks=[model.Network(id="n1")],
        ports=[
            model.Port(id="dhcp", device_owner="network:dhcp", device_id="x"),
            model.Port(id="router", device_owner="network:router_interface_distributed"),
            model.Port(id="card", device_owner="compute:nova"),
            model.Port(id="balancer", device_owner="Octavia"),
        ],
        resources={
            "ecs_servers": [model.Resource(id="s1")],
            "vpc_subnets": [model.Resource(id="n1"), model.Resource(id="n2")],
            "compute_quotas": [model.Resource(id="p")],
        },
    )
    found = stages.not_an_object(estate)
    assert set(found) == {
        ("ecs_servers", "s1"),
        ("vpc_subnets", "n1"),
        ("compute_quotas", "p"),
        ("ports", "dhcp"),
        ("ports", "router"),
    }
    assert found["vpc_subnets", "n1"] == "the same as networks/n1"


def test_the_manual_has_every_stage_with_its_kinds() -> None:
    page = (Path(__file__).resolve().parents[5] / "docs" / "decommission.md").read_text(encoding="utf-8")
    for number, stage in enumerate(STAGES, 1):
        names = ", ".join(f"`{kind}`" for kind in stages.BY_TURN if stages.ROWS[kind].stage == stage)
        assert f"| {number} | {stage} | {names} |" in page
