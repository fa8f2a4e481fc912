# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a pass is, and whether the reader host is ready."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from tests.unit.plugins.module_utils.acts.variable import variable
from tests.unit.plugins.modules.clouds import VCENTER, Call


def test_disk_pass_info_without_a_job(call_module: Call, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    params = {"workload": variable(), "state_dir": str(tmp_path / "state")}
    result = call_module("disk_pass_info", params)
    assert result["finished"] and result["status"]["dead"] and "result" not in result
    assert "failed" not in call_module("disk_pass_info", {**params, "ready": True})
    assert "not a workload" in call_module("disk_pass_info", {**params, "workload": {}})["msg"]
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pyVmomi" else find(name))
    result = call_module("disk_pass_info", {**params, "ready": True})
    assert result["failed"] and "lacks 'pyvmomi>=9,<10'" in result["msg"]
    assert call_module("disk_pass", {**params, "state": "absent", **VCENTER})["changed"] is False
