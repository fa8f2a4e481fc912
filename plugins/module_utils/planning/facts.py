# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts: every object of an estate as plain data, put together with what other objects tell of it.

Rules and the policy look at facts and at nothing else. A fact that is not known is None (or empty where its text says
so); it is never a guess. The tables SERVER, OTHERS, ANY say what there is; docs/rules.md has them for people.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.observations import Load, Metrics
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import guests

Fact = dict[str, Any]

ANY: dict[str, str] = {
    "id": "id",
    "name": "name",
    "kind": "kind",
    "status": "state that its service shows",
    "created": "when it was made",
    "size_gib": "what it stores, GiB",
    "parent": "id of what it is a part of",
    "properties": "all else that its service shows",
    "target": "where the plan goes: vsphere, cloud_avenue, bleu",
}
"""Facts of objects without fields of their own; `id`, `name`, `kind` and `target` are there for every object."""

SERVER: dict[str, str] = {
    "id": "id",
    "name": "name",
    "kind": "servers",
    "status": "state: ACTIVE, SHUTOFF, …",
    "stopped": "whether it is switched off",
    "movable": "whether a move can start from its state",
    "created": "when it was made",
    "az": "availability zone",
    "locked": "whether it is locked",
    "frozen": "whether the cloud has frozen it",
    "config_drive": "whether it has a config drive",
    "key_name": "key pair, or null",
    "key_known": "whether that key pair is still there; null where key pairs were not read",
    "metadata": "metadata",
    "tags": "tags",
    "flavor": "name of the flavor",
    "cpus": "virtual CPUs",
    "memory_mib": "memory, MiB",
    "local_disk_gib": "local root disk of the flavor, GiB",
    "extra_specs": "extra specs of the flavor",
    "image": "image that it was made from: id, name, visibility, license; null where it is not known",
    "properties": "properties of that image; those kept with the boot volume win",
    "os_family": "linux, windows or other; empty where nothing is known",
    "os": "distribution in lower case: debian, rhel, windows; empty where it is not known",
    "os_version": "its version; empty where it is not known",
    "os_major": "the whole number that its version begins with, or null",
    "os_label": "what its image says of the system",
    "os_known": "whether distribution and version are known",
    "os_support": "ended: its maker gives no updates any more; current; empty: not known",
    "firmware": "bios or efi; empty where its image does not say",
    "hypervisor": "xen or kvm; empty where the flavor does not say",
    "disks": "volumes: id, name, known, size_gib, type, status, encrypted, key, multiattach, shared, boot, device, "
    "snapshots, backups; and at the target storage_class, storage_mapped, storage_exists, size_limit_gib, too_large",
    "disk_count": "number of volumes",
    "disk_gib": "size of its volumes, GiB",
    "disks_known": "whether all volumes could be read",
    "backups": "number of backups of the whole server",
    "boot_volume": "whether it boots from a volume that is known",
    "local_root": "whether it boots from a local disk of the hypervisor",
    "ports": "ports: id, known, network, network_id, shared_network, mac, addresses, pairs, security, vnic_type, ipv6, "
    "floating, virtual, resolvers",
    "port_count": "number of ports",
    "ports_known": "whether all ports could be read",
    "addresses": "addresses of its ports",
    "networks": "names of its networks",
    "floating": "floating addresses that lead to it",
    "groups": "security groups: id, name, names_groups, open_to_all",
    "license": "bundled: the cloud licenses its system; market: from the marketplace; own; empty: not known",
    "agents": "agents of the source cloud that its image brings",
    "charging": "subscription or on_demand; empty where it is not known",
    "scaling_group": "autoscaling group that made it; empty: none known",
    "server_groups": "names of its server groups",
    "load_balancers": "names of load balancers or pools that it is a member of",
    "dns_names": "names that point at its addresses",
    "cluster_node": "name of the CCE cluster that it is a node of; empty: none known",
    "stack": "stack that made it; empty: none known",
    "load": "load: cpu_p95, cpu_max, memory_p95, network_bytes_s, samples; null where nobody measured",
    "idle_days": "days that it certainly did nothing in: switched off, or hardly any load; 0: not known to be idle",
    "reader": "whether it is the reader host of the plan",
    "known": "what is known of it: disks, size, ports, os, firmware, security_groups, backups, hypervisor, load",
    "target": "where the plan goes: vsphere, cloud_avenue, bleu",
}
"""Facts of servers."""

_COMMON = ("id", "name", "kind", "target")

OTHERS: dict[str, dict[str, str]] = {
    "volumes": {
        "status": "state",
        "size_gib": "size, GiB",
        "type": "volume type",
        "bootable": "whether it holds a system",
        "encrypted": "whether it is encrypted",
        "key": "id of its key; empty where none is told",
        "multiattach": "whether several servers may have it",
        "attached": "whether a server has it",
        "servers": "names of the servers that have it",
        "snapshots": "number of its snapshots",
        "backups": "number of its backups",
        "metadata": "metadata",
        "az": "availability zone",
        "storage_class": "what the policy stores it on; empty: the policy does not say",
        "storage_mapped": "whether the policy names a class for its type; null where it names none at all",
        "storage_exists": "whether that class exists at the target; null where nobody told which do",
        "size_limit_gib": "largest disk of the target, GiB; null where it is not known",
        "too_large": "whether it is larger than that; null where it is not known",
    },
    "snapshots": {
        "status": "state",
        "size_gib": "size, GiB",
        "volume": "name of its volume",
        "volume_id": "id of its volume",
        "of_backup": "whether it belongs to a backup service",
        "metadata": "metadata",
    },
    "images": {
        "status": "state",
        "visibility": "private, shared, community or public",
        "own": "whether the tenant owns it",
        "size_gib": "size of its file, GiB",
        "disk_format": "raw, qcow2, …",
        "properties": "properties",
        "servers": "number of servers made from it",
        "license": "bundled, market or own; empty where it is not known",
        "export": "allowed; limited: only in a format of the cloud's maker; refused; empty: not known",
    },
    "ports": {
        "status": "state",
        "network": "name of its network",
        "owner": "what uses it, as the cloud says",
        "device_id": "id of what uses it",
        "addresses": "addresses",
        "pairs": "other addresses that it may use",
        "security": "whether security groups hold",
        "attached": "whether something uses it",
        "virtual": "whether it holds a virtual address that ports of servers share",
    },
    "networks": {
        "own": "whether the tenant owns it",
        "shared": "whether other projects use it",
        "external": "whether it leads out of the cloud",
        "mtu": "largest packet, bytes",
        "servers": "number of servers on it",
        "subnets": "networks of its subnets",
        "ipv4_subnets": "number of its subnets of IPv4",
        "ipv6_subnets": "number of its subnets of IPv6",
    },
    "subnets": {
        "network": "name of its network",
        "own": "whether the tenant owns its network",
        "cidr": "network/prefix",
        "ip_version": "4 or 6",
        "gateway": "gateway",
        "dhcp": "whether DHCP serves it",
        "resolvers": "name servers",
        "cloud_resolvers": "those of them that only the source cloud has",
        "routes": "number of routes that DHCP hands out",
        "overlaps": "names of subnets of the tenant's other networks that have addresses of it",
        "low_addresses": "addresses in use among the first three of the network, which Azure takes for itself",
    },
    "security_groups": {
        "rules": "number of rules",
        "members": "number of ports in it",
        "names_groups": "names of groups that its rules name",
        "open_to_all": "rules that let everybody in to everything, in words",
        "open_admin": "rules that let everybody in to SSH or RDP, in words",
    },
    "floating_ips": {
        "status": "state",
        "address": "the address",
        "attached": "whether it leads somewhere",
        "server": "name of the server that it leads to; empty: none, or no server",
        "dns_names": "names that point at it",
    },
    "services": {"state": "complete, partial, not_read or absent", "kinds": "kinds of objects that were asked for"},
    "tenant": {
        "servers": "number of servers",
        "cpus": "virtual CPUs of all servers",
        "memory_mib": "memory of all servers, MiB",
        "disk_gib": "size of all volumes, GiB",
        "public_addresses": "number of floating addresses",
        "over": "what the target has too little of: what, needed, limit; null where nobody told what it has",
        "capacity_known": "whether the policy says what the target has room for",
        "not_read": "kinds that were not or not completely read",
        "metrics": "whether load was measured",
    },
}
"""Facts of the other kinds that have fields of their own, besides id, name, kind, target."""

MOVABLE = frozenset({"ACTIVE", "SHUTOFF", "STOPPED"})
"""Server states that a move can start from (Compute API guide, "Server concepts")."""

BUNDLED = frozenset({"windows", "rhel", "sles", "oracle"})
"""Systems whose licence or subscription the cloud brings with its own images."""

ENDED: dict[str, int] = {
    "centos": 8,
    "rhel": 7,
    "debian": 11,
    "ubuntu": 20,
    "sles": 12,
    "oracle": 7,
    "fedora": 41,
    "opensuse": 15,
    "freebsd": 13,
    "windows": 2012,
}
"""Last major version that its maker gives no (ordinary) updates for any more, as of November 2026."""

_CLOUD_RESOLVERS = tuple(ipaddress.ip_network(text) for text in ("100.125.0.0/16", "100.126.0.0/16"))
_ADMIN = {22: "SSH", 3389: "RDP"}
_EVERYBODY = (None, "", "0.0.0.0/0", "::/0")
_BACKUP_SNAPSHOTS = ("autobk_snapshot_", "manualbk_snapshot_")
_BALANCERS = ("load_balancers", "shared_load_balancers", "dedicated_load_balancers", "classic_load_balancers")
IDLE_CPU = 3.0
"""CPU use (95 of 100 samples, per cent) up to which a server without traffic does nothing."""
IDLE_BYTES = 1000.0
"""Traffic, bytes per second, up to which a server has none."""


@dataclass(frozen=True)
class Facts:
    """Facts by kind of the estate, in its order, and those of `services` and of `tenant` (one)."""

    kinds: dict[str, list[Fact]]

    def of(self, kind: str) -> list[Fact]:
        """All facts of a kind."""
        return self.kinds.get(kind, [])

    def servers(self) -> dict[str, Fact]:
        """Facts of servers by id."""
        return {fact["id"]: fact for fact in self.of("servers")}


def known(kind: str) -> tuple[str, ...]:
    """The names that facts of a kind have."""
    if kind == "servers":
        return tuple(SERVER)
    if kind in OTHERS:
        return (*_COMMON, *OTHERS[kind])
    return tuple(ANY)


def collect(estate: estates.Estate, metrics: Metrics | None = None) -> Facts:
    """The facts of every object of an estate. The same input gives the same facts."""
    return _Collector(estate, metrics).collect()


class _Collector:
    def __init__(self, estate: estates.Estate, metrics: Metrics | None) -> None:
        self._estate = estate
        self._metrics = metrics
        self._project = estate.tenant.project_id
        self._volumes = {volume.id: volume for volume in estate.volumes}
        self._images = {image.id: image for image in estate.images}
        self._ports = {port.id: port for port in estate.ports}
        self._networks = {network.id: network for network in estate.networks}
        self._server_names = {server.id: server.name for server in estate.servers}
        labels = {group.id: group.name or group.id for group in estate.security_groups}
        self._groups = {group.id: _group_fact(group, labels) for group in estate.security_groups}
        self._snapshots = _count(snapshot.volume_id for snapshot in estate.snapshots)
        self._backups = _count(_backed_up(estate))
        self._ecs = {resource.id: resource.properties for resource in self._resources("ecs_servers")}
        self._key_names = {pair.name or pair.id for pair in self._resources("key_pairs")}
        self._floating: dict[str, list[str]] = defaultdict(list)
        for floating in estate.floating_ips:
            if floating.port_id:
                self._floating[floating.port_id].append(floating.address)
        self._resolvers: dict[str, list[str]] = defaultdict(list)
        self._cidrs: dict[str, list[str]] = defaultdict(list)
        self._versions = Counter((subnet.network_id, subnet.ip_version) for subnet in estate.subnets)
        for subnet in estate.subnets:
            self._resolvers[subnet.network_id] += subnet.dns
            self._cidrs[subnet.network_id].append(subnet.cidr)
        self._on_network: dict[str, set[str]] = defaultdict(set)
        self._on_subnet: dict[str, set[str]] = defaultdict(set)
        self._at: dict[tuple[str, str], set[str]] = defaultdict(set)
        for server in estate.servers:
            for port in (self._ports[port_id] for port_id in server.ports if port_id in self._ports):
                self._on_network[port.network_id].add(server.id)
                for fixed in port.fixed_ips:
                    self._on_subnet[fixed.subnet_id].add(fixed.ip)
                    self._at[("", fixed.ip)].add(server.id)
                    self._at[(fixed.subnet_id, fixed.ip)].add(server.id)
        self._holders: dict[str, list[str]] = defaultdict(list)
        for server in estate.servers:
            for place in server.volumes:
                self._holders[place.volume_id].append(server.id)
        for volume in estate.volumes:
            for attachment in volume.attachments:
                if attachment.server_id not in self._holders[volume.id]:
                    self._holders[volume.id].append(attachment.server_id)
        self._private = {image.id: _texts(image.properties) for image in self._resources("private_images")}
        self._made = _count(image for server in estate.servers for image in self._image_ids(server))
        self._overlaps = self._overlapping()
        self._virtual = {port.id for port in self._virtual_ports()}
        self._virtual_addresses = {
            (port.network_id, fixed.ip) for port in estate.ports if port.id in self._virtual for fixed in port.fixed_ips
        }
        self._members = self._balanced()
        self._named = self._dns()
        self._in_groups = self._server_groups()
        self._nodes = self._cluster_nodes()
        self._scaled = self._scaling()

    def collect(self) -> Facts:
        estate = self._estate
        found: dict[str, list[Fact]] = {
            "servers": [self._server(server) for server in estate.servers],
            "volumes": [self._volume(volume) for volume in estate.volumes],
            "snapshots": [self._snapshot(snapshot) for snapshot in estate.snapshots],
            "images": [self._image(image) for image in estate.images],
            "ports": [self._port(port) for port in estate.ports],
            "networks": [self._network(network) for network in estate.networks],
            "subnets": [self._subnet(subnet) for subnet in estate.subnets],
            "security_groups": self._security_groups(),
            "floating_ips": [self._floating_ip(floating) for floating in estate.floating_ips],
            "services": [
                {"id": service.name, "name": service.name, "kind": "services", "state": service.state}
                | {"kinds": list(service.kinds)}
                for service in estate.services
            ],
        }
        for kind, resources in estate.resources.items():
            found[kind] = [{"kind": kind, **schema.dump(resource)} for resource in resources]
        found["tenant"] = [self._tenant(found)]
        return Facts(found)

    def _resources(self, kind: str) -> list[estates.Resource]:
        return self._estate.resources.get(kind, [])

    def _complete(self, kind: str) -> bool:
        return self._estate.read.get(kind) == "complete"

    # servers

    def _server(self, server: estates.Server) -> Fact:
        properties = self._properties(server)
        guest = guests.recognise(properties)
        ecs = self._ecs.get(server.id, {})
        metadata = self._metadata(server)
        disks = [self._disk(place) for place in server.volumes]
        ports = [self._server_port(port_id) for port_id in server.ports]
        groups = self._server_security_groups(server)
        addresses = [address for port in ports for address in port["addresses"]]
        floating = [address for port in ports for address in port["floating"]]
        boots = [disk for disk in disks if disk["boot"]]
        complete = self._complete("volumes")
        label = guest.label
        load = self._load(server.id)
        fact: Fact = {
            "id": server.id,
            "name": server.name,
            "kind": "servers",
            "status": server.status,
            "stopped": server.status in ("SHUTOFF", "STOPPED"),
            "movable": server.status in MOVABLE,
            "created": server.created,
            "az": server.availability_zone,
            "locked": server.locked,
            "frozen": metadata.get("EcmResStatus") == "freeze",
            "config_drive": server.config_drive,
            "key_name": server.key_name or None,
            "key_known": self._key_known(server),
            "metadata": server.metadata,
            "tags": sorted({*server.tags, *_tags(ecs)}),
            "flavor": server.flavor.name,
            "cpus": server.flavor.vcpus,
            "memory_mib": server.flavor.ram_mib,
            "local_disk_gib": server.flavor.disk_gib,
            "extra_specs": server.flavor.extra_specs,
            "image": self._image_of(server),
            "properties": properties,
            "os_family": guest.family if label else "",
            "os": guest.distro,
            "os_version": guest.version,
            "os_major": int(guest.version.partition(".")[0]) if guest.version else None,
            "os_label": label,
            "os_known": guest.known,
            "os_support": _support(guest),
            "firmware": guest.firmware or "",
            "hypervisor": _hypervisor(server.flavor.extra_specs, properties),
            "disks": disks,
            "disk_count": len(disks),
            "disk_gib": sum(disk["size_gib"] for disk in disks),
            "disks_known": complete and all(disk["known"] for disk in disks),
            "backups": self._backups.get(server.id, 0),
            "boot_volume": bool(boots),
            "local_root": not boots and (server.image_id is not None or server.flavor.disk_gib > 0),
            "ports": ports,
            "port_count": len(ports),
            "ports_known": self._complete("ports") and all(port["known"] for port in ports),
            "addresses": addresses,
            "networks": sorted({port["network"] for port in ports if port["network"]}),
            "floating": floating,
            "groups": groups,
            "license": _license(metadata.get("metering.imagetype", ""), properties, guest.distro),
            "agents": _agents(metadata, properties),
            "charging": _charging(metadata.get("charging_mode") or str(ecs.get("charging_mode", ""))),
            "scaling_group": self._scaled.get(server.id, "") or _first(metadata, "scaling_group", "as_group"),
            "server_groups": self._in_groups.get(server.id, []),
            "load_balancers": sorted(self._members.get(server.id, ())),
            "dns_names": sorted(
                {
                    name
                    for address in [*addresses, *floating]
                    if address in floating or self._holder(address) == server.id
                    for name in self._named.get(address, ())
                }
            ),
            "cluster_node": self._nodes.get(server.id, "") or _first(metadata, "cce-dynamic-provisioning"),
            "stack": _first(metadata, "metering.stack", "stack_id", "stack_name", "heat"),
            "load": load,
            "idle_days": self._idle_days(server, load),
            "reader": False,
        }
        fact["known"] = {
            "disks": fact["disks_known"],
            "size": server.flavor.vcpus > 0 and server.flavor.ram_mib > 0,
            "ports": fact["ports_known"],
            "os": guest.known,
            "firmware": guest.firmware is not None,
            "security_groups": self._complete("security_groups"),
            "backups": self._complete("snapshots") and self._estate.read.get("backups") in ("complete", "absent"),
            "hypervisor": bool(fact["hypervisor"]),
            "load": load is not None and load["samples"] > 0,
        }
        return fact

    def _metadata(self, server: estates.Server) -> dict[str, str]:
        """Its metadata, and what only the server service of Flexible Engine tells."""
        return {**_texts(self._ecs.get(server.id, {}).get("metadata")), **server.metadata}

    def _boot_volume(self, server: estates.Server) -> estates.Volume | None:
        boot = next((place.volume_id for place in server.volumes if place.boot), "")
        return self._volumes.get(boot)

    def _image_ids(self, server: estates.Server) -> list[str]:
        """The images that it was made from, as far as told; the one that is surest last."""
        volume = self._boot_volume(server)
        told = [
            self._metadata(server).get("metering.image_id", ""),
            server.image_id or "",
            volume.image_metadata.get("image_id", "") if volume else "",
        ]
        return list(dict.fromkeys(ident for ident in told if ident))

    def _properties(self, server: estates.Server) -> dict[str, str]:
        """The properties of the image that the server was made from; those kept with its boot volume win."""
        metadata, volume = self._metadata(server), self._boot_volume(server)
        found = {"os_type": metadata["os_type"]} if metadata.get("os_type") else {}
        for ident in self._image_ids(server):
            found.update(self._private.get(ident, {}))
            found.update(self._images[ident].properties if ident in self._images else {})
        found.update(volume.image_metadata if volume else {})
        return found

    def _image_of(self, server: estates.Server) -> Fact | None:
        image = next(
            (self._images[ident] for ident in reversed(self._image_ids(server)) if ident in self._images), None
        )
        if image is None:
            return None
        license_ = _license("", image.properties, guests.recognise(image.properties).distro)
        return {"id": image.id, "name": image.name, "visibility": image.visibility, "license": license_}

    def _key_known(self, server: estates.Server) -> bool | None:
        if not server.key_name or not self._complete("key_pairs"):
            return None
        return server.key_name in self._key_names

    def _disk(self, place: estates.Attachment) -> Fact:
        volume = self._volumes.get(place.volume_id)
        known_volume = volume or estates.Volume(id=place.volume_id)
        return {
            "id": place.volume_id,
            "name": known_volume.name,
            "known": volume is not None,
            "size_gib": known_volume.size_gib,
            "type": known_volume.type,
            "status": known_volume.status,
            "encrypted": _encrypted(known_volume),
            "key": _key(known_volume),
            "multiattach": known_volume.multiattach,
            "shared": len(self._holders.get(place.volume_id, [])) > 1,
            "boot": place.boot,
            "device": place.device,
            "snapshots": self._snapshots.get(place.volume_id, 0),
            "backups": self._backups.get(place.volume_id, 0),
        }

    def _server_port(self, port_id: str) -> Fact:
        port = self._ports.get(port_id)
        known_port = port or estates.Port(id=port_id)
        network = self._networks.get(known_port.network_id)
        addresses = [fixed.ip for fixed in known_port.fixed_ips if fixed.ip]
        pairs = [pair.ip for pair in known_port.allowed_address_pairs]
        return {
            "id": port_id,
            "known": port is not None,
            "network": network.name if network else "",
            "network_id": known_port.network_id,
            "shared_network": bool(network and network.shared),
            "mac": known_port.mac,
            "addresses": addresses,
            "pairs": pairs,
            "security": known_port.port_security,
            "vnic_type": known_port.vnic_type,
            "ipv6": any(":" in address for address in addresses),
            "floating": sorted(self._floating.get(port_id, [])),
            "virtual": sorted(ip for ip in pairs if (known_port.network_id, ip) in self._virtual_addresses),
            "resolvers": _cloud_resolvers(self._resolvers.get(known_port.network_id, [])),
        }

    def _server_security_groups(self, server: estates.Server) -> list[Fact]:
        used = {group for port in server.ports if port in self._ports for group in self._ports[port].security_groups}
        return [self._groups[group] for group in sorted(used) if group in self._groups]

    def _load(self, server_id: str) -> Fact | None:
        found: Load | None = self._metrics.servers.get(server_id) if self._metrics else None
        return schema.dump(found) if found is not None else None

    def _idle_days(self, server: estates.Server, load: Fact | None) -> int:
        """The days that were looked at, where nothing was done in them."""
        if self._metrics is None:
            return 0
        if load is None or load["samples"] == 0:
            # switched off now, and not one sample: it was off all the time
            return self._metrics.days if server.status in ("SHUTOFF", "STOPPED") else 0
        quiet = load["cpu_p95"] is not None and load["cpu_p95"] <= IDLE_CPU
        still = load["network_bytes_s"] is not None and load["network_bytes_s"] <= IDLE_BYTES
        return self._metrics.days if quiet and still else 0

    # what other objects tell of servers

    def _holder(self, address: str, subnet_id: str = "") -> str | None:
        """The server that has an address; where several do, on networks of their own, nobody is meant."""
        found = self._at.get((subnet_id, address)) or self._at.get(("", address), set())
        return next(iter(found)) if len(found) == 1 else None

    def _balanced(self) -> dict[str, set[str]]:
        """Names of load balancers, or of pools, by id of their members."""
        pools = [pool for kind in ("lb_pools", "elb_pools") for pool in self._resources(kind)]
        balancers = [balancer for kind in _BALANCERS for balancer in self._resources(kind)]
        labels = {resource.id: resource.name or resource.id for resource in [*pools, *balancers]}
        parents = {pool.id: pool.parent for pool in pools}
        told: list[tuple[Mapping[str, Any], str]] = [
            (member.properties, member.parent)
            for kind in ("lb_members", "elb_members")
            for member in self._resources(kind)
        ]
        for resource in [*pools, *balancers]:
            told += [(entry, resource.id) for entry in _mappings(resource.properties.get("members"))]
        found: dict[str, set[str]] = defaultdict(set)
        for member, parent in told:
            label = labels.get(parents.get(parent, ""), "") or labels.get(parent, parent)
            subnet_id = _text(member, "subnet_id", "subnet_cidr_id")
            server = _text(member, "server_id", "instance_id")
            holder = server or self._holder(_text(member, "address", "server_address"), subnet_id)
            if holder:
                found[holder].add(label)
        return found

    def _dns(self) -> dict[str, set[str]]:
        """DNS names by the address that they point at."""
        found: dict[str, set[str]] = defaultdict(set)
        for record in self._resources("dns_records"):
            if str(record.properties.get("type", "")).upper() in ("A", "AAAA"):
                for address in _strings(record.properties.get("records")):
                    found[address].add(record.name.rstrip("."))
        return found

    def _server_groups(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for group in self._resources("server_groups"):
            for member in _strings(group.properties.get("members")):
                found[member].append(group.name or group.id)
        return {key: sorted(entry) for key, entry in found.items()}

    def _cluster_nodes(self) -> dict[str, str]:
        clusters = {cluster.id: cluster.name or cluster.id for cluster in self._resources("cce_clusters")}
        found = {}
        for node in self._resources("cce_nodes"):
            status = node.properties.get("status")
            server = (status.get("serverId") if isinstance(status, Mapping) else None) or node.properties.get(
                "serverId"
            )
            if isinstance(server, str) and server:
                found[server] = clusters.get(node.parent, "") or node.parent or node.name or node.id
        return found

    def _scaling(self) -> dict[str, str]:
        found: dict[str, str] = {}
        labels = {group.id: group.name for group in self._resources("scaling_groups")}
        for group in self._resources("scaling_groups"):
            for key in ("instances", "instance_ids", "scaling_group_instances"):
                for entry in _list(group.properties.get(key)):
                    server = entry.get("instance_id") if isinstance(entry, Mapping) else entry
                    if isinstance(server, str) and server:
                        found[server] = group.name or group.id
        for instance in self._resources("scaling_instances"):
            server = instance.properties.get("instance_id") or instance.id
            label = instance.properties.get("scaling_group_name") or labels.get(instance.parent) or instance.parent
            found[str(server)] = str(label)
        return found

    def _virtual_ports(self) -> Iterator[estates.Port]:
        """Ports that hold an address which ports of servers may use: virtual addresses."""
        shared = {(p.network_id, pair.ip) for p in self._estate.ports for pair in p.allowed_address_pairs}
        for port in self._estate.ports:
            owned = port.device_owner.casefold() in ("network:vip_port", "neutron:vip_port")
            free = not port.device_id
            if owned or (free and any((port.network_id, fixed.ip) in shared for fixed in port.fixed_ips)):
                yield port

    # the other kinds

    def _volume(self, volume: estates.Volume) -> Fact:
        holders = sorted({self._server_names.get(server, server) for server in self._holders.get(volume.id, [])})
        return {
            "id": volume.id,
            "name": volume.name,
            "kind": "volumes",
            "status": volume.status,
            "size_gib": volume.size_gib,
            "type": volume.type,
            "bootable": volume.bootable,
            "encrypted": _encrypted(volume),
            "key": _key(volume),
            "multiattach": volume.multiattach,
            "attached": bool(holders),
            "servers": holders,
            "snapshots": self._snapshots.get(volume.id, 0),
            "backups": self._backups.get(volume.id, 0),
            "metadata": volume.metadata,
            "az": volume.availability_zone,
        }

    def _snapshot(self, snapshot: estates.Snapshot) -> Fact:
        volume = self._volumes.get(snapshot.volume_id)
        return {
            "id": snapshot.id,
            "name": snapshot.name,
            "kind": "snapshots",
            "status": snapshot.status,
            "size_gib": snapshot.size_gib,
            "volume": (volume.name if volume else "") or snapshot.volume_id,
            "volume_id": snapshot.volume_id,
            "of_backup": snapshot.name.startswith(_BACKUP_SNAPSHOTS),
            "metadata": snapshot.metadata,
        }

    def _image(self, image: estates.Image) -> Fact:
        guest = guests.recognise(image.properties)
        license_ = _license("", image.properties, guest.distro)
        size = image.size_bytes or _number(image.properties.get("__image_size"))
        own = not image.owner or image.owner == self._project
        return {
            "id": image.id,
            "name": image.name,
            "kind": "images",
            "status": image.status,
            "visibility": image.visibility,
            "own": own and image.visibility != "public",
            "size_gib": round(size / (1 << 30), 1),
            "disk_format": image.disk_format,
            "properties": image.properties,
            "servers": self._made.get(image.id, 0),
            "license": license_,
            "export": self._export(image, guest.distro, license_),
        }

    def _export(self, image: estates.Image, distro: str, license_: str) -> str:
        """Whether the image service of Flexible Engine would export it; other clouds let images be read."""
        properties = image.properties
        if not any(key in properties for key in ("__imagetype", "__data_origin", "__platform")):
            return ""
        if license_ in ("market", "bundled") or properties.get("__whole_image", "").lower() == "true":
            return "refused"
        if properties.get("__data_origin", "").startswith("instance") and distro in (*BUNDLED, "ubuntu"):
            return "refused"
        disk = image.min_disk_gib
        return "refused" if disk > 1024 else "limited" if disk > 128 else "allowed"

    def _port(self, port: estates.Port) -> Fact:
        network = self._networks.get(port.network_id)
        return {
            "id": port.id,
            "name": port.name,
            "kind": "ports",
            "status": port.status,
            "network": (network.name if network else "") or port.network_id,
            "owner": port.device_owner,
            "device_id": port.device_id,
            "addresses": [fixed.ip for fixed in port.fixed_ips if fixed.ip],
            "pairs": [pair.ip for pair in port.allowed_address_pairs],
            "security": port.port_security,
            "attached": bool(port.device_id or port.device_owner),
            "virtual": port.id in self._virtual,
        }

    def _network(self, network: estates.Network) -> Fact:
        return {
            "id": network.id,
            "name": network.name,
            "kind": "networks",
            "own": not network.project_id or network.project_id == self._project,
            "shared": network.shared,
            "external": network.external,
            "mtu": network.mtu,
            "servers": len(self._on_network.get(network.id, ())),
            "subnets": sorted(self._cidrs.get(network.id, [])),
            "ipv4_subnets": self._versions[network.id, 4],
            "ipv6_subnets": self._versions[network.id, 6],
        }

    def _subnet(self, subnet: estates.Subnet) -> Fact:
        network = self._networks.get(subnet.network_id)
        return {
            "id": subnet.id,
            "name": subnet.name,
            "kind": "subnets",
            "network": (network.name if network else "") or subnet.network_id,
            "own": self._own(subnet.network_id),
            "cidr": subnet.cidr,
            "ip_version": subnet.ip_version,
            "gateway": subnet.gateway,
            "dhcp": subnet.dhcp,
            "resolvers": list(subnet.dns),
            "cloud_resolvers": _cloud_resolvers(subnet.dns),
            "routes": len(subnet.routes),
            "overlaps": sorted(self._overlaps.get(subnet.id, ())),
            "low_addresses": self._low_addresses(subnet),
        }

    def _own(self, network_id: str) -> bool:
        network = self._networks.get(network_id)
        return network is not None and (not network.project_id or network.project_id == self._project)

    def _overlapping(self) -> dict[str, set[str]]:
        """For each of the tenant's subnets, those of its other networks that share addresses with it."""
        ranges = []
        for subnet in self._estate.subnets:
            try:
                network = ipaddress.ip_network(subnet.cidr, strict=False)
            except ValueError:
                continue
            if self._own(subnet.network_id) and not self._networks[subnet.network_id].external:
                begin = int(network.network_address)
                ranges.append((network.version, begin, begin + network.num_addresses - 1, subnet.id, subnet))
        found: dict[str, set[str]] = defaultdict(set)
        ranges.sort(key=lambda entry: entry[:4])
        for index, (version, _begin, end, _id, subnet) in enumerate(ranges):
            for other_version, other_begin, _end, _other_id, other in ranges[index + 1 :]:
                if other_version != version or other_begin > end:
                    break
                if other.network_id != subnet.network_id:
                    found[subnet.id].add(other.name or other.id)
                    found[other.id].add(subnet.name or subnet.id)
        return found

    def _low_addresses(self, subnet: estates.Subnet) -> list[str]:
        try:
            network = ipaddress.ip_network(subnet.cidr, strict=False)
        except ValueError:
            return []
        if network.version != 4 or network.num_addresses < 8:
            return []
        low = {str(network.network_address + number) for number in (1, 2, 3)}
        return [ip for ip in sorted(low) if ip in self._on_subnet.get(subnet.id, ())]

    def _security_groups(self) -> list[Fact]:
        members = _count(group for port in self._estate.ports for group in port.security_groups)
        return [
            {**self._groups[group.id], "kind": "security_groups", "members": members.get(group.id, 0)}
            for group in self._estate.security_groups
        ]

    def _floating_ip(self, floating: estates.FloatingIp) -> Fact:
        port = self._ports.get(floating.port_id or "")
        return {
            "id": floating.id,
            "name": floating.address,
            "kind": "floating_ips",
            "status": floating.status,
            "address": floating.address,
            "attached": bool(floating.port_id),
            "server": self._server_names.get(port.device_id, "") if port else "",
            "dns_names": sorted(self._named.get(floating.address, ())),
        }

    def _tenant(self, found: Mapping[str, list[Fact]]) -> Fact:
        tenant, servers = self._estate.tenant, found["servers"]
        return {
            "id": tenant.project_id,
            "name": tenant.project_name,
            "kind": "tenant",
            "servers": len(servers),
            "cpus": sum(fact["cpus"] for fact in servers),
            "memory_mib": sum(fact["memory_mib"] for fact in servers),
            "disk_gib": sum(fact["size_gib"] for fact in found["volumes"]),
            "public_addresses": len(found["floating_ips"]),
            "not_read": sorted(kind for kind, state in self._estate.read.items() if state in ("partial", "not_read")),
            "metrics": self._metrics is not None,
        }


def _backed_up(estate: estates.Estate) -> Iterator[str]:
    """The volume or server of every backup, once a backup; and the volumes of a server's backup."""
    for kind in ("backups", "volume_backups", "vault_backups", "server_backups"):
        for backup in estate.resources.get(kind, []):
            properties = backup.properties
            volume = properties.get("volume_id") or properties.get("resource_id") or backup.parent
            if isinstance(volume, str) and volume:
                yield volume
            extended = properties.get("extend_info")
            inside = (
                extended.get("volume_backups") if isinstance(extended, Mapping) else properties.get("volume_backups")
            )
            for entry in _mappings(inside):
                inner = entry.get("source_volume_id") or entry.get("volume_id")
                if isinstance(inner, str) and inner:
                    yield inner


def _group_fact(group: estates.SecurityGroup, labels: Mapping[str, str]) -> Fact:
    named = {rule.remote_group_id for rule in group.rules if rule.remote_group_id}
    default = group.name.casefold() in ("default", "sys-default")
    if default:
        # the rule that every cloud makes: members may talk to each other
        named.discard(group.id)
    everybody = [
        rule
        for rule in group.rules
        if rule.direction == "ingress" and rule.remote_cidr in _EVERYBODY and not rule.remote_group_id
    ]
    return {
        "id": group.id,
        "name": group.name,
        "rules": len(group.rules),
        "names_groups": sorted(labels.get(other, other) for other in named if other),
        "open_to_all": sorted({rule.ethertype for rule in everybody if rule.protocol in (None, "any", "")}),
        "open_admin": sorted({_ADMIN[port] for rule in everybody for port in _ADMIN if _lets_in(rule, port)}),
    }


def _lets_in(rule: estates.Rule, port: int) -> bool:
    if rule.protocol not in ("tcp", "6"):
        return False
    low = rule.port_min if rule.port_min is not None else 1
    high = rule.port_max if rule.port_max is not None else 65535
    return low <= port <= high


def _support(guest: guests.Guest) -> str:
    """Whether the maker of a system still gives updates."""
    if not guest.version or guest.distro not in (*ENDED, "rocky", "almalinux"):
        return ""
    major = int(guest.version.partition(".")[0])
    if guest.distro == "windows" and major < 100:
        return "ended" if major <= 10 else "current"
    return "ended" if major <= ENDED.get(guest.distro, 0) else "current"


def _hypervisor(extra_specs: Mapping[str, str], properties: Mapping[str, str]) -> str:
    """From the flavor: `ecs:virtualization_env_types`; else from the image, where it can run on one of them only."""
    told = extra_specs.get("ecs:virtualization_env_types", "")
    by_flavor = {"FusionCompute": "xen", "CloudCompute": "kvm"}.get(told, "")
    if by_flavor:
        return by_flavor
    told = (extra_specs.get("hypervisor_type") or properties.get("hypervisor_type") or "").lower()
    if told in ("xen", "kvm", "qemu"):
        return "kvm" if told == "qemu" else told
    xen, kvm = (properties.get(key, "").lower() == "true" for key in ("__support_xen", "__support_kvm"))
    return "xen" if xen and not kvm else "kvm" if kvm and not xen else ""


def _license(metered: str, properties: Mapping[str, str], distro: str) -> str:
    kind = (metered or properties.get("__imagetype", "") or properties.get("metering.imagetype", "")).lower()
    if kind == "market":
        return "market"
    if kind == "gold":
        return "bundled" if distro in BUNDLED else "own" if distro else ""
    return "own" if kind in ("private", "shared") else ""


def _agents(metadata: Mapping[str, str], properties: Mapping[str, str]) -> list[str]:
    told = ",".join(source.get("__support_agent_list", "") for source in (metadata, properties))
    return sorted({name.strip().lower() for name in told.split(",") if name.strip()})


def _charging(mode: str) -> str:
    return {"": "", "0": "on_demand", "postPaid": "on_demand"}.get(mode, "subscription")


def _encrypted(volume: estates.Volume) -> bool:
    return volume.encrypted or volume.metadata.get("__system__encrypted") == "1"


def _key(volume: estates.Volume) -> str:
    return volume.metadata.get("__system__cmkid", "")


def _cloud_resolvers(addresses: Iterable[str]) -> list[str]:
    found = []
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if any(address in network for network in _CLOUD_RESOLVERS):
            found.append(text)
    return sorted(set(found))


def _count(found: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for entry in found:
        counts[entry] += 1
    return counts


def _first(metadata: Mapping[str, str], *beginnings: str) -> str:
    """The value of the first key that begins so; the key itself where it has none."""
    for key in sorted(metadata):
        if key.casefold().startswith(beginnings):
            return metadata[key] or key
    return ""


def _number(value: Any) -> int:
    return int(value) if isinstance(value, (str, int)) and str(value).isdecimal() and len(str(value)) < 16 else 0


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {str(key): entry for key, entry in value.items() if isinstance(entry, str)}


def _tags(ecs: Mapping[str, Any]) -> list[str]:
    """Tags as the ECS service writes them: `key=value`."""
    return [tag for tag in _strings(ecs.get("tags")) if tag]


def _text(found: Mapping[str, Any], *keys: str) -> str:
    """The first of the values that is text and not empty."""
    return next((found[key] for key in keys if isinstance(found.get(key), str) and found[key]), "")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _strings(value: Any) -> list[str]:
    return [entry for entry in _list(value) if isinstance(entry, str)]


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in _list(value) if isinstance(entry, Mapping)]
