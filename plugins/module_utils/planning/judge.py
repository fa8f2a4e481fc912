# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging a tenant: facts, rules, readiness, the policy's decision, dependencies, move groups and waves, together.

`judge` is what a draft is made from; `assessment` is what is told of the tenant and of the plan that people have.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds, names
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.observations import Flows, Metrics
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import dependencies
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import facts as fact_tables
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import groups as grouping
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import policy as policies
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import readiness as readinesses
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import rules as ruling
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import schedule as schedules
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import waves as waving

TARGET: assessments.Destination = "vsphere"
"""Where plans go when nothing else is said."""

WORDS: Mapping[str, str] = {
    "cloud_avenue": "Cloud Avenue",
    "vsphere": "vSphere",
    "bleu": "Bleu",
    "rebuild": "it is rebuilt as a service",
    "retire": "it is retired",
    "customer": "the customer decides",
}


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a judgement goes by, besides the estate. Without rules: the built-in ones.

    waves: the wave that each move group was drafted into before; it stays there while there is room.
    groups: the move group that each server, by its id, was drafted into before; a group keeps its name.
    target: where the plan goes.
    """

    policy: policies.Policy = policies.DEFAULT
    rules: Sequence[ruling.Rule] | None = None
    flows: Flows | None = None
    metrics: Metrics | None = None
    target: assessments.Destination = TARGET
    reader_server_id: str = ""
    group_by: str = ""
    at_once: int = 0
    rate_mib_s: float = 0.0
    waves: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """What was concluded of a tenant. Servers are told by their id, hosts are the names in the draft."""

    inputs: Inputs
    schedule: schedules.Schedule
    facts: fact_tables.Facts
    servers: dict[str, fact_tables.Fact]
    findings: list[estates.Finding]
    readiness: dict[str, readinesses.Readiness]
    decisions: dict[str, policies.Decision]
    reasons: dict[str, str]
    hosts: dict[str, str]
    edges: list[assessments.Edge]
    groups: list[assessments.Group]
    waves: list[assessments.Wave]
    gib: dict[str, int] = field(default_factory=dict)

    def group_of(self) -> dict[str, str]:
        """The move group of each host that moves."""
        return {host: group.name for group in self.groups for host in group.hosts}


def judge(estate: estates.Estate, inputs: Inputs | None = None) -> Judgement:
    """Judge a tenant. The same input gives the same judgement."""
    given = inputs or Inputs()
    policy = given.policy
    about = ruling.About(
        target=given.target,
        reader_server_id=given.reader_server_id,
        storage=policy.storage,
        capacity=policy.capacity,
    )
    facts = fact_tables.collect(estate, given.metrics)
    rules = ruling.builtin() if given.rules is None else given.rules
    findings = ruling.ordered([*estate.findings, *ruling.apply(rules, facts, about)])
    by_server = readinesses.by_server(findings)
    servers = {fact["id"]: fact for fact in ruling.seen_from(facts, "servers", about)}
    readiness = {ident: readinesses.of(fact, by_server.get(ident, ())) for ident, fact in servers.items()}
    decisions = {
        ident: policies.decide(policy, fact, readiness[ident], target=given.target) for ident, fact in servers.items()
    }
    reasons = {}
    for ident in servers:
        reason = _reason(by_server.get(ident, ()), decisions[ident], ident == given.reader_server_id, given.target)
        if reason:
            reasons[ident] = reason
    hosts = names.host_keys({server.id: server.name for server in estate.servers})
    moving = {ident: host for ident, host in hosts.items() if ident not in reasons}
    gib = {hosts[server.id]: _size(servers[server.id]) for server in estate.servers}
    edges = dependencies.graph(estate, hosts, given.flows)
    key = given.group_by or policy.grouping.key
    named = {
        hosts[server.id]: names.slug(server.metadata[key]) for server in estate.servers if server.metadata.get(key)
    }
    before = {hosts[ident]: name for ident, name in given.groups.items() if ident in moving}
    made = grouping.move_groups(list(moving.values()), edges, gib, named, policy.grouping, before)
    schedule = _schedule(given)
    waves = _named(waving.waves(made.groups, schedule, gib=gib, keep=given.waves))
    return Judgement(
        given,
        schedule,
        facts,
        servers,
        findings,
        readiness,
        decisions,
        reasons,
        hosts,
        edges,
        waving.with_waves(made.groups, waves),
        waves,
        gib,
    )


def _size(fact: Mapping[str, Any]) -> int:
    return int(fact["disk_gib"] or 0)


def _schedule(given: Inputs) -> schedules.Schedule:
    """The policy's schedule; where nobody wrote one, with the limits of the plan."""
    schedule = given.policy.schedule
    if schedule == schedules.Schedule():
        if given.at_once:
            schedule = replace(schedule, at_once=given.at_once)
        if given.rate_mib_s > 0:
            schedule = replace(schedule, rate_mib_s=given.rate_mib_s)
    return schedule


def _named(waves: Iterable[assessments.Wave]) -> list[assessments.Wave]:
    """The waves with names that a plan takes."""
    taken: set[str] = set()
    found = []
    for wave in waves:
        name = wave.name
        if plans.is_wave_name(name) is not None or name in taken:
            name = base = names.group_name("wave", name.removeprefix("wave_") or "x")
            number = 2
            while name in taken:
                name, number = f"{base}_{number}", number + 1
        taken.add(name)
        found.append(replace(wave, name=name))
    return found


def _reason(findings: Iterable[estates.Finding], decision: policies.Decision, reader: bool, target: str) -> str:
    """Why a server does not move; empty where it does."""
    if reader:
        return "it is the reader host of this plan"
    blockers = [finding.seen for finding in findings if finding.severity == "blocker"]
    if blockers:
        return "; ".join(blockers)
    why = " ".join(decision.reasons)
    if decision.answer == "open":
        return f"the customer has not answered yet; proposed: {WORDS[decision.destination]}. {why}".strip()
    if decision.answer == "refused":
        return f"the customer refused: {WORDS[decision.destination]}. {why}".strip()
    if decision.destination != target:
        place = WORDS[decision.destination]
        return f"{place if place[0].islower() else f'it goes to {place}'}. {why}".strip()
    return ""


def left(
    estate: estates.Estate, networks: Iterable[str], facts: fact_tables.Facts
) -> dict[str, dict[str, plans.Object]]:
    """Every object that no workload takes along and that is not decided with another: what becomes of it.

    networks: ids of the networks that the plan maps.
    """
    mapped = set(networks)
    ids = {kind: {entry.id for entry in estate.of(kind)} for kind in _present(estate)}
    attached = {place.volume_id for server in estate.servers for place in server.volumes}
    attached |= {
        volume.id for volume in estate.volumes if any(a.server_id in ids["servers"] for a in volume.attachments)
    }
    ports = {port for server in estate.servers for port in server.ports}
    found: dict[str, dict[str, plans.Object]] = {}
    for kind in _present(estate):
        if kind == "servers":
            continue
        by_id = {fact["id"]: fact for fact in facts.of(kind)}
        entries: dict[str, plans.Object] = {}
        for entry in sorted(estate.of(kind), key=_sorting):
            if (kind == "volumes" and entry.id in attached) or (kind == "ports" and entry.id in ports):
                continue
            if kind == "networks" and entry.id in mapped:
                continue
            if _covered(kind, entry, ids):
                continue
            entries[entry.id] = _object(kind, entry, by_id.get(entry.id, {}), estate)
        if entries:
            found[kind] = entries
    return found


def _present(estate: estates.Estate) -> list[str]:
    """The kinds of which there may be objects."""
    return [kind for kind in kinds.KINDS if kind in kinds.TYPED or estate.resources.get(kind)]


def _sorting(entry: Any) -> tuple[str, str]:
    return str(getattr(entry, "name", "") or getattr(entry, "address", "")).casefold(), str(entry.id)


def _covered(kind: str, entry: Any, ids: Mapping[str, set[str]]) -> bool:
    """Whether an object is decided with another one that is there."""
    within = kinds.KINDS[kind].within
    there = ids.get(within, set()) if within else set()
    if not there:
        return False
    own = {entry.id, getattr(entry, "parent", ""), getattr(entry, "network_id", ""), getattr(entry, "device_id", "")}
    for key, value in (getattr(entry, "properties", None) or {}).items():
        if isinstance(value, str) and key.endswith("id"):
            own.add(value)
    return not there.isdisjoint(own)


def _object(kind: str, entry: Any, fact: Mapping[str, Any], estate: estates.Estate) -> plans.Object:
    name = names.printable(str(getattr(entry, "name", "") or getattr(entry, "address", "")))
    decision = kinds.KINDS[kind].decision
    note = ""
    if kind == "volumes":
        decision, note = "customer", "Attached to no server: attach it to one if it is to move."
    elif kind == "ports":
        if fact.get("virtual"):
            note = "It holds a virtual address."
        elif entry.device_owner:
            decision, note = "leave", f"It belongs to {names.printable(entry.device_owner, 40)}."
        else:
            decision, note = "leave", "Nothing uses it."
    elif kind == "networks" and (entry.external or (entry.shared and entry.project_id != estate.tenant.project_id)):
        decision, note = "leave", "It is the cloud's own."
    elif kind == "networks":
        note = "No workload that moves is on it."
    elif kind == "images" and entry.visibility == "public":
        decision, note = "leave", "It is the cloud's own."
    return plans.Object(name=name, decision=decision, note=note)


# -- the assessment


def assessment(
    estate: estates.Estate,
    judgement: Judgement,
    plan: plans.Plan | None,
    draft: plans.Plan,
    *,
    drift: Sequence[assessments.Change] = (),
    to_fill: Iterable[Problem] = (),
) -> assessments.Assessment:
    """What is told of a tenant: of its estate as judged, and of the plan as people have it (None: the draft)."""
    open_ = list(to_fill)
    shown = plan if plan is not None else draft
    by_id = {workload.source.id: (host, workload) for host, workload in shown.workloads.items()}
    hosts = {judgement.hosts[ident]: by_id[ident][0] for ident in judgement.hosts if ident in by_id}
    edges = [replace(edge, a=hosts.get(edge.a, edge.a), b=hosts.get(edge.b, edge.b)) for edge in judgement.edges]
    groups = _groups(shown, edges, judgement)
    waves = _waves(shown, groups, judgement)
    effects = _Effects(estate, shown, draft)
    findings = [*judgement.findings, *_gone(estate, shown), *_split(edges, shown)]
    return assessments.Assessment(
        kind=assessments.KIND,
        version=assessments.VERSION,
        name=shown.tenant.name,
        tenant=estate.tenant,
        target=shown.target.type,
        deadline=judgement.inputs.policy.deadline,
        estate=estate.digest(),
        plan=shown.digest() if plan is not None and not open_ else "",
        read=dict(estate.read),
        services=list(estate.services),
        counts=estate.counts(),
        workloads=[_workload(server, judgement, by_id, shown) for server in sorted(estate.servers, key=_sorting)],
        edges=sorted(edges, key=lambda e: (e.a, e.b, e.why, not e.hard, e.directed, e.detail)),
        groups=groups,
        waves=waves,
        items=list(_items(estate, shown, draft)),
        findings=ruling.ordered(findings),
        drift=[effects.told(change) for change in drift],
        to_fill=[str(problem) for problem in open_],
    )


def _workload(
    server: estates.Server,
    judgement: Judgement,
    by_id: Mapping[str, tuple[str, plans.Workload]],
    plan: plans.Plan,
) -> assessments.Workload:
    fact, ready = judgement.servers[server.id], judgement.readiness[server.id]
    host, workload = by_id.get(server.id, (judgement.hosts[server.id], None))
    policy = judgement.decisions[server.id]
    said = workload.decision if workload else None
    follows = said is None or (said.to == policy.destination and said.reasons == policy.reasons)
    moves = workload is not None and workload.move != "none"
    system = f"{fact['os']} {fact['os_version']}".strip() or str(fact["os_label"] or fact["os_family"])
    return assessments.Workload(
        host=host,
        server_id=server.id,
        name=names.printable(server.name),
        status=server.status,
        os=names.printable(system, 60),
        cpus=server.flavor.vcpus,
        memory_mib=server.flavor.ram_mib,
        target_cpus=workload.cpus if workload and moves else 0,
        target_memory_mib=workload.memory_mib if workload and moves else 0,
        disks=fact["disk_count"],
        disk_gib=_size(fact),
        addresses=list(fact["addresses"]),
        readiness=ready.readiness,
        confidence=ready.confidence,
        missing=list(ready.missing),
        destination=said.to if said else policy.destination,
        answer=said.answer if said else policy.answer,
        reasons=list(policy.reasons if follows or said is None else said.reasons),
        reasons_fr=list(policy.reasons_fr if follows or said is None else said.reasons),
        move=workload.move if workload else "none",
        group=workload.group if workload else "",
        wave=(plan.wave_of(workload) or "") if workload and workload.group else "",
    )


def _gib(host: str, workload: plans.Workload, judgement: Judgement) -> int:
    return sum(disk.size_gib for disk in workload.disks) or judgement.gib.get(
        judgement.hosts.get(workload.source.id, host), 0
    )


def _groups(
    plan: plans.Plan,
    edges: Iterable[assessments.Edge],
    judgement: Judgement,
) -> list[assessments.Group]:
    members: dict[str, list[str]] = defaultdict(list)
    gib: Counter[str] = Counter()
    for host, workload in sorted(plan.moving().items()):
        members[workload.group].append(host)
        gib[workload.group] += _gib(host, workload, judgement)
    home = {host: name for name, hosts in members.items() for host in hosts}
    cut: Counter[str] = Counter()
    for edge in edges:
        one, other = home.get(edge.a), home.get(edge.b)
        if one != other:
            for name in {one, other} - {None}:
                cut[str(name)] += edge.weight
    waves = {group: name for name, wave in plan.waves.items() for group in wave.groups}
    return [
        assessments.Group(name=name, hosts=hosts, disk_gib=gib[name], wave=waves.get(name, ""), cut=cut[name])
        for name, hosts in sorted(members.items(), key=lambda pair: grouping.natural(pair[0]))
    ]


def _waves(
    plan: plans.Plan,
    groups: Iterable[assessments.Group],
    judgement: Judgement,
) -> list[assessments.Wave]:
    inside: dict[str, list[assessments.Group]] = {name: [] for name in plan.waves}
    for group in groups:
        if group.wave in inside:
            inside[group.wave].append(group)
    windows = {
        name: schedules.Window(start=wave.start, hours=wave.hours, name=name)
        for name, wave in plan.waves.items()
        if wave.start and wave.hours > 0
    }
    sizes = {host: _gib(host, workload, judgement) for host, workload in plan.moving().items()}
    return waving.forecast(inside, judgement.schedule, windows=windows, gib=sizes)


def _gone(estate: estates.Estate, plan: plans.Plan) -> Iterator[estates.Finding]:
    """Workloads of the plan whose server the tenant does not have any more."""
    if estate.read.get("servers") != "complete":
        return
    there = {server.id for server in estate.servers}
    for host, workload in plan.workloads.items():
        if workload.source.id not in there:
            yield estates.Finding(
                "workload_gone",
                "warning",
                estates.Subject("servers", workload.source.id, names.printable(workload.source.name)),
                f"the plan has a workload {host}, whose server is not in the tenant any more",
                "Remove it from the plan, if that is right.",
                f"le plan contient la charge {host}, dont le serveur n'est plus dans le tenant",
                "Retirez-la du plan, si c'est juste.",
            )


def _split(edges: Iterable[assessments.Edge], plan: plans.Plan) -> Iterator[estates.Finding]:
    """Workloads that must cut over together, in different move groups of the plan."""
    moving = plan.moving()
    for edge in edges:
        if not edge.hard or edge.a not in moving or edge.b not in moving:
            continue
        one, other = moving[edge.a], moving[edge.b]
        if one.group != other.group:
            by = names.printable(edge.detail, 60)
            yield estates.Finding(
                "group_split",
                "warning",
                estates.Subject("servers", one.source.id, names.printable(one.source.name)),
                f"it must cut over together with {edge.b} ({edge.why}: {by}), which is in the group {other.group}",
                "Put both into one move group.",
                f"elle doit basculer avec {edge.b} ({edge.why} : {by}), qui est dans le groupe {other.group}",
                "Mettez les deux dans un même groupe.",
            )


def _items(estate: estates.Estate, plan: plans.Plan, draft: plans.Plan) -> Iterator[assessments.Item]:
    for kind in kinds.KINDS:
        entries = {entry.id: entry for entry in estate.of(kind)}
        decided = {**draft.objects.get(kind, {}), **plan.objects.get(kind, {})}
        for ident in sorted(decided, key=lambda i: (decided[i].name.casefold(), i)):
            if ident not in entries:
                continue
            thing = decided[ident]
            yield assessments.Item(
                kind=kind,
                id=ident,
                name=thing.name or names.printable(str(getattr(entries[ident], "name", ""))),
                decision=thing.decision,
                note=thing.note or kinds.KINDS[kind].note,
                size_gib=float(getattr(entries[ident], "size_gib", 0) or 0),
            )


class _Effects:
    """What changes of the tenant did to the plan: a comparison of plan and draft, so it is told alike every time."""

    def __init__(self, estate: estates.Estate, plan: plans.Plan, draft: plans.Plan) -> None:
        self._objects = plan.objects
        self._ours = {workload.source.id: (host, workload) for host, workload in plan.workloads.items()}
        self._theirs = {workload.source.id: workload for workload in draft.workloads.values()}
        self._owners = {("servers", server.id): server.id for server in estate.servers}
        for server in estate.servers:
            self._owners.update({("volumes", place.volume_id): server.id for place in server.volumes})
            self._owners.update({("ports", port): server.id for port in server.ports})

    def told(self, change: assessments.Change) -> assessments.Change:
        """The change with what it did."""
        return replace(change, plan=self._effect(change)) if change.id else change

    def _effect(self, change: assessments.Change) -> str:
        server = change.id if change.kind == "servers" else self._owners.get((change.kind, change.id))
        if server is None:
            there = self._objects.get(change.kind, {}).get(change.id)
            if there is None:
                return "not in the plan any more" if change.op == "removed" else ""
            if change.op == "removed":
                return "kept in the plan, since it was edited"
            return f"decision: {there.decision}"
        theirs = self._theirs.get(server)
        if server not in self._ours:
            return "removed from the plan" if theirs is None else "people removed its workload from the plan"
        host, workload = self._ours[server]
        if theirs is None:
            return f"workload {host} is kept in the plan, since it was edited"
        if change.op == "added" and change.kind == "servers":
            return f"workload {host}" if workload.move != "none" else f"workload {host}, not moved"
        if replace(workload, group="", reader=None) == replace(theirs, group="", reader=None):
            return f"workload {host} follows"
        return f"workload {host} was edited: compare it"
