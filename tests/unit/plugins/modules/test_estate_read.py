# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""estate_read: the file, again and again the same; check mode and diff."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from tests.unit.openstack_http import FakeCloud

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def fake() -> Iterator[FakeCloud]:
    with FakeCloud() as cloud:
        cloud.add_server("web-1")
        yield cloud


@pytest.fixture
def params(fake: FakeCloud, tmp_path: Path) -> dict[str, Any]:
    return {"auth": fake.auth(), "region_name": "RegionOne", "path": str(tmp_path / "new" / "acme.estate.json")}


def test_check_real_check_real(call_module: Call, fake: FakeCloud, params: dict[str, Any]) -> None:
    path = Path(params["path"])
    first = call_module("estate_read", params, check=True, diff=True)
    assert first["changed"] and first["diff"]["before"] == "" and '"name": "web-1"' in first["diff"]["after"]
    assert not path.parent.exists()
    assert estates.load(first["estate"]).digest() == first["digest"]

    second = call_module("estate_read", params)
    assert second["changed"] and second["path"] == str(path) and "diff" not in second and "estate" not in second
    written = path.read_bytes()
    assert estates.loads(written).digest() == second["digest"] == first["digest"]

    assert not call_module("estate_read", params, check=True)["changed"]
    third = call_module("estate_read", params, diff=True)
    assert not third["changed"] and third["diff"]["before"] == third["diff"]["after"]
    assert path.read_bytes() == written and not fake.writes()

    fake.objects["acme"]["servers"][0]["status"] = "SHUTOFF"
    fourth = call_module("estate_read", params, check=True)
    assert fourth["changed"] and path.read_bytes() == written
    assert fourth["previous"] and os.listdir(path.parent) == ["acme.estate.json"]
    assert call_module("estate_read", params)["changed"] and b"SHUTOFF" in path.read_bytes()
    assert sorted(os.listdir(path.parent)) == ["acme.estate.json", "acme.estate.previous.json"]


def test_the_reading_before_is_kept(call_module: Call, fake: FakeCloud, params: dict[str, Any]) -> None:
    path = Path(params["path"])
    before = path.with_name("acme.estate.previous.json")
    assert call_module("estate_read", params)["previous"] == "" and not before.exists()
    path.chmod(0o600)
    first = path.read_bytes()
    fake.objects["acme"]["servers"][0]["status"] = "SHUTOFF"
    assert call_module("estate_read", params)["previous"] == str(before)
    second = path.read_bytes()
    assert before.read_bytes() == first and before.stat().st_mode & 0o777 == 0o600 and second != first
    assert not call_module("estate_read", params)["changed"]
    assert (path.read_bytes(), before.read_bytes()) == (second, first), "an unchanged tenant leaves both alone"
    fake.add_server("web-2")
    call_module("estate_read", params)
    assert before.read_bytes() == second and path.read_bytes() != second


@pytest.mark.parametrize("text", ["", "not an estate", "{}", "[]"])
def test_what_is_no_estate_is_not_kept(call_module: Call, params: dict[str, Any], text: str) -> None:
    path = Path(params["path"])
    path.parent.mkdir()
    path.write_text(text)
    assert call_module("estate_read", params)["previous"] == ""
    assert os.listdir(path.parent) == ["acme.estate.json"]


def test_another_layout_of_the_same_estate_is_no_other_reading(call_module: Call, params: dict[str, Any]) -> None:
    path = Path(params["path"])
    call_module("estate_read", params)
    good = path.read_text()
    path.write_text(good.replace("\n", "\n "))
    assert call_module("estate_read", params)["changed"]
    assert path.read_text() == good and os.listdir(path.parent) == ["acme.estate.json"]


def test_names_of_other_files(call_module: Call, fake: FakeCloud, params: dict[str, Any]) -> None:
    path = Path(params["path"]).with_name("estate")
    call_module("estate_read", {**params, "path": str(path)})
    fake.add_server("web-2")
    call_module("estate_read", {**params, "path": str(path)})
    assert sorted(os.listdir(path.parent)) == ["estate", "estate.previous.json"]


def test_a_cloud_that_refuses_leaves_the_file_alone(call_module: Call, fake: FakeCloud, params: dict[str, Any]) -> None:
    call_module("estate_read", params)
    before = Path(params["path"]).read_bytes()
    result = call_module("estate_read", {**params, "auth": fake.auth(password="no")})
    assert result["failed"] and Path(params["path"]).read_bytes() == before


def test_a_place_that_cannot_be_written(call_module: Call, params: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = call_module("estate_read", {**params, "path": str(tmp_path / "file" / "acme.estate.json")})
    assert result["failed"] and ("Cannot read" in result["msg"] or "Cannot write" in result["msg"])


def test_the_mode_of_the_file_stays(call_module: Call, fake: FakeCloud, params: dict[str, Any]) -> None:
    path = Path(params["path"])
    call_module("estate_read", params)
    path.chmod(0o600)
    fake.objects["acme"]["servers"].clear()
    call_module("estate_read", params)
    assert path.stat().st_mode & 0o777 == 0o600


def test_steps_are_told_into_a_file(call_module: Call, fake: FakeCloud, params: dict[str, Any], tmp_path: Path) -> None:
    answers = iter([(429, {}, {"Retry-After": "0.01"})])
    fake.fail["routers"] = lambda _query: next(answers, None)
    file = tmp_path / "steps"
    told = call_module("estate_read", {**params, "progress_file": str(file)})
    steps = [json.loads(line) for line in file.read_text().splitlines()]
    assert {"kind": "servers", "count": 1} in steps
    assert {"kind": "routers", "wait": 0.0, "why": "HTTP 429: the service is busy"} in steps
    assert told["waits"] == {"network": 0.0} and told["changed"]
    assert call_module("estate_read", {**params, "progress_file": str(tmp_path / "no" / "steps")})["failed"]
