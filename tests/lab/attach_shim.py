# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes volumes that are attached to a reader host appear on this machine, as Nova would make them appear in a guest.

The lab's reader host is this machine. For each server that env.json lists under ``readers``, each attached volume
gets a loop device and the link ``/dev/disk/by-id/virtio-<first 20 characters of the volume's id>`` (and ``-part<n>``
links), which is what udev makes of a virtio disk's serial. At detach both go; Nova's driver waits for that.

What is held is noted in ``data/attach/<server>/<volume>.json``. While ``data/attach/release`` exists nothing is held.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from .paths import CHECKOUT, Instance, Proc, write_atomic

BY_ID = Path("/dev/disk/by-id")
INTERVAL = 0.15
NAME = "attach-shim"


def by_id_name(volume_id: str) -> str:
    """The link's name: virtio keeps 20 characters of a serial."""
    return f"virtio-{volume_id[:20]}"


def up(instance: Instance) -> None:
    """Start the shim."""
    Proc(instance, NAME).start(
        [sys.executable, "-m", "tests.lab.attach_shim", instance.name, str(instance.root)], cwd=CHECKOUT
    )


def down(instance: Instance) -> None:
    """Stop the shim, which lets go of all devices first."""
    Proc(instance, NAME).stop()


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class _Watched:
    """A JSON file that is read again only when it was replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._content: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        try:
            info = self._path.stat()
            key = (info.st_ino, info.st_mtime_ns)
        except (FileNotFoundError, NotADirectoryError):
            self._seen, self._content = None, {}
            return {}
        if key != self._seen:
            self._seen, self._content = key, _json(self._path)
        return self._content


class Shim:
    """Holds loop devices for the attached volumes of an instance's reader hosts."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.folder = instance.data / "attach"
        self._env = _Watched(instance.dir / "env.json")
        self._servers: dict[str, _Watched] = {}
        self._held: dict[tuple[str, str], dict[str, Any]] = {}

    def wanted(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The disks that should be here, by server and volume: each attached volume but the boot disk."""
        if (self.folder / "release").exists():
            return {}
        found = {}
        for server_id in self._env.read().get("readers", []):
            file = self.instance.data / "nova" / "instances" / server_id / "server.json"
            watched = self._servers.setdefault(server_id, _Watched(file))
            for disk in watched.read().get("disks", []):
                if disk.get("serial") and disk.get("boot_index") != 0:
                    found[server_id, disk["serial"]] = disk
        return found

    def _note(self, key: tuple[str, str]) -> Path:
        return self.folder / key[0] / f"{key[1]}.json"

    def adopt(self) -> None:
        """Take over what an earlier shim left."""
        for note in self.folder.glob("*/*.json"):
            held = {**_json(note), "owner": os.getpid()}
            self._held[note.parent.name, note.stem] = held
            write_atomic(note, json.dumps(held))

    def step(self) -> None:
        """Bring what is held to what is wanted, once."""
        wanted = self.wanted()
        for key in [k for k in self._held if k not in wanted or self._held[k].get("leaving")]:
            self._release(key)
        for key, disk in wanted.items():
            if key not in self._held:
                self._attach(key, disk)

    def _attach(self, key: tuple[str, str], disk: dict[str, Any]) -> None:
        options = ["--read-only"] if disk.get("read_only") else []
        done = subprocess.run(
            ["losetup", "--find", "--show", "--partscan", *options, disk["path"]],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(f"{key}: {done.stderr.strip()}", flush=True)
            return
        device = done.stdout.strip()
        held = {"device": device, "path": disk["path"], "links": [], "owner": os.getpid()}
        self._held[key] = held
        write_atomic(self._note(key), json.dumps(held))
        BY_ID.mkdir(parents=True, exist_ok=True)
        name = by_id_name(key[1])
        partitions = sorted(Path("/dev").glob(f"{Path(device).name}p*"))
        targets = {name: device} | {f"{name}-part{str(p).rpartition('p')[2]}": str(p) for p in partitions}
        for link, target in targets.items():
            part = BY_ID / f".{link}.{os.getpid()}"
            part.unlink(missing_ok=True)
            part.symlink_to(os.path.relpath(target, BY_ID))
            part.replace(BY_ID / link)
            held["links"].append(link)
        write_atomic(self._note(key), json.dumps(held))
        print(f"{key[1]} is {device} ({disk['path']})", flush=True)

    def _release(self, key: tuple[str, str]) -> None:
        """Remove links and device; a device that somebody has open goes when it is closed, and is held until then."""
        held = self._held[key]
        device = held.get("device", "")
        if not held.get("leaving"):
            for link in held.get("links", []):
                target = BY_ID / link
                if target.is_symlink() and os.path.realpath(target).startswith(device):
                    target.unlink(missing_ok=True)
            if self._ours(held):
                subprocess.run(["losetup", "--detach", device], capture_output=True, check=False)
            held["leaving"] = True
        if self._ours(held):
            return
        self._note(key).unlink(missing_ok=True)
        del self._held[key]
        print(f"{key[1]} left {device}", flush=True)

    @staticmethod
    def _ours(held: dict[str, Any]) -> bool:
        """Whether the loop device still has our file behind it."""
        backing = Path("/sys/block") / Path(held.get("device", "none")).name / "loop" / "backing_file"
        try:
            return backing.read_text().strip().removesuffix(" (deleted)") == held.get("path")
        except OSError:
            return False

    def close(self) -> None:
        """Let go of everything, as far as nobody has it open."""
        for key in list(self._held):
            self._release(key)


def main(argv: list[str]) -> int:
    """Run until TERM: python3 -m tests.lab.attach_shim <instance> <root>."""
    shim = Shim(Instance(argv[0], root=argv[1]))
    shim.folder.mkdir(parents=True, exist_ok=True)

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    shim.adopt()
    try:
        while True:
            shim.step()
            time.sleep(INTERVAL)
    finally:
        shim.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
