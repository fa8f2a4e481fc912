#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ledger_verify
short_description: Verify the hash chain of a ledger, and its published heads
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Reads a ledger from its first record to its last, computes every hash again, and fails with the list of all that is
    wrong with it.
  - Records that were cut off at the end leave a chain that is sound in itself. To find that out, give the heads that
    were published in O(heads), best those of another place, or in O(expected_head) a hash that is known from elsewhere,
    for example from an earlier report.
  - The same can be had without Ansible by running
    C(python -m ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger FILE).
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.info
options:
  path:
    description:
      - The ledger.
    type: path
    required: true
  expected_head:
    description:
      - Hash of a record that the ledger must hold.
    type: str
    default: ''
  heads:
    description:
      - Folders of published heads. The ledger must hold each of them, and the ledger's key must have signed it.
    type: list
    elements: path
  signers:
    description:
      - File of allowed signers, as C(ssh-keygen -Y verify) takes it. Needed with O(heads).
    type: path
  tsa_ca:
    description:
      - File of certificates (PEM) that time stamps of heads are checked with. Left out, they are not checked.
    type: path
    default: ''
seealso:
  - module: cloudexit.flexible_engine.ledger_head
  - module: cloudexit.flexible_engine.ledger_record
"""

EXAMPLES = r"""
- name: Verify the ledger
  cloudexit.flexible_engine.ledger_verify:
    path: evidence/ledger.jsonl

- name: Verify it against the heads in the copy of the evidence
  cloudexit.flexible_engine.ledger_verify:
    path: evidence/ledger.jsonl
    heads: [/mnt/copy/heads]
    signers: allowed_signers
"""

RETURN = r"""
count:
  description: Number of records.
  returned: when the ledger could be read
  type: int
  sample: 42
head:
  description: Hash of the last record. Keep it outside of the ledger, to show later that nothing was cut off.
  returned: when the ledger could be read
  type: str
  sample: sha256:0f4c…
heads:
  description: Number of published heads that are sound and that the ledger holds.
  returned: when the ledger could be read
  type: int
  sample: 3
problems:
  description: All that is wrong with the ledger and with the heads, each with its line or file.
  returned: when the ledger could be read
  type: list
  elements: str
  sample: []
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain, heads, signatures
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def verify(module: AnsibleModule) -> dict[str, Any]:
    path = module.params["path"]
    found = chain.verify(path, expected_head=module.params["expected_head"])
    problems = [str(problem) for problem in found.problems]
    result = {"changed": False, "count": found.count, "head": found.head, "heads": 0, "problems": problems}
    if module.params["heads"]:
        signers = signatures.read_signers(module.params["signers"])
        checked = heads.check(chain.read(path), module.params["heads"], signers, module.params["tsa_ca"])
        problems += [str(problem) for problem in checked.problems]
        result["heads"] = len(checked.heads)
    if problems:
        module.fail_json(
            msg=f"The ledger {path} is not sound ({len(problems)} problems): {'; '.join(problems[:5])}. "
            "Keep the file as it is, compare it with its copies, and find out who wrote to it.",
            **result,
        )
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "expected_head": {"type": "str", "default": ""},
            "heads": {"type": "list", "elements": "path"},
            "signers": {"type": "path"},
            "tsa_ca": {"type": "path", "default": ""},
        },
        required_by={"heads": ["signers"]},
        supports_check_mode=True,
    )
    run(module, verify)


if __name__ == "__main__":
    main()
