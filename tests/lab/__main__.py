# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab from the command line: ``python3 -m tests.lab up``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from . import packages, parts
from .paths import DEFAULT_NAME, FORWARDS, PORTS, Instance, fail, running_procs


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default=DEFAULT_NAME, help="the instance's name (default: %(default)s)")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, parents=[common], help=text, description=text)

    up = add("up", "install what is missing, make what is new, start what does not run")
    up.add_argument("--base-port", type=int, help="the first of the instance's 400 ports (default: 21000)")
    up.add_argument("--only", action="append", choices=parts.NAMES, help="only this part; may be repeated")
    add("packages", "install the Debian packages that the lab and the tests need and that are missing")
    down = add("down", "stop everything of the instance, by pid")
    down.add_argument("--wipe", action="store_true", help="and remove its data; the caches stay")
    reset = add("reset", "go back to a saved state within seconds")
    reset.add_argument("--to", default=None, help="the saved state's name (default: the seeded one, else after up)")
    add("save", "keep the present state under a name").add_argument("state", help="the state's name")
    seed = add("seed", "make the tenant acme with its servers")
    seed.add_argument("--again", action="store_true", help="make it anew even if a saved one exists")
    add("tenants", "make two whole tenants beside it, big and small: the state that reset --to tenants takes")
    status = add("status", "what runs, with its memory")
    status.add_argument("--json", action="store_true")
    add("ports", "the instance's ports")
    calls = add("calls", "requests that customers made to OpenStack's APIs")
    calls.add_argument("--since", type=float, default=0.0, help="seconds since the epoch")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = _parser().parse_args(argv)
    try:
        instance = Instance(args.name, getattr(args, "base_port", None))
    except ValueError as e:
        fail(str(e))
    began = time.monotonic()
    if args.command == "up":
        packages.require_host()
        parts.up(instance, args.only)
        instance.say(f"up after {time.monotonic() - began:.0f} s; settings: source {instance.dir / 'env.sh'}")
    elif args.command == "packages":
        parts.ensure_packages(instance)
    elif args.command == "ports":
        for name, offset in PORTS.items():
            print(f"{instance.base_port + offset:6} {name}")
        print(f"{instance.base_port + FORWARDS.start}-{instance.base_port + FORWARDS.stop - 1} guests")
    elif not instance.dir.is_dir():
        fail(f"there is no lab named {instance.name}; make it with: python3 -m tests.lab up --name {instance.name}")
    elif args.command == "down":
        packages.require_host()
        with instance.step("stopping"):
            parts.down(instance, wipe=args.wipe)
    elif args.command == "save":
        with instance.step(f"saving {args.state}"):
            parts.save(instance, args.state)
    elif args.command == "reset":
        with instance.step("resetting"):
            instance.say(f"now as saved under: {parts.restore(instance, args.to)}")
    elif args.command == "seed":
        from . import seed

        with instance.step("seeding"):
            seed.seed(instance, again=args.again)
    elif args.command == "tenants":
        from .openstack import bulk

        bulk.seed(instance)
    elif args.command == "status":
        _status(instance, args.json)
    elif args.command == "calls":
        from .openstack import calls

        print(json.dumps(calls(instance, args.since).summary(), indent=2))
    return 0


def _status(instance: Instance, as_json: bool) -> None:
    rows = []
    for proc in running_procs(instance):
        pss = 0
        for member in proc.members():
            try:
                with open(f"/proc/{member}/smaps_rollup") as f:
                    pss += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
            except OSError:
                continue
        rows.append({"name": proc.name, "pid": proc.pid, "memory_mib": pss // 1024})
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(f"{row['name']:20} {row['pid'] or 'dead':>8} {row['memory_mib']:>6} MiB")
    print(f"{'all':20} {'':>8} {sum(r['memory_mib'] for r in rows):>6} MiB")


if __name__ == "__main__":
    sys.exit(main())
