# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks on objects that take one change at a time: an edge gateway, a vApp, a file with a token.

Cloud Director replaces whole lists, so two who read, change and write at once lose what one of them wrote. The lock is
a file that the processes of one user on one host share (the forks of a play); the kernel gives it back when its holder
dies. Against others, who do not know it, what is read again before each write protects.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Timeout
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Pace

_guard = threading.Lock()
_held: dict[str, threading.RLock] = {}
_depth: dict[str, int] = {}


def folder() -> Path:
    """Where the locks are: a directory of this user alone. Raises CloudExitError when somebody else has it."""
    path = Path(tempfile.gettempdir()) / f"cloudexit-locks-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise CloudExitError(
            f"The directory {path} cannot be used for locks",
            cause="it is not a directory that belongs to this user alone",
            hint="Remove it, or set TMPDIR to another place.",
        )
    return path


@contextlib.contextmanager
def hold(
    name: str,
    what: str,
    *,
    timeout: float = 900.0,
    pace: Pace | None = None,
    where: Callable[[], Path] = folder,
) -> Iterator[None]:
    """Hold the lock of `name` (a host and an id); the same thread may take it again. Raises Timeout."""
    pace = pace or Pace()
    with _guard:
        mine = _held.setdefault(name, threading.RLock())
    if not mine.acquire(timeout=timeout):
        raise _late(what, timeout)
    try:
        if _depth.get(name):
            _depth[name] += 1
            try:
                yield
            finally:
                _depth[name] -= 1
            return
        path = where() / hashlib.sha256(name.encode()).hexdigest()[:32]
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _take(descriptor, what, timeout, pace)
            _depth[name] = 1
            try:
                yield
            finally:
                _depth.pop(name)
        finally:
            os.close(descriptor)
    finally:
        mine.release()


def _take(descriptor: int, what: str, timeout: float, pace: Pace) -> None:
    deadline = pace.now() + timeout
    for pause in pace.pauses(0.05, 1.0):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if pace.now() >= deadline:
                raise _late(what, timeout) from None
            pace.sleep(pause)


def _late(what: str, timeout: float) -> Timeout:
    return Timeout(what, cause=f"another process of ours was at it for more than {timeout:g} s", retryable=True)
