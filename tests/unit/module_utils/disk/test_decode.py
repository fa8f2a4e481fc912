# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decoder believes nothing: whatever is altered, cut or out of order is refused."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk import pipeline
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import open_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.vmdk_decode import (
    DamagedStream,
    Decoder,
    manifest_of,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.manifest import Manifest
from tests.unit.module_utils.disk.conftest import MakeRaw, QemuImg, mixed_bytes

KIB, MIB = 1 << 10, 1 << 20
HEAD = 64 * KIB


class Part(NamedTuple):
    """A grain or a table with its marker, as it stands in the stream."""

    kind: str
    value: int
    at: int
    data: bytes


class Sound(NamedTuple):
    data: bytes
    manifest: Manifest
    parts: list[Part]

    def of(self, *kinds: str) -> list[Part]:
        return [part for part in self.parts if part.kind in kinds]

    def with_parts(self, parts: list[Part]) -> bytes:
        return self.data[:HEAD] + b"".join(part.data for part in parts)


def parts_of(data: bytes) -> list[Part]:
    found, at = [], HEAD
    while at < len(data):
        value, size, kind = struct.unpack_from("<QII", data, at)
        if size:
            length, name = -(-(12 + size) // 512) * 512, "grain"
        else:
            length, name = 512 + 512 * value, ("end", "table", "directory", "footer")[kind]
        found.append(Part(name, value, at, data[at : at + length]))
        at += length
    return found


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """A small stream: six grains, in two tables, and a size that is no multiple of the grain."""
    path = tmp_path_factory.mktemp("decode") / "disk.raw"
    with path.open("wb") as file:
        file.truncate(40 * MIB + 512)
        for offset in (0, 64 * KIB, 5 * MIB, 33 * MIB, 34 * MIB, 40 * MIB):
            file.seek(offset)
            file.write(((b"grain %d " % offset) * 20 + mixed_bytes(400, offset + 1))[:512])
    out = io.BytesIO()
    with open_source(path) as source:
        result = pipeline.stream_vmdk(source, out.write)
    data = out.getvalue()
    kinds = [part.kind for part in parts_of(data)]
    assert kinds == ["grain"] * 3 + ["table"] + ["grain"] * 3 + ["table", "directory", "footer", "end"]
    return Sound(data, result.manifest, parts_of(data))


def refuse(data: bytes) -> DamagedStream:
    with pytest.raises(DamagedStream) as caught:
        manifest_of(io.BytesIO(data), threads=1)
    return caught.value


def test_the_sound_stream_is_taken(sound: Sound) -> None:
    assert manifest_of(io.BytesIO(sound.data)) == sound.manifest
    assert Decoder(io.BytesIO(sound.data)).capacity == 40 * MIB + 512


def test_a_stream_that_trickles_is_taken(sound: Sound) -> None:
    class Trickle:
        def __init__(self) -> None:
            self.file = io.BytesIO(sound.data)

        def read(self, size: int, /) -> bytes:
            return self.file.read(min(size, 700))

    assert manifest_of(Trickle()) == sound.manifest


def test_no_flipped_byte_gives_another_disk(sound: Sound) -> None:
    refused = 0
    # All of the metadata and grains, and a sample of the (mostly empty) head.
    positions = [*range(0, 80), *range(512, 1100, 3), *range(1100, HEAD, 4001), *range(HEAD, len(sound.data), 7)]
    for position in positions:
        altered = bytearray(sound.data)
        altered[position] ^= 0x10
        try:
            assert manifest_of(io.BytesIO(altered), threads=1) == sound.manifest, position
        except DamagedStream:
            refused += 1
    assert refused > len(positions) // 4


@pytest.mark.parametrize("kind", ["grain", "table", "directory", "footer", "end"])
def test_a_flipped_byte_in_each_part_is_refused(kind: str, sound: Sound) -> None:
    for part in sound.of(kind):
        altered = bytearray(sound.data)
        # A byte in the middle of a grain's data; the first entry of a table; the capacity of the footer.
        inside = {"grain": 12 + struct.unpack_from("<I", part.data, 8)[0] // 2, "table": 512, "directory": 512}
        altered[part.at + inside.get(kind, {"footer": 512 + 12, "end": 0}.get(kind, 0))] ^= 1
        error = refuse(bytes(altered))
        assert "refused" in str(error)


def test_a_stream_cut_anywhere_is_refused(sound: Sound) -> None:
    for length in [*range(0, HEAD, 9973), *range(HEAD, len(sound.data), 128), len(sound.data) - 1]:
        refuse(sound.data[:length])


def test_a_cut_stream_may_be_read_again_but_an_altered_one_may_not(sound: Sound) -> None:
    assert refuse(sound.data[:-700]).retryable
    altered = bytearray(sound.data)
    altered[sound.of("grain")[0].at + 40] ^= 1
    assert not refuse(bytes(altered)).retryable


def swap(parts: list[Part], one: int, two: int) -> list[Part]:
    parts = list(parts)
    parts[one], parts[two] = parts[two], parts[one]
    return parts


REARRANGED: dict[str, tuple[Callable[[list[Part]], list[Part]], str]] = {
    "grains swapped": (lambda parts: swap(parts, 0, 1), "out of order"),
    "grains of two tables swapped": (lambda parts: swap(parts, 2, 4), "grain table 0 is missing"),
    "a grain missing": (lambda parts: parts[1:], "does not point at the grains"),
    "a grain twice": (lambda parts: [parts[0], *parts], "out of order"),
    "a table missing": (lambda parts: parts[:3] + parts[4:], "grain table 0 is missing"),
    "the last table missing": (lambda parts: parts[:7] + parts[8:], "grain table 1 is missing"),
    "a table twice": (lambda parts: parts[:4] + parts[3:], "does not point at the grains"),
    "tables swapped": (lambda parts: swap(parts, 3, 7), "does not point at the grains"),
    "a table behind the directory": (lambda parts: parts[:9] + parts[7:8] + parts[9:], "out of place"),
    "no directory": (lambda parts: parts[:8] + parts[9:], "type 3 .* out of place"),
    "directory twice": (lambda parts: parts[:9] + parts[8:], "type 2 .* out of place"),
    "no footer": (lambda parts: parts[:9] + parts[10:], "before its footer"),
    "footer before the directory": (lambda parts: swap(parts, 8, 9), "type 3 .* out of place"),
    "footer twice": (lambda parts: parts[:10] + parts[9:], "type 3 .* out of place"),
    "no end": (lambda parts: parts[:-1], "not whole"),
    "end first": (lambda parts: [parts[-1], *parts], "before its footer"),
    "a grain behind the directory": (lambda parts: parts[:9] + parts[5:6] + parts[9:], "behind its grain directory"),
    "more behind the end": (lambda parts: [*parts, parts[0]], "more data behind its end"),
}


@pytest.mark.parametrize(("change", "cause"), REARRANGED.values(), ids=REARRANGED.keys())
def test_parts_out_of_place_are_refused(change: Callable[[list[Part]], list[Part]], cause: str, sound: Sound) -> None:
    assert re.search(cause, str(refuse(sound.with_parts(change(sound.parts)))))


def repack(part: Part, compressed: bytes, sector: int | None = None) -> Part:
    """The same grain with other data, as long as before, so that all tables still fit."""
    data = struct.pack("<QI", part.value if sector is None else sector, len(compressed)) + compressed
    assert len(data) <= len(part.data)
    return part._replace(data=data.ljust(len(part.data), b"\0"))


@pytest.mark.parametrize(
    "content",
    [bytes(100_000), bytes(200), b"", zlib.compress(bytes(65536))[:-4], zlib.compress(bytes(65536)) + b"more"],
    ids=["too much", "too little", "nothing", "no checksum", "more behind"],
)
def test_a_grain_that_is_not_64_kib_is_refused(content: bytes, sound: Sound) -> None:
    compressed = content if content[:1] == b"\x78" else zlib.compress(content)
    refuse(sound.with_parts([repack(sound.parts[0], compressed), *sound.parts[1:]]))


def test_other_content_in_a_sound_stream_is_another_manifest(sound: Sound) -> None:
    other = sound.with_parts([repack(sound.parts[0], zlib.compress(b"x" * 65536)), *sound.parts[1:]])
    found = manifest_of(io.BytesIO(other))
    assert found != sound.manifest
    assert found.diff(sound.manifest) == [0]


@pytest.mark.parametrize("sector", [1, 64, 40 * MIB // 512 + 128, 1 << 60])
def test_a_grain_where_none_can_be_is_refused(sector: int, sound: Sound) -> None:
    grain = sound.parts[5]
    size = struct.unpack_from("<I", grain.data, 8)[0]
    moved = repack(grain, grain.data[12 : 12 + size], sector)
    assert "where none can be" in str(refuse(sound.with_parts([*sound.parts[:5], moved, *sound.parts[6:]])))


def test_a_grain_that_moved_is_refused(sound: Sound) -> None:
    grain = sound.parts[1]
    size = struct.unpack_from("<I", grain.data, 8)[0]
    moved = repack(grain, grain.data[12 : 12 + size], grain.value + 128)
    refuse(sound.with_parts([sound.parts[0], moved, *sound.parts[2:]]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"streamOptimized", b"monolithicSpars"),
        (b"parentCID=ffffffff", b"parentCID=12345678"),
        (b"RDONLY 81921 ", b"RDONLY 81920 "),
    ],
)
def test_a_descriptor_of_something_else_is_refused(old: bytes, new: bytes, sound: Sound) -> None:
    assert old in sound.data
    refuse(sound.data.replace(old, new))


@pytest.mark.parametrize("data", [b"", b"KDMV", b"QFI\xfb" + bytes(600), bytes(100_000)], ids=range(4))
def test_what_is_not_a_vmdk_is_refused(data: bytes) -> None:
    refuse(data)


def test_the_other_kinds_of_vmdk_are_refused(make_raw: MakeRaw, qemu_img: QemuImg, tmp_path: Path) -> None:
    raw = make_raw(MIB, {0: b"x"})
    qemu_img("convert", "-O", "vmdk", raw, tmp_path / "sparse.vmdk")
    assert "stream-optimised" in str(refuse((tmp_path / "sparse.vmdk").read_bytes()))


def test_damage_in_qemu_imgs_layout_is_refused_too(make_raw: MakeRaw, qemu_img: QemuImg, tmp_path: Path) -> None:
    raw, out = make_raw(2 * MIB, {0: mixed_bytes(MIB)}), tmp_path / "q.vmdk"
    qemu_img("convert", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, out)
    data = out.read_bytes()
    head = 512 * struct.unpack_from("<Q", data, 64)[0]
    first = 512 * -(-(12 + struct.unpack_from("<I", data, head + 8)[0]) // 512)
    good = manifest_of(io.BytesIO(data))
    with open_source(raw) as source:
        assert good == pipeline.hash_source(source)
    assert "missing" in str(refuse(data[:head]))
    assert "does not point at" in str(refuse(data[:head] + data[head + first :]))  # without its first grain
    refuse(data[: head + 2000])
    altered = bytearray(data)
    altered[head + 5000] ^= 1
    refuse(bytes(altered))
    refuse(data + b"x")


def test_the_errors_of_the_connection_are_not_hidden(sound: Sound) -> None:
    class Broken:
        def __init__(self) -> None:
            self.file = io.BytesIO(sound.data)

        def read(self, size: int, /) -> bytes:
            if self.file.tell() >= HEAD:
                raise ConnectionResetError("the peer went away")
            return self.file.read(HEAD)

    with pytest.raises(ConnectionResetError):
        manifest_of(Broken())
