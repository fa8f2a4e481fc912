# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Catalogs, vApp templates and media: the upload of an OVF with its files, their import, and their removal."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import Any

from . import ovf, vmdk
from .access import (
    ADMIN,
    VC,
    default_profile,
    head,
    need_storage,
    owner,
    path,
    ref,
    task_answer,
    tasks_xml,
)
from .core import RUNNING, ApiError, Cloud, Row, effect, new_id, now
from .web import Answer, Cut, Request, route, xml_answer
from .xmls import el, links, tx

UPLOAD = f"{VC}uploadVAppTemplateParams+xml"


def name_of(value: str | None) -> str:
    """A name that an entity may have."""
    if not value or len(value) > 128:
        raise ApiError(400, f"The name {value!r} is empty or longer than 128 characters.", "INVALID_NAME")
    return value


def need_new_name(cloud: Cloud, kind: str, name: str, what: str, **within: Any) -> None:
    """DUPLICATE_NAME when the name is taken."""
    if cloud.find(kind, name=name, **within):
        raise ApiError(400, f'The {what} name "{name}" already exists.', "DUPLICATE_NAME")


# catalogs


def catalog_xml(request: Request, row: Row, admin: bool) -> str:
    """A catalog."""
    cloud = request.cloud
    base = path("catalog", row["id"])
    found = [("up", path("org", row["org"]), f"{VC}org+xml"), ("down", f"{base}/metadata", f"{VC}metadata+xml")]
    if request.may("catalog.upload"):
        found += [
            ("add", f"{base}/action/upload", UPLOAD),
            ("add", f"{base}/action/upload", f"{VC}media+xml"),
            ("add", f"{base}/catalogItems", f"{VC}catalogItem+xml"),
            ("add", f"{base}/action/captureVApp", f"{VC}captureVAppParams+xml"),
        ]
    if request.may("catalog.create"):
        found += [
            ("edit", f"/api/admin/catalog/{row['id']}", f"{ADMIN}catalog+xml"),
            ("remove", f"/api/admin/catalog/{row['id']}", ""),
        ]
    items = [ref(request, "CatalogItem", "catalogitem", i) for i in cloud.find("catalogitem", catalog=row["id"])]
    attrs = head(request, "catalog", row)
    if admin:
        attrs |= {"href": f"{request.base}/api/admin/catalog/{row['id']}", "type_": f"{ADMIN}catalog+xml"}
    profile = (
        el(
            "CatalogStorageProfiles",
            ref(request, "VdcStorageProfile", "storageprofile", cloud.get("storageprofile", row["profile"])),
        )
        if row["profile"] and admin
        else ""
    )
    return el(
        "AdminCatalog" if admin else "Catalog",
        links(request.base, found),
        tx("Description", row["description"]),
        tasks_xml(request, row),
        owner(request, row),
        el("CatalogItems", *items),
        tx("IsPublished", False),
        tx("DateCreated", row["created"]),
        tx("VersionNumber", 1),
        profile,
        **attrs,
    )


@route("POST", "/api/admin/org/{ident}/catalogs")
def create_catalog(request: Request, ident: str) -> Answer:
    request.right("catalog.create")
    cloud = request.cloud
    given = request.xml("AdminCatalog", kinds="admin.catalog+xml")
    org = cloud.need("org", ident, 403)
    name = name_of(given.attrs.get("name"))
    need_new_name(cloud, "catalog", name, "catalog")
    profile = given.href("CatalogStorageProfiles", "VdcStorageProfile")
    row = cloud.put("catalog", {
        "name": name, "description": given.value("Description") or "", "org": org["id"], "created": now(),
        "owner_user": request.user["id"], "profile": cloud.need("storageprofile", profile)["id"] if profile else "",
    })  # fmt: skip
    task = cloud.start("catalogCreateCatalog", f"Creating Catalog {name}({row['id']})", row, user=request.user["id"])
    request.fresh.add(task["id"])
    return xml_answer(request, catalog_xml(request, row, True), "admin.catalog", 201)


@route("GET", "/api/{admin:(admin/)?}catalog/{ident}")
def get_catalog(request: Request, admin: str, ident: str) -> Answer:
    row = request.cloud.need("catalog", ident, 403)
    return xml_answer(request, catalog_xml(request, row, bool(admin)), "admin.catalog" if admin else "vcloud.catalog")


@route("PUT", "/api/admin/catalog/{ident}")
def edit_catalog(request: Request, ident: str) -> Answer:
    request.right("catalog.create")
    row = request.cloud.need("catalog", ident, 403)
    given = request.xml("AdminCatalog", kinds="admin.catalog+xml")
    request.cloud.need_free(row)
    row.update(name=name_of(given.attrs.get("name")), description=given.value("Description") or "")
    request.cloud.start("catalogUpdateCatalog", f"Updating Catalog {row['name']}", row)
    return xml_answer(request, catalog_xml(request, row, True), "admin.catalog")


@route("DELETE", "/api/{admin:(admin/)?}catalog/{ident}")
def delete_catalog(request: Request, admin: str, ident: str) -> Answer:
    request.right("catalog.create")
    cloud = request.cloud
    row = cloud.need("catalog", ident, 403)
    cloud.need_free(row)
    items = cloud.find("catalogitem", catalog=row["id"])
    if items and not (request.query.get("recursive") == "true" and request.query.get("force") == "true"):
        raise ApiError(400, f"The catalog {row['name']} is not empty.", "CATALOG_NOT_EMPTY")
    return task_answer(
        request,
        cloud.start("catalogDeleteCatalog", f"Deleting Catalog {row['name']}", row, "delete catalog", ident=row["id"]),
    )


@effect("delete catalog")
def _delete_catalog(cloud: Cloud, task: Row, ident: str) -> None:
    with cloud.lock:
        for item in cloud.find("catalogitem", catalog=ident):
            remove_item(cloud, item)
        cloud.drop("catalog", ident)


# upload


@route("POST", "/api/catalog/{ident}/action/upload")
def upload(request: Request, ident: str) -> Answer:
    request.right("catalog.upload")
    cloud = request.cloud
    catalog = cloud.need("catalog", ident, 403)
    cloud.need_free(catalog)
    given = request.xml("UploadVAppTemplateParams", "Media", kinds="uploadVAppTemplateParams+xml|media+xml")
    name = name_of(given.attrs.get("name"))
    need_new_name(cloud, "catalogitem", name, "catalog item", catalog=catalog["id"])
    if given.attrs.get("sourceHref"):
        raise ApiError(400, "The lab cannot fetch an OVF from elsewhere.")
    profile = given.href("VdcStorageProfile")
    chosen = cloud.need("storageprofile", profile or catalog["profile"] or _any_profile(cloud)["id"])
    item = {
        "id": new_id(),
        "name": name,
        "catalog": catalog["id"],
        "description": given.value("Description") or "",
        "created": now(),
    }
    common: Row = {
        "name": name,
        "description": item["description"],
        "catalog": catalog["id"],
        "item": item["id"],
        "created": now(),
        "vdc": chosen["vdc"],
        "profile": chosen["id"],
        "transfer": new_id(),
        "active": time.time(),
        "status": 0,
        "owner_user": request.user["id"],
    }
    if given.tag == "Media":
        size = given.attrs.get("size", "")
        if not size.isdigit() or given.attrs.get("imageType") != "iso":
            raise ApiError(400, 'A media needs imageType="iso" and its size.')
        need_storage(cloud, chosen["id"], -(-int(size) >> 20))
        row = cloud.put("media", {
            **common, "size": int(size), "files": [{"name": "file", "size": int(size), "transferred": 0}],
        })  # fmt: skip
        task = cloud.start(
            "vdcUploadMedia", f"Importing Media {name}", row, "import media", waits=True, ident=row["id"]
        )
    else:
        row = cloud.put("vapptemplate", {
            **common, "files": [{"name": "descriptor.ovf", "size": -1, "transferred": 0}], "descriptor": False,
            "ovf": None, "networks": [], "manifest": given.attrs.get("manifestRequired") == "true",
        })  # fmt: skip
        task = cloud.start(
            "vdcUploadOvfContents", f"Importing Virtual Application Template {name}({row['id']})", row,
            "import template", waits=True, ident=row["id"], user=request.user["id"],
        )  # fmt: skip
    row["task"] = task["id"]
    item |= {"entity_kind": row["kind"], "entity": row["id"]}
    cloud.put("catalogitem", item)
    (cloud.folder / "transfer" / row["transfer"]).mkdir()
    if given.tag == "Media":
        return xml_answer(request, media_xml(request, row), "vcloud.media", 201)
    return xml_answer(request, item_xml(request, item), "vcloud.catalogItem", 201)


def _any_profile(cloud: Cloud) -> Row:
    return default_profile(cloud, next(iter(cloud.table("vdc"))))


def item_xml(request: Request, item: Row) -> str:
    """A catalog item."""
    cloud = request.cloud
    entity = cloud.get(item["entity_kind"], item["entity"])
    return el(
        "CatalogItem",
        links(
            request.base,
            [
                ("up", path("catalog", item["catalog"]), f"{VC}catalog+xml"),
                ("down", f"{path('catalogitem', item['id'])}/metadata", f"{VC}metadata+xml"),
                ("remove", path("catalogitem", item["id"]), ""),
            ],
        ),
        tx("Description", item["description"]),
        tasks_xml(request, item),
        ref(request, "Entity", item["entity_kind"], entity),
        tx("DateCreated", item["created"]),
        tx("VersionNumber", 1),
        size=sum(max(0, f["size"]) for f in (entity or {}).get("files", [])),
        **head(request, "catalogitem", item),
    )


@route("GET", "/api/catalogItem/{ident}")
def get_item(request: Request, ident: str) -> Answer:
    return xml_answer(request, item_xml(request, request.cloud.need("catalogitem", ident, 403)), "vcloud.catalogItem")


@route("DELETE", "/api/catalogItem/{ident}")
def delete_item(request: Request, ident: str) -> Answer:
    request.right("catalog.upload")
    cloud = request.cloud
    item = cloud.need("catalogitem", ident, 403)
    entity = cloud.get(item["entity_kind"], item["entity"])
    if entity:
        cloud.need_free(entity)
    remove_item(cloud, item)
    return Answer(204)


def remove_item(cloud: Cloud, item: Row) -> None:
    """Remove a catalog item with what it leads to."""
    entity = cloud.get(item["entity_kind"], item["entity"])
    cloud.drop("catalogitem", item["id"])
    if entity:
        remove_entity(cloud, entity)


def remove_entity(cloud: Cloud, entity: Row) -> None:
    """Remove a template or media with its bytes."""
    for vm in cloud.find("vm", parent=entity["id"]):
        for disk in vm["disks"]:
            Path(cloud.folder / "disks" / disk["file"]).unlink(missing_ok=True)
        cloud.drop("vm", vm["id"])
    for transfer in (entity.get("transfer"), (entity.get("download") or {}).get("transfer")):
        if transfer:
            shutil.rmtree(cloud.folder / "transfer" / transfer, ignore_errors=True)
    cloud.drop(entity["kind"], entity["id"])


def files_xml(request: Request, row: Row) -> str:
    """The files that are awaited; those that are not complete have their link."""
    if row["status"] not in (0, 11, 12, 13) or not row["files"]:
        return ""
    found = []
    for file in row["files"]:
        address = f"{request.base}/transfer/{row['transfer']}/{file['name']}"
        open_ = file["transferred"] < file["size"] or file["size"] < 0
        link = el("Link", rel="upload:default", href=address) if open_ and request.may("catalog.upload") else ""
        found.append(
            el("File", link, name=file["name"], size=max(0, file["size"]), bytesTransferred=file["transferred"])
        )
    return el("Files", *found)


def template_xml(request: Request, row: Row) -> str:
    """A vApp template."""
    from .machines import network_configs_xml, vm_xml

    cloud = request.cloud
    base = path("vapptemplate", row["id"])
    busy = bool(cloud.running(row["id"]))
    found = [
        ("up", path("vdc", row["vdc"]), f"{VC}vdc+xml"),
        ("catalogItem", path("catalogitem", row["item"]), f"{VC}catalogItem+xml"),
        ("down", f"{base}/metadata", f"{VC}metadata+xml"),
        ("ovf", f"{base}/ovf", "text/xml"),
    ]
    if request.may("catalog.upload"):
        found.append(("remove", base, ""))
        if not busy and row["status"] == 8:
            found.append(("enable", f"{base}/action/enableDownload", ""))
    found += download_links(row)
    children = [vm_xml(request, v) for v in cloud.find("vm", parent=row["id"])]
    return el(
        "VAppTemplate",
        links(request.base, found),
        tx("Description", row["description"]),
        tasks_xml(request, row, also_failed=True),
        files_xml(request, row),
        owner(request, row),
        el("Children", *children) if row["status"] == 8 else "",
        tx("VAppScopedLocalId", row["name"]),
        tx("DefaultStorageProfile", cloud.table("storageprofile")[row["profile"]]["name"]),
        tx("DateCreated", row["created"]),
        network_configs_xml(request, "", row["networks"]),
        el("LeaseSettingsSection", tx("ovf:Info", "Lease settings section"), tx("StorageLeaseInSeconds", 0)),
        status=row["status"],
        ovfDescriptorUploaded=row["descriptor"],
        goldMaster=False,
        **head(request, "vapptemplate", row),
    )


def download_links(row: Row) -> list[tuple[str, str, str]]:
    """Links of what is enabled for download."""
    download = row.get("download")
    if not download:
        return []
    place = f"/transfer/{download['transfer']}/descriptor.ovf"
    return [
        ("download:default", place, "text/xml"),
        ("download:identity", place.replace("descriptor.ovf", "descriptor-with-id.ovf"), "text/xml"),
        ("disable", f"{path(row['kind'], row['id'])}/action/disableDownload", ""),
    ]


@route("GET", "/api/vAppTemplate/vappTemplate-{ident}")
def get_template(request: Request, ident: str) -> Answer:
    row = request.cloud.need("vapptemplate", ident, 403)
    expire(request.cloud, row)
    return xml_answer(request, template_xml(request, row), "vcloud.vAppTemplate")


@route("GET", "/api/vAppTemplate/vappTemplate-{ident}/ovf")
def template_ovf(request: Request, ident: str) -> Answer:
    row = request.cloud.need("vapptemplate", ident, 403)
    vms = request.cloud.find("vm", parent=row["id"])
    files = {d["id"]: {"name": f"{d['id']}.vmdk", "size": d["capacity"]} for v in vms for d in v["disks"]}
    return Answer(200, ovf.write(row["name"], vms, files), "text/xml")


@route("PUT", "/api/vAppTemplate/vappTemplate-{ident}")
def edit_template(request: Request, ident: str) -> Answer:
    request.right("catalog.upload")
    cloud = request.cloud
    row = cloud.need("vapptemplate", ident, 403)
    cloud.need_free(row)
    given = request.xml("VAppTemplate", kinds="vAppTemplate+xml")
    row.update(name=name_of(given.attrs.get("name")), description=given.value("Description") or "")
    cloud.table("catalogitem")[row["item"]]["name"] = row["name"]
    return task_answer(
        request, cloud.start("vappTemplateUpdate", f"Updating Virtual Application Template {row['name']}", row)
    )


@route("DELETE", "/api/vAppTemplate/vappTemplate-{ident}")
def delete_template(request: Request, ident: str) -> Answer:
    request.right("catalog.upload")
    cloud = request.cloud
    row = cloud.need("vapptemplate", ident, 403)
    cloud.need_free(row)
    task = cloud.start(
        "vdcDeleteTemplate",
        f"Deleting Virtual Application Template {row['name']}",
        row,
        "delete template",
        ident=row["id"],
    )
    return task_answer(request, task)


@effect("delete template")
def _delete_template(cloud: Cloud, task: Row, ident: str) -> None:
    with cloud.lock:
        row = cloud.get("vapptemplate", ident) or cloud.get("media", ident)
        if row:
            cloud.drop("catalogitem", row["item"])
            remove_entity(cloud, row)


def expire(cloud: Cloud, row: Row) -> None:
    """Give up on an upload that was idle for too long."""
    task = cloud.get("task", row.get("task", ""))
    idle = time.time() - row["active"]
    if task and task["status"] in RUNNING and not task["due"] and idle > float(cloud.options["transfer_idle_seconds"]):
        row["status"] = 17
        cloud.fail(task, ApiError(500, "The transfer timed out.", "TIMEDOUT"))


@route("PUT", "/transfer/{transfer}/{name}", "transfer")
def receive(request: Request, transfer: str, name: str) -> Answer:
    cloud = request.cloud
    with cloud.lock:
        row = next((r for k in ("vapptemplate", "media") for r in cloud.find(k, transfer=transfer)), None)
        file = next((f for f in row["files"] if f["name"] == name), None) if row else None
        task = cloud.get("task", row["task"]) if row else None
        if row is None or file is None or task is None or task["status"] not in RUNNING or task["due"]:
            raise ApiError(403, "", "EMPTY")
        if request.length is None:
            raise ApiError(411, "", "EMPTY")
        if file["name"] in row.get("receiving", []):
            raise ApiError(416, "", "EMPTY")
        if name == "descriptor.ovf":
            if request.length > ovf.MAX_DESCRIPTOR:
                raise ApiError(413, "", "EMPTY")
            return _descriptor(request, row, file, task)
        first, last, total = _range(request, file)
        if total != file["size"] or first != file["transferred"] or last >= total or last - first + 1 != request.length:
            raise ApiError(416, "", "EMPTY", {"Content-Range": f"bytes */{file['size']}"})
        row.setdefault("receiving", []).append(name)
    try:
        _store(request, row, file, cloud.folder / "transfer" / transfer / name, first)
    finally:
        with cloud.lock:
            row["receiving"].remove(name)
            row["active"] = time.time()
            cloud.touch()
    with cloud.lock:
        if all(f["transferred"] == f["size"] for f in row["files"]) and task["status"] in RUNNING and not task["due"]:
            row["status"] = 0
            cloud.ready(task)
    return Answer(200)


def _range(request: Request, file: Row) -> tuple[int, int, int]:
    said = request.headers.get("Content-Range")
    assert request.length is not None
    if said is None:
        return 0, request.length - 1, file["size"]
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", said)
    if not found:
        raise ApiError(416, "", "EMPTY")
    return int(found[1]), int(found[2]), int(found[3])


def _store(request: Request, row: Row, file: Row, target: Path, first: int) -> None:
    cloud = request.cloud
    cut = cloud.fault("cut_upload", request.path)
    bad = cloud.fault("corrupt_upload", request.path)
    rate = float((cloud.fault("rate", request.path, count=False) or {}).get("mib_s", 0))
    left = request.length or 0
    at = first
    with open(target, "r+b" if target.exists() else "wb") as out:
        out.seek(first)
        out.truncate()
        while left:
            part = min(left, 1 << 18)
            if cut:
                part = min(part, max(0, int(cut.get("after", 0)) - (at - first)))
                if not part:
                    raise Cut
            data = request.stream.read(part)
            if not data:
                raise Cut
            if bad and at <= int(bad.get("offset", 0)) < at + len(data):
                spot = int(bad.get("offset", 0)) - at
                data = data[:spot] + bytes([data[spot] ^ 1]) + data[spot + 1 :]
            out.write(data)
            out.flush()
            at += len(data)
            left -= len(data)
            request.read += len(data)
            file["transferred"] = at
            row["active"] = time.time()
            if rate:
                time.sleep(len(data) / rate / (1 << 20))


def _descriptor(request: Request, row: Row, file: Row, task: Row) -> Answer:
    cloud = request.cloud
    data = request.body
    file.update(size=len(data), transferred=len(data))
    (cloud.folder / "transfer" / row["transfer"] / "descriptor.ovf").write_bytes(data)
    row["active"] = time.time()
    try:
        found = ovf.parse(data)
        need_storage(cloud, row["profile"], sum(-(-d["capacity"] >> 20) for v in found["vms"] for d in v["disks"]))
    except ApiError as error:
        row["status"] = -1
        cloud.fail(task, error)
        return Answer(200)  # the reason is in the task
    row.update(ovf=found, descriptor=True, status=0)
    row["files"] += [{"name": f["name"], "size": f["size"], "transferred": 0} for f in found["files"]]
    if row["manifest"]:
        row["files"].append({"name": "manifest.mf", "size": -1, "transferred": 0})
    if not found["files"]:
        cloud.ready(task)
    cloud.touch()
    return Answer(200)


@effect("import template")
def _import_template(cloud: Cloud, task: Row, ident: str) -> None:
    from .machines import new_vm, vapp_network

    row = cloud.need("vapptemplate", ident)
    folder = cloud.folder / "transfer" / row["transfer"]
    made: list[Row] = []
    with cloud.lock:
        for vm in cloud.find("vm", parent=ident):
            cloud.drop("vm", vm["id"])
    for given in row["ovf"]["vms"]:
        disks = []
        for i, disk in enumerate(given["disks"]):
            name = f"{ident}-{len(made)}-{i}.raw"
            target = cloud.folder / "disks" / name
            if disk["file"] is None:
                with open(target, "wb") as out:
                    out.truncate(disk["capacity"])
            else:
                try:
                    vmdk.decode(folder / disk["file"], target, disk["capacity"])
                except vmdk.BadVmdk as error:
                    target.unlink(missing_ok=True)
                    raise ApiError(
                        400, f"The file {disk['file']} is no valid disk: {error}", "INVALID_DISK_FILE"
                    ) from None
            disks.append(
                {
                    "id": new_id(),
                    "number": 2000 + i,
                    "capacity": disk["capacity"],
                    "size_mb": -(-disk["capacity"] >> 20),
                    "adapter": disk["adapter"],
                    "bus": disk["bus"],
                    "unit": disk["unit"],
                    "profile": row["profile"],
                    "file": name,
                    "named": "",
                }
            )
        made.append(new_vm(given, disks, row))
    with cloud.lock:
        for vm in made:
            cloud.put("vm", vm)
        row["networks"] = [vapp_network(n) for n in row["ovf"]["networks"]]
        row.update(status=8, files=[])
        shutil.rmtree(folder, ignore_errors=True)


@effect("import template undo")
def _undo_import(cloud: Cloud, task: Row, ident: str) -> None:
    with cloud.lock:
        row = cloud.get("vapptemplate", ident)
        if row:
            row["status"] = -1


@effect("import media cancel")
@effect("import template cancel")
def _cancel_import(cloud: Cloud, task: Row, ident: str) -> None:
    """An upload that is cancelled disappears with its catalog item; one that failed stays and keeps its name."""
    with cloud.lock:
        row = cloud.get("vapptemplate", ident) or cloud.get("media", ident)
        if row:
            remove_item(cloud, cloud.table("catalogitem")[row["item"]])


@effect("import media")
def _import_media(cloud: Cloud, task: Row, ident: str) -> None:
    with cloud.lock:
        row = cloud.need("media", ident)
        source = cloud.folder / "transfer" / row["transfer"] / "file"
        source.replace(cloud.folder / "disks" / f"{ident}.iso")
        row.update(status=1, files=[])


def media_xml(request: Request, row: Row) -> str:
    """A media."""
    cloud = request.cloud
    entity = ref(request, "Entity", "media", row)
    base = path("media", row["id"])
    found = [("down", f"{base}/metadata", f"{VC}metadata+xml"), ("remove", base, "")]
    return el(
        "Media",
        links(request.base, found),
        tx("Description", row["description"]),
        tasks_xml(request, row, also_failed=True),
        files_xml(request, row),
        owner(request, row),
        entity,
        ref(request, "VdcStorageProfile", "storageprofile", cloud.get("storageprofile", row["profile"])),
        status=row["status"],
        imageType="iso",
        size=row["size"],
        **head(request, "media", row),
    )


@route("GET", "/api/media/{ident}")
def get_media(request: Request, ident: str) -> Answer:
    return xml_answer(request, media_xml(request, request.cloud.need("media", ident, 403)), "vcloud.media")


@route("DELETE", "/api/media/{ident}")
def delete_media(request: Request, ident: str) -> Answer:
    request.right("catalog.upload")
    row = request.cloud.need("media", ident, 403)
    request.cloud.need_free(row)
    task = request.cloud.start(
        "vdcDeleteMedia", f"Deleting Media {row['name']}", row, "delete template", ident=row["id"]
    )
    return task_answer(request, task)


# download of templates, vApps and VMs


@route("POST", "/api/{place:vAppTemplate/vappTemplate|vApp/vapp|vApp/vm}-{ident}/action/enableDownload")
def enable_download(request: Request, place: str, ident: str) -> Answer:
    request.right("vapp.download")
    cloud = request.cloud
    row = downloadable(cloud, place, ident)
    cloud.need_free(row)
    vms = download_vms(cloud, row)
    if any(v["status"] == 4 or v["deployed"] for v in vms) or row["status_of"] != 8:
        raise ApiError(400, f"{row['name']} must be powered off and undeployed to be downloaded.", "INVALID_STATE")
    row.pop("status_of")
    task = cloud.start(
        "vdcEnableDownload",
        f"Enabling download of {row['name']}({row['id']})",
        row,
        "enable download",
        locks=vms,
        kind=row["kind"],
        ident=row["id"],
    )
    return task_answer(request, task)


@route("POST", "/api/{place:vAppTemplate/vappTemplate|vApp/vapp|vApp/vm}-{ident}/action/disableDownload")
def disable_download(request: Request, place: str, ident: str) -> Answer:
    row = downloadable(request.cloud, place, ident)
    row.pop("status_of")
    download = row.pop("download", None)
    if download:
        shutil.rmtree(request.cloud.folder / "transfer" / download["transfer"], ignore_errors=True)
        request.cloud.touch()
    return Answer(204)


def downloadable(cloud: Cloud, place: str, ident: str) -> Row:
    """What is to be downloaded, with its status under ``status_of``."""
    row = cloud.need({"vappTemplate": "vapptemplate", "vapp": "vapp", "vm": "vm"}[place.rpartition("/")[2]], ident, 403)
    row["status_of"] = row.get("status", 8) if row["kind"] != "vapp" else 8
    return row


def download_vms(cloud: Cloud, row: Row) -> list[Row]:
    """The machines of it."""
    return [row] if row["kind"] == "vm" else cloud.find("vm", parent=row["id"])


@effect("enable download")
def _enable_download(cloud: Cloud, task: Row, kind: str, ident: str) -> None:
    row = cloud.need(kind, ident)
    vms = download_vms(cloud, row)
    transfer = new_id()
    folder = cloud.folder / "transfer" / transfer
    folder.mkdir()
    files: dict[str, Row] = {}
    for i, vm in enumerate(vms):
        for j, disk in enumerate(vm["disks"]):
            name = f"vm-{i}-disk-{j}.vmdk"
            size = vmdk.encode(cloud.folder / "disks" / disk["file"], folder / name)
            files[disk["id"]] = {"name": name, "size": size}
    with cloud.lock:
        old = row.get("download")
        for name in ("descriptor.ovf", "descriptor-with-id.ovf"):
            (folder / name).write_bytes(ovf.write(row["name"], vms, files))
        row["download"] = {"transfer": transfer, "at": time.time()}
        if old:
            shutil.rmtree(cloud.folder / "transfer" / old["transfer"], ignore_errors=True)


@route("GET HEAD", "/transfer/{transfer}/{name}", "transfer")
def send(request: Request, transfer: str, name: str) -> Answer:
    cloud = request.cloud
    with cloud.lock:
        known = any(
            (r.get("download") or {}).get("transfer") == transfer
            for k in ("vapp", "vm", "vapptemplate")
            for r in cloud.table(k).values()
        )
    source = cloud.folder / "transfer" / transfer / name
    if not known or not re.fullmatch(r"[\w.-]+", name) or not source.is_file():
        raise ApiError(403, "", "EMPTY")
    if name.endswith(".ovf"):
        return Answer(200, source.read_bytes(), "text/xml")
    return Answer(200, b"", "application/octet-stream", file=source)
