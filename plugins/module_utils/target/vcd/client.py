# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session with Cloud Director: version, log-in (again), requests that wait where waiting helps.

Both interfaces of one server: the older one in XML below /api, the newer one in JSON below /cloudapi.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    InvalidInput,
    Problem,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import locks, login, wire, xml
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.login import Credentials, Login
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Answer, Json, Pace, Wire

if TYPE_CHECKING:
    import requests


CLOUDAPI = "/cloudapi/1.0.0"
TRIES = 4
BUSY_S = 600.0
"""How long a change waits for the task that holds its object."""
SAFE = frozenset({"GET", "HEAD"})
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


class Session:
    """A logged-in session. Made by `connect`; usable from several threads; a context manager that logs out.

    Every call may meet an ended session: it logs in again once and repeats the call.
    """

    def __init__(self, wire_: Wire, who: Credentials, *, api_version: str = "", busy_timeout: float = BUSY_S) -> None:
        problems = who.problems()
        if problems:
            raise InvalidInput("the log-in to Cloud Director is not complete", problems)
        self.wire = wire_
        self.who = who
        self.pace = wire_.pace
        self.busy_timeout = busy_timeout
        self._guard = threading.Lock()
        self._login = Login("")
        self._logins = 0
        self._closed = False
        self._refused: AuthFailed | None = None
        self._used = 0.0
        what = f"cannot reach the Cloud Director at {self.host}"
        answer = self._answered(
            lambda: self.wire.send("GET", "/api/versions", what, headers={"Accept": "*/*"}), repeat=True
        )
        self.versions = login.offered(wire.judge(answer).xml())
        self.version = login.choose(self.versions, self.host, api_version)
        self._log_in()

    def __repr__(self) -> str:
        return f"Session({self.who!r}, {self.host})"

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def host(self) -> str:
        """The server, for messages."""
        return self.wire.host

    @property
    def base(self) -> str:
        """Scheme and host, for hrefs that are sent."""
        return self.wire.base

    @property
    def older(self) -> str:
        """A sentence when the server speaks only an older version than we want; "" otherwise."""
        if login.number_of(self.version) >= login.number_of(login.WANTED):
            return ""
        return f"{self.host} speaks version {self.version} of the interface; {login.WANTED} is what we are made for"

    def at_least(self, version: str) -> bool:
        """Whether the spoken version is that or newer."""
        return login.number_of(self.version) >= login.number_of(version)

    # -- log-in

    def _log_in(self) -> None:
        def once() -> Login:
            if self.who.password:
                return login.password(self.wire, self.who, self.version)
            if self.who.token_file:
                return login.service_account(self.wire, self.who)
            return login.api_token(self.wire, self.who)

        for number, pause in enumerate(self.pace.pauses(1.0, 10.0), 1):
            try:
                self._login = once()
                break
            except Unreachable as error:
                # a token that changes with its use is not sent twice unless it certainly never left
                again = not self.who.token_file or wire.never_left(error)
                if not error.retryable or not again or number >= TRIES:
                    raise
                self.pace.sleep(pause)
        self._logins += 1
        self._used = self.pace.now()

    def _log_in_again(self, seen: int) -> None:
        """Log in again, unless another thread did. What is refused once is not tried again: it would lock the user."""
        with self._guard:
            if self._refused is not None:
                raise self._refused
            if self._logins == seen and not self._closed:
                try:
                    self._log_in()
                except AuthFailed as error:
                    self._refused = error
                    raise

    def close(self) -> None:
        """Log out and drop the connections; never raises."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
        with contextlib.suppress(Exception):
            path = f"{login.LOGIN}/current"
            self.wire.send("DELETE", path, "cannot log out", headers=self._headers("json", ""), timeout=10)
        self.wire.close()

    def keep_alive(self) -> None:
        """Use the session, so that it does not idle out: the cheapest of the calls that count."""
        query = {"type": "task", "format": "records", "page": "1", "pageSize": "1"}
        self.call("GET", "/api/query", "cannot keep the session alive", params=query)

    @property
    def idle_s(self) -> float:
        """Seconds after which a session that is not used ends."""
        return self._login.idle_minutes * 60.0

    def unused_s(self) -> float:
        """Seconds since the last call."""
        return self.pace.now() - self._used

    # -- calls

    def call(
        self,
        method: str,
        path: str,
        what: str,
        *,
        body: xml.Node | Json | list[Json] | bytes | None = None,
        content_type: str = "",
        accept: str = "",
        params: Mapping[str, str] | None = None,
        ok: Collection[int] = (200, 201, 202, 204),
        repeat: bool | None = None,
        wait_busy: bool = True,
        limit: int = wire.MAX_ANSWER,
    ) -> Answer:
        """One call; its answer, or the error with `what` ("cannot ...").

        path: from the root of the server, or a link that it gave (only path and query of it are used). body: a Node for
        the older interface, an object for the newer one. repeat: whether it may be sent again when the connection broke
        after it was sent (by default all but POST). While another task holds the object (BUSY_ENTITY) it waits, unless
        `wait_busy` is false.
        """
        where = wire.path_of(path, what)
        headers = self._headers("json" if where.startswith("/cloudapi") else "xml", accept)
        data: bytes | None = None
        if isinstance(body, xml.Node):
            data = xml.render(body)
            headers["Content-Type"] = content_type or "application/xml"
        elif isinstance(body, bytes):
            data = body
            headers["Content-Type"] = content_type or "application/octet-stream"
        elif body is not None:
            data = wire.dump_json(body)
            headers["Content-Type"] = content_type or "application/json"
        elif method in ("POST", "PUT"):
            data = b""

        def send() -> Answer:
            return self.authenticated(
                lambda token: self.wire.send(
                    method,
                    where,
                    what,
                    headers={**headers, "Authorization": f"Bearer {token}"},
                    params=params,
                    body=data,
                    limit=limit,
                )
            )

        may = method in REPEATABLE if repeat is None else repeat
        answer = self._answered(send, repeat=may, again_5xx=method in SAFE)
        if answer.status in ok or not wait_busy:
            return wire.judge(answer, ok)
        deadline = self.pace.now() + self.busy_timeout
        for pause in self.pace.pauses(2.0, 30.0):
            try:
                return wire.judge(answer, ok)
            except CloudExitError as error:
                if wire.minor_of(error) != wire.BUSY:
                    raise
                if self.pace.now() + pause > deadline:
                    error.cause += f"; it stayed so for {self.busy_timeout:g} s"
                    raise
            self.pace.sleep(pause)
            answer = self._answered(send, repeat=may, again_5xx=method in SAFE)
        raise AssertionError("pauses do not end")

    def _headers(self, form: str, accept: str) -> dict[str, str]:
        kind = accept or ("application/json" if form == "json" else "application/*+xml")
        token = {"Authorization": f"Bearer {self._login.token}"} if self._login.token else {}
        return {"Accept": f"{kind};version={self.version}", **token}

    def authenticated(self, call: Callable[[str], Answer]) -> Answer:
        """The answer of `call(token)`; after a 401, that of the same with a new token."""
        seen = self._logins
        answer = call(self._login.token)
        self._used = self.pace.now()
        if answer.status == 401 and not self._closed:
            self._log_in_again(seen)
            answer = call(self._login.token)
            if answer.status == 401:
                error = wire.failure(wire.told(answer), answer.what)
                error.hint = "A new session is refused too: the user may have been locked, or the token revoked."
                raise error
        return answer

    def _answered(self, send: Callable[[], Answer], *, repeat: bool, again_5xx: bool = True) -> Answer:
        """An answer, after some tries where the connection breaks or the server is overloaded (429, 503)."""
        tries = 0
        for pause in self.pace.pauses(1.0, 20.0, 2.0):
            tries += 1
            try:
                answer = send()
            except Unreachable as error:
                if tries >= TRIES or not error.retryable or not (repeat or wire.never_left(error)):
                    raise
                self.pace.sleep(pause)
                continue
            overloaded = answer.status in (429, 503)
            if tries >= TRIES or not (overloaded or (again_5xx and answer.status in (500, 502, 504))):
                return answer
            self.pace.sleep(wire.retry_after(answer, pause) if overloaded else pause)
        raise AssertionError("pauses do not end")

    # -- the two interfaces

    def read(self, path: str, what: str) -> xml.Tree:
        """An object of the older interface."""
        return self.call("GET", path, what).xml()

    def get(self, path: str, what: str, params: Mapping[str, str] | None = None) -> Json:
        """An object of the newer interface, by its path below /cloudapi/1.0.0."""
        return self.call("GET", cloudapi(path), what, params=params).json()

    def stream(self, path: str, what: str, *, headers: Mapping[str, str], timeout: float) -> requests.Response:
        """A download, its body not yet read; close it. After a 401 with a new token."""
        where = wire.path_of(path, what)
        for second in (False, True):
            seen = self._logins
            response = self.wire.open(
                "GET",
                where,
                what,
                headers={"Accept": "*/*", "Authorization": f"Bearer {self._login.token}", **headers},
                timeout=timeout,
            )
            self._used = self.pace.now()
            if response.status_code != 401 or second:
                return response
            response.close()
            self._log_in_again(seen)
        raise AuthFailed(what)

    def lock(self, kind: str, identity: str) -> contextlib.AbstractContextManager[None]:
        """The lock of an edge or a vApp, by its id: hold it from reading to the end of the change."""
        what = f"cannot change the {kind} {identity}"
        return locks.hold(f"{self.host} {identity.lower()}", what, pace=self.pace)


def cloudapi(path: str) -> str:
    """A path of the newer interface; one that is whole already is left as it is."""
    return path if path.startswith("/cloudapi/") else f"{CLOUDAPI}/{path.lstrip('/')}"


def connect(
    url: str,
    org: str,
    *,
    username: str = "",
    password: str = "",
    api_token: str = "",
    token_file: str = "",
    validate_certs: bool = True,
    ca_file: str | None = None,
    timeout: float = 60.0,
    api_version: str = "",
    busy_timeout: float = BUSY_S,
    at_once: int = 8,
    pace: Pace | None = None,
) -> Session:
    """Connect and log in. Close the session, or use it as a context manager.

    Exactly one of password (with username), api_token and token_file (a service account, rewritten at each log-in).
    Raises InvalidInput, Unreachable, AuthFailed, or Refused for versions that do not fit; never with a secret in the
    text. timeout: seconds for each request. at_once: requests at a time.
    """
    problems = [] if url else [Problem("url", "the address of Cloud Director is missing")]
    who = Credentials(org, username, password, api_token, token_file)
    problems += who.problems()
    if problems:
        raise InvalidInput("the log-in to Cloud Director is not complete", problems)
    if ca_file and validate_certs:
        _check_ca(ca_file)
    line = Wire(
        wire.base_url(url),
        validate_certs=validate_certs,
        ca_file=ca_file,
        timeout=timeout,
        pace=pace,
        at_once=at_once,
    )
    try:
        return Session(line, who, api_version=api_version, busy_timeout=busy_timeout)
    except BaseException:
        line.close()
        raise


def _check_ca(ca_file: str) -> None:
    try:
        with open(ca_file, "rb") as stream:
            good = b"-----BEGIN CERTIFICATE-----" in stream.read(16 << 20)
    except OSError as error:
        raise CloudExitError(f"cannot read the CA file {ca_file}", cause=error.strerror or str(error)) from error
    if not good:
        raise CloudExitError(f"cannot read the CA file {ca_file}", cause="it holds no certificate in PEM form")
