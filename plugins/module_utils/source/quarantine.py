# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps an object from being used and can be undone exactly, and what was done to an object since a moment.

A change is data: what it is now, what it is when it is closed, the call that sets it. Left out, since the exact state
does not come back or since others would suffer: the read-only flag of a volume that never had one (it stays, set to
false) or is attached (Cinder refuses); a load balancer of the newest generation's switch for members (it has none: the
weight is set to 0); routers, networks and subnets (a switch there cuts off what stays); DNS records (caches outlive an
undo); databases, caches and queues (a stop may lose what is in memory, or be undone by the service after a week); keys
(what is encrypted with them is unreadable for everybody); access lists of buckets (the service rewrites their grants);
backup policies of servers whose operations the service does not show.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    InvalidInput,
    Problem,
    Refused,
    Timeout,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import (
    Answer,
    Reference,
    Step,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import stores
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.deletions import rows_of, texts, true
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import metrics
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.objects import (
    LISTINGS,
    Objects,
    bad_answer,
    json_of,
    label,
    names_of,
    request_id_of,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.pages import dig
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.server import parse_time

PREFIX = "quarantined-"
"""What a renamed object's name begins with."""

LOCK_REASON = "cloudexit: quarantined before its deletion; undo with the decommission playbook"
LONGEST_NAME = 255
WAIT_SECONDS = 300.0
"""How long a change may take to be seen."""

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One thing of a kind that a quarantine changes.

    now: what it is, from the raw object. closed: what it is when it is closed, which it may be already; None where it
    cannot be closed.
    call: method, path and body that set a value, from the raw object and the value. busy: while it is true nothing is
    concluded from the object.
    """

    kind: str
    name: str
    now: Callable[[Raw], Any]
    closed: Callable[[Raw, Any], Any]
    call: Callable[[Raw, Any], tuple[str, str, Any]]
    busy: Callable[[Raw], bool] = lambda _raw: False


def _power(raw: Raw, value: Any) -> tuple[str, str, Any]:
    return "POST", "/servers/{id}/action", {"os-start" if value == "ACTIVE" else "os-stop": None}


def _lock_now(raw: Raw) -> Any:
    if not true(raw.get("locked")):
        return {"locked": False}
    return {"locked": True, **({"reason": raw.get("locked_reason")} if "locked_reason" in raw else {})}


def _locked(raw: Raw, now: Any) -> Any:
    if now["locked"]:
        return now  # by whomever
    return {"locked": True, **({"reason": LOCK_REASON} if "locked_reason" in raw else {})}


def _lock(raw: Raw, value: Any) -> tuple[str, str, Any]:
    if not value["locked"]:
        return "POST", "/servers/{id}/action", {"unlock": None}
    return "POST", "/servers/{id}/action", {"lock": {"locked_reason": value["reason"]} if "reason" in value else None}


def _renamed(raw: Raw, now: Any) -> Any:
    if now.startswith(PREFIX):
        return now
    return PREFIX + now if len(PREFIX + now) <= LONGEST_NAME else None


def _rename(key: str, path: str) -> Callable[[Raw, Any], tuple[str, str, Any]]:
    return lambda _raw, value: ("PUT", path, {key: {"name": value}})


def _read_only(raw: Raw) -> Any:
    return texts(dig(dict(raw), "metadata.readonly")).lower() == "true"


def _may_be_read_only(raw: Raw, now: Any) -> Any:
    metadata = raw.get("metadata")
    known = isinstance(metadata, dict) and "readonly" in metadata
    return True if known and (now or raw.get("status") == "available") else None


def _groups(raw: Raw) -> Any:
    return {
        "security_groups": [texts(group) for group in raw.get("security_groups") or []],
        "port_security": true(raw.get("port_security_enabled", True)),
    }


def _closed_port(raw: Raw, now: Any) -> Any:
    owner = texts(raw.get("device_owner"))
    closed: dict[str, Any] = {"security_groups": [], "port_security": True}
    return closed if not owner or owner.startswith("compute:") else None


def _among(*values: Any) -> Callable[[Raw, Any], Any]:
    """The last of these values is the closed one; where it is none of them, nothing is done."""
    return lambda _raw, now: values[-1] if now in values else None


def _close_port(raw: Raw, value: Any) -> tuple[str, str, Any]:
    body: dict[str, Any] = {"security_groups": value["security_groups"]}
    if true(raw.get("port_security_enabled", True)) != value["port_security"]:
        body["port_security_enabled"] = value["port_security"]
    return "PUT", "/ports/{id}", {"port": body}


def _leads_to(raw: Raw) -> Any:
    return {"port_id": raw.get("port_id"), "fixed_ip_address": raw.get("fixed_ip_address")}


def _lead(raw: Raw, value: Any) -> tuple[str, str, Any]:
    body = {"port_id": value["port_id"]}
    if value["port_id"]:
        body["fixed_ip_address"] = value["fixed_ip_address"]
    return "PUT", "/floatingips/{id}", {"floatingip": body}


def _pending(raw: Raw) -> bool:
    return texts(raw.get("provisioning_status")).startswith("PENDING")


def _operations(raw: Raw) -> Any:
    found = rows_of(raw.get("scheduled_operations"))
    return {texts(one.get("id")): true(one.get("enabled")) for one in found if one.get("id") and "enabled" in one}


def _changes() -> tuple[Change, ...]:
    c = Change
    scaling = "/autoscaling-api/v1/{project_id}/scaling_group/{id}/action"
    return (
        c(
            "servers",
            "stop",
            lambda raw: texts(raw.get("status")),
            _among("ACTIVE", "SHUTOFF"),
            _power,
            lambda raw: bool(raw.get("OS-EXT-STS:task_state")),
        ),
        c("servers", "rename", lambda raw: texts(raw.get("name")), _renamed, _rename("server", "/servers/{id}")),
        c("servers", "lock", _lock_now, _locked, _lock),
        c("volumes", "rename", lambda raw: texts(raw.get("name")), _renamed, _rename("volume", "/volumes/{id}")),
        c(
            "volumes",
            "read_only",
            _read_only,
            _may_be_read_only,
            lambda _raw, value: ("POST", "/volumes/{id}/action", {"os-update_readonly_flag": {"readonly": value}}),
        ),
        c("ports", "close_groups", _groups, _closed_port, _close_port),
        c(
            "floating_ips",
            "disassociate",
            _leads_to,
            lambda _raw, _now: {"port_id": None, "fixed_ip_address": None},
            _lead,
        ),
        c(
            "lb_members",
            "disable_member",
            lambda raw: true(raw.get("admin_state_up")),
            _among(True, False),
            lambda _raw, value: (
                "PUT",
                "/lbaas/pools/{parent}/members/{id}",
                {"member": {"admin_state_up": value}},
            ),
            _pending,
        ),
        c(
            "elb_members",
            "disable_member",
            lambda raw: raw.get("weight"),
            lambda _raw, now: 0 if isinstance(now, int) else None,
            lambda _raw, value: (
                "PUT",
                "/v3/{project_id}/elb/pools/{parent}/members/{id}",
                {"member": {"weight": value}},
            ),
        ),
        c(
            "images",
            "deactivate",
            lambda raw: texts(raw.get("status")),
            _among("active", "deactivated"),
            lambda _raw, value: (
                "POST",
                "/images/{id}/actions/" + ("deactivate" if value == "deactivated" else "reactivate"),
                None,
            ),
        ),
        c(
            "scaling_groups",
            "pause",
            lambda raw: texts(raw.get("scaling_group_status")),
            _among("INSERVICE", "PAUSED"),
            lambda _raw, value: ("POST", scaling, {"action": "pause" if value == "PAUSED" else "resume"}),
        ),
        c(
            "volume_backup_policies",
            "switch_off",
            lambda raw: texts(dig(dict(raw), "scheduled_policy.status")),
            _among("ON", "OFF"),
            lambda _raw, value: (
                "PUT",
                "/v2/{project_id}/backuppolicy/{id}",
                {"scheduled_policy": {"status": value}},
            ),
        ),
        c(
            "server_backup_policies",
            "switch_off",
            _operations,
            lambda _raw, now: dict.fromkeys(now, False) or None,
            lambda _raw, value: (
                "PUT",
                "/v1/{project_id}/policies/{id}",
                {"policy": {"scheduled_operations": [{"id": one, "enabled": on} for one, on in sorted(value.items())]}},
            ),
        ),
        c(
            "vault_policies",
            "switch_off",
            lambda raw: true(raw.get("enabled")),
            _among(True, False),
            lambda _raw, value: ("PUT", "/v3/{project_id}/policies/{id}", {"policy": {"enabled": value}}),
        ),
    )


CHANGES: tuple[Change, ...] = _changes()
"""In the order in which they are made; they are undone the other way round."""

STORES = ("containers", "buckets")
"""Kinds whose access is revoked: what is in their headers or policy is set to nothing, and back."""

_DATED = ("volumes", "ports", "images", "snapshots", "lb_members")
TELLING = ("servers", *STORES, *_DATED)
"""Kinds that tell what was done to them."""

REVOKE = "revoke_access"


def steps(objects: Objects, ref: Reference, raw: Raw) -> tuple[Step, ...]:
    """What a quarantine changes of an object, in order; what is closed already has the same before and after. Reads."""
    if ref.kind in STORES:
        now = stores.of(objects, ref).access()
        after: dict[str, Any] = {"policy": None} if ref.kind == "buckets" else {"read": "", "write": ""}
        return (Step(name=REVOKE, before=now, after=after),)
    found = []
    for change in CHANGES:
        if change.kind == ref.kind:
            before = change.now(raw)
            closed = change.closed(raw, before)
            if closed is not None:
                found.append(Step(name=change.name, before=before, after=closed))
    return tuple(found)


def bring(
    objects: Objects,
    ref: Reference,
    step: Step,
    wanted: Any,
    *,
    clock: Callable[[], float] = time.monotonic,
    wait_seconds: float = WAIT_SECONDS,
) -> Answer:
    """Set what a step is about to `wanted`, its before or its after, and wait until it is so.

    Nothing is called where it is so already. Raises Conflict where it is neither of the two: somebody changed it.
    """
    what = f"{step.name} of {label(ref)}"
    if ref.kind in STORES:
        return _bring_store(objects, ref, step, wanted, what)
    change = next((one for one in CHANGES if (one.kind, one.name) == (ref.kind, step.name)), None)
    if change is None:
        raise Refused(what, cause="there is no such step for this kind")
    began, pause = clock(), 0.2
    raw = _settled(objects, ref, change, what, began, clock, wait_seconds)
    if change.now(raw) == wanted:
        return Answer(status=200, note="it was so already")
    _expected(change.now(raw), step, what)
    method, path, body = change.call(raw, wanted)
    service = LISTINGS[ref.kind][0].service
    options = {} if body is None else {"json": body}
    answer = objects.ask(service, method, path, what, names_of(ref, raw), **options)
    if int(answer.status_code) >= 400:
        raise bad_answer(answer, what)
    while change.now(raw := _settled(objects, ref, change, what, began, clock, wait_seconds)) != wanted:
        _in_time(what, began, clock, wait_seconds)
        objects.sleep(pause)
        pause = min(pause * 1.6, 5.0)
    return Answer(status=int(answer.status_code), request_id=request_id_of(answer))


def _bring_store(objects: Objects, ref: Reference, step: Step, wanted: Any, what: str) -> Answer:
    if step.name != REVOKE:
        raise Refused(what, cause="there is no such step for this kind")
    objects.own(ref, objects.there(ref))
    store = stores.of(objects, ref)
    if store.access() == wanted:
        return Answer(status=200, note="it was so already")
    _expected(store.access(), step, what)
    answer = store.set_access(wanted)
    if store.access() != wanted:
        raise Conflict(what, cause="the service did not take it as it was", hint="Look at its access by hand.")
    return Answer(status=int(answer.status_code), request_id=request_id_of(answer))


def _expected(now: Any, step: Step, what: str) -> None:
    if now not in (step.before, step.after):
        raise Conflict(
            what,
            cause=f"it is {_shown(now)}, and neither {_shown(step.before)} as before nor {_shown(step.after)} as after",
            hint="Somebody changed it. Find out who, and set it back by hand.",
        )


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _settled(
    objects: Objects,
    ref: Reference,
    change: Change,
    what: str,
    began: float,
    clock: Callable[[], float],
    wait_seconds: float,
) -> dict[str, Any]:
    """The object once nothing is under way with it. Raises Refused where it is another project's."""
    while True:
        raw = objects.there(ref)
        objects.own(ref, raw)
        if not change.busy(raw):
            return raw
        _in_time(what, began, clock, wait_seconds)
        objects.sleep(0.5)


def _in_time(what: str, began: float, clock: Callable[[], float], wait_seconds: float) -> None:
    if clock() - began > wait_seconds:
        raise Timeout(what, cause=f"it was not so within {wait_seconds:.0f} s", retryable=True)


# what was done to it


def activity(objects: Objects, ref: Reference, raw: Raw, since: str) -> list[str]:
    """What was done to an object since a moment (UTC), in words.

    servers: every action of Nova (power, attachments, locks, console passwords) and, where the cloud measures it, its
    traffic; volumes that are attached, ports that something uses, images and snapshots: a change of their own record
    (a volume or port that lost its server was changed by that, and tells nothing); containers and buckets: objects
    that are newer; databases: nothing is known of what is in them. Other kinds have neither data nor traffic.
    """
    moment = parse_time(since)
    if moment is None:
        raise InvalidInput("The moment is not valid", [Problem("since", f"{since!r} is no time")])
    if ref.kind == "servers":
        return _actions(objects, ref, moment)
    if ref.kind in STORES:
        newer = stores.of(objects, ref).newest(since)
        return [f"{newer} objects or versions were written"] if newer else []
    if ref.kind == "volumes" and not rows_of(raw.get("attachments")):
        return []
    if ref.kind == "ports" and not raw.get("device_id"):
        return []
    if ref.kind in _DATED:
        changed = parse_time(texts(raw.get("updated_at")))
        return [f"it was changed at {changed.isoformat()}"] if changed is not None and changed > moment else []
    return []


def _actions(objects: Objects, ref: Reference, since: datetime) -> list[str]:
    what = f"Read the actions of {label(ref)}"
    answer = objects.ask("compute", "GET", "/servers/{id}/os-instance-actions", what, names_of(ref, {}))
    if int(answer.status_code) != 200:
        raise bad_answer(answer, what)
    found = dig(json_of(answer), "instanceActions")
    if not isinstance(found, list):
        raise CloudExitError(what, cause="the answer has no list", retryable=True)
    said = []
    for action in rows_of(found):
        started = parse_time(texts(action.get("start_time")))
        if started is None:
            raise CloudExitError(what, cause="an action has no time", retryable=True)
        if started > since:
            said.append(f"{texts(action.get('action'))} at {started.isoformat()} by {texts(action.get('user_id'))}")
    rate = metrics.traffic(objects.cloud, ref.id, since.timestamp(), sleep=objects.sleep)
    if rate:
        said.append(f"traffic of up to {rate:g} bytes/s")
    return sorted(said)
