# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The size of a workload at the target, by the policy: as it is, or as much as its load needs. Never larger."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.observations import Load
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.policy import Sizing

MEMORY_STEP_MIB = 256
MEMORY_LEAST_MIB = 512


@dataclass(frozen=True)
class Size:
    """CPUs and memory (MiB, a multiple of 4), and in words what was changed and why."""

    cpus: int
    memory_mib: int
    remarks: list[str] = field(default_factory=list)


def size(flavor: estates.Flavor, sizing: Sizing, load: Load | None = None) -> Size:
    """The size for the target. Without a measurement that can be believed it is that of the source."""
    memory = -(-flavor.ram_mib // 4) * 4
    if sizing.mode != "measured" or flavor.vcpus < 1 or flavor.ram_mib < 1:
        return Size(flavor.vcpus, memory)
    if load is None or load.samples < sizing.min_samples:
        said = f"{load.samples} of {sizing.min_samples} samples" if load else "nobody measured it"
        return Size(flavor.vcpus, memory, [f"size as at the source: {said}"])
    remarks: list[str] = []
    factor = sizing.comfort / (sizing.target_use / 100)
    cpus = flavor.vcpus
    if load.cpu_p95 is not None:
        needed = max(1, min(cpus, math.ceil(cpus * load.cpu_p95 / 100 * factor - 1e-9)))
        if needed != cpus:
            remarks.append(f"cpus {cpus} → {needed}: {_use(load.cpu_p95, load)}")
        cpus = needed
    if load.memory_p95 is not None:
        steps = math.ceil(memory * load.memory_p95 / 100 * factor / MEMORY_STEP_MIB - 1e-9)
        needed = min(memory, max(MEMORY_LEAST_MIB, steps * MEMORY_STEP_MIB))
        if needed != memory:
            remarks.append(f"memory_mib {memory} → {needed}: {_use(load.memory_p95, load)}")
        memory = needed
    return Size(cpus, memory, remarks)


def _use(per_cent: float, load: Load) -> str:
    return f"95 of 100 samples use at most {per_cent:.0f} % ({load.samples} samples)"
