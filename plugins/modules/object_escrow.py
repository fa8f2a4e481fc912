#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: object_escrow
short_description: Keep encrypted copies of containers and buckets in a store of the customer's, and restore them once
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Reads every object and every version of containers (Swift) and buckets (S3), encrypts and stores them, fetches all
    of it back, decrypts it, and compares. Only then the copy counts.
  - What is stored is CMS (AES-256-GCM) in parts, with an index; C(openssl cms -decrypt) opens it without this
    collection.
  - A container that is kept as it is listed now is not kept again; one that changed is kept beside the earlier copy.
  - The source is only read.
extends_documentation_fragment:
  - cloudexit.flexible_engine.openstack_auth
  - cloudexit.flexible_engine.store
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_source
options:
  tenant:
    description:
      - Short name of the tenant; the copies are below it.
    type: str
    required: true
  containers:
    description:
      - Names of containers.
    type: list
    elements: str
    default: []
  buckets:
    description:
      - Names of buckets.
    type: list
    elements: str
    default: []
  progress_file:
    description:
      - File to which lines of progress are appended. The action plugin of the same name uses it.
    type: path
seealso:
  - module: cloudexit.flexible_engine.disk_escrow
"""

EXAMPLES = r"""
- name: Keep the files for the customer
  cloudexit.flexible_engine.object_escrow:
    cloud: acme
    tenant: acme
    containers: [invoices]
    store:
      place: s3://acme-escrow/flexible-engine
    recipients:
      - "{{ lookup('ansible.builtin.file', 'acme.pem') }}"
      - "{{ lookup('ansible.builtin.file', 'operator.pem') }}"
    key: "{{ vault_escrow_key }}"
"""

RETURN = r"""
objects:
  description: The containers and buckets.
  returned: success
  type: list
  elements: dict
  contains:
    object:
      description: Kind and name.
      type: str
      sample: containers/invoices
    prefix:
      description: Prefix of the copy in the store.
      type: str
    entries:
      description: Number of objects and versions.
      type: int
    bytes:
      description: Their size in bytes.
      type: int
    manifest:
      description: Digest over key, version, size and SHA-256 of all of them; left out in check mode for a new copy.
      type: str
    restored:
      description: The same of what came back.
      type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import object_escrow
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    open_store,
    source_spec,
    store_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import cloud as clouds


def keep(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    store, keys = open_store(params)
    wanted = [(kind, name) for kind in ("containers", "buckets") for name in params[kind]]

    def tell(text: str) -> None:
        if params["progress_file"]:
            with open(params["progress_file"], "a", encoding="utf-8") as file:
                file.write(f"{text}\n")

    with clouds.connect(clouds.SourceAuth.from_params(params)) as cloud:
        done = object_escrow.keep(
            cloud, params["tenant"], wanted, store, keys, dry_run=module.check_mode, on_progress=tell
        )
    if done["changed"]:
        header = str(params["store"]["place"])
        lines = "".join(f"{one['object']}: {one['entries']} objects, {one['bytes']} bytes\n" for one in done["objects"])
        done["diff"] = {"before_header": header, "after_header": header, "before": "", "after": lines}
    return done


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **source_spec(),
            **store_spec(),
            "tenant": {"type": "str", "required": True},
            "containers": {"type": "list", "elements": "str", "default": []},
            "buckets": {"type": "list", "elements": "str", "default": []},
            "progress_file": {"type": "path"},
        },
        supports_check_mode=True,
    )
    run(module, keep)


if __name__ == "__main__":
    main()
