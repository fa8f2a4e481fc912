#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flows_write
short_description: Keep what was seen on guests in the tenant's file of flows
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Writes what M(cloudexit.flexible_engine.socket_info) saw on the guests of a tenant into one file, which
    M(cloudexit.flexible_engine.plan_draft) draws dependencies from.
  - What the file holds already stays; looks at a guest that was looked at before are added up. So dependencies get
    clearer the more often, and the more different times of a day and a month, guests are looked at.
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.full
options:
  path:
    description:
      - The file. Missing directories are made.
    type: path
    required: true
  servers:
    description:
      - What M(cloudexit.flexible_engine.socket_info) returned as C(sockets), by id of the server.
    type: dict
    required: true
  merge:
    description:
      - Keep what the file holds already. With V(false) only what is given now is in it afterwards.
    type: bool
    default: true
seealso:
  - module: cloudexit.flexible_engine.socket_info
  - module: cloudexit.flexible_engine.plan_draft
"""

EXAMPLES = r"""
- name: Keep what was seen
  cloudexit.flexible_engine.flows_write:
    path: acme.flows.json
    servers: "{{ {fe_id: seen.sockets} }}"
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: Absolute path of the file.
  returned: success
  type: str
  sample: /srv/plans/acme.flows.json
servers:
  description: Number of servers in the file.
  returned: success
  type: int
  sample: 12
samples:
  description: Looks that the file holds of each server, by id of the server.
  returned: success
  type: dict
  sample: {5e2f0001-7c1e-4a53-9b0f-2f6f5cf1d001: 12}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import flows
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def act(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    together, writing = flows.writing(params["path"], flows.load_sockets(params["servers"]), merge=params["merge"])
    result: dict[str, Any] = {
        "changed": writing.changed,
        "path": writing.path,
        "servers": len(together.servers),
        "samples": {server_id: seen.samples for server_id, seen in together.servers.items()},
    }
    if not module.check_mode:
        writing.write()
    return {**result, "diff": writing.diff()} if module._diff else result


def main() -> None:
    spec = {
        "path": {"type": "path", "required": True},
        "servers": {"type": "dict", "required": True},
        "merge": {"type": "bool", "default": True},
    }
    run(AnsibleModule(argument_spec=spec, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
