# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clones on the reader host: made, found again after a kill at any write, healed, removed."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    NotFound,
    Refused,
    Timeout,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import disks, server
from tests.unit.plugins.module_utils.source.fake_openstack import FakeOpenStack, Killed, refuse

WANTED = [disks.Disk(0, "volume-a", 1, boot=True), disks.Disk(1, "volume-b", 1)]


@pytest.fixture
def cloud() -> FakeOpenStack:
    fake = FakeOpenStack()
    fake.add_server("server-1", "SHUTOFF", ("volume-a", "volume-b"))
    fake.add_server("reader", "ACTIVE")
    return fake


def bench(cloud: FakeOpenStack, **more: object) -> disks.Bench:
    owner = disks.Owner("acme", "server-1", plan="p1")
    options = {"reader": "reader", "deadline_s": 500, "clock": cloud.clock, "sleep": cloud.sleep, **more}
    return disks.Bench(cloud, owner, **options)


def test_each_disk_gets_one_attached_clone_and_the_boot_disk_comes_first(cloud: FakeOpenStack) -> None:
    clones = bench(cloud).present(WANTED)
    assert [(c.index, c.volume, c.boot, c.fresh, c.size) for c in clones] == [
        (0, "volume-a", True, True, 1 << 30),
        (1, "volume-b", False, True, 1 << 30),
    ]
    for clone in clones:
        volume = cloud.volumes[clone.clone]
        assert volume["status"] == "in-use" and volume["attachments"][0]["server_id"] == "reader"
        assert volume["snapshot_id"] == clone.snapshot
        assert clone.serials[0] == clone.clone[:20]
        assert clone.frozen_at.startswith("2026-01-01T00:00:")
    assert len(cloud.ours()) == 4


def test_a_second_run_finds_the_same_and_writes_nothing(cloud: FakeOpenStack) -> None:
    first = bench(cloud).present(WANTED)
    before = cloud.write_calls()
    again = bench(cloud)
    assert again.present(WANTED) == first
    assert cloud.write_calls() == before and again.events == []


def test_absent_leaves_nothing_and_touches_nothing_else(cloud: FakeOpenStack) -> None:
    bench(cloud).present(WANTED)
    cloud.add_volume(
        "stranger",
        metadata={
            "cloudexit_tenant": "acme",
            "cloudexit_source_id": "x",
            "cloudexit_server": "server-2",
            "cloudexit_role": "clone",
        },
    )
    work = bench(cloud)
    work.absent()
    assert [o["id"] for o in cloud.ours()] == ["stranger"]
    assert set(cloud.volumes) == {"volume-a", "volume-b", "stranger"}
    assert cloud.volumes["volume-a"]["status"] == "in-use"
    writes = cloud.write_calls()
    bench(cloud).absent()
    assert cloud.write_calls() == writes


@pytest.mark.parametrize("before", [True, False], ids=["before the write", "before its answer"])
@pytest.mark.parametrize("at", range(1, 7))
def test_a_kill_at_any_write_is_healed_by_the_next_run(cloud: FakeOpenStack, at: int, before: bool) -> None:
    cloud.kill_at, cloud.kill_before = at, before
    try:
        bench(cloud).present(WANTED)
    except Killed:
        pass
    else:
        assert at > cloud.writes, "there are that many writes"
    cloud.kill_at = None
    clones = bench(cloud).present(WANTED)
    assert len({c.clone for c in clones}) == 2
    cloud.settle()
    assert len(cloud.volumes) == 4 and len(cloud.snapshots) == 2
    bench(cloud).absent()
    assert cloud.ours() == []


@pytest.mark.parametrize("at", range(1, 9))
def test_a_kill_while_removing_is_healed_by_the_next_run(cloud: FakeOpenStack, at: int) -> None:
    bench(cloud).present(WANTED)
    cloud.writes, cloud.kill_at = 0, at
    with pytest.raises(Killed):
        bench(cloud).absent()
        raise Killed
    cloud.kill_at = None
    bench(cloud).absent()
    assert cloud.ours() == []


def test_of_two_clones_of_one_volume_one_stays(cloud: FakeOpenStack) -> None:
    kept = bench(cloud).present(WANTED)
    twin = dict(cloud.volumes[kept[0].clone], id="twin-of-a", status="available", attachments=[])
    cloud.volumes["twin-of-a"] = twin
    cloud.snapshots["twin-snapshot"] = dict(cloud.snapshots[kept[0].snapshot], id="twin-snapshot")
    assert bench(cloud).present(WANTED) == kept
    assert "twin-of-a" not in cloud.volumes and "twin-snapshot" not in cloud.snapshots


def test_what_ended_in_an_error_is_made_again(cloud: FakeOpenStack) -> None:
    kept = bench(cloud).present(WANTED)
    cloud.volumes[kept[1].clone].update(status="error", attachments=[])
    again = bench(cloud).present(WANTED)
    assert again[0] == kept[0] and again[1].clone != kept[1].clone
    assert kept[1].clone not in cloud.volumes


def test_a_cloud_that_never_makes_a_usable_snapshot_ends_in_an_error(cloud: FakeOpenStack) -> None:
    def broken(method: str, url: str, body: object) -> None:
        for snapshot in cloud.snapshots.values():
            if snapshot["status"] == "creating":
                snapshot["status"] = "error"

    cloud.intercept = broken
    with pytest.raises(CloudExitError, match=r"No usable snapshot of volume volume-[ab] could be made.*3 times"):
        bench(cloud).present(WANTED)


def test_a_snapshot_from_before_the_server_last_ran_is_not_used(cloud: FakeOpenStack) -> None:
    old = bench(cloud).present(WANTED)
    cloud.act("server-1", "start")
    cloud.tick += 10
    since = server.last_power_change(cloud, "server-1")
    new = bench(cloud).present(WANTED, since)
    assert not {c.clone for c in old} & {c.clone for c in new}
    assert not {c.snapshot for c in old} & {c.snapshot for c in new}
    assert len(cloud.ours()) == 4


def test_clocks_that_differ_a_little_do_not_make_a_snapshot_old(cloud: FakeOpenStack) -> None:
    """Cinder's clock is behind Nova's: the snapshot seems to have been made before the server was stopped."""
    first = bench(cloud).present(WANTED)
    made = min(str(cloud.snapshots[clone.snapshot]["created_at"]) for clone in first)
    moment = server.parse_time(made)
    assert moment is not None
    assert bench(cloud).present(WANTED, moment + timedelta(seconds=4)) == first
    later = bench(cloud).present(WANTED, moment + timedelta(seconds=8))
    assert not {c.clone for c in later} & {c.clone for c in first}


def test_a_clone_that_was_handed_out_is_not_fresh_and_can_be_renewed(cloud: FakeOpenStack) -> None:
    work = bench(cloud)
    first = work.present(WANTED)
    work.hand(first[0].clone)
    second = bench(cloud).present(WANTED)
    assert [c.fresh for c in second] == [False, True]
    third = bench(cloud).present(WANTED, renew=[first[0].clone])
    assert third[0].fresh and third[0].clone != first[0].clone and third[0].snapshot == first[0].snapshot
    assert third[1] == first[1]
    assert first[0].clone not in cloud.volumes


def test_a_clone_on_another_reader_is_moved(cloud: FakeOpenStack) -> None:
    cloud.add_server("reader-2", "ACTIVE")
    first = bench(cloud).present(WANTED)
    second = bench(cloud, reader="reader-2").present(WANTED)
    assert [c.clone for c in second] == [c.clone for c in first]
    assert all(cloud.volumes[c.clone]["attachments"][0]["server_id"] == "reader-2" for c in second)


def test_a_clone_that_hangs_in_attaching_is_named_with_what_to_do(cloud: FakeOpenStack) -> None:
    def hang(method: str, url: str, body: object) -> None:
        for volume in cloud.volumes.values():
            if volume["status"] == "reserved":
                volume["status"] = "attaching"
                cloud.later = []

    cloud.intercept = hang
    with pytest.raises(Timeout, match=r"clone clone-\S+ is attaching.*openstack volume set --state available clone-"):
        bench(cloud, deadline_s=60).present(WANTED)


def test_an_attachment_that_the_cloud_gives_back_is_not_tried_for_ever(cloud: FakeOpenStack) -> None:
    cloud.intercept = lambda method, url, body: refuse(202, "") if method == "POST" and "attachments" in url else None
    with pytest.raises(CloudExitError, match=r"could not be attached to reader host reader.*3 times"):
        bench(cloud).present(WANTED)


def test_an_answer_that_was_lost_is_looked_up(cloud: FakeOpenStack) -> None:
    lost = iter([True])

    def lose(method: str, url: str, body: object) -> object:
        if (method, url) == ("POST", "/snapshots") and next(lost, False):
            cloud._make_snapshot(body["snapshot"])
            return refuse(504, "gateway timeout")
        return None

    cloud.intercept = lose
    bench(cloud).present(WANTED)
    assert len(cloud.snapshots) == 2


def test_a_step_that_another_run_took_meanwhile_is_no_error(cloud: FakeOpenStack) -> None:
    """A module whose ansible-playbook was killed still runs beside the next run."""
    bench(cloud).present(WANTED)
    stolen = iter([True])

    def steal(method: str, url: str, body: object) -> object:
        if method == "DELETE" and url.startswith("/volumes/") and next(stolen, False):
            cloud._delete("volumes", url.rpartition("/")[2])
            return refuse(400, "Invalid volume: status must be available, but is deleting")
        return None

    cloud.intercept = steal
    bench(cloud).absent()
    assert cloud.ours() == []


def test_two_runs_at_once_end_with_one_clone_of_each_disk(cloud: FakeOpenStack) -> None:
    """The other one takes a step whenever this one waits."""
    other = bench(cloud)

    def sleep(seconds: float) -> None:
        found = disks.find(cloud, other.owner)
        steps, _waiting = other._steps(WANTED, found, None, set())
        cloud.sleep(seconds)
        for _name, act in steps:  # late, so that both do the same twice
            with contextlib.suppress(CloudExitError):
                act()

    clones = bench(cloud, sleep=sleep).present(WANTED)
    cloud.settle()
    again = bench(cloud).present(WANTED)
    assert len({clone.clone for clone in again}) == len({clone.clone for clone in clones}) == 2
    assert len(cloud.ours()) == 4
    assert [volume["status"] for volume in cloud.volumes.values()] == ["in-use"] * 4


def test_a_quota_ends_it_at_once(cloud: FakeOpenStack) -> None:
    cloud.intercept = lambda method, url, body: (
        refuse(413, "VolumeLimitExceeded") if (method, url) == ("POST", "/volumes") else None
    )
    with pytest.raises(Refused, match=r"Make a clone of volume.*VolumeLimitExceeded.*quota"):
        bench(cloud).present(WANTED)


def test_a_full_reader_is_waited_for(cloud: FakeOpenStack) -> None:
    for number in range(3):
        cloud.add_volume(f"other-{number}", at="reader")
    with pytest.raises(Timeout, match="reader host reader holds 3 other disks, of 4 at most"):
        bench(cloud, deadline_s=60, max_attachments=4).present(WANTED)
    del cloud.volumes["other-0"]
    assert len(bench(cloud, max_attachments=4).present(WANTED)) == 2


def test_a_snapshot_that_cannot_be_deleted_is_named(cloud: FakeOpenStack) -> None:
    clones = bench(cloud).present(WANTED)
    cloud.snapshots[clones[0].snapshot]["status"] = "error_deleting"
    with pytest.raises(Conflict, match=f"snapshot {clones[0].snapshot} cannot be deleted.*error_deleting"):
        bench(cloud).absent()


def test_a_reader_that_is_down_or_gone_is_told_before_anything_is_made(cloud: FakeOpenStack) -> None:
    cloud.servers["reader"]["status"] = "SHUTOFF"
    with pytest.raises(Unreachable, match=r"Reader host reader cannot take disks: it is SHUTOFF"):
        bench(cloud).check_reader()
    with pytest.raises(NotFound, match="Reader host nobody is not there"):
        bench(cloud, reader="nobody").check_reader()
    assert cloud.write_calls() == []


def test_a_plan_tells_the_first_steps_and_changes_nothing(cloud: FakeOpenStack) -> None:
    assert bench(cloud).plan(WANTED) == ["snapshot volume volume-a", "snapshot volume volume-b"]
    assert cloud.write_calls() == []
    clones = bench(cloud).present(WANTED)
    assert bench(cloud).plan(WANTED) == []
    assert f"detach clone {clones[0].clone}" in bench(cloud).plan([])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"multiattach": True}, "multi-attached"),
        ({"attachments": [{"server_id": "server-1"}, {"server_id": "other"}]}, "2 attachments"),
        ({"encrypted": True}, "encrypted"),
        ({"encrypted": "True"}, "encrypted"),
        ({"attachments": []}, "no longer attached to server server-1"),
        ({"status": "maintenance"}, "status maintenance"),
    ],
)
def test_volumes_that_are_not_copied(cloud: FakeOpenStack, change: dict[str, object], words: str) -> None:
    assert disks.refusals(disks.read_volume(cloud, "volume-a"), "server-1") == []
    cloud.volumes["volume-a"].update(change)
    found = disks.refusals(disks.read_volume(cloud, "volume-a"), "server-1")
    assert len(found) == 1 and words in found[0]
