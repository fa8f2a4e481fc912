# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target of a workload, whatever its kind: the one that the plan's `target.type` names."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import transfer, vcd, vsphere
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.transfer import Machine
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.workload import Workload
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session as Director
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import vmomi
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere.client import Session as VCenter

Session: TypeAlias = "VCenter | Director"
"""A session with the target: of the kind that the plan names."""


def is_vcd(workload: Workload) -> bool:
    """Whether it goes into Cloud Director."""
    return workload.data.target.type == "vcd"


def load(workload: Workload) -> None:
    """Have the libraries imported that its target needs. Raises CloudExitError for one that is missing."""
    if not is_vcd(workload):
        vmomi.load()


def find(workload: Workload, session: Session) -> Machine | None:
    """Its machine, None where there is none. Raises Conflict for one that is not ours."""
    if is_vcd(workload):
        return vcd.find(workload, cast(Director, session))
    return vsphere.find(workload, cast(VCenter, session))


def problems(workload: Workload, session: Session) -> list[Problem]:
    """Everything at the target that forbids the move."""
    if is_vcd(workload):
        return vcd.problems(workload, cast(Director, session))
    return vsphere.problems(workload, cast(VCenter, session))


def spec_text(workload: Workload) -> dict[str, Any]:
    """What the machine will be, for a diff."""
    return vcd.spec_text(workload) if is_vcd(workload) else vsphere.spec_text(workload)


def of(workload: Workload, session: Session, *, spool_dir: str) -> transfer.Target:
    """The target of its pass."""
    if is_vcd(workload):
        return vcd.VcdTarget(workload, cast(Director, session))
    return vsphere.VsphereTarget(workload, cast(VCenter, session), spool_dir=spool_dir)
