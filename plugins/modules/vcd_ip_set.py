#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vcd_ip_set
short_description: Make, change or remove an IP set in Cloud Director
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Has addresses under a name, for the rules of the firewalls.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.vcd_owned
  - cloudexit.flexible_engine.vcd_owned.named
  - cloudexit.flexible_engine.vcd_owned.rules
  - cloudexit.flexible_engine.vcd_owned.described
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  addresses:
    description:
      - Addresses, networks and ranges V(first-last), IPv4 and IPv6. Their order means nothing.
    type: list
    elements: str
    default: []
seealso:
  - module: cloudexit.flexible_engine.vcd_firewall
  - module: cloudexit.flexible_engine.vcd_port_profile
  - module: cloudexit.flexible_engine.vcd_security_group
"""

EXAMPLES = r"""
- name: The web servers
  cloudexit.flexible_engine.vcd_ip_set:
    tenant: acme
    name: web
    edge: tn01e02ocb0001234spt101
    addresses: [10.1.0.10, 10.1.0.11, 10.1.8.0/24]
"""

RETURN = r"""
id:
  description: Its id; empty where it is not there.
  returned: success
  type: str
  sample: urn:vcloud:firewallGroup:6e2f7b1c-3f0e-4f5e-9f0d-0d9c2b1f7a11
settings:
  description: >-
    The IP set as it is in the end (in check mode, as it would be), with names instead of ids; empty where it is not
    there.
  returned: success
  type: dict
changes:
  description: What was changed, or would be in check mode, one sentence each.
  returned: success
  type: list
  elements: str
  sample: [create firewall group web]
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
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def ip_set(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    owned = acts.Owned.of(params, dry_run=module.check_mode)
    with open_vcd(module) as session:
        return acts.ensure_ip_set(
            session,
            owned,
            edge=params["edge"] or "",
            vdc_group=params["vdc_group"] or "",
            addresses=params["addresses"],
            description=params["description"],
        )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            **named_spec(),
            **rules_spec(),
            "addresses": {"type": "list", "elements": "str", "default": []},
            **DESCRIBED,
        },
        **RULES_PLACE,
        supports_check_mode=True,
    )
    run(module, ip_set)


if __name__ == "__main__":
    main()
