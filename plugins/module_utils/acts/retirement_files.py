# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules of a decommission return, and the files that they write: the retirement plan and its sheet."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import assess, decommission, retire
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.retire_guards import Tripped
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import journal, seal
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import (
    names,
    retirement,
    retirement_policy,
    schema,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Refused
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import gates, timers
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import retirement as sheets
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.words import Language


@dataclass(frozen=True)
class Made:
    """A retirement plan and its sheets, as files that could be written, and what a module tells of them."""

    plan: retirement.Retirement
    files: tuple[assess.Writing, ...]
    told: Mapping[str, Any]
    text: str

    @property
    def changed(self) -> bool:
        return any(file.changed for file in self.files)

    @property
    def diff(self) -> list[dict[str, str]]:
        """The plan for people: one line for each object."""
        path = self.files[0].path
        before = ""
        if self.files[0].before is not None:
            before = sheets.to_text(retirement.loads(self.files[0].before)) if self.files[0].before != self.text else ""
        header = {"before_header": path, "after_header": path}
        return [{**header, "before": before, "after": sheets.to_text(self.plan)}]

    def write(self) -> None:
        for file in self.files:
            file.write()


def draft(source: decommission.Source, path: str, previous: str, languages: Sequence[Language]) -> Made:
    """The retirement plan of the tenant as it is, and its sheets. Raises InvalidInput with all that forbids it."""
    made = decommission.draft(source, path, previous)
    plan = made.plan
    stem = os.path.abspath(path).removesuffix(".json")
    files = [assess.writing(path, made.text)]
    name = os.path.basename(stem)
    beside = _beside(plan, source.papers.policy)
    files += [
        assess.writing(f"{stem}.{language}.html", sheets.render(plan, language, beside, stem=name))
        for language in languages
    ]
    told = {
        "path": os.path.abspath(path),
        "digest": seal.digest(made.text.encode()),
        "items": dict(sorted(Counter(item.ref.kind for item in plan.items).items())),
        "kept": dict(sorted(Counter(kept.reason for kept in plan.kept).items())),
        "gib": round(sum(item.ref.size_gib for item in plan.items), 3),
        "not_before": _edge(plan, "not_before", max),
        "not_after": _edge(plan, "not_after", min),
        "sheets": [file.path for file in files[1:]],
    }
    return Made(plan, tuple(files), told, made.text)


def _beside(plan: retirement.Retirement, policy: retirement_policy.Policy) -> sheets.Beside:
    """What a sheet shows besides the plan, as of when the plan was made: gates that need more are closed."""
    due = timers.feasibility_due(policy)
    judged = gates.judge(plan, policy, gates.Facts(now=plan.made.at))
    return sheets.Beside(
        zone=policy.calendar.zone,
        unknown=timers.lacking(policy, plan),
        feasible_until=due.isoformat() if due is not None else "",
        gates=[sheets.Judged(gate.name, gate.open, gate.why) for gate in judged],
    )


def _edge(plan: retirement.Retirement, bound: str, pick: Callable[[list[str]], str]) -> str:
    moments = [timer.at for timer in plan.timers if timer.bound == bound]
    return pick(moments) if moments else ""


def run(act: str, source: decommission.Source, path: str, *, dry_run: bool) -> dict[str, Any]:
    """Carry an act out, or tell what it would do. Raises what stopped it, with how far it came."""
    if dry_run:
        return _would(act, source, path)
    result = decommission.run(act, source, path, on_progress=lambda step: source.on_read(line(step)))
    if result.stopped is not None and not _limited(result):
        raise Stopped(act, result)
    return _told(source, path, result)


def _limited(result: retire.Result) -> bool:
    """Whether it came to an end at one of the plan's limits, as it is meant to: another run goes on."""
    return isinstance(result.stopped, Tripped) and result.stopped.guard.startswith("cap_") and bool(result.objects)


class Stopped(Refused):
    """An act that came to a stop: what stopped it, and how far it was. Nothing is lost; it can be run again."""

    def __init__(self, act: str, result: retire.Result) -> None:
        text = str(result.stopped or "")
        done = f"{len(result.objects)} objects were done by this run, {len(result.waiting)} are waiting"
        more = f"; unlocked and not locked again: {', '.join(result.unlocked)}" if result.unlocked else ""
        super().__init__(f"The {act} stopped", cause=f"{text.rstrip('.')}. {done}{more}", hint="Then run it again.")


def _told(source: decommission.Source, path: str, result: retire.Result) -> dict[str, Any]:
    with open(path, "rb") as stream:
        digest = seal.digest(stream.read())
    return {
        "changed": result.changed,
        "objects": result.objects,
        "already": result.already,
        "waiting": result.waiting,
        "gib": round(result.gib, 3),
        "calls": result.calls,
        "relocked": result.relocked,
        "limit": str(result.stopped or ""),
        "plan_digest": digest,
    }


def _would(act: str, source: decommission.Source, path: str) -> dict[str, Any]:
    sealed = _sealed(source, path)
    if sealed.signed.problems and act != "undo":
        raise Refused(f"The retirement plan {path} is not sealed", cause="; ".join(sealed.signed.problems))
    if act != "undo":
        closed = [gate for gate in source.gates(sealed, _gates_of(act)) if not gate.open]
        if closed:
            raise Refused(
                f"The {act} would not begin",
                cause="; ".join(f"{gate.name}: {gate.why}" for gate in closed),
                hint="Nothing forces a gate. Clear its cause, or make a new plan.",
            )
    told = journal.Journal(source.papers.ledger, sealed.plan.tenant.name, sealed.digest, "")
    items = [item for item in sealed.plan.items if not told.done(item.ref)]
    if act == "undo":
        items = [item for item in reversed(items) if told.in_force(item.ref)]
    elif act == "quarantine" and decommission.resting(source.papers.records(), sealed.plan, sealed.digest):
        items = []
    word = {"purge": "delete", "quarantine": "put to rest", "undo": "bring back"}[act]
    text = "".join(f"{word} {item.ref.key} {names.printable(item.name)}\n" for item in items)
    header = {"before_header": path, "after_header": path}
    return {
        "changed": bool(items),
        "objects": [item.ref.key for item in items],
        "already": len(sealed.plan.items) - len(items),
        "waiting": [],
        "gib": 0.0,
        "calls": 0,
        "relocked": [],
        "limit": "",
        "plan_digest": sealed.digest,
        "diff": [{**header, "before": "", "after": text}],
    }


def _gates_of(act: str) -> gates.Act:
    return "purge" if act == "purge" else "quarantine"


def _sealed(source: decommission.Source, path: str) -> decommission.Seal:
    policy = source.papers.policy
    return decommission.read_sealed(path, source.papers.signers(policy), policy, source.who, source.clock())


def info(source: decommission.Source, path: str, act: str, *, left: bool) -> dict[str, Any]:
    """How far it is, every gate of an act, and what is left of the tenant."""
    sealed = _sealed(source, path)
    told = journal.Journal(source.papers.ledger, sealed.plan.tenant.name, sealed.digest, "")
    found: dict[str, Any] = {
        "gates": [schema.dump(gate) for gate in source.gates(sealed, _gates_of(act))] if act != "none" else [],
        "done": [item.ref.key for item in sealed.plan.items if told.done(item.ref)],
        "waiting": [item.ref.key for item in sealed.plan.items if not told.done(item.ref)],
        "plan_digest": sealed.digest,
    }
    if left:
        found["left"] = decommission.left(source, sealed.plan)
    return found


def line(step: retire.Progress) -> str:
    """A line of progress: objects, GiB, rate, time left."""
    left = f", {_clock(step.left_s)} left" if step.left_s is not None else ""
    rate = f", {step.per_minute:g} a minute" if step.per_minute else ""
    size = f", {step.gib:g} GiB" if step.gib else ""
    return f"{step.act}  {step.objects}/{step.of}{size}{rate}{left}  {step.object}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"
