#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: network_verify
short_description: Check that the network of a tenant in Cloud Director still lets the same flows pass
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Reads what is really configured at the edge gateway that the plan names, and decides for all packets whether the
    same flows pass as at the source (see C(docs/firewall.md)). Changes nothing.
  - Tells as well what M(cloudexit.flexible_engine.network_prepare) would change, which may be there without any effect
    on flows.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.attributes.info
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  plan:
    description: File of the plan, with a target of type C(vcd) and the section C(edge) (see C(docs/plan.md)).
    type: path
    required: true
  estate:
    description: File of the estate that the plan was drafted from. Left out, the one that the plan names.
    type: path
  refuse:
    description: Whether it fails where other flows pass, or where the target is not as the plan wants it.
    type: bool
    default: true
seealso:
  - module: cloudexit.flexible_engine.network_prepare
"""

EXAMPLES = r"""
- name: Check the firewall of the tenant
  cloudexit.flexible_engine.network_verify:
    url: https://console1.cloudavenue.orange-business.com
    plan: acme.plan.yml
  delegate_to: localhost
"""

RETURN = r"""
equal:
  description: Whether exactly the same flows pass.
  returned: success
  type: bool
differences:
  description: Packets that the two sides treat differently, with the rules of both that decide.
  returned: success
  type: list
  elements: str
  sample:
    - '192.0.2.0 → 10.1.0.10 tcp 22: at the source it does not pass (no rule), at the target it passes (…)'
drift:
  description: What would have to be changed so that all is as the plan wants it, one line each.
  returned: success
  type: list
  elements: str
  sample: ['update distributed firewall rule cloudexit-acme-in-web-tcp-443-9c01d2e4']
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
  description: What the verdict is about, always V(read_back).
  returned: success
  type: str
  sample: read_back
compared:
  description: How many network cards (C(ports)), pieces of addresses (C(places)) and of services (C(services)) were
    compared.
  returned: success
  type: dict
deviations:
  description: What the target cannot say exactly.
  returned: success
  type: list
  elements: dict
findings:
  description: What a person must know of the translation.
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
        found = network.verify(session, wanted)
    if params["refuse"]:
        network.refuse_drift(wanted, found)
    return {
        "changed": False,
        "differences": [str(one) for one in found.verdict.differences],
        "drift": [str(change) for change in found.changes.changes],
        **found.told(),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            "plan": {"type": "path", "required": True},
            "estate": {"type": "path"},
            "refuse": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    run(module, act)


if __name__ == "__main__":
    main()
