# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published heads: what they find that the chain by itself does not, and time stamps of an authority."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import (
    chain,
    heads,
    signatures,
    timestamps,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    NotFound,
    Refused,
    Unreachable,
)
from tests.sealed import LEDGER, NAMES, People, TimeStamping

NOW = datetime(2026, 2, 2, tzinfo=timezone.utc)


class Book:
    def __init__(self, people: People) -> None:
        self.people = people
        self.path = people.folder / "evidence" / "ledger.jsonl"
        self.folder = people.folder / "evidence" / "heads"
        self.path.parent.mkdir()
        self.act(3)

    def act(self, count: int = 1, word: str = "act") -> None:
        chain.append(str(self.path), [chain.Entry("acme", "web-1", f"{word}-{n}", time="t") for n in range(count)])

    def publish(self, key: str = LEDGER, authority: timestamps.Authority | None = None) -> heads.Published:
        signers = signatures.read_signers(str(self.people.file))
        path = str(self.people.key(key))
        return heads.publish(str(self.path), str(self.folder), path, signers, NOW, authority)

    def problems(self, ca: str = "") -> list[str]:
        signers = signatures.read_signers(str(self.people.file))
        found = heads.check(chain.read(str(self.path)), [str(self.folder)], signers, ca)
        return [str(problem) for problem in found.problems]


@pytest.fixture
def book(people: People) -> Book:
    return Book(people)


def test_a_head_says_how_far_the_ledger_was(book: Book) -> None:
    made = book.publish()
    last = chain.read(str(book.path))[-1]
    assert (made.head.seq, made.head.hash, made.head.tenant) == (3, last["hash"], "acme")
    assert sorted(made.new) == ["00000003.json", "00000003.json.sig"]
    assert (book.folder / "00000003.json").read_bytes() == made.head.encode()
    assert book.publish().new == {}
    book.act()
    assert sorted(book.publish().new) == ["00000004.json", "00000004.json.sig"]
    assert book.problems() == []


def test_a_truncated_tail_is_found_and_nothing_is_signed_over_it(book: Book) -> None:
    book.publish()
    book.path.write_bytes(b"".join(book.path.read_bytes().splitlines(keepends=True)[:2]))
    assert chain.verify(str(book.path)).ok
    assert ["the ledger ends before record 3" in one for one in book.problems()] == [True]
    with pytest.raises(Refused, match="records were removed"):
        book.publish()


def test_a_ledger_written_anew_is_found(book: Book) -> None:
    book.publish()
    first, *dummy = book.path.read_bytes().splitlines(keepends=True)
    book.path.write_bytes(first)
    book.act(2, "other")
    assert chain.verify(str(book.path)).ok
    assert ["record 3 is another one now" in one for one in book.problems()] == [True]
    book.path.unlink()
    book.act(3, "other")
    assert ["is of another ledger" in one for one in book.problems()] == [True]


def test_a_forged_head_is_found(book: Book) -> None:
    book.publish()
    path = book.folder / "00000003.json"
    told = path.read_text()
    path.write_text(told.replace("2026-02-02", "2026-02-03"))
    assert ["its signature is not valid" in one for one in book.problems()] == [True]
    path.write_text(json.dumps(json.loads(told)))
    assert ["not in canonical form" in one for one in book.problems()] == [True]
    path.write_text("{}")
    assert "is no head" in book.problems()[0]
    path.write_text(told)
    path.with_name("00000003.json.sig").unlink()
    assert ["is not signed" in one for one in book.problems()] == [True]


def test_only_a_key_of_the_ledger_publishes(book: Book) -> None:
    with pytest.raises(Refused, match="may not sign for the ledger"):
        book.publish(NAMES[0])
    with pytest.raises(Refused, match="not among the allowed signers"):
        book.publish("ledger:stranger")
    assert not book.folder.exists()
    book.publish()
    text = (book.folder / "00000003.json").read_bytes()
    signature = signatures.sign(text, str(book.people.key(NAMES[0])), heads.NAMESPACE)
    (book.folder / "00000003.json.sig").write_bytes(signature)
    assert ["is signed by customer:alice@acme.example, not by ledger:" in one for one in book.problems()] == [True]


def test_a_crash_between_signature_and_statement(book: Book) -> None:
    made = book.publish()
    (book.folder / "00000003.json").unlink()
    later = heads.publish(
        str(book.path),
        str(book.folder),
        str(book.people.key(LEDGER)),
        signatures.read_signers(str(book.people.file)),
        NOW + timedelta(days=1),
    )
    assert later.head.time != made.head.time
    assert book.problems() == []


def test_an_empty_or_broken_ledger_has_no_head(book: Book) -> None:
    book.path.write_bytes(book.path.read_bytes().replace(b"act-0", b"act-9"))
    with pytest.raises(Refused, match="does not match its hash"):
        book.publish()
    book.path.write_bytes(b"")
    with pytest.raises(Refused, match="it is empty"):
        book.publish()
    with pytest.raises(NotFound):
        book.problems()


def test_a_time_stamp_is_asked_for_once_and_checked(book: Book, authority: TimeStamping) -> None:
    place = timestamps.Authority(authority.url, str(authority.ca))
    book.publish()
    assert sorted(book.publish(authority=place).new) == ["00000003.json.tsr"]
    asked = authority.asked
    assert book.publish(authority=place).new == {}
    assert authority.asked == asked
    assert book.problems(str(authority.ca)) == []
    token = book.folder / "00000003.json.tsr"
    assert "GMT" in timestamps.told(token.read_bytes())
    book.act()
    book.publish(authority=place)
    token.write_bytes((book.folder / "00000004.json.tsr").read_bytes())
    assert ["its time stamp is not valid" in one for one in book.problems(str(authority.ca))] == [True]


def test_an_authority_that_does_not_answer_well(book: Book, authority: TimeStamping, people: People) -> None:
    place = timestamps.Authority(authority.url, str(authority.ca))
    authority.answer = b"nonsense"
    try:
        with pytest.raises(Refused, match="is not valid"):
            book.publish(authority=place)
    finally:
        authority.answer = None
    with pytest.raises(Refused, match="is not valid"):
        book.publish(authority=timestamps.Authority(authority.url, str(authority.folder / "ts.pem")))
    with pytest.raises(CloudExitError, match="Could not read the certificates"):
        book.publish(authority=timestamps.Authority(authority.url, "/none"))
    with pytest.raises(Unreachable):
        book.publish(authority=timestamps.Authority("http://127.0.0.1:1/", str(authority.ca)))
    assert not book.folder.exists()
