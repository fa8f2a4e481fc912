# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing stream-optimised VMDK, forward only: what a vSphere import lease and Cloud Director take as a disk.

Source of the format: VMware's "Virtual Disk Format 5.0" (sections on hosted sparse and stream-optimised extents). In
sectors of 512 bytes: header (version 3; its grain directory offset is all ones, the real one is in the footer),
descriptor (20 sectors), filling up to sector 128, then for each 32 MiB of disk its non-zero grains (64 KiB each,
zlib-compressed, with a 12-byte marker, filled up to a sector) and a grain table behind a marker; the grain directory
behind a marker, the footer behind a marker, an end-of-stream marker. Grains and tables of only zeros are left out.

Reading is in `vmdk_decode`, which shares nothing with this module; its two entry points are also here by name.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Callable, Sequence
from importlib import import_module
from sys import byteorder
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.vmdk_decode import decode, manifest_of
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    InvalidInput,
    Problem,
    Refused,
)

__all__ = ["GRAIN", "StreamWriter", "compressor", "decode", "manifest_of", "pack_grain", "store_grain"]

SECTOR = 512
GRAIN = 65536
TABLE_ENTRIES = 512  # grains in one grain table: 32 MiB of disk

_HEADER = struct.Struct("<4sIIQQQQIQQQBccccH433x")
_MARKER = struct.Struct("<QII496x")
_GRAIN_MARKER = struct.Struct("<QI")
_AT_END = 0xFFFFFFFFFFFFFFFF
_FLAGS = 0x30001  # line ends are testable, grains are compressed, markers are present
_DESCRIPTOR_SECTORS = 20
_OVERHEAD = 128
_TABLE, _DIRECTORY, _FOOTER, _END = 1, 2, 3, 0
_MAX_SECTORS = 0xFFFFFFFF

_STORED = GRAIN - 1000  # a grain that compresses to more than this does not compress
_PROBE = 1024
_PROBES = (1000, 31000, 62000)

Compress = Callable[[memoryview], bytes]


def compressor(name: str = "fast") -> tuple[str, Callable[[], Compress]]:
    """What compresses, and a maker of functions from a grain to its zlib form (RFC 1950), one for each thread.

    name: `fast` is igzip level 1 (package `isal`), else zlib level 1: ISA-L's output may differ from run to run, so
    never compare or resume by it. `deterministic` is zlib-ng level 1 (package `zlib-ng`), else zlib level 1: the same
    input gives the same bytes on the same host. `isal`, `zlib-ng`, `zlib` ask for one; CloudExitError when missing.
    """
    if name in ("fast", "isal"):
        try:
            import_module("isal.isal_zlib")
        except ImportError:
            if name == "isal":
                raise _missing("isal", "isal>=1.7,<2") from None
        else:
            return "isal", lambda: _fast(import_module("isal.isal_zlib"))
    elif name in ("deterministic", "zlib-ng"):
        try:
            steady = import_module("zlib_ng.zlib_ng").compress
        except ImportError:
            if name == "zlib-ng":
                raise _missing("zlib-ng", "zlib-ng") from None
        else:
            return "zlib-ng", lambda: lambda data: steady(data, 1)
    elif name != "zlib":
        raise InvalidInput(
            "Cannot compress", [Problem("compressor", f"{name!r} is not fast, deterministic, isal, zlib-ng or zlib")]
        )
    return "zlib", lambda: lambda data: zlib.compress(data, 1)


def _fast(isal: Any) -> Compress:
    """igzip level 1; what follows data that does not compress, and does not look as if it did, is only stored.

    Compressed and encrypted data come in long stretches. Three probes of 1 KiB cost a tenth of compressing the grain.
    """
    compress = isal.compress
    adler32 = isal.adler32
    before_stored = False

    def fast(data: memoryview) -> bytes:
        nonlocal before_stored
        if (
            before_stored
            and len(data) == GRAIN
            and all(len(compress(data[at : at + _PROBE], 0)) > _PROBE for at in _PROBES)
        ):
            return store_grain(data, adler32(data))
        compressed: bytes = compress(data, 1)
        before_stored = len(compressed) > _STORED
        return compressed

    return fast


def store_grain(data: memoryview, checksum: int) -> bytes:
    """The zlib form of 64 KiB without compression: two stored blocks (RFC 1951, 3.2.4). checksum: its Adler-32."""
    return b"".join(
        (
            b"\x78\x01\x00\xff\xff\x00\x00",  # header; not the last block; 65,535 bytes and the complement
            data[:65535],
            b"\x01\x01\x00\xfe\xff",  # the last block; 1 byte and the complement
            data[65535:],
            checksum.to_bytes(4, "big"),
        )
    )


def _missing(package: str, requirement: str) -> CloudExitError:
    return CloudExitError(
        "Cannot compress as asked",
        cause=f"the Python package {package} is not installed here",
        hint=f"Install it with: pip install '{requirement}'",
    )


def pack_grain(number: int, compressed: bytes) -> tuple[bytes, bytes, bytes]:
    """The pieces of one grain in the stream: marker, data, filling up to a whole sector. number: offset / 64 KiB."""
    size = len(compressed)
    return _GRAIN_MARKER.pack(number * (GRAIN // SECTOR), size), compressed, bytes(-(12 + size) % SECTOR)


def _geometry(sectors: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors per track as VMware gives them to SCSI disks of this size."""
    mebibytes = sectors >> 11
    heads, track = (64, 32) if mebibytes < 1024 else (128, 32) if mebibytes <= 2048 else (255, 63)
    return max(1, min(65535, sectors // (heads * track))), heads, track


def _descriptor(sectors: int) -> bytes:
    """The text part. Nothing in it comes from outside but the size."""
    content_id = zlib.crc32(b"cloudexit %d" % sectors) & 0x7FFFFFFF
    cylinders, heads, track = _geometry(sectors)
    text = f"""# Disk DescriptorFile
version=1
encoding="UTF-8"
CID={content_id:08x}
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RDONLY {sectors} SPARSE "disk.vmdk"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "{cylinders}"
ddb.geometry.heads = "{heads}"
ddb.geometry.sectors = "{track}"
ddb.toolsVersion = "2147483647"
ddb.virtualHWVersion = "10"
"""
    return text.encode("ascii").ljust(_DESCRIPTOR_SECTORS * SECTOR, b"\0")


def _little(values: array[int]) -> bytes:
    if byteorder != "little":
        values = array(values.typecode, values)
        values.byteswap()
    return values.tobytes()


class StreamWriter:
    """Writes one disk: `begin`, `add` for grains in ascending order, `finish`.

    capacity: the disk's bytes, a multiple of 512. write: takes each piece of the stream, in order, and must take all
    of it. `position` is the number of bytes written so far, a multiple of 512.
    """

    def __init__(self, capacity: int, write: Callable[[bytes], object]) -> None:
        if capacity <= 0 or capacity % SECTOR:
            raise InvalidInput(
                "Cannot write this disk as VMDK",
                [Problem("size", f"{capacity} bytes is not a whole, positive number of 512-byte sectors")],
            )
        self._sectors = capacity // SECTOR
        self._grains = -(-capacity // GRAIN)
        self._write = write
        self._sector = 0
        self._directory = array("I", bytes(4 * -(-self._grains // TABLE_ENTRIES)))
        self._table = array("I", bytes(4 * TABLE_ENTRIES))
        self._table_number = -1  # of the table in the making, when it has a grain
        self._next = 0

    @property
    def position(self) -> int:
        return self._sector * SECTOR

    def _put(self, piece: bytes) -> None:
        self._write(piece)
        self._sector += len(piece) // SECTOR
        if self._sector > _MAX_SECTORS:
            raise Refused(
                "Cannot write this disk as stream-optimised VMDK",
                cause="its compressed data is larger than 2 TiB, which the format's 32-bit grain tables cannot address",
                hint="Split the data over several disks, or move this one inside the guest.",
            )

    def _header(self, directory: int) -> bytes:
        return _HEADER.pack(
            b"KDMV",
            3,
            _FLAGS,
            self._sectors,
            GRAIN // SECTOR,
            1,
            _DESCRIPTOR_SECTORS,
            TABLE_ENTRIES,
            0,
            directory,
            _OVERHEAD,
            0,
            b"\n",
            b" ",
            b"\r",
            b"\n",
            1,
        )

    def begin(self) -> None:
        """The header and the descriptor."""
        self._put((self._header(_AT_END) + _descriptor(self._sectors)).ljust(_OVERHEAD * SECTOR, b"\0"))

    def add(self, first: int, sectors: Sequence[int], blob: bytes) -> None:
        """Neighbouring grains, all in one grain table.

        first: number of the first grain. sectors: for each grain from there its length in the blob, 0 for zeros.
        blob: the packed grains, one behind the other. `TABLE_ENTRIES` grains from a multiple of it share a table.
        """
        if first < self._next or first + len(sectors) > self._grains:
            raise ValueError("grains must come in ascending order and inside the disk")
        self._next = first + len(sectors)
        number, entry = divmod(first, TABLE_ENTRIES)
        if number != self._table_number:
            self._end_table()
            self._table_number = number
        at = self._sector
        for length in sectors:
            if length:
                self._table[entry] = at
                at += length
            entry += 1
        self._put(blob)
        if self._sector != at:
            raise ValueError("the grains' lengths do not fit their bytes")

    def _end_table(self) -> None:
        if self._table_number < 0:
            return
        self._directory[self._table_number] = self._sector + 1
        self._put(_MARKER.pack(4 * TABLE_ENTRIES // SECTOR, 0, _TABLE) + _little(self._table))
        self._table = array("I", bytes(4 * TABLE_ENTRIES))
        self._table_number = -1

    def finish(self) -> int:
        """The last table, the directory, the footer and the end. Returns the length of the whole stream in bytes."""
        self._end_table()
        directory = _little(self._directory)
        directory += bytes(-len(directory) % SECTOR)
        at = self._sector + 1
        self._put(_MARKER.pack(len(directory) // SECTOR, 0, _DIRECTORY) + directory)
        self._put(_MARKER.pack(1, 0, _FOOTER) + self._header(at) + _MARKER.pack(0, 0, _END))
        return self.position
