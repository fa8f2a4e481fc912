# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of a tenant after a purge, by a fresh reading of it all: nothing, or a list with what keeps billing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Retirement
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import retirement, stages

Why = Literal["planned", "going", "kept", "new", "unread"]
GOING = {"keys": ("4",), "stacks": ("DELETE_COMPLETE",), "rts_stacks": ("DELETE_COMPLETE",)}
"""States in which a service still shows an object whose deletion is decided: a key goes after some days."""


@dataclass(frozen=True, kw_only=True)
class Left:
    """Something that is still there.

    why: planned (it should be gone), going (the service deletes it later), kept (as the plan says), new (the plan does
    not know it), unread (a kind, or a service, that could not be read; id is empty). bills: whether it costs money; not
    knowing counts.
    """

    kind: str
    id: str
    name: str = ""
    why: Why
    detail: str = ""
    bills: bool = True


def left(plan: Retirement, estate: estates.Estate) -> list[Left]:
    """Everything that is left, in the order of kinds; objects that nobody can delete (quotas, …) are not told."""
    planned = {item.ref.key for item in plan.items}
    kept = {f"{entry.kind}/{entry.id}": entry for entry in plan.kept}
    nothing = stages.not_an_object(estate)
    found = [
        Left(kind="services", id="", name=service.name, why="unread", detail=service.state)
        for service in estate.services
        if service.state not in ("complete", "absent") and not service.kinds
    ]
    for kind in kinds.KINDS:
        row = stages.ROWS.get(kind)
        bills = row.bills if row is not None else True
        state = estate.read.get(kind, "absent")
        if state not in ("complete", "absent") and (row is None or row.stage is not None):
            found.append(Left(kind=kind, id="", why="unread", detail=state, bills=bills))
        for obj in estate.of(kind):
            key = f"{kind}/{obj.id}"
            if (kind, obj.id) in nothing and key not in planned:
                continue
            why: Why = "planned" if key in planned else "kept" if key in kept else "new"
            detail = f"{kept[key].reason} {kept[key].detail}".strip() if why == "kept" else ""
            if why == "planned" and getattr(obj, "status", "") in GOING.get(kind, ()):
                why, detail = "going", "its service deletes it later; until then that can be cancelled"
            name = retirement.name(kind, obj)
            found.append(Left(kind=kind, id=obj.id, name=name, why=why, detail=detail, bills=bills))
    return found


def finished(found: list[Left]) -> bool:
    """Whether all that should be gone is, and everything could be read."""
    return not any(one.why in ("planned", "unread") for one in found)
