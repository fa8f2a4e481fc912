#!/usr/bin/env python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of the manual anew from the schemas of the documents; the text between them stays.

A page is one of PAGES. Its first table lists the top keys; each key with keys of its own has a table under a heading
with its name, which is made where it is missing. Run with the checkout importable as the collection (.lab/src).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = "ansible_collections.cloudexit.flexible_engine.plugins.module_utils."
PAGES = {
    "estate.md": ("model.estate", "Estate"),
    "plan.md": ("model.plan", "Plan"),
    "assessment.md": ("model.assessment", "Assessment"),
    "policy.md": ("planning.policy", "Policy"),
    "portfolio.md": ("model.portfolio", "Portfolio"),
    "retirement-policy.md": ("model.retirement_policy", "Policy"),
}
HEAD = ["| Key | Type | Default | Meaning |", "|---|---|---|---|"]
END = "The tables are the texts of the schema"


def key_of(path: str) -> str:
    """The top key of a path: `servers` of `servers[].id`, `` of a top key itself."""
    match = re.match(r"[^.\[]+(?=[.\[])", path)
    return match[0] if match else ""


def tables(module: str, name: str) -> dict[str, list[str]]:
    """Rows of each table by top key; `` is the first."""
    schema = import_module(MODEL + "model.schema")
    found: dict[str, list[str]] = {}
    for path, kind, default, meaning in schema.describe(getattr(import_module(MODEL + module), name)):
        found.setdefault(key_of(path), []).append(f"| `{path}` | {kind} | {default} | {meaning} |")
    return found


def rewritten(text: str, wanted: dict[str, list[str]]) -> str:
    """The page with its tables made anew."""
    left = dict(wanted)
    lines = list(_replaced(text.splitlines(), left))
    end = next((i for i, line in enumerate(lines) if line.startswith(END)), len(lines))
    more = [line for key, rows in left.items() for line in [*([f"## {key}", ""] if key else []), *HEAD, *rows, ""]]
    return "\n".join([*lines[:end], *more, *lines[end:]]) + "\n"


def _replaced(lines: list[str], left: dict[str, list[str]]) -> Iterator[str]:
    inside = False
    for index, line in enumerate(lines):
        if line == HEAD[0]:
            inside = True
            row = re.match(r"\| `([^`]+)` \|", lines[index + 2])
            rows = left.pop(key_of(row[1]), None) if row else None
            yield from [*HEAD, *(rows or [])]
        elif inside and line.startswith("|"):
            continue
        else:
            inside = False
            yield line


def main() -> int:
    for page, (module, name) in PAGES.items():
        path = ROOT / "docs" / page
        if path.exists():
            path.write_text(rewritten(path.read_text(encoding="utf-8"), tables(module, name)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
