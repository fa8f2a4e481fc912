# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists page by page: every way of paging, and every way in which a list does not end as it should."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import pages
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.listings import Listing, Style
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.services import Endpoint

ROWS = [{"id": f"row-{number:03}"} for number in range(25)]


class Answer:
    def __init__(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.status_code = status
        self.content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = headers or {}

    def json(self) -> Any:
        return json.loads(self.content)


class Session:
    """Answers with what the function makes of query and body; `asked` keeps both."""

    def __init__(self, answer: Callable[[dict[str, Any], dict[str, Any]], Answer]) -> None:
        self._answer = answer
        self.asked: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self.timeouts: set[float] = set()

    def request(self, url: str, method: str, **options: Any) -> Answer:
        self.asked.append((f"{method} {url}", options["params"], options.get("json", {})))
        self.timeouts.add(options["timeout"])
        return self._answer(options["params"], options.get("json", {}))


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def reader(session: Session, clock: Clock | None = None, **options: Any) -> pages.Reader:
    clock = clock or Clock()
    endpoint = Endpoint("x", "http://x", "catalogue", session, {})
    settings = {"timeout": 30.0, "page_size": 10, "sleep": clock.sleep, "clock": clock, **options}
    return pages.Reader(lambda _service: endpoint, "project-1", **settings)


def listing(**changed: Any) -> Listing:
    return Listing(**{"kind": "things", "service": "x", "path": "/v1/{project_id}/things", "key": "things", **changed})


def serve(style: Style, rows: list[dict[str, Any]], cap: int = 1000, name: str = "") -> Session:
    """A service that pages in one way."""

    def answer(query: dict[str, Any], body: dict[str, Any]) -> Answer:
        asked = body if style.startswith("body") else query
        size = min(int(asked.get("limit", 1000)), cap)
        where = asked.get(name or Listing("", "", "", "", style=style).marker)
        if style in ("marker", "body_marker"):
            start = 0 if where is None else 1 + [row["id"] for row in rows].index(where)
        elif style == "page":
            start = (int(where) - 1) * size
        else:
            start = int(where or 0)
        return Answer({"things": rows[start : start + size], "total": len(rows)})

    return Session(answer)


@pytest.mark.parametrize("style", ["marker", "offset", "page", "start_number", "body_marker", "body_offset"])
@pytest.mark.parametrize("count", [0, 1, 10, 20, 25])
def test_every_way_of_paging(style: Style, count: int) -> None:
    session = serve(style, ROWS[:count])
    method = "POST" if style.startswith("body") else "GET"
    found = reader(session).list(listing(style=style, method=method))
    assert list(found.rows) == [row["id"] for row in ROWS[:count]] and not found.reason
    assert len(session.asked) == count // 10 + 1
    assert {asked for asked, _query, _body in session.asked} == {f"{method} http://x/v1/project-1/things"}


@pytest.mark.parametrize("style", ["offset", "start_number"])
def test_a_total_that_is_told_saves_the_last_call_and_finds_short_pages(style: Style) -> None:
    session = serve(style, ROWS[:20])
    assert len(reader(session).list(listing(style=style, total_key="total")).rows) == 20
    assert len(session.asked) == 2
    short = serve(style, ROWS, cap=7)
    assert len(reader(short).list(listing(style=style, total_key="total")).rows) == 25, "pages shorter than asked for"


def test_a_total_that_is_not_reached_is_told() -> None:
    session = Session(lambda query, _body: Answer({"things": ROWS[:5] if "offset" not in query else [], "total": 9}))
    found = reader(session).list(listing(style="offset", total_key="total"))
    assert len(found.rows) == 5 and found.reason == "an empty page came although more was announced"


def test_a_marker_that_the_answer_names() -> None:
    def answer(query: dict[str, Any], _body: dict[str, Any]) -> Answer:
        start = int(query.get("start", "0"))
        following = {"marker": str(start + 3)} if start + 3 < len(ROWS) else {"marker": ""}
        return Answer({"things": ROWS[start : start + 3], "meta": following})

    found = reader(Session(answer)).list(listing(next_key="meta.marker", marker_name="start"))
    assert len(found.rows) == 25 and not found.reason


def test_limits_of_the_service_and_of_the_reader() -> None:
    session = serve("marker", ROWS)
    reader(session, page_size=500).list(listing(limit=7))
    assert {query["limit"] for _asked, query, _body in session.asked} == {"7"}
    session = serve("marker", ROWS)
    reader(session, page_size=5).list(listing(limit=7))
    assert {query["limit"] for _asked, query, _body in session.asked} == {"5"}
    session = serve("marker", ROWS)
    reader(session, page_size=5).list(listing(style="none", limit_name=""))
    assert [query for _asked, query, _body in session.asked] == [{}]


def test_a_service_that_does_not_page_at_all() -> None:
    session = Session(lambda _query, _body: Answer({"things": ROWS}))
    found = reader(session).list(listing())
    assert len(found.rows) == 25 and not found.reason and len(session.asked) == 1


def test_lists_where_the_answer_has_them() -> None:
    assert list(reader(Session(lambda _q, _b: Answer([{"id": "a"}]))).list(listing(key="")).rows) == ["a"]
    assert list(reader(Session(lambda _q, _b: Answer(["a", "b"]))).list(listing(key="")).rows) == ["a", "b"]
    nested = Session(lambda _q, _b: Answer({"data": {"items": [{"meta": {"uid": "u"}}]}}))
    assert list(reader(nested).list(listing(key="data.items", id_field="meta.uid")).rows) == ["u"]
    assert list(reader(Session(lambda _q, _b: Answer({"things": [{"id": 7}]}))).list(listing()).rows) == ["7"]
    empty = reader(Session(lambda _q, _b: Answer(b"", 204))).list(listing(key=""))
    assert not empty.rows and not empty.reason


def test_one_object_instead_of_a_list() -> None:
    found = reader(Session(lambda _q, _b: Answer({"limits": {"absolute": {"cores": 4}}}))).list(
        listing(key="limits.absolute", style="none", one=True)
    )
    assert found.rows == {"project-1": {"cores": 4}}
    missing = reader(Session(lambda _q, _b: Answer({"limits": []}))).list(listing(key="limits.absolute", one=True))
    assert missing.reason == "the answer has no object 'limits.absolute'"


def test_rows_are_tidied_before_they_count() -> None:
    def convert(row: dict[str, Any]) -> dict[str, Any] | None:
        return None if row["id"] == "row-001" else {"id": row["id"][:5], "seen": row["id"]}

    session = serve("marker", ROWS[:12])
    found = reader(session).list(listing(convert=convert))
    assert list(found.rows) == ["row-0"] and not found.reason
    assert [query.get("marker") for _asked, query, _body in session.asked] == [None, "row-009"]


def test_a_page_of_which_nothing_is_kept_is_not_the_end() -> None:
    session = serve("offset", ROWS)
    found = reader(session).list(listing(style="offset", convert=lambda row: row if row["id"] > "row-020" else None))
    assert len(found.rows) == 4 and not found.reason


@pytest.mark.parametrize("style", ["marker", "offset", "page", "start_number"])
def test_pages_that_repeat(style: Style) -> None:
    session = Session(lambda _query, _body: Answer({"things": ROWS[:10]}))
    found = reader(session).list(listing(style=style))
    assert len(found.rows) == 10 and found.reason == "the pages repeat and do not end"
    assert len(session.asked) == 2


def test_a_marker_without_end() -> None:
    count = iter(range(10**9))
    session = Session(lambda _query, _body: Answer({"things": [{"id": str(next(count))}], "next": "more"}))
    found = reader(session).list(listing())
    assert found.reason == f"the list has more than {pages.MAX_PAGES} pages"
    assert len(found.rows) == len(session.asked) == pages.MAX_PAGES


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(b"<html>"), "the answer is not JSON"),
        (Answer({"other": []}), "the answer has no list 'things'"),
        (Answer({"things": {}}), "the answer has no list 'things'"),
        (Answer("text"), "the answer has no list 'things'"),
        (Answer({"things": [{"name": "x"}]}), "the answer holds entries without an id"),
        (Answer({"things": [None]}), "the answer holds entries without an id"),
        (Answer({"things": [{"id": True}]}), "the answer holds entries without an id"),
        (Answer({"error_code": "VPC.0101", "error_msg": "no\n such"}, 400), "HTTP 400: VPC.0101: no such"),
        (Answer({"code": "EVS.1", "message": "bad"}, 400), "HTTP 400: EVS.1: bad"),
        (Answer({"itemNotFound": {"message": "gone", "code": 404}}, 404), "HTTP 404: gone"),
        (Answer(b"<html>", 403), "HTTP 403"),
    ],
)
def test_answers_that_are_none(answer: Answer, why: str) -> None:
    found = reader(Session(lambda _query, _body: answer)).list(listing())
    assert found.reason == why and not found.rows and not found.absent


def test_what_the_cloud_does_not_have_is_absent() -> None:
    missing = Session(lambda _query, _body: Answer({"NotFound": {"message": "no such extension"}}, 404))
    assert reader(missing).list(listing(optional=True)).absent
    unpublished = Answer({"error_code": "APIGW.0101", "error_msg": "The API does not exist"}, 404)
    assert reader(Session(lambda _query, _body: unpublished)).list(listing()).absent
    nowhere = pages.Reader(lambda _service: None, "p", timeout=1.0)
    assert nowhere.list(listing()).absent and nowhere.calls == 0


def test_a_busy_service_is_waited_for_as_long_as_it_says_and_seen_waiting() -> None:
    answers = iter([Answer({}, 429, {"Retry-After": "60"}), Answer({}, 503), Answer({"things": ROWS[:1]})])
    clock, told = Clock(), []
    session = Session(lambda _query, _body: next(answers))
    one = reader(session, clock, on_wait=lambda *what: told.append(what))
    found = one.list(listing())
    assert len(found.rows) == 1 and clock.slept == [60.0, 2.0] and one.waits == {"x": 62.0}
    assert told == [
        ("things", 60.0, "HTTP 429: the service is busy"),
        ("things", 2.0, "HTTP 503: the service is busy"),
    ]


def test_a_window_holds_for_all_lists_of_the_service() -> None:
    clock = Clock()
    refused = iter([Answer({}, 429, {"Retry-After": "200"})] * 2)
    session = Session(lambda _query, _body: next(refused, Answer({"things": []})))
    one = reader(session, clock, retry_seconds=300.0)
    assert one.list(listing()).reason == "HTTP 429: the service is busy"
    assert clock.slept == [200.0]
    clock.now -= 50.0
    assert one.list(listing(kind="others")).reason == ""
    assert clock.slept == [200.0, 50.0], "the second list waits for the rest of the window before its first call"


def test_a_service_that_stalls_is_given_up_as_a_whole() -> None:
    calls = []

    def stall(_query: dict[str, Any], _body: dict[str, Any]) -> Answer:
        calls.append(1)
        raise requests.exceptions.ReadTimeout("Read timed out. (read timeout=30)")

    session = Session(stall)
    one = reader(session)
    assert [one.list(listing(kind=kind)).reason for kind in "abc"] == ["the service did not answer within 30 s"] * 3
    assert len(calls) == 1 and session.timeouts == {30.0}


def test_a_page_that_takes_too_long_is_asked_for_in_smaller_ones() -> None:
    rows = [{"id": f"row-{number:04}"} for number in range(1200)]

    def slow(query: dict[str, Any], _body: dict[str, Any]) -> Answer:
        limit = int(query["limit"])
        start = 1 + next((i for i, row in enumerate(rows) if row["id"] == query.get("marker")), -1)
        if limit > 100 and start >= 500:  # the first page comes: the service is alive
            raise requests.exceptions.ReadTimeout("Read timed out. (read timeout=30)")
        return Answer({"things": rows[start : start + limit]})

    session = Session(slow)
    one = reader(session, page_size=500)
    found = one.list(listing())
    assert (found.reason, len(found.rows)) == ("", 1200)
    assert [int(query["limit"]) for _url, query, _body in session.asked] == [500, 500, *[100] * 8]


def test_a_service_that_is_alive_and_then_stalls_is_given_up() -> None:
    def stall(query: dict[str, Any], _body: dict[str, Any]) -> Answer:
        if "marker" in query:
            raise requests.exceptions.ReadTimeout("Read timed out. (read timeout=30)")
        return Answer({"things": [{"id": str(number)} for number in range(int(query["limit"]))]})

    session = Session(stall)
    one = reader(session, page_size=500)
    found = one.list(listing())
    assert (found.reason, len(found.rows)) == ("the service did not answer within 30 s", 500)
    assert [int(query["limit"]) for _url, query, _body in session.asked] == [500, 500, 100]
    assert one.list(listing(kind="other")).reason == found.reason and len(session.asked) == 3


class Unresolved(Session):
    """A host whose name does not resolve, as requests and keystoneauth tell it."""

    def __init__(self, errno: int) -> None:
        super().__init__(lambda _query, _body: Answer({}))
        self.errno = errno

    def request(self, url: str, method: str, **options: Any) -> Answer:
        self.asked.append((url, {}, {}))
        try:
            raise socket.gaierror(self.errno, "told so")
        except socket.gaierror as exc:
            raise requests.exceptions.ConnectionError(f"failed: {exc}") from exc


@pytest.mark.parametrize(
    ("errno", "origin", "absent", "calls"),
    [
        (socket.EAI_NONAME, "table", True, 1),
        (socket.EAI_NONAME, "catalogue", False, 1),
        (socket.EAI_AGAIN, "table", False, 2),
    ],
)
def test_a_host_of_the_table_that_does_not_exist_is_absent(errno: int, origin: Any, absent: bool, calls: int) -> None:
    session = Unresolved(errno)
    endpoint = Endpoint("x", "http://x", origin, session, {})
    one = pages.Reader(lambda _service: endpoint, "p", timeout=1.0, sleep=lambda _seconds: None)
    found = one.list(listing())
    assert found.absent is absent and bool(found.reason) is not absent and len(session.asked) == calls


def test_a_service_that_cannot_be_reached_is_not_tried_for_every_list() -> None:
    session = Unresolved(socket.EAI_AGAIN)
    one = reader(session)
    reasons = {one.list(listing(kind=kind)).reason for kind in "abcd"}
    assert len(reasons) == 1 and "told so" in reasons.pop() and len(session.asked) == 2


def test_one_failure_is_tried_again_and_two_are_not() -> None:
    answers = iter([Answer({}, 500), Answer({"things": ROWS[:2]}), Answer({}, 502), Answer({}, 500)])
    one = reader(Session(lambda _query, _body: next(answers)))
    assert len(one.list(listing()).rows) == 2
    assert one.list(listing()).reason == "HTTP 500" and one.calls == 4


def test_reasons_hold_nothing_that_changes() -> None:
    def refuse(_query: dict[str, Any], _body: dict[str, Any]) -> Answer:
        raise requests.exceptions.ConnectionError(
            f"<urllib3.connection.HTTPConnection object at 0x{id(object()):x}>: refused"
        )

    found = reader(Session(refuse)).list(listing())
    assert "0x" not in found.reason and "refused" in found.reason
    said = {"error_code": "X.1", "error_msg": "no", "request_id": "2b1e4a0d9c8f7e6d5c4b3a2918070605"}
    assert reader(Session(lambda _q, _b: Answer(said, 400))).list(listing()).reason == "HTTP 400: X.1: no"
    text = {"message": {"message": "no (Request-ID: req-01234567-89ab-cdef-0123-456789abcdef)"}}
    assert reader(Session(lambda _q, _b: Answer(text, 400))).list(listing()).reason == "HTTP 400: no"


def test_a_fault_of_ours_is_not_taken_for_one_of_the_cloud() -> None:
    def broken(_row: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        reader(Session(lambda _q, _b: Answer({"things": [{"id": "a"}]}))).list(listing(convert=broken))


def test_lists_of_parents() -> None:
    asked: list[str] = []

    class Parents(Session):
        def request(self, url: str, method: str, **options: Any) -> Answer:
            asked.append(url)
            if url.endswith("gone"):
                return Answer({"message": {"message": "gone"}}, 404)
            return Answer({"things": [{"id": f"of-{url[-1]}"}]})

    one = reader(Parents(lambda _q, _b: Answer({})))
    row = listing(path="/pools/{parent}", per="pools", optional=True)
    found = one.of_parents(row, pages.Rows({"b": {}, "a": {}, "gone": {}, "../x?y": {}}))
    assert found.rows == {
        key: {"id": key, "_parent": parent} for key, parent in (("of-y", "../x?y"), ("of-a", "a"), ("of-b", "b"))
    }
    assert not found.reason and not found.absent
    assert asked[0] == "http://x/pools/..%2Fx%3Fy", "an id is no path"
    assert one.of_parents(row, pages.Rows(absent=True)).absent
    half = one.of_parents(row, pages.Rows({"a": {}}, reason="HTTP 500"))
    assert half.reason == "pools could not be read: HTTP 500" and len(half.rows) == 1


def test_lists_of_parents_have_a_bound() -> None:
    session = Session(lambda _q, _b: Answer({"things": []}))
    many = pages.Rows({f"p{number}": {} for number in range(pages.MAX_PARENTS + 3)})
    found = reader(session).of_parents(listing(per="pools"), many)
    assert len(session.asked) == pages.MAX_PARENTS
    assert found.reason == f"only those of the first {pages.MAX_PARENTS} of {pages.MAX_PARENTS + 3} pools are read"


def test_an_endpoint_is_looked_for_once_by_however_many_threads() -> None:
    looked: list[str] = []
    endpoint = Endpoint("x", "http://x", "table", Session(lambda _q, _b: Answer({"things": []})), {})

    def find(service: str) -> Endpoint:
        looked.append(service)
        return endpoint

    one = pages.Reader(find, "p", timeout=1.0)
    threads = [threading.Thread(target=one.list, args=(listing(),)) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert looked == ["x"] and one.calls == 8


def test_a_service_that_refuses_large_pages_is_asked_for_smaller_ones() -> None:
    whole = serve("marker", ROWS)

    def answer(query: dict[str, Any], body: dict[str, Any]) -> Answer:
        return Answer({}, 400) if int(query["limit"]) > 100 else whole._answer(query, body)

    session = Session(answer)
    assert len(reader(session, page_size=500).list(listing()).rows) == 25
    assert [query["limit"] for _asked, query, _body in session.asked] == ["500", "100"]
    session = Session(lambda _query, _body: Answer({}, 400))
    assert reader(session, page_size=500).list(listing()).reason == "HTTP 400" and len(session.asked) == 2
    session = Session(lambda _query, _body: Answer({}, 400))
    assert reader(session, page_size=50).list(listing()).reason == "HTTP 400" and len(session.asked) == 1


def test_a_service_gets_few_calls_at_the_same_time() -> None:
    lock = threading.Lock()
    full = threading.Event()
    now, most = 0, 0

    def answer(_query: dict[str, Any], _body: dict[str, Any]) -> Answer:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            if now == pages.AT_ONCE:
                full.set()
        full.wait(5)
        with lock:
            now -= 1
        return Answer({"things": []})

    one = reader(Session(answer))
    threads = [threading.Thread(target=one.list, args=(listing(),)) for _number in range(3 * pages.AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == pages.AT_ONCE and one.calls == 3 * pages.AT_ONCE
