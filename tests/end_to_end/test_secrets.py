# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognisable secrets in every credential are found in no output at -vvvv, in no file and in no process argument."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.steps import Watch, failure, small
from tests.installed import Lab
from tests.lab import parts, vcenter
from tests.lab.openstack.rest import Api
from tests.lab.operator import BIN, Operator
from tests.lab.paths import Instance, wait_for
from tests.lab.seed import TENANT

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("without_guests")]

# what quoting, escaping and templates could stumble over, around a core that is searched for
AROUND = "{} & \"'<%s>${{HOME}}$(id)"
CORES = {
    "OpenStack password": "sEcReT0openstackpassword0sEcReT",
    "application credential": "sEcReT1applicationcredential1sEcReT",
    "vCenter password": "sEcReT2vcenterpassword2sEcReT",
    "reader's become password": "sEcReT3becomepassword3sEcReT",
    "wrong OpenStack password": "sEcReT4wrongopenstack4sEcReT",
    "wrong vCenter password": "sEcReT5wrongvcenter5sEcReT",
    "vault password": "sEcReT6vaultpassword6sEcReT",
}
SECRETS = {name: AROUND.format(core) for name, core in CORES.items()}
USER = f"secret-operator-{os.getpid()}"  # Keystone remembers for a while what it knew of a user who is gone


def forms(core: str) -> set[bytes]:
    """How a secret may show: as it is, quoted for a URL, in hex, in Base64 at each of its three alignments."""
    found = {core.encode(), urllib.parse.quote(core).encode(), core.encode().hex().encode()}
    for shift in range(3):
        text = base64.b64encode(b"x" * shift + core.encode())
        found.add(text[4 if shift else 0 : -4])
    return found


NEEDLES = [(name, form) for name, core in CORES.items() for form in forms(core)]
TOKEN = re.compile(rb"gAAAAAB[\w-]{150}")
"""Not planted, but secret all the same: a token of Keystone's (Fernet)."""


def leaks(content: bytes) -> set[str]:
    """The names of the secrets in it."""
    return {name for name, form in NEEDLES if form in content} | ({"a token"} if TOKEN.search(content) else set())


class Spy(threading.Thread):
    """Looks, while others run, at the arguments of every process and at the files that come and go in some folders."""

    def __init__(self, *folders: Path) -> None:
        super().__init__(daemon=True)
        self.folders = folders
        self.found: set[str] = set()
        self.processes: set[str] = set()
        self.files: set[tuple[int, int]] = set()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.02):
            self._arguments()
            for folder in self.folders:
                self._files(folder)

    def _arguments(self) -> None:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                content = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            self.processes.add(pid)
            self.found |= {f"{name} in the arguments of {content[:80]!r}" for name in leaks(content)}

    def _files(self, folder: Path) -> None:
        for path in folder.rglob("*"):
            try:
                about = path.stat()
                key = (about.st_ino, about.st_mtime_ns)
                if path.is_file() and key not in self.files and about.st_size < 4 << 20:
                    self.files.add(key)
                    self.found |= {f"{name} in {path}" for name in leaks(path.read_bytes())}
            except OSError:
                continue

    def __enter__(self) -> Spy:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self.join()


class Planted(Operator):
    """An operator whose every credential is recognisable, and who wants to see everything."""

    credentials: Path
    vcenter_password = SECRETS["vCenter password"]

    @property
    def env(self) -> dict[str, str]:
        private = self.folder / "tmp"
        private.mkdir(exist_ok=True)
        return {
            **super().env,
            "OS_CLIENT_CONFIG_FILE": str(self.credentials / "clouds.yaml"),
            "VMWARE_PASSWORD": self.vcenter_password,
            "ANSIBLE_VAULT_PASSWORD_FILE": str(self.credentials / "vault-password"),
            "ANSIBLE_VERBOSITY": "4",
            "TMPDIR": str(private),
        }


@pytest.fixture
def planted(lab: Lab, collections_path: Path, tmp_path: Path) -> Iterator[Planted]:
    """The operator, at a lab that is as it was seeded but for a user, an application credential and a password."""
    instance = lab.instance
    parts.restore(instance)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "vault-password").write_text(SECRETS["vault password"])
    (credentials / "clouds.yaml").write_text(yaml.safe_dump({"clouds": clouds(instance)}))
    usual = vcenter.options(instance)["password"]
    vcenter.reset(instance, password=SECRETS["vCenter password"])
    operator = Planted(instance, collections_path, tmp_path / "acme")
    operator.credentials = credentials
    yield operator
    vcenter.reset(instance, password=usual)
    parts.restore(instance)


def clouds(instance: Instance) -> dict[str, Any]:
    """Entries of clouds.yaml for a user and an application credential that are made here."""
    admin = Api(instance)
    project = next(p for p in admin.get("identity", "/projects")["projects"] if p["name"] == TENANT)
    password = SECRETS["OpenStack password"]
    body = {"name": USER, "password": password, "default_project_id": project["id"], "domain_id": "default"}
    user = admin.post("identity", "/users", {"user": body})["user"]
    roles = {role["name"]: role["id"] for role in admin.get("identity", "/roles")["roles"]}
    for role in ("member", "reader"):
        admin.put("identity", f"/projects/{project['id']}/users/{user['id']}/roles/{roles[role]}")
    own = Api(instance, USER, password, TENANT)
    secret = SECRETS["application credential"]
    wanted = {"application_credential": {"name": "planted", "secret": secret}}
    made = own.post("identity", f"/users/{user['id']}/application_credentials", wanted)["application_credential"]
    usual = yaml.safe_load((instance.dir / "clouds.yaml").read_text())["clouds"]
    by_password, by_credential = dict(usual["acme"]), dict(usual["acme-appcred"])
    by_password["auth"] = {**by_password["auth"], "username": USER, "password": password}
    url = by_credential["auth"]["auth_url"]
    by_credential["auth"] = {
        "auth_url": url,
        "application_credential_id": made["id"],
        "application_credential_secret": secret,
    }
    wrong = {**by_password, "auth": {**by_password["auth"], "password": SECRETS["wrong OpenStack password"]}}
    return {"acme": by_password, "acme-appcred": by_credential, "wrong": wrong}


def vaulted(operator: Planted, secret: str) -> str:
    """The secret as `ansible-vault encrypt_string` writes it."""
    done = subprocess.run(
        [BIN / "ansible-vault", "encrypt_string", "--stdin-name", "x"],
        input=secret,
        env=operator.env,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.partition(": ")[2].rstrip()


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    for name, secret in SECRETS.items():
        for content in (secret.encode(), base64.b64encode(b"user:" + secret.encode()), repr(secret).encode()):
            assert leaks(b"some text " + content + b" and more") == {name}
    assert leaks(b"nothing") == set()
    (tmp_path / "file").write_text(SECRETS["vault password"])
    leaky = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", SECRETS["vCenter password"]])
    try:
        with Spy(tmp_path) as spy:
            wait_for(lambda: len(spy.found) == 2, 30, "the spy to find a file and an argument")
    finally:
        leaky.kill()
        leaky.wait()


@pytest.mark.timeout(900)
def test_no_secret_is_shown_or_kept(planted: Planted) -> None:
    operator = planted
    outputs: dict[str, str] = {}
    home = operator.folder / "home" / ".ansible"
    with Spy(operator.folder / "tmp", home) as spy:
        outputs["assess"] = operator.assess(assess_cloud="acme", assess_tenant=TENANT).ok().output
        host = small(operator)

        def wrong(plan: dict[str, Any]) -> None:
            plan["tenant"]["cloud"] = "wrong"

        def right(plan: dict[str, Any]) -> None:
            plan["tenant"]["cloud"] = "acme-appcred"

        operator.edit(wrong)
        played = operator.migrate("--limit", host)
        assert "the cloud refused the credential" in failure(played, host)
        outputs["wrong OpenStack password"] = played.output

        operator.edit(right)
        operator.vcenter_password = SECRETS["wrong vCenter password"]
        played = operator.migrate("--limit", host)
        assert "cannot log in to the vCenter" in failure(played, host)
        outputs["wrong vCenter password"] = played.output

        operator.vcenter_password = SECRETS["vCenter password"]
        text = operator.plan_file.read_text()
        secret = vaulted(operator, SECRETS["reader's become password"]).replace("\n", "\n      ")
        text = text.replace(
            "ansible_connection: local\n", f"ansible_connection: local\n      ansible_become_password: {secret}\n"
        )
        assert "!vault" in text
        operator.plan_file.write_text(text)
        watch = Watch(operator.instance)
        played = operator.run("migrate", "--diff", *operator.plan_arguments(), "--limit", host).ok()
        outputs["migrate"] = played.output
        assert watch.left() == {}
        outputs["report"] = operator.run("report", extra={"plan": operator.plan_file.name}).ok().output

    shown = {run: leaks(output.encode()) for run, output in outputs.items()}
    assert {run: found for run, found in shown.items() if found} == {}
    assert all('"invocation"' in output for output in outputs.values()), "it was not verbose"
    assert "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in outputs["migrate"], "no password was among the arguments"
    kept = {
        str(path.relative_to(operator.folder)): leaks(path.read_bytes())
        for path in operator.folder.rglob("*")
        if path.is_file()
    }
    assert any(name.startswith("evidence/") for name in kept)
    assert any(name.startswith("reader-state/") for name in kept)
    assert {name: found for name, found in kept.items() if found} == {}
    assert len(spy.processes) > 50
    assert spy.files, "no transient file was seen"
    assert spy.found == set()
