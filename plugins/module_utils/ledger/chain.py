# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: one JSON record a line, each holding the hash of the one before; nothing is ever changed or removed.

A record is `{seq, time, tenant, workload, act, ids, digests, result, prev, hash}`. `hash` is `sha256:` and the SHA-256
of the canonical JSON (RFC 8785) of the record without `hash`; `prev` is the hash of the record before it, GENESIS for
the first. A line is the canonical JSON of the whole record, so one record has one spelling. No key within a record is
called `hash` but that one: whoever verifies with `sed` and `openssl` takes it out of the line. Several processes may
append to one file: a lock of the kernel (flock) is held from reading the last record until the new one is on disk.

A crash can leave a last line without its newline. If it is a whole record that fits, it gets its newline; if not, it is
moved to `<ledger>.torn-<time>` and the append goes on; nothing had been reported as recorded.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import canonical
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
)

GENESIS = "sha256:" + "0" * 64
_FIELDS: dict[str, type] = {
    "seq": int,
    "time": str,
    "tenant": str,
    "workload": str,
    "act": str,
    "ids": dict,
    "digests": dict,
    "result": dict,
    "prev": str,
    "hash": str,
}
_BLOCK = 64 * 1024


@dataclass(frozen=True)
class Entry:
    """What is to be recorded of one act. ids and digests map a name to an identifier or to `<algorithm>:<hex>`."""

    tenant: str
    workload: str
    act: str
    ids: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    time: str = ""


@dataclass(frozen=True)
class Appended:
    """The records as they were written; where a torn last line was put, if there was one."""

    records: list[dict[str, Any]]
    torn: str = ""


@dataclass(frozen=True)
class Verification:
    """Every problem found (path `line <n>`), the number of readable records, the hash of the last one."""

    problems: list[Problem]
    count: int
    head: str

    @property
    def ok(self) -> bool:
        return not self.problems


def now() -> str:
    """The time in UTC as RFC 3339 with microseconds."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def digest(record: Mapping[str, Any]) -> str:
    """`sha256:<hex>` of a record, its own `hash` left out."""
    content = {name: value for name, value in record.items() if name != "hash"}
    return "sha256:" + hashlib.sha256(canonical.dumps(content)).hexdigest()


def append(path: str, entries: Sequence[Entry]) -> Appended:
    """Append one record for each entry, all of them or none, and return them once they are on the disk.

    The file is made (mode 0600) when missing; its folder must exist. Raises Conflict when the last record is not sound
    (nothing is appended to a broken chain), InvalidInput when an entry has no canonical form or holds a key `hash`,
    CloudExitError when the file cannot be written.
    """
    problems = [
        Problem(f"{entry.act}.{path}", "a key may not be called hash: that is the record's own")
        for entry in entries
        for name in ("ids", "digests", "result")
        for path in _hashes(getattr(entry, name), name)
    ]
    if problems:
        raise InvalidInput("this cannot be recorded", problems, hint="Call it digest.")
    try:
        with _locked(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, fcntl.LOCK_EX) as descriptor:
            torn = _heal(path, descriptor)
            last = _last_record(path, descriptor)
            records: list[dict[str, Any]] = []
            for entry in entries:
                last = _next(entry, last)
                records.append(last)
            _write(descriptor, b"".join(canonical.dumps(record) + b"\n" for record in records))
    except OSError as error:
        raise CloudExitError(
            f"Could not append to the ledger {path}",
            cause=error.strerror or str(error),
            hint="Make the folder writable and its disk not full, then run again; nothing was half recorded.",
        ) from error
    return Appended(records, torn)


def verify(path: str, *, expected_head: str = "") -> Verification:
    """Read the whole chain and list everything that is wrong with it.

    expected_head: a hash known from elsewhere (an earlier verification, a report, a letter); a chain that does not hold
    it has lost records or was written anew. Raises NotFound when there is no ledger.
    """
    problems: list[Problem] = []
    count, head, seen = 0, GENESIS, not expected_head or expected_head == GENESIS
    for number, line in enumerate(_lines(path), 1):
        where = f"line {number}"
        if not line.endswith(b"\n"):
            problems.append(Problem(where, "is not ended: a write was cut off, or the file was truncated"))
        record, faults = _parse(line.rstrip(b"\n"))
        problems += [Problem(where, fault) for fault in faults]
        if record is None:
            continue
        count += 1
        if record["seq"] != number:
            problems.append(Problem(where, f"has seq {record['seq']}, expected {number}"))
        if record["prev"] != head:
            problems.append(Problem(where, f"does not follow the record before it ({record['prev']}, not {head})"))
        head = record["hash"]
        seen = seen or head == expected_head
    if not seen:
        problems.append(Problem("end", f"the chain does not hold {expected_head}: records were removed or rewritten"))
    return Verification(problems, count, head)


def read(path: str) -> list[dict[str, Any]]:
    """All records that can be read, in order, whether or not the chain is sound; call `verify` for that."""
    return [record for line in _lines(path) if (record := _parse(line.rstrip(b"\n"))[0]) is not None]


def _hashes(value: Any, path: str) -> Iterator[str]:
    """Where in a value a key is called `hash`, or looks like that in a line (`…"hash`)."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name == "hash" or str(name).endswith('"hash'):
                yield f"{path}.{name}"
            yield from _hashes(inner, f"{path}.{name}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from _hashes(inner, f"{path}[{index}]")


def _parse(line: bytes) -> tuple[dict[str, Any] | None, list[str]]:
    """The record of a line (None when it is none) and what is wrong with the line by itself."""
    try:
        record = canonical.loads(line)
        spelled = canonical.dumps(record)
    except InvalidInput as error:
        return None, [str(problem) for problem in error.problems]
    if not isinstance(record, dict):
        return None, ["is not a record"]
    faults = [
        f"{name} is missing" if name not in record else f"{name} is not of type {kind.__name__}"
        for name, kind in _FIELDS.items()
        if not isinstance(record.get(name), kind) or isinstance(record.get(name), bool)
    ]
    if faults:
        return None, faults
    if spelled != line:
        faults.append("is not in canonical form")
    if digest(record) != record["hash"]:
        faults.append("does not match its hash: the record was changed")
    return record, faults


def _next(entry: Entry, last: Mapping[str, Any] | None) -> dict[str, Any]:
    record: dict[str, Any] = {
        "seq": last["seq"] + 1 if last else 1,
        "time": entry.time or now(),
        "tenant": entry.tenant,
        "workload": entry.workload,
        "act": entry.act,
        "ids": dict(entry.ids),
        "digests": dict(entry.digests),
        "result": dict(entry.result),
        "prev": last["hash"] if last else GENESIS,
    }
    record["hash"] = digest(record)
    return record


@contextlib.contextmanager
def _locked(path: str, flags: int, lock: int) -> Iterator[int]:
    fresh = bool(flags & os.O_CREAT) and not os.path.exists(path)
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, lock)
        if fresh:
            _sync_folder(path)
        yield descriptor
    finally:
        os.close(descriptor)


def _sync_folder(path: str) -> None:
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _lines(path: str) -> Iterator[bytes]:
    try:
        with _locked(path, os.O_RDONLY, fcntl.LOCK_SH) as descriptor, os.fdopen(os.dup(descriptor), "rb") as stream:
            yield from stream
    except FileNotFoundError as error:
        hint = "It is made by the first act that changes something."
        raise NotFound(f"There is no ledger {path}", hint=hint) from error
    except OSError as error:
        raise CloudExitError(f"Could not read the ledger {path}", cause=error.strerror or str(error)) from error


def _tail(descriptor: int, end: int) -> bytes:
    """The bytes from the start of the line that ends at `end` (its newline not counted) up to `end`."""
    found, position = b"", end
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        block = os.pread(descriptor, size, position)
        cut = block.rfind(b"\n")
        if cut >= 0:
            return block[cut + 1 :] + found
        found = block + found
    return found


def _last_record(path: str, descriptor: int) -> dict[str, Any] | None:
    size = os.fstat(descriptor).st_size
    if size == 0:
        return None
    record, faults = _parse(_tail(descriptor, size - 1))
    if record is None or faults:
        raise Conflict(
            f"The last record of the ledger {path} is not sound",
            cause="; ".join(faults),
            hint="Nothing was appended. Keep the file as it is, run verify_ledger and find out who wrote to it.",
        )
    return record


def _heal(path: str, descriptor: int) -> str:
    """Complete or put aside a last line without a newline; returns where it was put, or an empty text."""
    size = os.fstat(descriptor).st_size
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return ""
    line = _tail(descriptor, size)
    record, faults = _parse(line)
    if record is not None and not faults:
        _write(descriptor, b"\n")
        return ""
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = f"{path}.torn-{stamp}"
    copy = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _write(copy, line)
    finally:
        os.close(copy)
    _sync_folder(path)
    os.ftruncate(descriptor, size - len(line))
    os.fsync(descriptor)
    return aside


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it and bring it to the disk; on an error the file is as it was."""
    size = os.fstat(descriptor).st_size
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, size)
        raise
