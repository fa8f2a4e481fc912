# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frozen copies of a server's disks on a reader host: snapshot, volume from it, attached; and all of it gone again.

One loop brings what is there to what is wanted: look at everything of ours with two list calls, take for each disk the
next step that its state allows, wait, look again. So a run that was killed anywhere is healed by the next one, and
creating, resuming and removing are the same code. The source's own volumes are only ever named as what a snapshot is
made of; every object that is detached or deleted carries our marks.

Facts from Cinder's API reference (volumes, snapshots; the `metadata` filter of snapshots from microversion 3.22) and
Nova's (servers with volume attachments).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    Conflict,
    NotFound,
    Refused,
    Timeout,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import server as servers
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.rest import call, pages
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.server import (
    backoff,
    out_of_date,
    parse_time,
)

SERVER_KEY = "cloudexit_server"
"""Metadata key of snapshots and clones: the source server's id, so one filtered list finds all of a workload."""
FROZEN_KEY = "cloudexit_frozen_at"
"""Metadata key of clones: when their snapshot was made."""
STATE_KEY = "cloudexit_state"
HANDED = "handed"
"""Value of STATE_KEY of a clone that was given to somebody who may write to it (guest adaptation)."""

GIB = 1 << 30
_ATTACH_TRIES = 3
_MAKE_TRIES = 3
_STEP_TRIES = 3
_SNAPSHOT_FILTER_SINCE = (3, 22)
_BUSY = frozenset(
    {"creating", "downloading", "deleting", "reserved", "attaching", "detaching", "maintenance", "backing-up"}
)
_RANK = {"in-use": 1, "attaching": 2, "reserved": 2, "available": 3, "detaching": 4, "creating": 5}

Step = tuple[str, Callable[[], None]]


@dataclass(frozen=True)
class Disk:
    """A disk to be frozen: its place in the workload, the source volume's id, its size, whether it is booted from."""

    index: int
    volume: str
    size_gib: int
    boot: bool = False


@dataclass(frozen=True)
class Owner:
    """Whose objects these are: tenant name and source server id; new ones also tell the plan digest and the run."""

    tenant: str
    server: str
    plan: str = ""
    run: str = ""

    def metadata(self, volume: str, role: str, **more: str) -> dict[str, str]:
        marks = Marks(self.tenant, volume, role=role, plan=self.plan, run=self.run)
        return {**marks.to_metadata(), SERVER_KEY: self.server, **more}

    def owns(self, metadata: Mapping[str, str], role: str) -> bool:
        marks = Marks.from_metadata(metadata)
        mine = marks is not None and marks.tenant == self.tenant and marks.role == role
        return mine and metadata.get(SERVER_KEY) == self.server


@dataclass(frozen=True)
class Snapshot:
    id: str
    volume: str
    status: str
    created: datetime | None


@dataclass(frozen=True)
class Volume:
    """A clone: `source` is the volume that it is a copy of, `at` the server that it is attached to ("" for none)."""

    id: str
    source: str
    snapshot: str
    status: str
    size_gib: int
    created: datetime | None
    frozen: datetime | None
    handed: bool
    at: str = ""
    device: str = ""


@dataclass(frozen=True)
class Clone:
    """A frozen copy, attached to the reader host.

    size: bytes. serials: what the reader may see as the disk's serial, best first. device: the name that Nova gave the
    attachment (a hint only). fresh: nobody was given it before, so it is certainly untouched. frozen_at: ISO 8601, UTC.
    """

    index: int
    volume: str
    snapshot: str
    clone: str
    size: int
    boot: bool
    serials: list[str]
    device: str
    fresh: bool
    frozen_at: str


@dataclass
class Found:
    """Everything of one workload's that is there now."""

    snapshots: list[Snapshot] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.snapshots or self.volumes)


@dataclass(frozen=True)
class VolumeFacts:
    """What decides whether a volume may be copied. size: GiB."""

    id: str
    size_gib: int
    status: str
    multiattach: bool
    encrypted: bool
    attached_to: tuple[str, ...]
    zone: str


def serials(volume_id: str) -> list[str]:
    """What the reader may see as serial of an attached volume: virtio cuts it at 20 characters, SCSI does not."""
    return [volume_id[:20], volume_id]


def read_volume(cloud: Cloud, volume_id: str) -> VolumeFacts:
    """One GET. Raises NotFound."""
    raw = call(cloud.block_storage, "GET", f"/volumes/{volume_id}", f"Read source volume {volume_id}")["volume"]
    return VolumeFacts(
        id=str(raw["id"]),
        size_gib=int(raw.get("size") or 0),
        status=str(raw.get("status", "")),
        multiattach=_true(raw.get("multiattach")),
        encrypted=_true(raw.get("encrypted")),
        attached_to=tuple(str(item.get("server_id", "")) for item in raw.get("attachments") or []),
        zone=str(raw.get("availability_zone") or ""),
    )


def refusals(facts: VolumeFacts, server_id: str) -> list[str]:
    """Why this volume is not copied; empty where it may be."""
    found = []
    if facts.multiattach or len(facts.attached_to) > 1:
        count = len(facts.attached_to)
        found.append(f"the volume {facts.id} is multi-attached ({count} attachments now): it is whole at no moment")
    if facts.encrypted:
        found.append(f"the volume {facts.id} is encrypted by the source cloud: its key does not leave it")
    if server_id not in facts.attached_to:
        found.append(f"the volume {facts.id} is no longer attached to server {server_id}")
    if facts.status not in ("in-use", "available"):
        found.append(f"the volume {facts.id} has the status {facts.status}")
    return found


def find(cloud: Cloud, owner: Owner) -> Found:
    """Everything of this workload's, by its marks: one list call for volumes, one for snapshots (more when paged)."""
    mark = {"metadata": repr({SERVER_KEY: owner.server})}
    what = f"List the clones of server {owner.server}"
    raw_volumes = pages(cloud.block_storage, "/volumes/detail", "volumes", what, params=mark)
    version, params = _snapshot_filter(cloud, mark)
    what = f"List the snapshots of server {owner.server}"
    raw_snapshots = pages(
        cloud.block_storage, "/snapshots/detail", "snapshots", what, params=params, microversion=version
    )
    return Found(
        snapshots=[_snapshot(raw) for raw in raw_snapshots if owner.owns(_metadata(raw), "snapshot")],
        volumes=[_volume(raw) for raw in raw_volumes if owner.owns(_metadata(raw), "clone")],
    )


class Bench:
    """Where one workload's disks are frozen. Made per act; `events` tells what was done, in order.

    reader: id of the reader host's server; reader_name: its name in the plan. since: snapshots older than this are out
    of date. on_wait(sentence) is called before each wait.
    """

    def __init__(
        self,
        cloud: Cloud,
        owner: Owner,
        *,
        reader: str = "",
        reader_name: str = "",
        deadline_s: float = 1800.0,
        max_attachments: int = 20,
        on_wait: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.cloud = cloud
        self.owner = owner
        self.reader = reader
        self.reader_label = f"{reader_name} ({reader})" if reader_name else reader
        self.deadline_s = deadline_s
        self.max_attachments = max_attachments
        self.on_wait = on_wait
        self.clock = clock
        self.sleep = sleep
        self.events: list[str] = []
        self._attach_tries: dict[str, int] = {}
        self._made: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._room = False
        self._last_error: CloudExitError | None = None

    # -- what the acts call

    def check_reader(self) -> None:
        """Raises Unreachable where the reader host's server is not there or not running; nothing was made then."""
        try:
            reader = servers.read(self.cloud, self.reader)
        except NotFound as exc:
            raise NotFound(
                f"Reader host {self.reader_label} is not there",
                cause="its server was deleted, or the credential's project does not own it",
                hint="Correct readers in the plan.",
            ) from exc
        if reader.status != "ACTIVE":
            raise Unreachable(
                f"Reader host {self.reader_label} cannot take disks",
                cause=f"it is {reader.status}",
                hint="Start it, or name another reader for the workload in the plan.",
                retryable=True,
            )

    def plan(self, disks: Sequence[Disk], since: datetime | None = None, renew: Iterable[str] = ()) -> list[str]:
        """What `present` (or, without disks, `absent`) would begin with; changes nothing."""
        found = find(self.cloud, self.owner)
        steps, waiting = self._steps(disks, found, since, set(renew))
        return [name for name, _act in steps] + waiting

    def present(self, disks: Sequence[Disk], since: datetime | None = None, renew: Iterable[str] = ()) -> list[Clone]:
        """Bring every disk to one frozen clone that is attached to the reader; returns them by index.

        renew: ids of clones to throw away and make again. Raises Timeout (naming what hangs), Refused (quota), ...
        """
        doomed = set(renew)
        found = self._loop(disks, since, doomed)
        clones = []
        for disk in disks:
            keep = self._best_clone([v for v in found.volumes if v.source == disk.volume and v.id not in doomed])
            if keep is None:
                raise CloudExitError(f"The clone of volume {disk.volume} has gone while we looked", retryable=True)
            clones.append(
                Clone(
                    index=disk.index,
                    volume=disk.volume,
                    snapshot=keep.snapshot,
                    clone=keep.id,
                    size=keep.size_gib * GIB,
                    boot=disk.boot,
                    serials=serials(keep.id),
                    device=keep.device,
                    fresh=not keep.handed,
                    frozen_at=keep.frozen.isoformat() if keep.frozen else "",
                )
            )
        return sorted(clones, key=lambda clone: clone.index)

    def absent(self) -> None:
        """Detach and delete every clone and snapshot of this workload's; returns when they are gone."""
        self._loop((), None, set())

    def hand(self, clone_id: str) -> None:
        """Note on the clone that somebody may write to it from now on."""
        call(
            self.cloud.block_storage,
            "POST",
            f"/volumes/{clone_id}/metadata",
            f"Mark clone {clone_id} as handed out",
            json={"metadata": {STATE_KEY: HANDED}},
        )

    # -- the loop

    def _loop(self, disks: Sequence[Disk], since: datetime | None, renew: set[str]) -> Found:
        began = self.clock()
        step = 0
        while True:
            found = find(self.cloud, self.owner)
            steps, waiting = self._steps(disks, found, since, renew)
            if not steps and not waiting:
                return found
            if self.clock() - began >= self.deadline_s:
                raise self._late(steps, waiting, found)
            if steps:
                self._do(steps)
                step = 0
            if self.on_wait is not None:
                self.on_wait("; ".join(waiting or [name for name, _act in steps]))
            self.sleep(backoff(step))
            step += 1

    def _do(self, steps: list[Step]) -> None:
        """Take the steps, several at a time; an error is left to the next look, three times for the same step."""
        with ThreadPoolExecutor(max_workers=min(4, len(steps))) as pool:
            running = [(name, pool.submit(act)) for name, act in steps]
        for name, outcome in running:
            error = outcome.exception()
            if error is None:
                self.events.append(name)
                self._failed.pop(name, None)
                continue
            if isinstance(error, NotFound) and name.startswith(("delete", "detach")):
                continue
            # another run may just have done the same, or the answer was lost: the next look tells
            self._failed[name] = self._failed.get(name, 0) + 1
            if not isinstance(error, CloudExitError) or isinstance(error, (Refused, AuthFailed)):
                raise error
            if self._failed[name] >= _STEP_TRIES:
                raise error
            self._last_error = error

    def _steps(
        self, disks: Sequence[Disk], found: Found, since: datetime | None, renew: set[str]
    ) -> tuple[list[Step], list[str]]:
        """The steps that can be taken now, and what has to be waited for, as (name, act) and sentences."""
        steps: list[Step] = []
        waiting: list[str] = []
        keep_snapshots: set[str] = set()
        keep_volumes: set[str] = set()
        to_attach: list[tuple[Disk, Volume]] = []
        for disk in disks:
            copies = [v for v in found.volumes if v.source == disk.volume and v.id not in renew]
            clone = self._best_clone([v for v in copies if not out_of_date(v.frozen, since)])
            mine = [s for s in found.snapshots if s.volume == disk.volume and not out_of_date(s.created, since)]
            snapshot = self._best_snapshot([s for s in mine if clone is None or s.id == clone.snapshot] or mine)
            if snapshot is not None:
                keep_snapshots.add(snapshot.id)
            if clone is not None:
                keep_volumes.add(clone.id)
                if clone.status == "available":
                    to_attach.append((disk, clone))
                elif clone.status == "in-use" and clone.at and clone.at != self.reader:
                    steps.append(self._detach(clone))
                elif clone.status != "in-use" or not clone.at:
                    waiting.append(f"clone {clone.id} is {clone.status}")
            elif snapshot is None:
                steps.append(self._make_snapshot(disk))
            elif snapshot.status == "available":
                steps.append(self._make_clone(disk, snapshot))
            else:
                waiting.append(f"snapshot {snapshot.id} is {snapshot.status}")
        self._attach_in_order(to_attach, found, steps, waiting)
        gone_from: set[str] = set()
        for volume in found.volumes:
            if volume.id not in keep_volumes:
                gone_from.add(volume.snapshot)
                self._remove_volume(volume, steps, waiting)
        for snapshot in found.snapshots:
            if snapshot.id in keep_snapshots:
                continue
            if snapshot.id in gone_from:
                waiting.append(f"snapshot {snapshot.id} is {snapshot.status}")
            else:
                self._remove_snapshot(snapshot, steps, waiting)
        return steps, waiting

    @staticmethod
    def _best_snapshot(candidates: list[Snapshot]) -> Snapshot | None:
        usable = [s for s in candidates if s.status in ("available", "creating")]
        return min(usable, key=lambda s: (s.status != "available", str(s.created), s.id), default=None)

    def _best_clone(self, candidates: list[Volume]) -> Volume | None:
        usable = [v for v in candidates if v.status in _RANK]

        def order(volume: Volume) -> tuple[int, str, str]:
            here = volume.status == "in-use" and volume.at == self.reader
            return (0 if here else _RANK[volume.status], str(volume.created), volume.id)

        return min(usable, key=order, default=None)

    def _attach_in_order(
        self,
        to_attach: list[tuple[Disk, Volume]],
        found: Found,
        steps: list[Step],
        waiting: list[str],
    ) -> None:
        """The boot disk first, the others one after the other; all or none where the reader has little room left."""
        if not to_attach:
            return
        to_attach.sort(key=lambda pair: (not pair[0].boot, pair[0].index))
        if not self._room:
            here = [v for v in found.volumes if v.at == self.reader]
            taken = len(self._attachments()) - len(here)
            self._room = taken + len(here) + len(to_attach) <= self.max_attachments
            if not self._room:
                waiting.append(
                    f"reader host {self.reader_label} holds {taken} other disks, of {self.max_attachments} at most"
                )
                return
        pairs = list(to_attach)

        def attach() -> None:
            for _disk, volume in pairs:
                tries = self._attach_tries.get(volume.id, 0)
                if tries >= _ATTACH_TRIES:
                    raise CloudExitError(
                        f"Clone {volume.id} could not be attached to reader host {self.reader_label}",
                        cause=f"the cloud took the request {tries} times and gave the volume back each time",
                        hint="Look at the reader server's last action in the source cloud; it may hold too many disks.",
                    )
                self._attach_tries[volume.id] = tries + 1
                call(
                    self.cloud.compute,
                    "POST",
                    f"/servers/{self.reader}/os-volume_attachments",
                    f"Attach clone {volume.id} to reader host {self.reader_label}",
                    json={"volumeAttachment": {"volumeId": volume.id}},
                )

        steps.append((f"attach {', '.join(f'clone {volume.id}' for _disk, volume in pairs)}", attach))

    def _attachments(self) -> list[Any]:
        what = f"List the disks of reader host {self.reader_label}"
        answer = call(self.cloud.compute, "GET", f"/servers/{self.reader}/os-volume_attachments", what)
        return list(answer.get("volumeAttachments", []))

    def _make_snapshot(self, disk: Disk) -> Step:
        body = {
            "snapshot": {
                "volume_id": disk.volume,
                "name": f"cloudexit-{self.owner.server[:8]}-{disk.index}",
                "description": f"Frozen disk {disk.index} of server {self.owner.server}, temporary",
                "force": True,  # the volume is attached to the (stopped) source server
                "metadata": self.owner.metadata(disk.volume, "snapshot"),
            }
        }

        def act() -> None:
            self._count(f"snapshot of volume {disk.volume}")
            call(self.cloud.block_storage, "POST", "/snapshots", f"Make a snapshot of volume {disk.volume}", json=body)

        return f"snapshot volume {disk.volume}", act

    def _make_clone(self, disk: Disk, snapshot: Snapshot) -> Step:
        frozen = snapshot.created.isoformat() if snapshot.created else ""
        body = {
            "volume": {
                "snapshot_id": snapshot.id,
                "size": disk.size_gib,
                "name": f"cloudexit-{self.owner.server[:8]}-{disk.index}",
                "description": f"Frozen disk {disk.index} of server {self.owner.server}, temporary",
                "metadata": self.owner.metadata(disk.volume, "clone", **{FROZEN_KEY: frozen}),
            }
        }

        def act() -> None:
            self._count(f"clone of volume {disk.volume}")
            call(self.cloud.block_storage, "POST", "/volumes", f"Make a clone of volume {disk.volume}", json=body)

        return f"clone volume {disk.volume}", act

    def _count(self, what: str) -> None:
        made = self._made[what] = self._made.get(what, 0) + 1
        if made > _MAKE_TRIES:
            raise CloudExitError(
                f"No usable {what} could be made",
                cause=f"the source cloud took the request {_MAKE_TRIES} times and ended in an error each time",
                hint="Look at its user messages (openstack volume message list) and at the quota.",
            )

    def _detach(self, volume: Volume) -> Step:
        def act() -> None:
            call(
                self.cloud.compute,
                "DELETE",
                f"/servers/{volume.at}/os-volume_attachments/{volume.id}",
                f"Detach clone {volume.id} from server {volume.at}",
            )

        return f"detach clone {volume.id}", act

    def _remove_volume(self, volume: Volume, steps: list[Step], waiting: list[str]) -> None:
        if volume.status == "in-use" and volume.at:
            steps.append(self._detach(volume))
        elif volume.status == "error_deleting":
            raise _stuck("clone", volume.id, volume.status)
        elif volume.status in _BUSY or volume.status == "in-use":
            waiting.append(f"clone {volume.id} is {volume.status}")
        else:

            def act() -> None:
                call(self.cloud.block_storage, "DELETE", f"/volumes/{volume.id}", f"Delete clone {volume.id}")

            steps.append((f"delete clone {volume.id}", act))

    def _remove_snapshot(self, snapshot: Snapshot, steps: list[Step], waiting: list[str]) -> None:
        if snapshot.status == "error_deleting":
            raise _stuck("snapshot", snapshot.id, snapshot.status)
        if snapshot.status in _BUSY:
            waiting.append(f"snapshot {snapshot.id} is {snapshot.status}")
            return

        def act() -> None:
            call(self.cloud.block_storage, "DELETE", f"/snapshots/{snapshot.id}", f"Delete snapshot {snapshot.id}")

        steps.append((f"delete snapshot {snapshot.id}", act))

    def _late(self, steps: list[Step], waiting: list[str], found: Found) -> Timeout:
        left = waiting or [f"still to do: {name}" for name, _act in steps]
        stuck = [v for v in found.volumes if v.status in ("attaching", "detaching", "reserved")]
        hint = "Run again to go on from here; nothing of the source was changed."
        if stuck:
            ids = " ".join(volume.id for volume in stuck)
            hint = (
                f"If the source cloud has lost these, have its operator reset them (openstack volume set --state "
                f"available {ids}), then run again; they are copies of ours, not source disks."
            )
        cause = "; ".join(left)
        if self._last_error is not None:
            cause += f"; last error: {self._last_error}"
        return Timeout(
            f"The disks of server {self.owner.server} were not ready within {self.deadline_s:.0f} s",
            cause=cause,
            hint=hint,
            retryable=True,
        )


def _stuck(kind: str, object_id: str, status: str) -> Conflict:
    command = "openstack volume snapshot set" if kind == "snapshot" else "openstack volume set"
    return Conflict(
        f"The {kind} {object_id} cannot be deleted",
        cause=f"the source cloud reports it as {status}",
        hint=f"Have its operator reset it ({command} --state error {object_id}), then run again.",
    )


def _snapshot_filter(cloud: Cloud, mark: dict[str, str]) -> tuple[str | None, dict[str, str] | None]:
    """The server-side filter for snapshots where this Cinder has one (the marks are compared here in any case)."""
    try:
        newest = getattr(cloud.block_storage.get_endpoint_data(), "max_microversion", None)
    except (AttributeError, Refused):
        newest = None
    if newest and tuple(newest) >= _SNAPSHOT_FILTER_SINCE:
        return "3.22", mark
    return None, None


def _snapshot(raw: Mapping[str, Any]) -> Snapshot:
    return Snapshot(
        id=str(raw["id"]),
        volume=_metadata(raw).get("cloudexit_source_id", ""),
        status=str(raw.get("status", "")),
        created=parse_time(str(raw.get("created_at") or "")),
    )


def _volume(raw: Mapping[str, Any]) -> Volume:
    metadata = _metadata(raw)
    attachments = raw.get("attachments") or []
    return Volume(
        id=str(raw["id"]),
        source=metadata.get("cloudexit_source_id", ""),
        snapshot=str(raw.get("snapshot_id") or ""),
        status=str(raw.get("status", "")),
        size_gib=int(raw.get("size") or 0),
        created=parse_time(str(raw.get("created_at") or "")),
        frozen=parse_time(metadata.get(FROZEN_KEY, "")),
        handed=metadata.get(STATE_KEY) == HANDED,
        at=str(attachments[0].get("server_id", "")) if attachments else "",
        device=str(attachments[0].get("device", "")) if attachments else "",
    )


def _metadata(raw: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in (raw.get("metadata") or {}).items()}


def _true(value: Any) -> bool:
    return value is True or str(value).lower() == "true"
