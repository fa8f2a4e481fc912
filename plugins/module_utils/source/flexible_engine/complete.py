# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an estate is complete: what leaves traces in the network or in the monitoring, and is in no list.

Every managed service leaves ports in the tenant's networks, and nearly every object has metrics. A port or a metric
that no object of the estate explains is of something that was not found: a service that nothing here reads, or one
whose reading failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.names import printable

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}", re.IGNORECASE)
_ADDRESS = re.compile(r"^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f:]+)$", re.IGNORECASE)
_OF_THE_NETWORK = (
    "network:dhcp",
    "network:distributed",
    "network:floatingip",
    "network:ha_router_replicated_interface",
    "network:local_ip",
    "network:metadata",
    "network:router_centralized_snat",
    "network:router_gateway",
    "network:router_ha_interface",
    "network:router_interface",
    "network:router_interface_distributed",
    "network:routed",
    "network:vip_port",
)
"""Owners of ports that the network itself makes, or that people make as virtual addresses."""

_NOT_PROOF = (
    *("metrics", "alarms", "route_tables", "public_ips", "dnat_rules", "ecs_tags", "tags", "bandwidths"),
    *("lb_members", "elb_members", "dns_records"),
)
"""Kinds that name objects which may not exist any more, or that they do not own."""


def unexplained(estate: model.Estate) -> list[model.Finding]:
    """A finding for each port and each dimension of metrics that nothing in the estate explains."""
    ids, mentioned, addresses, names = _known(estate)
    return [*_ports(estate, ids | mentioned, mentioned, addresses), *_dimensions(estate, ids | mentioned, names)]


def _ports(estate: model.Estate, known: set[str], mentioned: set[str], addresses: set[str]) -> Iterator[model.Finding]:
    servers_read = estate.read.get("servers") == "complete"
    for port in estate.ports:
        owner = port.device_owner.lower()
        if (not owner and not port.device_id) or owner in _OF_THE_NETWORK:
            continue
        if owner.startswith("compute:") and not servers_read:
            continue  # that servers could not be read is a finding already
        if port.device_id.lower() in known or _ids(port.device_id) & known or port.id.lower() in mentioned:
            continue
        if not owner.startswith("compute:") and any(fixed.ip in addresses for fixed in port.fixed_ips):
            continue
        where = ", ".join(fixed.ip for fixed in port.fixed_ips) or "no address"
        what = printable(port.device_owner) or "somebody"
        yield model.Finding(
            rule="port_unexplained",
            severity="warning",
            subject=model.Subject("ports", port.id, port.name),
            seen=f"A port ({where}) belongs to {what} {printable(port.device_id)}, which is in no list that was read.",
            seen_fr=f"Un port ({where}) appartient à {what} {printable(port.device_id)}, absent des listes lues.",
            action="Find out which service made it: something is not in this estate, and its subnet cannot be deleted.",
            action_fr="Trouver le service qui l'a créé : un objet manque, et son sous-réseau restera occupé.",
            data_gap=True,
        )


def _dimensions(estate: model.Estate, known: set[str], names: set[str]) -> Iterator[model.Finding]:
    for metric in estate.of("metrics"):
        given = metric.properties.get("dimensions")
        values = [
            str(entry.get("value", ""))
            for entry in (given if isinstance(given, list) else [])
            if isinstance(entry, Mapping)
        ]
        values = [value for value in values if value]
        if not values or any(v.lower() in known or v in names or _ids(v) & known for v in values):
            continue
        what = printable(metric.id, 160)
        yield model.Finding(
            rule="dimension_unexplained",
            severity="warning",
            subject=model.Subject("metrics", metric.id, metric.name),
            seen=f"The monitoring has metrics of {what}, which no object that was read is.",
            seen_fr=f"La supervision a des métriques de {what}, qui ne correspond à aucun objet lu.",
            action="Find out what it is: something may not be in this estate, or was deleted a short time ago.",
            action_fr="Trouver ce que c'est : un objet manque peut-être, ou vient d'être supprimé.",
            data_gap=True,
        )


def _known(estate: model.Estate) -> tuple[set[str], set[str], set[str], set[str]]:
    """Ids of all objects; ids and addresses that managed objects mention; names."""
    ids: set[str] = set()
    mentioned: set[str] = set()
    addresses: set[str] = set()
    names: set[str] = set()
    for kind in kinds.KINDS:
        if kind in _NOT_PROOF and kind not in ("public_ips", "bandwidths", "dnat_rules", "route_tables"):
            continue
        for entry in estate.of(kind):
            ids.add(entry.id.lower())
            ids |= _ids(entry.id)
            name = getattr(entry, "name", "")
            if name:
                names.add(name)
            if kind in kinds.TYPED or kind in _NOT_PROOF:
                continue
            for text in _texts(entry.properties):
                mentioned |= _ids(text)
                if _ADDRESS.match(text):
                    addresses.add(text)
    ids.discard("")
    return ids, mentioned, addresses, names


def _ids(text: str) -> set[str]:
    return {found.lower() for found in _ID.findall(text)}


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
