# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain calls to an OpenStack service: one answer or one error that names the object, pages followed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import translate

READ_TRIES = 4
"""How often a read is tried before a service that does not answer is an error."""


class BadAnswer(Exception):
    """An HTTP answer of 400 or more, with what `translate` wants to know."""

    def __init__(self, status_code: int, details: str, request_id: str) -> None:
        super().__init__(details)
        self.status_code = status_code
        self.details = details
        self.request_id = request_id


def call(
    service: Any,
    method: str,
    url: str,
    what: str,
    *,
    json: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    microversion: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Any:
    """Call `url` of a service (an openstacksdk proxy) and return the decoded body ({} where there is none).

    Reads (GET) are tried again when the service did not answer; writes are not, since the caller looks first whether
    the write happened. Raises what `translate` makes of the answer: NotFound, Conflict, Refused, Unreachable, ...
    """
    tries = READ_TRIES if method == "GET" else 1
    for attempt in range(tries):
        try:
            return _once(service, method, url, what, json, params, microversion)
        except CloudExitError as error:
            if not error.retryable or attempt == tries - 1:
                raise
            sleep(0.5 * 2**attempt)
    raise CloudExitError(what, cause="no answer")


def pages(
    service: Any,
    url: str,
    key: str,
    what: str,
    *,
    params: Mapping[str, Any] | None = None,
    microversion: str | None = None,
) -> list[dict[str, Any]]:
    """All objects of a list call; follows the `next` links (API references of Nova and Cinder, "Pagination")."""
    found: list[dict[str, Any]] = []
    query: dict[str, Any] | None = dict(params or {})
    seen: set[str] = set()
    while True:
        answer = call(service, "GET", url, what, params=query, microversion=microversion)
        found.extend(answer.get(key, []))
        following = [str(link["href"]) for link in answer.get(f"{key}_links", []) if link.get("rel") == "next"]
        if not following or following[0] in seen:
            return found
        url, query = following[0], None
        seen.add(url)


def _once(
    service: Any,
    method: str,
    url: str,
    what: str,
    json: Mapping[str, Any] | None,
    params: Mapping[str, Any] | None,
    microversion: str | None,
) -> Any:
    options: dict[str, Any] = {}
    if json is not None:
        options["json"] = json
    if params:
        options["params"] = dict(params)
    if microversion:
        options["microversion"] = microversion
    try:
        answer = service.request(url, method, raise_exc=False, **options)
        if answer.status_code >= 400:
            raise BadAnswer(answer.status_code, _said(answer), str(answer.headers.get("x-openstack-request-id", "")))
        return answer.json() if answer.content else {}
    except Exception as exc:
        raise translate(exc, what) from exc


def _said(answer: Any) -> str:
    """The message in an error body: `{"conflictingRequest": {"message": "..."}}`, or the reason phrase."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if isinstance(body, Mapping):
        for value in [body, *body.values()]:
            if isinstance(value, Mapping) and isinstance(value.get("message"), str):
                return str(value["message"])
    return str(getattr(answer, "reason", "") or "")
