# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan
short_description: The plan of a tenant as inventory
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Reads a plan (see C(docs/plan.md)); the file's name must end in C(.plan.yml) or C(.plan.yaml).
  - Every workload that moves is a host, named by its key in the plan, in the group C(workloads), in
    C(tenant_<tenant>), in C(target_<type>), in C(group_<move group>) and in the group of its wave.
  - Workloads with C(move) V(none) are hosts of the group C(not_moved) only; no play on C(workloads) touches them.
  - Readers are hosts of the group C(readers), with the host variables that the plan gives them as C(connection). A
    reader that is this machine (C(ansible_connection=local)) uses the interpreter that runs Ansible, unless the plan
    says another.
  - A workload has the host variable C(cloudexit) with its part of the plan, the tenant, the target, its reader and the
    limits. What it holds is data, never a template.
  - Workload hosts are local (C(ansible_connection)), since all that is done for them is done through the APIs of the
    two clouds, by the interpreter that runs Ansible.
  - A plan that is not valid is refused with all its problems, each with its path and line.
options:
  plugin:
    description: Names this plugin.
    type: str
    required: true
    choices: [cloudexit.flexible_engine.plan]
"""

EXAMPLES = r"""
# acme.plan.yml, shortened; `assess` drafts the whole of it
plugin: cloudexit.flexible_engine.plan
version: 1
tenant: {name: acme, project_id: 586d26f685604d6397d2a23db4c53b85}
target: {type: vsphere, datacenter: DC0, compute: DC0_C0, datastore: LocalDS_0, folder: acme}
readers:
  reader-1:
    server_id: 9d5c1f0e-3b1c-4b45-a54e-8f7f4f3a3c55
    connection: {ansible_host: 192.0.2.10, ansible_user: debian}
networks:
  1fb2f0c8-9a9c-4a3a-8e6c-25d4f3f8b1b0: {name: app, target: VM Network}
waves:
  wave_1: {groups: [web]}
workloads:
  web-1-3f2a9c1d:
    source: {id: 3f2a9c1d-0d0f-4c07-9a9e-6d0a4f9f8a11, name: web-1}
    move: cold
    name: web-1
    group: web
    reader: reader-1
    cpus: 1
    memory_mib: 1024
    disks: [{volume: 0b8b8d5e-57ab-4f4c-a1a1-3f9a6c6c3f10, size_gib: 10, boot: true}]
    nics: [{mac: "fa:16:3e:00:00:01", network: 1fb2f0c8-9a9c-4a3a-8e6c-25d4f3f8b1b0, addresses: [10.20.0.11]}]
"""

import os
import typing as t

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.document import Vaulted
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError
from ansible_collections.cloudexit.flexible_engine.plugins.plugin_utils.trust import trusted, untrusted

PYTHON = "{{ ansible_playbook_python }}"


class InventoryModule(BaseInventoryPlugin):
    """Fills the inventory from a plan file."""

    NAME = "cloudexit.flexible_engine.plan"

    def verify_file(self, path: str) -> bool:
        return super().verify_file(path) and path.endswith((".plan.yml", ".plan.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        try:
            with open(path, encoding="utf-8") as file:
                plan = plans.loads(file.read(), f"The plan {path}")
        except CloudExitError as exc:
            raise AnsibleParserError(str(exc)) from None
        except (OSError, UnicodeDecodeError) as exc:
            raise AnsibleParserError(f"The plan {path} cannot be read: {exc}") from None
        _Filler(inventory, loader, plan, path).fill()


class _Filler:
    def __init__(self, inventory: t.Any, loader: t.Any, plan: plans.Plan, path: str) -> None:
        self._inventory = inventory
        self._loader = loader
        self._plan = plan
        self._common = {
            "plan": {"file": os.path.abspath(path), "digest": plan.digest()},
            "tenant": schema.dump(plan.tenant),
            "target": schema.dump(plan.target),
            "limits": schema.dump(plan.limits),
        }

    def fill(self) -> None:
        for group in ("workloads", "not_moved", "readers"):
            self._inventory.add_group(group)
        for name, reader in self._plan.readers.items():
            self._reader(name, reader)
        for wave in self._plan.waves:
            self._inventory.add_group(wave)
        for host, workload in self._plan.workloads.items():
            self._workload(host, workload)

    def _reader(self, name: str, reader: plans.Reader) -> None:
        self._inventory.add_host(name, group="readers")
        about = {key: self._common[key] for key in ("plan", "tenant", "limits")}
        about["reader"] = {"name": name, "server_id": reader.server_id}
        self._inventory.set_variable(name, "cloudexit", untrusted(about))
        connection = dict(reader.connection)
        if connection.get("ansible_connection") == "local":
            connection.setdefault("ansible_python_interpreter", PYTHON)
        for key, value in connection.items():
            self._inventory.set_variable(name, key, self._written(value))

    def _written(self, value: t.Any) -> t.Any:
        """What the operator wrote, with its templates and its vaulted texts."""
        if isinstance(value, Vaulted):
            return self._encrypted(str(value))
        if isinstance(value, dict):
            return {key: self._written(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [self._written(entry) for entry in value]
        return trusted(value)

    def _encrypted(self, text: str) -> t.Any:
        try:
            from ansible.parsing.vault import EncryptedString
        except ImportError:
            from ansible.parsing.yaml.objects import AnsibleVaultEncryptedUnicode

            encrypted = AnsibleVaultEncryptedUnicode(text)
            encrypted.vault = self._loader._vault
            return encrypted
        return trusted(EncryptedString(ciphertext=text))

    def _workload(self, host: str, workload: plans.Workload) -> None:
        moves = workload.move != "none"
        self._inventory.add_host(host, group="workloads" if moves else "not_moved")
        about = {**self._common, "host": host, **schema.dump(workload)}
        about["wave"] = self._plan.wave_of(workload)
        about["reader"] = None
        if moves:
            reader = self._plan.readers[str(workload.reader)]
            about["reader"] = {"name": workload.reader, "server_id": reader.server_id}
            for nic in about["nics"]:
                nic["target"] = self._plan.networks[nic["network"]].target
            for group in self._groups(workload):
                self._inventory.add_group(group)
                self._inventory.add_child(group, host)
        self._inventory.set_variable(host, "cloudexit", untrusted(about))
        self._inventory.set_variable(host, "ansible_connection", trusted("local"))
        self._inventory.set_variable(host, "ansible_python_interpreter", trusted(PYTHON))

    def _groups(self, workload: plans.Workload) -> t.Iterator[str]:
        yield names.group_name("tenant", self._plan.tenant.name)
        yield f"target_{self._plan.target.type}"
        yield names.group_name("group", workload.group)
        wave = self._plan.wave_of(workload)
        if wave:
            yield wave
