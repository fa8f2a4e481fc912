# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new draft into a plan that people edit: three-way, on the data, and then into the text of the plan.

base: the draft before; edited: the plan; new: the draft now. What people changed stays. What they did not change
follows the tenant. Where both changed, the people's value stays and the conflict is told. Without a base everything
that is there stays, and what is new is added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import document, names, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import edit as editing
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.edit import Edit, Path
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput

KEYED: Mapping[str, tuple[str, ...]] = {"disks": ("volume",), "nics": ("port", "mac")}
"""Lists of mappings, and the keys that tell their entries apart (the first that is filled)."""

_COMMENT = re.compile(r"(?:^|\s)(#.*)", re.MULTILINE)
_MISSING: Any = type("Missing", (), {"__repr__": lambda self: "nothing"})()


@dataclass(frozen=True)
class Conflict:
    """A place where the value of people stays although the tenant says another.

    why: changed: both changed it; removed: people removed what has changed since; gone: people edited what is gone
    from the tenant; order: the order of a list.
    """

    path: str
    why: Literal["changed", "removed", "gone", "order"]
    kept: Any = None
    drafted: Any = None

    def __str__(self) -> str:
        where = names.printable(self.path, 200)
        if self.why == "gone":
            return f"{where}: is gone from the tenant; kept, since it was edited"
        if self.why == "removed":
            return f"{where}: was removed from the plan; the tenant now says {_shown(self.drafted)}"
        if self.why == "order":
            return f"{where}: the order is another one in the tenant now; kept as it is"
        return f"{where}: kept {_shown(self.kept)}; the tenant now says {_shown(self.drafted)}"


@dataclass(frozen=True)
class Merged:
    """What came out: the text, the edits that were made in the plan's text, and what needs a person.

    read: what the text says, where it has been read already.
    """

    text: str
    edits: list[Edit]
    conflicts: list[Conflict]
    read: document.Document | None = None


def merge(base: str | None, edited: str, new: str) -> Merged:
    """The plan's text with what is new. Raises InvalidInput or CloudExitError where the plan must stay as it is."""
    if base == edited:
        return Merged(new, [], [])
    ours, root = _read(edited, "The plan")
    if base == new:
        return Merged(edited, [], [], ours)
    theirs, new_root = _read(new, "The draft")
    before, base_root = None, None
    if base is not None:
        before, problems, base_root = document.parse(base)
        before = None if problems else before
    text = editing.Text(edited, root)
    merger = _Merger(
        before.data if before is not None else None,
        ours.data,
        theirs.data,
        editing.Text(base, base_root) if base is not None and before is not None else None,
        text,
        editing.Text(new, new_root),
    )
    data = merger.merge()
    changed, read = editing.applied(text, merger.edits, data) if merger.edits else (edited, ours)
    return Merged(changed, merger.edits, merger.conflicts, read)


def _read(text: str, what: str) -> tuple[document.Document, Any]:
    found, problems, root = document.parse(text)
    if found is None or problems or not isinstance(found.data, dict):
        raise InvalidInput(
            f"{what} cannot be read, and stays as it is",
            problems,
            hint="Correct it; nothing was written.",
        )
    return found, root


def _shown(value: Any) -> str:
    if value is None or isinstance(value, (str, bool, int, float)):
        return names.printable(document.scalar(value), 80) if value != "" else '""'
    return names.printable(editing.inline(value), 80)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal; true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _plain(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, (str, int, float)) for entry in value)


class _Merger:
    def __init__(
        self,
        base: Any,
        edited: Any,
        new: Any,
        base_text: editing.Text | None,
        edited_text: editing.Text,
        new_text: editing.Text,
    ) -> None:
        self._base, self._edited, self._new = base, edited, new
        self._base_text, self._edited_text, self._new_text = base_text, edited_text, new_text
        self.edits: list[Edit] = []
        self.conflicts: list[Conflict] = []
        ids = {ident: host for host, ident in _ids(edited)}
        self._base, self._base_hosts = _renamed(base, ids)
        self._new, self._new_hosts = _renamed(new, ids)

    def merge(self) -> Any:
        base = self._base if self._base is not None else _MISSING
        waves = [part.get("waves", {}) for part in (self._base or {}, self._edited, self._new)]
        if not all(map(_are_waves, waves)):
            merged: dict[str, Any] = self._mapping((), base, self._edited, self._new)
            return merged
        rest = [_without(part, "waves") for part in (base, self._edited, self._new)]
        merged = self._mapping((), *rest)
        self._readers(merged)
        wanted = self._waves(merged, *waves)
        if "waves" not in self._edited:
            if wanted:
                merged["waves"] = wanted
                self.edits.append(Edit("add", ("waves",), wanted, after="networks", blank=True))
        else:
            merged["waves"] = wanted
            self._towards(("waves",), self._edited["waves"], wanted)
        return merged

    # -- three ways

    def _value(self, path: Path, base: Any, edited: Any, new: Any) -> Any:
        """The merged value of something that is in the plan and in the new draft."""
        if _same(edited, new):
            return edited
        if isinstance(edited, dict) and isinstance(new, dict):
            return self._mapping(path, base if isinstance(base, dict) else _MISSING, edited, new)
        keys = KEYED.get(str(path[-1])) if len(path) == 3 and path[0] == "workloads" else None
        if keys and _is_keyed(edited, keys) and _is_keyed(new, keys):
            return self._keyed(path, base if _is_keyed(base, keys) else _MISSING, edited, new, keys)
        if base is not _MISSING and _same(base, edited):
            self.edits.append(Edit("set", path, new))
            return new
        if base is not _MISSING and _same(base, new):
            return edited
        if path[-1] != "checks" and _plain(edited) and _plain(new):
            return self._set_of(path, base if _plain(base) else [], edited, new)
        self._conflict("changed", path, edited, new)
        return edited

    def _mapping(self, path: Path, base: Any, edited: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for key, value in edited.items():
            where = (*path, key)
            before = base.get(key, _MISSING) if base is not _MISSING else _MISSING
            if key in new:
                merged[key] = self._value(where, before, value, new[key])
                self._remark(where)
            elif before is _MISSING:
                merged[key] = value
            elif path == ("objects",) and isinstance(value, dict) and isinstance(before, dict):
                left = len(self.edits)
                merged[key] = self._mapping(where, before, value, {})
                if not merged[key] and not self._annotated(where):
                    del self.edits[left:], merged[key]
                    self._remove(where)
            elif _same(before, value) and not self._annotated(where):
                self._remove(where)
            else:
                merged[key] = value
                self._conflict("gone", where, value, None)
        previous: str | None = None
        for key, value in new.items():
            if key in edited:
                previous = key
                continue
            where = (*path, key)
            before = base.get(key, _MISSING) if base is not _MISSING else _MISSING
            if before is _MISSING:
                merged[key] = value
                entry = len(where) == 2 and path[0] == "workloads"
                comments = self._new_lead(where) if entry or path in ((), ("objects",)) else ()
                self.edits.append(
                    Edit(
                        "add",
                        where,
                        value,
                        after=previous,
                        comments=comments,
                        blank=entry or not path,
                        levels=max(4 - len(where), 1) if where[0] == "objects" else None,
                    )
                )
            elif not _same(before, value):
                self._conflict("removed", where, None, value)
        return merged

    def _keyed(self, path: Path, base: Any, edited: list[Any], new: list[Any], keys: tuple[str, ...]) -> list[Any]:
        """A list of mappings that are told apart by a key: people's order, what is new at the end."""
        found, started = len(self.edits), len(self.conflicts)
        before = {_key(entry, keys): entry for entry in base} if base is not _MISSING else {}
        now = {_key(entry, keys): entry for entry in new}
        merged: list[Any] = []
        for index, entry in enumerate(edited):
            where = (*path, index)
            key = _key(entry, keys)
            if key in now:
                merged.append(self._value(where, before.get(key, _MISSING), entry, now[key]))
            elif key not in before:
                merged.append(entry)
            elif _same(before[key], entry) and not self._annotated(where):
                self.edits.append(Edit("remove", where))
            else:
                merged.append(entry)
                self._conflict("gone", where, entry, None)
        there = {_key(entry, keys) for entry in edited}
        for key, entry in now.items():
            if key in there:
                continue
            if key not in before:
                merged.append(entry)
                self.edits.append(Edit("add", (*path, len(edited)), entry))
            elif not _same(before[key], entry):
                self._conflict("removed", (*path, len(edited)), None, entry)
        order = [key for key in before if key in now]
        if order != [key for key in now if key in before]:
            if _same(base, edited) and not self._annotated(path):
                del self.edits[found:], self.conflicts[started:]
                self.edits.append(Edit("set", path, new))
                return new
            self._conflict("order", path, edited, new)
        return merged

    def _set_of(self, path: Path, base: list[Any], edited: list[Any], new: list[Any]) -> list[Any]:
        """A list of scalars as a set, in people's order."""
        wanted = []
        for index, entry in enumerate(edited):
            if entry in new or entry not in base:
                wanted.append(entry)
            elif self._annotated((*path, index)):
                wanted.append(entry)
                self._conflict("gone", (*path, index), entry, None)
        wanted += [entry for entry in new if entry not in base and entry not in edited]
        self._towards(path, edited, wanted)
        return wanted

    # -- two ways

    def _towards(self, path: Path, old: Any, wanted: Any) -> None:
        """The edits that make `wanted` of `old`."""
        if _same(old, wanted):
            return
        if isinstance(old, dict) and isinstance(wanted, dict):
            previous: str | None = None
            for key, value in old.items():
                if key not in wanted:
                    self.edits.append(Edit("remove", (*path, key)))
                else:
                    self._towards((*path, key), value, wanted[key])
            for key, value in wanted.items():
                if key not in old:
                    self.edits.append(Edit("add", (*path, key), value, after=previous))
                else:
                    previous = key
        elif _plain(old) and _plain(wanted) and _extended(old, wanted):
            self.edits += [Edit("remove", (*path, i)) for i, entry in enumerate(old) if entry not in wanted]
            self.edits += [Edit("add", (*path, len(old)), entry) for entry in wanted if entry not in old]
        else:
            self.edits.append(Edit("set", path, wanted))

    # -- comments

    def _old(self, path: Path) -> Path:
        """The path in the base of something in the plan. Raises LookupError."""
        old: list[editing.Step] = []
        before, now = self._base, self._edited
        for step in path:
            was: editing.Step = step
            if isinstance(now, list):
                entry = now[int(step)]
                keys = KEYED.get(str(path[2]), ()) if len(path) > 2 else ()
                found = [_key(e, keys) if isinstance(e, dict) else e for e in before]
                was = found.index(_key(entry, keys) if isinstance(entry, dict) else entry)
                before, now = before[was], entry
            else:
                before, now = before[step], now[step]
                if old == ["workloads"]:
                    was = self._base_hosts.get(str(step), str(step))
            old.append(was)
        return tuple(old)

    def _is_workload(self, path: Path) -> bool:
        return len(path) == 2 and path[0] == "workloads"

    def _new_lead(self, path: Path) -> tuple[str, ...]:
        if self._is_workload(path):
            path = ("workloads", self._new_hosts.get(str(path[1]), path[1]))
        return self._new_text.lead(path)

    def _base_lead(self, path: Path) -> tuple[str, ...] | None:
        if self._base_text is None:
            return None
        try:
            return self._base_text.lead(self._old(path))
        except (LookupError, TypeError, ValueError):
            return None

    def _remark(self, path: Path) -> None:
        """The remark above a workload follows the tenant, as long as nobody touched it."""
        if self._is_workload(path):
            before, now, new = self._base_lead(path), self._edited_text.lead(path), self._new_lead(path)
            if before == now != new:
                self.edits.append(Edit("comment", path, list(new), comments=now))

    def _remove(self, path: Path) -> None:
        lead = self._base_lead(path) if len(path) <= 2 else None
        self.edits.append(Edit("remove", path, comments=lead or ()))

    def _annotated(self, path: Path) -> bool:
        """Whether people wrote comments into something, or above it, or gave a workload another name."""
        if self._base_text is None:
            return True
        if self._is_workload(path) and self._base_hosts.get(str(path[1])) != path[1]:
            return True
        try:
            before = self._base_text.entry(self._old(path))
        except (LookupError, TypeError, ValueError):
            return True
        return _COMMENT.findall(before) != _COMMENT.findall(self._edited_text.entry(path))

    def _conflict(self, why: Literal["changed", "removed", "gone", "order"], path: Path, kept: Any, new: Any) -> None:
        where = ""
        for step in path:
            where = schema.join(where, step)
        self.conflicts.append(Conflict(where, why, kept, new))

    # -- what hangs together

    def _readers(self, merged: dict[str, Any]) -> None:
        """A workload that is new goes to a reader that is there."""
        readers = merged.get("readers")
        workloads = merged.get("workloads")
        if not isinstance(readers, dict) or not readers or not isinstance(workloads, dict):
            return
        first = next(iter(readers))
        for position, edit in enumerate(self.edits):
            if edit.op == "add" and self._is_workload(edit.path) and edit.value.get("reader", first) not in readers:
                value = {**edit.value, "reader": first}
                workloads[edit.path[1]] = value
                self.edits[position] = Edit(
                    "add", edit.path, value, after=edit.after, comments=edit.comments, blank=edit.blank
                )

    def _waves(self, merged: dict[str, Any], base: Any, edited: Any, new: Any) -> dict[str, Any]:
        """The waves: for each move group the wave that people chose, or else the drafted one."""
        before, ours, theirs = (dict(_assigned(waves)) for waves in (base, edited, new))
        workloads = merged.get("workloads")
        used = {w.get("group") for w in workloads.values()} if isinstance(workloads, dict) else set()
        held = {
            group: name
            for name, wave in edited.items()
            for index, group in enumerate(wave.get("groups", []))
            if self._base_text is not None and self._annotated(("waves", name, "groups", index)) and group in before
        }
        place: dict[str, str] = {}
        for group in [*ours, *(group for group in theirs if group not in ours)]:
            chosen = theirs.get(group) if ours.get(group) == before.get(group) else ours.get(group)
            if chosen is None and group in used and (edited or not base):
                chosen = theirs.get(group) or ours.get(group)
            if group not in used and (group in theirs or group in before):
                chosen = None
            if held.get(group) in edited:
                chosen = held[group]
            if chosen is not None:
                place[group] = chosen
        wanted: dict[str, Any] = {}
        for name, wave in edited.items():
            inside = [group for group in wave.get("groups", []) if place.get(group) == name]
            inside += [group for group, home in place.items() if home == name and group not in inside]
            rest = self._wave(name, base.get(name, _MISSING), wave, new.get(name, _MISSING))
            if (
                not inside
                and wave.get("groups")
                and name not in new
                and _same(_without(wave, "groups"), _without(base.get(name, {}), "groups"))
                and not self._annotated(("waves", name))
            ):
                continue
            if "groups" in wave or inside:
                rest = {**rest, "groups": inside}
            wanted[name] = rest
        for name, wave in new.items():
            inside = [group for group, home in place.items() if home == name]
            if name not in wanted and inside:
                wanted[name] = {**wave, "groups": inside}
        return wanted

    def _wave(self, name: str, base: Any, edited: dict[str, Any], new: Any) -> dict[str, Any]:
        """What a wave says besides its groups."""
        if new is _MISSING:
            return dict(edited)
        edits = len(self.edits)
        parts = [_without(part, "groups") for part in (base, edited, new)]
        rest = self._mapping(("waves", name), *parts)
        del self.edits[edits:]  # made from what comes out of all of it
        return rest


def _ids(plan: Any) -> Iterator[tuple[str, str]]:
    """Host names and ids of servers."""
    workloads = plan.get("workloads") if isinstance(plan, dict) else None
    for host, workload in workloads.items() if isinstance(workloads, dict) else ():
        source = workload.get("source") if isinstance(workload, dict) else None
        if isinstance(source, dict) and isinstance(source.get("id"), str):
            yield host, source["id"]


def _renamed(plan: Any, ids: Mapping[str, str]) -> tuple[Any, dict[str, str]]:
    """The plan with the host names of the plan that people edit (`ids`: by server), and what they were."""
    if not isinstance(plan, dict) or not isinstance(plan.get("workloads"), dict):
        return plan, {}
    own = dict(_ids(plan))
    taken = {ids[own[host]] for host in own if own[host] in ids}
    workloads: dict[str, Any] = {}
    was: dict[str, str] = {}
    for host, workload in plan["workloads"].items():
        name = ids.get(own.get(host, ""), "")
        if not name:
            name = host
            while name in taken or name in workloads:
                name += "-2"
        workloads[name] = workload
        was[name] = host
    return {**plan, "workloads": workloads}, was


def _without(part: Any, key: str) -> Any:
    return {name: value for name, value in part.items() if name != key} if isinstance(part, dict) else part


def _are_waves(waves: Any) -> bool:
    return isinstance(waves, dict) and all(
        isinstance(wave, dict) and _plain(wave.get("groups", [])) for wave in waves.values()
    )


def _assigned(waves: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, wave in waves.items():
        for group in wave.get("groups", []):
            yield group, name


def _extended(old: list[Any], wanted: list[Any]) -> bool:
    """Whether `wanted` is `old` less some entries and with others at the end."""
    kept = [entry for entry in old if entry in wanted]
    return wanted == kept + [entry for entry in wanted if entry not in old] and len(set(map(str, old))) == len(old)


def _key(entry: Mapping[str, Any], keys: Iterable[str]) -> str:
    return next((str(entry[key]) for key in keys if entry.get(key)), "")


def _is_keyed(value: Any, keys: Iterable[str]) -> bool:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        return False
    found = [_key(entry, keys) for entry in value]
    return all(found) and len(set(found)) == len(found)
