# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kernels can drive, and what an initramfs holds."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import hardware, initramfs
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import Hardware
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.tree import Tree

from .conftest import MODULES, Guest, cpio

ALL = (
    MODULES + "kernel/drivers/message/fusion/mptspi.ko.zst: kernel/drivers/message/fusion/mptscsih.ko.zst"
    " kernel/drivers/message/fusion/mptbase.ko.zst\n"
    "kernel/drivers/message/fusion/mptscsih.ko.zst: kernel/drivers/message/fusion/mptbase.ko.zst\n"
    "kernel/drivers/message/fusion/mptbase.ko.zst:\n"
    "kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko:\n"
)


def test_supported_hardware(guest: Guest) -> None:
    guest.kernel("6.1.0-10-amd64", modules=ALL)
    guest.files({"/lib/modules/5.10.0-1-amd64/modules.dep": "x.ko:\n"})  # no image in /boot: cannot be booted
    assert hardware.supported_hardware(Tree(str(guest.root))) == {
        "6.1.0-9-cloud-amd64": {"controllers": ["pvscsi", "nvme"], "nics": ["vmxnet3"]},
        "6.1.0-10-amd64": {"controllers": ["pvscsi", "lsilogic", "nvme"], "nics": ["vmxnet3", "e1000e"]},
    }


def test_the_highest_version_is_the_default(guest: Guest) -> None:
    guest.kernel("6.1.0-10-amd64")
    kernels = hardware.kernels_of(Tree(str(guest.root)))
    assert [(kernel.version, kernel.default) for kernel in kernels] == [
        ("6.1.0-9-cloud-amd64", False),
        ("6.1.0-10-amd64", True),
    ]
    assert kernels[0].initramfs == "/boot/initrd.img-6.1.0-9-cloud-amd64"


def test_a_controller_that_the_default_kernel_cannot_drive(guest: Guest) -> None:
    guest.kernel("6.1.0-10-amd64", modules=ALL)
    kernels = hardware.kernels_of(Tree(str(guest.root)))
    refusals, warnings = hardware.unfit(Hardware(("lsilogic",), ("e1000",)), kernels)
    assert refusals == [
        "kernel 6.1.0-10-amd64 has no driver for the network adapter e1000; it can drive: vmxnet3, e1000e"
    ]
    assert warnings[0] == (
        "kernel 6.1.0-9-cloud-amd64 has no driver for the controller lsilogic; it can drive: pvscsi, nvme"
    )


def test_wanted_drivers_are_those_that_are_modules(guest: Guest) -> None:
    guest.kernel("6.1.0-10-amd64", modules=ALL)
    modules = hardware.modules_of(Tree(str(guest.root)), "6.1.0-10-amd64")
    wanted = hardware.wanted_drivers(Hardware(("lsilogic",), ("vmxnet3",)), modules)
    assert wanted == ["mptspi", "vmxnet3", "vmw_pvscsi", "sd_mod"]
    assert modules.closure(wanted) == [
        "mptbase", "mptscsih", "mptspi", "scsi_mod", "sd_mod", "vmw_pvscsi", "vmxnet3"
    ]  # fmt: skip


def modules_in(data: bytes, folder: Path) -> frozenset[str]:
    (folder / "initramfs").write_bytes(data)
    with open(folder / "initramfs", "rb") as file:
        return initramfs.modules_in(file)


@pytest.mark.parametrize(
    "squeeze",
    [
        lambda data: data,
        gzip.compress,
        lzma.compress,
        lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
        bz2.compress,
        pytest.param(
            lambda data: subprocess.run(["zstd", "-q"], input=data, capture_output=True, check=True).stdout,
            marks=pytest.mark.skipif(not shutil.which("zstd"), reason="zstd is not installed"),
        ),
    ],
    ids=["plain", "gzip", "xz", "lzma", "bzip2", "zstd"],
)
def test_modules_behind_microcode(squeeze: object, tmp_path: Path) -> None:
    early = cpio(["kernel/x86/microcode/AuthenticAMD.bin"]) + bytes(1024)
    inner = cpio(["usr/lib/modules/6/kernel/vmw-pvscsi.ko.xz", "etc/modules"]) + bytes(12) + cpio(["a/virtio_blk.ko"])
    data = early + squeeze(inner)
    assert modules_in(data, tmp_path) == {"vmw_pvscsi", "virtio_blk"}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"not an archive", "not known"),
        (gzip.compress(b"not an archive"), "not a cpio archive"),
        (cpio(["a.ko"])[:-200], "middle"),
        (cpio(["a.ko"])[:50], "middle"),
        (gzip.compress(cpio(["a.ko"] * 500))[:60], "damaged"),
        (gzip.compress(cpio(["a.ko"]) + b"more"), "something else"),
        (b"\x1f\x8bdamaged", "damaged"),
    ],
)
def test_damaged(data: bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(initramfs.Unreadable, match=told):
        modules_in(data, tmp_path)


def test_a_program_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(initramfs.Unreadable, match="zstd, which is not installed here"):
        modules_in(b"\x28\xb5\x2f\xfd....", tmp_path)
