# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pass: order, progress, limits, and that it stops at once, cleanly, when something goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk import pipeline, pool
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import Extent, Source, open_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.throttle import Limiter
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError
from tests.unit.module_utils.disk.conftest import MakeRaw, mixed_bytes

MIB = 1 << 20


class Made(Source):
    """A full disk of made-up data. It counts its reads, and can fail or wait at one of them."""

    def __init__(self, mebibytes: int) -> None:
        super().__init__("made", -1, mebibytes * MIB, "raw")
        self.reads = 0
        self.fail_at: int | None = None
        self.on_read: threading.Event | None = None
        self.lock = threading.Lock()

    def extents(self) -> Iterator[Extent]:
        yield Extent(0, self.size, 0)

    def read_at(self, position: int, view: memoryview) -> None:
        with self.lock:
            self.reads += 1
        if self.fail_at is not None and position >= self.fail_at:
            raise CloudExitError(f"Cannot read made at byte {position}", cause="Input/output error", retryable=True)
        view[:] = (b"%16d" % position) * (len(view) // 16)

    def close(self) -> None:
        pass


def test_chunks_are_hashed_as_the_manifest_says(make_raw: MakeRaw) -> None:
    content = mixed_bytes(70_000)
    with open_source(make_raw(200_192, {65536: content})) as source:
        digests = list(pipeline.hash_source(source).digests())
    padded = (bytes(65536) + content).ljust(4 * 65536, b"\0")
    assert digests == [blake3(padded[at : at + 65536]).digest() for at in range(0, len(padded), 65536)]


def test_the_number_of_threads_changes_nothing() -> None:
    expected = pipeline.hash_source(Made(20), threads=1)
    for threads in (2, 3, 9, None):
        assert pipeline.hash_source(Made(20), threads=threads) == expected
        assert pipeline.stream_vmdk(Made(20), lambda piece: None, threads=threads).manifest == expected


def test_progress_goes_up_and_ends_at_the_size(make_raw: MakeRaw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_PROGRESS_EVERY", 0)
    raw = make_raw(30 * MIB + 512, {n * MIB: b"x" for n in range(0, 30, 3)})
    for run in (
        pipeline.hash_source,
        lambda source, report: pipeline.stream_vmdk(source, lambda piece: None, report),
    ):
        seen: list[tuple[int, int]] = []
        with open_source(raw) as source:
            run(source, lambda done, total, seen=seen: seen.append((done, total)))
        done = [entry[0] for entry in seen]
        assert done == sorted(done)
        assert done[0] == 0
        assert len(seen) > 10
        assert seen[-1] == (30 * MIB + 512, 30 * MIB + 512)
        assert all(total == 30 * MIB + 512 for _done, total in seen)


def test_progress_is_not_told_more_often_than_people_can_read() -> None:
    seen: list[int] = []
    pipeline.hash_source(Made(200), lambda done, total: seen.append(done))
    assert len(seen) < 50


def test_a_read_error_in_the_middle_is_raised() -> None:
    source = Made(50)
    source.fail_at = 20 * MIB
    with pytest.raises(CloudExitError, match=f"at byte {20 * MIB}|at byte {21 * MIB}"):
        pipeline.stream_vmdk(source, lambda piece: None)
    assert source.reads < 30
    with pytest.raises(CloudExitError, match="Input/output error"):
        pipeline.hash_source(source)


def test_a_write_error_in_the_middle_is_raised_and_reading_stops() -> None:
    source = Made(100)
    sent = 0

    def write(piece: bytes) -> None:
        nonlocal sent
        sent += len(piece)
        if sent > 100_000:
            raise ConnectionResetError("the server closed the connection")

    with pytest.raises(ConnectionResetError):
        pipeline.stream_vmdk(source, write)
    assert source.reads < 80


def test_a_slow_receiver_holds_the_readers_back() -> None:
    source = Made(60)
    ahead = threading.Event()
    started = 0  # units whose writing has begun
    read_at = source.read_at

    def watched(position: int, view: memoryview) -> None:
        read_at(position, view)
        if source.reads > started + 1 + pool.IN_FLIGHT:
            ahead.set()

    source.read_at = watched

    def write(piece: bytes) -> None:
        nonlocal started
        if source.reads and len(piece) > 4096:
            started += 1
            if started == 1:
                ahead.wait(0.3)  # readers that are not held back pass the limit in this time

    pipeline.stream_vmdk(source, write, threads=2)
    assert started == 60
    assert not ahead.is_set()


def test_cancelled_before_it_starts() -> None:
    cancel = threading.Event()
    cancel.set()
    source = Made(10)
    with pytest.raises(pool.Cancelled):
        pipeline.hash_source(source, cancel=cancel)
    with pytest.raises(pool.Cancelled):
        pipeline.stream_vmdk(source, pytest.fail, cancel=cancel)
    assert source.reads == 0


def test_cancelled_in_the_middle() -> None:
    cancel = threading.Event()
    source = Made(500)
    pieces = 0

    def write(piece: bytes) -> None:
        nonlocal pieces
        pieces += 1
        if pieces == 5:
            cancel.set()

    with pytest.raises(pool.Cancelled):
        pipeline.stream_vmdk(source, write, cancel=cancel)
    assert pieces == 5
    assert source.reads < 100


def test_cancelling_ends_the_wait_of_a_limit() -> None:
    cancel = threading.Event()
    limiter = Limiter(1.0, burst=1.0)  # a byte a second: without the cancellation this would take weeks
    timer = threading.Timer(0.1, cancel.set)
    timer.start()
    try:
        with pytest.raises(pool.Cancelled):
            pipeline.hash_source(Made(5), limiter=limiter, cancel=cancel)
        with pytest.raises(pool.Cancelled):
            pipeline.stream_vmdk(Made(5), lambda piece: None, limiter=limiter, cancel=cancel)
    finally:
        timer.cancel()


class Counting(Limiter):
    def __init__(self) -> None:
        super().__init__(0)
        self.count = 0
        self.lock = threading.Lock()

    def take(self, count: int, cancel: threading.Event | None = None) -> None:
        with self.lock:
            self.count += count


def test_the_limit_counts_what_is_read_or_sent(make_raw: MakeRaw) -> None:
    raw = make_raw(50 * MIB, {MIB: mixed_bytes(MIB), 30 * MIB: bytes(MIB)})
    reading, sending = Counting(), Counting()
    with open_source(raw) as source:
        pipeline.hash_source(source, limiter=reading)
        result = pipeline.stream_vmdk(source, lambda piece: None, limiter=sending)
    assert reading.count == result.bytes_read == 2 * MIB
    assert sending.count == result.bytes_sent > MIB // 2


def test_results_come_in_order_and_errors_do_not_wait_for_them() -> None:
    gate = threading.Event()

    def new_worker() -> object:
        def work(job: int) -> int:
            if job == 0:
                assert gate.wait(10)
            if job == 3:
                gate.set()
            return job * 2

        return work

    assert list(pool.ordered(range(50), new_worker, threads=2)) == [n * 2 for n in range(50)]

    blocked = threading.Event()

    def failing_worker() -> object:
        def work(job: int) -> int:
            if job == 0:
                blocked.wait(10)  # ends only once the error of job 1 was raised
            if job == 1:
                raise CloudExitError("job 1 failed")
            return job

        return work

    results = pool.ordered(range(50), failing_worker, threads=2)
    release = threading.Timer(0.2, blocked.set)  # the pool waits for its threads before it raises
    release.start()
    with pytest.raises(CloudExitError, match="job 1"):
        next(results)


def test_an_error_of_the_jobs_themselves_is_raised() -> None:
    def jobs() -> Iterator[int]:
        yield 1
        raise OSError("the list of jobs ended badly")

    with pytest.raises(OSError, match="ended badly"):
        list(pool.ordered(jobs(), lambda: lambda job: job))


def test_leaving_early_ends_the_threads() -> None:
    results = pool.ordered(iter(range(10**9)), lambda: lambda job: job, threads=3)
    assert [next(results) for _unused in range(5)] == [0, 1, 2, 3, 4]
    results.close()


def test_a_stream_is_deterministic_where_asked(tmp_path: Path) -> None:
    one = pipeline.measure_vmdk(Made(8), threads=1)
    two = pipeline.measure_vmdk(Made(8), threads=4)
    assert one.sha256_of_stream == two.sha256_of_stream
