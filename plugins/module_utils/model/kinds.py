# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of objects that a tenant can hold: who has them, what they are called, and what usually becomes of them.

One row a kind. What reads them is in `source`, what is decided for each object is in the plan; this table is only the
proposal, from the service list of the assessment (docs/assessment.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Decision = Literal["move", "translate", "replace", "recreate", "leave", "customer"]
"""What becomes of an object. move: its bytes go along; translate: the same is made at the target from its settings;
replace: a service of the target takes its place; recreate: people make it again; leave: stays behind and goes with the
source; customer: waits for the customer's word."""

DECISIONS: tuple[str, ...] = get_args(Decision)


@dataclass(frozen=True)
class Kind:
    """A kind of object.

    name: its key in the estate. service: who has it. title, title_fr: for people, plural. decision: what is proposed.
    note: why, or how. within: the kind that it is decided with (a port with its server), empty for one of its own.
    """

    name: str
    service: str
    title: str
    title_fr: str
    decision: Decision
    note: str = ""
    within: str = ""


def _kinds() -> tuple[Kind, ...]:
    k = Kind
    return (
        # OpenStack
        k("servers", "compute", "servers", "serveurs", "move"),
        k("key_pairs", "compute", "key pairs", "paires de clés", "leave", "Public keys are in the guests already."),
        k("server_groups", "compute", "server groups", "groupes de serveurs", "translate", "As placement rules."),
        k("compute_quotas", "compute", "compute quotas", "quotas de calcul", "leave", "Order as much at the target."),
        k("volumes", "block_storage", "volumes", "volumes", "move"),
        k("volume_types", "block_storage", "volume types", "types de volume", "translate", "To storage classes."),
        k("snapshots", "block_storage", "snapshots", "instantanés", "leave", "Only the disk as it is moves."),
        k("backups", "block_storage", "backups", "sauvegardes", "leave", "Not portable; restore what must be kept."),
        k("volume_quotas", "block_storage", "volume quotas", "quotas de stockage", "leave"),
        k("images", "image", "images", "images", "customer", "Only those used as templates are worth moving."),
        k("networks", "network", "networks", "réseaux", "translate", "Addresses are kept."),
        k("subnets", "network", "subnets", "sous-réseaux", "translate", within="networks"),
        k("ports", "network", "ports", "ports", "translate", within="servers"),
        k("routers", "network", "routers", "routeurs", "translate", "To an edge gateway."),
        k("security_groups", "network", "security groups", "groupes de sécurité", "translate", "To the firewall."),
        k("floating_ips", "network", "floating addresses", "adresses flottantes", "replace", "By new addresses."),
        k("vpn_services", "network", "VPN services", "services VPN", "recreate", "With the other end."),
        k("vpn_connections", "network", "VPN connections", "connexions VPN", "recreate", "With the other end."),
        k("ike_policies", "network", "IKE policies", "politiques IKE", "recreate", "With the other end."),
        k("ipsec_policies", "network", "IPsec policies", "politiques IPsec", "recreate", "With the other end."),
        k("firewall_groups", "network", "firewalls", "pare-feux", "translate", "To the edge's firewall."),
        k(
            "firewall_policies",
            "network",
            "firewall policies",
            "politiques de pare-feu",
            "translate",
            "",
            "firewall_groups",
        ),
        k("firewall_rules", "network", "firewall rules", "règles de pare-feu", "translate", "", "firewall_groups"),
        k("network_quotas", "network", "network quotas", "quotas réseau", "leave"),
        k("load_balancers", "load_balancer", "load balancers", "répartiteurs de charge", "replace"),
        k("lb_listeners", "load_balancer", "listeners", "écouteurs", "replace", within="load_balancers"),
        k("lb_pools", "load_balancer", "pools", "pools", "replace", within="load_balancers"),
        k("lb_members", "load_balancer", "pool members", "membres de pool", "replace", within="load_balancers"),
        k("lb_health_monitors", "load_balancer", "health monitors", "sondes de santé", "replace", "", "load_balancers"),
        k("lb_l7_policies", "load_balancer", "L7 policies", "politiques L7", "replace", within="load_balancers"),
        k("dns_zones", "dns", "DNS zones", "zones DNS", "recreate", "Names change addresses on the day."),
        k("dns_records", "dns", "DNS records", "enregistrements DNS", "recreate", within="dns_zones"),
        k(
            "containers",
            "object_store",
            "containers",
            "conteneurs",
            "customer",
            "Bytes can be copied to another store.",
        ),
        k("stacks", "orchestration", "stacks", "piles", "leave", "What they made is listed by itself."),
        k("secrets", "key_manager", "secrets", "secrets", "recreate", "Their content is not read."),
        # Flexible Engine
        k("ecs_servers", "ecs", "server details", "détails de serveur", "translate", within="servers"),
        k("ecs_tags", "ecs", "server tags", "étiquettes de serveur", "translate", within="servers"),
        k("bare_metal", "bms", "bare-metal servers", "serveurs physiques", "recreate"),
        k("dedicated_hosts", "deh", "dedicated hosts", "hôtes dédiés", "replace"),
        k("cloud_volumes", "evs", "volume details", "détails de volume", "translate", within="volumes"),
        k("volume_backups", "vbs", "volume backups", "sauvegardes de volume", "leave", "They cannot be exported."),
        k("volume_backup_policies", "vbs", "volume backup policies", "politiques de sauvegarde", "replace"),
        k("server_backups", "csbs", "server backups", "sauvegardes de serveur", "leave", "They cannot be exported."),
        k("server_backup_policies", "csbs", "server backup policies", "politiques de sauvegarde", "replace"),
        k("vaults", "cbr", "backup vaults", "coffres de sauvegarde", "leave", "Restore points are not portable."),
        k("vault_backups", "cbr", "vault backups", "sauvegardes de coffre", "leave", "", "vaults"),
        k("vault_policies", "cbr", "vault policies", "politiques de coffre", "replace"),
        k("protection_groups", "sdrs", "protection groups", "groupes de protection", "replace"),
        k("private_images", "ims", "private images", "images privées", "customer", within="images"),
        k("image_quotas", "ims", "image quotas", "quotas d'images", "leave"),
        k("vpcs", "vpc", "VPCs", "VPC", "translate", "To an edge gateway."),
        k("vpc_subnets", "vpc", "VPC subnets", "sous-réseaux de VPC", "translate", within="networks"),
        k("route_tables", "vpc", "route tables", "tables de routage", "translate"),
        k("peerings", "vpc", "VPC peerings", "appairages de VPC", "recreate", "Another tenant may be behind it."),
        k("public_ips", "vpc", "public addresses", "adresses publiques", "replace", "", "floating_ips"),
        k("bandwidths", "vpc", "bandwidths", "bandes passantes", "leave", "Order as much at the target."),
        k("vpc_quotas", "vpc", "VPC quotas", "quotas de VPC", "leave", "Order as much at the target."),
        k("flow_logs", "vpc", "flow logs", "journaux de flux", "leave"),
        k("endpoints", "vpcep", "VPC endpoints", "points d'accès VPC", "leave"),
        k("endpoint_services", "vpcep", "VPC endpoint services", "services de point d'accès", "leave"),
        k("nat_gateways", "nat", "NAT gateways", "passerelles NAT", "translate", "To the edge's NAT."),
        k("snat_rules", "nat", "SNAT rules", "règles SNAT", "translate", within="nat_gateways"),
        k("dnat_rules", "nat", "DNAT rules", "règles DNAT", "translate", within="nat_gateways"),
        k("classic_load_balancers", "elb", "classic load balancers", "répartiteurs classiques", "replace"),
        k("shared_load_balancers", "elb", "shared load balancers", "répartiteurs partagés", "replace"),
        k("dedicated_load_balancers", "elb", "dedicated load balancers", "répartiteurs dédiés", "replace"),
        k("elb_listeners", "elb", "ELB listeners", "écouteurs ELB", "replace", within="dedicated_load_balancers"),
        k("elb_pools", "elb", "ELB pools", "pools ELB", "replace", within="dedicated_load_balancers"),
        k("elb_members", "elb", "ELB pool members", "membres de pool ELB", "replace", within="elb_pools"),
        k("elb_certificates", "elb", "certificates", "certificats", "recreate", "Their keys come from the owner."),
        k("rds_instances", "rds", "RDS databases", "bases RDS", "recreate", "Data by dump or replication."),
        k("rds_backups", "rds", "RDS backups", "sauvegardes RDS", "leave", "Manual ones keep billing."),
        k("dds_instances", "dds", "DDS databases", "bases DDS", "recreate", "Data by dump."),
        k("nosql_instances", "nosql", "GeminiDB databases", "bases GeminiDB", "recreate"),
        k("ddm_instances", "ddm", "DDM instances", "instances DDM", "recreate"),
        k("dcs_instances", "dcs", "DCS caches", "caches DCS", "recreate"),
        k("dms_instances", "dms", "DMS queues", "files DMS", "recreate"),
        k("cce_clusters", "cce", "CCE clusters", "grappes CCE", "recreate", "Deploy again from their manifests."),
        k("cce_nodes", "cce", "CCE nodes", "nœuds CCE", "recreate", within="cce_clusters"),
        k("image_repositories", "swr", "image repositories", "dépôts d'images", "customer", "By a registry copy."),
        k("scaling_groups", "as", "scaling groups", "groupes d'autoscaling", "recreate", "Suspend before a move."),
        k(
            "scaling_configurations",
            "as",
            "scaling configurations",
            "configurations d'autoscaling",
            "recreate",
            "",
            "scaling_groups",
        ),
        k(
            "scaling_instances",
            "as",
            "scaling group members",
            "membres de groupe d'autoscaling",
            "recreate",
            within="scaling_groups",
        ),
        k("file_shares", "sfs", "file shares", "partages de fichiers", "customer", "By a copy from inside."),
        k("turbo_shares", "sfs_turbo", "SFS Turbo shares", "partages SFS Turbo", "customer", "By a copy from inside."),
        k("buckets", "obs", "buckets", "buckets", "customer", "Bytes can be copied to another store."),
        k("keys", "kms", "KMS keys", "clés KMS", "recreate", "Not portable: data is encrypted anew."),
        k("alarms", "ces", "alarms", "alarmes", "recreate"),
        k("metrics", "ces", "metric dimensions", "dimensions de métriques", "leave"),
        k("trackers", "cts", "audit trackers", "traceurs d'audit", "leave", "Copy the logs that must be kept."),
        k("topics", "smn", "notification topics", "sujets de notification", "recreate"),
        k("log_groups", "lts", "log groups", "groupes de journaux", "leave"),
        k("functions", "fgs", "functions", "fonctions", "recreate"),
        k("search_clusters", "css", "search clusters", "grappes de recherche", "recreate"),
        k("data_clusters", "mrs", "MapReduce clusters", "grappes MapReduce", "recreate"),
        k("warehouses", "dws", "data warehouses", "entrepôts de données", "recreate"),
        k("waf_hosts", "waf", "WAF domains", "domaines WAF", "replace"),
        k("enterprise_projects", "eps", "enterprise projects", "projets d'entreprise", "leave"),
        k("tags", "tms", "predefined tags", "étiquettes prédéfinies", "leave"),
        k("rts_stacks", "rts", "RTS stacks", "piles RTS", "leave", "What they made is listed by itself."),
    )


KINDS: dict[str, Kind] = {kind.name: kind for kind in _kinds()}
"""Every kind by its name, in the order of documents."""

TYPED = (
    "servers",
    "volumes",
    "snapshots",
    "images",
    "ports",
    "networks",
    "subnets",
    "security_groups",
    "floating_ips",
)
"""The kinds that an estate holds with fields of their own; all others are `Resource`s."""
