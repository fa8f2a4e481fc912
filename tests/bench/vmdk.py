# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stream-optimised VMDK: ours against `qemu-img convert`, whole processes, hashing of every chunk included in ours.

The disk (4 GiB, made once, kept in `.lab/cache/bench`) has what real disks have: a partition with an ext4 root file
system of real programs, libraries, documents and sources (about 1.1 GB), 300 MB that do not compress, 100 MB of
log-like text, 250 MB of written zeros, and holes.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

from tests.bench import common
from tests.bench.common import CACHE, CHECKOUT, Sample, say

GIB = 1 << 30
MIB = 1 << 20
SIZE = 4 * GIB
FIRST = MIB  # where the partition begins
FS_SIZE = 3600 * MIB
ZEROS_AT = FIRST + FS_SIZE + 16 * MIB
ZEROS = 250 * MIB

# Parts of this machine's system, each up to so many MiB.
PARTS = (
    ("/usr/bin", 240),
    ("/usr/sbin", 40),
    ("/usr/lib/x86_64-linux-gnu", 400),
    ("/usr/lib/gcc", 100),
    ("/usr/lib/python3", 50),
    ("/usr/lib/python3.11", 60),
    ("/usr/lib/modules", 100),
    ("/usr/share", 220),
    ("/usr/include", 60),
)


def _copy_part(origin: Path, target: Path, limit: int) -> int:
    taken = 0
    for folder, folders, files in os.walk(origin):
        folders.sort()
        for name in sorted(files):
            path = Path(folder, name)
            try:
                if path.is_symlink() or not path.is_file() or path.stat().st_size > limit // 4:
                    continue
                place = target / path.relative_to("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)
            except OSError:
                continue
            taken += path.stat().st_size
            if taken >= limit:
                return taken
    return taken


def _log_text(path: Path, size: int) -> None:
    numbers = random.Random(20260101)
    verbs = ("GET", "GET", "GET", "POST", "PUT", "DELETE")
    codes = (200, 200, 200, 304, 404, 500)
    paths = [f"/{part}/{numbers.randrange(10**6)}" for part in ("api/orders", "static", "users", "cart") * 50]
    with path.open("wb") as out:
        while out.tell() < size:
            lines = [
                f"2026-01-{1 + n % 28:02}T{n % 24:02}:{n % 60:02}:{numbers.randrange(60):02}Z host-{n % 7} "
                f"web[{1000 + n % 500}]: {numbers.choice(verbs)} {numbers.choice(paths)} {numbers.choice(codes)} "
                f"{numbers.randrange(10**5)} bytes {numbers.randrange(3000)} ms from 10.{n % 4}.{n % 256}.{n % 251}\n"
                for n in range(20000)
            ]
            out.write("".join(lines).encode())
        out.truncate(size)


def _partition_table() -> bytes:
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", FIRST // 512, FS_SIZE // 512)
    return bytes(440) + b"\xce\x1d\x5e\x70\0\0" + entry.ljust(64, b"\0") + b"\x55\xaa"


def make_disk() -> tuple[Path, Path]:
    """The raw disk and its qcow2; made when they are not there."""
    raw, qcow2 = CACHE / "disk.raw", CACHE / "disk.qcow2"
    if raw.exists() and qcow2.exists():
        return raw, qcow2
    CACHE.mkdir(parents=True, exist_ok=True)
    tree = CACHE / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    total = 0
    for origin, limit in PARTS:
        if Path(origin).is_dir():
            total += _copy_part(Path(origin), tree, limit * MIB)
    say(f"  the root file system has {total / 1e6:.0f} MB of files")
    numbers = random.Random(7)
    (tree / "srv").mkdir()
    with (tree / "srv" / "archive.bin").open("wb") as out:
        for _unused in range(300):
            out.write(numbers.randbytes(10**6))
    _log_text(tree / "srv" / "access.log", 100 * 10**6)
    partial = CACHE / "disk.raw.partial"
    with partial.open("wb") as out:
        out.truncate(SIZE)
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-L", "bench", "-d", tree, "-E", f"offset={FIRST}", partial, f"{FS_SIZE // 1024}k"],
        check=True,
        env={**os.environ, "PATH": path},
    )
    shutil.rmtree(tree)
    with partial.open("r+b") as out:
        out.write(_partition_table())
        out.seek(ZEROS_AT)
        for _unused in range(ZEROS // MIB):
            out.write(bytes(MIB))
        out.flush()
        os.fsync(out.fileno())
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", partial, qcow2], check=True)
    partial.replace(raw)
    return raw, qcow2


def _scratch() -> Path:
    """Where both write: memory, when there is room for the two results, so that no disk is measured."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > 4 * GIB:
        return memory
    return CACHE


def _warm(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(4 * MIB)
        while file.readinto(buffer):
            pass


def bench(pairs: int) -> Path:
    """Measure and write `.lab/bench/vmdk.json`."""
    raw, qcow2 = make_disk()
    scratch = _scratch()
    ours_out, peer_out = scratch / f"cloudexit-bench-{os.getpid()}.vmdk", scratch / f"qemu-bench-{os.getpid()}.vmdk"
    manifest = ours_out.with_suffix(".manifest")
    rows = []
    try:
        for label, disk in (("raw", raw), ("qcow2", qcow2)):
            _warm(disk)
            sizes: list[tuple[float, float]] = []

            def ours(disk: Path = disk) -> Sample:
                ours_out.unlink(missing_ok=True)
                script = CHECKOUT / "tests" / "bench" / "convert.py"
                return common.run([common.python(), script, disk, ours_out, manifest], env=common.collection_env())

            def peer(disk: Path = disk, label: str = label) -> Sample:
                peer_out.unlink(missing_ok=True)
                options = ["-f", label, "-O", "vmdk", "-o", "subformat=streamOptimized"]
                return common.run(["qemu-img", "convert", *options, disk, peer_out])

            samples = common.paired(ours, peer, pairs, label)
            sizes.append((ours_out.stat().st_size, peer_out.stat().st_size))
            for check in (
                ["qemu-img", "check", "-q", ours_out],
                ["qemu-img", "compare", "-q", "-f", label, "-F", "vmdk", disk, ours_out],
            ):
                subprocess.run(check, check=True)
            read = disk.stat().st_blocks * 512
            rows += [
                common.row(f"{label} to VMDK: wall time", [(a.wall, b.wall) for a, b in samples], "s"),
                common.row(f"{label} to VMDK: CPU time", [(a.cpu, b.cpu) for a, b in samples], "s"),
                common.row(
                    f"{label} to VMDK: allocated data",
                    [(read / a.wall / 1e6, read / b.wall / 1e6) for a, b in samples],
                    "MB/s",
                    lower_is_better=False,
                ),
                common.row(f"{label} to VMDK: peak memory", [(a.rss / MIB, b.rss / MIB) for a, b in samples], "MiB"),
                common.row(f"{label} to VMDK: output", [(a / 1e6, b / 1e6) for a, b in sizes], "MB"),
            ]
    finally:
        for path in (ours_out, peer_out, manifest):
            path.unlink(missing_ok=True)
    conditions = {
        "disk": "4 GiB: ext4 root of real files, 300 MB random, 100 MB log text, 250 MB written zeros, holes",
        "allocated_raw_bytes": raw.stat().st_blocks * 512,
        "pairs": pairs,
        "ours": "python process: reads, hashes (BLAKE3, 64 KiB), compresses (igzip 1), writes file and manifest",
        "peer": "qemu-img convert -O vmdk -o subformat=streamOptimized",
        "peer_version": common.version_of(["qemu-img", "--version"]),
        "output": "tmpfs" if scratch == Path("/dev/shm") else "disk",
        "input": "page cache warm",
        "ratio": "median of the pairs' peer/ours; above 1: ours needs less",
    }
    return common.write_result("vmdk", conditions, rows)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="stream-optimised VMDK against qemu-img, in paired runs")
    parser.add_argument("--pairs", type=int, default=3, help="pairs of runs for each format (about 50 s a pair)")
    options = parser.parse_args(arguments)
    say("==> VMDK: ours against qemu-img")
    bench(options.pairs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
