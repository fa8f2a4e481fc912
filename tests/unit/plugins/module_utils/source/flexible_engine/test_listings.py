# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of Flexible Engine: complete, consistent with the table of kinds, tidied as they say."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import (
    endpoints,
    listings,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.listings import Listing

BY_KIND = {listing.kind: listing for listing in listings.LISTINGS}


def test_every_kind_of_its_services_is_listed_once() -> None:
    expected = {kind.name for kind in kinds.KINDS.values() if kind.service in endpoints.TABLE}
    assert {listing.kind for listing in listings.LISTINGS} == expected
    assert len(BY_KIND) == len(listings.LISTINGS)


@pytest.mark.parametrize("listing", listings.LISTINGS, ids=lambda listing: listing.kind)
def test_a_row_is_consistent(listing: Listing) -> None:
    assert listing.service == kinds.KINDS[listing.kind].service
    assert listing.path.startswith("/")
    assert ("{parent}" in listing.path) == bool(listing.per)
    if listing.per:
        assert BY_KIND[listing.per].service == listing.service
    assert listing.method == "GET" or listing.style.startswith("body_")
    assert listing.style != "none" or not listing.limit_name, "a list of one answer is asked without a limit"


def test_the_traps_of_the_family() -> None:
    assert BY_KIND["ecs_servers"].style == "page", "offset is the number of the page"
    assert BY_KIND["scaling_groups"].marker == "start_number"
    assert BY_KIND["alarms"].path.startswith("/V1.0/"), "a capital V"
    assert BY_KIND["keys"].method == "POST"
    assert "{project_id}" not in BY_KIND["private_images"].path
    assert BY_KIND["alarms"].marker == "start"


def tidied(kind: str, row: dict[str, Any]) -> dict[str, Any] | None:
    convert = BY_KIND[kind].convert
    assert convert is not None
    return convert(row)


def test_metrics_become_the_objects_that_they_are_of() -> None:
    cpu = {"namespace": "SYS.ECS", "metric_name": "cpu_util", "dimensions": [{"name": "instance_id", "value": "s1"}]}
    disk = {**cpu, "metric_name": "disk_read_bytes_rate"}
    found = tidied("metrics", cpu)
    assert found is not None and found["id"] == "SYS.ECS/instance_id=s1" and found == tidied("metrics", disk)
    two = {**cpu, "dimensions": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}, "nonsense"]}
    assert (tidied("metrics", two) or {})["id"] == "SYS.ECS/a=1,b=2"
    assert tidied("metrics", {"namespace": "SYS.ECS", "dimensions": []}) is None


def test_rows_get_what_identifies_them() -> None:
    assert (tidied("tags", {"key": "env", "value": "prod"}) or {})["id"] == "env=prod"
    assert (tidied("image_repositories", {"namespace": "shop", "name": "web"}) or {})["id"] == "shop/web"
    assert (tidied("elb_listeners", {"id": "l", "loadbalancers": [{"id": "b"}]}) or {})["loadbalancer_id"] == "b"
    assert (tidied("elb_pools", {"id": "p", "loadbalancers": None}) or {})["loadbalancer_id"] == ""
    assert (tidied("rds_backups", {"id": "b", "size": 2048}) or {})["size_bytes"] == 2 * 1024 * 1024
    assert (tidied("rds_backups", {"id": "b", "size": "much"}) or {})["size_bytes"] == 0


def test_shared_load_balancers_are_not_listed_twice() -> None:
    assert tidied("dedicated_load_balancers", {"id": "a", "guaranteed": False}) is None
    assert tidied("dedicated_load_balancers", {"id": "a", "guaranteed": True}) is not None
    assert tidied("dedicated_load_balancers", {"id": "a"}) is not None
