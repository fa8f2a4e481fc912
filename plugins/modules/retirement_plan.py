#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: retirement_plan
short_description: Make the plan of a decommission, the exact list of what is deleted and what stays
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Reads the tenant twice, the ledger, the migration plan and the retirement policy, and writes the retirement plan as
    canonical JSON, and a sheet that tells people what will be lost. The cloud is only read.
  - Nothing is in the plan that is not proven elsewhere or decided by somebody, that is held, shared, foreign or needed
    by something that stays. What could not be read as a whole, or vanished without a record, makes no plan at all.
  - A plan that says what the file says already, and has not expired, is not written again, so that signatures stay.
extends_documentation_fragment:
  - cloudexit.flexible_engine.openstack_auth
  - cloudexit.flexible_engine.retirement
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_source
options:
  previous:
    description:
      - File of an earlier estate. What it has and the tenant has not, without a record in the ledger, forbids a plan.
    type: path
  languages:
    description:
      - Languages of the sheet, which is written beside O(path) as C(<name>.en.html) and C(<name>.fr.html).
    type: list
    elements: str
    choices: [en, fr]
    default: [en, fr]
seealso:
  - module: cloudexit.flexible_engine.retirement_quarantine
  - module: cloudexit.flexible_engine.retirement_purge
"""

EXAMPLES = r"""
- name: Say what would be deleted, and what stays
  cloudexit.flexible_engine.retirement_plan:
    cloud: acme
    policy: acme.retirement.yml
    plan: acme.plan.yml
    evidence_dir: evidence
    path: acme.retirement.json
"""

RETURN = r"""
path:
  description: Absolute path of the plan.
  returned: success
  type: str
digest:
  description: Digest of its bytes, what C(sha256sum) prints.
  returned: success
  type: str
  sample: sha256:212191e169f035a3e4b37681e2e53f4545436b043fa34ce258e6c0a7e629dd01
items:
  description: Number of objects that it deletes, by kind.
  returned: success
  type: dict
  sample: {servers: 2, volumes: 4}
kept:
  description: Number of objects that stay, by reason.
  returned: success
  type: dict
  sample: {not_migrated: 3, shared: 1}
gib:
  description: GiB that it deletes.
  returned: success
  type: float
not_before:
  description: Moment before which nothing is erased, UTC; empty while a date is lacking.
  returned: success
  type: str
  sample: '2027-03-01T23:00:00Z'
not_after:
  description: Moment after which nothing is erased, UTC; empty where nothing says so.
  returned: success
  type: str
sheets:
  description: Files of the sheet.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import retirement_files
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    open_retirement,
    retirement_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def plan(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    with open_retirement(params) as source:
        made = retirement_files.draft(source, params["path"], params["previous"] or "", params["languages"])
    if not module.check_mode:
        made.write()
    result: dict[str, Any] = {"changed": made.changed, **made.told}
    if made.changed and module._diff:
        result["diff"] = made.diff
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **retirement_spec(),
            "previous": {"type": "path"},
            "languages": {"type": "list", "elements": "str", "choices": ["en", "fr"], "default": ["en", "fr"]},
        },
        supports_check_mode=True,
    )
    run(module, plan)


if __name__ == "__main__":
    main()
