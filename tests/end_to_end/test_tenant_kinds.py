# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of a tenant is missed: one with every kind of object, against the databases of its services."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from tests.end_to_end.tenants import Run, Tenant
from tests.end_to_end.whole_tenant import HOSTILE, SECRET, Whole
from tests.installed import Lab
from tests.lab import flexible_engine, parts
from tests.lab.flexible_engine.shapes import ACCOUNT
from tests.lab.openstack import database
from tests.lab.openstack.config import DATABASES

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("without_guests")]

OF_PROJECT = "SELECT {id} FROM {table} WHERE {owner} = '{project}'"
# kind: table, column of the id, more of the condition
TABLES = {
    "servers": ("nova.instances", "uuid", "deleted = 0"),
    "server_groups": ("nova_api.instance_groups", "uuid", ""),
    "volumes": ("cinder.volumes", "id", "deleted = 0"),
    "snapshots": ("cinder.snapshots", "id", "deleted = 0"),
    "backups": ("cinder.backups", "id", "deleted = 0"),
    "images": ("glance.images", "id", "deleted = 0"),
    "networks": ("neutron.networks", "id", ""),
    "subnets": ("neutron.subnets", "id", ""),
    "ports": ("neutron.ports", "id", ""),
    "routers": ("neutron.routers", "id", ""),
    "security_groups": ("neutron.securitygroups", "id", ""),
    "floating_ips": ("neutron.floatingips", "id", ""),
    "vpn_services": ("neutron.vpnservices", "id", ""),
    "vpn_connections": ("neutron.ipsec_site_connections", "id", ""),
    "ike_policies": ("neutron.ikepolicies", "id", ""),
    "ipsec_policies": ("neutron.ipsecpolicies", "id", ""),
    "firewall_groups": ("neutron.firewall_groups_v2", "id", ""),
    "firewall_policies": ("neutron.firewall_policies_v2", "id", ""),
    "firewall_rules": ("neutron.firewall_rules_v2", "id", ""),
    "load_balancers": ("octavia.load_balancer", "id", ""),
    "lb_listeners": ("octavia.listener", "id", ""),
    "lb_pools": ("octavia.pool", "id", ""),
    "lb_members": ("octavia.member", "id", ""),
    "lb_health_monitors": ("octavia.health_monitor", "id", ""),
    "lb_l7_policies": ("octavia.l7policy", "id", ""),
}
OTHERS = {
    # whose ids are found another way
    "key_pairs": "SELECT name FROM nova_api.key_pairs WHERE user_id = '{user}'",
    "secrets": "SELECT s.id FROM barbican.secrets s JOIN barbican.projects p ON s.project_id = p.id"
    " WHERE p.external_id = '{project}' AND s.deleted = 0",
    "shared images": "SELECT image_id FROM glance.image_members WHERE member = '{project}' AND deleted = 0",
}
NO_OBJECTS = {
    # tables with rows of the project that are no objects of it
    "cinder.quota_usages": "the count that the quotas show",
    "cinder.reservations": "the count that the quotas show, on its way",
    "keystone.application_credential": "of a user: how one logs in",
    "neutron.default_firewall_groups": "which firewall is the default one",
    "neutron.default_security_group": "which group is the default one",
    "neutron.quotas": "the quotas themselves",
    "neutron.reservations": "the count that the quotas show, on its way",
    "neutron.securitygrouprules": "within their groups",
    "nova.instance_actions": "the history of servers",
    "nova.security_groups": "the name default, from the time before Neutron",
    "nova_api.instance_mappings": "the cells of servers",
    "octavia.quotas": "the count that the quotas show",
}
FAMILY_IDS = {
    # what identifies a row of Flexible Engine, where it is not `id`
    "alarms": "alarm_id",
    "buckets": "name",
    "cce_clusters": "metadata.uid",
    "cce_nodes": "metadata.uid",
    "data_clusters": "clusterId",
    "dcs_instances": "instance_id",
    "dedicated_hosts": "dedicated_host_id",
    "dms_instances": "instance_id",
    "ecs_tags": "key",
    "functions": "func_urn",
    "image_quotas": "type",
    "image_repositories": "namespace/name",
    "keys": "key_id",
    "log_groups": "log_group_id",
    "scaling_configurations": "scaling_configuration_id",
    "scaling_groups": "scaling_group_id",
    "scaling_instances": "instance_id",
    "tags": "key=value",
    "topics": "topic_urn",
    "trackers": "tracker_name",
    "volume_backup_policies": "backup_policy_id",
    "vpc_quotas": "type",
}
NOT_OF_THE_FAMILY = {
    "datapoints": "values of metrics, read by metrics_read",
    "secrets": "the lab's Barbican has them",
}


@dataclass(frozen=True)
class Assessed:
    """The tenant with all kinds, and what two runs of assess made of it."""

    whole: Whole
    tenant: Tenant
    runs: tuple[Run, Run]
    files: tuple[dict[str, bytes], dict[str, bytes]]
    family_calls: list[dict[str, Any]]
    estate: dict[str, Any]
    plan: dict[str, Any]
    assessment: dict[str, Any]

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """The estate's objects of a kind."""
        if kind in kinds.TYPED:
            return list(self.estate[kind])
        return list(self.estate["resources"].get(kind, []))

    def ids(self, kind: str) -> set[str]:
        return {row["id"] for row in self.objects(kind)}


@pytest.fixture(scope="module")
def assessed(lab: Lab, collections_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assessed]:
    parts.restore(lab.instance)
    try:
        whole = Whole(lab.instance)
        whole.all()
        family = flexible_engine.control(lab.instance)
        family.forget()
        tenant = Tenant(lab, collections_path, "acme", tmp_path_factory.mktemp("kinds") / "acme")
        first = tenant.assess()
        files = tenant.files()
        second = tenant.assess()
        runs, both = (first, second), (files, tenant.files())
        yield Assessed(whole, tenant, runs, both, family.calls(), tenant.estate(), tenant.plan(), tenant.assessment())
    finally:
        parts.restore(lab.instance)


def test_every_kind_is_complete_and_there(assessed: Assessed) -> None:
    missing = {
        kind: assessed.estate["read"].get(kind)
        for kind in kinds.KINDS
        if assessed.estate["read"].get(kind) != "complete" or not assessed.ids(kind)
    }
    assert missing == {}
    assert {service["state"] for service in assessed.estate["services"]} == {"complete"}
    # the metrics of an object that no service lists, which the seed has for this
    assert [finding["rule"] for finding in assessed.estate["findings"]] == ["dimension_unexplained"]


def test_what_was_made_is_there(assessed: Assessed) -> None:
    for kind, made in assessed.whole.made.items():
        assert made and made <= assessed.ids(kind), kind


@pytest.mark.parametrize("kind", [*TABLES, *OTHERS])
def test_the_estate_has_what_the_database_has(assessed: Assessed, kind: str) -> None:
    about = {"project": assessed.whole.api.project_id, "user": assessed.whole.api.user_id}
    if kind in OTHERS:
        query = OTHERS[kind].format(**about)
    else:
        table, column, more = TABLES[kind]
        owner = "owner" if table.startswith("glance.") else "project_id"
        query = OF_PROJECT.format(id=column, table=table, owner=owner, **about) + (f" AND {more}" if more else "")
    truth = {row[0] or "" for row in database.sql(assessed.tenant.lab.instance, query)}
    found = assessed.ids("images" if kind == "shared images" else kind)
    assert truth
    assert truth <= found
    # what is there beside it belongs to others who let the project use it
    beside = {"networks", "subnets", "images", "shared images", "floating_ips"}
    assert kind in beside or found == truth


def test_no_table_holds_something_else_of_the_project(assessed: Assessed) -> None:
    instance, project = assessed.tenant.lab.instance, assessed.whole.api.project_id
    names = ",".join(database.quote(name) for name in DATABASES)
    columns = database.sql(
        instance,
        "SELECT c.table_schema, c.table_name, c.column_name FROM information_schema.columns c"
        " JOIN information_schema.tables t USING (table_schema, table_name) WHERE t.table_type = 'BASE TABLE'"
        f" AND c.table_schema IN ({names}) AND c.column_name IN ('project_id', 'tenant_id', 'owner', 'project')",
    )
    query = "\n".join(
        f"SELECT '{schema}.{table}' FROM `{schema}`.`{table}` WHERE `{column}` = {database.quote(project)} LIMIT 1;"
        for schema, table, column in columns
    )
    holding = {row[0] for row in database.sql(instance, query)}
    known = {table for table, _column, _more in TABLES.values()}
    assert known <= holding
    assert holding - known <= set(NO_OBJECTS)


def test_the_estate_has_what_flexible_engine_has(assessed: Assessed) -> None:
    data = json.loads(flexible_engine.service.data_file(assessed.tenant.lab.instance).read_bytes())
    seen = set()
    for project in (assessed.whole.api.project_id, ACCOUNT):
        for kind, rows in data[project].items():
            if kind in NOT_OF_THE_FAMILY:
                continue
            truth = {identity(kind, row) for row in rows}
            found = assessed.ids(kind)
            if kind == "dedicated_load_balancers":
                found |= assessed.ids("shared_load_balancers")
            assert truth and truth <= found, (kind, truth - found)
            seen.add(kind)
    assert flexible_engine.seed.kinds() - seen <= set(NOT_OF_THE_FAMILY)


def identity(kind: str, row: dict[str, Any]) -> str:
    """What identifies a row of Flexible Engine."""
    if kind == "metrics":
        return row["namespace"] + "/" + ",".join(f"{one['name']}={one['value']}" for one in row["dimensions"])
    path = FAMILY_IDS.get(kind, "id")
    for between in ("/", "="):
        if between in path:
            return between.join(str(row[name]) for name in path.split(between))
    value: Any = row
    for name in path.split("."):
        value = value[name]
    return str(value)


def test_every_object_is_decided(assessed: Assessed) -> None:
    plan, assessment = assessed.plan, assessed.assessment
    workloads = list(plan["workloads"].values())
    decided = {
        *(("servers", workload["source"]["id"]) for workload in workloads),
        *(("volumes", disk["volume"]) for workload in workloads for disk in workload.get("disks", [])),
        *(("ports", nic["port"]) for workload in workloads for nic in workload.get("nics", [])),
        *(("networks", ident) for ident in plan["networks"]),
        *((kind, ident) for kind, objects in plan["objects"].items() for ident in objects),
    }
    for kind in plan["objects"]:
        assert {entry["decision"] for entry in plan["objects"][kind].values()} <= set(kinds.DECISIONS)
    listed = {(item["kind"], item["id"]) for item in assessment["items"]}
    text = assessed.files[1]["acme.objects.csv"].decode("utf-8-sig")
    rows = {(row["kind"], row["id"].lstrip("'")) for row in csv.DictReader(io.StringIO(text))}
    assert {workload["server_id"] for workload in assessment["workloads"]} == assessed.ids("servers")
    places = {(kind, row["id"]): row for kind in kinds.KINDS for row in assessed.objects(kind)}

    def covered(kind: str, ident: str, deep: int = 0) -> bool:
        """Decided itself, or with what it is within: volumes with the server that has them, ports too."""
        if (kind, ident) in decided:
            return True
        if kind == "volumes":
            servers = [attachment["server_id"] for attachment in places[kind, ident]["attachments"]]
            return bool(servers) and all(("servers", server) in decided for server in servers)
        above = kinds.KINDS[kind].within
        if not above or deep > 5:
            return False
        row = places[kind, ident]
        parents = {str(value) for name, value in row.items() if name in ("parent", "id", "network_id", "device_id")}
        nearer = [(k, i) for (k, i) in places if i in parents and (k, i) != (kind, ident)]
        return any(covered(k, i, deep + 1) for k, i in nearer)

    left = {key for key in places if not covered(*key)}
    assert left == set()
    # the plan's objects are what the assessment lists, and the table shows
    own = {(kind, ident) for kind, objects in plan["objects"].items() for ident in objects}
    assert listed == own
    assert {(kind, ident.lstrip("'")) for kind, ident in listed} == rows


def test_it_is_the_same_again_and_nothing_was_written(assessed: Assessed) -> None:
    first, second = assessed.runs
    assert first.played.changed > 0 and second.played.changed == 0
    assert assessed.files[0] == assessed.files[1]
    for run in assessed.runs:
        assert run.calls.all and run.calls.writes == []
        # Barbican and Swift among those that were asked
        assert {"barbican", "swift", "octavia", "neutron"} <= set(run.calls.by_service())
    assert assessed.family_calls and not [call for call in assessed.family_calls if call["write"]]


def test_no_secret_is_in_any_file(assessed: Assessed) -> None:
    for name, content in assessed.files[1].items():
        assert SECRET.encode() not in content, name
        assert b"<script>alert" not in content or not name.endswith(".html"), name
    assert any(row["name"] == HOSTILE for row in assessed.objects("secrets"))


@pytest.fixture
def family(lab: Lab) -> Iterator[flexible_engine.Control]:
    """The control of Flexible Engine's services; healthy again afterwards."""
    yield flexible_engine.control(lab.instance)
    flexible_engine.reset(lab.instance)


def test_each_fault_of_flexible_engine_is_told_and_the_rest_is_complete(
    lab: Lab, family: flexible_engine.Control, collections_path: Path, tmp_path: Path
) -> None:
    data = json.loads(flexible_engine.service.data_file(lab.instance).read_bytes())
    project = next(rows for rows in data.values() if "vaults" in rows)
    project["vaults"] = [{**project["vaults"][0], "id": f"vault-{number:02}"} for number in range(12)]
    family.call("PUT", "data", data)
    tenant = Tenant(lab, collections_path, "acme", tmp_path / "acme")
    tenant.assess(assess_page_size=5)
    healthy = tenant.estate()
    assert len(healthy["resources"]["vaults"]) == 12
    assert "not_read" not in {finding["rule"] for finding in healthy["findings"]}

    family.faults(
        {"service": "rds", "status": 403},
        {"service": "dds", "status": 404},
        {"service": "waf", "status": 500},
        {"kind": "vaults", "empty_page": 2},
        {"service": "kms", "endless": True},
        {"service": "smn", "stall": 60},
        {"service": "lts", "nonsense": True},
    )
    family.forget()
    run = tenant.assess(assess_page_size=5)
    sick = tenant.estate()

    wanted = {
        "rds_instances": ("not_read", "403"),
        "dds_instances": ("not_read", "404"),
        "waf_hosts": ("not_read", "500"),
        "vaults": ("partial", "an empty page came"),
        "keys": ("partial", ""),
        "topics": ("not_read", ""),
        "log_groups": ("not_read", "not JSON"),
    }
    # made for each of them
    hurt = {*wanted, "rds_backups"}
    for kind, (state, why) in wanted.items():
        (told,) = [f for f in sick["findings"] if f["rule"] == "not_read" and f["subject"]["kind"] == kind]
        assert sick["read"][kind] == state and why in told["seen"], told
        assert told["data_gap"] and told["seen_fr"] and told["action"]
    assert [row["id"] for row in sick["resources"]["vaults"]] == [f"vault-{number:02}" for number in range(5)]
    for kind in kinds.KINDS:
        if kind in hurt:
            continue
        if kind in kinds.TYPED:
            assert sick[kind] == healthy[kind], kind
        else:
            assert sick["resources"].get(kind) == healthy["resources"].get(kind), kind
        assert sick["read"][kind] == healthy["read"][kind], kind
    # one wait for the service that stalls, and no more of it
    assert run.seconds < 60
    assert not [call for call in family.calls() if call["write"]]
    # nobody takes what could not be read for gone
    before, after = tenant.plan()["objects"], tenant.assessment()
    assert "topics" in before and "rds_instances" in before
    assert not [change for change in after["drift"] if change["op"] == "removed"]
