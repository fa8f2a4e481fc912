# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare a guest while it runs at the source, days before it moves: `prepare` and `restore`.

The same decisions as offline, on the running system. All of it is harmless where it is: additional drivers, names by
UUID, a name pinned to the MAC that it has. Nothing has to be started again. Every original is kept below STATE and can
be put back.
"""

from __future__ import annotations

import contextlib
import json
import os
import posixpath
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import (
    bootloader,
    engine,
    hardware,
    initramfs,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.engine import Decision
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import (
    AdaptPlan,
    AdaptResult,
    FileChange,
    Kernel,
    Nic,
    is_interface_name,
    is_mac,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.names import Volume
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.tree import Tree, digest_file, digest_of
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Refused

STATE = "/var/lib/cloudexit/prepare"
ESP_MOUNT = "/boot/efi"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/root"}


@dataclass(frozen=True)
class System:
    """The running guest: its root directory, and how to run its programs; tests give another one."""

    root: str = "/"

    def run(self, command: Sequence[str], timeout: float) -> tuple[int, str]:
        """Status and output of a program. Raises CloudExitError where it cannot be run or does not end."""
        try:
            ended = subprocess.run(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
                env=ENVIRONMENT,
            )
        except FileNotFoundError as error:
            raise CloudExitError(f"{command[0]} is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise CloudExitError(f"{command[0]} did not end within {timeout:.0f} s") from error
        return ended.returncode, ended.stdout[-65536:].decode("utf-8", "replace")

    def path(self, inside: str) -> str:
        """Where a path of the guest is."""
        return inside if self.root == "/" else posixpath.join(self.root, inside[1:])

    def resolve(self, name: str) -> Volume | None:
        """The volume that a device name means now, as blkid sees it."""
        if not os.path.exists(self.path(name)):
            return None
        status, output = self.run(["blkid", "-c", "/dev/null", "-o", "export", self.path(name)], 60)
        values = dict(line.partition("=")[::2] for line in output.splitlines()) if status == 0 else {}
        return Volume(uuid=values.get("UUID", ""), kind=values.get("TYPE", ""), what=name) if values else None

    def nics(self) -> list[Nic]:
        """The guest's physical network cards, with their names and their own MAC addresses."""
        found = []
        directory = self.path("/sys/class/net")
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
            if not os.path.exists(f"{directory}/{name}/device") or not is_interface_name(name):
                continue
            for file in ("bonding_slave/perm_hwaddr", "address"):
                mac = _read(f"{directory}/{name}/{file}").lower()
                if is_mac(mac):
                    found.append(Nic(mac, name=name))
                    break
        return found

    def esp(self) -> Tree | None:
        """The mounted EFI system partition of a machine that was started by UEFI."""
        if os.path.isdir(self.path("/sys/firmware/efi")) and os.path.ismount(self.path(ESP_MOUNT)):
            return Tree(self.path(ESP_MOUNT))
        return None


def prepare(plan: AdaptPlan, *, check: bool = False, system: System | None = None, timeout: float = 900) -> AdaptResult:
    """Prepare the running guest for the plan's hardware. `plan.nics` is not used: the guest knows its own.

    Raises Refused with every reason, before anything was written; CloudExitError.
    """
    system = system or System()
    started = time.monotonic()
    tree = Tree(system.root)
    esp = system.esp()
    decision = engine.decide(tree, replace(plan, nics=tuple(system.nics())), system.resolve, offline=False)
    if esp is not None and plan.hardware.firmware != "bios":
        problems, warnings = bootloader.removable_loader(esp, prefix=ESP_MOUNT)
        decision.warnings += [*problems, *warnings]
        decision.facts.firmware = ["efi"]
    if decision.refusals:
        told = "".join(f"\n  - {reason}" for reason in decision.refusals)
        raise Refused("The guest cannot be prepared", cause=told)
    files = [*tree.changes(), *(_on_esp(change) for change in (esp.changes() if esp else []))]
    if check:
        files += [_planned(tree, kernel) for kernel in decision.rebuild]
    elif files or decision.rebuild:
        record = _Record(system)
        record.note(files)
        tree.commit(record.originals)
        if esp is not None:
            esp.commit(posixpath.join(record.originals, ESP_MOUNT[1:]))
        for kernel in decision.rebuild:
            files.append(_build(system, tree, kernel, decision, record, timeout))
    return AdaptResult(
        changed=bool(files),
        files=sorted(files, key=lambda change: change.path),
        found=decision.facts,
        warnings=decision.warnings,
        seconds=time.monotonic() - started,
    )


def restore(*, check: bool = False, system: System | None = None) -> AdaptResult:
    """Put every original back. What somebody else has changed since stays as it is and is told in the warnings."""
    system = system or System()
    started = time.monotonic()
    record = _Record(system)
    files: list[FileChange] = []
    warnings: list[str] = []
    for path, entry in sorted(record.entries.items()):
        now = _digest(system, path)
        if now == entry.before:
            continue
        if now != entry.after:
            warnings.append(f"{path} was changed since by somebody else and stays as it is")
            continue
        action = "removed" if entry.before is None else "created" if now is None else "modified"
        files.append(FileChange(path, action, now, entry.before, "as it was before the guest was prepared"))
    if not check:
        for change in files:
            _put_back(system, record, change)
        record.remove()
    return AdaptResult(changed=bool(files), files=files, warnings=warnings, seconds=time.monotonic() - started)


# inside


@dataclass
class _Entry:
    before: str | None
    after: str | None


class _Record:
    """What was changed: `record.json`, and `originals/` with every file as it was."""

    def __init__(self, system: System) -> None:
        self.directory = system.path(STATE)
        self.originals = posixpath.join(self.directory, "originals")
        self.file = posixpath.join(self.directory, "record.json")
        self.entries: dict[str, _Entry] = {}
        try:
            with open(self.file, encoding="utf-8") as file:
                for path, entry in json.load(file)["files"].items():
                    self.entries[path] = _Entry(entry["before"], entry["after"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CloudExitError(
                f"the record {self.file} cannot be read",
                cause=str(error),
                hint=f"Restore by hand from {self.originals}, then remove {self.directory}.",
            ) from error

    def note(self, files: Sequence[FileChange]) -> None:
        """Take down what is going to be changed; the first state seen of a file is its original."""
        for change in files:
            known = self.entries.get(change.path)
            self.entries[change.path] = _Entry(known.before if known else change.before, change.after)
        os.makedirs(self.originals, mode=0o700, exist_ok=True)
        temporary = f"{self.file}.new"
        value = {"version": 1, "files": {path: vars(entry) for path, entry in self.entries.items()}}
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.file)

    def original(self, path: str) -> str:
        return posixpath.join(self.originals, path[1:])

    def remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.directory)
        with contextlib.suppress(OSError):
            os.rmdir(posixpath.dirname(self.directory))


def _build(
    system: System, tree: Tree, kernel: Kernel, decision: Decision, record: _Record, timeout: float
) -> FileChange:
    """Build an initramfs beside the one that is there, look whether the drivers are in it, and put it in its place."""
    drivers = decision.drivers[kernel.version]
    target = tree.host_path(kernel.initramfs)
    made = f"{target}.cloudexit-new"
    command = engine.build_command(decision.facts.initramfs_tool, kernel, made, drivers, offline=False)
    try:
        status, output = system.run(command, timeout)
        if status != 0:
            raise CloudExitError(
                f"the initramfs of kernel {kernel.version} could not be built",
                cause=f"{command[0]} ended with status {status}: {output[-600:].strip()}",
            )
        with open(made, "rb") as file:
            missing = engine.missing_in(file, hardware.modules_of(tree, kernel.version), drivers)
        if missing:
            raise CloudExitError(f"the new initramfs of kernel {kernel.version} lacks {', '.join(missing)}")
        before = digest_file(target) if os.path.exists(target) else None
        change = FileChange(kernel.initramfs, "rebuilt", before, digest_file(made), _WHY)
        record.note([change])
        if before is not None:
            kept = record.original(kernel.initramfs)
            if not os.path.exists(kept):
                os.makedirs(posixpath.dirname(kept), mode=0o700, exist_ok=True)
                shutil.copyfile(target, kept)
                shutil.copystat(target, kept)
            shutil.copystat(target, made)
        os.replace(made, target)
    except initramfs.Unreadable as error:
        raise CloudExitError(f"the new initramfs of kernel {kernel.version}", cause=str(error)) from error
    except OSError as error:
        raise CloudExitError(f"{kernel.initramfs} could not be written", cause=error.strerror or str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(made)
    return change


_WHY = "lacked drivers for the target's hardware"


def _planned(tree: Tree, kernel: Kernel) -> FileChange:
    before = digest_file(tree.host_path(kernel.initramfs)) if tree.is_file(kernel.initramfs) else None
    return FileChange(kernel.initramfs, "rebuilt", before, None, _WHY)


def _on_esp(change: FileChange) -> FileChange:
    return replace(change, path=ESP_MOUNT + change.path)


def _digest(system: System, path: str) -> str | None:
    """The digest as FileChange has it: of a link its target's name, None where nothing is."""
    place = system.path(path)
    if os.path.islink(place):
        return digest_of(os.fsencode(os.readlink(place)))
    return digest_file(place) if os.path.isfile(place) else None


def _put_back(system: System, record: _Record, change: FileChange) -> None:
    place = system.path(change.path)
    kept = record.original(change.path)
    try:
        if change.after is None:
            os.unlink(place)
            return
        temporary = f"{place}.cloudexit-old"
        if os.path.islink(kept):
            os.symlink(os.readlink(kept), temporary)
        else:
            shutil.copyfile(kept, temporary)
            with contextlib.suppress(PermissionError):
                shutil.copystat(kept, temporary)
                old = os.stat(kept)
                os.chown(temporary, old.st_uid, old.st_gid)
        os.replace(temporary, place)
    except OSError as error:
        raise CloudExitError(
            f"{change.path} could not be put back",
            cause=error.strerror or str(error),
            hint=f"Its original is {kept}.",
        ) from error


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
