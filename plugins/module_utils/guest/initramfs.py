# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an initramfs holds, read without a guest's program: cpio archives behind each other, compressed or not.

Formats: the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst` (several archives may follow each
other, the last of them compressed) and cpio's "new ASCII" header (magic 070701 and 070702). It is read as a stream: a
small guest has not the memory for an unpacked initramfs.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.hardware import module_name

MAX_UNPACKED = 2 << 30
MAX_NAME = 4096
_HEADER = 110
_MAGIC = (b"070701", b"070702")
# Compression that Python unpacks itself: magic and what opens it.
_LIBRARIES: tuple[tuple[bytes, Callable[[IO[bytes]], Any]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"\xfd7zXZ\0", lzma.LZMAFile),
    (b"\x5d\0\0", lzma.LZMAFile),
    (b"BZh", bz2.BZ2File),
)
# Compression whose unpacking needs a program on this host: magic, program and its arguments.
_PROGRAMS = (
    (b"\x28\xb5\x2f\xfd", ["zstd", "-dcq"]),
    (b"\x02\x21\x4c\x18", ["lz4", "-dcq"]),
    (b"\x04\x22\x4d\x18", ["lz4", "-dcq"]),
    (b"\x89LZO\x00", ["lzop", "-dcq"]),
)


class Unreadable(Exception):
    """The initramfs cannot be listed here, and why."""


class ProgramMissing(Unreadable):
    """A program that unpacks it is not installed on this host."""


def modules_in(file: IO[bytes]) -> frozenset[str]:
    """The kernel modules in an initramfs, an open file on disk. Raises Unreadable, for a damaged one too."""
    return frozenset(filter(None, (module_name(name) for name in names_in(file))))


def names_in(file: IO[bytes]) -> list[str]:
    """The paths in an initramfs, in order. Raises Unreadable."""
    outer = _Stream(file)
    names = list(_archives(outer))
    if outer.ended():
        return names
    with _unpacked(file, outer) as inner:
        stream = _Stream(inner)
        if stream.peek(6) not in _MAGIC:
            raise Unreadable("what is packed in it is not a cpio archive")
        names += _archives(stream)
        if not stream.ended():
            raise Unreadable("behind an archive in it there is something else")
    return names


# inside


class _Stream:
    """A file read forwards, with a look ahead. Turns what a damaged file raises into Unreadable."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._ahead = b""
        self.position = 0

    def peek(self, size: int) -> bytes:
        while len(self._ahead) < size:
            try:
                block = self._file.read(1 << 16)
            except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
                raise Unreadable(f"its compressed part is damaged ({error})") from error
            if not block:
                break
            self._ahead += block
        return self._ahead[:size]

    def take(self, size: int) -> bytes:
        data = self.peek(size)
        if len(data) < size:
            raise Unreadable("it ends in the middle of an archive")
        self._ahead = self._ahead[size:]
        self.position += size
        if self.position > MAX_UNPACKED:
            raise Unreadable(f"unpacked it is larger than {MAX_UNPACKED >> 30} GiB")
        return data

    def skip(self, size: int) -> None:
        while size:
            size -= len(self.take(min(size, 1 << 16)))

    def skip_zeros(self) -> None:
        while block := self.peek(1 << 16):
            rest = block.lstrip(b"\0")
            self.skip(len(block) - len(rest))
            if rest:
                return

    def align(self) -> None:
        self.skip(-self.position % 4)

    def ended(self) -> bool:
        return not self.peek(1)


def _archives(stream: _Stream) -> Iterator[str]:
    """Paths in the archives that follow each other, with zeros between them, until something else comes."""
    while True:
        if stream.peek(6) in _MAGIC:
            yield from _archive(stream)
        elif stream.peek(1) == b"\0":
            stream.skip_zeros()
        else:
            return


def _archive(stream: _Stream) -> Iterator[str]:
    while True:
        header = stream.take(_HEADER)
        try:
            size, length = int(header[54:62], 16), int(header[94:102], 16)
        except ValueError as error:
            raise Unreadable("a header in it is damaged") from error
        if header[:6] not in _MAGIC or length > MAX_NAME:
            raise Unreadable("a header in it is damaged")
        name = stream.take(length).rstrip(b"\0").decode("utf-8", "replace")
        if name == "TRAILER!!!":
            return
        stream.align()
        stream.skip(size)
        if stream.peek(1):
            stream.align()
        yield name


@contextlib.contextmanager
def _unpacked(file: IO[bytes], outer: _Stream) -> Iterator[IO[bytes]]:
    """The rest of the file, unpacked."""
    head = outer.peek(8)
    file.seek(outer.position)
    for magic, opened in _LIBRARIES:
        if head.startswith(magic):
            with opened(file) as output:
                yield cast("IO[bytes]", output)
            return
    for magic, command in _PROGRAMS:
        if head.startswith(magic):
            with _program(command, file) as output:
                yield output
            return
    raise Unreadable(f"its compression is not known (it begins with {head[:4].hex()})")


@contextlib.contextmanager
def _program(command: list[str], file: IO[bytes]) -> Iterator[IO[bytes]]:
    if shutil.which(command[0]) is None:
        raise ProgramMissing(f"it is compressed with {command[0]}, which is not installed here")
    process = subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        if process.stdout is None:
            raise Unreadable(f"{command[0]} could not be started")
        yield process.stdout
    finally:
        process.kill()
        process.communicate()
