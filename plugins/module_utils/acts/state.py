# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a workload is, read from both clouds, and what is left to do; refused before anything is changed.

The phases: `planned` (nothing of ours is there), `cloned` (clones or snapshots are), `importing` (an unfinished machine
is at the target), `imported` (all disks are in), `verified` (read back and equal), `started` (switched on).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import target
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.clones import disks_of, owner_of
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.target import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.transfer import (
    IMPORTED,
    IMPORTING,
    ROLLED_BACK,
    STARTED,
    VERIFIED,
    Machine,
    proof_of,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    InvalidInput,
    Problem,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import disks, server
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.server import Server, parse_time

T = TypeVar("T")

COPY = ["stop", "clone", "adapt", "copy", "clean", "start", "check", "fence"]


@dataclass(frozen=True)
class State:
    """What `look` found. todo: the steps that are left, in order."""

    phase: str
    todo: list[str]
    source: Server
    machine: Machine | None
    fenced: bool
    stale: bool = False
    temporary: dict[str, list[str]] = field(default_factory=dict)
    proof: list[dict[str, Any]] = field(default_factory=list)


def look(
    workload: Workload,
    cloud: Cloud,
    session: Session,
    *,
    replace_rolled_back: bool = False,
    check: bool = True,
    recorded: bool | None = True,
) -> State:
    """Read both sides. With `check`, raises what forbids the move: Refused, Conflict, NotFound or InvalidInput (all
    problems together); without, only what makes the phase unclear.

    recorded: whether the evidence of the copy is kept already, None where there is no ledger yet. If not, the step
    `copy` is left, which then only fetches it.
    """
    source = server.read(cloud, workload.server_id)
    machine = target.find(workload, session)
    fence = source.fence_of(workload.marks)
    phase, stale = _phase(workload, cloud, source, machine)
    if phase == STARTED and machine is not None:
        todo = _after_start(source, machine, fence, check)
        if recorded is False or (recorded is None and fence != "ours"):
            todo.insert(0, "copy")
        return State(phase, todo, source, machine, fence == "ours", proof=proof_of(machine))
    if check:
        _forbidden(source, machine, fence, replace_rolled_back)
    there = disks.find(cloud, owner_of(workload))
    temporary = {
        "snapshots": sorted(snapshot.id for snapshot in there.snapshots),
        "clones": sorted(volume.id for volume in there.volumes),
    }
    if phase == VERIFIED:
        todo = ["copy", *(["clean"] if there else []), "start", "check", "fence"]
        proof = proof_of(machine) if machine else []
        return State(phase, todo, source, machine, fence == "ours", temporary=temporary, proof=proof)
    if phase == "planned" and there:
        phase = "cloned"
    if check:
        server.require_movable(source, workload.marks)
        _possible(workload, cloud, session, source)
    todo = [step for step in COPY if step != "adapt" or workload.adapts]
    return State(phase, todo, source, machine, fence == "ours", stale, temporary)


def _phase(workload: Workload, cloud: Cloud, source: Server, machine: Machine | None) -> tuple[str, bool]:
    """The phase, and whether a finished copy is out of date since the source ran after it was frozen."""
    if machine is None or machine.state == ROLLED_BACK:
        return "planned", False
    if machine.state in (IMPORTING, STARTED):
        return machine.state, False
    if machine.state in (IMPORTED, VERIFIED):
        stale = not source.off
        frozen = parse_time(machine.marks.get("frozen_at", ""))
        if not stale and frozen is not None:
            stale = server.out_of_date(frozen, server.last_power_change(cloud, workload.server_id))
        return ("planned", True) if stale else (machine.state, False)
    raise Conflict(
        f"The machine {machine.name!r} ({machine.ref}) of {workload.host} has the unknown state {machine.state!r}",
        hint="Nothing was changed. Look at its cloudexit.* settings, or remove it.",
    )


def _after_start(source: Server, machine: Machine, fence: str, check: bool) -> list[str]:
    if check and not source.off:
        raise Conflict(
            f"The source {source.label} is {source.status} although its machine {machine.ref} was started",
            cause="both may have written since; neither was changed",
            hint="Decide which one counts: stop the source and run again, or use the rollback playbook.",
        )
    todo = [] if machine.running else ["start"]
    if fence != "ours":
        todo += ["check", "fence"]
    elif todo:
        todo.append("check")
    return todo


def _forbidden(source: Server, machine: Machine | None, fence: str, replace_rolled_back: bool) -> None:
    if machine is not None and machine.state == ROLLED_BACK and not replace_rolled_back:
        raise Refused(
            f"{source.label} is not moved again",
            cause=f"a rollback kept its machine {machine.name!r} ({machine.ref}); it may hold what was written there",
            hint="Remove that machine, or set migrate_replace_rolled_back to true to have it replaced by a new copy.",
        )
    if machine is not None and machine.running:
        raise Conflict(
            f"The machine {machine.name!r} ({machine.ref}) runs although it is {machine.state}",
            cause="somebody started it before it was proven",
            hint="Switch it off; it is then copied anew.",
        )
    if fence == "ours":
        missing = "its machine at the target is gone" if machine is None else f"its machine is only {machine.state}"
        raise Conflict(
            f"{source.label} is fenced, but {missing}",
            hint="Use the rollback playbook to remove the fence, then run again.",
        )


def _possible(workload: Workload, cloud: Cloud, session: Session, source: Server) -> None:
    """Everything that must hold on both sides, all problems together."""
    problems: list[Problem] = []
    reader_host = workload.reader
    bench = disks.Bench(cloud, owner_of(workload), reader=reader_host.server_id, reader_name=reader_host.name)

    def volume(disk: disks.Disk) -> list[Problem]:
        where = f"disks[{disk.index}]"
        facts = disks.read_volume(cloud, disk.volume)
        said = [Problem(f"{where}.volume", text) for text in disks.refusals(facts, source.id)]
        if facts.size_gib != disk.size_gib:
            text = f"the volume {disk.volume} has {facts.size_gib} GiB, the plan says {disk.size_gib}"
            said.append(Problem(f"{where}.size_gib", text))
        return said

    def reader() -> list[Problem]:
        bench.check_reader()
        return []

    jobs: list[tuple[str, Callable[[], list[Problem]]]] = [("reader", reader)]
    for disk in disks_of(workload):
        jobs.append((f"disks[{disk.index}].volume", lambda disk=disk: volume(disk)))  # type: ignore[misc]
    problems += _gather(jobs)
    problems += target.problems(workload, session)
    if problems:
        raise InvalidInput(
            f"Workload {workload.host} cannot be moved as the plan says",
            problems,
            hint="Nothing was changed. Correct the plan or what it names, then run again.",
        )


def _gather(jobs: Iterable[tuple[str, Callable[[], list[Problem]]]]) -> list[Problem]:
    """The problems of all jobs, which run at the same time; an error of one is a problem with its place."""

    def guarded(job: tuple[str, Callable[[], list[Problem]]]) -> list[Problem]:
        try:
            return job[1]()
        except CloudExitError as error:
            if error.retryable:
                raise
            return [Problem(job[0], str(error))]

    with ThreadPoolExecutor(max_workers=4) as pool:
        return [problem for found in pool.map(guarded, jobs) for problem in found]


def as_dict(state: State) -> dict[str, Any]:
    """For a module's result."""
    source = asdict(state.source)
    return {
        "phase": state.phase,
        "todo": state.todo,
        "fenced": state.fenced,
        "stale": state.stale,
        "source": {key: source[key] for key in ("id", "name", "status", "task", "locked", "locked_reason")},
        "target": dict(state.machine.summary) if state.machine else None,
        "temporary": state.temporary or {"snapshots": [], "clones": []},
        "proof": state.proof,
    }
