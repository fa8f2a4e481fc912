# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugins as the ansible commands use them: servers of real OpenStack, and a plan."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.installed import Lab
from tests.lab.openstack.access import calls

HOSTILE = "a b'\"{{ 7*7 }}/../é"
BIN = Path(sys.executable).parent


def ansible(
    collections: Path, command: str, *arguments: str | Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run an ansible command of this environment with the installed collection."""
    home = collections.parent / "home"
    home.mkdir(parents=True, exist_ok=True)
    clean = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true",
        **(env or {}),
    }
    line = [str(BIN / command), *map(str, arguments)]
    return subprocess.run(line, env=clean, cwd=home, capture_output=True, text=True, timeout=120, check=False)


def plain(value: Any) -> Any:
    """A value as ansible-inventory lists it, without its mark of being no template."""
    if isinstance(value, dict):
        return (
            value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else {k: plain(v) for k, v in value.items()}
        )
    return [plain(entry) for entry in value] if isinstance(value, list) else value


def listed(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = plain(json.loads(done.stdout))
    return found


@pytest.mark.lab
def test_source(lab: Lab, collections_path: Path, tmp_path: Path) -> None:
    config = tmp_path / "acme.fe.yml"
    config.write_text(
        "plugin: cloudexit.flexible_engine.source\n"
        "cloud: \"{{ lookup('env', 'TENANT') }}\"\n"
        "strict: true\n"
        "groups: {small: fe_flavor.ram_mib <= 512}\n"
        "keyed_groups: [{key: fe_status | lower, prefix: status}]\n"
        "compose: {label: fe_name ~ '@' ~ fe_project_name}\n"
    )
    env = {**lab.environment, "TENANT": lab.env["seed"]["tenant"]}
    started = time.time()
    found = listed(ansible(collections_path, "ansible-inventory", "-i", config, "--list", env=env))
    seen = calls(lab.instance, started)
    assert seen.writes == []

    seeded = {server["id"]: server for server in lab.env["seed"]["servers"]}
    hosts = {host["fe_id"]: (name, host) for name, host in found["_meta"]["hostvars"].items()}
    assert seeded.keys() <= hosts.keys()
    for identity, server in seeded.items():
        name, host = hosts[identity]
        assert host["fe_name"] == server["name"]
        assert name.endswith(f"-{identity[:8]}")
    assert len(set(found["small"]["hosts"])) >= 3 and found["status_active"]["hosts"]

    hostile = next(name for name, host in hosts.values() if host["fe_id"] in seeded and name.startswith("a-b-7-7-e"))
    said = ansible(collections_path, "ansible", "-i", config, hostile, "-m", "debug", "-a", "var=label", env=env)
    assert said.returncode == 0 and "{{ 7*7 }}" in said.stdout and "49" not in said.stdout.replace(hostile, "")


@pytest.mark.lab
def test_source_of_all_projects(lab: Lab, collections_path: Path, tmp_path: Path) -> None:
    config = tmp_path / "source.yml"
    config.write_text("plugin: cloudexit.flexible_engine.source\ncloud: acme\nprojects: [all]\n")
    found = listed(ansible(collections_path, "ansible-inventory", "-i", config, "--list", env=lab.environment))
    assert len(found["_meta"]["hostvars"]) >= len(lab.env["seed"]["servers"])


PLAN = """\
plugin: cloudexit.flexible_engine.plan
version: 1
tenant: {name: acme, project_id: p1}
target: {type: vsphere, datacenter: DC0, compute: C0, datastore: D0}
readers: {reader-1: {server_id: r1, connection: {ansible_connection: local}}}
waves: {wave_1: {groups: [web]}, wave_2: {groups: [db]}}
workloads:
  web-1:
    source: {id: s1, name: "{{ 7*7 }}"}
    move: cold
    name: web-1
    group: web
    reader: reader-1
    disks: [{volume: v1, size_gib: 1, boot: true}]
  db-1:
    source: {id: s2}
    move: cold
    name: db-1
    group: db
    reader: reader-1
    disks: [{volume: v2, size_gib: 1, boot: true}]
  old-1: {source: {id: s3}, move: none, reason: "it is retired"}
"""


def test_plan(collections_path: Path, tmp_path: Path) -> None:
    plan = tmp_path / "acme.plan.yml"
    plan.write_text(PLAN)
    found = listed(ansible(collections_path, "ansible-inventory", "-i", plan, "--list"))
    assert found["workloads"]["hosts"] == ["web-1", "db-1"] and found["wave_2"]["hosts"] == ["db-1"]
    assert found["readers"]["hosts"] == ["reader-1"] and found["not_moved"]["hosts"] == ["old-1"]

    book = tmp_path / "book.yml"
    book.write_text(
        "- hosts: workloads\n"
        "  gather_facts: false\n"
        "  tasks:\n"
        "    - ansible.builtin.debug: {msg: '{{ cloudexit.source.name }} {{ ansible_python_interpreter }}'}\n"
        "    - ansible.builtin.command: echo done\n"
        "      delegate_to: '{{ cloudexit.reader.name }}'\n"
        "      changed_when: false\n"
    )
    played = ansible(collections_path, "ansible-playbook", "-i", plan, book, "--limit", "wave_1")
    assert played.returncode == 0, played.stdout + played.stderr
    assert f"{{{{ 7*7 }}}} {sys.executable}" in played.stdout
    assert "web-1 -> reader-1" in played.stdout and "db-1" not in played.stdout


def test_a_plan_that_is_not_valid(collections_path: Path, tmp_path: Path) -> None:
    plan = tmp_path / "acme.plan.yml"
    plan.write_text(
        PLAN.replace("datastore", "datastor").replace("volume: v2", "volume: v1").replace("name: db-1", "name: WEB-1")
    )
    done = ansible(collections_path, "ansible-inventory", "-i", plan, "--list")
    assert done.returncode != 0
    for said in (
        "target.datastor (line 4): unknown key (did you mean datastore?)",
        "target.datastore (line 4): must not be empty",
        "workloads.db-1.name (line 18): the target name 'web-1' is already at workloads.web-1.name",
        "workloads.db-1.disks[0].volume (line 21): the volume 'v1' is already at workloads.web-1.disks[0].volume",
    ):
        assert said in done.stderr, done.stderr
