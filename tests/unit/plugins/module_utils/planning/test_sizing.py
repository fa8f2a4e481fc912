# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes at the target."""

from __future__ import annotations

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.observations import Load
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.policy import Sizing
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.sizing import size

MEASURED = Sizing(mode="measured", comfort=1.4, target_use=70.0, min_samples=100)
FLAVOR = e.Flavor(vcpus=8, ram_mib=16384)


@pytest.mark.parametrize(
    ("flavor", "sizing", "load", "wanted", "said"),
    [
        (FLAVOR, Sizing(), Load(cpu_p95=1.0, samples=9999), (8, 16384), []),
        (e.Flavor(vcpus=1, ram_mib=510), Sizing(), None, (1, 512), []),
        (FLAVOR, MEASURED, None, (8, 16384), ["nobody measured it"]),
        (FLAVOR, MEASURED, Load(cpu_p95=1.0, samples=99), (8, 16384), ["99 of 100 samples"]),
        (
            FLAVOR,
            MEASURED,
            Load(cpu_p95=25.0, memory_p95=25.0, samples=100),
            (4, 8192),
            ["cpus 8 → 4", "memory_mib 16384 → 8192"],
        ),
        (FLAVOR, MEASURED, Load(cpu_p95=26.0, samples=100), (5, 16384), ["cpus 8 → 5"]),
        (FLAVOR, MEASURED, Load(cpu_p95=0.0, memory_p95=0.0, samples=100), (1, 512), ["→ 1", "→ 512"]),
        (FLAVOR, MEASURED, Load(cpu_p95=99.0, memory_p95=99.0, samples=100), (8, 16384), []),
        (e.Flavor(), MEASURED, Load(cpu_p95=9.0, samples=100), (0, 0), []),
        (e.Flavor(vcpus=1, ram_mib=256), MEASURED, Load(memory_p95=1.0, samples=100), (1, 256), []),
    ],
)
def test_size(flavor: e.Flavor, sizing: Sizing, load: Load | None, wanted: tuple[int, int], said: list[str]) -> None:
    found = size(flavor, sizing, load)
    assert (found.cpus, found.memory_mib) == wanted
    assert len(found.remarks) == len(said) and all(map(str.__contains__, found.remarks, said))
