#!/usr/bin/env python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the guards of a decommission and what holds each, and write the table of docs/decommission-guards.md anew.

Run as `python -m tests.tools.guards` with the checkout importable as the collection (.lab/src).
"""

from __future__ import annotations

import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "decommission-guards.md"
MARK = "<!-- table: guards -->"


def lines() -> list[str]:
    """The table: each guard or check, what it says, the scenario that fails without it."""
    from tests.unit.plugins.module_utils.acts.retire_scenarios import SCENARIOS

    made = ["| Guard | What it holds | Without it this happens |", "|---|---|---|"]
    for one in SCENARIOS:
        name, colon, about = one.about.partition(": ")
        name, about = (name, about) if colon else (f"({one.name})", one.about)
        made.append(f"| {name} | {about.rstrip('.')} | {one.held_by.replace('_', ' ')} |")
    return made


def rewritten(text: str) -> str:
    """The page with its table made anew."""
    before = text.partition(MARK)[0]
    return "\n".join([f"{before}{MARK}", "", *lines()]) + "\n"


def main() -> int:
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write("\n".join(lines()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
