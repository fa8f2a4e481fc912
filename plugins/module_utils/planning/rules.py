# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the assessment as data, and what they find in facts. The built-in ones are in `rules_builtin`.

Files of people add rules, change a built-in one (only the keys that they give), or switch it off. docs/rules.md is the
manual.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import document, kinds, names, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.estate import Finding, Severity, Subject
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.schema import doc
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import facts as fact_tables
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import match, rules_builtin
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.policy import Capacity

TargetType = Literal["vsphere", "cloud_avenue", "bleu"]
KINDS = (*kinds.KINDS, "services", "tenant")
"""What a rule may look at."""

LIMITS_GIB: dict[str, int] = {"cloud_avenue": plans.VCD_DISK_GIB}
"""Largest disks that targets take, GiB, where that is known without a word of the policy."""

ORDER: dict[str, int] = {"blocker": 0, "warning": 1, "information": 2}


def _kind(value: str) -> str | None:
    return None if value in KINDS else "is not a kind of the estate (docs/estate.md), services or tenant"


def _id(value: str) -> str | None:
    plain = all(char.isascii() and (char.isalnum() or char in "_-") for char in value)
    return None if value and plain else "must hold nothing but letters, digits, _ and -"


def _path(value: str) -> str | None:
    return None if not value or match.segments(value) else "is not a path of a fact"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule. A finding is made of each object of its kind (with `each`: of each element) for which `when` holds."""

    id: str = field(metadata=doc("id, which findings carry", check=_id))
    severity: Severity = field(metadata=doc("blocker: cannot move; warning: somebody must act or know; information"))
    kind: str = field(metadata=doc("kind of the estate that it looks at, or services, tenant", check=_kind))
    when: Any = field(default_factory=dict, metadata=doc("condition on the facts of an object"))
    each: str = field(
        default="",
        metadata=doc(
            "path of a list of the object: one finding for each element that fits, which is `each`", check=_path
        ),
    )
    says: Any = field(
        metadata=doc("what was seen: text, or en and fr; {path} shows a fact", check=match.bilingual_fault)
    )
    action: Any = field(
        default="", metadata=doc("what will be done about it, or by whom; likewise", check=match.bilingual_fault)
    )
    data_gap: bool = field(default=False, metadata=doc("whether it is about data that are lacking"))
    target: list[TargetType] = field(
        default_factory=list, metadata=doc("kinds of target that it is for; empty: all of them")
    )

    @functools.cached_property
    def test(self) -> match.Test:
        """Whether the condition holds for a fact."""
        return match.build(self.when)[0]


@dataclass(frozen=True, kw_only=True)
class About:
    """What rules have to know besides the estate.

    target: type of the plan's target. reader_server_id: reader host of the plan. storage: class by volume type, as the
    policy says. capacity: what the target has room for.
    """

    target: str = "vsphere"
    reader_server_id: str = ""
    storage: Mapping[str, str] = field(default_factory=dict)
    capacity: Capacity | None = None


def builtin() -> list[Rule]:
    """The rules that come with this collection."""
    rules: dict[str, Rule] = {}
    problems = _over(rules, {"rules": list(rules_builtin.RULES)})
    if problems:
        raise InvalidInput("The built-in rules are not valid", problems)
    return list(rules.values())


def load(files: Iterable[tuple[str, str]] = ()) -> list[Rule]:
    """The built-in rules with the user's files over them, in their order; files are pairs of name and text.

    Raises InvalidInput with the problems of all files, each with its line.
    """
    rules = {rule.id: rule for rule in builtin()}
    problems: list[Problem] = []
    for name, text in files:
        found, faults = document.read(text)
        if found is not None:
            faults += _over(rules, found.data)
        for problem in faults:
            line = found.line(problem.path) if found is not None else None
            place = f"{problem.path} (line {line})" if line else problem.path
            problems.append(Problem(f"{name}: {place}", problem.message))
    if problems:
        raise InvalidInput("The rules are not valid", problems, hint="The keys are described in docs/rules.md.")
    return list(rules.values())


def _over(rules: dict[str, Rule], data: Any) -> list[Problem]:
    """Put what a file holds over the rules; all that is wrong with it."""
    if not isinstance(data, Mapping) or set(data) != {"rules"} or not isinstance(data["rules"], list):
        return [Problem("(document)", "must be a mapping with the key rules, which is a list")]
    problems: list[Problem] = []
    seen: set[str] = set()
    for index, entry in enumerate(data["rules"]):
        where = f"rules[{index}]"
        ident = entry.get("id") if isinstance(entry, Mapping) else None
        if not isinstance(entry, Mapping) or not isinstance(ident, str):
            problems.append(Problem(where, "must be a mapping with an id"))
            continue
        if ident in seen:
            problems.append(Problem(f"{where}.id", f"{ident} is there twice"))
        seen.add(ident)
        # to YAML 1.1 an unquoted `off` is the boolean
        problems += _one(rules, {"off" if key is False else key: value for key, value in entry.items()}, ident, where)
    return problems


def _one(rules: dict[str, Rule], entry: dict[str, Any], ident: str, where: str) -> list[Problem]:
    off = entry.pop("off", False)
    if not isinstance(off, bool):
        return [Problem(f"{where}.off", "must be true or false")]
    if off:
        if set(entry) - {"id"}:
            return [Problem(where, "a rule that is switched off has no other keys")]
        if ident not in rules:
            return [Problem(f"{where}.id", f"there is no rule {ident} to switch off{_near(ident, rules)}")]
        del rules[ident]
        return []
    base = schema.dump(rules[ident]) if ident in rules else {}
    rule, problems = schema.load_partial(Rule, {**base, **entry}, where)
    problems += faults(rule, where)
    if not problems:
        rules[ident] = rule
    return problems


def _near(ident: str, rules: Iterable[str]) -> str:
    near = difflib.get_close_matches(ident, list(rules), 1)
    return f" (did you mean {near[0]}?)" if near else ""


def faults(rule: Rule, where: str = "") -> list[Problem]:
    """What is wrong with a rule whose form is right: its condition, and the facts that it names."""
    if not isinstance(rule.kind, str) or _kind(rule.kind) is not None:
        return []
    known = [*fact_tables.known(rule.kind), *(["each"] if rule.each else [])]
    problems = match.build(rule.when, schema.join(where, "when"), known=known)[1]
    for key in ("says", "action"):
        value = getattr(rule, key)
        for text in value.values() if isinstance(value, Mapping) else [value]:
            if isinstance(text, str) and match.text_fault(text) is None:
                unknown = sorted({name for name in match.places(text) if name not in known})
                problems += [Problem(schema.join(where, key), f"there is no fact {name}") for name in unknown]
    if isinstance(rule.each, str) and rule.each and match.segments(rule.each):
        problems += [
            Problem(schema.join(where, "each"), f"there is no fact {name}")
            for name in sorted(match.places(f"{{{rule.each}}}"))
            if name not in known
        ]
    return problems


def apply(rules: Sequence[Rule], facts: fact_tables.Facts, about: About | None = None) -> list[Finding]:
    """What the rules find, sorted: blockers first, then by rule and object."""
    about = about or About()
    by_kind: dict[str, list[Rule]] = {}
    for rule in rules:
        if not rule.target or about.target in rule.target:
            by_kind.setdefault(rule.kind, []).append(rule)
    found = [
        finding
        for kind, some in by_kind.items()
        for fact in seen_from(facts, kind, about)
        for rule in some
        for finding in _findings(rule, fact)
    ]
    return ordered(found)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in the order of documents: blockers first, then by rule and object; each once."""
    found = sorted(findings, key=lambda f: (ORDER[f.severity], f.rule, f.subject.kind, f.subject.name, f.subject.id))
    kept: list[Finding] = []
    for finding in found:
        if not kept or finding != kept[-1]:
            kept.append(finding)
    return kept


def _findings(rule: Rule, fact: fact_tables.Fact) -> Iterator[Finding]:
    if not rule.each:
        if rule.test(fact):
            yield _finding(rule, fact, fact)
        return
    for entry in match.lookup(rule.each, fact):
        for element in entry if isinstance(entry, list) else [entry]:
            view = {**fact, "each": element}
            if rule.test(view):
                yield _finding(rule, fact, view)


def _finding(rule: Rule, fact: fact_tables.Fact, view: Mapping[str, Any]) -> Finding:
    says, says_fr = match.bilingual(rule.says)
    action, action_fr = match.bilingual(rule.action)
    return Finding(
        rule=rule.id,
        severity=rule.severity,
        subject=Subject(kind=rule.kind, id=str(fact.get("id", "")), name=names.printable(str(fact.get("name", "")))),
        seen=match.fill(says, view),
        action=match.fill(action, view),
        seen_fr=match.fill(says_fr, view),
        action_fr=match.fill(action_fr, view),
        data_gap=rule.data_gap,
    )


def seen_from(facts: fact_tables.Facts, kind: str, about: About) -> Iterator[fact_tables.Fact]:
    """Facts of a kind with what they are at a target: what rules look at."""
    for fact in facts.of(kind):
        view = {**fact, "target": about.target}
        if kind == "servers":
            view["reader"] = bool(about.reader_server_id) and fact["id"] == about.reader_server_id
            view["disks"] = [{**disk, **_stored(disk, about)} for disk in fact["disks"]]
        elif kind == "volumes":
            view.update(_stored(fact, about))
        elif kind == "tenant":
            view["capacity_known"] = about.capacity is not None
            view["over"] = None if about.capacity is None else _over_capacity(fact, about.capacity)
        yield view


def _stored(fact: fact_tables.Fact, about: About) -> fact_tables.Fact:
    """Where the policy stores a volume, and whether it fits there."""
    place = about.storage.get(fact["type"], "")
    capacity = about.capacity or Capacity()
    classes = capacity.storage_classes
    limits = [one for one in (capacity.max_disk_gib, LIMITS_GIB.get(about.target)) if one is not None]
    limit = min(limits, default=None)
    return {
        "storage_class": place,
        "storage_mapped": bool(place) if about.storage else None,
        "storage_exists": place in classes if place and classes is not None else None,
        "size_limit_gib": limit,
        "too_large": fact["size_gib"] > limit if limit is not None else None,
    }


def _over_capacity(fact: fact_tables.Fact, capacity: Capacity) -> list[fact_tables.Fact]:
    return [
        {"what": name, "needed": fact[name], "limit": limit}
        for name in ("cpus", "memory_mib", "disk_gib", "public_addresses")
        if (limit := getattr(capacity, name)) is not None and fact[name] > limit
    ]
