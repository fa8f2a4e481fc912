#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: estate_read
short_description: Read a tenant of the source cloud into an estate file
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Reads the same as M(cloudexit.flexible_engine.estate_info) and writes it to a file on the host that runs this, most
    often the controller.
  - The file is the same, byte for byte, as long as nothing changes in the tenant. It is never edited by hand.
  - When the tenant has changed, the reading before is kept beside it, as C(acme.estate.previous.json) for
    C(acme.estate.json), so that M(cloudexit.flexible_engine.plan_draft) can tell what changed.
  - Writes nothing to the cloud.
extends_documentation_fragment:
  - cloudexit.flexible_engine.openstack_auth
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_source
options:
  path:
    description: File of the estate. Missing directories are made.
    type: path
    required: true
  page_size:
    description: Objects asked for in one call.
    type: int
    default: 500
  progress_file:
    description:
      - File to which each step of the reading is written as a line of JSON, with kind and count, or kind, wait and why.
      - Left out, and where the module runs on the controller, lines are shown while it runs, for a service that is busy
        and every few seconds.
    type: path
seealso:
  - module: cloudexit.flexible_engine.estate_info
  - module: cloudexit.flexible_engine.plan_draft
"""

EXAMPLES = r"""
- name: Read the tenant into a file
  cloudexit.flexible_engine.estate_read:
    cloud: acme
    path: "{{ playbook_dir }}/acme.estate.json"
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: Absolute path of the file.
  returned: success
  type: str
  sample: /srv/plans/acme.estate.json
previous:
  description: Absolute path of the reading before, empty where there is none. In check mode it may not be there yet.
  returned: success
  type: str
  sample: /srv/plans/acme.estate.previous.json
estate:
  description: The estate itself, for M(cloudexit.flexible_engine.plan_draft), since no file was written.
  returned: in check mode
  type: dict
digest:
  description: Digest of the estate's content.
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
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.reading import estate_file, read_estate
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import SourceAuth, argument_spec


def act(module: AnsibleModule) -> dict[str, Any]:
    reading = read_estate(
        SourceAuth.from_params(module.params),
        page_size=module.params["page_size"],
        progress_file=module.params["progress_file"] or "",
    )
    file = estate_file(module.params["path"], reading.estate)
    result = {
        "changed": file.writing.changed,
        "path": file.writing.path,
        "previous": file.previous,
        "calls": reading.calls,
        "seconds": round(reading.seconds, 3),
        "waits": {service: round(seconds, 1) for service, seconds in sorted(reading.waits.items())},
        **assess.summary(reading.estate),
    }
    if module.check_mode:
        result["estate"] = estates.dump(reading.estate)
    else:
        file.write()
    return {**result, "diff": file.writing.diff()} if module._diff else result


def main() -> None:
    spec = {
        **argument_spec(),
        "path": {"type": "path", "required": True},
        "page_size": {"type": "int", "default": 500},
        "progress_file": {"type": "path"},
    }
    run(AnsibleModule(argument_spec=spec, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
