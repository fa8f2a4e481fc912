# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies over HTTP(S) against small servers in this process."""

from __future__ import annotations

import hashlib
import io
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    NotFound,
    Refused,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import upload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.client import tls_context

PLAIN = upload.Trust(tls_context(False, None))
DATA = bytes(range(256)) * 20000


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_args: Any) -> None:
        pass

    def handle_expect_100(self) -> bool:
        if self.server.refuse:
            self.answer(self.server.refuse)
            return False
        return bool(super().handle_expect_100())

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.server.heads.append(dict(self.headers))
        if self.server.refuse:
            self.close_connection = True
            self.answer(self.server.refuse, b"<b>no</b>")
            return
        length = self.headers.get("Content-Length")
        got = b""
        if length is not None:
            got = self.rfile.read(int(length))
        else:
            while size := int(self.rfile.readline(), 16):
                got += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        self.server.bodies.append(got)
        self.answer(201)

    def do_GET(self) -> None:
        if self.path == "/whole":
            self.answer(200, DATA)
        elif self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(DATA), 100000):
                piece = DATA[start : start + 100000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        elif self.path in ("/cut", "/cut-chunked"):
            self.send_response(200)
            if self.path == "/cut":
                self.send_header("Content-Length", str(len(DATA)))
                piece = DATA[:1000]
            else:
                self.send_header("Transfer-Encoding", "chunked")
                piece = b"%x\r\n%s" % (len(DATA), DATA[:1000])
            self.end_headers()
            self.wfile.write(piece)
            self.close_connection = True
        else:
            self.answer(404)


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Any]:
    server: Any = HTTPServer(("127.0.0.1", 0), Handler)
    server.bodies, server.heads, server.refuse = [], [], 0
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server() -> Iterator[Any]:
    with serving() as made:
        yield made


def in_pieces(size: int) -> Callable[[upload.Write], None]:
    def produce(write: upload.Write) -> None:
        for start in range(0, len(DATA), size):
            write(memoryview(DATA)[start : start + size])

    return produce


@pytest.mark.parametrize("size", [777, 300_000, 2_000_000, len(DATA)])
@pytest.mark.parametrize("mode", upload.MODES)
def test_every_mode_sends_what_was_written(server: Any, mode: str, size: int, tmp_path: Path) -> None:
    sent = upload.put(
        f"{server.url}/x", in_pieces(size), PLAIN, mode=mode, length=len(DATA), spool_dir=str(tmp_path), timeout=10
    )
    assert sent == len(DATA) and server.bodies == [DATA]
    head = server.heads[-1]
    if mode in ("sized", "spooled"):
        assert head["Content-Length"] == str(len(DATA)) and "Transfer-Encoding" not in head
    else:
        assert head["Transfer-Encoding"] == "chunked"
    assert not list(tmp_path.iterdir())


def test_a_small_buffer_may_be_reused_after_write(server: Any) -> None:
    def produce(write: upload.Write) -> None:
        buffer = bytearray(10)
        for number in range(5):
            buffer[:] = bytes([number]) * 10
            write(buffer)

    upload.put(f"{server.url}/x", produce, PLAIN, timeout=10)
    assert server.bodies == [b"".join(bytes([number]) * 10 for number in range(5))]


def test_a_refusal_of_chunks_is_told_before_the_producer_runs(server: Any) -> None:
    server.refuse = 411
    runs: list[int] = []
    with pytest.raises(upload.LengthRequired) as caught:
        upload.put(f"{server.url}/x", lambda write: runs.append(1), PLAIN, mode="probe", timeout=10)
    assert not runs and not caught.value.consumed


def test_a_refusal_in_the_middle_is_still_understood(server: Any) -> None:
    server.refuse = 411
    with pytest.raises(upload.LengthRequired) as caught:
        upload.put(f"{server.url}/x", in_pieces(500_000), PLAIN, timeout=10)
    assert caught.value.consumed


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [(400, Refused, False), (404, NotFound, True), (503, Unreachable, True)],
)
def test_answers_become_errors(server: Any, status: int, kind: type[CloudExitError], retryable: bool) -> None:
    server.refuse = status
    with pytest.raises(kind) as caught:
        upload.put(f"{server.url}/x", lambda write: write(b"x"), PLAIN, timeout=10)
    assert str(status) in str(caught.value) and caught.value.retryable is retryable


def test_a_wrong_length_is_no_complete_body(server: Any) -> None:
    for length in (len(DATA) - 1, len(DATA) + 1):
        with pytest.raises(ValueError, match="announced"):
            upload.put(f"{server.url}/x", in_pieces(100_000), PLAIN, mode="sized", length=length, timeout=10)
    assert DATA not in server.bodies


def test_the_producers_own_error_passes_and_the_body_stays_open(server: Any) -> None:
    def produce(write: upload.Write) -> None:
        write(DATA)
        raise FileNotFoundError("the source is gone")

    with pytest.raises(FileNotFoundError, match="the source is gone"):
        upload.put(f"{server.url}/x", produce, PLAIN, timeout=10)
    assert not server.bodies


def test_the_guard_stops_a_transfer(server: Any) -> None:
    def guard() -> None:
        raise NotFound("the lease is gone")

    with pytest.raises(NotFound):
        upload.put(f"{server.url}/x", in_pieces(100_000), PLAIN, timeout=10, guard=guard)


def test_a_server_that_closes_is_unreachable_and_may_be_tried_again() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def close_early() -> None:
        connection, _peer = listener.accept()
        connection.recv(1000)
        connection.close()

    thread = threading.Thread(target=close_early)
    thread.start()
    with pytest.raises(Unreachable) as caught:
        upload.put(f"http://127.0.0.1:{listener.getsockname()[1]}/x", in_pieces(100_000), PLAIN, timeout=10)
    thread.join()
    listener.close()
    assert caught.value.retryable and "broke" in str(caught.value)


@pytest.mark.parametrize("path", ["/whole", "/chunked"])
def test_downloads_are_read_forward(server: Any, path: str) -> None:
    with upload.get(f"{server.url}{path}", PLAIN, timeout=10) as download:
        sink = io.BytesIO()
        assert upload.copy_to(download, sink) == len(DATA)
    assert sink.getvalue() == DATA


@pytest.mark.parametrize("path", ["/cut", "/cut-chunked"])
def test_a_download_that_breaks_off_is_never_taken_for_whole(server: Any, path: str) -> None:
    with upload.get(f"{server.url}{path}", PLAIN, timeout=10) as download, pytest.raises(Unreachable) as caught:
        while download.buffered(4096).read(4096):
            pass
    assert caught.value.retryable


def test_a_download_that_is_not_there(server: Any) -> None:
    with pytest.raises(NotFound):
        upload.get(f"{server.url}/nothing", PLAIN, timeout=10)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, bytes, str]:
    """A server's TLS settings, its certificate as DER, and as PEM."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=host", "-keyout", str(folder / "key"), "-out", str(folder / "cert")],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    pem = (folder / "cert").read_text()
    return context, ssl.PEM_cert_to_DER_cert(pem), pem


def colons(digest: str) -> str:
    return ":".join(digest[n : n + 2] for n in range(0, len(digest), 2)).upper()


def test_pinned_certificates(certificate: tuple[ssl.SSLContext, bytes, str]) -> None:
    context, der, pem = certificate
    open_context = tls_context(False, None)
    good = [
        upload.Trust(open_context, colons(hashlib.sha1(der).hexdigest())),
        upload.Trust(open_context, hashlib.sha256(der).hexdigest()),
        upload.Trust(open_context, "", pem),
        upload.Trust(open_context, "00:11", pem),
    ]
    other = colons(hashlib.sha1(b"other").hexdigest())
    bad = [
        upload.Trust(open_context, other),
        upload.Trust(open_context, "AA:BB"),
        upload.Trust(tls_context(True, None)),
    ]
    with serving(context) as server:
        for trust in good:
            upload.put(f"{server.url}/x", lambda write: write(b"x"), trust, timeout=10)
        assert server.bodies == [b"x"] * len(good)
        for trust in bad:
            with pytest.raises(Unreachable, match=r"not the one|not trusted"):
                upload.put(f"{server.url}/x", lambda write: write(b"secret"), trust, timeout=10)
        assert b"secret" not in server.bodies


def test_a_pinned_transfer_never_goes_over_plain_http(server: Any) -> None:
    with pytest.raises(Refused):
        upload.put(f"{server.url}/x", lambda write: write(b"x"), upload.Trust(PLAIN.context, "AA"), timeout=10)
