# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The query service and metadata."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from typing import Any

from .access import VC, href, storage_used, task_answer, vdc_use
from .core import ApiError, Row, bare, urn
from .machines import used_ips, vapp_status, vdc_of
from .web import Answer, Request, route, xml_answer
from .xmls import Node, el, links, tx

STATUS = {-1: "FAILED_CREATION", 0: "UNRESOLVED", 1: "RESOLVED", 3: "SUSPENDED", 4: "POWERED_ON", 8: "POWERED_OFF",
          10: "MIXED", 17: "TRANSFER_TIMEOUT"}  # fmt: skip


def matches(expression: str, row: Callable[[str], Any]) -> bool:
    """Whether a row fits a FIQL filter: ==, !=, =lt= and so on, ; for and, , for or, parentheses, * at the ends."""
    text = expression
    at = 0

    def either() -> bool:
        nonlocal at
        found = both()
        while at < len(text) and text[at] == ",":
            at += 1
            found = both() or found
        return found

    def both() -> bool:
        nonlocal at
        found = one()
        while at < len(text) and text[at] == ";":
            at += 1
            found = one() and found
        return found

    def one() -> bool:
        nonlocal at
        if at < len(text) and text[at] == "(":
            at += 1
            found = either()
            if at >= len(text) or text[at] != ")":
                raise ApiError(400, f"The filter {expression!r} has an open parenthesis.")
            at += 1
            return found
        part = re.compile(r"([\w.:@-]+?)(==|!=|=(?:lt|le|gt|ge)=)([^;,()]*)").match(text, at)
        if not part:
            raise ApiError(400, f"The filter {expression!r} is not understood at {text[at : at + 20]!r}.")
        at = part.end()
        name, sign, wanted = part.groups()
        return _compare(row(name), sign, wanted)

    found = either()
    if at != len(text):
        raise ApiError(400, f"The filter {expression!r} is not understood at {text[at : at + 20]!r}.")
    return found


def _compare(value: Any, sign: str, wanted: str) -> bool:
    if isinstance(value, bool):
        value = "true" if value else "false"
    if value is None:
        return sign == "!="
    if sign in ("==", "!="):
        have = str(value)
        if "*" in wanted:
            same = re.fullmatch(".*".join(map(re.escape, wanted.split("*"))), have) is not None
        elif re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", wanted) and re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", have):
            same = bare(have) == bare(wanted)
        else:
            same = have == wanted
        return same == (sign == "==")
    try:
        a, b = float(value), float(wanted)
    except ValueError:
        a, b = str(value), wanted
    return {"=lt=": a < b, "=le=": a <= b, "=gt=": a > b, "=ge=": a >= b}[sign]


def _records(request: Request, kind: str) -> tuple[str, list[Row]]:
    """The element and all records of a type."""
    cloud = request.cloud
    org = next(iter(cloud.table("org").values()))
    user = request.user["name"]

    def to(what: str, row: Row, **more: Any) -> Row:
        return {"href": href(request, what, row["id"]), "id": urn(what, row["id"]), "name": row["name"], **more,
                "_row": row["id"], "_kind": what}  # fmt: skip

    def vdc_bits(ident: str) -> Row:
        vdc = cloud.table("vdc")[ident]
        return {"vdc": href(request, "vdc", ident), "vdcName": vdc["name"], "isVdcEnabled": True}

    if kind == "organization":
        return "OrgRecord", [to("org", org, displayName=org["fullName"], isEnabled=True)]
    if kind in ("orgVdc", "adminOrgVdc"):
        rows = []
        for vdc in cloud.table("vdc").values():
            _vms, mhz, memory, _nics = vdc_use(cloud, vdc["id"])
            profiles = cloud.find("storageprofile", vdc=vdc["id"])
            rows.append(
                to(
                    "vdc",
                    vdc,
                    org=href(request, "org", org["id"]),
                    orgName=org["name"],
                    isEnabled=True,
                    status="READY",
                    allocationModel="Flex",
                    cpuLimitMhz=vdc["cpu_mhz"],
                    cpuAllocationMhz=vdc["cpu_mhz"],
                    cpuUsedMhz=mhz,
                    memoryLimitMB=vdc["memory_mb"],
                    memoryAllocationMB=vdc["memory_mb"],
                    memoryUsedMB=memory,
                    storageLimitMB=sum(p["limit_mb"] for p in profiles),
                    storageUsedMB=sum(storage_used(cloud, p["id"]) for p in profiles),
                    networkProviderType="NSX_T",
                    numberOfVApps=len(cloud.find("vapp", vdc=vdc["id"])),
                    isBusy=False,
                    description=vdc["description"],
                    numberOfVMs=_vms,
                    numberOfStorageProfiles=len(profiles),
                )
            )
        return "OrgVdcRecord", rows
    if kind in ("catalog", "adminCatalog"):
        return "CatalogRecord", [
            to(
                "catalog",
                c,
                orgName=org["name"],
                org=href(request, "org", org["id"]),
                ownerName=user,
                isLocal=True,
                isShared=False,
                isPublished=False,
                creationDate=c["created"],
                status="READY",
                description=c["description"],
                version=1,
                numberOfVAppTemplates=len(cloud.find("vapptemplate", catalog=c["id"])),
                numberOfMedia=len(cloud.find("media", catalog=c["id"])),
            )
            for c in cloud.table("catalog").values()
        ]
    if kind in ("catalogItem", "adminCatalogItem"):
        rows = []
        for item in cloud.table("catalogitem").values():
            entity = cloud.get(item["entity_kind"], item["entity"])
            catalog = cloud.table("catalog")[item["catalog"]]
            rows.append(
                to(
                    "catalogitem",
                    item,
                    catalog=href(request, "catalog", catalog["id"]),
                    catalogName=catalog["name"],
                    entity=href(request, item["entity_kind"], item["entity"]),
                    entityName=item["name"],
                    entityType="vapptemplate" if item["entity_kind"] == "vapptemplate" else "media",
                    ownerName=user,
                    status=STATUS.get((entity or {}).get("status", 8), "RESOLVED"),
                    creationDate=item["created"],
                )
            )
        return "CatalogItemRecord", rows
    if kind in ("vAppTemplate", "adminVAppTemplate"):
        rows = []
        for row in cloud.table("vapptemplate").values():
            catalog = cloud.table("catalog")[row["catalog"]]
            rows.append(
                to(
                    "vapptemplate",
                    row,
                    catalog=href(request, "catalog", catalog["id"]),
                    catalogName=catalog["name"],
                    catalogItem=href(request, "catalogitem", row["item"]),
                    org=href(request, "org", org["id"]),
                    ownerName=user,
                    status="RESOLVED" if row["status"] == 8 else STATUS.get(row["status"], "UNKNOWN"),
                    isEnabled=True,
                    creationDate=row["created"],
                    isBusy=bool(cloud.running(row["id"])),
                    isInCatalog=True,
                    isExpired=False,
                    storageProfileName=cloud.table("storageprofile")[row["profile"]]["name"],
                    numberOfVMs=len(cloud.find("vm", parent=row["id"])),
                    description=row["description"],
                    **vdc_bits(row["vdc"]),
                )
            )
        return "VAppTemplateRecord", rows
    if kind in ("vApp", "adminVApp"):
        rows = []
        for row in cloud.table("vapp").values():
            status, deployed = vapp_status(cloud, row)
            vms = cloud.find("vm", parent=row["id"])
            rows.append(
                to(
                    "vapp",
                    row,
                    creationDate=row["created"],
                    isBusy=bool(cloud.running(row["id"])),
                    isDeployed=deployed,
                    isEnabled=True,
                    isExpired=False,
                    ownerName=user,
                    status=STATUS.get(status, "UNKNOWN"),
                    numberOfVMs=len(vms),
                    numberOfCpus=sum(v["cpus"] for v in vms),
                    description=row["description"],
                    memoryAllocationMB=sum(v["memory_mb"] for v in vms),
                    storageKB=sum(d["size_mb"] for v in vms for d in v["disks"]) * 1024,
                    **vdc_bits(row["vdc"]),
                )
            )
        return "VAppRecord", rows
    if kind in ("vm", "adminVM"):
        rows = []
        for vm in cloud.table("vm").values():
            parent = cloud.get(vm["place"], vm["parent"])
            if parent is None:
                continue
            template = vm["place"] == "vapptemplate"
            nic = next((n for n in vm["nics"] if n["index"] == vm["primary"]), None)
            ips = [i for g in vm["guest"].get("nics", []) for i in g.get("ips", [])]
            profile = cloud.get("storageprofile", vm["profile"]) or {}
            rows.append(
                to(
                    "templatevm" if template else "vm",
                    vm,
                    container=href(request, vm["place"], parent["id"]),
                    containerName=parent["name"],
                    isVAppTemplate=template,
                    isDeleted=False,
                    guestOs=vm["os"],
                    numberOfCpus=vm["cpus"],
                    memoryMB=vm["memory_mb"],
                    status=STATUS.get(vm["status"], "UNKNOWN"),
                    networkName=nic["network"] if nic else None,
                    ipAddress=(nic["ip"] or (ips[0] if ips else None)) if nic else None,
                    isBusy=bool(cloud.running(vm["id"])),
                    isDeployed=vm["deployed"],
                    hardwareVersion=int(vm["hardware"][4:]),
                    isAutoNature=bool(parent.get("auto")),
                    storageProfileName=profile.get("name"),
                    ownerName=user,
                    dateCreated=vm["created"],
                    description=vm["description"],
                    vmToolsStatus="RUNNING" if vm["guest"].get("tools_running") else "NOT_RUNNING",
                    totalStorageAllocatedMb=sum(d["size_mb"] for d in vm["disks"]),
                    moref=f"vm-{vm['id'][:8]}",
                    vmNameInVc=f"{vm['name']}-{vm['id'][:4]}",
                    **vdc_bits(vdc_of(cloud, vm)),
                )
            )
        return "VMRecord", rows
    if kind in ("media", "adminMedia"):
        return "MediaRecord", [
            to(
                "media",
                m,
                catalog=href(request, "catalog", m["catalog"]),
                catalogName=cloud.table("catalog")[m["catalog"]]["name"],
                catalogItem=href(request, "catalogitem", m["item"]),
                isIso=True,
                isInCatalog=True,
                storageB=m["size"],
                ownerName=user,
                status="RESOLVED" if m["status"] == 1 else "UNRESOLVED",
                creationDate=m["created"],
                org=href(request, "org", org["id"]),
                **vdc_bits(m["vdc"]),
            )
            for m in cloud.table("media").values()
        ]
    if kind in ("disk", "adminDisk"):
        return "DiskRecord", [
            to(
                "disk",
                d,
                sizeMb=d["size_mb"],
                busType=d["bus_type"],
                busSubType=d["bus_subtype"],
                isAttached=bool(d["vm"]),
                status="RESOLVED",
                storageProfileName=cloud.table("storageprofile")[d["profile"]]["name"],
                ownerName=user,
                description=d["description"],
                **vdc_bits(d["vdc"]),
            )
            for d in cloud.table("disk").values()
        ]
    if kind in ("task", "adminTask"):
        return "TaskRecord", [
            {
                "href": href(request, "task", t["id"]),
                "id": urn("task", t["id"]),
                "name": t["operationName"],
                "operationFull": t["operation"],
                "startDate": t["start"],
                "endDate": t["end"] or None,
                "status": t["status"],
                "progress": t["progress"],
                "ownerName": user,
                "object": href(request, t["owner"]["kind"], t["owner"]["id"]),
                "objectName": t["owner"]["name"],
                "orgName": org["name"],
                "objectType": t["owner"]["kind"],
                "org": href(request, "org", org["id"]),
                "_row": t["id"],
            }
            for t in cloud.table("task").values()
        ]
    if kind == "edgeGateway":
        rows = []
        for edge in cloud.table("gateway").values():
            group = cloud.get("vdcGroup", edge["owner"]) if edge["owner_kind"] == "vdcGroup" else None
            vdc = group["vdcs"][0] if group else edge["owner"]
            rows.append(
                to(
                    "gateway",
                    edge,
                    gatewayStatus="READY",
                    isBusy=bool(cloud.running(edge["id"])),
                    orgName=org["name"],
                    numberOfOrgNetworks=len(cloud.find("network", edge=edge["id"])),
                    **vdc_bits(vdc),
                )
            )
        return "EdgeGatewayRecord", rows
    if kind == "orgVdcNetwork":
        rows = []
        for net in cloud.table("network").values():
            group = cloud.get("vdcGroup", net["owner"]) if net["owner_kind"] == "vdcGroup" else None
            subnet = net["subnets"][0]
            edge = cloud.get("gateway", net["edge"]) if net["edge"] else None
            rows.append(
                to(
                    "network",
                    net,
                    defaultGateway=subnet["gateway"],
                    subnetPrefixLength=subnet["prefixLength"],
                    linkType=1 if net["edge"] else 2,
                    connectedTo=edge["name"] if edge else None,
                    isBusy=False,
                    isShared=False,
                    dns1=subnet.get("dnsServer1"),
                    dns2=subnet.get("dnsServer2"),
                    description=net["description"],
                    usedIpCount=len(used_ips(cloud, net["id"])),
                    **vdc_bits(group["vdcs"][0] if group else net["owner"]),
                )
            )
        return "OrgVdcNetworkRecord", rows
    if kind in ("orgVdcStorageProfile", "adminOrgVdcStorageProfile"):
        return "OrgVdcStorageProfileRecord", [
            to(
                "storageprofile",
                p,
                isEnabled=p["enabled"],
                isDefaultStorageProfile=p["default"],
                storageLimitMB=p["limit_mb"],
                storageUsedMB=storage_used(cloud, p["id"]),
                iopsAllocated=0,
                iopsLimit=0,
                isVdcBusy=False,
                **vdc_bits(p["vdc"]),
            )
            for p in cloud.table("storageprofile").values()
        ]
    if kind == "vAppNetwork":
        return "VAppNetworkRecord", [
            {
                "href": href(request, "network", n["id"]),
                "id": urn("network", n["id"]),
                "name": n["name"],
                "vApp": href(request, "vapp", a["id"]),
                "vAppName": a["name"],
                "linkNetworkName": n["name"] if n["parent"] else None,
                "_row": n["id"],
            }
            for a in cloud.table("vapp").values()
            for n in a["networks"]
            if n.get("id")
        ]
    raise ApiError(400, f"The query type {kind} is unknown, or needs the system administrator.", "INVALID_QUERY")


def _filter_value(request: Request, record: Row, name: str) -> Any:
    if name.startswith("metadata"):
        key = name.rpartition(":")[2]
        entry = request.cloud.table("metadata").get(record["_row"], {}).get(key)
        if entry is None:
            return None
        kinds = {"MetadataStringValue": "STRING", "MetadataNumberValue": "NUMBER", "MetadataBooleanValue": "BOOLEAN"}
        return f"{kinds.get(entry['type'], 'DATETIME')}:{entry['value']}"
    if name == "id":
        return record.get("_row")
    if name == "status" and record.get("status") == "RESOLVED":
        return "RESOLVED"
    if name not in record:
        raise ApiError(400, f"The property {name} cannot be used in a filter of this type.", "INVALID_QUERY")
    return record[name]


@route("GET", "/api/query")
def query(request: Request) -> Answer:
    kind = request.query.get("type", "")
    tag, records = _records(request, kind)
    expression = request.query.get("filter", "")
    if expression:
        if request.query.get("filterEncoded") == "true":
            expression = urllib.parse.unquote(expression)
        expression = re.sub(r"(==|!=)(https?://[^;,()]*)", lambda m: m[1] + m[2], expression)
        records = [r for r in records if matches(expression, lambda name, r=r: _filter_value(request, r, name))]
    for name, down in (("sortAsc", False), ("sortDesc", True)):
        by = request.query.get(name)
        if by:
            records.sort(key=lambda r: str(r.get(by, "")), reverse=down)
    page, size = page_of(request)
    total = len(records)
    shown = records[(page - 1) * size : page * size]
    if page > 1 and not shown:
        raise ApiError(400, f"Page {page} does not exist.", "BAD_REQUEST")
    base = f"/api/query?type={kind}&page={{}}&pageSize={size}&format=records"
    if expression:
        base += f"&filter={urllib.parse.quote(expression)}"
    found = [("nextPage", base.format(page + 1), f"{VC}query.records+xml")] if page * size < total else []
    if page > 1:
        found.append(("previousPage", base.format(page - 1), f"{VC}query.records+xml"))
    wanted = [w.rpartition(":")[2] for w in request.query.get("fields", "").split(",") if w.startswith("metadata")]
    rows = []
    for record in shown:
        extra = ""
        if wanted:
            entries = request.cloud.table("metadata").get(record["_row"], {})
            extra = el("Metadata", *(entry_xml(request, "", k, entries[k]) for k in wanted if k in entries))
        rows.append(
            el(
                tag,
                extra,
                **{
                    k: v
                    for k, v in record.items()
                    if (not k.startswith("_") and k != "description") or (k == "description" and v)
                },
            )
        )
    root = el("QueryResultRecords", links(request.base, found), *rows, name=kind, page=page, pageSize=size, total=total,
              href=f"{request.base}{base.format(page)}", type_=f"{VC}query.records+xml")  # fmt: skip
    return xml_answer(request, root, "vcloud.query.records")


def page_of(request: Request) -> tuple[int, int]:
    try:
        page, size = int(request.query.get("page", 1)), int(request.query.get("pageSize", 25))
    except ValueError:
        raise ApiError(400, "page and pageSize are whole numbers.") from None
    if page < 1 or not 1 <= size <= 128:
        raise ApiError(
            400, f"page {page} or pageSize {size} is out of bounds: pages begin with 1 and have at most 128 rows."
        )
    return page, size


@route("GET", "/api/admin/vdc/{ident}/edgeGateways")
def vdc_edges(request: Request, ident: str) -> Answer:
    request.query.update(type="edgeGateway", filter="")
    return query(request)


# metadata

_ENTITIES = (
    "vApp/vapp-|vApp/vm-|vAppTemplate/vappTemplate-|catalogItem/|media/|disk/|vdc/|org/|network/|catalog/|vdcStorageProfile/"
    "|admin/catalog/|admin/vdc/|admin/network/|admin/org/|vAppTemplate/vm-"
)
_KINDS = {
    "vApp/vapp-": "vapp",
    "vApp/vm-": "vm",
    "vAppTemplate/vappTemplate-": "vapptemplate",
    "catalogItem/": "catalogitem",
    "vAppTemplate/vm-": "vm",
    "vdcStorageProfile/": "storageprofile",
}
_TYPES = ("MetadataStringValue", "MetadataNumberValue", "MetadataBooleanValue", "MetadataDateTimeValue")


def entry_xml(request: Request, base: str, key: str, entry: Row, tag: str = "MetadataEntry") -> str:
    """A metadata entry, or its value alone."""
    place = f"{base}/metadata/{urllib.parse.quote(key, safe='')}"
    return el(
        tag,
        links(request.base, [("up", f"{base}/metadata", f"{VC}metadata+xml")]) if base else "",
        tx("Domain", entry["domain"], visibility=entry["visibility"]),
        tx("Key", key) if tag == "MetadataEntry" else "",
        el("TypedValue", tx("Value", entry["value"]), xsi__type=entry["type"]),
        href=f"{request.base}{place}" if base else None,
        type_=f"{VC}metadata.value+xml",
    )


def _entity(request: Request, place: str, ident: str) -> tuple[Row, str]:
    kind = _KINDS.get(place, place.removeprefix("admin/").strip("/"))
    row = request.cloud.need(kind, ident, 403)
    return row, f"/api/{place}{row['id']}"


def _read_entry(node: Node, key: str) -> Row:
    typed = node.one("TypedValue")
    kind = (typed.attrs.get("type") or "").rpartition(":")[2] if typed else ""
    if typed is None or kind not in _TYPES:
        raise ApiError(400, f"Metadata {key}: TypedValue needs an xsi:type of {', '.join(_TYPES)}.")
    if not key or len(key) > 256 or "/" in key:
        raise ApiError(400, f"The metadata key {key!r} is empty, longer than 256, or has a /.")
    value = typed.value("Value") or ""
    if kind == "MetadataNumberValue":
        typed.number("Value")
    if kind == "MetadataBooleanValue":
        typed.flag("Value")
    if len(value) > 1024:
        raise ApiError(400, f"The value of {key} is longer than 1024 characters.")
    domain = node.one("Domain")
    if domain is not None and domain.text == "SYSTEM":
        raise ApiError(403, "Metadata of the domain SYSTEM is the provider's.")
    seen = (domain.attrs.get("visibility") if domain else None) or "READWRITE"
    return {"type": kind, "value": value, "domain": "GENERAL", "visibility": seen}


def _writable(request: Request, place: str, row: Row) -> None:
    request.right("metadata.edit")
    if row["kind"] in ("vdc", "org", "storageprofile", "network") or (
        row["kind"] == "catalog" and not place.startswith("admin/")
    ):
        raise ApiError(403, f"Metadata of {row['name']} cannot be written here.")
    if row["kind"] == "vm" and row.get("place") == "vapptemplate":
        raise ApiError(403, "A template's VM cannot be changed.")
    request.cloud.need_free(row)


def _after(request: Request, row: Row) -> Answer:
    request.cloud.touch()
    return task_answer(
        request,
        request.cloud.start(
            "metadataUpdate", f"Updating metadata for {row['name']}({row['id']})", row, user=request.user["id"]
        ),
    )


@route("GET", f"/api/{{place:{_ENTITIES}}}{{ident:[0-9a-f-]{{36}}}}/metadata")
def metadata(request: Request, place: str, ident: str) -> Answer:
    row, base = _entity(request, place, ident)
    entries = request.cloud.table("metadata").get(row["id"], {})
    rows = [entry_xml(request, base, k, e) for k, e in sorted(entries.items()) if e["visibility"] != "PRIVATE"]
    root = el("Metadata", *rows, href=f"{request.base}{base}/metadata", type_=f"{VC}metadata+xml")
    return xml_answer(request, root, "vcloud.metadata")


@route("POST", f"/api/{{place:{_ENTITIES}}}{{ident:[0-9a-f-]{{36}}}}/metadata")
def merge_metadata(request: Request, place: str, ident: str) -> Answer:
    row, _base = _entity(request, place, ident)
    _writable(request, place, row)
    given = request.xml("Metadata", kinds="vcloud.metadata+xml")
    entries = {e.value("Key") or "": _read_entry(e, e.value("Key") or "") for e in given.all("MetadataEntry")}
    request.cloud.table("metadata").setdefault(row["id"], {}).update(entries)
    return _after(request, row)


@route("GET", f"/api/{{place:{_ENTITIES}}}{{ident:[0-9a-f-]{{36}}}}/metadata/{{domain:(?:GENERAL/|SYSTEM/)?}}{{key}}")
def metadata_value(request: Request, place: str, ident: str, domain: str, key: str) -> Answer:
    row, base = _entity(request, place, ident)
    entry = request.cloud.table("metadata").get(row["id"], {}).get(key)
    if entry is None:
        raise ApiError(404, f"No metadata entry with the key {key}.")
    return xml_answer(request, entry_xml(request, base, key, entry, "MetadataValue"), "vcloud.metadata.value")


@route("PUT", f"/api/{{place:{_ENTITIES}}}{{ident:[0-9a-f-]{{36}}}}/metadata/{{domain:(?:GENERAL/|SYSTEM/)?}}{{key}}")
def set_metadata(request: Request, place: str, ident: str, domain: str, key: str) -> Answer:
    row, _base = _entity(request, place, ident)
    _writable(request, place, row)
    given = request.xml("MetadataValue", kinds="metadata.value+xml")
    request.cloud.table("metadata").setdefault(row["id"], {})[key] = _read_entry(given, key)
    return _after(request, row)


@route(
    "DELETE", f"/api/{{place:{_ENTITIES}}}{{ident:[0-9a-f-]{{36}}}}/metadata/{{domain:(?:GENERAL/|SYSTEM/)?}}{{key}}"
)
def drop_metadata(request: Request, place: str, ident: str, domain: str, key: str) -> Answer:
    row, _base = _entity(request, place, ident)
    _writable(request, place, row)
    if request.cloud.table("metadata").get(row["id"], {}).pop(key, None) is None:
        raise ApiError(404, f"No metadata entry with the key {key}.")
    return _after(request, row)
