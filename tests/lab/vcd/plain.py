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
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

from . import seed

V1 = "/cloudapi/1.0.0"
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


def vdc(client: Plain, name: str = seed.VDC) -> str:
    """The address of a VDC by name."""
    said = client.get(f"/api/query?type=orgVdc&format=records&filter=name=={name}&filterEncoded=true")
    return said.xml().find("OrgVdcRecord").get("href")


def catalog(client: Plain) -> str:
    """Make the catalog "ours"; its address."""
    org = client.get("/api/org").xml().find("Org").get("href")
    address = org.replace("/api/org/", "/api/admin/org/") + "/catalogs"
    said = client.call("POST", address, f'<AdminCatalog {NS} name="ours"/>', "admin.catalog")
    assert said.status == 201, said.body
    found = str(said.xml().get("href")).replace("/admin/catalog", "/catalog")
    client.done(said)
    return found


def begin_upload(client: Plain, where: str, folder: Path, name: str = "machine") -> tuple[str, dict[str, str]]:
    """Begin an upload; the template's address and the links of its disks."""
    body = f'<UploadVAppTemplateParams {NS} name="{name}"><Description/></UploadVAppTemplateParams>'
    said = client.call("POST", f"{where}/action/upload", body, "vcloud.uploadVAppTemplateParams")
    assert said.status == 201, said.body
    template = str(said.xml().find("Entity").get("href"))
    shown = client.get(template).xml()
    assert shown.get("status") == "0" and shown.find("Tasks/Task") is not None
    link = shown.find("Files/File/Link").get("href")
    data = (folder / "machine.ovf").read_bytes()
    assert client.call("PUT", str(link), data, Content_Type="text/xml").status == 200
    files = client.get(template).xml().findall("Files/File")
    return template, {str(f.get("name")): str(f.find("Link").get("href")) for f in files if f.find("Link") is not None}


def upload(client: Plain, where: str, folder: Path, name: str = "machine") -> str:
    """Upload machine.ovf with its disks; the template's address when it is imported."""
    template, links = begin_upload(client, where, folder, name)
    assert sorted(links) == ["disk1.vmdk", "disk2.vmdk"]
    for file, link in links.items():
        assert client.call("PUT", link, (folder / file).read_bytes()).status == 200
    wait_status(client, template, "8")
    return template


def wait_status(client: Plain, address: str, status: str) -> Any:
    """Wait until an entity has a status and no task; its document."""
    until = time.time() + 10
    while True:
        shown = client.get(address).xml()
        if shown.get("status") == status and shown.find("Tasks") is None:
            return shown
        if shown.get("status") == status and status in ("-1", "17"):
            return shown
        assert time.time() < until, shown.attrib
        time.sleep(0.01)


def make_vapp(client: Plain, where: str, template: str, name: str = "app", nets: str = "", items: str = "") -> str:
    """Make a vApp of a template; its address."""
    params = f"<InstantiationParams>{nets}</InstantiationParams>"
    body = (
        f'<InstantiateVAppTemplateParams {NS} name="{name}" deploy="false" powerOn="false"><Description>d</Description>'
        f'{params}<Source href="{template}"/>{items}<AllEULAsAccepted>true</AllEULAsAccepted>'
        "</InstantiateVAppTemplateParams>"
    )
    said = client.call("POST", f"{where}/action/instantiateVAppTemplate", body, "vcloud.instantiateVAppTemplateParams")
    assert said.status == 201, said.body
    client.done(said)
    return str(said.xml().get("href"))


def first_vm(client: Plain, vapp: str) -> str:
    """The address of a vApp's first VM."""
    return str(client.get(vapp).xml().find("Children/Vm").get("href"))


def by_name(client: Plain, path: str, name: str) -> dict[str, Any]:
    """The one object of /cloudapi with a name."""
    rows = client.get(f"{V1}/{path}?filter=name=={name}").json()["values"]
    assert len(rows) == 1, rows
    return dict(rows[0])


def routed(client: Plain, name: str = "net", subnet: str = "10.9.1") -> str:
    """Make a routed network of the VDC group's; its URN."""
    edge = by_name(client, "edgeGateways", seed.EDGE)
    body = {
        "name": name,
        "ownerRef": edge["ownerRef"],
        "networkType": "NAT_ROUTED",
        "connection": {"routerRef": {"id": edge["id"]}, "connectionTypeValue": "INTERNAL"},
        "subnets": {
            "values": [
                {
                    "gateway": f"{subnet}.1",
                    "prefixLength": 24,
                    "ipRanges": {"values": [{"startAddress": f"{subnet}.10", "endAddress": f"{subnet}.11"}]},
                }
            ]
        },
    }
    said = client.call("POST", f"{V1}/orgVdcNetworks/", body)
    assert said.status == 202 and said.body == b""
    return str(client.done(said).find("Owner").get("id"))


def make_body(name: str, nets: str, template: str, item: str) -> str:
    """The body that instantiates a template."""
    return (
        f'<InstantiateVAppTemplateParams {NS} name="{name}" deploy="false" powerOn="false"><InstantiationParams>{nets}'
        f'</InstantiationParams><Source href="{template}"/>{item}</InstantiateVAppTemplateParams>'
    )
