# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers: a pool, and the virtual service before it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import balancer, network
from tests.lab.vcd import seed
from tests.unit.plugins.modules.cloud_director import Director, director

__all__ = ["director"]

POOL = {"members": [{"address": "10.1.0.10"}, {"address": "10.1.0.11", "ratio": 2, "port": 8080}], "monitors": ["TCP"]}
SERVICE = {"address": "10.1.0.5", "ports": ["80", "8000-8010"]}
WEB = {"name": "web", "edge": seed.EDGE, "pool": POOL, "service": SERVICE}


@pytest.fixture
def balanced(director: Director) -> Director:
    director.good("vcd_network", name="front", edge=seed.EDGE, gateway="10.1.0.1", prefix=24)
    return director


def count(director: Director) -> tuple[int, int]:
    tables = ("loadBalancerPool", "loadBalancerVirtualService")
    pools, services = (len(director.control.table(name)) for name in tables)
    return pools, services


def test_a_load_balancer(balanced: Director) -> None:
    change = {"pool": {**POOL, "algorithm": "LEAST_CONNECTIONS", "persistence": "CLIENT_IP"}}
    made, changed, removed = balanced.is_changed_by("vcd_load_balancer", WEB, **change)
    assert made["changes"] == ["create pool web", "create virtual service web"]
    assert made["pool"]["members"] == ["10.1.0.10:80 1", "10.1.0.11:8080 2"]
    assert (made["service"]["pool"], made["service"]["certificate"]) == ("web", "") and "urn:" not in str(
        made["service"]
    )
    assert made["pool_id"] and made["service_id"]
    assert changed["changes"] == ["update pool web"] and changed["service_id"] == made["service_id"]
    assert removed["changes"] == ["delete virtual service web", "delete pool web"] and count(balanced) == (0, 0)


def test_only_a_pool_and_a_service_later(balanced: Director) -> None:
    balanced.cycle("vcd_load_balancer", **{**WEB, "service": None})
    assert count(balanced) == (1, 0)
    made = balanced.cycle("vcd_load_balancer", **WEB)[1]
    assert made["changes"] == ["create virtual service web"]
    assert not balanced.good("vcd_load_balancer", **{**WEB, "service": None})["changed"]
    assert count(balanced) == (1, 1), "it stays"


def test_a_certificate_and_an_engine_group_by_name(balanced: Director) -> None:
    certificate = balanced.control.table("certificate")
    assert certificate == {}
    service = {**SERVICE, "type": "HTTPS", "ports": ["443"], "certificate": "acme.example"}
    told = balanced.good("vcd_load_balancer", **{**WEB, "service": service}, check=True)
    assert told["pending"] == ["acme.example"] and told["service"]["pool"] == "web"
    with balanced.connect() as session:
        body = {"alias": "acme.example", "certificate": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"}
        session.call("POST", "/cloudapi/1.0.0/ssl/certificateLibrary", "cannot add", body=body, ok=(201,))
        (engines,) = [one.name for one in balancer.state(session, network.edge(session, seed.EDGE).id).engines]
    made = balanced.cycle("vcd_load_balancer", **{**WEB, "service": {**service, "engine_group": engines}})[1]
    assert (made["service"]["certificate"], made["service"]["engines"]) == ("acme.example", engines)


def test_what_is_not_ours_loses_no_half(balanced: Director) -> None:
    balanced.good("vcd_load_balancer", **WEB)
    (row,) = balanced.control.table("loadBalancerPool").values()
    balanced.control.patch("loadBalancerPool", row["id"], description="theirs now")
    assert "not ours" in balanced.call("vcd_load_balancer", **WEB, state="absent")["msg"]
    assert count(balanced) == (1, 1)
    before = balanced.writes()
    changed = {**WEB, "pool": {**POOL, "port": 81}, "service": {**SERVICE, "ports": ["81"]}}
    assert "not ours" in balanced.call("vcd_load_balancer", **changed)["msg"]
    assert balanced.writes() == before


def test_a_service_that_cannot_be_leaves_no_pool(balanced: Director) -> None:
    for service in ({**SERVICE, "type": "HTTPS"}, {**SERVICE, "engine_group": "x"}, {**SERVICE, "certificate": "x"}):
        assert balanced.call("vcd_load_balancer", **{**WEB, "service": service})["failed"]
    assert count(balanced) == (0, 0)


def test_an_edge_without_load_balancing(balanced: Director) -> None:
    row = next(one for one in balanced.control.table("gateway").values() if one["name"] == seed.EDGE)
    balanced.control.patch("gateway", row["id"], alb=False)
    assert "not switched on" in balanced.call("vcd_load_balancer", **WEB)["msg"]
    assert not balanced.good("vcd_load_balancer", **WEB, state="absent")["changed"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"service": {**SERVICE, "ports": ["0"]}}, "'0' is no port"),
        ({"service": {**SERVICE, "ports": ["9-8"]}}, "'9-8' is no port"),
        ({"service": {**SERVICE, "ports": []}}, "at least one"),
        ({"pool": {**POOL, "monitors": ["SMTP"]}}, "SMTP"),
        ({"pool": None}, "pool"),
    ],
)
def test_what_makes_no_sense_is_told(balanced: Director, change: dict[str, Any], told: str) -> None:
    before = balanced.writes()
    assert told in balanced.call("vcd_load_balancer", **{**WEB, **change})["msg"]
    assert balanced.writes() == before
