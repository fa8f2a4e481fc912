# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What guests there are: packages, files and settings of each flavour, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

FILES = Path(__file__).resolve().parent / "files"
GIB = 1 << 30

NETWORK = {"cidr": "10.20.0.0/24", "gateway": "10.20.0.1", "dns": "10.20.0.254"}
"""The source network that flavours with a static address are set up for."""

NIC = "ens3"
"""The name that the first virtio NIC has on the lab's source hardware (slot 3)."""

BASE_PACKAGES = (
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "systemd-sysv",
    "udev",
    "kmod",
    "dbus",
    "libpam-systemd",
    "openssh-server",
    "python3",
    "busybox",
    "iproute2",
    "zstd",
)

_MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "getty-static.service",
    "serial-getty@ttyS0.service",
    "kmod-static-nodes.service",
    "modprobe@configfs.service",
    "modprobe@dm_mod.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "modprobe@loop.service",
    "systemd-binfmt.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-journal-flush.service",
    "systemd-machine-id-commit.service",
    "systemd-modules-load.service",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-sysusers.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-update-done.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount",
    "proc-sys-fs-binfmt_misc.automount",
    "keyboard-setup.service",
    "console-setup.service",
)

_NOT_COLDPLUGGED = (
    "tty",
    "cpu",
    "memory",
    "node",
    "workqueue",
    "vtconsole",
    "machinecheck",
    "clocksource",
    "clockevents",
    "platform",
    "pnp",
    "bdi",
    "graphics",
    "thermal",
    "dmi",
    "event_source",
    "module",
    "msr",
    "cpuid",
    "mem",
    "misc",
    "vc",
    "wakeup",
    "rtc",
    "edac",
    "container",
    "pci_bus",
    "ppp",
    "powercap",
    "serial-base",
    "serio",
    "drivers",
    "mdio_bus",
    "pci_express",
)
"""Subsystems that hold no hardware a guest waits for; each event costs milliseconds without hardware virtualization."""

VIRTIO = ("virtio_pci", "virtio_blk", "virtio_net")
"""The only drivers of the initramfs: what `MODULES=dep` or a host-only dracut finds on the source's hardware."""


@dataclass(frozen=True)
class Flavour:
    """One guest: what is installed, how it boots, where its data lives.

    ``root_by`` is how the kernel and fstab name the root file system: ``uuid``, ``device`` (/dev/vda1) or ``lvm``
    (a logical volume, with /boot on a partition of its own). ``data`` is the data disk: ``ext4`` or ``lvm-xfs``.
    ``files`` are texts put into the guest, by path; ``script`` runs inside at the end of the configuration.
    """

    name: str
    title: str
    hostname: str
    firmware: str
    initramfs: str
    root_by: str
    data: str
    addressing: str
    address: str | None
    network_tool: str
    packages: tuple[str, ...]
    memory_mib: int = 512
    files: dict[str, str] = field(default_factory=dict)
    script: str = ""


BIOS_INITRAMFS_IFUPDOWN = Flavour(
    name="bios-initramfs-ifupdown",
    title="BIOS, MBR, initramfs-tools, root by UUID, DHCP with ifupdown, data disk ext4",
    hostname="guest-ifupdown",
    firmware="bios",
    initramfs="initramfs-tools",
    root_by="uuid",
    data="ext4",
    addressing="dhcp",
    address=None,
    network_tool="ifupdown",
    packages=("grub-pc", "ifupdown", "isc-dhcp-client"),
    files={
        "/etc/network/interfaces": (
            "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n\n"
            f"allow-hotplug {NIC}\niface {NIC} inet dhcp\n"
        ),
    },
    script="systemctl mask systemd-networkd.service\n",
)

UEFI_DRACUT_NETWORKD = Flavour(
    name="uefi-dracut-networkd",
    title="UEFI by an NVRAM entry, GPT, dracut (host only), root by UUID, static address with networkd, "
    "data disk XFS on LVM",
    hostname="guest-dracut",
    firmware="efi",
    initramfs="dracut",
    root_by="uuid",
    data="lvm-xfs",
    addressing="static",
    address="10.20.0.12",
    network_tool="networkd",
    packages=(
        "grub-efi-amd64",
        "grub-efi-amd64-signed",
        "shim-signed",
        "dracut",
        "lvm2",
        "xfsprogs",
        "qemu-guest-agent",
    ),
    files={
        f"/etc/systemd/network/10-{NIC}.network": (
            f"[Match]\nName={NIC}\n\n[Network]\nAddress=10.20.0.12/24\nGateway={NETWORK['gateway']}\n"
            f"DNS={NETWORK['dns']}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
        ),
        "/etc/dracut.conf.d/10-hostonly.conf": ('hostonly="yes"\nhostonly_cmdline="no"\ncompress="zstd"\n'),
    },
    script="systemctl enable systemd-networkd.service\n"
    "systemctl mask systemd-networkd-wait-online.service systemd-network-generator.service lvm2-monitor.service\n",
)

BIOS_VDA_NETPLAN = Flavour(
    name="bios-vda-netplan",
    title="BIOS, MBR, initramfs-tools, root by /dev/vda1, static address with netplan, data disk ext4",
    hostname="guest-netplan",
    firmware="bios",
    initramfs="initramfs-tools",
    root_by="device",
    data="ext4",
    addressing="static",
    address="10.20.0.13",
    network_tool="netplan",
    packages=("grub-pc", "netplan.io"),
    files={
        "/etc/netplan/50-cloud-init.yaml": (
            "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n"
            f"    {NIC}:\n      addresses: [10.20.0.13/24]\n      link-local: []\n"
            f"      routes:\n        - to: default\n          via: {NETWORK['gateway']}\n"
            f"      nameservers:\n        addresses: [{NETWORK['dns']}]\n"
        ),
    },
    script="systemctl enable systemd-networkd.service\nsystemctl mask systemd-networkd-wait-online.service\n",
)

BIOS_LVM_NETWORKMANAGER = Flavour(
    name="bios-lvm-networkmanager",
    title="BIOS, MBR, initramfs-tools, /boot and root on LVM, static address with NetworkManager, data disk ext4",
    hostname="guest-lvm",
    firmware="bios",
    initramfs="initramfs-tools",
    root_by="lvm",
    data="ext4",
    addressing="static",
    address="10.20.0.14",
    network_tool="NetworkManager",
    packages=("grub-pc", "lvm2", "network-manager"),
    files={
        f"/etc/NetworkManager/system-connections/{NIC}.nmconnection": (
            f"[connection]\nid={NIC}\nuuid=6d2a4b1e-52f0-4a0d-8f0e-0f3c5e1b7a14\ntype=ethernet\n"
            f"interface-name={NIC}\n\n[ipv4]\nmethod=manual\naddress1=10.20.0.14/24,{NETWORK['gateway']}\n"
            f"dns={NETWORK['dns']};\n\n[ipv6]\nmethod=disabled\n"
        ),
    },
    script="systemctl enable NetworkManager.service\n"
    "systemctl mask NetworkManager-wait-online.service NetworkManager-dispatcher.service lvm2-monitor.service\n",
)

TINY = Flavour(
    name="tiny",
    title="BIOS, MBR, busybox, drivers of both clouds in its initramfs, DHCP, data disk ext4",
    hostname="tiny",
    firmware="bios",
    initramfs="none",
    root_by="uuid",
    data="ext4",
    addressing="dhcp",
    address=None,
    network_tool="udhcpc",
    packages=("grub-pc-bin", "grub2-common", "dropbear-bin"),
    memory_mib=128,
)

FLAVOURS = {
    f.name: f for f in (BIOS_INITRAMFS_IFUPDOWN, UEFI_DRACUT_NETWORKD, BIOS_VDA_NETPLAN, BIOS_LVM_NETWORKMANAGER, TINY)
}


def common_files(flavour: Flavour, public_key: str, machine_id: str) -> dict[str, tuple[str, int]]:
    """Files every guest gets: path -> (content, mode)."""
    kernel_words = "console=tty0 console=ttyS0,115200 fsck.mode=skip mitigations=off no_timer_check"
    files: dict[str, tuple[str, int]] = {
        "/etc/hostname": (flavour.hostname + "\n", 0o644),
        "/etc/hosts": (f"127.0.0.1 localhost\n127.0.1.1 {flavour.hostname}\n", 0o644),
        "/etc/machine-id": (machine_id + "\n", 0o444),
        "/root/.ssh/authorized_keys": (public_key.strip() + "\n", 0o600),
        "/etc/ssh/sshd_config.d/10-lab.conf": (
            "PermitRootLogin prohibit-password\nPasswordAuthentication no\nUseDNS no\nUsePAM no\n"
            "HostKey /etc/ssh/ssh_host_ed25519_key\nPrintLastLog no\n",
            0o644,
        ),
        "/etc/systemd/journald.conf.d/10-lab.conf": ("[Journal]\nStorage=volatile\nAudit=no\n", 0o644),
        "/etc/systemd/logind.conf.d/10-lab.conf": ("[Login]\nHandlePowerKey=poweroff\nNAutoVTs=0\n", 0o644),
        "/etc/systemd/system/systemd-udev-trigger.service.d/10-lab.conf": (
            "[Service]\nExecStart=\n"
            "ExecStart=-udevadm trigger --type=all --action=add --prioritized-subsystem=block,net,input "
            + " ".join(f"--subsystem-nomatch={name}" for name in _NOT_COLDPLUGGED)
            + "\n",
            0o644,
        ),
        "/etc/modprobe.d/10-lab.conf": ("blacklist ata_piix\nblacklist kvm_amd\nblacklist kvm_intel\n", 0o644),
        "/etc/systemd/system.conf.d/10-lab.conf": ("[Manager]\nDefaultTimeoutStopSec=15s\n", 0o644),
        "/etc/default/grub": (
            "GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_TERMINAL=console\n"
            "GRUB_DISABLE_RECOVERY=true\nGRUB_DISABLE_OS_PROBER=true\n"
            + ("GRUB_DISABLE_LINUX_UUID=true\n" if flavour.root_by == "device" else "")
            + f'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="{kernel_words}"\n',
            0o644,
        ),
    }
    if flavour.initramfs == "initramfs-tools":
        files["/etc/initramfs-tools/conf.d/10-host"] = (
            "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\nRESUME=none\n",
            0o644,
        )
        files["/etc/initramfs-tools/modules"] = ("\n".join(VIRTIO) + "\n", 0o644)
    for name in ("lab-content", "lab-recorder", "lab-report"):
        files[f"/usr/local/sbin/{name}"] = ((FILES / name).read_text(), 0o755)
    for name in ("lab-content", "lab-httpd", "lab-recorder", "lab-report"):
        files[f"/etc/systemd/system/{name}.service"] = ((FILES / f"{name}.service").read_text(), 0o644)
    for path, text in flavour.files.items():
        files[path] = (text, 0o600 if path.startswith(("/etc/netplan/", "/etc/NetworkManager/")) else 0o644)
    return files


def common_script(flavour: Flavour) -> str:
    """Shell commands that set every guest up, run inside it."""
    return (
        "systemctl mask " + " ".join(_MASKED) + "\n"
        "systemctl enable lab-httpd.service lab-recorder.service lab-report.service ssh.service\n"
        "systemctl set-default multi-user.target\n"
        "usermod -p '*' root\n" + flavour.script
    )
