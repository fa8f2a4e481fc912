# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client for the lab's own calls, by the internal interface, so that they are not counted as a customer's."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.parse
from typing import Any

from ..paths import Instance, wait_for
from .config import ADMIN_PASSWORD, INTERNAL_HOST

_PORTS = {
    "identity": ("keystone", "/v3"),
    "image": ("glance", "/v2"),
    "volume": ("cinder", "/v3"),
    "compute": ("nova", "/v2.1"),
    "network": ("neutron", "/v2.0"),
    "placement": ("placement", ""),
    "load-balancer": ("octavia", "/v2"),
    "key-manager": ("barbican", "/v1"),
}
_HEADERS = {
    "compute": {"OpenStack-API-Version": "compute 2.90"},
    "volume": {"OpenStack-API-Version": "volume 3.70"},
}


class ApiError(RuntimeError):
    """An API answered with an error; ``status`` is the HTTP code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """Log in once (as the administrator unless told otherwise), then call the services by relative paths.

    May be used by several threads: each call has its own connection.
    """

    def __init__(
        self, instance: Instance, username: str = "admin", password: str = ADMIN_PASSWORD, project: str = "admin"
    ) -> None:
        self.instance = instance
        self._login = (username, password, project)
        self._guard = threading.Lock()
        self._token = ""
        self._expires = 0.0
        self.project_id = ""
        self.user_id = ""

    def _authenticate(self) -> str:
        with self._guard:
            if self._token and time.monotonic() < self._expires:
                return self._token
            username, password, project = self._login
            default = {"id": "default"}
            body = {
                "auth": {
                    "identity": {
                        "methods": ["password"],
                        "password": {"user": {"name": username, "password": password, "domain": default}},
                    },
                    "scope": {"project": {"name": project, "domain": default}},
                }
            }
            status, headers, answer = self._send("keystone", "POST", "/v3/auth/tokens", {}, json.dumps(body).encode())
            if status != 201:
                raise ApiError(status, f"log-in of {username} to {project}: {status} {answer[:300]!r}")
            token = json.loads(answer)["token"]
            self._token, self.project_id, self.user_id = (
                headers["x-subject-token"],
                token["project"]["id"],
                token["user"]["id"],
            )
            self._expires = time.monotonic() + 600
            return self._token

    def token(self) -> str:
        """The token of the calls, for a service that this class does not speak to."""
        return self._authenticate()

    def _send(
        self, port_name: str, method: str, path: str, headers: dict[str, str], body: Any
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(INTERNAL_HOST, self.instance.port(port_name), timeout=300)
        try:
            all_headers = {"Content-Type": "application/json", "User-Agent": "cloudexit-lab", **headers}
            connection.request(method, path, body=body, headers=all_headers)
            response = connection.getresponse()
            answer = response.read()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, answer
        finally:
            connection.close()

    def call(
        self,
        service: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        ok: tuple[int, ...] = (),
    ) -> Any:
        """One request to a service by its name (a key of _PORTS).

        A dict or list body is sent as JSON, bytes or a file as they are. Returns the decoded answer (None when
        empty). Raises ApiError for statuses of 400 and above that are not in ``ok``.
        """
        port_name, prefix = _PORTS[service]
        full = {"X-Auth-Token": self._authenticate(), **_HEADERS.get(service, {}), **(headers or {})}
        data = json.dumps(body).encode() if isinstance(body, dict | list) else body
        status, dummy, answer = self._send(port_name, method, prefix + path, full, data)
        if status >= 400 and status not in ok:
            raise ApiError(status, f"{method} {service}{path}: {status} {answer[:500].decode(errors='replace')}")
        try:
            return json.loads(answer) if answer else None
        except ValueError:
            return answer

    def get(self, service: str, path: str, **query: Any) -> Any:
        """GET with query parameters."""
        suffix = "?" + urllib.parse.urlencode(query, doseq=True) if query else ""
        return self.call(service, "GET", path + suffix)

    def post(self, service: str, path: str, body: Any = None, **kwargs: Any) -> Any:
        """POST a body."""
        return self.call(service, "POST", path, body, **kwargs)

    def put(self, service: str, path: str, body: Any = None, **kwargs: Any) -> Any:
        """PUT a body."""
        return self.call(service, "PUT", path, body, **kwargs)

    def delete(self, service: str, path: str) -> None:
        """DELETE; what is gone already is fine."""
        self.call(service, "DELETE", path, ok=(404,))

    def wait_status(
        self, service: str, path: str, key: str, wanted: str | tuple[str, ...], timeout: float = 120
    ) -> Any:
        """GET until the object's status is the wanted one. Raises ApiError at an error status."""
        wanted = (wanted,) if isinstance(wanted, str) else wanted

        def reached() -> Any:
            found = self.get(service, path)[key]
            status = found["status"]
            if status in wanted:
                return found
            if status.lower().startswith("error"):
                raise ApiError(500, f"{path} is in status {status}: {found.get('fault', '')}")
            return None

        return wait_for(reached, timeout, f"{path} to be {' or '.join(wanted)}", every=0.25)
