# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left after a purge, and whether that is the end of it."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as es
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import leftover
from tests.unit.plugins.module_utils.acts import retire_model as rm


def estate(**kinds: list[object]) -> es.Estate:
    typed = {kind: entries for kind, entries in kinds.items() if kind in ("servers", "volumes", "ports")}
    others = {kind: entries for kind, entries in kinds.items() if kind not in typed}
    return es.Estate(
        kind=es.KIND,
        version=es.VERSION,
        tenant=es.Tenant("p-1"),
        read=dict.fromkeys([*kinds, "snapshots"], "complete"),
        resources=others,
        **typed,
    )


def test_nothing_is_left() -> None:
    plan = rm.small(rm.Model())
    assert leftover.left(plan, estate(servers=[])) == []
    assert leftover.finished([])


def test_what_is_left_is_told_with_what_bills() -> None:
    plan = rm.small(rm.Model())
    here = estate(
        servers=[es.Server("s1", "web"), es.Server("s9", "web")],
        ports=[es.Port("p-new", "orphan")],
        compute_quotas=[es.Resource("cores")],
    )
    found = leftover.left(plan, here)
    assert [(one.kind, one.id, one.why, one.bills) for one in found] == [
        ("servers", "s1", "planned", True),
        ("servers", "s9", "kept", True),
        ("ports", "p-new", "new", False),
    ]
    assert found[1].detail == "undecided"
    going = leftover.left(plan, estate(keys=[es.Resource("k1", status="4")]))
    assert [(one.id, one.why) for one in going] == [("k1", "going")] and leftover.finished(going)
    assert not leftover.finished(found)
    assert leftover.finished(found[1:])


def test_what_was_not_read_is_not_gone() -> None:
    plan = rm.small(rm.Model())
    here = replace(estate(servers=[]), read={"servers": "complete", "volumes": "partial", "buckets": "not_read"})
    found = leftover.left(plan, here)
    assert [(one.kind, one.why, one.detail) for one in found] == [
        ("volumes", "unread", "partial"),
        ("buckets", "unread", "not_read"),
    ]
    assert not leftover.finished(found)
