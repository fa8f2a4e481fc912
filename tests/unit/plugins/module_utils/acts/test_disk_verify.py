# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source read once more: equal to what moved, or every disk that is not is named; nothing is sent anywhere."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import (
    devices,
    disk_pass,
    disk_verify,
    job,
    transfer,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pipeline import hash_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import open_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, InvalidInput
from tests.unit.plugins.module_utils.acts.variable import variable

SIZE = 3 << 20
WORKLOAD = Workload.of(variable())


@pytest.fixture
def clones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found = []
    for name, volume in (("a", "volume-a"), ("b", "volume-b")):
        (tmp_path / name).write_bytes(random.Random(name).randbytes(SIZE))
        found.append({"volume": volume, "clone": f"clone-{name}", "serials": [name], "size": SIZE})
    monkeypatch.setattr(devices, "await_device", lambda serials, size, what, **options: tmp_path / serials[0])
    return found


def nothing(_spool_dir: str) -> transfer.Target:
    raise CloudExitError("nothing is sent")


def verify(tmp_path: Path, clones: list[dict[str, Any]], expected: dict[str, str]) -> dict[str, Any]:
    options = disk_pass.Options(purpose="verify", state_dir=str(tmp_path / "state"), expected=expected)
    _record, status, _started = disk_pass.start(
        WORKLOAD, clones, nothing, options, wait_s=20, runner=disk_verify.Reading
    )
    return status


def roots(tmp_path: Path) -> dict[str, str]:
    return {f"volume-{name}": hash_source(open_source(str(tmp_path / name))).root for name in ("a", "b")}


def test_a_source_that_nobody_touched_is_what_moved(tmp_path: Path, clones: list[dict[str, Any]]) -> None:
    expected = roots(tmp_path)
    status = verify(tmp_path, clones, expected)
    assert status["phase"] == "done", status
    assert {d["volume"]: d["manifest"] for d in status["result"]["disks"]} == expected
    assert status["result"]["bytes"] == 2 * SIZE
    # the pass of the same workload has a record of its own
    other = job.Record(tmp_path / "state", disk_pass.record_id(WORKLOAD.tenant, WORKLOAD.server_id))
    assert other.read() == {}


def test_one_byte_that_was_written_since_is_found(tmp_path: Path, clones: list[dict[str, Any]]) -> None:
    expected = roots(tmp_path)
    with open(tmp_path / "b", "r+b") as disk:
        disk.seek(2 << 20)
        disk.write(b"\x00\x01")
    status = verify(tmp_path, clones, expected)
    assert (status["phase"], status["error"]["type"]) == ("failed", "Conflict")
    assert "volume volume-b" in status["error"]["msg"] and "volume volume-a" not in status["error"]["msg"]


def test_a_disk_that_no_proof_names_is_no_proof(tmp_path: Path, clones: list[dict[str, Any]]) -> None:
    expected = roots(tmp_path)
    status = verify(tmp_path, clones, {"volume-a": expected["volume-a"]})
    assert "volume volume-b: nothing moved" in status["error"]["msg"]


def test_the_proof_must_be_that_of_a_pass() -> None:
    with pytest.raises(InvalidInput, match=r"proven\[1\].manifest_before") as caught:
        disk_verify.expected([{"volume": "v", "manifest_before": "blake3:00"}, {"volume": "w"}])
    assert len(caught.value.problems) == 1
