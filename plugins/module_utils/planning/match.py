# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions as data: what stands under `when:` in rules and in the policy. Nothing is evaluated, all is looked up.

A condition maps paths of facts to what must hold; all entries must. What is not known fulfils nothing but `missing` and
`empty`: neither an equality nor its opposite. docs/rules.md is the manual.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Problem

Test = Callable[[Mapping[str, Any]], bool]
_Value = Callable[[Any], bool]

LOOKED_AT = 128
"""Characters of a value that an expression looks at; more would let a long name make it slow."""
EXPRESSION_MAX = 200
DEPTH_MAX = 20

_SEGMENT = re.compile(r'(?:"((?:[^"\\]|\\.)+)"|([A-Za-z_][\w:-]*))(\[\])?(?:\.(?=.)|\Z)')
_WORDS = ("all", "any", "not")
_VALUE_OPERATORS = ("eq", "ne", "gt", "ge", "lt", "le", "in", "not_in", "matches", "glob", "contains")
_STATE_OPERATORS = ("exists", "missing", "empty")
_LIST_OPERATORS = ("any", "none", "count")
OPERATORS = (*_VALUE_OPERATORS, *_STATE_OPERATORS, *_LIST_OPERATORS)


def build(when: Any, path: str = "when", *, known: Iterable[str] | None = None) -> tuple[Test, list[Problem]]:
    """The test that `when` describes, and all that is wrong with it; a test with problems is never true.

    known: the names that a path may begin with, where they are known.
    """
    builder = _Builder(frozenset(known) if known is not None else None)
    test = builder.when(when, path, 0)
    if builder.problems:
        return (lambda _fact: False), builder.problems
    return test, []


def holds(when: Any, fact: Mapping[str, Any]) -> bool:
    """Whether `when`, which is known to be valid, holds for the fact."""
    return build(when)[0](fact)


def lookup(path: str, fact: Any) -> list[Any]:
    """All values at a path; lists on the way give those of each of their elements. None is not a value."""
    steps = segments(path)
    return [] if steps is None else _lookup(steps, fact)


@functools.lru_cache(maxsize=4096)
def segments(path: str) -> tuple[tuple[str, bool], ...] | None:
    """The names of a path, each with whether its elements are meant; None where it is not a path."""
    found: list[tuple[str, bool]] = []
    place = 0
    while place < len(path):
        match = _SEGMENT.match(path, place)
        if match is None:
            return None
        name = re.sub(r"\\(.)", r"\1", match[1]) if match[1] is not None else match[2]
        found.append((name, match[3] is not None))
        place = match.end()
    return tuple(found) or None


def _lookup(steps: tuple[tuple[str, bool], ...], fact: Any) -> list[Any]:
    values = [fact]
    for name, elements in steps:
        found: list[Any] = []
        for value in values:
            # a list on the way stands for each of its elements
            for entry in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(entry, Mapping) and entry.get(name) is not None:
                    found.append(entry[name])
        if elements:
            found = [
                entry
                for value in found
                for entry in (value if isinstance(value, (list, tuple)) else (value,))
                if entry is not None
            ]
        values = found
    return values


def expression_fault(pattern: str) -> str | None:
    """Why a regular expression is not taken: it is none, or it could be slow on a hostile name."""
    if len(pattern) > EXPRESSION_MAX:
        return f"is longer than {EXPRESSION_MAX} characters"
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as exc:
        return f"is not a regular expression: {exc}"
    return _slow(pattern)


def _slow(pattern: str) -> str | None:
    """Whether an expression can take more than polynomial time, roughly; a valid one is taken for granted."""
    groups = [{"repeat": False, "branch": False}]
    last: dict[str, bool] | None = None
    wide = choices = 0
    place = 4 if pattern.startswith("(?i)") else 0
    while place < len(pattern):
        char = pattern[place]
        repeat = re.compile(r"\*|\+|\?|\{\d*,?\d*\}").match(pattern, place)
        if char == "\\":
            if pattern[place + 1] in "123456789":
                return "must not refer back to a group"
            last, place = None, place + 2
        elif char == "[":
            place = _end_of_class(pattern, place)
            last = None
        elif char == "(":
            if pattern.startswith("(?", place):
                if not pattern.startswith("(?:", place):
                    return "must not hold (?...) but (?:...), and (?i) at its begin"
                place += 2
            groups.append({"repeat": False, "branch": False})
            place += 1
        elif char == ")":
            last = groups.pop()
            choices += last["branch"]
            for flag in ("repeat", "branch"):
                groups[-1][flag] |= last[flag]
            place += 1
        elif char == "|":
            groups[-1]["branch"] = len(groups) > 1
            last, place = None, place + 1
        elif repeat is not None and repeat[0] not in ("{}", "{,}"):
            text = repeat[0]
            optional = text in ("?", "{0,1}", "{,1}")
            if not optional and last is not None and (last["repeat"] or last["branch"]):
                return "must not repeat a group that holds a repeat or a choice"
            fixed = re.match(r"\{\d+\}\Z", text) is not None
            wide += not optional and not fixed
            choices += optional
            groups[-1]["repeat"] = True
            place = repeat.end()
            if pattern[place : place + 1] in ("?", "+"):
                place += 1
            last = None
        else:
            last, place = None, place + 1
    if wide > 3 or choices > 6:
        return "holds more than three open repeats, or more than six choices"
    return None


def _end_of_class(pattern: str, place: int) -> int:
    place += 2 if pattern.startswith("[^", place) else 1
    first = True
    while pattern[place] != "]" or first:
        place += 2 if pattern[place] == "\\" else 1
        first = False
    return place + 1


class _Builder:
    def __init__(self, known: frozenset[str] | None) -> None:
        self.problems: list[Problem] = []
        self._known = known

    def _fault(self, path: str, message: str) -> Test:
        self.problems.append(Problem(path, message))
        return lambda _fact: False

    def when(self, when: Any, path: str, depth: int) -> Test:
        if depth > DEPTH_MAX:
            return self._fault(path, "is nested too deeply")
        if not isinstance(when, Mapping):
            return self._fault(path, "must be a mapping of paths of facts to conditions")
        tests = [self._entry(key, value, schema.join(path, str(key)), depth) for key, value in when.items()]
        if len(tests) == 1:
            return tests[0]
        return lambda fact: all(test(fact) for test in tests)

    def _entry(self, key: Any, value: Any, path: str, depth: int) -> Test:
        if key in ("all", "any"):
            if not isinstance(value, list) or not value:
                return self._fault(path, "must be a list of conditions")
            tests = [self.when(entry, schema.join(path, index), depth + 1) for index, entry in enumerate(value)]
            if key == "all":
                return lambda fact: all(test(fact) for test in tests)
            return lambda fact: any(test(fact) for test in tests)
        if key == "not":
            test = self.when(value, path, depth + 1)
            return lambda fact: not test(fact)
        steps = segments(key) if isinstance(key, str) else None
        if steps is None:
            return self._fault(path, 'is not a path of a fact, like os, disks[].type or metadata."a.b"')
        if self._known is not None and steps[0][0] not in self._known:
            near = difflib.get_close_matches(steps[0][0], [*self._known, *_WORDS], 1)
            hint = f" (did you mean {near[0]}?)" if near else f"; known here: {', '.join(sorted(self._known))}"
            return self._fault(path, f"there is no such fact{hint}")
        condition = self._condition(value, path, depth)
        return lambda fact: condition(_lookup(steps, fact))

    def _condition(self, value: Any, path: str, depth: int) -> Callable[[list[Any]], bool]:
        """A test of all values at a path."""
        if isinstance(value, Mapping):
            return self._operators(value, path, depth)
        if value is None:
            return lambda values: not values
        one = self._operator("in" if isinstance(value, list) else "eq", value, path)
        return lambda values: any(one(entry) for entry in values)

    def _operators(self, given: Mapping[Any, Any], path: str, depth: int) -> Callable[[list[Any]], bool]:
        ones: list[_Value] = []
        sets: list[Callable[[list[Any]], bool]] = []
        if not given:
            self._fault(path, f"must hold an operator: {', '.join(OPERATORS)}")
        for name, value in given.items():
            where = schema.join(path, str(name))
            if name in _STATE_OPERATORS:
                sets.append(self._state(name, value, where))
            elif name in _LIST_OPERATORS:
                sets.append(self._elements(name, value, where, depth))
            elif name in _VALUE_OPERATORS:
                ones.append(self._operator(name, value, where))
            else:
                near = difflib.get_close_matches(str(name), OPERATORS, 1)
                hint = f" (did you mean {near[0]}?)" if near else f"; known: {', '.join(OPERATORS)}"
                self._fault(where, f"there is no such operator{hint}")
        if ones:
            sets.append(lambda values: any(all(one(entry) for one in ones) for entry in values))
        return lambda values: all(test(values) for test in sets)

    def _state(self, name: str, value: Any, path: str) -> Callable[[list[Any]], bool]:
        if not isinstance(value, bool):
            self._fault(path, "must be true or false")
        if name == "empty":
            return lambda values: all(_is_empty(entry) for entry in values) is value
        wanted = value if name == "exists" else not value
        return lambda values: bool(values) is wanted

    def _elements(self, name: str, value: Any, path: str, depth: int) -> Callable[[list[Any]], bool]:
        if name == "count":
            inner = self._condition(value, path, depth + 1)
            return lambda values: any(inner([len(entry)]) for entry in values if isinstance(entry, (list, tuple, dict)))
        known, self._known = self._known, None
        test = self.when(value, path, depth + 1)
        self._known = known
        wanted = name == "any"

        def check(values: list[Any]) -> bool:
            lists = [entry for entry in values if isinstance(entry, (list, tuple))]
            return bool(lists) and any(test(entry) for entries in lists for entry in entries) is wanted

        return check

    def _operator(self, name: str, value: Any, path: str) -> _Value:
        """A test of one value, which is not None."""
        if name in ("in", "not_in"):
            if not isinstance(value, list) or not value or not all(_is_scalar(entry) for entry in value):
                self._fault(path, "must be a list of texts, numbers or booleans")
                return lambda _entry: False
            wanted = name == "in"
            return lambda entry: any(_equal(one, entry) for one in value) is wanted
        if name in ("gt", "ge", "lt", "le"):
            limit = _number(value)
            if limit is None:
                self._fault(path, "must be a number")
                return lambda _entry: False
            return functools.partial(_compare, name, limit)
        if name in ("matches", "glob"):
            return self._text(name, value, path)
        if not _is_scalar(value):
            self._fault(path, "must be a text, a number, true or false")
        if name == "contains":
            return functools.partial(_contains, value)
        wanted = name == "eq"
        return lambda entry: _equal(value, entry) is wanted

    def _text(self, name: str, value: Any, path: str) -> _Value:
        fault = "must be text" if not isinstance(value, str) else None
        if fault is None and name == "matches":
            fault = expression_fault(value)
        elif fault is None and len(value) > EXPRESSION_MAX:
            fault = f"is longer than {EXPRESSION_MAX} characters"
        if fault is not None:
            self._fault(path, fault)
            return lambda _entry: False
        search = re.compile(value).search if name == "matches" else re.compile(fnmatch.translate(value)).match
        return lambda entry: isinstance(entry, str) and search(entry[:LOOKED_AT]) is not None


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool))


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, (str, list, tuple, dict)) and not value)


def _equal(wanted: Any, found: Any) -> bool:
    """Whether two scalars are one; clouds keep numbers and booleans as text, which is then compared."""
    if isinstance(wanted, bool) or isinstance(found, bool):
        return _written(wanted) == _written(found) if _is_scalar(found) else False
    if isinstance(wanted, (int, float)) and isinstance(found, str):
        return _number(found) == wanted
    if isinstance(found, (int, float)) and isinstance(wanted, str):
        return _number(wanted) == found
    return bool(wanted == found)


def _written(value: Any) -> str:
    return str(value).lower()


def _number(value: Any) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and re.match(r"-?\d{1,15}(?:\.\d{1,15})?\Z", value):
        return float(value)
    return None


def _compare(name: str, limit: float, found: Any) -> bool:
    number = _number(found)
    if number is None:
        return False
    return {"gt": number > limit, "ge": number >= limit, "lt": number < limit, "le": number <= limit}[name]


def _contains(wanted: Any, found: Any) -> bool:
    if isinstance(found, str):
        return isinstance(wanted, str) and wanted in found
    if isinstance(found, (list, tuple)):
        return any(_is_scalar(entry) and _equal(wanted, entry) for entry in found)
    return isinstance(found, Mapping) and wanted in found


# texts with a place for facts

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_SHOWN = 8


def text_fault(text: str) -> str | None:
    """Why a text cannot be filled: a place in it is no path."""
    for match in _PLACE.finditer(text):
        if match[1] is not None and segments(match[1]) is None:
            return f"{match[0]} is not a path of a fact; write {{{{ and }}}} for braces"
    return None


def places(text: str) -> set[str]:
    """The names that the paths in a text begin with."""
    found = [segments(match[1]) for match in _PLACE.finditer(text) if match[1] is not None]
    return {steps[0][0] for steps in found if steps}


def fill(text: str, fact: Mapping[str, Any], unknown: str = "?") -> str:
    """The text with the facts in its places. What comes from the cloud is on one line, cut, and not read again."""

    def place(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        values = lookup(match[1], fact)
        return ", ".join(_shown(values)) or unknown

    return _PLACE.sub(place, text)


def _shown(values: Iterable[Any]) -> Iterator[str]:
    flat = [entry for value in values for entry in (value if isinstance(value, (list, tuple)) else (value,))]
    for entry in flat[:_SHOWN]:
        if isinstance(entry, Mapping):
            entry = entry.get("name") or entry.get("id") or "?"
        if isinstance(entry, bool):
            entry = str(entry).lower()
        if isinstance(entry, float) and entry == int(entry):
            entry = int(entry)
        yield names.printable(str(entry)) or "?"
    if len(flat) > _SHOWN:
        yield f"… (+{len(flat) - _SHOWN})"


def bilingual(value: Any) -> tuple[str, str]:
    """A text that is one, or English and French: both; without French the English one stands for it."""
    if isinstance(value, Mapping):
        english = str(value.get("en", ""))
        return english, str(value.get("fr", "")) or english
    return str(value), str(value)


def bilingual_fault(value: Any) -> str | None:
    """What is wrong with such a text."""
    if isinstance(value, str):
        return text_fault(value)
    if not isinstance(value, Mapping) or set(value) - {"en", "fr"} or not isinstance(value.get("en"), str):
        return "must be text, or a mapping with en and fr"
    if not isinstance(value.get("fr", ""), str):
        return "fr must be text"
    return text_fault(value["en"]) or text_fault(value.get("fr", ""))
