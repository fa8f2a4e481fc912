# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift of the network of a tenant: told, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils import arguments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import network
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import equivalence, firewall
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.changes import Change, ChangeSet
from tests.unit.plugins.module_utils.acts import network_tenant as tenant
from tests.unit.plugins.modules.clouds import Call, Session
from tests.unit.plugins.modules.test_network_prepare import LOGIN, outcome


def verdict(wanted: network.Design, *, open_to_all: bool) -> equivalence.Verdict:
    """A true verdict on the rules as translated, or with one that lets everything in."""
    made = firewall.translate(wanted.source, prefix=wanted.prefix, inside=["10.1.0.0/24", "10.2.0.0/24"])
    target = made.target
    assert target.distributed is not None
    if open_to_all:
        rules = [model.FirewallRule(name="opened"), *target.distributed.rules]
        target = replace(target, distributed=replace(target.distributed, rules=rules))
    return equivalence.compare(wanted.source, target, accepted=made.deviations)


def test_network_verify(call_module: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    state: dict[str, Any] = {"open": False, "changes": ChangeSet()}

    def verify(session: object, wanted: network.Design) -> network.Outcome:
        found = outcome(state["changes"], made=True)
        return replace(found, verdict=verdict(wanted, open_to_all=state["open"]))

    monkeypatch.setattr(arguments.vcd, "connect", lambda *args, **options: Session())
    monkeypatch.setattr(network, "verify", verify)
    read = tenant.estate()
    tenant.write(tmp_path, read, tenant.plan(read))
    params = {**LOGIN, "plan": str(tmp_path / "acme.plan.yml")}
    good = call_module("network_verify", params)
    assert good["equal"] and not good["changed"] and good["differences"] == good["drift"] == []
    state["changes"] = ChangeSet((Change("update", "NAT rule", "n"),))
    said = call_module("network_verify", params)["msg"]
    assert "although the same flows pass: update NAT rule n" in said
    assert call_module("network_verify", {**params, "refuse": False})["drift"] == ["update NAT rule n"]
    state["open"] = True
    said = call_module("network_verify", params)["msg"]
    assert "at the source it does not pass" in said and "opened" in said
    told = call_module("network_verify", {**params, "refuse": False}, check=True)
    assert not told["equal"] and "opened" in told["differences"][0]
