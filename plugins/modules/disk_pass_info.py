#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_pass_info
short_description: Tell how far the copy of a workload's disks is
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Runs on the reader host and reads the record of the job that M(cloudexit.flexible_engine.disk_pass) started there.
    May be asked from another terminal while a migration runs.
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.info
options:
  workload:
    description:
      - The workload, as the plan inventory gives it to its host in the variable C(cloudexit).
    type: dict
    required: true
  state_dir:
    description:
      - Directory of the reader host for the records of jobs.
    type: path
    default: /var/lib/cloudexit
  purpose:
    description:
      - What the disks are read for.
    type: str
    choices:
      - pass
      - escrow
      - verify
    default: pass
  wait:
    description:
      - Seconds to wait for the end of the job, or for another stage than O(seen).
    type: float
    default: 0
  seen:
    description:
      - The stage (C(status.stage)) that is known already.
    type: str
    default: ''
  ready:
    description:
      - Whether it is an error that this host could not carry a pass out, since a Python package is missing or
        O(state_dir) cannot be used.
    type: bool
    default: false
  manifests:
    description:
      - Whether to return the manifests of a job that is done.
    type: bool
    default: false
seealso:
  - module: cloudexit.flexible_engine.disk_pass
"""

EXAMPLES = r"""
- name: See how far the copy is
  cloudexit.flexible_engine.disk_pass_info:
    workload: "{{ cloudexit }}"
  delegate_to: "{{ cloudexit.reader.name }}"
  register: copy
"""

RETURN = r"""
finished:
  description: Whether the job has ended, in whatever way, or there is none.
  returned: success
  type: bool
job:
  description: Id of the job.
  returned: success
  type: str
record:
  description: Directory of its record on the reader host.
  returned: success
  type: str
status:
  description: >-
    Its last status, with C(phase), C(stage) (the last phase that takes long), C(done) and C(total) in bytes, C(rate) in
    bytes per second, C(eta_s), the C(disks) with the same, C(error) of a job that failed, and whether it is C(alive) or
    C(dead).
  returned: success
  type: dict
result:
  description: What it came to, as M(cloudexit.flexible_engine.disk_pass) returns it.
  returned: when it is done
  type: dict
manifests:
  description: The manifests, by file name, as Base64; null for one that is too large for that.
  returned: when it is done and O(manifests)
  type: dict
"""

import importlib.util
import sys
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import disk_pass, job
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def info(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    try:
        parts = (str(params["workload"]["tenant"]["name"]), str(params["workload"]["source"]["id"]))
    except (KeyError, TypeError) as exc:
        raise CloudExitError("The option workload is not a workload of a plan", hint="Give it cloudexit.") from exc
    record = job.Record(params["state_dir"], disk_pass.record_id(*parts, params["purpose"]))
    if params["ready"]:
        _require_ready(record)
    status = record.wait(params["wait"], params["seen"])
    return {"changed": False, **job.outcome(record, status, manifests=params["manifests"])}


def _require_ready(record: job.Record) -> None:
    """Raises CloudExitError before anything was stopped or made."""
    packages = {"pyVmomi": "'pyvmomi>=9,<10'", "yaml": "pyyaml"}
    missing = [package for name, package in packages.items() if importlib.util.find_spec(name) is None]
    if missing:
        raise CloudExitError(
            "This host cannot read disks for a migration",
            cause=f"its Python ({sys.executable}) lacks {', '.join(missing)}",
            hint=f"Install there: pip install {' '.join(missing)} 'isal>=1.7,<2' 'blake3>=1,<2'",
        )
    record.usable()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "workload": {"type": "dict", "required": True},
            "purpose": {"type": "str", "choices": ["pass", "escrow", "verify"], "default": "pass"},
            "state_dir": {"type": "path", "default": job.DEFAULT_STATE_DIR},
            "wait": {"type": "float", "default": 0},
            "seen": {"type": "str", "default": ""},
            "ready": {"type": "bool", "default": False},
            "manifests": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run(module, info)


if __name__ == "__main__":
    main()
