# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A specification, what is wrong with it, and its ConfigSpec."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import vmomi
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.spec import (
    CONTROLLERS,
    DiskPlace,
    DiskSpec,
    NicSpec,
    VmSpec,
    capacity_of,
    escape_name,
    layout,
    mac_problem,
    to_config_spec,
    unescape_name,
    validate,
)

GIB = 1024**3


def a_spec(**changes: Any) -> VmSpec:
    values: dict[str, Any] = {
        "name": "web-1",
        "cpus": 2,
        "memory_mib": 2048,
        "disks": (DiskSpec(GIB), DiskSpec(2 * GIB)),
        "nics": (NicSpec("app", mac="FA:16:3E:00:00:01"),),
    }
    return VmSpec(**{**values, **changes})


def places(*disks: DiskSpec) -> list[str]:
    found, problems = layout(disks)
    assert not problems
    return [str(place) for place in found]


def test_disks_get_places_in_order_and_unit_7_is_skipped() -> None:
    found = places(*[DiskSpec(GIB)] * 17)
    assert found[:3] == ["pvscsi0:0", "pvscsi0:1", "pvscsi0:2"]
    assert found[6:8] == ["pvscsi0:6", "pvscsi0:8"]
    assert found[15:] == ["pvscsi1:0", "pvscsi1:1"]
    assert "pvscsi0:7" not in found


def test_scsi_controllers_share_their_buses_and_others_do_not() -> None:
    mixed = [DiskSpec(GIB, kind) for kind in ("pvscsi", "lsisas", "lsilogic", "sata", "nvme")]
    assert places(*mixed) == ["pvscsi0:0", "lsisas1:0", "lsilogic2:0", "sata0:0", "nvme0:0"]


def test_wanted_places_are_kept_and_the_rest_goes_round_them() -> None:
    assert places(DiskSpec(GIB), DiskSpec(GIB, bus=0, unit=0)) == ["pvscsi0:1", "pvscsi0:0"]
    assert places(DiskSpec(GIB, bus=2), DiskSpec(GIB, unit=3)) == ["pvscsi2:0", "pvscsi0:3"]


@pytest.mark.parametrize(
    ("disks", "where", "text"),
    [
        ((DiskSpec(GIB, "ide"),), "disks[0].controller", "not one of"),
        ((DiskSpec(GIB, bus=4),), "disks[0].bus", "0 to 3"),
        ((DiskSpec(GIB, bus=0, unit=7),), "disks[0].unit", "no unit"),
        ((DiskSpec(GIB, bus=0, unit=1),) * 2, "disks[1].unit", "taken"),
        ((DiskSpec(GIB, bus=0), DiskSpec(GIB, "lsisas", bus=0)), "disks[1].bus", "pvscsi controller already"),
        ((DiskSpec(GIB),) * 61, "disks[60]", "no place"),
    ],
)
def test_bad_places_are_named(disks: tuple[DiskSpec, ...], where: str, text: str) -> None:
    problems = layout(disks)[1]
    assert [problem.path for problem in problems] == [where]
    assert text in problems[0].message


def test_all_problems_come_at_once() -> None:
    bad = a_spec(
        name="",
        cpus=0,
        memory_mib=1,
        firmware="uefi",
        disks=(DiskSpec(0), DiskSpec(GIB, "ide")),
        nics=(NicSpec("app", "virtio"), NicSpec("app", mac="01:00:5e:00:00:01")),
    )
    assert {problem.path for problem in validate(bad)} == {
        "vm.name",
        "vm.cpus",
        "vm.memory_mib",
        "vm.firmware",
        "vm.disks[0].capacity_bytes",
        "vm.disks[1].controller",
        "vm.nics[0].type",
        "vm.nics[1].mac",
    }
    assert not validate(a_spec())


def test_the_same_mac_twice_is_refused() -> None:
    twice = (NicSpec("a", mac="fa:16:3e:00:00:01"), NicSpec("b", mac="FA:16:3E:00:00:01"))
    (problem,) = validate(a_spec(nics=twice))
    assert problem.path == "vm.nics[1].mac" and "nics[0]" in problem.message


@pytest.mark.parametrize(
    ("mac", "good"),
    [
        ("fa:16:3e:12:34:56", True),
        ("00:50:56:3f:ff:ff", True),
        ("00:50:56:40:00:00", False),
        ("00:50:56:bf:00:01", False),
        ("00:0c:29:00:00:01", False),
        ("01:00:00:00:00:01", False),
        ("00:00:00:00:00:00", False),
        ("fa-16-3e-12-34-56", False),
    ],
)
def test_macs_that_vcenter_refuses(mac: str, good: bool) -> None:
    assert (mac_problem(mac) is None) is good


def test_names_are_escaped_as_the_api_wants_it() -> None:
    hostile = "a b'\"{{ 7*7 }}/../é 100%\\x"
    assert escape_name(hostile) == "a b'\"{{ 7*7 }}%2f..%2fé 100%25\\x".replace("\\", "%5c")
    assert unescape_name(escape_name(hostile)) == hostile
    assert unescape_name("50%") == "50%"
    assert unescape_name("%252f") == "%2f"


def test_capacity_is_rounded_up_to_kib() -> None:
    assert capacity_of(DiskSpec(1024**2 + 512)) == 1024**2 + 1024


def test_the_config_spec() -> None:
    spec = a_spec(
        disks=(DiskSpec(GIB, "nvme"), DiskSpec(2 * GIB, datastore="slow"), DiskSpec(GIB)),
        nics=(NicSpec("app", mac="FA:16:3E:00:00:01"), NicSpec("db", "e1000e", start_connected=False)),
        memory_mib=2047,
        firmware="efi",
        guest_id="debian12_64Guest",
        annotation="moved",
        instance_uuid="11111111-2222-3333-4444-555555555555",
        marks=Marks("acme", "id-1", role="vm", state="importing"),
        name="50%/a",
    )
    vim = vmomi.vim()
    backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")
    config = to_config_spec(spec, "fast", {"app": backing, "db": backing})
    assert (config.name, config.numCPUs, config.memoryMB) == ("50%25%2fa", 2, 2048)
    assert (config.firmware, config.guestId, config.annotation) == ("efi", "debian12_64Guest", "moved")
    assert config.instanceUuid == spec.instance_uuid
    assert config.files.vmPathName == "[fast]"
    devices = [change.device for change in config.deviceChange]
    assert all(change.operation == "add" for change in config.deviceChange)
    assert len({device.key for device in devices}) == len(devices) and all(device.key < 0 for device in devices)
    nvme, pvscsi = devices[:2]
    assert isinstance(nvme, vim.vm.device.VirtualNVMEController)
    assert isinstance(pvscsi, vim.vm.device.ParaVirtualSCSIController) and pvscsi.sharedBus == "noSharing"
    disks = [device for device in devices if isinstance(device, vim.vm.device.VirtualDisk)]
    assert [(disk.controllerKey, disk.unitNumber) for disk in disks] == [
        (nvme.key, 0),
        (pvscsi.key, 0),
        (pvscsi.key, 1),
    ]
    assert [disk.capacityInKB for disk in disks] == [GIB // 1024, 2 * GIB // 1024, GIB // 1024]
    assert [disk.backing.fileName for disk in disks] == ["[fast]", "[slow]", "[fast]"]
    assert all(disk.backing.thinProvisioned for disk in disks)
    assert [c.fileOperation for c in config.deviceChange if c.device in disks] == ["create"] * 3
    kept, made = devices[-2:]
    assert isinstance(kept, vim.vm.device.VirtualVmxnet3)
    assert (kept.addressType, kept.macAddress) == ("manual", "fa:16:3e:00:00:01")
    assert isinstance(made, vim.vm.device.VirtualE1000e)
    assert (made.addressType, made.macAddress, made.connectable.startConnected) == ("generated", None, False)
    extra = {option.key: option.value for option in config.extraConfig}
    assert extra["disk.EnableUUID"] == "TRUE"
    assert extra["cloudexit.state"] == "importing" and extra["cloudexit.source_id"] == "id-1"
    assert [extra[f"cloudexit.disk.{n}"] for n in range(3)] == ["nvme0:0", "pvscsi0:0", "pvscsi0:1"]


def test_a_network_that_was_not_resolved_is_a_problem() -> None:
    with pytest.raises(InvalidInput, match=r"vm\.nics\[0\]\.network"):
        to_config_spec(a_spec(), "fast", {})


@pytest.mark.parametrize("text", ["pvscsi0:7", "lsisas3:15", "sata0:29", "nvme1:0"])
def test_places_are_read_back_as_they_were_written(text: str) -> None:
    assert str(DiskPlace.parse(text)) == text


@pytest.mark.parametrize("text", ["", "ide0:0", "pvscsi0", "pvscsi 0:0", "pvscsi0:0;x"])
def test_no_place(text: str) -> None:
    assert DiskPlace.parse(text) is None


def test_every_controller_is_a_class_of_the_api() -> None:
    for kind in CONTROLLERS.values():
        assert hasattr(vmomi.vim().vm.device, kind.class_name)
