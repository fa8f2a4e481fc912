# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""discover_dependencies as an operator runs it. The guests are this machine, behind a program in the place of ssh."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import samples
from tests.installed import Playbook

SSH = """#!/bin/sh
# Runs the last argument here, as a guest would; one guest is gone, one has no shell to speak of.
for last; do :; done
case "$*" in
*guest-gone*) exit 255 ;;
*guest-odd*) echo 'This account is "{{ not }}" available.'; exit 1 ;;
esac
SSH_CLIENT="192.0.2.99 40000 22" exec sh -c "$last"
"""
MODULES = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Look
      cloudexit.flexible_engine.socket_info:
        samples: 2
        interval_s: 0
      register: seen

    - name: Keep it
      cloudexit.flexible_engine.flows_write:
        path: acme.flows.json
        servers: "{{ {'s1': seen.sockets} }}"
        merge: false
"""


@pytest.fixture
def port() -> Iterator[int]:
    """A service that listens."""
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        yield server.getsockname()[1]


def inventory(folder: Path, **hosts: dict[str, Any]) -> Path:
    ssh = folder / "ssh"
    ssh.write_text(SSH)
    ssh.chmod(0o755)
    path = folder / "guests.json"
    known = {name.replace("_", "-"): values for name, values in hosts.items()}
    path.write_text(json.dumps({"all": {"hosts": known, "vars": {"ansible_ssh_executable": str(ssh)}}}))
    return path


def flows(folder: Path, tenant: str = "acme") -> dict[str, Any]:
    servers: dict[str, Any] = json.loads((folder / f"{tenant}.flows.json").read_text())["servers"]
    return servers


def test_guests_are_looked_at_and_those_that_cannot_be_are_told(playbook: Playbook, tmp_path: Path, port: int) -> None:
    acme = {"fe_project_name": "acme"}
    hosts = inventory(
        tmp_path,
        guest_1={**acme, "fe_id": "s1", "ansible_host": "192.0.2.1"},
        guest_2={**acme, "fe_id": "s2"},
        guest_odd={**acme, "fe_id": "s3"},
        guest_gone={**acme, "fe_id": "s4"},
        other={"fe_id": "s5", "fe_project_name": "globex"},
    )
    extra = {"discover_dependencies_samples": 2, "discover_dependencies_interval_s": 0.1}
    checked = playbook("discover_dependencies", "-i", hosts, "--check", extra=extra).ok()
    assert not list(tmp_path.glob("*.flows.json"))
    assert sum(recap.changed for recap in checked.recap.values()) == 1

    done = playbook("discover_dependencies", "-i", hosts, extra=extra).ok()
    said = " ".join(done.output.split())
    assert re.search(r"Not seen: guest-gone: (Task failed: )?Failed to connect", said)
    assert re.search(r"Not seen: guest-odd: [^:]+: .*This account is ..{{ not }}.. available", said)
    assert "Not seen: guest-1" not in said
    assert sorted(flows(tmp_path)) == ["s1", "s2"]
    assert sorted(flows(tmp_path, "globex")) == ["s5"]
    seen = flows(tmp_path)["s1"]
    assert seen["samples"] == 2
    assert port in {listener["port"] for listener in seen["listeners"]}

    playbook("discover_dependencies", "-i", hosts, "--limit", "guest-2", extra=extra).ok()
    assert {name: entry["samples"] for name, entry in flows(tmp_path).items()} == {"s1": 2, "s2": 4}


def test_the_workloads_of_a_plan(playbook: Playbook, tmp_path: Path) -> None:
    """They are logged in to, though the hosts of a plan are local ones; readers are not."""
    dummy, plan = samples.write(tmp_path)
    inventory(tmp_path)
    options = {
        "discover_dependencies_samples": 1,
        "ansible_ssh_executable": str(tmp_path / "ssh"),
    }
    playbook("discover_dependencies", "-i", plan, extra=options).ok()
    workloads = samples.plan()["workloads"].values()
    assert set(flows(tmp_path)) == {workload["source"]["id"] for workload in workloads}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"discover_dependencies_tenant": "../x"}, "discover_dependencies_tenant must be set"),
        ({"discover_dependencies_samples": 0}, "discover_dependencies_samples must be 1 or more"),
        ({"ansible_connection": "local"}, "by another connection than the local one"),
    ],
)
def test_what_is_refused(playbook: Playbook, tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    hosts = inventory(tmp_path, guest={"fe_id": "s1", "fe_project_name": "acme"})
    done = playbook("discover_dependencies", "-i", hosts, extra=changed)
    assert done.code != 0
    assert said in " ".join(done.output.split())
    assert not list(tmp_path.glob("*.flows.json"))


def test_nobody_was_seen(playbook: Playbook, tmp_path: Path) -> None:
    hosts = inventory(tmp_path, guest_odd={"fe_id": "s1", "fe_project_name": "acme"})
    done = playbook("discover_dependencies", "-i", hosts)
    assert done.code != 0
    assert "No guest could be looked at" in done.output
    assert not list(tmp_path.glob("*.flows.json"))


def test_the_modules_alone(playbook: Playbook, tmp_path: Path, port: int) -> None:
    play = tmp_path / "play.yml"
    play.write_text(MODULES)
    done = playbook(str(play)).ok()
    assert done.recap["localhost"].changed == 1
    assert port in {listener["port"] for listener in flows(tmp_path)["s1"]["listeners"]}
