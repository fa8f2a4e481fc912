# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to hold before a cloud is said to be up, and its log-ins."""

from __future__ import annotations

from typing import Any

from ..paths import Instance, wait_for
from . import config, database
from .rest import Api
from .schema import APPLICATION_SECRET, TENANT_USERS


def clouds(instance: Instance) -> dict[str, Any]:
    """Entries of clouds.yaml for the tenants' users (acme, globex, empty, acme-appcred), and what env.json has more."""
    entries = {}
    for user, (password, projects) in TENANT_USERS.items():
        for project in projects:
            entry = config.cloud_entry(instance, username=user, password=password, project_name=project)
            entries[{"lab-tenant-empty": "empty"}.get(project, project)] = entry
    rows = database.sql(instance, "SELECT id FROM application_credential WHERE name = 'cloudexit'", "keystone")
    for row in rows[:1]:
        entries["acme-appcred"] = config.cloud_entry(
            instance,
            "v3applicationcredential",
            application_credential_id=row[0] or "",
            application_credential_secret=APPLICATION_SECRET,
        )
    entries.update(instance.env().get("clouds") or {})
    return entries


def wait_workers(instance: Instance, since: str, timeout: float = 120) -> None:
    """Wait until nova-compute, nova-scheduler, nova-conductor and Cinder's workers have reported after ``since``.

    ``since`` is the database's UTC time from before they were started.
    """
    wanted = {
        ("nova", "nova-compute"),
        ("nova", "nova-scheduler"),
        ("nova", "nova-conductor"),
        ("cinder", "cinder-volume"),
        ("cinder", "cinder-scheduler"),
    }

    def reported() -> bool:
        rows = database.sql(
            instance,
            "".join(
                f"SELECT '{db}', `binary` FROM {db}.services WHERE deleted = 0"
                f" AND COALESCE(updated_at, created_at) > '{since}';"
                for db in ("nova", "cinder")
            ),
        )
        return wanted <= {(r[0], r[1]) for r in rows}

    wait_for(reported, timeout, "compute and volume services to report", every=0.25)
    api = Api(instance)
    api.get("identity", "/auth/projects")
    path = f"/{api.project_id}/scheduler-stats/get_pools"
    wait_for(lambda: api.get("volume", path)["pools"], timeout, "Cinder's scheduler to know of its storage")


def map_compute(instance: Instance, timeout: float = 60) -> None:
    """Put the compute node into Nova's cell (what nova-manage discover_hosts does), once Placement has it."""
    wait_for(
        lambda: database.sql(
            instance, "SELECT 1 FROM placement.inventories, nova.compute_nodes WHERE compute_nodes.deleted = 0 LIMIT 1"
        ),
        timeout,
        "the compute node to report what it has",
        every=0.1,
    )
    database.sql(
        instance,
        "INSERT INTO host_mappings (created_at, cell_id, host)"
        " SELECT utc_timestamp(), id, 'lab-compute' FROM cell_mappings WHERE name = 'cell1'"
        " AND NOT EXISTS (SELECT 1 FROM host_mappings WHERE host = 'lab-compute');"
        "UPDATE nova.compute_nodes SET mapped = 1;",
        "nova_api",
    )
