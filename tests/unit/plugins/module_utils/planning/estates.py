# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small estates for tests of judging: one plain server that is ready to move, and ways to make it less so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.kinds import KINDS

READ: dict[str, e.ReadState] = dict.fromkeys(KINDS, "complete")
IMAGE = {"os_distro": "debian", "os_version": "12", "hw_firmware_type": "bios"}
HOSTILE = "a b'\"{{ 7*7 }}/../é\u202e<script>{os}"


def server(**changed: Any) -> e.Server:
    plain = e.Server(
        id="s1",
        name="web-1",
        status="ACTIVE",
        flavor=e.Flavor(name="m1.small", vcpus=2, ram_mib=2048),
        volumes=[e.Attachment(volume_id="v1", device="/dev/vda", boot=True)],
        ports=["p1"],
    )
    return replace(plain, **changed)


def volume(**changed: Any) -> e.Volume:
    plain = e.Volume(id="v1", status="in-use", size_gib=10, type="SAS", bootable=True, image_metadata=dict(IMAGE))
    return replace(plain, **changed)


def port(**changed: Any) -> e.Port:
    plain = e.Port(
        id="p1",
        network_id="n1",
        mac="fa:16:3e:00:00:01",
        device_id="s1",
        device_owner="compute:nova",
        fixed_ips=[e.FixedIp(ip="10.20.0.11", subnet_id="sn1")],
    )
    return replace(plain, **changed)


def subnet(**changed: Any) -> e.Subnet:
    return replace(e.Subnet(id="sn1", name="app", network_id="n1", cidr="10.20.0.0/24", dns=["10.20.0.2"]), **changed)


def estate(**changed: Any) -> e.Estate:
    """One server of which nothing is to be said."""
    plain = e.Estate(
        kind=e.KIND,
        version=e.VERSION,
        tenant=e.Tenant(project_id="p", project_name="acme", region="RegionOne"),
        read=dict(READ),
        servers=[server()],
        volumes=[volume()],
        ports=[port()],
        networks=[e.Network(id="n1", name="app", project_id="p", mtu=1500)],
        subnets=[subnet()],
    )
    return replace(plain, **changed)


def resources(kind: str, *found: e.Resource) -> dict[str, Any]:
    return {"resources": {kind: list(found)}}
