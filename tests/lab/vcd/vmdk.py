# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stream-optimised VMDK to raw and back, for the lab's Cloud Director. It shares nothing with the collection's own."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

SECTOR = 512
_HEADER = struct.Struct("<4sIIQQQQIQQQBccccH")
_EOS, _GT, _GD, _FOOTER = 0, 1, 2, 3
_AT_END = 0xFFFFFFFFFFFFFFFF
_GTES = 512


class BadVmdk(ValueError):
    """It is no stream-optimised VMDK, or a damaged one."""


def _header(data: bytes) -> dict[str, int]:
    if len(data) < _HEADER.size or data[:4] != b"KDMV":
        raise BadVmdk("the file does not begin as a sparse VMDK does")
    fields = _HEADER.unpack(data[: _HEADER.size])
    names = ("version", "flags", "capacity", "grain", "d_offset", "d_size", "gtes", "rgd", "gd", "overhead")
    head = dict(zip(names, fields[1:11], strict=True))
    head["compress"] = fields[16]
    if b"".join(fields[12:16]) != b"\n \r\n":
        raise BadVmdk("its header was changed on the way, as by a transfer in text mode")
    if head["version"] not in (1, 2, 3) or head["flags"] & 0x30000 != 0x30000 or head["compress"] != 1:
        raise BadVmdk("it is not stream-optimised: it has no compressed grains with markers")
    if head["grain"] < 8 or head["grain"] & (head["grain"] - 1) or head["gtes"] != _GTES:
        raise BadVmdk(f"its grain size ({head['grain']}) or table size ({head['gtes']}) cannot be")
    return head


def _descriptor(source: BinaryIO, head: dict[str, int]) -> str:
    source.seek(head["d_offset"] * SECTOR)
    text = source.read(head["d_size"] * SECTOR).split(b"\0", 1)[0].decode("utf-8", "replace")
    if 'createType="streamOptimized"' not in text:
        raise BadVmdk("its descriptor does not say streamOptimized")
    return text


def check_start(path: Path) -> int:
    """The capacity in bytes that a VMDK's header says. Raises BadVmdk."""
    with open(path, "rb") as source:
        head = _header(source.read(SECTOR))
        _descriptor(source, head)
    return head["capacity"] * SECTOR


def decode(source_path: Path, target: Path, capacity: int | None = None) -> int:
    """Write the raw, sparse image of a VMDK; its capacity. Raises BadVmdk for whatever does not fit."""
    size = source_path.stat().st_size
    with open(source_path, "rb") as source, open(target, "wb") as out:
        head = _header(source.read(SECTOR))
        _descriptor(source, head)
        length = head["capacity"] * SECTOR
        if capacity is not None and capacity != length:
            raise BadVmdk(f"its capacity is {length} bytes, but the descriptor says {capacity}")
        grain = head["grain"] * SECTOR
        out.truncate(length)
        written: dict[int, int] = {}  # grain number → sector in the file
        tables: dict[int, tuple[int, ...]] = {}  # sector in the file → entries
        directory: tuple[int, ...] = ()
        directory_at = 0
        footer: dict[str, int] | None = None
        source.seek(head["overhead"] * SECTOR)
        ended = False
        while source.tell() + SECTOR <= size:
            at = source.tell() // SECTOR
            marker = source.read(SECTOR)
            value, count, kind = struct.unpack_from("<QII", marker)
            if count:
                data = marker[12 : 12 + count]
                if count > len(data):
                    data += source.read(count - len(data))
                    source.seek(-(12 + count) % SECTOR, os.SEEK_CUR)
                number, rest = divmod(value, head["grain"])
                if rest or value >= head["capacity"] or number in written:
                    raise BadVmdk(f"a grain for sector {value} is misplaced, beyond the end, or there twice")
                try:
                    raw = zlib.decompress(data)
                except zlib.error as error:
                    raise BadVmdk(f"the grain for sector {value} cannot be decompressed: {error}") from None
                if len(raw) != grain:
                    raise BadVmdk(f"the grain for sector {value} has {len(raw)} bytes instead of {grain}")
                written[number] = at
                if raw.count(0) != len(raw):
                    out.seek(number * grain)
                    out.write(raw[: max(0, length - number * grain)])
                continue
            if kind == _EOS:
                ended = True
                break
            body_at = source.tell() // SECTOR
            body = source.read(value * SECTOR)
            if len(body) != value * SECTOR:
                raise BadVmdk("it ends in the middle of a table")
            if kind == _GT:
                tables[body_at] = struct.unpack(f"<{len(body) // 4}I", body)
            elif kind == _GD:
                directory_at = body_at
                directory = struct.unpack(f"<{len(body) // 4}I", body)
            elif kind == _FOOTER:
                footer = _header(body)
            else:
                raise BadVmdk(f"it has a marker of unknown kind {kind}")
        grains = -(-head["capacity"] // head["grain"])
        if head["gd"] == _AT_END:
            if not ended or source.tell() != size:
                raise BadVmdk("it has no end-of-stream marker at its end: it is cut, or something follows")
            if footer is None or footer["gd"] != directory_at:
                raise BadVmdk("its footer does not name its grain directory")
        else:  # qemu-img's way: the tables are in front, what remains is filled up with zeroes
            if source.read().strip(b"\0"):
                raise BadVmdk("something follows its end")
            directory, tables = _front_tables(source, head, -(-grains // _GTES))
        _check_tables(directory, tables, written, grains)
    return length


def _front_tables(
    source: BinaryIO, head: dict[str, int], count: int
) -> tuple[tuple[int, ...], dict[int, tuple[int, ...]]]:
    source.seek(head["gd"] * SECTOR)
    try:
        directory = struct.unpack(f"<{count}I", source.read(4 * count))
        tables = {}
        for at in filter(None, directory):
            source.seek(at * SECTOR)
            tables[at] = struct.unpack(f"<{_GTES}I", source.read(4 * _GTES))
    except struct.error:
        raise BadVmdk("its grain directory leads beyond its end") from None
    return directory, tables


def _check_tables(
    directory: tuple[int, ...], tables: dict[int, tuple[int, ...]], written: dict[int, int], grains: int
) -> None:
    """The tables must lead to the grains that are there, and to nothing else."""
    found: dict[int, int] = {}
    for i in range(-(-grains // _GTES)):
        at = directory[i] if i < len(directory) else 0
        if not at:
            continue
        if at not in tables:
            raise BadVmdk("its grain directory leads to no grain table")
        for j, sector in enumerate(tables[at][:_GTES]):
            if sector > 1:  # 1 says "zeroes"
                found[i * _GTES + j] = sector
    if found != written:
        raise BadVmdk("its grain tables do not lead to its grains")


def _next_data(source: BinaryIO, at: int, length: int) -> int:
    """Where data begin at or after a position."""
    try:
        return os.lseek(source.fileno(), at, os.SEEK_DATA)
    except OSError:
        return length


def encode(source_path: Path, target: Path) -> int:
    """Write a raw image as a stream-optimised VMDK; its size in bytes."""
    grain = 128
    length = source_path.stat().st_size
    capacity = -(-length // SECTOR)
    grains = -(-capacity // grain)
    text = (
        '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="streamOptimized"\n\n'
        f'# Extent description\nRW {capacity} SPARSE "disk.vmdk"\n\n# The Disk Data Base\n#DDB\n\n'
        f'ddb.virtualHWVersion = "19"\nddb.geometry.cylinders = "{min(16383, capacity // (255 * 63))}"\n'
        'ddb.geometry.heads = "255"\nddb.geometry.sectors = "63"\nddb.adapterType = "lsilogic"\n'
    ).encode()

    def head(gd: int) -> bytes:
        packed = _HEADER.pack(
            b"KDMV", 3, 0x30001, capacity, grain, 1, 20, _GTES, 0, gd, 128, 0, b"\n", b" ", b"\r", b"\n", 1
        )
        return packed.ljust(SECTOR, b"\0")

    with open(source_path, "rb") as source, open(target, "wb") as out:
        out.write(head(_AT_END) + text.ljust(20 * SECTOR, b"\0"))
        out.write(bytes(128 * SECTOR - out.tell()))
        directory: list[int] = []
        for first in range(0, grains, _GTES):
            table = [0] * _GTES
            data_at = _next_data(source, first * grain * SECTOR, length)
            for number in range(first, min(first + _GTES, grains)):
                if (number + 1) * grain * SECTOR <= data_at:
                    continue  # a hole
                source.seek(number * grain * SECTOR)
                raw = source.read(grain * SECTOR)
                if raw.count(0) == len(raw):
                    continue
                data = zlib.compress(raw.ljust(grain * SECTOR, b"\0"), 1)
                table[number - first] = out.tell() // SECTOR
                block = struct.pack("<QI", number * grain, len(data)) + data
                out.write(block + bytes(-len(block) % SECTOR))
            if any(table):
                out.write(struct.pack("<QII", 4, 0, _GT).ljust(SECTOR, b"\0"))
                directory.append(out.tell() // SECTOR)
                out.write(struct.pack(f"<{_GTES}I", *table))
            else:
                directory.append(0)
        packed = struct.pack(f"<{len(directory)}I", *directory)
        packed += bytes(-len(packed) % SECTOR)
        out.write(struct.pack("<QII", len(packed) // SECTOR, 0, _GD).ljust(SECTOR, b"\0"))
        gd = out.tell() // SECTOR
        out.write(packed)
        out.write(struct.pack("<QII", 1, 0, _FOOTER).ljust(SECTOR, b"\0") + head(gd) + bytes(SECTOR))
        return out.tell()
