# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people of Cloud Director and Cloud Avenue order and look at, by the installed collection.

Each is made in check mode, made, made again (no change, no call that writes), and removed again the same way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.cloud_director import Director, director
from tests.installed import Playbook
from tests.integration.test_inventory import ansible, listed
from tests.lab.vcd import seed

__all__ = ["director"]

NAME = "cloudexit.flexible_engine"


def book(folder: Path, tasks: list[Mapping[str, Any]], director: Director) -> Path:
    """A playbook of these tasks, with the log-in in module_defaults as users have it."""
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "module_defaults": {f"group/{NAME}.target": director.login},
        "tasks": list(tasks),
    }
    path = folder / "book.yml"
    path.write_text(yaml.safe_dump([play], sort_keys=False))
    return path


def test_what_is_there_is_listed_and_is_inventory(
    playbook: Playbook, collections_path: Path, director: Director, tmp_path: Path
) -> None:
    ident = director.machine("web-1", "server-1")
    gather = {"gather": ["machines", "vdcs"]}
    facts = tmp_path / "found.json"
    tasks: list[Mapping[str, Any]] = [
        {"cloudexit.flexible_engine.vcd_info": gather, "register": "told"},
        {"ansible.builtin.copy": {"content": "{{ told.found | to_json }}", "dest": str(facts)}},
    ]
    playbook(str(book(tmp_path, tasks, director))).ok()
    found = json.loads(facts.read_text())
    assert [one["source_id"] for one in found["machines"]] == ["server-1"]
    assert [one["name"] for one in found["vdcs"]] == [seed.LONE_VDC, seed.VDC]
    config = tmp_path / "acme.ca.yml"
    config.write_text(yaml.safe_dump({"plugin": "cloudexit.flexible_engine.cloud_avenue", **director.login}))
    told = listed(ansible(collections_path, "ansible-inventory", "-i", config, "--list"))
    assert told["_meta"]["hostvars"][f"web-1-{ident[:8]}"]["ca_source_id"] == "server-1"


def things(director: Director) -> dict[str, Mapping[str, Any]]:
    """The modules, each with something to make and to remove; for some, what it is made of or in is there."""
    director.machine("web-1", "server-1")
    descriptor, files = director.package("debian")
    for name, data in {"debian.ovf": descriptor, **files}.items():
        (director.folder / name).write_bytes(data)
    src = str(director.folder / "debian.ovf")
    edge = {"owner": seed.VDC, "tenant": "acme", "t0": seed.T0, "rate": 25, "interface": "console"}
    address = {"edge": seed.LONE_EDGE, "address": "198.51.100.10", "core_api": director.url}
    vdc: dict[str, Any] = {"name": "acme-new", "tenant": "acme", "cpu_mhz": 44000, "memory_gb": 64}
    vdc |= {"storage": [{"name": "gold", "limit_gb": 500, "default": True}], "core_api": director.url}
    return {
        "cloudexit.flexible_engine.vcd_catalog": {
            "name": "images",
            "tenant": "acme",
            "description": "Golden",
            "vdc": seed.VDC,
        },
        "cloudexit.flexible_engine.vcd_vapp": {
            "name": "acme-web",
            "tenant": "acme",
            "vdc": seed.VDC,
            "description": "Web",
        },
        "cloudexit.flexible_engine.vcd_template": {"name": "debian", "tenant": "acme", "catalog": "tests", "src": src},
        "cloudexit.flexible_engine.vcd_snapshot": {"vm": "web-1", "tenant": "acme", "vdc": seed.VDC},
        "cloudexit.flexible_engine.vcd_disk": {"name": "data", "tenant": "acme", "vdc": seed.LONE_VDC, "size_gib": 1},
        "cloudexit.flexible_engine.cloudavenue_public_ip": address,
        "cloudexit.flexible_engine.cloudavenue_edge": edge,
        "cloudexit.flexible_engine.cloudavenue_vdc": vdc,
    }


def test_things_come_and_go(playbook: Playbook, director: Director, tmp_path: Path) -> None:
    """Check, make, make again; check the removal, remove, remove again."""
    made = things(director)
    for state in ("present", "absent"):
        tasks = [{module: {**params, "state": state}} for module, params in made.items()]
        path = str(book(tmp_path, tasks, director))
        for check, changed in ((True, len(made)), (False, len(made)), (False, 0)):
            director.control.forget()
            done = playbook(path, *(["--check", "--diff"] if check else [])).ok()
            assert done.changed == changed, done.output
            director.control.settle()
            assert bool(director.writes()) == (changed > 0 and not check), director.writes()


def test_the_first_contact_only_reads_and_needs_no_plan(playbook: Playbook, director: Director, tmp_path: Path) -> None:
    director.machine("web-1", "server-1")
    director.control.forget()
    extra = {"prepare_target": {**director.login, "core_api": director.url}}
    played = playbook("prepare", "--tags", "probe", extra=extra).ok()
    assert director.writes() == [], "nothing but log-ins and reading calls"
    assert "yes  download: web-1 may be downloaded." in played.output and seed.PASSWORD not in played.output
    rows = json.loads((tmp_path / f"{seed.ORG}.probes.json").read_text())
    assert {one["probe"] for one in rows} >= {"versions", "rights", "storage", "load_balancing", "t0", "jobs"}
    assert playbook("prepare", "--tags", "probe", extra=extra).ok().recap["localhost"].changed == 0
    assert "Give the plan as inventory" in playbook("prepare", extra=extra).output, "all else needs one"
