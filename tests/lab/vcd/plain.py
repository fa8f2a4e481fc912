# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain client, for the server's own tests alone: it sends what it is told, and says what came back."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

from . import seed

NS = 'xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"'
NS += ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


@dataclass
class Said:
    """An answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        """Its JSON."""
        return json.loads(self.body)

    def xml(self) -> ElementTree.Element:
        """Its XML, with names without namespaces."""
        root = ElementTree.fromstring(self.body)
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
            for name in list(element.attrib):
                element.attrib[name.rpartition("}")[2]] = element.attrib.pop(name)
        return root

    @property
    def minor(self) -> str:
        """The minor code of an error in either form."""
        if self.body.startswith(b"{"):
            return str(self.json().get("minorErrorCode"))
        return self.xml().get("minorErrorCode", "")


class Plain:
    """One connection to a server, with a session."""

    def __init__(self, url: str, ca_file: str, version: str = "39.1") -> None:
        self.url = url
        self.version = version
        self.token = ""
        host, dummy, port = urlsplit(url).netloc.partition(":")
        self.connection = http.client.HTTPSConnection(
            host, int(port), context=ssl.create_default_context(cafile=ca_file), timeout=30
        )

    def call(self, method: str, path: str, body: Any = None, kind: str = "", **headers: str) -> Said:
        """One call; a mapping is sent as JSON, text as XML of a kind below application/vnd.vmware."""
        given: dict[str, str] = {}
        if self.token:
            given["Authorization"] = f"Bearer {self.token}"
        if isinstance(body, Mapping):
            data: bytes | None = json.dumps(body).encode()
            given["Content-Type"] = "application/json"
        else:
            data = body.encode() if isinstance(body, str) else body
        if kind:
            given["Content-Type"] = f"application/vnd.vmware.{kind}+xml"
        form = "json" if path.startswith(("/cloudapi", "/infra", "/auth")) else "*+xml"
        given["Accept"] = f"application/{form};version={self.version}"
        given |= {k.replace("_", "-"): v for k, v in headers.items()}
        target = path.removeprefix(self.url)
        try:
            self.connection.request(method, target, data, given)
            answer = self.connection.getresponse()
            return Said(answer.status, answer.headers, answer.read())
        except (http.client.HTTPException, OSError):
            self.connection.close()
            raise

    def get(self, path: str, **headers: str) -> Said:
        """GET."""
        return self.call("GET", path, **headers)

    def login(self, user: str = seed.USER, password: str = seed.PASSWORD, org: str = seed.ORG) -> Said:
        """Begin a session."""
        secret = base64.b64encode(f"{user}@{org}:{password}".encode()).decode()
        said = self.call("POST", "/cloudapi/1.0.0/sessions", Authorization=f"Basic {secret}")
        self.token = said.headers.get("X-VMWARE-VCLOUD-ACCESS-TOKEN", "")
        return said

    def task(self, said: Said, seconds: float = 10) -> ElementTree.Element:
        """Wait for the end of the task of an answer (its body, the tasks in it, or its Location)."""
        where = said.headers.get("Location", "")
        if not where:
            assert said.status in (200, 201, 202), said.body
            root = said.xml()
            found = root if root.tag == "Task" else root.find("Tasks/Task")
            if found is None:
                return root
            where = found.get("href", "")
        until = time.time() + seconds
        while True:
            task = self.get(where).xml()
            if task.get("status") not in ("queued", "running", "preRunning"):
                return task
            if time.time() > until:
                raise TimeoutError(ElementTree.tostring(task))
            time.sleep(0.01)

    def done(self, said: Said) -> ElementTree.Element:
        """Wait for a task's success."""
        task = self.task(said)
        assert task.get("status") in ("success", None, "8", "4", "1", "0"), ElementTree.tostring(task)
        return task
