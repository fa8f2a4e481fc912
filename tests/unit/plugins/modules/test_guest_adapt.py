# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module guest_adapt: its arguments, results, diff and errors; the engine is played."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import adapt, devices
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import offline
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import (
    AdaptPlan,
    AdaptResult,
    Facts,
    FileChange,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Refused
from tests.unit.plugins.module_utils.acts.variable import variable

Call = Callable[..., dict[str, Any]]
CHANGE = FileChange("/etc/fstab", "modified", "aa", "bb", "why", "old\n", "new\n")
CLONES = [
    {"index": 0, "volume": "volume-a", "clone": "clone-a", "size": 9, "boot": True, "serials": ["a"], "fresh": True},
    {"index": 1, "volume": "volume-b", "clone": "clone-b", "size": 9, "boot": False, "serials": ["b"], "fresh": True},
]


class Engine:
    def __init__(self) -> None:
        self.asked: list[tuple[str, AdaptPlan, bool]] = []
        self.done = 0
        self.errors: list[CloudExitError] = []

    def adapt(
        self, device: str, plan: AdaptPlan, *, check: bool, before_write: Callable[[], None], **_: Any
    ) -> AdaptResult:
        self.asked.append((device, plan, check))
        if plan.mode == "none":
            return AdaptResult()
        for error in self.errors:
            if isinstance(error, Refused):
                raise error
        files = [] if self.done else [CHANGE]
        if files and not check:
            before_write()
            for error in self.errors:
                raise error
            self.done += 1
        return AdaptResult(bool(files), files, Facts(name="Debian"), ["a note"], 1.0)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    played = Engine()
    monkeypatch.setattr(offline, "adapt", played.adapt)
    return played


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    def found(serials: list[str], size: int, what: str, *, timeout_s: float) -> Path:
        path = tmp_path / f"disk-{serials[0]}"
        path.write_bytes(bytes(size))
        return path

    monkeypatch.setattr(devices, "await_device", found)
    return tmp_path


def test_a_workload(call_module: Call, engine: Engine, disks: Path) -> None:
    asked = {"workload": variable(), "clones": CLONES, "state_dir": str(disks / "state")}
    told = call_module("guest_adapt", asked, check=True, diff=True)
    assert told["changed"] and told["diff"][0]["after"] == "new\n"
    assert not (disks / "state").exists()

    done = call_module("guest_adapt", asked, diff=True)
    assert done["changed"] and done["dirty"] is False
    assert done["files"] == [
        {"path": "/etc/fstab", "action": "modified", "before": "aa", "after": "bb", "reason": "why"}
    ]
    assert done["notes"] == ["a note"] and done["found"]["name"] == "Debian"
    assert done["device"] == str(disks / "disk-a")
    assert done["manifest_before"].startswith("blake3:") and Path(done["manifest_file"]).is_file()
    plan = engine.asked[-1][1]
    assert (plan.hardware.controllers, plan.hardware.nics, plan.hardware.firmware) == (
        ("pvscsi",),
        ("vmxnet3",),
        "bios",
    )
    assert [(nic.mac, nic.addresses) for nic in plan.nics] == [("fa:16:3e:00:00:01", ("10.20.0.11",))]
    assert [(disk.device, disk.serial) for disk in plan.data_disks] == [(str(disks / "disk-b"), "volume-b")]

    for check in (True, False):
        again = call_module("guest_adapt", asked, check=check, diff=True)
        assert not again["changed"] and again["diff"] == []
        assert (again["files"], again["manifest_before"]) == (done["files"], done["manifest_before"])
    assert len(engine.asked) == 2


def test_a_workload_that_is_copied_as_it_is(call_module: Call, engine: Engine, disks: Path) -> None:
    workload = variable(guest={"os": "debian12_64Guest", "adapt": "none"})
    done = call_module("guest_adapt", {"workload": workload, "clones": CLONES})
    assert (done["changed"], done["device"], done["files"], engine.asked) == (False, "", [], [])


def test_half_adapted(call_module: Call, engine: Engine, disks: Path) -> None:
    asked = {"workload": variable(), "clones": CLONES, "state_dir": str(disks / "state"), "hash_before": False}
    engine.errors = [CloudExitError("the initramfs could not be built")]
    for told in ("failed half way", "may be half adapted"):
        failed = call_module("guest_adapt", asked)
        assert failed["failed"] and failed["dirty"] and failed["retryable"] and told in failed["msg"]
    engine.errors = []
    renewed = [{**CLONES[0], "clone": "clone-c"}, CLONES[1]]
    assert call_module("guest_adapt", {**asked, "clones": renewed})["changed"]


def test_refused(call_module: Call, engine: Engine, disks: Path) -> None:
    engine.errors = [Refused("The guest", cause="it is a Windows")]
    failed = call_module("guest_adapt", {"workload": variable(), "clones": CLONES, "state_dir": str(disks / "state")})
    assert failed["failed"] and failed["error"] == "Refused" and not failed.get("dirty")


def test_a_device(call_module: Call, engine: Engine, disks: Path) -> None:
    asked = {"device": "/srv/x.raw", "nics": [{"mac": "FA:16:3E:00:00:01"}], "hardware": {"firmware": "efi"}}
    asked["state_dir"] = str(disks / "state")
    assert call_module("guest_adapt", asked)["changed"]
    assert not call_module("guest_adapt", asked)["changed"]
    assert engine.asked[0][1].hardware.firmware == "efi"
    assert not (disks / "state").exists()
    assert not call_module("guest_adapt", {**asked, "mode": "none"})["changed"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "one of the following is required: workload, device"),
        ({"workload": {}}, "clones"),
        ({"workload": {}, "clones": [], "device": "/x"}, "mutually exclusive"),
        ({"workload": variable(), "clones": []}, "0 of them are marked as the boot disk"),
        ({"workload": variable(), "clones": [CLONES[0], CLONES[0]]}, "2 of them are marked"),
        ({"device": "/x", "nics": [{"mac": "x"}, {"mac": "y"}]}, "nics[1].mac: 'y' is not a MAC address"),
        ({"device": "/x", "hardware": {"controllers": ["ide"]}}, "must be one or more of"),
    ],
)
def test_bad_arguments(call_module: Call, engine: Engine, asked: dict[str, Any], told: str) -> None:
    failed = call_module("guest_adapt", asked)
    assert failed["failed"] and told in failed["msg"]
    assert engine.asked == []


def test_dirty_is_one_of_the_errors() -> None:
    assert issubclass(adapt.Dirty, CloudExitError)
