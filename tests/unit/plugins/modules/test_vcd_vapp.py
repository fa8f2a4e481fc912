# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vApps, against the lab's Cloud Director."""

from __future__ import annotations

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import network, objects, org
from tests.cloud_director import Director, cycle, director
from tests.lab.vcd import seed
from tests.unit.plugins.modules.clouds import Call

__all__ = ["director"]

OURS = {"name": "acme-web", "tenant": "acme", "vdc": seed.VDC, "description": "Web"}


def net(director: Director, *names: str) -> None:
    with director.connect() as session:
        place = org.vdc(session, seed.VDC)
        for number, name in enumerate(names):
            wanted = network.Network(name, f"10.2{number}.0.1", 24, place.urn).wanted()
            objects.create(session, "orgVdcNetworks", {"name": name, **wanted.body}, "cannot make the network")


def test_a_vapp_comes_changes_and_goes(call_module: Call, director: Director) -> None:
    net(director, "front", "back")
    made = cycle(call_module, director, "vcd_vapp", {**OURS, "networks": ["front"]})
    assert made[1]["diff"]["after"] == {
        "vApp": {"acme-web": {"description": "Web"}},
        "vApp networks": {"acme-web": {"networks": ["front"]}},
    }
    (row,) = director.control.table("vapp").values()
    assert row["id"] == made[1]["id"] and row["description"].startswith("Web [cloudexit acme ")
    cycle(call_module, director, "vcd_vapp", {**OURS, "networks": ["back"], "description": "All"})
    (row,) = director.control.table("vapp").values()
    assert sorted(one["name"] for one in row["networks"]) == ["back", "front"] and row["description"].startswith("All")
    director.control.patch("vapp", row["id"], lease={"deployment": 3600, "storage": 7200})
    never = cycle(call_module, director, "vcd_vapp", {**OURS, "description": "All"})
    assert never[1]["diff"]["after"] == {"vApp leases": {"acme-web": {"deployment_s": 0, "storage_s": 0}}}
    cycle(call_module, director, "vcd_vapp", {**OURS, "state": "absent"})
    assert director.control.table("vapp") == {}


def test_what_is_not_ours_stays_and_so_do_machines(call_module: Call, director: Director) -> None:
    net(director, "front")
    director.machine("web-1", box="acme-web")
    params = {**director.login, **OURS}
    plain = {**director.login, "name": "acme-web", "tenant": "acme", "vdc": seed.VDC}
    assert not call_module("vcd_vapp", plain)["changed"]
    for more in ({"networks": ["front"]}, {"state": "absent"}):
        assert "not ours" in call_module("vcd_vapp", {**plain, **more})["msg"]
    assert "not ours" in call_module("vcd_vapp", params)["msg"]
    ours = {**params, "name": "acme-db"}
    call_module("vcd_vapp", ours)
    director.machine("db-1", box="acme-db")
    assert "still has the machines db-1" in call_module("vcd_vapp", {**ours, "state": "absent"})["msg"]
    assert len(director.machines()) == 2
    assert "is not one of front" in call_module("vcd_vapp", {**ours, "networks": ["nowhere"]})["msg"]
