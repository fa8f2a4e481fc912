# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables for a spreadsheet: whole, and never a formula."""

from __future__ import annotations

import csv
import io

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import tables
from tests.assessments import HOSTILE_NAMES, make


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), strict=True))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("web-1", "web-1"),
        ("=1+1", "'=1+1"),
        ("  \t=1+1", "'=1+1"),
        ("\r\n@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("＝1", "'＝1"),
        ("\u200b=1", "\N{REPLACEMENT CHARACTER}=1"),
        ("a\nb", "a b"),
        ("a\x00b\x1b", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        (-5, "-5"),
        (12.0, "12"),
        (12.5, "12.5"),
        (True, "yes"),
        (False, "no"),
        (None, ""),
    ],
)
def test_cells(value: tables.Cell, shown: str) -> None:
    assert tables.cell(value) == shown


def test_no_cell_of_a_hostile_tenant_is_a_formula() -> None:
    a = make(60)
    for text in (tables.workloads(a), tables.findings(a), tables.objects(a)):
        text.encode("utf-8")
        rows = list(csv.reader(io.StringIO(text), strict=True))
        assert len({len(row) for row in rows}) == 1
        assert not [cell for row in rows for cell in row if cell.startswith(tables.FORMULA)]
    names = {row["name"] for row in read(tables.workloads(a))}
    assert {tables.cell(name) for name in HOSTILE_NAMES} <= names
    assert any(name.startswith("'=HYPERLINK") for name in names)


def test_workloads() -> None:
    a = make(30, hostile=False)
    rows = read(tables.workloads(a))
    assert [row["server_id"] for row in rows] == [w.server_id for w in a.workloads]
    for row, w in zip(rows, a.workloads, strict=True):
        assert (row["readiness"], row["disk_gib"], row["wave"]) == (w.readiness, str(w.disk_gib), w.wave)
        assert row["blockers"] == ("volume_encrypted" if w.readiness == "not_ready" else "")
    assert any(row["blockers"] for row in rows)


def test_findings_in_both_languages() -> None:
    a = make(30, hostile=False)
    rows = read(tables.findings(a))
    assert len(rows) == len(a.findings)
    assert {(row["seen"], row["seen_fr"]) for row in rows} >= {
        ("its volume is encrypted", "son volume est chiffré"),
        ("the service answered 503", ""),
    }


def test_objects_and_what_could_not_be_read() -> None:
    a = make(30, hostile=False)
    rows = read(tables.objects(a))
    assert [row["id"] for row in rows if row["id"]] == [item.id for item in a.items]
    left = {(row["kind"], row["service"], row["read"]) for row in rows if not row["id"]}
    assert left == {
        ("dns_records", "dns", "partial"),
        ("rds_instances", "rds", "not_read"),
        ("rds_backups", "rds", "not_read"),
        ("", "quantum-annealer", "not_read"),
    }


def test_nothing_at_all() -> None:
    empty = make(0, partial=False)
    assert read(tables.workloads(empty)) == []
