# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop and start: check, do, check again, do again."""

from __future__ import annotations

from tests.unit.plugins.module_utils.acts.variable import variable
from tests.unit.plugins.module_utils.source.fake_openstack import FakeOpenStack
from tests.unit.plugins.modules.clouds import Call, cloud, cycle

__all__ = ["cloud"]


def test_source_server_stops_and_starts(call_module: Call, cloud: FakeOpenStack) -> None:
    would, did, _again, last = cycle(call_module, cloud, "source_server", state="stopped")
    assert would["diff"]["before"] == "status: ACTIVE\n" and would["diff"]["after"] == "status: SHUTOFF\n"
    assert (did["before"], did["status"]) == ("ACTIVE", "SHUTOFF") and did["stopped_at"].endswith("Z")
    assert last["status"] == "SHUTOFF" and "stopped_at" not in last
    _would, did, _again, _last = cycle(call_module, cloud, "source_server", state="started")
    assert did["status"] == "ACTIVE"


def test_source_server_tells_its_errors(call_module: Call, cloud: FakeOpenStack) -> None:
    cloud.slowness = 100_000
    result = call_module("source_server", {"workload": variable(), "state": "stopped", "deadline": 0.05})
    assert result["failed"] and result["error"] == "Timeout" and result["retryable"]
    assert "Shut it down inside the guest" in result["msg"]
    result = call_module("source_server", {"workload": {"host": "x"}, "state": "stopped"})
    assert result["failed"] and "is not a workload of a plan" in result["msg"]
