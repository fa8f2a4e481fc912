# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions as data: what holds, what does not, what is refused before anything is looked at."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import match

FACT: dict[str, Any] = {
    "name": "web-1",
    "os": "debian",
    "os_version": "12.4",
    "firmware": "",
    "cpus": 4,
    "image": None,
    "frozen": False,
    "metadata": {"group": "shop", "metering.imagetype": "gold", "count": "3", "flag": "True"},
    "tags": ["prod", "eu"],
    "disks": [
        {"id": "a", "size_gib": 10, "encrypted": False, "types": ["SAS"]},
        {"id": "b", "size_gib": 3000, "encrypted": True, "types": ["SSD", "x"]},
    ],
    "ports": [],
}


@pytest.mark.parametrize(
    "when",
    [
        {},
        {"os": "debian"},
        {"os": ["centos", "debian"]},
        {"os": "debian", "cpus": 4},
        {"os": {"in": ["debian"]}},
        {"os": {"not_in": ["centos"]}},
        {"os": {"ne": "centos"}},
        {"cpus": {"ge": 4, "lt": 5}},
        {"cpus": {"gt": 3}},
        {"cpus": {"le": 4}},
        {"metadata.group": "shop"},
        {'metadata."metering.imagetype"': "gold"},
        {"metadata.count": 3},
        {"metadata.count": {"gt": 2}},
        {"metadata.flag": True},
        {"frozen": False},
        {"tags": {"contains": "prod"}},
        {"tags[]": "eu"},
        {"name": {"contains": "eb-"}},
        {"metadata": {"contains": "group"}},
        {"name": {"matches": r"^web-\d+$"}},
        {"name": {"glob": "web-*"}},
        {"firmware": {"empty": True}},
        {"image": {"empty": True}},
        {"image": {"missing": True}},
        {"image": None},
        {"nothing.at.all": {"exists": False}},
        {"os": {"exists": True, "eq": "debian"}},
        {"disks[].encrypted": True},
        {"disks.size_gib": {"gt": 2048}},
        {"disks[].types[]": "SSD"},
        {"disks": {"any": {"encrypted": True, "size_gib": {"gt": 2048}}}},
        {"disks": {"none": {"encrypted": True, "size_gib": {"lt": 2048}}}},
        {"disks": {"count": {"gt": 1}}},
        {"disks": {"count": 2}},
        {"ports": {"empty": True}},
        {"ports": {"none": {"id": "x"}}},
        {"not": {"os": "centos"}},
        {"any": [{"os": "centos"}, {"cpus": 4}]},
        {"all": [{"os": "debian"}, {"any": [{"cpus": 4}, {"cpus": 8}]}]},
    ],
    ids=str,
)
def test_holds(when: Any) -> None:
    assert match.build(when)[1] == []
    assert match.holds(when, FACT)


@pytest.mark.parametrize(
    "when",
    [
        {"os": "Debian"},
        {"os": "debian", "cpus": 5},
        {"os": ["centos"]},
        {"os": {"ne": "debian"}},
        {"os": {"not_in": ["debian"]}},
        {"cpus": {"gt": 4}},
        {"cpus": {"lt": 4}},
        {"cpus": {"ge": 2, "lt": 4}},
        {"cpus": {"matches": "4"}},
        {"os": {"gt": 1}},
        {"frozen": True},
        {"metadata.flag": False},
        {"tags": "prod"},
        {"name": {"matches": "^eb"}},
        {"name": {"glob": "eb-*"}},
        {"firmware": {"empty": False}},
        {"os": {"missing": True}},
        {"os": {"empty": True}},
        {"os": None},
        # nothing is known of it: it is neither equal nor different
        {"image": "x"},
        {"image": {"ne": "x"}},
        {"image": {"not_in": ["x"]}},
        {"nothing": {"lt": 1}},
        {"nothing": {"none": {"a": 1}}},
        {"disks": {"any": {"encrypted": False, "size_gib": {"gt": 2048}}}},
        {"disks": {"none": {"encrypted": True}}},
        {"disks": {"count": {"gt": 2}}},
        {"ports": {"any": {}}},
        {"not": {"os": "debian"}},
        {"any": [{"os": "centos"}, {"cpus": 5}]},
        {"all": [{"os": "debian"}, {"cpus": 5}]},
    ],
    ids=str,
)
def test_does_not_hold(when: Any) -> None:
    assert match.build(when)[1] == []
    assert not match.holds(when, FACT)


@pytest.mark.parametrize(
    ("when", "path", "said"),
    [
        ([], "when", "mapping"),
        ("os == 'x'", "when", "mapping"),
        ({"os": {"gte": 3}}, "when.os.gte", "no such operator"),
        ({"os": {}}, "when.os", "operator"),
        ({"os": {"gt": "many"}}, "when.os.gt", "number"),
        ({"os": {"gt": True}}, "when.os.gt", "number"),
        ({"os": {"in": "a"}}, "when.os.in", "list"),
        ({"os": []}, "when.os", "list"),
        ({"os": [["a"]]}, "when.os", "list"),
        ({"os": {"missing": "yes"}}, "when.os.missing", "true or false"),
        ({"os": {"matches": "("}}, "when.os.matches", "regular expression"),
        ({"os": {"matches": 3}}, "when.os.matches", "text"),
        ({"os": {"glob": "x" * 300}}, "when.os.glob", "longer"),
        ({"os": {"eq": [1]}}, "when.os.eq", "must be"),
        ({"a..b": 1}, 'when."a..b"', "path"),
        ({"a[0]": 1}, 'when."a[0]"', "path"),
        ({"": 1}, 'when.""', "path"),
        ({"a.": 1}, 'when."a."', "path"),
        ({3: 1}, "when.3", "path"),
        ({"any": {}}, "when.any", "list"),
        ({"all": []}, "when.all", "list"),
        ({"any": [{"os": {"bad": 1}}]}, "when.any[0].os.bad", "no such operator"),
        ({"not": []}, "when.not", "mapping"),
        ({"disks": {"any": {"x": {"bad": 1}}}}, "when.disks.any.x.bad", "no such operator"),
        ({"disks": {"count": {"bad": 1}}}, "when.disks.count.bad", "no such operator"),
    ],
    ids=str,
)
def test_is_refused_with_its_path(when: Any, path: str, said: str) -> None:
    test, problems = match.build(when)
    assert path in [problem.path for problem in problems]
    assert any(said in problem.message for problem in problems)
    assert not test(FACT)


def test_all_problems_are_told_together_and_near_names_are_offered() -> None:
    when = {"oss": "x", "cpus": {"get": 1}, "any": [{"nam": 1}]}
    problems = match.build(when, known=["os", "cpus", "name"])[1]
    assert [str(problem) for problem in problems] == [
        "when.oss: there is no such fact (did you mean os?)",
        "when.cpus.get: there is no such operator (did you mean gt?)",
        "when.any[0].nam: there is no such fact (did you mean name?)",
    ]


def test_depth_is_bounded() -> None:
    when: Any = {"os": "x"}
    for dummy in range(5000):
        when = {"not": when}
    assert "too deeply" in match.build(when)[1][0].message


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a*)*",
        "(a|a)*$",
        "(a|aa){20}",
        "((ab?)c)+",
        r"(a)\1",
        "(?=a)b",
        "(?P<x>a)",
        "a*a*a*a*a*b",
        "a?" * 30 + "a" * 30,
        "(a|a)" * 30,
        "[z-a]",
        "a" * 201,
    ],
)
def test_slow_or_wrong_expressions_are_refused(pattern: str) -> None:
    assert match.expression_fault(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(?:web|app)-\d+$",
        "(?i)prod",
        r"[^]a+*]+x",
        r"[\]a]{2,3}",
        r"\(a+\)",
        "a{2}",
        "(ab){3}",
        "a|b|c",
        "x{}",
        r"\d+\.\d+",
    ],
)
def test_plain_expressions_are_taken(pattern: str) -> None:
    assert match.expression_fault(pattern) is None


def test_no_taken_expression_is_slow() -> None:
    """Random expressions of few characters against a name made to hurt: what is taken ends soon."""
    draw = random.Random(7)
    taken = 0
    for dummy in range(3000):
        pattern = "".join(
            draw.choice(["a", "a", ".", "*", "+", "?", "(", ")", "|", "[ab]", "{2,}", "(?:"])
            for _i in range(draw.randint(3, 14))
        )
        pattern += "$"
        if match.expression_fault(pattern) is not None:
            continue
        taken += 1
        test = match.build({"name": {"matches": pattern}})[0]
        begin = time.process_time()
        test({"name": "a" * 100_000 + "!"})
        assert time.process_time() - begin < 2, pattern
    assert taken > 100


def test_filling_a_text_shows_facts_and_reads_nothing_again() -> None:
    fact = {
        "name": "{os} {{ 7*7 }}\n\x1b[31m",
        "os": "x",
        "n": 3.0,
        "f": 2.5,
        "b": True,
        "l": list(range(20)),
        "d": [{"name": "v"}],
    }
    assert match.fill("{name}: {n}, {f}, {b}", fact) == "{os} {{ 7*7 }} [31m: 3, 2.5, true"
    assert match.fill("{{{os}}} {missing} {name.__class__}", fact) == "{x} ? ?"
    assert match.fill("{l}", fact) == "0, 1, 2, 3, 4, 5, 6, 7, … (+12)"
    assert match.fill("{d}", fact) == "v"


def test_texts_in_two_languages() -> None:
    assert match.bilingual("a") == ("a", "a")
    assert match.bilingual({"en": "a", "fr": "b"}) == ("a", "b")
    assert match.bilingual({"en": "a"}) == ("a", "a")
    for wrong in (
        3,
        {},
        {"en": 3},
        {"fr": "x"},
        {"en": "a", "de": "b"},
        {"en": "a", "fr": 1},
        "{a b}",
        {"en": "x", "fr": "{0!r}"},
    ):
        assert match.bilingual_fault(wrong)
