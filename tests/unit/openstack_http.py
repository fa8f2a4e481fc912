# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small OpenStack over HTTP on loopback, with the answers' shapes as recorded from real services.

It lists what it is given, page by page, and can be told to fail. It refuses everything but reading and logging in, and
keeps every call in `calls`.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PASSWORD = "correct-horse-battery"
LISTS = {
    "/compute/v2.1/servers/detail": "servers",
    "/compute/v2.1/flavors/detail": "flavors",
    "/compute/v2.1/os-keypairs": "keypairs",
    "/compute/v2.1/os-server-groups": "server_groups",
    "/volume/v3/volumes/detail": "volumes",
    "/volume/v3/snapshots/detail": "snapshots",
    "/volume/v3/types": "volume_types",
    "/volume/v3/backups/detail": "backups",
    "/image/v2/images": "images",
    "/network/v2.0/ports": "ports",
    "/network/v2.0/networks": "networks",
    "/network/v2.0/subnets": "subnets",
    "/network/v2.0/security-groups": "security_groups",
    "/network/v2.0/floatingips": "floatingips",
    "/network/v2.0/routers": "routers",
}
"""What every project has lists of."""

MORE = {
    "/network/v2.0/vpn/vpnservices": "vpnservices",
    "/network/v2.0/vpn/ikepolicies": "ikepolicies",
    "/network/v2.0/vpn/ipsecpolicies": "ipsecpolicies",
    "/network/v2.0/vpn/ipsec-site-connections": "ipsec_site_connections",
    "/network/v2.0/fwaas/firewall_groups": "firewall_groups",
    "/network/v2.0/fwaas/firewall_policies": "firewall_policies",
    "/network/v2.0/fwaas/firewall_rules": "firewall_rules",
    "/balancer/v2.0/lbaas/loadbalancers": "loadbalancers",
    "/balancer/v2.0/lbaas/listeners": "listeners",
    "/balancer/v2.0/lbaas/pools": "pools",
    "/balancer/v2.0/lbaas/healthmonitors": "healthmonitors",
    "/balancer/v2.0/lbaas/l7policies": "l7policies",
    "/dns/v2/zones": "zones",
    "/dns/v2/recordsets": "recordsets",
    "/dns/v2/reverse/floatingips": "pointers",
    "/heat/v1/stacks": "stacks",
    "/key/v1/secrets": "secrets",
}
"""Lists that are there (and not 404) once a project has them: `cloud.objects["acme"]["zones"] = []`."""

OPTIONAL = {
    "load-balancer": "/balancer",
    "dns": "/dns",
    "object-store": "/swift/v1/AUTH_1",
    "orchestration": "/heat/v1",
    "key-manager": "/key",
}
"""Services that are in the catalogue once they are in `cloud.services`."""

Answer = tuple[int, Any, dict[str, str]]


def ident(name: str) -> str:
    """A UUID that is always the same for a name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def server(name: str, /, **changed: Any) -> dict[str, Any]:
    """A server as Nova lists it at microversion 2.79."""
    return {
        "id": ident(f"server {name}"),
        "name": name,
        "status": "ACTIVE",
        "created": "2026-01-01T00:00:00Z",
        "updated": "2026-01-01T00:00:00Z",
        "image": "",
        "flavor": {"original_name": "m1.small", "vcpus": 2, "ram": 2048, "disk": 0, "ephemeral": 0, "extra_specs": {}},
        "addresses": {
            "app": [
                {
                    "addr": "10.20.0.11",
                    "version": 4,
                    "OS-EXT-IPS:type": "fixed",
                    "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01",
                }
            ]
        },
        "OS-EXT-AZ:availability_zone": "nova",
        "os-extended-volumes:volumes_attached": [{"id": ident(f"volume {name}"), "delete_on_termination": False}],
        "metadata": {},
        "tags": [],
        "key_name": None,
        "locked": False,
        "config_drive": "",
        "security_groups": [{"name": "default"}],
    } | changed


def volume(name: str, server_name: str | None, device: str = "/dev/vda", /, **changed: Any) -> dict[str, Any]:
    """A volume as Cinder lists it."""
    attachments = [{"server_id": ident(f"server {server_name}"), "device": device}] if server_name is not None else []
    return {
        "id": ident(f"volume {name}"),
        "name": name,
        "status": "in-use" if attachments else "available",
        "size": 10,
        "volume_type": "fast",
        "bootable": "true" if device.endswith("a") else "false",
        "encrypted": False,
        "multiattach": False,
        "availability_zone": "nova",
        "snapshot_id": None,
        "source_volid": None,
        "created_at": "2026-01-01T00:00:00.000000",
        "metadata": {},
        "attachments": attachments,
    } | changed


def port(name: str, server_name: str, network: str = "app", /, **changed: Any) -> dict[str, Any]:
    """A port as Neutron lists it."""
    return {
        "id": ident(f"port {name}"),
        "name": "",
        "network_id": ident(f"network {network}"),
        "mac_address": "fa:16:3e:" + ":".join(ident(name)[i : i + 2] for i in (0, 2, 4)),
        "device_id": ident(f"server {server_name}"),
        "device_owner": "compute:nova",
        "status": "ACTIVE",
        "admin_state_up": True,
        "port_security_enabled": True,
        "binding:vnic_type": "normal",
        "created_at": "2026-01-01T00:00:00Z",
        "fixed_ips": [{"ip_address": "10.20.0.11", "subnet_id": ident(f"subnet {network}")}],
        "allowed_address_pairs": [],
        "security_groups": [ident("group default")],
        "project_id": ident("project acme"),
    } | changed


class FakeCloud:
    """Projects with objects: `cloud.objects["acme"]["servers"].append(...)`. Use it as a context manager.

    `fail[kind]` is a status, or a function of the query (or None) to an answer, used for every call that lists `kind`.
    """

    def __init__(self, *projects: str) -> None:
        self.projects = {ident(f"project {name}"): name for name in projects or ("acme",)}
        self.objects: dict[str, dict[str, list[dict[str, Any]]]] = {
            name: {kind: [] for kind in LISTS.values()} for name in self.projects.values()
        }
        self.fail: dict[str, int | Callable[[dict[str, str]], Answer | None]] = {}
        self.page_size: int | None = None
        self.announce = True
        self.compute_versions = ("2.1", "2.96")
        self.slow_seconds = 0.0
        self.stalled = threading.Event()
        self.calls: list[tuple[str, str]] = []
        self.tokens: dict[str, str] = {}
        self.services: dict[str, str] = {}
        """Further services: type in the catalogue, path of the endpoint."""
        self.limits: dict[str, dict[str, Any]] = {
            "/compute/v2.1/limits": {"maxTotalCores": 20, "totalCoresUsed": 2},
            "/volume/v3/limits": {"maxTotalVolumes": 10, "totalVolumesUsed": 1},
        }
        self.private_records: dict[str, list[dict[str, Any]]] = {}
        self.quota: dict[str, int] = {"network": 100, "port": 500}
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_arguments: Any) -> None:
                pass

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                token = self.headers.get("X-Auth-Token", "")
                status, data, headers = fake.handle(self.command, self.path, body, token)
                raw = data if isinstance(data, bytes) else json.dumps(data).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                with contextlib.suppress(ConnectionError):  # who asked may be tired of waiting
                    self.end_headers()
                    self.wfile.write(raw)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> FakeCloud:
        self._thread.start()
        return self

    def __exit__(self, *_args: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def auth(self, project: str = "acme", **changed: Any) -> dict[str, Any]:
        """The `auth` of a user of a project."""
        return {
            "auth_url": f"{self.url}/identity/v3",
            "username": "operator",
            "password": PASSWORD,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
            "project_name": project,
        } | changed

    def clouds(self, name: str = "acme", **changed: Any) -> dict[str, Any]:
        """The content of a clouds.yaml."""
        return {"clouds": {name: {"auth": self.auth(**changed), "region_name": "RegionOne"}}}

    def writes(self) -> list[tuple[str, str]]:
        """The calls that would have changed something."""
        return [call for call in self.calls if call[0] != "GET" and call != ("POST", "/identity/v3/auth/tokens")]

    def lists(self, kind: str) -> int:
        """How often a kind was listed."""
        return sum(1 for _method, path in self.calls if (LISTS | MORE).get(urlsplit(path).path) == kind)

    def add_services(self) -> None:
        """Everything that OpenStack has, empty."""
        self.services |= OPTIONAL
        for objects in self.objects.values():
            objects.update({kind: [] for kind in MORE.values()})
            objects["containers"] = []

    def add_server(self, name: str, /, project: str = "acme", **changed: Any) -> dict[str, Any]:
        """A server with one boot volume and one port."""
        objects = self.objects[project]
        made = server(name, **changed)
        objects["servers"].append(made)
        objects["volumes"].append(volume(name, name))
        objects["ports"].append(port(name, name))
        if not objects["networks"]:
            objects["networks"].append(
                {"id": ident("network app"), "name": "app", "project_id": ident("project acme"), "mtu": 1500}
            )
            objects["subnets"].append(
                {"id": ident("subnet app"), "network_id": ident("network app"), "cidr": "10.20.0.0/24"}
            )
        return made

    def handle(self, method: str, url: str, body: Any, token: str) -> Answer:
        split = urlsplit(url)
        path = split.path.rstrip("/")
        query = {key: values[-1] for key, values in parse_qs(split.query, keep_blank_values=True).items()}
        with self._lock:
            self.calls.append((method, url))
        if path.startswith("/identity"):
            return self._identity(method, path, body, token)
        if method != "GET":
            return 405, {"error": {"message": "this cloud is only for reading"}}, {}
        if path in _ROOTS:
            return 200, self._versions(path), {}
        if token not in self.tokens:
            return 401, {"error": {"code": 401, "message": "The request you have made requires authentication."}}, {}
        project = self.tokens[token]
        if path in self.limits:
            return self._failed("limits", query) or (200, {"limits": {"rate": [], "absolute": self.limits[path]}}, {})
        if path.startswith("/network/v2.0/quotas/"):
            return 200, {"quota": self.quota}, {}
        if path.startswith("/compute/v2.1/flavors/") and path.endswith("/os-extra_specs"):
            found = [row for row in self.objects[project]["flavors"] if row["id"] == path.split("/")[-2]]
            return 200, {"extra_specs": found[0].get("hidden_specs", {})}, {}
        if path.startswith("/balancer/v2.0/lbaas/pools/"):
            pools = [row for row in self.objects[project]["pools"] if row["id"] == path.split("/")[-2]]
            return self._failed("members", query) or (200, {"members": pools[0]["all_members"]}, {})
        if path.startswith("/dns/v2/zones/") and path.endswith("/recordsets"):
            return 200, {"recordsets": self.private_records[path.split("/")[-2]]}, {}
        kind = "containers" if path == OPTIONAL["object-store"] else (LISTS | MORE).get(path)
        if kind is None or kind not in self.objects[project]:
            return 404, {"error": {"message": f"no {path}"}}, {}
        return self._list(kind, project, query, path)

    def _failed(self, kind: str, query: dict[str, str]) -> Answer | None:
        failure = self.fail.get(kind)
        if callable(failure):
            return failure(query)
        if failure:
            return failure, {"error": {"code": failure, "message": f"told to answer {failure}"}}, {}
        return None

    def _list(self, kind: str, project: str, query: dict[str, str], path: str) -> Answer:
        if self.slow_seconds:
            time.sleep(self.slow_seconds)
        failed = self._failed(kind, query)
        if failed is not None:
            return failed
        rows = self.objects[project][kind]
        if kind == "zones":
            rows = [row for row in rows if row.get("zone_type", "public") == query.get("type", "public")]
        start = int(query.get("offset", 0))
        if "marker" in query:
            start = 1 + [_marker(row) for row in rows].index(query["marker"])
        size = min(int(query.get("limit", 1000)), self.page_size or 10**9)
        page = rows[start : start + size]
        if kind == "containers":
            return (200, page, {}) if page else (204, b"", {})
        answer: dict[str, Any] = {"floatingips" if kind == "pointers" else kind: page}
        if start + size < len(rows) and self.announce:
            following = f"{path}?limit={size}&marker={_marker(page[-1])}"
            if kind in ("images", "secrets"):
                answer["next"] = following
            elif kind in ("zones", "recordsets"):
                answer["links"] = {"next": following}
            else:
                answer[f"{kind}_links"] = [{"rel": "next", "href": self.url + following}]
        return 200, answer, {}

    def _identity(self, method: str, path: str, body: Any, token: str) -> Answer:
        if path in ("/identity", "/identity/v3"):
            version = {
                "id": "v3.14",
                "status": "stable",
                "links": [{"rel": "self", "href": f"{self.url}/identity/v3/"}],
                "media-types": [],
            }
            return 200, {"version": version} if path.endswith("v3") else {"versions": {"values": [version]}}, {}
        if path == "/identity/v3/auth/projects":
            rows = [{"id": i, "name": n, "domain_id": "default", "enabled": True} for i, n in self.projects.items()]
            return (200, {"projects": rows}, {}) if token in self.tokens else (401, {}, {})
        if path != "/identity/v3/auth/tokens" or method != "POST":
            return 404, {}, {}
        user = body["auth"]["identity"].get("password", {}).get("user", {})
        if user.get("password") != PASSWORD:
            return 401, {"error": {"code": 401, "message": "The request you have made requires authentication."}}, {}
        scope = body["auth"].get("scope", {}).get("project", {})
        found = [i for i, n in self.projects.items() if scope.get("id") == i or scope.get("name") == n]
        if not found:
            return 401, {"error": {"code": 401, "message": "no such project for this user"}}, {}
        made = f"gAAAAtoken-{uuid.uuid4().hex}"
        self.tokens[made] = self.projects[found[0]]
        return 201, {"token": self._token(found[0])}, {"X-Subject-Token": made}

    def _token(self, project_id: str) -> dict[str, Any]:
        catalog = [
            {
                "type": kind,
                "name": kind,
                "id": ident(kind),
                "endpoints": [
                    {
                        "id": ident(f"{kind} endpoint"),
                        "interface": "public",
                        "region": "RegionOne",
                        "region_id": "RegionOne",
                        "url": self.url + url,
                    }
                ],
            }
            for kind, url in {
                "identity": "/identity/v3",
                "compute": "/compute/v2.1",
                "block-storage": "/volume/v3",
                "image": "/image",
                "network": "/network",
                **self.services,
            }.items()
        ]
        return {
            "methods": ["password"],
            "user": {"id": ident("user"), "name": "operator", "domain": {"id": "default", "name": "Default"}},
            "project": {
                "id": project_id,
                "name": self.projects[project_id],
                "domain": {"id": "default", "name": "Default"},
            },
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2096-01-01T00:00:00.000000Z",
            "roles": [{"id": "1", "name": "member"}],
            "catalog": catalog,
        }

    def _versions(self, path: str) -> dict[str, Any]:
        low, high = self.compute_versions
        if path.startswith("/compute"):
            compute = {"id": "v2.1", "status": "CURRENT", "version": high, "min_version": low}
            return {"version": compute | {"links": [{"rel": "self", "href": f"{self.url}/compute/v2.1/"}]}}
        if path.startswith("/volume"):
            block = {"id": "v3.0", "status": "CURRENT", "version": "3.71", "min_version": "3.0"}
            return {"versions": [block | {"links": [{"rel": "self", "href": f"{self.url}/volume/v3/"}]}]}
        if path.startswith("/image"):
            image = {"id": "v2.17", "status": "CURRENT"}
            return {"versions": [image | {"links": [{"rel": "self", "href": f"{self.url}/image/v2/"}]}]}
        network = {"id": "v2.0", "status": "CURRENT"}
        return {"versions": [network | {"links": [{"rel": "self", "href": f"{self.url}/network/v2.0/"}]}]}


_ROOTS = ("/compute", "/compute/v2.1", "/volume", "/volume/v3", "/image", "/network")


def _marker(row: dict[str, Any]) -> str:
    """What of a row says where the next page begins."""
    return str(row.get("id") or row.get("name") or row["keypair"]["name"])
