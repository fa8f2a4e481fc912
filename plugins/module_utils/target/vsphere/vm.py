# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines: finding ours, marking, switching, and removing one that was never finished.

A machine of ours has the instance UUID that its tenant and source make (`marks.target_uuid`), so that one call finds
it; the owner marks in its extraConfig then prove it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    Conflict,
    NotFound,
    Refused,
    Timeout,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import vmomi
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.lease import disk_order
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.spec import (
    NIC_TYPES,
    VmSpec,
    capacity_of,
    layout,
    unescape_name,
)

IMPORTING = "importing"
MANIFEST_KEY = "cloudexit.manifest."
_PATHS = [
    "name",
    "config.instanceUuid",
    "config.uuid",
    "config.firmware",
    "config.guestId",
    "config.annotation",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "config.hardware.device",
    "config.extraConfig",
    "runtime.powerState",
    "guest.toolsRunningStatus",
    "guest.hostName",
    "guest.ipAddress",
    "guest.net",
]


@dataclass(frozen=True)
class VmDisk:
    """A disk as it is: place as `pvscsi0:1`, size in bytes, device key, file in the datastore."""

    place: str
    capacity_bytes: int
    key: int
    file: str = ""


@dataclass(frozen=True)
class VmNic:
    """A network card as it is: type, MAC, network by name, whether it is connected at power-on and now."""

    type: str
    mac: str
    network: str
    key: int
    start_connected: bool
    connected: bool
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vm:
    """A machine as vCenter describes it, in plain values."""

    moref: str
    name: str
    instance_uuid: str
    uuid: str
    power: str
    cpus: int
    memory_mib: int
    firmware: str
    guest_id: str
    annotation: str
    disks: tuple[VmDisk, ...]
    nics: tuple[VmNic, ...]
    extra: Mapping[str, str] = field(default_factory=dict)
    tools_running: bool = False
    hostname: str = ""
    addresses: tuple[str, ...] = ()

    @property
    def marks(self) -> Marks | None:
        """The owner marks; None when the machine is not ours."""
        return Marks.from_extra_config(self.extra)

    @property
    def manifests(self) -> dict[int, str]:
        """Roots of the manifests by disk, as they were written down after the import."""
        found = {}
        for key, value in self.extra.items():
            index = key.removeprefix(MANIFEST_KEY)
            if key.startswith(MANIFEST_KEY) and index.isdigit():
                found[int(index)] = value
        return found

    @property
    def powered_on(self) -> bool:
        """Whether it runs."""
        return self.power == "poweredOn"

    def summary(self) -> dict[str, Any]:
        """For reports: ids, state, hardware and addresses; sizes in bytes and MiB."""
        marks = self.marks
        return {
            "moref": self.moref,
            "name": self.name,
            "instance_uuid": self.instance_uuid,
            "power": self.power,
            "state": marks.state if marks else "",
            "tools_running": self.tools_running,
            "hostname": self.hostname,
            "addresses": list(self.addresses),
            "manifests": {str(index): root for index, root in sorted(self.manifests.items())},
            **self.describe(),
        }

    def describe(self) -> dict[str, Any]:
        """The hardware, in the shape of `describe_spec`: the two can be compared and shown as a diff."""
        return {
            "name": self.name,
            "cpus": self.cpus,
            "memory_mib": self.memory_mib,
            "firmware": self.firmware,
            "guest_id": self.guest_id,
            "disks": [{"place": disk.place, "capacity_bytes": disk.capacity_bytes} for disk in self.disks],
            "nics": [
                {"type": nic.type, "mac": nic.mac, "network": nic.network, "start_connected": nic.start_connected}
                for nic in self.nics
            ],
        }


def describe_spec(spec: VmSpec) -> dict[str, Any]:
    """What a machine made from `spec` will be, in the shape of `Vm.describe`; a MAC that vCenter makes is None."""
    places = layout(spec.disks)[0]
    return {
        "name": spec.name,
        "cpus": spec.cpus,
        "memory_mib": -(-spec.memory_mib // 4) * 4,
        "firmware": spec.firmware,
        "guest_id": spec.guest_id,
        "disks": [
            {"place": str(place), "capacity_bytes": capacity_of(disk)}
            for disk, place in zip(spec.disks, places, strict=True)
        ],
        "nics": [
            {
                "type": nic.type,
                "mac": nic.mac.lower() if nic.mac else None,
                "network": nic.network,
                "start_connected": nic.start_connected,
            }
            for nic in spec.nics
        ],
    }


def find(session: Session, instance_uuid: str) -> Vm | None:
    """The machine with this instance UUID, or None. Two calls. Raises Conflict when several have it."""
    what = f"cannot look for the machine {instance_uuid}"
    index = session.content.searchIndex
    found = session.run(
        what, lambda: index.FindAllByUuid(uuid=instance_uuid, vmSearch=True, instanceUuid=True), repeat=True
    )
    if not found:
        return None
    if len(found) > 1:
        morefs = ", ".join(sorted(one._moId for one in found))
        raise Conflict(what, cause=f"{morefs} have the same instance UUID", hint="Remove the copies, or change theirs.")
    try:
        return get(session, found[0]._moId)
    except NotFound:
        return None  # removed in between


def find_ours(session: Session, instance_uuid: str, marks: Marks) -> Vm | None:
    """As `find`, but the machine must carry the marks of this tenant and source; otherwise Conflict."""
    vm = find(session, instance_uuid)
    if vm is not None and not marks.owns(vm.marks):
        raise Conflict(
            f"{vm.name} ({vm.moref}) has the instance UUID of our machine",
            cause="it does not carry our owner marks",
            hint="It was copied or changed by hand; nothing was done to it.",
        )
    return vm


def get(session: Session, moref: str) -> Vm:
    """A machine by id. Raises NotFound."""
    what = f"cannot read the machine {moref}"
    values = session.read([session.ref("VirtualMachine", moref)], _PATHS, what).get(moref)
    if values is None:
        raise NotFound(what)
    return _plain(moref, values, _group_names(session, values.get("config.hardware.device") or [], what))


def _group_names(session: Session, devices: Sequence[Any], what: str) -> dict[str, str]:
    """Names of the distributed port groups that a machine's network cards are in, by their keys; no call for none."""
    keys = {str(device.backing.port.portgroupKey) for device in devices if getattr(device.backing, "port", None)}
    groups = [session.ref("DistributedVirtualPortgroup", key) for key in sorted(keys)]
    try:
        found = session.read(groups, ["name"], what)
    except NotFound:
        return {}  # a key is the id of its group unless the switch was restored from a backup
    return {key: unescape_name(str(values.get("name", key))) for key, values in found.items()}


def _plain(moref: str, values: Mapping[str, Any], groups: Mapping[str, str]) -> Vm:
    extra = {
        str(option.key): str(option.value)
        for option in values.get("config.extraConfig") or []
        if isinstance(option.value, (str, int, bool))
    }
    devices = values.get("config.hardware.device") or []
    by_key = {device.key: device for device in devices}
    disks = tuple(
        VmDisk(
            place=str(place),
            capacity_bytes=int(by_key[key].capacityInBytes or by_key[key].capacityInKB * 1024),
            key=key,
            file=str(getattr(by_key[key].backing, "fileName", "") or ""),
        )
        for place, key in disk_order(devices, extra)
    )
    guest_nets = {int(net.deviceConfigId): net for net in values.get("guest.net") or []}
    nics = tuple(_nic(device, guest_nets.get(int(device.key)), groups) for device in devices if _is_nic(device))
    main = values.get("guest.ipAddress")
    addresses = [str(main)] if main else []
    addresses += [address for nic in nics for address in nic.addresses if address not in addresses]
    return Vm(
        moref=moref,
        name=unescape_name(str(values.get("name", ""))),
        instance_uuid=str(values.get("config.instanceUuid", "")),
        uuid=str(values.get("config.uuid", "")),
        power=str(values.get("runtime.powerState", "")),
        cpus=int(values.get("config.hardware.numCPU", 0)),
        memory_mib=int(values.get("config.hardware.memoryMB", 0)),
        firmware=str(values.get("config.firmware", "")),
        guest_id=str(values.get("config.guestId", "")),
        annotation=str(values.get("config.annotation", "") or ""),
        disks=disks,
        nics=nics,
        extra=extra,
        tools_running=str(values.get("guest.toolsRunningStatus", "")) == "guestToolsRunning",
        hostname=str(values.get("guest.hostName", "") or ""),
        addresses=tuple(addresses),
    )


def _is_nic(device: Any) -> bool:
    return isinstance(device, vmomi.vim().vm.device.VirtualEthernetCard)


def _nic(device: Any, net: Any, groups: Mapping[str, str]) -> VmNic:
    names = {class_name: name for name, class_name in NIC_TYPES.items()}
    kind = vmomi.fault_name(device)
    backing = device.backing
    port = getattr(backing, "port", None)
    group = str(getattr(port, "portgroupKey", "") or "")
    network = unescape_name(str(getattr(backing, "deviceName", "") or "")) or groups.get(group, group)
    connectable = device.connectable
    return VmNic(
        type=names.get(kind, kind),
        mac=str(device.macAddress or "").lower(),
        network=network,
        key=int(device.key),
        start_connected=bool(connectable and connectable.startConnected),
        connected=bool(connectable and connectable.connected),
        addresses=tuple(str(one) for one in (getattr(net, "ipAddress", None) or [])),
    )


def set_marks(
    session: Session,
    moref: str,
    marks: Marks,
    *,
    manifests: Mapping[int, str] | None = None,
    extra: Mapping[str, str] | None = None,
    boot_disk: int | None = None,
) -> None:
    """Write owner marks (and roots of manifests, by disk) into a machine's extraConfig.

    boot_disk: also make that disk, by index, the one to boot from. Only a machine that carries the same owner's marks
    is touched; otherwise Conflict.
    """
    vm = get(session, moref)
    if not marks.owns(vm.marks):
        raise Conflict(f"cannot mark {vm.name} ({moref})", cause="it does not carry our owner marks")
    vim = vmomi.vim()
    values = {**marks.to_extra_config(), **(extra or {})}
    values.update({f"{MANIFEST_KEY}{index}": root for index, root in (manifests or {}).items()})
    changed = {key: value for key, value in values.items() if vm.extra.get(key) != value}
    config = vim.vm.ConfigSpec(
        extraConfig=[vim.option.OptionValue(key=key, value=value) for key, value in changed.items()]
    )
    if boot_disk is not None:
        device = vim.vm.BootOptions.BootableDiskDevice(deviceKey=vm.disks[boot_disk].key)
        config.bootOptions = vim.vm.BootOptions(bootOrder=[device])
    if changed or boot_disk is not None:
        _reconfigure(session, moref, config, f"cannot mark {vm.name}")


def set_state(session: Session, vm: Vm, state: str, **more: Any) -> Vm:
    """Change the `state` mark of a machine of ours; the machine as it is then. `more` as for `set_marks`."""
    if vm.marks is None:
        raise Conflict(f"cannot mark {vm.name} ({vm.moref})", cause="it does not carry our owner marks")
    set_marks(session, vm.moref, replace(vm.marks, state=state), **more)
    return get(session, vm.moref)


def connect_nics(session: Session, vm: Vm, connected: bool) -> bool:
    """Have all network cards connected (or not) from the next power-on, and now where it runs; whether it changed."""
    vim = vmomi.vim()
    wrong = {
        nic.key for nic in vm.nics if nic.start_connected != connected or (vm.powered_on and nic.connected != connected)
    }
    if not wrong:
        return False
    what = f"cannot change the network cards of {vm.name}"
    devices = session.property(session.ref("VirtualMachine", vm.moref), "config.hardware.device", what) or []
    changes = []
    for device in devices:
        if device.key in wrong:
            device.connectable.startConnected = connected
            device.connectable.connected = connected and vm.powered_on
            changes.append(vim.vm.device.VirtualDeviceSpec(operation="edit", device=device))
    _reconfigure(session, vm.moref, vim.vm.ConfigSpec(deviceChange=changes), what)
    return True


def _reconfigure(session: Session, moref: str, config: Any, what: str) -> None:
    machine = session.ref("VirtualMachine", moref)
    task = session.run(what, lambda: machine.ReconfigVM_Task(spec=config))
    session.wait(task, what)


def power_on(session: Session, vm: Vm, *, timeout: float = 300.0) -> bool:
    """Switch a machine on; False when it was on already."""
    return _power(session, vm, "PowerOnVM_Task", "poweredOn", "start", timeout)


def power_off(session: Session, vm: Vm, *, timeout: float = 300.0) -> bool:
    """Switch a machine off hard; False when it was off already."""
    return _power(session, vm, "PowerOffVM_Task", "poweredOff", "switch off", timeout)


def _power(session: Session, vm: Vm, method: str, state: str, verb: str, timeout: float) -> bool:
    what = f"cannot {verb} {vm.name}"
    machine = session.ref("VirtualMachine", vm.moref)
    if str(session.property(machine, "runtime.powerState", what)) == state:
        return False
    try:
        session.wait(session.run(what, getattr(machine, method)), what, timeout=timeout)
    except Refused:
        if str(session.property(machine, "runtime.powerState", what)) == state:
            return False  # somebody else was quicker
        raise
    return True


def shut_down(session: Session, vm: Vm, *, timeout: float = 300.0, force: bool = False) -> bool:
    """Ask the guest to shut down and wait; False when it was off already.

    Needs VMware Tools in the guest. With `force`, a guest that does not follow in time, or cannot, is switched off;
    without, Refused or Timeout.
    """
    what = f"cannot shut down {vm.name}"
    machine = session.ref("VirtualMachine", vm.moref)

    def off() -> bool | None:
        return True if str(session.property(machine, "runtime.powerState", what)) == "poweredOff" else None

    if off():
        return False
    try:
        session.run(what, machine.ShutdownGuest)
        if session.poll(off, timeout=timeout):
            return True
        problem: Exception = Timeout(
            what, cause=f"the guest still runs after {timeout:g} s", hint="Switch it off hard."
        )
    except Exception as error:
        if not (
            isinstance(error.__cause__, Exception) and vmomi.is_fault(error.__cause__, "vim.fault.ToolsUnavailable")
        ):
            raise
        problem = Refused(what, cause="VMware Tools do not run in the guest", hint="Switch it off hard.")
    if not force:
        raise problem
    return power_off(session, vm, timeout=timeout)


def destroy_partial(session: Session, vm: Vm, marks: Marks, *, timeout: float = 360.0) -> bool:
    """Remove a machine that an import of ours left unfinished; False when it was gone already.

    Only when it carries our marks with the state "importing" and is switched off: anything else raises Conflict and
    nothing is done. While a stale lease holds it, it is tried again until `timeout` (leases end after 300 s); a lease
    that ends may take the machine with it.
    """
    what = f"cannot remove the unfinished machine {vm.name} ({vm.moref})"

    def once() -> bool | None:
        try:
            now = get(session, vm.moref)
        except NotFound:
            return False
        found = now.marks
        if not marks.owns(found) or found is None:
            raise Conflict(what, cause="it does not carry our owner marks")
        if found.state != IMPORTING:
            raise Conflict(what, cause=f"it is not unfinished: its state is {found.state or 'unknown'!r}")
        if now.power != "poweredOff":
            raise Conflict(what, cause=f"it is {now.power}")
        machine = session.ref("VirtualMachine", vm.moref)
        try:
            session.wait(session.run(what, machine.Destroy_Task), what)
        except NotFound:
            return False
        except (Conflict, Refused) as error:
            held = error.retryable or isinstance(error, Refused)  # some versions call a machine under a lease "invalid"
            if not held:
                raise
            return None
        return True

    done = session.poll(once, timeout=timeout, pause=0.5)
    if done is None:
        raise Timeout(
            what,
            cause=f"a lease or a task still holds it after {timeout:g} s",
            hint="Run it again in some minutes: the lease times out by itself.",
            retryable=True,
        )
    return done
