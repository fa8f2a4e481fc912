# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How every kind of object is listed, as data: one row a kind. `pages` calls it, `convert` makes objects of the answers.

The rows of OpenStack are here, those of Flexible Engine in `flexible_engine.listings`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Style = Literal["marker", "offset", "page", "start_number", "body_marker", "body_offset", "none"]
"""How a list goes on. marker: id of the last row (or what `next_key` names), in the query; offset: how many rows came
before; page: the number of the page, from 1; start_number: the number of the first row, from 0; body_marker and
body_offset: the same in a JSON body of a POST; none: one answer has it all."""

MARKER_NAMES: dict[str, str] = {
    "marker": "marker",
    "offset": "offset",
    "page": "offset",
    "start_number": "start_number",
    "body_marker": "marker",
    "body_offset": "offset",
}


@dataclass(frozen=True)
class Service:
    """A service that holds objects.

    name: as listings call it. types: its types in a Keystone catalogue, best first. version: what follows the host of
    an OpenStack service where the catalogue leaves it out ("v3/{project_id}"); paths of its listings follow that.
    Empty: paths of its listings begin at the root of the host, with their version and project ("/v1/{project_id}/x").
    """

    name: str
    types: tuple[str, ...]
    version: str = ""


@dataclass(frozen=True)
class Listing:
    """How one kind of object is listed.

    path: `{project_id}` and, with `per`, `{parent}` are put in. key: where the rows are in the answer, dotted
    ("data.items"); empty where the answer itself is the list. params: query (or, with a body style, nothing).
    limit: rows asked for in one call where the service takes no more (0: the reader's page size). limit_name,
    marker_name: how the service calls them; marker_name empty: as usual for the style. limit_name empty: never sent.
    id_field: what of a row identifies it and is its marker, dotted. next_key: where the answer names the next marker,
    dotted; the list ends where it is empty. total_key: where the answer says how many there are, dotted.
    per: kind that was listed before; one list is made for each of its ids. convert: tidies a raw row (and may drop it:
    None) before it becomes an object; with `per`, the row has its parent under "_parent" already.
    fields: where a raw row has what a Resource has, dotted: id, name, status, created, parent, and the size as
    size_gib, size_mib or size_bytes. drop: more keys that change by themselves. optional: 404 means that the cloud does
    not have it, which is no fault. one: the answer is one object (a mapping) and no list; without an id it gets the
    project's. headers: more of them. own: only rows of the project (by project_id or tenant_id) count.
    """

    kind: str
    service: str
    path: str
    key: str
    params: Mapping[str, str] = field(default_factory=dict)
    style: Style = "marker"
    limit: int = 0
    limit_name: str = "limit"
    marker_name: str = ""
    id_field: str = "id"
    next_key: str = ""
    total_key: str = ""
    method: str = "GET"
    body: Mapping[str, Any] = field(default_factory=dict)
    per: str = ""
    convert: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    optional: bool = False
    one: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    own: bool = False

    @property
    def marker(self) -> str:
        """Name of the parameter that moves from page to page."""
        return self.marker_name or MARKER_NAMES.get(self.style, "")
