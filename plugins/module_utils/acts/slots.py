# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the jobs on one reader host share: so many disks at a time, and so many bytes per second.

Both live in small files under the state directory and need no process of their own: a slot is a file lock, which the
kernel gives back when its holder dies; the bandwidth is a moment (the monotonic clock of this boot) in a locked file.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.throttle import Limiter

_MOMENT = struct.Struct("<d")
_LOST = 60.0
"""A recorded moment further ahead than this (seconds) is from another boot."""


class Slots:
    """`count` places for disks on this host, shared by all jobs that use the same directory."""

    def __init__(self, directory: Path, count: int, sleep: Callable[[float], None] = time.sleep) -> None:
        self.directory = directory
        self.count = max(1, count)
        self.sleep = sleep
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def try_take(self) -> int | None:
        """A slot's descriptor (close it to give the slot back), or None where all are taken."""
        for number in range(self.count):
            descriptor = os.open(self.directory / f"slot-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            else:
                return descriptor
        return None

    @contextmanager
    def hold(self, give_up: Callable[[], bool] = lambda: False) -> Iterator[bool]:
        """Wait for a slot and hold it; yields False without one as soon as `give_up()` says so."""
        pause = 0.05
        while (descriptor := self.try_take()) is None:
            if give_up():
                yield False
                return
            self.sleep(pause)
            pause = min(pause * 1.5, 1.0)
        try:
            yield True
        finally:
            os.close(descriptor)


class SharedLimiter(Limiter):
    """So many bytes per second over all jobs on this host; 0 is no limit. A `Limiter` for the passes."""

    def __init__(
        self,
        path: Path,
        bytes_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        super().__init__(bytes_per_second, clock=clock, sleep=sleep)
        self._present = clock
        self._turn = threading.Lock()
        self._file = -1
        if bytes_per_second:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def reserve(self, count: int) -> float:
        """Take `count` bytes now; returns the seconds that the caller must wait before it sends them."""
        if self._file < 0 or count <= 0:
            return 0.0
        seconds = count / self.bytes_per_second
        # a file lock is per open file, not per thread: threads of this process take turns here
        with self._turn:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                raw = os.pread(self._file, _MOMENT.size, 0)
                present = self._present()
                free_at = float(_MOMENT.unpack(raw)[0]) if len(raw) == _MOMENT.size else 0.0
                if not present <= free_at <= present + _LOST + seconds:
                    free_at = present
                os.pwrite(self._file, _MOMENT.pack(free_at + seconds), 0)
                return free_at - present
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
