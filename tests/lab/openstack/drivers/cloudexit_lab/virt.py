# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nova virt driver of the lab: keeps a description of each server on disk, and a hypervisor beside Nova acts on it.

For each server there is a folder ``<instances_path>/<uuid>``:

- ``server.json``: what the server is (replaced atomically at each change, removed with the folder at delete);
- ``power``: what Nova wants: ``on``, ``off`` (shut down by ACPI) or ``kill``;
- ``guest.json``: written by the hypervisor: ``{"state": "running" | "stopped" | "none", "pid": ...}``;
- ``disk``: the root disk (raw) of a server that was booted from an image;
- ``attached/<device>``: Cinder's connection data of each attached volume.

While ``<instances_path>/hold`` exists, no guest is switched on: the server is ACTIVE for Nova and marked ``held``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time

import nova.conf
import nova.virt.node
from nova import exception, utils
from nova.compute import power_state, task_states
from nova.image import glance
from nova.virt import event, fake, hardware, images

CONF = nova.conf.CONF
GIB = 1 << 30
RELEASE_SECONDS = 20


def _read_json(path):
    try:
        with open(path) as f:
            return json.load(f)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def _write(path, text):
    part = f"{path}.{os.getpid()}.part"
    with open(part, "w") as f:
        f.write(text)
    os.rename(part, path)


def _wait(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(0.1)
    return True


def _nics(network_info):
    found = []
    for vif in network_info or []:
        network = vif["network"] or {}
        subnets = []
        for subnet in network.get("subnets", []):
            gateway = (subnet.get("gateway") or {}).get("address")
            subnets.append(
                {
                    "cidr": str(subnet["cidr"]),
                    "gateway": str(gateway) if gateway else None,
                    "addresses": [str(ip["address"]) for ip in subnet.get("ips", [])],
                }
            )
        first = subnets[0] if subnets else {"cidr": None, "gateway": None}
        found.append(
            {
                "mac": vif["address"],
                "port_id": vif["id"],
                "network_id": network.get("id"),
                "cidr": first["cidr"],
                "gateway": first["gateway"],
                "addresses": [a for s in subnets for a in s["addresses"]],
                "subnets": subnets,
            }
        )
    return found


class LabDriver(fake.FakeDriver):
    """Nova's fake driver, with servers that outlive a restart and disks that are files."""

    vcpus = 4096
    memory_mb = 4 << 20
    local_gb = 100000

    def __init__(self, virtapi, read_only=False):
        super().__init__(virtapi, read_only)
        self._glance = glance.API()
        self._died = set()

    def init_host(self, host):
        super().init_host(host)
        utils.spawn(self._watch)

    # the node keeps its identity

    def get_nodenames_by_uuid(self, refresh=False):
        return {nova.virt.node.get_local_node_uuid(): self._host}

    def get_available_resource(self, nodename):
        found = super().get_available_resource(nodename)
        found["uuid"] = nova.virt.node.get_local_node_uuid()
        return found

    # the folder of a server

    def _folder(self, uuid):
        return os.path.join(CONF.instances_path, uuid)

    def _in(self, uuid, *names):
        return os.path.join(self._folder(uuid), *names)

    def _load(self, uuid):
        server = _read_json(self._in(uuid, "server.json"))
        if server is None:
            raise exception.InstanceNotFound(instance_id=uuid)
        return server

    def _save(self, server):
        folder = self._folder(server["uuid"])
        os.makedirs(folder, exist_ok=True)
        _write(os.path.join(folder, "server.json"), json.dumps(server, indent=1))

    def _all(self):
        try:
            names = os.listdir(CONF.instances_path)
        except FileNotFoundError:
            return []
        return [s for s in (_read_json(self._in(n, "server.json")) for n in names) if s]

    def list_instances(self):
        return [s["instance_name"] for s in self._all()]

    def list_instance_uuids(self):
        return [s["uuid"] for s in self._all()]

    def instance_exists(self, instance):
        return os.path.exists(self._in(instance.uuid, "server.json"))

    def instance_on_disk(self, instance):
        return os.path.isdir(self._folder(instance.uuid))

    # power

    def _guest_runs(self, uuid):
        guest = _read_json(self._in(uuid, "guest.json"))
        return bool(guest) and guest.get("state") == "running"

    def _want(self, uuid, power):
        """Write the wanted power to both files; ``kill`` is told to the hypervisor only."""
        server = self._load(uuid)
        server["held"] = power == "on" and os.path.exists(os.path.join(CONF.instances_path, "hold"))
        if server["held"]:
            power = "off"
        server["power"] = "on" if power == "on" else "off"
        self._save(server)
        _write(self._in(uuid, "power"), power + "\n")

    def _off(self, uuid, grace):
        """Shut down within grace seconds, else kill; returns when no guest runs."""
        self._died.discard(uuid)
        self._want(uuid, "off" if grace else "kill")
        if not _wait(lambda: not self._guest_runs(uuid), grace or RELEASE_SECONDS) and grace:
            self._want(uuid, "kill")
            _wait(lambda: not self._guest_runs(uuid), RELEASE_SECONDS)
        self._want(uuid, "off")

    def power_off(self, instance, timeout=0, retry_interval=0):
        self._off(instance.uuid, timeout)

    def power_on(self, context, instance, network_info, block_device_info=None, accel_info=None, share_info=None):
        self._died.discard(instance.uuid)
        if network_info is not None:
            server = self._load(instance.uuid)
            server["nics"] = _nics(network_info)
            self._save(server)
        self._want(instance.uuid, "on")

    def reboot(self, context, instance, network_info, reboot_type, *args, **kwargs):
        self._off(instance.uuid, CONF.shutdown_timeout if reboot_type.lower() == "soft" else 0)
        self._want(instance.uuid, "on")

    def get_info(self, instance, use_cache=True):
        server = self._load(instance.uuid)
        up = (server["power"] == "on" or server.get("held")) and instance.uuid not in self._died
        return hardware.InstanceInfo(state=power_state.RUNNING if up else power_state.SHUTDOWN)

    def _watch(self):
        """Tell Nova of guests that shut themselves down: they ran, and stopped under the same order to be on.

        A reset of the lab kills guests and starts them anew within a moment, by other orders.
        """
        ran = {}
        while True:
            time.sleep(1)
            for server in self._all():
                uuid = server["uuid"]
                runs, order = self._guest_runs(uuid), self._order(uuid)
                if server["power"] == "on" and runs:
                    ran[uuid] = order
                elif ran.pop(uuid, None) == order and server["power"] == "on":
                    self._died.add(uuid)
                    self.emit_event(event.LifecycleEvent(uuid, event.EVENT_LIFECYCLE_STOPPED))

    def _order(self, uuid):
        """A name for the last order to the hypervisor; unique to each for a server that has none."""
        try:
            found = os.stat(self._in(uuid, "power"))
        except OSError:
            return object()
        return found.st_ino, found.st_ctime_ns

    # life

    def _disk_entry(self, device, connection_info, boot_index=None, bus=None):
        data = connection_info["data"]
        return {
            "path": data["device_path"],
            "serial": data.get("volume_id") or connection_info.get("serial"),
            "device": device,
            "boot_index": boot_index,
            "bus": bus or "virtio",
            "read_only": data.get("access_mode") == "ro",
        }

    def _describe(self, instance, image_meta, network_info, block_device_info, power):
        properties = image_meta.properties if image_meta is not None else {}
        disks = []
        if instance.image_ref:
            disks.append(
                {
                    "path": self._in(instance.uuid, "disk"),
                    "serial": None,
                    "device": instance.root_device_name or "/dev/vda",
                    "boot_index": 0,
                    "bus": properties.get("hw_disk_bus") or "virtio",
                    "read_only": False,
                }
            )
        for mapping in (block_device_info or {}).get("block_device_mapping", []):
            disks.append(
                self._disk_entry(
                    mapping["mount_device"],
                    mapping["connection_info"],
                    mapping.get("boot_index"),
                    mapping.get("disk_bus"),
                )
            )
            self._note(instance.uuid, mapping["mount_device"], mapping["connection_info"])
        return {
            "uuid": instance.uuid,
            "name": instance.display_name,
            "instance_name": instance.name,
            "project_id": instance.project_id,
            "power": power,
            "vcpus": instance.flavor.vcpus,
            "memory_mib": instance.flavor.memory_mb,
            "flavor": instance.flavor.name,
            "firmware": "uefi" if properties.get("hw_firmware_type") == "uefi" else "bios",
            "metadata": dict(instance.metadata or {}),
            "disks": disks,
            "nics": _nics(network_info),
            "config_drive": bool(instance.config_drive),
            "user_data": instance.user_data,
            "key_name": instance.key_name,
        }

    def spawn(
        self,
        context,
        instance,
        image_meta,
        injected_files,
        admin_password,
        allocations,
        network_info=None,
        block_device_info=None,
        power_on=True,
        accel_info=None,
    ):
        os.makedirs(self._folder(instance.uuid), exist_ok=True)
        if instance.image_ref and not os.path.exists(self._in(instance.uuid, "disk")):
            part = self._in(instance.uuid, "disk.part")
            images.fetch_to_raw(context, instance.image_ref, part)
            os.truncate(part, max(os.path.getsize(part), instance.flavor.root_gb * GIB))
            os.rename(part, self._in(instance.uuid, "disk"))
        self._save(self._describe(instance, image_meta, network_info, block_device_info, "off"))
        self._want(instance.uuid, "on" if power_on else "off")

    def destroy(
        self, context, instance, network_info, block_device_info=None, destroy_disks=True, destroy_secrets=True
    ):
        if not self.instance_exists(instance):
            return
        self._off(instance.uuid, 0)
        for mapping in (block_device_info or {}).get("block_device_mapping", []):
            self._forget(instance.uuid, mapping["mount_device"], mapping["connection_info"])
        if destroy_disks:
            shutil.rmtree(self._folder(instance.uuid), ignore_errors=True)

    def cleanup(self, context, instance, network_info, block_device_info=None, destroy_disks=True, *args, **kwargs):
        if destroy_disks:
            shutil.rmtree(self._folder(instance.uuid), ignore_errors=True)

    def change_instance_metadata(self, context, instance, diff):
        server = self._load(instance.uuid)
        server["metadata"] = dict(instance.metadata or {})
        self._save(server)

    def snapshot(self, context, instance, image_id, update_task_state):
        self._load(instance.uuid)
        update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
        update_task_state(task_state=task_states.IMAGE_UPLOADING, expected_state=task_states.IMAGE_PENDING_UPLOAD)
        name = self._glance.get(context, image_id)["name"]
        about = {"name": name, "status": "active", "disk_format": "raw", "container_format": "bare"}
        with open(self._in(instance.uuid, "disk"), "rb") as f:
            self._glance.update(context, image_id, about, f, purge_props=False)

    # another size

    def migrate_disk_and_power_off(
        self,
        context,
        instance,
        dest,
        flavor,
        network_info,
        block_device_info=None,
        timeout=0,
        retry_interval=0,
    ):
        self._off(instance.uuid, timeout)
        return "[]"

    def finish_migration(
        self,
        context,
        migration,
        instance,
        disk_info,
        network_info,
        image_meta,
        resize_instance,
        allocations,
        block_device_info=None,
        power_on=True,
    ):
        self.spawn(context, instance, image_meta, None, None, allocations, network_info, block_device_info, power_on)

    def finish_revert_migration(
        self, context, instance, network_info, migration, block_device_info=None, power_on=True
    ):
        self.spawn(context, instance, instance.image_meta, None, None, None, network_info, block_device_info, power_on)

    def confirm_migration(self, context, migration, instance, network_info):
        return None

    # volumes

    def default_root_device_name(self, instance, image_meta, root_bdm):
        return "/dev/vda"

    def _note(self, uuid, device, connection_info):
        os.makedirs(self._in(uuid, "attached"), exist_ok=True)
        _write(self._in(uuid, "attached", os.path.basename(device)), json.dumps(connection_info["data"]))

    def _released(self, uuid, volume_id):
        """Whether the attach shim holds no device of this volume for this server."""
        held = _read_json(os.path.join(os.path.dirname(CONF.state_path), "attach", uuid, f"{volume_id}.json"))
        return held is None or not os.path.exists(f"/proc/{held.get('owner')}")

    def _forget(self, uuid, device, connection_info):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._in(uuid, "attached", os.path.basename(device)))
        volume_id = connection_info["data"].get("volume_id") or connection_info.get("serial")
        return _wait(lambda: self._released(uuid, volume_id), RELEASE_SECONDS)

    def attach_volume(
        self, context, connection_info, instance, mountpoint, disk_bus=None, device_type=None, encryption=None
    ):
        server = self._load(instance.uuid)
        entry = self._disk_entry(mountpoint, connection_info, None, disk_bus)
        server["disks"] = [d for d in server["disks"] if d["device"] != mountpoint] + [entry]
        self._save(server)
        self._note(instance.uuid, mountpoint, connection_info)

    def detach_volume(self, context, connection_info, instance, mountpoint, encryption=None):
        server = self._load(instance.uuid)
        kept = [d for d in server["disks"] if d["device"] == mountpoint]
        server["disks"] = [d for d in server["disks"] if d["device"] != mountpoint]
        self._save(server)
        if not self._forget(instance.uuid, mountpoint, connection_info):
            server = self._load(instance.uuid)
            server["disks"] += kept
            self._save(server)
            self._note(instance.uuid, mountpoint, connection_info)
            raise exception.DeviceDetachFailed(device=mountpoint, reason="the guest still uses it")

    # interfaces

    def attach_interface(self, context, instance, image_meta, vif):
        server = self._load(instance.uuid)
        server["nics"] = [n for n in server["nics"] if n["port_id"] != vif["id"]] + _nics([vif])
        self._save(server)

    def detach_interface(self, context, instance, vif):
        server = self._load(instance.uuid)
        server["nics"] = [n for n in server["nics"] if n["port_id"] != vif["id"]]
        self._save(server)
