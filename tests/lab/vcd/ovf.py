# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OVF descriptors of the lab's Cloud Director: what an uploaded one says, and one for a machine that is downloaded."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from . import xmls
from .core import ApiError, Row
from .seed import HARDWARE
from .xmls import OVF, RASD, VMW, VSSD, el, local, tx

FORMAT = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
MAX_DESCRIPTOR = 12 << 20
MAX_DISK = 2 << 40
ADAPTERS = {"ide": 1, "buslogic": 2, "lsilogic": 3, "lsilogicsas": 4, "virtualscsi": 5, "sata": 6, "nvme": 7}
CONTROLLERS = {1: "ide", 2: "buslogic", 3: "lsilogic", 4: "lsisas", 5: "pvscsi", 6: "sata", 7: "nvme"}
SUBTYPES = {
    1: "",
    2: "buslogic",
    3: "lsilogic",
    4: "lsilogicsas",
    5: "VirtualSCSI",
    6: "vmware.sata.ahci",
    7: "vmware.nvme.controller",
}
BUS_TYPES = {1: 5, 2: 6, 3: 6, 4: 6, 5: 6, 6: 20, 7: 20}
NIC_TYPES = {"vmxnet3": "VMXNET3", "e1000": "E1000", "e1000e": "E1000E", "pcnet32": "PCNet32"}
OS_TYPES = {
    "otherGuest64": "Other (64-bit)",
    "otherGuest": "Other (32-bit)",
    "otherLinux64Guest": "Other Linux (64-bit)",
    "other5xLinux64Guest": "Other 5.x Linux (64-bit)",
    "other4xLinux64Guest": "Other 4.x Linux (64-bit)",
    "other3xLinux64Guest": "Other 3.x Linux (64-bit)",
    "debian10_64Guest": "Debian 10 (64-bit)",
    "debian11_64Guest": "Debian 11 (64-bit)",
    "debian12_64Guest": "Debian 12 (64-bit)",
    "ubuntu64Guest": "Ubuntu (64-bit)",
    "centos7_64Guest": "CentOS 7 (64-bit)",
    "centos8_64Guest": "CentOS 8 (64-bit)",
    "rhel6_64Guest": "RHEL 6 (64-bit)",
    "rhel7_64Guest": "RHEL 7 (64-bit)",
    "rhel8_64Guest": "RHEL 8 (64-bit)",
    "rhel9_64Guest": "RHEL 9 (64-bit)",
    "oracleLinux8_64Guest": "Oracle Linux 8 (64-bit)",
    "rockylinux_64Guest": "Rocky Linux (64-bit)",
    "almalinux_64Guest": "AlmaLinux (64-bit)",
    "sles12_64Guest": "SLES 12 (64-bit)",
    "sles15_64Guest": "SLES 15 (64-bit)",
    "freebsd13_64Guest": "FreeBSD 13 (64-bit)",
    "windows8Server64Guest": "Windows Server 2012 (64-bit)",
    "windows9Server64Guest": "Windows Server 2016 (64-bit)",
    "windows2019srv_64Guest": "Windows Server 2019 (64-bit)",
    "windows2019srvNext_64Guest": "Windows Server 2022 (64-bit)",
    "windows9_64Guest": "Windows 10 (64-bit)",
}
_EXTRA_CONFIG = {"disk.EnableUUID", "svga.present", "virtualHW.productCompatibility", "nvram"}
_UNITS = {
    "": 1,
    "byte": 1,
    "bytes": 1,
    "kb": 1 << 10,
    "mb": 1 << 20,
    "gb": 1 << 30,
    "kilobytes": 1 << 10,
    "megabytes": 1 << 20,
    "gigabytes": 1 << 30,
}


def _bad(words: str) -> ApiError:
    return ApiError(400, f"Invalid OVF descriptor: {words}", "OVF_VALIDATION_ERROR")


def _units(text: str) -> int:
    plain = text.strip().lower()
    power = re.fullmatch(r"bytes?\s*\*\s*2\s*\^\s*(\d{1,2})", plain)
    if power:
        return 1 << int(power[1])
    if plain not in _UNITS:
        raise _bad(f"unknown units {text!r}")
    return _UNITS[plain]


def _whole(text: str | None, what: str) -> int:
    if text is None or not re.fullmatch(r"\s*\d{1,18}\s*", text):
        raise _bad(f"{what} is {text!r} and no whole number")
    return int(text)


def _a(element: ElementTree.Element, name: str) -> str | None:
    return element.get(f"{{{OVF}}}{name}", element.get(name))


def parse(data: bytes) -> Row:
    """What an uploaded descriptor describes: files, networks, vms. Raises ApiError for what is not allowed."""
    if len(data) > MAX_DESCRIPTOR:
        raise _bad("it is larger than 12 MiB")
    try:
        root = xmls.parse(data)
    except ApiError as error:
        raise _bad(error.message) from None
    if root.tag != f"{{{OVF}}}Envelope":
        raise _bad(f"its root is {root.tag}, not Envelope of OVF 1.x ({OVF})")
    tags = [local(c.tag) for c in root if isinstance(c.tag, str)]
    if "DeploymentOptionSection" in tags:
        raise _bad("DeploymentOptionSection is not supported")
    ranks = {"References": 0, "DiskSection": 1, "NetworkSection": 1, "VirtualSystem": 2, "VirtualSystemCollection": 2}
    order = [ranks[t] for t in tags if t in ranks]
    if order != sorted(order):
        raise _bad("References, sections and content are not in the order of the schema")
    files: dict[str, Row] = {}
    for file in root.findall(f"{{{OVF}}}References/{{{OVF}}}File"):
        name, ident = _a(file, "href") or "", _a(file, "id") or ""
        if not re.fullmatch(r"[\w.-]{1,200}", name) or name in ("descriptor.ovf", "."):
            raise _bad(f"the file name {name!r} is not allowed")
        if _a(file, "compression") not in (None, "identity"):
            raise _bad(f"{name} is compressed as a whole")
        if ident in files:
            raise _bad(f"two files have the id {ident}")
        files[ident] = {"name": name, "size": _whole(_a(file, "size"), f"ovf:size of {name}")}
    disks: dict[str, Row] = {}
    for disk in root.findall(f"{{{OVF}}}DiskSection/{{{OVF}}}Disk"):
        ident, reference = _a(disk, "diskId") or "", _a(disk, "fileRef")
        if reference is not None and reference not in files:
            raise _bad(f"disk {ident} refers to the file {reference!r}, which is not there")
        if reference is not None and not (_a(disk, "format") or "").endswith("vmdk.html#streamOptimized"):
            raise _bad(f"disk {ident} has the format {_a(disk, 'format')!r}")
        capacity = _whole(_a(disk, "capacity"), f"capacity of {ident}") * _units(
            _a(disk, "capacityAllocationUnits") or ""
        )
        if capacity > MAX_DISK:
            raise _bad(f"disk {ident} has {capacity} bytes; at most {MAX_DISK} are possible")
        disks[ident] = {"capacity": capacity, "file": files[reference]["name"] if reference is not None else None}
    networks = [_a(n, "name") or "" for n in root.findall(f"{{{OVF}}}NetworkSection/{{{OVF}}}Network")]
    systems = list(root.iter(f"{{{OVF}}}VirtualSystem"))
    if not systems:
        raise _bad("it has no VirtualSystem")
    vms = [_system(s, disks, networks) for s in systems]
    named = {d["file"] for v in vms for d in v["disks"]} - {None}
    for row in files.values():
        if row["name"] not in named:
            raise _bad(f"the file {row['name']} is in References, but no disk of a machine uses it")
    return {"files": list(files.values()), "networks": [n for n in networks if n], "vms": vms}


def _system(system: ElementTree.Element, disks: dict[str, Row], networks: list[str]) -> Row:
    name = system.findtext(f"{{{OVF}}}Name") or _a(system, "id") or "vm"
    os_section = system.find(f"{{{OVF}}}OperatingSystemSection")
    os_type = (os_section.get(f"{{{VMW}}}osType") if os_section is not None else None) or "otherGuest64"
    os_type = os_type if os_type in OS_TYPES else "otherGuest64"
    hardware = system.find(f"{{{OVF}}}VirtualHardwareSection")
    if hardware is None:
        raise _bad(f"{name} has no VirtualHardwareSection")
    version = (hardware.findtext(f"{{{OVF}}}System/{{{VSSD}}}VirtualSystemType") or "vmx-13").split()[0]
    if not re.fullmatch(r"vmx-\d\d", version):
        raise _bad(f"{name}: VirtualSystemType {version!r} is no VMware hardware")
    if version > HARDWARE[-1]:
        raise _bad(f"{name}: hardware version {version} is not supported, the highest is {HARDWARE[-1]}")
    vm: Row = {
        "name": name,
        "os": os_type,
        "hardware": version,
        "cpus": 0,
        "memory_mb": 0,
        "cores": 1,
        "firmware": "bios",
        "secure_boot": False,
        "disks": [],
        "nics": [],
    }
    for config in hardware.findall(f"{{{VMW}}}Config"):
        key, value = config.get(f"{{{VMW}}}key", ""), config.get(f"{{{VMW}}}value", "")
        if key == "firmware":
            if value not in ("bios", "efi"):
                raise _bad(f"{name}: firmware {value!r}")
            vm["firmware"] = value
        if key == "bootOptions.efiSecureBootEnabled":
            vm["secure_boot"] = value == "true"
    for config in hardware.findall(f"{{{VMW}}}ExtraConfig"):
        if config.get(f"{{{VMW}}}key") not in _EXTRA_CONFIG:
            raise _bad(f"{name}: ExtraConfig {config.get(f'{{{VMW}}}key')!r} is not allowed")
    items = [
        {local(c.tag): (c.text or "").strip() for c in item} for item in hardware.findall(f"{{{OVF}}}Item")
    ]  # fmt: skip
    for item in hardware.findall(f"{{{OVF}}}Item"):
        tags = [local(c.tag) for c in item if c.tag.startswith(f"{{{RASD}}}")]
        if tags != sorted(tags):
            raise _bad(f"{name}: the elements of an Item are not in the order of the schema: {', '.join(tags)}")
    controllers: dict[str, tuple[int, int]] = {}
    seen: dict[int, int] = {}
    for item in items:
        kind, ident = item.get("ResourceType", ""), item.get("InstanceID", "")
        sub = item.get("ResourceSubType", "").lower()
        if kind in ("5", "6", "20"):
            sub = "sata" if "ahci" in sub or "sata" in sub else "nvme" if "nvme" in sub else sub
            adapter = 1 if kind == "5" else ADAPTERS.get(sub or "lsilogic")
            if adapter is None:
                raise _bad(f"{name}: unknown controller {item.get('ResourceSubType')!r}")
            group = 6 if 2 <= adapter <= 5 else adapter
            bus = seen.get(group, 0)
            seen[group] = bus + 1
            controllers[ident] = (adapter, bus)
        elif kind == "3":
            vm["cpus"] = _whole(item.get("VirtualQuantity"), f"{name}: number of CPUs")
            vm["cores"] = int(item.get("CoresPerSocket") or 1)
        elif kind == "4":
            units = _units(item.get("AllocationUnits") or "byte * 2^20")
            vm["memory_mb"] = _whole(item.get("VirtualQuantity"), f"{name}: memory") * units >> 20
    for item in items:
        kind = item.get("ResourceType", "")
        if kind == "17":
            found = re.fullmatch(r"(?:ovf:)?/disk/(.+)", item.get("HostResource", ""))
            if not found or found[1] not in disks:
                raise _bad(f"{name}: a disk refers to {item.get('HostResource')!r}")
            if item.get("Parent", "") not in controllers:
                raise _bad(f"{name}: a disk is on the controller {item.get('Parent')!r}, which is not there")
            adapter, bus = controllers[item["Parent"]]
            unit = _whole(item.get("AddressOnParent"), f"{name}: AddressOnParent")
            if 2 <= adapter <= 5 and unit == 7:
                raise _bad(f"{name}: unit 7 is the controller's own")
            if any((d["adapter"], d["bus"], d["unit"]) == (adapter, bus, unit) for d in vm["disks"]):
                raise _bad(f"{name}: two disks have the same address")
            vm["disks"].append({**disks[found[1]], "adapter": adapter, "bus": bus, "unit": unit})
        elif kind == "10":
            kind_of = NIC_TYPES.get(item.get("ResourceSubType", "").lower())
            if kind_of is None:
                raise _bad(f"{name}: unknown network card {item.get('ResourceSubType')!r}")
            network = item.get("Connection", "none")
            if network != "none" and network not in networks:
                raise _bad(f"{name}: a card is on the network {network!r}, which NetworkSection does not have")
            vm["nics"].append({"network": network, "type": kind_of, "mac": item.get("Address", "").lower()})
    if vm["cpus"] < 1 or vm["memory_mb"] < 4:
        raise _bad(f"{name} has {vm['cpus']} CPUs and {vm['memory_mb']} MiB of memory")
    return vm


def write(name: str, vms: list[Row], files: dict[str, Row]) -> bytes:
    """The descriptor for machines whose disks are downloaded; ``files`` has name and size by the disk's own id."""
    disks = [d for v in vms for d in v["disks"]]
    references = [
        el("ovf:File", ovf__href=files[d["id"]]["name"], ovf__id=f"file-{d['id']}", ovf__size=files[d["id"]]["size"])
        for d in disks
    ]
    described = [
        el(
            "ovf:Disk",
            ovf__diskId=f"vmdisk-{d['id']}",
            ovf__capacity=d["capacity"],
            ovf__capacityAllocationUnits="byte",
            ovf__fileRef=f"file-{d['id']}",
            ovf__format=FORMAT,
        )
        for d in disks
    ]
    names = sorted({n["network"] for v in vms for n in v["nics"]})
    networks = [el("ovf:Network", tx("ovf:Description", ""), ovf__name=n) for n in names]
    systems = [_system_xml(v) for v in vms]
    root = el(
        "ovf:Envelope",
        el("ovf:References", *references),
        el("ovf:DiskSection", tx("ovf:Info", "Virtual disks"), *described),
        el("ovf:NetworkSection", tx("ovf:Info", "Networks"), *networks),
        systems[0]
        if len(systems) == 1
        else el(
            "ovf:VirtualSystemCollection", tx("ovf:Info", "Machines"), tx("ovf:Name", name), *systems, ovf__id=name
        ),
    )
    return xmls.document(root)


def _system_xml(vm: Row) -> str:
    return el(
        "ovf:VirtualSystem",
        tx("ovf:Info", "A virtual machine"),
        tx("ovf:Name", vm["name"]),
        el(
            "ovf:OperatingSystemSection",
            tx("ovf:Info", "Guest operating system"),
            tx("ovf:Description", OS_TYPES.get(vm["os"], vm["os"])),
            ovf__id=102,
            vmw__osType=vm["os"],
        ),
        hardware(vm),
        ovf__id=vm["name"],
    )


def item(**values: Any) -> str:
    """An Item; its elements in the order of the schema, which is that of the alphabet."""
    attributes = {k: v for k, v in values.items() if k.startswith("attrs")}
    extra = attributes.get("attrs", {})
    return el(
        "ovf:Item",
        *(tx(f"rasd:{n}", values[n], **extra.get(n, {})) for n in sorted(values) if not n.startswith("attrs")),
    )


def hardware(vm: Row, **attributes: Any) -> str:
    """The VirtualHardwareSection of a machine."""
    items = [
        item(
            AllocationUnits="hertz * 10^6",
            Description="Number of Virtual CPUs",
            ElementName=f"{vm['cpus']} virtual CPU(s)",
            InstanceID=1,
            Reservation=0,
            ResourceType=3,
            VirtualQuantity=vm["cpus"],
            Weight=0,
        ),
        item(
            AllocationUnits="byte * 2^20",
            Description="Memory Size",
            ElementName=f"{vm['memory_mb']} MB of memory",
            InstanceID=2,
            Reservation=0,
            ResourceType=4,
            VirtualQuantity=vm["memory_mb"],
            Weight=0,
        ),
    ]
    numbers: dict[tuple[int, int], int] = {}
    for disk in vm["disks"]:
        group = (6 if 2 <= disk["adapter"] <= 5 else disk["adapter"], disk["bus"])
        if group not in numbers:
            numbers[group] = 3 + len(numbers)
            words = {1: "IDE Controller", 6: "SCSI Controller", 7: "NVMe Controller"}
            label = "SATA Controller" if disk["adapter"] == 6 else words.get(group[0], "SCSI Controller")
            items.append(
                item(
                    Address=disk["bus"], Description=label, ElementName=f"{label} {disk['bus']}",
                    InstanceID=numbers[group], ResourceSubType=SUBTYPES[disk["adapter"]] or None,
                    ResourceType=BUS_TYPES[disk["adapter"]],
                )
            )  # fmt: skip
    for i, disk in enumerate(vm["disks"]):
        group = (6 if 2 <= disk["adapter"] <= 5 else disk["adapter"], disk["bus"])
        resource = {
            "vcloud__capacity": disk["size_mb"], "vcloud__busType": BUS_TYPES[disk["adapter"]],
            "vcloud__busSubType": SUBTYPES[disk["adapter"]] or None,
            "vcloud__storageProfileOverrideVmDefault": False,
        } if attributes else {}  # fmt: skip
        items.append(
            item(
                AddressOnParent=disk["unit"], Description="Hard disk", ElementName=f"Hard disk {i + 1}",
                HostResource="" if attributes else f"ovf:/disk/vmdisk-{disk['id']}", InstanceID=disk["number"],
                Parent=numbers[group], ResourceType=17, VirtualQuantity=disk["size_mb"] << 20 if attributes else None,
                VirtualQuantityUnits="byte" if attributes else None, attrs={"HostResource": resource},
            )
        )  # fmt: skip
    for nic in sorted(vm["nics"], key=lambda n: n["index"]):
        about = (
            {
                "vcloud__ipAddress": nic.get("ip") or None,
                "vcloud__primaryNetworkConnection": nic["index"] == vm["primary"],
                "vcloud__ipAddressingMode": nic["mode"],
            }
            if attributes
            else {}
        )
        items.append(
            item(
                Address=nic["mac"], AddressOnParent=nic["index"], AutomaticAllocation=nic["connected"],
                Connection=nic["network"], Description=f"{nic['type']} ethernet adapter on {nic['network']}",
                ElementName=f"Network adapter {nic['index']}", InstanceID=4000 + nic["index"],
                ResourceSubType=nic["type"], ResourceType=10, attrs={"Connection": about},
            )
        )  # fmt: skip
    system = el(
        "ovf:System",
        tx("vssd:ElementName", "Virtual Hardware Family"),
        tx("vssd:InstanceID", 0),
        tx("vssd:VirtualSystemIdentifier", vm["name"]),
        tx("vssd:VirtualSystemType", vm["hardware"]),
    )
    config = [el("vmw:Config", vmw__key="firmware", vmw__value=vm["firmware"], ovf__required=False)]
    if vm.get("boot", {}).get("EfiSecureBootEnabled"):
        config.append(
            el("vmw:Config", vmw__key="bootOptions.efiSecureBootEnabled", vmw__value="true", ovf__required=False)
        )
    return el(
        "ovf:VirtualHardwareSection",
        tx("ovf:Info", "Virtual hardware requirements"),
        system,
        *items,
        *config,
        **attributes,
    )
