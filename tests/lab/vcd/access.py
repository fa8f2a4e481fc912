# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions, sessions, API tokens, organisations and VDCs."""

from __future__ import annotations

import secrets
import time
import urllib.parse
from typing import Any

from . import xmls
from .core import ApiError, Cloud, Row, new_id, urn
from .seed import HARDWARE
from .web import VERSIONS, Answer, Request, authenticate, basic, json_answer, route, xml_answer
from .xmls import el, links, tx

VC = "application/vnd.vmware.vcloud."
ADMIN = "application/vnd.vmware.admin."


@route("GET", "/api/versions", "free")
def versions(request: Request) -> Answer:
    rows = []
    served = request.cloud.options.get("versions", VERSIONS)
    for version in served:
        rows.append(
            el(
                "VersionInfo",
                tx("Version", version),
                tx("LoginUrl", f"{request.base}/cloudapi/1.0.0/sessions"),
                tx("ProviderLoginUrl", f"{request.base}/cloudapi/1.0.0/sessions/provider"),
                deprecated=version.startswith("37"),
            )
        )
    body = xmls.document(el("SupportedVersions", *rows)).replace(b"vcloud/v1.5", b"vcloud/versions", 1)
    return Answer(200, body, "text/xml")


def _session(cloud: Cloud, user: str, by: str = "password") -> Row:
    token = f"eyJhbGciOiJSUzI1NiJ9.{secrets.token_urlsafe(60)}.{secrets.token_urlsafe(20)}"
    row = {"id": token, "sid": new_id(), "user": user, "used": time.time(), "by": by, "until": time.time() + 86400}
    cloud.table("session")[token] = row
    cloud.touch()
    return row


def _session_body(request: Request, session: Row) -> Row:
    cloud = request.cloud
    user = cloud.table("user")[session["user"]]
    org = cloud.table("org")[user["org"]]
    role = {"name": user["role"], "id": f"urn:vcloud:role:{user['uid']}"}
    return {
        "id": f"urn:vcloud:session:{session['sid']}",
        "user": {"name": user["name"], "id": f"urn:vcloud:user:{user['uid']}"},
        "org": {"name": org["name"], "id": urn("org", org["id"])},
        "site": {"name": "lab", "id": urn("site", "00000000-0000-4000-8000-000000000001")},
        "location": "us-west-1",
        "roles": [role["name"]],
        "roleRefs": [role],
        "sessionIdleTimeoutMinutes": int(cloud.options["idle_minutes"]),
    }


@route("POST", "/cloudapi/1.0.0/sessions", "login")
def login(request: Request) -> Answer:
    request.area = "open"
    name, password = basic(request)
    user, dummy, org = name.rpartition("@")
    with request.cloud.lock:
        row = request.cloud.table("user").get(f"{user}@{org}")
        if row is None or not secrets.compare_digest(row["password"].encode(), password.encode()):
            raise ApiError(401, "Unauthorized: user or password is wrong.", "UNAUTHORIZED")
        session = _session(request.cloud, row["id"])
        answer = json_answer(_session_body(request, session))
    answer.headers |= {"X-VMWARE-VCLOUD-ACCESS-TOKEN": session["id"], "X-VMWARE-VCLOUD-TOKEN-TYPE": "Bearer"}
    return answer


@route("DELETE", "/cloudapi/1.0.0/sessions{rest:(/[^/]+)?}")
def logout(request: Request, rest: str) -> Answer:
    request.cloud.table("session").pop(request.token, None)
    return Answer(204)


@route("GET", "/cloudapi/1.0.0/sessions/{which}")
def current(request: Request, which: str) -> Answer:
    return json_answer(_session_body(request, request.cloud.table("session")[request.token]))


RIGHTS = {
    "vApp Template / Media: Create / Upload": "catalog.upload",
    "Catalog: Create / Delete a Catalog": "catalog.create",
    "vApp: Create / Reconfigure": "vapp.create",
    "vApp: Delete": "vapp.delete",
    "vApp: Download": "vapp.download",
    "vApp: Edit VM CPU": "vm.edit",
    "vApp: Edit VM Memory": "vm.edit",
    "vApp: Edit VM Hard Disk": "vm.edit",
    "vApp: Edit VM Network": "vm.edit",
    "vApp: Edit VM Properties": "vm.edit",
    "vApp: VM Boot Options": "vm.edit",
    "vApp: Power Operations": "vm.power",
    "Organization vDC Network: Edit Properties": "network.edit",
    "Organization vDC Network: View Properties": "",
    "Organization vDC Gateway: Configure Firewall": "edge.firewall",
    "Organization vDC Gateway: Configure NAT": "edge.nat",
    "Organization vDC Gateway: Configure Static Routing": "edge.routes",
    "Organization vDC Gateway: Configure Load Balancer": "edge.loadbalancer",
    "Organization vDC Distributed Firewall: Configure Rules": "edge.firewall",
    "VDC Group: Configure": "group.edit",
    "API Tokens: Manage": "token.edit",
}
"""Rights as Cloud Director names them, and what they are called here ("": everybody has it)."""


@route("GET", "/cloudapi/1.0.0/roles/{ident}/rights")
def role_rights(request: Request, ident: str) -> Answer:
    from .network import listed

    if ident != f"urn:vcloud:role:{request.user['uid']}":
        raise ApiError(403, "This role cannot be read.")
    have = [name for name, ours in RIGHTS.items() if not ours or request.may(ours)]
    return listed(request, [{"name": name, "id": f"urn:vcloud:right:{n}"} for n, name in enumerate(have)])


@route("POST", "/oauth/tenant/{org}/{what:token|register}", "login")
def oauth(request: Request, org: str, what: str) -> Answer:
    request.area = "open"
    cloud = request.cloud
    with cloud.lock:
        if what == "register":
            request.area = "legacy"
            authenticate(request)
            request.area = "open"
            if cloud.table("session")[request.token]["by"] != "password":
                raise ApiError(403, "A session of an API token cannot manage tokens.")
            client = new_id()
            cloud.table("oauth_client")[client] = {"id": client, "name": request.json().get("client_name", "")}
            return json_answer({"client_id": client, "grant_types": ["refresh_token"]})
        form = {k: v[-1] for k, v in urllib.parse.parse_qs(request.body.decode("utf-8", "replace")).items()}
        grant = form.get("grant_type")
        if grant == "refresh_token":
            known = cloud.table("api_token").get(form.get("refresh_token", ""))
        elif grant == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            session = cloud.table("session").get(form.get("assertion", ""))
            if session is None or form.get("client_id") not in cloud.table("oauth_client"):
                known = None
            else:
                made = secrets.token_hex(20)
                known = {"id": made, "user": session["user"], "rotates": False}
                cloud.table("api_token")[made] = known
        else:
            known = None
        user = cloud.table("user").get(known["user"]) if known else None
        if known is None or user is None or cloud.table("org")[user["org"]]["name"] != org:
            body = {"error": "invalid_grant", "error_description": "The refresh token is not valid."}
            return json_answer(body, 400)
        session = _session(cloud, user["id"], "api_token")
        body = {"access_token": session["id"], "token_type": "Bearer", "expires_in": 2592000, "scope": None}
        body["refresh_token"] = known["id"] if grant != "refresh_token" else None
        if known["rotates"]:
            cloud.table("api_token").pop(known["id"])
            fresh = secrets.token_hex(20)
            cloud.table("api_token")[fresh] = {**known, "id": fresh}
            body["refresh_token"] = fresh
        cloud.touch()
        return json_answer(body)


# organisations


def ref(request: Request, tag: str, kind: str, row: Row | None, **more: Any) -> str:
    """A reference to a row."""
    if row is None:
        return ""
    return el(
        tag,
        href=href(request, kind, row["id"]),
        id=urn(kind, row["id"]),
        name=row["name"],
        type_=MEDIA.get(kind),
        **more,
    )


PATHS = {
    "org": "org/", "vdc": "vdc/", "catalog": "catalog/", "catalogitem": "catalogItem/", "disk": "disk/",
    "vapptemplate": "vAppTemplate/vappTemplate-", "vapp": "vApp/vapp-", "vm": "vApp/vm-", "media": "media/",
    "network": "network/", "storageprofile": "vdcStorageProfile/", "task": "task/", "user": "admin/user/",
    "gateway": "admin/edgeGateway/", "templatevm": "vAppTemplate/vm-",
}  # fmt: skip
MEDIA = {
    "org": f"{VC}org+xml", "vdc": f"{VC}vdc+xml", "catalog": f"{VC}catalog+xml", "media": f"{VC}media+xml",
    "catalogitem": f"{VC}catalogItem+xml", "vapptemplate": f"{VC}vAppTemplate+xml", "vapp": f"{VC}vApp+xml",
    "vm": f"{VC}vm+xml", "templatevm": f"{VC}vm+xml", "disk": f"{VC}disk+xml", "network": f"{VC}orgVdcNetwork+xml",
    "storageprofile": f"{VC}vdcStorageProfile+xml", "task": f"{VC}task+xml", "user": f"{ADMIN}user+xml",
    "gateway": f"{ADMIN}edgeGateway+xml",
}  # fmt: skip


def path(kind: str, ident: str) -> str:
    """The path of an entity in the legacy API."""
    return f"/api/{PATHS.get(kind, kind + '/')}{ident}"


def href(request: Request, kind: str, ident: str) -> str:
    """The address of an entity."""
    return request.base + path(kind, ident)


def head(request: Request, kind: str, row: Row) -> dict[str, Any]:
    """The attributes that every entity has."""
    return {
        "name": row["name"],
        "id": urn(kind, row["id"]) if kind != "templatevm" else urn("vm", row["id"]),
        "href": href(request, kind, row["id"]),
        "type_": MEDIA.get(kind),
    }


def owner(request: Request, row: Row) -> str:
    """The owner of an entity."""
    user = request.cloud.table("user").get(row.get("owner_user", "")) or next(
        iter(request.cloud.table("user").values())
    )
    address = f"{request.base}/api/admin/user/{user['uid']}"
    inner = el("User", href=address, id=f"urn:vcloud:user:{user['uid']}", name=user["name"], type_=MEDIA["user"])
    return el("Owner", inner, type_=f"{VC}owner+xml")


def task_xml(request: Request, task: Row) -> str:
    """A task."""
    error = task["error"]
    to = task["owner"]
    kind = to["kind"]
    address = (
        href(request, kind, to["id"])
        if kind in PATHS
        else f"{request.base}/cloudapi/1.0.0/{kind}s/{urn(kind, to['id'])}"
    )
    org = request.cloud.table("org").get(task["orgid"])
    running = task["status"] in ("queued", "running")
    return el(
        "Task",
        links(request.base, [("task:cancel", f"{path('task', task['id'])}/action/cancel", "")] if running else []),
        el("Owner", href=address, id=urn(kind, to["id"]), name=to["name"], type_=MEDIA.get(kind, "application/json")),
        el("Error", message=error["message"], majorErrorCode=error["major"], minorErrorCode=error["minor"])
        if error
        else "",
        ref(request, "Organization", "org", org),
        tx("Progress", task["progress"]),
        tx("Details", task["details"]),
        href=href(request, "task", task["id"]),
        id=urn("task", task["id"]),
        type_=MEDIA["task"],
        name="task",
        status=task["status"],
        operation=task["operation"],
        operationName=task["operationName"],
        startTime=task["start"],
        endTime=task["end"] or None,
        expiryTime=task["expiry"],
        cancelRequested=False,
        serviceNamespace="com.vmware.vcloud",
    )


def tasks_xml(request: Request, row: Row, also_failed: bool = False) -> str:
    """The tasks that hold an entity."""
    found = [
        t
        for t in request.cloud.table("task").values()
        if row["id"] in t["locks"]
        and (
            t["status"] in ("queued", "running") or t["id"] in request.fresh or (also_failed and t["status"] == "error")
        )
    ]
    return el("Tasks", *(task_xml(request, t) for t in found)) if found else ""


def task_answer(request: Request, task: Row) -> Answer:
    """202 with the task."""
    return xml_answer(request, task_xml(request, task), "vcloud.task", 202)


@route("GET", "/api/task/{ident}")
def get_task(request: Request, ident: str) -> Answer:
    return xml_answer(request, task_xml(request, request.cloud.need("task", ident)), "vcloud.task")


@route("POST", "/api/task/{ident}/action/cancel")
def cancel_task(request: Request, ident: str) -> Answer:
    request.cloud.cancel(request.cloud.need("task", ident))
    return Answer(204)


@route("GET", "/api/org")
def orgs(request: Request) -> Answer:
    rows = [ref(request, "Org", "org", o) for o in request.cloud.table("org").values()]
    return xml_answer(request, el("OrgList", *rows), "vcloud.orgList")


@route("GET", "/api/{admin:(admin/)?}org/{ident}")
def org(request: Request, admin: str, ident: str) -> Answer:
    cloud = request.cloud
    row = cloud.get("org", ident)
    if row is None or row["id"] != request.user["org"]:
        raise ApiError(403, f'No access to entity "{urn("org", ident)}".')
    found = [("down", path("vdc", v["id"]), MEDIA["vdc"]) for v in cloud.table("vdc").values()]
    found += [("down", path("catalog", c["id"]), MEDIA["catalog"]) for c in cloud.table("catalog").values()]
    found.append(("down", f"/api/tasksList/{row['id']}", f"{VC}tasksList+xml"))
    found.append(("down", f"{path('org', row['id'])}/metadata", f"{VC}metadata+xml"))
    found.append(("alternate", f"/api/admin/org/{row['id']}", f"{ADMIN}organization+xml"))
    if request.may("catalog.create"):
        found.append(("add", f"/api/admin/org/{row['id']}/catalogs", f"{ADMIN}catalog+xml"))
    body = [links(request.base, found), tx("Description", row["description"]), tasks_xml(request, row)]
    body += [tx("FullName", row["fullName"]), tx("IsEnabled", True)]
    attrs = head(request, "org", row)
    if not admin:
        return xml_answer(request, el("Org", *body, **attrs), "vcloud.org")
    attrs |= {"href": f"{request.base}/api/admin/org/{row['id']}", "type_": f"{ADMIN}organization+xml"}
    body.append(
        el("Catalogs", *(ref(request, "CatalogReference", "catalog", c) for c in cloud.table("catalog").values()))
    )
    body.append(el("Vdcs", *(ref(request, "Vdc", "vdc", v) for v in cloud.table("vdc").values())))
    return xml_answer(request, el("AdminOrg", *body, **attrs), "admin.organization")


@route("GET", "/api/admin")
def admin(request: Request) -> Answer:
    body = tx("Description", "10.6.1.24567890 Thu Nov 14 10:00:00 UTC 2024")
    return xml_answer(request, el("VCloud", body, name="lab VCD", href=f"{request.base}/api/admin"), "admin.vcloud")


@route("GET", "/api/tasksList/{ident}")
def task_list(request: Request, ident: str) -> Answer:
    rows = [task_xml(request, t) for t in request.cloud.table("task").values()]
    return xml_answer(request, el("TasksList", *rows, name="Tasks Lists"), "vcloud.tasksList")


# VDCs


def storage_used(cloud: Cloud, profile: str) -> int:
    """MiB that are used in a storage profile, by VMs, templates, named disks and media."""
    used = sum(d["size_mb"] for vm in cloud.table("vm").values() for d in vm["disks"] if d.get("profile") == profile)
    used += sum(d["size_mb"] for d in cloud.table("disk").values() if d.get("profile") == profile)
    used += sum(-(-m["size"] >> 20) for m in cloud.table("media").values() if m.get("profile") == profile)
    return int(used)


def default_profile(cloud: Cloud, vdc: str) -> Row:
    """The storage profile of a VDC that is taken where none is named."""
    rows = cloud.find("storageprofile", vdc=vdc)
    return next((r for r in rows if r["default"]), rows[0])


def need_storage(cloud: Cloud, profile: str, mib: int) -> None:
    """Refuse what goes beyond a storage profile's limit."""
    row = cloud.need("storageprofile", profile)
    if row["limit_mb"] and storage_used(cloud, profile) + mib > row["limit_mb"]:
        raise ApiError(
            400,
            f'The requested operation will exceed the VDC\'s storage quota: storage policy "{row["name"]}" has'
            f" {row['limit_mb'] - storage_used(cloud, profile)} megabytes remaining, but {mib} are needed.",
            "STORAGE_QUOTA_EXCEEDED",
        )


def vdc_networks(cloud: Cloud, vdc: str) -> list[Row]:
    """The networks that VMs of a VDC can be on: its own, and those of its group."""
    groups = [g["id"] for g in cloud.table("vdcGroup").values() if vdc in g["vdcs"]]
    return [n for n in cloud.table("network").values() if n["owner"] == vdc or n["owner"] in groups]


def vdc_use(cloud: Cloud, vdc: str) -> tuple[int, int, int, int]:
    """VMs, MHz, MiB of memory and NICs that are in use."""
    apps = {a["id"] for a in cloud.find("vapp", vdc=vdc)}
    vms = [v for v in cloud.table("vm").values() if v["parent"] in apps]
    on = [v for v in vms if v["status"] == 4]
    mhz = cloud.table("vdc")[vdc]["vcpu_mhz"]
    nics = sum(len(v["nics"]) for v in vms)
    return len(vms), sum(v["cpus"] * mhz for v in on), sum(v["memory_mb"] for v in on), nics


@route("GET", "/api/{admin:(admin/)?}vdc/{ident}")
def vdc(request: Request, admin: str, ident: str) -> Answer:
    cloud = request.cloud
    row = cloud.need("vdc", ident, 403)
    base = path("vdc", row["id"])
    rels = [("up", path("org", row["org"]), MEDIA["org"]), ("down", f"{base}/metadata", f"{VC}metadata+xml")]
    adds = {
        "vapp.create": (
            ("instantiateVAppTemplate", "instantiateVAppTemplateParams"),
            ("composeVApp", "composeVAppParams"),
            ("createVm", "CreateVmParams"),
            ("instantiateVmFromTemplate", "instantiateVmTemplateParams"),
        ),
    }
    for right, actions in adds.items():
        if request.may(right):
            rels += [("add", f"{base}/action/{action}", f"{VC}{kind}+xml") for action, kind in actions]
    if request.may("disk.create"):
        rels.append(("add", f"{base}/disk", f"{VC}diskCreateParams+xml"))
    query = "/api/query?type=edgeGateway&format=records"
    rels.append(("edgeGateways", f"/api/admin/vdc/{row['id']}/edgeGateways", f"{VC}query.records+xml"))
    rels.append(("orgVdcNetworks", query.replace("edgeGateway", "orgVdcNetwork"), f"{VC}query.records+xml"))
    _vms, mhz, memory, _nics = vdc_use(cloud, row["id"])

    def capacity(tag: str, unit: str, limit: int, used: int) -> str:
        inner = (tx("Units", unit), tx("Allocated", limit), tx("Limit", limit), tx("Reserved", 0), tx("Used", used))
        return el(tag, *inner)

    things = [ref(request, "ResourceEntity", "vapp", a) for a in cloud.find("vapp", vdc=row["id"])]
    things += [ref(request, "ResourceEntity", "vapptemplate", t) for t in cloud.find("vapptemplate", vdc=row["id"])]
    things += [ref(request, "ResourceEntity", "media", t) for t in cloud.find("media", vdc=row["id"])]
    things += [ref(request, "ResourceEntity", "disk", t) for t in cloud.find("disk", vdc=row["id"])]
    versions = [
        el(
            "SupportedHardwareVersion",
            v,
            name=v,
            href=f"{request.base}{base}/hwv/{v}",
            type_=f"{VC}virtualHardwareVersion+xml",
            default="true" if v == HARDWARE[-1] else None,
        )
        for v in HARDWARE
    ]
    policy = next(iter(cloud.table("computepolicy").values()))
    address = f"{request.base}/cloudapi/2.0.0/vdcComputePolicies/{urn('vdcComputePolicy', policy['id'])}"
    body = el(
        "Vdc",
        links(request.base, rels),
        tx("Description", row["description"]),
        tasks_xml(request, row),
        tx("AllocationModel", "Flex"),
        el(
            "ComputeCapacity",
            capacity("Cpu", "MHz", row["cpu_mhz"], mhz),
            capacity("Memory", "MB", row["memory_mb"], memory),
        ),
        el("ResourceEntities", *things),
        el("AvailableNetworks", *(ref(request, "Network", "network", n) for n in vdc_networks(cloud, row["id"]))),
        el("Capabilities", el("SupportedHardwareVersions", *versions)),
        tx("NicQuota", row["nic_quota"]),
        tx("NetworkQuota", row["network_quota"]),
        tx("UsedNetworkCount", len(cloud.find("network", owner=row["id"]))),
        tx("VmQuota", row["vm_quota"]),
        tx("IsEnabled", row["enabled"]),
        el(
            "VdcStorageProfiles",
            *(
                ref(request, "VdcStorageProfile", "storageprofile", p)
                for p in cloud.find("storageprofile", vdc=row["id"])
            ),
        ),
        el("DefaultComputePolicy", href=address, id=urn("vdcComputePolicy", policy["id"]), name=policy["name"]),
        status=1,
        **head(request, "vdc", row),
    )
    return xml_answer(request, body, "vcloud.vdc")


@route("GET", "/api/vdc/{ident}/hwv/{version}")
def hardware_version(request: Request, ident: str, version: str) -> Answer:
    request.cloud.need("vdc", ident, 403)
    if version not in HARDWARE:
        raise ApiError(404, f"No hardware version {version}.")
    from .ovf import OS_TYPES

    guests = [
        el("supportedOperatingSystem", tx("Name", text), tx("InternalName", name), tx("x64", "64" in name))
        for name, text in OS_TYPES.items()
    ]
    body = el(
        "VirtualHardwareVersion",
        tx("name", version),
        el("supportedMemorySizesGranularity", tx("step", 4)),
        tx("maxCPUs", 128),
        tx("maxCoresPerSocket", 64),
        tx("maxMemorySizeMb", 6128 * 1024),
        el("supportedOperatingSystems", el("operatingSystemFamilyInfo", tx("Name", "all"), *guests)),
    )
    return xml_answer(request, body, "vcloud.virtualHardwareVersion")


@route("GET", "/api/vdcStorageProfile/{ident}")
def storage_profile(request: Request, ident: str) -> Answer:
    row = request.cloud.need("storageprofile", ident, 403)
    body = el(
        "VdcStorageProfile",
        links(request.base, [("up", path("vdc", row["vdc"]), MEDIA["vdc"])]),
        tx("Enabled", row["enabled"]),
        tx("Units", "MB"),
        tx("Limit", row["limit_mb"]),
        tx("Default", row["default"]),
        el("IopsSettings", tx("Enabled", False), tx("DiskIopsMax", 0), tx("DiskIopsDefault", 0)),
        tx("StorageUsedMB", storage_used(request.cloud, row["id"])),
        tx("IopsAllocated", 0),
        **head(request, "storageprofile", row),
    )
    return xml_answer(request, body, "vcloud.vdcStorageProfile")
