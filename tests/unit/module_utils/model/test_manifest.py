# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest: its root, its file form, what differs, and that damage is seen."""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from pathlib import Path

import pytest
from blake3 import blake3

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import manifest as subject
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.manifest import (
    CHUNK,
    Manifest,
    ManifestBuilder,
)


def digest(number: int) -> bytes:
    return blake3(b"chunk %d" % number).digest()


ZERO = blake3(bytes(CHUNK)).digest()


def test_the_root_is_what_the_format_says() -> None:
    size = 2 * CHUNK + 1
    digests = digest(1) + ZERO + digest(2)
    expected = blake3(b"cloudexit-manifest-1" + struct.pack("<Q", size) + digests).hexdigest()
    made = Manifest(size, digests)
    assert made.root == f"blake3:{expected}"
    assert (made.chunks, made.data_chunks, made.zero_chunks) == (3, 2, 1)
    assert b"".join(made.digests()) == digests


def test_a_large_hole_counts_as_its_zero_digests() -> None:
    size = 5000 * CHUNK
    builder = ManifestBuilder(size, "blake3")
    builder.add_zeros(4999)
    builder.add(digest(1))
    assert builder.finish() == Manifest(size, [ZERO] * 4999 + [digest(1)])


def test_size_and_content_both_make_the_identity() -> None:
    assert Manifest(CHUNK, digest(1)) == Manifest(CHUNK, [digest(1)])
    assert Manifest(CHUNK, digest(1)) != Manifest(CHUNK - 512, digest(1))
    assert Manifest(CHUNK, digest(1)) != Manifest(CHUNK, digest(2))
    assert Manifest(CHUNK, digest(1)) != "blake3:"


@pytest.mark.parametrize(
    ("size", "digests"), [(CHUNK, b""), (CHUNK, ZERO + ZERO), (2 * CHUNK, ZERO), (CHUNK, b"short"), (-1, b"")]
)
def test_digests_that_do_not_fit_the_size_are_refused(size: int, digests: bytes) -> None:
    with pytest.raises(CloudExitError):
        Manifest(size, digests)


def mixed() -> Manifest:
    builder = ManifestBuilder(100_000 * CHUNK - 512, "blake3")
    builder.add_zeros(10)
    builder.add(b"".join(digest(n) for n in range(40_000)))
    builder.add_zeros(50_000)
    builder.add(b"".join(digest(n) for n in range(9_989)))
    builder.add_zeros(1)
    return builder.finish()


def test_the_file_form_comes_back_and_is_small(tmp_path: Path) -> None:
    made = mixed()
    path = tmp_path / "disk.manifest"
    made.dump(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["disk.manifest"]
    assert path.stat().st_size < 32 * made.data_chunks + 500
    back = Manifest.load(path)
    assert back == made
    assert (back.size, back.root, back.data_chunks) == (made.size, made.root, made.data_chunks)


def test_one_disk_state_has_one_file_form(tmp_path: Path) -> None:
    made = mixed()
    one_by_one = ManifestBuilder(made.size, "blake3")
    for each in made.digests():
        one_by_one.add(each)
    made.dump(tmp_path / "a")
    one_by_one.finish().dump(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_many_digests_leave_memory_and_stay_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = mixed()
    monkeypatch.setattr(subject, "_IN_MEMORY", 300_000)
    spilled = mixed()
    assert spilled._records._file is not None
    assert spilled == expected
    assert list(spilled.digests()) == list(expected.digests())
    assert spilled.diff(expected) == []
    spilled.dump(tmp_path / "spilled")
    assert Manifest.load(tmp_path / "spilled") == expected


def test_every_changed_byte_of_the_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "m"
    Manifest(6 * CHUNK, [digest(0), ZERO, ZERO, digest(1), digest(2), ZERO]).dump(path)
    whole = path.read_bytes()
    ignored = whole.index(b"\n")  # the line's end and JSON's own blanks may change without changing anything
    for position in range(len(whole)):
        altered = bytearray(whole)
        altered[position] ^= 0x41
        path.write_bytes(altered)
        if position == ignored or (position < ignored and whole[position : position + 1] == b" "):
            continue
        with pytest.raises(CloudExitError):
            Manifest.load(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CloudExitError):
            Manifest.load(path)


def test_what_differs() -> None:
    before = Manifest(8 * CHUNK, [digest(0), ZERO, ZERO, digest(1), digest(2), ZERO, digest(3), digest(4)])
    after = Manifest(8 * CHUNK, [digest(0), ZERO, digest(9), digest(1), digest(8), digest(7), ZERO, digest(4)])
    assert before.diff(after) == after.diff(before) == [2, 4, 5, 6]
    assert list(before.diff_runs(after)) == [(2, 1), (4, 3)]
    assert before.diff(before) == []


def test_a_grown_disk_differs_where_it_grew() -> None:
    before = Manifest(2 * CHUNK, [digest(0), ZERO])
    after = Manifest(5 * CHUNK, [digest(0), digest(1), ZERO, ZERO, digest(2)])
    assert before.diff(after) == after.diff(before) == [1, 2, 3, 4]


def test_a_huge_sparse_disk_is_compared_at_once() -> None:
    chunks = 40_000_000
    one, two = ManifestBuilder(chunks * CHUNK, "blake3"), ManifestBuilder(chunks * CHUNK, "blake3")
    one.add_zeros(chunks)
    two.add_zeros(chunks - 1)
    two.add(digest(1))
    assert list(one.finish().diff_runs(two.finish())) == [(chunks - 1, 1)]


def test_without_blake3_the_fallback_names_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Manifest(CHUNK, digest(1)).dump(tmp_path / "blake3")
    monkeypatch.setitem(sys.modules, "blake3", None)
    data = b"x" * CHUNK
    algorithm = subject.default_algorithm()
    made = Manifest(CHUNK, subject.chunk_hasher(algorithm)(data), algorithm)
    inner = hashlib.sha256(data).digest()
    expected = hashlib.sha256(b"cloudexit-manifest-1" + struct.pack("<Q", CHUNK) + inner).hexdigest()
    assert made.root == f"sha256:{expected}"
    assert made.is_fallback
    made.dump(tmp_path / "m")
    assert Manifest.load(tmp_path / "m") == made
    with pytest.raises(CloudExitError, match="pip install 'blake3"):
        Manifest.load(tmp_path / "blake3")


def test_different_hashes_are_never_compared() -> None:
    data = bytes([1]) * CHUNK
    one = Manifest(CHUNK, blake3(data).digest())
    two = Manifest(CHUNK, hashlib.sha256(data).digest(), "sha256")
    assert one != two
    assert not one.is_fallback
    with pytest.raises(CloudExitError, match="sha256"):
        one.diff(two)


def test_the_header_is_readable_by_people(tmp_path: Path) -> None:
    made = Manifest(CHUNK, digest(1))
    made.dump(tmp_path / "m")
    header = json.loads((tmp_path / "m").read_bytes().split(b"\n", 1)[0])
    assert header == {
        "cloudexit_manifest": 1,
        "size": CHUNK,
        "chunk": CHUNK,
        "algorithm": "blake3",
        "root": made.root,
    }


def test_files_that_cannot_be_written_or_read_say_so(tmp_path: Path) -> None:
    with pytest.raises(CloudExitError, match="No such file"):
        Manifest.load(tmp_path / "missing")
    with pytest.raises(CloudExitError, match="No such file"):
        Manifest(CHUNK, digest(1)).dump(tmp_path / "missing" / "m")
