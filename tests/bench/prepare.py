# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long it takes to have the network of a tenant in Cloud Director, and to see that all is there.

The tidy tenant of the benchmark `equivalence`, with a hundred groups, goes into the lab's Cloud Director, a process of
its own, whose tasks take a quarter of a second each: what is told is mostly how many of them are waited for, one after
the other. Several IP sets and port profiles are made at a time. There is no peer.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.bench import equivalence
from tests.bench.common import LAB, collection_env, row, say, write_result

GROUPS, PORTS = 100, 300
TASK_S = 0.25


def measure(url: str, ca: str) -> dict[str, Any]:
    """Make it, and run again, in this process."""
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import network
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import client, objects
    from tests.lab.vcd import Control, seed
    from tests.unit.plugins.module_utils.acts import network_tenant as tenant

    equivalence.GROUPS, equivalence.PORTS = GROUPS, PORTS
    control = Control(url, Path(ca))
    (edge,) = [key for key, one in control.table("gateway").items() if one["name"] == tenant.EDGE]
    control.patch("gateway", edge, public=["198.51.100.10", "198.51.100.11"])
    read = tenant.estate()
    wanted = replace(network.design(tenant.plan(read), read), source=equivalence.tenant("tidy"))
    with client.connect(url, seed.ORG, username=seed.USER, password=seed.PASSWORD, ca_file=ca) as session:
        control.forget()
        started = time.monotonic()
        made = network.prepare(session, wanted)
        ended = time.monotonic()
        writes = sum(one["method"] != "GET" for one in control.calls())
        again = network.prepare(session, wanted)
        last = time.monotonic()
    if again.changes or not made.verdict.equal:
        raise RuntimeError("the second run changed something, or the proof failed")
    return {
        "make_s": ended - started,
        "again_s": last - ended,
        "changes": len(made.changes.changes),
        "writes": writes,
        "at_a_time": objects.WRITERS,
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.measure:
        print(json.dumps(measure(*chosen.measure)))
        return 0
    say("prepare: a tenant with a hundred groups")
    here = Path(LAB).parent
    with tempfile.TemporaryDirectory(prefix="bench-vcd-") as folder:
        command = [sys.executable, "-m", "tests.lab.vcd", "--dir", folder, "--task-seconds", str(TASK_S)]
        server = subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[0]
            ours = [sys.executable, "-m", "tests.bench.prepare", "--measure", url, str(Path(folder) / "ca.pem")]
            done = subprocess.run(ours, env=collection_env(), cwd=here, stdout=subprocess.PIPE, check=True)
        finally:
            server.terminate()
            server.wait(30)
    told = json.loads(done.stdout)
    rows = [
        {**row(what, [(told[key], 0)], unit), "peer": None}
        for what, key, unit in (
            ("made and proven", "make_s", "s"),
            ("second run", "again_s", "s"),
            ("changes", "changes", ""),
            ("calls that write", "writes", ""),
        )
    ]
    write_result("prepare", {"groups": GROUPS, "task_s": TASK_S, "at_a_time": told["at_a_time"]}, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
