# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""plan_draft: the plan where there is none, what is new in it where there is one, and never a lost edit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
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
    assert first["changed"] and not path.parent.exists() and "web-1-3f2a9c1d:" in first["diff"][0]["after"]

    second = call_module("plan_draft", params)
    assert second["changed"] and second["path"] == str(path) and not second["kept"]
    assert second["moving"] == ["web-1-3f2a9c1d"]
    assert list(second["not_moved"]) == ["db-77aa00bb"] and "its state is ERROR" in second["not_moved"]["db-77aa00bb"]
    assert second["to_fill"] == [] and second["findings"][0]["severity"] == "blocker"
    plan = plans.loads(path.read_text())
    assert plan.digest() == second["digest"] and plan.estate.file == "../acme.estate.json"
    assert second["msg"] == f"1 of 2 servers are planned to move. The plan is {path}."
    assert second["readiness"] == {"ready": 0, "ready_with_changes": 0, "not_ready": 1, "unknown": 1}
    files = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert sorted(files) == ["acme.assessment.json", "acme.draft.yml", "acme.plan.yml"]
    assert files["acme.draft.yml"] == files["acme.plan.yml"]
    told = assessments.loads(Path(second["assessment"]).read_text())
    assert told.plan == plan.digest() and [workload.host for workload in told.workloads] == list(plan.workloads)[::1]

    third = call_module("plan_draft", params, diff=True)
    assert not third["changed"] and third["diff"] == []
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == files


def test_a_plan_into_cloud_director(call_module: Call, params: dict[str, Any]) -> None:
    given = {"type": "vcd", "org": "acme-org", "vdc": "acme-vdc", "network": "app"}
    drafted = call_module("plan_draft", {**params, "target": given})
    assert drafted["changed"] and drafted["to_fill"] == []
    text = Path(params["path"]).read_text()
    assert "target:\n  type: vcd\n  org: acme-org\n  vdc: acme-vdc\n" in text and "datacenter" not in text
    plan = plans.loads(text)
    assert plan.moving() and all(workload.decision is None for workload in plan.moving().values())
    assert not call_module("plan_draft", {**params, "target": given})["changed"]


def test_what_a_plan_into_cloud_director_lacks_is_told(call_module: Call, params: dict[str, Any]) -> None:
    drafted = call_module("plan_draft", {**params, "target": {"type": "vcd"}})
    assert drafted["to_fill"] == ["target.org: must not be empty", "target.vdc: must not be empty"]


def write(params: dict[str, Any], estate: dict[str, Any]) -> None:
    """The tenant has changed: as estate_read leaves it."""
    file = Path(params["estate"])
    file.with_name("acme.estate.previous.json").write_text(file.read_text())
    file.write_text(json.dumps(estate))


def test_edits_stand_and_the_tenant_is_followed(call_module: Call, params: dict[str, Any]) -> None:
    path = Path(params["path"])
    call_module("plan_draft", params)
    edited = path.read_text().replace("cpus: 1", "cpus: 8  # ours") + "# my note\n"
    path.write_text(edited)
    first = call_module("plan_draft", params)
    assert first["kept"] and first["changed"], "the assessment tells of the plan"
    assert path.read_text() == edited and first["drift"] == [] and not call_module("plan_draft", params)["changed"]

    grown = {**SERVER, "flavor": {"vcpus": 2, "ram_mib": 4096}}
    new = {**SERVER, "id": "5e5e5e5e-0d0f", "name": "new", "status": "SHUTOFF", "volumes": []}
    write(params, {**ESTATE, "servers": [grown, new]})
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    checked = call_module("plan_draft", params, check=True, diff=True)
    assert checked["changed"] and before == {file.name: file.read_bytes() for file in path.parent.iterdir()}
    result = call_module("plan_draft", params, diff=True)
    assert result["changed"] and result["kept"] and result["path"] == str(path)
    assert result["diff"] == checked["diff"] and "~ servers web-1" in result["diff"][1]["prepared"]
    text = path.read_text()
    assert "cpus: 8  # ours" in text and text.endswith("# my note\n") and "memory_mib: 4096" in text
    assert "new-5e5e5e5e:" in text and "db-77aa00bb:" not in text
    assert result["conflicts"] == ["workloads.web-1-3f2a9c1d.cpus: kept 8; the tenant now says 2"]
    compare = "[workload web-1-3f2a9c1d was edited: compare it]"
    assert result["drift"] == [
        "- servers db (77aa00bb-0d0f)  [removed from the plan]",
        "+ servers new (5e5e5e5e-0d0f)  [workload new-5e5e5e5e, not moved]",
        f"~ servers web-1 ({SERVER['id']}): flavor.ram_mib: 1024 → 4096  {compare}",
        f"~ servers web-1 ({SERVER['id']}): flavor.vcpus: 1 → 2  {compare}",
    ]
    assert "what people wrote stands, and" in result["msg"]
    again = call_module("plan_draft", params)
    assert not again["changed"] and again["conflicts"] == [] and again["drift"] == result["drift"]

    forced = call_module("plan_draft", {**params, "force": True})
    assert forced["changed"] and not forced["kept"] and "cpus: 2\n" in path.read_text()


def test_a_plan_that_cannot_be_read_stays(call_module: Call, params: dict[str, Any]) -> None:
    path = Path(params["path"])
    call_module("plan_draft", params)
    path.write_text(path.read_text().replace("workloads:", "workloads: {"))
    write(params, {**ESTATE, "servers": [{**SERVER, "name": "other"}]})
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    result = call_module("plan_draft", params)
    assert result["failed"] and "cannot be read, and stays as it is" in result["msg"] and "line" in result["msg"]
    assert before == {file.name: file.read_bytes() for file in path.parent.iterdir()}


def test_a_plan_of_an_older_release(call_module: Call, params: dict[str, Any]) -> None:
    """There is no draft beside it: everything in it stands, and what it lacks is added."""
    path = Path(params["path"])
    write(params, {**ESTATE, "resources": {"keys": [{"id": "k1", "name": "key"}]}, "read": {"keys": "complete"}})
    path.parent.mkdir()
    old = """\
plugin: cloudexit.flexible_engine.plan
version: 1
tenant: {name: acme, project_id: p, cloud: lab}
target: {type: vsphere, datacenter: Mine, compute: C0, datastore: D0}
"""
    path.write_text(old)
    result = call_module("plan_draft", params)
    assert result["kept"] and "datacenter: Mine" in path.read_text()
    assert plans.loads(path.read_text()).objects["keys"]["k1"].decision == "recreate"
    assert not call_module("plan_draft", params)["changed"]


def test_a_policy_rules_and_observations(call_module: Call, params: dict[str, Any], tmp_path: Path) -> None:
    files = {
        "policy": "version: 1\ndefault: target\nask: true\n",
        "rules": "rules: [{id: mine, severity: warning, kind: servers, when: {name: web-1}, says: 'It is {name}.'}]\n",
        "metrics": json.dumps({"kind": "cloudexit.metrics", "version": 1, "servers": {SERVER["id"]: {"samples": 9}}}),
        "flows": json.dumps({"kind": "cloudexit.flows", "version": 1}),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    given: dict[str, Any] = {name: str(tmp_path / name) for name in files} | {"rules": [str(tmp_path / "rules")]}
    result = call_module("plan_draft", {**params, **given})
    assert not result.get("failed"), result
    assert result["moving"] == [] and "has not answered yet" in result["not_moved"]["web-1-3f2a9c1d"]
    (mine,) = [finding for finding in result["findings"] if finding["rule"] == "mine"]
    assert mine["seen"] == "It is web-1." and "seen_fr" not in mine
    for name in files:
        wrong: Any = ["/nowhere"] if name == "rules" else "/nowhere"
        assert "There is no" in call_module("plan_draft", {**params, name: wrong})["msg"]
    (tmp_path / "policy").write_text("version: 2\n")
    assert "must be 1" in call_module("plan_draft", {**params, "policy": given["policy"]})["msg"]


def test_the_head_says_what_is_to_fill_in(call_module: Call, params: dict[str, Any]) -> None:
    path = Path(params["path"])
    call_module("plan_draft", {**params, "target": {}})
    assert "#   target.datastore: must not be empty" in path.read_text()
    path.write_text(path.read_text().replace('datastore: ""', "datastore: D9"))
    result = call_module("plan_draft", {**params, "target": {}})
    assert [text.split(":")[0] for text in result["to_fill"]] == ["target.datacenter", "target.compute"]
    assert "#   target.datastore" not in path.read_text() and "#   target.compute" in path.read_text()
    path.write_text(path.read_text().replace('datacenter: ""', "datacenter: D").replace('compute: ""', "compute: C"))
    call_module("plan_draft", {**params, "target": {}})
    assert "Still to be filled in" not in path.read_text()
    assert not call_module("plan_draft", {**params, "target": {}})["changed"]


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
