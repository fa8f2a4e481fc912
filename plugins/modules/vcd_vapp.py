#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vcd_vapp
short_description: vApps of Cloud Director
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Makes, describes and removes a vApp, and has networks of the organisation in it.
  - Its leases are set to never end, so that Cloud Director neither stops nor removes it by itself.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.vcd_owned
  - cloudexit.flexible_engine.vcd_owned.named
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  vdc:
    description:
      - Virtual data center that the vApp is in.
    type: str
    required: true
  description:
    description:
      - Description of the vApp. Left out, that of a vApp that is there stays.
    type: str
  networks:
    description:
      - Names of networks of the organisation to have in the vApp. Others that are in it stay.
    type: list
    elements: str
    default: []
notes:
  - With O(state=absent), a vApp that has machines is a conflict. Remove or move its machines first.
seealso:
  - module: cloudexit.flexible_engine.vcd_vm
  - module: cloudexit.flexible_engine.vcd_info
"""

EXAMPLES = r"""
- name: A vApp with a network
  cloudexit.flexible_engine.vcd_vapp:
    name: acme-web
    tenant: acme
    vdc: acme-vdc
    description: Web servers
    networks: [front]
"""

RETURN = r"""
id:
  description: Id of the vApp; empty where there is none.
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


def vapp(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    with open_vcd(module) as session:
        return organisation.box(
            session,
            thing_of(module),
            vdc=params["vdc"],
            description=params["description"],
            networks=params["networks"],
        ).result()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            **named_spec(),
            "vdc": {"type": "str", "required": True},
            "description": {"type": "str"},
            "networks": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    run(module, vapp)


if __name__ == "__main__":
    main()
