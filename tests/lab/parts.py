# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the lab, and what is done to all of them: up, down, save, restore.

A part is a module below tests.lab with any of: ``packages() -> list[str]``, ``up(instance)``, ``down(instance)``,
``save(instance, name)``, ``restore(instance, name)``, or ``reset(instance)`` where nothing is kept. A module that does
not exist (yet) is no part.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import shlex
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Concatenate, ParamSpec, TypeVar

from . import packages
from .guests import tools as guest_tools
from .paths import Instance, fail, running_procs, stop_all, write_atomic

NAMES = ("openstack", "flexible_engine", "attach_shim", "vcenter", "vcd", "hypervisor")
READER_PACKAGES = ("btrfs-progs", "fdisk", "lz4", "mtools", "qemu-utils", "util-linux", "zstd")
"""What the collection uses on a reader host (bindep.txt), and what its tests make disks with."""
SEEDED = "seeded"
AFTER_UP = "up"


P = ParamSpec("P")
R = TypeVar("R")
_held = threading.local()


def alone(act: Callable[Concatenate[Instance, P], R]) -> Callable[Concatenate[Instance, P], R]:
    """Let one up, down, save, restore or seed of an instance run at a time; they may call each other."""

    @functools.wraps(act)
    def guarded(instance: Instance, *args: P.args, **kwargs: P.kwargs) -> R:
        depth = getattr(_held, instance.name, 0)
        setattr(_held, instance.name, depth + 1)
        try:
            with instance.lock("lab") if depth == 0 else contextlib.nullcontext():
                return act(instance, *args, **kwargs)
        finally:
            setattr(_held, instance.name, depth)

    return guarded


def _modules(only: Sequence[str] | None = None) -> list[ModuleType]:
    found = []
    for name in only or NAMES:
        full = f"{__package__}.{name}"
        spec = importlib.util.find_spec(full)
        if spec is not None and spec.origin is not None:
            found.append(importlib.import_module(full))
    return found


def _packages(modules: Sequence[ModuleType]) -> dict[str, None]:
    return dict.fromkeys(p for m in modules if hasattr(m, "packages") for p in m.packages())


def ensure_packages(instance: Instance) -> None:
    """Install what is missing of the Debian packages that the lab, its guests and the tests of the collection need."""
    wanted = [*_packages(_modules()), *guest_tools.HOST_PACKAGES, *READER_PACKAGES]
    missing = packages.missing_packages(wanted)
    if missing:
        packages.require_host(f"installing {' '.join(missing)}")
        packages.ensure(missing, instance.say)


@alone
def up(instance: Instance, only: Sequence[str] | None = None) -> None:
    """Bring all parts up and keep the state after it under ``up``."""
    instance.make_dirs()
    instance.update_env(name=instance.name, base_port=instance.base_port)
    modules = _modules(only)
    packages.ensure(_packages(modules), instance.say)
    for module in modules:
        if hasattr(module, "up"):
            module.up(instance)
    write_env_sh(instance)
    if not (saved_dir(instance, AFTER_UP) / "complete").exists() and not only:
        with instance.step("keeping this state for reset"):
            save(instance, AFTER_UP)


def write_env_sh(instance: Instance) -> None:
    """Write env.sh, for a shell that wants to talk to this lab."""
    env = instance.env()
    values = {
        "CLOUDEXIT_LAB_ROOT": str(instance.root),
        "CLOUDEXIT_LAB_NAME": instance.name,
        "OS_CLIENT_CONFIG_FILE": str(instance.dir / "clouds.yaml"),
        **env.get("shell", {}),
    }
    lines = [f"export {k}={shlex.quote(str(v))}" for k, v in values.items()]
    write_atomic(instance.dir / "env.sh", "\n".join(lines) + "\n", 0o600)


@alone
def down(instance: Instance, wipe: bool = False) -> None:
    """Stop all parts, and whatever else of the instance still runs."""
    for module in reversed(_modules()):
        if hasattr(module, "down"):
            module.down(instance)
    stop_all(running_procs(instance))
    if wipe:
        shutil.rmtree(instance.dir)


def saved_dir(instance: Instance, name: str) -> Path:
    """Where a saved state is kept; each part has a folder in it."""
    return instance.dir / "saved" / name


@alone
def save(instance: Instance, name: str) -> None:
    """Keep the state of all parts under a name, replacing what had it."""
    if not name.replace("-", "").isalnum():
        fail(f"{name!r} cannot be a state's name: letters, digits and '-'")
    for module in _modules():
        if hasattr(module, "save"):
            module.save(instance, name)
    (saved_dir(instance, name) / "complete").touch()


@alone
def restore(instance: Instance, name: str | None = None) -> str:
    """Go back to a saved state: the named one, else the seeded one, else the one after up. Returns its name."""
    names = [name] if name else [SEEDED, AFTER_UP]
    found = next((n for n in names if (saved_dir(instance, n) / "complete").exists()), None)
    if found is None:
        fail(f"{instance.name} has no saved state {' or '.join(names)}")
        raise AssertionError
    for module in _modules():
        if hasattr(module, "restore"):
            module.restore(instance, found)
        elif hasattr(module, "reset"):
            module.reset(instance)
    return found
