# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading stream-optimised VMDK, forward only, to prove what a target holds.

This module shares no code and no constant with the writer, so that a mistake there cannot hide here. It believes
nothing: header and footer must agree, grains must come in ascending order and pass their checksum, every grain table
and the directory must point at exactly the grains and tables that were seen, and the stream must end with its marker.
Whatever is cut, altered or out of order is refused.

Two layouts are read: the one with tables behind markers and a footer (VMware products and our writer), and the one with
all tables in front (`qemu-img`). Source of the format: VMware's "Virtual Disk Format 5.0".
"""

from __future__ import annotations

import struct
import threading
import zlib
from array import array
from collections.abc import Callable, Iterator
from importlib import import_module
from sys import byteorder
from typing import Any, NamedTuple, Protocol

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pool import Reporter, ordered
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.manifest import (
    Manifest,
    ManifestBuilder,
    chunk_hasher,
)

BLOCK = 512
GRAIN_BLOCKS = 128
GRAIN_BYTES = 65536
PER_TABLE = 512
TABLE_BLOCKS = 4
MAX_COMPRESSED = 2 * GRAIN_BYTES
_MAX_HEAD = 128 << 20  # bytes of tables in front of the data: a disk of 1 TiB in qemu-img's layout
_MAX_CAPACITY = 1 << 46  # 64 TiB, vSphere's limit is 62
_READ = 1 << 20
_BATCH = 16

FLAG_ZERO_ENTRIES = 1 << 2
_FLAG_COMPRESSED = 1 << 16
_FLAG_MARKERS = 1 << 17


class DamagedStream(CloudExitError):
    """The stream is not a whole and sound stream-optimised VMDK."""


class Readable(Protocol):
    """`read(n)` gives at most n bytes, and nothing at the end."""

    def read(self, size: int, /) -> bytes: ...


class _Input:
    """The stream in blocks, with its position."""

    def __init__(self, fileobj: Readable) -> None:
        self._fileobj = fileobj
        self._chunk = b""
        self._at = 0
        self.position = 0

    def upto(self, count: int) -> bytes:
        """`count` bytes, fewer only at the end of the stream."""
        end = self._at + count
        if end <= len(self._chunk):
            data = self._chunk[self._at : end]
            self._at = end
        else:
            pieces = [self._chunk[self._at :]]
            missing = count - len(pieces[0])
            self._chunk, self._at = b"", 0
            while missing:
                chunk = self._fileobj.read(max(_READ, missing) if missing < _READ else missing)
                if not chunk:
                    break
                pieces.append(chunk[:missing])
                if len(chunk) > missing:
                    self._chunk, self._at = chunk, missing
                missing -= len(pieces[-1])
            data = b"".join(pieces)
        self.position += len(data)
        return data

    def take(self, count: int) -> bytes:
        """Exactly `count` bytes."""
        data = self.upto(count)
        if len(data) != count:
            raise DamagedStream(
                "The VMDK stream is not whole",
                cause=f"it ends after {self.position} bytes, in the middle of its data",
                hint="The connection was cut or the export is incomplete: read it again.",
                retryable=True,
            )
        return data


class Header(NamedTuple):
    """A sparse header; places and sizes in blocks of 512 bytes."""

    magic: bytes
    version: int
    flags: int
    capacity: int
    grain_blocks: int
    descriptor_at: int
    descriptor_blocks: int
    table_entries: int
    redundant_at: int
    directory_at: int
    head_blocks: int
    unclean: int
    line_ends: bytes
    algorithm: int


_HEADER = struct.Struct("<4s2I4QI3QB4sH")


def damaged(cause: str) -> DamagedStream:
    """The refusal of a stream, with its cause."""
    return DamagedStream("The VMDK stream is refused", cause=cause, hint="Do not use this copy: make it again.")


def check_header(block: bytes) -> Header:
    """The header that a block is. Raises DamagedStream."""
    header = Header(*_HEADER.unpack_from(block))
    if header.magic != b"KDMV":
        raise damaged("it does not begin as a VMDK")
    if header.version not in (1, 2, 3):
        raise damaged(f"its version {header.version} is unknown")
    if header.line_ends != b"\n \r\n":
        raise damaged("its line end test bytes were changed, as by a transfer in text mode")
    if not (header.flags & _FLAG_COMPRESSED and header.flags & _FLAG_MARKERS) or header.algorithm != 1:
        raise damaged("it is not stream-optimised (compressed grains behind markers)")
    if header.grain_blocks != GRAIN_BLOCKS or header.table_entries != PER_TABLE:
        raise damaged("its grains are not of 64 KiB in tables of 512")
    if not 0 < header.capacity <= _MAX_CAPACITY // BLOCK:
        raise damaged(f"its capacity of {header.capacity} sectors is impossible")
    if not 0 < header.head_blocks <= _MAX_HEAD // BLOCK:
        raise damaged("its metadata in front is larger than this reader takes")
    descriptor_end = header.descriptor_at + header.descriptor_blocks
    if not 0 < header.descriptor_at < descriptor_end <= header.head_blocks:
        raise damaged("its descriptor is not in front of its data")
    return header


def _check_descriptor(text: bytes, header: Header) -> None:
    lines = [line.strip() for line in text.rstrip(b"\0").decode("utf-8", "replace").splitlines()]
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    values = {key.strip().lower(): value.strip().strip('"') for key, value in values.items()}
    if values.get("createtype", "") != "streamOptimized":
        raise damaged("its descriptor does not say streamOptimized")
    if values.get("parentcid", "ffffffff").lower() != "ffffffff":
        raise damaged("it is a delta on another disk")
    extents = [line.split() for line in lines if line.split(" ", 1)[0] in ("RW", "RDONLY", "NOACCESS")]
    if len(extents) != 1 or extents[0][1:3] != [str(header.capacity), "SPARSE"]:
        raise damaged("its descriptor does not describe one extent of the header's capacity")


def numbers_of(data: bytes) -> array[int]:
    """The numbers of a table, 32 bits each."""
    numbers = array("I")
    numbers.frombytes(data)
    if byteorder != "little":
        numbers.byteswap()
    return numbers


class Decoder:
    """One stream, read once. `capacity`: the disk's bytes, known after construction.

    fileobj: anything with `read(n)`, such as an HTTP response; it is only ever read forward, and to its end. Raises
    DamagedStream.
    """

    def __init__(self, fileobj: Readable) -> None:
        self._input = _Input(fileobj)
        self._header = check_header(self._input.take(BLOCK))
        self.capacity = self._header.capacity * BLOCK
        self._grain_count = -(-self._header.capacity // GRAIN_BLOCKS)
        self._table_count = -(-self._grain_count // PER_TABLE)
        head = bytes(BLOCK) + self._input.take((self._header.head_blocks - 1) * BLOCK)
        start = self._header.descriptor_at * BLOCK
        _check_descriptor(head[start : start + self._header.descriptor_blocks * BLOCK], self._header)
        self._tables: dict[int, array[int]] | None = None
        if self._header.directory_at != 0xFFFFFFFFFFFFFFFF:
            self._tables = self._tables_in(head)

    def _tables_in(self, head: bytes) -> dict[int, array[int]]:
        """The grain tables that stand in front of the data; those of only zeros are left out."""
        at = self._header.directory_at * BLOCK
        if at + 4 * self._table_count > len(head):
            raise damaged("its grain directory is not in front of its data")
        tables = {}
        for number, block in enumerate(numbers_of(head[at : at + 4 * self._table_count])):
            if not block:
                continue
            table = head[block * BLOCK : (block + TABLE_BLOCKS) * BLOCK]
            if len(table) != TABLE_BLOCKS * BLOCK:
                raise damaged(f"its grain table {number} is not in front of its data")
            if any(table):
                tables[number] = self._entries(table)
        return tables

    def _entries(self, table: bytes) -> array[int]:
        numbers = numbers_of(table)
        if self._header.flags & FLAG_ZERO_ENTRIES and 1 in numbers:
            numbers = array("I", [0 if number == 1 else number for number in numbers])
        return numbers

    def _raw_grains(self) -> Iterator[tuple[int, bytes]]:
        """(number, compressed data) of every grain; checks the structure on the way and at the end."""
        source = self._input
        seen = array("I", bytes(4 * PER_TABLE))  # where the grains of the current table stand
        current = last = -1
        directory = array("I", bytes(4 * self._table_count))  # where each table stands
        empty_tables: set[int] = set()
        directory_at = -1
        footer = False
        while True:
            block = source.position // BLOCK
            start = source.upto(12)
            if not start and self._tables is not None:
                break
            if len(start) < 12:
                start += source.take(12 - len(start))
            value, size = struct.unpack("<QI", start)
            if size:
                if directory_at >= 0:
                    raise damaged("there is a grain behind its grain directory")
                if size > MAX_COMPRESSED:
                    raise damaged(f"its grain at sector {value} has {size} compressed bytes")
                number, rest = divmod(value, GRAIN_BLOCKS)
                if rest or number >= self._grain_count:
                    raise damaged(f"there is a grain for sector {value}, where none can be")
                if number <= last:
                    raise damaged(f"its grain for sector {value} is out of order")
                last = number
                table, entry = divmod(number, PER_TABLE)
                if self._tables is None:
                    if table != current and current >= 0:
                        raise damaged(f"the grain table {current} is missing behind its grains")
                    current = table
                    seen[entry] = block
                else:
                    entries = self._tables.get(table)
                    if entries is None or entries[entry] != block:
                        raise damaged(f"its grain table does not point at the grain for sector {value}")
                    entries[entry] = 0
                data = source.take(size)
                source.take(-(12 + size) % BLOCK)
                yield number, data
                continue
            kind = struct.unpack_from("<I", source.take(BLOCK - 12))[0]
            if kind == 0:  # end of stream
                if value:
                    raise damaged("its end marker is not empty")
                break
            if self._tables is not None:
                raise damaged(f"it has a marker of type {kind}, though its tables stand in front")
            at = source.position // BLOCK
            if kind == 1 and value == TABLE_BLOCKS and directory_at < 0:
                entries = self._entries(source.take(TABLE_BLOCKS * BLOCK))
                if entries != seen:
                    raise damaged(f"its grain table at sector {at} does not point at the grains in front of it")
                if current < 0:
                    empty_tables.add(at)
                else:
                    directory[current] = at
                    seen = array("I", bytes(4 * PER_TABLE))
                    current = -1
            elif kind == 2 and value == -(-4 * self._table_count // BLOCK) and directory_at < 0:
                if current >= 0:
                    raise damaged(f"the grain table {current} is missing behind its grains")
                found = numbers_of(source.take(value * BLOCK))
                expected = directory + array("I", bytes(4 * (len(found) - self._table_count)))
                if found != expected:
                    for number, place in enumerate(found):
                        if place != expected[number] and (expected[number] or place not in empty_tables):
                            raise damaged(f"its grain directory does not point at grain table {number}")
                directory_at = at
            elif kind == 3 and value == 1 and directory_at >= 0 and not footer:
                copy = check_header(source.take(BLOCK))
                if copy != self._header._replace(directory_at=directory_at):
                    raise damaged("its footer does not agree with its header")
                footer = True
            else:
                raise damaged(f"its marker of type {kind} at sector {block} is out of place")
        if self._tables is None:
            if not footer:
                raise damaged("it ends before its footer")
        elif any(any(entries) for entries in self._tables.values()):
            raise damaged("grains that its grain tables point at are missing")
        rest = source.upto(_READ)
        if any(rest) or len(rest) == _READ:
            raise damaged("there is more data behind its end")

    def _batches(self) -> Iterator[list[tuple[int, bytes]]]:
        batch: list[tuple[int, bytes]] = []
        for grain in self._raw_grains():
            batch.append(grain)
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def grains(self, threads: int | None = None, cancel: threading.Event | None = None) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of every stored grain, ascending; what is left out is zeros. The last may be cut short."""
        new = inflater()

        def new_worker() -> Callable[[list[tuple[int, bytes]]], list[tuple[int, bytes]]]:
            def work(batch: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
                return [(number, inflated(new, number, data, self.capacity)) for number, data in batch]

            return work

        for batch in ordered(self._batches(), new_worker, threads, cancel):
            for number, plain in batch:
                offset = number * GRAIN_BYTES
                yield offset, plain[: self.capacity - offset]

    def manifest(
        self,
        on_progress: Callable[[int, int], object] | None = None,
        threads: int | None = None,
        cancel: threading.Event | None = None,
        algorithm: str | None = None,
        spool_dir: str | None = None,
    ) -> Manifest:
        """The manifest of the disk in the stream. on_progress(done bytes, all bytes): of the disk."""
        builder = ManifestBuilder(self.capacity, algorithm, spool_dir)
        report = Reporter(on_progress, self.capacity)
        report.at(0)
        new = inflater()
        digest_of = chunk_hasher(builder.algorithm)

        def new_worker() -> Callable[[list[tuple[int, bytes]]], list[tuple[int, bytes]]]:
            def work(batch: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
                done = []
                for number, data in batch:
                    plain = inflated(new, number, data, self.capacity)
                    length = self.capacity - number * GRAIN_BYTES
                    if length < GRAIN_BYTES:
                        plain = plain[:length].ljust(GRAIN_BYTES, b"\0")
                    done.append((number, digest_of(plain)))
                return done

            return work

        for batch in ordered(self._batches(), new_worker, threads, cancel):
            for number, digest in batch:
                builder.add_zeros(number - builder.added)
                builder.add(digest)
            report.at(builder.added * GRAIN_BYTES)
        builder.add_zeros(builder.chunks - builder.added)
        report.end()
        return builder.finish()


def inflater() -> Callable[[], Any]:
    """A constructor of decompressors that check the zlib checksum: igzip's where `isal` is installed, else zlib's."""
    try:
        new: Callable[[], Any] = import_module("isal.isal_zlib").decompressobj
    except ImportError:
        return zlib.decompressobj
    return new


def inflated(new: Callable[[], Any], number: int, data: bytes, capacity: int) -> bytes:
    """The 64 KiB of one grain, after its checksum. new: from `inflater`; capacity: the disk's bytes."""
    inflate = new()
    try:
        plain: bytes = inflate.decompress(data, GRAIN_BYTES + 1)
    except Exception as error:
        # zlib.error and isal's error of the same meaning are different types.
        raise damaged(f"its grain for sector {number * GRAIN_BLOCKS} does not decompress ({error})") from error
    wanted = min(GRAIN_BYTES, capacity - number * GRAIN_BYTES)
    if not inflate.eof or inflate.unused_data or len(plain) not in (GRAIN_BYTES, wanted):
        raise damaged(f"its grain for sector {number * GRAIN_BLOCKS} is not 64 KiB of sound data")
    return plain


def decode(
    fileobj: Readable, threads: int | None = None, cancel: threading.Event | None = None
) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of every stored 64 KiB of the disk, ascending; what is left out is zeros.

    Believe the data only when the iteration has ended without an error. Raises DamagedStream, Cancelled. See Decoder.
    """
    yield from Decoder(fileobj).grains(threads, cancel)


def manifest_of(
    fileobj: Readable,
    on_progress: Callable[[int, int], object] | None = None,
    threads: int | None = None,
    cancel: threading.Event | None = None,
    algorithm: str | None = None,
    spool_dir: str | None = None,
) -> Manifest:
    """The manifest of the disk in a stream-optimised VMDK that is read once, forward. Raises DamagedStream, Cancelled.

    algorithm: that of the manifest it is to be compared with; the best that is installed when not given.
    """
    return Decoder(fileobj).manifest(on_progress, threads, cancel, algorithm, spool_dir)
