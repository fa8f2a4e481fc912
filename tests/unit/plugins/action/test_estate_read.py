# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin: runs the module, tells waits and counts, leaves nothing behind."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.action import estate_read as action


class Runs:
    """The plugin with a module of our own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.lines: list[str] = []
        self.seen: dict[str, Any] = {}
        monkeypatch.setattr(action.display, "display", lambda text, *args, **options: self.lines.append(text))
        monkeypatch.setattr(action, "LOOK_S", 0.005)
        monkeypatch.setattr(action.tempfile, "tempdir", str(tmp_path))
        monkeypatch.setattr(action.ActionBase, "run", lambda self, tmp=None, task_vars=None: {})

    def run(
        self, module: Callable[[dict[str, Any]], Any], transport: str = "local", async_val: int = 0, **args: Any
    ) -> dict[str, Any]:
        plugin = action.ActionModule.__new__(action.ActionModule)
        plugin._task = SimpleNamespace(args={"path": "/x/acme.estate.json", **args}, async_val=async_val)
        plugin._connection = SimpleNamespace(transport=transport)

        def execute(module_name: str, module_args: dict[str, Any], task_vars: Any, **more: Any) -> dict[str, Any]:
            assert module_name == action.MODULE
            self.seen = {**module_args}
            told = module(module_args)
            return told if told is not None else {"changed": True, "invocation": {"module_args": dict(module_args)}}

        plugin._execute_module = execute
        return plugin.run(task_vars={})

    def until(self, count: int) -> None:
        """Wait until so many lines were shown."""
        end = time.monotonic() + 10
        while len(self.lines) < count and time.monotonic() < end:
            time.sleep(0.002)
        assert len(self.lines) >= count


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    return Runs(monkeypatch, tmp_path)


def step(args: dict[str, Any], **step: Any) -> None:
    with open(args["progress_file"], "a", encoding="utf-8") as file:
        file.write(json.dumps(step) + "\n")


def test_a_wait_is_shown_while_the_module_runs(runs: Runs, tmp_path: Path) -> None:
    def module(args: dict[str, Any]) -> None:
        step(args, kind="security_groups", wait=60.0, why="HTTP 429: the service is busy")
        runs.until(1)

    result = runs.run(module, cloud="acme")
    assert runs.lines == ["acme  security groups: HTTP 429: the service is busy, waiting 60 s"]
    assert result["changed"] and result["invocation"]["module_args"] == {"path": "/x/acme.estate.json", "cloud": "acme"}
    assert os.listdir(tmp_path) == []


def test_counts_are_shown_every_few_seconds_and_once(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action, "EVERY_S", 0.0)

    def module(args: dict[str, Any]) -> None:
        step(args, kind="servers", count=500)
        runs.until(1)
        step(args, kind="servers", count=900)
        step(args, kind="key_pairs", count=0)
        runs.until(2)

    runs.run(module)
    assert runs.lines[0] == "acme  500 servers" and runs.lines[-1] == "acme  900 servers"
    assert len(runs.lines) <= 4


def test_a_short_reading_tells_nothing(runs: Runs) -> None:
    def module(args: dict[str, Any]) -> None:
        step(args, kind="servers", count=3)
        step(args, kind="servers", wait=1.0, why="HTTP 500")
        with open(args["progress_file"], "a", encoding="utf-8") as file:
            file.write('{"kind": "half')

    runs.run(module)
    assert runs.lines == []


def test_a_module_that_breaks_leaves_nothing(runs: Runs, tmp_path: Path) -> None:
    def module(_args: dict[str, Any]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        runs.run(module)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("options", [{"transport": "ssh"}, {"async_val": 60}, {"progress_file": "/x/own"}])
def test_where_nobody_can_watch_the_module_just_runs(runs: Runs, tmp_path: Path, options: dict[str, Any]) -> None:
    assert runs.run(lambda _args: None, **options)["changed"]
    assert runs.seen.get("progress_file") == options.get("progress_file") and os.listdir(tmp_path) == []
