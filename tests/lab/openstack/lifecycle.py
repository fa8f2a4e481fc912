# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing an instance's OpenStack up and down, and putting it back to a saved state."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..paths import CHECKOUT, Instance, Proc, write_atomic
from . import config, database, install, schema, services

_QUEUE_AND_DATABASE = ("rabbit", "mariadb")


def pristine_dir(instance: Instance) -> Path:
    """Where the database and keys of a cloud that nobody used yet are kept for all instances."""
    here = install.HERE
    sources = [here / n for n in ("schema.py", "config.py", "requirements.txt", "pins.txt")]
    return instance.cache / f"openstack-pristine-{install.digest(*sources)}"


@contextmanager
def _cache_lock(instance: Instance) -> Iterator[None]:
    with open(instance.cache / "openstack-pristine.lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder with holes, times and attributes kept."""
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", "--sparse=auto", str(source), str(target)], check=True)


def up(instance: Instance) -> None:
    """Bring the instance's OpenStack up; does only what is not done yet."""
    instance.make_dirs()
    install.ensure(instance)
    config.write(instance)
    names = list(services.all_services(instance))
    if all(Proc(instance, n).alive() for n in names):
        instance.say("OpenStack is up already")
        return
    fresh = not (instance.data / "mariadb" / "mysql").is_dir() or not (instance.data / "schemas-made").exists()
    warm = fresh and pristine_dir(instance).is_dir()
    if fresh:
        services.stop(instance, *reversed(names))
        for part in ("mariadb", "keystone"):
            shutil.rmtree(instance.data / part, ignore_errors=True)
    shutil.rmtree(instance.data / "rabbit", ignore_errors=True)
    config.write(instance)
    services.start(instance, "rabbit")
    if warm:
        with instance.step("taking the prepared databases from the cache"):
            for part in ("mariadb", "keystone"):
                copy_tree(pristine_dir(instance) / part, instance.data / part)
    elif fresh:
        with instance.step("making the database"):
            schema.make_database(instance)
    with instance.step("starting the database"):
        services.start(instance, "mariadb")
        services.wait_ready(instance, ["mariadb"])
    if fresh and not warm:
        with instance.step("making schemas, users and the catalog (once)"):
            schema.make_schemas(instance)
    else:
        database.move_here(instance)
        schema.make_rings(instance)
    since = database.sql(instance, "SELECT utc_timestamp()")[0][0] or ""
    with instance.step("starting OpenStack's services"):
        services.start(instance, *names)
        services.wait_ready(instance, names)
    with instance.step("waiting for the compute and volume services"):
        schema.wait_workers(instance, since)
        schema.map_compute(instance)
    if fresh and not warm:
        with instance.step("making flavors and volume types"):
            schema.make_offers(instance)
            env = instance.update_env(clouds=schema.make_clouds(instance))
        (instance.data / "schemas-made").touch()
    (instance.data / "schemas-made").touch()
    write_env(instance)


def write_env(instance: Instance) -> None:
    """Write clouds.yaml, env.sh and what env.json says of OpenStack."""
    clouds = instance.dir / "clouds.yaml"
    env = instance.update_env(name=instance.name, base_port=instance.base_port)
    write_atomic(clouds, config.clouds_yaml(instance, env.get("clouds")), 0o600)


def down(instance: Instance) -> None:
    """Stop everything of OpenStack."""
    names = list(services.all_services(instance))
    services.stop(instance, *[n for n in reversed(names) if n not in _QUEUE_AND_DATABASE], grace=8)
    services.stop(instance, *_QUEUE_AND_DATABASE, grace=20)


def status(instance: Instance) -> dict[str, int | None]:
    """Pid by service."""
    return {n: Proc(instance, n).pid for n in services.all_services(instance)}


def save(instance: Instance, name: str) -> None:
    raise NotImplementedError


def restore(instance: Instance, name: str) -> None:
    raise NotImplementedError
