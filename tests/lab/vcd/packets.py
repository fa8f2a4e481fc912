# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configured NAT and firewalls do with one packet: the lab has no NSX, but it can say where a packet ends."""

from __future__ import annotations

import ipaddress
from typing import Any

from .core import Cloud, Row, bare
from .network import dig, meets

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
ENGINE = ipaddress.ip_address("192.168.255.10")
"""Where the load balancers of an edge come from: in its serviceNetworkDefinition."""


def machines(cloud: Cloud) -> list[Row]:
    """Every NIC of a VM that has an address: vm, mac, network, addresses."""
    found = []
    for vapp in cloud.table("vapp").values():
        parents = {n["name"]: n["parent"] for n in vapp["networks"]}
        for vm in cloud.find("vm", parent=vapp["id"]):
            for nic in vm["nics"]:
                told = [
                    i for g in vm["guest"].get("nics", []) if g.get("mac", "").lower() == nic["mac"] for i in g["ips"]
                ]
                addresses = [a for a in [nic["ip"], *told] if a]
                if addresses and parents.get(nic["network"]) and nic["connected"]:
                    found.append(
                        {"vm": vm, "mac": nic["mac"], "network": parents[nic["network"]], "addresses": addresses}
                    )
    return found


def _has(cloud: Cloud, group: Row, address: Address) -> bool:
    for text in group["ipAddresses"] or []:
        if "-" in text:
            low, high = (ipaddress.ip_address(p.strip()) for p in text.split("-"))
            if low.version == address.version and int(low) <= int(address) <= int(high):
                return True
        elif address in ipaddress.ip_network(text, strict=False):
            return True
    networks = {bare(m["id"]) for m in group["members"] or []}
    for nic in machines(cloud):
        if str(address) in nic["addresses"]:
            if nic["network"] in networks:
                return True
            for criterion in group["vmCriteria"] or []:
                if all(meets(cloud, nic["vm"], r) for r in criterion.get("rules") or []):
                    return True
    return False


def _side(cloud: Cloud, rule: Row, field: str, address: Address) -> bool:
    groups = [cloud.get("firewallGroup", g["id"]) for g in rule.get(field) or []]
    hit = not groups or any(_has(cloud, g, address) for g in groups if g)
    excluded = rule.get("sourceGroupsExcluded" if field.startswith("source") else "destinationGroupsExcluded")
    return hit != bool(excluded and groups)


def _service(cloud: Cloud, rule: Row, protocol: str, port: int) -> bool:
    profiles = [cloud.get("applicationPortProfile", p["id"]) for p in rule.get("applicationPortProfiles") or []]
    if not profiles:
        return True
    for entry in [e for p in profiles if p for e in p["applicationPorts"]]:
        if entry["protocol"] != protocol:
            continue
        ranges = [str(r).partition("-") for r in entry["destinationPorts"] or []]
        if not ranges or any(int(a) <= port <= int(b or a) for a, _dash, b in ranges):
            return True
    return False


def decide(
    cloud: Cloud, rules: list[Row], default: str, way: str, source: Address, target: Address, protocol: str, port: int
) -> tuple[bool, str]:
    """Whether a list of rules lets a packet pass that goes a way (IN or OUT), and the rule that says so."""
    version = f"IPV{source.version}"
    for rule in rules:
        if (
            not rule["enabled"]
            or rule["direction"] not in (way, "IN_OUT")
            or version not in rule["ipProtocol"].split("_")
        ):
            continue
        if (
            _side(cloud, rule, "sourceFirewallGroups", source)
            and _side(cloud, rule, "destinationFirewallGroups", target)
            and _service(cloud, rule, protocol, port)
        ):
            return rule["actionValue"] == "ALLOW", rule["name"]
    return default == "ALLOW", "default_rule"


def balanced(cloud: Cloud, address: str, protocol: str, port: int) -> tuple[Row, Row] | None:
    """(edge, member) of the virtual service at an address and port: the first member of its pool that is on."""
    for service in cloud.table("loadBalancerVirtualService").values():
        if service["virtualIpAddress"] != address or not service.get("enabled"):
            continue
        for known in service["servicePorts"]:
            said = str(dig(known, "tcpUdpProfile.type")).startswith(protocol)
            if said and known["portStart"] <= port <= (known.get("portEnd") or known["portStart"]):
                pool = cloud.get("loadBalancerPool", dig(service, "loadBalancerPoolRef.id")) or {}
                on = [m for m in pool.get("members") or [] if m.get("enabled")]
                return (cloud.table("gateway")[service["edge"]], on[0]) if on and pool.get("enabled") else None
    return None


def packet(cloud: Cloud, source: str, target: str, protocol: str, port: int) -> Row:
    """Where the first packet of a connection ends: passes, address, port, mac, vm, and each rule that it met.

    At a virtual service it goes on as one of the edge's engines to a member, if the edge's firewall lets it in there.
    """
    came, went = ipaddress.ip_address(source), ipaddress.ip_address(target)
    nics = {a: n for n in machines(cloud) for a in n["addresses"]}
    met: list[str] = []
    edge = next((e for e in cloud.table("gateway").values() if target in e["public"]), None)
    if balanced(cloud, target, protocol, port):
        edge = None  # the load balancer has the public address itself
    seen: Any = went
    bypass = False
    if edge:
        rule = _dnat(cloud, edge, target, protocol, port)
        if rule is None:
            return _ended(False, ["no NAT rule"], target, port, None)
        met.append(f"NAT {rule['name']}")
        went = ipaddress.ip_address(rule["internalAddresses"].partition("/")[0])
        profile = cloud.get("applicationPortProfile", dig(rule, "applicationPortProfile.id") or "")
        inside = [r for e in (profile or {}).get("applicationPorts", []) for r in e["destinationPorts"] or []]
        port = int(str(inside[0]).partition("-")[0]) if inside and rule.get("dnatExternalPort") else port
        seen = went if rule["firewallMatch"] == "MATCH_INTERNAL_ADDRESS" else seen
        bypass = rule["firewallMatch"] == "BYPASS"
    taken = balanced(cloud, str(went), protocol, port)
    if taken and str(came) not in nics:
        gate, member = taken
        passes, name = decide(cloud, gate["firewall"], gate["default_action"], "IN", came, seen, protocol, port)
        met.append(f"edge {name}")
        if not passes:
            return _ended(False, met, str(went), port, None)
        met.append(f"load balancer {went}")
        at = member["ipAddress"]
        nic, port = nics.get(at), member.get("port") or port
        passes = nic is not None and _at_card(cloud, nic, "IN", ENGINE, ipaddress.ip_address(at), protocol, port, met)
        return _ended(passes, met, at, port, nic)
    from_nic, to_nic = nics.get(str(came)), nics.get(str(went))
    passes = True
    if (from_nic is None) != (to_nic is None) and not bypass:  # through the uplink of the edge
        inner = to_nic or from_nic
        network = cloud.get("network", inner["network"]) if inner else None
        gate = edge or (cloud.get("gateway", network["edge"]) if network and network["edge"] else None)
        if gate is None:
            return _ended(False, [*met, "no edge"], str(went), port, None)
        way = "IN" if to_nic else "OUT"
        passes, name = decide(cloud, gate["firewall"], gate["default_action"], way, came, seen, protocol, port)
        met.append(f"edge {name}")
    for nic, way in ((from_nic, "OUT"), (to_nic, "IN")):
        if not passes or nic is None:
            continue
        passes = _at_card(cloud, nic, way, came, went, protocol, port, met)
    return _ended(passes and (to_nic is not None or edge is None), met, str(went), port, to_nic)


def _at_card(
    cloud: Cloud, nic: Row, way: str, came: Address, went: Address, protocol: str, port: int, met: list[str]
) -> bool:
    """Whether the distributed firewall lets a packet pass at a card; the rule is added to those that it met."""
    vapp = cloud.table("vapp")[nic["vm"]["parent"]]
    group = next((g for g in cloud.table("vdcGroup").values() if vapp["vdc"] in g["vdcs"] and g["dfw"]), None)
    if not group or group["dfw_rules"] is None:
        return True
    passes, name = decide(cloud, group["dfw_rules"], "ALLOW", way, came, went, protocol, port)
    met.append(f"distributed {way} {name}")
    return passes


def _ended(passes: bool, met: list[str], address: str, port: int, nic: Row | None) -> Row:
    vm, mac = (nic["vm"]["name"], nic["mac"]) if nic else ("", "")
    return {"passes": passes, "met": met, "address": address, "port": port, "mac": mac, "vm": vm}


def _dnat(cloud: Cloud, edge: Row, target: str, protocol: str, port: int) -> Row | None:
    """The NAT rule for a packet from outside: by priority, then in the order of the list."""
    for rule in sorted(edge["nat"], key=lambda r: r["priority"]):
        if (
            not rule["enabled"]
            or rule["type"] not in ("DNAT", "REFLEXIVE", "NO_DNAT")
            or rule["externalAddresses"] != target
        ):
            continue
        low, dummy, high = str(rule.get("dnatExternalPort") or "0-65535").partition("-")
        profile = cloud.get("applicationPortProfile", dig(rule, "applicationPortProfile.id") or "")
        if not int(low) <= port <= int(high or low):
            continue
        if profile and not any(e["protocol"] == protocol for e in profile["applicationPorts"]):
            continue
        if (
            profile
            and not rule.get("dnatExternalPort")
            and not _service(cloud, {"applicationPortProfiles": [{"id": profile["id"]}]}, protocol, port)
        ):
            continue
        return None if rule["type"] == "NO_DNAT" else rule
    return None
