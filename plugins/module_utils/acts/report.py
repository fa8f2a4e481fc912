# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring together what the report shows: the plan, the ledger, and the latest results of each workload."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain, evidence
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, NotFound
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.migration import (
    Check,
    Disk,
    FileChange,
    Finding,
    ReportData,
    Severity,
    Status,
    Step,
    Workload,
    render,
)

LEDGER = "ledger.jsonl"


def build(directory: str, plan_path: str = "") -> str:
    """The report of an evidence directory as HTML. Raises NotFound where there is neither a ledger nor a plan."""
    return render(gather(directory, plan_path))


def gather(directory: str, plan_path: str = "") -> ReportData:
    """All that the report shows. Raises NotFound, InvalidInput (the plan) and CloudExitError (a file)."""
    plan = _plan(plan_path)
    ledger = os.path.join(directory, LEDGER)
    if not os.path.exists(ledger):
        if plan is None:
            hint = "Give the evidence directory of a migration, a plan, or both."
            raise NotFound(f"There is no ledger in {directory}", hint=hint)
        verification, records = chain.Verification([], 0, chain.GENESIS), []
    else:
        verification, records = chain.verify(ledger), chain.read(ledger)
    tenant = plan.tenant.name if plan else str(records[-1]["tenant"]) if records else ""
    mine = [record for record in records if record["tenant"] == tenant]
    facts = {
        str(document.get("workload")): document.get("facts", {})
        for document in evidence.read_workloads(directory)
        if document.get("tenant") == tenant
    }
    keys = [*(plan.workloads if plan else ()), *(record["workload"] for record in mine if record["workload"])]
    workloads = [
        _workload(key, plan, _mapping(facts.get(key)), [record for record in mine if record["workload"] == key])
        for key in dict.fromkeys(keys)
    ]
    findings = [finding for w in workloads for finding in _told_findings(w.key, w.source_name or w.key, mine)]
    return ReportData(
        tenant=tenant,
        source=_source(plan),
        target=_target(plan, workloads),
        as_of=mine[-1]["time"] if mine else "",
        plan_digest=plan.digest() if plan else "",
        ledger_count=verification.count,
        ledger_head=verification.head,
        ledger_problems=[str(problem) for problem in verification.problems],
        workloads=workloads,
        findings=[*findings, *_found(workloads, plan)],
    )


def _plan(path: str) -> plans.Plan | None:
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as stream:
            return plans.loads(stream.read(), f"The plan {path}")
    except (OSError, UnicodeDecodeError) as error:
        raise CloudExitError(f"Could not read the plan {path}", cause=str(error)) from error


def _source(plan: plans.Plan | None) -> str:
    if plan is None:
        return ""
    return f"OpenStack project {plan.tenant.project_id}" + (f" in {plan.tenant.region}" if plan.tenant.region else "")


def _target(plan: plans.Plan | None, workloads: Sequence[Workload]) -> str:
    if plan is None:
        return next((workload.target_place for workload in workloads if workload.target_place), "")
    if plan.target.type == "vcd":
        return f"Cloud Director {plan.target.org} / {plan.target.vdc}"
    return f"vSphere {plan.target.datacenter} / {plan.target.compute}"


def _workload(
    key: str, plan: plans.Plan | None, facts: Mapping[str, Any], records: Sequence[Mapping[str, Any]]
) -> Workload:
    planned = plan.workloads.get(key) if plan else None
    source, target = _mapping(facts.get("source")), _mapping(facts.get("target"))
    latest = {str(record["act"]): record for record in records}
    results = [_mapping(record["result"]) for record in latest.values()]
    steps = [
        Step(str(record["act"]), str(record["time"]), int(record["seq"]), _number(record["result"].get("seconds")))
        for record in latest.values()
    ]
    workload = Workload(
        key=key,
        status=_status(planned, records),
        source_name=planned.source.name if planned else _string(source.get("name")),
        source_id=planned.source.id if planned else _string(source.get("id")),
        target_name=planned.name if planned else _string(target.get("name")),
        target_ref=_first(results, "vm_ref", "target_ref", "moref", "vm"),
        target_place=_place(target),
        group=planned.group if planned else _string(facts.get("group")),
        wave=(plan.wave_of(planned) or "") if plan and planned else _string(facts.get("wave")),
        reason=planned.reason if planned else "",
        disks=[disk for result in results for disk in _disks(result)],
        checks=[check for result in results for check in _checks(result)],
        files=[change for result in results for change in _files(result)],
        steps=steps,
        boot=next((number for result in results if (number := _number(result.get("boot_seconds"))) is not None), None),
        downtime=_downtime(results),
    )
    if workload.status == "moved" and not workload.sound:
        return replace(workload, status="failed" if any(not check.ok for check in workload.checks) else "under_way")
    return workload


def _status(planned: plans.Workload | None, records: Sequence[Mapping[str, Any]]) -> Status:
    """What the last of the records that decide it says."""
    status: Status = "planned"
    if planned and planned.move == "none":
        status = "stays"
    for record in records:
        result = record["result"]
        if result.get("failed"):
            status = "failed"
        elif isinstance(result.get("fenced"), bool):
            status = "moved" if result["fenced"] else "rolled_back"
        elif status not in ("moved", "rolled_back") or record["act"] in ("disk_clone", "disk_pass"):
            status = "under_way"
    return status


def _disks(result: Mapping[str, Any]) -> Iterator[Disk]:
    """Disks of a pass: entries of `disks` that have a manifest of the target."""
    for index, disk in enumerate(_list(result.get("disks"))):
        if "manifest_target" not in disk:
            continue
        size, seconds, rate = (_number(disk.get(name)) or 0 for name in ("bytes", "seconds", "rate"))
        if not seconds and rate:
            seconds = size / rate
        yield Disk(
            label=_string(disk.get("label")) or f"Disk {index + 1}",
            volume=_string(disk.get("volume")),
            size=int(size),
            sent=int(_number(disk.get("sent")) or 0),
            seconds=float(seconds),
            before=_string(disk.get("manifest_before")),
            source=_string(disk.get("manifest_source")),
            target=_string(disk.get("manifest_target")),
            equal=disk.get("equal") is True,
            sample=None if disk.get("manifest_target") else _sample(disk.get("sample")),
        )


def _sample(found: Any) -> tuple[int, int] | None:
    """Chunks compared, and chunks with data, of a disk that was sampled."""
    if not isinstance(found, Mapping):
        return None
    return int(_number(found.get("read")) or 0), int(_number(found.get("chunks")) or 0)


def _checks(result: Mapping[str, Any]) -> Iterator[Check]:
    for check in _list(result.get("checks")):
        name = _string(check.get("name")) or _string(check.get("type"))
        detail = _string(check.get("detail")) or _string(check.get("error")) or _string(check.get("msg"))
        yield Check(name, check.get("ok") is True, _number(check.get("seconds")), detail)


def _files(result: Mapping[str, Any]) -> Iterator[FileChange]:
    for change in _list(result.get("files")):
        if "path" in change:
            yield FileChange(*(_string(change.get(name)) for name in ("path", "before", "after", "action")))


def _downtime(results: Sequence[Mapping[str, Any]]) -> float | None:
    """Seconds from the stop of the source to the end of the checks, where both are known."""
    stopped, checked = _first(results, "stopped_at"), _first(results, "checked_at")
    try:
        seconds = (_instant(checked) - _instant(stopped)).total_seconds()
    except ValueError:
        return None
    return seconds if seconds >= 0 else None


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _told_findings(key: str, name: str, records: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Findings that the acts themselves returned."""
    latest = {record["act"]: record for record in records if record["workload"] == key}
    for record in latest.values():
        for told in _list(record["result"].get("findings")):
            severity = _string(told.get("severity"))
            known = severity if severity in ("high", "medium", "info") else "medium"
            text = _string(told.get("text")) or _string(told.get("message")) or _string(told.get("rule"))
            yield Finding(cast(Severity, known), name, text, _string(told.get("next")))
        notes = record["result"].get("notes")
        for note in notes if isinstance(notes, list) else ():
            yield Finding("info", name, _string(note))


def _found(workloads: Sequence[Workload], plan: plans.Plan | None) -> Iterator[Finding]:
    """What the numbers themselves tell."""
    for workload in workloads:
        name = workload.source_name or workload.key
        for disk in workload.disks:
            if disk.sample is not None:
                text = f"{disk.label} is not proven as a whole: {disk.told}. The plan chose that."
                yield Finding(
                    "medium", name, text, "Keep its source until somebody who uses the data has accepted them."
                )
            elif not disk.proven:
                text = f"{disk.label}: what was read back from the target is not what was read at the source."
                yield Finding("high", name, text, "Do not use the machine. Remove it and run migrate again.")
        for check in workload.checks:
            if not check.ok:
                text = f"The check {check.name} failed" + (f": {check.detail}" if check.detail else ".")
                yield Finding("high", name, text, "Look at the machine's console; roll back if it cannot serve.")
        if workload.status == "failed" and workload.proven and all(check.ok for check in workload.checks):
            yield Finding("high", name, "The last run failed.", "Run migrate again: it goes on where it stopped.")
        planned = plan.workloads.get(workload.key) if plan else None
        if planned and planned.move != "none" and not planned.checks:
            text = "The plan names no check: that the machine runs is known, that it serves is not."
            yield Finding("medium", name, text, "Add checks to the plan and run migrate again: it only checks.")
        if planned and planned.guest.adapt == "none" and planned.move != "none":
            yield Finding("info", name, "The disks were copied as they are, without adaptation.")


def _place(target: Mapping[str, Any]) -> str:
    keys = ("type", "datacenter", "compute", "datastore", "folder", "org", "vdc", "storage_profile")
    parts = [_string(target.get(name)) for name in keys]
    return " / ".join(part for part in parts if part)


def _first(results: Sequence[Mapping[str, Any]], *names: str) -> str:
    """The first text under one of the names; where a mapping stands there, its moref."""
    for name in names:
        for result in results:
            value = result.get(name)
            if isinstance(value, Mapping):
                value = value.get("moref") or value.get("ref")
            if isinstance(value, str) and value:
                return value
    return ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _string(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
