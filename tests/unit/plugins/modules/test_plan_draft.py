# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""plan_draft: the plan where there is none, a draft beside it where there is one, and never a lost edit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans

Call = Callable[..., dict[str, Any]]
SERVER = {
    "id": "3f2a9c1d-0d0f-4c07-9a9e-6d0a4f9f8a11",
    "name": "web-1",
    "status": "ACTIVE",
    "flavor": {"vcpus": 1, "ram_mib": 1024},
    "volumes": [{"volume_id": "v1", "device": "/dev/vda", "boot": True}],
}
ESTATE: dict[str, Any] = {
    "kind": "cloudexit.estate",
    "version": 1,
    "tenant": {"project_id": "p"},
    "read": {"servers": "complete", "volumes": "complete", "ports": "complete"},
    "servers": [SERVER, {**SERVER, "id": "77aa00bb-0d0f", "name": "db", "status": "ERROR", "volumes": []}],
    "volumes": [{"id": "v1", "status": "in-use", "size_gib": 10, "bootable": True}],
}


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    estate = tmp_path / "acme.estate.json"
    estate.write_text(json.dumps(ESTATE))
    return {
        "estate": str(estate),
        "path": str(tmp_path / "plans" / "acme.plan.yml"),
        "tenant": "acme",
        "cloud": "lab",
        "target": {"datacenter": "DC0", "compute": "C0", "datastore": "D0"},
        "reader": {"server_id": "r1", "connection": {"ansible_connection": "local"}},
    }


def test_check_real_check_real(call_module: Call, params: dict[str, Any]) -> None:
    path = Path(params["path"])
    first = call_module("plan_draft", params, check=True, diff=True)
    assert first["changed"] and not path.parent.exists() and "web-1-3f2a9c1d:" in first["diff"]["after"]

    second = call_module("plan_draft", params)
    assert second["changed"] and second["path"] == str(path) and not second["kept"]
    assert second["moving"] == ["web-1-3f2a9c1d"]
    assert list(second["not_moved"]) == ["db-77aa00bb"] and "its state is ERROR" in second["not_moved"]["db-77aa00bb"]
    assert second["to_fill"] == [] and second["findings"][0]["severity"] == "blocker"
    plan = plans.loads(path.read_text())
    assert plan.digest() == second["digest"] and plan.estate.file == "../acme.estate.json"
    assert second["msg"] == f"1 of 2 servers are drafted to move. The plan is {path}."

    third = call_module("plan_draft", params)
    assert not third["changed"] and [file.name for file in path.parent.iterdir()] == ["acme.plan.yml"]


def test_a_plan_is_kept(call_module: Call, params: dict[str, Any]) -> None:
    path = Path(params["path"])
    call_module("plan_draft", params)
    edited = path.read_text().replace("cpus: 1", "cpus: 8") + "# my note\n"
    path.write_text(edited)
    draft = path.with_name("acme.draft.yml")

    assert call_module("plan_draft", params, check=True)["changed"] and not draft.exists()
    result = call_module("plan_draft", params)
    assert result["changed"] and result["kept"] and result["path"] == str(draft)
    assert "There is a plan already, which was kept; the new draft is" in result["msg"]
    assert path.read_text() == edited and "cpus: 1\n" in draft.read_text()
    assert result["plan_problems"] == []
    assert not call_module("plan_draft", params)["changed"]

    forced = call_module("plan_draft", {**params, "force": True})
    assert forced["changed"] and not forced["kept"] and "cpus: 1\n" in path.read_text()


def test_what_is_wrong_in_the_kept_plan_is_told(call_module: Call, params: dict[str, Any]) -> None:
    path = Path(params["path"])
    call_module("plan_draft", params)
    path.write_text(path.read_text().replace("datastore: D0", "datastor: D0"))
    assert len(call_module("plan_draft", params)["plan_problems"]) == 2


def test_what_is_to_fill_in(call_module: Call, params: dict[str, Any]) -> None:
    result = call_module("plan_draft", {**params, "target": {}})
    assert [text.split(":")[0] for text in result["to_fill"]] == [
        "target.datacenter",
        "target.compute",
        "target.datastore",
    ]
    assert "3 places are still to be filled in" in result["msg"]


def test_check_mode_without_the_estate_file(call_module: Call, params: dict[str, Any]) -> None:
    Path(params["estate"]).unlink()
    result = call_module("plan_draft", {**params, "estate_data": ESTATE}, check=True)
    assert result["changed"] and result["moving"] == ["web-1-3f2a9c1d"]


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"estate": "/nowhere/acme.estate.json"}, "NotFound", "There is no estate /nowhere/acme.estate.json"),
        ({"path": "/nowhere/acme.yml"}, "Refused", "the name of a plan ends in .plan.yml"),
        ({"target": {"datacentre": "x"}}, None, "datacentre"),
    ],
)
def test_refused(
    call_module: Call, params: dict[str, Any], changed: dict[str, Any], error: str | None, said: str
) -> None:
    result = call_module("plan_draft", {**params, **changed})
    assert result["failed"] and said in result["msg"] and result.get("error") == error


def test_a_broken_estate(call_module: Call, params: dict[str, Any]) -> None:
    Path(params["estate"]).write_text(json.dumps({**ESTATE, "volumes": [{}], "server": []}))
    result = call_module("plan_draft", params)
    assert result["error"] == "InvalidInput"
    assert (
        "volumes[0].id: is missing" in result["msg"] and "server: unknown key (did you mean servers?)" in result["msg"]
    )
