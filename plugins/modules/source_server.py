#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: source_server
short_description: Stop or start the source server of a workload
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Stops the server in an orderly way (ACPI) and waits until it is off, or starts it and waits until it runs.
  - A server that is paused, being resized, in error or locked by somebody else is refused, and so is the start of a
    fenced one.
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
      - Whether the server is to be off or to run.
    type: str
    choices: [stopped, started]
    required: true
  deadline:
    description:
      - Seconds to wait. Left out, the plan's C(stop.deadline_s) of the workload.
    type: float
seealso:
  - module: cloudexit.flexible_engine.source_fence
"""

EXAMPLES = r"""
- name: Stop the source
  cloudexit.flexible_engine.source_server:
    workload: "{{ cloudexit }}"
    state: stopped
"""

RETURN = r"""
status:
  description: Status of the server in the end.
  returned: success
  type: str
  sample: SHUTOFF
before:
  description: Status of the server at the beginning.
  returned: success
  type: str
  sample: ACTIVE
server_id:
  description: Id of the server.
  returned: success
  type: str
  sample: 3f2a9c1d-0d0f-4c07-9a9e-6d0a4f9f8a11
seconds:
  description: Seconds that it took.
  returned: success
  type: float
  sample: 7.4
stopped_at:
  description: When the server was found off, in UTC as RFC 3339. Only where it was stopped now.
  returned: when O(state=stopped) and changed
  type: str
  sample: '2026-03-01T12:00:00Z'
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.job import now
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    WORKLOAD,
    open_source,
    source_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import server


def power(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    workload = Workload.of(params["workload"])
    stopping = params["state"] == "stopped"
    wanted = "SHUTOFF" if stopping else "ACTIVE"
    deadline = params["deadline"] or workload.data.stop.deadline_s
    began = time.monotonic()
    with open_source(params, workload) as cloud:
        before = server.read(cloud, workload.server_id)
        server.require_movable(before, workload.marks)
        changed = before.status != wanted or bool(before.task)
        after = before
        if changed and not module.check_mode:
            act = server.stop if stopping else server.start
            after = act(cloud, before, workload.marks, deadline_s=deadline)
    result: dict[str, Any] = {
        "changed": changed,
        "server_id": before.id,
        "before": before.status,
        "status": after.status,
        "seconds": round(time.monotonic() - began, 3),
    }
    if stopping and changed and not module.check_mode:
        result["stopped_at"] = now()
    if changed:
        result["diff"] = {
            "before_header": f"server {before.id}",
            "after_header": f"server {before.id}",
            "before": f"status: {before.status}\n",
            "after": f"status: {wanted}\n",
        }
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **source_spec(),
            "workload": WORKLOAD,
            "state": {"type": "str", "choices": ["stopped", "started"], "required": True},
            "deadline": {"type": "float"},
        },
        supports_check_mode=True,
    )
    run(module, power)


if __name__ == "__main__":
    main()
