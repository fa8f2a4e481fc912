# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The estate as a document."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput


def estate(**changed: Any) -> dict[str, Any]:
    return {
        "kind": estates.KIND,
        "version": 1,
        "tenant": {"project_id": "p"},
        "read": {"servers": "complete"},
        "servers": [{"id": "s1", "name": "web"}],
    } | changed


def test_round_trip() -> None:
    loaded = estates.load(estate())
    assert estates.loads(estates.to_text(loaded)) == loaded
    assert estates.load(estates.dump(loaded)).digest() == loaded.digest()
    assert loaded.counts() == dict.fromkeys(["servers"], 1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (estate(kind="x"), "kind: must be cloudexit.estate: is this an estate?"),
        (estate(version=2), "version: must be 1; this one was written by another release"),
        (
            estate(read={"servers": "maybe"}),
            'read.servers: must be one of complete, partial, not_read, absent, not the text "maybe"',
        ),
        (estate(servers=[{"id": "s1"}, {"id": "s1"}]), "servers[1].id: s1 is there twice"),
        (estate(servers=[{"name": "x"}]), "servers[0].id: is missing"),
        (estate(volumes={}), "volumes: must be a list, not a mapping"),
        (estate(volume=[]), "volume: unknown key (did you mean volumes?)"),
        ([], "must be a mapping, not a list"),
    ],
)
def test_not_valid(data: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        estates.load(data)
    assert said in str(caught.value)


def test_not_json() -> None:
    with pytest.raises(InvalidInput, match="not JSON"):
        estates.loads("{", "The estate acme.estate.json")


def test_text_does_not_depend_on_the_order_of_metadata() -> None:
    one = estates.load(estate(servers=[{"id": "s1", "metadata": {"a": "1", "b": "2"}}]))
    two = estates.load(estate(servers=[{"id": "s1", "metadata": {"b": "2", "a": "1"}}]))
    assert one.digest() == two.digest()
    assert json.loads(estates.to_text(one)) == json.loads(estates.to_text(two))


def test_the_manual_is_that_of_the_schema() -> None:
    text = (Path(__file__).resolve().parents[5] / "docs" / "estate.md").read_text(encoding="utf-8")
    rows = list(schema.describe(estates.Estate))
    for path, kind, default, meaning in rows:
        assert f"| `{path}` | {kind} | {default} | {meaning} |" in text
    assert set(re.findall(r"^\| `([^`]+)` \|", text, re.M)) == {path for path, *_rest in rows}
