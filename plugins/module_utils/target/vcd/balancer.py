# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers of an edge (NSX ALB): pools of members and the virtual services before them.

Only what is ours is changed, as everywhere (`objects`). The provider switches the service on, and gives the edge engine
groups; without both there is nothing to be made.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import query, wire, xml
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.objects import Kind, Wanted
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Json

ALGORITHMS = (
    "ROUND_ROBIN",
    "LEAST_CONNECTIONS",
    "CONSISTENT_HASH",
    "FASTEST_RESPONSE",
    "LEAST_LOAD",
    "FEWEST_SERVERS",
    "RANDOM",
    "FEWEST_TASKS",
    "CORE_AFFINITY",
)
MONITORS = ("HTTP", "HTTPS", "TCP", "UDP", "PING")
PERSISTENCE = ("CLIENT_IP", "HTTP_COOKIE", "CUSTOM_HTTP_HEADER", "APP_COOKIE", "TLS")
SERVICES = ("HTTP", "HTTPS", "L4_TCP", "L4_UDP", "L4_TLS")


@dataclass(frozen=True)
class Member:
    """A member of a pool."""

    address: str
    port: int
    ratio: int = 1
    enabled: bool = True


@dataclass(frozen=True)
class Pool:
    """A pool of members."""

    name: str
    members: tuple[Member, ...]
    port: int = 80
    algorithm: str = "ROUND_ROBIN"
    monitors: tuple[str, ...] = ()
    persistence: str = ""
    persistence_value: str = ""
    enabled: bool = True

    def body(self, edge: str) -> Json:
        """It as it is sent. InvalidInput for words that the server does not know."""
        problems = [
            Problem(name, f"{value!r} is not one of {', '.join(known)}")
            for name, value, known in (
                ("algorithm", self.algorithm, ALGORITHMS),
                *(("monitors", one, MONITORS) for one in self.monitors),
                *((("persistence", self.persistence, PERSISTENCE),) if self.persistence else ()),
            )
            if value not in known
        ]
        if problems:
            raise InvalidInput(f"the pool {self.name} cannot be made", problems)
        body: dict[str, Any] = {
            "name": self.name,
            "enabled": self.enabled,
            "gatewayRef": {"id": edge},
            "algorithm": self.algorithm,
            "defaultPort": self.port,
            "healthMonitors": [{"type": one} for one in sorted(self.monitors)],
            "members": [
                {"enabled": one.enabled, "ipAddress": one.address, "port": one.port, "ratio": one.ratio}
                for one in sorted(self.members, key=lambda one: (one.address, one.port))
            ],
        }
        if self.persistence:
            body["persistenceProfile"] = {"type": self.persistence, "value": self.persistence_value}
        return body


@dataclass(frozen=True)
class VirtualService:
    """A virtual service: an address and ports, before a pool (by its id)."""

    name: str
    address: str
    ports: tuple[tuple[int, int], ...]
    pool: str
    engines: str
    kind: str = "HTTP"
    certificate: str = ""
    enabled: bool = True

    def body(self, edge: str) -> Json:
        """It as it is sent."""
        if self.kind not in SERVICES or (self.kind in ("HTTPS", "L4_TLS") and not self.certificate):
            text = f"{self.kind!r} is not one of {', '.join(SERVICES)}, or it needs a certificate"
            raise InvalidInput(f"the virtual service {self.name} cannot be made", [Problem("kind", text)])
        secure = self.kind in ("HTTPS", "L4_TLS")
        profile = "UDP_FAST_PATH" if self.kind == "L4_UDP" else "TCP_PROXY"
        body: dict[str, Any] = {
            "name": self.name,
            "enabled": self.enabled,
            "applicationProfile": {"type": self.kind, "systemDefined": True},
            "gatewayRef": {"id": edge},
            "loadBalancerPoolRef": {"id": self.pool},
            "serviceEngineGroupRef": {"id": self.engines},
            "virtualIpAddress": self.address,
            "servicePorts": [
                {
                    "portStart": first,
                    "portEnd": last,
                    "sslEnabled": secure,
                    "tcpUdpProfile": {"systemDefined": True, "type": profile},
                }
                for first, last in sorted(self.ports)
            ],
        }
        if self.certificate:
            body["certificateRef"] = {"id": self.certificate}
        return body


def _shown_pool(one: Json) -> dict[str, Any]:
    members = [
        f"{wire.string(m.get('ipAddress'))}:{xml.whole(m.get('port'))} {xml.whole(m.get('ratio'), 1)}"
        f"{'' if m.get('enabled') is not False else ' off'}"
        for m in wire.objects(one.get("members"))
    ]
    persistence = wire.mapping(one.get("persistenceProfile"))
    return {
        "enabled": one.get("enabled") is not False,
        "algorithm": wire.string(one.get("algorithm")),
        "port": xml.whole(one.get("defaultPort"), 80),
        "monitors": sorted(wire.string(m.get("type")) for m in wire.objects(one.get("healthMonitors"))),
        "members": sorted(members),
        "persistence": f"{wire.string(persistence.get('type'))} {wire.string(persistence.get('value'))}".strip(),
    }


def _shown_service(one: Json) -> dict[str, Any]:
    return {
        "enabled": one.get("enabled") is not False,
        "kind": wire.string(wire.mapping(one.get("applicationProfile")).get("type")),
        "address": wire.string(one.get("virtualIpAddress")),
        "pool": wire.ref(one.get("loadBalancerPoolRef"))[0],
        "engines": wire.ref(one.get("serviceEngineGroupRef"))[0],
        "certificate": wire.ref(one.get("certificateRef"))[0],
        "ports": sorted(
            f"{xml.whole(port.get('portStart'))}-{xml.whole(port.get('portEnd')) or xml.whole(port.get('portStart'))}"
            for port in wire.objects(one.get("servicePorts"))
        ),
    }


POOLS = Kind("pool", "loadBalancer/pools", _shown_pool)
SERVICES_OF = Kind("virtual service", "loadBalancer/virtualServices", _shown_service)
_SUMMARIES = {POOLS.name: "poolSummaries", SERVICES_OF.name: "virtualServiceSummaries"}


@dataclass(frozen=True)
class Engines:
    """An engine group that an edge may use, and how many more virtual services it takes."""

    id: str
    name: str
    room: int


@dataclass(frozen=True)
class Balancing:
    """Load balancing of an edge: whether it is on, the network that members are reached from, engine groups by name."""

    enabled: bool
    network: str = ""
    engines: tuple[Engines, ...] = ()


def state(session: Session, edge: str) -> Balancing:
    """Load balancing of an edge as it is."""
    found = session.get(f"edgeGateways/{edge}/loadBalancer", f"cannot read the load balancing of {edge}")
    if found.get("enabled") is not True:
        return Balancing(False)
    text = wire.string(found.get("serviceNetworkDefinition"))
    try:
        text = str(ipaddress.ip_network(text, strict=False)) if text else ""
    except ValueError:
        text = ""
    path = "loadBalancer/serviceEngineGroups/assignments"
    rows = query.listed(session, path, f"cannot list the engine groups of {edge}", where=[("gatewayRef.id", edge)])
    engines = []
    for one in rows:
        identity, name = wire.ref(one.get("serviceEngineGroupRef"))
        most, used = xml.whole(one.get("maxVirtualServices"), 0), xml.whole(one.get("numDeployedVirtualServices"), 0)
        engines.append(Engines(identity, name, max(0, most - used)))
    return Balancing(True, text, tuple(sorted(engines, key=lambda one: one.name)))


def there(session: Session, kind: Kind, edge: str, name: str = "") -> list[Json]:
    """The pools (POOLS) or virtual services (SERVICES_OF) of an edge, whole (a list has summaries); those of a name."""
    what = f"cannot list the {kind.name}s of {edge}"
    rows = query.listed(session, f"edgeGateways/{edge}/loadBalancer/{_SUMMARIES[kind.name]}", what)
    asked = [row for row in rows if not name or wire.string(row.get("name")) == name]
    return [session.get(f"{kind.path}/{wire.string(row.get('id'))}", what) for row in asked]


def pool(one: Pool, edge: str, *, description: str = "") -> Wanted:
    """A pool to plan with."""
    body = one.body(edge)
    return Wanted(one.name, _shown_pool(body), body, description)


def service(one: VirtualService, edge: str, *, description: str = "") -> Wanted:
    """A virtual service to plan with. Its pool must be there: pools are made first."""
    body = one.body(edge)
    return Wanted(one.name, _shown_service(body), body, description)
