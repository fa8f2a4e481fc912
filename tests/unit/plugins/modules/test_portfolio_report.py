# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module portfolio_report: check, apply, apply again; tenants that failed are rows with their cause."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from tests.assessments import make


def given(folder: Path) -> list[dict[str, Any]]:
    """One whole, one read in part, one that failed but was read earlier, one that failed, one not asked, one broken."""
    for name, partial in (("acme", False), ("globex", True), ("initech", False)):
        document = make(10, name=name, hostile=False, partial=partial)
        (folder / f"{name}.assessment.json").write_text(assessments.to_text(document), encoding="utf-8")
    (folder / "broken.assessment.json").write_text("{")
    failures = {"initech": "Read the tenant: wrong password", "umbrella": "Read the tenant: no answer"}
    names = ["umbrella", "acme", "globex", "initech", "later", "broken"]
    return [
        {
            "name": name,
            "assessment": str(folder / f"{name}.assessment.json"),
            "failure": failures.get(name, ""),
            "fresh": name not in ("later", *failures),
        }
        for name in names
    ]


def test_check_apply_apply_again(call_module: Any, tmp_path: Path) -> None:
    params = {"tenants": given(tmp_path), "directory": str(tmp_path / "out"), "today": "2027-06-20"}
    told = call_module("portfolio_report", params, check=True, diff=True)
    assert told["changed"] and not (tmp_path / "out").exists()
    done = call_module("portfolio_report", params, diff=True)
    assert done == told and "failed" not in done  # Ansible would take it for its own
    assert done["states"] == {"assessed": 1, "failed": 3, "not_assessed": 1, "partial": 1}
    assert done["failures"].keys() == {"broken", "initech", "umbrella"}
    assert done["failures"]["umbrella"] == "Read the tenant: no answer" and "is not valid" in done["failures"]["broken"]

    data = json.loads((tmp_path / "out" / "portfolio.json").read_text())
    rows = {row["name"]: row for row in data["tenants"]}
    assert list(rows) == sorted(rows) and len(rows) == 6
    assert rows["acme"]["days_left"] == 10 and rows["acme"]["figures"]["workloads"] == 10
    assert rows["acme"]["report"] == "../acme"
    assert rows["initech"]["earlier"] and rows["initech"]["figures"] and not rows["acme"]["earlier"]
    assert rows["umbrella"]["figures"] is None and rows["later"]["state"] == "not_assessed"
    with (tmp_path / "out" / "portfolio.csv").open(newline="") as stream:
        table = {row["tenant"]: row for row in csv.DictReader(stream)}
    assert table["umbrella"]["why"] == "Read the tenant: no answer" and table["umbrella"]["workloads"] == ""

    again = call_module("portfolio_report", params, diff=True)
    assert not again["changed"]
    tomorrow = call_module("portfolio_report", {**params, "today": "2027-06-21"})
    assert tomorrow["changed"]


def test_check_mode_blames_no_tenant_for_what_was_not_written(call_module: Any, tmp_path: Path) -> None:
    tenant = {"name": "acme", "assessment": str(tmp_path / "acme.assessment.json")}
    params = {"tenants": [tenant], "directory": str(tmp_path), "today": "2027-06-20"}
    assert call_module("portfolio_report", params, check=True)["states"] == {"not_assessed": 1}
    assert "There is no assessment" in call_module("portfolio_report", params)["failures"]["acme"]


def test_two_of_one_name_are_no_tenant(call_module: Any, tmp_path: Path) -> None:
    twice = given(tmp_path)[1:2] * 2
    done = call_module("portfolio_report", {"tenants": twice, "directory": str(tmp_path), "today": "2027-06-20"})
    assert done["states"] == {"failed": 2} and "have this name" in done["failures"]["acme"]


def test_today_is_a_date_and_by_default_that_of_the_run(call_module: Any, tmp_path: Path) -> None:
    params = {"tenants": given(tmp_path), "directory": str(tmp_path)}
    assert "must be a date" in call_module("portfolio_report", {**params, "today": "tomorrow"})["msg"]
    assert call_module("portfolio_report", params)["changed"]
    assert not call_module("portfolio_report", params)["changed"]


def test_no_tenants(call_module: Any, tmp_path: Path) -> None:
    done = call_module("portfolio_report", {"tenants": [], "directory": str(tmp_path), "today": "2027-06-20"})
    assert done["changed"] and done["states"] == {}
