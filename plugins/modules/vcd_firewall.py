#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vcd_firewall
short_description: Have the rules of a firewall in Cloud Director
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Has the rules of one tenant in the firewall of an edge gateway, or in the distributed firewall of a VDC group, as
    they are listed and in their order. Rules of the tenant that are not listed any more are removed.
  - Every rule of others stays as it is and where it is. Ours stand together, before a last rule for everything.
  - Both firewalls are written as a whole. The list is read, written and read back under a lock; where somebody changed
    it at the same moment, it is done again on what is there then.
  - With C(--diff), shows the whole firewall, one line a rule.
  - With O(state=absent), removes all rules of the tenant from that firewall.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.vcd_owned
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  firewall:
    description:
      - Which firewall. V(edge) is that of an edge gateway, which sees what crosses it. V(distributed) is that of a VDC
        group, at the network card of every machine.
    type: str
    choices: [edge, distributed]
    required: true
  edge:
    description:
      - Edge gateway. With O(firewall=distributed), the VDC group is that of the edge.
      - Exactly one of O(edge) and O(vdc_group) is needed.
    type: str
  vdc_group:
    description:
      - VDC group, with O(firewall=distributed).
    type: str
  rules:
    description:
      - Rules, in their order. The first that fits decides. Needed with O(state=present).
      - IP sets, groups and port profiles are given by name (or id) and must be there. Where a port profile of the
        tenant and one of the system have a name, the tenant's is taken.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - Name of the rule; the only one of that name in this list.
        type: str
        required: true
      action:
        description:
          - What becomes of what fits.
        type: str
        choices: [ALLOW, DROP, REJECT]
        default: ALLOW
      enabled:
        description:
          - Whether the rule holds.
        type: bool
        default: true
      direction:
        description:
          - Where it is asked. V(IN) at the receiver, V(OUT) at the sender.
        type: str
        choices: [IN, OUT, IN_OUT]
        default: IN_OUT
      ip_protocol:
        description:
          - IP protocol.
        type: str
        choices: [IPV4, IPV6, IPV4_IPV6]
        default: IPV4_IPV6
      sources:
        description:
          - IP sets and groups that send. None means any.
        type: list
        elements: str
        default: []
      destinations:
        description:
          - IP sets and groups that receive. None means any.
        type: list
        elements: str
        default: []
      profiles:
        description:
          - Port profiles. None means any.
        type: list
        elements: str
        default: []
      sources_excluded:
        description:
          - Whether all but the sources are meant. Only with O(firewall=distributed).
        type: bool
        default: false
      destinations_excluded:
        description:
          - Whether all but the destinations are meant. Only with O(firewall=distributed).
        type: bool
        default: false
      logging:
        description:
          - Whether the rule logs. It is sent with the rule; a change of it alone changes nothing, because it cannot be
            read.
        type: bool
        default: false
      comments:
        description:
          - Text for people, with O(firewall=distributed). A change of it alone changes nothing.
        type: str
        default: ''
  first:
    description:
      - Where there are no rules of the tenant yet, whether they are put before all others.
    type: bool
    default: false
  enable:
    description:
      - Whether to switch the distributed firewall of the VDC group on, where it is off. Otherwise that is an error. It
        is never switched off.
    type: bool
    default: false
seealso:
  - module: cloudexit.flexible_engine.vcd_ip_set
  - module: cloudexit.flexible_engine.vcd_port_profile
  - module: cloudexit.flexible_engine.vcd_security_group
"""

EXAMPLES = r"""
- name: What may reach the web servers from outside
  cloudexit.flexible_engine.vcd_firewall:
    tenant: acme
    firewall: edge
    edge: tn01e02ocb0001234spt101
    rules:
      - name: web from anywhere
        destinations: [web]
        profiles: [HTTPS]
      - name: nothing else to the database
        action: DROP
        destinations: [db]

- name: What the machines may say to each other
  cloudexit.flexible_engine.vcd_firewall:
    tenant: acme
    firewall: distributed
    vdc_group: acme-group
    enable: true
    rules:
      - name: web to db
        sources: [web]
        destinations: [db]
        profiles: [MySQL]
"""

RETURN = r"""
rules:
  description: Names of the tenant's rules, in their order.
  returned: success
  type: list
  elements: str
  sample: [web from anywhere]
changes:
  description: What was changed, or would be in check mode, one sentence each.
  returned: success
  type: list
  elements: str
  sample: [create edge firewall rule web from anywhere]
pending:
  description: Names that are not there yet, and that a run without check mode would refuse.
  returned: in check mode, where there are such
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import vcd_network as acts
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import open_vcd, owned_spec, vcd_spec
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.firewall import FirewallRule
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def firewall(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    owned = acts.Owned.of(params, dry_run=module.check_mode)
    with open_vcd(module) as session:
        return acts.ensure_firewall(
            session,
            owned,
            [FirewallRule(**one) for one in params["rules"] or []],
            distributed=params["firewall"] == "distributed",
            edge=params["edge"] or "",
            vdc_group=params["vdc_group"] or "",
            first=params["first"],
            enable=params["enable"],
        )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            **owned_spec(),
            "firewall": {"type": "str", "choices": ["edge", "distributed"], "required": True},
            "edge": {"type": "str"},
            "vdc_group": {"type": "str"},
            "rules": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "action": {"type": "str", "choices": ["ALLOW", "DROP", "REJECT"], "default": "ALLOW"},
                    "enabled": {"type": "bool", "default": True},
                    "direction": {"type": "str", "choices": ["IN", "OUT", "IN_OUT"], "default": "IN_OUT"},
                    "ip_protocol": {"type": "str", "choices": ["IPV4", "IPV6", "IPV4_IPV6"], "default": "IPV4_IPV6"},
                    "sources": {"type": "list", "elements": "str", "default": []},
                    "destinations": {"type": "list", "elements": "str", "default": []},
                    "profiles": {"type": "list", "elements": "str", "default": []},
                    "sources_excluded": {"type": "bool", "default": False},
                    "destinations_excluded": {"type": "bool", "default": False},
                    "logging": {"type": "bool", "default": False},
                    "comments": {"type": "str", "default": ""},
                },
            },
            "first": {"type": "bool", "default": False},
            "enable": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("edge", "vdc_group")],
        required_one_of=[("edge", "vdc_group")],
        required_if=[("firewall", "edge", ("edge",)), ("state", "present", ("rules",))],
        supports_check_mode=True,
    )
    run(module, firewall)


if __name__ == "__main__":
    main()
