# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that was uploaded into the lab's Cloud Director really runs, and is reached through its edge."""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import hypervisor, vcd
from tests.lab.guests import build
from tests.lab.paths import Instance, lab_root, wait_for
from tests.lab.vcd import plain, seed, vmdk
from tests.lab.vcd.conform import write_machine

PUBLIC_IP = "198.51.100.10"
MAC = "fa:16:3e:00:00:01"


@pytest.fixture
def instance() -> Iterator[Instance]:
    folder = Path(tempfile.mkdtemp(prefix="cx-"))  # short: QEMU's socket has a path of at most 108 bytes
    made = Instance("vcd", 34000, folder)
    made.make_dirs()
    made.update_env(name=made.name, base_port=made.base_port)
    try:
        vcd.up(made)
        hypervisor.up(made)
        yield made
    finally:
        hypervisor.down(made)
        vcd.down(made)
        shutil.rmtree(folder)


def closed(port: int) -> bool:
    """Whether a connection is refused."""
    try:
        socket.create_connection(("127.0.0.1", port), 10).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="there is no QEMU")
def test_a_guest_behind_the_edge(instance: Instance, tmp_path: Path) -> None:
    root = Path(build.ensure(lab_root() / "cache", "tiny")["root"])
    with open(tmp_path / "data.raw", "wb") as out:
        out.truncate(1 << 20)
    vmdk.encode(root, tmp_path / "root.vmdk")
    vmdk.encode(tmp_path / "data.raw", tmp_path / "data.vmdk")
    folder = tmp_path / "machine"
    capacities = (root.stat().st_size, 1 << 20)
    descriptor = write_machine(folder, (tmp_path / "root.vmdk", tmp_path / "data.vmdk"), capacities)
    descriptor.write_text(descriptor.read_text().replace('vmw:value="efi"', 'vmw:value="bios"'))

    client = plain.Plain(instance.url("vcd", scheme="https"), str(instance.data / "vcd" / "ca.pem"))
    client.login()
    control = vcd.Control(instance)
    template = plain.upload(client, plain.catalog(client), folder)
    network = plain.routed(client).rpartition(":")[2]
    nets = (
        '<NetworkConfigSection><ovf:Info/><NetworkConfig networkName="net"><Configuration>'
        f'<ParentNetwork href="{client.url}/api/network/{network}"/><FenceMode>bridged</FenceMode></Configuration>'
        "</NetworkConfig></NetworkConfigSection>"
    )
    source = client.get(template).xml().find("Children/Vm").get("href")
    item = (
        f'<SourcedItem><Source href="{source}"/><VmGeneralParams><Name>web</Name></VmGeneralParams>'
        "<InstantiationParams>"
        "<NetworkConnectionSection><ovf:Info/><PrimaryNetworkConnectionIndex>0</PrimaryNetworkConnectionIndex>"
        '<NetworkConnection network="net"><NetworkConnectionIndex>0</NetworkConnectionIndex>'
        "<IsConnected>true</IsConnected>"
        f"<MACAddress>{MAC}</MACAddress><IpAddressAllocationMode>DHCP</IpAddressAllocationMode>"
        "<NetworkAdapterType>VMXNET3</NetworkAdapterType></NetworkConnection></NetworkConnectionSection>"
        "</InstantiationParams></SourcedItem>"
    )
    vapp = plain.make_vapp(client, plain.vdc(client), template, nets=nets, items=item)
    vm = plain.first_vm(client, vapp)
    client.done(client.call("POST", f"{vm}/power/action/powerOn"))
    moref = control.machines()[1][0]["moref"]
    guest = hypervisor.wait_up(instance, "target", moref)
    address = guest["nics"][0]["address"]
    assert (guest["report"]["storage"], guest["report"]["nic"]) == ("vmw_pvscsi", "vmxnet3")

    def told() -> bool:
        shown = client.get(vm).xml()
        return shown.findtext("NetworkConnectionSection/NetworkConnection/IpAddress") == address

    wait_for(told, 10, "Cloud Director to hear of the guest's address")

    edge = plain.by_name(client, "edgeGateways", seed.EDGE)
    url = f"{plain.V1}/edgeGateways/{edge['id']}"
    control.patch("gateway", edge["id"].rpartition(":")[2], public=[PUBLIC_IP])
    with vcd.Outside(instance) as outside:
        web, ssh = outside.port(PUBLIC_IP, 80), outside.port(PUBLIC_IP, 22)
        assert closed(web) and closed(ssh)
        nat = {"name": "web", "type": "DNAT", "externalAddresses": PUBLIC_IP, "internalAddresses": address}
        client.done(client.call("POST", f"{url}/nat/rules", nat))
        assert vcd.through_edge(instance, PUBLIC_IP, 80) is None and closed(web)  # the firewall still drops it
        context = f"{plain.V1}/applicationPortProfiles?filter=_context=={edge['id']};name==HTTP"
        http = next(row for row in client.get(context).json()["values"] if row["name"] == "HTTP")
        rule = {"name": "web", "actionValue": "ALLOW", "applicationPortProfiles": [{"id": http["id"]}]}
        client.done(client.call("PUT", f"{url}/firewall/rules", {"userDefinedRules": [rule]}))
        wait_for(lambda: not closed(web), 10, "the rule to let connections pass")
        assert closed(ssh)
        with urllib.request.urlopen(f"http://127.0.0.1:{web}/", timeout=10) as answer:
            assert guest["report"]["hostname"] in answer.read().decode()
        client.done(client.call("PUT", f"{url}/firewall/rules", {"userDefinedRules": []}))
        wait_for(lambda: closed(web), 10, "the door to be shut")

    client.done(client.call("POST", f"{vm}/power/action/shutdown"))
    until = time.time() + 90
    while any(g["running"] for g in hypervisor.status(instance)):
        assert time.time() < until
        time.sleep(0.2)
    assert client.get(vm).xml().get("status") == "8"
