# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of a guest: partition tables, file systems, boot loaders; nothing of it needs udev or device-mapper."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass
from pathlib import Path

from . import tools
from .flavours import Flavour

MIB = 1 << 20
_ROOT_START = {"bios": MIB, "efi": 64 * MIB}
_BOOT_SIZE = 191 * MIB
_PE_START = MIB
_ESP_START = MIB
_ESP_SIZE = 63 * MIB
_LVM = (
    'devices {{ scan = [ "/dev" ] use_devicesfile = 0 obtain_device_list_from_udev = 0 '
    'filter = [ "a|^/dev/{device}$|", "r|.*|" ] }} '
    "activation {{ udev_sync = 0 udev_rules = 0 monitoring = 0 }} "
    "global {{ event_activation = 0 use_lvmpolld = 0 }}"
)
_MKE2FS = (
    "mke2fs",
    "-q",
    "-F",
    "-t",
    "ext4",
    "-m",
    "1",
    "-O",
    "^metadata_csum_seed,^orphan_file",
    "-E",
    "lazy_itable_init=0,assume_storage_prezeroed=1",
)


@dataclass(frozen=True)
class Layout:
    """The names by which a guest's disks know each other."""

    flavour: Flavour
    disk_id: str
    root_uuid: str
    boot_uuid: str
    data_uuid: str
    esp_serial: str
    esp_guid: str
    root_guid: str

    @classmethod
    def new(cls, flavour: Flavour) -> Layout:
        """Fresh random names."""
        esp = uuid.uuid4().hex[:8].upper()
        return cls(
            flavour,
            str(uuid.uuid4()),
            str(uuid.uuid4()),
            str(uuid.uuid4()),
            str(uuid.uuid4()),
            esp,
            str(uuid.uuid4()),
            str(uuid.uuid4()),
        )

    @property
    def esp_uuid(self) -> str:
        """The ESP's volume id as fstab writes it."""
        return f"{self.esp_serial[:4]}-{self.esp_serial[4:]}"

    def fstab(self) -> str:
        """The guest's /etc/fstab."""
        root = {"uuid": f"UUID={self.root_uuid}", "device": "/dev/vda1", "lvm": "/dev/mapper/sys-root"}
        data = "/dev/data/srv" if self.flavour.data == "lvm-xfs" else f"UUID={self.data_uuid}"
        kind = "xfs" if self.flavour.data == "lvm-xfs" else "ext4"
        lines = [f"{root[self.flavour.root_by]} / ext4 errors=remount-ro 0 0"]
        if self.flavour.root_by == "lvm":
            lines.append(f"UUID={self.boot_uuid} /boot ext4 defaults 0 0")
        if self.flavour.firmware == "efi":
            lines.append(f"UUID={self.esp_uuid} /boot/efi vfat umask=0077,noauto 0 0")
        lines.append(f"{data} /srv/data {kind} defaults 0 0")
        return "\n".join(lines) + "\n"


def _partition(layout: Layout, disk: Path, size: int) -> int:
    """Write the partition table; returns where the root file system's partition starts, in bytes."""
    with open(disk, "wb") as f:
        f.truncate(size)
    start = _ROOT_START[layout.flavour.firmware]
    if layout.flavour.firmware == "efi":
        table = (
            f"label: gpt\nlabel-id: {layout.disk_id}\n"
            f"start={_ESP_START // 512}, size={_ESP_SIZE // 512}, type=uefi, uuid={layout.esp_guid}\n"
            f"start={start // 512}, type=linux, uuid={layout.root_guid}\n"
        )
    elif layout.flavour.root_by == "lvm":
        table = (
            f"label: dos\nlabel-id: 0x{layout.disk_id[:8]}\n"
            f"start={start // 512}, size={_BOOT_SIZE // 512}, type=83, bootable\n"
            f"start={(start + _BOOT_SIZE) // 512}, type=8e\n"
        )
        start += _BOOT_SIZE
    else:
        table = f"label: dos\nlabel-id: 0x{layout.disk_id[:8]}\nstart={start // 512}, type=83, bootable\n"
    tools.run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", disk], what="partition table", stdin=table)
    return start


def _mke2fs(disk: Path, uuid: str, label: str, tree: Path | None, offset: int, size: int) -> None:
    """An ext4 file system in a part of a disk, with a tree's content."""
    argv: list[str | Path] = [*_MKE2FS[:-1], f"{_MKE2FS[-1]},offset={offset}", "-U", uuid, "-L", label]
    argv += ["-d", tree] if tree else []
    tools.run([*argv, disk, f"{size // 1024}k"], what=f"file system {label}")


def _logical_volume(tree: Path, device: Path, group: str, name: str) -> int:
    """Make a volume group with one volume that fills it, with the tree's LVM; returns the volume's size in bytes.

    Only metadata is written, for want of a device-mapper. The volume starts where physical extents do, at 1 MiB.
    """
    config = _LVM.format(device=device.name)
    whole = Path(f"/sys/class/block/{device.name}/dev").read_text().strip()
    lines = [
        f"pvcreate --config '{config}' -y -q /dev/{device.name}",
        f"vgcreate --config '{config}' -y -q {group} /dev/{device.name}",
        f"lvcreate --config '{config}' --driverloaded n -y -q -an -Zn -Wn -l 100%FREE -n {name} {group}",
        "echo",
        f"vgs --config '{config}' --noheadings --nosuffix --units b -o vg_extent_size,vg_extent_count {group}",
    ]
    out = tools.in_chroot(tree, "\n".join(lines), what=f"logical volume {group}/{name}", nodes={device.name: whole})
    extent, count = (int(word) for word in out.strip().splitlines()[-1].split())
    return extent * count


def make_root(layout: Layout, tree: Path, disk: Path, size: int, loader: Path | None = None) -> None:
    """The boot disk from a root file system tree, with its boot loader.

    ``loader`` is a tree that has GRUB's programs, for a guest that has not.
    """
    start = _partition(layout, disk, size)
    end = size - (MIB if layout.flavour.firmware == "efi" else 0)
    lvm = layout.flavour.root_by == "lvm"
    length = end - start
    if lvm:
        with tools.loop(disk, offset=start, size=length) as device:
            length = _logical_volume(tree, device, "sys", "root")
        boot = tree.with_name("boot")
        (tree / "boot").rename(boot)
        (tree / "boot").mkdir()
        _mke2fs(disk, layout.boot_uuid, "boot", boot, _ROOT_START["bios"], _BOOT_SIZE)
        start += _PE_START
    _mke2fs(disk, layout.root_uuid, "root", tree, start, length)
    mounted = tree.with_name("mounted")
    mounted.mkdir()
    if loader:
        (loader / "mnt").mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        device = stack.enter_context(tools.loop(disk))
        nodes = {device.name: _number(device), **tools.partition_numbers(device)}
        root = f"{device.name}p{2 if layout.flavour.firmware == 'efi' else 1}"
        links = {f"disk/by-uuid/{layout.root_uuid}": f"/dev/{root}"}
        mounts = [(root, "/mnt" if loader else "/")]
        if lvm:
            volume = stack.enter_context(tools.loop(disk, offset=start, size=length))
            nodes["volume"] = _number(volume)  # GRUB's scripts refuse what is called loop<n>
            links = {
                f"disk/by-uuid/{layout.boot_uuid}": f"/dev/{root}",
                f"disk/by-uuid/{layout.root_uuid}": "/dev/volume",
            }
            mounts = [("volume", "/"), (root, "/boot")]
        script = f"grub-install --target=i386-pc --no-floppy --boot-directory=/mnt/boot --locales= /dev/{device.name}\n"
        tools.in_chroot(
            loader or mounted,
            script if loader else _loader_script(layout, device.name, root),
            what="boot loader",
            nodes=nodes,
            links=links,
            mounts=mounts,
        )
    mounted.rmdir()
    if layout.flavour.firmware == "efi":
        _make_esp(layout, tree, disk)


def _number(device: Path) -> str:
    return Path(f"/sys/class/block/{device.name}/dev").read_text().strip()


def _loader_script(layout: Layout, device: str, root: str) -> str:
    script = ""
    if layout.flavour.firmware == "bios":
        script += f"grub-install --target=i386-pc --no-floppy /dev/{device}\n"
    else:
        script += "mkdir -p /boot/grub /boot/efi\n"
    script += "update-grub\n"
    if layout.flavour.root_by == "device":
        script += f"sed -i 's#root=/dev/{root}#root=/dev/vda1#g' /boot/grub/grub.cfg\n"
    elif layout.flavour.root_by == "lvm":
        script += f"sed -i 's#root=UUID={layout.root_uuid}#root=/dev/mapper/sys-root#g' /boot/grub/grub.cfg\n"
    return script + "fstrim -a -v || fstrim -v / || true\n"


def _make_esp(layout: Layout, tree: Path, disk: Path) -> None:
    """An EFI system partition as grub-install leaves it: EFI/debian only, no removable-media path."""
    esp = disk.with_name("esp.img")
    with open(esp, "wb") as f:
        f.truncate(_ESP_SIZE)
    tools.run(["mkfs.vfat", "-F", "32", "-s", "1", "-n", "ESP", "-i", layout.esp_serial, esp], what="EFI file system")
    stub = disk.with_name("grub.cfg")
    stub.write_text(
        f"search.fs_uuid {layout.root_uuid} root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n"
    )
    tools.run(["mmd", "-i", esp, "::/EFI", "::/EFI/debian"], what="EFI folders")
    files = {
        "usr/lib/shim/shimx64.efi.signed": "shimx64.efi",
        "usr/lib/shim/mmx64.efi.signed": "mmx64.efi",
        "usr/lib/shim/fbx64.efi.signed": "fbx64.efi",
        "usr/lib/shim/BOOTX64.CSV": "BOOTX64.CSV",
        "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed": "grubx64.efi",
    }
    for source, name in files.items():
        tools.run(["mcopy", "-i", esp, tree / source, f"::/EFI/debian/{name}"], what=f"EFI file {name}")
    tools.run(["mcopy", "-i", esp, stub, "::/EFI/debian/grub.cfg"], what="EFI file grub.cfg")
    tools.run(
        ["dd", f"if={esp}", f"of={disk}", "bs=1M", f"seek={_ESP_START // MIB}", "conv=notrunc,sparse"],
        what="EFI system partition",
    )
    esp.unlink()
    stub.unlink()


def make_data(layout: Layout, tree: Path, disk: Path, size: int) -> None:
    """The data disk: ext4 over the whole disk, or XFS on a logical volume (data/srv) that fills it."""
    with open(disk, "wb") as f:
        f.truncate(size)
    if layout.flavour.data == "ext4":
        _mke2fs(disk, layout.data_uuid, "data", None, 0, size)
        return
    with tools.loop(disk) as device:
        length = _logical_volume(tree, device, "data", "srv")
    with tools.loop(disk, offset=_PE_START, size=length) as device:
        tools.run(["mkfs.xfs", "-q", "-m", f"uuid={layout.data_uuid}", "-L", "data", device], what="data file system")


def make_nvram(layout: Layout, target: Path) -> None:
    """A copy of the firmware's variables that holds the boot entry an installer would have made."""
    from . import nvram

    entry = nvram.BootEntry(
        description="debian",
        partition=1,
        start=_ESP_START // 512,
        size=_ESP_SIZE // 512,
        guid=layout.esp_guid,
        path="\\EFI\\debian\\shimx64.efi",
    )
    target.write_bytes(nvram.with_boot_entry(nvram.template().read_bytes(), entry))
