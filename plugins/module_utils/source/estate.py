# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a tenant into an estate: list calls only, one a page, services at the same time.

A service that is down, forbidden or answers nonsense becomes a `not_read` finding; what it answered before that is kept
and called partial. The rest of the estate is complete.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds as kinds_of
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud, translate

PAGE_SIZE = 500
"""Objects asked for in one call. A cloud that gives fewer is followed page by page."""

RETRY_SECONDS = 300.0
"""How long, in all, one list waits for a service that says that it is busy (429, 503) before it counts as not read."""

_REQUEST_ID = re.compile(r"\s*\(?,?\s*(?:Request-ID:|request)?\s*req-[0-9a-f-]{36}\)?", re.IGNORECASE)
_DEVICE = re.compile(r"^/dev/(?:xvd|vd|sd|hd)([a-z]+)")


@dataclass(frozen=True)
class Listing:
    """How one kind of object is listed."""

    kind: str
    service: str
    path: str
    key: str
    params: Mapping[str, str] = field(default_factory=dict)


LISTINGS = (
    # Compute API, "List Servers Detailed"
    Listing("servers", "compute", "/servers/detail", "servers"),
    # Block Storage API v3, "List accessible volumes with details", "List snapshots and details"
    Listing("volumes", "block_storage", "/volumes/detail", "volumes"),
    Listing("snapshots", "block_storage", "/snapshots/detail", "snapshots"),
    # Image service API v2, "List images"
    Listing("images", "image", "/images", "images"),
    # Networking API v2.0
    Listing("ports", "network", "/ports", "ports"),
    Listing("networks", "network", "/networks", "networks"),
    Listing("subnets", "network", "/subnets", "subnets"),
    Listing("security_groups", "network", "/security-groups", "security_groups"),
    Listing("floating_ips", "network", "/floatingips", "floatingips"),
)
_FLAVORS = Listing("flavors", "compute", "/flavors/detail", "flavors", {"is_public": "None"})


@dataclass
class Reading:
    """An estate and what it took: HTTP list calls, seconds."""

    estate: model.Estate
    calls: int
    seconds: float


@dataclass
class _Rows:
    """What one listing gave: raw objects, and why it ended early (empty: it did not)."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""


def read(
    cloud: Cloud,
    *,
    kinds: Sequence[str] = kinds_of.TYPED,
    page_size: int = PAGE_SIZE,
    threads: int = 6,
    retry_seconds: float = RETRY_SECONDS,
    on_progress: Callable[[str, int], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Reading:
    """Read the cloud's project. `kinds` limits what is read. `on_progress(kind, objects so far)` is called a page.

    Never raises for a service that fails: that is a finding. Nothing is written to the cloud.
    """
    started = time.monotonic()
    reader = _Reader(cloud, page_size, retry_seconds, on_progress or (lambda _kind, _count: None), sleep)
    wanted = [listing for listing in LISTINGS if listing.kind in kinds]
    with ThreadPoolExecutor(max_workers=max(1, threads), thread_name_prefix="read") as pool:
        found = dict(zip((listing.kind for listing in wanted), pool.map(reader.list, wanted), strict=True))
    servers = found.get("servers")
    if servers and any("vcpus" not in _mapping(row.get("flavor")) for row in servers.rows):
        found["flavors"] = reader.list(_FLAVORS)  # before microversion 2.47 a server only names its flavor
    return Reading(_assemble(cloud, found), reader.calls, time.monotonic() - started)


class _Busy(Exception):
    """The service says: later. `after`: seconds, where it said so."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class _Reader:
    def __init__(
        self,
        cloud: Cloud,
        page_size: int,
        retry_seconds: float,
        on_progress: Callable[[str, int], None],
        sleep: Callable[[float], None],
    ) -> None:
        self._cloud = cloud
        self._page_size = page_size
        self._retry_seconds = retry_seconds
        self._on_progress = on_progress
        self._sleep = sleep
        self._lock = threading.Lock()
        self._proxies: dict[str, Any] = {}
        self._proxy_locks: dict[str, threading.Lock] = {}
        self.calls = 0

    def list(self, listing: Listing) -> _Rows:
        """All pages of a listing; ends early, with the reason, instead of raising."""
        result = _Rows()
        seen: set[str] = set()
        marker: str | None = None
        while True:
            params = {**listing.params, "limit": str(self._page_size)}
            if marker is not None:
                params["marker"] = marker
            try:
                answer = self._get(listing, params)
                page = answer.get(listing.key) if isinstance(answer, dict) else None
                if not isinstance(page, list):
                    raise CloudExitError("", cause=f"the answer has no list {listing.key!r}")
            except Exception as exc:
                error = translate(exc, "")
                if not isinstance(error, CloudExitError):
                    raise
                result.reason = _reason(error)
                return result
            rows = [row for row in page if isinstance(row, dict) and isinstance(row.get("id"), str) and row["id"]]
            fresh = [row for row in rows if row["id"] not in seen]
            seen.update(row["id"] for row in fresh)
            result.rows += fresh
            self._on_progress(listing.kind, len(result.rows))
            if len(rows) != len(page):
                result.reason = "the answer holds entries without an id"
                return result
            more = _has_next(answer, listing.key)
            if page and not fresh:
                result.reason = "the pages repeat and do not end"
                return result
            if not page:
                if more:
                    result.reason = "an empty page came although more was announced"
                return result
            if not more and len(page) < self._page_size:
                return result
            marker = page[-1]["id"]

    def _get(self, listing: Listing, params: Mapping[str, str]) -> Any:
        waited, tries = 0.0, 0
        while True:
            try:
                return self._once(listing, params)
            except Exception as exc:
                error = translate(exc, "") if not isinstance(exc, _Busy) else exc
                busy = isinstance(error, _Busy)
                again = busy or (isinstance(error, CloudExitError) and error.retryable and tries < 1)
                after = getattr(error, "after", None)
                pause = after if after is not None else float(min(2**tries, 60))
                if not again or waited + pause > self._retry_seconds:
                    if busy:
                        raise CloudExitError("", cause=str(error)) from exc
                    raise
                self._sleep(pause)
                waited += pause
                tries += 1

    def _once(self, listing: Listing, params: Mapping[str, str]) -> Any:
        proxy = self._proxy(listing.service)
        with self._lock:
            self.calls += 1
        response = proxy.get(listing.path, params=dict(params))
        status = int(response.status_code)
        if status in (429, 503):
            raise _Busy(f"HTTP {status}: the service is busy", _retry_after(response.headers.get("Retry-After")))
        if status >= 400:
            said = _fault(response)
            raise CloudExitError("", cause=f"HTTP {status}" + (f": {said}" if said else ""), retryable=status >= 500)
        try:
            return response.json()
        except ValueError as exc:
            raise CloudExitError("", cause="the answer is not JSON") from exc

    def _proxy(self, service: str) -> Any:
        with self._lock:
            lock = self._proxy_locks.setdefault(service, threading.Lock())
        with lock:
            if service not in self._proxies:
                self._proxies[service] = getattr(self._cloud, service)
            return self._proxies[service]


def _has_next(answer: Mapping[str, Any], key: str) -> bool:
    if answer.get("next"):  # Glance
        return True
    links = answer.get(f"{key}_links")
    return isinstance(links, list) and any(isinstance(link, dict) and link.get("rel") == "next" for link in links)


def _retry_after(text: Any) -> float | None:
    try:
        return min(max(float(text), 0.0), 600.0)
    except (TypeError, ValueError):
        return None


def _fault(response: Any) -> str:
    """What the service said: Nova and Cinder faults, Neutron errors, `error_msg` of the family's extensions."""
    try:
        data = response.json()
    except ValueError:
        return ""
    if not isinstance(data, dict):
        return ""
    for inner in (*data.values(), data):
        if isinstance(inner, dict):
            said = inner.get("message") or inner.get("error_msg")
            if isinstance(said, str):
                return " ".join(said.split())[:200]
    return ""


def _reason(error: CloudExitError) -> str:
    """Why, without what differs from one reading to the next."""
    return _REQUEST_ID.sub("", error.cause or str(error)).strip(" .:")


def _assemble(cloud: Cloud, found: Mapping[str, _Rows]) -> model.Estate:
    read: dict[str, model.ReadState] = {}
    findings: list[model.Finding] = []
    for kind, listing in found.items():
        if listing.reason:
            findings.append(_not_read(kind, listing))
        if kind in kinds_of.TYPED:
            read[kind] = "complete" if not listing.reason else "partial" if listing.rows else "not_read"
    if "flavors" in found and found["flavors"].reason:
        read["servers"] = "partial" if read.get("servers") == "complete" else read["servers"]

    def rows(kind: str) -> list[dict[str, Any]]:
        return sorted(found[kind].rows, key=lambda row: str(row["id"])) if kind in found else []

    flavors = {str(row["id"]): row for row in rows("flavors")}
    volumes = [_volume(row) for row in rows("volumes")]
    servers = [_server(row, flavors) for row in rows("servers")]
    server_ids = {server.id for server in servers}
    ports = [
        _port(row)
        for row in rows("ports")
        if _owner(row) in ("", cloud.project_id) or str(row.get("device_id", "")) in server_ids
    ]
    macs = {str(row["id"]): _macs(row) for row in rows("servers")}
    servers = [_with_attachments(server, volumes, ports, macs[server.id]) for server in servers]
    used_networks = {port.network_id for port in ports}
    networks = [
        network
        for network in (_network(row) for row in rows("networks"))
        if network.project_id in ("", cloud.project_id)
        or network.shared
        or network.external
        or network.id in used_networks
    ]
    network_ids = {network.id for network in networks}
    images = [_image(row) for row in rows("images")]
    used_images = {server.image_id for server in servers} | {v.image_metadata.get("image_id") for v in volumes}
    groups_in_use = {group for port in ports for group in port.security_groups}
    return model.Estate(
        kind=model.KIND,
        version=model.VERSION,
        tenant=model.Tenant(
            project_id=cloud.project_id,
            project_name=cloud.project_name,
            domain_id=cloud.project_domain_id,
            region=cloud.region,
        ),
        read=read,
        findings=sorted(findings, key=lambda finding: (finding.rule, finding.subject.kind)),
        servers=servers,
        volumes=volumes,
        snapshots=[_snapshot(row) for row in rows("snapshots")],
        images=[image for image in images if image.owner == cloud.project_id or image.id in used_images],
        ports=ports,
        networks=networks,
        subnets=[
            subnet
            for subnet in (_subnet(row) for row in rows("subnets"))
            if subnet.network_id in network_ids or not network_ids
        ],
        security_groups=[
            _group(row)
            for row in rows("security_groups")
            if _owner(row) in ("", cloud.project_id) or row["id"] in groups_in_use
        ],
        floating_ips=[_floating(row) for row in rows("floating_ips") if _owner(row) in ("", cloud.project_id)],
    )


def _not_read(kind: str, listing: _Rows) -> model.Finding:
    got = f"; {len(listing.rows)} were read before that" if listing.rows else ""
    return model.Finding(
        rule="not_read",
        severity="blocker",
        subject=model.Subject(kind=kind),
        seen=f"{kind.replace('_', ' ')} could not be read: {listing.reason}{got}",
        action="Nothing is concluded from their absence. Make the service readable and read the tenant again.",
    )


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
    return {key: _text(entry) for key, entry in sorted(_mapping(value).items())}


def _dicts(value: Any) -> Iterable[dict[str, Any]]:
    return (entry for entry in _list(value) if isinstance(entry, dict))


def _mapping(value: Any) -> dict[str, Any]:
    return {str(key): entry for key, entry in value.items()} if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _owner(row: Mapping[str, Any]) -> str:
    return _text(row.get("project_id") or row.get("tenant_id"))


def _server(row: dict[str, Any], flavors: Mapping[str, dict[str, Any]]) -> model.Server:
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


def _with_attachments(
    server: model.Server, volumes: Iterable[model.Volume], ports: Iterable[model.Port], macs: list[str]
) -> model.Server:
    """The server with its volumes in device order and the boot volume marked, and with its ports in order.

    Nova lists addresses in the order of its own record of the cards (`macs`); ports without an address come last,
    oldest first.
    """
    known = {volume.id: volume for volume in volumes}
    order = [attachment.volume_id for attachment in server.volumes]
    for volume in known.values():  # Nova before 2.3 and some family clouds leave the list out
        if volume.id not in order and any(place.server_id == server.id for place in volume.attachments):
            order.append(volume.id)
    found: list[tuple[tuple[int, str, int], model.Attachment]] = []
    for index, volume_id in enumerate(order):
        places = known[volume_id].attachments if volume_id in known else []
        device = next((place.device for place in places if place.server_id == server.id), "")
        match = _DEVICE.match(device)
        rank = (len(match[1]), match[1], index) if match else (99, "", index)
        found.append((rank, model.Attachment(volume_id=volume_id, device=device)))
    attachments = [attachment for _rank, attachment in sorted(found, key=lambda pair: pair[0])]
    if attachments and _boots_from(server, attachments[0], known.get(attachments[0].volume_id)):
        attachments[0] = replace(attachments[0], boot=True)
    place = {mac: index for index, mac in enumerate(macs)}
    mine = [port for port in ports if port.device_id == server.id]
    mine.sort(key=lambda port: (place.get(port.mac, len(macs)), port.created, port.id))
    return replace(server, volumes=attachments, ports=[port.id for port in mine])


def _macs(row: dict[str, Any]) -> list[str]:
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


def _volume(row: dict[str, Any]) -> model.Volume:
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


def _snapshot(row: dict[str, Any]) -> model.Snapshot:
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


def _image(row: dict[str, Any]) -> model.Image:
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


def _port(row: dict[str, Any]) -> model.Port:
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


def _network(row: dict[str, Any]) -> model.Network:
    return model.Network(
        id=row["id"],
        name=_text(row.get("name")),
        project_id=_owner(row),
        mtu=_int(row.get("mtu")),
        shared=_bool(row.get("shared")),
        external=_bool(row.get("router:external")),
    )


def _subnet(row: dict[str, Any]) -> model.Subnet:
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


def _group(row: dict[str, Any]) -> model.SecurityGroup:
    rules = [
        model.Rule(
            id=_text(rule.get("id")),
            direction=_text(rule.get("direction")),
            ethertype=_text(rule.get("ethertype")),
            protocol=_maybe(rule.get("protocol")),
            port_min=_int_or_none(rule.get("port_range_min")),
            port_max=_int_or_none(rule.get("port_range_max")),
            remote_cidr=_maybe(rule.get("remote_ip_prefix")),
            remote_group_id=_maybe(rule.get("remote_group_id")),
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


def _floating(row: dict[str, Any]) -> model.FloatingIp:
    return model.FloatingIp(
        id=row["id"],
        address=_text(row.get("floating_ip_address")),
        network_id=_text(row.get("floating_network_id")),
        port_id=_maybe(row.get("port_id")),
        fixed_address=_maybe(row.get("fixed_ip_address")),
        status=_text(row.get("status")),
    )
