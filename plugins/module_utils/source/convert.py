# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw answers of services as objects of the estate: always the same for the same objects, and without secrets.

Whatever a cloud answers, an object comes out of it or nothing does; no value of it is trusted to have its usual type.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.listings import Listing
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.pages import dig

LONGEST_TEXT = 4000
"""Characters of a text of a resource that are kept."""

DEEPEST = 8
"""Levels of mappings and lists of a resource that are kept."""

_DEVICE = re.compile(r"^/dev/(?:xvd|vd|sd|hd)([a-z]+)")
_SECRET = re.compile(
    r"pass(?:word|wd|phrase)|(?:^|_)pass$|adminpass|secret|token|private_?key|user_?data|auth_?key|access_?key"
    r"|api_?key|credential|(?:^|_)psk$|kubeconfig",
    re.IGNORECASE,
)
_VOLATILE = re.compile(
    r"^(?:"
    r"update[d]?|updated?[_-]?(?:at|time|on|date)|modif(?:y|ied)[_-]?(?:at|time|on|date)|last[_-]?\w+|"
    r"links|\w+_links|href|self|schema|file|revision(?:_number)?|request[_-]?id|"
    r"(?:OS-EXT-STS:)?(?:task_state|task_status|vm_state|power_state)|OS-SRV-USG:\w+|progress|heartbeat\w*|"
    r"operating_status|hostId|OS-EXT-SRV-ATTR:\w+|avail_capacity|used_\w*(?:size|capacity|memory|space)|"
    r"(?:size|space|storage|memory|capacity)_used|current_time|server_time|timestamp|sync_time"
    r")$",
    re.IGNORECASE,
)
_CREATED = (
    "created_at",
    "created",
    "create_time",
    "creation_time",
    "createTime",
    "create_at",
    "created_time",
    "creation",
)
_STATUS = ("status", "provisioning_status", "state")
_NAME = ("name", "display_name")
_OWNERS = ("project_id", "tenant_id", "owner_id")
_PER_GIB = {"size_gib": 1.0, "size_mib": 1024.0, "size_bytes": float(1024**3)}


def resource(listing: Listing, ident: str, row: Mapping[str, Any], project_id: str) -> model.Resource:
    """A row of a kind without fields of its own."""
    used: set[str] = {"id", "_parent", listing.id_field.partition(".")[0] if "." not in listing.id_field else "id"}

    def first(what: str, usual: Iterable[str]) -> str:
        chosen = listing.fields.get(what)
        for path in usual if chosen is None else (chosen,):
            value = dig(dict(row), path) if path else None
            if isinstance(value, (str, int, float)) and not isinstance(value, bool) and value != "":
                if "." not in path:
                    used.add(path)
                return _text(value)[:LONGEST_TEXT]
        return ""

    name = first("name", _NAME)
    status = first("status", _STATUS)
    created = first("created", _CREATED)
    parent = first("parent", ()) or _text(row.get("_parent"))
    size = 0.0
    for what, divisor in _PER_GIB.items():
        path = listing.fields.get(what, "")
        if path:
            size = _float(dig(dict(row), path)) / divisor
            if what == "size_gib" and "." not in path:
                used.add(path)
    rest = {key: value for key, value in row.items() if key not in used and not _is_own(key, value, project_id)}
    return model.Resource(
        id=ident,
        name=name,
        status=status,
        created=created,
        size_gib=round(size, 6),
        parent=parent,
        properties=clean(rest, drop=frozenset(listing.drop), ordered=frozenset(listing.ordered)) or {},
    )


def clean(
    value: Any, *, drop: frozenset[str] = frozenset(), ordered: frozenset[str] = frozenset(), depth: int = 0
) -> Any:
    """A value without what changes by itself, without secrets and without what is empty; lists are sorted.

    `ordered`: keys of lists that stay as they are.
    """
    if isinstance(value, Mapping):
        if depth >= DEEPEST:
            return None
        found = {}
        for key, entry in sorted(value.items(), key=lambda pair: str(pair[0])):
            name = str(key)
            if name in drop or is_secret(name) or _VOLATILE.match(name):
                continue
            kept = (
                _list_of(entry, drop, ordered, depth, name in ordered)
                if isinstance(entry, list)
                else clean(entry, drop=drop, ordered=ordered, depth=depth + 1)
            )
            if kept is not None and kept != "" and kept != [] and kept != {}:
                found[name] = kept
        return found
    if isinstance(value, list):
        return _list_of(value, drop, ordered, depth, False)
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int)) else str(value)


def _list_of(value: list[Any], drop: frozenset[str], ordered: frozenset[str], depth: int, in_order: bool) -> list[Any]:
    if depth >= DEEPEST:
        return []
    kept = [clean(entry, drop=drop, ordered=ordered, depth=depth + 1) for entry in value]
    kept = [entry for entry in kept if entry is not None and entry != "" and entry != [] and entry != {}]
    return kept if in_order else sorted(kept, key=lambda entry: json.dumps(entry, sort_keys=True))


def is_secret(key: str) -> bool:
    """Whether what has this name may be a secret."""
    return _SECRET.search(key) is not None


def _is_own(key: str, value: Any, project_id: str) -> bool:
    return key in _OWNERS and value == project_id


def _float(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _maybe(value: Any) -> str | None:
    return _text(value) or None


def _int(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def _int_or_none(value: Any) -> int | None:
    return None if value is None or value == "" else _int(value)


def _bool(value: Any) -> bool:
    return value.strip().lower() in ("true", "1", "yes") if isinstance(value, str) else bool(value)


def _texts(value: Any) -> dict[str, str]:
    return {key: _text(entry) for key, entry in sorted(_mapping(value).items()) if not is_secret(key)}


def _dicts(value: Any) -> Iterable[dict[str, Any]]:
    return (entry for entry in _list(value) if isinstance(entry, dict))


def _mapping(value: Any) -> dict[str, Any]:
    return {str(key): entry for key, entry in value.items()} if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def owner(row: Mapping[str, Any]) -> str:
    return _text(row.get("project_id") or row.get("tenant_id"))


def server(row: dict[str, Any], flavors: Mapping[str, dict[str, Any]]) -> model.Server:
    image = row.get("image")
    addresses = [
        model.Address(
            address=_text(entry.get("addr")),
            mac=_text(entry.get("OS-EXT-IPS-MAC:mac_addr")),
            network=str(network),
            type=_text(entry.get("OS-EXT-IPS:type")) or "fixed",
        )
        for network, entries in sorted(_mapping(row.get("addresses")).items())
        for entry in _dicts(entries)
    ]
    return model.Server(
        id=row["id"],
        name=_text(row.get("name")),
        status=_text(row.get("status")),
        flavor=_flavor(_mapping(row.get("flavor")), flavors),
        image_id=_maybe(image.get("id")) if isinstance(image, dict) else None,
        key_name=_maybe(row.get("key_name")),
        availability_zone=_text(row.get("OS-EXT-AZ:availability_zone")),
        created=_text(row.get("created")),
        locked=_bool(row.get("locked")),
        config_drive=_bool(row.get("config_drive")),
        metadata=_texts(row.get("metadata")),
        tags=sorted(_text(tag) for tag in _list(row.get("tags"))),
        security_groups=sorted({_text(group.get("name")) for group in _dicts(row.get("security_groups"))}),
        addresses=sorted(addresses, key=lambda a: (a.network, a.type, a.mac, a.address)),
        volumes=[
            model.Attachment(volume_id=_text(entry.get("id")))
            for entry in _dicts(row.get("os-extended-volumes:volumes_attached"))
        ],
    )


def _flavor(row: Mapping[str, Any], flavors: Mapping[str, dict[str, Any]]) -> model.Flavor:
    if "vcpus" not in row:
        row = flavors.get(_text(row.get("id")), {"name": row.get("id")})
    return model.Flavor(
        name=_text(row.get("original_name") or row.get("name")),
        vcpus=_int(row.get("vcpus")),
        ram_mib=_int(row.get("ram")),
        disk_gib=_int(row.get("disk")),
        extra_specs=_texts(row.get("extra_specs")),
    )


def places(volumes: Iterable[model.Volume]) -> dict[str, list[tuple[str, str]]]:
    """For each server, the volumes that say that they are attached to it, and as what device."""
    found: dict[str, list[tuple[str, str]]] = {}
    for entry in volumes:
        for place in entry.attachments:
            found.setdefault(place.server_id, []).append((entry.id, place.device))
    return found


def cards(ports: Iterable[model.Port]) -> dict[str, list[model.Port]]:
    """For each device, its ports."""
    found: dict[str, list[model.Port]] = {}
    for entry in ports:
        found.setdefault(entry.device_id, []).append(entry)
    return found


def with_attachments(
    server: model.Server,
    known: Mapping[str, model.Volume],
    places: Iterable[tuple[str, str]],
    ports: Iterable[model.Port],
    macs: list[str],
) -> model.Server:
    """The server with its volumes in device order and the boot volume marked, and with its ports in order.

    Nova lists addresses in the order of its own record of the cards (`macs`); ports without an address come last,
    oldest first.
    """
    devices: dict[str, str] = {}
    for volume_id, device in places:
        devices.setdefault(volume_id, device)
    # Nova before 2.3 and some family clouds leave the list of volumes out
    order = list(dict.fromkeys([*(attachment.volume_id for attachment in server.volumes), *devices]))
    found: list[tuple[tuple[int, str, int], model.Attachment]] = []
    for index, volume_id in enumerate(order):
        device = devices.get(volume_id, "")
        match = _DEVICE.match(device)
        rank = (len(match[1]), match[1], index) if match else (99, "", index)
        found.append((rank, model.Attachment(volume_id=volume_id, device=device)))
    attachments = [attachment for _rank, attachment in sorted(found, key=lambda pair: pair[0])]
    if attachments and _boots_from(server, attachments[0], known.get(attachments[0].volume_id)):
        attachments[0] = replace(attachments[0], boot=True)
    place = {mac: index for index, mac in enumerate(macs)}
    mine = sorted(ports, key=lambda port: (place.get(port.mac, len(macs)), port.created, port.id))
    return replace(server, volumes=attachments, ports=[port.id for port in mine])


def macs(row: dict[str, Any]) -> list[str]:
    """The MAC addresses of a server's cards, in the order in which Nova lists their addresses."""
    entries = (entry for entries in _mapping(row.get("addresses")).values() for entry in _dicts(entries))
    return list(dict.fromkeys(_text(entry.get("OS-EXT-IPS-MAC:mac_addr")).lower() for entry in entries))


def _boots_from(server: model.Server, first: model.Attachment, volume: model.Volume | None) -> bool:
    if volume is None:
        return False
    match = _DEVICE.match(first.device)
    if server.image_id is None:
        return volume.bootable or (match is not None and match[1] == "a")
    # some clouds of the family name the image of a server although it boots from a volume
    return volume.bootable and match is not None and match[1] == "a"


def volume(row: dict[str, Any]) -> model.Volume:
    metadata = _texts(row.get("metadata"))
    attachments = [
        model.VolumeAttachment(server_id=_text(entry.get("server_id")), device=_text(entry.get("device")))
        for entry in _dicts(row.get("attachments"))
    ]
    return model.Volume(
        id=row["id"],
        name=_text(row.get("name")),
        status=_text(row.get("status")),
        size_gib=_int(row.get("size")),
        type=_text(row.get("volume_type")),
        bootable=_bool(row.get("bootable")),
        encrypted=_bool(row.get("encrypted")) or metadata.get("__system__encrypted") == "1",
        multiattach=_bool(row.get("multiattach")),
        availability_zone=_text(row.get("availability_zone")),
        snapshot_id=_maybe(row.get("snapshot_id")),
        source_volume_id=_maybe(row.get("source_volid")),
        created=_text(row.get("created_at")),
        metadata=metadata,
        image_metadata=_texts(row.get("volume_image_metadata")),
        attachments=sorted(attachments, key=lambda place: (place.server_id, place.device)),
    )


def snapshot(row: dict[str, Any]) -> model.Snapshot:
    return model.Snapshot(
        id=row["id"],
        volume_id=_text(row.get("volume_id")),
        name=_text(row.get("name")),
        status=_text(row.get("status")),
        size_gib=_int(row.get("size")),
        created=_text(row.get("created_at")),
        metadata=_texts(row.get("metadata")),
    )


_IMAGE_FIELDS = frozenset(
    {
        "id",
        "name",
        "status",
        "visibility",
        "owner",
        "size",
        "virtual_size",
        "min_disk",
        "min_ram",
        "disk_format",
        "container_format",
        "created_at",
        "updated_at",
        "file",
        "schema",
        "self",
        "checksum",
        "protected",
        "tags",
        "os_hash_algo",
        "os_hash_value",
        "direct_url",
        "locations",
        "stores",
    }
)


def image(row: dict[str, Any]) -> model.Image:
    own = {key: value for key, value in row.items() if key not in _IMAGE_FIELDS and not isinstance(value, (dict, list))}
    return model.Image(
        id=row["id"],
        name=_text(row.get("name")),
        status=_text(row.get("status")),
        visibility=_text(row.get("visibility")),
        owner=_text(row.get("owner")),
        size_bytes=_int(row.get("size")),
        min_disk_gib=_int(row.get("min_disk")),
        disk_format=_text(row.get("disk_format")),
        created=_text(row.get("created_at")),
        properties=_texts(own),
    )


def port(row: dict[str, Any]) -> model.Port:
    fixed = [
        model.FixedIp(ip=_text(entry.get("ip_address")), subnet_id=_text(entry.get("subnet_id")))
        for entry in _dicts(row.get("fixed_ips"))
    ]
    pairs = [
        model.AddressPair(ip=_text(entry.get("ip_address")), mac=_text(entry.get("mac_address")))
        for entry in _dicts(row.get("allowed_address_pairs"))
    ]
    return model.Port(
        id=row["id"],
        name=_text(row.get("name")),
        network_id=_text(row.get("network_id")),
        mac=_text(row.get("mac_address")).lower(),
        device_id=_text(row.get("device_id")),
        device_owner=_text(row.get("device_owner")),
        status=_text(row.get("status")),
        admin_up=_bool(row.get("admin_state_up", True)),
        port_security=_bool(row.get("port_security_enabled", True)),
        vnic_type=_text(row.get("binding:vnic_type")) or "normal",
        created=_text(row.get("created_at")),
        fixed_ips=sorted(fixed, key=lambda ip: (ip.subnet_id, ip.ip)),
        allowed_address_pairs=sorted(pairs, key=lambda pair: (pair.ip, pair.mac)),
        security_groups=sorted(_text(group) for group in _list(row.get("security_groups"))),
    )


def network(row: dict[str, Any]) -> model.Network:
    return model.Network(
        id=row["id"],
        name=_text(row.get("name")),
        project_id=owner(row),
        mtu=_int(row.get("mtu")),
        shared=_bool(row.get("shared")),
        external=_bool(row.get("router:external")),
    )


def subnet(row: dict[str, Any]) -> model.Subnet:
    pools = [model.Pool(_text(p.get("start")), _text(p.get("end"))) for p in _dicts(row.get("allocation_pools"))]
    routes = [
        model.Route(_text(entry.get("destination")), _text(entry.get("nexthop")))
        for entry in _dicts(row.get("host_routes"))
    ]
    return model.Subnet(
        id=row["id"],
        name=_text(row.get("name")),
        network_id=_text(row.get("network_id")),
        cidr=_text(row.get("cidr")),
        ip_version=_int(row.get("ip_version")) or 4,
        gateway=_maybe(row.get("gateway_ip")),
        dhcp=_bool(row.get("enable_dhcp", True)),
        dns=[_text(server) for server in _list(row.get("dns_nameservers"))],
        pools=sorted(pools, key=lambda pool: (pool.start, pool.end)),
        routes=sorted(routes, key=lambda route: (route.destination, route.nexthop)),
    )


def group(row: dict[str, Any]) -> model.SecurityGroup:
    rules = [
        model.Rule(
            id=_text(rule.get("id")),
            direction=_text(rule.get("direction")),
            ethertype=_text(rule.get("ethertype")),
            protocol=_maybe(rule.get("protocol")),
            port_min=_int_or_none(rule.get("port_range_min")),
            port_max=_int_or_none(rule.get("port_range_max")),
            remote_cidr=_maybe(rule.get("remote_ip_prefix")),
            # an address group is not read: it must not look as if anybody were meant
            remote_group_id=_maybe(rule.get("remote_group_id")) or _maybe(rule.get("remote_address_group_id")),
            description=_text(rule.get("description")),
        )
        for rule in _dicts(row.get("security_group_rules"))
    ]
    return model.SecurityGroup(
        id=row["id"],
        name=_text(row.get("name")),
        description=_text(row.get("description")),
        rules=sorted(rules, key=lambda rule: rule.id),
    )


def floating(row: dict[str, Any]) -> model.FloatingIp:
    return model.FloatingIp(
        id=row["id"],
        address=_text(row.get("floating_ip_address")),
        network_id=_text(row.get("floating_network_id")),
        port_id=_maybe(row.get("port_id")),
        fixed_address=_maybe(row.get("fixed_ip_address")),
        status=_text(row.get("status")),
    )
