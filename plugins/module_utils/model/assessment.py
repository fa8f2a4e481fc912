# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The assessment: what was concluded from an estate and a plan, as a document. Reports and tables are made from it.

Computed, never edited; the same estate, plan, policy and observations give the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.schema import doc

KIND = "cloudexit.assessment"
VERSION = 1

Readiness = Literal["ready", "ready_with_changes", "not_ready", "unknown"]
Destination = Literal["cloud_avenue", "vsphere", "bleu", "rebuild", "retire", "customer"]
Answer = Literal["open", "agreed", "refused", "not_asked"]
"""What the customer said to a proposal. open: no answer yet; not_asked: nobody has to ask."""
Why = Literal[
    "security_group", "load_balancer", "volume", "address", "server_group", "network", "key_pair", "dns", "flow"
]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What was concluded of one server."""

    host: str = field(metadata=doc("host name in the plan"))
    server_id: str = field(metadata=doc("id of the server"))
    name: str = field(default="", metadata=doc("name of the server"))
    status: str = field(default="", metadata=doc("state of the server"))
    os: str = field(default="", metadata=doc("system, as far as known; empty where it is not"))
    cpus: int = field(default=0, metadata=doc("virtual CPUs at the source"))
    memory_mib: int = field(default=0, metadata=doc("memory at the source, MiB"))
    target_cpus: int = field(default=0, metadata=doc("virtual CPUs in the plan"))
    target_memory_mib: int = field(default=0, metadata=doc("memory in the plan, MiB"))
    disks: int = field(default=0, metadata=doc("number of volumes"))
    disk_gib: int = field(default=0, metadata=doc("size of its volumes, GiB"))
    addresses: list[str] = field(default_factory=list, metadata=doc("addresses"))
    readiness: Readiness = field(metadata=doc("whether it can move; unknown is not ready"))
    confidence: int = field(
        default=0, metadata=doc("per cent of the facts that a judgement needs that are known of it")
    )
    missing: list[str] = field(default_factory=list, metadata=doc("facts that are not known"))
    destination: Destination = field(metadata=doc("where the policy sends it"))
    answer: Answer = field(default="not_asked", metadata=doc("what the customer said to that"))
    reasons: list[str] = field(default_factory=list, metadata=doc("why there"))
    reasons_fr: list[str] = field(default_factory=list, metadata=doc("why there, in French, one for each of them"))
    move: str = field(default="none", metadata=doc("what the plan says: cold or none"))
    group: str = field(default="", metadata=doc("move group"))
    wave: str = field(default="", metadata=doc("wave"))


@dataclass(frozen=True, kw_only=True)
class Edge:
    """One workload depends on another, or two belong together. Hosts are names in the plan."""

    a: str = field(metadata=doc("host"))
    b: str = field(metadata=doc("host"))
    why: Why = field(metadata=doc("what joins them"))
    hard: bool = field(default=False, metadata=doc("whether they must cut over together"))
    directed: bool = field(default=False, metadata=doc("whether it is a that talks to b"))
    weight: int = field(default=1, metadata=doc("how much: rules, flows seen"))
    detail: str = field(default="", metadata=doc("by what: name of the group, the volume, the port"))


@dataclass(frozen=True, kw_only=True)
class Group:
    """A move group."""

    name: str = field(metadata=doc("name, as in the plan"))
    hosts: list[str] = field(default_factory=list, metadata=doc("workloads"))
    disk_gib: int = field(default=0, metadata=doc("size of their volumes, GiB"))
    wave: str = field(default="", metadata=doc("wave"))
    cut: int = field(default=0, metadata=doc("weight of the edges that lead out of it"))


@dataclass(frozen=True, kw_only=True)
class Wave:
    """A wave and how long it will take."""

    name: str = field(metadata=doc("name, as in the plan"))
    groups: list[str] = field(default_factory=list, metadata=doc("move groups"))
    workloads: int = field(default=0, metadata=doc("workloads that move"))
    disk_gib: int = field(default=0, metadata=doc("bytes to read and send, GiB"))
    start: str = field(default="", metadata=doc("begin of its window, as in the plan; empty where none is set"))
    window_s: int = field(default=0, metadata=doc("length of its window, seconds; 0 where none is set"))
    seconds: int = field(default=0, metadata=doc("expected length, seconds"))
    seconds_late: int = field(default=0, metadata=doc("length that nine of ten will not exceed, seconds"))
    rate_mib_s: float = field(default=0.0, metadata=doc("rate that this is computed with, MiB per second"))
    measured: bool = field(default=False, metadata=doc("whether the rate was measured, or stated"))
    fits: bool | None = field(default=None, metadata=doc("whether it fits its window; null where none is set"))
    bound_by: str = field(default="", metadata=doc("what makes it as long as it is"))


@dataclass(frozen=True, kw_only=True)
class Item:
    """What becomes of an object that is not a workload."""

    kind: str = field(metadata=doc("kind"))
    id: str = field(metadata=doc("id"))
    name: str = field(default="", metadata=doc("name"))
    decision: kinds.Decision = field(metadata=doc("what becomes of it"))
    note: str = field(default="", metadata=doc("why, or how"))
    size_gib: float = field(default=0.0, metadata=doc("what it stores, GiB"))


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something that changed in the tenant since the reading before."""

    op: Literal["added", "removed", "changed"] = field(metadata=doc("what happened"))
    kind: str = field(metadata=doc("kind of the object"))
    id: str = field(metadata=doc("id of the object"))
    name: str = field(default="", metadata=doc("its name"))
    path: str = field(default="", metadata=doc("what of it changed"))
    before: Any = field(default=None, metadata=doc("what it was"))
    after: Any = field(default=None, metadata=doc("what it is"))
    plan: str = field(default="", metadata=doc("what that did to the plan"))


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """The whole document."""

    kind: str = field(metadata=doc(f"always {KIND}"))
    version: int = field(metadata=doc("version of this form"))
    name: str = field(metadata=doc("short name of the tenant"))
    tenant: estates.Tenant = field(metadata=doc("the source project"))
    target: str = field(default="", metadata=doc("kind of target of the plan"))
    deadline: str = field(default="", metadata=doc("date by which the tenant must be out; empty where none was given"))
    estate: str = field(metadata=doc("digest of the estate"))
    plan: str = field(default="", metadata=doc("digest of the plan; empty while it cannot be used yet"))
    read: dict[str, estates.ReadState] = field(default_factory=dict, metadata=doc("for each kind: how it was read"))
    services: list[estates.Service] = field(default_factory=list, metadata=doc("services"))
    counts: dict[str, int] = field(default_factory=dict, metadata=doc("objects of each kind that was read"))
    workloads: list[Workload] = field(default_factory=list, metadata=doc("servers"))
    edges: list[Edge] = field(default_factory=list, metadata=doc("dependencies"))
    groups: list[Group] = field(default_factory=list, metadata=doc("move groups"))
    waves: list[Wave] = field(default_factory=list, metadata=doc("waves"))
    items: list[Item] = field(default_factory=list, metadata=doc("all other objects, with a decision each"))
    findings: list[estates.Finding] = field(default_factory=list, metadata=doc("findings"))
    drift: list[Change] = field(default_factory=list, metadata=doc("what changed since the reading before"))
    to_fill: list[str] = field(default_factory=list, metadata=doc("what people must fill in before the plan is valid"))


def to_text(assessment: Assessment) -> str:
    """As it is written to a file: JSON, two blanks of indent, one newline at the end."""
    text = json.dumps(schema.dump(assessment), indent=2, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


def loads(text: str | bytes, what: str = "The assessment") -> Assessment:
    """The text of an assessment file; raises InvalidInput with all problems."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InvalidInput(f"{what} is not valid", [Problem("(document)", f"not JSON: {exc}")]) from exc
    problems: list[Problem] = []
    if not isinstance(data, dict) or data.get("kind") != KIND or data.get("version") != VERSION:
        problems.append(Problem("kind", f"must be {KIND}, version {VERSION}: is this an assessment?"))
    loaded: Assessment | None = None
    if not problems:
        loaded, problems = schema.load(Assessment, data)
    if loaded is None:
        raise InvalidInput(f"{what} is not valid", problems, hint="Do not edit it: assess the tenant again.")
    return loaded
