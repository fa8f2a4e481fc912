# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a workload is, what is left, and what is refused before anything is changed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import clones, state, vsphere
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
    Refused,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import disks, server
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import placement, vm
from tests.unit.plugins.module_utils.acts.variable import variable
from tests.unit.plugins.module_utils.source.fake_openstack import FakeOpenStack

WORKLOAD = Workload.of(variable())


class Target:
    """What vCenter says: a machine or none, and what is wrong there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.machine: vm.Vm | None = None
        self.missing: list[Problem] = []
        self.full: list[Problem] = []
        self.taken = False
        monkeypatch.setattr(vm, "find_ours", lambda session, uuid, marks: self.machine)
        monkeypatch.setattr(vsphere, "place_of", self.place)
        monkeypatch.setattr(placement, "space_problems", lambda place, spec: self.full)
        monkeypatch.setattr(placement, "check_name", self.name)

    def place(self, workload: Workload, session: object) -> object:
        if self.missing:
            raise InvalidInput("the target is not as the plan says", self.missing)
        return SimpleNamespace()

    def name(self, session: object, place: object, name: str, uuid: str) -> None:
        if self.taken:
            raise Conflict(f"the name {name!r} is taken in the target folder")

    def has(self, mark: str, running: bool = False, **extra: str) -> None:
        marks = {f"cloudexit.{key.replace('_', '.') if key[-1:].isdigit() else key}": v for key, v in extra.items()}
        self.machine = vm.Vm(
            moref="vm-1",
            name="web-1",
            instance_uuid=WORKLOAD.instance_uuid,
            uuid="",
            power="poweredOn" if running else "poweredOff",
            cpus=1,
            memory_mib=512,
            firmware="bios",
            guest_id="x",
            annotation="",
            disks=(),
            nics=(),
            extra={**WORKLOAD.marks.to_extra_config(), "cloudexit.state": mark, **marks},
        )


@pytest.fixture
def cloud() -> FakeOpenStack:
    fake = FakeOpenStack()
    fake.add_server("server-1", "SHUTOFF", ("volume-a", "volume-b"))
    fake.add_server("reader", "ACTIVE")
    return fake


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Target:
    return Target(monkeypatch)


def look(cloud: FakeOpenStack, workload: Workload = WORKLOAD, **options: Any) -> state.State:
    found = state.look(workload, cloud, SimpleNamespace(), **options)
    assert cloud.write_calls() == []
    return found


def fence(cloud: FakeOpenStack) -> None:
    server.fence(cloud, server.read(cloud, "server-1"), WORKLOAD.marks, target="x")
    cloud.log.clear()


EVERYTHING = ["stop", "clone", "adapt", "copy", "clean", "start", "check", "fence"]


def test_at_the_beginning_all_is_left(cloud: FakeOpenStack, target: Target) -> None:
    cloud.servers["server-1"]["status"] = "ACTIVE"
    found = look(cloud)
    assert (found.phase, found.todo, found.fenced) == ("planned", EVERYTHING, False)
    untouched = Workload.of(variable(guest={"adapt": "none"}))
    assert "adapt" not in look(cloud, untouched).todo


def test_with_clones_it_is_cloned(cloud: FakeOpenStack, target: Target) -> None:
    bench = disks.Bench(cloud, clones.owner_of(WORKLOAD), reader="reader", clock=cloud.clock, sleep=cloud.sleep)
    bench.present(clones.disks_of(WORKLOAD))
    cloud.log.clear()
    found = look(cloud)
    assert (found.phase, found.todo) == ("cloned", EVERYTHING)
    assert len(found.temporary["clones"]) == len(found.temporary["snapshots"]) == 2


@pytest.mark.parametrize("mark", ["importing", "imported"])
def test_an_unproven_machine_is_gone_on_with(cloud: FakeOpenStack, target: Target, mark: str) -> None:
    target.has(mark)
    found = look(cloud)
    assert (found.phase, found.todo) == (mark, EVERYTHING)


def test_a_verified_machine_only_has_to_be_started_and_checked(cloud: FakeOpenStack, target: Target) -> None:
    target.has("verified", frozen_at="2026-01-01T01:00:00+00:00", manifest_0="blake3:a", volume_0="volume-a")
    found = look(cloud)
    assert (found.phase, found.todo) == ("verified", ["copy", "start", "check", "fence"])
    assert found.proof[0]["manifest_target"] == "blake3:a" and found.proof[0]["volume"] == "volume-a"


@pytest.mark.parametrize("how", ["runs", "ran"])
def test_a_copy_of_a_source_that_ran_since_is_stale(cloud: FakeOpenStack, target: Target, how: str) -> None:
    target.has("verified", frozen_at="2026-01-01T00:00:10+00:00")
    if how == "runs":
        cloud.servers["server-1"]["status"] = "ACTIVE"
    else:
        cloud.tick = 100
        cloud.act("server-1", "start")
        cloud.act("server-1", "stop")
    found = look(cloud)
    assert (found.phase, found.stale, found.todo) == ("planned", True, EVERYTHING)


def test_when_all_is_done_nothing_is_left(cloud: FakeOpenStack, target: Target) -> None:
    target.has("started", running=True)
    fence(cloud)
    found = look(cloud)
    assert (found.phase, found.todo, found.fenced) == ("started", [], True)
    assert cloud.log == ["GET /servers/server-1"], "and it costs one call to the source"


def test_a_started_machine_without_a_fence_is_checked_and_fenced(cloud: FakeOpenStack, target: Target) -> None:
    target.has("started", running=True)
    assert look(cloud).todo == ["check", "fence"]
    target.has("started", running=False)
    assert look(cloud).todo == ["start", "check", "fence"]
    fence(cloud)
    assert look(cloud).todo == ["start", "check"]


def test_a_proof_that_is_not_in_the_ledger_is_fetched(cloud: FakeOpenStack, target: Target) -> None:
    """A run was killed after the machine was started and before anything was recorded."""
    target.has("started", running=True)
    assert look(cloud, recorded=None).todo == ["copy", "check", "fence"]
    fence(cloud)
    assert look(cloud, recorded=None).todo == [], "another folder than the one that has it"
    assert look(cloud, recorded=False).todo == ["copy"]


def test_both_running_is_a_conflict(cloud: FakeOpenStack, target: Target) -> None:
    target.has("started", running=True)
    cloud.servers["server-1"]["status"] = "ACTIVE"
    with pytest.raises(Conflict, match="is ACTIVE although its machine vm-1 was started"):
        look(cloud)
    assert look(cloud, check=False).phase == "started"


def test_a_rolled_back_machine_is_not_overwritten_unasked(cloud: FakeOpenStack, target: Target) -> None:
    target.has("rolled_back")
    with pytest.raises(Refused, match="migrate_replace_rolled_back"):
        look(cloud)
    assert look(cloud, replace_rolled_back=True).todo == EVERYTHING


@pytest.mark.parametrize(
    ("mark", "running", "fenced", "words"),
    [
        ("imported", True, False, "runs although it is imported"),
        ("", False, True, "is fenced, but its machine at the target is gone"),
        ("importing", False, True, "is fenced, but its machine is only importing"),
        ("strange", False, False, "unknown state 'strange'"),
    ],
)
def test_what_does_not_fit_together(
    cloud: FakeOpenStack, target: Target, mark: str, running: bool, fenced: bool, words: str
) -> None:
    if mark:
        target.has(mark, running)
    if fenced:
        fence(cloud)
    with pytest.raises(Conflict, match=words):
        look(cloud)


def test_all_that_forbids_the_move_is_told_together(cloud: FakeOpenStack, target: Target) -> None:
    cloud.volumes["volume-a"]["encrypted"] = True
    cloud.volumes["volume-b"].update(multiattach=True, size=3)
    target.missing = [Problem("target.networks", "no network 'VM Network'")]
    with pytest.raises(InvalidInput) as caught:
        look(cloud)
    text = str(caught.value)
    assert text.startswith("Workload web-1 cannot be moved as the plan says (4 problems):")
    for words in ("is encrypted", "is multi-attached", "has 3 GiB, the plan says 1", "no network 'VM Network'"):
        assert words in text
    assert text.endswith("Nothing was changed. Correct the plan or what it names, then run again.")


def test_a_full_datastore_and_a_taken_name(cloud: FakeOpenStack, target: Target) -> None:
    target.full = [Problem("disks[1]", "needs 1.0 GiB, but 0.5 GiB are free in DS1")]
    target.taken = True
    with pytest.raises(InvalidInput, match=r"0\.5 GiB are free in DS1") as caught:
        look(cloud)
    assert "name: the name 'web-1' is taken" in str(caught.value)


def test_a_reader_that_is_down_or_gone(cloud: FakeOpenStack, target: Target) -> None:
    cloud.servers["reader"]["status"] = "SHUTOFF"
    with pytest.raises(Unreachable, match=r"Reader host reader-1 \(reader\) .* it is SHUTOFF"):
        look(cloud)
    del cloud.servers["reader"]
    with pytest.raises(InvalidInput, match=r"reader: Reader host reader-1 \(reader\) is not there"):
        look(cloud)


def test_a_volume_or_a_server_that_is_gone(cloud: FakeOpenStack, target: Target) -> None:
    del cloud.volumes["volume-b"]
    with pytest.raises(InvalidInput, match=r"disks\[1\].volume: Read source volume volume-b"):
        look(cloud)
    del cloud.servers["server-1"]
    with pytest.raises(NotFound, match="Source server server-1 is not there"):
        look(cloud)


def test_a_server_in_another_state_is_refused(cloud: FakeOpenStack, target: Target) -> None:
    cloud.servers["server-1"]["status"] = "PAUSED"
    with pytest.raises(Refused, match="its status is PAUSED"):
        look(cloud)
