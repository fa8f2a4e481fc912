#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vcd_template
short_description: Templates in a catalog of Cloud Director
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Uploads an OVF package into a catalog as a template, describes it, and removes it.
  - The bytes are streamed from the files, and an upload that breaks goes on where it was.
  - A digest of the package is written into the description. Another package under the same name replaces the template.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.vcd_owned
  - cloudexit.flexible_engine.vcd_owned.named
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  catalog:
    description:
      - Name of the catalog that the template is in. It must be there.
    type: str
    required: true
  src:
    description:
      - Path of the OVF descriptor, on the host that the module runs on. The files that it names are beside it, and are
        as long as it says. All of them are read on each run, for the digest.
      - Needed with O(state=present).
    type: path
  description:
    description:
      - Description of the template. Left out, that of a template that is there stays.
    type: str
  vdc:
    description:
      - Virtual data center whose storage keeps a new template. Left out, Cloud Director chooses.
    type: str
  storage_profile:
    description:
      - Storage profile of O(vdc) for a new template. Left out, the default one of O(vdc).
    type: str
  timeout:
    description:
      - Seconds that Cloud Director may take to import the template once its files are there.
    type: float
    default: 14400
notes:
  - What an earlier run left of an upload, under this name and with the stamp of this tenant, is removed. So two runs
    must not upload the same template at the same time.
seealso:
  - module: cloudexit.flexible_engine.vcd_catalog
"""

EXAMPLES = r"""
- name: Upload an image
  cloudexit.flexible_engine.vcd_template:
    name: debian-12
    tenant: acme
    catalog: images
    src: /srv/images/debian-12/debian-12.ovf
    description: Debian 12
"""

RETURN = r"""
id:
  description: Id of the template; empty where there is none.
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


def template(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    with open_vcd(module) as session:
        return organisation.image(
            session,
            thing_of(module),
            catalog=params["catalog"],
            src=params["src"] or "",
            description=params["description"],
            vdc=params["vdc"] or "",
            storage_profile=params["storage_profile"] or "",
            timeout=params["timeout"],
        ).result()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            **named_spec(),
            "catalog": {"type": "str", "required": True},
            "src": {"type": "path"},
            "description": {"type": "str"},
            "vdc": {"type": "str"},
            "storage_profile": {"type": "str"},
            "timeout": {"type": "float", "default": 14400},
        },
        required_if=[("state", "present", ["src"])],
        required_by={"storage_profile": ["vdc"]},
        supports_check_mode=True,
    )
    run(module, template)


if __name__ == "__main__":
    main()
