# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quarantine, undo and purge against a tenant in memory."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import retire
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import journal as ledger
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
