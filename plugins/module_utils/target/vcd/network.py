# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and firewalls of an organisation, in the words of `model.firewall` where it has them.

Each kind has a function that reads, one that says what is wanted, and `objects.plan` and `objects.apply` for the rest.
Groups, profiles and networks are made before the rules that name them; rules name them by id.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, cast

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    objects,
    query,
    tasks,
    wire,
    xml,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.changes import Change, ChangeSet
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session, cloudapi
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.objects import (
    Kind,
    Ordered,
    Shown,
    Wanted,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Json

READERS = 6
"""Objects that are read at a time."""

# -- edges


@dataclass(frozen=True)
class Uplink:
    """A range of outside addresses of an edge."""

    gateway: str
    prefix: int
    ranges: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class EdgeGateway:
    """An edge gateway: id (URN), name, owner (VDC or group), outside addresses, status."""

    id: str
    name: str
    owner: str
    owner_name: str
    uplinks: tuple[Uplink, ...]
    status: str

    @property
    def uuid(self) -> str:
        """Its id as Orange's interface wants it."""
        return tasks.uuid_of(self.id)

    def has_address(self, address: str) -> bool:
        """Whether an address is one of its outside ones."""
        wanted = ipaddress.ip_address(address)
        for one in self.uplinks:
            for first, last in one.ranges:
                low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
                if low.version == wanted.version and int(low) <= int(wanted) <= int(high):
                    return True
        return False


def edges(session: Session, *, owner: str = "") -> list[EdgeGateway]:
    """The edge gateways of the organisation; those of a VDC or group, by its URN."""
    where = [("ownerRef.id", owner)] if owner else []
    return [_edge(one) for one in query.listed(session, "edgeGateways", "cannot list the edges", where=where)]


def _edge(one: Json) -> EdgeGateway:
    uplinks = []
    for link in wire.objects(one.get("edgeGatewayUplinks")):
        for subnet in wire.objects(wire.mapping(link.get("subnets")).get("values")):
            ranges = _ranges(subnet.get("ipRanges"))
            uplinks.append(Uplink(wire.string(subnet.get("gateway")), xml.whole(subnet.get("prefixLength")), ranges))
    owner, owner_name = wire.ref(one.get("ownerRef") or one.get("orgVdc"))
    return EdgeGateway(
        wire.string(one.get("id")),
        wire.string(one.get("name")),
        owner,
        owner_name,
        tuple(uplinks),
        wire.string(one.get("status")),
    )


def _ranges(value: object) -> tuple[tuple[str, str], ...]:
    found = []
    for one in wire.objects(wire.mapping(value).get("values")):
        first, last = wire.string(one.get("startAddress")), wire.string(one.get("endAddress"))
        try:
            ipaddress.ip_address(first), ipaddress.ip_address(last or first)
        except ValueError:
            continue
        found.append((first, last or first))
    return tuple(found)


def edge(session: Session, name: str) -> EdgeGateway:
    """An edge gateway by name. Raises NotFound with those that there are."""
    there = edges(session)
    found = [one for one in there if one.name == name]
    if len(found) != 1:
        names = ", ".join(sorted(one.name for one in there)) or "none"
        raise NotFound(f"cannot use the edge {name}", cause=f"there are {len(found)} of that name (of {names})")
    return found[0]


def used_addresses(session: Session, edge_id: str) -> list[tuple[str, str]]:
    """(address, what for) of the outside addresses of an edge that are in use."""
    path = f"edgeGateways/{edge_id}/usedIpAddresses"
    rows = query.listed(session, path, f"cannot list the used addresses of {edge_id}")
    return sorted((wire.string(one.get("ipAddress")), wire.string(one.get("category"))) for one in rows)


# -- networks of the organisation


@dataclass(frozen=True)
class Network:
    """A network: behind an edge (its URN), or isolated (edge ""). ranges: static addresses, as (first, last).

    It has a subnet of IPv4 (gateway, prefix), one of IPv6 (gateway6, prefix6), or both.
    """

    name: str
    gateway: str
    prefix: int
    owner: str
    edge: str = ""
    ranges: tuple[tuple[str, str], ...] = ()
    dns1: str = ""
    dns2: str = ""
    dns_suffix: str = ""
    description: str = ""
    gateway6: str = ""
    prefix6: int = 0
    dns6: tuple[str, ...] = ()

    def problems(self) -> list[Problem]:
        """What is wrong with it."""
        found = []
        try:
            if self.gateway6 or not self.gateway:
                ipaddress.IPv6Interface(f"{self.gateway6}/{self.prefix6}")
            net = ipaddress.ip_interface(f"{self.gateway or self.gateway6}/{self.prefix or self.prefix6}").network
        except ValueError as error:
            return [Problem(f"networks.{self.name}", str(error))]
        for first, last in self.ranges:
            try:
                low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
                good = low in net and high in net and int(low) <= int(high)
            except ValueError:
                good = False
            if not good:
                found.append(Problem(f"networks.{self.name}.ranges", f"{first}-{last} is no range in {net}"))
        return found

    def wanted(self) -> Wanted:
        """It as an object to plan with. InvalidInput where it makes no sense."""
        problems = self.problems()
        if problems:
            raise InvalidInput(f"the network {self.name} cannot be made", problems)
        ranges = [{"startAddress": first, "endAddress": last} for first, last in sorted(self.ranges)]
        subnets = []
        if self.gateway:
            subnets.append(self._subnet(self.gateway, self.prefix, (self.dns1, self.dns2), ranges))
        if self.gateway6:
            subnets.append(self._subnet(self.gateway6, self.prefix6, self.dns6, [] if self.gateway else ranges))
        body: dict[str, Any] = {
            "ownerRef": {"id": self.owner},
            "networkType": "NAT_ROUTED" if self.edge else "ISOLATED",
            "subnets": {"values": subnets},
            **({"enableDualSubnetNetwork": True} if len(subnets) > 1 else {}),
        }
        if self.edge:
            body["connection"] = {"routerRef": {"id": self.edge}, "connectionTypeValue": "INTERNAL"}
        return Wanted(self.name, _shown_network(body), body, self.description)

    def _subnet(self, gateway: str, prefix: int, dns: Sequence[str], ranges: list[dict[str, str]]) -> dict[str, Any]:
        first, second = (*dns, "", "")[:2]
        return {
            "gateway": gateway,
            "prefixLength": prefix,
            "dnsServer1": first,
            "dnsServer2": second,
            "dnsSuffix": self.dns_suffix,
            "ipRanges": {"values": ranges},
        }


def _shown_network(one: Json) -> Shown:
    subnets = wire.objects(wire.mapping(one.get("subnets")).get("values"))
    first = subnets[0] if subnets else {}
    rest = next((row for row in subnets[1:] if ":" in wire.string(row.get("gateway"))), None)
    connection = wire.mapping(one.get("connection"))

    def dns(subnet: Json) -> list[str]:
        return [found for key in ("dnsServer1", "dnsServer2") if (found := wire.string(subnet.get(key)))]

    shown: dict[str, Any] = {
        "type": wire.string(one.get("networkType")),
        "edge": wire.ref(connection.get("routerRef"))[0],
        "gateway": wire.string(first.get("gateway")),
        "prefix": xml.whole(first.get("prefixLength")),
        "dns": dns(first),
        "dns_suffix": wire.string(first.get("dnsSuffix")),
        "ranges": sorted(f"{low}-{high}" for low, high in _ranges(first.get("ipRanges"))),
    }
    if rest is not None:
        shown |= {"gateway6": wire.string(rest.get("gateway")), "prefix6": xml.whole(rest.get("prefixLength"))}
        shown["dns6"] = dns(rest)
    return shown


NETWORKS = Kind("network", "orgVdcNetworks", _shown_network, fixed=("type", "gateway", "prefix", "gateway6", "prefix6"))


def cidrs_of(one: Json) -> list[str]:
    """The networks, with their prefixes, of a network of the organisation."""
    shown, found = _shown_network(one), []
    for gateway, prefix in (("gateway", "prefix"), ("gateway6", "prefix6")):
        try:
            found.append(str(ipaddress.ip_interface(f"{shown[gateway]}/{shown[prefix]}").network))
        except (KeyError, ValueError):
            continue
    return found


def networks(session: Session, *, owner: str = "") -> list[Json]:
    """The networks of the organisation; those of a VDC or group, by its URN."""
    where = [("ownerRef.id", owner)] if owner else []
    return query.listed(session, NETWORKS.path, "cannot list the networks", where=where)


@dataclass(frozen=True)
class Dhcp:
    """DHCP of a network: pools as (first, last), DNS servers, seconds of a lease. No pools: none."""

    pools: tuple[tuple[str, str], ...] = ()
    dns: tuple[str, ...] = ()
    lease: int = 86400
    mode: str = "EDGE"
    address: str = ""


def _shown_dhcp(one: Json) -> dict[str, Any]:
    pools = [wire.mapping(pool.get("ipRange")) for pool in wire.objects(one.get("dhcpPools"))]
    enabled = one.get("enabled") is True and bool(pools)
    if not enabled:
        return {"enabled": False}
    servers = one.get("dnsServers")
    return {
        "enabled": True,
        "mode": wire.string(one.get("mode")) or "EDGE",
        "pools": sorted(f"{wire.string(p.get('startAddress'))}-{wire.string(p.get('endAddress'))}" for p in pools),
        "dns": [wire.string(server) for server in servers] if isinstance(servers, list) else [],
        "lease": xml.whole(one.get("leaseTime"), 86400),
        **({"address": wire.string(one.get("ipAddress"))} if one.get("mode") == "NETWORK" else {}),
    }


def _dhcp_of(session: Session, network_id: str, name: str) -> Json:
    try:
        what = f"cannot read the DHCP of the network {name}"
        return session.get(f"orgVdcNetworks/{network_id}/dhcp", what) if network_id else {}
    except NotFound:
        return {}


def dhcp(session: Session, network_id: str, name: str) -> Shown:
    """What is compared of the DHCP of a network; network_id "": of one that is not made yet."""
    return _shown_dhcp(_dhcp_of(session, network_id, name))


def plan_dhcp(session: Session, network_id: str, name: str, wanted: Dhcp) -> ChangeSet:
    """What would change of the DHCP of a network; network_id "": of one that is not made yet."""
    current = _dhcp_of(session, network_id, name)
    before = _shown_dhcp(current)
    pools = [
        {
            "enabled": True,
            "ipRange": {"startAddress": first, "endAddress": last},
            "maxLeaseTime": wanted.lease,
            "defaultLeaseTime": wanted.lease,
        }
        for first, last in sorted(wanted.pools)
    ]
    body: dict[str, Any] = {
        "enabled": bool(pools),
        "mode": wanted.mode,
        "leaseTime": wanted.lease,
        "dhcpPools": pools,
        "dnsServers": list(wanted.dns),
    }
    if wanted.address:
        body["ipAddress"] = wanted.address
    if not pools:
        body = {**current, "enabled": False}  # how it was stays, so that the server takes it
    after = _shown_dhcp(body)
    if before == after:
        return ChangeSet()
    return ChangeSet((Change("update", "dhcp", name, before, after, id=network_id, body=body),))


def apply_dhcp(session: Session, changes: ChangeSet) -> None:
    """Make the change of a network's DHCP."""
    for change in changes.changes:
        path = cloudapi(f"orgVdcNetworks/{change.id}/dhcp")
        what = f"cannot change the DHCP of the network {change.name}"
        tasks.run(session, "PUT", path, what, body=dict(change.body), ok=(200, 202, 204))


def _shown_binding(one: Json) -> Shown:
    servers = one.get("dnsServers")
    return {
        "mac": wire.string(one.get("macAddress")).lower(),
        "address": wire.string(one.get("ipAddress")),
        "gateway": wire.string(wire.mapping(one.get("dhcpV4BindingConfig")).get("gatewayIpAddress")),
        "dns": [wire.string(server) for server in servers] if isinstance(servers, list) else [],
        "lease": xml.whole(one.get("leaseTime"), 86400),
    }


def binding_kind(network_id: str) -> Kind:
    """The addresses that DHCP of a network gives to one card only."""
    return Kind("DHCP binding", f"orgVdcNetworks/{network_id}/dhcp/bindings", _shown_binding)


def bindings(session: Session, network_id: str) -> list[Json]:
    """The bindings of a network; none where it is not made yet (its id is "")."""
    if not network_id:
        return []
    return query.listed(session, binding_kind(network_id).path, f"cannot list the DHCP bindings of {network_id}")


def binding(
    name: str,
    mac: str,
    address: str,
    *,
    gateway: str,
    dns: Sequence[str] = (),
    lease: int = 86400,
    description: str = "",
) -> Wanted:
    """A binding of IPv4 to plan with."""
    body: dict[str, Any] = {
        "bindingType": "IPV4",
        "macAddress": mac,
        "ipAddress": address,
        "dnsServers": list(dns),
        "leaseTime": lease,
        "dhcpV4BindingConfig": {"gatewayIpAddress": gateway},
    }
    return Wanted(name, _shown_binding(body), body, description)


# -- groups and port profiles


def _shown_group(one: Json) -> Shown:
    kind = wire.string(one.get("typeValue")) or wire.string(one.get("type"))
    if kind == "IP_SET":
        listed = one.get("ipAddresses")
        return {"type": kind, "addresses": canonical(listed if isinstance(listed, list) else [])}
    return {"type": kind, "members": sorted(wire.ref(member)[0] for member in wire.objects(one.get("members")))}


def canonical(addresses: Sequence[object]) -> list[str]:
    """Addresses, networks and ranges as they are compared: sorted, each in its one form."""
    found = set()
    for one in addresses:
        text = wire.string(one).strip()
        first, dash, last = text.partition("-")
        try:
            if dash:
                found.add(f"{ipaddress.ip_address(first.strip())}-{ipaddress.ip_address(last.strip())}")
            elif "/" in text:
                net = ipaddress.ip_network(text, strict=False)
                found.add(str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net))
            else:
                found.add(str(ipaddress.ip_address(text)))
        except ValueError:
            found.add(text)
    return sorted(found)


GROUPS = Kind("firewall group", "firewallGroups", _shown_group, fixed=("type",), apart=True)


def group_summaries(session: Session, owner: str) -> list[Json]:
    """The IP sets and groups of an edge or a VDC group (its URN), without their addresses and members."""
    what = f"cannot list the groups of {owner}"
    return query.listed(session, "firewallGroups/summaries", what, where=[("_context", owner)])


def groups(session: Session, owner: str, name: str = "") -> list[Json]:
    """The IP sets and groups of an edge or a VDC group (its URN), whole; those of a name.

    A list has summaries without addresses, so each of them is read, some at a time.
    """
    what = f"cannot list the groups of {owner}"
    rows = group_summaries(session, owner)
    if name:
        rows = [row for row in rows if wire.string(row.get("name")) == name]

    def whole(row: Json) -> Json | None:
        return query.one_of(
            session,
            "firewallGroups",
            wire.string(row.get("id")),
            what,
            where=[("_context", owner)],
            lists="firewallGroups/summaries",
        )

    with ThreadPoolExecutor(READERS) as pool:
        return [one for one in pool.map(whole, rows) if one is not None]


def ip_set(group: model.AddressGroup, owner: str) -> Wanted:
    """An IP set to plan with. owner: the edge or the VDC group."""
    addresses = canonical(group.addresses)
    body = {"ownerRef": {"id": owner}, "typeValue": "IP_SET", "ipAddresses": addresses}
    return Wanted(group.name, {"type": "IP_SET", "addresses": addresses}, body, group.description)


def security_group(name: str, members: Sequence[str], owner: str, *, description: str = "") -> Wanted:
    """A group of networks (their URNs) to plan with."""
    ids = sorted(set(members))
    body = {"ownerRef": {"id": owner}, "typeValue": "SECURITY_GROUP", "members": [{"id": one} for one in ids]}
    return Wanted(name, {"type": "SECURITY_GROUP", "members": ids}, body, description)


def address_groups(rows: Sequence[Json]) -> list[model.AddressGroup]:
    """Groups in the words of the model; those whose addresses nobody can tell are marked so."""
    found = []
    for one in rows:
        shown = _shown_group(one)
        found.append(
            model.AddressGroup(
                name=wire.string(one.get("name")),
                id=wire.string(one.get("id")),
                description=wire.string(one.get("description")),
                addresses=list(shown.get("addresses", [])),
                known=shown["type"] == "IP_SET",
            )
        )
    return found


def _ports(value: object) -> list[str]:
    return sorted(wire.string(port) for port in value) if isinstance(value, list) else []


def _shown_profile(one: Json) -> Shown:
    entries = [
        f"{wire.string(entry.get('protocol'))} {','.join(_ports(entry.get('destinationPorts')))}".strip()
        for entry in wire.objects(one.get("applicationPorts"))
    ]
    return {"ports": sorted(entries)}


PROFILES = Kind("port profile", "applicationPortProfiles", _shown_profile, apart=True)


def profiles(session: Session, owner: str, scope: str = "") -> list[Json]:
    """The port profiles that rules of an edge or a group can use; scope: TENANT, SYSTEM, PROVIDER."""
    where = [("_context", owner), *([("scope", scope)] if scope else [])]
    return query.listed(session, PROFILES.path, f"cannot list the port profiles of {owner}", where=where)


def port_profile(profile: model.PortProfile, context: str, org_id: str) -> Wanted:
    """A port profile to plan with. context: the VDC or the VDC group."""
    entries: list[dict[str, Any]] = [
        {"protocol": entry.protocol, **({"destinationPorts": sorted(entry.ports)} if entry.ports else {})}
        for entry in profile.entries
    ]
    body = {
        "scope": "TENANT",
        "contextEntityId": context,
        "orgRef": {"id": org_id},
        "applicationPorts": entries,
    }
    return Wanted(profile.name, _shown_profile(body), body, profile.description)


def port_profiles(rows: Sequence[Json]) -> list[model.PortProfile]:
    """Port profiles in the words of the model."""
    found = []
    for one in rows:
        entries, known = [], True
        for entry in wire.objects(one.get("applicationPorts")):
            protocol = wire.string(entry.get("protocol"))
            if protocol not in ("TCP", "UDP", "ICMPv4", "ICMPv6"):
                known = False
                continue
            ports = _ports(entry.get("destinationPorts"))
            entries.append(model.PortEntry(protocol=cast(model.Protocol, protocol), ports=ports))
        scope = wire.string(one.get("scope"))
        found.append(
            model.PortProfile(
                name=wire.string(one.get("name")),
                id=wire.string(one.get("id")),
                description=wire.string(one.get("description")),
                entries=entries,
                scope=cast(Any, scope if scope in ("TENANT", "SYSTEM", "PROVIDER") else "TENANT"),
                known=known and bool(entries),
            )
        )
    return found


# -- firewalls


def _ids(value: object) -> list[str]:
    return sorted(wire.ref(one)[0] for one in wire.objects(value))


def _shown_rule(one: Json) -> Shown:
    return {
        "action": wire.string(one.get("actionValue")) or wire.string(one.get("action")),
        "enabled": one.get("enabled") is not False,
        "direction": wire.string(one.get("direction")) or "IN_OUT",
        "ip_protocol": wire.string(one.get("ipProtocol")) or "IPV4_IPV6",
        "sources": _ids(one.get("sourceFirewallGroups")),
        "destinations": _ids(one.get("destinationFirewallGroups")),
        "profiles": _ids(one.get("applicationPortProfiles")),
        "contexts": _ids(one.get("networkContextProfiles")),
        "sources_excluded": one.get("sourceGroupsExcluded") is True,
        "destinations_excluded": one.get("destinationGroupsExcluded") is True,
    }


def edge_rules(edge_id: str) -> Ordered:
    """The firewall of an edge. A rule has only its name to bear a stamp."""
    path = f"edgeGateways/{edge_id}/firewall/rules"
    return Ordered("edge firewall rule", path, "userDefinedRules", "name", _shown_rule)


def distributed_rules(group_id: str) -> Ordered:
    """The distributed firewall of a VDC group."""
    path = f"vdcGroups/{group_id}/dfwPolicies/default/rules"
    return Ordered("distributed firewall rule", path, "values", "comments", _shown_rule)


def rule(one: model.FirewallRule, ids: Mapping[str, str], *, distributed: bool) -> Wanted:
    """A rule to plan with. ids: {name: id} of groups and profiles; what is an id already stays one.

    Logging is sent and not compared: a user of an organisation always reads false.
    """
    missing = [
        Problem(f"rules.{one.name}", f"{name} is not there")
        for name in (*one.sources, *one.destinations, *one.profiles)
        if name not in ids and not name.startswith("urn:")
    ]
    if missing:
        raise InvalidInput(f"the rule {one.name} cannot be made", missing)

    def refs(names: Sequence[str]) -> list[dict[str, str]]:
        return [{"id": found} for found in sorted({ids.get(name, name) for name in names})]

    body: dict[str, Any] = {
        "actionValue": one.action,
        "enabled": one.enabled,
        "direction": one.direction,
        "ipProtocol": one.ip_protocol,
        "logging": one.logging,
        "sourceFirewallGroups": refs(one.sources),
        "destinationFirewallGroups": refs(one.destinations),
        "applicationPortProfiles": refs(one.profiles),
        "networkContextProfiles": refs(one.context_profiles),
    }
    if distributed:
        body |= {"sourceGroupsExcluded": one.sources_excluded, "destinationGroupsExcluded": one.destinations_excluded}
    elif one.sources_excluded or one.destinations_excluded:
        problem = Problem(f"rules.{one.name}", "an edge has no rules for all but a group")
        raise InvalidInput(f"the rule {one.name} cannot be made", [problem])
    return Wanted(one.name, _shown_rule(body), body, one.comments)


def firewall_rules(rows: Sequence[Json], kind: Ordered) -> list[model.FirewallRule]:
    """Rules in the words of the model, in their order."""
    found = []
    for one in rows:
        shown = _shown_rule(one)
        found.append(
            model.FirewallRule(
                name=objects.rule_name(kind, one),
                id=wire.string(one.get("id")),
                comments=objects.unstamped(one.get("comments")),
                action=_one_of(shown["action"], ("ALLOW", "DROP", "REJECT"), kind, one),
                enabled=shown["enabled"],
                direction=_one_of(shown["direction"], ("IN", "OUT", "IN_OUT"), kind, one),
                ip_protocol=_one_of(shown["ip_protocol"], ("IPV4", "IPV6", "IPV4_IPV6"), kind, one),
                sources=shown["sources"],
                destinations=shown["destinations"],
                profiles=shown["profiles"],
                context_profiles=shown["contexts"],
                sources_excluded=shown["sources_excluded"],
                destinations_excluded=shown["destinations_excluded"],
                logging=one.get("logging") is True,
            )
        )
    return found


def _one_of(value: str, known: Sequence[str], kind: Ordered, one: Json) -> Any:
    """A word of the model; what it has no word for must not be taken for something else."""
    if value not in known:
        raise Conflict(
            f"the {kind.name} {wire.string(one.get('name'))} is not understood", cause=f"it says {value or 'nothing'!r}"
        )
    return value


def read_edge(session: Session, edge_id: str, inside: Sequence[str] = ()) -> model.Edge:
    """The firewall of an edge as it is: its own rules, then those of the default. System rules are the provider's."""
    what = f"cannot read the firewall of {edge_id}"
    kind = edge_rules(edge_id)
    answer = session.get(kind.path, what)
    defaults = wire.objects(answer.get("defaultRules"))
    default = _shown_rule(defaults[-1])["action"] if defaults else "DROP"
    if defaults and not _shown_rule(defaults[-1])["enabled"]:
        default = "ALLOW"
    rows = [*wire.objects(answer.get("systemRules")), *wire.objects(answer.get("userDefinedRules"))]
    return model.Edge(
        rules=firewall_rules(rows, kind),
        default_action=_one_of(default, ("ALLOW", "DROP", "REJECT"), kind, {"name": "default"}),
        inside=list(inside),
    )


def read_distributed(session: Session, group_id: str) -> model.Distributed | None:
    """The distributed firewall of a VDC group as it is; None where it is not switched on."""
    what = f"cannot read the distributed firewall of {group_id}"
    policies = session.get(f"vdcGroups/{group_id}/dfwPolicies", what)
    if policies.get("enabled") is not True:
        return None
    kind = distributed_rules(group_id)
    rows = objects.read_list(session, kind, what)
    enabled = wire.mapping(policies.get("defaultPolicy")).get("enabled") is not False
    return model.Distributed(enabled=enabled, rules=firewall_rules(rows, kind), default_action="ALLOW")


def read_firewall(
    session: Session, *, edge_id: str = "", group_id: str = "", inside: Sequence[str] = ()
) -> model.TargetFirewall:
    """All that decides at the target whether a packet passes, as it is really configured."""
    owners = [one for one in (group_id, edge_id) if one]
    named: dict[str, model.AddressGroup] = {}
    ports: dict[str, model.PortProfile] = {}
    for owner in owners:
        named |= {one.ref: one for one in address_groups(groups(session, owner))}
        ports |= {one.ref: one for one in port_profiles(profiles(session, owner))}
    return model.TargetFirewall(
        groups=sorted(named.values(), key=lambda one: one.ref),
        profiles=sorted(ports.values(), key=lambda one: one.ref),
        distributed=read_distributed(session, group_id) if group_id else None,
        edge=read_edge(session, edge_id, inside) if edge_id else None,
        nat=nat_model(nat_rules(session, edge_id)) if edge_id else [],
    )


# -- VDC groups


def vdc_groups(session: Session) -> list[Json]:
    """The VDC groups of the organisation."""
    return query.listed(session, "vdcGroups", "cannot list the VDC groups")


def ensure_vdc_group(
    session: Session, name: str, vdc_id: str, *, description: str = "", dry_run: bool = False
) -> tuple[str, ChangeSet]:
    """(id, what changed) of the VDC group that a VDC is in; one of its own is made where it is in none.

    A distributed firewall, and networks that several VDCs share, are a group's.
    """
    what = f"cannot make the VDC group {name}"
    there = vdc_groups(session)
    for one in there:
        inside = [wire.ref(member.get("vdcRef"))[0] for member in wire.objects(one.get("participatingOrgVdcs"))]
        if vdc_id in inside:
            return wire.string(one.get("id")), ChangeSet()
    if any(wire.string(one.get("name")) == name for one in there):
        raise Conflict(what, cause="there is one of that name, and the VDC is not in it")
    where = [("_context", "LOCAL"), ("_context", vdc_id)]
    candidates = query.listed(session, "vdcGroups/networkingCandidateVdcs", what, where=where)
    mine = next((one for one in candidates if wire.string(one.get("id")) == vdc_id), None)
    if mine is None:
        raise NotFound(
            what, cause="the VDC cannot be in a group", hint="Ask Orange: it may have no networks of its own."
        )
    after = {"name": name, "vdcs": [wire.string(mine.get("name"))]}
    changes = ChangeSet((Change("create", "VDC group", name, None, after),))
    if dry_run:
        return "", changes
    body = {
        "name": name,
        "description": description,
        "orgId": wire.ref(mine.get("orgRef"))[0],
        "type": "LOCAL",
        "networkProviderType": "NSX_T",
        "participatingOrgVdcs": [
            {
                "vdcRef": {"id": vdc_id},
                "siteRef": mine.get("siteRef"),
                "orgRef": mine.get("orgRef"),
                "faultDomainTag": mine.get("faultDomainTag"),
                "networkProviderScope": mine.get("networkProviderScope"),
            }
        ],
    }
    made = objects.create(session, "vdcGroups", body, what)
    if not made:
        found = [one for one in vdc_groups(session) if wire.string(one.get("name")) == name]
        made = wire.string(found[0].get("id")) if found else ""
    return made, changes


def give_edge(session: Session, edge_id: str, group_id: str, *, dry_run: bool = False) -> ChangeSet:
    """Have an edge belong to a VDC group (its id), so that the group's networks are behind it; what changed."""
    what = f"cannot give the edge {edge_id} to the VDC group"
    with session.lock("edge", edge_id):
        current = session.get(f"edgeGateways/{edge_id}", what)
        owner = wire.ref(current.get("ownerRef"))[0]
        if owner == group_id:
            return ChangeSet()
        change = Change("update", "edge", wire.string(current.get("name")), {"owner": owner}, {"owner": group_id})
        if not dry_run:
            body = {**current, "ownerRef": {"id": group_id}}
            tasks.run(session, "PUT", cloudapi(f"edgeGateways/{edge_id}"), what, body=body, ok=(200, 202, 204))
    return ChangeSet((change,))


def enable_distributed(session: Session, group_id: str, *, dry_run: bool = False) -> ChangeSet:
    """Have the distributed firewall of a VDC group on, with its default policy; what changed."""
    what = f"cannot switch the distributed firewall of {group_id} on"
    path = f"vdcGroups/{group_id}/dfwPolicies"
    current = session.get(path, what)
    default = wire.mapping(current.get("defaultPolicy"))
    before = {"enabled": current.get("enabled") is True}
    if before["enabled"]:
        return ChangeSet()
    change = Change("update", "distributed firewall", group_id, before, {"enabled": True}, id=group_id)
    if not dry_run:
        with session.lock("VDC group", group_id):
            body = {**current, "enabled": True, **({"defaultPolicy": default} if default else {})}
            tasks.run(session, "PUT", cloudapi(path), what, body=body, ok=(200, 202, 204))
    return ChangeSet((change,))


# -- NAT and routes


def _shown_nat(one: Json) -> Shown:
    return {
        "type": wire.string(one.get("type")) or wire.string(one.get("ruleType")),
        "enabled": one.get("enabled") is not False,
        "external": wire.string(one.get("externalAddresses")),
        "internal": wire.string(one.get("internalAddresses")),
        "external_port": wire.string(one.get("dnatExternalPort")),
        "destinations": wire.string(one.get("snatDestinationAddresses")),
        "profile": wire.ref(one.get("applicationPortProfile"))[0],
        "firewall_match": wire.string(one.get("firewallMatch")) or "MATCH_INTERNAL_ADDRESS",
        "priority": xml.whole(one.get("priority")),
    }


def nat_kind(edge_id: str) -> Kind:
    """The NAT rules of an edge. The id of a new one is not told: it is found by its name."""
    return Kind("NAT rule", f"edgeGateways/{edge_id}/nat/rules", _shown_nat)


def nat_rules(session: Session, edge_id: str) -> list[Json]:
    """The NAT rules of an edge: all, since it takes no filter."""
    return query.listed(session, nat_kind(edge_id).path, f"cannot list the NAT rules of {edge_id}")


def nat_rule(one: model.NatRule, ids: Mapping[str, str]) -> Wanted:
    """A NAT rule to plan with. ids: {name: id} of port profiles."""
    body: dict[str, Any] = {
        "type": one.type,
        "enabled": one.enabled,
        "externalAddresses": one.external,
        "internalAddresses": one.internal,
        "snatDestinationAddresses": one.destinations or None,
        "dnatExternalPort": one.external_port or None,
        "applicationPortProfile": {"id": ids.get(one.profile, one.profile)} if one.profile else None,
        "firewallMatch": one.firewall_match,
        "priority": one.priority,
        "logging": False,
    }
    return Wanted(one.name, _shown_nat(body), body, one.description)


def nat_model(rows: Sequence[Json]) -> list[model.NatRule]:
    """NAT rules in the words of the model."""
    found = []
    for row in rows:
        shown = _shown_nat(row)
        if shown["type"] not in ("DNAT", "SNAT", "NO_DNAT", "NO_SNAT", "REFLEXIVE"):
            raise Conflict(f"the NAT rule {wire.string(row.get('name'))} is not understood", cause=f"{shown['type']!r}")
        found.append(
            model.NatRule(
                name=wire.string(row.get("name")),
                id=wire.string(row.get("id")),
                description=objects.unstamped(row.get("description")),
                **cast(Any, shown),
            )
        )
    return found


def apply_on_edge(
    session: Session,
    edge_id: str,
    kind: Kind,
    wanted: Sequence[Wanted],
    tenant: str,
    *,
    remove: bool = False,
    overwrite: bool = False,
) -> ChangeSet:
    """Plan and make changes of an edge's own objects (NAT rules, routes) under its lock, on what is there now."""
    what = f"cannot list the {kind.name}s of {edge_id}"
    with session.lock("edge", edge_id):
        current = query.listed(session, kind.path, what)
        changes = objects.plan(kind, current, wanted, tenant, remove=remove, overwrite=overwrite)
        objects.apply(session, kind, changes)
        if changes:
            left = objects.plan(
                kind, query.listed(session, kind.path, what), wanted, tenant, remove=remove, overwrite=True
            )
            if left:
                some = "; ".join(str(one) for one in left.changes[:5])
                raise Conflict(
                    f"cannot change the {kind.name}s of {edge_id}",
                    cause=f"what was written is not what is there: {some}",
                    retryable=True,
                )
    return changes


@dataclass(frozen=True)
class Route:
    """A static route of an edge: a network and the way there."""

    name: str
    cidr: str
    next_hop: str
    distance: int = 1
    scope: str = ""
    description: str = ""

    def wanted(self) -> Wanted:
        """It as an object to plan with."""
        hop: dict[str, Any] = {"ipAddress": self.next_hop, "adminDistance": self.distance}
        if self.scope:
            hop["scope"] = {"id": self.scope, "scopeType": "NETWORK"}
        body = {"networkCidr": self.cidr, "nextHops": [hop]}
        return Wanted(self.name, _shown_route(body), body, self.description)


def _shown_route(one: Json) -> Shown:
    hops = [
        f"{wire.string(hop.get('ipAddress'))} {xml.whole(hop.get('adminDistance'), 1)} "
        f"{wire.ref(hop.get('scope'))[0]}".strip()
        for hop in wire.objects(one.get("nextHops"))
    ]
    return {"cidr": wire.string(one.get("networkCidr")), "next_hops": sorted(hops)}


def route_kind(edge_id: str) -> Kind:
    """The static routes of an edge."""
    return Kind("static route", f"edgeGateways/{edge_id}/routing/staticRoutes", _shown_route)


def routes(session: Session, edge_id: str) -> list[Json]:
    """The static routes of an edge."""
    return query.listed(session, route_kind(edge_id).path, f"cannot list the static routes of {edge_id}")


# -- a whole firewall


@dataclass(frozen=True)
class Place:
    """Where a firewall is: the edge, the VDC group ("" for none), and the organisation, all as URNs.

    context: the VDC or VDC group that port profiles are for.
    """

    edge: str
    group: str
    context: str
    org: str

    @property
    def owner(self) -> str:
        """Whose the IP sets are."""
        return self.group or self.edge


def place_of(session: Session, gateway: EdgeGateway) -> Place:
    """The place of an edge: with a VDC group where one owns it."""
    org = wire.ref(session.get("sessions/current", "cannot read the session").get("org"))[0]
    group = gateway.owner if ":vdcGroup:" in gateway.owner else ""
    return Place(gateway.id, group, gateway.owner, org)


def apply_firewall(
    session: Session,
    place: Place,
    wanted: model.TargetFirewall,
    tenant: str,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    first: bool = False,
) -> ChangeSet:
    """Have IP sets, port profiles and rules of both firewalls as wanted; what changed, with names instead of ids.

    First what rules name is made or changed, then the rules, then what no rule names any more goes. What is in `wanted`
    as `distributed` or `edge` None is left alone. Port profiles of the system are used and never made. Conflicts of any
    part are raised before anything is changed. dry_run: nothing is. first: rules go before those of others, where
    there are none of ours yet.
    """
    with session.lock("firewall", place.owner):
        return _apply_firewall(session, place, wanted, tenant, overwrite, dry_run, first)


def _apply_firewall(
    session: Session,
    place: Place,
    wanted: model.TargetFirewall,
    tenant: str,
    overwrite: bool,
    dry_run: bool,
    first: bool,
) -> ChangeSet:
    groups_now, profiles_now = groups(session, place.owner), profiles(session, place.context)
    own_profiles = [one for one in profiles_now if wire.string(one.get("scope")) == "TENANT"]
    sets = [ip_set(one, place.owner) for one in wanted.groups]
    ports = [port_profile(one, place.context, place.org) for one in wanted.profiles if one.scope == "TENANT"]
    parts = [(GROUPS, groups_now, sets), (PROFILES, own_profiles, ports)]
    plans = [
        (kind, objects.plan(kind, now, want, tenant, remove=True, overwrite=overwrite)) for kind, now, want in parts
    ]
    total = ChangeSet()
    for dummy, changes in plans:
        total += changes
    names = {wire.string(one.get("id")): wire.string(one.get("name")) for one in (*groups_now, *profiles_now)}
    ids = {name: identity for identity, name in names.items()}
    missing = {one.name: one.name for one in (*sets, *ports) if one.name not in ids}
    lists = _lists(place, wanted, {**ids, **missing})
    for kind, rules in lists:
        current = objects.read_list(session, kind, f"cannot read the {kind.name}s")
        total += objects.plan_list(kind, current, rules, tenant, first=first, overwrite=overwrite).changes
    shown = ChangeSet(tuple(_readable(one, names) for one in total.changes), total.conflicts)
    shown.refuse_conflicts(f"cannot change the firewall of {tenant}")
    if dry_run or not shown:
        return shown
    for kind_of, changes in plans:
        kept = tuple(one for one in changes.changes if one.action != "delete")
        ids |= {name: made for name, made in objects.apply(session, kind_of, ChangeSet(kept)).items() if made}
    if set(missing) - set(ids):
        ids |= {wire.string(one.get("name")): wire.string(one.get("id")) for one in groups(session, place.owner)}
        found = profiles(session, place.context, "TENANT")
        ids |= {wire.string(one.get("name")): wire.string(one.get("id")) for one in found}
    for kind, rules in _lists(place, wanted, ids):
        objects.apply_list(
            session,
            kind,
            place.edge if kind.mark == "name" else place.group,
            rules,
            tenant,
            first=first,
            overwrite=overwrite,
        )
    for kind_of, changes in plans:
        gone = tuple(one for one in changes.changes if one.action == "delete")
        objects.apply(session, kind_of, ChangeSet(gone))
    return shown


def predicted(
    session: Session,
    place: Place,
    now: model.TargetFirewall,
    wanted: model.TargetFirewall,
    tenant: str,
    *,
    first: bool = False,
) -> model.TargetFirewall:
    """What `read_firewall` would say once `apply_firewall` has made what is wanted, and ours of NAT is as wanted.

    now: what it says before. What is not made yet is known by its name.
    """
    groups = {one.name: one for one in now.groups}
    groups |= {one.name: replace(one, id=groups[one.name].id if one.name in groups else "") for one in wanted.groups}
    ours = {one.name: one for one in now.profiles if one.scope == "TENANT"}
    made = {
        one.name: replace(one, id=ours[one.name].id if one.name in ours else "")
        for one in wanted.profiles
        if one.scope == "TENANT"
    }
    ids = {one.name: one.ref for one in (*now.profiles, *made.values())} | {k: one.ref for k, one in groups.items()}
    found = {}
    off = wanted.distributed is not None and now.distributed is None  # it will be switched on
    for kind, rules in _lists(place, replace(wanted, distributed=None) if off else wanted, ids):
        current = objects.read_list(session, kind, f"cannot read the {kind.name}s")
        rows = objects.plan_list(kind, current, rules, tenant, first=first, overwrite=True).rules
        found[kind.mark] = (len(current), firewall_rules(rows, kind))
    distributed, edge = now.distributed, now.edge
    if "comments" in found:
        distributed = replace(distributed or model.Distributed(), rules=found["comments"][1])
    elif off:
        distributed = replace(wanted.distributed or model.Distributed(), default_action="ALLOW")
    if edge is not None and "name" in found:
        count, rows_of_edge = found["name"]
        edge = replace(edge, rules=[*edge.rules[: len(edge.rules) - count], *rows_of_edge])
    theirs = [one for one in nat_rules(session, place.edge) if not objects.is_of(one, tenant)]
    return model.TargetFirewall(
        groups=list(groups.values()),
        profiles=[*(one for one in now.profiles if one.name not in made or one.scope != "TENANT"), *made.values()],
        distributed=distributed,
        edge=edge,
        nat=[*nat_model(theirs), *wanted.nat],
    )


def _lists(place: Place, wanted: model.TargetFirewall, ids: Mapping[str, str]) -> list[tuple[Ordered, list[Wanted]]]:
    found: list[tuple[Ordered, list[Wanted]]] = []
    if wanted.distributed is not None and place.group:
        rules = [rule(one, ids, distributed=True) for one in wanted.distributed.rules]
        found.append((distributed_rules(place.group), rules))
    if wanted.edge is not None:
        rules = [rule(one, ids, distributed=False) for one in wanted.edge.rules]
        found.append((edge_rules(place.edge), rules))
    return found


def _readable(change: Change, names: Mapping[str, str]) -> Change:
    """The same with names instead of ids."""

    def said(shown: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if shown is None:
            return None
        return {
            key: [names.get(one, one) for one in value] if isinstance(value, list) else value
            for key, value in shown.items()
        }

    return replace(change, before=said(change.before), after=said(change.after))
