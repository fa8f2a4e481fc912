# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of the real services, one at a time: read, quarantined and undone exactly, deleted, proven absent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import errors
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Reference
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import SourceAuth, connect
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.retire import Retiree
from tests.installed import Lab
from tests.lab import openstack
from tests.lab import retire as tenants
from tests.lab.openstack.config import REGION

ORDER = (
    *("load_balancers", "lb_listeners", "lb_l7_policies", "lb_pools", "lb_health_monitors", "lb_members"),
    *("servers", "server_groups", "images", "snapshots", "volumes", "floating_ips", "firewall_groups"),
    *("firewall_policies", "firewall_rules", "routers", "ports", "subnets", "networks", "security_groups"),
    *("containers", "secrets"),
)
"""A purge's order of kinds, but that what hangs on a balancer goes before it: see `_order`."""


@pytest.fixture(scope="module")
def tenant(lab: Lab) -> tenants.Tenant:
    return tenants.make(lab.instance, f"retire-{int(time.time())}", servers=2)


def cloud_of(tenant: tenants.Tenant, user: str = "operator") -> Any:
    return connect(SourceAuth(auth=tenant.auth(user), region_name=REGION))


def reference(retiree: Retiree, kind: str, ident: str) -> Reference:
    who = retiree.cloud
    return Reference(kind=kind, cloud="127.0.0.1", region=who.region, project=who.project_id, id=ident)


def objects(tenant: tenants.Tenant) -> Iterator[tuple[str, str]]:
    for kind, idents in tenant.ids.items():
        for ident in idents:
            yield kind, ident


def readable(tenant: tenants.Tenant) -> Iterator[tuple[str, str]]:
    """One of each kind that Keystone's role `reader` may read: Swift and Barbican do not know it."""
    return ((kind, idents[0]) for kind, idents in tenant.ids.items() if kind not in ("containers", "secrets"))


def delete(retiree: Retiree, ref: Reference) -> None:
    obj = retiree.read(ref)
    assert obj is not None
    for step in retiree.way(ref, obj):
        for dummy in range(200):
            try:
                retiree.call(ref, step)
                break
            except errors.CloudExitError as error:
                if not error.retryable:
                    raise
                time.sleep(0.2)
        else:
            raise AssertionError(f"{step} of {ref.key} was never done")
    for dummy in range(300):
        if retiree.read(ref) is None:
            return
        time.sleep(0.2)
    raise AssertionError(f"{ref.key} is still there")


def raw_state(retiree: Retiree, ref: Reference) -> dict[str, Any]:
    """What the service itself says, without what no undo can bring back: when it was changed, and how often.

    Nova's picture of a server's addresses follows its ports and floating addresses, which are compared themselves.
    """
    raw = dict(retiree._objects.raw(ref) or {})
    changing = ["updated_at", "updated", "revision_number", "OS-SRV-USG:launched_at", "status_reason", "progress"]
    for name in changing + ["addresses"] * (ref.kind == "servers"):
        raw.pop(name, None)
    return raw


def test_one_object_is_read_as_the_whole_tenant_is(tenant: tenants.Tenant) -> None:
    with cloud_of(tenant) as cloud:
        retiree = Retiree(cloud)
        estate = reading.read(cloud).estate
        seen = 0
        for kind in estate.read:
            for obj in estate.of(kind):
                if kind in ("compute_quotas", "volume_quotas", "network_quotas"):
                    continue
                assert retiree.read(reference(retiree, kind, obj.id)) == obj, (kind, obj.id)
                seen += 1
        assert seen > tenant.count()
        for kind, ident in objects(tenant):
            assert any(obj.id == ident for obj in estate.of(kind)), (kind, ident)


def test_reading_calls_nothing_but_reads(lab: Lab, tenant: tenants.Tenant) -> None:
    with cloud_of(tenant, "reader") as cloud:
        since = time.time()
        retiree = Retiree(cloud)
        retiree.who()
        retiree.clock()
        for kind, ident in readable(tenant):
            ref = reference(retiree, kind, ident)
            obj = retiree.read(ref)
            assert obj is not None
            retiree.way(ref, obj)
            retiree.quarantine_steps(ref, obj)
            retiree.activity(ref, obj, "2026-01-01T00:00:00Z")
        assert openstack.calls(lab.instance, since).writes == []


def test_who_and_when(tenant: tenants.Tenant, lab: Lab) -> None:
    with cloud_of(tenant, "purge") as cloud:
        who = Retiree(cloud).who()
        assert (who.scope, who.domain_admin, who.project_id) == ("project", False, tenant.project_id)
        assert who.user_id and who.user_name == f"{tenant.name}-purge" and "member" in who.roles
        assert abs(Retiree(cloud).clock() - datetime.now(timezone.utc)) < timedelta(seconds=30)
    admin = {**tenant.auth(), "username": "admin", "password": "lab-admin-password", "project_name": "admin"}
    with connect(SourceAuth(auth=admin, region_name=REGION)) as cloud:
        assert Retiree(cloud).who().domain_admin


def test_a_reader_cannot_delete(tenant: tenants.Tenant) -> None:
    with cloud_of(tenant, "reader") as cloud:
        retiree = Retiree(cloud, [f"{kind}/{ident}" for kind, ident in objects(tenant)])
        for kind, ident in readable(tenant):
            ref = reference(retiree, kind, ident)
            before = retiree.read(ref)
            with pytest.raises(errors.CloudExitError):
                retiree.call(ref, retiree.way(ref, before)[-1])
            assert retiree.read(ref) == before
        # what it may not even read is not absent
        for kind in ("containers", "secrets"):
            with pytest.raises(errors.CloudExitError):
                retiree.read(reference(retiree, kind, tenant.ids[kind][0]))


def test_another_place_is_refused(tenant: tenants.Tenant) -> None:
    with cloud_of(tenant) as cloud:
        retiree = Retiree(cloud)
        ref = reference(retiree, "volumes", tenant.ids["volumes"][0])
        for wrong in ({"project": "other"}, {"region": "other"}, {"cloud": "other"}, {"kind": "other"}, {"id": ""}):
            with pytest.raises(errors.Refused):
                retiree.read(replace(ref, **wrong))
        # an id of one kind is never taken for another's
        assert retiree.read(replace(ref, kind="servers")) is None


def test_a_quarantine_is_undone_exactly(tenant: tenants.Tenant) -> None:
    with cloud_of(tenant) as cloud:
        retiree = Retiree(cloud)
        done: set[str] = set()
        for kind, ident in [(kind, ident) for kind, idents in tenant.ids.items() for ident in idents[:2]]:
            ref = reference(retiree, kind, ident)
            obj = retiree.read(ref)
            assert obj is not None
            before = raw_state(retiree, ref)
            steps = retiree.quarantine_steps(ref, obj)
            assert json.loads(json.dumps([[step.name, step.before, step.after] for step in steps])) is not None
            for step in steps:
                retiree.apply(ref, step)
                assert retiree.apply(ref, step).note == "it was so already"
            todo = [step for step in steps if step.before != step.after]
            assert not todo or kind == "containers" or raw_state(retiree, ref) != before
            closed = {step.name: step.before for step in retiree.quarantine_steps(ref, obj)}
            assert closed == {step.name: step.after for step in steps}
            for step in reversed(steps):
                retiree.undo(ref, step)
                assert retiree.undo(ref, step).note == "it was so already"
            assert raw_state(retiree, ref) == before, (kind, ident)
            assert retiree.quarantine_steps(ref, obj) == steps
            done |= {f"{kind}.{step.name}" for step in todo}
        assert done >= {
            *("servers.stop", "servers.rename", "servers.lock", "volumes.rename", "ports.close_groups"),
            *("floating_ips.disassociate", "lb_members.disable_member", "images.deactivate"),
            "containers.revoke_access",
        }


def test_activity_is_seen(tenant: tenants.Tenant) -> None:
    with cloud_of(tenant) as cloud:
        retiree = Retiree(cloud)
        server = reference(retiree, "servers", tenant.ids["servers"][1])
        container = reference(retiree, "containers", tenant.ids["containers"][0])
        since = retiree.clock().isoformat()
        time.sleep(2.1)  # the services write whole seconds
        assert retiree.activity(server, None, since) == [] and retiree.activity(container, None, since) == []
        tenant.api.post("compute", f"/servers/{server.id}/action", {"reboot": {"type": "HARD"}})
        tenants.store(tenant, container.id, 4)
        tenant.api.wait_status("compute", f"/servers/{server.id}", "server", "ACTIVE")
        said = retiree.activity(server, None, since)
        assert len(said) == 1 and said[0].startswith("reboot at ") and tenant.api.user_id in said[0]
        assert retiree.activity(container, None, since) == ["4 objects or versions were written"]


def test_nothing_goes_along_that_is_not_to_go(tenant: tenants.Tenant) -> None:
    with cloud_of(tenant, "purge") as cloud:
        retiree = Retiree(cloud)
        for kind in ("networks", "lb_pools", "lb_listeners"):
            ref = reference(retiree, kind, tenant.ids[kind][0])
            with pytest.raises(errors.Refused, match="would delete with it"):
                retiree.call(ref, "delete")


def test_everything_is_deleted_and_proven_absent(tenant: tenants.Tenant) -> None:
    with cloud_of(tenant, "purge") as cloud:
        retiree = Retiree(cloud, [f"{kind}/{ident}" for kind, ident in objects(tenant)])
        for kind in _order():
            for ident in tenant.ids.get(kind, []):
                ref = reference(retiree, kind, ident)
                if retiree.read(ref) is not None:  # went along with what it hung on
                    delete(retiree, ref)
                assert retiree.call(ref, "delete").note == "it was absent already"
        assert set(_order()) >= set(tenant.ids)
        left = reading.read(cloud).estate
        there = {kind: [obj.id for obj in left.of(kind)] for kind in tenant.ids}
        assert {kind: ids for kind, ids in there.items() if set(ids) & set(tenant.ids[kind])} == {}
        assert isinstance(left, estates.Estate) and left.servers == [] and left.volumes == []


def _order() -> list[str]:
    balancing = [kind for kind in ORDER if kind.startswith(("lb_", "load_"))]
    return [*reversed(balancing), *(kind for kind in ORDER if kind not in balancing)]
