# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of the organisation in place of those of the source: subnets, gateways, name servers, DHCP."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import networks
from tests.unit.plugins.module_utils.acts import network_tenant as tenant

SIX = e.Subnet("subnet-six", network_id="net-front", cidr="2001:db8:1::/64", ip_version=6, gateway="fe80::1")


def translated(nic: dict[str, Any] | None = None, **changed: Any) -> networks.Networks:
    """nic: what is different about the cards of web-1."""
    read = tenant.estate(**changed)
    plan = tenant.plan(read)
    web = plan.workloads["web-1"]
    web = replace(web, nics=[replace(web.nics[0], **(nic or {}))])
    plan = replace(plan, workloads={**plan.workloads, "web-1": web})
    return networks.translate_networks(plan, read, prefix="cx", used={"net-front", "net-back"})


def subnets(front: dict[str, Any] | None = None, *more: e.Subnet) -> list[e.Subnet]:
    one, two = tenant.estate().subnets
    return [replace(one, **(front or {})), two, *more]


def told(found: networks.Networks) -> str:
    return "\n".join(f"{one.subject.kind} {one.subject.id}: {one.seen} {one.action}" for one in found.findings)


def test_dhcp_is_kept_and_gives_each_workload_its_address() -> None:
    back, front = translated().nets
    assert (front.name, front.gateway, front.prefix, front.routed, front.dns) == (
        "front",
        "10.1.0.1",
        24,
        True,
        ("9.9.9.9",),
    )
    assert [(one.name, one.mac, one.address) for one in front.dhcp.bindings] == [
        ("cx-web-1-portweb1", "fa:16:3e:00:00:00", "10.1.0.10"),
        ("cx-web-2-portweb2", "fa:16:3e:00:00:01", "10.1.0.11"),
    ]
    assert front.dhcp.pools == (("10.1.0.2", "10.1.0.9"), ("10.1.0.12", "10.1.0.98"), ("10.1.0.100", "10.1.0.254"))
    assert front.dhcp.dns == ("9.9.9.9",) and front.dhcp.server == "" and back.dhcp.bindings[0].address == "10.2.0.20"


def test_no_pool_holds_the_address_of_a_load_balancer() -> None:
    front = translated(resources=tenant.balancer()).nets[1]
    assert front.dhcp.pools[:2] == (("10.1.0.2", "10.1.0.4"), ("10.1.0.6", "10.1.0.9"))


def test_what_dhcp_cannot_do_is_told() -> None:
    found = translated({"keep_mac": False})
    assert "web-1" not in [one.name for one in found.nets[1].dhcp.bindings] and "DHCP cannot give it 10.1.0.10" in told(
        found
    )
    assert "It names no name servers" in told(found), "back has none"
    many = translated(subnets=subnets({"dns": ["9.9.9.9", "1.1.1.1", "8.8.8.8"]}))
    assert many.nets[1].dns == ("9.9.9.9", "1.1.1.1") and "Left out: 8.8.8.8" in told(many)
    full = translated(subnets=subnets({"pools": [e.Pool("10.1.0.10", "10.1.0.11")]}))
    assert full.nets[1].dhcp == networks.Dhcp() and "no address left" in told(full)
    assert translated(subnets=subnets({"dhcp": False})).nets[1].dhcp == networks.Dhcp()


def test_a_network_without_a_router_has_a_dhcp_server_of_its_own() -> None:
    ports = [one for one in tenant.estate().ports if not one.device_owner.startswith("network:")]
    (_back, front) = translated(ports=ports).nets
    assert not front.routed and front.dhcp.server == "10.1.0.2" and front.dhcp.pools[0] == ("10.1.0.3", "10.1.0.9")
    served = e.Port("dhcp", network_id="net-front", device_owner="network:dhcp", fixed_ips=[e.FixedIp("10.1.0.5")])
    (_back, front) = translated(ports=[*ports, served]).nets
    assert front.dhcp.server == "10.1.0.5" and ("10.1.0.2", "10.1.0.4") in front.dhcp.pools


def test_both_families() -> None:
    found = translated({"addresses": ["10.1.0.10", "2001:db8:1::10"]}, subnets=subnets(None, SIX))
    front = found.nets[1]
    assert (front.gateway6, front.prefix6) == ("2001:db8:1::1", 64) and front.cidrs == (
        "10.1.0.0/24",
        "2001:db8:1::/64",
    )
    assert "2001:db8:1::10" in front.addresses
    assert "fe80::1, which is not in 2001:db8:1::/64" in told(found)
    assert "hands out no addresses of IPv6: set them in the guests" in told(found) and "(web-1)" in told(found)
    alone = translated({"addresses": ["2001:db8:1::10"]}, subnets=[SIX, tenant.estate().subnets[1]]).nets[1]
    assert (alone.gateway, alone.gateway6, alone.dhcp) == ("", "2001:db8:1::1", networks.Dhcp())


@pytest.mark.parametrize(
    "more",
    [[], [replace(SIX, id="a"), replace(SIX, id="b")], [e.Subnet("x", network_id="net-front", cidr="10.7.0.0/24")] * 2],
)
def test_what_no_network_of_the_organisation_takes_is_a_problem(more: list[e.Subnet]) -> None:
    (problem,) = translated(subnets=[*more, tenant.estate().subnets[1]]).problems
    assert problem.path == "networks.net-front" and "takes one of each at most" in problem.message


def test_a_gateway_is_an_address_that_nobody_has() -> None:
    port = e.Port("p", network_id="net-front", fixed_ips=[e.FixedIp("10.1.0.1")])
    found = translated(subnets=subnets({"gateway": None}), ports=[*tenant.estate().ports, port])
    assert found.nets[1].gateway == "10.1.0.2" and "has no gateway" in told(found)


@pytest.mark.parametrize("seed", range(50))
def test_no_pool_holds_what_somebody_has(seed: int) -> None:
    rng = random.Random(seed)
    low = int(ipaddress.ip_address("10.0.0.0"))
    starts = sorted(rng.sample(range(200), 4))
    pools = [
        (str(ipaddress.ip_address(low + a)), str(ipaddress.ip_address(low + b))) for a, b in (starts[:2], starts[2:])
    ]
    taken = [ipaddress.ip_address(low + rng.randrange(220)) for _number in range(rng.randrange(60))]
    found = networks.free(pools, taken)
    inside = {number for first, last in found for number in range(first, last + 1)}
    whole = {low + n for a, b in (starts[:2], starts[2:]) for n in range(a, b + 1)}
    assert inside == whole - {int(one) for one in taken}
