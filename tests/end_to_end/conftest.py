# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End-to-end tests run the installed artefact against a lab; the fixtures come from tests.installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installed import Lab, collections_path, lab, operator, playbook
from tests.lab import hypervisor, parts
from tests.lab.both_sides import Sides, look
from tests.lab.openstack import bulk
from tests.lab.operator import Operator

__all__ = ["collections_path", "lab", "operator", "playbook"]


@pytest.fixture(scope="module")
def without_guests(lab: Lab) -> Iterator[None]:
    """The hypervisor rests: servers are on or off for the clouds alone, and no guest takes the machine's time."""
    hypervisor.down(lab.instance)
    yield
    hypervisor.up(lab.instance)


@pytest.fixture(scope="module")
def tenants(lab: Lab, without_guests: None) -> Iterator[Lab]:
    """The lab with the two whole tenants of tests.lab.openstack.bulk; afterwards it is as it was seeded."""
    bulk.seed(lab.instance)
    yield lab
    parts.restore(lab.instance)


@pytest.fixture
def engineer(operator: Operator) -> Operator:
    """An operator at a lab that is as it was seeded, with the tenant assessed."""
    parts.restore(operator.instance)
    operator.assess().ok()
    return operator


@pytest.fixture
def before(engineer: Operator) -> Sides:
    """What was on both sides before the test did anything."""
    return look(engineer.instance)


@pytest.fixture(scope="module")
def assessed(lab: Lab, collections_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the estate and the draft of the plan, made once for a module at a lab that is as it was seeded."""
    parts.restore(lab.instance)
    folder = tmp_path_factory.mktemp("assessed") / "acme"
    Operator(lab.instance, collections_path, folder).assess().ok()
    return folder


@pytest.fixture
def planner(operator: Operator, assessed: Path) -> Operator:
    """An operator with a fresh draft of the plan, at a lab that is as the test before left it: for what is refused."""
    for file in assessed.glob("acme.*"):
        shutil.copy(file, operator.folder)
    return operator


@pytest.fixture
def mover(planner: Operator) -> Operator:
    """The same at a lab that is as it was seeded: for what moves."""
    parts.restore(planner.instance)
    return planner
