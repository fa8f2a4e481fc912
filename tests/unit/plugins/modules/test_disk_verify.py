# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the reading refuses before a job is started; in check mode nothing is read."""

from __future__ import annotations

from pathlib import Path

from tests.unit.plugins.module_utils.acts.variable import variable
from tests.unit.plugins.modules.clouds import Call

CLONES = [{"volume": v, "clone": v, "serials": ["no-such-serial"], "size": 1} for v in ("volume-a", "volume-b")]
PROVEN = [{"volume": v, "manifest_before": "blake3:00"} for v in ("volume-a", "volume-b")]


def test_disk_verify_reads_nothing_in_check_mode(call_module: Call, tmp_path: Path) -> None:
    params = {"workload": variable(), "clones": CLONES, "proven": PROVEN, "state_dir": str(tmp_path / "state")}
    assert call_module("disk_verify", params, check=True) == {"changed": False}
    assert not (tmp_path / "state").exists()


def test_disk_verify_wants_clones_and_a_whole_proof(call_module: Call, tmp_path: Path) -> None:
    params = {"workload": variable(), "clones": CLONES, "proven": PROVEN, "state_dir": str(tmp_path / "state")}
    result = call_module("disk_verify", {**params, "device_timeout": 0.01})
    assert result["failed"] and "shows no device for clone volume-a" in result["msg"]
    result = call_module("disk_verify", {**params, "proven": [{"volume": "volume-a"}]})
    assert result["failed"] and "proven[0].manifest_before" in result["msg"]
