# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has signed a retirement plan, and all that makes it not sealed; with the stock ssh-keygen."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import seal, signatures
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    InvalidInput,
    NotFound,
    Refused,
)
from tests.sealed import LEDGER, NAMES, People, plan, sealed

NOW = datetime(2026, 2, 1, 12, tzinfo=timezone.utc)
ALICE, BOB, EVE = NAMES


@dataclass
class Case:
    people: People
    data: bytes = b""
    signed: dict[str, bytes] = field(default_factory=dict)
    approvals: retirement.Approvals | None = None
    now: datetime = NOW
    planner: tuple[str, ...] = ("u-planner", "jean")
    executor: tuple[str, ...] = ("u-purge",)

    def __post_init__(self) -> None:
        self.data = self.data or sealed(self.people)
        self.signed = self.signed or self.people.sign(self.data, *NAMES)

    def check(self) -> seal.Sealed:
        approvals = self.approvals or self.people.approvals()
        return seal.check(
            self.data, self.signed, str(self.people.file), approvals, self.now, self.planner, self.executor
        )

    def refused(self) -> str:
        with pytest.raises(Refused) as caught:
            self.check()
        return str(caught.value)


def test_three_people_seal_a_plan(people: People) -> None:
    case = Case(people)
    found = case.check()
    assert [(one.role, one.person) for one in found.people] == [
        ("customer", "alice@acme.example"),
        ("operations", "bob@orange.example"),
        ("security", "eve@orange.example"),
    ]
    listed = subprocess.run(["ssh-keygen", "-lf", str(people.key(ALICE))], capture_output=True, text=True, check=True)
    assert found.people[0].fingerprint == listed.stdout.split()[1]
    (people.folder / "plan").write_bytes(case.data)
    summed = subprocess.run(["sha256sum", "plan"], cwd=people.folder, capture_output=True, text=True, check=True)
    assert found.digest == f"sha256:{summed.stdout.split()[0]}"
    assert found.plan == plan(people)
    assert found.digest == found.plan.digest()


def test_any_edited_byte_breaks_the_seal(people: People) -> None:
    case = Case(people)
    rng = random.Random(5)
    for dummy in range(12):
        at = rng.randrange(len(case.data))
        edited = case.data[:at] + bytes([case.data[at] ^ (1 << rng.randrange(7))]) + case.data[at + 1 :]
        told = Case(people, edited, case.signed).refused()
        assert "The retirement plan is not sealed" in told


def test_an_edited_number_is_told_for_each_signature(people: People) -> None:
    case = Case(people)
    told = Case(people, case.data.replace(b'"needed":3', b'"needed":2'), case.signed).refused()
    assert told.count("Could not verify signature") + told.count("ncorrect signature") >= 3, told
    assert "0 of 3 people have signed" in told


def test_bytes_that_are_not_canonical_are_refused_even_when_signed(people: People) -> None:
    data = json.dumps(json.loads(sealed(people)), indent=2).encode()
    assert "not in canonical form" in Case(people, data).refused()
    assert "not in canonical form" in Case(people, sealed(people)[:-1]).refused()
    doubled = sealed(people).replace(b'"kind":"cloudexit.retirement"', b'"kind":"x","kind":"cloudexit.retirement"')
    assert "not in canonical form" in Case(people, doubled).refused()
    assert "not JSON" in Case(people, b"{").refused()


def test_a_missing_signature_and_a_missing_role(people: People) -> None:
    data = sealed(people)
    told = Case(people, data, people.sign(data, ALICE, BOB)).refused()
    assert "2 of 3 people have signed" in told
    assert "nobody has signed as security" in told
    two = people.approvals(needed=2, roles=["customer"])
    assert len(Case(people, data, people.sign(data, ALICE, BOB), approvals=two).check().people) == 2
    assert "no signature is asked for" in Case(people, data, approvals=people.approvals(needed=0, roles=[])).refused()


def test_the_same_person_twice_counts_once(people: People) -> None:
    again = "operations:ALICE@acme.example"
    shutil.copy(people.key(BOB), people.folder / "ALICE")
    shutil.copy(people.key(BOB).with_suffix(".pub"), people.folder / "ALICE.pub")
    people.allow((ALICE, ""), (again, ""), (EVE, ""))
    data = sealed(people)
    told = Case(people, data, people.sign(data, ALICE, again, EVE)).refused()
    assert "has signed already" in told
    assert "2 of 3 people have signed" in told


def test_the_same_key_twice_counts_once(people: People) -> None:
    data = sealed(people)
    signed = people.sign(data, ALICE, BOB)
    told = Case(people, data, {**signed, "eve": signed["bob"]}).refused()
    assert "the signature eve: the key of bob has signed already" in told


def test_a_signature_for_something_else_is_none(people: People) -> None:
    data = sealed(people)
    signed = people.sign(data, ALICE, BOB) | people.sign(data, EVE, namespace="file")
    assert "the signature eve: was made for file, not for cloudexit-retirement" in Case(people, data, signed).refused()


@pytest.mark.parametrize("junk", [b"", b"yes", b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"])
def test_what_is_no_signature(people: People, junk: bytes) -> None:
    case = Case(people)
    case.signed["eve"] = junk
    assert "the signature eve:" in case.refused()


def test_a_key_that_nobody_allowed(people: People, tmp_path: Path) -> None:
    data = sealed(people)
    stranger = people.sign(data, "customer:mallory@acme.example")
    told = Case(people, data, {**people.sign(data, *NAMES), **stranger}).refused()
    assert "the signature mallory: its key SHA256:" in told


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ('valid-before="20260131"', "expired"),
        ('valid-after="20260301"', "not yet valid"),
        ('namespaces="git"', "eve"),
    ],
)
def test_a_key_outside_its_time_or_purpose(people: People, options: str, words: str) -> None:
    people.allow((ALICE, ""), (BOB, ""), (EVE, options))
    told = Case(people).refused()
    assert words in told
    assert "2 of 3 people have signed" in told


def test_a_key_within_its_time_and_purpose(people: People) -> None:
    options = 'namespaces="cloudexit-retirement",valid-after="20260101",valid-before="20260301"'
    people.allow((ALICE, options), (BOB, ""), (EVE, ""))
    case = Case(people)
    assert len(case.check().people) == 3
    late = Case(people, case.data, case.signed, now=datetime(2026, 3, 2, tzinfo=timezone.utc)).refused()
    assert "it expired at 2026-03-01T00:00:00Z" in late


def test_a_plan_from_the_future_or_without_an_end(people: People) -> None:
    early = Case(people, now=datetime(2025, 12, 31, tzinfo=timezone.utc)).refused()
    assert "it was made at 2026-01-01T00:00:00Z, which is in the future" in early
    assert "no moment in UTC" in Case(people, sealed(people, expires="")).refused()


def test_who_plans_or_executes_does_not_sign(people: People) -> None:
    people.allow((f"{ALICE},user:u-planner", ""), (BOB, ""), (EVE, ""))
    told = Case(people, executor=("u-purge", "Bob@Orange.example")).refused()
    assert "customer:alice@acme.example signed and made the plan" in told
    assert "operations:bob@orange.example signed and executes it" in told
    assert "jean made the plan and executes it" in Case(people, executor=("u-purge", "JEAN")).refused()
    assert "it is not known who executes it" in Case(people, executor=("",)).refused()


def test_another_file_of_signers_is_refused(people: People) -> None:
    approvals = people.approvals()
    case = Case(people)
    people.allow(*((name, "") for name in NAMES))
    case.approvals = approvals
    assert "is not the one that the plan names" in case.refused()
    people.file.unlink()
    with pytest.raises(NotFound):
        case.check()


def test_every_problem_is_told_at_once(people: People) -> None:
    data = sealed(people)
    told = Case(people, data, {"alice": b"no"}, now=datetime(2026, 5, 1, tzinfo=timezone.utc), planner=()).refused()
    for words in ("expired at", "the signature alice", "0 of 3", "nobody has signed as customer", "who made the plan"):
        assert words in told


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("* ssh-ed25519 AAAA", "is not `<role>:<person>`"),
        ("customer:*@acme.example ssh-ed25519 AAAA", "is not `<role>:<person>`"),
        ("alice@acme.example ssh-ed25519 AAAA", "is not `<role>:<person>`"),
        ("customer:alice,!customer:bob ssh-ed25519 AAAA", "is not `<role>:<person>`"),
        ("customer:alice cert-authority ssh-ed25519 AAAA", "cert-authority is not taken"),
        ("customer:alice ssh-ed25519", "is not `<role>:<person> [options]"),
        ("customer:alice ssh-ed25519 A!A", "not base64"),
        ("customer:alice ssh-ed25519 AAAA\ncustomer:bob ssh-ed25519 AAAA", "has the key of customer:alice"),
        ("# nobody", "names nobody"),
    ],
)
def test_a_file_of_signers_that_leaves_doubt(line: str, words: str) -> None:
    with pytest.raises(InvalidInput, match="allowed_signers is not valid") as caught:
        signatures.parse_signers(line.encode())
    assert words in str(caught.value)


def test_signing_from_the_agent_and_what_cannot_sign(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(CloudExitError, match="Could not sign with"):
        signatures.sign(b"x", str(people.folder / "none"), "file")
    locked = people.folder / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "a secret", "-f", str(locked)], check=True)
    with pytest.raises(CloudExitError, match="Could not sign with"):
        signatures.sign(b"x", str(locked), "file")
    started = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    told = dict(
        part.split("=", 1) for part in started.replace("\n", "").split(";") if "=" in part and "echo" not in part
    )
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", told["SSH_AUTH_SOCK"])
        subprocess.run(["ssh-add", "-q", str(people.key(LEDGER))], check=True)
        private = people.key(LEDGER)
        private.unlink()
        made = signatures.sign(b"x", str(private.with_suffix(".pub")), "file")
        assert signatures.verify(b"x", made, signatures.read_signers(str(people.file)), "file", NOW)[0] is not None
        assert signatures.verify(b"y", made, signatures.read_signers(str(people.file)), "file", NOW)[0] is None
    finally:
        subprocess.run(["kill", told["SSH_AGENT_PID"]], check=True)


def test_the_signatures_beside_a_plan(people: People, tmp_path: Path) -> None:
    path = tmp_path / "[x].json"
    for name in ("[x].json.alice.sig", "[x].json.bob.sig", "x.json.eve.sig", "[x].json.sig"):
        (tmp_path / name).write_text(name)
    assert seal.signatures_of(str(path)) == {"alice": b"[x].json.alice.sig", "bob": b"[x].json.bob.sig"}
