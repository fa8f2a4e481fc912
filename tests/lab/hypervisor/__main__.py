# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m tests.lab.hypervisor run|status``: the lab's hypervisor by itself."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from tests.lab.paths import DEFAULT_NAME, Instance, lab_root

from . import status
from .daemon import Hypervisor


def main() -> int:
    """Run the hypervisor until TERM (its guests go on), or say what runs."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab.hypervisor", description=main.__doc__)
    parser.add_argument("command", choices=("run", "status"))
    parser.add_argument(
        "--instance", type=Path, default=lab_root() / DEFAULT_NAME, help="folder (default: %(default)s)"
    )
    args = parser.parse_args()
    folder = args.instance.resolve()
    instance = Instance(folder.name, root=folder.parent)
    if args.command == "status":
        print(json.dumps(status(instance), indent=2))
        return 0

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    Hypervisor(instance, os.environ.get("CLOUDEXIT_LAB_ACCEL", "tcg")).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
