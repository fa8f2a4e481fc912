# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS of the lab's Cloud Director: routes, sessions, versions, errors in both forms, the log of calls, faults."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import re
import socket
import ssl
import threading
import time
import traceback
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from . import xmls
from .core import ApiError, Cloud, Row, bare, new_id

VERSIONS = ("37.0", "37.1", "37.2", "37.3", "38.0", "38.1", "39.0", "39.1")
MAX_BODY = 16 << 20
Handler = Callable[..., "Answer"]
_ROUTES: list[tuple[str, re.Pattern[str], Handler, str]] = []
_BODILESS = (204, 304)


@dataclass
class Answer:
    """What goes back. ``file`` is sent from ``offset`` in place of the body."""

    status: int = 200
    body: bytes = b""
    kind: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    file: Path | None = None


@dataclass
class Request:
    """What came, and who sent it."""

    cloud: Cloud
    method: str
    path: str
    query: dict[str, str]
    headers: Any
    base: str
    stream: BinaryIO
    length: int | None
    user: Row = field(default_factory=dict)
    version: str = ""
    token: str = ""
    area: str = ""
    read: int = 0
    fresh: set[str] = field(default_factory=set)  # tasks that were begun for it
    _body: bytes | None = None

    @property
    def body(self) -> bytes:
        """The whole body; 413 beyond the limit."""
        if self._body is None:
            if (self.length or 0) > MAX_BODY:
                raise ApiError(413, "The request is too large.")
            self._body = self.stream.read(self.length or 0)
            self.read = self.length or 0
        return self._body

    def json(self) -> Row:
        """The body as a JSON object."""
        try:
            found = json.loads(self.body or b"null")
        except ValueError as error:
            raise ApiError(400, f"The body is no JSON: {error}") from None
        if not isinstance(found, dict):
            raise ApiError(400, "The body is no JSON object.")
        return found

    def xml(self, *roots: str, kinds: str = "") -> xmls.Node:
        """The body as XML with one of these roots, of one of these media types (left out: anything with +xml)."""
        kind = self.headers.get("Content-Type", "")
        if "xml" not in kind or (kinds and not any(k.lower() in kind.lower() for k in kinds.split("|"))):
            raise ApiError(415, f"Unsupported media type {kind!r}.")
        return xmls.request(self.body, *roots)

    def right(self, name: str) -> None:
        """403 when the user lacks a right."""
        if not self.may(name):
            raise ApiError(
                403,
                f"[ {new_id()} ] Either you need some or all of the following rights [{name}] to perform"
                " operations [] or the target entity is invalid.",
            )

    def may(self, name: str) -> bool:
        """Whether the user has a right."""
        return not any(re.fullmatch(pattern, name) for pattern in self.user.get("denied", []))

    def at_least(self, version: str) -> bool:
        """Whether the version that was asked for is this one or later."""
        return [int(n) for n in (self.version or "0").split(".")] >= [int(n) for n in version.split(".")]


def route(methods: str, path: str, area: str = "") -> Callable[[Handler], Handler]:
    """Serve a path; ``{name}`` is one segment, ``{name:re}`` what the expression says.

    Area: legacy, open, orange, transfer, lab, login or free; it says who is let in, and how errors look.
    """
    parts = re.split(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\}", path)
    pattern = re.escape(parts[0])
    for name, inner, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        pattern += f"(?P<{name}>{inner or '[^/]+'})" + re.escape(rest)
    found = area or {"/api": "legacy", "/clo": "open", "/inf": "orange"}.get(path[:4], "free")

    def register(function: Handler) -> Handler:
        for method in methods.split():
            _ROUTES.append((method, re.compile(pattern), function, found))
        return function

    return register


def xml_answer(request: Request, root: str, kind: str, status: int = 200, **headers: str) -> Answer:
    """A legacy document, as XML or as its JSON twin, as was asked."""
    data = xmls.document(root)
    if "+json" in request.headers.get("Accept", "") and "+xml" not in request.headers.get("Accept", ""):
        body = json.dumps(xmls.as_json(xmls.parse(data))).encode()
        return Answer(status, body, f"application/vnd.vmware.{kind}+json;version={request.version}", headers)
    return Answer(status, data, f"application/vnd.vmware.{kind}+xml;version={request.version}", headers)


def json_answer(body: Any, status: int = 200, **headers: str) -> Answer:
    """A JSON document."""
    return Answer(status, json.dumps(body).encode(), "application/json", headers)


class _Raw(ApiError):
    """An answer that is sent as it is."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status, "")
        self.answer = answer


def error_answer(request: Request | None, error: ApiError) -> Answer:
    """An error in the form of its area."""
    if isinstance(error, _Raw):
        return error.answer
    headers = dict(error.headers)
    area = request.area if request else "legacy"
    if error.minor == "EMPTY":
        return Answer(error.status, b"", "", headers)
    if area == "orange":
        body = {"code": error.minor, "reason": error.message, "message": error.headers.pop("x-message", error.message)}
        return Answer(error.status, json.dumps(body).encode(), "application/json", headers)
    message = error.message if error.message.startswith("[") else f"[ {new_id()} ] {error.message}"
    if area == "open":
        body = {"minorErrorCode": error.minor, "message": message, "stackTrace": None}
        return Answer(error.status, json.dumps(body).encode(), "application/json", headers)
    if request and "+json" in request.headers.get("Accept", ""):
        twin = {"message": message, "majorErrorCode": error.status, "minorErrorCode": error.minor}
        return Answer(error.status, json.dumps(twin).encode(), "application/vnd.vmware.vcloud.error+json", headers)
    root = xmls.el("Error", message=message, majorErrorCode=error.status, minorErrorCode=error.minor)
    return Answer(error.status, xmls.document(root), "application/vnd.vmware.vcloud.error+xml", headers)


class Server:
    """The server in this process. ``serve`` blocks; ``start`` does not."""

    def __init__(self, cloud: Cloud, certificate: Path, port: int = 0, calls: Path | None = None) -> None:
        self.cloud = cloud
        self.calls_file = calls
        self._calls_lock = threading.Lock()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        outer = self

        class Here(_Handler):
            server_of = outer

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def get_request(self) -> tuple[socket.socket, Any]:
                plain, address = super().get_request()
                plain.settimeout(120)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that hung up

        self.listener = Listener(("127.0.0.1", port), Here)
        self.port = int(self.listener.server_address[1])
        self.url = f"https://127.0.0.1:{self.port}"

    def serve(self) -> None:
        """Answer until ``stop``."""
        self.listener.serve_forever(0.1)

    def start(self) -> Server:
        """Answer in a thread."""
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def stop(self) -> None:
        """End."""
        self.listener.shutdown()
        self.listener.server_close()
        self.cloud.stop()

    def log(self, request: Request, status: int, began: float) -> None:
        """Note a call."""
        entry = {
            "time": round(began, 3),
            "seconds": round(time.time() - began, 4),
            "method": request.method,
            "path": request.path,
            "status": status,
            "user": request.user.get("name", ""),
            "bytes": request.read,
            "write": request.method not in ("GET", "HEAD") and not request.path.startswith(
                ("/cloudapi/1.0.0/sessions", "/oauth/", "/auth/")
            ),
        }  # fmt: skip
        with self._calls_lock:
            self.cloud.calls.append(entry)
            if len(self.cloud.calls) > 100000:
                del self.cloud.calls[:50000]
            if self.calls_file:
                with open(self.calls_file, "a") as out:
                    out.write(json.dumps(entry) + "\n")


class Cut(Exception):
    """The connection is cut."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server_of: Server
    protocol_version = "HTTP/1.1"
    server_version = "lab-vcd"
    timeout = 120

    def setup(self) -> None:
        super().setup()
        with contextlib.suppress(OSError):
            self.connection.do_handshake()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET

    def _serve(self) -> None:
        began = time.time()
        cloud = self.server_of.cloud
        split = urllib.parse.urlsplit(self.path)
        host = self.headers.get("Host") or f"127.0.0.1:{self.server_of.port}"
        length = self.headers.get("Content-Length")
        request = Request(
            cloud,
            self.command,
            urllib.parse.unquote(split.path),
            _query(split.query),
            self.headers,
            f"https://{host}",
            self.rfile,
            int(length) if length and length.isdigit() else None,
        )
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked" and not request.path.startswith("/transfer/"):
            request._body = b"".join(_chunks(self.rfile))
        try:
            answer = self._answer(request)
        except Cut:
            self.server_of.log(request, 0, began)
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        except ApiError as error:
            answer = error_answer(request, error)
        except Exception:
            traceback.print_exc()
            answer = error_answer(request, ApiError(500, "Internal error, see the log of the lab's Cloud Director."))
        left = (request.length or 0) - request.read if request._body is None else 0
        if left > 1 << 20 or "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.close_connection = True
        elif left:
            self.rfile.read(left)
            left = 0
        if not request.path.startswith("/_lab"):
            self.server_of.log(request, answer.status, began)
        try:
            self._send(request, answer)
            while left > 0:  # who is still sending must be able to see the answer
                left -= len(self.rfile.read(min(left, 1 << 20))) or left
        except (OSError, Cut):
            self.close_connection = True

    def _answer(self, request: Request) -> Answer:
        cloud = request.cloud
        path = request.path.rstrip("/") or "/"
        allowed = set()
        for method, pattern, handler, area in _ROUTES:
            found = pattern.fullmatch(path)
            if not found:
                continue
            allowed.add(method)
            if method != request.method:
                continue
            request.area = area
            if area != "lab":
                self._faults(request)
            if area in ("legacy", "open", "orange", "transfer"):
                authenticate(request)
            if area in ("legacy", "open"):
                request.version = version_of(request)
            if area in ("lab", "transfer"):
                return handler(request, **found.groupdict())
            if area == "legacy" or area == "open":
                request.body  # noqa: B018  read before the lock is taken
            with cloud.lock:
                return handler(request, **found.groupdict())
        request.area = {"/clo": "open", "/inf": "orange"}.get(path[:4], "legacy")
        if path.startswith("/_lab"):
            raise ApiError(404, f"The lab's own door has no {request.method} {path}.")
        authenticate(request)
        if allowed:
            raise ApiError(405, f"{request.method} is not allowed there, only {sorted(allowed)}.", "METHOD_NOT_ALLOWED")
        raise ApiError(404, f"No such resource: {path}")

    def _faults(self, request: Request) -> None:
        subject = f"{request.method} {request.path}"
        fault = request.cloud.fault("stall", subject)
        if fault:
            time.sleep(float(fault.get("stall", 5)))
        if request.cloud.fault("expire", subject):
            with request.cloud.lock:
                request.cloud.table("session").clear()
        if request.cloud.fault("cut", subject):
            raise Cut
        fault = request.cloud.fault("http", subject)
        if fault:
            headers = {str(k): str(v) for k, v in fault.get("headers", {}).items()}
            if "retry_after" in fault:
                headers["Retry-After"] = str(fault["retry_after"])
            if "body" in fault:
                raise _Raw(
                    Answer(int(fault["status"]), str(fault["body"]).encode(), fault.get("type", "text/html"), headers)
                )
            raise ApiError(
                int(fault["status"]), fault.get("message", "A fault of the lab."), fault.get("minor", ""), headers
            )
        fault = request.cloud.fault("hostile", subject)
        if fault:
            raise _Raw(hostile(str(fault.get("how", "bomb")), request.path))

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (OSError, ssl.SSLError):
            self.close_connection = True

    def _send(self, request: Request, answer: Answer) -> None:
        first, last, total = 0, len(answer.body) - 1, len(answer.body)
        status = answer.status
        headers = {"X-VMWARE-VCLOUD-REQUEST-ID": new_id(), **answer.headers}
        if answer.file:
            total = answer.file.stat().st_size
            last = total - 1
            headers["Accept-Ranges"] = "bytes"
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if asked and not request.cloud.fault("whole_downloads", request.path):
                first = int(asked[1])
                last = min(int(asked[2] or last), last)
                if first > last:
                    status, answer = 416, Answer(416, b"", "", {})
                    headers["Content-Range"] = f"bytes */{total}"
                    first, last = 0, -1
                else:
                    status = 206
                    headers["Content-Range"] = f"bytes {first}-{last}/{total}"
        self.send_response(status)
        if answer.kind:
            headers["Content-Type"] = answer.kind
        if status not in _BODILESS:
            headers.setdefault("Content-Length", str(last - first + 1))
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if request.method == "HEAD":
            return
        if answer.file:
            self._send_file(request, answer.file, first, last)
        elif status not in _BODILESS:
            self.wfile.write(answer.body)

    def _send_file(self, request: Request, path: Path, first: int, last: int) -> None:
        cut = request.cloud.fault("cut_download", request.path)
        bad = request.cloud.fault("corrupt_download", request.path)
        at = first
        with open(path, "rb") as source:
            source.seek(first)
            while at <= last:
                data = source.read(min(1 << 20, last + 1 - at))
                if bad and at <= int(bad.get("offset", 0)) < at + len(data):
                    spot = int(bad.get("offset", 0)) - at
                    data = data[:spot] + bytes([data[spot] ^ 1]) + data[spot + 1 :]
                if cut and at + len(data) - first > int(cut.get("after", 0)):
                    self.wfile.write(data[: max(0, int(cut.get("after", 0)) - (at - first))])
                    self.wfile.flush()
                    raise Cut
                self.wfile.write(data)
                at += len(data)


_ENTITIES = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "lol"}">' for i in range(10))
_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>'
HOSTILE: dict[str, Callable[[], tuple[bytes, bytes]]] = {
    "bomb": lambda: (
        f"<?xml version='1.0'?><!DOCTYPE VApp [{_ENTITIES}]><VApp>&e9;</VApp>".encode(),
        b'{"values": [' + b"[" * 200000,
    ),
    "external": lambda: (
        b'<?xml version="1.0"?><!DOCTYPE V [<!ENTITY x SYSTEM "file:///etc/passwd">]><VApp name="x">&x;</VApp>',
        b'{"values": [], "total": NaN}',
    ),
    "huge": lambda: (b"<VApp>" + b" " * (100 << 20) + b"</VApp>", b'{"values": [' + b" " * (100 << 20) + b"]}"),
    "encoding": lambda: (_HEAD + b'<VApp name="\xff\xfe\xe9"/>', b'{"values": [{"name": "\xff\xfe\xe9"}]}'),
    "utf-16": lambda: (
        '<?xml version="1.0" encoding="utf-16"?><VApp/>'.encode("utf-16"),
        '{"values": []}'.encode("utf-16"),
    ),
    "truncated": lambda: (b'<?xml version="1.0"?><VApp name="cut', b'{"values": [{"name": "cut'),
}
"""What no honest server sends, as XML and as JSON."""


def hostile(how: str, path: str) -> Answer:
    """Such an answer, in the language of the interface that was asked."""
    as_xml, as_json = HOSTILE[how]()
    if path.startswith("/cloudapi"):
        return Answer(200, as_json, "application/json")
    return Answer(200, as_xml, "application/vnd.vmware.vcloud.vApp+xml")


def _query(raw: str) -> dict[str, str]:
    """Query parameters. Of one that comes twice the last counts; a filter that says it is encoded is decoded twice."""
    found: dict[str, str] = {}
    for part in raw.lstrip("?").split("&"):
        name, dummy, value = part.partition("=")
        if name:
            found[urllib.parse.unquote_plus(name).lstrip("?")] = urllib.parse.unquote(value)
    return found


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    total = 0
    while True:
        size = int(stream.readline(100).split(b";")[0] or b"0", 16)
        total += size
        if total > MAX_BODY:
            raise ValueError("too large")
        if size:
            yield stream.read(size)
        stream.readline(100)
        if not size:
            return


def authenticate(request: Request) -> None:
    """The user of the token that was sent; 401 otherwise."""
    said = request.headers.get("Authorization", "")
    token = said[7:].strip() if said.lower().startswith("bearer ") else ""
    cloud = request.cloud
    with cloud.lock:
        if request.area == "orange":
            session = cloud.table("orange_session").get(token)
            if session is None and request.path.startswith("/api/customers/"):
                session = cloud.table("session").get(token)
        else:
            session = cloud.table("session").get(token)
        idle = float(cloud.options["idle_minutes"]) * 60
        if (
            session is None
            or time.time() > session.get("until", time.time() + 1)
            or (time.time() - session["used"] > idle)
        ):
            cloud.table("session").pop(token, None)
            raise ApiError(401, "This operation requires an authenticated session.", "UNAUTHORIZED")
        session["used"] = time.time()
        request.token = token
        request.user = cloud.table("user")[session["user"]]


def version_of(request: Request) -> str:
    """The API version that is asked for: one that is served, else 406."""
    wanted = [v for h in request.headers.get_all("Accept") or [] for v in re.findall(r"version=([\w.-]+)", h)]
    if not wanted:
        raise ApiError(406, "The request has no valid API version in its Accept header.", "NOT_ACCEPTABLE")
    for version in wanted:
        if version in request.cloud.options.get("versions", VERSIONS):
            return version
    raise ApiError(406, f"The API version {wanted[0]} is not supported.", "NOT_ACCEPTABLE")


def basic(request: Request) -> tuple[str, str]:
    """User and password of an Authorization header of the kind Basic."""
    said = request.headers.get("Authorization", "")
    if not said.lower().startswith("basic "):
        return "", ""
    try:
        user, dummy, password = base64.b64decode(said[6:], validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return user, password


def ident(value: str) -> str:
    """The id in a path segment: bare, with a prefix or as URN."""
    return bare(value)
