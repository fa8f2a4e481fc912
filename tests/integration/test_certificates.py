# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A purge's evidence, from a playbook of the installed collection to an auditor who has nothing of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.installed import Playbook
from tests.sealed import People, purge

ISSUE = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Certify
      cloudexit.flexible_engine.certificate_issue:
        evidence: "{{ playbook_dir }}/evidence"
        purpose: erasure
        plan: "{{ playbook_dir }}/acme.retirement.json"
        signing_key: "{{ playbook_dir }}/controller-1"
        signers: "{{ playbook_dir }}/allowed_signers"
        terms: {executed_by: jean, verified_by: marie}

    - name: Publish
      cloudexit.flexible_engine.ledger_head:
        evidence: "{{ playbook_dir }}/evidence"
        signing_key: "{{ playbook_dir }}/controller-1"
        signers: "{{ playbook_dir }}/allowed_signers"
        store: {place: "{{ playbook_dir }}/copy"}
"""
TOOLS = ("sh", "sed", "awk", "sort", "cmp", "mkdir", "rm", "openssl", "ssh-keygen")


def audit(folder: Path) -> subprocess.CompletedProcess[str]:
    """verify.sh with the stock tools alone."""
    tools = folder.parent / "tools"
    tools.mkdir(exist_ok=True)
    for tool in TOOLS:
        if not (tools / tool).exists():
            (tools / tool).symlink_to(str(shutil.which(tool)))
    command = [str(tools / "sh"), str(folder / "verify.sh")]
    return subprocess.run(command, env={"PATH": str(tools)}, cwd="/", capture_output=True, text=True, check=False)


def test_from_the_certificate_to_the_auditor(playbook: Playbook, tmp_path: Path) -> None:
    people = People(tmp_path)
    purge(people, tmp_path / "evidence")
    (tmp_path / "issue.yml").write_text(ISSUE)
    playbook(str(tmp_path / "issue.yml"), "--check").ok()
    assert not (tmp_path / "evidence" / "certificates").exists()
    assert playbook(str(tmp_path / "issue.yml")).ok().recap["localhost"].changed == 2
    assert playbook(str(tmp_path / "issue.yml")).ok().recap["localhost"].changed == 0

    verified = playbook("verify_ledger", extra={"signers": "allowed_signers", "heads": "copy/heads"}).ok()
    assert "13 records" in verified.output
    assert "1 published heads" in verified.output
    assert "were not verified (signers)" in playbook("verify_ledger").ok().output

    sound = audit(tmp_path / "copy")
    assert sound.returncode == 0, sound.stdout + sound.stderr
    assert sound.stdout.endswith("SOUND\n")

    for folder in ("copy", "evidence"):
        ledger = tmp_path / folder / "ledger.jsonl"
        ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:-1]))
    short = audit(tmp_path / "copy")
    assert short.returncode == 1
    assert "the ledger ends before record 13: records were removed" in short.stdout
    told = playbook("verify_ledger", extra={"signers": "allowed_signers", "heads": "copy/heads"})
    assert told.code != 0
    assert "the ledger ends before record 13" in told.output
