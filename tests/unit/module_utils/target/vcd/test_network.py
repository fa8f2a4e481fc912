# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only what is ours is changed: objects by their stamps, lists of rules around those of others."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Refused,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import locks, network, objects, vm
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import xml as vxml
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.changes import Change, ChangeSet
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.objects import Wanted
from tests.unit.module_utils.target.vcd.fake import (
    TASK,
    Asked,
    Fake,
    Reply,
    error,
    js,
    logged_in,
    served,
    task,
    xml,
)

EDGE = "urn:vcloud:gateway:77777777-2222-4333-8444-555555555555"
GROUP = "urn:vcloud:vdcGroup:88888888-2222-4333-8444-555555555555"
RULES = f"/cloudapi/1.0.0/edgeGateways/{EDGE}/firewall/rules"
ACCEPTED = Reply(202, headers={"Location": f"https://public.name/api/task/{TASK}"})


@pytest.fixture
def fake() -> Iterator[Fake]:
    with served() as one:
        yield one


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks.tempfile, "gettempdir", lambda: str(tmp_path))


# -- objects by name


def group(name: str, *addresses: str, description: str = "") -> Wanted:
    return network.ip_set(model.AddressGroup(name=name, addresses=list(addresses), description=description), EDGE)


def made(want: Wanted, tenant: str = "acme", identity: str = "") -> dict[str, Any]:
    """The object as the server has it after we made it."""
    description = objects.stamped(want.description, tenant, want.shown)
    return {**want.body, "id": identity or f"urn:{want.name}", "name": want.name, "description": description}


def test_what_is_missing_is_made_and_known_again() -> None:
    want = group("web", "10.0.0.2", "10.0.0.1", description="group web of acme")
    changes = objects.plan(network.GROUPS, [], [want], "acme")
    assert [str(one) for one in changes.changes] == ["create firewall group web"]
    body = changes.changes[0].body
    assert body["description"].startswith("group web of acme [cloudexit acme ")
    assert objects.unstamped(body["description"]) == "group web of acme"
    there = {**body, "id": "urn:1", "ownerRef": {"id": EDGE, "name": "edge"}, "status": "REALIZED"}
    assert not objects.plan(network.GROUPS, [there], [want], "acme")


@pytest.mark.parametrize("tenant", ["a b", "é/ü", "x] y", "[cloudexit other 12345678]", "%20"])
def test_a_stamp_carries_any_tenant(tenant: str) -> None:
    text = objects.stamped("text [x]", tenant, {"a": 1})
    found = objects.stamp_of(text)
    assert found is not None and found.tenant == tenant and objects.unstamped(text) == "text [x]"
    assert objects.stamped(text, tenant, {"a": 1}) == text
    node = vxml.el("Vm", vxml.el("Description", f"Moved {vm.stamp(Marks(tenant, 'id 1'))}"))
    assert vm.of(vxml.parse(vxml.render(node), "x")).stamped() == (tenant, "id 1")


def test_addresses_are_compared_by_what_they_mean() -> None:
    want = group("web", "10.0.0.1/32", "10.0.0.7/24", "2001:DB8::1", "10.0.0.1 - 10.0.0.3")
    assert want.shown["addresses"] == ["10.0.0.0/24", "10.0.0.1", "10.0.0.1-10.0.0.3", "2001:db8::1"]


def test_a_change_of_ours_shows_only_what_differs() -> None:
    there = made(group("web", "10.0.0.1"))
    changes = objects.plan(network.GROUPS, [there], [group("web", "10.0.0.9")], "acme")
    assert changes.diff() == {
        "before": {"firewall group": {"web": {"addresses": ["10.0.0.1"]}}},
        "after": {"firewall group": {"web": {"addresses": ["10.0.0.9"]}}},
    }
    assert not changes.conflicts


def test_an_edit_of_somebody_is_a_conflict_and_not_overwritten(fake: Fake) -> None:
    there = made(group("web", "10.0.0.1")) | {"ipAddresses": ["10.0.0.1", "10.6.6.6"]}
    wanted = [group("web", "10.0.0.9")]
    changes = objects.plan(network.GROUPS, [there], wanted, "acme")
    assert not changes and "edited by somebody" in changes.conflicts[0]
    with logged_in(fake) as session, pytest.raises(Conflict, match="edited by somebody"):
        objects.apply(session, network.GROUPS, changes)
    assert fake.lines() == []
    assert objects.plan(network.GROUPS, [there], wanted, "acme", overwrite=True).changes[0].action == "update"


def test_an_edit_that_is_what_is_wanted_is_none() -> None:
    there = made(group("web", "10.0.0.1")) | {"ipAddresses": ["10.0.0.9"]}
    changes = objects.plan(network.GROUPS, [there], [group("web", "10.0.0.9")], "acme")
    assert not changes and not changes.conflicts


@pytest.mark.parametrize("description", ["", "by hand", "x [cloudexit other 12345678]"])
def test_what_is_not_ours_is_in_the_way_or_just_right(description: str) -> None:
    there = made(group("web", "10.0.0.1")) | {"description": description}
    changes = objects.plan(network.GROUPS, [there], [group("web", "10.0.0.9")], "acme", overwrite=True)
    assert not changes and "not ours" in changes.conflicts[0]
    assert objects.plan(network.GROUPS, [there], [group("web", "10.0.0.1")], "acme") == objects.ChangeSet()


def test_removing_takes_only_ours() -> None:
    current = [made(group("a", "10.0.0.1")), made(group("b", "10.0.0.1"), "other"), {"name": "c", "id": "urn:c"}]
    changes = objects.plan(network.GROUPS, current, [], "acme", remove=True)
    assert [str(one) for one in changes.changes] == ["delete firewall group a"]


def test_a_network_cannot_get_another_subnet() -> None:
    def net(gateway: str, dns: str = "") -> Wanted:
        return network.Network("front", gateway, 24, GROUP, EDGE, dns1=dns).wanted()

    there = made(net("10.0.0.1"))
    changes = objects.plan(network.NETWORKS, [there], [net("10.0.1.1")], "acme", overwrite=True)
    assert not changes and "cannot get another gateway" in changes.conflicts[0]
    assert objects.plan(network.NETWORKS, [there], [net("10.0.0.1", "10.0.0.2")], "acme").changes[0].action == "update"


@pytest.mark.parametrize("bad", [("10.0.0.9", "10.0.0.2"), ("10.0.1.1", "10.0.1.2"), ("x", "y")])
def test_a_network_that_makes_no_sense(bad: tuple[str, str]) -> None:
    with pytest.raises(InvalidInput, match="no range"):
        network.Network("front", "10.0.0.1", 24, GROUP, EDGE, (bad,)).wanted()
    with pytest.raises(InvalidInput):
        network.Network("front", "10.0.0.1", 64, GROUP).wanted()


def test_creating_gives_the_id_of_the_owner_of_the_task(fake: Fake) -> None:
    fake.routes["POST /cloudapi/1.0.0/firewallGroups/"] = ACCEPTED
    fake.routes[f"GET /api/task/{TASK}"] = xml(task(owner="urn:vcloud:firewallGroup:9"))
    with logged_in(fake) as session:
        changes = objects.plan(network.GROUPS, [], [group("web", "10.0.0.1")], "acme")
        assert objects.apply(session, network.GROUPS, changes) == {"web": "urn:vcloud:firewallGroup:9"}
    assert fake.last("POST /cloudapi/1.0.0/firewallGroups/").json()["ipAddresses"] == ["10.0.0.1"]


def test_the_id_of_a_route_is_in_the_details_of_its_task(fake: Fake) -> None:
    path = f"edgeGateways/{EDGE}/routing/staticRoutes"
    fake.routes[f"POST /cloudapi/1.0.0/{path}/"] = ACCEPTED
    for details, found in ((TASK, TASK), ("done", "")):
        fake.routes[f"GET /api/task/{TASK}"] = xml(task(owner=EDGE, details=details))
        with logged_in(fake) as session:
            assert objects.create(session, path, {}, "cannot make") == found


# -- lists of rules


class EdgeServer:
    """The firewall of an edge: replaces the list, counts versions, may be disturbed."""

    def __init__(self, fake: Fake, rules: list[dict[str, Any]]) -> None:
        self.rules = rules
        self.number = 0
        self.disturb: list[Any] = []
        fake.routes[f"GET {RULES}"] = lambda asked: js({"userDefinedRules": self.rules, "defaultRules": []})
        fake.routes[f"PUT {RULES}"] = self.put

    def put(self, asked: Asked) -> Reply:
        if self.disturb:
            said = self.disturb.pop(0)(asked)
            if said is not None:
                return said
        versions = {one["id"]: one["version"] for one in self.rules}
        rules = asked.json()["userDefinedRules"]
        for one in rules:
            if "id" in one and one.get("version") != versions.get(one["id"]):
                return js({"minorErrorCode": "BAD_REQUEST", "message": "the version of the rule is not current"}, 400)
        self.rules = []
        for one in rules:
            self.number += 1
            version = {"version": one.get("version", {"version": 0})["version"] + 1}
            self.rules.append({**one, "id": one.get("id", f"new-{self.number}"), "version": version, "logging": False})
        return ACCEPTED


def foreign(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"f{number}",
        "name": f"rule {number}",
        "actionValue": "ALLOW",
        "enabled": number % 3 > 0,
        "sourceFirewallGroups": [{"id": f"urn:g{number}", "name": "x"}],
        "somethingNew": {"kept": [number]},
        "version": {"version": number},
        **more,
    }


def rule(name: str, action: str = "ALLOW", *destinations: str) -> Wanted:
    one = model.FirewallRule(name=name, action=action, destinations=list(destinations))
    return network.rule(one, {"web": "urn:web", "db": "urn:db"}, distributed=False)


def others(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    plain = [{k: v for k, v in one.items() if k not in ("version", "logging")} for one in rules]
    return [one for one in plain if "[cloudexit acme" not in one["name"]]


def apply(fake: Fake, *wanted: Wanted, **options: Any) -> objects.ListPlan:
    with logged_in(fake) as session:
        return objects.apply_list(session, network.edge_rules(EDGE), EDGE, list(wanted), "acme", **options)


def test_two_hundred_foreign_rules_come_through_untouched(fake: Fake) -> None:
    server = EdgeServer(fake, [foreign(n) for n in range(200)])
    before = others(server.rules)
    first = apply(fake, rule("a", "ALLOW", "web"), rule("b", "DROP", "db"))
    assert [str(one) for one in first.changes.changes] == ["create edge firewall rule a", "create edge firewall rule b"]
    assert others(server.rules) == before and len(server.rules) == 202
    puts = fake.lines().count(f"PUT {RULES}")
    assert not apply(fake, rule("a", "ALLOW", "web"), rule("b", "DROP", "db"))
    assert fake.lines().count(f"PUT {RULES}") == puts
    apply(fake, rule("b", "DROP", "db"), rule("c", "ALLOW", "db"), rule("a", "DROP", "web"))
    assert others(server.rules) == before
    mine = [objects.unstamped(one["name"]) for one in server.rules if "[cloudexit acme" in one["name"]]
    assert mine == ["b", "c", "a"]
    apply(fake)
    assert others(server.rules) == before and len(server.rules) == 200


def test_any_mix_of_rules_keeps_the_others_in_their_order(fake: Fake) -> None:
    chance = random.Random(4)
    kind = network.edge_rules(EDGE)
    current: list[dict[str, Any]] = [foreign(n) for n in range(6)]
    for step in range(150):
        wanted = [rule(f"r{n}", chance.choice(("ALLOW", "DROP"))) for n in chance.sample(range(8), chance.randrange(8))]
        before = others(current)
        plan = objects.plan_list(kind, current, wanted, "acme", first=bool(step % 2))
        assert not plan.changes.conflicts
        current = [{**one, "id": one.get("id", f"n{step}-{n}")} for n, one in enumerate(plan.rules)]
        assert others(current) == before
        assert [objects.rule_name(kind, one) for one in current if "[cloudexit" in one["name"]] == [
            want.name for want in wanted
        ]
        assert not objects.plan_list(kind, current, wanted, "acme")
        if chance.random() < 0.4:  # somebody works between ours
            current.insert(chance.randrange(len(current) + 1), foreign(1000 + step))
        elif chance.random() < 0.3 and before:
            current.remove(next(one for one in current if "[cloudexit" not in one["name"]))


def test_ours_stand_before_a_last_rule_for_everything() -> None:
    last = {"id": "d", "name": "Default_VdcGroup_x", "actionValue": "DROP"}
    plan = objects.plan_list(network.distributed_rules(GROUP), [foreign(1), last], [rule("a")], "acme")
    assert [one["name"] for one in plan.rules] == ["rule 1", "a", "Default_VdcGroup_x"]


def test_a_rule_of_ours_that_somebody_edited_is_a_conflict(fake: Fake) -> None:
    server = EdgeServer(fake, [foreign(1)])
    apply(fake, rule("a", "ALLOW", "web"))
    server.rules[1]["actionValue"] = "REJECT"
    kept = [dict(one) for one in server.rules]
    with pytest.raises(Conflict, match="a was edited by somebody"):
        apply(fake, rule("a", "DROP", "web"))
    with pytest.raises(Conflict, match="a was edited by somebody"):
        apply(fake)
    assert server.rules == kept
    apply(fake, rule("a", "DROP", "web"), overwrite=True)
    assert server.rules[1]["actionValue"] == "DROP"


def test_somebody_who_writes_at_the_same_moment_loses_nothing(fake: Fake) -> None:
    server = EdgeServer(fake, [foreign(1)])

    def meanwhile(asked: Asked) -> None:
        server.rules = [{**foreign(1), "version": {"version": 5}, "enabled": False}, foreign(2)]

    server.disturb = [meanwhile]
    apply(fake, rule("a"))
    assert [one["id"] for one in server.rules][:2] == ["f1", "f2"] and server.rules[0]["enabled"] is False
    assert len(server.rules) == 3


def test_rules_of_others_that_are_lost_all_the_same_are_told(fake: Fake) -> None:
    server = EdgeServer(fake, [foreign(1), foreign(2)])

    def lose(asked: Asked) -> Reply:
        server.rules = [one for one in asked.json()["userDefinedRules"] if one.get("id") != "f2"]
        return ACCEPTED

    server.disturb = [lose]
    with pytest.raises(Conflict, match="rules of others are not as they were"):
        apply(fake, rule("a"))


@pytest.mark.parametrize("status", [400, 409])
def test_a_busy_edge_is_waited_for(fake: Fake, status: int) -> None:
    server = EdgeServer(fake, [foreign(1)])
    server.disturb = [lambda asked: js({"minorErrorCode": "BUSY_ENTITY", "message": "busy"}, status)] * 3
    apply(fake, rule("a"))
    assert len(server.rules) == 2


def test_a_write_that_is_refused_changes_nothing(fake: Fake) -> None:
    server = EdgeServer(fake, [foreign(1)])
    server.disturb = [lambda asked: error(403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN")]
    with pytest.raises(Refused, match="lacks a right"):
        apply(fake, rule("a"))
    server.disturb = [lambda asked: Reply(500)]
    with pytest.raises(Unreachable):
        apply(fake, rule("a"))
    assert len(server.rules) == 1


def test_logging_that_reads_false_is_no_change(fake: Fake) -> None:
    EdgeServer(fake, [])
    logged = network.rule(model.FirewallRule(name="a", logging=True), {}, distributed=False)
    apply(fake, logged)
    assert not apply(fake, logged)


def test_a_rule_that_names_what_is_not_there() -> None:
    with pytest.raises(InvalidInput, match=r"rules\.a: nowhere is not there"):
        rule("a", "ALLOW", "nowhere")


def test_rules_in_the_words_of_the_model() -> None:
    kind = network.edge_rules(EDGE)
    want = rule("a", "DROP", "web", "db")
    row = {**want.body, "name": objects.stamped("a", "acme", want.shown), "id": "1"}
    found = network.firewall_rules([row], kind)[0]
    assert (found.name, found.action, found.destinations, found.sources) == ("a", "DROP", ["urn:db", "urn:web"], [])
    with pytest.raises(Conflict, match="not understood"):
        network.firewall_rules([{**row, "actionValue": "REDIRECT"}], kind)


def test_profiles_in_the_words_of_the_model() -> None:
    rows = [
        {"name": "A", "scope": "SYSTEM", "applicationPorts": [{"protocol": "TCP", "destinationPorts": ["80"]}]},
        {"name": "B", "scope": "ODD", "applicationPorts": [{"protocol": "ALG", "destinationPorts": [{"x": 1}]}]},
        {"name": "C", "applicationPorts": "nothing"},
    ]
    found = network.port_profiles(rows)
    assert [(one.name, one.known, one.scope) for one in found] == [
        ("A", True, "SYSTEM"),
        ("B", False, "TENANT"),
        ("C", False, "TENANT"),
    ]
    assert found[0].entries == [model.PortEntry(protocol="TCP", ports=["80"])]


# -- NAT, DHCP


def test_nat_rules_are_found_by_their_names_after_they_were_made(fake: Fake) -> None:
    path = f"/cloudapi/1.0.0/edgeGateways/{EDGE}/nat/rules"
    rules: list[dict[str, Any]] = [{"id": "f", "name": "foreign", "type": "SNAT", "version": {"version": 1}}]

    def post(asked: Asked) -> Reply:
        rules.append({**asked.json(), "id": f"n{len(rules)}", "version": {"version": 0}})
        return ACCEPTED

    def put(asked: Asked) -> Reply:
        body = asked.json()
        index = next(n for n, one in enumerate(rules) if asked.path.endswith(one["id"]))
        if body["version"] != rules[index]["version"]:
            return js({"minorErrorCode": "CONFLICT", "message": "version"}, 409)
        rules[index] = body
        return ACCEPTED

    fake.routes[f"GET {path}"] = lambda asked: js({"values": rules})
    fake.routes[f"POST {path}/"] = post
    fake.routes["PUT *"] = put
    want = model.NatRule(name="web", type="DNAT", external="198.51.100.1", internal="10.0.0.1", external_port="80")
    other = model.NatRule(name="web", type="DNAT", external="198.51.100.2", internal="10.0.0.1", external_port="80")
    with logged_in(fake) as session:
        for wanted, changed in ((want, 1), (want, 0), (other, 1), (other, 0)):
            asked = [network.nat_rule(wanted, {})]
            changes = network.apply_on_edge(session, EDGE, network.nat_kind(EDGE), asked, "acme")
            assert len(changes.changes) == changed
    assert len(rules) == 2 and rules[1]["externalAddresses"] == "198.51.100.2" and rules[0]["id"] == "f"
    assert [one.name for one in network.nat_model(rules)] == ["foreign", "web"]


def test_dhcp_is_compared_and_set(fake: Fake) -> None:
    path = "/cloudapi/1.0.0/orgVdcNetworks/urn:n/dhcp"
    state: dict[str, Any] = {}

    def put(asked: Asked) -> Reply:
        state.update(asked.json())
        return ACCEPTED

    fake.routes[f"GET {path}"] = lambda asked: js(state) if state else Reply(404)
    fake.routes[f"PUT {path}"] = put
    wanted = network.Dhcp((("10.0.0.10", "10.0.0.20"),), ("10.0.0.2",))
    with logged_in(fake) as session:
        network.apply_dhcp(session, network.plan_dhcp(session, "urn:n", "front", wanted))
        assert not network.plan_dhcp(session, "urn:n", "front", wanted)
        off = network.plan_dhcp(session, "urn:n", "front", network.Dhcp())
        assert off.changes[0].after == {"enabled": False}


# -- edges


def test_an_edge_knows_its_addresses(fake: Fake) -> None:
    subnet = {"gateway": "198.51.100.1", "prefixLength": 24}
    ranges = {"values": [{"startAddress": "198.51.100.4", "endAddress": "198.51.100.7"}, {"startAddress": "bad"}]}
    row = {
        "id": EDGE,
        "name": "e1",
        "ownerRef": {"id": GROUP, "name": "g"},
        "edgeGatewayUplinks": [{"subnets": {"values": [{**subnet, "ipRanges": ranges}]}}],
    }
    fake.routes["GET /cloudapi/1.0.0/edgeGateways"] = js({"resultTotal": 1, "values": [row]})
    with logged_in(fake) as session:
        found = network.edge(session, "e1")
        assert found.has_address("198.51.100.5") and not found.has_address("198.51.100.8")
        assert found.uuid == "77777777-2222-4333-8444-555555555555" and found.owner == GROUP
        with pytest.raises(NotFound, match="of e1"):
            network.edge(session, "e2")


@pytest.mark.parametrize("values", [None, "x", [1, None, "a"], {"a": 1}, [{"id": {"x": 1}, "edgeGatewayUplinks": "y"}]])
def test_shapes_that_are_none_do_no_harm(fake: Fake, values: Any) -> None:
    fake.routes["GET /cloudapi/1.0.0/edgeGateways"] = js({"values": values})
    with logged_in(fake) as session:
        assert all(one.id == "" for one in network.edges(session))


# -- several at a time


def creations(count: int) -> ChangeSet:
    return ChangeSet(tuple(Change("create", "group", f"g{number}", None, {}) for number in range(count)))


def test_what_locks_only_itself_is_made_several_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(objects.WRITERS)

    def create(session: object, path: str, body: object, what: str) -> str:
        together.wait(10)
        return f"id of {what.rpartition(' ')[2]}"

    monkeypatch.setattr(objects, "create", create)
    apart = objects.Kind("group", "groups", dict, apart=True)
    made = objects.apply(cast(Any, None), apart, creations(objects.WRITERS * 2))
    assert made == {f"g{number}": f"id of g{number}" for number in range(objects.WRITERS * 2)}


@pytest.mark.parametrize("apart", [True, False])
def test_after_an_error_nothing_more_is_begun(monkeypatch: pytest.MonkeyPatch, apart: bool) -> None:
    begun: list[str] = []

    def create(session: object, path: str, body: object, what: str) -> str:
        begun.append(what)
        raise Refused(what, cause="no")

    monkeypatch.setattr(objects, "create", create)
    with pytest.raises(Refused, match=r"cannot create the group g.*: no"):
        objects.apply(cast(Any, None), objects.Kind("group", "groups", dict, apart=apart), creations(40))
    assert len(begun) <= (objects.WRITERS if apart else 1)
