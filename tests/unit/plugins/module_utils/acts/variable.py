# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host variable of a workload, as the plan inventory gives it, for the fake cloud's server-1."""

from __future__ import annotations

import copy
from typing import Any

_VARIABLE: dict[str, Any] = {
    "plan": {"file": "/srv/acme.plan.yml", "digest": "sha256:" + "ab" * 32},
    "tenant": {"name": "acme", "project_id": "p1", "region": "", "cloud": "acme"},
    "target": {"type": "vsphere", "datacenter": "DC0", "compute": "C0", "datastore": "DS0", "folder": "acme"},
    "limits": {"workloads_at_once": 4, "disks_per_reader": 2, "bandwidth_mib_s": 0.0},
    "host": "web-1",
    "source": {"id": "server-1", "name": "web 1"},
    "move": "cold",
    "name": "web-1",
    "reason": "",
    "group": "web",
    "wave": "wave_1",
    "reader": {"name": "reader-1", "server_id": "reader"},
    "cpus": 2,
    "memory_mib": 1024,
    "firmware": "bios",
    "guest": {"os": "debian12_64Guest", "adapt": "offline"},
    "disks": [
        {"volume": "volume-a", "size_gib": 1, "boot": True, "controller": "pvscsi", "datastore": None},
        {"volume": "volume-b", "size_gib": 1, "boot": False, "controller": "pvscsi", "datastore": "DS1"},
    ],
    "nics": [
        {
            "port": "port-1",
            "mac": "fa:16:3e:00:00:01",
            "keep_mac": True,
            "network": "net-1",
            "type": "vmxnet3",
            "addresses": ["10.20.0.11"],
            "target": "VM Network",
        }
    ],
    "stop": {"deadline_s": 60},
    "checks": [],
}


def variable(**changes: Any) -> dict[str, Any]:
    """A copy, with top-level keys changed."""
    return {**copy.deepcopy(_VARIABLE), **changes}
