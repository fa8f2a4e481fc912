#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vcd_nat
short_description: Make, change or remove a NAT rule in Cloud Director
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Has a NAT rule on an edge gateway.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.vcd_owned
  - cloudexit.flexible_engine.vcd_owned.named
  - cloudexit.flexible_engine.vcd_owned.edge
  - cloudexit.flexible_engine.vcd_owned.described
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  type:
    description:
      - What the rule translates. V(DNAT) is from outside to inside, V(SNAT) from inside to outside, V(REFLEXIVE) both,
        the others are exceptions. Needed with O(state=present).
    type: str
    choices: [DNAT, SNAT, NO_DNAT, NO_SNAT, REFLEXIVE]
  external:
    description:
      - Addresses outside.
    type: str
    default: ''
  internal:
    description:
      - Addresses inside.
    type: str
    default: ''
  external_port:
    description:
      - Port outside, of a V(DNAT). Left out, any.
    type: str
    default: ''
  destinations:
    description:
      - Only towards these addresses, of an V(SNAT). Left out, any.
    type: str
    default: ''
  profile:
    description:
      - Port profile inside, by name (or id). Left out, any. Where a port profile of the tenant and one of the system
        have the name, the tenant's is taken.
    type: str
    default: ''
  firewall_match:
    description:
      - Which address the edge's firewall sees. With V(BYPASS) it sees nothing.
    type: str
    choices: [MATCH_INTERNAL_ADDRESS, MATCH_EXTERNAL_ADDRESS, BYPASS]
    default: MATCH_INTERNAL_ADDRESS
  priority:
    description:
      - The lowest is asked first.
    type: int
    default: 0
  enabled:
    description:
      - Whether the rule holds.
    type: bool
    default: true
seealso:
  - module: cloudexit.flexible_engine.vcd_firewall
  - module: cloudexit.flexible_engine.vcd_port_profile
  - module: cloudexit.flexible_engine.vcd_route
"""

EXAMPLES = r"""
- name: The web servers from outside
  cloudexit.flexible_engine.vcd_nat:
    tenant: acme
    name: web
    edge: tn01e02ocb0001234spt101
    type: DNAT
    external: 198.51.100.10
    external_port: '443'
    internal: 10.1.0.10
    profile: HTTPS

- name: The way out
  cloudexit.flexible_engine.vcd_nat:
    tenant: acme
    name: out
    edge: tn01e02ocb0001234spt101
    type: SNAT
    external: 198.51.100.10
    internal: 10.1.0.0/24
"""

RETURN = r"""
id:
  description: Its id; empty where it is not there.
  returned: success
  type: str
  sample: 6e2f7b1c-3f0e-4f5e-9f0d-0d9c2b1f7a11
settings:
  description: >-
    The NAT rule as it is in the end (in check mode, as it would be), with names instead of ids; empty where it is not
    there.
  returned: success
  type: dict
changes:
  description: What was changed, or would be in check mode, one sentence each.
  returned: success
  type: list
  elements: str
  sample: [create NAT rule web]
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
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.firewall import NatRule
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run

FIELDS = ("type", "external", "internal", "external_port", "destinations", "profile", "firewall_match", "priority")


def nat(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    owned = acts.Owned.of(params, dry_run=module.check_mode)
    rule = None
    if owned.present:
        about = {key: params[key] for key in (*FIELDS, "enabled", "description")}
        rule = NatRule(name=owned.name, **about)
    with open_vcd(module) as session:
        return acts.ensure_nat(session, owned, edge=params["edge"], rule=rule)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            **named_spec(),
            **edge_spec(),
            "type": {"type": "str", "choices": ["DNAT", "SNAT", "NO_DNAT", "NO_SNAT", "REFLEXIVE"]},
            "external": {"type": "str", "default": ""},
            "internal": {"type": "str", "default": ""},
            "external_port": {"type": "str", "default": ""},
            "destinations": {"type": "str", "default": ""},
            "profile": {"type": "str", "default": ""},
            "firewall_match": {
                "type": "str",
                "choices": ["MATCH_INTERNAL_ADDRESS", "MATCH_EXTERNAL_ADDRESS", "BYPASS"],
                "default": "MATCH_INTERNAL_ADDRESS",
            },
            "priority": {"type": "int", "default": 0},
            "enabled": {"type": "bool", "default": True},
            **DESCRIBED,
        },
        required_if=[("state", "present", ("type",))],
        supports_check_mode=True,
    )
    run(module, nat)


if __name__ == "__main__":
    main()
