# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pass of a workload's disks into a new machine at the target, and the proof that they arrived.

The disks are read once: hashed, compressed and sent in the same read. When all are in, the machine is marked
`imported` with the roots of the manifests; then every disk is read back by separate code and must give the same
manifest; then it is marked `verified`. What was begun and not finished is found by the marks and taken away or
completed by the next run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.job import Record, now
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.slots import SharedLimiter, Slots
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk import vmdk_decode, vmdk_sample
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pipeline import (
    Cancelled,
    PassResult,
    measure_vmdk,
    stream_vmdk,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import Source, open_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.throttle import Limiter
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.manifest import Manifest

TRIES = 3
SHOW_CHUNKS = 5
SPOOL_SPARE = 1 << 30
"""Bytes of the spool's file system that stay free."""

IMPORTING = "importing"
IMPORTED = "imported"
VERIFIED = "verified"
STARTED = "started"
ROLLED_BACK = "rolled_back"


class LengthRequired(CloudExitError):
    """The target takes an upload only when its length is told before."""


@dataclass(frozen=True)
class PassDisk:
    """A disk of the pass: its place, the source volume's id, the file or device to read, and its size in bytes.

    manifest_before: root of the manifest that was taken before the guest was adapted ("" where it was not). sampled:
    whether a sample of it proves it, where the target can be read in places.
    """

    index: int
    volume: str
    path: str
    size: int
    manifest_before: str = ""
    sampled: bool = False


@dataclass(frozen=True)
class Machine:
    """A machine at the target that carries the instance id of this workload: its reference, its power, its marks."""

    ref: str
    name: str
    running: bool
    marks: Mapping[str, str]
    """Keys without the prefix: `tenant`, `source_id`, `state`, `pass`, `manifest.0`, ..."""
    summary: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """For reports: ids, power, state, hardware and addresses."""

    @property
    def state(self) -> str:
        return self.marks.get("state", "")


Produce = Callable[[Callable[[bytes], object]], object]
"""Makes a disk's stream: called with `write`, calls it with each piece."""


class ImportLease(Protocol):
    """An open import. `send` takes a disk's stream; either `complete` or `abort` ends it. Keeps itself alive."""

    @property
    def ref(self) -> str: ...
    def send(self, index: int, produce: Produce, length: int | None) -> None: ...
    def progress(self, percent: int) -> None: ...
    def complete(self) -> str: ...
    def abort(self, message: str) -> None: ...


class ExportLease(Protocol):
    """An open export. `fetch` gives a disk's stream, `ranged` the same to be read in places, None where that cannot be;
    either `complete` or `abort` ends it. Keeps itself alive.
    """

    def fetch(self, index: int) -> AbstractContextManager[vmdk_decode.Readable]: ...
    def ranged(self, index: int) -> vmdk_sample.Ranged | None: ...
    def progress(self, percent: int) -> None: ...
    def complete(self) -> None: ...
    def abort(self, message: str) -> None: ...


class Target(Protocol):
    """What a pass needs of a target. One instance per job; used by several threads."""

    @property
    def sized(self) -> bool:
        """Whether an import wants the exact lengths of all streams before it is opened."""

    @property
    def trace(self) -> str:
        """What `abort_stale` of a later run needs to end what this one had open."""

    def find(self) -> Machine | None: ...
    def owns(self, machine: Machine) -> bool: ...
    def abort_stale(self, lease_ref: str) -> None: ...
    def destroy(self, machine: Machine) -> None: ...
    def open_import(self, marks: Mapping[str, str], lengths: Mapping[int, int] | None = None) -> ImportLease: ...
    def mark(self, ref: str, marks: Mapping[str, str]) -> None: ...
    def open_export(self, ref: str) -> ExportLease: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Pass:
    """What is to be done. `id` is the same for the same clones: a machine made by another pass is made again.

    frozen_at: when the oldest of the snapshots was made (ISO 8601). parallel: disks at a time on this reader host.
    bandwidth: bytes per second over all jobs of this host, 0 for no limit. upload: `auto` (chunked, and spooled where
    a length is demanded), `chunked`, `spooled` or `measured` (two reads, no spool). Where all lengths are demanded
    before the first byte, `auto` spools all disks if there is room for them uncompressed, and measures them if not.
    """

    id: str
    workload: str
    disks: Sequence[PassDisk]
    frozen_at: str = ""
    parallel: int = 2
    bandwidth: float = 0.0
    upload: str = "auto"
    replace_rolled_back: bool = False


@dataclass
class DiskProgress:
    index: int
    volume: str
    total: int
    phase: str = "waiting"
    done: int = 0
    sent: int = 0
    seconds: float = 0.0
    root_source: str = ""
    root_target: str = ""
    read: int = 0
    sample: vmdk_sample.Sample | None = None
    damage: str = ""
    """Why what came back could not be read at all."""


@dataclass
class _Result:
    manifests: dict[int, Manifest] = field(default_factory=dict)


class Runner:
    """Carries one pass out. `run` is the body of the job; it returns the result that the record keeps."""

    def __init__(
        self,
        work: Pass,
        connect: Callable[[], Target],
        record: Record,
        *,
        opener: Callable[[str], Source] = open_source,
        pause: Callable[[float], None] | None = None,
        tick_s: float = 0.5,
    ) -> None:
        self.work = work
        self.record = record
        self.cancel = threading.Event()
        self.stopped = threading.Event()
        self._connect = connect
        self._open = opener
        self._pause = pause or self._wait
        self._tick_s = tick_s
        self._guard = threading.Lock()
        self._status: dict[str, Any] = record.read()
        self._progress = [DiskProgress(d.index, d.volume, d.size) for d in work.disks]
        self._slots = Slots(record.root / "slots", work.parallel)
        self._limiter = SharedLimiter(record.root / "bandwidth", work.bandwidth)
        self._lease: ImportLease | ExportLease | None = None
        self._rate: list[tuple[float, int]] = []
        self._attempt = 1
        self._failures = 0
        self._upload = work.upload
        self._made: dict[int, tuple[int, PassResult | None]] = {}
        """By disk, the exact length of its stream, and what making it gave where it is in a spool file."""

    def stop(self) -> None:
        """End the pass soon: the lease is given back, the record says so. For a signal handler."""
        self.stopped.set()
        self.cancel.set()

    def run(self) -> dict[str, Any]:
        """The whole pass. Raises CloudExitError; the partial machine is gone then, except after a failed proof."""
        self._say("connecting")
        for spool in self.record.path.glob("disk-*.part"):  # of a job that was killed
            spool.unlink(missing_ok=True)
        with self._reporting():
            try:
                with self._connected() as target:
                    machine = self._settled(target)
                    if machine is not None and machine.state in (VERIFIED, STARTED):
                        result = self._found(machine)
                    else:
                        result = self._move(target, machine)
            finally:
                for index in list(self._made):
                    self._unspool(index)
            self._say("done", result=result, ended=now())
        return result

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Target]:
        """A session with the target; what a dead job had open is ended first, and the record can tell the next one."""
        stale = str(self._status.get("lease", "") or "")
        with contextlib.closing(self._connect()) as target:
            if stale:
                target.abort_stale(stale)
            self._say("looking", lease=target.trace)
            try:
                yield target
            finally:
                target.close()
                self._say(str(self._status["phase"]), lease="")

    # -- what is there already

    def _settled(self, target: Target) -> Machine | None:
        """The machine that this pass can go on with, or None with the way clear.

        Imported or verified by this very pass; or, where there is nothing to copy, one that is proven.
        """
        machine = target.find()
        if machine is None:
            return None
        if not target.owns(machine):
            raise Conflict(
                f"The machine {machine.ref} at the target has the instance id of this workload, but not its marks",
                hint="Nothing was changed. Find out whose it is; rename or remove it, or correct the plan.",
            )
        if not self.work.disks and machine.state in (VERIFIED, STARTED):
            return machine
        same = machine.marks.get("pass") == self.work.id
        if not machine.running and same and machine.state in (VERIFIED, IMPORTED) and self.work.disks:
            return machine
        if machine.state == STARTED or machine.running:
            raise Conflict(
                f"The machine {machine.ref} of this workload is {'running' if machine.running else 'in use'}",
                cause=f"its mark says {machine.state or 'nothing'}; it is not replaced by a new copy",
                hint="Use the rollback playbook first if the source is to be copied again.",
            )
        if machine.state == ROLLED_BACK and not self.work.replace_rolled_back:
            raise Conflict(
                f"The machine {machine.ref} of this workload was kept by a rollback",
                hint="Remove it, or set migrate_replace_rolled_back to true to have it replaced by a new copy.",
            )
        if machine.state not in (IMPORTING, IMPORTED, VERIFIED, ROLLED_BACK):
            raise Conflict(
                f"The machine {machine.ref} of this workload has the unknown state {machine.state!r}",
                hint="Nothing was changed. Look at its cloudexit.* settings, or remove it.",
            )
        if not self.work.disks:
            raise Conflict(
                f"The machine {machine.ref} of this workload is {machine.state or 'not marked'}, not verified",
                hint="Run the playbook again.",
                retryable=True,
            )
        self._say("removing what an earlier run left")
        target.destroy(machine)
        return None

    def _found(self, machine: Machine) -> dict[str, Any]:
        """The result of a pass that an earlier run completed: from its record, else from the machine's marks."""
        kept = self._status.get("verified")
        if isinstance(kept, dict) and kept.get("vm_ref") == machine.ref:
            return {**kept, "changed": False}
        nothing = {"sent": 0, "read": 0, "seconds": 0.0, "rate": 0}
        return self._result(machine.ref, [{**disk, **nothing} for disk in proof_of(machine)], changed=False)

    # -- the pass

    def _move(self, target: Target, machine: Machine | None) -> dict[str, Any]:
        began = time.monotonic()
        source: dict[int, str] = {}
        changed = machine is None
        ref = ""
        if machine is not None:
            roots = {d.index: machine.marks.get(f"manifest.{d.index}", "") for d in self.work.disks}
            ref, source = machine.ref, roots
            different = [] if not all(roots.values()) else self._again(lambda: self._read_back(target, ref, source))
            if different or not all(roots.values()):
                self._say("removing what an earlier run left")
                target.destroy(machine)
                machine, changed = None, True
        if machine is None:
            ref, source = self._again(lambda: self._copy(target))
            different = self._again(lambda: self._read_back(target, ref, source))
            if different:
                raise CloudExitError(
                    f"What was read back of {self.work.workload} is not what was sent",
                    cause="; ".join(different),
                    hint="The machine stays powered off and is not used. Run again to have it copied anew.",
                )
        self._say("marking")
        samples = {f"sample.{p.index}": f"{p.sample.read}/{p.sample.chunks}" for p in self._progress if p.sample}
        target.mark(ref, {"state": VERIFIED, **samples})
        result = self._result(ref, [self._disk_result(d) for d in self._progress], changed=changed)
        result["seconds"] = round(time.monotonic() - began, 3)
        self._say("marking", verified=result)
        return result

    def _again(self, act: Callable[[], Any]) -> Any:
        """Try `act` up to three times, with a growing pause, as long as its error is one that may pass."""
        attempt = 0
        while True:
            attempt += 1
            self._attempt = attempt
            self.cancel.clear()
            if self.stopped.is_set():
                raise stopped()
            try:
                return act()
            except CloudExitError as error:
                if self.stopped.is_set():
                    raise stopped() from error
                self.record.log(f"attempt {attempt}: {error}")
                if not error.retryable or attempt >= TRIES:
                    raise
                self._failures += 1
                self._say(f"waiting to try again ({attempt} of {TRIES} tries failed)", last_error=str(error))
                self._pause(2.0 ** (2 * attempt - 1))

    def _copy(self, target: Target) -> tuple[str, dict[int, str]]:
        """All disks through one new lease; returns the machine and the roots of what was read."""
        self._say("waiting for a place on the reader host")
        with self._slots.hold(self.stopped.is_set):
            if self.stopped.is_set():
                raise stopped()
            self._clear()
            lengths = self._prepared() if target.sized else None
            self._say("opening the import")
            lease = target.open_import(self._first_marks(), lengths)
            self._lease = lease
            self._say("copying", lease=lease.ref)
            try:
                self._each(lambda disk, progress: self._send(lease, disk, progress))
                self._say("completing")
                ref = lease.complete()
            except BaseException as error:
                self._lease = None
                with contextlib.suppress(CloudExitError):
                    lease.abort(str(error)[:200])
                self._say("gave the import back", lease=target.trace)
                raise
            self._lease = None
        roots = {p.index: p.root_source for p in self._progress}
        target.mark(ref, {"state": IMPORTED, **{f"manifest.{i}": root for i, root in roots.items()}})
        self._say("imported", lease=target.trace)
        return ref, roots

    def _prepared(self) -> dict[int, int]:
        """The exact length of every disk's stream. What an earlier attempt made is used again."""
        if self._upload == "chunked":
            raise LengthRequired(
                "This target takes no chunked upload",
                cause="it wants the exact length of every disk before the first byte",
                hint="Set upload to auto, spooled or measured.",
            )
        if self._upload == "auto":
            needed = sum(disk.size for disk in self.work.disks)
            free = shutil.disk_usage(self.record.path).free
            self._upload = "spooled" if free > needed + SPOOL_SPARE else "measured"
            self.record.log(f"upload: {self._upload}, since {free} bytes are free and up to {needed} would be spooled")
        self._say(f"copying: {'compressing' if self._upload == 'spooled' else 'measuring'} first")
        self._each(self._prepare)
        self._clear()
        return {index: length for index, (length, _outcome) in self._made.items()}

    def _prepare(self, disk: PassDisk, progress: DiskProgress) -> None:
        if disk.index in self._made:
            return
        with contextlib.closing(self._open(disk.path)) as source:
            self._same_size(disk, source)
            if self._upload == "spooled":
                outcome = self._spool(source, progress)
                self._made[disk.index] = (self._spool_file(disk.index).stat().st_size, outcome)
            else:
                progress.phase = "measuring"
                measured = measure_vmdk(source, self._note(progress), cancel=self.cancel)
                self._made[disk.index] = (measured.bytes_sent, None)

    def _same_size(self, disk: PassDisk, source: Source) -> None:
        if source.size != disk.size:
            raise Conflict(
                f"Disk {disk.index + 1} of {self.work.workload} has another size than its clone",
                cause=f"{disk.path} has {source.size} bytes, the volume {disk.size}",
            )

    def _first_marks(self) -> dict[str, str]:
        marks = {"state": IMPORTING, "pass": self.work.id, "frozen_at": self.work.frozen_at}
        for disk in self.work.disks:
            marks[f"volume.{disk.index}"] = disk.volume
            marks[f"bytes.{disk.index}"] = str(disk.size)
            if disk.manifest_before:
                marks[f"before.{disk.index}"] = disk.manifest_before
        return {key: value for key, value in marks.items() if value}

    def _send(self, lease: ImportLease, disk: PassDisk, progress: DiskProgress) -> None:
        began = time.monotonic()
        progress.phase = "copying"
        with contextlib.closing(self._open(disk.path)) as source:
            self._same_size(disk, source)
            if self._upload in ("auto", "chunked"):
                try:
                    outcome = self._send_chunked(lease, source, progress)
                except LengthRequired:
                    if self._upload == "chunked":
                        raise
                    self._upload = "spooled"
                    outcome = self._send_spooled(lease, source, progress)
            elif self._upload == "spooled":
                outcome = self._send_spooled(lease, source, progress)
            else:
                outcome = self._send_measured(lease, source, progress)
        progress.root_source = outcome.manifest.root
        progress.sent, progress.read = outcome.bytes_sent, outcome.bytes_read
        progress.seconds = time.monotonic() - began
        progress.phase = "copied"
        outcome.manifest.dump(self.manifest_path("source", disk.index))

    def _send_chunked(self, lease: ImportLease, source: Source, progress: DiskProgress) -> PassResult:
        outcome: list[PassResult] = []

        def produce(write: Callable[[bytes], object]) -> None:
            outcome.append(self._stream(source, write, progress, self._limiter))

        lease.send(progress.index, produce, None)
        return outcome[-1]

    def _send_spooled(self, lease: ImportLease, source: Source, progress: DiskProgress) -> PassResult:
        """The compressed stream goes to a file first: for a target that wants the length before the bytes."""
        made = self._made.get(progress.index)
        if made is not None and made[1] is not None:
            self._send_spool(lease, progress)
            return made[1]
        try:
            outcome = self._spool(source, progress)
            self._send_spool(lease, progress)
            return outcome
        finally:
            self._unspool(progress.index)

    def _spool_file(self, index: int) -> Path:
        return self.record.path / f"disk-{index}.part"

    def _spool(self, source: Source, progress: DiskProgress) -> PassResult:
        progress.phase = "compressing to a file"
        try:
            with open(self._spool_file(progress.index), "wb") as stream:
                return self._stream(source, stream.write, progress, None)
        except OSError as exc:
            self._unspool(progress.index)
            raise CloudExitError(
                f"The spool file {self._spool_file(progress.index)} could not be written",
                cause=exc.strerror or str(exc),
                hint="Give state_dir more space, or set upload to measured (reads each disk twice).",
            ) from exc
        except BaseException:
            self._unspool(progress.index)
            raise

    def _send_spool(self, lease: ImportLease, progress: DiskProgress) -> None:
        spool = self._spool_file(progress.index)
        progress.phase = "copying"
        length = spool.stat().st_size

        def produce(write: Callable[[bytes], object]) -> None:
            sent = 0
            with open(spool, "rb") as stream:
                while piece := stream.read(1 << 20):
                    self._limiter.take(len(piece), self.cancel)
                    self._check()
                    write(piece)
                    sent += len(piece)
                    progress.done = progress.total * sent // length

        lease.send(progress.index, produce, length)

    def _unspool(self, index: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._spool_file(index).unlink()

    def _send_measured(self, lease: ImportLease, source: Source, progress: DiskProgress) -> PassResult:
        made = self._made.get(progress.index)
        if made is None:
            progress.phase = "measuring"
            length = measure_vmdk(source, self._note(progress), cancel=self.cancel).bytes_sent
        else:
            length = made[0]
        progress.phase = "copying"
        outcome: list[PassResult] = []

        def produce(write: Callable[[bytes], object]) -> None:
            outcome.append(
                stream_vmdk(
                    source,
                    write,
                    self._note(progress),
                    self._limiter,
                    cancel=self.cancel,
                    compressor="deterministic",
                    expected_length=length,
                )
            )

        lease.send(progress.index, produce, length)
        return outcome[-1]

    def _stream(
        self, source: Source, write: Callable[[bytes], object], progress: DiskProgress, limiter: Limiter | None
    ) -> PassResult:
        return stream_vmdk(source, write, self._note(progress), limiter, cancel=self.cancel)

    # -- the proof

    def _read_back(self, target: Target, ref: str, roots: Mapping[int, str]) -> list[str]:
        """Read every disk from the target and compare; returns a sentence for each that differs.

        A stream that is damaged is read again. What is damaged each time is not what was sent.
        """
        self._say("waiting for a place on the reader host")
        with self._slots.hold(self.stopped.is_set):
            if self.stopped.is_set():
                raise stopped()
            self._clear()
            lease = target.open_export(ref)
            self._lease = lease
            self._say("reading back")
            try:
                self._each(lambda disk, progress: self._fetch(lease, disk, progress, roots))
                self._lease = None
                lease.complete()
            except BaseException as error:
                self._lease = None
                with contextlib.suppress(CloudExitError):
                    lease.abort(str(error)[:200])
                raise
        for progress in self._progress:
            progress.root_source = roots[progress.index]
        return [self._difference(progress) for progress in self._progress if not self._agrees(progress)]

    @staticmethod
    def _agrees(progress: DiskProgress) -> bool:
        if progress.damage:
            return False
        if progress.sample is not None:
            return not progress.sample.differing
        return progress.root_target == progress.root_source

    def _fetch(self, lease: ExportLease, disk: PassDisk, progress: DiskProgress, roots: Mapping[int, str]) -> None:
        progress.damage = ""
        try:
            self._read_disk(lease, disk, progress, roots)
        except vmdk_decode.DamagedStream as error:
            if self._attempt < TRIES:
                error.retryable = True
                raise
            progress.phase, progress.damage = "read back, damaged", error.cause

    def _read_disk(self, lease: ExportLease, disk: PassDisk, progress: DiskProgress, roots: Mapping[int, str]) -> None:
        progress.phase = "reading back"
        self.manifest_path("target", disk.index).unlink(missing_ok=True)
        progress.sample = self._sampled(lease, progress, roots[disk.index]) if disk.sampled else None
        if progress.sample is not None:
            progress.phase = "read back, a sample"
            return
        algorithm = roots[disk.index].partition(":")[0]
        note = self._note(progress)
        with lease.fetch(disk.index) as stream:
            manifest = vmdk_decode.manifest_of(stream, note, cancel=self.cancel, algorithm=algorithm)
        progress.root_target = manifest.root
        progress.phase = "read back"
        manifest.dump(self.manifest_path("target", disk.index))

    def _sampled(self, lease: ExportLease, progress: DiskProgress, root: str) -> vmdk_sample.Sample | None:
        """Compare a sample of a disk with what was sent; None where all of it has to be read."""
        try:
            sent = Manifest.load(self.manifest_path("source", progress.index))
        except CloudExitError:
            sent = None  # another reader host sent it
        if sent is None or sent.root != root:
            why = "the manifest of what was sent is not on this host"
        else:
            source = lease.ranged(progress.index)

            def note(done: int, chunks: int) -> None:
                progress.done = progress.total * done // chunks
                self._check()

            sample = vmdk_sample.compare(source, sent, note, self.cancel) if source is not None else None
            if sample is not None:
                return sample
            why = "the target does not give it in places, or it is small"
        self.record.log(f"disk {progress.index + 1} is read back as a whole: {why}")
        return None

    def _difference(self, progress: DiskProgress) -> str:
        text = f"disk {progress.index + 1} (volume {progress.volume})"
        if progress.damage:
            return f"{text}: what came back is no sound VMDK ({progress.damage})"
        if progress.sample is not None:
            first = ", ".join(str(chunk) for chunk in progress.sample.differing[:SHOW_CHUNKS])
            count = f"{len(progress.sample.differing)} of the {progress.sample.read} chunks that were looked at"
            return f"{text}: {count} differ, the first are {first}"
        try:
            sent = Manifest.load(self.manifest_path("source", progress.index))
            came = Manifest.load(self.manifest_path("target", progress.index))
        except (CloudExitError, OSError):
            return f"{text}: {progress.root_source} was sent, {progress.root_target} came back"
        if sent.root != progress.root_source:
            return f"{text}: {progress.root_source} was sent, {progress.root_target} came back"
        if sent.size != came.size:
            return f"{text}: {sent.size} bytes were sent, {came.size} came back"
        chunks = sent.diff(came)
        first = ", ".join(str(chunk) for chunk in chunks[:SHOW_CHUNKS])
        return f"{text}: {len(chunks)} of {sent.chunks} chunks of 64 KiB differ, the first are {first}"

    # -- threads, progress

    def _each(self, act: Callable[[PassDisk, DiskProgress], None]) -> None:
        """Run `act` for every disk: one at a time on the slot that is held, more where there are more slots."""
        pending = list(zip(self.work.disks, self._progress, strict=True))
        errors: list[BaseException] = []

        def take() -> tuple[PassDisk, DiskProgress] | None:
            with self._guard:
                return None if errors or not pending else pending.pop(0)

        def work() -> None:
            while (job := take()) is not None:
                try:
                    act(*job)
                except BaseException as error:
                    with self._guard:
                        errors.append(error)
                    self.cancel.set()

        def extra() -> None:
            with self._slots.hold(lambda: not pending or bool(errors) or self.cancel.is_set()) as held:
                if held:
                    work()

        helpers = min(len(pending), self.work.parallel) - 1
        threads = [threading.Thread(target=extra, name=f"disk-{n}", daemon=True) for n in range(helpers)]
        for thread in threads:
            thread.start()
        work()
        for thread in threads:
            thread.join()
        if errors:
            raise next((e for e in errors if not isinstance(e, Cancelled)), errors[0])

    def _note(self, progress: DiskProgress) -> Callable[[int, int], None]:
        def note(done: int, total: int) -> None:
            progress.done = min(progress.total, done)
            self._check()

        return note

    def _check(self) -> None:
        if self.cancel.is_set():
            raise Cancelled("The pass was stopped")

    def _clear(self) -> None:
        for progress in self._progress:
            progress.done, progress.phase = 0, "waiting"
        self._rate = []

    def _wait(self, seconds: float) -> None:
        self.stopped.wait(seconds)

    def _say(self, phase: str, **more: Any) -> None:
        with self._guard:
            self._status.update(phase=phase, **more)
            if phase.startswith(("copying", "reading back", "waiting", "removing")):
                self._status["stage"] = phase  # what is worth telling: the others pass in a moment
            self._write(durable=phase == "done" or "lease" in more or "verified" in more)

    def _write(self, *, durable: bool = False) -> None:
        done = sum(p.done for p in self._progress)
        moment = time.monotonic()
        self._rate = [*self._rate[-40:], (moment, done)]
        first = self._rate[0]
        # over less than a second it says nothing: a hole is passed in no time
        rate = max(0.0, (done - first[1]) / (moment - first[0])) if moment > first[0] + 1 else 0.0
        total = sum(p.total for p in self._progress)
        self._status.update(
            attempt=self._attempt,
            upload=self._upload,
            done=done,
            total=total,
            rate=int(rate),
            eta_s=int((total - done) / rate) if rate > 0 else None,
            disks=[
                {"index": p.index, "volume": p.volume, "total": p.total, "done": p.done, "phase": p.phase}
                for p in self._progress
            ],
        )
        self.record.write(self._status, durable=durable)

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        """A thread that writes the progress to the record, and tells it to the lease, while a pass runs."""
        over = threading.Event()

        def report() -> None:
            while not over.wait(self._tick_s):
                with self._guard:
                    if self._status.get("phase") != "done":
                        self._write()
                    lease, done, total = self._lease, self._status.get("done", 0), self._status.get("total", 0)
                if lease is not None and total:
                    lease.progress(min(99, 100 * done // total))

        thread = threading.Thread(target=report, name="report", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    # -- results

    def manifest_path(self, side: str, index: int) -> Path:
        """Where the record keeps the manifest of a disk; side: `source` or `target`."""
        return self.record.path / f"{side}-{index}.manifest"

    def _disk_result(self, progress: DiskProgress) -> dict[str, Any]:
        before = {d.index: d.manifest_before for d in self.work.disks}
        return {
            "index": progress.index,
            "volume": progress.volume,
            "bytes": progress.total,
            "manifest_before": before.get(progress.index, "") or progress.root_source,
            **_proof(
                progress.root_source,
                progress.root_target,
                (progress.sample.read, progress.sample.chunks) if progress.sample else None,
            ),
            "sent": progress.sent,
            "read": progress.read,
            "seconds": round(progress.seconds, 3),
            "rate": int(progress.total / progress.seconds) if progress.seconds else 0,
        }

    def _result(self, ref: str, disks: list[dict[str, Any]], *, changed: bool) -> dict[str, Any]:
        return {
            "changed": changed,
            "vm_ref": ref,
            "disks": disks,
            "bytes": sum(int(d["bytes"]) for d in disks),
            "sent": sum(int(d["sent"]) for d in disks),
            "attempts": 1 + self._failures,
            "upload": self._upload,
        }


def _proof(source: str, target: str, sample: tuple[int, int] | None) -> dict[str, Any]:
    """What is known of a disk. A sample proves no equality: it says how many of the chunks with data were compared, and
    with which probability that finds one that is damaged, or damage of one in 1000 of them.
    """
    if sample is None:
        return {"manifest_source": source, "manifest_target": target, "equal": source == target, "proof": "full"}
    read, chunks = sample
    found = {"read": read, "chunks": chunks, "finds_one": round(read / chunks, 6)}
    found["finds_one_in_1000"] = round(1 - 0.999**read, 6)
    return {"manifest_source": source, "manifest_target": "", "equal": False, "proof": "sampled", "sample": found}


def proof_of(machine: Machine) -> list[dict[str, Any]]:
    """The proof that a verified machine carries: per disk what was sent and came back."""
    marks = machine.marks
    roots = {int(key[9:]): root for key, root in marks.items() if key.startswith("manifest.") and key[9:].isdigit()}
    disks = []
    for number, root in sorted(roots.items()):
        read, dummy, chunks = marks.get(f"sample.{number}", "").partition("/")
        sample = (int(read), int(chunks)) if read.isdigit() and chunks.isdigit() and int(chunks) else None
        disks.append(
            {
                "index": number,
                "volume": marks.get(f"volume.{number}", ""),
                "bytes": int(marks.get(f"bytes.{number}", "0") or 0),
                "manifest_before": marks.get(f"before.{number}", "") or root,
                **_proof(root, root, sample),
            }
        )
    return disks


def stored_manifests(record: Record) -> list[tuple[str, int]]:
    """The manifests that a record holds: (file name, bytes)."""
    names = sorted(name for name in os.listdir(record.path) if name.endswith(".manifest"))
    return [(name, (record.path / name).stat().st_size) for name in names]


def stopped() -> CloudExitError:
    return CloudExitError(
        "The pass was stopped",
        cause="the job on the reader host was asked to end",
        hint="Run the playbook again.",
        retryable=True,
    )
