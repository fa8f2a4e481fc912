# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a decommission may delete, decided object by object; and what of an object is compared before its turn."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import marks, schema

_GIB = 1024.0**3
_SWITCHES = frozenset({"admin_state_up", "enable_state", "enabled", "is_enable", "locked", "weight"})
_OWN_MARKS = f"{marks.PREFIX}_"
_BY_ATTACHING = frozenset({"attached_mode", "readonly"})


def name(kind: str, obj: Any) -> str:
    """The name of an object; a floating address is called by its address."""
    return str(obj.address if kind == "floating_ips" else obj.name)


def created(kind: str, obj: Any) -> str:
    """When an object was made, as its service writes it; empty where the estate does not know."""
    return str(getattr(obj, "created", ""))


def size_gib(kind: str, obj: Any) -> float:
    """What an object stores, GiB, to six places; 0 where it stores nothing or its service does not say.

    A server has the disk of its own that its flavor gives (0 where it boots from a volume).
    """
    if kind == "images":
        return round(float(obj.size_bytes) / _GIB, 6)
    if kind == "servers":
        return float(obj.flavor.disk_gib if obj.image_id is not None else 0)
    return round(float(getattr(obj, "size_gib", 0.0)), 6)


def seen(kind: str, obj: Any) -> dict[str, Any]:
    """What of an object must still be so just before its turn: plain data, lists sorted, nothing that is empty.

    Left out, as a quarantine or the cloud by itself changes it: every status; whether a server is locked, the addresses
    that Nova shows for it and the names of its security groups (its ports say more); security groups, port security
    and the switch of a port; device names of volumes and their order; what attaching writes into the metadata of a
    volume (attached_mode, readonly); our own marks (`cloudexit_…`); of other kinds their switches (admin_state_up,
    enabled, …) and a member's weight, at the top level. The name is there: who renames knows the name it gave.
    """
    made = _TYPED.get(kind, _resource)(obj)
    return {key: value for key, value in made.items() if value not in (None, "", [], {})}


def unlike(before: Mapping[str, Any], now: Mapping[str, Any], gone: Collection[str] = ()) -> list[str]:
    """What differs between two `seen` of one object, in words; `gone`: ids that this decommission has deleted.

    That a mention of a gone object has vanished is no difference; that one has appeared is.
    """
    ids = frozenset(gone)
    found = []
    for key in sorted({*before, *now}):
        was, is_now = _without(before.get(key), ids), _without(now.get(key), ids)
        appeared = ids & (_texts(now.get(key)) - _texts(before.get(key)))
        if was != is_now or appeared:
            found.append(f"{key} was {_shown(before.get(key))}, is {_shown(now.get(key))}")
    return found


def _server(obj: Any) -> dict[str, Any]:
    return {
        "name": obj.name,
        "flavor": [obj.flavor.name, obj.flavor.vcpus, obj.flavor.ram_mib, obj.flavor.disk_gib],
        "image": obj.image_id,
        "key": obj.key_name,
        "zone": obj.availability_zone,
        "metadata": _metadata(obj.metadata),
        "tags": sorted(obj.tags),
        "volumes": sorted(attachment.volume_id for attachment in obj.volumes),
        "ports": sorted(obj.ports),
    }


def _volume(obj: Any) -> dict[str, Any]:
    return {
        "name": obj.name,
        "size_gib": obj.size_gib,
        "type": obj.type,
        "bootable": obj.bootable,
        "encrypted": obj.encrypted,
        "multiattach": obj.multiattach,
        "zone": obj.availability_zone,
        "snapshot": obj.snapshot_id,
        "source": obj.source_volume_id,
        "metadata": _metadata(obj.metadata),
        "servers": sorted({place.server_id for place in obj.attachments}),
    }


def _snapshot(obj: Any) -> dict[str, Any]:
    return {
        "name": obj.name,
        "volume": obj.volume_id,
        "size_gib": obj.size_gib,
        "metadata": _metadata(obj.metadata),
    }


def _image(obj: Any) -> dict[str, Any]:
    return {
        "name": obj.name,
        "owner": obj.owner,
        "visibility": obj.visibility,
        "size_bytes": obj.size_bytes,
        "format": obj.disk_format,
    }


def _port(obj: Any) -> dict[str, Any]:
    return {
        "name": obj.name,
        "network": obj.network_id,
        "mac": obj.mac,
        "used_by": [{"id": obj.device_id, "as": obj.device_owner}] if obj.device_id else [],
        "addresses": sorted(f"{fixed.ip} {fixed.subnet_id}" for fixed in obj.fixed_ips),
        "pairs": sorted(f"{pair.ip} {pair.mac}".rstrip() for pair in obj.allowed_address_pairs),
    }


def _network(obj: Any) -> dict[str, Any]:
    return {"name": obj.name, "owner": obj.project_id, "shared": obj.shared, "external": obj.external}


def _subnet(obj: Any) -> dict[str, Any]:
    return {"name": obj.name, "network": obj.network_id, "cidr": obj.cidr, "gateway": obj.gateway}


def _group(obj: Any) -> dict[str, Any]:
    return {"name": obj.name, "rules": sorted(rule.id for rule in obj.rules)}


def _floating(obj: Any) -> dict[str, Any]:
    # what the address leads to is one thing, which goes as a whole when its port goes
    leads = [{"port": obj.port_id, "address": obj.fixed_address or ""}] if obj.port_id else []
    return {"name": obj.address, "network": obj.network_id, "leads_to": leads}


def _resource(obj: Any) -> dict[str, Any]:
    rest = {key: value for key, value in schema.dump(obj.properties).items() if key not in _SWITCHES}
    return {"name": obj.name, "size_gib": round(float(obj.size_gib), 6) or None, "parent": obj.parent, "is": rest}


_TYPED = {
    "servers": _server,
    "volumes": _volume,
    "snapshots": _snapshot,
    "images": _image,
    "ports": _port,
    "networks": _network,
    "subnets": _subnet,
    "security_groups": _group,
    "floating_ips": _floating,
}


def _metadata(values: Mapping[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in sorted(values.items())
        if not key.startswith(_OWN_MARKS) and key not in _BY_ATTACHING
    }


def _without(value: Any, gone: frozenset[str]) -> Any:
    """A value without what mentions a gone object: its id as a value, or an entry of a list that names it directly."""
    if isinstance(value, Mapping):
        kept = {key: _without(entry, gone) for key, entry in value.items()}
        return {key: entry for key, entry in kept.items() if entry not in (None, "", [], {})} or None
    if isinstance(value, (list, tuple)):
        entries = [_without(entry, gone) for entry in value if not _names(entry, gone)]
        return [entry for entry in entries if entry is not None] or None
    return None if isinstance(value, str) and (value in gone or not value) else value


def _names(entry: Any, gone: frozenset[str]) -> bool:
    return isinstance(entry, Mapping) and any(isinstance(text, str) and text in gone for text in entry.values())


def _texts(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        return set().union(*(map(_texts, value.values())), set())
    if isinstance(value, (list, tuple)):
        return set().union(*(map(_texts, value)), set())
    return {value} if isinstance(value, str) else set()


def _shown(value: Any) -> str:
    text = schema.canonical(value).decode("utf-8") if value is not None else "nothing"
    return text if len(text) <= 200 else text[:197] + "..."
