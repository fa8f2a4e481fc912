#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_info
short_description: Tell how far the move of a workload is
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Reads, from the marks in both clouds, how far a workload is and which steps are left.
  - Refuses, before anything is changed, what cannot be moved as the plan says; all problems are told together. Among
    them are multi-attached and encrypted volumes, a size that is not the plan's, a reader that is down, a network or
    datastore that is not there, a disk that does not fit, and a name at the target that is taken.
extends_documentation_fragment:
  - cloudexit.flexible_engine.target_auth
  - cloudexit.flexible_engine.attributes.info
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  workload:
    description:
      - The workload, as the plan inventory gives it to its host in the variable C(cloudexit).
    type: dict
    required: true
  source:
    description:
      - How to reach the source cloud, with the options that the other modules take, for example C(cloud) or C(auth).
      - Left out, the plan's C(tenant.cloud) names the entry of C(clouds.yaml), else the environment does.
    type: dict
    default: {}
    suboptions:
      cloud:
        description:
          - Name of the entry in C(clouds.yaml), or the content of one.
        type: raw
      auth:
        description:
          - Credential, as openstacksdk takes it.
        type: dict
      auth_type:
        description:
          - Kind of credential in O(source.auth).
        type: str
      region_name:
        description:
          - Region.
        type: str
      project_id:
        description:
          - Id of another project than the credential's own.
        type: str
      interface:
        description:
          - Which of the cloud's endpoints to use.
        type: str
        choices: [public, internal, admin]
      validate_certs:
        description:
          - Whether the cloud's TLS certificates are verified.
        type: bool
      ca_cert:
        description:
          - File with the certificate authority (PEM) that signed the cloud's certificates.
        type: path
      api_timeout:
        description:
          - Seconds that one call to the cloud may take.
        type: float
  refuse:
    description:
      - Whether what cannot be moved is an error. V(false) only tells the phase.
    type: bool
    default: true
  evidence_dir:
    description:
      - Directory with the ledger. Where the copy of this workload is not in it although its machine was started, since
        a run was killed in between, the step V(copy) is left in RV(todo), which then only fetches the proof.
    type: path
  replace_rolled_back:
    description:
      - Whether a machine that a rollback kept at the target may be replaced by a new copy.
    type: bool
    default: false
requirements:
  - openstacksdk >= 4.4, < 5
seealso:
  - module: cloudexit.flexible_engine.disk_clone
  - module: cloudexit.flexible_engine.disk_pass
"""

EXAMPLES = r"""
- name: See how far the workload is
  cloudexit.flexible_engine.workload_info:
    workload: "{{ cloudexit }}"
  register: state

- name: Stop the source
  cloudexit.flexible_engine.source_server:
    workload: "{{ cloudexit }}"
    state: stopped
  when: "'stop' in state.todo"
"""

RETURN = r"""
phase:
  description: >-
    How far it is, V(planned), V(cloned), V(importing), V(imported), V(verified) or V(started).
  returned: success
  type: str
  sample: verified
todo:
  description: The steps that are left, of V(stop), V(clone), V(adapt), V(copy), V(clean), V(start), V(check), V(fence).
  returned: success
  type: list
  elements: str
  sample: [start, check, fence]
fenced:
  description: Whether the source is fenced by us.
  returned: success
  type: bool
stale:
  description: Whether a finished copy is out of date, since the source has run after it was frozen.
  returned: success
  type: bool
source:
  description: The source server, its id, name, status, running task, and lock.
  returned: success
  type: dict
  sample: {id: 3f2a9c1d-0d0f-4c07-9a9e-6d0a4f9f8a11, name: web-1, status: SHUTOFF, task: '', locked: false}
target:
  description: The machine at the target with its power, hardware, addresses and state; null where there is none.
  returned: success
  type: dict
temporary:
  description: Ids of our snapshots and clones in the source cloud.
  returned: success
  type: dict
  sample: {snapshots: [], clones: []}
proof:
  description: For each disk of a verified machine, the roots of the manifests that were found equal.
  returned: success
  type: list
  elements: dict
"""

import json
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import state
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    WORKLOAD,
    any_target_spec,
    open_any_target,
    open_source,
    source_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import evidence
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def info(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    workload = Workload.of(params["workload"])
    with open_source(params["source"], workload) as cloud, open_any_target(module, workload) as session:
        found = state.look(
            workload,
            cloud,
            session,
            replace_rolled_back=params["replace_rolled_back"],
            check=params["refuse"],
            recorded=_recorded(params["evidence_dir"], workload.host),
        )
    return {"changed": False, **state.as_dict(found)}


def _recorded(directory: str | None, host: str) -> bool | None:
    """Whether the ledger's folder holds the proof of this workload; None where there is no ledger."""
    if not directory:
        return True
    ledger = os.path.join(directory, "ledger.jsonl")
    try:
        with open(evidence.workload_file(ledger, host), encoding="utf-8") as stream:
            return "disk_pass" in json.load(stream).get("acts", {})
    except FileNotFoundError:
        return False if os.path.exists(ledger) else None
    except (OSError, ValueError):
        return True


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **any_target_spec(),
            "workload": WORKLOAD,
            "source": {"type": "dict", "default": {}, "options": source_spec()},
            "refuse": {"type": "bool", "default": True},
            "evidence_dir": {"type": "path"},
            "replace_rolled_back": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run(module, info)


if __name__ == "__main__":
    main()
