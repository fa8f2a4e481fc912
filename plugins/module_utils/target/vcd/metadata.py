# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata of objects of the older interface: where owner marks are, and what else a run must find again.

Each write is a task and holds the object; so all entries of one moment go in one call.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    InvalidInput,
    NotFound,
    Problem,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import tasks, wire, xml
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.xml import el

METADATA = "application/vnd.vmware.vcloud.metadata+xml"
MAX_KEY = 256


def read(session: Session, href: str, what: str) -> dict[str, str]:
    """All entries of an object that are not the provider's: {key: value}."""
    tree = session.read(f"{wire.path_of(href, what)}/metadata", what)
    return {
        xml.text(one, "Key"): xml.text(one, "TypedValue", "Value")
        for one in xml.children(tree, "MetadataEntry")
        if xml.text(one, "Domain") in ("", "GENERAL")
    }


def write(session: Session, href: str, entries: Mapping[str, str], what: str) -> None:
    """Set entries, in one call; others stay. InvalidInput for keys that cannot be used again later."""
    problems = [
        Problem(key, "a key has 1 to 256 characters without `/`")
        for key in entries
        if not 1 <= len(key) <= MAX_KEY or "/" in key or key.strip() != key
    ]
    if problems:
        raise InvalidInput(what, problems)
    if not entries:
        return
    body = el("Metadata", *[_entry(key, value) for key, value in sorted(entries.items())])
    tasks.run(session, "POST", f"{wire.path_of(href, what)}/metadata", what, body=body, content_type=METADATA)


def _entry(key: str, value: str) -> xml.Node:
    return el(
        "MetadataEntry",
        el("Domain", "GENERAL", visibility="READWRITE"),
        el("Key", key),
        el("TypedValue", el("Value", value), at={"xsi:type": "MetadataStringValue"}),
    )


def remove(session: Session, href: str, key: str, what: str) -> bool:
    """Remove an entry; False when it was not there."""
    path = f"{wire.path_of(href, what)}/metadata/{urllib.parse.quote(key, safe='')}"
    try:
        tasks.run(session, "DELETE", path, what)
    except NotFound:
        return False
    return True


def marks(entries: Mapping[str, str]) -> Marks | None:
    """The owner marks among entries; None where there are none."""
    return Marks.from_extra_config(entries)
