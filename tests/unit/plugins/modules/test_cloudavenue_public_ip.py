# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Public addresses, against the lab's Cloud Avenue."""

from __future__ import annotations

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import network
from tests.cloud_director import Director, director
from tests.lab.vcd import seed
from tests.unit.plugins.modules.clouds import Call

__all__ = ["director"]

NAME = "cloudavenue_public_ip"


@pytest.mark.parametrize("interface", ["core", "console"])
def test_addresses_are_ordered_and_given_back(call_module: Call, director: Director, interface: str) -> None:
    params = {**director.login, "core_api": director.url, "interface": interface, "edge": seed.EDGE, "count": 2}
    would = call_module(NAME, params, check=True, diff=True)
    assert would["changed"] and would["addresses"] == [] and director.writes() == [], would
    assert would["diff"]["after"] == {"edge": {seed.EDGE: {"addresses": ["to be ordered: 2"]}}}
    did = call_module(NAME, params)
    assert did["changed"] and len(did["addresses"]) == 2, did
    director.control.forget()
    again = call_module(NAME, params)
    assert not again["changed"] and again["addresses"] == did["addresses"] and director.writes() == []
    assert not call_module(NAME, {**params, "count": 1})["changed"], "none is given back by counting"
    gone = {**params, "state": "absent", "address": did["addresses"][0]}
    would = call_module(NAME, gone, check=True, diff=True)
    assert would["changed"] and would["diff"]["before"]["edge"][seed.EDGE]["addresses"] == did["addresses"]
    assert director.writes() == []
    assert call_module(NAME, gone)["addresses"] == did["addresses"][1:]
    assert not call_module(NAME, gone)["changed"]
    left = [one["public"] for one in director.control.table("gateway").values() if one["name"] == seed.EDGE]
    assert left == [did["addresses"][1:]]


def test_what_is_in_use_or_elsewhere_is_not_given_back(call_module: Call, director: Director) -> None:
    params = {**director.login, "core_api": director.url, "edge": seed.EDGE}
    (address,) = call_module(NAME, params)["addresses"]
    with director.connect() as session:
        edge = network.edge(session, seed.EDGE)
        rule = model.NatRule(name="web", type="DNAT", external=address, internal="10.1.0.10")
        network.apply_on_edge(session, edge.id, network.nat_kind(edge.id), [network.nat_rule(rule, {})], "acme")
    result = call_module(NAME, {**params, "state": "absent", "address": address})
    assert "uses it for" in result["msg"] and "NAT" in result["hint"]
    other = {**params, "edge": seed.LONE_EDGE, "state": "absent", "address": address}
    assert f"is one of the edge {seed.EDGE}" in call_module(NAME, other)["msg"]
    assert "of nowhere" not in call_module(NAME, {**params, "edge": "nowhere"})["msg"]
    assert seed.LONE_EDGE in call_module(NAME, {**params, "edge": "nowhere"})["msg"]
    assert "address" in call_module(NAME, {**params, "state": "absent"})["msg"]


def test_a_job_that_fails_is_told(call_module: Call, director: Director) -> None:
    director.control.faults(job_fail={"times": 1})
    result = call_module(NAME, {**director.login, "core_api": director.url, "edge": seed.EDGE})
    assert result["failed"] and "failed" in result["msg"]
