# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of an organisation as inventory, against the lab's Cloud Director."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader
from ansible.template import Templar

from tests.cloud_director import Director, director
from tests.lab.vcd import seed

__all__ = ["director"]

NAME = "cloudexit.flexible_engine.cloud_avenue"
HOSTILE = "a b'\"{{ 7*7 }}"
Load = Callable[..., InventoryData]


@pytest.fixture
def load(tmp_path: Path, director: Director) -> Load:
    def run(name: str = "acme.ca.yml", **options: Any) -> InventoryData:
        path = tmp_path / name
        path.write_text(yaml.safe_dump({"plugin": NAME, **director.login, **options}), encoding="utf-8")
        inventory = InventoryData()
        plugin = inventory_loader.get(NAME)
        assert plugin.verify_file(str(path))
        plugin.parse(inventory, DataLoader(), str(path))
        if getattr(plugin, "_cache", None):  # as Ansible's inventory manager does
            plugin.update_cache_if_changed()
        inventory.reconcile_inventory()
        return inventory

    return run


def test_machines_are_hosts_and_know_their_source(director: Director, load: Load) -> None:
    ident = director.machine("web-1", "server-1")
    director.machine("web-2", "server-2", tenant="globex")
    theirs = director.machine("theirs")
    director.control.patch("vm", theirs, name=HOSTILE)
    director.control.forget()
    inventory = load(
        keyed_groups=[{"key": "ca_state", "prefix": "state"}],
        groups={"stopped": "ca_power == 'off'"},
        compose={"copied": "ca_name"},
    )
    assert director.writes() == []
    web, odd = f"web-1-{ident[:8]}", f"a-b-7-7-{theirs[:8]}"
    assert web in inventory.hosts and odd in inventory.hosts and len(inventory.hosts) == 3
    variables = inventory.hosts[web].vars
    assert (variables["ca_source_id"], variables["ca_tenant"], variables["ca_state"]) == (
        "server-1",
        "acme",
        "verified",
    )
    assert (variables["ca_vdc"], variables["ca_vapp"], variables["ca_cpus"]) == (seed.VDC, "group-1", 1)
    assert "ansible_host" not in variables
    templar = Templar(DataLoader())
    assert templar.template(inventory.hosts[odd].vars["ca_name"]) == HOSTILE
    assert templar.template(inventory.hosts[odd].vars["copied"]) == HOSTILE
    assert len(inventory.groups["state_verified"].get_hosts()) == 2
    assert len(inventory.groups["stopped"].get_hosts()) == 3
    assert set(load(tenants=["acme"], hostnames=["source_id"]).hosts) == {"server-1"}
    assert set(load(vdcs=[seed.LONE_VDC]).hosts) == set()
    assert set(load(hostnames=["name"], tenants=["globex"]).hosts) == {"web-2"}


def test_what_is_cached_is_not_read_again(director: Director, load: Load, tmp_path: Path) -> None:
    director.machine("web-1", "server-1")
    options = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    first = load(**options)
    director.control.forget()
    second = load(**options)
    assert director.control.calls() == []
    (one,), (two,) = first.hosts.values(), second.hosts.values()
    assert one.name == two.name and one.vars == two.vars


def test_options_come_from_the_environment_and_templates(
    director: Director, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    ident = director.machine("web-1", "server-1")
    monkeypatch.setenv("CLOUDAVENUE_PASSWORD", seed.PASSWORD)
    monkeypatch.setenv("TENANT", "acme")
    inventory = load(password=None, tenants=["{{ lookup('env', 'TENANT') }}"], hostnames=["id"])
    assert set(inventory.hosts) == {ident}


def test_errors_name_the_cause_and_no_secret(load: Load) -> None:
    with pytest.raises(AnsibleParserError) as caught:
        load(password="PLANTED-secret")
    assert "PLANTED" not in str(caught.value)
    with pytest.raises(AnsibleParserError, match="has no VDC of that name"):
        load(vdcs=["nowhere"])


def test_other_names_are_left_to_others(tmp_path: Path) -> None:
    path = tmp_path / "acme.yml"
    path.write_text(f"plugin: {NAME}\n")
    assert not inventory_loader.get(NAME).verify_file(str(path))
