# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A draft plan from an estate and what was judged of it: sizes, disks, cards, networks, groups, waves, other objects.

What cannot be moved is in the plan as `move: none` with the reason; nothing of the estate's servers is left out.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import balancing, guests, sizing
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import judge as judging


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the estate cannot tell. What is left empty is drafted empty, and the plan says that it must be filled in.

    networks: target network by name or id of the source network. default_network: for all others. reader_connection:
    Ansible host variables. group_by: key of server metadata whose value names the move group; empty: the policy's.
    """

    tenant: str
    cloud: str | None = None
    estate_file: str = ""
    type: Literal["vsphere", "vcd"] = "vsphere"
    datacenter: str = ""
    compute: str = ""
    datastore: str = ""
    folder: str = "cloudexit"
    org: str = ""
    vdc: str = ""
    storage_profile: str = ""
    catalog: str = ""
    vapp_prefix: str = ""
    edge: str = ""
    networks: Mapping[str, str] = field(default_factory=dict)
    default_network: str | None = None
    reader: str = "reader-1"
    reader_server_id: str = ""
    reader_connection: Mapping[str, Any] = field(default_factory=dict)
    group_by: str = ""
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


def draft(estate: estates.Estate, options: Options, judgement: judging.Judgement | None = None) -> Draft:
    """Draft a plan. The same estate, options and judgement give the same plan."""
    if judgement is None:
        judgement = judging.judge(estate, inputs(options))
    return _Drafter(estate, options, judgement).draft()


def inputs(options: Options, base: judging.Inputs | None = None) -> judging.Inputs:
    """What a judgement has to know of the options of a draft."""
    return dataclasses.replace(
        base or judging.Inputs(),
        target=plans.DESTINATIONS[options.type],
        reader_server_id=options.reader_server_id,
        group_by=options.group_by,
        at_once=options.workloads_at_once,
        rate_mib_s=options.bandwidth_mib_s,
    )


class _Drafter:
    def __init__(self, estate: estates.Estate, options: Options, judgement: judging.Judgement) -> None:
        self._estate = estate
        self._options = options
        self._judgement = judgement
        self._volumes = {volume.id: volume for volume in estate.volumes}
        self._ports = {port.id: port for port in estate.ports}
        self._networks = {network.id: network for network in estate.networks}
        self._floating: dict[str, list[str]] = defaultdict(list)
        for floating in estate.floating_ips:
            if floating.port_id:
                self._floating[floating.port_id].append(floating.address)
        self._group_of = judgement.group_of()
        metrics = judgement.inputs.metrics
        self._loads = metrics.servers if metrics is not None else {}
        self._remarks: dict[str, list[str]] = {}

    def draft(self) -> Draft:
        servers = sorted(self._estate.servers, key=lambda server: (server.name.casefold(), server.name, server.id))
        hosts = self._judgement.hosts
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
                type=options.type,
                **{key: getattr(options, key) for key in plans.target_keys(options.type)},
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
            edge=self._edge(moving),
            waves={
                wave.name: plans.Wave(groups=list(wave.groups), start=wave.start, hours=wave.window_s / 3600)
                for wave in self._judgement.waves
            },
            workloads=workloads,
            objects=judging.left(self._estate, used, self._judgement.facts),
        )
        _plan, open_ = plans.parse(schema.dump(plan))
        return Draft(plan, self._judgement.findings, open_, self._remarks)

    def _workload(self, server: estates.Server, host: str, target_name: str) -> plans.Workload:
        source = plans.Source(id=server.id, name=server.name)
        guest = guests.recognise(self._judgement.servers[server.id]["properties"])
        reason = self._judgement.reasons.get(server.id)
        decision = self._decision(server)
        size = sizing.size(server.flavor, self._judgement.inputs.policy.sizing, self._loads.get(server.id))
        self._remark(host, server, guest, [] if reason else size.remarks)
        if reason:
            return plans.Workload(source=source, move="none", reason=reason, decision=decision)
        return plans.Workload(
            source=source,
            move="cold",
            name=target_name,
            decision=decision,
            group=self._group_of[host],
            reader=self._options.reader,
            cpus=size.cpus,
            memory_mib=size.memory_mib,
            firmware=guest.firmware or "bios",
            guest=plans.Guest(os=guest.identifier),
            disks=[self._disk(attachment) for attachment in self._attached(server)],
            nics=[self._nic(port_id) for port_id in server.ports if port_id in self._ports],
            stop=plans.Stop(deadline_s=self._options.stop_deadline_s),
        )

    def _decision(self, server: estates.Server) -> plans.Decision | None:
        """Where it goes, when there is a policy that says so."""
        decided = self._judgement.decisions[server.id]
        if (
            decided.destination == self._judgement.inputs.target
            and decided.answer == "not_asked"
            and not decided.reasons
        ):
            return None
        return plans.Decision(to=decided.destination, answer=decided.answer, reasons=list(decided.reasons))

    def _disk(self, attachment: estates.Attachment) -> plans.Disk:
        volume = self._volumes[attachment.volume_id]
        options = self._options
        place = self._judgement.inputs.policy.storage.get(volume.type) or None
        vcd = options.type == "vcd"
        own = place if place != (options.storage_profile if vcd else options.datastore) else None
        return plans.Disk(
            volume=volume.id,
            size_gib=volume.size_gib,
            boot=attachment.boot,
            datastore=None if vcd else own,
            storage_profile=own if vcd else None,
        )

    def _attached(self, server: estates.Server) -> list[estates.Attachment]:
        """Its disks as the target has them: Cloud Director boots from the first one."""
        found = [attachment for attachment in server.volumes if attachment.volume_id in self._volumes]
        return sorted(found, key=lambda one: not one.boot) if self._options.type == "vcd" else found

    def _remark(self, host: str, server: estates.Server, guest: guests.Guest, more: Iterable[str]) -> None:
        """What stands above the workload in the plan, for people."""
        size = f"{server.flavor.vcpus} vCPU, {server.flavor.ram_mib} MiB"
        flavor = f" ({names.printable(server.flavor.name, 40)})" if server.flavor.name else ""
        system = names.printable(guest.label, 40) or "system unknown"
        lines = [f"{names.printable(server.name) or '(no name)'}: {server.status}, {size}{flavor}, {system}"]
        for port_id in server.ports:
            lines += [f"floating address {address}" for address in sorted(self._floating.get(port_id, []))]
        self._remarks[host] = [*lines, *more]

    def _nic(self, port_id: str) -> plans.Nic:
        port = self._ports[port_id]
        return plans.Nic(
            port=port.id,
            mac=port.mac,
            network=port.network_id,
            addresses=[fixed.ip for fixed in port.fixed_ips if fixed.ip],
        )

    def _edge(self, moving: Iterable[plans.Workload]) -> plans.Edge:
        """The edge gateway, to be filled in for every public address of what moves, load balancers and NAT gateways."""
        options = self._options
        if options.type != "vcd":
            return plans.Edge()
        nics = [nic for workload in moving for nic in workload.nics]
        ports = {nic.port for nic in nics}
        gateways = {
            str(rule.properties.get("floating_ip_id", ""))
            for kind in ("dnat_rules", "snat_rules")
            for rule in self._estate.of(kind)
        }
        wanted = {
            one.address
            for one in self._estate.floating_ips
            if one.address and (one.port_id in ports or one.id in gateways)
        }
        wanted |= balancing.public_addresses(self._estate, {address for nic in nics for address in nic.addresses})
        return plans.Edge(name=options.edge, public=dict.fromkeys(sorted(wanted)))

    def _network_map(self, used: set[str]) -> dict[str, plans.NetworkMap]:
        """The target of each network; by default, in Cloud Director, one of the same name: `prepare` makes it."""
        mapped = {}
        own: Mapping[str, str] = {}
        if self._options.type == "vcd":
            own = names.unique_vm_names(
                {ident: self._networks[ident].name or "network" for ident in used if ident in self._networks}
            )
        by_name: dict[str, int] = defaultdict(int)
        for network in self._networks.values():
            by_name[network.name] += 1
        for network_id in sorted(used, key=lambda i: (self._networks[i].name if i in self._networks else "", i)):
            name = self._networks[network_id].name if network_id in self._networks else ""
            target = self._options.networks.get(network_id)
            if target is None and name and by_name[name] == 1:
                target = self._options.networks.get(name)
            target = target or self._options.default_network or own.get(network_id)
            mapped[network_id] = plans.NetworkMap(name=name, target=target)
        return mapped
