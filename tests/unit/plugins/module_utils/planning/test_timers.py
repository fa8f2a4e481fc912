# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timers: the law's days on a real calendar, and what happens where they cross."""

from __future__ import annotations

import datetime
import zoneinfo
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement_policy as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import timers
from tests.unit.plugins.module_utils.planning import retirements as r

PARIS = zoneinfo.ZoneInfo("Europe/Paris")
CALENDAR = model.Calendar()
SWITCH = {"asked": "2026-08-01", "notice_ends": "2026-10-01", "transition_end": "2026-10-31"}
WAIVER = {"waiver": {"by": "x", "at": "2026-10-01", "why": "y"}}


def policy(**parts: Any) -> model.Policy:
    data: dict[str, Any] = {
        "kind": model.KIND,
        "version": 1,
        "tenant": {"name": "acme", "project_id": "p"},
        "parties": {"controller": "a", "processor": "b", "contract": "c", "legal_basis": "d"},
        "decision": {"choice": "other_provider", "by": "x", "mandate": "y", "at": "2026-08-01"},
        "switching": SWITCH,
        "notice": {"sent": "2026-10-01", "delivered": "2026-10-02", "receipt": "r"},
        "escrow": WAIVER,
    }
    return model.load({**data, **parts})


def found(line: timers.Timeline) -> dict[str, str]:
    return {timer.rule: timer.at for timer in line.timers}


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def test_two_months_and_30_days_and_30_days() -> None:
    line = timers.timeline(policy())
    # the 30th day after 31 October ends with the midnight of 30 November, winter time
    assert found(line) == {"retrieval": "2026-11-30T23:00:00Z", "erasure_notice": "2026-10-23T22:00:00Z"}
    assert line.state == "fixed"
    assert "retrieval" in line.why_not(timers.moment("2026-11-30T22:59:59Z"))
    assert line.why_not(timers.moment("2026-11-30T23:00:00Z")) == ""
    assert timers.local("2026-11-30T23:00:00Z", "Europe/Paris") == "2026-12-01 00:00 CET"


def test_the_customers_extension_moves_the_erasure() -> None:
    line = timers.timeline(policy(switching={**SWITCH, "extension_end": "2027-01-31"}))
    assert found(line)["retrieval"] == "2027-03-02T23:00:00Z"
    assert line.not_before is not None and line.not_before.rule == "retrieval"


def test_a_later_day_that_both_agreed_on_counts_from_its_begin() -> None:
    line = timers.timeline(policy(switching={**SWITCH, "agreed_erasure": "2027-01-15"}))
    assert (
        (line.not_before.rule, line.not_before.at) == ("agreed", "2027-01-14T23:00:00Z") if line.not_before else False
    )


def test_a_change_of_the_clock_does_not_move_a_day() -> None:
    assert timers.text(timers.ends("2026-10-24", PARIS)) == "2026-10-24T22:00:00Z"
    assert timers.text(timers.ends("2026-10-24", PARIS, days=1)) == "2026-10-25T23:00:00Z"
    assert timers.text(timers.ends("2027-03-27", PARIS, days=1)) == "2027-03-28T22:00:00Z"
    # a moment keeps its hour on the wall
    assert timers.text(timers.ends("2026-10-24T10:00Z", PARIS, days=2)) == "2026-10-26T11:00:00Z"


def test_leap_days() -> None:
    assert timers.text(timers.ends("2028-01-30", PARIS, days=30)) == "2028-02-29T23:00:00Z"
    assert timers.text(timers.ends("2027-11-30", PARIS, months=3)) == "2028-02-29T23:00:00Z"
    assert timers.text(timers.ends("2026-11-30", PARIS, months=3)) == "2027-02-28T23:00:00Z"


def test_a_public_contract_that_ends_before_the_retrieval_is_a_conflict_with_both_sides_named() -> None:
    line = timers.timeline(policy(contract={"public": True, "returned": "2026-08-15"}))
    assert line.state == "CONFLICT"
    why = line.why_not(timers.moment("2026-11-20T12:00:00Z"))
    assert "retrieval forbids it before 2026-11-30T23:00:00Z" in why
    assert "public_return after 2026-11-15T23:00:00Z" in why
    assert "people must decide" in why
    # before, between and after: never
    for at in ("2026-01-01T00:00:00Z", "2026-11-20T00:00:00Z", "2027-11-20T00:00:00Z"):
        assert line.why_not(timers.moment(at)).startswith("CONFLICT")


def test_it_is_over_with_the_first_of_contract_and_platform() -> None:
    line = timers.timeline(policy(contract={"end": "2027-03-31", "platform_end": "2027-03-20", "margin_days": 7}))
    assert line.not_after is not None
    assert (line.not_after.rule, line.not_after.at) == ("platform_end", "2027-03-13T23:00:00Z")
    assert line.why_not(timers.moment("2027-03-13T23:00:01Z")).startswith("not after")


@pytest.mark.parametrize(
    ("part", "value", "rule"),
    [
        ("switching", {}, "retrieval"),
        ("notice", {"sent": "2026-10-01"}, "erasure_notice"),
        ("escrow", {}, "escrow"),
        ("escrow", {"store": "s3://x/y", "recipients": ["c.pem"]}, "escrow"),
        ("holds", [{"all": True, "why": "dispute"}], "hold"),
    ],
)
def test_a_date_that_is_not_there_never_lets_anything_be_erased(part: str, value: Any, rule: str) -> None:
    line = timers.timeline(policy(**{part: value}))
    assert line.state == "unknown"
    assert [entry.partition(" ")[0] for entry in line.unknown] == [rule]
    assert line.why_not(timers.moment("2099-01-01T00:00:00Z")).startswith("not known")


def test_the_soak_counts_from_the_last_acceptance_of_what_moved() -> None:
    accepted = {"a": {"by": "x", "at": "2026-12-01"}, "b": {"by": "x", "at": "2026-12-05T09:30Z"}}
    line = timers.timeline(policy(acceptances=accepted), moved=["a", "b"])
    assert found(line)["soak"] == "2026-12-19T09:30:00Z"
    assert timers.timeline(policy(acceptances=accepted), moved=["a", "c"]).unknown == ("soak (acceptances.c)",)
    assert "soak" not in found(timers.timeline(policy(acceptances=accepted)))


def test_a_tenant_that_is_only_erased_waits_for_the_notice_and_no_transition() -> None:
    erase = {"choice": "erase", "by": "x", "mandate": "y", "at": "2026-08-01"}
    only = timers.timeline(policy(decision=erase, switching={"asked": "2026-08-01", "notice_ends": "2026-10-01"}))
    assert found(only)["switching_notice"] == "2026-10-01T22:00:00Z"
    assert timers.timeline(policy(decision=erase, switching={})).state == "unknown"
    # with a transition, there is a retrieval as well
    assert "retrieval" in found(timers.timeline(policy(decision=erase)))


def test_escrow_and_holds_on_everything_move_it() -> None:
    held = policy(escrow={}, holds=[{"all": True, "why": "dispute", "until": "2027-06-30"}])
    line = timers.timeline(held, escrow_verified="2026-12-24T10:00:00Z")
    assert found(line)["escrow"] == "2026-12-24T10:00:00Z"
    assert line.not_before is not None and line.not_before.at == "2027-06-30T22:00:00Z"


def test_14_working_days_over_christmas() -> None:
    assert timers.working_days_after(day("2026-12-21"), 14, CALENDAR) == day("2027-01-12")
    assert timers.working_days_after(day("2026-12-25"), 1, CALENDAR) == day("2026-12-28")
    assert timers.feasibility_due(policy(switching={"asked": "2026-12-21"})) == day("2027-01-12")
    nobody = model.Calendar(holidays="none", more_holidays=["2026-12-24"])
    assert timers.working_days_after(day("2026-12-21"), 14, nobody) == day("2027-01-11")


def test_holidays_of_france() -> None:
    assert [timers.easter(year).isoformat() for year in (2024, 2025, 2026, 2027, 2038)] == [
        "2024-03-31",
        "2025-04-20",
        "2026-04-05",
        "2027-03-28",
        "2038-04-25",
    ]
    of_2026 = [d for n in range(365) if timers.holiday(d := day("2026-01-01") + n * timers.DAY, CALENDAR)]
    assert [d.strftime("%m-%d") for d in of_2026] == [
        *("01-01", "04-06", "05-01", "05-08", "05-14", "05-25"),
        *("07-14", "08-15", "11-01", "11-11", "12-25"),
    ]


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2026-12-08T08:00:00Z", ""),  # Tuesday, 9 o'clock in Paris
        ("2026-12-08T07:59:59Z", "from 09:00"),
        ("2026-12-08T15:00:00Z", "to 16:00"),
        ("2026-12-11T10:00:00Z", "days of the week"),  # Friday
        ("2026-11-11T10:00:00Z", "public holiday"),
        ("2026-12-22T10:00:00Z", "freeze"),
        ("2026-07-07T07:00:00Z", ""),  # summer time
    ],
)
def test_a_purge_runs_when_people_are_there(at: str, words: str) -> None:
    calendar = model.Calendar(freeze=[model.Freeze(first="2026-12-19", last="2027-01-04", why="end of the year")])
    why = timers.unattended(calendar, timers.moment(at))
    assert words in why if words else why == ""


def test_a_plan_tells_what_was_lacking_when_it_was_made() -> None:
    case = r.case(switching=model.Switching())
    assert [entry.partition(" ")[0] for entry in timers.lacking(case.policy, case.draft())] == ["retrieval"]
    verified = r.case(escrow=model.Escrow(), escrow_verified="2026-12-20T00:00:00Z")
    assert timers.lacking(verified.policy, verified.draft()) == ()
    assert timers.lacking(verified.policy, r.case(escrow=model.Escrow()).draft())[0].startswith("escrow")
