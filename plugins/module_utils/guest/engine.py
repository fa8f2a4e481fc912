# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All decisions of an adaptation, made on a file tree: what to write, which initramfs to build, what to refuse.

Nothing is written here; the changes are staged in the tree. The offline and the online way call the same function, so
that a guest that was prepared online has nothing left to change offline but what only makes sense there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import (
    bootloader,
    detect,
    hardware,
    initramfs,
    network,
    services,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import AdaptPlan, Facts, Kernel
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.names import Resolve
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.tree import Tree

TOOLS_MODULES = "/etc/initramfs-tools/modules"
DRACUT_CONF = "/etc/dracut.conf.d/zz-cloudexit.conf"
LVM_DEVICES = "/etc/lvm/devices/system.devices"


@dataclass
class Decision:
    """What an adaptation will do: the changes are staged in the tree, `rebuild` names the kernels whose initramfs lacks
    drivers, `refusals` are the reasons not to do any of it."""

    facts: Facts
    rebuild: list[Kernel] = field(default_factory=list)
    drivers: dict[str, list[str]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def decide(tree: Tree, plan: AdaptPlan, resolve: Resolve, *, offline: bool) -> Decision:
    """Examine the guest and stage its changes.

    resolve: the volume that a device name of the guest means. offline: also what only makes sense on the copy, that is
    silencing the source cloud's services and SELinux labels.
    """
    net = network.read_network(tree)
    facts, refusals = detect.examine(tree, net)
    decision = Decision(facts, refusals=refusals)
    unfit, unfit_warnings = hardware.unfit(plan.hardware, facts.kernels)
    decision.refusals += unfit
    decision.warnings += unfit_warnings
    problems, warnings = bootloader.rewrite_boot_files(tree, resolve, console=plan.console)
    decision.refusals += problems
    decision.warnings += [*warnings, *bootloader.stale_names(tree)]
    _lvm(tree, decision, offline)
    names = _network(tree, plan, net, decision)
    if plan.cloud_init and facts.cloud_init:
        services.keep_cloud_init_quiet(tree, keep_network=bool(names))
    _tools(tree, decision)
    if offline and plan.disable_agents:
        services.disable_agents(tree)
    if not decision.refusals:
        _initramfs(tree, plan, decision)
    return decision


def drivers_missing(tree: Tree, kernel: Kernel, drivers: Sequence[str]) -> list[str]:
    """Those of `drivers`, and of what they need, that the kernel's initramfs does not hold.

    Raises initramfs.Unreadable.
    """
    if not kernel.initramfs:
        return list(drivers)
    with open(tree.host_path(kernel.initramfs), "rb") as file:
        return missing_in(file, hardware.modules_of(tree, kernel.version), drivers)


def missing_in(file: IO[bytes], modules: hardware.Modules, drivers: Sequence[str]) -> list[str]:
    """As drivers_missing, for an initramfs that is an open file. Raises initramfs.Unreadable."""
    held = initramfs.modules_in(file)
    return [name for name in modules.closure(drivers) if name not in held]


# Its own configuration says what a later initramfs holds. One that is built on another host must not look at that
# host's hardware, so it is built once with all modules, from a copy of the configuration.
_WITH_ALL_MODULES = (
    "cp -a /etc/initramfs-tools /tmp/cloudexit-conf && mkdir -p /tmp/cloudexit-conf/conf.d"
    " && echo MODULES=most > /tmp/cloudexit-conf/conf.d/zz-cloudexit"
    ' && exec mkinitramfs -d /tmp/cloudexit-conf -o "$1" "$2"'
)


def build_command(tool: str, kernel: Kernel, output: str, drivers: Sequence[str], *, offline: bool) -> list[str]:
    """The guest's own command that builds an initramfs for `kernel` into the file `output`.

    offline: it runs on another host, so it takes in more than that host's hardware asks for.
    """
    if tool == detect.DRACUT:
        generic = ["--no-hostonly", "--no-hostonly-cmdline"] if offline else []
        return ["dracut", "--force", *generic, "--add-drivers", " ".join(drivers), "--kver", kernel.version, output]
    if offline:
        return ["sh", "-c", _WITH_ALL_MODULES, "mkinitramfs", output, kernel.version]
    return ["mkinitramfs", "-o", output, kernel.version]


# inside


def _network(tree: Tree, plan: AdaptPlan, net: network.Network, decision: Decision) -> dict[int, str]:
    decision.refusals += net.problems
    decision.warnings += net.warnings
    if not plan.nics:
        if net.interfaces:
            decision.warnings.append("no adapter was given, so no name is pinned to a MAC address")
        return {}
    names, problems, warnings = network.pair(plan.nics, net)
    decision.refusals += problems
    decision.warnings += warnings
    if not problems:
        network.pin(tree, plan.nics, names, net)
    return names


def _lvm(tree: Tree, decision: Decision, offline: bool) -> None:
    if offline and tree.is_file(LVM_DEVICES):
        tree.remove(
            LVM_DEVICES, reason="lists LVM's disks by the serials of the old hardware; without it LVM looks at all"
        )
    for line in (tree.text("/etc/lvm/lvm.conf") or "").splitlines():
        text = line.strip()
        if text.startswith(("filter", "global_filter")) and ("/dev/vd" in text or "virtio" in text):
            decision.refusals.append(f"/etc/lvm/lvm.conf accepts disks by the names of the old hardware: {text}")


def _tools(tree: Tree, decision: Decision) -> None:
    state = services.tools_state(tree)
    if state == "disabled":
        services.enable_tools(tree)
    elif not state:
        decision.warnings.append(
            "open-vm-tools is wanted and not installed; install it where a repository can be reached"
        )


def _initramfs(tree: Tree, plan: AdaptPlan, decision: Decision) -> None:
    facts = decision.facts
    wanted: list[str] = []
    for kernel in facts.kernels:
        modules = hardware.modules_of(tree, kernel.version)
        decision.drivers[kernel.version] = hardware.wanted_drivers(plan.hardware, modules)
        wanted += [name for name in decision.drivers[kernel.version] if name not in wanted]
    if wanted:
        _configure(tree, facts.initramfs_tool, wanted)
    for kernel in facts.kernels:
        drivers = decision.drivers[kernel.version]
        if not kernel.initramfs and not drivers:
            continue
        try:
            missing = drivers_missing(tree, kernel, drivers)
        except initramfs.ProgramMissing as error:
            decision.refusals.append(f"{kernel.initramfs} cannot be read: {error}")
            continue
        except initramfs.Unreadable as error:
            decision.warnings.append(f"{kernel.initramfs} is built anew, since it cannot be read: {error}")
            missing = drivers
        if missing:
            if not kernel.initramfs:
                kernel.initramfs = _INITRAMFS_NAMES[facts.family](kernel.version)
            decision.rebuild.append(kernel)


_INITRAMFS_NAMES: dict[str, Callable[[str], str]] = {
    "debian": lambda version: f"/boot/initrd.img-{version}",
    "redhat": lambda version: f"/boot/initramfs-{version}.img",
    "suse": lambda version: f"/boot/initrd-{version}",
}


def _configure(tree: Tree, tool: str, drivers: Sequence[str]) -> None:
    """Stage what makes every later initramfs hold the drivers too."""
    reason = "every initramfs that the guest builds holds the target's drivers"
    head = "# Written by cloudexit.flexible_engine: drivers for the hardware that this machine moves to.\n"
    if tool == detect.DRACUT:
        tree.write(
            DRACUT_CONF,
            f'{head}add_drivers+=" {" ".join(drivers)} "\n',
            reason=reason,
        )
        return
    text = tree.text(TOOLS_MODULES) or ""
    listed = {line.split()[0] for line in text.splitlines() if line.split() and not line.startswith("#")}
    missing = [name for name in drivers if name not in listed]
    if missing:
        start = text if not text or text.endswith("\n") else text + "\n"
        tree.write(TOOLS_MODULES, start + head + "".join(f"{name}\n" for name in missing), reason=reason)
