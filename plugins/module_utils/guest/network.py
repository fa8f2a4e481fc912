# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network names: what the guest calls each adapter, and a `.link` file that keeps the name at the target.

The name comes from the bus position, so the target's bus gives another one. It is never guessed what the new name
would be: the old one is pinned to the adapter's MAC (systemd.link(5)), which serves ifupdown, netplan,
NetworkManager and networkd alike, and leaves every configured address as it is.
"""

from __future__ import annotations

import configparser
import importlib
import ipaddress
import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import (
    Nic,
    is_interface_name,
    is_mac,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.tree import Tree

LINK_DIRECTORY = "/etc/systemd/network"
PERSISTENT_RULES = "/etc/udev/rules.d/70-persistent-net.rules"


@dataclass
class Interface:
    """What the guest's files say of one adapter: names it by, with which MAC and addresses, said by which files."""

    name: str
    # The MAC that the configuration gives with the name, and those that logs and old rules have seen it with.
    mac: str = ""
    seen_macs: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    sources: list[str] = field(default_factory=list)
    # Whether a configuration file names it (and not only a log or a lease).
    configured: bool = False
    # Whether its name is fixed by the guest's own configuration and MAC already.
    pinned: bool = False


@dataclass
class Network:
    """All that the guest's files say of its network."""

    tools: list[str] = field(default_factory=list)
    interfaces: dict[str, Interface] = field(default_factory=dict)
    # Patterns by which adapters are matched (`en*`): whatever matches needs no fixed name.
    patterns: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    # Files that may hold a MAC address.
    files: list[str] = field(default_factory=list)

    def add(
        self,
        name: str,
        source: str,
        *,
        mac: str = "",
        addresses: Iterable[str] = (),
        configured: bool = True,
        pinned: bool = False,
    ) -> None:
        """Take down that `source` calls an adapter `name`."""
        if any(character in name for character in "*?[!"):
            self.patterns.append(name)
            return
        if not is_interface_name(name) or not _is_physical(name):
            return
        interface = self.interfaces.setdefault(name, Interface(name))
        mac = mac.strip().lower().replace("-", ":")
        if is_mac(mac):
            interface.seen_macs.add(mac)
            interface.mac = mac if configured else interface.mac
        interface.addresses.update(filter(None, map(_address, addresses)))
        if source not in interface.sources:
            interface.sources.append(source)
        interface.configured |= configured
        interface.pinned |= pinned

    def tool(self, name: str) -> None:
        """Take down that the guest configures its network with `name`."""
        if name not in self.tools:
            self.tools.append(name)


def read_network(tree: Tree) -> Network:
    """Read what ifupdown, netplan, NetworkManager, ifcfg files, networkd, udev, cloud-init and DHCP clients left."""
    network = Network()
    for read in (_ifupdown, _netplan, _networkd, _network_manager, _ifcfg, _persistent_rules, _cloud_init_log, _leases):
        read(tree, network)
    return network


def pair(nics: Sequence[Nic], network: Network) -> tuple[dict[int, str], list[str], list[str]]:
    """Which name belongs to which adapter: `{index of the adapter: name}`, problems, warnings.

    Sure ways first: the plan's word, a MAC in the configuration, an address that the cloud gave. What is left is paired
    when there is one of each, or in order when there are as many names as adapters (the cloud fills the bus in order).
    """
    names: dict[int, str] = {index: nic.name for index, nic in enumerate(nics) if nic.name}
    problems: list[str] = []
    warnings: list[str] = []
    for index, nic in enumerate(nics):
        if index not in names:
            macs = {nic.mac, nic.target_mac}
            found = [one for one in _free(network, names) if macs & one.seen_macs]
            found.sort(key=lambda one: (one.mac not in macs, not one.configured))
            if found:
                names[index] = found[0].name
    for index, nic in enumerate(nics):
        if index not in names and nic.addresses:
            own = set(filter(None, map(_address, nic.addresses)))
            matching = [one for one in _free(network, names) if one.addresses & own]
            if len(matching) == 1:
                names[index] = matching[0].name
    left = [index for index in range(len(nics)) if index not in names]
    free = sorted((one.name for one in _free(network, names) if one.configured and not one.mac), key=_natural)
    if left and free:
        if len(left) == len(free):
            names.update({index: free[position] for position, index in enumerate(left)})
            if len(left) > 1:
                told = ", ".join(f"{names[index]} = {nics[index].mac}" for index in left)
                warnings.append(f"the guest's files do not say which adapter is which; taken in order: {told}")
        else:
            macs_left = ", ".join(nics[index].mac for index in left)
            problems.append(
                f"the guest's network configuration names {', '.join(free)}, and which of them is {macs_left} cannot "
                "be told; say it with the adapter's `name`"
            )
            left = []
    for index in left:
        if index not in names:
            covered = " (the guest's configuration matches it by pattern)" if network.patterns else ""
            warnings.append(
                f"the guest's name for adapter {nics[index].mac} is not known, so it is not pinned{covered}"
            )
    for index, name in sorted(names.items()):
        if not nics[index].mac_known:
            told = f"adapter {nics[index].mac} ({name}) gets a MAC address at the target that is not known yet"
            if name in network.interfaces and network.interfaces[name].configured:
                problems.append(f"{told}, so its name cannot be kept; keep the MAC, or give the new one")
            else:
                warnings.append(f"{told}, so its name is not pinned")
    names = {index: name for index, name in names.items() if nics[index].mac_known}
    doubled = sorted({name for name in names.values() if list(names.values()).count(name) > 1})
    problems += [f"two adapters would both be called {name}" for name in doubled]
    return names, problems, warnings


def pin(tree: Tree, nics: Sequence[Nic], names: dict[int, str], network: Network) -> None:
    """Stage the `.link` files, MACs that change, and the removal of persistent names of old udev."""
    changed = {nic.mac: nic.new_mac for nic in nics if nic.new_mac and nic.new_mac != nic.mac}
    for path in network.files:
        text = tree.text(path)
        if text is None or not changed:
            continue
        new = _MAC_ANYWHERE.sub(lambda match: _exchange(match, changed), text)
        if new != text:
            tree.write(path, new, reason="the adapter has another MAC address at the target")
    for index, name in sorted(names.items()):
        if not _linked(tree, nics[index].target_mac, name):
            tree.write(
                f"{LINK_DIRECTORY}/10-cloudexit-{name}.link",
                link_text(name, nics[index].target_mac),
                reason=f"keeps the name {name} behind other hardware",
            )
    if tree.is_file(PERSISTENT_RULES):
        tree.remove(PERSISTENT_RULES, reason="names adapters of the old hardware")


def link_text(name: str, mac: str) -> str:
    """A systemd.link(5) file that gives `name` to the Ethernet adapter with this MAC.

    `Type=ether` keeps bridges, bonds and VLANs out, which inherit the MAC of what they stand on.
    """
    return (
        "# Written by cloudexit.flexible_engine: keeps the adapter's name when its bus position changes.\n"
        f"[Match]\nMACAddress={mac}\nType=ether\n\n[Link]\nName={name}\n"
    )


# inside

_MAC_ANYWHERE = re.compile(
    r"(?<![0-9A-Fa-f:-])[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}(?![0-9A-Fa-f:-])"
)
_VIRTUAL = re.compile(
    r"(lo|bond|br|docker|veth|virbr|vnet|tun|tap|wg|dummy|team|ppp|sit|gre|vlan|vxlan|ifb|ip6tnl)([0-9_.-]|$)"
)


def _is_physical(name: str) -> bool:
    return not _VIRTUAL.match(name) and "." not in name and ":" not in name


def _exchange(match: re.Match[str], changed: dict[str, str]) -> str:
    separator = match.group(1)
    new = changed.get(match.group(0).lower().replace("-", ":"))
    if new is None:
        return match.group(0)
    new = new.replace(":", separator)
    return new.upper() if match.group(0).isupper() else new


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_interface(str(value).strip()).ip)
    except ValueError:
        return ""


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.findall(r"\d+|\D+", name)]


def _free(network: Network, names: dict[int, str]) -> list[Interface]:
    return [one for one in network.interfaces.values() if one.name not in names.values()]


def _linked(tree: Tree, mac: str, name: str) -> bool:
    """Whether a `.link` file, or netplan, gives this adapter this name already."""
    for path in tree.glob(LINK_DIRECTORY, "*.link"):
        unit = _unit(tree, path)
        if unit is None:
            continue
        macs = _values(unit, "Match", "MACAddress") + _values(unit, "Match", "PermanentMACAddress")
        if mac in [one.lower().replace("-", ":") for one in macs] and _values(unit, "Link", "Name") == [name]:
            return True
    for _path, _identifier, ethernet in _netplan_ethernets(tree, Network()):
        match = ethernet.get("match") or {}
        if (
            isinstance(match, dict)
            and str(match.get("macaddress", "")).lower() == mac
            and ethernet.get("set-name") == name
        ):
            return True
    return False


def _ifupdown(tree: Tree, network: Network) -> None:
    paths = [path for path in ("/etc/network/interfaces",) if tree.is_file(path)]
    paths += [path for path in tree.glob("/etc/network/interfaces.d", "*") if tree.is_file(path)]
    stanzas: dict[str, dict[str, list[str]]] = {}
    used: dict[str, str] = {}
    slaves: list[tuple[str, str]] = []
    for path in paths:
        network.files.append(path)
        current: dict[str, list[str]] = {}
        for line in (tree.text(path) or "").replace("\\\n", " ").splitlines():
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] == "iface" and len(words) > 1:
                current = stanzas.setdefault(words[1], {})
                used.setdefault(words[1], path)
            elif words[0] in ("auto", "mapping", "source", "source-directory") or words[0].startswith("allow-"):
                current = {}
                if words[0] != "mapping" and not words[0].startswith("source"):
                    for name in words[1:]:
                        used.setdefault(name, path)
            else:
                current.setdefault(words[0].replace("-", "_"), []).extend(words[1:])
    for name, options in stanzas.items():
        for key in ("bridge_ports", "bond_slaves", "slaves"):
            slaves += [(slave, used[name]) for slave in options.get(key, []) if slave not in ("none", "all")]
    for name, path in used.items():
        options = stanzas.get(name, {})
        if {"bridge_ports", "bond_slaves", "vlan_raw_device", "bond_mode"} & set(options):
            continue
        if "=" in name or name.startswith("/"):
            network.patterns.append(name)
            continue
        hardware = options.get("hwaddress", [])
        network.add(name, path, mac=hardware[-1] if hardware else "", addresses=options.get("address", []))
    for slave, path in slaves:
        network.add(slave, path)
    if any(name not in ("lo",) for name in used):
        network.tool("ifupdown")


def _netplan(tree: Tree, network: Network) -> None:
    for path, identifier, ethernet in _netplan_ethernets(tree, network):
        network.tool("netplan")
        match = ethernet.get("match")
        match = match if isinstance(match, dict) else {}
        mac = str(match.get("macaddress") or "").lower()
        addresses = [
            next(iter(one)) if isinstance(one, dict) else str(one) for one in ethernet.get("addresses") or () if one
        ]
        set_name = str(ethernet.get("set-name") or "")
        if match.get("driver"):
            network.problems.append(f"{path} matches {identifier} by its driver, which is another one at the target")
        if set_name:
            network.add(set_name, path, mac=mac, addresses=addresses, pinned=bool(mac))
        elif match.get("name"):
            network.add(str(match["name"]), path, mac=mac, addresses=addresses)
        elif not match:
            network.add(identifier, path, addresses=addresses)


def _netplan_ethernets(tree: Tree, network: Network) -> list[tuple[str, str, dict[str, Any]]]:
    found: list[tuple[str, str, dict[str, Any]]] = []
    paths = tree.glob("/etc/netplan", "*.yaml")
    if not paths:
        return found
    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        network.problems.append("the guest uses netplan, and PyYAML (pip install PyYAML) is not installed to read it")
        return found
    for path in paths:
        if path not in network.files:
            network.files.append(path)
        try:
            # Every scalar as text: YAML 1.1 would read 52:54:00:12:34:56 as a number.
            document = yaml.load(tree.text(path) or "", Loader=yaml.BaseLoader)
        except (yaml.YAMLError, ValueError, RecursionError):
            network.problems.append(f"{path} is not valid YAML")
            continue
        for key in ("network", "ethernets"):
            document = document.get(key) if isinstance(document, dict) else None
        if isinstance(document, dict):
            found += [
                (path, str(name), value or {}) for name, value in document.items() if isinstance(value or {}, dict)
            ]
    return found


def _unit(tree: Tree, path: str) -> dict[str, dict[str, list[str]]] | None:
    """A systemd unit or key file as {section: {key: [values]}}; an empty assignment clears, as systemd does it."""
    text = tree.text(path)
    if text is None:
        return None
    unit: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            section = unit.setdefault(line[1:-1], {})
            continue
        key, _equals, value = line.partition("=")
        values = section.setdefault(key.strip(), [])
        if value.strip():
            values.append(value.strip())
        else:
            values.clear()
    return unit


def _values(unit: dict[str, dict[str, list[str]]], section: str, key: str) -> list[str]:
    return [word for value in unit.get(section, {}).get(key, []) for word in value.split()]


def _networkd(tree: Tree, network: Network) -> None:
    for path in tree.glob(LINK_DIRECTORY, "*.link"):
        unit = _unit(tree, path) or {}
        network.files.append(path)
        macs = _values(unit, "Match", "MACAddress") + _values(unit, "Match", "PermanentMACAddress")
        for name in _values(unit, "Link", "Name"):
            for mac in macs:
                network.add(name, path, mac=mac, pinned=True)
    for path in [*tree.glob(LINK_DIRECTORY, "*.netdev"), *tree.glob(LINK_DIRECTORY, "*.network")]:
        unit = _unit(tree, path) or {}
        network.files.append(path)
        if path.endswith(".netdev"):
            continue
        network.tool("networkd")
        for key in ("Driver", "Path"):
            words = [word for word in _values(unit, "Match", key) if word != "*"]
            if words:
                network.problems.append(f"{path} matches by {key}={words[0]}, which is another one at the target")
        if _values(unit, "Match", "Kind") or any(word != "ether" for word in _values(unit, "Match", "Type")):
            continue
        macs = _values(unit, "Match", "MACAddress") + _values(unit, "Match", "PermanentMACAddress")
        addresses = _values(unit, "Network", "Address") + _values(unit, "Address", "Address")
        names = [name for name in _values(unit, "Match", "Name") if not name.startswith("!")]
        for name in names:
            network.add(
                name,
                path,
                mac=macs[0] if len(macs) == len(names) == 1 else "",
                addresses=addresses if len(names) == 1 else (),
            )


def _network_manager(tree: Tree, network: Network) -> None:
    for path in tree.glob("/etc/NetworkManager/system-connections", "*"):
        parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#",))
        text = tree.text(path)
        if text is None:
            continue
        network.files.append(path)
        try:
            parser.read_string(text)
        except configparser.Error:
            network.warnings.append(f"{path} could not be read")
            continue
        network.tool("NetworkManager")
        kind = parser.get("connection", "type", fallback="")
        if kind not in ("ethernet", "802-3-ethernet"):
            continue
        mac = parser.get("ethernet", "mac-address", fallback=parser.get("802-3-ethernet", "mac-address", fallback=""))
        addresses = [
            value.split(",")[0]
            for section in ("ipv4", "ipv6")
            if parser.has_section(section)
            for key, value in parser.items(section)
            if re.match(r"address(es)?\d*$", key)
        ]
        if parser.get("match", "driver", fallback="") or parser.get("match", "path", fallback=""):
            network.problems.append(f"{path} matches by driver or bus path, which is another one at the target")
        name = parser.get("connection", "interface-name", fallback="")
        if name:
            network.add(name, path, mac=mac, addresses=addresses)


def _ifcfg(tree: Tree, network: Network) -> None:
    for directory in ("/etc/sysconfig/network-scripts", "/etc/sysconfig/network"):
        for path in tree.glob(directory, "ifcfg-*"):
            if path.endswith((".bak", ".old", ".orig", ".rpmsave", ".rpmnew", "~")) or not tree.is_file(path):
                continue
            values = _shell_values(tree.text(path) or "")
            name = values.get("DEVICE") or posixpath.basename(path)[len("ifcfg-") :]
            if name == "lo":
                continue
            network.files.append(path)
            network.tool("ifcfg")
            virtual = values.get("TYPE", "Ethernet").lower() not in ("ethernet", "") or values.get("VLAN") == "yes"
            if virtual or any(
                key in values for key in ("BONDING_OPTS", "BONDING_MASTER", "BRIDGE_PORTS", "ETHERDEVICE")
            ):
                continue
            addresses = [value for key, value in values.items() if re.match(r"(IPADDR|IPV6ADDR)\d*$", key)]
            network.add(name, path, mac=values.get("HWADDR") or values.get("LLADDR") or "", addresses=addresses)


def _shell_values(text: str) -> dict[str, str]:
    values = {}
    for line in text.splitlines():
        match = re.match(r"\s*([A-Z0-9_]+)=(\"([^\"]*)\"|'([^']*)'|(\S*))", line)
        if match:
            values[match.group(1)] = next((one for one in match.groups()[2:] if one is not None), "")
    return values


def _persistent_rules(tree: Tree, network: Network) -> None:
    for line in (tree.text(PERSISTENT_RULES) or "").splitlines():
        mac = re.search(r'ATTRS?\{address\}=="([^"]+)"', line)
        name = re.search(r'\bNAME="([^"]+)"', line)
        if mac and name and not line.lstrip().startswith("#"):
            network.add(name.group(1), PERSISTENT_RULES, mac=mac.group(1), configured=False)


def _cloud_init_log(tree: Tree, network: Network) -> None:
    """cloud-init prints a table of the adapters at every boot: `| ens3 | True | address | mask | scope | MAC |`."""
    path = "/var/log/cloud-init-output.log"
    if not tree.is_file(path):
        return
    with open(tree.host_path(path), "rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - (1 << 20)))
        text = file.read().decode("utf-8", "replace")
    seen: dict[str, tuple[str, set[str]]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if "ci-info" in cells[0] and len(cells) >= 8 and is_mac(cells[6].lower()):
            addresses = (
                seen.get(cells[1], ("", set()))[1] if seen.get(cells[1], ("",))[0] == cells[6].lower() else set()
            )
            seen[cells[1]] = (cells[6].lower(), addresses | {cells[3]})
    for name, (mac, addresses) in seen.items():
        network.add(name, path, mac=mac, addresses=addresses, configured=False)


def _leases(tree: Tree, network: Network) -> None:
    for directory in ("/var/lib/dhcp", "/var/lib/dhclient"):
        for path in [*tree.glob(directory, "*.lease"), *tree.glob(directory, "*.leases")]:
            text = tree.text(path) or ""
            for block in re.findall(r"lease\s*\{(.*?)\}", text, re.S)[-16:]:
                name = re.search(r'interface\s+"([^"]+)"', block)
                address = re.search(r"fixed-address\s+([0-9.]+);", block)
                if name and address:
                    network.add(name.group(1), path, addresses=[address.group(1)], configured=False)
    for path in tree.glob("/var/lib/NetworkManager", "*.lease"):
        name = re.search(r"-([^-]+)\.lease$", path)
        address = re.search(r"^ADDRESS=([0-9.]+)$", tree.text(path) or "", re.M)
        if name and address:
            network.add(name.group(1), path, addresses=[address.group(1)], configured=False)
