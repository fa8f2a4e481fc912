# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen on guests and of servers over time: sockets (for dependencies) and load (for right-sizing).

Both are documents of their own, since they change with every look while an estate does not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.schema import doc

FLOWS = "cloudexit.flows"
METRICS = "cloudexit.metrics"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A service that listens on a guest."""

    protocol: Literal["tcp", "udp"] = field(metadata=doc("protocol"))
    address: str = field(default="", metadata=doc("address that it listens on; 0.0.0.0 and :: for all"))
    port: int = field(metadata=doc("port"))
    process: str = field(default="", metadata=doc("name of the program, where the login may see it"))


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A connection that was seen, all its short-lived client ports taken together."""

    protocol: Literal["tcp", "udp"] = field(metadata=doc("protocol"))
    direction: Literal["in", "out"] = field(metadata=doc("in: the peer called this guest; out: this guest called it"))
    address: str = field(metadata=doc("address of the peer"))
    port: int = field(metadata=doc("port of the service: ours for in, the peer's for out"))
    process: str = field(default="", metadata=doc("name of the program here, where the login may see it"))
    seen: int = field(default=1, metadata=doc("samples in which it was seen"))


@dataclass(frozen=True, kw_only=True)
class Sockets:
    """What was seen on one guest."""

    samples: int = field(metadata=doc("looks taken"))
    addresses: list[str] = field(default_factory=list, metadata=doc("addresses that the guest has"))
    listeners: list[Listener] = field(default_factory=list, metadata=doc("services that listen"))
    peers: list[Peer] = field(default_factory=list, metadata=doc("connections"))


@dataclass(frozen=True, kw_only=True)
class Flows:
    """Sockets of the guests of a tenant, by id of the server."""

    kind: str = field(metadata=doc(f"always {FLOWS}"))
    version: int = field(metadata=doc("version of this form"))
    servers: dict[str, Sockets] = field(default_factory=dict, metadata=doc("by id of the server"))


@dataclass(frozen=True, kw_only=True)
class Load:
    """How busy one server was."""

    cpu_p95: float | None = field(default=None, metadata=doc("CPU use that 95 of 100 samples did not exceed, per cent"))
    memory_p95: float | None = field(default=None, metadata=doc("memory use, likewise, per cent"))
    cpu_max: float | None = field(default=None, metadata=doc("highest CPU use, per cent"))
    network_bytes_s: float | None = field(default=None, metadata=doc("average traffic, bytes per second, both ways"))
    samples: int = field(default=0, metadata=doc("samples that this is computed from"))


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Load of the servers of a tenant, by id of the server."""

    kind: str = field(metadata=doc(f"always {METRICS}"))
    version: int = field(metadata=doc("version of this form"))
    days: int = field(default=14, metadata=doc("days that were looked at"))
    servers: dict[str, Load] = field(default_factory=dict, metadata=doc("by id of the server"))


T = TypeVar("T", Flows, Metrics)


def to_text(document: Flows | Metrics) -> str:
    """As it is written to a file: JSON, two blanks of indent, one newline at the end."""
    return json.dumps(schema.dump(document), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def loads(cls: type[T], text: str | bytes, what: str) -> T:
    """The text of a file of observations; raises InvalidInput with all problems."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InvalidInput(f"{what} is not valid", [Problem("(document)", f"not JSON: {exc}")]) from exc
    kind = FLOWS if cls is Flows else METRICS
    problems: list[Problem] = []
    if not isinstance(data, dict) or data.get("kind") != kind or data.get("version") != VERSION:
        problems.append(Problem("kind", f"must be {kind}, version {VERSION}"))
    loaded: T | None = None
    if not problems:
        loaded, problems = schema.load(cls, data)
    if loaded is None:
        raise InvalidInput(f"{what} is not valid", problems, hint="Do not edit it: look again.")
    return loaded
