# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One object of the source at a time: read it, quarantine it and undo that, delete it, prove that it is absent.

Everything is by typed reference (`model.retirement.Reference`); there is no call for a name, a list or a pattern. What
is called is data: `listings` for reading, `deletions` for deleting, `quarantine` for what can be undone.
"""

from __future__ import annotations

import contextlib
import email.utils
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    Refused,
    Timeout,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import (
    Answer,
    Reference,
    Retirement,
    Step,
    Who,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import deletions, quarantine, stores
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud, translate
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.deletions import Call, Deletion
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.objects import (
    LISTINGS,
    Objects,
    bad_answer,
    filled,
    json_of,
    label,
    names_of,
    request_id_of,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.pages import dig

WAIT_SECONDS = 300.0
"""How long a step waits for what it began: a volume that is being detached, a job of a service."""

ADMINISTRATORS = frozenset({"admin", "cloud_admin", "domain_admin", "system_admin", "secu_admin"})
"""Roles that reach beyond one project (Keystone's admin; Flexible Engine's security administrator)."""

Progress = Callable[[str], None]
"""Told in words how far a long step is: how many objects of a bucket are gone."""


class Retiree:
    """The objects of one project, for acts.retire. Nothing is called when it is made.

    doomed: `kind/id` of all that is to go. What a service would delete along with an object must be among them; where
    it is not, the object is not deleted. parents: for `kind/id` of what is a part of another object, the id of that.
    """

    def __init__(
        self,
        cloud: Cloud,
        doomed: Collection[str] = (),
        parents: Mapping[str, str] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self.cloud = cloud
        self._objects = Objects(cloud, parents or {}, sleep=sleep)
        self._doomed = frozenset(doomed)
        self._clock = clock
        self._sleep = sleep
        self._wait_seconds = wait_seconds

    @classmethod
    def of(cls, cloud: Cloud, plan: Retirement) -> Retiree:
        """For what a plan lists."""
        parents = {item.ref.key: str(item.seen["parent"]) for item in plan.items if item.seen.get("parent")}
        return cls(cloud, [item.ref.key for item in plan.items], parents)

    # who, and when

    def who(self) -> Who:
        """Whose credential this is. Three reads at most.

        domain_admin is true where the scope is not one project, where a role reaches further, where the credential
        may list domains or projects that are not its own, and where one of these cannot be told.
        """
        session = self.cloud.session
        access = session.auth.get_access(session)
        roles = tuple(sorted(str(role) for role in getattr(access, "role_names", None) or ()))
        scope: Any = "project" if self.cloud.project_id else "none"
        if getattr(access, "system_scoped", False):
            scope = "system"
        elif getattr(access, "domain_scoped", False):
            scope = "domain"
        far = scope != "project" or not roles or bool(ADMINISTRATORS & {role.lower() for role in roles})
        return Who(
            user_id=str(getattr(access, "user_id", None) or self._key_owner()),
            user_name=str(getattr(access, "username", None) or ""),
            cloud=self._objects.host,
            region=self.cloud.region,
            project_id=self.cloud.project_id,
            domain_id=self.cloud.project_domain_id,
            roles=roles,
            scope=scope,
            domain_admin=far or self._sees("domains") or self._sees("projects"),
        )

    def _key_owner(self) -> str:
        """The user of an access key (a log-in without a token)."""
        keys = self.cloud.keys
        if keys is None:
            return ""
        answer = self._identity(f"{self.cloud.iam.rstrip('/')}/v3.0/OS-CREDENTIAL/credentials/{quote(keys.access)}")
        found = dig(json_of(answer), "credential.user_id") if int(answer.status_code) == 200 else None
        return str(found or "")

    def _sees(self, what: str) -> bool:
        """Whether it may list what only an administrator may; not knowing counts as yes."""
        try:
            answer = self._identity(f"{_v3(self.cloud.catalogue.auth_url)}/{what}")
        except CloudExitError:
            return True
        status = int(answer.status_code)
        if status in (401, 403):
            return False
        found = dig(json_of(answer), what)
        if status != 200 or not isinstance(found, list):
            return True
        own = {self.cloud.project_id} if what == "projects" else set()
        return any(not isinstance(row, dict) or row.get("id") not in own for row in found)

    def _identity(self, url: str) -> Any:
        try:
            return self.cloud.session.request(
                url,
                "GET",
                raise_exc=False,
                timeout=self.cloud.params.list_timeout,
                headers={"Accept": "application/json"},
            )
        except Exception as exc:
            raise translate(exc, "Ask the identity service") from exc

    def clock(self) -> datetime:
        """The cloud's clock: the date of an answer of its identity service, or of the first service that gives one.

        The header tells whole seconds; this is the latest moment that it can mean, so that nothing of ours seems to
        have happened after we did it.
        """
        for url in self._dated():
            answer = self._identity(url)
            with contextlib.suppress(ValueError):
                moment = email.utils.parsedate_to_datetime(str(answer.headers.get("Date") or ""))
                return moment.astimezone(timezone.utc) + timedelta(seconds=1)
        raise Unreachable("Cannot read the clock of the cloud", cause="none of its answers has a date", retryable=True)

    def _dated(self) -> Iterator[str]:
        yield _v3(self.cloud.catalogue.auth_url)
        for service in ("compute", "object_store", "network", "image"):
            endpoint = self.cloud.catalogue.endpoint(service)
            if endpoint is not None:
                yield endpoint.url

    def read(self, ref: Reference) -> object | None:
        """The object as a reading of the tenant gives it; None only where the service itself says that it is absent."""
        return self._objects.read(ref)

    # deleting

    def way(self, ref: Reference, obj: object) -> tuple[str, ...]:
        """The calls that its deletion takes, in order. Reads; raises Refused where it is not deleted at all."""
        row = self._objects.row(ref)
        raw = self._objects.origin(ref, obj)
        refused = row.refused(raw) if row.refused else ""
        if refused:
            raise Refused(f"{label(ref)} is not deleted", cause=refused)
        return (*(step for part in row.parts for step in self._part(ref, part, raw)), *row.way(raw))

    def call(self, ref: Reference, step: str, on_progress: Progress | None = None) -> Answer:
        """Make one call of the way.

        Raises CloudExitError: `retryable` where the same call is to be made again later. After Unreachable or Timeout
        nobody knows whether it was made: read.
        """
        self._objects.forget()
        row = self._objects.row(ref)
        raw = self._objects.raw(ref)
        if raw is None:
            return Answer(status=404, note="it was absent already")
        self._objects.own(ref, raw)
        refused = row.refused(raw) if row.refused else ""
        if refused:
            raise Refused(f"{label(ref)} is not deleted", cause=refused)
        name, dummy, arg = step.partition(":")
        made = row.calls.get(name)
        if made is None:
            raise Refused(f"{label(ref)} has no step {step!r}")
        last = name == row.way(raw)[-1]
        if last:
            self._alone(ref, row, raw)
        if made is deletions.EMPTY:

            def told(done: int) -> None:
                if on_progress is not None:
                    on_progress(f"{done} objects and versions are gone")

            return stores.change(self._objects, ref, name, told)
        return self._made(ref, row, made, raw, step, arg, last)

    def _made(
        self, ref: Reference, row: Deletion, made: Call, raw: Mapping[str, Any], step: str, arg: str, last: bool
    ) -> Answer:
        what = f"{step} of {label(ref)}"
        service = made.service or LISTINGS[ref.kind][0].service
        names = names_of(ref, raw, arg)
        path = made.path
        options: dict[str, Any] = {"params": filled(dict(made.params), names)}
        if made.body is not None:
            options["json"] = filled(made.body, names)
        if service == "image" and made.method == "PATCH":
            options["headers"] = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        answer = self._objects.ask(service, made.method, path, what, names, **options)
        status = int(answer.status_code)
        request_id = request_id_of(answer)
        if status in row.gone or status == 404:
            if self._settled(ref, step, last):
                return Answer(status=status, request_id=request_id, note="it was absent already")
            raise bad_answer(answer, what)
        if status >= 400:
            error = bad_answer(answer, what)
            error.retryable = error.retryable or status in row.again
            raise error
        if row.job:
            self._job(ref, row, service, answer, what)
        if made.until is not None:
            self._until(ref, made.until, arg, what)
        return Answer(status=status, request_id=request_id, note=row.ended_note if last else "")

    def _settled(self, ref: Reference, step: str, last: bool) -> bool:
        """Whether what a call was to remove is absent: the object, or what one step takes off it."""
        raw = self._objects.raw(ref)
        if raw is None or last:
            return raw is None
        row = self._objects.row(ref)
        return step not in (*(s for part in row.parts for s in self._part(ref, part, raw)), *row.way(raw))

    def _until(self, ref: Reference, holds: Callable[[Mapping[str, Any], str], bool], arg: str, what: str) -> None:
        """Read it until the step has its effect; a while is enough for that."""
        for pause in self._pauses(what):
            raw = self._objects.raw(ref)
            if raw is None or holds(raw, arg):
                return
            self._sleep(pause)

    def _job(self, ref: Reference, row: Deletion, service: str, answer: Any, what: str) -> None:
        """Wait for the job that the service answers with, on the host of that service."""
        job = dig(json_of(answer), "job_id")
        if not isinstance(job, str) or not job:
            return
        for pause in self._pauses(what):
            told = self._objects.ask(service, "GET", row.job, what, {**names_of(ref, {}), "job": job})
            if int(told.status_code) != 200:
                raise bad_answer(told, what)
            body = json_of(told)
            status = str(dig(body, "status") or dig(body, "job.status") or "").upper()
            if status in ("SUCCESS", "COMPLETED"):
                return
            if status in ("FAIL", "FAILED"):
                said = " ".join(str(dig(body, "fail_reason") or dig(body, "job.fail_reason") or "").split())[:200]
                raise Conflict(what, cause=f"the job {job} failed" + (f": {said}" if said else ""), retryable=True)
            self._sleep(pause)

    def _pauses(self, what: str) -> Iterator[float]:
        """Seconds between looks; raises Timeout after WAIT_SECONDS."""
        began, pause = self._clock(), 0.2
        while self._clock() - began < self._wait_seconds:
            yield pause
            pause = min(pause * 1.6, 5.0)
        raise Timeout(what, cause=f"it was not done within {self._wait_seconds:.0f} s", retryable=True)

    def takes(self, ref: Reference, obj: object) -> list[str]:
        """`kind/id` of what the service would delete with it without being asked, as it says now."""
        return self._taken(ref, self._objects.row(ref), self._objects.origin(ref, obj))

    def _taken(self, ref: Reference, row: Deletion, raw: Mapping[str, Any]) -> list[str]:
        found: set[str] = set()
        for taken in row.takes:
            for ident in self._found(ref, taken.path, taken.key, taken.id_field, taken.where, raw):
                known = [key for key in self._doomed if key.partition("/")[2] == ident] if not taken.kind else []
                found.update(known or [f"{taken.kind or 'unknown'}/{ident}"])
        return sorted(found - {ref.key})

    def _alone(self, ref: Reference, row: Deletion, raw: Mapping[str, Any]) -> None:
        """Raises Refused where the service would delete something with it that is not to go."""
        others = [key for key in self._taken(ref, row, raw) if key not in self._doomed]
        if others:
            raise Refused(
                f"{label(ref)} is not deleted",
                cause=f"the service would delete with it {', '.join(others[:5])}"
                + (f" and {len(others) - 5} more" if len(others) > 5 else ""),
                hint="It is not in the plan. Make a new one that has it, or take it off first.",
            )

    def _part(self, ref: Reference, part: deletions.Part, raw: Mapping[str, Any]) -> list[str]:
        if not part.path and not part.key:
            return [part.step] if part.where is None or part.where(raw) else []
        found = self._found(ref, part.path, part.key, part.id_field, part.where, raw)
        return [f"{part.step}:{ident}" for ident in dict.fromkeys(found)]

    def _found(
        self,
        ref: Reference,
        path: str,
        key: str,
        id_field: str,
        where: Callable[[Mapping[str, Any]], bool] | None,
        raw: Mapping[str, Any],
    ) -> Iterator[str]:
        """Ids in a list of the service, or in the object itself."""
        found: Any = self._objects.below(ref, raw, path, key, id_field) if path else dig(dict(raw), key)
        if isinstance(found, str) and found:
            yield found
        for entry in found if isinstance(found, list) else []:
            if isinstance(entry, str):
                yield entry
            elif isinstance(entry, dict) and (where is None or where(entry)):
                yield from _ids(entry, id_field)

    # quarantine

    def quarantine_steps(self, ref: Reference, obj: object) -> tuple[Step, ...]:
        """What keeps it from being used, and can be undone exactly. Reads only. See `quarantine`."""
        return quarantine.steps(self._objects, ref, self._objects.origin(ref, obj))

    def apply(self, ref: Reference, step: Step) -> Answer:
        """Bring about `after`. It is there already: nothing is called."""
        self._objects.forget()
        return quarantine.bring(self._objects, ref, step, step.after)

    def undo(self, ref: Reference, step: Step) -> Answer:
        """Bring about `before`. It is there already: nothing is called."""
        self._objects.forget()
        return quarantine.bring(self._objects, ref, step, step.before)

    def activity(self, ref: Reference, obj: object, since: str) -> list[str]:
        """What was done to it since a moment (UTC), in words; empty where certainly nothing. See `quarantine`."""
        self._objects.own_place(ref)
        raw = self._objects.origin(ref, obj) if ref.kind in quarantine.TELLING else {}
        return quarantine.activity(self._objects, ref, raw, since)


def _v3(auth_url: str) -> str:
    return f"{auth_url.rstrip('/').removesuffix('/v3')}/v3"


def _ids(entry: Mapping[str, Any], path: str) -> Iterable[str]:
    """The texts at a dotted path; a list on the way stands for each of its entries."""
    head, dummy, rest = path.partition(".")
    value = entry.get(head)
    if isinstance(value, list) and rest:
        for inner in value:
            if isinstance(inner, dict):
                yield from _ids(inner, rest)
    elif isinstance(value, dict) and rest:
        yield from _ids(value, rest)
    elif isinstance(value, str) and value and not rest:
        yield value
