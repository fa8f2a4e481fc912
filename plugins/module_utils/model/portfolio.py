# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The portfolio: all tenants beside each other, those included that could not be assessed, as a document."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.schema import doc

KIND = "cloudexit.portfolio"
VERSION = 1

State = Literal["assessed", "partial", "failed", "not_assessed"]
InTime = Literal["yes", "at_risk", "no", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What the assessment of a tenant comes to."""

    project: str = field(default="", metadata=doc("name of the source project"))
    region: str = field(default="", metadata=doc("region"))
    target: str = field(default="", metadata=doc("kind of target"))
    workloads: int = field(default=0, metadata=doc("servers"))
    cpus: int = field(default=0, metadata=doc("virtual CPUs"))
    memory_mib: int = field(default=0, metadata=doc("memory, MiB"))
    disk_gib: int = field(default=0, metadata=doc("volumes of the servers, GiB"))
    at_least: bool = field(default=False, metadata=doc("whether there may be more, since not all could be read"))
    ready: int = field(default=0, metadata=doc("workloads that are ready"))
    ready_with_changes: int = field(default=0, metadata=doc("workloads that are ready with changes"))
    not_ready: int = field(default=0, metadata=doc("workloads that are not ready"))
    unknown: int = field(default=0, metadata=doc("workloads that cannot be judged for lack of data"))
    moving: int = field(default=0, metadata=doc("workloads that are drafted to move"))
    moving_gib: int = field(default=0, metadata=doc("their volumes, GiB"))
    objects: int = field(default=0, metadata=doc("other objects"))
    decisions: int = field(default=0, metadata=doc("workloads and objects that wait for the customer's word"))
    unanswered: int = field(default=0, metadata=doc("workloads to whose proposal there is no answer"))
    blockers: int = field(default=0, metadata=doc("findings that block"))
    unread: list[str] = field(default_factory=list, metadata=doc("services that were not read, or only in part"))
    to_fill: int = field(default=0, metadata=doc("places of the plan that are still to be filled in"))
    changes: int = field(default=0, metadata=doc("changes in the tenant since the reading before"))
    waves: int = field(default=0, metadata=doc("waves"))
    without_wave: int = field(default=0, metadata=doc("workloads that are drafted to move and are in no wave"))
    seconds: int = field(default=0, metadata=doc("expected length of all waves together, seconds"))
    seconds_late: int = field(default=0, metadata=doc("length that nine of ten will not exceed, seconds"))
    end: str = field(
        default="", metadata=doc("when the last wave is expected to end (UTC); empty where that is not known")
    )
    end_late: str = field(default="", metadata=doc("the same, as late as nine of ten"))


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """One tenant."""

    name: str = field(metadata=doc("short name"))
    state: State = field(metadata=doc("assessed; partial: not all could be read; failed; not_assessed: not yet"))
    why: str = field(default="", metadata=doc("why it failed"))
    earlier: bool = field(default=False, metadata=doc("whether the figures are those of an earlier assessment"))
    deadline: str = field(default="", metadata=doc("date by which it must be out; empty where none was given"))
    days_left: int | None = field(default=None, metadata=doc("days until then; negative when it has passed"))
    in_time: InTime = field(
        default="unknown", metadata=doc("whether it will be out by then: yes, at_risk, no, unknown")
    )
    figures: Figures | None = field(default=None, metadata=doc("figures; null where there is no assessment"))
    report: str = field(default="", metadata=doc("how the files of its report begin, seen from the portfolio's"))


@dataclass(frozen=True, kw_only=True)
class Portfolio:
    """The whole document."""

    kind: str = field(metadata=doc(f"always {KIND}"))
    version: int = field(metadata=doc("version of this form"))
    today: str = field(metadata=doc("date that the days left are counted from"))
    tenants: list[Tenant] = field(default_factory=list, metadata=doc("tenants, by name"))


def to_text(portfolio: Portfolio) -> str:
    """As it is written to a file: JSON, two blanks of indent, one newline at the end."""
    text = json.dumps(schema.dump(portfolio), indent=2, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n"
