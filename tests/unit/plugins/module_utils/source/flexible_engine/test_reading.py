# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole tenant of Flexible Engine read over HTTP: every kind, every way of paging, every fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import SourceAuth, connect
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import (
    endpoints,
    listings,
)
from tests.lab.flexible_engine.seed import HOSTILE
from tests.lab.flexible_engine.shapes import ACCOUNT
from tests.lab.flexible_engine.tenants import PASSWORD, REGION, Tenants

NAME = "t001"
FAMILY = {listing.kind for listing in listings.LISTINGS}


@pytest.fixture
def tenants() -> Iterator[Tenants]:
    with Tenants(1, servers=3) as started:
        yield started


def read(tenants: Tenants, **options: Any) -> reading.Reading:
    auth = {**tenants.auth(NAME), "password": PASSWORD}
    with connect(SourceAuth(auth=auth, region_name=REGION, api_timeout=options.pop("api_timeout", None))) as cloud:
        return reading.read(cloud, sleep=lambda _seconds: None, **options)


def test_every_kind_is_in_the_estate(tenants: Tenants) -> None:
    estate = read(tenants).estate
    assert {kind: estate.read[kind] for kind in FAMILY} == dict.fromkeys(FAMILY, "complete")
    for kind in FAMILY:
        assert estate.resources[kind], f"{kind} is empty"
    assert {finding.rule for finding in estate.findings} <= {"port_unexplained", "dimension_unexplained"}
    assert all(service.state in ("complete", "absent") for service in estate.services)
    assert model.loads(model.to_text(estate)) == estate
    assert estate.resources["vaults"][0].name == HOSTILE
    nodes, backups = estate.resources["cce_nodes"], estate.resources["rds_backups"]
    assert nodes[0].parent == estate.resources["cce_clusters"][0].id
    member = estate.resources["elb_members"][0]
    assert (member.parent, member.properties["address"]) == (estate.resources["elb_pools"][0].id, "10.20.0.11")
    assert backups[0].parent == estate.resources["rds_instances"][0].id and backups[0].size_gib == 2.0
    assert estate.resources["rds_instances"][0].size_gib == 100
    assert estate.resources["private_images"][0].size_gib == 1.0
    assert estate.resources["turbo_shares"][0].size_gib == 500
    assert estate.resources["elb_listeners"][0].parent == estate.resources["dedicated_load_balancers"][0].id
    assert len(estate.resources["dedicated_load_balancers"]) == 1
    assert [bucket.size_gib for bucket in estate.resources["buckets"]] == [pytest.approx(0, abs=1e-5), 5.0]


def test_reading_writes_nothing_and_keeps_no_secret(tenants: Tenants) -> None:
    text = model.to_text(read(tenants).estate)
    assert tenants.server.writes() == []
    for secret in ("IyEvYmlu", "BEGIN KEY", "temporary-secret", PASSWORD):
        assert secret not in text
    assert model.to_text(read(tenants).estate) == text


def many(tenants: Tenants, count: int) -> dict[str, int]:
    """Give every list of the family `count` more rows; how many each then has."""
    project = tenants.ids[NAME]
    sizes = {}
    for listing in listings.LISTINGS:
        if listing.kind in ("metrics", "trackers", "buckets", "cce_nodes", "rds_backups", "elb_members"):
            continue
        owner = ACCOUNT if listing.kind in ("enterprise_projects", "tags") else project
        rows = tenants.server.data[owner][listing.kind]
        ids = {listing.id_field.partition(".")[0], listing.fields.get("id", "id").partition(".")[0]}
        for number in range(count):
            row: dict[str, Any] = {**rows[0]}
            if listing.id_field.startswith("metadata."):
                row["metadata"] = {**row["metadata"], "uid": f"more-{number:03}"}
            else:
                row.update(dict.fromkeys(ids, f"more-{number:03}"))
            if listing.kind in ("image_repositories", "tags"):
                row["name"] = row["key"] = f"more-{number:03}"
            rows.append(row)
        sizes[listing.kind] = len(rows) - (listing.kind == "dedicated_load_balancers")
    return sizes


@pytest.mark.parametrize("page_size", [7, 500])
def test_every_way_of_paging(tenants: Tenants, page_size: int) -> None:
    sizes = many(tenants, 30)
    estate = read(tenants, page_size=page_size).estate
    assert {kind: len(estate.resources[kind]) for kind in sizes} == sizes
    assert {estate.read[kind] for kind in sizes} == {"complete"}


def test_metrics_that_page_by_metric(tenants: Tenants) -> None:
    project = tenants.ids[NAME]
    tenants.server.data[project]["metrics"] = [
        {"namespace": "SYS.ECS", "metric_name": metric, "dimensions": [{"name": "instance_id", "value": f"s{number}"}]}
        for metric in ("cpu_util", "disk_util", "mem_util")
        for number in range(10)
    ]
    estate = read(tenants, page_size=10, kinds=["metrics"]).estate
    assert estate.read["metrics"] == "complete" and len(estate.resources["metrics"]) == 10
    assert sum("/metrics" in call.path for call in tenants.server.calls) == 3


def test_calls_are_pages_and_a_constant(tenants: Tenants) -> None:
    done = read(tenants)
    assert done.calls <= len(reading.LISTINGS) + 12, "a call a list, the buckets' own, and two or three for finding"


def fault(tenants: Tenants, service: str, **what: Any) -> reading.Reading:
    tenants.server.fault(service=service, **what)
    return read(tenants)


def not_read(estate: model.Estate) -> dict[str, str]:
    return {finding.subject.kind: finding.seen for finding in estate.findings if finding.rule == "not_read"}


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_service_that_fails_is_told_and_the_rest_is_complete(tenants: Tenants, status: int) -> None:
    estate = fault(tenants, "nat", status=status).estate
    gone = {"nat_gateways", "snat_rules", "dnat_rules"}
    found = not_read(estate)
    assert set(found) == gone and all(f"HTTP {status}" in seen for seen in found.values())
    assert {kind for kind in FAMILY if estate.read[kind] != "complete"} == gone
    assert {service.name: service.state for service in estate.services}["nat"] == "not_read"


@pytest.mark.parametrize(
    ("what", "seen"),
    [({"nonsense": True}, "not JSON"), ({"endless": True}, ""), ({"empty_page": 1}, "")],
    ids=["nonsense", "endless", "empty page"],
)
def test_a_service_that_answers_badly(tenants: Tenants, what: dict[str, Any], seen: str) -> None:
    many(tenants, 30)
    tenants.server.fault(service="rds", kind="rds_instances", **what)
    estate = read(tenants, page_size=7).estate
    assert estate.read["rds_instances"] != "complete"
    assert seen in not_read(estate)["rds_instances"]
    assert estate.read["vpcs"] == "complete"


def test_a_busy_service_is_waited_for(tenants: Tenants) -> None:
    waits: list[tuple[str, float]] = []
    tenants.server.fault(service="vpc", kind="vpcs", status=429, retry_after="60", count=2)
    estate = read(tenants, kinds=["vpcs"], on_wait=lambda kind, seconds, _why: waits.append((kind, seconds))).estate
    assert estate.read["vpcs"] == "complete" and estate.findings == []
    assert ("vpcs", 60.0) in waits


def test_a_service_that_stalls_is_given_up(tenants: Tenants) -> None:
    tenants.server.fault(service="dcs", stall=1.5)
    estate = read(tenants, kinds=["dcs_instances", "vpcs"], api_timeout=0.5).estate
    assert estate.read == {"dcs_instances": "not_read", "vpcs": "complete"}
    assert "did not answer" in not_read(estate)["dcs_instances"]


def test_buckets_that_cannot_be_listed_are_not_no_buckets(tenants: Tenants) -> None:
    tenants.server.fault(service="obs", kind="buckets", status=403)
    estate = read(tenants, kinds=["buckets", "vpcs"]).estate
    assert estate.read == {"buckets": "not_read", "vpcs": "complete"}
    assert "HTTP 403" in not_read(estate)["buckets"]


def test_a_bucket_that_refuses_stays_in_the_estate(tenants: Tenants) -> None:
    tenants.server.fault(service="obs", kind="bucket:acme-audit", status=403)
    estate = read(tenants, kinds=["buckets"]).estate
    assert [bucket.id for bucket in estate.resources["buckets"]] == ["acme-audit", "acme-files"]
    assert estate.resources["buckets"][0].properties["not_read"]


def test_a_tenant_is_read_with_an_access_key(tenants: Tenants) -> None:
    project = tenants.ids[NAME]
    tenants.server.keys["A"] = "S"
    config = {f"{service}_endpoint_override": f"{tenants.url}/{kind}" for service, kind in {
        "vpc": "vpc", "kms": "kms", "swr": "swr", "obs": "obs"}.items()}  # fmt: skip
    auth = {"auth_url": f"{tenants.url}/identity/v3", "ak": "A", "sk": "S", "project_id": project}
    with connect(SourceAuth(cloud={**config, "auth": auth, "region_name": REGION})) as cloud:
        assert cloud.project_id == project
        done = reading.read(cloud, kinds=["vpcs", "keys", "image_repositories", "buckets", "rds_instances"])
    read_states = done.estate.read
    assert read_states.pop("rds_instances") == "absent"
    assert set(read_states.values()) == {"complete"}, done.estate.findings
    assert all("auth/tokens" not in call.path for call in tenants.server.calls), "no log-in"
    wrong = {**auth, "sk": "no"}
    with connect(SourceAuth(cloud={**config, "auth": wrong, "region_name": REGION})) as cloud:
        assert reading.read(cloud, kinds=["vpcs"]).estate.read == {"vpcs": "not_read"}


def test_kinds_of_services_without_an_endpoint_are_absent(tenants: Tenants) -> None:
    with Tenants(3, servers=1) as more:
        auth = more.auth("t003")
        with connect(SourceAuth(auth=auth, region_name=REGION)) as cloud:
            estate = reading.read(cloud, kinds=["images", "containers", "vpcs"]).estate
    assert estate.read == {"images": "not_read", "containers": "absent", "vpcs": "complete"}


def test_every_service_of_the_family_was_asked(tenants: Tenants) -> None:
    read(tenants)
    asked = {call.path.split("/")[1] for call in tenants.server.calls}
    hosts = {row.types[0] for row in endpoints.TABLE.values()}
    assert hosts <= asked | {"iam"}
    assert set(kinds.KINDS) >= FAMILY


def test_what_nothing_explains_is_told(tenants: Tenants) -> None:
    rows = tenants.rows[tenants.ids[NAME]]["ports"]
    rows.append({**rows[0], "id": "stray", "device_id": "of-nobody", "device_owner": "network:sorcery"})
    found = [finding for finding in read(tenants).estate.findings if finding.rule.endswith("_unexplained")]
    assert [(finding.rule, finding.subject.kind) for finding in found] == [
        ("dimension_unexplained", "metrics"),
        ("port_unexplained", "ports"),
    ]
    assert found[1].subject.id == "stray" and "SYS.APIG" in found[0].seen
    assert read(tenants, kinds=["ports", "metrics"]).estate.findings == [], "not where only some kinds were read"


def test_an_access_key_in_clouds_yaml_or_the_environment(
    tenants: Tenants, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tenants.ids[NAME]
    tenants.server.keys["A"] = "S"
    auth = {"auth_url": f"{tenants.url}/identity/v3", "access_key": "A", "secret_key": "S", "project_id": project}
    entry = {"auth": auth, "region_name": REGION, "vpc_endpoint_override": f"{tenants.url}/vpc"}
    (tmp_path / "clouds.yaml").write_text(json.dumps({"clouds": {"acme": entry}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    with connect(SourceAuth(cloud="acme")) as cloud:
        assert cloud.region == REGION and cloud.keys is not None
        assert reading.read(cloud, kinds=["vpcs"]).estate.read == {"vpcs": "complete"}
    monkeypatch.setenv("OS_ACCESS_KEY", "A")
    monkeypatch.setenv("OS_SECRET_KEY", "S")
    given = {"auth_url": auth["auth_url"], "project_id": project}
    with connect(SourceAuth(auth=given, region_name=REGION)) as cloud:
        assert cloud.project_id == project and cloud.keys is not None
    with connect(SourceAuth(auth=tenants.auth(NAME), region_name=REGION)) as cloud:
        assert cloud.keys is None, "a password logs in"
