# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module report: check, apply, apply again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests import samples


def test_check_apply_apply_again(call_module: Any, tmp_path: Path) -> None:
    folder, file = samples.write(tmp_path)
    params = {"evidence": str(folder), "plan": str(file)}
    told = call_module("report", params, check=True, diff=True)
    assert told["changed"]
    assert not (folder / "report.html").exists()
    done = call_module("report", params, diff=True)
    assert done == told
    assert done["workloads"] == {"moved": 2, "under_way": 1, "planned": 1, "stays": 1}
    assert (done["findings"], done["sound"], done["path"]) == (4, True, str(folder / "report.html"))
    assert (folder / "report.html").read_text().startswith("<!DOCTYPE html>")
    again = call_module("report", params, diff=True)
    assert not again["changed"]
    assert "diff" not in again


def test_another_place(call_module: Any, tmp_path: Path) -> None:
    folder, dummy = samples.write(tmp_path)
    done = call_module("report", {"evidence": str(folder), "dest": str(tmp_path / "out" / "acme.html")})
    assert done["changed"]
    assert (tmp_path / "out" / "acme.html").exists()


def test_no_evidence(call_module: Any, tmp_path: Path) -> None:
    done = call_module("report", {"evidence": str(tmp_path / "none")})
    assert done["failed"]
    assert "There is no ledger" in done["msg"]
