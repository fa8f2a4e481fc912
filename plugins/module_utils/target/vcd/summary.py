# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an organisation has, as plain values for people: a list a kind, read with few calls, sorted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import PREFIX
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    metadata,
    network,
    org,
    query,
    tasks,
    vm,
    wire,
    xml,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.query import Record

Row = dict[str, Any]


def _whole(record: Record, key: str) -> int:
    return xml.whole(record.get(key, "0"))


def _base(record: Record) -> Row:
    return {"id": tasks.uuid_of(record.get("href", "")), "name": record.get("name", "")}


def _described(record: Record) -> Row:
    return {**_base(record), "description": record.get("description", "")}


def _placed(record: Record) -> Row:
    return {**_described(record), "vdc": record.get("vdcName", "")}


def _vdc(record: Record) -> Row:
    return {
        **_described(record),
        "enabled": record.get("isEnabled") != "false",
        "cpu_limit_mhz": _whole(record, "cpuLimitMhz"),
        "cpu_used_mhz": _whole(record, "cpuUsedMhz"),
        "memory_limit_mib": _whole(record, "memoryLimitMB"),
        "memory_used_mib": _whole(record, "memoryUsedMB"),
        "storage_limit_mib": _whole(record, "storageLimitMB"),
        "storage_used_mib": _whole(record, "storageUsedMB"),
    }


def _profile(record: Record) -> Row:
    return {
        **_base(record),
        "vdc": record.get("vdcName", ""),
        "enabled": record.get("isEnabled") != "false",
        "default": record.get("isDefaultStorageProfile") == "true",
        "limit_mib": _whole(record, "storageLimitMB"),
        "used_mib": _whole(record, "storageUsedMB"),
    }


def _catalog(record: Record) -> Row:
    return {
        **_described(record),
        "org": record.get("orgName", ""),
        "templates": _whole(record, "numberOfVAppTemplates"),
        "media": _whole(record, "numberOfMedia"),
    }


def _template(record: Record) -> Row:
    return {**_placed(record), "catalog": record.get("catalogName", ""), "status": record.get("status", "")}


def _vapp(record: Record) -> Row:
    return {**_placed(record), "status": record.get("status", ""), "machines": _whole(record, "numberOfVMs")}


def _disk(record: Record) -> Row:
    return {
        **_placed(record),
        "size_mib": _whole(record, "sizeMb"),
        "storage_profile": record.get("storageProfileName", ""),
        "attached": record.get("isAttached") == "true",
    }


# Kind: its name in the query service, and what is told of a record.
_QUERIES: Mapping[str, tuple[str, Callable[[Record], Row]]] = {
    "vdcs": ("orgVdc", _vdc),
    "storage_profiles": ("orgVdcStorageProfile", _profile),
    "catalogs": ("catalog", _catalog),
    "templates": ("vAppTemplate", _template),
    "vapps": ("vApp", _vapp),
    "disks": ("disk", _disk),
}


def _edges(session: Session) -> list[Row]:
    return [
        {
            "id": one.id,
            "name": one.name,
            "owner": one.owner_name,
            "owner_id": one.owner,
            "status": one.status,
            "addresses": [
                first if first == last else f"{first}-{last}" for link in one.uplinks for first, last in link.ranges
            ],
        }
        for one in network.edges(session)
    ]


def _networks(session: Session) -> list[Row]:
    found = []
    for one in network.networks(session):
        shown = network.NETWORKS.shown(one)
        owner = wire.ref(one.get("ownerRef"))
        router = wire.ref(wire.mapping(one.get("connection")).get("routerRef"))
        about = {"id": wire.string(one.get("id")), "name": wire.string(one.get("name"))}
        about["description"] = wire.string(one.get("description"))
        found.append({**about, **shown, "edge": router[1], "owner": owner[1]})
    return found


def _vdc_groups(session: Session) -> list[Row]:
    return [
        {
            "id": wire.string(one.get("id")),
            "name": wire.string(one.get("name")),
            "vdcs": sorted(wire.ref(part.get("vdcRef"))[1] for part in wire.objects(one.get("participatingOrgVdcs"))),
        }
        for one in network.vdc_groups(session)
    ]


def machines(session: Session, vdc: str = "") -> list[Row]:
    """The machines of the organisation, or of a VDC (by name), with their hardware, addresses, metadata and marks."""
    what = "cannot list the machines"
    boxes = {tasks.uuid_of(row.get("href", "")): row for row in query.records(session, "vApp", what)}
    place = org.vdc(session, vdc).href if vdc else ""
    found = []
    for one, entries in vm.everything(session, vdc=place):
        box = boxes.get(tasks.uuid_of(one.vapp), {})
        marks = metadata.marks(entries)
        found.append(
            {
                "id": one.uuid,
                "name": one.name,
                "description": one.description,
                "vapp": box.get("name", ""),
                "vdc": box.get("vdcName", ""),
                "power": one.power,
                "cpus": one.cpus,
                "memory_mib": one.memory_mib,
                "firmware": one.firmware,
                "guest_id": one.guest_id,
                "hardware_version": one.hardware_version,
                "storage_profile": one.storage_profile,
                "computer_name": one.computer_name,
                "addresses": list(one.addresses),
                "disks": [
                    {
                        "controller": disk.place.controller,
                        "bus": disk.place.bus,
                        "unit": disk.place.unit,
                        "size_mib": disk.size_mib,
                        "storage_profile": disk.storage_profile,
                    }
                    for disk in one.disks
                ],
                "nics": [
                    {
                        "index": nic.index,
                        "network": nic.network,
                        "mode": nic.mode,
                        "address": nic.address,
                        "mac": nic.mac,
                        "type": nic.type,
                        "connected": nic.connected,
                        "primary": nic.primary,
                    }
                    for nic in one.nics
                ],
                "metadata": {key: value for key, value in sorted(entries.items()) if not key.startswith(f"{PREFIX}.")},
                "tenant": marks.tenant if marks else "",
                "source_id": marks.source_id if marks else "",
                "state": marks.state if marks else "",
            }
        )
    return found


_READERS: Mapping[str, Callable[[Session], list[Row]]] = {
    "edges": _edges,
    "networks": _networks,
    "vdc_groups": _vdc_groups,
    "machines": machines,
}
KINDS: Sequence[str] = tuple(sorted([*_QUERIES, *_READERS]))


def read(session: Session, kinds: Sequence[str], *, vdc: str = "") -> dict[str, list[Row]]:
    """What there is of each kind, sorted by name and id; vdc: only what is in that VDC, where a kind is in one."""
    found = {}
    for kind in sorted(set(kinds)):
        if kind == "machines":
            rows = machines(session, vdc)
        elif kind in _READERS:
            rows = _READERS[kind](session)
        else:
            query_kind, told = _QUERIES[kind]
            rows = [told(record) for record in query.records(session, query_kind, f"cannot list the {kind}")]
            rows = [row for row in rows if not vdc or row.get("vdc", vdc) == vdc]
        found[kind] = sorted(rows, key=lambda row: (str(row["name"]), str(row["id"])))
    return found
