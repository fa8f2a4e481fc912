# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of an adaptation: a second run tells the first one's result, and a half adapted clone is noticed."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import adapt
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest import offline
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.guest.model import (
    AdaptPlan,
    AdaptResult,
    Facts,
    FileChange,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Refused,
    Timeout,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.manifest import Manifest


class Engine:
    """Plays offline.adapt: what it does when it is about to write, and after that."""

    def __init__(self) -> None:
        self.calls: list[bool] = []
        self.changes = True
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    def adapt(
        self, device: str, plan: AdaptPlan, *, check: bool, before_write: Callable[[], None], **_: Any
    ) -> AdaptResult:
        self.calls.append(check)
        self.before()
        files = [FileChange("/etc/fstab", "modified", "a", "b", "why", "old\n", "new\n")] if self.changes else []
        if files and not check:
            before_write()
            with open(device, "r+b") as file:
                file.write(b"adapted")
            self.after()
        return AdaptResult(bool(files), files, Facts(name="Debian"), ["a note"], 1.0)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    played = Engine()
    monkeypatch.setattr(offline, "adapt", played.adapt)
    return played


@pytest.fixture
def work(tmp_path: Path) -> adapt.Work:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(200_000) + b"data")
    record = tmp_path / "state" / "guests" / "job"
    return adapt.Work(str(disk), AdaptPlan(), "clone-1", str(record), hash_before=True)


def fail(error: BaseException) -> Callable[[], None]:
    def raising() -> None:
        raise error

    return raising


def test_once_and_again(engine: Engine, work: adapt.Work) -> None:
    first = adapt.run(work)
    assert first.result.changed
    manifest = Manifest.load(first.manifest_file)
    assert first.manifest_before == manifest.root
    assert Path(work.device).read_bytes()[:7] == b"adapted"

    again = adapt.run(replace(work, device="/dev/elsewhere", fresh=False))
    assert engine.calls == [False]
    assert not again.result.changed
    assert again.result.files == first.result.files
    assert again.manifest_before == first.manifest_before
    assert again.to_dict()["found"]["name"] == "Debian"


def test_check_leaves_no_trace(engine: Engine, work: adapt.Work) -> None:
    told = adapt.run(work, check=True)
    assert told.result.changed and told.manifest_before == ""
    assert not Path(work.record).exists()
    adapt.run(work)
    assert not adapt.run(work, check=True).result.changed


def test_nothing_to_change_needs_no_manifest(engine: Engine, work: adapt.Work) -> None:
    engine.changes = False
    done = adapt.run(work)
    assert (done.result.changed, done.manifest_before) == (False, "")
    assert adapt.run(work).result.warnings == ["a note"]


@pytest.mark.parametrize("error", [CloudExitError("broken"), KeyboardInterrupt()])
def test_stopped_half_way_is_dirty(engine: Engine, work: adapt.Work, error: BaseException) -> None:
    engine.after = fail(error)
    with pytest.raises(adapt.Dirty if isinstance(error, CloudExitError) else KeyboardInterrupt):
        adapt.run(work)
    engine.after = lambda: None
    with pytest.raises(adapt.Dirty, match="may be half adapted") as caught:
        adapt.run(work)
    assert "renew" in caught.value.hint
    # The clone that is made anew has a record of its own.
    assert adapt.run(replace(work, identity="clone-2", record=f"{work.record}-2")).result.changed


def test_stopped_while_hashing_is_not_dirty(engine: Engine, work: adapt.Work, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "dump", lambda *_: fail(KeyboardInterrupt())())
        with pytest.raises(KeyboardInterrupt):
            adapt.run(work)
    assert adapt.run(work).result.changed


def test_stopped_between_hash_and_change_uses_the_manifest(engine: Engine, work: adapt.Work) -> None:
    real = adapt._Record.write

    def write(self: Any, state: str, **more: Any) -> None:
        if state == adapt.STARTED:
            raise KeyboardInterrupt
        real(self, state, **more)

    adapt._Record.write = write
    try:
        with pytest.raises(KeyboardInterrupt):
            adapt.run(work)
    finally:
        adapt._Record.write = real
    root = json.loads((Path(work.record) / "adapt.json").read_text())["manifest_before"]
    assert adapt.run(replace(work, fresh=False)).manifest_before == root


def test_a_refusal_is_not_dirty(engine: Engine, work: adapt.Work) -> None:
    engine.before = fail(Refused("no"))
    for dummy in range(2):
        with pytest.raises(Refused, match="no"):
            adapt.run(work)


def test_handed_out_before_without_a_record_is_dirty(engine: Engine, work: adapt.Work) -> None:
    with pytest.raises(adapt.Dirty, match="not recorded"):
        adapt.run(replace(work, fresh=False))
    assert engine.calls == []


def test_another_plan_is_dirty(engine: Engine, work: adapt.Work) -> None:
    adapt.run(work)
    with pytest.raises(adapt.Dirty, match="in another way"):
        adapt.run(replace(work, plan=AdaptPlan(console=False)))


def test_a_damaged_record_is_dirty(engine: Engine, work: adapt.Work) -> None:
    adapt.run(work)
    (Path(work.record) / "adapt.json").write_text("{")
    with pytest.raises(adapt.Dirty, match="cannot be read"):
        adapt.run(work)


def test_another_process_at_work_is_waited_for(engine: Engine, work: adapt.Work) -> None:
    Path(work.record).mkdir(parents=True)
    handle = os.open(Path(work.record) / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(Timeout, match="still adapting"):
            adapt.run(work, lock_s=0)
    finally:
        os.close(handle)
    assert adapt.run(work, lock_s=0).result.changed


def test_old_records_go(engine: Engine, work: adapt.Work) -> None:
    old = Path(work.record).parent / "old"
    for directory, age in ((old, adapt.KEEP_S + 60), (old.with_name("young"), 60)):
        directory.mkdir(parents=True)
        (directory / "adapt.json").write_text("{}")
        then = (old.parent.stat().st_mtime) - age
        os.utime(directory / "adapt.json", (then, then))
    adapt.run(work)
    assert sorted(path.name for path in old.parent.iterdir()) == ["job", "young"]


def test_mode_none(engine: Engine, work: adapt.Work) -> None:
    assert not adapt.run(replace(work, plan=AdaptPlan(mode="none"))).result.changed
    assert engine.calls == []
