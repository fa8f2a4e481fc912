# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quarantine, undo and purge of all of Flexible Engine's own kinds, over the wire, on the lab's server of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import retire
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import journal as ledger
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as es
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Item, Reference
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import closure, leftover, stages
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import retirement as facts
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import objects
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud, SourceAuth, connect
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.retire import Retiree
from tests.lab.flexible_engine import seed
from tests.lab.flexible_engine.tenants import REGION, Tenants
from tests.unit.plugins.module_utils.acts import retire_model as rm

FAMILY = seed.kinds() & set(objects.ROWS)


@pytest.fixture
def tenants() -> Iterator[Tenants]:
    with Tenants(1, servers=2) as started:
        for rows in started.server.data[started.ids["t001"]].values():
            for row in rows:
                row.pop("instance_total", None)
        yield started


@pytest.fixture
def cloud(tenants: Tenants) -> Iterator[Cloud]:
    with connect(SourceAuth(auth=tenants.auth("t001"), region_name=REGION)) as made:
        yield made


def read(cloud: Cloud) -> es.Estate:
    return reading.read(cloud, sleep=lambda seconds: None).estate


def plan_of(
    estate: es.Estate, who: retirement.Who, family: Collection[str], foreign: Collection[str] = ()
) -> retirement.Retirement:
    """All of some kinds goes, by the turns of the kinds, but what is foreign (kind/id)."""
    links = closure.links(estate)
    nothing = stages.not_an_object(estate)
    chosen = [
        (kind, obj)
        for kind in stages.BY_TURN
        if kind in family
        for obj in estate.of(kind)
        if f"{kind}/{obj.id}" not in foreign
        # its twin is OpenStack's, which this server has not
        if (kind, obj.id) not in nothing or stages.ROWS[kind].twin not in {"", *family}
    ]
    known = {f"{kind}/{obj.id}" for kind, obj in chosen}
    items = [
        Item(
            ref=Reference(
                kind=kind,
                cloud=who.cloud,
                region=who.region,
                project=who.project_id,
                id=obj.id,
                created=facts.created(kind, obj),
                size_gib=facts.size_gib(kind, obj),
            ),
            name=facts.name(kind, obj),
            stage=stages.ROWS[kind].stage or "keys",
            choice="erased",
            seen=facts.seen(kind, obj),
            takes=[key for key in links.closure(f"{kind}/{obj.id}").taken if key in known],
        )
        for kind, obj in chosen
    ]
    made = rm.small(rm.Model())
    plan = replace(
        made,
        tenant=replace(made.tenant, cloud=who.cloud, region=who.region, project_id=who.project_id),
        made=replace(made.made, at=ledger.text(ledger.steady()())),
        expires=ledger.text(ledger.steady()() + timedelta(days=1)),
        items=items,
        kept=[],
    )
    return retirement.load(schema.dump(plan))


class Plain(Retiree):
    """The lab's identity service does not tell an administrator from others, and its services keep no audit."""

    def who(self) -> retirement.Who:
        return replace(super().who(), domain_admin=False)

    def activity(self, ref: Reference, obj: object, since: str) -> list[str]:
        return []


def parents_of(estate: es.Estate) -> dict[str, str]:
    """What each object is below of, by key."""
    return {f"{kind}/{obj.id}": obj.parent for kind, objs in estate.resources.items() for obj in objs if obj.parent}


def run(act: str, plan: retirement.Retirement, retiree: Retiree, path: Path, **more: Any) -> retire.Result:
    """One run of an act; all gates open, nothing held."""
    journal = ledger.Journal(str(path), "acme", plan.digest(), ledger.new_run(ledger.steady()()))
    index = {item.ref.key: item for item in plan.items}
    given: dict[str, Any] = {"stop": lambda: "", "sleep": lambda seconds: None}
    if act != "undo":
        given |= {"gates": lambda: [rm.Gate("all", True)], "holds": list}
    if act == "purge":
        given |= {"closure": lambda ref, obj: index[ref.key].takes}
    done: retire.Result = getattr(retire, act)(retiree, plan, journal, **(given | more))
    return done


def test_the_family_is_put_to_rest_brought_back_and_deleted(tenants: Tenants, cloud: Cloud, tmp_path: Path) -> None:
    before = read(cloud)
    first = Plain(cloud, [], sleep=lambda seconds: None)
    plan = plan_of(before, first.who(), FAMILY)
    parents = parents_of(before)
    # the nodes of a cluster go with their servers, which this server does not delete
    doomed = [item.ref.key for item in plan.items] + [f"servers/{server.id}" for server in before.servers]
    retiree = Plain(cloud, doomed, parents, sleep=lambda seconds: None)
    path = tmp_path / "ledger.jsonl"
    assert tenants.server.writes() == []
    for act in ("quarantine", "undo"):
        done = run(act, plan, retiree, path)
        assert done.stopped is None, str(done.stopped)
        assert done.changed
    assert es.dump(read(cloud)) == es.dump(before)
    for act in ("quarantine", "purge", "purge"):
        done = run(act, plan, retiree, path)
        assert done.stopped is None, str(done.stopped)
    found = leftover.left(plan, read(cloud))
    assert {one.kind for one in found if one.why == "going"} == {"keys"}
    assert [one for one in found if one.why == "planned"] == []
    writes = len(tenants.server.writes())
    assert not run("purge", plan, retiree, path).changed
    assert len(tenants.server.writes()) == writes
    assert chain.verify(str(path)).ok
