# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks with their subnets become networks of the organisation: addresses, gateways, name servers and DHCP are kept.

A network of the organisation takes one subnet of IPv4, one of IPv6, or one of each. What it does not take is a problem
(it cannot be made) or a finding (a person must know); nothing is left out in silence.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Union

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Problem

MAX_DNS = 2
"""Name servers of a subnet."""
MAX_POOLS = 8
"""Pools of DHCP that we ask for: the largest pieces between addresses that somebody has."""
BALANCERS = ("load_balancers", "shared_load_balancers", "dedicated_load_balancers", "classic_load_balancers")
SEARCHED = 65536
"""Addresses of a subnet among which a free one is looked for."""

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]  # noqa: UP007  as in model/edit.py: pylint
Span = tuple[int, int]


@dataclass(frozen=True)
class Binding:
    """An address that DHCP gives to one card only."""

    name: str
    mac: str
    address: str
    description: str


@dataclass(frozen=True)
class Dhcp:
    """DHCP of a network (IPv4): pools (first, last) for cards that are not known, and addresses of those that are.

    server: address of the DHCP server in an isolated network; empty behind an edge, whose own it is.
    """

    pools: tuple[tuple[str, str], ...] = ()
    dns: tuple[str, ...] = ()
    server: str = ""
    bindings: tuple[Binding, ...] = ()


@dataclass(frozen=True)
class Net:
    """A network of the organisation in place of one of the source, with the same addresses."""

    name: str
    gateway: str
    prefix: int
    routed: bool
    dns: tuple[str, ...]
    addresses: tuple[str, ...]
    """Addresses of the workloads that move into it."""
    description: str
    gateway6: str = ""
    prefix6: int = 0
    dns6: tuple[str, ...] = ()
    dhcp: Dhcp = Dhcp()

    @property
    def cidrs(self) -> tuple[str, ...]:
        """The networks with their prefixes: of IPv4, of IPv6, or both."""
        both = ((self.gateway, self.prefix), (self.gateway6, self.prefix6))
        return tuple(str(ipaddress.ip_interface(f"{one}/{prefix}").network) for one, prefix in both if one)


@dataclass(frozen=True)
class Networks:
    """Networks by name; what keeps them from being made; what a person must know."""

    nets: tuple[Net, ...]
    problems: list[Problem] = field(default_factory=list)
    findings: list[e.Finding] = field(default_factory=list)


def translate_networks(plan: plans.Plan, estate: e.Estate, *, prefix: str, used: Collection[str]) -> Networks:
    """The networks that workloads of the plan move into. used: their ids at the source."""
    made = _Translator(plan, estate, prefix)
    found: dict[str, Net] = {}
    for identity in sorted(used):
        net = made.net(identity)
        if net is None:
            continue
        other = found.setdefault(net.name, net)
        if other != net:
            text = f"{net.name} takes the place of another network already, and has its addresses"
            made.problems.append(Problem(f"networks.{identity}.target", f"{text} ({', '.join(other.cidrs)})"))
    findings = sorted(made.findings, key=lambda one: (one.subject.kind, one.subject.id, one.seen))
    return Networks(tuple(found[name] for name in sorted(found)), made.problems, findings)


class _Translator:
    def __init__(self, plan: plans.Plan, estate: e.Estate, prefix: str) -> None:
        self.plan, self.estate, self.prefix = plan, estate, prefix
        self.known = {one.id: one for one in estate.networks}
        self.routed = {port.network_id for port in estate.ports if port.device_owner.startswith("network:router")}
        self.problems: list[Problem] = []
        self.findings: list[e.Finding] = []

    def tell(self, severity: e.Severity, kind: str, identity: str, name: str, seen: str, action: str) -> None:
        subject = e.Subject(kind=kind, id=identity, name=names.printable(name))
        self.findings.append(e.Finding(rule="network", severity=severity, subject=subject, seen=seen, action=action))

    def net(self, identity: str) -> Net | None:
        """The network in place of one; None where it cannot be made, which is told."""
        title = names.printable(self.known[identity].name if identity in self.known else self._planned(identity).name)
        subnets = [one for one in self.estate.subnets if one.network_id == identity]
        four, six = ([one for one in subnets if one.ip_version == version] for version in (4, 6))
        if not subnets or len(four) > 1 or len(six) > 1:
            text = (
                f"{title} has {len(four)} subnets of IPv4 and {len(six)} of IPv6; a network of the organisation takes "
                "one of each at most, and needs one: have the workloads of each in a network of its own"
            )
            self.problems.append(Problem(f"networks.{identity}", text))
            return None
        taken = self._taken(identity)
        routed = identity in self.routed
        gateway, prefix = self._gateway(four[0], taken) if four else ("", 0)
        gateway6, prefix6 = self._gateway(six[0], taken) if six else ("", 0)
        nics = self._nics(identity)
        if six:
            self._six(six[0], nics)
        return Net(
            name=self._planned(identity).target or "",
            gateway=gateway,
            prefix=prefix,
            routed=routed,
            dns=self._dns(four[0]) if four else (),
            addresses=tuple(sorted({one for dummy_host, nic in nics for one in nic.addresses})),
            description=f"Network {title} ({identity})",
            gateway6=gateway6,
            prefix6=prefix6,
            dns6=self._dns(six[0]) if six else (),
            dhcp=self._dhcp(four[0], gateway, routed, taken, nics) if four and four[0].dhcp else Dhcp(),
        )

    def _planned(self, identity: str) -> plans.NetworkMap:
        return self.plan.networks.get(identity, plans.NetworkMap())

    def _nics(self, identity: str) -> list[tuple[str, plans.Nic]]:
        """(host, card) of the workloads that move into a network."""
        moving = sorted(self.plan.moving().items())
        return [(host, nic) for host, workload in moving for nic in workload.nics if nic.network == identity]

    def _taken(self, identity: str) -> set[Address]:
        """Addresses that somebody has in a network, at the source or by the plan."""
        texts = {fixed.ip for port in self.estate.ports if port.network_id == identity for fixed in port.fixed_ips}
        texts |= {
            pair.ip for port in self.estate.ports if port.network_id == identity for pair in port.allowed_address_pairs
        }
        texts |= {address for dummy_host, nic in self._nics(identity) for address in nic.addresses}
        texts |= {
            str(one.properties.get("vip_address", "")) for kind in BALANCERS for one in self.estate.of(kind)
        }  # of whose ports not all are read
        texts |= {one.gateway for one in self.estate.subnets if one.network_id == identity and one.gateway}
        return {one for text in texts if (one := _address(text)) is not None}

    def _gateway(self, subnet: e.Subnet, taken: set[Address]) -> tuple[str, int]:
        """(gateway, prefix length); where the source has none in the subnet, the first address that nobody has."""
        net = ipaddress.ip_network(subnet.cidr, strict=False)
        given = _address(subnet.gateway or "")
        if given is not None and given in net:
            return str(given), net.prefixlen
        for dummy_number, one in zip(range(SEARCHED), net.hosts(), strict=False):
            if one not in taken:
                self.tell(
                    "warning",
                    "subnets",
                    subnet.id,
                    subnet.name,
                    f"It has {f'the gateway {given}, which is not in {net}' if given else 'no gateway'}.",
                    f"A network at the target needs one: it gets {one}. Machines that should not use it must not.",
                )
                return str(one), net.prefixlen
        self.problems.append(Problem(f"subnets.{subnet.id}", f"has no free address in {net} for the gateway"))
        return str(net[1]), net.prefixlen

    def _dns(self, subnet: e.Subnet) -> tuple[str, ...]:
        if len(subnet.dns) > MAX_DNS:
            self.tell(
                "warning",
                "subnets",
                subnet.id,
                subnet.name,
                f"It has {len(subnet.dns)} name servers; a network at the target takes {MAX_DNS}.",
                f"Left out: {names.printable(', '.join(subnet.dns[MAX_DNS:]), 200)}.",
            )
        elif subnet.dhcp and not subnet.dns and subnet.ip_version == 4:
            self.tell(
                "warning",
                "subnets",
                subnet.id,
                subnet.name,
                "It names no name servers: machines ask the DHCP server of the source, which is not there any more.",
                "Name servers must be set at the source's subnet before, or in the guests.",
            )
        return tuple(subnet.dns[:MAX_DNS])

    def _six(self, subnet: e.Subnet, nics: Sequence[tuple[str, plans.Nic]]) -> None:
        hosts = sorted({host for host, nic in nics if any(":" in one for one in nic.addresses)})
        if subnet.dhcp and hosts:
            shown = ", ".join(hosts[:5]) + (", …" if len(hosts) > 5 else "")
            self.tell(
                "warning",
                "subnets",
                subnet.id,
                subnet.name,
                f"Machines get their addresses of {subnet.cidr} from the source's network ({shown}).",
                "The network at the target has the subnet, but hands out no addresses of IPv6: set them in the guests, "
                "or have the edge announce the network.",
            )

    def _dhcp(
        self, subnet: e.Subnet, gateway: str, routed: bool, taken: set[Address], nics: Sequence[tuple[str, plans.Nic]]
    ) -> Dhcp:
        bindings = []
        for host, nic in nics:
            address = next((one for one in nic.addresses if ":" not in one), "")
            if not address:
                continue
            if not nic.keep_mac:
                self.tell(
                    "warning",
                    "servers",
                    self.plan.workloads[host].source.id,
                    host,
                    f"Its card in {subnet.cidr} gets another MAC address, which nobody knows before: DHCP cannot give "
                    f"it {address}.",
                    "Keep the MAC address (keep_mac), or set the address in the guest.",
                )
                continue
            bindings.append(
                Binding(
                    f"{self.prefix}-{names.slug(host, fallback='server')}-{names.short_id(nic.port or nic.mac)}",
                    nic.mac,
                    address,
                    f"Port {nic.port} of workload {names.printable(host, 60)}",
                )
            )
        pools = free(
            [(pool.start, pool.end) for pool in subnet.pools] or [_hosts(subnet.cidr)],
            [one for one in (*taken, _address(gateway)) if one is not None],
        )
        server = ""
        if not routed:
            known = [
                fixed.ip
                for port in self.estate.ports
                if port.network_id == subnet.network_id and port.device_owner == "network:dhcp"
                for fixed in port.fixed_ips
                if ":" not in fixed.ip
            ]
            server = min(known, default="") or (str(ipaddress.ip_address(pools[0][0])) if pools else "")
            pools = [(first + (str(ipaddress.ip_address(first)) == server), last) for first, last in pools]
        largest = sorted(pools, key=lambda one: (one[0] - one[1], one[0]))[:MAX_POOLS]
        shown = sorted((first, last) for first, last in largest if first <= last)
        if not shown or (not routed and not server):
            self.tell(
                "warning",
                "subnets",
                subnet.id,
                subnet.name,
                "Its DHCP has no address left that nobody has; DHCP of the target needs a pool.",
                "It gets no DHCP there: set the addresses in the guests.",
            )
            return Dhcp()
        texts = tuple((str(ipaddress.ip_address(first)), str(ipaddress.ip_address(last))) for first, last in shown)
        return Dhcp(texts, tuple(subnet.dns[:MAX_DNS]), server, tuple(sorted(bindings, key=lambda one: one.name)))


def free(pools: Iterable[tuple[str, str]], taken: Iterable[Address]) -> list[Span]:
    """The pieces of pools (first, last; IPv4) in which nobody has an address, as numbers, in order."""
    numbers = sorted({int(one) for one in taken if one.version == 4})
    found: list[Span] = []
    for first, last in pools:
        low, high = int(ipaddress.IPv4Address(first)), int(ipaddress.IPv4Address(last))
        for number in numbers:
            if low <= number <= high:
                if low < number:
                    found.append((low, number - 1))
                low = number + 1
        if low <= high:
            found.append((low, high))
    return sorted(found)


def _hosts(cidr: str) -> tuple[str, str]:
    net = ipaddress.ip_network(cidr, strict=False)
    return (str(net[1]), str(net[-2])) if net.num_addresses > 3 else (str(net[0]), str(net[-1]))


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
