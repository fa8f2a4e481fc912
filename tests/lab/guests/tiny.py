# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tiny guest: Debian's kernel and busybox, two scripts, and drivers for both clouds; no adaptation needed.

For tests that want many machines, or a machine soon.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from . import tools
from .flavours import FILES

MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "vmw_pvscsi", "sd_mod", "vmxnet3", "button", "evdev")
_EARLY = ("virtio_pci", "virtio_blk", "vmw_pvscsi", "sd_mod")
_OS_RELEASE = 'PRETTY_NAME="Lab tiny (Debian 12 kernel and busybox)"\nNAME="Lab tiny"\nID=lab-tiny\nVERSION_ID="12"\n'


def _modules(tree: Path, kernel: str, names: tuple[str, ...]) -> list[str]:
    """Files of these modules and of what they need, below lib/modules/<kernel>."""
    needs = {}
    for line in (tree / "lib/modules" / kernel / "modules.dep").read_text().splitlines():
        file, dummy, rest = line.partition(":")
        needs[file] = rest.split()
    by_name = {Path(f).name.split(".")[0].replace("-", "_"): f for f in needs}
    found: list[str] = []
    for name in names:
        if name in by_name:  # else it is built in
            found += [f for f in (by_name[name], *needs[by_name[name]]) if f not in found]
    return found


def _copy(tree: Path, to: Path, *files: str) -> None:
    for file in files:
        target = to / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2((tree / file).resolve() if (tree / file).is_symlink() else tree / file, target)


def _libraries(tree: Path, *programs: str) -> list[str]:
    """The shared libraries that programs in the tree need, as paths in the tree."""
    out = tools.in_chroot(tree, f"ldd {' '.join('/' + p for p in programs)}", what="libraries of the tiny guest")
    return sorted({m.lstrip("/") for m in re.findall(r"(/\S+\.so\S*) \(0x", out)})


def _skeleton(tree: Path, to: Path, kernel: str, modules: tuple[str, ...], programs: tuple[str, ...]) -> None:
    for folder in ("bin", "sbin", "dev", "proc", "sys", "root", "run", "tmp", "etc"):
        (to / folder).mkdir(parents=True, exist_ok=True)
    _copy(tree, to, "bin/busybox", *programs, *_libraries(tree, "bin/busybox", *programs))
    place = f"lib/modules/{kernel}"
    _copy(tree, to, f"{place}/modules.order", f"{place}/modules.builtin")
    wanted = _modules(tree, kernel, modules)
    for file in wanted:
        _copy(tree, to, f"{place}/{file}")
    lines = (tree / place / "modules.dep").read_text().splitlines()
    (to / place / "modules.dep").write_text("".join(f"{x}\n" for x in lines if x.partition(":")[0] in wanted))


def make_tree(tree: Path, to: Path, kernel: str, public_key: str, root_uuid: str, data_uuid: str) -> None:
    """The tiny guest's root file system at ``to``, out of a Debian tree with the flavour's packages."""
    initramfs = to.with_name("initramfs")
    _skeleton(tree, initramfs, kernel, _EARLY, ())
    shutil.copy2(FILES / "tiny-initramfs", initramfs / "init")
    (initramfs / "bin/sh").symlink_to("busybox")
    _skeleton(tree, to, kernel, MODULES, ("usr/sbin/dropbear",))
    applets = tools.in_chroot(tree, "busybox --list", what="busybox").split()
    for name in applets:
        link = to / ("sbin" if name in ("init", "poweroff", "reboot", "halt", "modprobe") else "bin") / name
        if name != "busybox":
            link.symlink_to("/bin/busybox")
    (to / "boot/grub").mkdir(parents=True)
    (to / "srv/data").mkdir(parents=True)
    shutil.copy2(tree / "boot" / f"vmlinuz-{kernel}", to / "boot/vmlinuz")
    archive = to / "boot/initrd.img"
    tools.run(
        [
            "sh",
            "-c",
            'cd "$1" && find . | cpio --quiet -o -H newc -R 0:0 | zstd -q -1 -o "$2"',
            "sh",
            initramfs,
            archive,
        ],
        what="initramfs of the tiny guest",
    )
    shutil.rmtree(initramfs)
    key = "etc/dropbear/dropbear_ed25519_host_key"
    tools.in_chroot(tree, f"mkdir -p /etc/dropbear; rm -f /{key}; dropbearkey -t ed25519 -f /{key}", what="host key")
    _copy(tree, to, key)
    words = f"root=UUID={root_uuid} console=tty0 console=ttyS0,115200 quiet mitigations=off no_timer_check"
    files = {
        "etc/inittab": (
            "::sysinit:/etc/rc\n::ctrlaltdel:/sbin/reboot\n::shutdown:/etc/rc.stop\n",
            0o644,
        ),
        "etc/rc": ((FILES / "tiny-rc").read_text(), 0o755),
        "etc/rc.stop": ((FILES / "tiny-stop").read_text(), 0o755),
        "etc/udhcpc.script": ((FILES / "tiny-udhcpc").read_text(), 0o755),
        "etc/acpi/PWRF/00000080": ("#!/bin/sh\nexec poweroff\n", 0o755),
        "etc/passwd": ("root:x:0:0:root:/root:/bin/sh\n", 0o644),
        "etc/shadow": ("root:*:19000:0:99999:7:::\n", 0o600),
        "etc/group": ("root:x:0:\n", 0o644),
        "etc/shells": ("/bin/sh\n", 0o644),
        "etc/os-release": (_OS_RELEASE, 0o644),
        "etc/fstab": (f"UUID={root_uuid} / ext4 defaults 0 0\nUUID={data_uuid} /srv/data ext4 defaults 0 0\n", 0o644),
        "etc/data-uuid": (data_uuid + "\n", 0o644),
        "root/.ssh/authorized_keys": (public_key.strip() + "\n", 0o600),
        "boot/grub/grub.cfg": (
            f"search --no-floppy --fs-uuid --set=root {root_uuid}\nlinux /boot/vmlinuz {words}\n"
            "initrd /boot/initrd.img\nboot\n",
            0o644,
        ),
    }
    for name, source in (
        ("lab-content", "lab-content"),
        ("lab-recorder", "tiny-recorder"),
        ("lab-report", "lab-report"),
    ):
        files[f"usr/local/sbin/{name}"] = ((FILES / source).read_text(), 0o755)
    for path, (content, mode) in files.items():
        file = to / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(mode)
    for folder in ("root", "root/.ssh"):
        (to / folder).chmod(0o700)
    os.chmod(to / "tmp", 0o1777)
