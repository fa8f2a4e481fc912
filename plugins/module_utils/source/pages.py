# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calling a listing page by page until it ends, fails, or turns out not to end.

Every way of paging that the services have, busy services waited for, a service that stalls given up as a whole. What
came before a failure is kept.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Unreachable
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import http_status, translate
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.listings import Listing
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.services import Endpoint

PAGE_SIZE = 500
"""Objects asked for in one call. A cloud that gives fewer is followed page by page."""

AT_ONCE = 4
"""Calls that one service gets at the same time."""

SMALL_PAGE = 100
"""Objects asked for in one call where a service refuses more, or takes too long over more."""

RETRY_SECONDS = 300.0
"""How long, in all, one list waits for a service that says that it is busy (429, 503) before it counts as not read."""

MAX_PAGES = 1000
"""Pages of one list after which it is taken for one without an end."""

MAX_PARENTS = 500
"""Lists made for the objects of another kind (members of pools, nodes of clusters); the rest counts as not read."""

_REQUEST_ID = re.compile(
    r"\s*\(?,?\s*(?:Request-ID:|request(?:[_ ]?id)?:?)?\s*(?:req-[0-9a-f-]{36}|\b[0-9a-f]{32}\b)\)?", re.IGNORECASE
)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+", re.IGNORECASE)
_NOT_PUBLISHED = "APIGW.0101"
_NO_HOST = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


Finder = Callable[[str], "Endpoint | None"]
"""Gives the endpoint of a service, None where the cloud has none; may call the service, and fail as calls do."""


class Caller(Protocol):
    """Makes one call and gives the answer, whatever its status."""

    def __call__(self, method: str, url: str, **options: Any) -> Any: ...


@dataclass
class Rows:
    """What one listing gave: raw objects by id, why it ended early (empty: it did not), whether it exists at all."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    reason: str = ""
    absent: bool = False

    def add(self, other: Rows) -> None:
        """Another list of the same kind. The kind is absent where all its lists are."""
        for ident, row in other.rows.items():
            self.rows.setdefault(ident, row)
        self.reason = self.reason or other.reason
        self.absent = self.absent and other.absent


class _Busy(Exception):
    """The service says: later. `after`: seconds, where it said so."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class _Refused(CloudExitError):
    """The service finds the call itself wrong."""


class _Slow(CloudExitError):
    """A page did not come in time, from a service that has answered before."""


class _Absent(Exception):
    """There is no such list in this cloud."""


class Reader:
    """Reads listings of one cloud; may be used by several threads."""

    def __init__(
        self,
        find: Finder,
        project_id: str,
        *,
        timeout: float,
        page_size: int = PAGE_SIZE,
        retry_seconds: float = RETRY_SECONDS,
        on_progress: Callable[[str, int], None] = lambda _kind, _count: None,
        on_wait: Callable[[str, float, str], None] = lambda _kind, _seconds, _why: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find
        self._project_id = project_id
        self._timeout = timeout
        self._page_size = page_size
        self._retry_seconds = retry_seconds
        self._on_progress = on_progress
        self._on_wait = on_wait
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._found: dict[str, Endpoint | None] = {}
        self._finding: dict[str, threading.Lock] = {}
        self._given_up: dict[str, str] = {}
        self._alive: set[str] = set()
        self._slots: dict[str, threading.Semaphore] = {}
        self._not_before: dict[str, float] = {}
        self.calls = 0
        self.waits: dict[str, float] = {}

    def count(self) -> None:
        """One more call."""
        with self._lock:
            self.calls += 1

    def list(self, listing: Listing, parent: str = "") -> Rows:
        """All pages of a listing; ends early, with the reason, instead of raising."""
        return self._guarded(listing, lambda endpoint, result: self._lists(listing, endpoint, parent, result))

    def other(self, listing: Listing, read: Callable[[Endpoint, Caller], Iterable[dict[str, Any]]]) -> Rows:
        """The same for what is no list of JSON: `read(endpoint, call)` gives rows with an id.

        `call(method, url, **options)` is one call on the endpoint's session; a busy service is waited for in it.
        """

        def fill(endpoint: Endpoint, result: Rows) -> None:
            def call(method: str, url: str, **options: Any) -> Any:
                def once() -> Any:
                    self.count()
                    answer = endpoint.session.request(url, method, raise_exc=False, timeout=self._timeout, **options)
                    if int(answer.status_code) in (429, 503):
                        raise _busy(answer)
                    return answer

                return self.answer(listing.kind, listing.service, once)

            for row in read(endpoint, call):
                result.rows.setdefault(str(row["id"]), row)
                self._on_progress(listing.kind, len(result.rows))

        return self._guarded(listing, fill)

    def _lists(self, listing: Listing, endpoint: Endpoint, parent: str, result: Rows) -> None:
        if listing.one:
            self._one(listing, endpoint, parent, result)
        else:
            self._all(listing, endpoint, parent, result)

    def _guarded(self, listing: Listing, fill: Callable[[Endpoint, Rows], None]) -> Rows:
        result = Rows()
        endpoint: Endpoint | None = None
        try:
            endpoint = self._endpoint(listing)
            if endpoint is None:
                result.absent = True
            else:
                fill(endpoint, result)
        except _Absent:
            result.absent = True
        except Exception as exc:
            if listing.extra and isinstance(exc, _Refused):
                return Rows(absent=True)
            error = translate(exc, "")
            if not isinstance(error, CloudExitError):
                raise
            if endpoint is not None and endpoint.origin == "table" and _no_such_host(exc):
                result.absent = True  # the table has all hosts that the family may have in a region
            else:
                result.reason = reason(error)
        return result

    def of_parents(self, listing: Listing, parents: Rows) -> Rows:
        """The listing made for each object of its parent kind, as far as that was read."""
        result = Rows(absent=parents.absent)
        if parents.reason:
            result.reason = f"{listing.per.replace('_', ' ')} could not be read: {parents.reason}"
        idents = sorted(i for i, row in parents.rows.items() if listing.where is None or listing.where(row))
        for number, ident in enumerate(idents):
            if number >= MAX_PARENTS:
                result.reason = result.reason or (
                    f"only those of the first {MAX_PARENTS} of {len(idents)} {listing.per.replace('_', ' ')} are read"
                )
                break
            found = self.list(listing, ident)
            found.absent = False  # gone in the meantime
            result.add(found)
        return result

    def _one(self, listing: Listing, endpoint: Endpoint, parent: str, result: Rows) -> None:
        answer = self._get(listing, endpoint, parent, dict(listing.params), dict(listing.body))
        found = dig(answer, listing.key)
        if not isinstance(found, dict):
            raise CloudExitError("", cause=f"the answer has no object {listing.key!r}")
        row = listing.convert(dict(found)) if listing.convert else found
        if row is not None:
            result.rows[identity(listing, found, row) or self._project_id] = row
        self._on_progress(listing.kind, len(result.rows))

    def _all(self, listing: Listing, endpoint: Endpoint, parent: str, result: Rows) -> None:
        limit = min(listing.limit or self._page_size, self._page_size)
        marker: str | None = None
        seen: set[str] = set()
        markers: set[str] = set()
        came = 0
        for number in range(1, MAX_PAGES + 1):
            asked = self._asked(listing, limit, marker, came, number)
            large = limit > SMALL_PAGE and listing.limit_name != "" and listing.style != "none"
            # the number of a page means another place with another size of pages
            slow = large and (number == 1 or listing.style != "page")
            try:
                answer = self._get(listing, endpoint, parent, *asked, patient=slow)
            except (_Refused, _Slow) as exc:
                if isinstance(exc, _Refused) and (number > 1 or not large):
                    raise
                limit = SMALL_PAGE  # pages that it finds too large, a service may refuse, or not make in time
                answer = self._get(listing, endpoint, parent, *self._asked(listing, limit, marker, came, number))
            page = dig(answer, listing.key)
            if page is None and answer is not None and listing.key and _empty(answer, listing.key):
                page = []
            if not isinstance(page, list):
                raise CloudExitError("", cause=f"the answer has no list {listing.key!r}" if listing.key else "no list")
            idents = [self._take(listing, raw, parent, result) for raw in page]
            self._on_progress(listing.kind, len(result.rows))
            if not all(idents):
                raise CloudExitError("", cause="the answer holds entries without an id")
            fresh = {_mark(listing, raw, ident) for raw, ident in zip(page, idents, strict=True)} - seen
            seen |= fresh
            came += len(page)
            more, following = _next(listing, answer)
            total = _number(dig(answer, listing.total_key)) if listing.total_key else None
            # where the service names the marker, pages of objects that were seen go on: metrics of the same server
            moved = following != "" and following not in markers
            markers.add(following)
            if page and not fresh and not moved:
                raise CloudExitError("", cause="the pages repeat and do not end")
            if not page:
                if more or (total is not None and total > came):
                    raise CloudExitError("", cause="an empty page came although more was announced")
                return
            if listing.style == "none" or _ended(listing, len(page), limit, came, total, more, following):
                return
            marker = following or identity(listing, page[-1] if isinstance(page[-1], dict) else {}, None) or idents[-1]
        raise CloudExitError("", cause=f"the list has more than {MAX_PAGES} pages")

    def _take(self, listing: Listing, raw: Any, parent: str, result: Rows) -> str:
        """Keep one row; its identity, empty where it has none."""
        if isinstance(raw, str) and raw:  # a list of names
            raw = {"id": raw, "name": raw}
        if not isinstance(raw, dict):
            return ""
        if parent:
            raw = {**raw, "_parent": parent}
        row = listing.convert(dict(raw)) if listing.convert else raw
        ident = identity(listing, raw, row)
        if row is not None and ident:
            result.rows.setdefault(ident, row)
        return ident or ("dropped" if row is None else "")

    def _asked(
        self, listing: Listing, limit: int, marker: str | None, came: int, number: int
    ) -> tuple[dict[str, str], dict[str, Any]]:
        """The query and the body of a page."""
        moving: dict[str, Any] = {}
        if listing.style != "none":
            if listing.limit_name:
                moving[listing.limit_name] = limit
            if listing.style in ("marker", "body_marker"):
                if marker is not None:
                    moving[listing.marker] = marker
            elif listing.style == "page":
                moving[listing.marker] = number
            elif came or listing.style != "offset":
                moving[listing.marker] = came
        query, body = dict(listing.params), dict(listing.body)
        if listing.style.startswith("body"):
            # services of the family want texts in such bodies
            body.update({key: str(value) for key, value in moving.items()})
        else:
            query.update({key: str(value) for key, value in moving.items()})
        return query, body

    def _get(
        self,
        listing: Listing,
        endpoint: Endpoint,
        parent: str,
        params: Mapping[str, str],
        body: Mapping[str, Any],
        *,
        patient: bool = False,
    ) -> Any:
        url = endpoint.address(listing.path, self._project_id, parent)
        content = dict(body) if listing.method != "GET" else None

        def call() -> Any:
            self.count()
            return endpoint.request(
                listing.method, url, params=params, json=content, headers=listing.headers, timeout=self._timeout
            )

        answer = self.answer(
            listing.kind,
            listing.service,
            lambda: _decoded(call(), optional=listing.optional or listing.extra),
            patient=patient,
        )
        with self._lock:
            self._alive.add(listing.service)
        return answer

    def answer(self, kind: str, service: str, call: Callable[[], Any], *, patient: bool = False) -> Any:
        """What `call` returns: tried again where the service is busy or failed once, given up where it stalls.

        patient: a service that has answered before is not given up for one call that stalls; _Slow is raised.
        """
        waited, tries = 0.0, 0
        self._gate(kind, service)
        while True:
            try:
                with self._slot(service):
                    self._refuse_given_up(service)
                    return call()
            except Exception as exc:
                error = exc if isinstance(exc, (_Busy, _Absent)) else translate(exc, "")
                if isinstance(error, CloudExitError) and _stalled(exc):
                    cause = f"the service did not answer within {self._timeout:g} s"
                    with self._lock:
                        if patient and service in self._alive:
                            raise _Slow("", cause=cause) from exc
                        self._given_up[service] = cause
                    raise CloudExitError("", cause=cause) from exc
                busy = isinstance(error, _Busy)
                again = busy or (isinstance(error, CloudExitError) and error.retryable and tries < 1)
                if not busy and _no_such_host(exc):
                    again = False
                elif not again and isinstance(error, Unreachable) and http_status(exc) is None:
                    with self._lock:
                        self._given_up[service] = reason(error)
                after = getattr(error, "after", None)
                pause = after if after is not None else float(min(2**tries, 60))
                if not again or waited + pause > self._retry_seconds:
                    if busy:
                        raise CloudExitError("", cause=str(error)) from exc
                    raise
                if busy:
                    with self._lock:
                        self._not_before[service] = max(self._not_before.get(service, 0.0), self._clock() + pause)
                self._wait(kind, service, pause, str(error) if busy else reason(error))
                waited += pause
                tries += 1

    def _gate(self, kind: str, service: str) -> None:
        """Hold calls to a service that asked for a pause; refuse those to one that was given up."""
        self._refuse_given_up(service)
        with self._lock:
            rest = self._not_before.get(service, 0.0) - self._clock()
        if rest > 0.05:
            self._wait(kind, service, rest, "the service is busy")

    def _refuse_given_up(self, service: str) -> None:
        with self._lock:
            given_up = self._given_up.get(service, "")
        if given_up:
            raise CloudExitError("", cause=given_up)

    def _slot(self, service: str) -> threading.Semaphore:
        """One of the few calls that a service gets at the same time: more would only make each of them slower."""
        with self._lock:
            return self._slots.setdefault(service, threading.Semaphore(AT_ONCE))

    def _wait(self, kind: str, service: str, seconds: float, why: str) -> None:
        with self._lock:
            self.waits[service] = self.waits.get(service, 0.0) + seconds
        self._on_wait(kind, seconds, why)
        self._sleep(seconds)

    def _endpoint(self, listing: Listing) -> Endpoint | None:
        service = listing.service
        with self._lock:
            lock = self._finding.setdefault(service, threading.Lock())
        with lock:
            if service not in self._found:
                self._found[service] = self.answer(listing.kind, service, lambda: self._find(service))
            return self._found[service]


def dig(value: Any, path: str) -> Any:
    """What is under a dotted path; the value itself for an empty one, None where there is nothing.

    A key that holds dots itself ("a.b") is found too.
    """
    if not path:
        return value
    if not isinstance(value, dict):
        return None
    if path in value:
        return value[path]
    head, _dot, rest = path.partition(".")
    return dig(value.get(head), rest) if rest else None


def identity(listing: Listing, raw: Mapping[str, Any], row: Mapping[str, Any] | None) -> str:
    """The id of a row, before or after it was tidied."""
    for path in (listing.fields.get("id", ""), listing.id_field, "id"):
        for place in (row, raw):
            value = dig(place, path) if path and place is not None else None
            if isinstance(value, str) and value:
                return value
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
    return ""


def _mark(listing: Listing, raw: Any, ident: str) -> str:
    """What tells a row from others when a list is watched for an end: several raw rows may make one object."""
    if not listing.convert:
        return ident
    return hashlib.sha256(json.dumps(raw, sort_keys=True, default=str).encode("utf-8", "backslashreplace")).hexdigest()


def reason(error: Exception) -> str:
    """Why, without what differs from one reading to the next."""
    text = (error.cause if isinstance(error, CloudExitError) else "") or str(error)
    return " ".join(_ADDRESS.sub("", _REQUEST_ID.sub("", text)).split()).strip(" .:")


def _empty(answer: Any, key: str) -> bool:
    """Whether the list is left out since it is empty: the mapping around it is there, and null or without it."""
    above, _dot, _last = key.rpartition(".")
    around = dig(answer, above)
    return bool(above) and isinstance(around, dict) and not around


def _ended(listing: Listing, page: int, limit: int, came: int, total: int | None, more: bool, following: str) -> bool:
    if listing.next_key:
        return not following or (total is not None and came >= total)
    if total is not None:
        return came >= total
    if more:
        return False
    return page != limit  # a shorter page is the last; a longer one means that the service does not page


def _next(listing: Listing, answer: Any) -> tuple[bool, str]:
    """Whether the answer announces more, and the marker that it names for it."""
    if listing.next_key:
        following = dig(answer, listing.next_key)
        text = str(following) if isinstance(following, (str, int)) and not isinstance(following, bool) else ""
        return bool(text), text
    if not isinstance(answer, dict):
        return False, ""
    if answer.get("next"):  # Glance, Barbican
        return True, ""
    links = answer.get(f"{listing.key}_links")
    if isinstance(links, list) and any(isinstance(link, dict) and link.get("rel") == "next" for link in links):
        return True, ""
    links = answer.get("links")  # Designate
    return isinstance(links, dict) and bool(links.get("next")), ""


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _decoded(response: Any, *, optional: bool) -> Any:
    """The decoded answer; raises _Busy, _Absent or what the status means."""
    status = int(response.status_code)
    if status in (429, 503):
        raise _busy(response)
    if status >= 400:
        said = fault(response)
        if status == 404 and (optional or _NOT_PUBLISHED in said):
            raise _Absent
        cause = f"HTTP {status}" + (f": {said}" if said else "")
        raise _Refused("", cause=cause) if status == 400 else CloudExitError("", cause=cause, retryable=status >= 500)
    if status == 204 or (status == 200 and not response.content):
        return []
    try:
        return response.json()
    except ValueError as exc:
        raise CloudExitError("", cause="the answer is not JSON") from exc


def _busy(response: Any) -> _Busy:
    what = f"HTTP {int(response.status_code)}: the service is busy"
    return _Busy(what, _retry_after(response.headers.get("Retry-After")))


def _retry_after(text: Any) -> float | None:
    try:
        return min(max(float(text), 0.0), 600.0)
    except (TypeError, ValueError):
        return None


def fault(response: Any) -> str:
    """What the service said: Nova and Cinder faults, Neutron errors, `error_code` and `error_msg` of the family."""
    try:
        data = response.json()
    except ValueError:
        return ""
    if not isinstance(data, dict):
        return ""
    for inner in (*data.values(), data):
        if isinstance(inner, dict):
            said = inner.get("message") or inner.get("error_msg") or inner.get("faultstring")
            if isinstance(said, str):
                code = inner.get("error_code") or inner.get("code")
                text = f"{code}: {said}" if isinstance(code, str) else said
                return " ".join(text.split())[:200]
    return ""


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """An exception and those that it came from."""
    link: BaseException | None = exc
    for _step in range(20):
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


def _stalled(exc: BaseException) -> bool:
    """Whether a call ended because nothing came in time."""
    names = ("ReadTimeout", "ConnectTimeout", "Timeout", "ReadTimeoutError", "TimeoutError")
    return any(type(link).__name__ in names for link in _chain(exc)) or http_status(exc) == 408


def _no_such_host(exc: BaseException) -> bool:
    """Whether the name service says that there is no such host (and not that it cannot say)."""
    return any(isinstance(link, socket.gaierror) and link.errno in _NO_HOST for link in _chain(exc))
