# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Some chunks of a stream-optimised VMDK that can be read in places: a sample for disks too large to read back.

The grain directory is found by the footer (or the header, in qemu-img's layout), the grain tables by the directory, the
grains by the tables. Only what is on the way to a chosen chunk is read and checked; that is no proof of all others.
"""

from __future__ import annotations

import random
import struct
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk import vmdk_decode as decode
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pipeline import Cancelled
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.manifest import (
    DIGEST,
    Manifest,
    chunk_hasher,
    zero_digest,
)

SIZE = 8192
"""Chunks that are chosen by chance (512 MiB). A damage of one chunk in 1000 is then found with 99.97 per cent."""

EDGE = 16
"""Chunks at the begin and at the end that are always looked at: partition tables, boot loaders."""

READERS = 4
_AT_END = 0xFFFFFFFFFFFFFFFF


class Ranged(Protocol):
    """A file that is read in places: `read_at` gives exactly `length` bytes."""

    @property
    def size(self) -> int: ...
    def read_at(self, offset: int, length: int) -> bytes: ...


@dataclass(frozen=True)
class Sample:
    """What was looked at: `read` of the `chunks` that hold data; `differing`: the numbers of those that differ."""

    read: int
    chunks: int
    differing: tuple[int, ...] = ()


def choose(manifest: Manifest, size: int = 0, edge: int = -1) -> list[tuple[int, bytes]]:
    """(number, digest) of the chosen chunks, ascending: of those that hold data, by a generator seeded with the root.

    The same manifest gives the same choice. All of them where there are not more than asked for.
    """
    size, edge = size or SIZE, EDGE if edge < 0 else edge
    drawn = sorted(random.Random(manifest.root).sample(range(manifest.data_chunks), min(size, manifest.data_chunks)))
    edges = {*range(edge), *range(manifest.chunks - edge, manifest.chunks)}
    found = []
    at = 0
    for run in manifest.runs():
        if run.digests is None:
            continue
        low, high = bisect_left(drawn, at), bisect_left(drawn, at + run.chunks)
        picked = {place - at for place in drawn[low:high]}
        picked |= {number - run.first for number in edges if 0 <= number - run.first < run.chunks}
        found += [(run.first + n, run.digests[n * DIGEST : (n + 1) * DIGEST]) for n in sorted(picked)]
        at += run.chunks
    return found


class Sampler:
    """A VMDK that is read in places. `capacity`: the disk's bytes. DamagedStream where its tables are not found."""

    def __init__(self, source: Ranged) -> None:
        self._source = source
        header = decode.check_header(self._read(0, decode.BLOCK))
        if header.directory_at == _AT_END:
            at = source.size - 2 * decode.BLOCK
            footer = decode.check_header(self._read(at, decode.BLOCK))
            if header != footer._replace(directory_at=_AT_END) or not 0 < footer.directory_at * decode.BLOCK < at:
                raise decode.damaged("its footer does not agree with its header")
            header = footer
        self.capacity = header.capacity * decode.BLOCK
        self._header = header
        grains = -(-header.capacity // decode.GRAIN_BLOCKS)
        tables = -(-grains // decode.PER_TABLE)
        self._tables = decode.numbers_of(self._read(header.directory_at * decode.BLOCK, 4 * tables))
        self._inflater = decode.inflater()

    def _read(self, offset: int, length: int) -> bytes:
        if not 0 <= offset <= self._source.size - length:
            raise decode.damaged("one of its tables points beyond its end")
        return self._source.read_at(offset, length)

    def digests(
        self,
        chunks: Sequence[int],
        algorithm: str,
        on_progress: Callable[[int, int], object] | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[tuple[int, bytes]]:
        """(number, digest) of chunks, given ascending. Raises DamagedStream, Cancelled, and what reading raises.

        on_progress(done, all): in chunks.
        """
        digest_of, zero = chunk_hasher(algorithm), zero_digest(algorithm)
        groups = [list(some) for _table, some in groupby(chunks, key=lambda number: number // decode.PER_TABLE)]

        def work(some: list[int]) -> list[tuple[int, bytes]]:
            if cancel is not None and cancel.is_set():
                raise Cancelled("The pass was stopped")
            return [(n, zero if data is None else digest_of(data)) for n, data in self._of_table(some)]

        done = 0
        with ThreadPoolExecutor(READERS) as pool:
            try:
                for found in pool.map(work, groups):
                    done += len(found)
                    if on_progress is not None:
                        on_progress(done, len(chunks))
                    yield from found
            finally:
                pool.shutdown(cancel_futures=True)

    def _of_table(self, some: Sequence[int]) -> Iterator[tuple[int, bytes | None]]:
        """Chunks of one grain table; None for one that is not stored, which is zeros."""
        table = self._tables[some[0] // decode.PER_TABLE]
        entries = self._entries(table) if table else None
        for number in some:
            at = entries[number % decode.PER_TABLE] if entries is not None else 0
            yield (
                number,
                None if at == 0 else self._grain(number, at, min((e for e in entries or () if e > at), default=0)),
            )

    def _entries(self, table: int) -> list[int]:
        found = decode.numbers_of(self._read(table * decode.BLOCK, decode.TABLE_BLOCKS * decode.BLOCK))
        zeros = self._header.flags & decode.FLAG_ZERO_ENTRIES
        return [0 if zeros and entry == 1 else entry for entry in found]

    def _grain(self, number: int, at: int, following: int) -> bytes:
        """The 64 KiB of a grain at a block; following: the block of the next one of its table, 0 for none."""
        start = at * decode.BLOCK
        most = decode.GRAIN_BYTES + 2 * decode.BLOCK
        end = min(following * decode.BLOCK or start + most, start + most, self._source.size)
        data = self._read(start, max(end - start, decode.BLOCK))
        value, size = struct.unpack_from("<QI", data)
        if value != number * decode.GRAIN_BLOCKS or not 0 < size <= decode.MAX_COMPRESSED:
            raise decode.damaged(
                f"its grain table does not point at the grain for sector {number * decode.GRAIN_BLOCKS}"
            )
        if 12 + size > len(data):
            data += self._read(start + len(data), 12 + size - len(data))
        plain = decode.inflated(self._inflater, number, data[12 : 12 + size], self.capacity)
        return plain[: self.capacity - number * decode.GRAIN_BYTES].ljust(decode.GRAIN_BYTES, b"\0")


def compare(
    source: Ranged,
    manifest: Manifest,
    on_progress: Callable[[int, int], object] | None = None,
    cancel: threading.Event | None = None,
) -> Sample | None:
    """Compare a sample of a VMDK with the manifest of what was sent; None where the VMDK cannot be sampled.

    It cannot where it has no tables that can be found, is of another size, or holds no more data than a sample would.
    Raises DamagedStream where a chosen chunk cannot be read, Cancelled, and what reading does.
    """
    if manifest.data_chunks <= SIZE:
        return None
    try:
        sampler = Sampler(source)
    except decode.DamagedStream:
        return None
    if sampler.capacity != manifest.size:
        return None
    chosen = choose(manifest)
    wanted = dict(chosen)
    read = sampler.digests([number for number, _digest in chosen], manifest.algorithm, on_progress, cancel)
    differing = tuple(number for number, digest in read if digest != wanted[number])
    return Sample(len(chosen), manifest.data_chunks, differing)
