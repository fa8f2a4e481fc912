# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A workload as the acts need it: the host variable `cloudexit` that the plan inventory gives each of its hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Refused
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.marks import Marks, target_uuid
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.schema import doc

GIB = 1 << 30
_DIGEST_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class PlanRef:
    """The plan that the workload is from."""

    file: str = field(default="", metadata=doc("path of the plan file"))
    digest: str = field(default="", metadata=doc("digest of the plan's content"))


@dataclass(frozen=True, kw_only=True)
class ReaderRef:
    """The reader that reads the workload's disks."""

    name: str = field(metadata=doc("inventory name of the reader"))
    server_id: str = field(metadata=doc("id of its server in the source cloud"))


@dataclass(frozen=True, kw_only=True)
class Card(plans.Nic):
    """A network card with the target network that the plan maps its source network to."""

    target: str | None = field(default=None, metadata=doc("network at the target"))


@dataclass(frozen=True, kw_only=True)
class _Variable(plans.Workload):
    """The host variable: the workload's part of the plan, and what all workloads share."""

    host: str = field(metadata=doc("inventory name"))
    plan: PlanRef = field(default_factory=PlanRef, metadata=doc("the plan"))
    tenant: plans.Tenant = field(metadata=doc("the source project"))
    target: plans.Target = field(metadata=doc("where the tenant goes"))
    limits: plans.Limits = field(default_factory=plans.Limits, metadata=doc("how much at once"))
    reader: ReaderRef | None = field(default=None, metadata=doc("the reader"))  # type: ignore[assignment]
    nics: list[Card] = field(default_factory=list, metadata=doc("network cards"))  # type: ignore[assignment]
    wave: str | None = field(default=None, metadata=doc("the wave"))


@dataclass(frozen=True)
class Workload:
    """A workload that moves. `data` is the validated host variable; the properties are what follows from it."""

    data: _Variable

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Workload:
        """From the host variable. Raises InvalidInput with all problems, Refused for a workload that does not move."""
        loaded, problems = schema.load(_Variable, data, "workload")
        if loaded is None:
            raise InvalidInput(
                "The option workload is not a workload of a plan",
                problems,
                hint="Give it the host variable cloudexit that the plan inventory sets: workload: '{{ cloudexit }}'.",
            )
        if loaded.move == "none" or loaded.reader is None:
            raise Refused(
                f"Workload {loaded.host} is not moved",
                cause=loaded.reason or "the plan says move: none",
                hint="Change its move in the plan.",
            )
        return cls(loaded)

    @property
    def host(self) -> str:
        return self.data.host

    @property
    def tenant(self) -> str:
        return self.data.tenant.name

    @property
    def server_id(self) -> str:
        return self.data.source.id

    @property
    def reader(self) -> ReaderRef:
        if self.data.reader is None:
            raise Refused(f"Workload {self.host} has no reader")
        return self.data.reader

    @property
    def plan_digest(self) -> str:
        """The plan's digest, short: for marks."""
        return self.data.plan.digest.rpartition(":")[2][:_DIGEST_SHOWN]

    @property
    def instance_uuid(self) -> str:
        """The instance id of its machine at the target."""
        return target_uuid(self.tenant, self.server_id)

    @property
    def marks(self) -> Marks:
        """The owner marks of its machine."""
        return Marks(self.tenant, self.server_id, role="vm", plan=self.plan_digest)

    @property
    def target_label(self) -> str:
        """Where it goes, in a few words."""
        if self.data.target.type == "vcd":
            return f"Cloud Director {self.data.target.org}/{self.data.target.vdc}"
        return f"{self.data.target.type} {self.data.target.datacenter}"

    @property
    def addresses(self) -> list[str]:
        """Its addresses, in the order of its network cards."""
        return [address for nic in self.data.nics for address in nic.addresses]

    @property
    def disk_bytes(self) -> int:
        """The sizes of its disks, together."""
        return sum(disk.size_gib for disk in self.data.disks) * GIB

    @property
    def adapts(self) -> bool:
        """Whether its boot clone is adapted before the copy."""
        return self.data.guest.adapt == "offline"
