# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adapt a guest on its disk, with nobody running in it: `adapt`.

Everything happens in a child process with mounts of its own. When that process ends, in whatever way, the kernel takes
down its mounts and loop devices: a killed run leaves nothing behind on this host.
"""

from __future__ import annotations

import contextlib
import json
import os
import posixpath
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import (
    bootloader,
    confine,
    detect,
    engine,
    hardware,
    initramfs,
    linux,
    services,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.engine import Decision
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.esp import Esp
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import (
    AdaptPlan,
    AdaptResult,
    Facts,
    FileChange,
    Kernel,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.names import Volume
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.storage import open_disks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.tree import Tree, digest_file
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import errors
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Refused

# File systems that can be the guest's root, with the options that keep even the journal untouched.
FILE_SYSTEMS = {"ext4": "noload", "ext3": "noload", "ext2": "", "xfs": "norecovery", "btrfs": "rescue=nologreplay"}
# What else of the guest is mounted, where fstab names it.
FURTHER = ("/usr", "/var", "/boot")
SUBVOLUMES = ("@", "root", "@rootfs")
ESP_MOUNT = "/boot/efi"


def adapt(
    device: str,
    plan: AdaptPlan,
    *,
    check: bool = False,
    keep: str | None = None,
    before_write: Callable[[], None] | None = None,
    timeout: float = 900,
) -> AdaptResult:
    """Make the guest on `device`, a whole disk (block device or raw file), bootable on the plan's hardware.

    The guest is examined read-only first. check: only tell what would be changed. keep: a directory of this host where
    the originals of changed files are kept. before_write: called when everything has been decided and something is to
    be written, just before. timeout: seconds for one initramfs.

    Raises Refused with every reason, before anything was written; NotFound, Timeout, CloudExitError.
    """
    started = time.monotonic()
    if plan.mode == "none":
        return AdaptResult()
    if os.geteuid() != 0:
        raise CloudExitError("a guest can only be adapted as root", hint="Use become on the reader host.")
    result = decoded(_in_child(lambda: _examine(device, plan)))
    if result.changed and not check:
        if before_write is not None:
            before_write()
        result = decoded(_in_child(lambda: _write(device, plan, keep, timeout)))
    result.seconds = time.monotonic() - started
    return result


# the two passes, each in a child process


def _examine(device: str, plan: AdaptPlan) -> dict[str, Any]:
    with _Workshop(device, plan, read_only=True) as shop:
        decision = shop.decide()
        files = [
            *shop.tree.changes(),
            *shop.esp_changes(),
            *(_planned(shop.tree, kernel) for kernel in decision.rebuild),
        ]
        return encoded(_result(decision, files))


def _write(device: str, plan: AdaptPlan, keep: str | None, timeout: float) -> dict[str, Any]:
    with _Workshop(device, plan, read_only=False, keep=keep) as shop:
        decision = shop.decide()
        files = shop.commit(keep)
        for kernel in decision.rebuild:
            files.append(shop.build(kernel, decision, timeout))
        if files and decision.facts.selinux in ("enforcing", "permissive"):
            services.relabel(shop.tree)
            files += shop.commit(keep)
        result = encoded(_result(decision, files))
    return result


def _result(decision: Decision, files: list[FileChange]) -> AdaptResult:
    return AdaptResult(
        changed=bool(files),
        files=sorted(files, key=lambda change: change.path),
        found=decision.facts,
        warnings=decision.warnings,
    )


def _planned(tree: Tree, kernel: Kernel) -> FileChange:
    before = digest_file(tree.host_path(kernel.initramfs)) if tree.is_file(kernel.initramfs) else None
    return FileChange(kernel.initramfs, "rebuilt", before, None, _WHY_REBUILT)


_OTHER_WAY = (
    "Prepare it while it runs (prepare_guest), then have it copied as it is with `guest: {adapt: none}` in the plan."
)
_MADE = "/tmp/cloudexit-initramfs"
_WHY_REBUILT = "lacked drivers for the target's hardware"


class _Workshop:
    """The guest's file systems mounted for one pass, in this process's own mount namespace."""

    def __init__(self, device: str, plan: AdaptPlan, *, read_only: bool, keep: str | None = None) -> None:
        self.plan = plan
        self.keep = keep or ""
        self.read_only = read_only
        self.device = device
        self._mounted: list[str] = []
        self._loops: list[linux.Loop] = []
        self._base = ""
        self._made = ""
        self.mounts: list[str] = []
        self.esp: Esp | None = None
        self._esp_inside = False

    def __enter__(self) -> _Workshop:
        try:
            linux.private_mounts()
            self._base = self._place()
            linux.mount("tmpfs", self._base, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC, "mode=0700")
            self._mounted.append(self._base)
            self.disks = open_disks(self.device, self.plan)
            self.root_path = posixpath.join(self._base, "root")
            os.mkdir(self.root_path)
            self.root = self._find_root()
            self.tree = Tree(self.root_path)
            self._mount_further()
            self._mount_esp()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_details: object) -> None:
        trouble = ""
        for path in reversed(self._mounted):
            try:
                linux.unmount(path)
            except OSError as error:
                trouble = trouble or str(error)
        for loop in self._loops:
            loop.close()
        if self._made:
            with contextlib.suppress(OSError):
                os.rmdir(self._made)
        if not self.read_only:
            _flush(self.device)
        if trouble and _details and _details[0] is None:
            raise CloudExitError(f"the guest's file systems on {self.device} could not be unmounted", cause=trouble)

    # mounting

    def _place(self) -> str:
        """A directory to mount over, which no other process sees: one that is there already, so that not even an empty
        directory is left behind by a killed run."""
        needed = [self.device, *(disk.device for disk in self.plan.data_disks), self.keep, os.getcwd(), *sys.path]
        needed += [sys.prefix, sys.base_prefix]
        for path in ("/mnt", "/media"):
            inside = any(f"{os.path.realpath(one)}/".startswith(f"{path}/") for one in needed)
            if os.path.isdir(path) and not inside:
                return path
        self._made = tempfile.mkdtemp(prefix="cloudexit-")
        return self._made

    def _find_root(self) -> Volume:
        candidates = [volume for volume in self.disks.boot.volumes if volume.kind in FILE_SYSTEMS]
        found: list[tuple[Volume, str]] = []
        trouble: list[str] = []
        for volume in candidates:
            try:
                with self._peek(volume) as options:
                    if options is not None:
                        found.append((volume, options))
            except OSError as error:
                trouble.append(f"{volume.what} ({volume.kind}) could not be mounted: {error.strerror or error}")
        if len(found) == 1:
            volume, options = found[0]
            try:
                self._mount(volume, self.root_path, options)
            except OSError as error:
                raise CloudExitError(f"the guest's root file system ({volume.what})", cause=str(error)) from error
            return volume
        told = "; ".join(self._no_root(found, trouble))
        raise Refused(f"The guest on {self.device} cannot be adapted", cause=told, hint=_OTHER_WAY)

    def _no_root(self, found: list[tuple[Volume, str]], trouble: list[str]) -> list[str]:
        if found:
            told = ", ".join(volume.what for volume, _options in found)
            return [f"it holds more than one system ({told}), and which of them is meant cannot be told"]
        reasons = []
        boot = self.disks.boot
        kinds = {volume.kind: volume for volume in boot.volumes}
        if "crypto_LUKS" in kinds:
            reasons.append(f"{kinds['crypto_LUKS'].what} is encrypted with LUKS")
        if "BitLocker" in kinds:
            reasons.append(f"{kinds['BitLocker'].what} is encrypted with BitLocker")
        if "linux_raid_member" in kinds:
            reasons.append(f"{kinds['linux_raid_member'].what} is a part of a Linux software RAID")
        if "zfs_member" in kinds:
            reasons.append(f"{kinds['zfs_member'].what} belongs to a ZFS pool")
        if "ntfs" in kinds:
            reasons.append(f"{kinds['ntfs'].what} is NTFS: Windows guests are not adapted by this version")
        reasons += [f"{what}: {why}" for what, why in boot.unusable.items()]
        reasons += [*boot.damaged, *trouble]
        return reasons or ["no Linux root file system was found on it"]

    def _peek(self, volume: Volume) -> _Peek:
        return _Peek(self, volume)

    def _mount(self, volume: Volume, path: str, options: str = "", *, read_only: bool | None = None) -> linux.Loop:
        """Raises OSError."""
        read_only = self.read_only if read_only is None else read_only
        loop = linux.Loop(volume.device, volume.offset, volume.size, read_only=read_only)
        flags = linux.MS_NOSUID | linux.MS_NODEV | (linux.MS_RDONLY if read_only else 0)
        words = [options, "nouuid" if volume.kind == "xfs" else "", FILE_SYSTEMS[volume.kind] if read_only else ""]
        try:
            linux.mount(loop.path, path, volume.kind, flags, ",".join(filter(None, words)))
        except OSError:
            loop.close()
            raise
        self._loops.append(loop)
        self._mounted.append(path)
        if volume.kind == "btrfs" and _source_of(path) != loop.path:
            raise Refused(
                f"{volume.what} of {self.device}",
                cause="this host has a btrfs file system with the same id mounted, and would show that one instead",
            )
        return loop

    def _unmount_last(self) -> None:
        linux.unmount(self._mounted.pop())
        self._loops.pop().close()

    def _mount_further(self) -> None:
        reasons = []
        for fields in sorted(detect.fstab(self.tree), key=lambda fields: fields[1]):
            if fields[1] not in FURTHER or "noauto" in fields[3].split(","):
                continue
            volume = self.disks.find(fields[0])
            if volume is None or volume.device != self.device:
                where = "was not found" if volume is None else "lies on another disk"
                reasons.append(f"{fields[1]} of the guest ({fields[0]}) {where}")
            elif volume.kind not in FILE_SYSTEMS:
                reasons.append(f"{fields[1]} of the guest is of the kind {volume.kind or 'unknown'}")
            else:
                try:
                    self._mount(volume, self.tree.host_path(fields[1]), _subvolume(fields[3]))
                    self.mounts.append(self.tree.resolve(fields[1]))
                except OSError as error:
                    reasons.append(f"{fields[1]} of the guest could not be mounted: {error.strerror or error}")
        if reasons:
            raise Refused(f"The guest on {self.device} cannot be adapted", cause="; ".join(reasons), hint=_OTHER_WAY)

    def _mount_esp(self) -> None:
        partition = self.disks.boot.esp
        if partition is None:
            return
        directory = posixpath.join(self._base, "esp")
        os.mkdir(directory)
        self.esp = Esp(self.device, partition, directory)
        place = self.tree.host_path(ESP_MOUNT)
        if self.tree.is_dir(ESP_MOUNT) and not self.tree.names(ESP_MOUNT):
            linux.mount(directory, place, "", linux.MS_BIND)
            self._mounted.append(place)
            self.mounts.append(self.tree.resolve(ESP_MOUNT))
            self._esp_inside = True

    # deciding and doing

    def decide(self) -> Decision:
        """Raises Refused with every reason."""
        decision = engine.decide(self.tree, self.plan, self.disks.resolve, offline=True)
        facts = decision.facts
        facts.firmware = self.disks.boot.firmware
        facts.root_file_system = self.root.kind
        facts.root_device = self.root.what
        facts.root_spec = facts.root_spec or bootloader.kernel_root(self.tree)
        firmware = self.plan.hardware.firmware
        if firmware and firmware not in facts.firmware:
            told = " or ".join(facts.firmware) or "neither BIOS nor UEFI"
            decision.refusals.append(f"the target starts it with {firmware}, and the disk is made for {told}")
        if self.esp is not None and firmware != "bios":
            needed = firmware == "efi" or "bios" not in facts.firmware
            problems, warnings = bootloader.removable_loader(self.esp.tree, prefix="the EFI system partition")
            (decision.refusals if needed else decision.warnings).extend(problems)
            decision.warnings += warnings
        if decision.refusals:
            told = "".join(f"\n  - {reason}" for reason in decision.refusals)
            raise Refused(f"The guest on {self.device} cannot be adapted", cause=told)
        return decision

    def esp_changes(self) -> list[FileChange]:
        """What is staged on the EFI system partition, with the paths that the guest has for it."""
        return [_below(ESP_MOUNT, change) for change in self.esp.tree.changes()] if self.esp else []

    def commit(self, keep: str | None) -> list[FileChange]:
        """Write what is staged, to the EFI system partition too."""
        files = self.tree.commit(keep)
        if self.esp is not None:
            if self._esp_inside:
                self.esp.write_back([one for one in files if one.path.startswith(f"{ESP_MOUNT}/")], ESP_MOUNT)
            changes = self.esp.tree.commit(posixpath.join(keep, ESP_MOUNT[1:]) if keep else None)
            self.esp.write_back(changes)
            files += [_below(ESP_MOUNT, change) for change in changes]
        return files

    def build(self, kernel: Kernel, decision: Decision, timeout: float) -> FileChange:
        """Build one initramfs with the guest's own tool, look whether the drivers are in it, and put it in place."""
        drivers = decision.drivers[kernel.version]
        path = kernel.initramfs
        before = digest_file(self.tree.host_path(path)) if self.tree.is_file(path) else None
        made = posixpath.join(self._base, "initramfs")
        tool = decision.facts.initramfs_tool
        command = engine.build_command(tool, kernel, _MADE, drivers, offline=True)
        view = linux.Loop(self.root.device, self.root.offset, self.root.size, read_only=True)
        try:
            # The programs of the guest look for the device that / is mounted from, to learn its file system.
            node = posixpath.basename(_source_of(self.root_path))
            with open(made, "wb") as file:
                ended = confine.run(
                    self.root_path,
                    command,
                    name=tool,
                    result=_MADE,
                    into=file.fileno(),
                    mounts=self.mounts,
                    devices=[(node, view.number)],
                    timeout=timeout,
                )
        finally:
            view.close()
        if ended.status != 0:
            raise CloudExitError(
                f"the initramfs of kernel {kernel.version} could not be built",
                cause=f"{tool} of the guest ended with status {ended.status}: {ended.output[-600:].strip()}",
            )
        self._prove(made, kernel, drivers, ended.output)
        self._install(made, path)
        return FileChange(path, "rebuilt", before, digest_file(made), _WHY_REBUILT)

    def _prove(self, made: str, kernel: Kernel, drivers: list[str], output: str) -> None:
        try:
            with open(made, "rb") as file:
                missing = engine.missing_in(file, hardware.modules_of(self.tree, kernel.version), drivers)
        except initramfs.Unreadable as error:
            raise CloudExitError(f"the new initramfs of kernel {kernel.version}", cause=str(error)) from error
        if missing:
            raise CloudExitError(
                f"the new initramfs of kernel {kernel.version} lacks {', '.join(missing)}", cause=output[-600:].strip()
            )

    def _install(self, made: str, path: str) -> None:
        target = self.tree.host_path(path)
        temporary = f"{target}.cloudexit-new"
        try:
            with open(made, "rb") as source, open(temporary, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
                if os.path.exists(target):
                    old = os.stat(target)
                    os.fchown(sink.fileno(), old.st_uid, old.st_gid)
                    os.fchmod(sink.fileno(), old.st_mode & 0o7777)
                else:
                    os.fchmod(sink.fileno(), 0o600)
                sink.flush()
                os.fsync(sink.fileno())
            os.replace(temporary, target)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            size = os.path.getsize(made) >> 20
            raise CloudExitError(
                f"{path} of the guest could not be written",
                cause=f"{error.strerror}; the new initramfs has {size} MiB",
                hint="Make room in the guest's /boot, for instance by removing old kernels, and start again.",
            ) from error


class _Peek:
    """A file system mounted read-only for a look: gives the mount options under which it is a root, or None."""

    def __init__(self, shop: _Workshop, volume: Volume) -> None:
        self.shop = shop
        self.volume = volume
        self.depth = 0

    def __enter__(self) -> str | None:
        choices = [""] if self.volume.kind != "btrfs" else ["", *(f"subvol={name}" for name in SUBVOLUMES)]
        for options in choices:
            try:
                self.shop._mount(self.volume, self.shop.root_path, options, read_only=True)
            except OSError:
                if options:
                    continue
                raise
            self.depth += 1
            if detect.looks_like_root(Tree(self.shop.root_path)):
                return options
            self._leave()
        return None

    def __exit__(self, *_details: object) -> None:
        self._leave()

    def _leave(self) -> None:
        while self.depth:
            self.shop._unmount_last()
            self.depth -= 1


def _below(prefix: str, change: FileChange) -> FileChange:
    return FileChange(
        prefix + change.path,
        change.action,
        change.before,
        change.after,
        change.reason,
        change.before_text,
        change.after_text,
    )


def _subvolume(options: str) -> str:
    return ",".join(word for word in options.split(",") if word.startswith(("subvol=", "subvolid=")))


def _source_of(path: str) -> str:
    """The device that is mounted at `path`, as the kernel says."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in reversed(file.read().splitlines()):
            left, _dash, right = line.partition(" - ")
            if left.split()[4] == path:
                return right.split()[1]
    return ""


def _flush(device: str) -> None:
    handle = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# the child process and what goes through the pipe


def _in_child(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run `work` in a child process and return its result; its CloudExitError is raised here."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(work, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as file:
            data = file.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.waitpid(child, 0)
    if not data:
        raise CloudExitError("the adaptation was stopped", cause="its process ended without a result", retryable=True)
    answer = json.loads(data)
    if "error" in answer:
        kind = getattr(errors, answer["error"], CloudExitError)
        raise kind(answer["what"], cause=answer["cause"], hint=answer["hint"], retryable=answer["retryable"])
    result: dict[str, Any] = answer["result"]
    return result


def _child(work: Callable[[], dict[str, Any]], writing: int) -> None:
    """Never returns."""
    try:
        linux.die_with_parent()
        try:
            answer: dict[str, Any] = {"result": work()}
        except CloudExitError as error:
            answer = _told(type(error).__name__, error.what, error.cause, error.hint, error.retryable)
        except OSError as error:
            answer = _told("CloudExitError", "the guest's disk could not be worked on", str(error), "", False)
        except Exception as error:
            answer = _told("CloudExitError", "the adaptation failed", f"{type(error).__name__}: {error}", "", False)
        with os.fdopen(writing, "wb") as file:
            file.write(json.dumps(answer).encode("utf-8", "surrogatepass"))
    finally:
        os._exit(0)


def _told(kind: str, what: str, cause: str, hint: str, retryable: bool) -> dict[str, Any]:
    return {"error": kind, "what": what, "cause": cause, "hint": hint, "retryable": retryable}


def encoded(result: AdaptResult) -> dict[str, Any]:
    """Plain values that decoded() reads again, with the content of changed texts."""
    value = result.to_dict()
    value["files"] = [vars(change) for change in result.files]
    return value


def decoded(value: dict[str, Any]) -> AdaptResult:
    """What encoded() made."""
    facts = dict(value["found"])
    facts["kernels"] = [Kernel(**kernel) for kernel in facts["kernels"]]
    return AdaptResult(
        changed=value["changed"],
        files=[FileChange(**change) for change in value["files"]],
        found=Facts(**facts),
        warnings=list(value["warnings"]),
    )
