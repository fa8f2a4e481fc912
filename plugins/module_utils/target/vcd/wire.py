# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP as both APIs are spoken: bounded answers, no redirects, errors that say what the server said.

The token of a session goes nowhere but to the host that was asked for: of a link that a server gives, only path and
query are used.
"""

from __future__ import annotations

import email.utils
import http.cookiejar
import importlib
import json
import random
import re
import threading
import time
import urllib.parse
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
    Refused,
    Timeout,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.names import printable
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import xml

if TYPE_CHECKING:
    import requests

MAX_ANSWER = xml.MAX_BYTES
USER_AGENT = "cloudexit.flexible_engine"
BUSY = "BUSY_ENTITY"
_PIECE = 1 << 16
_REQUEST_ID = re.compile(r"^\s*\[\s*[0-9A-Za-z-]{8,}\s*\]\s*")
_TASK = re.compile(r"task[^0-9a-f]{0,20}([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})", re.I)

Json: TypeAlias = "dict[str, Any]"


class MissingLibrary(CloudExitError):
    """A Python package that this act needs is not installed."""


def load() -> Any:
    """The `requests` package, imported when it is first needed. Raises MissingLibrary with the name to install."""
    try:
        importlib.import_module("requests.adapters")
        return importlib.import_module("requests")
    except ImportError as error:
        raise MissingLibrary(
            "cannot talk to Cloud Director",
            cause="the Python package requests is not installed for this interpreter",
            hint="Install it with: pip install 'requests>=2.31,<3'",
        ) from error


@dataclass(frozen=True)
class Pace:
    """Time as a session sees it: tests give another one."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def pauses(self, first: float, most: float, grow: float = 1.7) -> Iterator[float]:
        """Growing pauses, each up to a quarter longer by chance."""
        pause = first
        while True:
            yield min(pause, most) * (1 + self.jitter() / 4)
            pause *= grow


@dataclass(frozen=True)
class Answer:
    """An answer, whole: status, headers (lower-case names) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    what: str

    def xml(self) -> xml.Tree:
        """The body as XML; Refused where it is not."""
        return xml.parse(self.body, self.what)

    def json(self) -> Json:
        """The body as a JSON object; Refused where it is not."""
        found = load_json(self.body, self.what)
        if not isinstance(found, dict):
            raise not_understood(self.what, "it is JSON, but not an object")
        return found

    def array(self) -> list[Any]:
        """The body as a JSON array; Refused where it is not."""
        found = load_json(self.body, self.what)
        if not isinstance(found, list):
            raise not_understood(self.what, "it is JSON, but not a list")
        return found

    @property
    def is_xml(self) -> bool:
        """Whether there is a body that is XML, by its first character."""
        return self.body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


class ServerSaid(Exception):
    """What a server said when it refused: the cause (`__cause__`) of the error that a person reads."""

    def __init__(self, status: int, minor: str = "", message: str = "", request: str = "") -> None:
        super().__init__(f"{status} {minor} {message}".strip())
        self.status = status
        self.minor = minor
        self.message = message
        self.request = request


def said(error: BaseException) -> ServerSaid | None:
    """What the server said, of an error that `failure` made."""
    cause = error.__cause__
    return cause if isinstance(cause, ServerSaid) else None


def minor_of(error: BaseException) -> str:
    """The minor code of an error; "" where the server gave none."""
    found = said(error)
    return found.minor if found else ""


def blocking_task(error: BaseException) -> str:
    """The id of the task that a BUSY_ENTITY names; "" where it names none."""
    found = said(error)
    match = _TASK.search(found.message) if found else None
    return match[1].lower() if match else ""


def load_json(body: bytes, what: str) -> Any:
    """JSON of a server: UTF-8, no more than MAX_ANSWER bytes, nothing that is not JSON."""
    if len(body) > MAX_ANSWER:
        raise not_understood(what, f"it has {len(body)} bytes, more than the {MAX_ANSWER} that are read")
    try:
        return json.loads(body.removeprefix(b"\xef\xbb\xbf").decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise not_understood(what, f"it is not UTF-8 ({error.reason} at byte {error.start})") from error
    except RecursionError as error:
        raise not_understood(what, "it is nested too deep") from error
    except ValueError as error:
        raise not_understood(what, f"it is not JSON ({printable(str(error))})") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def not_understood(what: str, cause: str) -> Refused:
    """The error for an answer that is not what the interface promises."""
    return Refused(
        what,
        cause=f"the server's answer is not taken: {cause}",
        hint="Something else than Cloud Director may answer there (a proxy, a portal). Check the address.",
    )


def dump_json(value: object) -> bytes:
    """JSON to be sent."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")


def objects(value: object) -> list[Json]:
    """The objects of a JSON list; what is no object is left out, and anything else is an empty list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def mapping(value: object) -> Json:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def string(value: object) -> str:
    """A JSON string (or number); "" for anything else."""
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""


def ref(value: object) -> tuple[str, str]:
    """(id, name) of a reference."""
    found = mapping(value)
    return string(found.get("id")), string(found.get("name"))


# -- addresses


def base_url(url: str, what: str = "the address of Cloud Director") -> str:
    """Scheme, host and port of an address that a person gave. InvalidInput when it is not https."""
    given = url.strip()
    given = (given if "://" in given else f"https://{given}").rstrip("/")
    try:
        parts = urllib.parse.urlsplit(given)
        host, dummy = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidInput(f"{what} is not valid", [Problem("url", f"{url!r}: {error}")]) from error
    problem = ""
    if not re.fullmatch(r"[A-Za-z0-9._:-]+", host):
        problem = f"{url!r} names no host"
    elif parts.username or parts.password:
        problem = "user and password do not belong into the address"
    elif parts.scheme != "https" and not (parts.scheme == "http" and host in ("127.0.0.1", "::1", "localhost")):
        problem = f"{url!r} is not https"
    elif parts.path.rstrip("/") not in ("", "/api", "/cloudapi", "/tenant") and not parts.path.startswith("/tenant/"):
        problem = f"{url!r} has a path; give only https://host"
    if problem:
        raise InvalidInput(f"{what} is not valid", [Problem("url", problem)])
    return f"{parts.scheme}://{parts.netloc}"


def path_of(href: str, what: str) -> str:
    """Path and query of a link; the rest is ours, whatever the server wrote. Refused for one that makes no sense."""
    try:
        parts = urllib.parse.urlsplit(href)
    except ValueError as error:
        raise not_understood(what, "it has a link that is no address") from error
    if not parts.path.startswith("/") or parts.path.startswith("//") or re.search(r"[\x00-\x20\x7f\\]", href):
        raise not_understood(what, f"it has a link that is no address: {printable(href)!r}")
    return parts.path + (f"?{parts.query}" if parts.query else "")


# -- the connection


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps what a .netrc file says of the host out of our headers: they are complete already."""
    return request


class Wire:
    """Requests to one host. Usable from several threads; the proxy of the environment is used, its .netrc is not."""

    def __init__(
        self,
        base: str,
        *,
        validate_certs: bool = True,
        ca_file: str | None = None,
        timeout: float = 60.0,
        pace: Pace | None = None,
        at_once: int = 8,
    ) -> None:
        self.base = base
        self.timeout = timeout
        self.pace = pace or Pace()
        self._verify: bool | str = (ca_file or True) if validate_certs else False
        self._local = threading.local()
        self._places = threading.BoundedSemaphore(at_once)
        self._open: list[requests.Session] = []
        self._guard = threading.Lock()

    def __repr__(self) -> str:
        return f"Wire({self.base})"

    @property
    def host(self) -> str:
        """The host, for messages."""
        return urllib.parse.urlsplit(self.base).netloc

    def close(self) -> None:
        """Drop the connections."""
        with self._guard:
            for session in self._open:
                session.close()
            self._open.clear()

    def _session(self) -> requests.Session:
        found: requests.Session | None = getattr(self._local, "session", None)
        if found is not None:
            return found
        library = load()
        if self._verify is False:
            library.packages.urllib3.disable_warnings()  # it was asked for; a warning a request helps nobody
        session: requests.Session = library.Session()
        session.auth = _as_it_is
        session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        session.headers.clear()
        for scheme in ("https://", "http://"):
            session.mount(scheme, library.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=2, max_retries=0))
        self._local.session = session
        with self._guard:
            self._open.append(session)
        return session

    def send(
        self,
        method: str,
        path: str,
        what: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        body: bytes | memoryview | None = None,
        limit: int = MAX_ANSWER,
        timeout: float | None = None,
    ) -> Answer:
        """One request, once. Raises Unreachable when there is no answer, Refused for one that is too large or odd."""
        with self._places:
            response = self.open(method, path, what, headers=headers, params=params, body=body, timeout=timeout)
            try:
                return Answer(
                    response.status_code,
                    {key.lower(): value for key, value in response.headers.items()},
                    self._read(response, what, limit),
                    what,
                )
            except OSError as error:  # those of requests are
                raise unreachable(error, what) from error
            finally:
                response.close()

    def open(
        self,
        method: str,
        path: str,
        what: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        body: bytes | memoryview | None = None,
        timeout: float | None = None,
    ) -> requests.Response:
        """As `send`, with the body not yet read; close it. Nobody is asked to compress, so that nobody may."""
        url = self.base + path
        data: Any = body
        seconds = timeout or self.timeout
        try:
            return self._session().request(
                method,
                url,
                params=dict(params) if params else None,
                data=data,
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers},
                timeout=(min(seconds, 30.0), seconds),
                allow_redirects=False,
                stream=True,
                verify=self._verify,
            )
        except OSError as error:  # those of requests are
            raise unreachable(error, what) from error

    def _read(self, response: requests.Response, what: str, limit: int) -> bytes:
        coding = response.headers.get("Content-Encoding", "identity").lower()
        if coding not in ("identity", ""):
            raise not_understood(what, f"it is compressed ({printable(coding)}), which was not asked for")
        announced = xml.whole(response.headers.get("Content-Length", ""), 0)
        if announced > limit:
            raise not_understood(what, f"it has {announced} bytes, more than the {limit} that are read")
        deadline = self.pace.now() + 10 * self.timeout
        pieces: list[bytes] = []
        size = 0
        for piece in response.iter_content(_PIECE):
            size += len(piece)
            if size > limit:
                raise not_understood(what, f"it has more than the {limit} bytes that are read")
            if self.pace.now() > deadline:
                raise Timeout(what, cause="the answer did not end", retryable=True)
            pieces.append(piece)
        if announced and size < announced and response.request.method != "HEAD":
            raise Unreachable(what, cause=f"the answer broke off after {size} of {announced} bytes", retryable=True)
        return b"".join(pieces)


def _not_sent(error: BaseException) -> bool:
    """Whether the request certainly never left: the connection was not made."""
    kinds = load().exceptions
    if isinstance(error, kinds.ConnectTimeout):
        return True
    text = repr(error)
    return isinstance(error, kinds.ConnectionError) and ("NewConnectionError" in text or "NameResolution" in text)


def unreachable(error: BaseException, what: str) -> CloudExitError:
    """The error for a request without an answer."""
    if isinstance(error, CloudExitError):
        return error
    kinds = load().exceptions
    if isinstance(error, (kinds.InvalidURL, kinds.InvalidHeader)):
        return Refused(what, cause=printable(str(error)))
    if isinstance(error, kinds.SSLError) and "CERTIFICATE_VERIFY_FAILED" in repr(error):
        return Unreachable(
            what,
            cause=f"its certificate is not trusted ({_innermost(error)})",
            hint="Give the CA that signed it as ca_file, or check that the address is right.",
        )
    if isinstance(error, kinds.ProxyError):
        return Unreachable(
            what,
            cause=f"the proxy did not help ({_innermost(error)})",
            hint="Check the proxy that the environment names (https_proxy, no_proxy).",
            retryable=True,
        )
    if isinstance(error, (kinds.Timeout, TimeoutError)):
        return Unreachable(what, cause="it did not answer in time", retryable=True)
    return Unreachable(
        what,
        cause=f"the connection broke ({_innermost(error)})",
        hint="Check host, port and network, and run this again.",
        retryable=True,
    )


def never_left(error: BaseException) -> bool:
    """Whether the request of an Unreachable never left, so that it may be sent again whatever it does."""
    return error.__cause__ is not None and _not_sent(error.__cause__)


def _innermost(error: BaseException) -> str:
    while inside := [one for one in error.args if isinstance(one, BaseException)]:
        error = inside[-1]
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return _innermost(reason)
    text = str(error)
    return printable(re.sub(r"<[^<>]*object at 0x[0-9a-f]+>:? ?", "", text), 200) or type(error).__name__


# -- errors


def retry_after(answer: Answer, default: float, most: float = 120.0) -> float:
    """Seconds to wait before the same again, by Retry-After (seconds or a date)."""
    given = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", given):
        return min(float(given), most)
    with_date = email.utils.parsedate_to_datetime(given) if _is_date(given) else None
    if with_date is not None:
        return min(max(0.0, with_date.timestamp() - time.time()), most)
    return default


def _is_date(text: str) -> bool:
    try:
        return email.utils.parsedate_to_datetime(text) is not None
    except (TypeError, ValueError, IndexError):
        return False


def told(answer: Answer) -> ServerSaid:
    """What an answer says of an error, in XML, in JSON or in neither."""
    minor = message = ""
    status = answer.status
    text = answer.body[:4096].decode("utf-8", "replace")
    try:
        if answer.is_xml and "<!doctype html" not in text[:200].lower() and "<html" not in text[:400].lower():
            tree = answer.xml()
            minor, message = xml.attribute(tree, "minorErrorCode"), xml.attribute(tree, "message")
        elif answer.body.lstrip()[:1] == b"{":
            found = answer.json()
            minor = string(found.get("minorErrorCode")) or string(found.get("code")) or string(found.get("error"))
            parts = [string(found.get(key)) for key in ("reason", "message", "description", "error_description")]
            message = ": ".join(dict.fromkeys(part for part in parts if part))
    except CloudExitError:
        minor = message = ""
    if not message and text.strip() and not answer.is_xml and answer.body.lstrip()[:1] != b"{":
        message = text
    request = answer.headers.get("x-vmware-vcloud-request-id", "")
    return ServerSaid(status, printable(minor, 80), printable(strip_request(message), 400), printable(request, 130))


def strip_request(message: str) -> str:
    """A message without the request id that Cloud Director puts before it."""
    return _REQUEST_ID.sub("", message)


_QUOTA_HINT = "Raise the limit (in the portal, or by Orange's interface), or remove what is not needed."
_HINTS: Mapping[str, str] = {
    "QUOTA_EXCEEDED": _QUOTA_HINT,
    "IP_IN_USE": "Another machine has the address: release it there, or give another one in the plan.",
    "DUPLICATE_NAME": "Something of that name is there already: rename it or remove it.",
    "ACCESS_TO_RESOURCE_IS_FORBIDDEN": "The user lacks a right for it, or it belongs to somebody else.",
}


def failure(reason: ServerSaid, what: str) -> CloudExitError:
    """The error of the house for what a server said."""
    status, minor = reason.status, reason.minor
    cause = f"the server answered {status}" + (f" {minor}" if minor else "")
    cause += f": {reason.message}" if reason.message else ""
    if reason.request:
        cause += f" (request {reason.request})"
    hint = _HINTS.get(minor, "")
    error: CloudExitError
    if minor == BUSY:
        error = Conflict(what, cause=cause, hint="Another task holds it. Try again when that is done.", retryable=True)
    elif minor == "DUPLICATE_NAME" or status == 409:
        error = Conflict(what, cause=cause, hint=hint or "Look at it in the portal, and run this again.")
    elif status == 401 or minor == "UNAUTHORIZED":
        error = AuthFailed(what, cause=cause, hint="The session ended, or user, organisation or token are not right.")
    elif status == 404 or minor == "RESOURCE_NOT_FOUND":
        error = NotFound(what, cause=cause, hint="It was removed, or the user does not see it.")
    elif minor == "TIMEDOUT":
        error = Timeout(what, cause=cause, hint="Try again later.", retryable=True)
    elif status == 403:
        error = Refused(what, cause=cause, hint=hint or _HINTS["ACCESS_TO_RESOURCE_IS_FORBIDDEN"])
    elif status == 406:
        error = Refused(what, cause=cause, hint="The server does not speak this version of the interface any more.")
    elif status == 416:
        error = Conflict(what, cause=cause, hint="Run this again.", retryable=True)
    elif status == 429 or status >= 500:
        error = Unreachable(what, cause=cause, hint="Try again later.", retryable=True)
    elif 300 <= status < 400:
        error = Refused(what, cause=f"{cause}; it sends us elsewhere", hint="Give the address where it really is.")
    else:
        quota = _QUOTA_HINT if "quota" in reason.message.lower() else ""
        error = Refused(what, cause=cause, hint=hint or quota or "Correct what the server names, and run this again.")
    error.__cause__ = reason
    return error


def judge(answer: Answer, ok: Collection[int] = (200, 201, 202, 204)) -> Answer:
    """The answer where its status is a success; its error otherwise."""
    if answer.status in ok:
        return answer
    raise failure(told(answer), answer.what)
