# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials are in no output at `-vvvv`, in no file and in no process argument, whichever way they are given."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openstack
import pytest
import yaml

from tests.lab.operator import TARGET, Operator, Played


def spellings(secret: str) -> list[bytes]:
    """A secret as it is, and as it is written in an Authorization header or a URL."""
    text = secret.encode()
    shifted = [base64.b64encode(b"x" * pad + text)[4:-4] for pad in range(3)]
    return list(dict.fromkeys([text, urllib.parse.quote(secret, safe="").encode(), *shifted]))


def found_in(data: bytes, planted: dict[str, str]) -> set[str]:
    """Names of the planted secrets that are in the data."""
    return {name for name, secret in planted.items() if any(form in data for form in spellings(secret))}


def files_with(folder: Path, planted: dict[str, str], apart_from: set[Path]) -> dict[str, set[str]]:
    """Files below a folder that hold a secret."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path in apart_from:
            continue
        if names := found_in(path.read_bytes(), planted):
            found[str(path)] = names
    return found


class Watch:
    """Reads the arguments of every process that starts while it watches; and the files that modules are put in."""

    def __init__(self, planted: dict[str, str]) -> None:
        self.planted = planted
        self.seen = 0
        self.found: dict[str, set[str]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *dummy: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        known: dict[str, bytes] = {}
        while not self._over.wait(0.03):
            present = {name for name in os.listdir("/proc") if name.isdigit()}
            for pid in present - known.keys():
                known[pid] = self._look(pid)
            # A process that has just been forked still has its parent's arguments: look again, once.
            for pid in [pid for pid, line in known.items() if line and pid in present]:
                known[pid] = b""
                self._look(pid)
            for pid in known.keys() - present:
                del known[pid]

    def _look(self, pid: str) -> bytes:
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return b""
        self.seen += 1
        if names := found_in(line, self.planted):
            self.found[line.replace(b"\0", b" ").decode(errors="replace")[:300]] = names
        return line


@pytest.fixture
def planted(operator: Operator) -> Iterator[dict[str, str]]:
    """An application credential with a secret of ours, and vCenter's password, which is random in each lab."""
    file = operator.instance.dir / "clouds.yaml"
    entry = yaml.safe_load(file.read_text())["clouds"]["acme"]
    cloud = openstack.connect(load_yaml_config=False, load_envvars=False, **entry)
    secret = f"canary-{secrets.token_hex(12)}"
    made = cloud.identity.create_application_credential(cloud.current_user_id, name=secret[:14], secret=secret)
    try:
        yield {
            "application credential": secret,
            "vCenter password": operator.instance.env()["vcenter"]["password"],
            "id": made.id,
        }
    finally:
        cloud.identity.delete_application_credential(cloud.current_user_id, made.id)
        cloud.close()


@pytest.mark.lab
@pytest.mark.usefixtures("fresh_lab")
def test_no_credential_is_ever_seen(operator: Operator, planted: dict[str, str]) -> None:
    environment = operator.instance.env()
    vcenter = environment["vcenter"]
    identity = planted.pop("id")
    entry = yaml.safe_load((operator.instance.dir / "clouds.yaml").read_text())["clouds"]["acme"]
    auth = {
        "auth_url": entry["auth"]["auth_url"],
        "application_credential_id": identity,
        "application_credential_secret": planted["application credential"],
    }
    source = {"auth": auth, "auth_type": "v3applicationcredential", "region_name": entry["region_name"]}
    target = {
        "hostname": vcenter["host"],
        "port": vcenter["port"],
        "username": vcenter["user"],
        "password": planted["vCenter password"],
        "validate_certs": True,
        "ca_cert": vcenter["ca_file"],
    }
    private = operator.folder / "private.yml"
    values: dict[str, Any] = {}
    for role in ("migrate", "rollback"):
        values |= {f"{role}_source": source, f"{role}_target": target}
    private.write_text(yaml.safe_dump(values))
    private.chmod(0o600)
    clouds = operator.folder / "private-clouds.yaml"
    clouds.write_text(yaml.safe_dump({"clouds": {"acme": source}}))
    clouds.chmod(0o600)
    # assess: from clouds.yaml; migrate and rollback: from variables, with nothing in the environment.
    bare = dict.fromkeys(("VMWARE_HOST", "VMWARE_USER", "VMWARE_PASSWORD", "VMWARE_PORT", "OS_CLIENT_CONFIG_FILE"), "")
    private_vars = ["-e", f"@{private}", "-vvvv"]
    played: list[tuple[str, Played]] = []

    with Watch(planted) as watch:
        reader = {
            "name": "reader-1",
            "server_id": environment["readers"][0],
            "connection": {"ansible_connection": "local"},
        }
        extra = {"assess_cloud": "acme", "assess_target": TARGET, "assess_reader": reader}
        from_file = {**bare, "OS_CLIENT_CONFIG_FILE": str(clouds)}
        played.append(("assess", operator.run("assess", "-vvvv", extra=extra, env=from_file).ok()))
        host = operator.host("a b'\"{{ 7*7 }}/../é")

        def as_it_is(plan: dict[str, Any]) -> None:
            plan["tenant"]["cloud"] = None
            plan["workloads"][host]["guest"]["adapt"] = "none"

        operator.edit(as_it_is)
        for name, arguments in (
            ("migrate --check", ["migrate", "--check", "--diff"]),
            ("migrate", ["migrate"]),
            ("migrate again", ["migrate"]),
            ("rollback", ["rollback"]),
        ):
            playbook, *options = arguments
            limits = [*operator.plan_arguments(), "--limit", host]
            done = operator.run(playbook, *limits, *options, *private_vars, env=bare)
            played.append((name, done.ok()))

    for name, done in played:
        assert found_in(done.output.encode(), planted) == set(), name
    assert watch.seen > 100
    assert watch.found == {}
    assert files_with(operator.folder, planted, {private, clouds}) == {}
    for folder in (Path("/var/lib/cloudexit"), Path.home() / ".ansible", Path("/tmp/.ansible")):
        assert files_with(folder, planted, set()) == {}


@pytest.mark.lab
def test_a_wrong_credential_is_not_repeated_in_the_error(operator: Operator) -> None:
    wrong = {"OpenStack": f"wrong-{secrets.token_hex(12)}", "vCenter": f"wrong-{secrets.token_hex(12)}"}
    operator.assess().ok()
    host = operator.host("a b'\"{{ 7*7 }}/../é")
    limits = [*operator.plan_arguments(), "--limit", host, "-vvvv"]

    clouds = yaml.safe_load((operator.instance.dir / "clouds.yaml").read_text())
    clouds["clouds"]["acme"]["auth"]["password"] = wrong["OpenStack"]
    file = operator.folder / "clouds.yaml"
    file.write_text(yaml.safe_dump(clouds))
    refused = operator.run("migrate", *limits, env={"OS_CLIENT_CONFIG_FILE": str(file)})
    assert refused.code != 0
    assert found_in(refused.output.encode(), wrong) == set()

    refused = operator.run("migrate", *limits, env={"VMWARE_PASSWORD": wrong["vCenter"]})
    assert refused.code != 0
    assert found_in(refused.output.encode(), wrong) == set()
    assert files_with(operator.folder, wrong, {file}) == {}


def test_the_search_finds_what_it_must(tmp_path: Path) -> None:
    planted = {"x": "canary-0123456789abcdef"}
    (tmp_path / "plain").write_text("password=canary-0123456789abcdef")
    (tmp_path / "header").write_bytes(base64.b64encode(b"admin:canary-0123456789abcdef"))
    (tmp_path / "clean").write_text("nothing")
    assert set(files_with(tmp_path, planted, set())) == {str(tmp_path / "plain"), str(tmp_path / "header")}
    with Watch(planted) as watch:
        sleeper = subprocess.Popen([sys.executable, "-c", "input()", planted["x"]], stdin=subprocess.PIPE)
        end = time.monotonic() + 10
        while not watch.found and time.monotonic() < end:
            time.sleep(0.01)
        sleeper.communicate(b"\n")
    assert list(watch.found.values()) == [{"x"}]
