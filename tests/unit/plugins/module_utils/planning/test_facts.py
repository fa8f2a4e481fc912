# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts: what other objects tell of a server, and what is not known staying unknown."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.observations import METRICS, Load, Metrics
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import facts, rules
from tests.unit.plugins.module_utils.planning.estates import (
    IMAGE,
    READ,
    estate,
    port,
    resources,
    server,
    subnet,
    volume,
)


def of_server(found: e.Estate, metrics: Metrics | None = None) -> dict[str, Any]:
    return facts.collect(found, metrics).of("servers")[0]


def properties(**given: str) -> e.Estate:
    return estate(volumes=[volume(image_metadata=given)])


def test_a_plain_server() -> None:
    fact = of_server(estate())
    expected = {
        "id": "s1",
        "name": "web-1",
        "stopped": False,
        "movable": True,
        "os_family": "linux",
        "os": "debian",
        "os_version": "12",
        "os_major": 12,
        "os_support": "current",
        "firmware": "bios",
        "hypervisor": "",
        "disk_gib": 10,
        "disks_known": True,
        "boot_volume": True,
        "local_root": False,
        "addresses": ["10.20.0.11"],
        "networks": ["app"],
        "license": "",
        "charging": "",
        "load": None,
        "idle_days": 0,
        "image": None,
        "key_known": None,
    }
    assert {key: fact[key] for key in expected} == expected


def test_nothing_is_known_of_a_server_without_an_image() -> None:
    fact = of_server(properties())
    assert (fact["os_family"], fact["os"], fact["os_version"], fact["os_major"]) == ("", "", "", None)
    assert (fact["os_support"], fact["firmware"], fact["os_known"]) == ("", "", False)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"__platform": "CentOS", "__os_version": "CentOS 7.6 64bit"}, ("linux", "centos", "7.6", 7, "ended")),
        ({"os_distro": "ubuntu", "os_version": "22.04"}, ("linux", "ubuntu", "22.04", 22, "current")),
        ({"os_distro": "ubuntu", "os_version": "20.04"}, ("linux", "ubuntu", "20.04", 20, "ended")),
        (
            {"__os_type": "Windows", "__os_version": "Windows Server 2012 R2"},
            ("windows", "windows", "2012", 2012, "ended"),
        ),
        ({"os_distro": "windows", "os_version": "2022"}, ("windows", "windows", "2022", 2022, "current")),
        ({"os_distro": "windows", "os_version": "11"}, ("windows", "windows", "11", 11, "current")),
        ({"os_distro": "windows", "os_version": "10"}, ("windows", "windows", "10", 10, "ended")),
        ({"__platform": "RedHat", "__os_version": "Redhat Linux Enterprise 7.9"}, ("linux", "rhel", "7.9", 7, "ended")),
        ({"__platform": "SUSE", "__os_version": "SLES 15 SP4"}, ("linux", "sles", "15", 15, "current")),
        ({"__platform": "EulerOS", "__os_version": "EulerOS 2.5"}, ("linux", "euleros", "2.5", 2, "")),
        ({"os_distro": "rocky", "os_version": "9.3"}, ("linux", "rocky", "9.3", 9, "current")),
        ({"os_distro": "debian"}, ("linux", "debian", "", None, "")),
    ],
)
def test_systems(given: dict[str, str], wanted: tuple[Any, ...]) -> None:
    fact = of_server(properties(**given))
    assert tuple(fact[key] for key in ("os_family", "os", "os_version", "os_major", "os_support")) == wanted


@pytest.mark.parametrize(
    ("specs", "image", "wanted"),
    [
        ({"ecs:virtualization_env_types": "FusionCompute"}, {}, "xen"),
        ({"ecs:virtualization_env_types": "CloudCompute"}, {"__support_xen": "true"}, "kvm"),
        ({}, {"__support_xen": "true"}, "xen"),
        ({}, {"__support_kvm": "true"}, "kvm"),
        ({}, {"__support_xen": "true", "__support_kvm": "true"}, ""),
        ({}, {"__support_xen": "false"}, ""),
        ({"hypervisor_type": "QEMU"}, {}, "kvm"),
        ({}, {}, ""),
    ],
)
def test_hypervisor_is_told_and_never_guessed_from_a_name(
    specs: dict[str, str], image: dict[str, str], wanted: str
) -> None:
    flavor = e.Flavor(name="s1.xen", vcpus=1, ram_mib=512, extra_specs=specs)
    assert (
        of_server(estate(servers=[server(flavor=flavor)], volumes=[volume(image_metadata=image)]))["hypervisor"]
        == wanted
    )


@pytest.mark.parametrize(
    ("metadata", "image", "wanted"),
    [
        ({"metering.imagetype": "gold"}, {"os_distro": "windows"}, "bundled"),
        ({"metering.imagetype": "gold"}, {"__platform": "RedHat"}, "bundled"),
        ({"metering.imagetype": "gold"}, {"os_distro": "debian"}, "own"),
        ({"metering.imagetype": "gold"}, {}, ""),
        ({"metering.imagetype": "private"}, {"os_distro": "windows"}, "own"),
        ({"metering.imagetype": "market"}, {}, "market"),
        ({}, {"__imagetype": "gold", "os_distro": "sles"}, "bundled"),
        ({}, {"os_distro": "windows"}, ""),
    ],
)
def test_licences(metadata: dict[str, str], image: dict[str, str], wanted: str) -> None:
    found = estate(servers=[server(metadata=metadata)], volumes=[volume(image_metadata=image)])
    assert of_server(found)["license"] == wanted


def test_details_of_the_server_service_fill_what_the_compute_service_leaves_out() -> None:
    row = e.Resource(
        id="s1",
        properties={"metadata": {"charging_mode": "1", "metering.imagetype": "market"}, "tags": ["env=prod", ""]},
    )
    fact = of_server(estate(**resources("ecs_servers", row)))
    assert (fact["charging"], fact["license"], fact["tags"]) == ("subscription", "market", ["env=prod"])
    own = of_server(
        estate(servers=[server(metadata={"charging_mode": "0"}, tags=["a"])], **resources("ecs_servers", row))
    )
    assert (own["charging"], own["tags"]) == ("on_demand", ["a", "env=prod"])


def test_the_system_is_told_by_the_image_that_the_cloud_bills() -> None:
    """A boot volume without image properties, as Flexible Engine has them."""
    row = e.Resource(id="s1", properties={"metadata": {"metering.image_id": "i1", "os_type": "Linux"}})
    bare = {"volumes": [volume(image_metadata={})]}
    assert of_server(estate(**bare, **resources("ecs_servers", row)))["os_label"] == "linux"
    private = e.Resource(
        id="i1", properties={"__platform": "CentOS", "__os_version": "CentOS 7.9 64bit", "min_disk": 40}
    )
    found = estate(**bare, resources={"ecs_servers": [row], "private_images": [private]})
    fact = of_server(found)
    assert (fact["os"], fact["os_version"], fact["os_known"]) == ("centos", "7.9", True)
    image = e.Image(id="i1", name="gold", visibility="private", properties={"os_distro": "debian", "os_version": "12"})
    fact = of_server(replace(found, images=[image]))
    assert (fact["os"], fact["image"]["name"]) == ("debian", "gold")


def test_backups_of_a_server_are_backups_of_its_volumes() -> None:
    inside = {"volume_backups": [{"id": "b", "source_volume_id": "v1"}]}
    backup = e.Resource(id="c", parent="checkpoint", properties={"resource_id": "s1", "extend_info": inside})
    fact = of_server(estate(**resources("server_backups", backup)))
    assert (fact["backups"], fact["disks"][0]["backups"]) == (1, 1)


def test_members_of_a_scaling_group() -> None:
    group = e.Resource(id="g", name="farm")
    one = e.Resource(id="s1", parent="g")
    found = estate(resources={"scaling_groups": [group], "scaling_instances": [one]})
    assert of_server(found)["scaling_group"] == "farm"


def test_properties_of_the_boot_volume_win_over_those_of_its_image() -> None:
    image = e.Image(id="i1", name="gold", visibility="public", properties={"os_distro": "centos", "a": "image"})
    found = estate(
        images=[image], volumes=[volume(image_metadata={"image_id": "i1", "a": "volume", "os_version": "9"})]
    )
    fact = of_server(found)
    assert (fact["os"], fact["os_version"], fact["properties"]["a"]) == ("centos", "9", "volume")
    assert fact["image"] == {"id": "i1", "name": "gold", "visibility": "public", "license": ""}
    assert facts.collect(found).of("images")[0]["servers"] == 1


def test_disks_know_their_snapshots_backups_and_other_holders() -> None:
    found = estate(
        servers=[server(), server(id="s2", name="b", ports=[])],
        snapshots=[e.Snapshot(id="a", volume_id="v1"), e.Snapshot(id="b", volume_id="v1")],
        resources={
            "backups": [e.Resource(id="a", properties={"volume_id": "v1"})],
            "volume_backups": [e.Resource(id="b", parent="v1")],
            "vault_backups": [e.Resource(id="c", parent="vault", properties={"resource_id": "v1"})],
            "server_backups": [e.Resource(id="d", properties={"volume_backups": [{"source_volume_id": "v1"}]})],
        },
    )
    collected = facts.collect(found)
    disk = collected.of("servers")[0]["disks"][0]
    assert (disk["snapshots"], disk["backups"], disk["shared"], disk["boot"]) == (2, 4, True, True)
    assert collected.of("volumes")[0]["servers"] == ["b", "web-1"]


def test_a_volume_that_is_not_visible_makes_disks_unknown() -> None:
    fact = of_server(estate(volumes=[]))
    assert (fact["disks_known"], fact["disks"][0]["known"], fact["known"]["disks"]) == (False, False, False)


def test_what_stands_in_front_of_a_server() -> None:
    record = e.Resource(id="r", name="www.example.org.", properties={"type": "A", "records": ["203.0.113.9"]})
    other = e.Resource(id="q", name="mail.example.org.", properties={"type": "MX", "records": ["203.0.113.9"]})
    found = estate(
        floating_ips=[e.FloatingIp(id="f", address="203.0.113.9", port_id="p1")],
        resources={
            "dns_records": [record, other],
            "elb_pools": [e.Resource(id="pool", parent="lb", properties={"members": [{"address": "10.20.0.11"}]})],
            "dedicated_load_balancers": [e.Resource(id="lb", name="front")],
        },
    )
    fact = of_server(found)
    assert (fact["floating"], fact["dns_names"], fact["load_balancers"]) == (
        ["203.0.113.9"],
        ["www.example.org"],
        ["front"],
    )
    assert facts.collect(found).of("floating_ips")[0]["server"] == "web-1"


def test_an_address_that_two_servers_have_is_nobodys_unless_its_subnet_is_told() -> None:
    """Networks of their own may have the same addresses."""
    twins = [port(), port(id="p2", network_id="n2", fixed_ips=[e.FixedIp(ip="10.20.0.11", subnet_id="sn2")])]
    record = e.Resource(id="r", name="a.example.", properties={"type": "A", "records": ["10.20.0.11"]})

    def seen(**member: Any) -> list[tuple[list[str], list[str]]]:
        found = estate(
            servers=[server(), server(id="s2", ports=["p2"], volumes=[])],
            ports=twins,
            resources={
                "dns_records": [record],
                "lb_pools": [e.Resource(id="pool", name="front")],
                "lb_members": [e.Resource(id="m", parent="pool", properties={"address": "10.20.0.11", **member})],
            },
        )
        return [(fact["load_balancers"], fact["dns_names"]) for fact in facts.collect(found).of("servers")]

    assert seen() == [([], []), ([], [])]
    assert seen(subnet_id="sn2") == [([], []), (["front"], [])]
    assert seen(subnet_cidr_id="sn1") == [(["front"], []), ([], [])]
    assert seen(instance_id="s2") == [([], []), (["front"], [])]


@pytest.mark.parametrize(
    ("status", "load", "days"),
    [
        ("SHUTOFF", None, 30),
        ("ACTIVE", None, 0),
        ("SHUTOFF", Load(samples=0), 30),
        ("SHUTOFF", Load(cpu_p95=50.0, network_bytes_s=1e6, samples=9), 0),
        ("ACTIVE", Load(cpu_p95=0.4, network_bytes_s=3.0, samples=9), 30),
        ("ACTIVE", Load(cpu_p95=0.4, samples=9), 0),
        ("ACTIVE", Load(network_bytes_s=3.0, samples=9), 0),
        ("ACTIVE", Load(cpu_p95=9.0, network_bytes_s=3.0, samples=9), 0),
        ("ACTIVE", Load(cpu_p95=0.4, network_bytes_s=1e5, samples=9), 0),
    ],
)
def test_idle_is_only_what_certainly_did_nothing(status: str, load: Load | None, days: int) -> None:
    metrics = Metrics(kind=METRICS, version=1, days=30, servers={"s1": load} if load else {})
    assert of_server(estate(servers=[server(status=status)]), metrics)["idle_days"] == days
    assert of_server(estate(servers=[server(status=status)]))["idle_days"] == 0


def test_key_pairs_are_lost_only_where_they_were_read() -> None:
    keyed = [server(key_name="k")]
    assert of_server(estate(servers=keyed))["key_known"] is False
    assert of_server(estate(servers=keyed, **resources("key_pairs", e.Resource(id="k", name="k"))))["key_known"] is True
    assert of_server(estate(servers=keyed, read={**READ, "key_pairs": "not_read"}))["key_known"] is None


def test_the_room_at_the_target() -> None:
    tenant = facts.collect(estate()).of("tenant")[0]
    assert (tenant["servers"], tenant["cpus"], tenant["memory_mib"], tenant["disk_gib"]) == (1, 2, 2048, 10)
    about = rules.About(capacity=rules.Capacity(cpus=1, disk_gib=10, max_disk_gib=5), storage={"SAS": "gold"})
    seen = next(rules.seen_from(facts.collect(estate()), "tenant", about))
    assert seen["over"] == [{"what": "cpus", "needed": 2, "limit": 1}]
    stored = next(rules.seen_from(facts.collect(estate()), "volumes", about))
    told = (stored["storage_class"], stored["storage_mapped"], stored["storage_exists"], stored["too_large"])
    assert told == ("gold", True, None, True)
    untold = next(rules.seen_from(facts.collect(estate()), "volumes", rules.About()))
    assert (untold["storage_mapped"], untold["too_large"]) == (None, None)


def test_every_object_has_a_fact_and_the_estate_is_not_changed() -> None:
    found = estate(
        images=[e.Image(id="i")],
        snapshots=[e.Snapshot(id="x")],
        security_groups=[e.SecurityGroup(id="g")],
        floating_ips=[e.FloatingIp(id="f")],
        **resources("stacks", e.Resource(id="st", name="x", properties={"a": [1]})),
    )
    before = schema.dump(found)
    collected = facts.collect(found)
    for kind in [*facts.OTHERS, "stacks"]:
        if kind not in ("services", "tenant"):
            assert [fact["id"] for fact in collected.of(kind)] == [entry.id for entry in found.of(kind)], kind
    assert collected.of("stacks")[0]["properties"] == {"a": [1]}
    assert schema.dump(found) == before
    assert facts.collect(found) == collected
    assert set(collected.servers()) == {"s1"}
    # plain data
    schema.canonical(dict(collected.kinds))


def test_addresses_that_azure_takes() -> None:
    low = [e.FixedIp(ip=f"10.20.0.{number}", subnet_id="sn1") for number in (1, 3, 4)]
    fact = facts.collect(estate(ports=[port(fixed_ips=low)])).of("subnets")[0]
    assert fact["low_addresses"] == ["10.20.0.1", "10.20.0.3"]
    for cidr in ("nonsense", "2001:db8::/64", "10.20.0.0/30"):
        assert facts.collect(estate(subnets=[subnet(cidr=cidr)])).of("subnets")[0]["low_addresses"] == []


def test_overlapping_addresses() -> None:
    def overlaps(*found: tuple[str, str, str], **changed: Any) -> list[list[str]]:
        subnets = [subnet(id=ident, name=ident, network_id=network, cidr=cidr) for ident, network, cidr in found]
        networks = [e.Network(id=f"n{number}", project_id="p", **changed) for number in range(1, 4)]
        return [f["overlaps"] for f in facts.collect(estate(subnets=subnets, networks=networks)).of("subnets")]

    large, inside, beside = ("a", "n1", "10.0.0.0/8"), ("b", "n2", "10.1.0.0/16"), ("c", "n3", "10.2.0.0/16")
    assert overlaps(large, inside, beside) == [["b", "c"], ["a"], ["a"]]
    assert overlaps(inside, beside) == [[], []]
    assert overlaps(large, ("b", "n1", "10.1.0.0/16")) == [[], []]
    assert overlaps(inside, ("c", "n3", "10.1.255.255/32")) == [["c"], ["b"]]
    assert overlaps(inside, ("c", "n3", "10.2.0.0/32"), ("d", "n3", "nonsense"), ("e", "n9", "10.1.0.0/16")) == [[]] * 4
    assert overlaps(("a", "n1", "::/0"), ("b", "n2", "0.0.0.0/0")) == [[], []]
    assert overlaps(large, inside, external=True) == [[], []]


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ({"properties": {}}, ""),
        ({"properties": {"__imagetype": "private"}}, "allowed"),
        ({"properties": {"__imagetype": "private"}, "min_disk_gib": 129}, "limited"),
        ({"properties": {"__imagetype": "private"}, "min_disk_gib": 1025}, "refused"),
        ({"properties": {"__imagetype": "private", "__whole_image": "true"}}, "refused"),
        ({"properties": {"__data_origin": "instance,s1", "__platform": "Windows"}}, "refused"),
        ({"properties": {"__data_origin": "file,bucket:a", "__platform": "Windows"}}, "allowed"),
        ({"properties": {"__imagetype": "market"}}, "refused"),
    ],
)
def test_export_of_images(image: dict[str, Any], wanted: str) -> None:
    assert facts.collect(estate(images=[e.Image(id="i", **image)])).of("images")[0]["export"] == wanted


def test_a_thousand_servers_are_quick() -> None:
    """Linear in the objects: four times as many take about four times as long."""

    def tenant(count: int) -> e.Estate:
        numbers = range(count)
        group = [e.Rule(id=str(n), protocol="tcp", remote_group_id=f"g{n}") for n in range(10)]
        return estate(
            servers=[
                server(id=f"s{n}", ports=[f"p{n}"], volumes=[e.Attachment(f"v{n}", boot=True), e.Attachment(f"w{n}")])
                for n in numbers
            ],
            volumes=[volume(id=f"{letter}{n}", image_metadata=IMAGE) for letter in "vw" for n in numbers],
            ports=[
                port(id=f"p{n}", network_id=f"n{n % 50}", security_groups=[f"g{n % 300}"], device_id=f"s{n}")
                for n in numbers
            ],
            networks=[e.Network(id=f"n{n}") for n in range(50)],
            security_groups=[e.SecurityGroup(id=f"g{n}", name=f"g{n}", rules=group) for n in range(count * 3 // 10)],
        )

    def seconds(count: int) -> float:
        found = tenant(count)
        begin = time.process_time()
        rules.apply(rules.builtin(), facts.collect(found))
        return time.process_time() - begin

    small, large = seconds(250), seconds(1000)
    assert large < 20
    assert large < 12 * small + 0.2, (small, large)


def test_every_kind_with_fields_of_its_own_has_facts() -> None:
    assert set(facts.OTHERS) - {"services", "tenant"} | {"servers"} == set(kinds.TYPED)
