# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw files, block devices and qcow2 images are read right, or refused with a clear reason."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk import pipeline, reader
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import open_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    InvalidInput,
    NotFound,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.manifest import Manifest
from tests.unit.module_utils.disk.conftest import MakeRaw, QemuImg, mixed_bytes

KIB, MIB = 1 << 10, 1 << 20


def manifest(path: Path, fmt: str = "auto", spool_dir: Path | None = None) -> Manifest:
    with open_source(path, fmt, str(spool_dir) if spool_dir else None) as source:
        return pipeline.hash_source(source)


def test_holes_of_a_raw_file_are_not_read(make_raw: MakeRaw) -> None:
    raw = make_raw(
        64 * MIB, {MIB + 5: b"a", 10 * MIB: mixed_bytes(100 * KIB), 10 * MIB + 164 * KIB: b"b", 64 * MIB - 1: b"c"}
    )
    with open_source(raw) as source:
        found = [(extent.offset, extent.length) for extent in source.extents()]
        assert source.size == 64 * MIB
    # Aligned outwards to 64 KiB, neighbours merged.
    assert found == [(MIB, 64 * KIB), (10 * MIB, 192 * KIB), (64 * MIB - 64 * KIB, 64 * KIB)]


def test_reading_at_any_place(make_raw: MakeRaw, tmp_path: Path, qemu_img: QemuImg) -> None:
    raw = make_raw(3 * MIB, {100: mixed_bytes(300 * KIB), 2 * MIB + 10: mixed_bytes(900 * KIB, 2)})
    qemu_img("convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=4k", raw, tmp_path / "d.qcow2")
    content = raw.read_bytes()
    for path in (raw, tmp_path / "d.qcow2"):
        with open_source(path) as source:
            for offset, length in ((0, 1), (50, 200), (MIB - 7, 100), (0, 3 * MIB), (2 * MIB, MIB), (3 * MIB - 9, 50)):
                assert source.pread(offset, length) == content[offset : offset + length]
            assert source.pread(3 * MIB, 10) == b""


def test_a_raw_file_that_ends_inside_a_sector_is_filled_up(tmp_path: Path, qemu_img: QemuImg) -> None:
    odd, filled = tmp_path / "odd.raw", tmp_path / "filled.raw"
    content = mixed_bytes(MIB + 1000)
    odd.write_bytes(content)
    filled.write_bytes(content + bytes(24))
    assert manifest(odd).size == MIB + 1024
    assert manifest(odd) == manifest(filled)
    with open_source(odd) as source, (tmp_path / "o.vmdk").open("wb") as out:
        pipeline.stream_vmdk(source, out.write)
        assert source.pread(MIB + 990, 100) == content[MIB + 990 :] + bytes(24)
    qemu_img("compare", "-q", "-f", "raw", "-F", "vmdk", filled, tmp_path / "o.vmdk")


@pytest.fixture
def loop_device(make_raw: MakeRaw) -> Iterator[tuple[Path, Path]]:
    """(a block device, the file behind it); its size is an odd number of sectors."""
    raw = make_raw(3 * MIB + 33 * 512, {MIB + 7: mixed_bytes(90 * KIB), 3 * MIB + 32 * 512: b"end"})
    if os.geteuid() or not Path("/dev/loop-control").exists():
        pytest.skip("loop devices need root and a kernel with loop")
    made = subprocess.run(
        ["losetup", "--find", "--show", "--read-only", raw], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no loop device to be had here: {made.stderr.strip()}")
    device = Path(made.stdout.strip())
    try:
        yield device, raw
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_a_block_device_is_read_in_full(loop_device: tuple[Path, Path]) -> None:
    device, raw = loop_device
    assert stat.S_ISBLK(device.stat().st_mode)
    with open_source(device) as source:
        assert source.size == 3 * MIB + 33 * 512
        assert [extent[:2] for extent in source.extents()] == [(0, source.size)]
    assert manifest(device) == manifest(raw)


def test_the_first_bytes_of_a_device_mean_nothing(make_raw: MakeRaw, tmp_path: Path, qemu_img: QemuImg) -> None:
    # The guest of a raw disk can write what looks like an image: with the format given, that stays plain data.
    inner = tmp_path / "inner.qcow2"
    qemu_img("create", "-f", "qcow2", inner, "10G")
    raw = make_raw(MIB, {0: inner.read_bytes()[: 512 * KIB]})
    with open_source(raw, "raw") as source:
        assert source.format == "raw"
        assert source.size == MIB
    with open_source(raw) as source:
        assert source.format == "qcow2"


QCOW2_OPTIONS = [
    ["-o", "compat=1.1"],
    ["-o", "compat=0.10"],
    ["-o", "cluster_size=512"],
    ["-o", "cluster_size=2M"],
    ["-o", "preallocation=metadata"],
    ["-o", "extended_l2=on"],
    ["-S", "0"],
    ["-c"],
    ["-c", "-o", "compression_type=zstd"],
]


@pytest.mark.parametrize("options", QCOW2_OPTIONS, ids=" ".join)
def test_qcow2_of_every_kind(options: list[str], make_raw: MakeRaw, tmp_path: Path, qemu_img: QemuImg) -> None:
    raw = make_raw(
        8 * MIB + 512, {5: mixed_bytes(200 * KIB), 2 * MIB: bytes(MIB), 4 * MIB: b"text" * 50_000, 8 * MIB + 500: b"z"}
    )
    image, spool = tmp_path / "d.qcow2", tmp_path / "spool"
    spool.mkdir()
    qemu_img("convert", "-f", "raw", "-O", "qcow2", *options, raw, image)
    files = len(os.listdir("/proc/self/fd"))
    with open_source(image, spool_dir=str(spool)) as source:
        assert source.format == "qcow2"
        assert isinstance(source, reader.RawSource if "-c" in options else reader.Qcow2Source)
        assert pipeline.hash_source(source) == manifest(raw)
    assert not list(spool.iterdir())
    assert len(os.listdir("/proc/self/fd")) == files


def test_a_last_cluster_that_the_file_does_not_hold_to_its_end(
    make_raw: MakeRaw, tmp_path: Path, qemu_img: QemuImg
) -> None:
    image, raw = tmp_path / "d.qcow2", tmp_path / "d.raw"
    disk = make_raw(MIB, {0: mixed_bytes(MIB - 50 * KIB)})
    qemu_img("convert", "-f", "raw", "-O", "qcow2", disk, image)
    os.truncate(image, image.stat().st_size - 40 * KIB)  # as QEMU leaves it where only zeros would follow
    qemu_img("convert", "-f", "qcow2", "-O", "raw", image, raw)
    assert manifest(image) == manifest(raw) == manifest(disk)


def test_no_more_than_the_rest_of_a_cluster_may_be_missing(tmp_path: Path) -> None:
    # Not every QEMU maps the missing rest as zeros.
    path = tmp_path / "file"
    path.write_bytes(b"x" * 70_000)
    with reader.Qcow2Source(str(path), os.open(path, os.O_RDONLY), MIB, 65536) as source:
        view = memoryview(bytearray(b"?" * 65536))
        source.read_at(65536, view)
        assert view.tobytes() == (b"x" * 4464).ljust(65536, b"\0")
        with pytest.raises(CloudExitError, match="at byte 70000"):
            source.read_at(65536, memoryview(bytearray(65537)))
        with pytest.raises(CloudExitError, match="at byte 131072"):
            source.read_at(131072, view)


def test_clusters_that_qemu_left_short_or_zeroed(tmp_path: Path, qemu_img: QemuImg) -> None:
    image, raw = tmp_path / "d.qcow2", tmp_path / "d.raw"
    qemu_img("create", "-q", "-f", "qcow2", image, "20M")
    writes = ["write -P 7 0 1M", "write -z 64k 64k", "discard 512k 64k", "write -P 9 10M 4k", "write -P 3 19M 512"]
    commands = [word for write in writes for word in ("-c", write)]
    subprocess.run(["qemu-io", "-f", "qcow2", *commands, image], check=True, capture_output=True)
    qemu_img("convert", "-f", "qcow2", "-O", "raw", image, raw)
    with open_source(image) as source:
        assert isinstance(source, reader.Qcow2Source)
        assert pipeline.hash_source(source) == manifest(raw)


def test_a_large_map_leaves_memory(
    make_raw: MakeRaw, tmp_path: Path, qemu_img: QemuImg, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = make_raw(8 * MIB, {n * 300 * KIB: mixed_bytes(20 * KIB, n) for n in range(25)})
    qemu_img("convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=4k", raw, tmp_path / "d.qcow2")
    with open_source(tmp_path / "d.qcow2") as source:
        expected = list(source.extents())
    monkeypatch.setattr(reader, "_TABLE_IN_MEMORY", 24 * 7)
    with open_source(tmp_path / "d.qcow2") as source:
        assert isinstance(source, reader.Qcow2Source)
        assert source._spilled is not None
        assert len(expected) > 20
        assert list(source.extents()) == expected
        assert source.pread(0, 8 * MIB) == raw.read_bytes()
        assert source.pread(7 * MIB + 3, MIB - 3) == raw.read_bytes()[7 * MIB + 3 :]


def test_a_backing_file_is_followed_only_when_the_format_is_given(
    make_raw: MakeRaw, tmp_path: Path, qemu_img: QemuImg
) -> None:
    base = make_raw(4 * MIB, {0: b"base", 2 * MIB: mixed_bytes(MIB)})
    image, raw = tmp_path / "top.qcow2", tmp_path / "flat.raw"
    qemu_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", image)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 5 0 64k", image], check=True, capture_output=True)
    with pytest.raises(Refused, match="name another file"):
        open_source(image)
    qemu_img("convert", "-f", "qcow2", "-O", "raw", image, raw)
    assert manifest(image, "qcow2") == manifest(raw)


def test_an_external_data_file_is_followed_only_when_the_format_is_given(
    make_raw: MakeRaw, tmp_path: Path, qemu_img: QemuImg
) -> None:
    raw, image = make_raw(2 * MIB, {0: mixed_bytes(MIB)}), tmp_path / "d.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", "-o", f"data_file={tmp_path}/d.data", raw, image)
    with pytest.raises(Refused, match="name another file"):
        open_source(image)
    assert manifest(image, "qcow2") == manifest(raw)


@pytest.mark.parametrize("method", [1, 2], ids=["aes", "luks"])
def test_an_encrypted_image_is_refused(method: int, tmp_path: Path, qemu_img: QemuImg) -> None:
    image = tmp_path / "d.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", image, "1M")
    with image.open("r+b") as file:
        file.seek(32)
        file.write(method.to_bytes(4, "big"))
    for fmt in ("auto", "qcow2"):
        with pytest.raises(Refused, match="encrypted"):
            open_source(image, fmt)


def test_a_damaged_qcow2_is_an_error(make_raw: MakeRaw, tmp_path: Path, qemu_img: QemuImg) -> None:
    image = tmp_path / "d.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", make_raw(3 * MIB, {0: mixed_bytes(3 * MIB)}), image)
    whole = image.read_bytes()
    image.write_bytes(whole[:40])
    with pytest.raises(InvalidInput, match="cut off"):
        open_source(image)
    image.write_bytes(whole[:20] + b"\0\0\0\x63" + whole[24:])
    with pytest.raises(InvalidInput, match="cluster size"):
        open_source(image)
    image.write_bytes(whole[:96] + b"\xff\xff\xff\xff" + whole[100:])
    with pytest.raises(CloudExitError, match="Could not open it: Reference count"):
        open_source(image)
    # Its table of tables is said to be behind the end of the file. QEMU would read only zeros, without a word.
    image.write_bytes(whole[:40] + (1 << 40).to_bytes(8, "big") + whole[48:])
    with pytest.raises(CloudExitError, match="region exceeding the end of the file"):
        open_source(image)


def test_a_qcow2_that_was_cut_is_an_error(make_raw: MakeRaw, tmp_path: Path, qemu_img: QemuImg) -> None:
    image = tmp_path / "d.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", make_raw(3 * MIB, {0: mixed_bytes(3 * MIB)}), image)
    whole = image.read_bytes()
    # Also where the tables are gone with the data: QEMU would read only zeros, without a word.
    for length in (len(whole) - 128 * KIB, len(whole) // 2, 300 * KIB, 128 * KIB, 64 * KIB, 1000):
        image.write_bytes(whole[:length])
        with pytest.raises(CloudExitError, match="qemu-img: "):
            open_source(image)


def test_an_image_whose_check_is_noisy_ends_soon(make_raw: MakeRaw, tmp_path: Path, qemu_img: QemuImg) -> None:
    image = tmp_path / "d.qcow2"
    raw = make_raw(3 * MIB, {0: mixed_bytes(3 * MIB)})
    qemu_img("convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=512", raw, image)
    os.truncate(image, 100 * KIB)
    with pytest.raises(CloudExitError, match="damaged") as caught:
        open_source(image)
    assert len(str(caught.value)) < 1000


def test_a_missing_qemu_img_names_its_package(
    make_raw: MakeRaw, tmp_path: Path, qemu_img: QemuImg, monkeypatch: pytest.MonkeyPatch
) -> None:
    qemu_img("convert", "-f", "raw", "-O", "qcow2", make_raw(MIB), tmp_path / "d.qcow2")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CloudExitError, match="qemu-utils"):
        open_source(tmp_path / "d.qcow2")


def test_a_failed_conversion_leaves_nothing(
    make_raw: MakeRaw, tmp_path: Path, qemu_img: QemuImg, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, spool, fake = tmp_path / "d.qcow2", tmp_path / "spool", tmp_path / "bin"
    qemu_img("convert", "-c", "-f", "raw", "-O", "qcow2", make_raw(MIB, {0: b"x" * 100_000}), image)
    spool.mkdir()
    fake.mkdir()
    script = (
        '#!/bin/sh\nif [ "$1" != convert ]; then PATH="$REAL" exec qemu-img "$@"; fi\necho no space left >&2\nexit 1\n'
    )
    (fake / "qemu-img").write_text(script)
    (fake / "qemu-img").chmod(0o755)
    monkeypatch.setenv("REAL", os.environ["PATH"])
    monkeypatch.setenv("PATH", f"{fake}:{os.environ['PATH']}")
    files = len(os.listdir("/proc/self/fd"))
    with pytest.raises(CloudExitError, match="qemu-img: no space left"):
        open_source(image, spool_dir=str(spool))
    assert not list(spool.iterdir())
    assert len(os.listdir("/proc/self/fd")) == files


def test_what_is_no_disk_is_said(tmp_path: Path, make_raw: MakeRaw) -> None:
    with pytest.raises(NotFound, match="There is no disk"):
        open_source(tmp_path / "missing")
    with pytest.raises(InvalidInput, match="neither a file nor a block device"):
        open_source(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InvalidInput, match="neither a file nor a block device"):
        open_source(tmp_path / "fifo")
    with pytest.raises(InvalidInput, match="empty"):
        open_source(make_raw(0))
    with pytest.raises(InvalidInput, match="not one of"):
        open_source(make_raw(512), "vhdx")
    with pytest.raises(InvalidInput, match="not a qcow2 image"):
        open_source(make_raw(512), "qcow2")


def test_a_file_that_shrinks_while_it_is_read_is_an_error(make_raw: MakeRaw) -> None:
    raw = make_raw(4 * MIB, {0: mixed_bytes(4 * MIB)})
    with open_source(raw) as source:
        extents = list(source.extents())
        os.truncate(raw, 3 * MIB)
        source.extents = lambda: iter(extents)
        with pytest.raises(CloudExitError, match=f"at byte {3 * MIB}") as caught:
            pipeline.hash_source(source)
    assert caught.value.retryable


def test_where_holes_are_not_told_everything_is_data(make_raw: MakeRaw, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = make_raw(2 * MIB, {MIB: b"x"})
    expected = manifest(raw)
    seek = os.lseek

    def no_holes(fd: int, position: int, how: int) -> int:
        if how in (os.SEEK_DATA, os.SEEK_HOLE):
            raise OSError(22, "Invalid argument")
        return seek(fd, position, how)

    monkeypatch.setattr(os, "lseek", no_holes)
    with open_source(raw) as source:
        assert [extent[:2] for extent in source.extents()] == [(0, 2 * MIB)]
        assert pipeline.hash_source(source) == expected
