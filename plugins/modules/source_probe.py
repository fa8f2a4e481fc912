#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: source_probe
short_description: Ask a source cloud what only it can answer
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Asks the cloud of a tenant which services it has and lets read, which versions they have, whether flavors tell Xen
    from KVM, whether images can be downloaded, and more of what documentation leaves open.
  - Run it once, at the first contact with a tenant. What it finds does not change how a tenant is read.
  - Writes nothing to the cloud. Evidence holds no token, no link and no content of an object.
extends_documentation_fragment:
  - cloudexit.flexible_engine.openstack_auth
  - cloudexit.flexible_engine.attributes.info
  - cloudexit.flexible_engine.attributes.actiongroup_source
options:
  throttle:
    description:
      - Also make thirty list calls at once, to see how the cloud refuses them. Other users of the account share the
        allowance of a minute that this uses up.
    type: bool
    default: false
seealso:
  - module: cloudexit.flexible_engine.estate_read
"""

EXAMPLES = r"""
- name: Ask what the cloud can do
  cloudexit.flexible_engine.source_probe:
    cloud: acme
  delegate_to: localhost
  register: asked

- name: Show which services are not there
  ansible.builtin.debug:
    msg: "{{ asked.probes | selectattr('status', 'equalto', 'no') | map(attribute='probe') }}"
"""

RETURN = r"""
probes:
  description: What was asked, and what was answered.
  returned: success
  type: list
  elements: dict
  contains:
    probe:
      description: Name of the probe, for example C(service_rds).
      type: str
      returned: always
    question:
      description: What was asked.
      type: str
      returned: always
    answer:
      description: The answer, in words.
      type: str
      returned: always
    status:
      description: C(yes) or C(no), as the cloud answered; C(unknown) where it could not be asked or does not tell.
      type: str
      returned: always
    evidence:
      description: What that is concluded from, for example status and error codes.
      type: list
      elements: str
      returned: always
summary:
  description: Number of probes of each status.
  returned: success
  type: dict
  sample: {"yes": 41, "no": 6, "unknown": 4}
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import (
    SourceAuth,
    argument_spec,
    connect,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import probe


def act(module: AnsibleModule) -> dict[str, Any]:
    with connect(SourceAuth.from_params(module.params)) as cloud:
        probes = probe.run(cloud, throttle=module.params["throttle"])
    summary = {status: sum(1 for one in probes if one.status == status) for status in ("yes", "no", "unknown")}
    return {"changed": False, "probes": [asdict(one) for one in probes], "summary": summary}


def main() -> None:
    spec = {**argument_spec(), "throttle": {"type": "bool", "default": False}}
    run(AnsibleModule(argument_spec=spec, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
