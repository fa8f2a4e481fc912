# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which virtual hardware the guest's installed kernels can drive, by their own lists of modules."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import (
    CONTROLLERS,
    NIC_TYPES,
    Hardware,
    Kernel,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.tree import Tree

# Linux driver of each kind of virtual hardware that vSphere offers.
DRIVERS: dict[str, str] = {
    "pvscsi": "vmw_pvscsi",
    "lsilogic": "mptspi",
    "lsisas": "mptsas",
    "sata": "ahci",
    "nvme": "nvme",
    "vmxnet3": "vmxnet3",
    "e1000e": "e1000e",
    "e1000": "e1000",
}
# A disk behind these is a SCSI disk to Linux.
SCSI = ("pvscsi", "lsilogic", "lsisas", "sata")
# Put into every initramfs where the kernel has them, so that the machine may later change its controller.
WANTED_DRIVERS = ("vmw_pvscsi", "vmxnet3", "mptspi", "mptsas", "ahci", "nvme", "sd_mod")

_MODULE = re.compile(r"/([^/]+?)\.ko(?:\.(?:gz|xz|zst|bz2))?$")


def module_name(path: str) -> str:
    """`kernel/drivers/scsi/vmw_pvscsi.ko.xz` to `vmw_pvscsi`; "" where the path is no kernel module."""
    match = _MODULE.search("/" + path)
    return match.group(1).replace("-", "_") if match else ""


@dataclass
class Modules:
    """The modules of one kernel: those on disk with what each needs, and those built in."""

    needs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    builtin: frozenset[str] = frozenset()

    def has(self, name: str) -> bool:
        """Whether the kernel can drive it, as a module or built in."""
        return name in self.needs or name in self.builtin

    def closure(self, names: Iterable[str]) -> list[str]:
        """The modules on disk that `names` need, themselves included; built-in ones are left out."""
        found: set[str] = set()
        todo = [name for name in names if name in self.needs]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo.extend(self.needs.get(name, ()))
        return sorted(found)

    def supported(self, kinds: Iterable[str]) -> tuple[str, ...]:
        """Those of `kinds` (of CONTROLLERS or NIC_TYPES) that the kernel can drive."""
        return tuple(kind for kind in kinds if self.has(DRIVERS[kind]) and (kind not in SCSI or self.has("sd_mod")))


def modules_of(tree: Tree, version: str) -> Modules:
    """Read a kernel's `modules.dep` and `modules.builtin` (man modules.dep(5))."""
    directory = f"/lib/modules/{version}"
    needs: dict[str, tuple[str, ...]] = {}
    for line in _lines(tree, f"{directory}/modules.dep"):
        path, _colon, rest = line.partition(":")
        name = module_name(path.strip())
        if name:
            needs[name] = tuple(filter(None, (module_name(item) for item in rest.split())))
    builtin = frozenset(
        filter(None, (module_name(line.strip()) for line in _lines(tree, f"{directory}/modules.builtin")))
    )
    return Modules(needs, builtin)


def kernels_of(tree: Tree) -> list[Kernel]:
    """The kernels that can be booted: an image in /boot with its modules; lowest version first, the last is default."""
    kernels = []
    for version in tree.names("/lib/modules"):
        if not tree.is_file(f"/boot/vmlinuz-{version}") or not tree.is_file(f"/lib/modules/{version}/modules.dep"):
            continue
        modules = modules_of(tree, version)
        kernels.append(
            Kernel(
                version=version,
                initramfs=initramfs_path(tree, version),
                controllers=modules.supported(CONTROLLERS),
                nics=modules.supported(NIC_TYPES),
            )
        )
    kernels.sort(key=lambda kernel: version_key(kernel.version))
    if kernels:
        kernels[-1].default = True
    return kernels


def initramfs_path(tree: Tree, version: str) -> str:
    """Where the kernel's initramfs is, or "" where there is none."""
    for name in (f"initrd.img-{version}", f"initramfs-{version}.img", f"initrd-{version}"):
        if tree.is_file(f"/boot/{name}"):
            return posixpath.join("/boot", name)
    return ""


def version_key(version: str) -> list[tuple[int, int, str]]:
    """Sort key by which 6.1.0-9 comes before 6.1.0-10."""
    parts = re.findall(r"\d+|[A-Za-z]+", version)
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]


def supported_hardware(tree: Tree) -> dict[str, dict[str, list[str]]]:
    """For each installed kernel `{version: {controllers: [...], nics: [...]}}`."""
    return {
        kernel.version: {"controllers": list(kernel.controllers), "nics": list(kernel.nics)}
        for kernel in kernels_of(tree)
    }


def unfit(hardware: Hardware, kernels: Iterable[Kernel]) -> tuple[list[str], list[str]]:
    """What speaks against the planned hardware: reasons to refuse (the default kernel), and warnings (the others)."""
    refusals: list[str] = []
    warnings: list[str] = []
    for kernel in kernels:
        for kinds, able, what in (
            (hardware.controllers, kernel.controllers, "controller"),
            (hardware.nics, kernel.nics, "network adapter"),
        ):
            for kind in kinds:
                if kind not in able:
                    can = ", ".join(able) or "none that vSphere offers"
                    text = f"kernel {kernel.version} has no driver for the {what} {kind}; it can drive: {can}"
                    (refusals if kernel.default else warnings).append(text)
    return refusals, warnings


def wanted_drivers(hardware: Hardware, modules: Modules) -> list[str]:
    """The drivers that an initramfs of this kernel must load or hold: the planned hardware's and the usual ones, those
    that are modules of this kernel."""
    names = [DRIVERS[kind] for kind in (*hardware.controllers, *hardware.nics)]
    names += [name for name in WANTED_DRIVERS if name not in names]
    return [name for name in names if name in modules.needs]


def _lines(tree: Tree, path: str) -> list[str]:
    return (tree.text(path) or "").splitlines()
