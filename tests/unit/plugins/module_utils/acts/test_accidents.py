# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accidents that other tools for deleting have had, each played here: it cannot happen.

What a plan would never let in is in the tests of planning (test_retirement.py); here is what happens at the time of the
deletion.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import retire
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.retire_guards import Tripped
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import journal as ledger
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as es
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    InvalidInput,
    Refused,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import leftover
from tests.unit.plugins.module_utils.acts import retire_model as rm
from tests.unit.plugins.module_utils.acts.test_retire import Desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    model = rm.Model(3)
    rm.small(model)
    return Desk(model, tmp_path, monkeypatch)


def stopped(desk: Desk, guard: str, deleted: int = 0) -> Tripped:
    """A purge is stopped by this guard, after so many deletions."""
    done = desk.run("purge")
    assert isinstance(done.stopped, Tripped), done.stopped
    assert done.stopped.guard == guard
    assert len(desk.model.deleted) == deleted
    assert desk.model.violations == []
    return done.stopped


def test_aws_nuke_443_no_word_in_a_name_decides(desk: Desk) -> None:
    """A name with "prod" in it protected an account, or did not. Here no name, age or pattern selects anything."""
    given = {name for act in (retire.purge, retire.quarantine) for name in inspect.signature(act).parameters}
    assert given == {"cloud", "plan", "journal", "gates", "stop", "holds", "closure", "on_progress", "sleep"}
    server = desk.model.things[("servers", "s9")]
    server.obj = replace(server.obj, name="web")
    for dummy in range(2):
        desk.run("purge")
    assert desk.model.get("servers", "s9") is server


def test_aws_nuke_520_there_is_no_guard_to_fool_with_a_dummy(desk: Desk) -> None:
    """People entered a made-up id to satisfy a check for a block list. An empty answer satisfies no guard."""
    desk.model.next_gates = []
    stopped(desk, "gates")


def test_cloud_nuke_812_a_protected_server_does_not_go_with_its_interface(desk: Desk) -> None:
    """A server with an exclusion tag was deleted as an untagged interface took it along."""
    model = desk.model
    closure = model.closure
    model.closure = lambda ref, obj: {"servers/s9"} if ref.key == "ports/p1" else closure(ref, obj)
    assert "servers/s9" in str(stopped(desk, "closure"))


def test_cloud_nuke_527_an_age_is_not_asked_and_a_new_object_stays(desk: Desk) -> None:
    """An age filter did not hold for all kinds. Here what the plan does not list is not touched, however old."""
    young = desk.model.add("servers", es.Server("s-new", "web", created="2026-03-02T08:59:59Z"))
    old = desk.model.add("servers", es.Server("s-old", "web", created="2015-01-01T00:00:00Z"))
    for dummy in range(2):
        desk.run("purge")
    assert {young.uid, old.uid} <= {thing.uid for thing in desk.model.things.values()}


def test_cloud_custodian_4949_what_cannot_be_read_is_not_absent(desk: Desk) -> None:
    """Tags could not be fetched, so things counted as untagged, and were deleted."""

    def unreadable(*dummy: object) -> list[str]:
        raise Unreachable("tags", cause="the service does not answer")

    for what in ("activity", "holds", "closure", "quarantine_steps"):
        original = getattr(desk.model, what)
        setattr(desk.model, what, unreadable)
        done = desk.run("purge")
        assert done.stopped is not None and desk.model.deleted == [], what
        setattr(desk.model, what, original)


def test_cloud_custodian_4097_nothing_goes_before_its_time(desk: Desk) -> None:
    """Things that were marked for a later date were deleted earlier. Gates hold the time, and are asked each time."""
    desk.model.next_gates = [rm.Gate("G6", False, "not before 2026-04-01")]
    assert "2026-04-01" in str(stopped(desk, "gates"))
    desk.model.next_gates = [rm.Gate("G6", True)]
    desk.model.now += timedelta(days=60)
    stopped(desk, "expired")


def test_cloud_custodian_implicit_filters_what_is_left_is_told() -> None:
    """Filters dropped things without a word. Here the end is a list of all that is left."""
    plan = rm.small(rm.Model())
    forgotten = es.Estate(
        kind=es.KIND,
        version=es.VERSION,
        tenant=es.Tenant("p-1"),
        read={"snapshots": "complete", "volumes": "partial"},
        snapshots=[es.Snapshot("sn-hidden")],
    )
    assert {(one.kind, one.id, one.why) for one in leftover.left(plan, forgotten)} == {
        ("snapshots", "sn-hidden", "new"),
        ("volumes", "", "unread"),
    }


def test_openstack_project_cleanup_takes_a_name_for_an_id(desk: Desk) -> None:
    """It accepts the name of a project. Here another project with the same name is another project."""
    desk.model.user = replace(desk.model.user, project_id="p-2")
    stopped(desk, "tenant")


def test_openstack_project_cleanup_a_part_that_fails_is_not_swallowed(desk: Desk) -> None:
    """Security groups in use were left behind, and the run ended well."""
    effect = desk.model.call

    def call(ref: object, step: str, on_progress: object = None) -> object:
        if getattr(ref, "kind", "") == "security_groups":
            raise Refused("403: not allowed")
        return effect(ref, step)

    desk.model.call = call
    done = desk.run("purge")
    assert isinstance(done.stopped, Refused)
    assert "security_groups/g1" in done.waiting


def test_terraform_17599_leaving_a_protection_out_deletes_nothing(desk: Desk) -> None:
    """A protection vanished with the block that it stood in. Here what is left out of a list stays."""
    assert desk.model.plan is not None
    plan = desk.model.plan
    desk.model.plan = replace(plan, kept=[], items=[item for item in plan.items if item.ref.key != "buckets/b1"])
    del desk.model.planned[("buckets", "b1")]
    desk.run("purge")
    assert desk.model.get("buckets", "b1") is not None
    assert desk.model.violations == []


def test_azure_locks_the_own_lock_stays_until_its_turn(desk: Desk) -> None:
    """A lock of the control plane does not protect the content; and owners take it off. Ours is off for one object."""
    model = desk.model
    desk.run("quarantine")
    locked: list[set[str]] = []
    effect = model.call

    def call(ref: object, step: str, on_progress: object = None) -> object:
        answer = effect(ref, step)
        locked.append({thing.obj.id for thing in model.of("servers") if thing.obj.id != "s9" and not thing.locked})
        return answer

    model.call = call
    desk.run("purge")
    assert max(map(len, locked)) == 1


def test_azcollection_383_a_delete_takes_only_what_is_listed(desk: Desk) -> None:
    """To remove a deployment removed the whole resource group. Here what a delete takes along is asked before it."""
    desk.model.add("ports", es.Port("p-group", "", "n9", "fa:8", "s2"), auto=True)
    assert "ports/p-group" in str(stopped(desk, "closure", deleted=2))


def test_atlassian_2022_an_id_of_another_kind(desk: Desk) -> None:
    """Ids of sites were given where those of apps were meant, and one call took both. Here a reference has its kind."""
    model = desk.model
    assert model.plan is not None
    items = []
    for item in model.plan.items:
        if item.ref.key == "servers/s2":
            item = replace(item, ref=replace(item.ref, id="v1"), takes=[])
        items.append(item)
    model.plan = replace(model.plan, items=items)
    assert stopped(desk, "vanished", deleted=2).object == "servers/v1"


def test_atlassian_2022_the_first_one_goes_alone(desk: Desk) -> None:
    """883 sites were gone in 23 minutes. Here whoever says stop after the first saves all others."""
    model = desk.model
    model.stop = lambda: "wait" if model.deleted else ""
    done = desk.run("purge")
    assert isinstance(done.stopped, Tripped) and done.stopped.guard == "stop"
    assert len([one for one in model.deleted if one[0] == "servers"]) == 1


def test_unisuper_2024_a_blank_is_not_a_default(desk: Desk) -> None:
    """A parameter that was left blank gave a cloud an end, and it was deleted at that. Here a blank stops."""
    model = desk.model
    assert model.plan is not None
    blank = replace(model.plan, tenant=replace(model.plan.tenant, region=""))
    model.plan, model.user = blank, replace(model.user, region="")
    stopped(desk, "tenant")
    for name in ("expires", "cool_off_hours", "approvals", "tenant"):
        data = schema.dump(blank)
        del data[name]
        with pytest.raises(InvalidInput):
            retirement.load(data)


def test_unisuper_2024_both_copies_do_not_go_at_once(desk: Desk) -> None:
    """Both regions went by one cause. Here one run is for one region of one project; another is refused."""
    desk.model.user = replace(desk.model.user, region="eu-west-1")
    stopped(desk, "tenant")


def test_a_listing_that_is_empty_with_status_200(desk: Desk) -> None:
    """Empty is not absent."""
    for key in desk.model.planned:
        desk.model.hidden[key] = 99
    stopped(desk, "vanished")


def test_a_rename_between_plan_and_run(desk: Desk) -> None:
    thing = desk.model.things[("servers", "s1")]
    thing.obj = replace(thing.obj, name="web-1")
    assert "web-1" in str(stopped(desk, "seen"))


@pytest.mark.parametrize("arrived", [True, False])
def test_a_crash_between_intent_and_outcome_is_read_and_not_repeated(desk: Desk, arrived: bool) -> None:
    model = desk.model
    rm.plan_of(model, {("servers", "s2")})
    effect = model.effect

    def dying(ref: retirement.Reference, step: str) -> None:
        if arrived:
            effect(ref, step)
        model.dead = True
        raise rm.Crash

    model.effect = dying
    with pytest.raises(rm.Crash):
        desk.run("purge")
    model.effect = effect
    assert desk.run("purge").stopped is None
    assert model.get("servers", "s2") is None
    assert model.calls.count(("servers", "s2", "delete")) == (1 if arrived else 2)
    assert model.violations == []


def test_a_clock_that_is_set_in_a_run_does_not_move_the_ledger() -> None:
    clock = ledger.steady()
    first = clock()
    assert timedelta(0) <= clock() - first < timedelta(minutes=1)


def test_the_last_word_of_a_stopped_run_says_what_to_do(desk: Desk) -> None:
    desk.model.next_holds = {"servers/s1"}
    error: CloudExitError = stopped(desk, "hold")
    assert error.cause and error.hint
