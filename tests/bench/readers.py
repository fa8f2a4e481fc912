# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two ways to read a tenant, each as one process: `readers.py ours CLOUD [FILE]` and `readers.py each CLOUD`.

`ours` is the collection's reading, by lists. `each` is what os-migrate's modules do: list what is there, then show
every object by its id. It does so in one process with one log-in; os-migrate starts a module for each of them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def ours(cloud: str, file: str | None) -> int:
    """The collection's reading; the estate goes to a file when one is named."""
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import SourceAuth, connect

    got = reading.read(connect(SourceAuth(cloud=cloud)))
    text = estate.to_text(got.estate)
    if file:
        Path(file).write_text(text, encoding="utf-8")
    not_read = sorted(kind for kind, state in got.estate.read.items() if state not in ("complete", "absent"))
    sys.stdout.write(f"{len(got.estate.servers)} servers in {got.seconds:.2f} s and {got.calls} calls\n")
    if not_read or len(text) < 2:
        sys.stderr.write(f"not read: {', '.join(not_read)}\n")
        return 1
    return 0


def each(cloud: str) -> int:
    """One call an object: servers, volumes, snapshots, images, networks, subnets, routers, ports, groups, rules."""
    import openstack

    connection = openstack.connect(cloud=cloud)
    compute, volume, network = connection.compute, connection.block_storage, connection.network
    kinds: dict[str, tuple[Any, Any]] = {
        "servers": (compute.servers(details=False), compute.get_server),
        "volumes": (volume.volumes(details=False), volume.get_volume),
        "snapshots": (volume.snapshots(details=False), volume.get_snapshot),
        "images": (connection.image.images(), connection.image.get_image),
        "networks": (network.networks(), network.get_network),
        "subnets": (network.subnets(), network.get_subnet),
        "routers": (network.routers(), network.get_router),
        "ports": (network.ports(fields="id"), network.get_port),
        "security_groups": (network.security_groups(fields="id"), network.get_security_group),
        "security_group_rules": (network.security_group_rules(fields="id"), network.get_security_group_rule),
        "floating_ips": (network.ips(), network.get_ip),
    }
    for name, (listed, show) in kinds.items():
        shown = [show(found.id) for found in list(listed)]
        sys.stdout.write(f"{name} {len(shown)}\n")
        sys.stdout.flush()
    return 0


def main(arguments: list[str]) -> int:
    if len(arguments) in (2, 3) and arguments[0] == "ours":
        return ours(arguments[1], arguments[2] if arguments[2:] else None)
    if len(arguments) == 2 and arguments[0] == "each":
        return each(arguments[1])
    sys.stderr.write("use: readers.py ours CLOUD [FILE] | readers.py each CLOUD\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
