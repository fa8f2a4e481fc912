# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch a purge from outside, and stop it when the cloud loses what the ledger did not intend:

    python -m ansible_collections.cloudexit.flexible_engine.plugins.module_utils.watch \\
        --plan acme.retirement.json --ledger evidence/ledger.jsonl --stop-file evidence/stop --cloud acme-reader

Start it before the purge, on another machine if you can, with a credential that can only read. It writes the stop file
at the first difference, and also when it cannot read the cloud, the plan or the ledger; then it ends with 1. It ends
with 0 when all that it watches of the plan is gone, or when somebody else has written the stop file.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.watch import cloud, compare


def main(
    arguments: Sequence[str] | None = None,
    *,
    connect: Callable[[str], Callable[[str], set[str]]] = cloud.reader,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    parser = argparse.ArgumentParser(
        prog="watch", description="Stop a purge when the cloud loses what was not intended."
    )
    parser.add_argument("--plan", required=True, metavar="FILE", help="the retirement plan")
    parser.add_argument("--ledger", required=True, metavar="FILE", help="the tenant's ledger")
    parser.add_argument("--stop-file", required=True, metavar="FILE", help="written at the first difference")
    parser.add_argument("--cloud", default="", metavar="NAME", help="a cloud of clouds.yaml; else the OS_ variables")
    parser.add_argument("--interval", type=float, default=10.0, metavar="SECONDS", help="between two looks (10)")
    options = parser.parse_args(arguments)
    try:
        return _watch(options, connect, sleep)
    except (compare.Difference, cloud.Unreadable, OSError) as error:
        reason = str(error)
    except Exception as error:
        # whatever it is: it does not watch any more
        reason = f"the watcher failed: {type(error).__name__}: {error}"
    _stop(options.stop_file, f"watcher: {reason}\n")
    sys.stderr.write(f"stopped: {reason}\n")
    return 1


def _watch(
    options: argparse.Namespace, connect: Callable[[str], Callable[[str], set[str]]], sleep: Callable[[float], None]
) -> int:
    plan = compare.read_plan(_bytes(options.plan))
    kinds = [kind for kind in plan.kinds if kind in cloud.ROWS]
    others = [kind for kind in plan.kinds if kind not in cloud.ROWS]
    sys.stdout.write(f"watching {', '.join(kinds) or 'nothing'}; not watched: {', '.join(others) or 'none'}\n")
    read = connect(options.cloud)
    watch = compare.Watch(plan)
    while True:
        present = {kind: read(kind) for kind in kinds}
        # after the cloud: an intent is older than what comes of it
        watch.look(present, _bytes(options.ledger) if os.path.exists(options.ledger) else b"")
        left = len(watch.left())
        sys.stdout.write(f"{len(watch.chain.hashes)} records, {left} objects of the plan still there\n")
        sys.stdout.flush()
        if os.path.exists(options.stop_file):
            sys.stdout.write("somebody has stopped it\n")
            return 0
        if not left:
            return 0
        sleep(options.interval)


def _bytes(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def _stop(path: str, reason: str) -> None:
    """Write the stop file; one that is there already says why itself."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(reason)
            stream.flush()
            os.fsync(stream.fileno())


if __name__ == "__main__":
    raise SystemExit(main())
