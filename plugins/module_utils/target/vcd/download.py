# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a machine's disks back, by the way that a tenant has: the download of a VM or vApp as a package.

It must be switched off. Cloud Director first writes the package to its own transfer space (`enableDownload`), which
takes as long as a copy; so what is opened is closed again.
"""

from __future__ import annotations

import contextlib
import io
import re
import threading
import urllib.parse
from collections.abc import Callable
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    NotFound,
    Timeout,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import ovf, tasks, wire, xml
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.ovf import PackageDisk
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Answer

if TYPE_CHECKING:
    import requests

TRIES = 8
_PIECE = 1 << 20
_RANGE = re.compile(r"bytes\s+([0-9]{1,20})-([0-9]{1,20})/([0-9]{1,20}|\*)")


class Download(io.RawIOBase):
    """A file as it comes, read forward once; after a break it goes on where it was. Its errors are Unreachable."""

    def __init__(
        self,
        session: Session,
        href: str,
        what: str,
        *,
        size: int = 0,
        timeout: float = 120.0,
        guard: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self.received = 0
        self.size = size
        self._session = session
        self._href = href
        self._what = what
        self._timeout = timeout
        self._guard = guard
        self._response: requests.Response | None = None
        self._tries = 0
        self._open()

    def readable(self) -> bool:
        return True

    def _open(self) -> requests.Response:
        headers = {"Range": f"bytes={self.received}-"} if self.received else {}
        response = self._session.stream(self._href, self._what, headers=headers, timeout=self._timeout)
        if response.status_code not in (200, 206):
            with contextlib.closing(response):
                body = b"".join(piece for dummy, piece in zip(range(4), response.iter_content(1024), strict=False))
            names = {key.lower(): value for key, value in response.headers.items()}
            wire.judge(Answer(response.status_code, names, body, self._what))
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            response.close()
            raise wire.not_understood(self._what, "it is compressed, which was not asked for")
        at = 0
        if response.status_code == 206:
            found = _RANGE.match(response.headers.get("Content-Range", ""))
            at = int(found[1]) if found else -1
            if found and found[3] != "*":
                self._sized(int(found[3]), response)
        else:
            self._sized(xml.whole(response.headers.get("Content-Length", "")), response)
        if at not in (0, self.received):
            response.close()
            raise wire.not_understood(self._what, "it begins at another byte than was asked for")
        self._response = response
        skip = self.received - at  # the server sends all of it again
        while skip > 0:
            piece = response.raw.read(min(skip, _PIECE), decode_content=False)
            if not piece:
                raise Unreachable(self._what, cause="the connection broke", retryable=True)
            skip -= len(piece)
        return response

    def _sized(self, size: int, response: requests.Response) -> None:
        if self.size and size and size != self.size:
            response.close()
            raise wire.not_understood(self._what, f"it has {size} bytes instead of {self.size}")
        self.size = self.size or size

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as bytes come; 0 at the end of the whole file."""
        view = memoryview(buffer).cast("B")
        if self._guard is not None:
            self._guard()
        while True:
            try:
                response = self._open() if self._response is None else self._response
                data = response.raw.read(min(len(view), _PIECE), decode_content=False)
                if data:
                    view[: len(data)] = data
                    self.received += len(data)
                    self._tries = 0
                    return len(data)
                if not self.size or self.received >= self.size:
                    return 0
                problem: Exception = ConnectionResetError("it ended early")
            except CloudExitError as error:
                if not error.retryable:
                    raise
                problem = error
            except Exception as error:  # of the library below requests, which has its own
                problem = error
            self._drop()
            self._tries += 1
            if self._tries > TRIES:
                raise Unreachable(
                    self._what, cause=f"the connection broke after {self.received} bytes ({problem})", retryable=True
                ) from problem
            self._session.pace.sleep(min(30.0, 2.0 ** (self._tries - 1)))

    def _drop(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            with contextlib.suppress(Exception):
                response.close()

    def close(self) -> None:
        """Drop the connection."""
        self._drop()
        super().close()

    def buffered(self, size: int = _PIECE) -> IO[bytes]:
        """The same with a buffer; closing it closes this."""
        return io.BufferedReader(self, size)


class Ranges:
    """A file that is read in places, by several threads if need be. size: its bytes, 0 where it cannot be.

    Whether it can be is asked with a read of its first byte: a server may pass over `Range` and send all of it.
    """

    def __init__(self, session: Session, href: str, what: str, *, timeout: float = 120.0) -> None:
        self._session = session
        self._href = href
        self._what = what
        self._timeout = timeout
        self.size = 0
        self._again(0, 1)

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes; goes on after a broken connection. Raises Unreachable."""
        data = self._again(offset, length)
        if data is None:
            raise wire.not_understood(self._what, "it does not send parts of a file any more")
        return data

    def _again(self, offset: int, length: int) -> bytes | None:
        for tries in range(TRIES + 1):
            try:
                return self._once(offset, length)
            except CloudExitError as error:
                if not error.retryable or tries == TRIES:
                    raise
            self._session.pace.sleep(min(30.0, 2.0**tries))
        raise AssertionError("tries do not end")

    def _once(self, offset: int, length: int) -> bytes | None:
        headers = {"Range": f"bytes={offset}-{offset + length - 1}"}
        with contextlib.closing(
            self._session.stream(self._href, self._what, headers=headers, timeout=self._timeout)
        ) as response:
            if response.status_code == 200:
                return None
            if response.status_code != 206:
                names = {key.lower(): value for key, value in response.headers.items()}
                body = b"".join(piece for dummy, piece in zip(range(4), response.iter_content(1024), strict=False))
                wire.judge(Answer(response.status_code, names, body, self._what))
            found = _RANGE.match(response.headers.get("Content-Range", ""))
            if not found or int(found[1]) != offset or found[3] == "*":
                raise wire.not_understood(self._what, "it sends another part than was asked for")
            if self.size and int(found[3]) != self.size:
                raise wire.not_understood(self._what, f"it has {found[3]} bytes instead of {self.size}")
            try:
                data: bytes = response.raw.read(length, decode_content=False)
            except Exception as error:  # of the library below requests, which has its own
                raise Unreachable(self._what, cause=f"the connection broke ({error})", retryable=True) from error
            if len(data) != length:
                raise Unreachable(self._what, cause="the connection broke", retryable=True)
            self.size = int(found[3])
            return data


class Package:
    """An open download: `fetch` a disk, then `close`. disks: in the order of their places in the machine.

    The session is kept alive as long as it is open.
    """

    def __init__(self, session: Session, href: str, name: str, base: str, disks: list[PackageDisk]) -> None:
        self.session = session
        self.href = href
        self.name = name
        self.disks = disks
        self.what = f"cannot read the disks of {name}"
        self._base = base
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"vcd-download-{name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Package:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _beat(self) -> None:
        every = max(1.0, min(300.0, self.session.idle_s / 4))
        while not self._stop.wait(every):
            with contextlib.suppress(CloudExitError):
                self.session.keep_alive()

    def fetch(self, disk: PackageDisk, *, timeout: float = 120.0, guard: Callable[[], None] | None = None) -> Download:
        """A disk as a stream-optimised VMDK; close it."""
        what = f"cannot read disk {disk.place} of {self.name}"
        if not disk.file:
            raise NotFound(what, cause="the package has no file for it")
        href = self._base + urllib.parse.quote(disk.file, safe="-._~%")
        return Download(self.session, href, what, size=disk.file_bytes, timeout=timeout, guard=guard)

    def ranges(self, disk: PackageDisk, *, timeout: float = 120.0) -> Ranges | None:
        """A disk as a VMDK that is read in places; None where the server sends whole files only."""
        if not disk.file:
            return None
        href = self._base + urllib.parse.quote(disk.file, safe="-._~%")
        found = Ranges(self.session, href, f"cannot read disk {disk.place} of {self.name}", timeout=timeout)
        return found if found.size else None

    def close(self) -> None:
        """Give the transfer space back. Never raises."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=30)
        disable(self.session, self.href)


def disable(session: Session, href: str) -> None:
    """End a download, ours or one that a dead process left. Never raises."""
    what = "cannot end the download"
    with contextlib.suppress(Exception):
        tasks.run(session, "POST", f"{wire.path_of(href, what)}/action/disableDownload", what, timeout=120)


def open_package(session: Session, href: str, name: str, *, system: str = "", timeout: float = 4 * 3600.0) -> Package:
    """Have the package of a VM, vApp or template (its href) written, and read its descriptor.

    system: the name of the machine, where a vApp has several. Raises what Cloud Director says (that it runs).
    """
    what = f"cannot read the disks of {name}"
    path = wire.path_of(href, what)
    tasks.run(session, "POST", f"{path}/action/enableDownload", what, timeout=timeout)
    try:
        place = _descriptor_of(session, path, what)
        data = session.call("GET", place, what, accept="*/*", limit=ovf.MAX_DESCRIPTOR).body
        disks = ovf.disks(data, what, system=system)
    except BaseException:
        disable(session, href)
        raise
    return Package(session, href, name, place.rpartition("/")[0] + "/", disks)


def _descriptor_of(session: Session, path: str, what: str) -> str:
    deadline = session.pace.now() + 120
    for pause in session.pace.pauses(0.15, 5.0):
        tree = session.read(path, what)
        found = xml.link(tree, "download:default")
        if found:
            return wire.path_of(found, what)
        if session.pace.now() + pause > deadline:
            raise Timeout(what, cause="the server offers no download of it", retryable=True)
        session.pace.sleep(pause)
    raise AssertionError("pauses do not end")
