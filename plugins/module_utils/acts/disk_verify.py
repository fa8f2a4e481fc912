# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a source once more, weeks after its move: read from fresh clones, hashed, compared with their proof."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import transfer
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.job import now
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pipeline import hash_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    Conflict,
    InvalidInput,
    Problem,
)


class Reading(transfer.Runner):
    """A job that hashes all disks and sends nothing."""

    def run(self) -> dict[str, Any]:
        """{changed: false, disks: [{index, volume, bytes, manifest}], bytes}.

        Raises Conflict, naming every disk that is not what moved.
        """
        self._say("waiting for a place on the reader host")
        with self._reporting(), self._slots.hold(self.stopped.is_set):
            if self.stopped.is_set():
                raise transfer.stopped()
            self._say("reading")
            self._each(self._hash)
        different = [
            f"volume {disk.volume}: {disk.manifest_before or 'nothing'} moved, {progress.root_source} is there now"
            for disk, progress in zip(self.work.disks, self._progress, strict=True)
            if disk.manifest_before != progress.root_source
        ]
        if different:
            raise Conflict(
                f"The source of {self.work.workload} is not what moved",
                cause="; ".join(different),
                hint="Somebody wrote to it after its move. Do not delete it: find out what, and move it again.",
            )
        disks = [
            {"index": p.index, "volume": p.volume, "bytes": p.total, "manifest": p.root_source} for p in self._progress
        ]
        result = {"changed": False, "disks": disks, "bytes": sum(p.total for p in self._progress)}
        self._say("done", result=result, ended=now())
        return result

    def _hash(self, disk: transfer.PassDisk, progress: transfer.DiskProgress) -> None:
        progress.phase = "reading"
        with contextlib.closing(self._open(disk.path)) as source:
            self._same_size(disk, source)
            algorithm = disk.manifest_before.partition(":")[0] or None
            manifest = hash_source(source, self._note(progress), self._limiter, cancel=self.cancel, algorithm=algorithm)
        progress.root_source = manifest.root
        progress.phase = "read"
        manifest.dump(self.manifest_path("source", disk.index))


def expected(disks: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Of the disks that `disk_pass` returned: volume → root of the manifest of the source's own bytes.

    Raises InvalidInput for what it did not return.
    """
    problems = [
        Problem(f"proven[{number}].{key}", "is missing: give what disk_pass returned as disks")
        for number, disk in enumerate(disks)
        for key in ("volume", "manifest_before")
        if not disk.get(key)
    ]
    if problems:
        raise InvalidInput("The proof of the pass is not complete", problems)
    return {str(disk["volume"]): str(disk["manifest_before"]) for disk in disks}
