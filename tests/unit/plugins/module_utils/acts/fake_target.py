# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target in this process: one machine at most, the bytes of its disks, leases that end in one way only."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.transfer import LengthRequired, Machine
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Unreachable


class Places:
    """A stream that is read in places."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]


class FakeLease:
    def __init__(self, target: FakeTarget, ref: str) -> None:
        self.target = target
        self.ref = ref
        self.told: list[int] = []
        self.ended = ""

    def progress(self, percent: int) -> None:
        self.told.append(percent)

    def send(self, index: int, produce: Callable[[Callable[[bytes], object]], object], length: int | None) -> None:
        self.target.put(index, produce, length)

    @contextmanager
    def fetch(self, index: int) -> Iterator[Any]:
        yield self.target.get(index)

    def ranged(self, index: int) -> Places | None:
        return Places(self.target.get(index).getvalue()) if self.target.in_places else None

    def complete(self) -> str:
        assert not self.ended
        self.ended = "complete"
        self.target.leases.remove(self)
        return "vm-1"

    def abort(self, message: str) -> None:
        assert not self.ended
        self.ended = "abort"
        self.target.leases.remove(self)
        if self.ref.startswith("import"):
            self.target.machine = None


class FakeTarget:
    def __init__(self) -> None:
        self.machine: Machine | None = None
        self.bytes: dict[int, bytes] = {}
        self.leases: list[FakeLease] = []
        self.calls: list[str] = []
        self.fail: Callable[[str], None] = lambda call: None
        self.wants_length = False
        self.sized = False
        self.in_places = False
        self.announced: dict[int, int] = {}
        self.lengths: list[int | None] = []
        self.corrupt: set[int] = set()
        self.closed = 0
        self.ours = True
        self.at_once = 0
        self.most_at_once = 0
        self._guard = threading.Lock()

    trace = "session-1"

    def _call(self, text: str) -> None:
        with self._guard:
            self.calls.append(text)
        self.fail(text)

    def find(self) -> Machine | None:
        self._call("find")
        return self.machine

    def owns(self, machine: Machine) -> bool:
        return self.ours

    def abort_stale(self, lease_ref: str) -> None:
        self._call(f"abort_stale {lease_ref}")
        self.leases = [lease for lease in self.leases if lease.ref != lease_ref]

    def destroy(self, machine: Machine) -> None:
        self._call(f"destroy {machine.ref}")
        assert not machine.running
        self.machine = None

    def open_import(self, marks: Mapping[str, str], lengths: Mapping[int, int] | None = None) -> FakeLease:
        self._call("open_import")
        assert (lengths is not None) == self.sized
        self.announced = dict(lengths or {})
        assert self.machine is None, "there must be one machine at most"
        self.machine = Machine("vm-1", "web-1", False, dict(marks))
        self.bytes = {}
        lease = FakeLease(self, f"import-{len(self.calls)}")
        self.leases.append(lease)
        return lease

    def put(self, number: int, produce: Callable[[Callable[[bytes], object]], object], length: int | None) -> None:
        self._call("put")
        self.lengths.append(length)
        if self.wants_length and length is None:
            raise LengthRequired("The target wants a length")
        with self._guard:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        collected = bytearray()

        def write(piece: bytes) -> None:
            self.fail(f"write {number} {len(collected)}")
            collected.extend(piece)

        try:
            produce(write)
        finally:
            with self._guard:
                self.at_once -= 1
        assert length is None or length == len(collected)
        self.bytes[number] = bytes(collected)

    def mark(self, ref: str, marks: Mapping[str, str]) -> None:
        self._call(f"mark {marks.get('state', '')}")
        assert self.machine is not None
        self.machine = replace(self.machine, marks={**self.machine.marks, **marks})

    def open_export(self, ref: str) -> FakeLease:
        self._call("open_export")
        lease = FakeLease(self, f"export-{len(self.calls)}")
        self.leases.append(lease)
        return lease

    def get(self, number: int) -> io.BytesIO:
        self._call("get")
        return io.BytesIO(self.bytes[1 - number] if number in self.corrupt else self.bytes[number])

    def close(self) -> None:
        self.closed += 1


def cut(*, when: str, times: int = 1, retryable: bool = True) -> Callable[[str], None]:
    """A failure of the calls that begin with `when`: a cut connection, so many times."""
    left = [times]

    def fail(call: str) -> None:
        if call.startswith(when) and left[0] > 0:
            left[0] -= 1
            error: type[CloudExitError] = Unreachable
            raise error("The upload was cut", cause="connection reset by peer", retryable=retryable)

    return fail
