# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates: what they say, what refuses them, and that no word claims more than was done."""

from __future__ import annotations

import html
import os
import random
import re
import subprocess
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import certificate as act
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import certificate as build
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain, journal, seal
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import certificate as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    InvalidInput,
    NotFound,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import certificate as report
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import words
from tests.conftest import ROOT
from tests.sealed import LEDGER, NAMES, PURGED, People, plan, purge, reference
from tests.unit.plugins.module_utils.acts import retire_model as rm
from tests.unit.plugins.module_utils.acts.test_retire import Desk, left

NOW = datetime(2026, 4, 1, tzinfo=timezone.utc)
TERMS = model.Terms(
    contract="C-1",
    controller="Acme SA",
    processor="Orange",
    basis="GDPR art. 28(3)(g)",
    choice="delete",
    executed_by="jean",
    verified_by="marie",
    notice_sent="2026-01-02",
)


class Purged:
    def __init__(self, people: People, **changed: Any) -> None:
        self.people = people
        self.evidence = people.folder / "evidence"
        self.plan = purge(people, self.evidence, **changed)
        self.digest = seal.digest(self.plan.read_bytes())

    def record(self, name: str, key: str = "", /, **result: Any) -> None:
        ids = {"object": key, "run": "run-1"} if key else {"run": "run-1"}
        chain.append(
            str(self.evidence / "ledger.jsonl"), [chain.Entry("acme", "", name, ids, {"plan": self.digest}, result)]
        )

    def request(self, **changed: Any) -> act.Request:
        known = act.Request(str(self.evidence), str(self.people.key(LEDGER)), str(self.people.file), TERMS, NOW)
        return replace(known, **changed)

    def issue(self, left: tuple[str, ...] = (), **changed: Any) -> act.Issued:
        return act.erasure(self.request(**changed), str(self.plan), left)

    def refused(self, left: tuple[str, ...] = (), **changed: Any) -> str:
        with pytest.raises(Refused) as caught:
            self.issue(left, **changed)
        assert not (self.evidence / "certificates").exists()
        return str(caught.value)


@pytest.fixture
def purged(people: People) -> Purged:
    return Purged(people)


def test_what_an_erasure_certifies(purged: Purged) -> None:
    found = purged.issue().certificate
    assert [(one.kind, one.id, one.method, one.calls, one.requests) for one in found.assets] == [
        ("servers", "s-1", "api_deletion", ["delete"], ["req-s-1"]),
        ("volumes", "v-1", "api_deletion", ["delete"], ["req-v-1"]),
        ("containers", 'a "1" é', "api_deletion", ["delete"], ['req-a "1" é']),
    ]
    assert found.assets[1].verified == "get and list"
    assert [(one.kind, one.count, one.size_gib) for one in found.totals] == [
        ("containers", 1, 0.0),
        ("servers", 1, 0.0),
        ("volumes", 1, 40.0),
    ]
    assert [one.reason for one in found.kept] == ["held"]
    assert [(one.name, one.evidence) for one in found.gates] == [
        ("accepted", {"read": "accepted"}),
        ("timers", {"read": "timers"}),
    ]
    assert [one.role for one in found.approvals] == ["customer", "operations", "security"]
    assert found.plan is not None and found.plan.digest == purged.digest
    records = chain.read(str(purged.evidence / "ledger.jsonl"))
    assert (found.chain.head, found.chain.records) == (records[-1]["hash"], len(records))
    assert found.started < found.ended < found.issued == "2026-04-01T00:00:00Z"
    assert set(found.statements) == {"en", "fr"}


def test_the_same_ledger_gives_the_same_files(purged: Purged) -> None:
    first = purged.issue()
    assert set(first.new) == set(first.files)
    again = purged.issue(now=NOW + timedelta(days=3))
    assert again.new == {}
    assert again.certificate == first.certificate
    page = Path(first.path).with_suffix(".en.html")
    page.write_text(page.read_text() + " ")
    assert list(purged.issue().new) == [str(page.relative_to(purged.evidence))]
    other = purged.issue(terms=replace(TERMS, contract="C-2"))
    assert other.path != first.path


def test_a_dry_run_writes_nothing(purged: Purged) -> None:
    found = act.erasure(purged.request(), str(purged.plan), dry_run=True)
    assert set(found.new) == set(found.files)
    assert not (purged.evidence / "certificates").exists()


def test_what_is_left_or_open_refuses_it(purged: Purged) -> None:
    assert "volumes/v-7 is left" in purged.refused(("volumes/v-7",))
    purged.record("purge_intent", "servers/s-1", step="delete", last=True)
    told = purged.refused()
    assert "the outcome of purge delete of servers/s-1 is open (record 14)" in told
    assert "servers/s-1 is left" in told
    purged.record("purge_outcome", "servers/s-1", step="delete", outcome="unknown")
    assert "is open" in purged.refused()
    purged.record("purge_outcome", "servers/s-1", step="read", outcome="absent")
    purged.record("quarantine_intent", "volumes/v-9", step="lock", before=False, after=True)
    assert "the outcome of quarantine lock of volumes/v-9 is open" in purged.refused()
    purged.record("quarantine_outcome", "volumes/v-9", step="lock", outcome="done")
    assert purged.issue().certificate.assets[0].record == 16


def test_what_came_back_refuses_it(purged: Purged) -> None:
    purged.record("purge_outcome", "volumes/v-1", step="read_back", outcome="failed")
    assert "volumes/v-1 is left" in purged.refused()


def test_a_closed_gate_refuses_it(purged: Purged) -> None:
    purged.record("gate", name="hold", open=False, why="case 12")
    assert "the gate hold was closed: case 12" in purged.refused()


def test_an_unsound_ledger_refuses_it(purged: Purged) -> None:
    path = purged.evidence / "ledger.jsonl"
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"req-s-1"', b'"req-s-9"'))
    assert "does not match its hash" in purged.refused()
    path.write_bytes(data)
    (purged.evidence / "heads").mkdir()
    (purged.evidence / "heads" / "00000001.json").write_text("{}")
    assert "is no head" in purged.refused()


def test_who_executed_is_not_who_verified_or_approved(purged: Purged) -> None:
    assert "must both be named" in purged.refused(terms=model.Terms(executed_by="jean"))
    assert "Jean executed it" in purged.refused(terms=replace(TERMS, executed_by="Jean", verified_by="jean"))
    told = purged.refused(terms=replace(TERMS, executed_by="alice@acme.example"))
    assert "customer:alice@acme.example signed and executes it" in told


def test_the_seal_is_checked_as_of_the_first_delete(people: People) -> None:
    purged = Purged(people, expires=(PURGED + timedelta(minutes=5)).isoformat())
    assert purged.issue().certificate.assets
    late = Purged(replace_folder(people, "late"), expires=(PURGED - timedelta(minutes=5)).isoformat())
    assert "it expired at" in late.refused()


def replace_folder(people: People, name: str) -> People:
    """The same people with another place for their plan."""
    folder = people.folder / name
    folder.mkdir()
    for path in people.folder.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
            (folder / path.name).chmod(0o600)
    return People(folder)


def test_a_plan_that_nothing_was_deleted_by(purged: Purged) -> None:
    other = purged.plan.with_name("other.retirement.json")
    other.write_bytes(plan(purged.people, expires="2026-03-02T00:00:00Z").encode())
    with pytest.raises(Refused, match="no delete by the plan"):
        act.erasure(purged.request(), str(other))
    with pytest.raises(NotFound, match="There is no retirement plan"):
        act.erasure(purged.request(), str(other) + "x")


def encrypted(people: People, keys_too: bool) -> list[retirement.Item]:
    seen = {"encrypted": True, "metadata": {"__system__cmkid": "k-1", "__system__encrypted": "1"}}
    items = [
        retirement.Item(ref=reference("volumes", "v-1", 40), stage="volumes", choice="erased", seen=seen),
        retirement.Item(ref=reference("volumes", "v-2", 10), stage="volumes", choice="erased"),
    ]
    key = retirement.Item(ref=reference("keys", "k-1"), stage="keys", choice="residue")
    return [*items, key] if keys_too else items


@pytest.mark.parametrize("keys_too", [True, False])
def test_cryptographic_erase_only_where_the_key_is_gone(people: People, keys_too: bool) -> None:
    found = Purged(people, items=encrypted(people, keys_too)).issue().certificate
    methods = {one.id: one.method for one in found.assets}
    assert methods["v-1"] == ("cryptographic_erase" if keys_too else "api_deletion")
    assert methods["v-2"] == "api_deletion"
    told = " ".join(found.statements["en"])
    assert ("Cryptographic erase:" in told) is keys_too
    assert "Logical deletion by API:" in told


def pages(issued: act.Issued) -> dict[str, str]:
    found = {name: data.decode() for name, data in issued.files.items() if name.startswith("certificates/")}
    return {name: text for name, text in found.items() if name.endswith((".html", ".json"))}


def test_no_word_claims_more_than_a_deletion(purged: Purged) -> None:
    found = pages(purged.issue())
    assert len(found) == 3
    for name, text in found.items():
        told = html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", text, flags=re.DOTALL))
        assert model.CLAIMS.findall(told) == [], name
    said = [text for pair in build.TEXTS.values() for text in pair]
    assert [text for text in said if model.CLAIMS.search(text)] == []


@pytest.mark.parametrize(
    "claim",
    [
        "data were purged",
        "media sanitised",
        "sanitization done",
        "wiped",
        "destroyed",
        "permanently erased",
        "effacé définitivement",
        "données détruites",
        "effacement irréversible",
        "purgées",
    ],
)
def test_a_word_of_people_that_claims_more_refuses_it(purged: Purged, claim: str) -> None:
    assert "which a deletion by API does not show" in purged.refused(terms=replace(TERMS, backups=claim))
    quoted = purged.issue(terms=replace(TERMS, media=claim)).files
    assert any(claim.encode() in data for name, data in quoted.items() if name.endswith(".en.html"))


def test_honest_words_are_not_refused() -> None:
    for text in (
        "purge",
        "Wipro",
        "logical deletion by API",
        "suppression logique",
        "définition",
        "cryptographic erase",
    ):
        assert model.CLAIMS.search(text) is None, text


# ---- migration ----


def moved(people: People, *disks: dict[str, Any], fenced: bool = True, check: bool = True) -> Path:
    evidence = people.folder / "evidence"
    evidence.mkdir(exist_ok=True)
    entries = [
        chain.Entry("acme", "web-1", "disk_pass", result={"disks": list(disks), "vm_ref": "vm-42"}),
        chain.Entry("acme", "web-1", "workload_check", result={"checks": [{"name": "http", "ok": check}]}),
        chain.Entry("acme", "web-1", "source_fence", result={"fenced": fenced}),
        chain.Entry("acme", "db-1", "disk_pass", result={"disks": []}),
    ]
    chain.append(str(evidence / "ledger.jsonl"), entries)
    return evidence


FULL = {
    "label": "Hard disk 1",
    "volume": "v-1",
    "bytes": 40 << 30,
    "manifest_source": "blake3:" + "1" * 64,
    "manifest_target": "blake3:" + "1" * 64,
    "equal": True,
}
SAMPLED = {**FULL, "manifest_target": "", "equal": False, "proof": "sampled", "sample": {"read": 8, "chunks": 64}}
HOME = retirement.Tenant(name="acme", project_id="p-1")


def migration(evidence: Path, terms: model.Terms = TERMS) -> model.Certificate:
    path = str(evidence / "ledger.jsonl")
    found = build.Evidence("acme", chain.read(path), [str(one) for one in chain.verify(path).problems])
    facts = {"web-1": {"source": {"name": "web <1>", "id": "s-1"}, "target": {"org": "acme", "vdc": "prod"}}}
    return build.migration(found, HOME, facts, terms, NOW)


def test_what_a_migration_certifies(people: People) -> None:
    found = migration(moved(people, FULL))
    (one,) = found.moved
    assert (one.source, one.target, one.place, one.checks) == ("s-1", "vm-42", "acme / prod", ["http"])
    assert [(disk.proof, disk.volume) for disk in one.disks] == [("full", "v-1")]
    assert found.others == {"db-1": "its source was not fenced"}
    assert "Every disk was read back whole" in found.statements["en"][1]


def test_a_sampled_disk_is_told_as_that(people: People) -> None:
    found = migration(moved(people, FULL, SAMPLED))
    assert [(disk.proof, disk.compared) for disk in found.moved[0].disks] == [("full", ""), ("sampled", "8/64")]
    for language, sampled in (("en", "sampled 8/64"), ("fr", "échantillonné 8/64")):
        assert "sampled" in found.statements["en"][1] and "échantillonnés" in found.statements["fr"][1]
        page = report.render(found, words.LANGUAGES[language == "fr"], file="x.json", digest="sha256:0")
        assert sampled in page
        assert "read back whole" not in page and "relu en entier" not in page


@pytest.mark.parametrize(
    ("disks", "check", "words_"),
    [
        ([{**FULL, "equal": False}], True, "the Hard disk 1 is not proven"),
        ([{**FULL, "manifest_target": "blake3:2"}], True, "the Hard disk 1 is not proven"),
        ([{**SAMPLED, "sample": None}], True, "the Hard disk 1 is not proven"),
        ([], True, "no proof of its disks"),
        ([FULL], False, "the check http did not pass"),
    ],
)
def test_what_is_not_proven_is_not_certified(
    people: People, disks: list[dict[str, Any]], check: bool, words_: str
) -> None:
    with pytest.raises(Refused, match=re.escape(words_)):
        migration(moved(people, *disks, check=check))


def test_a_workload_that_was_rolled_back_is_not_certified(people: People) -> None:
    with pytest.raises(Refused, match="no workload that was moved"):
        migration(moved(people, FULL, fenced=False))
    with pytest.raises(Refused, match="which a deletion by API does not show"):
        migration(moved(people, FULL), replace(TERMS, contract="data destroyed"))


# ---- pages ----


def test_the_page_shows_hostile_names_as_text_and_is_the_same_again(purged: Purged) -> None:
    issued = purged.issue()
    page = pages(issued)[f"certificates/{issued.certificate.id}.en.html"]
    assert "web &lt;1&gt;" in page and "web <1>" not in page
    assert "<script" not in page and "http://" not in page and "https://" not in page
    assert seal.digest(Path(issued.path).read_bytes()) in page
    for language in words.LANGUAGES:
        name = f"certificates/{issued.certificate.id}"
        again = report.render(
            issued.certificate,
            language,
            file=f"{issued.certificate.id}.json",
            digest=seal.digest(issued.files[f"{name}.json"]),
        )
        assert again.encode() == issued.files[f"{name}.{language}.html"]


def test_a_certificate_is_read_back_as_it_was(purged: Purged) -> None:
    issued = purged.issue()
    assert model.load(chain.canonical.loads(Path(issued.path).read_bytes())) == issued.certificate
    with pytest.raises(InvalidInput, match="is this a certificate"):
        model.load({"kind": "x"})


def test_the_manual_has_every_key() -> None:
    manual = (ROOT / "docs" / "certificates.md").read_text()
    missing = [path for path, *_rest in schema.describe(model.Certificate) if f"| `{path}` |" not in manual]
    assert missing == []


@pytest.mark.parametrize("seed", range(3))
def test_what_the_executor_leaves_is_certified_only_when_all_is_gone(
    seed: int, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quarantine, undo and purge against a cloud that fails, run after run; certified once nothing is left."""
    model = rm.Model(seed, rm.Odds(fails=0.1, stale=0.05, slow=0.1))
    made = rm.plan_of(model, rm.estate(model, random.Random(seed)))
    model.plan = replace(made, approvals=people.approvals())
    evidence = people.folder / "evidence"
    evidence.mkdir()
    path = people.folder / "acme.retirement.json"
    path.write_bytes(model.plan.encode())
    for name, signature in people.sign(path.read_bytes(), *NAMES).items():
        path.with_name(f"{path.name}.{name}.sig").write_bytes(signature)

    class Named(Desk):
        def journal(self) -> journal.Journal:
            assert model.plan is not None
            self.runs += 1
            clock = model.local
            return journal.Journal(self.path, "acme", model.plan.digest(), f"run-{self.runs}", clock=clock)

    def write() -> None:
        """The ledger in memory as a file."""
        names = ("tenant", "act", "ids", "digests", "result", "time")
        told = [chain.Entry(workload="", **{name: record[name] for name in names}) for record in model.memory.records]
        (evidence / "ledger.jsonl").unlink(missing_ok=True)
        chain.append(str(evidence / "ledger.jsonl"), told)

    desk = Named(model, people.folder, monkeypatch)
    request = act.Request(str(evidence), str(people.key(LEDGER)), str(people.file), TERMS, NOW)
    for number, one in enumerate(["quarantine", "undo", "quarantine", *["purge"] * 60]):
        if number > 40:
            model.calm()
        desk.run(one)
        if not left(model):
            break
        if number % 4 == 3:
            write()
            with pytest.raises(Refused):
                act.erasure(request, str(path), dry_run=True)
    assert desk.run("purge").stopped is None
    write()
    assert left(model) == []
    found = act.erasure(request, str(path)).certificate
    assert {(asset.kind, asset.id) for asset in found.assets} == set(model.planned)
    env = {**os.environ, "PWD": str(evidence)}
    done = subprocess.run(["sh", "verify.sh"], cwd=evidence, env=env, capture_output=True, text=True, check=False)
    assert [line for line in done.stdout.splitlines() if line.startswith("BAD")] == [
        "BAD  heads: none is here: that nothing was cut off at the end cannot be shown"
    ]
