# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a started machine, against a real server on this machine and a stand-in for ssh."""

from __future__ import annotations

import http.server
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import checks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput


class Page(http.server.BaseHTTPRequestHandler):
    failures = 0

    def do_GET(self) -> None:
        if Page.failures > 0:
            Page.failures -= 1
            self.send_error(503)
            return
        self.send_response(200 if self.path == "/page?a=1" else 404)
        self.end_headers()
        self.wfile.write("hällo record 17".encode())

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(*plan: dict[str, object]) -> list[checks.Outcome]:
    return checks.run_all(checks.of_plan(list(plan), "127.0.0.1"), pause_s=0.02)


def test_checks_that_hold(port: int) -> None:
    page = {"type": "http", "url": f"http://127.0.0.1:{port}/page?a=1", "expect": "hällo record", "timeout_s": 10}
    outcomes = run(page, {"type": "tcp", "port": port, "host": None, "timeout_s": 10})
    assert [outcome.ok for outcome in outcomes] == [True, True]
    assert outcomes[0].detail == "HTTP 200, with the expected text"
    assert outcomes[1].name == f"tcp 127.0.0.1:{port}"


def test_a_check_is_tried_until_it_holds(port: int) -> None:
    Page.failures = 3
    seen: list[str] = []
    todo = checks.of_plan([{"type": "http", "url": f"http://127.0.0.1:{port}/page?a=1", "timeout_s": 10}])
    outcomes = checks.run_all(todo, pause_s=0.02, on_change=lambda check, detail: seen.append(detail))
    assert outcomes[0].ok and seen == ["HTTP 503, expected 200"]


def test_each_check_that_fails_tells_what_was_seen_last(port: int, closed_port: int) -> None:
    outcomes = run(
        {"type": "tcp", "port": closed_port, "timeout_s": 0.1},
        {"type": "http", "url": f"http://127.0.0.1:{port}/other", "timeout_s": 0.1},
        {"type": "http", "url": f"http://127.0.0.1:{port}/page?a=1", "expect": "record 18", "timeout_s": 0.1},
        {"type": "http", "url": f"http://127.0.0.1:{port}/other", "status": 404, "timeout_s": 0.1},
    )
    assert [outcome.ok for outcome in outcomes] == [False, False, False, True]
    assert outcomes[0].detail == "Connection refused (given up after 0.1 s)"
    assert outcomes[1].detail == "HTTP 404, expected 200 (given up after 0.1 s)"
    assert "does not hold the expected text" in outcomes[2].detail


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `ssh` that notes its arguments and answers as its command says."""
    noted = tmp_path / "arguments.json"
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\njson.dump(sys.argv[1:], open({str(noted)!r}, 'w'))\n"
        "print('booted'); print('refused', file=sys.stderr)\nsys.exit(3 if 'false' in sys.argv[-1] else 0)\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return noted


def test_ssh_gets_its_arguments_one_by_one(fake_ssh: Path) -> None:
    hostile = "systemctl is-active '$(touch /tmp/x)'; {{ 7*7 }}"
    plan = {"type": "ssh", "host": "192.0.2.1", "user": "root", "key_file": "/k", "command": hostile, "timeout_s": 5}
    (check,) = checks.of_plan([{**plan, "expect": "booted", "port": 2222}], "", "cloudexit-server-1")
    (outcome,) = checks.run_all([check])
    assert outcome.ok and outcome.detail == "ended with 0, with the expected text"
    arguments = json.loads(fake_ssh.read_text())
    assert arguments[-3:] == ["--", "192.0.2.1", hostile]
    assert "BatchMode=yes" in arguments and "HostKeyAlias=cloudexit-server-1" in arguments
    assert arguments[arguments.index("-p") + 1] == "2222" and arguments[arguments.index("-i") + 1] == "/k"


def test_ssh_that_ends_badly(fake_ssh: Path) -> None:
    (outcome,) = run({"type": "ssh", "command": "false", "timeout_s": 0.1})
    assert not outcome.ok and outcome.detail.startswith("ended with 3, expected 0: refused")
    (outcome,) = run({"type": "ssh", "command": "false", "rc": 3, "timeout_s": 5})
    assert outcome.ok
    (outcome,) = run({"type": "ssh", "command": "true", "expect": "nothing", "timeout_s": 0.1})
    assert "the output does not hold the expected text" in outcome.detail


def test_checks_that_cannot_be_run_are_all_told() -> None:
    plan = [
        {"type": "tcp", "port": 0, "host": "a"},
        {"type": "http", "url": "file:///etc/passwd"},
        {"type": "ssh", "command": "x"},
        {"type": "ssh", "host": "-oProxyCommand=x", "command": "x"},
        {"type": "ssh", "host": "a"},
        {"type": "ping"},
    ]
    with pytest.raises(InvalidInput, match="6 problems"):
        checks.of_plan(plan)
