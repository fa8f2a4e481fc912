# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module socket_info: on this machine, and on what was printed elsewhere."""

from __future__ import annotations

import socket
import time

import pytest

from tests.unit.plugins.modules.clouds import Call

PRINTED = """\
==> look <==
tcp LISTEN 0 128 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=1,fd=6))
tcp ESTAB 0 0 10.20.0.11:80 10.20.0.12:40112 users:(("nginx",pid=1,fd=7))
==> end <==
"""


def test_what_was_printed_elsewhere(call_module: Call) -> None:
    told = call_module("socket_info", {"looks": PRINTED * 2, "about": {"server_id": "s1"}})
    assert told["changed"] is False
    assert told["about"] == {"server_id": "s1"}
    assert told["sockets"] == {
        "samples": 2,
        "addresses": [],
        "listeners": [{"protocol": "tcp", "address": "0.0.0.0", "port": 80, "process": "nginx"}],
        "peers": [
            {"protocol": "tcp", "direction": "in", "address": "10.20.0.12", "port": 80, "process": "nginx", "seen": 2}
        ],
    }


@pytest.mark.parametrize(
    ("text", "said"), [("", "said nothing"), ("sudo: a password is\nrequired", "password is required")]
)
def test_nothing_was_printed(call_module: Call, text: str, said: str) -> None:
    told = call_module("socket_info", {"looks": text})
    assert told["failed"]
    assert said in told["msg"]


def test_this_machine(call_module: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        told = call_module("socket_info", {"samples": 3, "interval_s": 7}, check=True)
        port = server.getsockname()[1]
    assert told["sockets"]["samples"] == 3
    assert slept == [7, 7]
    assert ("127.0.0.1", port) in {(entry["address"], entry["port"]) for entry in told["sockets"]["listeners"]}


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"interval_s": -1}])
def test_what_makes_no_sense(call_module: Call, wrong: dict[str, int]) -> None:
    assert call_module("socket_info", wrong)["failed"]
