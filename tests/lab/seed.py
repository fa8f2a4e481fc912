# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tenant that the lab's demo and tests move: acme, with some ten servers, most of them stopped.

Two servers really run (a BIOS and a UEFI guest, each with a data disk), one more could; the others have small disks
without a system. ``reader-1`` is the reader host, which in the lab is this machine: no guest is started for it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import packages, parts
from .openstack import install, state
from .openstack.rest import Api
from .openstack.schema import TENANT_USERS
from .paths import Instance, wait_for, write_atomic

TENANT = "acme"
OPERATOR = "acme-operator"
KEPT = 2
HOSTILE_NAME = "a b'\"{{ 7*7 }}/../é"
NETWORKS = {"app-net": ("10.20.0.0/24", "10.20.0.1"), "db-net": ("10.30.0.0/24", "10.30.0.1")}
# name: (protocol, first port, last port, source)
GROUPS: dict[str, list[tuple[str, int, int, str]]] = {
    "web": [("tcp", 80, 80, "0.0.0.0/0"), ("tcp", 443, 443, "0.0.0.0/0"), ("tcp", 22, 22, "10.20.0.0/24")],
    "db": [("tcp", 5432, 5432, "10.20.0.0/24")],
}


@dataclass(frozen=True)
class Disk:
    """A volume: its type, and the guest flavour and file whose bytes it gets (else it gets a few bytes of text)."""

    name: str
    kind: str = "standard"
    guest: str = ""
    part: str = ""
    shared: bool = False


@dataclass(frozen=True)
class Server:
    """A server of the tenant. Without disks it is booted from the image."""

    name: str
    disks: tuple[Disk, ...]
    addresses: tuple[tuple[str, str], ...]
    flavor: str = "s3.tiny"
    running: bool = False
    groups: tuple[str, ...] = ("web",)
    metadata: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    firmware: str = "bios"
    guest: str = ""
    public: bool = False


def _real(name: str, guest: str, address: str, **more: Any) -> Server:
    disks = (Disk(f"{name}-boot", guest=guest, part="root"), Disk(f"{name}-data", guest=guest, part="data_disk"))
    return Server(name, disks, (("app-net", address),), "s3.small.1", guest=guest, **more)


SHARED = Disk("shared-data", "shared", shared=True)
SERVERS = (
    Server("reader-1", (Disk("reader-1-boot"),), (("app-net", "10.20.0.5"),), "s3.medium.1", True),
    _real(
        "web-1",
        "bios-initramfs-ifupdown",
        "10.20.0.11",
        running=True,
        public=True,
        metadata={"role": "web", "owner": "shop"},
        tags=("prod", "web"),
    ),
    _real(
        "web-2",
        "uefi-dracut-networkd",
        "10.20.0.12",
        running=True,
        public=True,
        metadata={"role": "web", "owner": "shop"},
        tags=("prod", "web"),
        firmware="uefi",
    ),
    _real("app-1", "bios-vda-netplan", "10.20.0.13", metadata={"role": "app"}, tags=("prod",)),
    Server(
        "db-1",
        (Disk("db-1-boot"), Disk("db-1-data", "fast"), Disk("db-1-log", "fast")),
        (("db-net", "10.30.0.21"), ("app-net", "10.20.0.21")),
        groups=("db",),
        metadata={"role": "db"},
        tags=("prod", "db"),
    ),
    Server("db-1", (Disk("db-1-boot"),), (("db-net", "10.30.0.22"),), groups=("db",), tags=("test",)),
    Server(HOSTILE_NAME, (Disk("x"),), (("app-net", "10.20.0.31"),), metadata={"note": HOSTILE_NAME}),
    Server("shared-1", (Disk("shared-1-boot"), SHARED), (("app-net", "10.20.0.41"),)),
    Server("shared-2", (Disk("shared-2-boot"), SHARED), (("app-net", "10.20.0.42"),)),
    Server("vault-1", (Disk("vault-1-boot"), Disk("vault-1-data", "encrypted")), (("app-net", "10.20.0.51"),)),
    Server("image-1", (), (("app-net", "10.20.0.61"),), "s3.image"),
)


def guest_flavours() -> list[str]:
    """The guests whose images the seed needs."""
    return list(dict.fromkeys(s.guest for s in SERVERS if s.guest))


@parts.alone
def seed(instance: Instance, again: bool = False) -> None:
    """Make the tenant, or take it from the cache; the result is kept as the state ``seeded``.

    The lab must be up. What the tenant held before is gone.
    """
    guests = _guests(instance)
    cached = instance.cache / f"seed-{_key(instance, guests)}"
    target = parts.saved_dir(instance, parts.SEEDED)
    if cached.is_dir() and not again:
        mark = target / "seed-key"
        if not mark.exists() or mark.read_text() != cached.name:
            shutil.rmtree(target, ignore_errors=True)
            subprocess.run(["cp", "-al", str(cached), str(target)], check=True)
        with instance.step("taking the tenant from the cache"):
            parts.restore(instance, parts.SEEDED)
        return
    with instance.step("emptying the cloud"):
        parts.restore(instance, parts.AFTER_UP)
    with instance.step("making the tenant's servers"):
        _Seeding(instance, guests).run()
    # the guests were held, so that the saved disks are those of machines that never ran; saving switches them on
    with instance.step("keeping the tenant for reset"):
        parts.save(instance, parts.SEEDED)
        # files are shared with the cache from here on, so they are replaced, never written
        write_atomic(target / "seed-key", cached.name)
        shutil.rmtree(cached, ignore_errors=True)
        subprocess.run(["cp", "-al", str(target), str(cached)], check=True)
        kept = sorted(instance.cache.glob("seed-" + "?" * 12), key=lambda p: p.stat().st_mtime)
        for old in kept[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)


def _key(instance: Instance, guests: dict[str, dict[str, Any]]) -> str:
    sources = install.digest(Path(__file__), Path(state.__file__))
    names = [Path(guests[g]["root"]).parent.name if g in guests else "-" for g in guest_flavours()]
    return install.text_digest(sources, state.pristine_id(instance), *names)


def _guests(instance: Instance) -> dict[str, dict[str, Any]]:
    """The descriptions of the guests, built when they are not in the cache; empty while there is no builder."""
    try:
        from .guests import build, tools
    except ImportError:
        instance.say("no guests can be built here: the servers get disks without a system")
        return {}
    packages.ensure(sorted(set(tools.missing_programs().values())), instance.say)
    with instance.step("guests' disks"):
        return build.ensure_all(instance.cache, guest_flavours(), instance.say)


class _Seeding:
    """One run of the seed."""

    def __init__(self, instance: Instance, guests: dict[str, dict[str, Any]]) -> None:
        self.instance = instance
        self.guests = guests
        self.api = Api(instance, OPERATOR, TENANT_USERS[OPERATOR][0], TENANT)
        self.api.get("identity", "/auth/projects")
        self.project = f"/{self.api.project_id}"
        self.instances = instance.data / "nova" / "instances"
        self.flavors = {f["name"]: f["id"] for f in self.api.get("compute", "/flavors")["flavors"]}
        self.networks: dict[str, tuple[str, str]] = {}
        self.groups: dict[str, str] = {}
        self.image = ""

    def run(self) -> None:
        hold = self.instances / "hold"
        hold.touch()
        try:
            self._network()
            self._keypair()
            with ThreadPoolExecutor(4) as pool:
                image = pool.submit(self._make_image)
                names = list(dict.fromkeys(d for s in SERVERS for d in s.disks if d.shared))
                shared = {d.name: v for d, v in zip(names, pool.map(self._volume, names), strict=True)}
                self.image = image.result()
                ids = list(pool.map(lambda s: self._server(s, shared), SERVERS))
            for ident, server in zip(ids, SERVERS, strict=True):
                if server.public:
                    self._floating_ip(ident)
            seeded = {
                "tenant": TENANT,
                "project_id": self.api.project_id,
                "image": self.image,
                "servers": [
                    {
                        "id": ident,
                        "name": server.name,
                        "running": server.running,
                        "guest": server.guest or None,
                        "addresses": [a for dummy, a in server.addresses],
                    }
                    for ident, server in zip(ids, SERVERS, strict=True)
                ],
            }
            self.instance.update_env(readers=[ids[0]], seed=seeded)
            self._no_guest(ids[0])
        finally:
            hold.unlink(missing_ok=True)

    # network

    def _network(self) -> None:
        api = self.api
        external = api.get("network", "/networks", name="external")["networks"][0]["id"]
        router = api.post(
            "network", "/routers", {"router": {"name": "main", "external_gateway_info": {"network_id": external}}}
        )["router"]["id"]
        for name, (cidr, gateway) in NETWORKS.items():
            network = api.post("network", "/networks", {"network": {"name": name}})["network"]["id"]
            subnet = {"network_id": network, "name": name, "ip_version": 4, "cidr": cidr, "gateway_ip": gateway}
            made = api.post("network", "/subnets", {"subnet": {**subnet, "dns_nameservers": ["10.20.0.254"]}})
            subnet_id = made["subnet"]["id"]
            self.networks[name] = (network, subnet_id)
            api.put("network", f"/routers/{router}/add_router_interface", {"subnet_id": subnet_id})
        for name, rules in GROUPS.items():
            group = api.post("network", "/security-groups", {"security_group": {"name": name}})["security_group"]["id"]
            self.groups[name] = group
            for protocol, first, last, source in rules:
                rule = {
                    "security_group_id": group,
                    "direction": "ingress",
                    "ethertype": "IPv4",
                    "protocol": protocol,
                    "port_range_min": first,
                    "port_range_max": last,
                    "remote_ip_prefix": source,
                }
                api.post("network", "/security-group-rules", {"security_group_rule": rule})

    def _floating_ip(self, server_id: str) -> None:
        external = self.api.get("network", "/networks", name="external")["networks"][0]["id"]
        port = self.api.get("network", "/ports", device_id=server_id)["ports"][0]["id"]
        body = {"floating_network_id": external, "port_id": port}
        self.api.post("network", "/floatingips", {"floatingip": body})

    def _keypair(self) -> None:
        public = self.instance.cache / "guests" / "id_ed25519.pub"
        if public.exists():
            body = {"name": "operator", "type": "ssh", "public_key": public.read_text().strip()}
            self.api.post("compute", "/os-keypairs", {"keypair": body})

    # bytes

    def _make_image(self) -> str:
        body = {"name": "small", "disk_format": "raw", "container_format": "bare", "os_distro": "debian"}
        image = str(self.api.post("image", "/images", {**body, "min_disk": 1, "os_version": "12"})["id"])
        content = b"an image without a system\n".ljust(1 << 20, b"\0")
        self.api.put("image", f"/images/{image}/file", content, headers={"Content-Type": "application/octet-stream"})
        return image

    def _volume(self, disk: Disk) -> str:
        """Make a volume and put its bytes straight into its file."""
        body = {"name": disk.name, "size": 1, "volume_type": disk.kind}
        ident = str(self.api.post("volume", f"{self.project}/volumes", {"volume": body})["volume"]["id"])
        self.api.wait_status("volume", f"{self.project}/volumes/{ident}", "volume", "available")
        file = self.instance.data / "cinder" / "volumes" / f"volume-{ident}"
        guest = self.guests.get(disk.guest)
        if guest:
            size = file.stat().st_size
            subprocess.run(["cp", "--reflink=auto", "--sparse=always", guest[disk.part], str(file)], check=True)
            os.truncate(file, size)
        else:
            with open(file, "r+b") as f:
                f.write(f"lab disk {disk.name}\n".encode())
                f.seek(-4096, os.SEEK_END)
                f.write(f"end of {disk.name}\n".encode())
        return ident

    def _boot_volume(self, server: Server, disk: Disk) -> str:
        ident = self._volume(disk)
        act: Callable[[Any], Any] = lambda body: self.api.post(  # noqa: E731
            "volume", f"{self.project}/volumes/{ident}/action", body
        )
        act({"os-set_bootable": {"bootable": True}})
        about = {"os_distro": "debian", "os_version": "12", "image_name": "Debian 12"}
        if server.firmware == "uefi":
            about |= {"hw_firmware_type": "uefi", "hw_machine_type": "q35"}
        act({"os-set_image_metadata": {"metadata": about}})
        return ident

    # servers

    def _server(self, server: Server, shared: dict[str, str]) -> str:
        ports = []
        for name, address in server.addresses:
            network, subnet = self.networks[name]
            port = {
                "network_id": network,
                "fixed_ips": [{"subnet_id": subnet, "ip_address": address}],
                "security_groups": [self.groups[g] for g in server.groups],
            }
            made = self.api.post("network", "/ports", {"port": port})
            ports.append({"port": made["port"]["id"]})
        body: dict[str, Any] = {
            "name": server.name,
            "flavorRef": self.flavors[server.flavor],
            "networks": ports,
            "metadata": server.metadata,
            "tags": list(server.tags),
        }
        if (self.instance.cache / "guests" / "id_ed25519.pub").exists():
            body["key_name"] = "operator"
        if server.disks:
            body["block_device_mapping_v2"] = [
                {
                    "uuid": self._boot_volume(server, server.disks[0]),
                    "source_type": "volume",
                    "destination_type": "volume",
                    "boot_index": 0,
                    "delete_on_termination": False,
                }
            ]
        else:
            body["imageRef"] = self.image
        ident = str(self.api.post("compute", "/servers", {"server": body})["server"]["id"])
        path = f"/servers/{ident}"
        self.api.wait_status("compute", path, "server", "ACTIVE")
        for disk in server.disks[1:]:
            volume = shared[disk.name] if disk.shared else self._volume(disk)
            attachment = {"volumeAttachment": {"volumeId": volume}}
            self.api.post("compute", f"{path}/os-volume_attachments", attachment)
            self._wait_attached(volume, ident)
        if not server.running:
            self.api.post("compute", f"{path}/action", {"os-stop": None})
            self.api.wait_status("compute", path, "server", "SHUTOFF")
        nvram = self.guests.get(server.guest, {}).get("nvram")
        if nvram:
            shutil.copyfile(nvram, self.instances / ident / "vars.fd")
        return ident

    def _wait_attached(self, volume: str, server: str) -> None:
        def attached() -> bool:
            found = self.api.get("volume", f"{self.project}/volumes/{volume}")["volume"]
            return found["status"] == "in-use" and any(a["server_id"] == server for a in found["attachments"])

        wait_for(attached, 60, f"volume {volume} to be attached", every=0.2)

    def _no_guest(self, ident: str) -> None:
        """Tell the hypervisor that no guest is to run for this server."""
        file = self.instances / ident / "server.json"
        write_atomic(file, json.dumps({**json.loads(file.read_text()), "guest": "none"}, indent=1))
