# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine at the target: started, stopped, missing, not proven; credentials from the environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils import arguments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import NotFound
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import vm
from tests.unit.plugins.module_utils.acts.variable import variable
from tests.unit.plugins.modules.clouds import VCENTER, Call, Session, vcenter

__all__ = ["vcenter"]


def machine(power: str, state: str, connected: bool = True) -> vm.Vm:
    nic = vm.VmNic("vmxnet3", "fa:16:3e:00:00:01", "VM Network", 4000, connected, False)
    marks = {"cloudexit.tenant": "acme", "cloudexit.source_id": "server-1", "cloudexit.state": state}
    empty: dict[str, Any] = {"uuid": "", "guest_id": "", "annotation": "", "disks": (), "firmware": "bios"}
    return vm.Vm(
        moref="vm-1",
        name="web-1",
        instance_uuid="i",
        power=power,
        cpus=1,
        memory_mib=512,
        nics=(nic,),
        extra=marks,
        **empty,
    )


class Machines:
    """The one machine, and what is done to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now: vm.Vm | None = None
        self.done: list[str] = []
        monkeypatch.setattr(vm, "find_ours", lambda session, uuid, marks: self.now)
        monkeypatch.setattr(vm, "get", lambda session, moref: self.now)
        for name in ("set_state", "connect_nics", "power_on", "shut_down"):
            monkeypatch.setattr(vm, name, self._act(name))

    def _act(self, name: str) -> Callable[..., None]:
        def act(session: object, found: vm.Vm, *args: Any, **options: Any) -> None:
            self.done.append(name)
            assert self.now is not None and self.now.marks is not None
            state = args[0] if name == "set_state" else self.now.marks.state
            power = {"power_on": "poweredOn", "shut_down": "poweredOff"}.get(name, self.now.power)
            self.now = machine(power, state)

        return act


def test_vsphere_vm(call_module: Call, vcenter: None, monkeypatch: pytest.MonkeyPatch) -> None:
    machines = Machines(monkeypatch)
    params = {"workload": variable(), "state": "started", **VCENTER}
    assert call_module("vsphere_vm", params, check=True)["changed"], "it would be there by then"
    assert "There is no machine" in call_module("vsphere_vm", params)["msg"]
    machines.now = machine("poweredOff", "imported")
    assert "it is not proven" in call_module("vsphere_vm", params)["msg"]
    machines.now = machine("poweredOff", "verified", connected=False)
    would = call_module("vsphere_vm", params, check=True, diff=True)
    assert would["changed"] and would["diff"]["after"] == "power: poweredOn\n" and machines.done == []
    did = call_module("vsphere_vm", params)
    assert did["changed"] and did["vm_ref"] == "vm-1" and did["started_at"]
    assert machines.done == ["set_state", "connect_nics", "power_on"], "marked before it may write"
    assert not call_module("vsphere_vm", params)["changed"] and len(machines.done) == 3
    params |= {"state": "stopped", "mark": "rolled_back"}
    assert call_module("vsphere_vm", params, check=True)["changed"] and len(machines.done) == 3
    assert call_module("vsphere_vm", params)["machine"]["state"] == "rolled_back"
    assert not call_module("vsphere_vm", params)["changed"]
    assert "not proven" in call_module("vsphere_vm", {**params, "state": "started"})["msg"]
    machines.now = None
    assert "There is no machine" in call_module("vsphere_vm", params)["msg"]
    assert call_module("vsphere_vm", {**params, "missing_ok": True})["changed"] is False


def test_the_password_may_come_from_the_environment(
    call_module: Call, monkeypatch: pytest.MonkeyPatch, vcenter: None
) -> None:
    seen: list[dict[str, Any]] = []

    def take(params: dict[str, Any]) -> Session:
        seen.append(params)
        raise NotFound("enough")

    monkeypatch.setattr(arguments, "open_target", take)
    for name, value in (("HOST", "vc"), ("PORT", "444"), ("USER", "u"), ("PASSWORD", "s3"), ("VALIDATE_CERTS", "no")):
        monkeypatch.setenv(f"VMWARE_{name}", value)
    call_module("vsphere_vm", {"workload": variable(), "state": "started"})
    got = {name: seen[0][name] for name in ("hostname", "port", "username", "password", "validate_certs")}
    assert got == {"hostname": "vc", "port": 444, "username": "u", "password": "s3", "validate_certs": False}
