# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a container or a bucket, entry by entry, and its bytes. Reading calls only.

Swift: Object Storage API, "Get object content and metadata" with Range. S3: ListObjectVersions, GetObject with Range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Union

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import stores
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import storage

PIECE = 32 << 20
"""Bytes of one reading."""

Place = Union[stores.Bucket, stores.Container]  # noqa: UP007  as in model/edit.py: pylint


@dataclass(frozen=True)
class Entry:
    """A version of an object: its key, the version's id (empty where there are none), bytes, and the service's tag."""

    key: str
    version: str
    size: int
    tag: str


def entries(place: Place) -> Iterator[Entry]:
    """Every object and version; delete markers hold nothing and are left out."""
    if isinstance(place, stores.Container):
        for row in place.entries():
            if "subdir" not in row:
                yield Entry(
                    str(row["name"]), str(row.get("version_id") or ""), int(row["bytes"]), str(row.get("hash", ""))
                )
        return
    for element in place.elements("Version"):
        child = storage.child
        yield Entry(
            child(element, "Key"), child(element, "VersionId"), int(child(element, "Size") or 0), child(element, "ETag")
        )


def read(place: Place, entry: Entry) -> Iterator[bytes]:
    """Its bytes, piece by piece. Raises CloudExitError where it does not give as many as it was listed with."""
    done = 0
    while done < entry.size:
        last = min(done + PIECE, entry.size) - 1
        data = bytes(_part(place, entry, {"Range": f"bytes={done}-{last}"}).content)
        if len(data) != last + 1 - done:
            raise CloudExitError(
                f"Read {entry.key} of {place.name}",
                cause=f"{len(data)} bytes came where {last + 1 - done} were asked for",
                hint="Somebody may write to it; run again.",
                retryable=True,
            )
        yield data
        done += len(data)


def _part(place: Place, entry: Entry, headers: dict[str, str]) -> Any:
    if isinstance(place, stores.Container):
        params = {"version-id": entry.version} if entry.version not in ("", "null") else {}
        return place.call("GET", entry.key, params=params, headers=headers)
    query = {"versionId": entry.version} if entry.version not in ("", "null") else None
    what = f"Read {entry.key} of buckets/{place.name}"
    return place.call("GET", entry.key, query, what=what, headers=headers, good=(200, 206))
