# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pass over a disk: read what may hold data, hash it, and, when it is to be sent, compress and write it in order.

The unit of work is 1 MiB (16 chunks). Each thread reads a unit into its own buffer, leaves out chunks of zeros, hashes
and compresses the others; the caller's thread gets the results in order. At most six units are in flight.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk import vmdk
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pool import Cancelled, Reporter, ordered
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import Source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.throttle import Limiter
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.manifest import (
    CHUNK,
    Manifest,
    ManifestBuilder,
    chunk_hasher,
)

__all__ = ["Cancelled", "PassResult", "hash_source", "measure_vmdk", "stream_vmdk"]

UNIT = 1 << 20
_CHUNKS = UNIT // CHUNK
_ZEROS = bytes(UNIT)
_ZERO_CHUNK = bytes(CHUNK)

Progress = Callable[[int, int], object]
Write = Callable[[bytes], object]


@dataclass(frozen=True)
class PassResult:
    """What one pass did.

    manifest: of the source as it was read. bytes_read: bytes read from the source (holes are not read). bytes_sent:
    length of the stream. seconds: wall time. sha256_of_stream: hex, empty when it was not asked for. compressor: what
    compressed (`isal`, `zlib-ng` or `zlib`).
    """

    manifest: Manifest
    bytes_read: int
    bytes_sent: int
    seconds: float
    sha256_of_stream: str = ""
    compressor: str = ""


class _Unit(NamedTuple):
    """A unit with data: its number, and (offset in the unit, length, position in the file) of what is to be read."""

    number: int
    parts: list[tuple[int, int, int]]


class _Done(NamedTuple):
    """digests: of the chunks that hold data. sectors: for each chunk its packed length, 0 for zeros (or no stream)."""

    number: int
    filled: list[bool]
    digests: bytes
    sectors: list[int]
    blob: bytes
    read: int


def _units(source: Source) -> Iterator[_Unit]:
    number = -1
    parts: list[tuple[int, int, int]] = []
    for offset, length, position in source.extents():
        while length > 0:
            current, at = divmod(offset, UNIT)
            count = min(length, UNIT - at)
            if current != number:
                if parts:
                    yield _Unit(number, parts)
                number, parts = current, []
            parts.append((at, count, position))
            offset += count
            position += count
            length -= count
    if parts:
        yield _Unit(number, parts)


def _worker(
    source: Source,
    algorithm: str,
    compress: vmdk.Compress | None,
    limiter: Limiter | None,
    cancel: threading.Event | None,
) -> Callable[[_Unit], _Done]:
    """What one thread does with a unit. limiter: of the bytes read."""
    buffer = bytearray(UNIT)
    view = memoryview(buffer)
    chunks = [view[at : at + CHUNK] for at in range(0, UNIT, CHUNK)]
    digest_of = chunk_hasher(algorithm)
    pack = vmdk.pack_grain
    size = source.size

    def work(unit: _Unit) -> _Done:
        number, parts = unit
        end = read = 0
        for at, count, position in parts:
            if limiter is not None:
                limiter.take(count, cancel)
            if at > end:
                view[end:at] = _ZEROS[: at - end]
            source.read_at(position, view[at : at + count])
            end = at + count
            read += count
        count = min(_CHUNKS, -(-(size - number * UNIT) // CHUNK))
        if end < count * CHUNK:
            view[end : count * CHUNK] = _ZEROS[: count * CHUNK - end]
        filled: list[bool] = []
        digests: list[bytes] = []
        sectors: list[int] = []
        pieces: list[bytes] = []
        first = number * _CHUNKS
        for index in range(count):
            at = index * CHUNK
            if buffer.startswith(_ZERO_CHUNK, at, at + CHUNK):
                filled.append(False)
                sectors.append(0)
                continue
            chunk = chunks[index]
            filled.append(True)
            digests.append(digest_of(chunk))
            if compress is not None:
                compressed = compress(chunk)
                pieces += pack(first + index, compressed)
                sectors.append((len(compressed) + 12 + vmdk.SECTOR - 1) // vmdk.SECTOR)
        return _Done(number, filled, b"".join(digests), sectors, b"".join(pieces), read)

    return work


def _add(builder: ManifestBuilder, done: _Done) -> None:
    builder.add_zeros(done.number * _CHUNKS - builder.added)
    if all(done.filled):
        builder.add(done.digests)
        return
    at = 0
    for filled in done.filled:
        if filled:
            builder.add(done.digests[at : at + 32])
            at += 32
        else:
            builder.add_zeros(1)


def hash_source(
    source: Source,
    on_progress: Progress | None = None,
    limiter: Limiter | None = None,
    threads: int | None = None,
    cancel: threading.Event | None = None,
    algorithm: str | None = None,
    spool_dir: str | None = None,
) -> Manifest:
    """The manifest of a disk, in one read of what may hold data.

    on_progress(done bytes, all bytes) is called from this thread, about five times a second and at the end. limiter
    counts the bytes read. threads: as many as CPUs, at most four, when not given. algorithm: `blake3` or `sha256`; the
    best that is installed when not given. spool_dir: for the manifest's temporary file, if it becomes large.
    Raises CloudExitError when the disk cannot be read, Cancelled when `cancel` was set.
    """
    builder = ManifestBuilder(source.size, algorithm, spool_dir)
    report = Reporter(on_progress, source.size)
    report.at(0)

    def new_worker() -> Callable[[_Unit], _Done]:
        return _worker(source, builder.algorithm, None, limiter, cancel)

    for done in ordered(_units(source), new_worker, threads, cancel):
        _add(builder, done)
        report.at((done.number + 1) * UNIT)
    builder.add_zeros(builder.chunks - builder.added)
    report.end()
    return builder.finish()


def stream_vmdk(
    source: Source,
    write: Write,
    on_progress: Progress | None = None,
    limiter: Limiter | None = None,
    threads: int | None = None,
    cancel: threading.Event | None = None,
    compressor: str = "fast",
    algorithm: str | None = None,
    stream_sha256: bool = False,
    expected_length: int | None = None,
    spool_dir: str | None = None,
) -> PassResult:
    """Hash a disk and write it as stream-optimised VMDK, in one read.

    write: called from this thread with each piece of the stream, in order (up to about 1 MiB); it may keep the piece;
    what it raises is raised here. limiter counts the bytes written. compressor: see
    `vmdk.compressor`. stream_sha256: also give the SHA-256 of the stream. expected_length: of a stream that was
    measured before; a stream of another length is an error as soon as that is certain. The others as in `hash_source`.
    Raises CloudExitError when the disk cannot be read, Refused when it does not fit the format, Cancelled.
    """
    started = time.monotonic()
    name, new_compress = vmdk.compressor(compressor)
    builder = ManifestBuilder(source.size, algorithm, spool_dir)
    report = Reporter(on_progress, source.size)
    stream_hash = hashlib.sha256() if stream_sha256 else None
    sent = 0

    def put(piece: bytes) -> None:
        nonlocal sent
        sent += len(piece)
        if expected_length is not None and sent > expected_length:
            raise _unequal(source, sent, expected_length)
        if limiter is not None:
            limiter.take(len(piece), cancel)
        if cancel is not None and cancel.is_set():
            raise Cancelled("The copy was stopped", cause="its caller cancelled it")
        if stream_hash is not None:
            stream_hash.update(piece)
        write(piece)

    writer = vmdk.StreamWriter(source.size, put)
    report.at(0)
    writer.begin()
    read = 0

    def new_worker() -> Callable[[_Unit], _Done]:
        return _worker(source, builder.algorithm, new_compress(), None, cancel)

    for done in ordered(_units(source), new_worker, threads, cancel):
        _add(builder, done)
        read += done.read
        if done.blob:
            writer.add(done.number * _CHUNKS, done.sectors, done.blob)
        report.at((done.number + 1) * UNIT)
    builder.add_zeros(builder.chunks - builder.added)
    writer.finish()
    if expected_length is not None and sent != expected_length:
        raise _unequal(source, sent, expected_length)
    report.end()
    return PassResult(
        manifest=builder.finish(),
        bytes_read=read,
        bytes_sent=sent,
        seconds=time.monotonic() - started,
        sha256_of_stream=stream_hash.hexdigest() if stream_hash is not None else "",
        compressor=name,
    )


def _unequal(source: Source, sent: int, expected: int) -> CloudExitError:
    return CloudExitError(
        f"The copy of {source.path} was stopped",
        cause=f"its stream has at least {sent} bytes, but {expected} were measured and announced",
        hint="The disk changed between the two reads, or its compressor is not deterministic. Read from a clone.",
        retryable=True,
    )


def measure_vmdk(
    source: Source,
    on_progress: Progress | None = None,
    threads: int | None = None,
    cancel: threading.Event | None = None,
    compressor: str = "deterministic",
    algorithm: str | None = None,
    spool_dir: str | None = None,
) -> PassResult:
    """A pass that throws the stream away, for a receiver that wants the length before the bytes.

    `bytes_sent` of the result is the length; give it as `expected_length` to `stream_vmdk` with the same compressor,
    which must be a deterministic one.
    """
    return stream_vmdk(
        source,
        lambda piece: None,
        on_progress=on_progress,
        threads=threads,
        cancel=cancel,
        compressor=compressor,
        algorithm=algorithm,
        stream_sha256=True,
        spool_dir=spool_dir,
    )
