#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vcd_disk
short_description: Named disks of Cloud Director
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Makes a named (independent) disk, has it grow, attaches it to a machine that carries the owner marks of the tenant,
    and removes it.
  - A named disk is empty when it is made. What is migrated comes with its machine, not in such disks.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.vcd_owned
  - cloudexit.flexible_engine.vcd_owned.named
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  vdc:
    description:
      - Virtual data center that the disk is in.
    type: str
    required: true
  size_gib:
    description:
      - Size in GiB. Needed for a new disk. A disk can grow and not shrink.
    type: int
  controller:
    description:
      - Controller that the disk hangs on. Left out, V(pvscsi) for a new disk. It cannot be changed.
    type: str
    choices: [pvscsi, lsilogic, lsisas, sata, nvme]
  storage_profile:
    description:
      - Storage profile. Left out, the default one of O(vdc) for a new disk. It cannot be changed.
    type: str
  description:
    description:
      - Description of the disk. Left out, that of a disk that is there stays.
    type: str
  vm:
    description:
      - Name or id of the machine in O(vdc) that has the disk. An empty text is none. Left out, that is not changed.
    type: str
notes:
  - With O(state=absent), a disk that a machine has is a conflict. Detach it first, with an empty O(vm).
seealso:
  - module: cloudexit.flexible_engine.vcd_vm
"""

EXAMPLES = r"""
- name: A disk for data, at a machine
  cloudexit.flexible_engine.vcd_disk:
    name: data
    tenant: acme
    vdc: acme-vdc
    size_gib: 100
    storage_profile: gold
    vm: web-1
"""

RETURN = r"""
id:
  description: Id of the disk; empty where there is none.
  returned: success
  type: str
  sample: 1b2d9f4e-35f6-4f3c-9d55-0a7c2b0c9a11
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import organisation
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    named_spec,
    open_vcd,
    thing_of,
    vcd_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def disk(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    wanted = organisation.DiskWanted(
        size_mib=None if params["size_gib"] is None else params["size_gib"] * 1024,
        controller=params["controller"],
        storage_profile=params["storage_profile"],
        description=params["description"],
        machine=params["vm"],
    )
    with open_vcd(module) as session:
        return organisation.named_disk(session, thing_of(module), wanted, vdc=params["vdc"]).result()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            **named_spec(),
            "vdc": {"type": "str", "required": True},
            "size_gib": {"type": "int"},
            "controller": {"type": "str", "choices": ["pvscsi", "lsilogic", "lsisas", "sata", "nvme"]},
            "storage_profile": {"type": "str"},
            "description": {"type": "str"},
            "vm": {"type": "str"},
        },
        supports_check_mode=True,
    )
    run(module, disk)


if __name__ == "__main__":
    main()
