# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The language of pages: everything that is said is said in both, numbers and dates as each writes them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import portfolio as portfolios
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import readiness, waves
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import french
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.words import Words
from tests.conftest import ROOT

REPORTS = ROOT / "plugins" / "module_utils" / "reports"
EN, FR = Words("en"), Words("fr")


def said() -> tuple[set[str], set[str]]:
    """All texts and all nouns that the pages ask for as they stand in the source."""
    texts, nouns = set(), set()
    for path in sorted(Path(REPORTS).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            constants = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            if called in ("t", "words") and constants:
                texts.add(constants[0])
            if called == "count" and len(node.args) == 2:
                nouns.update(constants)
    return texts, nouns


def test_all_that_is_said_has_its_french_and_nothing_more() -> None:
    texts, nouns = said()
    assert len(texts) > 100 and len(nouns) > 5
    assert texts - set(french.CODES) == set(french.TEXTS)
    assert nouns <= set(french.NOUNS)


def test_placeholders_are_the_same_in_both() -> None:
    for english, other in french.TEXTS.items():
        assert re.findall(r"\{\w+\}", english).sort() == re.findall(r"\{\w+\}", other).sort()
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", other)), english
        assert english.count("#") == other.count("#")


def test_every_code_of_the_documents_is_said_in_both() -> None:
    codes = [
        *get_args(assessments.Readiness),
        *get_args(estates.Severity),
        *get_args(assessments.Destination),
        *get_args(assessments.Answer),
        *get_args(portfolios.State),
        *(f"in time {code}" for code in get_args(portfolios.InTime)),
        *(f"decision {code}" for code in kinds.DECISIONS),
        *(f"read {code}" for code in get_args(estates.ReadState)),
        *(f"why {code}" for code in get_args(assessments.Why)),
        *(f"drift {code}" for code in ("added", "removed", "changed")),
        *(f"fact {code}" for code in readiness.WEIGHTS),
        *(f"bound {code}" for code in get_args(waves.Bound) if code),
    ]
    assert [code for code in codes if code not in french.CODES] == []


def test_notes_of_kinds_have_their_french() -> None:
    assert {kind.note for kind in kinds.KINDS.values() if kind.note} <= set(french.TOLD)


def test_patterns_fill_what_they_took() -> None:
    for pattern, other in french.PATTERNS:
        assert re.compile(pattern).groups == len(set(re.findall(r"\{\d\}", other))) > 0


def test_what_is_not_known_is_told_as_it_is_and_marked() -> None:
    assert FR.told("To the firewall.") == "Vers le pare-feu."
    assert FR.told("workload <b> follows") == "la charge &lt;b&gt; suit"
    assert FR.told("workload a b follows") == '<span lang="en">workload a b follows</span>'
    assert FR.told("<b>odd</b>") == '<span lang="en">&lt;b&gt;odd&lt;/b&gt;</span>'
    assert EN.told("<b>odd</b>") == "&lt;b&gt;odd&lt;/b&gt;"
    assert FR.either("seen", "vu") == "vu" and EN.either("seen", "vu") == "seen"
    assert FR.either("seen", "") == '<span lang="en">seen</span>'
    assert FR.kind("volumes") == "volumes" and FR.kind("<odd>") == "<odd>"


@pytest.mark.parametrize(
    ("english", "other", "method", "value"),
    [
        ("1,234", "1\u202f234", "number", 1234),
        ("0\u00a0GiB", "0\u00a0Gio", "size", 0),
        ("320\u00a0GiB", "320\u00a0Gio", "size", 320),
        ("12.5\u00a0GiB", "12,5\u00a0Gio", "size", 12.5),
        ("1.5\u00a0TiB", "1,5\u00a0Tio", "size", 1536),
        ("2\u00a0PiB", "2\u00a0Pio", "size", 2 * 1024 * 1024),
        ("48%", "48\u202f%", "percent", 48),
        ("42\u00a0s", "42\u00a0s", "duration", 42),
        ("1\u00a0h", "1\u00a0h", "duration", 3599),
        ("3\u00a0h 20\u00a0min", "3\u00a0h 20\u00a0min", "duration", 12000),
        ("2\u00a0d 4\u00a0h", "2\u00a0j 4\u00a0h", "duration", 52 * 3600),
        ("30\u00a0June 2027", "30\u00a0juin 2027", "day", "2027-06-30"),
        ("1\u00a0May 2027", "1er\u00a0mai 2027", "day", "2027-05-01"),
        ("soon", "soon", "day", "soon"),
        ("2\u00a0May 2027, 20:00\u00a0UTC", "2\u00a0mai 2027, 20:00\u00a0UTC", "moment", "2027-05-02T20:00:00Z"),
        ("<later>", "<later>", "moment", "<later>"),
    ],
)
def test_numbers_sizes_times(english: str, other: str, method: str, value: object) -> None:
    assert (getattr(EN, method)(value), getattr(FR, method)(value)) == (english, other)


def test_plurals() -> None:
    assert [EN.count(n, "dependency") for n in (0, 1, 2)] == [
        "0\u00a0dependencies",
        "1\u00a0dependency",
        "2\u00a0dependencies",
    ]
    assert [FR.count(n, "workload") for n in (0, 1, 2)] == ["0\u00a0charge", "1\u00a0charge", "2\u00a0charges"]
    assert EN.count(3, "day") == "3\u00a0days"
