# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module flows_write: check, apply, add to it, and files that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import observations
from tests.unit.plugins.modules.clouds import Call


def sockets(*peers: dict[str, Any], **changed: Any) -> dict[str, Any]:
    listeners = [{"protocol": "tcp", "address": "0.0.0.0", "port": 80, "process": ""}]
    return {"samples": 2, "addresses": ["10.0.0.1"], "listeners": listeners, "peers": list(peers), **changed}


def peer(address: str, seen: int = 1, process: str = "") -> dict[str, Any]:
    told = {"protocol": "tcp", "direction": "out", "port": 5432, "process": process}
    return {**told, "address": address, "seen": seen}


def read(path: Path) -> observations.Flows:
    return observations.loads(observations.Flows, path.read_text(), "x")


def test_check_apply_and_add(call_module: Call, tmp_path: Path) -> None:
    path = tmp_path / "plans" / "acme.flows.json"
    params = {"path": str(path), "servers": {"s2": sockets(peer("10.0.0.9", 2)), "s1": sockets()}}
    told = call_module("flows_write", params, check=True, diff=True)
    assert told["changed"]
    assert not path.exists()
    done = call_module("flows_write", params, diff=True)
    assert done == told
    assert (done["servers"], done["samples"], done["path"]) == (2, {"s1": 2, "s2": 2}, str(path))
    assert done["diff"]["after"] == path.read_text()
    assert list(read(path).servers) == ["s1", "s2"]

    more = sockets(peer("10.0.0.9", 1, "php"), peer("10.0.0.8"), addresses=["10.0.0.2"], samples=3)
    done = call_module("flows_write", {"path": str(path), "servers": {"s2": more, "s3": sockets()}})
    assert (done["changed"], done["samples"]) == (True, {"s1": 2, "s2": 5, "s3": 2})
    seen = read(path).servers["s2"]
    assert seen.addresses == ["10.0.0.1", "10.0.0.2"]
    assert len(seen.listeners) == 1
    assert [(entry.address, entry.seen, entry.process) for entry in seen.peers] == [
        ("10.0.0.8", 1, ""),
        ("10.0.0.9", 3, "php"),
    ]


def test_without_merging_the_same_is_no_change(call_module: Call, tmp_path: Path) -> None:
    params = {"path": str(tmp_path / "f.json"), "servers": {"s1": sockets()}, "merge": False}
    assert call_module("flows_write", params)["changed"]
    again = call_module("flows_write", params, diff=True)
    assert (again["changed"], again["samples"]) == (False, {"s1": 2})


def test_a_file_that_holds_something_else_is_left_alone(call_module: Call, tmp_path: Path) -> None:
    path = tmp_path / "acme.flows.json"
    path.write_text('{"kind": "cloudexit.estate"}')
    told = call_module("flows_write", {"path": str(path), "servers": {"s1": sockets()}})
    assert told["failed"]
    assert "must be cloudexit.flows" in told["msg"]
    assert path.read_text() == '{"kind": "cloudexit.estate"}'


@pytest.mark.parametrize(
    "servers", [{"s1": {}}, {"s1": sockets(samples="x")}, {"": sockets()}, {"s1": [1]}, {"s1": sockets(peer=[])}]
)
def test_what_nobody_saw(call_module: Call, tmp_path: Path, servers: dict[str, Any]) -> None:
    told = call_module("flows_write", {"path": str(tmp_path / "f.json"), "servers": servers})
    assert told["failed"]
    assert "What was seen is not valid" in told["msg"]
    assert not (tmp_path / "f.json").exists()
