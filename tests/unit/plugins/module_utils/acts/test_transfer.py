# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pass: copied, proven, marked; retried, resumed, refused; and nothing left behind by a failure."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import transfer
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts.job import Record
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk import vmdk_sample
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pipeline import hash_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import open_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Conflict
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.manifest import Manifest
from tests.unit.plugins.module_utils.acts.fake_target import FakeTarget, cut

SIZE = 3 << 20


@pytest.fixture
def work(tmp_path: Path) -> transfer.Pass:
    disks = []
    for number in range(2):
        path = tmp_path / f"disk-{number}.raw"
        data = random.Random(number).randbytes(1 << 20)
        with open(path, "wb") as stream:
            stream.write(data)
            stream.truncate(SIZE)
        disks.append(transfer.PassDisk(number, f"volume-{number}", str(path), SIZE))
    return transfer.Pass("pass-1", "web-1", disks, frozen_at="2026-01-01T00:00:00+00:00")


@pytest.fixture
def record(tmp_path: Path) -> Record:
    record = Record(tmp_path / "state", "job")
    assert record.claim() is not None
    return record


def run(work: transfer.Pass, target: FakeTarget, record: Record) -> dict[str, Any]:
    runner = transfer.Runner(work, lambda: target, record, pause=lambda seconds: None, tick_s=0.01)
    return runner.run()


def expected(work: transfer.Pass) -> list[str]:
    return [hash_source(open_source(disk.path)).root for disk in work.disks]


def test_a_pass_copies_proves_and_marks(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    result = run(work, target, record)
    assert result["changed"] and result["vm_ref"] == "vm-1"
    assert [d["manifest_source"] for d in result["disks"]] == expected(work)
    assert all(d["equal"] and d["manifest_target"] == d["manifest_source"] for d in result["disks"])
    assert all(d["bytes"] == SIZE and 0 < d["sent"] < SIZE for d in result["disks"])
    assert target.machine is not None and target.machine.state == "verified"
    assert target.machine.marks["manifest.1"] == expected(work)[1]
    assert target.machine.marks["frozen_at"] == work.frozen_at
    assert target.leases == [] and target.closed
    assert Manifest.load(record.path / "target-1.manifest").root == expected(work)[1]
    status = record.read()
    assert (status["phase"], status["done"], status["total"]) == ("done", 2 * SIZE, 2 * SIZE)
    assert status["result"] == result


def test_a_second_pass_finds_the_proof_and_copies_nothing(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    first = run(work, target, record)
    target.calls.clear()
    again = run(replace(work, disks=[]), target, record)
    assert target.calls == ["find"]
    assert again == {**first, "changed": False}


def test_the_proof_is_on_the_machine_too(work: transfer.Pass, record: Record, tmp_path: Path) -> None:
    target = FakeTarget()
    first = run(work, target, record)
    other = Record(tmp_path / "elsewhere", "job")
    other.claim()
    again = run(replace(work, disks=[]), target, other)
    assert [(d["volume"], d["bytes"], d["manifest_target"]) for d in again["disks"]] == [
        (d["volume"], d["bytes"], d["manifest_target"]) for d in first["disks"]
    ]


@pytest.fixture
def sampling(work: transfer.Pass, monkeypatch: pytest.MonkeyPatch) -> transfer.Pass:
    """The second disk (16 chunks with data) is only sampled: 3 of them, and the first and last of the disk."""
    monkeypatch.setattr(vmdk_sample, "SIZE", 3)
    monkeypatch.setattr(vmdk_sample, "EDGE", 1)
    return replace(work, disks=[work.disks[0], replace(work.disks[1], sampled=True)])


def test_a_sample_is_told_as_a_sample(sampling: transfer.Pass, record: Record, tmp_path: Path) -> None:
    target = FakeTarget()
    target.in_places = True
    first, second = run(sampling, target, record)["disks"]
    assert first["proof"] == "full" and first["equal"] and "sample" not in first
    assert (second["proof"], second["equal"], second["manifest_target"]) == ("sampled", False, "")
    assert second["manifest_source"] == expected(sampling)[1]
    read = second["sample"]["read"]
    assert read in (3, 4) and second["sample"]["chunks"] == 16
    assert second["sample"]["finds_one"] == round(read / 16, 6)
    assert second["sample"]["finds_one_in_1000"] == round(1 - 0.999**read, 6)
    assert not (record.path / "target-1.manifest").exists() and (record.path / "target-0.manifest").exists()
    # that is on the machine too, for whoever comes from elsewhere
    assert target.machine is not None and target.machine.marks["sample.1"] == f"{read}/16"
    other = Record(tmp_path / "elsewhere", "job")
    other.claim()
    again = run(replace(sampling, disks=[]), target, other)["disks"]
    for key in ("proof", "equal", "manifest_source", "manifest_target"):
        assert [disk[key] for disk in again] == [disk[key] for disk in (first, second)]
    assert again[1]["sample"] == second["sample"]


def test_a_sample_finds_what_is_in_it(sampling: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    target.in_places = True
    target.corrupt = {1}
    text = r"disk 2 \(volume volume-1\): [34] of the [34] chunks that were looked at differ, the first are 0, "
    with pytest.raises(CloudExitError, match=text):
        run(sampling, target, record)
    assert target.machine is not None and target.machine.state == "imported" and target.leases == []


@pytest.mark.parametrize("why", ["not in places", "small", "the manifest is elsewhere"])
def test_where_a_sample_cannot_be_all_is_read_back(
    sampling: transfer.Pass, record: Record, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    target = FakeTarget()
    target.in_places = why != "not in places"
    if why == "small":
        monkeypatch.setattr(vmdk_sample, "SIZE", 16)
    if why == "the manifest is elsewhere":
        target.fail = cut(when="open_export", times=9)
        with pytest.raises(CloudExitError):
            run(sampling, target, record)
        target.fail = lambda call: None
        (record.path / "source-1.manifest").unlink()
    second = run(sampling, target, record)["disks"][1]
    assert (second["proof"], second["equal"]) == ("full", True)
    assert target.machine is not None and "sample.1" not in target.machine.marks
    assert "is read back as a whole" in (record.path / "log").read_text()


def test_bytes_that_come_back_different_are_named(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    target.corrupt = {1}
    with pytest.raises(
        CloudExitError, match=r"disk 2 \(volume volume-1\): 16 of 48 chunks.* differ, the first are 0, 1, 2"
    ):
        run(work, target, record)
    assert target.machine is not None and target.machine.state == "imported" and target.leases == []
    target.corrupt = set()
    target.calls.clear()
    # the same machine is looked at once more; had it differed again it would have been copied anew
    assert run(work, target, record)["changed"] is False
    assert "open_import" not in target.calls


def test_a_machine_that_still_differs_is_copied_anew(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    target.corrupt = {1}
    with pytest.raises(CloudExitError):
        run(work, target, record)
    target.bytes = {0: target.bytes[0], 1: target.bytes[0]}
    target.corrupt = set()
    assert run(work, target, record)["changed"] is True
    assert "destroy vm-1" in target.calls and target.machine.state == "verified"


@pytest.mark.parametrize("when", ["write 1 ", "put", "open_export", "get", "open_import"])
def test_a_cut_is_tried_again_with_a_new_lease(work: transfer.Pass, record: Record, when: str) -> None:
    target = FakeTarget()
    target.fail = cut(when=when, times=2)
    result = run(work, target, record)
    assert result["attempts"] in (2, 3), "two disks may fail in one try"
    assert result["disks"][1]["manifest_target"] == expected(work)[1]
    assert target.leases == [] and target.machine.state == "verified"


def test_after_three_cuts_it_is_an_error_and_nothing_is_left(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    target.fail = cut(when="write 1 ", times=3)
    with pytest.raises(CloudExitError, match="connection reset by peer"):
        run(work, target, record)
    assert target.machine is None and target.leases == []
    assert target.calls.count("open_import") == 3
    assert record.read()["lease"] == ""
    assert target.closed


def test_an_error_that_stays_is_not_tried_again(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    target.fail = cut(when="open_import", retryable=False)
    with pytest.raises(CloudExitError):
        run(work, target, record)
    assert target.calls.count("open_import") == 1


def test_what_a_dead_job_left_is_taken_away_first(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    lease = target.open_import({"state": "importing", "pass": "pass-1"})
    record.write({"phase": "copying", "lease": lease.ref})
    result = run(work, target, record)
    assert result["changed"]
    order = [call for call in target.calls if call.split()[0] in ("abort_stale", "destroy", "open_import")]
    assert order == ["open_import", f"abort_stale {lease.ref}", "destroy vm-1", "open_import"]
    assert target.leases == []


def test_what_a_dead_job_had_open_is_remembered_until_it_is_ended(work: transfer.Pass, record: Record) -> None:
    record.write({"phase": "copying", "lease": "session-0"})

    def refuse() -> FakeTarget:
        raise CloudExitError("cannot log in")

    with pytest.raises(CloudExitError):
        transfer.Runner(work, refuse, record, tick_s=0.01).run()
    assert record.read()["lease"] == "session-0"
    target = FakeTarget()
    during: list[str] = []
    target.fail = lambda call: during.append(record.read()["lease"]) if call.startswith("get") else None
    run(work, target, record)
    assert target.calls[0] == "abort_stale session-0"
    assert set(during) == {target.trace} and record.read()["lease"] == ""


def test_a_machine_imported_by_the_same_pass_is_only_proven(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    target.fail = cut(when="open_export", times=1, retryable=False)
    with pytest.raises(CloudExitError):
        run(work, target, record)
    target.calls.clear()
    result = run(work, target, record)
    assert "open_import" not in target.calls and target.machine.state == "verified"
    assert [d["manifest_target"] for d in result["disks"]] == expected(work)


def test_a_spool_of_a_killed_job_does_not_stay(work: transfer.Pass, record: Record) -> None:
    """It may be as large as the disk, and a run that needs none would never write over it."""
    target = FakeTarget()
    run(work, target, record)
    for index in (0, 1):
        (record.path / f"disk-{index}.part").write_bytes(b"x")
    assert not run(work, target, record)["changed"]
    assert list(record.path.glob("*.part")) == []


def test_a_machine_of_another_pass_is_made_again(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    run(work, target, record)
    result = run(replace(work, id="pass-2"), target, record)
    assert result["changed"] and target.calls.count("destroy vm-1") == 1


@pytest.mark.parametrize(
    ("marks", "running", "words"),
    [
        ({"state": "started", "pass": "pass-1"}, False, "is in use"),
        ({"state": "verified", "pass": "pass-0"}, True, "is running"),
        ({"state": "rolled_back"}, False, "kept by a rollback"),
        ({"state": "weird"}, False, "unknown state 'weird'"),
        ({}, False, "unknown state ''"),
    ],
)
def test_a_machine_that_may_be_in_use_is_never_replaced(
    work: transfer.Pass, record: Record, marks: dict[str, str], running: bool, words: str
) -> None:
    target = FakeTarget()
    target.machine = transfer.Machine("vm-7", "web-1", running, marks)
    with pytest.raises(Conflict, match=words):
        run(work, target, record)
    assert target.calls == ["find"]


def test_a_machine_kept_by_a_rollback_is_replaced_when_asked(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    target.machine = transfer.Machine("vm-7", "web-1", False, {"state": "rolled_back"})
    run(replace(work, replace_rolled_back=True), target, record)
    assert "destroy vm-7" in target.calls


def test_a_stranger_with_our_instance_id_is_left_alone(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    target.machine = transfer.Machine("vm-7", "x", False, {})
    target.ours = False
    with pytest.raises(Conflict, match="not its marks"):
        run(work, target, record)
    assert target.calls == ["find"]


@pytest.mark.parametrize("upload", ["auto", "spooled", "measured"])
def test_a_target_that_wants_lengths_gets_them(work: transfer.Pass, record: Record, upload: str) -> None:
    if upload == "measured":
        pytest.importorskip("zlib_ng")
    target = FakeTarget()
    target.wants_length = True
    result = run(replace(work, upload=upload), target, record)
    assert [d["manifest_target"] for d in result["disks"]] == expected(work)
    assert all(length for length in target.lengths[-2:])
    assert list(record.path.glob("*.part")) == []


def test_a_target_that_wants_lengths_and_may_not_have_them(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    target.wants_length = True
    with pytest.raises(transfer.LengthRequired):
        run(replace(work, upload="chunked"), target, record)
    assert target.machine is None


@pytest.mark.parametrize("room", [True, False])
def test_a_target_that_wants_all_lengths_first_gets_them(
    work: transfer.Pass, record: Record, room: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not room:
        pytest.importorskip("zlib_ng")
        monkeypatch.setattr(transfer, "SPOOL_SPARE", 1 << 60)
    target = FakeTarget()
    target.sized = target.wants_length = True
    target.fail = cut(when="write 1")
    result = run(work, target, record)
    assert result["upload"] == ("spooled" if room else "measured")
    assert [d["manifest_target"] for d in result["disks"]] == expected(work)
    assert target.announced == {disk.index: len(target.bytes[disk.index]) for disk in work.disks}
    assert list(record.path.glob("*.part")) == []


def test_a_target_that_wants_all_lengths_first_takes_no_chunks(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    target.sized = True
    with pytest.raises(transfer.LengthRequired, match="chunked"):
        run(replace(work, upload="chunked"), target, record)
    assert "open_import" not in target.calls


def test_a_stop_gives_the_lease_back(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    runner = transfer.Runner(work, lambda: target, record, tick_s=0.01)
    target.fail = lambda call: runner.stop() if call.startswith("write 0 ") else None
    with pytest.raises(CloudExitError, match="asked to end") as caught:
        runner.run()
    assert caught.value.retryable
    assert target.machine is None and target.leases == []


def test_so_many_disks_at_a_time(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    run(replace(work, parallel=1), target, record)
    assert target.most_at_once == 1


def test_a_disk_of_another_size_is_refused(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    wrong = [replace(work.disks[0], size=SIZE - 512), work.disks[1]]
    with pytest.raises(Conflict, match="Disk 1 of web-1 has another size than its clone"):
        run(replace(work, disks=wrong), target, record)
    assert target.machine is None


def test_the_lease_hears_of_the_progress(work: transfer.Pass, record: Record) -> None:
    target = FakeTarget()
    heard = threading.Event()
    told: list[int] = []

    def wait_for_it(call: str) -> None:
        if call.startswith("write 0 ") and not heard.is_set():
            target.leases[0].progress = lambda percent: (told.append(percent), heard.set())
            assert heard.wait(10)

    target.fail = wait_for_it
    run(work, target, record)
    assert told and all(0 <= percent < 100 for percent in told)
