# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of an organisation of Cloud Director as inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cloud_avenue
short_description: Machines in Cloud Avenue, or another Cloud Director, as inventory
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Reads the machines of an organisation, or of some of its virtual data centers, with their owner marks. It writes
    nothing.
  - The file's name must end in C(cloud_avenue.yml), C(cloud_avenue.yaml), C(.ca.yml) or C(.ca.yaml).
  - Names, descriptions and metadata come from the cloud's users and are data; they are never taken for templates.
  - Options may hold templates, for example C({{ lookup('env', 'TENANT') }}).
  - Each machine has the host variables C(ca_id), C(ca_name), C(ca_description), C(ca_vapp), C(ca_vdc), C(ca_power)
    (V(on), V(off), V(suspended)), C(ca_cpus), C(ca_memory_mib), C(ca_firmware), C(ca_guest_id), C(ca_hardware_version),
    C(ca_storage_profile), C(ca_computer_name), C(ca_addresses), C(ca_disks) (list of C(controller), C(bus), C(unit),
    C(size_mib), C(storage_profile)), C(ca_nics) (list of C(index), C(network), C(mode), C(address), C(mac), C(type),
    C(connected), C(primary)), C(ca_metadata); C(ca_tenant), C(ca_source_id) (id of the server that it came from) and
    C(ca_state) from its owner marks, empty for a machine without; and C(ansible_host), its first address.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: Names this plugin.
    type: str
    required: true
    choices: [cloudexit.flexible_engine.cloud_avenue]
  vdcs:
    description:
      - Names of the virtual data centers whose machines are read. Left out, all that the user sees.
    type: list
    elements: str
    default: []
  tenants:
    description:
      - Names of tenants. Only machines whose owner marks name one of them are there. Left out, all machines are.
    type: list
    elements: str
    default: []
  hostnames:
    description:
      - What names a host, in order of preference. A name that two machines would have is not used for either of them;
        the next preference is, and in the end V(slug_id).
      - V(slug_id) is the machine's name in lower-case letters, digits and dashes, and the first 8 characters of its id.
    type: list
    elements: str
    choices: [slug_id, name, id, source_id]
    default: [slug_id]
"""

EXAMPLES = r"""
# acme.ca.yml: all machines of the organisation; the log-in is in the environment
plugin: cloudexit.flexible_engine.cloud_avenue
url: https://console1.cloudavenue.orange-business.com
org: cav01ev01ocb0001234
---
# what was moved of one tenant, grouped; kept for ten minutes
plugin: cloudexit.flexible_engine.cloud_avenue
tenants: [acme]
vdcs: [acme-vdc]
strict: true
keyed_groups:
  - key: ca_state
    prefix: state
  - key: ca_vapp
    prefix: vapp
groups:
  running: ca_power == 'on'
compose:
  ansible_user: "'debian'"
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/cloudexit
cache_timeout: 600
"""

import typing as t
from collections import Counter

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils import arguments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import summary
from ansible_collections.cloudexit.flexible_engine.plugins.plugin_utils.trust import untrusted

_AUTH = tuple(arguments.vcd_spec())


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Fills the inventory with the machines of an organisation."""

    NAME = "cloudexit.flexible_engine.cloud_avenue"

    def verify_file(self, path: str) -> bool:
        endings = ("cloud_avenue.yml", "cloud_avenue.yaml", ".ca.yml", ".ca.yaml")
        return super().verify_file(path) and path.endswith(endings)

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        key = self.get_cache_key(path)
        keep = self.get_option("cache")
        machines = None
        if keep and cache:
            machines = self._cache.get(key)
        if machines is None:
            machines = self._read()
            if keep:
                self._cache[key] = machines
        self._fill(machines)

    def _option(self, name: str) -> t.Any:
        return self.templar.template(self.get_option(name))

    def _read(self) -> list[dict[str, t.Any]]:
        """The machines as plain data, for the cache."""
        vdcs = [str(name) for name in self._option("vdcs") or []]
        tenants = {str(name) for name in self._option("tenants") or []}
        try:
            with arguments.connect_vcd({name: self._option(name) for name in _AUTH}) as session:
                found = [one for vdc in vdcs or [""] for one in summary.machines(session, vdc)]
        except CloudExitError as exc:
            raise AnsibleParserError(str(exc)) from None
        return [one for one in found if not tenants or one["tenant"] in tenants]

    def _fill(self, machines: list[dict[str, t.Any]]) -> None:
        try:
            hosts = self._hosts(machines)
        except (KeyError, TypeError) as exc:
            raise AnsibleError("The cached inventory is of another form: run with --flush-cache.") from exc
        strict = self.get_option("strict")
        for machine in machines:
            host = hosts[machine["id"]]
            given = {f"ca_{key}": value for key, value in machine.items()}
            if machine["addresses"]:
                given["ansible_host"] = machine["addresses"][0]
            variables = untrusted(given)
            self.inventory.add_host(host)
            for name, value in variables.items():
                self.inventory.set_variable(host, name, value)
            self._set_composite_vars(self.get_option("compose"), variables, host, strict)
            self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict)

    def _hosts(self, machines: list[dict[str, t.Any]]) -> dict[str, str]:
        """The host name of each machine id."""
        named = {machine["id"]: machine["name"] for machine in machines}
        by = {
            "slug_id": names.host_keys(named),
            "id": {identity: identity for identity in named},
            "name": named,
            "source_id": {machine["id"]: machine["source_id"] for machine in machines},
        }
        chosen: dict[str, str] = {}
        for preference in [*self.get_option("hostnames"), "slug_id"]:
            counted = Counter(by[preference].values())
            for identity, name in by[preference].items():
                if identity not in chosen and name and counted[name] == 1 and name not in chosen.values():
                    chosen[identity] = name
        return chosen
