# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LVM2 volumes read from a disk without LVM: the label and text metadata that every physical volume carries.

No activation, no device-mapper, no clash with a volume group of the same name on this host. Format: LVM2's sources
(lib/format_text/layout.h, lib/label/label.h): a label in one of the first four sectors, behind it the physical volume's
header with its metadata areas, in each of them a header that names the newest copy of the text.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SECTOR = 512
_MAGIC = b" LVM2 x[5A%r0N*>"
_IGNORED = 1


class Unreadable(Exception):
    """The metadata is damaged, or is not LVM2 text metadata."""


@dataclass(frozen=True)
class Segment:
    """Bytes of a logical volume that lie in one piece: offset in the volume, offset in the physical volume, length."""

    start: int
    offset: int
    size: int


@dataclass(frozen=True)
class LogicalVolume:
    """A logical volume; segments is empty, and `why` says so, where it does not lie on this physical volume alone or
    is not a plain linear one."""

    group: str
    name: str
    size: int
    segments: tuple[Segment, ...] = ()
    why: str = ""


def volumes(read: Callable[[int, int], bytes]) -> list[LogicalVolume]:
    """The logical volumes that a physical volume's metadata names. Raises Unreadable."""
    pv_uuid, areas = _label(read)
    text = ""
    for offset, _size in areas:
        text = _metadata(read, offset)
        if text:
            break
    if not text:
        raise Unreadable("it carries no copy of its group's metadata")
    return list(_volumes(parse(text), pv_uuid))


def parse(text: str) -> dict[str, Any]:
    """LVM's configuration text as dictionaries, lists, strings and numbers. Raises Unreadable."""
    parser = _Parser(text)
    return parser.section(top=True)


# inside


def _label(read: Callable[[int, int], bytes]) -> tuple[str, list[tuple[int, int]]]:
    head = read(0, 4 * SECTOR)
    for sector in range(4):
        label = head[sector * SECTOR : (sector + 1) * SECTOR]
        if label[:8] == b"LABELONE" and label[24:32] == b"LVM2 001":
            break
    else:
        raise Unreadable("it has no LVM2 label")
    start = struct.unpack_from("<I", label, 20)[0]
    if start + 40 > SECTOR:
        raise Unreadable("its label is damaged")
    uuid = label[start : start + 32].decode("ascii", "replace")
    pairs = _pairs(label, start + 40)
    for offset, _size in pairs:  # data areas
        if not offset:
            break
    areas = []
    for offset, size in pairs:
        if not offset:
            break
        areas.append((offset, size))
    return uuid, areas


def _pairs(label: bytes, position: int) -> Iterator[tuple[int, int]]:
    while position + 16 <= len(label):
        yield struct.unpack_from("<QQ", label, position)
        position += 16
    raise Unreadable("its label is damaged")


def _metadata(read: Callable[[int, int], bytes], offset: int) -> str:
    header = read(offset, SECTOR)
    if len(header) < SECTOR or header[4:20] != _MAGIC:
        raise Unreadable("a metadata area has no header")
    _version, start, size = struct.unpack_from("<IQQ", header, 20)
    where, length, _checksum, flags = struct.unpack_from("<QQII", header, 40)
    if not where or not length or flags & _IGNORED:
        return ""
    if length > size or where >= size or size > (1 << 30):
        raise Unreadable("a metadata area's header is damaged")
    first = min(length, size - where)
    data = read(start + where, first)
    if first < length:  # the area is a ring; its first sector is the header
        data += read(start + SECTOR, length - first)
    return data.rstrip(b"\0").decode("utf-8", "replace")


_SPACE = re.compile(r"(?:\s|#[^\n]*(?=\n|\Z))*")
_TOKEN = re.compile(
    r"(?P<string>\"(?:[^\"\\]|\\.)*\")|(?P<number>-?\d+(?:\.\d+)?)(?!\w)|(?P<name>[A-Za-z0-9_.+-]+)|(?P<mark>[={}\[\],])"
)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0

    def token(self) -> tuple[str, str]:
        space = _SPACE.match(self.text, self.position)
        position = space.end() if space else self.position
        if position == len(self.text):
            return "end", ""
        match = _TOKEN.match(self.text, position)
        if not match:
            raise Unreadable(f"its metadata cannot be read at {self.text[position : position + 20]!r}")
        self.position = match.end()
        return str(match.lastgroup), match.group(str(match.lastgroup))

    def section(self, *, top: bool = False) -> dict[str, Any]:
        self.depth += 1
        if self.depth > 16:
            raise Unreadable("its metadata is nested too deeply")
        result: dict[str, Any] = {}
        while True:
            kind, name = self.token()
            if (kind == "end") if top else (kind, name) == ("mark", "}"):
                self.depth -= 1
                return result
            if kind not in ("name", "number"):
                raise Unreadable(f"its metadata has {name!r} where a name was expected")
            mark = self.token()
            if mark == ("mark", "{"):
                result[name] = self.section()
            elif mark == ("mark", "="):
                result[name] = self.value(*self.token())
            else:
                raise Unreadable(f"its metadata has {mark[1]!r} behind {name!r}")

    def value(self, kind: str, text: str) -> Any:
        if kind == "string":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind == "number":
            return float(text) if "." in text else int(text)
        if (kind, text) == ("mark", "["):
            items: list[Any] = []
            while True:
                kind, text = self.token()
                if (kind, text) == ("mark", "]"):
                    return items
                if (kind, text) != ("mark", ","):
                    items.append(self.value(kind, text))
        raise Unreadable(f"its metadata has {text!r} where a value was expected")


def _volumes(metadata: Mapping[str, Any], pv_uuid: str) -> Iterator[LogicalVolume]:
    for group, body in metadata.items():
        if not isinstance(body, dict) or "extent_size" not in body:
            continue
        extent = _number(body, "extent_size") * SECTOR
        pvs = {
            name: _number(pv, "pe_start") * SECTOR
            for name, pv in _sections(body.get("physical_volumes"))
            if str(pv.get("id", "")).replace("-", "") == pv_uuid
        }
        for name, volume in _sections(body.get("logical_volumes")):
            if "VISIBLE" in volume.get("status", []):
                yield _volume(group, name, volume, extent, pvs)


def _volume(group: str, name: str, volume: Mapping[str, Any], extent: int, pvs: Mapping[str, int]) -> LogicalVolume:
    pieces: list[Segment] = []
    size = 0
    why = ""
    found = [segment for key, segment in _sections(volume) if key.startswith("segment")]
    for segment in sorted(found, key=lambda one: _number(one, "start_extent")):
        length = _number(segment, "extent_count") * extent
        start = _number(segment, "start_extent") * extent
        size = max(size, start + length)
        stripes: Sequence[Any] = segment.get("stripes", [])
        if segment.get("type") != "striped" or segment.get("stripe_count") != 1 or len(stripes) != 2:
            why = f"a part of it is of the kind {segment.get('type')}"
        elif stripes[0] not in pvs:
            why = "a part of it lies on another disk"
        else:
            offset = pvs[stripes[0]] + int(stripes[1]) * extent
            if pieces and pieces[-1].offset + pieces[-1].size == offset:
                last = pieces.pop()
                pieces.append(Segment(last.start, last.offset, last.size + length))
            else:
                pieces.append(Segment(start, offset, length))
    return LogicalVolume(group, name, size, () if why else tuple(pieces), why)


def _sections(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, dict):
        for name, section in value.items():
            if isinstance(section, dict):
                yield name, section


def _number(section: Mapping[str, Any], key: str) -> int:
    value = section.get(key)
    if not isinstance(value, int) or value < 0:
        raise Unreadable(f"its metadata has no valid {key}")
    return value
