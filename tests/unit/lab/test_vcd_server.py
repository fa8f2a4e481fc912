# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Cloud Director over HTTPS: sessions, versions, XML, uploads, machines, networks, firewall, Orange's API."""

from __future__ import annotations

import hashlib
import http.client
import os
import random
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.vcd import Control, seed, vmdk
from tests.lab.vcd.conform import write_machine
from tests.lab.vcd.make import serve
from tests.lab.vcd.plain import (
    NS,
    V1,
    Plain,
    begin_upload,
    by_name,
    catalog,
    first_vm,
    make_body,
    make_vapp,
    routed,
    upload,
    vdc,
    wait_status,
)
from tests.lab.vcd.web import Server

CAPACITIES = (4 << 20, 1 << 20)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = serve(tmp_path / "vcd", 0, {"task_seconds": 0.01}).start()
    yield made
    made.stop()


@pytest.fixture
def control(server: Server) -> Control:
    return Control(server.url, server.cloud.folder / "ca.pem")


@pytest.fixture
def client(server: Server) -> Plain:
    made = Plain(server.url, str(server.cloud.folder / "ca.pem"))
    assert made.login().status == 200
    return made


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with machine.ovf, its two VMDKs, and the raw disks they are of."""
    folder = tmp_path_factory.mktemp("machine")
    given = random.Random(4)
    for i, size in enumerate(CAPACITIES, 1):
        with open(folder / f"{i}.raw", "wb") as out:
            out.truncate(size)
            for dummy in range(8):
                out.seek(given.randrange(size - 5000))
                out.write(given.randbytes(5000))
        vmdk.encode(folder / f"{i}.raw", folder / f"{i}.vmdk")
    write_machine(folder, (folder / "1.vmdk", folder / "2.vmdk"), CAPACITIES)
    return folder


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class TestSessions:
    def test_versions_need_no_session(self, server: Server) -> None:
        said = Plain(server.url, str(server.cloud.folder / "ca.pem")).get("/api/versions")
        found = [v.text for v in said.xml().iter("Version")]
        assert found[-1] == "39.1" and "37.1" in found and said.status == 200

    def test_login_and_logout(self, client: Plain) -> None:
        current = client.get(f"{V1}/sessions/current").json()
        assert current["org"]["name"] == seed.ORG and current["sessionIdleTimeoutMinutes"] == 30
        assert len(client.token) > 32
        assert client.call("DELETE", f"{V1}/sessions/current").status == 204
        assert client.get("/api/org").status == 401

    @pytest.mark.parametrize(
        "name, password, org",
        [("operator", "x", seed.ORG), ("nobody", "x", seed.ORG), (seed.USER, seed.PASSWORD, "other")],
    )
    def test_wrong_login(self, server: Server, name: str, password: str, org: str) -> None:
        said = Plain(server.url, str(server.cloud.folder / "ca.pem")).login(name, password, org)
        assert said.status == 401 and said.minor == "UNAUTHORIZED"

    def test_an_idle_session_ends(self, client: Plain, control: Control) -> None:
        control.options(idle_minutes=0.0)
        assert client.get("/api/org").status == 401

    @pytest.mark.parametrize("version, status", [("39.1", 200), ("37.0", 200), ("36.3", 406), ("40.0", 406), ("", 406)])
    def test_versions_that_are_served(self, client: Plain, version: str, status: int) -> None:
        assert client.get("/api/org", Accept=f"application/*+xml;version={version}").status == status
        assert client.get(f"{V1}/orgs", Accept=f"application/json;version={version}").status == status

    def test_service_accounts_rotate_their_token(self, client: Plain) -> None:
        def ask(token: str) -> Any:
            form = urllib.parse.urlencode({"grant_type": "refresh_token", "refresh_token": token})
            return client.call("POST", f"/oauth/tenant/{seed.ORG}/token", form.encode())

        first = ask(seed.SERVICE_TOKEN).json()
        assert ask(seed.SERVICE_TOKEN).status == 400
        assert ask(first["refresh_token"]).status == 200
        assert ask(seed.API_TOKEN).status == 200 and ask(seed.API_TOKEN).status == 200

    def test_what_is_not_there(self, client: Plain) -> None:
        nobody = "00000000-0000-4000-8000-000000000000"
        for path in (f"/api/vApp/vm-{nobody}", f"/api/vdc/{nobody}", f"{V1}/edgeGateways/urn:vcloud:gateway:{nobody}"):
            assert client.get(path).status == 403
        assert client.get("/api/nonsense").status == 404
        assert client.call("PATCH", "/api/org").status == 405

    def test_json_twin(self, client: Plain) -> None:
        said = client.get("/api/query?type=orgVdc&format=records", Accept="application/*+json;version=39.1")
        assert sorted(r["name"] for r in said.json()["record"]) == [seed.LONE_VDC, seed.VDC]
        shown = client.get(vdc(client), Accept="application/*+json;version=39.1").json()
        assert len(shown["vdcStorageProfiles"]["vdcStorageProfile"]) == 2
        meta = client.get(vdc(client) + "/metadata", Accept="application/*+json;version=39.1").json()
        assert {e["key"]: e["typedValue"]["value"] for e in meta["metadataEntry"]}["vdcServiceClass"] == "STD"


class TestXml:
    @pytest.mark.parametrize(
        "body, status",
        [
            ('<AdminCatalog {ns} name="a"><Description>x</Description></AdminCatalog>', 201),
            (
                '<AdminCatalog {ns} name="a"><IsPublished>false</IsPublished><Description/></AdminCatalog>',
                400,
            ),
            ('<AdminCatalog {ns} name="a"><Nonsense/></AdminCatalog>', 400),
            ('<AdminCatalog name="a"/>', 400),
            ('<Catalog {ns} name="a"/>', 400),
            ('<!DOCTYPE a [<!ENTITY x "y">]><AdminCatalog {ns} name="a"/>', 400),
            ("<AdminCatalog", 400),
        ],
    )
    def test_the_order_of_elements_counts(self, client: Plain, body: str, status: int) -> None:
        org = str(client.get("/api/org").xml().find("Org").get("href"))
        address = org.replace("/api/org/", "/api/admin/org/") + "/catalogs"
        said = client.call("POST", address, body.replace("{ns}", NS), "admin.catalog")
        assert said.status == status, said.body

    def test_the_media_type_counts(self, client: Plain) -> None:
        said = client.call(
            "POST", f"{vdc(client)}/action/composeVApp", f'<ComposeVAppParams {NS} name="x"/>', "vcloud.vApp"
        )
        assert said.status == 415


class TestUpload:
    def test_ranges_and_resumption(self, server: Server, client: Plain, machine: Path) -> None:
        template, links = begin_upload(client, catalog(client), machine)
        data = (machine / "disk1.vmdk").read_bytes()
        total, half = len(data), len(data) // 2

        def put(first: int, last: int, of: int) -> int:
            return client.call(
                "PUT", links["disk1.vmdk"], data[first : last + 1], Content_Range=f"bytes {first}-{last}/{of}"
            ).status

        assert put(0, half - 1, total) == 200
        assert put(half + 10, total - 1, total) == 416  # a hole
        assert put(0, half - 1, total) == 416  # again
        assert put(half, total - 1, total + 5) == 416  # another size
        shown = {f.get("name"): f for f in client.get(template).xml().findall("Files/File")}
        assert shown["disk1.vmdk"].get("bytesTransferred") == str(half)
        assert put(half, total - 1, total) == 200
        assert client.call("PUT", links["disk2.vmdk"], (machine / "disk2.vmdk").read_bytes()).status == 200
        found = wait_status(client, template, "8")
        assert found.find("Children/Vm").get("name") == "machine"
        disks = next(iter(server.cloud.find("vm", place="vapptemplate")))["disks"]
        for i, disk in enumerate(disks, 1):
            assert digest(server.cloud.folder / "disks" / disk["file"]) == digest(machine / f"{i}.raw")

    def test_a_cut_connection_keeps_what_came(self, client: Plain, control: Control, machine: Path) -> None:
        template, links = begin_upload(client, catalog(client), machine)
        data = (machine / "disk1.vmdk").read_bytes()
        control.faults(cut_upload={"after": 20000, "times": 1})
        with pytest.raises((http.client.HTTPException, OSError)):
            client.call("PUT", links["disk1.vmdk"], data)
        shown = {f.get("name"): f for f in client.get(template).xml().findall("Files/File")}
        at = int(shown["disk1.vmdk"].get("bytesTransferred") or 0)
        assert at == 20000
        rest = data[at:]
        said = client.call("PUT", links["disk1.vmdk"], rest, Content_Range=f"bytes {at}-{len(data) - 1}/{len(data)}")
        assert said.status == 200

    def test_no_length_is_refused(self, client: Plain, machine: Path) -> None:
        dummy, links = begin_upload(client, catalog(client), machine)
        target = links["disk1.vmdk"].removeprefix(client.url)
        # it answers, and closes, before a body can be sent
        client.connection.putrequest("PUT", target)
        client.connection.putheader("Authorization", f"Bearer {client.token}")
        client.connection.putheader("Transfer-Encoding", "chunked")
        client.connection.endheaders()
        assert client.connection.getresponse().status == 411

    def test_a_wrong_size_waits_for_ever(self, client: Plain, control: Control, machine: Path, tmp_path: Path) -> None:
        text = (machine / "machine.ovf").read_text()
        size = (machine / "disk1.vmdk").stat().st_size
        (tmp_path / "machine.ovf").write_text(text.replace(f'"{size}"', f'"{size + 7}"'))
        template, links = begin_upload(client, catalog(client), tmp_path)
        for name, link in links.items():
            assert client.call("PUT", link, (machine / name).read_bytes()).status in (200, 416)
        assert client.get(template).xml().get("status") == "0"
        control.options(transfer_idle_seconds=0)
        shown = client.get(template).xml()
        assert shown.get("status") == "17"
        assert shown.find("Tasks/Task/Error").get("minorErrorCode") == "TIMEDOUT"

    @pytest.mark.parametrize(
        "old, new, words",
        [
            ("vmx-19", "vmx-21", "vmx-21"),
            ('ovf:fileRef="f2"', 'ovf:fileRef="f9"', "f9"),
            ("http://schemas.dmtf.org/ovf/envelope/1", "http://www.vmware.com/schema/ovf/1/envelope", "Envelope"),
            ("vmdk.html#streamOptimized", "vmdk.html#sparse", "format"),
            (f'"{CAPACITIES[0]}"', f'"{3 << 40}"', "at most"),
            (
                "<rasd:Address>0</rasd:Address><rasd:ElementName>SCSI",
                "<rasd:ElementName>SCSI</rasd:ElementName><rasd:Address>0</rasd:Address><rasd:ElementName>SCSI",
                "order",
            ),
            ("<rasd:Parent>3</rasd:Parent>", "<rasd:Parent>8</rasd:Parent>", "controller"),
            (">VM Network</rasd:Connection>", ">Other</rasd:Connection>", "Other"),
        ],
    )
    def test_bad_descriptors(
        self, client: Plain, machine: Path, tmp_path: Path, old: str, new: str, words: str
    ) -> None:
        text = (machine / "machine.ovf").read_text()
        assert old in text
        (tmp_path / "machine.ovf").write_text(text.replace(old, new))
        where = catalog(client)
        template, dummy = begin_upload(client, where, tmp_path)
        shown = client.get(template).xml()
        assert shown.get("status") == "-1"
        assert words in shown.find("Tasks/Task/Error").get("message")
        body = f'<UploadVAppTemplateParams {NS} name="machine"/>'
        said = client.call("POST", f"{where}/action/upload", body, "vcloud.uploadVAppTemplateParams")
        assert said.minor == "DUPLICATE_NAME"  # the name stays taken
        assert client.call("DELETE", template).status == 202

    def test_a_damaged_disk_is_refused(self, client: Plain, control: Control, machine: Path) -> None:
        control.faults(corrupt_upload={"offset": 70000, "match": "disk1", "times": 1})
        template, links = begin_upload(client, catalog(client), machine)
        for name, link in links.items():
            client.call("PUT", link, (machine / name).read_bytes())
        shown = wait_status(client, template, "-1")
        assert "disk1.vmdk" in shown.find("Tasks/Task/Error").get("message")

    def test_cancelling(self, server: Server, client: Plain, machine: Path) -> None:
        template, dummy = begin_upload(client, catalog(client), machine)
        assert client.call("DELETE", template).minor == "BUSY_ENTITY"
        task = client.get(template).xml().find("Tasks/Task")
        assert client.call("POST", f"{task.get('href')}/action/cancel").status == 204
        assert client.get(template).status == 403  # what is cancelled disappears
        assert not server.cloud.table("catalogitem") and not os.listdir(server.cloud.folder / "transfer")

    def test_storage_limits(self, client: Plain, server: Server, control: Control, machine: Path) -> None:
        for row in server.cloud.find("storageprofile"):
            control.patch("storageprofile", row["id"], limit_mb=3)
        template, dummy = begin_upload(client, catalog(client), machine)
        shown = client.get(template).xml()
        assert shown.find("Tasks/Task/Error").get("minorErrorCode") == "STORAGE_QUOTA_EXCEEDED"


class TestMachines:
    def test_instantiate_with_everything_named(self, server: Server, client: Plain, machine: Path) -> None:
        template = upload(client, catalog(client), machine)
        net = routed(client)
        where = vdc(client)
        source = client.get(template).xml().find("Children/Vm").get("href")
        profile = client.get("/api/query?type=orgVdcStorageProfile&filter=name==silver;vdcName==" + seed.VDC).xml()
        silver = profile.find("OrgVdcStorageProfileRecord").get("href")
        address = f"{client.url}/api/network/{net.rpartition(':')[2]}"
        nets = (
            '<NetworkConfigSection><ovf:Info/><NetworkConfig networkName="net"><Configuration>'
            f'<ParentNetwork href="{address}"/><FenceMode>bridged</FenceMode></Configuration></NetworkConfig>'
            "</NetworkConfigSection>"
        )

        def item(ip: str, mode: str = "MANUAL", mac: str = "fa:16:3e:aa:bb:cc") -> str:
            return (
                f'<SourcedItem><Source href="{source}"/><VmGeneralParams><Name>web</Name><Description>d</Description>'
                "<NeedsCustomization>false</NeedsCustomization></VmGeneralParams><InstantiationParams>"
                "<NetworkConnectionSection><ovf:Info/><PrimaryNetworkConnectionIndex>0</PrimaryNetworkConnectionIndex>"
                f'<NetworkConnection network="net"><NetworkConnectionIndex>0</NetworkConnectionIndex>'
                f"<IpAddress>{ip}</IpAddress><IsConnected>true</IsConnected><MACAddress>{mac}</MACAddress>"
                f"<IpAddressAllocationMode>{mode}</IpAddressAllocationMode><NetworkAdapterType>VMXNET3</NetworkAdapterType>"
                "</NetworkConnection></NetworkConnectionSection></InstantiationParams>"
                f'<StorageProfile href="{silver}"/></SourcedItem>'
            )

        vapp = make_vapp(client, where, template, nets=nets, items=item("10.9.1.77"))
        shown = client.get(first_vm(client, vapp)).xml()
        assert shown.get("name") == "web" and shown.get("status") == "8" and shown.get("deployed") == "false"
        assert shown.find("StorageProfile").get("name") == "silver"
        assert shown.findtext("VmSpecSection/Firmware") == "efi"
        nic = shown.find("NetworkConnectionSection/NetworkConnection")
        assert (nic.findtext("IpAddress"), nic.findtext("MACAddress")) == ("10.9.1.77", "fa:16:3e:aa:bb:cc")
        view = Control(server.url, server.cloud.folder / "ca.pem").machines()[1][0]
        assert [d["controller"] for d in view["disks"]] == ["pvscsi", "pvscsi"] and view["firmware"] == "efi"
        assert digest(Path(view["disks"][0]["path"])) == digest(machine / "1.raw")
        assert (view["nics"][0]["gateway"], view["nics"][0]["prefix"]) == ("10.9.1.1", 24)
        body = make_body("app2", nets, template, item("10.9.1.77", mac="fa:16:3e:aa:bb:cd"))
        refused = client.call(
            "POST", f"{where}/action/instantiateVAppTemplate", body, "vcloud.instantiateVAppTemplateParams"
        )
        assert refused.minor == "IP_IN_USE"
        body = make_body("app2", nets, template, item("10.8.1.77", mac="fa:16:3e:aa:bb:cd"))
        refused = client.call(
            "POST", f"{where}/action/instantiateVAppTemplate", body, "vcloud.instantiateVAppTemplateParams"
        )
        assert refused.minor == "INVALID_IP"
        body = make_body("app2", nets, template, item("10.9.1.78"))
        refused = client.call(
            "POST", f"{where}/action/instantiateVAppTemplate", body, "vcloud.instantiateVAppTemplateParams"
        )
        assert refused.minor == "DUPLICATE_MAC"

    def test_power_and_undeploy_and_links(self, client: Plain, control: Control, machine: Path) -> None:
        vapp = make_vapp(client, vdc(client), upload(client, catalog(client), machine))
        vm = first_vm(client, vapp)

        def rels() -> set[str]:
            return {str(link.get("rel")) for link in client.get(vm).xml().findall("Link")}

        assert {"power:powerOn", "remove", "deploy"} <= rels() and "undeploy" not in rels()
        client.done(client.call("POST", f"{vm}/power/action/powerOn"))
        assert control.machines()[1][0]["power"] == "poweredOn"
        assert "remove" not in rels() and "power:shutdown" not in rels()
        assert client.call("POST", f"{vm}/power/action/shutdown").minor == "VMWARE_TOOLS_NOT_RUNNING"
        control.guest(control.machines()[1][0]["moref"], hostname="web", ip="10.0.0.5")
        assert "power:shutdown" in rels()
        assert client.call("DELETE", vm).minor == "INVALID_STATE"
        client.done(client.call("POST", f"{vm}/power/action/powerOff"))
        assert client.get(vm).xml().get("deployed") == "true"
        assert client.call("DELETE", vm).minor == "INVALID_STATE"
        body = f"<UndeployVAppParams {NS}><UndeployPowerAction>powerOff</UndeployPowerAction></UndeployVAppParams>"
        client.done(client.call("POST", f"{vm}/action/undeploy", body, "vcloud.undeployVAppParams"))
        client.done(client.call("DELETE", vapp))
        assert client.get(vapp).status == 403 and not control.machines()[1]

    def test_busy(self, client: Plain, control: Control, machine: Path) -> None:
        vapp = make_vapp(client, vdc(client), upload(client, catalog(client), machine))
        vm = first_vm(client, vapp)
        control.options(task_seconds=0.5)
        said = client.call("POST", f"{vm}/power/action/powerOn")
        refused = client.call("POST", f"{vm}/power/action/powerOff")
        assert (refused.status, refused.minor) == (400, "BUSY_ENTITY")
        shown = client.get(vm).xml()
        assert shown.find("Tasks/Task") is not None
        assert "disk:attach" not in {link.get("rel") for link in shown.findall("Link")}
        control.options(task_seconds=0.01)
        client.done(said)

    def test_disks_left_out_are_deleted(self, server: Server, client: Plain, machine: Path) -> None:
        vapp = make_vapp(client, vdc(client), upload(client, catalog(client), machine))
        vm = first_vm(client, vapp)
        spec = (
            f'<Vm {NS} name="machine"><VmSpecSection Modified="true"><ovf:Info/><NumCpus>3</NumCpus><DiskSection>'
            "<DiskSettings>"
            "<DiskId>2000</DiskId><SizeMb>6</SizeMb><UnitNumber>0</UnitNumber><BusNumber>0</BusNumber><AdapterType>6</AdapterType>"
            "</DiskSettings></DiskSection></VmSpecSection></Vm>"
        )
        before = [d["path"] for d in Control(server.url, server.cloud.folder / "ca.pem").machines()[1][0]["disks"]]
        client.done(client.call("POST", f"{vm}/action/reconfigureVm", spec, "vcloud.vm"))
        view = Control(server.url, server.cloud.folder / "ca.pem").machines()[1][0]
        assert (view["cpus"], [d["controller"] for d in view["disks"]]) == (3, ["sata"])
        assert Path(before[0]).stat().st_size == 6 << 20 and not Path(before[1]).exists()
        wrong = spec.replace(
            "<UnitNumber>0</UnitNumber><BusNumber>0</BusNumber>", "<BusNumber>0</BusNumber><UnitNumber>0</UnitNumber>"
        )
        assert client.call("POST", f"{vm}/action/reconfigureVm", wrong, "vcloud.vm").status == 400

    def test_firmware_needs_a_late_version(self, client: Plain, machine: Path) -> None:
        vapp = make_vapp(client, vdc(client), upload(client, catalog(client), machine))
        vm = first_vm(client, vapp)
        old = client.get(vm, Accept="application/*+xml;version=37.0").xml()
        assert old.find("VmSpecSection/Firmware") is None and old.find("BootOptions") is None
        assert client.get(vm).xml().findtext("VmSpecSection/Firmware") == "efi"

    def test_snapshots(self, server: Server, client: Plain, control: Control, machine: Path) -> None:
        vapp = make_vapp(client, vdc(client), upload(client, catalog(client), machine))
        vm = first_vm(client, vapp)
        body = (
            f'<CreateSnapshotParams {NS} name="s" memory="false" quiesce="false"><Description/></CreateSnapshotParams>'
        )
        client.done(client.call("POST", f"{vm}/action/createSnapshot", body, "vcloud.createSnapshotParams"))
        assert client.get(vm).xml().find("SnapshotSection/Snapshot") is not None
        path = Path(control.machines()[1][0]["disks"][0]["path"])
        with open(path, "r+b") as out:
            out.write(b"changed by the guest")
        client.done(client.call("POST", f"{vm}/action/revertToCurrentSnapshot"))
        assert digest(path) == digest(machine / "1.raw")
        client.done(client.call("POST", f"{vm}/action/removeAllSnapshots"))
        assert client.get(vm).xml().find("SnapshotSection/Snapshot") is None

    def test_download(self, client: Plain, server: Server, machine: Path, tmp_path: Path) -> None:
        vapp = make_vapp(client, vdc(client), upload(client, catalog(client), machine))
        client.done(client.call("POST", f"{vapp}/action/enableDownload"))
        links = {link.get("rel"): str(link.get("href")) for link in client.get(vapp).xml().findall("Link")}
        descriptor = client.get(links["download:default"])
        assert descriptor.status == 200
        names = [f.get("href") for f in descriptor.xml().findall("References/File")]
        sizes = [int(f.get("size") or 0) for f in descriptor.xml().findall("References/File")]
        base = links["download:default"].rpartition("/")[0]
        for i, (name, size) in enumerate(zip(names, sizes, strict=True), 1):
            whole = client.get(f"{base}/{name}").body
            assert len(whole) == size
            part = client.get(f"{base}/{name}", Range="bytes=100-199")
            assert (part.status, part.body) == (206, whole[100:200])
            (tmp_path / "disk.vmdk").write_bytes(whole)
            vmdk.decode(tmp_path / "disk.vmdk", tmp_path / "disk.raw")
            assert digest(tmp_path / "disk.raw") == digest(machine / f"{i}.raw")
        assert client.get(f"{base}/{names[0]}", Range="bytes=99999999-").status == 416
        assert client.call("POST", f"{vapp}/action/disableDownload").status == 204
        assert client.get(f"{base}/{names[0]}").status == 403
        vm = first_vm(client, vapp)
        client.done(client.call("POST", f"{vm}/power/action/powerOn"))
        assert client.call("POST", f"{vapp}/action/enableDownload").minor == "INVALID_STATE"

    def test_metadata(self, client: Plain, machine: Path) -> None:
        vapp = make_vapp(client, vdc(client), upload(client, catalog(client), machine))
        vm = first_vm(client, vapp)
        body = (
            f'<MetadataValue {NS}><Domain visibility="READWRITE">GENERAL</Domain>'
            '<TypedValue xsi:type="MetadataStringValue">'
            "<Value>a &lt;b&gt;</Value></TypedValue></MetadataValue>"
        )
        client.done(client.call("PUT", f"{vm}/metadata/cloudexit.source_id", body, "vcloud.metadata.value"))
        shown = client.get(f"{vm}/metadata/").xml()
        assert [(e.findtext("Key"), e.findtext("TypedValue/Value")) for e in shown.findall("MetadataEntry")] == [
            ("cloudexit.source_id", "a <b>")
        ]
        said = client.get("/api/query?type=vm&format=records&filter=metadata:cloudexit.source_id==STRING:a%20%3Cb%3E")
        assert len(said.xml().findall("VMRecord")) == 1
        wrong = body.replace("GENERAL", "SYSTEM")
        assert client.call("PUT", f"{vm}/metadata/x", wrong, "vcloud.metadata.value").status == 403
        assert client.call("PUT", f"{vdc(client)}/metadata/x", body, "vcloud.metadata.value").status == 403
        client.done(client.call("DELETE", f"{vm}/metadata/cloudexit.source_id"))
        assert client.get(f"{vm}/metadata/cloudexit.source_id").status == 404

    def test_a_task_that_fails_leaves_nothing(
        self, server: Server, client: Plain, control: Control, machine: Path
    ) -> None:
        template = upload(client, catalog(client), machine)
        control.faults(task_error={"match": "vdcInstantiateVapp", "message": "no room", "minor": "X", "times": 1})
        said = client.call(
            "POST",
            f"{vdc(client)}/action/instantiateVAppTemplate",
            make_body("app", "", template, ""),
            "vcloud.instantiateVAppTemplateParams",
        )
        task = client.task(said)
        assert task.get("status") == "error" and "no room" in task.find("Error").get("message")
        assert not server.cloud.find("vm", place="vapp")


class TestNetworks:
    def test_networks_and_their_limits(self, client: Plain) -> None:
        net = routed(client)
        shown = client.get(f"{V1}/orgVdcNetworks/{net}").json()
        assert shown["networkType"] == "NAT_ROUTED" and shown["subnets"]["values"][0]["gateway"] == "10.9.1.1"
        again = client.call("POST", f"{V1}/orgVdcNetworks", {**shown, "id": None})
        assert again.minor == "DUPLICATE_NAME"
        overlapping = client.call("POST", f"{V1}/orgVdcNetworks", {**shown, "name": "other"})
        assert overlapping.status == 400
        moved = {**shown, "subnets": {"values": [{**shown["subnets"]["values"][0], "gateway": "10.9.1.2"}]}}
        assert client.call("PUT", f"{V1}/orgVdcNetworks/{net}", moved).status == 400
        pool = {
            "enabled": True,
            "mode": "EDGE",
            "dhcpPools": [{"enabled": True, "ipRange": {"startAddress": "10.9.1.11", "endAddress": "10.9.1.30"}}],
        }
        assert client.call("PUT", f"{V1}/orgVdcNetworks/{net}/dhcp", pool).status == 400  # overlaps the static pool
        pool["dhcpPools"][0]["ipRange"]["startAddress"] = "10.9.1.20"
        client.done(client.call("PUT", f"{V1}/orgVdcNetworks/{net}/dhcp", pool))
        assert client.get(f"{V1}/orgVdcNetworks/{net}/dhcp").json()["enabled"] is True
        client.done(client.call("DELETE", f"{V1}/orgVdcNetworks/{net}"))
        assert client.get(f"{V1}/orgVdcNetworks/{net}").status == 403

    def test_bindings_and_a_second_subnet(self, client: Plain) -> None:
        edge = by_name(client, "edgeGateways", seed.EDGE)
        six = {"gateway": "2001:db8::1", "prefixLength": 64}
        body: dict[str, Any] = {
            "name": "n",
            "ownerRef": edge["ownerRef"],
            "networkType": "NAT_ROUTED",
            "connection": {"routerRef": {"id": edge["id"]}},
            "subnets": {"values": [{"gateway": "10.1.0.1", "prefixLength": 24}, six]},
        }
        assert client.call("POST", f"{V1}/orgVdcNetworks/", body).status == 400, "without enableDualSubnetNetwork"
        client.done(client.call("POST", f"{V1}/orgVdcNetworks/", {**body, "enableDualSubnetNetwork": True}))
        path = f"{V1}/orgVdcNetworks/{by_name(client, 'orgVdcNetworks', 'n')['id']}/dhcp"
        card: dict[str, Any] = {
            "name": "a",
            "bindingType": "IPV4",
            "macAddress": "fa:16:3e:00:00:01",
            "ipAddress": "10.1.0.9",
        }
        assert client.call("POST", f"{path}/bindings/", card).status == 400, "there is no DHCP"
        pools = [{"enabled": True, "ipRange": {"startAddress": "10.1.0.20", "endAddress": "10.1.0.30"}}]
        client.done(client.call("PUT", path, {"enabled": True, "mode": "EDGE", "dhcpPools": pools}))
        for wrong in (
            {"name": ""},
            {"macAddress": "fa:16"},
            {"bindingType": "IPV6"},
            {"ipAddress": "10.2.0.9"},
            {"ipAddress": "10.1.0.1"},
        ):
            assert client.call("POST", f"{path}/bindings/", {**card, **wrong}).status == 400
        client.done(client.call("POST", f"{path}/bindings/", card))
        other = {**card, "ipAddress": "10.1.0.10"}
        assert client.call("POST", f"{path}/bindings/", other).status == 400, "the card has one already"
        (row,) = client.get(f"{path}/bindings/").json()["values"]
        stale = {**row, "ipAddress": "10.1.0.11", "version": {"version": 7}}
        assert client.call("PUT", f"{path}/bindings/{row['id']}", stale).status == 409
        client.done(client.call("PUT", f"{path}/bindings/{row['id']}", {**row, "ipAddress": "10.1.0.11"}))
        assert client.call("PUT", path, {"enabled": False}).status == 400, "while it has bindings"
        client.done(client.call("DELETE", f"{path}/bindings/{row['id']}"))
        client.done(client.call("PUT", path, {"enabled": False}))

    def test_a_network_locks_its_edge(self, client: Plain, control: Control) -> None:
        edge = by_name(client, "edgeGateways", seed.EDGE)
        control.options(task_seconds=0.3)
        body = {
            "name": "n",
            "ownerRef": edge["ownerRef"],
            "networkType": "NAT_ROUTED",
            "connection": {"routerRef": {"id": edge["id"]}},
            "subnets": {"values": [{"gateway": "10.1.0.1", "prefixLength": 24}]},
        }
        said = client.call("POST", f"{V1}/orgVdcNetworks/", body)
        refused = client.call("PUT", f"{V1}/edgeGateways/{edge['id']}/firewall/rules", {"userDefinedRules": []})
        assert (refused.status, refused.minor) == (400, "BUSY_ENTITY")
        client.done(said)

    def test_configuring_for_a_while(self, client: Plain, control: Control) -> None:
        edge = by_name(client, "edgeGateways", seed.EDGE)
        control.options(configuring_seconds=0.2)
        client.done(client.call("PUT", f"{V1}/edgeGateways/{edge['id']}/firewall/rules", {"userDefinedRules": []}))
        assert client.get(f"{V1}/edgeGateways/{edge['id']}").json()["status"] == "CONFIGURING"
        until = time.time() + 5
        while client.get(f"{V1}/edgeGateways/{edge['id']}").json()["status"] != "REALIZED":
            assert time.time() < until
            time.sleep(0.02)

    def test_pages(self, client: Plain, control: Control) -> None:
        control.foreign(seed.EDGE, firewall=130, nat=130)
        edge = by_name(client, "edgeGateways", seed.EDGE)
        context = f"filter=_context=={edge['id']};typeValue==IP_SET"
        found = client.get(f"{V1}/firewallGroups/summaries?pageSize=128&{context}")
        assert found.json()["resultTotal"] == 130 and "nextPage" in str(found.headers.get("Link"))
        assert len(client.get(f"{V1}/firewallGroups/summaries?pageSize=128&page=2&{context}").json()["values"]) == 2
        assert client.get(f"{V1}/firewallGroups/summaries").status == 400
        assert client.get(f"{V1}/firewallGroups/summaries?pageSize=129&{context}").status == 400
        nat = client.get(f"{V1}/edgeGateways/{edge['id']}/nat/rules")
        assert "resultTotal" not in nat.json() and "cursor=128" in str(nat.headers.get("Link"))


class TestFirewall:
    @pytest.fixture
    def edge(self, client: Plain) -> dict[str, Any]:
        return by_name(client, "edgeGateways", seed.EDGE)

    def rule(self, name: str, **given: Any) -> dict[str, Any]:
        return {
            "name": name,
            "actionValue": "ALLOW",
            "enabled": True,
            "direction": "IN_OUT",
            "ipProtocol": "IPV4",
            **given,
        }

    def test_the_list_is_replaced_and_versions_count(
        self, client: Plain, control: Control, edge: dict[str, Any]
    ) -> None:
        control.foreign(seed.EDGE, firewall=200)
        url = f"{V1}/edgeGateways/{edge['id']}/firewall/rules"
        before = client.get(url).json()["userDefinedRules"]
        assert len(before) == 200
        client.done(client.call("PUT", url, {"userDefinedRules": [self.rule("ours"), *before]}))
        after = client.get(url).json()["userDefinedRules"]
        assert after[1:] == before and after[0]["version"] == {"version": 0}
        changed = [{**after[0], "actionValue": "DROP"}, *after[1:]]
        client.done(client.call("PUT", url, {"userDefinedRules": changed}))
        assert client.get(url).json()["userDefinedRules"][0]["version"] == {"version": 1}
        assert client.call("PUT", url, {"userDefinedRules": changed}).minor == "CONCURRENT_MODIFICATION"
        client.done(client.call("DELETE", f"{url}/{after[0]['id']}"))
        assert client.get(url).json()["userDefinedRules"] == before

    def test_what_a_rule_may_not_be(self, client: Plain, edge: dict[str, Any]) -> None:
        url = f"{V1}/edgeGateways/{edge['id']}/firewall/rules"
        nobody = "urn:vcloud:firewallGroup:00000000-0000-4000-8000-000000000000"
        for given in (
            {"actionValue": "PASS"},
            {"ipProtocol": "IPX"},
            {"sourceFirewallGroups": [{"id": nobody}]},
            {"name": ""},
        ):
            assert client.call("PUT", url, {"userDefinedRules": [{**self.rule("x"), **given}]}).status == 400
        assert client.get(url).json()["defaultRules"][0]["actionValue"] == "DROP"

    def test_distributed(self, client: Plain, edge: dict[str, Any]) -> None:
        url = f"{V1}/vdcGroups/{edge['ownerRef']['id']}/dfwPolicies"
        assert client.get(url).json()["enabled"] is True
        default = client.get(f"{url}/default/rules").json()["values"]
        assert [r["name"] for r in default] == [f"Default_VdcGroup_{seed.GROUP}"]
        rules = [self.rule("a", comments="sg-1"), {**default[0], "actionValue": "DROP"}]
        client.done(client.call("PUT", f"{url}/default/rules", {"values": rules}))
        found = client.get(f"{url}/default/rules").json()["values"]
        assert [(r["name"], r["actionValue"]) for r in found] == [("a", "ALLOW"), (default[0]["name"], "DROP")]
        assert found[0]["comments"] == "sg-1"

    def test_groups_profiles_and_their_use(self, client: Plain, edge: dict[str, Any]) -> None:
        owner = edge["ownerRef"]
        body = {
            "name": "set",
            "ownerRef": owner,
            "typeValue": "IP_SET",
            "ipAddresses": ["10.0.0.1", "10.0.0.0/24", "10.0.0.5-10.0.0.9"],
        }
        group = client.done(client.call("POST", f"{V1}/firewallGroups/", body)).find("Owner").get("id")
        assert client.call("POST", f"{V1}/firewallGroups/", body).minor == "DUPLICATE_NAME"
        assert (
            client.call("POST", f"{V1}/firewallGroups/", {**body, "name": "b", "ipAddresses": ["10.0.0.300"]}).status
            == 400
        )
        ports = {
            "name": "p",
            "scope": "TENANT",
            "contextEntityId": owner["id"],
            "applicationPorts": [{"protocol": "TCP", "destinationPorts": ["80", "90-91"]}],
        }
        profile = client.done(client.call("POST", f"{V1}/applicationPortProfiles/", ports)).find("Owner").get("id")
        wrong = {**ports, "name": "q", "applicationPorts": [{"protocol": "TCP", "destinationPorts": ["91-90"]}]}
        assert client.call("POST", f"{V1}/applicationPortProfiles/", wrong).status == 400
        listed = client.get(f"{V1}/applicationPortProfiles/?filter=_context=={owner['id']}&pageSize=128").json()[
            "values"
        ]
        assert {"HTTP", "SSH", "p"} <= {r["name"] for r in listed}
        url = f"{V1}/edgeGateways/{edge['id']}/firewall/rules"
        rule = self.rule("r", destinationFirewallGroups=[{"id": group}], applicationPortProfiles=[{"id": profile}])
        client.done(client.call("PUT", url, {"userDefinedRules": [rule]}))
        assert client.call("DELETE", f"{V1}/firewallGroups/{group}").minor == "FIREWALL_GROUP_IN_USE"
        assert (
            client.call("DELETE", f"{V1}/applicationPortProfiles/{profile}").minor == "APPLICATION_PORT_PROFILE_IN_USE"
        )
        client.done(client.call("DELETE", url))
        client.done(client.call("DELETE", f"{V1}/firewallGroups/{group}"))
        client.done(client.call("DELETE", f"{V1}/applicationPortProfiles/{profile}"))

    def test_nat(self, client: Plain, control: Control, edge: dict[str, Any]) -> None:
        control.patch("gateway", edge["id"].rpartition(":")[2], public=["198.51.100.10"])
        url = f"{V1}/edgeGateways/{edge['id']}/nat/rules"
        body = {
            "name": "n",
            "enabled": True,
            "type": "SNAT",
            "externalAddresses": "198.51.100.10",
            "internalAddresses": "10.0.0.0/24",
        }
        task = client.done(client.call("POST", f"{url}/", body))
        assert task.find("Owner").get("id") == edge["id"]
        made = client.get(url).json()["values"][0]
        assert client.call("POST", url, {**body, "externalAddresses": "192.0.2.1"}).status == 400
        assert client.call("POST", url, {k: v for k, v in body.items() if k != "externalAddresses"}).status == 400
        assert client.get(f"{url}?filter=name==n").status == 400
        client.done(client.call("PUT", f"{url}/{made['id']}", {**made, "name": "m"}))
        assert client.call("PUT", f"{url}/{made['id']}", {**made, "name": "o"}).status == 409
        used = client.get(f"{V1}/edgeGateways/{edge['id']}/usedIpAddresses").json()["values"]
        assert [u["ipAddress"] for u in used] == ["198.51.100.10"]
        client.done(client.call("DELETE", f"{url}/{made['id']}"))
        assert client.get(url).json()["values"] == []

    def test_static_routes(self, client: Plain, edge: dict[str, Any]) -> None:
        url = f"{V1}/edgeGateways/{edge['id']}/routing/staticRoutes"
        body = {"name": "r", "networkCidr": "10.50.0.0/16", "nextHops": [{"ipAddress": "10.9.1.9", "adminDistance": 1}]}
        task = client.done(client.call("POST", f"{url}/", body))
        made = client.get(f"{url}/{task.findtext('Details')}").json()
        assert made["networkCidr"] == "10.50.0.0/16"
        client.done(client.call("DELETE", f"{url}/{made['id']}"))

    def test_rights(self, server: Server, edge: dict[str, Any]) -> None:
        reader = Plain(server.url, str(server.cloud.folder / "ca.pem"))
        assert reader.login(seed.READER, seed.READER_PASSWORD).status == 200
        url = f"{V1}/edgeGateways/{edge['id']}/firewall/rules"
        assert reader.get(url).status == 200
        refused = reader.call("PUT", url, {"userDefinedRules": []})
        assert (refused.status, refused.minor) == (403, "ACCESS_TO_RESOURCE_IS_FORBIDDEN")
        assert "add" not in {link.get("rel") for link in reader.get(vdc(reader)).xml().findall("Link")}


class TestBalancing:
    def test_what_a_pool_and_a_service_need(self, client: Plain, control: Control) -> None:
        edge = by_name(client, "edgeGateways", seed.EDGE)
        gate = {"gatewayRef": {"id": edge["id"]}}
        pool: dict[str, Any] = {"name": "p", **gate, "algorithm": "ROUND_ROBIN", "defaultPort": 80}
        member = {"ipAddress": "10.1.0.10", "port": 80, "ratio": 1, "enabled": True}
        base = f"{V1}/loadBalancer"
        for wrong in (
            {"algorithm": "FAIR"},
            {"healthMonitors": [{"type": "SSH"}]},
            {"members": [{**member, "ipAddress": "x"}]},
            {"members": [{**member, "port": 0}]},
            {"members": [member, member]},
            {"persistenceProfile": {"type": "APP_COOKIE"}},
        ):
            assert client.call("POST", f"{base}/pools/", {**pool, **wrong}).status == 400, wrong
        client.done(client.call("POST", f"{base}/pools/", {**pool, "members": [member]}))
        (row,) = client.get(f"{V1}/edgeGateways/{edge['id']}/loadBalancer/poolSummaries").json()["values"]
        (engines,) = [
            one["serviceEngineGroupRef"]
            for one in client.get(f"{base}/serviceEngineGroups/assignments").json()["values"]
            if one["gatewayRef"]["id"] == edge["id"]
        ]
        port = {"portStart": 80, "tcpUdpProfile": {"type": "TCP_PROXY", "systemDefined": True}}
        service: dict[str, Any] = {
            "name": "s", **gate, "loadBalancerPoolRef": {"id": row["id"]}, "serviceEngineGroupRef": engines,
            "applicationProfile": {"type": "HTTP"}, "virtualIpAddress": "10.1.0.5", "servicePorts": [port],
        }  # fmt: skip
        for wrong in (
            {"loadBalancerPoolRef": None},
            {"serviceEngineGroupRef": {"id": "urn:vcloud:serviceEngineGroup:00000000-0000-4000-8000-000000000000"}},
            {"applicationProfile": {"type": "HTTPS"}},
            {"applicationProfile": {"type": "L4_UDP"}},
            {"virtualIpAddress": f"{seed.PUBLIC}99"},
            {"virtualIpAddress": ""},
            {"servicePorts": []},
        ):
            assert client.call("POST", f"{base}/virtualServices/", {**service, **wrong}).status == 400, wrong
        client.done(client.call("POST", f"{base}/virtualServices/", service))
        again = client.call("POST", f"{base}/virtualServices/", {**service, "name": "t"})
        assert again.status == 400, "address and port are taken"
        assert client.call("DELETE", f"{base}/pools/{row['id']}").status == 400, "a service has it"
        control.patch("gateway", edge["id"].rpartition(":")[2], alb=False)
        assert client.call("POST", f"{base}/pools/", {**pool, "name": "q"}).status == 400


class TestPackets:
    def test_the_fate_of_a_packet(self, server: Server, client: Plain, control: Control, machine: Path) -> None:
        edge = by_name(client, "edgeGateways", seed.EDGE)
        owner = edge["ownerRef"]
        net = routed(client)
        control.patch("gateway", edge["id"].rpartition(":")[2], public=["198.51.100.10"])
        address = f"{client.url}/api/network/{net.rpartition(':')[2]}"
        nets = (
            '<NetworkConfigSection><ovf:Info/><NetworkConfig networkName="net"><Configuration>'
            f'<ParentNetwork href="{address}"/><FenceMode>bridged</FenceMode></Configuration></NetworkConfig>'
            "</NetworkConfigSection>"
        )
        vapp = make_vapp(client, vdc(client), upload(client, catalog(client), machine), nets=nets)
        vm = first_vm(client, vapp)
        section = (
            f"<NetworkConnectionSection {NS}><ovf:Info/>"
            "<PrimaryNetworkConnectionIndex>0</PrimaryNetworkConnectionIndex>"
            '<NetworkConnection network="net"><NetworkConnectionIndex>0</NetworkConnectionIndex>'
            "<IsConnected>true</IsConnected><IpAddressAllocationMode>POOL</IpAddressAllocationMode></NetworkConnection>"
            "</NetworkConnectionSection>"
        )
        client.done(client.call("PUT", f"{vm}/networkConnectionSection/", section, "vcloud.networkConnectionSection"))
        outside, public, inside = "192.0.2.7", "198.51.100.10", "10.9.1.10"
        assert control.packet(outside, public, 8080)["met"] == ["no NAT rule"]

        def group(name: str, *addresses: str) -> list[dict[str, str]]:
            body = {"name": name, "ownerRef": owner, "typeValue": "IP_SET", "ipAddresses": list(addresses)}
            task = client.done(client.call("POST", f"{V1}/firewallGroups/", body))
            return [{"id": str(task.find("Owner").get("id"))}]

        ports = {
            "name": "p80",
            "scope": "TENANT",
            "contextEntityId": owner["id"],
            "applicationPorts": [{"protocol": "TCP", "destinationPorts": ["80"]}],
        }
        task = client.done(client.call("POST", f"{V1}/applicationPortProfiles/", ports))
        profile = {"id": str(task.find("Owner").get("id"))}
        nat = {
            "name": "n",
            "type": "DNAT",
            "externalAddresses": public,
            "internalAddresses": inside,
            "dnatExternalPort": "8080",
            "applicationPortProfile": profile,
        }
        client.done(client.call("POST", f"{V1}/edgeGateways/{edge['id']}/nat/rules", nat))
        found = control.packet(outside, public, 8080)
        assert (found["passes"], found["met"]) == (False, ["NAT n", "edge default_rule"])
        rule = {"name": "in", "actionValue": "ALLOW", "direction": "IN", "ipProtocol": "IPV4",
                "destinationFirewallGroups": group("web", inside), "applicationPortProfiles": [profile]}  # fmt: skip
        url = f"{V1}/edgeGateways/{edge['id']}/firewall/rules"
        client.done(client.call("PUT", url, {"userDefinedRules": [rule]}))
        found = control.packet(outside, public, 8080)
        assert (found["passes"], found["address"], found["port"], found["vm"]) == (True, inside, 80, "machine")
        assert not control.packet(outside, public, 8081)["passes"]
        assert not control.packet(inside, outside, 443)["passes"]  # out: the default of the edge
        dfw = f"{V1}/vdcGroups/{owner['id']}/dfwPolicies/default/rules"
        default = client.get(dfw).json()["values"]
        drop = {
            "name": "not from there",
            "actionValue": "DROP",
            "direction": "IN",
            "ipProtocol": "IPV4",
            "sourceFirewallGroups": group("them", "192.0.2.0/28"),
        }
        client.done(client.call("PUT", dfw, {"values": [drop, *default]}))
        assert control.packet(outside, public, 8080)["met"] == ["NAT n", "edge in", "distributed IN not from there"]
        assert control.packet("192.0.2.77", public, 8080)["passes"]


class TestOrange:
    @pytest.fixture(params=["/infrapicustomerproxy/v2.0", "/api/customers/v2.0"])
    def orange(self, server: Server, request: pytest.FixtureRequest) -> tuple[Plain, str]:
        made = Plain(server.url, str(server.cloud.folder / "ca.pem"))
        if request.param.startswith("/api"):
            made.login()
        else:
            form = {
                "grant_type": "client_credentials",
                "client_id": seed.ORANGE_CLIENT,
                "client_secret": seed.ORANGE_SECRET,
                "scope": f"tenant:{seed.ORG}",
            }
            said = made.call("POST", "/auth/v1/user/token", urllib.parse.urlencode(form).encode())
            made.token = said.json()["access_token"]
        return made, request.param

    def wait(self, orange: tuple[Plain, str], said: Any) -> Any:
        assert said.status in (200, 201), said.body
        path = orange[1].replace("v2.0", "v1.0")
        until = time.time() + 5
        while True:
            found = orange[0].get(f"{path}/jobs/{said.json()['jobId']}").json()
            assert len(found) == 1
            if found[0]["status"] in ("DONE", "FAILED"):
                return found[0]
            assert time.time() < until
            time.sleep(0.01)

    def test_wrong_token(self, server: Server) -> None:
        made = Plain(server.url, str(server.cloud.folder / "ca.pem"))
        said = made.call("POST", "/auth/v1/user/token", b"grant_type=client_credentials&client_id=x&client_secret=y")
        assert said.status == 401 and said.json()["code"] == 401
        assert made.get("/infrapicustomerproxy/v2.0/vdcs").status == 401

    def test_public_address(self, orange: tuple[Plain, str], client: Plain) -> None:
        api, base = orange
        edge = next(e for e in api.get(f"{base}/edges").json() if e["edgeName"] == seed.EDGE)
        wrong = api.call(
            "POST",
            f"{base}/services",
            {"networkType": "internet", "edgeGateway": f"urn:vcloud:gateway:{edge['edgeId']}"},
        )
        assert (wrong.status, wrong.json()["code"]) == (404, "err-0009")
        said = api.call("POST", f"{base}/services", {"networkType": "internet", "edgeGateway": edge["edgeId"]})
        assert said.status == 201
        job = self.wait(orange, said)
        assert job["status"] == "DONE" and "198.51.100.10" in job["actions"][0]["details"]
        uplink = by_name(client, "edgeGateways", seed.EDGE)["edgeGatewayUplinks"][0]["subnets"]["values"][0]
        assert uplink["ipRanges"]["values"] == [{"startAddress": "198.51.100.10", "endAddress": "198.51.100.10"}]
        tree = api.get(f"{base}/network").json()
        services = [s for t in tree for e in t["children"] for s in e["children"] if s["name"] == "internet"]
        assert services[0]["properties"]["ip"] == "198.51.100.10"
        self.wait(orange, api.call("DELETE", f"{base}/services/{services[0]['serviceId']}"))

    def test_the_older_calls_for_addresses(self, orange: tuple[Plain, str]) -> None:
        api, base = orange
        older = base.replace("v2.0", "v1.0")
        self.wait(orange, api.call("POST", f"{older}/ip", X_VDC_Edge_Name=seed.EDGE))
        rows = api.get(f"{base}/ip").json()["networkConfig"]
        assert [(r["uplinkIp"], r["edgeGatewayName"]) for r in rows] == [("198.51.100.10", seed.EDGE)]
        self.wait(orange, api.call("DELETE", f"{older}/ip/198.51.100.10/"))
        assert api.get(f"{base}/ip").json()["networkConfig"] == []

    def test_one_job_at_a_time(self, orange: tuple[Plain, str], control: Control) -> None:
        api, base = orange
        control.options(job_seconds=0.3)
        edge = api.get(f"{base}/edges").json()[0]["edgeId"]
        first = api.call("PUT", f"{base}/edges/{edge}", {"rateLimit": 25})
        second = api.call("PUT", f"{base}/edges/{edge}", {"rateLimit": 50})
        assert (second.json()["code"], second.json()["reason"]) == ("cf-0002", "Job already exists")
        assert self.wait(orange, first)["status"] == "DONE"
        assert api.get(f"{base}/edges/{edge}").json()["rateLimit"] == 25

    def test_a_vdc_appears_on_both_sides(self, orange: tuple[Plain, str], client: Plain) -> None:
        api, base = orange
        body = {
            "vdc": {
                "name": "fresh",
                "description": "",
                "vdcServiceClass": "ECO",
                "vdcDisponibilityClass": "ONE-ROOM",
                "vdcBillingModel": "PAYG",
                "vcpuInMhz2": 2200,
                "cpuAllocated": 22000,
                "memoryAllocated": 30,
                "vdcStorageBillingModel": "PAYG",
                "vdcStorageProfiles": [{"class": "gold", "limit": 500, "default": True}],
            }
        }
        wrong = {"vdc": {**body["vdc"], "vdcStorageProfiles": [{"class": "gold", "limit": 5, "default": True}]}}
        assert api.call("POST", f"{base}/vdcs", wrong).status == 400
        assert self.wait(orange, api.call("POST", f"{base}/vdcs", body))["status"] == "DONE"
        assert api.get(f"{base}/vdcs/fresh").json()["vdc"]["memoryAllocated"] == 30
        meta = client.get(vdc(client, "fresh") + "/metadata").xml()
        assert {e.findtext("Key"): e.findtext("TypedValue/Value") for e in meta.findall("MetadataEntry")}[
            "vdcServiceClass"
        ] == "ECO"
        assert self.wait(orange, api.call("DELETE", f"{base}/vdcs/fresh"))["status"] == "DONE"
        assert api.get(f"{base}/vdcs/fresh").status == 404

    def test_edges(self, orange: tuple[Plain, str]) -> None:
        api, base = orange
        assert api.get(f"{base}/tier-0-vrfs").json() == [seed.T0, seed.SERVICES]
        job = self.wait(orange, api.call("POST", f"{base}/vdcs/{seed.LONE_VDC}/edges", {"tier0VrfId": seed.SERVICES}))
        assert job["status"] == "DONE"
        made = next(e for e in api.get(f"{base}/edges").json() if e["tier0VrfId"] == seed.SERVICES)
        assert made["rateLimit"] == 0  # whatever it really is
        assert self.wait(orange, api.call("DELETE", f"{base}/edges/{made['edgeId']}"))["status"] == "DONE"

    def test_faults(self, orange: tuple[Plain, str], control: Control) -> None:
        api, base = orange
        control.faults(
            http={
                "match": "GET .*/vdcs",
                "status": 429,
                "retry_after": 2,
                "body": "<html>slow down</html>",
                "times": 1,
            },
            job_empty={"times": 1},
            job_fail={"times": 1},
        )
        slow = api.get(f"{base}/vdcs")
        assert (slow.status, slow.headers["Retry-After"]) == (429, "2") and slow.body.startswith(b"<html>")
        assert api.get(f"{base}/vdcs").status == 200
        edge = api.get(f"{base}/edges").json()[0]["edgeId"]
        assert api.call("PUT", f"{base}/edges/{edge}", {"rateLimit": 25}).json()["jobId"] == ""
        assert self.wait(orange, api.call("PUT", f"{base}/edges/{edge}", {"rateLimit": 25}))["status"] == "FAILED"


class TestLab:
    def test_state_survives_a_restart(self, tmp_path: Path, machine: Path) -> None:
        server = serve(tmp_path / "vcd", 0, {"task_seconds": 0.01}).start()
        client = Plain(server.url, str(tmp_path / "vcd" / "ca.pem"))
        client.login()
        template, links = begin_upload(client, catalog(client), machine)
        data = (machine / "disk1.vmdk").read_bytes()
        client.call("PUT", links["disk1.vmdk"], data[:1000], Content_Range=f"bytes 0-999/{len(data)}")
        client.connection.close()
        server.stop()
        again = serve(tmp_path / "vcd", 0, {"task_seconds": 0.01}).start()
        try:
            client = Plain(again.url, str(tmp_path / "vcd" / "ca.pem"))
            client.login()
            path = urllib.parse.urlsplit(template).path
            files = client.get(path).xml().findall("Files/File")
            assert {f.get("name"): f.get("bytesTransferred") for f in files}["disk1.vmdk"] == "1000"
            rest = {str(f.get("name")): str(f.find("Link").get("href")) for f in files if f.find("Link") is not None}
            assert (
                client.call(
                    "PUT", rest["disk1.vmdk"], data[1000:], Content_Range=f"bytes 1000-{len(data) - 1}/{len(data)}"
                ).status
                == 200
            )
            assert client.call("PUT", rest["disk2.vmdk"], (machine / "disk2.vmdk").read_bytes()).status == 200
            wait_status(client, path, "8")
        finally:
            again.stop()

    def test_a_task_goes_on_after_a_restart(self, tmp_path: Path) -> None:
        server = serve(tmp_path / "vcd", 0, {"task_seconds": 60}).start()
        client = Plain(server.url, str(tmp_path / "vcd" / "ca.pem"))
        client.login()
        edge = by_name(client, "edgeGateways", seed.EDGE)
        url = f"{V1}/edgeGateways/{edge['id']}/firewall/rules"
        rule = {"name": "r", "actionValue": "ALLOW"}
        task = client.call("PUT", url, {"userDefinedRules": [rule]}).headers["Location"].partition(client.url)[2]
        assert client.get(url).json()["userDefinedRules"] == []
        client.connection.close()
        server.stop()
        again = serve(tmp_path / "vcd").start()
        try:
            token = client.token
            client = Plain(again.url, str(tmp_path / "vcd" / "ca.pem"))
            client.token = token
            until = time.time() + 10
            while client.get(task).xml().get("status") != "success":
                assert time.time() < until
                time.sleep(0.02)
            assert [r["name"] for r in client.get(url).json()["userDefinedRules"]] == ["r"]
        finally:
            again.stop()

    def test_an_answer_is_seen_by_who_still_sends(self, client: Plain, machine: Path) -> None:
        dummy, links = begin_upload(client, catalog(client), machine)
        data = bytes(20 << 20)
        said = client.call("PUT", links["disk1.vmdk"], data, Content_Range=f"bytes 5-{len(data) + 4}/{len(data) + 5}")
        assert said.status == 416
        client.token = "x" * 40
        assert client.call("PUT", links["disk1.vmdk"], data).status == 401

    def test_save_and_restore(
        self, client: Plain, control: Control, server: Server, machine: Path, tmp_path: Path
    ) -> None:
        vapp = make_vapp(client, vdc(client), upload(client, catalog(client), machine))
        control.call("POST", "/save", {"folder": str(tmp_path / "kept")})
        client.done(client.call("DELETE", vapp))
        control.reset()
        assert client.get("/api/org").status == 401 and not control.machines()[1]
        control.call("POST", "/restore", {"folder": str(tmp_path / "kept")})
        client.login()
        assert client.get(vapp).status == 200
        assert digest(Path(control.machines()[1][0]["disks"][0]["path"])) == digest(machine / "1.raw")

    def test_calls_and_faults(self, client: Plain, control: Control) -> None:
        control.forget()
        client.get("/api/org")
        client.call(
            "POST",
            f"{vdc(client)}/action/composeVApp",
            f'<ComposeVAppParams {NS} name="a" deploy="false" powerOn="false"/>',
            "vcloud.composeVAppParams",
        )
        found = control.calls()
        assert [c["method"] for c in found if c["write"]] == ["POST"] and found[0]["user"] == seed.USER
        control.faults(
            http={"status": 503, "match": "GET /api/org", "times": 1}, hostile={"match": "GET /api/vdc/", "how": "bomb"}
        )
        assert client.get("/api/org").status == 503 and client.get("/api/org").status == 200
        address = vdc(client)
        assert b"<!DOCTYPE" in client.get(address).body
        control.faults(expire={"match": "GET /api/org", "times": 1})
        assert client.get("/api/org").status == 401

    def test_the_guest_can_switch_itself_off(self, client: Plain, control: Control, machine: Path) -> None:
        vapp = make_vapp(client, vdc(client), upload(client, catalog(client), machine))
        vm = first_vm(client, vapp)
        client.done(client.call("POST", f"{vm}/power/action/powerOn"))
        version, machines = control.machines()
        control.power(machines[0]["moref"], "poweredOff")
        newer, machines = control.machines(version, 5)
        assert newer > version and machines[0]["power"] == "poweredOff"
        assert client.get(vm).xml().get("status") == "8"


class TestVmdk:
    def test_damage_is_found(self, machine: Path, tmp_path: Path) -> None:
        data = (machine / "1.vmdk").read_bytes()
        assert vmdk.check_start(machine / "1.vmdk") == CAPACITIES[0]
        spots = {"magic": 0, "grain": 65536 + 40, "marker": 65536}
        for name, at in spots.items():
            (tmp_path / name).write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
            with pytest.raises(vmdk.BadVmdk):
                vmdk.decode(tmp_path / name, tmp_path / "out")
        for name, changed in {"short": data[:-512], "long": data + b"x" * 512, "cut": data[: len(data) // 2]}.items():
            (tmp_path / name).write_bytes(changed)
            with pytest.raises(vmdk.BadVmdk):
                vmdk.decode(tmp_path / name, tmp_path / "out")
        with pytest.raises(vmdk.BadVmdk, match="capacity"):
            vmdk.decode(machine / "1.vmdk", tmp_path / "out", CAPACITIES[0] + 512)
