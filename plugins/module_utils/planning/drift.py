# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift: what changed in a tenant between two readings, object by object, for a reviewer to read.

What changes by itself, or follows from a change that is told anyway, is no drift: the state of a port, the use of a
quota, the bytes in a container.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds, names, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.assessment import Change

VOLATILE: Mapping[str, frozenset[str]] = {
    "ports": frozenset({"status"}),
    "floating_ips": frozenset({"status"}),
    "containers": frozenset({"size_gib", "properties"}),
    "buckets": frozenset({"size_gib"}),
}
"""Fields of a kind that change by themselves. The place where a volume is attached is told with the server."""

_USE = re.compile(r"used|usage|in_use|reserved|count|bytes|objects", re.IGNORECASE)
_QUOTAS = re.compile(r"_quotas\Z")
_KEYS = ("id", "volume_id", "server_id", "ip", "address", "destination", "start")
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def drift(previous: estates.Estate | None, estate: estates.Estate) -> list[Change]:
    """What changed since the previous reading, in the order of the kinds, then by name and id."""
    if previous is None:
        return []
    return list(_changes(previous, estate))


def lines(changes: Iterable[Change]) -> list[str]:
    """The changes as lines of text, like a diff."""
    return [line(change) for change in changes]


def line(change: Change) -> str:
    """One change as one line."""
    name = names.printable(change.name, 60)
    who = (
        f"{names.printable(change.kind)} {name or '(no name)'} ({names.printable(change.id)})"
        if change.id
        else (names.printable(change.kind))
    )
    what = ""
    if change.op == "changed":
        what = f": {names.printable(change.path, 80)}: {_shown(change.before)} → {_shown(change.after)}"
    plan = f"  [{change.plan}]" if change.plan else ""
    return f"{_SIGNS[change.op]} {who}{what}{plan}"


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, str):
        return names.printable(value, 80)
    return names.printable(schema.canonical(value).decode("utf-8", "replace"), 80)


def _changes(previous: estates.Estate, estate: estates.Estate) -> Iterator[Change]:
    for kind in sorted({*previous.read, *estate.read}, key=_order):
        before, after = previous.read.get(kind), estate.read.get(kind)
        if before != after and before is not None and after is not None:
            yield Change(op="changed", kind=kind, id="", path="read", before=before, after=after)
        if before in ("complete", "partial") and after in ("complete", "partial"):
            yield from _kind(kind, previous.of(kind), estate.of(kind), before == after == "complete")


def _order(kind: str) -> tuple[int, str]:
    known = list(kinds.KINDS)
    return (known.index(kind) if kind in known else len(known), kind)


def _kind(kind: str, old: Sequence[Any], new: Sequence[Any], whole: bool) -> Iterator[Change]:
    before = {entry.id: entry for entry in old}
    after = {entry.id: entry for entry in new}
    every = {**before, **after}

    def sorting(ident: str) -> tuple[str, str]:
        return str(getattr(every[ident], "name", "")).casefold(), ident

    for ident in sorted(every, key=sorting):
        name = _name(every[ident])
        if ident not in before:
            if whole:
                yield Change(op="added", kind=kind, id=ident, name=name)
        elif ident not in after:
            if whole:
                yield Change(op="removed", kind=kind, id=ident, name=name)
        elif before[ident] != after[ident]:
            skipped = VOLATILE.get(kind, frozenset())
            for path, was, now in _fields(kind, schema.dump(before[ident]), schema.dump(after[ident]), skipped):
                yield Change(op="changed", kind=kind, id=ident, name=name, path=path, before=was, after=now)


def _name(entry: Any) -> str:
    return str(getattr(entry, "name", "") or getattr(entry, "address", ""))


def _fields(
    kind: str, before: Mapping[str, Any], after: Mapping[str, Any], skipped: frozenset[str]
) -> Iterator[tuple[str, Any, Any]]:
    for path, was, now in differences(_less(before, skipped), _less(after, skipped)):
        if not (_QUOTAS.search(kind) and _USE.search(path)):
            yield path, was, now


def _less(entry: Mapping[str, Any], skipped: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in skipped}


def differences(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Paths at which two values differ, with both; entries of lists are matched by their id, where they have one."""
    if before == after and type(before) is type(after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}, key=str):
            yield from differences(before.get(key), after.get(key), schema.join(path, str(key)))
        return
    key = _keyed(before, after)
    if key:
        old = {str(entry[key]): entry for entry in before}
        new = {str(entry[key]): entry for entry in after}
        for ident in sorted({*old, *new}):
            yield from differences(old.get(ident), new.get(ident), f"{path}[{ident}]")
        if list(old) != list(new) and sorted(old) == sorted(new):
            yield f"{path} (order)", list(old), list(new)
        return
    yield path, before, after


def _keyed(before: Any, after: Any) -> str:
    """The key that tells the entries of two lists of mappings apart."""
    if not isinstance(before, list) or not isinstance(after, list):
        return ""
    both = [*before, *after]
    if not both or not all(isinstance(entry, dict) for entry in both):
        return ""
    for key in _KEYS:
        if all(isinstance(entry.get(key), str) for entry in both) and all(
            len({entry[key] for entry in some}) == len(some) for some in (before, after)
        ):
            return key
    return ""
