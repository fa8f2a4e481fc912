# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random tenants, random faults, random crashes: what must hold for a decommission holds in all of them.

Nothing outside the plan is deleted; no call without its intent; none with a gate closed, after a stop, against a hold,
of another object or of one that others changed; caps and order hold; nothing is repeated blindly; undo restores the
exact state; when the trouble is over, the next runs complete. `make soak` takes 10,000 tenants, the normal run some
hundreds.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Limits
from tests.unit.plugins.module_utils.acts import retire_model as rm
from tests.unit.plugins.module_utils.acts.test_retire import Desk, left

SAMPLE = 300
SOAK = 10_000


def states(model: rm.Model) -> dict[tuple[str, str], Any]:
    return {key: (thing.uid, *thing.state()) for key, thing in model.things.items()}


def odds(rng: random.Random, *, strangers: bool) -> rm.Odds:
    def some(most: float) -> float:
        return rng.choice([0.0, 0.0, most * rng.random()])

    return rm.Odds(
        fails=some(0.2),
        empty=some(0.1),
        slow=some(0.5),
        jump=some(0.3),
        gate=some(0.05),
        stop=some(0.01),
        hold=some(0.01),
        wrong=some(0.2),
        stranger=some(0.05) if strangers else 0.0,
        reuse=some(0.3) if strangers else 0.0,
    )


def limits(rng: random.Random) -> Limits:
    return Limits(
        canary=rng.choice([1, 1, 2]),
        then_percent=rng.choice([5.0, 20.0]),
        objects_per_run=rng.choice([8, 500]),
        objects_per_day=rng.choice([12, 1000]),
        gib_per_run=rng.choice([120.0, 10240.0]),
        share_percent_per_day=rng.choice([60.0, 100.0]),
    )


def crashing(desk: Desk, act: str, rng: random.Random) -> None:
    """A run that dies somewhere, or not."""
    with contextlib.suppress(rm.Crash):
        desk.run(act, crash=rng.choice([-1, rng.randint(1, 400), rng.randint(1, 60)]))


def to_the_end(desk: Desk, act: str, finished: Callable[[], bool]) -> None:
    """When all trouble is over, a few runs on as many days complete."""
    desk.model.calm()
    desk.model.offset = timedelta(0)
    for dummy in range(40):
        done = desk.run(act)
        if finished() and done.stopped is None and not done.changed:
            return
        desk.model.now += timedelta(days=1)
    raise AssertionError(f"{act} does not complete: {done.stopped}, {left(desk.model)}")


def story(seed: int, folder: Path, patch: pytest.MonkeyPatch) -> str:
    """One tenant's decommission; returns how it ended."""
    rng = random.Random(seed)
    strangers = rng.random() < 0.5
    model = rm.Model(seed)
    rm.plan_of(model, rm.estate(model, rng), limits(rng))
    desk = Desk(model, folder, patch)
    others = {key: thing.uid for key, thing in model.things.items() if key not in model.planned}
    before = states(model)
    model.odds = odds(rng, strangers=strangers)
    if rng.random() < 0.5:
        for dummy in range(rng.randint(1, 3)):
            crashing(desk, rng.choice(["quarantine", "quarantine", "undo"]), rng)
        if not strangers and rng.random() < 0.5:
            to_the_end(desk, "undo", lambda: True)
            assert states(model) == before, f"seed {seed}: undo"
        if not strangers:
            model.calm()
            to_the_end(desk, "quarantine", lambda: True)
        model.odds = odds(rng, strangers=strangers)
    for dummy in range(rng.randint(1, 4)):
        crashing(desk, "purge", rng)
        assert model.violations == [], f"seed {seed}: {model.violations}"
    if not strangers:
        to_the_end(desk, "purge", lambda: left(model) == [])
    assert model.violations == [], f"seed {seed}: {model.violations}"
    gone = {uid for dummy, dummy_name, uid in model.deleted} - model.strangers_deleted
    assert gone <= set(model.planned.values()), f"seed {seed}: something else is gone"
    for key, uid in others.items():
        assert uid in model.strangers_deleted or model.things[key].uid == uid, f"seed {seed}: {key}"
    return "strangers" if strangers else "complete"


@pytest.mark.parametrize("block", range(6))
def test_random_tenants(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = SAMPLE // 6
    ends = [story(seed, tmp_path, monkeypatch) for seed in range(block * size, (block + 1) * size)]
    assert {"strangers", "complete"} <= set(ends)


@pytest.mark.soak
@pytest.mark.parametrize("block", range(40))
def test_ten_thousand_random_tenants(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = SOAK // 40
    for seed in range(SAMPLE + block * size, SAMPLE + (block + 1) * size):
        story(seed, tmp_path, monkeypatch)
