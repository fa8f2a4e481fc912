# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of Cloud Director modules share: the lab's server in this process, and a module called against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import client
from tests.lab.vcd import Control, seed
from tests.lab.vcd.make import serve


@dataclass
class Director:
    """The server, its own door, and the module under test."""

    control: Control
    login: dict[str, str]
    call_module: Callable[..., dict[str, Any]]

    def connect(self) -> client.Session:
        """A session of the operator."""
        user, password, ca = (self.login[key] for key in ("username", "password", "ca_cert"))
        return client.connect(self.login["url"], self.login["org"], username=user, password=password, ca_file=ca)

    def writes(self) -> list[str]:
        """The calls that would change something."""
        calls = [f"{one['method']} {one['path']}" for one in self.control.calls() if one["method"] != "GET"]
        return [one for one in calls if not any(part in one for part in ("/sessions", "/oauth/", "/auth/"))]

    def call(self, module: str, /, *, check: bool = False, **params: Any) -> dict[str, Any]:
        """Run a module, for tenant acme."""
        given = {key: value for key, value in params.items() if value is not None}
        return self.call_module(module, {**self.login, "tenant": "acme", **given}, check=check, diff=True)

    def good(self, module: str, /, **params: Any) -> dict[str, Any]:
        """The same; it must not fail."""
        result = self.call(module, **params)
        assert "failed" not in result, result
        return result

    def cycle(self, module: str, /, **params: Any) -> list[dict[str, Any]]:
        """Check, do, check again, do again: the checks and the last write nothing; what is told is what is done."""
        results = []
        for check in (True, False, True, False):
            before = self.writes()
            results.append(self.good(module, check=check, **params))
            if check or len(results) == 4:
                assert self.writes() == before
        assert [result["changed"] for result in results] == [True, True, False, False]
        assert results[0]["diff"] == results[1]["diff"] and results[0]["changes"] == results[1]["changes"]
        assert "diff" not in results[3] and results[3]["changes"] == []
        return results

    def is_changed_by(self, module: str, state: dict[str, Any], /, **change: Any) -> list[dict[str, Any]]:
        """The whole life: made, changed, removed, and after each nothing more to do. Returns the three results."""
        made = self.cycle(module, **state)[1]
        changed = self.cycle(module, **{**state, **change})[1]
        removed = self.cycle(module, **{**state, **change, "state": "absent"})[1]
        return [made, changed, removed]


@pytest.fixture
def director(tmp_path: Path, call_module: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Director]:
    folder = tmp_path / "vcd"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server = serve(folder, options={"task_seconds": 0})
    server.start()
    login = {"url": server.url, "org": seed.ORG, "username": seed.USER, "password": seed.PASSWORD}
    yield Director(Control(server.url, folder / "ca.pem"), {**login, "ca_cert": str(folder / "ca.pem")}, call_module)
    server.stop()
