# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image's properties tell of the system on a disk, and what vSphere calls that system."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

UNKNOWN = "otherLinux64Guest"
"""What vSphere gets when nothing is known: any Linux, 64 bit."""

# Identifiers of VirtualMachineGuestOsIdentifier (vSphere Web Services API 8.0), by distribution and major version; the
# version "" is for any other. The newest one known stands in for versions that came later.
_VERSIONED: dict[str, dict[str, str]] = {
    "debian": {
        "8": "debian8_64Guest",
        "9": "debian9_64Guest",
        "10": "debian10_64Guest",
        "11": "debian11_64Guest",
        "12": "debian12_64Guest",
        "": "debian12_64Guest",
    },
    "centos": {
        "6": "centos6_64Guest",
        "7": "centos7_64Guest",
        "8": "centos8_64Guest",
        "9": "centos9_64Guest",
        "": "centos9_64Guest",
    },
    "rhel": {
        "6": "rhel6_64Guest",
        "7": "rhel7_64Guest",
        "8": "rhel8_64Guest",
        "9": "rhel9_64Guest",
        "": "rhel9_64Guest",
    },
    "oracle": {
        "6": "oracleLinux6_64Guest",
        "7": "oracleLinux7_64Guest",
        "8": "oracleLinux8_64Guest",
        "9": "oracleLinux9_64Guest",
        "": "oracleLinux9_64Guest",
    },
    "sles": {"11": "sles11_64Guest", "12": "sles12_64Guest", "15": "sles15_64Guest", "": "sles15_64Guest"},
    "freebsd": {
        "12": "freebsd12_64Guest",
        "13": "freebsd13_64Guest",
        "14": "freebsd14_64Guest",
        "": "freebsd14_64Guest",
    },
    "ubuntu": {"": "ubuntu64Guest"},
    "rocky": {"": "rockylinux_64Guest"},
    "almalinux": {"": "almalinux_64Guest"},
    "fedora": {"": "fedora64Guest"},
    "opensuse": {"": "opensuse64Guest"},
    "coreos": {"": "coreos64Guest"},
    "windows": {"": "windows2019srv_64Guest"},
}
_WINDOWS = (
    (r"2025", "windows2022srvNext_64Guest"),
    (r"2022", "windows2019srvNext_64Guest"),
    (r"2019", "windows2019srv_64Guest"),
    (r"2016", "windows9Server64Guest"),
    (r"2012", "windows8Server64Guest"),
    (r"2008", "windows7Server64Guest"),
    (r"\b11\b", "windows11_64Guest"),
    (r"\b10\b", "windows9_64Guest"),
)
_ALIASES = {
    "centos-stream": "centos",
    "centosstream": "centos",
    "red": "rhel",
    "redhat": "rhel",
    "red hat": "rhel",
    "oraclelinux": "oracle",
    "oracle linux": "oracle",
    "ol": "oracle",
    "suse": "sles",
    "sled": "sles",
    "rocky linux": "rocky",
    "rockylinux": "rocky",
    "alma": "almalinux",
    "flatcar": "coreos",
    "arch": "",
}


@dataclass(frozen=True)
class Guest:
    """The system on a disk as far as its image tells: vSphere's identifier, whether it was known, family, firmware."""

    identifier: str
    known: bool
    family: Literal["linux", "windows", "other"]
    label: str
    firmware: Literal["bios", "efi"] | None
    distro: str = ""
    """The distribution in lower case, as far as its image tells (`windows` for all of those); empty: not told."""
    version: str = ""
    """The first number of its version: `12`, `20.04`, `2019`; empty: not told."""


def recognise(properties: Mapping[str, str]) -> Guest:
    """From image properties: `os_distro`, `os_version`, `os_type`, `hw_firmware_type` (Glance, "Useful image
    properties"), and the family's `__platform`, `__os_version`, `__os_type` (image service of Flexible Engine)."""
    distro = (properties.get("os_distro") or properties.get("__platform") or "").strip().lower()
    version = (properties.get("os_version") or properties.get("__os_version") or "").strip()
    kind = (properties.get("os_type") or properties.get("__os_type") or "").strip().lower()
    firmware = _firmware(properties.get("hw_firmware_type", ""))
    label = " ".join(part for part in (distro, version) if part) or kind
    number = re.search(r"\d+(?:\.\d+)?", version)
    short = number[0] if number else ""
    if "windows" in (kind, distro) or distro.startswith("windows"):
        text = f"{distro} {version}"
        found = next((name for pattern, name in _WINDOWS if re.search(pattern, text)), _VERSIONED["windows"][""])
        return Guest(found, bool(version), "windows", label or "windows", firmware, "windows", short)
    distro = _ALIASES.get(distro, distro)
    versions = _VERSIONED.get(distro)
    if versions is None:
        return Guest(UNKNOWN, False, "linux", label, firmware, distro, short)
    identifier = versions.get(short.partition(".")[0], versions[""])
    family: Literal["linux", "other"] = "other" if distro == "freebsd" else "linux"
    return Guest(identifier, bool(number) or len(versions) == 1, family, label, firmware, distro, short)


def _firmware(text: str) -> Literal["bios", "efi"] | None:
    value = text.strip().lower()
    return "efi" if value in ("uefi", "efi") else "bios" if value == "bios" else None
