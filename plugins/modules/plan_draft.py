#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: plan_draft
short_description: Judge a tenant, and draft its plan or bring the plan up to date
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Judges an estate (rules, policy, dependencies) and drafts what becomes of every server of it at the target, and of
    every other object, as a plan that people edit (see C(docs/plan.md)).
  - Servers that cannot be moved, or whose move nobody has agreed to, are in the plan with C(move) V(none) and the
    reason.
  - In a plan that is there already every edit stands, byte for byte, comments too. What people did not change follows
    the tenant. Where both changed, the people's value stays and the difference is returned.
  - The draft itself is C(<name>.draft.yml) beside the plan. It tells the next run what people changed; keep it with
    the plan.
  - What was concluded is C(<name>.assessment.json) (see C(docs/assessment.md)).
  - A plan that cannot be read stays as it is, and the error says why.
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
  previous:
    description:
      - File of the reading before this one, for what changed in the tenant since. Left out, the one that
        M(cloudexit.flexible_engine.estate_read) keeps beside the estate, where there is one.
    type: path
  policy:
    description:
      - File of the policy (see C(docs/policy.md)). Left out, whatever can move moves to the target of the plan.
    type: path
  rules:
    description: Files of rules, over the built-in ones (see C(docs/rules.md)).
    type: list
    elements: path
    default: []
  flows:
    description: File of connections that were seen on the guests, from M(cloudexit.flexible_engine.flows_write).
    type: path
  metrics:
    description: File of the load of the servers, from M(cloudexit.flexible_engine.metrics_read).
    type: path
  assessment:
    description: File of the assessment. Left out, C(<name>.assessment.json) beside the plan.
    type: path
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
      type:
        description: Kind of target, a vCenter or Cloud Director (Cloud Avenue); it says which other options count.
        type: str
        choices: [vsphere, vcd]
        default: vsphere
      org:
        description: Organisation of Cloud Director.
        type: str
        default: ''
      vdc:
        description: Virtual data center of the machines.
        type: str
        default: ''
      storage_profile:
        description:
          - Storage profile of the machines. Left out, the default of the VDC.
          - Disks whose volume type the policy gives another one (C(storage)) name it.
        type: str
        default: ''
      catalog:
        description: Catalog that disks are uploaded to. Left out, C(cloudexit).
        type: str
        default: ''
      vapp_prefix:
        description: Begin of the names of the vApps, one for each move group. Left out, the tenant's name.
        type: str
        default: ''
      edge:
        description:
          - Edge gateway of Cloud Director, where M(cloudexit.flexible_engine.network_prepare) is to make firewall and
            NAT. Each public address of what moves is in the plan, and what takes its place must be filled in.
        type: str
        default: ''
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
        description:
          - Target network of all other source networks.
          - Left out, in Cloud Director it is one of the same name, which
            M(cloudexit.flexible_engine.network_prepare) makes. In a vCenter it must be filled in.
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
    description:
      - Key of server metadata whose value names the move group. Servers without it are grouped by what joins them.
      - Left out, or V(group), the policy's C(grouping.key) counts, which is V(group) as well unless it says otherwise.
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
told:
  description: What a person should read now; long lists are shortened.
  returned: success
  type: list
  elements: str
  sample: ['readiness: 12 ready, 2 not ready', 'blocker volume_encrypted: vault-1']
path:
  description: Absolute path of the plan.
  returned: success
  type: str
  sample: /srv/plans/acme.plan.yml
draft:
  description: Absolute path of the draft.
  returned: success
  type: str
  sample: /srv/plans/acme.draft.yml
assessment:
  description: Absolute path of the assessment.
  returned: success
  type: str
  sample: /srv/plans/acme.assessment.json
kept:
  description: Whether there was a plan that people had edited.
  returned: success
  type: bool
edits:
  description: Number of places of that plan that followed the tenant.
  returned: success
  type: int
conflicts:
  description: Where people's edits stand although the tenant says another since the last draft.
  returned: success
  type: list
  elements: str
  sample: ['workloads.web-1-3f2a9c1d.cpus: kept 8; the tenant now says 4']
drift:
  description: What changed in the tenant since the previous reading, and what that did to the plan, one line a change.
  returned: success
  type: list
  elements: str
  sample: ['~ servers web-1 (3f2a9c1d): flavor.vcpus: 2 → 4  [workload web-1-3f2a9c1d follows]']
digest:
  description: Digest of the plan, that of the draft where the plan cannot be used.
  returned: success
  type: str
  sample: sha256:f71d05d7761e8295d27361b6a0b8bfe5266899fbc6a21dc8893ca3852320cd7e
moving:
  description: Host names of the workloads that move.
  returned: success
  type: list
  elements: str
  sample: [web-1-3f2a9c1d]
not_moved:
  description: For each other server, by host name, why.
  returned: success
  type: dict
  sample: {db-1-77aa00bb: its volume 0b8b8d5e-57ab-4f4c-a1a1-3f9a6c6c3f10 is encrypted}
readiness:
  description: How many servers are ready, ready_with_changes, not_ready and unknown.
  returned: success
  type: dict
  sample: {ready: 12, ready_with_changes: 7, not_ready: 2, unknown: 3}
to_fill:
  description: What must be filled in before the draft is a valid plan, as path and text.
  returned: success
  type: list
  elements: str
  sample: ['target.datastore: must not be empty']
plan_problems:
  description: What else is wrong in a plan that was there.
  returned: success
  type: list
  elements: str
findings:
  description: What a person must know, with rule, severity, subject, seen, action and data_gap; blockers first.
  returned: success
  type: list
  elements: dict
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import assess, reading
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import draft


def act(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    target, reader = params["target"], params["reader"]
    options = draft.Options(
        tenant=params["tenant"],
        cloud=params["cloud"],
        estate_file=os.path.relpath(params["estate"], os.path.dirname(os.path.abspath(params["path"]))),
        **{key: target[key] for key in ("type", "edge", *plans.target_keys(target["type"]))},
        networks=target["networks"],
        default_network=target["network"],
        reader=reader["name"],
        reader_server_id=reader["server_id"],
        reader_connection=reader["connection"],
        group_by="" if params["group_by"] == "group" else params["group_by"],
        stop_deadline_s=params["stop_deadline_s"],
        **params["limits"],
    )
    if params["estate_data"] and (module.check_mode or not os.path.exists(params["estate"])):
        estate = estates.load(params["estate_data"])
    else:
        estate = assess.load_estate(params["estate"])
    drafted = assess.draft_plan(
        estate,
        options,
        params["path"],
        given=assess.judging_inputs(
            policy=params["policy"], rules=params["rules"], flows=params["flows"], metrics=params["metrics"]
        ),
        previous=_previous(params, estate, module.check_mode),
        assessment=params["assessment"],
        force=params["force"],
        check=module.check_mode,
    )
    plan = drafted.plan
    moving = plan.moving()
    result = {
        "changed": drafted.changed,
        "msg": drafted.message(),
        "told": drafted.told(),
        "path": drafted.plan_file.path,
        "draft": drafted.draft_file.path,
        "assessment": drafted.assessment_file.path,
        "kept": drafted.kept,
        "edits": len(drafted.merged.edits),
        "conflicts": [str(conflict) for conflict in drafted.merged.conflicts],
        "drift": drafted.drift,
        "digest": plan.digest(),
        "moving": sorted(moving),
        "not_moved": {host: w.reason for host, w in plan.workloads.items() if host not in moving},
        "readiness": drafted.readiness,
        "to_fill": [str(problem) for problem in drafted.to_fill],
        "plan_problems": [str(problem) for problem in drafted.wrong],
        "findings": [_told(finding) for finding in drafted.assessment.findings],
    }
    return {**result, "diff": drafted.diff()} if module._diff else result


def _previous(params: dict[str, Any], estate: estates.Estate, check: bool) -> estates.Estate | None:
    """The reading before this one."""
    if params["previous"]:
        return assess.load_estate(params["previous"])
    if check and os.path.exists(params["estate"]):
        kept = assess.load_estate(params["estate"])
        if kept.digest() != estate.digest():  # nothing has been put aside yet
            return kept
    beside = reading.previous_path(params["estate"])
    if not os.path.exists(beside):
        return None
    try:
        return assess.load_estate(beside)
    except InvalidInput:  # written by another release: nothing can be compared with it
        return None


def _told(finding: estates.Finding) -> dict[str, Any]:
    return {key: value for key, value in schema.dump(finding).items() if not key.endswith("_fr")}


def main() -> None:
    text = {"type": "str", "default": ""}
    spec = {
        "estate": {"type": "path", "required": True},
        "estate_data": {"type": "dict"},
        "previous": {"type": "path"},
        "policy": {"type": "path"},
        "rules": {"type": "list", "elements": "path", "default": []},
        "flows": {"type": "path"},
        "metrics": {"type": "path"},
        "assessment": {"type": "path"},
        "path": {"type": "path", "required": True},
        "tenant": {"type": "str", "required": True},
        "cloud": {"type": "str"},
        "target": {
            "type": "dict",
            "default": {},
            "apply_defaults": True,
            "options": {
                "type": {"type": "str", "choices": ["vsphere", "vcd"], "default": "vsphere"},
                "org": text,
                "vdc": text,
                "storage_profile": text,
                "catalog": text,
                "vapp_prefix": text,
                "edge": text,
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
