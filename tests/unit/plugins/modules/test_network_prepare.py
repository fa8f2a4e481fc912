# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a tenant: what the module returns, and what it refuses before it speaks to anybody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils import arguments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import network
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import equivalence
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.changes import Change, ChangeSet
from tests.unit.plugins.module_utils.acts import network_tenant as tenant
from tests.unit.plugins.modules.clouds import Call, Session

FINDINGS = tuple(
    estates.Finding("network", severity, estates.Subject("subnets", "s", "front"), "It has no gateway.", "It gets one.")
    for severity in ("warning", "information")
)
LOGIN = {"url": "https://x", "username": "u", "password": "p"}


def outcome(changes: ChangeSet, *, made: bool) -> network.Outcome:
    verdict = equivalence.Verdict(
        equal=True, differences=[], truncated=False, accepted=[], ports=3, places=15, services=38
    )
    return network.Outcome(changes, ["network a"], ["network a", "network b"], verdict, [], FINDINGS, made, "acme", {})


def test_network_prepare(
    call_module: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []
    there: list[bool] = []

    def prepare(session: object, wanted: network.Design, *, overwrite: bool, dry_run: bool) -> network.Outcome:
        asked.append((wanted.tenant, overwrite, dry_run))
        changes = ChangeSet() if there else ChangeSet((Change("create", "network", "b"),))
        if not dry_run:
            there.append(True)
        return outcome(changes, made=not dry_run)

    def connect(url: str, org: str, **options: Any) -> Session:
        asked.append((url, org))
        return Session()

    monkeypatch.setattr(arguments.vcd, "connect", connect)
    monkeypatch.setattr(network, "prepare", prepare)
    read = tenant.estate()
    tenant.write(tmp_path, read, tenant.plan(read))
    params = {**LOGIN, "plan": str(tmp_path / "acme.plan.yml")}
    would = call_module("network_prepare", params, check=True, diff=True)
    assert would["changed"] and would["changes"] == ["create network b"] and would["proven"] == "planned"
    assert would["diff"]["after"] == "network a\nnetwork b\n" and would["compared"]["ports"] == 3
    assert asked == [("https://x", tenant.ORG), ("acme", False, True)], "the organisation is the plan's"
    assert capsys.readouterr().err.count("subnets front (s): It has no gateway. It gets one.") == 1
    assert would["tenant"] == "acme"
    did = call_module("network_prepare", {**params, "overwrite": True})
    assert did["changed"] and did["proven"] == "read_back" and asked[-1] == ("acme", True, False)
    again = call_module("network_prepare", params, diff=True)
    assert not again["changed"] and "diff" not in again


def test_what_is_refused_before_anybody_is_asked(call_module: Call, tmp_path: Path) -> None:
    read = tenant.estate()
    params = {**LOGIN, "plan": str(tmp_path / "acme.plan.yml")}
    assert "There is no plan" in call_module("network_prepare", params)["msg"]
    tenant.write(tmp_path, tenant.estate(floating_ips=[]), tenant.plan(read))
    said = call_module("network_prepare", params)
    assert "another estate" in said["msg"] and "Run `assess` again" in said["hint"]
    tenant.write(tmp_path, read, tenant.plan(read, edge=plans.Edge()))
    assert "edge.name" in call_module("network_prepare", params)["msg"]
    edge = replace(tenant.plan(read).edge, public={}, outbound="")
    tenant.write(tmp_path, read, tenant.plan(read, edge=edge))
    said = call_module("network_prepare", params)["msg"]
    assert "takes the place of 203.0.113.7" in said and "Machines of 10.1.0.0/24, 10.2.0.0/24 go out" in said
    assert "203.0.113.8" not in said, "of a server that stays"
