#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vcd_route
short_description: Make, change or remove a static route in Cloud Director
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Has a static route on an edge gateway.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.vcd_owned
  - cloudexit.flexible_engine.vcd_owned.named
  - cloudexit.flexible_engine.vcd_owned.edge
  - cloudexit.flexible_engine.vcd_owned.described
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  network:
    description:
      - Network that the route leads to, as V(address/prefix). Needed with O(state=present).
    type: str
  next_hop:
    description:
      - Address of the next gateway on the way. Needed with O(state=present).
    type: str
  distance:
    description:
      - Administrative distance. The lowest of several routes is taken.
    type: int
    default: 1
  scope:
    description:
      - Network of the organisation that the next gateway is in, by name (or id). Left out, the edge finds it.
    type: str
    default: ''
seealso:
  - module: cloudexit.flexible_engine.vcd_nat
  - module: cloudexit.flexible_engine.vcd_network
"""

EXAMPLES = r"""
- name: The way to the branch office
  cloudexit.flexible_engine.vcd_route:
    tenant: acme
    name: branch
    edge: tn01e02ocb0001234spt101
    network: 172.20.0.0/16
    next_hop: 10.1.0.9
"""

RETURN = r"""
id:
  description: Its id; empty where it is not there.
  returned: success
  type: str
  sample: 6e2f7b1c-3f0e-4f5e-9f0d-0d9c2b1f7a11
settings:
  description: >-
    The route as it is in the end (in check mode, as it would be), with names instead of ids; empty where it is not
    there.
  returned: success
  type: dict
changes:
  description: What was changed, or would be in check mode, one sentence each.
  returned: success
  type: list
  elements: str
  sample: [create static route branch]
pending:
  description: Names that are not there yet, and that a run without check mode would refuse.
  returned: in check mode, where there are such
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import vcd_network as acts
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    DESCRIBED,
    edge_spec,
    named_spec,
    open_vcd,
    vcd_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.network import Route


def route(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    owned = acts.Owned.of(params, dry_run=module.check_mode)
    wanted = None
    if owned.present:
        about = {key: params[key] for key in ("next_hop", "distance", "scope", "description")}
        wanted = Route(owned.name, params["network"], **about)
    with open_vcd(module) as session:
        return acts.ensure_route(session, owned, edge=params["edge"], route=wanted)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            **named_spec(),
            **edge_spec(),
            "network": {"type": "str"},
            "next_hop": {"type": "str"},
            "distance": {"type": "int", "default": 1},
            "scope": {"type": "str", "default": ""},
            **DESCRIBED,
        },
        required_if=[("state", "present", ("network", "next_hop"))],
        supports_check_mode=True,
    )
    run(module, route)


if __name__ == "__main__":
    main()
