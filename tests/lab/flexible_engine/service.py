# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded-shape server as a process of an instance, and its services in the instance's catalogue."""

from __future__ import annotations

import json
import shutil
import sys
import uuid
from pathlib import Path
from typing import Any

from ..openstack import config, database, services
from ..openstack.config import REGION
from ..openstack.rest import Api
from ..openstack.schema import TENANT_USERS
from ..paths import CHECKOUT, HOST, Instance, Proc, wait_for, write_atomic
from . import seed
from .server import Control
from .shapes import TYPES

# what the lab has a real service for
_REAL = frozenset(kind for _name, kind, _port, _path in config.CATALOG)
TENANT, OPERATOR = "acme", "acme-operator"


def port(instance: Instance) -> int:
    """Its port."""
    return instance.port("flexible-engine")


def control(instance: Instance) -> Control:
    """Faults and calls of the instance's server."""
    return Control(f"http://{HOST}:{port(instance)}")


def data_file(instance: Instance) -> Path:
    """What it lists."""
    return instance.data / "flexible-engine.json"


def up(instance: Instance) -> None:
    """Start it where it is not running; the services get their entries in the catalogue."""
    instance.make_dirs()
    if not data_file(instance).exists():
        write_data(instance)
    _catalogue(instance)
    proc = Proc(instance, "flexible-engine")
    if proc.alive() and control(instance).healthy():
        return
    proc.stop()
    with instance.step("start Flexible Engine's services"):
        argv = [sys.executable, "-m", "tests.lab.flexible_engine", "--port", str(port(instance))]
        argv += ["--data", str(data_file(instance)), "--keystone", instance.url("keystone", "/v3")]
        proc.start(argv, env={"PYTHONPATH": str(CHECKOUT)}, cwd=CHECKOUT)
        wait_for(lambda: _up(instance, proc), 30, f"Flexible Engine to answer, see {instance.log('flexible-engine')}")
    instance.update_env(flexible_engine={"url": f"http://{HOST}:{port(instance)}"})


def _up(instance: Instance, proc: Proc) -> bool:
    if not proc.alive():
        raise RuntimeError(f"Flexible Engine's server ended at once, see {instance.log('flexible-engine')}")
    return control(instance).healthy()


def write_data(instance: Instance) -> dict[str, Any]:
    """Write anew what is listed for the tenant, with the servers and volumes that Nova and Cinder have.

    The seed hangs what keeps a server from moving (a node of a cluster) on the last one, which no story moves.
    """
    api = Api(instance, OPERATOR, TENANT_USERS[OPERATOR][0], TENANT)
    api.get("identity", "/auth/projects")
    rows = api.get("compute", "/servers")["servers"]
    rows.sort(key=lambda row: (row["name"] == "image-1", row["name"] != "reader-1", row["name"], row["id"]))
    servers = [row["id"] for row in rows]
    volumes = [row["id"] for row in api.get("volume", f"/{api.project_id}/volumes")["volumes"]]
    made = seed.data(str(api.project_id), servers, sorted(volumes), TENANT)
    write_atomic(data_file(instance), json.dumps(made, indent=1))
    return made


def _catalogue(instance: Instance) -> None:
    """Enter the services into Keystone's tables; those that are there get the port of this instance."""
    quote = database.quote
    rows = database.sql(
        instance,
        "SELECT s.type, e.url FROM service s JOIN endpoint e ON e.service_id = s.id WHERE e.interface = 'public'",
        "keystone",
    )
    have = {row[0]: row[1] for row in rows}
    changes = []
    fresh = not any(kind in have for kind in TYPES.values() if kind not in _REAL)
    for service, kind in TYPES.items():
        if kind in _REAL:
            continue
        url = f"http://{HOST}:{port(instance)}/{service}"
        if have.get(kind) == url:
            continue
        if kind in have:
            changes.append(
                f"UPDATE endpoint SET url = {quote(url)} WHERE service_id IN"
                f" (SELECT id FROM service WHERE type = {quote(kind)});"
            )
            continue
        ident = uuid.uuid5(uuid.NAMESPACE_URL, f"catalogue {kind}").hex
        extra = quote(json.dumps({"name": service, "description": ""}))
        changes.append(
            f"INSERT IGNORE INTO service (id, type, enabled, extra) VALUES ({quote(ident)}, {quote(kind)}, 1, {extra});"
        )
        for interface in ("public", "internal", "admin"):
            endpoint = uuid.uuid5(uuid.NAMESPACE_URL, f"catalogue {kind} {interface}").hex
            values = ", ".join(quote(v) for v in (endpoint, interface, url, ident, REGION, "{}"))
            changes.append(
                "INSERT IGNORE INTO endpoint (id, interface, url, service_id, region_id, extra, enabled)"
                f" VALUES ({values}, 1);"
            )
    if changes:
        with instance.step("Flexible Engine's services into the catalogue"):
            database.sql(instance, "\n".join(changes), "keystone")
    if fresh:
        # one that was started by an older lab takes the long catalogue for a bad header
        config.write(instance)
        services.stop(instance, "swift")
        services.start(instance, "swift")
        services.wait_ready(instance, ["swift"])


def down(instance: Instance) -> None:
    """Stop it."""
    Proc(instance, "flexible-engine").stop(5)


def save(instance: Instance, name: str) -> None:
    """Keep what it lists."""
    folder = instance.dir / "saved" / name / "flexible-engine"
    folder.mkdir(parents=True, exist_ok=True)
    made = write_data(instance)
    if control(instance).healthy():
        control(instance).call("PUT", "data", made)
    shutil.copy2(data_file(instance), folder / "data.json")


def restore(instance: Instance, name: str) -> None:
    """List what a saved state had, for the project and objects that Nova has now; no faults, no log of calls."""
    reset(instance)


def reset(instance: Instance) -> None:
    """List the tenant's objects anew, without faults and with an empty log of calls; started where it does not run."""
    made = write_data(instance)
    up(instance)
    told = control(instance)
    told.call("PUT", "data", made)
    told.faults()
    told.forget()
