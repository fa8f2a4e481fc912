# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ledger_record: check, apply, check again, apply again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    stopped = {"changed": True, "server_id": "s-1"}
    return {
        "path": str(tmp_path / "evidence" / "ledger.jsonl"),
        "tenant": "acme",
        "workload": "web-1",
        "acts": [{"name": "source_stop", "result": stopped}, {"name": "disk_clone", "result": {"skipped": True}}],
    }


def test_check_then_apply(call_module: Any, params: dict[str, Any]) -> None:
    told = call_module("ledger_record", params, check=True, diff=True)
    assert told["changed"]
    assert told["records"] == [{"act": "source_stop", "hash": "", "seq": 0}]
    assert '"server_id":"s-1"' in told["diff"]["after"]
    assert not Path(params["path"]).exists()

    done = call_module("ledger_record", params, diff=True)
    assert done["changed"]
    assert done["diff"]["after"] == told["diff"]["after"]
    found = chain.verify(params["path"])
    assert (found.problems, found.head) == ([], done["records"][0]["hash"])


def test_acts_without_a_change_leave_everything_as_it_is(call_module: Any, params: dict[str, Any]) -> None:
    call_module("ledger_record", params)
    before = Path(params["path"]).read_bytes()
    params["acts"] = [{"name": "source_stop", "changed": False, "result": {"changed": True}}]
    for check in (True, False):
        done = call_module("ledger_record", params, check=check, diff=True)
        assert not done["changed"]
        assert "diff" not in done
    assert Path(params["path"]).read_bytes() == before


def test_a_torn_record_is_told(call_module: Any, params: dict[str, Any]) -> None:
    call_module("ledger_record", params)
    with open(params["path"], "ab") as stream:
        stream.write(b'{"act":')
    assert Path(call_module("ledger_record", params)["torn"]).read_bytes() == b'{"act":'


def test_a_ledger_that_cannot_be_written(call_module: Any, params: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "evidence").write_text("a file where the folder should be")
    done = call_module("ledger_record", params)
    assert done["failed"]
    assert str(tmp_path / "evidence") in done["msg"]
