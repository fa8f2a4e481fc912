# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""estate_info: what it returns, and what it says when the cloud is not as it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.openstack_http import FakeCloud, ident

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def fake() -> Iterator[FakeCloud]:
    with FakeCloud("acme", "globex") as cloud:
        cloud.add_server("web-1")
        yield cloud


def test_returns_the_estate(call_module: Call, fake: FakeCloud) -> None:
    result = call_module("estate_info", {"auth": fake.auth(), "region_name": "RegionOne"})
    assert result["changed"] is False and not result.get("failed")
    assert result["estate"]["servers"][0]["id"] == ident("server web-1")
    assert result["counts"]["servers"] == result["counts"]["volumes"] == 1
    assert result["read"]["images"] == "complete" and result["findings"] == []
    assert result["tenant"]["project_name"] == "acme"
    assert result["calls"] == len(fake.calls) - 2 and result["seconds"] >= 0
    assert result["digest"].startswith("sha256:") and not fake.writes()


def test_another_project(call_module: Call, fake: FakeCloud) -> None:
    fake.add_server("db", "globex")
    params = {"auth": fake.auth(), "project_id": ident("project globex"), "region_name": "RegionOne"}
    result = call_module("estate_info", params)
    assert [server["name"] for server in result["estate"]["servers"]] == ["db"]


def test_a_service_that_fails(call_module: Call, fake: FakeCloud) -> None:
    fake.fail["volumes"] = 403
    result = call_module("estate_info", {"auth": fake.auth(), "region_name": "RegionOne"})
    assert not result.get("failed")
    assert result["read"]["volumes"] == "not_read" and result["findings"][0]["rule"] == "not_read"


def test_wrong_password(call_module: Call, fake: FakeCloud) -> None:
    result = call_module("estate_info", {"auth": fake.auth(password="PLANTED-secret")})
    assert result["failed"] and result["error"] == "AuthFailed" and "clouds.yaml" in result["hint"]
    assert "PLANTED" not in str(result)
