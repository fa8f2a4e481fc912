# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the services of a cloud are: overrides, the catalogue, the table of Flexible Engine's hosts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate, listings, services
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.services import Catalogue, Endpoint

FAMILY = "https://iam.eu-west-0.prod-cloud-ocb.orange-business.com/v3"


class Answer:
    def __init__(self, status: int, body: Any) -> None:
        self.status_code = status
        self.content = json.dumps(body).encode()
        self.headers: dict[str, str] = {}

    def json(self) -> Any:
        return json.loads(self.content)


class Session:
    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def request(self, url: str, method: str, **options: Any) -> Answer:
        self.asked.append(f"{method} {url}")
        self.options = options
        return self.answers.pop(0)


def entry(kind: str, url: str, region: str = "r1", interface: str = "public") -> dict[str, Any]:
    return {"type": kind, "endpoints": [{"interface": interface, "region_id": region, "url": url}]}


def catalogue(*entries: dict[str, Any], **changed: Any) -> Catalogue:
    options = {"session": None, "entries": entries, "config": {}, "project_id": "p1", "region": "r1", **changed}
    return Catalogue(**options)


def url(found: Endpoint | None) -> str:
    assert found is not None
    return found.url


@pytest.mark.parametrize(
    ("name", "kind", "listed", "used"),
    [
        ("compute", "compute", "http://x/compute/v2.1", "http://x/compute/v2.1"),
        ("compute", "compute", "http://x/compute/v2/p1/", "http://x/compute/v2/p1"),
        ("compute", "compute", "http://x:8774", "http://x:8774/v2.1"),
        ("block_storage", "volumev3", "http://x/volume/v3/p1", "http://x/volume/v3/p1"),
        ("block_storage", "block-storage", "http://x/volume", "http://x/volume/v3/p1"),
        ("image", "image", "http://x/image", "http://x/image/v2"),
        ("image", "image", "http://x/v2/", "http://x/v2"),
        ("network", "network", "http://x:9696/", "http://x:9696/v2.0"),
        ("load_balancer", "load-balancer", "http://x/lb", "http://x/lb/v2.0"),
        ("dns", "dns", "http://x", "http://x/v2"),
        ("object_store", "object-store", "http://x/v1/AUTH_p1", "http://x/v1/AUTH_p1"),
        ("key_manager", "key-manager", "http://x/key", "http://x/key/v1"),
        ("vpc", "vpc", "http://x/v1/p1", "http://x"),
        ("rds", "rdsv3", "http://x/rds/v3/p1", "http://x/rds"),
    ],
)
def test_addresses_of_the_catalogue(name: str, kind: str, listed: str, used: str) -> None:
    found = catalogue(entry(kind, listed)).endpoint(name)
    assert url(found) == used and found is not None and found.origin == "catalogue"


def test_region_interface_and_the_best_type_count() -> None:
    entries = [
        entry("compute", "http://other/v2.1", region="r2"),
        entry("compute", "http://inner/v2.1", interface="internal"),
        entry("volumev2", "http://two/v2/p1"),
        entry("volumev3", "http://three/v3/p1"),
    ]
    assert catalogue(*entries).endpoint("compute") is None
    assert url(catalogue(*entries, interface="internal").endpoint("compute")) == "http://inner/v2.1"
    assert url(catalogue(*entries, region="r2").endpoint("compute")) == "http://other/v2.1"
    assert url(catalogue(*entries).endpoint("block_storage")) == "http://three/v3/p1"
    assert catalogue(*entries).types() == ["volumev2", "volumev3"]
    assert catalogue({"type": "compute"}, {"type": 3, "endpoints": [1]}, {}).types() == []


@pytest.mark.parametrize("key", ["block_storage_endpoint_override", "volumev3_endpoint_override"])
def test_an_override_wins(key: str) -> None:
    config = {key: "http://mine/v3/%(project_id)s", "compute_endpoint_override": None}
    found = catalogue(entry("block-storage", "http://x/v3"), config=config).endpoint("block_storage")
    assert url(found) == "http://mine/v3/p1" and found is not None and found.origin == "override"
    rooted = catalogue(config={"sfs_turbo_endpoint_override": "http://mine/v1/$(tenant_id)s/sfs-turbo"})
    assert url(rooted.endpoint("sfs_turbo")) == "http://mine"


def test_the_table_of_the_family_comes_last() -> None:
    known = catalogue(entry("vpc", "http://x/v1/p1"), auth_url=FAMILY, region="eu-west-0")
    assert url(known.endpoint("compute")) == "https://ecs.eu-west-0.prod-cloud-ocb.orange-business.com/v2.1/p1"
    found = known.endpoint("rds")
    assert found is not None and found.origin == "table"
    assert found.address("/v3/{project_id}/x?id={parent}", "p1", "a/b") == f"{found.url}/v3/p1/x?id=a%2Fb"
    assert catalogue(auth_url="https://keystone.example.com/v3").endpoint("rds") is None


def test_nova_is_asked_for_its_newest_microversion() -> None:
    def made(listed: str, *answers: Answer, chosen: str = "") -> tuple[Endpoint, list[str]]:
        session = Session(*answers)
        endpoint = catalogue(entry("compute", listed), session=session).endpoint("compute")
        assert endpoint is not None
        return services.with_microversion(endpoint, chosen), session.asked

    version = Answer(200, {"version": {"id": "v2.1", "version": "2.96"}})
    found, asked = made("http://x/v2.1/p1", version)
    assert asked == ["GET http://x/v2.1/"] and found.url == "http://x/v2.1/p1"
    assert found.headers["OpenStack-API-Version"] == "compute 2.79"
    found, _asked = made("http://x/v2/p1", Answer(200, {"version": {"version": "2.60"}}))
    assert found.url == "http://x/v2.1/p1" and found.headers["X-OpenStack-Nova-API-Version"] == "2.60"
    found, _asked = made("http://x/v2.1", version, chosen="2.53")
    assert found.headers["OpenStack-API-Version"] == "compute 2.53"
    for answer in (Answer(404, {}), Answer(200, []), Answer(200, {"versions": []}), Answer(403, "no")):
        found, _asked = made("http://x/v2/p1", answer)
        assert (found.url, found.headers) == ("http://x/v2/p1", {})
    found, _asked = made("http://x/v2.1", Answer(200, {"version": {"version": ""}}))
    assert found.headers == {}


def test_every_listing_has_a_kind_and_a_service() -> None:
    for listing in estate.LISTINGS:
        assert listing.kind in kinds.KINDS, listing.kind
        assert listing.service in services.SERVICES, listing.kind
        assert kinds.KINDS[listing.kind].service == listing.service, listing.kind
        assert not listing.per or listing.per in {row.kind for row in estate.LISTINGS}
        assert services.SERVICES[listing.service].version or listing.path.startswith("/"), listing.kind


def test_types_of_catalogues_belong_to_one_service() -> None:
    types = [kind for service in services.SERVICES.values() for kind in service.types]
    assert len(types) == len(set(types))
    assert "identity" in services.known_types() and "database" not in services.known_types()


def test_the_manual_names_every_service_of_openstack() -> None:
    text = (Path(__file__).resolve().parents[5] / "docs" / "estate.md").read_text(encoding="utf-8")
    for service in listings.SERVICES:
        assert f"| {service.name} |" in text, service.name
