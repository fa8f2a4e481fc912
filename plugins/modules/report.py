#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Write the report of a migration as one HTML file
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Brings the plan, the ledger and the latest results of each workload into one page for a browser. It shows what
    moved, from where to where, times, bytes and rates, the proofs, what was found, and what is left.
  - The page needs nothing but itself and holds no script.
  - The same plan and ledger give the same file, which is then not written again.
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.full
options:
  evidence:
    description:
      - The evidence directory, with the ledger in C(ledger.jsonl).
    type: path
    required: true
  plan:
    description:
      - The plan. Without it the report shows what the ledger knows, but not what is left to do.
    type: path
    default: ''
  dest:
    description:
      - The file to write. Left out, C(report.html) in O(evidence).
    type: path
    default: ''
seealso:
  - module: cloudexit.flexible_engine.ledger_record
  - module: cloudexit.flexible_engine.ledger_verify
"""

EXAMPLES = r"""
- name: Write the report
  cloudexit.flexible_engine.report:
    evidence: evidence
    plan: acme.plan.yml
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /srv/acme/evidence/report.html
workloads:
  description: Number of workloads by state.
  returned: success
  type: dict
  sample: {moved: 12, planned: 3, stays: 1}
findings:
  description: Number of findings.
  returned: success
  type: int
  sample: 0
sound:
  description: Whether the ledger's chain is sound.
  returned: success
  type: bool
  sample: true
"""

import os
from collections import Counter
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import report as act
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import evidence
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import migration


def write(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    path = params["dest"] or os.path.join(params["evidence"], "report.html")
    data = act.gather(params["evidence"], params["plan"])
    page = migration.render(data)
    changed = evidence.read_text(path) != page
    if changed and not module.check_mode:
        evidence.write_atomic(path, page, 0o644)
    result: dict[str, Any] = {
        "changed": changed,
        "path": path,
        "workloads": dict(Counter(workload.status for workload in data.workloads)),
        "findings": len(data.findings),
        "sound": not data.ledger_problems,
    }
    if changed and module._diff:
        told = f"{data.tenant}: {len(data.workloads)} workloads, {data.ledger_count} records, head {data.ledger_head}\n"
        result["diff"] = {"before_header": path, "after_header": path, "before": "", "after": told}
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "evidence": {"type": "path", "required": True},
            "plan": {"type": "path", "default": ""},
            "dest": {"type": "path", "default": ""},
        },
        supports_check_mode=True,
    )
    run(module, write)


if __name__ == "__main__":
    main()
