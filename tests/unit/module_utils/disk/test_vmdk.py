# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the writer makes is what qemu-img and our own decoder find in it, for every shape of disk."""

from __future__ import annotations

import random
import struct
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk import pipeline, vmdk, vmdk_decode
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import open_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    InvalidInput,
    Refused,
)
from tests.unit.module_utils.disk.conftest import MakeRaw, QemuImg, mixed_bytes

KIB, MIB, TIB = 1 << 10, 1 << 20, 1 << 40

SHAPES: dict[str, tuple[int, dict[int, bytes]]] = {
    "one sector": (512, {0: mixed_bytes(512)}),
    "one sector of zeros": (512, {}),
    "one grain": (64 * KIB, {0: mixed_bytes(64 * KIB)}),
    "a grain and a sector": (64 * KIB + 512, {64 * KIB: b"\x01"}),
    "no data": (40 * MIB, {}),
    "written zeros": (3 * MIB, {0: bytes(2 * MIB), 2 * MIB + 100: b"x"}),
    "full": (2 * MIB, {0: mixed_bytes(2 * MIB)}),
    "full, not a multiple of the grain": (MIB + 33 * 512, {0: mixed_bytes(MIB + 33 * 512)}),
    "last byte": (5 * MIB, {5 * MIB - 1: b"\xff"}),
    "a table less a sector": (32 * MIB - 512, {0: b"a", 32 * MIB - 513: b"b"}),
    "a table": (32 * MIB, {0: b"a", 32 * MIB - 1: b"b"}),
    "a table and a sector": (32 * MIB + 512, {32 * MIB - 1: b"ab"}),
    "a table and two sectors": (32 * MIB + 1024, {0: b"a", 32 * MIB + 1023: b"b"}),
    "many tables": (200 * MIB + 512, {n * 9 * MIB + 7 * n: mixed_bytes(70 * KIB, n) for n in range(20)}),
    "an empty table between": (100 * MIB, {0: b"a", 99 * MIB: b"b"}),
    "a directory of two sectors": (5000 * MIB, {0: b"a", 4999 * MIB: b"b"}),
}


def convert(path: Path, out: Path, **options: object) -> pipeline.PassResult:
    with open_source(path) as source, out.open("wb") as file:
        result = pipeline.stream_vmdk(source, file.write, **options)
    assert result.bytes_sent == out.stat().st_size
    return result


def decoded(path: Path) -> dict[int, bytes]:
    with path.open("rb") as file:
        return dict(vmdk_decode.decode(file))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_every_shape_is_the_same_disk(
    shape: tuple[int, Mapping[int, bytes]], make_raw: MakeRaw, qemu_img: QemuImg, tmp_path: Path
) -> None:
    size, data = shape
    raw, ours, theirs, qcow2 = make_raw(size, data), tmp_path / "o.vmdk", tmp_path / "q.vmdk", tmp_path / "d.qcow2"
    result = convert(raw, ours)
    qemu_img("check", "-q", ours)
    qemu_img("compare", "-q", "-f", "raw", "-F", "vmdk", raw, ours)
    with open_source(raw) as source:
        assert pipeline.hash_source(source) == result.manifest
    assert result.manifest.size == size
    with ours.open("rb") as file:
        assert vmdk.manifest_of(file) == result.manifest
    qemu_img("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, theirs)
    with theirs.open("rb") as file:
        assert vmdk_decode.manifest_of(file) == result.manifest
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, qcow2)
    from_qcow2 = tmp_path / "o2.vmdk"
    assert convert(qcow2, from_qcow2).manifest == result.manifest
    qemu_img("compare", "-q", "-f", "qcow2", "-F", "vmdk", qcow2, from_qcow2)


def test_the_decoder_gives_the_bytes_back(make_raw: MakeRaw, tmp_path: Path) -> None:
    size = 3 * MIB + 512
    raw = make_raw(size, {0: mixed_bytes(MIB + 700), size - 3: b"end"})
    convert(raw, tmp_path / "o.vmdk")
    back = bytearray(size)
    for offset, content in decoded(tmp_path / "o.vmdk").items():
        back[offset : offset + len(content)] = content
    assert bytes(back) == raw.read_bytes()
    assert len(back) == size


def test_a_sparse_disk_larger_than_two_tebibytes(make_raw: MakeRaw, tmp_path: Path, qemu_img: QemuImg) -> None:
    size = 2 * TIB + 200 * (1 << 30) + 512
    raw = make_raw(size, {0: b"begin", TIB + 12345: mixed_bytes(MIB), size - 3: b"end"})
    out = tmp_path / "o.vmdk"
    result = convert(raw, out)
    assert result.bytes_read < 4 * MIB
    assert out.stat().st_size < 4 * MIB
    with out.open("rb") as file:
        assert vmdk_decode.manifest_of(file) == result.manifest
    qemu_img("check", "-q", out)
    found = decoded(out)
    assert found[0][:6] == b"begin\0"
    assert max(found) + len(found[max(found)]) == size
    assert found[max(found)][-3:] == b"end"


def test_header_and_descriptor(make_raw: MakeRaw, tmp_path: Path, qemu_img: QemuImg) -> None:
    out = tmp_path / "o.vmdk"
    convert(make_raw(3 * MIB, {0: b"x"}), out)
    data = out.read_bytes()
    magic, version, flags, capacity, grain = struct.unpack_from("<4sIIQQ", data)
    assert (magic, version, flags, capacity, grain) == (b"KDMV", 3, 0x30001, 6144, 128)
    assert struct.unpack_from("<Q", data, 56) == (0xFFFFFFFFFFFFFFFF,)
    text = data[512 : 512 * 21].rstrip(b"\0").decode("ascii")
    for line in (
        'createType="streamOptimized"',
        "parentCID=ffffffff",
        'ddb.adapterType = "lsilogic"',
        'ddb.toolsVersion = "2147483647"',
    ):
        assert line in text.splitlines()
    assert "create type: streamOptimized" in qemu_img("info", out)


def test_an_empty_disk_is_only_metadata(make_raw: MakeRaw, tmp_path: Path) -> None:
    result = convert(make_raw(3000 * MIB), tmp_path / "o.vmdk")
    # Head, directory behind its marker, footer behind its marker, end.
    assert result.bytes_sent == 64 * KIB + 2 * 512 + 2 * 512 + 512
    assert result.bytes_read == 0


def test_a_hostile_name_is_only_a_name(tmp_path: Path, qemu_img: QemuImg) -> None:
    folder = tmp_path / "a b'\"{{ 7*7 }}"
    folder.mkdir()
    path = folder / "json:{},file=é; $(id) -o x"
    path.write_bytes(mixed_bytes(MIB))
    qcow2 = folder / "nbd:x,y:z%s"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", path, f"{folder}/./nbd:x,,y:z%s".replace(",,", ","))
    first = convert(path, tmp_path / "o.vmdk")
    assert convert(qcow2, tmp_path / "o2.vmdk").manifest == first.manifest
    assert b"7*7" not in (tmp_path / "o.vmdk").read_bytes()[: 64 * KIB]
    assert b"json" not in (tmp_path / "o.vmdk").read_bytes()[: 64 * KIB]


def test_noise_is_stored_and_what_follows_is_compressed_again(
    make_raw: MakeRaw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = 0
    store = vmdk.store_grain

    def counted(data: memoryview, checksum: int) -> bytes:
        nonlocal stored
        stored += 1
        return store(data, checksum)

    monkeypatch.setattr(vmdk, "store_grain", counted)
    raw = make_raw(3 * MIB, {0: random.Random(3).randbytes(MIB), MIB: b"text " * 400_000})
    out = tmp_path / "o.vmdk"
    result = convert(raw, out, threads=1, compressor="isal")
    assert stored == 15  # of 16: the first shows that it does not compress
    assert result.bytes_sent < 64 * KIB + MIB + 30 * KIB + 100 * KIB
    with out.open("rb") as file:
        assert vmdk_decode.manifest_of(file) == result.manifest


def test_a_stored_grain_is_sound_zlib() -> None:
    data = random.Random(4).randbytes(64 * KIB)
    assert zlib.decompress(vmdk.store_grain(memoryview(data), zlib.adler32(data))) == data
    with pytest.raises(zlib.error):
        zlib.decompress(vmdk.store_grain(memoryview(data), zlib.adler32(data) ^ 1))


@pytest.mark.parametrize("name", ["deterministic", "zlib"])
def test_a_measured_stream_comes_again_byte_for_byte(name: str, make_raw: MakeRaw, tmp_path: Path) -> None:
    raw = make_raw(5 * MIB, {100: mixed_bytes(2 * MIB), 4 * MIB: mixed_bytes(300 * KIB, 2)})
    with open_source(raw) as source:
        measured = pipeline.measure_vmdk(source, compressor=name)
    again = convert(
        raw, tmp_path / "o.vmdk", compressor=name, expected_length=measured.bytes_sent, stream_sha256=True, threads=3
    )
    assert again.sha256_of_stream == measured.sha256_of_stream != ""
    assert again.manifest == measured.manifest


@pytest.mark.parametrize("change", [b"", mixed_bytes(MIB, 7)], ids=["shorter", "longer"])
def test_a_disk_that_changed_after_it_was_measured_is_an_error(change: bytes, make_raw: MakeRaw) -> None:
    with open_source(make_raw(8 * MIB, {0: mixed_bytes(3 * MIB)})) as source:
        length = pipeline.measure_vmdk(source).bytes_sent
    sent = 0

    def write(piece: bytes) -> None:
        nonlocal sent
        sent += len(piece)

    data = {0: mixed_bytes(3 * MIB), 4 * MIB: change} if change else {0: mixed_bytes(MIB)}
    with (
        open_source(make_raw(8 * MIB, data, name="changed.raw")) as source,
        pytest.raises(CloudExitError, match="were measured"),
    ):
        pipeline.stream_vmdk(source, write, compressor="deterministic", expected_length=length)
    assert sent <= length


def test_without_isal_zlib_does_it(make_raw: MakeRaw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    result = convert(make_raw(MIB, {0: mixed_bytes(MIB)}), tmp_path / "o.vmdk")
    assert result.compressor == "zlib"
    with (tmp_path / "o.vmdk").open("rb") as file:
        assert vmdk_decode.manifest_of(file) == result.manifest
    with pytest.raises(CloudExitError, match="pip install 'isal"):
        vmdk.compressor("isal")
    with pytest.raises(InvalidInput, match="lz4"):
        vmdk.compressor("lz4")


@pytest.mark.parametrize("capacity", [0, -512, 100, 64 * KIB + 1])
def test_a_capacity_that_is_not_whole_sectors_is_refused(capacity: int) -> None:
    with pytest.raises(InvalidInput, match="512-byte sectors"):
        vmdk.StreamWriter(capacity, pytest.fail)


def test_grains_out_of_order_are_a_mistake_of_the_caller() -> None:
    writer = vmdk.StreamWriter(MIB, lambda piece: None)
    writer.begin()
    writer.add(4, [1], bytes(512))
    for first, sectors, blob in ((4, [1], bytes(512)), (16, [1], bytes(512)), (5, [2], bytes(512))):
        with pytest.raises(ValueError, match="grains"):
            writer.add(first, sectors, blob)


def test_a_stream_that_32_bits_cannot_address_is_refused(make_raw: MakeRaw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vmdk, "_MAX_SECTORS", 1000)
    with (
        open_source(make_raw(2 * MIB, {0: random.Random(1).randbytes(MIB)})) as source,
        pytest.raises(Refused, match="2 TiB"),
    ):
        pipeline.stream_vmdk(source, lambda piece: None)
