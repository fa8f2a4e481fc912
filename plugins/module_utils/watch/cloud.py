# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids of what a project has, read with a credential that can only read. One row a kind, plain lists, every page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

TIMEOUT_S = 60


class Row(NamedTuple):
    """Where a kind is listed: service (an openstacksdk proxy), path, key of the list, member that is the id."""

    service: str
    path: str
    key: str
    id: str = "id"


ROWS: dict[str, Row] = {
    "servers": Row("compute", "/servers", "servers"),
    "server_groups": Row("compute", "/os-server-groups", "server_groups"),
    "volumes": Row("block_storage", "/volumes", "volumes"),
    "snapshots": Row("block_storage", "/snapshots", "snapshots"),
    "backups": Row("block_storage", "/backups", "backups"),
    "images": Row("image", "/images", "images"),
    "networks": Row("network", "/networks", "networks"),
    "subnets": Row("network", "/subnets", "subnets"),
    "ports": Row("network", "/ports", "ports"),
    "routers": Row("network", "/routers", "routers"),
    "security_groups": Row("network", "/security-groups", "security_groups"),
    "floating_ips": Row("network", "/floatingips", "floatingips"),
    "load_balancers": Row("load_balancer", "/lbaas/loadbalancers", "loadbalancers"),
    "lb_listeners": Row("load_balancer", "/lbaas/listeners", "listeners"),
    "lb_pools": Row("load_balancer", "/lbaas/pools", "pools"),
    "dns_zones": Row("dns", "/zones", "zones"),
    "secrets": Row("key_manager", "/secrets", "secrets", "secret_ref"),
    "containers": Row("object_store", "/?format=json", "", "name"),
}
"""What can be watched. Other kinds are told as not watched."""


class Unreadable(Exception):
    """A list could not be read whole."""


def reader(name: str = "") -> Callable[[str], set[str]]:
    """What lists the ids of a kind at the cloud `name` of clouds.yaml, or that of the OS_… variables.

    The reader raises Unreadable.
    """
    import openstack

    connection = openstack.connect(cloud=name or None, app_name="cloudexit-watch")
    return lambda kind: ids(lambda service, path: _get(connection, service, path), ROWS[kind])


def ids(get: Callable[[str, str], Any], row: Row) -> set[str]:
    """All ids of a list, page after page. get: (service, path or address) → plain data of the answer."""
    found: set[str] = set()
    path, seen = row.path, set()
    while path:
        if path in seen:
            raise Unreadable(f"{row.path}: its pages go round")
        seen.add(path)
        body = get(row.service, path)
        entries = body.get(row.key) if row.key and isinstance(body, dict) else body
        if not isinstance(entries, list):
            raise Unreadable(f"{row.path}: the answer has no list")
        try:
            new = {
                str(entry[row.id]).rpartition("/")[2] if row.id == "secret_ref" else str(entry[row.id])
                for entry in entries
            }
        except (KeyError, TypeError) as error:
            raise Unreadable(f"{row.path}: an entry has no {row.id}") from error
        path = _next(body, row, entries)
        found |= new
    return found


def _next(body: Any, row: Row, entries: list[Any]) -> str:
    """Path or address of the next page; empty after the last."""
    if not row.key:
        return f"{row.path}&marker={entries[-1][row.id]}" if entries else ""
    links = body.get(f"{row.key}_links") or body.get("links") or []
    if isinstance(links, dict):
        links = [{"rel": name, "href": href} for name, href in links.items()]
    for link in links:
        if isinstance(link, dict) and link.get("rel") == "next":
            return str(link.get("href") or "")
    return str(body.get("next") or "")


def _get(connection: Any, service: str, path: str) -> Any:
    """GET, as plain data. Whatever goes wrong: it was not read."""
    try:
        answer = getattr(connection, service).get(path, timeout=TIMEOUT_S)
        if int(answer.status_code) == 204:
            return []
        if int(answer.status_code) != 200:
            raise Unreadable(f"{service} {path}: status {answer.status_code}")
        return answer.json()
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(f"{service} {path}: {type(error).__name__}") from error
