#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_verify
short_description: Read the source disks of a workload that moved once more, and compare them with the proof of the move
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Runs on the reader host. Reads fresh clones of the disks, hashes them, and compares the roots of their manifests
    with those of the source's own bytes that M(cloudexit.flexible_engine.disk_pass) returned when the workload moved.
    Equal roots show that nobody wrote to the source since.
  - The work is done by a job of its own, as that of M(cloudexit.flexible_engine.disk_pass); a run that was interrupted
    is joined by the next one.
  - It changes nothing, and is the same in check mode but that nothing is read.
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.full
options:
  workload:
    description:
      - The workload, as the plan inventory gives it to its host in the variable C(cloudexit).
    type: dict
    required: true
  clones:
    description:
      - What M(cloudexit.flexible_engine.disk_clone) returned as C(clones).
    type: list
    elements: dict
    required: true
  proven:
    description:
      - What M(cloudexit.flexible_engine.disk_pass) returned as C(disks) when the workload moved, each with C(volume)
        and C(manifest_before).
    type: list
    elements: dict
    required: true
  state_dir:
    description:
      - Directory of the reader host for the records of jobs. Must be readable by its owner only.
    type: path
    default: /var/lib/cloudexit
  device_timeout:
    description:
      - Seconds until the clones must be seen as devices.
    type: float
    default: 60
  progress:
    description:
      - Whether lines tell the progress.
    type: bool
    default: true
  wait:
    description:
      - Seconds to wait for the job's end before the progress is told for the first time.
    type: float
    default: 5
requirements:
  - blake3 >= 1, < 2 on the reader host, where the pass had it
seealso:
  - module: cloudexit.flexible_engine.disk_pass
  - module: cloudexit.flexible_engine.disk_clone
"""

EXAMPLES = r"""
- name: See that nobody wrote to the source since
  cloudexit.flexible_engine.disk_verify:
    workload: "{{ cloudexit }}"
    clones: "{{ frozen.clones }}"
    proven: "{{ moved.disks }}"
  delegate_to: "{{ cloudexit.reader.name }}"
"""

RETURN = r"""
disks:
  description: The disks, in the order of the plan.
  returned: success, not in check mode
  type: list
  elements: dict
  contains:
    index:
      description: Place of the disk, from 0.
      type: int
    volume:
      description: Id of the source volume.
      type: str
    bytes:
      description: Size in bytes.
      type: int
    manifest:
      description: Root of the manifest of what is there now; the same as when it moved.
      type: str
      sample: blake3:5b1e…
bytes:
  description: Size of all disks in bytes.
  returned: success, not in check mode
  type: int
job:
  description: Id of the job on the reader host.
  returned: success, not in check mode
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import (
    disk_pass,
    disk_verify,
    job,
    transfer,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import WORKLOAD
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def _nothing(_spool_dir: str) -> transfer.Target:
    raise CloudExitError("A reading has no target")


def start(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    workload = Workload.of(params["workload"])
    options = disk_pass.Options(
        purpose="verify",
        state_dir=params["state_dir"],
        device_timeout_s=params["device_timeout"],
        expected=disk_verify.expected(params["proven"]),
    )
    if module.check_mode:
        return {"changed": False}
    record, status, started = disk_pass.start(
        workload, params["clones"], _nothing, options, wait_s=params["wait"], runner=disk_verify.Reading
    )
    return {"changed": False, "started": started, **job.outcome(record, status, manifests=False)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "workload": WORKLOAD,
            "clones": {"type": "list", "elements": "dict", "required": True},
            "proven": {"type": "list", "elements": "dict", "required": True},
            "state_dir": {"type": "path", "default": job.DEFAULT_STATE_DIR},
            "device_timeout": {"type": "float", "default": 60},
            "progress": {"type": "bool", "default": True},
            "wait": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    run(module, start)


if __name__ == "__main__":
    main()
