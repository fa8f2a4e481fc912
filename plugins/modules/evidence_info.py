#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: evidence_info
short_description: Tell what the ledger holds of a workload
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Tells of a workload the proof of its last copy that was not rolled back, when its source and its target were last
    read again, and which of its disks are in the escrow.
  - A ledger whose chain is not sound tells nothing; that is an error.
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.info
options:
  evidence_dir:
    description:
      - Directory of the ledger.
    type: path
    required: true
  workload:
    description:
      - Name of the workload, as the plan has it.
    type: str
    required: true
  fresh_hours:
    description:
      - Hours for which a reading counts, so that it need not be made again.
    type: float
    default: 12
seealso:
  - module: cloudexit.flexible_engine.disk_verify
  - module: cloudexit.flexible_engine.disk_escrow
"""

EXAMPLES = r"""
- name: See what is proven of it
  cloudexit.flexible_engine.evidence_info:
    evidence_dir: evidence
    workload: web-1
  register: proof
"""

RETURN = r"""
disks:
  description: Its disks as M(cloudexit.flexible_engine.disk_pass) returned them; empty where it did not move.
  returned: success
  type: list
  elements: dict
todo:
  description: What was not read again within O(fresh_hours), of V(source_verified) and V(target_verified).
  returned: success
  type: list
  elements: str
escrow:
  description: Ids of its volumes that are in the escrow, restored once and equal.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import decommission
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def info(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    return {
        "changed": False,
        **decommission.evidence_of(params["evidence_dir"], params["workload"], params["fresh_hours"]),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "evidence_dir": {"type": "path", "required": True},
            "workload": {"type": "str", "required": True},
            "fresh_hours": {"type": "float", "default": 12},
        },
        supports_check_mode=True,
    )
    run(module, info)


if __name__ == "__main__":
    main()
