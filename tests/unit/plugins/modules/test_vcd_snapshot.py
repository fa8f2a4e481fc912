# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots, against the lab's Cloud Director."""

from __future__ import annotations

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import organisation
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import disk, metadata, vm
from tests.cloud_director import Director, cycle, director
from tests.lab.vcd import seed
from tests.unit.plugins.modules.clouds import Call

__all__ = ["director"]

NAME = "vcd_snapshot"
OURS = {"vm": "web-1", "vdc": seed.VDC, "tenant": "acme"}


def test_a_snapshot_comes_and_goes(call_module: Call, director: Director) -> None:
    ident = director.machine("web-1", "server-1")
    made = cycle(call_module, director, NAME, OURS)
    assert made[1]["id"] == ident and director.control.table("vm")[ident]["snapshot"]
    assert made[1]["diff"]["after"]["snapshot"]["web-1"]["name"] == "cloudexit"
    assert not call_module(NAME, {**director.login, **OURS, "vm": ident})["changed"]
    cycle(call_module, director, NAME, {**OURS, "state": "absent"})
    assert not director.control.table("vm")[ident]["snapshot"]
    with director.connect() as session:
        assert organisation.SNAPSHOT_MARK not in metadata.read(session, f"/api/vApp/vm-{ident}", "x")


def test_what_others_took_stays(call_module: Call, director: Director) -> None:
    ident = director.machine("web-1", "server-1")
    director.machine("theirs")
    params = {**director.login, **OURS}
    with director.connect() as session:
        disk.take(session, vm.get(session, f"/api/vApp/vm-{ident}"), "theirs")
    director.control.settle()
    theirs = director.control.table("vm")[ident]["snapshot"]
    for state in ("present", "absent"):
        assert "somebody else took" in call_module(NAME, {**params, "state": state})["msg"]
    assert director.control.table("vm")[ident]["snapshot"] == theirs
    cycle(call_module, director, NAME, {**OURS, "overwrite": True})
    assert director.control.table("vm")[ident]["snapshot"] != theirs
    for wrong in ({"vm": "theirs"}, {"tenant": "globex"}):
        assert "owner marks" in call_module(NAME, {**params, **wrong})["msg"]
    assert "no machine nowhere" in call_module(NAME, {**params, "vm": "nowhere"})["msg"]


def test_a_run_that_died_in_between_knows_its_snapshot(call_module: Call, director: Director) -> None:
    ident = director.machine("web-1", "server-1")
    params = {**director.login, **OURS}
    with director.connect() as session:
        found = vm.get(session, f"/api/vApp/vm-{ident}")
        metadata.write(session, found.href, {organisation.SNAPSHOT_MARK: "pending"}, "x")
        disk.take(session, found, "cloudexit")
    director.control.settle()
    assert not call_module(NAME, params)["changed"]
    director.control.forget()
    assert not call_module(NAME, params)["changed"] and director.writes() == []
    assert call_module(NAME, {**params, "state": "absent"})["changed"]
