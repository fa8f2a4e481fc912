# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An assessment as tables for a spreadsheet: CSV with a head, UTF-8, commas.

A cell that a spreadsheet would take for a formula gets an apostrophe in front: names come from clouds and are hostile.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import markup

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "|", "%")
"""What a formula begins with, in one spreadsheet or another."""

Cell: TypeAlias = "str | int | float | bool | None"


def to_csv(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A table as CSV text."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([cell(value) for value in row] for row in rows)
    return stream.getvalue()


def cell(value: Cell) -> str:
    """A value as a cell: text on one line, no control characters, never a formula; numbers as they are."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return f"{value:g}" if isinstance(value, float) and value == int(value) and abs(value) < 1e6 else str(value)
    flat = markup.shown(" ".join(value.split()))
    return f"'{flat}" if flat.startswith(FORMULA) else flat


def workloads(assessment: assessments.Assessment) -> str:
    """One row a server."""
    heads = (
        "host", "server_id", "name", "status", "os", "cpus", "memory_mib", "target_cpus", "target_memory_mib", "disks",
        "disk_gib", "addresses", "readiness", "confidence", "missing", "destination", "answer", "reasons", "move",
        "group", "wave", "blockers", "warnings",
    )  # fmt: skip
    found: dict[tuple[str, str], list[str]] = {}
    for finding in assessment.findings:
        if finding.subject.kind == "servers":
            found.setdefault((finding.subject.id, finding.severity), []).append(finding.rule)
    return to_csv(
        heads,
        (
            (
                w.host, w.server_id, w.name, w.status, w.os, w.cpus, w.memory_mib, w.target_cpus, w.target_memory_mib,
                w.disks, w.disk_gib, " ".join(w.addresses), w.readiness, w.confidence, " ".join(w.missing),
                w.destination, w.answer, "; ".join(w.reasons), w.move, w.group, w.wave,
                " ".join(found.get((w.server_id, "blocker"), [])), " ".join(found.get((w.server_id, "warning"), [])),
            )
            for w in assessment.workloads
        ),
    )  # fmt: skip


def findings(assessment: assessments.Assessment) -> str:
    """One row a finding, in both languages."""
    heads = ("severity", "rule", "kind", "id", "name", "data_gap", "seen", "action", "seen_fr", "action_fr")
    return to_csv(
        heads,
        (
            (
                f.severity, f.rule, f.subject.kind, f.subject.id, f.subject.name, f.data_gap, f.seen, f.action,
                f.seen_fr, f.action_fr,
            )
            for f in assessment.findings
        ),
    )  # fmt: skip


def objects(assessment: assessments.Assessment) -> str:
    """One row an object that is not a workload; and one, without an id, a kind that could not be read completely."""
    heads = ("kind", "title", "title_fr", "service", "id", "name", "decision", "size_gib", "note", "read")
    rows: list[Sequence[Cell]] = []
    for item in assessment.items:
        kind = kinds.KINDS.get(item.kind)
        about = (kind.title, kind.title_fr, kind.service) if kind else (item.kind, item.kind, "")
        state = assessment.read.get(item.kind, "")
        rows.append((item.kind, *about, item.id, item.name, item.decision, item.size_gib, item.note, state))
    for name, state in assessment.read.items():
        kind = kinds.KINDS.get(name)
        if kind and state in ("not_read", "partial"):
            rows.append((name, kind.title, kind.title_fr, kind.service, "", "", "", None, "", state))
    for service in assessment.services:
        if service.state == "not_read" and not service.kinds:
            rows.append(("", "", "", service.name, "", "", "", None, "", service.state))
    return to_csv(heads, rows)
