#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: socket_info
short_description: See which services a Linux guest has and whom it talks to
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Looks several times at the sockets of the host it runs on, with C(ss), or with C(/proc/net) where there is no C(ss),
    and makes one picture of it. Nothing is installed and nothing is changed; root is not needed, but without it only
    the login's own programs have names.
  - Left out are connections inside of the guest, attempts that came to nothing, and the login that looks. Public
    addresses that called are not written down; they are counted as C(internet).
  - With O(looks) it looks at nothing and understands what was printed elsewhere. That is how the role
    P(cloudexit.flexible_engine.discover_dependencies#role) does it, so that guests need no Python.
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.info
options:
  samples:
    description:
      - How often to look.
    type: int
    default: 6
  interval_s:
    description:
      - Seconds between two looks.
    type: float
    default: 10
  looks:
    description:
      - What the looks printed, when they were taken elsewhere. A look that was cut off is left out.
    type: str
  about:
    description:
      - Returned as it is, to tell the results of many guests apart.
    type: dict
    default: {}
seealso:
  - module: cloudexit.flexible_engine.flows_write
"""

EXAMPLES = r"""
- name: Look six times in a minute
  cloudexit.flexible_engine.socket_info:
    about: {server_id: "{{ fe_id }}"}
  become: true
  register: seen
"""

RETURN = r"""
sockets:
  description: The picture of all looks.
  returned: success
  type: dict
  contains:
    samples:
      description: Looks taken.
      returned: success
      type: int
    addresses:
      description: Addresses of the guest, without those that only it can reach.
      returned: success
      type: list
      elements: str
    listeners:
      description: Services that listen, with protocol, address, port and process.
      returned: success
      type: list
      elements: dict
    peers:
      description:
        - Connections, with protocol, direction (V(in) or V(out)), address, port of the service, process, and the number
          of looks in which it was seen. The port is 0 where both ends had one that callers have.
      returned: success
      type: list
      elements: dict
  sample:
    samples: 6
    addresses: [10.20.0.11]
    listeners: [{protocol: tcp, address: 0.0.0.0, port: 80, process: nginx}]
    peers: [{protocol: tcp, direction: out, address: 10.20.0.21, port: 5432, process: php-fpm, seen: 6}]
about:
  description: What was given as O(about).
  returned: success
  type: dict
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import sockets
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run


def look(module: AnsibleModule) -> list[sockets.Look]:
    """Look as often as wanted."""
    found = []
    for number in range(module.params["samples"]):
        if number:
            time.sleep(module.params["interval_s"])
        rc, out, err = module.run_command(["/bin/sh", "-c", sockets.LOOK])
        looks = sockets.parse(out)
        if rc or not looks:
            raise CloudExitError(
                "Cannot look at the sockets of this host", cause=err.strip() or f"the shell ended with {rc}"
            )
        found += looks
    return found


def act(module: AnsibleModule) -> dict[str, Any]:
    given = module.params["looks"]
    if given is None:
        if module.params["samples"] < 1 or module.params["interval_s"] < 0:
            raise CloudExitError("samples must be 1 or more, and interval_s 0 or more")
        looks = look(module)
    else:
        looks = sockets.parse(given)
        if not looks:
            said = " ".join(given.split())[-200:]
            raise CloudExitError(
                "Nothing of the sockets was seen",
                cause=f"the guest said {said!r}" if said else "the guest said nothing",
            )
    return {"changed": False, "sockets": schema.dump(sockets.fold(looks)), "about": module.params["about"]}


def main() -> None:
    spec = {
        "samples": {"type": "int", "default": 6},
        "interval_s": {"type": "float", "default": 10},
        "looks": {"type": "str"},
        "about": {"type": "dict", "default": {}},
    }
    run(AnsibleModule(argument_spec=spec, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
