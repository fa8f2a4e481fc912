# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random tenants: whatever is mixed in, nothing is ever listed for deletion that must stay.

What must stay is worked out here once more, from the inputs and by brute force, without the code that is tested.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.kinds import KINDS
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import stages
from tests.unit.plugins.module_utils.planning import retirements

SAMPLE, BLOCKS, BLOCK = 150, 20, 500

COPIED = {
    *(
        (copy, origin)
        for copy in ("volume_backups", "vaults", "vault_backups", "images")
        for origin in ("servers", "volumes")
    ),
    ("ports", "servers"),
    ("ports", "load_balancers"),
    ("volumes", "servers"),
}
"""Who may stay although it mentions an object that goes: copies their origin, parts what has them."""


def mentions(entry: Any) -> set[str]:
    found: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                found.add(key)
                look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)
        elif isinstance(value, str):
            found.add(value)

    look(schema.dump(entry))
    return found - {entry.id}


def permitted(case: retirements.Case, item: model.Item, gone: set[str]) -> bool:
    """Whether there is a reason on record for an object that holds data."""
    policy, plan, kind, ident = case.policy, case.plan, item.ref.kind, item.ref.id
    choice = policy.objects.get(kind, {}).get(ident)
    workloads = plan.workloads if plan else {}
    readers = {reader.server_id for reader in plan.readers.values()} if plan else set()
    obj = next(entry for entry in case.estate.of(kind) if entry.id == ident)
    if choice is not None:
        return choice.choice == item.choice != "moved"
    if getattr(obj, "metadata", {}).get("cloudexit_tenant") == "acme":
        source = obj.metadata["cloudexit_source_id"]
        return item.choice == "residue" and f"volumes/{source}" in gone
    if item.choice == "residue":
        readers -= {entry.source.id for entry in workloads.values() if entry.move != "none"}
        held = {place.volume_id for s in case.estate.servers if s.id in readers for place in s.volumes if place.boot}
        return policy.reader_hosts == "last" and ident in readers | held
    hosts = {
        host
        for host, entry in workloads.items()
        if ident == entry.source.id or ident in {disk.volume for disk in entry.disks}
    }
    hosts |= {
        host
        for host, entry in workloads.items()
        if kind == "volumes"
        and (
            entry.source.id in {place.server_id for place in obj.attachments}
            or any(s.id == entry.source.id and ident in {p.volume_id for p in s.volumes} for s in case.estate.servers)
        )
    }
    for host in hosts if kind in ("servers", "volumes") else ():
        choice, proof = policy.workloads.get(host), case.known.proofs.get(host)
        if item.choice == "moved":
            asked = workloads[host].decision is not None and workloads[host].decision.answer == "open"
            whole = proof is not None and proof.manifest and proof.manifest == proof.read_back
            covered = kind == "servers" or (proof is not None and ident in proof.volumes)
            if whole and covered and host in policy.acceptances and (choice is not None or not asked):
                return True
        elif choice is not None and choice.choice == item.choice:
            return True
    if kind in policy.kinds and item.choice == "erased":
        return True
    return policy.decision.choice == "erase" and item.choice == "erased" and kind not in ("keys", "secrets", "buckets")


def check(case: retirements.Case) -> Counter[str]:
    plan = case.draft()
    estate, policy = case.estate, case.policy
    place = {item.ref.key: index for index, item in enumerate(plan.items)}
    gone = set(place)
    kept = {f"{entry.kind}/{entry.id}": entry for entry in plan.kept}
    objects = {f"{kind}/{entry.id}": entry for kind in KINDS for entry in estate.of(kind)}
    assert sorted([*place, *kept]) == sorted(objects), "everything is there once"

    forbidden = set(policy.protected) | set(case.known.shared)
    for hold in policy.holds:
        if hold.until != "2026-01-01":
            forbidden |= set(hold.objects) | (set(objects) if hold.all else set())
            for host in hold.workloads:
                entry = case.plan.workloads[host] if case.plan else None
                forbidden |= {f"servers/{entry.source.id}"} if entry else set()
                forbidden |= {f"volumes/{disk.volume}" for disk in entry.disks} if entry else set()
    assert not forbidden & gone, "held, protected or shared"

    for item in plan.items:
        obj = objects[item.ref.key]
        assert getattr(obj, "properties", {}).get("project_id", "p") == "p", "foreign"
        assert "other" not in mentions(obj), "of another project, or shared with one"
        if item.ref.kind == "networks":
            assert obj.project_id == "p" and not obj.shared and not obj.external
        if item.ref.kind == "images":
            assert obj.owner == "p" and obj.visibility != "public"
        if item.ref.kind == "security_groups":
            assert obj.name != "default"
        if stages.ROWS[item.ref.kind].data:
            assert permitted(case, item, gone), f"nobody decided {item}"
        assert set(item.takes) <= gone, "the closure leaves the plan"
        assert all(place[key] < place[item.ref.key] for key in item.after)

    by_id = {key.partition("/")[2]: key for key in gone}
    for key, entry in kept.items():
        if entry.reason == "not_an_object":
            continue
        obj = objects[key]
        for ident in mentions(obj) & by_id.keys():
            pair = (entry.kind, by_id[ident].partition("/")[0])
            assert pair in COPIED or stages.ROWS[pair[1]].serves, f"{key} stays and uses {by_id[ident]}"

    for server in estate.servers:
        attached = {f"volumes/{a.volume_id}" for a in server.volumes} | {f"ports/{ident}" for ident in server.ports}
        attached |= {f"volumes/{v.id}" for v in estate.volumes if server.id in {a.server_id for a in v.attachments}}
        attached |= {f"ports/{p.id}" for p in estate.ports if p.device_id == server.id}
        if f"servers/{server.id}" in gone:
            assert attached & objects.keys() <= gone, "a server takes along what stays"
            assert all(place[f"servers/{server.id}"] < place[key] for key in attached & objects.keys())
        else:
            assert not attached & gone, "a server that stays loses what it uses"
    staying = {key for key in objects if key not in gone and kept[key].reason != "not_an_object"}
    for port in estate.ports:
        used = {f"networks/{port.network_id}", *(f"subnets/{fixed.subnet_id}" for fixed in port.fixed_ips)}
        if f"ports/{port.id}" in staying:
            assert not used & gone
            for floating in estate.floating_ips:
                assert (
                    floating.port_id != port.id
                    or f"floating_ips/{floating.id}" not in gone
                    or (plan.item(f"floating_ips/{floating.id}").choice != "residue")
                )
        for key in used & gone:
            assert place.get(f"ports/{port.id}", -1) < place[key]
    for snapshot in estate.snapshots:
        if f"volumes/{snapshot.volume_id}" in gone:
            assert place[f"snapshots/{snapshot.id}"] < place[f"volumes/{snapshot.volume_id}"]
    for volume in estate.volumes:
        keys = {key for key in gone if key.startswith("keys/")}
        if volume.encrypted and f"volumes/{volume.id}" in staying:
            named = volume.metadata.get("__system__cmkid")
            assert not keys or (named and f"keys/{named}" not in keys), "a key of what stays"
    for stack in estate.of("stacks"):
        taken = case.known.taken.get(f"stacks/{stack.id}")
        if f"stacks/{stack.id}" in gone:
            assert taken is not None and all(f"servers/{ident}" in gone for ident in taken)
    ranks = [model.STAGES.index(item.stage) for item in plan.items]
    assert ranks == sorted(ranks)
    readers = {f"servers/{r.server_id}" for r in case.plan.readers.values()} if case.plan else set()
    servers = [item.ref.key for item in plan.items if item.ref.kind == "servers"]
    assert [key in readers for key in servers] == sorted(key in readers for key in servers), "a reader is not last"

    again = replace(
        case.policy,
        workloads=dict(reversed(policy.workloads.items())),
        acceptances=dict(reversed(policy.acceptances.items())),
        objects=dict(reversed(policy.objects.items())),
    )
    proofs = dict(reversed(case.known.proofs.items()))
    same = retirements.Case(estate, case.plan, again, replace(case.known, proofs=proofs)).draft()
    assert json.dumps(schema.dump(same)) == json.dumps(schema.dump(plan)), "the same input, another plan"
    found = Counter(item.choice for item in plan.items)
    found.update(entry.reason for entry in plan.kept)
    return found


def run(first: int, count: int) -> Counter[str]:
    total: Counter[str] = Counter()
    for seed in range(first, first + count):
        try:
            total += check(retirements.random_case(random.Random(seed)))
        except Exception as exc:
            raise AssertionError(f"seed {seed}: {exc}") from exc
    return total


def everything(found: Counter[str]) -> None:
    """That the sample had all of it, so that the test is about something."""
    choices = {"moved", "erased", "exported", "residue"}
    reasons = {"not_migrated", "not_verified", "not_accepted", "undecided", "shared", "held", "foreign", "needed"}
    assert choices | reasons | {"protected", "unreadable", "not_an_object"} <= set(found), found


def test_nothing_is_listed_that_must_stay() -> None:
    everything(run(int(os.environ.get("CLOUDEXIT_SEED", "0")), SAMPLE))


@pytest.mark.soak
@pytest.mark.parametrize("block", range(BLOCKS))
def test_nothing_is_listed_that_must_stay_in_ten_thousand_tenants(block: int) -> None:
    everything(run(100_000 + block * BLOCK, BLOCK))
