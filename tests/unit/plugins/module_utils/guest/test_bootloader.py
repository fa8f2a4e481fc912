# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loader at the path that every UEFI firmware tries; finding the boot loader."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import bootloader
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.tree import Tree

from .conftest import Guest


@pytest.fixture
def esp(tmp_path: Path) -> Guest:
    return Guest(tmp_path / "esp").files({"/EFI/debian/grubx64.efi": b"MZgrub", "/EFI/debian/grub.cfg": "x"})


def loader(esp: Guest) -> tuple[dict[str, str | None], list[str], list[str]]:
    tree = Tree(str(esp.root))
    problems, warnings = bootloader.removable_loader(tree, prefix="ESP")
    return {change.path: change.after_text for change in tree.commit()}, problems, warnings


def test_grub_alone(esp: Guest) -> None:
    assert loader(esp) == ({"/EFI/BOOT/BOOTX64.EFI": "MZgrub"}, [], [])
    assert loader(esp) == ({}, [], [])


def test_shim_brings_grub_along(esp: Guest) -> None:
    esp.files({"/EFI/debian/shimx64.efi": b"MZshim", "/EFI/boot/fbx64.efi": b"MZ"})
    assert loader(esp)[0] == {"/EFI/boot/BOOTX64.EFI": "MZshim", "/EFI/boot/grubx64.efi": "MZgrub"}
    assert loader(esp) == ({}, [], [])


def test_one_that_is_there_stays_however_it_is_spelt(tmp_path: Path) -> None:
    assert loader(Guest(tmp_path).files({"/efi/Boot/bootx64.efi": b"MZ", "/efi/x/grubx64.efi": b"MZ"})) == ({}, [], [])


def test_nothing_that_could_stand_in(esp: Guest) -> None:
    esp.files({"/EFI/debian/grubx64.efi": None})
    assert loader(esp)[1] == ["ESP holds no EFI/BOOT/BOOTX64.EFI, and no grubx64.efi that could stand in for it"]


def test_two_vendors(esp: Guest) -> None:
    esp.files({"/EFI/ubuntu/grubx64.efi": b"MZother"})
    changes, dummy, warnings = loader(esp)
    assert changes == {"/EFI/BOOT/BOOTX64.EFI": "MZgrub"}
    assert warnings == ["ESP holds the loaders of debian, ubuntu; that of debian was taken"]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/boot/grub/grub.cfg", "grub2"),
        ("/boot/grub2/grub.cfg", "grub2"),
        ("/boot/efi/EFI/redhat/grub.cfg", "grub2"),
        ("/boot/grub/menu.lst", "grub legacy"),
        ("/boot/loader/loader.conf", "systemd-boot"),
        ("/etc/lilo.conf", "lilo"),
        ("/etc/hosts", ""),
    ],
)
def test_find_bootloader(tmp_path: Path, file: str, name: str) -> None:
    guest = Guest(tmp_path).files({file: "x"})
    assert bootloader.find_bootloader(Tree(str(guest.root))) == name


def test_kernel_root(guest: Guest) -> None:
    assert bootloader.kernel_root(Tree(str(guest.root))) == "/dev/vda1"


def test_reasons_say_what_was_done(guest: Guest) -> None:
    tree = Tree(str(guest.root))
    bootloader.rewrite_boot_files(tree, lambda _name: None, console=True)
    assert {change.path: change.reason for change in tree.changes()} == {
        "/boot/grub/grub.cfg": "the screen is a console too",
        "/etc/default/grub": "disks are named by UUID, and the screen is a console too",
    }
