# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending a file to Cloud Director in ranges, and going on after a break where the server says it stands.

Bytes are made while they are sent: a piece of some MiB is kept until it is acknowledged, so that most breaks cost
nothing but the rest of it. Where the server lost more than that, the producer starts anew, and what is there already is
skipped; so its bytes must be the same each time.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    NotFound,
    Refused,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import wire
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session

Bytes: TypeAlias = "bytes | bytearray | memoryview"
Produce = Callable[[Callable[[bytes], object]], object]
PIECE = 32 << 20
TRIES = 8
RESTARTS = 3
_LEAST = 64 << 10


@dataclass(frozen=True)
class Place:
    """Where a file of an upload stands: where its bytes go, how many came, how many there are."""

    name: str
    href: str
    transferred: int
    size: int


class _Rewound(Exception):
    """The server has less than what it acknowledged."""

    def __init__(self, at: int) -> None:
        super().__init__(str(at))
        self.at = at


def send(
    session: Session,
    place: Callable[[], Place],
    produce: Produce,
    length: int,
    what: str,
    *,
    piece: int = PIECE,
    timeout: float = 600.0,
    guard: Callable[[], None] | None = None,
) -> int:
    """Send what `produce(write)` writes, `length` bytes; how many really went over the line.

    place: reads where the file stands now; raises when the upload failed. guard: called before each piece, may raise.
    timeout: seconds for each piece. Raises Unreachable, Conflict and Refused as they fit, and what producer and guard
    raise.
    """
    sent = 0
    for restart in range(RESTARTS + 1):
        at = place()
        if at.transferred >= length:
            return sent
        upload = _Upload(session, place, at, length, what, piece, timeout, guard)
        try:
            upload.run(produce)
            return sent + upload.sent
        except _Rewound as lost:
            sent += upload.sent
            if restart == RESTARTS:
                raise Unreachable(
                    what, cause=f"the server went back to byte {lost.at} again and again", retryable=True
                ) from lost
    raise AssertionError("the last restart raises")


class _Upload:
    """One run of the producer. A thread of its own sends, while the next piece is being made."""

    def __init__(
        self,
        session: Session,
        place: Callable[[], Place],
        at: Place,
        length: int,
        what: str,
        piece: int,
        timeout: float,
        guard: Callable[[], None] | None,
    ) -> None:
        self.session = session
        self.place = place
        self.href = at.href
        self.start = at.transferred
        self.length = length
        self.what = what
        self.piece = piece
        self.timeout = timeout
        self.guard = guard
        self.sent = 0
        self.written = 0
        self._buffer = bytearray()
        self._begin = at.transferred
        self._queue: queue.Queue[tuple[int, bytearray] | None] = queue.Queue(1)
        self._failed: list[BaseException] = []
        self._kept = session.pace.now()

    def run(self, produce: Produce) -> None:
        thread = threading.Thread(target=self._send_all, name="vcd-upload", daemon=True)
        thread.start()
        try:
            produce(self.write)
            self._check()
            if self.written != self.length:
                raise self._wrong(f"{self.written} bytes were made")
            self._hand_over()
        except BaseException:
            self._failed.append(_Stopped())
            raise
        finally:
            self._put(None)
            thread.join()
        self._check()

    def write(self, data: Bytes) -> None:
        """Take bytes of the file, from its beginning: what the server has is skipped."""
        self._check()
        view = memoryview(data).cast("B")
        at, self.written = self.written, self.written + len(view)
        if self.written > self.length:
            raise self._wrong("more were made")
        if self.written <= self.start:
            return
        view = view[max(0, self.start - at) :]
        while len(view):
            room = self.piece - len(self._buffer)
            self._buffer += view[:room]
            view = view[room:]
            if len(self._buffer) >= self.piece:
                self._hand_over()

    def _wrong(self, how: str) -> CloudExitError:
        return CloudExitError(
            self.what,
            cause=f"{self.length} bytes were announced, but {how}",
            hint="The disk changed between its two reads, or they were made differently.",
        )

    def _hand_over(self) -> None:
        if self._buffer:
            self._put((self._begin, self._buffer))
            self._begin += len(self._buffer)
            self._buffer = bytearray()

    def _put(self, item: tuple[int, bytearray] | None) -> None:
        while True:
            if item is not None:
                self._check()
            try:
                self._queue.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def _check(self) -> None:
        if self._failed:
            raise self._failed[0]
        if self.guard is not None:
            self.guard()

    def _send_all(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._failed:
                continue
            try:
                self._send(*item)
            except BaseException as error:
                self._failed.append(error)

    def _send(self, begin: int, data: bytearray) -> None:
        """Send one piece, from where the server stands, until it has all of it.

        After a failure in smaller ranges: a proxy on the way may limit them, and a server that refuses while it is sent
        to is only heard when little is on the way.
        """
        view, end, step = memoryview(data), begin + len(data), len(data)
        at, tries, denied = begin, 0, 0
        pauses = self.session.pace.pauses(1.0, 30.0, 2.0)
        while at < end:
            self._keep_alive()
            size = min(step, end - at)
            error = self._put_range(at, view[at - begin : at - begin + size])
            if error is None:
                at, tries, denied, step = at + size, 0, 0, min(len(data), step * 4)
                continue
            if not isinstance(error, (Unreachable, Conflict, NotFound, Refused)):
                raise error
            reason = wire.said(error)
            denied += isinstance(error, Refused) and (reason is None or reason.status != 413)
            tries += 1
            if tries > TRIES or denied > 2 or (isinstance(error, Unreachable) and not error.retryable):
                raise self._given_up(error, denied)
            step = max(_LEAST, step // 8)
            self.session.pace.sleep(next(pauses))
            if self._failed:
                raise self._failed[0]
            where = self.place()  # says why, when the whole upload failed
            self.href = where.href or self.href
            if where.transferred < begin:
                raise _Rewound(where.transferred)
            if where.transferred > at:
                tries, pauses = 0, self.session.pace.pauses(1.0, 30.0, 2.0)
            at = where.transferred

    def _put_range(self, at: int, view: memoryview) -> CloudExitError | None:
        if not self.href:
            return NotFound(self.what, cause="the server offers no place for it any more", retryable=True)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"bytes {at}-{at + len(view) - 1}/{self.length}",
            "Accept": "*/*",
        }
        path = wire.path_of(self.href, self.what)
        self.sent += len(view)
        try:
            answer = self.session.authenticated(
                lambda token: self.session.wire.send(
                    "PUT",
                    path,
                    self.what,
                    headers={**headers, "Authorization": f"Bearer {token}"},
                    body=view,
                    timeout=self.timeout,
                )
            )
            wire.judge(answer, ok=range(200, 300))
        except CloudExitError as error:
            return error
        return None

    def _given_up(self, error: CloudExitError, denied: int) -> CloudExitError:
        if denied:
            error.hint = "A proxy or firewall on the way may limit the size of a request, or the user lacks the right."
        else:
            error.retryable = True
            error.cause += f"; {TRIES} tries to go on failed"
        return error

    def _keep_alive(self) -> None:
        """A piece counts as one call however long it takes: so the session is used before each, once a minute."""
        if self.session.pace.now() - self._kept >= 60.0:
            with contextlib.suppress(CloudExitError):  # the piece itself will tell what is wrong
                self.session.keep_alive()
            self._kept = self.session.pace.now()


class _Stopped(Exception):
    """The producer ended early: nothing more is sent."""
