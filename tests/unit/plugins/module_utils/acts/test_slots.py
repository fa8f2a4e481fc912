# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slots and bandwidth that several jobs share."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.slots import SharedLimiter, Slots


def test_there_are_so_many_slots_and_they_come_back(tmp_path: Path) -> None:
    one, other = Slots(tmp_path, 2), Slots(tmp_path, 2)
    first, second = one.try_take(), other.try_take()
    assert first is not None and second is not None
    assert one.try_take() is None and other.try_take() is None
    os.close(first)
    third = other.try_take()
    assert third is not None
    os.close(second)
    os.close(third)


def test_hold_waits_until_one_is_free_or_it_is_told_to_give_up(tmp_path: Path) -> None:
    taken = Slots(tmp_path, 1).try_take()
    assert taken is not None
    with Slots(tmp_path, 1).hold(lambda: True) as held:
        assert held is False
    with Slots(tmp_path, 1, sleep=lambda seconds: os.close(taken)).hold() as held:
        assert held is True
        assert Slots(tmp_path, 1).try_take() is None


def test_two_jobs_share_one_bandwidth(tmp_path: Path) -> None:
    clock = [1000.0]
    one = SharedLimiter(tmp_path / "bandwidth", 100, clock=lambda: clock[0])
    two = SharedLimiter(tmp_path / "bandwidth", 100, clock=lambda: clock[0])
    assert one.reserve(200) == 0.0
    assert two.reserve(100) == 2.0
    assert one.reserve(100) == 3.0
    clock[0] += 10
    assert two.reserve(100) == 0.0
    clock[0] = 1.0  # another boot: the clock begins anew
    assert one.reserve(100) == 0.0


def test_no_limit_waits_for_nothing(tmp_path: Path) -> None:
    limiter = SharedLimiter(tmp_path / "bandwidth", 0)
    limiter.take(1 << 40)
    assert not (tmp_path / "bandwidth").exists()
