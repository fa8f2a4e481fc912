# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quarantine, undo and purge of what a retirement plan lists: the only code that deletes at the source.

Ids come from the plan alone. Each call follows the same path: read the object, ask all guards (retire_guards), write
the intent, call, write the outcome, read again. What a call without an answer did is read, never assumed, and nothing
is repeated without a reading in between. A run that is stopped or killed anywhere is simply run again; one that has
nothing left to do writes nothing and changes nothing.

    purge       canary → read back absent → a few per cent → stage by stage; keys in a run of their own
    quarantine  the first object there and back again, to see that undo restores it exactly; then all
    undo        every step of the ledger back to the state before it, checked against the plan
"""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import Any, Protocol

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import retire_guards as guards
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.retire_guards import Gate, Scene, Tripped
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import journal as ledger
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    Conflict,
    Refused,
    Timeout,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import (
    Answer,
    Item,
    Reference,
    Retirement,
    Step,
    Who,
)

PATIENCE_S = 1800.0
"""How long one object is tried again: clouds free what hangs on it late (flexible-engine: up to half an hour)."""
_DELAYS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
_WATCHED = 2
"""Groups at the start of a run that are read once more before it goes on."""
_READS = 8
"""Readings after a delete before it is given again."""


class Cloud(Protocol):
    """The source, as far as a decommission needs it. Every method but `way` asks the cloud."""

    def who(self) -> Who:
        """Whose credential this is, from its token; domain_admin where it cannot be ruled out."""

    def read(self, ref: Reference) -> Any | None:
        """The estate's object. None only when the service says for certain that this id is absent; else it raises."""

    def way(self, ref: Reference, obj: Any) -> tuple[str, ...]:
        """The calls that the deletion of the object, as it is, still takes; the last one deletes."""

    def call(self, ref: Reference, step: str, on_progress: Callable[[str], None] | None = None) -> Answer:
        """Make one of them."""

    def quarantine_steps(self, ref: Reference, obj: Any) -> tuple[Step, ...]:
        """The steps of its quarantine, `before` as it is now."""

    def apply(self, ref: Reference, step: Step) -> Answer:
        """Set `after`."""

    def undo(self, ref: Reference, step: Step) -> Answer:
        """Set `before`."""

    def activity(self, ref: Reference, obj: Any, since: str) -> list[str]:
        """What was done to it since; empty only when certainly nothing."""

    def clock(self) -> datetime:
        """The cloud's clock."""


@dataclass(frozen=True)
class Progress:
    """How far a run is. left_s: seconds left at the rate so far; None as long as that is not known."""

    act: str
    objects: int
    of: int
    gib: float
    per_minute: float
    left_s: float | None
    object: str = ""


@dataclass
class Result:
    """What a run did. stopped: what stopped it, None when it came to its end."""

    objects: list[str] = field(default_factory=list)
    """Keys of what is now absent, quarantined or restored by this run."""
    already: int = 0
    """How many were so before."""
    waiting: list[str] = field(default_factory=list)
    """Keys of what is still to be done: by another run."""
    relocked: list[str] = field(default_factory=list)
    unlocked: list[str] = field(default_factory=list)
    """Keys of what was unlocked, is still there and could not be locked again."""
    gib: float = 0.0
    calls: int = 0
    """Calls that changed something."""
    stopped: CloudExitError | None = None

    @property
    def changed(self) -> bool:
        return self.calls > 0


def stop_file(path: str) -> Callable[[], str]:
    """A stop switch: as long as the file is there, or cannot be looked for, the reason to stop; else empty."""

    def asked() -> str:
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                return stream.read(500).strip() or f"{path} is there"
        except FileNotFoundError:
            return "" if os.path.isdir(os.path.dirname(os.path.abspath(path))) else f"the folder of {path} is gone"
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}"

    return asked


def purge(
    cloud: Cloud,
    plan: Retirement,
    journal: ledger.Journal,
    *,
    gates: Callable[[], Sequence[Gate]],
    stop: Callable[[], str],
    holds: Callable[[], Collection[str]],
    closure: Callable[[Reference, Any], Collection[str]],
    on_progress: Callable[[Progress], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Delete what the plan lists, as far as guards, limits and the order let it. What stopped it is in the result.

    gates: all gates, judged anew. stop: why to stop, or an empty text. holds: keys of all objects that are held.
    closure: keys of what would vanish with an object, asked now. What they raise (CloudExitError) stops the run.
    """
    return _Purge(cloud, plan, journal, "purge", gates, stop, holds, closure, on_progress, sleep).go()


def quarantine(
    cloud: Cloud,
    plan: Retirement,
    journal: ledger.Journal,
    *,
    gates: Callable[[], Sequence[Gate]],
    stop: Callable[[], str],
    holds: Callable[[], Collection[str]],
    on_progress: Callable[[Progress], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Put everything that the plan lists to rest, reversibly. gates: those of a quarantine."""
    return _Quarantine(cloud, plan, journal, "quarantine", gates, stop, holds, None, on_progress, sleep).go()


def undo(
    cloud: Cloud,
    plan: Retirement,
    journal: ledger.Journal,
    *,
    stop: Callable[[], str],
    on_progress: Callable[[Progress], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Bring every object back to the exact state before its quarantine, which the ledger holds."""
    return _Undo(cloud, plan, journal, "undo", None, stop, None, None, on_progress, sleep).go()


@dataclass
class _Run:
    """What the three have in common: readings, guards, and calls between intent and outcome."""

    cloud: Cloud
    plan: Retirement
    journal: ledger.Journal
    act: str
    gates: Callable[[], Sequence[Gate]] | None
    stop: Callable[[], str]
    holds: Callable[[], Collection[str]] | None
    closure: Callable[[Reference, Any], Collection[str]] | None
    on_progress: Callable[[Progress], None] | None
    sleep: Callable[[float], None]
    result: Result = field(default_factory=Result)
    begun: bool = False
    total: int = 0
    skew: float = 0.0
    admitted: bool = False
    user: str = ""
    """Id of whose credential it is."""
    began: datetime = field(init=False)
    judged_gates: Sequence[Gate] = ()
    fresh: str = ""
    """Key of the object that was read and judged, and not called since."""

    def go(self) -> Result:
        with self.journal.held():
            try:
                self.at_run()
                self.admitted = True
                self.work()
            except CloudExitError as error:
                self.result.stopped = error
            finally:
                if self.admitted:
                    self.leave()
            if self.begun:
                why = str(self.result.stopped or "")
                try:
                    self.journal.note("run_end", of=self.act, objects=len(self.result.objects), stopped=why)
                except CloudExitError as error:
                    self.result.stopped = self.result.stopped or error
        return self.result

    @cached_property
    def index(self) -> dict[str, Item]:
        """Items by key."""
        return {item.ref.key: item for item in self.plan.items}

    def work(self) -> None:
        """What the act does between admission and leaving; each of the three has its own."""
        raise NotImplementedError

    def leave(self) -> None:
        """What a run that ends, however it does, still puts right."""

    # guards

    def scene(self, **more: Any) -> Scene:
        return Scene(plan=self.plan, index=self.index, journal=self.journal, act=self.act, **more)

    def at_run(self) -> None:
        self.began = self.journal.now()
        self.switch()
        who, cloud_now = self.patient(self.cloud.who), self.patient(self.cloud.clock)
        self.user = who.user_id
        self.skew = _skew(cloud_now, self.journal.now())
        problems = self.journal.problems(self.plan.made.ledger)
        guards.check("run", self.scene(who=who, problems=problems, cloud_now=cloud_now))

    def at_boundary(self) -> None:
        """All gates and clocks anew."""
        self.switch()
        if self.gates is None:
            return
        cloud_now = self.patient(self.cloud.clock)
        gates = list(self.gates())
        guards.check("boundary", self.scene(cloud_now=cloud_now, gates=gates))
        if self.begun and gates == self.judged_gates:
            return
        self.begin()
        for gate in gates:
            self.journal.note("gate", name=gate.name, open=gate.open, why=gate.why, evidence=dict(gate.evidence))
        self.judged_gates = gates

    def begin(self) -> None:
        """Write the run down; before its first record of anything else."""
        if not self.begun:
            ids = {"user_id": self.user} if self.user else {}
            self.journal.note("run_begin", ids, of=self.act, objects=self.total, skew_s=self.skew)
            self.begun = True

    def switch(self) -> None:
        """Nobody has said stop. Asked before every call to the cloud, readings too."""
        guards.check("ask", self.scene(stop=self.stopped()))

    def stopped(self) -> str | None:
        try:
            return self.stop()
        except CloudExitError:
            return None

    # readings

    def patient(self, ask: Callable[[], Any]) -> Any:
        """What it answers, asked again for a while where that may help. Raises what it raises."""
        for delay in self.delays():
            self.switch()
            try:
                return ask()
            except CloudExitError as error:
                if not error.retryable or delay is None:
                    raise
                self.sleep(delay)
        raise Timeout("The cloud does not answer")

    def delays(self) -> Iterator[float | None]:
        """Seconds to wait after each try, longer and longer; None after the last."""
        spent = 0.0
        for number in itertools.count():
            delay = _DELAYS[min(number, len(_DELAYS) - 1)]
            spent += delay
            if spent > PATIENCE_S:
                yield None
                return
            yield delay

    def read(self, item: Item) -> Any | None:
        """The object, or None when it is absent. Raises Tripped when another object has its id."""
        self.fresh = ""
        obj = self.patient(partial(self.cloud.read, item.ref))
        if obj is not None:
            guards.check("reading", self.scene(item=item, obj=obj, rested=self.journal.in_force(item.ref)))
        return obj

    def steps_now(self, item: Item, obj: Any) -> dict[str, Step]:
        found = self.patient(partial(self.cloud.quarantine_steps, item.ref, obj))
        return {step.name: step for step in found}

    def seen_by(self, item: Item, obj: Any, **more: Any) -> Scene:
        rested = self.journal.in_force(item.ref)
        held = self.patient(self.holds) if self.holds is not None else None
        now_steps = self.steps_now(item, obj)
        return self.scene(item=item, obj=obj, rested=rested, now_steps=now_steps, held=held, **more)

    # calls

    def call(self, item: Item, step: str, make: Callable[[], Answer], **told: Any) -> CloudExitError | None:
        """One call: guards, intent, call, outcome. Returns the error of the call, None when it was taken.

        The guards are asked once more after the intent is on the disk, so that nothing can come in between.
        """
        if not self.judged_gates:
            self.at_boundary()
        self.begin()
        self.switch()
        self.journal.intent(self.act, item.ref, step, **told)
        fresh = self.fresh == item.ref.key
        self.fresh = ""
        scene = self.scene(item=item, step=step, fresh=fresh, stop=self.stopped())
        try:
            guards.check("call", scene)
        except Tripped as error:
            with suppress(CloudExitError):
                self.journal.outcome(self.act, item.ref, step, "failed", why=error.cause, sent=False)
            raise
        self.result.calls += 1
        try:
            answer = make()
        except CloudExitError as error:
            certain = isinstance(error, (Conflict, Refused, AuthFailed))
            self.journal.outcome(self.act, item.ref, step, "failed" if certain else "unknown", why=str(error))
            return error
        self.journal.outcome(
            self.act, item.ref, step, "done", status=answer.status, request_id=answer.request_id, note=answer.note
        )
        return None

    def told(self, item: Item) -> None:
        """One more is as it should be: tell how far the run is."""
        self.result.objects.append(item.ref.key)
        if item.ref.key in self.result.waiting:
            self.result.waiting.remove(item.ref.key)
        if self.on_progress is None:
            return
        count = len(self.result.objects)
        spent = max((self.journal.now() - self.began).total_seconds(), 0.0)
        rate = count / spent * 60 if spent else 0.0
        left = max(self.total - count, 0) / rate * 60 if rate else None
        gib = round(self.result.gib, 3)
        self.on_progress(Progress(self.act, count, self.total, gib, round(rate, 1), left, item.ref.key))


class _Purge(_Run):
    def work(self) -> None:
        pending = [item for item in self.plan.items if not self.journal.done(item.ref)]
        self.result.already = len(self.plan.items) - len(pending)
        keys = [item for item in pending if item.stage == "keys"]
        batch = [item for item in pending if item.stage != "keys"] or keys
        self.result.waiting = [item.ref.key for item in batch]
        self.total = len(batch)
        self.resolve()
        if not self.result.waiting:
            self.result.waiting = [item.ref.key for item in keys if batch is not keys]
            return
        self.at_boundary()
        if batch is keys:
            self.back([item for item in self.plan.items if item.stage != "keys"])
        for number, group in enumerate(self.groups(batch)):
            for item in group:
                if not self.journal.done(item.ref):
                    self.turn(item)
            if number < _WATCHED:
                self.back(group)
            if self.result.waiting:
                self.at_boundary()
        self.result.waiting = [item.ref.key for item in keys if batch is not keys]

    def groups(self, batch: list[Item]) -> list[list[Item]]:
        """The canary, the next few, and the rest stage by stage."""
        canary = max(1, self.plan.limits.canary)
        few = canary + math.ceil(len(self.plan.items) * self.plan.limits.then_percent / 100)
        found: dict[tuple[int, str], list[Item]] = {}
        for index, item in enumerate(batch):
            part = 0 if index < canary else 1 if index < few else 2
            found.setdefault((part, item.stage), []).append(item)
        return list(found.values())

    def resolve(self) -> None:
        """Read what became of calls that no outcome is known of, and of deletes that were taken and not read back."""
        for intent in self.journal.open_intents("purge"):
            item = self.index.get(intent.object)
            if item is None:
                continue
            if self.read(item) is None:
                self.gone(item)
            elif self.journal.is_open("purge", item.ref, intent.step):
                self.begin()
                self.journal.outcome("purge", item.ref, intent.step, "unknown", read=True, why="it is there")
        for item in self.plan.items:
            if self.journal.erasing(item.ref.key) and not self.journal.done(item.ref) and self.read(item) is None:
                self.gone(item)

    def back(self, group: Sequence[Item]) -> None:
        """Read once more that they are absent. Raises Conflict for what is there again, which is then still to do."""
        for item in group:
            if self.read(item) is not None and not self.waited(item):
                self.begin()
                self.journal.outcome("purge", item.ref, "read_back", "failed", why="it is there again")
                raise Conflict(f"{item.ref.key} is there again", hint="Run again: it is read, and judged, anew.")

    def turn(self, item: Item) -> None:
        """Delete one object and read it until it is absent."""
        answered: set[str] = set()
        for delay in self.delays():
            obj = self.judged(item)
            if obj is None:
                self.gone(item)
                return
            way = self.patient(partial(self.cloud.way, item.ref, obj))
            step = next((step for step in way[:-1] if step not in answered), way[-1])
            last = step == way[-1]
            size = guards.weight(self.index, item) if last else 0.0
            error = self.call(
                item,
                step,
                partial(self.cloud.call, item.ref, step),
                last=last,
                **({"size_gib": size, "takes": item.takes} if last else {}),
            )
            if error is None and not last:
                answered.add(step)
                continue
            if error is None and self.waited(item):
                self.gone(item)
                return
            if error is not None and (not error.retryable or delay is None):
                if not _unknown(error) or self.read(item) is not None:
                    raise error
                self.gone(item)
                return
            if delay is None:
                raise Conflict(
                    f"{item.ref.key} was deleted and is still there", hint="Ask the provider, then run again."
                )
            answered.clear()
            self.sleep(delay)
        raise Conflict(f"{item.ref.key} takes more calls than it should", hint="Ask the provider, then run again.")

    def judged(self, item: Item) -> Any | None:
        """The object, read and judged after all that vanishes with it or hangs on it; None when it is absent by us."""
        obj = self.read(item)
        near = self.near(item) if obj is not None else []
        for along in near:
            other = self.read(along)
            if other is not None:
                self.judge(along, other, by=item)
            elif not self.journal.done(along.ref):
                guards.check("missing", self.scene(item=along))
        obj = self.read(item) if near else obj
        if obj is None:
            guards.check("missing", self.scene(item=item))
            return None
        self.judge(item, obj)
        self.fresh = item.ref.key
        return obj

    def near(self, item: Item) -> list[Item]:
        """What vanishes with it; and what hangs on a server, which must be looked at before our own act shows there."""
        found = {key: along for key in item.takes if (along := self.index.get(key)) is not None}
        hanging = self.hanging.get(item.ref.id, []) if item.ref.kind == "servers" else []
        found |= {one.ref.key: one for one in hanging if not self.journal.done(one.ref)}
        return list(found.values())

    @cached_property
    def hanging(self) -> dict[str, list[Item]]:
        """Items by the ids of the servers that they hang on."""
        found: dict[str, list[Item]] = {}
        servers = {item.ref.id for item in self.plan.items if item.ref.kind == "servers"}
        for item in self.plan.items:
            for name in _texts(item.seen) & servers:
                found.setdefault(name, []).append(item)
        return found

    def judge(self, item: Item, obj: Any, by: Item | None = None) -> None:
        activity = self.patient(partial(self.cloud.activity, item.ref, obj, self.since(item)))
        closure = self.patient(partial(self.closure, item.ref, obj)) if self.closure is not None else None
        try:
            guards.check("turn", self.seen_by(item, obj, by=by, activity=activity, closure=closure))
        except Tripped as error:
            if error.guard == "activity" and not self.journal.tainted(item.ref.key):
                self.begin()
                self.journal.outcome("purge", item.ref, "judged", "failed", guard=error.guard, why=error.cause)
            raise

    def since(self, item: Item) -> str:
        """From when on nobody but us may have done anything to it: the plan, our last act on it or its servers."""
        servers = [key for name in _texts(item.seen) if (key := f"servers/{name}") in self.index]
        times = [self.plan.made.at, *(self.journal.touched(key) for key in (item.ref.key, *servers))]
        return ledger.text(max(map(_instant, times)))

    def waited(self, item: Item) -> bool:
        """Read it until it is absent, for some minutes; whether it is."""
        for number in range(_READS):
            if self.read(item) is None:
                return True
            self.sleep(_DELAYS[min(number, len(_DELAYS) - 1)])
        return False

    def gone(self, item: Item) -> None:
        """Record that it is absent, once it is clear that we did it, and that two readings in a row say so."""
        guards.check("missing", self.scene(item=item))
        self.twice(item)
        # first what went with it: when the record of the taker is there, theirs are too
        for along in filter(None, map(self.index.get, item.takes)):
            if not self.journal.done(along.ref) and self.read(along) is None:
                self.gone(along)
        way = "deleted" if self.journal.erasing(item.ref.key) else "went with what takes it along"
        self.begin()
        self.journal.outcome("purge", item.ref, "read", "absent", how=way)
        self.result.gib += item.ref.size_gib
        self.told(item)

    def twice(self, item: Item) -> None:
        if self.read(item) is not None:
            raise Conflict(f"{item.ref.key} is absent and there again", hint="Run again: it is read, and judged, anew.")

    def leave(self) -> None:
        """Lock again what was unlocked and not deleted."""
        for item in self.plan.items:
            steps = [intent.step for intent in self.journal.issued(item.ref)]
            if not steps or self.journal.done(item.ref) or steps[-1] == "relock" or "unlock" not in steps:
                continue
            try:
                self.relock(item)
            except CloudExitError:
                self.result.unlocked.append(item.ref.key)

    def relock(self, item: Item) -> None:
        """The one call that a stop does not hold back: it protects."""
        obj = self.cloud.read(item.ref)
        if obj is None:
            return
        guards.check("reading", self.scene(item=item, obj=obj, rested=self.journal.in_force(item.ref)))
        lock = next((step for step in self.cloud.quarantine_steps(item.ref, obj) if step.name == "lock"), None)
        if lock is None or lock.before == lock.after:
            return
        seen = self.cloud.activity(item.ref, obj, self.since(item))
        if seen and not self.journal.tainted(item.ref.key):
            self.begin()
            # our own act would hide it from the next run
            self.journal.outcome("purge", item.ref, "judged", "failed", guard="activity", why="; ".join(seen))
        self.begin()
        self.journal.intent("purge", item.ref, "relock", last=False)
        answer = self.cloud.apply(item.ref, lock)
        self.journal.outcome("purge", item.ref, "relock", "done", status=answer.status, request_id=answer.request_id)
        self.result.relocked.append(item.ref.key)


class _Quarantine(_Run):
    def work(self) -> None:
        items = [item for item in self.plan.items if not item.works and not self.journal.done(item.ref)]
        self.total = len(items)
        self.result.waiting = [item.ref.key for item in items]
        for item in items:
            if not self.journal.rehearsed() and self.rest(item):
                self.rehearse(item)
                self.at_boundary()
                self.rest(item)
                self.told(item)
            elif self.rest(item):
                self.told(item)
            else:
                self.result.already += 1
                self.result.waiting.remove(item.ref.key)
        if not self.journal.rested():
            # nothing was left to do: that all is at rest was seen now, and the cool-off begins
            self.begin()

    def rest(self, item: Item) -> bool:
        """Bring it to rest, whatever of that is already done; whether there was, or is, anything to do for it now."""
        changed = False
        for delay in self.delays():
            obj = self.judged(item)
            step = self.next_step(item, obj)
            if step is None:
                return changed or (bool(self.journal.in_force(item.ref)) and not self.journal.rehearsed())
            changed = True
            error = self.call(
                item,
                step.name,
                partial(self.cloud.apply, item.ref, step),
                before=step.before,
                after=step.after,
            )
            if error is not None and (not error.retryable or delay is None):
                raise error
            if error is not None and delay is not None:
                self.sleep(delay)
        raise Conflict(f"{item.ref.key} does not come to rest", hint="Run again, or undo.")

    def next_step(self, item: Item, obj: Any) -> Step | None:
        """The next step to apply; None when all are in force. What became of a call is what is there."""
        known, now = self.journal.in_force(item.ref), self.steps_now(item, obj)
        for name, step in known.items():
            if self.journal.settled(item.ref, name):
                continue
            if name in now and now[name].before != step.after:
                return step
            self.begin()
            self.journal.outcome("quarantine", item.ref, name, "done", read=True, why="it is in force")
        return next((step for step in now.values() if step.name not in known and step.before != step.after), None)

    def judged(self, item: Item) -> Any:
        obj = self.read(item)
        if obj is None:
            guards.check("missing", self.scene(item=item))
            raise Conflict(f"{item.ref.key} is not there", hint=guards.NEW_PLAN)
        guards.check("rest", self.seen_by(item, obj))
        self.fresh = item.ref.key
        return obj

    def rehearse(self, item: Item) -> None:
        """Undo the first object and see that it is exactly as it was."""
        back = _Undo(
            self.cloud, self.plan, self.journal, "undo", None, self.stop, None, None, None, self.sleep, self.result
        )
        back.begun = True
        back.restore(item)
        self.journal.outcome("undo", item.ref, "rehearsal", "done")


class _Undo(_Run):
    def work(self) -> None:
        items = [item for item in reversed(self.plan.items) if self.journal.in_force(item.ref)]
        items = [item for item in items if not self.journal.done(item.ref)]
        self.total = len(items)
        self.result.waiting = [item.ref.key for item in items]
        for item in items:
            self.restore(item)
            self.told(item)

    def restore(self, item: Item) -> None:
        """Take all steps back, the last one first, and compare with what it was."""
        known = self.journal.in_force(item.ref)
        for step in reversed(known.values()):
            self.back(item, step)
        obj = self.read(item)
        now = self.steps_now(item, obj) if obj is not None else None
        guards.check("restored", self.scene(item=item, obj=obj, rested=known, now_steps=now))

    def back(self, item: Item, step: Step) -> None:
        for delay in self.delays():
            obj = self.read(item)
            if obj is None:
                raise Conflict(f"{item.ref.key} is not there any more", hint="Look into the ledger and the cloud.")
            now = self.steps_now(item, obj)
            guards.check(
                "undo", self.scene(item=item, obj=obj, step=step.name, rested={step.name: step}, now_steps=now)
            )
            if step.name in now and now[step.name].before == step.before:
                self.begin()
                self.journal.outcome("undo", item.ref, step.name, "done", read=True, why="it is as it was")
                return
            self.fresh = item.ref.key
            error = self.call(
                item, step.name, partial(self.cloud.undo, item.ref, step), before=step.before, after=step.after
            )
            if error is not None and (not error.retryable or delay is None):
                raise error
            if error is not None and delay is not None:
                self.sleep(delay)


def _unknown(error: CloudExitError) -> bool:
    return not isinstance(error, (Conflict, Refused, AuthFailed))


def _texts(value: Any) -> set[str]:
    """All texts in plain data."""
    if isinstance(value, dict):
        return set().union(*(_texts(entry) for entry in value.values()))
    if isinstance(value, (list, tuple)):
        return set().union(*(_texts(entry) for entry in value))
    return {value} if isinstance(value, str) else set()


def _skew(cloud: datetime, here: datetime) -> float:
    """Seconds that the cloud's clock is before ours."""
    return float(round((cloud - here).total_seconds(), 3))


def _instant(text: str) -> datetime:
    return ledger.moment(text) if text else ledger.moment("0001-01-01T00:00:00Z")
