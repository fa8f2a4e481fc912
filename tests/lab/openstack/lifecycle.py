# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing an instance's OpenStack up and down, and putting it back to a saved state."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..paths import Instance, Proc, write_atomic
from . import config, database, install, ready, schema, services, state

_OWN = ("mariadb", "rabbit", "keystone", "glance", "cinder", "nova", "neutron", "swift", "attach", "tmp", "locks")
_QUEUE_AND_DATABASE = ("rabbit", "mariadb")


def pristine_dir(instance: Instance) -> Path:
    """Where the database and keys of a cloud that nobody used yet are kept for all instances."""
    sources = install.digest(*(install.HERE / n for n in ("schema.py", "requirements.txt", "pins.txt")))
    made = (config.CATALOG, config.DATABASES, config.SERVICE_USERS, config.SERVICE_PASSWORD, config.ADMIN_PASSWORD)
    return instance.cache / f"openstack-pristine-{install.text_digest(sources, repr(made))}"


@contextmanager
def _cache_lock(instance: Instance) -> Iterator[None]:
    with open(instance.cache / "openstack-pristine.lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def up(instance: Instance) -> None:
    """Bring the instance's OpenStack up; does only what is not done yet."""
    instance.make_dirs()
    install.ensure(instance)
    config.write(instance)
    names = list(services.all_services(instance))
    if all(Proc(instance, n).alive() for n in names):
        instance.say("OpenStack is up already")
        write_env(instance)
        return
    done = instance.data / "complete"
    pristine = pristine_dir(instance)
    fresh = not done.exists()
    if not fresh and done.read_text() != pristine.name:
        instance.say("this instance was made by another version of the lab: it is made anew")
        shutil.rmtree(instance.dir / "saved", ignore_errors=True)
        fresh = True
    warm = fresh and pristine.is_dir()
    if fresh:
        services.stop(instance, *reversed(names))
        for part in _OWN:
            shutil.rmtree(instance.data / part, ignore_errors=True)
        config.write(instance)
    if not Proc(instance, "rabbit").alive():
        # what waits in the queue is of no use to services that start anew
        shutil.rmtree(instance.data / "rabbit", ignore_errors=True)
        config.write(instance)
    services.start(instance, "rabbit")
    if warm:
        with instance.step("taking the prepared databases from the cache"):
            state.copy_tree(pristine / "mariadb", instance.data / "mariadb")
            for part in ("keystone", "nova"):
                shutil.copytree(pristine / part, instance.data / part, dirs_exist_ok=True)
            shutil.copy2(pristine / "pristine-id", instance.data)
    elif fresh:
        with instance.step("making the database"):
            schema.make_database(instance)
    services.start(instance, "mariadb")
    if not fresh or warm:
        # what needs no database to load its code
        services.start(instance, "nova-conductor", "nova-compute")
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
        ready.wait_workers(instance, since)
        ready.map_compute(instance)
    if fresh and not warm:
        with instance.step("making flavors and volume types"):
            schema.make_offers(instance)
        with instance.step("keeping the prepared databases in the cache"), _cache_lock(instance):
            state.keep_pristine(instance, pristine)
    done.write_text(pristine.name)
    write_env(instance)


def write_env(instance: Instance) -> None:
    """Write clouds.yaml, with an entry for each tenant user."""
    text = config.clouds_yaml(instance, ready.clouds(instance))
    write_atomic(instance.dir / "clouds.yaml", text, 0o600)


def down(instance: Instance) -> None:
    """Stop everything of OpenStack."""
    names = list(services.all_services(instance))
    services.stop(instance, *[n for n in reversed(names) if n not in _QUEUE_AND_DATABASE], grace=4)
    services.stop(instance, *_QUEUE_AND_DATABASE, grace=20)


def status(instance: Instance) -> dict[str, int | None]:
    """Pid by service."""
    return {n: Proc(instance, n).pid for n in services.all_services(instance)}
