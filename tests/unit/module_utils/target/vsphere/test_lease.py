# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which URL of a lease belongs to which disk."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Conflict
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import vmomi
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.lease import (
    disk_order,
    map_urls,
    substitute_host,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.spec import DiskPlace

BOOT, DATA, LOG = DiskPlace("pvscsi", 0, 0), DiskPlace("pvscsi", 0, 1), DiskPlace("lsisas", 1, 0)


def device_url(number: int, key: str = "", import_key: str = "", disk: bool | None = True, target: str = "") -> Any:
    return SimpleNamespace(
        key=key,
        importKey=import_key,
        url=f"https://*/nfc/x/disk-{number}.vmdk",
        sslThumbprint="AA",
        disk=disk,
        targetId=target or f"disk-{number}.vmdk",
    )


def mapped(urls: list[Any], places: list[DiskPlace]) -> list[tuple[int, str]]:
    return [(one.disk, one.url) for one in map_urls(urls, places, "vc.example", "cannot import x")]


def test_disks_are_found_by_their_place_whatever_the_order() -> None:
    urls = [
        device_url(0, import_key="/vm/VirtualLsiLogicSASController1:0"),
        device_url(1, import_key="/vm/ParaVirtualSCSIController0:1"),
        device_url(2, import_key="/vm/ParaVirtualSCSIController0:0"),
    ]
    assert mapped(urls, [BOOT, DATA, LOG]) == [
        (0, "https://vc.example/nfc/x/disk-2.vmdk"),
        (1, "https://vc.example/nfc/x/disk-1.vmdk"),
        (2, "https://vc.example/nfc/x/disk-0.vmdk"),
    ]


def test_an_export_names_only_keys_and_has_files_that_are_no_disks() -> None:
    urls = [
        device_url(0, key="/vm-1/nvram", disk=False, target="vm.nvram"),
        device_url(1, key="/vm-1/ParaVirtualSCSIController0:1"),
        device_url(2, key="/vm-1/ParaVirtualSCSIController0:0"),
    ]
    assert [number for number, _url in mapped(urls, [BOOT, DATA])] == [0, 1]
    assert mapped(urls, [BOOT, DATA])[0][1].endswith("disk-2.vmdk")


def test_names_with_slashes_and_colons_do_not_confuse() -> None:
    urls = [device_url(0, import_key="/evil/ParaVirtualSCSIController0:1/x:9/ParaVirtualSCSIController0:0")]
    assert mapped(urls, [BOOT]) == [(0, "https://vc.example/nfc/x/disk-0.vmdk")]


def test_numbered_disks_are_taken_at_their_number() -> None:
    urls = [device_url(0, import_key="/vm/disk:1"), device_url(1, import_key="/vm/disk:0")]
    assert mapped(urls, [BOOT, DATA])[0][1].endswith("disk-1.vmdk")


@pytest.mark.parametrize(
    "urls",
    [
        [device_url(0, import_key="/vm/ParaVirtualSCSIController0:0")],
        [
            device_url(0, import_key="/vm/ParaVirtualSCSIController0:0"),
            device_url(1, import_key="/vm/ParaVirtualSCSIController0:5"),
        ],
        [
            device_url(0, import_key="/vm/ParaVirtualSCSIController0:0"),
            device_url(1, import_key="/vm/ParaVirtualSCSIController0:0"),
        ],
        [device_url(0, import_key="/vm/disk:0"), device_url(1, import_key="/vm/disk:7")],
        [device_url(0, import_key="/vm/what"), device_url(1, import_key="/vm/ever")],
        [device_url(n, import_key=f"/vm/ParaVirtualSCSIController0:{n}") for n in range(3)],
        [],
    ],
)
def test_whatever_is_not_one_to_one_is_refused(urls: list[Any]) -> None:
    with pytest.raises(Conflict):
        mapped(urls, [BOOT, DATA])


@pytest.mark.parametrize(
    ("url", "host", "result"),
    [
        ("https://*/nfc/a*b", "vc", "https://vc/nfc/a*b"),
        ("https://*:902/nfc", "vc", "https://vc:902/nfc"),
        ("https://esx-1/nfc", "vc", "https://esx-1/nfc"),
        ("https://*/nfc", "2001:db8::1", "https://[2001:db8::1]/nfc"),
    ],
)
def test_a_star_is_the_host_that_was_connected_to(url: str, host: str, result: str) -> None:
    assert substitute_host(url, host) == result


def test_disk_order_is_the_one_of_the_import_not_of_the_keys() -> None:
    device = vmomi.vim().vm.device
    devices = [
        device.ParaVirtualSCSIController(key=1000, busNumber=0),
        device.VirtualNVMEController(key=31000, busNumber=0),
        device.VirtualDisk(key=2000, controllerKey=1000, unitNumber=0, backing=None),
        device.VirtualDisk(key=2001, controllerKey=1000, unitNumber=1),
        device.VirtualDisk(key=32000, controllerKey=31000, unitNumber=0),
    ]
    extra = {"cloudexit.disk.0": "nvme0:0", "cloudexit.disk.1": "pvscsi0:0", "cloudexit.disk.2": "sata9:9"}
    assert [key for _place, key in disk_order(devices, extra)] == [32000, 2000, 2001]
    assert [key for _place, key in disk_order(devices, {})] == [2000, 2001, 32000]
