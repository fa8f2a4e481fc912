# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the state, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import state as states
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.server import Server
from tests.unit.plugins.module_utils.acts.variable import variable
from tests.unit.plugins.module_utils.source.fake_openstack import FakeOpenStack
from tests.unit.plugins.modules.clouds import VCENTER, Call, cloud, vcenter

__all__ = ["cloud", "vcenter"]


def test_workload_info(call_module: Call, cloud: FakeOpenStack, vcenter: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def look(workload: object, cloud: object, session: object, **options: Any) -> states.State:
        asked.update(options)
        return states.State("planned", ["stop"], Server("server-1", "{{ 7*7 }}", "ACTIVE"), None, False)

    monkeypatch.setattr(states, "look", look)
    result = call_module("workload_info", {"workload": variable(), "refuse": False, **VCENTER})
    assert asked == {"replace_rolled_back": False, "check": False, "recorded": True}
    assert not result["changed"] and result["todo"] == ["stop"] and result["target"] is None
    assert result["source"]["name"] == "{{ 7*7 }}"


def test_workload_info_sees_whether_the_copy_is_recorded(
    call_module: Call, cloud: FakeOpenStack, vcenter: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    seen: list[Any] = []

    def look(*args: object, **options: Any) -> states.State:
        seen.append(options["recorded"])
        return states.State("started", [], Server("server-1", "x", "SHUTOFF"), None, True)

    monkeypatch.setattr(states, "look", look)
    params = {"workload": variable(), "evidence_dir": str(tmp_path), **VCENTER}
    call_module("workload_info", params)
    (tmp_path / "ledger.jsonl").write_text("")
    call_module("workload_info", params)
    (tmp_path / "workloads").mkdir()
    file = tmp_path / "workloads" / "web-1.json"
    for text in ('{"acts": {"source_fence": {}}}', '{"acts": {"disk_pass": {}}}', "damaged"):
        file.write_text(text)
        call_module("workload_info", params)
    assert seen == [None, False, False, True, True]
