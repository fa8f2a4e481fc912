# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How busy servers were: what the monitoring of Flexible Engine (CES) kept of the last days.

The batch call takes many metrics at once, but gives 3,000 points at most: days, period and metrics of a call make up
for each other. So processors and memory are asked for by the hour, highest use and traffic by the day.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, NotFound
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.observations import (
    METRICS,
    VERSION,
    Load,
    Metrics,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import pages
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.listings import Listing
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.services import Endpoint

MOST_METRICS = 500
"""Metrics that one call takes."""

MOST_POINTS = 3000
"""Points that one call gives: metrics x duration / period."""

FIVE_MINUTES, HOUR, DAY = 300, 3600, 86400
PERIODS = (FIVE_MINUTES, 1200, HOUR, 14400, DAY)
"""Spans that a point may stand for, as the service has them."""

CPU = ("SYS.ECS", "cpu_util")
MEMORY = (("AGT.ECS", "mem_usedPercent"), ("SYS.ECS", "mem_util"))
"""Use of the memory, best first: what the agent sees, what the hypervisor sees."""

TRAFFIC = (
    (("SYS.ECS", "network_incoming_bytes_aggregate_rate"), ("SYS.ECS", "network_incoming_bytes_rate_inband")),
    (("SYS.ECS", "network_outgoing_bytes_aggregate_rate"), ("SYS.ECS", "network_outgoing_bytes_rate_inband")),
)
"""Bytes per second in and out, best first."""

Name = tuple[str, str]
Question = tuple[Name, str]


@dataclass(frozen=True)
class Reading:
    """What was read, and what it took."""

    metrics: Metrics
    calls: int


def read(
    cloud: Cloud,
    *,
    days: int = 14,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    threads: int = 4,
) -> Reading:
    """The load of the project's servers in the last `days`, to the last full hour.

    Raises NotFound where the cloud has no CES, CloudExitError where it cannot be read.
    """
    what = f"Cannot read the load of the servers of {cloud.label}"
    endpoint = cloud.service("ces")
    if endpoint is None:
        raise NotFound(what, cause="the cloud has no monitoring (CES) in this region")
    reader = pages.Reader(lambda _service: endpoint, cloud.project_id, timeout=cloud.params.list_timeout, sleep=sleep)
    known: dict[str, set[Name]] = {}
    for namespace in sorted({name[0] for name in (CPU, *MEMORY)}):
        rows = reader.list(_listing(namespace))
        if rows.reason:
            raise CloudExitError(what, cause=rows.reason)
        for row in rows.rows.values():
            known.setdefault(row["server"], set()).add((namespace, row["metric"]))
    until = int(now()) // HOUR * HOUR
    ask = _Asker(reader, endpoint, cloud.project_id, until - days * DAY, until, threads)
    servers = sorted(known)
    memory = {server: _best(MEMORY, known[server]) for server in servers}
    traffic = {server: [name for name in (_best(way, known[server]) for way in TRAFFIC) if name] for server in servers}
    with_cpu = [server for server in servers if CPU in known[server]]
    hourly = ask(
        [(CPU, server) for server in with_cpu] + [(name, server) for server, name in memory.items() if name],
        "average",
        HOUR,
    )
    highest = ask([(CPU, server) for server in with_cpu], "max", DAY)
    daily = ask([(name, server) for server in servers for name in traffic[server]], "average", DAY)
    loads = {}
    for server in servers:
        cpu = hourly.get((CPU, server), [])
        name = memory[server]
        rates = [daily.get((way, server), []) for way in traffic[server]]
        load = Load(
            cpu_p95=_p95(cpu),
            memory_p95=_p95(hourly.get((name, server), [])) if name else None,
            cpu_max=max(highest.get((CPU, server), []), default=None),
            network_bytes_s=round(sum(sum(rate) / len(rate) for rate in rates if rate), 1) if any(rates) else None,
            samples=len(cpu),
        )
        if load != Load():
            loads[server] = load
    return Reading(Metrics(kind=METRICS, version=VERSION, days=days, servers=loads), reader.calls)


def traffic(
    cloud: Cloud,
    server: str,
    since: float,
    *,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> float | None:
    """The most bytes per second of a server's cards since a moment (seconds since the epoch).

    None where the monitoring has no full five minutes since then, or the cloud has no monitoring. Raises CloudExitError
    where it cannot be read.
    """
    endpoint = cloud.catalogue.endpoint("ces")
    until = int(now()) // FIVE_MINUTES * FIVE_MINUTES
    period = next((each for each in PERIODS if (until - since) // each < MOST_POINTS), DAY)
    start = -(-int(since) // period) * period  # what a span began with was before
    if endpoint is None or until - start < period:
        return None
    reader = pages.Reader(lambda _service: endpoint, cloud.project_id, timeout=cloud.params.list_timeout, sleep=sleep)
    ask = _Asker(reader, endpoint, cloud.project_id, start, until, 1)
    found = [ask([(name, server)], "max", period) for way in TRAFFIC for name in way]
    return max((point for answer in found for points in answer.values() for point in points), default=None)


def _listing(namespace: str) -> Listing:
    def convert(row: dict[str, Any]) -> dict[str, Any] | None:
        dimensions = [entry for entry in row.get("dimensions") or [] if isinstance(entry, dict)]
        if len(dimensions) != 1 or dimensions[0].get("name") != "instance_id":
            return None
        server, metric = str(dimensions[0].get("value", "")), str(row.get("metric_name", ""))
        return {"id": f"{metric}/{server}", "server": server, "metric": metric}

    return Listing(
        "metrics",
        "ces",
        "/V1.0/{project_id}/metrics",
        "metrics",
        {"namespace": namespace},
        limit=1000,
        marker_name="start",
        next_key="meta_data.marker",
        total_key="meta_data.total",
        convert=convert,
    )


def _best(names: Sequence[Name], there: Iterable[Name]) -> Name | None:
    have = set(there)
    return next((name for name in names if name in have), None)


def _p95(values: Sequence[float]) -> float | None:
    """The value that 95 of 100 samples do not exceed (nearest rank)."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[max(0, -(-95 * len(ordered) // 100) - 1)], 2)


class _Asker:
    """Asks for points in as few calls as the service allows."""

    def __init__(
        self, reader: pages.Reader, endpoint: Endpoint, project_id: str, start: int, until: int, threads: int
    ) -> None:
        self._reader = reader
        self._endpoint = endpoint
        self._url = endpoint.address("/V1.0/{project_id}/batch-query-metric-data", project_id)
        self._start = start
        self._until = until
        self._threads = threads

    def __call__(self, questions: Sequence[Question], kind: str, period: int) -> dict[Question, list[float]]:
        """The points of each question; what has none is missing. Raises where a call fails."""
        size = max(1, min(MOST_METRICS, MOST_POINTS * period // max(1, self._until - self._start)))
        batches = [questions[index : index + size] for index in range(0, len(questions), size)]
        found: dict[Question, list[float]] = {}
        with ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="load") as pool:
            for part in pool.map(lambda batch: self._batch(batch, kind, period), batches):
                found.update(part)
        return found

    def _batch(self, questions: Sequence[Question], kind: str, period: int) -> dict[Question, list[float]]:
        body = {
            "metrics": [
                {
                    "namespace": name[0],
                    "metric_name": name[1],
                    "dimensions": [{"name": "instance_id", "value": server}],
                }
                for name, server in questions
            ],
            "from": self._start * 1000,
            "to": self._until * 1000,
            "period": str(period),
            "filter": kind,
        }
        listing = Listing("metrics", "ces", "", "metrics", method="POST", style="none")
        found: dict[Question, list[float]] = {}

        def fill(endpoint: Endpoint, call: pages.Caller) -> Iterable[dict[str, Any]]:
            answer = call("POST", self._url, json=body, headers={"Accept": "application/json", **endpoint.headers})
            if int(answer.status_code) >= 400:
                said = pages.fault(answer)
                raise CloudExitError("", cause=f"HTTP {answer.status_code}" + (f": {said}" if said else ""))
            data = answer.json()
            for entry in data.get("metrics", []) if isinstance(data, dict) else []:
                found.update(_points(entry, kind))
            return []

        done = self._reader.other(listing, fill)
        if done.reason:
            raise CloudExitError("Cannot read the load of the servers", cause=done.reason)
        return found


def _points(entry: Any, kind: str) -> Mapping[Question, list[float]]:
    if not isinstance(entry, dict) or not isinstance(entry.get("datapoints"), list):
        return {}
    dimensions = [one for one in entry.get("dimensions") or [] if isinstance(one, dict)]
    if not dimensions:
        return {}
    name = (str(entry.get("namespace", "")), str(entry.get("metric_name", "")))
    values = [
        float(point[kind])
        for point in entry["datapoints"]
        if isinstance(point, dict) and isinstance(point.get(kind), (int, float)) and not isinstance(point[kind], bool)
    ]
    return {(name, str(dimensions[0].get("value", ""))): values} if values else {}
