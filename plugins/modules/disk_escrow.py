#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_escrow
short_description: Keep an encrypted copy of a workload's source disks in a store of the customer's, and restore it once
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Runs on the reader host. Reads each clone once, and hashes, compresses, encrypts and stores it in the same read.
    Then fetches every disk back, decrypts it into a scratch file, and compares its manifest with that of what was read.
  - What is stored is CMS (AES-256-GCM) of stream-optimised VMDK in parts, with an index; C(openssl cms -decrypt) opens
    it without this collection. A copy is never replaced by a later one, and never removed.
  - The work is done by a job of its own, as that of M(cloudexit.flexible_engine.disk_pass); a run that was interrupted
    is joined by the next one. Credentials and the key stay in the memory of the job.
extends_documentation_fragment:
  - cloudexit.flexible_engine.store
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
      - Left out or empty, nothing is copied; the proof of a copy that is verified already is returned.
    type: list
    elements: dict
    default: []
  evidence_dir:
    description:
      - Directory on the controller for the manifests, below C(manifests/<workload>). Left out, they are not kept.
    type: path
  state_dir:
    description:
      - Directory of the reader host for the records of jobs. Must be readable by its owner only, and have room for the
        largest compressed disk.
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
seealso:
  - module: cloudexit.flexible_engine.disk_clone
  - module: cloudexit.flexible_engine.disk_verify
"""

EXAMPLES = r"""
- name: Keep the disks for the customer
  cloudexit.flexible_engine.disk_escrow:
    workload: "{{ cloudexit }}"
    clones: "{{ frozen.clones }}"
    store:
      place: s3://acme-escrow/flexible-engine
      endpoint_url: https://s3.example.com
    recipients:
      - "{{ lookup('ansible.builtin.file', 'acme.pem') }}"
      - "{{ lookup('ansible.builtin.file', 'operator.pem') }}"
    key: "{{ vault_escrow_key }}"
  delegate_to: "{{ cloudexit.reader.name }}"
"""

RETURN = r"""
vm_ref:
  description: Prefix of the copy in the store.
  returned: success, not in check mode
  type: str
  sample: acme/3f2a9c1d-0a4e-4a55-9d31-0e6f0e0b6c11/1f6b0c7a9d2e4b5a8c3d/
disks:
  description: The disks, in the order of the plan.
  returned: success, not in check mode
  type: list
  elements: dict
  contains:
    volume:
      description: Id of the source volume.
      type: str
    bytes:
      description: Size in bytes.
      type: int
    manifest_source:
      description: Root of the manifest of what was read.
      type: str
    manifest_target:
      description: Root of the manifest of what was restored.
      type: str
    equal:
      description: Whether the two are the same.
      type: bool
bytes:
  description: Size of all disks in bytes.
  returned: success, not in check mode
  type: int
sent:
  description: Bytes that were stored, before encryption.
  returned: success, not in check mode
  type: int
job:
  description: Id of the job on the reader host.
  returned: success, not in check mode
  type: str
manifest_files:
  description: Files of the manifests on the controller.
  returned: when O(evidence_dir) is given
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import disk_pass, escrow, job, transfer
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    WORKLOAD,
    open_store,
    store_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def start(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    workload = Workload.of(params["workload"])
    options = disk_pass.Options(
        purpose="escrow", state_dir=params["state_dir"], upload="chunked", device_timeout_s=params["device_timeout"]
    )
    store, keys = open_store(params)
    identity = disk_pass.pass_id(workload, params["clones"]) if params["clones"] else ""

    def opened(spool_dir: str) -> transfer.Target:
        return escrow.EscrowTarget(workload, store, keys, spool_dir=spool_dir, pass_id=identity)

    if module.check_mode:
        held = opened("").find()
        return {"changed": held is None or held.state != transfer.VERIFIED}
    record, status, started = disk_pass.start(workload, params["clones"], opened, options, wait_s=params["wait"])
    return {"changed": True, "started": started, **job.outcome(record, status, manifests=bool(params["evidence_dir"]))}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **store_spec(),
            "workload": WORKLOAD,
            "clones": {"type": "list", "elements": "dict", "default": []},
            "evidence_dir": {"type": "path"},
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
