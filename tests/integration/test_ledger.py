# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ledger_record and ledger_verify, of the installed collection, from a playbook and from a shell."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.installed import Playbook, clean_env

RECORD = """
- hosts: workloads
  gather_facts: false
  tasks:
    - name: Record
      cloudexit.flexible_engine.ledger_record:
        path: "{{ evidence }}/ledger.jsonl"
        tenant: acme
        workload: "{{ inventory_hostname }}"
        acts:
          - name: source_stop
            result: {changed: "{{ changing }}", server_id: "id of {{ inventory_hostname }}", password: hunter2}
          - name: workload_check
            evidence: true
            result: {checks: [{name: http, ok: true}]}
"""


def test_six_hosts_record_at_once_and_a_second_run_changes_nothing(playbook: Playbook, tmp_path: Path) -> None:
    (tmp_path / "record.yml").write_text(RECORD)
    hosts = {f"web-{number}": {"ansible_connection": "local"} for number in range(6)}
    (tmp_path / "hosts.yml").write_text(json.dumps({"workloads": {"hosts": hosts}}))
    run = [str(tmp_path / "record.yml"), "-i", tmp_path / "hosts.yml", "-f", "6"]

    playbook(*run, "--check", extra={"changing": True, "evidence": "evidence"}).ok()
    assert not (tmp_path / "evidence").exists()

    first = playbook(*run, extra={"changing": True, "evidence": "evidence"}).ok()
    assert {host.changed for host in first.recap.values()} == {1}
    second = playbook(*run, extra={"changing": False, "evidence": "evidence"}).ok()
    assert {host.changed for host in second.recap.values()} == {0}

    verified = playbook("verify_ledger", extra={"evidence": str(tmp_path / "evidence")}).ok()
    assert "The ledger is sound: 12 records" in verified.output
    assert "hunter2" not in (tmp_path / "evidence" / "ledger.jsonl").read_text()


def test_a_changed_ledger_is_told_by_the_playbook_and_by_the_command(
    playbook: Playbook, collections_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "record.yml").write_text(RECORD.replace("hosts: workloads", "hosts: localhost"))
    playbook(str(tmp_path / "record.yml"), extra={"changing": True, "evidence": "evidence"}).ok()
    ledger = tmp_path / "evidence" / "ledger.jsonl"
    command = [
        sys.executable,
        "-m",
        "ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger",
        str(ledger),
    ]
    env = clean_env(collections_path, {"PYTHONPATH": str(collections_path)})
    sound = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ": sound, 2 records, head sha256:" in sound.stdout

    ledger.write_text(ledger.read_text().replace("id of localhost", "id of somebody"))
    told = playbook("verify_ledger")
    assert told.code != 0
    assert "does not match its hash: the record was changed" in told.output
    broken = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert broken.returncode == 1
    assert "NOT sound" in broken.stdout
