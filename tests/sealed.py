# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People with keys, a file that names them, a small retirement plan that they sign, the evidence of its purge."""

from __future__ import annotations

import hashlib
import http.server
import subprocess
import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import journal, seal, signatures
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
        retirement.Item(ref=reference("containers", 'a "1" é'), name="10.0.0.1", stage="buckets", choice="residue"),
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
    return plan(people, **changed).encode()


PURGED = datetime(2026, 2, 1, 12, tzinfo=timezone.utc)
"""When the purge of the sample began."""


def purge(people: People, evidence: Path, **changed: Any) -> Path:
    """An evidence directory as a finished purge of `plan` leaves it, and the sealed plan beside it."""
    evidence.mkdir(parents=True, exist_ok=True)
    data = sealed(people, **changed)
    path = people.folder / "acme.retirement.json"
    path.write_bytes(data)
    for name, signature in people.sign(data, *NAMES).items():
        path.with_name(f"{path.name}.{name}.sig").write_bytes(signature)
    moments = (PURGED + timedelta(seconds=number) for number in range(1000))
    ledger = str(evidence / "ledger.jsonl")
    book = journal.Journal(ledger, "acme", seal.digest(data), "run-1", clock=lambda: next(moments))
    book.note("run_begin", of="purge", objects=3)
    for gate in ("accepted", "timers"):
        book.note("gate", name=gate, open=True, why=f"{gate}: as it must be", evidence={"read": gate})
    for item in plan(people, **changed).items:
        book.intent("purge", item.ref, "delete", last=True, size_gib=item.ref.size_gib, takes=item.takes)
        book.outcome("purge", item.ref, "delete", "done", status=202, request_id=f"req-{item.ref.id}")
        book.outcome("purge", item.ref, "read", "absent", how="get and list")
    book.note("run_end", of="purge", objects=3, stopped="")
    return path


class TimeStamping:
    """A time-stamping authority on loopback: `openssl ts -reply` behind HTTP."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "tsa.cnf").write_text(
            "[req]\ndistinguished_name=dn\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n"
            "[ts]\nextendedKeyUsage=critical,timeStamping\nkeyUsage=digitalSignature\n"
            "[tsa]\ndefault_tsa=one\n[one]\nserial=serial\nsigner_digest=sha256\ndefault_policy=1.2.3.4\n"
            "digests=sha256\naccuracy=secs:1\nordering=no\ness_cert_id_alg=sha256\n"
        )
        (folder / "serial").write_text("01\n")
        new = ["req", "-config", "tsa.cnf", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self.run(*new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-extensions", "ca")
        self.run(*new, "-keyout", "ts.key", "-out", "ts.csr", "-subj", "/CN=Test TSA")
        sign = ["-req", "-in", "ts.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "ts.pem"]
        self.run("x509", *sign, "-extfile", "tsa.cnf", "-extensions", "ts")
        self.asked = 0
        self.answer: bytes | None = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.asked += 1
                query = self.rfile.read(int(self.headers["Content-Length"]))
                body = outer.answer if outer.answer is not None else outer.reply(query)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *dummy: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/"

    def reply(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        sign = ["-config", "tsa.cnf", "-signer", "ts.pem", "-inkey", "ts.key", "-chain", "ca.pem"]
        self.run("ts", "-reply", *sign, "-queryfile", "query", "-out", "answer")
        return (self.folder / "answer").read_bytes()

    def run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
