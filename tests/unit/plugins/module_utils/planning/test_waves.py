# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waves: the order of groups, limits, windows, what fits nowhere, and how long it takes."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.assessment import Group, Wave
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.schedule import Schedule, Window
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.waves import (
    BOUNDS,
    forecast,
    waves,
    with_waves,
)

SATURDAY = Window("2026-12-05T20:00Z", 8)
SUNDAY = Window("2026-12-06T20:00:00Z", 4)
MIB_100 = {"rate_mib_s": 100.0, "overhead_s": 600, "at_once": 4, "measured": True}


def group(name: str, hosts: int = 1, gib: int = 10, cut: int = 0) -> Group:
    return Group(name=name, hosts=[f"{name}-{n}" for n in range(hosts)], disk_gib=gib, cut=cut)


def shown(found: list[Wave]) -> dict[str, list[str]]:
    return {wave.name: wave.groups for wave in found}


def length(groups: list[Group], **changed: Any) -> Wave:
    schedule = Schedule(**{**MIB_100, **changed})
    return forecast({"wave_1": groups}, schedule)[0]


def test_nothing_to_do() -> None:
    assert waves([], Schedule(windows=[SATURDAY])) == []
    assert length([]) == Wave(name="wave_1", rate_mib_s=100.0, measured=True)


def test_small_and_independent_groups_go_first() -> None:
    groups = [group("large", 9), group("tied", 2, cut=100), group("small", 2), group("alone", 1, gib=99)]
    found = waves(groups, Schedule(groups_per_team=1))
    assert shown(found) == {"wave_1": ["alone"], "wave_2": ["small"], "wave_3": ["large"], "wave_4": ["tied"]}


@pytest.mark.parametrize(
    "schedule", [Schedule(max_workloads=4), Schedule(max_gib=20), Schedule(teams=2, groups_per_team=1)]
)
def test_limits_of_a_wave(schedule: Schedule) -> None:
    found = waves([group(name, 2) for name in "abcd"], schedule)
    assert shown(found) == {"wave_1": ["a", "b"], "wave_2": ["c", "d"]}
    assert [(wave.workloads, wave.disk_gib, wave.start, wave.fits) for wave in found] == [(4, 20, "", None)] * 2


def test_windows_in_the_order_of_time_with_their_names() -> None:
    windows = [SUNDAY, Window("2026-12-12T20:00Z", 4, name="Côte d'Azur"), SATURDAY]
    found = waves([group(name) for name in "abc"], Schedule(windows=windows, groups_per_team=1, measured=True))
    assert [(wave.name, wave.start, wave.window_s, wave.fits) for wave in found] == [
        ("wave_1", SATURDAY.start, 8 * 3600, True),
        ("wave_2", SUNDAY.start, 4 * 3600, True),
        ("cote_d_azur", "2026-12-12T20:00Z", 4 * 3600, True),
    ]


def test_a_window_that_nobody_takes_makes_no_wave_and_shifts_no_name() -> None:
    short = Window("2026-12-04T20:00Z", 0.1)
    assert shown(waves([group("a")], Schedule(windows=[short, SATURDAY]))) == {"wave_2": ["a"]}


@pytest.mark.parametrize("name", ["all", "workloads", "group_x", "tenant x", "2026", "wave_1", "¿", "same"])
def test_the_names_of_waves_are_names_of_groups(name: str) -> None:
    windows = [Window(f"2026-12-0{day}T20:00Z", 8, name=name) for day in (1, 2, 3)]
    found = waves([group(other) for other in "abc"], Schedule(windows=windows, groups_per_team=1))
    assert len({wave.name for wave in found}) == 3
    for wave in found:
        assert re.match(r"[a-z][a-z0-9_]*\Z", wave.name)
        assert wave.name not in ("all", "workloads")
        assert not wave.name.startswith(("group_", "tenant_", "target_"))


def test_a_group_takes_the_first_window_that_is_long_enough() -> None:
    """200 GiB at 100 MiB/s are 2048 s, and 600 s beside; with 30 per cent for bad luck, 57 minutes."""
    short, fitting = Window("2026-12-05T20:00Z", 0.9), Window("2026-12-06T20:00Z", 1)
    found = waves([group("a", gib=200), group("b", gib=10)], Schedule(windows=[short, fitting], **MIB_100))
    assert shown(found) == {"wave_1": ["b"], "wave_2": ["a"]}
    assert (found[1].seconds, found[1].seconds_late, found[1].fits) == (2648, 3443, True)


def test_what_fits_no_window_is_not_dropped() -> None:
    groups = [group("small"), group("slow", gib=9000), group("crowd", 40), group("other")]
    found = waves(groups, Schedule(windows=[SUNDAY], groups_per_team=1))
    assert [(wave.name, wave.groups, wave.start, wave.fits, wave.bound_by) for wave in found] == [
        ("wave_1", ["other"], SUNDAY.start, True, "slots"),
        ("wave_2", ["small"], "", False, "no_window_left"),
        ("wave_3", ["slow"], "", False, "window_too_short"),
        ("wave_4", ["crowd"], "", False, "too_large"),
    ]
    assert found[2].seconds == 9000 * 1024 / 100 + 600


def test_a_group_that_is_larger_than_a_wave_may_be_is_told_without_windows_too() -> None:
    found = waves([group("crowd", 40), group("a")], Schedule())
    assert [(wave.name, wave.groups, wave.fits, wave.bound_by) for wave in found] == [
        ("wave_1", ["a"], None, "slots"),
        ("wave_2", ["crowd"], False, "too_large"),
    ]


def test_a_plan_that_people_edited_is_forecast_as_it_is() -> None:
    plan = {"friday": [group("a", 60, gib=6000), group("b")], "wave_2": [group("c")], "empty": []}
    found = forecast(plan, Schedule(**MIB_100), windows={"friday": Window("2026-12-04T18:00Z", 2)})
    assert shown(found) == {"friday": ["a", "b"], "wave_2": ["c"], "empty": []}
    assert [(wave.start, wave.window_s, wave.fits) for wave in found] == [
        ("2026-12-04T18:00Z", 7200, False),
        ("", 0, None),
        ("", 0, None),
    ]
    assert found[0].seconds > 6010 * 1024 / 100


@pytest.mark.parametrize(
    "schedule",
    [Schedule(**MIB_100), Schedule(windows=[SUNDAY], groups_per_team=1), Schedule(max_workloads=2), Schedule()],
)
def test_a_plan_as_it_was_drafted_is_forecast_as_it_was_drafted(schedule: Schedule) -> None:
    groups = [group("small"), group("slow", gib=9000), group("crowd", 40), group("other")]
    drafted = waves(groups, schedule)
    by_name = {entry.name: entry for entry in groups}
    plan = {wave.name: [by_name[name] for name in wave.groups] for wave in drafted}
    windows = {wave.name: Window(wave.start, wave.window_s / 3600) for wave in drafted if wave.start}
    assert forecast(plan, schedule, windows=windows) == drafted


@pytest.mark.parametrize(
    ("groups", "changed", "seconds", "bound"),
    [
        # 100 GiB: 1024 s of bytes and 600 s beside them
        ([group("a", 1, 100)], {}, 1624, "rate"),
        # four at once share the rate; all are done at the same time
        ([group("a", 4, 100)], {}, 1624, "rate"),
        # one after the other
        ([group("a", 4, 100)], {"at_once": 1}, 1024 + 4 * 600, "slots"),
        # no bytes at all: two rounds
        ([group("a", 8, 0)], {}, 1200, "slots"),
        # twenty of one size, four at once: all four copy, then all four are being started
        ([group("a", 20, 800)], {}, 8192 + 5 * 600, "rate"),
        # no overhead: just the bytes
        ([group("a", 3, 100), group("b", 5, 100)], {"overhead_s": 0}, 2048, "rate"),
        ([group("a", 3, 100)], {"overhead_s": 0, "rate_mib_s": 200.0}, 512, "rate"),
    ],
)
def test_how_long_it_takes(groups: list[Group], changed: dict[str, Any], seconds: Any, bound: str) -> None:
    wave = length(groups, **changed)
    assert (wave.seconds, wave.bound_by) == (seconds, bound)


def test_bytes_flow_while_others_are_being_started() -> None:
    sizes = {f"a-{n}": 10 + 7 * n for n in range(20)}
    wave = forecast({"w": [group("a", 20, sum(sizes.values()))]}, Schedule(**MIB_100), gib=sizes)[0]
    bytes_alone = sum(sizes.values()) * 1024 / 100
    assert bytes_alone + 600 <= wave.seconds < bytes_alone + 3 * 600


def test_one_workload_may_take_most_of_it() -> None:
    groups = [group("a", 4, 1030)]
    schedule = Schedule(**MIB_100)
    even = forecast({"w": groups}, schedule)[0]
    odd = forecast({"w": groups}, schedule, gib={"a-0": 1000})[0]
    assert (even.bound_by, odd.bound_by) == ("rate", "workload")
    assert odd.seconds > even.seconds - 600


def test_late_is_later_and_more_so_where_the_rate_is_only_stated() -> None:
    measured, stated = length([group("a", 1, 100)]), length([group("a", 1, 100)], measured=False)
    assert measured.seconds == stated.seconds == 1624
    assert (measured.seconds_late, stated.seconds_late) == (2112, 2599)
    assert (measured.measured, stated.measured, stated.rate_mib_s) == (True, False, 100.0)


def placed(found: list[Wave]) -> dict[str, str]:
    return {name: wave.name for wave in found for name in wave.groups}


def test_one_more_group_moves_no_other() -> None:
    rng = random.Random(1)
    groups = [group(f"g{n}", rng.randrange(1, 9), rng.randrange(900)) for n in range(60)]
    before = placed(waves(groups, Schedule()))
    more = [*groups, group("new", 1, 1)]
    assert any(placed(waves(more, Schedule()))[name] != wave for name, wave in before.items())
    after = placed(waves(more, Schedule(), keep=before))
    assert {name: after[name] for name in before} == before
    gone = placed(waves(groups[1:], Schedule(), keep=before))
    assert gone == {name: wave for name, wave in before.items() if name != "g0"}


def test_a_group_that_grew_too_large_for_its_wave_leaves_it_and_no_other_does() -> None:
    schedule = Schedule(max_workloads=4)
    before = placed(waves([group("a", 2), group("b", 2), group("c", 2)], schedule))
    assert before == {"a": "wave_1", "b": "wave_1", "c": "wave_2"}
    after = placed(waves([group("a", 2), group("b", 3), group("c", 2)], schedule, keep=before))
    assert after == {"a": "wave_1", "b": "wave_3", "c": "wave_2"}


def test_a_wave_that_is_no_more_keeps_nobody() -> None:
    keep = {"a": "wave_7", "b": "no such group", "gone": "wave_1"}
    assert placed(waves([group("a"), group("b")], Schedule(windows=[SATURDAY]), keep=keep)) == {
        "a": "wave_1",
        "b": "wave_1",
    }


def test_groups_know_their_wave() -> None:
    groups = [group("a"), group("b"), group("none")]
    made = waves(groups[:2], Schedule(groups_per_team=1))
    assert [entry.wave for entry in with_waves(groups, made)] == ["wave_1", "wave_2", ""]


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_tenant_looks_like(seed: int) -> None:
    rng = random.Random(seed)
    groups = [
        group(f"g{n}", rng.randrange(1, 40), rng.randrange(3000), rng.choice([0, 0, 5]))
        for n in range(rng.randrange(30))
    ]
    windows = [Window(f"2026-12-{day:02d}T20:00Z", rng.choice([1, 4, 10])) for day in range(1, rng.randrange(1, 12))]
    schedule = Schedule(
        windows=windows,
        max_workloads=rng.choice([20, 35]),
        max_gib=rng.choice([0, 4000]),
        at_once=rng.randrange(1, 6),
        rate_mib_s=rng.choice([50.0, 333.3]),
        teams=rng.randrange(1, 3),
    )
    found = waves(groups, schedule)
    assert sorted(name for wave in found for name in wave.groups) == sorted(entry.name for entry in groups)
    assert len({wave.name for wave in found}) == len(found)
    for wave in found:
        assert wave.bound_by in BOUNDS
        assert wave.fits is (True if wave.start else False if windows or wave.bound_by == "too_large" else None)
        if wave.bound_by != "too_large":
            assert wave.workloads <= schedule.max_workloads
            assert not schedule.max_gib or wave.disk_gib <= schedule.max_gib
            assert len(wave.groups) <= schedule.teams * schedule.groups_per_team
        least = wave.disk_gib * 1024 / schedule.rate_mib_s
        rounds = -(-wave.workloads // schedule.at_once) * schedule.overhead_s
        assert max(least, rounds) <= wave.seconds + 1
        assert wave.seconds <= least + rounds + 1
        assert wave.seconds < wave.seconds_late
    starts = [wave.start for wave in found if wave.start]
    assert starts == sorted(starts)
    assert waves(rng.sample(groups, len(groups)), schedule) == found
    # what was drafted before is drafted again, and what is new moves nothing
    assert waves(groups, schedule, keep=placed(found)) == found
    more = placed(waves([*groups, group("new", 1, 1)], schedule, keep=placed(found)))
    assert {name: wave for name, wave in more.items() if name != "new"} == placed(found)
