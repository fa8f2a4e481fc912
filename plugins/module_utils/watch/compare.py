# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tenant loses, compared with what its ledger intends. Plain files and plain data; no code of the executor.

The ledger is one canonical JSON record a line; `hash` is the SHA-256 of the line without its `hash` member, `prev` the
hash of the line before (docs/evidence.md). An intent is a record of act `purge_intent` with `result.last` true: its
object, and all of `result.takes`, may be gone from then on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

GENESIS = "sha256:" + "0" * 64
_HASH = re.compile(rb'"hash":"(sha256:[0-9a-f]{64})",')


class Difference(Exception):
    """What is not as it should be, in words; the reason to stop."""


@dataclass(frozen=True)
class Plan:
    """What the watcher needs of a retirement plan: keys are `kind/id`."""

    tenant: str
    head: str
    doomed: frozenset[str]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Chain:
    """A ledger that was read and found sound: the hash of each record in order, keys that may be gone."""

    hashes: tuple[str, ...] = ()
    intended: frozenset[str] = frozenset()


@dataclass
class Watch:
    """What was there and what was recorded when it was last looked at."""

    plan: Plan
    there: set[str] | None = None
    chain: Chain = field(default_factory=Chain)

    def look(self, present: Mapping[str, Collection[str]], ledger: bytes) -> None:
        """Compare. `present`: ids by kind, read before `ledger` was: an intent is always older than its effect.

        Raises Difference by the first thing that is not as it should be.
        """
        chain = read_chain(ledger, self.plan.tenant)
        _grown(self.chain, chain)
        if self.plan.head not in ("", GENESIS) and self.plan.head not in chain.hashes:
            raise Difference(f"the ledger does not hold {self.plan.head}, which the plan was made with")
        now = {f"{kind}/{one}" for kind, ids in present.items() for one in ids}
        before = self.there if self.there is not None else {key for key in self.plan.doomed if _kind(key) in present}
        for key in sorted(before - now):
            if key not in self.plan.doomed:
                raise Difference(f"{key} is gone, and is not in the plan")
            if key not in chain.intended:
                raise Difference(f"{key} is gone, and the ledger has no intent of it")
        self.there = now
        self.chain = chain

    def left(self) -> set[str]:
        """What of the plan is still there, of the kinds that are watched."""
        return set(self.plan.doomed) & (self.there or set())


def read_plan(text: bytes) -> Plan:
    """A retirement plan. Raises Difference when it is none."""
    try:
        data = json.loads(text)
        refs = [item["ref"] for item in data["items"]]
        doomed = frozenset(f"{ref['kind']}/{ref['id']}" for ref in refs)
        kinds = {ref["kind"] for ref in refs} | {entry["kind"] for entry in data.get("kept", [])}
        return Plan(data["tenant"]["name"], data["made"]["ledger"], doomed, tuple(sorted(kinds)))
    except (ValueError, KeyError, TypeError) as error:
        raise Difference(f"the plan cannot be read: {error!r}") from error


def read_chain(text: bytes, tenant: str) -> Chain:
    """A ledger, each link checked. A last line without its end is still being written, and not looked at.

    Raises Difference when the chain is broken.
    """
    hashes: list[str] = []
    intended: set[str] = set()
    for number, line in enumerate(text.split(b"\n")[:-1], 1):
        found = _HASH.search(line)
        before = hashes[-1] if hashes else GENESIS
        try:
            record = json.loads(line)
            named, prev = str(record["hash"]), str(record["prev"])
        except (ValueError, KeyError, TypeError) as error:
            raise Difference(f"line {number} of the ledger is no record") from error
        bare = line[: found.start()] + line[found.end() :] if found else b""
        if found is None or f"sha256:{hashlib.sha256(bare).hexdigest()}" != named:
            raise Difference(f"line {number} of the ledger does not match its hash: it was changed")
        if prev != before:
            raise Difference(f"line {number} of the ledger does not follow the one before it")
        hashes.append(named)
        intended |= _intended(record, tenant)
    return Chain(tuple(hashes), frozenset(intended))


def _intended(record: Mapping[str, Any], tenant: str) -> set[str]:
    result = record.get("result")
    if record.get("act") != "purge_intent" or record.get("tenant") != tenant or not isinstance(result, dict):
        return set()
    if result.get("last") is not True:
        return set()
    return {str(record["ids"]["object"]), *map(str, result.get("takes", []))}


def _grown(before: Chain, now: Chain) -> None:
    if len(now.hashes) < len(before.hashes):
        raise Difference(f"the ledger had {len(before.hashes)} records and has {len(now.hashes)}")
    if now.hashes[: len(before.hashes)] != before.hashes:
        raise Difference("the ledger was written anew")


def _kind(key: str) -> str:
    return key.partition("/")[0]
