# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From when until when a tenant may be erased, and the rule behind each moment.

Dates are whole days in the time zone of the policy: something ends with the midnight that ends its day, and days and
months are added on the calendar, so that a change of the clock does not move them. Moments are kept in UTC.
"""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement_policy as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Retirement, Timer

State = Literal["fixed", "unknown", "CONFLICT"]
"""fixed: all moments are known; unknown: one that must be is not, so nothing is erased; CONFLICT: it may not be erased
before a moment that is after the last at which it may be; people must decide."""

DAY = datetime.timedelta(days=1)
FEASIBILITY_DAYS = 14
"""Working days to say that the transition is not feasible (Data Act 2023/2854, Art. 25(4))."""
RETURN_MONTHS = 3
"""Months in which copies are destroyed after the return of a French public contract (general administrative clauses of
2021)."""

RULES: dict[str, str] = {
    "retrieval": "Data Act 2023/2854, Art. 25(2)(g): at least 30 days after the transition",
    "extension": "Data Act 2023/2854, Art. 25(5): the customer's extension",
    "switching_notice": "Data Act 2023/2854, Art. 25(3): erasure alone, at the end of the notice",
    "agreed": "Data Act 2023/2854, Art. 25(2)(h): a later day that both agreed on",
    "erasure_notice": "the contract's notice before an erasure; 21 days in ANSSI SecNumCloud 3.2",
    "soak": "policy: silence of the source after the acceptance",
    "escrow": "policy: the copy outside of the platform was restored once",
    "hold": "policy: a hold on everything",
    "contract_end": "contract: its last day",
    "public_return": "French public contracts: copies are destroyed within three months of the return",
    "platform_end": "platform: its last day, less the margin",
}
"""Every rule, and where it comes from, as of July 2026."""

HOLIDAYS_FRANCE = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
"""Fixed public holidays of France (Code du travail, L3133-1), as (month, day)."""
HOLIDAYS_AFTER_EASTER = (1, 39, 50)
"""Moving ones, in days after Easter Sunday: Easter Monday, Ascension, Whit Monday."""


@dataclass(frozen=True)
class Timeline:
    """All timers of a policy. unknown: rules whose moment is not known, and what is lacking. between: the two sides of
    a conflict, what forbids before and what forbids after."""

    timers: tuple[Timer, ...]
    unknown: tuple[str, ...]
    zone: str

    @property
    def not_before(self) -> Timer | None:
        """The last of the moments before which nothing is erased."""
        return max((t for t in self.timers if t.bound == "not_before"), key=lambda t: (t.at, t.rule), default=None)

    @property
    def not_after(self) -> Timer | None:
        """The first of the moments after which nothing is erased; None: no end is known."""
        return min((t for t in self.timers if t.bound == "not_after"), key=lambda t: (t.at, t.rule), default=None)

    @property
    def between(self) -> tuple[Timer, Timer] | None:
        """The two sides of a conflict."""
        before, after = self.not_before, self.not_after
        return (before, after) if before is not None and after is not None and before.at > after.at else None

    @property
    def state(self) -> State:
        """Whether it can be told when."""
        if self.between:
            return "CONFLICT"
        return "unknown" if self.unknown or self.not_before is None else "fixed"

    def why_not(self, now: datetime.datetime) -> str:
        """Why nothing may be erased now; empty where it may be."""
        before, after, sides = self.not_before, self.not_after, self.between
        if sides:
            early, late = sides
            return (
                f"CONFLICT: {early.rule} forbids it before {early.at} ({early.basis}), "
                f"{late.rule} after {late.at} ({late.basis}); people must decide"
            )
        if self.unknown:
            return "not known: " + "; ".join(self.unknown)
        if before is None:
            return "not known: no moment says from when"
        if now < moment(before.at):
            return f"not before {before.at}: {before.rule} ({before.basis})"
        if after is not None and now > moment(after.at):
            return f"not after {after.at}: {after.rule} ({after.basis})"
        return ""


def timeline(policy: model.Policy, *, moved: Iterable[str] = (), escrow_verified: str = "") -> Timeline:
    """The timers of a policy.

    moved: workloads that are deleted because they moved; their acceptance starts the soak. escrow_verified: when the
    copy outside of the platform had been restored and compared, UTC; empty: not yet.
    """
    zone = zone_of(policy)
    timers: list[Timer] = []
    unknown: list[str] = []
    for rule, bound, at, lacking in _moments(policy, sorted(set(moved)), escrow_verified, zone):
        if at is None:
            unknown.append(f"{rule} ({lacking})")
        else:
            timers.append(Timer(rule=rule, bound=bound, at=text(at), basis=RULES[rule]))
    return Timeline(tuple(timers), tuple(unknown), policy.calendar.zone)


def lacking(policy: model.Policy, plan: Retirement) -> tuple[str, ...]:
    """Rules whose moment was not known when a plan was made, and what is lacking."""
    moved = {item.workload for item in plan.items if item.choice == "moved" and item.workload}
    verified = next((timer.at for timer in plan.timers if timer.rule == "escrow"), "")
    return timeline(policy, moved=moved, escrow_verified=verified).unknown


_Row = tuple[str, Literal["not_before", "not_after"], "datetime.datetime | None", str]


def _moments(policy: model.Policy, moved: list[str], escrow_verified: str, zone: zoneinfo.ZoneInfo) -> Iterator[_Row]:
    switching, notice, contract = policy.switching, policy.notice, policy.contract

    def end(value: str, *, days: float = 0, months: int = 0) -> datetime.datetime | None:
        return ends(value, zone, days=days, months=months) if value else None

    if policy.decision.choice == "erase" and not switching.transition_end:
        yield "switching_notice", "not_before", end(switching.notice_ends), "switching.notice_ends"
    else:
        last = switching.extension_end or switching.transition_end
        yield "retrieval", "not_before", end(last, days=switching.retrieval_days), "switching.transition_end"
    if switching.extension_end:
        yield "extension", "not_before", end(switching.extension_end), ""
    if switching.agreed_erasure:
        yield "agreed", "not_before", end(switching.agreed_erasure, days=-1), ""
    yield "erasure_notice", "not_before", end(notice.delivered, days=notice.days), "notice.delivered"
    if moved:
        lacking = [name for name in moved if name not in policy.acceptances]
        at = [end(policy.acceptances[name].at, days=policy.soak_days) for name in moved if name not in lacking]
        known = [each for each in at if each is not None]
        yield "soak", "not_before", None if lacking else max(known), f"acceptances.{', '.join(lacking)}"
    if policy.escrow.waiver is None:
        yield "escrow", "not_before", moment(escrow_verified) if escrow_verified else None, "it was not restored yet"
    for hold in policy.holds:
        if hold.all:
            yield "hold", "not_before", end(hold.until), f"{hold.why}; it has no end"
    if contract.end:
        yield "contract_end", "not_after", end(contract.end), ""
    if contract.public and contract.returned:
        yield "public_return", "not_after", end(contract.returned, months=RETURN_MONTHS), ""
    if contract.platform_end:
        yield "platform_end", "not_after", end(contract.platform_end, days=-contract.margin_days), ""


def zone_of(policy: model.Policy) -> zoneinfo.ZoneInfo:
    """The time zone of the dates of a policy."""
    return zoneinfo.ZoneInfo(policy.calendar.zone)


def ends(value: str, zone: zoneinfo.ZoneInfo, *, days: float = 0, months: int = 0) -> datetime.datetime:
    """When a day or a moment of the policy is over, so many calendar days or months later; UTC."""
    if "T" in value:
        local = moment(value).astimezone(zone).replace(tzinfo=None)
    else:
        local = datetime.datetime.fromisoformat(value)
    if months:
        local = datetime.datetime.combine(model.add_months(local.date(), months), local.time())
    local += datetime.timedelta(days=days + (0 if "T" in value else 1))
    return local.replace(tzinfo=zone).astimezone(datetime.timezone.utc)


def moment(value: str) -> datetime.datetime:
    """A moment in UTC as documents write it."""
    return datetime.datetime.fromisoformat(value.removesuffix("Z") + "+00:00")


def text(value: datetime.datetime) -> str:
    """A moment as documents write it: UTC, whole seconds."""
    return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def local(at: str, zone: str) -> str:
    """A moment for people: the wall clock of the zone, and the zone's name then."""
    return moment(at).astimezone(zoneinfo.ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M %Z")


def easter(year: int) -> datetime.date:
    """Easter Sunday of the Gregorian calendar (Meeus/Jones/Butcher)."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    month, day = divmod(d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114, 31)
    return datetime.date(year, month, day + 1)


def holiday(day: datetime.date, calendar: model.Calendar) -> bool:
    """Whether it is a public holiday."""
    if day.isoformat() in calendar.more_holidays:
        return True
    if calendar.holidays == "none":
        return False
    return (day.month, day.day) in HOLIDAYS_FRANCE or (day - easter(day.year)).days in HOLIDAYS_AFTER_EASTER


def working_days_after(day: datetime.date, count: int, calendar: model.Calendar) -> datetime.date:
    """The day that is the `count`-th working day (Monday to Friday, no holiday) after `day`."""
    while count > 0:
        day += DAY
        count -= day.isoweekday() <= 5 and not holiday(day, calendar)
    return day


def feasibility_due(policy: model.Policy) -> datetime.date | None:
    """The last day on which the customer can be told that the transition is not feasible; None: nobody asked yet."""
    asked = policy.switching.asked
    if not asked:
        return None
    return working_days_after(datetime.date.fromisoformat(asked), FEASIBILITY_DAYS, policy.calendar)


def unattended(calendar: model.Calendar, now: datetime.datetime) -> str:
    """Why nobody is there to watch a purge now; empty where somebody is."""
    here = now.astimezone(zoneinfo.ZoneInfo(calendar.zone))
    day = here.date()
    for freeze in calendar.freeze:
        if freeze.first <= day.isoformat() <= freeze.last:
            return f"a freeze from {freeze.first} to {freeze.last} {freeze.why}".strip()
    if here.isoweekday() not in calendar.weekdays:
        return f"{day} is none of the days of the week on which it may run"
    if holiday(day, calendar):
        return f"{day} is a public holiday"
    if not calendar.start <= here.strftime("%H:%M") < calendar.end:
        return f"it may run from {calendar.start} to {calendar.end} ({calendar.zone})"
    return ""
