# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module guest_prepare: its arguments, results, diff and errors; the engine is played."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import online
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import (
    AdaptPlan,
    AdaptResult,
    Facts,
    FileChange,
)

Call = Callable[..., dict[str, Any]]
CHANGE = FileChange("/etc/fstab", "modified", "aa", "bb", "why", "old\n", "new\n")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the engine was asked for."""
    asked: list[Any] = []

    def prepare(plan: AdaptPlan, *, check: bool, timeout: float) -> AdaptResult:
        asked.append((plan.hardware.nics, plan.cloud_init, check, timeout))
        return AdaptResult(True, [CHANGE], Facts(name="Debian"), ["a note"])

    def restore(*, check: bool) -> AdaptResult:
        asked.append(check)
        return AdaptResult(True, [CHANGE])

    monkeypatch.setattr(online, "prepare", prepare)
    monkeypatch.setattr(online, "restore", restore)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return asked


@pytest.mark.parametrize("check", [True, False])
def test_present(call_module: Call, asked: list[Any], check: bool) -> None:
    params = {"hardware": {"nics": ["e1000e"]}, "timeout": 5, "cloud_init": False}
    done = call_module("guest_prepare", params, check=check, diff=True)
    assert asked == [(("e1000e",), False, check, 5)]
    assert done["changed"] and done["notes"] == ["a note"] and done["found"]["name"] == "Debian"
    assert (done["diff"][0]["before"], done["diff"][0]["after"]) == ("old\n", "new\n")
    assert done["files"] == [
        {"path": "/etc/fstab", "action": "modified", "before": "aa", "after": "bb", "reason": "why"}
    ]


@pytest.mark.parametrize("check", [True, False])
def test_absent(call_module: Call, asked: list[Any], check: bool) -> None:
    done = call_module("guest_prepare", {"state": "absent"}, check=check)
    assert asked == [check]
    assert done["changed"] and done["found"] == {} and "diff" not in done


def test_without_root(call_module: Call, asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    failed = call_module("guest_prepare", {})
    assert failed["failed"] and "become" in failed["hint"] and asked == []


def test_unknown_hardware(call_module: Call, asked: list[Any]) -> None:
    failed = call_module("guest_prepare", {"hardware": {"controllers": ["ide"]}})
    assert failed["failed"] and "must be one or more of" in failed["msg"] and asked == []
