# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limit on bytes per second, on a clock of the test's own."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.throttle import Limiter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_a_steady_stream_goes_at_the_rate() -> None:
    clock = Clock()
    limiter = Limiter(1000, burst=100, clock=clock, sleep=clock.sleep)
    for _unused in range(50):
        limiter.take(200)
    # 10,000 bytes at 1000 a second, less the burst that was free.
    assert clock.now - 100 == pytest.approx(9.9)


def test_a_pause_gives_no_more_than_the_burst() -> None:
    clock = Clock()
    limiter = Limiter(1000, burst=500, clock=clock, sleep=clock.sleep)
    limiter.take(500)
    clock.now += 3600
    assert limiter.reserve(500) == 0
    assert limiter.reserve(500) == pytest.approx(0.5)


def test_a_take_larger_than_the_burst_is_paid_off() -> None:
    clock = Clock()
    limiter = Limiter(1000, burst=100, clock=clock, sleep=clock.sleep)
    limiter.take(5000)
    assert clock.slept == [pytest.approx(4.9)]


def test_several_takers_share_one_rate() -> None:
    clock = Clock()
    limiter = Limiter(1000, burst=0, clock=clock, sleep=clock.sleep)
    # Nobody's time passes in between: each has to wait for those before it.
    assert [limiter.reserve(100) for _unused in range(3)] == [pytest.approx(wait) for wait in (0.1, 0.2, 0.3)]


def test_threads_lose_no_byte() -> None:
    clock = Clock()
    limiter = Limiter(1, burst=0, clock=clock)
    threads = [threading.Thread(target=lambda: [limiter.reserve(1) for _unused in range(500)]) for _unused in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert limiter.reserve(1) == pytest.approx(2001)


def test_zero_is_no_limit() -> None:
    clock = Clock()
    limiter = Limiter(0, clock=clock, sleep=clock.sleep)
    limiter.take(1 << 50)
    assert clock.slept == []


def test_the_default_burst_lets_a_unit_pass() -> None:
    clock = Clock()
    assert Limiter(10, clock=clock).reserve(1 << 20) == 0
    assert Limiter(1 << 30, clock=clock).reserve(1 << 28) == 0


def test_cancelling_ends_the_wait() -> None:
    limiter = Limiter(1, burst=0)
    cancel = threading.Event()
    cancel.set()
    limiter.take(10**9, cancel)


def test_a_negative_rate_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="negative"):
        Limiter(-1)
