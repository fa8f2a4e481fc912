#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: source_fence
short_description: Keep a moved source server from being started by accident
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Locks the server with a reason that says where its workload went, and marks it in its metadata. Nothing is deleted.
  - The fence is undone with O(state=absent), which removes our lock and our mark and nothing else.
  - A lock that somebody else has set is never touched.
extends_documentation_fragment:
  - cloudexit.flexible_engine.openstack_auth
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_source
options:
  workload:
    description:
      - The workload, as the plan inventory gives it to its host in the variable C(cloudexit).
    type: dict
    required: true
  state:
    description:
      - Whether the server is to be fenced.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: cloudexit.flexible_engine.source_server
"""

EXAMPLES = r"""
- name: Fence the source
  cloudexit.flexible_engine.source_fence:
    workload: "{{ cloudexit }}"
    state: present
"""

RETURN = r"""
fenced:
  description: Whether the server is fenced in the end.
  returned: success
  type: bool
server_id:
  description: Id of the server.
  returned: success
  type: str
  sample: 3f2a9c1d-0d0f-4c07-9a9e-6d0a4f9f8a11
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    WORKLOAD,
    open_source,
    source_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import server


def fence(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    workload = Workload.of(params["workload"])
    present = params["state"] == "present"
    with open_source(params, workload) as cloud:
        before = server.read(cloud, workload.server_id)
        held = before.fence_of(workload.marks)
        if module.check_mode:
            changed = held != "ours" if present else held in ("ours", "partial")
        elif present:
            changed = server.fence(cloud, before, workload.marks, target=workload.target_label)
        else:
            changed = server.unfence(cloud, before, workload.marks)
    result: dict[str, Any] = {"changed": changed, "server_id": before.id, "fenced": present}
    if changed:
        result["diff"] = {
            "before_header": f"server {before.id}",
            "after_header": f"server {before.id}",
            "before": f"fence: {held}\n",
            "after": f"fence: {'ours' if present else 'none'}\n",
        }
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **source_spec(),
            "workload": WORKLOAD,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    run(module, fence)


if __name__ == "__main__":
    main()
