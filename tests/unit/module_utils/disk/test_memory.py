# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Peak memory stays under 64 MiB, whatever the size of the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.module_utils.disk.conftest import MakeRaw, QemuImg, mixed_bytes

MIB, TIB = 1 << 20, 1 << 40
LIMIT = 64 * MIB
SOURCE_TREE = Path(__file__).resolve().parents[4] / ".lab" / "src"

# The peak of this program alone: what the parent had before the start does not count in VmHWM.
PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
"""

CONVERT = """
import sys
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk import pipeline, reader, vmdk_decode
with reader.open_source(sys.argv[1]) as source, open(sys.argv[2], "wb") as out:
    root = pipeline.stream_vmdk(source, out.write).manifest.root
after_write = peak()
with open(sys.argv[2], "rb") as stream:
    assert vmdk_decode.manifest_of(stream).root == root
print(after_write, peak())
"""

MANY_CHUNKS = """
import sys
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.manifest import Manifest, ManifestBuilder
count = 2_000_000  # 122 GiB of data: 61 MiB of digests
def make():
    builder = ManifestBuilder(count * 65536)
    for first in range(0, count, 16):
        builder.add(first.to_bytes(32, "little") * 16)
    return builder.finish()
one, two = make(), make()
assert one.diff(two) == []
one.dump(sys.argv[1])
assert Manifest.load(sys.argv[1]) == two
print(peak())
"""


def peaks(program: str, *arguments: object) -> list[int]:
    env = {**os.environ, "PYTHONPATH": str(SOURCE_TREE)}
    done = subprocess.run(
        [sys.executable, "-c", PEAK + program, *map(str, arguments)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [int(number) for number in done.stdout.split()]


@pytest.mark.parametrize("fmt", ["raw", "qcow2"])
def test_a_conversion_and_its_read_back(fmt: str, make_raw: MakeRaw, tmp_path: Path, qemu_img: QemuImg) -> None:
    data = {n * TIB // 8 + n: mixed_bytes(6 * MIB, n) for n in range(12)}
    disk = make_raw(2 * TIB + 300 * 512, data)
    if fmt == "qcow2":
        qemu_img("convert", "-f", "raw", "-O", "qcow2", disk, tmp_path / "disk.qcow2")
        disk = tmp_path / "disk.qcow2"
    after_write, after_read = peaks(CONVERT, disk, tmp_path / "out.vmdk")
    assert 10 * MIB < after_write < LIMIT
    assert after_read < LIMIT


def test_a_manifest_of_very_many_chunks(tmp_path: Path) -> None:
    [peak] = peaks(MANY_CHUNKS, tmp_path / "m")
    assert 10 * MIB < peak < LIMIT
