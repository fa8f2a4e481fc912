# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers of the source as pools and virtual services; what has no counterpart is named."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import balancing
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import balancer
from tests.unit.plugins.module_utils.acts import network_tenant as tenant

L7 = {"action": "REDIRECT_TO_URL", "redirect_url": "https://x"}


def translated(
    objects: dict[str, Any] | None = None, *, public: dict[str, str] | None = None, **changed: Any
) -> balancing.Balancing:
    floating = changed.pop("floating_ips", [])
    read = tenant.estate(resources=tenant.balancer(**changed), floating_ips=floating)
    plan = replace(tenant.plan(read), objects=objects or {})
    return balancing.translate_balancers(
        plan, read, prefix="cx", networks={"net-front", "net-back"}, public=public or {}
    )


def one(kind: str, number: int = 0, **about: Any) -> dict[str, list[e.Resource]]:
    """A kind with other properties of one of its objects."""
    rows = list(tenant.balancer()[kind])
    rows[number] = replace(rows[number], properties={**rows[number].properties, **about})
    return {kind: rows}


def told(found: balancing.Balancing) -> list[str]:
    return [f"{one.severity} {one.subject.kind} {one.subject.id}: {one.seen} {one.action}" for one in found.findings]


def test_listeners_and_pools() -> None:
    found = translated()
    (pool,) = found.pools
    assert (pool.name, pool.algorithm, pool.monitors, pool.port) == ("cx-lb-shop-po1", "CONSISTENT_HASH", ("HTTP",), 80)
    assert [(m.address, m.port, m.ratio, m.enabled) for m in pool.members] == [
        ("10.1.0.10", 80, 1, True),
        ("10.1.0.11", 80, 2, True),
    ]
    assert [(s.name, s.address, s.port, s.kind, s.pool) for s in found.services] == [
        ("cx-lb-shop-80-li80", tenant.VIP, 80, "HTTP", "cx-lb-shop-po1"),
        ("cx-lb-shop-8443-li8443", tenant.VIP, 8443, "L4_TCP", "cx-lb-shop-po1"),
    ]
    assert "po1" in pool.description and "(li80) of load balancer shop (lb1)" in found.services[0].description
    assert dict(found.vips) == {tenant.VIP: "shop"} and told(found) == []


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (one("lb_listeners", protocol="TERMINATED_HTTPS"), "lb_listeners li80: It ends TLS (TERMINATED_HTTPS)"),
        (one("lb_listeners", protocol="SCTP"), "li80: It is one of SCTP, port 80. Make what it does by hand"),
        (one("lb_listeners", default_pool_id=None), "lb_listeners li80: It has no pool of its own"),
        (one("lb_listeners", insert_headers={"X-Forwarded-For": "true"}), "It adds headers: X-Forwarded-For."),
        (one("lb_listeners", allowed_cidrs=["nonsense"]), "Who may come is not understood: nonsense"),
        (one("lb_pools", lb_algorithm="SOURCE_IP_PORT"), "The target takes CONSISTENT_HASH"),
        (one("lb_pools", protocol="PROXY"), "speaks the PROXY protocol"),
        (one("lb_pools", tls_enabled=True), "It speaks TLS to its members"),
        (one("lb_pools", session_persistence={"type": "OTHER"}), "Its sessions stay by OTHER"),
        (one("lb_health_monitors", url_path="/up", expected_codes="200-204"), "It asks /up, expects 200-204."),
        (one("lb_health_monitors", type="TLS-HELLO"), "It of type TLS-HELLO."),
        ({"lb_health_monitors": []}, "Its health monitor was not read"),
        (one("lb_members", address="10.1.0.99"), "lb_members m0: 10.1.0.99:80 is no workload that moves"),
        (one("lb_members", backup=True), "10.1.0.10:80 is asked only when no other is there"),
        (one("lb_members", weight=256), "A member has 64 times the share of another"),
        ({"lb_l7_policies": [e.Resource("l7", parent="li80", properties=L7)]},
         "lb_l7_policies l7: It is a rule about what is asked (REDIRECT_TO_URL https://x), which is not translated"),
        ({"classic_load_balancers": [e.Resource("c1", "old")]}, "c1: Its listeners and pools are not read"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_named(changed: dict[str, Any], text: str) -> None:
    found = told(translated(**changed))
    assert len(found) == 1 and found[0].startswith("warning ") and text in found[0], found


def test_what_ends_tls_still_has_its_pool() -> None:
    found = translated(**one("lb_listeners", protocol="TERMINATED_HTTPS"))
    assert len(found.pools) == 1 and [s.port for s in found.services] == [8443]
    (finding,) = found.findings
    assert "HTTPS, 10.1.0.5 port 80, pool cx-lb-shop-po1" in finding.action


def test_of_members() -> None:
    (pool,) = translated(**one("lb_members", weight=0)).pools
    assert [(m.enabled, m.ratio) for m in pool.members] == [(False, 1), (True, 4)], "weight 0: no new connections"
    (pool,) = translated(**one("lb_pools", session_persistence={"type": "APP_COOKIE", "cookie_name": "sid"})).pools
    assert (pool.persistence, pool.persistence_value) == ("APP_COOKIE", "sid")
    nobody = [
        replace(row, properties={**row.properties, "address": "10.1.0.99"}) for row in tenant.balancer()["lb_members"]
    ]
    found = translated(lb_members=nobody)
    assert not found.pools and "None of its members is a workload that moves" in told(found)[0]


def test_the_plan_decides() -> None:
    leave = {"load_balancers": {"lb1": plans.Object(decision="recreate")}}
    found = translated(leave)
    assert not found.pools and told(found) == [
        "information load_balancers lb1: The plan decides: recreate. It is not made at the target."
    ]
    assert translated({"load_balancers": {"lb1": plans.Object(decision="replace")}}).pools


def test_an_address_that_does_not_move() -> None:
    away = one("load_balancers", vip_address="172.31.0.5")
    (finding,) = translated(**away).findings
    assert finding.severity == "blocker" and "Set a new public address in edge.public" in finding.action
    floating = [e.FloatingIp("f", "203.0.113.9", port_id="vip", fixed_address="172.31.0.5")]
    found = translated(**away, floating_ips=floating, public={"203.0.113.9": "198.51.100.12"})
    assert {s.address for s in found.services} == {"198.51.100.12"} and not found.vips and not found.findings


def test_dedicated_ones_are_alike() -> None:
    about = tenant.balancer()
    kinds = {"load_balancers": "dedicated_load_balancers", "lb_listeners": "elb_listeners"}
    kinds |= {"lb_pools": "elb_pools", "lb_members": "elb_members"}
    moved = {new: about[old] for old, new in kinds.items()} | {old: [] for old in (*kinds, "lb_health_monitors")}
    found = translated(**moved)
    assert len(found.pools) == 1 and [s.port for s in found.services] == [80]
    assert "It ends TLS (HTTPS)" in told(found)[0] and "health monitor was not read" in told(found)[1]


def test_the_firewalls_let_pass_what_it_needs() -> None:
    target = model.TargetFirewall(
        distributed=model.Distributed(
            rules=[model.FirewallRule(name="a"), model.FirewallRule(name="b", action="DROP")]
        ),
        edge=model.Edge(),
    )
    made = translated(**one("lb_listeners", allowed_cidrs=["192.0.2.0/24"]))
    opened = balancing.opened(target, made, prefix="cx", engines="192.168.255.0/25")
    groups = {one.name: one.addresses for one in opened.target.groups}
    profiles = {one.name: one.entries[0].ports for one in opened.target.profiles}
    assert opened.target.distributed is not None and opened.target.edge is not None
    assert [one.name for one in opened.target.distributed.rules] == ["a", "cx-in-lb-shop-po1", "b"]
    rule = opened.target.distributed.rules[1]
    assert (groups[rule.sources[0]], groups[rule.destinations[0]]) == (["192.168.255.0/25"], ["10.1.0.10", "10.1.0.11"])
    walls = [
        ([groups[name] for name in one.sources], groups[one.destinations[0]], profiles[one.profiles[0]])
        for one in opened.target.edge.rules
    ]
    assert walls == [([], [tenant.VIP], ["8443"]), ([["192.0.2.0/24"]], [tenant.VIP], ["80"])]
    (deviation,) = opened.deviations
    assert (deviation.effect, deviation.services) == ("wider", ["tcp 80"])
    assert balancing.opened(target, made, prefix="cx", engines="192.168.255.0/25") == opened


@pytest.mark.parametrize("port", ["vip", "another"])
def test_which_public_addresses_are_load_balancers(port: str) -> None:
    floating = [
        e.FloatingIp("f", "203.0.113.9", port_id=port, fixed_address=tenant.VIP if port == "another" else None),
        e.FloatingIp("g", "203.0.113.10", port_id="nobody"),
    ]
    read = tenant.estate(resources=tenant.balancer(), floating_ips=floating)
    assert balancing.public_addresses(read, {"10.1.0.11"}) == {"203.0.113.9"}
    assert balancing.public_addresses(read, {"10.2.0.20"}) == set(), "no member moves"


JUNK: tuple[Any, ...] = (
    *(None, "", 0, -1, 5, 80, 70000, 10**30, 1.5, True, False, [], {}, ["x"], {"type": "APP_COOKIE"}, {"type": 7}),
    *("HTTP", "udp", "TCP", "x\x00\n{{ 7*7 }}", "10.1.0.10", "10.1.0.5", "::1", "po1", "lb1", "PING", "ROUND_ROBIN"),
)


@pytest.mark.parametrize("seed", range(200))
def test_whatever_the_source_says_there_is_an_answer_that_the_target_takes(seed: int) -> None:
    rng = random.Random(seed)
    about = tenant.balancer()
    for kind in ("load_balancers", "lb_listeners", "lb_pools", "lb_members", "lb_health_monitors"):
        about[kind] = [
            replace(
                row,
                properties={
                    key: rng.choice(JUNK) if rng.random() < 0.3 else value
                    for key, value in {**row.properties, **dict.fromkeys(EXTRA[kind])}.items()
                },
            )
            for row in about[kind]
        ]
    read = tenant.estate(resources=about, floating_ips=[])
    found = balancing.translate_balancers(tenant.plan(read), read, prefix="cx", networks={"net-front"}, public={})
    pools = {one.name for one in found.pools}
    for one in found.pools:
        members = tuple(balancer.Member(m.address, m.port, m.ratio, m.enabled) for m in one.members)
        assert all(1 <= m.ratio <= balancing.MAX_RATIO for m in one.members)
        made = balancer.Pool(
            one.name, members, one.port, one.algorithm, one.monitors, one.persistence, one.persistence_value
        )
        assert len(balancer.pool(made, "edge").body["members"]) == len(one.members), "it takes the words"
        assert bool(one.persistence_value) == (one.persistence in ("APP_COOKIE", "HTTP_COOKIE"))
    for service in found.services:
        assert service.pool in pools and service.kind in balancer.SERVICES and service.address in found.vips
    text = "".join(f"{one.seen}{one.action}" for one in found.findings)
    assert all(char.isprintable() for char in text)


EXTRA = {
    "load_balancers": ("vip_network_id",),
    "lb_listeners": ("insert_headers", "allowed_cidrs", "ipgroup", "admin_state_up"),
    "lb_pools": ("session_persistence", "tls_enabled", "admin_state_up"),
    "lb_members": ("backup", "admin_state_up", "monitor_port"),
    "lb_health_monitors": (),
}
"""Properties that may be there besides."""
