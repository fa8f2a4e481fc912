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
from tests.unit.openstack_http import FakeCloud, ident, port, server, volume

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
    ]
    objects["volumes"][0]["volume_image_metadata"] = {"image_id": "used"}
    estate = read(fake).estate
    assert len(estate.ports) == 1
    assert {network.name for network in estate.networks} == {"app", "shared", "out"}
    assert [(image.id, image.properties) for image in estate.images] == [("own", {}), ("used", {"os_distro": "debian"})]


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
    rows = [server(f"server-{number}") for number in range(4)]
    links = [{"rel": "next", "href": "http://x"}]
    fake.fail["servers"] = lambda _query: (200, {"servers": rows, "servers_links": links}, {})
    estate = read(fake, page_size=4).estate
    assert estate.read["servers"] == "partial" and len(estate.servers) == 4
    assert "the pages repeat" in estate.findings[0].seen
    assert fake.lists("servers") == 2


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
    fake._token = lambda project: (  # type: ignore[method-assign]
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
