# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML that people edit: traps closed, faults found with their lines, and text that survives being written."""

from __future__ import annotations

import random

import pytest
import yaml

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import document

TEXTS = [
    "web-1",
    "a b'\"{{ 7*7 }}/../é",
    "no",
    "1",
    "1e3",
    "1.5",
    "010",
    "1_0",
    "",
    "~",
    " x",
    "x ",
    "a: b",
    "a #b",
    "#x",
    "-",
    "- a",
    "é",
    "\n",
    "a\nb\n",
    "\x00",
    "fa:16:3e:00:00:01",
    "12:34:56:12:34:56",
    "10.0.0.1",
    "2001-01-01",
    "*a",
    "&b",
    "!c",
    "%d",
    "VM Network",
    "null",
    "=",
    "<<",
    "\u2028",
    "\ufeff",
    "🎉",
    "586e26",
    "12345678-1234-1234-1234-123456789012",
    "{% raw %}",
    "back\\slash",
    "yes please",
    "Yes",
    "off",
    ".5",
    "1:30",
    "0b1",
    "+1",
    ".inf",
    "-.NaN",
    "x: [y]",
    "a, b",
    "end:",
    "tab\there",
    "'single'",
    '"double"',
]


def read(text: str) -> document.Document:
    doc, problems = document.read(text)
    assert doc is not None and not problems
    return doc


@pytest.mark.parametrize("text", TEXTS)
def test_text_survives(text: str) -> None:
    written = f"key: {document.scalar(text)}\n"
    assert written.count("\n") == 1
    assert read(written).data == {"key": text}
    assert yaml.safe_load(written) == {"key": text}


def test_random_data_survives() -> None:
    rng = random.Random(20261125)

    def make(depth: int) -> object:
        kind = rng.random()
        if depth and kind < 0.3:
            return {rng.choice(TEXTS): make(depth - 1) for dummy in range(rng.randrange(4))}
        if depth and kind < 0.5:
            return [make(depth - 1) for dummy in range(rng.randrange(4))]
        return rng.choice([rng.choice(TEXTS), rng.randrange(-5, 5000), True, None, 0.25])

    for dummy in range(300):
        data = {"top": make(4)}
        assert read("\n".join(document.block(data))).data == data


def test_traps_of_yaml_are_closed() -> None:
    text = "mac: 52:54:00:12:34:56\ndate: 2026-01-01\nhex: 0x10\nyes: yes\nint: 12\nfloat: 1.5\noctal: 0o7\n"
    assert read(text).data == {
        "mac": "52:54:00:12:34:56",
        "date": "2026-01-01",
        "hex": "0x10",
        True: True,
        "int": 12,
        "float": 1.5,
        "octal": "0o7",
    }


def test_repeated_keys() -> None:
    doc, problems = document.read("a:\n  x: 1\n  y: 2\n  x: 3\n")
    assert [str(problem) for problem in problems] == ["a.x: is there twice, on lines 2 and 4"]
    assert doc is not None and doc.data == {"a": {"x": 1, "y": 2}}


def test_lines() -> None:
    doc = read('a:\n  - x: 1\n  - y: 2\n"b.c":\n  d: 3\n')
    lines = {
        "": 1,
        "a": 1,
        "a[1]": 3,
        "a[1].y": 3,
        "a[1].missing": 3,
        'a[1]."x.y"[0].z': 3,
        '"b.c"': 4,
        '"b.c".d': 5,
        "e.f": 1,
    }
    assert {path: doc.line(path) for path in lines} == lines


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a: [", "not YAML at line"),
        ("a: b: c", "not YAML at line 1"),
        ("a: 1\n---\nb: 2", "not YAML at line 2"),
        ("a: !!python/object:os.system x", "not YAML"),
        ("a: \x07", "not YAML"),
        ("a: &x [*x]", "an alias inside of itself"),
    ],
)
def test_not_a_document(text: str, said: str) -> None:
    doc, problems = document.read(text)
    assert doc is None
    assert said in str(problems[0])


def test_a_document_that_swells_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    doc, problems = document.read("\n".join(lines))
    assert doc is None and "more than" in str(problems[0])


def test_anchors_and_vaulted_text() -> None:
    doc = read("base: &base {user: root}\nother: *base\nsecret: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00\n")
    assert doc.data["other"] == {"user": "root"}
    assert isinstance(doc.data["secret"], document.Vaulted) and doc.data["secret"].startswith("$ANSIBLE_VAULT")
