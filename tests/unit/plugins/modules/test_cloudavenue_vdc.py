# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual data centers, against the lab's Cloud Avenue."""

from __future__ import annotations

from typing import Any

from tests.cloud_director import Director, cycle, director
from tests.lab.vcd import seed
from tests.unit.plugins.modules.clouds import Call

__all__ = ["director"]

NAME = "cloudavenue_vdc"
OURS: dict[str, Any] = {
    "name": "acme-new",
    "tenant": "acme",
    "description": "New",
    "cpu_mhz": 44000,
    "memory_gb": 64,
    "storage": [{"name": "gold", "limit_gb": 500, "default": True}],
}


def row(director: Director) -> dict[str, Any]:
    return next(one for one in director.control.table("vdc").values() if one["name"] == "acme-new")


def test_a_vdc_comes_changes_and_goes(call_module: Call, director: Director) -> None:
    ours = {**OURS, "core_api": director.url}
    made = cycle(call_module, director, NAME, ours)
    assert made[1]["diff"]["after"]["VDC"]["acme-new"]["storage"] == {"gold": "500 GB, default"}
    assert row(director)["id"] == made[1]["id"] and row(director)["description"].startswith("New [cloudexit acme ")
    bigger = {**ours, "memory_gb": 128, "storage": [{"name": "silver", "limit_gb": 1000}]}
    grown = cycle(call_module, director, NAME, bigger)
    assert grown[1]["diff"] == {
        "before": {"VDC": {"acme-new": {"memory_gb": 64, "storage": {"gold": "500 GB, default"}}}},
        "after": {"VDC": {"acme-new": {"memory_gb": 128, "storage": {"gold": "500 GB, default", "silver": "1000 GB"}}}},
    }
    profiles = director.control.table("storageprofile").values()
    assert {one["name"] for one in profiles if one["vdc"] == row(director)["id"]} == {"gold", "silver"}
    same = {key: value for key, value in bigger.items() if key != "description"}
    assert not call_module(NAME, {**director.login, **same})["changed"]
    director.control.patch("vdc", row(director)["id"], memory_mb=96 * 1024)
    assert "edited by somebody" in call_module(NAME, {**director.login, **bigger})["msg"]
    assert "edited by somebody" in call_module(NAME, {**director.login, **ours, "state": "absent"})["msg"]
    cycle(call_module, director, NAME, {**bigger, "overwrite": True})
    cycle(call_module, director, NAME, {**ours, "state": "absent"})
    assert {one["name"] for one in director.control.table("vdc").values()} == {seed.VDC, seed.LONE_VDC}


def test_what_cannot_be_is_told_before_anything_is_ordered(call_module: Call, director: Director) -> None:
    params = {**director.login, **OURS, "interface": "console"}
    wrong = call_module(NAME, {**params, "memory_gb": 9000, "cpu_mhz": 1, "service_class": "HP", "billing": "DRAAS"})
    for said in ("9000 is not between", "1 is not between", "HP is not offered as DRAAS"):
        assert said in wrong["msg"]
    assert "cpu_mhz" in call_module(NAME, {key: value for key, value in params.items() if key != "cpu_mhz"})["msg"]
    call_module(NAME, params)
    assert "cannot get another billing" in call_module(NAME, {**params, "billing": "RESERVED"})["msg"]
    foreign = {**params, "name": seed.VDC}
    assert "is not ours" in call_module(NAME, foreign)["msg"]
    assert "not ours" in call_module(NAME, {**foreign, "state": "absent"})["msg"]
    assert len(director.control.table("vdc")) == 3
