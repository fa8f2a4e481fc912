#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_clone
short_description: Freeze the disks of a workload and attach the copies to its reader host
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - With O(state=present), takes a snapshot of each disk of the plan, makes a volume from it and attaches that to the
    reader host, all disks at the same time, the boot disk's clone first. The source's own volumes stay as they are.
  - What an earlier run made is found by its marks and used, wherever that run ended; what is broken, twice there or
    older than the last time the source ran is removed and made again.
  - With O(state=absent), detaches and deletes the clones and snapshots of the workload, and nothing else.
  - The source has to be off.
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
      - Whether the clones are to be there.
    type: str
    choices: [present, absent]
    default: present
  renew:
    description:
      - Ids of clones to throw away and make again from their snapshots, since it is not certain what they hold.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds until all must be ready.
    type: float
    default: 1800
  max_attachments:
    description:
      - How many disks the reader host takes, its own included. A workload waits for room for all of its disks.
    type: int
    default: 20
seealso:
  - module: cloudexit.flexible_engine.disk_pass
  - module: cloudexit.flexible_engine.guest_adapt
"""

EXAMPLES = r"""
- name: Freeze the disks
  cloudexit.flexible_engine.disk_clone:
    workload: "{{ cloudexit }}"
    state: present
  register: frozen

- name: Remove what was temporary
  cloudexit.flexible_engine.disk_clone:
    workload: "{{ cloudexit }}"
    state: absent
"""

RETURN = r"""
clones:
  description: The clones, in the order of the plan's disks. Empty in check mode and with O(state=absent).
  returned: success
  type: list
  elements: dict
  contains:
    index:
      description: Place of the disk in the workload, from 0.
      type: int
    volume:
      description: Id of the source volume.
      type: str
    snapshot:
      description: Id of the snapshot.
      type: str
    clone:
      description: Id of the clone.
      type: str
    size:
      description: Size in bytes.
      type: int
      sample: 1073741824
    boot:
      description: Whether the machine boots from it.
      type: bool
    serials:
      description: What the reader host may see as the serial of the disk, best first.
      type: list
      elements: str
    device:
      description: Device name that the cloud gave the attachment; a hint only.
      type: str
      sample: /dev/vdb
    fresh:
      description: Whether nobody was given this clone before, so that it is certainly untouched.
      type: bool
    frozen_at:
      description: When the snapshot was made, as ISO 8601.
      type: str
      sample: '2026-03-01T12:00:00+00:00'
steps:
  description: What was done, in order; in check mode, what would be done first.
  returned: success
  type: list
  elements: str
  sample: [snapshot volume 0b8b8d5e-57ab-4f4c-a1a1-3f9a6c6c3f10]
seconds:
  description: Seconds that it took.
  returned: success
  type: float
  sample: 12.1
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import clones
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    WORKLOAD,
    open_source,
    source_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def clone(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    workload = Workload.of(params["workload"])
    began = time.monotonic()
    with open_source(params, workload) as cloud:
        if params["state"] == "present":
            done = clones.make(
                workload,
                cloud,
                renew=params["renew"],
                deadline_s=params["timeout"],
                max_attachments=params["max_attachments"],
                dry_run=module.check_mode,
            )
        else:
            done = clones.remove(workload, cloud, deadline_s=params["timeout"], dry_run=module.check_mode)
    result = {**done, "seconds": round(time.monotonic() - began, 3)}
    if done["changed"]:
        header = f"clones of server {workload.server_id}"
        lines = "".join(f"{step}\n" for step in done["steps"])
        result["diff"] = {"before_header": header, "after_header": header, "before": "", "after": lines}
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **source_spec(),
            "workload": WORKLOAD,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "renew": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": 1800},
            "max_attachments": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    run(module, clone)


if __name__ == "__main__":
    main()
