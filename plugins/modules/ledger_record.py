#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ledger_record
short_description: Record in the ledger what was done to a workload, or to a tenant as a whole
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Appends one record for each act that changed something to a ledger, a file of JSON lines in which each record holds
    the hash of the one before it. Nothing is ever changed or removed there, and nothing is appended when nothing
    changed.
  - Keeps ids, times, digests and counts. Values whose name tells that they are secret are replaced by C(***), and
    bulky ones are dropped.
  - Also keeps the latest result of each act in C(workloads/<workload>.json) beside the ledger, for the report.
  - Several processes may record in the same ledger at the same time.
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.full
options:
  path:
    description:
      - The ledger. Its folder is made when missing.
    type: path
    required: true
  tenant:
    description:
      - Name of the tenant, as in the plan.
    type: str
    required: true
  workload:
    description:
      - Key of the workload, as in the plan. Left out, the acts are about no single one, for example about the network
        of the tenant, and their latest results are kept in C(tenant.json).
    type: str
    default: ''
  facts:
    description:
      - What the plan says of the workload, for example its C(source) and C(target). Kept for the report; the ids in it
        go into every record.
    type: dict
    default: {}
  acts:
    description:
      - The acts, in the order in which they were done. Those that were skipped, or that changed nothing and have no
        result, may be among them and are left out.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - What was done, by the name of the module.
        type: str
        required: true
      changed:
        description:
          - Whether it changed anything. Left out, C(changed) in O(acts[].result) says so.
        type: bool
      evidence:
        description:
          - Record the act although it changes nothing, because it proves something. It is recorded together with acts
            that did change something, and whenever the workload has no record of it yet.
          - An act that failed is recorded without this, once for each failure.
        type: bool
        default: false
      time:
        description:
          - When the act ended, in UTC as RFC 3339. Left out, the time of recording.
        type: str
        default: ''
      result:
        description:
          - The result of the module, as it was registered.
        type: dict
        default: {}
seealso:
  - module: cloudexit.flexible_engine.ledger_verify
  - module: cloudexit.flexible_engine.report
"""

EXAMPLES = r"""
- name: Record that the source is fenced
  cloudexit.flexible_engine.ledger_record:
    path: evidence/ledger.jsonl
    tenant: acme
    workload: web-1-3f2a9c1d
    acts:
      - name: source_fence
        result: "{{ fenced }}"
      - name: workload_check
        evidence: true
        result: "{{ checked }}"
"""

RETURN = r"""
records:
  description: The records that were appended, in order.
  returned: success
  type: list
  elements: dict
  contains:
    act:
      description: Name of the act.
      type: str
      sample: disk_pass
    hash:
      description: Hash of the record. Empty in check mode.
      type: str
      sample: sha256:0f4c…
    seq:
      description: Number of the record in the ledger, from 1. 0 in check mode.
      type: int
      sample: 17
workload_file:
  description: File with the latest results of the workload.
  returned: success
  type: str
  sample: /srv/acme/evidence/workloads/web-1-3f2a9c1d.json
torn:
  description: Where the remains of a record were put that an earlier crash had cut off; empty when there were none.
  returned: success
  type: str
  sample: ''
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import evidence
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def record(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    acts = [
        evidence.Act(
            name=act["name"],
            changed=bool(act["result"].get("changed")) if act["changed"] is None else act["changed"],
            evidence=act["evidence"],
            result=act["result"],
            time=act["time"],
        )
        for act in params["acts"]
    ]
    done = evidence.record(
        params["path"], params["tenant"], params["workload"], acts, params["facts"], dry_run=module.check_mode
    )
    if done.torn:
        module.warn(f"The last record of {params['path']} had been cut off by a crash; its remains are in {done.torn}.")
    result: dict[str, Any] = {
        "changed": done.changed,
        "records": [{"act": r["act"], "hash": r["hash"], "seq": r["seq"]} for r in done.records]
        or [{"act": entry.act, "hash": "", "seq": 0} for entry in done.entries],
        "workload_file": done.workload_file,
        "torn": done.torn,
    }
    if done.changed and module._diff:
        result["diff"] = {"before_header": params["path"], "after_header": params["path"], "before": ""}
        result["diff"]["after"] = evidence.difference(done)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "tenant": {"type": "str", "required": True},
            "workload": {"type": "str", "default": ""},
            "facts": {"type": "dict", "default": {}},
            "acts": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "changed": {"type": "bool"},
                    "evidence": {"type": "bool", "default": False},
                    "time": {"type": "str", "default": ""},
                    "result": {"type": "dict", "default": {}},
                },
            },
        },
        supports_check_mode=True,
    )
    run(module, record)


if __name__ == "__main__":
    main()
