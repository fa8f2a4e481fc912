# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clones present and absent: check, do, check again, do again."""

from __future__ import annotations

from tests.unit.plugins.module_utils.acts.variable import variable
from tests.unit.plugins.module_utils.source.fake_openstack import FakeOpenStack
from tests.unit.plugins.modules.clouds import Call, cloud, cycle

__all__ = ["cloud"]


def test_disk_clone(call_module: Call, cloud: FakeOpenStack) -> None:
    refused = call_module("disk_clone", {"workload": variable()})
    assert refused["failed"] and "a cold copy wants it off" in refused["msg"] and not cloud.ours()
    cloud.servers["server-1"]["status"] = "SHUTOFF"
    cloud.tick += 10
    would, did, _again, last = cycle(call_module, cloud, "disk_clone")
    assert would["steps"] == ["snapshot volume volume-a", "snapshot volume volume-b"] and would["clones"] == []
    assert [clone["fresh"] for clone in did["clones"]] == [True, True]
    assert did["steps"][-1] == f"hand out clone {did['clones'][0]['clone']}"
    assert [clone["fresh"] for clone in last["clones"]] == [False, True], "the boot clone was handed out"
    renewed = call_module("disk_clone", {"workload": variable(), "renew": [last["clones"][0]["clone"]]})
    assert renewed["clones"][0]["fresh"] and renewed["clones"][0]["clone"] != last["clones"][0]["clone"]
    cycle(call_module, cloud, "disk_clone", state="absent")
    assert cloud.ours() == []


def test_a_clone_that_is_not_adapted_is_not_handed_out(call_module: Call, cloud: FakeOpenStack) -> None:
    cloud.servers["server-1"]["status"] = "SHUTOFF"
    cloud.tick += 10
    result = call_module("disk_clone", {"workload": variable(guest={"adapt": "none"})})
    assert not any(step.startswith("hand out") for step in result["steps"])
