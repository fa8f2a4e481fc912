# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists: the query service of the older interface, and the pages of the newer one.

Pages are followed until they are empty; a server whose pages repeat, or that never ends, is refused.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping, Sequence

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    NotFound,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import wire, xml
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session, cloudapi
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Json

PAGE = 128
MAX_PAGES = 2000
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@-]+")

Record = Mapping[str, str]
"""A record of the query service: its attributes, `href` among them; `kind` is the name of its element."""


def askable(value: str) -> bool:
    """Whether a value can stand in a filter: others break it even when encoded, and are compared here instead."""
    return bool(_PLAIN.fullmatch(value))


def fiql(conditions: Sequence[tuple[str, str]]) -> str:
    """A filter of equalities, all of which must hold."""
    return ";".join(f"{key}=={value}" for key, value in conditions)


def records(
    session: Session, kind: str, what: str, *, where: Mapping[str, str] | None = None, sort: str = "name"
) -> list[Record]:
    """All records of a kind (`vm`, `vApp`, `orgVdc`, ...) for which the attributes in `where` have these values."""
    where = where or {}
    ask = [(key, value) for key, value in where.items() if askable(value)]
    rest = {key: value for key, value in where.items() if not askable(value)}
    params = {"type": kind, "format": "records", "pageSize": str(PAGE), "sortAsc": sort}
    if ask:
        params["filter"] = fiql(ask)
    found: list[Record] = []
    seen: set[str] = set()
    for page in range(1, MAX_PAGES + 1):
        tree = session.call("GET", "/api/query", what, params={**params, "page": str(page)}).xml()
        rows = [one for one in tree if xml.local(one).endswith("Record")]
        fresh = [row for row in rows if _identity(row) not in seen]
        if rows and not fresh:
            raise _endless(what)
        seen |= {_identity(row) for row in fresh}
        found += [{"kind": xml.local(row), **_attributes(row)} for row in fresh]
        total = xml.whole(xml.attribute(tree, "total"), -1)
        if len(rows) < min(PAGE, xml.whole(xml.attribute(tree, "pageSize"), PAGE) or PAGE) or 0 <= total <= len(found):
            return [one for one in found if all(one.get(key) == value for key, value in rest.items())]
    raise _endless(what)


def _attributes(row: xml.Tree) -> dict[str, str]:
    return {str(key).rpartition("}")[2]: str(value) for key, value in row.attrib.items()}


def _identity(row: xml.Tree) -> str:
    return xml.attribute(row, "href") or repr(sorted(row.attrib.items()))


def _endless(what: str) -> Refused:
    return wire.not_understood(what, "its pages repeat, or do not end")


def listed(
    session: Session,
    path: str,
    what: str,
    *,
    where: Sequence[tuple[str, str]] = (),
    sort: str = "",
    key: str = "values",
) -> list[Json]:
    """All objects of a collection of the newer interface; `where` as for `records`, with dotted names."""
    ask = [(name, value) for name, value in where if askable(value)]
    rest = [(name, value) for name, value in where if not askable(value)]
    params = {"pageSize": str(PAGE)}
    if ask:
        params["filter"] = fiql(ask)
    if sort:
        params["sortAsc"] = sort
    found: list[Json] = []
    seen: set[bytes] = set()
    cursor = ""
    for page in range(1, MAX_PAGES + 1):
        at = {"cursor": cursor} if cursor else {"page": str(page)}
        answer = session.call("GET", cloudapi(path), what, params={**params, **at})
        body = answer.json()
        rows = wire.objects(body.get(key))
        digest = wire.dump_json(rows)
        if rows and digest in seen:
            raise _endless(what)
        seen.add(digest)
        found += rows
        total, size = xml.whole(body.get("resultTotal"), -1), xml.whole(body.get("pageSize"), PAGE)
        cursor = _cursor(answer.headers.get("link", "")) if not 0 <= total <= len(found) else ""
        done = 0 <= total <= len(found) or (not cursor and len(rows) < max(1, min(PAGE, size)))
        if done or not rows:
            return [one for one in found if all(dotted(one, name) == value for name, value in rest)]
    raise _endless(what)


def _cursor(header: str) -> str:
    """The cursor of the next page, of a Link header; "" where pages are numbered."""
    found = re.search(r'<([^<>]*)>\s*;\s*rel="?nextPage"?', header)
    if not found:
        return ""
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(found[1]).query)
    return asked.get("cursor", [""])[0]


def dotted(value: Json, name: str) -> str:
    """A value by a name like `ownerRef.id`."""
    found: object = value
    for part in name.split("."):
        found = wire.mapping(found).get(part)
    return wire.string(found)


def one_of(
    session: Session, path: str, identity: str, what: str, *, where: Sequence[tuple[str, str]] = (), lists: str = ""
) -> Json | None:
    """An object by id, or None. The newer interface says 403 for what is not there: a list decides then.

    lists: path of the list, where it is not that of the objects; where: what the list must be asked for.
    """
    try:
        return session.get(f"{path.rstrip('/')}/{urllib.parse.quote(identity, safe=':')}", what)
    except (NotFound, Refused) as error:
        reason = wire.said(error)
        if reason is None or reason.status not in (403, 404):
            raise
        if reason.status == 404:
            return None
        if any(wire.string(one.get("id")) == identity for one in listed(session, lists or path, what, where=where)):
            raise
        return None
