#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vcd_snapshot
short_description: Snapshots of machines in Cloud Director
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Takes a snapshot of a machine that carries the owner marks of the tenant, or removes it.
  - A machine has one snapshot at a time. Which one this collection took is noted in the metadata of the machine.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.vcd_owned
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  name:
    description:
      - Name for a new snapshot.
    type: str
    required: false
    default: cloudexit
  tenant:
    description:
      - The tenant that the machine belongs to, as its owner marks say. Another machine is never touched.
    type: str
    required: true
  overwrite:
    description:
      - Whether a snapshot that somebody else took is replaced or removed. With V(false) it is a conflict, and nothing
        is changed.
    type: bool
    default: false
  vm:
    description:
      - Name or id of the machine.
    type: str
    required: true
  vdc:
    description:
      - Virtual data center that the machine is in.
    type: str
    required: true
  memory:
    description:
      - Whether the memory of a running machine is in a new snapshot.
    type: bool
    default: false
  quiesce:
    description:
      - Whether VMware Tools bring the file systems of a running machine to rest for a new snapshot.
    type: bool
    default: false
seealso:
  - module: cloudexit.flexible_engine.vcd_vm
"""

EXAMPLES = r"""
- name: A snapshot before the work
  cloudexit.flexible_engine.vcd_snapshot:
    vm: web-1
    vdc: acme-vdc
    tenant: acme

- name: Remove it
  cloudexit.flexible_engine.vcd_snapshot:
    vm: web-1
    vdc: acme-vdc
    tenant: acme
    state: absent
"""

RETURN = r"""
id:
  description: Id of the machine.
  returned: success
  type: str
  sample: 1b2d9f4e-35f6-4f3c-9d55-0a7c2b0c9a11
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import organisation
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    open_vcd,
    owned_spec,
    thing_of,
    vcd_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def snapshot(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    with open_vcd(module) as session:
        return organisation.snapshot(
            session,
            thing_of(module),
            vdc=params["vdc"],
            machine=params["vm"],
            memory=params["memory"],
            quiesce=params["quiesce"],
        ).result()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            **owned_spec(),
            "name": {"type": "str", "default": "cloudexit"},
            "vm": {"type": "str", "required": True},
            "vdc": {"type": "str", "required": True},
            "memory": {"type": "bool", "default": False},
            "quiesce": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run(module, snapshot)


if __name__ == "__main__":
    main()
