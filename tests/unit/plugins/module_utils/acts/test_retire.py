# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quarantine, undo and purge against a tenant in memory."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import retire
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import retire_guards as guards
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import journal as ledger
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as es
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Limits, Step
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import retirement as facts
from tests.unit.plugins.module_utils.acts import retire_model as rm


class Desk:
    """One place to run the three acts from, as often as needed."""

    def __init__(self, model: rm.Model, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.model, self.path, self.runs = model, str(folder / "ledger.jsonl"), 0
        patch.setattr(ledger, "chain", model.memory)

    def journal(self) -> ledger.Journal:
        self.runs += 1
        return ledger.Journal(self.path, "acme", "sha256:plan", f"run-{self.runs}", clock=self.model.local)

    def run(self, act: str, *, crash: int = -1, **more: Any) -> retire.Result:
        """A new process. crash: after how many operations it dies (raises Crash)."""
        model = self.model
        model.reboot()
        model.crash_at = model.operations + crash if crash > 0 else -1
        model.purging = act == "purge"
        given: dict[str, Any] = {"stop": model.stop, "sleep": model.sleep}
        if act != "undo":
            given |= {"gates": model.gates, "holds": model.holds}
        if act == "purge":
            given |= {"closure": model.closure}
        assert model.plan is not None
        made: retire.Result = getattr(retire, act)(model, model.plan, self.journal(), **(given | more))
        return made


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    model = rm.Model(1)
    rm.plan_of(model, rm.estate(model, random.Random(4)))
    return Desk(model, tmp_path, monkeypatch)


def left(model: rm.Model) -> list[tuple[str, str]]:
    return sorted(key for key in model.planned if key in model.things)


def test_a_list_is_deleted_in_order_and_nothing_else(desk: Desk) -> None:
    kept = {key: thing.uid for key, thing in desk.model.things.items() if key not in desk.model.planned}
    told: list[retire.Progress] = []
    first = desk.run("purge", on_progress=told.append)
    assert first.stopped is None
    second = desk.run("purge")
    assert second.stopped is None
    assert desk.model.violations == []
    assert left(desk.model) == []
    assert {key: thing.uid for key, thing in desk.model.things.items()} == kept
    assert [one.objects for one in told] == list(range(1, len(told) + 1))
    assert told[-1].objects == told[-1].of


def test_a_run_that_has_nothing_to_do_writes_nothing_and_changes_nothing(desk: Desk) -> None:
    for dummy in range(2):
        desk.run("purge")
    records, calls = len(desk.model.memory.records), len(desk.model.calls)
    done = desk.run("purge")
    assert done.stopped is None and not done.changed
    assert (len(desk.model.memory.records), len(desk.model.calls)) == (records, calls)


def test_what_was_deleted_just_before_a_stop_is_read_back_before_the_gates_are_asked(desk: Desk) -> None:
    """For them it would be an object that is gone, and no record says why."""
    model = desk.model

    def gates() -> Any:
        absent = {key for key in model.planned if key not in model.things}
        assert {f"{kind}/{name}" for kind, name in absent} <= desk.journal().gone
        return model.gates()

    done = desk.run("purge", gates=gates, stop=lambda: "stop" if len(left(model)) < len(model.planned) else "")
    assert done.stopped is not None and done.calls
    assert desk.run("purge", gates=gates).stopped is None


def test_what_a_quarantine_changes_is_expected_exactly_and_nothing_else() -> None:
    def rested(seen: dict[str, Any], now: dict[str, Any], *steps: Step) -> list[str]:
        return facts.unlike(guards._rested(seen, now, {step.name: step for step in steps}), now)

    rename = Step(name="rename", before="web", after="gone web")
    off = Step(name="switch_off", before={"o1": True}, after={"o1": False})
    lock = Step(name="lock", before={"locked": False}, after={"locked": True})
    leads = Step(name="disassociate", before={"port_id": "p"}, after={"port_id": None})
    assert rested({"name": "web", "tags": ["web"]}, {"name": "gone web", "tags": ["web"]}, rename) == []
    assert rested({"name": "web"}, {"name": "web"}, rename) == []
    assert rested({"name": "web"}, {"name": "gone web 2"}, rename)
    assert rested({"name": "web"}, {"name": "gone web"})
    policy = {"is": {"scheduled_operations": [{"id": "o1", "enabled": True}]}}
    switched = {"is": {"scheduled_operations": [{"id": "o1", "enabled": False}]}}
    assert rested(policy, switched, off) == []
    assert rested(switched, policy, off, lock)
    assert rested({"name": "n", "shared": False}, {"name": "n", "shared": True}, lock)
    assert rested({"leads_to": [{"port": "p"}]}, {}, leads) == []
    assert rested({"leads_to": [{"port": "p"}]}, {"leads_to": [{"port": "q"}]}, leads)


def test_a_thousand_objects_obey_order_and_caps_and_tell_how_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = rm.Model(1)
    born = "2025-01-01T00:00:00Z"
    for n in range(250):
        where, disk = [es.VolumeAttachment(f"s{n}")], [es.Attachment(f"v{n}")]
        model.add("volumes", es.Volume(f"v{n}", "x", "in-use", 10, created=born, attachments=where))
        model.add("ports", es.Port(f"p{n}", "", "n0", "fa", f"s{n}", "compute:nova", created=born), auto=True)
        model.add("snapshots", es.Snapshot(f"sn{n}", f"v{n}", "x", size_gib=10, created=born))
        model.add("servers", es.Server(f"s{n}", "x", "ACTIVE", created=born, volumes=disk, ports=[f"p{n}"]))
    rm.plan_of(model, set(model.things), Limits(objects_per_run=500, objects_per_day=800))
    desk = Desk(model, tmp_path, monkeypatch)
    told: list[retire.Progress] = []
    ends = []
    for days in (0, 0, 1, 0):
        model.now += timedelta(days=days)
        done = desk.run("purge", on_progress=told.append)
        ends.append(getattr(done.stopped, "guard", ""))
    assert ends == ["cap_run", "cap_day", "", ""]
    assert left(model) == []
    assert model.violations == []
    assert len(told) == len({one.object for one in told}) == 1000
    assert all(one.left_s is not None and one.per_minute > 0 for one in told)


def test_a_quarantine_is_undone_exactly_and_made_again(desk: Desk) -> None:
    model = desk.model
    before = {key: thing.state() for key, thing in model.things.items()}
    assert desk.run("quarantine").stopped is None
    assert {key: thing.state() for key, thing in model.things.items()} != before
    records = len(model.memory.records)
    again = desk.run("quarantine")
    assert again.stopped is None and not again.changed
    assert len(model.memory.records) == records
    assert desk.run("undo").stopped is None
    assert {key: thing.state() for key, thing in model.things.items()} == before
    assert not desk.run("undo").changed
    assert desk.run("quarantine").stopped is None
    for dummy in range(2):
        assert desk.run("purge").stopped is None
    assert left(model) == []
    assert model.violations == []


def test_a_quarantine_that_was_killed_after_its_last_call_is_ended_by_the_next_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends() -> list[str]:
        records = ledger.chain.read(desk.path)
        return [r["act"] for r in records if r["act"] in ("run_begin", "run_end") and r["result"]["of"] == "quarantine"]

    note = ledger.Journal.note

    def killed(self: ledger.Journal, act: str, *args: Any, **result: Any) -> None:
        if act == "run_end":
            raise rm.Crash
        note(self, act, *args, **result)

    monkeypatch.setattr(ledger.Journal, "note", killed)
    with pytest.raises(rm.Crash):
        desk.run("quarantine")
    monkeypatch.setattr(ledger.Journal, "note", note)
    assert ends() == ["run_begin"]
    again = desk.run("quarantine")
    assert again.stopped is None and not again.changed and ends() == ["run_begin", "run_begin", "run_end"]
    desk.run("quarantine")
    assert ends() == ["run_begin", "run_begin", "run_end"], "one that has nothing to do writes nothing"


def test_a_host_that_works_until_its_turn_is_not_put_to_rest_and_may_be_used(desk: Desk) -> None:
    model = desk.model
    assert model.plan is not None
    host = next(item for item in model.plan.items if item.ref.kind == "servers")
    thing = model.things[(host.ref.kind, host.ref.id)]
    plan = model.plan
    for works in (False, True):
        model.plan = replace(plan, items=[replace(item, works=works and item is host) for item in plan.items])
        before = thing.state()
        assert desk.run("quarantine").stopped is None
        assert (thing.state() == before) is works
        if not works:
            assert desk.run("undo").stopped is None
    thing.events.append((model.now + timedelta(seconds=1), "attached"))
    for dummy in range(2):
        assert desk.run("purge").stopped is None
    assert left(model) == [] and model.violations == []


def test_a_plan_of_things_that_have_no_quarantine_can_be_purged(desk: Desk) -> None:
    plan = desk.model.plan
    assert plan is not None
    desk.model.plan = replace(plan, items=[item for item in plan.items if item.ref.kind == plan.items[0].ref.kind])
    desk.model.quarantine_steps = lambda ref, obj: ()
    assert desk.run("quarantine").stopped is None and desk.journal().rested()
    count = len(ledger.chain.read(desk.path))
    assert desk.run("quarantine").stopped is None and len(ledger.chain.read(desk.path)) == count
    desk.run("undo")
    assert desk.journal().rested(), "there was nothing to undo"
