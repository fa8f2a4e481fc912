# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would change, as a value: so that `changed`, a diff, check mode and the act come from one place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Conflict

Action = Literal["create", "update", "delete", "move"]


@dataclass(frozen=True)
class Change:
    """One thing that would change: what is done, to what, by which name and id, and how it looks before and after.

    body: what is sent, where it is more than what is shown.
    """

    action: Action
    kind: str
    name: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    id: str = ""
    body: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return f"{self.action} {self.kind} {self.name}"


@dataclass(frozen=True)
class ChangeSet:
    """All that would change, in the order in which it is done; conflicts: edits of others that would be lost."""

    changes: tuple[Change, ...] = ()
    conflicts: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __add__(self, other: ChangeSet) -> ChangeSet:
        return ChangeSet(self.changes + other.changes, self.conflicts + other.conflicts)

    def diff(self) -> dict[str, Any]:
        """`before` and `after` for Ansible: by kind and name, only what differs."""
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for change in self.changes:
            for side, value in ((before, change.before), (after, change.after)):
                if value is not None:
                    side.setdefault(change.kind, {})[change.name] = dict(value)
        return {"before": before, "after": after}

    def refuse_conflicts(self, what: str) -> None:
        """Raise Conflict with every edit of others that would be lost."""
        if self.conflicts:
            raise Conflict(
                what,
                cause="; ".join(self.conflicts),
                hint="Nothing was changed. Take the edit over into the plan, undo it, or have it overwritten.",
            )


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names of what differs, of what `after` has."""
    return sorted(key for key, value in after.items() if before.get(key) != value)


def joined(sets: Iterable[ChangeSet]) -> ChangeSet:
    """Several as one."""
    total = ChangeSet()
    for one in sets:
        total += one
    return total
