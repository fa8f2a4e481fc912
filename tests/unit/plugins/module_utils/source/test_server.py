# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop, start, fence and unfence of a source server."""

from __future__ import annotations

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    NotFound,
    Refused,
    Timeout,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import server
from tests.unit.plugins.module_utils.source.fake_openstack import FakeOpenStack, refuse

MARKS = Marks("acme", "server-1", plan="p1")


@pytest.fixture
def cloud() -> FakeOpenStack:
    fake = FakeOpenStack()
    fake.add_server("server-1", "ACTIVE", ("volume-a",))
    return fake


def stop(cloud: FakeOpenStack, deadline_s: float = 100) -> server.Server:
    now = server.read(cloud, "server-1")
    return server.stop(cloud, now, MARKS, deadline_s=deadline_s, clock=cloud.clock, sleep=cloud.sleep)


def start(cloud: FakeOpenStack, deadline_s: float = 100) -> server.Server:
    now = server.read(cloud, "server-1")
    return server.start(cloud, now, MARKS, deadline_s=deadline_s, clock=cloud.clock, sleep=cloud.sleep)


def test_stop_waits_until_it_is_off_and_does_nothing_the_second_time(cloud: FakeOpenStack) -> None:
    assert stop(cloud).status == "SHUTOFF"
    assert cloud.write_calls() == ["POST /servers/server-1/action"]
    assert stop(cloud).off
    assert len(cloud.write_calls()) == 1


def test_a_stop_that_is_under_way_is_waited_for(cloud: FakeOpenStack) -> None:
    cloud._action(cloud.servers["server-1"], {"os-stop": None})
    assert stop(cloud).off
    assert cloud.write_calls() == []


def test_a_server_that_does_not_stop_is_named_with_what_to_do(cloud: FakeOpenStack) -> None:
    cloud.slowness = 10_000
    with pytest.raises(
        Timeout, match=r"server-1 .* did not become SHUTOFF within 30 s: it is ACTIVE, task powering-off"
    ):
        stop(cloud, 30)
    assert len(cloud.write_calls()) == 1


@pytest.mark.parametrize("status", ["PAUSED", "VERIFY_RESIZE", "ERROR", "SUSPENDED", "SHELVED_OFFLOADED", "RESCUE"])
def test_other_states_are_refused(cloud: FakeOpenStack, status: str) -> None:
    cloud.servers["server-1"]["status"] = status
    with pytest.raises(Refused, match=f"its status is {status}"):
        stop(cloud)
    assert cloud.write_calls() == []


def test_a_lock_of_somebody_else_is_respected(cloud: FakeOpenStack) -> None:
    cloud.servers["server-1"].update(locked=True, locked_reason="do not touch {{ 7*7 }}")
    with pytest.raises(Refused, match=r"somebody else has locked it, with the reason 'do not touch \{\{"):
        stop(cloud)
    cloud.servers["server-1"].update(status="SHUTOFF")
    with pytest.raises(Conflict, match="Cannot fence server server-1"):
        server.fence(cloud, server.read(cloud, "server-1"), MARKS, target="vsphere")
    assert server.unfence(cloud, server.read(cloud, "server-1"), MARKS) is False
    assert cloud.write_calls() == [] and cloud.servers["server-1"]["locked"]


def test_a_server_that_ends_in_error_is_told(cloud: FakeOpenStack) -> None:
    cloud.intercept = lambda method, url, body: (
        cloud.servers["server-1"].update(status="ERROR") if cloud.writes and method == "GET" else None
    )
    with pytest.raises(CloudExitError, match="went to ERROR instead of SHUTOFF"):
        stop(cloud)


def test_a_server_that_is_gone(cloud: FakeOpenStack) -> None:
    with pytest.raises(NotFound, match="Source server server-9 is not there"):
        server.read(cloud, "server-9")


def test_the_fence_keeps_it_off_and_is_undone_without_a_trace(cloud: FakeOpenStack) -> None:
    cloud.servers["server-1"]["metadata"]["owner"] = "them"
    stop(cloud)
    off = server.read(cloud, "server-1")
    assert off.fence_of(MARKS) == "none"
    assert server.fence(cloud, off, MARKS, target="vsphere DC0") is True
    fenced = server.read(cloud, "server-1")
    assert fenced.fence_of(MARKS) == "ours"
    assert fenced.locked_reason == "cloudexit: moved to vsphere DC0; undo with the rollback playbook"
    assert fenced.metadata["cloudexit_role"] == "fence" and fenced.metadata["cloudexit_tenant"] == "acme"
    with pytest.raises(Refused, match="it is fenced"):
        start(cloud)
    writes = cloud.write_calls()
    assert server.fence(cloud, fenced, MARKS, target="vsphere DC0") is False
    assert cloud.write_calls() == writes
    assert server.unfence(cloud, fenced, MARKS) is True
    assert cloud.servers["server-1"]["metadata"] == {"owner": "them"} and not cloud.servers["server-1"]["locked"]
    assert server.unfence(cloud, server.read(cloud, "server-1"), MARKS) is False
    assert start(cloud).status == "ACTIVE"


def test_a_running_server_is_not_fenced(cloud: FakeOpenStack) -> None:
    with pytest.raises(Refused, match="it is ACTIVE; only a server that is off is fenced"):
        server.fence(cloud, server.read(cloud, "server-1"), MARKS, target="x")


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6])
def test_half_a_fence_is_completed_or_undone(cloud: FakeOpenStack, at: int) -> None:
    stop(cloud)
    cloud.intercept = lambda method, url, body: (
        refuse(500, "cut") if cloud.writes == at + 1 and method != "GET" else None
    )
    actions = (
        lambda: server.fence(cloud, server.read(cloud, "server-1"), MARKS, target="x"),
        lambda: server.unfence(cloud, server.read(cloud, "server-1"), MARKS),
    )
    for action in actions:
        try:
            action()
        except CloudExitError:
            action()
    assert cloud.servers["server-1"]["metadata"] == {} and not cloud.servers["server-1"]["locked"]


def test_a_fence_of_another_tenant_name_is_not_ours(cloud: FakeOpenStack) -> None:
    stop(cloud)
    server.fence(cloud, server.read(cloud, "server-1"), MARKS, target="x")
    assert server.read(cloud, "server-1").fence_of(Marks("other", "server-1")) == "foreign"


def test_reads_are_tried_again(cloud: FakeOpenStack) -> None:
    failures = iter([refuse(503, "busy"), refuse(503, "busy")])
    cloud.intercept = lambda method, url, body: next(failures, None)
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import rest

    assert rest.call(cloud.compute, "GET", "/servers/server-1", "Read", sleep=cloud.sleep)["server"]["id"] == "server-1"


def test_the_last_power_change_ignores_what_does_not_change_a_disk(cloud: FakeOpenStack) -> None:
    stop(cloud)
    stopped = server.last_power_change(cloud, "server-1")
    cloud.tick += 100
    cloud.act("server-1", "lock")
    assert server.last_power_change(cloud, "server-1") == stopped
    cloud.act("server-1", "start")
    assert server.last_power_change(cloud, "server-1") > stopped


def test_waiting_for_hours_is_no_overflow() -> None:
    assert 0.4 < server.backoff(0) < 0.6
    assert all(4 < server.backoff(step) < 6 for step in (10, 1_000, 100_000))
