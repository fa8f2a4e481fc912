# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When and how much at once: windows, limits of a wave, the rate that bytes go at. A part of the policy."""

from __future__ import annotations

import datetime
import math
import re
from dataclasses import dataclass, field

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.schema import doc

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z\Z")


def moment(text: str) -> datetime.datetime:
    """The begin of a window as a moment in UTC; raises ValueError where it is none."""
    if not _TIME.match(text):
        raise ValueError(text)
    return datetime.datetime.fromisoformat(text.removesuffix("Z") + "+00:00")


def is_moment(text: str) -> str | None:
    """What is wrong with it, if anything."""
    try:
        moment(text)
    except ValueError:
        return "must be a moment in UTC like 2026-12-05T20:00Z"
    return None


def is_positive(value: float) -> str | None:
    """What is wrong with it, if anything."""
    return None if 0 < value < math.inf else "must be above 0"


def is_not_negative(value: float) -> str | None:
    """What is wrong with it, if anything."""
    return None if 0 <= value < math.inf else "must not be below 0"


@dataclass(frozen=True)
class Window:
    """A time in which workloads may be switched off and cut over."""

    start: str = field(metadata=doc("begin, UTC: 2026-12-05T20:00Z", check=is_moment))
    hours: float = field(metadata=doc("length, hours", check=is_positive))
    name: str = field(default="", metadata=doc("name of the wave that takes it; empty: one is made"))


@dataclass(frozen=True)
class Grouping:
    """How workloads are joined into move groups."""

    key: str = field(default="group", metadata=doc("key of server metadata that names the move group"))
    max_workloads: int = field(
        default=20, metadata=doc("soft dependencies join no more workloads than this", check=is_positive)
    )
    max_gib: int = field(default=4000, metadata=doc("soft dependencies join no more GiB than this", check=is_positive))


@dataclass(frozen=True)
class Schedule:
    """How much a wave may hold, and how quick it is."""

    windows: list[Window] = field(default_factory=list, metadata=doc("windows, in any order; none: waves have no date"))
    max_workloads: int = field(default=35, metadata=doc("workloads that one wave may hold", check=is_positive))
    max_gib: int = field(default=0, metadata=doc("GiB that one wave may hold; 0: no limit", check=is_not_negative))
    at_once: int = field(default=4, metadata=doc("workloads that move at the same time", check=is_positive))
    rate_mib_s: float = field(
        default=100.0, metadata=doc("rate of all of them together, MiB per second", check=is_positive)
    )
    measured: bool = field(default=False, metadata=doc("whether that rate was measured, or is an assumption"))
    overhead_s: int = field(
        default=600,
        metadata=doc(
            "seconds that a workload takes besides its bytes: stop, adapt, start, check", check=is_not_negative
        ),
    )
    teams: int = field(default=1, metadata=doc("teams that work in a window", check=is_positive))
    groups_per_team: int = field(
        default=3, metadata=doc("move groups that one team can cut over in a window", check=is_positive)
    )
