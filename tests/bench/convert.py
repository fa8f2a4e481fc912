# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Convert a disk to stream-optimised VMDK with the collection's engine, as one process: `convert.py IN OUT [MANIFEST]`.

It does what a move does (read, hash, compress, write in order) with a file in the place of the import lease.
"""

from __future__ import annotations

import os
import sys

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pipeline import stream_vmdk
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import open_source


def main(arguments: list[str]) -> int:
    if len(arguments) not in (2, 3):
        sys.stderr.write("use: convert.py IN OUT.vmdk [MANIFEST]\n")
        return 2
    out = os.open(arguments[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def write(piece: bytes) -> None:
        done = os.write(out, piece)
        while done < len(piece):
            done += os.write(out, memoryview(piece)[done:])

    with open_source(arguments[0]) as source:
        result = stream_vmdk(source, write)
    os.close(out)
    if len(arguments) == 3:
        result.manifest.dump(arguments[2])
    sys.stdout.write(f"{result.manifest.root} {result.bytes_sent}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
