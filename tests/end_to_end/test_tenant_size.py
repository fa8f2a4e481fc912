# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant of 1,000 servers and one of 30, in real services: complete, in few calls, and the same every time.

How long it takes is for `make bench`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.tenants import Run, Tenant
from tests.installed import Lab
from tests.lab.openstack import bulk

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("without_guests")]

PAGE = 500
PAGES = {"servers": 200, "ports": 200}  # what takes a service long is asked for in smaller pages
SMALL_PAGE = 100
LIMIT_S = 30.0
MIB = 1 << 20

# What is in the databases of the services, by kind of the estate.
TRUTH = {
    "servers": ("nova", "SELECT uuid FROM instances WHERE deleted = 0 AND project_id = '{project}'"),
    "volumes": ("cinder", "SELECT id FROM volumes WHERE deleted = 0 AND project_id = '{project}'"),
    "snapshots": ("cinder", "SELECT id FROM snapshots WHERE deleted = 0 AND project_id = '{project}'"),
    "images": ("glance", "SELECT id FROM images WHERE deleted = 0 AND owner = '{project}'"),
    "networks": ("neutron", "SELECT id FROM networks WHERE project_id = '{project}'"),
    "subnets": ("neutron", "SELECT id FROM subnets WHERE project_id = '{project}'"),
    "ports": ("neutron", "SELECT id FROM ports WHERE project_id = '{project}'"),
    "security_groups": ("neutron", "SELECT id FROM securitygroups WHERE project_id = '{project}'"),
    "floating_ips": ("neutron", "SELECT id FROM floatingips WHERE project_id = '{project}'"),
    "routers": ("neutron", "SELECT id FROM routers WHERE project_id = '{project}'"),
}
RULES = "SELECT id FROM securitygrouprules WHERE project_id = '{project}'"


@pytest.fixture(scope="module")
def big(tenants: Lab, collections_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tenant, Run]:
    """The big tenant, assessed."""
    tenant = Tenant(tenants, collections_path, bulk.BIG.name, tmp_path_factory.mktemp("big") / "big")
    return tenant, tenant.assess()


@pytest.fixture(scope="module")
def small(tenants: Lab, collections_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tenant, Run]:
    """The small tenant, assessed."""
    tenant = Tenant(tenants, collections_path, bulk.SMALL.name, tmp_path_factory.mktemp("small") / "small")
    return tenant, tenant.assess()


def test_a_thousand_servers_are_assessed_in_500_mb_and_without_a_write(big: tuple[Tenant, Run]) -> None:
    dummy, run = big
    assert run.memory < 500 * 1000 * 1000, f"{run.memory / MIB:.0f} MiB"
    assert run.calls.writes == []


def test_calls_grow_with_pages_and_not_with_objects(big: tuple[Tenant, Run], small: tuple[Tenant, Run]) -> None:
    tenant, run = big
    estate = tenant.estate()
    listed = [kind for kind, state in estate["read"].items() if state != "absent"]
    found = {kind: len(estate.get(kind) or estate["resources"].get(kind) or ()) for kind in listed}
    # where the machine is so busy that a page does not come within the time limit, pages are smaller
    late = any(call.seconds > LIMIT_S for call in run.calls.all)
    full = {kind: count // (SMALL_PAGE if late else PAGES.get(kind, PAGE)) for kind, count in found.items()}
    pages = len(found) + sum(full.values())
    asked = len(run.calls.all)
    assert asked <= pages + 12, {"calls": run.calls.by_service(), "pages": pages, "found": found}
    again = 3  # pages that a busy service did not make in time
    assert asked - len(small[1].calls.all) <= sum(full.values()) + again, (
        "a tenant 33 times as large takes more pages, and nothing else"
    )
    rules = sum(len(group["rules"]) for group in estate["security_groups"])
    assert (sum(found.values()) + rules) / asked >= 20, "twenty times fewer calls than one an object"


@pytest.mark.parametrize("kind", sorted(TRUTH))
def test_every_object_is_in_the_estate(big: tuple[Tenant, Run], small: tuple[Tenant, Run], kind: str) -> None:
    for tenant, dummy in (big, small):
        estate = tenant.estate()
        assert estate["read"][kind] == "complete"
        there = tenant.truth(*TRUTH[kind])
        rows = estate.get(kind) or estate["resources"].get(kind) or []
        ours = {row["id"] for row in rows}
        assert there, f"the lab has no {kind}"
        assert there <= ours
        if kind not in ("images", "networks", "subnets"):  # others' that the tenant sees or uses are there too
            assert ours == there


def test_every_rule_of_every_group_is_in_the_estate(big: tuple[Tenant, Run], small: tuple[Tenant, Run]) -> None:
    for (tenant, dummy), expected in ((big, 3004), (small, 204)):
        rules = [rule["id"] for group in tenant.estate()["security_groups"] for rule in group["rules"]]
        assert len(rules) == len(set(rules)) == expected
        assert set(rules) == tenant.truth("neutron", RULES)


def test_disks_and_cards_are_with_their_servers(big: tuple[Tenant, Run]) -> None:
    tenant, dummy = big
    estate = tenant.estate()
    for server in estate["servers"]:
        assert len(server["volumes"]) == bulk.BIG.volumes, server["name"]
        assert len(server["ports"]) == bulk.BIG.ports, server["name"]
    assert estate["findings"] == []


def test_every_object_is_in_the_plan_with_what_becomes_of_it(
    big: tuple[Tenant, Run], small: tuple[Tenant, Run]
) -> None:
    for tenant, dummy in (big, small):
        estate, plan = tenant.estate(), tenant.plan()
        named = {workload["source"]["id"] for workload in plan["workloads"].values()}
        named |= set(plan["networks"])
        named |= {ident for objects in plan["objects"].values() for ident in objects}
        decided = [entry for objects in plan["objects"].values() for entry in objects.values()]
        assert all(entry["decision"] for entry in decided)
        servers = {server["id"] for server in estate["servers"]}
        assert servers == {workload["source"]["id"] for workload in plan["workloads"].values()}
        # what hangs on a server goes with it, what lies within something goes with that
        within = {disk["volume_id"] for server in estate["servers"] for disk in server["volumes"]}
        within |= {port["id"] for port in estate["ports"] if port["device_id"] in named}
        within |= {subnet["id"] for subnet in estate["subnets"] if subnet["network_id"] in named}
        rows = {kind: estate[kind] for kind in TRUTH if kind in estate} | estate["resources"]
        for kind, objects in rows.items():
            lost = [
                row["name"] for row in objects if row["id"] not in named | within and row.get("parent", "") not in named
            ]
            assert lost == [], f"{kind} that nothing says anything about"


def test_a_second_run_changes_nothing(big: tuple[Tenant, Run], small: tuple[Tenant, Run]) -> None:
    for tenant, dummy in (small, big):
        before = tenant.files()
        again = tenant.assess()
        assert again.played.changed == 0, again.played.output
        assert tenant.files() == before
        assert again.calls.writes == []
