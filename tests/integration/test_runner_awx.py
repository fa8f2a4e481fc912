# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed collection as AWX runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import samples
from tests.integration import awx
from tests.lab.operator import TARGET, Operator


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


@pytest.mark.lab
@pytest.mark.usefixtures("fresh_lab")
def test_assess_and_migrate_as_jobs(operator: Operator, collections_path: Path, tmp_path: Path) -> None:
    """Assess, inventory update, migrate, migrate again: credentials only as AWX's own credential types inject them."""
    lab = operator.instance.env()
    source = yaml.safe_load((operator.instance.dir / "clouds.yaml").read_text())["clouds"]["acme"]
    evidence = tmp_path / "evidence"

    def job(number: int, playbook: str, **options: Any) -> awx.Job:
        directory = tmp_path / f"awx_{number}"
        env = awx.openstack_credential(directory, source["auth"], region=source["region_name"])
        env |= awx.vmware_credential(lab["vcenter"]["host"], lab["vcenter"]["user"], lab["vcenter"]["password"])
        return awx.run(directory, collections_path, playbook, env=env, job=number, **options)

    project = tmp_path / "project"
    reader = {"name": "reader-1", "server_id": lab["readers"][0], "connection": {"ansible_connection": "local"}}
    assess = {"assess_tenant": "acme", "assess_dir": str(project), "assess_target": TARGET, "assess_reader": reader}
    job(1, "assess", extra=assess).ok()

    plan_file = project / "acme.plan.yml"
    plan = yaml.safe_load(plan_file.read_text())
    assert not plan["tenant"].get("cloud")
    host = next(key for key, workload in plan["workloads"].items() if "{{ 7*7 }}" in workload["source"]["name"])
    plan["workloads"][host]["guest"]["adapt"] = "none"
    plan_file.write_text(yaml.safe_dump(plan, sort_keys=False, allow_unicode=True))
    stored = awx.inventory_update(collections_path, plan_file)

    # The simulator of vCenter does not listen on 443, and AWX's type has no port.
    extra = {
        "migrate_target": {"port": lab["vcenter"]["port"]},
        "migrate_evidence_dir": str(evidence),
        "migrate_state_dir": str(tmp_path / "reader"),
    }
    first = job(2, "migrate", inventory=stored, extra=extra, limit=host).ok()
    assert set(first.changed()) == {host}
    told = [event["stdout"] for event in first.events if event["event"] == "verbose"]
    assert any(f"{host}  all 1.1 GB are at the target and proven" in line for line in told), "no progress as it happens"
    second = job(3, "migrate", inventory=stored, extra=extra, limit=host).ok()
    assert second.changed() == {}

    (workload,) = evidence_of(evidence)
    assert workload["facts"]["source"]["name"] == plan["workloads"][host]["source"]["name"]
    assert [disk["equal"] for disk in workload["acts"]["disk_pass"]["result"]["disks"]] == [True]
    secrets = (source["auth"]["password"], lab["vcenter"]["password"])
    for done in (first, second):
        assert not [secret for secret in secrets if secret in awx.kept(done)]
    back = {f"rollback_{name.removeprefix('migrate_')}": value for name, value in extra.items()}
    assert set(job(4, "rollback", inventory=stored, extra=back, limit=host).ok().changed()) == {host}


def evidence_of(directory: Path) -> list[dict[str, Any]]:
    """The files of the workloads in an evidence directory."""
    return [json.loads(path.read_text()) for path in sorted((directory / "workloads").glob("*.json"))]
