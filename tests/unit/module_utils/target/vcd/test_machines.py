# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines, vApps, marks: what is sent, in which order, and what is never touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    locks,
    metadata,
    org,
    vapp,
    vm,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import xml as vxml
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.spec import (
    DiskSpec,
    NicSpec,
    VmSpec,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.template import Template
from tests.unit.module_utils.target.vcd.fake import VCLOUD, Asked, Fake, Reply, error, logged_in, served, task, xml

OVF = "http://schemas.dmtf.org/ovf/envelope/1"
VM = "/api/vApp/vm-44444444-2222-4333-8444-555555555555"
VAPP = "/api/vApp/vapp-66666666-2222-4333-8444-555555555555"
VDC = "/api/vdc/99999999-2222-4333-8444-555555555555"
NET = "/api/network/aaaaaaaa-2222-4333-8444-555555555555"
MARKS = Marks("acme", "server-1", state="importing")
SPEC = VmSpec(
    "web",
    2,
    1024,
    (DiskSpec(1 << 30), DiskSpec(2 << 30)),
    (NicSpec("front", "MANUAL", "10.0.0.10", "fa:16:3e:00:00:01"), NicSpec("back", "DHCP")),
    firmware="efi",
    guest_id="debian12_64Guest",
)


@pytest.fixture
def fake() -> Iterator[Fake]:
    with served() as one:
        yield one


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks.tempfile, "gettempdir", lambda: str(tmp_path))


UP = f'<Link rel="up" type="application/vnd.vmware.vcloud.vApp+xml" href="{VAPP}"/>'


def machine(name: str = "web", *, description: str = "", status: int = 8, deployed: bool = False) -> str:
    disks = "".join(
        f"<DiskSettings><DiskId>200{n}</DiskId><SizeMb>{size}</SizeMb><UnitNumber>{n}</UnitNumber>"
        f"<BusNumber>0</BusNumber><AdapterType>5</AdapterType><StorageProfile href='/sp' name='gold'/>"
        f"<VirtualQuantityUnit>byte</VirtualQuantityUnit><VirtualQuantity>{size << 20}</VirtualQuantity></DiskSettings>"
        for n, size in enumerate((1024, 2048))
    )
    cards = "".join(
        f'<NetworkConnection needsCustomization="true" network="{net}"><NetworkConnectionIndex>{n}'
        f"</NetworkConnectionIndex>{ip}<IsConnected>true</IsConnected><MACAddress>{mac}</MACAddress>"
        f"<IpAddressAllocationMode>{mode}</IpAddressAllocationMode>"
        "<NetworkAdapterType>VMXNET3</NetworkAdapterType></NetworkConnection>"
        for n, (net, mode, mac, ip) in enumerate(
            (
                ("front", "MANUAL", "FA:16:3E:00:00:01", "<IpAddress>10.0.0.10</IpAddress>"),
                ("back", "DHCP", "00:50:56:00:00:02", ""),
            )
        )
    )
    return (
        f'<Vm xmlns="{VCLOUD}" xmlns:ovf="{OVF}" href="https://public.name{VM}" name="{name}" status="{status}" '
        f'deployed="{str(deployed).lower()}">{UP}'
        f"<Description>{description}</Description>"
        f"<NetworkConnectionSection><ovf:Info>i</ovf:Info><PrimaryNetworkConnectionIndex>0"
        f"</PrimaryNetworkConnectionIndex>{cards}</NetworkConnectionSection>"
        f"<VmSpecSection Modified='false'><ovf:Info>i</ovf:Info><OsType>debian12_64Guest</OsType><NumCpus>2</NumCpus>"
        f"<NumCoresPerSocket>1</NumCoresPerSocket><MemoryResourceMb><Configured>1024</Configured><Limit>-1</Limit>"
        f"</MemoryResourceMb><DiskSection>{disks}</DiskSection><HardwareVersion href='/h'>vmx-19</HardwareVersion>"
        f"<Firmware>efi</Firmware></VmSpecSection></Vm>"
    )


def box(*machines: str, networks: str = "", name: str = "group-1", deployed: bool = False, leases: int = 0) -> str:
    return (
        f'<VApp xmlns="{VCLOUD}" xmlns:ovf="{OVF}" href="https://public.name{VAPP}" name="{name}" status="8" '
        f'deployed="{str(deployed).lower()}"><LeaseSettingsSection><DeploymentLeaseInSeconds>{leases}'
        f"</DeploymentLeaseInSeconds><StorageLeaseInSeconds>{leases}</StorageLeaseInSeconds></LeaseSettingsSection>"
        f"<NetworkConfigSection><ovf:Info>i</ovf:Info>{networks}</NetworkConfigSection>"
        f"<Children>{''.join(machines)}</Children></VApp>"
    )


def entries(**values: str) -> Reply:
    inside = "".join(
        f"<MetadataEntry><Domain>GENERAL</Domain><Key>{key.replace('__', '.')}</Key><TypedValue><Value>{value}</Value>"
        "</TypedValue></MetadataEntry>"
        for key, value in values.items()
    )
    system = (
        "<MetadataEntry><Domain>SYSTEM</Domain><Key>s</Key><TypedValue><Value>1</Value></TypedValue></MetadataEntry>"
    )
    return xml(f'<Metadata xmlns="{VCLOUD}">{inside}{system}</Metadata>')


def names(tree: ElementTree.Element) -> list[str]:
    return [vxml.local(one) for one in tree]


# -- machines


def test_what_a_machine_is() -> None:
    found = vm.of(vxml.parse(machine(description=f"x {vm.stamp(MARKS)}").encode(), "x"))
    assert (found.name, found.power, found.cpus, found.memory_mib, found.firmware) == ("web", "off", 2, 1024, "efi")
    assert [(str(one.place), one.size_mib) for one in found.disks] == [("pvscsi0:0", 1024), ("pvscsi0:1", 2048)]
    assert found.addresses == ("10.0.0.10",) and found.nics[0].mac == "fa:16:3e:00:00:01"
    assert found.stamped() == ("acme", "server-1") and found.vapp == VAPP and found.hardware_version == 19


def test_a_machine_that_says_nothing_is_no_error() -> None:
    found = vm.of(vxml.parse(b"<Vm status='many'/>", "x"))
    assert (found.status, found.cpus, found.disks, found.nics) == (0, 0, (), ())


def test_nothing_to_change_and_what_differs() -> None:
    there = vm.of(vxml.parse(machine().encode(), "x"))
    assert not vm.plan(there, SPEC) and not vm.plan(there, SPEC).conflicts
    other = replace(SPEC, cpus=4, nics=(SPEC.nics[0], replace(SPEC.nics[1], network="db")))
    shown = vm.plan(there, other).diff()
    assert shown["before"]["vm"]["web"] == {"cpus": 2} and shown["after"]["vm"]["web"] == {"cpus": 4}
    assert [nic["network"] for nic in shown["after"]["nics"]["web"]["nics"]] == ["front", "db"]


def test_disks_that_differ_are_told_and_never_changed(fake: Fake) -> None:
    there = vm.of(vxml.parse(machine().encode(), "x"))
    fewer = replace(SPEC, disks=SPEC.disks[:1], cpus=4)
    changes = vm.plan(there, fewer)
    assert "pvscsi0:1 2048 MiB" in changes.conflicts[0]
    with logged_in(fake) as session, pytest.raises(Conflict):
        vm.apply(session, there, fewer, changes)
    assert fake.lines() == []


def test_a_disk_that_is_to_have_a_storage_profile_of_its_own(fake: Fake) -> None:
    """It is named with its href, in its place; the others, and all else of the hardware, are sent as they are."""
    fake.routes[f"GET {VM}"] = xml(machine())
    fake.routes[f"POST {VM}/action/reconfigureVm"] = xml(task(), 202)
    wanted = replace(SPEC, cpus=4, disks=(replace(SPEC.disks[0], storage_profile="gold"), SPEC.disks[1]))
    there = vm.of(vxml.parse(machine().encode(), "x"))
    assert vm.plan(there, wanted).diff()["after"]["vm"]["web"] == {"cpus": 4}, "it has that profile already"
    wanted = replace(wanted, disks=(SPEC.disks[0], replace(SPEC.disks[1], storage_profile="silver")))
    changes = vm.plan(there, wanted)
    assert changes.diff()["before"]["vm"]["web"]["storage_profiles"] == {"pvscsi0:1": "gold"}
    with logged_in(fake) as session:
        vm.apply(session, there, wanted, changes, profiles={"silver": "/api/vdcStorageProfile/5"})
    sent = fake.last(f"POST {VM}/action/reconfigureVm").xml()
    assert vxml.text(sent[1], "NumCpus") == "4"
    first, second = vxml.walk(sent, "DiskSettings")
    assert names(first)[-3:] == ["StorageProfile", "VirtualQuantity", "VirtualQuantityUnit"]
    assert names(second)[-4:] == ["StorageProfile", "overrideVmDefault", "VirtualQuantity", "VirtualQuantityUnit"]
    profile = vxml.child(second, "StorageProfile")
    assert profile is not None and profile.attrib["href"].endswith("/api/vdcStorageProfile/5")
    assert vxml.text(second, "overrideVmDefault") == "true"


def test_a_change_sends_every_disk_in_the_order_of_the_schema(fake: Fake) -> None:
    fake.routes[f"GET {VM}"] = xml(machine())
    fake.routes[f"POST {VM}/action/reconfigureVm"] = xml(task(), 202)
    fake.routes[f"PUT {VM}/networkConnectionSection/"] = xml(task(), 202)
    wanted = replace(SPEC, cpus=4, memory_mib=4096, firmware="bios", nics=SPEC.nics[:1])
    with logged_in(fake) as session:
        there = vm.get(session, VM)
        vm.apply(session, there, wanted, vm.plan(there, wanted))
    sent = fake.last(f"POST {VM}/action/reconfigureVm").xml()
    assert names(sent) == ["Description", "VmSpecSection"] and sent.attrib["name"] == "web"
    assert names(sent[1]) == [
        "Info",
        "OsType",
        "Firmware",
        "NumCpus",
        "NumCoresPerSocket",
        "MemoryResourceMb",
        "DiskSection",
        "HardwareVersion",
    ]
    assert vxml.text(sent[1], "Firmware") == "bios" and vxml.text(sent[1], "MemoryResourceMb", "Configured") == "4096"
    disks = list(vxml.walk(sent, "DiskSettings"))
    assert [vxml.text(one, "DiskId") for one in disks] == ["2000", "2001"]
    assert names(disks[0])[-2:] == ["VirtualQuantity", "VirtualQuantityUnit"]
    cards = fake.last(f"PUT {VM}/networkConnectionSection/").xml()
    assert names(cards) == ["Info", "PrimaryNetworkConnectionIndex", "NetworkConnection"]
    assert names(cards[2]) == [
        "NetworkConnectionIndex",
        "IpAddress",
        "IsConnected",
        "MACAddress",
        "IpAddressAllocationMode",
        "NetworkAdapterType",
    ]


def test_cards_are_connected_and_nothing_else_of_them_changes(fake: Fake) -> None:
    fake.routes[f"PUT {VM}/networkConnectionSection/"] = xml(task(), 202)
    with logged_in(fake) as session:
        there = vm.of(vxml.parse(machine().encode(), "x"))
        assert vm.connect_nics(session, there, True) is False
        assert vm.connect_nics(session, there, False) is True
    sent = fake.last(f"PUT {VM}/networkConnectionSection/").xml()
    assert [one.text for one in vxml.walk(sent, "IsConnected")] == ["false", "false"]
    assert [one.text for one in vxml.walk(sent, "MACAddress")] == ["FA:16:3E:00:00:01", "00:50:56:00:00:02"]


# -- power


def test_power(fake: Fake) -> None:
    fake.routes[f"GET {VM}"] = xml(machine())
    fake.routes[f"POST {VM}/power/action/powerOn"] = xml(task(), 202)
    fake.routes[f"POST {VM}/action/undeploy"] = xml(task(), 202)
    with logged_in(fake) as session:
        there = vm.get(session, VM)
        assert vm.power_off(session, there) is False
        assert vm.power_on(session, there) is True
        fake.routes[f"GET {VM}"] = xml(machine(status=4, deployed=True))
        assert vm.power_on(session, there) is False
        assert vm.power_off(session, there) is True
        # switched off by its guest, but still deployed: it could be neither changed nor removed
        fake.routes[f"GET {VM}"] = xml(machine(status=8, deployed=True))
        assert vm.power_off(session, there) is True
    assert vxml.text(fake.last(f"POST {VM}/action/undeploy").xml(), "UndeployPowerAction") == "powerOff"


def test_a_guest_that_does_not_follow_is_switched_off_only_when_asked_to(fake: Fake) -> None:
    hows: list[str] = []

    def undeploy(asked: Asked) -> Reply:
        hows.append(vxml.text(asked.xml(), "UndeployPowerAction"))
        return xml(task(), 202) if hows[-1] == "powerOff" else error(400, "BAD_REQUEST", "no VMware Tools")

    fake.routes[f"GET {VM}"] = xml(machine(status=4, deployed=True))
    fake.routes[f"POST {VM}/action/undeploy"] = undeploy
    with logged_in(fake) as session:
        there = vm.get(session, VM)
        with pytest.raises(Refused, match="no VMware Tools"):
            vm.shut_down(session, there)
        assert vm.shut_down(session, there, force=True)
    assert hows == ["shutdown", "shutdown", "powerOff"]


# -- marks


def test_marks_are_written_where_they_differ_in_one_call(fake: Fake) -> None:
    fake.routes[f"GET {VM}/metadata"] = entries(cloudexit__tenant="acme", cloudexit__source_id="server-1", other="1")
    fake.routes[f"POST {VM}/metadata"] = xml(task(), 202)
    with logged_in(fake) as session:
        there = vm.of(vxml.parse(machine().encode(), "x"))
        assert vm.set_marks(session, there, MARKS, {"cloudexit.manifest.0": "blake3:<a>"})
        assert "s" not in vm.marks_of(session, there)
    sent = fake.last(f"POST {VM}/metadata").xml()
    assert {vxml.text(one, "Key"): vxml.text(one, "TypedValue", "Value") for one in sent} == {
        "cloudexit.manifest.0": "blake3:<a>",
        "cloudexit.state": "importing",
    }
    assert names(sent[0]) == ["Domain", "Key", "TypedValue"] and sent[0][0].attrib == {"visibility": "READWRITE"}


def test_a_machine_of_others_is_neither_marked_nor_removed(fake: Fake) -> None:
    fake.routes[f"GET {VM}"] = xml(machine())
    with logged_in(fake) as session:
        there = vm.of(vxml.parse(machine().encode(), "x"))
        for reply in (entries(), entries(cloudexit__tenant="acme", cloudexit__source_id="server-2")):
            fake.routes[f"GET {VM}/metadata"] = reply
            with pytest.raises(Conflict, match="our owner marks"):
                vm.set_marks(session, there, MARKS)
            with pytest.raises(Conflict, match="our owner marks"):
                vm.destroy_ours(session, there, MARKS)
        fake.routes[f"GET {VM}/metadata"] = entries(
            cloudexit__tenant="acme", cloudexit__source_id="server-1", cloudexit__state="verified"
        )
        with pytest.raises(Conflict, match="'verified'"):
            vm.destroy_ours(session, there, MARKS)
    assert not any(line.startswith(("POST", "DELETE", "PUT")) for line in fake.lines())


def test_a_machine_that_was_just_made_is_known_by_its_description(fake: Fake) -> None:
    fake.routes[f"GET {VM}/metadata"] = entries()
    fake.routes[f"GET {VM}"] = xml(machine(description=f"Moved {vm.stamp(MARKS)}"))
    fake.routes[f"DELETE {VM}"] = xml(task(), 202)
    with logged_in(fake) as session:
        there = vm.get(session, VM)
        found = vm.find(session, MARKS, [there])
        assert found is not None and found[1]["cloudexit.state"] == "importing"
        assert vm.find(session, Marks("acme", "server-2"), [there]) is None
        assert vm.destroy_ours(session, there, MARKS)
        with pytest.raises(Conflict, match="copies"):
            vm.find(session, MARKS, [there, there])
    assert fake.lines()[-2:-1] != [] and f"DELETE {VM}" in fake.lines()


@pytest.mark.parametrize("filters", [True, False], ids=["filters", "no filters"])
def test_a_machine_elsewhere_is_found_without_reading_all(fake: Fake, filters: bool) -> None:
    """By its metadata or its description, which the query service knows; what it names is read and compared."""
    marked, stamped, stranger = (f"/api/vApp/vm-{number * 8}-2222-4333-8444-555555555555" for number in "123")

    def rows(asked: Asked) -> Reply:
        asks_metadata = "metadata:cloudexit.source_id==STRING:server-1" in asked.query.get("filter", "")
        if asks_metadata and not filters:
            return error(400, "INVALID_QUERY", "no such property")
        texts = {marked: "", stamped: vm.stamp(MARKS), stranger: "theirs"}
        found = {href: text for href, text in texts.items() if href == marked or not asks_metadata}
        records = [
            f'<VMRecord name="m" href="{href}" vdc="{VDC}" description="{text}"/>' for href, text in found.items()
        ]
        return xml(f'<R xmlns="{VCLOUD}" total="{len(records)}">{"".join(records)}</R>')

    fake.routes["GET /api/query"] = rows
    for href, source in ((marked, "server-1"), (stamped, "server-2"), (stranger, "server-3")):
        fake.routes[f"GET {href}"] = xml(machine().replace(VM, href))
        fake.routes[f"GET {href}/metadata"] = entries(cloudexit__tenant="acme", cloudexit__source_id=source)
    with logged_in(fake) as session:
        found = vm.find(session, MARKS, (), vdc=VDC)
    assert found is not None and found[0].href.endswith(marked)
    assert (f"GET {stranger}" in fake.lines()) is not filters
    assert f"GET {stamped}" in fake.lines()


@pytest.mark.parametrize("key", ["", "a/b", "x" * 257, " a"])
def test_keys_that_could_not_be_read_again(fake: Fake, key: str) -> None:
    with logged_in(fake) as session, pytest.raises(InvalidInput):
        metadata.write(session, VM, {key: "1"}, "cannot write")


# -- vApps


def networks(*names: str) -> str:
    """NetworkConfig elements: `own` hangs on nothing, the others on a network of the organisation."""
    made = []
    for one in names:
        parent = "" if one == "own" else f'<ParentNetwork href="{NET}"/>'
        made.append(f'<NetworkConfig networkName="{one}"><Configuration>{parent}</Configuration></NetworkConfig>')
    return "".join(made)


def test_networks_are_added_and_those_that_are_there_stay(fake: Fake) -> None:
    before = xml(box(networks=networks("own") + '<NetworkConfig networkName="none"/>'))
    fake.routes[f"GET {VAPP}"] = [before, before, xml(box(networks=networks("own", "front")))]
    fake.routes[f"PUT {VAPP}/networkConfigSection/"] = xml(task(), 202)
    with logged_in(fake) as session:
        there = vapp.get(session, VAPP)
        assert there.networks == {"own": ""}
        assert vapp.ensure_networks(session, there, {"front": f"https://x{NET}"})
        with pytest.raises(Conflict, match="another one"):
            vapp.ensure_networks(session, there, {"own": NET})
        assert not vapp.ensure_networks(session, vapp.get(session, VAPP), {"front": NET})
    sent = fake.last(f"PUT {VAPP}/networkConfigSection/").xml()
    assert [vxml.attribute(one, "networkName") for one in vxml.walk(sent, "NetworkConfig")] == ["own", "front"]
    front = list(vxml.walk(sent, "Configuration"))[1]
    assert names(front) == ["ParentNetwork", "FenceMode", "RetainNetInfoAcrossDeployments"]
    assert front[0].attrib["href"] == f"{fake.url}{NET}"


def test_networks_that_another_host_takes_away_are_written_again(fake: Fake) -> None:
    fake.routes[f"PUT {VAPP}/networkConfigSection/"] = [
        xml(task(), 202),
        error(400, "IN_USE", "in use"),
        xml(task(), 202),
    ]
    seen = [(), (), ("b",), ("b", "c"), ("b", "c"), ("a", "b", "c")]
    fake.routes[f"GET {VAPP}"] = [xml(box(networks=networks(*one))) for one in seen]
    with logged_in(fake) as session:
        assert vapp.ensure_networks(session, vapp.get(session, VAPP), {"a": NET})
    sent = fake.last(f"PUT {VAPP}/networkConfigSection/").xml()
    assert [vxml.attribute(one, "networkName") for one in vxml.walk(sent, "NetworkConfig")] == ["b", "c", "a"]
    fake.routes[f"GET {VAPP}"] = xml(box())
    fake.routes[f"PUT {VAPP}/networkConfigSection/"] = xml(task(), 202)
    with logged_in(fake) as session, pytest.raises(Conflict, match="again and again"):
        vapp.ensure_networks(session, vapp.get(session, VAPP), {"a": NET})


def place() -> org.Vdc:
    profile = org.Profile("gold", "/api/vdcStorageProfile/1", default=True, limit_mib=3 << 10, used_mib=1 << 10)
    return org.Vdc(VDC, "v", True, (13, 19), {"front": NET}, {}, {"gold": profile}, 0, ())


def test_a_vapp_is_made_once_and_never_expires(fake: Fake) -> None:
    record = f'<VAppRecord name="group-1" href="{VAPP}" vdc="{VDC}"/>'
    fake.routes["GET /api/query"] = [
        xml(f'<R xmlns="{VCLOUD}" total="0"/>'),
        xml(f'<R xmlns="{VCLOUD}" total="1">{record}</R>'),
    ]
    fake.routes[f"POST {VDC}/action/composeVApp"] = xml(box(leases=604800), 201)
    fake.routes[f"PUT {VAPP}/leaseSettingsSection/"] = xml(task(), 202)
    fake.routes[f"GET {VAPP}"] = [xml(box(leases=604800)), xml(box())]
    with logged_in(fake) as session:
        assert vapp.ensure(session, place(), "group-1")[1] is True
        assert vapp.ensure(session, place(), "group-1")[1] is False
    assert fake.lines().count(f"POST {VDC}/action/composeVApp") == 1
    sent = fake.last(f"POST {VDC}/action/composeVApp").xml().attrib
    assert (sent["deploy"], sent["powerOn"]) == ("false", "false")
    assert vxml.text(fake.last(f"PUT {VAPP}/leaseSettingsSection/").xml(), "StorageLeaseInSeconds") == "0"


def test_a_vapp_that_another_host_makes_at_the_same_moment(fake: Fake) -> None:
    record = f'<VAppRecord name="group-1" href="{VAPP}" vdc="{VDC}"/>'
    none, one = xml(f'<R xmlns="{VCLOUD}" total="0"/>'), xml(f'<R xmlns="{VCLOUD}" total="1">{record}</R>')
    fake.routes["GET /api/query"] = [none, one]
    fake.routes[f"POST {VDC}/action/composeVApp"] = error(400, "DUPLICATE_NAME", "it exists already")
    fake.routes[f"GET {VAPP}"] = xml(box())
    with logged_in(fake) as session:
        found, made = vapp.ensure(session, place(), "group-1")
        assert (found.name, made) == ("group-1", False)
        fake.routes["GET /api/query"] = none
        with pytest.raises(Conflict, match="DUPLICATE_NAME"):
            vapp.ensure(session, place(), "group-1")


def template(*machines: str) -> Template:
    return Template("/api/vAppTemplate/vappTemplate-1", "t", "", 8, machines, {}, (), ())


def test_a_machine_is_made_from_a_template(fake: Fake) -> None:
    fake.routes[f"GET {VAPP}"] = [xml(box()), xml(box()), xml(box(machine()))]
    fake.routes[f"GET {VM}"] = xml(machine())
    fake.routes[f"POST {VAPP}/action/recomposeVApp"] = xml(task(), 202)
    spec = replace(SPEC, description=f"Moved {vm.stamp(MARKS)}", computer_name="web")
    with logged_in(fake) as session:
        found = vapp.add_machine(
            session, vapp.get(session, VAPP), template("https://x/api/vAppTemplate/vm-1"), spec, storage_profile="/sp"
        )
        assert found.name == "web"
        with pytest.raises(Conflict, match="of that name already"):
            vapp.add_machine(session, vapp.get(session, VAPP), template("/x"), spec)
        with pytest.raises(Conflict, match="2 machines"):
            vapp.add_machine(session, vapp.get(session, VAPP), template("/x", "/y"), replace(spec, name="n"))
    sent = fake.last(f"POST {VAPP}/action/recomposeVApp").xml()
    assert names(sent) == ["SourcedItem", "AllEULAsAccepted"]
    item = sent[0]
    assert names(item) == [
        "Source",
        "VmGeneralParams",
        "InstantiationParams",
        "NetworkAssignment",
        "NetworkAssignment",
        "StorageProfile",
    ]
    assert item[0].attrib["href"] == f"{fake.url}/api/vAppTemplate/vm-1"
    assert names(item[1]) == ["Name", "Description", "NeedsCustomization"]
    assert vxml.text(item[1], "Description") == "Moved [cloudexit acme/server-1]"
    assert names(item[2]) == ["NetworkConnectionSection", "GuestCustomizationSection"]
    assert vxml.text(item[2], "GuestCustomizationSection", "Enabled") == "false"


# -- VDCs


def test_space_is_counted_for_template_and_machine() -> None:
    org.check_space(place(), {"": 1 << 30})
    with pytest.raises(InvalidInput, match="2 GiB are free, 4 GiB are needed"):
        org.check_space(place(), {"": 1 << 30, "gold": 1 << 30})
    with pytest.raises(InvalidInput, match="not one of the VDC v: gold"):
        place().profile("silver")


def test_hardware_versions() -> None:
    assert place().hardware_version() == 19 and place().hardware_version(13) == 13
    with pytest.raises(Refused, match="vmx-21"):
        place().hardware_version(21)


def test_a_vdc_that_is_not_there_names_those_that_are(fake: Fake) -> None:
    rows = f'<OrgVdcRecord name="a" href="{VDC}" orgName="acme"/><OrgVdcRecord name="x" orgName="other" href="/b"/>'
    fake.routes["GET /api/query"] = xml(f'<R xmlns="{VCLOUD}" total="2">{rows}</R>')
    with logged_in(fake) as session:
        for name in ("b", "x"):
            with pytest.raises(NotFound, match="it has a, x"):
                org.vdc(session, name)


def test_a_catalog_is_made_once(fake: Fake) -> None:
    uuid = "bbbbbbbb-2222-4333-8444-555555555555"
    href = f"https://public.name/api/admin/catalog/{uuid}"
    made: list[str] = []

    def rows(asked: Asked) -> Reply:
        record = f'<CatalogRecord name="c" href="{href}" orgName="acme"/>' if made else ""
        shared = '<CatalogRecord name="c" href="/api/catalog/1" orgName="provider"/>'
        return xml(f'<R xmlns="{VCLOUD}" total="{1 + len(made)}">{shared}{record}</R>')

    def create(asked: Asked) -> Reply:
        made.append(asked.xml().attrib["name"])
        return xml(f'<AdminCatalog xmlns="{VCLOUD}" href="{href}" name="c"/>', 201)

    fake.routes["GET /api/query"] = rows
    fake.routes["GET /api/org"] = xml(
        f'<OrgList xmlns="{VCLOUD}"><Org href="https://x/api/org/1" name="ACME"/></OrgList>'
    )
    link = '<Link rel="add" type="application/vnd.vmware.admin.catalog+xml" href="https://x/api/admin/org/1/catalogs"/>'
    fake.routes["GET /api/org/1"] = xml(f'<Org xmlns="{VCLOUD}">{link}</Org>')
    fake.routes["POST /api/admin/org/1/catalogs"] = create
    fake.routes[f"GET /api/catalog/{uuid}"] = xml(f'<Catalog xmlns="{VCLOUD}"/>')
    with logged_in(fake) as session:
        assert org.ensure_catalog(session, "c") == (f"/api/catalog/{uuid}", True)
        assert org.ensure_catalog(session, "c") == (f"/api/catalog/{uuid}", False)
    assert made == ["c"]
