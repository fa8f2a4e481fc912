# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each service of Flexible Engine answers, as the API references of the family show it: paths, keys, paginations.

Written from the references, not from the collection: what the two say differently is a fault of one of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

Paging = Literal["none", "marker", "offset", "page", "start_number", "body_marker", "ces", "numbered_marker"]
ACCOUNT = "*"
"""The project under which data keep what belongs to the whole account."""


@dataclass(frozen=True)
class Shape:
    """A list call. most: rows that one answer has at most; usual: rows where no limit was given."""

    service: str
    kind: str
    path: str
    key: str
    paging: Paging = "none"
    most: int = 1000
    usual: int = 1000
    id_field: str = "id"
    limit: str = "limit"
    start: str = "marker"
    total: str = ""
    method: str = "GET"
    parent: str = ""
    account: bool = False
    native: bool = False

    @property
    def pattern(self) -> re.Pattern[str]:
        """The path as a regular expression with the groups project and parent."""
        text = re.escape(f"/{self.service}{self.path}").replace(r"\{p\}", r"(?P<project>[^/]+)")
        return re.compile(text.replace(r"\{parent\}", r"(?P<parent>[^/]+)") + "/?$")


def _shapes() -> tuple[Shape, ...]:
    s = Shape
    v1, v2, v3 = "/v1/{p}", "/v2/{p}", "/v3/{p}"
    total = {"total": "total_count"}
    offset: dict[str, Any] = {"paging": "offset", "start": "offset"}
    marker: dict[str, Any] = {"paging": "marker"}
    page: dict[str, Any] = {"paging": "page", "start": "offset", "usual": 25, "most": 100}
    return (
        s("ecs", "ecs_servers", f"{v1}/cloudservers/detail", "servers", **page, total="count"),
        s("ecs", "ecs_tags", f"{v1}/cloudservers/tags", "tags"),
        s("bms", "bare_metal", f"{v1}/baremetalservers/detail", "servers", **page, total="count"),
        s("deh", "dedicated_hosts", "/v1.0/{p}/dedicated-hosts", "dedicated_hosts", **marker, most=100,
          id_field="dedicated_host_id"),
        s("evs", "cloud_volumes", f"{v2}/cloudvolumes/detail", "volumes", **offset),
        s("vbs", "volume_backups", f"{v2}/backups/detail", "backups", **offset, native=True),
        s("vbs", "volume_backup_policies", f"{v2}/backuppolicy", "backup_policies"),
        s("csbs", "server_backups", f"{v1}/checkpoint_items", "checkpoint_items", **offset),
        s("csbs", "server_backup_policies", f"{v1}/policies", "policies", **offset),
        s("cbr", "vaults", f"{v3}/vaults", "vaults", **offset, total="count"),
        s("cbr", "vault_backups", f"{v3}/backups", "backups", **offset, total="count"),
        s("cbr", "vault_policies", f"{v3}/policies", "policies", total="count"),
        s("sdrs", "protection_groups", f"{v1}/server-groups", "server_groups", **offset, total="count"),
        s("ims", "private_images", "/v2/cloudimages", "images", **marker, most=100, usual=25),
        s("ims", "image_quotas", "/v1/cloudimages/quota", "quotas.resources"),
        s("vpc", "vpc_quotas", f"{v1}/quotas", "quotas.resources"),
        s("vpc", "vpcs", f"{v1}/vpcs", "vpcs", **marker, most=2000),
        s("vpc", "vpc_subnets", f"{v1}/subnets", "subnets", **marker, most=2000),
        s("vpc", "route_tables", f"{v1}/routetables", "routetables", **marker, most=2000),
        s("vpc", "peerings", "/v2.0/vpc/peerings", "peerings", **marker, most=2000, native=True),
        s("vpc", "public_ips", f"{v1}/publicips", "publicips", **marker, most=2000),
        s("vpc", "bandwidths", f"{v1}/bandwidths", "bandwidths", **marker, most=2000),
        s("vpc", "flow_logs", f"{v1}/fl/flow_logs", "flow_logs", **marker, most=2000),
        s("vpcep", "endpoints", f"{v1}/vpc-endpoints", "endpoints", **offset, **total, usual=10),
        s("vpcep", "endpoint_services", f"{v1}/vpc-endpoint-services", "endpoint_services", **offset, **total,
          usual=10),
        s("nat", "nat_gateways", f"{v2}/nat_gateways", "nat_gateways", **marker, most=2000),
        s("nat", "snat_rules", f"{v2}/snat_rules", "snat_rules", **marker, most=2000),
        s("nat", "dnat_rules", f"{v2}/dnat_rules", "dnat_rules", **marker, most=2000),
        s("elb", "classic_load_balancers", "/v1.0/{p}/elbaas/loadbalancers", "loadbalancers"),
        s("elb", "shared_load_balancers", f"{v2}/elb/loadbalancers", "loadbalancers", **marker),
        s("elb", "dedicated_load_balancers", f"{v3}/elb/loadbalancers", "loadbalancers", **marker, most=2000),
        s("elb", "elb_listeners", f"{v3}/elb/listeners", "listeners", **marker, most=2000),
        s("elb", "elb_pools", f"{v3}/elb/pools", "pools", **marker, most=2000),
        s("elb", "elb_members", f"{v3}/elb/pools/{{parent}}/members", "members", **marker, most=2000),
        s("elb", "elb_certificates", f"{v3}/elb/certificates", "certificates", **marker, most=2000),
        s("rds", "rds_instances", f"{v3}/instances", "instances", **offset, **total, most=100, usual=100),
        s("rds", "rds_backups", f"{v3}/backups", "backups", **offset, **total, most=100, usual=100,
          parent="instance_id"),
        s("dds", "dds_instances", f"{v3}/instances", "instances", **offset, **total, most=100, usual=100),
        s("gaussdb-nosql", "nosql_instances", f"{v3}/instances", "instances", **offset, **total, most=100, usual=100),
        s("ddm", "ddm_instances", f"{v1}/instances", "instances", **offset, total="instance_num", most=128),
        s("dcs", "dcs_instances", f"{v2}/instances", "instances", **offset, total="instance_num", usual=10),
        s("dms", "dms_instances", f"{v2}/instances", "instances", **offset, total="instance_num", usual=10, most=50),
        s("cce", "cce_clusters", "/api/v3/projects/{p}/clusters", "items"),
        s("cce", "cce_nodes", "/api/v3/projects/{p}/clusters/{parent}/nodes", "items"),
        s("swr", "image_repositories", "/v2/manage/repos", "", **offset, most=1000, usual=100),
        s("as", "scaling_groups", "/autoscaling-api/v1/{p}/scaling_group", "scaling_groups", "start_number", 100, 20,
          start="start_number", total="total_number"),
        s("as", "scaling_configurations", "/autoscaling-api/v1/{p}/scaling_configuration", "scaling_configurations",
          "start_number", 100, 20, start="start_number", total="total_number"),
        s("as", "scaling_instances", "/autoscaling-api/v1/{p}/scaling_group_instance/{parent}/list",
          "scaling_group_instances", "start_number", 100, 20, start="start_number", total="total_number",
          id_field="instance_id"),
        s("sfs", "file_shares", f"{v2}/shares/detail", "shares", **offset, native=True),
        s("sfs-turbo", "turbo_shares", f"{v1}/sfs-turbo/shares/detail", "shares", **offset, most=200, usual=200,
          total="count"),
        s("kms", "keys", "/v1.0/{p}/kms/list-keys", "key_details", "body_marker", 1000, 1000, "key_id",
          method="POST"),
        s("ces", "alarms", "/V1.0/{p}/alarms", "metric_alarms", "ces", 100, 100, "alarm_id", start="start"),
        s("ces", "metrics", "/V1.0/{p}/metrics", "metrics", "ces", start="start"),
        s("cts", "trackers", "/v1.0/{p}/tracker", "?"),
        s("smn", "topics", f"{v2}/notifications/topics", "topics", **offset, most=100, usual=100, total="topic_count"),
        s("lts", "log_groups", f"{v2}/groups", "log_groups"),
        s("fgs", "functions", f"{v2}/fgs/functions", "functions", "numbered_marker", 400, 400, "func_urn",
          limit="maxitems"),
        s("css", "search_clusters", "/v1.0/{p}/clusters", "clusters", total="totalSize"),
        s("mrs", "data_clusters", "/v1.1/{p}/cluster_infos", "clusters", "page", 100, 10, limit="pageSize",
          start="currentPage", total="clusterTotal"),
        s("dws", "warehouses", "/v1.0/{p}/clusters", "clusters"),
        s("waf", "waf_hosts", f"{v1}/waf/instance", "items", **offset, most=100, usual=10, total="total"),
        s("eps", "enterprise_projects", "/v1.0/enterprise-projects", "enterprise_projects", **offset, **total,
          account=True),
        s("tms", "tags", "/v1.0/predefine_tags", "tags", "numbered_marker", 1000, 1000, account=True),
        s("rts", "rts_stacks", f"{v1}/stacks", "stacks", **marker, native=True),
        # OpenStack services that the lab has no real one of
        s("dns", "dns_zones", "/v2/zones", "zones", **marker, most=500, usual=500, native=True),
        s("dns", "dns_records", "/v2/recordsets", "recordsets", **marker, most=500, usual=500, native=True),
        s("orchestration", "stacks", f"{v1}/stacks", "stacks", **marker, native=True),
        s("key-manager", "secrets", "/v1/secrets", "secrets", "offset", 100, 10, start="offset", total="total",
          native=True),
    )  # fmt: skip


SHAPES: tuple[Shape, ...] = _shapes()
READS_BY_POST = (
    "/kms/list-keys",
    "/batch-query-metric-data",
    "/OS-CREDENTIAL/securitytokens",
    "/resources/filter",
    "/resource-instances/filter",
)
"""Ends of paths that are read with POST."""

TYPES: dict[str, str] = {
    **{service: service for service in sorted({shape.service for shape in SHAPES})},
    "obs": "obs",
    "iam": "iam",
}
"""Services by the type that the lab's catalogue gives them."""
