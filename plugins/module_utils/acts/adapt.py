# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adapt the guest on a boot clone, so that it ends the same however often it is started and wherever it is killed.

    <record>/adapt.json     what was reached: "hashed", "started", "done"; replaced atomically
    <record>/before.manifest  the manifest of the clone before it was touched: the proof against the source
    <record>/originals/     the guest's files as they were before
    <record>/lock           held (flock) by the process that works on it

A clone on which adaptation was started and not finished is not repaired: it is made anew from its snapshot, which is
certain. `Dirty` says so.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import devices
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.job import DEFAULT_STATE_DIR, job_id
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import offline
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import AdaptPlan, AdaptResult
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    InvalidInput,
    Problem,
    Timeout,
)

HASHED = "hashed"
STARTED = "started"
DONE = "done"
KEEP_S = 30 * 24 * 3600.0
"""How long the record of an adaptation stays after its last change."""


class Dirty(Conflict):
    """The clone may be half adapted; it must be made anew from its snapshot."""


@dataclass(frozen=True)
class Work:
    """One adaptation: the disk, what is wanted, where the record is ("" for none), whether the disk is certainly as
    the snapshot was, and whether its manifest is taken first."""

    device: str
    plan: AdaptPlan
    identity: str
    record: str = ""
    fresh: bool = True
    hash_before: bool = False


@dataclass
class Adapted:
    """What an adaptation came to. manifest_before: root of the manifest of the untouched disk; "" where it was
    not asked for or nothing was to be changed."""

    result: AdaptResult
    manifest_before: str = ""
    manifest_file: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The module's result."""
        return {
            **self.result.to_dict(),
            "manifest_before": self.manifest_before,
            "manifest_file": self.manifest_file,
        }


def of_workload(
    variable: Mapping[str, Any],
    clones: Sequence[Mapping[str, Any]],
    *,
    state_dir: str = DEFAULT_STATE_DIR,
    wait_s: float = 60.0,
    hash_before: bool = True,
    options: Mapping[str, Any] | None = None,
) -> Work | None:
    """The work on a workload's boot clone, or None where the plan leaves the guest as it is.

    variable: the host variable `cloudexit`. clones: what disk_clone returned. options: more keys for AdaptPlan. Waits
    up to wait_s seconds for the clones' devices. Raises InvalidInput, NotFound, Conflict.
    """
    workload = Workload.of(variable)
    if not workload.adapts:
        return None
    boots = [clone for clone in clones if clone.get("boot")]
    if len(boots) != 1:
        raise InvalidInput(
            f"The guest of {workload.host} cannot be adapted",
            [Problem("clones", f"{len(boots)} of them are marked as the boot disk, expected one")],
            hint="Give the option clones what disk_clone returned as clones.",
        )
    boot = boots[0]
    data = [clone for clone in clones if clone is not boot]
    device = str(_device(boot, wait_s))
    plan = AdaptPlan.from_dict(
        {
            **(options or {}),
            "hardware": {
                "controllers": [
                    disk.controller for disk in sorted(workload.data.disks, key=lambda disk: not disk.boot)
                ],
                "nics": [nic.type for nic in workload.data.nics],
                "firmware": workload.data.firmware,
            },
            "nics": [
                {"mac": nic.mac, "keep_mac": nic.keep_mac, "addresses": list(nic.addresses)}
                for nic in workload.data.nics
            ],
            "boot_disk_serial": str(boot["volume"])[:20],
            "data_disks": [
                {"device": str(_device(clone, wait_s)), "serial": str(clone["volume"])[:20]} for clone in data
            ],
        }
    )
    record = Path(state_dir, "guests", job_id(workload.tenant, workload.server_id, str(boot["clone"])))
    return Work(
        device=device,
        plan=plan,
        identity=str(boot["clone"]),
        record=str(record),
        fresh=bool(boot.get("fresh", True)),
        hash_before=hash_before,
    )


def run(work: Work, *, check: bool = False, timeout_s: float = 900.0, lock_s: float = 1800.0) -> Adapted:
    """Do the work, or tell what an earlier run did.

    check: only examine; nothing is hashed and no record is made. timeout_s: seconds for one initramfs. lock_s: how long
    to wait for another process that works on the same disk.
    Raises Dirty where the clone must be made anew, Refused before anything was written, and what adapt raises.
    """
    if work.plan.mode == "none":
        return Adapted(AdaptResult())
    if not work.record:
        return _adapt(work, None, check, timeout_s)
    record = _Record(work)
    if check:
        return record.ended() or _adapt(work, None, check, timeout_s)
    with record.locked(lock_s):
        _prune(Path(work.record).parent, time.time())
        return record.ended() or _adapt(work, record, check, timeout_s)


# inside


def _adapt(work: Work, record: _Record | None, check: bool, timeout_s: float) -> Adapted:
    if record is not None:
        record.admit()
    # What before_write reached: the manifest of the untouched disk, once it has one.
    manifests: list[str] = []

    def before_write() -> None:
        root = ""
        if record is not None:
            root = record.hashed()
            record.write(STARTED, manifest_before=root)
        manifests.append(root)

    try:
        result = offline.adapt(
            work.device,
            work.plan,
            check=check,
            keep=str(record.originals) if record else None,
            before_write=before_write,
            timeout=timeout_s,
        )
    except CloudExitError as error:
        if manifests:
            raise Dirty(
                f"The adaptation of {work.device} failed half way",
                cause=str(error),
                hint="The clone has to be made anew from its snapshot before the next try.",
            ) from error
        raise
    manifest = manifests[0] if manifests else ""
    adapted = Adapted(result, manifest, record.manifest_file if record and manifest else "")
    if record is not None:
        record.write(DONE, manifest_before=manifest, result=offline.encoded(result))
    return adapted


def _device(clone: Mapping[str, Any], wait_s: float) -> Path:
    what = f"the clone of volume {clone['volume']}"
    return devices.await_device(list(clone["serials"]), int(clone["size"]), what, timeout_s=wait_s)


class _Record:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.path = Path(work.record)
        self.file = self.path / "adapt.json"
        self.originals = self.path / "originals"
        self._manifest = self.path / "before.manifest"

    @property
    def manifest_file(self) -> str:
        return str(self._manifest)

    @contextlib.contextmanager
    def locked(self, wait_s: float) -> Iterator[None]:
        """Raises Timeout where another process keeps working, CloudExitError where the directory cannot be made."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CloudExitError(
                f"The record {self.path} could not be made",
                cause=error.strerror or str(error),
                hint="Adapt as root, or choose another state_dir.",
            ) from error
        try:
            deadline = time.monotonic() + wait_s
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() >= deadline:
                        raise Timeout(
                            f"Another process is still adapting {self.work.device}",
                            cause=f"it holds {self.path}/lock for more than {wait_s:.0f} s",
                            hint="Wait for it, or look for it on the reader host with: fuser -v <lock>.",
                            retryable=True,
                        ) from error
                    time.sleep(0.2)
            yield
        finally:
            os.close(handle)

    def read(self) -> dict[str, Any]:
        """The record, {} where there is none."""
        try:
            value = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise Dirty(f"The record {self.file} cannot be read", cause=str(error), hint=_ANEW) from error
        return value if isinstance(value, dict) else {}

    def write(self, state: str, **more: Any) -> None:
        value = {"state": state, "disk": self.work.identity, "plan": self.work.plan.digest, **more}
        temporary = self.file.with_suffix(".new")
        with open(temporary, "w", encoding="utf-8", opener=_private) as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.file)
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def ended(self) -> Adapted | None:
        """What an earlier run did in full, with `changed` false; None where it did not get there."""
        value = self.read()
        if value.get("state") != DONE:
            return None
        if (value.get("disk"), value.get("plan")) != (self.work.identity, self.work.plan.digest):
            raise Dirty(
                f"{self.work.device} was adapted in another way before",
                cause="the plan has changed since, or it is another disk",
                hint=_ANEW,
            )
        result = offline.decoded(value["result"])
        result.changed = False
        return Adapted(result, value.get("manifest_before", ""), self.manifest_file if value["manifest_before"] else "")

    def admit(self) -> None:
        """Raises Dirty where the disk is not certainly as its snapshot was."""
        value = self.read()
        state = value.get("state")
        if state == STARTED or (state and value.get("disk") != self.work.identity):
            raise Dirty(
                f"{self.work.device} may be half adapted",
                cause="an earlier adaptation was started and not finished",
                hint=_ANEW,
            )
        if not state and not self.work.fresh:
            raise Dirty(
                f"{self.work.device} may be half adapted",
                cause=f"it was handed out before, and what was done with it is not recorded in {self.path}",
                hint=_ANEW,
            )

    def hashed(self) -> str:
        """The root of the untouched disk's manifest, taken now or by an earlier run; "" where none is asked for."""
        if not self.work.hash_before:
            return ""
        value = self.read()
        if value.get("state") == HASHED and self._manifest.is_file():
            return str(value["manifest_before"])
        from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pipeline import hash_source
        from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import open_source

        source = open_source(self.work.device, "raw")
        try:
            manifest = hash_source(source)
        finally:
            source.close()
        manifest.dump(self._manifest)
        self.write(HASHED, manifest_before=manifest.root)
        return manifest.root


_ANEW = "Make the clone anew from its snapshot (disk_clone with renew); the migrate role does so by itself."


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _prune(directory: Path, now: float) -> None:
    """Remove records that nobody has touched for KEEP_S."""
    for entry in directory.iterdir():
        file = entry / "adapt.json"
        with contextlib.suppress(OSError):
            if now - file.stat().st_mtime > KEEP_S:
                shutil.rmtree(entry)
