#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: plan_draft
short_description: Draft the plan of a tenant from its estate
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Drafts what becomes of every server of an estate in a vSphere, as a plan that people edit (see C(docs/plan.md)).
  - Servers that cannot be moved are in the plan with C(move) V(none) and the reason.
  - A plan that is there already is kept; the draft then goes beside it, into C(<name>.draft.yml), unless it is the same
    as the plan.
  - Reads and writes files only, on the host that runs this, most often the controller.
extends_documentation_fragment:
  - cloudexit.flexible_engine.attributes.full
options:
  estate:
    description: File of the estate, from M(cloudexit.flexible_engine.estate_read).
    type: path
    required: true
  estate_data:
    description:
      - The estate itself, used where the file is not there. In check mode M(cloudexit.flexible_engine.estate_read)
        writes no file and returns this.
    type: dict
  path:
    description: File of the plan. Its name ends in C(.plan.yml). Missing directories are made.
    type: path
    required: true
  tenant:
    description: Short name of the tenant. Owner marks on everything that is made carry it.
    type: str
    required: true
  cloud:
    description: Entry of C(clouds.yaml) that the plan names for the tenant.
    type: str
  target:
    description: Where the tenant goes. What is left out is drafted empty and must be filled in.
    type: dict
    default: {}
    suboptions:
      datacenter:
        description: Name or inventory path of the datacenter.
        type: str
        default: ''
      compute:
        description: Cluster, resource pool or host that runs the machines.
        type: str
        default: ''
      datastore:
        description: Datastore of the disks.
        type: str
        default: ''
      folder:
        description: VM folder, made when missing.
        type: str
        default: cloudexit
      networks:
        description: Target network of a source network, by the source network's name or id.
        type: dict
        default: {}
      network:
        description: Target network of all other source networks.
        type: str
  reader:
    description: The reader host of the source tenant. What is left out is drafted empty and must be filled in.
    type: dict
    default: {}
    suboptions:
      name:
        description: Its name in the inventory.
        type: str
        default: reader-1
      server_id:
        description: Id of its server.
        type: str
        default: ''
      connection:
        description: Ansible host variables to reach it, for example C(ansible_host) and C(ansible_user).
        type: dict
        default: {}
  limits:
    description: How much at once.
    type: dict
    default: {}
    suboptions:
      workloads_at_once:
        description: Workloads that are copied at the same time.
        type: int
        default: 4
      disks_per_reader:
        description: Disks that one reader reads at the same time.
        type: int
        default: 2
      bandwidth_mib_s:
        description: MiB per second that one reader sends; V(0) for no limit.
        type: float
        default: 0
  group_by:
    description: Key of server metadata whose value names the move group. Servers without it are in the group C(main).
    type: str
    default: group
  stop_deadline_s:
    description: Seconds that a guest has to shut down.
    type: int
    default: 300
  force:
    description: Replace a plan that is there already, with all that people wrote into it.
    type: bool
    default: false
seealso:
  - module: cloudexit.flexible_engine.estate_read
  - plugin: cloudexit.flexible_engine.plan
    plugin_type: inventory
"""

EXAMPLES = r"""
- name: Draft the plan
  cloudexit.flexible_engine.plan_draft:
    estate: "{{ playbook_dir }}/acme.estate.json"
    path: "{{ playbook_dir }}/acme.plan.yml"
    tenant: acme
    cloud: acme
    target:
      datacenter: DC0
      compute: DC0_C0
      datastore: LocalDS_0
      network: VM Network
    reader:
      server_id: 9d5c1f0e-3b1c-4b45-a54e-8f7f4f3a3c55
      connection: {ansible_host: 192.0.2.10, ansible_user: debian}
  delegate_to: localhost
"""

RETURN = r"""
msg:
  description: What happened, for people.
  returned: success
  type: str
path:
  description: Absolute path of the file that holds the draft, the plan's own where there was none.
  returned: success
  type: str
  sample: /srv/plans/acme.plan.yml
kept:
  description: Whether there was a plan that was left alone.
  returned: success
  type: bool
digest:
  description: Digest of the drafted plan.
  returned: success
  type: str
  sample: sha256:f71d05d7761e8295d27361b6a0b8bfe5266899fbc6a21dc8893ca3852320cd7e
moving:
  description: Host names of the workloads that are drafted to move.
  returned: success
  type: list
  elements: str
  sample: [web-1-3f2a9c1d]
not_moved:
  description: For each other server, by host name, why.
  returned: success
  type: dict
  sample: {db-1-77aa00bb: its volume 0b8b8d5e-57ab-4f4c-a1a1-3f9a6c6c3f10 is encrypted}
to_fill:
  description: What must be filled in before the draft is a valid plan, as path and text.
  returned: success
  type: list
  elements: str
  sample: ['target.datastore: must not be empty']
plan_problems:
  description: What is wrong in the plan that was kept.
  returned: success
  type: list
  elements: str
findings:
  description: What a person must know, with rule, severity, subject, seen and action; blockers first.
  returned: success
  type: list
  elements: dict
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import assess
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import draft


def act(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    target, reader = params["target"], params["reader"]
    options = draft.Options(
        tenant=params["tenant"],
        cloud=params["cloud"],
        estate_file=os.path.relpath(params["estate"], os.path.dirname(os.path.abspath(params["path"]))),
        datacenter=target["datacenter"],
        compute=target["compute"],
        datastore=target["datastore"],
        folder=target["folder"],
        networks=target["networks"],
        default_network=target["network"],
        reader=reader["name"],
        reader_server_id=reader["server_id"],
        reader_connection=reader["connection"],
        group_by=params["group_by"],
        stop_deadline_s=params["stop_deadline_s"],
        **params["limits"],
    )
    if params["estate_data"] and not os.path.exists(params["estate"]):
        estate = estates.load(params["estate_data"])
    else:
        estate = assess.load_estate(params["estate"])
    drafted = assess.draft_plan(estate, options, params["path"], force=params["force"], check=module.check_mode)
    plan = drafted.draft.plan
    moving = plan.moving()
    result = {
        "changed": drafted.writing.changed,
        "msg": drafted.message(),
        "path": drafted.writing.path,
        "kept": drafted.kept,
        "digest": plan.digest(),
        "moving": sorted(moving),
        "not_moved": {host: w.reason for host, w in plan.workloads.items() if host not in moving},
        "to_fill": [str(problem) for problem in drafted.draft.open],
        "plan_problems": [str(problem) for problem in drafted.problems],
        "findings": schema.dump(drafted.draft.findings),
    }
    return {**result, "diff": drafted.writing.diff()} if module._diff else result


def main() -> None:
    text = {"type": "str", "default": ""}
    spec = {
        "estate": {"type": "path", "required": True},
        "estate_data": {"type": "dict"},
        "path": {"type": "path", "required": True},
        "tenant": {"type": "str", "required": True},
        "cloud": {"type": "str"},
        "target": {
            "type": "dict",
            "default": {},
            "apply_defaults": True,
            "options": {
                "datacenter": text,
                "compute": text,
                "datastore": text,
                "folder": {"type": "str", "default": "cloudexit"},
                "networks": {"type": "dict", "default": {}},
                "network": {"type": "str"},
            },
        },
        "reader": {
            "type": "dict",
            "default": {},
            "apply_defaults": True,
            "options": {
                "name": {"type": "str", "default": "reader-1"},
                "server_id": text,
                "connection": {"type": "dict", "default": {}},
            },
        },
        "limits": {
            "type": "dict",
            "default": {},
            "apply_defaults": True,
            "options": {
                "workloads_at_once": {"type": "int", "default": 4},
                "disks_per_reader": {"type": "int", "default": 2},
                "bandwidth_mib_s": {"type": "float", "default": 0},
            },
        },
        "group_by": {"type": "str", "default": "group"},
        "stop_deadline_s": {"type": "int", "default": 300},
        "force": {"type": "bool", "default": False},
    }
    run(AnsibleModule(argument_spec=spec, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
