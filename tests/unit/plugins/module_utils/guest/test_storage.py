# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a disk holds, and whose name is whose: on image files, without mounting and without privileges."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import storage
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import AdaptPlan
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import NotFound, Refused

MIB = 1 << 20
ROOT = "11111111-2222-3333-4444-555555555555"
DATA = "66666666-7777-8888-9999-aaaaaaaaaaaa"


def image(path: Path, size: int, table: str = "", systems: dict[int, tuple[str, str]] | None = None) -> str:
    """A sparse image of `size` MiB with a partition table, and ext4 with UUID and label at the given offsets (MiB)."""
    with open(path, "wb") as file:
        file.truncate(size * MIB)
    if table:
        subprocess.run(["sfdisk", "-q", str(path)], input=table.encode(), check=True)
    for offset, (uuid, label) in (systems or {}).items():
        options = ["-q", "-F", "-O", "^has_journal", "-U", uuid, "-L", label, "-E", f"offset={offset * MIB}"]
        subprocess.run(["mkfs.ext4", *options, str(path), "3M"], check=True, capture_output=True)
    return str(path)


@pytest.fixture
def mbr(tmp_path: Path) -> str:
    table = (
        "label: dos\nlabel-id: 0xabcd\n"
        "start=1MiB, size=3MiB, type=83\nstart=4MiB, size=3MiB, type=5\nstart=5MiB, type=82\n"
    )
    return image(tmp_path / "mbr", 8, table, {1: (ROOT, "root")})


@pytest.fixture
def gpt(tmp_path: Path) -> str:
    table = (
        "label: gpt\nstart=1MiB, size=1MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n"
        f'start=2MiB, size=3MiB, type=L, uuid={DATA}, name="the root"\n'
    )
    return image(tmp_path / "gpt", 8, table, {2: (ROOT, "")})


def test_mbr(mbr: str) -> None:
    disk = storage.read_disk(mbr)
    assert (disk.label, disk.firmware, disk.esp) == ("dos", ["bios"], None)
    assert [(one.number, one.offset // MIB, one.uuid) for one in disk.partitions] == [
        (1, 1, "0000abcd-01"),
        (5, 5, "0000abcd-05"),
    ]
    assert disk.numbers[1].uuid == ROOT and disk.numbers[1].kind == "ext4" and disk.numbers[1].offset == MIB
    assert disk.numbers[5].kind == ""


def test_gpt(gpt: str) -> None:
    disk = storage.read_disk(gpt)
    assert (disk.label, disk.firmware) == ("gpt", ["efi"])
    assert disk.esp and disk.esp.offset == MIB
    assert (disk.numbers[2].uuid, disk.numbers[2].part_uuid, disk.numbers[2].part_label) == (ROOT, DATA, "the root")


def test_no_partition_table(tmp_path: Path) -> None:
    disk = storage.read_disk(image(tmp_path / "data", 4, systems={0: (DATA, "")}))
    assert (disk.label, disk.partitions, disk.numbers[0].uuid) == ("", [], DATA)


def test_empty(tmp_path: Path) -> None:
    assert storage.read_disk(image(tmp_path / "empty", 1)).volumes == []


def test_whose_name_is_whose(mbr: str, tmp_path: Path) -> None:
    data = image(tmp_path / "data", 4, systems={0: (DATA, "srv")})
    plan = AdaptPlan.from_dict(
        {
            "boot_disk_serial": "0123",
            "data_disks": [{"device": data, "serial": "0f5c6b7e-1111-2222-3333-444444444444"[:20]}],
        }
    )
    disks = storage.open_disks(mbr, plan)
    for name in ("/dev/vda1", "/dev/sda1", "/dev/xvda1", "/dev/disk/by-id/virtio-0123-part1"):
        volume = disks.resolve(name)
        assert volume and volume.uuid == ROOT, name
    for name in ("/dev/vdb", "/dev/disk/by-id/virtio-0f5c6b7e-1111-2222-3"):
        volume = disks.resolve(name)
        assert volume and volume.uuid == DATA, name
    for name in ("/dev/vdc", "/dev/vda3", "/dev/disk/by-id/virtio-9999", "/dev/mapper/x"):
        assert disks.resolve(name) is None, name
    for spec in (f"UUID={ROOT}", f'UUID="{ROOT.upper()}"', "LABEL=root", "PARTUUID=0000abcd-01", "/dev/vda1"):
        volume = disks.find(spec)
        assert volume and volume.uuid == ROOT, spec
    for spec in ("LABEL=srv", f"/dev/disk/by-uuid/{DATA}", "/dev/disk/by-label/srv"):
        volume = disks.find(spec)
        assert volume and volume.uuid == DATA, spec
    for spec in ("UUID=", "LABEL=x", "/dev/vg/root", "tmpfs"):
        assert disks.find(spec) is None, spec


def test_disks_by_the_names_that_the_guest_had(mbr: str, tmp_path: Path) -> None:
    data = image(tmp_path / "data", 4, systems={0: (DATA, "")})
    plan = AdaptPlan.from_dict({"boot_disk_name": "vdb", "data_disks": [{"device": data, "name": "/dev/vda"}]})
    disks = storage.open_disks(mbr, plan)
    assert [getattr(disks.resolve(name), "uuid", None) for name in ("/dev/vdb1", "/dev/vda")] == [ROOT, DATA]


@pytest.mark.parametrize(("index", "letters"), [(0, "a"), (25, "z"), (26, "aa"), (27, "ab")])
def test_letters(index: int, letters: str) -> None:
    assert storage._letter_of(index) == letters


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such device"):
        storage.read_disk(str(tmp_path / "x"))
    with pytest.raises(Refused):
        storage.read_disk(str(tmp_path))
