# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Legacy XML: writing it, turning it into the JSON twin, and reading requests in the schema's order of elements."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from .core import ApiError

VCLOUD = "http://www.vmware.com/vcloud/v1.5"
OVF = "http://schemas.dmtf.org/ovf/envelope/1"
RASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
VSSD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
VMW = "http://www.vmware.com/schema/ovf"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
NAMESPACES = {"": VCLOUD, "ovf": OVF, "rasd": RASD, "vssd": VSSD, "vmw": VMW, "xsi": XSI, "vcloud": VCLOUD}
_BAD = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(value: Any) -> str:
    """A value as XML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _BAD.sub("\ufffd", str(value))


def el(tag: str, *children: str | None, **attributes: Any) -> str:
    """An element. Attributes that are None are left out; ``a__b`` is ``a:b``."""
    attrs = "".join(
        f" {name.rstrip('_').replace('__', ':')}={quoteattr(text(value))}"
        for name, value in attributes.items()
        if value is not None
    )
    inner = "".join(c for c in children if c)
    return f"<{tag}{attrs}>{inner}</{tag}>" if inner else f"<{tag}{attrs}/>"


def tx(tag: str, value: Any, **attributes: Any) -> str:
    """An element with text; nothing for None."""
    return "" if value is None else el(tag, escape(text(value)), **attributes)


def document(root: str) -> bytes:
    """The whole document; the root gets the namespaces."""
    spaces = "".join(f" xmlns{':' if p else ''}{p}={quoteattr(u)}" for p, u in NAMESPACES.items())
    found = re.match(r"<[\w:]+", root)
    assert found
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{root[: found.end()]}{spaces}{root[found.end() :]}'.encode()


_GC = (
    "Info Enabled ChangeSid VirtualMachineId JoinDomainEnabled UseOrgSettings DomainName DomainUserName"
    " DomainUserPassword MachineObjectOU AdminPasswordEnabled AdminPasswordAuto AdminPassword AdminAutoLogonEnabled"
    " AdminAutoLogonCount ResetPasswordRequired CustomizationScript ComputerName Link"
)
_SECTIONS = (
    "GuestCustomizationSection|NetworkConnectionSection|NetworkConfigSection|LeaseSettingsSection|CustomizationSection"
    "|DefaultStorageProfileSection|ProductSection|VirtualHardwareSection|OperatingSystemSection|VmSpecSection"
    "|StartupSection|RuntimeInfoSection|SnapshotSection"
)
_VM = (
    f"Link Description Tasks Files VAppParent DateCreated {_SECTIONS} VAppScopedLocalId Environment VmCapabilities"
    " StorageProfile VdcComputePolicy ComputePolicy Media BootOptions"
)
ORDER = {
    "UploadVAppTemplateParams": "Description VdcStorageProfile",
    "AdminCatalog": "CatalogItems DateCreated Description Tasks Owner IsPublished VersionNumber"
    " PublishExternalCatalogParams CatalogStorageProfiles ExternalCatalogSubscriptionParams",
    "InstantiateVAppTemplateParams": "Description VAppParent InstantiationParams Source IsSourceDelete SourcedItem"
    " AllEULAsAccepted",
    "ComposeVAppParams": "Description VAppParent InstantiationParams SourcedItem CreateItem AllEULAsAccepted",
    "RecomposeVAppParams": "Description VAppParent InstantiationParams SourcedItem CreateItem AllEULAsAccepted"
    " DeleteItem",
    "SourcedItem": "Source VmGeneralParams VAppScopedLocalId InstantiationParams NetworkAssignment StorageProfile"
    " LocalityParams ComputePolicy",
    "VmGeneralParams": "Name Description NeedsCustomization RegenerateBiosUuid",
    "InstantiationParams": _SECTIONS,
    "VmTemplateInstantiationParams": _SECTIONS,
    "CreateItem": "Description GuestCustomizationSection NetworkConnectionSection VmSpecSection StorageProfile"
    " ComputePolicy BootOptions Media",
    "CreateVmParams": "Description CreateVm Media",
    "CreateVm": _VM,
    "Vm": _VM,
    "VApp": f"Link Description Tasks Files {_SECTIONS} Owner InMaintenanceMode Children",
    "InstantiateVmTemplateParams": "Description SourcedVmTemplateItem AllEULAsAccepted ComputePolicy",
    "SourcedVmTemplateItem": "LocalityParams Source VmCapabilities VmGeneralParams VmTemplateInstantiationParams"
    " StorageProfile",
    "VmSpecSection": "Info OsType Firmware NumCpus NumCoresPerSocket CpuResourceMhz MemoryResourceMb MediaSection"
    " DiskSection HardwareVersion VmToolsVersion VirtualCpuType TimeSyncWithHost",
    "CpuResourceMhz": "Configured Reservation Limit SharesLevel Shares",
    "MemoryResourceMb": "Configured Reservation Limit SharesLevel Shares",
    "DiskSection": "DiskSettings",
    "DiskSettings": "DiskId SizeMb UnitNumber BusNumber AdapterType ThinProvisioned Disk StorageProfile"
    " overrideVmDefault IopsAllocation VirtualQuantity VirtualQuantityUnit",
    "NetworkConnectionSection": "Info PrimaryNetworkConnectionIndex NetworkConnection Link",
    "NetworkConnection": "NetworkConnectionIndex IpAddress IpType SecondaryIpAddress SecondaryIpType ExternalIpAddress"
    " IsConnected MACAddress IpAddressAllocationMode SecondaryIpAddressAllocationMode NetworkAdapterType",
    "GuestCustomizationSection": _GC,
    "BootOptions": "BootDelay EnterBIOSSetup BootRetryEnabled BootRetryDelay EfiSecureBootEnabled NetworkBootProtocol",
    "ComputePolicy": "Link VmPlacementPolicy VmPlacementPolicyFinal VmSizingPolicy VmSizingPolicyFinal",
    "NetworkConfigSection": "Info Link NetworkConfig",
    "NetworkConfig": "Link Description Configuration IsDeployed",
    "Configuration": "BackwardCompatibilityMode IpScopes ParentNetwork FenceMode RetainNetInfoAcrossDeployments"
    " Features SyslogServerSettings RouterInfo SubInterface DistributedInterface GuestVlanAllowed",
    "IpScopes": "IpScope",
    "IpScope": "IsInherited Gateway Netmask SubnetPrefixLength Dns1 Dns2 DnsSuffix IsEnabled IpRanges"
    " AllocatedIpAddresses SubAllocations",
    "IpRanges": "IpRange",
    "IpRange": "StartAddress EndAddress",
    "UndeployVAppParams": "UndeployPowerAction",
    "DeployVAppParams": "",
    "CreateSnapshotParams": "Description",
    "MetadataValue": "Link Domain TypedValue",
    "Metadata": "Link MetadataEntry",
    "MetadataEntry": "Link Domain Key TypedValue",
    "DiskCreateParams": "Disk Locality",
    "Disk": "Link Description Tasks Files StorageProfile Owner",
    "DiskAttachOrDetachParams": "Disk BusNumber UnitNumber",
    "LeaseSettingsSection": "Info|Link|DeploymentLeaseInSeconds|StorageLeaseInSeconds|DeploymentLeaseExpiration"
    "|StorageLeaseExpiration",
    "Media": "Link Description Tasks Files Owner Entity VdcStorageProfile",
    "MediaInsertOrEjectParams": "Media",
    "CaptureVAppParams": "Description VAppParent Source CustomizationSection TargetCatalogItem CopyTpmOnInstantiate",
}
_GROUPS = {name: [set(g.split("|")) for g in groups.split()] for name, groups in ORDER.items()}


class Node:
    """An element of a request: children and attributes by their names without namespace."""

    def __init__(self, element: ElementTree.Element) -> None:
        self.element = element
        self.tag = local(element.tag)
        self.attrs = {local(k): v for k, v in element.attrib.items()}
        self.text = (element.text or "").strip()
        self.children = [Node(c) for c in element if isinstance(c.tag, str)]

    def one(self, *path: str) -> Node | None:
        """The first element at a path."""
        found: Node | None = self
        for tag in path:
            found = next((c for c in found.children if c.tag == tag), None) if found else None
        return found

    def all(self, tag: str) -> list[Node]:
        """All children of a name."""
        return [c for c in self.children if c.tag == tag]

    def value(self, *path: str) -> str | None:
        """The text at a path; None when it is not there."""
        found = self.one(*path)
        return None if found is None else found.text

    def href(self, *path: str) -> str:
        """The reference at a path; empty when it is not there."""
        found = self.one(*path)
        return found.attrs.get("href", "") if found else ""

    def number(self, *path: str) -> int | None:
        """The whole number at a path."""
        found = self.value(*path)
        if found is None:
            return None
        if not re.fullmatch(r"-?\d{1,18}", found):
            raise ApiError(400, f"'{found}' is no value for {path[-1]}: cvc-datatype-valid.1.2.1.")
        return int(found)

    def flag(self, *path: str) -> bool | None:
        """The truth value at a path."""
        found = self.value(*path)
        return None if found is None else truth(found, path[-1])


def truth(value: str, what: str) -> bool:
    """A truth value as XML Schema has it."""
    if value not in ("true", "false", "1", "0"):
        raise ApiError(400, f"'{value}' is no value for {what}: cvc-datatype-valid.1.2.1.")
    return value in ("true", "1")


def local(tag: str) -> str:
    """A name without its namespace."""
    return tag.rpartition("}")[2]


def parse(body: bytes) -> ElementTree.Element:
    """The root of a document without a DTD."""
    if re.search(rb"<!(DOCTYPE|ENTITY)", body[:4096], re.I) or b"<!DOCTYPE" in body:
        raise ApiError(400, "A document type declaration is not allowed.")
    try:
        return ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError) as error:
        raise ApiError(400, f"Bad request: the body is no XML: {error}") from None


def request(body: bytes, *roots: str) -> Node:
    """A request's root: one of these elements, in the vcloud namespace, with all that follows in the schema's order."""
    root = parse(body)
    if root.tag not in [f"{{{VCLOUD}}}{r}" for r in roots] + [f"{{{OVF}}}{r}" for r in roots if "Section" in r]:
        raise ApiError(400, f"Bad request: expected {' or '.join(roots)} in {VCLOUD}, found {root.tag}.")
    node = Node(root)
    _check(node)
    return node


def _check(node: Node) -> None:
    groups = _GROUPS.get(node.tag)
    if groups is not None:
        at = 0
        for child in node.children:
            if child.tag == "VCloudExtension":
                continue
            found = next((i for i in range(at, len(groups)) if child.tag in groups[i]), None)
            if found is None:
                expected = sorted(set().union(*groups[at:]))
                raise ApiError(
                    400,
                    f"Bad request: cvc-complex-type.2.4.a: Invalid content was found starting with element"
                    f" '{child.tag}'"
                    f" in '{node.tag}'. One of {expected} is expected.",
                )
            at = found
    for child in node.children:
        _check(child)


_LISTS = {
    "Link": "link",
    "Task": "task",
    "File": "file",
    "Vm": "vm",
    "NetworkConfig": "networkConfig",
    "IpScope": "ipScope",
    "IpRange": "ipRange",
    "CatalogItem": "catalogItem",
    "ResourceEntity": "resourceEntity",
    "Network": "network",
    "VdcStorageProfile": "vdcStorageProfile",
    "MetadataEntry": "metadataEntry",
    "DiskSettings": "diskSettings",
    "NetworkConnection": "networkConnection",
    "SupportedHardwareVersion": "supportedHardwareVersion",
    "Org": "org",
    "VmReference": "vmReference",
    "supportedOperatingSystem": "supportedOperatingSystem",
}
_TEXT_ONLY = re.compile(r"(name|description|value|href|id|version|key|operation|message)$", re.I)


def as_json(element: ElementTree.Element) -> Any:
    """The JSON twin of a legacy document: lowerCamelCase, sections in ``section``, records in ``record``."""
    made: dict[str, Any] = {}
    for name, value in element.attrib.items():
        if name == f"{{{XSI}}}type":
            made["_type"] = value
            continue
        made[_camel(local(name))] = _typed(local(name), value)
    for child in element:
        tag = local(child.tag)
        if tag.endswith("Record"):
            made.setdefault("record", []).append({"_type": f"QueryResult{tag}Type", **_object(child)})
        elif tag.endswith("Section") and local(element.tag) in ("VApp", "Vm", "VAppTemplate"):
            made.setdefault("section", []).append({"_type": f"{tag}Type", **_object(child)})
        elif tag in _LISTS:
            made.setdefault(_LISTS[tag], []).append(as_json(child))
        else:
            made[_camel(tag)] = as_json(child)
    if not made:
        return _typed(local(element.tag), (element.text or "").strip())
    if (element.text or "").strip():
        made["value"] = (element.text or "").strip()
    return made


def _object(element: ElementTree.Element) -> dict[str, Any]:
    found = as_json(element)
    return found if isinstance(found, dict) else {}


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def _typed(name: str, value: str) -> Any:
    if _TEXT_ONLY.search(name) or local(name) in ("Value",):
        return value
    if value in ("true", "false"):
        return value == "true"
    if re.fullmatch(r"-?\d{1,17}", value):
        return int(value)
    return value


def links(base: str, rows: Iterable[tuple[str, str, str]]) -> str:
    """Link elements of (rel, path, media type)."""
    return "".join(el("Link", rel=rel, href=f"{base}{path}", type_=kind or None) for rel, path, kind in rows)
