# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample of a VMDK: what is in it is compared, what is not is not, and nothing else is said."""

from __future__ import annotations

import io
import random
import threading
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk import pipeline, vmdk_sample
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pool import Cancelled
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import open_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.vmdk_decode import DamagedStream
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.manifest import Manifest, zero_digest
from tests.unit.module_utils.disk.conftest import MakeRaw, QemuImg, mixed_bytes

MIB = 1 << 20
CHUNK = 65536
SIZE = 100 * MIB + 512


class File:
    """A file in memory that counts what is read of it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.read = 0

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset >= 0 and length > 0 and offset + length <= self.size, "read beyond its ends"
        self.read += length
        return self.data[offset : offset + length]


@pytest.fixture(autouse=True)
def small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vmdk_sample, "SIZE", 40)
    monkeypatch.setattr(vmdk_sample, "EDGE", 2)


@pytest.fixture
def raw(make_raw: MakeRaw) -> Path:
    """Data in four stretches: at both ends, over the border of two grain tables, and one grain alone."""
    places = {0: 5 * MIB, 31 * MIB: 2 * MIB, 70 * MIB: CHUNK, 100 * MIB - CHUNK: CHUNK + 512}
    return make_raw(SIZE, {at: mixed_bytes(size, at + 1) for at, size in places.items()})


def sent(path: Path) -> tuple[bytes, Manifest]:
    out = io.BytesIO()
    with open_source(path) as source:
        result = pipeline.stream_vmdk(source, out.write)
    return out.getvalue(), result.manifest


def altered(raw: Path, chunk: int) -> bytes:
    """The stream of the disk with one byte of a chunk flipped."""
    other = raw.with_name("other.raw")
    other.write_bytes(raw.read_bytes())
    with other.open("r+b") as file:
        file.seek(chunk * CHUNK + 77)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 4]))
    return sent(other)[0]


def test_a_sound_disk(raw: Path) -> None:
    data, manifest = sent(raw)
    file = File(data)
    told: list[tuple[int, int]] = []
    sample = vmdk_sample.compare(file, manifest, lambda done, of: told.append((done, of)))
    chosen = vmdk_sample.choose(manifest)
    assert sample == vmdk_sample.Sample(len(chosen), manifest.data_chunks) and 40 <= sample.read <= 44
    assert told[-1] == (sample.read, sample.read)
    assert file.read < len(data) // 2, "most of it is not read"


def test_the_choice() -> None:
    """The same for the same disk, of chunks with data only, ascending, both ends in it; all where there are few."""
    rng = random.Random(5)
    zero = zero_digest("blake3")
    digests = [zero if rng.random() < 0.5 else rng.randbytes(32) for _number in range(5000)]
    digests[0] = digests[-1] = b"x" * 32
    manifest = Manifest(5000 * CHUNK, digests, "blake3")
    chosen = vmdk_sample.choose(manifest)
    numbers = [number for number, _digest in chosen]
    assert numbers == sorted(set(numbers)) and {0, 4999} <= set(numbers) and 40 <= len(numbers) <= 44
    assert all(digests[number] == digest != zero for number, digest in chosen)
    assert vmdk_sample.choose(manifest) == chosen
    digests[2500] = b"y" * 32
    assert vmdk_sample.choose(Manifest(5000 * CHUNK, digests, "blake3")) != chosen, "another disk, another choice"
    everything = vmdk_sample.choose(manifest, size=10_000)
    assert len(everything) == manifest.data_chunks


def test_a_flipped_byte_is_found_in_the_sample_and_not_outside(raw: Path) -> None:
    _data, manifest = sent(raw)
    chosen = {number for number, _digest in vmdk_sample.choose(manifest)}
    holding = [first + n for first, count, digests in manifest.runs() if digests is not None for n in range(count)]
    rng = random.Random(9)
    inside = rng.sample(sorted(chosen), 5)
    outside = rng.sample([number for number in holding if number not in chosen], 5)
    for number in inside:
        sample = vmdk_sample.compare(File(altered(raw, number)), manifest)
        assert sample is not None and sample.differing == (number,)
    for number in outside:
        sample = vmdk_sample.compare(File(altered(raw, number)), manifest)
        assert sample is not None and sample.differing == (), "it was not looked at"


def test_what_is_missing_at_the_target_is_found(raw: Path, make_raw: MakeRaw) -> None:
    _data, manifest = sent(raw)
    empty, _manifest = sent(make_raw(SIZE, name="empty.raw"))
    sample = vmdk_sample.compare(File(empty), manifest)
    assert sample is not None and len(sample.differing) == sample.read


def test_the_layout_of_qemu_img(raw: Path, tmp_path: Path, qemu_img: QemuImg) -> None:
    _data, manifest = sent(raw)
    file = tmp_path / "disk.vmdk"
    qemu_img("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, file)
    sample = vmdk_sample.compare(File(file.read_bytes()), manifest)
    assert sample is not None and sample.read >= 40 and sample.differing == ()


def test_no_sample_where_it_would_say_nothing(raw: Path, make_raw: MakeRaw, monkeypatch: pytest.MonkeyPatch) -> None:
    data, manifest = sent(raw)
    _other, larger = sent(make_raw(SIZE + MIB, {0: mixed_bytes(5 * MIB)}, "larger.raw"))
    assert vmdk_sample.compare(File(data), larger) is None, "another size: the whole reading says so"
    assert vmdk_sample.compare(File(data[: len(data) // 2]), manifest) is None, "cut: likewise"
    assert vmdk_sample.compare(File(bytes(4096)), manifest) is None
    monkeypatch.setattr(vmdk_sample, "SIZE", manifest.data_chunks)
    assert vmdk_sample.compare(File(data), manifest) is None, "all would be chosen: it is read as a whole"


def test_damage_on_the_way_is_refused_or_seen(raw: Path) -> None:
    """Whatever byte is flipped in the stream: the disk is sound as far as it was looked at, or that is said."""
    data, manifest = sent(raw)
    rng = random.Random(11)
    ends = {"none": 0, "seen": 0, "refused": 0, "unseen": 0}
    for position in [*range(0, 80, 3), *(rng.randrange(len(data)) for _number in range(60)), len(data) - 1500]:
        other = bytearray(data)
        other[position] ^= 0x20
        try:
            sample = vmdk_sample.compare(File(bytes(other)), manifest)
            ends["none" if sample is None else "seen" if sample.differing else "unseen"] += 1
        except DamagedStream:
            ends["refused"] += 1
    assert all(ends[kind] for kind in ("none", "refused", "unseen")), ends


def test_it_can_be_stopped(raw: Path) -> None:
    data, manifest = sent(raw)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        vmdk_sample.compare(File(data), manifest, cancel=cancel)
