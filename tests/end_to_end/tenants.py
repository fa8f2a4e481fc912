# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""assess on one of the lab's whole tenants, as an engineer runs it, and what came of it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.bench import common
from tests.installed import Lab
from tests.lab.openstack import calls, database
from tests.lab.openstack.access import Calls
from tests.lab.operator import BIN, COLLECTION, TARGET, Played, clean_env


@dataclass(frozen=True)
class Run:
    """One run of assess: how it ended, what it took, and what it asked of the cloud."""

    played: Played
    seconds: float
    memory: int
    calls: Calls


class Tenant:
    """A tenant by its name in clouds.yaml, and assess on it in a folder."""

    def __init__(self, lab: Lab, collections: Path, cloud: str, folder: Path) -> None:
        self.lab = lab
        self.cloud = cloud
        self.folder = folder
        folder.mkdir()
        self.env = clean_env(collections, folder.parent / "home", {**lab.environment, "PWD": str(folder)})

    def assess(self, **extra: Any) -> Run:
        """The playbook, from the command to its end."""
        given = {"assess_cloud": self.cloud, "assess_target": TARGET, "assess_dir": str(self.folder), **extra}
        output = self.folder.parent / "output.txt"
        since = time.time()
        words = [str(BIN / "ansible-playbook"), f"{COLLECTION}.assess", "-e", json.dumps(given)]
        try:
            sample = common.run(words, self.env, str(output))
        except RuntimeError as error:
            raise AssertionError(f"{error}\n{output.read_text(errors='replace')[-6000:]}") from error
        played = Played(0, output.read_text(errors="replace"), sample.wall)
        return Run(played, sample.wall, sample.rss, calls(self.lab.instance, since))

    def files(self) -> dict[str, bytes]:
        """All that was written."""
        return {path.name: path.read_bytes() for path in sorted(self.folder.iterdir()) if path.is_file()}

    def estate(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / f"{self.cloud}.estate.json").read_bytes())
        return loaded

    def assessment(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / f"{self.cloud}.assessment.json").read_bytes())
        return loaded

    def plan(self) -> dict[str, Any]:
        text = (self.folder / f"{self.cloud}.plan.yml").read_bytes()
        loaded: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return loaded

    def truth(self, schema: str, query: str) -> set[str]:
        """Ids that the services' databases hold of the project."""
        project = self.estate()["tenant"]["project_id"]
        return {row[0] or "" for row in database.sql(self.lab.instance, query.format(project=project), schema)}
