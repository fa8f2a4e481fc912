# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many tenants at the same time: each alone, and what is wrong with one stays with it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import AuthFailed
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import SourceAuth, connect
from tests.lab.flexible_engine.tenants import REGION, Tenants

KINDS = ("servers", "volumes", "images", "ports", "rds_instances", "vpcs")


def test_tenants_at_the_same_time() -> None:
    with Tenants(30, servers=2, stall=2.0) as tenants:

        def read(name: str) -> dict[str, str] | None:
            auth = SourceAuth(auth=tenants.auth(name), region_name=REGION, api_timeout=1.0)
            try:
                with connect(auth) as cloud:
                    estate = reading.read(cloud, kinds=KINDS, sleep=lambda _seconds: None).estate
            except AuthFailed:
                return None
            assert estate.tenant.project_name == name and estate.tenant.project_id == tenants.ids[name]
            assert [server.id for server in estate.servers] == sorted(
                row["id"] for row in tenants.rows[tenants.ids[name]]["servers"]
            )
            return {kind: state for kind, state in estate.read.items() if state != "complete"}

        with ThreadPoolExecutor(10) as pool:
            found = dict(zip(tenants.names, pool.map(read, tenants.names), strict=True))
        assert {name for name, states in found.items() if states is None} == tenants.wrong_password
        assert {name for name, states in found.items() if states} == (
            tenants.failing | tenants.stalling | tenants.without_images
        )
        assert all(found[name] == {"volumes": "not_read"} for name in tenants.failing)
        assert all(found[name] == {"rds_instances": "not_read"} for name in tenants.stalling)
        assert all(found[name] == {"images": "not_read"} for name in tenants.without_images)
        assert sum(1 for states in found.values() if states == {}) == 30 - len(tenants.faulty())
        assert tenants.server.writes() == []
