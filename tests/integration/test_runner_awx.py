# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed collection as AWX runs it."""

from __future__ import annotations

from pathlib import Path

from tests import samples
from tests.integration import awx


def test_the_report_as_a_job(collections_path: Path, tmp_path: Path) -> None:
    samples.write(tmp_path)
    extra = {"evidence": str(tmp_path / "evidence"), "plan": str(tmp_path / "acme.plan.yml")}
    first = awx.run(tmp_path / "awx_41", collections_path, "report", extra=extra, job=41).ok()
    assert first.changed() == {"localhost": 1}
    assert (tmp_path / "evidence" / "report.html").exists()
    second = awx.run(tmp_path / "awx_42", collections_path, "report", extra=extra).ok()
    assert second.changed() == {}
    assert [event["event"] for event in second.events][-1] == "playbook_on_stats"


def test_a_job_that_fails_says_why(collections_path: Path, tmp_path: Path) -> None:
    job = awx.run(tmp_path / "awx_42", collections_path, "verify_ledger", extra={"evidence": str(tmp_path)})
    assert job.code != 0
    (failed,) = [event for event in job.events if event["event"] == "runner_on_failed"]
    assert failed["event_data"]["res"]["msg"].startswith(f"There is no ledger {tmp_path}/ledger.jsonl.")


SHOW = """
- hosts: workloads
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        var: cloudexit.source.name
"""


def test_a_plan_stored_as_an_inventory_keeps_hostile_names_inert(collections_path: Path, tmp_path: Path) -> None:
    dummy, plan = samples.write(tmp_path)
    stored = awx.inventory_update(collections_path, plan)
    directory = tmp_path / "awx_42"
    (directory / "project").mkdir(parents=True)
    (directory / "project" / "show.yml").write_text(SHOW)
    job = awx.run(directory, collections_path, "show.yml", inventory=stored, limit="wave_1").ok()
    shown = {
        event["event_data"]["host"]: event["event_data"]["res"]["cloudexit.source.name"]
        for event in job.events
        if event["event"] == "runner_on_ok"
    }
    assert shown == {"web-1-5e2f0001": "web-1", "web-2-5e2f0002": samples.HOSTILE, "web-3-5e2f0003": "web-3"}
