# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named disks, against the lab's Cloud Director."""

from __future__ import annotations

from typing import Any

from tests.cloud_director import Director, cycle, director
from tests.lab.vcd import seed
from tests.unit.plugins.modules.clouds import Call

__all__ = ["director"]

NAME = "vcd_disk"
OURS: dict[str, Any] = {"name": "data", "tenant": "acme", "vdc": seed.VDC, "size_gib": 1}


def row(director: Director) -> dict[str, Any]:
    (found,) = director.control.table("disk").values()
    return found


def test_a_disk_comes_grows_moves_and_goes(call_module: Call, director: Director) -> None:
    one, two = director.machine("web-1", "server-1"), director.machine("web-2", "server-2")
    made = cycle(call_module, director, NAME, {**OURS, "storage_profile": "silver", "vm": "web-1"})
    assert (row(director)["id"], row(director)["vm"], row(director)["size_mb"]) == (made[1]["id"], one, 1024)
    assert made[1]["diff"]["after"]["attached disk"] == {"data": {"machines": [one]}}
    cycle(call_module, director, NAME, {**OURS, "vm": "web-2"})
    assert row(director)["vm"] == two
    gone = {**OURS, "state": "absent"}
    assert "detach it first" in call_module(NAME, {**director.login, **gone})["msg"]
    cycle(call_module, director, NAME, {**OURS, "vm": ""})
    grown = cycle(call_module, director, NAME, {**OURS, "size_gib": 2, "description": "More"})
    assert grown[1]["diff"]["after"] == {"disk": {"data": {"description": "More", "size_mib": 2048}}}
    assert row(director)["size_mb"] == 2048 and row(director)["vm"] == ""
    same = {key: value for key, value in OURS.items() if key != "size_gib"}
    assert not call_module(NAME, {**director.login, **same})["changed"]
    cycle(call_module, director, NAME, gone)
    assert director.control.table("disk") == {}


def test_what_cannot_be_or_is_not_ours_stays(call_module: Call, director: Director) -> None:
    director.machine("theirs")
    params = {**director.login, **OURS}
    assert "size_gib" in call_module(NAME, {**params, "size_gib": None})["msg"]
    assert "tin" in call_module(NAME, {**params, "storage_profile": "tin"})["msg"]
    assert "owner marks" in call_module(NAME, {**params, "vm": "theirs"})["msg"]
    assert director.control.table("disk") == {}
    call_module(NAME, {**params, "size_gib": 2})
    before = row(director)
    for wrong, said in (
        ({}, "cannot shrink"),
        ({"size_gib": 2, "controller": "nvme"}, "cannot get another controller"),
        ({"size_gib": 2, "storage_profile": "silver"}, "cannot get another storage_profile"),
        ({"tenant": "globex", "size_gib": 3}, "is not ours"),
        ({"tenant": "globex", "state": "absent"}, "is not ours"),
    ):
        assert said in call_module(NAME, {**params, **wrong})["msg"], wrong
    assert row(director) == before
    director.control.patch("disk", before["id"], size_mb=4096)
    assert "edited by somebody" in call_module(NAME, {**params, "size_gib": 5})["msg"]
    assert call_module(NAME, {**params, "size_gib": 5, "overwrite": True})["changed"]
