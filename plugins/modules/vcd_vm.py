#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vcd_vm
short_description: Start or stop the machine of a workload in Cloud Director
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Finds the machine by the owner marks in its metadata.
  - With O(state=started), connects its network cards and switches it on. Only a machine that is proven to hold what the
    source held is started.
  - With O(state=stopped), asks the guest to shut down, switches it off where it does not follow, and keeps it.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  workload:
    description:
      - The workload, as the plan inventory gives it to its host in the variable C(cloudexit).
    type: dict
    required: true
  state:
    description:
      - Whether the machine is to run.
    type: str
    choices: [started, stopped]
    required: true
  mark:
    description:
      - State to mark a started machine with when it is stopped. V(rolled_back) keeps a later migration from taking it
        for a finished one.
    type: str
    choices: [rolled_back]
  timeout:
    description:
      - Seconds that switching on, or the guest's shutdown, may take.
    type: float
    default: 300
  missing_ok:
    description:
      - With O(state=stopped), whether it is fine that there is no machine.
    type: bool
    default: false
seealso:
  - module: cloudexit.flexible_engine.workload_check
"""

EXAMPLES = r"""
- name: Start the machine
  cloudexit.flexible_engine.vcd_vm:
    workload: "{{ cloudexit }}"
    state: started
"""

RETURN = r"""
vm_ref:
  description: Reference of the machine; empty where there is none.
  returned: success
  type: str
  sample: vm-42
machine:
  description: The machine in the end, with its power, hardware, addresses and state; null where there is none.
  returned: success
  type: dict
seconds:
  description: Seconds that it took.
  returned: success
  type: float
  sample: 1.2
started_at:
  description: When the machine was switched on, in UTC as RFC 3339.
  returned: when O(state=started) and changed
  type: str
  sample: '2026-03-01T12:00:00Z'
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import vcd
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.job import now
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    WORKLOAD,
    open_vcd,
    vcd_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import NotFound
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def machine(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    workload = Workload.of(params["workload"])
    starting = params["state"] == "started"
    began = time.monotonic()
    with open_vcd(module, workload) as session:
        try:
            if starting:
                done = vcd.started(workload, session, dry_run=module.check_mode, timeout=params["timeout"])
            else:
                done = vcd.stopped(
                    workload,
                    session,
                    dry_run=module.check_mode,
                    timeout=params["timeout"],
                    state=params["mark"] or "",
                )
        except NotFound:
            if module.check_mode and starting:
                return _absent(workload, changed=True)
            if starting or not params["missing_ok"]:
                raise
            return _absent(workload, changed=False)
    changed, before, after = done
    result: dict[str, Any] = {
        "changed": changed,
        "vm_ref": after.ref,
        "machine": dict(after.summary),
        "seconds": round(time.monotonic() - began, 3),
    }
    if changed and starting and not module.check_mode:
        result["started_at"] = now()
    if changed:
        result["diff"] = _diff(before.ref, _power(before.running), _power(starting))
    return result


def _power(on: bool) -> str:
    return "poweredOn" if on else "poweredOff"


def _absent(workload: Workload, *, changed: bool) -> dict[str, Any]:
    result: dict[str, Any] = {"changed": changed, "vm_ref": "", "machine": None, "seconds": 0.0}
    if changed:
        result["diff"] = _diff(f"of {workload.host}", "poweredOff", "poweredOn")
    return result


def _diff(name: str, before: str, after: str) -> dict[str, str]:
    header = f"machine {name}"
    return {
        "before_header": header,
        "after_header": header,
        "before": f"power: {before}\n",
        "after": f"power: {after}\n",
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            "workload": WORKLOAD,
            "state": {"type": "str", "choices": ["started", "stopped"], "required": True},
            "mark": {"type": "str", "choices": ["rolled_back"]},
            "timeout": {"type": "float", "default": 300},
            "missing_ok": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run(module, machine)


if __name__ == "__main__":
    main()
