# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who called which API: the access logs of an instance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..paths import HOST, Instance

SERVICES = ("keystone", "glance", "cinder", "nova", "placement", "neutron", "octavia", "swift", "barbican")
WRITES = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Call:
    """One answered request. ``at`` is when it came, in seconds since the epoch; ``seconds`` how long it took."""

    service: str
    at: float
    method: str
    uri: str
    status: int
    seconds: float
    agent: str

    @property
    def write(self) -> bool:
        """Whether it may change something: not a GET or HEAD, and not a log-in."""
        return self.method in WRITES and not self.uri.partition("?")[0].endswith("/auth/tokens")


@dataclass
class Calls:
    """The requests of customers, that is, not those by which services call each other."""

    all: list[Call] = field(default_factory=list)

    @property
    def writes(self) -> list[Call]:
        """Those that may change something."""
        return [c for c in self.all if c.write]

    def by_service(self) -> dict[str, int]:
        """Requests by service."""
        return dict(Counter(c.service for c in self.all))

    def writes_by_service(self) -> dict[str, int]:
        """Writes by service."""
        return dict(Counter(c.service for c in self.writes))

    def summary(self) -> dict[str, Any]:
        """Numbers for people and benchmarks."""
        return {"calls": self.by_service(), "writes": self.writes_by_service(), "total": len(self.all)}


def parse(service: str, line: str, ports_host: str) -> Call | None:
    """One line of an access log; None for what a service asked, or for what is no such line."""
    parts = line.rstrip("\n").split("\t")
    if len(parts) < 6 or not parts[0].isdigit():
        return None
    micros, method, uri, status, millis, host = parts[:6]
    if not host.startswith(ports_host):
        return None
    return Call(service, int(micros) / 1e6, method, uri, int(status), int(millis) / 1000, "\t".join(parts[6:]))


def _lines(instance: Instance, service: str) -> Iterator[str]:
    try:
        with open(instance.logs / f"access-{service}.tsv", errors="replace") as f:
            yield from f
    except FileNotFoundError:
        return


def calls(instance: Instance, since: float = 0.0) -> Calls:
    """What customers asked of the APIs since a time in seconds since the epoch (time.time())."""
    found = Calls()
    for service in SERVICES:
        for line in _lines(instance, service):
            call = parse(service, line, f"{HOST}:")
            if call and call.at >= since:
                found.all.append(call)
    found.all.sort(key=lambda c: c.at)
    return found
