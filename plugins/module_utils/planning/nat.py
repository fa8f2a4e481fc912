# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Floating addresses, NAT gateways and routes of routers become NAT rules and static routes of the edge.

Public addresses cannot leave the source: the caller says which take their place. All rules let the edge's firewall see
the inner address, as security groups saw it.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names

ONE = 10
"""Priority of rules about one address: they are asked before those about networks."""
MANY = 100


@dataclass(frozen=True, kw_only=True)
class NatTranslation:
    """Rules and routes of the edge, the port profiles that they need, and what a person must know."""

    rules: list[model.NatRule] = field(default_factory=list)
    profiles: list[model.PortProfile] = field(default_factory=list)
    routes: list[model.StaticRoute] = field(default_factory=list)
    findings: list[e.Finding] = field(default_factory=list)


def translate_nat(
    estate: e.Estate,
    *,
    prefix: str,
    public: Mapping[str, str],
    outbound: str = "",
    networks: Collection[str] | None = None,
    vips: Mapping[str, str] | None = None,
) -> NatTranslation:
    """What the edge does with addresses in place of the source's routers and NAT gateways.

    public: {public address at the source: the one that takes its place}. outbound: the address with which machines go
    out that have none of their own. networks: ids of those that go behind the edge; None: all. vips: {address inside:
    name} of load balancers that are made there.
    """
    return _Translator(estate, prefix, public, outbound, networks, vips or {}).run()


class _Translator:
    def __init__(
        self,
        estate: e.Estate,
        prefix: str,
        public: Mapping[str, str],
        outbound: str,
        networks: Collection[str] | None,
        vips: Mapping[str, str],
    ) -> None:
        self.estate = estate
        self.prefix = prefix
        self.public = public
        self.outbound = outbound
        self.vips = vips
        self.networks = None if networks is None else set(networks)
        self.ports = {port.id: port for port in estate.ports}
        self.servers = {server.id: server for server in estate.servers}
        self.floating = {one.id: one for one in estate.floating_ips}
        self.rules: dict[str, model.NatRule] = {}
        self.profiles: dict[str, model.PortProfile] = {}
        self.routes: dict[str, model.StaticRoute] = {}
        self.findings: list[e.Finding] = []

    def run(self) -> NatTranslation:
        for one in self.estate.floating_ips:
            self._floating(one)
        for rule in self.estate.of("dnat_rules"):
            self._dnat(rule)
        for rule in self.estate.of("snat_rules"):
            self._snat(rule)
        for router in self.estate.of("routers"):
            self._router(router)
        for table in self.estate.of("route_tables"):
            self._table(table)
        for subnet in sorted(self.estate.subnets, key=lambda one: one.id):
            self._host_routes(subnet)
        return NatTranslation(
            rules=[self.rules[name] for name in sorted(self.rules)],
            profiles=[self.profiles[name] for name in sorted(self.profiles)],
            routes=[self.routes[name] for name in sorted(self.routes)],
            findings=sorted(self.findings, key=lambda one: (one.rule, one.subject.kind, one.subject.id, one.seen)),
        )

    def _tell(self, kind: str, one: Any, severity: e.Severity, seen: str, action: str) -> None:
        name = names.printable(getattr(one, "name", "") or getattr(one, "address", ""))
        subject = e.Subject(kind=kind, id=one.id, name=name)
        self.findings.append(e.Finding(rule="nat", severity=severity, subject=subject, seen=seen, action=action))

    def _new_address(self, kind: str, one: Any, old: str) -> str:
        """The public address that takes the place of another; empty (and told) where nobody said it."""
        new = self.public.get(old, "")
        if not new:
            self._tell(
                kind,
                one,
                "blocker",
                f"Nobody said which address takes the place of {old or 'its public address'}.",
                "Order a public address at the target and write it into the plan.",
            )
        return new

    def _here(self, network: str) -> bool:
        return self.networks is None or network in self.networks

    def _put(self, name: str, description: str, kind: model.NatType, **what: Any) -> None:
        rule = model.NatRule(name=name, description=names.printable(description, 250), type=kind, **what)
        if name in self.rules:  # two ids that begin alike
            name = f"{name}-{hashlib.sha256(description.encode()).hexdigest()[:6]}"
            rule = replace(rule, name=name)
        self.rules[name] = rule

    def _floating(self, one: e.FloatingIp) -> None:
        port = self.ports.get(one.port_id or "")
        if one.port_id is None or (port is not None and not self._here(port.network_id)):
            return
        inner = one.fixed_address or next((x.ip for x in (port.fixed_ips if port else []) if ":" not in x.ip), "")
        if inner in self.vips:
            self._balanced(one, inner)
            return
        if port is None or port.device_id not in self.servers:
            self._tell(
                "floating_ips",
                one,
                "information",
                f"{one.address} leads to port {one.port_id}, which is no server's.",
                "What it belongs to (a load balancer, a NAT gateway) is translated with its address, or by hand.",
            )
            return
        new = self._new_address("floating_ips", one, one.address)
        if not new or not inner:
            return
        server = self.servers[port.device_id]
        label = f"{names.slug(server.name, fallback='server')}-{names.short_id(one.id)}"
        about = f"Floating address {one.address} ({one.id}) of server {names.printable(server.name, 60)} ({server.id})"
        self._put(f"{self.prefix}-dnat-{label}", about, "DNAT", external=new, internal=inner, priority=ONE)
        self._put(f"{self.prefix}-snat-{label}", about, "SNAT", external=new, internal=inner, priority=ONE)

    def _balanced(self, one: e.FloatingIp, inner: str) -> None:
        """A floating address of a load balancer: what comes in is answered by the same way, so there is no SNAT."""
        new = self._new_address("floating_ips", one, one.address)
        if new:
            name = self.vips[inner]
            label = f"lb-{names.slug(name, fallback='lb', length=24)}-{names.short_id(one.id)}"
            about = f"Floating address {one.address} ({one.id}) of load balancer {names.printable(name, 60)}"
            self._put(f"{self.prefix}-dnat-{label}", about, "DNAT", external=new, internal=inner, priority=ONE)

    def _address_of(self, rule: e.Resource) -> str:
        """The public address of a rule of a NAT gateway."""
        known = self.floating.get(str(rule.properties.get("floating_ip_id", "")))
        return known.address if known else str(rule.properties.get("floating_ip_address", ""))

    def _dnat(self, rule: e.Resource) -> None:
        about = rule.properties
        port = self.ports.get(str(about.get("port_id", "")))
        if port is not None and not self._here(port.network_id):
            return
        inner = str(about.get("private_ip", ""))
        if port is not None:
            inner = next((fixed.ip for fixed in port.fixed_ips if ":" not in fixed.ip), inner)
        protocol = str(about.get("protocol", "any")).lower()
        outside, inside = _ports(about, "external_service_port"), _ports(about, "internal_service_port")
        whole = protocol in ("any", "0") or outside in ("", "0")
        if not inner or protocol not in ("tcp", "udp", "any", "6", "17", "0"):
            self._tell(
                "dnat_rules", rule, "blocker", "Where it leads, or its protocol, is not known.", "Write it by hand."
            )
            return
        new = self._new_address("dnat_rules", rule, self._address_of(rule))
        if not new:
            return
        label = f"{names.slug(inner)}-{'any' if whole else outside}-{names.short_id(rule.id)}"
        profile = "" if whole else self._profile("TCP" if protocol in ("tcp", "6") else "UDP", inside)
        self._put(
            f"{self.prefix}-dnat-{label}",
            f"DNAT rule {rule.id} of NAT gateway {rule.parent}",
            "DNAT",
            external=new,
            internal=inner,
            external_port="" if whole else outside,
            profile=profile,
            priority=ONE,
        )

    def _profile(self, protocol: Literal["TCP", "UDP"], ports: str) -> str:
        name = f"{self.prefix}-nat-{protocol.lower()}-{ports}"
        entry = model.PortEntry(protocol=protocol, ports=[ports])
        self.profiles[name] = model.PortProfile(name=name, description="For rules of NAT.", entries=[entry])
        return name

    def _snat(self, rule: e.Resource) -> None:
        about = rule.properties
        network = str(about.get("network_id", ""))
        # the source's own API calls a subnet's network by the id of either
        inner = [str(about["cidr"])] if about.get("cidr") else self._networks(network)
        if network and not self._here(network):
            subnets = [subnet for subnet in self.estate.subnets if subnet.id == network]
            if not any(self._here(subnet.network_id) for subnet in subnets):
                return
        if not inner:
            self._tell("snat_rules", rule, "blocker", "Which network it is about is not known.", "Write it by hand.")
            return
        new = self._new_address("snat_rules", rule, self._address_of(rule))
        for cidr in inner if new else []:
            self._put(
                f"{self.prefix}-snat-{names.slug(cidr)}-{names.short_id(rule.id)}",
                f"SNAT rule {rule.id} of NAT gateway {rule.parent}",
                "SNAT",
                external=new,
                internal=cidr,
                priority=MANY,
            )

    def _networks(self, identity: str) -> list[str]:
        """IPv4 networks of a network or a subnet."""
        return sorted(
            subnet.cidr
            for subnet in self.estate.subnets
            if identity in (subnet.network_id, subnet.id) and subnet.ip_version == 4 and identity
        )

    def _router(self, router: e.Resource) -> None:
        interfaces = [
            port
            for port in self.estate.ports
            if port.device_id == router.id and port.device_owner.startswith("network:router_interface")
        ]
        if not any(self._here(port.network_id) for port in interfaces) and self.networks is not None:
            return
        self._routes(router)
        gateway = router.properties.get("external_gateway_info")
        if not isinstance(gateway, Mapping) or not gateway.get("network_id") or gateway.get("enable_snat") is False:
            return
        behind = {fixed.subnet_id for port in interfaces if self._here(port.network_id) for fixed in port.fixed_ips}
        cidrs = sorted({s.cidr for s in self.estate.subnets if s.id in behind and s.ip_version == 4})
        if cidrs and not self.outbound:
            self._tell(
                "routers",
                router,
                "blocker",
                f"Machines of {', '.join(cidrs)} go out with its address, and nobody said which takes its place.",
                "Order a public address at the target and write it into the plan.",
            )
            return
        for cidr in cidrs:
            self._put(
                f"{self.prefix}-snat-{names.slug(cidr)}-{names.short_id(router.id)}",
                f"Router {names.printable(router.name, 60)} ({router.id}), which let its networks out",
                "SNAT",
                external=self.outbound,
                internal=cidr,
                priority=MANY,
            )

    def _routes(self, router: e.Resource) -> None:
        routes = router.properties.get("routes")
        for route in routes if isinstance(routes, list) else []:
            about = route if isinstance(route, Mapping) else {}
            self._route("routers", router, about.get("destination"), about.get("nexthop"), "router")

    def _table(self, table: e.Resource) -> None:
        """A table of routes of a VPC: its next hops are servers and cards as well as addresses."""
        about = table.properties
        subnets = {str(one.get("id")) for one in _mappings(about.get("subnets"))}
        known = {one.network_id for one in self.estate.subnets if subnets & {one.id, one.network_id}}
        if not any(self._here(identity) for identity in known):
            return
        for route in _mappings(about.get("routes")):
            kind, hop = str(route.get("type", "")), str(route.get("nexthop", ""))
            if kind == "local":
                continue
            ports = [one for one in self.estate.ports if hop and hop in (one.id, one.device_id)]
            inner = [fixed.ip for port in ports for fixed in port.fixed_ips if ":" not in fixed.ip]
            if kind in ("ecs", "eni", "vip") or inner:
                self._route("route_tables", table, route.get("destination"), min(inner, default=hop), "route table")
            else:
                self._tell(
                    "route_tables",
                    table,
                    "warning",
                    f"{names.printable(str(route.get('destination')))} is reached by {names.printable(kind)} "
                    f"({names.printable(hop)}), which does not move.",
                    "Make the way to it at the target (VPN, a network of another edge), and the route with it.",
                )

    def _host_routes(self, subnet: e.Subnet) -> None:
        """Routes that DHCP hands out: machines send to the gateway at the target, and the edge knows the way."""
        if not self._here(subnet.network_id):
            return
        routed = any(
            port.network_id == subnet.network_id and port.device_owner.startswith("network:router_interface")
            for port in self.estate.ports
        )
        for route in subnet.routes:
            if route.destination.startswith("169.254.") or route.nexthop == subnet.gateway:
                continue
            if not routed or route.destination in ("0.0.0.0/0", "::/0"):
                self._tell(
                    "subnets",
                    subnet,
                    "warning",
                    f"Its DHCP hands out a route: {names.printable(f'{route.destination} by {route.nexthop}')}.",
                    "DHCP of the target hands out none, and the edge cannot route for it: set it in the guests.",
                )
                continue
            self._route("subnets", subnet, route.destination, route.nexthop, "subnet")

    def _route(self, kind: str, owner: Any, destination: object, next_hop: object, what: str) -> None:
        try:
            network = str(ipaddress.ip_network(str(destination), strict=False))
            hop = ipaddress.ip_address(str(next_hop))
        except ValueError:
            text = f"A route is not understood: {names.printable(f'{destination} by {next_hop}')}."
            self._tell(kind, owner, "warning", text, "Write it by hand.")
            return
        if not any(hop.version == net.version and hop in net for net in self._nets()):
            self._tell(
                kind,
                owner,
                "warning",
                f"The way to {network} is by {hop}, which is in no network that moves.",
                "Make the way to it at the target, and the route with it.",
            )
            return
        known = next((one for one in self.routes.values() if one.network == network), None)
        if known is not None:
            if known.next_hop != str(hop):
                self._tell(
                    kind,
                    owner,
                    "warning",
                    f"There are several ways to {network}: by {known.next_hop}, and by {hop}.",
                    f"The edge takes the one by {known.next_hop}; write the other by hand, where it is needed.",
                )
            return
        name = f"{self.prefix}-route-{names.slug(network, length=48)}-{names.short_id(owner.id)}"
        about = f"Route of {what} {names.printable(owner.name, 60)} ({owner.id})"
        self.routes[name] = model.StaticRoute(name=name, description=about, network=network, next_hop=str(hop))

    def _nets(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        return [
            ipaddress.ip_network(subnet.cidr, strict=False)
            for subnet in self.estate.subnets
            if subnet.cidr and self._here(subnet.network_id)
        ]


def vpn_findings(estate: e.Estate) -> list[e.Finding]:
    """What a person has to make again of tunnels: with whom, for which networks, and how they are protected."""
    policies = {one.id: one.properties for kind in ("ike_policies", "ipsec_policies") for one in estate.of(kind)}
    services = {one.id: one.properties for one in estate.of("vpn_services")}
    findings = []
    for one in estate.of("vpn_connections"):
        about = one.properties
        peers = about.get("peer_cidrs")
        behind = ", ".join(map(str, peers)) if isinstance(peers, list) and peers else "networks of its endpoint group"
        who = names.printable(str(about.get("peer_address", "?")))
        identity = names.printable(str(about.get("peer_id", "")))
        ways = [
            f"{title} {_protection(policies.get(str(about.get(key, '')), {}))}"
            for title, key in (("IKE", "ikepolicy_id"), ("IPsec", "ipsecpolicy_id"))
        ]
        ours = str(services.get(one.parent, {}).get("external_v4_ip") or "the source's own")
        findings.append(
            e.Finding(
                rule="vpn",
                severity="warning",
                subject=e.Subject(kind="vpn_connections", id=one.id, name=names.printable(one.name)),
                seen=f"A tunnel goes to {who}{f' ({identity})' if identity not in ('', who) else ''} for "
                f"{names.printable(behind, 200)}; {', '.join(ways)}. The other end knows our address {ours}.",
                action="Make it again at the edge (IPsec VPN), with a new key: agree on it with the other end, which "
                "needs the new address, and let what comes by it pass.",
            )
        )
    return findings


def _protection(about: Mapping[str, Any]) -> str:
    keys = ("ike_version", "transform_protocol", "encryption_algorithm", "auth_algorithm", "pfs")
    return names.printable(" ".join(str(about[key]) for key in keys if about.get(key))) or "not known"


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _ports(about: Mapping[str, Any], key: str) -> str:
    """A port, or a range of them, as the target writes it; empty where there is none."""
    text = str(about.get(f"{key}_range") or about.get(key) or "").strip()
    first, _dash, last = text.partition("-")
    return first if first == last or not last else f"{first}-{last}"
