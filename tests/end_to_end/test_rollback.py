# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with the worst of names moves, and comes back: one story, told by several tests in their order."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.steps import Watch, failure, machines, small, workload
from tests.installed import Lab
from tests.lab import parts
from tests.lab.both_sides import api, look
from tests.lab.operator import Operator
from tests.lab.paths import Instance
from tests.lab.seed import HOSTILE_NAME

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("without_guests")]


@dataclass(frozen=True)
class Story:
    """The operator, the host, and both sides before it moved."""

    operator: Operator
    host: str
    watch: Watch

    @property
    def server(self) -> str:
        return str(workload(self.operator, self.host)["source"]["id"])


@pytest.fixture(scope="module")
def story(lab: Lab, collections_path: Path, assessed: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The server has moved."""
    parts.restore(lab.instance)
    operator = Operator(lab.instance, collections_path, tmp_path_factory.mktemp("story") / "acme")
    for file in assessed.glob("acme.*"):
        shutil.copy(file, operator.folder)
    told = Story(operator, small(operator, HOSTILE_NAME), Watch(lab.instance))
    operator.migrate("--limit", told.host).ok()
    return told


def test_hostile_name_moves(story: Story) -> None:
    """The name is data: it is in the evidence as it is, and nowhere a path, a template or a command."""
    result = story.watch.moved(story.operator, story.host)
    (machine,) = machines(story.operator.instance)
    assert machine["name"] == workload(story.operator, story.host)["name"]
    assert not set(machine["name"]) & set("\"'/\\{}")
    assert ".." not in machine["name"]
    assert story.host.replace("-", "").isalnum()
    assert result["facts"]["source"] == {"id": story.server, "name": HOSTILE_NAME}
    folder = story.operator.folder
    inside = {path.name for path in folder.iterdir()}
    assert {name for name in inside if not name.startswith("acme.")} == {"evidence", "home", "reader-state"}
    assert all(re.fullmatch(r"acme(\.[a-z]+)+", name) for name in inside if name.startswith("acme."))
    assert {path.name for path in folder.parent.iterdir()} == {folder.name}


def test_rollback(story: Story) -> None:
    """The machine is off and kept, the source unfenced and running again."""
    played = story.operator.run("rollback", *story.operator.plan_arguments(), "--limit", story.host).ok()
    assert played.recap[story.host].changed == 4  # off, unfenced, on, on record
    (machine,) = machines(story.operator.instance)
    assert machine["power"] == "poweredOff"
    assert machine["extra_config"]["cloudexit.state"] == "rolled_back"
    after = look(story.operator.instance)
    assert after.servers == {**story.watch.before.servers, story.server: "ACTIVE"}
    assert story.watch.left() == {}
    server = source(story.operator.instance, story.server)
    assert not server["locked"]
    assert not [key for key in server["metadata"] if key.startswith("cloudexit")]
    assert server["metadata"]["note"] == HOSTILE_NAME, "what others wrote stays"


def test_rollback_again_changes_nothing(story: Story) -> None:
    story.watch.again()
    before = look(story.operator.instance)
    played = story.operator.run("rollback", *story.operator.plan_arguments(), "--limit", story.host).ok()
    assert played.changed == 0
    assert story.watch.writes() == []
    assert look(story.operator.instance) == before


def test_ledger_tells_there_and_back(story: Story) -> None:
    """Every act is on record, and the record is sound."""
    played = story.operator.run("verify_ledger").ok()
    assert "The ledger is sound: " in played.output
    records = [json.loads(line) for line in (story.operator.evidence / "ledger.jsonl").read_text().splitlines()]
    acts = [record["act"] for record in records if record["workload"] == story.host]
    there = ["disk_clone", "disk_pass", "disk_clone_removed", "vsphere_vm", "workload_check", "source_fence"]
    assert acts[: len(there)] == there
    assert acts[len(there) :] == ["vsphere_vm_stopped", "source_unfence", "source_started"]


def test_migrate_does_not_replace_what_was_rolled_back(story: Story) -> None:
    """It may hold what was written there: a person decides."""
    story.watch.again()
    before = look(story.operator.instance)
    played = story.operator.migrate("--limit", story.host)
    said = failure(played, story.host)
    assert "is not moved again: a rollback kept its machine" in said
    assert "set migrate_replace_rolled_back to true to have it replaced by a new copy" in said
    assert story.watch.writes() == []
    assert look(story.operator.instance) == before


def source(instance: Instance, server: str) -> dict[str, Any]:
    """The source server as the cloud tells it."""
    found: dict[str, Any] = api(instance).get("compute", f"/servers/{server}")["server"]
    return found
