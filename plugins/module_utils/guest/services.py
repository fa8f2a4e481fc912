# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of the guest: what belongs to the source cloud, what the target wants, and cloud-init."""

from __future__ import annotations

import posixpath
import re

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.tree import Tree

UNIT_DIRECTORIES = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/system")

# Units that only make sense on the source cloud: the hypervisor's own agent, and the family's monitoring, host
# security, password reset, log and image services.
SOURCE_AGENTS: dict[str, str] = {
    "qemu-guest-agent": "talks to QEMU, which the target is not",
    "hostguard": "host security service of the source cloud",
    "hostwatch": "host security service of the source cloud",
    "uniagent": "monitoring agent of the source cloud",
    "uniagentd": "monitoring agent of the source cloud",
    "telescope": "monitoring agent of the source cloud",
    "telescoped": "monitoring agent of the source cloud",
    "cloudResetPwdAgent": "password reset service of the source cloud",
    "cloudResetPwdUpdateAgent": "password reset service of the source cloud",
    "icagent": "log agent of the source cloud",
    "ICAgent": "log agent of the source cloud",
    "uvp-monitor": "guest tools of the source cloud's hypervisor",
    "multi-queue-hw": "sets up virtio queues",
}
TOOLS_UNITS = ("open-vm-tools", "vmtoolsd")
CLOUD_CONFIG = "/etc/cloud/cloud.cfg.d/zz-cloudexit.cfg"
TARGET_SOURCES = ("VMware", "OVF", "None")


def unit_file(tree: Tree, unit: str) -> str:
    """Where a systemd unit's file is, or "" where there is none; a masked unit has none."""
    for directory in UNIT_DIRECTORIES:
        path = posixpath.join(directory, unit)
        if tree.link(path) == "/dev/null":
            return ""
        if tree.is_file(path):
            return path
    return ""


def find_agents(tree: Tree) -> list[str]:
    """Names of the source cloud's services that the guest would still start."""
    return [name for name in SOURCE_AGENTS if _starts(tree, name)]


def disable_agents(tree: Tree) -> None:
    """Stage that they are not started: masked, and their own unit files in /etc set aside."""
    for name in find_agents(tree):
        unit = f"{name}.service"
        path = posixpath.join(UNIT_DIRECTORIES[0], unit)
        reason = f"{name}: {SOURCE_AGENTS[name]}"
        for directory in tree.glob(UNIT_DIRECTORIES[0], "*.wants"):
            if tree.link(posixpath.join(directory, unit)) is not None:
                tree.remove(posixpath.join(directory, unit), reason=reason)
        tree.symlink(path, "/dev/null", reason=reason)


def tools_state(tree: Tree) -> str:
    """open-vm-tools in the guest: "enabled", "disabled", or "" where it is not installed."""
    if not any(tree.is_file(f"{directory}/vmtoolsd") for directory in ("/usr/bin", "/usr/sbin")):
        return ""
    for name in TOOLS_UNITS:
        path = unit_file(tree, f"{name}.service")
        if path:
            return "enabled" if _wanted(tree, f"{name}.service") else "disabled"
    return "disabled"


def enable_tools(tree: Tree) -> None:
    """Stage that open-vm-tools is started at boot, where it is installed and its unit is not masked."""
    for name in TOOLS_UNITS:
        path = unit_file(tree, f"{name}.service")
        if path and tree.link(path) is None:
            link = f"{UNIT_DIRECTORIES[0]}/multi-user.target.wants/{name}.service"
            tree.symlink(link, path, reason="tells vSphere the guest's state and shuts it down in order")
            return


def has_cloud_init(tree: Tree) -> bool:
    """Whether cloud-init is installed and not switched off."""
    installed = tree.is_dir("/etc/cloud") and any(
        tree.exists(path) for path in ("/usr/bin/cloud-init", "/usr/local/bin/cloud-init")
    )
    return installed and not tree.exists("/etc/cloud/cloud-init.disabled")


def keep_cloud_init_quiet(tree: Tree, *, keep_network: bool) -> None:
    """Stage a configuration by which cloud-init knows the target's data sources and takes the machine for what it was.

    Without it, cloud-init would wait for the source cloud's metadata service, and then set the machine up as a new one:
    new host keys, another host name, locked passwords, another network configuration.
    """
    sources = _sources(tree)
    lines = [
        "# Written by cloudexit.flexible_engine: this machine has moved and stays what it is.",
        f"datasource_list: [{', '.join(sources)}]",
        "manual_cache_clean: true",
        "preserve_hostname: true",
        "ssh_deletekeys: false",
    ]
    if keep_network:
        lines += ["network:", "  config: disabled"]
    text = "\n".join(lines) + "\n"
    tree.write(CLOUD_CONFIG, text, reason="the source cloud's metadata service is not there any more")


def selinux_mode(tree: Tree) -> str:
    """`enforcing`, `permissive`, `disabled`, or "" where SELinux is not configured."""
    for line in (tree.text("/etc/selinux/config") or "").splitlines():
        match = re.match(r"\s*SELINUX=(\w+)", line)
        if match:
            return match.group(1).lower()
    return ""


def relabel(tree: Tree) -> None:
    """Stage that SELinux labels all files anew at the next start: files written from outside have none."""
    tree.write("/.autorelabel", b"", reason="SELinux labels the files that were written from outside")


# inside


def _starts(tree: Tree, name: str) -> bool:
    if tree.link(f"{UNIT_DIRECTORIES[0]}/{name}.service") == "/dev/null":
        return False
    return bool(unit_file(tree, f"{name}.service")) or any(
        tree.is_file(f"{directory}/{name}") for directory in ("/etc/init.d", "/etc/rc.d/init.d")
    )


def _wanted(tree: Tree, unit: str) -> bool:
    names = tree.glob(UNIT_DIRECTORIES[0], "*.wants")
    return any(tree.link(posixpath.join(directory, unit)) is not None for directory in names)


def _sources(tree: Tree) -> list[str]:
    """The data sources that the guest names already, then the target's; None stands last."""
    found: list[str] = []
    for path in ["/etc/cloud/cloud.cfg", *tree.glob("/etc/cloud/cloud.cfg.d", "*.cfg")]:
        if path != CLOUD_CONFIG:
            found = _list_in(tree.text(path) or "") or found
    names = [name for name in found if name not in TARGET_SOURCES]
    return [*names, *TARGET_SOURCES]


def _list_in(text: str) -> list[str]:
    """The `datasource_list` of a cloud-init configuration, which is YAML: in brackets or one name a line."""
    match = re.search(r"^datasource_list:\s*(\[[^\]]*\]|(?:\n[ \t]*-[^\n]*)+)", text, re.M)
    names = re.sub(r"#[^\n]*", "", match.group(1)) if match else ""
    return re.findall(r"[A-Za-z0-9]+", names)
