# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A workload in vSphere: what its machine is to be, and the target of a pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.transfer import (
    LengthRequired,
    Machine,
    Produce,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import GIB, Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.vmdk_decode import Readable
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import (
    lease,
    placement,
    upload,
    vm,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import (
    spec as specs,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.spec import (
    DiskSpec,
    NicSpec,
    VmSpec,
)

PREFIX = "cloudexit."
LEASE_S = 360.0
"""Seconds after which a lease that nobody keeps alive is certainly over (300 in vCenter)."""


def spec_of(workload: Workload, marks: Marks | None = None, extra: Mapping[str, str] | None = None) -> VmSpec:
    """The machine that the plan wants. extra: further marks, keys without the prefix."""
    data = workload.data
    return VmSpec(
        name=data.name,
        cpus=data.cpus,
        memory_mib=data.memory_mib,
        firmware=data.firmware,
        guest_id=data.guest.os,
        disks=tuple(
            DiskSpec(
                capacity_bytes=disk.size_gib * GIB,
                controller=disk.controller,
                datastore=disk.datastore,
                label=f"disk {number + 1}",
            )
            for number, disk in enumerate(data.disks)
        ),
        nics=tuple(
            NicSpec(network=nic.target or "", type=nic.type, mac=nic.mac if nic.keep_mac else None) for nic in data.nics
        ),
        marks=marks or workload.marks,
        annotation=f"Moved from server {workload.server_id} of tenant {workload.tenant} by cloudexit.",
        instance_uuid=workload.instance_uuid,
        extra_config={f"{PREFIX}{key}": value for key, value in (extra or {}).items()},
    )


def place_of(workload: Workload, session: Session) -> placement.Placement:
    """Where the plan wants it. Raises InvalidInput with everything that is missing."""
    target = workload.data.target
    return placement.resolve(
        session,
        datacenter=target.datacenter,
        compute=target.compute,
        datastore=target.datastore,
        folder=target.folder,
        networks=[nic.target for nic in workload.data.nics if nic.target],
        datastores=[disk.datastore for disk in workload.data.disks if disk.datastore],
        spread=workload.host,
    )


def boot_index(workload: Workload) -> int:
    """Which of the disks is booted from."""
    return next((n for n, disk in enumerate(workload.data.disks) if disk.boot), 0)


def machine_of(found: vm.Vm) -> Machine:
    """A machine in the terms of a pass."""
    marks = {key[len(PREFIX) :]: value for key, value in found.extra.items() if key.startswith(PREFIX)}
    return Machine(found.moref, found.name, found.powered_on, marks, found.summary())


class VsphereTarget:
    """The target of one workload's pass, on one session."""

    sized = False

    def __init__(self, workload: Workload, session: Session, *, spool_dir: str | None = None) -> None:
        self.workload = workload
        self.session = session
        self.spool_dir = spool_dir
        self._found: dict[str, vm.Vm] = {}

    @property
    def trace(self) -> str:
        """By which `abort_stale` ends whatever this session has open, should its process die."""
        return f"session[{self.session.key}]0"

    def find(self) -> Machine | None:
        found = vm.find(self.session, self.workload.instance_uuid)
        if found is None:
            return None
        self._found[found.moref] = found
        return machine_of(found)

    def owns(self, machine: Machine) -> bool:
        return self.workload.marks.owns(self._found[machine.ref].marks)

    def abort_stale(self, lease_ref: str) -> None:
        lease.abort_by_id(self.session, lease_ref)

    def destroy(self, machine: Machine) -> None:
        found = self._found[machine.ref]
        if found.marks is not None and found.marks.state != vm.IMPORTING:
            # from here on it is an unfinished one, whatever happens to us
            found = vm.set_state(self.session, found, vm.IMPORTING)
        vm.destroy_partial(self.session, found, self.workload.marks)

    def open_import(self, marks: Mapping[str, str], lengths: Mapping[int, int] | None = None) -> _Import:
        more = {key: value for key, value in marks.items() if key != "state"}
        spec = spec_of(self.workload, replace(self.workload.marks, state=marks["state"]), more)
        place = place_of(self.workload, self.session)
        placement.check_space(place, spec)
        placement.check_name(self.session, place, spec.name, spec.instance_uuid)
        return _Import(lease.open_import(self.session, place, spec), self.spool_dir)

    def mark(self, ref: str, marks: Mapping[str, str]) -> None:
        state = marks.get("state", "")
        manifests = {int(key.rpartition(".")[2]): value for key, value in marks.items() if key.startswith("manifest.")}
        more = {
            f"{PREFIX}{key}": value
            for key, value in marks.items()
            if key != "state" and not key.startswith("manifest.")
        }
        vm.set_marks(
            self.session,
            ref,
            replace(self.workload.marks, state=state),
            manifests=manifests,
            extra=more,
            boot_disk=boot_index(self.workload) if manifests and boot_index(self.workload) else None,
        )

    def open_export(self, ref: str) -> _Export:
        """While a lease that a dead job left holds the machine, try again until that lease has timed out."""
        busy: list[CloudExitError] = []

        def once() -> lease.ExportLease | None:
            try:
                return lease.open_export(self.session, ref)
            except Conflict as error:
                if not error.retryable:
                    raise
                busy.append(error)
                return None

        opened = self.session.poll(once, timeout=LEASE_S, pause=1.0)
        if opened is None:
            raise busy[-1]
        return _Export(opened)

    def close(self) -> None:
        self.session.close()


class _Import:
    def __init__(self, opened: lease.ImportLease, spool_dir: str | None) -> None:
        self.opened = opened
        self.ref = opened.lease_id
        self.spool_dir = spool_dir

    def send(self, index: int, produce: Produce, length: int | None) -> None:
        mode = "chunked" if length is None else "sized"
        try:
            self.opened.upload(index, produce, length=length, mode=mode, spool_dir=self.spool_dir)
        except upload.LengthRequired as error:
            raise LengthRequired(error.what, cause=error.cause, hint=error.hint) from error

    def progress(self, percent: int) -> None:
        self.opened.progress(percent)

    def complete(self) -> str:
        return self.opened.complete()

    def abort(self, message: str) -> None:
        self.opened.abort(message)


class _Export:
    def __init__(self, opened: lease.ExportLease) -> None:
        self.opened = opened
        self.ref = opened.lease_id

    @contextmanager
    def fetch(self, index: int) -> Iterator[Readable]:
        with self.opened.download(index) as stream:
            yield stream.buffered()

    def ranged(self, index: int) -> None:
        """vCenter makes the stream while it sends it: it cannot be read in places."""

    def progress(self, percent: int) -> None:
        self.opened.progress(percent)

    def complete(self) -> None:
        self.opened.complete()

    def abort(self, message: str) -> None:
        self.opened.abort(message)


def find(workload: Workload, session: Session) -> Machine | None:
    """The machine of the workload, None where there is none. Raises Conflict for one that is not ours."""
    found = vm.find_ours(session, workload.instance_uuid, workload.marks)
    return machine_of(found) if found else None


def problems(workload: Workload, session: Session) -> list[Problem]:
    """Everything at the target that forbids the move."""
    wanted = spec_of(workload)
    found = [Problem(problem.path.lstrip("."), problem.message) for problem in specs.validate(wanted, "")]
    try:
        place = place_of(workload, session)
    except InvalidInput as error:
        return found + error.problems
    found += placement.space_problems(place, wanted)
    try:
        placement.check_name(session, place, wanted.name, wanted.instance_uuid)
    except Conflict as error:
        found.append(Problem("name", str(error)))
    return found


def spec_text(workload: Workload) -> dict[str, Any]:
    """What the machine will be, for a diff."""
    return {**vm.describe_spec(spec_of(workload)), "instance_uuid": workload.instance_uuid, "power": "poweredOff"}


def started(workload: Workload, session: Session, *, dry_run: bool, timeout: float) -> tuple[bool, vm.Vm, vm.Vm]:
    """Network cards connected, marked as started, switched on: (whether anything changed, before, after).

    Raises NotFound where there is no machine, Conflict where it is not ours or not verified.
    """
    before = _ours(workload, session)
    state = before.marks.state if before.marks else ""
    if state not in ("verified", "started"):
        raise CloudExitError(
            f"The machine {before.name!r} ({before.moref}) is not started",
            cause=f"its state is {state!r}: it is not proven that it holds what the source held",
            hint="Run the migration again; it goes on from here.",
        )
    todo = state != "started" or not before.powered_on or any(not nic.start_connected for nic in before.nics)
    if not todo or dry_run:
        return todo, before, before
    if state != "started":
        vm.set_state(session, before, "started")
    vm.connect_nics(session, before, True)
    vm.power_on(session, before, timeout=timeout)
    return True, before, vm.get(session, before.moref)


def stopped(
    workload: Workload, session: Session, *, dry_run: bool, timeout: float, state: str
) -> tuple[bool, vm.Vm, vm.Vm]:
    """Shut down (switched off where the guest does not follow), kept, and marked with `state`."""
    before = _ours(workload, session)
    marked = before.marks.state if before.marks else ""
    remark = bool(state) and marked == "started"
    todo = before.powered_on or remark
    if not todo or dry_run:
        return todo, before, before
    if before.powered_on:
        vm.shut_down(session, before, timeout=timeout, force=True)
    if remark:
        vm.set_state(session, before, state)
    return True, before, vm.get(session, before.moref)


def _ours(workload: Workload, session: Session) -> vm.Vm:
    found = vm.find_ours(session, workload.instance_uuid, workload.marks)
    if found is None:
        raise NotFound(
            f"There is no machine of workload {workload.host} at the target",
            cause=f"none has the instance UUID {workload.instance_uuid}",
            hint="Run the migration first.",
        )
    return found
