# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One running guest: a QEMU process that is found again after a restart of whoever started it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from tests.lab.guests import nvram
from tests.lab.paths import Instance, Proc, wait_for, write_atomic

from .machine import Files, Machine, argv, bootable, report_of
from .qmp import Qmp, QmpError

POWERDOWN_EVERY = 5.0
START_SECONDS = 20.0


class StartFailed(RuntimeError):
    """QEMU ended before the machine was on; ends with what it said."""


def has_system(machine: Machine) -> bool:
    """Whether the machine's boot disk is there and holds something to boot."""
    if not machine.disks:
        return False
    try:
        with open(machine.disks[0].path, "rb") as f:
            return bootable(f.read(1024))
    except OSError:
        return False


class Guest:
    """A guest by the key of its machine. What is known of it is kept in ``run/guest-<key>.json``.

    ``note`` has: key, order (what it was started for), machine facts that tell it from a namesake, started (epoch
    seconds), serial_from (where its console begins in the log), report, report_seconds, ended (whether it was seen
    to end).
    """

    def __init__(self, instance: Instance, key: str) -> None:
        self.instance = instance
        self.key = key
        self.proc = Proc(instance, f"guest-{key}")
        self.file = instance.run / f"guest-{key}.json"
        self.serial = instance.logs / f"guest-{key}.serial"
        self.note: dict[str, Any] = {}
        with contextlib.suppress(FileNotFoundError, ValueError):
            self.note = json.loads(self.file.read_text())
        self._deadline: float | None = None
        self._pressed = 0.0
        self._seen = 0

    @staticmethod
    def keys(instance: Instance) -> list[str]:
        """Keys of every guest there are notes of."""
        return sorted(f.name[len("guest-") : -len(".json")] for f in instance.run.glob("guest-*.json"))

    @classmethod
    def adopt(cls, instance: Instance, side: str) -> dict[str, Guest]:
        """The guests of a side that an earlier daemon left, by id; what died meanwhile was unplugged."""
        found = {}
        for key in cls.keys(instance):
            if key.startswith(f"{side}-"):
                guest = cls(instance, key)
                if guest.note and not guest.note.get("ended") and not guest.running():
                    guest.forget()
                else:
                    found[key.partition("-")[2]] = guest
        return found

    @property
    def side(self) -> str:
        """source or target."""
        return self.key.partition("-")[0]

    def _keep(self, **news: Any) -> None:
        self.note.update(news)
        write_atomic(self.file, json.dumps(self.note) + "\n")

    def running(self) -> bool:
        """Whether its process lives."""
        return self.proc.alive()

    def start(self, machine: Machine, order: str, nvram_file: Path, accel: str = "tcg") -> int:
        """Power on; returns the pid when the machine runs. Raises StartFailed with QEMU's words when it does not."""
        qmp = self.instance.run / f"guest-{self.key}.qmp"
        qmp.unlink(missing_ok=True)
        self.serial.parent.mkdir(parents=True, exist_ok=True)
        with open(self.serial, "ab") as log:
            log.write(f"\n=== {self.key} on {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} ===\n".encode())
            begin = log.tell()
        files = Files(serial=str(self.serial), qmp=qmp.name)
        if machine.firmware == "efi":
            if not nvram_file.exists():
                nvram_file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(nvram.template(), nvram_file)
            files = Files(serial=str(self.serial), qmp=qmp.name, code=str(nvram.code()), nvram=str(nvram_file))
        log_file = self.instance.log(f"guest-{self.key}")
        log_file.unlink(missing_ok=True)
        self.note = {}
        self._deadline = None
        self._seen = 0
        self._keep(
            key=self.key,
            order=order,
            uuid=machine.uuid,
            disks=[identity(Path(d.path)) for d in machine.disks],
            nics=[{"mac": n.mac, "address": n.network.address, "forwards": dict(n.forwards)} for n in machine.nics],
            started=time.time(),
            serial_from=begin,
            ended=False,
        )
        pid = self.proc.start(argv(machine, files, accel), cwd=self.instance.run, log=log_file)
        self._keep(pid=pid)
        try:
            wait_for(lambda: qmp.exists() or not self.running(), START_SECONDS, "QEMU's socket", every=0.02)
            with Qmp(qmp) as talk:
                talk.execute("query-status")
        except (TimeoutError, QmpError) as error:
            self.kill()
            self.ended()
            said = log_file.read_text(errors="replace").strip().splitlines()
            raise StartFailed(" ".join(said[-2:]) or str(error)) from None
        return pid

    def press_power(self, grace: float) -> None:
        """Ask the guest by ACPI to shut down, again each few seconds, and kill it grace seconds after the first time.

        To be called over and over while the guest is to be off.
        """
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + grace
        if now >= self._deadline:
            self.kill()
        elif now - self._pressed >= POWERDOWN_EVERY:
            self._pressed = now
            with contextlib.suppress(QmpError), Qmp(self.instance.run / f"guest-{self.key}.qmp") as qmp:
                qmp.execute("system_powerdown")

    @property
    def stopping(self) -> bool:
        """Whether it was asked to shut down."""
        return self._deadline is not None

    def kill(self) -> None:
        """Power off at once."""
        self.proc.signal(signal.SIGKILL)
        self.proc.wait_gone(5)

    def link(self, index: int, up: bool) -> bool:
        """Plug a NIC in or out; whether that worked."""
        try:
            with Qmp(self.instance.run / f"guest-{self.key}.qmp") as qmp:
                qmp.execute("set_link", name=f"nic{index}", up=up)
        except QmpError:
            return False
        return True

    def set_links(self, connected: list[bool]) -> None:
        """Bring the NICs' links to what is wanted, where they differ."""
        nics = self.note.get("nics", [])
        now = self.note.get("links", [True] * len(nics))
        if now == connected or len(connected) != len(nics):
            return
        pairs = enumerate(zip(connected, now, strict=False))
        done = [self.link(i, want) if want != have else True for i, (want, have) in pairs]
        if all(done):
            self._keep(links=connected)

    def report(self) -> dict[str, Any] | None:
        """What the guest said of itself last since this power on; None when it has said nothing yet."""
        found: dict[str, Any] | None = self.note.get("report")
        begin = self.note.get("serial_from", 0)
        try:
            size = self.serial.stat().st_size
            if size == self._seen:
                return found
            with open(self.serial, "rb") as log:
                log.seek(max(begin, self._seen - 4096))
                said = report_of(log.read())
        except FileNotFoundError:
            return found
        self._seen = size
        if said is not None and said != found:
            seconds = self.note.get("report_seconds") or round(time.time() - self.note["started"], 1)
            self._keep(report=said, report_seconds=seconds)
            return said
        return found

    def ended(self) -> None:
        """Its process has been seen to be gone."""
        self.proc.wait_gone(0)
        (self.instance.run / f"guest-{self.key}.qmp").unlink(missing_ok=True)
        self._deadline = None
        self._seen = 0
        self._keep(ended=True, seconds=round(time.time() - self.note.get("started", time.time()), 1))

    def forget(self) -> None:
        """Remove what is known of a machine that is gone."""
        for file in (self.file, self.proc.file, self.instance.run / f"guest-{self.key}.qmp"):
            file.unlink(missing_ok=True)
        self.note = {}


def identity(file: Path) -> str:
    """What tells a file from another that had its name."""
    try:
        info = os.stat(file)
    except OSError:
        return ""
    return f"{info.st_dev}:{info.st_ino}"
