#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vcd_catalog
short_description: Catalogs of Cloud Director
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Makes, describes and removes a catalog of the organisation.
  - What is in a catalog is billed storage.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.vcd_owned
  - cloudexit.flexible_engine.vcd_owned.named
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  description:
    description:
      - Description of the catalog. Left out, that of a catalog that is there stays.
    type: str
  vdc:
    description:
      - Virtual data center whose storage keeps what is in a new catalog. Left out, Cloud Director chooses.
    type: str
  storage_profile:
    description:
      - Storage profile of O(vdc) for a new catalog. Left out, the default one of O(vdc).
    type: str
  with_content:
    description:
      - With O(state=absent), whether a catalog is removed with everything that is in it. With V(false), one that is not
        empty is a conflict.
    type: bool
    default: false
seealso:
  - module: cloudexit.flexible_engine.vcd_template
  - module: cloudexit.flexible_engine.vcd_info
"""

EXAMPLES = r"""
- name: A catalog for golden images, on gold storage
  cloudexit.flexible_engine.vcd_catalog:
    name: images
    tenant: acme
    description: Golden images
    vdc: acme-vdc
    storage_profile: gold

- name: Remove it with what is in it
  cloudexit.flexible_engine.vcd_catalog:
    name: images
    tenant: acme
    state: absent
    with_content: true
"""

RETURN = r"""
id:
  description: Id of the catalog; empty where there is none.
  returned: success
  type: str
  sample: 1b2d9f4e-35f6-4f3c-9d55-0a7c2b0c9a11
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import organisation
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    named_spec,
    open_vcd,
    thing_of,
    vcd_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def catalog(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    with open_vcd(module) as session:
        return organisation.catalog(
            session,
            thing_of(module),
            description=params["description"],
            vdc=params["vdc"] or "",
            storage_profile=params["storage_profile"] or "",
            with_content=params["with_content"],
        ).result()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            **named_spec(),
            "description": {"type": "str"},
            "vdc": {"type": "str"},
            "storage_profile": {"type": "str"},
            "with_content": {"type": "bool", "default": False},
        },
        required_by={"storage_profile": ["vdc"]},
        supports_check_mode=True,
    )
    run(module, catalog)


if __name__ == "__main__":
    main()
