# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what is asked for: every problem is told, with its path."""

from __future__ import annotations

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import (
    AdaptPlan,
    DataDisk,
    FileChange,
    Hardware,
    Nic,
    diff_of,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput


def test_a_plan() -> None:
    plan = AdaptPlan.from_dict(
        {
            "hardware": {"controllers": ["pvscsi", "nvme", "pvscsi"], "nics": ["e1000e"], "firmware": "efi"},
            "nics": [{"mac": "FA-16-3E-00-00-01", "name": "ens3", "addresses": ["10.0.0.1"]}],
            "data_disks": [{"device": "/dev/vdc", "name": "/dev/vdb", "serial": "x"}],
            "console": False,
        }
    )
    assert plan == AdaptPlan(
        hardware=Hardware(("pvscsi", "nvme"), ("e1000e",), "efi"),
        nics=(Nic("fa:16:3e:00:00:01", name="ens3", addresses=("10.0.0.1",)),),
        data_disks=(DataDisk("/dev/vdc", "vdb", "x"),),
        console=False,
    )
    assert AdaptPlan.from_dict(plan.to_dict()) == plan


def test_every_problem_is_told() -> None:
    with pytest.raises(InvalidInput) as caught:
        AdaptPlan.from_dict(
            {
                "mode": "online",
                "colour": "red",
                "hardware": {"controllers": ["ide"], "nics": ["ne2000"], "firmware": "coreboot"},
                "nics": [{"mac": "no", "new_mac": "no", "name": "a b"}],
                "data_disks": [{"device": "vdb", "name": "disk"}],
                "boot_disk_name": "/dev/loop0",
            }
        )
    assert [problem.path for problem in caught.value.problems] == [
        "colour",
        "mode",
        "hardware.firmware",
        "hardware.controllers[0]",
        "hardware.nics[0]",
        "nics[0].mac",
        "nics[0].new_mac",
        "nics[0].name",
        "data_disks[0].device",
        "data_disks[0].name",
        "boot_disk_name",
    ]


def test_the_digest_names_the_plan_and_not_the_host() -> None:
    def digest(device: str, **more: object) -> str:
        return AdaptPlan.from_dict({"data_disks": [{"device": device, "serial": "x"}], **more}).digest

    assert digest("/dev/vdb") == digest("/dev/sdz")
    assert digest("/dev/vdb") != digest("/dev/vdb", console=False)


def test_diff() -> None:
    changes = [
        FileChange("/etc/a", "modified", "1", "2", "why", "old\n", "new\n"),
        FileChange("/boot/i", "rebuilt", "1", None, "why"),
        FileChange("/boot/j", "rebuilt", "1", "2", "why"),
        FileChange("/etc/b", "removed", "1", None, "why", "gone\n", ""),
    ]
    assert [(one["before"], one["after"]) for one in diff_of(changes)] == [
        ("old\n", "new\n"),
        ("sha256:1\n", "(would be rebuilt)\n"),
        ("sha256:1\n", "sha256:2\n"),
        ("gone\n", ""),
    ]
