#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_issue
short_description: Issue the certificate of a migration or of an erasure
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Makes from the ledger a certificate of what was moved and proven, or of what was erased by a sealed retirement plan,
    as signed data and as a page to print in each language.
  - It says no more than the ledger shows. A deletion by API is called that, and words that claim more are refused; a
    disk of which only a sample was compared is told as that.
  - Nothing is issued when the ledger or a published head is not sound, when the outcome of a call is open, when an
    object of the plan is not absent, when a condition was not met, or when enough people have not signed the plan.
  - Beside the certificate it puts the sealed plan with its signatures, the file of allowed signers, and C(verify.sh),
    which verifies all of it with C(openssl) and C(ssh-keygen) alone.
  - The same ledger and the same statements give the same certificate, which is then not issued again.
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.ledger_signing
options:
  evidence:
    description:
      - The evidence directory, with the ledger in C(ledger.jsonl). The certificate is put into its C(certificates/).
    type: path
    required: true
  purpose:
    description:
      - What is certified.
    type: str
    choices: [migration, erasure]
    required: true
  plan:
    description:
      - For an erasure the sealed retirement plan that was carried out, with its signatures C(<plan>.<who>.sig) beside
        it; for a migration the migration plan.
    type: path
    required: true
  left:
    description:
      - What a last reading of the tenant found that is neither gone nor kept by the plan. Anything here refuses the
        certificate of an erasure.
    type: list
    elements: str
    default: []
  languages:
    description:
      - Languages of the pages. The data hold both.
    type: list
    elements: str
    choices: [en, fr]
    default: [en, fr]
  terms:
    description:
      - What people state and no ledger knows.
    type: dict
    default: {}
    suboptions:
      contract:
        description: Number or name of the contract.
        type: str
        default: ''
      controller:
        description: Who decides on the data, the customer.
        type: str
        default: ''
      processor:
        description: Who processes them on the customer's behalf.
        type: str
        default: ''
      contact:
        description: Whom to ask.
        type: str
        default: ''
      basis:
        description: Legal basis, an article or a clause of the contract.
        type: str
        default: ''
      choice:
        description: What the customer chose, such as return, delete or erase only.
        type: str
        default: ''
      executed_by:
        description: Who executed it. Needed for an erasure; nobody who signed the plan.
        type: str
        default: ''
      verified_by:
        description: Who verified it. Needed for an erasure; another person than who executed it.
        type: str
        default: ''
      notice_sent:
        description: When the erasure was announced, as a date.
        type: str
        default: ''
      retrieval_until:
        description: Until when the data could be retrieved, as a date.
        type: str
        default: ''
      escrow:
        description: Where the encrypted copy is kept, if there is one.
        type: str
        default: ''
      escrow_until:
        description: Until when it is kept, as a date.
        type: str
        default: ''
      backups:
        description: What backups of the provider's still hold, and until when.
        type: str
        default: ''
      media:
        description: What the operator of the infrastructure states of its storage media. It is quoted as theirs.
        type: str
        default: ''
seealso:
  - module: cloudexit.flexible_engine.ledger_head
  - module: cloudexit.flexible_engine.ledger_verify
"""

EXAMPLES = r"""
- name: Certify that the tenant is erased
  cloudexit.flexible_engine.certificate_issue:
    evidence: evidence
    purpose: erasure
    plan: acme.retirement.json
    signing_key: ~/.ssh/ledger
    signers: allowed_signers
    terms:
      controller: Acme SA
      processor: Orange Business
      basis: GDPR art. 28(3)(g)
      executed_by: Jean Martin
      verified_by: Marie Durand
"""

RETURN = r"""
msg:
  description: What happened, for people.
  returned: success
  type: str
id:
  description: Id of the certificate.
  returned: success
  type: str
  sample: acme-erasure-00000042-1f2e3d4c
path:
  description: The certificate.
  returned: success
  type: str
  sample: /srv/acme/evidence/certificates/acme-erasure-00000042-1f2e3d4c.json
files:
  description: Files that were, or in check mode would be, written.
  returned: success
  type: list
  elements: str
  sample: [/srv/acme/evidence/certificates/acme-erasure-00000042-1f2e3d4c.json]
methods:
  description: Number of erased objects by the method that is certified.
  returned: success
  type: dict
  sample: {api_deletion: 128}
workloads:
  description: Number of workloads whose move is certified.
  returned: success
  type: int
  sample: 0
"""

import os
from collections import Counter
from dataclasses import fields
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import certificate as act
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import SIGNING
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import timestamps
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.certificate import Terms
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run

TERMS = {field.name: {"type": "str", "default": ""} for field in fields(Terms)}


def issue(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    request = act.Request(
        directory=params["evidence"],
        key=params["signing_key"],
        signers=params["signers"],
        terms=Terms(**{name: params["terms"].get(name) or "" for name in TERMS}),
        now=datetime.now(timezone.utc),
        languages=list(dict.fromkeys(params["languages"])),
        authority=timestamps.Authority(params["tsa_url"], params["tsa_ca"]) if params["tsa_url"] else None,
    )
    if params["purpose"] == "erasure":
        done = act.erasure(request, params["plan"], params["left"], dry_run=module.check_mode)
    else:
        done = act.migration(request, params["plan"], dry_run=module.check_mode)
    found = done.certificate
    files = [os.path.join(params["evidence"], name) for name in sorted(done.new)]
    result: dict[str, Any] = {
        "changed": bool(files),
        "msg": f"The certificate {found.id} is {done.path}.",
        "id": found.id,
        "path": done.path,
        "files": files,
        "methods": dict(Counter(asset.method for asset in found.assets)),
        "workloads": len(found.moved),
    }
    if files and module._diff:
        result["diff"] = {"before": "", "after": "".join(f"{path}\n" for path in files)}
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "evidence": {"type": "path", "required": True},
            "purpose": {"type": "str", "choices": ["migration", "erasure"], "required": True},
            "plan": {"type": "path", "required": True},
            "left": {"type": "list", "elements": "str", "default": []},
            "languages": {"type": "list", "elements": "str", "choices": ["en", "fr"], "default": ["en", "fr"]},
            "terms": {"type": "dict", "default": {}, "options": TERMS},
            **SIGNING,
        },
        supports_check_mode=True,
    )
    run(module, issue)


if __name__ == "__main__":
    main()
