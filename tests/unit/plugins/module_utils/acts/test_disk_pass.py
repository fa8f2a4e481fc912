# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job of a pass: started, joined, replaced, its result and manifests; with a target in the job's own process."""

from __future__ import annotations

import base64
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import devices, disk_pass, job
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, InvalidInput
from tests.unit.plugins.module_utils.acts.fake_target import FakeTarget
from tests.unit.plugins.module_utils.acts.variable import variable

SIZE = 1 << 20
WORKLOAD = Workload.of(variable())


class Setting:
    """Two disks as files, and a target that waits for a file before it takes the first byte, if told to."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = tmp_path
        self.options = disk_pass.Options(state_dir=str(tmp_path / "state"))
        self.gate = tmp_path / "go"
        self.seen = tmp_path / "seen"
        self.gated = False
        for name in ("a", "b", "c"):
            (tmp_path / name).write_bytes(random.Random(name).randbytes(SIZE))
        monkeypatch.setattr(devices, "await_device", lambda serials, size, what, **options: tmp_path / serials[0])

    def target(self, _spool_dir: str) -> FakeTarget:
        fake = FakeTarget()

        def call(text: str) -> None:
            with open(self.seen, "a") as stream:
                stream.write(f"{text}\n")
            if self.gated and text.startswith("write "):
                deadline = time.monotonic() + 20
                while not self.gate.exists() and time.monotonic() < deadline:
                    time.sleep(0.01)

        fake.fail = call
        return fake

    def clones(self, *names: str) -> list[dict[str, Any]]:
        return [
            {"volume": volume, "clone": f"clone-{name}", "serials": [name], "size": SIZE, "frozen_at": "2026"}
            for volume, name in zip(("volume-a", "volume-b"), names, strict=True)
        ]

    def start(self, clones: list[dict[str, Any]], wait_s: float = 20) -> tuple[job.Record, dict[str, Any], bool]:
        return disk_pass.start(WORKLOAD, clones, self.target, self.options, wait_s=wait_s)

    def calls(self) -> list[str]:
        return self.seen.read_text().splitlines()


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    return Setting(tmp_path, monkeypatch)


def test_a_pass_is_carried_out_and_its_manifests_come_with_the_result(setting: Setting) -> None:
    record, status, started = setting.start(setting.clones("a", "b"))
    assert started and status["phase"] == "done", status
    told = job.outcome(record, status, manifests=True)
    assert told["finished"] and [disk["equal"] for disk in told["result"]["disks"]] == [True, True]
    assert "result" not in told["status"] and "verified" not in told["status"]
    assert sorted(told["manifests"]) == [f"{side}-{n}.manifest" for side in ("source", "target") for n in (0, 1)]
    content = base64.b64decode(told["manifests"]["target-1.manifest"])
    assert told["result"]["disks"][1]["manifest_target"].encode() in content
    small = job.outcome(record, status, manifests=True, limit=len(content))
    assert list(small["manifests"].values()).count(None) == 3, "what is too large is left to be fetched"


def test_what_the_plan_has_sampled(setting: Setting) -> None:
    data = variable(target={"type": "vcd", "org": "o", "vdc": "v"})
    data["disks"][1] |= {"datastore": None, "verify": "sampled"}
    work = disk_pass.prepare(Workload.of(data), setting.clones("a", "b"), "p", setting.options)
    assert [disk.sampled for disk in work.disks] == [False, True]


def test_a_living_job_of_the_same_clones_is_joined(setting: Setting) -> None:
    setting.gated = True
    _record, status, _started = setting.start(setting.clones("a", "b"), wait_s=0)
    record, joined, started = setting.start(setting.clones("a", "b"), wait_s=0)
    assert not started and joined["pass"] == status["pass"]
    _record, joined, started = setting.start([], wait_s=0)
    assert not started, "without clones too"
    setting.gate.touch()
    assert record.wait(20)["phase"] == "done"
    assert setting.calls().count("open_import") == 1


def test_a_living_job_of_other_clones_is_ended_first(setting: Setting) -> None:
    setting.gated = True
    setting.start(setting.clones("a", "b"), wait_s=0)
    while not any(call.startswith("write") for call in (setting.calls() if setting.seen.exists() else [])):
        time.sleep(0.01)
    setting.gate.touch()
    setting.gated = False
    _record, status, started = setting.start(setting.clones("a", "c"))
    assert started and status["phase"] == "done"
    assert status["pass"] == disk_pass.pass_id(WORKLOAD, setting.clones("a", "c"))


def test_a_killed_job_is_started_again_and_knows_what_it_had_open(setting: Setting) -> None:
    setting.gated = True
    record, status, _started = setting.start(setting.clones("a", "b"), wait_s=0)
    while not record.read().get("lease") or not record.read().get("pid"):
        time.sleep(0.01)
    os.kill(record.read()["pid"], signal.SIGKILL)
    assert record.wait(10)["dead"]
    lease = record.read()["lease"]
    setting.gated = False
    _record, status, started = setting.start(setting.clones("a", "b"))
    assert started and status["phase"] == "done"
    assert f"abort_stale {lease}" in setting.calls()


def test_what_fails_before_the_job_leaves_no_job(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = [{**clone, "volume": "x"} for clone in setting.clones("a", "b")]
    with pytest.raises(InvalidInput, match="not the clones of the workload's disks"):
        setting.start(wrong)
    assert not job.Record(setting.options.state_dir, disk_pass.job.job_id("acme", "server-1")).alive()
    record, _status, started = setting.start(setting.clones("a", "b"))
    assert started and record.read()["phase"] == "done"


def test_what_fails_in_the_job_is_told(setting: Setting) -> None:
    os.truncate(setting.path / "b", SIZE // 2)
    record, status, _started = setting.start(setting.clones("a", "b"))
    told = job.outcome(record, status, manifests=True)
    assert told["finished"] and "result" not in told and "manifests" not in told
    assert "has another size than its clone" in told["status"]["error"]["msg"]


def test_the_manifest_from_before_the_adaptation_is_kept_with_it(setting: Setting, tmp_path: Path) -> None:
    (tmp_path / "before").write_bytes(b"as it was")
    setting.options = disk_pass.Options(
        state_dir=str(tmp_path / "state"), manifest_before="blake3:00", before_file=str(tmp_path / "before")
    )
    record, status, _started = setting.start(setting.clones("a", "b"))
    told = job.outcome(record, status, manifests=True)
    assert base64.b64decode(told["manifests"]["before-0.manifest"]) == b"as it was"
    first, second = told["result"]["disks"]
    assert first["manifest_before"] == "blake3:00" and first["manifest_before"] != first["manifest_source"]
    assert second["manifest_before"] == second["manifest_source"], "a data disk moves as it is"


def test_no_secret_is_in_the_record(setting: Setting) -> None:
    def opened(_spool_dir: str) -> Any:
        raise CloudExitError("cannot log in", cause="wrong")

    record, status, _started = disk_pass.start(WORKLOAD, setting.clones("a", "b"), opened, setting.options, wait_s=20)
    assert status["error"]["msg"] == "cannot log in: wrong."
    kept = {path.name for path in record.path.iterdir()}
    assert kept == {"status.json", "lock"}
