# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device an attached volume is: by its serial, never by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import devices
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Conflict, NotFound

VOLUME = "0b8b8d5e-57ab-4f4c-a1a1-3f9a6c6c3f10"
SERIALS = [VOLUME[:20], VOLUME]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "dev/disk/by-id").mkdir(parents=True)
    (tmp_path / "sys/block").mkdir(parents=True)
    for name in ("vda", "vdb", "sdc"):
        (tmp_path / "dev" / name).write_bytes(bytes(4096))
        (tmp_path / "sys/block" / name).mkdir()
    (tmp_path / "sys/block/vda/serial").write_text("11111111-2222-3333-4\n")
    return tmp_path


def link(root: Path, name: str, device: str) -> None:
    (root / "dev/disk/by-id" / name).symlink_to(f"../../{device}")


@pytest.mark.parametrize("name", [f"virtio-{VOLUME[:20]}", f"scsi-0QEMU_QEMU_HARDDISK_{VOLUME}"])
def test_by_the_link(root: Path, name: str) -> None:
    assert devices.find(SERIALS, root=root) is None
    link(root, name, "vdb")
    link(root, f"{name}-part1", "vda")
    assert devices.find(SERIALS, root=root) == root / "dev/vdb"


def test_by_the_kernel(root: Path) -> None:
    (root / "sys/block/vdb/serial").write_text(f"{VOLUME[:20]}\n")
    assert devices.find(SERIALS, root=root) == root / "dev/vdb"
    link(root, f"virtio-{VOLUME[:20]}", "vdb")
    assert devices.find(SERIALS, root=root) == root / "dev/vdb", "both ways lead to one"


def test_two_devices_of_one_serial_are_not_guessed_between(root: Path) -> None:
    (root / "sys/block/vdb/serial").write_text(VOLUME[:20])
    link(root, f"virtio-{VOLUME[:20]}", "sdc")
    with pytest.raises(Conflict, match=f"Several devices of the reader host carry the serial {VOLUME[:20]}"):
        devices.find(SERIALS, root=root)


def test_it_is_waited_for_and_measured(root: Path) -> None:
    def appears(seconds: float) -> None:
        link(root, f"virtio-{VOLUME[:20]}", "vdb")

    found = devices.await_device(SERIALS, 4096, "the clone", root=root, sleep=appears)
    assert found == root / "dev/vdb"
    with pytest.raises(Conflict, match="it has 4096 bytes, but the volume has 8192"):
        devices.await_device(SERIALS, 8192, "the clone", root=root)


def test_a_device_that_does_not_come(root: Path) -> None:
    with pytest.raises(NotFound, match=r"shows no device for the clone.*server_id") as caught:
        devices.await_device(SERIALS, 1, "the clone", root=root, timeout_s=0)
    assert caught.value.retryable
