# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's hypervisor: a QEMU guest for each server or VM that is powered on, with the hardware its cloud names.

A part of the lab (see tests.lab.parts): ``packages``, ``up``, ``down``, ``save``, ``restore``. Besides:
``ports(instance, side, mac)`` and ``status(instance)``. With ``"guests": "none"`` in env.json nothing is started.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from tests.lab.paths import CHECKOUT, Instance, Proc, stop_all, wait_for

from .forwards import known, ports
from .guest import Guest

__all__ = ["down", "known", "packages", "ports", "restore", "save", "status", "up", "wait_up"]


def packages() -> list[str]:
    """Debian packages that are needed on this machine."""
    return ["qemu-system-x86", "ovmf"]


def up(instance: Instance) -> None:
    """Start the daemon. Guests follow by themselves."""
    instance.make_dirs()
    proc = Proc(instance, "hypervisor")
    if not proc.alive():
        argv = [sys.executable, "-m", "tests.lab.hypervisor", "run", "--instance", str(instance.dir)]
        path = os.pathsep.join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])])
        proc.start(argv, cwd=CHECKOUT, env={"PYTHONPATH": path})


def _guests(instance: Instance, side: str = "") -> list[Guest]:
    return [Guest(instance, key) for key in Guest.keys(instance) if key.startswith(side)]


def down(instance: Instance) -> None:
    """Stop the daemon and every guest, as if the machine were unplugged."""
    Proc(instance, "hypervisor").stop()
    guests = _guests(instance)
    stop_all([g.proc for g in guests], 5)
    for guest in guests:
        guest.forget()
        (instance.data / "nova" / "instances" / guest.key.partition("-")[2] / "guest.json").unlink(missing_ok=True)


def save(instance: Instance, name: str) -> None:
    """Nothing to keep: guests' disks belong to the clouds."""


def restore(instance: Instance, name: str) -> None:
    """Wait until no guest of the former vCenter's machines runs."""
    if not Proc(instance, "hypervisor").alive():
        stop_all([g.proc for g in _guests(instance, "target")], 5)
        return
    wait_for(
        lambda: not any(g.running() for g in _guests(instance, "target")), 30, "the guests of the former VMs to end"
    )


def status(instance: Instance) -> list[dict[str, Any]]:
    """Every guest that is known: key, side, id, running, pid, started, nics, report, report_seconds, serial."""
    found = []
    for key in Guest.keys(instance):
        guest = Guest(instance, key)
        if not guest.note:
            continue
        about = {k: guest.note.get(k) for k in ("started", "nics", "report", "report_seconds")}
        side, dummy, ident = key.partition("-")
        running = guest.running()
        pid = guest.proc.pid if running else None
        found.append(
            {
                "key": key,
                "side": side,
                "id": ident,
                "running": running,
                "pid": pid,
                "serial": str(guest.serial),
                **about,
            }
        )
    return found


def wait_up(instance: Instance, side: str, ident: str, timeout: float = 180.0) -> dict[str, Any]:
    """Wait until a guest has reported on its console; its entry of ``status``. Raises TimeoutError."""

    def look() -> dict[str, Any] | None:
        entry = next((e for e in status(instance) if e["key"] == f"{side}-{ident}"), None)
        return entry if entry and entry["running"] and entry["report"] else None

    found: dict[str, Any] = wait_for(look, timeout, f"the guest of {ident} to be up", every=0.5)
    return found
