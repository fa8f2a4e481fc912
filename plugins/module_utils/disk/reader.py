# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks to read: raw files, block devices, qcow2 images. Where their data is, and the bytes of it.

A raw file tells its holes (SEEK_DATA, SEEK_HOLE of lseek(2)). A block device shows none, so it is read in full. For a
qcow2 image `qemu-img map` does the format's work: it names where each stretch of guest data stands in the file, and the
bytes are then read from there directly. What cannot be read that way (compressed clusters, a backing file, an external
data file) is first converted by `qemu-img` to a sparse temporary raw file, which needs space in `spool_dir` for the
disk's data. An encrypted image is refused.

The size of a disk is a whole number of 512-byte sectors: a raw file that ends in the middle of one is read as if it
were filled up with zeros, as `qemu-img` does it.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from bisect import bisect_right
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    InvalidInput,
    NotFound,
    Problem,
    Refused,
)

SECTOR = 512
GRAIN = 65536  # holes are told in this granularity: small ones are cheaper read than skipped

_QCOW2_MAGIC = b"QFI\xfb"
_QCOW2_HEADER = struct.Struct(">4sIQIIQI")  # magic, version, backing offset, backing size, cluster bits, size, crypt
_QCOW2_EXTERNAL_DATA = 4  # incompatible feature bit 2, see docs/interop/qcow2 of QEMU
_EXTENT = struct.Struct("<QQQ")
_TABLE_IN_MEMORY = 1 << 20  # bytes of extent records


class Extent(NamedTuple):
    """A stretch of the disk that may hold data: its offset and length, and where it stands in the file behind it."""

    offset: int
    length: int
    position: int


class Source:
    """A disk that can be read. Safe for use by several threads at once.

    size: bytes, a multiple of 512. fd: the file that `Extent.position` refers to. format: `raw` or `qcow2`. path: what
    was opened. Use it as a context manager, or call `close`.
    """

    def __init__(self, path: str, fd: int, size: int, format: str) -> None:
        self.path = path
        self.fd = fd
        self.size = size
        self.format = format

    def extents(self) -> Iterator[Extent]:
        """Where data may be, ascending, without overlaps; everything else reads as zeros."""
        raise NotImplementedError

    def read_at(self, position: int, view: memoryview) -> None:
        """Fill the view with the file's bytes from `position`. CloudExitError when they cannot be read."""
        done = 0
        while done < len(view):
            try:
                count = os.preadv(self.fd, [view[done:]], position + done)
            except OSError as error:
                raise self._unreadable(position + done, error.strerror or str(error)) from error
            if not count:
                self._at_end(position + done, view[done:])
                return
            done += count

    def _unreadable(self, position: int, cause: str) -> CloudExitError:
        return CloudExitError(
            f"Cannot read {self.path} at byte {position}",
            cause=cause,
            hint="Check the device or the storage behind it, then run again: nothing of the source was changed.",
            retryable=True,
        )

    def _at_end(self, position: int, rest: memoryview) -> None:
        raise self._unreadable(position, "the file ends here: it was cut while it was read")

    def readinto(self, view: memoryview, offset: int) -> None:
        """Fill the view with the disk's bytes from `offset`, zeros where there is no data."""
        view[:] = bytes(len(view))
        end = offset + len(view)
        for extent in self._overlapping(offset, end):
            first, last = max(extent.offset, offset), min(extent.offset + extent.length, end)
            self.read_at(extent.position + first - extent.offset, view[first - offset : last - offset])

    def _overlapping(self, offset: int, end: int) -> Iterator[Extent]:
        for extent in self.extents():
            if extent.offset >= end:
                return
            if extent.offset + extent.length > offset:
                yield extent

    def pread(self, offset: int, length: int) -> bytes:
        """The disk's bytes from `offset`, fewer than `length` only at the end of the disk."""
        data = bytearray(max(0, min(length, self.size - offset)))
        self.readinto(memoryview(data), offset)
        return bytes(data)

    def close(self) -> None:
        """Release the file. Harmless when done twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()


class RawSource(Source):
    """A raw file or a block device."""

    def __init__(self, path: str, fd: int, format: str = "raw") -> None:
        mode = os.fstat(fd).st_mode
        self._length = os.lseek(fd, 0, os.SEEK_END)
        self.is_device = stat.S_ISBLK(mode)
        super().__init__(path, fd, -(-self._length // SECTOR) * SECTOR, format)

    def extents(self) -> Iterator[Extent]:
        start = end = 0  # the extent in the making
        position = 0
        while position < self._length:
            try:
                data = os.lseek(self.fd, position, os.SEEK_DATA)
                hole = os.lseek(self.fd, data, os.SEEK_HOLE)
            except OSError as error:
                if error.errno == errno.ENXIO:  # no data behind this position
                    break
                if error.errno in (errno.EINVAL, errno.ENOTSUP):  # holes are not told here: everything is data
                    yield Extent(position, self.size - position, position)
                    return
                raise self._unreadable(position, error.strerror or str(error)) from error
            # Align outwards to grains and merge, so that reads are few. Holes in between read as zeros.
            data -= data % GRAIN
            position = min(-(-hole // GRAIN) * GRAIN, self.size)
            if data <= end:
                end = position
                continue
            if end > start:
                yield Extent(start, end - start, start)
            start, end = data, position
        if end > start:
            yield Extent(start, end - start, start)

    def _overlapping(self, offset: int, end: int) -> Iterator[Extent]:
        end = min(end, self.size)
        if end > offset:
            yield Extent(offset, end - offset, offset)

    def _at_end(self, position: int, rest: memoryview) -> None:
        # Only the last sector of a file that ends inside it may be missing.
        if position != self._length or len(rest) >= SECTOR:
            super()._at_end(position, rest)
        rest[:] = bytes(len(rest))


class Qcow2Source(Source):
    """A qcow2 image whose guest data all stands uncompressed in its own file."""

    def __init__(self, path: str, fd: int, size: int, cluster: int) -> None:
        super().__init__(path, fd, size, "qcow2")
        self._cluster = cluster
        self._length = os.lseek(fd, 0, os.SEEK_END)
        self._table = bytearray()
        self._spilled: IO[bytes] | None = None
        self._rows = 0

    def add(self, extent: Extent, spool_dir: str | None) -> None:
        """Append an extent of the map; a large map leaves memory for an unnamed temporary file."""
        self._table += _EXTENT.pack(*extent)
        self._rows += 1
        if len(self._table) >= _TABLE_IN_MEMORY:
            if self._spilled is None:
                import tempfile

                self._spilled = tempfile.TemporaryFile(dir=spool_dir)  # noqa: SIM115 - lives as long as this object
            self._spilled.write(self._table)
            self._spilled.flush()
            self._table = bytearray()

    def _row(self, number: int) -> Extent:
        at = number * _EXTENT.size
        spilled = self._rows * _EXTENT.size - len(self._table)
        if self._spilled is not None and at < spilled:
            return Extent(*_EXTENT.unpack(os.pread(self._spilled.fileno(), _EXTENT.size, at)))
        return Extent(*_EXTENT.unpack_from(self._table, at - spilled))

    def extents(self) -> Iterator[Extent]:
        spilled = self._rows * _EXTENT.size - len(self._table)
        if self._spilled is not None:
            block = _EXTENT.size * 4096
            for at in range(0, spilled, block):
                data = os.pread(self._spilled.fileno(), min(block, spilled - at), at)
                for row in _EXTENT.iter_unpack(data):
                    yield Extent(*row)
        for row in _EXTENT.iter_unpack(self._table):
            yield Extent(*row)

    def _overlapping(self, offset: int, end: int) -> Iterator[Extent]:
        first = max(0, bisect_right(range(self._rows), offset, key=lambda number: self._row(number).offset) - 1)
        for number in range(first, self._rows):
            extent = self._row(number)
            if extent.offset >= end:
                return
            if extent.offset + extent.length > offset:
                yield extent

    def _at_end(self, position: int, rest: memoryview) -> None:
        # QEMU does not write the zeros at the end of a file's last cluster; more than that may not be missing.
        if position != self._length or position // self._cluster != (position + len(rest) - 1) // self._cluster:
            super()._at_end(position, rest)
        rest[:] = bytes(len(rest))

    def close(self) -> None:
        super().close()
        if self._spilled is not None:
            self._spilled.close()
            self._spilled = None


def open_source(path: str | os.PathLike[str], fmt: str = "auto", spool_dir: str | None = None) -> Source:
    """Open a disk for reading.

    fmt: `raw`, `qcow2` or `auto`. With `auto` a block device is raw and a file is what its first bytes say; an image
    that then turns out to need other files (a backing file, an external data file) is refused, because the first bytes
    of a disk are written by its guest: say `qcow2` where the image is trusted.
    spool_dir: for the temporary raw file of an image that cannot be read directly.

    Raises NotFound, Refused (encrypted, or `auto` as above), InvalidInput (empty, not a disk, wrong format) and
    CloudExitError (cannot be read, a damaged image, `qemu-img` missing or failed).
    """
    name = os.fspath(path)
    if fmt not in ("auto", "raw", "qcow2"):
        raise InvalidInput(f"Cannot open {name}", [Problem("format", f"{fmt!r} is not one of auto, raw, qcow2")])
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise NotFound(f"There is no disk {name}", hint="Check the path, or whether the volume is attached.") from error
    except OSError as error:
        raise CloudExitError(f"Cannot open {name}", cause=error.strerror or str(error)) from error
    try:
        source = _open(name, fd, fmt, spool_dir)
    except BaseException:
        os.close(fd)
        raise
    if source.fd != fd:
        os.close(fd)
    return source


def _open(name: str, fd: int, fmt: str, spool_dir: str | None) -> Source:
    mode = os.fstat(fd).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        raise InvalidInput(f"Cannot read {name}", [Problem("path", "neither a file nor a block device")])
    head = b""
    if fmt == "qcow2" or (fmt == "auto" and stat.S_ISREG(mode)):
        head = os.pread(fd, 104, 0)
        if head[:4] == _QCOW2_MAGIC:
            return _open_qcow2(name, fd, head, stat.S_ISBLK(mode), fmt == "auto", spool_dir)
        if fmt == "qcow2":
            raise InvalidInput(f"Cannot read {name}", [Problem("format", "this is not a qcow2 image")])
    source = RawSource(name, fd)
    if not source.size:
        raise InvalidInput(f"Cannot read {name}", [Problem("size", "the disk is empty (0 bytes)")])
    return source


def _open_qcow2(name: str, fd: int, head: bytes, device: bool, guessed: bool, spool_dir: str | None) -> Source:
    if len(head) < 72:
        raise InvalidInput(f"Cannot read {name}", [Problem("format", "the qcow2 header is cut off")])
    _magic, version, backing, _length, cluster_bits, size, crypt = _QCOW2_HEADER.unpack_from(head)
    if not 9 <= cluster_bits <= 21:
        raise InvalidInput(f"Cannot read {name}", [Problem("format", "the qcow2 header names no valid cluster size")])
    features = int.from_bytes(head[72:80], "big") if version >= 3 else 0
    if crypt:
        raise Refused(
            f"Cannot read {name}",
            cause="the image is encrypted",
            hint="Copy an encrypted disk from inside its guest, or decrypt it first; its key is never asked for here.",
        )
    other_files = bool(backing) or bool(features & _QCOW2_EXTERNAL_DATA)
    if other_files and guessed:
        raise Refused(
            f"Cannot read {name}",
            cause="its first bytes name another file (a backing or data file), and a guest can write such bytes",
            hint="If this is a trusted image, give its format as qcow2; if it is a raw disk, as raw.",
        )
    if not size:
        raise InvalidInput(f"Cannot read {name}", [Problem("size", "the disk is empty (0 bytes)")])
    spec = _image_spec(name, device)
    _check(name, spec)
    if not other_files:
        source = Qcow2Source(name, fd, -(-size // SECTOR) * SECTOR, 1 << cluster_bits)
        if _map_into(source, spec, spool_dir):
            return source
    return _convert(name, spec, spool_dir)


def _image_spec(name: str, device: bool) -> str:
    """The image for `qemu-img`, as JSON, so that no name is taken for an option or a protocol."""
    import json

    return "json:" + json.dumps(
        {
            "driver": "qcow2",
            "file": {"driver": "host_device" if device else "file", "filename": os.path.abspath(name)},
            "cache-size": 4 << 20,  # bounds the memory of qemu-img whatever the size of the image
        }
    )


def _start(arguments: list[str], name: str) -> Any:
    import subprocess

    try:
        return subprocess.Popen(
            ["qemu-img", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        raise CloudExitError(
            f"Cannot read {name}",
            cause=f"qemu-img cannot be started ({error.strerror or error})",
            hint="Install it on this host (Debian, Ubuntu: qemu-utils; RHEL family: qemu-img).",
        ) from error


def _said(stderr: bytes, spec: str) -> str:
    lines = stderr.decode("utf-8", "replace").replace(f"'{spec}'", "it").strip().splitlines()
    return f"qemu-img: {lines[-1].removeprefix('qemu-img: ')[:500] if lines else 'it gave no reason'}"


def _failed(name: str, stderr: bytes, spec: str) -> CloudExitError:
    return CloudExitError(f"Cannot read {name}", cause=_said(stderr, spec))


def _check(name: str, spec: str) -> None:
    """An image whose end is missing, tables and all, reads as zeros without a word: so its references are checked."""
    process = _start(["check", spec], name)
    # Damage can take very many lines. The first is enough, and what is not read cannot fill the memory.
    first = process.stderr.read(4096)
    more = len(first) == 4096
    if more:
        process.kill()
    process.stderr.close()
    process.stdout.read()
    process.stdout.close()
    status = process.wait()
    if more or status not in (0, 3):  # 3: only clusters that nothing refers to
        raise CloudExitError(
            f"The image {name} is damaged",
            cause=_said(first.split(b"\n", 1)[0], spec),
            hint="Download or export it again; `qemu-img check` tells more.",
        )


def _map_into(source: Qcow2Source, spec: str, spool_dir: str | None) -> bool:
    """Fill in the extents from `qemu-img map`. False as soon as one cannot be read from the file directly."""
    import json

    process = _start(["map", "--output=json", spec], source.path)
    direct = True
    try:
        # One object a line: read as a stream, because the map of a large fragmented image is large.
        for line in process.stdout:
            text = line.strip().lstrip(b"[").rstrip(b"],").strip()
            if not text:
                continue
            entry = json.loads(text)
            if not entry["data"] or entry["zero"]:
                continue
            if "offset" not in entry or entry.get("depth", 0) or entry.get("compressed"):
                direct = False
                break
            start, length = entry["start"], min(entry["length"], source.size - entry["start"])
            source.add(Extent(start, length, entry["offset"]), spool_dir)
    except (ValueError, KeyError, TypeError) as error:
        raise CloudExitError(
            f"Cannot read {source.path}", cause="the output of qemu-img map is not understood"
        ) from error
    finally:
        if not direct:
            process.kill()
        process.stdout.close()
        stderr = process.stderr.read()
        process.stderr.close()
        process.wait()
    if direct and process.returncode:
        raise _failed(source.path, stderr, spec)
    return direct


def _convert(name: str, spec: str, spool_dir: str | None) -> Source:
    """The disk as a sparse temporary raw file, which is gone when the source is closed, or this process ends."""
    import tempfile

    handle, temporary = tempfile.mkstemp(prefix="cloudexit-disk-", suffix=".raw", dir=spool_dir)
    try:
        process = _start(["convert", "-O", "raw", "-W", spec, temporary], name)
        _stdout, stderr = process.communicate()
        if process.returncode:
            raise _failed(name, stderr, spec)
        os.close(handle)
        handle = -1
        handle = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
        source = RawSource(name, handle, "qcow2")
        handle = -1
        return source
    finally:
        if handle >= 0:
            os.close(handle)
        os.unlink(temporary)
