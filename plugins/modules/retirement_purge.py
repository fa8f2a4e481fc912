#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: retirement_purge
short_description: Delete what a sealed retirement plan lists, behind every gate
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Deletes the objects of the plan, by id, in the plan's order, one after the other. Each is read again just before its
    turn and compared with the plan; a difference, new activity, a hold, a closed gate or the file C(STOP) ends the run.
  - One object goes first and is read back as absent, then a few per cent, then the rest, within the plan's limits. Keys
    go last, in a run of their own.
  - The intent of each call is in the ledger before the call is made, its outcome after. A run that was killed anywhere
    is run again; what became of its last call is read, not assumed.
  - The credential must be another than the one that made the plan, for this project alone.
extends_documentation_fragment:
  - cloudexit.flexible_engine.openstack_auth
  - cloudexit.flexible_engine.retirement
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_source
seealso:
  - module: cloudexit.flexible_engine.retirement_plan
  - module: cloudexit.flexible_engine.retirement_info
"""

EXAMPLES = r"""
- name: Delete what may be deleted
  cloudexit.flexible_engine.retirement_purge:
    cloud: acme-purge
    policy: acme.retirement.yml
    plan: acme.plan.yml
    evidence_dir: evidence
    path: acme.retirement.json
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
    with open_retirement(params) as source:
        return retirement_files.run("purge", source, params["path"], dry_run=module.check_mode)


def main() -> None:
    module = AnsibleModule(argument_spec=retirement_spec(), supports_check_mode=True)
    run(module, act)


if __name__ == "__main__":
    main()
