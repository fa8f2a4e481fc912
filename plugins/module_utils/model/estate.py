# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The estate: everything found in a tenant at one moment, as a document.

It holds no time stamp and no order of chance: two readings of an unchanged tenant give the same bytes and one digest.
What could not be read is a finding and says so in `read`; a list that is empty because nobody answered does not exist.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.schema import doc

KIND = "cloudexit.estate"
VERSION = 1

Severity = Literal["blocker", "warning", "information"]
ReadState = Literal["complete", "partial", "not_read", "absent"]


@dataclass(frozen=True)
class Tenant:
    """The source project."""

    project_id: str = field(metadata=doc("id of the project"))
    project_name: str = field(default="", metadata=doc("name of the project"))
    domain_id: str = field(default="", metadata=doc("id of the project's domain"))
    region: str = field(default="", metadata=doc("region"))


@dataclass(frozen=True)
class Flavor:
    """Size of a server, as it was when the server was made."""

    name: str = field(default="", metadata=doc("name of the flavor"))
    vcpus: int = field(default=0, metadata=doc("virtual CPUs"))
    ram_mib: int = field(default=0, metadata=doc("memory, MiB"))
    disk_gib: int = field(default=0, metadata=doc("local root disk, GiB; 0 where the server boots from a volume"))
    extra_specs: dict[str, str] = field(default_factory=dict, metadata=doc("extra specs, where the cloud shows them"))


@dataclass(frozen=True)
class Attachment:
    """A volume of a server, in the order of the device names."""

    volume_id: str = field(metadata=doc("id of the volume"))
    device: str = field(
        default="", metadata=doc("device name that the cloud gave, for example /dev/vda; the guest may see another")
    )
    boot: bool = field(default=False, metadata=doc("whether the server boots from it"))


@dataclass(frozen=True)
class Address:
    """An address that the cloud shows for a server."""

    address: str = field(metadata=doc("IPv4 or IPv6 address"))
    mac: str = field(default="", metadata=doc("MAC address of the port that has it"))
    network: str = field(default="", metadata=doc("name of the network"))
    type: str = field(default="fixed", metadata=doc("fixed or floating"))


@dataclass(frozen=True)
class Server:
    """A server (Nova)."""

    id: str = field(metadata=doc("id"))
    name: str = field(default="", metadata=doc("name, as people gave it"))
    status: str = field(default="", metadata=doc("ACTIVE, SHUTOFF, …"))
    flavor: Flavor = field(default_factory=Flavor, metadata=doc("size"))
    image_id: str | None = field(
        default=None, metadata=doc("image it was made from; null where it boots from a volume")
    )
    key_name: str | None = field(default=None, metadata=doc("key pair"))
    availability_zone: str = field(default="", metadata=doc("availability zone"))
    created: str = field(default="", metadata=doc("when it was made (UTC)"))
    locked: bool = field(default=False, metadata=doc("whether it is locked against changes"))
    config_drive: bool = field(default=False, metadata=doc("whether it has a config drive"))
    metadata: dict[str, str] = field(default_factory=dict, metadata=doc("metadata"))
    tags: list[str] = field(default_factory=list, metadata=doc("tags"))
    security_groups: list[str] = field(default_factory=list, metadata=doc("names of its security groups"))
    addresses: list[Address] = field(default_factory=list, metadata=doc("addresses"))
    volumes: list[Attachment] = field(default_factory=list, metadata=doc("attached volumes"))
    ports: list[str] = field(
        default_factory=list, metadata=doc("ids of its ports, in the order of the cloud's record of its cards")
    )


@dataclass(frozen=True)
class VolumeAttachment:
    """Where a volume is attached."""

    server_id: str = field(metadata=doc("id of the server"))
    device: str = field(default="", metadata=doc("device name that the cloud gave"))


@dataclass(frozen=True)
class Volume:
    """A volume (Cinder)."""

    id: str = field(metadata=doc("id"))
    name: str = field(default="", metadata=doc("name"))
    status: str = field(default="", metadata=doc("available, in-use, …"))
    size_gib: int = field(default=0, metadata=doc("size, GiB"))
    type: str = field(default="", metadata=doc("volume type"))
    bootable: bool = field(default=False, metadata=doc("whether it holds a system"))
    encrypted: bool = field(default=False, metadata=doc("whether it is encrypted"))
    multiattach: bool = field(default=False, metadata=doc("whether several servers may have it at once"))
    availability_zone: str = field(default="", metadata=doc("availability zone"))
    snapshot_id: str | None = field(default=None, metadata=doc("snapshot it was made from"))
    source_volume_id: str | None = field(default=None, metadata=doc("volume it was cloned from"))
    created: str = field(default="", metadata=doc("when it was made (UTC)"))
    metadata: dict[str, str] = field(default_factory=dict, metadata=doc("metadata"))
    image_metadata: dict[str, str] = field(
        default_factory=dict, metadata=doc("properties of the image it was made from")
    )
    attachments: list[VolumeAttachment] = field(default_factory=list, metadata=doc("where it is attached"))


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of a volume (Cinder)."""

    id: str = field(metadata=doc("id"))
    volume_id: str = field(default="", metadata=doc("id of its volume"))
    name: str = field(default="", metadata=doc("name"))
    status: str = field(default="", metadata=doc("available, …"))
    size_gib: int = field(default=0, metadata=doc("size of the volume, GiB"))
    created: str = field(default="", metadata=doc("when it was made (UTC)"))
    metadata: dict[str, str] = field(default_factory=dict, metadata=doc("metadata"))


@dataclass(frozen=True)
class Image:
    """An image (Glance): the project's own, those that its servers were made from, those that others share with it."""

    id: str = field(metadata=doc("id"))
    name: str = field(default="", metadata=doc("name"))
    status: str = field(default="", metadata=doc("active, …"))
    visibility: str = field(default="", metadata=doc("private, shared, community or public"))
    owner: str = field(default="", metadata=doc("id of the project that owns it"))
    size_bytes: int = field(default=0, metadata=doc("size of its file, bytes"))
    min_disk_gib: int = field(default=0, metadata=doc("smallest disk it fits on, GiB"))
    disk_format: str = field(default="", metadata=doc("raw, qcow2, …"))
    created: str = field(default="", metadata=doc("when it was made (UTC)"))
    properties: dict[str, str] = field(
        default_factory=dict, metadata=doc("properties: os_distro, os_version, hw_firmware_type, …")
    )


@dataclass(frozen=True)
class FixedIp:
    """An address of a port."""

    ip: str = field(metadata=doc("address"))
    subnet_id: str = field(default="", metadata=doc("id of the subnet"))


@dataclass(frozen=True)
class AddressPair:
    """An address that a port may use besides its own."""

    ip: str = field(metadata=doc("address or network"))
    mac: str = field(default="", metadata=doc("MAC address"))


@dataclass(frozen=True)
class Port:
    """A port (Neutron)."""

    id: str = field(metadata=doc("id"))
    name: str = field(default="", metadata=doc("name"))
    network_id: str = field(default="", metadata=doc("id of the network"))
    mac: str = field(default="", metadata=doc("MAC address"))
    device_id: str = field(default="", metadata=doc("id of what uses it"))
    device_owner: str = field(default="", metadata=doc("what uses it, for example compute:nova"))
    status: str = field(default="", metadata=doc("ACTIVE, DOWN, …"))
    admin_up: bool = field(default=True, metadata=doc("whether it is switched on"))
    port_security: bool = field(default=True, metadata=doc("whether security groups and address checks hold"))
    vnic_type: str = field(default="normal", metadata=doc("normal, direct, …"))
    created: str = field(default="", metadata=doc("when it was made (UTC)"))
    fixed_ips: list[FixedIp] = field(default_factory=list, metadata=doc("addresses"))
    allowed_address_pairs: list[AddressPair] = field(
        default_factory=list, metadata=doc("other addresses that it may use")
    )
    security_groups: list[str] = field(default_factory=list, metadata=doc("ids of its security groups"))


@dataclass(frozen=True)
class Network:
    """A network (Neutron)."""

    id: str = field(metadata=doc("id"))
    name: str = field(default="", metadata=doc("name"))
    project_id: str = field(default="", metadata=doc("id of the project that owns it"))
    mtu: int = field(default=0, metadata=doc("largest packet, bytes"))
    shared: bool = field(default=False, metadata=doc("whether other projects use it"))
    external: bool = field(default=False, metadata=doc("whether it leads out of the cloud"))


@dataclass(frozen=True)
class Pool:
    """A range of addresses."""

    start: str = field(metadata=doc("first address"))
    end: str = field(metadata=doc("last address"))


@dataclass(frozen=True)
class Route:
    """A route that DHCP hands out."""

    destination: str = field(metadata=doc("network"))
    nexthop: str = field(metadata=doc("gateway"))


@dataclass(frozen=True)
class Subnet:
    """A subnet (Neutron)."""

    id: str = field(metadata=doc("id"))
    name: str = field(default="", metadata=doc("name"))
    network_id: str = field(default="", metadata=doc("id of its network"))
    cidr: str = field(default="", metadata=doc("network/prefix"))
    ip_version: int = field(default=4, metadata=doc("4 or 6"))
    gateway: str | None = field(default=None, metadata=doc("default gateway"))
    dhcp: bool = field(default=True, metadata=doc("whether DHCP serves it"))
    dns: list[str] = field(default_factory=list, metadata=doc("name servers"))
    pools: list[Pool] = field(default_factory=list, metadata=doc("ranges that are handed out"))
    routes: list[Route] = field(default_factory=list, metadata=doc("routes that DHCP hands out"))


@dataclass(frozen=True)
class Rule:
    """A rule of a security group."""

    id: str = field(metadata=doc("id"))
    direction: str = field(default="ingress", metadata=doc("ingress or egress"))
    ethertype: str = field(default="IPv4", metadata=doc("IPv4 or IPv6"))
    protocol: str | None = field(default=None, metadata=doc("tcp, udp, icmp, a number; null for any"))
    port_min: int | None = field(default=None, metadata=doc("first port, or ICMP type"))
    port_max: int | None = field(default=None, metadata=doc("last port, or ICMP code"))
    remote_cidr: str | None = field(default=None, metadata=doc("who: a network"))
    remote_group_id: str | None = field(default=None, metadata=doc("who: the members of a group"))
    description: str = field(default="", metadata=doc("what people wrote"))


@dataclass(frozen=True)
class SecurityGroup:
    """A security group (Neutron)."""

    id: str = field(metadata=doc("id"))
    name: str = field(default="", metadata=doc("name"))
    description: str = field(default="", metadata=doc("what people wrote"))
    rules: list[Rule] = field(default_factory=list, metadata=doc("rules"))


@dataclass(frozen=True)
class FloatingIp:
    """A floating address (Neutron)."""

    id: str = field(metadata=doc("id"))
    address: str = field(default="", metadata=doc("the public address"))
    network_id: str = field(default="", metadata=doc("id of the external network"))
    port_id: str | None = field(default=None, metadata=doc("port that it leads to"))
    fixed_address: str | None = field(default=None, metadata=doc("address that it leads to"))
    status: str = field(default="", metadata=doc("ACTIVE, DOWN, …"))


@dataclass(frozen=True)
class Resource:
    """An object of any other kind, as its service shows it."""

    id: str = field(metadata=doc("id, or the name where the service has no ids"))
    name: str = field(default="", metadata=doc("name"))
    status: str = field(default="", metadata=doc("state that the service shows"))
    created: str = field(default="", metadata=doc("when it was made, as the service writes it"))
    size_gib: float = field(default=0.0, metadata=doc("what it stores, GiB; 0 where it stores nothing or does not say"))
    parent: str = field(default="", metadata=doc("id of what it is a part of: a listener's load balancer"))
    properties: dict[str, Any] = field(
        default_factory=dict,
        metadata=doc("all else that the service shows, without what changes by itself and without secrets"),
    )


@dataclass(frozen=True)
class Service:
    """A service of the source cloud, and whether it could be read."""

    name: str = field(metadata=doc("name of the service, or its type in the catalogue where nothing here knows it"))
    state: ReadState = field(
        metadata=doc("complete, partial, not_read; absent: the cloud has no such service in this region")
    )
    kinds: list[str] = field(default_factory=list, metadata=doc("kinds of objects that were asked for"))


@dataclass(frozen=True)
class Subject:
    """The object that a finding is about."""

    kind: str = field(metadata=doc("one of the estate's kinds, `services` or `tenant`"))
    id: str = field(default="", metadata=doc("id; empty for a whole kind"))
    name: str = field(default="", metadata=doc("name"))


@dataclass(frozen=True)
class Finding:
    """What a rule says of an estate object."""

    rule: str = field(metadata=doc("id of the rule"))
    severity: Severity = field(metadata=doc("blocker: cannot move; warning: somebody must act or know; information"))
    subject: Subject = field(metadata=doc("what it is about"))
    seen: str = field(metadata=doc("what was seen"))
    action: str = field(default="", metadata=doc("what will be done about it, or what a person must do"))
    seen_fr: str = field(default="", metadata=doc("what was seen, in French"))
    action_fr: str = field(default="", metadata=doc("what will be done about it, in French"))
    data_gap: bool = field(default=False, metadata=doc("whether it is about data that are lacking"))


@dataclass(frozen=True)
class Estate:
    """Everything found in a tenant."""

    kind: str = field(metadata=doc(f"always {KIND}"))
    version: int = field(metadata=doc("version of this form"))
    tenant: Tenant = field(metadata=doc("the source project"))
    read: dict[str, ReadState] = field(metadata=doc("for each kind: complete, partial, not_read or absent"))
    services: list[Service] = field(default_factory=list, metadata=doc("services, and whether they could be read"))
    findings: list[Finding] = field(default_factory=list, metadata=doc("what could not be read"))
    servers: list[Server] = field(default_factory=list, metadata=doc("servers"))
    volumes: list[Volume] = field(default_factory=list, metadata=doc("volumes"))
    snapshots: list[Snapshot] = field(default_factory=list, metadata=doc("snapshots"))
    images: list[Image] = field(default_factory=list, metadata=doc("images"))
    ports: list[Port] = field(default_factory=list, metadata=doc("ports"))
    networks: list[Network] = field(default_factory=list, metadata=doc("networks"))
    subnets: list[Subnet] = field(default_factory=list, metadata=doc("subnets"))
    security_groups: list[SecurityGroup] = field(default_factory=list, metadata=doc("security groups"))
    floating_ips: list[FloatingIp] = field(default_factory=list, metadata=doc("floating addresses"))
    resources: dict[str, list[Resource]] = field(default_factory=dict, metadata=doc("all other kinds, by kind"))

    def digest(self) -> str:
        """`sha256:…` of the content."""
        return schema.digest(schema.dump(self))

    def counts(self) -> dict[str, int]:
        """How many objects of each kind that was read."""
        return {kind: len(self.of(kind)) for kind in kinds.KINDS if self.read.get(kind) in ("complete", "partial")}

    def of(self, kind: str) -> Sequence[Any]:
        """All objects of a kind, sorted by id; none where the kind was not read."""
        found: Sequence[Any] = getattr(self, kind) if kind in kinds.TYPED else self.resources.get(kind, [])
        return found


def dump(estate: Estate) -> dict[str, Any]:
    """The estate as plain data."""
    data: dict[str, Any] = schema.dump(estate)
    return data


def to_text(estate: Estate) -> str:
    """The estate as it is written to a file: JSON, two blanks of indent, one newline at the end."""
    text = json.dumps(dump(estate), indent=2, ensure_ascii=False)
    # a name may hold half of a surrogate pair, which no UTF-8 file can
    return text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


def load(data: Any, what: str = "The estate") -> Estate:
    """Plain data as an Estate; raises InvalidInput with all problems."""
    problems: list[Problem] = []
    if isinstance(data, dict):
        if data.get("kind") != KIND:
            problems.append(Problem("kind", f"must be {KIND}: is this an estate?"))
        elif data.get("version") != VERSION:
            problems.append(Problem("version", f"must be {VERSION}; this one was written by another release"))
    estate, more = schema.load(Estate, data) if not problems else (None, [])
    problems += more
    if estate is not None:
        problems += _repeated(estate)
    if problems or estate is None:
        raise InvalidInput(f"{what} is not valid", problems, hint="Do not edit it: read the tenant again.")
    return estate


def loads(text: str | bytes, what: str = "The estate") -> Estate:
    """The text of an estate file as an Estate; raises InvalidInput with all problems."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InvalidInput(f"{what} is not valid", [Problem("(document)", f"not JSON: {exc}")]) from exc
    return load(data, what)


def _repeated(estate: Estate) -> Iterable[Problem]:
    typed = {kind: getattr(estate, kind) for kind in kinds.TYPED}
    others = {schema.join("resources", kind): entries for kind, entries in estate.resources.items()}
    for where, entries in {**typed, **others}.items():
        seen: set[str] = set()
        for index, entry in enumerate(entries):
            if entry.id in seen:
                yield Problem(f"{where}[{index}].id", f"{entry.id} is there twice")
            seen.add(entry.id)
