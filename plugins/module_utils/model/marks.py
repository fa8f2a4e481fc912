# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owner marks: how a run finds its own work again, by ids and never by name.

On OpenStack they are metadata of snapshots, volumes and servers (keys with `_`, since some clouds refuse dots); in
vSphere they are `extraConfig` entries of a virtual machine (keys with a dot).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields

PREFIX = "cloudexit"
NAMESPACE = uuid.UUID("9b0a3c52-6f0e-5d3a-9a52-0c7a5be1f0e4")


@dataclass(frozen=True)
class Marks:
    """Who made an object and for what: tenant, id of the source object, role, plan digest (short), run id, state."""

    tenant: str
    source_id: str
    role: str = ""
    plan: str = ""
    run: str = ""
    state: str = ""

    def to_metadata(self) -> dict[str, str]:
        """OpenStack metadata: `{"cloudexit_tenant": ...}`; empty marks are left out.

        Values are cut at 255 characters, the limit of Nova and Cinder.
        """
        return {f"{PREFIX}_{key}": value[:255] for key, value in self._filled()}

    def to_extra_config(self) -> dict[str, str]:
        """vSphere extraConfig: `{"cloudexit.tenant": ...}`; empty marks are left out."""
        return {f"{PREFIX}.{key}": value for key, value in self._filled()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Marks | None:
        """The marks in OpenStack metadata, or None where the object is not ours."""
        return cls._read(metadata, f"{PREFIX}_")

    @classmethod
    def from_extra_config(cls, extra: Mapping[str, str]) -> Marks | None:
        """The marks in extraConfig entries, or None where the machine is not ours."""
        return cls._read(extra, f"{PREFIX}.")

    def owns(self, other: Marks | None) -> bool:
        """Whether `other` marks an object of the same tenant and the same source object."""
        return other is not None and (other.tenant, other.source_id) == (self.tenant, self.source_id)

    def _filled(self) -> list[tuple[str, str]]:
        pairs = ((field.name, str(getattr(self, field.name))) for field in fields(self))
        return [(key, value) for key, value in pairs if value]

    @classmethod
    def _read(cls, values: Mapping[str, str], prefix: str) -> Marks | None:
        found = {field.name: str(values[prefix + field.name]) for field in fields(cls) if prefix + field.name in values}
        if "tenant" not in found or "source_id" not in found:
            return None
        return cls(**found)


def target_uuid(tenant: str, source_id: str) -> str:
    """The instance UUID of the machine made from `source_id`: the same on every run and every controller."""
    return str(uuid.uuid5(NAMESPACE, f"{tenant}/{source_id}"))
