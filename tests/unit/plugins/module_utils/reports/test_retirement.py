# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sheet before signing: it shows the loss, and nothing that a cloud says can hide it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement_policy as policies
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import gates, stages, timers
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import retirement
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.words import LANGUAGES, Language, Words
from tests.unit.plugins.module_utils.planning import retirements as r

HOSTILE = "x\n- </td><script>alert(1)</script>\u202eevil"


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def words(page: str) -> str:
    reader = _Text()
    reader.feed(page)
    assert reader.scripts == 0
    return re.sub(r"\s+", " ", " ".join(reader.found))


def plan(**changed: object) -> model.Retirement:
    backup = r.res("b1", "v1", volume_id="v1")
    more = {"resources": {"volume_backups": [backup], "compute_quotas": [r.res("q")]}}
    return r.case(**{**more, **changed}).draft()


BESIDE = retirement.Beside(
    unknown=("escrow (it was not restored yet)",),
    feasible_until="2027-01-12",
    gates=(
        retirement.Judged("G1", True, "the decision is recorded"),
        retirement.Judged("G5", False, "not silent: web"),
    ),
    last={"volumes/v1": retirement.Last("2026-11-30T08:00:00Z", "2026-11-29T02:00:00Z")},
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_shows_every_object_and_what_people_sign(language: Language) -> None:
    made = plan()
    page = retirement.render(made, language, BESIDE)
    said = words(page)
    for item in made.items:
        assert f"<code>{item.ref.id}</code>" in page
    assert made.digest() in said
    assert "volume_backups/b1" in said, "what can still be restored"
    assert "G5" in said and "not silent: web" in said
    assert f'lang="{language}"' in page
    assert "2\u00a0December 2026" in page or "1er\u00a0janvier 2027" in page or "2027" in page
    assert "q</code>" not in page, "quotas are counted, not listed"


def test_dates_are_those_of_the_wall_clock_in_the_zone() -> None:
    page = words(retirement.render(plan(), "en", BESIDE))
    # 1 December and 30 days: the midnight that ends 31 December in Paris
    assert "1 January 2027, 00:00 CET" in page.replace("\u00a0", " ")
    assert "2026-12-31T23:00:00Z" in page


def test_what_is_nowhere_else_comes_first_and_is_said_at_the_top() -> None:
    snapshot = estates.Snapshot(id="sn", volume_id="v1", size_gib=10)
    made = plan(snapshots=[snapshot], kinds={"snapshots": r.ERASED})
    page = words(retirement.render(made, "en", BESIDE)).replace("\u00a0", " ")
    assert "Not moved, and nowhere else afterwards: 1 object" in page
    assert page.index("erased, not moved") < page.index("moved: 3 objects")


def test_a_conflict_and_a_lacking_date_are_verdicts() -> None:
    made = plan(contract=policies.Contract(end="2026-12-15"))
    assert retirement.crossing(made)
    page = words(retirement.render(made, "en", BESIDE))
    assert "people must decide" in page
    assert "A date is lacking" in page
    assert "CONFLICT" in retirement.to_text(made)
    assert "CONFLICT" not in retirement.to_text(plan())


def test_a_hostile_name_neither_breaks_the_page_nor_the_lines() -> None:
    server = replace(r.SERVER, name=HOSTILE)
    made = plan(servers=[server])
    for language in LANGUAGES:
        page = retirement.render(made, language, BESIDE)
        assert "<script>alert" not in page and "\u202e" not in page
        words(page)
    lines = retirement.to_text(made).splitlines()
    assert len(lines) == 2 + len(made.timers) + len(made.waivers) + len(made.items) + sum(
        kept.reason != "not_an_object" for kept in made.kept
    )
    assert not any("\u202e" in line for line in lines)


def test_the_text_says_what_goes_in_its_order_and_what_stays() -> None:
    made = plan()
    lines = retirement.to_text(made).splitlines()
    assert lines[1] == "deletes 7 objects, 20 GiB; keeps 3"
    deleted = [line.split()[2] for line in lines if line.startswith("delete ")]
    assert deleted == [item.ref.key + (":" if not item.name and not item.ref.size_gib else "") for item in made.items]
    assert any(line.startswith("keep volume_backups/b1: undecided") for line in lines)
    assert retirement.to_text(made) == retirement.to_text(plan())


def test_what_the_plan_and_the_gates_say_has_its_french() -> None:
    said = [*timers.RULES.values(), *gates.TITLES.values(), gates.WAIVED]
    said += [row.restorable for row in stages.ROWS.values() if row.restorable]
    said += [item.why for item in plan(kinds={"volume_backups": r.ERASED}).items]
    french = Words("fr")
    for sentence in said:
        for part in sentence.split("; "):
            assert 'lang="en"' not in french.told(part), part


def test_nothing_to_delete_is_said() -> None:
    assert "Nothing is deleted" in words(retirement.render(plan(holds=[policies.Hold(all=True, why="x")]), "en"))
