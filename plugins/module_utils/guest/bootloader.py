# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot loader files: kernel arguments by UUID, and the loader at the path that every UEFI firmware tries."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import names
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.names import Resolve, Rewrite
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.tree import Tree

REMOVABLE = "/EFI/BOOT/BOOTX64.EFI"


def grub_configs(tree: Tree) -> list[str]:
    """The grub.cfg files of the guest: in /boot, and of each vendor on a mounted EFI system partition."""
    paths = ["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"]
    paths += [f"/boot/efi/EFI/{name}/grub.cfg" for name in tree.names("/boot/efi/EFI")]
    return [path for path in paths if tree.is_file(path)]


def find_bootloader(tree: Tree) -> str:
    """ "grub2", or the name of another one that is not understood, or ""."""
    if grub_configs(tree):
        return "grub2"
    for path, name in (
        ("/boot/grub/menu.lst", "grub legacy"),
        ("/boot/grub/grub.conf", "grub legacy"),
        ("/boot/extlinux/extlinux.conf", "extlinux"),
        ("/boot/syslinux/syslinux.cfg", "syslinux"),
        ("/etc/lilo.conf", "lilo"),
        ("/boot/efi/EFI/systemd/systemd-bootx64.efi", "systemd-boot"),
        ("/boot/loader/loader.conf", "systemd-boot"),
    ):
        if tree.is_file(path):
            return name
    return ""


def rewrite_boot_files(tree: Tree, resolve: Resolve, *, console: bool) -> tuple[list[str], list[str]]:
    """Stage stable names in every file that carries kernel arguments; returns problems and warnings."""
    work: list[tuple[str, Callable[[str], Rewrite]]] = []

    def add(paths: list[str], rewrite: Callable[[str], Rewrite]) -> None:
        work.extend((path, rewrite) for path in paths)

    add(grub_configs(tree), lambda text: names.rewrite_grub_cfg(text, resolve, console=console))
    add(
        ["/etc/default/grub", *tree.glob("/etc/default/grub.d", "*.cfg")],
        lambda text: names.rewrite_grub_default(text, resolve, console=console),
    )
    add(
        tree.glob("/boot/loader/entries", "*.conf"),
        lambda text: names.rewrite_boot_entry(text, resolve, console=console),
    )
    add(
        ["/boot/grub2/grubenv", "/boot/grub/grubenv"],
        lambda text: names.rewrite_grubenv(text, resolve, console=console),
    )
    add(["/etc/kernel/cmdline"], lambda text: names.rewrite_cmdline(text, resolve, console=console))
    add(["/etc/fstab"], lambda text: names.rewrite_fstab(text, resolve))
    add(["/etc/crypttab"], lambda text: names.rewrite_crypttab(text, resolve))
    add(
        ["/etc/initramfs-tools/initramfs.conf", *tree.glob("/etc/initramfs-tools/conf.d", "*")],
        lambda text: names.rewrite_resume(text, resolve),
    )
    problems: list[str] = []
    warnings: list[str] = []
    for path, rewrite in work:
        text = tree.text(path)
        if text is None:
            continue
        result = rewrite(text)
        problems += [f"{path}: {problem}" for problem in result.problems]
        warnings += [f"{path}: {warning}" for warning in result.warnings]
        if result.text != text:
            tree.write(path, result.text, reason=_reason(text, result.text))
    return problems, warnings


def _reason(before: str, after: str) -> str:
    screen = before.count("console=tty0") != after.count("console=tty0")
    disks = before.replace("console=tty0 ", "") != after.replace("console=tty0 ", "")
    reasons = [*(["disks are named by UUID"] if disks else []), *(["the screen is a console too"] if screen else [])]
    return ", and ".join(reasons)


def kernel_root(tree: Tree) -> str:
    """The root= that the first menu entry gives its kernel, or "" where that cannot be seen."""
    for path in [*grub_configs(tree), *tree.glob("/boot/loader/entries", "*.conf")]:
        for line in (tree.text(path) or "").splitlines():
            words = line.split()
            if words and words[0] in ("linux", "linux16", "linuxefi", "options"):
                found = [word[len("root=") :] for word in words if word.startswith("root=")]
                if found:
                    return found[-1]
    return ""


def stale_names(tree: Tree) -> list[str]:
    """Warnings about places that still name the old disk and only matter to a later reinstallation of the loader."""
    found = []
    text = tree.text("/boot/grub/device.map") or tree.text("/boot/grub2/device.map") or ""
    if "/dev/vd" in text or "by-id/virtio" in text:
        found.append("device.map of GRUB names the old disk; it is only read when GRUB is installed again")
    return found


def removable_loader(esp: Tree, *, prefix: str) -> tuple[list[str], list[str]]:
    """Stage a loader at EFI/BOOT/BOOTX64.EFI of an EFI system partition where none is.

    Entries in a firmware's memory do not travel with the disk; this path is what every UEFI tries (UEFI specification
    2.10, 3.5.1.1). A shim goes together with the GRUB that it starts from its own directory. `prefix` is only for
    messages. Returns problems and warnings.
    """
    if _find(esp, REMOVABLE):
        return [], []
    vendors = []
    for name in esp.names("/EFI"):
        directory = f"/EFI/{name}"
        if name.upper() == "BOOT" or not esp.is_dir(directory):
            continue
        grub = _find(esp, f"{directory}/grubx64.efi")
        if grub:
            vendors.append((name, grub, _find(esp, f"{directory}/shimx64.efi")))
    if not vendors:
        return [f"{prefix} holds no {REMOVABLE[1:]}, and no grubx64.efi that could stand in for it"], []
    warnings = []
    if len(vendors) > 1:
        told = ", ".join(vendor[0] for vendor in vendors)
        warnings.append(f"{prefix} holds the loaders of {told}; that of {vendors[0][0]} was taken")
    grub, shim = vendors[0][1:]
    reason = "the path that every UEFI firmware tries: its own boot entries do not travel"
    directory = next((f"/EFI/{name}" for name in esp.names("/EFI") if name.upper() == "BOOT"), "/EFI/BOOT")
    esp.write(f"{directory}/BOOTX64.EFI", esp.read(shim or grub, 64 << 20) or b"", reason=reason)
    if shim:
        esp.write(f"{directory}/grubx64.efi", esp.read(grub, 64 << 20) or b"", reason=reason)
    return [], warnings


def _find(esp: Tree, path: str) -> str:
    """The path as it is spelt on a file system that ignores case, or ""."""
    here = "/"
    for part in path.split("/")[1:]:
        match = [name for name in esp.names(here) if name.lower() == part.lower()]
        if not match:
            return ""
        here = posixpath.join(here, match[0])
    return here if esp.is_file(here) else ""
