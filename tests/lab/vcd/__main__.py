# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve the lab's Cloud Director: python -m tests.lab.vcd --port N --dir D."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from .make import serve
from .seed import ORG, PASSWORD, USER


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.vcd", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1; 0 for any free one")
    parser.add_argument("--dir", type=Path, required=True, help="folder of its state, bytes and certificates")
    parser.add_argument("--calls", type=Path, help="write the log of calls there, one JSON object a line")
    parser.add_argument("--task-seconds", type=float, default=0.05, help="how long a task takes at least")
    parser.add_argument("--configuring-seconds", type=float, default=0.0, help="how long an edge is CONFIGURING")
    parser.add_argument("--idle-minutes", type=float, default=30, help="after which a session ends")
    given = parser.parse_args()
    options = {
        "task_seconds": given.task_seconds,
        "configuring_seconds": given.configuring_seconds,
        "idle_minutes": given.idle_minutes,
    }
    server = serve(given.dir.resolve(), given.port, options, given.calls)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.stop, daemon=True).start())
    print(f"{server.url} CA {given.dir.resolve() / 'ca.pem'} login {USER}@{ORG} {PASSWORD}", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
