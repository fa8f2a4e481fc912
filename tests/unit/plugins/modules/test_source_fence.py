# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fence and unfence: check, do, check again, do again."""

from __future__ import annotations

from tests.unit.plugins.module_utils.acts.variable import variable
from tests.unit.plugins.module_utils.source.fake_openstack import FakeOpenStack
from tests.unit.plugins.modules.clouds import Call, cloud, cycle

__all__ = ["cloud"]


def test_source_fence(call_module: Call, cloud: FakeOpenStack) -> None:
    call_module("source_server", {"workload": variable(), "state": "stopped"})
    would, did, _again, last = cycle(call_module, cloud, "source_fence")
    assert would["diff"]["after"] == "fence: ours\n" and did["fenced"] and last["fenced"]
    _would, did, _again, _last = cycle(call_module, cloud, "source_fence", state="absent")
    assert not did["fenced"] and not cloud.servers["server-1"]["locked"]
