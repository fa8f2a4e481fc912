# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests of the installed collection: the artefact, a lab, ansible-playbook as after a login, an operator.

The artefact is built and the lab started once for a pytest run, whichever folders the tests are in.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab import operator as operators
from tests.lab.operator import BIN, Operator, Played
from tests.lab.paths import DEFAULT_NAME, Instance, lab_root, running_procs

ROOT = Path(__file__).resolve().parents[1]
# Of this process alone, so that two runs do not exchange the collection under each other.
RUN = lab_root() / "run" / str(os.getpid())
HOME = RUN / "home"

__all__ = ["BIN", "ROOT", "RUN", "Alone", "Lab", "Playbook", "clean_env"]
__all__ += ["collections_path", "fresh_lab", "lab", "operator", "playbook"]

Playbook = Callable[..., Played]
_INSTALLED = pytest.StashKey[Path]()


def clean_env(collections: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment as of a fresh login, for programs that use the collection without a lab."""
    return operators.clean_env(collections, HOME, {"ANSIBLE_PYTHON_INTERPRETER": sys.executable, **(extra or {})})


@pytest.fixture(scope="session")
def collections_path(pytestconfig: pytest.Config) -> Path:
    """A folder for ANSIBLE_COLLECTIONS_PATH that holds the freshly built and installed collection."""
    cached = pytestconfig.stash.get(_INSTALLED, None)
    if cached is None:
        RUN.mkdir(parents=True, exist_ok=True)
        atexit.register(shutil.rmtree, RUN, ignore_errors=True)
        cached = operators.install(RUN / "collections", RUN)
        pytestconfig.stash[_INSTALLED] = cached
    return cached


@dataclass(frozen=True)
class Lab:
    """A running lab: its instance, and the environment of a user of it (what `env.sh` exports)."""

    instance: Instance

    @property
    def env(self) -> dict[str, Any]:
        """What env.json says now."""
        return self.instance.env()

    @property
    def environment(self) -> dict[str, str]:
        """What env.sh exports now."""
        return operators.exports(self.instance.dir / "env.sh")


def lab_command(command: str, check: bool = True) -> int:
    """Run `python -m tests.lab <command>` on the lab of this run, with its output shown as it comes."""
    words = [sys.executable, "-m", "tests.lab", command, "--name", DEFAULT_NAME]
    return subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL, check=check).returncode


def lab_runs(instance: Instance) -> bool:
    """Whether the lab is up: it has processes, and each is alive."""
    procs = running_procs(instance)
    return bool(procs) and all(proc.alive() for proc in procs)


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Iterator[Lab]:
    """The lab, started and seeded when it is not up; stopped at the end if it was started here.

    CLOUDEXIT_LAB_NAME names another one than `lab`; CLOUDEXIT_LAB_KEEP=1 leaves it running, for the next run.
    """
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    instance = Instance()
    started = False
    with capture.global_and_fixture_disabled():
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
        yield Lab(instance)
    finally:
        if started and os.environ.get("CLOUDEXIT_LAB_KEEP") != "1":
            with capture.global_and_fixture_disabled():
                lab_command("down", check=False)


@pytest.fixture
def fresh_lab(lab: Lab) -> Lab:
    """The lab as it was after the seed (a reset takes seconds): for a test that moves machines."""
    lab_command("reset")
    return lab


@pytest.fixture
def operator(lab: Lab, collections_path: Path, tmp_path: Path) -> Operator:
    """A migration engineer with the installed collection, the lab's credentials and an empty folder of their own."""
    return Operator(lab.instance, collections_path, tmp_path / "acme")


@pytest.fixture
def playbook(collections_path: Path, tmp_path: Path) -> Playbook:
    """Run a playbook of the installed collection, without a lab, in the test's own folder.

    `playbook("report", extra={"evidence": "evidence"}).ok().recap["localhost"].changed`; a path is run as it is.
    """

    def run(name: str, *arguments: str | Path, timeout: float = 600, **options: Any) -> Played:
        return Alone(collections_path, tmp_path).run(name, *arguments, timeout=timeout, **options)

    return run


class Alone(Operator):
    """An operator without a lab."""

    def __init__(self, collections: Path, folder: Path) -> None:
        super().__init__(Instance(), collections, folder)

    @property
    def env(self) -> dict[str, str]:
        return clean_env(self.collections, {"PWD": str(self.folder)})
