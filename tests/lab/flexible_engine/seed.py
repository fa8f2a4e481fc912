# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant's objects in Flexible Engine's own services: at least one of every kind, hostile names among them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from .shapes import ACCOUNT, SHAPES

HOSTILE = "a b'\"{{ 7*7 }}/../é<script>alert(1)</script>"
FORMULA = '=HYPERLINK("http://evil.example")'
REGION = "RegionOne"
DAY = "2026-01-01T00:00:00Z"


def ident(name: str) -> str:
    """A UUID that is always the same for a name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"flexible-engine {name}"))


def project(
    project_id: str, servers: Sequence[str] = (), volumes: Sequence[str] = (), name: str = "acme"
) -> dict[str, list[dict[str, Any]]]:
    """The rows of a project by kind. servers, volumes: ids of its real ones; made up where there are none."""

    def i(what: str) -> str:
        return ident(f"{name} {what}")

    servers = list(servers) or [i("server 1"), i("server 2")]
    volumes = list(volumes) or [i("volume 1")]
    vpc, network, subnet, address, key = i("vpc"), i("network"), i("subnet"), i("eip"), i("key")
    rds, cluster, vault, nat, balancer = i("rds"), i("cce"), i("vault"), i("nat"), i("elb3")
    tags = [{"key": "env", "value": "prod"}]
    rows: dict[str, list[dict[str, Any]]] = {
        "ecs_servers": [
            {
                "id": server,
                "name": f"{name}-{number}" if number else HOSTILE,
                "status": "ACTIVE",
                "created": DAY,
                "updated": DAY,
                "flavor": {"id": "s3.large.2", "name": "s3.large.2", "vcpus": "2", "ram": "4096", "disk": "0"},
                "metadata": {
                    "charging_mode": "0",
                    "metering.imagetype": "gold" if number % 2 else "private",
                    "metering.image_id": i("image"),
                    "image_name": "CentOS 7.9",
                    "os_type": "Linux",
                    "os_bit": "64",
                    "vpc_id": vpc,
                },
                "OS-EXT-SRV-ATTR:user_data": "IyEvYmluL3NoCmVjaG8gc2VjcmV0Cg==",
                "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
                "OS-EXT-STS:task_state": None,
                "enterprise_project_id": "0",
                "sys_tags": [],
                "tags": ["env=prod"],
            }
            for number, server in enumerate(servers)
        ],
        "ecs_tags": [{"key": "env", "values": ["prod", "test"]}, {"key": FORMULA, "values": [HOSTILE]}],
        "bare_metal": [
            {"id": i("bms"), "name": "ora-1", "status": "ACTIVE", "created": DAY, "flavor": {"id": "physical.o2"}}
        ],
        "dedicated_hosts": [
            {
                "dedicated_host_id": i("deh"),
                "name": "licensed",
                "state": "available",
                "allocated_at": DAY,
                "available_vcpus": 12,
                "instance_total": 1,
                "host_properties": {"host_type": "s3", "vcpus": 36},
            }
        ],
        "cloud_volumes": [
            {
                "id": volume,
                "name": f"{name}-disk-{number}",
                "status": "in-use",
                "size": 40,
                "created_at": "2026-01-01T00:00:00.000000",
                "wwn": f"6888603000{number:06}fa16",
                "service_type": "EVS",
                "metadata": {"__system__encrypted": "0"},
                "enterprise_project_id": "0",
                "tags": {},
            }
            for number, volume in enumerate(volumes)
        ],
        "volume_backups": [
            {
                "id": i("vbs"),
                "name": "monday",
                "status": "available",
                "size": 40,
                "created_at": DAY,
                "volume_id": volumes[0],
            }
        ],
        "volume_backup_policies": [
            {
                "backup_policy_id": i("vbs policy"),
                "backup_policy_name": "nightly",
                "policy_resource_count": 1,
                "scheduled_policy": {"frequency": 1, "rentention_num": 7, "start_time": "02:00", "status": "ON"},
            }
        ],
        "server_backups": [
            {
                "id": i("csbs item"),
                "name": "before-upgrade",
                "status": "available",
                "created_at": DAY,
                "checkpoint_id": i("csbs"),
                "resource_id": servers[0],
                "resource_type": "OS::Nova::Server",
                "extend_info": {"volume_backups": [{"id": i("vbs"), "source_volume_id": volumes[0]}]},
            }
        ],
        "server_backup_policies": [
            {"id": i("csbs policy"), "name": "weekly", "status": "suspended", "resources": [{"id": servers[0]}]}
        ],
        "vaults": [
            {
                "id": vault,
                "name": HOSTILE,
                "created_at": DAY,
                "billing": {"status": "available", "size": 100, "used": 2048, "object_type": "server"},
                "resources": [{"id": servers[0], "type": "OS::Nova::Server"}],
            }
        ],
        "vault_backups": [
            {
                "id": i("cbr"),
                "name": "auto",
                "status": "available",
                "created_at": DAY,
                "vault_id": vault,
                "resource_size": 40,
            }
        ],
        "vault_policies": [{"id": i("cbr policy"), "name": "daily", "enabled": True, "operation_type": "backup"}],
        "protection_groups": [{"id": i("sdrs"), "name": "dr", "status": "protected", "created_at": DAY}],
        "private_images": [
            {
                "id": i("image"),
                "name": "golden web",
                "status": "active",
                "created_at": DAY,
                "min_disk": 40,
                "__image_size": "1073741824",
                "__imagetype": "private",
                "__os_type": "Linux",
                "__platform": "CentOS",
                "__os_version": "CentOS 7.9 64bit",
                "__support_xen": "true",
                "hw_firmware_type": "bios",
            }
        ],
        "image_quotas": [{"type": "image", "used": 1, "quota": 50, "min": 0, "max": 200}],
        "vpc_quotas": [
            {"type": "vpc", "used": 1, "quota": 5, "min": 0},
            {"type": "publicIp", "used": 1, "quota": 10, "min": 0},
        ],
        "vpcs": [{"id": vpc, "name": "prod", "cidr": "10.20.0.0/16", "status": "OK", "routes": []}],
        "vpc_subnets": [
            {
                "id": network,
                "name": "app",
                "cidr": "10.20.0.0/24",
                "gateway_ip": "10.20.0.1",
                "dhcp_enable": True,
                "primary_dns": "100.125.0.41",
                "secondary_dns": "100.126.0.41",
                "dnsList": ["100.125.0.41", "100.126.0.41"],
                "status": "ACTIVE",
                "vpc_id": vpc,
                "neutron_subnet_id": subnet,
                "neutron_network_id": network,
            }
        ],
        "route_tables": [
            {
                "id": i("route table"),
                "name": "rtb-prod",
                "default": True,
                "vpc_id": vpc,
                "subnets": [{"id": network}],
                "routes": [{"type": "eni", "destination": "192.168.0.0/24", "nexthop": i("port")}],
            }
        ],
        "peerings": [
            {
                "id": i("peering"),
                "name": "to-partner",
                "status": "ACTIVE",
                "request_vpc_info": {"vpc_id": vpc, "tenant_id": project_id},
                "accept_vpc_info": {"vpc_id": i("foreign vpc"), "tenant_id": i("foreign tenant")},
            }
        ],
        "public_ips": [
            {
                "id": address,
                "type": "5_bgp",
                "status": "ACTIVE",
                "public_ip_address": "203.0.113.10",
                "private_ip_address": "10.20.0.11",
                "port_id": i("port"),
                "bandwidth_id": i("bandwidth"),
                "bandwidth_size": 100,
                "create_time": "2026-01-01 00:00:00",
                "enterprise_project_id": "0",
            }
        ],
        "bandwidths": [
            {
                "id": i("bandwidth"),
                "name": "shared",
                "size": 100,
                "share_type": "WHOLE",
                "charge_mode": "traffic",
                "publicip_info": [{"publicip_id": address, "publicip_address": "203.0.113.10"}],
            }
        ],
        "flow_logs": [{"id": i("flow log"), "name": "all", "status": "ACTIVE", "resource_type": "network"}],
        "endpoints": [
            {
                "id": i("vpcep"),
                "status": "accepted",
                "endpoint_service_name": "obs.interface",
                "vpc_id": vpc,
                "ip": "10.20.0.200",
                "created_at": DAY,
            }
        ],
        "endpoint_services": [
            {
                "id": i("vpcep service"),
                "service_name": "eu.shop",
                "status": "available",
                "connection_count": 3,
                "created_at": DAY,
            }
        ],
        "nat_gateways": [
            {"id": nat, "name": "egress", "status": "ACTIVE", "spec": "1", "router_id": vpc, "created_at": DAY}
        ],
        "snat_rules": [
            {
                "id": i("snat"),
                "nat_gateway_id": nat,
                "network_id": network,
                "status": "ACTIVE",
                "floating_ip_id": address,
            }
        ],
        "dnat_rules": [
            {
                "id": i("dnat"),
                "nat_gateway_id": nat,
                "port_id": "",
                "private_ip": "10.20.0.11",
                "internal_service_port": 22,
                "external_service_port": 2222,
                "protocol": "tcp",
                "status": "ACTIVE",
                "floating_ip_id": address,
                "floating_ip_address": "203.0.113.10",
            }
        ],
        "classic_load_balancers": [
            {"id": i("elb1"), "name": "old", "status": "ACTIVE", "vip_address": "203.0.113.11", "create_time": DAY}
        ],
        "shared_load_balancers": [
            {
                "id": i("elb2"),
                "name": "shop",
                "provisioning_status": "ACTIVE",
                "operating_status": "ONLINE",
                "vip_address": "10.20.0.100",
                "vip_port_id": i("vip port"),
                "listeners": [],
                "pools": [],
            }
        ],
        "dedicated_load_balancers": [
            {
                "id": balancer,
                "name": HOSTILE,
                "provisioning_status": "ACTIVE",
                "guaranteed": True,
                "vip_address": "10.20.0.101",
                "vip_port_id": i("vip port 3"),
                "vpc_id": vpc,
            },
            {"id": i("elb2"), "name": "shop", "provisioning_status": "ACTIVE", "guaranteed": False},
        ],
        "elb_listeners": [
            {
                "id": i("listener"),
                "name": "https",
                "protocol": "TERMINATED_HTTPS",
                "protocol_port": 443,
                "loadbalancers": [{"id": balancer}],
                "default_pool_id": i("pool"),
            }
        ],
        "elb_pools": [
            {
                "id": i("pool"),
                "name": "web",
                "protocol": "HTTP",
                "lb_algorithm": "ROUND_ROBIN",
                "loadbalancers": [{"id": balancer}],
                "members": [{"id": i("member")}],
            }
        ],
        "elb_members": [
            {
                "_cluster": i("pool"),
                "id": i("member"),
                "name": "",
                "address": "10.20.0.11",
                "protocol_port": 8080,
                "subnet_cidr_id": i("subnet"),
                "weight": 1,
                "admin_state_up": True,
                "operating_status": "ONLINE",
            }
        ],
        "elb_certificates": [
            {
                "id": i("certificate"),
                "name": "shop.example",
                "type": "server",
                "private_key": "-----BEGIN KEY-----",
                "expire_time": "2027-01-01T00:00:00Z",
            }
        ],
        "rds_instances": [
            {
                "id": rds,
                "name": "shop-db",
                "status": "ACTIVE",
                "created": DAY,
                "datastore": {"type": "PostgreSQL", "version": "12"},
                "volume": {"type": "ULTRAHIGH", "size": 100},
                "private_ips": ["10.20.0.150"],
                "vpc_id": vpc,
                "subnet_id": network,
                "nodes": [{"id": i("rds node"), "role": "master"}],
            }
        ],
        "rds_backups": [
            {
                "id": i("rds backup"),
                "name": "manual",
                "type": "manual",
                "size": 2097152,
                "status": "COMPLETED",
                "begin_time": DAY,
                "instance_id": rds,
            }
        ],
        "dds_instances": [
            {"id": i("dds"), "name": "catalogue", "status": "normal", "created": DAY, "mode": "ReplicaSet"}
        ],
        "nosql_instances": [{"id": i("nosql"), "name": "events", "status": "normal", "created": DAY}],
        "ddm_instances": [{"id": i("ddm"), "name": "sharded", "status": "RUNNING", "created": DAY}],
        "dcs_instances": [
            {
                "instance_id": i("dcs"),
                "name": "sessions",
                "status": "RUNNING",
                "created_at": DAY,
                "capacity": 4,
                "engine": "Redis",
                "engine_version": "5.0",
                "used_memory": 120,
                "max_memory": 4096,
                "ip": "10.20.0.160",
            }
        ],
        "dms_instances": [
            {
                "instance_id": i("dms"),
                "name": "orders",
                "status": "RUNNING",
                "created_at": "1767225600000",
                "engine": "kafka",
                "total_storage_space": 300,
                "used_storage_space": 17,
                "connect_address": "10.20.0.170",
            }
        ],
        "cce_clusters": [
            {
                "kind": "Cluster",
                "metadata": {"name": "k8s", "uid": cluster, "creationTimestamp": DAY},
                "spec": {"version": "v1.21", "type": "VirtualMachine"},
                "status": {"phase": "Available"},
            }
        ],
        "cce_nodes": [
            {
                "kind": "Node",
                "_cluster": cluster,
                "metadata": {"name": "k8s-node-1", "uid": i("cce node"), "creationTimestamp": DAY},
                "spec": {"flavor": "s3.large.2"},
                "status": {"phase": "Active", "serverId": servers[-1]},
            }
        ],
        "image_repositories": [
            {
                "name": "web",
                "namespace": "shop",
                "path": "swr.example/shop/web",
                "size": 73400320,
                "num_images": 4,
                "num_download": 12,
                "created_at": DAY,
            }
        ],
        "scaling_groups": [
            {
                "scaling_group_id": i("as"),
                "scaling_group_name": "web",
                "scaling_group_status": "INSERVICE",
                "scaling_configuration_id": i("as config"),
                "create_time": DAY,
                "current_instance_number": 1,
                "desire_instance_number": 1,
                "vpc_id": vpc,
            }
        ],
        "scaling_configurations": [
            {
                "scaling_configuration_id": i("as config"),
                "scaling_configuration_name": "web",
                "create_time": DAY,
                "instance_config": {"flavorRef": "s3.large.2", "user_data": "IyEvYmluL3NoCg==", "key_name": "ops"},
            }
        ],
        "scaling_instances": [
            {
                "_cluster": i("as"),
                "instance_id": servers[-1],
                "instance_name": "web-as-1",
                "scaling_group_id": i("as"),
                "scaling_group_name": "web",
                "scaling_configuration_id": i("as config"),
                "life_cycle_state": "INSERVICE",
                "health_status": "NORMAL",
                "create_time": DAY,
            }
        ],
        "file_shares": [
            {
                "id": i("sfs"),
                "name": "home",
                "status": "available",
                "size": 500,
                "share_proto": "NFS",
                "created_at": DAY,
            }
        ],
        "turbo_shares": [
            {
                "id": i("turbo"),
                "name": HOSTILE,
                "status": "200",
                "size": "500.00",
                "avail_capacity": "480.12",
                "share_proto": "NFS",
                "vpc_id": vpc,
                "subnet_id": network,
                "created_at": DAY,
            }
        ],
        "keys": [
            {
                "key_id": key,
                "key_alias": "disks",
                "key_state": "2",
                "creation_date": "1767225600000",
                "key_description": FORMULA,
            }
        ],
        "alarms": [
            {
                "alarm_id": "al1767225600000abcdef",
                "alarm_name": "cpu high",
                "alarm_enabled": True,
                "alarm_state": "ok",
                "metric": {
                    "namespace": "SYS.ECS",
                    "metric_name": "cpu_util",
                    "dimensions": [{"name": "instance_id", "value": servers[0]}],
                },
            }
        ],
        "metrics": [
            {
                "namespace": "SYS.ECS",
                "metric_name": metric,
                "unit": "%",
                "dimensions": [{"name": "instance_id", "value": server}],
            }
            for metric in ("cpu_util", "mem_util")
            for server in servers
        ]
        + [
            {
                "namespace": "SYS.RDS",
                "metric_name": "rds001_cpu_util",
                "unit": "%",
                "dimensions": [{"name": "rds_cluster_id", "value": rds}],
            },
            {
                "namespace": "SYS.APIG",
                "metric_name": "requests",
                "unit": "count",
                "dimensions": [{"name": "api_id", "value": i("forgotten api")}],
            },
        ],
        "datapoints": [
            {"namespace": "SYS.ECS", "metric_name": metric, "value": server, "values": values}
            for number, server in enumerate(servers)
            for metric, values in (
                ("cpu_util", [float(10 + (number * 7 + hour) % 20) for hour in range(48)]),
                ("mem_util", [40.0 + number] * 48),
                ("network_incoming_bytes_aggregate_rate", [1000.0] * 48),
                ("network_outgoing_bytes_aggregate_rate", [500.0] * 48),
            )
        ],
        "trackers": [
            {"tracker_name": "system", "bucket_name": f"{name}-audit", "status": "enabled", "file_prefix_name": "cts"}
        ],
        "topics": [{"topic_urn": f"urn:smn:{REGION}:{project_id}:alerts", "name": "alerts", "display_name": HOSTILE}],
        "log_groups": [
            {"log_group_id": i("lts"), "log_group_name": "web", "creation_time": 1767225600000, "ttl_in_days": 7}
        ],
        "functions": [
            {
                "func_urn": f"urn:fss:{REGION}:{project_id}:function:default:thumbs:latest",
                "func_name": "thumbs",
                "runtime": "Python3.6",
                "last_modified": DAY,
            }
        ],
        "search_clusters": [{"id": i("css"), "name": "search", "status": "200", "created": DAY, "updated": DAY}],
        "data_clusters": [
            {
                "clusterId": i("mrs"),
                "clusterName": "lake",
                "clusterState": "running",
                "createAt": "1767225600",
                "duration": "1234",
                "fee": "0.0",
            }
        ],
        "warehouses": [{"id": i("dws"), "name": "bi", "status": "AVAILABLE", "created": DAY, "number_of_node": 3}],
        "waf_hosts": [{"id": i("waf"), "hostname": "shop.example", "timestamp": 1767225600000, "protect_status": 1}],
        "rts_stacks": [
            {"id": i("rts"), "stack_name": "legacy", "stack_status": "CREATE_COMPLETE", "creation_time": DAY}
        ],
        "dns_zones": [
            {
                "id": i("zone"),
                "name": "shop.example.",
                "status": "ACTIVE",
                "created_at": DAY,
                "serial": 7,
                "email": "ops@shop.example",
            },
        ],
        "dns_records": [
            {
                "id": i("record"),
                "name": "www.shop.example.",
                "type": "A",
                "records": ["203.0.113.10"],
                "zone_id": i("zone"),
                "zone_name": "shop.example.",
                "status": "ACTIVE",
                "created_at": DAY,
                "ttl": 300,
            }
        ],
        "stacks": [
            {
                "id": i("stack"),
                "stack_name": "network",
                "stack_status": "CREATE_COMPLETE",
                "creation_time": DAY,
                "description": "",
                "tags": None,
            }
        ],
        "secrets": [
            {
                "name": "db password",
                "status": "ACTIVE",
                "created": DAY,
                "secret_type": "passphrase",
                "algorithm": "aes",
                "secret_ref": f"http://key-manager.example/v1/secrets/{i('secret')}",
            }
        ],
    }
    for kind in ("vpcs", "rds_instances", "dcs_instances"):
        rows[kind][0]["tags"] = tags
    return rows


def account(name: str = "acme") -> dict[str, list[dict[str, Any]]]:
    """What belongs to the account and to none of its projects."""
    return {
        "enterprise_projects": [
            {"id": "0", "name": "default", "status": 1, "type": "prod"},
            {"id": ident(f"{name} eps"), "name": HOSTILE, "status": 1, "type": "prod"},
        ],
        "tags": [
            {"key": "env", "value": "prod", "update_time": DAY},
            {"key": "env", "value": HOSTILE, "update_time": DAY},
        ],
        "buckets": [
            {
                "name": f"{name}-files",
                "created": "2026-01-01T00:00:00.000Z",
                "region": REGION,
                "bytes": 5 * 1024**3,
                "objects": 1200,
                "versioning": "Enabled",
                "policy": {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}]},
            },
            {
                "name": f"{name}-audit",
                "created": "2026-01-02T00:00:00.000Z",
                "region": "elsewhere",
                "bytes": 4096,
                "objects": 2,
                "no_storageinfo": True,
            },
        ],
    }


def data(
    project_id: str, servers: Sequence[str] = (), volumes: Sequence[str] = (), name: str = "acme"
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """All of it, as the server wants it."""
    return {project_id: project(project_id, servers, volumes, name), ACCOUNT: account(name)}


def kinds() -> set[str]:
    """The kinds that the server lists, buckets included."""
    return {shape.kind for shape in SHAPES} | {"buckets"}
