# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A migration engineer at the lab: the installed collection, a folder, credentials, the commands they would type."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import yaml

from .paths import CHECKOUT, Instance

COLLECTION = "cloudexit.flexible_engine"
BIN = Path(sys.executable).parent
TARGET = {
    "datacenter": "DC0",
    "compute": "DC0_C0",
    "datastore": "LocalDS_0",
    "folder": "cloudexit",
    "network": "VM Network",
}
"""What assess is told of the lab's vCenter."""
_PASSED_ON = ("LANG", "LC_ALL", "TERM", "TZ", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_RECAP = re.compile(r"^(\S.*?)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)\s+skipped=(\d+)", re.M)


def cloud_avenue(instance: Instance) -> dict[str, Any]:
    """What assess is told of the lab's Cloud Avenue."""
    about = instance.env()["vcd"]
    return {"type": "vcd", **{key: about[key] for key in ("org", "vdc", "edge")}}


def clean_env(collections: Path, home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment as of a fresh login: nothing of the developer's Ansible, OpenStack or VMware settings."""
    home.mkdir(parents=True, exist_ok=True)
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    env |= {
        "PATH": f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(home),
        "LC_ALL": os.environ.get("LC_ALL", "C.UTF-8"),
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "PYTHONUNBUFFERED": "1",
    }
    return env | dict(extra or {})


def install(target: Path, work: Path) -> Path:
    """Build the collection's artefact from the checkout below work, install it below target; returns target."""
    env = clean_env(target, work / "home")
    dist = work / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    galaxy = [str(BIN / "ansible-galaxy"), "collection"]
    _checked([*galaxy, "build", "--force", "--output-path", str(dist), str(CHECKOUT)], env, work)
    (artefact,) = dist.glob("cloudexit-flexible_engine-*.tar.gz")
    _checked([*galaxy, "install", str(artefact), "--no-deps", "--offline", "-p", str(target)], env, work)
    return target


def _checked(command: list[str], env: Mapping[str, str], cwd: Path) -> None:
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")


def exports(path: Path) -> dict[str, str]:
    """The variables that a shell file of ``export NAME=value`` lines sets."""
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] == "export":
            found |= dict(word.split("=", 1) for word in words[1:] if "=" in word)
    return found


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
    output: str
    seconds: float

    @property
    def recap(self) -> dict[str, Recap]:
        """Per host, the numbers of the play recap."""
        text = self.output.rpartition("PLAY RECAP")[2]
        return {match[0]: Recap(*map(int, match[1:])) for match in _RECAP.findall(text)}

    @property
    def changed(self) -> int:
        """Changes over all hosts."""
        return sum(recap.changed for recap in self.recap.values())

    def ok(self) -> Played:
        """This, if it ended well; an AssertionError that shows the output if not."""
        if self.code != 0:
            raise AssertionError(f"ansible-playbook ended with {self.code}:\n{self.output[-12000:]}")
        return self


class Running:
    """An ansible-playbook under way, which can be killed whole."""

    def __init__(self, command: list[str], env: Mapping[str, str], cwd: Path, echo: TextIO | None) -> None:
        self.began = time.monotonic()
        self.lines: list[str] = []
        self._echo = echo
        self.process = subprocess.Popen(
            command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if self._echo is not None:
                self._echo.write(f"    {line}")
                self._echo.flush()

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL to it and to all that runs below it, as when the operator's machine dies."""
        for pid in [self.process.pid, *_below(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def wait(self, timeout: float) -> Played:
        """How it ended; past the timeout it is killed and subprocess.TimeoutExpired raised."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            print("".join(self.lines[-60:]), file=sys.stderr)
            raise
        self._reader.join(5)
        return Played(code, "".join(self.lines), time.monotonic() - self.began)


def _below(pid: int) -> list[int]:
    """The processes that a process started, and those that they did. (Ansible's workers have sessions of their own.)"""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


class Operator:
    """What a migration engineer has, and what they type.

    collections: where the collection is installed. folder: their working directory (plan, estate, evidence).
    """

    def __init__(self, instance: Instance, collections: Path, folder: Path, echo: TextIO | None = None) -> None:
        self.instance = instance
        self.collections = collections
        self.folder = folder
        self.echo = echo
        folder.mkdir(parents=True, exist_ok=True)
        self.state = folder / "reader-state"
        self.evidence = folder / "evidence"
        self.plan_file = folder / "acme.plan.yml"

    @property
    def env(self) -> dict[str, str]:
        """The environment of their shell."""
        shell = exports(self.instance.dir / "env.sh")
        return clean_env(self.collections, self.folder / "home", {**shell, "PWD": str(self.folder)})

    def start(
        self,
        name: str,
        *arguments: str | Path,
        extra: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Running:
        """Start a playbook of the collection (or a path)."""
        playbook = name if "/" in name else f"{COLLECTION}.{name}"
        command = [str(BIN / "ansible-playbook"), playbook, *map(str, arguments)]
        if extra:
            command += ["-e", json.dumps(extra)]
        if self.echo is not None:
            self.echo.write(f"\n    $ {shlex.join(['ansible-playbook', *command[1:]])}\n")
        return Running(command, {**self.env, **(env or {})}, self.folder, self.echo)

    def run(self, name: str, *arguments: str | Path, timeout: float = 900, **options: Any) -> Played:
        """Run a playbook to its end."""
        return self.start(name, *arguments, **options).wait(timeout)

    def assess(self, **extra: Any) -> Played:
        """Read the tenant and draft its plan."""
        env = self.instance.env()
        reader = next(server for server in env["seed"]["servers"] if server["id"] in env["readers"])
        values: dict[str, Any] = {
            "assess_cloud": "acme",
            "assess_target": TARGET,
            "assess_reader": {
                "name": reader["name"],
                "server_id": reader["id"],
                "connection": {"ansible_connection": "local"},
            },
        }
        return self.run("assess", extra={**values, **extra})

    def plan(self) -> dict[str, Any]:
        """The plan as it is."""
        loaded: dict[str, Any] = yaml.safe_load(self.plan_file.read_text(encoding="utf-8"))
        return loaded

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Edit the plan, as a person would."""
        before = self.plan_file.read_text(encoding="utf-8")
        plan = self.plan()
        change(plan)
        after = yaml.safe_dump(plan, sort_keys=False, allow_unicode=True, width=120)
        self.plan_file.write_text(after, encoding="utf-8")
        if self.echo is not None:
            plain = yaml.safe_dump(yaml.safe_load(before), sort_keys=False, allow_unicode=True, width=120)
            diff = difflib.unified_diff(plain.splitlines(), after.splitlines(), "before", "after", "", "", 1, "")
            self.echo.writelines(f"    {line}\n" for line in diff)

    def host(self, name: str) -> str:
        """The plan's host name of a server by its name in the cloud (the first, where several have it)."""
        return next(host for host, workload in self.plan()["workloads"].items() if workload["source"]["name"] == name)

    def migrate(self, *arguments: str | Path, **options: Any) -> Played:
        """Run migrate on the plan."""
        return self.run("migrate", *self.plan_arguments(), *arguments, **options)

    def prepare(self, *arguments: str | Path, **options: Any) -> Played:
        """Run prepare on the plan."""
        return self.run("prepare", "-i", str(self.plan_file), *arguments, **options)

    def plan_arguments(self) -> list[str]:
        """What every playbook on the plan is given."""
        return [
            "-i",
            str(self.plan_file),
            "-e",
            json.dumps({f"{role}_state_dir": str(self.state) for role in ("migrate", "rollback")}),
        ]

    def results(self) -> Iterator[dict[str, Any]]:
        """What the evidence says of each workload."""
        for file in sorted((self.evidence / "workloads").glob("*.json")):
            yield json.loads(file.read_text(encoding="utf-8"))


class Page:
    """A guest's web pages through the lab's forward."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"

    def get(self, path: str = "/", timeout: float = 5.0) -> str | None:
        """The page, or None where nothing answers."""
        try:
            with urllib.request.urlopen(f"{self.base}{path}", timeout=timeout) as answer:
                return str(answer.read().decode())
        except OSError:
            return None

    def records(self) -> list[tuple[int, str, str]]:
        """The records that the guest wrote: number, time, boot id; empty where nothing answers."""
        text = self.get("/records.log") or ""
        rows = [line.split() for line in text.splitlines()]
        return [(int(row[0]), row[1], row[2]) for row in rows if len(row) == 3 and row[0].isdigit()]
