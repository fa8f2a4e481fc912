# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the programs a guest is built with: in a chroot in namespaces of its own, on loop devices that go away."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

HOST_PACKAGES = (
    "mmdebstrap",
    "debian-archive-keyring",
    "e2fsprogs",
    "xfsprogs",
    "dosfstools",
    "mtools",
    "fdisk",
    "cpio",
    "mount",
    "openssh-client",
    "qemu-system-x86",
    "ovmf",
    "zstd",
)
"""Debian packages that building and running guests needs on this machine."""

_PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "sfdisk": "fdisk",
    "cpio": "cpio",
    "zstd": "zstd",
    "losetup": "mount",
    "unshare": "util-linux",
    "ssh-keygen": "openssh-client",
}


class BuildError(Exception):
    """A guest could not be built; says which step and ends with what the program printed last."""


def missing_programs() -> dict[str, str]:
    """What the build needs and this machine lacks: program -> Debian package."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return {program: package for program, package in _PROGRAMS.items() if not shutil.which(program, path=path)}


def run(argv: Sequence[str | Path], *, what: str, stdin: str | None = None, env: dict[str, str] | None = None) -> str:
    """Run a program and return what it printed. Raises BuildError naming the step."""
    full = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        **{k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")},
        **(env or {}),
    }
    done = subprocess.run(
        [str(a) for a in argv],
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=full,
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-25:])
        raise BuildError(f"{what}: {argv[0]} ended with code {done.returncode}\n{tail}")
    return done.stdout


def in_chroot(
    root: Path,
    script: str,
    *,
    what: str,
    nodes: dict[str, str] | None = None,
    links: dict[str, str] | None = None,
    mounts: Sequence[tuple[str, str]] = (),
) -> str:
    """Run a shell script inside root, in its own mount and pid namespaces.

    /dev holds only the usual character devices plus ``nodes`` (block devices: name -> "major:minor") and ``links``
    below /dev (name -> target). ``mounts`` are nodes to mount first, each with a folder of the root. Whatever is
    mounted or started there is gone when this returns, however it ends.
    """
    target = shlex.quote(str(root))
    steps = [
        "set -eu",
        "mount -t tmpfs -o mode=755 dev /dev; cd /dev; mkdir pts shm",
        "mknod -m 666 null c 1 3; mknod -m 666 zero c 1 5; mknod -m 666 full c 1 7; mknod -m 666 random c 1 8",
        "mknod -m 666 urandom c 1 9; mknod -m 666 tty c 5 0; ln -s /proc/self/fd fd; ln -s fd/0 stdin",
        "ln -s fd/1 stdout; ln -s fd/2 stderr",
    ]
    for name, number in (nodes or {}).items():
        major, minor = number.split(":")
        steps.append(f"mknod -m 600 {shlex.quote(name)} b {int(major)} {int(minor)}")
    for name, to in (links or {}).items():
        steps.append(f"mkdir -p {shlex.quote(str(Path(name).parent))}; ln -s {shlex.quote(to)} {shlex.quote(name)}")
    for name, at in mounts:
        steps.append(f"mount -t ext4 -o discard /dev/{shlex.quote(name)} {target}{shlex.quote(at.rstrip('/'))}")
    steps += [
        f"mount --bind /dev {target}/dev",
        f"mount -t proc proc {target}/proc",
        f"mount -t sysfs -o ro sysfs {target}/sys",
        f"mount -t tmpfs -o mode=755 run {target}/run",
        f"mount -t tmpfs tmp {target}/tmp",
        f"cd /; exec chroot {target} /bin/sh -eu -c {shlex.quote(script)}",
    ]
    return run(
        [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "/bin/sh",
            "-c",
            "\n".join(steps),
        ],
        what=what,
        env={"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "INITRD": "No"},
    )


@contextlib.contextmanager
def loop(file: Path, *, offset: int = 0, size: int = 0) -> Iterator[Path]:
    """A loop device on a file or a part of it, detached afterwards."""
    argv: list[str | Path] = ["losetup", "--find", "--show", "--partscan"]
    argv += ["--offset", str(offset), "--sizelimit", str(size)] if size else []
    device = Path(run([*argv, file], what=f"loop device for {file.name}").strip().splitlines()[-1])
    try:
        yield device
    finally:
        run(["losetup", "--detach", device], what=f"detach {device}")


def partition_numbers(device: Path) -> dict[str, str]:
    """Make the partitions of a loop device known to the kernel; their names -> "major:minor".

    Done by partx, because a kernel may lack the partition table's format (it then only knows what it is told).
    """
    run(["partx", "--update", device], what=f"partitions of {device}")
    below = Path("/sys/class/block") / device.name
    return {p.name: (p / "dev").read_text().strip() for p in sorted(below.glob(f"{device.name}p*"))}


def sweep_loops(below: Path) -> list[str]:
    """Detach loop devices on files below a folder that an earlier, killed build left. Returns the devices."""
    listing = run(["losetup", "--list", "--json", "--output", "NAME,BACK-FILE"], what="list loop devices")
    gone = []
    for entry in json.loads(listing or '{"loopdevices": []}').get("loopdevices", []):
        file = str(entry.get("back-file") or "").removesuffix(" (deleted)")
        if file and Path(file).is_relative_to(below):
            run(["losetup", "--detach", entry["name"]], what="detach a stale loop device")
            gone.append(str(entry["name"]))
    return gone


def debian_mirrors() -> list[str]:
    """One-line apt sources for Debian 12, from the mirrors this machine uses, else deb.debian.org."""
    main = security = ""
    out = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(REPO_URI) $(COMPONENT)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for line in out.splitlines():
        fields = line.split()
        if len(fields) != 4 or fields[3] != "main" or "debian" not in fields[2]:
            continue
        uri = fields[2].rstrip("/")
        if uri.endswith("/debian-security"):
            security = security or uri
        elif uri.endswith("/debian"):
            main = main or uri
    main = main or "http://deb.debian.org/debian"
    security = security or main.removesuffix("/debian") + "/debian-security"
    return [
        f"deb {main} bookworm main",
        f"deb {main} bookworm-updates main",
        f"deb {security} bookworm-security main",
    ]


def apt_options() -> list[str]:
    """The transport settings (proxies and the like) of this machine's apt, as options for another apt."""
    out = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=False).stdout
    wanted = []
    for line in out.splitlines():
        key = line.split(" ", 1)[0].lower()
        transport = key.startswith(("acquire::http::", "acquire::https::", "acquire::retries", "acquire::check-"))
        if transport and not line.endswith('"";'):
            wanted.append(line)
    for scheme, proxy in urllib.request.getproxies().items():
        if scheme in ("http", "https") and not any(f"acquire::{scheme}::proxy" in w.lower() for w in wanted):
            wanted.append(f'Acquire::{scheme}::Proxy "{proxy}";')
    return wanted
