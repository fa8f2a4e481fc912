# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People with keys, and an authority for time stamps."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # the collection can be imported only once pytest-ansible has been configured
    from tests.sealed import People, TimeStamping


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> People:
    from tests.sealed import People

    return People(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def people(keys: People, tmp_path: Path) -> People:
    """The keys of all, in a folder of this test."""
    from tests.sealed import People

    for path in keys.folder.iterdir():
        shutil.copy(path, tmp_path / path.name)
    return People(tmp_path)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimeStamping]:
    from tests.sealed import TimeStamping

    made = TimeStamping(tmp_path_factory.mktemp("tsa"))
    yield made
    made.close()
