# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running guest is prepared and put back; here it is a directory, and its programs are played."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import online
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import AdaptPlan, AdaptResult
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Refused

from .conftest import Guest, cpio

VERSION = "6.1.0-9-cloud-amd64"
DRIVERS = ["vmw_pvscsi", "vmxnet3", "sd_mod", "scsi_mod", "virtio_blk"]


@dataclass(frozen=True)
class Played(online.System):
    held: list[str] = field(default_factory=lambda: list(DRIVERS))
    commands: list[list[str]] = field(default_factory=list)

    def run(self, command: Sequence[str], timeout: float) -> tuple[int, str]:
        self.commands.append(list(command))
        if command[0] == "blkid":
            return 0, f"DEVNAME={command[-1]}\nUUID=root-uuid\nTYPE=ext4\n"
        Path(command[2]).write_bytes(gzip.compress(cpio([f"x/{name}.ko" for name in self.held])))
        return 0, ""


@pytest.fixture
def system(guest: Guest) -> Played:
    guest.files(
        {
            "/dev/vda1": "",
            "/sys/class/net/ens3/address": "fa:16:3e:00:00:01\n",
            "/sys/class/net/ens3/device/x": "",
            "/sys/class/net/lo/address": "00:00:00:00:00:00\n",
            "/sys/class/net/br0/address": "fa:16:3e:00:00:01\n",
            online.STATE.rpartition("/")[0] + "/other": "",
        }
    )
    return Played(root=str(guest.root))


def prepare(system: Played, **more: Any) -> AdaptResult:
    return online.prepare(AdaptPlan(), system=system, **more)


def test_there_and_back(guest: Guest, system: Played) -> None:
    os.chmod(guest.root / "etc/fstab", 0o640)
    before = guest.snapshot()
    told = prepare(system, check=True)
    assert told.changed and guest.snapshot() == before

    done = prepare(system)
    assert {change.path: change.action for change in done.files} == {
        "/boot/grub/grub.cfg": "modified",
        f"/boot/initrd.img-{VERSION}": "rebuilt",
        "/etc/default/grub": "modified",
        "/etc/fstab": "modified",
        "/etc/initramfs-tools/modules": "modified",
        "/etc/systemd/network/10-cloudexit-ens3.link": "created",
    }
    assert [change.path for change in told.files] == [change.path for change in done.files]
    assert "MACAddress=fa:16:3e:00:00:01" in (guest.root / "etc/systemd/network/10-cloudexit-ens3.link").read_text()

    prepared = guest.snapshot()
    again = prepare(system)
    assert (again.changed, again.files) == (False, [])
    assert guest.snapshot() == prepared

    assert [change.path for change in online.restore(check=True, system=system).files] == sorted(
        change.path for change in done.files
    )
    assert guest.snapshot() == prepared
    back = online.restore(system=system)
    assert back.changed and not back.warnings
    assert guest.snapshot() == before
    assert (guest.root / "etc/fstab").stat().st_mode & 0o777 == 0o640
    assert not online.restore(system=system).changed


def test_what_somebody_changed_since_stays(guest: Guest, system: Played) -> None:
    prepare(system)
    guest.files({"/etc/fstab": "of the administrator\n"})
    back = online.restore(system=system)
    assert back.warnings == ["/etc/fstab was changed since by somebody else and stays as it is"]
    assert (guest.root / "etc/fstab").read_text() == "of the administrator\n"
    assert "root=/dev/vda1" in (guest.root / "boot/grub/grub.cfg").read_text()


def test_the_first_original_is_kept(guest: Guest, system: Played) -> None:
    before = guest.snapshot()
    prepare(system)
    guest.files({"/etc/fstab": "/dev/vda1 / ext4 ro 0 1\n"})
    assert prepare(system).changed
    online.restore(system=system)
    assert guest.snapshot() == before


def test_killed_before_anything_was_written(guest: Guest, system: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    before = guest.snapshot()
    monkeypatch.setattr(online.Tree, "commit", lambda *dummy: (dummy for dummy in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        prepare(system)
    back = online.restore(system=system)
    assert (back.changed, back.warnings) == (False, [])
    assert guest.snapshot() == before


def test_an_initramfs_without_the_drivers_is_not_put_in_place(guest: Guest, system: Played) -> None:
    system.held[:] = ["virtio_blk"]
    image = guest.root / f"boot/initrd.img-{VERSION}"
    before = image.read_bytes()
    with pytest.raises(CloudExitError, match="lacks scsi_mod, sd_mod, vmw_pvscsi, vmxnet3"):
        prepare(system)
    assert image.read_bytes() == before
    assert [path.name for path in image.parent.glob("initrd*")] == [image.name]


def test_refused_before_anything_is_written(guest: Guest, system: Played) -> None:
    guest.files({"/etc/os-release": "ID=x\n"})
    before = guest.snapshot()
    with pytest.raises(Refused, match="the distribution x is not known"):
        prepare(system)
    assert guest.snapshot() == before


def test_a_damaged_record_is_told(guest: Guest, system: Played) -> None:
    guest.files({f"{online.STATE}/record.json": "{"})
    with pytest.raises(CloudExitError, match="Restore by hand"):
        online.restore(system=system)


def test_a_bond_hides_the_mac_of_its_cards(guest: Guest, system: Played) -> None:
    guest.files({"/sys/class/net/ens3/bonding_slave/perm_hwaddr": "fa:16:3e:00:00:99\n"})
    assert [(nic.name, nic.mac) for nic in system.nics()] == [("ens3", "fa:16:3e:00:00:99")]


def test_programs_of_the_guest() -> None:
    system = online.System()
    assert system.run(["sh", "-c", "echo x; exit 3"], 10) == (3, "x\n")
    with pytest.raises(CloudExitError, match="not installed"):
        system.run(["no-such-program-here"], 10)
    with pytest.raises(CloudExitError, match="did not end"):
        system.run(["sleep", "5"], 0.05)
