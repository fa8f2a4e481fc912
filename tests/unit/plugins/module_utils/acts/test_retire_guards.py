# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each guard of a decommission is needed: with it a scenario ends well, without it something forbidden happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import retire_guards as guards
from tests.tools import guards as tool
from tests.unit.plugins.module_utils.acts.retire_scenarios import SCENARIOS, Scenario, desk_for

NAMES = [f"{one.name.replace(' ', '_')}-{one.held_by}" for one in SCENARIOS]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_nothing_forbidden_happens(scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scenario.play(desk_for(tmp_path, monkeypatch)) == []


@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_it_happens_when_the_guard_is_taken_out(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.out(monkeypatch)
    assert scenario.play(desk_for(tmp_path, monkeypatch)) != []


def test_every_guard_has_a_scenario_and_the_list_is_printed() -> None:
    held = {one.name for one in SCENARIOS}
    assert {guard.check.__name__ for guard in guards.GUARDS} <= held
    print("\n".join(tool.lines()))


def test_the_table_of_the_docs_is_of_today() -> None:
    text = tool.PAGE.read_text(encoding="utf-8")
    assert tool.rewritten(text) == text, "run tests/tools/guards.py"
