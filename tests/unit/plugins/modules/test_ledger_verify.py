# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ledger_verify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain
from tests.sealed import LEDGER, People


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    chain.append(str(path), [chain.Entry("acme", "web-1", f"act-{number}") for number in range(3)])
    return path


def test_a_sound_ledger(call_module: Any, ledger: Path) -> None:
    found = call_module("ledger_verify", {"path": str(ledger)})
    head = chain.read(str(ledger))[-1]["hash"]
    assert found == {"changed": False, "count": 3, "head": head, "heads": 0, "problems": []}


def test_a_changed_ledger_fails_with_all_problems(call_module: Any, ledger: Path) -> None:
    ledger.write_text(ledger.read_text().replace("act-0", "act-9").replace("act-2", "act-8"))
    found = call_module("ledger_verify", {"path": str(ledger)})
    assert found["failed"]
    assert len(found["problems"]) == 2
    assert "line 1: does not match its hash" in found["msg"]
    assert "line 3: does not match its hash" in found["msg"]


def test_a_shortened_ledger_fails_by_a_known_head(call_module: Any, ledger: Path) -> None:
    head = chain.read(str(ledger))[-1]["hash"]
    ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:2]))
    assert not call_module("ledger_verify", {"path": str(ledger)}).get("failed")
    found = call_module("ledger_verify", {"path": str(ledger), "expected_head": head})
    assert found["failed"]
    assert "records were removed" in found["msg"]


def test_no_ledger(call_module: Any, tmp_path: Path) -> None:
    found = call_module("ledger_verify", {"path": str(tmp_path / "none.jsonl")})
    assert found["failed"]
    assert "There is no ledger" in found["msg"]


def test_published_heads_find_a_shortened_ledger(call_module: Any, ledger: Path, tmp_path: Path) -> None:
    people = People(tmp_path)
    given = {"evidence": str(tmp_path), "signing_key": str(people.key(LEDGER)), "signers": str(people.file)}
    call_module("ledger_head", given)
    wanted = {"path": str(ledger), "heads": [str(tmp_path / "heads")], "signers": str(people.file)}
    found = call_module("ledger_verify", wanted)
    assert (found["heads"], found["problems"]) == (1, [])
    ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:2]))
    found = call_module("ledger_verify", wanted)
    assert found["failed"]
    assert "the ledger ends before record 3" in found["msg"]
    assert call_module("ledger_verify", {**wanted, "heads": [str(tmp_path / "none")]})["failed"]
    told = call_module("ledger_verify", {"path": str(ledger), "heads": [str(tmp_path)]})
    assert "signers" in told["msg"]
