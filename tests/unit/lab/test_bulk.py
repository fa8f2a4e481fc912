# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure parts of the lab's whole tenants: how rows are copied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab.openstack import bulk, database
from tests.lab.paths import Instance


def test_words_are_replaced_where_they_stand_alone() -> None:
    renaming = bulk.Renaming(["10.64.0.10", "disk-1", "disk-10", "a-b"])
    new = {"10.64.0.10": "10.65.1.2", "disk-1": "X", "disk-10": "Y", "a-b": "Z"}
    row: bulk.Row = {
        "json": json.dumps({"ip": "10.64.0.10", "net": "10.64.0.100", "cidr": "10.64.0.10/32", "n": None}),
        "list": "disk-1,disk-10,disk-100",
        "longer": "xa-b a-b-c a-b.c a-b.",
        "none": None,
    }
    assert renaming.row(row, new) == {
        "json": json.dumps({"ip": "10.65.1.2", "net": "10.64.0.100", "cidr": "10.65.1.2/32", "n": None}),
        "list": "X,Y,disk-100",
        "longer": "xa-b a-b-c a-b.c Z.",
        "none": None,
    }


def test_what_a_copy_has_no_other_value_for_stays() -> None:
    assert bulk.Renaming(["a", "b"]).row({"x": "a b"}, {"a": "1"}) == {"x": "1 b"}


@pytest.mark.parametrize("value", ["plain", "tab\there", "line\nbreak", "back\\slash", "nul\0", bulk.HOSTILE, ""])
def test_a_field_is_read_as_it_was_written(value: str) -> None:
    written = bulk._field(value)
    assert "\t" not in written
    assert "\n" not in written
    assert database.unescape(written) == value


def test_no_value_is_not_an_empty_one() -> None:
    assert bulk._field(None) == "\\N"


def test_copies_are_numbered_after_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    loaded: dict[str, str] = {}

    def sql(_instance: Instance, statements: str, _database: str = "") -> list[list[Any]]:
        asked.append(statements)
        if "information_schema" in statements:
            return [["nova", "tags", "id", "auto_increment"], ["nova", "tags", "tag", ""]]
        if "MAX(`id`)" in statements:
            return [["41"]]
        if "LOAD DATA" in statements:
            file = next((tmp_path / "lab" / "data").rglob("nova.tags.tsv"))
            loaded[file.name] = file.read_text()
        return []

    monkeypatch.setattr(database, "sql", sql)
    copies = bulk.Copies(Instance("lab", 30000, root=tmp_path))
    assert [copies.add("nova", "tags", {"id": "7", "tag": tag}) for tag in ("a", "b\t")] == ["42", "43"]
    copies.load()
    assert loaded == {"nova.tags.tsv": "42\ta\n43\tb\\t\n"}
    assert len([text for text in asked if "MAX" in text]) == 1
    assert asked[-1].endswith("COMMIT;")


def test_the_tenants_are_of_the_size_that_measurements_name() -> None:
    big, small = bulk.BIG, bulk.SMALL
    assert (big.servers, big.servers * big.volumes, big.servers * big.ports) == (1000, 2000, 2000)
    assert (big.groups, big.groups * bulk.RULES) == (300, 3000)
    assert (small.servers, small.networks) == (30, 20)
    # and the project's default group, with its four rules
    assert (small.groups + 1, small.groups * bulk.RULES + 4) == (21, 204)
    used = [range(shape.first, shape.first + shape.networks) for shape in bulk.SHAPES]
    assert not set(used[0]) & set(used[1])
    assert max(used[0][-1], used[1][-1]) < 256
