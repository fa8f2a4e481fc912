# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate, of migration or of erasure: what a ledger shows, as data that is signed and printed.

It says no more than the ledger does. What a service was told to delete, and then no longer knew, is a logical deletion;
what became of the storage below is for its operator to state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import (
    Kept,
    Tenant,
    Timer,
    Waiver,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.schema import doc

KIND = "cloudexit.certificate"
VERSION = 1
NAMESPACE = "cloudexit-certificate"
"""The namespace of its signatures (`ssh-keygen -Y sign -n`)."""

Purpose = Literal["migration", "erasure"]
Method = Literal["api_deletion", "cryptographic_erase"]
"""How an object was erased. api_deletion: the service was told to delete it and then no longer knew it.
cryptographic_erase: that, and the one key that it was encrypted with is gone, as the ledger shows."""

CLAIMS = re.compile(
    r"\b(saniti[sz]\w*|purged|purging|wip(ed|ing)|shredd\w*|destroy\w*|destruction|degauss\w*|overwrit\w*|permanent(ly)?"
    r"|irreversibl\w*|irrecoverabl\w*|irretrievabl\w*|unrecoverabl\w*|beyond recovery|securely"
    r"|purgée?s?|assaini\w*|détrui\w*|détruct\w*|broy(é|age)\w*|démagnétis\w*|écras(é|ement)\w*|définitive?(ment|s)?"
    r"|irréversibl\w*|irrécupérabl\w*|effacement sécurisé)\b",
    re.IGNORECASE,
)
"""Words that claim more than a deletion by API. None may stand in a certificate that has nothing more to show."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What people state and no ledger knows."""

    contract: str = field(default="", metadata=doc("number or name of the contract"))
    controller: str = field(default="", metadata=doc("who decides on the data: the customer"))
    processor: str = field(default="", metadata=doc("who processes them on the customer's behalf"))
    contact: str = field(default="", metadata=doc("whom to ask"))
    basis: str = field(default="", metadata=doc("legal basis: article, clause of the contract"))
    choice: str = field(default="", metadata=doc("what the customer chose: return, delete, erase only"))
    executed_by: str = field(default="", metadata=doc("who executed it; another person than who verified it"))
    verified_by: str = field(default="", metadata=doc("who verified it"))
    notice_sent: str = field(default="", metadata=doc("when the erasure was announced"))
    retrieval_until: str = field(default="", metadata=doc("until when the data could be retrieved"))
    escrow: str = field(default="", metadata=doc("where the encrypted copy is kept, if there is one"))
    escrow_until: str = field(default="", metadata=doc("until when"))
    backups: str = field(default="", metadata=doc("what backups of the provider's still hold, and until when"))
    media: str = field(
        default="",
        metadata=doc("what the operator of the infrastructure states of the storage media; quoted as theirs"),
    )


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What it is about."""

    projects: list[str] = field(metadata=doc("ids of the projects"))
    regions: list[str] = field(metadata=doc("regions"))
    kinds: list[str] = field(metadata=doc("kinds of objects that were there"))


@dataclass(frozen=True, kw_only=True)
class PlanOf:
    """The sealed plan that was carried out."""

    digest: str = field(metadata=doc("SHA-256 of its file"))
    estate: str = field(metadata=doc("digest of the estate, the inventory before"))
    expires: str = field(metadata=doc("when it could no longer be used"))
    made: str = field(metadata=doc("when it was made, UTC"))
    migration: str = field(default="", metadata=doc("digest of the migration plan"))
    policy: str = field(default="", metadata=doc("digest of the retirement policy"))
    tool: str = field(default="", metadata=doc("collection and version"))


@dataclass(frozen=True, kw_only=True)
class Asset:
    """An object that was erased."""

    kind: str = field(metadata=doc("one of the estate's kinds"))
    id: str = field(metadata=doc("id"))
    name: str = field(default="", metadata=doc("name"))
    created: str = field(default="", metadata=doc("when it was made, as the service says"))
    size_gib: float = field(default=0.0, metadata=doc("what it stored, GiB"))
    choice: str = field(default="", metadata=doc("moved, erased, exported, residue"))
    why: str = field(default="", metadata=doc("the same in words"))
    key: str = field(default="", metadata=doc("id of the key that it was encrypted with"))
    covers: list[str] = field(default_factory=list, metadata=doc("objects (kind/id) that vanished with it"))
    method: Method = field(metadata=doc("how, no better than the ledger shows"))
    started: str = field(metadata=doc("intent of the first call, UTC"))
    ended: str = field(metadata=doc("when it was read back as absent, UTC"))
    calls: list[str] = field(default_factory=list, metadata=doc("calls that the service took, in order"))
    requests: list[str] = field(default_factory=list, metadata=doc("the service's ids of these requests"))
    verified: str = field(metadata=doc("how its absence was read"))
    record: int = field(metadata=doc("number of the record that says so"))


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A disk that was moved."""

    label: str = field(metadata=doc("its label at the target"))
    volume: str = field(metadata=doc("id of the source volume"))
    bytes: int = field(metadata=doc("size"))
    proof: Literal["full", "sampled"] = field(
        metadata=doc("full: all of it was read back and is equal; sampled: only some of it was")
    )
    manifest: str = field(metadata=doc("root of the manifest of what was sent"))
    before: str = field(default="", metadata=doc("root of the manifest of the source, before adaptation"))
    compared: str = field(default="", metadata=doc("of a sampled disk: chunks compared, of all that hold data"))


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A workload that was moved."""

    workload: str = field(metadata=doc("key of the workload in the plan"))
    name: str = field(default="", metadata=doc("name of the source server"))
    source: str = field(metadata=doc("id of the source server"))
    target: str = field(default="", metadata=doc("the machine at the target"))
    place: str = field(default="", metadata=doc("where that is"))
    fenced: str = field(metadata=doc("when the source was fenced, UTC"))
    disks: list[Disk] = field(default_factory=list, metadata=doc("its disks"))
    checks: list[str] = field(default_factory=list, metadata=doc("checks of the started machine, all passed"))
    record: int = field(metadata=doc("number of the record of the fence"))


@dataclass(frozen=True, kw_only=True)
class Total:
    """Assets of one kind, erased in one way."""

    kind: str = field(metadata=doc("kind"))
    method: Method = field(metadata=doc("how"))
    count: int = field(metadata=doc("number of objects"))
    size_gib: float = field(metadata=doc("what they stored, GiB"))


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A condition of the erasure as it was judged the last time."""

    name: str = field(metadata=doc("name"))
    why: str = field(default="", metadata=doc("why it was open"))
    at: str = field(metadata=doc("when it was judged, UTC"))
    evidence: dict[str, Any] = field(default_factory=dict, metadata=doc("what it was judged by"))


@dataclass(frozen=True, kw_only=True)
class Approval:
    """Somebody who signed the plan."""

    role: str = field(metadata=doc("role"))
    person: str = field(metadata=doc("person, as in the file of allowed signers"))
    fingerprint: str = field(metadata=doc("fingerprint of the key"))


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The ledger that all of this is from, as far as it was."""

    head: str = field(metadata=doc("hash of its last record"))
    ledger: str = field(metadata=doc("hash of its first record"))
    records: int = field(metadata=doc("number of records"))


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The whole document."""

    kind: str = field(metadata=doc(f"always {KIND}"))
    version: int = field(metadata=doc("version of this form"))
    id: str = field(metadata=doc("its id"))
    purpose: Purpose = field(metadata=doc("of what"))
    issued: str = field(metadata=doc("when, UTC"))
    tenant: Tenant = field(metadata=doc("whose it is"))
    terms: Terms = field(metadata=doc("what people state"))
    scope: Scope = field(metadata=doc("what it is about"))
    chain: Chain = field(metadata=doc("the ledger that it is from"))
    plan: PlanOf | None = field(default=None, metadata=doc("of an erasure: the sealed plan"))
    assets: list[Asset] = field(default_factory=list, metadata=doc("of an erasure: what was erased"))
    totals: list[Total] = field(default_factory=list, metadata=doc("the same, counted"))
    moved: list[Moved] = field(default_factory=list, metadata=doc("of a migration: what was moved"))
    others: dict[str, str] = field(
        default_factory=dict, metadata=doc("of a migration: workloads of the ledger that it does not certify, and why")
    )
    kept: list[Kept] = field(default_factory=list, metadata=doc("what stays, and why"))
    gates: list[Gate] = field(default_factory=list, metadata=doc("conditions, all met"))
    timers: list[Timer] = field(default_factory=list, metadata=doc("from when until when it could be erased"))
    waivers: list[Waiver] = field(default_factory=list, metadata=doc("exceptions, in writing"))
    approvals: list[Approval] = field(default_factory=list, metadata=doc("who signed the plan"))
    executed: list[str] = field(default_factory=list, metadata=doc("runs that carried it out"))
    started: str = field(default="", metadata=doc("first of its acts, UTC"))
    ended: str = field(default="", metadata=doc("last of its acts, UTC"))
    statements: dict[str, list[str]] = field(
        default_factory=dict, metadata=doc("what is certified, how it was done, what is not shown; by language")
    )

    @property
    def only_deleted(self) -> bool:
        """Whether nothing in it is more than a deletion by API."""
        return all(asset.method == "api_deletion" for asset in self.assets)


def load(data: Any, what: str = "The certificate") -> Certificate:
    """Plain data as a Certificate. Raises InvalidInput with all problems."""
    problems: list[Problem] = []
    if isinstance(data, dict) and (data.get("kind"), data.get("version")) != (KIND, VERSION):
        problems.append(Problem("kind", f"must be {KIND}, version {VERSION}: is this a certificate?"))
    found, more = schema.load(Certificate, data) if not problems else (None, [])
    problems += more
    if found is None or problems:
        raise InvalidInput(f"{what} is not valid", problems)
    return found
