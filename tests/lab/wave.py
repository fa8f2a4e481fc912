# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant of many small servers, all off, for measurements of a wave: a reader host and servers of one disk each.

A disk has 1 GiB, of which some 30 MiB are written: half of it cannot be compressed, half of it is text. There is no
system on it. Made once and kept as the state ``wave``; the next time it is there within seconds.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from random import Random

from . import parts
from .both_sides import disk_bytes
from .paths import Instance
from .seed import TENANT, Disk, Server, _Seeding

STATE = "wave"
COUNT = 20
PIECE = 3 << 20
PIECES = 5
NETWORK = "app-net"


def servers(count: int) -> list[Server]:
    """The reader host, which is this machine, and the small servers."""
    reader = Server("reader-1", (Disk("reader-1-boot"),), ((NETWORK, "10.20.0.5"),), "s3.medium.1", True)
    names = [f"small-{number:02}" for number in range(1, count + 1)]
    small = [Server(n, (Disk(n),), ((NETWORK, f"10.20.0.{100 + i}"),)) for i, n in enumerate(names)]
    return [reader, *small]


@parts.alone
def seed(instance: Instance, count: int = COUNT) -> None:
    """Bring the lab to the state; what the tenant held before is gone (`reset` brings it back)."""
    mark = parts.saved_dir(instance, STATE) / f"count-{count}"
    if mark.exists():
        with instance.step("taking the wave's servers from a saved state"):
            parts.restore(instance, STATE)
        return
    with instance.step("emptying the cloud"):
        parts.restore(instance, parts.AFTER_UP)
    with instance.step(f"making {count} small servers"):
        _Wave(instance, count).run()
    with instance.step("keeping them for the next time"):
        parts.save(instance, STATE)
        mark.touch()


class _Wave(_Seeding):
    """One run of the seed, with other servers and other bytes."""

    def __init__(self, instance: Instance, count: int) -> None:
        super().__init__(instance, {})
        self.servers = servers(count)

    def run(self) -> None:
        hold = self.instances / "hold"
        hold.touch()
        try:
            self._network()
            self._keypair()
            with ThreadPoolExecutor(4) as pool:
                ids = list(pool.map(lambda server: self._server(server, {}), self.servers))
            found = [
                {"id": ident, "name": server.name, "running": server.running, "guest": None, "addresses": []}
                for ident, server in zip(ids, self.servers, strict=True)
            ]
            about = {"tenant": TENANT, "project_id": self.api.project_id, "image": "", "servers": found}
            self.instance.update_env(readers=[ids[0]], seed=about)
            self._no_guest(ids[0])
        finally:
            hold.unlink(missing_ok=True)

    def _volume(self, disk: Disk) -> str:
        ident = super()._volume(disk)
        random = Random(disk.name)
        with open(disk_bytes(self.instance, ident), "r+b") as file:
            room = file.seek(0, os.SEEK_END) // PIECES
            for number in range(PIECES):
                file.seek(number * room + (1 << 20))
                file.write(random.randbytes(PIECE))
                file.write((f"{disk.name} line {number}: the quick brown fox\n".encode() * (PIECE // 30))[:PIECE])
        return ident
