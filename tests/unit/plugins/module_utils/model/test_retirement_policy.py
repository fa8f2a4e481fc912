# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The retirement policy: what it must say, what the law does not allow, and that nothing empty ever decides."""

from __future__ import annotations

import copy
import datetime
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement_policy as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput

ROOT = Path(__file__).resolve().parents[5]
LEAST: dict[str, Any] = {
    "kind": model.KIND,
    "version": 1,
    "tenant": {"name": "acme", "project_id": "p1"},
    "parties": {
        "controller": "Acme SA",
        "processor": "the provider",
        "contract": "C-1",
        "legal_basis": "GDPR Art. 28(3)(g)",
    },
    "decision": {"choice": "other_provider", "by": "J. Doe", "mandate": "CIO", "at": "2026-10-01"},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    data = copy.deepcopy(LEAST)
    at: Any = data
    *above, last = path.split(".")
    for key in above:
        at = at.setdefault(key, {})
    at[last] = value
    return data


def problems(data: Any) -> dict[str, str]:
    return {problem.path: problem.message for problem in model.parse(data)[1]}


def test_the_least_that_a_policy_says_is_enough_and_decides_nothing() -> None:
    policy = model.load(LEAST)
    assert (policy.workloads, policy.kinds, policy.objects, policy.acceptances) == ({}, {}, {}, {})
    assert (policy.cool_off_hours, policy.switching.retrieval_days, policy.notice.days) == (72.0, 30, 21)
    assert policy.approvals.needed == 3
    assert model.load(copy.deepcopy(LEAST)).digest() == policy.digest()


@pytest.mark.parametrize("key", ["tenant", "parties", "decision"])
def test_what_makes_it_a_decision_must_be_there_and_not_be_empty(key: str) -> None:
    data = copy.deepcopy(LEAST)
    for name in data[key]:
        emptied = copy.deepcopy(data)
        emptied[key][name] = "  "
        assert f"{key}.{name}" in problems(emptied)
    del data[key]
    assert key in problems(data)


AGAINST_THE_LAW = {
    "switching.notice_ends": ({"asked": "2026-10-01", "notice_ends": "2026-12-02"}, "two months"),
    "switching.transition_end": (
        {"asked": "2026-10-01", "notice_ends": "2026-12-01", "transition_end": "2027-01-01"},
        "30 days",
    ),
    "switching.retrieval_days": ({"retrieval_days": 29}, "at least 30"),
    "switching.agreed_erasure": (
        {
            "asked": "2026-10-01",
            "notice_ends": "2026-12-01",
            "transition_end": "2026-12-31",
            "agreed_erasure": "2027-01-29",
        },
        "retrieval",
    ),
}


@pytest.mark.parametrize("path", AGAINST_THE_LAW)
def test_values_against_the_law_are_refused(path: str) -> None:
    switching, words = AGAINST_THE_LAW[path]
    found = problems(changed("switching", switching))
    assert list(found) == [path]
    assert words in found[path]


def test_what_the_law_just_allows_is_taken() -> None:
    within = {"asked": "2026-10-01", "notice_ends": "2026-12-01", "transition_end": "2026-12-31"}
    assert problems(changed("switching", within)) == {}
    longer = {**within, "unfeasible": "2026-10-20", "transition_end": "2027-07-01"}
    assert problems(changed("switching", longer)) == {}
    assert (
        "seven"
        in problems(changed("switching", {**longer, "transition_end": "2027-07-02"}))["switching.transition_end"]
    )


def test_a_notice_by_secnumcloud_is_21_days_at_least() -> None:
    assert "notice.days" in problems(changed("notice", {"standard": "secnumcloud", "days": 20}))
    assert problems(changed("notice", {"standard": "secnumcloud"})) == {}
    assert problems(changed("notice", {"days": 5})) == {}


@pytest.mark.parametrize(
    ("part", "entry", "missing"),
    [
        ("workloads", {"web": {"choice": "erased"}}, {"workloads.web.by", "workloads.web.at"}),
        (
            "kinds",
            {"snapshots": {"choice": "erased", "by": " ", "at": ""}},
            {"kinds.snapshots.by", "kinds.snapshots.at"},
        ),
        (
            "objects",
            {"buckets": {"b": {"choice": "exported", "by": "x", "at": "2026-10-01"}}},
            {"objects.buckets.b.what", "objects.buckets.b.digest", "objects.buckets.b.handed_over"},
        ),
    ],
)
def test_nothing_is_erased_or_exported_without_who_and_when(part: str, entry: Any, missing: set[str]) -> None:
    assert set(problems(changed(part, entry))) == missing


def test_whole_kinds_of_what_people_work_on_and_of_keys_are_never_chosen_at_once() -> None:
    choice = {"choice": "erased", "by": "x", "at": "2026-10-01"}
    for kind in model.ONE_BY_ONE:
        assert f"kinds.{kind}" in problems(changed("kinds", {kind: choice}))
    assert "did you mean snapshots" in problems(changed("kinds", {"snapshot": choice}))["kinds.snapshot"]


def test_names_of_objects_have_a_kind() -> None:
    bad = {
        "holds": [{"why": "x", "objects": ["6f1e", "server/1", "servers/"]}, {"why": "y"}],
        "protected": {"bucket/x": "audit", "buckets/y": ""},
        "waivers": [{"gate": "G4", "objects": ["x"], "by": "b", "at": "2026-10-01", "why": "w"}],
    }
    found = problems({**LEAST, **bad})
    assert set(found) == {
        "holds[0].objects[0]",
        "holds[0].objects[1]",
        "holds[0].objects[2]",
        "holds[1]",
        'protected."bucket/x"',
        'protected."buckets/y"',
        "waivers[0].objects[0]",
    }


@pytest.mark.parametrize("gate", ["G1", "G6", "G7", "G8", "G10", "G11", "G12", "credential", ""])
def test_no_gate_but_the_few_can_be_waived(gate: str) -> None:
    waiver = {"gate": gate, "by": "b", "at": "2026-10-01", "why": "w"}
    assert list(problems(changed("waivers", [waiver]))) == ["waivers[0].gate"]
    assert problems(changed("waivers", [{**waiver, "gate": "G5"}])) == {}


def test_all_problems_come_at_once_each_with_its_line() -> None:
    text = """kind: cloudexit.retirement_policy
version: 1
tenant: {name: acme, project_id: ""}
parties: {controller: a, processor: b, contract: c, legal_basis: d}
decision: {choice: delete, by: x, mandate: y, at: yesterday}
approvals: {needed: 1}
calendar: {zone: Mars/Base, weekdays: [0], start: "25:00"}
"""
    with pytest.raises(InvalidInput) as caught:
        model.loads(text)
    lines = [re.search(r"line (\d+)", problem.path) for problem in caught.value.problems]
    assert [int(line[1]) for line in lines if line] == [3, 5, 5, 6, 7, 7, 7]


def test_somebody_alone_never_decides_and_each_role_is_one_person() -> None:
    assert "approvals.needed" in problems(changed("approvals", {"needed": 1, "roles": []}))
    assert "approvals.needed" in problems(changed("approvals", {"needed": 2}))
    assert "approvals.roles[0]" in problems(changed("approvals", {"roles": ["boss"]}))


def test_limits_are_above_nothing() -> None:
    for key in ("canary", "objects_per_run", "gib_per_run", "share_percent_per_day"):
        assert f"limits.{key}" in problems(changed("limits", {key: 0}))


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        ("2026-12-31", 2, "2027-02-28"),
        ("2027-12-31", 2, "2028-02-29"),
        ("2026-10-31", 1, "2026-11-30"),
        ("2026-11-30", 3, "2027-02-28"),
        ("2026-05-15", 7, "2026-12-15"),
        ("2026-06-15", 7, "2027-01-15"),
    ],
)
def test_months_end_where_the_month_does(day: str, months: int, then: str) -> None:
    assert model.add_months(datetime.date.fromisoformat(day), months).isoformat() == then


def test_the_example_of_the_manual_is_valid_and_its_tables_are_complete() -> None:
    page = (ROOT / "docs" / "retirement-policy.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert example
    policy = model.loads(example[1])
    assert policy.kinds["snapshots"].choice == "erased"
    for path, _kind, _default, meaning in model.schema.describe(model.Policy):
        assert f"`{path}`" in page and meaning in page, path
