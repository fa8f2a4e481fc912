# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device names to UUIDs in the texts that carry them."""

from __future__ import annotations

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import names
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.names import Volume

KNOWN = {
    "/dev/vda1": Volume(uuid="root-uuid"),
    "/dev/vda5": Volume(uuid="swap-uuid"),
    "/dev/xvdb": Volume(uuid="DATA-1"),
    "/dev/disk/by-id/virtio-0123-part1": Volume(uuid="id-uuid"),
    "/dev/vda9": Volume(),
}
resolve = KNOWN.get


@pytest.mark.parametrize(
    ("name", "depends"),
    [
        ("/dev/vda1", True),
        ("/dev/sdb", True),
        ("/dev/xvda", True),
        ("/dev/hda2", True),
        ("/dev/nvme0n1p1", True),
        ("/dev/disk/by-id/virtio-abc-part1", True),
        ("/dev/disk/by-path/pci-0000:00:05.0-part1", True),
        ("/dev/disk/by-uuid/abc", False),
        ("/dev/disk/by-label/root", False),
        ("/dev/disk/by-id/dm-name-vg-root", False),
        ("/dev/mapper/vg-root", False),
        ("/dev/vg/root", False),
        ("/dev/sr0", False),
        ("/dev/vda1x", False),
        ("UUID=/dev/vda1", False),
        ("/swapfile", False),
    ],
)
def test_what_depends_on_hardware(name: str, depends: bool) -> None:
    assert names.depends_on_hardware(name) is depends


def test_fstab() -> None:
    text = (
        "# /dev/vda1 was root\n"
        "/dev/vda1\t/   ext4  errors=remount-ro 0 1   # the root\n"
        "\n"
        "/dev/vda5 none swap sw 0 0\n"
        "/dev/xvdb /srv xfs defaults\n"
        "UUID=x /home ext4 defaults 0 2\n"
        "/dev/mapper/vg-lv /var xfs defaults 0 0\n"
        "/dev/disk/by-id/virtio-0123-part1 /data ext4 defaults 0 2\n"
        "tmpfs /tmp tmpfs defaults 0 0"
    )
    result = names.rewrite_fstab(text, resolve)
    assert result.text == (
        "# /dev/vda1 was root\n"
        "UUID=root-uuid\t/   ext4  errors=remount-ro 0 1   # the root\n"
        "\n"
        "UUID=swap-uuid none swap sw 0 0\n"
        "UUID=DATA-1 /srv xfs defaults\n"
        "UUID=x /home ext4 defaults 0 2\n"
        "/dev/mapper/vg-lv /var xfs defaults 0 0\n"
        "UUID=id-uuid /data ext4 defaults 0 2\n"
        "tmpfs /tmp tmpfs defaults 0 0"
    )
    assert (result.problems, result.warnings) == ([], [])
    assert names.rewrite_fstab(result.text, resolve).text == result.text


def test_fstab_with_a_disk_that_is_not_known() -> None:
    text = "/dev/vdc /srv ext4 defaults 0 2\n/dev/vdd /old ext4 defaults,nofail 0 2\n/dev/vda9 /x ext4 defaults 0 0\n"
    result = names.rewrite_fstab(text, resolve)
    assert result.text == text
    assert [problem.split(",")[0] for problem in result.problems] == [
        "fstab mounts /srv from /dev/vdc",
        "fstab mounts /x from /dev/vda9",
    ]
    assert len(result.warnings) == 1 and "/dev/vdd" in result.warnings[0]


def test_crypttab() -> None:
    text = "# name what\ndata /dev/xvdb none luks\nother UUID=1 none luks\nlost /dev/vdz1 none\n"
    result = names.rewrite_crypttab(text, resolve)
    assert result.text == "# name what\ndata UUID=DATA-1 none luks\nother UUID=1 none luks\nlost /dev/vdz1 none\n"
    assert len(result.problems) == 1 and "lost" in result.problems[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("root=/dev/vda1 ro quiet", "root=UUID=root-uuid ro quiet"),
        ("ro resume=/dev/vda5", "ro resume=UUID=swap-uuid"),
        ("root=UUID=1 ro console=tty0 console=ttyS0", "root=UUID=1 ro console=tty0 console=ttyS0"),
        ("ro console=ttyS0,115200n8 quiet", "ro console=tty0 console=ttyS0,115200n8 quiet"),
        ("ro quiet", "ro quiet"),
        ("root=/dev/mapper/vg-root rd.lvm.lv=vg/root", "root=/dev/mapper/vg-root rd.lvm.lv=vg/root"),
        ("nfsroot=/dev/vda1", "nfsroot=/dev/vda1"),
    ],
)
def test_kernel_arguments(before: str, after: str) -> None:
    assert names.rewrite_cmdline(before, resolve).text == after
    assert names.rewrite_cmdline(after, resolve).text == after


def test_a_root_that_is_not_known_is_a_problem_and_a_resume_only_a_warning() -> None:
    result = names.rewrite_cmdline("root=/dev/vdz1 resume=/dev/vdz2", resolve)
    assert (len(result.problems), len(result.warnings)) == (1, 1)


def test_grub_cfg() -> None:
    text = (
        "set root='hd0,msdos1'\n"
        "# linux root=/dev/vda1\n"
        "menuentry 'x' {\n"
        "\tlinux\t/boot/vmlinuz root=/dev/vda1 ro console=ttyS0\n"
        "\tlinux16 /boot/vmlinuz root=/dev/vda1\n"
        "\tinitrd\t/boot/initrd\n"
        "}\n"
        'set default_kernelopts="root=/dev/vda1 ro"\n'
    )
    assert names.rewrite_grub_cfg(text, resolve).text == (
        "set root='hd0,msdos1'\n"
        "# linux root=/dev/vda1\n"
        "menuentry 'x' {\n"
        "\tlinux\t/boot/vmlinuz root=UUID=root-uuid ro console=tty0 console=ttyS0\n"
        "\tlinux16 /boot/vmlinuz root=UUID=root-uuid\n"
        "\tinitrd\t/boot/initrd\n"
        "}\n"
        'set default_kernelopts="root=UUID=root-uuid ro"\n'
    )
    assert "console=tty0" not in names.rewrite_grub_cfg(text, resolve, console=False).text


def test_grub_default() -> None:
    text = 'GRUB_CMDLINE_LINUX="root=/dev/vda1 console=ttyS0"\nGRUB_DISABLE_LINUX_UUID="true"\n#GRUB_DEVICE=/dev/vda1\n'
    result = names.rewrite_grub_default(text, resolve)
    assert result.text == (
        'GRUB_CMDLINE_LINUX="root=UUID=root-uuid console=tty0 console=ttyS0"\n'
        '#GRUB_DISABLE_LINUX_UUID="true"\n#GRUB_DEVICE=/dev/vda1\n'
    )
    assert names.rewrite_grub_default(result.text, resolve).text == result.text


def test_grubenv_keeps_its_size() -> None:
    text = "# GRUB Environment Block\nsaved_entry=1\nkernelopts=root=/dev/vda1 ro\n"
    text += "#" * (1024 - len(text))
    result = names.rewrite_grubenv(text, resolve)
    assert len(result.text) == 1024
    assert "kernelopts=root=UUID=root-uuid ro\n" in result.text
    assert names.rewrite_grubenv(result.text, resolve).text == result.text
    assert names.rewrite_grubenv("something else", resolve).text == "something else"


def test_boot_loader_entry() -> None:
    text = "title x\noptions root=/dev/vda1 ro $tuned_params\n"
    assert names.rewrite_boot_entry(text, resolve).text == "title x\noptions root=UUID=root-uuid ro $tuned_params\n"


def test_resume() -> None:
    assert names.rewrite_resume("RESUME=/dev/vda5\n", resolve).text == "RESUME=UUID=swap-uuid\n"
    assert names.rewrite_resume("RESUME=UUID=1\n", resolve).text == "RESUME=UUID=1\n"
    assert names.rewrite_resume("RESUME=none\n", resolve).text == "RESUME=none\n"
    assert names.rewrite_resume("RESUME=/dev/vdz\n", resolve).warnings
