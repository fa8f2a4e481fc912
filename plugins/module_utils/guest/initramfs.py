# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an initramfs holds, read without a guest's program: cpio archives behind each other, compressed or not.

Formats: the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst` (several archives may follow each
other, each compressed in its own way or not at all) and cpio's "new ASCII" header (magic 070701 and 070702).
"""

from __future__ import annotations

import bz2
import lzma
import shutil
import subprocess
import zlib
from collections.abc import Iterator

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.hardware import module_name
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Refused

MAX_UNPACKED = 1 << 30
_HEADER = 110
_MAGIC = (b"070701", b"070702")
_LZ4_LEGACY = b"\x02\x21\x4c\x18"
_ZSTD = b"\x28\xb5\x2f\xfd"
# Compression whose unpacking needs a program on this host: magic, program and its arguments.
_PROGRAMS = (
    (_ZSTD, ["zstd", "-dcq"]),
    (_LZ4_LEGACY, ["lz4", "-dcq"]),
    (b"\x04\x22\x4d\x18", ["lz4", "-dcq"]),
    (b"\x89LZO\x00", ["lzop", "-dcq"]),
)


class Unreadable(Exception):
    """The initramfs cannot be listed here, and why."""


class ProgramMissing(Unreadable):
    """A program that unpacks it is not installed on this host."""


def modules_in(data: bytes) -> frozenset[str]:
    """The kernel modules in an initramfs given as bytes. Raises Unreadable, for a damaged archive too."""
    return frozenset(filter(None, (module_name(name) for name in names_in(data))))


def names_in(data: bytes) -> Iterator[str]:
    """The paths in an initramfs, in order. Raises Unreadable."""
    position = 0
    while position < len(data):
        if data[position : position + 6] in _MAGIC:
            for name, after in _archive(data, position):
                position = after
                if name:
                    yield name
        elif not data[position : position + 4].strip(b"\0"):
            position += 4
        else:
            yield from names_in(_unpack(data[position:]))
            return


def _archive(data: bytes, position: int) -> Iterator[tuple[str, int]]:
    """Entries of one archive as (name, offset after the entry); at the trailer a last ("", offset after it)."""
    while True:
        header = data[position : position + _HEADER]
        if len(header) < _HEADER or header[:6] not in _MAGIC:
            raise Unreadable("it ends in the middle of an archive")
        try:
            size = int(header[54:62], 16)
            length = int(header[94:102], 16)
        except ValueError as error:
            raise Unreadable("a header in it is damaged") from error
        start = position + _HEADER
        name = data[start : start + length].rstrip(b"\0").decode("utf-8", "replace")
        position = _aligned(_aligned(start + length) + size)
        if name == "TRAILER!!!":
            yield "", position
            return
        yield name, position


def _aligned(value: int) -> int:
    return (value + 3) & ~3


def _unpack(data: bytes) -> bytes:
    try:
        if data[:2] == b"\x1f\x8b":
            return zlib.decompressobj(31).decompress(data, MAX_UNPACKED)
        if data[:6] == b"\xfd7zXZ\0" or data[:3] == b"\x5d\0\0":
            return lzma.LZMADecompressor().decompress(data, MAX_UNPACKED)
        if data[:3] == b"BZh":
            return bz2.BZ2Decompressor().decompress(data, MAX_UNPACKED)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise Unreadable(f"its compressed part is damaged ({error})") from error
    for magic, command in _PROGRAMS:
        if data.startswith(magic):
            return _run(command, data)
    raise Unreadable(f"its compression is not known (it begins with {data[:4].hex()})")


def _run(command: list[str], data: bytes) -> bytes:
    if shutil.which(command[0]) is None:
        raise ProgramMissing(f"it is compressed with {command[0]}, which is not installed here")
    result = subprocess.run(command, input=data, capture_output=True, timeout=300, check=False)
    # lz4 ends with an error where padding follows the compressed data, after having unpacked all of it.
    if result.returncode != 0 and not result.stdout:
        raise Unreadable(f"{command[0]} could not unpack it")
    if len(result.stdout) > MAX_UNPACKED:
        raise Refused("The initramfs", cause="unpacked it is larger than 1 GiB")
    return result.stdout
