# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit on bytes per second that several threads, disks and workloads can share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Limiter:
    """A token bucket. `take` waits until the bytes fit the rate; takes larger than the burst are paid off afterwards.

    bytes_per_second: the rate; 0 means no limit. burst: bytes that may go at once after a pause (a quarter of a
    second's worth, at least 1 MiB, when not given). clock, sleep: for tests; seconds.
    """

    def __init__(
        self,
        bytes_per_second: float,
        burst: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if bytes_per_second < 0:
            raise ValueError("bytes_per_second must not be negative")
        self.bytes_per_second = bytes_per_second
        self._burst = float(max(bytes_per_second / 4, 1 << 20) if burst is None else burst)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._tokens = self._burst
        self._stamp = clock()

    def reserve(self, count: int) -> float:
        """Take `count` bytes now; returns the seconds that the caller must wait before it sends them."""
        if not self.bytes_per_second:
            return 0.0
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._stamp) * self.bytes_per_second)
            self._stamp = now
            self._tokens -= count
            return max(0.0, -self._tokens / self.bytes_per_second)

    def take(self, count: int, cancel: threading.Event | None = None) -> None:
        """Take `count` bytes and wait for them. Returns at once when `cancel` is set."""
        wait = self.reserve(count)
        if wait <= 0:
            return
        if cancel is not None:
            cancel.wait(wait)
        else:
            self._sleep(wait)
