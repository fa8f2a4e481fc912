# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m tests.lab.hypervisor run|status|try``: the lab's hypervisor by itself."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from tests.lab.paths import DEFAULT_NAME, Instance, lab_root

from . import status
from .daemon import Hypervisor
from .trial import boot


def main() -> int:
    """Run the hypervisor until TERM (its guests go on), say what runs, or try whether copies of disks boot."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab.hypervisor", description=main.__doc__)
    parser.add_argument("command", choices=("run", "status", "try"))
    parser.add_argument(
        "--instance", type=Path, default=lab_root() / DEFAULT_NAME, help="folder (default: %(default)s)"
    )
    parser.add_argument("--disk", type=Path, action="append", default=[], help="try: a raw disk; it is written to")
    parser.add_argument("--side", choices=("source", "target"), default="target", help="try: source has virtio")
    parser.add_argument("--controller", default="pvscsi", help="try: on the target (default: %(default)s)")
    parser.add_argument("--nic", default="vmxnet3", help="try: on the target (default: %(default)s)")
    parser.add_argument("--firmware", choices=("bios", "efi"), default="bios", help="try: default %(default)s")
    parser.add_argument("--nvram", type=Path, help="try: the firmware's variables; it is written to")
    parser.add_argument("--address", default="10.20.0.11", help="try: the guest's address (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=240.0, help="try: seconds (default: %(default)s)")
    args = parser.parse_args()

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    accel = os.environ.get("CLOUDEXIT_LAB_ACCEL", "tcg")
    if args.command == "try":
        outcome = boot(
            args.disk,
            side=args.side,
            controller=args.controller,
            nic=args.nic,
            firmware=args.firmware,
            nvram=args.nvram,
            address=args.address,
            timeout=args.timeout,
            powerdown=True,
            accel=accel,
        )
        print(json.dumps(dataclasses.asdict(outcome), indent=2))
        return 0 if outcome.up else 1
    folder = args.instance.resolve()
    instance = Instance(folder.name, root=folder.parent)
    if args.command == "status":
        print(json.dumps(status(instance), indent=2))
        return 0
    Hypervisor(instance, accel).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
