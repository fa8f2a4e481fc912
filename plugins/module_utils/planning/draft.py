# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A draft plan from an estate: sizes, disks, cards, networks, groups; and findings for whatever a person must know.

What cannot be moved is in the plan as `move: none` with the reason; nothing of the estate's servers is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import guests

MOVABLE = frozenset({"ACTIVE", "SHUTOFF", "STOPPED"})
"""Server states that a move can start from (Compute API guide, "Server concepts")."""

DEFAULT_GROUP = "main"
DEFAULT_WAVE = "wave_1"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the estate cannot tell. What is left empty is drafted empty, and the plan says that it must be filled in.

    networks: target network by name or id of the source network. default_network: for all others. reader_connection:
    Ansible host variables. group_by: key of server metadata whose value names the move group.
    """

    tenant: str
    cloud: str | None = None
    estate_file: str = ""
    datacenter: str = ""
    compute: str = ""
    datastore: str = ""
    folder: str = "cloudexit"
    networks: Mapping[str, str] = field(default_factory=dict)
    default_network: str | None = None
    reader: str = "reader-1"
    reader_server_id: str = ""
    reader_connection: Mapping[str, Any] = field(default_factory=dict)
    group_by: str = "group"
    workloads_at_once: int = 4
    disks_per_reader: int = 2
    bandwidth_mib_s: float = 0.0
    stop_deadline_s: int = 300


@dataclass(frozen=True)
class Draft:
    """A drafted plan, what was found on the way, what a person must fill in before it is valid, and remarks by host."""

    plan: plans.Plan
    findings: list[estates.Finding]
    open: list[Problem]
    remarks: dict[str, list[str]]


def draft(estate: estates.Estate, options: Options) -> Draft:
    """Draft a plan for vSphere. The same estate and options give the same plan."""
    return _Drafter(estate, options).draft()


class _Drafter:
    def __init__(self, estate: estates.Estate, options: Options) -> None:
        self._estate = estate
        self._options = options
        self._volumes = {volume.id: volume for volume in estate.volumes}
        self._images = {image.id: image for image in estate.images}
        self._ports = {port.id: port for port in estate.ports}
        self._networks = {network.id: network for network in estate.networks}
        self._floating: dict[str, list[str]] = defaultdict(list)
        for floating in estate.floating_ips:
            if floating.port_id:
                self._floating[floating.port_id].append(floating.address)
        self._findings: list[estates.Finding] = []
        self._remarks: dict[str, list[str]] = {}

    def draft(self) -> Draft:
        servers = sorted(self._estate.servers, key=lambda server: (server.name.casefold(), server.name, server.id))
        hosts = names.host_keys({server.id: server.name for server in servers})
        targets = names.unique_vm_names({server.id: server.name for server in servers})
        workloads = {hosts[s.id]: self._workload(s, hosts[s.id], targets[s.id]) for s in servers}
        moving = [workload for workload in workloads.values() if workload.move != "none"]
        used = {nic.network for workload in moving for nic in workload.nics}
        options = self._options
        plan = plans.Plan(
            plugin=plans.PLUGIN,
            version=plans.VERSION,
            tenant=plans.Tenant(
                name=options.tenant,
                project_id=self._estate.tenant.project_id,
                region=self._estate.tenant.region,
                cloud=options.cloud,
            ),
            target=plans.Target(
                type="vsphere",
                datacenter=options.datacenter,
                compute=options.compute,
                datastore=options.datastore,
                folder=options.folder,
            ),
            estate=plans.EstateRef(file=options.estate_file, digest=self._estate.digest()),
            readers={
                options.reader: plans.Reader(
                    server_id=options.reader_server_id, connection=dict(options.reader_connection)
                )
            },
            limits=plans.Limits(
                workloads_at_once=options.workloads_at_once,
                disks_per_reader=options.disks_per_reader,
                bandwidth_mib_s=options.bandwidth_mib_s,
            ),
            networks=self._network_map(used),
            waves={DEFAULT_WAVE: plans.Wave(groups=sorted({workload.group for workload in moving}))} if moving else {},
            workloads=workloads,
        )
        self._left_behind()
        _plan, open_ = plans.parse(schema.dump(plan))
        findings = [*self._estate.findings, *self._findings]
        order = {"blocker": 0, "warning": 1, "information": 2}
        findings.sort(key=lambda f: (order[f.severity], f.rule, f.subject.kind, f.subject.name, f.subject.id))
        return Draft(plan, findings, open_, self._remarks)

    def _find(
        self, rule: str, severity: estates.Severity, kind: str, subject: Any, seen: str, action: str = ""
    ) -> None:
        about = estates.Subject(kind=kind, id=subject.id, name=names.printable(getattr(subject, "name", "")))
        self._findings.append(estates.Finding(rule, severity, about, seen, action))

    def _workload(self, server: estates.Server, host: str, target_name: str) -> plans.Workload:
        source = plans.Source(id=server.id, name=server.name)
        if self._options.reader_server_id and server.id == self._options.reader_server_id:
            self._find("reader", "information", "servers", server, "is the reader host of this plan", "Not moved.")
            return plans.Workload(source=source, move="none", reason="it is the reader host of this plan")
        guest = guests.recognise(self._properties(server))
        reasons = [*self._refusals(server), *_guest_refusals(guest)]
        for rule, reason in reasons:
            self._find(rule, "blocker", "servers", server, reason, "Drafted as move: none.")
        if reasons:
            self._remark(host, server, guest)
            return plans.Workload(source=source, move="none", reason="; ".join(reason for _rule, reason in reasons))
        self._notes(server, guest)
        self._remark(host, server, guest)
        return plans.Workload(
            source=source,
            move="cold",
            name=target_name,
            group=self._group(server),
            reader=self._options.reader,
            cpus=server.flavor.vcpus,
            memory_mib=-(-server.flavor.ram_mib // 4) * 4,
            firmware=guest.firmware or "bios",
            guest=plans.Guest(os=guest.identifier),
            disks=[
                plans.Disk(
                    volume=attachment.volume_id,
                    size_gib=self._volumes[attachment.volume_id].size_gib,
                    boot=attachment.boot,
                )
                for attachment in server.volumes
            ],
            nics=[self._nic(port_id) for port_id in server.ports if port_id in self._ports],
            stop=plans.Stop(deadline_s=self._options.stop_deadline_s),
        )

    def _properties(self, server: estates.Server) -> dict[str, str]:
        """The properties of the image that the server was made from; those kept with its boot volume win."""
        found: dict[str, str] = {}
        if server.image_id in self._images:
            found.update(self._images[server.image_id].properties)
        boot = next((place.volume_id for place in server.volumes if place.boot), None)
        if boot in self._volumes:
            metadata = self._volumes[boot].image_metadata
            image = self._images.get(metadata.get("image_id", ""))
            found.update(image.properties if image else {})
            found.update(metadata)
        return found

    def _refusals(self, server: estates.Server) -> Iterator[tuple[str, str]]:
        """Why the server cannot be moved: pairs of rule and reason."""
        if server.status not in MOVABLE:
            yield "server_state", f"its state is {names.printable(server.status) or 'unknown'}, not ACTIVE or SHUTOFF"
        if server.metadata.get("EcmResStatus") == "freeze":
            yield "server_frozen", "the cloud has frozen it (EcmResStatus=freeze)"
        if server.flavor.vcpus < 1 or server.flavor.ram_mib < 1:
            yield "size_unknown", "its size could not be read"
        if self._estate.read.get("volumes") != "complete":
            yield "disks_unknown", "its disks could not all be read"
            return
        if self._estate.read.get("ports") != "complete":
            yield "ports_unknown", "its ports could not all be read"
        for attachment in server.volumes:
            volume = self._volumes.get(attachment.volume_id)
            if volume is None:
                yield "disks_unknown", f"its volume {attachment.volume_id} is not visible to this credential"
                continue
            if volume.multiattach or len(volume.attachments) > 1:
                yield "volume_multiattach", f"its volume {volume.id} can be attached to several servers at once"
            if volume.encrypted:
                yield "volume_encrypted", f"its volume {volume.id} is encrypted"
            if volume.status not in ("in-use", "available"):
                yield "volume_state", f"its volume {volume.id} is {names.printable(volume.status) or 'in no state'}"
        if not any(attachment.boot for attachment in server.volumes):
            if server.image_id is not None or server.flavor.disk_gib:
                yield (
                    "local_root_disk",
                    "it boots from a local disk of the hypervisor, which no snapshot can be cloned from",
                )
            else:
                yield "boot_disk_missing", "none of its volumes is known to be its boot disk"

    def _notes(self, server: estates.Server, guest: guests.Guest) -> None:
        if guest.firmware is None:
            self._find(
                "firmware_unknown",
                "information",
                "servers",
                server,
                "its image does not say which firmware it needs (hw_firmware_type)",
                "Drafted as bios; set firmware: efi where the guest boots by UEFI.",
            )
        if not guest.known:
            self._find(
                "guest_unknown",
                "warning",
                "servers",
                server,
                f"its image does not say which system it holds (os_distro, os_version): {guest.label or 'nothing set'}",
                f"Drafted as {guest.identifier}; guest adaptation looks at the disk itself.",
            )
        if len(server.ports) > 1:
            self._find(
                "nic_order",
                "information",
                "servers",
                server,
                f"it has {len(server.ports)} ports, whose order in the guest the cloud does not promise",
                "Drafted in the order of the cloud's record; MAC addresses are kept, and the guest goes by them.",
            )
        if not server.ports:
            self._find("no_port", "warning", "servers", server, "it has no port", "Drafted without a network card.")
        for port in (self._ports[port_id] for port_id in server.ports if port_id in self._ports):
            for address in sorted(self._floating.get(port.id, [])):
                self._find(
                    "floating_ip",
                    "warning",
                    "servers",
                    server,
                    f"the floating address {address} stays with the source cloud",
                    "Give it another public address at the target.",
                )
            if port.allowed_address_pairs:
                pairs = ", ".join(names.printable(pair.ip) for pair in port.allowed_address_pairs)
                self._find(
                    "allowed_address_pairs",
                    "warning",
                    "servers",
                    server,
                    f"its port {port.id} may use other addresses: {pairs}",
                    "They are often virtual addresses of a cluster: move its members together.",
                )
            if port.vnic_type != "normal":
                self._find(
                    "vnic_type",
                    "warning",
                    "servers",
                    server,
                    f"its port {port.id} is of type {names.printable(port.vnic_type)}",
                    "Drafted as vmxnet3.",
                )

    def _remark(self, host: str, server: estates.Server, guest: guests.Guest) -> None:
        """What stands above the workload in the plan, for people."""
        size = f"{server.flavor.vcpus} vCPU, {server.flavor.ram_mib} MiB"
        flavor = f" ({names.printable(server.flavor.name, 40)})" if server.flavor.name else ""
        system = names.printable(guest.label, 40) or "system unknown"
        lines = [f"{names.printable(server.name) or '(no name)'}: {server.status}, {size}{flavor}, {system}"]
        for port_id in server.ports:
            lines += [f"floating address {address}" for address in sorted(self._floating.get(port_id, []))]
        self._remarks[host] = lines

    def _group(self, server: estates.Server) -> str:
        return names.slug(server.metadata.get(self._options.group_by, ""), fallback=DEFAULT_GROUP)

    def _nic(self, port_id: str) -> plans.Nic:
        port = self._ports[port_id]
        return plans.Nic(
            port=port.id,
            mac=port.mac,
            network=port.network_id,
            addresses=[fixed.ip for fixed in port.fixed_ips if fixed.ip],
        )

    def _network_map(self, used: set[str]) -> dict[str, plans.NetworkMap]:
        mapped = {}
        by_name: dict[str, int] = defaultdict(int)
        for network in self._networks.values():
            by_name[network.name] += 1
        for network_id in sorted(used, key=lambda i: (self._networks[i].name if i in self._networks else "", i)):
            name = self._networks[network_id].name if network_id in self._networks else ""
            target = self._options.networks.get(network_id)
            if target is None and name and by_name[name] == 1:
                target = self._options.networks.get(name)
            mapped[network_id] = plans.NetworkMap(name=name, target=target or self._options.default_network)
        return mapped

    def _left_behind(self) -> None:
        """What no workload takes along."""
        attached = {place.volume_id for server in self._estate.servers for place in server.volumes}
        for volume in self._estate.volumes:
            if volume.id not in attached and not volume.attachments:
                self._find(
                    "volume_unattached",
                    "information",
                    "volumes",
                    volume,
                    f"{volume.size_gib} GiB, attached to no server",
                    "Stays behind. Attach it to a server if it is to move.",
                )
        snapshots: dict[str, int] = defaultdict(int)
        for snapshot in self._estate.snapshots:
            snapshots[snapshot.volume_id] += 1
        for volume_id, count in sorted(snapshots.items()):
            volume = self._volumes.get(volume_id) or estates.Volume(id=volume_id)
            self._find(
                "snapshots_left",
                "information",
                "volumes",
                volume,
                f"has {count} snapshot{'s' if count > 1 else ''}",
                "Only the disk as it is moves; its snapshots stay behind.",
            )


def _guest_refusals(guest: guests.Guest) -> Iterator[tuple[str, str]]:
    if guest.family != "linux":
        system = names.printable(guest.label) or guest.family
        yield "guest_not_linux", f"its system is {system}, which cannot be adapted yet"
