# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Translation of security groups: what is read of the estate, names, merging, what cannot be said."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as m
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import packets
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.equivalence import (
    compare,
    members,
    profile_services,
    source_services,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.firewall import (
    MAX_REFS,
    Translation,
    read_source,
    renumbered,
    shown,
    translate,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import convert
from tests.unit.plugins.module_utils.planning import estates
from tests.unit.plugins.module_utils.planning.firewalls import source_firewall


def rule(identity: str = "r1", **changed: Any) -> m.SourceRule:
    plain = m.SourceRule(id=identity, side="ingress", protocol=6, first=22, last=22)
    return replace(plain, **changed)


def firewall(*rules: m.SourceRule, **changed: Any) -> m.SourceFirewall:
    """Two machines in group web, one in group db; the rules are those of web."""
    plain = m.SourceFirewall(
        groups=[
            m.SourceGroup(id="aaaa0001", name="web", rules=list(rules)),
            m.SourceGroup(id="bbbb0002", name="db"),
        ],
        ports=[
            m.SourcePort(id="p1", addresses=["10.0.0.1"], groups=["aaaa0001"]),
            m.SourcePort(id="p2", addresses=["10.0.0.2"], groups=["aaaa0001"]),
            m.SourcePort(id="p3", addresses=["10.0.0.3"], groups=["bbbb0002"]),
        ],
    )
    return replace(plain, **changed)


def made(*rules: m.SourceRule, **options: Any) -> Translation:
    """A translation that means the same, and its own rules but for the two last ones."""
    source = firewall(*rules)
    found = translate(source, prefix="cx-acme", **options)
    verdict = compare(source, found.target, accepted=found.deviations)
    assert verdict.equal, verdict.differences
    return found


def own(found: Translation) -> list[m.FirewallRule]:
    assert found.target.distributed is not None
    rules = found.target.distributed.rules
    assert [(one.action, one.direction) for one in rules[-2:]] == [("DROP", "IN"), ("DROP", "OUT")]
    return [one for one in rules[:-2] if not {"dhcp", "dhcpv6", "neighbours"} & set(found.origins[one.name])]


def profiles(found: Translation) -> list[m.PortProfile]:
    """The port profiles of its own rules."""
    used = {ref for one in own(found) for ref in one.profiles}
    return [profile for profile in found.target.profiles if profile.ref in used]


# --- rules


def test_a_rule_in_words_that_lead_back() -> None:
    found = made(rule(remote="192.0.2.0/24"))
    (one,) = own(found)
    assert one == m.FirewallRule(
        name="cx-acme-in-web-tcp-22-r1",
        comments="ingress tcp 22 of security group web (aaaa0001); rules r1",
        direction="IN",
        ip_protocol="IPV4",
        sources=["cx-acme-net-192-0-2-0-24"],
        destinations=["cx-acme-web-aaaa0001"],
        profiles=["cx-acme-tcp-22"],
    )
    assert found.origins[one.name] == ["r1"]
    groups = {group.name: group for group in found.target.groups}
    assert groups["cx-acme-web-aaaa0001"].addresses == ["10.0.0.1-10.0.0.2"]
    assert groups["cx-acme-web-aaaa0001"].description == "Members of security group web (aaaa0001)"
    assert groups["cx-acme-all"].addresses == ["10.0.0.1-10.0.0.3"]
    (profile,) = profiles(found)
    assert profile.entries == [m.PortEntry(protocol="TCP", ports=["22"])]


def test_nothing_passes_to_and_from_who_has_no_group_and_only_there() -> None:
    found = made()
    assert own(found) == []
    assert found.target.distributed is not None
    for one in found.target.distributed.rules:
        assert one.sources or one.destinations, "a rule about the machines of others"


def test_dhcp_passes_as_at_the_source() -> None:
    found = made()
    assert found.target.distributed is not None
    asks = [(one.direction, one.profiles, one.action) for one in found.target.distributed.rules[:2]]
    assert asks == [("IN", ["cx-acme-udp-68"], "ALLOW"), ("OUT", ["cx-acme-udp-67"], "ALLOW")]
    assert (
        found.target.distributed.rules[0].comments
        == "ingress udp 68 that passes at the source whatever groups say: dhcp"
    )
    # where all may talk to anybody, no rule is needed
    source = firewall()
    anything = [replace(group, rules=[rule(f"r-{group.id}", side="egress", protocol=None)]) for group in source.groups]
    out = translate(replace(source, groups=anything), prefix="cx")
    assert ["dhcp"] not in [found for name, found in out.origins.items() if "-out-" in name]


def test_rules_that_mean_the_same_are_one() -> None:
    whole = [
        rule("r1", first=80, last=80),
        rule("r2", first=443, last=443),
        rule("r3", first=443, last=443, family=6),
        rule("r4", first=80, last=80, family=6),
        rule("r5", first=443, last=443, remote="10.9.0.0/16"),
        rule("r6", first=80, last=80, remote_group="bbbb0002"),
    ]
    found = made(*whole)
    (one,) = own(found)
    assert one.ip_protocol == "IPV4" and one.sources == []
    assert found.origins[one.name] == ["r1", "r2"]
    assert found.idle == {
        "r3": "no workload of this group has an IPv6 address",
        "r4": "no workload of this group has an IPv6 address",
        "r5": "what it lets pass, rule r1 lets pass too",
        "r6": "what it lets pass, rule r1 lets pass too",
    }


def test_both_families_in_one_rule() -> None:
    source = firewall(rule("r1"), rule("r2", family=6))
    ports = [replace(port, addresses=[*port.addresses, f"fd00::{port.id[1]}"]) for port in source.ports]
    source = replace(source, ports=ports)
    found = translate(source, prefix="cx")
    (one,) = own(found)
    assert (one.ip_protocol, found.origins[one.name]) == ("IPV4_IPV6", ["r1", "r2"])
    assert compare(source, found.target, accepted=found.deviations).equal
    # neighbour discovery of IPv6 takes all of ICMPv6
    assert {(one.effect, *one.rules) for one in found.deviations} == {("wider", "neighbours")}


def test_several_other_ends_are_one_rule() -> None:
    (one,) = own(made(rule("r1", remote="192.0.2.0/24"), rule("r2", remote_group="bbbb0002")))
    assert one.sources == ["cx-acme-db-bbbb0002", "cx-acme-net-192-0-2-0-24"]


def test_the_same_rule_of_all_groups_is_one() -> None:
    source = firewall()
    anything = [replace(group, rules=[rule(f"r-{group.id}", side="egress", protocol=None)]) for group in source.groups]
    source = replace(source, groups=anything)
    found = translate(source, prefix="cx")
    (one,) = own(found)
    assert (one.sources, one.destinations, one.direction, one.profiles) == (["cx-all"], [], "OUT", [])
    assert found.origins[one.name] == ["r-aaaa0001", "r-bbbb0002"]


def test_a_group_without_members_lets_nobody_pass() -> None:
    source = firewall(rule(remote_group="cccc0003"))
    source = replace(source, groups=[*source.groups, m.SourceGroup(id="cccc0003", name="empty")])
    found = translate(source, prefix="cx")
    assert own(found) == [] and "no member" in found.idle["r1"]
    assert compare(source, found.target).equal


def test_many_groups_are_several_rules() -> None:
    count = MAX_REFS * 2 + 1
    groups = [m.SourceGroup(id=f"g{n:03}", rules=[rule(f"r{n:03}")]) for n in range(count)]
    ports = [m.SourcePort(id=f"p{n}", addresses=[f"10.0.{n}.1"], groups=[f"g{n:03}"]) for n in range(count)]
    ports.append(m.SourcePort(id="other", addresses=["10.1.0.1"]))
    source = m.SourceFirewall(groups=groups, ports=ports)
    found = translate(source, prefix="cx")
    assert [len(one.destinations) for one in own(found)] == [MAX_REFS, MAX_REFS, 1]
    assert len({one.name for one in own(found)}) == 3
    assert compare(source, found.target).equal


def test_many_ports_are_several_entries() -> None:
    found = made(*(rule(f"r{port:03}", first=port, last=port + port % 2) for port in range(100, 160, 4)))
    (profile,) = profiles(found)
    assert all(len(entry.ports) <= 15 for entry in profile.entries)
    wide = made(*(rule(f"r{port:03}", first=port, last=port + 1) for port in range(100, 180, 4)))
    assert [len(entry.ports) for entry in profiles(wide)[0].entries] == [7, 7, 6]


def test_all_ports_and_all_but_port_0() -> None:
    found = made(rule("r1", first=0, last=65535), rule("r2", protocol=17, first=1, last=65535))
    assert profiles(found)[0].entries == [
        m.PortEntry(protocol="TCP"),
        m.PortEntry(protocol="UDP", ports=["1-65535"]),
    ]


def test_a_profile_that_is_there_is_used() -> None:
    system = [
        m.PortProfile(name=name, id=f"urn:{name}", scope="SYSTEM", entries=[m.PortEntry(protocol="TCP", ports=[port])])
        for name, port in (("SFTP", "22"), ("SSH", "22"), ("HTTP", "80"), ("broken", "x"))
    ]
    found = made(rule("r1"), rule("r2", first=81, last=81, remote="192.0.2.0/24"), system=system)
    assert [one.profiles for one in own(found)] == [["urn:SSH"], ["cx-acme-tcp-81"]]
    assert [profile.name for profile in profiles(found)] == ["SSH", "cx-acme-tcp-81"]


def test_port_security_off_lets_everything_pass() -> None:
    source = firewall()
    ports = [replace(source.ports[0], filtered=False, groups=[]), *source.ports[1:]]
    source = replace(source, ports=ports)
    found = translate(source, prefix="cx")
    assert compare(source, found.target).equal
    assert [(one.action, one.direction) for one in own(found)] == [("ALLOW", "IN"), ("ALLOW", "OUT")]


def test_hostile_names() -> None:
    source = firewall(rule("r1'\"{{ 7*7 }}\n"))
    groups = [replace(source.groups[0], name=estates.HOSTILE + "\n" + "x" * 300), source.groups[1]]
    found = translate(replace(source, groups=groups), prefix="cx")
    for name in [one.name for one in own(found)] + [group.name for group in found.target.groups]:
        assert name.isascii() and len(name) < 128 and not set(name) & set(" '\"{}/\\<>\n")
    for text in [one.comments for one in own(found)] + [group.description for group in found.target.groups]:
        assert text.isprintable() and len(text) <= 500


def test_names_are_told_apart() -> None:
    groups = [
        m.SourceGroup(id=f"12345678-{n}", name="web", rules=[rule(f"87654321-{n}", remote=f"192.0.2.{n}/32")])
        for n in range(3)
    ]
    ports = [m.SourcePort(id=f"p{n}", addresses=[f"10.0.0.{n}"], groups=[f"12345678-{n}"]) for n in range(3)]
    source = m.SourceFirewall(groups=groups, ports=ports)
    found = translate(source, prefix="cx")
    assert compare(source, found.target).equal
    names = [one.name for one in own(found)] + [group.name for group in found.target.groups]
    assert len(set(names)) == len(names) == 3 + 7


def test_the_order_of_the_source_means_nothing() -> None:
    for seed in range(200):
        rng = random.Random(seed)
        source = source_firewall(rng, plain=False)
        wanted = schema.dump(translate(source, prefix="cx"))
        groups = [replace(group, rules=rng.sample(group.rules, len(group.rules))) for group in source.groups]
        ports = [replace(port, groups=rng.sample(port.groups, len(port.groups))) for port in source.ports]
        other = m.SourceFirewall(groups=rng.sample(groups, len(groups)), ports=rng.sample(ports, len(ports)))
        assert schema.dump(translate(other, prefix="cx")) == wanted


def test_it_is_a_document() -> None:
    for seed in range(50):
        rng = random.Random(seed)
        source = source_firewall(rng, plain=False)
        target = translate(source, prefix="cx", inside=["10.0.0.0/24"]).target
        assert schema.load(m.SourceFirewall, schema.dump(source)) == (source, [])
        assert schema.load(m.TargetFirewall, schema.dump(target)) == (target, [])


# --- what the target cannot say


def test_types_of_icmp_become_all_of_them() -> None:
    found = made(rule("r1", protocol=1, first=8 << 8, last=8 << 8 | 255, remote="192.0.2.0/24"))
    (one,) = found.deviations
    assert (one.effect, one.rules, one.services) == ("wider", ["r1"], ["icmp 0-7", "icmp 9-255"])
    assert (one.sources, one.destinations) == (["192.0.2.0/24"], ["10.0.0.1-10.0.0.2"])
    assert profiles(found)[0].entries == [m.PortEntry(protocol="ICMPv4")]


def test_types_of_icmp_can_be_left_out() -> None:
    found = made(rule("r1", protocol=1, first=8 << 8, last=8 << 8 | 255), icmp="narrower")
    assert [(one.effect, one.services) for one in found.deviations] == [("narrower", ["icmp 8"])]
    assert own(found) == []


def test_no_deviation_where_another_rule_says_it_anyway() -> None:
    found = made(rule("r1", protocol=1, first=8 << 8, last=8 << 8), rule("r2", protocol=47), rule("r3", protocol=None))
    assert found.deviations == []
    assert len(own(found)) == 1


def test_other_protocols_are_left_out() -> None:
    found = made(rule("r1", protocol=47), rule("r2"))
    assert [(one.effect, one.services, one.rules) for one in found.deviations] == [("narrower", ["47"], ["r1", "r2"])]
    assert len(own(found)) == 1
    assert not compare(firewall(rule("r1", protocol=47), rule("r2")), found.target).equal


# --- for people


def test_rules_as_an_engineer_reads_them() -> None:
    found = made(rule(remote="192.0.2.0/24"), rule("r2", protocol=17, family=4, first=53, last=60))
    assert shown(found.target) == [
        "distributed firewall",
        "   1 ALLOW  in     IPv4 any → cx-acme-all (10.0.0.1-10.0.0.3): UDP 68  [cx-acme-in-all-udp-68-dhcp]",
        "   2 ALLOW  in     IPv4 any → cx-acme-web-aaaa0001 (10.0.0.1-10.0.0.2): UDP 53-60"
        "  [cx-acme-in-web-udp-53-60-r2]",
        "   3 ALLOW  in     IPv4 cx-acme-net-192-0-2-0-24 (192.0.2.0/24) → cx-acme-web-aaaa0001 (10.0.0.1-10.0.0.2): "
        "TCP 22  [cx-acme-in-web-tcp-22-r1]",
        "   4 ALLOW  out    IPv4 cx-acme-all (10.0.0.1-10.0.0.3) → any: UDP 67  [cx-acme-out-all-udp-67-dhcp]",
        "   5 DROP   in     IP   any → cx-acme-all (10.0.0.1-10.0.0.3): any  [cx-acme-in-rest]",
        "   6 DROP   out    IP   cx-acme-all (10.0.0.1-10.0.0.3) → any: any  [cx-acme-out-rest]",
        "     ALLOW  the rest",
        "edge firewall",
        "   1 ALLOW  in/out IP   any → cx-acme-all (10.0.0.1-10.0.0.3): any  [cx-acme-edge-in-workloads]",
        "   2 ALLOW  in/out IP   cx-acme-all (10.0.0.1-10.0.0.3) → any: any  [cx-acme-edge-out-workloads]",
        "     DROP   the rest",
    ]


def test_rules_of_others_as_an_engineer_reads_them() -> None:
    foreign = m.FirewallRule(
        name="x\ny",
        enabled=False,
        sources=["s", "gone"],
        sources_excluded=True,
        profiles=["lost"],
        context_profiles=["SSL"],
    )
    target = m.TargetFirewall(
        groups=[m.AddressGroup(name="so\nme", id="s", addresses=["10.0.0.1", "10.0.0.3", "10.0.0.5", "10.0.0.7"])],
        distributed=m.Distributed(enabled=False, rules=[foreign]),
    )
    assert shown(target) == [
        "distributed firewall (off: everything passes)",
        "   1 ALLOW  in/out IP   all but so me (10.0.0.1, 10.0.0.3, 10.0.0.5, …) + gone (not known) → any: "
        "lost (not known) + application SSL  [x y] off",
        "     ALLOW  the rest",
    ]


# --- edge


def test_the_edge_lets_through_what_the_distributed_firewall_decides() -> None:
    found = made(rule(), inside=["10.0.0.0/24"])
    assert found.target.edge is not None
    assert [(one.action, one.direction) for one in found.target.edge.rules] == [("ALLOW", "IN_OUT")] * 2
    assert all(one.sources or one.destinations for one in found.target.edge.rules)


def test_without_a_distributed_firewall_the_edge_has_the_rules_that_cross_it() -> None:
    source = firewall(rule("r1", remote="192.0.2.0/24"), rule("r2", first=80, last=80, remote_group="bbbb0002"))
    found = translate(source, prefix="cx", distributed=False, inside=["10.0.0.0/24"])
    assert found.target.distributed is None and found.target.edge is not None
    assert [one.action for one in found.target.edge.rules] == ["ALLOW", "DROP", "DROP"]
    verdict = compare(source, found.target)
    # what does not cross the edge passes now: told, with a packet
    assert not verdict.equal
    for one in verdict.differences:
        assert one.target_passes and one.packet.source.startswith("10.0.0.") and "not there" in one.target_text


def test_without_a_distributed_firewall_one_machine_a_network_is_equal() -> None:
    source = firewall(rule("r1", remote="192.0.2.0/24"))
    source = replace(source, ports=source.ports[:1])
    found = translate(source, prefix="cx", distributed=False, inside=["10.0.0.1"])
    assert compare(source, found.target).equal


# --- from the estate


def group(*rules: e.Rule, **changed: Any) -> e.SecurityGroup:
    return replace(e.SecurityGroup(id="g1", name="web", rules=list(rules)), **changed)


def read(*rules: e.Rule, **changed: Any) -> tuple[m.SourceFirewall, list[e.Finding]]:
    tenant = replace(
        estates.estate(),
        security_groups=[group(*rules)],
        ports=[estates.port(security_groups=["g1"])],
        **changed,
    )
    return read_source(tenant)


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({}, ["any"]),
        ({"protocol": "any"}, ["any"]),
        ({"protocol": "0"}, ["any"]),
        ({"protocol": "tcp"}, ["tcp"]),
        ({"protocol": "TCP", "port_min": 22, "port_max": 23}, ["tcp 22-23"]),
        ({"protocol": "6", "port_min": 22, "port_max": 22}, ["tcp 22"]),
        ({"protocol": "udp", "port_min": 0, "port_max": 65535}, ["udp"]),
        ({"protocol": "icmp"}, ["icmp"]),
        ({"protocol": "icmp", "port_min": 8}, ["icmp 8"]),
        ({"protocol": "icmp", "port_min": 8, "port_max": 0}, ["icmp 8/0"]),
        ({"protocol": "icmp", "port_min": 3, "port_max": 4}, ["icmp 3/4"]),
        ({"protocol": "icmp", "ethertype": "IPv6"}, ["icmpv6"]),
        ({"protocol": "ipv6-icmp", "ethertype": "IPv6", "port_min": 128}, ["icmpv6 128"]),
        ({"protocol": "gre"}, ["47"]),
        ({"protocol": "112"}, ["112"]),
        ({"protocol": "sctp", "port_min": 9, "port_max": 9}, ["sctp 9"]),
    ],
)
def test_rules_of_the_estate(changed: dict[str, Any], wanted: list[str]) -> None:
    source, findings = read(e.Rule(id="r1", **changed))
    (one,) = source.groups[0].rules
    assert packets.service_texts(source_services(one)) == wanted
    assert (one.side, one.family) == ("ingress", 6 if changed.get("ethertype") == "IPv6" else 4)
    assert findings == []


@pytest.mark.parametrize(
    ("remote", "wanted"), [(None, ""), ("0.0.0.0/0", ""), ("10.0.0.7/8", "10.0.0.0/8"), ("10.0.0.1/32", "10.0.0.1")]
)
def test_the_other_end(remote: str | None, wanted: str) -> None:
    assert read(e.Rule(id="r1", remote_cidr=remote))[0].groups[0].rules[0].remote == wanted


def test_a_public_address_of_the_tenant_is_told_and_can_be_replaced() -> None:
    public = [e.FloatingIp(id="f1", address="192.0.2.9")]
    rules = [e.Rule(id="r1", remote_cidr="192.0.2.9/32"), e.Rule(id="r2", remote_cidr="192.0.2.0/24")]
    source, findings = read(
        *rules, e.Rule(id="r3", protocol="udp"), e.Rule(id="r4", remote_cidr="192.0.3.0/24"), floating_ips=public
    )
    assert [(one.rule, "r1" in one.seen, "r2" in one.seen) for one in findings] == [
        ("firewall_public_address", True, False),
        ("firewall_public_address", False, True),
    ]
    new = renumbered(source, {"192.0.2.9": "203.0.113.4"})
    assert [rule.remote for rule in new.groups[0].rules] == ["203.0.113.4", "192.0.2.0/24", "", "192.0.3.0/24"]
    assert not compare(source, translate(new, prefix="cx").target).equal
    assert compare(new, translate(new, prefix="cx").target).equal


@pytest.mark.parametrize(
    "changed",
    [
        {"protocol": "nonsense"},
        {"protocol": "256"},
        {"protocol": "tcp", "port_min": 22},
        {"protocol": "tcp", "port_min": 23, "port_max": 22},
        {"protocol": "icmp", "port_max": 4},
        {"protocol": "icmp", "port_min": 300},
        {"remote_cidr": "nobody"},
        {"remote_cidr": "fd00::/64"},
        {"remote_group_id": "of-others"},
        {"direction": "sideways"},
    ],
)
def test_what_is_not_understood_is_told_and_lets_nobody_pass(changed: dict[str, Any]) -> None:
    source, (finding,) = read(e.Rule(id="r1", **changed))
    assert source.groups[0].rules == []
    assert (finding.rule, finding.severity, finding.subject.id) == ("firewall_rule", "blocker", "g1")
    assert "r1" in finding.seen and finding.data_gap == ("remote_group_id" in changed)


def test_a_rule_about_an_address_group_is_not_one_about_anybody() -> None:
    raw = {"id": "r1", "direction": "ingress", "ethertype": "IPv4", "remote_address_group_id": "ag1"}
    tenant = replace(estates.estate(), security_groups=[convert.group({"id": "g1", "security_group_rules": [raw]})])
    source, findings = read_source(tenant)
    assert source.groups[0].rules == [] and [one.rule for one in findings] == ["firewall_rule"]


def test_a_machine_without_an_address_is_told() -> None:
    for fixed in ([], [e.FixedIp(ip="nonsense")]):
        source, findings = two(estates.port(fixed_ips=fixed))
        assert source.ports[0].addresses == [] and [one.rule for one in findings] == ["firewall_address"]


def test_what_was_not_read_blocks() -> None:
    plain = estates.estate()
    findings = read(read={**plain.read, "security_groups": "partial"})[1]
    assert [(one.rule, one.severity, one.subject.kind) for one in findings] == [
        ("firewall_not_read", "blocker", "security_groups")
    ]


def other_port(**changed: Any) -> e.Port:
    plain = estates.port(id="p2", device_id="s2", fixed_ips=[e.FixedIp(ip="10.20.0.12", subnet_id="sn1")])
    return replace(plain, **changed)


def two(*ports: e.Port, **options: Any) -> tuple[m.SourceFirewall, list[e.Finding]]:
    tenant = replace(
        estates.estate(),
        servers=[estates.server(), estates.server(id="s2", name="db-1", ports=["p2"])],
        security_groups=[group(), group(id="g2", name="db")],
        ports=list(ports),
    )
    return read_source(tenant, **options)


def test_an_address_pair_is_an_address_of_the_machine_and_of_the_group() -> None:
    vip = [e.AddressPair(ip="10.20.0.100")]
    reserved = other_port(id="p3", device_id="", device_owner="", fixed_ips=[e.FixedIp(ip="10.20.0.100")])
    source, findings = two(
        estates.port(allowed_address_pairs=vip, security_groups=["g1"]),
        other_port(allowed_address_pairs=vip, security_groups=["g1"]),
        reserved,
    )
    assert [(port.addresses, port.workload) for port in source.ports] == [
        (["10.20.0.11", "10.20.0.100"], True),
        (["10.20.0.12", "10.20.0.100"], True),
        (["10.20.0.100"], False),
    ]
    assert packets.address_texts(members(source)["g1"]) == ["10.20.0.11-10.20.0.12", "10.20.0.100"]
    assert findings == []


def test_one_address_of_two_under_other_groups_is_told_and_differs() -> None:
    vip = [e.AddressPair(ip="10.20.0.100")]
    source, findings = two(
        estates.port(allowed_address_pairs=vip, security_groups=["g1"]),
        other_port(allowed_address_pairs=vip, security_groups=["g2"]),
    )
    assert [one.rule for one in findings] == ["firewall_shared_address"]
    source = replace(source, groups=[replace(source.groups[0], rules=[rule()]), source.groups[1]])
    verdict = compare(source, translate(source, prefix="cx").target)
    assert {one.packet.destination for one in verdict.differences} == {"10.20.0.100"}


@pytest.mark.parametrize("pair", ["10.20.0.12", "10.20.0.0/24", "0.0.0.0/0"])
def test_a_pair_where_others_stand_is_forwarding(pair: str) -> None:
    source, findings = two(
        estates.port(allowed_address_pairs=[e.AddressPair(ip=pair)], security_groups=["g1"]), other_port()
    )
    assert source.ports[0].addresses == ["10.20.0.11"] and source.ports[0].forwards == [pair]
    assert [one.rule for one in findings] == ["firewall_forwards"]
    # rules that name the group mean these too
    assert packets.addresses(pair) <= members(source)["g1"]


def test_other_networks_and_servers_are_only_members() -> None:
    ports = (estates.port(security_groups=["g1"]), other_port(network_id="n2", security_groups=["g1"]))
    for options in ({"networks": ["n1"]}, {"servers": ["s1"]}):
        source, _findings = two(*ports, **options)
        assert [port.workload for port in source.ports] == [True, False]
        assert packets.address_texts(members(source)["g1"]) == ["10.20.0.11-10.20.0.12"]


def test_port_security_off_is_told() -> None:
    source, findings = two(estates.port(port_security=False), other_port())
    assert [port.filtered for port in source.ports] == [False, True]
    assert [(one.rule, one.subject.id) for one in findings] == [("firewall_unfiltered", "p1")]


def test_a_group_that_was_not_read_is_told() -> None:
    assert [one.rule for one in two(estates.port(security_groups=["g9"]))[1]] == ["firewall_group_unknown"]


def test_what_profiles_mean() -> None:
    profile = m.PortProfile(
        name="x",
        entries=[
            m.PortEntry(protocol="TCP", ports=["22", "80-90"]),
            m.PortEntry(protocol="UDP"),
            m.PortEntry(protocol="ICMPv4"),
            m.PortEntry(protocol="ICMPv6"),
        ],
    )
    assert packets.service_texts(profile_services(profile, 4)) == ["icmp", "tcp 22", "tcp 80-90", "udp"]
    assert packets.service_texts(profile_services(profile, 6)) == ["tcp 22", "tcp 80-90", "udp", "icmpv6"]
    with pytest.raises(ValueError):
        profile_services(replace(profile, entries=[m.PortEntry(protocol="TCP", ports=["http"])]), 4)
