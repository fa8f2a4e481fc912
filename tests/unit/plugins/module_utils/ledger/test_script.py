# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""verify.sh: in another directory, with stock tools only, without anything of ours."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import certificate as act
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import (
    chain,
    heads,
    seal,
    signatures,
    timestamps,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.certificate import Terms
from tests.sealed import LEDGER, PURGED, People, TimeStamping, purge

TOOLS = ("sh", "sed", "awk", "sort", "cmp", "mkdir", "rm", "openssl", "ssh-keygen")


class Handed:
    """The evidence as somebody else gets it, in a directory of its own."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.folder, self.tools = folder, tools

    def verify(self, *arguments: str) -> tuple[int, str]:
        env = {"PATH": str(self.tools), "TMPDIR": str(self.folder.parent)}
        command = [str(self.tools / "sh"), "verify.sh", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def bad(self, *arguments: str) -> str:
        """What it says when something is wrong; it must not say that all is sound."""
        code, said = self.verify(*arguments)
        assert code == 1, said
        assert said.endswith("NOT SOUND\n")
        return "\n".join(line for line in said.splitlines() if line.startswith("BAD"))

    def edit(self, pattern: str, change: Callable[[bytes], bytes]) -> None:
        (path,) = self.folder.glob(pattern)
        before = path.read_bytes()
        after = change(before)
        assert after != before
        path.write_bytes(after)


def link_tools(folder: Path, busybox: bool) -> Path:
    """A folder with nothing but what the script may need."""
    folder.mkdir()
    for tool in TOOLS:
        path = shutil.which("busybox" if busybox and not tool.startswith(("openssl", "ssh")) else tool)
        assert path
        (folder / tool).symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def made(keys: People, authority: TimeStamping, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evidence of a purge, with a head, a certificate and time stamps; made once."""
    folder = tmp_path_factory.mktemp("made")
    for path in keys.folder.iterdir():
        shutil.copy(path, folder / path.name)
    people = People(folder)
    evidence = folder / "evidence"
    plan = purge(people, evidence)
    place = timestamps.Authority(authority.url, str(authority.ca))
    key = str(people.key(LEDGER))
    ledger = str(evidence / "ledger.jsonl")
    chain.append(
        ledger, [chain.Entry("acme", "é", "note", result={"text": '"hash":"sha256:00", }"\\', "long": "x" * 200_000})]
    )
    heads.publish(ledger, str(evidence / "heads"), key, signatures.read_signers(str(people.file)), PURGED, place)
    terms = Terms(executed_by="jean", verified_by="marie")
    act.erasure(act.Request(str(evidence), key, str(people.file), terms, PURGED, authority=place), str(plan))
    return evidence


@pytest.fixture
def handed(made: Path, tmp_path: Path) -> Handed:
    shutil.copytree(made, tmp_path / "handed over")
    return Handed(tmp_path / "handed over", link_tools(tmp_path / "tools", busybox=False))


def records(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def test_a_sound_set_passes(handed: Handed) -> None:
    code, said = handed.verify()
    assert code == 0, said
    assert said.endswith("\nSOUND\n")
    assert "BAD" not in said
    for words in (
        "chain: 14 records",
        "head 00000014.json: signed by ledger:controller-1 SHA256:",
        "head 00000014.json: time stamp of ",
        "head 00000014.json: the chain holds it",
        "plan acme.retirement.json: signed by customer:alice@acme.example SHA256:",
        "plan acme.retirement.json: 3 of 3 people signed it",
        "all of its 3 objects are absent, and no other was touched",
        ".json: signed by ledger:controller-1",
        ".fr.html: signed by ledger:controller-1",
        ".json: is of the plan acme.retirement.json",
    ):
        assert words in said, said
    assert [path.name for path in handed.folder.parent.glob("verify.*")] == []


@pytest.mark.skipif(shutil.which("busybox") is None, reason="no busybox")
def test_another_shell_and_awk_say_the_same(handed: Handed) -> None:
    mine = handed.verify()
    handed.tools = link_tools(handed.folder.parent / "others", busybox=True)
    assert handed.verify() == mine
    handed.edit("ledger.jsonl", lambda data: data.replace(b'"req-s-1"', b'"req-s-2"'))
    assert "line 5: does not match its hash" in handed.bad()


def test_an_edited_byte_is_found(handed: Handed) -> None:
    rng = random.Random(11)
    data = (handed.folder / "ledger.jsonl").read_bytes()
    for dummy in range(6):
        at = rng.randrange(len(data))
        (handed.folder / "ledger.jsonl").write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert "chain: " in handed.bad()


def test_a_dropped_record_is_found(handed: Handed) -> None:
    handed.edit("ledger.jsonl", lambda data: b"".join(records(data)[:4] + records(data)[5:]))
    said = handed.bad()
    assert "line 5: has number 6: a record was dropped or put in" in said
    assert "line 5: does not follow the record before it" in said


def test_a_truncated_tail_is_found(handed: Handed) -> None:
    handed.edit("ledger.jsonl", lambda data: b"".join(records(data)[:-1]))
    said = handed.bad()
    assert "head 00000014.json: the ledger ends before record 14: records were removed" in said
    assert "BAD  chain" not in said


def test_a_tail_cut_off_with_its_head_is_found_by_a_head_from_elsewhere(handed: Handed, tmp_path: Path) -> None:
    shutil.copytree(handed.folder / "heads", tmp_path / "letter")
    last = chain.read(str(handed.folder / "ledger.jsonl"))[-1]["hash"]
    handed.edit("ledger.jsonl", lambda data: b"".join(records(data)[:-1]))
    for path in (handed.folder / "heads").iterdir():
        path.unlink()
    assert "heads: none is here" in handed.bad()
    assert "the ledger ends before record 14" in handed.bad("-p", str(tmp_path / "letter"))
    assert f"chain: does not hold {last}" in handed.bad("-r", last)


def test_a_chain_written_anew_is_found(handed: Handed) -> None:
    ledger = handed.folder / "ledger.jsonl"
    kept = [record for record in chain.read(str(ledger)) if record["result"].get("request_id") != "req-v-1"]
    ledger.unlink()
    names = ("tenant", "workload", "act", "ids", "digests", "result", "time")
    chain.append(str(ledger), [chain.Entry(**{name: record[name] for name in names}) for record in kept])
    said = handed.bad()
    assert "BAD  chain" not in said
    assert "head 00000014.json: the ledger ends before record 14" in said
    assert "does not hold its record sha256:" in said


def test_a_forged_head_is_found(handed: Handed) -> None:
    handed.edit("heads/*.json", lambda data: data.replace(b'"seq":14', b'"seq":13'))
    said = handed.bad()
    assert "head 00000014.json: its signature is missing or not valid" in said
    assert "head 00000014.json: its time stamp is not valid" in said
    assert "record 13 is another one now" in said


def test_a_head_signed_by_somebody_else_is_found(handed: Handed, people: People) -> None:
    (path,) = handed.folder.glob("heads/*.json")
    for name, words in (
        ("customer:alice@acme.example", "not by a ledger: key"),
        ("x:stranger", "missing or not valid"),
    ):
        signature = signatures.sign(path.read_bytes(), str(people.key(name)), heads.NAMESPACE)
        path.with_name(f"{path.name}.sig").write_bytes(signature)
        assert words in handed.bad()


def test_an_edited_certificate_is_found(handed: Handed) -> None:
    handed.edit("certificates/*.json", lambda data: data.replace(b'"api_deletion"', b'"cryptographic_erase"'))
    said = handed.bad()
    assert ".json: its signature is missing or not valid" in said
    assert ".json: its time stamp is not valid" in said
    assert ".en.html: is not the page of" in said


def test_an_edited_page_is_found(handed: Handed) -> None:
    handed.edit("certificates/*.en.html", lambda data: data.replace(b"marie", b"luc"))
    assert ".en.html: its signature is missing or not valid" in handed.bad()


def test_an_edited_plan_is_found(handed: Handed) -> None:
    handed.edit("retirement/*.json", lambda data: data.replace(b'"needed":3', b'"needed":1'))
    said = handed.bad()
    assert "acme.retirement.json.alice.sig is not a valid signature of it" in said
    assert "0 of 1 people signed it" in said
    assert "nobody signed as customer" in said
    assert "objects were deleted by the plan sha256:" in said
    assert "its plan sha256:" in said


def test_a_missing_signature_and_other_signers_are_found(handed: Handed) -> None:
    (handed.folder / "retirement" / "acme.retirement.json.eve.sig").unlink()
    said = handed.bad()
    assert "2 of 3 people signed it" in said
    assert "nobody signed as security" in said
    handed.edit("retirement/allowed_signers", lambda data: data + b"\n")
    assert "its file of allowed signers is not the one that was sealed" in handed.bad()


def test_a_delete_outside_of_the_plan_and_one_that_is_not_absent_are_found(people: People, tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    plan = purge(people, evidence)
    target = evidence / "retirement"
    target.mkdir()
    for path in [people.file, *people.folder.glob("acme.retirement.json*")]:
        shutil.copy(path, target / path.name)
    shutil.copy(people.file, evidence / "allowed_signers")
    digest = {"plan": seal.digest(plan.read_bytes())}
    more = [("volumes/v-9", {"step": "delete"}), ("volumes/v-1", {"step": "delete"})]
    ledger = str(evidence / "ledger.jsonl")
    chain.append(ledger, [chain.Entry("acme", "", "purge_intent", {"object": k}, digest, r) for k, r in more])
    (evidence / "verify.sh").write_text(act.VERIFY)
    said = Handed(evidence, link_tools(tmp_path / "tools", busybox=False)).bad()
    assert "delete of volumes/v-9, which is not in the plan" in said
    assert "the ledger does not say that volumes/v-1 is absent" in said


def test_a_key_called_hash_within_a_record_is_found(handed: Handed) -> None:
    def nested(data: bytes) -> bytes:
        record = json.loads(records(data)[0])
        record["digests"] = {"hash": record["hash"]}
        return b"".join([chain.canonical.dumps(record) + b"\n", *records(data)[1:]])

    handed.edit("ledger.jsonl", nested)
    assert "line 1: has not one hash" in handed.bad()


def test_a_line_that_is_not_ended_is_found(handed: Handed) -> None:
    handed.edit("ledger.jsonl", lambda data: data[:-1])
    assert "the last line is not ended" in handed.bad()


def test_what_cannot_be_checked_is_told(handed: Handed) -> None:
    assert handed.verify("-s", "/none")[0] == 2
    assert "its time stamp cannot be checked" in handed.bad("-t", "/none")
    (handed.tools / "cmp").unlink()
    assert handed.verify() == (2, "cannot verify: cmp is missing\n")
    (handed.folder / "ledger.jsonl").unlink()
    assert handed.verify()[0] == 2


def test_it_is_plain_shell(tmp_path: Path) -> None:
    path = tmp_path / "verify.sh"
    path.write_text(act.VERIFY)
    subprocess.run(["sh", "-n", str(path)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "-s", "sh", "-S", "warning", str(path)], check=True)
    assert os.fsencode(act.VERIFY).isascii()
