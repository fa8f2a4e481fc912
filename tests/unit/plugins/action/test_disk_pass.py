# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin: starts, follows, tells the progress, keeps the manifests."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.cloudexit.flexible_engine.plugins.action import disk_pass as action
from tests.unit.plugins.module_utils.acts.variable import variable


class Runs:
    """The plugin with scripted answers of its modules."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: list[Any] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.lines: list[str] = []
        monkeypatch.setattr(action.display, "display", lambda text, *args, **options: self.lines.append(text))
        monkeypatch.setattr(action.time, "sleep", lambda seconds: None)

    def run(self, *answers: Any, check: bool = False, **args: Any) -> dict[str, Any]:
        self.answers = list(answers)
        plugin = action.ActionModule.__new__(action.ActionModule)
        task = SimpleNamespace(args={"workload": variable(), **args}, check_mode=check, async_val=0, diff=False)
        plugin._task = task
        plugin._connection = SimpleNamespace(fetch_file=self.fetch, _shell=SimpleNamespace(tmpdir=None))
        plugin._execute_module = self.execute
        plugin.validate_argument_spec = None
        action.ActionBase.run = lambda self, tmp=None, task_vars=None: {}
        return plugin.run(task_vars={})

    def fetch(self, source: str, destination: str) -> None:
        Path(destination).write_bytes(f"fetched {source}".encode())

    def execute(self, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]) -> Any:
        self.calls.append((module_name, module_args))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    monkeypatch.setattr(action.ActionBase, "run", action.ActionBase.run)
    return Runs(monkeypatch)


def working(phase: str = "copying", done: int = 0, **more: Any) -> dict[str, Any]:
    disks = [
        {"index": 0, "phase": phase, "total": 1000, "done": done},
        {"index": 1, "phase": "waiting", "total": 1000, "done": 0},
    ]
    status = {"phase": phase, "stage": phase, "disks": disks, "rate": 118_000_000, "eta_s": 250, "dead": False}
    return {"changed": True, "finished": False, "job": "j", "record": "/r", "status": status, **more}


def done(**more: Any) -> dict[str, Any]:
    status = {"phase": "done", "total": 2000, "disks": [], "dead": False}
    result = {"changed": True, "vm_ref": "vm-1", "disks": []}
    return {"changed": False, "finished": True, "job": "j", "record": "/r", "status": status, "result": result, **more}


def test_it_follows_the_job_and_tells_steps_of_five_percent(runs: Runs) -> None:
    result = runs.run(working(done=10), working(done=420), working(done=440), working(done=480), done())
    assert (result["vm_ref"], result["changed"], result["job"]) == ("vm-1", True, "j")
    assert runs.lines == [
        "web-1  disk 1/2  copying    1%  118 MB/s  eta 04:10",
        "web-1  disk 1/2  copying   42%  118 MB/s  eta 04:10",
        "web-1  disk 1/2  copying   48%  118 MB/s  eta 04:10",
        "web-1  all 0.0 GB are at the target and proven",
    ]
    assert [name for name, _args in runs.calls] == [action.MODULE, *[action.INFO] * 4]
    assert runs.calls[1][1]["seen"] == "copying"
    waits = [args["wait"] for _name, args in runs.calls[1:]]
    assert waits == sorted(waits) and waits[0] == 2.0


def test_it_tells_what_is_waited_for_and_nothing_that_passes_in_a_moment(runs: Runs) -> None:
    waiting = working("waiting for a place on the reader host")
    passing = working("completing")
    passing["status"]["stage"] = "copying"
    runs.run(waiting, waiting, passing, done())
    assert runs.lines == [
        "web-1  waiting for a place on the reader host",
        "web-1  all 0.0 GB are at the target and proven",
    ]


def test_it_tells_which_disks_were_only_sampled(runs: Runs) -> None:
    disks = [{"index": 0, "proof": "full"}, {"index": 1, "proof": "sampled"}]
    runs.run(done(result={"changed": True, "vm_ref": "vm-1", "disks": disks}))
    assert runs.lines == ["web-1  all 0.0 GB are at the target and proven; disk 2 by a sample only"]


def test_it_is_silent_when_asked(runs: Runs) -> None:
    runs.run(working(), done(), progress=False)
    assert runs.lines == []


def test_check_mode_and_failures_pass_through(runs: Runs) -> None:
    assert runs.run({"changed": True, "diff": {}}, check=True) == {"changed": True, "diff": {}}
    assert runs.run({"failed": True, "msg": "no"})["msg"] == "no"
    assert runs.run({"changed": True, "job": "j"}, state="absent") == {"changed": True, "job": "j"}


def test_a_job_that_failed_or_died_is_an_error(runs: Runs) -> None:
    error = {"type": "Refused", "msg": "no room", "hint": "make some", "retryable": False}
    failed = working("failed", finished=True)
    failed["status"]["error"] = error
    result = runs.run(failed)
    assert (result["failed"], result["msg"], result["hint"], result["retryable"]) == (
        True,
        "no room",
        "make some",
        False,
    )
    dead = working("copying", finished=True)
    dead["status"]["dead"] = True
    result = runs.run(dead)
    assert result["failed"] and result["retryable"] and "was killed" in result["msg"]


def test_a_reader_that_does_not_answer_for_a_while_is_asked_again(runs: Runs) -> None:
    result = runs.run(working(), AnsibleConnectionFailure("gone"), {"unreachable": True}, done())
    assert result["vm_ref"] == "vm-1"


def test_a_reader_that_stays_away_is_unreachable_and_the_copy_goes_on(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 100_000, 400))
    monkeypatch.setattr(action.time, "monotonic", lambda: float(next(clock)))
    with pytest.raises(AnsibleConnectionFailure, match="The copy goes on: run again to join it"):
        runs.run(working(), *[{"unreachable": True}] * 5, progress=False)


def test_credentials_come_from_the_controller_s_environment(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMWARE_HOST", "vc")
    monkeypatch.setenv("VMWARE_PASSWORD", "secret")
    monkeypatch.setenv("VMWARE_USER", "other")
    runs.run(working(), done(), username="me")
    assert runs.calls[0][1]["hostname"] == "vc" and runs.calls[0][1]["password"] == "secret"
    assert runs.calls[0][1]["username"] == "me"
    assert "password" not in runs.calls[1][1], "asking needs none"


def test_manifests_are_kept_as_evidence(runs: Runs, tmp_path: Path) -> None:
    manifests = {
        "target-0.manifest": base64.b64encode(b"moved").decode(),
        "before-0.manifest": base64.b64encode(b"before").decode(),
        "source-0.manifest": base64.b64encode(b"same as target").decode(),
        "target-1.manifest": None,
        "source-2.manifest": base64.b64encode(b"of a disk that was only sampled").decode(),
        "../../etc.manifest": base64.b64encode(b"hostile").decode(),
    }
    result = runs.run(done(manifests=manifests), evidence_dir=str(tmp_path))
    directory = tmp_path / "manifests" / "web-1"
    assert result["manifest_files"] == [
        str(directory / name)
        for name in ("before-0.manifest", "sent-2.manifest", "moved-0.manifest", "moved-1.manifest")
    ]
    assert (directory / "moved-0.manifest").read_bytes() == b"moved"
    assert (directory / "moved-1.manifest").read_bytes() == b"fetched /r/target-1.manifest"
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "before-0.manifest",
        "moved-0.manifest",
        "moved-1.manifest",
        "sent-2.manifest",
    ]
