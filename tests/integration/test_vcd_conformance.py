# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMware's own client walks the lab's Cloud Director, in both of its lines: what vouches for this test double."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.lab.paths import lab_root
from tests.lab.vcd import conform, seed, vmdk
from tests.lab.vcd.make import serve

CAPACITIES = (8 << 20, 3 << 20)
PUBLIC_IP = "198.51.100.10"


@pytest.mark.parametrize("line", conform.LINES)
def test_vmwares_client(line: str, tmp_path: Path) -> None:
    program = conform.build(lab_root() / "cache", line)
    given = random.Random(1)
    for number, size in enumerate(CAPACITIES, 1):
        with open(tmp_path / f"{number}.raw", "wb") as out:
            out.truncate(size)
            for dummy in range(20):
                out.seek(given.randrange(size - 9000))
                out.write(given.randbytes(9000))
        vmdk.encode(tmp_path / f"{number}.raw", tmp_path / f"{number}.vmdk")
        # the client's uploader fails where a file is a whole number of its pieces
        assert (tmp_path / f"{number}.vmdk").stat().st_size % (1 << 20)
    disks = (tmp_path / "1.vmdk", tmp_path / "2.vmdk")
    descriptor = conform.write_machine(tmp_path / "machine", disks, CAPACITIES)
    # The client polls each 3 s: tasks that are done at once make this a matter of seconds. That it can also wait
    # for tasks is seen in its uploads.
    server = serve(tmp_path / "vcd", 0, {"task_seconds": 0}).start()
    try:
        server.cloud.find("gateway", name=seed.EDGE)[0]["public"] = [PUBLIC_IP]
        done = conform.run(
            program,
            {
                "VCD_URL": server.url,
                "VCD_ORG": seed.ORG,
                "VCD_USER": seed.USER,
                "VCD_PASSWORD": seed.PASSWORD,
                "VCD_API_TOKEN": seed.API_TOKEN,
                "VCD_VDC": seed.VDC,
                "VCD_GROUP": seed.GROUP,
                "VCD_EDGE": seed.EDGE,
                "VCD_OVF": str(descriptor),
                "VCD_PUBLIC_IP": PUBLIC_IP,
            },
        )
    finally:
        server.stop()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "FAILED" not in done.stdout and done.stdout.count("ok ") == 32
    kinds = ("vm", "vapp", "vapptemplate", "catalog", "catalogitem", "network", "firewallGroup", "disk")
    left = {kind: list(server.cloud.table(kind)) for kind in kinds if server.cloud.table(kind)}
    assert not left, "the program tidies up, and so must the server"
    assert not list((server.cloud.folder / "disks").iterdir())
