#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: assessment_report
short_description: Write the report of an assessment as HTML and CSV
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Makes from the assessment of a tenant a page for the meeting with the customer, in English and in French. It shows
    what the tenant has, what can move, what blocks, what must be decided, what depends on what, how long it takes, and
    what could not be read.
  - Beside the pages it writes tables for a spreadsheet. Text that a spreadsheet would take for a formula gets an
    apostrophe in front.
  - A page needs nothing but itself. It is whole without its script, which sorts and filters.
  - The same assessment gives the same files, which are then not written again.
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.full
options:
  assessment:
    description:
      - The assessment, as M(cloudexit.flexible_engine.plan_draft) writes it. Of C(acme.assessment.json) the files are
        C(acme.assessment.en.html), C(acme.assessment.fr.html), C(acme.workloads.csv), C(acme.findings.csv) and
        C(acme.objects.csv).
      - In check mode a file that is not there yet is not an error, since the task before would have written it.
    type: path
    required: true
  directory:
    description:
      - Directory of the files; made when missing. Left out, that of O(assessment).
    type: path
    default: ''
  languages:
    description:
      - Languages of the page.
    type: list
    elements: str
    choices: [en, fr]
    default: [en, fr]
seealso:
  - module: cloudexit.flexible_engine.plan_draft
  - module: cloudexit.flexible_engine.portfolio_report
"""

EXAMPLES = r"""
- name: Write the report
  cloudexit.flexible_engine.assessment_report:
    assessment: acme.assessment.json
"""

RETURN = r"""
msg:
  description: What happened, for people.
  returned: success
  type: str
files:
  description: The files, pages first.
  returned: success
  type: list
  elements: str
  sample: [/srv/acme/acme.assessment.en.html, /srv/acme/acme.workloads.csv]
readiness:
  description: Number of workloads by readiness.
  returned: when there is an assessment
  type: dict
  sample: {ready: 12, ready_with_changes: 3, not_ready: 1, unknown: 2}
decisions:
  description: Number of workloads and objects that wait for the customer's word.
  returned: when there is an assessment
  type: int
  sample: 4
unread:
  description: Services that could not be read, or only in part.
  returned: when there is an assessment
  type: list
  elements: str
  sample: [rds]
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import assessment_report, pages
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import assessment as report


def act(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    path = params["assessment"]
    if module.check_mode and not os.path.exists(path):
        return {"changed": True, "files": [], "msg": f"There is no assessment {path} yet; its report would be written."}
    assessment = assessment_report.load(path)
    languages = list(dict.fromkeys(params["languages"]))
    files = assessment_report.files(assessment, path, dest=params["directory"], languages=languages)
    return {
        **pages.result(files, check=module.check_mode, diff=module._diff),
        "msg": f"The report of {assessment.name} is {files[0].path}.",
        "readiness": report.by_readiness(assessment.workloads),
        "decisions": report.waiting(assessment),
        "unread": sorted(service.name for service in report.unread(assessment)),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "assessment": {"type": "path", "required": True},
            "directory": {"type": "path", "default": ""},
            "languages": {"type": "list", "elements": "str", "choices": ["en", "fr"], "default": ["en", "fr"]},
        },
        supports_check_mode=True,
    )
    run(module, act)


if __name__ == "__main__":
    main()
