# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drafting: what becomes of each server, what is refused and why, and a text that says the same to people and to us."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
import yaml

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.kinds import TYPED
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import draft as drafting
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import emit
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import judge as judging
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import policy as policies

HOSTILE = "a b'\"{{ 7*7 }}/../é"
READ: dict[str, e.ReadState] = dict.fromkeys(TYPED, "complete")
FULL = drafting.Options(
    tenant="acme",
    cloud="lab",
    estate_file="acme.estate.json",
    datacenter="DC0",
    compute="DC0_C0",
    datastore="LocalDS_0",
    default_network="VM Network",
    reader_server_id="r1",
    reader_connection={"ansible_connection": "local"},
)


def server(number: int, **changed: Any) -> e.Server:
    return replace(
        e.Server(
            id=f"{number:08x}-0000-4000-8000-000000000000",
            name=f"web-{number}",
            status="ACTIVE",
            flavor=e.Flavor(name="m1.small", vcpus=2, ram_mib=2048),
            volumes=[e.Attachment(volume_id=f"v{number}", device="/dev/vda", boot=True)],
            ports=[f"p{number}"],
        ),
        **changed,
    )


def volume(number: int, **changed: Any) -> e.Volume:
    image = {"os_distro": "debian", "os_version": "12", "hw_firmware_type": "bios"}
    return replace(
        e.Volume(id=f"v{number}", status="in-use", size_gib=10, bootable=True, image_metadata=image), **changed
    )


def port(number: int, **changed: Any) -> e.Port:
    return replace(
        e.Port(
            id=f"p{number}",
            network_id="n1",
            device_id=f"{number:08x}-0000-4000-8000-000000000000",
            device_owner="compute:nova",
            mac=f"fa:16:3e:00:00:{number:02x}",
            fixed_ips=[e.FixedIp(ip=f"10.20.0.{number}")],
        ),
        **changed,
    )


def estate(*servers: e.Server, **changed: Any) -> e.Estate:
    numbers = range(1, len(servers) + 1)
    return replace(
        e.Estate(
            kind=e.KIND,
            version=e.VERSION,
            tenant=e.Tenant(project_id="p", project_name="acme", region="RegionOne"),
            read=READ,
            servers=list(servers),
            volumes=[volume(number) for number in numbers],
            ports=[port(number) for number in numbers],
            networks=[e.Network(id="n1", name="app")],
        ),
        **changed,
    )


GENERAL = {"load_unknown", "capacity_unknown"}
"""What is found of every tenant that nobody measured, where no policy tells the size of the target."""


def rules(draft: drafting.Draft) -> set[str]:
    return {finding.rule for finding in draft.findings} - GENERAL


def only(draft: drafting.Draft) -> plans.Workload:
    (workload,) = draft.plan.workloads.values()
    return workload


def test_an_ordinary_server() -> None:
    draft = drafting.draft(estate(server(1)), FULL)
    assert draft.open == [] and rules(draft) == set()
    assert list(draft.plan.workloads) == ["web-1-00000001"]
    assert draft.plan.waves == {"wave_1": plans.Wave(groups=["web-1"])} and draft.plan.objects == {}
    assert draft.plan.networks == {"n1": plans.NetworkMap(name="app", target="VM Network")}
    assert draft.plan.estate == plans.EstateRef(file="acme.estate.json", digest=estate(server(1)).digest())
    assert only(draft) == plans.Workload(
        source=plans.Source(id="00000001-0000-4000-8000-000000000000", name="web-1"),
        move="cold",
        name="web-1",
        group="web-1",
        reader="reader-1",
        cpus=2,
        memory_mib=2048,
        firmware="bios",
        guest=plans.Guest(os="debian12_64Guest"),
        disks=[plans.Disk(volume="v1", size_gib=10, boot=True)],
        nics=[plans.Nic(port="p1", mac="fa:16:3e:00:00:01", network="n1", addresses=["10.20.0.1"])],
    )


def test_disks_stay_in_order() -> None:
    places = [e.Attachment("v1", "/dev/vda", True), e.Attachment("v3", "/dev/vdb"), e.Attachment("v2", "/dev/vdc")]
    found = estate(server(1, volumes=places), volumes=[volume(1), volume(2, size_gib=2), volume(3, size_gib=3)])
    disks = only(drafting.draft(found, FULL)).disks
    assert [(disk.volume, disk.size_gib, disk.boot) for disk in disks] == [
        ("v1", 10, True),
        ("v3", 3, False),
        ("v2", 2, False),
    ]


def test_firmware_and_system_of_the_boot_volume_win() -> None:
    image = e.Image(id="i1", properties={"os_distro": "centos", "os_version": "7"})
    metadata = {"image_id": "i1", "os_distro": "debian", "os_version": "11", "hw_firmware_type": "uefi"}
    found = estate(server(1), images=[image], volumes=[volume(1, image_metadata=metadata)])
    workload = only(drafting.draft(found, FULL))
    assert (workload.firmware, workload.guest.os) == ("efi", "debian11_64Guest")


def test_nothing_known_of_the_system() -> None:
    draft = drafting.draft(estate(server(1), volumes=[volume(1, image_metadata={})]), FULL)
    assert (only(draft).firmware, only(draft).guest.os) == ("bios", "otherLinux64Guest")
    assert rules(draft) == {"firmware_unknown", "guest_unknown"}


@pytest.mark.parametrize(
    ("found", "rule", "reason"),
    [
        (estate(server(1, status="ERROR")), "server_state", "its state is ERROR, not ACTIVE or SHUTOFF"),
        (estate(server(1, status="SHELVED_OFFLOADED")), "server_state", "SHELVED_OFFLOADED"),
        (estate(server(1, metadata={"EcmResStatus": "freeze"})), "server_frozen", "the cloud has frozen it"),
        (estate(server(1, flavor=e.Flavor())), "size_unknown", "its size could not be read"),
        (estate(server(1), read={**READ, "volumes": "partial"}), "disks_unknown", "its disks could not all be read"),
        (estate(server(1), read={**READ, "ports": "not_read"}), "ports_unknown", "its ports could not all be read"),
        (estate(server(1), volumes=[]), "disks_unknown", "its disks could not all be read"),
        (estate(server(1), volumes=[volume(1, multiattach=True)]), "volume_multiattach", "several servers at once"),
        (estate(server(1), volumes=[volume(1, encrypted=True)]), "volume_encrypted", "its volume v1 is encrypted"),
        (estate(server(1), volumes=[volume(1, status="error")]), "volume_state", "its volume v1 is error"),
        (
            estate(server(1, image_id="i", volumes=[])),
            "local_root_disk",
            "it boots from a local disk of the hypervisor",
        ),
        (
            estate(server(1, volumes=[e.Attachment("v1", "/dev/vdb")])),
            "boot_disk_missing",
            "none of its volumes is known to be its boot disk",
        ),
        (
            estate(server(1), volumes=[volume(1, image_metadata={"os_type": "windows", "os_version": "2019"})]),
            "guest_not_linux",
            "its system is 2019, which cannot be adapted yet",
        ),
    ],
)
def test_refused(found: e.Estate, rule: str, reason: str) -> None:
    draft = drafting.draft(found, FULL)
    workload = only(draft)
    assert workload.move == "none" and reason in workload.reason
    (finding,) = [finding for finding in draft.findings if finding.rule == rule]
    assert finding.severity == "blocker" and reason in finding.seen and finding.subject.id == workload.source.id
    assert draft.plan.waves == {} and draft.open == []
    assert plans.loads(emit.to_text(draft.plan)) == draft.plan


def test_all_reasons_are_told() -> None:
    found = estate(server(1, status="ERROR"), volumes=[volume(1, encrypted=True, multiattach=True)])
    assert only(drafting.draft(found, FULL)).reason.count(";") == 2


def test_the_reader_does_not_move() -> None:
    draft = drafting.draft(estate(server(1)), replace(FULL, reader_server_id=server(1).id))
    assert only(draft).reason == "it is the reader host of this plan"
    assert rules(draft) == {"reader"}


def test_what_a_person_must_know() -> None:
    ports = [
        port(1, allowed_address_pairs=[e.AddressPair("10.20.0.99")], vnic_type="direct", created="2026-01-02"),
        port(2, device_id="x"),
    ]
    found = estate(
        server(1, ports=["p1", "p2"]),
        ports=ports,
        volumes=[volume(1), volume(2, status="available")],
        snapshots=[e.Snapshot(id="s", volume_id="v1"), e.Snapshot(id="t", volume_id="v1")],
        floating_ips=[e.FloatingIp(id="f", address="203.0.113.9", port_id="p1")],
    )
    draft = drafting.draft(found, FULL)
    assert rules(draft) == {
        "floating_ip",
        "allowed_address_pairs",
        "vnic_type",
        "nic_order",
        "volume_unattached",
        "snapshots_left",
    }
    assert [finding.severity for finding in draft.findings if finding.rule not in GENERAL] == ["warning"] * 3 + [
        "information"
    ] * 3
    assert "floating address 203.0.113.9" in draft.remarks["web-1-00000001"]


def test_a_reading_that_failed_stays_a_finding() -> None:
    finding = e.Finding("not_read", "blocker", e.Subject("images"), "images could not be read: HTTP 403")
    draft = drafting.draft(estate(server(1), findings=[finding], read={**READ, "images": "not_read"}), FULL)
    assert finding in draft.findings and only(draft).move == "cold"


def test_networks() -> None:
    networks = [e.Network(id="n1", name="app"), e.Network(id="n2", name="db"), e.Network(id="n3", name="twin")]
    networks += [e.Network(id="n4", name="twin"), e.Network(id="n5", name="unused")]
    found = estate(
        server(1, ports=["p1", "p2", "p3", "p4"]),
        networks=networks,
        ports=[port(n, network_id=f"n{n}") for n in range(1, 5)],
    )
    options = replace(
        FULL, networks={"app": "PG-app", "n2": "PG-db", "twin": "PG-twin", "n4": "PG-4"}, default_network=None
    )
    draft = drafting.draft(found, options)
    assert {key: network.target for key, network in draft.plan.networks.items()} == {
        "n1": "PG-app",
        "n2": "PG-db",
        "n3": None,
        "n4": "PG-4",
    }
    assert [problem.path for problem in draft.open] == ["networks.n3.target"]
    assert drafting.draft(found, replace(options, default_network="VM Network")).open == []


def test_what_must_be_filled_in_is_told() -> None:
    draft = drafting.draft(estate(server(1), server(2)), drafting.Options(tenant="acme"))
    assert [problem.path for problem in draft.open] == [
        "target.datacenter",
        "target.compute",
        "target.datastore",
        "readers.reader-1.server_id",
        "networks.n1.target",
    ]
    text = emit.to_text(draft.plan, to_fill=draft.open)
    assert "#   target.datacenter: must not be empty" in text and 'datacenter: ""' in text and "target: null" in text


def test_groups_come_from_metadata() -> None:
    servers = [
        server(1, metadata={"group": "Shop / Front", "app": "one"}),
        server(2, metadata={"group": "Db", "app": "two"}),
        server(3, metadata={"group": "Shop / Front", "app": "two"}),
    ]
    draft = drafting.draft(estate(*servers), FULL)
    assert [w.group for w in draft.plan.workloads.values()] == ["shop-front", "db", "shop-front"]
    assert sorted(draft.plan.waves["wave_1"].groups) == ["db", "shop-front"]
    draft = drafting.draft(estate(*servers), replace(FULL, group_by="app"))
    assert [w.group for w in draft.plan.workloads.values()] == ["one", "two", "two"]


def test_memory_is_what_vsphere_takes() -> None:
    assert only(drafting.draft(estate(server(1, flavor=e.Flavor("odd", 1, 510))), FULL)).memory_mib == 512


def test_hostile_names() -> None:
    found = estate(
        server(1, name=HOSTILE),
        server(2, name=HOSTILE.upper()),
        server(3, name="# x\n  evil: true"),
        server(4, name="", flavor=e.Flavor("a\nb: {{ 1 }}", 1, 512)),
        networks=[e.Network(id="n1", name="{{ x }}: #")],
    )
    draft = drafting.draft(found, FULL)
    text = emit.to_text(draft.plan, remarks=draft.remarks, to_fill=draft.open)
    assert plans.loads(text) == draft.plan
    assert yaml.safe_load(text)["workloads"]["a-b-7-7-e-00000001"]["source"]["name"] == HOSTILE
    assert len({workload.name.casefold() for workload in draft.plan.workloads.values()}) == 4
    assert not [line for line in text.splitlines() if line.startswith("  evil")]


def test_text_for_people() -> None:
    draft = drafting.draft(estate(server(1), server(2, status="ERROR")), FULL)
    text = emit.to_text(draft.plan, file="acme.plan.yml", remarks=draft.remarks)
    assert text.startswith("# The plan of tenant acme: what becomes of every server, and where.\n")
    assert "ansible-inventory -i acme.plan.yml --graph" in text
    assert text.endswith("\n") and "\n\n\n" not in text and not any(line.endswith(" ") for line in text.splitlines())
    assert max(map(len, text.splitlines())) <= 120
    assert "  # web-1: ACTIVE, 2 vCPU, 2048 MiB (m1.small), debian 12\n  web-1-00000001:\n" in text
    order = [line.split(":")[0] for line in text.splitlines() if line and line[0].isalpha()]
    assert order == [
        "plugin",
        "version",
        "tenant",
        "estate",
        "target",
        "readers",
        "limits",
        "networks",
        "waves",
        "workloads",
        "objects",
    ]
    refused = text[text.index("web-2-00000002:") : text.index("objects:")]
    assert "move: none" in refused and "disks" not in refused and "firmware" not in refused


def test_the_same_estate_gives_the_same_text_whatever_the_order() -> None:
    servers = [server(number) for number in range(1, 30)]
    first = drafting.draft(estate(*servers), FULL)
    shuffled = servers[:]
    random.Random(3).shuffle(shuffled)
    second = drafting.draft(replace(estate(*servers), servers=shuffled), FULL)
    assert emit.to_text(first.plan).replace(first.plan.estate.digest, "") == emit.to_text(second.plan).replace(
        second.plan.estate.digest, ""
    )


def test_an_empty_tenant() -> None:
    draft = drafting.draft(estate(), FULL)
    assert draft.open == [] and rules(draft) == set()
    assert plans.loads(emit.to_text(draft.plan)) == draft.plan


def test_every_option_of_a_plan_survives_being_written() -> None:
    plan = plans.load(
        {
            "plugin": plans.PLUGIN,
            "version": 1,
            "tenant": {"name": "a", "project_id": "123"},
            "target": {"type": "vsphere", "datacenter": "no", "compute": "1", "datastore": "x: y"},
            "readers": {"r.1": {"server_id": "~", "connection": {"ansible_user": "{{ u }}", "list": [1, {"a": None}]}}},
            "limits": {"bandwidth_mib_s": 12.5},
            "networks": {"1e3": {"target": "#1"}},
            "workloads": {
                "w": {
                    "source": {"id": "0123"},
                    "move": "cold",
                    "name": "-x",
                    "group": "g",
                    "reader": "r.1",
                    "cpus": 3,
                    "memory_mib": 4,
                    "firmware": "efi",
                    "guest": {"os": "rhel9_64Guest", "adapt": "none"},
                    "disks": [{"volume": "v", "size_gib": 1, "boot": True, "controller": "sata", "datastore": "ds 2"}],
                    "nics": [{"mac": "02:00:00:00:00:01", "keep_mac": False, "network": "1e3", "type": "e1000"}],
                    "stop": {"deadline_s": 5},
                    "checks": [{"type": "ssh", "host": "h", "command": "true # x", "port": 2222, "timeout_s": 9}],
                }
            },
        }
    )
    assert plans.loads(emit.to_text(plan)) == plan


def test_the_edge_of_a_plan_into_cloud_director() -> None:
    addresses = [e.FloatingIp("f1", "203.0.113.7", port_id=server(1).ports[0]), e.FloatingIp("f2", "203.0.113.8")]
    addresses.append(e.FloatingIp("f3", "203.0.113.9", port_id="of-a-gateway"))
    addresses.append(e.FloatingIp("f4", "203.0.113.10", port_id="of-a-balancer", fixed_address="10.20.0.99"))
    rules = {
        "snat_rules": [e.Resource("r", properties={"floating_ip_id": "f3"})],
        "load_balancers": [e.Resource("lb", properties={"vip_address": "10.20.0.99"})],
        "lb_pools": [e.Resource("po", parent="lb")],
        "lb_members": [e.Resource("m", parent="po", properties={"address": "10.20.0.1"})],
    }
    found = estate(server(1), floating_ips=addresses, resources=rules)

    def edge(**target: str) -> plans.Edge:
        options = drafting.Options(tenant="acme", type="vcd", org="o", vdc="v", reader_server_id="r", **target)
        drafted = drafting.draft(found, options)
        told = [problem.path for problem in drafted.open if problem.path.startswith("edge")]
        assert told == [
            *([] if target else ["edge.name"]),
            *(f'edge.public."{old}"' for old in drafted.plan.edge.public),
        ]
        assert plans.parse(yaml.safe_load(emit.to_text(drafted.plan)))[0] == drafted.plan
        return drafted.plan.edge

    public = {"203.0.113.10": None, "203.0.113.7": None, "203.0.113.9": None}
    assert edge() == plans.Edge(public=public)
    assert edge(edge="e1") == plans.Edge(name="e1", public=public)


def test_a_plan_into_cloud_director_without_public_addresses_needs_no_edge() -> None:
    options = drafting.Options(tenant="acme", type="vcd", org="o", vdc="v", reader_server_id="r1")
    drafted = drafting.draft(estate(server(1)), options)
    text = emit.to_text(drafted.plan)
    assert drafted.open == [] and plans.loads(text) == drafted.plan
    assert 'edge:\n  name: ""\n  outbound: ""\n' in text and 'storage_profile: ""' in text


def test_networks_in_cloud_director_have_the_names_of_the_source() -> None:
    twin = [e.Network(id="n1", name="app"), e.Network(id="n2", name="App"), e.Network(id="n3", name="db/x")]
    ports = [port(1), port(2, network_id="n2"), port(3, network_id="n3")]
    found = estate(server(1), server(2), server(3), networks=twin, ports=ports)
    options = drafting.Options(tenant="acme", type="vcd", org="o", vdc="v", networks={"db/x": "data"})
    drafted = drafting.draft(found, options)
    assert {ident: one.target for ident, one in drafted.plan.networks.items()} == {
        "n1": "app-n1",
        "n2": "App-n2",
        "n3": "data",
    }
    first = next(iter(drafted.plan.moving().values()))
    assert first.nics[0].addresses == ["10.20.0.1"], "addresses are kept"
    others = drafting.draft(found, replace(options, default_network="all")).plan.networks
    assert {one.target for one in others.values()} == {"all", "data"}
    assert {
        one.target for one in drafting.draft(found, replace(FULL, default_network=None)).plan.networks.values()
    } == {None}


def test_disks_in_cloud_director() -> None:
    """The boot disk first; a storage profile where the policy gives the volume type another; none too large."""
    places = [e.Attachment("v2", "/dev/vda"), e.Attachment("v1", "/dev/vdb", boot=True)]
    volumes = [volume(1, type="SSD"), volume(2, type="SAS")]
    policy = policies.loads("version: 1\ndefault: target\nask: false\nstorage: {SSD: gold, SAS: silver}\n")
    options = drafting.Options(tenant="acme", type="vcd", org="o", vdc="v", storage_profile="silver")

    def drafted(size: int) -> plans.Workload:
        found = estate(server(1, volumes=places), volumes=[volumes[0], replace(volumes[1], size_gib=size)])
        given = drafting.inputs(options, judging.Inputs(policy=policy))
        (made,) = list(drafting.draft(found, options, judging.judge(found, given)).plan.workloads.values())
        return made

    assert [(one.volume, one.boot, one.storage_profile, one.datastore) for one in drafted(2048).disks] == [
        ("v1", True, "gold", None),
        ("v2", False, None, None),
    ]
    large = drafted(2049)
    assert large.move == "none"
    assert large.reason == "its volume v2 of 2049 GiB is larger than any disk of the target (2048 GiB)"
