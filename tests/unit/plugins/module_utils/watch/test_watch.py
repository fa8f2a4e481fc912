# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watcher sees what the cloud loses and the ledger does not intend, and stops the purge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import retire
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import journal as ledger
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import canonical, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.watch import __main__ as watch
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.watch import cloud, compare
from tests.unit.plugins.module_utils.acts import retire_model as rm


class Scene:
    """A tenant, its plan and ledger as files, and a watcher that looks while `between` happens."""

    def __init__(self, folder: Path) -> None:
        self.model = rm.Model(2)
        self.model.stop = retire.stop_file(str(folder / "stop"))
        self.plan, self.ledger, self.stop = folder / "plan.json", folder / "ledger.jsonl", folder / "stop"
        self.plan.write_bytes(canonical.dumps(schema.dump(rm.small(self.model))) + b"\n")
        self.readable = True

    def read(self, kind: str) -> set[str]:
        if not self.readable:
            raise cloud.Unreadable("status 503")
        return {thing.obj.id for thing in self.model.of(kind)}

    def watch(self, *between: Callable[[], Any]) -> int:
        """Look, then let something happen, look again, …; when nothing is left to happen, somebody stops it."""
        todo = list(between)

        def happen(seconds: float) -> None:
            if todo:
                todo.pop(0)()
            else:
                self.stop.write_text("enough\n")

        files = ["--plan", str(self.plan), "--ledger", str(self.ledger), "--stop-file", str(self.stop)]
        return watch.main(files, connect=lambda name: self.read, sleep=happen)

    def purge(self) -> None:
        model = self.model
        model.reboot()
        model.purging = True
        journal = ledger.Journal(str(self.ledger), "acme", "sha256:p", f"run-{model.operations}", clock=model.local)
        model.memory.records = [{"act": "x_intent", "ids": {}, "result": {}}]
        assert model.plan is not None
        done = retire.purge(
            model,
            model.plan,
            journal,
            gates=model.gates,
            stop=model.stop,
            holds=model.holds,
            closure=model.closure,
            sleep=model.sleep,
        )
        assert done.stopped is None

    def reason(self) -> str:
        return self.stop.read_text()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_purge_by_the_book_is_watched_to_its_end(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert scene.watch(scene.purge) == 0
    assert not scene.stop.exists()
    told = capsys.readouterr().out
    assert "not watched: buckets, keys" in told
    assert "0 objects of the plan still there" in told


def test_something_of_the_plan_goes_without_an_intent(scene: Scene) -> None:
    assert scene.watch(lambda: scene.model.things.pop(("servers", "s1"))) == 1
    assert "servers/s1 is gone, and the ledger has no intent" in scene.reason()


def test_something_outside_the_plan_goes(scene: Scene) -> None:
    assert scene.watch(lambda: scene.model.things.pop(("servers", "s9"))) == 1
    assert "servers/s9 is gone, and is not in the plan" in scene.reason()


def test_something_is_gone_before_the_first_look(scene: Scene) -> None:
    del scene.model.things[("volumes", "v1")]
    assert scene.watch() == 1
    assert "volumes/v1" in scene.reason()


def test_it_cannot_read(scene: Scene) -> None:
    assert scene.watch(lambda: setattr(scene, "readable", False)) == 1
    assert "503" in scene.reason()


def test_it_has_no_plan(scene: Scene) -> None:
    scene.plan.write_text("{}")
    assert scene.watch() == 1
    assert "plan cannot be read" in scene.reason()


def _append(scene: Scene, count: int = 3) -> None:
    chain.append(str(scene.ledger), [chain.Entry("acme", "", f"act {n}", {"ö": "é\n"}) for n in range(count)])


def _edit(scene: Scene) -> None:
    scene.ledger.write_bytes(scene.ledger.read_bytes().replace(b"act 1", b"act 9"))


def _cut(scene: Scene) -> None:
    scene.ledger.write_bytes(b"".join(scene.ledger.read_bytes().splitlines(True)[:-1]))


def _drop(scene: Scene) -> None:
    lines = scene.ledger.read_bytes().splitlines(True)
    scene.ledger.write_bytes(lines[0] + lines[2])


def _anew(scene: Scene) -> None:
    scene.ledger.unlink()
    chain.append(str(scene.ledger), [chain.Entry("acme", "", f"other {n}") for n in range(5)])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_edit, "does not match its hash"),
        (_cut, "had 3 records and has 2"),
        (_drop, "does not follow"),
        (_anew, "written anew"),
        (lambda scene: scene.ledger.unlink(), "had 3 records and has 0"),
    ],
)
def test_the_ledger_is_changed(scene: Scene, change: Callable[[Scene], None], reason: str) -> None:
    _append(scene)
    assert scene.watch(lambda: change(scene)) == 1
    assert reason in scene.reason()


def test_a_record_that_is_being_written_is_no_difference(scene: Scene) -> None:
    _append(scene)
    whole = scene.ledger.read_bytes()
    assert scene.watch(lambda: scene.ledger.write_bytes(whole + b'{"act":"half')) == 0


def test_a_ledger_without_the_head_of_the_plan() -> None:
    plan = compare.Plan("acme", "sha256:" + "1" * 64, frozenset(), ())
    with pytest.raises(compare.Difference, match="does not hold"):
        compare.Watch(plan).look({}, b"")


def test_the_stop_file_stops_the_executor(scene: Scene) -> None:
    assert scene.watch(lambda: scene.model.things.pop(("servers", "s9"))) == 1
    asked = retire.stop_file(str(scene.stop))
    assert "watcher: servers/s9 is gone" in asked()


def test_a_reason_that_is_there_is_not_written_over(scene: Scene) -> None:
    scene.readable = False
    scene.stop.write_text("by hand\n")
    assert scene.watch() == 1
    assert scene.reason() == "by hand\n"


def test_lists_are_read_to_their_last_page() -> None:
    pages = {
        "/servers": {"servers": [{"id": "a"}], "servers_links": [{"rel": "next", "href": "http://x/2"}]},
        "http://x/2": {"servers": [{"id": "b"}], "servers_links": []},
        "/images": {"images": [{"id": "i"}], "next": "/v2/images?marker=i"},
        "/v2/images?marker=i": {"images": []},
        "/zones": {"zones": [{"id": "z"}], "links": {"self": "http://x/zones"}},
        "/?format=json": [{"name": "c"}],
        "/?format=json&marker=c": [],
    }
    found = {
        kind: cloud.ids(lambda service, path: pages[path], cloud.ROWS[kind])
        for kind in ("servers", "images", "dns_zones", "containers")
    }
    assert found == {"servers": {"a", "b"}, "images": {"i"}, "dns_zones": {"z"}, "containers": {"c"}}


@pytest.mark.parametrize(
    "body",
    [{}, {"servers": None}, {"servers": [{}]}, {"servers": [], "servers_links": [{"rel": "next", "href": "/servers"}]}],
)
def test_what_is_no_list_was_not_read(body: Any) -> None:
    with pytest.raises(cloud.Unreadable):
        cloud.ids(lambda service, path: body, cloud.ROWS["servers"])
