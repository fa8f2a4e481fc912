# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole tenants from one server: a small Keystone, OpenStack's lists and Flexible Engine's, for tests of a portfolio.

Tenant `t001` is project `t001` of user `t001`. Some have faults: a wrong password in what `clouds` says (7, 17, …), a
service that answers 500 (5, 15, …), one that stalls (9, 29, …), one that is not in the catalogue (3, 13, …).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from . import seed
from .server import Answer, Server
from .shapes import ACCOUNT, TYPES

PASSWORD = "tenant-password"
REGION = "RegionOne"
LISTS = {
    "/compute/v2.1/servers/detail": "servers",
    "/compute/v2.1/flavors/detail": "flavors",
    "/compute/v2.1/os-keypairs": "keypairs",
    "/compute/v2.1/os-server-groups": "server_groups",
    "/volume/v3/{p}/volumes/detail": "volumes",
    "/volume/v3/{p}/snapshots/detail": "snapshots",
    "/volume/v3/{p}/backups/detail": "backups",
    "/volume/v3/{p}/types": "volume_types",
    "/image/v2/images": "images",
    "/network/v2.0/ports": "ports",
    "/network/v2.0/networks": "networks",
    "/network/v2.0/subnets": "subnets",
    "/network/v2.0/routers": "routers",
    "/network/v2.0/security-groups": "security_groups",
    "/network/v2.0/floatingips": "floatingips",
}
ONES: dict[str, dict[str, Any]] = {
    "/compute/v2.1/limits": {"limits": {"rate": [], "absolute": {"maxTotalCores": 100, "totalCoresUsed": 8}}},
    "/volume/v3/{p}/limits": {"limits": {"rate": [], "absolute": {"maxTotalVolumes": 100, "totalVolumesUsed": 4}}},
    "/network/v2.0/quotas/{p}": {"quota": {"network": 100, "port": 500}},
}
CATALOGUE = {
    "identity": "/identity/v3",
    "compute": "/compute/v2.1",
    "volumev3": "/volume/v3/{p}",
    "image": "/image/v2",
    "network": "/network/v2.0",
}


def tenant_name(number: int) -> str:
    """`t001` for 1."""
    return f"t{number:03}"


class Tenants:
    """Many tenants behind one server. Use it as a context manager, or `server.start()` and `server.stop()`.

    count: how many. servers: of each. stall: seconds that a stalling service takes.
    """

    def __init__(self, count: int = 100, *, servers: int = 6, port: int = 0, stall: float = 60.0) -> None:
        self.names = [tenant_name(number) for number in range(1, count + 1)]
        self.ids = {name: uuid.uuid5(uuid.NAMESPACE_URL, f"tenant {name}").hex for name in self.names}
        self.wrong_password = {name for number, name in enumerate(self.names, 1) if number % 10 == 7}
        self.failing = {name for number, name in enumerate(self.names, 1) if number % 10 == 5}
        self.stalling = {name for number, name in enumerate(self.names, 1) if number % 20 == 9}
        self.without_images = {name for number, name in enumerate(self.names, 1) if number % 10 == 3}
        self.rows = {self.ids[name]: _openstack(name, self.ids[name], servers) for name in self.names}
        data: dict[str, dict[str, list[dict[str, Any]]]] = {ACCOUNT: seed.account()}
        for name in self.names:
            project = self.ids[name]
            rows = self.rows[project]
            data[project] = seed.project(
                project, [row["id"] for row in rows["servers"]], [row["id"] for row in rows["volumes"]], name
            )
        self.tokens: dict[str, str] = {}
        self.server = Server(data, port, self.tokens.get)
        self.server.extra = self._answer
        for name in self.failing:
            self.server.fault(service="volume", project=self.ids[name], status=500)
        for name in self.stalling:
            self.server.fault(service="rds", project=self.ids[name], stall=stall)

    def __enter__(self) -> Tenants:
        self.server.start()
        return self

    def __exit__(self, *_args: object) -> None:
        self.server.stop()

    @property
    def url(self) -> str:
        """Root of the server."""
        return self.server.url

    def faulty(self) -> set[str]:
        """Tenants that cannot be read whole."""
        return self.wrong_password | self.failing | self.stalling | self.without_images

    def auth(self, name: str) -> dict[str, str]:
        """What an operator has for a tenant; some have a wrong password."""
        return {
            "auth_url": f"{self.url}/identity/v3",
            "username": name,
            "password": "wrong" if name in self.wrong_password else PASSWORD,
            "project_name": name,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }

    def clouds(self) -> dict[str, Any]:
        """The content of a clouds.yaml with an entry a tenant."""
        return {
            "clouds": {
                name: {"auth": self.auth(name), "region_name": REGION, "identity_api_version": 3} for name in self.names
            }
        }

    def _answer(
        self, method: str, path: str, query: dict[str, str], body: Any, headers: Mapping[str, str]
    ) -> Answer | None:
        path = path.rstrip("/")
        if path.startswith("/identity"):
            return self._identity(method, path, body, headers)
        service = path.split("/")[1] if path.count("/") else ""
        if service not in ("compute", "volume", "image", "network"):
            return None
        if path in ("/compute", "/compute/v2.1"):
            version = {"id": "v2.1", "status": "CURRENT", "version": "2.79", "min_version": "2.1"}
            return 200, {"version": version | {"links": [{"rel": "self", "href": f"{self.url}/compute/v2.1/"}]}}, {}
        project = self.tokens.get(headers.get("x-auth-token", ""))
        if project is None:
            return 401, {"error": {"code": 401, "message": "The request you have made requires authentication."}}, {}
        if method == "DELETE" and path.startswith("/compute/v2.1/servers/"):
            metal = self.server.data[project]["bare_metal"]
            there = [row for row in metal if row["id"] == path.rpartition("/")[2]]
            self.server.data[project]["bare_metal"] = [row for row in metal if row not in there]
            return (204, b"", {}) if there else (404, {"itemNotFound": {"code": 404, "message": "no such server"}}, {})
        if method != "GET":
            return 405, {"error": {"message": "this cloud is only for reading"}}, {}
        failure = self.server._fault(service, "", project, native=True)
        if failure is not None:
            return failure
        plain = path.replace(f"/{project}", "/{p}")
        if plain in ONES:
            return 200, ONES[plain], {}
        kind = LISTS.get(plain)
        if kind is None:
            return 404, {"itemNotFound": {"code": 404, "message": "The resource could not be found."}}, {}
        return 200, self._page(kind, self.rows[project][kind], query, path), {}

    def _page(self, kind: str, rows: list[dict[str, Any]], query: Mapping[str, str], path: str) -> dict[str, Any]:
        size = min(int(query.get("limit", 1000)), 1000)
        ids = [row.get("id") or row.get("keypair", {}).get("name") for row in rows]
        start = ids.index(query["marker"]) + 1 if "marker" in query and query["marker"] in ids else 0
        start += int(query.get("offset", 0))
        page = rows[start : start + size]
        answer: dict[str, Any] = {kind: page}
        if start + size < len(rows):
            following = f"{path}?limit={size}&marker={page[-1].get('id')}"
            if kind == "images":
                answer["next"] = following
            else:
                answer[f"{kind}_links"] = [{"rel": "next", "href": self.url + following}]
        return answer

    def _identity(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        if path in ("/identity", "/identity/v3"):
            version = {
                "id": "v3.14",
                "status": "stable",
                "links": [{"rel": "self", "href": f"{self.url}/identity/v3/"}],
                "media-types": [],
            }
            return 200, {"version": version} if path.endswith("v3") else {"versions": {"values": [version]}}, {}
        if path == "/identity/v3/auth/projects":
            project = self.tokens.get(headers.get("x-auth-token", ""))
            found = [{"id": i, "name": n, "domain_id": "default", "enabled": True} for n, i in self.ids.items()]
            return 200, {"projects": [row for row in found if row["id"] == project]}, {}
        if path != "/identity/v3/auth/tokens" or method != "POST" or not isinstance(body, dict):
            return 404, {"error": {"code": 404, "message": "not here"}}, {}
        user = body["auth"]["identity"].get("password", {}).get("user", {})
        name = user.get("name", "")
        if user.get("password") != PASSWORD or name not in self.ids:
            return 401, {"error": {"code": 401, "message": "The request you have made requires authentication."}}, {}
        token = f"gAAAAtenant-{uuid.uuid4().hex}"
        self.tokens[token] = self.ids[name]
        return 201, {"token": self._token(name)}, {"X-Subject-Token": token}

    def _token(self, name: str) -> dict[str, Any]:
        project = self.ids[name]
        urls = {kind: path.replace("{p}", project) for kind, path in CATALOGUE.items()}
        urls |= {kind: f"/{service}" for service, kind in TYPES.items()}
        if name in self.without_images:
            del urls["image"]
        catalogue = [
            {
                "type": kind,
                "name": kind,
                "id": kind,
                "endpoints": [
                    {"id": kind, "interface": "public", "region": REGION, "region_id": REGION, "url": self.url + url}
                ],
            }
            for kind, url in sorted(urls.items())
        ]
        return {
            "methods": ["password"],
            "user": {"id": f"user-{name}", "name": name, "domain": {"id": "default", "name": "Default"}},
            "project": {"id": project, "name": name, "domain": {"id": "default", "name": "Default"}},
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2096-01-01T00:00:00.000000Z",
            "roles": [{"id": "1", "name": "member"}],
            "catalog": catalogue,
        }


def _openstack(name: str, project: str, count: int) -> dict[str, list[dict[str, Any]]]:
    """The rows of the OpenStack services: `count` servers with a volume and a port each."""

    def i(what: str) -> str:
        return seed.ident(f"{name} {what}")

    owned = {"project_id": project, "tenant_id": project}
    numbers = range(1, count + 1)
    servers = [
        {
            "id": i(f"server {n}"),
            "name": seed.HOSTILE if n == count else f"{name}-web-{n}",
            "status": "ACTIVE" if n % 3 else "SHUTOFF",
            "created": seed.DAY,
            "updated": seed.DAY,
            "image": "",
            "flavor": {
                "original_name": "s3.large.2",
                "vcpus": 2,
                "ram": 4096,
                "disk": 0,
                "extra_specs": {"ecs:virtualization_env_types": "CloudCompute"},
            },
            "addresses": {
                "app": [
                    {
                        "addr": f"10.20.0.{10 + n}",
                        "version": 4,
                        "OS-EXT-IPS:type": "fixed",
                        "OS-EXT-IPS-MAC:mac_addr": f"fa:16:3e:00:00:{n:02x}",
                    }
                ]
            },
            "OS-EXT-AZ:availability_zone": "eu-west-0a",
            "os-extended-volumes:volumes_attached": [{"id": i(f"volume {n}"), "delete_on_termination": False}],
            "metadata": {
                "metering.imagetype": "gold" if n % 2 else "private",
                "os_type": "Linux",
                "group": f"g{n % 2}",
            },
            "tags": [],
            "key_name": "ops",
            "locked": False,
            "config_drive": "",
            "security_groups": [{"name": "default"}],
        }
        for n in numbers
    ]
    volumes = [
        {
            "id": i(f"volume {n}"),
            "name": f"{name}-disk-{n}",
            "status": "in-use",
            "size": 40 + n,
            "volume_type": "SSD",
            "bootable": "true",
            "encrypted": False,
            "multiattach": False,
            "availability_zone": "eu-west-0a",
            "created_at": "2026-01-01T00:00:00.000000",
            "metadata": {},
            "volume_image_metadata": {
                "image_id": i("image"),
                "__os_version": "CentOS 7.9 64bit",
                "__os_type": "Linux",
                "hw_firmware_type": "bios",
            },
            "attachments": [{"server_id": i(f"server {n}"), "device": "/dev/vda"}],
        }
        for n in numbers
    ]
    ports = [
        {
            "id": i(f"port {n}"),
            "name": "",
            "network_id": i("network"),
            "mac_address": f"fa:16:3e:00:00:{n:02x}",
            "device_id": i(f"server {n}"),
            "device_owner": "compute:eu-west-0a",
            "status": "ACTIVE",
            "admin_state_up": True,
            "port_security_enabled": True,
            "binding:vnic_type": "normal",
            "created_at": seed.DAY,
            "fixed_ips": [{"ip_address": f"10.20.0.{10 + n}", "subnet_id": i("subnet")}],
            "allowed_address_pairs": [],
            "security_groups": [i("group")],
            **owned,
        }
        for n in numbers
    ]
    group: dict[str, Any] = {"id": i("group"), "name": "default", "description": "", **owned}
    group["security_group_rules"] = [
        {
            "id": i("rule"),
            "direction": "ingress",
            "ethertype": "IPv4",
            "protocol": "tcp",
            "port_range_min": 443,
            "port_range_max": 443,
            "remote_ip_prefix": "0.0.0.0/0",
            "remote_group_id": None,
            **owned,
        }
    ]
    return {
        "servers": servers,
        "flavors": [],
        "keypairs": [{"keypair": {"name": "ops", "fingerprint": "aa:bb", "public_key": "ssh-rsa AAAA", "type": "ssh"}}],
        "server_groups": [],
        "volumes": volumes,
        "snapshots": [],
        "backups": [],
        "volume_types": [{"id": i("type"), "name": "SSD", "is_public": True, "extra_specs": {}}],
        "images": [
            {
                "id": i("image"),
                "name": "golden",
                "status": "active",
                "visibility": "private",
                "owner": project,
                "size": 1 << 30,
                "min_disk": 40,
                "disk_format": "zvhd2",
                "created_at": seed.DAY,
                "__os_type": "Linux",
            }
        ],
        "ports": ports,
        "networks": [
            {"id": i("network"), "name": "app", "mtu": 1500, "shared": False, "router:external": False, **owned}
        ],
        "subnets": [
            {
                "id": i("subnet"),
                "name": "app",
                "network_id": i("network"),
                "cidr": "10.20.0.0/24",
                "ip_version": 4,
                "gateway_ip": "10.20.0.1",
                "enable_dhcp": True,
                "dns_nameservers": ["100.125.0.41"],
                "allocation_pools": [{"start": "10.20.0.2", "end": "10.20.0.254"}],
                "host_routes": [],
                **owned,
            }
        ],
        "routers": [{"id": i("router"), "name": "prod", "status": "ACTIVE", **owned}],
        "security_groups": [group],
        "floatingips": [
            {
                "id": i("floating"),
                "floating_ip_address": "203.0.113.10",
                "floating_network_id": i("external"),
                "port_id": i("port 1"),
                "fixed_ip_address": "10.20.0.11",
                "status": "ACTIVE",
                **owned,
            }
        ],
    }
