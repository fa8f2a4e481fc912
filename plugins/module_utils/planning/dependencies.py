# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which workloads belong together: from what the cloud knows of them, and from connections seen on the guests.

An edge says no more than was found. What very many have in common joins nobody, since it says nothing of any of them;
such things are told as `Skipped`. docs/dependencies.md has the table of what joins whom, and how much it weighs.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.assessment import Edge, Why
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.observations import Flows, Sockets

CLIQUE = 8
"""So many are joined each with each; where there are more, each with the next (in the order of names)."""
MOST_PAIRS = 256
"""A rule that would join more pairs than this joins nobody."""
MOST_MEMBERS = 50
"""A pool, a DNS name or a server group with more hosts than this joins nobody."""
MOST_ON_NETWORK = 8
"""A network with more hosts than this joins nobody."""
MOST_WITH_KEY = 8
"""A key pair that more hosts have joins nobody."""
DETAILS = 4
"""So many details of one edge are told; the rest is counted."""

SAME_POOL = 4
SAME_BALANCER = 2
SAME_GROUP = 3
SAME_NAME = 2
SAME_ROUTED = 3
EVERYBODYS_GROUPS = frozenset({"default", "sys-default"})
"""Groups that the cloud makes and whose members may talk to each other because nobody said otherwise."""


@dataclass(frozen=True)
class Skipped:
    """Something that too many hosts have in common for it to join them."""

    why: Why
    name: str
    hosts: int


@dataclass(frozen=True)
class Graph:
    """Edges, sorted; and what joined nobody."""

    edges: list[Edge]
    skipped: list[Skipped]


def graph(estate: estates.Estate, hosts: Mapping[str, str], flows: Flows | None = None) -> list[Edge]:
    """The edges between the workloads `hosts` ({id of the server: host}). The same input gives the same list."""
    return look(estate, hosts, flows).edges


def look(estate: estates.Estate, hosts: Mapping[str, str], flows: Flows | None = None) -> Graph:
    """As `graph`, and what joined nobody because too many have it."""
    looker = _Looker(estate, hosts)
    looker.security_groups()
    looker.load_balancers()
    looker.volumes()
    looker.addresses()
    looker.server_groups()
    looker.networks()
    looker.key_pairs()
    looker.dns()
    if flows is not None:
        looker.flows(flows)
    return looker.result()


class _Looker:
    def __init__(self, estate: estates.Estate, hosts: Mapping[str, str]) -> None:
        self._estate = estate
        self._hosts = hosts
        self._weights: dict[tuple[str, str, Why, bool, bool], int] = defaultdict(int)
        self._details: dict[tuple[str, str, Why, bool, bool], set[str]] = defaultdict(set)
        self._skipped: set[Skipped] = set()
        self._ports = _ports(estate, hosts)
        self._places = _Places(estate, hosts, self._ports)

    def result(self) -> Graph:
        edges = [
            Edge(a=a, b=b, why=why, hard=hard, directed=directed, weight=weight, detail=_told(self._details[key]))
            for key, weight in sorted(self._weights.items())
            for a, b, why, hard, directed in [key]
        ]
        return Graph(edges, sorted(self._skipped, key=lambda skipped: (skipped.why, skipped.name, skipped.hosts)))

    def _edge(self, a: str, b: str, why: Why, detail: str, *, weight: int, hard: bool, directed: bool) -> None:
        if a == b:
            return
        if not directed and b < a:
            a, b = b, a
        key = (a, b, why, hard, directed)
        self._weights[key] += weight
        if detail:
            self._details[key].add(detail)

    def _join(
        self, found: Iterable[str], why: Why, detail: str, *, most: int = 0, weight: int = 1, hard: bool = False
    ) -> None:
        """Join all hosts with each other; nobody where there are more than `most` (0: never too many)."""
        among = sorted(set(found))
        if most and len(among) > most:
            self._skipped.add(Skipped(why, names.printable(detail), len(among)))
            return
        reach = len(among) if len(among) <= CLIQUE else 1
        for index, host in enumerate(among):
            for other in among[index + 1 : index + 1 + reach]:
                self._edge(host, other, why, detail, weight=weight, hard=hard, directed=False)

    def security_groups(self) -> None:
        """A rule that lets the members of one group in to another's."""
        members: dict[str, set[str]] = defaultdict(set)
        for host, ports in self._ports.items():
            for port in ports:
                for group_id in port.security_groups:
                    members[group_id].add(host)
        for group in self._estate.security_groups:
            for rule in group.rules:
                other = rule.remote_group_id
                if not other or (other == group.id and group.name.casefold() in EVERYBODYS_GROUPS):
                    continue
                detail = f"{group.name or group.id} {_service(rule)}".strip()
                if other == group.id:
                    self._join(members[group.id], "security_group", detail, most=MOST_MEMBERS)
                    continue
                callers, called = sorted(members[other]), sorted(members[group.id])
                if rule.direction == "egress":
                    callers, called = called, callers
                if len(callers) * len(called) > MOST_PAIRS:
                    hosts = len(set(callers) | set(called))
                    self._skipped.add(Skipped("security_group", names.printable(detail), hosts))
                    continue
                for a in callers:
                    for b in called:
                        self._edge(a, b, "security_group", detail, weight=1, hard=False, directed=True)

    def load_balancers(self) -> None:
        """Members of one pool, and of one load balancer."""
        behind: dict[str, set[str]] = defaultdict(set)
        labels: dict[str, str] = {}
        for pools, members in (("lb_pools", "lb_members"), ("elb_pools", "elb_members")):
            balancers: dict[str, str] = {}
            in_pool: dict[str, set[str]] = defaultdict(set)
            listeners = {
                listener.id: _referred(listener, "loadbalancers", "loadbalancer_id") or listener.parent
                for kind in ("lb_listeners", "elb_listeners")
                for listener in self._estate.resources.get(kind, [])
            }
            for pool in self._estate.resources.get(pools, []):
                labels[pool.id] = pool.name or pool.id
                via = _referred(pool, "listeners", "listener_id")
                balancer = _referred(pool, "loadbalancers", "loadbalancer_id") or listeners.get(via, "") or pool.parent
                balancers[pool.id] = listeners.get(balancer, balancer)
                for member in _mappings(pool.properties.get("members")):
                    in_pool[pool.id] |= self._member(member)
            for member_resource in self._estate.resources.get(members, []):
                pool_id = member_resource.parent or str(member_resource.properties.get("pool_id", ""))
                in_pool[pool_id] |= self._member(member_resource.properties)
            for pool_id, found in in_pool.items():
                self._join(found, "load_balancer", labels.get(pool_id, pool_id), most=MOST_MEMBERS, weight=SAME_POOL)
                if balancers.get(pool_id):
                    behind[balancers[pool_id]] |= found
        for kind in ("load_balancers", "shared_load_balancers", "dedicated_load_balancers", "classic_load_balancers"):
            for balancer_resource in self._estate.resources.get(kind, []):
                labels[balancer_resource.id] = balancer_resource.name or balancer_resource.id
                for member in _mappings(balancer_resource.properties.get("members")):
                    behind[balancer_resource.id] |= self._member(member)
        for balancer_id, found in behind.items():
            label = labels.get(balancer_id, balancer_id)
            self._join(found, "load_balancer", label, most=MOST_MEMBERS, weight=SAME_BALANCER)

    def _member(self, member: Mapping[str, Any]) -> set[str]:
        """The host that a member of a pool is: by its server's id, or by its address."""
        server = str(member.get("server_id") or member.get("instance_id") or "")
        if server in self._hosts:
            return {self._hosts[server]}
        address = str(member.get("address") or member.get("server_address") or "")
        host = self._places.host(address, str(member.get("subnet_id") or member.get("subnet_cidr_id") or ""))
        return {host} if host else set()

    def volumes(self) -> None:
        """Volumes that several servers have."""
        holders: dict[str, set[str]] = defaultdict(set)
        labels: dict[str, str] = {}
        for volume in self._estate.volumes:
            labels[volume.id] = volume.name or volume.id
            holders[volume.id] |= {self._hosts[a.server_id] for a in volume.attachments if a.server_id in self._hosts}
        for server in self._estate.servers:
            if server.id in self._hosts:
                for place in server.volumes:
                    holders[place.volume_id].add(self._hosts[server.id])
        for volume_id, found in holders.items():
            self._join(found, "volume", labels.get(volume_id, volume_id), weight=10, hard=True)

    def addresses(self) -> None:
        """Addresses that ports of several servers may use besides their own."""
        users: dict[tuple[str, ipaddress.IPv4Network | ipaddress.IPv6Network], set[str]] = defaultdict(set)
        for host, ports in self._ports.items():
            for port in ports:
                own = {_address(fixed.ip) for fixed in port.fixed_ips}
                for pair in port.allowed_address_pairs:
                    network = _network(pair.ip)
                    if network and str(network.network_address) not in own:
                        users[(port.network_id, network)].add(host)
        for (network_id, network), found in users.items():
            if network.num_addresses == 1:
                address = str(network.network_address)
                owner = self._places.on_network(network_id, address)
                self._join(found | ({owner} if owner else set()), "address", address, weight=10, hard=True)
            elif network.prefixlen >= (16 if network.version == 4 else 48):
                self._join(found, "address", str(network), most=MOST_MEMBERS, weight=SAME_ROUTED)

    def server_groups(self) -> None:
        """Servers that the cloud keeps apart, or together: mostly the members of one cluster."""
        for group in self._estate.resources.get("server_groups", []):
            listed = group.properties.get("members")
            found = [self._hosts[str(entry)] for entry in _list(listed) if str(entry) in self._hosts]
            self._join(found, "server_group", group.name or group.id, most=MOST_MEMBERS, weight=SAME_GROUP)

    def networks(self) -> None:
        """Small networks of the tenant's own."""
        known = {n.id: n for n in self._estate.networks if not n.shared and not n.external}
        on: dict[str, set[str]] = defaultdict(set)
        for host, ports in self._ports.items():
            for port in ports:
                on[port.network_id].add(host)
        for network_id, found in on.items():
            if network_id in known:
                label = known[network_id].name or network_id
                self._join(found, "network", label, most=MOST_ON_NETWORK)

    def key_pairs(self) -> None:
        """Key pairs that a few servers were made with."""
        having: dict[str, set[str]] = defaultdict(set)
        for server in self._estate.servers:
            if server.key_name and server.id in self._hosts:
                having[server.key_name].add(self._hosts[server.id])
        for name, found in having.items():
            self._join(found, "key_pair", name, most=MOST_WITH_KEY)

    def dns(self) -> None:
        """Names that point at addresses of several servers."""
        named: dict[str, set[str]] = defaultdict(set)
        for record in self._estate.resources.get("dns_records", []):
            if str(record.properties.get("type", "")).upper() in ("A", "AAAA"):
                for address in _list(record.properties.get("records")):
                    host = self._places.host(str(address))
                    if host:
                        named[record.name].add(host)
        for name, found in named.items():
            self._join(found, "dns", name, most=MOST_MEMBERS, weight=SAME_NAME)

    def flows(self, flows: Flows) -> None:
        """Connections that were seen, on either end."""
        self._places.learn(flows)
        seen: dict[tuple[str, str, str, int], int] = {}
        processes: dict[tuple[str, str, str, int], set[str]] = defaultdict(set)
        for server_id, sockets in sorted(flows.servers.items()):
            if server_id not in self._hosts:
                continue
            here = self._hosts[server_id]
            for peer in sockets.peers:
                there = self._places.near(peer.address, server_id)
                if not there or there == here:
                    continue
                a, b = (there, here) if peer.direction == "in" else (here, there)
                key = (a, b, peer.protocol, peer.port)
                # both ends may have looked, and saw the same connection
                seen[key] = max(seen.get(key, 0), peer.seen)
                if peer.process and peer.direction == "in":
                    processes[key].add(peer.process)
        for (a, b, protocol, port), count in sorted(seen.items()):
            process = ", ".join(sorted(processes[(a, b, protocol, port)])[:2])
            # a port of 0: both ends had one that callers have
            detail = f"{protocol}/{port}" if port else protocol
            detail += f" {process}" if process else ""
            self._edge(a, b, "flow", detail, weight=max(1, count), hard=False, directed=True)


class _Places:
    """Which host has an address. An address that several have, on different networks, is nobody's unless asked for
    on one of them."""

    def __init__(
        self, estate: estates.Estate, hosts: Mapping[str, str], ports: Mapping[str, Sequence[estates.Port]]
    ) -> None:
        self._hosts = hosts
        self._everywhere: dict[str, set[str]] = defaultdict(set)
        self._subnets: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._networks: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._of_host: dict[str, set[str]] = defaultdict(set)
        by_port = {}
        for host, found in ports.items():
            for port in found:
                by_port[port.id] = host
                self._of_host[host].add(port.network_id)
                for fixed in port.fixed_ips:
                    address = _address(fixed.ip)
                    self._everywhere[address].add(host)
                    self._subnets[(fixed.subnet_id, address)].add(host)
                    self._networks[(port.network_id, address)].add(host)
        for floating in estate.floating_ips:
            if floating.port_id in by_port:
                self._everywhere[_address(floating.address)].add(by_port[str(floating.port_id)])
        for server in estate.servers:
            if server.id in hosts:
                for entry in server.addresses:
                    self._everywhere[_address(entry.address)].add(hosts[server.id])

    def learn(self, flows: Flows) -> None:
        """Addresses that guests have and the cloud does not know: only where one guest alone has them."""
        told: dict[str, set[str]] = defaultdict(set)
        for server_id, sockets in flows.servers.items():
            if server_id in self._hosts:
                for address in _own(sockets):
                    told[address].add(self._hosts[server_id])
        for address, found in told.items():
            if address not in self._everywhere:
                self._everywhere[address] = found

    def host(self, address: str, subnet_id: str = "") -> str:
        """The host that has the address, on the subnet if that is known; empty where that is not certain."""
        address = _address(address)
        return _only(self._subnets.get((subnet_id, address), ())) or _only(self._everywhere.get(address, ()))

    def on_network(self, network_id: str, address: str) -> str:
        """The host that has the address on that network."""
        return _only(self._networks.get((network_id, _address(address)), ()))

    def near(self, address: str, server_id: str) -> str:
        """The host that has the address as a server sees it: on a network of its own first."""
        address = _address(address)
        found: set[str] = set()
        for network_id in self._of_host.get(self._hosts[server_id], ()):
            found |= self._networks.get((network_id, address), set())
        return _only(found) or _only(self._everywhere.get(address, ()))


def _ports(estate: estates.Estate, hosts: Mapping[str, str]) -> dict[str, list[estates.Port]]:
    """The ports of each host, by id."""
    known = {port.id: port for port in estate.ports}
    found: dict[str, dict[str, estates.Port]] = defaultdict(dict)
    for port in estate.ports:
        if port.device_id in hosts:
            found[hosts[port.device_id]][port.id] = port
    for server in estate.servers:
        if server.id in hosts:
            for port_id in server.ports:
                if port_id in known:
                    found[hosts[server.id]][port_id] = known[port_id]
    return {host: [entries[key] for key in sorted(entries)] for host, entries in sorted(found.items())}


def _service(rule: estates.Rule) -> str:
    """`tcp/5432`, `udp/8000-8010`, `tcp`; empty for any."""
    if not rule.protocol:
        return ""
    if rule.port_min is None:
        return rule.protocol
    last = f"-{rule.port_max}" if rule.port_max not in (None, rule.port_min) else ""
    return f"{rule.protocol}/{rule.port_min}{last}"


def _address(text: str) -> str:
    """An address in its one spelling; what is none as it is."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _own(sockets: Sockets) -> Iterator[str]:
    for text in sockets.addresses:
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            continue
        if not address.is_loopback and not address.is_link_local:
            yield _address(text)


def _only(found: Iterable[str]) -> str:
    """The only one; empty where there is none or more than one."""
    several = sorted(set(found))
    return several[0] if len(several) == 1 else ""


def _told(details: Iterable[str]) -> str:
    ordered = sorted(details)
    more = f", +{len(ordered) - DETAILS}" if len(ordered) > DETAILS else ""
    return ", ".join(names.printable(detail) for detail in ordered[:DETAILS]) + more


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    return (entry for entry in _list(value) if isinstance(entry, Mapping))


def _referred(resource: estates.Resource, several: str, one: str) -> str:
    """The id under `one`, or the first of those under `several` (ids, or mappings with an id)."""
    if resource.properties.get(one):
        return str(resource.properties[one])
    found = [
        str(entry.get("id", "")) if isinstance(entry, Mapping) else str(entry)
        for entry in _list(resource.properties.get(several))
    ]
    return min(found, default="")
