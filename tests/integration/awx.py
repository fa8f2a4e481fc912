# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a playbook as AWX does: ansible-runner over a private data directory, credentials as its own types inject them.

The layout and the names are those of AWX 24.6: `env/` with envvars, extravars, settings, cmdline and the files of the
credentials, `inventory/hosts` as a script that prints what AWX has stored, `project/`, `requirements_collections/`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.installed import BIN, clean_env


@dataclass(frozen=True)
class Job:
    """How a job ended: its exit code, what it printed, its events in order."""

    code: int
    stdout: str
    events: list[dict[str, Any]]
    directory: Path

    @property
    def stats(self) -> dict[str, Any]:
        """`playbook_on_stats` of the last play: ok, changed, failures, ... each by host; and the artifacts."""
        found = [event["event_data"] for event in self.events if event["event"] == "playbook_on_stats"]
        return found[-1] if found else {}

    def changed(self) -> dict[str, int]:
        """Hosts with changes, and how many."""
        return {host: count for host, count in self.stats.get("changed", {}).items() if count}

    def ok(self) -> Job:
        """This, if it ended well; an AssertionError that shows the output if not."""
        assert self.code == 0, self.stdout[-8000:]
        return self


def openstack_credential(
    directory: Path, auth: Mapping[str, Any], *, verify: bool = True, region: str = ""
) -> dict[str, str]:
    """The built-in type *OpenStack*: a clouds file with the one entry `devstack`, and where it is."""
    entry: dict[str, Any] = {"auth": dict(auth), "verify": verify}
    if region:
        entry["region_name"] = region
    path = directory / "env" / "tmp8f2k1q"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"clouds": {"devstack": entry}}, default_flow_style=False))
    path.chmod(0o600)
    return {"OS_CLIENT_CONFIG_FILE": str(path)}


def vmware_credential(host: str, username: str, password: str, *, validate_certs: bool = False) -> dict[str, str]:
    """The built-in type *VMware vCenter*."""
    return {
        "VMWARE_HOST": host,
        "VMWARE_USER": username,
        "VMWARE_PASSWORD": password,
        "VMWARE_VALIDATE_CERTS": str(validate_certs),
    }


def inventory_update(collections: Path, source: Path, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What AWX stores when it updates an inventory from a file of a project: `ansible-inventory --list --export`."""
    command = [str(BIN / "ansible-inventory"), "-i", str(source), "--list", "--export"]
    done = subprocess.run(command, env=clean_env(collections, env), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run(
    directory: Path,
    collections: Path,
    playbook: str,
    *,
    inventory: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    limit: str = "",
    job: int = 42,
    timeout: float = 900,
) -> Job:
    """Run a playbook in `directory`, as the job with this number: one of the collection, or `x.yml` of the project."""
    for name in ("artifacts", "cp", "env", "inventory", "project"):
        (directory / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    link = directory / "requirements_collections"
    if not link.is_symlink():
        link.symlink_to(collections)
    environment = {
        "ANSIBLE_COLLECTIONS_PATH": f"{link}:~/.ansible/collections:/usr/share/ansible/collections",
        "ANSIBLE_FORCE_COLOR": "True",
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
        "ANSIBLE_PARAMIKO_RECORD_HOST_KEYS": "False",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "AWX_HOST": "https://awx.example.org",
        "AWX_PRIVATE_DATA_DIR": str(directory),
        "JOB_ID": str(job),
        "INVENTORY_ID": "1",
        "PROJECT_REVISION": "0" * 40,
        **(env or {}),
    }
    arguments = ["--forks=5", *([f"--limit={limit}"] if limit else []), f"-e @{directory / 'env' / 'extravars'}"]
    variables = {"awx_job_id": job, "tower_job_id": job, "awx_user_name": "admin", **(extra or {})}
    (directory / "env" / "envvars").write_text(yaml.safe_dump(environment))
    (directory / "env" / "extravars").write_text(yaml.safe_dump(variables))
    (directory / "env" / "settings").write_text(json.dumps({"job_timeout": 0, "suppress_env_files": True}))
    (directory / "env" / "cmdline").write_text(" ".join(arguments))
    for name in ("envvars", "extravars", "settings", "cmdline"):
        (directory / "env" / name).chmod(0o600)
    hosts = directory / "inventory" / "hosts"
    stored = json.dumps(inventory or {"all": {"hosts": ["localhost"]}, "_meta": {"hostvars": {"localhost": LOCALHOST}}})
    hosts.write_text(f"#! /usr/bin/env python3\n# -*- coding: utf-8 -*-\nprint({stored!r})\n")
    hosts.chmod(0o700)
    name = playbook if playbook.endswith(".yml") else f"cloudexit.flexible_engine.{playbook}"
    command = [str(BIN / "ansible-runner"), "run", str(directory), "-p", name]
    command += ["--ident", str(job), "-q"]
    base = {name: value for name, value in clean_env(collections).items() if name != "ANSIBLE_NOCOLOR"}
    done = subprocess.run(
        command,
        env=base,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    artifacts = directory / "artifacts" / str(job)
    files = sorted((artifacts / "job_events").glob("*.json"), key=lambda path: int(path.name.partition("-")[0]))
    printed = (artifacts / "stdout").read_text(encoding="utf-8") if (artifacts / "stdout").exists() else ""
    events = [json.loads(path.read_text(encoding="utf-8")) for path in files if not path.name.endswith("-partial.json")]
    return Job(done.returncode, f"{printed}\n{done.stdout}\n{done.stderr}", events, directory)


LOCALHOST = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}


def kept(job: Job) -> str:
    """Everything of the job that AWX stores: what was printed, the events, facts.

    Not the file `command`: there ansible-runner itself notes the environment, which AWX masks when it takes it over.
    """
    folder = job.directory / "artifacts"
    return "\n".join(
        path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "command" and os.path.getsize(path) < 1 << 24
    )
