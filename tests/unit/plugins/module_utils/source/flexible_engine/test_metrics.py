# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load of servers from CES: what is computed, how many calls it takes, and what happens where it cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import observations
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, NotFound
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import SourceAuth, connect
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import metrics
from tests.lab.flexible_engine.tenants import REGION, Tenants

NAME = "t001"
NOW = 1_767_300_000.0


@pytest.fixture
def tenants() -> Iterator[Tenants]:
    with Tenants(1, servers=3) as started:
        yield started


def read(tenants: Tenants, **options: Any) -> metrics.Reading:
    with connect(SourceAuth(auth=tenants.auth(NAME), region_name=REGION)) as cloud:
        return metrics.read(cloud, now=lambda: NOW, sleep=lambda _seconds: None, **options)


def test_load_of_servers(tenants: Tenants) -> None:
    done = read(tenants)
    servers = [row["id"] for row in tenants.rows[tenants.ids[NAME]]["servers"]]
    assert set(done.metrics.servers) == set(servers)
    load = done.metrics.servers[servers[0]]
    # 48 samples, 10 to 29 again and again: the 46th of them in order
    assert (load.cpu_p95, load.cpu_max, load.samples) == (28.0, 29.0, 48)
    assert load.memory_p95 == 40.0 and load.network_bytes_s is None, "the list names no metric of the traffic"
    text = observations.to_text(done.metrics)
    assert observations.loads(observations.Metrics, text, "it") == done.metrics
    assert observations.to_text(read(tenants).metrics) == text
    assert tenants.server.writes() == []


def test_traffic_and_the_agents_memory_come_first_where_they_are(tenants: Tenants) -> None:
    rows = tenants.server.data[tenants.ids[NAME]]
    server = tenants.rows[tenants.ids[NAME]]["servers"][0]["id"]
    dimension = [{"name": "instance_id", "value": server}]
    rows["metrics"] += [
        {"namespace": "SYS.ECS", "metric_name": "network_incoming_bytes_aggregate_rate", "dimensions": dimension},
        {"namespace": "SYS.ECS", "metric_name": "network_outgoing_bytes_aggregate_rate", "dimensions": dimension},
        {"namespace": "AGT.ECS", "metric_name": "mem_usedPercent", "dimensions": dimension},
        {
            "namespace": "AGT.ECS",
            "metric_name": "disk_used",
            "dimensions": [*dimension, {"name": "disk", "value": "/"}],
        },
    ]
    rows["datapoints"].append(
        {"namespace": "AGT.ECS", "metric_name": "mem_usedPercent", "value": server, "values": [71.5, 70.0]}
    )
    load = read(tenants).metrics.servers[server]
    assert load.memory_p95 == 71.5 and load.network_bytes_s == 1500.0


@pytest.mark.parametrize(("days", "calls"), [(14, 2 + 1 + 1), (125, 2 + 6 + 1), (1, 2 + 1 + 1)])
def test_calls_keep_to_the_limit_of_points(tenants: Tenants, days: int, calls: int) -> None:
    done = read(tenants, days=days)
    assert len(done.metrics.servers) == 3
    assert done.calls == calls, "two lists, six metrics by the hour, three highest uses by the day"


def test_a_monitoring_that_cannot_be_read_is_an_error(tenants: Tenants) -> None:
    tenants.server.fault(service="ces", kind="metrics", status=403)
    with pytest.raises(CloudExitError) as caught:
        read(tenants)
    assert "HTTP 403" in (caught.value.cause or "")
    tenants.server.faults.clear()
    tenants.server.fault(service="ces", kind="datapoints", status=400)
    with pytest.raises(CloudExitError):
        read(tenants)


def test_a_busy_monitoring_is_waited_for(tenants: Tenants) -> None:
    tenants.server.fault(service="ces", kind="datapoints", status=429, retry_after="60", count=1)
    assert len(read(tenants).metrics.servers) == 3


def test_a_cloud_without_monitoring(tenants: Tenants) -> None:
    class Without:
        label = "the source cloud"

        def service(self, _name: str) -> None:
            return None

    with pytest.raises(NotFound):
        metrics.read(Without())


@pytest.mark.parametrize(
    ("values", "expected"), [([], None), ([5.0], 5.0), ([float(n) for n in range(1, 101)], 95.0), ([1.0, 2.0], 2.0)]
)
def test_p95(values: list[float], expected: float | None) -> None:
    assert metrics._p95(values) == expected


def test_traffic_since_a_moment(tenants: Tenants) -> None:
    server = tenants.rows[tenants.ids[NAME]]["servers"][0]["id"]
    with connect(SourceAuth(auth=tenants.auth(NAME), region_name=REGION)) as cloud:

        def since(seconds: float) -> float | None:
            return metrics.traffic(cloud, server, NOW - seconds, now=lambda: NOW, sleep=lambda _seconds: None)

        assert since(200) is None, "no five minutes are over"
        assert since(2000) == since(86400) == since(40 * 86400) == 1000.0
        for row in tenants.server.data[tenants.ids[NAME]]["datapoints"]:
            row["values"] = [0.0] * 48
        assert since(2000) == 0.0
        tenants.server.fault(service="ces", status=403)
        with pytest.raises(CloudExitError):
            since(2000)
