# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All decisions on a guest, applied twice: the second time there is nothing to do."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import engine, services
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import AdaptPlan
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.names import Volume
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.tree import Tree

from .conftest import BUILTIN, MODULES, Guest, cpio

VERSION = "6.1.0-9-cloud-amd64"
MAC = "fa:16:3e:00:00:01"


def decide(guest: Guest, *, offline: bool = True, **plan: Any) -> tuple[Tree, engine.Decision]:
    tree = Tree(str(guest.root))
    plan.setdefault("nics", [{"mac": MAC}])
    known = {"/dev/vda1": Volume(uuid="root-uuid")}
    return tree, engine.decide(tree, AdaptPlan.from_dict(plan), known.get, offline=offline)


def test_a_debian_guest(guest: Guest) -> None:
    tree, decision = decide(guest)
    assert decision.refusals == []
    assert [kernel.version for kernel in decision.rebuild] == [VERSION]
    assert decision.drivers == {VERSION: ["vmw_pvscsi", "vmxnet3", "sd_mod"]}
    assert {change.path: change.action for change in tree.changes()} == {
        "/boot/grub/grub.cfg": "modified",
        "/etc/default/grub": "modified",
        "/etc/fstab": "modified",
        "/etc/initramfs-tools/modules": "modified",
        "/etc/systemd/network/10-cloudexit-ens3.link": "created",
    }
    facts = decision.facts
    assert (facts.distribution, facts.family, facts.architecture) == ("debian", "debian", "x86_64")
    assert (facts.bootloader, facts.initramfs_tool, facts.network_tools) == ("grub2", "initramfs-tools", ["ifupdown"])
    assert any("/dev/vdb" in warning for warning in decision.warnings)

    tree.commit()
    guest.kernel(VERSION, held=["vmw_pvscsi", "vmxnet3", "sd_mod", "scsi_mod"])
    before = guest.snapshot()
    tree, decision = decide(guest)
    assert (tree.changes(), decision.rebuild, decision.refusals) == ([], [], [])
    tree.commit()
    assert guest.snapshot() == before


def test_a_dependency_that_is_missing_is_reason_enough_to_build(guest: Guest) -> None:
    guest.kernel(VERSION, held=["vmw_pvscsi", "vmxnet3", "sd_mod"])
    assert [kernel.version for kernel in decide(guest)[1].rebuild] == [VERSION]


def test_an_initramfs_that_cannot_be_read_is_built_anew(guest: Guest) -> None:
    guest.files({f"/boot/initrd.img-{VERSION}": b"something else"})
    dummy, decision = decide(guest)
    assert decision.rebuild
    assert any("cannot be read" in warning for warning in decision.warnings)


def test_every_kernel_is_looked_at(guest: Guest) -> None:
    guest.kernel("6.1.0-10-amd64", held=["vmw_pvscsi", "vmxnet3", "sd_mod", "scsi_mod"])
    guest.kernel("6.1.0-11-amd64", modules="x.ko:\n", builtin=BUILTIN + MODULES.replace(":", "\n"))
    assert [kernel.version for kernel in decide(guest)[1].rebuild] == [VERSION]


def test_a_guest_with_dracut(guest: Guest) -> None:
    guest.files({"/usr/bin/dracut": "#!/bin/sh\n"})
    tree, decision = decide(guest)
    assert decision.facts.initramfs_tool == "dracut"
    assert 'add_drivers+=" vmw_pvscsi vmxnet3 sd_mod "' in (tree.text(engine.DRACUT_CONF) or "")
    command = engine.build_command("dracut", decision.rebuild[0], "/tmp/x", ["a", "b"], offline=True)
    assert command[-3:] == ["--kver", VERSION, "/tmp/x"] and "a b" in command


def test_a_red_hat_guest(guest: Guest) -> None:
    guest.files(
        {
            "/etc/os-release": 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n',
            "/usr/bin/dracut": "#!/bin/sh\n",
            "/usr/sbin/mkinitramfs": None,
            f"/boot/initrd.img-{VERSION}": None,
            f"/boot/initramfs-{VERSION}.img": gzip.compress(cpio(["x/virtio_blk.ko"])),
            "/boot/grub/grub.cfg": None,
            "/boot/grub2/grub.cfg": "blscfg\n",
            "/boot/loader/entries/a.conf": "title x\noptions root=/dev/vda1 ro console=ttyS0\n",
            "/etc/selinux/config": "SELINUX=enforcing\n",
            "/etc/lvm/devices/system.devices": "IDTYPE=sys_serial IDNAME=abc DEVNAME=/dev/vda2\n",
            "/etc/network/interfaces": None,
            "/etc/NetworkManager/system-connections/a": "[connection]\ntype=ethernet\ninterface-name=eth0\n",
        }
    )
    tree, decision = decide(guest)
    assert decision.refusals == []
    facts = decision.facts
    assert (facts.family, facts.selinux, facts.network_tools) == ("redhat", "enforcing", ["NetworkManager"])
    assert decision.rebuild[0].initramfs == f"/boot/initramfs-{VERSION}.img"
    changes = {change.path: change for change in tree.changes()}
    assert changes["/etc/lvm/devices/system.devices"].action == "removed"
    assert changes["/boot/loader/entries/a.conf"].after_text == (
        "title x\noptions root=UUID=root-uuid ro console=tty0 console=ttyS0\n"
    )
    assert "/etc/lvm/devices/system.devices" not in {
        change.path for change in decide(guest, offline=False)[0].changes()
    }


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"/etc/os-release": 'ID=plan9\nPRETTY_NAME="Plan 9"\n'}, "the distribution Plan 9 is not known"),
        ({"/usr/bin/ls": b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00" + bytes(40)}, "built for aarch64"),
        ({"/usr/lib/systemd/systemd": None}, "does not start with systemd"),
        ({f"/boot/vmlinuz-{VERSION}": None}, "no kernel with its modules"),
        ({"/boot/grub/grub.cfg": None}, "the boot loader is not known"),
        ({"/boot/grub/grub.cfg": None, "/boot/extlinux/extlinux.conf": "x"}, "the boot loader is extlinux"),
        ({"/usr/sbin/mkinitramfs": None}, "neither initramfs-tools nor dracut"),
        ({"/etc/fstab": "/dev/vdz1 / ext4 defaults 0 1\n"}, "/etc/fstab: fstab mounts / from /dev/vdz1"),
        ({"/boot/grub/grub.cfg": "linux /vmlinuz root=/dev/vdz1\n"}, "root=/dev/vdz1 could not be resolved"),
        ({"/etc/lvm/lvm.conf": 'filter = [ "a|/dev/vda|", "r|.*|" ]\n'}, "/etc/lvm/lvm.conf accepts disks"),
        ({"/etc/netplan/a.yaml": "network: {ethernets: {x: {match: {driver: virtio*}}}}"}, "by its driver"),
    ],
)
def test_what_is_refused(guest: Guest, files: dict[str, Any], told: str) -> None:
    dummy, decision = decide(guest.files(files))
    assert [reason for reason in decision.refusals if told in reason], decision.refusals


def test_all_reasons_are_told_together(guest: Guest) -> None:
    guest.files({"/etc/os-release": "ID=x\n", "/etc/fstab": "/dev/vdz1 / ext4 defaults 0 1\n"})
    dummy, decision = decide(guest, hardware={"controllers": ["sata"], "nics": ["e1000"]})
    assert len(decision.refusals) == 4


def test_agents_of_the_source_are_masked_only_offline(guest: Guest) -> None:
    guest.files(
        {
            "/usr/lib/systemd/system/qemu-guest-agent.service": "[Unit]\n",
            "/etc/systemd/system/hostguard.service": "[Unit]\n",
            "/etc/init.d/telescoped": "#!/bin/sh\n",
        }
    ).link("/etc/systemd/system/multi-user.target.wants/hostguard.service", "/etc/systemd/system/hostguard.service")
    tree, decision = decide(guest)
    assert decision.facts.agents == ["qemu-guest-agent", "hostguard", "telescoped"]
    links = {change.path: change.after_text for change in tree.changes() if "/systemd/system/" in change.path}
    assert links == {
        "/etc/systemd/system/hostguard.service": "-> /dev/null\n",
        "/etc/systemd/system/multi-user.target.wants/hostguard.service": "",
        "/etc/systemd/system/qemu-guest-agent.service": "-> /dev/null\n",
        "/etc/systemd/system/telescoped.service": "-> /dev/null\n",
    }
    tree.commit()
    assert decide(guest)[1].facts.agents == []
    assert not [change for change in decide(guest)[0].changes() if "/systemd/system/" in change.path]


def test_agents_stay_online_and_where_they_are_wanted(guest: Guest) -> None:
    guest.files({"/usr/lib/systemd/system/qemu-guest-agent.service": "[Unit]\n"})
    for options in ({"offline": False}, {"disable_agents": False}):
        tree, dummy = decide(guest, **options)
        assert not [change for change in tree.changes() if "qemu-guest-agent" in change.path]


@pytest.mark.parametrize(
    "listed",
    [
        "datasource_list: [ ConfigDrive, OpenStack, None ]\n",
        "x: 1\ndatasource_list:\n  - ConfigDrive  # first\n  - 'OpenStack'\n  - None\ny: [Azure]\n",
        "datasource_list: [\n ConfigDrive,\n OpenStack ]\n",
    ],
)
def test_cloud_init(guest: Guest, listed: str) -> None:
    guest.files(
        {
            "/usr/bin/cloud-init": "#!/usr/bin/python3\n",
            "/etc/cloud/cloud.cfg": "users: [default]\n",
            "/etc/cloud/cloud.cfg.d/90_dpkg.cfg": listed,
        }
    )
    tree, decision = decide(guest)
    assert decision.facts.cloud_init
    assert (tree.text(services.CLOUD_CONFIG) or "").splitlines()[1:] == [
        "datasource_list: [ConfigDrive, OpenStack, VMware, OVF, None]",
        "manual_cache_clean: true",
        "preserve_hostname: true",
        "ssh_deletekeys: false",
        "network:",
        "  config: disabled",
    ]
    tree.commit()
    assert not [change for change in decide(guest)[0].changes() if "/cloud/" in change.path]
    guest.files({services.CLOUD_CONFIG: None, "/etc/cloud/cloud-init.disabled": ""})
    assert not [change for change in decide(guest)[0].changes() if "/cloud/" in change.path]


def test_open_vm_tools(guest: Guest) -> None:
    assert any("open-vm-tools is wanted" in warning for warning in decide(guest)[1].warnings)
    guest.files({"/usr/bin/vmtoolsd": "x", "/usr/lib/systemd/system/open-vm-tools.service": "[Unit]\n"})
    tree, decision = decide(guest)
    assert not any("open-vm-tools" in warning for warning in decision.warnings)
    path = "/etc/systemd/system/multi-user.target.wants/open-vm-tools.service"
    assert tree.link(path) == "/usr/lib/systemd/system/open-vm-tools.service"
    tree.commit()
    assert path not in {change.path for change in decide(guest)[0].changes()}
