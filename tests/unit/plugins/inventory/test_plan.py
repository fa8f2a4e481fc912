# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as inventory: hosts, groups, variables, and what happens to a plan that is not valid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.cloudexit.flexible_engine.plugins.inventory.plan import InventoryModule

PLAN = """\
plugin: cloudexit.flexible_engine.plan
version: 1
tenant: {name: Acme Paris, project_id: p1}
target: {type: vsphere, datacenter: DC0, compute: C0, datastore: D0}
readers:
  reader-1:
    server_id: r1
    connection:
      ansible_host: "{{ 'reader' ~ '.example' }}"
      ansible_port: 2222
      ansible_user: !vault "$ANSIBLE_VAULT;1.1;AES256\\n00"
  reader-2: {server_id: r2, connection: {ansible_connection: local}}
networks: {n1: {name: app, target: "VM {{ 7*7 }}"}}
waves: {wave_1: {groups: [web]}, wave_2: {groups: [db-x]}}
workloads:
  web-1:
    source: {id: s1, name: "{{ 7*7 }}"}
    move: cold
    name: web-1
    group: web
    reader: reader-1
    disks: [{volume: v1, size_gib: 1, boot: true}]
    nics: [{mac: fa:16:3e:00:00:01, network: n1}]
  db-1:
    source: {id: s2}
    move: cold
    name: db-1
    group: db-x
    reader: reader-2
    disks: [{volume: v2, size_gib: 1, boot: true}]
  old-1:
    source: {id: s3}
    move: none
    reason: "{{ lookup('pipe', 'touch /tmp/pwned') }}"
"""

Parse = Callable[..., InventoryData]


@pytest.fixture
def parse(tmp_path: Path) -> Parse:
    def run(text: str = PLAN, name: str = "acme.plan.yml") -> InventoryData:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        inventory = InventoryData()
        plugin = InventoryModule()
        assert plugin.verify_file(str(path))
        plugin.parse(inventory, DataLoader(), str(path))
        inventory.reconcile_inventory()
        return inventory

    return run


def groups(inventory: InventoryData, host: str) -> set[str]:
    return {group.name for group in inventory.hosts[host].get_groups()} - {"all"}


def variables(inventory: InventoryData, host: str) -> dict[str, Any]:
    return dict(inventory.hosts[host].vars)


def test_hosts_and_groups(parse: Parse) -> None:
    inventory = parse()
    assert groups(inventory, "web-1") == {"workloads", "tenant_acme_paris", "target_vsphere", "group_web", "wave_1"}
    assert groups(inventory, "db-1") == {"workloads", "tenant_acme_paris", "target_vsphere", "group_db_x", "wave_2"}
    assert groups(inventory, "old-1") == {"not_moved"}
    assert groups(inventory, "reader-1") == groups(inventory, "reader-2") == {"readers"}


def test_what_a_workload_knows(parse: Parse, tmp_path: Path) -> None:
    known = variables(parse(), "web-1")
    about = known["cloudexit"]
    assert known["ansible_connection"] == "local"
    assert known["ansible_python_interpreter"] == "{{ ansible_playbook_python }}"
    assert about["host"] == "web-1" and about["wave"] == "wave_1" and about["move"] == "cold"
    assert about["reader"] == {"name": "reader-1", "server_id": "r1"}
    assert about["tenant"]["name"] == "Acme Paris" and about["target"]["datacenter"] == "DC0"
    assert about["nics"][0]["target"] == "VM {{ 7*7 }}"
    assert about["limits"] == {"workloads_at_once": 4, "disks_per_reader": 2, "bandwidth_mib_s": 0.0}
    assert about["plan"]["file"] == str(tmp_path / "acme.plan.yml") and about["plan"]["digest"].startswith("sha256:")
    assert about["stop"] == {"deadline_s": 300} and about["checks"] == []
    assert variables(parse(), "old-1")["cloudexit"]["reader"] is None


def test_readers(parse: Parse) -> None:
    inventory = parse()
    first, second = variables(inventory, "reader-1"), variables(inventory, "reader-2")
    assert first["ansible_port"] == 2222
    assert first["cloudexit"]["reader"] == {"name": "reader-1", "server_id": "r1"}
    assert second["ansible_connection"] == "local"
    assert second["ansible_python_interpreter"] == "{{ ansible_playbook_python }}"


def test_what_is_a_template_and_what_is_not(parse: Parse) -> None:
    inventory = parse()
    templar = Templar(DataLoader(), variables={"ansible_playbook_python": "/python"})
    web, reader = variables(inventory, "web-1"), variables(inventory, "reader-1")
    assert templar.template(web["cloudexit"]["source"]["name"]) == "{{ 7*7 }}"
    assert templar.template(web["cloudexit"]["nics"][0]["target"]) == "VM {{ 7*7 }}"
    assert "lookup" in templar.template(variables(inventory, "old-1")["cloudexit"]["reason"])
    assert not Path("/tmp/pwned").exists()
    assert templar.template(web["ansible_python_interpreter"]) == "/python"
    assert templar.template(reader["ansible_host"]) == "reader.example"


def test_vaulted_text(parse: Parse) -> None:
    assert "Encrypted" in type(variables(parse(), "reader-1")["ansible_user"]).__name__


def test_an_invalid_plan_is_refused_with_all_its_problems(parse: Parse) -> None:
    text = PLAN.replace("datastore", "datastor").replace("group: web", "grupe: web").replace("volume: v2", "volume: v1")
    with pytest.raises(AnsibleParserError) as caught:
        parse(text)
    said = str(caught.value)
    for part in (
        "target.datastor (line 4): unknown key (did you mean datastore?)",
        "target.datastore (line 4): must not be empty",
        "workloads.web-1.grupe (line 20): unknown key (did you mean group?)",
        "workloads.db-1.disks[0].volume (line 30): the volume 'v1' is already at workloads.web-1.disks[0].volume",
    ):
        assert part in said, said


def test_not_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "x.plan.yml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AnsibleParserError, match="cannot be read"):
        InventoryModule().parse(InventoryData(), DataLoader(), str(path))


def test_accepted_names(tmp_path: Path) -> None:
    for name in ("acme.plan.yml", "acme.plan.yaml", "acme.yml", "acme.plan.json"):
        (tmp_path / name).write_text("")
    accepted = {path.name for path in tmp_path.iterdir() if InventoryModule().verify_file(str(path))}
    assert accepted == {"acme.plan.yml", "acme.plan.yaml"}


def test_two_plans_at_once(tmp_path: Path) -> None:
    inventory = InventoryData()
    for name in ("one", "two"):
        path = tmp_path / f"{name}.plan.yml"
        path.write_text(PLAN.replace("Acme Paris", name).replace("web-1:", f"web-{name}:"), encoding="utf-8")
        InventoryModule().parse(inventory, DataLoader(), str(path))
    inventory.reconcile_inventory()
    assert "tenant_one" in groups(inventory, "web-one") and "tenant_two" in groups(inventory, "web-two")
