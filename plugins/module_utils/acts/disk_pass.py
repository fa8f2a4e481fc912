# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the job that carries a workload's pass out on the reader host, or join the one that is there."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import (
    devices,
    job,
    transfer,
    vsphere,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    InvalidInput,
    Problem,
)

MIB = 1 << 20


@dataclass(frozen=True)
class Options:
    """How a pass is carried out.

    manifest_before, before_file: of the boot disk before its guest was adapted. expected: roots by volume, of disks
    that are read to be compared. purpose: `pass` to the plan's target, `escrow` or `verify`; each has a job of its own.
    """

    purpose: str = "pass"
    expected: Mapping[str, str] = field(default_factory=dict)
    state_dir: str = job.DEFAULT_STATE_DIR
    upload: str = "auto"
    replace_rolled_back: bool = False
    manifest_before: str = ""
    before_file: str = ""
    device_timeout_s: float = 60.0


def start(
    workload: Workload,
    clones: Sequence[Mapping[str, Any]],
    opened: Callable[[str], transfer.Target],
    options: Options,
    *,
    wait_s: float,
    runner: type[transfer.Runner] = transfer.Runner,
) -> tuple[job.Record, dict[str, Any], bool]:
    """The record of the job, its status after at most `wait_s` seconds, and whether it was started now.

    opened: connects with the target, given a directory for its scratch files; what it needs is imported already.
    runner: what carries it out.
    Without clones, the job only looks for a machine that is verified already and returns its proof. A job of other
    clones is ended first (it gives its lease back). Raises what forbids a start; then no job was started.
    """
    record = job.Record(options.state_dir, record_id(workload.tenant, workload.server_id, options.purpose))
    identity = pass_id(workload, clones)
    lock = record.claim()
    if lock is None:
        if not clones or record.read().get("pass") == identity:
            return record, record.wait(wait_s), False
        record.stop()
        lock = record.claim()
        if lock is None:
            raise CloudExitError(f"Another run has just started the pass of {workload.host}", retryable=True)
    try:
        work = prepare(workload, clones, identity, options)
        job.sweep(options.state_dir)
        kept = {key: value for key, value in record.read().items() if key in ("lease", "verified")}
        if options.before_file and os.path.isfile(options.before_file):
            shutil.copyfile(options.before_file, record.path / f"before-{vsphere.boot_index(workload)}.manifest")
    except BaseException:
        os.close(lock)
        raise
    status = {**kept, "workload": workload.host, "pass": identity, "began": job.now()}

    def body(record: job.Record) -> None:
        running = runner(work, lambda: opened(str(record.path)), record)
        signal.signal(signal.SIGTERM, lambda signum, frame: running.stop())
        running.run()

    job.spawn(record, lock, body, status)
    return record, record.wait(wait_s), True


def prepare(workload: Workload, clones: Sequence[Mapping[str, Any]], identity: str, options: Options) -> transfer.Pass:
    """The pass: each clone's device found and measured. Raises InvalidInput, NotFound, Conflict."""
    if clones and [str(clone.get("volume")) for clone in clones] != [disk.volume for disk in workload.data.disks]:
        raise InvalidInput(
            f"The disks of {workload.host} cannot be copied",
            [Problem("clones", "they are not the clones of the workload's disks, in the plan's order")],
            hint="Give the option clones what disk_clone returned as clones.",
        )
    disks = []
    for number, clone in enumerate(clones):
        what = f"clone {clone['clone']} of disk {number + 1} of {workload.host}"
        device = devices.await_device(
            [str(serial) for serial in clone["serials"]],
            int(clone["size"]),
            what,
            timeout_s=options.device_timeout_s,
        )
        volume = str(clone["volume"])
        adapted = options.manifest_before if workload.data.disks[number].boot else ""
        before = options.expected.get(volume, adapted)
        disks.append(
            transfer.PassDisk(
                number,
                volume,
                str(device),
                int(clone["size"]),
                manifest_before=before,
                sampled=workload.data.disks[number].verify == "sampled",
            )
        )
    return transfer.Pass(
        id=identity,
        workload=workload.host,
        disks=disks,
        frozen_at=min((str(clone.get("frozen_at", "")) for clone in clones), default=""),
        parallel=workload.data.limits.disks_per_reader,
        bandwidth=workload.data.limits.bandwidth_mib_s * MIB,
        upload=options.upload,
        replace_rolled_back=options.replace_rolled_back,
    )


def record_id(tenant: str, server_id: str, purpose: str = "pass") -> str:
    """The id of the job of a workload: the same on every run."""
    return job.job_id(tenant, server_id, *(() if purpose == "pass" else (purpose,)))


def pass_id(workload: Workload, clones: Sequence[Mapping[str, Any]]) -> str:
    """The same for the same clones of the same workload."""
    return job.job_id(workload.tenant, workload.server_id, *(str(clone["clone"]) for clone in clones))
