# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flexible Engine's own objects, one at a time, on the lab's server of its services: every kind, and every accident."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import errors, kinds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Reference
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import closure, stages
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import retirement as facts
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import objects
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud, SourceAuth, connect
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.retire import Retiree
from tests.lab.flexible_engine import seed
from tests.lab.flexible_engine.tenants import REGION, Tenants

FAMILY = sorted(seed.kinds() & set(objects.ROWS))
ORDER = [kind for kind in stages.BY_TURN if kind in FAMILY]


@pytest.fixture
def tenants() -> Iterator[Tenants]:
    with Tenants(1, servers=2) as started:
        project = started.server.data[started.ids["t001"]]
        for rows in project.values():
            for row in rows:
                row.pop("instance_total", None)
        yield started


@pytest.fixture
def cloud(tenants: Tenants) -> Iterator[Cloud]:
    auth = SourceAuth(auth=tenants.auth("t001"), region_name=REGION)
    with connect(auth) as made:
        yield made


def retiree_of(cloud: Cloud, doomed: list[str], parents: dict[str, str] | None = None) -> Retiree:
    return Retiree(cloud, doomed, parents, sleep=lambda _seconds: None)


def reference(cloud: Cloud, kind: str, ident: str) -> Reference:
    return Reference(kind=kind, cloud="127.0.0.1", region=REGION, project=cloud.project_id, id=ident)


def all_objects(cloud: Cloud) -> dict[str, list[Any]]:
    found = reading.read(cloud, sleep=lambda _seconds: None).estate
    return {kind: list(found.of(kind)) for kind in FAMILY}


def everything(found: dict[str, list[Any]]) -> list[str]:
    return [f"{kind}/{obj.id}" for kind, objs in found.items() for obj in objs]


def test_every_kind_that_may_be_deleted_has_a_row_and_no_other() -> None:
    assert set(objects.ROWS) == set(stages.BY_TURN)
    assert set(objects.NOT_OBJECTS) == {kind for kind, row in stages.ROWS.items() if row.stage is None}
    assert set(objects.ROWS) | set(objects.NOT_OBJECTS) == set(kinds.KINDS)
    assert set(ORDER) == set(FAMILY) and len(FAMILY) > 50


def test_reading_one_is_reading_all(tenants: Tenants, cloud: Cloud) -> None:
    found = all_objects(cloud)
    retiree = retiree_of(cloud, [])
    for kind, objs in found.items():
        assert objs, f"the lab has none of {kind}"
        for obj in objs:
            read = retiree.read(reference(cloud, kind, obj.id))
            assert read == obj, (kind, obj.id)
            assert facts.seen(kind, read) == facts.seen(kind, obj)
        if kind not in ("trackers", "rds_backups"):
            assert retiree.read(reference(cloud, kind, "no-such-id")) is None
            continue
        with pytest.raises(errors.CloudExitError):  # one that is another; one that may have outlived its database
            retiree.read(reference(cloud, kind, "no-such-id"))
    assert tenants.server.writes() == []


def delete(retiree: Retiree, ref: Reference) -> list[str]:
    """Delete it as an executor does; the steps that were made."""
    made = []
    for dummy in range(10):
        obj = retiree.read(ref)
        if obj is None:
            return made
        for step in retiree.way(ref, obj):
            try:
                retiree.call(ref, step)
            except errors.CloudExitError as error:
                if not error.retryable:
                    raise
                break
            made.append(step)
    raise AssertionError(f"{ref.key} does not go")


def special(kind: str, obj: Any) -> bool:
    """What the cloud keeps: deleted with something else, or never."""
    return kind == "route_tables" and obj.properties.get("default") is True


def test_everything_goes_in_order_and_nothing_is_left(tenants: Tenants, cloud: Cloud) -> None:
    found = all_objects(cloud)
    doomed = [*everything(found), *(f"servers/{s['id']}" for s in _servers(tenants, cloud))]
    retiree = retiree_of(cloud, doomed, {f"{k}/{obj.id}": obj.parent for k in found for obj in found[k] if obj.parent})
    made: dict[str, list[str]] = {}
    for kind in ORDER:
        for obj in found[kind]:
            ref = reference(cloud, kind, obj.id)
            if special(kind, obj):
                with pytest.raises(errors.Refused, match="goes with it"):
                    retiree.way(ref, obj)
                continue
            made[kind] = delete(retiree, ref)
            assert retiree.call(ref, "delete").note == "it was absent already"
    left = {kind: objs for kind, objs in all_objects(cloud).items() if objs}
    assert {kind: [obj.status for obj in objs] for kind, objs in left.items()} == {"keys": ["4"]}
    assert retiree.read(reference(cloud, "keys", left["keys"][0].id)) is None
    assert made["scaling_groups"][0] == "pause" and made["scaling_groups"][1].startswith("remove:")
    assert made["volume_backup_policies"] == ["off", "delete"] and made["buckets"] == ["empty", "delete"]
    assert all(made.values())
    assert made["public_ips"] == ["disassociate", "delete"]


def _servers(tenants: Tenants, cloud: Cloud) -> list[dict[str, Any]]:
    return tenants.rows[cloud.project_id]["servers"]


def test_a_quarantine_is_undone_exactly(tenants: Tenants, cloud: Cloud) -> None:
    found = all_objects(cloud)
    policy = tenants.server.data[cloud.project_id]["server_backup_policies"][0]
    policy["scheduled_operations"] = [{"id": "o1", "enabled": True}, {"id": "o2", "enabled": False}]
    retiree = retiree_of(cloud, [])
    before = copy.deepcopy(tenants.server.data)
    done = set()
    for kind, objs in found.items():
        for obj in objs:
            ref = reference(cloud, kind, obj.id)
            steps = [step for step in retiree.quarantine_steps(ref, obj) if step.before != step.after]
            for step in steps:
                retiree.apply(ref, step)
                assert retiree.apply(ref, step).note == "it was so already"
                done.add(f"{kind}.{step.name}")
            assert (tenants.server.data != before) == bool(steps)
            assert all(step.before == step.after for step in retiree.quarantine_steps(ref, obj))
            for step in reversed(steps):
                retiree.undo(ref, step)
            assert tenants.server.data == before, (kind, obj.id)
    assert done == {
        *("scaling_groups.pause", "volume_backup_policies.switch_off", "server_backup_policies.switch_off"),
        *("vault_policies.switch_off", "elb_members.disable_member", "buckets.revoke_access"),
    }


def test_what_somebody_else_set_is_not_overwritten(tenants: Tenants, cloud: Cloud) -> None:
    retiree = retiree_of(cloud, [])
    row = tenants.server.data[cloud.project_id]["elb_members"][0]
    ref = reference(cloud, "elb_members", row["id"])
    (step,) = retiree.quarantine_steps(ref, None)
    retiree.apply(ref, step)
    row["weight"] = 7
    for act in (retiree.apply, retiree.undo):
        with pytest.raises(errors.Conflict, match="it is 7, and neither"):
            act(ref, step)
    assert row["weight"] == 7


def test_a_bucket_is_emptied_of_versions_markers_and_uploads(tenants: Tenants, cloud: Cloud) -> None:
    retiree = retiree_of(cloud, [])
    ref = reference(cloud, "buckets", "acme-files")
    assert retiree.activity(ref, None, "2026-01-02T00:00:00Z") == []
    assert retiree.activity(ref, None, "2025-12-31T00:00:00Z") == ["1202 objects or versions were written"]
    with pytest.raises(errors.Conflict, match="BucketNotEmpty"):
        retiree.call(ref, "delete")
    told: list[str] = []
    answer = retiree.call(ref, "empty", told.append)
    assert answer.note == "1203 objects, versions and markers" and told[-1].startswith("1203 ")
    assert retiree.call(ref, "delete").status == 204 and retiree.read(ref) is None


def test_what_goes_along_is_listed_whole(tenants: Tenants, cloud: Cloud) -> None:
    data = tenants.server.data[cloud.project_id]
    zone = data["dns_zones"][0]["id"]
    data["dns_records"] += [
        {**data["dns_records"][0], "id": f"r{n}", "name": f"{n}.shop.example."} for n in range(1200)
    ]
    kept = {"name": "shop.example.", "zone_name": "shop.example.", "zone_id": zone}
    data["dns_records"] += [{"id": "soa", "type": "SOA", **kept}, {"id": "ns", "type": "NS", **kept}]
    assert len(retiree_of(cloud, []).takes(reference(cloud, "dns_zones", zone), None)) == 1201


@pytest.mark.parametrize("kind", ["vaults", "cce_clusters", "cce_nodes", "elb_pools", "dns_zones"])
def test_what_goes_along_must_be_in_the_plan(tenants: Tenants, cloud: Cloud, kind: str) -> None:
    found = all_objects(cloud)[kind][0]
    ref = reference(cloud, kind, found.id)
    alone = retiree_of(cloud, [ref.key])
    along = alone.takes(ref, found)
    assert along
    with pytest.raises(errors.Refused, match="would delete with it"):
        alone.call(ref, "delete")
    assert tenants.server.writes() == []
    if kind != "elb_pools":  # whose service refuses as long as there are members
        retiree_of(cloud, [ref.key, *along]).call(ref, "delete")
        assert retiree_of(cloud, []).read(ref) is None


def test_a_refusal_for_a_while_is_retryable(tenants: Tenants, cloud: Cloud) -> None:
    found = all_objects(cloud)
    doomed = everything(found) + [f"servers/{row['id']}" for row in _servers(tenants, cloud)]
    retiree = retiree_of(cloud, doomed)
    for kind in FAMILY:
        obj = found[kind][0]
        if kind in ("buckets", "bare_metal") or special(kind, obj):
            continue  # S3 and Nova answer for these
        ref = reference(cloud, kind, obj.id)
        for status in (409, 500):
            method = "POST" if kind == "keys" else "DELETE"
            tenants.server.faults.clear()
            tenants.server.fault(kind=kind, status=status, method=method, count=1)
            with pytest.raises(errors.CloudExitError) as caught:
                retiree.call(ref, "delete")
            assert caught.value.retryable and ref.key in str(caught.value), kind
        assert retiree.read(ref) == obj


def test_403_is_temporary_for_the_network_alone(tenants: Tenants, cloud: Cloud) -> None:
    for kind, service, retryable in (("vpc_subnets", "vpc", True), ("topics", "smn", False)):
        tenants.server.fault(service=service, kind=kind, status=403, method="DELETE")
        ref = reference(cloud, kind, all_objects(cloud)[kind][0].id)
        with pytest.raises(errors.CloudExitError) as caught:
            retiree_of(cloud, []).call(ref, "delete")
        assert caught.value.retryable is retryable


def test_a_list_that_is_behind_is_believed_and_the_delete_made_again(tenants: Tenants, cloud: Cloud) -> None:
    tenants.server.fault(kind="topics", stale=4, method="DELETE")
    ref = reference(cloud, "topics", all_objects(cloud)["topics"][0].id)
    retiree = retiree_of(cloud, [])
    assert retiree.call(ref, "delete").status == 204
    assert retiree.read(ref) is not None
    with pytest.raises(errors.CloudExitError):
        retiree.call(ref, "delete")  # not found, and in the list: nobody knows
    for dummy in range(4):
        gone = retiree.read(ref) is None
    assert gone


def test_another_object_under_the_id_is_seen(tenants: Tenants, cloud: Cloud) -> None:
    tenants.server.fault(kind="vault_backups", reused=True, method="DELETE", count=1)
    obj = all_objects(cloud)["vault_backups"][0]
    ref = reference(cloud, "vault_backups", obj.id)
    retiree = retiree_of(cloud, [])
    retiree.call(ref, "delete")
    other: Any = retiree.read(ref)
    assert other is not None and (other.name, other.created) != (obj.name, obj.created)
    assert facts.seen("vault_backups", other) != facts.seen("vault_backups", obj)


def test_no_answer_after_the_delete_was_made(tenants: Tenants, cloud: Cloud) -> None:
    for kind, fault in (("topics", {"status": 500}), ("log_groups", {"status": 504})):
        tenants.server.fault(kind=kind, method="DELETE", done=True, **fault)
        ref = reference(cloud, kind, all_objects(cloud)[kind][0].id)
        retiree = retiree_of(cloud, [])
        with pytest.raises(errors.CloudExitError) as caught:
            retiree.call(ref, "delete")
        assert caught.value.retryable and retiree.read(ref) is None


@pytest.mark.parametrize(
    "fault", [{"status": 403}, {"status": 500}, {"nonsense": True}, {"empty_page": 1}, {"status": 404}]
)
def test_what_cannot_be_read_is_not_absent(tenants: Tenants, cloud: Cloud, fault: dict[str, Any]) -> None:
    data = tenants.server.data[cloud.project_id]
    data["topics"] = [{"topic_urn": f"urn:{n}", "name": str(n)} for n in range(150)]
    ref = reference(cloud, "topics", "urn:149")
    retiree = retiree_of(cloud, [])
    assert retiree.read(ref) is not None
    tenants.server.fault(kind="topics", **fault)
    with pytest.raises(errors.CloudExitError):
        retiree.read(ref)
    if "empty_page" not in fault:  # the first page of the first list only
        with pytest.raises(errors.CloudExitError):
            retiree.call(ref, "delete")
    assert tenants.server.writes() == []


def test_subscriptions_are_for_the_contract(tenants: Tenants, cloud: Cloud) -> None:
    data = tenants.server.data[cloud.project_id]
    data["vaults"][0]["billing"]["charging_mode"] = "pre_paid"
    data["rds_instances"][0]["charge_info"] = {"charge_mode": "prePaid"}
    for kind in ("vaults", "rds_instances"):
        obj = all_objects(cloud)[kind][0]
        ref = reference(cloud, kind, obj.id)
        for act in (
            lambda r=ref, o=obj: retiree_of(cloud, []).way(r, o),
            lambda r=ref: retiree_of(cloud, []).call(r, "delete"),
        ):
            with pytest.raises(errors.Refused, match="list for the contract"):
                act()
    assert tenants.server.writes() == []


def test_what_is_no_object_is_not_deleted(tenants: Tenants, cloud: Cloud) -> None:
    for kind in objects.NOT_OBJECTS:
        with pytest.raises(errors.Refused):
            retiree_of(cloud, []).call(reference(cloud, kind, "x"), "delete")
        with pytest.raises(errors.Refused):
            retiree_of(cloud, []).way(reference(cloud, kind, "x"), None)


def test_a_manual_backup_is_found_after_its_database_is_gone(tenants: Tenants, cloud: Cloud) -> None:
    backup = all_objects(cloud)["rds_backups"][0]
    ref = reference(cloud, "rds_backups", backup.id)
    tenants.server.data[cloud.project_id]["rds_instances"].clear()
    with pytest.raises(errors.Unreachable, match="nobody told"):
        retiree_of(cloud, []).read(ref)
    known = retiree_of(cloud, [], {ref.key: backup.parent})
    assert known.read(ref) == backup
    known.call(ref, "delete")
    assert known.read(ref) is None


def test_what_services_say_goes_along_is_what_the_plan_says(tenants: Tenants, cloud: Cloud) -> None:
    estate = reading.read(cloud, sleep=lambda _seconds: None).estate
    links, retiree = closure.links(estate), retiree_of(cloud, [])
    for kind in FAMILY:
        for obj in estate.of(kind):
            told = set(retiree.takes(reference(cloud, kind, obj.id), obj))
            assert told <= set(links.closure(f"{kind}/{obj.id}").taken), (kind, told)
