#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: retirement_info
short_description: Tell how far a decommission is, which gates are closed and why, and what is left
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Judges the gates of a quarantine or a purge as the act itself would, and tells what of the plan is done.
  - Reads the cloud, changes nothing.
extends_documentation_fragment:
  - cloudexit.flexible_engine.openstack_auth
  - cloudexit.flexible_engine.retirement
  - cloudexit.flexible_engine.attributes.info
  - cloudexit.flexible_engine.attributes.actiongroup_source
options:
  act:
    description:
      - Act whose gates are judged; V(none) judges none.
    type: str
    choices: [quarantine, purge, none]
    default: purge
  left:
    description:
      - Whether to read the tenant once more and tell what is left of it.
    type: bool
    default: false
seealso:
  - module: cloudexit.flexible_engine.retirement_purge
"""

EXAMPLES = r"""
- name: Which gates are closed?
  cloudexit.flexible_engine.retirement_info:
    cloud: acme
    policy: acme.retirement.yml
    plan: acme.plan.yml
    evidence_dir: evidence
    path: acme.retirement.json
  register: retirement
"""

RETURN = r"""
gates:
  description: Every gate of the act.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the gate.
      type: str
      sample: G6
    open:
      description: Whether it is open.
      type: bool
    why:
      description: Why it is closed, or what an open one says.
      type: str
    evidence:
      description: What it was judged on.
      type: dict
done:
  description: What of the plan is absent, as kind and id.
  returned: success
  type: list
  elements: str
waiting:
  description: What of the plan is still to be deleted, as kind and id.
  returned: success
  type: list
  elements: str
plan_digest:
  description: Digest of the retirement plan.
  returned: success
  type: str
left:
  description: What is left of the tenant.
  returned: when O(left)
  type: dict
  contains:
    planned:
      description: Objects of the plan that are still there, as kind and id.
      type: list
      elements: str
    going:
      description: Objects that their service deletes later, such as keys.
      type: list
      elements: str
    unknown:
      description: Objects that the plan does not know.
      type: list
      elements: str
    billing:
      description: All objects that cost money as long as they are there.
      type: list
      elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import retirement_files
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    open_retirement,
    retirement_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def info(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    with open_retirement(params) as source:
        told = retirement_files.info(source, params["path"], params["act"], left=params["left"])
    return {"changed": False, **told}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **retirement_spec(),
            "act": {"type": "str", "choices": ["quarantine", "purge", "none"], "default": "purge"},
            "left": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run(module, info)


if __name__ == "__main__":
    main()
