# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the objects of Flexible Engine's own services are listed. Paths begin at the root of the service's host.

Shapes and paginations are those of the API references of the family (docs/flexible-engine.md says how sure each is).
Buckets speak S3: `storage` reads them, and their row only says what becomes of what it gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import endpoints
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.listings import Listing, Service

SERVICES: tuple[Service, ...] = tuple(Service(row.service, row.types) for row in endpoints.TABLE.values())
"""The services, with their types in a catalogue."""


def dimension(row: Mapping[str, Any]) -> str:
    """Which object a metric is of: `SYS.ECS/instance_id=6f3c…`; several dimensions are joined with a comma."""
    parts = [
        f"{entry.get('name', '')}={entry.get('value', '')}"
        for entry in row.get("dimensions") or []
        if isinstance(entry, dict)
    ]
    return f"{row.get('namespace', '')}/{','.join(parts)}"


def _metric(row: dict[str, Any]) -> dict[str, Any] | None:
    """One object has many metrics: only which object counts."""
    if not row.get("dimensions"):
        return None
    return {
        "id": dimension(row),
        "name": dimension(row).partition("/")[2],
        "namespace": row.get("namespace", ""),
        "dimensions": [
            {"name": entry.get("name", ""), "value": entry.get("value", "")}
            for entry in row["dimensions"]
            if isinstance(entry, dict)
        ],
    }


def _tag(row: dict[str, Any]) -> dict[str, Any] | None:
    return {**row, "id": f"{row.get('key', '')}={row.get('value', '')}", "name": str(row.get("key", ""))}


def _repository(row: dict[str, Any]) -> dict[str, Any] | None:
    return {**row, "id": f"{row.get('namespace', '')}/{row.get('name', '')}"}


def _with_balancer(row: dict[str, Any]) -> dict[str, Any] | None:
    """Listeners and pools name their load balancers in a list of one."""
    balancers = [entry for entry in row.get("loadbalancers") or [] if isinstance(entry, dict)]
    return {**row, "loadbalancer_id": str(balancers[0].get("id", "")) if balancers else ""}


def _dedicated(row: dict[str, Any]) -> dict[str, Any] | None:
    """The newest API also lists the shared ones, which are listed by their own."""
    return None if row.get("guaranteed") is False else row


def _database_backup(row: dict[str, Any]) -> dict[str, Any] | None:
    """The size is in KiB."""
    size = row.get("size")
    kib = size if isinstance(size, int | float) and not isinstance(size, bool) else 0
    return {**row, "size_bytes": int(kib * 1024)}


def _listings() -> tuple[Listing, ...]:
    one = Listing
    return (
        # ECS: the offset is the number of the page
        one(
            "ecs_servers",
            "ecs",
            "/v1/{project_id}/cloudservers/detail",
            "servers",
            style="page",
            limit=100,
            drop=("hostId", "progress", "OS-SRV-USG:launched_at"),
        ),
        one(
            "ecs_tags",
            "ecs",
            "/v1/{project_id}/cloudservers/tags",
            "tags",
            style="none",
            limit_name="",
            id_field="key",
            fields={"id": "key", "name": "key"},
        ),
        one("bare_metal", "bms", "/v1/{project_id}/baremetalservers/detail", "servers", style="page", limit=100),
        one(
            "dedicated_hosts",
            "deh",
            "/v1.0/{project_id}/dedicated-hosts",
            "dedicated_hosts",
            limit=100,
            id_field="dedicated_host_id",
            fields={"id": "dedicated_host_id", "status": "state", "created": "allocated_at"},
            drop=("available_vcpus", "available_memory"),
        ),
        # EVS, and the services for backups
        one(
            "cloud_volumes",
            "evs",
            "/v2/{project_id}/cloudvolumes/detail",
            "volumes",
            style="offset",
            limit=1000,
            fields={"created": "created_at", "size_gib": "size"},
        ),
        one(
            "volume_backups",
            "vbs",
            "/v2/{project_id}/backups/detail",
            "backups",
            style="offset",
            limit=1000,
            fields={"created": "created_at", "size_gib": "size", "parent": "volume_id"},
        ),
        one(
            "volume_backup_policies",
            "vbs",
            "/v2/{project_id}/backuppolicy",
            "backup_policies",
            style="none",
            limit_name="",
            id_field="backup_policy_id",
            fields={"id": "backup_policy_id", "name": "backup_policy_name"},
        ),
        one(
            "server_backups",
            "csbs",
            "/v1/{project_id}/checkpoint_items",
            "checkpoint_items",
            style="offset",
            limit=1000,
            fields={"created": "created_at", "parent": "checkpoint_id"},
        ),
        one("server_backup_policies", "csbs", "/v1/{project_id}/policies", "policies", style="offset", limit=1000),
        one(
            "vaults",
            "cbr",
            "/v3/{project_id}/vaults",
            "vaults",
            style="offset",
            limit=1000,
            total_key="count",
            fields={"created": "created_at", "status": "billing.status", "size_mib": "billing.used"},
        ),
        one(
            "vault_backups",
            "cbr",
            "/v3/{project_id}/backups",
            "backups",
            style="offset",
            limit=1000,
            total_key="count",
            fields={"created": "created_at", "parent": "vault_id", "size_gib": "resource_size"},
        ),
        one("vault_policies", "cbr", "/v3/{project_id}/policies", "policies", style="none", limit_name=""),
        one(
            "protection_groups",
            "sdrs",
            "/v1/{project_id}/server-groups",
            "server_groups",
            style="offset",
            limit=1000,
            total_key="count",
        ),
        # IMS: no project in the path
        one(
            "private_images",
            "ims",
            "/v2/cloudimages",
            "images",
            params={"__imagetype": "private"},
            limit=100,
            fields={"created": "created_at", "size_bytes": "__image_size"},
        ),
        one(
            "image_quotas",
            "ims",
            "/v1/cloudimages/quota",
            "quotas.resources",
            style="none",
            limit_name="",
            id_field="type",
            fields={"name": "type"},
            optional=True,
        ),
        # VPC
        one(
            "vpc_quotas",
            "vpc",
            "/v1/{project_id}/quotas",
            "quotas.resources",
            style="none",
            limit_name="",
            id_field="type",
            fields={"name": "type"},
        ),
        one("vpcs", "vpc", "/v1/{project_id}/vpcs", "vpcs"),
        one("vpc_subnets", "vpc", "/v1/{project_id}/subnets", "subnets", fields={"parent": "vpc_id"}),
        one("route_tables", "vpc", "/v1/{project_id}/routetables", "routetables", fields={"parent": "vpc_id"}),
        one("peerings", "vpc", "/v2.0/vpc/peerings", "peerings"),
        one(
            "public_ips",
            "vpc",
            "/v1/{project_id}/publicips",
            "publicips",
            fields={"name": "public_ip_address", "created": "create_time"},
        ),
        one("bandwidths", "vpc", "/v1/{project_id}/bandwidths", "bandwidths"),
        one("flow_logs", "vpc", "/v1/{project_id}/fl/flow_logs", "flow_logs", optional=True),
        one(
            "endpoints",
            "vpcep",
            "/v1/{project_id}/vpc-endpoints",
            "endpoints",
            style="offset",
            limit=1000,
            total_key="total_count",
            fields={"name": "endpoint_service_name", "parent": "vpc_id"},
        ),
        one(
            "endpoint_services",
            "vpcep",
            "/v1/{project_id}/vpc-endpoint-services",
            "endpoint_services",
            style="offset",
            limit=1000,
            total_key="total_count",
            fields={"name": "service_name"},
            drop=("connection_count",),
        ),
        one("nat_gateways", "nat", "/v2/{project_id}/nat_gateways", "nat_gateways"),
        one("snat_rules", "nat", "/v2/{project_id}/snat_rules", "snat_rules", fields={"parent": "nat_gateway_id"}),
        one("dnat_rules", "nat", "/v2/{project_id}/dnat_rules", "dnat_rules", fields={"parent": "nat_gateway_id"}),
        # ELB: three generations, each with an API of its own
        one(
            "classic_load_balancers",
            "elb",
            "/v1.0/{project_id}/elbaas/loadbalancers",
            "loadbalancers",
            style="none",
            limit_name="",
            optional=True,
        ),
        one(
            "shared_load_balancers",
            "elb",
            "/v2/{project_id}/elb/loadbalancers",
            "loadbalancers",
            fields={"status": "provisioning_status"},
            optional=True,
        ),
        one(
            "dedicated_load_balancers",
            "elb",
            "/v3/{project_id}/elb/loadbalancers",
            "loadbalancers",
            convert=_dedicated,
            fields={"status": "provisioning_status"},
            optional=True,
        ),
        one(
            "elb_listeners",
            "elb",
            "/v3/{project_id}/elb/listeners",
            "listeners",
            convert=_with_balancer,
            fields={"parent": "loadbalancer_id"},
            optional=True,
        ),
        one(
            "elb_pools",
            "elb",
            "/v3/{project_id}/elb/pools",
            "pools",
            convert=_with_balancer,
            fields={"parent": "loadbalancer_id"},
            optional=True,
        ),
        one(
            "elb_members",
            "elb",
            "/v3/{project_id}/elb/pools/{parent}/members",
            "members",
            per="elb_pools",
            fields={"parent": "_parent"},
            drop=("operating_status", "status"),
            optional=True,
        ),
        one("elb_certificates", "elb", "/v3/{project_id}/elb/certificates", "certificates", optional=True),
        # Databases and queues
        one(
            "rds_instances",
            "rds",
            "/v3/{project_id}/instances",
            "instances",
            style="offset",
            limit=100,
            total_key="total_count",
            fields={"size_gib": "volume.size"},
        ),
        one(
            "rds_backups",
            "rds",
            "/v3/{project_id}/backups?instance_id={parent}",
            "backups",
            style="offset",
            limit=100,
            total_key="total_count",
            per="rds_instances",
            convert=_database_backup,
            fields={"created": "begin_time", "parent": "instance_id", "size_bytes": "size_bytes"},
        ),
        one(
            "dds_instances",
            "dds",
            "/v3/{project_id}/instances",
            "instances",
            style="offset",
            limit=100,
            total_key="total_count",
        ),
        one(
            "nosql_instances",
            "nosql",
            "/v3/{project_id}/instances",
            "instances",
            style="offset",
            limit=100,
            total_key="total_count",
        ),
        one(
            "ddm_instances",
            "ddm",
            "/v1/{project_id}/instances",
            "instances",
            style="offset",
            limit=100,
            total_key="instance_num",
        ),
        one(
            "dcs_instances",
            "dcs",
            "/v2/{project_id}/instances",
            "instances",
            style="offset",
            limit=100,
            total_key="instance_num",
            id_field="instance_id",
            fields={"id": "instance_id", "created": "created_at", "size_gib": "capacity"},
            drop=("used_memory",),
        ),
        one(
            "dms_instances",
            "dms",
            "/v2/{project_id}/instances",
            "instances",
            style="offset",
            limit=50,
            total_key="instance_num",
            id_field="instance_id",
            fields={"id": "instance_id", "created": "created_at", "size_gib": "total_storage_space"},
            drop=("used_storage_space",),
        ),
        # Containers
        one(
            "cce_clusters",
            "cce",
            "/api/v3/projects/{project_id}/clusters",
            "items",
            style="none",
            limit_name="",
            id_field="metadata.uid",
            fields={
                "id": "metadata.uid",
                "name": "metadata.name",
                "status": "status.phase",
                "created": "metadata.creationTimestamp",
            },
        ),
        one(
            "cce_nodes",
            "cce",
            "/api/v3/projects/{project_id}/clusters/{parent}/nodes",
            "items",
            style="none",
            limit_name="",
            per="cce_clusters",
            id_field="metadata.uid",
            fields={
                "id": "metadata.uid",
                "name": "metadata.name",
                "status": "status.phase",
                "created": "metadata.creationTimestamp",
                "parent": "_parent",
            },
        ),
        one(
            "image_repositories",
            "swr",
            "/v2/manage/repos",
            "",
            style="offset",
            limit=100,
            convert=_repository,
            fields={"id": "id", "created": "created_at", "size_bytes": "size"},
            drop=("num_download",),
        ),
        # Autoscaling: the offset is called start_number
        one(
            "scaling_groups",
            "as",
            "/autoscaling-api/v1/{project_id}/scaling_group",
            "scaling_groups",
            style="start_number",
            limit=100,
            total_key="total_number",
            id_field="scaling_group_id",
            fields={
                "id": "scaling_group_id",
                "name": "scaling_group_name",
                "status": "scaling_group_status",
                "created": "create_time",
            },
        ),
        one(
            "scaling_configurations",
            "as",
            "/autoscaling-api/v1/{project_id}/scaling_configuration",
            "scaling_configurations",
            style="start_number",
            limit=100,
            total_key="total_number",
            id_field="scaling_configuration_id",
            fields={
                "id": "scaling_configuration_id",
                "name": "scaling_configuration_name",
                "created": "create_time",
            },
        ),
        one(
            "scaling_instances",
            "as",
            "/autoscaling-api/v1/{project_id}/scaling_group_instance/{parent}/list",
            "scaling_group_instances",
            style="start_number",
            limit=100,
            total_key="total_number",
            per="scaling_groups",
            id_field="instance_id",
            fields={
                "id": "instance_id",
                "name": "instance_name",
                "status": "life_cycle_state",
                "created": "create_time",
                "parent": "_parent",
            },
            drop=("health_status",),
        ),
        # Files
        one(
            "file_shares",
            "sfs",
            "/v2/{project_id}/shares/detail",
            "shares",
            style="offset",
            limit=1000,
            fields={"created": "created_at", "size_gib": "size"},
        ),
        one(
            "turbo_shares",
            "sfs_turbo",
            "/v1/{project_id}/sfs-turbo/shares/detail",
            "shares",
            style="offset",
            limit=200,
            fields={"created": "created_at", "size_gib": "size"},
            drop=("avail_capacity",),
        ),
        one(
            "buckets",
            "obs",
            "/",
            "",
            style="none",
            limit_name="",
            id_field="name",
            fields={"size_bytes": "bytes", "created": "created"},
        ),
        # Keys: by POST
        one(
            "keys",
            "kms",
            "/v1.0/{project_id}/kms/list-keys",
            "key_details",
            method="POST",
            style="body_marker",
            limit=100,
            next_key="next_marker",
            id_field="key_id",
            fields={"id": "key_id", "name": "key_alias", "status": "key_state", "created": "creation_date"},
        ),
        # Watching
        one(
            "alarms",
            "ces",
            "/V1.0/{project_id}/alarms",
            "metric_alarms",
            limit=100,
            marker_name="start",
            total_key="meta_data.total",
            id_field="alarm_id",
            fields={"id": "alarm_id", "name": "alarm_name", "status": "alarm_enabled"},
            drop=("alarm_state",),
        ),
        one(
            "metrics",
            "ces",
            "/V1.0/{project_id}/metrics",
            "metrics",
            limit=1000,
            marker_name="start",
            next_key="meta_data.marker",
            total_key="meta_data.total",
            convert=_metric,
        ),
        one(
            "trackers",
            "cts",
            "/v1.0/{project_id}/tracker",
            "",
            style="none",
            limit_name="",
            id_field="tracker_name",
            one=True,
            optional=True,
            fields={"id": "tracker_name", "name": "tracker_name"},
        ),
        one(
            "topics",
            "smn",
            "/v2/{project_id}/notifications/topics",
            "topics",
            style="offset",
            limit=100,
            total_key="topic_count",
            id_field="topic_urn",
            fields={"id": "topic_urn"},
        ),
        one(
            "log_groups",
            "lts",
            "/v2/{project_id}/groups",
            "log_groups",
            style="none",
            limit_name="",
            id_field="log_group_id",
            fields={"id": "log_group_id", "name": "log_group_name", "created": "creation_time"},
        ),
        one(
            "functions",
            "fgs",
            "/v2/{project_id}/fgs/functions",
            "functions",
            style="offset",
            limit=400,
            limit_name="maxitems",
            marker_name="marker",
            id_field="func_urn",
            fields={"id": "func_urn", "name": "func_name"},
            drop=("last_modified",),
        ),
        # Data
        one(
            "search_clusters",
            "css",
            "/v1.0/{project_id}/clusters",
            "clusters",
            style="none",
            limit_name="",
            params={"start": "1", "limit": "1000"},
            total_key="totalSize",
            fields={"created": "created"},
        ),
        one(
            "data_clusters",
            "mrs",
            "/v1.1/{project_id}/cluster_infos",
            "clusters",
            style="page",
            limit=100,
            limit_name="pageSize",
            marker_name="currentPage",
            id_field="clusterId",
            fields={"id": "clusterId", "name": "clusterName", "status": "clusterState", "created": "createAt"},
            drop=("duration", "fee"),
        ),
        one("warehouses", "dws", "/v1.0/{project_id}/clusters", "clusters", style="none", limit_name=""),
        one(
            "waf_hosts",
            "waf",
            "/v1/{project_id}/waf/instance",
            "items",
            style="offset",
            limit=100,
            total_key="total",
            fields={"name": "hostname", "created": "timestamp"},
        ),
        # Of the whole account
        one(
            "enterprise_projects",
            "eps",
            "/v1.0/enterprise-projects",
            "enterprise_projects",
            style="offset",
            limit=1000,
            total_key="total_count",
        ),
        one(
            "tags",
            "tms",
            "/v1.0/predefine_tags",
            "tags",
            limit=1000,
            next_key="marker",
            convert=_tag,
            fields={"id": "id"},
        ),
        one(
            "rts_stacks",
            "rts",
            "/v1/{project_id}/stacks",
            "stacks",
            limit=100,
            fields={"name": "stack_name", "status": "stack_status", "created": "creation_time"},
        ),
    )


LISTINGS: tuple[Listing, ...] = _listings()
