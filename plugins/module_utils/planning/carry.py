# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A draft from a reading that is not complete: what could not be read is as it was drafted before, and not gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.draft import Draft
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.judge import Judgement

WITH_SERVERS = ("volumes", "ports")
"""Kinds of which nobody can say whether a workload has them, while servers could not be read."""


def carry(
    drafted: Draft,
    before: plans.Plan,
    estate: estates.Estate,
    judgement: Judgement,
    remarks: Mapping[str, Sequence[str]],
) -> Draft:
    """The draft with what the draft before knew of what could not be read now. remarks: those of the draft before."""
    if all(state in ("complete", "absent") for state in estate.read.values()):
        return drafted
    plan = drafted.plan
    workloads, kept = _workloads(plan, before, estate, judgement)
    networks = dict(plan.networks)
    for network in {nic.network for host in kept for nic in before.workloads[host].nics}:
        if network in before.networks and network not in networks:
            networks[network] = before.networks[network]
    if not _read(estate, "networks"):
        networks.update({ident: entry for ident, entry in before.networks.items() if ident in networks})
    objects = _objects(plan, before, estate)
    if "networks" in objects:
        objects["networks"] = {ident: entry for ident, entry in objects["networks"].items() if ident not in networks}
    plan = replace(
        plan,
        workloads=workloads,
        networks=dict(sorted(networks.items(), key=lambda pair: (pair[1].name, pair[0]))),
        waves=_waves(plan, before, {workload.group for workload in workloads.values() if workload.group}),
        objects={kind: entries for kind, entries in objects.items() if entries},
    )
    told = {**drafted.remarks, **{host: list(remarks.get(host, ())) for host in kept}}
    return Draft(plan, drafted.findings, plans.parse(schema.dump(plan))[1], told)


def _read(estate: estates.Estate, kind: str) -> bool:
    return estate.read.get(kind) in ("complete", "absent")


def _workloads(
    plan: plans.Plan, before: plans.Plan, estate: estates.Estate, judgement: Judgement
) -> tuple[dict[str, plans.Workload], list[str]]:
    """The workloads, and the hosts of those that are as before."""
    ids = {workload.source.id: host for host, workload in plan.workloads.items()}
    found = dict(plan.workloads)
    kept: list[str] = []
    gaps: dict[str, list[bool]] = defaultdict(list)
    for finding in judgement.findings:
        if finding.severity == "blocker" and finding.subject.kind == "servers":
            gaps[finding.subject.id].append(finding.data_gap)
    for host, workload in before.workloads.items():
        now = ids.get(workload.source.id)
        if now is None and not _read(estate, "servers"):
            found[host] = workload
            kept.append(host)
        elif now is not None and _unknown(gaps[workload.source.id], moved=workload.move != "none"):
            del found[now]
            found[host] = workload
            kept.append(host)
        elif now is not None and found[now].group and workload.group:
            found[now] = replace(found[now], group=workload.group)  # nobody knows all that joins them
    order = {host: (w.source.name.casefold(), w.source.name, w.source.id) for host, w in found.items()}
    return {host: found[host] for host in sorted(found, key=lambda host: order[host])}, kept


def _unknown(gaps: Sequence[bool], moved: bool) -> bool:
    """Whether a server does not move for lack of data: for nothing else, where it moved before. gaps: its blockers,
    and of each whether it is such a lack."""
    return bool(gaps) and (all(gaps) if moved else any(gaps))


def _waves(plan: plans.Plan, before: plans.Plan, used: set[str]) -> dict[str, plans.Wave]:
    """The waves as before; groups that are new where they were drafted."""
    waves = {
        name: replace(wave, groups=[group for group in wave.groups if group in used])
        for name, wave in before.waves.items()
    }
    there = {group for wave in waves.values() for group in wave.groups}
    for name, wave in plan.waves.items():
        lacking = [group for group in wave.groups if group in used and group not in there]
        if lacking:
            now = waves.get(name, replace(wave, groups=[]))
            waves[name] = replace(now, groups=[*now.groups, *lacking])
    return {name: wave for name, wave in waves.items() if wave.groups}


def _objects(plan: plans.Plan, before: plans.Plan, estate: estates.Estate) -> dict[str, dict[str, plans.Object]]:
    found = {kind: dict(entries) for kind, entries in plan.objects.items()}
    for kind in before.objects:
        if not _read(estate, kind):
            found[kind] = {**before.objects[kind], **found.get(kind, {})}
    if not _read(estate, "servers"):
        for kind in WITH_SERVERS:
            found[kind] = dict(before.objects.get(kind, {}))
    known = list(kinds.KINDS)
    order = sorted(found, key=lambda kind: (known.index(kind) if kind in known else len(known), kind))
    return {kind: _sorted(found[kind]) for kind in order}


def _sorted(entries: Mapping[str, plans.Object]) -> dict[str, plans.Object]:
    return dict(sorted(entries.items(), key=lambda pair: (pair[1].name.casefold(), pair[0])))
