#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: target_probe
short_description: Ask an organisation of Cloud Director or Cloud Avenue what only it can answer
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Asks which versions of the interface there are, which rights the user has, what virtual data centers, edges, groups
    and storage profiles can do, how much room they have, and what Orange's own interface knows.
  - Run it once, at the first contact with an organisation, before anything is planned. It makes no call that changes
    anything, apart from the log-in itself.
  - What cannot be asked without changing something is there as well, with the status V(unknown).
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.cloudavenue_auth
  - cloudexit.flexible_engine.attributes.info
  - cloudexit.flexible_engine.attributes.actiongroup_target
notes:
  - Orange's interface is asked where the organisation has a name of Cloud Avenue's, or O(core_api) or O(interface) says
    so.
seealso:
  - module: cloudexit.flexible_engine.source_probe
  - module: cloudexit.flexible_engine.vcd_info
"""

EXAMPLES = r"""
- name: Ask what the organisation can do
  cloudexit.flexible_engine.target_probe:
    url: https://console1.cloudavenue.orange-business.com
    org: cav01ev01ocb0001234
    username: jane
    password: "{{ vault_password }}"
  delegate_to: localhost
  register: asked

- name: Show what stands in the way
  ansible.builtin.debug:
    msg: "{{ asked.probes | selectattr('status', 'equalto', 'no') | map(attribute='means') }}"
"""

RETURN = r"""
org:
  description: Name of the organisation.
  returned: success
  type: str
  sample: cav01ev01ocb0001234
probes:
  description: What was asked, what was answered, and what that means for a migration.
  returned: success
  type: list
  elements: dict
  contains:
    probe:
      description: Name of the probe, for example C(rights).
      type: str
    of:
      description: The virtual data center, edge or group that it is about; empty where it is about the organisation.
      type: str
    question:
      description: What was asked.
      type: str
    asked:
      description: The calls.
      type: list
      elements: str
    answer:
      description: The answer, in words.
      type: str
    status:
      description: V(yes) or V(no), as the server answered; V(unknown) where it could not be asked or does not tell.
      type: str
    means:
      description: What follows for a migration.
      type: str
told:
  description: The same for people, a line each.
  returned: success
  type: list
  elements: str
  sample: ['yes  rights: All 19 are there, of 21 in all. The user can migrate.']
summary:
  description: Number of probes of each status.
  returned: success
  type: dict
  sample: {"yes": 21, "no": 2, "unknown": 7}
"""

import os
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    open_orange,
    open_vcd,
    orange_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import orange, probe


def act(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    told = params["core_api"] or params["interface"] != "auto" or os.environ.get("CLOUDAVENUE_CORE_API")
    with open_vcd(module) as session:
        if told or orange.console(session.who.org):
            with open_orange(module, session) as cloud:
                probes = probe.run(session, cloud)
        else:
            probes = probe.run(session, None)
    summary = {status: sum(1 for one in probes if one.status == status) for status in ("yes", "no", "unknown")}
    rows = [asdict(one) for one in probes]
    told = [_line(one) for one in probes]
    return {"changed": False, "org": session.who.org, "probes": rows, "told": told, "summary": summary}


def _line(one: probe.Probe) -> str:
    about = f"{one.probe} of {one.of}" if one.of else one.probe
    return f"{one.status}  {about}: {one.answer} {one.means}"


def main() -> None:
    run(AnsibleModule(argument_spec=orange_spec(), supports_check_mode=True), act)


if __name__ == "__main__":
    main()
