# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that stops a decommission, one small function each. There is no way around one.

A guard looks at a Scene and returns None, or raises Tripped. `GUARDS` holds all of them with the moments at which they
are asked; whatever a guard needs and was not read (None) trips it.

    run         before anything is read or changed
    boundary    at the start, after the canary, after the next few, and between stages
    reading     whenever an object of the plan was read
    missing     when an object of the plan was not there
    rest        before a step of a quarantine
    turn        before a call of a purge; of the object and of all that vanishes with it
    ask         before the cloud is asked anything
    call        the last thing before a call that changes something
    undo        before a step of a quarantine is taken back
    restored    when all steps of an object were taken back
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NoReturn, Protocol

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import journal as ledger
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Problem, Refused
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import (
    STAGES,
    Item,
    Retirement,
    Step,
    Who,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import retirement as facts

SKEW = timedelta(minutes=5)
"""How far our clock and the cloud's, or our clock and the ledger's, may be apart."""

Moment = Literal["run", "boundary", "reading", "missing", "rest", "turn", "ask", "call", "undo", "restored"]


class Gate(Protocol):
    """A gate as planning.gates judges it."""

    @property
    def name(self) -> str: ...

    @property
    def open(self) -> bool: ...

    @property
    def why(self) -> str: ...

    @property
    def evidence(self) -> Mapping[str, Any]: ...


class Tripped(Refused):
    """A guard stopped the run. guard: its name. object: `kind/id` of what it is about, empty for the run."""

    def __init__(self, guard: str, key: str, cause: str, hint: str) -> None:
        what = f"{key}: {guard} stopped the run" if key else f"{guard} stopped the run"
        super().__init__(what, cause=cause, hint=hint)
        self.guard, self.object = guard, key


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What guards look at. What does not belong to the moment, or could not be read, is None."""

    plan: Retirement
    index: Mapping[str, Item]
    """Items of the plan by key, in its order."""
    journal: ledger.Journal
    who: Who | None = None
    problems: Sequence[Problem] | None = None
    """What is wrong with the ledger."""
    cloud_now: datetime | None = None
    gates: Sequence[Gate] | None = None
    stop: str | None = None
    """Why to stop; empty when nobody said so."""
    act: str = ""
    step: str = ""
    fresh: bool = False
    """Whether the object was read and judged after the last call."""
    item: Item | None = None
    obj: Any = None
    by: Item | None = None
    """The item whose delete takes `item` along, when it is not its own turn."""
    rested: Mapping[str, Step] | None = None
    """Steps of its quarantine that are in force, by the ledger."""
    now_steps: Mapping[str, Step] | None = None
    """The same as the cloud shows them now: `before` is what is there."""
    held: Collection[str] | None = None
    activity: Sequence[str] | None = None
    closure: Collection[str] | None = None
    """Keys of all that would vanish with it, asked now."""

    @property
    def key(self) -> str:
        return self.item.ref.key if self.item is not None else ""

    @property
    def touched(self) -> bool:
        """Whether a purge of this plan already took something of it away."""
        return self.item is not None and bool(self.journal.issued(self.item.ref))


NEW_PLAN = "Find out why; then make a new plan and have it signed."


def ours(scene: Scene) -> None:
    """tenant: the credential is for exactly the cloud, region and project of the plan."""
    tenant, who = scene.plan.tenant, scene.who
    wanted = (tenant.cloud, tenant.region, tenant.project_id)
    if who is None or (who.cloud, who.region, who.project_id) != wanted or not all(wanted):
        got = "nothing" if who is None else f"{who.cloud}, {who.region}, {who.project_id}"
        trip("tenant", scene, f"the credential is for {got}; the plan for {', '.join(wanted)}", "Use its credential.")


def one_project(scene: Scene) -> None:
    """scope: the credential reaches one project and no domain."""
    who = scene.who
    if who is None or who.scope != "project" or who.domain_admin:
        trip(
            "scope",
            scene,
            "the credential could do more than this one project needs, or it cannot be ruled out",
            "Make a user with the documented role in this project alone.",
        )


def another_person(scene: Scene) -> None:
    """planner: whoever made the plan does not carry it out."""
    if scene.who is None or not scene.who.user_id or scene.who.user_id == scene.plan.made.user_id:
        trip("planner", scene, "the credential is the one that made the plan", "Use the credential of the purge.")


def sound_ledger(scene: Scene) -> None:
    """ledger: the chain is sound and holds the record that was its last when the plan was made."""
    if scene.problems is None or scene.problems:
        cause = "; ".join(str(problem) for problem in list(scene.problems or [])[:3]) or "it could not be read"
        trip("ledger", scene, cause, "Keep it as it is; verify_ledger says what is wrong.")


def not_expired(scene: Scene) -> None:
    """expired: the plan is still valid."""
    if scene.journal.now() >= ledger.moment(scene.plan.expires):
        trip("expired", scene, f"the plan was valid until {scene.plan.expires}", NEW_PLAN)


def clocks_agree(scene: Scene) -> None:
    """skew: our clock and the cloud's agree."""
    if scene.cloud_now is None or abs(scene.cloud_now - scene.journal.now()) > SKEW:
        told = "not told" if scene.cloud_now is None else ledger.text(scene.cloud_now)
        trip("skew", scene, f"it is {ledger.text(scene.journal.now())} here, {told} at the cloud", "Set the clock.")


def time_goes_on(scene: Scene) -> None:
    """time: our clock is not behind the ledger; what counts by the day counts by its records."""
    last = scene.journal.last_time
    if last and scene.journal.now() < ledger.moment(last) - SKEW:
        trip("time", scene, f"the last record is of {last}, later than now", "Set the clock.")


def gates_open(scene: Scene) -> None:
    """gates: all gates were judged now, and all are open."""
    if not scene.gates:
        trip("gates", scene, "no gate could be judged", "A gate that cannot be read is closed.")
    closed = [f"{gate.name} ({gate.why})" for gate in scene.gates if gate.open is not True]
    if closed:
        trip("gates", scene, f"closed: {', '.join(closed)}", "An exception is a new plan with a waiver.")


def same_object(scene: Scene) -> None:
    """same_object: what has this id is what the plan is about, and not another that got its id."""
    item, obj = _item(scene)
    made = facts.created(item.ref.kind, obj)
    name = facts.name(item.ref.kind, obj)
    if str(getattr(obj, "id", "")) != item.ref.id or made != item.ref.created:
        trip("same_object", scene, f"made {made or 'at an unknown time'}, planned {item.ref.created}", NEW_PLAN)
    if not made and name not in _names(item, scene.rested or {}):
        trip("same_object", scene, f"it is called {name} and its service does not say when it was made", NEW_PLAN)


def same_project(scene: Scene) -> None:
    """project: where an object says whose it is, it is the plan's project."""
    item, obj = _item(scene)
    more = getattr(obj, "properties", None) or {}
    owners = [getattr(obj, "project_id", ""), getattr(obj, "owner", "")]
    owners += [more.get(key, "") for key in ("project_id", "tenant_id")] if isinstance(more, Mapping) else []
    others = sorted({str(owner) for owner in owners if owner} - {item.ref.project})
    if others:
        trip("project", scene, f"it belongs to {', '.join(others)}", NEW_PLAN)


def same_facts(scene: Scene) -> None:
    """seen: name, size, attachments and all else are as planned, but for what our own recorded acts made of them."""
    item, obj = _item(scene)
    now = facts.seen(item.ref.kind, obj)
    gone = {key.partition("/")[2] for key in scene.journal.gone}
    before = _rested(item.seen, now, scene.rested or {})
    found = facts.unlike(before, now, gone)
    if found and scene.touched and less(before, now):
        return
    if found:
        trip("seen", scene, "; ".join(found), NEW_PLAN)


def not_held(scene: Scene) -> None:
    """hold: nobody holds it, or anything that vanishes with it."""
    item, dummy = _item(scene)
    held = sorted({item.ref.key, *item.takes} & set(scene.held)) if scene.held is not None else []
    if scene.held is None or held:
        trip("hold", scene, f"held: {', '.join(held)}" if held else "holds cannot be read", "Ask who holds it.")


def still_at_rest(scene: Scene) -> None:
    """quarantine: its quarantine is as we made it; nobody took a part of it back."""
    item, dummy = _item(scene)
    if scene.rested is None or scene.now_steps is None:
        trip("quarantine", scene, "its state cannot be read", NEW_PLAN)
    if scene.touched:
        return
    for name, step in scene.rested.items():
        if not scene.journal.settled(item.ref, name):
            continue
        if name in scene.now_steps and scene.now_steps[name].before != step.after:
            trip(
                "quarantine", scene, f"{name} was undone by somebody", "Find out who uses it, and undo the quarantine."
            )


def nothing_happened(scene: Scene) -> None:
    """activity: nobody wrote to it, started it, attached it or logged in since the quarantine."""
    if scene.item is not None and scene.item.works:
        return  # a reader host: what moved is read through it on the day
    if scene.activity is None or scene.activity or scene.journal.tainted(scene.key):
        cause = "; ".join(scene.activity or []) or "it cannot be read, or an earlier run saw something"
        trip("activity", scene, cause, "Somebody may use it. Undo the quarantine and ask.")


def nothing_else_goes(scene: Scene) -> None:
    """closure: its delete takes along only what the plan says, all of which is in the plan too."""
    item, dummy = _item(scene)
    if scene.closure is None:
        trip("closure", scene, "what would go with it cannot be read", NEW_PLAN)
    more = sorted(set(scene.closure) - {item.ref.key, *item.takes} - scene.journal.gone)
    if more or any(key not in scene.index for key in item.takes):
        trip("closure", scene, f"it would take along {', '.join(more) or 'what is not in the plan'}", NEW_PLAN)


def in_order(scene: Scene) -> None:
    """order: everything that has its turn before it is absent."""
    item, dummy = _item(scene)
    turn = STAGES.index(item.stage)
    gone, before = scene.journal.gone, set(STAGES[:turn])
    early = [key for key in item.after if key not in gone]
    early += [key for key, one in scene.index.items() if one.stage in before and key not in gone]
    if early:
        trip("order", scene, f"still there: {', '.join(early[:5])}", "Run again; the order is the plan's.")


def keys_alone(scene: Scene) -> None:
    """keys: a key is destroyed in a run of its own."""
    item, dummy = _item(scene)
    others = [
        key for key in scene.journal.spent().objects if key not in scene.index or scene.index[key].stage != "keys"
    ]
    if item.stage == "keys" and others:
        trip("keys", scene, "this run has deleted other things", "Run the purge again: keys have a run of their own.")


def cap_run(scene: Scene) -> None:
    """cap_run: no more objects in one run than the plan allows."""
    _cap(scene, "cap_run", scene.journal.spent().objects, scene.plan.limits.objects_per_run, "run")


def cap_day(scene: Scene) -> None:
    """cap_day: no more objects of the tenant on one day (UTC), by whatever plan."""
    _cap(scene, "cap_day", scene.journal.spent_today().objects, scene.plan.limits.objects_per_day, "day")


def cap_share(scene: Scene) -> None:
    """cap_share: no greater share of the tenant's objects on one day (UTC)."""
    all_of_it = len(scene.plan.items) + sum(1 for kept in scene.plan.kept if kept.reason != "not_an_object")
    most = math.floor(all_of_it * scene.plan.limits.share_percent_per_day / 100)
    _cap(scene, "cap_share", scene.journal.spent_today().objects, most, "day")


def cap_bytes(scene: Scene) -> None:
    """cap_bytes: no more GiB in one run than the plan allows."""
    item, dummy = _item(scene)
    spent = scene.journal.spent()
    more = 0.0 if item.ref.key in spent.objects else weight(scene.index, item)
    if spent.gib + more > scene.plan.limits.gib_per_run:
        trip("cap_bytes", scene, f"{spent.gib} GiB went in this run; {more} more are too many", "Run again later.")


def vanished(scene: Scene) -> None:
    """vanished: what is not there was deleted by us, itself or with what takes it along. Empty is not absent."""
    item, dummy = _item(scene, there=False)
    takers = [key for key, one in scene.index.items() if item.ref.key in one.takes]
    if not any(scene.journal.erasing(key) for key in [item.ref.key, *takers]):
        trip("vanished", scene, "it is not there, and no act of ours explains it", NEW_PLAN)


def listed(scene: Scene) -> None:
    """listed: the object of a call is an item of the plan, in every part."""
    item, dummy = _item(scene, there=False)
    if scene.index.get(item.ref.key) != item:
        trip("listed", scene, "it is not in the plan", "This is a fault of the program: report it.")


def nobody_stops(scene: Scene) -> None:
    """stop: nobody has said stop, and it could be asked."""
    if scene.stop is None or scene.stop:
        trip("stop", scene, scene.stop or "the stop switch cannot be read", "Take it away when the reason is gone.")


def intended(scene: Scene) -> None:
    """intent: the intent of exactly this call is in the ledger."""
    if scene.item is None or not scene.journal.is_open(scene.act, scene.item.ref, scene.step):
        trip("intent", scene, f"the intent of {scene.step} is not recorded", "See whether the ledger can be written.")


def just_read(scene: Scene) -> None:
    """fresh: it was read and judged since the last call; nothing is repeated blindly."""
    if not scene.fresh:
        trip("fresh", scene, "it was not read since the last call", "This is a fault of the program: report it.")


def nobody_elses(scene: Scene) -> None:
    """theirs: what is undone is what we did; what somebody set after us is not overwritten."""
    for name, step in (scene.rested or {}).items():
        now = (scene.now_steps or {}).get(name)
        if scene.now_steps is None or (now is not None and now.before not in (step.before, step.after)):
            trip("theirs", scene, f"{name} was changed by somebody after the quarantine", "Put it right by hand.")


def exactly_back(scene: Scene) -> None:
    """restored: after an undo everything is exactly as before the quarantine."""
    item, obj = _item(scene)
    now = scene.now_steps or {}
    other = [
        f"{name} is not as it was"
        for name, step in (scene.rested or {}).items()
        if name not in now or now[name].before != step.before
    ]
    other += facts.unlike(item.seen, facts.seen(item.ref.kind, obj))
    if other:
        trip("restored", scene, "; ".join(other), "Put it right by hand; the ledger has the state before.")


@dataclass(frozen=True)
class Guard:
    """A guard, and when it is asked."""

    check: Callable[[Scene], None]
    moments: frozenset[str]

    @property
    def name(self) -> str:
        return self.about.partition(":")[0]

    @property
    def about(self) -> str:
        return str(self.check.__doc__)


def _guard(check: Callable[[Scene], None], *moments: Moment) -> Guard:
    return Guard(check, frozenset(moments))


GUARDS: tuple[Guard, ...] = (
    _guard(ours, "run"),
    _guard(one_project, "run"),
    _guard(another_person, "run"),
    _guard(sound_ledger, "run"),
    _guard(not_expired, "boundary", "rest", "turn"),
    _guard(clocks_agree, "run", "boundary"),
    _guard(gates_open, "boundary"),
    _guard(same_object, "reading"),
    _guard(same_project, "rest", "turn"),
    _guard(same_facts, "rest", "turn"),
    _guard(not_held, "rest", "turn"),
    _guard(still_at_rest, "rest", "turn"),
    _guard(nothing_happened, "turn"),
    _guard(nothing_else_goes, "turn"),
    _guard(in_order, "turn"),
    _guard(keys_alone, "turn"),
    _guard(cap_run, "turn"),
    _guard(cap_day, "turn"),
    _guard(cap_share, "turn"),
    _guard(cap_bytes, "turn"),
    _guard(vanished, "missing"),
    _guard(time_goes_on, "run", "call"),
    _guard(listed, "call"),
    _guard(nobody_stops, "ask", "call"),
    _guard(intended, "call"),
    _guard(just_read, "call"),
    _guard(nobody_elses, "undo"),
    _guard(exactly_back, "restored"),
)

_OF_THE_TURN = frozenset({"in_order", "keys_alone", "cap_run", "cap_day", "cap_share", "cap_bytes"})


def check(moment: Moment, scene: Scene) -> None:
    """Ask all guards of a moment. Raises Tripped by the first that stops."""
    for guard in GUARDS:
        # what goes along with another has its turn, and counts, with that one
        if moment in guard.moments and not (scene.by is not None and guard.check.__name__ in _OF_THE_TURN):
            guard.check(scene)


def trip(guard: str, scene: Scene, cause: str, hint: str) -> NoReturn:
    raise Tripped(guard, scene.key, cause, hint)


def weight(index: Mapping[str, Item], item: Item) -> float:
    """GiB that go with an item, what it takes along included."""
    along = [index[key] for key in item.takes if key in index]
    return round(sum(one.ref.size_gib for one in [item, *along]), 6)


def less(before: Any, now: Any) -> bool:
    """Whether `now` is `before` with some of it taken away: nothing new, nothing other."""
    if before == now or now in (None, "", [], {}, False):
        return True
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        return all(key in before and less(before[key], value) for key, value in now.items())
    if isinstance(before, list) and isinstance(now, list):
        return all(any(less(old, new) for old in before) for new in now) and len(now) <= len(before)
    numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (before, now))
    return numbers and now <= before


def _item(scene: Scene, *, there: bool = True) -> tuple[Item, Any]:
    if scene.item is None or (there and scene.obj is None):
        trip("reading", scene, "the object was not read", "This is a fault of the program: report it.")
    return scene.item, scene.obj


def _names(item: Item, rested: Mapping[str, Step]) -> set[str]:
    return {item.name} | ({str(rested["rename"].after)} if "rename" in rested else set())


def _rested(seen: Mapping[str, Any], now: Mapping[str, Any], rested: Mapping[str, Step]) -> dict[str, Any]:
    """The facts of the plan as our quarantine has changed them: only what the ledger says, from exactly to exactly."""
    made = dict(seen)
    if "disassociate" in rested and "leads_to" not in now:
        made.pop("leads_to", None)
    for step in rested.values():
        pairs = _pairs(step.before, step.after)
        # what is empty is not in the facts
        made = {key: _follow(made.get(key, ""), now.get(key), pairs) for key in {*made, *now}}
    return {key: value for key, value in made.items() if value not in ("", None)}


def _pairs(before: Any, after: Any) -> list[tuple[Any, Any]]:
    """What a step changes, value by value. A switch counts only where it was switched off."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return [pair for key in before if key in after for pair in _pairs(before[key], after[key])]
    on = before is False or after is True
    return [] if on or before == after else [(before, after)]


def _follow(value: Any, now: Any, pairs: Sequence[tuple[Any, Any]]) -> Any:
    """A planned value with each change of a step that is there now."""
    if any(type(value) is type(old) and value == old and (now or None) == (new or None) for old, new in pairs):
        return now
    if isinstance(value, Mapping) and isinstance(now, Mapping):
        return {key: _follow(entry, now.get(key), pairs) for key, entry in value.items()}
    if isinstance(value, list) and isinstance(now, list) and len(value) == len(now):
        return [_follow(old, new, pairs) for old, new in zip(value, now, strict=True)]
    return value


def _cap(scene: Scene, name: str, spent: Collection[str], most: int, span: str) -> None:
    item, dummy = _item(scene)
    would = set(spent) | {item.ref.key, *item.takes}
    if item.ref.key not in spent and len(would) > most:
        trip(
            name, scene, f"{len(spent)} of at most {most} objects went in this {span}", f"Run again in another {span}."
        )
