# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""metrics_read: the file, check mode and diff, and a cloud without monitoring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import observations
from tests.lab.flexible_engine.tenants import REGION, Tenants
from tests.unit.openstack_http import FakeCloud

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def tenants() -> Iterator[Tenants]:
    with Tenants(1, servers=2) as started:
        yield started


@pytest.fixture
def params(tenants: Tenants, tmp_path: Path) -> dict[str, Any]:
    return {"auth": tenants.auth("t001"), "region_name": REGION, "path": str(tmp_path / "new" / "acme.metrics.json")}


def test_check_real_check(call_module: Call, tenants: Tenants, params: dict[str, Any]) -> None:
    path = Path(params["path"])
    first = call_module("metrics_read", params, check=True, diff=True)
    assert first["changed"] and first["diff"]["before"] == "" and len(first["metrics"]["servers"]) == 2
    assert not path.parent.exists()
    second = call_module("metrics_read", {**params, "days": 7})
    assert second["changed"] and second["servers"] == 2 and "metrics" not in second
    written = observations.loads(observations.Metrics, path.read_bytes(), "it")
    assert written.days == 7 and all(load.cpu_p95 for load in written.servers.values())
    assert not call_module("metrics_read", {**params, "days": 7}, check=True)["changed"]
    assert tenants.server.writes() == []


@pytest.mark.parametrize("days", [0, -1, 91])
def test_days_that_are_not_kept(call_module: Call, params: dict[str, Any], days: int) -> None:
    result = call_module("metrics_read", {**params, "days": days})
    assert result["failed"] and "90 days" in result["msg"]


def test_a_monitoring_that_fails_leaves_the_file_alone(
    call_module: Call, tenants: Tenants, params: dict[str, Any]
) -> None:
    call_module("metrics_read", params)
    before = Path(params["path"]).read_bytes()
    tenants.server.fault(service="ces", status=403)
    assert call_module("metrics_read", params)["failed"] and Path(params["path"]).read_bytes() == before


def test_a_cloud_without_monitoring(call_module: Call, tmp_path: Path) -> None:
    with FakeCloud() as cloud:
        params = {"auth": cloud.auth(), "region_name": "RegionOne", "path": str(tmp_path / "x.json")}
        result = call_module("metrics_read", params)
    assert result["failed"] and result["error"] == "NotFound" and not (tmp_path / "x.json").exists()
