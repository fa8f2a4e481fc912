# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the cold migration's modules share: the fake clouds in the modules' place, and the full cycle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils import arguments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import disks, server
from tests.unit.plugins.module_utils.acts.variable import variable
from tests.unit.plugins.module_utils.source.fake_openstack import FakeOpenStack

Call = Callable[..., dict[str, Any]]
VCENTER = {"hostname": "vc", "username": "u", "password": "p"}


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> FakeOpenStack:
    fake = FakeOpenStack()
    fake.add_server("server-1", "ACTIVE", ("volume-a", "volume-b"))
    fake.add_server("reader", "ACTIVE")
    monkeypatch.setattr(arguments, "open_source", lambda params, workload: fake)
    for act in (disks.Bench.__init__, server.stop, server.start):
        assert act.__kwdefaults__ is not None
        monkeypatch.setitem(act.__kwdefaults__, "sleep", fake.sleep)
    return fake


class Session:
    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_args: object) -> None:
        return


@pytest.fixture
def vcenter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "open_target", lambda params: Session())


def cycle(call: Call, cloud: FakeOpenStack, name: str, **params: Any) -> list[dict[str, Any]]:
    """Check, do, check again, do again; the two checks and the last change nothing in the cloud."""
    results = []
    for check in (True, False, True, False):
        before = cloud.write_calls()
        results.append(call(name, {"workload": variable(), **params}, check=check, diff=True))
        assert "failed" not in results[-1], results[-1]
        if check or len(results) == 4:
            assert cloud.write_calls() == before
    assert [result["changed"] for result in results] == [True, True, False, False]
    return results
