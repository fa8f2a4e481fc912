#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ledger_head
short_description: Publish how far a ledger is, signed, and copy the evidence to stores
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Writes a I(head) into C(heads/) of the evidence directory, a statement of the number and the hash of the ledger's
    last record, signs it with the ledger's key, and has it time-stamped if a time-stamping authority is given. From
    then on nobody can shorten or rewrite the ledger unnoticed.
  - Then puts what is new of the evidence into each store, reads it back and compares it. A ledger goes into a store
    only if it goes on from the copy that is there; heads, certificates and sealed plans are never replaced.
  - Nothing is signed when the ledger is not sound, or does not hold the heads that were published before.
  - A head that was published already is not published again.
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.ledger_signing
requirements:
  - boto3, for stores in S3
options:
  evidence:
    description:
      - The evidence directory, with the ledger in C(ledger.jsonl).
    type: path
    required: true
  stores:
    description:
      - Where the evidence is copied to. Each has either a O(stores[].directory) or a O(stores[].bucket).
    type: list
    elements: dict
    default: []
    suboptions:
      directory:
        description:
          - A directory, made when missing.
        type: path
      bucket:
        description:
          - A bucket of S3, which exists already.
        type: str
      prefix:
        description:
          - What the keys of the objects begin with.
        type: str
        default: ''
      endpoint:
        description:
          - URL of the service. Left out, AWS.
        type: str
        default: ''
      region:
        description:
          - Region of the bucket.
        type: str
        default: ''
      access_key:
        description:
          - Access key. Left out, boto3 finds the keys in its own way.
        type: str
        default: ''
      secret_key:
        description:
          - Secret key.
        type: str
        default: ''
      ca_cert:
        description:
          - File of certificates (PEM) that the service is checked with, if they are not the system's.
        type: path
        default: ''
      retain_until:
        description:
          - A moment with its zone, as C(2037-01-01T00:00:00Z). Until then nobody can remove what is put there (object
            lock, mode COMPLIANCE). The bucket must have been made with object lock.
        type: str
        default: ''
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
    stores:
      - bucket: acme-evidence
        endpoint: https://s3.example
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
  description: What was, or in check mode would be, put into each store.
  returned: success
  type: dict
  sample: {'s3://acme-evidence': [ledger.jsonl, heads/00000042.json]}
"""

import os
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import SIGNING
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import (
    heads,
    seal,
    signatures,
    stores,
    timestamps,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def store(given: dict[str, Any]) -> stores.Store:
    if given["directory"]:
        return stores.Directory(given["directory"])
    try:
        until = seal.instant(given["retain_until"]) if given["retain_until"] else None
    except ValueError as error:
        raise InvalidInput("The store is not valid", [Problem("stores.retain_until", str(error))]) from error
    return stores.S3(
        bucket=given["bucket"],
        prefix=given["prefix"].strip("/"),
        endpoint=given["endpoint"],
        region=given["region"],
        access_key=given["access_key"],
        secret_key=given["secret_key"],
        ca_file=given["ca_cert"],
        retain_until=until,
    )


def publish(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    places = [store(given) for given in params["stores"]]
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
    copied = {
        place.name: stores.copy(params["evidence"], place, dry_run=module.check_mode, more=list(done.new))
        for place in places
    }
    files = [os.path.join(folder, name) for name in sorted(done.new)]
    result: dict[str, Any] = {
        "changed": bool(files) or any(copied.values()),
        "path": os.path.join(folder, f"{done.head.seq:08d}.json"),
        "seq": done.head.seq,
        "head": done.head.hash,
        "files": files,
        "copied": copied,
    }
    if result["changed"] and module._diff:
        told = [*files, *(f"{name}: {key}" for name, keys in copied.items() for key in keys)]
        result["diff"] = {"before": "", "after": "".join(f"{line}\n" for line in told)}
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "evidence": {"type": "path", "required": True},
            "stores": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "directory": {"type": "path"},
                    "bucket": {"type": "str"},
                    "prefix": {"type": "str", "default": ""},
                    "endpoint": {"type": "str", "default": ""},
                    "region": {"type": "str", "default": ""},
                    "access_key": {"type": "str", "default": "", "no_log": True},
                    "secret_key": {"type": "str", "default": "", "no_log": True},
                    "ca_cert": {"type": "path", "default": ""},
                    "retain_until": {"type": "str", "default": ""},
                },
                "mutually_exclusive": [("directory", "bucket")],
                "required_one_of": [("directory", "bucket")],
            },
            **SIGNING,
        },
        supports_check_mode=True,
    )
    run(module, publish)


if __name__ == "__main__":
    main()
