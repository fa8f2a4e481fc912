# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that are only a handful of files: enough for every decision that an adaptation makes."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(40)
MODULES = (
    "kernel/drivers/scsi/vmw_pvscsi.ko: kernel/drivers/scsi/scsi_mod.ko\n"
    "kernel/drivers/scsi/scsi_mod.ko:\n"
    "kernel/drivers/scsi/sd_mod.ko.xz: kernel/drivers/scsi/scsi_mod.ko\n"
    "kernel/drivers/net/vmxnet3/vmxnet3.ko:\n"
    "kernel/drivers/block/virtio_blk.ko:\n"
)
BUILTIN = "kernel/drivers/nvme/host/nvme.ko\n"


def cpio(names: Sequence[str]) -> bytes:
    """A cpio archive (new ASCII format) of empty files."""
    data = b""
    for name in [*names, "TRAILER!!!"]:
        raw = name.encode() + b"\0"
        fields = [0, 0o100644, 0, 0, 1, 0, 0, 0, 0, 0, 0, len(raw), 0]
        data += b"070701" + b"".join(b"%08X" % field for field in fields) + raw
        data += bytes(-len(data) % 4)
    return data


class Guest:
    """A directory that looks like a guest. `files` adds or replaces files; None removes one."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, content: Mapping[str, str | bytes | None]) -> Guest:
        for path, data in content.items():
            place = self.root / path.lstrip("/")
            if data is None:
                place.unlink()
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data.encode() if isinstance(data, str) else data)
        return self

    def link(self, path: str, target: str) -> Guest:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
        return self

    def kernel(
        self, version: str, *, modules: str = MODULES, builtin: str = BUILTIN, held: Sequence[str] = ()
    ) -> Guest:
        names = [f"usr/lib/modules/{version}/kernel/x/{name}.ko" for name in ("virtio_blk", *held)]
        return self.files(
            {
                f"/boot/vmlinuz-{version}": "kernel",
                f"/lib/modules/{version}/modules.dep": modules,
                f"/lib/modules/{version}/modules.builtin": builtin,
                f"/boot/initrd.img-{version}": cpio(["kernel/x86/microcode"]) + bytes(512) + gzip.compress(cpio(names)),
            }
        )

    def snapshot(self) -> dict[str, str | bytes]:
        """Everything in it: content of files, targets of links."""
        return {
            str(path.relative_to(self.root)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_symlink() or path.is_file()
        }


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    """A Debian with initramfs-tools and ifupdown whose root is /dev/vda1."""
    made = Guest(tmp_path / "guest")
    made.kernel("6.1.0-9-cloud-amd64")
    return made.files(
        {
            "/etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
            "/usr/bin/ls": ELF,
            "/usr/lib/systemd/systemd": ELF,
            "/usr/sbin/mkinitramfs": "#!/bin/sh\n",
            "/etc/initramfs-tools/modules": "virtio_blk\n",
            "/etc/fstab": "# <what> <where>\n/dev/vda1\t/  ext4 defaults 0 1\n/dev/vdb /srv ext4 nofail 0 2\n",
            "/etc/default/grub": 'GRUB_CMDLINE_LINUX="console=ttyS0,115200"\nGRUB_DISABLE_LINUX_UUID=true\n',
            "/boot/grub/grub.cfg": "menuentry x {\n\tlinux /boot/vmlinuz root=/dev/vda1 ro console=ttyS0\n}\n",
            "/etc/network/interfaces": "auto lo ens3\niface lo inet loopback\niface ens3 inet dhcp\n",
        }
    )
