# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frozen clones of a workload on its reader host: what the plan wants of the acts on disks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Refused
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import disks, server
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud


def owner_of(workload: Workload) -> disks.Owner:
    """Whose the snapshots and clones are."""
    return disks.Owner(workload.tenant, workload.server_id, plan=workload.plan_digest)


def disks_of(workload: Workload) -> list[disks.Disk]:
    """The disks of the plan."""
    return [disks.Disk(n, disk.volume, disk.size_gib, disk.boot) for n, disk in enumerate(workload.data.disks)]


def make(
    workload: Workload,
    cloud: Cloud,
    *,
    renew: Sequence[str] = (),
    deadline_s: float = 1800.0,
    max_attachments: int = 20,
    dry_run: bool = False,
    on_wait: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """One clone of every disk, attached to the reader. Returns `changed`, `steps` and `clones` (empty in a dry run).

    Raises Refused where the source is not off: its disks would change while they are read.
    """
    source = server.read(cloud, workload.server_id)
    bench = disks.Bench(
        cloud,
        owner_of(workload),
        reader=workload.reader.server_id,
        reader_name=workload.reader.name,
        deadline_s=deadline_s,
        max_attachments=max_attachments,
        on_wait=on_wait,
    )
    if dry_run:
        steps = bench.plan(disks_of(workload), None, renew)
        return {"changed": bool(steps), "steps": steps, "clones": []}
    if not source.off:
        raise Refused(
            f"The disks of {source.label} are not cloned",
            cause=f"it is {source.status}{f' ({source.task})' if source.task else ''}; a cold copy wants it off",
            hint="Stop it first (module source_server).",
        )
    bench.check_reader()
    since = server.last_power_change(cloud, workload.server_id)
    clones = bench.present(disks_of(workload), since, renew)
    if workload.adapts:
        for clone in clones:
            if clone.boot and clone.fresh:
                bench.hand(clone.clone)
                bench.events.append(f"hand out clone {clone.clone}")
    return {"changed": bool(bench.events), "steps": bench.events, "clones": [asdict(clone) for clone in clones]}


def remove(workload: Workload, cloud: Cloud, *, deadline_s: float = 1800.0, dry_run: bool = False) -> dict[str, Any]:
    """Nothing of ours is left in the source cloud but the fence. Returns `changed`, `steps` and `clones` (empty)."""
    bench = disks.Bench(cloud, owner_of(workload), deadline_s=deadline_s)
    if dry_run:
        steps = bench.plan([])
        return {"changed": bool(steps), "steps": steps, "clones": []}
    bench.absent()
    return {"changed": bool(bench.events), "steps": bench.events, "clones": []}
