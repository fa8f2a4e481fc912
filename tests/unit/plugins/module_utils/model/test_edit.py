# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits of a YAML text: what is to change changes, and nothing else does."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import document, edit
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.edit import Edit
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError

TEXT = """\
# head
---
limits:   # how much
  at_once: 4     # four
  rate: 0

# by id
networks:
  n1:
    name: "app"   # ours
    target: null  # to do
  # remark of n2
  n2: {name: db, target: PG-db}
waves: {}
list: [a, b,  c]
disks:
  - volume: v1
    size: 1
    # about v1
  - volume: v2
    size: 2
# the end
"""


def data_of(text: str) -> Any:
    read, problems = document.read(text)
    assert read is not None and not problems, problems
    return read.data


def changed(edits: list[Edit], text: str = TEXT) -> str:
    """The text after the edits, compared with what plain data would say."""
    data = copy.deepcopy(data_of(text))
    for one in sorted(edits, key=lambda e: (e.op == "remove", [-s if isinstance(s, int) else 0 for s in e.path])):
        holder = data
        for step in one.path[:-1]:
            holder = holder[step]
        last = one.path[-1]
        if one.op == "set":
            holder[last] = one.value
        elif one.op == "add" and isinstance(holder, list):
            holder.insert(len(holder) if one.after is None else int(one.after) + 1, one.value)
        elif one.op == "add":
            holder[last] = one.value
        elif one.op == "remove":
            del holder[last]
    return edit.apply(text, edits, data)


@pytest.mark.parametrize(
    ("edits", "before", "after"),
    [
        ([Edit("set", ("limits", "at_once"), 8)], "at_once: 4     # four", "at_once: 8     # four"),
        ([Edit("set", ("networks", "n1", "target"), "a: b")], "target: null  # to do", 'target: "a: b"  # to do'),
        ([Edit("set", ("networks", "n2", "name"), "x, y")], "{name: db,", '{name: "x, y",'),
        ([Edit("add", ("networks", "n2", "note"), ["q"])], "target: PG-db}", "target: PG-db, note: [q]}"),
        ([Edit("remove", ("networks", "n2", "name"))], "{name: db, target", "{target"),
        ([Edit("remove", ("networks", "n2", "target"))], "{name: db, target: PG-db}", "{name: db}"),
        ([Edit("add", ("waves", "w"), {"groups": ["g"]})], "waves: {}\n", "waves:\n  w:\n    groups:\n      - g\n"),
        ([Edit("remove", ("list", 1))], "[a, b,  c]", "[a, c]"),
        ([Edit("remove", ("list", 2)), Edit("add", ("list", 9), "d")], "[a, b,  c]", "[a, b, d]"),
        ([Edit("remove", ("list", i)) for i in range(3)], "[a, b,  c]", "[]"),
        (
            [Edit("add", ("disks", 1), {"volume": "v3", "size": 3}, after=0)],
            "    # about v1\n",
            "    # about v1\n  - volume: v3\n    size: 3\n",
        ),
        ([Edit("remove", ("disks", 1))], "  - volume: v2\n    size: 2\n", ""),
        (
            [Edit("remove", ("disks", 0)), Edit("remove", ("disks", 1))],
            "disks:\n  - volume: v1\n    size: 1\n    # about v1\n  - volume: v2\n    size: 2\n",
            "disks: []\n",
        ),
        ([Edit("remove", ("disks", 1, "volume"))], "  - volume: v2\n    size", "  - size"),
        (
            [Edit("remove", ("networks", "n2"), comments=("# remark of n2",))],
            "  # remark of n2\n  n2: {name: db, target: PG-db}\n",
            "",
        ),
        ([Edit("remove", ("networks", "n2"), comments=("# other",))], "  n2: {name: db, target: PG-db}\n", ""),
        (
            [Edit("add", ("networks", "n3"), {"name": "x"}, comments=("# new",), blank=True)],
            "PG-db}\n",
            "PG-db}\n\n  # new\n  n3:\n    name: x\n",
        ),
        (
            [Edit("comment", ("networks", "n2"), ["# a", "# b"], comments=("# remark of n2",))],
            "  # remark of n2\n",
            "  # a\n  # b\n",
        ),
        ([Edit("comment", ("networks", "n2"), ["# a"], comments=("# no",))], "# head", "# head"),
        (
            [Edit("set", ("networks", "n1"), {})],
            '  n1:\n    name: "app"   # ours\n    target: null  # to do\n',
            "  n1: {}\n",
        ),
        ([Edit("set", ("limits", "rate"), {"a": [1]})], "  rate: 0\n", "  rate:\n    a:\n      - 1\n"),
        (
            [Edit("set", ("disks",), [{"volume": "v9"}])],
            "  - volume: v1\n    size: 1\n    # about v1\n  - volume: v2\n    size: 2\n",
            "  - volume: v9\n",
        ),
        ([Edit("add", ("new",), 1)], "    size: 2\n", "    size: 2\nnew: 1\n"),
        (
            [Edit("add", ("new",), {"a": {"b": {"c": [1]}}, "d": {}}, levels=2)],
            "    size: 2\n",
            "    size: 2\nnew:\n  a: {b: {c: [1]}}\n  d: {}\n",
        ),
        ([Edit("remove", ("limits",)), Edit("add", ("x",), 1, after="waves")], None, None),
        ([Edit("remove", ("limits", "rate")), Edit("add", ("limits", "x"), 1, after="rate")], "rate: 0", "x: 1"),
    ],
)
def test_only_that(edits: list[Edit], before: str | None, after: str | None) -> None:
    got = changed(edits)
    if before is not None and after is not None:
        assert TEXT.count(before) >= 1 and got == TEXT.replace(before, after, 1)
    for line in ("# head", "# by id", "# the end"):
        assert line in got


@pytest.mark.parametrize(
    ("text", "edits", "wanted"),
    [
        ("a:\nb: 1\n", [Edit("set", ("a",), 2)], "a: 2\nb: 1\n"),
        ("a:   # c\nb: 1\n", [Edit("set", ("a",), {"x": 1})], "a:   # c\n  x: 1\nb: 1\n"),
        ("a: |\n  x\n  y\n\n# c\nb: 1\n", [Edit("set", ("a",), "z")], "a: z\n\n# c\nb: 1\n"),
        ("a:\n- x\n# c\n- y\n", [Edit("add", ("a", 9), "z")], "a:\n- x\n# c\n- y\n- z\n"),
        ("a:\n- x\n# c\n- y\n", [Edit("remove", ("a", 0))], "a:\n# c\n- y\n"),
        ("a: 1\r\nb: 2\r\n", [Edit("add", ("c",), [1])], "a: 1\r\nb: 2\r\nc:\r\n  - 1\r\n"),
        ("a: 1", [Edit("add", ("c",), 2)], "a: 1\nc: 2"),
        ("\ufeffa: 1\n", [Edit("set", ("a",), 2)], "\ufeffa: 2\n"),
        ('"é𝄞": "x" # é\nb: {"q": 1}\n', [Edit("set", ("b", "q"), "é")], '"é𝄞": "x" # é\nb: {"q": "é"}\n'),
        ("a: [\n  1, # one\n  2,\n]\n", [Edit("add", ("a", 9), 3)], "a: [\n  1, # one\n  2, 3,\n]\n"),
        ("a: 1\nb: 2\n", [Edit("remove", ("a",))], "b: 2\n"),
        ("a:\n  - b: 1\n    c: 2\n    d: 3\n", [Edit("remove", ("a", 0, "b")), Edit("remove", ("a", 0, "c"))], None),
        ("a:\n  - b: 1\n    c: 2\n", [Edit("remove", ("a", 0, "b")), Edit("remove", ("a", 0, "c"))], None),
    ],
)
def test_layouts(text: str, edits: list[Edit], wanted: str | None) -> None:
    got = changed(edits, text)
    assert wanted is None or got == wanted


def test_what_cannot_be_done_is_refused() -> None:
    text = "a: &x\n  k: 1\nb: *x\n"
    with pytest.raises(CloudExitError, match="alias"):
        edit.apply(text, [Edit("set", ("b", "k"), 2)], {"a": {"k": 1}, "b": {"k": 2}})
    with pytest.raises(CloudExitError) as caught:
        edit.apply(text, [Edit("set", ("a", "k"), 2)], {"a": {"k": 2}, "b": {"k": 1}})
    assert "b.k" in str(caught.value)
    assert edit.apply(text, [Edit("set", ("b",), 2)], {"a": {"k": 1}, "b": 2}) == "a: &x\n  k: 1\nb: 2\n"


def test_what_is_written_of_an_entry() -> None:
    text = edit.Text(TEXT)
    assert text.lead(("networks", "n2")) == ("# remark of n2",)
    assert text.entry(("networks", "n2")) == "  # remark of n2\n  n2: {name: db, target: PG-db}"
    assert text.entry(("disks", 0)) == "  - volume: v1\n    size: 1\n    # about v1"
    assert text.has(("disks", 1)) and not text.has(("disks", 2)) and not text.has(("x", "y"))


def _random(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.random()
    if depth > 3 or (depth and kind < 0.35):
        return rng.choice([1, "x", "a: b", None, True, "", "# x", "é", 1.5, [], {}, "2026-01-01", "12:30"])
    if kind < 0.6 or not depth:
        return {f"k{n}": _random(rng, depth + 1) for n in range(rng.randint(1, 4))}
    return [_random(rng, depth + 1) for _n in range(rng.randint(1, 4))]


def _written(rng: random.Random, data: Any, indent: int, notes: list[str]) -> list[str]:
    """A value as a person may write it: block or flow, with comments."""
    lines: list[str] = []
    pad = " " * indent

    def note(share: float) -> str:
        if rng.random() > share:
            return ""
        notes.append(f"# note {len(notes)}.")
        return notes[-1]

    pairs = data.items() if isinstance(data, dict) else ((None, value) for value in data)
    for key, value in pairs:
        above = note(0.2)
        if above:
            lines += [pad + above] if rng.random() < 0.5 else ["", pad + above]
        head = pad + (f"{key}:" if key is not None else "-")
        if isinstance(value, (dict, list)) and value and rng.random() < 0.75:
            inner = _written(rng, value, indent + rng.choice([2, 4]), notes)
            if key is None and not inner[0].strip().startswith("#") and inner[0] and isinstance(value, dict):
                width = len(inner[0]) - len(inner[0].lstrip())
                lines.append(head + " " * (width - indent - 1) + inner[0].lstrip())
                lines += inner[1:]
            else:
                lines += [f"{head} {note(0.2)}".rstrip(), *inner]
        else:
            lines.append(f"{head} {edit.inline(value)} {note(0.3)}".rstrip())
    return lines


@pytest.mark.parametrize("seed", range(60))
def test_any_text_any_edits(seed: int) -> None:
    """Random documents in random styles, with random edits: the data are as wanted, and no edit changes nothing."""
    rng = random.Random(seed)
    data = _random(rng)
    notes: list[str] = []
    text = "\n".join(_written(rng, data, 0, notes)) + "\n"
    assert data_of(text) == data
    wanted = copy.deepcopy(data)
    edits: list[Edit] = []

    def walk(old: Any, new: Any, path: edit.Path) -> None:
        members = list(old.items()) if isinstance(old, dict) else list(enumerate(old))
        gone = []
        for step, value in members:
            act = rng.random()
            if act < 0.1 and not (not path and len(members) == 1):
                edits.append(Edit("remove", (*path, step)))
                gone.append(step)
            elif act < 0.25:
                new[step] = _random(rng, 2)
                edits.append(Edit("set", (*path, step), new[step]))
            elif isinstance(value, (dict, list)):
                walk(value, new[step], (*path, step))
        if not path and len(gone) == len(members):
            gone.pop()
            edits.pop()
        for step in reversed(gone):
            del new[step]
        if rng.random() < 0.3:
            value = _random(rng, 2)
            edits.append(Edit("add", (*path, "new" if isinstance(old, dict) else 99), value))
            if isinstance(new, dict):
                new["new"] = value
            else:
                new.append(value)

    walk(data, wanted, ())
    got = edit.apply(text, edits, wanted)
    assert data_of(got) == wanted
    assert edit.apply(text, [], data) == text
