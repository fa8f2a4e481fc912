# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Catalogs, against the lab's Cloud Director."""

from __future__ import annotations

from tests.cloud_director import Director, cycle, director
from tests.lab.vcd import seed
from tests.unit.plugins.modules.clouds import Call

__all__ = ["director"]

OURS = {"name": "images", "tenant": "acme", "description": "Golden"}


def test_a_catalog_comes_changes_and_goes(call_module: Call, director: Director) -> None:
    params = {**OURS, "vdc": seed.VDC, "storage_profile": "silver"}
    made = cycle(call_module, director, "vcd_catalog", params)
    (row,) = director.control.table("catalog").values()
    assert row["id"] == made[1]["id"] == made[2]["id"] and row["description"].startswith("Golden [cloudexit acme ")
    assert director.control.table("storageprofile")[row["profile"]]["name"] == "silver"
    changed = cycle(call_module, director, "vcd_catalog", {**OURS, "description": "Old"})
    assert changed[1]["diff"]["before"] == {"catalog": {"images": {"description": "Golden"}}}
    assert not call_module("vcd_catalog", {**director.login, "name": "images", "tenant": "acme"})["changed"]
    gone = cycle(call_module, director, "vcd_catalog", {**OURS, "state": "absent"})
    assert gone[1]["id"] == "" and director.control.table("catalog") == {}


def test_what_others_made_or_edited_stays(call_module: Call, director: Director) -> None:
    call_module("vcd_catalog", {**director.login, **OURS, "tenant": "globex"})
    (before,) = director.control.table("catalog").values()
    params = {**director.login, **OURS}
    assert not call_module("vcd_catalog", params)["changed"], "it is as it should be"
    for more in ({"description": "mine"}, {"state": "absent"}, {"state": "absent", "overwrite": True}):
        assert "not ours" in call_module("vcd_catalog", {**params, **more})["msg"]
    assert list(director.control.table("catalog").values()) == [before]
    theirs = {**params, "tenant": "globex"}
    director.control.patch("catalog", before["id"], description=before["description"].replace("Golden", "Edited"))
    assert "edited by somebody" in call_module("vcd_catalog", theirs)["msg"]
    assert "edited by somebody" in call_module("vcd_catalog", {**theirs, "state": "absent"})["msg"]
    assert call_module("vcd_catalog", {**theirs, "overwrite": True})["changed"]


def test_a_catalog_that_is_not_empty(call_module: Call, director: Director) -> None:
    director.machine("web-1")
    (row,) = director.control.table("catalog").values()
    call_module("vcd_catalog", {**director.login, **OURS})
    ours = next(one for one in director.control.table("catalog").values() if one["name"] == "images")
    template = director.template("images")
    params = {**director.login, **OURS, "state": "absent"}
    assert f"still has {template}" in call_module("vcd_catalog", params)["msg"]
    assert call_module("vcd_catalog", {**params, "with_content": True})["changed"]
    left = director.control.table("catalog")
    assert row["id"] in left and ours["id"] not in left and director.control.table("vapptemplate") == {}


def test_what_is_wrong_is_told_before_anything_is_done(call_module: Call, director: Director) -> None:
    params = {**director.login, **OURS, "vdc": seed.VDC, "storage_profile": "tin"}
    assert "tin" in call_module("vcd_catalog", params)["msg"]
    assert "tenant" in call_module("vcd_catalog", {**director.login, **OURS, "tenant": " "})["msg"]
    assert director.control.table("catalog") == {}
