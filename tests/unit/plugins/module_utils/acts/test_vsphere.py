# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target of a pass in terms of vSphere: what is asked of the engine, and when."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import transfer, vsphere
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Conflict, Refused
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import (
    lease,
    placement,
    upload,
    vm,
)
from tests.unit.plugins.module_utils.acts.variable import variable

WORKLOAD = Workload.of(variable())


class Session:
    key = "52ab"
    closed = False

    def poll(self, condition: Any, *, timeout: float, pause: float) -> Any:
        for _try in range(3):
            if (found := condition()) is not None:
                return found
        return None

    def close(self) -> None:
        self.closed = True


def machine(state: str, **more: str) -> vm.Vm:
    marks = {**WORKLOAD.marks.to_extra_config(), "cloudexit.state": state, "cloudexit.pass": "p", **more}
    hardware: dict[str, Any] = {
        "cpus": 1,
        "memory_mib": 512,
        "firmware": "bios",
        "guest_id": "",
        "disks": (),
        "nics": (),
    }
    identity = {"instance_uuid": WORKLOAD.instance_uuid, "uuid": "", "annotation": ""}
    return vm.Vm(moref="vm-1", name="web-1", power="poweredOff", extra=marks, **hardware, **identity)


@pytest.fixture
def target() -> vsphere.VsphereTarget:
    return vsphere.VsphereTarget(WORKLOAD, Session())


def test_a_machine_is_seen_with_its_marks(target: vsphere.VsphereTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vm, "find", lambda session, uuid: None)
    assert target.find() is None
    monkeypatch.setattr(vm, "find", lambda session, uuid: machine("imported"))
    found = target.find()
    assert found is not None and (found.ref, found.state, found.marks["pass"]) == ("vm-1", "imported", "p")
    assert target.owns(found)
    monkeypatch.setattr(vm, "find", lambda session, uuid: machine("imported", **{"cloudexit.tenant": "other"}))
    found = target.find()
    assert found is not None and not target.owns(found)


def test_a_finished_machine_is_unfinished_before_it_is_destroyed(
    target: vsphere.VsphereTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(vm, "find", lambda session, uuid: machine("verified"))
    monkeypatch.setattr(vm, "set_state", lambda session, found, state: done.append(f"mark {state}") or machine(state))
    monkeypatch.setattr(
        vm, "destroy_partial", lambda session, found, marks: done.append(f"destroy {found.marks.state}")
    )
    found = target.find()
    assert found is not None
    target.destroy(found)
    assert done == ["mark importing", "destroy importing"]


def test_the_import_has_the_marks_and_is_refused_before_it_is_opened(
    target: vsphere.VsphereTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    monkeypatch.setattr(vsphere, "place_of", lambda workload, session: "place")
    monkeypatch.setattr(placement, "check_space", lambda place, spec: None)
    monkeypatch.setattr(placement, "check_name", lambda session, place, name, uuid: None)
    monkeypatch.setattr(
        lease, "open_import", lambda session, place, spec: opened.append(spec) or SimpleNamespace(lease_id="l-1")
    )
    marks = {"state": "importing", "pass": "p", "frozen_at": "2026", "volume.0": "volume-a"}
    assert target.open_import(marks).ref == "l-1"
    (spec,) = opened
    assert spec.marks == replace(WORKLOAD.marks, state="importing")
    assert spec.extra_config == {
        "cloudexit.pass": "p",
        "cloudexit.frozen_at": "2026",
        "cloudexit.volume.0": "volume-a",
    }

    def full(place: object, spec: object) -> None:
        raise Refused("it does not fit")

    monkeypatch.setattr(placement, "check_space", full)
    with pytest.raises(Refused):
        target.open_import(marks)
    assert len(opened) == 1


def test_an_upload_without_a_length_that_is_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, str]] = []

    def send(index: int, produce: object, *, length: int | None, mode: str, spool_dir: str | None) -> None:
        asked.append((length, mode))
        if length is None:
            raise upload.LengthRequired("cannot send", consumed=True)

    opened = vsphere._Import(SimpleNamespace(lease_id="l", upload=send), None)
    with pytest.raises(transfer.LengthRequired, match="know the length"):
        opened.send(0, lambda write: None, None)
    opened.send(0, lambda write: None, 7)
    assert asked == [(None, "chunked"), (7, "sized")]


def test_an_export_waits_for_a_lease_that_a_dead_job_left(
    target: vsphere.VsphereTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = [Conflict("cannot export", cause="TaskInProgress", retryable=True)] * 2

    def export(session: object, ref: str) -> Any:
        if busy:
            raise busy.pop()
        return SimpleNamespace(lease_id="l-2")

    monkeypatch.setattr(lease, "open_export", export)
    assert target.open_export("vm-1").ref == "l-2"
    busy.extend([Conflict("cannot export", cause="TaskInProgress", retryable=True)] * 9)
    with pytest.raises(Conflict, match="TaskInProgress"):
        target.open_export("vm-1")
    busy[:] = [Conflict("cannot export", cause="not ours")]
    with pytest.raises(Conflict, match="not ours"):
        target.open_export("vm-1")


def test_a_disk_is_read_through_a_buffer_and_closed() -> None:
    closed: list[bool] = []

    @contextmanager
    def download(index: int) -> Any:
        yield SimpleNamespace(buffered=lambda: f"stream {index}")
        closed.append(True)

    with vsphere._Export(SimpleNamespace(lease_id="l", download=download)).fetch(1) as stream:
        assert stream == "stream 1"
    assert closed == [True]


def test_marks_are_written_with_the_roots_and_the_boot_order(monkeypatch: pytest.MonkeyPatch) -> None:
    disks = variable()["disks"]
    disks[0]["boot"], disks[1]["boot"] = False, True
    written: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr(vm, "set_marks", lambda session, ref, marks, **more: written.append((marks, more)))
    target = vsphere.VsphereTarget(Workload.of(variable(disks=disks)), Session())
    target.mark("vm-1", {"state": "imported", "manifest.0": "a", "manifest.1": "b"})
    target.mark("vm-1", {"state": "verified"})
    assert written[0][0].state == "imported"
    assert written[0][1] == {"manifests": {0: "a", 1: "b"}, "extra": {}, "boot_disk": 1}
    assert written[1][0].state == "verified" and written[1][1]["boot_disk"] is None


def test_a_session_can_be_ended_by_the_next_job(target: vsphere.VsphereTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr(lease, "abort_by_id", lambda session, ref: ended.append(ref))
    target.abort_stale(target.trace)
    target.close()
    assert ended == ["session[52ab]0"] and target.session.closed
