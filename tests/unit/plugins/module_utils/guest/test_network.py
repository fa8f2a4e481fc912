# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which adapter is which, and the file that keeps its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import network
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import Nic
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.tree import Tree

from .conftest import Guest

A = "fa:16:3e:00:00:0a"
B = "fa:16:3e:00:00:0b"
NEW = "00:50:56:00:00:0a"


@pytest.fixture
def bare(tmp_path: Path) -> Guest:
    return Guest(tmp_path / "guest").files({"/etc/hostname": "x"})


def names_of(guest: Guest, *nics: Nic) -> tuple[list[str | None], list[str], list[str]]:
    found = network.read_network(Tree(str(guest.root)))
    names, problems, warnings = network.pair(nics, found)
    return [names.get(index) for index in range(len(nics))], problems + found.problems, warnings


CONFIGURATIONS = {
    "ifupdown": {
        "/etc/network/interfaces": "auto lo\niface lo inet loopback\nallow-hotplug ens4\niface ens4 inet dhcp\n"
    },
    "ifupdown in interfaces.d": {"/etc/network/interfaces.d/50-cloud-init": "auto ens4\niface ens4 inet dhcp\n"},
    "ifupdown under a bridge": {
        "/etc/network/interfaces": "auto br0\niface br0 inet static\n  address 10.0.0.5/24\n  bridge_ports ens4\n"
    },
    "ifupdown under a bond with a vlan": {
        "/etc/network/interfaces": "auto bond0\niface bond0 inet manual\n bond-slaves ens4\n bond-mode 1\n"
        "iface vlan10 inet manual\n vlan-raw-device bond0\n"
    },
    "netplan": {"/etc/netplan/50.yaml": "network: {version: 2, ethernets: {ens4: {dhcp4: true}}}"},
    "netplan with set-name": {
        "/etc/netplan/50.yaml": "network:\n  ethernets:\n    nic0:\n      match: {macaddress: "
        + A.upper()
        + "}\n      set-name: ens4\n"
    },
    "networkd": {"/etc/systemd/network/a.network": "[Match]\nName=ens4\n[Network]\nDHCP=yes\n"},
    "a link file": {"/etc/systemd/network/a.link": f"[Match]\nMACAddress={A}\n[Link]\nName=ens4\n"},
    "NetworkManager": {
        "/etc/NetworkManager/system-connections/a.nmconnection": "[connection]\ntype=ethernet\ninterface-name=ens4\n"
    },
    "ifcfg of Red Hat": {"/etc/sysconfig/network-scripts/ifcfg-ens4": "DEVICE=ens4\nTYPE=Ethernet\nBOOTPROTO=dhcp\n"},
    "ifcfg of SUSE": {"/etc/sysconfig/network/ifcfg-ens4": "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n"},
    "old udev": {
        "/etc/udev/rules.d/70-persistent-net.rules": f'SUBSYSTEM=="net", ATTR{{address}}=="{A}", NAME="ens4"\n'
    },
    "a log of cloud-init": {
        "/var/log/cloud-init-output.log": "ci-info: |  ens3  | True | 10.0.0.4 | 255.255.255.0 | global | "
        + B
        + " |\nci-info: |  ens4  | True | 10.0.0.5 | 255.255.255.0 | global | "
        + A
        + " |\nci-info: |   lo   | True | 127.0.0.1 | 255.0.0.0 | host | . |\n"
    },
    "a lease": {
        "/var/lib/dhcp/dhclient.ens4.leases": 'lease {\n  interface "ens4";\n  fixed-address 10.0.0.5;\n}\n'
        'lease {\n  interface "ens3";\n  fixed-address 10.0.0.4;\n}\n'
    },
}


@pytest.mark.parametrize("files", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_the_name_is_found(bare: Guest, files: dict[str, str]) -> None:
    names, problems, _warnings = names_of(bare.files(files), Nic(A, addresses=("10.0.0.5",)))
    assert (names, problems) == (["ens4"], [])


def test_by_address(bare: Guest) -> None:
    bare.files(
        {
            "/etc/network/interfaces": "iface ens3 inet static\n address 10.0.0.5\n netmask 255.255.255.0\n"
            "iface ens4 inet static\n address 10.1.0.5/24\n"
        }
    )
    assert names_of(bare, Nic(A, addresses=("10.1.0.5",)), Nic(B, addresses=("10.0.0.5",)))[0] == ["ens4", "ens3"]


def test_in_order_with_a_warning(bare: Guest) -> None:
    bare.files({"/etc/network/interfaces": "iface ens10 inet dhcp\niface ens3 inet dhcp\n"})
    names, problems, warnings = names_of(bare, Nic(A), Nic(B))
    assert (names, problems) == (["ens3", "ens10"], [])
    assert warnings == [f"the guest's files do not say which adapter is which; taken in order: ens3 = {A}, ens10 = {B}"]


def test_more_names_than_adapters_is_a_problem_unless_it_is_said(bare: Guest) -> None:
    bare.files({"/etc/network/interfaces": "iface ens3 inet dhcp\niface ens4 inet dhcp\n"})
    assert "cannot be told; say it with the adapter's `name`" in names_of(bare, Nic(A))[1][0]
    assert names_of(bare, Nic(A, name="ens4"))[:2] == (["ens4"], [])


def test_a_name_that_belongs_to_another_mac_is_left_alone(bare: Guest) -> None:
    bare.files(
        {"/etc/sysconfig/network-scripts/ifcfg-eth1": f"DEVICE=eth1\nHWADDR={B}\n"}
        | {"/etc/sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth0\n"}
    )
    assert names_of(bare, Nic(A))[:2] == (["eth0"], [])


def test_patterns_need_no_name(bare: Guest) -> None:
    bare.files({"/etc/systemd/network/a.network": "[Match]\nName=en*\n[Network]\nDHCP=yes\n"})
    names, problems, warnings = names_of(bare, Nic(A))
    assert (names, problems) == ([None], [])
    assert "by pattern" in warnings[0]


@pytest.mark.parametrize(
    "files",
    [
        {"/etc/netplan/a.yaml": "network: {ethernets: {x: {match: {driver: virtio_net}}}}"},
        {"/etc/systemd/network/a.network": "[Match]\nDriver=virtio_net\n"},
        {"/etc/systemd/network/a.network": "[Match]\nPath=pci-0000:00:03.0\n"},
        {
            "/etc/NetworkManager/system-connections/a": "[connection]\ntype=ethernet\n[match]\ndriver=virtio_net\n",
        },
        {"/etc/netplan/a.yaml": "network: [\n"},
    ],
)
def test_what_is_not_understood(bare: Guest, files: dict[str, str]) -> None:
    assert names_of(bare.files(files), Nic(A))[1]


@pytest.mark.parametrize("text", ["[]", "network:", "network: []", "network: {ethernets: [1]}", "x: &a [*a]"])
def test_strange_netplan_does_no_harm(bare: Guest, text: str) -> None:
    bare.files({"/etc/netplan/a.yaml": text})
    names_of(bare, Nic(A))


def test_a_mac_of_digits_stays_text(bare: Guest) -> None:
    bare.files(
        {"/etc/netplan/a.yaml": "network: {ethernets: {x: {match: {macaddress: 52:54:00:12:34:56}, set-name: ens4}}}"}
    )
    assert names_of(bare, Nic("52:54:00:12:34:56"))[0] == ["ens4"]


def test_the_link_file(bare: Guest) -> None:
    bare.files({"/etc/network/interfaces": "iface ens4 inet dhcp\n", network.PERSISTENT_RULES: "old\n"})
    tree = Tree(str(bare.root))
    network.pin(tree, [Nic(A)], {0: "ens4"}, network.read_network(tree))
    assert [(change.path, change.action) for change in tree.commit()] == [
        ("/etc/systemd/network/10-cloudexit-ens4.link", "created"),
        (network.PERSISTENT_RULES, "removed"),
    ]
    assert (
        "MACAddress=fa:16:3e:00:00:0a\nType=ether\n\n[Link]\nName=ens4\n"
        in (bare.root / "etc/systemd/network/10-cloudexit-ens4.link").read_text()
    )
    network.pin(tree, [Nic(A)], {0: "ens4"}, network.read_network(tree))
    assert tree.changes() == []


def test_netplan_that_pins_by_mac_needs_no_link_file(bare: Guest) -> None:
    bare.files(CONFIGURATIONS["netplan with set-name"])
    tree = Tree(str(bare.root))
    network.pin(tree, [Nic(A)], {0: "ens4"}, network.read_network(tree))
    assert tree.changes() == []


def test_another_mac_is_written_everywhere(bare: Guest) -> None:
    bare.files(
        {
            "/etc/netplan/a.yaml": f'network: {{ethernets: {{x: {{match: {{macaddress: "{A}"}}, set-name: ens4}}}}}}\n',
            "/etc/sysconfig/network-scripts/ifcfg-ens4": f"DEVICE=ens4\nHWADDR={A.upper()}\n",
            "/etc/systemd/network/a.link": f"[Match]\nMACAddress={A.replace(':', '-')} {B}\n[Link]\nName=ens4\n",
            "/etc/hosts": A,
        }
    )
    tree = Tree(str(bare.root))
    nic = Nic(A, new_mac=NEW)
    found = network.read_network(tree)
    names, problems, dummy = network.pair([nic], found)
    assert (names, problems) == ({0: "ens4"}, [])
    network.pin(tree, [nic], names, found)
    tree.commit()
    assert NEW in (bare.root / "etc/netplan/a.yaml").read_text()
    assert f"HWADDR={NEW.upper()}\n" in (bare.root / "etc/sysconfig/network-scripts/ifcfg-ens4").read_text()
    assert f"MACAddress=00-50-56-00-00-0a {B}\n" in (bare.root / "etc/systemd/network/a.link").read_text()
    again = network.read_network(tree)
    network.pin(tree, [nic], network.pair([nic], again)[0], again)
    assert tree.changes() == []


def test_a_mac_that_is_not_known_yet(bare: Guest) -> None:
    bare.files({"/etc/network/interfaces": "iface ens4 inet dhcp\n"})
    names, problems, dummy = names_of(bare, Nic(A, keep_mac=False))
    assert names == [None]
    assert "keep the MAC, or give the new one" in problems[0]


@pytest.mark.parametrize("name", ["a b", "x\ny", "../x", "a/b", "[Link]", "averyveryverylongname"])
def test_hostile_names_are_not_written(bare: Guest, name: str) -> None:
    bare.files({"/etc/netplan/a.yaml": f"network: {{ethernets: {{{name!r}: {{dhcp4: true}}}}}}"})
    assert names_of(bare, Nic(A))[0] == [None]
