# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trying whether disks boot on some hardware, without either cloud: ``python3 -m tests.lab.hypervisor try``."""

from __future__ import annotations

import re
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.paths import HOST, Instance

from .guest import Guest
from .machine import Disk, Machine, Network, Nic

_GAVE_UP = re.compile(
    rb"Gave up waiting for root|Dropping to a shell|dracut-initqueue.*timeout|emergency mode|Emergency Shell"
    rb"|Kernel panic|No bootable device|BdsDxe: No bootable option|UEFI Interactive Shell",
    re.IGNORECASE,
)
UUID = "5bd6a9c2-6f0e-4d3a-9a57-0123456789ab"


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: whether the web service answered, after how many seconds, what the guest said and served."""

    up: bool
    seconds: float
    cpu_seconds: float
    page: str
    report: dict[str, Any] | None
    why: str
    console: str


def _free_port() -> int:
    with socket.socket() as s:
        s.bind((HOST, 0))
        return int(s.getsockname()[1])


def _page(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/", timeout=3) as answer:
            return bytes(answer.read()).decode(errors="replace")
    except (OSError, urllib.error.URLError, ValueError):
        return ""


def boot(
    disks: Sequence[Path],
    *,
    side: str = "target",
    controller: str = "pvscsi",
    nic: str = "vmxnet3",
    firmware: str = "bios",
    nvram: Path | None = None,
    address: str = "10.20.0.11",
    mac: str = "fa:16:3e:00:00:01",
    memory_mib: int = 512,
    cpus: int = 1,
    timeout: float = 240.0,
    powerdown: bool = False,
    accel: str = "tcg",
) -> Outcome:
    """Boot raw disks (they are written to) until the guest's web service answers, it gives up, or the time is over.

    side ``source`` has virtio whatever controller and nic say. With ``powerdown`` the guest is then shut down by ACPI,
    else unplugged.
    """
    if side == "source":
        controller, nic = "virtio", "virtio"
    port = _free_port()
    net = Network.of("10.20.0.0/24", "10.20.0.1", address)
    with tempfile.TemporaryDirectory(prefix="cloudexit-trial-") as folder:
        instance = Instance("trial", root=folder)
        instance.make_dirs()
        machine = Machine(
            side=side,
            id="trial",
            uuid=UUID,
            firmware=firmware,
            cpus=cpus,
            memory_mib=memory_mib,
            disks=tuple(Disk(str(Path(d).resolve()), controller, 0, i, f"trial-{i}") for i, d in enumerate(disks)),
            nics=(Nic(mac, nic, net, {80: port}),),
        )
        guest = Guest(instance, machine.key)
        begun = time.monotonic()
        guest.start(machine, "trial", nvram or instance.data / "vars.fd", accel)
        page = why = ""
        try:
            while not (page and guest.report()):
                page = page or _page(port)
                console = guest.serial.read_bytes()
                gave_up = _GAVE_UP.search(console)
                if gave_up:
                    why = gave_up.group().decode()
                elif not guest.running():
                    why = "the guest switched itself off"
                elif time.monotonic() - begun > timeout:
                    why = f"no answer within {timeout:g} s"
                if why:
                    break
                time.sleep(0.2)
            seconds = round(time.monotonic() - begun, 1)
            cpu = _cpu_seconds(guest.proc.pid)
            end = time.monotonic() + 60
            while powerdown and not why and guest.running() and time.monotonic() < end:
                guest.press_power(60)
                time.sleep(0.2)
        finally:
            if guest.running():
                guest.kill()
        console = guest.serial.read_bytes()
        return Outcome(bool(page), seconds, cpu, page, guest.report(), why, console.decode(errors="replace"))


def _cpu_seconds(pid: int | None) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / 100
