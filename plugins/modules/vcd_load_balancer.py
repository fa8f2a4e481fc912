#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vcd_load_balancer
short_description: Make, change or remove a load balancer in Cloud Director
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Has a pool of members on an edge gateway, and a virtual service of the same name before it.
  - The provider switches load balancing on at the edge; that is not done here.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.vcd_owned
  - cloudexit.flexible_engine.vcd_owned.named
  - cloudexit.flexible_engine.vcd_owned.edge
  - cloudexit.flexible_engine.vcd_owned.described
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  pool:
    description:
      - Who answers. Needed with O(state=present).
    type: dict
    suboptions:
      members:
        description:
          - Members of the pool. Their order means nothing.
        type: list
        elements: dict
        required: true
        suboptions:
          address:
            description:
              - Address of the member.
            type: str
            required: true
          port:
            description:
              - Port of the member. Left out, O(pool.port).
            type: int
          ratio:
            description:
              - Its share, in relation to the others.
            type: int
            default: 1
          enabled:
            description:
              - Whether it is given anything.
            type: bool
            default: true
      port:
        description:
          - Port of members that name none.
        type: int
        default: 80
      algorithm:
        description:
          - How a member is chosen.
        type: str
        choices:
          - ROUND_ROBIN
          - LEAST_CONNECTIONS
          - CONSISTENT_HASH
          - FASTEST_RESPONSE
          - LEAST_LOAD
          - FEWEST_SERVERS
          - RANDOM
          - FEWEST_TASKS
          - CORE_AFFINITY
        default: ROUND_ROBIN
      monitors:
        description:
          - How members are asked whether they are well.
        type: list
        elements: str
        choices: [HTTP, HTTPS, TCP, UDP, PING]
        default: []
      persistence:
        description:
          - By what a client stays with a member. Left out, it does not.
        type: str
        choices: [CLIENT_IP, HTTP_COOKIE, CUSTOM_HTTP_HEADER, APP_COOKIE, TLS]
      persistence_value:
        description:
          - Name of the cookie or the header, where O(pool.persistence) needs one.
        type: str
        default: ''
      enabled:
        description:
          - Whether the pool is used.
        type: bool
        default: true
  service:
    description:
      - What clients reach. Left out, a virtual service that is there stays as it is.
    type: dict
    suboptions:
      address:
        description:
          - Address that clients reach.
        type: str
        required: true
      ports:
        description:
          - Ports that clients reach, and ranges V(first-last).
        type: list
        elements: str
        required: true
      type:
        description:
          - What is spoken.
        type: str
        choices: [HTTP, HTTPS, L4_TCP, L4_UDP, L4_TLS]
        default: HTTP
      certificate:
        description:
          - Certificate in the organisation's library, by name (or id). Needed with V(HTTPS) and V(L4_TLS).
        type: str
        default: ''
      engine_group:
        description:
          - Group of service engines, by name. Left out, the edge's only one.
        type: str
        default: ''
      enabled:
        description:
          - Whether it answers.
        type: bool
        default: true
seealso:
  - module: cloudexit.flexible_engine.vcd_firewall
  - module: cloudexit.flexible_engine.vcd_network
"""

EXAMPLES = r"""
- name: Two web servers behind one address
  cloudexit.flexible_engine.vcd_load_balancer:
    tenant: acme
    name: web
    edge: tn01e02ocb0001234spt101
    pool:
      members:
        - address: 10.1.0.10
        - address: 10.1.0.11
          ratio: 2
      monitors: [HTTP]
    service:
      address: 10.1.0.5
      ports: ['80']
"""

RETURN = r"""
pool_id:
  description: Id of the pool; empty where it is not there.
  returned: success
  type: str
  sample: urn:vcloud:loadBalancerPool:6e2f7b1c-3f0e-4f5e-9f0d-0d9c2b1f7a11
service_id:
  description: Id of the virtual service; empty where it is not there or was not asked for.
  returned: success
  type: str
  sample: urn:vcloud:loadBalancerVirtualService:6e2f7b1c-3f0e-4f5e-9f0d-0d9c2b1f7a11
pool:
  description: The pool as it is in the end (in check mode, as it would be), with names instead of ids.
  returned: success
  type: dict
service:
  description: The virtual service in the same way; empty where it was not asked for.
  returned: success
  type: dict
changes:
  description: What was changed, or would be in check mode, one sentence each.
  returned: success
  type: list
  elements: str
  sample: [create pool web, create virtual service web]
pending:
  description: Names that are not there yet, and that a run without check mode would refuse.
  returned: in check mode, where there are such
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import vcd_network as acts
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    DESCRIBED,
    edge_spec,
    named_spec,
    open_vcd,
    vcd_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.balancer import (
    ALGORITHMS,
    MONITORS,
    PERSISTENCE,
    SERVICES,
    Member,
    Pool,
)


def load_balancer(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    owned = acts.Owned.of(params, dry_run=module.check_mode)
    pool, service = None, None
    if owned.present:
        given = dict(params["pool"])
        members = given.pop("members")
        given["members"] = tuple(Member(**{**one, "port": one["port"] or given["port"]}) for one in members)
        given |= {"monitors": tuple(given["monitors"]), "persistence": given["persistence"] or ""}
        pool = Pool(owned.name, **given)
        if params["service"]:
            asked = dict(params["service"])
            asked |= {"ports": acts.ports("service.ports", asked["ports"]), "kind": asked.pop("type")}
            service = acts.Service(**asked)
    with open_vcd(module) as session:
        return acts.ensure_load_balancer(
            session,
            owned,
            edge=params["edge"],
            pool=pool,
            service=service,
            description=params["description"],
        )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            **named_spec(),
            **edge_spec(),
            "pool": {
                "type": "dict",
                "options": {
                    "members": {
                        "type": "list",
                        "elements": "dict",
                        "required": True,
                        "options": {
                            "address": {"type": "str", "required": True},
                            "port": {"type": "int"},
                            "ratio": {"type": "int", "default": 1},
                            "enabled": {"type": "bool", "default": True},
                        },
                    },
                    "port": {"type": "int", "default": 80},
                    "algorithm": {"type": "str", "choices": list(ALGORITHMS), "default": "ROUND_ROBIN"},
                    "monitors": {"type": "list", "elements": "str", "choices": list(MONITORS), "default": []},
                    "persistence": {"type": "str", "choices": list(PERSISTENCE)},
                    "persistence_value": {"type": "str", "default": ""},
                    "enabled": {"type": "bool", "default": True},
                },
            },
            "service": {
                "type": "dict",
                "options": {
                    "address": {"type": "str", "required": True},
                    "ports": {"type": "list", "elements": "str", "required": True},
                    "type": {"type": "str", "choices": list(SERVICES), "default": "HTTP"},
                    "certificate": {"type": "str", "default": ""},
                    "engine_group": {"type": "str", "default": ""},
                    "enabled": {"type": "bool", "default": True},
                },
            },
            **DESCRIBED,
        },
        required_if=[("state", "present", ("pool",))],
        supports_check_mode=True,
    )
    run(module, load_balancer)


if __name__ == "__main__":
    main()
