#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vcd_info
short_description: Read what an organisation of Cloud Director has
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Lists the virtual data centers, storage profiles, VDC groups, edges, networks, catalogs, templates, vApps, named
    disks and machines that the user sees, with few calls.
  - It changes nothing.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.attributes.info
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  gather:
    description:
      - What to list. For C(machines), each machine and its metadata is read; the other kinds are a few calls.
    type: list
    elements: str
    choices:
      - catalogs
      - disks
      - edges
      - machines
      - networks
      - storage_profiles
      - templates
      - vapps
      - vdc_groups
      - vdcs
    default: [vdcs, vdc_groups, edges, networks, catalogs]
  vdc:
    description:
      - Name of a virtual data center. Storage profiles, templates, vApps, disks and machines are then only those in it.
    type: str
seealso:
  - plugin: cloudexit.flexible_engine.cloud_avenue
    plugin_type: inventory
"""

EXAMPLES = r"""
- name: Look at the virtual data centers and the room in their storage profiles
  cloudexit.flexible_engine.vcd_info:
    url: https://console1.cloudavenue.orange-business.com
    org: cav01ev01ocb0001234
    username: jane
    password: "{{ vault_password }}"
    gather: [vdcs, storage_profiles]
  register: found

- name: Find the machine of a source server
  cloudexit.flexible_engine.vcd_info:
    gather: [machines]
    vdc: acme-vdc
  register: found
"""

RETURN = r"""
org:
  description: Name of the organisation.
  returned: success
  type: str
  sample: cav01ev01ocb0001234
api_version:
  description: Version of the interface that is spoken.
  returned: success
  type: str
  sample: '39.1'
found:
  description:
    - A list for each kind in O(gather), sorted by name. Each entry has C(id) and C(name); sizes are in MiB
      (C(_mib)) and MHz (C(_mhz)).
    - An entry of C(machines) also has C(vapp), C(vdc), C(power), C(cpus), C(disks), C(nics), C(addresses), C(metadata),
      and C(tenant), C(source_id) and C(state) from its owner marks.
  returned: success
  type: dict
  sample:
    vdcs:
      - {id: 8e5d1c2a-6a0e-4c77-9d1e-0d9c1f8e7a10, name: acme-vdc, enabled: true, memory_limit_mib: 524288}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import open_vcd, vcd_spec
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import summary


def info(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    with open_vcd(module) as session:
        found = summary.read(session, params["gather"], vdc=params["vdc"] or "")
        return {"changed": False, "org": session.who.org, "api_version": session.version, "found": found}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            "gather": {
                "type": "list",
                "elements": "str",
                "choices": list(summary.KINDS),
                "default": ["vdcs", "vdc_groups", "edges", "networks", "catalogs"],
            },
            "vdc": {"type": "str"},
        },
        supports_check_mode=True,
    )
    run(module, info)


if __name__ == "__main__":
    main()
