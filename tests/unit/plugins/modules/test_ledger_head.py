# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ledger_head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain
from tests.sealed import LEDGER, People


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    people = People(tmp_path)
    (tmp_path / "evidence").mkdir()
    ledger = tmp_path / "evidence" / "ledger.jsonl"
    chain.append(str(ledger), [chain.Entry("acme", "web-1", "act") for dummy in range(2)])
    return {
        "evidence": str(tmp_path / "evidence"),
        "signing_key": str(people.key(LEDGER)),
        "signers": str(people.file),
        "store": {"place": str(tmp_path / "copy")},
    }


def test_published_once_and_copied(call_module: Any, given: dict[str, Any], tmp_path: Path) -> None:
    would = call_module("ledger_head", given, check=True, diff=True)
    assert would["changed"]
    assert not (tmp_path / "evidence" / "heads").exists()
    assert not (tmp_path / "copy").exists()
    done = call_module("ledger_head", given, diff=True)
    assert done["files"] == would["files"] == [done["path"], f"{done['path']}.sig"]
    heads = ["heads/00000002.json", "heads/00000002.json.sig"]
    assert done["copied"] == would["copied"] == ["ledger.jsonl", *heads]
    assert done["diff"]["after"].splitlines()[0] == done["path"]
    ledger = str(tmp_path / "evidence" / "ledger.jsonl")
    assert (done["seq"], done["head"]) == (2, chain.read(ledger)[-1]["hash"])
    again = call_module("ledger_head", given)
    assert (again["changed"], again["files"], again["copied"]) == (False, [], [])
    chain.append(ledger, [chain.Entry("acme", "web-1", "act")])
    assert call_module("ledger_head", given)["seq"] == 3


def test_what_is_not_sound_is_not_published(call_module: Any, given: dict[str, Any], tmp_path: Path) -> None:
    ledger = tmp_path / "evidence" / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace("web-1", "web-2"))
    told = call_module("ledger_head", given)
    assert told["failed"]
    assert "does not match its hash" in told["msg"]


def test_without_a_store_and_with_one_that_is_none(call_module: Any, given: dict[str, Any], tmp_path: Path) -> None:
    told = call_module("ledger_head", {**given, "store": {"place": "s3:///x", "retain_until": "soon"}})
    assert told["failed"]
    assert "s3://bucket" in told["msg"] and "retain_until" in told["msg"]
    assert not (tmp_path / "evidence" / "heads").exists()
    done = call_module("ledger_head", {**given, "store": None})
    assert (done["changed"], done["copied"]) == (True, [])
