# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published heads: signed statements of how far a ledger was at a moment, so that it cannot be shortened or rewritten.

    heads/<seq>.json        the statement, canonical JSON and one newline
    heads/<seq>.json.sig    its signature (`ssh-keygen -Y sign -n cloudexit-ledger-head`), by a `ledger:` key
    heads/<seq>.json.tsr    a time stamp of it (RFC 3161), where an authority was given

They are worth what they are away from the ledger: in a store, in a letter, with the customer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import (
    chain,
    evidence,
    signatures,
    timestamps,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import canonical, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    InvalidInput,
    NotFound,
    Problem,
    Refused,
)

KIND = "cloudexit.head"
VERSION = 1
NAMESPACE = "cloudexit-ledger-head"
ROLE = "ledger"
"""Role of the keys that sign heads and certificates."""
FOLDER = "heads"
_FILE = re.compile(r"\d{8,}\.json")


@dataclass(frozen=True, kw_only=True)
class Head:
    """How far a ledger was. ledger: hash of its first record, which says which ledger; time: when this was stated."""

    kind: str
    version: int
    tenant: str
    ledger: str
    seq: int
    hash: str
    time: str

    def encode(self) -> bytes:
        return canonical.dumps(schema.dump(self)) + b"\n"


@dataclass(frozen=True)
class Published:
    """A head as it stands in its folder. files: name → content of all that belongs to it, new: of what was missing."""

    head: Head
    files: dict[str, bytes]
    new: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Checked:
    """What became of a check: all problems, the heads that are sound, in order."""

    problems: list[Problem]
    heads: list[Head]


def publish(
    ledger: str,
    folder: str,
    key: str,
    signers: signatures.Signers,
    now: datetime,
    authority: timestamps.Authority | None = None,
    *,
    dry_run: bool = False,
) -> Published:
    """State how far the ledger is, and put that into `folder`. A head that is there already stays as it is.

    Raises NotFound (no ledger), Refused when the ledger or a head of the folder is not sound, when the ledger is empty
    or when the key is not one that `signers` allows; what signing and time-stamping raise. In a dry run nothing is
    signed, asked for or written.
    """
    found = chain.verify(ledger)
    records = chain.read(ledger)
    problems = found.problems + (check(records, [folder], signers).problems if os.path.isdir(folder) else [])
    if problems or not records:
        told = "; ".join(str(problem) for problem in problems[:5]) or "it is empty"
        hint = "Nothing was signed. Run verify_ledger, compare it with its copies, and find out who wrote to it."
        raise Refused(f"No head of the ledger {ledger} is published: it is not sound", cause=told, hint=hint)
    last = records[-1]
    name = f"{last['seq']:08d}.json"
    there = _files(folder, name)
    head = Head(
        kind=KIND,
        version=VERSION,
        tenant=str(last["tenant"]),
        ledger=str(records[0]["hash"]),
        seq=last["seq"],
        hash=str(last["hash"]),
        time=now.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    if name in there:
        head = load(there[name], name)
    text = there.get(name, head.encode())
    wanted = [name, f"{name}.sig", *([f"{name}.tsr"] if authority else [])]
    if dry_run:
        return Published(head, there, dict.fromkeys((one for one in wanted if one not in there), b""))
    new: dict[str, bytes] = {name: text} if name not in there else {}
    if f"{name}.sig" not in there:
        new[f"{name}.sig"] = signed(text, key, NAMESPACE, signers, now)
    if authority and f"{name}.tsr" not in there:
        new[f"{name}.tsr"] = timestamps.stamp(text, authority)
    for one in sorted(new, reverse=True):  # the statement itself last: one that is there is complete
        evidence.write_atomic(os.path.join(folder, one), new[one], 0o644)
    return Published(head, {**there, **new}, new)


def signed(data: bytes, key: str, namespace: str, signers: signatures.Signers, now: datetime) -> bytes:
    """The signature of something of the ledger, by a key that `signers` allows as `ledger:`. Raises Refused."""
    signature = signatures.sign(data, key, namespace)
    signer, wrong = signatures.verify(data, signature, signers, namespace, now)
    if signer is None or signer.role != ROLE:
        raise Refused(
            f"The key {key} may not sign for the ledger",
            cause=wrong or f"it is {signer.principal if signer else 'nobody'}, not {ROLE}:<name>",
            hint=f"Add its public key to the allowed signers as {ROLE}:<name>.",
        )
    return signature


def check(
    records: Sequence[dict[str, Any]], folders: Sequence[str], signers: signatures.Signers, ca_file: str = ""
) -> Checked:
    """All heads of the folders against the records of a chain. ca_file: certificates that time stamps are checked with.

    A signature is checked as of the time that its head states. Raises NotFound when a folder is missing,
    CloudExitError.
    """
    problems: list[Problem] = []
    heads: list[Head] = []
    for folder in folders:
        for name in _names(folder):
            head, wrong = _check(records, _files(folder, name), name, signers, ca_file)
            problems += [Problem(os.path.join(folder, name), said) for said in wrong]
            if head is not None and not wrong:
                heads.append(head)
    return Checked(problems, sorted(heads, key=lambda head: (head.seq, head.time)))


def load(text: bytes, what: str = "The head") -> Head:
    """The bytes of a head. Raises InvalidInput."""
    data = canonical.loads(text)
    head, problems = schema.load(Head, data)
    if head is not None and (head.kind, head.version) != (KIND, VERSION):
        problems = [Problem("kind", f"must be {KIND}, version {VERSION}")]
    elif head is not None and head.encode() != text:
        problems = [Problem("(document)", "is not in canonical form")]
    if head is None or problems:
        raise InvalidInput(f"{what} is not valid", problems)
    return head


def _check(
    records: Sequence[dict[str, Any]], files: dict[str, bytes], name: str, signers: signatures.Signers, ca_file: str
) -> tuple[Head | None, list[str]]:
    text = files[name]
    try:
        head = load(text)
        at = datetime.fromisoformat(head.time.replace("Z", "+00:00"))
    except InvalidInput as error:
        return None, [f"is no head: {problem}" for problem in error.problems]
    except ValueError:
        return None, ["is no head: its time is none"]
    wrong = list(_signature(files, name, signers, at))
    if f"{name}.tsr" in files and ca_file:
        said = timestamps.verify(text, files[f"{name}.tsr"], ca_file)
        wrong += [f"its time stamp is not valid: {said}"] if said else []
    held = records[head.seq - 1] if 0 < head.seq <= len(records) else None
    if not records or records[0]["hash"] != head.ledger:
        wrong.append(f"is of another ledger ({head.ledger}), or this one was written anew")
    elif held is None:
        wrong.append(f"the ledger ends before record {head.seq}: records were removed")
    elif held["hash"] != head.hash:
        wrong.append(f"record {head.seq} is another one now: records were removed or rewritten")
    return head, wrong


def _signature(files: dict[str, bytes], name: str, signers: signatures.Signers, at: datetime) -> Iterator[str]:
    if f"{name}.sig" not in files:
        yield "is not signed"
        return
    signer, said = signatures.verify(files[name], files[f"{name}.sig"], signers, NAMESPACE, at)
    if signer is None:
        yield f"its signature is not valid: {said}"
    elif signer.role != ROLE:
        yield f"is signed by {signer.principal}, not by {ROLE}:<name>"


def _names(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if _FILE.fullmatch(name))
    except FileNotFoundError as error:
        raise NotFound(f"There is no folder of heads {folder}", hint="ledger_head publishes heads.") from error
    except OSError as error:
        raise CloudExitError(f"Could not read the heads {folder}", cause=error.strerror or "") from error


def _files(folder: str, name: str) -> dict[str, bytes]:
    """The files of one head that are there; none without the statement itself, which is written last."""
    found: dict[str, bytes] = {}
    for one in (name, f"{name}.sig", f"{name}.tsr"):
        data = evidence.read_bytes(os.path.join(folder, one))
        if data is None and one == name:
            break
        if data is not None:
            found[one] = data
    return found
