# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a tenant: complete, in few calls, the same bytes twice, and honest about what failed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud, SourceAuth, connect
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.listings import REQUIRED
from tests.unit.openstack_http import FakeCloud, ident, port, volume

HOSTILE = "a b'\"{{ 7*7 }}/../é"


@pytest.fixture
def fake() -> Iterator[FakeCloud]:
    with FakeCloud("acme", "globex") as cloud:
        yield cloud


def login(fake: FakeCloud, **changed: Any) -> Cloud:
    return connect(SourceAuth(auth=fake.auth(), region_name="RegionOne", **changed))


def read(fake: FakeCloud, **options: Any) -> reading.Reading:
    return reading.read(login(fake), **{"sleep": lambda _seconds: None, **options})


def there(estate: model.Estate) -> set[str]:
    """How the kinds were read whose services the cloud has."""
    return set(estate.read.values()) - {"absent"}


def test_what_a_server_needs(fake: FakeCloud) -> None:
    fake.add_server("web-1", metadata={"group": "web"}, tags=["b", "a"])
    fake.objects["acme"]["volumes"].append(volume("data", "web-1", "/dev/vdb", size=5))
    fake.objects["acme"]["security_groups"].append(
        {
            "id": ident("group default"),
            "name": "default",
            "project_id": ident("project acme"),
            "security_group_rules": [
                {"id": "r2", "direction": "egress", "ethertype": "IPv4", "protocol": None},
                {
                    "id": "r1",
                    "direction": "ingress",
                    "ethertype": "IPv4",
                    "protocol": "tcp",
                    "port_range_min": 80,
                    "port_range_max": 80,
                    "remote_ip_prefix": "0.0.0.0/0",
                },
            ],
        }
    )
    estate = read(fake).estate
    assert there(estate) == {"complete"} and {estate.read[kind] for kind in kinds.TYPED} == {"complete"}
    assert estate.findings == []
    assert estate.tenant == model.Tenant(
        project_id=ident("project acme"), project_name="acme", domain_id="default", region="RegionOne"
    )
    (web,) = estate.servers
    assert (web.flavor.vcpus, web.flavor.ram_mib, web.image_id, web.tags) == (2, 2048, None, ["a", "b"])
    assert [(place.volume_id, place.device, place.boot) for place in web.volumes] == [
        (ident("volume web-1"), "/dev/vda", True),
        (ident("volume data"), "/dev/vdb", False),
    ]
    assert web.ports == [ident("port web-1")]
    (group,) = estate.security_groups
    assert [(rule.id, rule.protocol, rule.port_min, rule.remote_cidr) for rule in group.rules] == [
        ("r1", "tcp", 80, "0.0.0.0/0"),
        ("r2", None, None, None),
    ]


def test_disk_order_is_that_of_the_devices_whatever_the_bus(fake: FakeCloud) -> None:
    fake.add_server("many", **{"os-extended-volumes:volumes_attached": []})
    devices = ["/dev/sdb", "/dev/vdz", "/dev/vdaa", "/dev/xvdc"]
    fake.objects["acme"]["volumes"] += [volume(device, "many", device) for device in devices]
    (many,) = read(fake).estate.servers
    assert [place.device for place in many.volumes] == ["/dev/vda", "/dev/sdb", "/dev/xvdc", "/dev/vdz", "/dev/vdaa"]
    assert [place.boot for place in many.volumes] == [True, False, False, False, False]


def test_a_server_with_a_local_root_disk_has_no_boot_volume(fake: FakeCloud) -> None:
    made = fake.add_server("local", image={"id": ident("image debian")})
    fake.objects["acme"]["volumes"] = [volume("local", "local", "/dev/vdb")]
    (local,) = read(fake).estate.servers
    assert local.id == made["id"] and local.image_id == ident("image debian")
    assert [place.boot for place in local.volumes] == [False]


def test_only_what_is_ours(fake: FakeCloud) -> None:
    fake.add_server("web-1")
    objects = fake.objects["acme"]
    other = {"project_id": ident("project globex")}
    objects["ports"].append(objects["ports"][0] | {"id": ident("their port"), "device_id": "x"} | other)
    objects["networks"] += [
        {"id": ident("theirs"), "name": "theirs"} | other,
        {"id": ident("shared"), "name": "shared", "shared": True} | other,
        {"id": ident("out"), "name": "out", "router:external": True} | other,
    ]
    objects["images"] += [
        {"id": "used", "name": "debian", "owner": "someone", "visibility": "public", "os_distro": "debian", "size": 5},
        {"id": "unused", "name": "centos", "owner": "someone", "visibility": "public"},
        {"id": "own", "name": "mine", "owner": ident("project acme"), "visibility": "private"},
        {"id": "with us", "name": "golden", "owner": "someone", "visibility": "shared"},
    ]
    objects["volumes"][0]["volume_image_metadata"] = {"image_id": "used"}
    estate = read(fake).estate
    assert len(estate.ports) == 1
    assert {network.name for network in estate.networks} == {"app", "shared", "out"}
    assert [(image.id, image.properties) for image in estate.images] == [
        ("own", {}),
        ("used", {"os_distro": "debian"}),
        ("with us", {}),
    ]


def test_calls_grow_with_pages(fake: FakeCloud) -> None:
    for number in range(25):
        fake.add_server(f"server-{number}")
    read(fake)
    assert {kind: fake.lists(kind) for kind in ("servers", "volumes", "ports", "images")} == {
        "servers": 1,
        "volumes": 1,
        "ports": 1,
        "images": 1,
    }
    fake.calls.clear()
    result = read(fake, page_size=10)
    assert len(result.estate.servers) == len(result.estate.volumes) == len(result.estate.ports) == 25
    assert fake.lists("servers") == 3 and fake.lists("networks") == 1
    assert result.calls == len(fake.calls) - 2, "each call is counted but those for the token"
    listings = [row for row in reading.OPENSTACK if row.service in REQUIRED]
    assert result.calls == len(listings) + 1 + 3 * 2, "a call a list, Nova's version, and two more pages of three lists"
    assert not fake.writes()


def test_a_cloud_that_gives_smaller_pages_than_asked_for(fake: FakeCloud) -> None:
    for number in range(25):
        fake.add_server(f"server-{number}")
    fake.page_size = 4
    assert len(read(fake).estate.servers) == 25
    assert fake.lists("servers") == 7


def test_a_cloud_that_announces_no_next_page(fake: FakeCloud) -> None:
    for number in range(20):
        fake.add_server(f"server-{number}")
    fake.announce = False
    assert len(read(fake, page_size=10).estate.servers) == 20
    assert fake.lists("servers") == 3


def test_old_nova_names_flavors_only(fake: FakeCloud) -> None:
    fake.add_server("web-1", flavor={"id": "7"})
    fake.objects["acme"]["flavors"].append({"id": "7", "name": "s3.large.2", "vcpus": 2, "ram": 4096, "disk": 0})
    estate = read(fake).estate
    assert estate.servers[0].flavor == model.Flavor(name="s3.large.2", vcpus=2, ram_mib=4096)
    fake.fail["flavors"] = 403
    estate = read(fake).estate
    assert estate.read["servers"] == "partial"
    assert [finding.subject.kind for finding in estate.findings] == ["flavors"]


def test_the_same_tenant_gives_the_same_bytes(fake: FakeCloud) -> None:
    for number in range(30):
        fake.add_server(f"server-{number}", name=HOSTILE if number == 3 else f"server-{number}", tags=["x", "y"])
    first = read(fake).estate
    shuffled = random.Random(7)
    for rows in fake.objects["acme"].values():
        shuffled.shuffle(rows)
        for row in rows:
            for value in row.values():
                if isinstance(value, list):
                    shuffled.shuffle(value)
    second = read(fake, page_size=7, threads=1).estate
    assert model.to_text(first) == model.to_text(second)
    assert first.digest() == second.digest() and first.digest().startswith("sha256:")
    fake.objects["acme"]["servers"][0]["status"] = "SHUTOFF"
    assert read(fake).estate.digest() != first.digest()


def test_round_trip(fake: FakeCloud) -> None:
    fake.add_server("x", name=HOSTILE + "\ud800\n\u2028")
    fake.fail["images"] = 500
    estate = read(fake).estate
    text = model.to_text(estate)
    text.encode("utf-8")
    assert model.loads(text) == estate


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (403, "HTTP 403: told to answer 403"),
        (404, "HTTP 404"),
        (500, "HTTP 500"),
        (503, "HTTP 503: the service is busy"),
        (lambda _query: (200, b"<html>", {}), "the answer is not JSON"),
        (lambda _query: (200, ["x"], {}), "the answer has no list 'volumes'"),
        (lambda _query: (200, {"volumes": None}, {}), "the answer has no list 'volumes'"),
        (lambda _query: (200, {"volumes": [{"name": "x"}]}, {}), "the answer holds entries without an id"),
    ],
)
def test_a_service_that_fails_is_a_finding(fake: FakeCloud, failure: int | Callable[..., Any], reason: str) -> None:
    fake.add_server("web-1")
    fake.fail["volumes"] = failure
    estate = read(fake).estate
    assert estate.read.pop("volumes") == "not_read"
    assert there(estate) == {"complete"}
    (finding,) = estate.findings
    assert (finding.rule, finding.severity, finding.subject.kind) == ("not_read", "blocker", "volumes")
    assert reason in finding.seen
    assert len(estate.servers) == len(estate.ports) == 1
    assert [place.volume_id for place in estate.servers[0].volumes] == [ident("volume web-1")]


def test_findings_are_the_same_twice(fake: FakeCloud) -> None:
    ids = iter(range(10))
    fake.fail["volumes"] = lambda _query: (
        500,
        {"computeFault": {"message": f"Oops. (Request-ID: req-0000000{next(ids)}-0000-0000-0000-000000000000)"}},
        {},
    )
    first, second = read(fake).estate, read(fake).estate
    assert model.to_text(first) == model.to_text(second)
    assert first.findings[0].seen == "volumes could not be read: HTTP 500: Oops"


def test_failing_in_the_middle_keeps_what_came(fake: FakeCloud) -> None:
    for number in range(10):
        fake.add_server(f"server-{number}")
    fake.fail["servers"] = lambda query: (403, {}, {}) if "marker" in query else None
    estate = read(fake, page_size=4).estate
    assert estate.read["servers"] == "partial" and len(estate.servers) == 4
    assert "4 were read before that" in estate.findings[0].seen


def test_an_empty_page_in_the_middle(fake: FakeCloud) -> None:
    for number in range(10):
        fake.add_server(f"server-{number}")
    links = [{"rel": "next", "href": "http://x"}]
    fake.fail["servers"] = lambda query: (
        (200, {"servers": [], "servers_links": links}, {}) if "marker" in query else None
    )
    estate = read(fake, page_size=4).estate
    assert estate.read["servers"] == "partial"
    assert "an empty page came although more was announced" in estate.findings[0].seen


def test_pages_without_end(fake: FakeCloud) -> None:
    for number in range(4):
        fake.add_server(f"server-{number}")
    rows = list(fake.objects["acme"]["servers"])
    links = [{"rel": "next", "href": "http://x"}]
    fake.fail["servers"] = lambda _query: (200, {"servers": rows, "servers_links": links}, {})
    estate = read(fake, page_size=4).estate
    assert estate.read["servers"] == "partial" and len(estate.servers) == 4
    assert "the pages repeat" in estate.findings[0].seen
    assert fake.lists("servers") == 2


@pytest.mark.parametrize("again", [True, False])
def test_a_list_that_is_empty_although_servers_name_what_is_in_it_is_not_believed(fake: FakeCloud, again: bool) -> None:
    fake.add_server("web-1")
    empty = (200, {"ports": []}, {})
    answers = iter([empty, None if again else empty])
    fake.fail["ports"] = lambda _query: next(answers)
    estate = read(fake).estate
    assert fake.lists("ports") == 2
    assert (estate.read["ports"], len(estate.ports)) == (("complete", 1) if again else ("not_read", 0))
    assert [finding.rule for finding in estate.findings] == ([] if again else ["not_read"])


def test_throttling_is_obeyed(fake: FakeCloud) -> None:
    fake.add_server("web-1")
    answers = iter([(429, {}, {"Retry-After": "120"}), (429, {}, {}), None])
    fake.fail["servers"] = lambda _query: next(answers)
    slept: list[float] = []
    estate = read(fake, sleep=slept.append, kinds=("servers",)).estate
    assert len(estate.servers) == 1 and not estate.findings
    assert slept == [120.0, 2.0]


def test_throttling_has_an_end(fake: FakeCloud) -> None:
    fake.fail["servers"] = lambda _query: (429, {}, {"Retry-After": "200"})
    slept: list[float] = []
    estate = read(fake, sleep=slept.append, retry_seconds=300.0, kinds=("servers",)).estate
    assert estate.read["servers"] == "not_read" and slept == [200.0]


def test_a_stalled_service(fake: FakeCloud) -> None:
    fake.add_server("web-1")
    fake.slow_seconds = 1.0
    cloud = login(fake, api_timeout=0.2)
    estate = reading.read(cloud, kinds=("servers",), sleep=lambda _seconds: None).estate
    assert estate.read == {"servers": "not_read"}
    assert estate.findings[0].seen == "servers could not be read: the service did not answer within 0.2 s"


def test_a_service_that_the_catalogue_does_not_have(fake: FakeCloud) -> None:
    fake.add_server("web-1")
    token = fake._token
    fake._token = lambda project: (
        token(project) | {"catalog": [e for e in token(project)["catalog"] if e["type"] != "image"]}
    )
    estate = read(fake).estate
    assert estate.read["images"] == "not_read" and estate.read["servers"] == "complete"
    assert "images could not be read" in estate.findings[0].seen


def test_nonsense_in_the_objects(fake: FakeCloud) -> None:
    fake.objects["acme"]["servers"].append(
        {"id": "x", "name": None, "flavor": [], "addresses": [1], "metadata": "?", "tags": {}, "security_groups": 3}
    )
    fake.objects["acme"]["ports"].append({"id": "y", "fixed_ips": {}, "device_id": "x", "security_groups": None})
    estate = read(fake).estate
    assert estate.servers[0].name == "" and estate.servers[0].ports == ["y"]
    assert model.load(model.dump(estate)) == estate


def test_an_empty_tenant(fake: FakeCloud) -> None:
    estate = read(fake).estate
    counts = {kind: count for kind, count in estate.counts().items() if not kind.endswith("_quotas")}
    assert set(counts.values()) == {0} and there(estate) == {"complete"}


def test_progress(fake: FakeCloud) -> None:
    for number in range(5):
        fake.add_server(f"server-{number}")
    told: list[tuple[str, int]] = []
    read(fake, page_size=2, kinds=("servers",), on_progress=lambda kind, count: told.append((kind, count)))
    assert told == [("servers", 2), ("servers", 4), ("servers", 5)]


def test_encrypted_and_multiattached(fake: FakeCloud) -> None:
    volumes = fake.objects["acme"]["volumes"]
    volumes += [
        volume("a", None, encrypted=True),
        volume("b", None, metadata={"__system__encrypted": "1"}),
        volume("c", None, multiattach=True),
    ]
    found = {entry.name: (entry.encrypted, entry.multiattach) for entry in read(fake).estate.volumes}
    assert found == {"a": (True, False), "b": (True, False), "c": (False, True)}


def test_cards_are_in_the_order_of_the_record(fake: FakeCloud) -> None:
    fake.add_server("two")
    objects = fake.objects["acme"]
    objects["ports"] = [port(name, "two", "app", mac_address=f"fa:16:3e:00:00:0{name}") for name in ("1", "2", "3")]
    entry = {"OS-EXT-IPS:type": "fixed", "version": 4}
    objects["servers"][0]["addresses"] = {
        "zone": [entry | {"addr": "10.9.0.1", "OS-EXT-IPS-MAC:mac_addr": "FA:16:3E:00:00:02"}],
        "app": [entry | {"addr": "10.1.0.1", "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01"}],
    }
    (two,) = read(fake).estate.servers
    assert two.ports == [ident("port 2"), ident("port 1"), ident("port 3")]


def fill(fake: FakeCloud) -> None:
    """At least one object of every kind of OpenStack."""
    fake.add_services()
    fake.add_server("web-1")
    mine = {"project_id": ident("project acme")}
    more: dict[str, list[dict[str, Any]]] = {
        "keypairs": [{"keypair": {"name": "admin", "public_key": "ssh-rsa AAAA", "fingerprint": "a:b"}}],
        "server_groups": [{"id": "sg", "name": "apart", "policy": "anti-affinity", "members": ["b", "a"]} | mine],
        "snapshots": [{"id": "snap", "volume_id": ident("volume web-1"), "status": "available", "size": 10}],
        "volume_types": [{"id": "vt", "name": "fast", "is_public": True, "extra_specs": {"a": "b"}}],
        "backups": [{"id": "bk", "name": "b", "status": "available", "size": 10, "volume_id": "v", "created_at": "c"}],
        "images": [{"id": "im", "name": "mine", "owner": ident("project acme"), "visibility": "private"}],
        "security_groups": [{"id": "g", "name": "default", "security_group_rules": []} | mine],
        "floatingips": [{"id": "f", "floating_ip_address": "192.0.2.1"} | mine],
        "routers": [
            {"id": "ro", "name": "edge", "status": "ACTIVE", "revision_number": 4, "routes": []} | mine,
            {"id": "theirs", "name": "x", "project_id": "someone"},
        ],
        "vpnservices": [{"id": "vp", "name": "vpn", "router_id": "ro", "status": "ACTIVE"} | mine],
        "ikepolicies": [{"id": "ik", "name": "ike", "auth_algorithm": "sha1"} | mine],
        "ipsecpolicies": [{"id": "ip", "name": "ipsec", "pfs": "group5"} | mine],
        "ipsec_site_connections": [{"id": "co", "name": "site", "psk": "PLANTED", "vpnservice_id": "vp"} | mine],
        "firewall_groups": [{"id": "fg", "name": "fw", "ports": ["b", "a"]} | mine],
        "firewall_policies": [{"id": "fp", "name": "policy", "firewall_rules": ["z", "a"]} | mine],
        "firewall_rules": [{"id": "fr", "name": "rule", "action": "allow", "enabled": False} | mine],
        "loadbalancers": [{"id": "lb", "name": "front", "provisioning_status": "ACTIVE", "operating_status": "ONLINE"}],
        "listeners": [{"id": "li", "name": "https", "protocol_port": 443, "loadbalancers": [{"id": "lb"}]}],
        "pools": [
            {
                "id": "po",
                "name": "pool",
                "loadbalancers": [{"id": "lb"}],
                "all_members": [{"id": "me", "address": "10.20.0.11", "protocol_port": 80, "weight": 1}],
            }
        ],
        "healthmonitors": [{"id": "hm", "type": "HTTP", "pools": [{"id": "po"}]}],
        "l7policies": [{"id": "l7", "action": "REJECT", "listener_id": "li"}],
        "zones": [{"id": "zo", "name": "example.com.", "serial": 17, "status": "ACTIVE", "action": "NONE"}],
        "recordsets": [{"id": "re", "name": "www.example.com.", "type": "A", "records": ["b", "a"], "zone_id": "zo"}],
        "containers": [{"name": "files", "count": 3, "bytes": 2**30, "last_modified": "now"}],
        "stacks": [{"id": "st", "stack_name": "app", "stack_status": "CREATE_COMPLETE", "creation_time": "c"}],
        "secrets": [
            {
                "secret_ref": "http://k/v1/secrets/se",
                "name": "tls",
                "secret_type": "certificate",
                "status": "ACTIVE",
                "updated": "now",
            }
        ],
    }
    fake.objects["acme"].update(more)


def only(estate: model.Estate, kind: str) -> model.Resource:
    (found,) = estate.resources[kind]
    return found


def test_everything_of_openstack(fake: FakeCloud) -> None:
    fill(fake)
    estate = read(fake).estate
    openstack = {row.kind for row in reading.OPENSTACK}
    assert {estate.read[kind] for kind in openstack} == {"complete"} and estate.findings == []
    assert {kind for kind in openstack if not estate.of(kind)} == set(), "each kind has an object"
    assert set(estate.resources) == openstack - set(kinds.TYPED)
    assert only(estate, "key_pairs") == model.Resource(
        id="admin", name="admin", properties={"fingerprint": "a:b", "public_key": "ssh-rsa AAAA"}
    )
    assert only(estate, "server_groups").properties == {"members": ["a", "b"], "policy": "anti-affinity"}
    quota = only(estate, "compute_quotas")
    assert quota.id == ident("project acme") and quota.properties == {"maxTotalCores": 20, "totalCoresUsed": 2}
    assert (only(estate, "backups").parent, only(estate, "backups").size_gib) == ("v", 10.0)
    assert only(estate, "routers").properties == {} and only(estate, "routers").status == "ACTIVE"
    assert only(estate, "vpn_connections").parent == "vp" and "PLANTED" not in model.to_text(estate)
    assert only(estate, "firewall_policies").properties == {"firewall_rules": ["z", "a"]}, (
        "their order is what they mean"
    )
    assert only(estate, "load_balancers").status == "ACTIVE"
    assert [only(estate, f"lb_{part}").parent for part in ("listeners", "pools", "members", "health_monitors")] == [
        "lb",
        "lb",
        "po",
        "po",
    ]
    assert only(estate, "lb_members").properties == {"address": "10.20.0.11", "protocol_port": 80, "weight": 1}
    assert only(estate, "dns_zones").properties == {}
    assert (only(estate, "dns_records").parent, only(estate, "dns_records").properties["records"]) == ("zo", ["a", "b"])
    files = only(estate, "containers")
    assert (files.id, files.size_gib, files.properties) == ("files", 1.0, {"bytes": 2**30, "count": 3})
    assert (only(estate, "stacks").name, only(estate, "stacks").created) == ("app", "c")
    assert only(estate, "secrets") == model.Resource(
        id="se", name="tls", status="ACTIVE", properties={"type": "certificate"}
    )
    assert model.loads(model.to_text(estate)) == estate
    assert {
        service.state for service in estate.services if service.name in {row.service for row in reading.OPENSTACK}
    } == {"complete"}
    assert not fake.writes()


def test_everything_twice_is_the_same_whatever_the_order(fake: FakeCloud) -> None:
    fill(fake)
    first = read(fake).estate
    chance = random.Random(11)
    for rows in fake.objects["acme"].values():
        chance.shuffle(rows)
    fake.objects["acme"]["routers"][0]["revision_number"] = 99
    for zone in fake.objects["acme"]["zones"]:
        zone["serial"] += 1
    assert model.to_text(read(fake, threads=1).estate) == model.to_text(first)


def test_a_service_that_the_cloud_does_not_have_is_absent_and_no_fault(fake: FakeCloud) -> None:
    estate = read(fake).estate
    assert estate.findings == []
    for kind in ("load_balancers", "lb_members", "dns_zones", "containers", "stacks", "secrets", "vpn_services"):
        assert estate.read[kind] == "absent" and kind not in estate.resources
    states = {service.name: service.state for service in estate.services}
    assert (states["dns"], states["network"], states["rds"]) == ("absent", "complete", "absent")
    assert "dns_zones" not in estate.counts()


def test_a_service_that_nothing_reads_is_a_finding(fake: FakeCloud) -> None:
    fake.services |= {"database": "/trove/v1.0", "placement": "/placement", "workflowv2": "/mistral"}
    estate = read(fake).estate
    (finding,) = estate.findings
    assert (finding.rule, finding.severity) == ("not_read", "warning") and finding.data_gap
    assert finding.subject == model.Subject(kind="services", id="database", name="database")
    assert model.Service("database", "not_read") in estate.services
    assert "database" in finding.seen_fr and finding.action_fr


@pytest.mark.parametrize(
    ("kind", "failure", "others"),
    [("loadbalancers", 403, "lb_listeners"), ("limits", 500, "servers"), ("healthmonitors", 404, "lb_pools")],
)
def test_a_kind_that_fails_leaves_the_others_alone(fake: FakeCloud, kind: str, failure: int, others: str) -> None:
    fill(fake)
    fake.fail[kind] = failure
    estate = read(fake).estate
    assert estate.read[others] == "complete" and estate.findings
    for finding in estate.findings:
        assert (finding.rule, finding.severity, finding.data_gap) == ("not_read", "warning", True)
        assert estate.read[finding.subject.kind] == "not_read" and finding.subject.kind not in estate.resources
        assert f"HTTP {failure}" in finding.seen and f"HTTP {failure}" in finding.seen_fr
    states = {service.name: service.state for service in estate.services}
    assert states[kinds.KINDS[estate.findings[0].subject.kind].service] == "partial"


def test_members_whose_pools_could_not_be_read_are_not_none(fake: FakeCloud) -> None:
    fill(fake)
    fake.fail["pools"] = 500
    estate = read(fake).estate
    assert estate.read["lb_members"] == "not_read"
    fake.fail.clear()
    fake.fail["members"] = 403
    estate = read(fake).estate
    assert (estate.read["lb_pools"], estate.read["lb_members"]) == ("complete", "not_read")


def test_a_kind_alone(fake: FakeCloud) -> None:
    fill(fake)
    fake.services["database"] = "/trove"
    estate = read(fake, kinds=("lb_members",)).estate
    assert estate.read == {"lb_members": "complete"} and only(estate, "lb_members").id == "me"
    assert [service.name for service in estate.services] == ["load_balancer"] and estate.findings == []


def test_one_service_that_stalls_holds_nothing_else_up(fake: FakeCloud) -> None:
    fill(fake)

    def stall(_query: dict[str, str]) -> None:
        fake.stalled.wait(10)

    for kind in ("zones", "recordsets"):
        fake.fail[kind] = stall
    result = reading.read(login(fake, api_timeout=0.3), sleep=lambda _seconds: None)
    fake.stalled.set()
    assert result.seconds < 3
    assert {kind for kind, state in result.estate.read.items() if state == "not_read"} == {"dns_zones", "dns_records"}
    assert "the service did not answer within 0.3 s" in result.estate.findings[0].seen


def test_extra_specs_of_flavors_of_an_old_nova(fake: FakeCloud) -> None:
    fake.compute_versions = ("2.1", "2.38")
    fake.add_server("web-1", flavor={"id": "7"})
    fake.add_server("web-2", flavor={"id": "7"})
    flavor = {"id": "7", "name": "s3", "vcpus": 2, "ram": 4096, "hidden_specs": {"ecs:performancetype": "normal"}}
    fake.objects["acme"]["flavors"] += [flavor, {"id": "8", "name": "unused", "vcpus": 1, "ram": 1}]
    first, second = read(fake).estate.servers
    assert first.flavor.extra_specs == second.flavor.extra_specs == {"ecs:performancetype": "normal"}
    asked = [path for _method, path in fake.calls if path.endswith("os-extra_specs")]
    assert asked == ["/compute/v2.1/flavors/7/os-extra_specs"], "once, and only for a flavor in use"


def test_hostile_names_everywhere(fake: FakeCloud) -> None:
    fill(fake)
    for rows in fake.objects["acme"].values():
        for row in rows:
            inner = row.get("keypair", row)
            if "name" in inner and row not in fake.objects["acme"]["containers"]:
                inner["name"] = HOSTILE
    fake.objects["acme"]["containers"][0]["name"] = HOSTILE
    estate = read(fake).estate
    assert estate.findings == [] and only(estate, "containers").id == HOSTILE == only(estate, "key_pairs").id
    assert model.loads(model.to_text(estate)) == estate


def test_calls_are_pages_and_a_constant(fake: FakeCloud) -> None:
    fill(fake)
    small = read(fake).calls
    objects = fake.objects["acme"]
    for number in range(300):
        fake.add_server(f"server-{number}")
        objects["recordsets"].append({"id": f"re-{number:03}", "name": "x", "zone_id": "zo"})
    many = read(fake, page_size=100).calls
    assert many - small == 4 * 3, "servers, volumes, ports and record sets have three more pages each"


def test_services_take_turns() -> None:
    turns = [listing.service for listing in reading._in_turn([row for row in reading.LISTINGS if not row.per])]
    services = list(dict.fromkeys(turns))
    assert turns[: len(services)] == services, "each service begins before any has its second list"
    assert sorted(turns) == sorted(row.service for row in reading.LISTINGS if not row.per)


def test_what_a_busy_service_cost_is_told(fake: FakeCloud) -> None:
    answers = iter([(429, {}, {"Retry-After": "7"})])
    # a kind of one list: of two lists of a service, the one that was not refused may wait along
    fake.fail["servers"] = lambda _query: next(answers, None)
    assert read(fake, kinds=("servers",)).waits == {"compute": 7.0}
    assert read(fake, kinds=("servers",)).waits == {}


def nonsense(chance: random.Random, depth: int = 0) -> Any:
    """Any JSON."""
    kind = chance.randrange(9 if depth < 3 else 6)
    if kind < 6:
        return chance.choice([None, True, False, 0, -1, 1e300, 2**70, "", "x", HOSTILE, "\ud800", float("nan")])
    if kind < 8:
        return {chance.choice(WORDS): nonsense(chance, depth + 1) for _member in range(chance.randrange(5))}
    return [nonsense(chance, depth + 1) for _member in range(chance.randrange(5))]


WORDS = ("id", "name", "status", "size", "flavor", "addresses", "metadata", "fixed_ips", "attachments", "tags", "links")


@pytest.mark.parametrize("seed", range(12))
def test_nonsense_never_breaks_a_reading_nor_passes_for_nothing(fake: FakeCloud, seed: int) -> None:
    chance = random.Random(seed)
    fill(fake)
    whole = read(fake).estate
    told: dict[str, bool] = {}
    for store, rows in fake.objects["acme"].items():
        if chance.random() < 0.5:
            continue
        told[store] = True
        if chance.random() < 0.5:
            answer = nonsense(chance)
            fake.fail[store] = lambda _query, answer=answer: (200, answer, {})
        else:
            ident = rows[0].get("id", "made-up") if rows else "made-up"
            rows[:] = [
                row | {"id": ident} if isinstance(row := nonsense(chance), dict) else {"id": ident} for _row in range(2)
            ]
    estate = read(fake).estate
    assert model.to_text(model.loads(model.to_text(estate))) == model.to_text(estate)
    assert model.to_text(read(fake).estate) == model.to_text(estate), "nonsense too is read alike twice"
    shaken = told.keys() | {"dns_records", "lb_members"}  # these hang on others
    for listing in reading.OPENSTACK:
        if not shaken & {listing.key or "containers", listing.kind} and listing.kind not in kinds.TYPED:
            assert estate.of(listing.kind) == whole.of(listing.kind), "what was sound is as before"
    for finding in estate.findings:
        assert finding.rule == "not_read" and estate.read[finding.subject.kind] in ("not_read", "partial")


def test_private_zones_and_names_of_addresses(fake: FakeCloud) -> None:
    fill(fake)
    objects = fake.objects["acme"]
    objects["zones"].append(
        {"id": "pz", "name": "corp.example.", "zone_type": "private", "routers": [{"router_id": "v"}]}
    )
    fake.private_records["pz"] = [{"id": "pr", "name": "db.corp.example.", "type": "A", "records": ["10.0.0.1"]}]
    objects["pointers"] = [
        {"id": "r1:f", "ptrdname": "www.example.com.", "address": "192.0.2.1"},
        {"id": "r1:g", "ptrdname": None, "address": "192.0.2.2"},
    ]
    estate = read(fake).estate
    assert [zone.id for zone in estate.resources["dns_zones"]] == ["pz", "zo"]
    records = {record.id: record for record in estate.resources["dns_records"]}
    assert sorted(records) == ["pr", "r1:f", "re"] and records["pr"].parent == "pz"
    assert records["r1:f"].properties == {"records": ["192.0.2.1"], "type": "PTR"}
    asked = [path for _method, path in fake.calls if "/zones/" in path]
    assert len(asked) == 1, "records of public zones are in the list of all"


@pytest.mark.parametrize("status", [400, 404])
def test_a_further_list_that_the_cloud_does_not_know_is_none(fake: FakeCloud, status: int) -> None:
    fill(fake)
    refused = (status, {"code": status, "message": "no"}, {})
    fake.fail["zones"] = lambda query: refused if "type" in query else None
    fake.fail["pointers"] = status
    estate = read(fake).estate
    assert estate.findings == [] and estate.read["dns_zones"] == estate.read["dns_records"] == "complete"
    fake.fail["pointers"] = 500
    assert read(fake).estate.read["dns_records"] == "partial"
