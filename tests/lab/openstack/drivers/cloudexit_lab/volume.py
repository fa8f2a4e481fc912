# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cinder driver: a volume is one raw sparse file of the volume's size, a snapshot is a copy of it.

A volume may therefore be snapshotted or cloned while it is attached, and its file may stand behind a loop device or
a QEMU disk at any time. Freed blocks stay holes.
"""

from __future__ import annotations

import os

from cinder import exception, interface
from cinder.image import image_utils
from cinder.volume import configuration, driver, volume_utils
from oslo_concurrency import processutils
from oslo_config import cfg

GIB = 1 << 30
OPTIONS = [cfg.StrOpt("lab_volumes", help="The directory of the volumes' files")]
cfg.CONF.register_opts(OPTIONS, group=configuration.SHARED_CONF_GROUP)


@interface.volumedriver
class RawFileDriver(driver.VolumeDriver):
    """Volumes as raw files in one directory."""

    VERSION = "1"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTIONS)
        self._folder = self.configuration.lab_volumes

    def do_setup(self, context):
        os.makedirs(self._folder, exist_ok=True)

    def check_for_setup_error(self):
        return None

    def _update_volume_stats(self):
        space = os.statvfs(self._folder)
        unit = space.f_frsize / GIB
        self._stats = {
            "volume_backend_name": self.configuration.safe_get("volume_backend_name"),
            "vendor_name": "cloudexit",
            "driver_version": self.VERSION,
            "storage_protocol": "file",
            "total_capacity_gb": space.f_blocks * unit,
            "free_capacity_gb": space.f_bavail * unit,
            "reserved_percentage": 0,
            "thin_provisioning_support": True,
            "max_over_subscription_ratio": "1000",
            "multiattach": True,
        }

    # files

    def file_of(self, thing):
        """The file of a volume or snapshot."""
        return os.path.join(self._folder, thing["name"])

    def _copy(self, source, target, gib):
        part = target + ".part"
        try:
            processutils.execute("cp", "--reflink=auto", "--sparse=always", source, part)
            os.truncate(part, gib * GIB)
            os.rename(part, target)
        finally:
            self._drop(part)

    @staticmethod
    def _drop(path):
        try:
            os.unlink(path)
        except FileNotFoundError:
            return

    # volumes and snapshots

    def create_volume(self, volume):
        with open(self.file_of(volume), "xb") as f:
            f.truncate(volume["size"] * GIB)

    def delete_volume(self, volume):
        self._drop(self.file_of(volume))

    def extend_volume(self, volume, new_size):
        os.truncate(self.file_of(volume), new_size * GIB)

    def create_snapshot(self, snapshot):
        origin = os.path.join(self._folder, snapshot["volume_name"])
        self._copy(origin, self.file_of(snapshot), snapshot["volume_size"])

    def delete_snapshot(self, snapshot):
        self._drop(self.file_of(snapshot))

    def revert_to_snapshot(self, context, volume, snapshot):
        self._copy(self.file_of(snapshot), self.file_of(volume), volume["size"])

    def create_volume_from_snapshot(self, volume, snapshot):
        self._copy(self.file_of(snapshot), self.file_of(volume), volume["size"])

    def create_cloned_volume(self, volume, src_vref):
        self._copy(self.file_of(src_vref), self.file_of(volume), volume["size"])

    # images

    def copy_image_to_volume(self, context, volume, image_service, image_id, disable_sparse=False):
        path = self.file_of(volume)
        image_utils.fetch_to_raw(
            context, image_service, image_id, path, "4M", size=volume["size"], disable_sparse=disable_sparse
        )
        os.truncate(path, volume["size"] * GIB)

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        volume_utils.upload_volume(context, image_service, image_meta, self.file_of(volume), volume)

    # attachments

    def ensure_export(self, context, volume):
        return None

    def create_export(self, context, volume, connector):
        return None

    def remove_export(self, context, volume):
        return None

    def initialize_connection(self, volume, connector):
        path = self.file_of(volume)
        if not os.path.exists(path):
            raise exception.VolumeNotFound(volume_id=volume["id"])
        return {"driver_volume_type": "local", "data": {"device_path": path, "volume_id": volume["id"]}}

    def terminate_connection(self, volume, connector, **kwargs):
        return None
