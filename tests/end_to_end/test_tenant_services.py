# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that are down, that nothing reads, or that hold nothing: told apart, and the rest is complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.tenants import Tenant
from tests.installed import Lab
from tests.lab.openstack import bulk, start_service, stop_service
from tests.lab.openstack.rest import Api

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("without_guests")]

STRANGE = "quantum-annealing"


@pytest.fixture
def tenant(tenants: Lab, collections_path: Path, tmp_path: Path) -> Tenant:
    """The small tenant, assessed once."""
    made = Tenant(tenants, collections_path, bulk.SMALL.name, tmp_path / "small")
    made.assess()
    return made


@pytest.fixture
def strange(tenants: Lab) -> Iterator[None]:
    """A service in the catalogue that nobody knows."""
    api = Api(tenants.instance)
    body = {"service": {"name": "oracle", "type": STRANGE}}
    service = api.post("identity", "/services", body)["service"]["id"]
    endpoint = {"service_id": service, "interface": "public", "region_id": "RegionOne", "url": "http://127.0.0.1:9/"}
    api.post("identity", "/endpoints", {"endpoint": endpoint})
    yield
    api.delete("identity", f"/services/{service}")


def without(estate: dict[str, Any], *kinds: str) -> dict[str, Any]:
    """An estate without what is about these kinds."""
    kept = {key: value for key, value in estate.items() if key not in (*kinds, "services", "findings")}
    for key in ("read", "resources"):
        kept[key] = {kind: value for kind, value in estate[key].items() if kind not in kinds}
    return kept


def findings(estate: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(found["rule"], found["severity"], found["subject"]["kind"]) for found in estate["findings"]}


def test_a_service_that_nothing_knows_is_named_as_not_read(tenant: Tenant, strange: None) -> None:
    before = tenant.estate()
    assert before["findings"] == []

    tenant.assess()

    after = tenant.estate()
    assert {"name": STRANGE, "state": "not_read", "kinds": []} in after["services"]
    (finding,) = after["findings"]
    assert finding["rule"] == "not_read" and finding["subject"]["name"] == STRANGE
    assert without(after) == without(before)
    assert STRANGE in str(tenant.assessment()["findings"])


def test_a_service_that_is_down_is_no_empty_list(tenant: Tenant) -> None:
    before = tenant.estate()
    kinds = next(service["kinds"] for service in before["services"] if service["name"] == "load_balancer")
    assert {before["read"][kind] for kind in kinds} == {"complete"}
    stop_service(tenant.lab.instance, "octavia")
    try:
        tenant.assess()
    finally:
        start_service(tenant.lab.instance, "octavia")
    after = tenant.estate()
    assert {after["read"][kind] for kind in kinds} == {"not_read"}
    assert not set(kinds) & set(after["resources"])
    assert findings(after) == {("not_read", "warning", kind) for kind in kinds}
    assert without(after, *kinds) == without(before, *kinds)


def test_without_its_volumes_no_server_is_ready(tenant: Tenant) -> None:
    before = tenant.estate()
    stop_service(tenant.lab.instance, "cinder-api")
    try:
        tenant.assess()
    finally:
        start_service(tenant.lab.instance, "cinder-api")
    after = tenant.estate()
    assert after["read"]["volumes"] == "not_read"
    assert ("not_read", "blocker", "volumes") in findings(after)
    assert [server["id"] for server in after["servers"]] == [server["id"] for server in before["servers"]]
    readiness = {workload["readiness"] for workload in tenant.assessment()["workloads"]}
    assert readiness and not readiness & {"ready", "ready_with_changes"}


def test_a_tenant_without_anything(tenants: Lab, collections_path: Path, tmp_path: Path) -> None:
    nothing = Tenant(tenants, collections_path, "empty", tmp_path / "empty")
    run = nothing.assess()
    estate = nothing.estate()
    assert (estate["servers"], estate["volumes"], estate["findings"]) == ([], [], [])
    assert estate["read"]["servers"] == "complete"
    assert nothing.plan().get("workloads", {}) == {}
    assert run.calls.writes == []
    before = nothing.files()
    assert nothing.assess().played.changed == 0
    assert nothing.files() == before
