#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudavenue_vdc
short_description: Virtual data centers of Cloud Avenue
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Orders a virtual data center, changes its size and storage, or gives it back.
  - What Cloud Avenue would refuse is told before anything is ordered.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.cloudavenue_auth
  - cloudexit.flexible_engine.vcd_owned
  - cloudexit.flexible_engine.vcd_owned.named
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  description:
    description:
      - Description of the virtual data center. Left out, that of one that is there stays.
    type: str
  service_class:
    description:
      - Service class. It cannot be changed.
    type: str
    choices: [ECO, STD, HP, VOIP]
    default: STD
  availability:
    description:
      - In how many rooms it is. It cannot be changed.
    type: str
    choices: [ONE-ROOM, DUAL-ROOM, HA-DUAL-ROOM]
    default: ONE-ROOM
  billing:
    description:
      - How computing is billed. It cannot be changed.
    type: str
    choices: [PAYG, DRAAS, RESERVED]
    default: PAYG
  storage_billing:
    description:
      - How storage is billed. It cannot be changed.
    type: str
    choices: [PAYG, RESERVED]
    default: PAYG
  cpu_mhz:
    description:
      - Computing power in total, in MHz. Needed with O(state=present).
    type: int
  vcpu_mhz:
    description:
      - MHz of one virtual CPU.
    type: int
    default: 2200
  memory_gb:
    description:
      - Memory in total, in GB. Needed with O(state=present).
    type: int
  storage:
    description:
      - Storage classes. Needed with O(state=present). Those that are there and not named stay as they are.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the class, for example V(gold) or V(silver_r1).
        type: str
        required: true
      limit_gb:
        description:
          - Its size in GB.
        type: int
        required: true
      default:
        description:
          - Whether it is the default of the virtual data center. Exactly one is.
        type: bool
        default: false
notes:
  - With O(state=absent), a virtual data center that is not empty is refused by Cloud Avenue.
seealso:
  - module: cloudexit.flexible_engine.cloudavenue_edge
"""

EXAMPLES = r"""
- name: A virtual data center with gold and silver storage
  cloudexit.flexible_engine.cloudavenue_vdc:
    name: acme-vdc
    tenant: acme
    description: From Flexible Engine
    cpu_mhz: 44000
    memory_gb: 128
    storage:
      - {name: gold, limit_gb: 1000, default: true}
      - {name: silver, limit_gb: 4000}
"""

RETURN = r"""
id:
  description: Id of the virtual data center; empty where there is none.
  returned: success
  type: str
  sample: 1b2d9f4e-35f6-4f3c-9d55-0a7c2b0c9a11
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import avenue
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    named_spec,
    open_orange,
    open_vcd,
    orange_spec,
    thing_of,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import orange


def vdc(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    options = thing_of(module)
    wanted = None
    if not options.absent:
        wanted = orange.VdcSpec(
            name=params["name"],
            service_class=params["service_class"],
            availability=params["availability"],
            billing=params["billing"],
            storage_billing=params["storage_billing"],
            cpu_mhz=params["cpu_mhz"],
            memory_gb=params["memory_gb"],
            storage=tuple(orange.Storage(**one) for one in params["storage"]),
            vcpu_mhz=params["vcpu_mhz"],
            description=params["description"] or "",
        )
    with open_vcd(module) as session, open_orange(module, session) as cloud:
        return avenue.vdc(cloud, options, wanted, keep_description=params["description"] is None).result()


def main() -> None:
    storage = {
        "name": {"type": "str", "required": True},
        "limit_gb": {"type": "int", "required": True},
        "default": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={
            **orange_spec(),
            **named_spec(),
            "description": {"type": "str"},
            "service_class": {"type": "str", "choices": list(orange.SERVICE_CLASSES), "default": "STD"},
            "availability": {"type": "str", "choices": list(orange.AVAILABILITY), "default": "ONE-ROOM"},
            "billing": {"type": "str", "choices": list(orange.BILLING), "default": "PAYG"},
            "storage_billing": {"type": "str", "choices": list(orange.STORAGE_BILLING), "default": "PAYG"},
            "cpu_mhz": {"type": "int"},
            "vcpu_mhz": {"type": "int", "default": 2200},
            "memory_gb": {"type": "int"},
            "storage": {"type": "list", "elements": "dict", "default": [], "options": storage},
        },
        required_if=[("state", "present", ["cpu_mhz", "memory_gb", "storage"])],
        supports_check_mode=True,
    )
    run(module, vdc)


if __name__ == "__main__":
    main()
