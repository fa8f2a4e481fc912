# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests of the installed collection: the artefact, a lab, and ansible-playbook in a clean environment.

Each is made once per pytest run, whichever folders the tests are in (the cache is on the session's config).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.paths import Instance, running_procs

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / ".lab" / "run"
HOME = RUN / "home"
BIN = Path(sys.executable).parent
_PASSED_ON = ("LANG", "LC_ALL", "TERM", "TZ", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_RECAP = re.compile(r"^(\S.*?)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)\s+skipped=(\d+)", re.M)


def clean_env(collections: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment as of a fresh login: nothing of the developer's Ansible, OpenStack or VMware settings."""
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    env |= {
        "PATH": f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(HOME),
        "LC_ALL": os.environ.get("LC_ALL", "C.UTF-8"),
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_HOME": str(HOME / ".ansible"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "PYTHONUNBUFFERED": "1",
    }
    return env | dict(extra or {})


def install(target: Path) -> Path:
    """Build the artefact from the checkout and install it below `target`; returns `target`."""
    env = clean_env(target)
    dist = RUN / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    HOME.mkdir(parents=True, exist_ok=True)
    galaxy = [str(BIN / "ansible-galaxy"), "collection"]
    _checked([*galaxy, "build", "--force", "--output-path", str(dist), str(ROOT)], env)
    (artefact,) = dist.glob("cloudexit-flexible_engine-*.tar.gz")
    _checked([*galaxy, "install", str(artefact), "--no-deps", "--offline", "-p", str(target)], env)
    return target


def _checked(command: Sequence[str], env: Mapping[str, str]) -> None:
    done = subprocess.run(command, env=env, cwd=RUN, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")


@pytest.fixture(scope="session")
def collections_path(pytestconfig: pytest.Config) -> Path:
    """A folder for ANSIBLE_COLLECTIONS_PATH that holds the freshly built and installed collection."""
    cached = pytestconfig.stash.get(_INSTALLED, None)
    if cached is None:
        RUN.mkdir(parents=True, exist_ok=True)
        with open(RUN / "install.lock", "w") as lock_file:
            fcntl.flock(lock_file, fcntl.LOCK_EX)
            cached = install(RUN / "collections")
        pytestconfig.stash[_INSTALLED] = cached
    return cached


_INSTALLED = pytest.StashKey[Path]()


@dataclass(frozen=True)
class Lab:
    """A running lab: its instance, and the environment of a user of it (what `env.sh` exports)."""

    instance: Instance
    environment: dict[str, str]

    @property
    def env(self) -> dict[str, Any]:
        """What env.json says now."""
        return self.instance.env()

    @property
    def dir(self) -> Path:
        return self.instance.dir


def lab_command(*arguments: str, check: bool = True) -> int:
    """Run `python -m tests.lab <arguments>` with its output shown as it comes."""
    command = [sys.executable, "-m", "tests.lab", *arguments]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=check).returncode


def lab_runs(instance: Instance) -> bool:
    """Whether the lab is up: it has processes, and each is alive."""
    procs = running_procs(instance)
    return bool(procs) and all(proc.alive() for proc in procs)


def _exports(path: Path) -> dict[str, str]:
    """The variables that a shell file of `export NAME=value` lines sets."""
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] == "export":
            found |= dict(word.split("=", 1) for word in words[1:] if "=" in word)
    return found


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Iterator[Lab]:
    """The lab `lab`, started and seeded when it is not up; stopped at the end if it was started here.

    CLOUDEXIT_LAB_KEEP=1 leaves it running, for the next run.
    """
    instance = Instance()
    started = False
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        if not lab_runs(instance):
            print("\n==> starting the lab for this run", flush=True)
            started = True
            try:
                lab_command("up")
                lab_command("seed")
            except subprocess.CalledProcessError as error:
                lab_command("down", check=False)
                pytest.exit(f"the lab could not be started: {error}", returncode=3)
    try:
        yield Lab(instance, _exports(instance.dir / "env.sh"))
    finally:
        if started and os.environ.get("CLOUDEXIT_LAB_KEEP") != "1":
            with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
                lab_command("down", check=False)


@dataclass(frozen=True)
class Recap:
    """What the play recap says of a host."""

    ok: int
    changed: int
    unreachable: int
    failed: int
    skipped: int


@dataclass(frozen=True)
class Played:
    """How ansible-playbook ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return f"{self.stdout}\n{self.stderr}"

    @property
    def recap(self) -> dict[str, Recap]:
        """Per host, the numbers of the play recap."""
        text = self.stdout.rpartition("PLAY RECAP")[2]
        return {match[0]: Recap(*map(int, match[1:])) for match in _RECAP.findall(text)}

    def ok(self) -> Played:
        """This, if it ended well; an AssertionError that shows the output if not."""
        assert self.code == 0, f"ansible-playbook ended with {self.code}:\n{self.output[-8000:]}"
        return self


Playbook = Callable[..., Played]


def play(
    collections: Path,
    name: str,
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
    cwd: Path | None = None,
    timeout: float = 600,
) -> Played:
    """Run ansible-playbook in a clean environment; `name` is a playbook of the collection, or a path."""
    playbook = name if "/" in name else f"cloudexit.flexible_engine.{name}"
    command = [str(BIN / "ansible-playbook"), playbook, *map(str, arguments)]
    if extra:
        command += ["-e", json.dumps(extra)]
    HOME.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        command,
        env=clean_env(collections, {"PWD": str(cwd or RUN), **(env or {})}),
        cwd=cwd or RUN,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Played(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def playbook(collections_path: Path, tmp_path: Path) -> Playbook:
    """Run a playbook of the installed collection: `playbook("report", "-i", plan, env=lab.environment).ok()`.

    The working directory is the test's own folder.
    """

    def run(name: str, *arguments: str | Path, **options: Any) -> Played:
        return play(collections_path, name, *arguments, **{"cwd": tmp_path, **options})

    return run
