# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NAT and routes: floating addresses, NAT gateways, routers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.nat import (
    MANY,
    ONE,
    NatTranslation,
    translate_nat,
    vpn_findings,
)
from tests.unit.plugins.module_utils.planning import estates

OLD, NEW = "192.0.2.9", "203.0.113.4"
FLOATING = e.FloatingIp(id="f1a2", address=OLD, port_id="p1", fixed_address="10.20.0.11")


def nat(public: dict[str, str] | None = None, **changed: Any) -> NatTranslation:
    options = {key: changed.pop(key) for key in ("outbound", "networks", "vips") if key in changed}
    tenant = replace(estates.estate(), **{"subnets": [estates.subnet()], **changed})
    return translate_nat(tenant, prefix="cx", public={OLD: NEW} if public is None else public, **options)


def resource(identity: str, **properties: Any) -> e.Resource:
    return e.Resource(id=identity, name=identity, parent="nat1", properties=properties)


def router(**properties: Any) -> dict[str, Any]:
    leg = estates.port(
        id="leg",
        device_id="rt1",
        device_owner="network:router_interface",
        fixed_ips=[e.FixedIp(ip="10.20.0.1", subnet_id="sn1")],
    )
    return {"resources": {"routers": [resource("rt1", **properties)]}, "ports": [estates.port(), leg]}


def test_nothing_to_translate() -> None:
    assert nat() == NatTranslation()


def test_a_floating_address_is_two_rules() -> None:
    found = nat(floating_ips=[FLOATING])
    assert [(one.name, one.type, one.external, one.internal, one.priority) for one in found.rules] == [
        ("cx-dnat-web-1-f1a2", "DNAT", NEW, "10.20.0.11", ONE),
        ("cx-snat-web-1-f1a2", "SNAT", NEW, "10.20.0.11", ONE),
    ]
    assert {one.firewall_match for one in found.rules} == {"MATCH_INTERNAL_ADDRESS"}
    assert "f1a2" in found.rules[0].description and found.findings == []


def test_a_floating_address_of_a_load_balancer_leads_to_it() -> None:
    floating = [e.FloatingIp(id="f1a2", address=OLD, port_id="vip", fixed_address="10.20.0.5")]
    (rule,) = nat(floating_ips=floating, vips={"10.20.0.5": "Shop"}).rules
    assert (rule.name, rule.type, rule.external, rule.internal) == ("cx-dnat-lb-shop-f1a2", "DNAT", NEW, "10.20.0.5")
    (finding,) = nat({}, floating_ips=floating, vips={"10.20.0.5": "Shop"}).findings
    assert finding.severity == "blocker" and OLD in finding.seen
    (finding,) = nat(floating_ips=floating).findings
    assert finding.severity == "information", "one that is not made"


def test_a_floating_address_that_leads_nowhere_is_nothing() -> None:
    assert nat(floating_ips=[replace(FLOATING, port_id=None)]) == NatTranslation()
    assert nat(floating_ips=[FLOATING], networks=["other"]) == NatTranslation()


def test_ids_that_begin_alike() -> None:
    one, other = (replace(FLOATING, id=f"f1a2b3c4-{n}", address=f"192.0.2.{n}") for n in (1, 2))
    found = nat(public={"192.0.2.1": NEW, "192.0.2.2": "203.0.113.5"}, floating_ips=[one, other])
    assert len({rule.name for rule in found.rules}) == len(found.rules) == 4


def test_an_address_that_nobody_replaced_blocks() -> None:
    found = nat(public={}, floating_ips=[FLOATING])
    assert found.rules == [] and [(one.severity, one.subject.id) for one in found.findings] == [("blocker", "f1a2")]


def test_a_floating_address_of_something_else_is_told() -> None:
    found = nat(floating_ips=[replace(FLOATING, port_id="vip")])
    assert found.rules == [] and [one.severity for one in found.findings] == ["information"]


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({}, ("2222", "cx-nat-tcp-22")),
        ({"protocol": "udp"}, ("2222", "cx-nat-udp-22")),
        ({"protocol": "any"}, ("", "")),
        ({"external_service_port": 0}, ("", "")),
        (
            {"external_service_port_range": "80-90", "internal_service_port_range": "80-90"},
            ("80-90", "cx-nat-tcp-80-90"),
        ),
        ({"port_id": "", "private_ip": "10.20.0.11"}, ("2222", "cx-nat-tcp-22")),
    ],
)
def test_dnat_of_a_gateway(changed: dict[str, Any], wanted: tuple[str, str]) -> None:
    plain = {
        "port_id": "p1",
        "internal_service_port": 22,
        "external_service_port": 2222,
        "protocol": "tcp",
        "floating_ip_id": "f1a2",
    }
    rules = {"dnat_rules": [resource("d1", **{**plain, **changed})]}
    found = nat(resources=rules, floating_ips=[replace(FLOATING, port_id=None)])
    (one,) = found.rules
    assert (one.type, one.external, one.internal) == ("DNAT", NEW, "10.20.0.11")
    assert (one.external_port, one.profile) == wanted
    assert [profile.name for profile in found.profiles] == [wanted[1]] * bool(wanted[1])


@pytest.mark.parametrize("about", [{"network_id": "n1"}, {"network_id": "sn1"}, {"cidr": "10.20.0.0/24"}])
def test_snat_of_a_gateway(about: dict[str, str]) -> None:
    found = nat(resources={"snat_rules": [resource("s1", floating_ip_address=OLD, **about)]})
    assert [(one.type, one.external, one.internal, one.priority) for one in found.rules] == [
        ("SNAT", NEW, "10.20.0.0/24", MANY)
    ]


def test_what_is_not_understood_is_told() -> None:
    found = nat(
        resources={
            "snat_rules": [resource("s1", floating_ip_address=OLD)],
            "dnat_rules": [resource("d1", protocol="gre", private_ip="10.20.0.11", floating_ip_address=OLD)],
        }
    )
    assert found.rules == [] and [one.subject.id for one in found.findings] == ["d1", "s1"]


def test_a_router_lets_its_networks_out() -> None:
    gateway = {"network_id": "ext", "enable_snat": True}
    found = nat(outbound=NEW, **router(external_gateway_info=gateway))
    assert [(one.type, one.external, one.internal) for one in found.rules] == [("SNAT", NEW, "10.20.0.0/24")]
    assert [one.severity for one in nat(**router(external_gateway_info=gateway)).findings] == ["blocker"]
    for silent in ({"external_gateway_info": {**gateway, "enable_snat": False}}, {}):
        assert nat(outbound=NEW, **router(**silent)) == NatTranslation()
    assert nat(outbound=NEW, networks=["other"], **router(external_gateway_info=gateway)) == NatTranslation()


def test_routes_of_a_router() -> None:
    routes = [
        {"destination": "10.99.0.0/16", "nexthop": "10.20.0.5"},
        {"destination": "10.99.0.0/16", "nexthop": "10.20.0.6"},
        {"destination": "nowhere", "nexthop": "10.20.0.5"},
        "nonsense",
    ]
    found = nat(**router(routes=routes))
    assert [(one.name, one.network, one.next_hop) for one in found.routes] == [
        ("cx-route-10-99-0-0-16-rt1", "10.99.0.0/16", "10.20.0.5")
    ]
    assert len(found.findings) == 3


def routed(*routes: e.Route, **changed: Any) -> NatTranslation:
    """Host routes of a subnet that has a router."""
    return nat(**router(), subnets=[estates.subnet(routes=list(routes), gateway="10.20.0.1")], **changed)


def test_routes_that_dhcp_hands_out_are_the_edges() -> None:
    found = routed(
        e.Route("10.99.0.0/16", "10.20.0.5"),
        e.Route("169.254.169.254/32", "10.20.0.2"),
        e.Route("10.8.0.0/16", "10.20.0.1"),
    )
    assert [(one.name, one.next_hop) for one in found.routes] == [("cx-route-10-99-0-0-16-sn1", "10.20.0.5")]
    assert found.findings == [], "neither of the metadata service, nor by the gateway itself"


@pytest.mark.parametrize(
    ("route", "text"),
    [
        (e.Route("0.0.0.0/0", "10.20.0.5"), "the edge cannot route for it: set it in the guests"),
        (e.Route("10.99.0.0/16", "172.31.0.1"), "by 172.31.0.1, which is in no network that moves"),
        (e.Route("nonsense", "10.20.0.5"), "A route is not understood: nonsense by 10.20.0.5"),
    ],
)
def test_routes_that_no_edge_can_have_are_told(route: e.Route, text: str) -> None:
    found = routed(route)
    assert not found.routes and [one.severity for one in found.findings] == ["warning"]
    assert text in f"{found.findings[0].seen} {found.findings[0].action}"


def test_a_route_in_a_network_without_a_router_is_told() -> None:
    found = nat(subnets=[estates.subnet(routes=[e.Route("10.99.0.0/16", "10.20.0.5")])])
    assert not found.routes and "set it in the guests" in found.findings[0].action


def test_two_ways_to_one_network() -> None:
    several = {"routes": [{"destination": "10.99.0.0/16", "nexthop": "10.20.0.5"}]}
    subnets = [estates.subnet(routes=[e.Route("10.99.0.0/16", "10.20.0.6")])]
    found = nat(**router(**several), subnets=subnets)
    assert [one.next_hop for one in found.routes] == ["10.20.0.5"]
    assert "several ways to 10.99.0.0/16: by 10.20.0.5, and by 10.20.0.6" in found.findings[0].seen


def test_tables_of_a_vpc() -> None:
    routes = [
        {"type": "local", "destination": "10.20.0.0/24", "nexthop": ""},
        {"type": "ecs", "destination": "10.97.0.0/16", "nexthop": "s1"},
        {"type": "vip", "destination": "10.98.0.0/16", "nexthop": "10.20.0.8"},
        {"type": "peering", "destination": "10.30.0.0/16", "nexthop": "peer1"},
    ]
    table = e.Resource("rtb1", "main", properties={"subnets": [{"id": "n1"}], "routes": routes})
    ports = [estates.port(device_id="s1")]
    found = nat(resources={"route_tables": [table]}, ports=ports)
    assert [(one.network, one.next_hop) for one in found.routes] == [
        ("10.97.0.0/16", ports[0].fixed_ips[0].ip),
        ("10.98.0.0/16", "10.20.0.8"),
    ]
    assert "10.30.0.0/16 is reached by peering (peer1), which does not move" in found.findings[0].seen
    assert nat(resources={"route_tables": [table]}, networks=["other"]) == NatTranslation()


def test_tunnels_are_listed_with_what_to_make_again() -> None:
    about = {
        "peer_address": "203.0.113.77",
        "peer_id": "hq",
        "peer_cidrs": ["192.168.0.0/16"],
        "ikepolicy_id": "ike",
        "ipsecpolicy_id": "esp",
    }
    read = replace(
        estates.estate(),
        resources={
            "vpn_connections": [e.Resource("v1", "to hq", parent="svc", properties=about)],
            "vpn_services": [e.Resource("svc", properties={"external_v4_ip": "192.0.2.50"})],
            "ike_policies": [
                e.Resource("ike", properties={"ike_version": "v2", "encryption_algorithm": "aes-256", "pfs": "group14"})
            ],
            "ipsec_policies": [
                e.Resource("esp", properties={"transform_protocol": "esp", "encryption_algorithm": "aes-128"})
            ],
        },
    )
    (finding,) = vpn_findings(read)
    assert finding.seen == (
        "A tunnel goes to 203.0.113.77 (hq) for 192.168.0.0/16; IKE v2 aes-256 group14, IPsec esp aes-128. "
        "The other end knows our address 192.0.2.50."
    )
    assert "Make it again at the edge" in finding.action
