# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks over HTTPS: a body that is made while it is sent, and one that is read as it comes.

A lease's URL usually points to a host whose certificate no public CA has signed; vCenter names its thumbprint (or, from
9.0, the certificate), which is compared instead (HttpNfcLeaseDeviceUrl in the vSphere API reference).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import io
import re
import shutil
import socket
import ssl
import tempfile
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, TypeAlias

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    Conflict,
    NotFound,
    Refused,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import vmomi
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.client import (
    Session,
    tls_context,
)

Bytes: TypeAlias = "bytes | bytearray | memoryview"
Write = Callable[[Bytes], None]
Producer = Callable[[Write], Any]
MODES = ("chunked", "sized", "spooled", "probe")
CONTENT_TYPE = "application/x-vnd.vmware-streamVmdk"
_PIECE = 1 << 20


class LengthRequired(CloudExitError):
    """The server takes no body of unknown length. `consumed`: whether bytes of the producer are lost."""

    def __init__(self, what: str, *, consumed: bool) -> None:
        super().__init__(
            what,
            cause="the server wants to know the length beforehand",
            hint="Use the mode `spooled`, or `sized` with the length.",
        )
        self.consumed = consumed


@dataclass(frozen=True)
class Trust:
    """How the other side of a transfer is known: by CA, by SHA-1 thumbprint, by certificate, or not at all."""

    context: ssl.SSLContext
    thumbprint: str = ""
    certificate: str = ""

    @classmethod
    def of(cls, session: Session, thumbprint: str = "", certificate: str = "") -> Trust:
        """As the session does it: nothing is checked when it checks nothing, and a named certificate is pinned."""
        if not session.validate_certs:
            return cls(session.tls)
        if thumbprint or certificate:
            return cls(tls_context(False, None), thumbprint, certificate)
        return cls(session.tls)

    def check(self, der: bytes | None) -> None:
        """Raise Unreachable when the certificate is not the one that was named."""
        if self.certificate:
            good = der is not None and hmac.compare_digest(ssl.PEM_cert_to_DER_cert(self.certificate.strip()), der)
        elif self.thumbprint:
            wanted = self.thumbprint.replace(":", "").strip().lower()
            kind = {40: "sha1", 64: "sha256"}.get(len(wanted), "")
            good = bool(kind) and der is not None and hmac.compare_digest(hashlib.new(kind, der).hexdigest(), wanted)
        else:
            return
        if not good:
            raise Unreachable(
                "the host of the disk transfer is not trusted",
                cause="its certificate is not the one that vCenter named for it",
                hint="Something answers in the host's place, or its certificate was just renewed.",
            )


def _open(url: str, trust: Trust, timeout: float) -> tuple[http.client.HTTPConnection, str]:
    """A connection whose peer was checked, and the path to ask for."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port or 443, timeout=timeout, context=trust.context)
    elif parts.scheme == "http" and not (trust.thumbprint or trust.certificate):
        connection = http.client.HTTPConnection(host, parts.port or 80, timeout=timeout)
    else:
        raise Refused(f"cannot transfer a disk over {parts.scheme or 'no scheme'}", cause="only https is safe here")
    connection.connect()
    sock = connection.sock
    if isinstance(sock, ssl.SSLSocket):
        try:
            trust.check(sock.getpeercert(binary_form=True))
        except CloudExitError:
            connection.close()
            raise
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection, parts.path + (f"?{parts.query}" if parts.query else "")


class _Body:
    """Collects what a producer writes into pieces of a MiB and sends them, chunked or plain."""

    def __init__(
        self, sock: socket.socket, chunked: bool, length: int | None, guard: Callable[[], None] | None
    ) -> None:
        self.sent = 0
        self.broken: OSError | None = None
        self._sock = sock
        self._chunked = chunked
        self._length = length
        self._guard = guard
        self._waiting: list[Bytes] = []
        self._size = 0

    def write(self, data: Bytes) -> None:
        """Take bytes; they may be sent later, so a buffer that will change is copied when it is small."""
        view = memoryview(data)
        size = view.nbytes
        if not size:
            return
        self.sent += size
        if self._length is not None and self.sent > self._length:
            raise ValueError(f"more than the announced {self._length} bytes were written")
        if size >= _PIECE // 4:
            self.flush()
            self._send([view], size)
            return
        self._waiting.append(bytes(view))
        self._size += size
        if self._size >= _PIECE:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            pieces, size = self._waiting, self._size
            self._waiting, self._size = [], 0
            self._send(pieces, size)

    def _send(self, pieces: list[Bytes], size: int) -> None:
        if self._guard is not None:
            self._guard()
        try:
            if self._chunked:
                pieces = [b"%x\r\n" % size, *pieces, b"\r\n"]
            if len(pieces) == 1:
                self._sock.sendall(pieces[0])
            elif size < 2 * _PIECE:
                self._sock.sendall(b"".join(pieces))
            else:
                for piece in pieces:
                    self._sock.sendall(piece)
        except OSError as error:
            self.broken = error
            raise

    def end(self) -> None:
        self.flush()
        if self._length is not None and self.sent != self._length:
            raise ValueError(f"{self.sent} of the announced {self._length} bytes were written")
        if self._chunked:
            try:
                self._sock.sendall(b"0\r\n\r\n")
            except OSError as error:
                self.broken = error
                raise


def put(
    url: str,
    producer: Producer,
    trust: Trust,
    *,
    length: int | None = None,
    mode: str = "chunked",
    method: str = "POST",
    timeout: float = 120.0,
    guard: Callable[[], None] | None = None,
    spool_dir: str | None = None,
) -> int:
    """Send what `producer(write)` writes as the body of one request; the number of bytes.

    mode: `chunked`, of unknown length; `sized`, with `length` known beforehand; `spooled`, first into a temporary file
    in `spool_dir`, then with its length; `probe`, chunked, but the server is asked first (Expect: 100-continue), so
    that LengthRequired comes before the producer was started. POST is what an import of a disk wants
    (OvfFileItem.create false). `guard` is called before each piece of a MiB and may raise. timeout: seconds for each
    send and for the answer.

    Raises LengthRequired (411), Unreachable (retryable, when the connection breaks), Refused (the disk is not
    accepted), NotFound (the lease is over), and whatever producer or guard raise.
    """
    if mode not in MODES:
        raise ValueError(f"{mode!r} is not one of {', '.join(MODES)}")
    if mode == "sized" and length is None:
        raise ValueError("the mode `sized` needs a length")
    what = f"cannot send the disk to {urllib.parse.urlsplit(url).hostname}"
    if mode == "spooled":
        return _spooled(url, producer, trust, method, timeout, guard, spool_dir)
    chunked = mode != "sized"
    try:
        connection, path = _open(url, trust, timeout)
    except OSError as error:
        raise vmomi.translate(error, what) from error
    own: Exception | None = None
    try:
        if _head(connection, method, path, None if chunked else length, expect=mode == "probe", what=what):
            connection.close()
            connection, path = _open(url, trust, timeout)
            _head(connection, method, path, None if chunked else length, expect=False, what=what)
        body = _Body(connection.sock, chunked, None if chunked else length, guard)
        try:
            producer(body.write)
            body.end()
        except Exception as error:
            if body.broken is None:
                own = error  # the producer's, not the connection's
                raise
            _explain_break(connection, what, body.broken)
        response = connection.getresponse()
        text = response.read(2000).decode(errors="replace")
        _judge(response.status, text, what, consumed=True)
        return body.sent
    except (OSError, http.client.HTTPException) as error:
        if error is own:
            raise
        raise _broken(error, what) from error
    finally:
        connection.close()


def _broken(error: BaseException, what: str) -> CloudExitError:
    translated = vmomi.translate(error, what)
    if isinstance(translated, Unreachable):
        translated.cause = f"the connection broke ({translated.cause or type(error).__name__})"
        translated.retryable = True
    return translated


def _spooled(
    url: str,
    producer: Producer,
    trust: Trust,
    method: str,
    timeout: float,
    guard: Callable[[], None] | None,
    spool_dir: str | None,
) -> int:
    with tempfile.TemporaryFile(dir=spool_dir, prefix="cloudexit-") as spool:

        def keep(data: Bytes) -> None:
            if guard is not None:
                guard()
            spool.write(data)

        producer(keep)
        length = spool.tell()
        spool.seek(0)

        def send(write: Write) -> None:
            while piece := spool.read(_PIECE):
                write(piece)

        return put(url, send, trust, length=length, mode="sized", method=method, timeout=timeout, guard=guard)


def _head(
    connection: http.client.HTTPConnection, method: str, path: str, length: int | None, *, expect: bool, what: str
) -> bool:
    """Send the request's head. With `expect`, wait for the server's leave; True: ask again without asking for it."""
    connection.putrequest(method, path, skip_accept_encoding=True)
    connection.putheader("Content-Type", CONTENT_TYPE)
    connection.putheader("User-Agent", "cloudexit.flexible_engine")
    if length is None:
        connection.putheader("Transfer-Encoding", "chunked")
    else:
        connection.putheader("Content-Length", str(length))
    if expect:
        connection.putheader("Expect", "100-continue")
    connection.endheaders()
    if not expect:
        return False
    sock = connection.sock
    before = sock.gettimeout()
    sock.settimeout(3.0)
    try:
        line = _peek_line(sock)
    except TimeoutError:
        return False  # it does not know Expect: just go on
    finally:
        sock.settimeout(before)
    status = int(line.split()[1]) if len(line.split()) > 1 and line.split()[1].isdigit() else 0
    if status == 100:
        return False
    if status == 417:
        return True
    _judge(status or 400, line, what, consumed=False)
    return False


def _peek_line(sock: socket.socket) -> str:
    """The status line of an early answer. Its head is read byte by byte, so that nothing after it is lost."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < 16384:
        byte = sock.recv(1)
        if not byte:
            raise ConnectionResetError("the server closed the connection")
        head += byte
    return head.split(b"\r\n", 1)[0].decode("latin-1")


def _explain_break(connection: http.client.HTTPConnection, what: str, error: OSError) -> None:
    """The server closed while the body was sent: its answer, when it gave one, says why."""
    status, text = 0, ""
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection.sock.settimeout(5.0)
        response = connection.getresponse()
        status, text = response.status, response.read(2000).decode(errors="replace")
    if status >= 300:
        _judge(status, text, what, consumed=True)
    raise error


def _judge(status: int, text: str, what: str, *, consumed: bool) -> None:
    """Raise for an answer that is not a success."""
    if 200 <= status < 300:
        return
    said = " ".join(text.split())[:300]
    cause = f"the server answered {status}{f': {said}' if said else ''}"
    if status in (411, 501) or (status == 400 and re.search("transfer-encoding|content-length|chunked", said, re.I)):
        raise LengthRequired(what, consumed=consumed)
    if status in (401, 403):
        raise AuthFailed(
            what, cause=cause, hint="The lease's URL is not valid any more, or the account may not use it."
        )
    if status in (404, 410):
        raise NotFound(what, cause=f"{cause}; the lease is over", hint="Start the transfer again.", retryable=True)
    if status == 409:
        raise Conflict(what, cause=cause, retryable=True)
    if status >= 500:
        raise Unreachable(what, cause=cause, retryable=True)
    raise Refused(what, cause=cause)


class Download(io.RawIOBase):
    """A disk as it comes, to be read forward once. Errors of the connection are Unreachable and may be retried."""

    def __init__(
        self, connection: http.client.HTTPConnection, response: Any, what: str, guard: Callable[[], None] | None
    ):
        super().__init__()
        self.received = 0
        self._connection = connection
        self._response = response
        self._what = what
        self._guard = guard
        self._next_check = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as bytes come; 0 at the end of a complete body."""
        if self._guard is not None and self.received >= self._next_check:
            self._guard()
            self._next_check = self.received + _PIECE
        try:
            count = int(self._response.readinto(buffer))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _broken(error, self._what) from error
        if count == 0 and len(buffer) and not self._complete():
            raise Unreachable(self._what, cause=f"the connection broke after {self.received} bytes", retryable=True)
        self.received += count
        return count

    def _complete(self) -> bool:
        """Whether the end of the body was the end that was announced."""
        left = self._response.length
        return bool(left in (None, 0))

    def close(self) -> None:
        """Drop the connection."""
        if not self.closed:
            with contextlib.suppress(Exception):
                self._response.close()
            self._connection.close()
        super().close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def buffered(self, size: int = _PIECE) -> IO[bytes]:
        """The same with a buffer, for readers that take small pieces; closing it closes this."""
        return io.BufferedReader(self, size)


def get(url: str, trust: Trust, *, timeout: float = 120.0, guard: Callable[[], None] | None = None) -> Download:
    """Open a download. Raises as `put`; reading raises Unreachable when the body breaks off."""
    what = f"cannot read the disk from {urllib.parse.urlsplit(url).hostname}"
    try:
        connection, path = _open(url, trust, timeout)
    except OSError as error:
        raise vmomi.translate(error, what) from error
    try:
        connection.request(
            "GET", path, headers={"User-Agent": "cloudexit.flexible_engine", "Accept-Encoding": "identity"}
        )
        response = connection.getresponse()
        if response.status != 200:
            _judge(response.status, response.read(2000).decode(errors="replace"), what, consumed=False)
        return Download(connection, response, what, guard)
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise _broken(error, what) from error
    except CloudExitError:
        connection.close()
        raise


def copy_to(download: Download, sink: IO[bytes]) -> int:
    """Write a whole download to a file; the number of bytes."""
    shutil.copyfileobj(download, sink, _PIECE)
    return download.received
