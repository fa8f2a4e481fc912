# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: for every workload of a tenant what becomes of it, and where. People edit it; here is what can be wrong.

docs/plan.md is the manual; its tables come from the texts below.
"""

from __future__ import annotations

import datetime
import difflib
import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import document, kinds, names, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.assessment import Answer, Destination
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.schema import doc

T = TypeVar("T")

PLUGIN = "cloudexit.flexible_engine.plan"
VERSION = 1

CONTROLLERS = ("pvscsi", "lsilogic", "lsisas", "sata", "nvme")
SLOTS = {"pvscsi": 4 * 15, "lsilogic": 4 * 15, "lsisas": 4 * 15, "sata": 4 * 30, "nvme": 4 * 15}
"""Disks that a virtual machine takes on each kind of controller (vSphere configuration maximums: 4 of a kind; SCSI
controllers share the four)."""

VCD_DISK_GIB = 2048
"""GiB of the largest disk that Cloud Avenue's datastores take (Cloud Avenue wiki, Storage)."""
VCD_NICS = 10

_HOST = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_GROUP = re.compile(r"^[a-z][a-z0-9_]*\Z")
_MAC = re.compile(r"^[0-9a-f]{2}(?::[0-9a-f]{2}){5}\Z")
_MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z\Z")
_DIGEST = re.compile(r"^(?:sha256|blake3):[0-9a-f]{64}\Z")
_HINT = "The keys are described in docs/plan.md."
_RESERVED_GROUPS = frozenset({"all", "ungrouped", "workloads", "readers", "not_moved", "localhost"})


def _filled(value: str) -> str | None:
    return None if value.strip() else "must not be empty"


def _positive(value: int) -> str | None:
    return None if value > 0 else "must be greater than 0"


def _not_negative(value: float) -> str | None:
    return None if value >= 0 else "must be 0 or greater"


def _port(value: int) -> str | None:
    return None if 0 < value < 65536 else "must be a port, 1 to 65535"


def _vm_name(value: str) -> str | None:
    if not value.strip():
        return "must not be empty"
    if len(value) > names.VM_NAME_MAX:
        return f"has {len(value)} characters; vSphere takes {names.VM_NAME_MAX}"
    bad = sorted({char for char in value if char in "%/\\" or not char.isprintable()})
    return f"holds characters that vSphere does not take in a name: {' '.join(map(repr, bad))}" if bad else None


def _digest(value: str) -> str | None:
    return None if _DIGEST.match(value) else "must be sha256: or blake3: and 64 hexadecimal digits"


def _mac(value: str) -> str | None:
    return None if _MAC.match(value) else "must be a MAC address like fa:16:3e:00:00:01, in lower case"


def _moment(value: str) -> str | None:
    try:
        if _MOMENT.match(value) and datetime.datetime.fromisoformat(value.removesuffix("Z") + "+00:00"):
            return None
    except ValueError:
        pass
    return "must be a moment in UTC like 2026-12-05T20:00Z"


def _address(value: str) -> str | None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return "must be an IP address"
    return None


def _memory(value: int) -> str | None:
    return _positive(value) or (None if value % 4 == 0 else "must be a multiple of 4, as vSphere wants it")


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """The source project."""

    name: str = field(metadata=doc("short name of the tenant; the owner marks carry it", check=_filled))
    project_id: str = field(metadata=doc("id of the source project", check=_filled))
    region: str = field(default="", metadata=doc("region of the source cloud"))
    cloud: str | None = field(
        default=None,
        metadata=doc("entry of clouds.yaml to log in with; null where the environment or the play says it"),
    )


@dataclass(frozen=True, kw_only=True)
class EstateRef:
    """The estate that the plan was drafted from."""

    file: str = field(default="", metadata=doc("file of the estate, beside the plan"))
    digest: str = field(
        default="", metadata=doc("digest of the estate", check=lambda value: _digest(value) if value else None)
    )


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where the tenant goes. Which of the keys count depends on the type."""

    type: Literal["vsphere", "vcd"] = field(
        metadata=doc("kind of target: a vCenter, or VMware Cloud Director as Cloud Avenue has it")
    )
    datacenter: str = field(default="", metadata=doc("vsphere: name or inventory path of the datacenter; required"))
    compute: str = field(
        default="", metadata=doc("vsphere: cluster, resource pool or host that runs the machines; required")
    )
    datastore: str = field(
        default="", metadata=doc("vsphere: datastore of the disks, unless a disk says another; required")
    )
    folder: str = field(default="", metadata=doc("vsphere: VM folder, made when missing"))
    org: str = field(default="", metadata=doc("vcd: organisation; required"))
    vdc: str = field(default="", metadata=doc("vcd: virtual data center of the machines; required"))
    storage_profile: str = field(
        default="", metadata=doc("vcd: storage profile of the machines; empty: the default of the VDC")
    )
    catalog: str = field(
        default="", metadata=doc("vcd: catalog that disks are uploaded to, made when missing; empty: cloudexit")
    )
    vapp_prefix: str = field(
        default="",
        metadata=doc(
            "vcd: begin of the names of the vApps, one for each move group, like acme-group_1; empty: the tenant"
        ),
    )


TARGET_NEEDS = {"vsphere": ("datacenter", "compute", "datastore"), "vcd": ("org", "vdc")}
TARGET_TAKES = {"vsphere": ("folder",), "vcd": ("storage_profile", "catalog", "vapp_prefix")}


def target_keys(kind: str) -> tuple[str, ...]:
    """The keys of a target that count for its type, besides the type."""
    return (*TARGET_NEEDS[kind], *TARGET_TAKES[kind])


DESTINATIONS: dict[str, Destination] = {"vsphere": "vsphere", "vcd": "cloud_avenue"}
"""What a decision calls the place that a type of target stands for."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A helper server in the source tenant that reads disks."""

    server_id: str = field(metadata=doc("id of the server that the clones are attached to", check=_filled))
    connection: dict[str, Any] = field(
        default_factory=dict,
        metadata=doc(
            "Ansible host variables to reach it, for example ansible_host, ansible_user; the one place of the plan "
            "where Ansible templates and !vault work"
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much at once."""

    workloads_at_once: int = field(
        default=4, metadata=doc("workloads that are copied at the same time", check=_positive)
    )
    disks_per_reader: int = field(
        default=2, metadata=doc("disks that one reader reads at the same time", check=_positive)
    )
    bandwidth_mib_s: float = field(
        default=0.0,
        metadata=doc("MiB per second that one reader sends, all disks together; 0: no limit", check=_not_negative),
    )


@dataclass(frozen=True, kw_only=True)
class NetworkMap:
    """A source network and the target network that takes its place."""

    name: str = field(default="", metadata=doc("name of the source network, for the reader of the plan"))
    target: str | None = field(
        default=None,
        metadata=doc(
            "port group or network of the target (vcd: network of the organisation); must be set when a workload that "
            "moves uses the network"
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Edge:
    """vcd: the edge gateway that takes the place of routers, NAT and security groups."""

    name: str = field(default="", metadata=doc("vcd: name of the edge gateway; empty: no network is prepared"))
    vdc_group: str = field(
        default="",
        metadata=doc(
            "data center group of VDC and edge: made where they are in none, its distributed firewall switched on "
            "where it is off; empty: what is there is used as it is"
        ),
    )
    public: dict[str, str | None] = field(
        default_factory=dict,
        metadata=doc("public addresses of the source, and for each the one of the edge that takes its place"),
    )
    outbound: str = field(
        default="",
        metadata=doc(
            "public address with which machines go out that have none of their own",
            check=lambda value: _address(value) if value else None,
        ),
    )
    rules: Literal["last", "first"] = field(
        default="last",
        metadata=doc("where new rules go: behind those of others, which then decide before; or before them"),
    )
    icmp: Literal["wider", "narrower"] = field(
        default="wider", metadata=doc("what a rule about some types of ICMP becomes: all of ICMP, or none")
    )
    accepted: list[str] = field(
        default_factory=list,
        metadata=doc("ids of deviations of the firewall that somebody agreed to; see docs/firewall.md"),
    )


@dataclass(frozen=True, kw_only=True)
class Wave:
    """Move groups that share a cutover window."""

    groups: list[str] = field(default_factory=list, metadata=doc("move groups in this wave"))
    start: str = field(
        default="",
        metadata=doc(
            "begin of its window, UTC, like 2026-12-05T20:00Z; empty while none is set",
            check=lambda value: _moment(value) if value else None,
        ),
    )
    hours: float = field(
        default=0.0, metadata=doc("length of its window, hours; 0 while none is set", check=_not_negative)
    )


@dataclass(frozen=True, kw_only=True)
class Source:
    """The server that moves."""

    id: str = field(metadata=doc("id of the server: its identity", check=_filled))
    name: str = field(default="", metadata=doc("name of the server, for the reader of the plan"))


@dataclass(frozen=True, kw_only=True)
class Guest:
    """The system on the disks."""

    os: str = field(
        default="otherLinux64Guest", metadata=doc("guest OS identifier of vSphere, for example debian12_64Guest")
    )
    adapt: Literal["offline", "none"] = field(
        default="offline",
        metadata=doc("offline: make the clone bootable on the target before it is copied; none: copy it as it is"),
    )


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A disk, in the order of the target's bus."""

    volume: str = field(metadata=doc("id of the source volume", check=_filled))
    size_gib: int = field(metadata=doc("size of the source volume, GiB", check=_positive))
    boot: bool = field(default=False, metadata=doc("whether the machine boots from it; exactly one disk does"))
    controller: Literal["pvscsi", "lsilogic", "lsisas", "sata", "nvme"] = field(
        default="pvscsi", metadata=doc("controller type that the disk hangs on")
    )
    datastore: str | None = field(default=None, metadata=doc("vsphere: datastore of this disk; null: the target's"))
    storage_profile: str | None = field(
        default=None, metadata=doc("vcd: storage profile of this disk; null: the target's")
    )
    verify: Literal["full", "sampled"] = field(
        default="full",
        metadata=doc("full: all of it is read back and compared; sampled (vcd): chosen chunks only, and told as that"),
    )


@dataclass(frozen=True, kw_only=True)
class Nic:
    """A network card, in the order of the target's bus."""

    port: str = field(default="", metadata=doc("id of the source port"))
    mac: str = field(metadata=doc("MAC address at the source", check=_mac))
    keep_mac: bool = field(default=True, metadata=doc("whether the target card has the same MAC address"))
    network: str = field(metadata=doc("id of the source network; see `networks`", check=_filled))
    type: Literal["vmxnet3", "e1000e", "e1000"] = field(default="vmxnet3", metadata=doc("card type"))
    addresses: list[str] = field(default_factory=list, metadata=doc("addresses at the source"))


@dataclass(frozen=True, kw_only=True)
class Stop:
    """How the source server is stopped."""

    deadline_s: int = field(
        default=300, metadata=doc("seconds that the guest has to shut down after the ACPI signal", check=_positive)
    )


@dataclass(frozen=True, kw_only=True)
class Check:
    """What must hold on the target before the source is fenced."""

    type: Literal["tcp", "http", "ssh"] = field(
        metadata=doc("tcp: the port takes a connection; http: the URL answers; ssh: the command ends with 0")
    )
    host: str | None = field(
        default=None, metadata=doc("where to connect (tcp, ssh); null: the workload's first address")
    )
    port: int | None = field(default=None, metadata=doc("TCP port; required for tcp, 22 for ssh", check=_port))
    url: str | None = field(default=None, metadata=doc("URL (http)"))
    status: int = field(default=200, metadata=doc("HTTP status that is expected (http)"))
    command: str | None = field(default=None, metadata=doc("command to run (ssh)"))
    user: str | None = field(default=None, metadata=doc("login name (ssh)"))
    key_file: str | None = field(default=None, metadata=doc("private key file (ssh)"))
    expect: str | None = field(default=None, metadata=doc("text that the page or the output must hold"))
    timeout_s: int = field(default=300, metadata=doc("seconds until the check must have held", check=_positive))


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Where the workload goes, by the policy and the customer's word."""

    to: Destination = field(
        metadata=doc("destination; a workload that moves goes where the plan goes (`target.type`), or has no decision")
    )
    answer: Answer = field(
        default="not_asked",
        metadata=doc("what the customer said; open: no answer yet, and until there is one it does not move"),
    )
    reasons: list[str] = field(default_factory=list, metadata=doc("why there"))


@dataclass(frozen=True, kw_only=True)
class Object:
    """An object of the tenant that is no workload: what becomes of it."""

    name: str = field(default="", metadata=doc("name of the object, for the reader of the plan"))
    decision: kinds.Decision = field(metadata=doc("what becomes of it"))
    target: str = field(default="", metadata=doc("what takes its place, where people know it"))
    note: str = field(default="", metadata=doc("why, or how"))


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One server with its disks and addresses: what becomes of it."""

    source: Source = field(metadata=doc("the server that moves"))
    move: Literal["cold", "none"] = field(metadata=doc("cold: stop, copy, start at the target; none: is not moved"))
    name: str = field(
        default="",
        metadata=doc("name of the virtual machine at the target", check=lambda v: _vm_name(v) if v else None),
    )
    reason: str = field(default="", metadata=doc("why it is not moved; required with move: none"))
    decision: Decision | None = field(
        default=None, metadata=doc("where it goes, by the policy; null: nobody has to decide")
    )
    group: str = field(default="", metadata=doc("move group: workloads that must cut over together"))
    reader: str | None = field(default=None, metadata=doc("reader that reads its disks; see `readers`"))
    cpus: int = field(default=1, metadata=doc("virtual CPUs", check=_positive))
    memory_mib: int = field(default=1024, metadata=doc("memory, MiB", check=_memory))
    firmware: Literal["bios", "efi"] = field(default="bios", metadata=doc("firmware of the machine"))
    guest: Guest = field(default_factory=Guest, metadata=doc("the system on the disks"))
    disks: list[Disk] = field(default_factory=list, metadata=doc("disks, in order"))
    nics: list[Nic] = field(default_factory=list, metadata=doc("network cards, in order"))
    stop: Stop = field(default_factory=Stop, metadata=doc("how the source is stopped"))
    checks: list[Check] = field(default_factory=list, metadata=doc("checks of the started machine"))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The whole document."""

    plugin: str = field(metadata=doc(f"always `{PLUGIN}`: makes the plan an Ansible inventory"))
    version: int = field(metadata=doc("version of this form"))
    tenant: Tenant = field(metadata=doc("the source project"))
    target: Target = field(metadata=doc("where the tenant goes"))
    estate: EstateRef = field(default_factory=EstateRef, metadata=doc("the estate that the plan was drafted from"))
    readers: dict[str, Reader] = field(default_factory=dict, metadata=doc("reader hosts by name"))
    limits: Limits = field(default_factory=Limits, metadata=doc("how much at once"))
    networks: dict[str, NetworkMap] = field(
        default_factory=dict, metadata=doc("target network of each source network, by the source network's id")
    )
    edge: Edge = field(default_factory=Edge, metadata=doc("vcd: the edge gateway, for the playbook `prepare`"))
    waves: dict[str, Wave] = field(default_factory=dict, metadata=doc("waves by name"))
    workloads: dict[str, Workload] = field(default_factory=dict, metadata=doc("workloads by host name"))
    objects: dict[str, dict[str, Object]] = field(
        default_factory=dict, metadata=doc("what becomes of every other object, by kind and id")
    )

    def digest(self) -> str:
        """`sha256:…` of the content, whatever its layout and comments."""
        return schema.digest(schema.dump(self))

    def moving(self) -> dict[str, Workload]:
        """The workloads that move."""
        return {host: workload for host, workload in self.workloads.items() if workload.move != "none"}

    def wave_of(self, workload: Workload) -> str | None:
        """The wave that the workload's group is in."""
        return next((name for name, wave in self.waves.items() if workload.group in wave.groups), None)


def dump(plan: Plan) -> dict[str, Any]:
    """The plan as plain data, every key there."""
    data: dict[str, Any] = schema.dump(plan)
    return data


def loads(text: str, what: str = "The plan") -> Plan:
    """The text of a plan file as a Plan; raises InvalidInput with all problems, each with its path and line."""
    found, problems = document.read(text)
    plan: Plan | None = None
    if found is not None:
        plan, problems = placed(found, problems)
    if problems or plan is None:
        raise InvalidInput(f"{what} is not valid", problems, hint=_HINT)
    return plan


def placed(found: document.Document, problems: Iterable[Problem] = ()) -> tuple[Plan | None, list[Problem]]:
    """What has been read as a Plan, and all problems (those of reading too) with their lines; None as in `parse`."""
    plan, more = parse(found.data)
    lines = [(found.line(problem.path) or 0, problem) for problem in [*problems, *more]]
    return plan, [
        Problem(f"{problem.path} (line {line})" if line else problem.path, problem.message)
        for line, problem in sorted(lines, key=lambda pair: pair[0])
    ]


def load(data: Any, what: str = "The plan") -> Plan:
    """Plain data as a Plan; raises InvalidInput with all problems."""
    plan, problems = parse(data)
    if problems or plan is None:
        raise InvalidInput(f"{what} is not valid", problems, hint=_HINT)
    return plan


def parse(data: Any) -> tuple[Plan | None, list[Problem]]:
    """Plain data as a Plan, and all problems; the plan is None where its form is wrong, but not where a rule fails."""
    problems: list[Problem] = []
    if isinstance(data, dict):
        if data.get("plugin") != PLUGIN:
            problems.append(Problem("plugin", f"must be {PLUGIN}: is this a plan?"))
        if data.get("version") != VERSION:
            problems.append(Problem("version", f"must be {VERSION}"))
    plan, more = schema.load_partial(Plan, data)
    formed = not more
    more = _in_order([*more, *_new(_target(plan.target), more)])
    problems += _new(more, problems)
    problems += _new(_rules(plan), problems)
    return (plan if formed else None), problems


def parse_draft(data: Any) -> Plan | None:
    """Plain data as a Plan in which people have to fill in something yet; None where its form is wrong."""
    plan, _problems = schema.load_partial(Plan, data)
    return plan if schema.whole(plan) else None


def _in_order(found: Iterable[Problem]) -> list[Problem]:
    """Problems in the order of the parts of the document."""
    parts = {part.name: number for number, part in enumerate(fields(Plan))}
    return sorted(found, key=lambda problem: parts.get(re.split(r"[.[]", problem.path, maxsplit=1)[0], -1))


def _new(found: Iterable[Problem], known: Iterable[Problem]) -> list[Problem]:
    """Of `found`, what is not about a place (or inside of a place) that has a problem already."""
    paths = {problem.path for problem in known}

    def covered(path: str) -> bool:
        return any(path == other or path.startswith((f"{other}.", f"{other}[")) for other in paths)

    return [problem for problem in found if not covered(problem.path)]


def _rules(plan: Plan) -> Iterator[Problem]:
    """What must hold between the parts."""
    yield from _names(plan)
    yield from _waves(plan)
    yield from _networks(plan)
    yield from _edge(plan)
    for host, workload in _pairs(plan.workloads):
        where = schema.join("workloads", host)
        yield from _workload(plan, workload, where)
    yield from _objects(plan)
    yield from _twice(plan)


def _target(target: Target) -> Iterator[Problem]:
    if not target or not target.type:
        return
    needs = TARGET_NEEDS[target.type]
    for key in needs:
        value = getattr(target, key)
        if isinstance(value, str) and not value.strip():
            yield Problem(f"target.{key}", "must not be empty")
    for kind in TARGET_NEEDS:
        for key in target_keys(kind):
            if kind != target.type and getattr(target, key):
                yield Problem(f"target.{key}", f"has no meaning for a target of type {target.type}")


def _objects(plan: Plan) -> Iterator[Problem]:
    for kind, _entries in _pairs(plan.objects):
        if kind not in kinds.KINDS:
            yield Problem(schema.join("objects", kind), f"is not a kind of objects{_near(kind, kinds.KINDS)}")


def _pairs(mapping: dict[str, T]) -> list[tuple[str, T]]:
    """The items of a mapping of the document; none where it could not be loaded."""
    return list(mapping.items()) if isinstance(mapping, dict) else []


def _names(plan: Plan) -> Iterator[Problem]:
    for section, hosts in (("readers", plan.readers), ("workloads", plan.workloads)):
        for host in hosts:
            where = schema.join(section, host)
            if not _HOST.match(host):
                yield Problem(where, "is not a host name: use letters, digits, '-', '_' and '.'")
    for host in plan.readers:
        if host in plan.workloads:
            yield Problem(schema.join("readers", host), "a workload has the same name")
    for name, reader in _pairs(plan.readers):
        for key in reader.connection:
            if not re.match(r"^[A-Za-z_]\w*\Z", key) or key == "cloudexit":
                yield Problem(schema.join(schema.join("readers", name) + ".connection", key), "is not a host variable")


def is_wave_name(name: str) -> str | None:
    """What is wrong with the name of a wave, which is a group of the inventory; None: nothing."""
    if _GROUP.match(name) and name not in _RESERVED_GROUPS and not name.startswith(("group_", "tenant_", "target_")):
        return None
    return "is not a wave name: use wave_ and lower-case letters, digits and '_'"


def _waves(plan: Plan) -> Iterator[Problem]:
    groups = {workload.group for _host, workload in _pairs(plan.workloads) if workload.group}
    homes: dict[str, list[str]] = defaultdict(list)
    for name, wave in _pairs(plan.waves):
        where = schema.join("waves", name)
        fault = is_wave_name(name)
        if fault:
            yield Problem(where, fault)
        for index, group in enumerate(wave.groups):
            if group not in groups:
                yield Problem(f"{where}.groups[{index}]", f"no workload is in a group {group!r}{_near(group, groups)}")
            homes[group].append(f"{where}.groups[{index}]")
    for group, places in homes.items():
        for place in places[1:]:
            yield Problem(place, f"the group {group!r} is already in {places[0].partition('.groups')[0]}")


def _networks(plan: Plan) -> Iterator[Problem]:
    used = {
        nic.network for _host, workload in _pairs(plan.workloads) if workload.move != "none" for nic in workload.nics
    }
    for network_id, network in _pairs(plan.networks):
        if network_id in used and network.target in (None, ""):
            yield Problem(
                f"{schema.join('networks', network_id)}.target",
                f"must be set: the target network for {names.printable(network.name)!r}, which moving workloads use",
            )


def _edge(plan: Plan) -> Iterator[Problem]:
    edge = plan.edge
    if not edge or not plan.target.type:
        return
    if plan.target.type != "vcd":
        if edge != Edge():
            yield Problem("edge", f"has no meaning for a target of type {plan.target.type}")
        return
    if not edge.name and edge != Edge():
        yield Problem("edge.name", "must be set: the edge gateway that the rest is about")
    taken: dict[str, str] = {}
    for old, new in _pairs(edge.public):
        where = schema.join("edge.public", old)
        if _address(old):
            yield Problem(where, "must be an IP address of the source")
        if new is None:
            yield Problem(where, f"must be set: the address of the edge that takes the place of {old}")
        elif _address(new):
            yield Problem(where, f"{new!r} is not an IP address")
        elif taken.setdefault(new, old) != old:
            yield Problem(where, f"{new} takes the place of {taken[new]} already")


def _workload(plan: Plan, workload: Workload, where: str) -> Iterator[Problem]:
    if not workload.move:
        return
    if workload.move == "none":
        if not workload.reason.strip():
            yield Problem(f"{where}.reason", "must say why the workload is not moved")
        return
    if not workload.name:
        yield Problem(f"{where}.name", "must be set: the name of the virtual machine at the target")
    decision = workload.decision
    goes = DESTINATIONS[plan.target.type] if plan.target.type else ""
    if decision is not None and decision.to and decision.to != goes and goes:
        yield Problem(f"{where}.decision.to", f"{decision.to}: a workload that moves goes to {goes}")
    if decision is not None and decision.answer in ("open", "refused"):
        said = "has not answered yet" if decision.answer == "open" else "refused"
        yield Problem(f"{where}.decision.answer", f"the customer {said}: set agreed, or move: none and a reason")
    if not workload.group:
        yield Problem(f"{where}.group", "must be set: the move group")
    elif plan.waves and plan.wave_of(workload) is None:
        yield Problem(f"{where}.group", f"the group {workload.group!r} is in no wave")
    if workload.reader is None:
        yield Problem(f"{where}.reader", "must be set: one of readers reads the disks")
    elif workload.reader not in plan.readers:
        yield Problem(
            f"{where}.reader", f"there is no reader {workload.reader!r}{_near(workload.reader, plan.readers)}"
        )
    elif plan.readers[workload.reader].server_id == workload.source.id:
        yield Problem(f"{where}.reader", "a reader cannot read its own disks")
    yield from _disks(workload, where)
    if plan.target.type:
        yield from _places(workload, plan.target.type, where)
    if plan.target.type == "vcd":
        yield from _for_vcd(workload, where)
    for index, nic in enumerate(workload.nics):
        yield from _nic(plan, nic, f"{where}.nics[{index}]")
    for index, check in enumerate(workload.checks):
        yield from _check(check, workload, f"{where}.checks[{index}]")


def _disks(workload: Workload, where: str) -> Iterator[Problem]:
    if not workload.disks:
        yield Problem(f"{where}.disks", "must hold at least the boot disk")
        return
    boots = [index for index, disk in enumerate(workload.disks) if disk.boot]
    if not boots:
        yield Problem(f"{where}.disks", "no disk has boot: true")
    for index in boots[1:]:
        yield Problem(f"{where}.disks[{index}].boot", f"disks[{boots[0]}] is the boot disk already")
    for controller, slots in SLOTS.items():
        count = sum(1 for disk in workload.disks if disk.controller == controller)
        if count > slots:
            yield Problem(f"{where}.disks", f"{count} disks on {controller}; a machine takes {slots}")


def _places(workload: Workload, kind: str, where: str) -> Iterator[Problem]:
    """Places of disks that only another kind of target has."""
    key = "datastore" if kind == "vcd" else "storage_profile"
    for index, disk in enumerate(workload.disks):
        if getattr(disk, key):
            yield Problem(f"{where}.disks[{index}].{key}", f"has no meaning for a target of type {kind}")
        if disk.verify == "sampled" and kind != "vcd":
            text = f"a target of type {kind} gives its disks back from begin to end only, so all of it is compared"
            yield Problem(f"{where}.disks[{index}].verify", text)


def _for_vcd(workload: Workload, where: str) -> Iterator[Problem]:
    """What Cloud Director does not take."""
    for index, disk in enumerate(workload.disks):
        if disk.boot and index:
            yield Problem(f"{where}.disks[{index}].boot", "Cloud Director boots from the first disk, so put it first")
        if disk.size_gib and disk.size_gib > VCD_DISK_GIB:
            text = f"{disk.size_gib} GiB: Cloud Director takes {VCD_DISK_GIB} at most"
            hint = "copy its files to smaller disks in the guest, shrink it before, or choose a vSphere target"
            yield Problem(f"{where}.disks[{index}].size_gib", f"{text}; {hint}")
    if len(workload.nics) > VCD_NICS:
        yield Problem(f"{where}.nics", f"{len(workload.nics)} network cards; Cloud Director takes {VCD_NICS}")


def _nic(plan: Plan, nic: Nic, where: str) -> Iterator[Problem]:
    if nic.network not in plan.networks:
        yield Problem(f"{where}.network", f"networks has no {nic.network!r}{_near(nic.network, plan.networks)}")
    if nic.keep_mac and _MAC.match(nic.mac or "") and int(nic.mac[:2], 16) & 1:
        yield Problem(f"{where}.mac", "is a group address, which no card can have")
    for index, address in enumerate(nic.addresses):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            yield Problem(f"{where}.addresses[{index}]", f"{address!r} is not an IP address")


_CHECK_KEYS = {
    "tcp": {"host", "port"},
    "http": {"url", "status", "expect"},
    "ssh": {"host", "port", "command", "user", "key_file", "expect"},
}
_CHECK_NEEDS = {"tcp": "port", "http": "url", "ssh": "command"}


def _check(check: Check, workload: Workload, where: str) -> Iterator[Problem]:
    if not check.type:
        return
    needed = _CHECK_NEEDS[check.type]
    if getattr(check, needed) in (None, ""):
        yield Problem(f"{where}.{needed}", f"must be set for a check of type {check.type}")
    for key in ("host", "port", "url", "command", "user", "key_file", "expect"):
        if getattr(check, key) and key not in _CHECK_KEYS[check.type]:
            yield Problem(f"{where}.{key}", f"has no meaning for a check of type {check.type}")
    if check.url and not re.match(r"^https?://[^/\s]+", check.url):
        yield Problem(f"{where}.url", "must begin with http:// or https:// and a host")
    if check.type != "http" and check.host is None and not any(nic.addresses for nic in workload.nics):
        yield Problem(f"{where}.host", "must be set: the workload has no address")


def _twice(plan: Plan) -> Iterator[Problem]:
    """What may be there only once among the workloads."""
    seen: dict[tuple[str, str], str] = {}

    def again(kind: str, value: str, where: str) -> Iterator[Problem]:
        first = seen.setdefault((kind, value), where) if value else where
        if first != where:
            yield Problem(where, f"{kind} {value!r} is already at {first}")

    for host, workload in _pairs(plan.workloads):
        where = schema.join("workloads", host)
        yield from again("the server", workload.source.id, f"{where}.source.id")
        if workload.move == "none":
            continue
        if workload.name:
            yield from again("the target name", workload.name.casefold(), f"{where}.name")
        for index, disk in enumerate(workload.disks):
            yield from again("the volume", disk.volume, f"{where}.disks[{index}].volume")
        for index, nic in enumerate(workload.nics):
            if nic.keep_mac:
                yield from again("the MAC address", nic.mac, f"{where}.nics[{index}].mac")


def _near(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, [entry for entry in known if entry], 1)
    return f" (did you mean {found[0]!r}?)" if found else ""
