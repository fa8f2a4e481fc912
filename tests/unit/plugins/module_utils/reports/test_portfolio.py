# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The portfolio: figures, whether a tenant is out in time, and a page on which no tenant is missing."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import portfolio as portfolios
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import portfolio as report
from tests.assessments import HOSTILE_NAMES, make
from tests.conftest import ROOT

TODAY = date(2027, 2, 1)


def calm(**changed: object) -> assessments.Assessment:
    """Two workloads that move in one wave of 2 February 2027, 20:00 to 22:00, at the latest 23:00. All is known."""
    base = make(2, hostile=False, partial=False)
    workloads = [
        replace(w, readiness="ready", missing=[], answer="not_asked", destination="vsphere", move="cold", wave="wave_1")
        for w in base.workloads
    ]
    wave = assessments.Wave(
        name="wave_1", groups=["group-01"], workloads=2, start="2027-02-02T20:00:00Z", window_s=14400, seconds=7200,
        seconds_late=10800, fits=True,
    )  # fmt: skip
    given: dict[str, object] = {"workloads": workloads, "waves": [wave], "items": [], "findings": [], "drift": []}
    return replace(base, **(given | changed))


def row(a: assessments.Assessment | None, **given: object) -> portfolios.Tenant:
    return report.tenant("acme", a, TODAY, **given)


def test_figures() -> None:
    a = make(40, hostile=False)
    found = report.figures(a)
    assert found.workloads == found.ready + found.ready_with_changes + found.not_ready + found.unknown == 40
    assert found.disk_gib == sum(w.disk_gib for w in a.workloads) > 0
    assert found.moving == sum(w.move == "cold" for w in a.workloads)
    assert found.unread == ["dns", "quantum-annealer", "rds"]
    assert found.decisions >= found.unanswered > 0
    assert (found.waves, found.seconds) == (len(a.waves), sum(wave.seconds for wave in a.waves))


def test_the_end_is_known_only_when_every_wave_has_a_window() -> None:
    a = calm()
    assert (report.figures(a).end, report.figures(a).end_late) == ("2027-02-02T22:00:00Z", "2027-02-02T23:00:00Z")
    second = replace(a.waves[0], name="wave_2", start="")
    assert report.figures(replace(a, waves=[*a.waves, second])).end == ""
    assert report.figures(replace(a, waves=[])).end == ""
    assert report.figures(replace(a, workloads=[replace(w, wave="") for w in a.workloads])).end == ""
    offset = replace(a.waves[0], start="2027-02-02T22:00:00+02:00")
    assert report.figures(replace(a, waves=[offset])).end == "2027-02-02T22:00:00Z"


def test_states() -> None:
    assert row(calm()).state == "assessed"
    assert row(calm(services=[estates.Service("rds", "partial", [])])).state == "partial"
    assert row(calm(services=[estates.Service("rds", "absent", [])])).state == "assessed"
    failed = row(calm(), failure="wrong password")
    assert (failed.state, failed.why, failed.earlier) == ("failed", "wrong password", True)
    assert row(None, failure="no answer").state == "failed"
    assert row(None).state == "not_assessed" and row(None).figures is None
    assert row(calm(), earlier=True).earlier


@pytest.mark.parametrize(
    ("deadline", "days", "in_time"),
    [
        ("2027-02-03", 2, "yes"),
        ("2027-02-02", 1, "yes"),
        ("2027-02-01", 0, "no"),
        ("2027-01-31", -1, "no"),
        ("", None, "unknown"),
        ("soon", None, "unknown"),
    ],
)
def test_deadlines(deadline: str, days: int | None, in_time: str) -> None:
    found = row(calm(deadline=deadline))
    assert (found.days_left, found.in_time) == (days, in_time)


def test_in_time_is_yes_only_when_nothing_is_open() -> None:
    base = calm(deadline="2027-03-01")
    first, second = base.workloads
    assert row(base).in_time == "yes"
    assert row(replace(base, waves=[replace(base.waves[0], fits=False)])).in_time == "at_risk"
    late = replace(base.waves[0], start="2027-03-01T21:30:00Z")
    assert row(replace(base, waves=[late])).in_time == "at_risk"
    assert row(replace(base, waves=[replace(late, start="2027-03-01T22:30:00Z")])).in_time == "no"
    stays = replace(second, move="none", wave="")
    assert row(replace(base, workloads=[first, stays])).in_time == "unknown"
    assert row(replace(base, workloads=[first, replace(stays, destination="retire")])).in_time == "yes"
    assert (
        row(replace(base, workloads=[first, replace(stays, destination="retire", answer="open")])).in_time == "unknown"
    )
    assert row(replace(base, workloads=[first, replace(second, wave="")])).in_time == "unknown"
    assert row(replace(base, services=[estates.Service("rds", "not_read", [])])).in_time == "unknown"
    assert row(replace(base, waves=[])).in_time == "unknown"


def many() -> portfolios.Portfolio:
    rows = [
        report.tenant(
            f"tenant-{number:03d}" if number >= len(HOSTILE_NAMES) else HOSTILE_NAMES[number] or "-",
            None if number % 10 == 3 else make(number % 7, name=f"t{number}", seed=number),
            TODAY,
            failure=HOSTILE_NAMES[number % len(HOSTILE_NAMES)] or "x" if number % 10 in (3, 4) else "",
            report=f"t/{number}",
        )
        for number in range(100)
    ]
    return portfolios.Portfolio(kind=portfolios.KIND, version=1, today=TODAY.isoformat(), tenants=rows)


class Tags(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_page_of_a_hundred_tenants(language: report.Language) -> None:
    portfolio = many()
    source = report.render(portfolio, language)
    assert source == report.render(portfolio, language)
    source.encode("utf-8")
    tags = Tags(source).found
    assert sum(tag == "tr" for tag, dummy in tags) == 101
    assert sum(tag == "script" for tag, dummy in tags) == 1
    assert not [tag for tag, dummy in tags if tag in ("img", "iframe", "form", "object")]
    for dummy, attributes in tags:
        assert not [key for key in attributes if key.startswith("on") or key in ("style", "src")]
        assert re.fullmatch(
            r"data:,|#\w+|portfolio\.[a-z.]+|t/\d+\.assessment\.(en|fr)\.html", attributes.get("href") or "#x"
        )


def test_a_tenant_that_failed_says_why_and_nothing_is_green() -> None:
    rows = [
        report.tenant("globex", None, TODAY, failure="Read the tenant: wrong password"),
        row(calm(deadline="2027-03-01")),
    ]
    portfolio = portfolios.Portfolio(kind=portfolios.KIND, version=1, today="2027-02-01", tenants=rows)
    page = report.render(portfolio, "en")
    assert "Read the tenant: wrong password" in page and '<li class="verdict bad">Could not be assessed: 1' in page
    assert 'class="verdict good"' not in page
    line = re.search(r'<tr data-s="failed".*?</tr>', page)
    assert line and line[0].count("not known") == 7 and "<td class=num data-v=0" not in line[0]
    assert "2<small> at least</small>" in page and "Tenants without figures, not counted here: 1" in page
    whole = replace(portfolio, tenants=rows[1:])
    assert '<li class="verdict good">All are assessed, and all will be out in time' in report.render(whole, "en")


def test_csv_has_a_row_a_tenant() -> None:
    portfolio = many()
    rows = list(csv.DictReader(io.StringIO(report.csv_text(portfolio)), strict=True))
    assert len(rows) == 100
    assert {entry["state"] for entry in rows} == {"failed", "partial"}
    assert [entry["days_left"] for entry in rows if entry["workloads"] == ""] == [""] * 10
    assert not [value for entry in rows for key, value in entry.items() if value.startswith(("=", "@", "+"))]


def test_no_tenants_at_all() -> None:
    empty = portfolios.Portfolio(kind=portfolios.KIND, version=1, today="2027-02-01", tenants=[])
    assert "verdict good" not in report.render(empty, "en") and "0\u00a0tenants" in report.render(empty, "en")


@pytest.mark.parametrize(
    ("page", "document"), [("assessment.md", assessments.Assessment), ("portfolio.md", portfolios.Portfolio)]
)
def test_the_manual_lists_every_key(page: str, document: type) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for path, kind, default, meaning in schema.describe(document):
        assert f"| `{path}` | {kind} | {default} | {meaning} |" in text, "run tests/tools/tables.py"
