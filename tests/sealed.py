# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People with keys, a file that names them, and a small retirement plan that they sign."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import seal, signatures
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement

NAMES = ("customer:alice@acme.example", "operations:bob@orange.example", "security:eve@orange.example")
LEDGER = "ledger:controller-1"


def key(folder: Path, name: str, kind: str = "ed25519") -> Path:
    """A key without a passphrase, made once."""
    path = folder / name
    if not path.exists():
        command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(path)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def who(principal: str) -> str:
    return principal.partition(":")[2].partition("@")[0]


class People:
    """Keys and the file of allowed signers, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "allowed_signers"
        self.allow(*((name, "") for name in (*NAMES, LEDGER)))

    def key(self, name: str) -> Path:
        return key(self.folder, who(name) if ":" in name else name)

    def allow(self, *lines: tuple[str, str]) -> None:
        """Write the file: principals and options of each line; the key is that of the first principal."""
        rows = []
        for principals, options in lines:
            public = self.key(principals.split(",")[0]).with_suffix(".pub").read_text().split()[:2]
            rows.append(" ".join([principals, *([options] if options else []), *public]))
        self.file.write_text("\n".join(rows) + "\n")

    def sign(self, data: bytes, *names: str, namespace: str = retirement.NAMESPACE) -> dict[str, bytes]:
        return {who(name): signatures.sign(data, str(self.key(name)), namespace) for name in names}

    def approvals(self, **changed: Any) -> retirement.Approvals:
        digest = "sha256:" + hashlib.sha256(self.file.read_bytes()).hexdigest()
        known: dict[str, Any] = {"needed": 3, "roles": ["customer", "operations", "security"], "signers": digest}
        return retirement.Approvals(**{**known, **changed})


def reference(kind: str, identity: str, gib: float = 0.0) -> retirement.Reference:
    return retirement.Reference(
        kind=kind,
        cloud="iam.example",
        region="eu-west-0",
        project="p-1",
        id=identity,
        created="2024-01-01T00:00:00Z",
        size_gib=gib,
    )


def plan(people: People, **changed: Any) -> retirement.Retirement:
    """A server that was moved, its disk, a residue; one volume is kept."""
    items = [
        retirement.Item(
            ref=reference("servers", "s-1"),
            name="web <1>",
            stage="servers",
            choice="moved",
            workload="web-1",
            why="at vm-1",
        ),
        retirement.Item(
            ref=reference("volumes", "v-1", 40.0),
            name="web-1-boot",
            stage="volumes",
            choice="moved",
            after=["servers/s-1"],
        ),
        retirement.Item(ref=reference("floating_ips", "a-1"), name="10.0.0.1", stage="addresses", choice="residue"),
    ]
    made = retirement.Made(
        at="2026-01-01T00:00:00Z",
        user_id="u-planner",
        estate="sha256:" + "e" * 64,
        plan="sha256:" + "a" * 64,
        policy="sha256:" + "b" * 64,
        ledger="sha256:" + "c" * 64,
        tool="cloudexit.flexible_engine 1.0.0",
    )
    whole = retirement.Retirement(
        kind=retirement.KIND,
        version=retirement.VERSION,
        tenant=retirement.Tenant(
            name="acme", project_id="p-1", project_name="acme-prod", region="eu-west-0", cloud="iam.example"
        ),
        made=made,
        expires="2026-03-01T00:00:00Z",
        cool_off_hours=24,
        approvals=people.approvals(),
        timers=[
            retirement.Timer(
                rule="notice", bound="not_before", at="2026-01-15T00:00:00Z", basis="Regulation (EU) 2023/2854, art. 25"
            )
        ],
        items=items,
        kept=[
            retirement.Kept(
                kind="volumes", id="v-9", name="archive", reason="held", detail="case 12", until="2027-01-01"
            )
        ],
    )
    return replace(whole, **changed)


def sealed(people: People, **changed: Any) -> bytes:
    return seal.encode(plan(people, **changed))
