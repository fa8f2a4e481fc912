#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: retirement_quarantine
short_description: Put everything that a sealed retirement plan lists to rest, so that it can be taken back
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Stops and locks servers, closes the security groups of ports, disables members of load balancers, detaches floating
    addresses, and whatever else of the listed objects can be undone exactly. The state before each step is written to
    the ledger before the step is made.
  - The first object is put to rest, brought back and compared with what it was, before the others follow.
  - Every gate of a quarantine must be open, and the plan signed by enough people. There is no way around a gate.
extends_documentation_fragment:
  - cloudexit.flexible_engine.openstack_auth
  - cloudexit.flexible_engine.retirement
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_source
options:
  state:
    description:
      - V(absent) brings every object back to the exact state that it had before.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: cloudexit.flexible_engine.retirement_plan
  - module: cloudexit.flexible_engine.retirement_info
"""

EXAMPLES = r"""
- name: Put the tenant to rest
  cloudexit.flexible_engine.retirement_quarantine:
    cloud: acme-operator
    policy: acme.retirement.yml
    plan: acme.plan.yml
    evidence_dir: evidence
    path: acme.retirement.json

- name: Take it back
  cloudexit.flexible_engine.retirement_quarantine:
    cloud: acme-operator
    policy: acme.retirement.yml
    plan: acme.plan.yml
    evidence_dir: evidence
    path: acme.retirement.json
    state: absent
"""

RETURN = r"""
objects:
  description: What this run changed, as kind and id; in check mode, what it would change.
  returned: success
  type: list
  elements: str
  sample: [volumes/0b8b8d5e-57ab-4f4c-a1a1-3f9a6c6c3f10]
already:
  description: How many objects were so before.
  returned: success
  type: int
waiting:
  description: What another run has still to do, as kind and id.
  returned: success
  type: list
  elements: str
gib:
  description: GiB that this run deleted.
  returned: success
  type: float
calls:
  description: Calls of this run that changed something in the cloud.
  returned: success
  type: int
relocked:
  description: What was unlocked for its turn, is still there and was locked again, as kind and id.
  returned: success
  type: list
  elements: str
limit:
  description: The limit of the plan at which this run ended although more is to be done; empty where none was reached.
  returned: success
  type: str
plan_digest:
  description: Digest of the retirement plan.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import retirement_files
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    open_retirement,
    retirement_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def act(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    what = "quarantine" if params["state"] == "present" else "undo"
    with open_retirement(params) as source:
        return retirement_files.run(what, source, params["path"], dry_run=module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **retirement_spec(),
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    run(module, act)


if __name__ == "__main__":
    main()
