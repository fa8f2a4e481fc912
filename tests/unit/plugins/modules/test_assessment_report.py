# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module assessment_report: check, apply, apply again; what it says; what it refuses."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from tests.assessments import make

NAMES = [
    "acme.assessment.en.html",
    "acme.assessment.fr.html",
    "acme.workloads.csv",
    "acme.findings.csv",
    "acme.objects.csv",
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "acme.assessment.json"
    path.write_text(assessments.to_text(make(30)), encoding="utf-8")
    return path


def test_check_apply_apply_again(call_module: Any, file: Path) -> None:
    told = call_module("assessment_report", {"assessment": str(file)}, check=True, diff=True)
    assert told["changed"] and list(file.parent.iterdir()) == [file]
    done = call_module("assessment_report", {"assessment": str(file)}, diff=True)
    assert done == told
    assert done["files"] == [str(file.parent / name) for name in NAMES]
    assert sum(done["readiness"].values()) == 30 and done["decisions"] > 0
    assert {"dns", "rds"} < set(done["unread"])
    assert [part["after_header"] for part in done["diff"]] == done["files"]
    assert "<html" not in str(done["diff"]) and "acme: 30 workloads" in done["diff"][0]["after"]
    written = {name: (file.parent / name).read_bytes() for name in NAMES}
    assert written["acme.assessment.fr.html"].startswith(b'<!DOCTYPE html>\n<html lang="fr">')
    assert len(list(csv.reader(io.StringIO(written["acme.workloads.csv"].decode())))) == 31

    again = call_module("assessment_report", {"assessment": str(file)}, diff=True)
    assert not again["changed"] and "diff" not in again
    assert {name: (file.parent / name).read_bytes() for name in NAMES} == written


def test_one_language_into_another_directory(call_module: Any, file: Path, tmp_path: Path) -> None:
    params = {"assessment": str(file), "directory": str(tmp_path / "out" / "here"), "languages": ["fr", "fr"]}
    call_module("assessment_report", params)
    names = {path.name for path in (tmp_path / "out" / "here").iterdir()}
    assert names == set(NAMES) - {"acme.assessment.en.html"}


def test_what_is_missing_or_wrong_is_said(call_module: Any, tmp_path: Path) -> None:
    none = {"assessment": str(tmp_path / "acme.assessment.json")}
    done = call_module("assessment_report", none)
    assert done["failed"] and "There is no assessment" in done["msg"]
    assert call_module("assessment_report", none, check=True)["changed"]
    (tmp_path / "acme.assessment.json").write_text('{"kind": "cloudexit.estate"}')
    assert "is this an assessment?" in call_module("assessment_report", none)["msg"]
