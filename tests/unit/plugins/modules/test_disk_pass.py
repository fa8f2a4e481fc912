# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pass tells in check mode, and what it refuses before a job is started."""

from __future__ import annotations

from typing import Any

from tests.unit.plugins.module_utils.acts.variable import variable
from tests.unit.plugins.modules.clouds import VCENTER, Call


def test_disk_pass_tells_the_machine_in_check_mode(call_module: Call) -> None:
    result = call_module("disk_pass", {"workload": variable(), **VCENTER}, check=True, diff=True)
    assert result["changed"] and result["diff"]["before"] == ""
    assert "name: web-1\n" in result["diff"]["after"] and "mac: fa:16:3e:00:00:01" in result["diff"]["after"]


def test_disk_pass_refuses_clones_of_something_else(call_module: Call, tmp_path: Any) -> None:
    clones = [{"volume": "other", "clone": "c", "serials": ["s"], "size": 1}]
    params = {"workload": variable(), "clones": clones, "state_dir": str(tmp_path / "state"), **VCENTER}
    result = call_module("disk_pass", params)
    assert result["failed"] and "not the clones of the workload's disks" in result["msg"]
    clones = [{"volume": v, "clone": v, "serials": ["no-such-serial"], "size": 1} for v in ("volume-a", "volume-b")]
    result = call_module("disk_pass", {**params, "clones": clones, "device_timeout": 0.01})
    assert result["failed"] and "shows no device for clone volume-a of disk 1 of web-1" in result["msg"]
    assert result["retryable"]
