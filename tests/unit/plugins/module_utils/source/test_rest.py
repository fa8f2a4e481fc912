# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain calls: pages are followed, errors name what was done and what the cloud said, reads are tried again."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    NotFound,
    Refused,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import rest
from tests.unit.plugins.module_utils.source.fake_openstack import Answer, refuse


class Service:
    """Answers in order; notes what was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    def request(self, url: str, method: str, **options: Any) -> Answer:
        self.asked.append((method, url, options))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_pages_are_followed_once_each() -> None:
    def page(number: int, following: str) -> Answer:
        return Answer(200, {"volumes": [{"id": number}], "volumes_links": [{"rel": "next", "href": following}]})

    service = Service(page(1, "http://c/v?m=1"), page(2, "http://c/v?m=2"), page(3, "http://c/v?m=2"))
    found = rest.pages(service, "/volumes/detail", "volumes", "List", params={"a": "b"}, microversion="3.22")
    assert [volume["id"] for volume in found] == [1, 2, 3], "a cloud that links in circles ends it too"
    assert [(url, options.get("params")) for _method, url, options in service.asked] == [
        ("/volumes/detail", {"a": "b"}),
        ("http://c/v?m=1", None),
        ("http://c/v?m=2", None),
    ]
    assert all(options["microversion"] == "3.22" for _method, _url, options in service.asked)


def test_what_has_no_body_is_empty() -> None:
    assert rest.call(Service(Answer(202)), "DELETE", "/x", "Delete x") == {}


@pytest.mark.parametrize(
    ("status", "kind"), [(400, CloudExitError), (403, Refused), (404, NotFound), (409, Conflict), (413, Refused)]
)
def test_an_error_names_the_act_and_what_was_said(status: int, kind: type[CloudExitError]) -> None:
    service = Service(refuse(status, "Volume is busy"))
    with pytest.raises(kind, match=rf"^Delete x: HTTP {status}, Volume is busy, request req-1\."):
        rest.call(service, "DELETE", "/x", "Delete x")


def test_an_answer_that_is_no_json_is_still_an_error() -> None:
    broken = Answer(400)
    broken.content, broken.reason = b"<html>", "Bad Request"
    with pytest.raises(CloudExitError, match="HTTP 400, Bad Request"):
        rest.call(Service(broken), "POST", "/x", "Make x", json={})


def test_reads_are_tried_again_and_writes_are_not() -> None:
    pauses: list[float] = []
    reading = Service(refuse(503, "busy"), refuse(429, "slow down"), Answer(200, {"x": 1}))
    assert rest.call(reading, "GET", "/x", "Read x", sleep=pauses.append) == {"x": 1}
    assert pauses == [0.5, 1.0]
    reading = Service(*[refuse(503, "busy")] * 9)
    with pytest.raises(Unreachable):
        rest.call(reading, "GET", "/x", "Read x", sleep=pauses.append)
    assert len(reading.asked) == rest.READ_TRIES
    writing = Service(refuse(503, "busy"), Answer(200, {}))
    with pytest.raises(Unreachable):
        rest.call(writing, "POST", "/x", "Make x", json={"a": 1}, sleep=pauses.append)
    assert len(writing.asked) == 1


def test_a_fault_of_ours_does_not_look_like_the_cloud_s() -> None:
    with pytest.raises(KeyError):
        rest.call(Service(KeyError("ours")), "GET", "/x", "Read x")
