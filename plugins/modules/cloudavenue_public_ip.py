#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudavenue_public_ip
short_description: Public addresses of an edge in Cloud Avenue
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Orders public addresses for an edge until it has as many as wanted, or gives one back.
  - Public addresses are billed, and one that was given back is somebody else's. So one that is in use at the edge is a
    conflict, and which one is given back is always named.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.cloudavenue_auth
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  edge:
    description:
      - Name, or id without its kind, of the edge.
    type: str
    required: true
  state:
    description:
      - With V(present), the edge has at least O(count) public addresses in the end. With V(absent), O(address) is given
        back.
    type: str
    choices: [present, absent]
    default: present
  count:
    description:
      - How many public addresses the edge is to have at least. Those that it has count; none is given back.
    type: int
    default: 1
  address:
    description:
      - The address to give back. Needed with O(state=absent).
    type: str
notes:
  - Addresses carry no owner mark. A run that is killed while an address is on order may, started again before the order
    is done, order another one; look at RV(addresses).
seealso:
  - module: cloudexit.flexible_engine.cloudavenue_edge
"""

EXAMPLES = r"""
- name: Two public addresses
  cloudexit.flexible_engine.cloudavenue_public_ip:
    edge: tn01e02ocb0001234spt101
    count: 2
  register: outside

- name: Give one back
  cloudexit.flexible_engine.cloudavenue_public_ip:
    edge: tn01e02ocb0001234spt101
    address: 198.51.100.11
    state: absent
"""

RETURN = r"""
addresses:
  description: The public addresses of the edge in the end, sorted; in check mode without those that would be ordered.
  returned: success
  type: list
  elements: str
  sample: [198.51.100.10, 198.51.100.11]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import avenue
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    open_orange,
    open_vcd,
    orange_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def public_ip(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    absent = params["state"] == "absent"
    with open_vcd(module) as session, open_orange(module, session) as cloud:
        changes, there = avenue.addresses(
            cloud,
            session,
            params["edge"],
            count=params["count"],
            give_back=params["address"] if absent else "",
            dry_run=module.check_mode,
        )
    result: dict[str, Any] = {"changed": bool(changes), "addresses": [one.address for one in there]}
    if changes:
        result["diff"] = changes.diff()
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **orange_spec(),
            "edge": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "count": {"type": "int", "default": 1},
            "address": {"type": "str"},
        },
        required_if=[("state", "absent", ["address"])],
        supports_check_mode=True,
    )
    run(module, public_ip)


if __name__ == "__main__":
    main()
