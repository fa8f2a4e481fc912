# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python3 -m tests.lab.vcenter up|down|reset|status|calls --name lab`: the lab's vCenter by itself."""

from __future__ import annotations

import argparse
import json

from tests.lab.paths import DEFAULT_NAME, Instance, Proc
from tests.lab.vcenter import Control, calls, down, reset, up


def main() -> None:
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab.vcenter", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "reset", "status", "calls"))
    parser.add_argument("--name", default=DEFAULT_NAME)
    parser.add_argument("--base-port", type=int)
    parser.add_argument("--lease-timeout", type=float, help="seconds after which a silent NFC lease ends")
    parser.add_argument("--since", help="for calls: a moment like 2026-01-31T12:00:00.000000Z")
    given = parser.parse_args()
    instance = Instance(given.name, given.base_port)
    if given.base_port:
        instance.update_env(base_port=given.base_port)
    if given.command in ("up", "reset"):
        found = (up if given.command == "up" else reset)(instance, lease_timeout=given.lease_timeout)
        instance.say(f"vCenter on https://{found['host']}:{found['port']}, user {found['user']}")
    elif given.command == "down":
        down(instance)
    elif given.command == "calls":
        print(json.dumps(calls(instance, given.since), indent=2, sort_keys=True))
    else:
        control = Control(instance)
        alive = Proc(instance, "vcenter").alive() and control.healthy()
        print(json.dumps({"up": alive, "vms": control.machines()[1] if alive else []}, indent=2))


main()
