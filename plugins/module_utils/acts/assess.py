# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assessing a tenant: its estate into a file, its plan, in which every edit stands, and what was concluded."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import (
    document,
    edit,
    observations,
    schema,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    NotFound,
    Problem,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import carry as carrying
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import draft, emit, judge, merge
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import drift as drifting
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import policy as policies
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import rules as ruling
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import SourceAuth, connect
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.pages import PAGE_SIZE

PLAN_ENDINGS = (".plan.yml", ".plan.yaml")
READINESS: tuple[assessments.Readiness, ...] = get_args(assessments.Readiness)
SHOWN = 20
"""Lines of one sort that are told after a run."""


@dataclass(frozen=True)
class Writing:
    """A text file that shall hold `after`: whether that is a change, and what it held before (None: no such file)."""

    path: str
    before: str | None
    after: str

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def diff(self) -> dict[str, str]:
        """As Ansible shows it."""
        header = {"before_header": self.path, "after_header": self.path}
        return {"before": self.before or "", "after": self.after, **header}

    def write(self) -> None:
        """Put it there, whole or not at all; directories are made."""
        if not self.changed:
            return
        folder = os.path.dirname(self.path)
        try:
            os.makedirs(folder, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(self.after)
                    file.flush()
                    os.fsync(file.fileno())
                os.chmod(temporary, 0o666 & ~_umask() if self.before is None else os.stat(self.path).st_mode & 0o777)
                os.replace(temporary, self.path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as exc:
            raise CloudExitError(f"Cannot write {self.path}", cause=str(exc.strerror or exc)) from exc


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def writing(path: str, after: str) -> Writing:
    """What writing `after` to `path` would change."""
    path = os.path.abspath(path)
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return Writing(path, file.read(), after)
    except FileNotFoundError:
        return Writing(path, None, after)
    except (OSError, UnicodeDecodeError) as exc:
        raise CloudExitError(f"Cannot read {path}", cause=str(exc)) from exc


def read_estate(auth: SourceAuth, *, page_size: int = PAGE_SIZE) -> reading.Reading:
    """Read the tenant that `auth` logs in to. Writes nothing to the cloud."""
    with connect(auth) as cloud:
        return reading.read(cloud, page_size=page_size)


def summary(estate: estates.Estate) -> dict[str, Any]:
    """What modules return of an estate: digest, counts, what was read, findings."""
    return {
        "digest": estate.digest(),
        "tenant": schema.dump(estate.tenant),
        "counts": estate.counts(),
        "read": dict(estate.read),
        "findings": schema.dump(estate.findings),
    }


def load_estate(path: str) -> estates.Estate:
    """The estate in a file; raises NotFound, or InvalidInput with all problems."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError as exc:
        raise NotFound(f"There is no estate {path}", hint="Read the tenant first.") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise CloudExitError(f"Cannot read the estate {path}", cause=str(exc)) from exc
    return estates.loads(text, f"The estate {path}")


def read_text(path: str, what: str) -> str:
    """The text of a file that somebody names; raises NotFound."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError as exc:
        raise NotFound(f"There is no {what} {path}") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise CloudExitError(f"Cannot read the {what} {path}", cause=str(exc)) from exc


def judging_inputs(
    *,
    policy: str | None = None,
    rules: Sequence[str] = (),
    flows: str | None = None,
    metrics: str | None = None,
) -> judge.Inputs:
    """What a judgement goes by, from the files that people name."""
    return judge.Inputs(
        policy=policies.loads(read_text(policy, "policy"), f"The policy {policy}") if policy else policies.DEFAULT,
        rules=ruling.load([(path, read_text(path, "file of rules")) for path in rules]),
        flows=_observed(observations.Flows, flows, "file of connections") if flows else None,
        metrics=_observed(observations.Metrics, metrics, "file of metrics") if metrics else None,
    )


def _observed(cls: type[observations.T], path: str, what: str) -> observations.T:
    return observations.loads(cls, read_text(path, what), f"The {what} {path}")


@dataclass(frozen=True)
class Drafted:
    """What became of the plan of a tenant: the files, and all that is told of them.

    kept: a plan was there, and what people wrote into it stands. merged: how the draft went into it. plan: the plan as
    it is now (that of the draft where people's cannot be used at all). problems: what is wrong in it.
    """

    draft: draft.Draft
    plan: plans.Plan
    assessment: assessments.Assessment
    kept: bool
    merged: merge.Merged
    problems: Sequence[Problem]
    plan_file: Writing
    draft_file: Writing
    assessment_file: Writing

    @property
    def files(self) -> tuple[Writing, Writing, Writing]:
        """In the order in which they are written: killed in between, the next run does the same again."""
        return self.plan_file, self.draft_file, self.assessment_file

    @property
    def changed(self) -> bool:
        """Whether any file changes."""
        return any(file.changed for file in self.files)

    @property
    def to_fill(self) -> list[Problem]:
        """What is to be filled in, as a draft would have it."""
        drafted = {str(problem) for problem in self.draft.open}
        return [problem for problem in map(_unplaced, self.problems) if str(problem) in drafted]

    @property
    def wrong(self) -> list[Problem]:
        """What else is wrong in a plan that people have, with its line."""
        drafted = {str(problem) for problem in self.draft.open}
        return [problem for problem in self.problems if str(_unplaced(problem)) not in drafted]

    @property
    def drift(self) -> list[str]:
        """What changed in the tenant, as lines."""
        return drifting.lines(self.assessment.drift)

    def diff(self) -> list[dict[str, str]]:
        """As Ansible shows it: the plan, or else the draft; and what changed in the tenant."""
        shown = [file.diff() for file in self.files[:2] if file.changed][:1]
        if self.changed and self.assessment.drift:
            shown.append({"prepared": "\n".join(["What changed in the tenant:", *self.drift]) + "\n"})
        return shown

    def message(self) -> str:
        """What happened, for people."""
        told = [f"{len(self.plan.moving())} of {len(self.plan.workloads)} servers are planned to move."]
        if self.kept:
            edits = len(self.merged.edits)
            told.append(
                f"The plan {self.plan_file.path} was there; what people wrote stands, and "
                + (f"{edits} places follow the tenant." if edits != 1 else "1 place follows the tenant.")
            )
        else:
            told.append(f"The plan is {self.plan_file.path}.")
        if self.merged.conflicts:
            told.append(f"{len(self.merged.conflicts)} edits differ from what the tenant says now.")
        if self.to_fill:
            told.append(f"{len(self.to_fill)} places are still to be filled in.")
        return " ".join(told)

    @property
    def readiness(self) -> dict[str, int]:
        """Servers by readiness, in the order from ready to unknown."""
        counts = Counter(workload.readiness for workload in self.assessment.workloads)
        return {name: counts[name] for name in READINESS}

    def told(self) -> list[str]:
        """What a person should read now, a line each; of each sort at most SHOWN, the rest is in the report."""
        ready = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in self.readiness.items() if count)
        return [
            *([f"readiness: {ready}"] if ready else []),
            *_some("changed in the tenant: ", self.drift),
            *_some("your edit stands: ", [str(conflict) for conflict in self.merged.conflicts]),
            *_some("to fill in: ", [str(problem) for problem in self.to_fill]),
            *_some("wrong in the plan: ", [str(problem) for problem in self.wrong]),
            *_some("", _by_rule(self.assessment.findings)),
        ]


def _some(head: str, lines: Sequence[str]) -> list[str]:
    more = len(lines) - SHOWN
    return [f"{head}{line}" for line in lines[:SHOWN]] + ([f"{head}... and {more} more"] if more > 0 else [])


def _by_rule(findings: Sequence[estates.Finding]) -> list[str]:
    """Blockers and warnings, one line a rule: how many objects, and the first ones."""
    grouped: dict[tuple[str, str], list[estates.Finding]] = {}
    for finding in findings:
        if finding.severity != "information":
            grouped.setdefault((finding.severity, finding.rule), []).append(finding)
    lines = []
    for (severity, rule), found in grouped.items():
        names = ", ".join(f.subject.name or f.subject.id or f.subject.kind for f in found[:3])
        rest = f" and {len(found) - 3} more" if len(found) > 3 else ""
        seen = f": {found[0].seen}" if len(found) == 1 else ""
        lines.append(f"{severity} {rule}: {names}{rest}{seen}")
    return lines


def _drafted(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Of the draft of the time before, the wave of each move group and the group of each server; of no draft, none."""
    found, _problems = document.read(text)
    data = found.data if found is not None and isinstance(found.data, dict) else {}
    waves, workloads = data.get("waves"), data.get("workloads")
    groups: dict[str, str] = {}
    for workload in workloads.values() if isinstance(workloads, dict) else ():
        source = workload.get("source") if isinstance(workload, dict) else None
        if isinstance(source, dict) and workload.get("group"):
            groups[str(source.get("id"))] = str(workload["group"])
    homes: dict[str, str] = {}
    for name, wave in waves.items() if isinstance(waves, dict) else ():
        its = wave.get("groups") if isinstance(wave, dict) else None
        for group in its if isinstance(its, list) else ():
            homes.setdefault(str(group), str(name))
    return homes, groups


def _carried(text: str, drafted: draft.Draft, estate: estates.Estate, judgement: judge.Judgement) -> draft.Draft:
    """The draft with what could not be read now as it was in the draft of the time before."""
    if all(state in ("complete", "absent") for state in estate.read.values()):
        return drafted
    found, problems, root = document.parse(text)
    plan = plans.parse_draft(found.data) if found is not None and not problems else None
    if plan is None:
        return drafted
    written = edit.Text(text, root)
    leads = {host: written.lead(("workloads", host)) for host in plan.workloads}
    remarks = {host: [line.removeprefix("# ") for line in lines] for host, lines in leads.items()}
    return carrying.carry(drafted, plan, estate, judgement, remarks)


def draft_plan(
    estate: estates.Estate,
    options: draft.Options,
    path: str,
    *,
    given: judge.Inputs | None = None,
    previous: estates.Estate | None = None,
    assessment: str | None = None,
    force: bool = False,
    check: bool = False,
) -> Drafted:
    """Judge the tenant, and draft its plan into `path`, or bring what is new into the plan that is there.

    The draft itself goes into `<name>.draft.yml` beside it, the base of the next time; the assessment into
    `assessment`, or `<name>.assessment.json`. `force` replaces the plan. `check` writes nothing.
    """
    ending = next((ending for ending in PLAN_ENDINGS if path.endswith(ending)), None)
    if ending is None:
        raise Refused(
            f"Cannot draft into {path}",
            cause="the name of a plan ends in .plan.yml",
            hint="Ansible goes by it.",
        )
    stem = path[: -len(ending)]
    inputs = draft.inputs(options, given)
    before = "" if force else writing(f"{stem}.draft.yml", "").before or ""
    waves, groups = _drafted(before)
    judgement = judge.judge(estate, dataclasses.replace(inputs, waves=waves, groups=groups))
    drafted = _carried(before, draft.draft(estate, options, judgement), estate, judgement)
    text = emit.to_text(drafted.plan, file=os.path.basename(path), remarks=drafted.remarks, to_fill=drafted.open)
    base, there = writing(f"{stem}.draft.yml", text), writing(path, text)
    kept = there.before is not None and there.changed and not force and there.before != base.before
    if there.before is None or force:
        merged = merge.Merged(text, [], [])
    else:
        merged = merge.merge(base.before, there.before, text)
    plan, problems = _read(merged)
    known = {str(problem) for problem in drafted.open}
    if kept:
        still = [problem for problem in map(_unplaced, problems) if str(problem) in known]
        merged = dataclasses.replace(merged, text=emit.told(merged.text, still))
    found = judge.assessment(
        estate,
        judgement,
        plan,
        drafted.plan,
        drift=drifting.drift(previous, estate),
        to_fill=[_unplaced(problem) for problem in problems],
    )
    result = Drafted(
        draft=drafted,
        plan=plan or drafted.plan,
        assessment=found,
        kept=kept,
        merged=merged,
        problems=problems,
        plan_file=writing(path, merged.text),
        draft_file=base,
        assessment_file=writing(assessment or f"{stem}.assessment.json", assessments.to_text(found)),
    )
    if not check:
        for file in result.files:
            file.write()
    return result


def _read(merged: merge.Merged) -> tuple[plans.Plan | None, Sequence[Problem]]:
    """The plan as far as it has its form, and all that is wrong with it, with lines."""
    read = merged.read or document.read(merged.text)[0]
    return plans.placed(read) if read is not None else (None, ())


def _unplaced(problem: Problem) -> Problem:
    """The problem without the line that it is on."""
    return Problem(re.sub(r" \(line \d+\)\Z", "", problem.path), problem.message)
