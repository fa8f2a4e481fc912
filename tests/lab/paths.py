# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a lab instance lives, which ports are its own, and how its processes are started and stopped.

Everything of an instance is below ``<root>/<name>``; what instances share (packages, images, snapshots) is below
``<root>/cache``. The root is ``.lab`` in the checkout, or ``CLOUDEXIT_LAB_ROOT``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
DEFAULT_NAME = os.environ.get("CLOUDEXIT_LAB_NAME", "lab")
DEFAULT_BASE_PORT = 21000
PORTS = {
    "keystone": 0,
    "glance": 1,
    "cinder": 2,
    "nova": 3,
    "placement": 4,
    "neutron": 5,
    "octavia": 6,
    "swift": 7,
    "rabbit": 8,
    "erlang": 9,
    "metadata": 10,
    "swift-account": 11,
    "swift-container": 12,
    "swift-object": 13,
    "barbican": 14,
    "vcsim": 20,
    "vcenter": 21,
    "flexible-engine": 22,
    "vcd": 23,
}
FORWARDS = range(40, 400)
MARKER = "CLOUDEXIT_LAB_PROC"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_began = time.monotonic()


def lab_root() -> Path:
    """The folder of all instances: ``CLOUDEXIT_LAB_ROOT``, or ``.lab`` in the checkout."""
    return Path(os.environ.get("CLOUDEXIT_LAB_ROOT") or CHECKOUT / ".lab").resolve()


def write_atomic(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Put content at path so that a reader sees the old file or the whole new one."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as f:
            f.write(data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


class Instance:
    """One lab by name.

    ``base_port`` is the first of its 400 ports. Left out, it is what ``env.json`` of the instance says, or 21000.
    Raises ValueError for a name that is no plain lower-case word or a base port out of range.
    """

    def __init__(self, name: str = DEFAULT_NAME, base_port: int | None = None, root: Path | str | None = None) -> None:
        if not _NAME.fullmatch(name) or name in ("cache", "src", "venv", "bench", "demo"):
            raise ValueError(f"{name!r} cannot be a lab's name: lower-case letters, digits and '-', no reserved name")
        self.name = name
        self.root = Path(root).resolve() if root else lab_root()
        self.dir = self.root / name
        self.cache = (self.root / "cache").resolve()  # it may be a link; what is in it knows its path
        self.data = self.dir / "data"
        self.etc = self.dir / "etc"
        self.run = self.dir / "run"
        self.logs = self.dir / "log"
        self.base_port = base_port or int(self.env().get("base_port", DEFAULT_BASE_PORT))
        if not 1024 <= self.base_port <= 65535 - max(FORWARDS):
            raise ValueError(f"{self.base_port} cannot be a lab's first port")

    def __repr__(self) -> str:
        return f"Instance({self.name!r}, {self.base_port}, {str(self.root)!r})"

    def make_dirs(self) -> None:
        """Make the instance's folders and the cache."""
        for folder in (self.cache, self.data, self.etc, self.run, self.logs):
            folder.mkdir(parents=True, exist_ok=True)

    def port(self, what: str | int) -> int:
        """The TCP port of a part by name (see PORTS), or by its offset."""
        return self.base_port + (PORTS[what] if isinstance(what, str) else what)

    def url(self, what: str, path: str = "", scheme: str = "http") -> str:
        """``http://127.0.0.1:<port><path>`` of a part."""
        return f"{scheme}://{HOST}:{self.port(what)}{path}"

    def forward_ports(self) -> range:
        """The ports that guests may be forwarded to."""
        return range(self.base_port + FORWARDS.start, self.base_port + FORWARDS.stop)

    def log(self, name: str) -> Path:
        """The log file of a process or step."""
        return self.logs / f"{name}.log"

    def env(self) -> dict[str, Any]:
        """What env.json of the instance says; empty when there is none."""
        try:
            found = json.loads((self.dir / "env.json").read_text())
        except FileNotFoundError:
            return {}
        return found if isinstance(found, dict) else {}

    def update_env(self, **values: Any) -> dict[str, Any]:
        """Merge top-level values into env.json under a lock; None removes a key. Returns the new content."""
        with self.lock("env"):
            env = self.env()
            env.update(values)
            env = {k: v for k, v in env.items() if v is not None}
            write_atomic(self.dir / "env.json", json.dumps(env, indent=2, sort_keys=True) + "\n")
        return env

    @contextlib.contextmanager
    def lock(self, what: str) -> Iterator[None]:
        """Hold an exclusive lock of the instance (released by the kernel if the holder dies)."""
        folder = self.dir / "lock"
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / what, "w") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            yield

    def say(self, step: str) -> None:
        """Print a step with the seconds since this program began."""
        print(f"[{time.monotonic() - _began:6.1f}s] {self.name}: {step}", flush=True)

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Say what is done, and afterwards how long it took."""
        self.say(f"{what} ...")
        begun = time.monotonic()
        yield
        self.say(f"{what}: {time.monotonic() - begun:.1f} s")


def proc_start_time(pid: int) -> int | None:
    """Clock ticks after boot at which a process began (proc(5), stat field 22); None if it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


class Proc:
    """A background process of an instance, known by ``run/<name>.pid``.

    The pid file holds pid and start time, and each process carries the variable CLOUDEXIT_LAB_PROC with the pid
    file's path in its environment, which its children inherit: a recycled pid is never taken for ours, and children
    that outlive their parent are still found.
    """

    def __init__(self, instance: Instance, name: str) -> None:
        self.instance = instance
        self.name = name
        self.file = instance.run / f"{name}.pid"
        self._child: subprocess.Popen[bytes] | None = None

    def start(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        log: Path | None = None,
    ) -> int:
        """Start argv in a session of its own, output appended to log (default: the instance's log of this name).

        env is added to this process's environment. Does nothing when it runs already. Returns the pid.
        """
        running = self.pid
        if running is not None:
            return running
        self.file.parent.mkdir(parents=True, exist_ok=True)
        log = log or self.instance.log(self.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        full = {**os.environ, **(env or {}), MARKER: str(self.file)}
        with open(log, "ab") as out:
            self._child = subprocess.Popen(
                [str(a) for a in argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=full,
                cwd=str(cwd or self.instance.dir),
                start_new_session=True,
            )
        pid = self._child.pid
        content = {"pid": pid, "start": proc_start_time(pid), "argv": [str(a) for a in argv]}
        write_atomic(self.file, json.dumps(content) + "\n")
        return pid

    def _recorded(self) -> tuple[int, int] | None:
        try:
            content = json.loads(self.file.read_text())
            return int(content["pid"]), int(content["start"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    @property
    def pid(self) -> int | None:
        """The pid while the process that was started is alive, else None."""
        if self._child is not None:
            self._child.poll()
        recorded = self._recorded()
        if recorded and proc_start_time(recorded[0]) == recorded[1]:
            return recorded[0]
        return None

    def alive(self) -> bool:
        """Whether the started process itself is alive."""
        return self.pid is not None

    def members(self) -> list[int]:
        """Pids of the process and of its living descendants."""
        wanted = f"{MARKER}={self.file}".encode()
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                marked = wanted in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if marked and proc_start_time(int(entry)) is not None:
                found.append(int(entry))
        return found

    def signal(self, number: int) -> None:
        """Send a signal to the process group, if the process is alive."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)

    def stop(self, grace: float = 10.0) -> bool:
        """TERM to all of it, wait until all of it is gone, KILL what is left after grace seconds.

        Returns False when something had to be killed. Does nothing when nothing runs.
        """
        self.terminate()
        return self.wait_gone(grace)

    def terminate(self) -> None:
        """TERM to the process group and to descendants that left the group."""
        self.signal(signal.SIGTERM)
        for member in self.members():
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(member) != self.pid:
                    os.kill(member, signal.SIGTERM)

    def wait_gone(self, grace: float) -> bool:
        """Wait up to grace seconds for the process and its descendants to end, then KILL them."""
        end = time.monotonic() + grace
        pid = self.pid
        if pid is not None:
            wait_exit(pid, grace)
        clean = True
        while left := self.members():
            if time.monotonic() >= end:
                clean = False
                for member in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(member, signal.SIGKILL)
                end = time.monotonic() + 0.2
            time.sleep(0.02)
            if self._child is not None:
                self._child.poll()
        self.file.unlink(missing_ok=True)
        if self._child is not None:
            self._child.wait()
        return clean


def wait_exit(pid: int, timeout: float) -> bool:
    """Wait for a process to exit without being its parent; whether it did in time."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], timeout)[0])
    finally:
        os.close(fd)


def wait_for(condition: Any, timeout: float, what: str, every: float = 0.1) -> Any:
    """Call condition until it returns something true and return that. Raises TimeoutError naming ``what``."""
    end = time.monotonic() + timeout
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() >= end:
            raise TimeoutError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(every)


def stop_all(procs: Sequence[Proc], grace: float = 10.0) -> None:
    """TERM to all at once, then wait for each; the grace time is shared."""
    end = time.monotonic() + grace
    for proc in procs:
        proc.terminate()
    for proc in procs:
        proc.wait_gone(max(0.0, end - time.monotonic()))


def running_procs(instance: Instance) -> list[Proc]:
    """Every process of an instance that has a pid file."""
    return [Proc(instance, f.name.removesuffix(".pid")) for f in sorted(instance.run.glob("*.pid"))]


def fail(message: str) -> None:
    """Say on stderr what is wrong and end the program with code 1."""
    print(message, file=sys.stderr, flush=True)
    raise SystemExit(1)
