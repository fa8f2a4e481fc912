# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine in Cloud Director: started, stopped, missing; credentials from the options, the plan, the environment."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils import arguments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import vcd as acts
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.transfer import Machine
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import NotFound
from tests.unit.plugins.module_utils.acts.variable import variable
from tests.unit.plugins.modules.clouds import Call, Session

GOES = variable(target={"type": "vcd", "org": "acme-org", "vdc": "acme-vdc"})


def machine(running: bool, state: str) -> Machine:
    return Machine("vm-1", "web-1", running, {"state": state}, {"moref": "vm-1", "state": state})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """How Cloud Director was connected to."""
    seen: list[Any] = []

    def connect(url: str, org: str, **options: Any) -> Session:
        seen.append({"url": url, "org": org, **options})
        return Session()

    monkeypatch.setattr(arguments.vcd, "connect", connect)
    for variables in arguments._ENVIRONMENT["vcd"].values():
        for name in variables:
            monkeypatch.delenv(name, raising=False)
    return seen


def test_vcd_vm(call_module: Call, asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[Machine] = []

    def started(workload: object, session: object, *, dry_run: bool, timeout: float) -> tuple[bool, Machine, Machine]:
        if not there:
            raise NotFound("There is no machine")
        before = there[0]
        if not dry_run:
            there[0] = machine(True, "started")
        return not before.running, before, before if dry_run else there[0]

    def stopped(
        workload: object, session: object, *, dry_run: bool, timeout: float, state: str
    ) -> tuple[bool, Machine, Machine]:
        if not there:
            raise NotFound("There is no machine")
        before, there[0] = there[0], machine(False, state)
        return before.running, before, there[0]

    monkeypatch.setattr(acts, "started", started)
    monkeypatch.setattr(acts, "stopped", stopped)
    params = {"workload": GOES, "state": "started", "url": "https://x", "username": "u", "password": "p"}
    assert call_module("vcd_vm", params, check=True)["changed"], "it would be there by then"
    assert "There is no machine" in call_module("vcd_vm", params)["msg"]
    there.append(machine(False, "verified"))
    would = call_module("vcd_vm", params, check=True, diff=True)
    assert would["changed"] and would["diff"]["before"] == "power: poweredOff\n" and not there[0].running
    did = call_module("vcd_vm", params)
    assert did["changed"] and did["vm_ref"] == "vm-1" and did["started_at"] and did["machine"]["state"] == "started"
    assert not call_module("vcd_vm", params)["changed"]
    params |= {"state": "stopped", "mark": "rolled_back"}
    assert call_module("vcd_vm", params)["machine"]["state"] == "rolled_back"
    there.clear()
    assert "There is no machine" in call_module("vcd_vm", params)["msg"]
    assert call_module("vcd_vm", {**params, "missing_ok": True})["changed"] is False


def test_the_log_in_may_come_from_the_environment(
    call_module: Call, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(*args: object, **options: object) -> None:
        raise NotFound("enough")

    monkeypatch.setattr(acts, "started", started)
    monkeypatch.setenv("CLOUDAVENUE_URL", "https://a")
    monkeypatch.setenv("CLOUDAVENUE_ORG", "another")
    monkeypatch.setenv("CLOUDAVENUE_USERNAME", "u")
    monkeypatch.setenv("CLOUDAVENUE_PASSWORD", "s3")
    monkeypatch.setenv("VMWARE_PASSWORD", "not this")
    params = {"workload": GOES, "state": "started"}
    call_module("vcd_vm", params)
    told = asked[-1]
    assert (told["url"], told["org"], told["username"], told["password"]) == ("https://a", "acme-org", "u", "s3")
    monkeypatch.setenv("VCD_URL", "https://b")
    call_module("vcd_vm", {**params, "api_token": "t" * 20, "org": "mine"})
    told = asked[-1]
    assert (told["url"], told["org"], told["api_token"], told["password"]) == ("https://b", "mine", "t" * 20, "")

    # without an address, the name of an organisation of Cloud Avenue tells it; no other name does
    monkeypatch.delenv("VCD_URL")
    monkeypatch.delenv("CLOUDAVENUE_URL")
    call_module("vcd_vm", {**params, "org": "cav01ev01ocb0001234"})
    assert asked[-1]["url"] == "https://console1.cloudavenue.orange-business.com"
    call_module("vcd_vm", params)
    assert (asked[-1]["url"], asked[-1]["org"]) == ("", "acme-org")
