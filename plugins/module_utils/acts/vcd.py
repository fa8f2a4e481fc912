# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A workload in Cloud Director: what its machine is to be, and the target of a pass.

Its disks go up as a template of our catalog; the machine is made from it in the vApp of its move group, and the
template is dropped. What was begun and not finished is found by names that follow from the workload alone: the
template's, and the stamp in the machine's description.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Union

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.transfer import (
    IMPORTING,
    STARTED,
    VERIFIED,
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
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    download,
    network,
    objects,
    org,
    ovf,
    spec,
    template,
    vapp,
    vm,
    wire,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.spec import DiskSpec, NicSpec, VmSpec
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.spec import DiskPlace

PREFIX = "cloudexit."
CATALOG = "cloudexit"
_POWER = {"on": "poweredOn", "off": "poweredOff"}
Subnets = Mapping[str, Union[ipaddress.IPv4Network, ipaddress.IPv6Network]]  # noqa: UP007  as in model/edit.py: pylint


def vapp_name(workload: Workload) -> str:
    """The vApp of its move group."""
    prefix = workload.data.target.vapp_prefix or workload.tenant
    return f"{prefix}-{workload.data.group}"


def template_name(workload: Workload) -> str:
    """The template that its disks go up in: the same on every run."""
    return f"cloudexit-{workload.instance_uuid}"


def spec_of(workload: Workload, subnets: Subnets | None = None) -> VmSpec:
    """The machine that the plan wants. subnets: of the networks, by name; where they hold a card's address, it is kept.

    A card whose address its network does not hold gets what DHCP gives.
    """
    data = workload.data
    computer = re.sub(r"[^A-Za-z0-9-]+", "-", data.name).strip("-")[:63].rstrip("-")
    return VmSpec(
        name=data.name,
        cpus=data.cpus,
        memory_mib=data.memory_mib,
        firmware=data.firmware,
        guest_id=data.guest.os,
        disks=tuple(
            DiskSpec(disk.size_gib * GIB, disk.controller, storage_profile=disk.storage_profile or "")
            for disk in data.disks
        ),
        nics=tuple(
            _card(nic.target or "", nic.addresses, nic.type, nic.mac if nic.keep_mac else "", subnets)
            for nic in data.nics
        ),
        computer_name=computer,
        description=f"Moved from server {workload.server_id} by cloudexit. {vm.stamp(workload.marks)}",
        storage_profile=data.target.storage_profile,
    )


def _card(name: str, addresses: list[str], kind: str, mac: str, subnets: Subnets | None) -> NicSpec:
    if not name:
        return NicSpec("", "NONE", "", mac, kind, False)
    held = None if subnets is None else subnets.get(name)
    kept = [one for one in addresses if held is None or ipaddress.ip_address(one) in held]
    if kept and (subnets is None or held is not None):
        return NicSpec(name, "MANUAL", kept[0], mac, kind)
    return NicSpec(name, "DHCP", "", mac, kind)


@dataclass(frozen=True)
class Place:
    """Where the plan wants it: the VDC, the storage profile, and the subnets of the networks."""

    vdc: org.Vdc
    profile: org.Profile
    subnets: Subnets


def place_of(workload: Workload, session: Session) -> Place:
    """Where the plan wants it. Raises InvalidInput with everything that is missing."""
    target = workload.data.target
    found: list[Problem] = []
    if session.who.org.lower() != target.org.lower():
        found.append(Problem("target.org", f"is {target.org}, but the log-in is one of {session.who.org}"))
    vdc = org.vdc(session, target.vdc)
    if not vdc.enabled:
        found.append(Problem("target.vdc", f"the VDC {vdc.name} is disabled"))
    profile = None
    try:
        profile = vdc.profile(target.storage_profile)
    except InvalidInput as error:
        found += [Problem("target.storage_profile", problem.message) for problem in error.problems]
    for index, disk in enumerate(workload.data.disks):
        try:
            if disk.storage_profile:
                vdc.profile(disk.storage_profile)
        except InvalidInput as error:
            found += [Problem(f"disks[{index}].storage_profile", problem.message) for problem in error.problems]
    wanted = {nic.target for nic in workload.data.nics if nic.target}
    missing = sorted(wanted - set(vdc.networks))
    there = ", ".join(sorted(vdc.networks)) or "none"
    found += [Problem("networks", f"the VDC {vdc.name} has no network {name!r} (it has {there})") for name in missing]
    if found or profile is None:
        raise InvalidInput("the target is not as the plan says", found)
    return Place(vdc, profile, _subnets(session) if wanted else {})


def _check_space(place: Place, wanted: VmSpec) -> None:
    """Raise InvalidInput where a storage profile has too little room.

    The template and the machine made of it are there at the same time, in the profile of the machine; from there a disk
    goes to one of its own.
    """
    need = {place.profile.name: 2 * sum(disk.capacity_bytes for disk in wanted.disks)}
    for disk in wanted.disks:
        if disk.storage_profile not in ("", place.profile.name):
            need[disk.storage_profile] = need.get(disk.storage_profile, 0) + disk.capacity_bytes
    org.check_space(place.vdc, need, copies=1)


def _subnets(session: Session) -> Subnets:
    found: dict[str, ipaddress.IPv4Network | ipaddress.IPv6Network] = {}
    for one in network.networks(session):
        for subnet in wire.objects(wire.mapping(one.get("subnets")).get("values"))[:1]:
            with contextlib.suppress(ValueError):
                text = f"{wire.string(subnet.get('gateway'))}/{subnet.get('prefixLength')}"
                found[wire.string(one.get("name"))] = ipaddress.ip_interface(text).network
    return found


def machine_of(found: vm.Vm, entries: Mapping[str, str]) -> Machine:
    """A machine in the terms of a pass. entries: its metadata."""
    marks = {key[len(PREFIX) :]: value for key, value in entries.items() if key.startswith(PREFIX)}
    ref = f"vm-{found.uuid}"
    manifests = {key[9:]: root for key, root in sorted(marks.items()) if key.startswith("manifest.")}
    summary = {
        "moref": ref,
        "name": found.name,
        "instance_uuid": found.uuid,
        "power": _POWER.get(found.power, found.power),
        "state": marks.get("state", ""),
        "tools_running": False,
        "hostname": "",
        "addresses": list(found.addresses),
        "manifests": manifests,
        "cpus": found.cpus,
        "memory_mib": found.memory_mib,
        "firmware": found.firmware,
        "guest_id": found.guest_id,
        "disks": [
            {
                "place": str(disk.place),
                "capacity_bytes": disk.size_mib << 20,
                "storage_profile": disk.storage_profile or found.storage_profile,
            }
            for disk in found.disks
        ],
        "nics": [
            {"type": nic.type, "mac": nic.mac, "network": nic.network, "start_connected": nic.connected}
            for nic in found.nics
        ],
    }
    return Machine(ref, found.name, found.powered_on, marks, summary)


def spec_text(workload: Workload) -> dict[str, Any]:
    """What the machine will be, for a diff."""
    wanted = spec_of(workload)
    places = spec.places(wanted.disks)
    return {
        "vdc": workload.data.target.vdc,
        "vapp": vapp_name(workload),
        "name": wanted.name,
        "cpus": wanted.cpus,
        "memory_mib": wanted.memory_mib,
        "firmware": wanted.firmware,
        "guest_id": wanted.guest_id,
        "disks": [
            {
                "place": str(place),
                "capacity_bytes": disk.capacity_bytes,
                "storage_profile": disk.storage_profile or wanted.storage_profile or "the default of the VDC",
            }
            for place, disk in zip(places, wanted.disks, strict=True)
        ],
        "nics": [
            {"type": nic.type, "mac": nic.mac or None, "network": nic.network, "mode": nic.mode, "address": nic.address}
            for nic in wanted.nics
        ],
        "power": "poweredOff",
    }


def find(workload: Workload, session: Session) -> Machine | None:
    """The machine of the workload, None where there is none. Raises Conflict where several have its marks."""
    found = _find(workload, session)
    return machine_of(*found) if found else None


def _find(workload: Workload, session: Session) -> tuple[vm.Vm, dict[str, str]] | None:
    vdc = org.vdc(session, workload.data.target.vdc)
    box = vapp.find(session, vdc, vapp_name(workload))
    return vm.find(session, workload.marks, box.vms if box else (), vdc=vdc.href)


def problems(workload: Workload, session: Session) -> list[Problem]:
    """Everything at the target that forbids the move."""
    wanted = spec_of(workload)
    found = [Problem(problem.path.lstrip("."), problem.message) for problem in spec.problems(wanted, "")]
    try:
        place = place_of(workload, session)
        _check_space(place, wanted)
    except InvalidInput as error:
        return found + error.problems
    box = vapp.find(session, place.vdc, vapp_name(workload))
    taken = box.machine(wanted.name) if box else None
    if taken is not None and not workload.marks.owns(Marks.from_extra_config(vm.marks_of(session, taken))):
        found.append(Problem("name", f"the vApp {vapp_name(workload)} has another machine named {wanted.name!r}"))
    if box is not None:
        hrefs = {name: place.vdc.networks[name] for name in _names(wanted)}
        try:
            vapp.missing_networks(box, hrefs)
        except Conflict as error:
            found.append(Problem("networks", str(error)))
    return found


def _names(wanted: VmSpec) -> list[str]:
    return sorted({nic.network for nic in wanted.nics if nic.network})


class VcdTarget:
    """The target of one workload's pass, on one session."""

    sized = True

    def __init__(self, workload: Workload, session: Session) -> None:
        self.workload = workload
        self.session = session
        self._found: dict[str, vm.Vm] = {}

    @property
    def trace(self) -> str:
        """By which `abort_stale` finds whatever this has open, should its process die."""
        return template_name(self.workload)

    def find(self) -> Machine | None:
        found = _find(self.workload, self.session)
        if found is None:
            return None
        machine = machine_of(*found)
        self._found[machine.ref] = found[0]
        return machine

    def owns(self, machine: Machine) -> bool:
        return self.workload.marks.owns(
            Marks.from_extra_config({f"{PREFIX}{key}": value for key, value in machine.marks.items()})
        )

    def abort_stale(self, lease_ref: str) -> None:
        """End an upload that a dead job left, and a download."""
        if lease_ref != self.trace:
            return
        self._drop_templates()
        found = _find(self.workload, self.session)
        if found is not None and not found[0].powered_on:
            download.disable(self.session, found[0].href)

    def _drop_templates(self) -> None:
        """Remove templates of this workload, finished or not."""
        for row in template.find(self.session, self.trace, self._catalog):
            if row.get("name") == self.trace:
                template.remove(self.session, row.get("href", ""))

    @property
    def _catalog(self) -> str:
        return self.workload.data.target.catalog or CATALOG

    def destroy(self, machine: Machine) -> None:
        found = self._found[machine.ref]
        if machine.state != IMPORTING:
            # from here on it is an unfinished one, whatever happens to us
            vm.set_marks(self.session, found, replace(self.workload.marks, state=IMPORTING))
        vm.destroy_ours(self.session, found, self.workload.marks)

    def open_import(self, marks: Mapping[str, str], lengths: Mapping[int, int] | None = None) -> _Import:
        session, workload = self.session, self.workload
        if lengths is None:
            raise CloudExitError("Cloud Director wants the lengths of all disks before the first byte")
        place = place_of(workload, session)
        wanted = spec_of(workload, place.subnets)
        wanted = replace(wanted, hardware_version=place.vdc.hardware_version())
        _check_space(place, wanted)
        text = f"Move group {workload.data.group} of tenant {workload.tenant}, by cloudexit."
        box, _made = vapp.ensure(session, place.vdc, vapp_name(workload), description=_stamped(workload, text))
        networks = {name: place.vdc.networks[name] for name in _names(wanted)}
        vapp.ensure_networks(session, box, networks)
        text = "Uploads of cloudexit, on their way"
        catalog, _new = org.ensure_catalog(
            session, self._catalog, description=_stamped(workload, text), profile=place.profile
        )
        self._drop_templates()
        sizes = [lengths[index] for index in range(len(wanted.disks))]
        transfer = template.begin(
            session,
            catalog,
            self.trace,
            ovf.write(wanted, sizes),
            {ovf.file_name(index): size for index, size in enumerate(sizes)},
            description=vm.stamp(workload.marks),
            storage_profile=place.profile.href,
        )
        return _Import(self, transfer, box, networks, wanted, place, marks)

    def mark(self, ref: str, marks: Mapping[str, str]) -> None:
        more = {f"{PREFIX}{key}": value for key, value in marks.items() if key != "state"}
        found = vm.get(self.session, _href(ref))
        vm.set_marks(self.session, found, replace(self.workload.marks, state=marks.get("state", "")), more)

    def open_export(self, ref: str) -> _Export:
        found = vm.get(self.session, _href(ref))
        package = download.open_package(self.session, found.href, found.name, system=found.name)
        return _Export(ref, package, spec.places(spec_of(self.workload).disks))

    def close(self) -> None:
        self.session.close()


def _href(ref: str) -> str:
    return f"/api/vApp/{ref}"


def _stamped(workload: Workload, text: str) -> str:
    """A description with the owner stamp by which `vcd_vapp` and `vcd_catalog` know what is ours."""
    return objects.stamped(text, workload.tenant, {"description": text})


class _Import:
    def __init__(
        self,
        target: VcdTarget,
        transfer: template.Transfer,
        box: vapp.VApp,
        networks: Mapping[str, str],
        wanted: VmSpec,
        place: Place,
        marks: Mapping[str, str],
    ) -> None:
        self.target = target
        self.transfer = transfer
        self.box = box
        self.networks = networks
        self.wanted = wanted
        self.place = place
        self.marks = marks
        self.ref = target.trace

    def send(self, index: int, produce: Produce, length: int | None) -> None:
        name = ovf.file_name(index)
        if length != self.transfer.sizes[name]:
            raise CloudExitError(f"{length} bytes are to be sent as {name}, {self.transfer.sizes[name]} were announced")
        self.transfer.send(name, produce)

    def progress(self, percent: int) -> None:
        """Cloud Director is not told; the transfer keeps its session alive itself."""

    def complete(self) -> str:
        uploaded = self.transfer.complete()
        try:
            made = self._make(uploaded)
        except BaseException:
            with contextlib.suppress(CloudExitError):
                template.remove(self.target.session, uploaded.href)
            raise
        template.remove(self.target.session, uploaded.href)
        return f"vm-{made.uuid}"

    def _make(self, uploaded: template.Template) -> vm.Vm:
        """The machine from the template, as the plan wants it; marked before anything else is done to it."""
        session, workload = self.target.session, self.target.workload
        firmware = session.at_least(vm.FIRMWARE_SINCE)
        vapp.ensure_networks(session, vapp.get(session, self.box.href), self.networks)  # the upload took its time
        made = vapp.add_machine(session, self.box, uploaded, self.wanted, storage_profile=self.place.profile.href)
        more = {f"{PREFIX}{key}": value for key, value in self.marks.items() if key != "state"}
        vm.set_marks(session, made, replace(workload.marks, state=self.marks["state"]), more)
        profiles = {name: one.href for name, one in self.place.vdc.profiles.items()}
        changes = vm.plan(made, self.wanted, firmware=firmware)
        made = vm.apply(session, made, self.wanted, changes, profiles=profiles)
        left = vm.plan(made, self.wanted, firmware=firmware)
        if left:
            raise Conflict(f"The machine {made.name} is not as the plan says", cause="; ".join(map(str, left.changes)))
        return made

    def abort(self, message: str) -> None:
        """Take away the upload and an unfinished machine."""
        self.transfer.abort(message)
        found = self.target.find()
        if found is not None and found.state == IMPORTING and not found.running:
            self.target.destroy(found)


class _Export:
    def __init__(self, ref: str, package: download.Package, places: list[DiskPlace]) -> None:
        self.ref = ref
        self.package = package
        self.places = places

    def _disk(self, index: int) -> ovf.PackageDisk:
        disk = next((one for one in self.package.disks if one.place == self.places[index]), None)
        if disk is None:
            raise NotFound(f"Disk {index + 1} of {self.package.name} is not in its package", cause="none has its place")
        return disk

    @contextmanager
    def fetch(self, index: int) -> Iterator[Readable]:
        with self.package.fetch(self._disk(index)) as stream:
            yield stream.buffered()

    def ranged(self, index: int) -> download.Ranges | None:
        return self.package.ranges(self._disk(index))

    def progress(self, percent: int) -> None:
        """Cloud Director is not told."""

    def complete(self) -> None:
        self.package.close()

    def abort(self, message: str) -> None:
        self.package.close()


def started(workload: Workload, session: Session, *, dry_run: bool, timeout: float) -> tuple[bool, Machine, Machine]:
    """Network cards connected, marked as started, switched on: (whether anything changed, before, after).

    Raises NotFound where there is no machine, Conflict where it is not ours or not verified.
    """
    found, before = _ours(workload, session)
    if before.state not in (VERIFIED, STARTED):
        raise CloudExitError(
            f"The machine {before.name!r} ({before.ref}) is not started",
            cause=f"its state is {before.state!r}: it is not proven that it holds what the source held",
            hint="Run the migration again; it goes on from here.",
        )
    loose = any(nic.network and not nic.connected for nic in found.nics)
    todo = before.state != STARTED or not before.running or loose
    if not todo or dry_run:
        return todo, before, before
    if before.state != STARTED:
        vm.set_marks(session, found, replace(workload.marks, state=STARTED))
    vm.connect_nics(session, found, True)
    vm.power_on(session, found, timeout=timeout)
    return True, before, _ours(workload, session)[1]


def stopped(
    workload: Workload, session: Session, *, dry_run: bool, timeout: float, state: str
) -> tuple[bool, Machine, Machine]:
    """Shut down (switched off where the guest does not follow), kept, and marked with `state`."""
    found, before = _ours(workload, session)
    remark = bool(state) and before.state == STARTED
    todo = before.running or remark
    if not todo or dry_run:
        return todo, before, before
    if before.running:
        vm.shut_down(session, found, timeout=timeout, force=True)
    if remark:
        vm.set_marks(session, found, replace(workload.marks, state=state))
    return True, before, _ours(workload, session)[1]


def _ours(workload: Workload, session: Session) -> tuple[vm.Vm, Machine]:
    found = _find(workload, session)
    if found is None:
        raise NotFound(
            f"There is no machine of workload {workload.host} at the target",
            cause=f"none in the VDC {workload.data.target.vdc} carries its marks",
            hint="Run the migration first.",
        )
    return found[0], machine_of(*found)
