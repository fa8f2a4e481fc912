# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dependencies: what joins two workloads, what does not, and what too many have in common."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import observations as o
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.assessment import Edge
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import dependencies
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.dependencies import (
    Skipped,
    graph,
    look,
)

HOSTILE = "a b'\"{{ 7*7 }}/../\u202e\x1b[31mé\n"


def tenant(count: int, **changed: Any) -> e.Estate:
    """Servers s1, s2, … with a port p1, p2, … each on a network that joins nobody."""
    numbers = range(1, count + 1)
    return replace(
        e.Estate(
            kind=e.KIND,
            version=e.VERSION,
            tenant=e.Tenant(project_id="p"),
            read={},
            servers=[e.Server(id=f"s{n}", name=f"web-{n}", ports=[f"p{n}"]) for n in numbers],
            ports=[port(n) for n in numbers],
        ),
        **changed,
    )


def port(number: int, **changed: Any) -> e.Port:
    fixed = [e.FixedIp(ip=f"10.0.{number // 250}.{number % 250}", subnet_id="sub")]
    return replace(e.Port(id=f"p{number}", network_id="n", device_id=f"s{number}", fixed_ips=fixed), **changed)


def named(estate: e.Estate) -> dict[str, str]:
    return {server.id: f"h{server.id[1:]}" for server in estate.servers}


def edges(estate: e.Estate, flows: o.Flows | None = None) -> list[Edge]:
    return graph(estate, named(estate), flows)


def seen(found: Sequence[Edge]) -> list[tuple[Any, ...]]:
    return [(edge.a, edge.b, edge.why, edge.hard, edge.directed, edge.weight, edge.detail) for edge in found]


def group(name: str, *rules: e.Rule) -> e.SecurityGroup:
    return e.SecurityGroup(id=f"g-{name}", name=name, rules=list(rules))


def rule(remote: str | None, **changed: Any) -> e.Rule:
    first = e.Rule(id="r", protocol="tcp", port_min=5432, port_max=5432, remote_group_id=remote)
    return replace(first, **changed)


def test_nothing_joins_an_empty_tenant() -> None:
    assert edges(tenant(0)) == []
    assert edges(tenant(3)) == []


def test_a_group_that_lets_another_in() -> None:
    ports = [port(1, security_groups=["g-web"]), port(2, security_groups=["g-web"]), port(3, security_groups=["g-db"])]
    estate = tenant(3, ports=ports, security_groups=[group("web"), group("db", rule("g-web"))])
    assert seen(edges(estate)) == [
        ("h1", "h3", "security_group", False, True, 1, "db tcp/5432"),
        ("h2", "h3", "security_group", False, True, 1, "db tcp/5432"),
    ]
    two = [rule("g-web"), rule("g-web", id="r2", port_min=8000, port_max=8010)]
    found = edges(replace(estate, security_groups=[group("web"), group("db", *two)]))
    assert [(edge.weight, edge.detail) for edge in found] == [(2, "db tcp/5432, db tcp/8000-8010")] * 2


def test_a_rule_outwards_points_the_other_way() -> None:
    ports = [port(1, security_groups=["g-web"]), port(2, security_groups=["g-db"])]
    out = rule("g-db", direction="egress", protocol=None, port_min=None)
    estate = tenant(2, ports=ports, security_groups=[group("web", out), group("db")])
    assert seen(edges(estate)) == [("h1", "h2", "security_group", False, True, 1, "web")]


def test_rules_that_name_networks_or_foreign_groups_join_nobody() -> None:
    ports = [port(1, security_groups=["g-web"]), port(2, security_groups=["g-web"])]
    rules = [rule(None, remote_cidr="10.0.0.0/8"), rule("g-elsewhere")]
    assert edges(tenant(2, ports=ports, security_groups=[group("web", *rules)])) == []


@pytest.mark.parametrize(("name", "joined"), [("cluster", 1), ("default", 0), ("Sys-default", 0)])
def test_a_group_that_lets_itself_in(name: str, joined: int) -> None:
    ports = [port(n, security_groups=[f"g-{name}"]) for n in (1, 2)]
    found = edges(tenant(2, ports=ports, security_groups=[group(name, rule(f"g-{name}"))]))
    assert len(found) == joined
    assert all(not edge.directed for edge in found)


def test_a_rule_for_very_many_joins_nobody_and_is_told() -> None:
    ports = [port(n, security_groups=["g-web" if n <= 100 else "g-db"]) for n in range(1, 104)]
    estate = tenant(103, ports=ports, security_groups=[group("web"), group("db", rule("g-web"))])
    found = look(estate, named(estate))
    assert found.edges == []
    assert found.skipped == [Skipped("security_group", "db tcp/5432", 103)]


def balanced(members: Sequence[e.Resource], **more: list[e.Resource]) -> dict[str, list[e.Resource]]:
    return {
        "load_balancers": [e.Resource(id="lb", name="front")],
        "lb_pools": [e.Resource(id="pool", name="web", properties={"loadbalancers": [{"id": "lb"}]})],
        "lb_members": list(members),
        **more,
    }


def member(number: int, pool: str = "pool", **properties: Any) -> e.Resource:
    address = {"address": f"10.0.0.{number}", "subnet_id": "sub", **properties}
    return e.Resource(id=f"m{pool}{number}", parent=pool, properties=address)


def test_members_of_a_pool_belong_together() -> None:
    estate = tenant(3, resources=balanced([member(1), member(2), member(9)]))
    assert seen(edges(estate)) == [("h1", "h2", "load_balancer", False, False, 6, "front, web")]


def test_pools_of_one_balancer_belong_together_less() -> None:
    pools = [
        e.Resource(id="pool", name="web", parent="lb"),
        e.Resource(id="api", name="api", properties={"listeners": [{"id": "lis"}]}),
    ]
    listeners = [e.Resource(id="lis", properties={"loadbalancers": [{"id": "lb"}]})]
    estate = tenant(2, resources=balanced([member(1), member(2, "api")], lb_pools=pools, lb_listeners=listeners))
    assert seen(edges(estate)) == [("h1", "h2", "load_balancer", False, False, 2, "front")]


def test_a_member_on_another_subnet_with_an_address_that_two_have_is_nobody() -> None:
    ports = [port(1), port(2, fixed_ips=[e.FixedIp(ip="10.0.0.1", subnet_id="other")]), port(3)]
    found = edges(tenant(3, ports=ports, resources=balanced([member(1), member(3)])))
    assert [(edge.a, edge.b) for edge in found] == [("h1", "h3")]
    unclear = [member(1, subnet_id="third"), member(3)]
    assert edges(tenant(3, ports=ports, resources=balanced(unclear))) == []


def test_members_may_be_in_the_pool_or_named_by_their_server() -> None:
    pools = [e.Resource(id="pool", name="web", properties={"members": [{"address": "10.0.0.1"}, {"id": "x"}]})]
    also = [e.Resource(id="m", parent="pool", properties={"server_id": "s2"})]
    found = edges(tenant(2, resources={"elb_pools": pools, "elb_members": also}))
    assert seen(found) == [("h1", "h2", "load_balancer", False, False, 4, "web")]


def test_a_shared_volume_is_hard() -> None:
    attached = [e.VolumeAttachment(server_id="s1"), e.VolumeAttachment(server_id="s2")]
    estate = tenant(3, volumes=[e.Volume(id="v", name="quorum", attachments=attached)])
    assert seen(edges(estate)) == [("h1", "h2", "volume", True, False, 10, "quorum")]
    # as the servers tell it
    servers = [replace(s, volumes=[e.Attachment(volume_id="v")] if s.id != "s3" else []) for s in estate.servers]
    assert [(x.a, x.b, x.hard) for x in edges(tenant(3, servers=servers))] == [("h1", "h2", True)]


def test_a_volume_of_a_server_that_is_no_workload() -> None:
    attached = [e.VolumeAttachment(server_id="s1"), e.VolumeAttachment(server_id="gone")]
    assert edges(tenant(1, volumes=[e.Volume(id="v", attachments=attached)])) == []


def pairs(*ips: str) -> dict[str, Any]:
    return {"allowed_address_pairs": [e.AddressPair(ip=ip) for ip in ips]}


def test_a_virtual_address_is_hard() -> None:
    ports = [port(1, **pairs("10.0.0.100")), port(2, **pairs("10.0.0.100/32")), port(3)]
    assert seen(edges(tenant(3, ports=ports))) == [("h1", "h2", "address", True, False, 10, "10.0.0.100")]


def test_a_virtual_address_of_two_networks_is_two() -> None:
    ports = [port(1, **pairs("10.0.0.100")), port(2, network_id="m", **pairs("10.0.0.100"))]
    assert edges(tenant(2, ports=ports)) == []


def test_who_may_take_over_the_address_of_another() -> None:
    assert seen(edges(tenant(2, ports=[port(1, **pairs("10.0.0.2")), port(2)]))) == [
        ("h1", "h2", "address", True, False, 10, "10.0.0.2")
    ]
    assert edges(tenant(2, ports=[port(1, **pairs("10.0.0.1")), port(2)])) == []


@pytest.mark.parametrize(
    ("pair", "joined"), [("10.244.0.0/16", 1), ("0.0.0.0/0", 0), ("10.0.0.0/8", 0), ("::/0", 0), ("no address", 0)]
)
def test_networks_that_ports_may_forward_for(pair: str, joined: int) -> None:
    found = edges(tenant(2, ports=[port(1, **pairs(pair)), port(2, **pairs(pair))]))
    assert len(found) == joined
    assert all(not edge.hard for edge in found)


def test_server_groups() -> None:
    group_ = e.Resource(id="sg", name="db-apart", properties={"members": ["s1", "s2", "gone"], "policies": ["x"]})
    assert seen(edges(tenant(3, resources={"server_groups": [group_]}))) == [
        ("h1", "h2", "server_group", False, False, 3, "db-apart")
    ]


@pytest.mark.parametrize(("hosts", "joined"), [(1, 0), (2, 1), (8, 28), (9, 0), (500, 0)])
def test_only_small_networks_join(hosts: int, joined: int) -> None:
    estate = tenant(hosts, networks=[e.Network(id="n", name="heartbeat")])
    found = look(estate, named(estate))
    assert len(found.edges) == joined
    assert found.skipped == ([Skipped("network", "heartbeat", hosts)] if hosts > 8 else [])


@pytest.mark.parametrize("changed", [{"shared": True}, {"external": True}])
def test_networks_of_others_do_not_join(changed: dict[str, bool]) -> None:
    assert edges(tenant(2, networks=[e.Network(id="n", **changed)])) == []


@pytest.mark.parametrize(("count", "joined"), [(2, 1), (9, 0)])
def test_key_pairs(count: int, joined: int) -> None:
    estate = tenant(count)
    found = edges(replace(estate, servers=[replace(server, key_name="ops") for server in estate.servers]))
    assert [(edge.why, edge.weight, edge.detail) for edge in found] == [("key_pair", 1, "ops")] * joined


def test_names_that_point_at_addresses() -> None:
    def record(name: str, type_: str, *records: str) -> e.Resource:
        return e.Resource(id=name + type_, name=name, properties={"type": type_, "records": list(records)})

    floating = [e.FloatingIp(id="f", address="203.0.113.7", port_id="p2")]
    records = [
        record("www.acme.example.", "A", "10.0.0.1", "203.0.113.7"),
        record("one.acme.example.", "A", "10.0.0.3"),
        record("txt.acme.example.", "TXT", "10.0.0.1", "10.0.0.3"),
    ]
    estate = tenant(3, floating_ips=floating, resources={"dns_records": records})
    assert seen(edges(estate)) == [("h1", "h2", "dns", False, False, 2, "www.acme.example.")]


def flows(**servers: o.Sockets) -> o.Flows:
    return o.Flows(kind=o.FLOWS, version=o.VERSION, servers=servers)


def peer(direction: Any, address: str, seen_: int = 1, **changed: Any) -> o.Peer:
    first = o.Peer(protocol="tcp", direction=direction, address=address, port=5432, seen=seen_)
    return replace(first, **changed)


def test_connections_that_both_ends_saw_count_once() -> None:
    told = flows(
        s1=o.Sockets(samples=5, peers=[peer("out", "10.0.0.2", 3)]),
        s2=o.Sockets(samples=5, peers=[peer("in", "::ffff:10.0.0.1", 5, process="postgres"), peer("in", "8.8.8.8")]),
        gone=o.Sockets(samples=5, peers=[peer("out", "10.0.0.1", 5)]),
    )
    assert seen(edges(tenant(2), told)) == [("h1", "h2", "flow", False, True, 5, "tcp/5432 postgres")]
    assert edges(tenant(2)) == []


def test_connections_to_another_service_weigh_more() -> None:
    peers = [
        peer("out", "10.0.0.2", 3),
        peer("out", "10.0.0.2", 4, port=80),
        peer("in", "10.0.0.2", 1, port=22),
        peer("out", "10.0.0.2", port=0),
    ]
    assert seen(edges(tenant(2), flows(s1=o.Sockets(samples=5, peers=peers)))) == [
        ("h1", "h2", "flow", False, True, 8, "tcp, tcp/5432, tcp/80"),
        ("h2", "h1", "flow", False, True, 1, "tcp/22"),
    ]


def test_an_address_that_two_networks_have_is_looked_up_on_ones_own() -> None:
    same = [e.FixedIp(ip="10.9.9.9", subnet_id="x")]
    ports = [port(1), port(2, fixed_ips=same), port(3, network_id="m", fixed_ips=same), port(4, network_id="m")]
    told = flows(
        s1=o.Sockets(samples=1, peers=[peer("out", "10.9.9.9")]),
        s4=o.Sockets(samples=1, peers=[peer("out", "10.9.9.9")]),
    )
    assert [(x.a, x.b) for x in edges(tenant(4, ports=ports), told)] == [("h1", "h2"), ("h4", "h3")]


def test_addresses_that_only_guests_know() -> None:
    told = flows(
        s1=o.Sockets(samples=1, addresses=["172.17.0.1", "192.168.77.1"], peers=[]),
        s2=o.Sockets(samples=1, addresses=["172.17.0.1", "127.0.0.1", "fe80::1"], peers=[]),
        s3=o.Sockets(
            samples=1,
            peers=[peer("out", "172.17.0.1"), peer("out", "192.168.77.1"), peer("out", "127.0.0.1")],
        ),
    )
    assert [(x.a, x.b) for x in edges(tenant(3), told)] == [("h3", "h1")]


def test_hostile_names_stay_on_one_line() -> None:
    ports = [port(n, security_groups=["g-x"]) for n in (1, 2)]
    groups = [e.SecurityGroup(id="g-x", name=HOSTILE, rules=[rule("g-x")])]
    records = {"dns_records": [e.Resource(id="d", name=HOSTILE, properties={"type": "A", "records": "no list"})]}
    broken = {"lb_pools": [e.Resource(id="p", properties={"loadbalancers": 7, "members": {"a": 1}, "listeners": [3]})]}
    found = edges(tenant(2, ports=ports, security_groups=groups, resources={**records, **broken}))
    assert [edge.why for edge in found] == ["security_group"]
    assert found[0].detail.isprintable()


def test_the_details_of_an_edge_are_bounded() -> None:
    ports = [port(n, security_groups=["g-x"]) for n in (1, 2)]
    rules = [rule("g-x", id=str(n), port_min=n, port_max=n) for n in range(1000, 1009)]
    found = edges(tenant(2, ports=ports, security_groups=[group("x", *rules)]))
    assert found[0].weight == 9
    assert found[0].detail == "x tcp/1000, x tcp/1001, x tcp/1002, x tcp/1003, +5"


def test_many_are_joined_in_a_row() -> None:
    attached = [e.VolumeAttachment(server_id=f"s{n}") for n in range(1, 41)]
    found = edges(tenant(40, volumes=[e.Volume(id="v", attachments=attached)]))
    assert len(found) == 39


def test_the_order_of_the_estate_does_not_matter_and_a_large_one_is_quick() -> None:
    rng = random.Random(3)
    ports = [port(n, security_groups=[f"g-{rng.randrange(300)}", "g-0"]) for n in range(1, 1001)]
    groups = [
        group(str(n), *(rule(f"g-{rng.randrange(300)}", id=f"{n}-{m}", port_min=m) for m in range(10)))
        for n in range(300)
    ]
    estate = tenant(1000, ports=ports, security_groups=groups)
    started = time.process_time()
    found = edges(estate)
    assert time.process_time() - started < 10
    assert len(found) > 1000
    shuffled = {key: rng.sample(getattr(estate, key), len(getattr(estate, key))) for key in ("servers", "ports")}
    shuffled["security_groups"] = rng.sample(groups, len(groups))
    assert edges(replace(estate, **shuffled)) == found
    assert found == sorted(found, key=lambda edge: (edge.a, edge.b, edge.why))


def test_edges_lead_to_workloads_only() -> None:
    estate = tenant(4, networks=[e.Network(id="n")])
    only = {"s1": "h1", "s2": "h2"}
    assert [(edge.a, edge.b) for edge in dependencies.graph(estate, only)] == [("h1", "h2")]
