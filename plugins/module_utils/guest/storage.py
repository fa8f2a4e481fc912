# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a guest as they lie on this host: partitions, LVM volumes, file systems, and whose name is whose."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import lvm, names
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import AdaptPlan
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.names import Volume
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    NotFound,
    Refused,
)

ESP_TYPES = ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "ef")
BIOS_BOOT_TYPE = "21686148-6449-6e6f-744e-656564454649"
_EXTENDED = ("5", "f", "85", "05", "0f")


@dataclass(frozen=True)
class Partition:
    """One partition: number from 1, where it lies in bytes, its type (GUID in lower case, or MBR number in hex), its
    PARTUUID and name."""

    number: int
    offset: int
    size: int
    kind: str
    uuid: str = ""
    name: str = ""


@dataclass
class Disk:
    """One disk: `label` is "gpt", "dos" or "" (a file system without a partition table)."""

    device: str
    size: int
    label: str = ""
    partitions: list[Partition] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)
    # LVM volumes that cannot be used, and why.
    unusable: dict[str, str] = field(default_factory=dict)
    # Physical volumes whose metadata could not be read.
    damaged: list[str] = field(default_factory=list)
    numbers: dict[int, Volume] = field(default_factory=dict)

    @property
    def esp(self) -> Partition | None:
        """The EFI system partition."""
        return next((one for one in self.partitions if one.kind in ESP_TYPES), None)

    @property
    def firmware(self) -> list[str]:
        """The kinds of firmware that this disk can be started by, as its partitions tell."""
        bios = self.label != "gpt" or any(one.kind == BIOS_BOOT_TYPE for one in self.partitions)
        return [*(["bios"] if bios else []), *(["efi"] if self.esp else [])]


class Disks:
    """The boot disk and the other disks of one guest, and what the guest's names mean on them."""

    def __init__(self, boot: Disk, data: Sequence[Disk], plan: AdaptPlan) -> None:
        self.boot = boot
        self.data = list(data)
        self._by_letter: dict[str, Disk] = {}
        self._by_serial: dict[str, Disk] = {}
        self._by_letter[_letters(plan.boot_disk_name) or "a"] = boot
        if plan.boot_disk_serial:
            self._by_serial[plan.boot_disk_serial[:20]] = boot
        for index, disk in enumerate(self.data):
            asked = plan.data_disks[index]
            letter = _letters(asked.name) or _letter_of(index + 1)
            self._by_letter.setdefault(letter, disk)
            if asked.serial:
                self._by_serial[asked.serial[:20]] = disk

    def resolve(self, name: str) -> Volume | None:
        """The volume that a device name of the guest (/dev/vda1, /dev/disk/by-id/virtio-...) means."""
        by_name = names.parse_disk_name(name)
        by_serial = names.parse_serial_name(name)
        disk: Disk | None = None
        number = 0
        if by_name:
            disk, number = self._by_letter.get(_letters(by_name[0])), by_name[1]
        elif by_serial:
            disk, number = self._by_serial.get(by_serial[0][:20]), by_serial[1]
        return disk.numbers.get(number) if disk else None

    def find(self, spec: str) -> Volume | None:
        """The volume that a field of fstab or a root= means: UUID=, LABEL=, PARTUUID=, PARTLABEL=, /dev/..."""
        key, _equals, value = spec.partition("=")
        value = value.strip("\"'")
        attribute = {"UUID": "uuid", "LABEL": "label", "PARTUUID": "part_uuid", "PARTLABEL": "part_label"}.get(key)
        match = re.match(r"/dev/disk/by-(uuid|label|partuuid|partlabel)/(.+)", spec)
        if match:
            attribute = match.group(1).replace("part", "part_")
            value = match.group(2)
        for volume in [*self.boot.volumes, *(one for disk in self.data for one in disk.volumes)]:
            if attribute and value and getattr(volume, attribute).lower() == value.lower():
                return volume
            if spec.startswith("/dev/") and spec in _lvm_names(volume):
                return volume
        return self.resolve(spec) if spec.startswith("/dev/") else None


def open_disks(device: str, plan: AdaptPlan) -> Disks:
    """Read the partitions and file systems of the boot disk and the plan's data disks. Nothing is changed.

    Raises NotFound for a device that is not there, Refused for one that is no block device or file.
    """
    return Disks(read_disk(device), [read_disk(disk.device) for disk in plan.data_disks], plan)


def read_disk(device: str) -> Disk:
    """Read one disk: its partition table (sfdisk), what is in each partition (blkid), LVM volumes."""
    try:
        with open(device, "rb") as file:
            size = file.seek(0, os.SEEK_END)
    except FileNotFoundError as error:
        raise NotFound(f"{device} on the reader host", cause="there is no such device or file") from error
    except OSError as error:
        raise Refused(f"{device} on the reader host", cause=error.strerror or str(error)) from error
    disk = Disk(device, size)
    table = _partition_table(device)
    disk.label = str(table.get("label", ""))
    disk.partitions = list(_partitions(device, table))
    if not disk.partitions:
        whole = probe(device, 0, size)
        if whole:
            disk.numbers[0] = replace(whole, what="the whole disk")
            _take(disk, disk.numbers[0])
    for partition in disk.partitions:
        volume = probe(device, partition.offset, partition.size) or Volume(
            device=device, offset=partition.offset, size=partition.size
        )
        volume = replace(
            volume, part_uuid=partition.uuid, part_label=partition.name, what=f"partition {partition.number}"
        )
        disk.numbers[partition.number] = volume
        _take(disk, volume)
    return disk


def probe(device: str, offset: int, size: int) -> Volume | None:
    """What blkid sees at one place of a disk, or None where it sees nothing."""
    command = ["blkid", "--probe", "--offset", str(offset), "--size", str(size), "--output", "export", device]
    result = run_tool(command)
    if result.returncode == 8:
        return Volume(kind="several file systems at once", device=device, offset=offset, size=size)
    if result.returncode != 0:
        return None
    values: dict[str, str] = {}
    for line in result.stdout.splitlines():
        key, separator, value = line.partition("=")
        if separator:
            values.setdefault(key, value)
    return Volume(
        uuid=values.get("UUID", ""),
        label=values.get("LABEL", ""),
        kind=values.get("TYPE", ""),
        device=device,
        offset=offset,
        size=size,
    )


def run_tool(command: Sequence[str], timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a program of this host. Raises CloudExitError where it is not installed or does not end."""
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    environment["MTOOLS_SKIP_CHECK"] = "1"
    try:
        return subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout,
            check=False,
            env=environment,
        )
    except FileNotFoundError as error:
        packages = {"sfdisk": "fdisk", "blkid": "util-linux", "mcopy": "mtools", "mmd": "mtools", "mdel": "mtools"}
        raise CloudExitError(
            f"{command[0]} is not installed on the reader host",
            hint=f"Install the package {packages.get(command[0], command[0])} there.",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise CloudExitError(f"{command[0]} on the reader host did not end within {timeout:.0f} s") from error


# inside


def _partition_table(device: str) -> dict[str, Any]:
    result = run_tool(["sfdisk", "--json", device])
    if result.returncode != 0:
        return {}
    try:
        table = json.loads(result.stdout)["partitiontable"]
    except (ValueError, KeyError, TypeError) as error:
        raise CloudExitError(f"the partition table of {device} could not be read", cause=str(error)) from error
    return table if isinstance(table, dict) else {}


def _partitions(device: str, table: dict[str, Any]) -> list[Partition]:
    sector = int(table.get("sectorsize", 512))
    label = str(table.get("label", ""))
    identity = str(table.get("id", "")).lower().replace("0x", "")
    found = []
    for entry in table.get("partitions", []):
        number = int(re.sub(r"^p", "", str(entry["node"])[len(device) :]) or 0)
        kind = str(entry.get("type", "")).lower()
        if label == "dos" and kind in _EXTENDED:
            continue
        uuid = str(entry.get("uuid", "")).lower() or f"{identity:0>8}-{number:02x}"
        found.append(
            Partition(
                number=number,
                offset=int(entry["start"]) * sector,
                size=int(entry["size"]) * sector,
                kind=kind,
                uuid=uuid,
                name=str(entry.get("name", "")),
            )
        )
    return found


def _take(disk: Disk, volume: Volume) -> None:
    """Add a volume, and the LVM volumes inside of it."""
    if volume.kind != "LVM2_member":
        disk.volumes.append(volume)
        return
    try:
        with open(disk.device, "rb") as file:
            found = lvm.volumes(lambda offset, size: os.pread(file.fileno(), size, volume.offset + offset))
    except lvm.Unreadable as error:
        disk.damaged.append(f"{volume.what} is a physical volume of LVM, but {error}")
        return
    for one in found:
        what = f"LVM volume {one.group}/{one.name}"
        if len(one.segments) != 1:
            disk.unusable[what] = one.why or f"it lies in {len(one.segments)} separate pieces"
            continue
        segment = one.segments[0]
        place = volume.offset + segment.offset
        if segment.offset + segment.size > volume.size:
            disk.unusable[what] = "it reaches beyond its physical volume"
            continue
        inner = probe(disk.device, place, segment.size) or Volume(device=disk.device, offset=place, size=segment.size)
        disk.volumes.append(replace(inner, what=what))


def _lvm_names(volume: Volume) -> tuple[str, ...]:
    if not volume.what.startswith("LVM volume "):
        return ()
    group, _slash, name = volume.what[len("LVM volume ") :].partition("/")
    return f"/dev/{group}/{name}", f"/dev/mapper/{group.replace('-', '--')}-{name.replace('-', '--')}"


def _letters(name: str) -> str:
    """`vda`, `sda`, `xvda` and `hda` are the first disk under other drivers."""
    match = re.match(r"(?:vd|sd|xvd|hd)([a-z]{1,2})\Z", name)
    return match.group(1) if match else ""


def _letter_of(index: int) -> str:
    return chr(ord("a") + index) if index < 26 else chr(ord("a") + index // 26 - 1) + chr(ord("a") + index % 26)
