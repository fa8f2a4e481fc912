# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest's own program, run on this host without trusting it.

It gets namespaces of its own for mounts, processes, network, IPC and host name; the guest's file system as its root
through pivot_root, read-only, without set-user-id programs and device nodes; tmpfs where it needs to write; a /dev of
a few harmless nodes; no network; few capabilities and no way to get more; a deadline and a limit on its output.
What it makes is one file, copied out when it has ended.

That is containment and not isolation: it runs on this host's kernel, as root. Use a reader host that can be thrown
away.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import stat
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import linux
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Timeout

MAX_OUTPUT = 64 << 10
MAX_RESULT = 1 << 30
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {
    "PATH": PATH,
    "HOME": "/root",
    "LC_ALL": "C",
    "TMPDIR": "/tmp",
    "DEBIAN_FRONTEND": "noninteractive",
    # Extended attributes that need privileges which the program has not.
    "DRACUT_NO_XATTR": "1",
    "SYSTEMD_OFFLINE": "1",
}
# name, major, minor, mode
_NODES = (
    ("null", 1, 3, 0o666),
    ("zero", 1, 5, 0o666),
    ("full", 1, 7, 0o666),
    ("random", 1, 8, 0o666),
    ("urandom", 1, 9, 0o666),
    ("tty", 5, 0, 0o666),
)
_LINKS = (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"))


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit status (128 + signal when it was killed) and the last of what it printed."""

    status: int
    output: str


def run(
    root: str,
    command: Sequence[str],
    *,
    name: str,
    result: str,
    into: int,
    mounts: Sequence[str] = (),
    devices: Sequence[tuple[str, int]] = (),
    timeout: float = 900,
    scratch_mib: int = 2048,
) -> Ended:
    """Run `command` in the guest mounted at `root` and copy the file `result` (below /tmp) to the open file `into`.

    name: what to call it in messages.
    mounts: where further file systems of the guest are mounted, as the guest names them. devices: nodes for its /dev as
    (name, device number). Raises Timeout; CloudExitError when the surroundings could not be made.
    """
    reading, writing = os.pipe()
    told, telling = os.pipe()
    child = os.fork()
    if child == 0:
        _Inside(root, command, result, into, mounts, devices, scratch_mib).start(writing, telling)
    os.close(writing)
    os.close(telling)
    try:
        output, ended = _collect(reading, time.monotonic() + timeout)
        if not ended:
            raise Timeout(
                f"{name} of the guest did not end within {timeout:.0f} s",
                cause=output[-300:].strip(),
                hint="Its processes were stopped and the guest is as it was before.",
            )
        trouble = os.read(told, 4096).decode("utf-8", "replace")
        status = os.waitpid(child, 0)[1]
        child = 0
    finally:
        os.close(reading)
        os.close(told)
        if child:
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)
    if trouble:
        raise CloudExitError(f"{name} of the guest could not be started", cause=trouble)
    return Ended(_status(status), output)


def _collect(reading: int, deadline: float) -> tuple[str, bool]:
    """The last output until the pipe is closed; False where the deadline came first."""
    kept = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reading], [], [], left)[0]:
            return kept.decode("utf-8", "replace"), False
        block = os.read(reading, 65536)
        if not block:
            return kept.decode("utf-8", "replace"), True
        kept = (kept + block)[-MAX_OUTPUT:]


def _status(status: int) -> int:
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


class _Inside:
    """What happens in the child processes: one that holds the namespaces, their first process, and the program."""

    def __init__(
        self,
        root: str,
        command: Sequence[str],
        result: str,
        into: int,
        mounts: Sequence[str],
        devices: Sequence[tuple[str, int]],
        scratch_mib: int,
    ) -> None:
        self.root = root
        self.command = list(command)
        self.result = result
        self.into = into
        self.mounts = mounts
        self.devices = devices
        self.scratch_mib = scratch_mib

    def start(self, writing: int, telling: int) -> None:
        """Never returns."""
        status = 125
        try:
            linux.die_with_parent()
            os.setsid()
            null = os.open("/dev/null", os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            self.into, telling = self._keep_only(self.into, telling)
            flags = linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
            linux.private_mounts()
            linux.unshare(flags)
            first = os.fork()
            status = self.first(telling) if first == 0 else self._hold(first)
        except BaseException as error:
            self._tell(telling, error)
        finally:
            os._exit(status)

    @staticmethod
    def _hold(first: int) -> int:
        """Wait for the first process; when asked to stop, kill it, and with it all others, and wait for that."""
        signal.signal(signal.SIGTERM, lambda *_: os.kill(first, signal.SIGKILL))
        return _status(os.waitpid(first, 0)[1])

    def first(self, telling: int) -> int:
        """The first process of the new namespaces."""
        linux.die_with_parent()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        last = linux.last_capability()
        # Behind pivot_root the guest's files stand where this host's Python library was: nothing may be imported there.
        sys.meta_path.clear()
        sys.path.clear()
        self.furnish()
        linux.drop_capabilities(last)
        program = os.fork()
        if program == 0:
            os.closerange(3, 64)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            try:
                os.execvpe(self.command[0], self.command, ENVIRONMENT)
            except OSError as error:
                os.write(2, f"{self.command[0]}: {error.strerror}\n".encode())
            os._exit(127)
        status = 0
        while True:
            with contextlib.suppress(InterruptedError):
                ended, status = os.waitpid(-1, 0)
                if ended == program:
                    break
        status = _status(status)
        if status == 0:
            try:
                self.hand_out()
            except OSError as error:
                self._tell(telling, error)
                return 125
        return status

    def furnish(self) -> None:
        """Root, /dev, /proc and places to write; done behind pivot_root, so that no link of the guest leads out."""
        linux.enter_root(self.root)
        bare = linux.MS_NOSUID | linux.MS_NODEV
        for path in ("/", *self.mounts):
            linux.mount("", path, "", linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | bare)
        linux.mount("tmpfs", "/dev", "tmpfs", linux.MS_NOSUID | linux.MS_NOEXEC, "mode=0755,size=1m")
        for name, major, minor, mode in _NODES:
            self._node(name, os.makedev(major, minor), mode | stat.S_IFCHR)
        for name, number in self.devices:
            self._node(name, number, 0o400 | stat.S_IFBLK)
        for name, target in _LINKS:
            os.symlink(target, f"/dev/{name}")
        size = f"size={self.scratch_mib}m"
        for path, options in (
            ("/run", "mode=0755,size=64m"),
            ("/tmp", f"mode=1777,{size}"),
            ("/var/tmp", f"mode=1777,{size}"),
            ("/sys", "mode=0555,size=1m"),
        ):
            if os.path.isdir(path):
                linux.mount("tmpfs", path, "tmpfs", bare, options)
        linux.mount("proc", "/proc", "proc", bare | linux.MS_NOEXEC | linux.MS_RDONLY)
        socket.sethostname("guest")
        os.umask(0o022)

    def hand_out(self) -> None:
        """Copy the result out, without following a link that the program may have left in its place."""
        handle = os.open(self.result, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            details = os.fstat(handle)
            if not stat.S_ISREG(details.st_mode) or details.st_size > MAX_RESULT:
                raise OSError(0, "it made no proper file")
            while block := file.read(1 << 20):
                view = memoryview(block)
                while view:
                    view = view[os.write(self.into, view) :]

    @staticmethod
    def _node(name: str, number: int, mode: int) -> None:
        mask = os.umask(0)
        os.mknod(f"/dev/{name}", mode, number)
        os.umask(mask)

    @staticmethod
    def _keep_only(*handles: int) -> tuple[int, ...]:
        """Move the handles to 3, 4, ... and close all others."""
        high = [os.dup2(handle, 200 + index) for index, handle in enumerate(handles)]
        low = tuple(os.dup2(handle, 3 + index, inheritable=False) for index, handle in enumerate(high))
        os.closerange(3 + len(handles), max(4096, high[-1] + 1))
        return low

    @staticmethod
    def _tell(telling: int, error: BaseException) -> None:
        text = getattr(error, "strerror", "") or str(error) or type(error).__name__
        with contextlib.suppress(OSError):
            os.write(telling, text.encode()[:1000])
