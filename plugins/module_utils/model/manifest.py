# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of a disk: one hash per 64 KiB chunk, and a root over all of them.

Equal manifests of two disks are the proof that they hold the same bytes. A chunk's digest is the hash of its 64 KiB;
the last chunk is hashed as if padded with zeros to 64 KiB. The root is

    "<algorithm>:" + hex(H("cloudexit-manifest-1" + size as unsigned 64-bit little-endian + all digests in order))

with H the same hash as for the chunks: BLAKE3-256 where the `blake3` package is installed, SHA-256 otherwise. Roots of
different algorithms say so in their prefix and are never compared.

Runs of zero chunks cost a few bytes, so a sparse disk of many terabytes has a small manifest. A long list of digests
moves from memory to an unnamed temporary file by itself: memory stays bounded whatever the size of the disk.

File form (`dump`, `load`): one line of JSON (`{"cloudexit_manifest": 1, "size": ..., "chunk": 65536, "algorithm": ...,
"root": ...}`), then records of two unsigned 32-bit little-endian numbers, zero chunks and data chunks, and the digests
of the data chunks, 32 bytes each. One disk state has exactly one file form.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, NamedTuple, TypeAlias

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError

CHUNK = 65536
DIGEST = 32
BLAKE3 = "blake3"
SHA256 = "sha256"

_TAG = b"cloudexit-manifest-1"
_RECORD = struct.Struct("<II")
_MAX_ZEROS = 0xFFFFFFFF
_MAX_DATA = 32768  # digests in one record: 1 MiB
_IN_MEMORY = 8 << 20  # bytes of records kept in memory: 16 GiB of disk data
_HEADER_LIMIT = 4096

Buffer: TypeAlias = "bytes | bytearray | memoryview"


def _blake3() -> Callable[..., Any] | None:
    """The constructor of the `blake3` package, or None where it is not installed."""
    try:
        from blake3 import blake3
    except ImportError:
        return None
    return blake3


def default_algorithm() -> str:
    """`blake3` where the package is installed, else `sha256` (correct, slower)."""
    return BLAKE3 if _blake3() is not None else SHA256


def _constructor(algorithm: str) -> Callable[..., Any]:
    if algorithm == BLAKE3:
        found = _blake3()
        if found is None:
            raise CloudExitError(
                "Cannot make or check a BLAKE3 manifest",
                cause="the Python package blake3 is not installed here",
                hint="Install it with: pip install 'blake3>=1,<2'",
            )
        return found
    if algorithm == SHA256:
        return hashlib.sha256
    raise CloudExitError(f"Unknown manifest hash {algorithm!r}", hint=f"Known are {BLAKE3} and {SHA256}.")


def chunk_hasher(algorithm: str) -> Callable[[Buffer], bytes]:
    """A function from 64 KiB of bytes to their 32-byte digest. CloudExitError for an unknown or missing hash."""
    new = _constructor(algorithm)

    def digest_of(data: Buffer) -> bytes:
        digest: bytes = new(data).digest()
        return digest

    return digest_of


_zero_digests: dict[str, bytes] = {}


def zero_digest(algorithm: str) -> bytes:
    """The digest of a chunk of zeros."""
    known = _zero_digests.get(algorithm)
    if known is None:
        known = _zero_digests[algorithm] = chunk_hasher(algorithm)(bytes(CHUNK))
    return known


class Run(NamedTuple):
    """Neighbouring chunks: `digests` is None for zero chunks, else `chunks` digests of 32 bytes."""

    first: int
    chunks: int
    digests: bytes | None


class _Records:
    """Append-only bytes that leave memory for an unnamed file when they become many."""

    def __init__(self, spool_dir: str | None = None) -> None:
        self._tail = bytearray()
        self._file: IO[bytes] | None = None
        self._flushed = 0
        self._spool_dir = spool_dir

    def append(self, data: Buffer) -> None:
        self._tail += data
        if len(self._tail) >= _IN_MEMORY:
            if self._file is None:
                import tempfile

                self._file = tempfile.TemporaryFile(dir=self._spool_dir)  # noqa: SIM115 - lives as long as this object
            self._file.write(self._tail)
            self._file.flush()
            self._flushed += len(self._tail)
            self._tail = bytearray()

    def __len__(self) -> int:
        return self._flushed + len(self._tail)

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`."""
        data = b""
        if self._file is not None and offset < self._flushed:
            data = os.pread(self._file.fileno(), min(length, self._flushed - offset), offset)
        if len(data) < length:
            start = offset + len(data) - self._flushed
            data += bytes(self._tail[start : start + length - len(data)])
        if len(data) != length:
            raise CloudExitError(
                "The manifest's temporary file is damaged", cause="it is shorter than what was written"
            )
        return data


class Manifest:
    """The chunk hashes of one disk at one moment.

    size: the disk's bytes. digests: one 32-byte digest per 64 KiB chunk, in order (bytes, or an iterable of bytes).
    algorithm: `blake3` or `sha256`. Raises CloudExitError when the number of digests does not fit the size.
    """

    def __init__(self, size: int, digests: Buffer | Iterable[bytes] = b"", algorithm: str = BLAKE3) -> None:
        builder = ManifestBuilder(size, algorithm)
        if isinstance(digests, (bytes, bytearray, memoryview)):
            builder.add(digests)
        else:
            for digest in digests:
                builder.add(digest)
        builder.seal()
        self._take(builder)

    def _take(self, builder: ManifestBuilder) -> None:
        self.size = builder.size
        self.algorithm = builder.algorithm
        self.root = builder.root
        self.data_chunks = builder.data_chunks
        self._records = builder.records

    @classmethod
    def _of(cls, builder: ManifestBuilder) -> Manifest:
        manifest = cls.__new__(cls)
        manifest._take(builder)
        return manifest

    @property
    def chunks(self) -> int:
        """How many chunks the disk has."""
        return -(-self.size // CHUNK)

    @property
    def zero_chunks(self) -> int:
        """How many of them are all zeros."""
        return self.chunks - self.data_chunks

    @property
    def is_fallback(self) -> bool:
        """True when SHA-256 had to stand in for BLAKE3: worth a warning (slower), still a proof."""
        return self.algorithm != BLAKE3

    def runs(self) -> Iterator[Run]:
        """All chunks in order, as runs of zero chunks and runs of at most 32,768 data chunks."""
        offset, end, first = 0, len(self._records), 0
        while offset < end:
            zeros, data = _RECORD.unpack(self._records.read(offset, _RECORD.size))
            offset += _RECORD.size
            if zeros:
                yield Run(first, zeros, None)
                first += zeros
            if data:
                yield Run(first, data, self._records.read(offset, data * DIGEST))
                offset += data * DIGEST
                first += data

    def digests(self) -> Iterator[bytes]:
        """The digest of every chunk in order."""
        zero = zero_digest(self.algorithm)
        for _first, count, digests in self.runs():
            if digests is None:
                for _unused in range(count):
                    yield zero
            else:
                for at in range(0, len(digests), DIGEST):
                    yield digests[at : at + DIGEST]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Manifest):
            return NotImplemented
        return self.size == other.size and self.root == other.root

    def __hash__(self) -> int:
        return hash((self.size, self.root))

    def __repr__(self) -> str:
        return f"Manifest(size={self.size}, root={self.root!r}, data_chunks={self.data_chunks})"

    def diff_runs(self, other: Manifest) -> Iterator[tuple[int, int]]:
        """(first chunk, count) of every stretch of chunks that differ, in order; chunks that only one disk has differ.

        Raises CloudExitError when the two were made with different hashes.
        """
        if self.algorithm != other.algorithm:
            raise CloudExitError(
                "The two manifests cannot be compared",
                cause=f"one is made with {self.algorithm}, the other with {other.algorithm}",
                hint="Make both with the same hash (the Python package blake3 on every host that hashes).",
            )
        start = length = 0
        for first, count in self._unequal(other):
            if length and start + length == first:
                length += count
                continue
            if length:
                yield start, length
            start, length = first, count
        if length:
            yield start, length

    def _unequal(self, other: Manifest) -> Iterator[tuple[int, int]]:
        ours, theirs = self.runs(), other.runs()
        one, two = next(ours, None), next(theirs, None)
        position = 0
        while one is not None and two is not None:
            end = min(one.first + one.chunks, two.first + two.chunks)
            count = end - position
            if one.digests is not None and two.digests is not None:
                a, b = (position - one.first) * DIGEST, (position - two.first) * DIGEST
                left = one.digests[a : a + count * DIGEST]
                right = two.digests[b : b + count * DIGEST]
                if left != right:
                    for at in range(0, len(left), DIGEST):
                        if left[at : at + DIGEST] != right[at : at + DIGEST]:
                            yield position + at // DIGEST, 1
            elif one.digests is not two.digests:  # one is zeros, the other is not
                yield position, count
            position = end
            if one.first + one.chunks == end:
                one = next(ours, None)
            if two.first + two.chunks == end:
                two = next(theirs, None)
        longest = max(self.chunks, other.chunks)
        if position < longest:
            yield position, longest - position

    def diff(self, other: Manifest) -> list[int]:
        """The numbers of all chunks that differ. For disks with many changes prefer `diff_runs`."""
        return [chunk for first, count in self.diff_runs(other) for chunk in range(first, first + count)]

    def dump(self, path: str | os.PathLike[str]) -> None:
        """Write the file form, durably and atomically: after a crash there is the old file or the new one."""
        header = {
            "cloudexit_manifest": 1,
            "size": self.size,
            "chunk": CHUNK,
            "algorithm": self.algorithm,
            "root": self.root,
        }
        final = os.fspath(path)
        partial = f"{final}.partial-{os.getpid()}"
        try:
            with open(partial, "wb") as out:
                out.write(json.dumps(header).encode() + b"\n")
                offset, end = 0, len(self._records)
                while offset < end:
                    piece = self._records.read(offset, min(1 << 20, end - offset))
                    out.write(piece)
                    offset += len(piece)
                out.flush()
                os.fsync(out.fileno())
            os.replace(partial, final)
        except OSError as error:
            raise CloudExitError(f"Cannot write the manifest {final}", cause=error.strerror or str(error)) from error
        finally:
            if os.path.exists(partial):
                os.unlink(partial)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Manifest:
        """Read the file form and check all of it against its root. CloudExitError when it is not whole or not true."""
        name = os.fspath(path)
        try:
            with open(name, "rb") as file:
                return cls._parse(file, name)
        except OSError as error:
            raise CloudExitError(f"Cannot read the manifest {name}", cause=error.strerror or str(error)) from error

    @classmethod
    def _parse(cls, file: IO[bytes], name: str) -> Manifest:
        def damaged(cause: str) -> CloudExitError:
            return CloudExitError(f"The manifest {name} is damaged", cause=cause, hint="Make it again from the disk.")

        line = file.readline(_HEADER_LIMIT)
        try:
            header = json.loads(line)
        except ValueError:
            raise damaged("its first line is not JSON") from None
        if not isinstance(header, dict) or header.get("cloudexit_manifest") != 1 or header.get("chunk") != CHUNK:
            raise damaged("its first line does not describe a manifest of version 1 with 64 KiB chunks")
        size, algorithm, root = header.get("size"), header.get("algorithm"), header.get("root")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0 or not isinstance(algorithm, str):
            raise damaged("its first line names no valid size and hash")
        builder = ManifestBuilder(size, algorithm)
        total = builder.chunks
        while record := file.read(_RECORD.size):
            if len(record) != _RECORD.size:
                raise damaged("it ends in the middle of a record")
            zeros, data = _RECORD.unpack(record)
            if data > _MAX_DATA or zeros + data > total - builder.added:
                raise damaged("it holds more chunks than its size allows")
            digests = file.read(data * DIGEST)
            if len(digests) != data * DIGEST:
                raise damaged("it ends in the middle of a record")
            builder.add_zeros(zeros)
            builder.add(digests)
        if builder.added != total:
            raise damaged(f"it holds {builder.added} of {total} chunks")
        builder.seal()
        if builder.root != root:
            raise damaged("its contents do not give the root that it names")
        return cls._of(builder)


class ManifestBuilder:
    """Makes a manifest chunk by chunk, in order, in bounded memory. Not for use by two threads at once.

    size: the disk's bytes. spool_dir: where an unnamed temporary file may grow (the system's default otherwise).
    """

    def __init__(self, size: int, algorithm: str | None = None, spool_dir: str | None = None) -> None:
        if size < 0:
            raise CloudExitError(f"A disk cannot have {size} bytes")
        self.size = size
        self.algorithm = algorithm or default_algorithm()
        self.chunks = -(-size // CHUNK)
        self.added = 0
        self.data_chunks = 0
        self.root = ""
        self.records = _Records(spool_dir)
        self._zero = zero_digest(self.algorithm)
        self._zero_block = self._zero * 2048
        self._root = _constructor(self.algorithm)(_TAG + struct.pack("<Q", size))
        self._zeros = 0
        self._data = bytearray()

    def _room(self, count: int) -> None:
        if self.root or self.added + count > self.chunks:
            raise CloudExitError(f"A disk of {self.size} bytes has {self.chunks} chunks, not more")
        self.added += count

    def add_zeros(self, count: int) -> None:
        """The next `count` chunks are zeros."""
        if count <= 0:
            return
        self._room(count)
        if self._data:
            self._flush()
        self._zeros += count
        while count >= 2048:
            self._root.update(self._zero_block)
            count -= 2048
        self._root.update(self._zero_block[: count * DIGEST])

    def add(self, digests: Buffer) -> None:
        """The next chunks have these digests (32 bytes each; the digest of zeros is recognised)."""
        count, rest = divmod(len(digests), DIGEST)
        if rest:
            raise CloudExitError("A digest in a manifest has 32 bytes")
        if not isinstance(digests, bytes):
            digests = bytes(digests)
        if self._zero in digests:
            for at in range(0, len(digests), DIGEST):
                digest = digests[at : at + DIGEST]
                if digest == self._zero:
                    self.add_zeros(1)
                else:
                    self._add_data(digest, 1)
        elif count:
            self._add_data(digests, count)

    def _add_data(self, digests: bytes, count: int) -> None:
        self._room(count)
        self.data_chunks += count
        self._root.update(digests)
        self._data += digests
        while len(self._data) >= _MAX_DATA * DIGEST:
            rest = self._data[_MAX_DATA * DIGEST :]
            del self._data[_MAX_DATA * DIGEST :]
            self._flush()
            self._data = rest

    def _flush(self) -> None:
        while self._zeros > _MAX_ZEROS:
            self.records.append(_RECORD.pack(_MAX_ZEROS, 0))
            self._zeros -= _MAX_ZEROS
        if self._zeros or self._data:
            self.records.append(_RECORD.pack(self._zeros, len(self._data) // DIGEST))
            self.records.append(self._data)
        self._zeros = 0
        self._data = bytearray()

    def seal(self) -> None:
        """No more chunks: fixes `root`. CloudExitError when chunks are missing."""
        if self.added != self.chunks:
            raise CloudExitError(f"A disk of {self.size} bytes has {self.chunks} chunks, only {self.added} were hashed")
        self._flush()
        self.root = f"{self.algorithm}:{self._root.hexdigest()}"

    def finish(self) -> Manifest:
        """The manifest. CloudExitError when chunks are missing."""
        self.seal()
        return Manifest._of(self)
