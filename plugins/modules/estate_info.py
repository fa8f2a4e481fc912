#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: estate_info
short_description: Read what is in a tenant of the source cloud
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Reads everything of one project that the collection knows, from servers to DNS records and keys; docs/estate.md
    has the list of kinds.
  - Makes one list call a page and none an object. Writes nothing to the cloud.
  - A service that is down or that forbids reading is a finding of the rule C(not_read), and so is a service in the
    catalogue that nothing here reads; the rest is complete. A service that the cloud does not have is absent.
  - Use M(cloudexit.flexible_engine.estate_read) to have it in a file.
extends_documentation_fragment:
  - cloudexit.flexible_engine.openstack_auth
  - cloudexit.flexible_engine.attributes.info
  - cloudexit.flexible_engine.attributes.actiongroup_source
options:
  page_size:
    description: Objects asked for in one call.
    type: int
    default: 500
seealso:
  - module: cloudexit.flexible_engine.estate_read
  - module: cloudexit.flexible_engine.plan_draft
"""

EXAMPLES = r"""
- name: Read the tenant
  cloudexit.flexible_engine.estate_info:
    cloud: acme
  register: acme
  delegate_to: localhost

- name: Say how many servers there are
  ansible.builtin.debug:
    msg: "{{ acme.counts.servers }} servers, digest {{ acme.digest }}"
"""

RETURN = r"""
estate:
  description: The estate, as docs/estate.md describes it.
  returned: success
  type: dict
digest:
  description: Digest of the estate's content; the same as long as nothing changes in the tenant.
  returned: success
  type: str
  sample: sha256:212191e169f035a3e4b37681e2e53f4545436b043fa34ce258e6c0a7e629dd01
tenant:
  description: The project that was read, with project_id, project_name, domain_id and region.
  returned: success
  type: dict
counts:
  description: Number of objects of each kind.
  returned: success
  type: dict
  sample: {servers: 10, volumes: 14}
read:
  description: For each kind, complete, partial, not_read or absent.
  returned: success
  type: dict
  sample: {servers: complete, volumes: not_read}
findings:
  description: What could not be read, with rule, severity, subject, seen and action.
  returned: success
  type: list
  elements: dict
calls:
  description: Calls that the reading took.
  returned: success
  type: int
  sample: 26
seconds:
  description: Seconds that the reading took.
  returned: success
  type: float
  sample: 0.4
waits:
  description: For each service that was busy or failed once, the seconds that its lists waited for it, all together.
  returned: success
  type: dict
  sample: {network: 60.0}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import assess
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import SourceAuth, argument_spec


def act(module: AnsibleModule) -> dict[str, Any]:
    reading = assess.read_estate(SourceAuth.from_params(module.params), page_size=module.params["page_size"])
    return {
        "changed": False,
        "estate": estates.dump(reading.estate),
        "calls": reading.calls,
        "seconds": round(reading.seconds, 3),
        "waits": {service: round(seconds, 1) for service, seconds in sorted(reading.waits.items())},
        **assess.summary(reading.estate),
    }


def main() -> None:
    spec = {**argument_spec(), "page_size": {"type": "int", "default": 500}}
    run(AnsibleModule(argument_spec=spec, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
