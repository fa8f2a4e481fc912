# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For each guard of a decommission, and for each check inside its engine, a situation that only this one saves.

A scenario plays it and returns what went wrong, as the model saw it. With everything in place that is nothing; with the
guard taken out it must be something. tests/tools/guards.py prints this as a table, and writes it into the docs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import retire
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import retire_guards as guards
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import journal as ledger
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as es
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Item, Limits
from tests.unit.plugins.module_utils.acts import retire_model as rm
from tests.unit.plugins.module_utils.acts.test_retire import Desk

Out = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Scenario:
    """name: of the guard (its function) or of the check. about: what it says. out: how it is taken out."""

    name: str
    about: str
    out: Out
    play: Callable[[Desk], list[str]]

    @property
    def held_by(self) -> str:
        return self.play.__name__


def _without(name: str) -> Out:
    def out(patch: pytest.MonkeyPatch) -> None:
        left = tuple(one for one in guards.GUARDS if one.check.__name__ != name)
        assert len(left) == len(guards.GUARDS) - 1
        patch.setattr(guards, "GUARDS", left)

    return out


SCENARIOS: list[Scenario] = []


def guard(name: str) -> Callable[[Callable[[Desk], list[str]]], Callable[[Desk], list[str]]]:
    """The scenario of a guard."""

    def added(play: Callable[[Desk], list[str]]) -> Callable[[Desk], list[str]]:
        about = next(one.about for one in guards.GUARDS if one.check.__name__ == name)
        SCENARIOS.append(Scenario(name, about, _without(name), play))
        return play

    return added


def engine(name: str, about: str, out: Out) -> Callable[[Callable[[Desk], list[str]]], Callable[[Desk], list[str]]]:
    """The scenario of a check inside the engine."""

    def added(play: Callable[[Desk], list[str]]) -> Callable[[Desk], list[str]]:
        SCENARIOS.append(Scenario(name, about, out, play))
        return play

    return added


def purge(desk: Desk) -> list[str]:
    desk.run("purge")
    return desk.model.violations


def engine_of(desk: Desk) -> retire._Purge:
    """The engine itself, admitted and behind its gates, for a caller that does what no caller should."""
    model = desk.model
    model.reboot()
    model.purging = True
    assert model.plan is not None
    made = retire._Purge(
        model,
        model.plan,
        desk.journal(),
        "purge",
        model.gates,
        model.stop,
        model.holds,
        model.closure,
        None,
        model.sleep,
    )
    made.at_run()
    made.at_boundary()
    return made


def meddled(desk: Desk, kind: str, name: str, what: str = "write") -> rm.Thing:
    thing = desk.model.things[(kind, name)]
    thing.changed.add(what)
    return thing


# guards


@guard("ours")
def a_credential_of_another_project(desk: Desk) -> list[str]:
    desk.model.user = replace(desk.model.user, project_id="p-2")
    return purge(desk)


@guard("one_project")
def a_credential_of_a_domain_administrator(desk: Desk) -> list[str]:
    desk.model.user = replace(desk.model.user, domain_admin=True)
    return purge(desk)


@guard("another_person")
def the_planner_purges(desk: Desk) -> list[str]:
    desk.model.user = replace(desk.model.user, user_id="u-plan")
    return purge(desk)


@guard("sound_ledger")
def a_ledger_that_was_cut(desk: Desk) -> list[str]:
    desk.model.memory.problems = [Problem("end", "records were removed")]
    desk.run("purge")
    return ["deleted behind a broken ledger" for dummy in desk.model.deleted]


@guard("not_expired")
def a_plan_that_has_expired(desk: Desk) -> list[str]:
    desk.model.now += timedelta(days=31)
    return purge(desk)


@guard("clocks_agree")
def a_clock_that_is_two_hours_ahead(desk: Desk) -> list[str]:
    desk.model.offset = timedelta(hours=2)
    desk.run("purge")
    return ["deleted by a wrong clock" for dummy in desk.model.deleted]


@guard("gates_open")
def a_gate_that_is_closed(desk: Desk) -> list[str]:
    desk.model.next_gates = [rm.Gate("approvals", True), rm.Gate("accepted", False, "nobody signed")]
    return purge(desk)


@guard("same_object")
def same_name_other_object(desk: Desk) -> list[str]:
    old = desk.model.things.pop(("servers", "s2"))
    desk.model.add("servers", replace(old.obj, created="2026-03-01T00:00:00Z"))
    return purge(desk)


@guard("same_project")
def a_network_of_another_tenant_in_the_plan(desk: Desk) -> list[str]:
    thing = desk.model.things[("networks", "n1")]
    thing.obj = replace(thing.obj, project_id="p-2")
    rm.plan_of(desk.model, desk.model.planned)
    return purge(desk)


@guard("same_facts")
def a_volume_that_somebody_attached(desk: Desk) -> list[str]:
    thing = meddled(desk, "volumes", "v1", "attach")
    thing.obj = replace(thing.obj, attachments=[*thing.obj.attachments, es.VolumeAttachment("s9")])
    return purge(desk)


@guard("not_held")
def an_object_under_a_hold(desk: Desk) -> list[str]:
    desk.model.next_holds = {"volumes/v1"}
    return purge(desk)


@guard("still_at_rest")
def a_quarantine_that_somebody_took_back(desk: Desk) -> list[str]:
    desk.run("quarantine")
    meddled(desk, "servers", "s1", "unlocked").locked = False
    return purge(desk)


@guard("nothing_happened")
def a_volume_that_somebody_wrote_to(desk: Desk) -> list[str]:
    meddled(desk, "buckets", "b1").events.append((desk.model.now + timedelta(seconds=1), "written to"))
    return purge(desk)


@guard("nothing_else_goes")
def a_new_port_that_would_go_along(desk: Desk) -> list[str]:
    desk.model.add("ports", es.Port("p-new", "", "n9", "fa:9", "s1"), auto=True)
    return purge(desk)


@guard("in_order")
def a_plan_in_another_order(desk: Desk) -> list[str]:
    assert desk.model.plan is not None
    desk.model.plan = replace(desk.model.plan, items=list(reversed(desk.model.plan.items)))
    return purge(desk)


@guard("keys_alone")
def a_key_in_the_run_of_the_volumes(desk: Desk) -> list[str]:
    run = engine_of(desk)
    with contextlib.suppress(CloudExitError):
        for item in run.plan.items:
            run.turn(item)
    return desk.model.violations


def _limited(desk: Desk, limits: Limits) -> list[str]:
    assert desk.model.plan is not None
    desk.model.plan = replace(desk.model.plan, limits=limits)
    return purge(desk)


@guard("cap_run")
def more_objects_than_a_run_may(desk: Desk) -> list[str]:
    return _limited(desk, Limits(objects_per_run=4))


@guard("cap_day")
def more_objects_than_a_day_may(desk: Desk) -> list[str]:
    return _limited(desk, Limits(objects_per_day=4))


@guard("cap_share")
def a_greater_share_than_a_day_may(desk: Desk) -> list[str]:
    return _limited(desk, Limits(share_percent_per_day=40.0))


@guard("cap_bytes")
def more_gib_than_a_run_may(desk: Desk) -> list[str]:
    return _limited(desk, Limits(gib_per_run=50.0))


@guard("vanished")
def an_object_that_others_deleted(desk: Desk) -> list[str]:
    desk.model.vanish(("buckets", "b1"))
    desk.run("purge")
    absent = [one for one in desk.model.memory.records if one["result"].get("outcome") == "absent"]
    return ["taken for ours" for one in absent if one["ids"]["object"] == "buckets/b1"]


@guard("time_goes_on")
def clocks_that_go_back_a_day(desk: Desk) -> list[str]:
    assert desk.model.plan is not None
    desk.model.plan = replace(desk.model.plan, limits=Limits(objects_per_day=4))
    desk.run("purge")
    desk.model.now -= timedelta(days=1)
    desk.run("purge")
    return ["more than a day may" for dummy in desk.model.deleted[4:]]


@guard("listed")
def an_item_that_a_caller_made_itself(desk: Desk) -> list[str]:
    run = engine_of(desk)
    server = run.plan.item("servers/s2")
    assert server is not None
    foreign: Item = replace(server, ref=replace(server.ref, id="s9"))
    with contextlib.suppress(CloudExitError):
        run.turn(foreign)
    return desk.model.violations


@guard("nobody_stops")
def somebody_says_stop(desk: Desk) -> list[str]:
    run = engine_of(desk)
    desk.model.next_stop = "wait"
    with contextlib.suppress(CloudExitError):
        run.turn(run.plan.items[0])
    return desk.model.violations


@guard("intended")
def a_ledger_that_swallows_records(desk: Desk) -> list[str]:
    desk.model.memory.lost = True
    return purge(desk)


@guard("just_read")
def a_call_that_is_made_twice(desk: Desk) -> list[str]:
    run = engine_of(desk)
    item = run.plan.item("buckets/b1")
    assert item is not None
    with contextlib.suppress(CloudExitError):
        run.fresh = item.ref.key
        for dummy in range(2):
            run.call(item, "empty", lambda: desk.model.call(item.ref, "empty"), last=False)
    return desk.model.violations


@guard("nobody_elses")
def a_name_that_somebody_gave_after_the_quarantine(desk: Desk) -> list[str]:
    desk.run("quarantine")
    thing = desk.model.things[("servers", "s1")]
    thing.obj = replace(thing.obj, name="ours again")
    desk.run("undo")
    return [] if desk.model.things[("servers", "s1")].obj.name == "ours again" else ["overwritten"]


@guard("exactly_back")
def an_undo_that_loses_a_tag(desk: Desk) -> list[str]:
    desk.run("quarantine")
    desk.model.careless = True
    done = desk.run("undo")
    return [] if done.stopped is not None else ["told as restored"]


# checks inside the engine


def _set(name: str, value: object, *, where: object = retire._Purge) -> Out:
    return lambda patch: patch.setattr(where, name, value)


@engine("absent twice", "an object is absent when two readings in a row say so", _set("twice", lambda self, item: None))
def one_empty_answer_after_a_crash(desk: Desk) -> list[str]:
    model = desk.model
    model.reboot()
    # no key in it: before a key goes, all is read once more
    item = rm.plan_of(model, set(model.planned) - {("keys", "k1")}).item("buckets/b1")
    assert item is not None
    desk.journal().intent("purge", item.ref, "delete", last=True, size_gib=0, takes=[])
    model.hidden[("buckets", "b1")] = 1
    for dummy in range(3):
        desk.run("purge")
    return ["still there"] if model.get("buckets", "b1") else []


@engine(
    "read back",
    "what was deleted is read once more before the next are touched",
    _set("back", lambda self, group: None),
)
def an_object_that_comes_back(desk: Desk) -> list[str]:
    desk.model.ignored.add(("servers", "s1"))
    desk.model.hidden[("servers", "s1")] = 0
    effect = desk.model.call

    def call(ref: object, step: str, on_progress: object = None) -> object:
        answer = effect(ref, step)
        if step == "delete" and getattr(ref, "id", "") == "s1":
            # for a while all readings are of a copy that is late
            desk.model.hidden[("servers", "s1")] = 2
            desk.model.hidden[("ports", "p1")] = 2
        return answer

    desk.model.call = call
    return purge(desk)


@engine(
    "keys after all", "before a key goes, everything else is read as absent", _set("back", lambda self, group: None)
)
def a_key_whose_volume_is_there_again(desk: Desk) -> list[str]:
    volume = desk.model.things[("volumes", "v1")]
    desk.run("purge")
    desk.model.things[("volumes", "v1")] = volume
    return purge(desk)


@engine(
    "boundaries",
    "gates are judged anew after the canary, after the next few and between stages",
    _set("at_boundary", lambda self: None if self.begun else retire._Run.at_boundary(self)),
)
def a_gate_that_closes_after_the_canary(desk: Desk) -> list[str]:
    model = desk.model
    gates = model.gates
    model.gates = lambda: [rm.Gate("accepted", False)] if model.deleted else gates()
    desk.run("purge")
    return ["went on"] if len({name for kind, name, uid in model.deleted if kind == "servers"}) > 1 else []


@engine("canary", "the first object goes alone", _set("groups", lambda self, batch: [batch]))
def a_gate_that_closes_with_the_first_delete(desk: Desk) -> list[str]:
    return a_gate_that_closes_after_the_canary(desk)


@engine("lock again", "what was unlocked and not deleted is locked again", _set("leave", lambda self: None))
def a_stop_after_an_unlock(desk: Desk) -> list[str]:
    model = desk.model
    desk.run("quarantine")
    stop = model.stop
    model.stop = lambda: "wait" if ("servers", "s1", "unlock") in model.calls else stop()
    desk.run("purge")
    return [] if model.things[("servers", "s1")].locked else ["left unlocked"]


@engine("what goes along", "what vanishes with an object is read and judged too", _set("near", lambda self, item: []))
def a_port_in_use_that_goes_with_its_server(desk: Desk) -> list[str]:
    meddled(desk, "ports", "p1").events.append((desk.model.now + timedelta(seconds=1), "traffic"))
    return purge(desk)


@engine(
    "not forgotten",
    "what others did once stays in sight, whatever we do after it",
    lambda patch: patch.setattr(ledger.Journal, "tainted", lambda self, key: False),
)
def a_write_before_a_lock(desk: Desk) -> list[str]:
    model = desk.model
    desk.run("quarantine")
    effect = model.call

    def call(ref: object, step: str, on_progress: object = None) -> object:
        answer = effect(ref, step)
        if step == "unlock":
            meddled(desk, "servers", "s1").events.append((model.now + timedelta(milliseconds=3), "written to"))
        return answer

    model.call = call
    desk.run("purge")
    model.call = effect
    return purge(desk)


@engine(
    "alone",
    "one run at a time works with an evidence directory",
    lambda patch: patch.setattr(ledger.Journal, "held", lambda self: contextlib.nullcontext()),
)
def a_second_run_within_the_first(desk: Desk) -> list[str]:
    inner: list[bool] = []

    def second(progress: retire.Progress) -> None:
        if not inner:
            inner.append(False)
            with contextlib.suppress(CloudExitError):
                inner.append(desk.run("purge").changed)

    desk.run("purge", on_progress=second)
    return ["two runs at once"] if any(inner) else []


@engine(
    "rehearsal",
    "undo is tried on the first object before the others are put to rest",
    lambda patch: patch.setattr(retire._Quarantine, "rehearse", lambda self, item: None),
)
def an_undo_that_does_not_restore(desk: Desk) -> list[str]:
    desk.model.careless = True
    desk.run("quarantine")
    touched = {(kind, name) for kind, name, step in desk.model.calls}
    return ["more than one object touched"] if len(touched) > 1 else []


def desk_for(folder: Path, patch: pytest.MonkeyPatch) -> Desk:
    """A new desk with the small tenant."""
    model = rm.Model(7)
    rm.small(model)
    return Desk(model, folder, patch)
