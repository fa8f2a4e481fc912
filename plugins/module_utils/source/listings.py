# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How every kind of object is listed, as data: one row a kind. `pages` calls it, `convert` makes objects of the rows.

The rows of OpenStack are here, those of Flexible Engine in `flexible_engine.listings`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Style = Literal["marker", "offset", "page", "start_number", "body_marker", "body_offset", "none"]
"""How a list goes on. marker: id of the last row (or what `next_key` names), in the query; offset: how many rows came
before; page: the number of the page, from 1; start_number: the number of the first row, from 0; body_marker and
body_offset: the same in a JSON body of a POST; none: one answer has it all."""

MARKER_NAMES: dict[str, str] = {
    "marker": "marker",
    "offset": "offset",
    "page": "offset",
    "start_number": "start_number",
    "body_marker": "marker",
    "body_offset": "offset",
}


@dataclass(frozen=True)
class Service:
    """A service that holds objects.

    name: as listings call it. types: its types in a Keystone catalogue, best first. version: what follows the host of
    an OpenStack service where the catalogue leaves it out ("v3/{project_id}"); paths of its listings follow that.
    Empty: paths of its listings begin at the root of the host, with their version and project ("/v1/{project_id}/x").
    """

    name: str
    types: tuple[str, ...]
    version: str = ""


@dataclass(frozen=True)
class Listing:
    """How one kind of object is listed.

    path: `{project_id}` and, with `per`, `{parent}` are put in. key: where the rows are in the answer, dotted
    ("data.items"); empty where the answer itself is the list. params: query (or, with a body style, nothing).
    limit: rows asked for in one call where the service takes no more (0: the reader's page size). limit_name,
    marker_name: how the service calls them; marker_name empty: as usual for the style. limit_name empty: never sent.
    id_field: what of a row identifies it and is its marker, dotted. next_key: where the answer names the next marker,
    dotted; the list ends where it is empty. total_key: where the answer says how many there are, dotted.
    per: kind that was listed before; one list is made for each of its ids. convert: tidies a raw row (and may drop it:
    None) before it becomes an object; with `per`, the row has its parent under "_parent" already.
    fields: where a raw row has what a Resource has, dotted: id, name, status, created, parent, and the size as
    size_gib, size_mib or size_bytes. drop: more keys that change by themselves. optional: 404 means that the cloud does
    not have it, which is no fault. one: the answer is one object (a mapping) and no list; without an id it gets the
    project's. headers: more of them. own: only rows of the project (by project_id or tenant_id) count.
    ordered: keys of lists whose order means something; all other lists are sorted. extra: a further list of a kind that
    not every cloud knows; 400 and 404 mean that there is none. where: with `per`, which of those objects count.
    late: listed after all that are not, as listing those may make some of it (a project's default firewall).
    """

    kind: str
    service: str
    path: str
    key: str
    params: Mapping[str, str] = field(default_factory=dict)
    style: Style = "marker"
    limit: int = 0
    limit_name: str = "limit"
    marker_name: str = ""
    id_field: str = "id"
    next_key: str = ""
    total_key: str = ""
    method: str = "GET"
    body: Mapping[str, Any] = field(default_factory=dict)
    per: str = ""
    convert: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    optional: bool = False
    one: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    own: bool = False
    ordered: tuple[str, ...] = ()
    extra: bool = False
    where: Callable[[Mapping[str, Any]], bool] | None = None
    late: bool = False

    @property
    def marker(self) -> str:
        """Name of the parameter that moves from page to page."""
        return self.marker_name or MARKER_NAMES.get(self.style, "")


def _key_pair(row: dict[str, Any]) -> dict[str, Any] | None:
    inner = row.get("keypair")
    return dict(inner) if isinstance(inner, dict) else row


def _first_parent(key: str) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    """The id of the first object under `key` as the row's parent."""

    def convert(row: dict[str, Any]) -> dict[str, Any] | None:
        above = row.get(key)
        first = above[0] if isinstance(above, list) and above else None
        return {**row, "_parent": first.get("id")} if isinstance(first, dict) else row

    return convert


def _secret(row: dict[str, Any]) -> dict[str, Any] | None:
    """What is said of a secret; its id is the end of its address."""
    reference = row.get("secret_ref")
    kept = {key: value for key, value in row.items() if key not in ("secret_ref", "secret_type")}
    ident = reference.rstrip("/").rpartition("/")[2] if isinstance(reference, str) else row.get("id")
    return {**kept, "id": ident, "type": row.get("secret_type")}


def _pointer(row: dict[str, Any]) -> dict[str, Any] | None:
    """The name that a public address has, as a record; most have none."""
    if not row.get("ptrdname"):
        return None
    return {"id": row.get("id"), "name": row["ptrdname"], "type": "PTR", "records": [row.get("address")]}


SERVICES: tuple[Service, ...] = (
    Service("compute", ("compute",), "v2.1"),
    Service("block_storage", ("block-storage", "volumev3", "volumev2", "volume", "block-store"), "v3/{project_id}"),
    Service("image", ("image",), "v2"),
    Service("network", ("network",), "v2.0"),
    Service("load_balancer", ("load-balancer",), "v2.0"),
    Service("dns", ("dns",), "v2"),
    Service("object_store", ("object-store",), "v1/AUTH_{project_id}"),
    Service("orchestration", ("orchestration",), "v1/{project_id}"),
    Service("key_manager", ("key-manager",), "v1"),
)
"""The services of OpenStack that are read."""

REQUIRED = ("compute", "block_storage", "image", "network")
"""Services that every cloud has: where one is not found, that is a fault and not an absence."""

NOTHING_OF_A_TENANT = frozenset(
    {
        "alarm",
        "alarming",
        "cloudformation",
        "compute_legacy",
        "computev20",
        "computev3",
        "ec2",
        "event",
        "events",
        "identity",
        "identityv3",
        "metering",
        "metric",
        "placement",
        "policy",
        "rating",
        "registration",
        "root-cause-analysis",
        "s3",
        "workflow",
        "workflowv2",
    }
)
"""Types in a catalogue that hold nothing of a tenant, or the same as another type."""

OPENSTACK: tuple[Listing, ...] = (
    # Compute API: "List Servers Detailed", "List Keypairs", "List Server Groups", "Show Rate And Absolute Limits"
    Listing("servers", "compute", "/servers/detail", "servers", limit=200),
    Listing("key_pairs", "compute", "/os-keypairs", "keypairs", id_field="name", convert=_key_pair),
    Listing("server_groups", "compute", "/os-server-groups", "server_groups", style="offset", optional=True),
    Listing("compute_quotas", "compute", "/limits", "limits.absolute", style="none", one=True),
    # Block Storage API v3
    Listing("volumes", "block_storage", "/volumes/detail", "volumes"),
    Listing("volume_types", "block_storage", "/types", "volume_types"),
    Listing("snapshots", "block_storage", "/snapshots/detail", "snapshots"),
    Listing(
        "backups",
        "block_storage",
        "/backups/detail",
        "backups",
        fields={"parent": "volume_id", "size_gib": "size"},
        optional=True,
    ),
    Listing("volume_quotas", "block_storage", "/limits", "limits.absolute", style="none", one=True),
    # Image service API v2
    Listing("images", "image", "/images", "images"),
    # Networking API v2.0; what belongs to an extension is absent where the extension is
    Listing("ports", "network", "/ports", "ports", limit=200),
    Listing("networks", "network", "/networks", "networks"),
    Listing("subnets", "network", "/subnets", "subnets"),
    Listing("security_groups", "network", "/security-groups", "security_groups"),
    Listing("routers", "network", "/routers", "routers", own=True, optional=True),
    Listing("floating_ips", "network", "/floatingips", "floatingips"),
    Listing("vpn_services", "network", "/vpn/vpnservices", "vpnservices", own=True, optional=True),
    Listing(
        "vpn_connections",
        "network",
        "/vpn/ipsec-site-connections",
        "ipsec_site_connections",
        fields={"parent": "vpnservice_id"},
        own=True,
        optional=True,
    ),
    Listing("ike_policies", "network", "/vpn/ikepolicies", "ikepolicies", own=True, optional=True),
    Listing("ipsec_policies", "network", "/vpn/ipsecpolicies", "ipsecpolicies", own=True, optional=True),
    Listing("firewall_groups", "network", "/fwaas/firewall_groups", "firewall_groups", own=True, optional=True),
    Listing(
        "firewall_policies",
        "network",
        "/fwaas/firewall_policies",
        "firewall_policies",
        own=True,
        optional=True,
        ordered=("firewall_rules",),
        late=True,
    ),
    Listing("firewall_rules", "network", "/fwaas/firewall_rules", "firewall_rules", own=True, optional=True, late=True),
    # the first list of a project makes its default firewall, and does not show it yet
    Listing("firewall_groups", "network", "/fwaas/firewall_groups", "firewall_groups", own=True, extra=True, late=True),
    Listing("network_quotas", "network", "/quotas/{project_id}", "quota", style="none", one=True, optional=True),
    # Octavia API v2
    Listing("load_balancers", "load_balancer", "/lbaas/loadbalancers", "loadbalancers", own=True),
    Listing(
        "lb_listeners",
        "load_balancer",
        "/lbaas/listeners",
        "listeners",
        own=True,
        convert=_first_parent("loadbalancers"),
    ),
    Listing("lb_pools", "load_balancer", "/lbaas/pools", "pools", own=True, convert=_first_parent("loadbalancers")),
    Listing(
        "lb_members",
        "load_balancer",
        "/lbaas/pools/{parent}/members",
        "members",
        per="lb_pools",
    ),
    Listing(
        "lb_health_monitors",
        "load_balancer",
        "/lbaas/healthmonitors",
        "healthmonitors",
        own=True,
        convert=_first_parent("pools"),
    ),
    Listing(
        "lb_l7_policies",
        "load_balancer",
        "/lbaas/l7policies",
        "l7policies",
        own=True,
        fields={"parent": "listener_id"},
    ),
    # Designate API v2: record sets of all zones in one list
    Listing("dns_zones", "dns", "/zones", "zones", drop=("serial", "transferred_at", "action", "version")),
    Listing(
        "dns_records",
        "dns",
        "/recordsets",
        "recordsets",
        fields={"parent": "zone_id"},
        drop=("action", "version"),
    ),
    # The same of Flexible Engine: private zones are lists of their own, and so are the names of public addresses
    Listing("dns_zones", "dns", "/zones", "zones", {"type": "private"}, extra=True),
    Listing("dns_records", "dns", "/reverse/floatingips", "floatingips", convert=_pointer, extra=True),
    Listing(
        "dns_records",
        "dns",
        "/zones/{parent}/recordsets",
        "recordsets",
        per="dns_zones",
        where=lambda zone: zone.get("zone_type") == "private",
    ),
    # Object Storage API v1: the account's listing
    Listing(
        "containers",
        "object_store",
        "",
        "",
        {"format": "json"},
        id_field="name",
        fields={"size_bytes": "bytes"},
    ),
    # Orchestration API v1
    Listing(
        "stacks",
        "orchestration",
        "/stacks",
        "stacks",
        fields={"name": "stack_name", "status": "stack_status"},
        drop=("stack_status_reason",),
    ),
    # Key Manager API v1: only what is said of secrets, never their payload
    Listing("secrets", "key_manager", "/secrets", "secrets", style="offset", limit=100, convert=_secret),
)
"""Every kind of OpenStack."""

FLAVORS = Listing("flavors", "compute", "/flavors/detail", "flavors", {"is_public": "None"})
"""For clouds whose servers only name their flavor (before microversion 2.47)."""

FLAVOR_SPECS = Listing(
    "flavor_specs",
    "compute",
    "/flavors/{parent}/os-extra_specs",
    "extra_specs",
    style="none",
    per="flavors",
    optional=True,
    one=True,
)
"""The extra specs of one flavor, for clouds whose list of flavors has none (before microversion 2.61)."""
