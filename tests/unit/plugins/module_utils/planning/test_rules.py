# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every built-in rule fires where it must and is silent where it must not; files of people change and add rules."""

from __future__ import annotations

import importlib.util
import random
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.observations import METRICS, Load, Metrics
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import facts, match, rules
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.policy import Capacity
from tests.unit.plugins.module_utils.planning.estates import (
    HOSTILE,
    IMAGE,
    READ,
    estate,
    port,
    resources,
    server,
    subnet,
    volume,
)

IDLE = Metrics(
    kind=METRICS, version=1, servers={"s1": Load(cpu_p95=1.0, cpu_max=2.0, network_bytes_s=10.0, samples=4000)}
)
BUSY = Metrics(
    kind=METRICS, version=1, servers={"s1": Load(cpu_p95=60.0, cpu_max=99.0, network_bytes_s=10.0, samples=4000)}
)
NONE = Metrics(kind=METRICS, version=1)


PLAINLY = rules.About()


@dataclass
class Case:
    """An estate, and what else rules are told; `shows`: a part of the English text of the finding."""

    estate: e.Estate
    about: rules.About = PLAINLY
    metrics: Metrics | None = None
    shows: str = ""
    findings: int = 1


def _image(**properties: str) -> e.Estate:
    return estate(volumes=[volume(image_metadata={**IMAGE, **properties})])


def _system(distro: str, version: str) -> e.Estate:
    return _image(os_distro=distro, os_version=version)


def _volume(**changed: Any) -> e.Estate:
    return estate(volumes=[volume(**changed)])


def _server(**changed: Any) -> e.Estate:
    return estate(servers=[server(**changed)])


def _port(**changed: Any) -> e.Estate:
    return estate(ports=[port(**changed)])


def _ports(count: int) -> e.Estate:
    ids = [f"p{number}" for number in range(count)]
    return estate(servers=[server(ports=ids)], ports=[port(id=ident) for ident in ids])


def _many_disks(count: int) -> e.Estate:
    disks = [volume(id=f"v{number}") for number in range(count)]
    places = [e.Attachment(disk.id, f"/dev/vd{n}", boot=not n) for n, disk in enumerate(disks)]
    return estate(servers=[server(volumes=places)], volumes=disks)


def _flavor(**extra_specs: str) -> e.Estate:
    specs = {key.replace("__", ":"): value for key, value in extra_specs.items()}
    return _server(flavor=e.Flavor(name="s1.large", vcpus=2, ram_mib=2048, extra_specs=specs))


def _with(kind: str, ident: str = "x", name: str = "x", **properties: Any) -> e.Estate:
    return estate(**resources(kind, e.Resource(id=ident, name=name, properties=properties)))


def _unread(kind: str, state: e.ReadState = "partial") -> e.Estate:
    return estate(read={**READ, kind: state})


def _groups(*found: e.Rule, name: str = "web") -> e.Estate:
    return estate(
        security_groups=[e.SecurityGroup(id="g1", name=name, rules=list(found)), e.SecurityGroup(id="g2", name="db")]
    )


def _floating(*, dns: str = "", **changed: Any) -> e.Estate:
    plain = e.FloatingIp(id="f1", address="203.0.113.9", port_id="p1")
    record = e.Resource(id="r", name="www.example.org.", properties={"type": "A", "records": [dns]})
    return estate(floating_ips=[replace(plain, **changed)], **resources("dns_records", record))


def _networks(cidr: str) -> e.Estate:
    """A second network with a subnet."""
    return estate(
        networks=[e.Network(id="n1", name="app", project_id="p"), e.Network(id="n2", name="db", project_id="p")],
        subnets=[subnet(), subnet(id="sn2", name="other", network_id="n2", cidr=cidr)],
    )


def _tagged(**metadata: str) -> e.Estate:
    return _server(metadata={key.replace("__", "."): value for key, value in metadata.items()})


def _images(**changed: Any) -> e.Estate:
    plain = e.Image(id="i1", name="golden", visibility="private", owner="p", properties={"__imagetype": "private"})
    return estate(images=[replace(plain, **changed)])


BLEU = rules.About(target="bleu")
AVENUE = rules.About(target="cloud_avenue")
MAPPED = rules.About(storage={"SAS": "silver"}, capacity=Capacity(storage_classes=["silver"]))
ROOM = rules.About(capacity=Capacity(cpus=100, memory_mib=100_000, disk_gib=1000, max_disk_gib=2000))
LOCAL = {"volumes": [], "flavor": e.Flavor(vcpus=2, ram_mib=2048, disk_gib=20)}
PLAIN = Case(estate())
TWO = estate(
    servers=[server(), server(id="s2", name="web-2", ports=[])],
    volumes=[volume(attachments=[e.VolumeAttachment(server_id="s1"), e.VolumeAttachment(server_id="s2")])],
)
VIRTUAL = estate(
    ports=[
        port(allowed_address_pairs=[e.AddressPair(ip="10.20.0.50")]),
        e.Port(id="vip", network_id="n1", device_owner="network:VIP_PORT", fixed_ips=[e.FixedIp(ip="10.20.0.50")]),
    ]
)
IN = {"direction": "ingress"}

FIRES: dict[str, Case] = {
    "server_state": Case(_server(status="ERROR"), shows="its state is ERROR, not ACTIVE or SHUTOFF"),
    "server_frozen": Case(_tagged(EcmResStatus="freeze")),
    "size_unknown": Case(_server(flavor=e.Flavor(name="gone"))),
    "disks_unknown": Case(estate(volumes=[])),
    "ports_unknown": Case(_unread("ports")),
    "volume_multiattach": Case(_volume(multiattach=True), shows="its volume v1 can be attached to several"),
    "volume_encrypted": Case(_volume(metadata={"__system__encrypted": "1"}), shows="its volume v1 is encrypted"),
    "volume_state": Case(_volume(status="error_extending"), shows="its volume v1 is error_extending"),
    "local_root_disk": Case(_server(**LOCAL)),
    "boot_disk_missing": Case(_server(volumes=[])),
    "disk_over_limit": Case(_volume(size_gib=2001), ROOM, shows="its volume v1 of 2001 GiB"),
    "disks_many": Case(_many_disks(61), shows="it has 61 volumes"),
    "nics_many": Case(_ports(11), shows="it has 11 ports"),
    "guest_not_linux": Case(_system("windows", "Server 2019"), shows="its system is windows Server 2019"),
    "cluster_node": Case(
        estate(
            resources={
                "cce_clusters": [e.Resource(id="c1", name="shop")],
                "cce_nodes": [e.Resource(id="k1", parent="c1", properties={"status": {"serverId": "s1"}})],
            }
        ),
        shows="a node of the cluster shop",
    ),
    "reader": Case(estate(), rules.About(reader_server_id="s1")),
    "firmware_unknown": Case(estate(volumes=[volume(image_metadata={})])),
    "firmware_default": Case(_image(hw_firmware_type="")),
    "guest_unknown": Case(_system("plan9", "4"), shows="plan9 4"),
    "os_out_of_support": Case(_system("centos", "7.9"), shows="centos 7.9 gets no updates"),
    "os_unsupported": Case(_system("rhel", "5.11"), shows="rhel 5.11 is older"),
    "disk_large": Case(_volume(size_gib=2049), shows="2049 GiB"),
    "boot_disk_large": Case(_volume(size_gib=4096), BLEU),
    "no_port": Case(_server(ports=[])),
    "nic_order": Case(_ports(2)),
    "floating_ip": Case(_floating(), shows="the floating address 203.0.113.9 stays"),
    "allowed_address_pairs": Case(
        _port(allowed_address_pairs=[e.AddressPair(ip="10.20.0.50"), e.AddressPair(ip="10.20.0.51")]),
        shows="its port p1 may use other addresses: 10.20.0.50, 10.20.0.51",
    ),
    "port_security_off": Case(_port(port_security=False)),
    "port_security_provider": Case(_port(port_security=False), AVENUE, shows="no address checks"),
    "secure_boot": Case(_image(os_secure_boot="required"), shows="Secure Boot (required)"),
    "tpm": Case(_image(hw_tpm_version="2.0"), shows="a TPM (2.0)"),
    "vnic_type": Case(_port(vnic_type="direct"), shows="of type direct"),
    "shared_network": Case(estate(networks=[e.Network(id="n1", name="common", shared=True)]), shows="common"),
    "ipv6": Case(_port(fixed_ips=[e.FixedIp(ip="2001:db8::5")]), shows="2001:db8::5"),
    "xen": Case(_flavor(ecs__virtualization_env_types="FusionCompute"), shows="s1.large"),
    "xen_device_names": Case(
        _server(volumes=[e.Attachment(volume_id="v1", device="/dev/xvda", boot=True)]), shows="/dev/xvda"
    ),
    "agents": Case(_image(__support_agent_list="hss,ces"), shows="ces, hss"),
    "license_bundled": Case(_image(os_distro="rhel", os_version="8", __imagetype="gold"), shows="rhel 8"),
    "license_market": Case(_tagged(metering__imagetype="market")),
    "scaling_member": Case(_with("scaling_groups", "a", "farm", instances=["s1"]), shows="farm"),
    "server_group": Case(_with("server_groups", "a", "apart", members=["s1"]), shows="apart"),
    "load_balancer_member": Case(
        estate(
            resources={
                "load_balancers": [e.Resource(id="lb", name="front")],
                "lb_pools": [e.Resource(id="pool", name="web", parent="lb")],
                "lb_members": [e.Resource(id="m", parent="pool", properties={"address": "10.20.0.11"})],
            }
        ),
        shows="front",
    ),
    "stack_owned": Case(_tagged(metering__stack="0a1b"), shows="0a1b"),
    "pci_passthrough": Case(_flavor(pci_passthrough__alias="gpu:1")),
    "server_locked": Case(_server(locked=True)),
    "key_pair_lost": Case(_server(key_name="old"), shows="old"),
    "config_drive": Case(_server(config_drive=True)),
    "hostname_novalocal": Case(_server(name="web-1.novalocal")),
    "server_backups_left": Case(_with("vault_backups", resource_id="s1"), shows="1"),
    "subscription": Case(_tagged(charging_mode="1")),
    "idle": Case(estate(), metrics=IDLE, shows="14 days"),
    "volume_unattached": Case(estate(volumes=[volume(), volume(id="v2")]), shows="10 GiB"),
    "volume_error": Case(estate(volumes=[volume(), volume(id="v2", status="error")])),
    "snapshots_left": Case(estate(snapshots=[e.Snapshot(id="x", volume_id="v1")]), shows="1"),
    "backups_left": Case(_with("backups", volume_id="v1")),
    "volume_key": Case(_volume(encrypted=True, metadata={"__system__cmkid": "k-1"}), shows="k-1"),
    "storage_unmapped": Case(estate(), rules.About(storage={"SSD": "gold"}), shows="SAS"),
    "storage_missing": Case(
        estate(), rules.About(storage={"SAS": "gold"}, capacity=Capacity(storage_classes=["silver"])), shows="gold"
    ),
    "backup_snapshot": Case(estate(snapshots=[e.Snapshot(id="x", name="autobk_snapshot_1", volume_id="v1")])),
    "port_orphan": Case(estate(ports=[port(), port(id="p2", device_id="", device_owner="")]), shows="10.20.0.11"),
    "virtual_address": Case(VIRTUAL, shows="10.20.0.50"),
    "mtu_large": Case(estate(networks=[e.Network(id="n1", name="app", project_id="p", mtu=9000)]), shows="9000"),
    "network_subnets": Case(
        estate(subnets=[subnet(), subnet(id="sn2", cidr="10.21.0.0/24")]), AVENUE, shows="2 subnets of IPv4 and 0 of"
    ),
    "cloud_resolvers": Case(estate(subnets=[subnet(dns=["100.125.0.41", "8.8.8.8"])]), shows="100.125.0.41"),
    "dhcp_routes": Case(estate(subnets=[subnet(routes=[e.Route(destination="10.0.0.0/8", nexthop="10.20.0.9")])])),
    "addresses_overlap": Case(_networks("10.20.0.128/25"), findings=2, shows="other"),
    "azure_addresses": Case(_port(fixed_ips=[e.FixedIp(ip="10.20.0.3", subnet_id="sn1")]), BLEU, shows="10.20.0.3"),
    "group_names_group": Case(_groups(e.Rule(id="r", protocol="tcp", remote_group_id="g2")), shows="db"),
    "group_open": Case(_groups(e.Rule(id="r", remote_cidr="0.0.0.0/0")), shows="IPv4"),
    "group_admin_open": Case(
        _groups(e.Rule(id="r", protocol="tcp", port_min=20, port_max=30, remote_cidr="0.0.0.0/0")), shows="SSH"
    ),
    "floating_unattached": Case(_floating(port_id=None)),
    "floating_named": Case(_floating(dns="203.0.113.9"), shows="www.example.org"),
    "peering": Case(_with("peerings")),
    "vpn_connection": Case(_with("vpn_connections")),
    "image_export_refused": Case(
        _images(properties={"__data_origin": "instance,x", "__platform": "Ubuntu", "__os_type": "Linux"})
    ),
    "image_export_limited": Case(_images(min_disk_gib=200)),
    "scaling_active": Case(estate(**resources("scaling_groups", e.Resource(id="a", status="INSERVICE")))),
    "private_zone": Case(_with("dns_zones", zone_type="private")),
    "key_not_enabled": Case(estate(**resources("keys", e.Resource(id="k", status="4")))),
    "vault_left": Case(_with("vaults")),
    "capacity_short": Case(
        estate(), rules.About(capacity=Capacity(cpus=1, memory_mib=1, disk_gib=10)), findings=2, shows="needs 2 of cpus"
    ),
    "capacity_unknown": Case(estate()),
    "load_unknown": Case(estate()),
}

SILENT: dict[str, Case] = {
    "server_state": Case(_server(status="SHUTOFF")),
    "server_frozen": Case(_tagged(EcmResStatus="normal")),
    "size_unknown": PLAIN,
    "disks_unknown": PLAIN,
    "ports_unknown": PLAIN,
    "volume_multiattach": PLAIN,
    "volume_encrypted": Case(_volume(metadata={"__system__encrypted": "0"})),
    "volume_state": Case(estate(volumes=[])),
    "local_root_disk": Case(estate(servers=[server(**LOCAL)], read={**READ, "volumes": "partial"})),
    "boot_disk_missing": Case(_server(**LOCAL)),
    "disk_over_limit": Case(_volume(size_gib=2000), ROOM),
    "disks_many": Case(_many_disks(60)),
    "nics_many": Case(_ports(10)),
    "guest_not_linux": Case(_system("", "")),
    "cluster_node": Case(_with("cce_nodes", status={"serverId": "another"})),
    "reader": Case(estate(), rules.About(reader_server_id="s2")),
    "firmware_unknown": Case(_image(hw_firmware_type="")),
    "firmware_default": PLAIN,
    "guest_unknown": PLAIN,
    "os_out_of_support": Case(_system("centos", "9")),
    "os_unsupported": Case(_system("rhel", "5"), BLEU),
    "disk_large": Case(_volume(size_gib=2048)),
    "boot_disk_large": Case(_volume(size_gib=4096)),
    "no_port": Case(estate(servers=[server(ports=[])], read={**READ, "ports": "not_read"})),
    "nic_order": PLAIN,
    "floating_ip": Case(_floating(port_id=None)),
    "allowed_address_pairs": PLAIN,
    "port_security_off": Case(estate(ports=[])),
    "port_security_provider": Case(_port(port_security=False)),
    "secure_boot": Case(_image(os_secure_boot="disabled")),
    "tpm": PLAIN,
    "vnic_type": PLAIN,
    "shared_network": PLAIN,
    "ipv6": PLAIN,
    "xen": Case(_flavor(ecs__virtualization_env_types="CloudCompute")),
    "xen_device_names": PLAIN,
    "agents": Case(_image(__support_agent_list=" , ")),
    "license_bundled": Case(_image(os_distro="debian", __imagetype="gold")),
    "license_market": Case(_tagged(metering__imagetype="private")),
    "scaling_member": Case(_with("scaling_groups", "a", "farm", instances=["s9"])),
    "server_group": Case(_with("server_groups", "a", "apart", members=["s9"])),
    "load_balancer_member": Case(_with("lb_members", address="10.20.0.99")),
    "stack_owned": Case(_tagged(stackable="no")),
    "pci_passthrough": Case(_flavor(hw__cpu_policy="dedicated")),
    "server_locked": PLAIN,
    "key_pair_lost": Case(estate(servers=[server(key_name="old")], read={**READ, "key_pairs": "not_read"})),
    "config_drive": PLAIN,
    "hostname_novalocal": Case(_server(name="novalocal-1")),
    "server_backups_left": Case(_with("vault_backups", resource_id="v1")),
    "subscription": Case(_tagged(charging_mode="0")),
    "idle": Case(estate(), metrics=BUSY),
    "volume_unattached": PLAIN,
    "volume_error": Case(_volume(status="error")),
    "snapshots_left": Case(estate(snapshots=[e.Snapshot(id="x", volume_id="v9")])),
    "backups_left": Case(_with("backups", volume_id="v9")),
    "volume_key": Case(_volume(encrypted=True)),
    "storage_unmapped": PLAIN,
    "storage_missing": Case(estate(), MAPPED),
    "backup_snapshot": Case(estate(snapshots=[e.Snapshot(id="x", name="mine", volume_id="v1")])),
    "port_orphan": Case(VIRTUAL),
    "virtual_address": Case(estate(ports=[port(), port(id="p2", device_id="", device_owner="")])),
    "mtu_large": Case(estate(networks=[e.Network(id="n1", project_id="other", mtu=9000)])),
    "network_subnets": Case(estate(subnets=[subnet(), subnet(id="sn2", cidr="2001:db8::/64", ip_version=6)]), AVENUE),
    "cloud_resolvers": Case(estate(subnets=[subnet(dns=["10.125.0.41", "nonsense"])])),
    "dhcp_routes": PLAIN,
    "addresses_overlap": Case(_networks("10.20.1.0/24")),
    "azure_addresses": Case(_port(fixed_ips=[e.FixedIp(ip="10.20.0.3", subnet_id="sn1")])),
    "group_names_group": Case(_groups(e.Rule(id="r", remote_group_id="g1"), name="default")),
    "group_open": Case(
        _groups(e.Rule(id="r", protocol="tcp", remote_cidr="0.0.0.0/0"), e.Rule(id="q", direction="egress"))
    ),
    "group_admin_open": Case(
        _groups(
            e.Rule(id="r", protocol="tcp", port_min=443, port_max=443, remote_cidr="0.0.0.0/0"),
            e.Rule(id="q", protocol="tcp", port_min=22, port_max=22, remote_cidr="10.0.0.0/8"),
        )
    ),
    "floating_unattached": Case(_floating()),
    "floating_named": Case(_floating(dns="203.0.113.10")),
    "peering": PLAIN,
    "vpn_connection": PLAIN,
    "image_export_refused": Case(_images(properties={})),
    "image_export_limited": Case(_images(min_disk_gib=128)),
    "scaling_active": Case(estate(**resources("scaling_groups", e.Resource(id="a", status="PAUSED")))),
    "private_zone": Case(_with("dns_zones", zone_type="public")),
    "key_not_enabled": Case(estate(**resources("keys", e.Resource(id="k", status="2")))),
    "vault_left": PLAIN,
    "capacity_short": Case(estate(), ROOM),
    "capacity_unknown": Case(estate(), ROOM),
    "load_unknown": Case(estate(), metrics=NONE),
}


def found(case: Case, rule: str = "") -> list[e.Finding]:
    findings = rules.apply(rules.builtin(), facts.collect(case.estate, case.metrics), case.about)
    return [finding for finding in findings if not rule or finding.rule == rule]


def test_every_rule_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    ids = [rule.id for rule in rules.builtin()]
    assert sorted(FIRES) == sorted(ids)
    assert sorted(SILENT) == sorted(ids)


@pytest.mark.parametrize("rule", sorted(FIRES))
def test_fires(rule: str) -> None:
    case = FIRES[rule]
    findings = found(case, rule)
    assert len(findings) == case.findings, [finding.seen for finding in findings]
    finding = findings[-1] if rule != "capacity_short" else findings[0]
    assert any(case.shows in finding.seen for finding in findings), finding.seen
    assert "{" not in finding.seen + finding.action and "?" not in finding.seen


@pytest.mark.parametrize("rule", sorted(SILENT))
def test_does_not_fire(rule: str) -> None:
    assert found(SILENT[rule], rule) == []


@pytest.mark.parametrize("rule", [rule for rule in rules.builtin() if rule.when], ids=lambda rule: str(rule.id))
def test_it_is_its_condition_that_keeps_it_silent(rule: rules.Rule) -> None:
    """The other case is no empty estate: without the condition the rule would fire there."""
    case = SILENT[rule.id]
    unconditional = replace(rule, when={}, target=[])
    assert rules.apply([unconditional], facts.collect(case.estate, case.metrics), case.about)


def test_cloud_avenue_takes_no_disk_over_2_tib() -> None:
    """Whatever a policy says; smaller limits of the policy hold as well."""
    generous = replace(AVENUE, capacity=Capacity(max_disk_gib=8000))
    for about, size, blocked in (
        (AVENUE, 2048, False),
        (AVENUE, 2049, True),
        (generous, 2049, True),
        (replace(AVENUE, capacity=Capacity(max_disk_gib=500)), 501, True),
        (rules.About(), 2049, False),
    ):
        findings = found(Case(_volume(size_gib=size), about), "disk_over_limit")
        assert [finding.severity for finding in findings] == ["blocker"] * blocked, (about, size)
    (finding,) = found(Case(_volume(size_gib=2049), generous), "disk_over_limit")
    assert "(2048 GiB)" in finding.seen and "another target" in finding.action


def test_of_a_plain_server_nothing_is_said() -> None:
    findings = found(Case(estate(), MAPPED, BUSY))
    assert [finding.rule for finding in findings] == []


@pytest.mark.parametrize("rule", rules.builtin(), ids=lambda rule: str(rule.id))
def test_rules_are_sound_and_speak_both_languages(rule: rules.Rule) -> None:
    assert rules.faults(rule) == []
    for text in (rule.says, rule.action):
        assert text["en"] and text["fr"]
        assert text["en"] != text["fr"]
        # both name the same facts
        places = [re.findall(r"\{[^{}]+\}", text[language]) for language in ("en", "fr")]
        assert sorted(places[0]) == sorted(places[1])
    assert rule.action["en"].endswith(".") and rule.action["fr"].endswith(".")
    assert not rule.says["en"].endswith(".") and not rule.says["fr"].endswith(".")


def test_french_has_its_own_words() -> None:
    finding = found(FIRES["server_state"], "server_state")[0]
    assert finding.seen_fr == "son état est ERROR, ni ACTIVE ni SHUTOFF"
    assert finding.action_fr == "Prévu comme move: none."


def test_findings_are_in_one_order_and_hold_names_as_text() -> None:
    case = Case(estate(servers=[server(name=HOSTILE, status=HOSTILE, ports=[]), server(id="s2", ports=[])]))
    findings = found(case)
    order = [(rules.ORDER[f.severity], f.rule, f.subject.kind, f.subject.name, f.subject.id) for f in findings]
    assert order == sorted(order)
    state = next(finding for finding in findings if finding.rule == "server_state")
    assert state.subject.name == "a b'\"{{ 7*7 }}/../é <script>{os}"
    assert state.seen == "its state is a b'\"{{ 7*7 }}/../é <script>{os}, not ACTIVE or SHUTOFF"
    assert found(case) == findings


def test_an_empty_tenant_has_no_findings_but_about_itself() -> None:
    empty = estate(servers=[], volumes=[], ports=[], networks=[], subnets=[])
    assert {finding.subject.kind for finding in found(Case(empty))} == {"tenant"}


def test_a_tenant_of_nonsense_breaks_nothing() -> None:
    """Values of wrong kinds wherever a service can put them."""
    draw = random.Random(11)
    junk: list[Any] = [
        None,
        3,
        -1.5,
        True,
        "",
        HOSTILE,
        [],
        [1, None, {}],
        {},
        {"serverId": 3},
        [{"address": 3}],
        ["s1"],
    ]
    names = [
        "members",
        "instances",
        "status",
        "records",
        "type",
        "address",
        "volume_id",
        "metadata",
        "tags",
        "dimensions",
    ]
    names += ["volume_backups", "resource_id", "scaling_group_name", "instance_id", "charging_mode"]
    read = ["lb_members", "lb_pools", "elb_pools", "dns_records", "server_groups", "cce_nodes", "scaling_groups"]
    read += ["backups", "server_backups", "ecs_servers", "scaling_instances", "key_pairs", "load_balancers"]
    for dummy in range(300):
        made = {
            kind: [
                e.Resource(
                    id=f"x{number}", name=draw.choice(["", HOSTILE]), properties={n: draw.choice(junk) for n in names}
                )
                for number in range(2)
            ]
            + ([e.Resource(id="s1", properties={n: draw.choice(junk) for n in names})])
            for kind in read
        }
        odd = {
            name: draw.choice(["", HOSTILE, "٣", "99999999999999999999"])
            for name in ("os_version", "os_distro", "__image_size")
        }
        found(
            Case(estate(resources=made, volumes=[volume(image_metadata=odd)], images=[e.Image(id="i", properties=odd)]))
        )


# files of people


def load(*texts: str) -> dict[str, rules.Rule]:
    return {rule.id: rule for rule in rules.load([(f"{number}.yml", text) for number, text in enumerate(texts)])}


def test_a_file_adds_a_rule() -> None:
    mine = load(
        """
rules:
  - id: legacy_app
    severity: warning
    kind: servers
    when: {metadata.app: {matches: "^legacy-"}, os_major: {lt: 13}}
    says: "runs {metadata.app} on {os}"
    action: {en: Ask its owner., fr: Demander à son propriétaire.}
"""
    )
    findings = rules.apply(list(mine.values()), facts.collect(_tagged(app="legacy-7")), rules.About())
    mine_only = [finding for finding in findings if finding.rule == "legacy_app"]
    assert [(f.seen, f.seen_fr, f.action, f.action_fr) for f in mine_only] == [
        ("runs legacy-7 on debian", "runs legacy-7 on debian", "Ask its owner.", "Demander à son propriétaire.")
    ]


def test_a_file_changes_a_rule_only_where_it_says_so() -> None:
    before = load()["xen"]
    after = load("rules: [{id: xen, severity: blocker}]")["xen"]
    assert after == replace(before, severity="blocker")
    # the order stays
    assert list(load("rules: [{id: xen, severity: blocker}]")) == list(load())


def test_a_file_switches_a_rule_off_and_a_later_file_sees_that() -> None:
    assert "xen" not in load("rules: [{id: xen, off: true}]")
    assert "xen" in load("rules: [{id: xen, off: false}]")
    with pytest.raises(InvalidInput, match="there is no rule xen to switch off"):
        load("rules: [{id: xen, off: true}]", "rules: [{id: xen, off: true}]")


def test_everything_wrong_in_all_files_is_told_with_its_line() -> None:
    with pytest.raises(InvalidInput) as told:
        load(
            """rules:
  - id: one
    severity: fatal
    kind: servers
    says: x
  - id: two
    severity: warning
    kind: pets
    says: x
  - id: three
    severity: warning
    kind: servers
    when: {os_famly: linux}
    says: "{nme} and {each}"
  - {id: xenn, off: true}
  - {id: xen, off: true, severity: warning}
  - {id: agents, off: maybe}
  - {id: four, severity: warning, kind: servers, each: dsks, says: "{a b}"}
  - {id: "a b", severity: warning, kind: servers, says: x}
  - {id: one, off: true}
  - nonsense
""",
            "rulez: []",
            "{",
        )
    lines = str(told.value).splitlines()[1:-1]
    wanted = [
        "0.yml: rules[0].severity (line 3): must be one of blocker",
        "0.yml: rules[1].kind (line 8): is not a kind",
        "0.yml: rules[2].when.os_famly (line 13): there is no such fact (did you mean os_family?)",
        "0.yml: rules[2].says (line 14): there is no fact each",
        "0.yml: rules[2].says (line 14): there is no fact nme",
        "0.yml: rules[3].id (line 15): there is no rule xenn to switch off (did you mean xen?)",
        "0.yml: rules[4] (line 16): a rule that is switched off has no other keys",
        "0.yml: rules[5].off (line 17): must be true or false",
        "0.yml: rules[6].says (line 18): {a b} is not a path of a fact",
        "0.yml: rules[6].each (line 18): there is no fact dsks",
        "0.yml: rules[7].id (line 19): must hold nothing but letters",
        "0.yml: rules[8].id (line 20): one is there twice",
        "0.yml: rules[9] (line 21): must be a mapping with an id",
        "1.yml: (document)",
        "2.yml: (document)",
    ]
    for text in wanted:
        assert any(line.startswith(f"  - {text}") for line in lines), (text, lines)


def test_rules_for_another_target_are_passed_over() -> None:
    mine = load("rules: [{id: t, severity: warning, kind: servers, says: x, target: [bleu]}]")
    collected = facts.collect(estate())
    assert not [f for f in rules.apply(list(mine.values()), collected, rules.About()) if f.rule == "t"]
    assert [f for f in rules.apply(list(mine.values()), collected, BLEU) if f.rule == "t"]


def test_each_looks_at_one_element_at_a_time() -> None:
    mine = load(
        "rules: [{id: t, severity: warning, kind: servers, each: disks, says: '{each.id} of {name}', "
        "when: {each.boot: false, each.size_gib: {gt: 50}}}]"
    )
    big = estate(
        servers=[
            server(volumes=[e.Attachment("v1", boot=True), e.Attachment("v2"), e.Attachment("v3"), e.Attachment("v4")])
        ],
        volumes=[
            volume(size_gib=99),
            volume(id="v2", size_gib=60),
            volume(id="v3", size_gib=5),
            volume(id="v4", size_gib=70),
        ],
    )
    findings = rules.apply(list(mine.values()), facts.collect(big), rules.About())
    assert [f.seen for f in findings if f.rule == "t"] == ["v2 of web-1", "v4 of web-1"]


def test_rules_of_one_kind_do_not_see_facts_of_another() -> None:
    with pytest.raises(InvalidInput, match="there is no such fact"):
        load("rules: [{id: t, severity: warning, kind: rds_instances, says: x, when: {os: debian}}]")
    mine = load("rules: [{id: t, severity: warning, kind: rds_instances, says: x, when: {properties.engine: mysql}}]")
    collected = facts.collect(_with("rds_instances", engine="mysql"))
    assert [f.subject.id for f in rules.apply(list(mine.values()), collected) if f.rule == "t"] == ["x"]


def test_tables_of_facts_are_those_that_are_collected() -> None:
    """What a rule may name is there; what is there may be named."""
    full = estate(
        snapshots=[e.Snapshot(id="x")],
        images=[e.Image(id="i")],
        security_groups=[e.SecurityGroup(id="g")],
        floating_ips=[e.FloatingIp(id="f")],
        services=[e.Service("compute", "complete")],
        **resources("stacks", e.Resource(id="x")),
    )
    collected = facts.collect(full)
    for kind in [*facts.OTHERS, "servers", "stacks"]:
        for fact in rules.seen_from(collected, kind, rules.About()):
            assert sorted(fact) == sorted(facts.known(kind)), kind
            assert match.build(dict.fromkeys(fact, None), known=facts.known(kind))[1] == []


MANUAL = Path(__file__).parents[5] / "docs" / "rules.md"


def test_the_manual_lists_rules_and_facts_as_they_are() -> None:
    path = Path(__file__).parents[5] / "tests" / "tools" / "rules.py"
    spec = importlib.util.spec_from_file_location("rules_page", path)
    assert spec and spec.loader
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    text = MANUAL.read_text(encoding="utf-8")
    assert text == page.rewritten(text), "run tests/tools/rules.py"
    for kind in ["servers", *facts.OTHERS]:
        assert f"<!-- table: facts-{kind} -->" in text
    for operator in match.OPERATORS:
        assert f"`{operator}`" in text


def test_the_example_of_the_manual_works() -> None:
    text = re.search(r"```yaml\n(# acme.rules.yml\n.*?)```", MANUAL.read_text(encoding="utf-8"), re.DOTALL)
    assert text
    mine = load(text[1])
    assert "config_drive" not in mine
    assert (mine["firmware_default"].severity, mine["firmware_default"].data_gap) == ("warning", False)
    old = estate(
        servers=[server(metadata={"app": "legacy-1"}, volumes=[e.Attachment("v1", boot=True), e.Attachment("v2")])],
        volumes=[volume(image_metadata={**IMAGE, "os_version": "8"}), volume(id="v2", name="data", size_gib=500)],
    )
    said = {f.rule: (f.seen, f.seen_fr) for f in rules.apply(list(mine.values()), facts.collect(old))}
    assert said["legacy_app"] == ("runs legacy-1 on debian 8", "fait tourner legacy-1 sur debian 8")
    assert said["big_data_disk"] == ("its disk data has 500 GiB", "its disk data has 500 GiB")
