# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a decommission is about to do, and what came of it, in the ledger: the intent before a call, the outcome after.

Records of a plan, as the chain holds them (`ids.object` is `<kind>/<id>`, `ids.run` the run, `digests.plan` the plan):

    run_begin, run_end                          what a run was to do, and what came of it; skew_s: how many seconds the
                                                cloud's clock is before ours
    gate                                        result {name, open, why, evidence}
    purge_intent, purge_outcome                 result {step, last, size_gib, takes} and {step, outcome, request_id, …}
    quarantine_intent, quarantine_outcome       result {step, before, after} and the same with outcome
    undo_intent, undo_outcome                   likewise

outcome: done (the service took it), absent (read back: it is not there), failed (it was refused), unknown (no answer,
or what became of it had to be read). An intent without an outcome is what a crash leaves: it is resolved by reading.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain, evidence
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    NotFound,
    Problem,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Reference, Step

SLACK = timedelta(minutes=1)


@dataclass(frozen=True)
class Intent:
    """What was about to be done. last: whether it was the call that deletes; time: when, as the ledger has it."""

    act: str
    object: str
    step: str
    run: str
    time: str
    last: bool = False


@dataclass
class Spent:
    """What deletes were begun of: keys of objects, GiB."""

    objects: set[str]
    gib: float = 0.0


def moment(text: str) -> datetime:
    """A time of the ledger or of a plan (RFC 3339) as an aware datetime. Raises ValueError."""
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def text(at: datetime) -> str:
    """A moment as records have it: UTC, microseconds, Z."""
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def steady() -> Callable[[], datetime]:
    """A clock that starts with the time of day and then only counts: nobody who sets the clock moves it in a run."""
    counter = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    began, at = time.clock_gettime(counter), datetime.now(timezone.utc)
    return lambda: at + timedelta(seconds=time.clock_gettime(counter) - began)


class Journal:
    """The records of one plan in a tenant's ledger, and what they say. `clock` gives the time of a record."""

    def __init__(
        self, path: str, tenant: str, plan_digest: str, run: str, *, clock: Callable[[], datetime] | None = None
    ) -> None:
        self.path, self.tenant, self.plan, self.run = path, tenant, plan_digest, run
        self.clock = clock or steady()
        self.last_time = ""
        """Time of the last record of the ledger, whoever wrote it."""
        self._absent: set[str] = set()
        self._open: dict[tuple[str, str], Intent] = {}
        self._issued: dict[str, list[Intent]] = {}
        self._rest: dict[str, dict[str, Step]] = {}
        self._touched: dict[str, str] = {}
        self._at_rest = False
        self._touched_before: dict[str, str] = {}
        self._tainted: set[str] = set()
        self._days: dict[str, Spent] = {}
        self._runs: dict[str, Spent] = {}
        self._skew = timedelta(0)
        self._settled: set[tuple[str, str]] = set()
        self._rehearsed = False
        with contextlib.suppress(NotFound):
            for record in chain.read(path):
                self._learn(record)

    # what is written

    def note(self, act: str, ids: Mapping[str, str] | None = None, **result: Any) -> None:
        """A record of the run itself: run_begin, run_end, gate. On the disk when this returns."""
        self._append(act, dict(ids or {}), result)

    def intent(self, act: str, ref: Reference, step: str, **result: Any) -> None:
        """What is about to be done to an object. On the disk when this returns; only then may the call be made."""
        self._append(f"{act}_intent", {"object": ref.key}, {"step": step, **result})

    def outcome(self, act: str, ref: Reference, step: str, outcome: str, **result: Any) -> None:
        """What came of it: done, absent, failed or unknown."""
        self._append(f"{act}_outcome", {"object": ref.key}, {"step": step, "outcome": outcome, **result})

    # what they say

    def now(self) -> datetime:
        return self.clock()

    def open_intents(self, act: str = "") -> list[Intent]:
        """Intents without an outcome, in order."""
        return [one for one in self._open.values() if not act or one.act == act]

    def is_open(self, act: str, ref: Reference, step: str) -> bool:
        found = self._open.get((act, ref.key))
        return found is not None and found.step == step

    def done(self, ref: Reference) -> bool:
        """Whether it was read back as absent, and not seen again since."""
        return ref.key in self._absent

    @property
    def gone(self) -> Set[str]:
        """Keys of all objects that are done."""
        return self._absent

    def issued(self, ref: Reference) -> list[Intent]:
        """What a purge of this plan began to do to it, in order."""
        return self._issued.get(ref.key, [])

    def erasing(self, key: str) -> bool:
        """Whether the call that deletes it was begun, and not refused."""
        return any(one.last for one in self._issued.get(key, []))

    def in_force(self, ref: Reference) -> dict[str, Step]:
        """Steps of its quarantine that were begun and not undone, by name, with the state before the first of them."""
        return dict(self._rest.get(ref.key, {}))

    def settled(self, ref: Reference, step: str) -> bool:
        """Whether a step of its quarantine is known to have been taken."""
        return (ref.key, step) in self._settled

    def rehearsed(self) -> bool:
        """Whether an undo of this plan's quarantine was seen to restore the exact state."""
        return self._rehearsed

    def touched(self, key: str) -> str:
        """When a quarantine, undo or purge of ours last did something to an object, by the cloud's clock; empty: never.

        A call without a known outcome may have had its effect for SLACK after its intent. What was found by reading
        later moves nothing: what others did meanwhile stays in sight.
        """
        return self._touched.get(key, "")

    def rested(self) -> bool:
        """Whether a quarantine of this plan came to its end, and no other quarantine or undo was begun since."""
        return self._at_rest

    def tainted(self, key: str) -> bool:
        """Whether a purge saw that others used it; only a new quarantine, or a new plan, makes that good."""
        return key in self._tainted

    def spent_today(self) -> Spent:
        """What was begun on this day (UTC), by whatever run and plan of this tenant."""
        return self._days.get(text(self.now())[:10], Spent(set()))

    def spent(self) -> Spent:
        """What was begun in this run."""
        return self._runs.get(self.run, Spent(set()))

    def problems(self, head: str = "") -> list[Problem]:
        """What is wrong with the chain as it is on the disk now; head: a hash that it must hold."""
        try:
            return chain.verify(self.path, expected_head=head).problems
        except NotFound:
            return [] if head in ("", chain.GENESIS) else [Problem("end", f"there is no ledger that holds {head}")]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Alone with the evidence directory: no second run at once. Raises Conflict; a crash gives it back."""
        folder = os.path.dirname(os.path.abspath(self.path))
        os.makedirs(folder, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Conflict(f"Another run works with {folder}", hint="Wait until it has ended.") from error
            yield
        finally:
            os.close(descriptor)

    def _append(self, act: str, ids: dict[str, str], result: dict[str, Any]) -> None:
        entry = chain.Entry(
            self.tenant,
            "",
            act,
            {**ids, "run": self.run},
            {"plan": self.plan},
            evidence.clean(result) if act == "gate" else result,
            text(self.now()),
        )
        for record in chain.append(self.path, [entry]).records:
            self._learn(record)

    def _cloud_time(self, at: str, more: timedelta = timedelta(0)) -> str:
        return text(moment(at) + self._skew + more)

    def _learn(self, record: Mapping[str, Any]) -> None:
        self.last_time = max(self.last_time, str(record["time"]))
        if record["tenant"] != self.tenant:
            return
        act, result = str(record["act"]), record["result"]
        key, run = str(record["ids"].get("object", "")), str(record["ids"].get("run", ""))
        if act == "run_begin":
            self._skew = timedelta(seconds=float(result.get("skew_s", 0)))
        if record["digests"].get("plan") == self.plan and act in ("run_begin", "run_end"):
            if result.get("of") == "quarantine":
                self._at_rest = act == "run_end" and not result.get("stopped")
            elif result.get("of") == "undo":
                self._at_rest = False
        if act == "purge_intent" and result.get("last"):
            for spent in (
                self._days.setdefault(str(record["time"])[:10], Spent(set())),
                self._runs.setdefault(run, Spent(set())),
            ):
                spent.gib += 0.0 if key in spent.objects else float(result.get("size_gib", 0.0))
                spent.objects |= {key, *result.get("takes", [])}
        if record["digests"].get("plan") != self.plan or not key:
            return
        kind, dummy, phase = act.rpartition("_")
        step = str(result.get("step", ""))
        if phase == "intent":
            made = Intent(kind, key, step, run, str(record["time"]), bool(result.get("last")))
            self._open[(kind, key)] = made
            self._touched_before[key] = self._touched.get(key, "")
            self._touched[key] = self._cloud_time(made.time, SLACK)
            if kind == "undo":
                self._settled.discard((key, step))
            if kind == "purge":
                self._issued.setdefault(key, []).append(made)
                self._absent.discard(key)
            elif kind == "quarantine":
                self._settled.discard((key, step))
                # the first state before is the one to go back to
                self._rest.setdefault(key, {}).setdefault(
                    step, Step(name=step, before=result["before"], after=result["after"])
                )
        elif phase == "outcome":
            self._learn_outcome(kind, key, step, str(record["time"]), result)

    def _learn_outcome(self, kind: str, key: str, step: str, at: str, result: Mapping[str, Any]) -> None:
        outcome, sent = str(result.get("outcome")), bool(result.get("sent", True))
        made = self._open.get((kind, key))
        if made is not None and (made.step == step or outcome == "absent"):
            del self._open[(kind, key)]
            if not result.get("read"):
                self._touched[key] = self._cloud_time(at) if sent else self._touched_before.get(key, "")
        if outcome == "absent":
            self._touched[key] = self._cloud_time(at)
        if result.get("guard") == "activity":
            self._tainted.add(key)
        if kind == "purge" and outcome == "absent":
            self._absent.add(key)
        elif kind == "purge":
            self._absent.discard(key)
            issued = self._issued.get(key, [])
            if made is not None and made.step == step and outcome == "failed" and issued:
                # a call that was refused explains nothing; one that was not made did not happen
                issued[-1:] = [replace(made, last=False)] if sent else []
        elif kind == "quarantine" and outcome == "done":
            self._settled.add((key, step))
            self._tainted.discard(key)
        elif kind == "undo" and outcome == "done":
            self._rest.get(key, {}).pop(step, None)
            self._settled.discard((key, step))
            self._rehearsed |= step == "rehearsal"


def new_run(now: datetime) -> str:
    """The name of a run: when it began, and by which process."""
    if now.tzinfo is None:
        raise CloudExitError("A run needs the time with its zone")
    return f"{text(now)}-{os.getpid()}"
