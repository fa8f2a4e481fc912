# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop that makes guests run, or not, as Nova and vCenter say."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab.paths import Instance, write_atomic

from . import machine as machines
from .forwards import ports
from .guest import Guest, StartFailed, has_system, identity
from .machine import Machine, Network

INTERVAL = 0.25
SOURCE_GRACE = 300.0  # Nova has a deadline of its own, and says "kill" then
TARGET_GRACE = 60.0
RETRY = 5.0  # seconds until a machine that could not be switched on is tried again

Say = Callable[[str], None]


class Source:
    """Nova's side: the folder of each server says what is wanted, and is told what is."""

    def __init__(self, instance: Instance, say: Say, accel: str) -> None:
        self.instance = instance
        self.say = say
        self.accel = accel
        self.folder = instance.data / "nova" / "instances"
        self.guests = Guest.adopt(instance, "source")
        self._told: dict[str, tuple[str, dict[str, Any]]] = {}
        self._servers: dict[str, tuple[str, dict[str, Any] | None]] = {}
        self._later: dict[str, float] = {}

    def _server(self, ident: str) -> dict[str, Any] | None:
        file = self.folder / ident / "server.json"
        now = _stamp(file)
        before = self._servers.get(ident)
        if before is None or before[0] != now:
            try:
                found: dict[str, Any] | None = json.loads(file.read_text())
            except (FileNotFoundError, NotADirectoryError, ValueError):
                found = None
            before = self._servers[ident] = (now, found)
        return before[1]

    def _tell(self, ident: str, said: dict[str, Any]) -> None:
        file = self.folder / ident / "guest.json"
        now = identity(file)
        if self._told.get(ident) == (now, said) and now:
            return
        if file.parent.is_dir():
            write_atomic(file, json.dumps(said) + "\n")
            self._told[ident] = (identity(file), said)

    def step(self, no_guests: bool) -> None:
        """Look once at every server."""
        try:
            idents = {e.name for e in os.scandir(self.folder) if e.is_dir()}
        except FileNotFoundError:
            idents = set()
        for ident in idents:
            server = self._server(ident)
            if server is not None:
                try:
                    self._serve(ident, server, no_guests)
                except Exception as error:  # one server's trouble is not the others'
                    self.say(f"server {ident}: {type(error).__name__}: {error}")
                    self._tell(ident, {"state": "none", "pid": None, "error": str(error)})
        for ident in [i for i in self.guests if i not in idents]:
            guest = self.guests.pop(ident)
            guest.kill()
            guest.forget()
            self._servers.pop(ident, None)
            self._told.pop(ident, None)

    def _serve(self, ident: str, server: dict[str, Any], no_guests: bool) -> None:
        wanted, order = _order(self.folder / ident / "power")
        guest = self.guests.get(ident)
        if guest is not None and guest.note and not guest.note.get("ended") and not guest.running():
            guest.ended()
            self.say(f"server {ident}: its guest is off after {guest.note.get('seconds')} s")
        runs = guest is not None and guest.running()
        if runs:
            assert guest is not None
            if wanted == "kill":
                guest.kill()
                return self._serve(ident, server, no_guests)
            if wanted == "off":
                guest.press_power(SOURCE_GRACE)
            elif guest.stopping:
                pass  # switched on again while it shuts down: its end is awaited
            self._tell(ident, self._running(guest))
        elif time.monotonic() < self._later.get(ident, 0.0) and wanted == "on":
            return None
        elif wanted == "on" and not (guest is not None and guest.note.get("ended") and guest.note["order"] == order):
            if no_guests or server.get("guest") == "none":
                self._tell(ident, {"state": "none", "pid": None})
                return None
            forwards = {n["mac"].lower(): ports(self.instance, "source", n["mac"]) for n in server["nics"]}
            machine = machines.from_server(server, forwards)
            if not has_system(machine):
                self._tell(ident, {"state": "none", "pid": None})
                return None
            guest = self.guests.setdefault(ident, Guest(self.instance, machine.key))
            try:
                pid = guest.start(machine, order, self.folder / ident / "vars.fd", self.accel)
            except StartFailed:
                self._later[ident] = time.monotonic() + RETRY
                guest.forget()
                raise
            self.say(f"server {ident}: guest on, pid {pid}, ports {forwards}")
            self._tell(ident, self._running(guest))
        else:
            self._tell(ident, {"state": "stopped", "pid": None})
        return None

    def _running(self, guest: Guest) -> dict[str, Any]:
        said: dict[str, Any] = {"state": "running", "pid": guest.proc.pid, "nics": guest.note.get("nics", [])}
        before = guest.note.get("report")
        report = guest.report()
        if report and not before:
            self.say(f"server {guest.key.partition('-')[2]}: guest is up after {guest.note.get('report_seconds')} s")
        if report:
            said.update(report=report, report_seconds=guest.note.get("report_seconds"))
        return said

    def networks(self) -> dict[str, Network]:
        """The network of each NIC of each server, by MAC."""
        found = {}
        for _folder, server in self._servers.values():
            for nic in (server or {}).get("nics", []):
                found[nic["mac"].lower()] = machines.server_network(nic)
        return found

    def networks_of(self, ident: str) -> list[Network]:
        """The networks of a server's NICs, in their order."""
        _folder, server = self._servers.get(ident, ("", None))
        return [machines.server_network(n) for n in (server or {}).get("nics", [])]

    def busy(self) -> set[tuple[str, str]]:
        """Reservations of ports that are in use."""
        known = {("source", mac) for mac in self.networks()}
        return known | {("target", mac) for mac in self.networks()}


_DIRECTOR = re.compile(r"vm-[0-9a-f]{12}")


class Target:
    """vCenter's side: a thread waits for its news, the loop acts on the newest."""

    ours = re.compile(rf"(?!{_DIRECTOR.pattern}$).*")

    def __init__(self, instance: Instance, source: Source, say: Say, accel: str) -> None:
        self.instance = instance
        self.source = source
        self.say = say
        self.accel = accel
        self.guests = {m: g for m, g in Guest.adopt(instance, "target").items() if self.ours.fullmatch(m)}
        self._news: list[dict[str, Any]] | None = None
        self._fed: dict[str, Any] = {}
        self._skipped: dict[str, str] = {}
        self._later: dict[str, float] = {}
        self.changed = threading.Event()
        self._control: Any = None

    def control(self) -> Any:
        """The lab's door to its vCenter."""
        if self._control is None:
            from tests.lab.vcenter import Control

            self._control = Control(self.instance)
        return self._control

    def listen(self) -> None:
        """Wait for news for ever, in a thread of its own."""
        version: int | None = None
        while True:
            try:
                version, vms = self.control().machines(version, 20.0 if version is not None else 0.0)
            except Exception:  # it is down, or being restarted; the machines are what they were last
                version = None
                time.sleep(1)
                continue
            self._news = vms
            self.changed.set()

    def step(self, no_guests: bool) -> None:
        """Look once at every VM."""
        vms = self._news
        if vms is None:
            return
        for vm in vms:
            try:
                self._serve(vm, no_guests)
            except Exception as error:  # one machine's trouble is not the others'
                self._skip(vm, f"{type(error).__name__}: {error}")
        there = {vm["moref"] for vm in vms}
        for moref in [m for m in self.guests if m not in there]:
            self._drop(moref)

    def _drop(self, moref: str) -> None:
        guest = self.guests.pop(moref)
        if guest.running():
            self.say(f"VM {moref}: it is gone, and so is its guest")
        guest.kill()
        guest.forget()
        self._nvram(moref, guest.note.get("uuid", "")).unlink(missing_ok=True)
        self._fed.pop(moref, None)

    def _nvram(self, moref: str, uuid: str) -> Path:
        return self.instance.data / "hypervisor" / f"{moref}-{uuid}.fd"

    def _skip(self, vm: dict[str, Any], why: str) -> None:
        if self._skipped.get(vm["moref"]) != why:
            self._skipped[vm["moref"]] = why
            self.say(f"VM {vm['moref']}: no guest: {why}")

    def machine(self, vm: dict[str, Any]) -> Machine:
        """The machine of a VM. A NIC with a MAC that the source has is on the same network here, else by its place."""
        networks = self.source.networks()
        by_place = self.source.networks_of(vm.get("extra_config", {}).get("cloudexit.source_id", ""))
        forwards = {}
        for i, nic in enumerate(vm["nics"]):
            mac = nic["mac"].lower()
            if mac not in networks and i < len(by_place):
                networks[mac] = by_place[i]
            forwards[mac] = ports(self.instance, "target", mac, frozenset(self.source.busy()))
        return machines.from_vm(vm, networks, forwards)

    def _serve(self, vm: dict[str, Any], no_guests: bool) -> None:
        moref = vm["moref"]
        guest = self.guests.get(moref)
        if guest is not None and guest.note:
            disks = [identity(Path(d["path"])) for d in vm["disks"]]
            if guest.note.get("uuid") != vm["uuid"] or (guest.running() and not set(disks) & set(guest.note["disks"])):
                self._drop(moref)  # another machine that has got the same name
                guest = None
        if guest is not None and guest.note and not guest.note.get("ended") and not guest.running():
            by_itself = vm["power"] == "poweredOn" and not guest.stopping
            guest.ended()
            self._fed.pop(moref, None)
            self.say(f"VM {moref}: its guest is off after {guest.note.get('seconds')} s")
            if by_itself:
                self.control().power(moref, "poweredOff")
                vm["power"] = "poweredOff"
        runs = guest is not None and guest.running()
        if runs:
            assert guest is not None
            if vm["power"] != "poweredOn":
                guest.press_power(TARGET_GRACE)
            else:
                guest.set_links([bool(n["connected"]) for n in vm["nics"]])
                self._feed(vm, guest)
        elif time.monotonic() < self._later.get(moref, 0.0):
            return
        elif vm["power"] == "poweredOn" and not no_guests and not vm.get("leased"):
            machine = self.machine(vm)
            if not has_system(machine):
                self._skip(vm, "nothing to boot on its first disk")
                return
            guest = self.guests.setdefault(moref, Guest(self.instance, machine.key))
            try:
                pid = guest.start(machine, "", self._nvram(moref, vm["uuid"]), self.accel)
            except StartFailed:
                self._later[moref] = time.monotonic() + RETRY
                guest.forget()
                raise
            self._skipped.pop(moref, None)
            kinds = sorted({d.controller for d in machine.disks} | {n.kind for n in machine.nics})
            where = {n.mac: dict(n.forwards) for n in machine.nics}
            self.say(f"VM {moref}: guest on, pid {pid}, {machine.firmware}, {', '.join(kinds)}, ports {where}")

    def _feed(self, vm: dict[str, Any], guest: Guest) -> None:
        """Tell vCenter what VMware Tools would."""
        report = guest.report()
        if not report or self._fed.get(vm["moref"]) == report:
            return
        ips = [str(a) for a in report.get("ips", [])]
        nics = [{"mac": n["mac"], "ips": [n["address"]]} for n in guest.note.get("nics", []) if n["address"] in ips]
        self.control().guest(
            vm["moref"],
            hostname=str(report.get("hostname", "")),
            ip=ips[0] if ips else "",
            tools_running=True,
            nics=nics,
        )
        self._fed[vm["moref"]] = report
        seconds = guest.note.get("report_seconds")
        self.say(
            f"VM {vm['moref']}: guest is up after {seconds} s: {report.get('hostname')} {' '.join(ips)}"
            f" on {report.get('storage')} and {report.get('nic')}"
        )


class Director(Target):
    """Cloud Director's side, served as vCenter's is."""

    ours = _DIRECTOR

    def control(self) -> Any:
        """The lab's door to its Cloud Director."""
        if self._control is None:
            from tests.lab.vcd import Control

            self._control = Control(self.instance)
        return self._control

    def machine(self, vm: dict[str, Any]) -> Machine:
        """The machine of a VM. A NIC is on the subnet that Cloud Director names, with the address that it gave."""
        known = self.source.networks()
        by_place = self.source.networks_of(vm.get("extra_config", {}).get("cloudexit.source_id", ""))
        networks = {}
        forwards = {}
        for i, nic in enumerate(vm["nics"]):
            mac = nic["mac"].lower()
            before = known.get(mac) or (by_place[i] if i < len(by_place) else None)
            if nic.get("gateway") and ":" not in nic["gateway"]:
                cidr = str(ipaddress.ip_network(f"{nic['gateway']}/{nic['prefix']}", strict=False))
                address = nic.get("address") or (before.address if before else None)
                networks[mac] = Network.of(cidr, nic["gateway"], address)
            elif before:
                networks[mac] = before
            forwards[mac] = ports(self.instance, "target", mac, frozenset(self.source.busy()))
        return machines.from_vm(vm, networks, forwards)


class Hypervisor:
    """Both sides of an instance."""

    def __init__(self, instance: Instance, accel: str = "tcg") -> None:
        self.instance = instance
        self.source = Source(instance, self.say, accel)
        self.target = Target(instance, self.source, self.say, accel)
        self.director = Director(instance, self.source, self.say, accel)
        self.director.changed = self.target.changed

    def say(self, message: str) -> None:
        """Write a line to the log."""
        print(f"{time.strftime('%H:%M:%S')} {message}", flush=True)

    def no_guests(self) -> bool:
        """Whether the instance's env.json says that nothing is to be started (``"guests": "none"``)."""
        file = self.instance.dir / "env.json"
        now = _stamp(file)
        if getattr(self, "_env", ("",))[0] != now:
            self._env: tuple[str, bool] = (now, self.instance.env().get("guests") == "none")
        return self._env[1]

    def step(self) -> None:
        """Bring what runs to what is wanted, once."""
        none = self.no_guests()
        self.source.step(none)
        self.target.step(none)
        self.director.step(none)

    def run(self) -> None:
        """Do so for ever."""
        for side in (self.target, self.director):
            threading.Thread(target=side.listen, daemon=True).start()
        while True:
            self.step()
            if self.target.changed.wait(INTERVAL):
                self.target.changed.clear()


def _stamp(file: Path) -> str:
    try:
        info = file.stat()
    except OSError:
        return ""
    # the time of change: a file that was put back has its old content and times, but is another one
    return f"{info.st_ino}:{info.st_ctime_ns}:{info.st_size}"


def _order(file: Path) -> tuple[str, str]:
    """What Nova wants (on, off, kill), and a name for this order: a second "on" is another one."""
    try:
        stamp = _stamp(file)
        return file.read_text().strip(), stamp
    except (FileNotFoundError, NotADirectoryError):
        return "off", ""
