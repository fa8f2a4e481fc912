# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an organisation has, against the lab's Cloud Director."""

from __future__ import annotations

import json

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import summary
from tests.cloud_director import Director, director
from tests.lab.vcd import seed
from tests.unit.plugins.modules.clouds import Call

__all__ = ["director"]


def test_everything_is_listed(call_module: Call, director: Director) -> None:
    director.machine("web-1", "server-1")
    director.machine("theirs")
    director.control.forget()
    result = call_module("vcd_info", {**director.login, "gather": list(summary.KINDS)}, check=True)
    assert not result["changed"] and director.writes() == [], result
    found = result["found"]
    assert set(found) == set(summary.KINDS) and result["org"] == seed.ORG
    assert [one["name"] for one in found["vdcs"]] == [seed.LONE_VDC, seed.VDC]
    assert found["vdc_groups"][0]["vdcs"] == [seed.VDC]
    assert [one["name"] for one in found["edges"]] == [seed.EDGE, seed.LONE_EDGE]
    assert {(one["name"], one["vdc"], one["limit_mib"]) for one in found["storage_profiles"]} >= {
        ("gold", seed.VDC, 4096 * 1024)
    }
    theirs, ours = found["machines"]
    assert (ours["name"], ours["tenant"], ours["source_id"], ours["state"]) == ("web-1", "acme", "server-1", "verified")
    assert (ours["vapp"], ours["vdc"], ours["power"]) == ("group-1", seed.VDC, "off")
    assert ours["disks"][0]["size_mib"] == 2 and theirs["source_id"] == ""
    assert [(one["name"], one["machines"]) for one in found["vapps"]] == [("group-1", 2)]
    json.dumps(found)


def test_one_vdc_alone(call_module: Call, director: Director) -> None:
    director.machine("web-1")
    params = {**director.login, "gather": ["machines", "storage_profiles", "vapps"], "vdc": seed.LONE_VDC}
    found = call_module("vcd_info", params)["found"]
    assert found["machines"] == [] and found["vapps"] == []
    assert {one["vdc"] for one in found["storage_profiles"]} == {seed.LONE_VDC}
    assert "has no VDC of that name" in call_module("vcd_info", {**params, "vdc": "nowhere"})["msg"]


def test_a_wrong_password_is_told_and_not_shown(call_module: Call, director: Director) -> None:
    result = call_module("vcd_info", {**director.login, "password": "PLANTED-secret"})
    assert result["failed"] and result["error"] == "AuthFailed" and "PLANTED" not in json.dumps(result)
