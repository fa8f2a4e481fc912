# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab's Cloud Director holds when it is new: an organisation of Cloud Avenue with two VDCs, an edge each."""

from __future__ import annotations

from typing import Any

from .core import Cloud, Row, new_id, now

ORG = "cav01ev01ocb0001234"
USER, PASSWORD = "operator", "lab-Operator-1"
READER, READER_PASSWORD = "reader", "lab-Reader-1"
API_TOKEN = "lab-api-token-0000000000000000000001"
SERVICE_TOKEN = "lab-service-token-000000000000000001"
ORANGE_CLIENT, ORANGE_SECRET = "operator", "lab-Operator-1"
VDC, LONE_VDC, GROUP = "acme-vdc", "acme-lone", "acme-group"
EDGE, LONE_EDGE = "tn01e02ocb0001234spt101", "tn01e02ocb0001234spt102"
T0, SERVICES = "prvrf01eocb0001234allsp01", "prvrf01eocb0001234dedsp02"
PUBLIC = "198.51.100."
HARDWARE = ("vmx-13", "vmx-14", "vmx-15", "vmx-17", "vmx-18", "vmx-19")
READ_ONLY = ["catalog.*", "vapp.*", "vm.*", "disk.*", "network.*", "edge.*", "group.*", "metadata.*", "orange.*"]
CLASSES = {
    "gold": 1000,
    "silver": 600,
    "platinum3k": 3000,
    "platinum7k": 7000,
}
SYSTEM_PORTS = (
    ("HTTP", "TCP", ["80"]),
    ("HTTPS", "TCP", ["443"]),
    ("SSH", "TCP", ["22"]),
    ("DNS-TCP", "TCP", ["53"]),
    ("DNS-UDP", "UDP", ["53"]),
    ("RDP", "TCP", ["3389"]),
    ("MySQL", "TCP", ["3306"]),
    ("NTP", "UDP", ["123"]),
    ("SMTP", "TCP", ["25"]),
    ("ICMP ALL", "ICMPv4", []),
    ("ICMPv6 ALL", "ICMPv6", []),
)


def seed(cloud: Cloud) -> None:
    """Fill an empty server."""
    org = cloud.put("org", {"name": ORG, "fullName": "Acme", "description": "the lab's organisation"})
    for name, password, denied in ((USER, PASSWORD, []), (READER, READER_PASSWORD, READ_ONLY)):
        ident = f"{name}@{ORG}"
        cloud.put("user", {
            "id": ident, "uid": new_id(), "name": name, "org": org["id"], "password": password, "denied": denied,
            "role": "Organization Administrator" if not denied else "Read Only",
        })  # fmt: skip
    operator = f"{USER}@{ORG}"
    cloud.table("api_token")[API_TOKEN] = {"id": API_TOKEN, "user": operator, "rotates": False}
    cloud.table("api_token")[SERVICE_TOKEN] = {"id": SERVICE_TOKEN, "user": operator, "rotates": True}
    for name, kind, klass in (
        (T0, "SHARED_STANDARD", "VRF_STANDARD"),
        (SERVICES, "DEDICATED_MEDIUM", "VRF_DEDICATED_MEDIUM"),
    ):
        cloud.put("t0", {"name": name, "tree_class": kind, "class": klass})
    for name, protocol, ports in SYSTEM_PORTS:
        cloud.put("applicationPortProfile", {
            "name": name, "description": "", "scope": "SYSTEM", "owner": "", "org": org["id"],
            "applicationPorts": [{"name": name, "protocol": protocol, "destinationPorts": ports}],
        })  # fmt: skip
    acme = add_vdc(cloud, VDC, [("gold", 4096, True), ("silver", 4096, False)])
    lone = add_vdc(cloud, LONE_VDC, [("silver", 1024, True)])
    group = cloud.put("vdcGroup", {
        "name": GROUP, "description": "", "org": org["id"], "vdcs": [acme["id"]], "dfw": True, "dfw_rules": None,
        "dfw_default": "ALLOW",
    })  # fmt: skip
    add_edge(cloud, EDGE, "vdcGroup", group["id"], T0)
    add_edge(cloud, LONE_EDGE, "vdc", lone["id"], T0)
    cloud.put("computepolicy", {"name": "System Default", "description": ""})


def add_vdc(cloud: Cloud, name: str, profiles: list[tuple[str, int, bool]], **given: Any) -> Row:
    """A VDC with storage profiles (class, limit in GiB, default)."""
    org = next(iter(cloud.table("org").values()))
    row: Row = {
        "name": name, "description": "", "org": org["id"], "created": now(), "vm_quota": 0, "nic_quota": 0,
        "network_quota": 1024, "cpu_mhz": 220000, "memory_mb": 512 * 1024, "enabled": True,
        "service_class": "STD", "availability": "ONE-ROOM", "billing": "PAYG", "storage_billing": "PAYG",
        "vcpu_mhz": 2200, **given,
    }  # fmt: skip
    cloud.put("vdc", row)
    for klass, limit, default in profiles:
        cloud.put("storageprofile", {
            "name": klass, "vdc": row["id"], "limit_mb": limit * 1024, "default": default, "enabled": True,
        })  # fmt: skip
    entries = {
        "vdcServiceClass": row["service_class"], "vdcDisponibilityClass": row["availability"],
        "vdcBillingModel": row["billing"], "vdcStorageBillingModel": row["storage_billing"],
    }  # fmt: skip
    cloud.table("metadata")[row["id"]] = {
        k: {"type": "MetadataStringValue", "value": v, "domain": "SYSTEM", "visibility": "READONLY"}
        for k, v in entries.items()
    }
    return row


def add_edge(cloud: Cloud, name: str, owner_kind: str, owner: str, t0: str) -> Row:
    """An edge behind a T0."""
    return cloud.put("gateway", {
        "name": name, "description": "", "owner_kind": owner_kind, "owner": owner, "t0": t0, "rate": 5,
        "configuring_until": 0, "firewall": [], "nat": [], "routes": [], "default_action": "DROP",
        "public": [], "services": [], "primary": "", "alb": True,
    })  # fmt: skip
