# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Escrow: the disks of a workload, encrypted, in a store of the customer's; read back, decrypted and compared once.

A pass (`transfer`) whose target is a store of objects. Below `<tenant>/<server id>/<pass>/`:

    disk-<n>/<part>.cms   a part of the disk's stream-optimised VMDK, at most PART bytes before encryption (see `cms`)
    escrow.json           what there is, written last: canonical JSON, with the SHA-256 of every part

So `openssl cms -decrypt` and `cat` give a disk back as a file that any hypervisor reads (docs/escrow.md). A copy is
never replaced by a later one, and never removed here once it is verified.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import cms
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.transfer import (
    IMPORTED,
    IMPORTING,
    VERIFIED,
    Machine,
    Produce,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.vmdk_decode import Readable
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import stores
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import canonical, names
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks

KIND = "cloudexit.escrow"
VERSION = 1
INDEX = "escrow.json"
PART = 32 << 20
"""Bytes of a stream that are encrypted and stored together."""


Store = stores.Store


def store_of(options: Mapping[str, Any]) -> Store:
    """The store that the option `store` names (doc fragment `store`). Raises InvalidInput with all that is wrong."""
    name = str(options["place"])
    if not name.startswith("s3://"):
        return stores.Directory(os.path.abspath(os.path.expanduser(name)))
    bucket, dummy, prefix = name.removeprefix("s3://").partition("/")
    until = str(options.get("retain_until") or "")
    try:
        retain = datetime.fromisoformat(until.replace("Z", "+00:00")) if until else None
    except ValueError:
        retain = None
    problems = [] if bucket else [Problem("store.place", "must be a directory or s3://bucket/prefix")]
    if until and (retain is None or retain.tzinfo is None):
        problems.append(Problem("store.retain_until", "must be a moment like 2027-06-30T00:00:00Z"))
    if problems:
        raise InvalidInput("The store cannot be used", problems)
    return stores.S3(
        bucket,
        prefix=prefix.strip("/"),
        endpoint=str(options.get("endpoint_url") or ""),
        region=str(options.get("region") or ""),
        access_key=str(options.get("access_key") or ""),
        secret_key=str(options.get("secret_key") or ""),
        ca_file=str(options.get("ca_cert") or ""),
        retain_until=retain,
    )


@dataclass(frozen=True)
class Keys:
    """Who can open a copy, and what opens it again for the proof.

    recipients: certificates (PEM) of the customer and of whoever restores. key: the private key (PEM) of one of them.
    """

    recipients: tuple[str, ...]
    key: str = field(repr=False)


@dataclass(frozen=True)
class Part:
    """A stored part: its object, its bytes as they are stored, their SHA-256 (hex)."""

    name: str
    bytes: int
    sha256: str


class Writer:
    """Takes a stream in pieces of any size; encrypts and stores it part by part."""

    def __init__(self, store: Store, keys: Keys, prefix: str) -> None:
        self.parts: list[Part] = []
        self.total = 0
        self._store = store
        self._keys = keys
        self._prefix = prefix
        self._held = bytearray()
        self._hash = hashlib.sha256()

    def write(self, piece: bytes) -> None:
        """Take a piece."""
        self._hash.update(piece)
        self.total += len(piece)
        self._held += piece
        while len(self._held) >= PART:
            self._put(bytes(self._held[:PART]))
            del self._held[:PART]

    def finish(self) -> dict[str, Any]:
        """Store the rest, and tell what there is: {parts, bytes, sha256} of the stream before encryption."""
        if self._held or not self.parts:
            self._put(bytes(self._held))
            self._held.clear()
        return {
            "parts": [{"name": p.name, "bytes": p.bytes, "sha256": p.sha256} for p in self.parts],
            "bytes": self.total,
            "sha256": self._hash.hexdigest(),
        }

    def _put(self, data: bytes) -> None:
        sealed = cms.seal(data, self._keys.recipients)
        name = f"{self._prefix}{len(self.parts):06d}.cms"
        self._store.put(name, sealed)
        self.parts.append(Part(name, len(sealed), hashlib.sha256(sealed).hexdigest()))


def restore(store: Store, keys: Keys, about: Mapping[str, Any]) -> Iterator[bytes]:
    """The stream that `Writer.finish` told of, part by part.

    Raises CloudExitError where a part is not what was stored, does not open, or the whole is another stream.
    """
    whole = hashlib.sha256()
    for part in about["parts"]:
        sealed = store.get(str(part["name"]))
        if hashlib.sha256(sealed).hexdigest() != part["sha256"]:
            raise CloudExitError(
                f"The escrow's part {part['name']} is not what was stored", cause="its SHA-256 differs"
            )
        data = cms.open_sealed(sealed, keys.key)
        whole.update(data)
        yield data
    if whole.hexdigest() != about["sha256"]:
        raise CloudExitError("What the escrow gave back is another stream than was stored", cause="its SHA-256 differs")


def home(tenant: str, source_id: str) -> str:
    """Where the copies of a source object are, with a slash at the end."""
    return f"{names.slug(tenant)}/{names.slug(source_id)}/"


class EscrowTarget:
    """The target of a pass into a store."""

    sized = False

    def __init__(self, workload: Workload, store: Store, keys: Keys, *, spool_dir: str, pass_id: str = "") -> None:
        """pass_id: the pass whose copy counts; empty: the newest that is verified."""
        if not keys.key:
            raise InvalidInput(
                "The escrow cannot be proven",
                [Problem("key", "must be the private key of one of the recipients: the copy is restored once")],
            )
        self.workload = workload
        self.store = store
        self.keys = keys
        self.spool_dir = Path(spool_dir)
        self.pass_id = pass_id
        self.prints = [cms.fingerprint(one) for one in keys.recipients]
        self._home = home(workload.tenant, workload.server_id)

    @property
    def trace(self) -> str:
        return ""

    def find(self) -> Machine | None:
        """The copy of this pass; where none is named, the newest that is verified, else the newest that is whole."""
        found = []
        for key in self.store.keys(self._home):
            if key.endswith(f"/{INDEX}"):
                index = self._index(key.removesuffix(INDEX))
                if self.pass_id not in ("", index["marks"].get("pass")):
                    continue
                found.append((index["marks"].get("state") == VERIFIED, str(index["marks"].get("frozen_at", "")), index))
        if not found:
            return None
        index = max(found, key=lambda one: one[:2])[2]
        return Machine(str(index["prefix"]), self.workload.host, False, index["marks"], {"recipients": self.prints})

    def owns(self, machine: Machine) -> bool:
        return self.workload.marks.owns(
            Marks(str(machine.marks.get("tenant", "")), str(machine.marks.get("source_id", "")))
        )

    def abort_stale(self, lease_ref: str) -> None:
        """What a dead job stored of a disk is stored anew under the same names."""

    def destroy(self, machine: Machine) -> None:
        """Forget a copy that is not proven."""
        if machine.state not in (IMPORTING, IMPORTED):
            raise Conflict(f"The escrow copy {machine.ref} is verified", hint="Nothing removes it before its date.")
        for key in self.store.keys(machine.ref):
            self.store.remove(key)

    def open_import(self, marks: Mapping[str, str], lengths: Mapping[int, int] | None = None) -> _Import:
        return _Import(self, f"{self._home}{marks['pass']}/", marks)

    def mark(self, ref: str, marks: Mapping[str, str]) -> None:
        index = self._index(ref)
        index["marks"] = {**index["marks"], **marks}
        self.write(index)

    def open_export(self, ref: str) -> _Export:
        return _Export(self, self._index(ref))

    def close(self) -> None:
        """Nothing is open."""

    def write(self, index: Mapping[str, Any]) -> None:
        """Store an index."""
        self.store.put(f"{index['prefix']}{INDEX}", canonical.dumps(index) + b"\n")

    def _index(self, prefix: str) -> dict[str, Any]:
        found = canonical.loads(self.store.get(f"{prefix}{INDEX}"))
        if not isinstance(found, dict) or (found.get("kind"), found.get("version")) != (KIND, VERSION):
            raise Conflict(f"{prefix}{INDEX} in the escrow is not an index of ours", hint="Nothing was changed.")
        return found


class _Import:
    def __init__(self, target: EscrowTarget, prefix: str, marks: Mapping[str, str]) -> None:
        self.target = target
        self.ref = prefix
        self.marks = marks
        self._disks: dict[int, dict[str, Any]] = {}

    def send(self, index: int, produce: Produce, length: int | None) -> None:
        writer = Writer(self.target.store, self.target.keys, f"{self.ref}disk-{index}/")
        produce(writer.write)
        self._disks[index] = writer.finish()

    def progress(self, percent: int) -> None:
        """A store is not told."""

    def complete(self) -> str:
        workload = self.target.workload
        self.target.write(
            {
                "kind": KIND,
                "version": VERSION,
                "prefix": self.ref,
                "format": "VMDK, stream-optimised; CMS AuthEnvelopedData, AES-256-GCM, DER",
                "recipients": self.target.prints,
                "marks": {"tenant": workload.tenant, "source_id": workload.server_id, **self.marks},
                "disks": [self._disks[index] for index in sorted(self._disks)],
            }
        )
        return self.ref

    def abort(self, message: str) -> None:
        """Take away what was stored."""
        for key in self.target.store.keys(self.ref):
            self.target.store.remove(key)


class _Export:
    def __init__(self, target: EscrowTarget, index: Mapping[str, Any]) -> None:
        self.target = target
        self.index = index

    @contextmanager
    def fetch(self, index: int) -> Iterator[Readable]:
        """The disk's stream, restored to a scratch file first."""
        if index >= len(self.index["disks"]):
            raise NotFound(f"Disk {index + 1} of {self.target.workload.host} is not in the escrow")
        path = self.target.spool_dir / f"restored-{index}.vmdk"
        try:
            with open(path, "wb", opener=lambda name, flags: os.open(name, flags | os.O_CLOEXEC, 0o600)) as scratch:
                for piece in restore(self.target.store, self.target.keys, self.index["disks"][index]):
                    scratch.write(piece)
            with open(path, "rb") as stream:
                yield stream
        finally:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def ranged(self, index: int) -> None:
        """What is in escrow is restored and compared as a whole, whatever the plan says of the target."""

    def progress(self, percent: int) -> None:
        """A store is not told."""

    def complete(self) -> None:
        """Nothing is open."""

    def abort(self, message: str) -> None:
        """Nothing is open."""


def keep_files(store: Store, keys: Keys, prefix: str, files: Sequence[tuple[str, bytes]]) -> dict[str, Any]:
    """Documents (name, content), encrypted, restored once and compared: the index, which is stored too.

    They are stored under numbers: no name becomes a key. Raises CloudExitError where something else came back.
    """
    index: dict[str, Any] = {
        "kind": KIND,
        "version": VERSION,
        "prefix": prefix,
        "recipients": [cms.fingerprint(one) for one in keys.recipients],
        "files": [],
    }
    for number, (name, content) in enumerate(files):
        writer = Writer(store, keys, f"{prefix}file-{number}/")
        writer.write(content)
        about = {"name": name, **writer.finish()}
        if b"".join(restore(store, keys, about)) != content:
            raise CloudExitError(f"What the escrow gave back of {name} is not what was kept")
        index["files"].append(about)
    store.put(f"{prefix}{INDEX}", canonical.dumps(index) + b"\n")
    return index
