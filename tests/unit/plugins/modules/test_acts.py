# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the cold migration: check, do, check again, do again, against the fake clouds."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils import arguments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import state as states
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import vsphere
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import NotFound
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import disks, server
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.server import Server
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import vm
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


def test_source_server_stops_and_starts(call_module: Call, cloud: FakeOpenStack) -> None:
    would, did, _again, last = cycle(call_module, cloud, "source_server", state="stopped")
    assert would["diff"]["before"] == "status: ACTIVE\n" and would["diff"]["after"] == "status: SHUTOFF\n"
    assert (did["before"], did["status"]) == ("ACTIVE", "SHUTOFF") and did["stopped_at"].endswith("Z")
    assert last["status"] == "SHUTOFF" and "stopped_at" not in last
    _would, did, _again, _last = cycle(call_module, cloud, "source_server", state="started")
    assert did["status"] == "ACTIVE"


def test_source_server_tells_its_errors(call_module: Call, cloud: FakeOpenStack) -> None:
    cloud.slowness = 100_000
    result = call_module("source_server", {"workload": variable(), "state": "stopped", "deadline": 0.05})
    assert result["failed"] and result["error"] == "Timeout" and result["retryable"]
    assert "Shut it down inside the guest" in result["msg"]
    result = call_module("source_server", {"workload": {"host": "x"}, "state": "stopped"})
    assert result["failed"] and "is not a workload of a plan" in result["msg"]


def test_source_fence(call_module: Call, cloud: FakeOpenStack) -> None:
    call_module("source_server", {"workload": variable(), "state": "stopped"})
    would, did, _again, last = cycle(call_module, cloud, "source_fence")
    assert would["diff"]["after"] == "fence: ours\n" and did["fenced"] and last["fenced"]
    _would, did, _again, _last = cycle(call_module, cloud, "source_fence", state="absent")
    assert not did["fenced"] and not cloud.servers["server-1"]["locked"]


def test_disk_clone(call_module: Call, cloud: FakeOpenStack) -> None:
    refused = call_module("disk_clone", {"workload": variable()})
    assert refused["failed"] and "a cold copy wants it off" in refused["msg"] and not cloud.ours()
    cloud.servers["server-1"]["status"] = "SHUTOFF"
    cloud.tick += 10
    would, did, _again, last = cycle(call_module, cloud, "disk_clone")
    assert would["steps"] == ["snapshot volume volume-a", "snapshot volume volume-b"] and would["clones"] == []
    assert [clone["fresh"] for clone in did["clones"]] == [True, True]
    assert did["steps"][-1] == f"hand out clone {did['clones'][0]['clone']}"
    assert [clone["fresh"] for clone in last["clones"]] == [False, True], "the boot clone was handed out"
    renewed = call_module("disk_clone", {"workload": variable(), "renew": [last["clones"][0]["clone"]]})
    assert renewed["clones"][0]["fresh"] and renewed["clones"][0]["clone"] != last["clones"][0]["clone"]
    cycle(call_module, cloud, "disk_clone", state="absent")
    assert cloud.ours() == []


def test_a_clone_that_is_not_adapted_is_not_handed_out(call_module: Call, cloud: FakeOpenStack) -> None:
    cloud.servers["server-1"]["status"] = "SHUTOFF"
    cloud.tick += 10
    result = call_module("disk_clone", {"workload": variable(guest={"adapt": "none"})})
    assert not any(step.startswith("hand out") for step in result["steps"])


def test_workload_info(call_module: Call, cloud: FakeOpenStack, vcenter: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def look(workload: object, cloud: object, session: object, **options: Any) -> states.State:
        asked.update(options)
        return states.State("planned", ["stop"], Server("server-1", "{{ 7*7 }}", "ACTIVE"), None, False)

    monkeypatch.setattr(states, "look", look)
    result = call_module("workload_info", {"workload": variable(), "refuse": False, **VCENTER})
    assert asked == {"replace_rolled_back": False, "check": False, "recorded": True}
    assert not result["changed"] and result["todo"] == ["stop"] and result["target"] is None
    assert result["source"]["name"] == "{{ 7*7 }}"


def test_workload_info_sees_whether_the_copy_is_recorded(
    call_module: Call, cloud: FakeOpenStack, vcenter: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    seen: list[Any] = []

    def look(*args: object, **options: Any) -> states.State:
        seen.append(options["recorded"])
        return states.State("started", [], Server("server-1", "x", "SHUTOFF"), None, True)

    monkeypatch.setattr(states, "look", look)
    params = {"workload": variable(), "evidence_dir": str(tmp_path), **VCENTER}
    call_module("workload_info", params)
    (tmp_path / "ledger.jsonl").write_text("")
    call_module("workload_info", params)
    (tmp_path / "workloads").mkdir()
    file = tmp_path / "workloads" / "web-1.json"
    for text in ('{"acts": {"source_fence": {}}}', '{"acts": {"disk_pass": {}}}', "damaged"):
        file.write_text(text)
        call_module("workload_info", params)
    assert seen == [None, False, False, True, True]


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


def test_workload_check(call_module: Call) -> None:
    assert call_module("workload_check", {"workload": variable()})["checks"] == []
    check = {"type": "tcp", "host": "127.0.0.1", "port": 1, "timeout_s": 1}
    failed = call_module("workload_check", {"workload": variable(checks=[check, {**check, "port": 2}])})
    assert failed["failed"] and failed["msg"].startswith("2 of 2 checks of web-1 do not hold:\n  - tcp 127.0.0.1:1: ")
    assert [outcome["ok"] for outcome in failed["checks"]] == [False, False]
    own = call_module("workload_check", {"workload": variable(), "checks": [check]})
    assert len(own["checks"]) == 1
    assert call_module("workload_check", {"workload": variable(checks=[check])}, check=True)["checks"] == []
    since = call_module("workload_check", {"workload": variable(), "since": "2026-01-01T00:00:00Z"})
    assert since["boot_seconds"] != 0


def test_disk_pass_tells_the_machine_in_check_mode(call_module: Call) -> None:
    result = call_module("disk_pass", {"workload": variable(), **VCENTER}, check=True, diff=True)
    assert result["changed"] and result["diff"]["before"] == ""
    assert "name: web-1\n" in result["diff"]["after"] and "mac: fa:16:3e:00:00:01" in result["diff"]["after"]
    assert vsphere.spec_text  # the text is that of the machine that is made


def test_disk_pass_refuses_clones_of_something_else(call_module: Call, tmp_path: Any) -> None:
    clones = [{"volume": "other", "clone": "c", "serials": ["s"], "size": 1}]
    params = {"workload": variable(), "clones": clones, "state_dir": str(tmp_path / "state"), **VCENTER}
    result = call_module("disk_pass", params)
    assert result["failed"] and "not the clones of the workload's disks" in result["msg"]
    clones = [{"volume": v, "clone": v, "serials": ["no-such-serial"], "size": 1} for v in ("volume-a", "volume-b")]
    result = call_module("disk_pass", {**params, "clones": clones, "device_timeout": 0.01})
    assert result["failed"] and "shows no device for clone volume-a of disk 1 of web-1" in result["msg"]
    assert result["retryable"]


def test_disk_pass_info_without_a_job(call_module: Call, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    params = {"workload": variable(), "state_dir": str(tmp_path / "state")}
    result = call_module("disk_pass_info", params)
    assert result["finished"] and result["status"]["dead"] and "result" not in result
    assert "failed" not in call_module("disk_pass_info", {**params, "ready": True})
    assert "not a workload" in call_module("disk_pass_info", {**params, "workload": {}})["msg"]
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pyVmomi" else find(name))
    result = call_module("disk_pass_info", {**params, "ready": True})
    assert result["failed"] and "lacks 'pyvmomi>=9,<10'" in result["msg"]
    assert call_module("disk_pass", {**params, "state": "absent", **VCENTER})["changed"] is False
