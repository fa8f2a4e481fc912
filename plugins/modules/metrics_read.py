#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: metrics_read
short_description: Read how busy the servers of a tenant were into a file
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Reads from the monitoring of Flexible Engine (CES) how much processor, memory and network the servers of a tenant
    used, and writes it to a file on the host that runs this, most often the controller.
  - M(cloudexit.flexible_engine.plan_draft) can size machines by it.
  - The file changes with every look, at most once an hour; an estate does not.
  - Writes nothing to the cloud.
extends_documentation_fragment:
  - cloudexit.flexible_engine.openstack_auth
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_source
options:
  path:
    description: File of the load. Missing directories are made.
    type: path
    required: true
  days:
    description: Days to look back, 1 to 90.
    type: int
    default: 14
seealso:
  - module: cloudexit.flexible_engine.estate_read
  - module: cloudexit.flexible_engine.plan_draft
"""

EXAMPLES = r"""
- name: Read the load of four weeks
  cloudexit.flexible_engine.metrics_read:
    cloud: acme
    path: "{{ playbook_dir }}/acme.metrics.json"
    days: 28
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: Absolute path of the file.
  returned: success
  type: str
  sample: /srv/plans/acme.metrics.json
servers:
  description: Number of servers with a known load.
  returned: success
  type: int
  sample: 30
metrics:
  description: The content of the file, since none was written.
  returned: in check mode
  type: dict
calls:
  description: Calls that it took.
  returned: success
  type: int
  sample: 12
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import assess
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import observations, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Refused
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import (
    SourceAuth,
    argument_spec,
    connect,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import metrics


def act(module: AnsibleModule) -> dict[str, Any]:
    days = module.params["days"]
    if not 1 <= days <= 90:
        raise Refused(f"Cannot look back {days} days", cause="the monitoring keeps no more than 90 days")
    with connect(SourceAuth.from_params(module.params)) as cloud:
        reading = metrics.read(cloud, days=days)
    writing = assess.writing(module.params["path"], observations.to_text(reading.metrics))
    result: dict[str, Any] = {
        "changed": writing.changed,
        "path": writing.path,
        "servers": len(reading.metrics.servers),
        "calls": reading.calls,
    }
    if module.check_mode:
        result["metrics"] = schema.dump(reading.metrics)
    else:
        writing.write()
    return {**result, "diff": writing.diff()} if module._diff else result


def main() -> None:
    spec = {
        **argument_spec(),
        "path": {"type": "path", "required": True},
        "days": {"type": "int", "default": 14},
    }
    run(AnsibleModule(argument_spec=spec, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
