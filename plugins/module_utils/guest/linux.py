# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few Linux calls that Python has no function for: namespaces, mounts, capabilities, loop devices.

Numbers are the kernel's (include/uapi/linux: sched.h, mount.h, prctl.h, capability.h, loop.h) and do not change.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import struct
import time

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38

# What is left to a guest's program: to handle files as root does, and chroot, which leads nowhere behind pivot_root.
KEPT_CAPABILITIES = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "DAC_READ_SEARCH": 2,
    "FOWNER": 3,
    "FSETID": 4,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SYS_CHROOT": 18,
    "SETFCAP": 31,
}

_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "ppc64le": 203, "s390x": 217}
_LOOP_CTL_GET_FREE = 0x4C82
_LOOP_CONFIGURE = 0x4C0A
_LO_READ_ONLY = 1
_LO_AUTOCLEAR = 4

_libc = ctypes.CDLL(None, use_errno=True)


def _call(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """New namespaces for this process (unshare(2)). Raises OSError."""
    _call(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2). Raises OSError."""
    encoded = [os.fsencode(one) if one else None for one in (source, target, kind)]
    data = options.encode() or None
    _call(_libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), data), f"mount {target}")


def unmount(target: str, flags: int = 0) -> None:
    """umount2(2). Raises OSError."""
    _call(_libc.umount2(os.fsencode(target), flags), f"unmount {target}")


def private_mounts() -> None:
    """A mount namespace of this process's own: what is mounted from now on ends with the process."""
    unshare(CLONE_NEWNS)
    mount("none", "/", "", MS_REC | MS_PRIVATE)


def enter_root(root: str) -> None:
    """Make `root`, a mount point, the root of this mount namespace and leave the old one (pivot_root(2))."""
    number = _PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"pivot_root is not known for {platform.machine()}")
    os.chdir(root)
    _call(_libc.syscall(ctypes.c_long(number), b".", b"."), "pivot_root")
    unmount(".", MNT_DETACH)
    os.chdir("/")


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _call(_libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0), "prctl")


def last_capability() -> int:
    """The highest capability that this kernel knows."""
    with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
        return int(file.read())


def drop_capabilities(last: int) -> None:
    """Keep KEPT_CAPABILITIES for every program that is started from here on, and no way to get others."""
    for number in range(last + 1):
        if number not in KEPT_CAPABILITIES.values():
            _call(_libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0), "prctl")
    _call(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


class Loop:
    """A loop device over a part of a file or device.

    It needs no partition nodes on this host, and clears itself: the kernel takes it down when the last user is gone,
    also when this process is killed.
    """

    def __init__(self, device: str, offset: int, size: int, *, read_only: bool) -> None:
        """Raises CloudExitError where no loop device is to be had."""
        self._handle = -1
        flags = os.O_RDONLY if read_only else os.O_RDWR
        backing = os.open(device, flags | os.O_CLOEXEC)
        try:
            self.path = self._attach(device, backing, offset, size, read_only)
        except OSError as error:
            raise CloudExitError(
                f"{device} at offset {offset} could not be attached as a loop device",
                cause=error.strerror or str(error),
                hint="The reader host needs the kernel's loop driver (modprobe loop).",
                retryable=True,
            ) from error
        finally:
            os.close(backing)

    def _attach(self, device: str, backing: int, offset: int, size: int, read_only: bool) -> str:
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        try:
            for _attempt in range(64):
                number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
                path = f"/dev/loop{number}"
                _wait_for(path)
                handle = os.open(path, (os.O_RDONLY if read_only else os.O_RDWR) | os.O_CLOEXEC)
                try:
                    fcntl.ioctl(handle, _LOOP_CONFIGURE, _loop_config(device, backing, offset, size, read_only))
                except OSError as error:
                    os.close(handle)
                    if error.errno != errno.EBUSY:  # somebody else was faster
                        raise
                    continue
                self._handle = handle
                return path
        finally:
            os.close(control)
        raise OSError(errno.EBUSY, "every loop device that was free was taken by another process")

    @property
    def number(self) -> int:
        """The device number, for a node of it."""
        return os.fstat(self._handle).st_rdev

    def close(self) -> None:
        """Flush what was written, and let go."""
        if self._handle >= 0:
            with contextlib.suppress(OSError):
                os.fsync(self._handle)
            os.close(self._handle)
            self._handle = -1


def _wait_for(path: str) -> None:
    for _attempt in range(50):
        if os.path.exists(path):
            return
        time.sleep(0.02)


def _loop_config(device: str, backing: int, offset: int, size: int, read_only: bool) -> bytearray:
    """struct loop_config with its struct loop_info64."""
    flags = _LO_AUTOCLEAR | (_LO_READ_ONLY if read_only else 0)
    name = os.fsencode(device)[:63]
    info = struct.pack("=QQQQQIIII64s64s32sQQ", 0, 0, 0, offset, size, 0, 0, 0, flags, name, b"", b"", 0, 0)
    return bytearray(struct.pack("=II", backing, 0) + info + bytes(64))
