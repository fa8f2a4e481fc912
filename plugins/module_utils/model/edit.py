# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes to a YAML text that people edit: only what is to change is changed; their comments, order and layout stay.

All edits of one call are about the text as it was, and what comes out is compared with the data that is wanted: a text
that would say anything else is never returned.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import document, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError

Step = Union[str, int]  # noqa: UP007  pylint of the sanity tests takes | between types for an operator
Path = tuple[Step, ...]

_ALIAS = re.compile(r"\s*:?\s*(\*[^\s,\[\]{}]+)")


@dataclass(frozen=True)
class Edit:
    """One change.

    op: set: another value; add: a member that is not there; remove: it goes; comment: other comment lines above it.
    path: keys and indexes in the text as it is; for a new list entry the last step is any index.
    after: add: the sibling in the text that it goes behind; None: at the end.
    comments: add: comment lines above it, without indent; remove: comment lines above it that go along, when they are
    these; comment: the lines that it replaces (`value`: the new ones), when they are these.
    blank: add: with a blank line before it.
    levels: add: how many levels of the value are written as blocks; what is deeper stands on one line. None: all.
    """

    op: Literal["set", "add", "remove", "comment"]
    path: Path
    value: Any = None
    after: Step | None = None
    comments: tuple[str, ...] = ()
    blank: bool = False
    levels: int | None = None


def apply(text: str, edits: Iterable[Edit], expected: Any) -> str:
    """The text with the edits made; raises CloudExitError where that would not give `expected`."""
    return applied(Text(text), edits, expected)[0]


def applied(text: Text, edits: Iterable[Edit], expected: Any) -> tuple[str, document.Document]:
    """As `apply`, and what the new text says. A `Text` takes edits once."""
    changed = text.apply(list(edits))
    read, problems = document.read(changed)
    if read is None or problems or read.data != expected:
        place = _difference(read.data, expected) if read is not None else "; ".join(map(str, problems))
        raise CloudExitError(
            "Cannot bring the changes into the text as it is laid out",
            cause=f"it would not say what is wanted: {place or 'a key is there twice'}",
            hint="Write the place in plain block style, without anchors and aliases, and try again.",
        )
    return changed, read


def inline(data: Any) -> str:
    """Plain data as YAML on one line."""
    if isinstance(data, dict):
        return "{" + ", ".join(f"{document.scalar(key)}: {inline(value)}" for key, value in data.items()) + "}"
    if isinstance(data, (list, tuple)):
        return "[" + ", ".join(map(inline, data)) + "]"
    return document.scalar(data)


def block(data: Any, indent: int, levels: int | None) -> list[str]:
    """Plain data as lines in block style, down to so many levels; what is deeper stands on one line."""
    if levels is None:
        return document.block(data, indent)
    pad = " " * indent
    if levels < 1 or not data or not isinstance(data, (dict, list)):
        return [pad + inline(data)]
    lines: list[str] = []
    for key, value in data.items() if isinstance(data, dict) else ((None, entry) for entry in data):
        head = pad + ("-" if key is None else f"{document.scalar(key)}:")
        if levels > 1 and value and isinstance(value, (dict, list)):
            lines += [head, *block(value, indent + 2, levels - 1)]
        else:
            lines.append(f"{head} {inline(value)}")
    return lines


class Text:
    """A YAML text and where in it everything stands. root: its nodes, where somebody has parsed it already."""

    def __init__(self, text: str, root: Any = None) -> None:
        self._bom = "\ufeff" if text.startswith("\ufeff") else ""
        self._text = text[len(self._bom) :]
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._root = root if root is not None else document.parse(self._text)[2]
        self._index: dict[int, dict[str, int]] = {}
        self._splices: list[tuple[int, int, int, int, str]] = []

    # -- what stands where

    def has(self, path: Path) -> bool:
        """Whether there is anything at `path`."""
        try:
            self._find(path)
        except LookupError:
            return False
        return True

    def lead(self, path: Path) -> tuple[str, ...]:
        """The comment lines directly above an entry, without indent."""
        _start, lines = self._lead(self._line_start(self._entry_start(path)))
        return tuple(line.strip() for line in lines)

    def entry(self, path: Path) -> str:
        """An entry as it is written, from the comment above it to its last line."""
        key = self._entry_start(path)
        start, _lines = self._lead(self._line_start(key))
        column = key - self._line_start(key)
        return self._text[start : self._after_comments(self._line_end(self._entry_end(path)), column)]

    def _find(self, path: Path) -> tuple[Any, int]:
        """The collection that holds `path`, and the position in it. Raises LookupError; never goes through an alias."""
        node, parent, position = self._root, None, -1
        for step in path:
            if node is None or node.id == "scalar":
                raise LookupError(path)
            if parent is not None and self._span(parent, position)[2]:
                raise CloudExitError(
                    "Cannot change what an alias stands for",
                    cause=f"{_shown(path)} lies in a value that is written as an alias",
                    hint="Write it out in its place, and try again.",
                )
            parent, position = node, self._position(node, step)
            node = parent.value[position] if parent.id == "sequence" else parent.value[position][1]
        return parent, position

    def _position(self, node: Any, step: Step) -> int:
        if node.id == "sequence":
            if not isinstance(step, int) or not 0 <= step < len(node.value):
                raise LookupError(step)
            return step
        if id(node) not in self._index:
            self._index[id(node)] = {key.value: index for index, (key, _value) in enumerate(node.value)}
        return self._index[id(node)][str(step)]

    def _node(self, path: Path) -> Any:
        if not path:
            return self._root
        parent, position = self._find(path)
        if self._span(parent, position)[2]:
            raise CloudExitError(
                "Cannot change what an alias stands for",
                cause=f"{_shown(path)} is written as an alias",
                hint="Write it out in its place, and try again.",
            )
        return parent.value[position] if parent.id == "sequence" else parent.value[position][1]

    def _span(self, parent: Any, position: int) -> tuple[int, int, bool]:
        """Where the value of a member begins and ends, and whether it is an alias."""
        if parent.id == "mapping":
            key, value = parent.value[position]
            before = key.end_mark.index
        else:
            value = parent.value[position]
            before = self._span(parent, position - 1)[1] if position else parent.start_mark.index
        start = value.start_mark.index
        if start < before:
            found = _ALIAS.match(self._text, before) or re.compile(r"[^*]*(\*[^\s,\[\]{}]+)").match(self._text, before)
            return (found.start(1), found.end(1), True) if found else (before, before, True)
        if value.id == "scalar" and start == value.end_mark.index and parent.id == "mapping":
            colon = self._colon(parent.value[position][0])
            return colon, colon, False
        return start, self._end(value), False

    def _colon(self, key: Any) -> int:
        """Behind the colon of a key."""
        return self._text.index(":", key.end_mark.index) + 1

    def _end(self, node: Any) -> int:
        """Where a node really ends; PyYAML's mark of a block is where the next thing begins."""
        if node.id == "scalar":
            end: int = node.end_mark.index
            if node.style in ("|", ">"):
                return max(len(self._text[:end].rstrip()), int(node.start_mark.index))
            return end
        if node.flow_style or not node.value:
            return int(node.end_mark.index)
        return self._span(node, len(node.value) - 1)[1]

    def _line_start(self, offset: int) -> int:
        return self._text.rfind("\n", 0, offset) + 1

    def _line_end(self, offset: int) -> int:
        """Before the newline of the line that `offset` is on."""
        end = self._text.find("\n", offset)
        if end < 0:
            return len(self._text)
        return end - 1 if end > offset and self._text[end - 1] == "\r" else end

    def _entry_start(self, path: Path) -> int:
        parent, position = self._find(path)
        if parent.id == "mapping":
            return int(parent.value[position][0].start_mark.index)
        return self._dash(parent, position)

    def _entry_end(self, path: Path) -> int:
        parent, position = self._find(path)
        return self._span(parent, position)[1]

    def _dash(self, parent: Any, position: int) -> int:
        start = self._span(parent, position)[0]
        return self._text.rindex("-", 0, start)

    def _lead(self, line_start: int) -> tuple[int, list[str]]:
        """Where the comment lines directly above a line begin, and these lines."""
        lines: list[str] = []
        while line_start > 0:
            above = self._text.rfind("\n", 0, line_start - 1) + 1
            line = self._text[above : line_start - 1]
            if not line.lstrip().startswith("#"):
                break
            lines.insert(0, line)
            line_start = above
        return line_start, lines

    def _after_comments(self, line_end: int, column: int) -> int:
        """Behind the comment lines below that are indented deeper than `column`: they belong to what is above them."""
        while True:
            match = re.compile(r"\r?\n([ ]*)#[^\n]*").match(self._text, line_end)
            if match is None or len(match[1]) <= column:
                return line_end
            line_end = self._line_end(match.end(1))

    # -- changing it

    def apply(self, edits: Sequence[Edit]) -> str:
        """The text with the edits made."""
        members: dict[Path, list[Edit]] = defaultdict(list)
        for edit in edits:
            if edit.op in ("add", "remove"):
                members[edit.path[:-1]].append(edit)
            elif edit.op == "set":
                self._set(edit.path, edit.value)
            else:
                self._comment(edit)
        for path, some in members.items():
            self._members(path, some)
        return self._spliced()

    def _splice(self, start: int, end: int, new: str, depth: int = 0) -> None:
        self._splices.append((start, end, -depth, len(self._splices), new))

    def _spliced(self) -> str:
        # an insertion stands before a removal that begins at the same place
        self._splices.sort(key=lambda splice: (splice[0], splice[0] != splice[1], splice[2], splice[3]))
        parts: list[str] = []
        done = 0
        for start, end, _depth, _order, new in self._splices:
            if start < done:
                if not new:  # more of what goes anyway
                    done = max(done, end)
                    continue
                raise CloudExitError("Cannot bring the changes into the text", cause="two changes meet in one place")
            parts += [self._text[done:start], new]
            done = end
        parts.append(self._text[done:])
        return self._bom + "".join(parts)

    def _lines(self, lines: Iterable[str]) -> str:
        return self._newline.join(lines)

    def _set(self, path: Path, value: Any, levels: int | None = None) -> None:
        parent, position = self._find(path)
        start, end, alias = self._span(parent, position)
        node = parent.value[position] if parent.id == "sequence" else parent.value[position][1]
        collection = isinstance(value, (dict, list)) and bool(value)
        in_block_mapping = parent.id == "mapping" and not parent.flow_style
        if alias or node.id == "scalar" or node.flow_style or not node.value:
            if collection and in_block_mapping:
                colon = self._colon(parent.value[position][0])
                self._splice(colon, end, "", len(path))
                indent = parent.start_mark.column + 2
                new = self._newline + self._lines(block(value, indent, levels))
                self._splice(self._line_end(end), self._line_end(end), new, len(path))
                return
            space = " " if start == end and self._text[start - 1 : start] == ":" else ""
            self._splice(start, end, space + inline(value), len(path))
            return
        if collection:
            lines = document.block(value, node.start_mark.column)
            self._splice(start, end, self._lines([lines[0].lstrip(), *lines[1:]]), len(path))
        elif in_block_mapping:
            colon = self._colon(parent.value[position][0])
            self._splice(colon, colon, " " + inline(value), len(path))
            self._splice(self._before_line(start), self._line_end(end), "", len(path))
        else:
            self._splice(start, end, inline(value), len(path))

    def _before_line(self, offset: int) -> int:
        """Before the newline that ends the line above."""
        start = self._line_start(offset)
        if not start:
            return 0
        return start - 2 if self._text[max(start - 2, 0) : start] == "\r\n" else start - 1

    def _comment(self, edit: Edit) -> None:
        key = self._line_start(self._entry_start(edit.path))
        start, lines = self._lead(key)
        if tuple(line.strip() for line in lines) != edit.comments:
            return
        pad = " " * (self._entry_start(edit.path) - key)
        self._splice(start, key, "".join(f"{pad}{line}{self._newline}" for line in edit.value), len(edit.path))

    def _members(self, path: Path, edits: Sequence[Edit]) -> None:
        """Additions to a collection, and removals from it."""
        node = self._node(path)
        adds = [edit for edit in edits if edit.op == "add"]
        gone = {self._position(node, edit.path[-1]): edit for edit in edits if edit.op == "remove"}
        kept = [index for index in range(len(node.value)) if index not in gone]
        if not node.value and path:
            self._set(path, self._made(node, adds), adds[0].levels if adds else None)
        elif not node.value:
            raise CloudExitError("Cannot add to an empty document")
        elif node.flow_style:
            self._flow(node, adds, gone, kept)
        elif not kept and not adds:
            if path:
                self._set(path, [] if node.id == "sequence" else {})
            else:
                raise CloudExitError("Cannot empty the whole document")
        elif not kept and self._shares_line(node):
            self._set(path, self._made(node, adds))
        else:
            first = kept[0] if kept and 0 in gone and self._shares_line(node) else 0
            if first:
                self._splice(self._member_start(node, 0), self._member_start(node, first), "")
            for position, edit in gone.items():
                if position >= first:
                    self._remove(node, position, edit)
            for edit in adds:
                self._add(node, edit)

    def _made(self, node: Any, adds: Sequence[Edit]) -> Any:
        if node.id == "sequence":
            return [edit.value for edit in adds]
        return {edit.path[-1]: edit.value for edit in adds}

    def _flow(self, node: Any, adds: Sequence[Edit], gone: dict[int, Edit], kept: Sequence[int]) -> None:
        new = [
            inline(edit.value) if node.id == "sequence" else f"{document.scalar(edit.path[-1])}: {inline(edit.value)}"
            for edit in adds
        ]
        if not kept:
            opening, closing = ("[", "]") if node.id == "sequence" else ("{", "}")
            start = self._text.index(opening, node.start_mark.index)
            self._splice(start, node.end_mark.index, opening + ", ".join(new) + closing)
            return
        for index in gone:
            if index < kept[-1]:
                self._splice(self._member_start(node, index), self._member_start(node, index + 1), "")
        end = self._span(node, len(node.value) - 1)[1]
        behind = self._span(node, kept[-1])[1]
        added = "".join(f", {entry}" for entry in new)
        if behind < end:
            self._splice(behind, end, added)
        elif added:
            self._splice(end, end, added)

    def _member_start(self, node: Any, position: int) -> int:
        if node.id == "mapping":
            return int(node.value[position][0].start_mark.index)
        return self._span(node, position)[0]

    def _shares_line(self, node: Any) -> bool:
        """Whether the first member stands on the line of the dash of the list that the collection is in."""
        start = self._member_start(node, 0) if node.id == "mapping" else self._dash(node, 0)
        return bool(self._text[self._line_start(start) : start].strip())

    def _remove(self, node: Any, position: int, edit: Edit) -> None:
        start = self._member_start(node, position) if node.id == "mapping" else self._dash(node, position)
        end = self._line_end(self._span(node, position)[1])
        line = self._line_start(start)
        first, lines = self._lead(line)
        if edit.comments and tuple(entry.strip() for entry in lines) == edit.comments:
            line = first
            above = self._before_line(line)
            if line and not self._text[self._line_start(above) : above].strip():
                line = self._line_start(above)
        if line == 0:
            follows = self._text.find("\n", end)
            self._splice(0, follows + 1 if follows >= 0 else end, "")
        else:
            self._splice(self._before_line(line), end, "")

    def _add(self, node: Any, edit: Edit) -> None:
        position = len(node.value) - 1
        if edit.after is not None:
            with contextlib.suppress(LookupError):
                position = self._position(node, edit.after)
        column = node.start_mark.column
        place = self._after_comments(self._line_end(self._span(node, position)[1]), column)
        value = [edit.value] if node.id == "sequence" else {edit.path[-1]: edit.value}
        pad = " " * column
        lines = ["", *([""] if edit.blank else []), *(pad + line for line in edit.comments)]
        self._splice(place, place, self._lines([*lines, *block(value, column, edit.levels)]), len(edit.path))


def _difference(found: Any, wanted: Any, path: str = "") -> str:
    """The first place where two values differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*wanted, *(key for key in found if key not in wanted)]:
            where = schema.join(path, str(key))
            if key not in found or key not in wanted:
                return f"{where} is {'missing' if key in wanted else 'too much'}"
            if found[key] != wanted[key]:
                return _difference(found[key], wanted[key], where)
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
            if one != other:
                return _difference(one, other, schema.join(path, index))
    return path


def _shown(path: Path) -> str:
    where = ""
    for step in path:
        where = schema.join(where, step)
    return where
