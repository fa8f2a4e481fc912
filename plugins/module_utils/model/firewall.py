# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewalls of both sides as plain data: groups on ports at the source, ordered rules at the target.

Source: stateful lists of what may pass, on each port, in both directions; what no rule names does not pass.
Target: a distributed firewall at the card of every machine, and the firewall of the edge, which sees only what crosses
it; both ordered, the first rule that fits decides. docs/firewall.md says how they are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.schema import doc

Side = Literal["ingress", "egress"]
Action = Literal["ALLOW", "DROP", "REJECT"]
Direction = Literal["IN", "OUT", "IN_OUT"]
IpProtocol = Literal["IPV4", "IPV6", "IPV4_IPV6"]
Protocol = Literal["TCP", "UDP", "ICMPv4", "ICMPv6"]
NatType = Literal["DNAT", "SNAT", "NO_DNAT", "NO_SNAT", "REFLEXIVE"]
FirewallMatch = Literal["MATCH_INTERNAL_ADDRESS", "MATCH_EXTERNAL_ADDRESS", "BYPASS"]


def _family(value: int) -> str | None:
    return None if value in (4, 6) else "must be 4 or 6"


@dataclass(frozen=True, kw_only=True)
class SourceRule:
    """What a security group lets pass."""

    id: str = field(metadata=doc("id of the rule"))
    side: Side = field(metadata=doc("ingress: to the members; egress: from them"))
    family: int = field(default=4, metadata=doc("4 or 6: IPv4 or IPv6", check=_family))
    protocol: int | None = field(default=None, metadata=doc("number of the protocol; null: any"))
    first: int = field(default=0, metadata=doc("first destination port, or ICMP type * 256 + code"))
    last: int = field(default=65535, metadata=doc("last destination port, or ICMP type * 256 + code"))
    remote: str = field(default="", metadata=doc("the other end: a network; empty: anybody, or the group"))
    remote_group: str = field(default="", metadata=doc("the other end: id of the group whose members it is"))


@dataclass(frozen=True, kw_only=True)
class SourceGroup:
    """A security group."""

    id: str = field(metadata=doc("id"))
    name: str = field(default="", metadata=doc("name"))
    rules: list[SourceRule] = field(default_factory=list, metadata=doc("rules"))


@dataclass(frozen=True, kw_only=True)
class SourcePort:
    """A port: where groups hold, or an address that groups have as a member."""

    id: str = field(metadata=doc("id"))
    name: str = field(default="", metadata=doc("name of its server, for people"))
    addresses: list[str] = field(default_factory=list, metadata=doc("its addresses, and those it may use besides"))
    forwards: list[str] = field(
        default_factory=list, metadata=doc("networks for which it may speak and where others stand: it forwards")
    )
    groups: list[str] = field(default_factory=list, metadata=doc("ids of its groups"))
    filtered: bool = field(default=True, metadata=doc("false: port security is off, everything passes"))
    workload: bool = field(default=True, metadata=doc("false: only a member of groups, its own flows do not count"))


@dataclass(frozen=True, kw_only=True)
class SourceFirewall:
    """All groups, and all ports that are in them."""

    groups: list[SourceGroup] = field(default_factory=list, metadata=doc("groups"))
    ports: list[SourcePort] = field(default_factory=list, metadata=doc("ports"))


@dataclass(frozen=True, kw_only=True)
class AddressGroup:
    """Addresses under a name: an IP set, or a group of another kind with the addresses that it has now."""

    name: str = field(metadata=doc("name"))
    id: str = field(default="", metadata=doc("id at the target; empty while it is not made"))
    description: str = field(default="", metadata=doc("where it comes from"))
    addresses: list[str] = field(default_factory=list, metadata=doc("addresses, networks, ranges a-b"))
    known: bool = field(default=True, metadata=doc("false: its addresses could not be read"))

    @property
    def ref(self) -> str:
        """What rules call it: the id, or the name while it has none."""
        return self.id or self.name


@dataclass(frozen=True, kw_only=True)
class PortEntry:
    """A protocol and its destination ports."""

    protocol: Protocol = field(metadata=doc("TCP, UDP, ICMPv4 or ICMPv6"))
    ports: list[str] = field(default_factory=list, metadata=doc("ports and ranges a-b; none: all"))


@dataclass(frozen=True, kw_only=True)
class PortProfile:
    """Protocols and ports under a name."""

    name: str = field(metadata=doc("name"))
    id: str = field(default="", metadata=doc("id at the target; empty while it is not made"))
    description: str = field(default="", metadata=doc("where it comes from"))
    entries: list[PortEntry] = field(default_factory=list, metadata=doc("protocols and ports"))
    scope: Literal["TENANT", "SYSTEM", "PROVIDER"] = field(default="TENANT", metadata=doc("whose it is"))
    known: bool = field(default=True, metadata=doc("false: what it holds could not be read"))

    @property
    def ref(self) -> str:
        """What rules call it: the id, or the name while it has none."""
        return self.id or self.name


@dataclass(frozen=True, kw_only=True)
class FirewallRule:
    """A rule of the edge or of the distributed firewall."""

    name: str = field(metadata=doc("name"))
    id: str = field(default="", metadata=doc("id at the target; empty while it is not made"))
    comments: str = field(default="", metadata=doc("where it comes from"))
    action: Action = field(default="ALLOW", metadata=doc("ALLOW, DROP or REJECT"))
    enabled: bool = field(default=True, metadata=doc("whether it holds"))
    direction: Direction = field(
        default="IN_OUT", metadata=doc("where it is asked: IN at the receiver, OUT at the sender, IN_OUT at both")
    )
    ip_protocol: IpProtocol = field(default="IPV4_IPV6", metadata=doc("IPV4, IPV6 or both"))
    sources: list[str] = field(
        default_factory=list, metadata=doc("groups by id, or name while they have none; none: any")
    )
    destinations: list[str] = field(default_factory=list, metadata=doc("as the sources"))
    profiles: list[str] = field(default_factory=list, metadata=doc("port profiles, in the same way; none: any"))
    context_profiles: list[str] = field(
        default_factory=list, metadata=doc("applications that the packets must belong to; nobody can tell by addresses")
    )
    sources_excluded: bool = field(default=False, metadata=doc("all but the sources"))
    destinations_excluded: bool = field(default=False, metadata=doc("all but the destinations"))
    logging: bool = field(default=False, metadata=doc("whether it logs"))


@dataclass(frozen=True, kw_only=True)
class Distributed:
    """The distributed firewall of a data center group."""

    enabled: bool = field(default=True, metadata=doc("false: everything passes"))
    rules: list[FirewallRule] = field(default_factory=list, metadata=doc("rules in their order"))
    default_action: Action = field(default="ALLOW", metadata=doc("what becomes of the rest"))


@dataclass(frozen=True, kw_only=True)
class Edge:
    """The firewall of an edge gateway: all that goes from a network behind it to elsewhere, or comes from there."""

    enabled: bool = field(default=True, metadata=doc("false: everything passes"))
    rules: list[FirewallRule] = field(default_factory=list, metadata=doc("rules in their order"))
    default_action: Action = field(default="DROP", metadata=doc("what becomes of the rest"))
    inside: list[str] = field(default_factory=list, metadata=doc("the networks behind it"))


@dataclass(frozen=True, kw_only=True)
class NatRule:
    """A translation of addresses on the edge."""

    name: str = field(metadata=doc("name"))
    id: str = field(default="", metadata=doc("id at the target; empty while it is not made"))
    description: str = field(default="", metadata=doc("where it comes from"))
    enabled: bool = field(default=True, metadata=doc("whether it holds"))
    type: NatType = field(metadata=doc("DNAT, SNAT, NO_DNAT, NO_SNAT or REFLEXIVE"))
    external: str = field(default="", metadata=doc("addresses outside"))
    internal: str = field(default="", metadata=doc("addresses inside"))
    external_port: str = field(default="", metadata=doc("port outside (DNAT); empty: any"))
    destinations: str = field(default="", metadata=doc("only towards these (SNAT); empty: any"))
    profile: str = field(default="", metadata=doc("port profile inside, by id or name; empty: any"))
    firewall_match: FirewallMatch = field(
        default="MATCH_INTERNAL_ADDRESS",
        metadata=doc("which address the edge's firewall sees; BYPASS: it sees nothing"),
    )
    priority: int = field(default=0, metadata=doc("the lowest is asked first"))


@dataclass(frozen=True, kw_only=True)
class StaticRoute:
    """A way to a network that the edge does not know by itself."""

    name: str = field(metadata=doc("name"))
    id: str = field(default="", metadata=doc("id at the target; empty while it is not made"))
    description: str = field(default="", metadata=doc("where it comes from"))
    network: str = field(metadata=doc("network/prefix"))
    next_hop: str = field(metadata=doc("address of the gateway"))


@dataclass(frozen=True, kw_only=True)
class TargetFirewall:
    """All that decides at the target whether a packet passes."""

    groups: list[AddressGroup] = field(default_factory=list, metadata=doc("IP sets and other groups"))
    profiles: list[PortProfile] = field(default_factory=list, metadata=doc("application port profiles"))
    distributed: Distributed | None = field(default=None, metadata=doc("null: there is none, everything passes"))
    edge: Edge | None = field(default=None, metadata=doc("null: there is none, everything passes"))
    nat: list[NatRule] = field(default_factory=list, metadata=doc("translations of addresses on the edge"))


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """What the target cannot say as the source says it: what it does instead, which a person must agree to."""

    id: str = field(metadata=doc("name of the deviation; the same as long as nothing changes"))
    effect: Literal["wider", "narrower"] = field(metadata=doc("wider: more passes than before; narrower: less"))
    rules: list[str] = field(default_factory=list, metadata=doc("ids of the source's rules"))
    sources: list[str] = field(default_factory=list, metadata=doc("who sends; none: anybody"))
    destinations: list[str] = field(default_factory=list, metadata=doc("who receives; none: anybody"))
    family: int = field(default=4, metadata=doc("4 or 6: IPv4 or IPv6", check=_family))
    services: list[str] = field(default_factory=list, metadata=doc("which packets, for example `icmp 9-255` or `47`"))
    why: str = field(default="", metadata=doc("what cannot be said"))
