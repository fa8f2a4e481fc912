# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making, changing, starting and removing vApps and VMs."""

from __future__ import annotations

import time
from typing import Any

from . import ovf
from .access import VC, need_storage, path, task_answer, vdc_use
from .core import ApiError, Cloud, Row, bare, copy_file, effect, new_id, now
from .machines import (
    OFF,
    ON,
    SUSPENDED,
    apply_boot,
    apply_customization,
    apply_nics,
    apply_profile,
    apply_spec,
    computer_name,
    configs_of,
    customization_xml,
    lease_xml,
    network_configs_xml,
    new_mac,
    nics_xml,
    profile_for,
    snapshot_xml,
    startup_xml,
    vapp_network,
    vapp_xml,
    vdc_of,
    vm_xml,
)
from .templates import name_of, need_new_name, remove_item
from .web import Answer, Request, route, xml_answer
from .xmls import Node, el, tx


def _vapp(request: Request, given: Node, vdc: Row, auto: bool = False) -> Row:
    cloud = request.cloud
    name = name_of(given.attrs.get("name"))
    if not auto:
        need_new_name(cloud, "vapp", name, "vApp", vdc=vdc["id"])
    row: Row = {
        "id": new_id(), "kind": "vapp", "name": name, "description": given.value("Description") or "", "vdc": vdc["id"],
        "networks": configs_of(cloud, given.one("InstantiationParams", "NetworkConfigSection"), vdc["id"]), "status": 0,
        "lease": {"deployment": 7776000, "storage": 7776000}, "auto": auto, "created": now(), "deployed": False,
        "owner_user": request.user["id"],
    }  # fmt: skip
    lease = given.one("InstantiationParams", "LeaseSettingsSection")
    if lease is not None:
        _lease(row, lease)
    return row


def _lease(row: Row, section: Node) -> None:
    for name, tag in (("deployment", "DeploymentLeaseInSeconds"), ("storage", "StorageLeaseInSeconds")):
        value = section.number(tag)
        if value is not None:
            row["lease"][name] = value


def _flag(given: Node, name: str) -> bool:
    return given.attrs.get(name, "true") == "true"


def _from_template(request: Request, vapp: Row, source: Row, item: Node | None, vdc: str) -> tuple[Row, list[Row]]:
    """A VM made of a template's VM, as a SourcedItem says, and the copies of disks that it needs."""
    cloud = request.cloud
    named = item.one("Source") if item else None
    name = (item.value("VmGeneralParams", "Name") if item else None) or (named.attrs.get("name") if named else None)
    name = name or source["name"]
    profile = profile_for(cloud, vdc, item.href("StorageProfile") if item else "")
    vm: Row = {
        **source,
        "id": new_id(),
        "name": name_of(name),
        "parent": vapp["id"],
        "place": "vapp",
        "profile": profile,
        "description": (item.value("VmGeneralParams", "Description") if item else None) or source["description"],
        "created": now(),
        "bios_uuid": new_id(),
        "guest": {},
        "snapshot": None,
        "boot": dict(source["boot"]),
        "customization": {**source["customization"], "ComputerName": computer_name(name)},
        "owner_user": request.user["id"],
        "nics": [dict(n) for n in source["nics"]],
        "local_id": (item.value("VAppScopedLocalId") if item else None) or name,
    }
    vm["disks"] = [
        {**d, "id": new_id(), "file": f"{new_id()}.raw", "profile": profile, "named": ""} for d in source["disks"]
    ]
    copies = [{"from": a["file"], "to": b["file"]} for a, b in zip(source["disks"], vm["disks"], strict=True)]
    assigned = (
        {a.attrs.get("innerNetwork"): a.attrs.get("containerNetwork", "") for a in item.all("NetworkAssignment")}
        if item
        else {}
    )
    names = [n["name"] for n in vapp["networks"]]
    for nic in vm["nics"]:
        nic["network"] = assigned.get(nic["network"], nic["network"])
        if nic["network"] not in names:
            nic.update(network="none", mode="NONE", connected=False)
        if any(n["mac"] == nic["mac"] for v in cloud.table("vm").values() if v["place"] == "vapp" for n in v["nics"]):
            nic["mac"] = new_mac(cloud)
    if item:
        if item.value("VmGeneralParams", "NeedsCustomization") is not None:
            vm["needs_customization"] = item.flag("VmGeneralParams", "NeedsCustomization")
        params = item.one("InstantiationParams")
        if params:
            _sections(request, vm, params, vapp["networks"])
    return vm, copies


def _sections(request: Request, vm: Row, given: Node, networks: list[Row], new: bool = True) -> None:
    """Apply whatever sections are there."""
    cloud = request.cloud
    for child in given.children:
        if child.tag == "NetworkConnectionSection":
            apply_nics(cloud, vm, child, networks)
        elif child.tag == "GuestCustomizationSection":
            apply_customization(vm, child)
        elif child.tag == "VmSpecSection":
            apply_spec(request, vm, child, new)
        elif child.tag == "StorageProfile":
            apply_profile(cloud, vm, child)
        elif child.tag == "BootOptions":
            apply_boot(request, vm, child)


def _new_vm(request: Request, vapp: Row, item: Node, vdc: str) -> Row:
    """A VM without a template, as a CreateItem or CreateVm says."""
    name = name_of(item.attrs.get("name"))
    spec = item.one("VmSpecSection")
    if spec is None:
        raise ApiError(400, f"{name}: VmSpecSection is missing.")
    vm: Row = {
        "id": new_id(),
        "kind": "vm",
        "name": name,
        "description": item.value("Description") or "",
        "parent": vapp["id"],
        "place": "vapp",
        "status": OFF,
        "deployed": False,
        "os": "otherGuest64",
        "hardware": "vmx-13",
        "cpus": 1,
        "cores": 1,
        "memory_mb": 512,
        "firmware": "bios",
        "disks": [],
        "nics": [],
        "primary": 0,
        "boot": {},
        "local_id": name,
        "customization": {"Enabled": False, "ComputerName": computer_name(name)},
        "created": now(),
        "policy": "",
        "profile": profile_for(request.cloud, vdc, item.href("StorageProfile")),
        "media": "",
        "hot_cpu": False,
        "hot_memory": False,
        "bios_uuid": new_id(),
        "guest": {},
        "snapshot": None,
        "needs_customization": False,
        "owner_user": request.user["id"],
    }
    if not (spec.value("NumCpus") and spec.value("MemoryResourceMb", "Configured") and spec.value("HardwareVersion")):
        raise ApiError(400, f"{name}: a new VM needs CPUs, memory and a hardware version.")
    apply_spec(request, vm, spec, True)
    for child in item.children:
        if child.tag == "NetworkConnectionSection":
            apply_nics(request.cloud, vm, child, vapp["networks"])
        elif child.tag == "GuestCustomizationSection":
            apply_customization(vm, child)
        elif child.tag == "BootOptions":
            apply_boot(request, vm, child)
        elif child.tag == "Media" and child.attrs.get("href"):
            vm["media"] = request.cloud.need("media", child.attrs["href"])["id"]
    return vm


def _quotas(cloud: Cloud, vdc: Row, vms: list[Row], here: list[Row]) -> None:
    used, _mhz, _memory, nics = vdc_use(cloud, vdc["id"])
    if vdc["vm_quota"] and used + len(vms) > vdc["vm_quota"]:
        raise ApiError(400, f"The VM quota of {vdc['name']} ({vdc['vm_quota']}) would be exceeded.", "QUOTA_EXCEEDED")
    if vdc["nic_quota"] and nics + sum(len(v["nics"]) for v in vms) > vdc["nic_quota"]:
        raise ApiError(400, f"The NIC quota of {vdc['name']} ({vdc['nic_quota']}) would be exceeded.", "QUOTA_EXCEEDED")
    names = [v["name"] for v in here]
    need: dict[str, int] = {}
    for vm in vms:
        if vm["name"] in names:
            raise ApiError(400, f'The VM name "{vm["name"]}" already exists in the vApp.', "DUPLICATE_NAME")
        names.append(vm["name"])
        for disk in vm["disks"]:
            need[disk["profile"]] = need.get(disk["profile"], 0) + disk["size_mb"]
    for profile, size in need.items():
        need_storage(cloud, profile, size)


def _template(cloud: Cloud, reference: str) -> tuple[Row, list[Row]]:
    """The template of a reference, or of the VM in it that is referred to; and the VMs that are meant."""
    vm = cloud.get("vm", reference) if "/vm-" in reference else None
    if "/vm-" in reference and (vm is None or vm["place"] != "vapptemplate"):
        raise ApiError(400, f"There is no VM of a template at {reference}.", "INVALID_REFERENCE")
    row = cloud.need("vapptemplate", vm["parent"] if vm else reference, 400)
    if row["status"] != 8:
        raise ApiError(400, f"The template {row['name']} is not ready: status {row['status']}.", "INVALID_STATE")
    return row, [vm] if vm else cloud.find("vm", parent=row["id"])


def _power_after(given: Node) -> bool:
    return given.attrs.get("powerOn", "true") == "true"


@route("POST", "/api/vdc/{ident}/action/instantiateVAppTemplate")
def instantiate(request: Request, ident: str) -> Answer:
    request.right("vapp.create")
    cloud = request.cloud
    vdc = cloud.need("vdc", ident, 403)
    given = request.xml("InstantiateVAppTemplateParams", kinds="instantiateVAppTemplateParams+xml")
    template, sources = _template(cloud, given.href("Source"))
    vapp = _vapp(request, given, vdc)
    if given.one("InstantiationParams", "NetworkConfigSection") is None:
        vapp["networks"] = [vapp_network(n["name"], id=new_id()) for n in template["networks"]]
    items = {bare(i.href("Source")): i for i in given.all("SourcedItem")}
    unknown = set(items) - {s["id"] for s in sources}
    if unknown:
        raise ApiError(400, f"A SourcedItem is of no VM of the template: {unknown}.", "INVALID_REFERENCE")
    vms, copies = [], []
    for source in sources:
        vm, more = _from_template(request, vapp, source, items.get(source["id"]), vdc["id"])
        vms.append(vm)
        copies += more
    _quotas(cloud, vdc, vms, [])
    return _begin(
        request, vapp, vms, copies, "vdcInstantiateVapp", f"Creating Virtual Application {vapp['name']}({vapp['id']})",
        power=_power_after(given), deploy=_flag(given, "deploy"), template=template["id"],
        drop=bool(given.flag("IsSourceDelete")),
    )  # fmt: skip


@route("POST", "/api/vdc/{ident}/action/composeVApp")
def compose(request: Request, ident: str) -> Answer:
    request.right("vapp.create")
    cloud = request.cloud
    vdc = cloud.need("vdc", ident, 403)
    given = request.xml("ComposeVAppParams", kinds="composeVAppParams+xml")
    vapp = _vapp(request, given, vdc)
    vms, copies = _composed(request, vapp, given, vdc)
    return _begin(
        request, vapp, vms, copies, "vdcComposeVapp", f"Composing Virtual Application {vapp['name']}({vapp['id']})",
        power=_power_after(given), deploy=_flag(given, "deploy"),
    )  # fmt: skip


def _composed(request: Request, vapp: Row, given: Node, vdc: Row) -> tuple[list[Row], list[Row]]:
    cloud = request.cloud
    vms: list[Row] = []
    copies: list[Row] = []
    for item in given.all("SourcedItem"):
        _row, sources = _template(cloud, item.href("Source"))
        for source in sources:
            vm, more = _from_template(request, vapp, source, item, vdc["id"])
            vms.append(vm)
            copies += more
    for item in given.all("CreateItem"):
        vms.append(_new_vm(request, vapp, item, vdc["id"]))
    _quotas(cloud, vdc, vms, cloud.find("vm", parent=vapp["id"]))
    return vms, copies


def _begin(
    request: Request, vapp: Row, vms: list[Row], copies: list[Row], name: str, words: str, **args: Any
) -> Answer:
    cloud = request.cloud
    cloud.put("vapp", vapp)
    for vm in vms:
        cloud.put("vm", {**vm, "status": 0})
    task = cloud.start(
        name,
        words,
        vapp,
        "make vms",
        locks=vms,
        user=request.user["id"],
        vapp=vapp["id"],
        vms=[v["id"] for v in vms],
        copies=copies,
        **args,
    )
    request.fresh.add(task["id"])
    return xml_answer(request, vapp_xml(request, vapp), "vcloud.vApp", 201)


@effect("make vms")
def _make_vms(
    cloud: Cloud, task: Row, vapp: str, vms: list[str], copies: list[Row], power: bool = False, deploy: bool = False,
    template: str = "", drop: bool = False, remove: list[str] | None = None,
) -> None:  # fmt: skip
    for pair in copies:
        copy_file(cloud.folder / "disks" / pair["from"], cloud.folder / "disks" / pair["to"])
    with cloud.lock:
        row = cloud.need("vapp", vapp)
        row["status"] = OFF
        for ident in vms:
            cloud.need("vm", ident)["status"] = OFF
        for ident in remove or []:
            remove_vm(cloud, cloud.need("vm", ident))
        for ident in vms:
            if power or deploy:
                vm = cloud.need("vm", ident)
                vm["deployed"] = True
                if power:
                    _switch_on(cloud, vm)
        if drop and template:
            gone = cloud.get("vapptemplate", template)
            if gone:
                remove_item(cloud, cloud.table("catalogitem")[gone["item"]])


@effect("make vms undo")
def _unmake(cloud: Cloud, task: Row, vapp: str, vms: list[str], copies: list[Row], **dummy: Any) -> None:
    with cloud.lock:
        for ident in vms:
            vm = cloud.get("vm", ident)
            if vm:
                remove_vm(cloud, vm)
        row = cloud.get("vapp", vapp)
        if row and row["status"] == 0:
            row["status"] = -1


def remove_vm(cloud: Cloud, vm: Row) -> None:
    """Remove a VM with its disks; named disks stay."""
    for disk in vm["disks"]:
        if disk["named"]:
            cloud.table("disk")[disk["named"]]["vm"] = ""
        else:
            (cloud.folder / "disks" / disk["file"]).unlink(missing_ok=True)
    for file in (vm["snapshot"] or {}).get("files", []):
        (cloud.folder / "disks" / file["to"]).unlink(missing_ok=True)
    cloud.drop("vm", vm["id"])


@route("POST", "/api/vApp/vapp-{ident}/action/recomposeVApp")
def recompose(request: Request, ident: str) -> Answer:
    request.right("vapp.edit")
    cloud = request.cloud
    vapp = cloud.need("vapp", ident, 403)
    cloud.need_free(vapp)
    given = request.xml("RecomposeVAppParams", kinds="recomposeVAppParams+xml|composeVAppParams+xml")
    name = given.attrs.get("name")
    if name and name != vapp["name"]:
        need_new_name(cloud, "vapp", name, "vApp", vdc=vapp["vdc"])
        vapp["name"] = name_of(name)
    if given.value("Description") is not None:
        vapp["description"] = given.value("Description")
    section = given.one("InstantiationParams", "NetworkConfigSection")
    if section is not None:
        vapp["networks"] = configs_of(cloud, section, vapp["vdc"], vapp["networks"])
    vdc = cloud.table("vdc")[vapp["vdc"]]
    remove = []
    for item in given.all("DeleteItem"):
        vm = cloud.need("vm", item.attrs.get("href", ""), 400)
        if vm["deployed"] or vm["parent"] != vapp["id"]:
            raise ApiError(400, f"{vm['name']} is deployed, or not of this vApp.", "INVALID_STATE")
        cloud.need_free(vm)
        remove.append(vm)
    vms, copies = _composed(request, vapp, given, vdc)
    for vm in vms:
        cloud.put("vm", {**vm, "status": 0})
    power = bool(vms) and given.attrs.get("powerOn") == "true"
    task = cloud.start(
        "vdcRecomposeVapp",
        f"Recomposing Virtual Application {vapp['name']}({vapp['id']})",
        vapp,
        "make vms",
        locks=[*vms, *remove],
        user=request.user["id"],
        vapp=vapp["id"],
        vms=[v["id"] for v in vms],
        copies=copies,
        power=power,
        deploy=bool(vms) and given.attrs.get("deploy") == "true",
        remove=[v["id"] for v in remove],
    )
    return task_answer(request, task)


@route("POST", "/api/vdc/{ident}/action/{what:createVm|instantiateVmFromTemplate}")
def standalone(request: Request, ident: str, what: str) -> Answer:
    request.right("vapp.create")
    cloud = request.cloud
    vdc = cloud.need("vdc", ident, 403)
    roots = {"createVm": "CreateVmParams", "instantiateVmFromTemplate": "InstantiateVmTemplateParams"}
    given = request.xml(roots[what], kinds=f"{roots[what]}+xml")
    vapp = _vapp(request, given, vdc, auto=True)
    vapp["name"] = f"{vapp['name']}-{new_id()[:8]}"
    from .access import vdc_networks

    vapp["networks"] = [
        vapp_network(n["name"], id=new_id(), fence="bridged", parent=n["id"]) for n in vdc_networks(cloud, vdc["id"])
    ]
    if what == "createVm":
        item = given.one("CreateVm")
        if item is None:
            raise ApiError(400, "CreateVm is missing.")
        item.attrs.setdefault("name", given.attrs["name"])
        vm, copies = _new_vm(request, vapp, item, vdc["id"]), []
    else:
        source = given.one("SourcedVmTemplateItem")
        if source is None:
            raise ApiError(400, "SourcedVmTemplateItem is missing.")
        _row, sources = _template(cloud, source.href("Source"))
        vm, copies = _from_template(request, vapp, sources[0], None, vdc["id"])
        vm.update(name=given.attrs["name"], description=vapp["description"])
        apply_from = source.one("VmTemplateInstantiationParams")
        if source.href("StorageProfile"):
            vm["profile"] = profile_for(cloud, vdc["id"], source.href("StorageProfile"))
            for disk in vm["disks"]:
                disk["profile"] = vm["profile"]
        if apply_from:
            _sections(request, vm, apply_from, vapp["networks"])
    used = {n["network"] for n in vm["nics"]}
    vapp["networks"] = [n for n in vapp["networks"] if n["name"] in used]
    _quotas(cloud, vdc, [vm], [])
    cloud.put("vapp", vapp)
    cloud.put("vm", {**vm, "status": 0})
    task = cloud.start(
        "vdcCreateVm",
        f"Creating Virtual Machine {vm['name']}({vm['id']})",
        vapp,
        "make vms",
        locks=[vm],
        vapp=vapp["id"],
        vms=[vm["id"]],
        copies=copies,
        power=given.attrs.get("powerOn") == "true",
        user=request.user["id"],
    )
    return task_answer(request, task)


# vApps and VMs as they are


@route("GET", "/api/vApp/{kind:vapp|vm}-{ident}")
@route("GET", "/api/vAppTemplate/{kind:vm}-{ident}")
def show(request: Request, kind: str, ident: str) -> Answer:
    row = request.cloud.need(kind, ident, 403)
    if kind == "vapp":
        return xml_answer(request, vapp_xml(request, row), "vcloud.vApp")
    return xml_answer(request, vm_xml(request, row), "vcloud.vm")


@route(
    "GET",
    "/api/vApp/{kind:vapp|vm}-{ident}/{part:[a-z][A-Za-z]*(?:Section|Sections|Capabilities|status)}{sub:(?:/[a-zA-Z]+)?}",
)
def show_part(request: Request, kind: str, ident: str, part: str, sub: str) -> Answer:
    cloud = request.cloud
    row = cloud.need(kind, ident, 403)
    base = path(kind, row["id"])
    if kind == "vapp":
        made = {
            "networkConfigSection": lambda: network_configs_xml(request, base, row["networks"]),
            "leaseSettingsSection": lambda: lease_xml(request, row, base),
            "startupSection": lambda: startup_xml(row, cloud.find("vm", parent=row["id"])),
            "productSections": lambda: el("ProductSectionList"),
        }
    else:
        made = {
            "networkConnectionSection": lambda: nics_xml(request, row, base),
            "guestCustomizationSection": lambda: customization_xml(request, row, base),
            "virtualHardwareSection": lambda: _hardware(request, row, base, sub.strip("/")),
            "snapshotSection": lambda: snapshot_xml(row),
            "productSections": lambda: el("ProductSectionList"),
            "vmCapabilities": lambda: el(
                "VmCapabilities", tx("MemoryHotAddEnabled", row["hot_memory"]), tx("CpuHotAddEnabled", row["hot_cpu"])
            ),
            "guestcustomizationstatus": lambda: el(
                "GuestCustomizationStatusSection",
                tx("GuestCustStatus", "GC_PENDING" if row["needs_customization"] else "GC_COMPLETE"),
            ),
        }
    if part not in made:
        raise ApiError(404, f"{row['name']} has no {part}.")
    return xml_answer(request, made[part](), f"vcloud.{part}")


def _hardware(request: Request, vm: Row, base: str, sub: str) -> str:
    attributes = {
        "href": f"{request.base}{base}/virtualHardwareSection/",
        "vcloud__type": f"{VC}virtualHardwareSection+xml",
    }
    if sub in ("disks", "networkCards", "media", "serialPorts"):
        kinds = {"disks": ("17", "6", "5", "20"), "networkCards": ("10",)}.get(sub, ())
        whole = ovf.hardware(vm, **attributes).split("<ovf:Item>")[1:]
        items = [f"<ovf:Item>{i.partition('</ovf:Item>')[0]}</ovf:Item>" for i in whole]
        items = [i for i in items if any(f"<rasd:ResourceType>{k}<" in i for k in kinds)]
        return el("RasdItemsList", *(i.replace("ovf:Item>", "Item>") for i in items))
    if sub in ("cpu", "memory"):
        whole = ovf.hardware(vm, **attributes).split("<ovf:Item>")[1 if sub == "cpu" else 2]
        return f"<Item>{whole.partition('</ovf:Item>')[0]}</Item>"
    return ovf.hardware(vm, **attributes)


def _change(request: Request, row: Row, name: str, words: str, *locks: Row, **args: Any) -> Answer:
    return task_answer(
        request,
        request.cloud.start(
            name, f"{words} {row['name']}({row['id']})", row, locks=locks, user=request.user["id"], **args
        ),
    )


def _vm(request: Request, ident: str, right: str = "vm.edit") -> Row:
    request.right(right)
    vm = request.cloud.need("vm", ident, 403)
    if vm["place"] != "vapp":
        raise ApiError(403, "A template's VM cannot be changed.")
    request.cloud.need_free(vm)
    return vm


@route("POST", "/api/vApp/vm-{ident}/action/reconfigureVm")
def reconfigure(request: Request, ident: str) -> Answer:
    vm = _vm(request, ident)
    cloud = request.cloud
    given = request.xml("Vm", kinds="vcloud.vm+xml")
    name = given.attrs.get("name")
    draft: Row = {**vm, "boot": dict(vm["boot"]), "nics": [dict(n) for n in vm["nics"]]}
    if name and name != vm["name"]:
        need_new_name(cloud, "vm", name_of(name), "VM", parent=vm["parent"])
        draft["name"] = name
    if given.value("Description") is not None:
        draft["description"] = given.value("Description")
    networks = cloud.table("vapp")[vm["parent"]]["networks"]
    _sections(request, draft, given, networks, new=False)
    return _apply(request, vm, draft, "vappUpdateVm", "Updating Virtual Machine")


def _apply(request: Request, vm: Row, draft: Row, name: str, words: str) -> Answer:
    """Change a VM when the task is done."""
    changed = {k: v for k, v in draft.items() if v != vm.get(k)}
    return _change(request, vm, name, words, do="change vm", ident=vm["id"], changed=changed)


@effect("change vm")
def _change_vm(cloud: Cloud, task: Row, ident: str, changed: Row) -> None:
    with cloud.lock:
        cloud.need("vm", ident).update(changed)


@route("PUT", "/api/vApp/vm-{ident}")
def edit_vm(request: Request, ident: str) -> Answer:
    return reconfigure(request, ident)


@route("PUT", "/api/vApp/vapp-{ident}")
def edit_vapp(request: Request, ident: str) -> Answer:
    request.right("vapp.edit")
    cloud = request.cloud
    row = cloud.need("vapp", ident, 403)
    cloud.need_free(row)
    given = request.xml("VApp", kinds="vcloud.vApp+xml")
    name = name_of(given.attrs.get("name"))
    if name != row["name"]:
        need_new_name(cloud, "vapp", name, "vApp", vdc=row["vdc"])
    row.update(name=name, description=given.value("Description") or "")
    return _change(request, row, "vdcUpdateVapp", "Updating Virtual Application")


@route("PUT", "/api/vApp/vm-{ident}/networkConnectionSection")
def edit_nics(request: Request, ident: str) -> Answer:
    vm = _vm(request, ident)
    given = request.xml("NetworkConnectionSection", kinds="networkConnectionSection+xml")
    draft = {**vm}
    apply_nics(request.cloud, draft, given, request.cloud.table("vapp")[vm["parent"]]["networks"])
    return _apply(request, vm, draft, "vappUpdateVm", "Updating Virtual Machine")


@route("PUT", "/api/vApp/vm-{ident}/guestCustomizationSection")
def edit_customization(request: Request, ident: str) -> Answer:
    vm = _vm(request, ident)
    draft = {**vm}
    apply_customization(draft, request.xml("GuestCustomizationSection", kinds="guestCustomizationSection+xml"))
    return _apply(request, vm, draft, "vappUpdateVm", "Updating Virtual Machine")


@route("PUT", "/api/vApp/vm-{ident}/virtualHardwareSection/{sub:cpu|memory}")
def edit_hardware(request: Request, ident: str, sub: str) -> Answer:
    from .xmls import parse

    vm = _vm(request, ident)
    node = Node(parse(request.body))
    count = node.number("VirtualQuantity")
    if not count:
        raise ApiError(400, "VirtualQuantity is missing.")
    if vm["status"] == ON:
        raise ApiError(400, f"{vm['name']} runs.", "INVALID_STATE")
    draft = {**vm, ("cpus" if sub == "cpu" else "memory_mb"): count}
    return _apply(request, vm, draft, "vappUpdateVm", "Updating Virtual Machine")


@route("PUT POST", "/api/vApp/vm-{ident}/vmCapabilities")
def edit_capabilities(request: Request, ident: str) -> Answer:
    vm = _vm(request, ident)
    given = request.xml("VmCapabilities")
    if vm["deployed"]:
        raise ApiError(400, f"{vm['name']} is deployed.", "INVALID_STATE")
    draft = {
        **vm,
        "hot_memory": bool(given.flag("MemoryHotAddEnabled")),
        "hot_cpu": bool(given.flag("CpuHotAddEnabled")),
    }
    return _apply(request, vm, draft, "vappUpdateVm", "Updating Virtual Machine")


@route("PUT", "/api/vApp/vapp-{ident}/{part:networkConfigSection|leaseSettingsSection|startupSection}")
def edit_vapp_part(request: Request, ident: str, part: str) -> Answer:
    request.right("vapp.edit")
    cloud = request.cloud
    row = cloud.need("vapp", ident, 403)
    cloud.need_free(row)
    given = request.xml(part[0].upper() + part[1:], kinds=f"{part}+xml")
    if part == "networkConfigSection":
        networks = configs_of(cloud, given, row["vdc"], row["networks"])
        gone = {n["name"] for n in row["networks"]} - {n["name"] for n in networks}
        used = {n["network"] for v in cloud.find("vm", parent=row["id"]) for n in v["nics"]}
        if gone & used:
            raise ApiError(400, f"Networks are in use by VMs: {', '.join(sorted(gone & used))}.", "NETWORK_IN_USE")
        return _change(request, row, "vdcUpdateVappNetworks", "Updating Virtual Application", do="change vapp",
                       ident=row["id"], changed={"networks": networks})  # fmt: skip
    if part == "leaseSettingsSection":
        _lease(row, given)
    else:
        row["startup"] = {
            i.attrs.get("id", ""): {k: v for k, v in i.attrs.items() if k != "id"}
            for i in given.children
            if i.tag == "Item"
        }
    return _change(request, row, "vdcUpdateVapp", "Updating Virtual Application")


@effect("change vapp")
def _change_vapp(cloud: Cloud, task: Row, ident: str, changed: Row) -> None:
    with cloud.lock:
        cloud.need("vapp", ident).update(changed)


@route("GET", "/api/{admin:(admin/)?}network/{ident}")
def legacy_network(request: Request, admin: str, ident: str) -> Answer:
    """A network of the organisation as the legacy API shows it."""
    from .access import head, ref
    from .xmls import links

    row = request.cloud.need("network", ident, 403)
    scopes = vapp_network(row["name"], parent=row["id"], fence="natRouted" if row["edge"] else "isolated")
    section = network_configs_xml(request, "", [scopes])
    inner = section.partition("<Configuration>")[2].partition("</Configuration>")[0]
    base = path("network", row["id"])
    body = el(
        "OrgVdcNetwork",
        links(request.base, [("down", f"{base}/metadata", f"{VC}metadata+xml")]),
        tx("Description", row["description"]),
        el("Configuration", inner),
        ref(request, "EdgeGateway", "gateway", request.cloud.get("gateway", row["edge"]) if row["edge"] else None),
        tx("IsShared", row["owner_kind"] == "vdcGroup"),
        status=1,
        **head(request, "network", row),
    )
    return xml_answer(request, body, "vcloud.orgVdcNetwork")


@route("DELETE", "/api/network/{ident}")
def remove_vapp_network(request: Request, ident: str) -> Answer:
    request.right("vapp.edit")
    cloud = request.cloud
    row = next((a for a in cloud.table("vapp").values() if any(n.get("id") == ident for n in a["networks"])), None)
    if row is None:
        raise ApiError(403, "No access to that network.")
    cloud.need_free(row)
    network = next(n for n in row["networks"] if n.get("id") == ident)
    if any(n["network"] == network["name"] for v in cloud.find("vm", parent=row["id"]) for n in v["nics"]):
        raise ApiError(400, f"The network {network['name']} is in use.", "NETWORK_IN_USE")
    networks = [n for n in row["networks"] if n is not network]
    return _change(
        request,
        row,
        "vdcDeleteVappNetwork",
        "Updating Virtual Application",
        do="change vapp",
        ident=row["id"],
        changed={"networks": networks},
    )


# power


def _switch_on(cloud: Cloud, vm: Row) -> None:
    vdc = cloud.table("vdc")[vdc_of(cloud, vm)]
    _count, mhz, memory, _nics = vdc_use(cloud, vdc["id"])
    if vdc["cpu_mhz"] and mhz + vm["cpus"] * vdc["vcpu_mhz"] > vdc["cpu_mhz"]:
        raise ApiError(
            400,
            f"{vm['name']}: the CPU limit of {vdc['name']} does not allow {vm['cpus']} more CPUs.",
            "INSUFFICIENT_CPU",
        )
    if vdc["memory_mb"] and memory + vm["memory_mb"] > vdc["memory_mb"]:
        raise ApiError(
            400,
            f"{vm['name']}: the memory limit of {vdc['name']} does not allow {vm['memory_mb']} MB more.",
            "INSUFFICIENT_MEMORY",
        )
    vm.update(status=ON, deployed=True)
    if vm["customization"].get("Enabled"):
        vm["needs_customization"] = False


def _targets(cloud: Cloud, row: Row) -> list[Row]:
    return [row] if row["kind"] == "vm" else cloud.find("vm", parent=row["id"])


@route("POST", "/api/vApp/{kind:vapp|vm}-{ident}/power/action/{what:powerOn|powerOff|shutdown|reboot|reset|suspend}")
def power(request: Request, kind: str, ident: str, what: str) -> Answer:
    request.right("vm.power")
    cloud = request.cloud
    row = cloud.need(kind, ident, 403)
    vms = _targets(cloud, row)
    cloud.need_free(row, *(v for v in vms if v is not row))
    on = [v for v in vms if v["status"] == ON]
    if what == "powerOn" and len(on) == len(vms) and vms:
        raise ApiError(400, f"{row['name']} is already powered on.", "INVALID_STATE")
    if what != "powerOn" and not on:
        raise ApiError(400, f"{row['name']} is not running.", "INVALID_STATE")
    if what in ("shutdown", "reboot") and not all(v["guest"].get("tools_running") for v in on):
        raise ApiError(400, f"VMware Tools do not run in {row['name']}.", "VMWARE_TOOLS_NOT_RUNNING")
    if what == "powerOn" and any(v.get("download") for v in [*vms, row]):
        raise ApiError(400, f"{row['name']} is enabled for download.", "INVALID_STATE")
    return _change(request, row, f"vapp{what[0].upper()}{what[1:]}", f"{what} of", *vms, do="power", what=what,
                   vms=[v["id"] for v in vms], vapp=row["id"] if kind == "vapp" else "")  # fmt: skip


@effect("power")
def _power(cloud: Cloud, task: Row, what: str, vms: list[str], vapp: str = "") -> None:
    with cloud.lock:
        for ident in vms:
            vm = cloud.need("vm", ident)
            if what == "powerOn":
                if vm["status"] != ON:
                    _switch_on(cloud, vm)
            elif vm["status"] == ON and what in ("powerOff", "shutdown"):
                vm.update(status=OFF, guest={})
            elif vm["status"] == ON and what == "suspend":
                vm["status"] = SUSPENDED
            elif what in ("undeploy", "suspend undeploy"):
                vm.update(status=OFF, deployed=False, guest={})
            elif what == "deploy":
                vm["deployed"] = True
        if vapp:
            cloud.need("vapp", vapp)["deployed"] = what not in ("undeploy",)


@route("POST", "/api/vApp/{kind:vapp|vm}-{ident}/action/{what:undeploy|deploy|discardSuspendedState}")
def deployment(request: Request, kind: str, ident: str, what: str) -> Answer:
    request.right("vm.power")
    cloud = request.cloud
    row = cloud.need(kind, ident, 403)
    vms = _targets(cloud, row)
    cloud.need_free(row, *(v for v in vms if v is not row))
    if what == "undeploy":
        given = request.xml("UndeployVAppParams", kinds="undeployVAppParams+xml")
        how = given.value("UndeployPowerAction") or "default"
        if how not in ("powerOff", "shutdown", "suspend", "force", "default"):
            raise ApiError(400, f"UndeployPowerAction {how!r} is unknown.")
        deployed = any(v["deployed"] for v in vms) or row.get("deployed")
        if not deployed:
            raise ApiError(400, f"{row['name']} is not deployed.", "INVALID_STATE")
    elif what == "deploy":
        given = request.xml("DeployVAppParams", kinds="deployVAppParams+xml")
        if given.attrs.get("forceCustomization") == "true" and any(v["deployed"] for v in vms):
            raise ApiError(400, f"{row['name']} is deployed: customisation cannot be forced.", "INVALID_STATE")
        what = "powerOn" if given.attrs.get("powerOn") == "true" else "deploy"
    return _change(
        request,
        row,
        f"vappUndeploy{'PowerOff' if what == 'undeploy' else ''}" if what == "undeploy" else "vappDeploy",
        "Stopping" if what == "undeploy" else "Starting",
        *vms,
        do="power",
        what=what,
        vms=[v["id"] for v in vms],
        vapp=row["id"] if kind == "vapp" else "",
    )


@route("DELETE", "/api/vApp/{kind:vapp|vm}-{ident}")
def delete(request: Request, kind: str, ident: str) -> Answer:
    request.right(f"{kind}.delete")
    cloud = request.cloud
    row = cloud.need(kind, ident, 403)
    vms = _targets(cloud, row)
    cloud.need_free(row, *(v for v in vms if v is not row))
    force = request.query.get("force") == "true"
    if not force and any(v["deployed"] or v["status"] == ON for v in vms):
        raise ApiError(
            400,
            f"The requested operation on {row['name']} cannot be done while it is deployed: undeploy it first.",
            "INVALID_STATE",
        )
    return _change(
        request,
        row,
        "vdcDeleteVapp" if kind == "vapp" else "vappDeleteVm",
        "Deleting",
        *vms,
        do="delete vms",
        vms=[v["id"] for v in vms],
        vapp=row["id"] if kind == "vapp" else "",
        parent=row.get("parent", ""),
    )


@effect("delete vms")
def _delete_vms(cloud: Cloud, task: Row, vms: list[str], vapp: str = "", parent: str = "") -> None:
    with cloud.lock:
        for ident in vms:
            vm = cloud.get("vm", ident)
            if vm:
                remove_vm(cloud, vm)
        above = cloud.get("vapp", parent) if parent else None
        if above and above["auto"]:
            vapp = above["id"]
        if vapp:
            cloud.drop("vapp", vapp)


# snapshots, hardware, media


@route("POST", "/api/vApp/vm-{ident}/action/{what:createSnapshot|revertToCurrentSnapshot|removeAllSnapshots}")
def snapshot(request: Request, ident: str, what: str) -> Answer:
    vm = _vm(request, ident)
    if what == "createSnapshot":
        request.xml("CreateSnapshotParams", kinds="createSnapshotParams+xml")
    elif not vm["snapshot"] and what == "revertToCurrentSnapshot":
        raise ApiError(400, f"{vm['name']} has no snapshot.", "INVALID_STATE")
    return _change(
        request, vm, f"vapp{what[0].upper()}{what[1:]}", "Snapshot of", do="snapshot", what=what, ident=vm["id"]
    )


@effect("snapshot")
def _snapshot(cloud: Cloud, task: Row, what: str, ident: str) -> None:
    vm = cloud.need("vm", ident)
    folder = cloud.folder / "disks"
    old = vm["snapshot"]
    new = None
    if what == "createSnapshot":
        files = [{"disk": d["file"], "to": f"{new_id()}.raw"} for d in vm["disks"]]
        for file in files:
            copy_file(folder / file["disk"], folder / file["to"])
        new = {
            "created": now(),
            "on": vm["status"] == ON,
            "files": files,
            "size": sum(d["capacity"] for d in vm["disks"]),
        }
    if what == "revertToCurrentSnapshot":
        for file in old["files"]:
            copy_file(folder / file["to"], folder / file["disk"])
        with cloud.lock:
            vm.update(status=OFF, guest={}, deployed=False)
        return
    with cloud.lock:
        vm["snapshot"] = new
    for file in (old or {}).get("files", []):
        (folder / file["to"]).unlink(missing_ok=True)


@route("POST", "/api/vApp/vm-{ident}/action/{what:upgradeHardwareVersion|consolidate|checkComplianceWithPolicy}")
def upgrade(request: Request, ident: str, what: str) -> Answer:
    from .seed import HARDWARE

    vm = _vm(request, ident)
    if what == "upgradeHardwareVersion":
        if vm["status"] == ON:
            raise ApiError(400, f"{vm['name']} runs.", "INVALID_STATE")
        return _apply(request, vm, {**vm, "hardware": HARDWARE[-1]}, "vappUpgradeHwVersion", "Upgrading")
    return _change(request, vm, "vappConsolidateVm", "Consolidating")


@route("POST", "/api/vApp/vm-{ident}/media/action/{what:insertMedia|ejectMedia}")
def media(request: Request, ident: str, what: str) -> Answer:
    vm = _vm(request, ident)
    given = request.xml("MediaInsertOrEjectParams", kinds="mediaInsertOrEjectParams+xml")
    row = request.cloud.need("media", given.href("Media"), 400)
    return _apply(
        request,
        vm,
        {**vm, "media": row["id"] if what == "insertMedia" else ""},
        f"vapp{what[0].upper()}{what[1:]}",
        "Media of",
    )


@route("GET", "/api/vApp/vm-{ident}/question")
def question(request: Request, ident: str) -> Answer:
    request.cloud.need("vm", ident, 403)
    return Answer(204)


# named disks


def disk_xml(request: Request, row: Row) -> str:
    """A named disk."""
    from .access import head, owner, ref, tasks_xml
    from .xmls import links

    cloud = request.cloud
    base = path("disk", row["id"])
    found = [("down", f"{base}/metadata", f"{VC}metadata+xml"), ("down", f"{base}/attachedVms", f"{VC}vms+xml"),
             ("up", path("vdc", row["vdc"]), f"{VC}vdc+xml")]  # fmt: skip
    if not cloud.running(row["id"]) and request.may("disk.edit"):
        found.append(("edit", base, f"{VC}disk+xml"))
        if not row["vm"]:
            found.append(("remove", base, ""))
    return el(
        "Disk",
        links(request.base, found),
        tx("Description", row["description"]),
        tasks_xml(request, row),
        ref(request, "StorageProfile", "storageprofile", cloud.get("storageprofile", row["profile"])),
        owner(request, row),
        status=1,
        sizeMb=row["size_mb"],
        busType=row["bus_type"],
        busSubType=row["bus_subtype"],
        sharingType="None",
        iops=0,
        **head(request, "disk", row),
    )


@route("POST", "/api/vdc/{ident}/disk")
def create_disk(request: Request, ident: str) -> Answer:
    request.right("disk.create")
    cloud = request.cloud
    vdc = cloud.need("vdc", ident, 403)
    given = request.xml("DiskCreateParams", kinds="diskCreateParams+xml").one("Disk")
    if given is None or not (given.attrs.get("sizeMb") or "").isdigit():
        raise ApiError(400, "A disk needs sizeMb.")
    size = int(given.attrs["sizeMb"])
    profile = profile_for(cloud, vdc["id"], given.href("StorageProfile"))
    need_storage(cloud, profile, size)
    row = cloud.put(
        "disk",
        {
            "name": name_of(given.attrs.get("name")),
            "description": given.value("Description") or "",
            "vdc": vdc["id"],
            "size_mb": size,
            "bus_type": given.attrs.get("busType", "6"),
            "bus_subtype": given.attrs.get("busSubType", "lsilogicsas"),
            "profile": profile,
            "vm": "",
            "file": f"{new_id()}.raw",
            "owner_user": request.user["id"],
            "created": now(),
        },
    )
    with open(cloud.folder / "disks" / row["file"], "wb") as out:
        out.truncate(size << 20)
    task = cloud.start("vdcCreateDisk", f"Creating Disk {row['name']}({row['id']})", row, user=request.user["id"])
    request.fresh.add(task["id"])
    return xml_answer(request, disk_xml(request, row), "vcloud.disk", 201)


@route("GET", "/api/disk/{ident}")
def get_disk(request: Request, ident: str) -> Answer:
    return xml_answer(request, disk_xml(request, request.cloud.need("disk", ident, 403)), "vcloud.disk")


@route("PUT", "/api/disk/{ident}")
def edit_disk(request: Request, ident: str) -> Answer:
    request.right("disk.edit")
    cloud = request.cloud
    row = cloud.need("disk", ident, 403)
    cloud.need_free(row)
    given = request.xml("Disk", kinds="vcloud.disk+xml")
    size = int(given.attrs.get("sizeMb") or row["size_mb"])
    if size < row["size_mb"]:
        raise ApiError(400, "A disk cannot shrink.")
    row.update(name=name_of(given.attrs.get("name")), description=given.value("Description") or "", size_mb=size)
    with open(cloud.folder / "disks" / row["file"], "r+b") as out:
        out.truncate(size << 20)
    return _change(request, row, "vdcUpdateDisk", "Updating Disk")


@route("DELETE", "/api/disk/{ident}")
def delete_disk(request: Request, ident: str) -> Answer:
    request.right("disk.edit")
    row = request.cloud.need("disk", ident, 403)
    request.cloud.need_free(row)
    if row["vm"]:
        raise ApiError(400, f"The disk {row['name']} is attached.", "INVALID_STATE")
    return _change(request, row, "vdcDeleteDisk", "Deleting Disk", do="delete disk", ident=row["id"])


@effect("delete disk")
def _delete_disk(cloud: Cloud, task: Row, ident: str) -> None:
    with cloud.lock:
        row = cloud.need("disk", ident)
        (cloud.folder / "disks" / row["file"]).unlink(missing_ok=True)
        cloud.drop("disk", ident)


@route("GET", "/api/disk/{ident}/attachedVms")
def attached(request: Request, ident: str) -> Answer:
    from .access import ref

    row = request.cloud.need("disk", ident, 403)
    vm = request.cloud.get("vm", row["vm"]) if row["vm"] else None
    return xml_answer(request, el("Vms", ref(request, "VmReference", "vm", vm), type_=f"{VC}vms+xml"), "vcloud.vms")


@route("POST", "/api/vApp/vm-{ident}/disk/action/{what:attach|detach}")
def attach(request: Request, ident: str, what: str) -> Answer:
    vm = _vm(request, ident)
    cloud = request.cloud
    given = request.xml("DiskAttachOrDetachParams", kinds="diskAttachOrDetachParams+xml")
    row = cloud.need("disk", given.href("Disk"), 400)
    cloud.need_free(row)
    if what == "detach":
        if row["vm"] != vm["id"]:
            raise ApiError(400, f"The disk {row['name']} is not attached to {vm['name']}.", "INVALID_STATE")
        disks = [d for d in vm["disks"] if d["named"] != row["id"]]
    else:
        if row["vm"]:
            raise ApiError(400, f"The disk {row['name']} is already attached.", "INVALID_STATE")
        adapter = {v.lower(): k for k, v in ovf.SUBTYPES.items() if v}.get(row["bus_subtype"].lower(), 4)
        bus = given.number("BusNumber") or 0
        taken = {d["unit"] for d in vm["disks"] if d["bus"] == bus and d["adapter"] == adapter} | {7}
        wanted = given.number("UnitNumber")
        unit = wanted if wanted is not None and wanted not in taken else min(set(range(64)) - taken)
        disks = [
            *vm["disks"],
            {
                "id": new_id(),
                "number": max([d["number"] for d in vm["disks"]], default=1999) + 1,
                "capacity": row["size_mb"] << 20,
                "size_mb": row["size_mb"],
                "adapter": adapter,
                "bus": bus,
                "unit": unit,
                "profile": row["profile"],
                "file": row["file"],
                "named": row["id"],
            },
        ]
    row["vm"] = vm["id"] if what == "attach" else ""
    return _change(
        request,
        vm,
        f"vapp{what[0].upper()}{what[1:]}Disk",
        "Disk of",
        row,
        do="change vm",
        ident=vm["id"],
        changed={"disks": disks},
    )


def moref(vm: Row) -> str:
    """The short name of a VM for the hypervisor."""
    return f"vm-{vm['id'].replace('-', '')[:12]}"


def views(cloud: Cloud) -> list[Row]:
    """What the hypervisor needs of every VM in a vApp; nothing of those that are being made."""
    nic_kinds = {"VMXNET3": "vmxnet3", "E1000": "e1000", "E1000E": "e1000e"}
    found = []
    for vm in cloud.table("vm").values():
        if vm["place"] != "vapp" or vm["status"] == 0:
            continue
        vapp = cloud.get("vapp", vm["parent"]) or {}
        nets = {n["name"]: cloud.get("network", n["parent"]) if n["parent"] else None for n in vapp.get("networks", [])}
        marks = {k: v["value"] for k, v in cloud.table("metadata").get(vm["id"], {}).items()}
        nics = []
        for nic in vm["nics"]:
            network = nets.get(nic["network"])
            subnet = network["subnets"][0] if network else {}
            nics.append({
                "key": 4000 + nic["index"], "type": nic_kinds.get(nic["type"], "vmxnet3"), "mac": nic["mac"],
                "network": nic["network"], "connected": nic["connected"], "start_connected": nic["connected"],
                "gateway": subnet.get("gateway", ""), "prefix": subnet.get("prefixLength", 0), "address": nic["ip"],
                "network_id": network["id"] if network else "",
            })  # fmt: skip
        found.append(
            {
                "moref": moref(vm),
                "name": vm["name"],
                "instance_uuid": vm["id"],
                "uuid": vm["bios_uuid"],
                "power": "poweredOn" if vm["status"] == ON else "poweredOff",
                "firmware": vm["firmware"],
                "cpus": vm["cpus"],
                "memory_mib": vm["memory_mb"],
                "guest_id": vm["os"],
                "leased": bool(cloud.running(vm["id"])),
                "extra_config": marks,
                "disks": [
                    {
                        "key": d["number"],
                        "label": f"Hard disk {i + 1}",
                        "controller": ovf.CONTROLLERS[d["adapter"]],
                        "bus": d["bus"],
                        "unit": d["unit"],
                        "capacity": d["capacity"],
                        "path": str(cloud.folder / "disks" / d["file"]),
                    }
                    for i, d in enumerate(vm["disks"])
                ],
                "nics": nics,
            }
        )
    return found


def tell(cloud: Cloud, ident: str, what: Row) -> None:
    """Note what VMware Tools in a guest say, or that it switched itself off."""
    with cloud.lock:
        vm = next((v for v in cloud.table("vm").values() if moref(v) == ident), None) or cloud.need("vm", ident)
        if "state" in what:
            vm["status"] = ON if what["state"] == "poweredOn" else OFF
            vm["guest"] = {}
        else:
            vm["guest"] = {**what, "at": time.time()}
        cloud.touch()
