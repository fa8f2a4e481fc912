# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waves: which move groups cut over in which window, and how long each wave will take.

Small and independent groups go first, each into the first window that still has room for it. No group is dropped: one
that no window can take is in a wave without a window that says why.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.assessment import Group, Wave
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.groups import natural
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.schedule import (
    Schedule,
    Window,
    moment,
)

LATE_MEASURED = 1.3
LATE_STATED = 1.6
"""Nine of ten waves take no longer than the expected length times this: a rate that somebody stated is further off."""

Bound = Literal["", "rate", "slots", "workload", "window_too_short", "too_large", "no_window_left"]
"""What makes a wave as long as it is, or why it has no window.

rate: the bytes. slots: what each workload takes besides its bytes, and how many move at once. workload: one of them
alone takes most of it. window_too_short: no window is long enough for this group. too_large: the group alone is more
than a wave may hold. no_window_left: all windows are full.
"""
BOUNDS: tuple[str, ...] = get_args(Bound)

_RESERVED = ("all", "ungrouped", "workloads", "readers", "not_moved", "localhost")


@dataclass(frozen=True)
class _Length:
    seconds: int
    late: int
    bound: Bound


@dataclass
class _Wave:
    """A wave that is being filled."""

    name: str
    window: Window | None = None
    groups: list[Group] = field(default_factory=list)
    why: Bound = ""


def waves(
    groups: Iterable[Group],
    schedule: Schedule,
    *,
    gib: Mapping[str, int] | None = None,
    keep: Mapping[str, str] | None = None,
) -> list[Wave]:
    """The groups in waves, in the order of the windows. `gib`: size of each host's volumes, where it is known.

    `keep`: the wave that a group was in before; it stays there as long as there is such a wave with room for it, so
    that one more server does not move half of the tenant to other dates.

    A wave that could not have a window though there are some has no `start`, `fits` false, and `bound_by` says why.
    """
    sizes, kept = gib or {}, keep or {}
    windows = sorted(schedule.windows, key=lambda window: (moment(window.start), window.hours, window.name))
    dated = [_Wave(name, window) for name, window in zip(_names(windows), windows, strict=True)]
    ordered = sorted(groups, key=_risk)
    why = {group.name: _why_undated([group], schedule, sizes) for group in ordered}
    alone = [group for group in ordered if why[group.name] in ("too_large", "window_too_short")]
    left = _place(dated, [group for group in ordered if group not in alone], kept, schedule, sizes)

    taken = {wave.name for wave in dated}
    reserved = {kept[group.name] for group in alone if group.name in kept} - taken
    before = {kept[group.name] for group in left if group.name in kept} - taken - reserved
    reason: Bound = "no_window_left" if windows else ""
    undated = [_Wave(name, why=reason) for name in sorted(before, key=natural)]
    taken |= before
    left = _place(undated, left, kept, schedule, sizes)
    while left:
        wave = _Wave(_free(taken | reserved), why=reason)
        left = _place([wave], left, {}, schedule, sizes)
        undated.append(wave)
        taken.add(wave.name)
    for group in alone:
        name = kept.get(group.name, "")
        name = _free(taken | reserved) if not name or name in taken else name
        undated.append(_Wave(name, groups=[group], why=why[group.name]))
        taken.add(name)
    made = [*dated, *sorted(undated, key=lambda wave: natural(wave.name))]
    return [_told(wave.name, wave.groups, wave.window, schedule, sizes, wave.why) for wave in made if wave.groups]


def _place(
    there: Sequence[_Wave],
    groups: Iterable[Group],
    kept: Mapping[str, str],
    schedule: Schedule,
    gib: Mapping[str, int],
) -> list[Group]:
    """Put groups into waves: where they were before, else into the first with room; returns those that none takes."""
    among = list(groups)
    settled = _settle(there, among, kept, schedule, gib)
    left = []
    for group in among:
        if group.name not in settled:
            home = next((wave for wave in there if _takes(wave, group, schedule, gib)), None)
            if home is None:
                left.append(group)
            else:
                home.groups.append(group)
    return left


def _settle(
    there: Iterable[_Wave],
    groups: Iterable[Group],
    kept: Mapping[str, str],
    schedule: Schedule,
    gib: Mapping[str, int],
) -> set[str]:
    """Put groups into the wave that they were in; what is too much for it, the riskiest first, comes out again."""
    by_name = {wave.name: wave for wave in there if not wave.groups}
    for group in groups:
        if kept.get(group.name) in by_name:
            by_name[kept[group.name]].groups.append(group)
    settled: set[str] = set()
    for wave in by_name.values():
        while wave.groups and not _takes(replace(wave, groups=wave.groups[:-1]), wave.groups[-1], schedule, gib):
            wave.groups.pop()
        settled |= {group.name for group in wave.groups}
    return settled


def _free(taken: Collection[str]) -> str:
    """The next name of a wave that is called by its number."""
    number = len(taken) + 1
    while f"wave_{number}" in taken:
        number += 1
    return f"wave_{number}"


def forecast(
    groups_by_wave: Mapping[str, Sequence[Group]],
    schedule: Schedule,
    *,
    windows: Mapping[str, Window] | None = None,
    gib: Mapping[str, int] | None = None,
) -> list[Wave]:
    """How long the waves of an edited plan will take, in the order given. `windows`: those that the plan says.

    A wave without a window says why as in `waves`; whatever limits people went beyond, a window that is long enough
    is one that fits.
    """
    told = []
    for name, groups in groups_by_wave.items():
        window = (windows or {}).get(name)
        why: Bound = "" if window is not None else _why_undated(groups, schedule, gib or {})
        told.append(_told(name, list(groups), window, schedule, gib or {}, why))
    return told


def with_waves(groups: Iterable[Group], made: Iterable[Wave]) -> list[Group]:
    """The groups, each with the name of its wave."""
    home = {group: wave.name for wave in made for group in wave.groups}
    return [replace(group, wave=home.get(group.name, "")) for group in groups]


def _why_undated(groups: Sequence[Group], schedule: Schedule, gib: Mapping[str, int]) -> Bound:
    """Why a wave of these groups has no window; empty where nobody named any window, or there is nothing to do."""
    if not all(_room([], group, schedule) for group in groups):
        return "too_large"
    if not schedule.windows or not groups:
        return ""
    longest = max(_seconds(window) for window in schedule.windows)
    lengths = [_length([group], schedule, gib).late for group in groups]
    return "window_too_short" if max(lengths) > longest else "no_window_left"


def _risk(group: Group) -> tuple[float, int, int, object]:
    """Few workloads and few ties first; ties are counted by their root, since one busy connection is one risk."""
    hosts = len(group.hosts)
    return hosts + math.sqrt(group.cut), hosts, group.disk_gib, natural(group.name)


def _room(there: Sequence[Group], group: Group, schedule: Schedule) -> bool:
    """Whether a wave of `there` may hold the group too."""
    together = [*there, group]
    return (
        sum(len(entry.hosts) for entry in together) <= schedule.max_workloads
        and (not schedule.max_gib or sum(entry.disk_gib for entry in together) <= schedule.max_gib)
        and len(together) <= schedule.teams * schedule.groups_per_team
    )


def _takes(wave: _Wave, group: Group, schedule: Schedule, gib: Mapping[str, int]) -> bool:
    if not _room(wave.groups, group, schedule):
        return False
    return wave.window is None or _length([*wave.groups, group], schedule, gib).late <= _seconds(wave.window)


def _seconds(window: Window) -> int:
    return int(window.hours * 3600)


def _told(
    name: str, groups: Sequence[Group], window: Window | None, schedule: Schedule, gib: Mapping[str, int], why: Bound
) -> Wave:
    length = _length(groups, schedule, gib)
    fits = None
    if window is not None:
        fits = length.late <= _seconds(window)
    elif why:
        fits = False
    return Wave(
        name=name,
        groups=[group.name for group in sorted(groups, key=lambda group: natural(group.name))],
        workloads=sum(len(group.hosts) for group in groups),
        disk_gib=sum(group.disk_gib for group in groups),
        start=window.start if window else "",
        window_s=_seconds(window) if window else 0,
        seconds=length.seconds,
        seconds_late=length.late,
        rate_mib_s=schedule.rate_mib_s,
        measured=schedule.measured,
        fits=fits,
        bound_by=why or length.bound,
    )


def _length(groups: Sequence[Group], schedule: Schedule, gib: Mapping[str, int]) -> _Length:
    """Play the wave: so many at once, the largest first, all that copy at one moment share the rate."""
    mib = sorted((size * 1024.0 for group in groups for size in _sizes(group, gib)), reverse=True)
    if not mib:
        return _Length(0, 0, "")
    seconds = _play(mib, schedule)
    copying = sum(mib) / schedule.rate_mib_s
    working = -(-len(mib) // schedule.at_once) * schedule.overhead_s
    longest = mib[0] / schedule.rate_mib_s + schedule.overhead_s
    bound: Bound = "rate" if copying >= working else "slots"
    if len(mib) > 1 and longest >= 0.8 * seconds and mib[0] > sum(mib) / 2:
        bound = "workload"
    late = seconds * (LATE_MEASURED if schedule.measured else LATE_STATED)
    return _Length(math.ceil(seconds), math.ceil(late), bound)


def _sizes(group: Group, gib: Mapping[str, int]) -> list[float]:
    """The sizes of its workloads; those that are not known share what is left of the group's."""
    unknown = sum(1 for host in group.hosts if host not in gib)
    left = max(0, group.disk_gib - sum(gib.get(host, 0) for host in group.hosts))
    return [gib[host] if host in gib else left / unknown for host in group.hosts]


def _play(mib: Sequence[float], schedule: Schedule) -> float:
    """Seconds until the last of the workloads is done.

    Time is counted in MiB that each copying workload got so far, so that a shared rate needs no more than two heaps.
    """
    waiting = list(reversed(mib))
    copying: list[float] = []  # how much each will have got when it is done
    working: list[float] = []  # when the rest of its work is done
    now = got = 0.0
    while waiting or copying or working:
        while waiting and len(copying) + len(working) < schedule.at_once:
            heapq.heappush(copying, got + waiting.pop())
        copied = now + (copying[0] - got) * len(copying) / schedule.rate_mib_s if copying else math.inf
        worked = working[0] if working else math.inf
        if copied <= worked:
            got = heapq.heappop(copying)
            now = copied
            heapq.heappush(working, now + schedule.overhead_s)
        else:
            got += (worked - now) * schedule.rate_mib_s / len(copying) if copying else 0.0
            now = heapq.heappop(working)
    return now


def _names(windows: Sequence[Window]) -> list[str]:
    """The name of the wave of each window: its own, where it has one that no other has; else its number."""
    made: list[str] = []
    for number, window in enumerate(windows, 1):
        name = names.slug(window.name, fallback="").replace("-", "_")
        if name and not name[0].isalpha():
            name = f"wave_{name}"
        if not name or name in made or name in _RESERVED or name.startswith(("group_", "tenant_", "target_")):
            name = f"wave_{number}"
        while name in made:
            name += "_again"
        made.append(name)
    return made
