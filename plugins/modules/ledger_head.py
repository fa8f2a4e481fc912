#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ledger_head
short_description: Publish how far a ledger is, signed, and copy the evidence to a store
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Writes a I(head) into C(heads/) of the evidence directory, a statement of the number and the hash of the ledger's
    last record, signs it with the ledger's key, and has it time-stamped if a time-stamping authority is given. From
    then on nobody can shorten or rewrite the ledger unnoticed.
  - Then puts what is new of the evidence into the store, reads it back and compares it. A ledger goes there
    only if it goes on from the copy that is there; heads, certificates and sealed plans are never replaced.
  - Nothing is signed when the ledger is not sound, or does not hold the heads that were published before.
  - A head that was published already is not published again.
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.ledger_signing
requirements:
  - boto3 >= 1.36, < 2 for a bucket
options:
  evidence:
    description:
      - The evidence directory, with the ledger in C(ledger.jsonl).
    type: path
    required: true
  store:
    description:
      - Where the evidence is copied to. Left out, it is not copied.
    type: dict
    suboptions:
      place:
        description:
          - A directory, or V(s3://bucket/prefix).
        type: str
        required: true
      endpoint_url:
        description:
          - URL of the service that speaks S3. Left out, E(AWS_ENDPOINT_URL_S3) or E(AWS_ENDPOINT_URL) is used, else AWS
            itself.
        type: str
      region:
        description:
          - Region of the bucket. Left out, E(AWS_REGION) or E(AWS_DEFAULT_REGION) is used.
        type: str
      access_key:
        description:
          - Access key. Left out, E(AWS_ACCESS_KEY_ID) is used.
        type: str
      secret_key:
        description:
          - Secret key. Left out, E(AWS_SECRET_ACCESS_KEY) is used.
        type: str
      ca_cert:
        description:
          - File with the certificate authority (PEM) that signed the certificate of the service. Left out,
            E(AWS_CA_BUNDLE) is used.
        type: path
      retain_until:
        description:
          - Moment before which nobody can remove what is put there (S3 object lock, compliance mode), like
            V(2037-01-01T00:00:00Z). The bucket must have been made with object lock.
        type: str
seealso:
  - module: cloudexit.flexible_engine.ledger_verify
  - module: cloudexit.flexible_engine.certificate_issue
"""

EXAMPLES = r"""
- name: Publish how far the ledger is, and keep a copy where nobody can remove it
  cloudexit.flexible_engine.ledger_head:
    evidence: evidence
    signing_key: ~/.ssh/ledger
    signers: allowed_signers
    tsa_url: https://tsa.example/
    tsa_ca: tsa.pem
    store:
      place: s3://acme-evidence/acme
      endpoint_url: https://s3.example
      retain_until: '2037-01-01T00:00:00Z'
"""

RETURN = r"""
path:
  description: The head.
  returned: success
  type: str
  sample: /srv/acme/evidence/heads/00000042.json
seq:
  description: Number of the last record.
  returned: success
  type: int
  sample: 42
head:
  description: Hash of the last record.
  returned: success
  type: str
  sample: sha256:0f4c…
files:
  description: Files that were, or in check mode would be, written.
  returned: success
  type: list
  elements: str
  sample: [/srv/acme/evidence/heads/00000042.json, /srv/acme/evidence/heads/00000042.json.sig]
copied:
  description: What was, or in check mode would be, put into the store.
  returned: success
  type: list
  elements: str
  sample: [ledger.jsonl, heads/00000042.json]
"""

import os
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import SIGNING, STORE, open_place
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import (
    heads,
    signatures,
    stores,
    timestamps,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def publish(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    place = open_place(params["store"]) if params["store"] else None
    folder = os.path.join(params["evidence"], heads.FOLDER)
    done = heads.publish(
        os.path.join(params["evidence"], stores.LEDGER),
        folder,
        params["signing_key"],
        signatures.read_signers(params["signers"]),
        datetime.now(timezone.utc),
        timestamps.Authority(params["tsa_url"], params["tsa_ca"]) if params["tsa_url"] else None,
        dry_run=module.check_mode,
    )
    copied = []
    if place is not None:
        copied = stores.copy(params["evidence"], place, dry_run=module.check_mode, more=list(done.new))
    files = [os.path.join(folder, name) for name in sorted(done.new)]
    result: dict[str, Any] = {
        "changed": bool(files or copied),
        "path": os.path.join(folder, f"{done.head.seq:08d}.json"),
        "seq": done.head.seq,
        "head": done.head.hash,
        "files": files,
        "copied": copied,
    }
    if result["changed"] and module._diff:
        told = [*files, *(f"{place.name}: {key}" for key in copied if place is not None)]
        result["diff"] = {"before": "", "after": "".join(f"{line}\n" for line in told)}
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "evidence": {"type": "path", "required": True},
            "store": {"type": "dict", "options": STORE},
            **SIGNING,
        },
        supports_check_mode=True,
    )
    run(module, publish)


if __name__ == "__main__":
    main()
