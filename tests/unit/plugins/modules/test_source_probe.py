# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""source_probe: every question has an answer, whatever the cloud says; nothing is written and nothing leaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab.flexible_engine.server import Answer
from tests.lab.flexible_engine.tenants import REGION, Tenants

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def tenants() -> Iterator[Tenants]:
    with Tenants(1, servers=2) as started:
        yield started


@pytest.fixture
def params(tenants: Tenants) -> dict[str, Any]:
    return {"auth": tenants.auth("t001"), "region_name": REGION}


def by_name(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    assert "failed" not in result, result.get("msg")
    return {probe["probe"]: probe for probe in result["probes"]}


def test_every_question_is_answered(call_module: Call, tenants: Tenants, params: dict[str, Any]) -> None:
    result = call_module("source_probe", params)
    probes = by_name(result)
    assert not result["changed"] and len(probes) == len(result["probes"])
    assert probes["token"]["status"] == "yes" and "vpc" in probes["token"]["evidence"]
    assert probes["projects"]["evidence"] == ["t001"]
    assert probes["domains"]["status"] == "unknown", "this cloud does not know the call"
    assert probes["versions_compute"]["answer"] == "v2.1 up to 2.79"
    assert {name: probes[f"service_{name}"]["status"] for name in ("vpc", "kms", "ces", "eps", "fgs")} == dict.fromkeys(
        ("vpc", "kms", "ces", "eps", "fgs"), "yes"
    )
    assert probes["hypervisor"]["status"] == "unknown" and probes["overview_eps"]["status"] == "yes"
    assert sum(result["summary"].values()) == len(result["probes"])
    assert tenants.server.writes() == []
    assert "throttling" not in probes
    assert call_module("source_probe", params, check=True)["probes"] == result["probes"], "two runs are alike"


def test_what_fails_is_an_answer(call_module: Call, tenants: Tenants, params: dict[str, Any]) -> None:
    tenants.server.fault(service="rds", status=403)
    tenants.server.fault(service="dcs", status=500)
    tenants.server.fault(service="nat", status=404)
    tenants.server.fault(service="css", nonsense=True)
    probes = by_name(call_module("source_probe", params))
    assert (probes["service_rds"]["status"], probes["service_dcs"]["status"]) == ("yes", "unknown")
    assert "denies" in probes["service_rds"]["answer"] and probes["service_dcs"]["evidence"][0].startswith("HTTP 500")
    assert probes["service_nat"]["status"] == "unknown" and probes["service_css"]["status"] == "yes"


def test_flavors_links_and_images(call_module: Call, tenants: Tenants, params: dict[str, Any]) -> None:
    serve = tenants.server.extra
    assert serve is not None

    def extra(method: str, path: str, query: Any, body: Any, headers: Any) -> Answer | None:
        if path.endswith("/cloudservers/flavors"):
            kinds = ["FusionCompute", "CloudCompute", "CloudCompute", None]
            rows = [{"id": str(n), "os_extra_specs": {"ecs:virtualization_env_types": k}} for n, k in enumerate(kinds)]
            return 200, {"flavors": rows}, {}
        if path.endswith("/backup-files"):
            return 200, {"files": [{"name": "x", "download_link": "https://obs.example/x?Signature=geheim"}]}, {}
        if path.startswith("/image/v2/images/"):
            return 403, {"forbidden": {"message": "no X-Auth-Token: gAAAAsecretsecretsecretsecret"}}, {}
        return serve(method, path, query, body, headers)

    tenants.server.extra = extra
    result = call_module("source_probe", params)
    probes = by_name(result)
    assert probes["hypervisor"]["evidence"] == ["KVM: 2 flavors", "Xen: 1 flavors", "unsaid: 1 flavors"]
    assert (probes["database_links"]["status"], probes["image_download"]["status"]) == ("yes", "no")
    text = json.dumps(result)
    assert "geheim" not in text and "gAAAA" not in text


def test_throttling(call_module: Call, tenants: Tenants, params: dict[str, Any]) -> None:
    assert by_name(call_module("source_probe", {**params, "throttle": True}))["throttling"]["status"] == "no"
    tenants.server.fault(service="vpc", status=429, retry_after="60")
    probe = by_name(call_module("source_probe", {**params, "throttle": True}))["throttling"]
    assert probe["status"] == "yes" and "retry-after: 60" in probe["evidence"] and "APIGW.0308" in probe["evidence"][0]


def test_a_wrong_password_is_an_error(call_module: Call, params: dict[str, Any]) -> None:
    result = call_module("source_probe", {**params, "auth": {**params["auth"], "password": "no"}})
    assert result["failed"] and result["error"] == "AuthFailed"
