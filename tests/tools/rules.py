#!/usr/bin/env python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of docs/rules.md anew: keys of a rule, the built-in rules, the facts. The text around them stays.

A table follows a line `<!-- table: name -->`. Run with the checkout importable as the collection (.lab/src).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import facts, rules

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rules.md"
_MARK = re.compile(r"<!-- table: (\S+) -->\Z")


def _keys() -> Iterator[str]:
    yield from ("| Key | Type | Default | Meaning |", "|---|---|---|---|")
    for path, kind, default, meaning in schema.describe(rules.Rule):
        yield f"| `{path}` | {kind} | {default} | {meaning} |"


def _builtin() -> Iterator[str]:
    yield from ("| Rule | Severity | Looks at | Says | What will be done |", "|---|---|---|---|---|")
    for rule in rules.builtin():
        severity = rule.severity + (", data lacking" if rule.data_gap else "")
        where = rule.kind + (f" ({', '.join(rule.target)})" if rule.target else "")
        yield f"| `{rule.id}` | {severity} | {where} | {rule.says['en']} | {rule.action['en']} |"


def _facts(kind: str) -> Iterator[str]:
    yield from ("| Fact | Meaning |", "|---|---|")
    table = facts.SERVER if kind == "servers" else facts.ANY if kind == "any" else facts.OTHERS[kind]
    for name, meaning in table.items():
        yield f"| `{name}` | {meaning} |"


def table(name: str) -> list[str]:
    """The lines of a table."""
    if name == "keys":
        return list(_keys())
    if name == "builtin":
        return list(_builtin())
    return list(_facts(name.removeprefix("facts-")))


def rewritten(text: str) -> str:
    """The page with its tables made anew."""
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        mark = _MARK.match(line)
        if mark:
            lines += [line, "", *table(mark[1]), ""]
            inside = True
        elif not inside or (line and not line.startswith("|")):
            inside = False
            lines.append(line)
    return "\n".join(lines).rstrip("\n") + "\n"


def main() -> int:
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
