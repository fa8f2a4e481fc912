#!/usr/bin/python
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vcd_network
short_description: Make, change or remove a network of an organisation in Cloud Director
version_added: 1.0.0
author:
  - the cloudexit.flexible_engine contributors (@cloudexit)
description:
  - Has a network behind an edge gateway (routed), or one that no edge is connected to (isolated), with its DHCP.
  - A network is found by its name where it is. One that is not ours is never changed; it is fine as it is where it is
    just what is wanted.
extends_documentation_fragment:
  - cloudexit.flexible_engine.vcd_auth
  - cloudexit.flexible_engine.vcd_owned
  - cloudexit.flexible_engine.vcd_owned.named
  - cloudexit.flexible_engine.vcd_owned.described
  - cloudexit.flexible_engine.attributes.full
  - cloudexit.flexible_engine.attributes.actiongroup_target
options:
  edge:
    description:
      - Edge gateway that the network is behind. Left out, the network is isolated.
      - The network then belongs to the edge's VDC or VDC group, unless O(vdc) or O(vdc_group) says otherwise.
      - At least one of O(edge), O(vdc) and O(vdc_group) is needed.
    type: str
  vdc:
    description:
      - VDC that the network belongs to.
    type: str
  vdc_group:
    description:
      - VDC group that the network belongs to. All its VDCs can use it.
    type: str
  gateway:
    description:
      - Address of the gateway. It cannot be changed later. Needed with O(state=present).
    type: str
  prefix:
    description:
      - Length of the network's prefix. It cannot be changed later. Needed with O(state=present).
    type: int
  ranges:
    description:
      - Addresses that machines may have by hand or from the pool, as V(first-last) or single ones.
    type: list
    elements: str
    default: []
  dns:
    description:
      - DNS servers of the network, two at most.
    type: list
    elements: str
    default: []
  dns_suffix:
    description:
      - DNS suffix of the network.
    type: str
    default: ''
  dhcp:
    description:
      - DHCP of the network. Left out, it stays as it is.
      - It has no mark of its own, so an edit of it by somebody cannot be told from ours.
    type: dict
    suboptions:
      pools:
        description:
          - Addresses that are given out, as V(first-last) or single ones. They must not overlap O(ranges). None
            switches DHCP off.
        type: list
        elements: str
        default: []
      dns:
        description:
          - DNS servers that are given out.
        type: list
        elements: str
        default: []
      lease:
        description:
          - Seconds that an address is given out for.
        type: int
        default: 86400
      mode:
        description:
          - Who gives them out. Left out, V(EDGE) behind an edge, and V(NETWORK) in an isolated network.
        type: str
        choices: [EDGE, NETWORK, RELAY]
      address:
        description:
          - Address of the DHCP server, which O(dhcp.mode=NETWORK) needs.
        type: str
        default: ''
seealso:
  - module: cloudexit.flexible_engine.vcd_ip_set
  - module: cloudexit.flexible_engine.vcd_nat
"""

EXAMPLES = r"""
- name: A network behind the edge, with the addresses that it had
  cloudexit.flexible_engine.vcd_network:
    tenant: acme
    name: front
    edge: tn01e02ocb0001234spt101
    gateway: 10.1.0.1
    prefix: 24
    ranges: [10.1.0.10-10.1.0.199]
    dns: [10.1.0.2]
    dhcp:
      pools: [10.1.0.200-10.1.0.250]

- name: A network without an edge
  cloudexit.flexible_engine.vcd_network:
    tenant: acme
    name: back
    vdc: acme-vdc
    gateway: 10.2.0.1
    prefix: 24
"""

RETURN = r"""
id:
  description: Its id; empty where it is not there.
  returned: success
  type: str
  sample: urn:vcloud:network:6e2f7b1c-3f0e-4f5e-9f0d-0d9c2b1f7a11
settings:
  description: >-
    The network as it is in the end (in check mode, as it would be), with names instead of ids; empty where it is not
    there.
  returned: success
  type: dict
changes:
  description: What was changed, or would be in check mode, one sentence each.
  returned: success
  type: list
  elements: str
  sample: [create network front]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import vcd_network as acts
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.arguments import (
    DESCRIBED,
    named_spec,
    open_vcd,
    vcd_spec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.module import run
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.network import Dhcp


def network(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    owned = acts.Owned.of(params, dry_run=module.check_mode)
    given = params["dhcp"]
    dhcp = None
    if given is not None:
        pools = acts.ranges("dhcp.pools", given["pools"])
        mode = given["mode"] or ("EDGE" if params["edge"] else "NETWORK")
        dhcp = Dhcp(pools, tuple(given["dns"]), given["lease"], mode, given["address"])
    with open_vcd(module) as session:
        return acts.ensure_network(
            session,
            owned,
            edge=params["edge"] or "",
            vdc=params["vdc"] or "",
            vdc_group=params["vdc_group"] or "",
            gateway=params["gateway"] or "",
            prefix=params["prefix"] or 0,
            ranges_=params["ranges"],
            dns=params["dns"],
            dns_suffix=params["dns_suffix"],
            description=params["description"],
            dhcp=dhcp,
        )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **vcd_spec(),
            **named_spec(),
            "edge": {"type": "str"},
            "vdc": {"type": "str"},
            "vdc_group": {"type": "str"},
            "gateway": {"type": "str"},
            "prefix": {"type": "int"},
            "ranges": {"type": "list", "elements": "str", "default": []},
            "dns": {"type": "list", "elements": "str", "default": []},
            "dns_suffix": {"type": "str", "default": ""},
            "dhcp": {
                "type": "dict",
                "options": {
                    "pools": {"type": "list", "elements": "str", "default": []},
                    "dns": {"type": "list", "elements": "str", "default": []},
                    "lease": {"type": "int", "default": 86400},
                    "mode": {"type": "str", "choices": ["EDGE", "NETWORK", "RELAY"]},
                    "address": {"type": "str", "default": ""},
                },
            },
            **DESCRIBED,
        },
        mutually_exclusive=[("vdc", "vdc_group")],
        required_one_of=[("edge", "vdc", "vdc_group")],
        required_if=[("state", "present", ("gateway", "prefix"))],
        supports_check_mode=True,
    )
    run(module, network)


if __name__ == "__main__":
    main()
