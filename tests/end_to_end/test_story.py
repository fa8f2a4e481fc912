# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that really run: the demo's story whole, and what becomes of a guest that was not adapted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.installed import Lab
from tests.lab import hypervisor, parts
from tests.lab.both_sides import disk_bytes
from tests.lab.demo import MOVED, Demo
from tests.lab.operator import Operator, Page
from tests.lab.paths import wait_for
from tests.lab.vcenter.service import Control


@pytest.fixture(scope="module")
def summary(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the demo writes at its end, run at a lab that is as it was seeded."""
    parts.restore(lab.instance)
    folder = tmp_path_factory.mktemp("demo") / "demo"
    Demo(lab.instance, folder).run()
    written: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return written


def test_machines_run_and_are_proven(summary: dict[str, Any], lab: Lab) -> None:
    workloads = summary["workloads"]
    assert [workload["name"] for workload in workloads] == list(MOVED)
    for workload in workloads:
        assert len(workload["disks"]) == 2
        assert all(disk["equal"] and disk["manifest_source"] == disk["manifest_target"] for disk in workload["disks"])
        assert [check["ok"] for check in workload["checks"]] == [True, True, True]
        assert any("initr" in path for path in workload["adapted_files"])
        assert workload["boot_seconds"] > 0
    boot, data = workloads[0]["disks"]
    assert boot["manifest_before"] != boot["manifest_source"], "the guest was adapted"
    assert data["manifest_before"] == data["manifest_source"], "a data disk moves as it is"
    assert summary["second_run_changed"] == 0


def test_source_still_holds_what_was_moved(summary: dict[str, Any], lab: Lab) -> None:
    """The root that the collection calls `before` is that of the volume's own bytes, which nobody touched."""
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pipeline import hash_source
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import open_source

    for workload in summary["workloads"]:
        for disk in workload["disks"]:
            source = open_source(str(disk_bytes(lab.instance, disk["volume"])), "raw")
            assert hash_source(source).root == disk["manifest_before"]
            source.close()


def test_hardware_is_what_the_plan_says(summary: dict[str, Any], lab: Lab) -> None:
    reports = {entry["report"]["hostname"]: entry for entry in _running(lab, "target")}
    for machine in Control(lab.instance).machines()[1]:
        assert {disk["controller"] for disk in machine["disks"]} == {"pvscsi"}
        assert {nic["type"] for nic in machine["nics"]} == {"vmxnet3"}
    assert {entry["report"]["storage"] for entry in reports.values()} == {"vmw_pvscsi"}
    assert {entry["report"]["nic"] for entry in reports.values()} == {"vmxnet3"}
    firmwares = sorted(machine["firmware"] for machine in Control(lab.instance).machines()[1])
    assert firmwares == ["bios", "efi"]


def test_report_is_there(summary: dict[str, Any]) -> None:
    page = Path(summary["report"]).read_text()
    assert all(workload["source_id"] in page for workload in summary["workloads"])


def test_not_adapted_does_not_boot(engineer: Operator) -> None:
    """The proof means something: the same guest, moved byte by byte without adaptation, finds no root disk."""
    host = engineer.host("app-1")

    def as_it_is(plan: dict[str, Any]) -> None:
        plan["workloads"][host]["guest"]["adapt"] = "none"

    engineer.edit(as_it_is)
    engineer.migrate("--limit", host).ok()
    (machine,) = Control(engineer.instance).machines()[1]
    mac = engineer.plan()["workloads"][host]["nics"][0]["mac"]
    page = Page(hypervisor.ports(engineer.instance, "target", mac)[80])

    def gave_up() -> bool:
        serial = engineer.instance.logs / f"guest-target-{machine['moref']}.serial"
        text = serial.read_text(errors="replace") if serial.exists() else ""
        return "(initramfs)" in text or "Gave up waiting for root" in text

    wait_for(gave_up, 400, "the guest to give up", every=1)
    assert page.get() is None
    assert not any(entry["report"] for entry in _running(Lab(engineer.instance), "target"))


def _running(lab: Lab, side: str) -> list[dict[str, Any]]:
    return [entry for entry in hypervisor.status(lab.instance) if entry["side"] == side and entry["running"]]
