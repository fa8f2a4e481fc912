# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL at random points of a quarantine, an undo and a purge that are processes of their own with a real ledger.

The next process reads what became of the last call, repeats nothing blindly, and ends complete. `make soak` takes 100
points, the normal run five.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import journal as ledger
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, NotFound
from tests.conftest import ROOT, SOURCE_TREE
from tests.unit.plugins.module_utils.acts import retire_model as rm
from tests.unit.plugins.module_utils.acts.test_retire import left

SAMPLE, SOAK = 5, 100
POINTS = [pytest.param(n, marks=() if n < SAMPLE else pytest.mark.soak) for n in range(SOAK)]


class File:
    """What the model looks into to see whether a call was intended: the ledger on the disk."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    @property
    def records(self) -> list[dict[str, Any]]:
        try:
            return chain.read(self.path)
        except NotFound:
            return []


class Service:
    """The model behind a socket. The process at the other end is killed at the n-th request, in one of three ways."""

    def __init__(self, model: rm.Model, folder: Path) -> None:
        self.model, self.folder = model, folder
        self.ledger = folder / "evidence" / "ledger.jsonl"
        self.ledger.parent.mkdir()
        model.memory = File(self.ledger)
        self.runs = 0
        self.asked = 0

    def run(self, act: str, *, kill_at: int = -1, way: str = "", delay: float = 0.0) -> int:
        """One process; its exit status, negative where it was killed."""
        self.runs += 1
        self.asked = 0
        self.model.reboot()
        self.model.purging = act == "purge"
        address = str(self.folder / f"s{self.runs}")
        with Listener(address, "AF_UNIX") as listener:
            command = [sys.executable, "-m", "tests.unit.plugins.module_utils.acts.retire_child"]
            child = subprocess.Popen(
                [*command, address, str(self.ledger), act, f"run-{self.runs}"],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{SOURCE_TREE}{os.pathsep}{ROOT}"},
                stdout=subprocess.PIPE,
                text=True,
            )
            line = listener.accept()
            server = threading.Thread(target=self.serve, args=(line, child, kill_at, way, delay))
            server.start()
            self.said = child.communicate(timeout=120)[0]
            server.join(timeout=120)
        return child.returncode

    def serve(self, line: Connection, child: subprocess.Popen[str], kill_at: int, way: str, delay: float) -> None:
        try:
            while True:
                name, given = line.recv()
                self.asked += 1
                here = self.asked == kill_at
                if here and way == "before":
                    child.send_signal(signal.SIGKILL)
                    return
                answer = self.answer(name, given)
                if here and way == "after":
                    child.send_signal(signal.SIGKILL)
                    return
                line.send(answer)
                if here:
                    # somewhere in what it does on its own: in the midst of a record, maybe
                    time.sleep(delay)
                    child.send_signal(signal.SIGKILL)
                    return
        except (EOFError, ConnectionError):
            return
        finally:
            line.close()

    def answer(self, name: str, given: tuple[Any, ...]) -> tuple[bool, Any]:
        if name == "the_plan":
            return True, self.model.plan
        try:
            return True, getattr(self.model, name)(*given)
        except CloudExitError as error:
            return False, (type(error), error.what, error.retryable)


@pytest.fixture(scope="module")
def length(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How many requests each act makes of the small tenant when nothing happens to it."""
    found = {}
    for acts in (("quarantine", "undo"), ("purge",)):
        service = tenant(tmp_path_factory.mktemp("whole"))
        for act in acts:
            assert service.run(act) == 0, service.said
            found[act] = service.asked
    return found


def tenant(folder: Path) -> Service:
    model = rm.Model(5)
    rm.small(model)
    return Service(model, folder)


def deaths(rng: random.Random, most: int) -> Iterator[dict[str, Any]]:
    """One death, sometimes two."""
    for dummy in range(rng.choice([1, 1, 2])):
        way = rng.choice(["before", "after", "later"])
        yield {"kill_at": rng.randint(1, most), "way": way, "delay": rng.random() * 0.01}


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_it_ends_complete(point: int, length: dict[str, int], tmp_path: Path) -> None:
    rng = random.Random(f"kill {point}")
    service = tenant(tmp_path)
    model = service.model
    before = {key: thing.state() for key, thing in model.things.items()}
    victim = ("purge", "quarantine", "purge", "undo")[point % 4]
    if victim == "undo":
        assert service.run("quarantine") == 0, service.said
    for number, death in enumerate(deaths(rng, length[victim])):
        ended = service.run(victim, **death)
        assert ended == -signal.SIGKILL or number or death["way"] == "later"
    if victim == "quarantine" or victim == "undo":
        assert service.run(victim) == 0, service.said
    if victim == "quarantine":
        assert service.run("undo") == 0, service.said
    if victim != "purge":
        assert {key: thing.state() for key, thing in model.things.items()} == before
    else:
        for dummy in range(2):
            assert service.run("purge") == 0, service.said
        assert left(model) == []
        assert ("servers", "s9") in model.things
    assert model.violations == []
    found = chain.verify(str(service.ledger))
    assert found.ok, found.problems
    assert ledger.Journal(str(service.ledger), "acme", "sha256:plan", "look").open_intents() == []
