#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_pass
short_description: Copy the frozen disks of a workload into a new machine at the target, and prove it
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Runs on the reader host. Reads each clone once, and hashes, compresses and sends it into the import of a new machine
    in the same read; the machine has the hardware of the plan. Then reads every disk back from the target with separate
    code and compares the manifests; only equal ones make the machine a verified one.
  - The work is done by a job of its own on the reader host, which goes on when the run that started it ends in whatever
    way; the next run joins it. What a dead job left at the target is taken away before it is started anew.
  - While the job works, a line for each disk tells its progress, its rate and the time that is left.
  - A broken connection or an expired session is tried again, with a new import, up to three times.
  - Credentials stay in the memory of the job. Its record has none.
extends_documentation_fragment:
  - cloudexit.flexible_engine.target_auth
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  workload:
    description:
      - The workload, as the plan inventory gives it to its host in the variable C(cloudexit).
    type: dict
    required: true
  clones:
    description:
      - What M(cloudexit.flexible_engine.disk_clone) returned as C(clones).
      - Left out or empty, nothing is copied; the proof of a machine that is verified already is returned.
    type: list
    elements: dict
    default: []
  state:
    description:
      - V(absent) ends a job that is under way, which gives its import back; what is complete at the target is left.
    type: str
    choices: [present, absent]
    default: present
  manifest_before:
    description:
      - Root of the manifest of the boot disk before its guest was adapted, as
        M(cloudexit.flexible_engine.guest_adapt) returned it.
    type: str
    default: ''
  manifest_before_file:
    description:
      - File of that manifest on the reader host.
    type: str
    default: ''
  evidence_dir:
    description:
      - Directory on the controller for the manifests, below C(manifests/<workload>). Left out, they are not kept.
    type: path
  upload:
    description:
      - How a disk is sent. V(chunked) sends while it reads and needs no length; V(spooled) first writes the compressed
        disk to O(state_dir), V(measured) reads the disk twice, both for a server that wants a length.
      - V(auto) is V(chunked), and V(spooled) where the server demands a length.
      - Cloud Director demands the lengths of all disks before the first byte. There, V(auto) is V(spooled) where
        O(state_dir) has room for all disks of the workload uncompressed, and V(measured) where it has not; V(chunked)
        is refused.
    type: str
    choices: [auto, chunked, spooled, measured]
    default: auto
  replace_rolled_back:
    description:
      - Whether a machine that a rollback kept at the target may be replaced.
    type: bool
    default: false
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
  - isal >= 1.7, < 2 and blake3 >= 1, < 2 on the reader host, for speed; without them it is correct and slower
  - PyYAML on the reader host
seealso:
  - module: cloudexit.flexible_engine.disk_pass_info
  - module: cloudexit.flexible_engine.disk_clone
"""

EXAMPLES = r"""
- name: Copy the disks
  cloudexit.flexible_engine.disk_pass:
    workload: "{{ cloudexit }}"
    clones: "{{ frozen.clones }}"
    evidence_dir: /srv/acme/evidence
  delegate_to: "{{ cloudexit.reader.name }}"
"""

RETURN = r"""
vm_ref:
  description: Reference of the machine.
  returned: success, not in check mode
  type: str
  sample: vm-42
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
    manifest_before:
      description: Root of the manifest before the guest was adapted, the proof against the source.
      type: str
      sample: blake3:0f4c…
    manifest_source:
      description: Root of the manifest of what was read.
      type: str
      sample: blake3:5b1e…
    manifest_target:
      description: Root of the manifest of what was read back; empty for a disk of which a sample was read.
      type: str
      sample: blake3:5b1e…
    equal:
      description: Whether the two are the same. Never true of a disk of which a sample was read.
      type: bool
    proof:
      description: V(full) where all of it was read back, V(sampled) where the plan chose a sample of it.
      type: str
      sample: full
    sample:
      description:
        - Of a sampled disk, chunks that were compared (C(read)) of all that hold data (C(chunks)).
        - C(finds_one) and C(finds_one_in_1000) are the probabilities with which that finds one damaged chunk, and
          damage of one in 1000 of them.
      returned: for a sampled disk
      type: dict
    sent:
      description: Bytes that were sent.
      type: int
    read:
      description: Bytes that were read from the device.
      type: int
    seconds:
      description: Seconds that reading and sending took.
      type: float
    rate:
      description: Bytes of the disk per second.
      type: int
bytes:
  description: Size of all disks in bytes.
  returned: success, not in check mode
  type: int
sent:
  description: Bytes that were sent in all.
  returned: success, not in check mode
  type: int
seconds:
  description: Seconds of the whole pass, the proof included.
  returned: success, not in check mode
  type: float
attempts:
  description: How many tries it took, those of the proof included.
  returned: success, not in check mode
  type: int
upload:
  description: How the disks were sent.
  returned: success, not in check mode
  type: str
  sample: chunked
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

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import disk_pass, job, target, transfer
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    WORKLOAD,
    any_target_spec,
    open_any_target,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def start(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    workload = Workload.of(params["workload"])
    if params["state"] == "absent":
        return _absent(workload, params["state_dir"], dry_run=module.check_mode)
    if module.check_mode:
        return _plan(workload)
    options = disk_pass.Options(
        state_dir=params["state_dir"],
        upload=params["upload"],
        replace_rolled_back=params["replace_rolled_back"],
        manifest_before=params["manifest_before"],
        before_file=params["manifest_before_file"],
        device_timeout_s=params["device_timeout"],
    )

    target.load(workload)

    def opened(spool_dir: str) -> transfer.Target:
        return target.of(workload, open_any_target(module, workload), spool_dir=spool_dir)

    record, status, started = disk_pass.start(workload, params["clones"], opened, options, wait_s=params["wait"])
    found = job.outcome(record, status, manifests=bool(params["evidence_dir"]))
    return {"changed": True, "started": started, **found}


def _absent(workload: Workload, state_dir: str, *, dry_run: bool) -> dict[str, Any]:
    record = job.Record(state_dir, disk_pass.record_id(workload.tenant, workload.server_id))
    alive = record.alive()
    if alive and not dry_run:
        record.stop()
    result: dict[str, Any] = {"changed": alive, "job": record.job}
    if alive:
        header = f"job {record.job}"
        result["diff"] = {"before_header": header, "after_header": header, "before": "alive\n", "after": "ended\n"}
    return result


def _plan(workload: Workload) -> dict[str, Any]:
    import yaml

    header = f"machine of {workload.host} at {workload.target_label}"
    text = yaml.safe_dump(target.spec_text(workload), sort_keys=False, allow_unicode=True)
    diff = {"before_header": header, "after_header": header, "before": "", "after": text}
    return {"changed": True, "diff": diff}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **any_target_spec(),
            "workload": WORKLOAD,
            "clones": {"type": "list", "elements": "dict", "default": []},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "manifest_before": {"type": "str", "default": ""},
            "manifest_before_file": {"type": "str", "default": ""},
            "evidence_dir": {"type": "path"},
            "upload": {"type": "str", "choices": ["auto", "chunked", "spooled", "measured"], "default": "auto"},
            "replace_rolled_back": {"type": "bool", "default": False},
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
