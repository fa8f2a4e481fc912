# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify ledgers without Ansible:

    python -m ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger FILE... [--head HASH]

Ends with 0 when every chain is sound, 1 when one is not, 2 when one cannot be read. `--head` is a hash that the
(single) chain must hold; it detects that records were cut off at the end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="ledger", description="Verify the hash chain of ledgers.")
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--head", default="", metavar="HASH", help="a hash that the chain must hold")
    options = parser.parse_args(arguments)
    code = 0
    for path in options.files:
        try:
            found = chain.verify(path, expected_head=options.head)
        except CloudExitError as error:
            sys.stderr.write(f"{error}\n")
            code = 2
            continue
        for problem in found.problems:
            sys.stdout.write(f"{path}: {problem}\n")
        if found.problems:
            code = max(code, 1)
        verdict = "sound" if found.ok else f"NOT sound ({len(found.problems)} problems)"
        sys.stdout.write(f"{path}: {verdict}, {found.count} records, head {found.head}\n")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
