# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which loopback ports a guest answers on: kept in ``<instance>/ports.json``, the same for good once given."""

from __future__ import annotations

import json
from typing import Any

from tests.lab.paths import Instance, write_atomic

from .machine import GUEST_PORTS


def _file(instance: Instance) -> Any:
    return instance.dir / "ports.json"


def _read(instance: Instance) -> dict[str, Any]:
    try:
        found = json.loads(_file(instance).read_text())
        return found if isinstance(found, dict) else {}
    except (FileNotFoundError, ValueError):
        return {}


def known(instance: Instance) -> dict[tuple[str, str], dict[int, int]]:
    """Every reservation: (side, MAC) -> {guest's port: port on this machine}."""
    found = {}
    for name, entry in _read(instance).items():
        side, dummy, mac = name.partition("/")
        found[side, mac] = {int(k): int(v) for k, v in entry.items()}
    return found


def ports(instance: Instance, side: str, mac: str, busy: frozenset[tuple[str, str]] = frozenset()) -> dict[int, int]:
    """The loopback ports by which a guest's NIC answers on its ports 22 and 80: {22: n, 80: m}.

    side is ``source`` or ``target``. Reserves them when they are asked for first, also for a machine that does not
    run yet. When the instance's range is full, the oldest reservation that is not ``busy`` is given up. Raises
    ValueError for another side and RuntimeError when everything is busy.
    """
    if side not in ("source", "target"):
        raise ValueError(f"{side!r} is neither source nor target")
    mac = mac.lower()
    name = f"{side}/{mac}"
    present = _read(instance).get(name)
    if present:
        return {int(k): int(v) for k, v in present.items()}
    with instance.lock("ports"):
        table = _read(instance)
        while name not in table:
            used = {int(p) for entry in table.values() for p in entry.values()}
            free = [p for p in instance.forward_ports() if p not in used][: len(GUEST_PORTS)]
            if len(free) == len(GUEST_PORTS):
                table[name] = {str(g): p for g, p in zip(GUEST_PORTS, free, strict=True)}
                break
            old = next((n for n in table if tuple(n.split("/", 1)) not in busy), None)
            if old is None:
                raise RuntimeError(f"all {len(instance.forward_ports())} ports of {instance.name} are in use")
            del table[old]
        write_atomic(_file(instance), json.dumps(table, indent=1) + "\n")
    return {int(k): int(v) for k, v in table[name].items()}
