# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All benchmarks, or those that are named: `python -m tests.bench [vmdk] [wave] ...`; results go to `.lab/bench/`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from tests.bench.common import say

NOT_BENCHES = {"common", "convert", "readers"}


def names() -> list[str]:
    """The benchmarks that are there."""
    found = (path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
    return sorted(set(found) - NOT_BENCHES)


def main(arguments: list[str]) -> int:
    unknown = [name for name in arguments if name not in names()]
    if unknown:
        say(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(names())}")
        return 2
    worst = 0
    for name in arguments or names():
        worst = max(worst, importlib.import_module(f"tests.bench.{name}").main([]))
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
