# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of reports: what they shall hold, whether that is a change, how it is shown, and how they are put in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import evidence


@dataclass(frozen=True)
class File:
    """A file that shall hold `after`. `summary`: what a diff shows of a page, which nobody reads as a diff."""

    path: str
    after: str
    summary: str = ""

    @cached_property
    def before(self) -> str:
        return evidence.read_text(self.path)

    @cached_property
    def changed(self) -> bool:
        return self.before != self.after

    def write(self) -> None:
        """Put it there, whole or not at all, where it differs."""
        if self.changed:
            evidence.write_atomic(self.path, self.after, 0o644)

    def diff(self) -> dict[str, str]:
        """As Ansible shows it."""
        header = {"before_header": self.path, "after_header": self.path}
        if self.summary:
            return {**header, "before": "", "after": f"{self.summary}\n"}
        return {**header, "before": self.before, "after": self.after}


def result(files: Sequence[File], *, check: bool, diff: bool) -> dict[str, Any]:
    """Write what differs, unless it is only to be told; what a module returns of it."""
    changed = [file for file in files if file.changed]
    if not check:
        for file in changed:
            file.write()
    told: dict[str, Any] = {"changed": bool(changed), "files": [file.path for file in files]}
    return {**told, "diff": [file.diff() for file in changed]} if diff and changed else told
