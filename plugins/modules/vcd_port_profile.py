#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vcd_port_profile
short_description: Make, change or remove an application port profile in Cloud Director
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Has protocols and ports under a name, for the rules of the firewalls and for NAT. Profiles of the system, such as
    V(HTTPS), can be used and need no making.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.vcd_owned
  - cloudexit.flexible_engine.vcd_owned.named
  - cloudexit.flexible_engine.vcd_owned.rules
  - cloudexit.flexible_engine.vcd_owned.described
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  ports:
    description:
      - Protocols and their destination ports. Needed with O(state=present).
    type: list
    elements: dict
    suboptions:
      protocol:
        description:
          - Protocol.
        type: str
        choices: [TCP, UDP, ICMPv4, ICMPv6]
        required: true
      ports:
        description:
          - Ports and ranges V(first-last). None means all.
        type: list
        elements: str
        default: []
seealso:
  - module: cloudexit.flexible_engine.vcd_firewall
  - module: cloudexit.flexible_engine.vcd_ip_set
  - module: cloudexit.flexible_engine.vcd_nat
"""

EXAMPLES = r"""
- name: What the web servers offer
  cloudexit.flexible_engine.vcd_port_profile:
    tenant: acme
    name: web ports
    edge: tn01e02ocb0001234spt101
    ports:
      - protocol: TCP
        ports: ['443', '8000-8010']
      - protocol: ICMPv4
"""

RETURN = r"""
id:
  description: Its id; empty where it is not there.
  returned: success
  type: str
  sample: urn:vcloud:applicationPortProfile:6e2f7b1c-3f0e-4f5e-9f0d-0d9c2b1f7a11
settings:
  description: >-
    The port profile as it is in the end (in check mode, as it would be), with names instead of ids; empty where it is
    not there.
  returned: success
  type: dict
changes:
  description: What was changed, or would be in check mode, one sentence each.
  returned: success
  type: list
  elements: str
  sample: [create port profile web ports]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import vcd_network as acts
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    DESCRIBED,
    RULES_PLACE,
    named_spec,
    open_vcd,
    rules_spec,
    vcd_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.firewall import PortEntry
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def port_profile(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    owned = acts.Owned.of(params, dry_run=module.check_mode)
    with open_vcd(module) as session:
        return acts.ensure_port_profile(
            session,
            owned,
            edge=params["edge"] or "",
            vdc_group=params["vdc_group"] or "",
            entries=[PortEntry(protocol=one["protocol"], ports=one["ports"]) for one in params["ports"] or []],
            description=params["description"],
        )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            **named_spec(),
            **rules_spec(),
            "ports": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "protocol": {"type": "str", "choices": ["TCP", "UDP", "ICMPv4", "ICMPv6"], "required": True},
                    "ports": {"type": "list", "elements": "str", "default": []},
                },
            },
            **DESCRIBED,
        },
        **RULES_PLACE,
        required_if=[("state", "present", ("ports",))],
        supports_check_mode=True,
    )
    run(module, port_profile)


if __name__ == "__main__":
    main()
