# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve Flexible Engine's recorded shapes: python -m tests.lab.flexible_engine --port N --data FILE | --tenants 100."""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path

from .seed import data
from .server import Keystone, Server, any_token
from .tenants import Tenants


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.flexible_engine", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1; 0 for any free one")
    parser.add_argument("--data", type=Path, help="JSON file: rows by project and kind")
    parser.add_argument(
        "--keystone", help="URL of the Keystone (…/v3) that knows the tokens; left out, any token is good"
    )
    parser.add_argument("--tenants", type=int, default=0, help="serve that many whole tenants, Keystone included")
    parser.add_argument("--servers", type=int, default=6, help="servers of each of these tenants")
    parser.add_argument("--clouds", type=Path, help="write a clouds.yaml for these tenants there")
    given = parser.parse_args()
    if given.tenants:
        tenants = Tenants(given.tenants, servers=given.servers, port=given.port)
        server = tenants.server
        if given.clouds:
            given.clouds.write_text(json.dumps(tenants.clouds(), indent=1) + "\n")
    else:
        whose = Keystone(given.keystone) if given.keystone else any_token
        rows = json.loads(given.data.read_text()) if given.data else data("project")
        server = Server(rows, given.port, whose)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.stop, daemon=True).start())
    print(server.url, flush=True)
    server.serve()


if __name__ == "__main__":
    main()
