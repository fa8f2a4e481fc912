#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: portfolio_report
short_description: Write one page over the assessments of many tenants
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Brings the assessments of tenants together on one page, in English and in French, and in C(portfolio.json) and
    C(portfolio.csv). It shows of each tenant whether it could be assessed, readiness, decisions, bytes, waves, and
    whether it will be out by its deadline.
  - A tenant that could not be assessed is a row with the cause, and so is one whose assessment is missing or not valid.
    Where there is an earlier assessment its figures are shown as such.
  - The same assessments give the same files on the same O(today), which are then not written again.
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.full
options:
  tenants:
    description:
      - The tenants.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Short name of the tenant.
        type: str
        required: true
      assessment:
        description: Its assessment.
        type: path
        required: true
      failure:
        description: Why it could not be assessed now; empty where it could.
        type: str
        default: ''
      fresh:
        description: Whether it was assessed in this run. If not, what there is counts as an earlier assessment.
        type: bool
        default: true
  directory:
    description:
      - Directory of the files; made when missing.
    type: path
    required: true
  today:
    description:
      - Date from which the days to a deadline are counted, as C(YYYY-MM-DD). Left out, today (UTC).
    type: str
    default: ''
  languages:
    description:
      - Languages of the page.
    type: list
    elements: str
    choices: [en, fr]
    default: [en, fr]
seealso:
  - module: cloudexit.flexible_engine.assessment_report
"""

EXAMPLES = r"""
- name: Write the portfolio
  cloudexit.flexible_engine.portfolio_report:
    directory: /srv/plans
    tenants:
      - name: acme
        assessment: /srv/plans/acme.assessment.json
      - name: globex
        assessment: /srv/plans/globex.assessment.json
        failure: Login to https://iam.eu-west-0.prod-cloud-ocb.orange-business.com was refused
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
  sample: [/srv/plans/portfolio.en.html, /srv/plans/portfolio.json]
states:
  description: Number of tenants by state.
  returned: success
  type: dict
  sample: {assessed: 97, failed: 2, partial: 1}
failures:
  description: For each tenant that could not be assessed, why.
  returned: success
  type: dict
  sample: {globex: Login to https://iam.eu-west-0.prod-cloud-ocb.orange-business.com was refused}
"""

import os
from collections import Counter
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import pages, portfolio_report
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def act(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    directory = os.path.abspath(params["directory"])
    today = params["today"] or f"{datetime.now(timezone.utc):%Y-%m-%d}"
    given = [portfolio_report.Given(**tenant) for tenant in params["tenants"]]
    if module.check_mode:  # what was not there before has not been written by the tasks before this one either
        given = [replace(tenant, fresh=tenant.fresh and os.path.exists(tenant.assessment)) for tenant in given]
    portfolio = portfolio_report.gather(given, today, dest=directory)
    languages = list(dict.fromkeys(params["languages"]))
    files = portfolio_report.files(portfolio, directory, languages=languages)
    states = Counter(tenant.state for tenant in portfolio.tenants)
    told = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(states.items()))
    return {
        **pages.result(files, check=module.check_mode, diff=module._diff),
        "msg": f"{len(given)} tenants ({told or 'none'}): {files[0].path}",
        "states": dict(sorted(states.items())),
        "failures": {tenant.name: tenant.why for tenant in portfolio.tenants if tenant.state == "failed"},
    }


def main() -> None:
    tenant = {
        "name": {"type": "str", "required": True},
        "assessment": {"type": "path", "required": True},
        "failure": {"type": "str", "default": ""},
        "fresh": {"type": "bool", "default": True},
    }
    module = AnsibleModule(
        argument_spec={
            "tenants": {"type": "list", "elements": "dict", "required": True, "options": tenant},
            "directory": {"type": "path", "required": True},
            "today": {"type": "str", "default": ""},
            "languages": {"type": "list", "elements": "str", "choices": ["en", "fr"], "default": ["en", "fr"]},
        },
        supports_check_mode=True,
    )
    run(module, act)


if __name__ == "__main__":
    main()
