# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orange's own API of Cloud Avenue, in its present form and the old one: token, jobs, VDCs, edges, services."""

from __future__ import annotations

import re
import secrets
import time
import urllib.parse
from typing import Any

from .core import ApiError, Cloud, Row, effect, new_id, now
from .seed import CLASSES, ORANGE_CLIENT, ORANGE_SECRET, PUBLIC, add_edge, add_vdc
from .web import Answer, Request, json_answer, route

P = "{old:/infrapicustomerproxy/v2.0|/api/customers/v2.0}"
JOBS = "{old:/infrapicustomerproxy/v1.0|/api/customers/v1.0}"


@route("POST", "/auth/v1/user/token", "login")
def token(request: Request) -> Answer:
    form = {k: v[-1] for k, v in urllib.parse.parse_qs(request.body.decode("utf-8", "replace")).items()}
    cloud = request.cloud
    org = next(iter(cloud.table("org").values()))["name"]
    good = (
        form.get("grant_type") == "client_credentials"
        and secrets.compare_digest(form.get("client_id", ""), ORANGE_CLIENT)
        and secrets.compare_digest(form.get("client_secret", ""), ORANGE_SECRET)
        and form.get("scope") == f"tenant:{org}"
    )
    if not good:
        return json_answer({"code": 401, "message": "Unauthorized", "description": "client or scope is not known"}, 401)
    life = int(cloud.options.get("orange_token_seconds", 3600))
    with cloud.lock:
        made = secrets.token_urlsafe(48)
        user = next(iter(cloud.table("user")))
        cloud.table("orange_session")[made] = {
            "id": made,
            "user": user,
            "used": time.time(),
            "until": time.time() + life,
        }
    return json_answer({"access_token": made, "token_type": "Bearer", "expires_in": life})


def fail(status: int, code: str, reason: str, message: str = "") -> ApiError:
    """An error as Orange writes it."""
    return ApiError(status, reason, code, {"x-message": message or reason})


def job(request: Request, name: str, do: str, status: int = 201, **args: Any) -> Answer:
    """Begin a job; only one runs at a time."""
    request.right("orange.write")
    cloud = request.cloud
    if cloud.fault("job_empty", name):
        return json_answer({"message": "accepted", "jobId": ""}, status)
    running = [j for j in cloud.table("job").values() if j["status"] in ("CREATED", "PENDING", "IN_PROGRESS")]
    if running or cloud.fault("job_exists", name):
        raise fail(
            400, "cf-0002", "Job already exists", f"a job is in progress: {running[0]['id'] if running else new_id()}"
        )
    row = cloud.put(
        "job",
        {
            "name": name,
            "status": "CREATED",
            "actions": [{"name": name, "status": "CREATED", "details": ""}],
            "created": now(),
        },
    )
    seconds = float(cloud.options.get("job_seconds", cloud.options["task_seconds"]))
    shadow = {"kind": "job", "id": row["id"], "name": name}
    before = cloud.options["task_seconds"]
    cloud.options["task_seconds"] = seconds
    cloud.start("orangeJob", name, shadow, "orange job", job=row["id"], todo=do, todo_args=args)
    cloud.options["task_seconds"] = before
    return json_answer({"message": f"{name} is being done", "jobId": row["id"]}, status)


def _ended(row: Row, status: str, details: str) -> None:
    row.update(status=status, actions=[{"name": row["name"], "status": status, "details": details}])


@effect("orange job")
def _run(cloud: Cloud, task: Row, job: str, todo: str, todo_args: Row) -> None:
    with cloud.lock:
        row = cloud.need("job", job)
        if cloud.fault("job_fail", row["name"]):
            _ended(row, "FAILED", "The order could not be carried out.")
            return
        try:
            details = _TODO[todo](cloud, **todo_args)
        except ApiError as error:
            _ended(row, "FAILED", error.message)
            return
        _ended(row, "DONE", details)


@route("GET", f"{JOBS}/jobs/{{ident}}", "orange")
def get_job(request: Request, old: str, ident: str) -> Answer:
    row = request.cloud.get("job", ident)
    if row is None:
        raise fail(404, "err-0004", "Job not found")
    if row["status"] == "CREATED":
        row["status"] = "IN_PROGRESS"
        row["actions"][0]["status"] = "IN_PROGRESS"
    return json_answer(
        [{"name": row["name"], "description": row["name"], "status": row["status"], "actions": row["actions"]}]
    )


@route("GET PUT", f"{P}/configurations", "orange")
def configuration(request: Request, old: str) -> Answer:
    cloud = request.cloud
    org = next(iter(cloud.table("org").values()))
    if request.method == "PUT":
        return job(request, "update organization", "configure", body=request.json())
    return json_answer(
        {
            "name": org["name"],
            "fullName": org["fullName"],
            "description": org["description"],
            "customerMail": org.get("mail", "ops@acme.example"),
            "internetBillingMode": org.get("billing", "PAYG"),
            "isEnabled": True,
            "isSuspended": False,
        }
    )


# VDCs


def vdc_body(cloud: Cloud, row: Row) -> Row:
    """A VDC."""
    group = next((g["name"] for g in cloud.table("vdcGroup").values() if row["id"] in g["vdcs"]), None)
    profiles = [
        {"class": p["name"], "limit": p["limit_mb"] // 1024, "default": p["default"]}
        for p in cloud.find("storageprofile", vdc=row["id"])
    ]
    body = {
        "name": row["name"],
        "description": row["description"],
        "vdcServiceClass": row["service_class"],
        "vdcDisponibilityClass": row["availability"],
        "vdcBillingModel": row["billing"],
        "vcpuInMhz2": row["vcpu_mhz"],
        "cpuAllocated": row["cpu_mhz"],
        "memoryAllocated": row["memory_mb"] // 1024,
        "vdcStorageBillingModel": row["storage_billing"],
        "vdcStorageProfiles": profiles,
    }
    return {"vdc": body, **({"vdcGroup": group} if group else {})}


@route("GET POST", f"{P}/vdcs", "orange")
def vdcs(request: Request, old: str) -> Answer:
    cloud = request.cloud
    if request.method == "GET":
        return json_answer([{"vdc_name": v["name"], "vdc_uuid": v["id"]} for v in cloud.table("vdc").values()])
    body = _vdc_given(request)
    if cloud.find("vdc", name=body["name"]):
        raise fail(400, "err-0002", f"VDC {body['name']} already exists")
    return job(request, "create vdc", "create vdc", body=body)


def _vdc_given(request: Request) -> Row:
    body = request.json().get("vdc")
    if not isinstance(body, dict) or not re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", str(body.get("name"))):
        raise fail(400, "err-0001", "the name of the VDC is not valid")
    checks = {
        "vdcServiceClass": ("ECO", "STD", "HP", "VOIP"),
        "vdcDisponibilityClass": ("ONE-ROOM", "DUAL-ROOM", "HA-DUAL-ROOM"),
        "vdcBillingModel": ("PAYG", "DRAAS", "RESERVED"),
        "vdcStorageBillingModel": ("PAYG", "RESERVED"),
    }
    for name, values in checks.items():
        if body.get(name) not in values:
            raise fail(400, "err-0001", f"{name} is not one of {', '.join(values)}")
    profiles = body.get("vdcStorageProfiles") or []
    if not profiles or sum(bool(p.get("default")) for p in profiles) != 1:
        raise fail(400, "err-0001", "exactly one storage profile is the default")
    for profile in profiles:
        known = str(profile.get("class")).split("_", maxsplit=1)[0] in CLASSES
        if not known or not 100 <= int(profile.get("limit") or 0) <= 81920:
            raise fail(
                400,
                "err-0001",
                f"the storage profile {profile.get('class')} is unknown, or its limit is not 100 to 81920 GB",
            )
    if not 1 <= int(body.get("memoryAllocated") or 0) <= 5120:
        raise fail(400, "err-0001", "memoryAllocated is not 1 to 5120 GB")
    return body


def _create_vdc(cloud: Cloud, body: Row) -> str:
    row = add_vdc(
        cloud,
        body["name"],
        [(p["class"], int(p["limit"]), bool(p["default"])) for p in body["vdcStorageProfiles"]],
        description=body.get("description") or "",
        service_class=body["vdcServiceClass"],
        availability=body["vdcDisponibilityClass"],
        billing=body["vdcBillingModel"],
        storage_billing=body["vdcStorageBillingModel"],
        vcpu_mhz=int(body.get("vcpuInMhz2") or 2200),
        cpu_mhz=int(body.get("cpuAllocated") or 0),
        memory_mb=int(body["memoryAllocated"]) * 1024,
    )
    return f"VDC {row['name']} created"


def _update_vdc(cloud: Cloud, ident: str, body: Row) -> str:
    row = cloud.need("vdc", ident)
    row.update(description=body.get("description") or "", cpu_mhz=int(body.get("cpuAllocated") or row["cpu_mhz"]),
               memory_mb=int(body["memoryAllocated"]) * 1024)  # fmt: skip
    have = {p["name"]: p for p in cloud.find("storageprofile", vdc=ident)}
    for given in body["vdcStorageProfiles"]:
        new = {"limit_mb": int(given["limit"]) * 1024, "default": bool(given["default"])}
        if given["class"] in have:
            have[given["class"]].update(new)
        else:
            cloud.put("storageprofile", {"name": given["class"], "vdc": ident, "enabled": True, **new})
    return f"VDC {row['name']} updated"


def _delete_vdc(cloud: Cloud, ident: str) -> str:
    row = cloud.need("vdc", ident)
    for profile in cloud.find("storageprofile", vdc=ident):
        cloud.drop("storageprofile", profile["id"])
    cloud.drop("vdc", ident)
    return f"VDC {row['name']} deleted"


@route("GET PUT DELETE", f"{P}/vdcs/{{name}}", "orange")
def vdc(request: Request, old: str, name: str) -> Answer:
    cloud = request.cloud
    row = next(iter(cloud.find("vdc", name=name)), None)
    if row is None:
        raise fail(404, "err-0004", f"VDC {name} not found")
    if request.method == "GET":
        return json_answer(vdc_body(cloud, row))
    if request.method == "PUT":
        return job(request, "update vdc", "update vdc", 200, ident=row["id"], body=_vdc_given(request))
    if (
        cloud.find("vapp", vdc=row["id"])
        or cloud.find("network", owner=row["id"])
        or cloud.find("gateway", owner=row["id"])
    ):
        raise fail(400, "err-0003", f"VDC {name} is not empty")
    return job(request, "delete vdc", "delete vdc", 200, ident=row["id"])


# T0, edges


def t0_body(row: Row) -> Row:
    """A T0."""
    return {
        "tier0_vrf": row["name"],
        "tier0_provider": "pr01e02t0sp16",
        "tier0_class_service": row["class"],
        "class_service": row["class"],
        "services": [{"service": "INTERNET", "vlanId": "100"}],
    }


@route("GET", f"{P}/tier-0-vrfs", "orange")
def t0s(request: Request, old: str) -> Answer:
    return json_answer([t["name"] for t in request.cloud.table("t0").values()])


@route("GET", f"{P}/tier-0-vrfs/{{name}}", "orange")
def t0(request: Request, old: str, name: str) -> Answer:
    row = next(iter(request.cloud.find("t0", name=name)), None)
    if row is None:
        raise fail(404, "err-0004", f"T0 {name} not found")
    return json_answer(t0_body(row))


def edge_body(cloud: Cloud, row: Row) -> Row:
    """An edge, with a bare uuid."""
    above = next(iter(cloud.find("t0", name=row["t0"])), {"class": ""})
    owner = cloud.get(row["owner_kind"], row["owner"])
    return {
        "tier0VrfId": row["t0"],
        "edgeId": row["id"],
        "edgeName": row["name"],
        "ownerType": "vdc-group" if row["owner_kind"] == "vdcGroup" else "vdc",
        "ownerName": owner["name"] if owner else "",
        "description": row["description"],
        "rateLimit": 0 if "DEDICATED" in above["class"] else row["rate"],
    }


@route("GET", f"{P}/edges", "orange")
def edges(request: Request, old: str) -> Answer:
    return json_answer([edge_body(request.cloud, e) for e in request.cloud.table("gateway").values()])


def _edge(request: Request, ident: str) -> Row:
    row = request.cloud.get("gateway", ident) if re.fullmatch(r"[0-9a-f-]{36}", ident) else None
    if row is None:
        raise fail(404, "err-0009", "Edge not found")
    return row


@route("GET PUT DELETE", f"{P}/edges/{{ident}}", "orange")
def edge(request: Request, old: str, ident: str) -> Answer:
    cloud = request.cloud
    row = _edge(request, ident)
    if request.method == "GET":
        return json_answer(edge_body(cloud, row))
    if request.method == "PUT":
        rate = request.json().get("rateLimit")
        if rate not in (5, 25, 50, 75, 100, 150, 200, 250, 300, *range(400, 1001, 100), *range(2000, 6001, 1000)):
            raise fail(400, "err-0001", f"rateLimit {rate} is not possible")
        return job(request, "update edge", "update edge", 200, ident=row["id"], rate=rate)
    if cloud.find("network", edge=row["id"]):
        raise fail(400, "err-0003", f"Edge {row['name']} has networks")
    return job(request, "delete edge", "delete edge", 200, ident=row["id"])


@route("GET", f"{P}/edges/{{ident}}/networks", "orange")
def edge_networks(request: Request, old: str, ident: str) -> Answer:
    row = _edge(request, ident)
    return json_answer(
        [
            {
                "name": n["name"],
                "networkId": n["id"],
                "gateway": n["subnets"][0]["gateway"],
                "prefixLength": n["subnets"][0]["prefixLength"],
            }
            for n in request.cloud.find("network", edge=row["id"])
        ]
    )


@route("POST", f"{P}/{{what:vdcs|vdc-groups}}/{{name}}/edges", "orange")
def create_edge(request: Request, old: str, what: str, name: str) -> Answer:
    cloud = request.cloud
    kind = "vdc" if what == "vdcs" else "vdcGroup"
    owner = next(iter(cloud.find(kind, name=name)), None)
    t0_name = request.json().get("tier0VrfId")
    above = next(iter(cloud.find("t0", name=t0_name)), None)
    if owner is None or above is None:
        raise fail(404, "err-0004", f"{name if owner is None else t0_name} not found")
    most = {"VRF_STANDARD": 4, "VRF_PREMIUM": 8, "VRF_DEDICATED_MEDIUM": 6, "VRF_DEDICATED_LARGE": 12}[above["class"]]
    if len(cloud.find("gateway", t0=t0_name)) >= most:
        raise fail(400, "err-0005", f"{t0_name} has {most} edges already")
    return job(request, "create edge", "create edge", kind=kind, owner=owner["id"], t0=t0_name)


def _create_edge(cloud: Cloud, kind: str, owner: str, t0: str) -> str:
    number = max([int(e["name"][-3:]) for e in cloud.table("gateway").values()], default=100) + 1
    return f"Edge {add_edge(cloud, f'tn01e02ocb0001234spt{number}', kind, owner, t0)['name']} created"


def _update_edge(cloud: Cloud, ident: str, rate: int) -> str:
    cloud.need("gateway", ident)["rate"] = rate
    return "Edge updated"


def _delete_edge(cloud: Cloud, ident: str) -> str:
    cloud.drop("gateway", ident)
    return "Edge deleted"


# public addresses and services


@route("GET", f"{P}/network", "orange")
def tree(request: Request, old: str) -> Answer:
    cloud = request.cloud
    found = []
    for above in cloud.table("t0").values():
        below = []
        for row in cloud.find("gateway", t0=above["name"]):
            services = [
                {
                    "type": "service",
                    "name": s["name"],
                    "displayName": s["display"],
                    "serviceId": s["id"],
                    "properties": {"ip": s["ip"], "announced": s["announced"]}
                    if s["name"] == "internet"
                    else {"ranges": [s["ip"]], "prefixLength": s["prefix"]},
                }
                for s in row["services"]
            ]
            services.append(
                {
                    "type": "load-balancer",
                    "name": "load-balancer",
                    "displayName": "load-balancer",
                    "serviceId": "",
                    "properties": {"classOfService": "STANDARD", "maxVirtualServices": 10},
                }
            )
            below.append(
                {
                    "type": "edge-gateway",
                    "name": row["name"],
                    "displayName": row["name"],
                    "properties": {"rateLimit": row["rate"], "edgeUuid": row["id"]},
                    "children": services,
                }
            )
        found.append({"type": "tier-0-vrf", "name": above["name"], "displayName": above["name"],
                      "properties": {"classOfService": above["tree_class"]}, "children": below})  # fmt: skip
    return json_answer(found)


@route("POST", f"{P}/services", "orange")
def order(request: Request, old: str) -> Answer:
    body = request.json()
    row = _edge(request, str(body.get("edgeGateway")))
    kind = body.get("networkType")
    given = body.get("properties") or {}
    if kind not in ("internet", "cav-services"):
        raise fail(400, "err-0001", f"networkType {kind} is unknown")
    if kind == "cav-services" and not 25 <= int(given.get("prefixLength") or 27) <= 28:
        raise fail(400, "err-0001", "prefixLength is not 25 to 28")
    return job(
        request,
        f"create {kind} service",
        "order",
        edge=row["id"],
        service=kind,
        announced=bool(given.get("announced", True)),
        prefix=int(given.get("prefixLength") or 27),
    )


def _order(cloud: Cloud, edge: str, service: str, announced: bool, prefix: int) -> str:
    row = cloud.need("gateway", edge)
    if service == "internet":
        taken = {ip for e in cloud.table("gateway").values() for ip in e["public"]}
        ip = next((f"{PUBLIC}{n}" for n in range(10, 250) if f"{PUBLIC}{n}" not in taken), None)
        if ip is None:
            raise ApiError(400, "No public address is left.")
        row["public"].append(ip)
    else:
        ip = f"100.67.{len(row['services'])}.0/{prefix}"
    row["services"].append(
        {
            "id": new_id(),
            "name": service,
            "display": f"{service}-{ip}",
            "ip": ip,
            "announced": announced,
            "prefix": prefix,
        }
    )
    return f"Service {service} with address {ip} was added to {row['name']}"


@route("GET", f"{P}/ip", "orange")
def addresses(request: Request, old: str) -> Answer:
    """Public addresses as the older calls have them."""
    rows = [
        {"uplinkIp": ip, "translatedIp": "", "edgeGatewayName": e["name"]}
        for e in request.cloud.table("gateway").values()
        for ip in e["public"]
    ]
    return json_answer({"internalIp": "", "networkConfig": rows})


@route("POST", f"{JOBS}/ip", "orange")
def order_address(request: Request, old: str) -> Answer:
    row = next(iter(request.cloud.find("gateway", name=request.headers.get("X-VDC-Edge-Name", ""))), None)
    if row is None:
        raise fail(404, "err-0009", "Edge not found")
    return job(
        request, "create internet service", "order", edge=row["id"], service="internet", announced=True, prefix=32
    )


@route("DELETE", f"{JOBS}/ip/{{ip}}", "orange")
def cancel_address(request: Request, old: str, ip: str) -> Answer:
    gateways = request.cloud.table("gateway").values()
    found = next((s["id"] for e in gateways for s in e["services"] if s["ip"] == ip), None)
    if found is None:
        raise fail(404, "err-0004", f"{ip} not found")
    return cancel(request, old, found)


@route("DELETE", f"{P}/services/{{ident}}", "orange")
def cancel(request: Request, old: str, ident: str) -> Answer:
    cloud = request.cloud
    found = next(((e, s) for e in cloud.table("gateway").values() for s in e["services"] if s["id"] == ident), None)
    if found is None:
        raise fail(404, "err-0004", "Service not found")
    row, service = found
    if any(n["externalAddresses"] == service["ip"] for n in row["nat"]):
        raise fail(400, "err-0003", f"{service['ip']} is in use by NAT")
    return job(request, "delete service", "cancel", 200, edge=row["id"], service=ident)


def _cancel(cloud: Cloud, edge: str, service: str) -> str:
    row = cloud.need("gateway", edge)
    gone = next(s for s in row["services"] if s["id"] == service)
    row["services"].remove(gone)
    if gone["ip"] in row["public"]:
        row["public"].remove(gone["ip"])
    return f"Service {gone['display']} deleted"


def _configure(cloud: Cloud, body: Row) -> str:
    org = next(iter(cloud.table("org").values()))
    org.update(fullName=body.get("fullName") or org["fullName"], description=body.get("description") or "",
               mail=body.get("customerMail") or "", billing=body.get("internetBillingMode") or "PAYG")  # fmt: skip
    return "Organization updated"


@route("GET POST", f"{P}/vcda/ips", "orange")
@route("DELETE", f"{P}/vcda/ips/{{ip}}", "orange")
def vcda(request: Request, old: str, ip: str = "") -> Answer:
    table = request.cloud.table("vcda")
    if request.method == "GET":
        return json_answer(sorted(table))
    if request.method == "POST":
        for given in request.json().get("ips") or []:
            table[str(given)] = {"id": str(given)}
    elif table.pop(ip, None) is None:
        raise fail(404, "err-0004", f"{ip} not found")
    return json_answer({"message": "done"})


@route("GET", f"{P}/bms", "orange")
def bare_metal(request: Request, old: str) -> Answer:
    return json_answer([])


_TODO = {
    "create vdc": _create_vdc,
    "update vdc": _update_vdc,
    "delete vdc": _delete_vdc,
    "create edge": _create_edge,
    "update edge": _update_edge,
    "delete edge": _delete_edge,
    "order": _order,
    "cancel": _cancel,
    "configure": _configure,
}
