#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: network_prepare
short_description: Make the network of a tenant in Cloud Director, and prove that the same flows pass
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Translates the networks with their DHCP, security groups, load balancers, floating addresses, NAT gateways and
    routes of a tenant, as its estate has them, for the edge gateway that the plan names, and makes them there (see
    C(docs/firewall.md) and C(docs/cloud-avenue-network.md)).
  - Before the first change it is decided for all packets whether the same flows would pass as at the source, rules of
    others at the target among them; after the last, whether they do in what was read back. Where not, it fails with a
    packet and the rules of both sides that decide on it.
  - Only what it made itself is changed or removed. Rules of others stay as they are and in their order. What somebody
    edited since is a conflict, and nothing is changed.
  - Networks that are there already are used as they are. Networks are never removed.
  - Deviations, which the target cannot say exactly, must be agreed to in the plan (C(edge.accepted)).
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  plan:
    description: File of the plan, with a target of type C(vcd) and the section C(edge) (see C(docs/plan.md)).
    type: path
    required: true
  estate:
    description: File of the estate that the plan was drafted from. Left out, the one that the plan names.
    type: path
  overwrite:
    description: Whether edits that others made to what is ours are overwritten. Otherwise they are conflicts.
    type: bool
    default: false
seealso:
  - module: cloudexit.flexible_engine.network_verify
"""

EXAMPLES = r"""
- name: Make the network of the tenant
  cloudexit.flexible_engine.network_prepare:
    url: https://console1.cloudavenue.orange-business.com
    plan: acme.plan.yml
  delegate_to: localhost
"""

RETURN = r"""
changes:
  description: What was changed, or would be, one line each, in order.
  returned: success
  type: list
  elements: str
  sample: ['create network front', 'create distributed firewall rule cloudexit-acme-in-web-tcp-443-9c01d2e4']
tenant:
  description: Name of the tenant, as in the plan.
  returned: success
  type: str
  sample: acme
digests:
  description:
    - Digests of the firewall as the plan wants it (C(wanted)), and of the whole one as it was read back, with what
      others made (C(read_back); empty while nothing was).
  returned: success
  type: dict
  sample: {wanted: 'sha256:1f3a…', read_back: 'sha256:77c2…'}
proven:
  description: What the verdict is about. V(read_back) is what is really configured, V(planned) what would be there.
  returned: success
  type: str
  sample: read_back
equal:
  description: Whether exactly the same flows pass. Otherwise it fails.
  returned: success
  type: bool
compared:
  description: How much was compared.
  returned: success
  type: dict
  contains:
    ports:
      description: Network cards of workloads.
      type: int
      returned: success
    places:
      description: Pieces of the line of addresses on which each rule says one thing.
      type: int
      returned: success
    services:
      description: Pieces of the line of services.
      type: int
      returned: success
deviations:
  description: What the target cannot say exactly, and was agreed to.
  returned: success
  type: list
  elements: dict
findings:
  description: What a person must know of the translation. Where something is changed, those that warn are warnings too.
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import network
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import open_vcd, vcd_spec
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def act(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    plan, estate = network.read_files(params["plan"], params["estate"])
    wanted = network.design(plan, estate)
    with open_vcd(module, org=plan.target.org) as session:
        done = network.prepare(session, wanted, overwrite=params["overwrite"], dry_run=module.check_mode)
    result = {
        "changed": bool(done.changes),
        "changes": [str(change) for change in done.changes.changes],
        **done.told(),
    }
    if done.changes:
        for one in done.findings:
            if one.severity == "warning":
                module.warn(f"{one.subject.kind} {one.subject.name} ({one.subject.id}): {one.seen} {one.action}")
        result["diff"] = done.diff(f"network of {wanted.tenant}")
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            "plan": {"type": "path", "required": True},
            "estate": {"type": "path"},
            "overwrite": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run(module, act)


if __name__ == "__main__":
    main()
