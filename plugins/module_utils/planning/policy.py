# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy: where workloads go and why, what the customer answered, how they are sized, stored, grouped, scheduled.

People write it; docs/policy.md is the manual. Nobody is moved or given up because an answer is lacking: where somebody
has to be asked and did not answer, the answer is `open`.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import document, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.assessment import Answer, Destination
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.schema import doc
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import facts, match
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import schedule as schedules
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.readiness import Readiness

VERSION = 1

To = Literal["target", "cloud_avenue", "vsphere", "bleu", "rebuild", "retire", "customer"]
"""A destination, or `target`: the target of the plan."""

ALWAYS_ASKED = ("retire", "customer")
"""Destinations that nobody is sent to without an answer, whatever `ask` says."""


def _filled(value: str) -> str | None:
    return None if value.strip() else "must not be empty"


def _date(value: str) -> str | None:
    try:
        if not value or (re.match(r"\d{4}-\d\d-\d\d\Z", value) and datetime.date.fromisoformat(value)):
            return None
    except ValueError:
        pass
    return "must be a date like 2027-03-31"


def _per_cent(value: float) -> str | None:
    return None if 0 < value <= 100 else "must be above 0 and at most 100"


def _factor(value: float) -> str | None:
    return None if 1 <= value <= 10 else "must be from 1 to 10"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One entry of `destinations`; the first whose condition holds decides."""

    id: str = field(metadata=doc("name of the entry, for people", check=_filled))
    when: Any = field(metadata=doc("condition on the facts of a server (docs/rules.md)"))
    to: To = field(metadata=doc("where it goes; target: where the plan goes"))
    reason: Any = field(default="", metadata=doc("why: text, or a mapping with en and fr", check=match.bilingual_fault))

    @functools.cached_property
    def test(self) -> match.Test:
        """Whether the condition holds for a fact."""
        return match.build(self.when)[0]


@dataclass(frozen=True, kw_only=True)
class Given:
    """One entry of `answers`; the first whose condition holds counts."""

    when: Any = field(metadata=doc("condition on the facts of a server (docs/rules.md)"))
    answer: Literal["agreed", "refused"] = field(metadata=doc("what the customer said to the proposal"))
    to: To | None = field(default=None, metadata=doc("where the customer wants it instead"))

    @functools.cached_property
    def test(self) -> match.Test:
        """Whether the condition holds for a fact."""
        return match.build(self.when)[0]


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """How virtual CPUs and memory are chosen."""

    mode: Literal["as_is", "measured"] = field(
        default="as_is", metadata=doc("as_is: as at the source; measured: by the load of a server, where it is known")
    )
    comfort: float = field(default=1.3, metadata=doc("measured load is multiplied by this", check=_factor))
    target_use: float = field(default=70.0, metadata=doc("use that is aimed at, per cent", check=_per_cent))
    min_samples: int = field(
        default=288,
        metadata=doc("samples that a measurement needs to be believed", check=schedules.is_positive),
    )


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What the target has room for; what is left out is not compared."""

    cpus: int | None = field(default=None, metadata=doc("virtual CPUs", check=schedules.is_not_negative))
    memory_mib: int | None = field(default=None, metadata=doc("memory, MiB", check=schedules.is_not_negative))
    disk_gib: int | None = field(default=None, metadata=doc("storage, GiB", check=schedules.is_not_negative))
    public_addresses: int | None = field(
        default=None, metadata=doc("public addresses", check=schedules.is_not_negative)
    )
    storage_classes: list[str] | None = field(default=None, metadata=doc("datastores or storage profiles that exist"))
    max_disk_gib: int | None = field(
        default=None, metadata=doc("largest disk that it takes, GiB", check=schedules.is_positive)
    )


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The whole document."""

    version: int = field(metadata=doc("version of this form: 1"))
    deadline: str = field(default="", metadata=doc("date by which the tenant must be out: 2027-03-31", check=_date))
    destinations: list[Choice] = field(default_factory=list, metadata=doc("where a server goes; the first that fits"))
    default: To = field(default="customer", metadata=doc("where all others go"))
    ask: bool = field(
        default=True,
        metadata=doc("whether the customer must agree before anything moves; retire and customer always need a word"),
    )
    answers: list[Given] = field(default_factory=list, metadata=doc("what the customer said; the first that fits"))
    sizing: Sizing = field(default_factory=Sizing, metadata=doc("how virtual CPUs and memory are chosen"))
    storage: dict[str, str] = field(
        default_factory=dict, metadata=doc("datastore or storage profile for each volume type")
    )
    grouping: schedules.Grouping = field(
        default_factory=schedules.Grouping, metadata=doc("how workloads are joined into move groups")
    )
    schedule: schedules.Schedule = field(
        default_factory=schedules.Schedule, metadata=doc("windows, limits of a wave, rate")
    )
    capacity: Capacity | None = field(default=None, metadata=doc("what the target has room for; null: nobody knows"))


DEFAULT = Policy(version=VERSION, default="target", ask=False)
"""Without a policy file: everything to the plan's own target, and nobody is asked."""

JUDGED = ("readiness", "confidence", "missing")
"""Facts that a condition of the policy may use besides those of the server."""


@dataclass(frozen=True)
class Decision:
    """Where a server goes, what the customer said to it, and why, in English and in French."""

    destination: Destination
    answer: Answer
    reasons: list[str]
    reasons_fr: list[str] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether it may be acted upon: nobody has to be asked, or the customer agreed."""
        return self.answer in ("agreed", "not_asked")


def loads(text: str, what: str = "The policy") -> Policy:
    """The text of a policy file as a Policy; raises InvalidInput with all problems, each with its path and line."""
    found, problems = document.read(text)
    policy: Policy | None = None
    if found is not None:
        policy, more = parse(found.data)
        placed = [(found.line(problem.path) or 0, problem) for problem in [*problems, *more]]
        problems = [
            Problem(f"{problem.path} (line {line})" if line else problem.path, problem.message)
            for line, problem in sorted(placed, key=lambda pair: pair[0])
        ]
    if problems or policy is None:
        raise InvalidInput(f"{what} is not valid", problems, hint="The keys are described in docs/policy.md.")
    return policy


def parse(data: Any) -> tuple[Policy | None, list[Problem]]:
    """Plain data as a Policy, and all problems; the policy is None where there are any."""
    policy, problems = schema.load_partial(Policy, data)
    if isinstance(data, Mapping) and "version" in data and data["version"] != VERSION:
        problems.append(Problem("version", f"must be {VERSION}"))
    problems += _rules(policy)
    return (None if problems else policy), problems


def _rules(policy: Policy) -> Iterator[Problem]:
    known = [*facts.SERVER, *JUDGED]
    seen: set[str] = set()
    for index, choice in enumerate(policy.destinations):
        where = schema.join("destinations", index)
        if choice.when is not schema.UNSET and choice is not schema.UNSET:
            yield from match.build(choice.when, f"{where}.when", known=known)[1]
        if isinstance(choice.id, str):
            if choice.id in seen:
                yield Problem(f"{where}.id", f"{choice.id} is there twice")
            seen.add(choice.id)
    for index, given in enumerate(policy.answers):
        if given.when is not schema.UNSET and given is not schema.UNSET:
            yield from match.build(given.when, f"answers[{index}].when", known=known)[1]
    for kind, place in policy.storage.items() if isinstance(policy.storage, dict) else ():
        if isinstance(place, str) and not place.strip():
            yield Problem(schema.join("storage", kind), "must not be empty")
    starts: dict[datetime.datetime, int] = {}
    for index, window in enumerate(policy.schedule.windows):
        if isinstance(window.start, str) and schedules.is_moment(window.start) is None:
            first = starts.setdefault(schedules.moment(window.start), index)
            if first != index:
                yield Problem(f"schedule.windows[{index}].start", f"is that of schedule.windows[{first}] as well")


def decide(policy: Policy, server: Mapping[str, Any], readiness: Readiness, *, target: str = "vsphere") -> Decision:
    """Where a server goes. `server`: its fact; `target`: type of the plan's target."""
    fact = {
        **server,
        "readiness": readiness.readiness,
        "confidence": readiness.confidence,
        "missing": readiness.missing,
    }
    chosen = next((choice for choice in policy.destinations if choice.test(fact)), None)
    proposed = _place(chosen.to if chosen else policy.default, target)
    if chosen is not None:
        reason = match.bilingual(chosen.reason or chosen.id)
        reasons = [tuple(match.fill(text, fact) for text in reason)]
    elif policy.destinations:
        reasons = [
            (
                "No entry of the policy fits; this is its default.",
                "Aucune entrée ne convient : c'est la valeur par défaut.",
            )
        ]
    else:
        reasons = []
    given = next((entry for entry in policy.answers if entry.test(fact)), None)
    destination: Destination = proposed
    answer: Answer = "open" if policy.ask or proposed in ALWAYS_ASKED else "not_asked"
    if given is not None:
        answer = given.answer
        if given.to is not None:
            destination, answer = _place(given.to, target), "agreed"
            if destination != proposed:
                reasons.append(
                    (f"The customer chose it instead of {proposed}.", f"Le client l'a choisi au lieu de {proposed}.")
                )
        elif given.answer == "refused":
            reasons.append(("The customer refused this proposal.", "Le client a refusé cette proposition."))
    if answer == "open":
        reasons.append(("The customer has not answered yet.", "Le client n'a pas encore répondu."))
    return Decision(
        destination, answer, [english for english, _french in reasons], [french for _english, french in reasons]
    )


def _place(to: To, target: str) -> Destination:
    if to != "target":
        return to
    known: dict[str, Destination] = {"vsphere": "vsphere", "cloud_avenue": "cloud_avenue", "vcd": "cloud_avenue"}
    known |= {"bleu": "bleu", "azure": "bleu"}
    return known.get(target, "vsphere")
