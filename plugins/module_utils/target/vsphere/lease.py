# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NFC leases: an import that makes a machine and takes its disks, an export that gives them.

API: HttpNfcLease, ResourcePool.ImportVApp and VirtualMachine.ExportVm in the vSphere API reference. A lease must hear
of progress within its timeout (300 s on a real vCenter); it belongs to the session that opened it.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    NotFound,
    Timeout,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import upload, vmomi
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.placement import (
    Placement,
    ensure_folder,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.spec import (
    CONTROLLER_OF_CLASS,
    DISK_KEY,
    DiskPlace,
    VmSpec,
    layout,
    to_config_spec,
)

READY_TIMEOUT = 300.0
_ADDRESS = re.compile(r"([A-Za-z]+?)(\d+):(\d+)$")


@dataclass(frozen=True)
class DiskUrl:
    """A disk of a lease: its index in the machine's order, where its bytes go or come from, and whom to trust there."""

    disk: int
    url: str
    thumbprint: str = ""
    certificate: str = ""
    key: str = ""


class _Lease:
    """What import and export have in common: waiting, the heartbeat, the ways to end."""

    def __init__(self, session: Session, lease: Any, what: str) -> None:
        self.session = session
        self.what = what
        self.lease_id: str = lease._moId
        self.vm: str = ""
        self._lease = lease
        self._percent = 0
        self._sent = -1
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._lost: CloudExitError | None = None
        self._over = False
        self._thread: threading.Thread | None = None
        self._timeout = 300.0

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._over:
            self.abort(str(error) if error else "the transfer was given up")

    def _wait_ready(self, timeout: float) -> Any:
        """The lease's info once it is ready; its error otherwise."""
        deadline = time.monotonic() + timeout
        pause = 0.05
        while True:
            values = self.session.read([self._lease], ["state", "error"], self.what).get(self.lease_id, {})
            state = str(values.get("state", ""))
            if state == "ready":
                break
            if state == "error":
                raise _lease_error(values.get("error"), self.what)
            if state == "done" or time.monotonic() >= deadline:
                raise Timeout(self.what, cause=f"the lease was not ready after {timeout:g} s ({state})", retryable=True)
            time.sleep(pause)
            pause = min(pause * 1.6, 2.0)
        return self.session.property(self._lease, "info", self.what)

    def _begin(self, info: Any) -> None:
        self.vm = info.entity._moId
        self._timeout = float(info.leaseTimeout or 300)
        self._thread = threading.Thread(target=self._beat, name=f"nfc-lease-{self.vm}", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        """Tell progress well inside the timeout, however slow the transfer is, until the lease ends."""
        every = max(0.2, min(15.0, self._timeout / 6))
        last = time.monotonic()
        while True:
            self._wake.clear()
            if self._stop.is_set():  # set before `_wake`, so that no end is slept over
                return
            percent = self._percent
            try:
                self._lease.Progress(percent=percent)
                last, self._sent = time.monotonic(), percent
                self._wake.wait(every)
            except Exception as error:
                if self._stop.is_set():
                    return
                if isinstance(error, vmomi.TRANSPORT_ERRORS) and time.monotonic() - last < self._timeout * 0.9:
                    self._stop.wait(min(2.0, every))
                    continue
                self._lost = self._reason(error)
                return

    def _reason(self, error: Exception) -> CloudExitError:
        """Why the lease does not answer any more: its own error when it still says one."""
        with contextlib.suppress(Exception):
            values = self.session.read([self._lease], ["state", "error"], self.what).get(self.lease_id, {})
            if str(values.get("state")) == "error":
                return _lease_error(values.get("error"), self.what)
        translated = vmomi.translate(error, self.what)
        lost = "the lease was lost"
        return Unreachable(
            self.what,
            cause=f"{lost}: {translated.cause}" if translated.cause else lost,
            hint="Start it again; the unfinished machine is removed first.",
            retryable=True,
        )

    def check(self) -> None:
        """Raise what made the lease fail, if it has."""
        if self._lost is not None:
            raise self._lost

    def progress(self, percent: float) -> None:
        """Note how far the transfer is (0 to 100); steps of five are told at once, others with the next heartbeat."""
        self._percent = max(0, min(100, int(percent)))
        if self._percent >= self._sent + 5:
            self._wake.set()

    def _end_beat(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=self.session.timeout + 5)

    def abort(self, message: str = "") -> None:
        """Give the lease up; vCenter then removes an import's machine. Never raises."""
        if self._over:
            return
        self._over = True
        self._end_beat()
        with contextlib.suppress(Exception):
            fault = vmomi.vmodl().fault.SystemError(reason=(message or "given up")[:200])
            self.session.run(self.what, lambda: self._lease.Abort(fault=fault))

    def _complete(self) -> None:
        self.check()
        self._end_beat()
        self.check()
        self.session.run(self.what, self._lease.Complete)
        self._over = True


class ImportLease(_Lease):
    """An open import. Upload each disk, then `complete`; leaving the context earlier aborts."""

    def __init__(
        self, session: Session, lease: Any, what: str, places: Sequence[DiskPlace], ready_timeout: float
    ) -> None:
        super().__init__(session, lease, what)
        self.uploads: list[DiskUrl] = []
        self._done: set[int] = set()
        try:
            info = self._wait_ready(ready_timeout)
            self._begin(info)
            self.uploads = map_urls(info.deviceUrl or [], places, session.host, what)
        except BaseException:
            self.abort("the lease could not be opened")
            raise

    def upload(
        self,
        disk: int,
        producer: upload.Producer,
        *,
        length: int | None = None,
        mode: str = "chunked",
        timeout: float = 120.0,
        spool_dir: str | None = None,
    ) -> int:
        """Send a disk's stream-optimised VMDK, which `producer(write)` makes; the bytes sent. See `upload.put`.

        The transfer stops with the lease's own error when the lease fails meanwhile.
        """
        where = next((one for one in self.uploads if one.disk == disk), None)
        if where is None:
            raise NotFound(self.what, cause=f"the lease has no place for disk {disk}")
        trust = upload.Trust.of(self.session, where.thumbprint, where.certificate)
        try:
            sent = upload.put(
                where.url,
                producer,
                trust,
                length=length,
                mode=mode,
                timeout=timeout,
                guard=self.check,
                spool_dir=spool_dir,
            )
        except CloudExitError:
            self._settle()
            self.check()
            raise
        self._done.add(disk)
        return sent

    def _settle(self) -> None:
        """After a broken transfer: ask the lease at once whether it failed, for the better reason of the two."""
        if self._lost is None:
            with contextlib.suppress(Exception):
                values = self.session.read([self._lease], ["state", "error"], self.what).get(self.lease_id, {})
                if str(values.get("state")) == "error":
                    self._lost = _lease_error(values.get("error"), self.what)

    def uploaded(self, disk: int) -> None:
        """Note that a disk was sent without `upload`."""
        self._done.add(disk)

    def complete(self) -> str:
        """End the import; the id of the machine. Raises Conflict when a disk was not uploaded."""
        missing = [one.disk for one in self.uploads if one.disk not in self._done]
        if missing:
            raise Conflict(self.what, cause=f"disks {missing} were not uploaded")
        self._complete()
        return self.vm


class ExportLease(_Lease):
    """An open export: `download` a disk, then `complete`; leaving the context earlier aborts."""

    def __init__(
        self, session: Session, lease: Any, what: str, places: Sequence[DiskPlace], ready_timeout: float
    ) -> None:
        super().__init__(session, lease, what)
        self.downloads: list[DiskUrl] = []
        try:
            info = self._wait_ready(ready_timeout)
            self._begin(info)
            self.downloads = map_urls(info.deviceUrl or [], places, session.host, what)
        except BaseException:
            self.abort("the lease could not be opened")
            raise

    def download(self, disk: int, *, timeout: float = 120.0) -> upload.Download:
        """A disk as a stream-optimised VMDK, to be read forward; close it, or use it as a context manager."""
        where = next((one for one in self.downloads if one.disk == disk), None)
        if where is None:
            raise NotFound(self.what, cause=f"the lease has no disk {disk}")
        trust = upload.Trust.of(self.session, where.thumbprint, where.certificate)
        return upload.get(where.url, trust, timeout=timeout, guard=self.check)

    def complete(self) -> None:
        """End the export."""
        self._complete()


def open_import(
    session: Session, placement: Placement, spec: VmSpec, *, ready_timeout: float = READY_TIMEOUT
) -> ImportLease:
    """Make the machine in the state "importing" and open the lease for its disks.

    The folder is made when missing. Raises InvalidInput for a bad specification, Conflict for a name that is taken, and
    what vCenter says for the rest; nothing is left then.
    """
    stores = {name: session.ref("Datastore", store.moref) for name, store in placement.datastores.items()}
    config = to_config_spec(spec, placement.datastore.name, placement.networks, stores)
    folder, _made = ensure_folder(session, placement)
    vim = vmomi.vim()
    what = f"cannot import {spec.name}"
    pool = session.ref("ResourcePool", placement.pool)
    lease = session.run(
        what,
        lambda: pool.ImportVApp(
            spec=vim.vm.VmImportSpec(configSpec=config),
            folder=session.ref("Folder", folder),
            host=session.ref("HostSystem", placement.host) if placement.host else None,
        ),
    )
    return ImportLease(session, lease, what, layout(spec.disks)[0], ready_timeout)


def open_export(session: Session, vm: str, *, ready_timeout: float = READY_TIMEOUT) -> ExportLease:
    """Open the lease for reading a machine's disks; it must be powered off. `vm` is its id.

    The order of the disks is the one that the import wrote down, or that of the devices for other machines.
    """
    what = f"cannot export {vm}"
    machine = session.ref("VirtualMachine", vm)
    values = session.read([machine], ["config.hardware.device", "config.extraConfig"], what).get(vm, {})
    extra = {str(option.key): str(option.value) for option in values.get("config.extraConfig") or []}
    places = disk_order(values.get("config.hardware.device") or [], extra)
    lease = session.run(what, machine.ExportVm)
    return ExportLease(session, lease, what, [place for place, _key in places], ready_timeout)


def disk_order(devices: Sequence[Any], extra: Mapping[str, str]) -> list[tuple[DiskPlace, int]]:
    """(place, device key) of a machine's disks, in the order that the import wrote into extraConfig.

    Disks that were added since, or machines that we did not import, come in the order of their keys.
    """
    vim = vmomi.vim()
    by_key = {device.key: device for device in devices}
    found: dict[DiskPlace, int] = {}
    for device in devices:
        if not isinstance(device, vim.vm.device.VirtualDisk):
            continue
        controller = by_key.get(device.controllerKey)
        kind = CONTROLLER_OF_CLASS.get(vmomi.fault_name(controller), vmomi.fault_name(controller))
        found[DiskPlace(kind, int(getattr(controller, "busNumber", 0)), int(device.unitNumber or 0))] = int(device.key)
    order: list[DiskPlace] = []
    index = 0
    while (text := extra.get(f"{DISK_KEY}{index}")) is not None:
        place = DiskPlace.parse(text)
        if place is not None and place in found:
            order.append(place)
        index += 1
    order += sorted((place for place in found if place not in order), key=lambda place: found[place])
    return [(place, found[place]) for place in order]


def map_urls(urls: Sequence[Any], places: Sequence[DiskPlace], host: str, what: str) -> list[DiskUrl]:
    """Which disk each URL of a lease is for, by the place in its key (`/name/ParaVirtualSCSIController0:1`).

    Servers that number the disks instead (`/name/disk:0`, as simulators do) are taken at their order. Raises Conflict
    when the disks and the URLs are not one to one: a disk must never be written to another's place.
    """
    wanted = {place: index for index, place in enumerate(places)}
    disks = [one for one in urls if one.disk is not False and not str(one.targetId or "").endswith(".nvram")]
    found: dict[int, Any] = {}
    for one in disks:
        for key in (one.importKey, one.key):
            match = _ADDRESS.search(str(key or "").rsplit("/", 1)[-1])
            if match and match[1] in CONTROLLER_OF_CLASS:
                place = DiskPlace(CONTROLLER_OF_CLASS[match[1]], int(match[2]), int(match[3]))
                index = wanted.get(place, -1)
                if index < 0 or index in found:
                    raise Conflict(what, cause=f"the lease has a disk at {place} that was not asked for")
                found[index] = one
                break
    if not found and len(disks) == len(places):
        numbered = [re.search(r"disk:(\d+)$", str(one.importKey or one.key or "")) for one in disks]
        if all(numbered):
            found = {int(match[1]): one for match, one in zip(numbered, disks, strict=True) if match}
    if sorted(found) != list(range(len(places))) or len(disks) != len(places):
        raise Conflict(
            what,
            cause=f"the lease offers {len(disks)} disks ({', '.join(str(one.importKey or one.key) for one in disks)}), "
            f"the machine has {len(places)}",
        )
    return [
        DiskUrl(
            disk=index,
            url=substitute_host(str(found[index].url), host),
            thumbprint=str(found[index].sslThumbprint or ""),
            certificate=str(getattr(found[index], "sslCertificate", None) or ""),
            key=str(found[index].key),
        )
        for index in range(len(places))
    ]


def substitute_host(url: str, host: str) -> str:
    """`*` for a host in a lease's URL means: the host that the client connected to."""
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return re.sub(r"^(https?://)\*", lambda found: found[1] + name, url)


def abort_by_id(session: Session, lease_id: str, *, end_session: bool = True) -> bool:
    """Abort a lease that a dead process of ours left behind; whether it is certainly gone now.

    A lease can only be seen by the session that opened it, whose key is in its id (`session[key]...`). So when it is
    not found, that session is ended (needs the privilege to terminate sessions; without it, False): its leases go
    with it. Otherwise a lease times out by itself, after 300 s on a real vCenter.
    """
    what = f"cannot abort the lease {lease_id}"
    lease = session.ref("HttpNfcLease", lease_id)
    try:
        fault = vmomi.vmodl().fault.SystemError(reason="its process is gone")
        session.run(what, lambda: lease.Abort(fault=fault))
        return True
    except NotFound:
        pass
    found = re.match(r"session\[([^\]]+)\]", lease_id)
    if not found or not end_session or found[1] == session.key:
        return False
    try:
        session.run(what, lambda: session.content.sessionManager.TerminateSession(sessionId=[found[1]]))
    except NotFound:
        return True
    except CloudExitError as error:
        return isinstance(error.__cause__, Exception) and vmomi.is_fault(error.__cause__, "vim.fault.NotFound")
    return True


def wait_unlocked(session: Session, condition: Callable[[], bool], *, timeout: float) -> bool:
    """Wait until a stale lease has let go of its machine; whether it did."""
    return session.poll(lambda: True if condition() else None, timeout=timeout) is True


def _lease_error(error: Any, what: str) -> CloudExitError:
    """The error of a lease in state `error`."""
    if error is None:
        return CloudExitError(what, cause="the lease failed without saying why", retryable=True)
    inner = getattr(error, "fault", None) or error
    text = vmomi.fault_text(error)
    if isinstance(inner, Exception):
        translated = vmomi.translate(inner, what)
        translated.cause = text
        if vmomi.is_fault(inner, "vim.fault.Timedout", "vim.fault.NotAuthenticated"):
            return Unreachable(what, cause=text, hint="Start it again.", retryable=True)
        return translated
    return CloudExitError(what, cause=text)
