# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts on a source server: read, stop, start, fence and unfence. Nothing here deletes.

Facts from Nova's API reference: servers, server actions (os-stop, os-start, lock with `locked_reason` from microversion
2.73), server metadata, instance actions.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    NotFound,
    Refused,
    Timeout,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.rest import call

FENCE_ROLE = "fence"
FENCE_REASON = "cloudexit: moved to {target}; undo with the rollback playbook"
_OURS = "cloudexit:"
_TENANT_KEY = "cloudexit_tenant"
_LOCK_REASON_SINCE = (2, 73)
_RUNS_AGAIN = frozenset(
    {"create", "start", "stop", "reboot", "rebuild", "resume", "unpause", "unshelve", "restore", "resize"}
)
"""Instance actions that a disk's content may change by, or that end a time in which it could."""
SKEW = timedelta(seconds=5)
"""By how much the clocks of Nova and Cinder may differ. A server is not started and stopped again in less."""


@dataclass(frozen=True)
class Server:
    """What the acts need to know of a server. `locked_reason` is "" where the cloud does not tell it."""

    id: str
    name: str
    status: str
    task: str = ""
    locked: bool = False
    locked_reason: str = ""
    zone: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """How messages name it: the id, and the name as a quoted string since it may hold anything."""
        return f"server {self.id} ({self.name!r})"

    @property
    def off(self) -> bool:
        return self.status == "SHUTOFF" and not self.task

    def fence_of(self, marks: Marks) -> str:
        """`ours` (complete), `partial` (our mark or our lock, not both), `foreign` (somebody else's lock) or `none`."""
        tenant = self.metadata.get(_TENANT_KEY)
        marked = tenant == marks.tenant
        if not self.locked:
            return "partial" if marked else "none"
        if self.locked_reason.startswith(_OURS) and tenant in (None, marks.tenant):
            return "ours" if marked else "partial"
        if marked and not self.locked_reason:
            return "ours"  # a cloud without locked_reason: the mark has to do
        return "foreign"


def read(cloud: Cloud, server_id: str) -> Server:
    """One GET. Raises NotFound where the server is gone or not visible to this credential."""
    what = f"Read source server {server_id}"
    try:
        raw = call(cloud.compute, "GET", f"/servers/{server_id}", what)["server"]
    except NotFound as exc:
        raise NotFound(
            f"Source server {server_id} is not there",
            cause="it was deleted, or the credential's project does not own it",
            hint="Check the project of the credential, or take the workload out of the plan.",
        ) from exc
    return Server(
        id=str(raw["id"]),
        name=str(raw.get("name", "")),
        status=str(raw.get("status", "")).upper(),
        task=str(raw.get("OS-EXT-STS:task_state") or ""),
        locked=bool(raw.get("locked", False)),
        locked_reason=str(raw.get("locked_reason") or ""),
        zone=str(raw.get("OS-EXT-AZ:availability_zone") or ""),
        metadata={str(key): str(value) for key, value in (raw.get("metadata") or {}).items()},
        volumes=tuple(str(item["id"]) for item in raw.get("os-extended-volumes:volumes_attached") or []),
    )


def last_power_change(cloud: Cloud, server_id: str) -> datetime | None:
    """When the server was last started, stopped or rebuilt (UTC): a snapshot made before that is out of date.

    None where the cloud does not tell (no instance actions, or not for this role).
    """
    what = f"Read the actions of source server {server_id}"
    try:
        answer = call(cloud.compute, "GET", f"/servers/{server_id}/os-instance-actions", what)
    except (NotFound, Refused):
        return None
    times = [
        parse_time(str(action.get("start_time", "")))
        for action in answer.get("instanceActions", [])
        if str(action.get("action", "")).lower() in _RUNS_AGAIN
    ]
    return max((moment for moment in times if moment is not None), default=None)


def out_of_date(made: datetime | None, since: datetime | None) -> bool:
    """Whether what was frozen at `made` is older than the server's last power change `since`."""
    return since is not None and (made is None or made + SKEW < since)


def require_movable(server: Server, marks: Marks) -> None:
    """Raises Refused for a state that we do not stop or copy from."""
    if server.fence_of(marks) == "foreign":
        reason = f", with the reason {server.locked_reason!r}" if server.locked_reason else ""
        raise Refused(
            f"{_cap(server.label)} is not touched",
            cause=f"somebody else has locked it{reason}",
            hint=f"Find out why, then unlock it (openstack server unlock {server.id}) and run again.",
        )
    if server.status not in ("ACTIVE", "SHUTOFF"):
        raise Refused(
            f"{_cap(server.label)} is not touched",
            cause=f"its status is {server.status}, which is neither ACTIVE nor SHUTOFF",
            hint="Bring it to ACTIVE or SHUTOFF (resume, confirm the resize, reset the state, ...) and run again.",
        )


def stop(
    cloud: Cloud,
    server: Server,
    marks: Marks,
    *,
    deadline_s: float,
    on_wait: Callable[[Server, float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Server:
    """Shut the server down in an orderly way (ACPI, by os-stop) and wait until it is SHUTOFF; returns how it is then.

    A server that is off already is returned as it is. Raises Refused (locked by somebody, in another state), Timeout
    (not off within `deadline_s` seconds; nothing was forced by us).
    """
    require_movable(server, marks)
    if server.off:
        return server
    if server.locked:
        raise Conflict(
            f"Cannot stop {server.label}",
            cause="it runs although it is fenced",
            hint="Undo the fence with the rollback playbook, then migrate again.",
        )
    return _bring(
        cloud,
        server,
        "SHUTOFF",
        "os-stop",
        deadline_s,
        hint=(
            "Shut it down inside the guest and run again, or raise stop.deadline_s of the workload in the plan. "
            "Nothing was forced, and nothing was copied."
        ),
        on_wait=on_wait,
        clock=clock,
        sleep=sleep,
    )


def start(
    cloud: Cloud,
    server: Server,
    marks: Marks,
    *,
    deadline_s: float,
    on_wait: Callable[[Server, float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Server:
    """Start the server and wait until it is ACTIVE; returns how it is then. Raises Refused (fenced), Timeout."""
    require_movable(server, marks)
    if server.status == "ACTIVE" and not server.task:
        return server
    if server.locked:
        raise Refused(
            f"{_cap(server.label)} is not started",
            cause="it is fenced: its workload runs at the target",
            hint="Use the rollback playbook, which stops the target first and then removes the fence.",
        )
    return _bring(
        cloud,
        server,
        "ACTIVE",
        "os-start",
        deadline_s,
        hint="Look at the server's console log and at its last action in the source cloud.",
        on_wait=on_wait,
        clock=clock,
        sleep=sleep,
    )


def fence(cloud: Cloud, server: Server, marks: Marks, *, target: str) -> bool:
    """Keep the server from being started by accident: our mark in its metadata, then Nova's lock with a reason.

    Returns whether something was changed. Raises Conflict where somebody else holds a lock, Refused where it runs.
    """
    state = server.fence_of(marks)
    if state == "ours":
        return False
    if state == "foreign":
        raise _foreign("Cannot fence", server)
    if not server.off:
        busy = f" ({server.task})" if server.task else ""
        raise Refused(
            f"Cannot fence {server.label}",
            cause=f"it is {server.status}{busy}; only a server that is off is fenced",
            hint="Stop it first.",
        )
    url = f"/servers/{server.id}"
    if not server.locked:
        if server.metadata.get(_TENANT_KEY) != marks.tenant:
            owner = Marks(marks.tenant, server.id, role=FENCE_ROLE, plan=marks.plan, run=marks.run)
            call(
                cloud.compute,
                "POST",
                f"{url}/metadata",
                f"Mark {server.label} as fenced",
                json={"metadata": owner.to_metadata()},
            )
        lock: dict[str, str] | None = None
        if cloud.compute_microversion >= _LOCK_REASON_SINCE:
            lock = {"locked_reason": FENCE_REASON.format(target=target)[:255]}
        call(cloud.compute, "POST", f"{url}/action", f"Lock {server.label}", json={"lock": lock})
    return True


def unfence(cloud: Cloud, server: Server, marks: Marks) -> bool:
    """Undo `fence`: our lock and our mark go, nothing else. Returns whether something was changed.

    Raises Conflict where the lock is somebody else's.
    """
    state = server.fence_of(marks)
    if state == "none":
        return False
    if state == "foreign":
        if server.metadata.get(_TENANT_KEY) != marks.tenant:
            return False
        raise _foreign("Cannot unfence", server)
    url = f"/servers/{server.id}"
    if server.locked:
        call(cloud.compute, "POST", f"{url}/action", f"Unlock {server.label}", json={"unlock": None})
    keys = [key for key in Marks("-", "-", "-", "-", "-", "-").to_metadata() if key in server.metadata]
    for key in sorted(keys, key=lambda name: name == _TENANT_KEY):  # the one that says whose it is goes last
        with contextlib.suppress(NotFound):
            call(cloud.compute, "DELETE", f"{url}/metadata/{key}", f"Remove the mark {key} of {server.label}")
    return True


def parse_time(text: str) -> datetime | None:
    """A time as the services write it (`2026-01-31T12:00:00.000000`, with or without Z or an offset), in UTC."""
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)


def backoff(step: int, *, first: float = 0.5, most: float = 5.0) -> float:
    """Seconds to wait before poll number `step` (from 0): grows to `most`, with a little jitter."""
    return float(min(most, first * 1.5 ** min(step, 50)) * random.uniform(0.85, 1.15))


def _bring(
    cloud: Cloud,
    server: Server,
    status: str,
    action: str,
    deadline_s: float,
    *,
    hint: str,
    on_wait: Callable[[Server, float], None] | None,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Server:
    """Ask once, as soon as no other task runs, and wait; the first look is the caller's `server`."""
    began = clock()
    step = 0
    asked = False
    now = server
    while True:
        if now.status == status and not now.task:
            return now
        if not asked and not now.task and now.status in ("ACTIVE", "SHUTOFF"):
            call(cloud.compute, "POST", f"/servers/{now.id}/action", f"{action} of {now.label}", json={action: None})
            asked = True
        if now.status == "ERROR":
            raise CloudExitError(
                f"{_cap(server.label)} went to ERROR instead of {status}",
                hint="Look at its fault and its last action in the source cloud (openstack server event list).",
            )
        waited = clock() - began
        if waited >= deadline_s:
            task = f", task {now.task}" if now.task else ""
            raise Timeout(
                f"{_cap(server.label)} did not become {status} within {deadline_s:.0f} s",
                cause=f"it is {now.status}{task}",
                hint=hint,
                retryable=True,
            )
        if on_wait is not None:
            on_wait(now, waited)
        sleep(min(backoff(step), max(0.05, deadline_s - waited)))
        step += 1
        now = read(cloud, now.id)


def _foreign(what: str, server: Server) -> Conflict:
    reason = f" with the reason {server.locked_reason!r}" if server.locked_reason else ""
    return Conflict(
        f"{what} {server.label}",
        cause=f"somebody else has locked it{reason}",
        hint=f"Their lock was left alone. Settle it, unlock it (openstack server unlock {server.id}) and run again.",
    )


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:]
