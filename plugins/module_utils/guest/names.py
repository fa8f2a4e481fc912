# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device names to UUIDs: /dev/vda1 is called otherwise behind another controller, a UUID goes with the disk.

Pure functions on the text of fstab, crypttab, kernel command lines and what carries them. Each takes a `resolve`
function and changes nothing that it does not have to: white space, quotes and comments stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Volume:
    """One file system (or swap, or encrypted container) as it lies on a disk: blkid's names for it, and where it is:
    the path of the disk on this host, offset and size in bytes."""

    uuid: str = ""
    label: str = ""
    kind: str = ""
    part_uuid: str = ""
    part_label: str = ""
    device: str = ""
    offset: int = 0
    size: int = 0
    # A name for messages: "partition 1", "LVM volume vg/root".
    what: str = ""


class Resolve(Protocol):
    """The volume that a device name of the guest means, or None where that is not known."""

    def __call__(self, name: str, /) -> Volume | None: ...


@dataclass
class Rewrite:
    """A text after rewriting; problems are names that could not be resolved and matter for booting."""

    text: str
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


_DISK = re.compile(r"/dev/(?P<disk>(?:vd|sd|xvd|hd)[a-z]{1,2})(?P<part>\d+)?\Z")
_BY_ID = re.compile(
    r"/dev/disk/by-id/(?:virtio|scsi-0QEMU_QEMU_HARDDISK|scsi-SQEMU_QEMU_HARDDISK)[-_]"
    r"(?P<serial>.+?)(?:-part(?P<part>\d+))?\Z"
)
_UNSTABLE = re.compile(r"/dev/(?:disk/by-(?:id|path|diskseq)/(?!(?:dm|lvm|md)-)\S+|nvme\d+n\d+\S*)\Z")


def depends_on_hardware(name: str) -> bool:
    """Whether a device name may mean another thing, or nothing, behind another controller."""
    return bool(_DISK.match(name) or _UNSTABLE.match(name))


def parse_disk_name(name: str) -> tuple[str, int] | None:
    """`/dev/vda1` to ("vda", 1), `/dev/vdb` to ("vdb", 0); None for any other name."""
    match = _DISK.match(name)
    return (match.group("disk"), int(match.group("part") or 0)) if match else None


def parse_serial_name(name: str) -> tuple[str, int] | None:
    """`/dev/disk/by-id/virtio-SERIAL-part1` to ("SERIAL", 1); None for any other name."""
    match = _BY_ID.match(name)
    return (match.group("serial"), int(match.group("part") or 0)) if match else None


def stable(name: str, resolve: Resolve) -> str | None:
    """The name by UUID for a device name that depends on the hardware; None where it cannot be told."""
    volume = resolve(name)
    return f"UUID={volume.uuid}" if volume and volume.uuid else None


def rewrite_fstab(text: str, resolve: Resolve) -> Rewrite:
    """fstab(5): the first field. An entry that boots would wait for and cannot be resolved is a problem."""
    result = Rewrite("")
    lines = []
    for line in text.splitlines(keepends=True):
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith("#") or not depends_on_hardware(fields[0]):
            lines.append(line)
            continue
        new = stable(fields[0], resolve)
        if new is None:
            options = fields[3].split(",") if len(fields) > 3 else []
            told = f"fstab mounts {fields[1]} from {fields[0]}, and which file system that is could not be found out"
            (result.warnings if {"nofail", "noauto"} & set(options) else result.problems).append(told)
            lines.append(line)
        else:
            lines.append(line.replace(fields[0], new, 1))
    result.text = "".join(lines)
    return result


def rewrite_crypttab(text: str, resolve: Resolve) -> Rewrite:
    """crypttab(5): the second field."""
    result = Rewrite("")
    lines = []
    for line in text.splitlines(keepends=True):
        fields = line.split()
        if len(fields) < 2 or fields[0].startswith("#") or not depends_on_hardware(fields[1]):
            lines.append(line)
            continue
        new = stable(fields[1], resolve)
        if new is None:
            result.problems.append(f"crypttab opens {fields[0]} from {fields[1]}, which could not be found")
            lines.append(line)
        else:
            head, tail = line[: line.index(fields[0]) + len(fields[0])], line[line.index(fields[0]) + len(fields[0]) :]
            lines.append(head + tail.replace(fields[1], new, 1))
    result.text = "".join(lines)
    return result


_ARGUMENT = re.compile(r"(?<![^\s\"'=])(?P<key>root|resume)=(?P<name>/dev/[^\s\"']+)")
_CONSOLE = re.compile(r"(?<![^\s\"'=])console=(?P<name>[^\s\"',]+)[^\s\"']*")


def rewrite_cmdline(text: str, resolve: Resolve, *, console: bool = True) -> Rewrite:
    """The arguments of a kernel: root=, resume=; and `console=tty0` in front of a serial console that stands alone.

    The last console= is where /dev/console goes, so the serial one stays that.
    """
    result = Rewrite("")

    def change(match: re.Match[str]) -> str:
        name = match.group("name")
        if not depends_on_hardware(name):
            return match.group(0)
        new = stable(name, resolve)
        if new is not None:
            return f"{match.group('key')}={new}"
        told = f"the kernel's {match.group(0)} could not be resolved"
        (result.problems if match.group("key") == "root" else result.warnings).append(told)
        return match.group(0)

    result.text = _ARGUMENT.sub(change, text)
    consoles = list(_CONSOLE.finditer(result.text))
    if console and consoles and all(found.group("name").startswith("ttyS") for found in consoles):
        start = consoles[0].start()
        result.text = f"{result.text[:start]}console=tty0 {result.text[start:]}"
    return result


_KERNEL_LINE = re.compile(r"\s*(?:linux|linux16|linuxefi)\s")
_KERNEL_OPTS = re.compile(r"\s*set\s+(?:default_)?kernelopts=")


def rewrite_grub_cfg(text: str, resolve: Resolve, *, console: bool = True) -> Rewrite:
    """grub.cfg: the lines that load a kernel, and the `kernelopts` that they may name."""
    return _rewrite_lines(
        text,
        lambda line: bool(_KERNEL_LINE.match(line) or _KERNEL_OPTS.match(line)),
        resolve,
        console=console,
    )


_GRUB_DEFAULT = re.compile(r"\s*(?:export\s+)?GRUB_CMDLINE_LINUX(?:_DEFAULT|_RECOVERY)?=")
_NO_UUID = re.compile(
    r"\s*(?:export\s+)?GRUB_DISABLE_(?:LINUX_)?UUID=[\"']?true|\s*(?:export\s+)?GRUB_DEVICE=[\"']?/dev/"
)


def rewrite_grub_default(text: str, resolve: Resolve, *, console: bool = True) -> Rewrite:
    """/etc/default/grub: what the next grub.cfg is made from. Settings that ask for device names become comments."""
    result = _rewrite_lines(text, lambda line: bool(_GRUB_DEFAULT.match(line)), resolve, console=console)
    lines = result.text.splitlines(keepends=True)
    result.text = "".join(f"#{line}" if _NO_UUID.match(line) else line for line in lines)
    return result


def rewrite_boot_entry(text: str, resolve: Resolve, *, console: bool = True) -> Rewrite:
    """A boot loader specification entry (loader/entries/*.conf): its options."""
    return _rewrite_lines(text, lambda line: line.lstrip().startswith("options"), resolve, console=console)


GRUBENV_SIZE = 1024
_GRUBENV_HEAD = "# GRUB Environment Block\n"


def rewrite_grubenv(text: str, resolve: Resolve, *, console: bool = True) -> Rewrite:
    """grubenv: `kernelopts`. The block keeps its size of 1024 bytes, filled up with `#`."""
    if not text.startswith(_GRUBENV_HEAD):
        return Rewrite(text)
    result = _rewrite_lines(text.rstrip("#"), lambda line: line.startswith("kernelopts="), resolve, console=console)
    if result.text == text.rstrip("#"):
        result.text = text
        return result
    size = max(GRUBENV_SIZE, len(text))
    if len(result.text) > size:
        result.problems.append("the new kernel arguments do not fit into grubenv")
        result.text = text
        return result
    result.text += "#" * (size - len(result.text))
    return result


_RESUME = re.compile(r"^(\s*(?:export\s+)?RESUME=[\"']?)(/dev/[^\s\"']+)", re.M)


def rewrite_resume(text: str, resolve: Resolve) -> Rewrite:
    """initramfs-tools' RESUME setting."""
    result = Rewrite("")

    def change(match: re.Match[str]) -> str:
        name = match.group(2)
        new = stable(name, resolve) if depends_on_hardware(name) else None
        if new is not None:
            return match.group(1) + new
        if depends_on_hardware(name):
            result.warnings.append(f"RESUME={name} could not be resolved; resume from hibernation will not work")
        return match.group(0)

    result.text = _RESUME.sub(change, text)
    return result


class _Wanted(Protocol):
    def __call__(self, line: str, /) -> bool: ...


def _rewrite_lines(text: str, wanted: _Wanted, resolve: Resolve, *, console: bool) -> Rewrite:
    result = Rewrite("")
    lines = []
    for line in text.splitlines(keepends=True):
        if not wanted(line):
            lines.append(line)
            continue
        changed = rewrite_cmdline(line, resolve, console=console)
        lines.append(changed.text)
        result.problems += [problem for problem in changed.problems if problem not in result.problems]
        result.warnings += [warning for warning in changed.warnings if warning not in result.warnings]
    result.text = "".join(lines)
    return result
