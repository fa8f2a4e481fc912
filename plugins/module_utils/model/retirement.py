# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The retirement plan: the exact list of what a decommission deletes, what it keeps and why. Sealed, never edited.

It is written by `decommission --tags plan`, reviewed and signed by people, and is the only place that quarantine and
purge take ids from: there is no selector, name, age or wildcard in it. Its text is canonical JSON (RFC 8785) and one
newline; people sign exactly these bytes (docs/decommission.md).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import canonical, kinds, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.schema import doc

KIND = "cloudexit.retirement"
VERSION = 1
NAMESPACE = "cloudexit-retirement"
"""The namespace of its signatures (`ssh-keygen -Y sign -n`)."""

Stage = Literal[
    "freeze",
    "front_doors",
    "orchestrators",
    "managed_data",
    "servers",
    "images",
    "backups",
    "volumes",
    "addresses",
    "nat",
    "file_systems",
    "network",
    "names",
    "watching",
    "buckets",
    "keys",
]
"""The order of a purge: what depends on others first, data after what uses it, keys last and alone."""

STAGES: tuple[Stage, ...] = get_args(Stage)

Choice = Literal["moved", "erased", "exported", "residue"]
"""Why an object may go. moved: it is at the target, proven; erased: the customer wants it deleted and not moved;
exported: it was handed over; residue: nothing that stays uses it, and it holds no data of its own."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What an object is. A difference in any part stops a run; an id of one kind is never taken for another's."""

    kind: str = field(metadata=doc("one of the estate's kinds"))
    cloud: str = field(metadata=doc("host of the identity service"))
    region: str = field(metadata=doc("region"))
    project: str = field(metadata=doc("id of the project"))
    id: str = field(metadata=doc("id"))
    created: str = field(default="", metadata=doc("when it was made, as the service says; empty where it does not"))
    size_gib: float = field(default=0.0, metadata=doc("what it stores, GiB"))

    @property
    def key(self) -> str:
        """`kind/id`: what lists of this document name an object by."""
        return f"{self.kind}/{self.id}"


@dataclass(frozen=True, kw_only=True)
class Item:
    """An object that is deleted."""

    ref: Reference = field(metadata=doc("what it is"))
    name: str = field(default="", metadata=doc("its name, for people; a rename stops the run"))
    stage: Stage = field(metadata=doc("when its turn is"))
    choice: Choice = field(metadata=doc("why it may go"))
    why: str = field(default="", metadata=doc("the same in words: moved to what, by whose decision"))
    workload: str = field(default="", metadata=doc("workload of the migration plan that it belongs to"))
    seen: dict[str, Any] = field(
        default_factory=dict, metadata=doc("what it was like; compared with what is there just before its turn")
    )
    after: list[str] = field(default_factory=list, metadata=doc("objects (kind/id) that must be absent before"))
    takes: list[str] = field(
        default_factory=list, metadata=doc("objects (kind/id) that vanish with it; all of them are in this list too")
    )
    restorable: str = field(default="", metadata=doc("what can still be restored of it, and until when"))
    works: bool = field(
        default=False,
        metadata=doc(
            "whether it works until its turn: a reader host, through which what moved is read again on the day, and "
            "what that needs. It is not put to rest, and what we do with it is no sign of life"
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Kept:
    """An object that stays."""

    kind: str = field(metadata=doc("one of the estate's kinds"))
    id: str = field(metadata=doc("id"))
    name: str = field(default="", metadata=doc("name"))
    reason: str = field(
        metadata=doc(
            "not_migrated, not_verified, not_accepted, undecided, shared, held, foreign, needed, protected, "
            "unreadable, not_an_object"
        )
    )
    detail: str = field(default="", metadata=doc("what makes it so: the hold, the object that needs it, …"))
    until: str = field(default="", metadata=doc("until when, where that is known"))


@dataclass(frozen=True, kw_only=True)
class Timer:
    """A moment before which, or after which, nothing is erased, and the rule behind it."""

    rule: str = field(metadata=doc("id of the rule: retrieval, notice, soak, contract_end, …"))
    bound: Literal["not_before", "not_after"] = field(metadata=doc("which side it bounds"))
    at: str = field(metadata=doc("moment, UTC"))
    basis: str = field(default="", metadata=doc("article, contract or policy that says so"))


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much at once. A run that would do more stops."""

    canary: int = field(default=1, metadata=doc("objects that are deleted alone at first"))
    then_percent: float = field(default=5.0, metadata=doc("share of the plan that follows, before all the rest"))
    objects_per_run: int = field(default=500, metadata=doc("objects that one run deletes"))
    objects_per_day: int = field(default=1000, metadata=doc("objects that are deleted in one day (UTC)"))
    gib_per_run: float = field(default=10240.0, metadata=doc("GiB that one run deletes"))
    share_percent_per_day: float = field(
        default=100.0, metadata=doc("share of the tenant's objects that goes in one day")
    )


@dataclass(frozen=True, kw_only=True)
class Approvals:
    """Who must have signed."""

    needed: int = field(metadata=doc("people who must sign"))
    roles: list[str] = field(
        default_factory=list, metadata=doc("roles that must be among them: customer, operations, security")
    )
    signers: str = field(metadata=doc("digest of the file of allowed signers"))


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """An exception that somebody put in writing before the plan was sealed."""

    gate: str = field(metadata=doc("gate that it is about"))
    objects: list[str] = field(default_factory=list, metadata=doc("objects (kind/id) that it is for; empty: all"))
    by: str = field(metadata=doc("who decided"))
    at: str = field(metadata=doc("when, UTC"))
    why: str = field(metadata=doc("why"))


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """Whose objects these are."""

    name: str = field(metadata=doc("short name, as in the migration plan"))
    project_id: str = field(metadata=doc("id of the project"))
    project_name: str = field(default="", metadata=doc("name of the project"))
    domain_id: str = field(default="", metadata=doc("id of its domain"))
    region: str = field(default="", metadata=doc("region"))
    cloud: str = field(default="", metadata=doc("host of the identity service"))


@dataclass(frozen=True, kw_only=True)
class Made:
    """Where the plan comes from."""

    at: str = field(metadata=doc("when, UTC"))
    user_id: str = field(
        metadata=doc("id of the user whose credential read the tenant; must not be the one that purges")
    )
    estate: str = field(metadata=doc("digest of the estate; two readings gave the same"))
    plan: str = field(default="", metadata=doc("digest of the migration plan"))
    policy: str = field(metadata=doc("digest of the retirement policy"))
    ledger: str = field(metadata=doc("hash of the last record of the ledger then"))
    tool: str = field(default="", metadata=doc("collection and version"))


@dataclass(frozen=True, kw_only=True)
class Who:
    """Whose credential a run uses, as its token says."""

    user_id: str
    user_name: str = ""
    cloud: str = ""
    region: str = ""
    project_id: str = ""
    domain_id: str = ""
    roles: tuple[str, ...] = ()
    scope: Literal["project", "domain", "system", "none"] = "project"
    domain_admin: bool = False
    """Whether it could administer more than the one project; not knowing counts as yes."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change of a quarantine that can be undone exactly: what it is called, what was there, what is there then.

    before, after: JSON values; what they mean is the business of whoever made the step.
    """

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the cloud answered to one call that changes something: HTTP status, its id of the request."""

    status: int
    request_id: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Retirement:
    """The whole document."""

    kind: str = field(metadata=doc(f"always {KIND}"))
    version: int = field(metadata=doc("version of this form"))
    tenant: Tenant = field(metadata=doc("whose objects these are"))
    made: Made = field(metadata=doc("where the plan comes from"))
    expires: str = field(metadata=doc("when it may no longer be used, UTC"))
    cool_off_hours: float = field(metadata=doc("hours between quarantine and purge"))
    approvals: Approvals = field(metadata=doc("who must have signed"))
    limits: Limits = field(default_factory=Limits, metadata=doc("how much at once"))
    timers: list[Timer] = field(default_factory=list, metadata=doc("from when until when it may be erased"))
    waivers: list[Waiver] = field(default_factory=list, metadata=doc("exceptions, in writing"))
    items: list[Item] = field(default_factory=list, metadata=doc("what is deleted, in order"))
    kept: list[Kept] = field(default_factory=list, metadata=doc("what stays, and why"))

    def encode(self) -> bytes:
        """The bytes of its file, which people sign: canonical JSON (RFC 8785) and one newline."""
        return canonical.dumps(schema.dump(self)) + b"\n"

    def digest(self) -> str:
        """`sha256:…` of these bytes, as `sha256sum` prints of the file."""
        return f"sha256:{hashlib.sha256(self.encode()).hexdigest()}"

    def item(self, key: str) -> Item | None:
        """The item of `kind/id`, or None."""
        return next((item for item in self.items if item.ref.key == key), None)


def load(data: Any, what: str = "The retirement plan") -> Retirement:
    """Plain data as a Retirement. Raises InvalidInput with all problems.

    Besides its form: kinds are known, all objects are the tenant's, none is there twice or both deleted and kept, and
    what an item takes along or waits for is itself in the list, before it or in its turn.
    """
    problems: list[Problem] = []
    if isinstance(data, dict) and (data.get("kind"), data.get("version")) != (KIND, VERSION):
        problems.append(Problem("kind", f"must be {KIND}, version {VERSION}: is this a retirement plan?"))
    plan, more = schema.load(Retirement, data) if not problems else (None, [])
    problems += more
    if plan is not None:
        problems += _rules(plan)
    if problems or plan is None:
        raise InvalidInput(f"{what} is not valid", problems, hint="Do not edit it: make a new one.")
    return plan


def loads(text: str | bytes, what: str = "The retirement plan") -> Retirement:
    """The text of a file as a Retirement. Raises InvalidInput with all problems."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InvalidInput(f"{what} is not valid", [Problem("(document)", f"not JSON: {exc}")]) from exc
    return load(data, what)


def _rules(plan: Retirement) -> list[Problem]:
    problems: list[Problem] = []
    place = {item.ref.key: index for index, item in enumerate(plan.items)}
    kept = {f"{entry.kind}/{entry.id}" for entry in plan.kept}
    home = (plan.tenant.cloud, plan.tenant.region, plan.tenant.project_id)
    for index, item in enumerate(plan.items):
        where, ref = f"items[{index}]", item.ref
        if ref.kind not in kinds.KINDS:
            problems.append(Problem(f"{where}.ref.kind", f"{ref.kind} is no kind of object"))
        if (ref.cloud, ref.region, ref.project) != home:
            problems.append(Problem(f"{where}.ref", f"{ref.key} is not of the tenant's cloud, region and project"))
        if not ref.id:
            problems.append(Problem(f"{where}.ref.id", "must not be empty"))
        if place[ref.key] != index:
            problems.append(Problem(where, f"{ref.key} is there twice"))
        if ref.key in kept:
            problems.append(Problem(where, f"{ref.key} is both deleted and kept"))
        problems += [Problem(f"{where}.takes", f"{key} is not in the list") for key in item.takes if key not in place]
        problems += [
            Problem(f"{where}.after", f"{key} does not come before it")
            for key in item.after
            if place.get(key, len(place)) >= index
        ]
        before = plan.items[index - 1] if index else item
        if STAGES.index(item.stage) < STAGES.index(before.stage):
            problems.append(Problem(f"{where}.stage", f"{item.stage} comes after {before.stage}"))
    return problems
