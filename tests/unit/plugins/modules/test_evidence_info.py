# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""evidence_info: what is proven of a workload, and what a rollback or an edited ledger makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain
from tests.unit.plugins.modules.clouds import Call

DISKS = [{"volume": "v-1", "manifest_before": "blake3:00", "equal": True}]


def record(folder: Path, act: str, **result: Any) -> None:
    chain.append(str(folder / "ledger.jsonl"), [chain.Entry("acme", "web-1", act, result=result)])


def ask(call_module: Call, folder: Path, **more: Any) -> dict[str, Any]:
    return call_module("evidence_info", {"evidence_dir": str(folder), "workload": "web-1", **more})


def test_evidence_info_follows_the_ledger(call_module: Call, tmp_path: Path) -> None:
    nothing = {"changed": False, "disks": [], "todo": [], "escrow": []}
    assert ask(call_module, tmp_path) == nothing
    record(tmp_path, "disk_pass", disks=DISKS)
    assert ask(call_module, tmp_path) == {**nothing, "disks": DISKS, "todo": ["source_verified", "target_verified"]}
    record(tmp_path, "source_verified", disks=[])
    record(tmp_path, "disk_escrow", disks=DISKS)
    assert ask(call_module, tmp_path) == {
        **nothing,
        "disks": DISKS,
        "todo": ["target_verified"],
        "escrow": ["v-1"],
    }
    assert ask(call_module, tmp_path, fresh_hours=0)["todo"] == ["source_verified", "target_verified"]
    # rolled back, a copy proves nothing
    record(tmp_path, "source_unfence")
    assert ask(call_module, tmp_path)["disks"] == []


def test_evidence_info_believes_no_ledger_that_was_edited(call_module: Call, tmp_path: Path) -> None:
    record(tmp_path, "disk_pass", disks=DISKS)
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b"v-1", b"v-2"))
    result = ask(call_module, tmp_path)
    assert result["failed"] and "is not sound" in result["msg"]
