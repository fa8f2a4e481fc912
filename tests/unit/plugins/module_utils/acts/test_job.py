# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that outlive their starter: one at a time, seen alive or dead for certain, ended by a signal."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import job
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError


def start(record: job.Record, body: object) -> None:
    lock = record.claim()
    assert lock is not None
    job.spawn(record, lock, body, {"workload": "web-1"})


def quick(record: job.Record) -> None:
    record.write({**record.read(), "phase": "done"})


def waits(record: job.Record) -> None:
    def end(signum: int, frame: object) -> None:
        raise CloudExitError("stopped", retryable=True)

    signal.signal(signal.SIGTERM, end)
    record.write({**record.read(), "phase": "working"})
    time.sleep(60)


def refuses(record: job.Record) -> None:
    raise CloudExitError("no", cause="because", hint="do this")


def breaks(record: job.Record) -> None:
    raise KeyError("a secret")


def test_a_job_runs_by_itself_and_leaves_its_record(tmp_path: Path) -> None:
    record = job.Record(tmp_path / "state", "j1")
    start(record, quick)
    status = record.wait(10)
    assert status["phase"] == "done" and status["workload"] == "web-1" and status["pid"] != os.getpid()
    assert stat.S_IMODE(record.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((record.path / "status.json").stat().st_mode) == 0o600


def test_only_one_lives_and_a_signal_ends_it(tmp_path: Path) -> None:
    record = job.Record(tmp_path / "state", "j1")
    start(record, waits)
    assert record.wait(10, "starting")["phase"] == "working"
    assert record.alive() and job.Record(tmp_path / "state", "j1").claim() is None
    assert record.stop() is True
    status = record.look()
    assert (status["alive"], status["dead"], status["phase"]) == (False, False, "failed")
    assert status["error"]["retryable"] is True
    assert record.stop() is False


def test_a_killed_job_is_seen_dead_at_once(tmp_path: Path) -> None:
    record = job.Record(tmp_path / "state", "j1")
    start(record, waits)
    status = record.wait(10, "starting")
    os.kill(status["pid"], signal.SIGKILL)
    status = record.wait(10)
    assert status["dead"] and status["phase"] == "working"
    assert record.claim() is not None


def test_a_change_of_stage_is_told_at_once_and_of_phase_is_not(tmp_path: Path) -> None:
    def stages(record: job.Record) -> None:
        record.write({**record.read(), "phase": "a", "stage": "one"})
        record.write({**record.read(), "phase": "b"})
        while not (record.path / "go").exists():
            time.sleep(0.01)
        record.write({**record.read(), "stage": "two"})
        while (record.path / "go").exists():
            time.sleep(0.01)
        record.write({"phase": "done"})

    record = job.Record(tmp_path / "state", "j1")
    start(record, stages)
    while record.read().get("phase") != "b":
        time.sleep(0.01)
    assert record.wait(0.1, "one")["stage"] == "one", "nothing to tell, so the time passes"
    (record.path / "go").touch()
    assert record.wait(20, "one")["stage"] == "two"
    (record.path / "go").unlink()
    assert record.wait(20, "two")["phase"] == "done"


def test_an_error_and_a_fault_are_told(tmp_path: Path) -> None:
    one, two = job.Record(tmp_path / "state", "j1"), job.Record(tmp_path / "state", "j2")
    start(one, refuses)
    start(two, breaks)
    status = one.wait(10)
    assert status["error"]["msg"] == "no: because. do this" and status["error"]["hint"] == "do this"
    status = two.wait(10)
    assert "KeyError at test_job.py" in status["error"]["msg"] and "secret" not in status["error"]["msg"]
    assert "KeyError" in (two.path / "log").read_text()


def test_the_starter_ends_while_the_job_goes_on(tmp_path: Path) -> None:
    """As a module does: whoever reads the starter's output sees its end although the job lives."""
    code = f"""
import sys, time
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import job
record = job.Record({str(tmp_path / "state")!r}, "j1")
def body(record):
    record.write({{**record.read(), "phase": "working"}})
    deadline = time.monotonic() + 30
    while not (record.path / "go").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    record.write({{**record.read(), "phase": "done"}})
job.spawn(record, record.claim(), body, {{}})
print("started")
"""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr
    record = job.Record(tmp_path / "state", "j1")
    status = record.wait(10, "starting")
    assert status["phase"] == "working" and status["alive"]
    pid = status["pid"]
    assert os.getsid(pid) not in (pid, os.getsid(0))
    names = {os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")}
    assert names <= {"/dev/null", str(record.path / "lock")}
    (record.path / "go").touch()
    assert record.wait(10)["phase"] == "done"


def test_a_state_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CloudExitError, match=r"state directory .*file/state cannot be used.*state_dir"):
        job.Record(tmp_path / "file" / "state", "j1").claim()
    with pytest.raises(CloudExitError, match=r"state directory .*file/state cannot be used.*file is not a directory"):
        job.Record(tmp_path / "file" / "state", "j1").usable()


def test_to_ask_whether_the_state_directory_can_be_used_makes_nothing(tmp_path: Path) -> None:
    job.Record(tmp_path / "some" / "state", "j1").usable()
    assert list(tmp_path.iterdir()) == []


def test_records_of_jobs_that_are_done_go_when_they_are_old(tmp_path: Path) -> None:
    for name, phase, age in [("a", "done", 100), ("b", "done", 1), ("c", "failed", 100), ("d", "failed", 1000)]:
        record = job.Record(tmp_path, name)
        os.close(record.claim())
        record.write({"phase": phase})
        os.utime(record.path / "status.json", (time.time() - age, time.time() - age))
    assert job.sweep(tmp_path, keep_s=50) == ["a", "d"]
    assert sorted(p.name for p in (tmp_path / "jobs").iterdir()) == ["b", "c"]
    assert job.sweep(tmp_path / "nowhere") == []


def test_job_ids_are_safe_and_tell_apart() -> None:
    assert job.job_id("a", "bc") != job.job_id("ab", "c")
    assert job.job_id("../é", "{{ 7*7 }}").isalnum()
