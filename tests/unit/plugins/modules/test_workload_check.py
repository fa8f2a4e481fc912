# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks as a module."""

from __future__ import annotations

from tests.unit.plugins.module_utils.acts.variable import variable
from tests.unit.plugins.modules.clouds import Call


def test_workload_check(call_module: Call) -> None:
    assert call_module("workload_check", {"workload": variable()})["checks"] == []
    check = {"type": "tcp", "host": "127.0.0.1", "port": 1, "timeout_s": 1}
    failed = call_module("workload_check", {"workload": variable(checks=[check, {**check, "port": 2}])})
    assert failed["failed"] and failed["msg"].startswith("2 of 2 checks of web-1 do not hold:\n  - tcp 127.0.0.1:1: ")
    assert [outcome["ok"] for outcome in failed["checks"]] == [False, False]
    own = call_module("workload_check", {"workload": variable(), "checks": [check]})
    assert len(own["checks"]) == 1
    assert call_module("workload_check", {"workload": variable(checks=[check])}, check=True)["checks"] == []
    since = call_module("workload_check", {"workload": variable(), "since": "2026-01-01T00:00:00Z"})
    assert since["boot_seconds"] != 0
