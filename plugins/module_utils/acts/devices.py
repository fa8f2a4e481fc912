# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device of the reader host is an attached volume.

A volume is known by its id only: QEMU shows it to the guest as the disk's serial (virtio-blk cuts it at 20 characters,
Linux lists it in `/sys/block/*/serial` and as `/dev/disk/by-id/virtio-*` or `scsi-*`). The name that Nova gives an
attachment (`/dev/vdb`) is a guess of Nova's and is not used.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Conflict, NotFound


def find(serials: Sequence[str], *, root: Path = Path("/")) -> Path | None:
    """The device whose serial is one of `serials` (best first), or None. Raises Conflict where several have it."""
    for serial in serials:
        found = {path.resolve() for path in _by_id(serial, root)} | set(_by_sysfs(serial, root))
        if len(found) > 1:
            names = ", ".join(sorted(str(path) for path in found))
            raise Conflict(
                f"Several devices of the reader host carry the serial {serial}",
                cause=names,
                hint="Detach what does not belong there, then run again.",
            )
        if found:
            return found.pop()
    return None


def await_device(
    serials: Sequence[str],
    size: int,
    what: str,
    *,
    timeout_s: float = 60.0,
    root: Path = Path("/"),
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Wait until the device of `what` is there and has `size` bytes.

    Raises NotFound after `timeout_s` seconds, Conflict where the size is another.
    """
    deadline = clock() + timeout_s
    while (path := find(serials, root=root)) is None:
        if clock() >= deadline:
            raise NotFound(
                f"The reader host shows no device for {what}",
                cause=f"none has one of the serials {', '.join(serials)} after {timeout_s:.0f} s",
                hint="Check that readers.<name>.server_id in the plan is the server that Ansible logs in to as reader.",
                retryable=True,
            )
        sleep(0.25)
    found = _size(path)
    if found != size:
        raise Conflict(
            f"The device {path} is not {what}",
            cause=f"it has {found} bytes, but the volume has {size}",
            hint="Look at what is attached to the reader host.",
        )
    return path


def _by_id(serial: str, root: Path) -> list[Path]:
    directory = root / "dev/disk/by-id"
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return [directory / name for name in names if name.endswith(f"-{serial}") or name.endswith(f"_{serial}")]


def _by_sysfs(serial: str, root: Path) -> list[Path]:
    found = []
    for entry in (root / "sys/block").glob("*/serial"):
        try:
            text = entry.read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            continue
        device = root / "dev" / entry.parent.name
        if text == serial and device.exists():
            found.append(device.resolve())
    return found


def _size(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)
