# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP server for the tests of the client: says what a test tells it to, and keeps what it was asked."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session, connect
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Pace

VCLOUD = "http://www.vmware.com/vcloud/v1.5"
TASK = "11111111-2222-4333-8444-555555555555"


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"

    def json(self) -> Any:
        return json.loads(self.body)

    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.body)


@dataclass
class Reply:
    """What is answered. cut: close the connection after so many bytes of the body; -1: without any answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    stream: Callable[[], Iterator[bytes]] | None = None


def xml(text: str, status: int = 200) -> Reply:
    return Reply(status, text.encode(), {"Content-Type": "application/vnd.vmware.vcloud+xml"})


def js(value: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


def error(status: int, minor: str, message: str = "no") -> Reply:
    return xml(
        f'<Error xmlns="{VCLOUD}" minorErrorCode="{minor}" message="{message}" majorErrorCode="{status}"/>', status
    )


def task(status: str = "success", *, owner: str = "", more: str = "", identity: str = TASK, details: str = "") -> str:
    inside = f'<Owner id="{owner}" href="/x/{owner}"/>' if owner else ""
    inside += f"<Details>{details}</Details>" if details else ""
    return (
        f'<Task xmlns="{VCLOUD}" href="https://elsewhere/api/task/{identity}" status="{status}" '
        f'operation="doing">{inside}{more}</Task>'
    )


class Clock:
    """Time that passes only by being slept through."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def pace(self) -> Pace:
        return Pace(now=lambda: self.time, sleep=self.sleep, jitter=lambda: 0.0)


Handler = Callable[[Asked], Reply | None]


class Fake:
    """Handlers by `METHOD /path` (or `METHOD *`), a list of replies is used up one by one, its last one stays."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.routes: dict[str, Handler | Reply | list[Reply]] = {}
        self.versions = ["37.0", "38.1", "39.0", "39.1"]
        self.tokens = 0
        self.users = {"joe@acme": "secret"}
        self.guard = threading.Lock()
        fake = self

        class Handle(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *dummy: object) -> None:
                return

            def do_any(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", "0") or 0))
                query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
                headers = {key.lower(): value for key, value in self.headers.items()}
                asked = Asked(self.command, parts.path, query, headers, body)
                with fake.guard:
                    fake.asked.append(asked)
                self.answer(fake.reply(asked))

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_any

            def answer(self, reply: Reply) -> None:
                if reply.cut == -1:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for key, value in reply.headers.items():
                    self.send_header(key, value)
                if reply.stream is not None:
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.close_connection = True
                    try:
                        for piece in reply.stream():
                            self.wfile.write(piece)
                    except OSError:
                        pass
                    return
                if "Content-Length" not in reply.headers:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                if reply.cut is not None:
                    self.wfile.write(reply.body[: reply.cut])
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.wfile.write(reply.body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handle)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def reply(self, asked: Asked) -> Reply:
        with self.guard:
            found = self.routes.get(asked.line, self.routes.get(f"{asked.method} *"))
            if isinstance(found, list):
                reply = found.pop(0) if len(found) > 1 else found[0]
                return reply
        if isinstance(found, Reply):
            return found
        if found is not None:
            said = found(asked)
            if said is not None:
                return said
        return self.usual(asked)

    def usual(self, asked: Asked) -> Reply:
        if asked.line == "GET /api/versions":
            listed = "".join(f"<VersionInfo><Version>{one}</Version></VersionInfo>" for one in self.versions)
            return xml(f"<SupportedVersions>{listed}</SupportedVersions>")
        if asked.line == "POST /cloudapi/1.0.0/sessions":
            import base64

            user, dummy, password = base64.b64decode(asked.headers["authorization"].split()[1]).decode().partition(":")
            if self.users.get(user) != password:
                return js({"minorErrorCode": "UNAUTHORIZED", "message": "[ 12345678-aaaa ] who?"}, 401)
            return js(
                {"id": "urn:vcloud:session:1", "org": {"id": "urn:vcloud:org:1"}, "sessionIdleTimeoutMinutes": 30},
                **{"X-VMWARE-VCLOUD-ACCESS-TOKEN": self.token()},
            )
        if asked.line == "DELETE /cloudapi/1.0.0/sessions/current":
            return Reply(204)
        if asked.method == "GET" and asked.path.startswith("/api/task/"):
            return xml(task(identity=asked.path.rsplit("/", 1)[-1]))
        return error(404, "RESOURCE_NOT_FOUND", f"[ 12345678-aaaa ] no {asked.path}")

    def token(self) -> str:
        self.tokens += 1
        return f"token-{self.tokens}-" + "x" * 32

    def lines(self) -> list[str]:
        """What was asked, without log-in and log-out."""
        usual = ("/api/versions", "/cloudapi/1.0.0/sessions", "/cloudapi/1.0.0/sessions/current")
        return [one.line for one in self.asked if one.path not in usual]

    def last(self, line: str) -> Asked:
        return [one for one in self.asked if one.line == line][-1]


@contextmanager
def served() -> Iterator[Fake]:
    fake = Fake()
    try:
        yield fake
    finally:
        fake.close()


@contextmanager
def logged_in(fake: Fake, clock: Clock | None = None, **options: Any) -> Iterator[Session]:
    """A session with it; with a clock, nobody waits."""
    options = {"username": "joe", "password": "secret", "timeout": 10.0, **options}
    with connect(fake.url, "acme", pace=(clock or Clock()).pace(), **options) as session:
        yield session
