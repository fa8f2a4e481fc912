# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on both sides of a lab, asked by the lab's own ways and not by the collection: for tests of what is left."""

from __future__ import annotations

import hashlib
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import seed
from .openstack.rest import Api
from .openstack.schema import TENANT_USERS
from .paths import Instance
from .vcd import Control as DirectorControl
from .vcenter.service import Control


@dataclass(frozen=True)
class Sides:
    """Ids of what exists: at the source, at the target, and on the reader host (this machine)."""

    servers: dict[str, str]
    volumes: dict[str, str]
    snapshots: tuple[str, ...]
    images: tuple[str, ...]
    attachments: tuple[tuple[str, str], ...]
    machines: tuple[str, ...]
    leases: int
    sessions: int
    devices: tuple[str, ...]
    mounts: tuple[str, ...]


def api(instance: Instance) -> Api:
    """The lab's own way to the tenant's project."""
    found = Api(instance, seed.OPERATOR, TENANT_USERS[seed.OPERATOR][0], seed.TENANT)
    found.get("identity", "/auth/projects")
    return found


def look(instance: Instance) -> Sides:
    """Read everything."""
    tenant = api(instance)
    project = f"/{tenant.project_id}"
    servers = tenant.get("compute", "/servers/detail")["servers"]
    volumes = tenant.get("volume", f"{project}/volumes/detail")["volumes"]
    snapshots = tenant.get("volume", f"{project}/snapshots/detail")["snapshots"]
    images = tenant.get("image", "/images")["images"]
    control = Control(instance)
    loops = _loops(instance)
    return Sides(
        servers={server["id"]: server["status"] for server in servers},
        volumes={volume["id"]: volume["status"] for volume in volumes},
        snapshots=tuple(sorted(snapshot["id"] for snapshot in snapshots)),
        images=tuple(sorted(image["id"] for image in images)),
        attachments=tuple(
            sorted((volume["id"], held["server_id"]) for volume in volumes for held in volume["attachments"])
        ),
        machines=tuple(sorted(machine["instance_uuid"] for machine in control.machines()[1])),
        leases=len(control.leases()),
        sessions=len(control.sessions()),
        devices=tuple(sorted(loops.values())),
        mounts=_mounts(loops),
    )


def _loops(instance: Instance) -> dict[str, str]:
    """This machine's loop devices over files of the instance, and over such devices: name and file behind it."""
    listed = subprocess.run(["losetup", "-nO", "NAME,BACK-FILE"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 1) for line in listed.splitlines()]
    found = {name: file.strip() for name, file in rows if str(instance.dir) in file}
    return found | {name: file.strip() for name, file in rows if file.strip() in found}


def _mounts(loops: dict[str, str]) -> tuple[str, ...]:
    """Mounts of these devices and of their partitions."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    device = re.compile(r"^(/dev/loop\d+)(p\d+)?$")
    return tuple(line for line in lines if (found := device.match(line.split()[0])) and found[1] in loops)


def left_behind(before: Sides, after: Sides) -> dict[str, Any]:
    """What a migration that is over left on either side and should not have; {} when it is clean.

    Machines and the state of servers are not looked at.
    """
    found = {
        "volumes": sorted(after.volumes.keys() ^ before.volumes.keys()),
        "snapshots": sorted(set(after.snapshots) ^ set(before.snapshots)),
        "images": sorted(set(after.images) ^ set(before.images)),
        "attachments": sorted(set(after.attachments) ^ set(before.attachments)),
        "leases": after.leases,
        "sessions": max(0, after.sessions - before.sessions),
        "devices": sorted(set(after.devices) - set(before.devices)),
        "mounts": sorted(set(after.mounts) - set(before.mounts)),
    }
    return {what: value for what, value in found.items() if value}


PASSING = frozenset({"task", "session", "orange_session", "metadata", "job"})
"""Kinds of rows in the lab's Cloud Director that come and go by themselves, or belong to others."""


def organisation(instance: Instance) -> dict[str, dict[str, Any]]:
    """What Cloud Director holds once no task of its own is left: rows by kind and id, the files of transfers, and the
    uploads that wait for their bytes.
    """
    control = DirectorControl(instance)
    control.settle()
    tables = control.tables()
    folder = instance.data / "vcd" / "transfer"
    found = {kind: rows for kind, rows in tables.items() if kind not in PASSING and rows}
    found["waiting task"] = {
        ident: row
        for ident, row in tables.get("task", {}).items()
        if row["status"] in ("queued", "preRunning", "running")
    }
    found["transfer file"] = {
        str(path.relative_to(folder)): path.stat().st_size for path in folder.glob("**/*") if path.is_file()
    }
    return found


def come_and_gone(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """What differs between two states of Cloud Director, by kind: `+ name`, `- name`, and `~ name` for what changed."""
    found = {}
    for kind in sorted({*before, *after}):
        old, new = before.get(kind, {}), after.get(kind, {})
        lines = [f"+ {_named(new[one], one)}" for one in new.keys() - old.keys()]
        lines += [f"- {_named(old[one], one)}" for one in old.keys() - new.keys()]
        lines += [f"~ {_named(old[one], one)}" for one in old.keys() & new.keys() if old[one] != new[one]]
        if lines:
            found[kind] = sorted(lines)
    return found


def _named(row: Any, ident: str) -> str:
    return str(row.get("name") or ident) if isinstance(row, dict) else ident


def disk_bytes(instance: Instance, volume: str) -> Path:
    """The file that holds a Cinder volume's bytes."""
    return instance.data / "cinder" / "volumes" / f"volume-{volume}"


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
