# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of the newer interface that are ours among others: found by name, known by a stamp, changed only when they
are as we left them.

These objects have no metadata. So what we make ends (its description, or a rule's name or comment) with a stamp: the
tenant and a digest of what was written. An object without it is somebody else's; one whose content does not give the
digest any more was edited by somebody since.
"""

from __future__ import annotations

import hashlib
import re
import threading
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    NotFound,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import tasks, wire
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.changes import (
    Change,
    ChangeSet,
    differences,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session, cloudapi
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Json

_STAMP = re.compile(r"\s*\[cloudexit ([A-Za-z0-9%._~:-]{1,600}) ([0-9a-f]{8})\]\s*$")

WRITERS = 4
"""Changes at a time, of what locks nothing but itself."""

Shown = Mapping[str, Any]
"""What of an object is compared and shown: plain values, sorted where order means nothing."""


BY_PREPARE = ":prepare"
"""What the stamp of `prepare` has behind the tenant: it removes all of its own that is not wanted any more, and so must
not take for its own what the modules for single things made for the same tenant."""


def of_prepare(tenant: str) -> str:
    """Whose the things are that `prepare` makes for a tenant: what the functions here take as `tenant`."""
    return tenant + BY_PREPARE


def is_name_of_tenant(tenant: str) -> bool:
    """Whether a tenant can be called so: not as `of_prepare` would."""
    return bool(tenant.strip()) and not tenant.endswith(BY_PREPARE)


NO_TENANT = f"must not end with {BY_PREPARE}: so is marked what the playbook `prepare` makes"


@dataclass(frozen=True)
class Stamp:
    """Whose an object is (a tenant, or `of_prepare` of one), and the digest of what was written."""

    tenant: str
    digest: str


def digest(shown: Shown) -> str:
    """A short digest of what is compared of an object."""
    return hashlib.sha256(repr(sorted(shown.items())).encode()).hexdigest()[:8]


def stamped(text: str, tenant: str, shown: Shown) -> str:
    """A text that ends with the stamp of what is written."""
    plain = unstamped(text)
    return f"{plain} [cloudexit {urllib.parse.quote(tenant, safe=':')} {digest(shown)}]".strip()


def stamp_of(text: object) -> Stamp | None:
    """The stamp that a text ends with."""
    found = _STAMP.search(wire.string(text))
    return Stamp(urllib.parse.unquote(found[1]), found[2]) if found else None


def unstamped(text: object) -> str:
    """A text without its stamp."""
    return _STAMP.sub("", wire.string(text)).strip()


@dataclass(frozen=True)
class Wanted:
    """An object that should be: its name, what of it is compared, and what is sent."""

    name: str
    shown: Shown
    body: Shown
    description: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of objects. name: for people. path: of its objects, below /cloudapi/1.0.0. shown(object): what is
    compared of one. fixed: names in it that cannot be changed later. apart: a change of one locks nothing but it, so
    that several are changed at a time.
    """

    name: str
    path: str
    shown: Callable[[Json], Shown]
    fixed: tuple[str, ...] = ()
    apart: bool = False


def plan(
    kind: Kind,
    current: Sequence[Json],
    wanted: Sequence[Wanted],
    tenant: str,
    *,
    remove: bool = False,
    overwrite: bool = False,
) -> ChangeSet:
    """What would change so that all in `wanted` are there as they should be.

    remove: also remove those of ours that are not wanted. overwrite: also where somebody edited one of ours. What is
    not ours is never changed; where it is in the way, that is a conflict, unless it is just what is wanted.
    """
    by_name: dict[str, list[Json]] = {}
    for one in current:
        by_name.setdefault(wire.string(one.get("name")), []).append(one)
    changes: list[Change] = []
    conflicts: list[str] = []
    for want in wanted:
        there = by_name.get(want.name, [])
        if not there:
            body = {**want.body, "name": want.name, "description": stamped(want.description, tenant, want.shown)}
            changes.append(Change("create", kind.name, want.name, None, want.shown, body=body))
            continue
        ours = [one for one in there if _owner(one) == tenant]
        one = (ours or there)[0]
        before = kind.shown(one)
        if len(ours) > 1:
            conflicts.append(f"{kind.name} {want.name} is there {len(ours)} times")
            continue
        differing = differences(before, want.shown)
        if not differing:
            continue
        if not ours:
            conflicts.append(
                f"{kind.name} {want.name} is there already, is not ours, and has another {', '.join(differing)}"
            )
            continue
        problem = _edited(kind, one, before)
        fixed = [name for name in differing if name in kind.fixed]
        if fixed:
            conflicts.append(f"{kind.name} {want.name} cannot get another {', '.join(fixed)} once it is made")
        elif problem and not overwrite:
            conflicts.append(problem)
        else:
            body = {**one, **want.body, "name": want.name, "description": stamped(want.description, tenant, want.shown)}
            changes.append(
                Change(
                    "update",
                    kind.name,
                    want.name,
                    {key: before.get(key) for key in differing},
                    {key: want.shown[key] for key in differing},
                    id=wire.string(one.get("id")),
                    body=body,
                )
            )
    if remove:
        names = {want.name for want in wanted}
        for one in current:
            name = wire.string(one.get("name"))
            if _owner(one) == tenant and name not in names:
                before = kind.shown(one)
                problem = _edited(kind, one, before)
                if problem and not overwrite:
                    conflicts.append(problem)
                else:
                    changes.append(Change("delete", kind.name, name, before, None, id=wire.string(one.get("id"))))
    return ChangeSet(tuple(changes), tuple(conflicts))


def _owner(one: Json) -> str:
    found = stamp_of(one.get("description"))
    return found.tenant if found else ""


def is_of(one: Json, tenant: str) -> bool:
    """Whether an object bears the stamp of a tenant in its description."""
    return _owner(one) == tenant


def _edited(kind: Kind, one: Json, before: Shown) -> str:
    """A sentence when somebody edited an object of ours since we wrote it."""
    found = stamp_of(one.get("description"))
    if found is None or found.digest == digest(before):
        return ""
    return f"{kind.name} {wire.string(one.get('name'))} was edited by somebody since we made it"


def apply(session: Session, kind: Kind, changes: ChangeSet) -> dict[str, str]:
    """Make the changes, in their order; the ids that the server named for what was created, by name ("" for none).

    Raises Conflict, with nothing changed, where there are conflicts. Where one change of several that are made at a
    time fails, those that are begun are ended, no other is begun, and the first error is raised.
    """
    changes.refuse_conflicts(f"cannot change {kind.name}s")
    if kind.apart and len(changes.changes) > 1:
        ids = _at_a_time(session, kind, changes.changes)
    else:
        ids = [_make(session, kind, change) for change in changes.changes]
    return {change.name: made for change, made in zip(changes.changes, ids, strict=True) if change.action == "create"}


def _at_a_time(session: Session, kind: Kind, changes: Sequence[Change]) -> list[str]:
    stopped = threading.Event()

    def make(change: Change) -> str:
        if stopped.is_set():
            return ""
        try:
            return _make(session, kind, change)
        except BaseException:
            stopped.set()
            raise

    with ThreadPoolExecutor(WRITERS) as pool:
        done = [pool.submit(make, change) for change in changes]
    return [one.result() for one in done]


def _make(session: Session, kind: Kind, change: Change) -> str:
    """Make one change; the id of what was created, where the server named it."""
    what = f"cannot {change.action} the {kind.name} {change.name}"
    if change.action == "create":
        return create(session, kind.path, change.body, what)
    if change.action == "update":
        path = item(kind.path, change.id)
        tasks.run(session, "PUT", path, what, body=dict(change.body), ok=(200, 202, 204))
    else:
        remove(session, item(kind.path, change.id), what)
    return ""


def item(path: str, identity: str) -> str:
    """The path of an object of a collection."""
    return cloudapi(f"{path.rstrip('/')}/{urllib.parse.quote(identity, safe=':')}")


def create(session: Session, path: str, body: Shown, what: str) -> str:
    """Create an object; its id where the server names it: in the body, as owner of the task, in its details; else "".

    The owner of the task of a NAT rule or a route is its edge, which is in the path.
    """
    answer, done = tasks.run(session, "POST", cloudapi(f"{path.rstrip('/')}/"), what, body=dict(body))
    if answer.body.strip():
        found = wire.string(answer.json().get("id"))
        if found:
            return found
    for task in done:
        if task.owner and task.owner not in path:
            return task.owner
        if tasks.UUID.fullmatch(task.details):  # of static routes
            return task.details
    return ""


def remove(session: Session, path: str, what: str) -> bool:
    """Remove an object; False when it was gone (which may be a 403, and is then known by the list only)."""
    try:
        tasks.run(session, "DELETE", path, what)
    except NotFound:
        return False
    return True


# -- lists that are replaced as a whole


@dataclass(frozen=True)
class Ordered:
    """A list of rules that is replaced as a whole. mark: the field that bears the stamp. key: its name in the body."""

    name: str
    path: str
    key: str
    mark: str
    shown: Callable[[Json], Shown]


@dataclass(frozen=True)
class ListPlan:
    """What would change in a list, and the list as it would be."""

    changes: ChangeSet
    rules: tuple[Json, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)


def plan_list(
    kind: Ordered,
    current: Sequence[Json],
    wanted: Sequence[Wanted],
    tenant: str,
    *,
    first: bool = False,
    overwrite: bool = False,
) -> ListPlan:
    """The list with our rules as they are wanted, in their order; every other rule stays as it is and where it is.

    Ours take the places that ours have; further ones follow the last of them. Where there are none yet, they go to the
    end, but before a last rule for everything, which nothing passes; or (`first`) to the beginning.
    """
    ours = [one for one in current if _rule_owner(kind, one) == tenant]
    by_name: dict[str, Json] = {}
    for one in ours:
        by_name.setdefault(rule_name(kind, one), one)
    changes: list[Change] = []
    conflicts: list[str] = []
    queue: list[Json] = []
    for want in wanted:
        old = by_name.get(want.name)
        mark = stamped(want.name if kind.mark == "name" else want.description, tenant, want.shown)
        names = {"name": want.name, kind.mark: mark}
        if old is None:
            changes.append(Change("create", kind.name, want.name, None, want.shown))
            queue.append({**want.body, **names})
            continue
        before = kind.shown(old)
        differing = differences(before, want.shown)
        if not differing:
            queue.append(old)
            continue
        known = stamp_of(old.get(kind.mark))
        if known is not None and known.digest != digest(before) and not overwrite:
            conflicts.append(f"{kind.name} {want.name} was edited by somebody since we made it")
        shown = ({key: before.get(key) for key in differing}, {key: want.shown[key] for key in differing})
        changes.append(Change("update", kind.name, want.name, *shown, id=wire.string(old.get("id"))))
        queue.append({**old, **want.body, **names})
    names_wanted = {want.name for want in wanted}
    kept = {id(one) for one in by_name.values() if rule_name(kind, one) in names_wanted}
    for one in ours:
        if id(one) in kept:
            continue
        name, before = rule_name(kind, one), kind.shown(one)
        known = stamp_of(one.get(kind.mark))
        if known is not None and known.digest != digest(before) and not overwrite:
            conflicts.append(f"{kind.name} {name} was edited by somebody since we made it")
        changes.append(Change("delete", kind.name, name, before, None, id=wire.string(one.get("id"))))
    order = [rule_name(kind, one) for one in ours if id(one) in kept]
    should = [want.name for want in wanted if want.name in by_name]
    if order != should:
        changes.append(Change("move", kind.name, "order", {"order": order}, {"order": should}))
    return ListPlan(ChangeSet(tuple(changes), tuple(conflicts)), tuple(_merged(kind, current, queue, tenant, first)))


def _merged(kind: Ordered, current: Sequence[Json], queue: list[Json], tenant: str, first: bool) -> list[Json]:
    places = [n for n, one in enumerate(current) if _rule_owner(kind, one) == tenant]
    if not places:
        if first:
            return [*queue, *current]
        cut = len(current) - 1 if current and _is_catch_all(kind, current[-1]) else len(current)
        return [*current[:cut], *queue, *current[cut:]]
    result: list[Json] = []
    waiting = list(queue)
    for number, one in enumerate(current):
        if number not in places:
            result.append(one)
        elif number == places[-1]:
            result += waiting
        elif waiting:
            result.append(waiting.pop(0))
    return result


def _is_catch_all(kind: Ordered, one: Json) -> bool:
    shown = kind.shown(one)
    return not any(shown.get(key) for key in ("sources", "destinations", "profiles", "contexts"))


def _rule_owner(kind: Ordered, one: Json) -> str:
    found = stamp_of(one.get(kind.mark))
    return found.tenant if found else ""


def rule_name(kind: Ordered, one: Json) -> str:
    """The name of a rule, without a stamp."""
    return unstamped(one.get("name")) if kind.mark == "name" else wire.string(one.get("name"))


def read_list(session: Session, kind: Ordered, what: str) -> list[Json]:
    """The rules as they are, in their order."""
    return wire.objects(session.get(kind.path, what).get(kind.key))


def apply_list(
    session: Session,
    kind: Ordered,
    identity: str,
    wanted: Sequence[Wanted],
    tenant: str,
    *,
    first: bool = False,
    overwrite: bool = False,
) -> ListPlan:
    """Make the list as `plan_list` says of what is there now; what was changed.

    Under the lock of its owner (the id of an edge or a group) it is read, written and read back. When somebody changed
    it between the two, the server says so (versions), and it is done again on what is there then. Raises Conflict
    where an edit of somebody would be lost, and when what is read back is not what was meant.
    """
    what = f"cannot change the {kind.name}s of {identity}"
    with session.lock(kind.name, identity):
        for number in range(4):
            current = read_list(session, kind, what)
            made = plan_list(kind, current, wanted, tenant, first=first, overwrite=overwrite)
            made.changes.refuse_conflicts(what)
            if not made:
                return made
            try:
                body = {kind.key: list(made.rules)}
                tasks.run(session, "PUT", cloudapi(kind.path), what, body=body, ok=(200, 202, 204))
                break
            except CloudExitError as error:
                changed = _others(kind, read_list(session, kind, what), tenant) != _others(kind, current, tenant)
                if number == 3 or not (changed or _is_version(error)):
                    raise
                session.pace.sleep(1.0)
        after = read_list(session, kind, what)
        lost = _others(kind, after, tenant) != _others(kind, current, tenant)
        left = plan_list(kind, after, wanted, tenant, first=first, overwrite=True)
    if lost:
        raise Conflict(
            what,
            cause="rules of others are not as they were: somebody changed them at the same moment, or the server did",
            hint="Look at the rules in the portal, and run this again.",
        )
    if left:
        some = "; ".join(str(one) for one in left.changes.changes[:5])
        raise Conflict(what, cause=f"what was written is not what is there: {some}", retryable=True)
    return made


def _is_version(error: CloudExitError) -> bool:
    reason = wire.said(error)
    return reason is not None and (reason.status in (409, 412) or "version" in reason.message.lower())


def _others(kind: Ordered, rules: Sequence[Json], tenant: str) -> list[tuple[str, str]]:
    """The rules that are not ours: id and content, in their order.

    Without what the server counts, and without `logging`, which a user of an organisation does not read truly.
    """
    found = []
    for one in rules:
        if _rule_owner(kind, one) != tenant:
            plain = {key: value for key, value in one.items() if key not in ("version", "id", "logging")}
            found.append((wire.string(one.get("id")), repr(sorted(plain.items(), key=lambda pair: pair[0]))))
    return found
