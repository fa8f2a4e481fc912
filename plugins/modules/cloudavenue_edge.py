#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudavenue_edge
short_description: Edges of Cloud Avenue
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Orders an edge for a virtual data center or a VDC group, sets its bandwidth, or gives it back.
  - Cloud Avenue names edges. So an edge is found by its owner, or by its name where the owner has several.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.cloudavenue_auth
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  owner:
    description:
      - Name of the virtual data center or VDC group that the edge is for.
    type: str
    required: true
  owner_type:
    description:
      - What O(owner) is.
    type: str
    choices: [vdc, vdc_group]
    default: vdc
  tenant:
    description:
      - The tenant that it belongs to. It is written, as a stamp, to the end of the description of an edge that is
        ordered. An edge without the stamp of this tenant is not ours, and is never changed or given back. Where it
        already is as it should be, that is fine; otherwise it is a conflict.
    type: str
    required: true
  name:
    description:
      - Name of an edge that is there. Needed only where O(owner) has several.
    type: str
  t0:
    description:
      - Name of the T0 router that the edge is at. Left out, the only one of the organisation. It cannot be changed.
    type: str
  rate:
    description:
      - Bandwidth in Mbit/s, one of those that Cloud Avenue offers. Left out, it is not changed.
      - Cloud Avenue does not tell the bandwidth of an edge at a dedicated T0. There it is set only when the edge is
        ordered.
    type: int
  state:
    description:
      - Whether it is to be there.
    type: str
    choices: [present, absent]
    default: present
  overwrite:
    description:
      - Whether a bandwidth that somebody else set since is overwritten. With V(false) it is a conflict, and nothing is
        changed.
    type: bool
    default: false
notes:
  - With O(state=absent), an edge that has networks or public addresses is a conflict.
seealso:
  - module: cloudexit.flexible_engine.cloudavenue_public_ip
  - module: cloudexit.flexible_engine.cloudavenue_vdc
"""

EXAMPLES = r"""
- name: An edge for a virtual data center
  cloudexit.flexible_engine.cloudavenue_edge:
    owner: acme-vdc
    tenant: acme
    t0: prvrf01eocb0001234allsp01
    rate: 100
"""

RETURN = r"""
id:
  description: Id of the edge, without its kind; empty where there is none.
  returned: success
  type: str
  sample: 1b2d9f4e-35f6-4f3c-9d55-0a7c2b0c9a11
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import avenue, organisation
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    open_orange,
    open_vcd,
    orange_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def edge(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    options = organisation.Options(
        params["name"] or params["owner"],
        params["tenant"],
        absent=params["state"] == "absent",
        overwrite=params["overwrite"],
        dry_run=module.check_mode,
    )
    with open_vcd(module) as session, open_orange(module, session) as cloud:
        return avenue.edge(
            cloud,
            session,
            options,
            owner=params["owner"],
            group=params["owner_type"] == "vdc_group",
            t0=params["t0"] or "",
            rate=params["rate"] or 0,
        ).result()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **orange_spec(),
            "owner": {"type": "str", "required": True},
            "owner_type": {"type": "str", "choices": ["vdc", "vdc_group"], "default": "vdc"},
            "tenant": {"type": "str", "required": True},
            "name": {"type": "str"},
            "t0": {"type": "str"},
            "rate": {"type": "int"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "overwrite": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run(module, edge)


if __name__ == "__main__":
    main()
