# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook `prepare` of the installed collection against the lab's Cloud Director, with rules of others there.

It has a server of its own in this process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import network as acts
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import vcd_network as things
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    InvalidInput,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import client, network, objects, org
from tests.installed import Playbook
from tests.lab.operator import Played
from tests.lab.vcd import Control, seed
from tests.lab.vcd.make import serve
from tests.lab.vcd.web import Server
from tests.unit.plugins.module_utils.acts import network_tenant as tenant

READS = ("GET", "HEAD")


@dataclass
class Cloud:
    """The server, its own door, and the folder of an operator with a plan and its estate."""

    url: str
    ca: str
    control: Control
    folder: Path
    edge: str
    server: Server

    def connect(self) -> client.Session:
        return client.connect(self.url, seed.ORG, username=seed.USER, password=seed.PASSWORD, ca_file=self.ca)

    def plan(self, **edge: Any) -> None:
        """Have a plan that says so of the edge."""
        read = tenant.estate()
        wanted = replace(plans.Edge(name=tenant.EDGE, public=dict(tenant.PUBLIC), outbound=tenant.OUTBOUND), **edge)
        tenant.write(self.folder, read, tenant.plan(read, edge=wanted))

    def design(self) -> acts.Design:
        return acts.design(*acts.read_files(str(self.folder / "acme.plan.yml")))

    def writes(self) -> list[str]:
        """Calls that change something, sessions apart."""
        calls = [f"{one['method']} {one['path']}" for one in self.control.calls() if one["method"] not in READS]
        return [one for one in calls if "/sessions" not in one and "/oauth/" not in one]

    def theirs(self) -> tuple[Any, ...]:
        """All that is not ours of what rules are made of: rules and their order, translations, groups."""
        gateway = self.control.table("gateway")[self.edge]
        groups = [one for one in self.control.table("firewallGroup").values() if one["name"].startswith("theirs")]
        return tuple(
            [one for one in gateway[kind] if str(one["name"]).startswith("theirs")] for kind in ("firewall", "nat")
        ), sorted(groups, key=lambda one: str(one["name"]))

    def balanced(self, rules: Literal["last", "first"] = "last", **changed: Any) -> None:
        """Have a plan of the tenant with a load balancer, which has a public address."""
        floating = e.FloatingIp("fip-9", "203.0.113.9", port_id="vip", fixed_address=tenant.VIP)
        read = tenant.estate(
            resources=tenant.balancer(**changed), floating_ips=[*tenant.estate().floating_ips, floating]
        )
        public = {**tenant.PUBLIC, "203.0.113.9": "198.51.100.250"}
        edge = plans.Edge(name=tenant.EDGE, public=public, outbound=tenant.OUTBOUND, rules=rules)
        tenant.write(self.folder, read, tenant.plan(read, edge=edge))

    def passes(self, source: str, public: str, port: int) -> bool:
        """Whether a packet from outside reaches the machine 10.1.0.10, once it is there."""
        lab = self.server.cloud
        net = next(key for key, row in self.control.table("network").items() if row["name"] == "front")
        vdc = next(key for key, row in self.control.table("vdc").items() if row["name"] == tenant.VDC)
        box = lab.put("vapp", {"name": "box", "vdc": vdc, "networks": [{"name": "front", "parent": net}]})
        nic = {"ip": "10.1.0.10", "mac": "fa:16:3e:00:00:00", "network": "front", "connected": True}
        vm = lab.put("vm", {"name": "web-1", "parent": box["id"], "nics": [nic], "guest": {}})
        try:
            return bool(self.control.packet(source, public, port)["passes"])
        finally:
            del lab.table("vm")[vm["id"]], lab.table("vapp")[box["id"]]

    def loosen(self, name: str) -> None:
        """Let anybody pass by a rule of the distributed firewall, as somebody in the portal might."""
        with self.connect() as session:
            place = network.place_of(session, network.edge(session, tenant.EDGE))
            kind = network.distributed_rules(place.group)
            rows = objects.read_list(session, kind, "cannot read")
            assert any(row["name"] == name for row in rows)
            loose = [{**row, "applicationPortProfiles": None} if row["name"] == name else row for row in rows]
            session.call("PUT", f"/cloudapi/1.0.0/{kind.path}", "cannot loosen", body={"values": loose})
            self.control.settle()


@contextmanager
def serving(folder: Path) -> Iterator[Cloud]:
    """A new server, and a plan for it."""
    server = serve(folder / "vcd", options={"task_seconds": 0.02})
    server.start()
    control = Control(server.url, folder / "vcd" / "ca.pem")
    (edge,) = [key for key, row in control.table("gateway").items() if row["name"] == tenant.EDGE]
    control.patch("gateway", edge, public=["198.51.100.250", "198.51.100.10", "198.51.100.11"])
    found = Cloud(server.url, str(folder / "vcd" / "ca.pem"), control, folder, edge, server)
    found.plan()
    try:
        yield found
    finally:
        server.stop()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with serving(tmp_path) as found:
        yield found


RULE = "cloudexit-acme-in-web-tcp-80-r80"


def test_prepare(cloud: Cloud, playbook: Playbook, tmp_path: Path) -> None:
    cloud.control.foreign(tenant.EDGE, firewall=200, nat=20)
    theirs = cloud.theirs()
    assert [len(part) for part in theirs[0]] == [200, 20] and len(theirs[1]) == 200
    target = {"url": cloud.url, "username": seed.USER, "password": seed.PASSWORD, "ca_cert": cloud.ca}

    def prepare(*arguments: str) -> Played:
        return playbook("prepare", "-i", "acme.plan.yml", *arguments, extra={"prepare_target": target})

    refused = prepare()
    assert refused.code != 0 and "at the source it passes" in refused.output and "theirs 1 " in refused.output
    assert cloud.writes() == [], "rules of others are before ours: refused with a packet, and nothing is begun"
    cloud.plan(rules="first")
    check = prepare("--check", "--diff").ok()
    assert check.changed == 2 and cloud.writes() == [], "the network, and a record of it"
    line = "ALLOW  in     IPv4 any → cloudexit-acme-web-web-ed3bab (10.1.0.10/31): TCP 80"
    assert f"+  {line}  [{RULE}]" in check.output and "+DNAT 198.51.100.10 → 10.1.0.10" in check.output
    assert "+network back: 10.2.0.1/24, behind" in check.output and "theirs 50" not in check.output

    assert prepare().ok().changed == 2
    records = chain.read(str(tmp_path / "evidence" / "ledger.jsonl"))
    assert [(one["tenant"], one["workload"], one["act"]) for one in records] == [
        ("acme", "", "network_prepare"),  # refused at first
        ("acme", "", "network_prepare"),
        ("acme", "", "network_verify"),
    ]
    assert records[0]["result"]["failed"] and "at the source it passes" in records[0]["result"]["msg"]
    did, checked = records[1], records[2]
    assert did["result"]["equal"] and did["result"]["proven"] == "read_back" and did["result"]["compared"]["ports"] == 3
    assert set(did["digests"]) == {"digests.wanted", "digests.read_back"} and checked["digests"] == did["digests"]
    assert cloud.theirs() == theirs, "what others made is as it was, in its order"
    names = [objects.unstamped(one["name"]) for one in cloud.control.table("gateway")[cloud.edge]["firewall"]]
    assert len(names) == 202 and names[0] == "cloudexit-acme-edge-in-workloads"
    assert cloud.passes("203.0.113.99", "198.51.100.10", 80)
    assert not cloud.passes("203.0.113.99", "198.51.100.10", 443)
    assert cloud.passes("192.0.2.9", "198.51.100.10", 443)
    cloud.control.forget()
    assert prepare("--diff").ok().changed == 0
    assert prepare("--tags", "verify").ok().changed == 0
    assert cloud.writes() == [], "all is there: nothing is written"
    assert len(chain.read(str(tmp_path / "evidence" / "ledger.jsonl"))) == len(records), "and nothing is recorded"

    alone = {"prepare_target": target, "plan": "acme.plan.yml"}
    assert playbook("prepare", "--tags", "verify", extra=alone).ok().changed == 0, "the plan need not be the inventory"
    assert "Give the plan as inventory" in playbook("prepare", extra={"prepare_target": target}).output

    cloud.loosen(RULE)
    cloud.control.forget()
    assert cloud.passes("203.0.113.99", "198.51.100.10", 22)
    drift = prepare("--tags", "verify")
    assert drift.code != 0 and f"at the target it passes (rule {RULE}" in drift.output
    assert "edited by somebody" in prepare().output
    assert cloud.writes() == [] and cloud.theirs() == theirs
    fixed = playbook("prepare", "-i", "acme.plan.yml", extra={"prepare_target": target, "prepare_overwrite": True}).ok()
    assert fixed.changed == 2 and cloud.theirs() == theirs
    assert not cloud.passes("203.0.113.99", "198.51.100.10", 22)


# -- the act, without Ansible


@pytest.fixture
def session(cloud: Cloud) -> Iterator[client.Session]:
    with cloud.connect() as made:
        yield made


def test_what_was_foretold_is_what_is_read_back(cloud: Cloud, session: client.Session) -> None:
    cloud.control.foreign(tenant.EDGE, firewall=20)
    cloud.plan(rules="first")
    wanted = cloud.design()
    would = acts.prepare(session, wanted, dry_run=True)
    did = acts.prepare(session, wanted)
    assert [str(one) for one in would.changes.changes] == [str(one) for one in did.changes.changes]
    assert would.after == did.after and did.made and not would.made
    again = acts.prepare(session, wanted)
    assert not again.changes and again.before == again.after == did.after
    assert acts.verify(session, wanted).verdict.equal


def test_a_run_that_ends_anywhere_is_gone_on_with(cloud: Cloud, session: client.Session) -> None:
    cloud.control.foreign(tenant.EDGE, firewall=20, nat=2)
    cloud.balanced(rules="first")
    theirs, wanted, broken = cloud.theirs(), cloud.design(), 0
    for number in range(60):
        fault = {"match": "^(POST|PUT) /cloudapi", "status": 400, "minor": "BAD", "times": 1, "skip": number % 4}
        cloud.control.faults(http=fault)
        try:
            acts.prepare(session, wanted)
        except CloudExitError:
            broken += 1
            assert cloud.theirs() == theirs
        else:
            break
    assert broken > 5
    cloud.control.faults()
    assert not acts.prepare(session, wanted).changes
    assert acts.verify(session, wanted).verdict.equal and cloud.theirs() == theirs


def test_what_the_source_has_no_more_goes_and_the_rest_stays(cloud: Cloud, session: client.Session) -> None:
    acts.prepare(session, cloud.design())
    read = tenant.estate()
    web = read.security_groups[0]
    fewer = [replace(web, rules=[one for one in web.rules if one.id != "r443"]), *read.security_groups[1:]]
    read = tenant.estate(security_groups=fewer, floating_ips=read.floating_ips[1:])
    tenant.write(cloud.folder, read, tenant.plan(read))
    wanted = cloud.design()
    assert any("r443" in one for one in acts.verify(session, wanted).before), "still there, and more passes than should"
    assert not acts.verify(session, wanted).verdict.equal
    done = acts.prepare(session, wanted)
    gone = {str(one) for one in done.changes.changes}
    assert gone == {
        "delete distributed firewall rule cloudexit-acme-in-web-tcp-443-r443",
        "delete firewall group cloudexit-acme-net-192-0-2-0-24",
        "delete NAT rule cloudexit-acme-dnat-web-1-fip1",
        "delete NAT rule cloudexit-acme-snat-web-1-fip1",
    }
    assert acts.verify(session, wanted).verdict.equal


def test_deviations_must_be_agreed_to(cloud: Cloud, session: client.Session) -> None:
    read = tenant.estate()
    web = read.security_groups[0]
    ping = tenant._rule("ping", protocol="icmp", port_min=8, port_max=0)
    read = tenant.estate(security_groups=[replace(web, rules=[*web.rules, ping]), *read.security_groups[1:]])
    edge = plans.Edge(name=tenant.EDGE, public=dict(tenant.PUBLIC), outbound=tenant.OUTBOUND)
    tenant.write(cloud.folder, read, tenant.plan(read, edge=edge))
    with pytest.raises(
        InvalidInput, match=r"edge.accepted: (\S+): anybody → 10.1.0.10/31: icmp .* passes besides"
    ) as told:
        acts.prepare(session, cloud.design())
    assert cloud.writes() == []
    (identity,) = [one.path.partition(": ")[2] for one in told.value.problems]
    tenant.write(cloud.folder, read, tenant.plan(read, edge=replace(edge, accepted=[identity])))
    assert acts.prepare(session, cloud.design()).verdict.equal


def test_a_target_that_is_not_as_the_plan_says(cloud: Cloud, session: client.Session) -> None:
    cloud.plan(outbound="198.51.100.77")
    with pytest.raises(InvalidInput, match=r"has no public address 198.51.100.77"):
        acts.prepare(session, cloud.design())
    cloud.plan(name=seed.LONE_EDGE)
    with pytest.raises(InvalidInput, match=r"belongs to acme-lone, where the VDC acme-vdc is not"):
        acts.prepare(session, cloud.design())
    cloud.plan()
    gateway = network.edge(session, tenant.EDGE)
    other = network.Network("front", "10.77.0.1", 24, gateway.owner, gateway.id).wanted()
    made = objects.create(session, "orgVdcNetworks", {"name": "front", **other.body}, "x")
    with pytest.raises(InvalidInput, match=r"front is there already \(10.77.0.0/24\) and does not hold 10.1.0.10"):
        acts.prepare(session, cloud.design())
    objects.remove(session, objects.item("orgVdcNetworks", made), "x")
    fits = network.Network("front", "10.1.0.254", 24, gateway.owner, gateway.id).wanted()
    objects.create(session, "orgVdcNetworks", {"name": "front", **fits.body}, "x")
    done = acts.prepare(session, cloud.design())
    assert "create network front" not in [str(one) for one in done.changes.changes], "it is used as it is"
    assert "network front: 10.1.0.254/24" in "\n".join(done.after)
    (told,) = [one for one in done.findings if one.subject.kind == "networks"]
    assert told.subject.name == "front" and "gives 2 cards their addresses" in told.action


def test_a_distributed_firewall_is_switched_on_only_where_the_plan_says_so(
    cloud: Cloud, session: client.Session
) -> None:
    group = next(key for key, row in cloud.control.table("vdcGroup").items() if row["name"] == seed.GROUP)
    cloud.control.patch("vdcGroup", group, dfw=False)
    with pytest.raises(InvalidInput, match="the distributed firewall of acme-group is off"):
        acts.prepare(session, cloud.design())
    cloud.plan(vdc_group=seed.GROUP)
    would = acts.prepare(session, cloud.design(), dry_run=True)
    assert "update distributed firewall" in str(would.changes.changes[0]) and not cloud.writes()
    acts.prepare(session, cloud.design())
    assert not acts.prepare(session, cloud.design()).changes and acts.verify(session, cloud.design()).verdict.equal


def test_without_a_distributed_firewall_unseen_flows_are_refused(cloud: Cloud, session: client.Session) -> None:
    lone = next(key for key, row in cloud.control.table("gateway").items() if row["name"] == seed.LONE_EDGE)
    cloud.control.patch("gateway", lone, public=["198.51.100.10", "198.51.100.11"])
    read = tenant.estate()
    edge = plans.Edge(name=seed.LONE_EDGE, public=dict(tenant.PUBLIC), outbound=tenant.OUTBOUND)
    target = plans.Target(type="vcd", org=seed.ORG, vdc=seed.LONE_VDC)
    tenant.write(cloud.folder, read, tenant.plan(read, edge=edge, target=target))
    with pytest.raises(Refused, match=r"With the network of acme as planned.*at the source it does not pass"):
        acts.prepare(session, cloud.design())
    assert cloud.writes() == []
    tenant.write(cloud.folder, read, tenant.plan(read, edge=replace(edge, vdc_group="acme-dc"), target=target))
    wanted = cloud.design()
    would = acts.prepare(session, wanted, dry_run=True)
    assert [str(one) for one in would.changes.changes[:3]] == [
        "create VDC group acme-dc",
        f"update edge {seed.LONE_EDGE}",
        "update distributed firewall acme-dc",
    ]
    assert cloud.writes() == []
    did = acts.prepare(session, wanted)
    assert did.changes.changes == would.changes.changes and did.verdict.equal
    assert not acts.prepare(session, wanted).changes and acts.verify(session, wanted).verdict.equal
    assert set(org.vdc(session, seed.LONE_VDC).networks) == {"front", "back"}, "machines of the VDC can use them"


def test_edits_of_others_are_conflicts(cloud: Cloud, session: client.Session) -> None:
    acts.prepare(session, cloud.design())
    sets = cloud.control.table("firewallGroup")
    key = next(key for key, row in sets.items() if row["name"] == "cloudexit-acme-net-192-0-2-0-24")
    cloud.control.patch("firewallGroup", key, ipAddresses=["0.0.0.0/0"])
    cloud.control.forget()
    with pytest.raises(Conflict, match="was edited by somebody"):
        acts.prepare(session, cloud.design())
    found = acts.verify(session, cloud.design())
    assert not found.verdict.equal and "tcp 443" in str(found.verdict.differences[0]) and cloud.writes() == []
    assert [str(one) for one in found.changes.changes] == ["update firewall group cloudexit-acme-net-192-0-2-0-24"]
    acts.prepare(session, cloud.design(), overwrite=True)
    assert acts.verify(session, cloud.design()).verdict.equal


def test_what_modules_made_for_the_same_tenant_stays(cloud: Cloud, session: client.Session) -> None:
    """`prepare` removes what it made and does not want; what modules made for the tenant on its edge is not that."""

    def owned(name: str = "", **more: Any) -> things.Owned:
        return things.Owned.of(
            {"tenant": "acme", "name": name or "x", "state": "present", "overwrite": False, **more}, dry_run=False
        )

    made = things.ensure_ip_set(session, owned("mine"), edge=tenant.EDGE, addresses=["10.9.9.9"])
    rules = [model.FirewallRule(name="mine", destinations=["mine"])]
    things.ensure_firewall(session, owned(), rules, distributed=False, edge=tenant.EDGE)
    things.ensure_nat(
        session,
        owned("mine"),
        edge=tenant.EDGE,
        rule=model.NatRule(name="mine", type="SNAT", external="198.51.100.250", internal="10.9.9.9"),
    )
    acts.prepare(session, cloud.design())
    done = things.ensure_firewall(session, owned(), rules, distributed=False, edge=tenant.EDGE)
    assert not done["changed"], "neither takes the rules of the other for its own"
    read = tenant.estate(floating_ips=[])
    tenant.write(cloud.folder, read, tenant.plan(read))
    gone = acts.prepare(session, cloud.design()).changes.changes
    assert gone and all("mine" not in one.name for one in gone)
    assert made["id"].rpartition(":")[2] in cloud.control.table("firewallGroup")
    gateway = cloud.control.table("gateway")[cloud.edge]
    assert [one["name"].partition(" ")[0] for one in gateway["nat"] if one["name"] == "mine"] == ["mine"]
    with pytest.raises(InvalidInput, match="must not end with :prepare"):
        owned("x", tenant=objects.of_prepare("acme"))


def test_addresses_come_from_dhcp_as_before(cloud: Cloud, session: client.Session) -> None:
    six = e.Subnet("six", network_id="net-front", cidr="2001:db8:1::/64", ip_version=6, gateway="2001:db8:1::1")
    read = tenant.estate(subnets=[*tenant.estate().subnets, six])
    tenant.write(cloud.folder, read, tenant.plan(read))
    would = acts.prepare(session, cloud.design(), dry_run=True)
    did = acts.prepare(session, cloud.design())
    assert would.after == did.after and not acts.prepare(session, cloud.design()).changes
    lines = "\n".join(did.after)
    assert "network front: 10.1.0.1/24 and 2001:db8:1::1/64, behind" in lines
    assert "DHCP gives fa:16:3e:00:00:00 10.1.0.10  [cloudexit-acme-web-1-portweb1]" in lines
    front = next(row for row in cloud.control.table("network").values() if row["name"] == "front")
    assert front["dual"] and [one["gateway"] for one in front["subnets"]] == ["10.1.0.1", "2001:db8:1::1"]
    assert front["dhcp"]["dnsServers"] == ["9.9.9.9"]
    bound = {one["macAddress"]: one["ipAddress"] for one in front["bindings"]}
    assert bound == {"fa:16:3e:00:00:00": "10.1.0.10", "fa:16:3e:00:00:01": "10.1.0.11"}
    fewer = tenant.estate(subnets=[replace(one, dhcp=False) for one in read.subnets])
    tenant.write(cloud.folder, fewer, tenant.plan(fewer))
    acts.prepare(session, cloud.design())
    front = next(row for row in cloud.control.table("network").values() if row["name"] == "front")
    assert not front["dhcp"]["enabled"] and front["bindings"] == [], "what the source has no more goes"
    assert not acts.prepare(session, cloud.design()).changes


def test_load_balancers(cloud: Cloud, session: client.Session) -> None:
    cloud.balanced()
    would = acts.prepare(session, cloud.design(), dry_run=True)
    assert cloud.writes() == []
    did = acts.prepare(session, cloud.design())
    assert [str(one) for one in would.changes.changes] == [str(one) for one in did.changes.changes]
    assert would.after == did.after and not did.deviations, "the groups let anybody come to port 80"
    lines = "\n".join(did.after)
    assert "pool 10.1.0.10:80 1, 10.1.0.11:80 2 (consistent_hash, HTTP)  [cloudexit-acme-lb-shop-po1]" in lines
    assert "load balancer HTTP 10.1.0.5:80  [cloudexit-acme-lb-shop-80-li80]" in lines
    assert not acts.prepare(session, cloud.design()).changes and acts.verify(session, cloud.design()).verdict.equal
    assert cloud.passes("203.0.113.99", "198.51.100.250", 80), "by NAT, the edge, the load balancer, and to a member"
    assert cloud.passes("203.0.113.99", "198.51.100.250", 8443)
    assert not cloud.passes("203.0.113.99", "198.51.100.250", 22)
    service = next(iter(cloud.control.table("loadBalancerVirtualService").values()))
    cloud.control.patch("loadBalancerVirtualService", service["id"], enabled=False)
    with pytest.raises(Conflict, match=f"virtual service {service['name']} was edited by somebody"):
        acts.prepare(session, cloud.design())
    cloud.plan()
    gone = {str(one) for one in acts.prepare(session, cloud.design(), overwrite=True).changes.changes}
    assert {"delete pool cloudexit-acme-lb-shop-po1", f"delete virtual service {service['name']}"} <= gone
    assert not cloud.control.table("loadBalancerPool") and not cloud.control.table("loadBalancerVirtualService")
    assert not acts.prepare(session, cloud.design()).changes


def test_what_members_let_pass_from_engines_only_must_be_agreed_to(cloud: Cloud, session: client.Session) -> None:
    inner = [
        replace(one, properties={**one.properties, "protocol_port": 8080}) for one in tenant.balancer()["lb_members"]
    ]
    cloud.balanced(lb_members=inner)
    with pytest.raises(InvalidInput, match=r"192.168.255.0/25 → 10.1.0.10, 10.1.0.11: tcp 8080 passes besides") as told:
        acts.prepare(session, cloud.design())
    (identity,) = [one.path.partition(": ")[2] for one in told.value.problems]
    plan, read = acts.read_files(str(cloud.folder / "acme.plan.yml"))
    tenant.write(cloud.folder, read, replace(plan, edge=replace(plan.edge, accepted=[identity])))
    assert acts.prepare(session, cloud.design()).verdict.equal
    assert cloud.passes("203.0.113.99", "198.51.100.250", 80)
    assert not cloud.passes("203.0.113.99", "198.51.100.10", 8080), "nobody else comes to that port"


def test_an_edge_without_load_balancing(cloud: Cloud, session: client.Session) -> None:
    cloud.balanced()
    cloud.control.patch("gateway", cloud.edge, alb=False)
    with pytest.raises(InvalidInput, match=r"has no load balancing, which 1 pools need; ask Orange to switch it on"):
        acts.prepare(session, cloud.design())
    plan, read = acts.read_files(str(cloud.folder / "acme.plan.yml"))
    public = {key: value for key, value in plan.edge.public.items() if key != "203.0.113.9"}
    left = {"load_balancers": {"lb1": plans.Object(decision="leave")}}
    tenant.write(cloud.folder, read, replace(plan, objects=left, edge=replace(plan.edge, public=public)))
    found = acts.prepare(session, cloud.design())
    assert found.verdict.equal and "The plan decides: leave." in [one.seen for one in found.findings]
