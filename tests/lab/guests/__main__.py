# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m tests.lab.guests [FLAVOUR ...]``: build guests and print where they are."""

from __future__ import annotations

import argparse
import json
import sys

from tests.lab.paths import lab_root

from . import build
from .flavours import FLAVOURS
from .tools import BuildError


def main() -> int:
    """Build what is named on the command line, or everything."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab.guests", description=main.__doc__)
    parser.add_argument("flavour", nargs="*", help="one or more of: " + ", ".join(FLAVOURS))
    parser.add_argument("--cache", default=str(lab_root() / "cache"), help="cache folder (default: %(default)s)")
    args = parser.parse_args()
    unknown = [f for f in args.flavour if f not in FLAVOURS]
    if unknown:
        parser.error(f"unknown flavour {unknown[0]}; there are: {', '.join(FLAVOURS)}")
    try:
        found = build.ensure_all(args.cache, args.flavour or list(FLAVOURS), lambda m: print(m, file=sys.stderr))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found, indent=2, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
