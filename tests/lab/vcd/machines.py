# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vApps and VMs as they are shown, and how the sections of a request change them."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from . import ovf
from .access import VC, default_profile, head, href, owner, path, ref, tasks_xml, vdc_networks
from .core import ApiError, Cloud, Row, bare, new_id, now, urn
from .seed import HARDWARE
from .templates import download_links
from .web import Request
from .xmls import Node, el, links, tx

ON, OFF, SUSPENDED = 4, 8, 3
MODES = ("POOL", "MANUAL", "DHCP", "NONE")
NICS = ("VMXNET3", "VMXNET3VRDMA", "E1000", "E1000E", "PCNet32", "SRIOVETHERNETCARD", "FLEXIBLE")


def vapp_network(name: str, **given: Any) -> Row:
    """A network of a vApp or template."""
    return {"name": name, "description": "", "fence": "isolated", "parent": "", "scopes": [], "retain": False, **given}


def new_mac(cloud: Cloud | None) -> str:
    """A MAC address of VMware's own range."""
    ident = new_id().replace("-", "")
    return f"00:50:56:{int(ident[:2], 16) & 0x3F:02x}:{ident[2:4]}:{ident[4:6]}"


def new_vm(given: Row, disks: list[Row], parent: Row) -> Row:
    """A VM as an OVF, or something like it, describes it."""
    nics = [
        {
            "index": i,
            "network": n["network"],
            "type": n["type"],
            "mac": n.get("mac") or new_mac(None),
            "ip": "",
            "mode": "NONE" if n["network"] == "none" else "DHCP",
            "connected": n["network"] != "none",
        }
        for i, n in enumerate(given["nics"])
    ]
    return {
        "id": new_id(), "name": given["name"], "description": "", "parent": parent["id"], "place": parent["kind"],
        "status": OFF, "deployed": False, "os": given["os"], "hardware": given["hardware"], "cpus": given["cpus"],
        "cores": given.get("cores", 1), "memory_mb": given["memory_mb"], "firmware": given["firmware"], "disks": disks,
        "nics": nics, "primary": 0, "customization": {"Enabled": False, "ComputerName": computer_name(given["name"])},
        "boot": {"EfiSecureBootEnabled": bool(given.get("secure_boot"))}, "local_id": given["name"], "created": now(),
        "profile": parent.get("profile", ""), "policy": "", "media": "", "hot_cpu": False, "hot_memory": False,
        "bios_uuid": new_id(), "guest": {}, "snapshot": None, "needs_customization": True, "kind": "vm",
    }  # fmt: skip


def computer_name(name: str) -> str:
    """A name that a guest may have."""
    return re.sub(r"[^A-Za-z0-9-]", "-", name)[:15].strip("-") or "vm"


# shown


def network_configs_xml(request: Request, base: str, networks: list[Row]) -> str:
    """The NetworkConfigSection of a vApp."""
    configs = []
    for network in networks:
        parent = request.cloud.get("network", network["parent"]) if network["parent"] else None
        scopes = network["scopes"] or ([net_scope(parent)] if parent else [])
        shown = [
            el(
                "IpScope",
                tx("IsInherited", bool(parent)),
                tx("Gateway", s["gateway"]),
                tx(
                    "Netmask",
                    str(ipaddress.ip_network(f"0.0.0.0/{s['prefix']}").netmask) if ":" not in s["gateway"] else None,
                ),
                tx("SubnetPrefixLength", s["prefix"]),
                tx("Dns1", s.get("dns1") or None),
                tx("Dns2", s.get("dns2") or None),
                tx("DnsSuffix", s.get("suffix") or None),
                tx("IsEnabled", True),
                el(
                    "IpRanges",
                    *(el("IpRange", tx("StartAddress", a), tx("EndAddress", b)) for a, b in s.get("ranges", [])),
                ),
            )
            for s in scopes
        ]
        configs.append(
            el(
                "NetworkConfig",
                links(request.base, [("repair", f"/api/admin/network/{network.get('id', '')}/action/reset", "")])
                if network.get("id")
                else "",
                tx("Description", network["description"]),
                el(
                    "Configuration",
                    tx("BackwardCompatibilityMode", False),
                    el("IpScopes", *shown),
                    ref(request, "ParentNetwork", "network", parent),
                    tx("FenceMode", network["fence"]),
                    tx("RetainNetInfoAcrossDeployments", network["retain"]),
                ),
                tx("IsDeployed", False),
                networkName=network["name"],
                id=urn("network", network["id"]) if network.get("id") else None,
                href=href(request, "network", network["id"]) if network.get("id") else None,
            )
        )
    kind = f"{VC}networkConfigSection+xml"
    edit = links(request.base, [("edit", f"{base}/networkConfigSection/", kind)]) if base else ""
    return el(
        "NetworkConfigSection",
        tx("ovf:Info", "The configuration parameters for logical networks"),
        edit,
        *configs,
        href=f"{request.base}{base}/networkConfigSection/" if base else None,
        type_=kind if base else None,
    )


def net_scope(network: Row) -> Row:
    """The first subnet of an organisation's network, as a scope."""
    subnet = network["subnets"][0]
    return {
        "gateway": subnet["gateway"], "prefix": subnet["prefixLength"], "dns1": subnet.get("dnsServer1", ""),
        "dns2": subnet.get("dnsServer2", ""), "suffix": subnet.get("dnsSuffix", ""),
        "ranges": [(r["startAddress"], r["endAddress"]) for r in (subnet.get("ipRanges") or {}).get("values") or []],
    }  # fmt: skip


def nics_xml(request: Request, vm: Row, base: str) -> str:
    """The NetworkConnectionSection of a VM."""
    rows = []
    for nic in sorted(vm["nics"], key=lambda n: n["index"]):
        seen = next((g["ips"] for g in vm["guest"].get("nics", []) if g.get("mac", "").lower() == nic["mac"]), [])
        ip = nic["ip"] or (seen[0] if seen and vm["status"] == ON else "")
        rows.append(
            el(
                "NetworkConnection",
                tx("NetworkConnectionIndex", nic["index"]),
                tx("IpAddress", ip or None),
                tx("IpType", "IPV4" if ip and ":" not in ip else "IPV6" if ip else None),
                tx("IsConnected", nic["connected"]),
                tx("MACAddress", nic["mac"]),
                tx("IpAddressAllocationMode", nic["mode"]),
                tx("SecondaryIpAddressAllocationMode", "NONE"),
                tx("NetworkAdapterType", nic["type"]),
                network=nic["network"],
                needsCustomization=False,
            )
        )
    kind = f"{VC}networkConnectionSection+xml"
    return el(
        "NetworkConnectionSection",
        tx("ovf:Info", "Specifies the available VM network connections"),
        tx("PrimaryNetworkConnectionIndex", vm["primary"]),
        *rows,
        links(request.base, [("edit", f"{base}/networkConnectionSection/", kind)]) if base else "",
        href=f"{request.base}{base}/networkConnectionSection/" if base else None,
        type_=kind,
    )


def customization_xml(request: Request, vm: Row, base: str) -> str:
    """The GuestCustomizationSection of a VM."""
    from .xmls import ORDER

    given = {"VirtualMachineId": vm["id"], **vm["customization"]}
    names = [n for n in ORDER["GuestCustomizationSection"].split() if n not in ("Info", "Link")]
    kind = f"{VC}guestCustomizationSection+xml"
    return el(
        "GuestCustomizationSection",
        tx("ovf:Info", "Specifies Guest OS Customization Settings"),
        *(tx(n, given.get(n)) for n in names if n not in ("AdminPassword", "DomainUserPassword")),
        links(request.base, [("edit", f"{base}/guestCustomizationSection/", kind)]) if base else "",
        href=f"{request.base}{base}/guestCustomizationSection/" if base else None,
        type_=kind,
    )


def spec_xml(request: Request, vm: Row) -> str:
    """The VmSpecSection of a VM."""
    disks = []
    for disk in vm["disks"]:
        profile = request.cloud.get("storageprofile", disk["profile"])
        named = request.cloud.get("disk", disk["named"]) if disk["named"] else None
        disks.append(
            el(
                "DiskSettings",
                tx("DiskId", disk["number"]),
                tx("SizeMb", disk["size_mb"]),
                tx("UnitNumber", disk["unit"]),
                tx("BusNumber", disk["bus"]),
                tx("AdapterType", disk["adapter"]),
                tx("ThinProvisioned", True),
                ref(request, "Disk", "disk", named),
                ref(request, "StorageProfile", "storageprofile", profile),
                tx("overrideVmDefault", disk["profile"] != vm["profile"]),
                tx("VirtualQuantityUnit", "byte"),
                tx("VirtualQuantity", disk["capacity"]),
            )
        )
    address = f"{request.base}/api/vdc/{vdc_of(request.cloud, vm)}/hwv/{vm['hardware']}"
    return el(
        "VmSpecSection",
        tx("ovf:Info", "Virtual Machine specification"),
        tx("OsType", vm["os"]),
        tx("Firmware", vm["firmware"]) if request.at_least("37.1") else "",
        tx("NumCpus", vm["cpus"]),
        tx("NumCoresPerSocket", vm["cores"]),
        el("CpuResourceMhz", tx("Configured", 0)),
        el("MemoryResourceMb", tx("Configured", vm["memory_mb"])),
        el("MediaSection"),
        el("DiskSection", *disks),
        tx("HardwareVersion", vm["hardware"], href=address, type_=f"{VC}virtualHardwareVersion+xml"),
        tx("VmToolsVersion", "12352" if vm["guest"].get("tools_running") else "0"),
        tx("TimeSyncWithHost", False),
        Modified=False,
    )


def vdc_of(cloud: Cloud, vm: Row) -> str:
    """The VDC of a VM, in a vApp or in a template."""
    parent = cloud.get(vm["place"], vm["parent"])
    return str(parent["vdc"]) if parent else next(iter(cloud.table("vdc")))


def vm_links(request: Request, vm: Row, base: str) -> list[tuple[str, str, str]]:
    """What can be done with a VM now."""
    cloud = request.cloud
    found = [
        ("up", path(vm["place"], vm["parent"]), f"{VC}{'vApp' if vm['place'] == 'vapp' else 'vAppTemplate'}+xml"),
        ("down", f"{base}/metadata", f"{VC}metadata+xml"),
    ]
    if vm["place"] != "vapp":
        return found
    found.append(("down", f"{base}/vmCapabilities", f"{VC}vmCapabilitiesSection+xml"))
    found.append(("down", f"{base}/productSections/", f"{VC}productSections+xml"))
    if cloud.running(vm["id"]):
        return found
    if request.may("vm.power"):
        on, off = vm["status"] == ON, vm["status"] in (OFF, SUSPENDED)
        names = (
            (["powerOff", "reset", "suspend"] + (["shutdown", "reboot"] if vm["guest"].get("tools_running") else []))
            if on
            else ["powerOn"]
            if off
            else []
        )
        found += [(f"power:{n}", f"{base}/power/action/{n}", "") for n in names]
        if vm["deployed"]:
            found.append(("undeploy", f"{base}/action/undeploy", f"{VC}undeployVAppParams+xml"))
        else:
            found.append(("deploy", f"{base}/action/deploy", f"{VC}deployVAppParams+xml"))
    if request.may("vm.edit"):
        found += [
            ("edit", base, f"{VC}vm+xml"),
            ("reconfigureVm", f"{base}/action/reconfigureVm", f"{VC}vm+xml"),
            ("disk:attach", f"{base}/disk/action/attach", f"{VC}diskAttachOrDetachParams+xml"),
            ("disk:detach", f"{base}/disk/action/detach", f"{VC}diskAttachOrDetachParams+xml"),
            ("media:insertMedia", f"{base}/media/action/insertMedia", f"{VC}mediaInsertOrEjectParams+xml"),
            ("media:ejectMedia", f"{base}/media/action/ejectMedia", f"{VC}mediaInsertOrEjectParams+xml"),
            ("snapshot:create", f"{base}/action/createSnapshot", f"{VC}createSnapshotParams+xml"),
        ]
        if vm["snapshot"]:
            found.append(("snapshot:revertToCurrent", f"{base}/action/revertToCurrentSnapshot", ""))
            found.append(("snapshot:removeAll", f"{base}/action/removeAllSnapshots", ""))
        if vm["hardware"] < HARDWARE[-1]:
            found.append(("upgrade", f"{base}/action/upgradeHardwareVersion", ""))
    if not vm["deployed"]:
        if request.may("vm.delete"):
            found.append(("remove", base, ""))
        if request.may("vapp.download"):
            found.append(("enable", f"{base}/action/enableDownload", ""))
    return found + download_links(vm)


def snapshot_xml(vm: Row) -> str:
    """The SnapshotSection of a VM."""
    shot = vm["snapshot"]
    one = el("Snapshot", created=shot["created"], poweredOn=shot["on"], size=shot["size"]) if shot else ""
    return el("SnapshotSection", tx("ovf:Info", "Snapshot information section"), one)


def vm_xml(request: Request, vm: Row) -> str:
    """A VM."""
    cloud = request.cloud
    in_vapp = vm["place"] == "vapp"
    base = path("vm" if in_vapp else "templatevm", vm["id"])
    parts = [
        links(request.base, vm_links(request, vm, base)),
        tx("Description", vm["description"]),
        tasks_xml(request, vm),
        ovf.hardware(
            vm, href=f"{request.base}{base}/virtualHardwareSection/", vcloud__type=f"{VC}virtualHardwareSection+xml"
        ),
        el(
            "ovf:OperatingSystemSection",
            tx("ovf:Info", "Specifies the operating system installed"),
            tx("ovf:Description", ovf.OS_TYPES.get(vm["os"], vm["os"])),
            ovf__id=102,
            vmw__osType=vm["os"],
        ),
        nics_xml(request, vm, base if in_vapp else ""),
        customization_xml(request, vm, base if in_vapp else ""),
        el(
            "RuntimeInfoSection",
            tx("ovf:Info", "Specifies Runtime info"),
            el("VMWareTools", version="12352") if vm["guest"].get("tools_running") else "",
        ),
        snapshot_xml(vm),
        tx("DateCreated", vm["created"]),
        tx("VAppScopedLocalId", vm["local_id"]),
        el("VmCapabilities", tx("MemoryHotAddEnabled", vm["hot_memory"]), tx("CpuHotAddEnabled", vm["hot_cpu"])),
        ref(request, "StorageProfile", "storageprofile", cloud.get("storageprofile", vm["profile"])),
    ]
    policy = next(iter(cloud.table("computepolicy").values()))
    address = f"{request.base}/cloudapi/2.0.0/vdcComputePolicies/{urn('vdcComputePolicy', policy['id'])}"
    sizing = el("VmSizingPolicy", href=address, id=urn("vdcComputePolicy", policy["id"]), name=policy["name"])
    parts.append(el("ComputePolicy", sizing))
    parts.append(spec_xml(request, vm))
    media = cloud.get("media", vm["media"]) if vm["media"] else None
    parts.append(ref(request, "Media", "media", media))
    if request.at_least("37.1"):
        boot = vm["boot"]
        parts.append(
            el(
                "BootOptions",
                tx("BootDelay", boot.get("BootDelay", 0)),
                tx("EnterBIOSSetup", boot.get("EnterBIOSSetup", False)),
                tx("BootRetryEnabled", boot.get("BootRetryEnabled", False)),
                tx("BootRetryDelay", boot.get("BootRetryDelay", 10000)),
                tx("EfiSecureBootEnabled", boot.get("EfiSecureBootEnabled", False)),
                tx("NetworkBootProtocol", boot.get("NetworkBootProtocol", "IPV4")),
            )
        )
    return el(
        "Vm",
        *parts,
        needsCustomization=vm["needs_customization"] and bool(vm["customization"].get("Enabled")),
        nestedHypervisorEnabled=False,
        deployed=vm["deployed"],
        status=vm["status"],
        **head(request, "vm" if in_vapp else "templatevm", vm),
    )


def vapp_status(cloud: Cloud, row: Row) -> tuple[int, bool]:
    """Status and deployed of a vApp."""
    vms = cloud.find("vm", parent=row["id"])
    if row.get("status") in (0, -1) and (row.get("status") == -1 or cloud.running(row["id"])):
        return row["status"], False
    found = {v["status"] for v in vms}
    deployed = any(v["deployed"] for v in vms) if vms else bool(row.get("deployed"))
    if not found:
        return (ON if row.get("deployed") else OFF), deployed
    return (found.pop() if len(found) == 1 else 10), deployed


def vapp_xml(request: Request, row: Row) -> str:
    """A vApp."""
    cloud = request.cloud
    base = path("vapp", row["id"])
    status, deployed = vapp_status(cloud, row)
    vms = cloud.find("vm", parent=row["id"])
    found = [("up", path("vdc", row["vdc"]), f"{VC}vdc+xml"), ("down", f"{base}/metadata", f"{VC}metadata+xml"),
             ("down", f"{base}/owner", f"{VC}owner+xml"), ("ovf", f"{base}/ovf", "text/xml")]  # fmt: skip
    if not cloud.running(row["id"]):
        if request.may("vm.power"):
            found += [
                (f"power:{n}", f"{base}/power/action/{n}", "") for n in (["powerOff"] if status == ON else ["powerOn"])
            ]
            found.append(
                ("undeploy", f"{base}/action/undeploy", f"{VC}undeployVAppParams+xml")
                if deployed
                else ("deploy", f"{base}/action/deploy", f"{VC}deployVAppParams+xml")
            )
        if request.may("vapp.edit"):
            found += [
                ("recompose", f"{base}/action/recomposeVApp", f"{VC}recomposeVAppParams+xml"),
                ("edit", base, f"{VC}vApp+xml"),
            ]
        if not deployed:
            if request.may("vapp.delete"):
                found.append(("remove", base, ""))
            if vms and request.may("vapp.download"):
                found.append(("enable", f"{base}/action/enableDownload", ""))
    found += download_links(row)
    networks = [
        el("ovf:Network", tx("ovf:Description", n["description"]), ovf__name=n["name"]) for n in row["networks"]
    ]
    return el(
        "VApp",
        links(request.base, found),
        tx("Description", row["description"]),
        tasks_xml(request, row),
        lease_xml(request, row, base),
        startup_xml(row, vms),
        el("ovf:NetworkSection", tx("ovf:Info", "The list of logical networks"), *networks),
        network_configs_xml(request, base, row["networks"]),
        el("SnapshotSection", tx("ovf:Info", "Snapshot information section")),
        tx("DateCreated", row["created"]),
        owner(request, row),
        tx("autoNature", row["auto"]),
        tx("InMaintenanceMode", False),
        el("Children", *(vm_xml(request, v) for v in vms)) if vms else "",
        status=status,
        deployed=deployed,
        ovfDescriptorUploaded=True,
        **head(request, "vapp", row),
    )


def lease_xml(request: Request, row: Row, base: str) -> str:
    """The LeaseSettingsSection of a vApp."""
    kind = f"{VC}leaseSettingsSection+xml"
    return el(
        "LeaseSettingsSection",
        tx("ovf:Info", "Lease settings section"),
        links(request.base, [("edit", f"{base}/leaseSettingsSection/", kind)]),
        tx("DeploymentLeaseInSeconds", row["lease"]["deployment"]),
        tx("StorageLeaseInSeconds", row["lease"]["storage"]),
        href=f"{request.base}{base}/leaseSettingsSection/",
        type_=kind,
    )


def startup_xml(row: Row, vms: list[Row]) -> str:
    """The StartupSection of a vApp."""
    given = row.get("startup", {})
    items = []
    for vm in vms:
        values = {"order": 0, "startAction": "powerOn", "startDelay": 0, "stopAction": "powerOff", "stopDelay": 0}
        values |= given.get(vm["name"], {})
        items.append(el("ovf:Item", ovf__id=vm["name"], **{f"ovf__{k}": v for k, v in values.items()}))
    return el("ovf:StartupSection", tx("ovf:Info", "VApp startup section"), *items)


# changed


def configs_of(cloud: Cloud, section: Node | None, vdc: str, before: list[Row] | None = None) -> list[Row]:
    """The networks that a NetworkConfigSection asks for."""
    found: list[Row] = []
    for config in section.all("NetworkConfig") if section else []:
        name = config.attrs.get("networkName", "")
        given = config.one("Configuration")
        if not name or given is None or name in [n["name"] for n in found]:
            raise ApiError(400, f"The network configuration {name!r} is not complete, or there twice.")
        fence = given.value("FenceMode") or ""
        if fence not in ("bridged", "natRouted", "isolated"):
            raise ApiError(400, f"{name}: FenceMode {fence!r} is unknown.")
        parent = given.href("ParentNetwork")
        parent_id = ""
        if parent or fence != "isolated":
            reachable = {n["id"]: n for n in vdc_networks(cloud, vdc)}
            parent_id = bare(parent)
            if parent_id not in reachable:
                raise ApiError(400, f"{name}: the parent network is none of this VDC's.", "INVALID_REFERENCE")
            if fence == "bridged" and reachable[parent_id]["name"] != name:
                raise ApiError(
                    400, f"{name}: a bridged network has the name of its parent, {reachable[parent_id]['name']}."
                )
        scopes = []
        for scope in [s for p in given.all("IpScopes") for s in p.all("IpScope")] if fence != "bridged" else []:
            mask = scope.value("Netmask") or "255.255.255.0"
            prefix = scope.value("SubnetPrefixLength") or str(ipaddress.ip_network(f"0.0.0.0/{mask}").prefixlen)
            scopes.append(
                {
                    "gateway": scope.value("Gateway") or "",
                    "prefix": int(prefix),
                    "dns1": scope.value("Dns1") or "",
                    "dns2": scope.value("Dns2") or "",
                    "suffix": scope.value("DnsSuffix") or "",
                    "ranges": [
                        (r.value("StartAddress"), r.value("EndAddress"))
                        for p in scope.all("IpRanges")
                        for r in p.all("IpRange")
                    ],
                }
            )
        old = next((n for n in before or [] if n["name"] == name), {})
        found.append(
            vapp_network(
                name,
                id=old.get("id") or new_id(),
                description=config.value("Description") or "",
                fence=fence,
                parent=parent_id,
                scopes=scopes,
                retain=bool(given.flag("RetainNetInfoAcrossDeployments")),
            )
        )
    return found


def used_ips(cloud: Cloud, network: str, besides: str = "") -> set[str]:
    """Addresses that NICs of VMs have on an organisation's network."""
    apps = {(a["id"], n["name"]) for a in cloud.table("vapp").values() for n in a["networks"] if n["parent"] == network}
    return {
        nic["ip"]
        for vm in cloud.table("vm").values()
        if vm["id"] != besides
        for nic in vm["nics"]
        if nic["ip"] and (vm["parent"], nic["network"]) in apps
    }


def apply_nics(cloud: Cloud, vm: Row, section: Node, networks: list[Row]) -> None:
    """Give a VM the NICs of a NetworkConnectionSection: all of them, those left out are gone."""
    names = {n["name"]: n for n in networks}
    before = {n["index"]: n for n in vm["nics"]}
    found: list[Row] = []
    for given in section.all("NetworkConnection"):
        index = given.number("NetworkConnectionIndex")
        network = given.attrs.get("network", "")
        if index is None or not 0 <= index <= 9 or any(n["index"] == index for n in found):
            raise ApiError(400, f"NIC {index}: NetworkConnectionIndex is missing, there twice, or not 0 to 9.")
        if network != "none" and network not in names:
            raise ApiError(400, f'NIC {index}: the vApp has no network "{network}".', "INVALID_REFERENCE")
        mode = given.value("IpAddressAllocationMode") or ""
        if mode not in MODES:
            raise ApiError(400, f"NIC {index}: IpAddressAllocationMode {mode!r} is unknown.")
        kind = given.value("NetworkAdapterType") or before.get(index, {}).get("type") or "VMXNET3"
        exact = next((k for k in NICS if k.lower() == kind.lower()), None)
        if exact is None:
            raise ApiError(400, f"NIC {index}: NetworkAdapterType {kind!r} is unknown.")
        mac = (given.value("MACAddress") or before.get(index, {}).get("mac") or new_mac(cloud)).lower()
        if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", mac) or int(mac[:2], 16) & 1:
            raise ApiError(400, f"NIC {index}: {mac!r} is no MAC address of a card.")
        nic = {"index": index, "network": network, "type": exact, "mac": mac, "ip": "", "mode": mode,
               "connected": bool(given.flag("IsConnected"))}  # fmt: skip
        nic["ip"] = _address(cloud, vm, nic, given.value("IpAddress") or "", names.get(network), found)
        found.append(nic)
    for other in cloud.table("vm").values():
        if other["id"] != vm["id"] and other["place"] == "vapp":
            for nic in other["nics"]:
                if nic["mac"] in [n["mac"] for n in found]:
                    raise ApiError(
                        400, f"The MAC address {nic['mac']} is already that of {other['name']}.", "DUPLICATE_MAC"
                    )
    if vm["status"] == ON and any(before.get(n["index"], n)["type"] != n["type"] for n in found):
        raise ApiError(400, f"{vm['name']} runs: the type of a NIC cannot be changed.", "INVALID_STATE")
    primary = section.number("PrimaryNetworkConnectionIndex") or 0
    vm.update(nics=found, primary=primary)


def _address(cloud: Cloud, vm: Row, nic: Row, wanted: str, network: Row | None, others: list[Row]) -> str:
    where = f"NIC {nic['index']}"
    parent = cloud.get("network", network["parent"]) if network and network["parent"] else None
    if nic["mode"] in ("DHCP", "NONE") or network is None:
        return ""
    scope = net_scope(parent) if parent else (network["scopes"][0] if network["scopes"] else None)
    if scope is None:
        return wanted
    subnet = ipaddress.ip_network(f"{scope['gateway']}/{scope['prefix']}", strict=False)
    used = (
        (used_ips(cloud, parent["id"], vm["id"]) if parent else set()) | {n["ip"] for n in others} | {scope["gateway"]}
    )
    if nic["mode"] == "MANUAL":
        try:
            address = ipaddress.ip_address(wanted)
        except ValueError:
            raise ApiError(400, f"{where}: MANUAL needs an IpAddress, not {wanted!r}.") from None
        if address not in subnet:
            raise ApiError(
                400, f'{where}: {wanted} is not in the subnet {subnet} of "{network["name"]}".', "INVALID_IP"
            )
        if str(address) in used:
            raise ApiError(400, f'{where}: {wanted} is already in use on "{network["name"]}".', "IP_IN_USE")
        return str(address)
    for first, last in scope["ranges"]:
        low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
        while low <= high:
            if str(low) not in used:
                return str(low)
            low += 1
    raise ApiError(400, f'{where}: no address is left in the pool of "{network["name"]}".', "IP_POOL_EMPTY")


def apply_spec(request: Request, vm: Row, spec: Node, new: bool = False) -> None:
    """Change a VM as a VmSpecSection says. Nothing is changed without Modified="true"."""
    cloud = request.cloud
    if spec.attrs.get("Modified") != "true" and not new:
        return
    runs = vm["status"] == ON
    cpus, memory = spec.number("NumCpus"), spec.number("MemoryResourceMb", "Configured")
    cores = spec.number("NumCoresPerSocket")
    if cpus is not None and cpus != vm["cpus"]:
        if not 1 <= cpus <= 128:
            raise ApiError(400, f"{cpus} CPUs are not possible.")
        if runs and not (vm["hot_cpu"] and cpus > vm["cpus"]):
            raise ApiError(400, f"{vm['name']} runs: its CPUs cannot be changed.", "INVALID_STATE")
        vm["cpus"] = cpus
    if cores:
        if vm["cpus"] % cores:
            raise ApiError(400, f"{vm['cpus']} CPUs cannot have {cores} cores each socket.")
        vm["cores"] = cores
    if memory is not None and memory != vm["memory_mb"]:
        if memory < 4 or memory % 4:
            raise ApiError(400, f"{memory} MiB of memory: a multiple of 4 is wanted.")
        if runs and not (vm["hot_memory"] and memory > vm["memory_mb"]):
            raise ApiError(400, f"{vm['name']} runs: its memory cannot be changed.", "INVALID_STATE")
        vm["memory_mb"] = memory
    firmware = spec.value("Firmware")
    if firmware is not None:
        if not request.at_least("37.1"):
            raise ApiError(400, "Firmware is known from version 37.1 on.")
        if firmware not in ("bios", "efi"):
            raise ApiError(400, f"Firmware {firmware!r} is unknown.")
        if firmware != vm["firmware"] and vm["deployed"]:
            raise ApiError(400, f"{vm['name']} is deployed: its firmware cannot be changed.", "INVALID_STATE")
        vm["firmware"] = firmware
    os_type = spec.value("OsType")
    if os_type:
        if os_type not in ovf.OS_TYPES:
            raise ApiError(400, f"The operating system {os_type!r} is not supported.")
        vm["os"] = os_type
    version = spec.value("HardwareVersion")
    if version:
        if version not in HARDWARE:
            raise ApiError(400, f"The hardware version {version!r} is not supported, the highest is {HARDWARE[-1]}.")
        if version < vm["hardware"]:
            raise ApiError(400, "A hardware version cannot go down.")
        vm["hardware"] = version
    section = spec.one("DiskSection")
    if section is not None:
        _apply_disks(cloud, vm, section, runs)


def _apply_disks(cloud: Cloud, vm: Row, section: Node, runs: bool) -> None:
    """The disks of a DiskSection: all of them. Those left out are deleted; new ones are empty."""
    from .access import need_storage

    before = {str(d["number"]): d for d in vm["disks"]}
    found: list[Row] = []
    for given in section.all("DiskSettings"):
        size = given.number("SizeMb")
        number = given.value("DiskId")
        adapter = given.number("AdapterType") or 0
        address = (adapter, given.number("BusNumber") or 0, given.number("UnitNumber") or 0)
        if adapter not in ovf.CONTROLLERS:
            raise ApiError(400, f"Disk: AdapterType {adapter} is unknown.")
        if 2 <= adapter <= 5 and address[2] == 7:
            raise ApiError(400, "Disk: unit 7 is the controller's own.")
        if any((d["adapter"], d["bus"], d["unit"]) == address for d in found):
            raise ApiError(400, f"Two disks are at bus {address[1]}, unit {address[2]}.")
        profile = given.href("StorageProfile")
        chosen = cloud.need("storageprofile", profile)["id"] if profile else vm["profile"]
        if number:
            old = before.get(number)
            if old is None:
                raise ApiError(400, f"{vm['name']} has no disk {number}.")
            if size is not None and size < old["size_mb"]:
                raise ApiError(400, f"Disk {number} cannot shrink from {old['size_mb']} to {size} MB.")
            if (old["adapter"], old["bus"], old["unit"]) != address and vm["deployed"]:
                raise ApiError(400, f"{vm['name']} is deployed: a disk cannot change its controller.", "INVALID_STATE")
            disk = {**old, "adapter": adapter, "bus": address[1], "unit": address[2], "profile": chosen}
            if size is not None and size > old["size_mb"]:
                if vm["snapshot"]:
                    raise ApiError(400, f"{vm['name']} has a snapshot: its disks cannot grow.", "INVALID_STATE")
                need_storage(cloud, chosen, size - old["size_mb"])
                disk |= {"size_mb": size, "capacity": size << 20}
                with open(cloud.folder / "disks" / disk["file"], "r+b") as out:
                    out.truncate(size << 20)
        else:
            if not size or size > 2 << 20:
                raise ApiError(400, f"A disk of {size} MB is not possible.")
            need_storage(cloud, chosen, size)
            taken = [d["number"] for d in [*vm["disks"], *found]]
            disk = {
                "id": new_id(),
                "number": max(taken, default=1999) + 1,
                "capacity": size << 20,
                "size_mb": size,
                "adapter": adapter,
                "bus": address[1],
                "unit": address[2],
                "profile": chosen,
                "file": f"{new_id()}.raw",
                "named": "",
            }
            with open(cloud.folder / "disks" / disk["file"], "wb") as out:
                out.truncate(size << 20)
        found.append(disk)
    kept = {d["id"] for d in found}
    for disk in vm["disks"]:
        if disk["id"] not in kept:
            if disk["named"]:
                raise ApiError(400, "A named disk is detached, not removed.")
            (cloud.folder / "disks" / disk["file"]).unlink(missing_ok=True)
    vm["disks"] = found


def apply_customization(vm: Row, section: Node) -> None:
    """Change how the guest is to be customised."""
    values: Row = {}
    for child in section.children:
        if child.tag in ("Info", "Link", "VirtualMachineId"):
            continue
        if child.tag.endswith(("Enabled", "Auto", "Sid", "Settings", "Required")):
            values[child.tag] = section.flag(child.tag)
        else:
            values[child.tag] = child.text
    name = values.get("ComputerName")
    if name and not re.fullmatch(r"[A-Za-z0-9-]{1,63}", name):
        raise ApiError(400, f"The computer name {name!r} is not possible.")
    vm["customization"] = {**vm["customization"], **values}


def apply_boot(request: Request, vm: Row, section: Node) -> None:
    """Change the boot options."""
    if not request.at_least("37.1"):
        raise ApiError(400, "BootOptions are known from version 37.1 on.")
    for child in section.children:
        flag = child.tag in ("EnterBIOSSetup", "BootRetryEnabled", "EfiSecureBootEnabled")
        number = child.tag in ("BootDelay", "BootRetryDelay")
        value = section.flag(child.tag) if flag else section.number(child.tag) if number else child.text
        if child.tag == "EfiSecureBootEnabled" and value and vm["firmware"] != "efi":
            raise ApiError(400, "Secure boot needs EFI firmware.")
        vm["boot"][child.tag] = value


def apply_profile(cloud: Cloud, vm: Row, node: Node) -> None:
    """Move a VM, with the disks that follow it, to a storage profile."""
    from .access import need_storage

    chosen = cloud.need("storageprofile", node.attrs.get("href", ""))
    moved = [d for d in vm["disks"] if d["profile"] == vm["profile"] and not d["named"]]
    if chosen["id"] != vm["profile"]:
        need_storage(cloud, chosen["id"], sum(d["size_mb"] for d in moved))
        for disk in moved:
            disk["profile"] = chosen["id"]
    vm["profile"] = chosen["id"]


def profile_for(cloud: Cloud, vdc: str, wanted: str) -> str:
    """The id of a storage profile: the one that is named, which must be this VDC's, or the default."""
    if not wanted:
        return str(default_profile(cloud, vdc)["id"])
    row = cloud.need("storageprofile", wanted)
    if row["vdc"] != vdc:
        raise ApiError(400, f"The storage policy {row['name']} is not of this VDC.", "INVALID_REFERENCE")
    return str(row["id"])
