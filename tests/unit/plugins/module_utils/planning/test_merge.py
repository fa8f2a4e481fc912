# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new draft into an edited plan: what people wrote stays, what they did not touch follows the tenant."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import document
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, InvalidInput
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import merge as merging

BASE = """\
# The plan
estate:
  digest: "1"
readers:
  reader-1:
    server_id: r
networks:
  n1:
    name: app
    target: null
waves:
  wave_1:
    groups:
      - main
      - web
  wave_2:
    groups:
      - db

workloads:
  # web-1: ACTIVE
  web-1:
    source:
      id: i1
      name: web-1
    move: cold
    group: web
    reader: reader-1
    cpus: 2
    disks:
      - volume: v1
        size_gib: 10
      - volume: v2
        size_gib: 20
    nics:
      - port: p1
        mac: "fa:16:3e:00:00:01"
        addresses:
          - 10.0.0.1
          - 10.0.0.2

  # db-1: ACTIVE
  db-1:
    source:
      id: i2
      name: db-1
    move: cold
    group: db
    reader: reader-1
    cpus: 4

  # app-1: ACTIVE
  app-1:
    source:
      id: i3
      name: app-1
    move: cold
    group: main
    reader: reader-1
    cpus: 1
objects:
  keys:
    k1:
      name: one
      decision: recreate
    k2:
      name: two
      decision: recreate
"""


def sub(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    return text


def block(text: str, start: str, end: str) -> str:
    return text[text.index(start) : text.index(end)]


DB = block(BASE, "\n  # db-1", "\n  # app-1")
WEB2 = (
    "\n  # web-2: ACTIVE\n  web-2:\n    source:\n      id: i9\n    move: cold\n    group: web\n    reader: reader-1\n"
)


def merged(edited: str, new: str, base: str | None = BASE) -> merging.Merged:
    """The result, which must be what its text says; and the merge after it must change nothing."""
    got = merging.merge(base, edited, new)
    read, problems = document.read(got.text)
    assert read is not None and not problems
    assert got.read is None or got.read.data == read.data
    again = merging.merge(new, got.text, new)
    assert again.text == got.text and again.conflicts == []
    return got


def data(got: merging.Merged) -> Any:
    """What the text says."""
    read, _problems = document.read(got.text)
    assert read is not None
    return read.data


def whys(got: merging.Merged) -> list[tuple[str, str]]:
    return [(conflict.why, conflict.path) for conflict in got.conflicts]


def test_nobody_edited_it() -> None:
    new = sub(BASE, ("cpus: 2", "cpus: 3"), ("# web-1: ACTIVE", "# web-1: SHUTOFF"))
    got = merged(BASE, new)
    assert got.text == new and got.conflicts == []


def test_edits_stand_and_the_rest_follows() -> None:
    edited = sub(
        BASE, ("cpus: 4", "cpus: 8   # the DBA wants it"), ("target: null", "target: PG"), ("name: two", "name: II")
    )
    new = sub(BASE, ("cpus: 2", "cpus: 3"), ('digest: "1"', 'digest: "2"'), ("# web-1: ACTIVE", "# web-1: SHUTOFF"))
    wanted = sub(
        edited, ("cpus: 2", "cpus: 3"), ('digest: "1"', 'digest: "2"'), ("# web-1: ACTIVE", "# web-1: SHUTOFF")
    )
    got = merged(edited, new)
    assert got.text == wanted and got.conflicts == []


def test_both_changed_it() -> None:
    got = merged(sub(BASE, ("cpus: 2", "cpus: 8")), sub(BASE, ("cpus: 2", "cpus: 3")))
    assert "cpus: 8" in got.text and whys(got) == [("changed", "workloads.web-1.cpus")]
    assert str(got.conflicts[0]) == "workloads.web-1.cpus: kept 8; the tenant now says 3"
    both = sub(BASE, ("cpus: 2", "cpus: 3"))
    assert merged(sub(both, ("# The plan", "# Ours")), both).conflicts == []


def test_a_server_that_is_new() -> None:
    edited = sub(BASE, ("cpus: 2", "cpus: 8"))
    got = merged(edited, sub(BASE, (DB, DB + WEB2)))
    assert got.text == sub(edited, (DB, DB + WEB2))


def test_a_server_that_is_gone() -> None:
    edited = sub(BASE, ("cpus: 2", "cpus: 8"))
    new = sub(BASE, (DB, ""), ("  wave_2:\n    groups:\n      - db\n", ""))
    got = merged(edited, new)
    assert got.text == sub(edited, (DB, ""), ("  wave_2:\n    groups:\n      - db\n", "")) and got.conflicts == []


@pytest.mark.parametrize(
    "edit", [("cpus: 4", "cpus: 5"), ("  db-1:", "  # ask Jean\n  db-1:"), ("cpus: 4", "cpus: 4 # ok")]
)
def test_a_server_that_is_gone_but_was_edited_stays(edit: tuple[str, str]) -> None:
    edited = sub(BASE, edit)
    got = merged(edited, sub(BASE, (DB, ""), ("  wave_2:\n    groups:\n      - db\n", "")))
    assert whys(got) == [("gone", "workloads.db-1")] and edit[1] in got.text and "- db" in got.text


def test_what_people_removed_stays_removed() -> None:
    edited = sub(BASE, (DB, ""), ("      - 10.0.0.2\n", ""), ("  wave_2:\n    groups:\n      - db\n", ""))
    got = merged(edited, sub(BASE, ("cpus: 2", "cpus: 3")))
    assert got.text == sub(edited, ("cpus: 2", "cpus: 3")) and got.conflicts == []
    got = merged(edited, sub(BASE, ("cpus: 4", "cpus: 5")))
    assert got.text == edited and whys(got) == [("removed", "workloads.db-1")]


def test_people_name_a_workload_as_they_like() -> None:
    edited = sub(BASE, ("  db-1:", "  database:"))
    got = merged(edited, sub(BASE, ("  db-1:", "  db-one:"), ("name: db-1", "name: db-one"), ("cpus: 4", "cpus: 6")))
    assert got.text == sub(edited, ("name: db-1", "name: db-one"), ("cpus: 4", "cpus: 6"))
    taken = sub(BASE, ("  db-1:", "  web-2:"))
    assert set(data(merged(taken, sub(BASE, (DB, DB + WEB2))))["workloads"]) == {"web-1", "web-2", "web-2-2", "app-1"}


def test_disks_and_cards() -> None:
    edited = sub(BASE, ("size_gib: 20", "size_gib: 20\n        datastore: fast # mine"))
    new = sub(
        BASE,
        ("      - volume: v1\n        size_gib: 10\n", ""),
        ("size_gib: 20\n", "size_gib: 25\n      - volume: v3\n        size_gib: 30\n"),
        ("- 10.0.0.1\n          - 10.0.0.2", "- 10.0.0.1\n          - 10.0.0.3"),
    )
    got = merged(edited, new)
    assert data(got)["workloads"]["web-1"]["disks"] == [
        {"volume": "v2", "size_gib": 25, "datastore": "fast"},
        {"volume": "v3", "size_gib": 30},
    ]
    assert "datastore: fast # mine" in got.text and got.conflicts == []
    assert data(got)["workloads"]["web-1"]["nics"][0]["addresses"] == ["10.0.0.1", "10.0.0.3"]


def test_another_order_of_disks() -> None:
    swapped = sub(
        BASE,
        ("volume: v1\n        size_gib: 10", "volume: v0\n        size_gib: 0"),
        ("volume: v2\n        size_gib: 20", "volume: v1\n        size_gib: 10"),
        ("volume: v0\n        size_gib: 0", "volume: v2\n        size_gib: 20"),
    )
    order = [
        disk["volume"]
        for disk in data(merged(sub(BASE, ("cpus: 4", "cpus: 5")), swapped))["workloads"]["web-1"]["disks"]
    ]
    assert order == ["v2", "v1"]
    got = merged(sub(BASE, ("size_gib: 20", "size_gib: 21")), swapped)
    assert whys(got) == [("order", "workloads.web-1.disks")] and "size_gib: 21" in got.text


def test_checks_are_one_thing() -> None:
    base = sub(BASE, ("    cpus: 4\n", "    cpus: 4\n    checks:\n      - type: tcp\n        port: 22\n"))
    edited = sub(base, ("port: 22", "port: 2222"))
    assert merged(edited, sub(base, ("cpus: 2", "cpus: 3")), base).text == sub(edited, ("cpus: 2", "cpus: 3"))
    got = merged(edited, sub(base, ("port: 22", "port: 80")), base)
    assert "port: 2222" in got.text and whys(got) == [("changed", "workloads.db-1.checks")]


def test_people_move_groups_between_waves() -> None:
    edited = sub(BASE, ("      - web\n  wave_2:\n    groups:\n", "  wave_2:\n    groups:\n      - web # later\n"))
    new = sub(
        BASE,
        ("      - main\n      - web\n", "      - main\n"),
        ("      - db\n", "      - db\n  wave_3:\n    groups:\n      - web\n"),
    )
    got = merged(edited, new)
    assert got.text == edited
    new = sub(BASE, ("      - main\n      - web\n", "      - web\n"), ("      - db\n", "      - db\n      - main\n"))
    waves = data(merged(edited, new))["waves"]
    assert waves["wave_1"] == {"groups": []} and waves["wave_2"]["groups"] == ["web", "db", "main"]


def test_groups_that_people_made() -> None:
    edited = sub(BASE, ("      - main\n", "      - shop\n"), ("group: main", "group: shop"), ("# The plan", "# Ours"))
    new = sub(BASE, (DB, DB + WEB2.replace("web-2", "x").replace("group: web", "group: main")))
    got = merged(edited, new)
    assert data(got)["waves"]["wave_1"]["groups"] == ["shop", "web", "main"], "the new server's group is in a wave"
    windows = sub(BASE, ("  wave_1:\n", "  wave_1:\n    start: 2026-12-05T20:00Z # night\n"))
    got = merged(
        windows,
        sub(BASE, ("      - main\n      - web\n", "      - main\n"), ("      - db\n", "      - db\n      - web\n")),
    )
    assert "    start: 2026-12-05T20:00Z # night\n    groups:\n      - main\n" in got.text
    assert data(got)["waves"]["wave_2"]["groups"] == ["db", "web"]


def test_a_reader_of_another_name() -> None:
    edited = BASE.replace("reader-1", "helper")
    got = merged(edited, sub(BASE, (DB, DB + WEB2)))
    assert data(got)["workloads"]["web-2"]["reader"] == "helper"


def test_objects() -> None:
    edited = sub(BASE, ("name: one\n      decision: recreate", "name: one\n      decision: leave # not used"))
    gone = sub(BASE, (BASE[BASE.index("  keys:") :], "  topics:\n    t:\n      decision: recreate\n"))
    got = merged(edited, gone)
    assert list(data(got)["objects"]["keys"]) == ["k1"] and whys(got) == [("gone", "objects.keys.k1")]
    other = sub(BASE, ("cpus: 2", "cpus: 8"))
    assert list(data(merged(other, gone))["objects"]) == ["topics"]


def test_without_a_base() -> None:
    edited = sub(BASE, ("cpus: 2", "cpus: 8"), (DB, ""), ("target: null", "target: PG"))
    got = merged(edited, sub(BASE, ("cpus: 4", "cpus: 5")), None)
    assert "cpus: 8" in got.text and "target: PG" in got.text and "db-1:" in got.text and "cpus: 5" in got.text
    assert whys(got) == [("changed", "networks.n1.target"), ("changed", "workloads.web-1.cpus")]
    old = BASE[: BASE.index("objects:")]
    assert data(merged(old, BASE, None))["objects"]["keys"]["k1"]["name"] == "one"


def test_a_person_wrote_it_in_another_style() -> None:
    edited = sub(
        BASE,
        (
            "    disks:\n      - volume: v1\n        size_gib: 10\n      - volume: v2\n        size_gib: 20\n",
            "    disks: [{volume: v1, size_gib: 10}, # first\n            {volume: v2, size_gib: 20}]\n",
        ),
    )
    got = merged(
        edited,
        sub(
            BASE,
            ("size_gib: 20", "size_gib: 40"),
            ("size_gib: 10\n", "size_gib: 10\n      - volume: v3\n        size_gib: 1\n"),
        ),
    )
    assert "{volume: v2, size_gib: 40}, {volume: v3, size_gib: 1}]" in got.text and "# first" in got.text


@pytest.mark.parametrize(
    ("edited", "error", "said"),
    [
        ("workloads: {a: 1\n", InvalidInput, "cannot be read, and stays as it is"),
        ("- a\n", InvalidInput, "cannot be read"),
        ("a: 1\na: 2\n", InvalidInput, "twice"),
        (sub(BASE, ("cpus: 2", "cpus: &two 2"), ("cpus: 4", "cpus: *two")), CloudExitError, "cannot|Cannot"),
    ],
)
def test_what_cannot_be_merged_is_an_error(edited: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        merging.merge(BASE, edited, sub(BASE, ("cpus: 2", "cpus: 3")))


def test_nonsense_is_left_alone() -> None:
    for old, new in (
        ("waves:", "waves: 3\nx:"),
        ("      - main", "      - {a: 1}"),
        ("workloads:", "workloads: []\ny:"),
    ):
        edited: Any = sub(BASE, (old, new))
        got = merging.merge(BASE, edited, sub(BASE, ('digest: "1"', 'digest: "2"')))
        assert new in got.text and 'digest: "2"' in got.text


def test_kinds_of_objects_come_and_go_with_their_comment() -> None:
    kinds = BASE[BASE.index("  keys:") :]
    base = sub(BASE, ("  keys:", "  # keys: remade\n  keys:"))
    other = sub(base, ("cpus: 2", "cpus: 8"))
    new = sub(base, ("  # keys: remade\n" + kinds, "  # topics\n  topics:\n    t: {decision: leave}\n"))
    got = merged(other, new, base)
    assert got.text == sub(other, ("  # keys: remade\n" + kinds, "  # topics\n  topics:\n    t: {decision: leave}\n"))
    noted = sub(base, ("  keys:", "  keys: # ask Anne"))
    assert "  keys: {} # ask Anne\n" in merged(noted, new, base).text
