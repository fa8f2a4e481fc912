# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads that work on a stream of jobs and hand back the results in the order of the jobs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError

Job = TypeVar("Job")
Result = TypeVar("Result")

MAX_THREADS = 4  # of one disk, when the caller does not say: several disks go at once
IN_FLIGHT = 6  # jobs between being taken and being consumed
_PROGRESS_EVERY = 0.2  # seconds


class Cancelled(CloudExitError):
    """The caller asked to stop."""


def default_threads() -> int:
    """As many as there are CPUs for this process, at most four."""
    return max(1, min(MAX_THREADS, len(os.sched_getaffinity(0))))


class Reporter:
    """Calls on_progress(done bytes, all bytes) at most five times a second, and once at the end."""

    def __init__(self, on_progress: Callable[[int, int], object] | None, total: int) -> None:
        self._report = on_progress
        self._total = total
        self._next = 0.0

    def at(self, done: int) -> None:
        """So much is done."""
        if self._report is None:
            return
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _PROGRESS_EVERY
            self._report(min(done, self._total), self._total)

    def end(self) -> None:
        """All is done."""
        if self._report is not None:
            self._report(self._total, self._total)


def ordered(
    jobs: Iterable[Job],
    new_worker: Callable[[], Callable[[Job], Result]],
    threads: int | None = None,
    cancel: threading.Event | None = None,
) -> Iterator[Result]:
    """The results of all jobs, in order, computed by threads, with at most six jobs in flight (so memory is bounded).

    jobs: iterated by the threads, one at a time. new_worker: called once in each thread; what it returns is called
    for each job, so it may own a buffer. The first error of a job, of the iteration or of a worker is raised at
    once, without waiting for earlier jobs; Cancelled when `cancel` was set. All threads have ended when the
    iteration ends, in whatever way.
    """
    count = max(1, default_threads() if threads is None else threads)
    pool = _Pool(iter(jobs), new_worker, max(IN_FLIGHT, count + 2), cancel)
    workers = [threading.Thread(target=pool.run, name=f"disk-{n}", daemon=True) for n in range(count)]
    try:
        for worker in workers:
            worker.start()
        yield from pool.results()
    finally:
        pool.stop()
        for worker in workers:
            if worker.ident is not None:
                worker.join()


class _Pool(Generic[Job, Result]):
    def __init__(
        self,
        jobs: Iterator[Job],
        new_worker: Callable[[], Callable[[Job], Result]],
        in_flight: int,
        cancel: threading.Event | None,
    ) -> None:
        self._jobs = jobs
        self._new_worker = new_worker
        self._in_flight = in_flight
        self._cancel = cancel
        self._pull = threading.Lock()
        lock = threading.Lock()
        self._ready = threading.Condition(lock)
        self._room = threading.Condition(lock)
        self._done: dict[int, Result] = {}
        self._taken = 0
        self._wanted = 0
        self._exhausted = False
        self._stopped = False
        self._error: BaseException | None = None

    def stop(self) -> None:
        with self._ready:
            self._stopped = True
            self._room.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._ready:
            if self._error is None:
                self._error = error
            self._stopped = True
            self._room.notify_all()
            self._ready.notify_all()

    def run(self) -> None:
        try:
            work = self._new_worker()
            while True:
                with self._pull:
                    with self._ready:
                        while self._taken - self._wanted >= self._in_flight and not self._stopped:
                            self._room.wait()
                        if self._stopped or self._exhausted:
                            return
                    if self._cancel is not None and self._cancel.is_set():
                        raise Cancelled("The copy was stopped", cause="its caller cancelled it")
                    try:
                        job = next(self._jobs)
                    except StopIteration:
                        with self._ready:
                            self._exhausted = True
                            self._ready.notify_all()
                        return
                    number = self._taken
                    self._taken += 1
                result = work(job)
                with self._ready:
                    self._done[number] = result
                    if number == self._wanted:
                        self._ready.notify()
                del job, result
        except BaseException as error:
            self._fail(error)

    def results(self) -> Iterator[Result]:
        while True:
            with self._ready:
                while self._error is None and self._wanted not in self._done:
                    if self._exhausted and self._wanted == self._taken:
                        return
                    self._ready.wait()
                if self._error is not None:
                    raise self._error
                result = self._done.pop(self._wanted)
                self._wanted += 1
                self._room.notify()
            yield result
            del result
