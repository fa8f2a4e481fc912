# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The offline way on small disks that are made here: partitions, LVM, UEFI; and a guest's program that is not trusted.

Needs root and loop devices, as a reader host has them.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import confine, linux, offline
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import AdaptPlan, AdaptResult
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    NotFound,
    Refused,
    Timeout,
)

from .conftest import Guest, cpio
from .test_lvm import physical_volume

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/loop-control").exists(), reason="needs root and loop devices"
)

MIB = 1 << 20
VERSION = "6.1.0-9-cloud-amd64"
ROOT = "11111111-2222-3333-4444-555555555555"
GOOD = gzip.compress(cpio([f"x/{name}.ko" for name in ("vmw_pvscsi", "vmxnet3", "sd_mod", "scsi_mod", "virtio_blk")]))
MKINITRAMFS = """#!/bin/sh
read line < "$2/conf.d/zz-cloudexit"
[ "$line $1 $3 $5" = "MODULES=most -d -o 6.1.0-9-cloud-amd64" ] && exec cat /made > "$4"
"""
MBR = "label: dos\nlabel-id: 0xabcd\nstart=1MiB, type=83\n"


def with_programs(guest: Guest) -> Guest:
    """A shell and a few programs of this host with their libraries, and the directories that a root has."""
    for name in ("sh", "cat", "cp", "mkdir", "sleep", "mknod", "mount"):
        source = Path(os.path.realpath(shutil.which(name) or name))
        libraries = re.findall(
            r"(/\S+) \(0x", subprocess.run(["ldd", source], capture_output=True, text=True, check=False).stdout
        )
        for path, place in [(source, f"bin/{name}"), *((Path(library), library.lstrip("/")) for library in libraries)]:
            target = guest.root / place
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copy(path, target)
    for name in ("dev", "proc", "sys", "run", "tmp", "var/tmp", "boot/efi", "home"):
        (guest.root / name).mkdir(parents=True, exist_ok=True)
    guest.files({"/usr/sbin/mkinitramfs": MKINITRAMFS, "/made": GOOD})
    (guest.root / "usr/sbin/mkinitramfs").chmod(0o755)
    return guest


@pytest.fixture
def tiny(guest: Guest) -> Guest:
    return with_programs(guest)


def disk(guest: Guest, path: Path, *, table: str = MBR, offset: int = 1, size: int = 20, more: str = "") -> str:
    """An image with the guest's tree on an ext4 at `offset` MiB."""
    with open(path, "wb") as file:
        file.truncate((offset + size + 2) * MIB)
    if table:
        subprocess.run(["sfdisk", "-q", str(path)], input=table.encode(), check=True)
    options = ["-q", "-F", "-U", ROOT, "-d", str(guest.root), "-E", f"offset={offset * MIB}{more}"]
    subprocess.run(["mkfs.ext4", *options, str(path), f"{size}M"], check=True, capture_output=True)
    return str(path)


def adapt(image: str, **more: Any) -> AdaptResult:
    nics = [{"mac": "fa:16:3e:00:00:01"}]
    plan = {key: more.pop(key) for key in ("hardware", "data_disks", "mode") if key in more}
    return offline.adapt(image, AdaptPlan.from_dict({"nics": nics, **plan}), **more)


def content(image: str, path: str, offset: int = 1) -> str:
    command = ["debugfs", "-R", f"cat {path}", f"{image}?offset={offset * MIB}"]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode(errors="replace")


def clean(image: str, offset: int = 1) -> bool:
    command = ["e2fsck", "-fn", f"{image}?offset={offset * MIB}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def loops(image: str) -> str:
    return subprocess.run(["losetup", "-j", image], capture_output=True, text=True, check=True).stdout


def test_check_then_change_then_nothing(tiny: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    image = disk(tiny, tmp_path / "disk")
    before = Path(image).read_bytes()
    told = adapt(image, check=True)
    assert Path(image).read_bytes() == before
    asked: list[str] = []
    done = adapt(image, before_write=lambda: asked.append(loops(image)), keep=str(tmp_path / "kept"))
    assert asked == [""]
    assert {change.path: change.action for change in done.files} == {
        "/boot/grub/grub.cfg": "modified",
        f"/boot/initrd.img-{VERSION}": "rebuilt",
        "/etc/default/grub": "modified",
        "/etc/fstab": "modified",
        "/etc/initramfs-tools/modules": "modified",
        "/etc/systemd/network/10-cloudexit-ens3.link": "created",
    }
    assert [(change.path, change.before) for change in told.files] == [
        (change.path, change.before) for change in done.files
    ]
    assert content(image, "/etc/fstab").splitlines()[1] == f"UUID={ROOT}\t/  ext4 defaults 0 1"
    assert (tmp_path / "kept/etc/fstab").read_bytes() == (tiny.root / "etc/fstab").read_bytes()
    facts = done.found
    assert facts and (facts.firmware, facts.root_device, facts.root_file_system) == (["bios"], "partition 1", "ext4")

    before = Path(image).read_bytes()
    again = adapt(image, before_write=lambda: pytest.fail("nothing is to be written"))
    assert (again.changed, again.files) == (False, [])
    assert Path(image).read_bytes() == before
    assert clean(image) and loops(image) == "" and not list((tmp_path / "temporary").iterdir())


def test_a_place_to_mount_that_hides_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shop = offline._Workshop("/mnt/disk", AdaptPlan(), read_only=True)
    if Path("/media").is_dir():
        assert shop._place() == "/media"
    shop.keep = "/media/kept"
    assert Path(shop._place()).parent == tmp_path
    assert offline._Workshop("/mntx/disk", AdaptPlan(), read_only=True)._place() == "/mnt"


def test_a_root_on_lvm(tiny: Guest, tmp_path: Path) -> None:
    text = """
    sys-vg { extent_size = 2048
      physical_volumes { pv0 { id = "6t6TtC-ncsm-irSv-ExSG-dXFj-adiU-DuGeVs" pe_start = 2048 } }
      logical_volumes { root-a { status = ["VISIBLE"]
        segment1 { start_extent = 0 extent_count = 20 type = "striped" stripe_count = 1 stripes = ["pv0", 1] } } } }
    """
    tiny.files({"/etc/fstab": "/dev/mapper/sys--vg-root--a / ext4 defaults 0 1\n"})
    tiny.files({"/boot/grub/grub.cfg": "linux /vmlinuz root=/dev/mapper/sys--vg-root--a\n"})
    image = disk(tiny, tmp_path / "disk", offset=3)
    with open(image, "r+b") as file:
        file.seek(MIB)
        file.write(physical_volume(text)[:MIB])
    done = adapt(image)
    assert done.found and done.found.root_device == "LVM volume sys-vg/root-a"
    assert {"/etc/fstab", "/boot/grub/grub.cfg"} & {change.path for change in done.files} == set()
    assert not adapt(image).changed
    assert clean(image, 3)


def test_uefi_with_its_partition(tiny: Guest, tmp_path: Path) -> None:
    table = "label: gpt\nstart=1MiB, size=4MiB, type=U\nstart=5MiB, size=20MiB, type=L\n"
    tiny.files({"/etc/fstab": f"UUID={ROOT} / ext4 defaults 0 1\nUUID=1 /boot/efi vfat defaults 0 1\n"})
    image = disk(tiny, tmp_path / "disk", table=table, offset=5)
    esp = ["-i", f"{image}@@1M"]
    subprocess.run(["mformat", *esp, "-T", "8192", "::"], check=True)
    subprocess.run(["mmd", *esp, "::/EFI", "::/EFI/debian"], check=True)
    (tmp_path / "grub").write_bytes(b"MZgrub")
    (tmp_path / "grub.cfg").write_text("linux /vmlinuz root=/dev/vda2 console=ttyS0\n")
    subprocess.run(["mcopy", *esp, str(tmp_path / "grub"), "::/EFI/debian/grubx64.efi"], check=True)
    subprocess.run(["mcopy", *esp, str(tmp_path / "grub.cfg"), "::/EFI/debian/grub.cfg"], check=True)
    tiny.files({"/boot/grub/grub.cfg": "linux /vmlinuz root=/dev/vda2 console=ttyS0\n"})
    image = disk(tiny, tmp_path / "disk2", table=table, offset=5)
    with open(tmp_path / "disk", "rb") as source, open(image, "r+b") as sink:
        source.seek(MIB)
        sink.seek(MIB)
        sink.write(source.read(4 * MIB))

    with pytest.raises(Refused, match="the target starts it with bios, and the disk is made for efi"):
        adapt(image, hardware={"firmware": "bios"})
    done = adapt(image, hardware={"firmware": "efi"})
    changes = {change.path: change.action for change in done.files if "/boot/efi" in change.path}
    assert changes == {"/boot/efi/EFI/BOOT/BOOTX64.EFI": "created", "/boot/efi/EFI/debian/grub.cfg": "modified"}

    def shown(path: str) -> bytes:
        return subprocess.run(["mtype", "-i", f"{image}@@1M", path], capture_output=True, check=True).stdout

    assert shown("::/EFI/BOOT/BOOTX64.EFI") == b"MZgrub"
    assert shown("::/EFI/debian/grub.cfg") == f"linux /vmlinuz root=UUID={ROOT} console=tty0 console=ttyS0\n".encode()
    assert not adapt(image, hardware={"firmware": "efi"}).changed
    assert clean(image, 5)


def test_what_cannot_be_a_root(tiny: Guest, tmp_path: Path) -> None:
    luks = tmp_path / "luks"
    luks.write_bytes(bytes(4 * MIB))
    subprocess.run(["sfdisk", "-q", str(luks)], input=MBR.encode(), check=True)
    with open(luks, "r+b") as file:
        file.seek(MIB)
        header = b"LUKS\xba\xbe\x00\x01" + b"aes".ljust(32, b"\0") + b"xts-plain64".ljust(32, b"\0")
        file.write((header + b"sha256".ljust(32, b"\0")).ljust(168, b"\0") + ROOT.encode() + b"\0")
    with pytest.raises(Refused, match="partition 1 is encrypted with LUKS"):
        adapt(str(luks))

    two = disk(tiny, tmp_path / "two", table="label: dos\nstart=1MiB, size=20MiB\nstart=22MiB, size=20MiB\n", size=41)
    subprocess.run(["truncate", "-s", "44M", two], check=True)
    for offset in (1, 22):
        options = ["-q", "-F", "-d", str(tiny.root), "-E", f"offset={offset * MIB}"]
        subprocess.run(["mkfs.ext4", *options, two, "20M"], check=True, capture_output=True)
    with pytest.raises(Refused, match=r"more than one system \(partition 1, partition 2\)"):
        adapt(two)

    empty = tmp_path / "empty"
    empty.write_bytes(bytes(MIB))
    with pytest.raises(Refused, match="no Linux root file system"):
        adapt(str(empty))
    with pytest.raises(NotFound):
        adapt(str(tmp_path / "nothing"))
    assert not adapt(str(tmp_path / "nothing"), mode="none").changed


def test_every_reason_and_not_a_byte_changed(tiny: Guest, tmp_path: Path) -> None:
    tiny.files({"/etc/os-release": "ID=plan9\n"})
    image = disk(tiny, tmp_path / "disk")
    before = Path(image).read_bytes()
    with pytest.raises(Refused) as caught:
        adapt(image, hardware={"controllers": ["sata"], "firmware": "efi"})
    assert str(caught.value).count("\n  - ") == 3
    assert Path(image).read_bytes() == before and loops(image) == ""


def test_a_boot_partition_that_is_not_there(tiny: Guest, tmp_path: Path) -> None:
    tiny.files({"/etc/fstab": "/dev/vda1 / ext4 defaults\nUUID=abc /boot ext4 defaults 0 2\n"})
    with pytest.raises(Refused, match=r"/boot of the guest \(UUID=abc\) was not found"):
        adapt(disk(tiny, tmp_path / "disk"))


def test_no_room_for_the_initramfs(tiny: Guest, tmp_path: Path) -> None:
    tiny.files({"/made": gzip.decompress(GOOD) + bytes(14 * MIB)})
    (tiny.root / "usr/sbin/mkinitramfs").write_text(MKINITRAMFS)
    image = disk(tiny, tmp_path / "disk", size=16)
    with pytest.raises(CloudExitError, match="No space left on device; the new initramfs has 14 MiB") as caught:
        adapt(image)
    assert "Make room in the guest's /boot" in caught.value.hint
    assert clean(image) and loops(image) == ""
    assert content(image, f"/boot/initrd.img-{VERSION}.cloudexit-new") == ""


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("#!/bin/sh\necho it went wrong; exit 3\n", "ended with status 3: it went wrong"),
        ('#!/bin/sh\ncat /usr/bin/ls > "$4"\n', "its compression is not known"),
        (f'#!/bin/sh\ncat /boot/initrd.img-{VERSION} > "$4"\n', "lacks scsi_mod, sd_mod, vmw_pvscsi, vmxnet3"),
        ("#!/bin/sh\nexit 0\n", "No such file"),
        ("#!/bin/nothing\n", "ended with status 127"),
    ],
)
def test_an_initramfs_that_is_not_good(tiny: Guest, tmp_path: Path, script: str, told: str) -> None:
    tiny.files({"/usr/sbin/mkinitramfs": script})
    image = disk(tiny, tmp_path / "disk")
    before = content(image, f"/boot/initrd.img-{VERSION}")
    with pytest.raises(CloudExitError, match=told):
        adapt(image)
    assert content(image, f"/boot/initrd.img-{VERSION}") == before


def test_a_program_that_does_not_end(tiny: Guest, tmp_path: Path) -> None:
    tiny.files({"/usr/sbin/mkinitramfs": "#!/bin/sh\necho waiting\nsleep 1000 & sleep 1000\n"})
    image = disk(tiny, tmp_path / "disk")
    with pytest.raises(Timeout, match=r"initramfs-tools of the guest did not end within 1 s: waiting"):
        adapt(image, timeout=1)
    assert loops(image) == "" and clean(image)


def test_killed_half_way_leaves_nothing_behind(tiny: Guest, tmp_path: Path) -> None:
    tiny.files({"/usr/sbin/mkinitramfs": "#!/bin/sh\nsleep 1000\n"})
    image = disk(tiny, tmp_path / "disk")
    package = offline.__name__.rpartition(".")[0]
    program = f"import sys\nfrom {package} import model, offline\noffline.adapt(sys.argv[1], model.AdaptPlan())\n"
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(
        [sys.executable, "-c", program, image], env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path)}
    )
    try:
        assert _until(lambda: "sleep" in _children(process.pid)), "the guest's program was not started"
        assert loops(image)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert _until(lambda: loops(image) == ""), loops(image)
    assert not list(tmp_path.glob("cloudexit-*"))


def _until(true: Any, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _children(pid: int) -> str:
    """The names of all processes below one."""
    names = ""
    listed = ["ps", "-o", "pid=,comm=", "--ppid", str(pid)]
    for child in subprocess.run(listed, capture_output=True, text=True, check=False).stdout.splitlines():
        number, name = child.split(None, 1)
        names += f" {name}{_children(int(number))}"
    return names


@pytest.mark.parametrize(("subvolume", "found"), [("", True), ("@", True), ("other", False)])
def test_btrfs(tiny: Guest, tmp_path: Path, subvolume: str, found: bool) -> None:
    if not shutil.which("mkfs.btrfs") or "btrfs" not in Path("/proc/filesystems").read_text():
        pytest.skip("no btrfs here")
    tiny.files({"/etc/fstab": f"/dev/vda / btrfs subvol={subvolume or '/'} 0 0\n"})
    tiny.files({"/boot/grub/grub.cfg": "linux /vmlinuz root=/dev/vda\n"})
    image, tree = tmp_path / "disk", tiny.root
    if subvolume:
        tree = tmp_path / "top"
        tree.mkdir()
    with open(image, "wb") as file:
        file.truncate(160 * MIB)
    subprocess.run(["mkfs.btrfs", "-q", "-r", str(tree), str(image)], check=True, capture_output=True)
    if subvolume:
        (tmp_path / "mounted").mkdir()
        script = 'mount -o loop "$1" "$2" && btrfs -q subvolume create "$2/$3" && cp -a "$4/." "$2/$3" && umount "$2"'
        command = ["unshare", "--mount", "sh", "-ec", script, "sh", image, tmp_path / "mounted", subvolume, tiny.root]
        subprocess.run(command, check=True, capture_output=True)
    if not found:
        with pytest.raises(Refused, match="no Linux root file system"):
            adapt(str(image))
        return
    done = adapt(str(image))
    assert done.found and (done.found.root_file_system, done.found.root_device) == ("btrfs", "the whole disk")
    assert not adapt(str(image)).changed and loops(str(image)) == ""


def test_selinux_labels_anew(tiny: Guest, tmp_path: Path) -> None:
    image = disk(tiny.files({"/etc/selinux/config": "SELINUX=enforcing\n"}), tmp_path / "disk")
    assert ("/.autorelabel", "created") in {(change.path, change.action) for change in adapt(image).files}
    assert not adapt(image).changed


# what a guest's program can do


@pytest.fixture
def inside(tiny: Guest) -> Iterator[Any]:
    """Run a shell script confined in the tree; returns what it printed."""
    (tiny.root / "boot" / "x").write_text("x")

    def run(script: str) -> str:
        def work() -> dict[str, Any]:
            linux.private_mounts()
            linux.mount(str(tiny.root), str(tiny.root), "", linux.MS_BIND)
            with open(tiny.root.parent / "result", "wb") as file:
                command = ["sh", "-c", f"{script}; echo made > /tmp/result"]
                ended = confine.run(
                    str(tiny.root), command, name="sh", result="/tmp/result", into=file.fileno(), timeout=30
                )
            return {"status": ended.status, "output": ended.output}

        answer = offline._in_child(work)
        assert answer["status"] == 0, answer
        assert (tiny.root.parent / "result").read_text() == "made\n"
        return str(answer["output"])

    yield run


def test_it_cannot_write_to_the_guest(inside: Any, tiny: Guest) -> None:
    before = tiny.snapshot()
    out = inside(
        "echo x > /etc/new; echo x > /boot/x; echo x > /made; echo y > /tmp/ok && echo z > /var/tmp/ok && echo written"
    )
    assert out.count("Read-only file system") == 3 and "written" in out
    assert tiny.snapshot() == before


def test_it_sees_nothing_of_the_host(inside: Any) -> None:
    out = inside(
        "echo /dev/* /sys/* /proc/[0-9]*; cat /proc/net/dev /proc/self/mountinfo; cat /proc/sys/kernel/hostname"
    )
    first = out.splitlines()[0].split()
    assert [path for path in first if path.startswith("/dev/")] == [
        f"/dev/{name}"
        for name in ("fd", "full", "null", "random", "stderr", "stdin", "stdout", "tty", "urandom", "zero")
    ]
    assert "/sys/*" in first
    assert len([path for path in first if path.startswith("/proc/")]) <= 3
    assert re.findall(r"^\s*(\w+):", out, re.M) == ["lo"]
    mounted = [line.split()[4] for line in out.splitlines() if " - " in line]
    assert sorted(mounted) == ["/", "/dev", "/proc", "/run", "/sys", "/tmp", "/var/tmp"]
    assert out.rstrip().endswith("guest")


def test_it_has_few_rights(inside: Any) -> None:
    kept = sum(1 << number for number in linux.KEPT_CAPABILITIES.values())
    status = inside("cat /proc/self/status")
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(re.findall(rf"{name}:\s*(\w+)", status)[0], 16) == kept
    assert re.search(r"NoNewPrivs:\s*1", status)
    out = inside("mknod /tmp/disk b 7 0; mount -t proc x /tmp; cat /proc/sys/vm/swappiness > /proc/sys/vm/swappiness")
    told = out.splitlines()
    assert "Operation not permitted" in told[0]
    assert "permission denied" in told[1] or "must be superuser" in told[1]
    assert "Read-only file system" in told[-1]


def test_a_link_in_place_of_the_result_leads_nowhere(tiny: Guest, tmp_path: Path) -> None:
    shutil.copy(os.path.realpath(shutil.which("ln") or ""), tiny.root / "bin/ln")
    tiny.files({"/usr/sbin/mkinitramfs": '#!/bin/sh\nln -s /made "$4"\n'})
    with pytest.raises(CloudExitError, match="Too many levels of symbolic links"):
        adapt(disk(tiny, tmp_path / "disk"))
