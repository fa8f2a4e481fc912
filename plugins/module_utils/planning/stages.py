# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the turn of each kind of object is in a decommission, and what its deletion means. One row a kind.

The order is that of the provider's services: what depends on others first, data after what uses it, keys last and
alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import STAGES, Stage

SETTINGS = "can be made again from the estate document; no recycle bin"
NOTHING = "nothing once it is deleted: no recycle bin"
COPY = "nothing once it is deleted; it is itself a way to restore what it was made of"
SEVEN_DAYS = "the deletion can be cancelled for at least 7 days; then nothing that it encrypted can be read again"


@dataclass(frozen=True)
class Row:
    """A kind in a decommission.

    stage, rank: its turn, and within it; stage empty: it is no object that can be deleted (`why`). data: whether it
    holds what cannot be made again from settings, so that it goes only by a choice of people or with a proven move.
    bills: whether it costs money as long as it is there. serves: whether it works for what it mentions, so that it
    stays while any of that stays. twin: kind that shows the same object under the same id; where it does, that is the
    object. restorable: what can be restored after its deletion.
    """

    kind: str
    stage: Stage | None
    rank: int = 0
    data: bool = False
    bills: bool = False
    serves: bool = False
    twin: str = ""
    restorable: str = SETTINGS
    why: str = ""

    @property
    def turn(self) -> tuple[int, int]:
        """Sorts kinds by their turn."""
        return (STAGES.index(self.stage) if self.stage else len(STAGES), self.rank)


def _rows() -> tuple[Row, ...]:
    def no(kind: str, why: str, twin: str = "") -> Row:
        return Row(kind, None, twin=twin, restorable="", why=why)

    r = Row
    quota = "a quota goes with the project"
    return (
        # what would act by itself, or make things anew
        r("volume_backup_policies", "freeze", 0, serves=True),
        r("server_backup_policies", "freeze", 0, serves=True),
        r("vault_policies", "freeze", 0, serves=True),
        r("flow_logs", "freeze", 1, serves=True),
        r("functions", "freeze", 2, data=True, bills=True, restorable=NOTHING),
        # front doors
        r("waf_hosts", "front_doors", 0, bills=True, serves=True),
        r("lb_l7_policies", "front_doors", 1, serves=True),
        r("lb_members", "front_doors", 2, serves=True),
        r("elb_members", "front_doors", 2, serves=True),
        r("lb_health_monitors", "front_doors", 3, serves=True),
        r("lb_pools", "front_doors", 4, serves=True),
        r("elb_pools", "front_doors", 4, serves=True),
        r("lb_listeners", "front_doors", 5, serves=True),
        r("elb_listeners", "front_doors", 5, serves=True),
        r("load_balancers", "front_doors", 6, bills=True, serves=True),
        r("classic_load_balancers", "front_doors", 6, bills=True, serves=True),
        r("shared_load_balancers", "front_doors", 6, bills=True, serves=True, twin="load_balancers"),
        r("dedicated_load_balancers", "front_doors", 6, bills=True, serves=True, twin="load_balancers"),
        r("elb_certificates", "front_doors", 7, data=True, restorable=NOTHING),
        r("endpoints", "front_doors", 8, bills=True, serves=True),
        r("endpoint_services", "front_doors", 9, bills=True, serves=True),
        # what owns other objects
        r("stacks", "orchestrators", 0, serves=True),
        r("rts_stacks", "orchestrators", 0, serves=True, twin="stacks"),
        r("cce_nodes", "orchestrators", 1, data=True, bills=True, restorable=NOTHING),
        r("cce_clusters", "orchestrators", 2, data=True, bills=True, restorable=NOTHING),
        r("scaling_groups", "orchestrators", 3, serves=True),
        r("scaling_configurations", "orchestrators", 4),
        r("data_clusters", "orchestrators", 5, data=True, bills=True, restorable=NOTHING),
        r("warehouses", "orchestrators", 5, data=True, bills=True, restorable=NOTHING),
        r("search_clusters", "orchestrators", 5, data=True, bills=True, restorable=NOTHING),
        r("protection_groups", "orchestrators", 6, data=True, bills=True, serves=True, restorable=NOTHING),
        # managed data
        r("ddm_instances", "managed_data", 0, data=True, bills=True, restorable=NOTHING),
        r("rds_instances", "managed_data", 1, data=True, bills=True, restorable="from its manual backups only"),
        r("rds_backups", "managed_data", 2, data=True, bills=True, restorable=COPY),
        r("dds_instances", "managed_data", 3, data=True, bills=True, restorable=NOTHING),
        r("nosql_instances", "managed_data", 3, data=True, bills=True, restorable=NOTHING),
        r("dcs_instances", "managed_data", 3, data=True, bills=True, restorable=NOTHING),
        r("dms_instances", "managed_data", 3, data=True, bills=True, restorable=NOTHING),
        # servers
        r("servers", "servers", 0, data=True, bills=True, restorable="from images and backups of it, while they stay"),
        r("bare_metal", "servers", 0, data=True, bills=True, restorable=NOTHING, twin="servers"),
        r("dedicated_hosts", "servers", 1, bills=True, serves=True),
        r("server_groups", "servers", 2, serves=True),
        # images before the backups that they are made of
        r("images", "images", 0, data=True, bills=True, restorable=COPY),
        r("private_images", "images", 0, data=True, bills=True, restorable=COPY, twin="images"),
        # backups
        r("vault_backups", "backups", 0, data=True, bills=True, restorable=COPY),
        r("vaults", "backups", 1, data=True, bills=True, serves=True),
        r("server_backups", "backups", 2, data=True, bills=True, restorable=COPY),
        r("volume_backups", "backups", 3, data=True, bills=True, restorable=COPY),
        r("backups", "backups", 3, data=True, bills=True, restorable=COPY, twin="volume_backups"),
        # volumes
        r("snapshots", "volumes", 0, data=True, bills=True, restorable=COPY),
        r("volumes", "volumes", 1, data=True, bills=True, restorable="from backups of it, while they stay"),
        # rules of a gateway before its addresses: a bound address cannot be released
        r("dnat_rules", "addresses", 0, serves=True),
        r("snat_rules", "addresses", 0, serves=True),
        r("floating_ips", "addresses", 1, bills=True, serves=True, restorable="never: the address is given to others"),
        r("public_ips", "addresses", 1, bills=True, serves=True, restorable="never", twin="floating_ips"),
        r("bandwidths", "addresses", 2, bills=True, serves=True),
        r("nat_gateways", "nat", 0, bills=True, serves=True),
        # file systems
        r("file_shares", "file_systems", 0, data=True, bills=True, restorable=NOTHING),
        r("turbo_shares", "file_systems", 0, data=True, bills=True, restorable=NOTHING),
        # the network
        r("ports", "network", 0),
        r("vpn_connections", "network", 1, bills=True, serves=True),
        r("vpn_services", "network", 2, bills=True, serves=True),
        r("ike_policies", "network", 3),
        r("ipsec_policies", "network", 3),
        r("firewall_groups", "network", 4, serves=True),
        r("firewall_policies", "network", 5),
        r("firewall_rules", "network", 6),
        r("peerings", "network", 7, serves=True),
        r("security_groups", "network", 8),
        r("route_tables", "network", 9, serves=True),
        r("routers", "network", 10, serves=True),
        r("subnets", "network", 11, serves=True),
        r("networks", "network", 12),
        r("vpc_subnets", "network", 13, twin="networks"),
        r("vpcs", "network", 14, twin="routers"),
        # names
        r("dns_records", "names", 0, data=True, serves=True),
        r("dns_zones", "names", 1, data=True, bills=True),
        # what watches, to the end
        r("image_repositories", "watching", 0, data=True, bills=True, restorable=NOTHING),
        r("alarms", "watching", 1, serves=True),
        r("topics", "watching", 2),
        r("log_groups", "watching", 3, data=True, bills=True, restorable=NOTHING),
        r("trackers", "watching", 4, data=True),
        # stores of objects
        r("containers", "buckets", 0, data=True, bills=True, restorable=NOTHING),
        r("buckets", "buckets", 0, data=True, bills=True, restorable=NOTHING),
        # keys, alone
        r("secrets", "keys", 0, data=True, restorable=NOTHING),
        r("keys", "keys", 1, data=True, bills=True, restorable=SEVEN_DAYS),
        # no objects
        no("compute_quotas", quota),
        no("volume_quotas", quota),
        no("network_quotas", quota),
        no("image_quotas", quota),
        no("vpc_quotas", quota),
        no("key_pairs", "it belongs to a user and not to the project: its user deletes it"),
        no("volume_types", "the cloud's own"),
        no("ecs_servers", "details of a server", "servers"),
        no("ecs_tags", "names of labels of servers"),
        no("cloud_volumes", "details of a volume", "volumes"),
        no("scaling_instances", "the membership of a server in a scaling group", "servers"),
        no("metrics", "what was measured; it expires by itself"),
        no("enterprise_projects", "cannot be deleted; it belongs to the whole account"),
        no("tags", "predefined names of labels; they belong to the whole account"),
    )


ROWS: dict[str, Row] = {row.kind: row for row in _rows()}
"""Every kind by its name."""

BY_TURN: tuple[str, ...] = tuple(sorted((row.kind for row in ROWS.values() if row.stage), key=lambda k: ROWS[k].turn))
"""The kinds of objects that can be deleted, by their turn."""


def not_an_object(estate: estates.Estate) -> dict[tuple[str, str], str]:
    """Entries of an estate that nothing is to be deleted for, by (kind, id), and why.

    Of two entries that show one object, one is the object: the twin that its row names.
    """
    found: dict[tuple[str, str], str] = {}
    ids = {row.twin: {entry.id for entry in estate.of(row.twin)} for row in ROWS.values() if row.twin}
    for kind, row in ROWS.items():
        for entry in estate.of(kind):
            if row.twin and entry.id in ids[row.twin]:
                found[kind, entry.id] = f"the same as {row.twin}/{entry.id}"
            elif row.stage is None:
                found[kind, entry.id] = row.why
            elif why := _part(kind, entry):
                found[kind, entry.id] = why
    return found


def faces(keys: Iterable[str]) -> frozenset[str]:
    """Names of objects (kind/id), and for each the name under which its twin would be the object."""
    found = set(keys)
    for key in tuple(found):
        kind, dummy, ident = key.partition("/")
        while kind in ROWS and ROWS[kind].twin:
            kind = ROWS[kind].twin
            found.add(f"{kind}/{ident}")
    return frozenset(found)


def _part(kind: str, entry: Any) -> str:
    """What an entry is a part of, where the cloud itself makes it and takes it away."""
    if kind == "ports":
        owner = str(entry.device_owner)
        return f"a part of {owner}, which takes it along" if owner.startswith("network:") else ""
    if kind == "dns_records" and (entry.properties.get("default") is True or entry.properties.get("type") == "SOA"):
        return "a part of its zone, which takes it along"
    if kind == "route_tables" and entry.properties.get("default") is True:
        return "the default of its VPC, which takes it along"
    return ""
