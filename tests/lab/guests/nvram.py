# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot entries in OVMF's variable file, as an installer makes them with efibootmgr.

Formats: UEFI Platform Initialization spec vol. 3 (firmware volume header), edk2 MdeModulePkg VariableFormat.h
(authenticated variable store), UEFI spec 3.1.3 (load options) and 10.3.5 (media device paths).
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_STORE_GUID = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792").bytes_le
_GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c").bytes_le
_STORE_HEADER = struct.Struct("<16sIBBHI")
_VARIABLE = struct.Struct("<HBBIQ16sIII16s")
_START, _ADDED, _LASTING = 0x55AA, 0x3F, 7
_CODE = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd")


def code() -> Path:
    """The firmware itself. Raises FileNotFoundError naming the package when it is not installed."""
    for name in _CODE:
        if Path(name).exists():
            return Path(name)
    raise FileNotFoundError("no OVMF firmware on this machine; the package ovmf has it")


def template() -> Path:
    """Empty variables that fit ``code()``."""
    return Path(str(code()).replace("OVMF_CODE", "OVMF_VARS"))


@dataclass(frozen=True)
class BootEntry:
    """A boot option that names a file on a GPT partition: number, start and size in sectors of 512, GUID, path."""

    description: str
    partition: int
    start: int
    size: int
    guid: str
    path: str

    def load_option(self) -> bytes:
        """The variable's content (EFI_LOAD_OPTION)."""
        disk = struct.pack(
            "<BBHIQQ16sBB", 4, 1, 42, self.partition, self.start, self.size, uuid.UUID(self.guid).bytes_le, 2, 2
        )
        name = (self.path + "\0").encode("utf-16-le")
        file = struct.pack("<BBH", 4, 4, 4 + len(name)) + name
        nodes = disk + file + struct.pack("<BBH", 0x7F, 0xFF, 4)
        return struct.pack("<IH", 1, len(nodes)) + (self.description + "\0").encode("utf-16-le") + nodes


def _store(image: bytes | bytearray) -> tuple[int, int]:
    """Where variables start and where the store ends."""
    if image[40:44] != b"_FVH":
        raise ValueError("not a firmware volume")
    start = struct.unpack_from("<H", image, 48)[0]
    guid, size, kind, _state, dummy, dummy = _STORE_HEADER.unpack_from(image, start)
    if guid != _STORE_GUID or kind != 0x5A:
        raise ValueError("no store of authenticated variables in the firmware volume")
    return start + _STORE_HEADER.size, start + size


def variables(image: bytes | bytearray) -> Iterator[tuple[str, bytes, int]]:
    """Each live variable: name, content, and the offset just behind it (of the free space, after the last one)."""
    at, end = _store(image)
    while at + _VARIABLE.size <= end:
        begin, state, dummy, dummy, dummy, dummy, dummy, name_size, size, _guid = _VARIABLE.unpack_from(image, at)
        if begin != _START:
            return
        body = at + _VARIABLE.size
        at = (body + name_size + size + 3) & ~3
        if state == _ADDED:
            yield (
                bytes(image[body : body + name_size]).decode("utf-16-le").rstrip("\0"),
                bytes(image[body + name_size : body + name_size + size]),
                at,
            )


def with_boot_entry(image: bytes, entry: BootEntry) -> bytes:
    """A copy of an empty variable file with one boot entry, first and only in the boot order.

    Raises ValueError when the file is no OVMF variable file or has no room.
    """
    result = bytearray(image)
    at, end = _store(result)
    for _name, _content, behind in variables(result):
        at = behind
    for name, content in (("Boot0000", entry.load_option()), ("BootOrder", struct.pack("<H", 0))):
        encoded = (name + "\0").encode("utf-16-le")
        blob = _VARIABLE.pack(_START, _ADDED, 0, _LASTING, 0, bytes(16), 0, len(encoded), len(content), _GLOBAL)
        blob += encoded + content
        blob += b"\xff" * (-len(blob) % 4)
        if at + len(blob) > end:
            raise ValueError("no room for a boot entry in the firmware's variables")
        result[at : at + len(blob)] = blob
        at += len(blob)
    return bytes(result)
