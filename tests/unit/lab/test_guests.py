# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guests' builder, as far as it can be tested without building."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.guests import build, image, tools
from tests.lab.guests.flavours import FLAVOURS, VIRTIO, common_files, common_script


def test_initramfs_has_virtio_only() -> None:
    for flavour in FLAVOURS.values():
        if flavour.initramfs != "initramfs-tools":
            continue
        files = common_files(flavour, "ssh-ed25519 AAAA", "0" * 32)
        assert files["/etc/initramfs-tools/conf.d/10-host"][0].startswith("MODULES=list\n")
        assert files["/etc/initramfs-tools/modules"][0].split() == list(VIRTIO)


def test_flavours_cover_what_a_cloud_has() -> None:
    real = list(FLAVOURS.values())
    assert {f.firmware for f in real} == {"bios", "efi"}
    assert {f.initramfs for f in real} >= {"initramfs-tools", "dracut"}
    assert {f.root_by for f in real} >= {"uuid", "device", "lvm"}
    assert {f.network_tool for f in real} >= {"ifupdown", "netplan", "networkd", "NetworkManager"}
    assert {f.data for f in real} >= {"ext4", "lvm-xfs"}
    assert {f.addressing for f in real} == {"dhcp", "static"}


@pytest.mark.parametrize("name", [n for n, f in FLAVOURS.items() if f.initramfs != "none"])
def test_fstab_names_root_as_the_flavour_says(name: str) -> None:
    flavour = FLAVOURS[name]
    layout = image.Layout.new(flavour)
    rows = [line.split() for line in layout.fstab().splitlines()]
    assert all(len(row) == 6 and row[5] == "0" for row in rows)
    root = next(row for row in rows if row[1] == "/")
    names = {"uuid": f"UUID={layout.root_uuid}", "device": "/dev/vda1", "lvm": "/dev/mapper/sys-root"}
    assert root[0] == names[flavour.root_by]
    assert ("/boot" in [row[1] for row in rows]) == (flavour.root_by == "lvm")
    data = next(row for row in rows if row[1] == "/srv/data")
    assert data[2] == ("xfs" if flavour.data == "lvm-xfs" else "ext4")
    assert ("/boot/efi" in [row[1] for row in rows]) == (flavour.firmware == "efi")


def test_root_logs_in_with_the_key_only() -> None:
    for flavour in FLAVOURS.values():
        files = common_files(flavour, "ssh-ed25519 AAAA lab", "0" * 32)
        assert files["/root/.ssh/authorized_keys"] == ("ssh-ed25519 AAAA lab\n", 0o600)
        assert "PasswordAuthentication no" in files["/etc/ssh/sshd_config.d/10-lab.conf"][0]
        assert "usermod -p '*' root" in common_script(flavour)


def test_a_build_is_known_by_its_sources_and_its_key() -> None:
    one = build.build_id("bios-initramfs-ifupdown", "key a")
    assert one == build.build_id("bios-initramfs-ifupdown", "key a")
    assert one != build.build_id("bios-initramfs-ifupdown", "key b")
    assert one.startswith("bios-initramfs-ifupdown-")


def test_description_of_what_was_never_built(tmp_path: Path) -> None:
    assert build.description(tmp_path, "bios-initramfs-ifupdown") is None
    with pytest.raises(KeyError):
        build.ensure(tmp_path, "windows")


def test_a_failing_step_names_itself_and_ends_with_the_programs_words() -> None:
    with pytest.raises(tools.BuildError, match=r"(?s)the step: sh ended with code 3\n.*the reason"):
        tools.run(["sh", "-c", "echo the reason >&2; exit 3"], what="the step")
