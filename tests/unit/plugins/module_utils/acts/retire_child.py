# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A decommission as a process of its own, to be killed: its cloud is behind a socket, its ledger a real file.

python -m tests.unit.plugins.module_utils.acts.retire_child SOCKET LEDGER ACT RUN
"""

from __future__ import annotations

import sys
from multiprocessing.connection import Client
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import retire
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import journal as ledger


class Remote:
    """Everything that the model does, asked over a socket."""

    def __init__(self, address: str) -> None:
        self._line = Client(address, "AF_UNIX")

    def __getattr__(self, name: str) -> Any:
        def ask(*given: Any) -> Any:
            self._line.send((name, given))
            good, answer = self._line.recv()
            if good:
                return answer
            kind, what, retryable = answer
            raise kind(what, retryable=retryable)

        return ask


def main(address: str, path: str, act: str, run: str) -> int:
    cloud = Remote(address)
    journal = ledger.Journal(path, "acme", "sha256:plan", run, clock=cloud.local)
    given: dict[str, Any] = {"stop": cloud.stop, "sleep": cloud.sleep}
    if act != "undo":
        given |= {"gates": cloud.gates, "holds": cloud.holds}
    if act == "purge":
        given |= {"closure": cloud.closure}
    done = getattr(retire, act)(cloud, cloud.the_plan(), journal, **given)
    sys.stdout.write(f"{done.stopped or 'complete'}\n")
    return 1 if done.stopped else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
