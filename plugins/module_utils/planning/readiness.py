# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server can move, how sure that is, and what is lacking to be surer. Unknown is never ready."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates

WEIGHTS: dict[str, int] = {
    "disks": 25,
    "size": 15,
    "ports": 15,
    "os": 15,
    "firmware": 10,
    "security_groups": 5,
    "backups": 5,
    "hypervisor": 5,
    "load": 5,
}
"""What a judgement needs to know of a server, and how much of the confidence each fact carries (100 together)."""

NEEDED = ("disks", "size", "ports", "os")
"""Without one of these nobody can say whether it moves, whatever the rules say. What else is needed is for rules to say
(`data_gap`)."""


@dataclass(frozen=True)
class Readiness:
    """Whether a server can move; confidence: per cent of the facts that are needed and known; missing: the others."""

    readiness: assessments.Readiness
    confidence: int
    missing: list[str] = field(default_factory=list)


def of(server: Mapping[str, Any], findings: Iterable[estates.Finding]) -> Readiness:
    """The readiness of a server by its fact and the findings about it; those about other objects are passed over.

    A blocker that is not a lack of data: not ready. Data of weight lacking: unknown. A warning: ready with changes.
    """
    about = [f for f in findings if f.subject.kind == "servers" and f.subject.id == server["id"]]
    missing = [name for name in WEIGHTS if not server["known"].get(name, False)]
    confidence = sum(weight for name, weight in WEIGHTS.items() if name not in missing)
    if any(finding.severity == "blocker" and not finding.data_gap for finding in about):
        return Readiness("not_ready", confidence, missing)
    gap = any(finding.data_gap and finding.severity != "information" for finding in about)
    if gap or any(name in NEEDED for name in missing):
        return Readiness("unknown", confidence, missing)
    if any(finding.severity == "warning" for finding in about):
        return Readiness("ready_with_changes", confidence, missing)
    return Readiness("ready", confidence, missing)


def by_server(findings: Iterable[estates.Finding]) -> dict[str, list[estates.Finding]]:
    """Findings about servers, by id of the server: for `of`, when there are many."""
    found: dict[str, list[estates.Finding]] = defaultdict(list)
    for finding in findings:
        if finding.subject.kind == "servers":
            found[finding.subject.id].append(finding)
    return found
