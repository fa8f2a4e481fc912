# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Flexible Engine: shapes, paginations, errors, faults, and whole tenants."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import listings
from tests.lab.flexible_engine import Control, Server, seed
from tests.lab.flexible_engine.shapes import ACCOUNT, SHAPES
from tests.lab.flexible_engine.tenants import PASSWORD, Tenants

PROJECT = "0d2c4e6f"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(seed.data(PROJECT)) as started:
        yield started


def ask(server: Server, path: str, body: Any = None, token: str = "token", method: str = "") -> tuple[int, Any, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data=data, headers={"X-Auth-Token": token})
    if method:
        request.method = method
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), error.headers


def test_the_seed_has_every_kind_of_its_server() -> None:
    rows = seed.data(PROJECT)
    for shape in SHAPES:
        found = rows[ACCOUNT if shape.account else PROJECT][shape.kind]
        assert found, f"{shape.kind} is empty"
    assert rows[ACCOUNT]["buckets"]
    assert json.dumps(rows).count("{{ 7*7 }}") >= 5, "hostile names"


def test_it_lists_what_the_collection_lists() -> None:
    assert {listing.kind for listing in listings.LISTINGS} <= seed.kinds()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.kind)
def test_every_list_answers(server: Server, shape: Any) -> None:
    parent = server.data[ACCOUNT if shape.account else PROJECT][shape.kind][0].get("_cluster", "")
    path = f"/{shape.service}{shape.path}".replace("{p}", PROJECT).replace("{parent}", parent)
    status, answer, _headers = ask(server, path, {} if shape.method == "POST" else None)
    assert status == 200
    if shape.key == "?":
        assert answer["tracker_name"] == "system"
    else:
        rows = answer
        for key in filter(None, shape.key.split(".")):
            rows = rows[key]
        assert len(rows) == len(server.data[ACCOUNT if shape.account else PROJECT][shape.kind])


def numbered(count: int) -> list[dict[str, Any]]:
    return [
        {"id": f"n{number:03}", "key_id": f"n{number:03}", "scaling_group_id": f"n{number}"} for number in range(count)
    ]


def test_offset_of_ecs_is_a_page(server: Server) -> None:
    server.data[PROJECT]["ecs_servers"] = numbered(7)
    base = f"/ecs/v1/{PROJECT}/cloudservers/detail?limit=3"
    pages = [ask(server, f"{base}&offset={page}")[1]["servers"] for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert [row["id"] for page in pages for row in page] == [f"n{number:03}" for number in range(7)]


def test_record_offsets_and_start_numbers(server: Server) -> None:
    server.data[PROJECT]["rds_instances"] = numbered(5)
    answer = ask(server, f"/rds/v3/{PROJECT}/instances?limit=2&offset=4")[1]
    assert len(answer["instances"]) == 1 and answer["total_count"] == 5
    server.data[PROJECT]["scaling_groups"] = numbered(25)
    path = f"/as/autoscaling-api/v1/{PROJECT}/scaling_group"
    assert len(ask(server, path)[1]["scaling_groups"]) == 20, "20 where nothing is asked for"
    assert len(ask(server, f"{path}?start_number=20&limit=100")[1]["scaling_groups"]) == 5


def test_markers_in_query_and_body(server: Server) -> None:
    server.data[PROJECT]["vpcs"] = numbered(4)
    assert [row["id"] for row in ask(server, f"/vpc/v1/{PROJECT}/vpcs?limit=2&marker=n001")[1]["vpcs"]] == [
        "n002",
        "n003",
    ]
    assert ask(server, f"/vpc/v1/{PROJECT}/vpcs?marker=unknown")[0] == 400
    server.data[PROJECT]["keys"] = numbered(3)
    path = f"/kms/v1.0/{PROJECT}/kms/list-keys"
    first = ask(server, path, {"limit": "2"})[1]
    assert first["truncated"] == "true" and first["next_marker"] == "n001"
    last = ask(server, path, {"limit": "2", "marker": first["next_marker"]})[1]
    assert last["truncated"] == "false" and last["next_marker"] == "" and last["keys"] == ["n002"]
    assert server.writes() == [], "listing keys by POST is no write"


def test_the_marker_of_cloud_eye(server: Server) -> None:
    path = f"/ces/V1.0/{PROJECT}/metrics?limit=1"
    first = ask(server, path)[1]
    second = ask(server, f"{path}&start={first['meta_data']['marker']}")[1]
    assert first["metrics"] != second["metrics"] and first["meta_data"]["total"] == 6
    assert ask(server, f"/ces/v1.0/{PROJECT}/metrics")[0] == 404, "a capital V"


def test_errors_have_the_two_shapes_and_a_request_id(server: Server) -> None:
    server.fault(service="vpc", status=403)
    server.fault(service="rts", status=404)
    status, answer, headers = ask(server, f"/vpc/v1/{PROJECT}/vpcs")
    assert status == 403 and answer["error_code"] and answer["error_msg"] and headers["X-Request-Id"]
    status, answer, headers = ask(server, f"/rts/v1/{PROJECT}/stacks")
    assert status == 404 and answer["itemNotFound"]["message"] and headers["X-Request-Id"]
    assert ask(server, f"/nothing/v1/{PROJECT}/x")[1]["error_code"] == "APIGW.0101"
    assert ask(server, f"/vpc/v1/{PROJECT}/vpcs", token="")[0] == 401


def test_faults(server: Server) -> None:
    path = f"/vpc/v1/{PROJECT}/vpcs"
    server.fault(service="vpc", status=429, retry_after="2", count=1)
    status, answer, headers = ask(server, path)
    assert (status, answer["error_code"], headers["Retry-After"]) == (429, "APIGW.0308", "2")
    assert ask(server, path)[0] == 200, "only once"
    server.faults.clear()
    server.data[PROJECT]["vpcs"] = numbered(5)
    server.fault(service="vpc", empty_page=2)
    assert len(ask(server, f"{path}?limit=2")[1]["vpcs"]) == 2
    assert ask(server, f"{path}?limit=2&marker=n001")[1]["vpcs"] == []
    server.faults.clear()
    server.fault(service="vpc", endless=True)
    assert ask(server, f"{path}?limit=1&marker=n004")[1]["vpcs"][0]["id"] == "n000"
    server.faults.clear()
    server.fault(service="vpc", nonsense=True)
    with pytest.raises(ValueError):
        ask(server, path)


def test_control_over_http(server: Server) -> None:
    control = Control(server.url)
    assert control.healthy()
    control.faults({"service": "vpc", "status": 500, "count": 1})
    assert ask(server, f"/vpc/v1/{PROJECT}/vpcs")[0] == 500
    ask(server, f"/vpc/v1/{PROJECT}/vpcs", {}, method="DELETE")
    calls = control.calls()
    assert [(call["method"], call["status"], call["write"]) for call in calls] == [
        ("GET", 500, False),
        ("DELETE", 405, True),
    ]
    control.forget()
    assert control.calls() == []
    with pytest.raises(urllib.error.HTTPError):
        control.call("POST", "faults", {"sorcery": 1})


def test_a_token_of_another_project_is_refused() -> None:
    with Server(seed.data(PROJECT), whose={"mine": PROJECT, "other": "other"}.get) as server:
        assert ask(server, f"/vpc/v1/{PROJECT}/vpcs", token="mine")[0] == 200
        assert ask(server, f"/vpc/v1/{PROJECT}/vpcs", token="other")[0] == 403
        assert ask(server, f"/vpc/v1/{PROJECT}/vpcs", token="none")[0] == 401


def login(tenants: Tenants, name: str, password: str = PASSWORD) -> tuple[int, Any, str]:
    user = {"name": name, "password": password, "domain": {"name": "Default"}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    status, answer, headers = ask(tenants.server, "/identity/v3/auth/tokens", body)
    return status, answer, headers.get("X-Subject-Token", "")


def test_whole_tenants() -> None:
    with Tenants(12, servers=3, stall=0.0) as tenants:
        assert login(tenants, "t001", "wrong")[0] == 401
        assert tenants.auth("t007")["password"] == "wrong" and tenants.auth("t001")["password"] == PASSWORD
        status, answer, token = login(tenants, "t001")
        assert status == 201
        types = {entry["type"] for entry in answer["token"]["catalog"]}
        assert {"compute", "image", "vpc", "rds", "dns"} <= types
        assert "image" not in {entry["type"] for entry in login(tenants, "t003")[1]["token"]["catalog"]}
        project = tenants.ids["t001"]
        servers = ask(tenants.server, "/compute/v2.1/servers/detail", token=token)[1]["servers"]
        assert len(servers) == 3
        page = ask(tenants.server, f"/compute/v2.1/servers/detail?limit=2&marker={servers[1]['id']}", token=token)[1]
        assert [row["id"] for row in page["servers"]] == [servers[2]["id"]]
        assert ask(tenants.server, f"/vpc/v1/{project}/vpcs", token=token)[0] == 200
        assert ask(tenants.server, f"/vpc/v1/{tenants.ids['t002']}/vpcs", token=token)[0] == 403
        failing = login(tenants, "t005")[2]
        path = f"/volume/v3/{tenants.ids['t005']}/volumes/detail"
        assert ask(tenants.server, path, token=failing)[0] == 500
        assert ask(tenants.server, f"/volume/v3/{project}/volumes/detail", token=token)[0] == 200
        assert tenants.server.writes() == []
