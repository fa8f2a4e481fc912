# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain: appended by several processes, torn by crashes, changed by somebody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import __main__ as command
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    InvalidInput,
    NotFound,
)


def entry(number: int = 0, workload: str = "web-1") -> chain.Entry:
    return chain.Entry("acme", workload, "disk_pass", {"server_id": "s-1"}, {"root": "blake3:00"}, {"number": number})


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    chain.append(str(path), [entry(0), entry(1)])
    chain.append(str(path), [entry(2)])
    return path


def edit(path: Path, line: int, **values: object) -> None:
    lines = path.read_text().splitlines()
    lines[line] = json.dumps({**json.loads(lines[line]), **values}, separators=(",", ":"), sort_keys=True)
    path.write_text("\n".join(lines) + "\n")


def problems(path: Path, **options: str) -> list[str]:
    return [str(problem) for problem in chain.verify(str(path), **options).problems]


def test_records_follow_each_other(ledger: Path) -> None:
    first, second, third = chain.read(str(ledger))
    assert (first["seq"], second["seq"], third["seq"]) == (1, 2, 3)
    assert first["prev"] == chain.GENESIS
    assert (second["prev"], third["prev"]) == (first["hash"], second["hash"])
    found = chain.verify(str(ledger))
    assert (found.problems, found.count, found.head) == ([], 3, third["hash"])
    assert ledger.stat().st_mode & 0o777 == 0o600


def test_the_hash_can_be_computed_by_other_means(ledger: Path) -> None:
    # For plain ASCII records without fractions, json.dumps with sorted keys is the canonical form.
    import hashlib

    record = json.loads(ledger.read_text().splitlines()[0])
    told = record.pop("hash")
    spelled = json.dumps(record, sort_keys=True, separators=(",", ":"))
    assert told == "sha256:" + hashlib.sha256(spelled.encode()).hexdigest()


def test_an_empty_ledger_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.touch()
    assert chain.verify(str(path)) == chain.Verification([], 0, chain.GENESIS)
    assert chain.append(str(path), []).records == []


def test_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        chain.verify(str(tmp_path / "none.jsonl"))


def test_a_changed_record_is_found(ledger: Path) -> None:
    edit(ledger, 1, result={"number": 9})
    assert problems(ledger) == ["line 2: does not match its hash: the record was changed"]


def test_a_changed_record_with_a_new_hash_is_found(ledger: Path) -> None:
    record = {**json.loads(ledger.read_text().splitlines()[1]), "result": {"number": 9}}
    edit(ledger, 1, result={"number": 9}, hash=chain.digest(record))
    assert len(problems(ledger)) == 1
    assert problems(ledger)[0].startswith("line 3: does not follow the record before it")


def test_a_removed_record_is_found(ledger: Path) -> None:
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text(lines[0] + lines[2])
    assert [text.split(" (")[0] for text in problems(ledger)] == [
        "line 2: has seq 3, expected 2",
        "line 2: does not follow the record before it",
    ]


def test_exchanged_and_repeated_records_are_found(ledger: Path) -> None:
    first, second, third = ledger.read_text().splitlines(keepends=True)
    ledger.write_text(first + third + second)
    assert problems(ledger)
    ledger.write_text(first + second + second + third)
    assert problems(ledger)


def test_records_cut_off_at_the_end_are_found_by_a_known_head(ledger: Path) -> None:
    head = chain.verify(str(ledger)).head
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(lines[:2]))
    assert problems(ledger) == []
    assert problems(ledger, expected_head=head) == [
        f"end: the chain does not hold {head}: records were removed or rewritten"
    ]


@pytest.mark.parametrize("position", range(0, 400, 37))
def test_one_changed_byte_anywhere_is_found(ledger: Path, position: int) -> None:
    data = bytearray(ledger.read_bytes())
    data[position] ^= 0x01
    ledger.write_bytes(bytes(data))
    assert problems(ledger)


def test_all_problems_are_told_not_the_first(ledger: Path) -> None:
    edit(ledger, 0, tenant="other")
    edit(ledger, 2, act="other")
    ledger.write_text(ledger.read_text() + "garbage\n" + '{"seq":true}\n')
    found = problems(ledger)
    assert {text.split(":")[0] for text in found} == {"line 1", "line 3", "line 4", "line 5"}
    assert sum("is missing" in text for text in found) == 9


def test_another_spelling_of_the_same_record_is_found(ledger: Path) -> None:
    lines = ledger.read_text().splitlines()
    lines[0] = lines[0].replace(":", ": ", 1)
    ledger.write_text("\n".join(lines) + "\n")
    assert problems(ledger) == ["line 1: is not in canonical form"]


def test_a_torn_last_line_is_put_aside_and_told(ledger: Path) -> None:
    whole = ledger.read_bytes()
    torn = b'{"act":"disk_pass","dig'
    ledger.write_bytes(whole + torn)
    assert any("is not ended" in text for text in problems(ledger))
    added = chain.append(str(ledger), [entry(3)])
    assert Path(added.torn).name.startswith("ledger.jsonl.torn-")
    assert Path(added.torn).read_bytes() == torn
    assert ledger.read_bytes().startswith(whole)
    assert chain.verify(str(ledger)).ok
    assert chain.verify(str(ledger)).count == 4


@pytest.mark.parametrize("cut", [1, 2, 100, 10_000])
def test_a_crash_at_any_byte_of_a_write_is_healed(ledger: Path, cut: int) -> None:
    before = ledger.read_bytes()
    chain.append(str(ledger), [chain.Entry("acme", "w", "act", result={"text": "x" * 20_000})])
    written = ledger.read_bytes()
    ledger.write_bytes(written[:-cut])
    added = chain.append(str(ledger), [entry(4)])
    found = chain.verify(str(ledger))
    assert found.ok
    if cut == 1:  # only the newline was missing: the record is whole and stays
        assert (added.torn, found.count) == ("", 5)
    else:
        assert Path(added.torn).read_bytes() == written[len(before) : -cut]
        assert found.count == 4


def test_a_ledger_that_is_only_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"{")
    assert chain.append(str(path), [entry()]).torn
    assert chain.verify(str(path)).count == 1


def test_nothing_is_appended_to_a_broken_chain(ledger: Path) -> None:
    edit(ledger, 2, act="other")
    before = ledger.read_bytes()
    with pytest.raises(Conflict, match="Nothing was appended"):
        chain.append(str(ledger), [entry()])
    assert ledger.read_bytes() == before


def test_an_entry_without_a_canonical_form_leaves_the_ledger_as_it_was(ledger: Path) -> None:
    before = ledger.read_bytes()
    with pytest.raises(InvalidInput):
        chain.append(str(ledger), [entry(), chain.Entry("acme", "w", "a", result={"rate": float("nan")})])
    assert ledger.read_bytes() == before


def test_a_full_disk_leaves_the_ledger_as_it_was(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ledger.read_bytes()
    write = os.write

    def short(descriptor: int, data: bytes) -> int:
        if os.fstat(descriptor).st_size > len(before):
            raise OSError(28, "No space left on device")
        return write(descriptor, bytes(data)[:10])

    monkeypatch.setattr(chain.os, "write", short)
    with pytest.raises(CloudExitError, match="No space left on device"):
        chain.append(str(ledger), [entry()])
    assert ledger.read_bytes() == before


def test_several_processes_append_to_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    program = (
        "import sys\n"
        f"from {chain.__name__} import append, Entry\n"
        "for number in range(25):\n"
        "    append(sys.argv[1], [Entry('acme', sys.argv[2], 'act', result={'number': number, 'pad': 'x' * 3000})])\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    workers = [subprocess.Popen([sys.executable, "-c", program, str(path), f"w{index}"], env=env) for index in range(4)]
    assert [worker.wait(timeout=60) for worker in workers] == [0] * 4
    found = chain.verify(str(path))
    assert (found.problems, found.count) == ([], 100)
    for index in range(4):  # each process's own records are all there and in their order
        mine = [record["result"]["number"] for record in chain.read(str(path)) if record["workload"] == f"w{index}"]
        assert mine == list(range(25))


def test_the_command(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = chain.verify(str(ledger)).head
    assert command.main([str(ledger), "--head", head]) == 0
    assert capsys.readouterr().out == f"{ledger}: sound, 3 records, head {head}\n"
    edit(ledger, 0, act="other")
    assert command.main([str(ledger)]) == 1
    assert "line 1: does not match its hash" in capsys.readouterr().out
    assert command.main([str(ledger), str(ledger) + ".none"]) == 2


def test_no_key_but_the_records_own_is_called_hash(ledger: Path) -> None:
    before = ledger.read_bytes()
    for place in ({"ids": {"hash": "x"}}, {"digests": {"hash": "x"}}, {"result": {"disks": [{"of": {'a"hash': 1}}]}}):
        with pytest.raises(InvalidInput, match="may not be called hash"):
            chain.append(str(ledger), [chain.Entry("acme", "web-1", "act", **place)])
    assert ledger.read_bytes() == before
    chain.append(str(ledger), [chain.Entry("acme", "web-1", "act", result={"text": '"hash":"sha256:00",'})])
