# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions, log-ins, sessions that end, busy objects, overload, and servers that mean harm."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    Conflict,
    InvalidInput,
    NotFound,
    Refused,
    Timeout,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    client,
    locks,
    login,
    query,
    tasks,
    wire,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.xml import el
from tests.unit.module_utils.target.vcd.fake import (
    TASK,
    VCLOUD,
    Asked,
    Clock,
    Fake,
    Reply,
    error,
    js,
    logged_in,
    served,
    task,
    xml,
)


@pytest.fixture
def fake() -> Iterator[Fake]:
    with served() as one:
        yield one


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks.tempfile, "gettempdir", lambda: str(tmp_path))


# -- versions


@pytest.mark.parametrize(
    ("offered", "asked", "chosen"),
    [
        (["37.0", "37.1", "38.0", "38.1", "39.0", "39.1"], "", "39.1"),
        (["37.1", "38.1", "39.0", "39.1", "39.2"], "", "39.1"),
        (["37.1", "38.1", "39.0"], "", "39.0"),
        (["36.3", "37.1"], "", "37.1"),
        (["39.0", "39.2", "40.0", "39.1.0-alpha"], "", "39.2"),
        (["37.1", "38.0", "39.1"], "38.0", "38.0"),
    ],
)
def test_the_version_that_is_spoken(offered: list[str], asked: str, chosen: str) -> None:
    assert login.choose(offered, "h", asked) == chosen


@pytest.mark.parametrize(
    ("offered", "asked", "says"),
    [
        (["36.0", "37.0"], "", "10.4.1 or newer"),
        (["40.0", "40.1"], "", "VCF Automation"),
        ([], "", "none"),
        (["39.1"], "38.1", "38.1 is not one"),
        (["40.0", "39.1"], "40.0", "40.0 is not one"),
    ],
)
def test_versions_that_do_not_fit(offered: list[str], asked: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        login.choose(offered, "h", asked)


def test_an_older_server_is_told(fake: Fake) -> None:
    fake.versions = ["37.1", "38.1"]
    with logged_in(fake) as session:
        assert session.version == "38.1" and "39.1" in session.older
        assert session.at_least("38.0") and not session.at_least("39.0")


# -- log-ins


def test_a_password_logs_in_and_out(fake: Fake) -> None:
    fake.users = {"j@x:y@acme": ""}
    fake.users = {"j@x@acme": "pass:wörd"}
    fake.routes["GET /api/org"] = xml(f'<OrgList xmlns="{VCLOUD}"/>')
    with logged_in(fake, username="j@x", password="pass:wörd") as session:
        session.read("/api/org", "cannot read")
        assert "wörd" not in repr(session) and session.idle_s == 1800
    asked = fake.last("GET /api/org")
    assert asked.headers["authorization"].startswith("Bearer token-1-")
    assert asked.headers["accept"] == "application/*+xml;version=39.1"
    assert fake.asked[-1].line == "DELETE /cloudapi/1.0.0/sessions/current"


def test_a_wrong_password_is_told_without_it(fake: Fake) -> None:
    with pytest.raises(AuthFailed) as told, logged_in(fake, password="hunter2"):
        pass
    assert "joe@acme" in str(told.value) and "hunter2" not in str(told.value) and "who?" in str(told.value)
    assert "12345678" not in told.value.cause


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"password": "x"},
        {"password": "x", "username": "u", "api_token": "t"},
        {"token_file": "f", "api_token": "t"},
    ],
)
def test_a_log_in_has_one_way(given: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        client.connect("https://h", "acme", **given)


@pytest.mark.parametrize(
    "url",
    ["http://vcd.example.com", "https://u:p@h", "ftp://h", "https://", "https://h/x", "https://h:99999", "https://a b"],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(InvalidInput):
        wire.base_url(url)


def test_addresses_as_people_paste_them() -> None:
    for url in (
        "vcd.example.com",
        "https://vcd.example.com/",
        "https://vcd.example.com/api",
        "https://vcd.example.com/tenant/acme",
    ):
        assert wire.base_url(url) == "https://vcd.example.com"
    assert wire.base_url("https://h:8443/cloudapi/") == "https://h:8443"


def token_route(fake: Fake, rotate: bool) -> None:
    def exchange(asked: Asked) -> Reply:
        from urllib.parse import parse_qs

        given = parse_qs(asked.body.decode())
        assert given["grant_type"] == ["refresh_token"]
        if given["refresh_token"][0] not in fake.users:
            return js({"error": "invalid_grant", "error_description": "Token expired"}, 400)
        said = {"access_token": fake.token(), "token_type": "Bearer", "expires_in": 3600}
        if rotate:
            fake.users = {f"rotated-{fake.tokens}": ""}
            said["refresh_token"] = f"rotated-{fake.tokens}"
        return js(said)

    fake.users = {"api-token-1": ""}
    fake.routes["POST /oauth/tenant/acme/token"] = exchange


def test_an_api_token_logs_in(fake: Fake) -> None:
    token_route(fake, rotate=False)
    with logged_in(fake, username="", password="", api_token="api-token-1") as session:
        assert session.version == "39.1"
    wrong = {"username": "", "password": "", "api_token": "api-token-2"}
    with pytest.raises(AuthFailed, match="invalid_grant: Token expired") as told, logged_in(fake, **wrong):
        pass
    assert "api-token-2" not in str(told.value)


@pytest.mark.parametrize("form", ["bare", "json"])
def test_the_token_of_a_service_account_is_written_back_before_it_is_used(
    fake: Fake, tmp_path: Path, form: str
) -> None:
    token_route(fake, rotate=True)
    path = tmp_path / "token"
    whole = {"token_type": "Service Account", "refresh_token": "api-token-1", "other": 1}
    path.write_text("api-token-1\n" if form == "bare" else json.dumps(whole))
    for number in (1, 2):
        with logged_in(fake, username="", password="", token_file=str(path)):
            assert login.read_token(path)[0] == f"rotated-{number}"
    if form == "json":
        assert json.loads(path.read_text()) == {**whole, "refresh_token": "rotated-2"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".token")] == []


def test_a_rotating_token_is_not_used_where_it_would_be_lost(fake: Fake) -> None:
    token_route(fake, rotate=True)
    with (
        pytest.raises(AuthFailed, match="token_file"),
        logged_in(fake, username="", password="", api_token="api-token-1"),
    ):
        pass


def test_a_token_file_that_is_none(tmp_path: Path) -> None:
    for text in ("", "{", "{}", '{"refresh_token": 7}', "with space inside", "x" * 70000):
        path = tmp_path / "t"
        path.write_text(text)
        with pytest.raises(InvalidInput):
            login.read_token(path)
    with pytest.raises(CloudExitError, match="cannot be read"):
        login.read_token(tmp_path / "missing")


# -- a session that ends


def test_a_session_that_ended_is_opened_again_once(fake: Fake) -> None:
    def org(asked: Asked) -> Reply:
        return xml("<Org/>") if "token-2-" in asked.headers["authorization"] else Reply(401)

    fake.routes["GET /api/org"] = org
    with logged_in(fake) as session:
        session.read("/api/org", "cannot read")
        assert fake.tokens == 2
        fake.routes["GET /api/org"] = Reply(401)
        with pytest.raises(AuthFailed, match="locked"):
            session.read("/api/org", "cannot read")
        assert fake.tokens == 3


def test_a_password_that_is_refused_later_is_not_tried_again_and_again(fake: Fake) -> None:
    fake.routes["GET /api/org"] = Reply(401)
    with logged_in(fake) as session:
        fake.users = {}
        for dummy in range(3):
            with pytest.raises(AuthFailed, match="joe@acme"):
                session.read("/api/org", "x")
    assert [one.line for one in fake.asked].count("POST /cloudapi/1.0.0/sessions") == 2


def test_an_answer_that_drips_is_not_waited_for(fake: Fake) -> None:
    clock = Clock()

    def drip() -> Iterator[bytes]:
        for dummy in range(10_000):
            clock.time += 30
            yield b"<a>" * 30_000

    fake.routes["POST /api/x"] = Reply(200, stream=drip)
    with logged_in(fake, clock) as session, pytest.raises(Timeout, match="did not end"):
        session.call("POST", "/api/x", "cannot read")


def test_many_threads_log_in_again_once(fake: Fake) -> None:
    fake.routes["GET /api/org"] = lambda asked: (
        xml("<Org/>") if "token-2-" in asked.headers["authorization"] else Reply(401)
    )
    with logged_in(fake) as session:
        threads = [threading.Thread(target=session.read, args=("/api/org", "x")) for dummy in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert fake.tokens == 2


# -- busy, overload, broken connections


def test_a_busy_object_is_waited_for_whatever_the_status(fake: Fake) -> None:
    clock = Clock()
    for status in (400, 409, 423):
        fake.routes["POST /api/x"] = [error(status, "BUSY_ENTITY")] * 3 + [xml(task(), 202)]
        with logged_in(fake, clock) as session:
            answer, done = tasks.run(session, "POST", "/api/x", "cannot do it", body=el("A"))
            assert answer.status == 202 and done[0].status == "success"
    assert clock.slept.count(2.0) == 3 and sum(clock.slept) > 20


@pytest.mark.parametrize("minutes", [1, 9])
def test_an_object_that_is_busy_for_minutes_is_waited_for_without_haste(fake: Fake, minutes: int) -> None:
    clock = Clock()
    until = clock.time + minutes * 60

    def answer(asked: Asked) -> Reply:
        return error(400, "BUSY_ENTITY") if clock.time < until else xml(task(), 202)

    fake.routes["POST /api/x"] = answer
    with logged_in(fake, clock) as session:
        tasks.run(session, "POST", "/api/x", "cannot do it", body=el("A"))
    assert minutes * 60 <= sum(clock.slept) < minutes * 60 + 31
    assert fake.lines().count("POST /api/x") < 7 + minutes * 2


def test_an_object_that_stays_busy_is_told_with_the_task(fake: Fake) -> None:
    clock = Clock()
    fake.routes["POST /api/x"] = error(
        400, "BUSY_ENTITY", f"[ 12345678-1 ] The entity vm is busy completing task {TASK}"
    )
    with logged_in(fake, clock, busy_timeout=60.0) as session, pytest.raises(Conflict) as told:
        session.call("POST", "/api/x", "cannot do it")
    assert told.value.retryable and "60 s" in told.value.cause and wire.blocking_task(told.value) == TASK
    assert sum(clock.slept) <= 60


def test_a_task_that_failed_of_a_busy_object_is_started_again(fake: Fake) -> None:
    bad = task("error", more='<Error minorErrorCode="BUSY_ENTITY" message="busy" majorErrorCode="400"/>')
    fake.routes["POST /api/x"] = [xml(bad, 202), xml(task(), 202)]
    with logged_in(fake) as session:
        tasks.run(session, "POST", "/api/x", "cannot do it")
    assert fake.lines().count("POST /api/x") == 2


def test_too_many_requests_wait_as_they_are_told(fake: Fake) -> None:
    clock = Clock()
    fake.routes["POST /api/x"] = [Reply(429, b"<html>", {"Retry-After": "7"}), Reply(503), Reply(204)]
    with logged_in(fake, clock) as session:
        session.call("POST", "/api/x", "cannot do it")
    assert clock.slept == [7.0, 2.0]


def test_overload_ends_in_an_error_that_may_be_retried(fake: Fake) -> None:
    fake.routes["GET /api/x"] = Reply(503)
    with logged_in(fake) as session, pytest.raises(Unreachable) as told:
        session.read("/api/x", "cannot do it")
    assert told.value.retryable and fake.lines().count("GET /api/x") == client.TRIES


def test_a_broken_connection_repeats_only_what_may_be_repeated(fake: Fake) -> None:
    for method, times in (("GET", client.TRIES), ("PUT", client.TRIES), ("DELETE", client.TRIES), ("POST", 1)):
        fake.routes[f"{method} /api/x"] = Reply(cut=-1)
        with logged_in(fake) as session, pytest.raises(Unreachable) as told:
            session.call(method, "/api/x", "cannot do it")
        assert told.value.retryable
        assert fake.lines().count(f"{method} /api/x") == times


def test_nobody_there() -> None:
    clock = Clock()
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9") as told:
        client.connect("http://127.0.0.1:9", "acme", username="u", password="p", pace=clock.pace())
    assert len(clock.slept) == client.TRIES - 1 and told.value.retryable


def test_a_server_error_of_a_change_is_not_repeated(fake: Fake) -> None:
    fake.routes["POST /api/x"] = error(500, "INTERNAL_SERVER_ERROR")
    with logged_in(fake) as session, pytest.raises(Unreachable, match="INTERNAL_SERVER_ERROR"):
        session.call("POST", "/api/x", "cannot do it")
    assert fake.lines() == ["POST /api/x"]


# -- errors


@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        (error(400, "DUPLICATE_NAME", "[ aaaaaaaa-1111 ] web exists"), Conflict, "DUPLICATE_NAME: web exists"),
        (error(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN"), Refused, "lacks a right"),
        (error(404, "RESOURCE_NOT_FOUND"), NotFound, "404"),
        (error(400, "BAD_REQUEST", "order"), Refused, "BAD_REQUEST: order"),
        (Reply(403), Refused, "403"),
        (Reply(406), Refused, "version"),
        (Reply(302, headers={"Location": "https://evil.example.com/"}), Refused, "elsewhere"),
        (Reply(400, b"<!DOCTYPE html><html>proxy</html>", {"Content-Type": "text/html"}), Refused, "400"),
        (js({"minorErrorCode": "BAD", "message": "[ aaaaaaaa-1111 ] json too"}, 400), Refused, "BAD: json too"),
        (js({"message": {"a": 1}, "minorErrorCode": ["x"]}, 409), Conflict, "409"),
    ],
)
def test_errors_say_what_the_server_said(fake: Fake, reply: Reply, kind: type[CloudExitError], says: str) -> None:
    fake.routes["POST /api/x"] = reply
    with logged_in(fake) as session, pytest.raises(kind, match="cannot do it") as told:
        session.call("POST", "/api/x", "cannot do it")
    assert says in str(told.value) and "aaaaaaaa" not in str(told.value)
    assert not any(one.path == "/" for one in fake.asked)


def test_control_characters_of_a_server_do_not_reach_the_terminal(fake: Fake) -> None:
    fake.routes["POST /api/x"] = js({"message": "\x1b[31m" + "red\n" * 1000}, 400)
    with logged_in(fake) as session, pytest.raises(Refused) as told:
        session.call("POST", "/api/x", "cannot do it")
    assert "\x1b" not in str(told.value) and "\n" not in str(told.value) and len(str(told.value)) < 700


# -- servers that mean harm


def flood() -> Iterator[bytes]:
    yield b"<a>"
    for dummy in range(2000):
        yield b"x" * 65536


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<a/>", {"Content-Length": str(100 << 20)}, cut=4),
        Reply(200, stream=flood),
        Reply(200, b"\x1f\x8b\x08\x00bomb", {"Content-Encoding": "gzip"}),
        Reply(200, b'<!DOCTYPE a [<!ENTITY b "x">]><a>&b;</a>'),
        Reply(200, '<?xml version="1.0" encoding="utf-16"?><a/>'.encode("utf-16")),
    ],
    ids=["says 100 MB", "sends 100 MB", "compressed", "entity", "utf-16"],
)
def test_hostile_bodies_are_refused(fake: Fake, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.routes["GET /api/x"] = reply
    with logged_in(fake) as session, pytest.raises(Refused, match="is not taken"):
        session.read("/api/x", "cannot read it")


@pytest.mark.parametrize(
    "body",
    [
        b"[1]",
        b"\xff{}",
        b"{",
        b"[" * 100_000,
        b'{"a": NaN}',
        b"",
        b'{"a": ' + b"9" * 5000 + b"}",
        b"\xff\xfe{\x00}\x00",
    ],
)
def test_hostile_json_is_refused(fake: Fake, body: bytes) -> None:
    fake.routes["GET /cloudapi/1.0.0/x"] = Reply(200, body)
    with logged_in(fake) as session, pytest.raises(Refused, match="is not taken"):
        session.get("x", "cannot read it")


def test_an_answer_that_breaks_off_is_read_again(fake: Fake) -> None:
    whole = xml("<Org>" + "x" * 1000 + "</Org>")
    fake.routes["GET /api/org"] = [Reply(200, whole.body, whole.headers, cut=500), whole]
    with logged_in(fake) as session:
        assert session.read("/api/org", "cannot read") is not None


def test_the_token_goes_to_no_other_host(fake: Fake) -> None:
    with served() as other, logged_in(fake) as session:
        fake.routes["GET /api/org"] = xml("<Org/>")
        session.read(f"{other.url}/api/org", "cannot read")
        assert other.asked == []
        for href in ("relative", "", "/a\r\nX: y", "http://[", "/a b"):
            with pytest.raises(Refused):
                session.read(href, "cannot read")


def test_netrc_is_not_used(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login evil password evil\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    fake.routes["GET /api/org"] = Reply(200, b"<Org/>", {"Set-Cookie": "vcloud_jwt=stale; Path=/"})
    with logged_in(fake) as session:
        session.read("/api/org", "x")
        session.read("/api/org", "x")
    assert "cookie" not in fake.last("GET /api/org").headers
    assert fake.last("GET /api/org").headers["authorization"].startswith("Bearer token-1-")


# -- tasks


def test_a_task_is_waited_for_by_its_location(fake: Fake) -> None:
    clock = Clock()
    fake.routes["POST /cloudapi/1.0.0/x"] = Reply(202, headers={"Location": f"https://public.name/api/task/{TASK}"})
    fake.routes[f"GET /api/task/{TASK}"] = [
        xml(task("queued")),
        xml(task("running")),
        xml(task(owner="urn:vcloud:network:7")),
    ]
    with logged_in(fake, clock) as session:
        dummy, done = tasks.run(session, "POST", "/cloudapi/1.0.0/x", "cannot do it", body={"a": 1})
    assert done[0].owner == "urn:vcloud:network:7" and len(clock.slept) == 2
    assert fake.last("POST /cloudapi/1.0.0/x").json() == {"a": 1}


def test_a_task_that_fails_says_why(fake: Fake) -> None:
    more = '<Error minorErrorCode="DUPLICATE_NAME" message="[ aaaaaaaa-11 ] web is there" majorErrorCode="400"/>'
    fake.routes["POST /api/x"] = xml(f'<VApp xmlns="{VCLOUD}"><Tasks>{task("error", more=more)}</Tasks></VApp>', 201)
    with (
        logged_in(fake) as session,
        pytest.raises(Conflict, match=f"the task {TASK} failed, DUPLICATE_NAME: web is there"),
    ):
        tasks.run(session, "POST", "/api/x", "cannot do it")


def test_a_task_that_takes_too_long(fake: Fake) -> None:
    fake.routes[f"GET /api/task/{TASK}"] = xml(task("running"))
    with logged_in(fake) as session, pytest.raises(Timeout, match=TASK) as told:
        tasks.wait(session, TASK, "cannot do it", timeout=60)
    assert told.value.retryable


def test_a_task_that_is_gone_is_no_failure(fake: Fake) -> None:
    for status in (403, 404):
        fake.routes[f"GET /api/task/{TASK}"] = [xml(task("running")), Reply(status)]
        with logged_in(fake) as session:
            assert tasks.wait(session, TASK, "cannot do it").status == tasks.GONE


def test_settled_waits_for_all_tasks_of_an_object(fake: Fake) -> None:
    busy = xml(f'<VApp xmlns="{VCLOUD}"><Tasks>{task("error")}{task("running")}</Tasks></VApp>')
    fake.routes["GET /api/vApp/vapp-1"] = [busy, busy, xml(f'<VApp xmlns="{VCLOUD}" status="8"/>')]
    with logged_in(fake) as session:
        assert tasks.settled(session, "/api/vApp/vapp-1", "x").attrib["status"] == "8"


# -- lists


def page_of(asked: Asked, total: int) -> Reply:
    page, size = int(asked.query["page"]), int(asked.query["pageSize"])
    rows = "".join(
        f'<VMRecord name="vm-{n}" href="/api/vApp/vm-{n}"/>' for n in range(total)[(page - 1) * size : page * size]
    )
    return xml(
        f'<QueryResultRecords xmlns="{VCLOUD}" total="{total}" page="{page}" pageSize="{size}">'
        f"<Link/>{rows}</QueryResultRecords>"
    )


@pytest.mark.parametrize("total", [0, 1, 128, 129, 300])
def test_records_over_pages(fake: Fake, total: int) -> None:
    fake.routes["GET /api/query"] = lambda asked: page_of(asked, total)
    with logged_in(fake) as session:
        found = query.records(session, "vm", "x", where={"vdc": "https://h/api/vdc/1"})
    assert [one["name"] for one in found] == [f"vm-{n}" for n in range(total)]
    assert len(fake.lines()) == max(1, -(-total // 128))
    assert fake.last("GET /api/query").query["filter"] == "vdc==https://h/api/vdc/1"


def test_values_that_break_a_filter_are_compared_here(fake: Fake) -> None:
    rows = '<VMRecord name="a,b (c)" href="/1"/><VMRecord name="other" href="/2"/>'
    fake.routes["GET /api/query"] = xml(f'<R xmlns="{VCLOUD}" total="2" pageSize="128">{rows}</R>')
    with logged_in(fake) as session:
        assert [one["href"] for one in query.records(session, "vm", "x", where={"name": "a,b (c)"})] == ["/1"]
    assert "filter" not in fake.last("GET /api/query").query


def test_pages_that_repeat_are_refused(fake: Fake) -> None:
    rows = "".join(f'<VMRecord href="/{n}"/>' for n in range(128))
    fake.routes["GET /api/query"] = xml(f'<R xmlns="{VCLOUD}" total="9999" pageSize="128">{rows}</R>')
    fake.routes["GET /cloudapi/1.0.0/x"] = js({"resultTotal": 9999, "values": [{"id": str(n)} for n in range(128)]})
    with logged_in(fake) as session:
        with pytest.raises(Refused, match="repeat"):
            query.records(session, "vm", "x")
        with pytest.raises(Refused, match="repeat"):
            query.listed(session, "x", "x")


def test_pages_of_the_newer_interface(fake: Fake) -> None:
    rows = [{"id": f"i{n}"} for n in range(300)]

    def numbered(asked: Asked) -> Reply:
        page = int(asked.query["page"])
        return js({"resultTotal": 300, "page": page, "pageSize": 128, "values": rows[(page - 1) * 128 : page * 128]})

    def cursors(asked: Asked) -> Reply:
        at = int(asked.query.get("cursor", "0"))
        more = {"Link": f'<https://h/cloudapi/1.0.0/y?cursor={at + 50}>;rel="nextPage";type="x"'} if at < 250 else {}
        return js({"values": rows[at : at + 50]}, **more)

    fake.routes["GET /cloudapi/1.0.0/x"] = numbered
    fake.routes["GET /cloudapi/1.0.0/y"] = cursors
    with logged_in(fake) as session:
        assert query.listed(session, "x", "x", where=[("_context", "urn:vcloud:gateway:1")]) == rows
        assert fake.last("GET /cloudapi/1.0.0/x").query["filter"] == "_context==urn:vcloud:gateway:1"
        assert query.listed(session, "y", "x") == rows


def test_403_for_an_id_that_is_not_there(fake: Fake) -> None:
    fake.routes["GET /cloudapi/1.0.0/x/urn:a"] = error(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN")
    fake.routes["GET /cloudapi/1.0.0/x"] = [js({"values": [{"id": "urn:b"}]}), js({"values": [{"id": "urn:a"}]})]
    with logged_in(fake) as session:
        assert query.one_of(session, "x", "urn:a", "cannot read") is None
        with pytest.raises(Refused, match="lacks a right"):
            query.one_of(session, "x", "urn:a", "cannot read")


# -- locks


def test_a_lock_is_held_against_other_threads_and_taken_again_by_its_own(fake: Fake) -> None:
    order: list[str] = []
    inside, go = threading.Event(), threading.Event()

    def other() -> None:
        inside.wait(5)
        go.set()
        with locks.hold("a", "x"):
            order.append("other")

    thread = threading.Thread(target=other)
    thread.start()
    with locks.hold("a", "x"), locks.hold("a", "x"):
        inside.set()
        go.wait(5)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]


def test_a_lock_is_held_against_other_processes(tmp_path: Path) -> None:
    import fcntl
    import hashlib

    clock = Clock()
    path = locks.folder() / hashlib.sha256(b"a").hexdigest()[:32]
    with open(path, "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(Timeout, match="another process"), locks.hold("a", "x", timeout=5, pace=clock.pace()):
            pass
    with locks.hold("a", "x", timeout=5, pace=clock.pace()):
        pass


def test_a_folder_of_locks_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    folder = locks.folder()
    folder.chmod(0o777)
    with pytest.raises(CloudExitError, match="alone"):
        locks.folder()
