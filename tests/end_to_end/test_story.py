# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that really run: the demo's story whole, into Cloud Avenue; and a guest in vSphere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.installed import Lab
from tests.lab import hypervisor, parts, vcd, vcenter
from tests.lab.both_sides import Sides, api, disk_bytes, left_behind, look
from tests.lab.demo import MOVED, Demo
from tests.lab.operator import Operator, Page
from tests.lab.paths import Instance, wait_for

BOOT_S = 400


@dataclass(frozen=True)
class Story:
    """What the demo wrote at its end, who told it, and both sides before it began."""

    summary: dict[str, Any]
    operator: Operator
    before: Sides

    @property
    def instance(self) -> Instance:
        return self.operator.instance

    @property
    def workloads(self) -> list[dict[str, Any]]:
        return list(self.summary["workloads"])

    def machine(self, workload: dict[str, Any]) -> dict[str, Any]:
        """A workload's machine in Cloud Director."""
        machines = vcd.Control(self.instance).machines()[1]
        (found,) = (m for m in machines if m["extra_config"].get("cloudexit.source_id") == workload["source_id"])
        return found


def told(lab: Lab, folder: Path, target: str) -> Story:
    """The demo, run at a lab that is as it was seeded."""
    parts.restore(lab.instance)
    before = look(lab.instance)
    operator = Demo(lab.instance, folder, target).run()
    return Story(json.loads((folder / "summary.json").read_text()), operator, before)


@pytest.fixture(scope="module")
def story(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Story:
    return told(lab, tmp_path_factory.mktemp("demo") / "demo", "cloud_avenue")


def proven(story: Story) -> None:
    """Both machines moved with all their disks, and what was read back is what was sent."""
    assert [workload["name"] for workload in story.workloads] == list(MOVED)
    for workload in story.workloads:
        assert len(workload["disks"]) == 2
        assert all(disk["equal"] and disk["manifest_source"] == disk["manifest_target"] for disk in workload["disks"])
        assert [check["ok"] for check in workload["checks"]] == [True, True, True]
        assert any("initr" in path for path in workload["adapted_files"])
        assert workload["boot_seconds"] > 0
        boot, data = workload["disks"]
        assert boot["manifest_before"] != boot["manifest_source"], "the guest was adapted"
        assert data["manifest_before"] == data["manifest_source"], "a data disk moves as it is"
    assert [workload["hardware"]["firmware"] for workload in story.workloads] == ["bios", "efi"]
    assert story.summary["second_run_changed"] == 0
    page = Path(story.summary["report"]).read_text()
    assert all(workload["source_id"] in page for workload in story.workloads)


def test_machines_run_and_are_proven(story: Story) -> None:
    proven(story)
    for workload in story.workloads:
        machine = story.machine(workload)
        marks = machine["extra_config"]
        assert (machine["power"], marks["cloudexit.state"]) == ("poweredOn", "started")
        roots = [marks[f"cloudexit.manifest.{index}"] for index in range(2)]
        assert roots == [disk["manifest_target"] for disk in workload["disks"]]


def test_source_still_holds_what_was_moved(story: Story) -> None:
    """The root that the collection calls `before` is that of the volume's own bytes, which nobody touched."""
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pipeline import hash_source
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import open_source

    for workload in story.workloads:
        for disk in workload["disks"]:
            source = open_source(str(disk_bytes(story.instance, disk["volume"])), "raw")
            assert hash_source(source).root == disk["manifest_before"]
            source.close()


def test_cards_are_what_the_plan_says(story: Story) -> None:
    plan = story.operator.plan()
    for workload in story.workloads:
        (wanted,) = plan["workloads"][story.operator.host(workload["name"])]["nics"]
        (card,) = story.machine(workload)["nics"]
        assert (card["mac"], card["type"]) == (wanted["mac"].lower(), "vmxnet3")
        assert card["network"] == plan["networks"][wanted["network"]]["target"]
        assert [card["address"]] == wanted["addresses"]


def test_sources_are_fenced_and_nothing_is_left_behind(story: Story) -> None:
    for workload in story.workloads:
        server = api(story.instance).get("compute", f"/servers/{workload['source_id']}")["server"]
        assert server["locked"] and server["status"] == "SHUTOFF"
    assert left_behind(story.before, look(story.instance)) == {}
    assert vcd.Control(story.instance).table("vapptemplate") == {}
    assert list((story.instance.data / "vcd" / "transfer").glob("**/*.vmdk")) == []


def test_back_from_cloud_avenue(story: Story) -> None:
    """The machine goes off and is kept, the source runs again and is not fenced; its network stays as it was."""
    workload, other = story.workloads
    host = story.operator.host(workload["name"])
    story.operator.run("rollback", *story.operator.plan_arguments(), "--limit", host).ok()
    machine = story.machine(workload)
    assert (machine["power"], machine["extra_config"]["cloudexit.state"]) == ("poweredOff", "rolled_back")
    server = api(story.instance).get("compute", f"/servers/{workload['source_id']}")["server"]
    assert not server["locked"] and server["status"] == "ACTIVE"
    assert story.machine(other)["power"] == "poweredOn"
    assert story.operator.prepare("--tags", "verify").ok().changed == 0


@pytest.mark.soak
def test_the_story_of_vsphere(lab: Lab, tmp_path: Path) -> None:
    proven(told(lab, tmp_path / "demo", "vsphere"))


def into_vsphere(engineer: Operator, adapt: str, expect: str = "") -> tuple[dict[str, Any], Page]:
    """Move app-1 with or without adaptation, and with a check of its page where a text is expected."""
    host = engineer.host("app-1")
    mac = engineer.plan()["workloads"][host]["nics"][0]["mac"]
    page = Page(hypervisor.ports(engineer.instance, "target", mac)[80])
    check = {"type": "http", "url": f"{page.base}/", "expect": expect, "timeout_s": BOOT_S}

    def change(plan: dict[str, Any]) -> None:
        plan["workloads"][host]["guest"]["adapt"] = adapt
        plan["workloads"][host]["checks"] = [check] if expect else []

    engineer.edit(change)
    engineer.migrate("--limit", host).ok()
    (machine,) = vcenter.Control(engineer.instance).machines()[1]
    assert {disk["controller"] for disk in machine["disks"]} == {"pvscsi"}
    assert {nic["type"] for nic in machine["nics"]} == {"vmxnet3"}
    return machine, page


def test_adapted_boots_in_vsphere(engineer: Operator) -> None:
    into_vsphere(engineer, "offline", "<h1>guest-netplan</h1>")
    (guest,) = _running(engineer.instance)
    assert (guest["report"]["storage"], guest["report"]["nic"]) == ("vmw_pvscsi", "vmxnet3")


def test_not_adapted_does_not_boot(engineer: Operator) -> None:
    """The proof means something: the same guest, moved byte by byte without adaptation, finds no root disk."""
    machine, page = into_vsphere(engineer, "none")

    def gave_up() -> bool:
        serial = engineer.instance.logs / f"guest-target-{machine['moref']}.serial"
        text = serial.read_text(errors="replace") if serial.exists() else ""
        return "(initramfs)" in text or "Gave up waiting for root" in text

    wait_for(gave_up, BOOT_S, "the guest to give up", every=1)
    assert page.get() is None
    assert not any(entry["report"] for entry in _running(engineer.instance))


def _running(instance: Instance) -> list[dict[str, Any]]:
    """The guests that run at the target."""
    return [entry for entry in hypervisor.status(instance) if entry["side"] == "target" and entry["running"]]
