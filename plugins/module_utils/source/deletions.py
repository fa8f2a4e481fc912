# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How every kind of object is deleted, as data: one row a kind. `retire` makes the calls; what reads is in `listings`.

The rows of OpenStack are here (API references of Nova, Cinder, Glance, Neutron, Octavia, Designate, Swift, Heat and
Barbican), those of Flexible Engine in `flexible_engine.deletions`. No call here takes others along by a flag: where a
service does so by itself, the row says what (`takes`), and `retire` refuses unless all of it is to go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Raw = Mapping[str, Any]
"""An object as its service answers it; what is below a parent has its id under `_parent`."""


@dataclass(frozen=True)
class Call:
    """One call of a way. In path, body and params are put in: `{id}`, `{project_id}`, `{parent}`, `{arg}` (what follows
    the colon of the step), `{head}` and `{tail}` (an id with a slash, cut at its last one), and any text of the raw
    object by its key. service: of the call, where it is another than that of the kind. until: what the object must be
    like afterwards, with `arg`; it is read until it is.
    """

    method: str
    path: str
    body: Any = None
    params: Mapping[str, str] = field(default_factory=dict)
    service: str = ""
    until: Callable[[Raw, str], bool] | None = None


@dataclass(frozen=True)
class Part:
    """What must be taken off an object first, one call each: rows of a list, each a step `<step>:<id>`.

    key, id_field: dotted. Without a path they are looked for in the object itself; without a key either, it is one
    step `<step>` of the object. where: which of them, or whether.
    """

    step: str
    path: str
    key: str
    id_field: str = "id"
    where: Callable[[Raw], bool] | None = None


@dataclass(frozen=True)
class Taken:
    """What the service deletes with an object without being asked. kind: what it is in the estate; empty: anything.

    path, key, id_field: the list of it, dotted; without a path it is looked for in the object itself.
    """

    kind: str
    path: str
    key: str
    id_field: str = "id"
    where: Callable[[Raw], bool] | None = None


@dataclass(frozen=True)
class Deletion:
    """How one kind is deleted.

    path: of one object; empty where the service has no call for one: it is looked for in the list. key: where the
    object is in that answer, dotted; empty where the answer is the object. brief: path of a shorter list that proves an
    absence as well. by_id: parameter by which a list gives one object only. calls: the calls of its ways, by the word
    before the colon of a step. way: the steps, from the raw object; parts come before them. again: statuses after which
    the call is made again later. gone: statuses of a delete that may mean that it is absent already; it is read then.
    ended: states in which the service still shows it and it counts as gone (`ended_note` says so). job: path of a job
    that the service answers with. refused: why this one is not deleted, and what to do; empty where it is.
    """

    kind: str
    path: str = ""
    key: str = ""
    brief: str = ""
    by_id: str = ""
    calls: Mapping[str, Call] = field(default_factory=dict)
    way: Callable[[Raw], tuple[str, ...]] = lambda _raw: ("delete",)
    parts: tuple[Part, ...] = ()
    takes: tuple[Taken, ...] = ()
    again: frozenset[int] = frozenset({409, 500})
    gone: frozenset[int] = frozenset({404})
    ended: frozenset[str] = frozenset()
    ended_note: str = ""
    job: str = ""
    refused: Callable[[Raw], str] | None = None

    @property
    def content(self) -> bool:
        """Whether it must be emptied before it is deleted."""
        return "empty" in self.calls


EMPTY = Call("", "")
"""Stands for the many calls by which a store of objects is emptied."""


def one(
    kind: str, path: str, key: str, *, params: Mapping[str, str] | None = None, body: Any = None, **more: Any
) -> Deletion:
    """A kind whose objects are read and deleted at the same path."""
    calls = {"delete": Call("DELETE", path, body, params or {}), **more.pop("calls", {})}
    return Deletion(kind, path, key, calls=calls, **more)


def named(*names: str) -> Callable[[Raw], str]:
    """Refuses objects of these names: the cloud keeps them for every project."""

    def refused(raw: Raw) -> str:
        return f"the cloud keeps one of the name {raw['name']} for every project" if raw.get("name") in names else ""

    return refused


def _steps(*conditions: tuple[Callable[[Raw], Any], str]) -> Callable[[Raw], tuple[str, ...]]:
    """The steps whose condition holds, then the delete."""

    def way(raw: Raw) -> tuple[str, ...]:
        return (*(step for holds, step in conditions if holds(raw)), "delete")

    return way


def texts(value: Any) -> str:
    """A value of an answer as text; empty for none."""
    return "" if value is None else str(value)


def rows_of(value: Any) -> list[dict[str, Any]]:
    """The mappings of a list in an answer."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def true(value: Any) -> bool:
    """Whether a flag of an answer is set; some services write it as text."""
    return value.strip().lower() == "true" if isinstance(value, str) else bool(value)


_UNPROTECT = [{"op": "replace", "path": "/protected", "value": False}]
_ROUTER = "network:router_interface"
_HIDDEN_SNAPSHOTS = ("autobk_snapshot_", "manualbk_snapshot_")


def _detached(raw: Raw, server: str) -> bool:
    """Cinder lets go of it a while after Nova; a volume of several servers stays in use by the others."""
    others = {texts(place.get("server_id")) for place in rows_of(raw.get("attachments"))} - {""}
    return server not in others and (bool(others) or raw.get("status") in ("available", "error"))


def _volume_way(raw: Raw) -> tuple[str, ...]:
    places = sorted({texts(place.get("server_id")) for place in rows_of(raw.get("attachments"))} - {""})
    return (*(f"detach:{server}" for server in places), "delete")


def _port_way(raw: Raw) -> tuple[str, ...]:
    return ("remove_interface",) if texts(raw.get("device_owner")).startswith(_ROUTER) else ("delete",)


def _port_refused(raw: Raw) -> str:
    owner = texts(raw.get("device_owner"))
    if owner.startswith("network:") and not owner.startswith((_ROUTER, "network:VIP_PORT", "network:vip_port")):
        return f"the network made it for itself ({owner}); it goes with its network or router"
    return ""


def _snapshot_refused(raw: Raw) -> str:
    if texts(raw.get("name")).startswith(_HIDDEN_SNAPSHOTS):
        return "it belongs to a backup, and goes when the backup is deleted"
    return ""


def _record_refused(raw: Raw) -> str:
    if raw.get("type") in ("SOA", "NS") and raw.get("name") == raw.get("zone_name"):
        return "the DNS service keeps it for its zone; it goes with the zone"
    return ""


def _own_record(raw: Raw) -> bool:
    return not _record_refused(raw)


def _record_way(raw: Raw) -> tuple[str, ...]:
    return ("delete",) if raw.get("zone_id") or raw.get("_parent") else ("unset",)


def _router_interface(raw: Raw) -> bool:
    return texts(raw.get("device_owner")).startswith(_ROUTER)


def _deletes_with_server(raw: Raw) -> bool:
    return true(raw.get("delete_on_termination"))


def _neutron(kind: str, path: str, key: str, **more: Any) -> Deletion:
    return one(kind, path, key, by_id="id", **more)


def _openstack() -> tuple[Deletion, ...]:
    put, post = "PUT", "POST"
    return (
        one(
            "servers",
            "/servers/{id}",
            "server",
            brief="/servers",
            calls={"unlock": Call(post, "/servers/{id}/action", {"unlock": None})},
            way=_steps((lambda raw: true(raw.get("locked")), "unlock")),
            takes=(Taken("volumes", "", "os-extended-volumes:volumes_attached", "id", _deletes_with_server),),
        ),
        one("server_groups", "/os-server-groups/{id}", "server_group"),
        one(
            "volumes",
            "/volumes/{id}",
            "volume",
            brief="/volumes",
            calls={
                "detach": Call(
                    "DELETE", "/servers/{arg}/os-volume_attachments/{id}", service="compute", until=_detached
                )
            },
            way=_volume_way,
        ),
        one("snapshots", "/snapshots/{id}", "snapshot", brief="/snapshots", refused=_snapshot_refused),
        one("backups", "/backups/{id}", "backup", brief="/backups"),
        one(
            "images",
            "/images/{id}",
            "",
            calls={"unprotect": Call("PATCH", "/images/{id}", _UNPROTECT)},
            way=_steps((lambda raw: true(raw.get("protected")), "unprotect")),
        ),
        _neutron(
            "ports",
            "/ports/{id}",
            "port",
            calls={"remove_interface": Call(put, "/routers/{device_id}/remove_router_interface", {"port_id": "{id}"})},
            way=_port_way,
            refused=_port_refused,
        ),
        _neutron(
            "networks",
            "/networks/{id}",
            "network",
            takes=(Taken("subnets", "/subnets?network_id={id}", "subnets"),),
        ),
        _neutron("subnets", "/subnets/{id}", "subnet", gone=frozenset({400, 404})),
        _neutron("security_groups", "/security-groups/{id}", "security_group", refused=named("default")),
        _neutron(
            "routers",
            "/routers/{id}",
            "router",
            gone=frozenset({400, 404}),
            calls={
                "clear_routes": Call(put, "/routers/{id}", {"router": {"routes": []}}),
                "remove_interface": Call(put, "/routers/{id}/remove_router_interface", {"subnet_id": "{arg}"}),
            },
            way=_steps((lambda raw: raw.get("routes"), "clear_routes")),
            parts=(
                Part("remove_interface", "/ports?device_id={id}", "ports", "fixed_ips.subnet_id", _router_interface),
            ),
        ),
        _neutron(
            "floating_ips",
            "/floatingips/{id}",
            "floatingip",
            calls={"disassociate": Call(put, "/floatingips/{id}", {"floatingip": {"port_id": None}})},
            way=_steps((lambda raw: raw.get("port_id"), "disassociate")),
        ),
        _neutron("vpn_services", "/vpn/vpnservices/{id}", "vpnservice"),
        _neutron("vpn_connections", "/vpn/ipsec-site-connections/{id}", "ipsec_site_connection"),
        _neutron("ike_policies", "/vpn/ikepolicies/{id}", "ikepolicy"),
        _neutron("ipsec_policies", "/vpn/ipsecpolicies/{id}", "ipsecpolicy"),
        _neutron(
            "firewall_groups",
            "/fwaas/firewall_groups/{id}",
            "firewall_group",
            calls={"detach": Call(put, "/fwaas/firewall_groups/{id}", {"firewall_group": {"ports": []}})},
            way=_steps((lambda raw: raw.get("ports"), "detach")),
            refused=named("default"),
        ),
        _neutron("firewall_policies", "/fwaas/firewall_policies/{id}", "firewall_policy"),
        # the answer for one rule says more than the list: it is looked for in the list
        Deletion("firewall_rules", by_id="id", calls={"delete": Call("DELETE", "/fwaas/firewall_rules/{id}")}),
        one("load_balancers", "/lbaas/loadbalancers/{id}", "loadbalancer", by_id="id"),
        one(
            "lb_listeners",
            "/lbaas/listeners/{id}",
            "listener",
            by_id="id",
            takes=(Taken("lb_l7_policies", "", "l7policies"),),
        ),
        one(
            "lb_pools",
            "/lbaas/pools/{id}",
            "pool",
            by_id="id",
            takes=(Taken("lb_members", "", "members"), Taken("lb_health_monitors", "", "healthmonitor_id", "")),
        ),
        one("lb_members", "/lbaas/pools/{parent}/members/{id}", "member"),
        one("lb_health_monitors", "/lbaas/healthmonitors/{id}", "healthmonitor", by_id="id"),
        one("lb_l7_policies", "/lbaas/l7policies/{id}", "l7policy", by_id="id"),
        one(
            "dns_zones",
            "/zones/{id}",
            "",
            takes=(Taken("dns_records", "/zones/{id}/recordsets", "recordsets", "id", _own_record),),
        ),
        Deletion(
            "dns_records",
            calls={
                "delete": Call("DELETE", "/zones/{parent}/recordsets/{id}"),
                "unset": Call("PATCH", "/reverse/floatingips/{id}", {"ptrdname": None}),
            },
            way=_record_way,
            refused=_record_refused,
        ),
        Deletion(
            "containers",
            by_id="prefix",
            calls={"empty": EMPTY, "delete": Call("DELETE", "/{id}")},
            way=lambda _raw: ("empty", "delete"),
        ),
        stack("stacks"),
        one("secrets", "/secrets/{id}", ""),
    )


def stack(kind: str, prefix: str = "") -> Deletion:
    """Heat deletes what a stack made: all of that must be in the plan, or be gone. Its answer for one says more than
    its list."""
    where = f"{prefix}/stacks/{{stack_name}}/{{id}}"
    return Deletion(
        kind,
        calls={"delete": Call("DELETE", where)},
        takes=(Taken("", f"{where}/resources", "resources", "physical_resource_id"),),
        ended=frozenset({"DELETE_COMPLETE"}),
    )


NOT_OBJECTS: dict[str, str] = {
    "key_pairs": "it belongs to a user and not to the project: its user deletes it",
    "compute_quotas": "a limit of the project",
    "volume_quotas": "a limit of the project",
    "network_quotas": "a limit of the project",
    "volume_types": "offered by the cloud",
}
"""Kinds that are nothing of the tenant's own, and why: nothing of them is deleted."""

OPENSTACK: tuple[Deletion, ...] = _openstack()
"""Every kind of OpenStack."""
