# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job that outlives the run that started it, and its record on the host where it works.

    <state dir>/jobs/<job id>/status.json   replaced atomically; phase, progress, error, result; no secret in it
    <state dir>/jobs/<job id>/lock          held (flock) as long as the job lives: a dead job can never look alive
    <state dir>/jobs/<job id>/log           tracebacks of faults, for support
    <state dir>/jobs/<job id>/*.manifest    what the job proved

The directories are readable by their owner only. One job at a time per job id.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Timeout

FINAL = frozenset({"done", "failed"})
DEFAULT_STATE_DIR = "/var/lib/cloudexit"
INLINE = 4 << 20
"""Bytes of manifests that a module's result carries."""
KEEP_S = 24 * 3600.0
"""How long the record of a job that is done stays for whoever asks again."""


def job_id(*parts: str) -> str:
    """A name that is safe as a file name and the same for the same parts on every run and every controller."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


class Record:
    """The record of one job. Nothing is created before `claim`."""

    def __init__(self, state_dir: str | os.PathLike[str], job: str) -> None:
        self.root = Path(state_dir)
        self.job = job
        self.path = self.root / "jobs" / job

    # -- life

    def claim(self) -> int | None:
        """Take the job's lock and return its descriptor, or None where the job lives. Makes the directories.

        Raises CloudExitError where the state directory cannot be used.
        """
        self._make()
        while True:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            try:  # the record may have been cleared between open and lock
                if os.path.samestat(os.fstat(descriptor), os.stat(self.path / "lock")):
                    return descriptor
            except FileNotFoundError:
                self._make()
            os.close(descriptor)

    def alive(self) -> bool:
        """Whether a process holds the job's lock."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def stop(self, wait_s: float = 60.0) -> bool:
        """Ask a living job to end (SIGTERM: it gives its lease back) and wait; returns whether it lived.

        Raises Timeout where it does not end. The signal goes to a process id whose start time is the recorded one.
        """
        if not self.alive():
            return False
        status = self.read()
        deadline = time.monotonic() + wait_s
        pid = int(status.get("pid") or 0)
        if pid > 1 and process_start(pid) == status.get("pid_start"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        while self.alive():
            if time.monotonic() > deadline:
                raise Timeout(
                    f"Job {self.job} does not end",
                    cause=f"process {pid} was asked to {wait_s:.0f} s ago",
                    hint=f"Look at {self.path}/log on the reader host and end the process there.",
                    retryable=True,
                )
            time.sleep(0.1)
        return True

    # -- content

    def read(self) -> dict[str, Any]:
        """The last status, {} where there is none."""
        try:
            found = json.loads((self.path / "status.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, status: Mapping[str, Any], *, durable: bool = False) -> None:
        """Replace the status. durable: also survives a power cut."""
        temporary = self.path / f".status.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8", opener=_private) as stream:
            json.dump(status, stream, separators=(",", ":"))
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(temporary, self.path / "status.json")

    def look(self) -> dict[str, Any]:
        """The status as it is true: one that is not final although nobody holds the lock says so in `dead`."""
        alive = self.alive()
        status = self.read()
        status["alive"] = alive
        status["dead"] = not alive and status.get("phase") not in FINAL
        return status

    def wait(self, seconds: float, seen: str = "") -> dict[str, Any]:
        """Look until the job has ended, or its stage is another than `seen`, or `seconds` have passed.

        A job that tells no `stage` is watched by its phase.
        """
        deadline = time.monotonic() + seconds
        pause = 0.05
        while True:
            status = self.look()
            phase = status.get("phase", "")
            if phase in FINAL or status["dead"] or (seen and status.get("stage", phase) != seen):
                return status
            left = deadline - time.monotonic()
            if left <= 0:
                return status
            time.sleep(min(pause, left))
            pause = min(pause * 1.4, 0.5)

    def log(self, text: str) -> None:
        """Append to the job's log, for support."""
        with open(self.path / "log", "a", encoding="utf-8", opener=_private) as stream:
            stream.write(f"{now()} {text.rstrip()}\n")

    def forget(self) -> None:
        """Remove the record of a job that does not live."""
        if not self.alive():
            shutil.rmtree(self.path, ignore_errors=True)

    def usable(self) -> None:
        """Raises CloudExitError where the state directory could not be used or made; makes nothing."""
        for directory in (self.root / "jobs", self.root, *self.root.absolute().parents):
            if directory.exists():
                if not directory.is_dir():
                    raise self._unusable(NotADirectoryError(20, f"{directory} is not a directory"))
                if not os.access(directory, os.W_OK | os.X_OK):
                    raise self._unusable(PermissionError(13, f"{directory} is not writable"))
                return

    def _make(self) -> None:
        try:
            for directory in (self.root, self.root / "jobs", self.path):
                directory.mkdir(mode=0o700, parents=directory == self.root, exist_ok=True)
                if not os.access(directory, os.W_OK | os.X_OK):
                    raise PermissionError(13, "not writable")
        except OSError as exc:
            raise self._unusable(exc) from exc

    def _unusable(self, exc: OSError) -> CloudExitError:
        return CloudExitError(
            f"The state directory {self.root} cannot be used on this host",
            cause=exc.strerror or str(exc),
            hint="Run with become, or name another directory with state_dir.",
        )


def outcome(record: Record, status: Mapping[str, Any], *, manifests: bool, limit: int = INLINE) -> dict[str, Any]:
    """What a module returns of a job: `finished`, `status`, and of one that is done `result` and its manifests.

    manifests: {file name: content as base64}, or None for one that with those before it is larger than `limit` bytes.
    """
    finished = status.get("phase") in FINAL or bool(status.get("dead"))
    shown = {key: value for key, value in status.items() if key not in ("result", "verified", "lease")}
    found: dict[str, Any] = {"finished": finished, "job": record.job, "record": str(record.path), "status": shown}
    if status.get("phase") != "done":
        return found
    found["result"] = status.get("result", {})
    if manifests:
        found["manifests"] = {}
        for path in sorted(record.path.glob("*.manifest")):
            limit -= path.stat().st_size
            found["manifests"][path.name] = base64.b64encode(path.read_bytes()).decode() if limit >= 0 else None
    return found


def sweep(state_dir: str | os.PathLike[str], keep_s: float = KEEP_S) -> list[str]:
    """Remove records of jobs that are done for longer than `keep_s` seconds, and of dead ones ten times as old."""
    removed = []
    jobs = Path(state_dir) / "jobs"
    for path in sorted(jobs.iterdir()) if jobs.is_dir() else []:
        record = Record(state_dir, path.name)
        try:
            age = time.time() - (path / "status.json").stat().st_mtime
        except FileNotFoundError:
            continue
        limit = keep_s if record.read().get("phase") == "done" else keep_s * 10
        if age > limit and not record.alive():
            record.forget()
            removed.append(path.name)
    return removed


def spawn(record: Record, lock: int, body: Callable[[Record], None], before: Mapping[str, Any]) -> None:
    """Run `body(record)` in a process of its own that keeps `lock`, belongs to no terminal and to no parent.

    `before` is written as the first status. Returns in the calling process as soon as the job has its own process;
    the caller's standard streams are not held open by it. Everything that `body` needs must be imported already.
    """
    record.write({**before, "phase": "starting", "pid": 0, "pid_start": 0})
    first = os.fork()
    if first:
        _pid, result = os.waitpid(first, 0)
        os.close(lock)
        if result:
            raise CloudExitError("The job could not be started on the reader host", cause=f"fork ended with {result}")
        return
    # in the child: nothing may return into the caller's code
    code = 1
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        _detach(lock)
        _run(record, body, before)
        code = 0
    except BaseException:
        with contextlib.suppress(Exception):
            record.log(traceback.format_exc())
    finally:
        os._exit(code)


def _run(record: Record, body: Callable[[Record], None], before: Mapping[str, Any]) -> None:
    status = {**before, "phase": "starting", "pid": os.getpid(), "pid_start": process_start(os.getpid())}
    record.write(status)
    try:
        body(record)
    except CloudExitError as error:
        failed(record, error)
    except BaseException as exc:
        record.log(traceback.format_exc())
        where = traceback.extract_tb(exc.__traceback__)[-1]
        failed(
            record,
            CloudExitError(
                "The job on the reader host ended with a fault",
                cause=f"{type(exc).__name__} at {Path(where.filename).name}:{where.lineno}",
                hint=f"The details are in {record.path}/log on the reader host.",
            ),
        )


def failed(record: Record, error: CloudExitError) -> None:
    """Write the last status of a job that ended with an error."""
    status = record.read()
    status["phase"] = "failed"
    status["ended"] = now()
    status["error"] = {
        "type": type(error).__name__,
        "msg": str(error),
        "hint": error.hint,
        "retryable": error.retryable,
    }
    record.write(status, durable=True)


def process_start(pid: int) -> int:
    """The start time of a process in clock ticks since boot (`/proc/<pid>/stat`, field 22), 0 where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[19])


def now() -> str:
    """This moment as ISO 8601 in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _detach(keep: int) -> None:
    """No inherited descriptor but `keep`, the standard streams on /dev/null, no core file (secrets are in memory)."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    # the lock may sit on a low number: move everything else away by closing around it
    most = os.sysconf("SC_OPEN_MAX")
    open_now = [int(name) for name in os.listdir("/proc/self/fd")] if os.path.isdir("/proc/self/fd") else range(3, most)
    for descriptor in open_now:
        if descriptor > 2 and descriptor != keep:
            with contextlib.suppress(OSError):
                os.close(descriptor)
    for signum in (signal.SIGHUP, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)
