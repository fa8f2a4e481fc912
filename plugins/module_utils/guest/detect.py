# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest is: distribution, kernels, boot loader, tools; and what of it is not understood."""

from __future__ import annotations

import re
import struct

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import bootloader, services
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.hardware import kernels_of
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import Facts
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.network import Network
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.tree import Tree

# os-release(5): ID or a word of ID_LIKE, to the family whose tools are known.
FAMILIES: dict[str, str] = {
    "debian": "debian",
    "ubuntu": "debian",
    "rhel": "redhat",
    "fedora": "redhat",
    "centos": "redhat",
    "rocky": "redhat",
    "almalinux": "redhat",
    "ol": "redhat",
    "suse": "suse",
    "opensuse": "suse",
    "sles": "suse",
}
INITRAMFS_TOOLS = "initramfs-tools"
DRACUT = "dracut"


def os_release(tree: Tree) -> dict[str, str]:
    """/etc/os-release, or /usr/lib/os-release, as a dictionary (os-release(5))."""
    text = tree.text("/etc/os-release") or tree.text("/usr/lib/os-release") or ""
    values = {}
    for line in text.splitlines():
        match = re.match(r"([A-Z0-9_]+)=(?:\"(.*)\"|'(.*)'|(.*))$", line.strip())
        if match:
            values[match.group(1)] = next((one for one in match.groups()[1:] if one is not None), "")
    return values


def looks_like_root(tree: Tree) -> bool:
    """Whether this file system is the root of a Linux system."""
    return bool(os_release(tree)) and tree.is_dir("/etc") and tree.exists("/usr")


def examine(tree: Tree, network: Network) -> tuple[Facts, list[str]]:
    """The facts, and the reasons for which this guest cannot be adapted; every reason, not the first."""
    facts = Facts()
    refusals: list[str] = []
    release = os_release(tree)
    facts.distribution = release.get("ID", "")
    facts.version = release.get("VERSION_ID", "")
    facts.name = release.get("PRETTY_NAME", facts.distribution)
    like = [facts.distribution, *release.get("ID_LIKE", "").split()]
    facts.family = next((FAMILIES[word] for word in like if word in FAMILIES), "")
    if not facts.family:
        known = ", ".join(sorted(set(FAMILIES.values())))
        refusals.append(f"the distribution {facts.name or 'without os-release'} is not known (known families: {known})")
    facts.architecture = architecture(tree)
    if facts.architecture not in ("x86_64", ""):
        refusals.append(f"the guest is built for {facts.architecture}, and the target runs x86_64")
    if not any(tree.exists(f"{directory}/systemd") for directory in ("/usr/lib/systemd", "/lib/systemd")):
        refusals.append("the guest does not start with systemd")
    facts.kernels = kernels_of(tree)
    if not facts.kernels:
        refusals.append("no kernel with its modules was found in /boot and /lib/modules")
    facts.bootloader = bootloader.find_bootloader(tree)
    if facts.bootloader != "grub2":
        refusals.append(f"the boot loader is {facts.bootloader or 'not known'}; only GRUB 2 is understood")
    facts.initramfs_tool = initramfs_tool(tree)
    if facts.kernels and not facts.initramfs_tool:
        refusals.append("neither initramfs-tools nor dracut is installed, which would build the initramfs")
    facts.network_tools = list(network.tools)
    facts.interfaces = {one.name: one.mac for one in network.interfaces.values()}
    facts.selinux = services.selinux_mode(tree)
    facts.agents = services.find_agents(tree)
    facts.cloud_init = services.has_cloud_init(tree)
    facts.vmware_tools = bool(services.tools_state(tree))
    facts.root_spec = fstab_root(tree)
    return facts, refusals


def initramfs_tool(tree: Tree) -> str:
    """The tool that builds the initramfs; dracut first, since Debian's brings an update-initramfs of its own."""
    if any(tree.is_file(path) for path in ("/usr/bin/dracut", "/usr/sbin/dracut", "/sbin/dracut")):
        return DRACUT
    if tree.is_file("/usr/sbin/mkinitramfs") or tree.is_file("/sbin/mkinitramfs"):
        return INITRAMFS_TOOLS
    return ""


def architecture(tree: Tree) -> str:
    """The machine that the guest's programs are built for, by the ELF header of one of them."""
    machines = {0x3E: "x86_64", 0x03: "i386", 0xB7: "aarch64", 0x15: "ppc64", 0x16: "s390x", 0xF3: "riscv64"}
    for path in ("/usr/bin/ls", "/bin/ls", "/usr/bin/bash", "/bin/bash"):
        data = tree.read(path, 64 << 20)
        if data and data[:4] == b"\x7fELF" and len(data) > 20:
            order = "<" if data[5] == 1 else ">"
            machine = struct.unpack_from(f"{order}H", data, 18)[0]
            return machines.get(machine, f"machine {machine:#x}")
    return ""


def fstab_root(tree: Tree) -> str:
    """What fstab mounts as /, or ""."""
    for fields in fstab(tree):
        if fields[1] == "/":
            return fields[0]
    return ""


def fstab(tree: Tree) -> list[list[str]]:
    """The entries of fstab(5) as lists of at least four fields."""
    entries = []
    for line in (tree.text("/etc/fstab") or "").splitlines():
        fields = line.split()
        if len(fields) >= 3 and not fields[0].startswith("#"):
            entries.append([*fields, "defaults"] if len(fields) == 3 else fields)
    return entries
