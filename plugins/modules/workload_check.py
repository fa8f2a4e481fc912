#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_check
short_description: Check that a workload serves at the target
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Runs the checks that the plan names for a workload, all at the same time, each until it holds or its time is over.
  - Fails when one does not hold, naming all that do not.
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.info
options:
  workload:
    description:
      - The workload, as the plan inventory gives it to its host in the variable C(cloudexit).
    type: dict
    required: true
  checks:
    description:
      - The checks to run. Left out, those of O(workload).
    type: list
    elements: dict
    suboptions:
      type:
        description:
          - V(tcp) wants a port to take a connection, V(http) a URL to answer, V(ssh) a command to end well.
        type: str
        choices: [tcp, http, ssh]
        required: true
      host:
        description:
          - Where to connect (V(tcp), V(ssh)). Left out, the first address of the workload.
        type: str
      port:
        description:
          - Port to connect to. Required for V(tcp); for V(ssh), left out, 22.
        type: int
      url:
        description:
          - URL to get (V(http)).
        type: str
      status:
        description:
          - HTTP status that is expected.
        type: int
        default: 200
      command:
        description:
          - Command to run (V(ssh)).
        type: str
      user:
        description:
          - Login name (V(ssh)).
        type: str
      key_file:
        description:
          - Private key file (V(ssh)).
        type: path
      options:
        description:
          - Further options of C(ssh), each as C(Name=value).
        type: list
        elements: str
        default: []
      rc:
        description:
          - Exit code that is expected (V(ssh)).
        type: int
        default: 0
      expect:
        description:
          - Text that the page or the output must hold.
        type: str
      timeout_s:
        description:
          - Seconds until the check must have held.
        type: float
        default: 300
      validate_certs:
        description:
          - Whether the certificate of an C(https) URL is verified.
        type: bool
        default: true
  since:
    description:
      - When the machine was started, in UTC as RFC 3339, to tell RV(boot_seconds).
    type: str
    default: ''
seealso:
  - module: cloudexit.flexible_engine.vsphere_vm
"""

EXAMPLES = r"""
- name: Check the moved workload
  cloudexit.flexible_engine.workload_check:
    workload: "{{ cloudexit }}"
"""

RETURN = r"""
checks:
  description: How each check ended, in the order of the plan.
  returned: always, when the checks could be run
  type: list
  elements: dict
  contains:
    name:
      description: What was checked.
      type: str
      sample: http http://192.0.2.11/
    ok:
      description: Whether it held.
      type: bool
    seconds:
      description: Seconds until it held, or until it was given up.
      type: float
      sample: 31.5
    detail:
      description: What was seen last.
      type: str
      sample: HTTP 200, with the expected text
checked_at:
  description: When the checks had ended, in UTC as RFC 3339.
  returned: always, when the checks could be run
  type: str
  sample: '2026-03-01T12:01:00Z'
boot_seconds:
  description: Seconds from O(since) until the last check held; null where O(since) is not given.
  returned: success
  type: float
  sample: 42.0
seconds:
  description: Seconds that it took.
  returned: success
  type: float
  sample: 31.5
"""

import time
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import checks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.job import now
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import WORKLOAD
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def check(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    workload = Workload.of(params["workload"])
    wanted = params["checks"]
    if wanted is None:
        wanted = params["workload"].get("checks", [])
    host = workload.addresses[0] if workload.addresses else ""
    todo = checks.of_plan(wanted, host, f"cloudexit-{workload.server_id}")
    if module.check_mode:
        todo = []  # nothing was started, so nothing can hold
    began = time.monotonic()
    outcomes = checks.run_all(todo)
    seconds = round(time.monotonic() - began, 3)
    result: dict[str, Any] = {
        "changed": False,
        "checks": [outcome.as_dict() for outcome in outcomes],
        "checked_at": now(),
        "boot_seconds": _since(params["since"]),
        "seconds": seconds,
    }
    failed = [outcome for outcome in outcomes if not outcome.ok]
    if failed:
        lines = "".join(f"\n  - {outcome.name}: {outcome.detail}" for outcome in failed)
        hint = "The machine runs, the source is off and not fenced. Look at its console, or use the rollback playbook."
        module.fail_json(
            msg=f"{len(failed)} of {len(outcomes)} checks of {workload.host} do not hold:{lines}\n{hint}",
            error="ChecksFailed",
            hint=hint,
            retryable=True,
            **result,
        )
    return result


def _since(text: str) -> float | None:
    if not text:
        return None
    began = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round((datetime.now(timezone.utc) - began).total_seconds(), 1)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "workload": WORKLOAD,
            "checks": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "type": {"type": "str", "choices": ["tcp", "http", "ssh"], "required": True},
                    "host": {"type": "str"},
                    "port": {"type": "int"},
                    "url": {"type": "str"},
                    "status": {"type": "int", "default": 200},
                    "command": {"type": "str"},
                    "user": {"type": "str"},
                    "key_file": {"type": "path", "no_log": False},
                    "options": {"type": "list", "elements": "str", "default": []},
                    "rc": {"type": "int", "default": 0},
                    "expect": {"type": "str"},
                    "timeout_s": {"type": "float", "default": 300},
                    "validate_certs": {"type": "bool", "default": True},
                },
            },
            "since": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    run(module, check)


if __name__ == "__main__":
    main()
