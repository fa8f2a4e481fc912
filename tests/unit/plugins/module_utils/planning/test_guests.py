# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What images tell of the systems that they hold."""

from __future__ import annotations

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.guests import UNKNOWN, recognise


@pytest.mark.parametrize(
    ("properties", "identifier", "known", "family"),
    [
        ({"os_distro": "debian", "os_version": "12"}, "debian12_64Guest", True, "linux"),
        ({"os_distro": "debian", "os_version": "10.13"}, "debian10_64Guest", True, "linux"),
        ({"os_distro": "debian"}, "debian12_64Guest", False, "linux"),
        ({"os_distro": "debian", "os_version": "99"}, "debian12_64Guest", True, "linux"),
        ({"os_distro": "ubuntu", "os_version": "24.04"}, "ubuntu64Guest", True, "linux"),
        ({"os_distro": "CentOS-Stream", "os_version": "9"}, "centos9_64Guest", True, "linux"),
        ({"os_distro": "redhat", "os_version": "8.4"}, "rhel8_64Guest", True, "linux"),
        ({"os_distro": "sles", "os_version": "15-SP4"}, "sles15_64Guest", True, "linux"),
        ({"__platform": "Debian", "__os_version": "Debian GNU/Linux 11.0 64bit"}, "debian11_64Guest", True, "linux"),
        ({"os_distro": "rocky", "os_version": "9"}, "rockylinux_64Guest", True, "linux"),
        ({"os_distro": "freebsd", "os_version": "13"}, "freebsd13_64Guest", True, "other"),
        ({"os_type": "windows", "os_version": "Windows Server 2022"}, "windows2019srvNext_64Guest", True, "windows"),
        (
            {"__os_type": "Windows", "__os_version": "Windows Server 2016 Standard"},
            "windows9Server64Guest",
            True,
            "windows",
        ),
        ({"os_distro": "windows"}, "windows2019srv_64Guest", False, "windows"),
        ({"os_distro": "{{ 7*7 }}", "os_version": "x"}, UNKNOWN, False, "linux"),
        ({}, UNKNOWN, False, "linux"),
    ],
)
def test_system(properties: dict[str, str], identifier: str, known: bool, family: str) -> None:
    guest = recognise(properties)
    assert (guest.identifier, guest.known, guest.family) == (identifier, known, family)


@pytest.mark.parametrize(
    ("value", "firmware"), [("uefi", "efi"), ("UEFI", "efi"), ("bios", "bios"), ("", None), ("x", None)]
)
def test_firmware(value: str, firmware: str | None) -> None:
    assert recognise({"hw_firmware_type": value}).firmware == firmware
