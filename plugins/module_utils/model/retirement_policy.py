# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The retirement policy: what people decided about the end of a tenant, and by when. People write it; it is in git.

docs/retirement-policy.md is the manual. No value that is empty or left out lets anything be deleted: a date that is not
there keeps its gate closed, an object that nobody decided stays. Values against the law are refused here, whatever
else is waived. What the articles say is as of July 2026 and no legal advice.
"""

from __future__ import annotations

import datetime
import difflib
import math
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import document, kinds, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Limits, Waiver
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.schema import doc

KIND = "cloudexit.retirement_policy"
VERSION = 1

NOTICE_MONTHS = 2
"""Most that a customer may be made to wait before switching starts (Data Act 2023/2854, Art. 25(2)(d))."""
TRANSITION_DAYS = 30
"""Longest transition after the notice (Art. 25(2)(a))."""
ALTERNATIVE_MONTHS = 7
"""Longest transition where 30 days are technically not feasible (Art. 25(4))."""
RETRIEVAL_DAYS = 30
"""Least time that a customer can still fetch its data after the transition (Art. 25(2)(g))."""
SECNUMCLOUD_NOTICE_DAYS = 21
"""Least notice before an erasure (ANSSI SecNumCloud 3.2, end of contract)."""
WAIVABLE = ("G4", "G5", "G9")
"""Gates that an exception in writing may stand for: read again on the day, soak, escrow. None of the others."""
ONE_BY_ONE = ("servers", "volumes", "buckets", "image_repositories", "secrets", "keys")
"""Kinds that are never chosen all at once: what people work on, what belongs to the whole account, keys."""
ROLES = ("customer", "operations", "security")

_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z\Z")
_HOURS = re.compile(r"([01]\d|2[0-4]):([0-5]\d)\Z")
_DIGEST = re.compile(r"(?:sha256|sha512|blake3):[0-9a-f]{64,128}\Z")
_HINT = "The keys are described in docs/retirement-policy.md."


def _filled(value: str) -> str | None:
    return None if value.strip() else "must not be empty"


def _date(value: str) -> str | None:
    try:
        if _DATE.match(value) and datetime.date.fromisoformat(value):
            return None
    except ValueError:
        pass
    return "must be a date like 2026-12-05"


def _when(value: str) -> str | None:
    try:
        if _MOMENT.match(value) and datetime.datetime.fromisoformat(value.removesuffix("Z") + "+00:00"):
            return None
    except ValueError:
        pass
    return None if _date(value) is None else "must be a date like 2026-12-05 or a moment in UTC like 2026-12-05T20:00Z"


def _maybe_when(value: str) -> str | None:
    return _when(value) if value else None


def _maybe_date(value: str) -> str | None:
    return _date(value) if value else None


def _positive(value: float) -> str | None:
    return None if 0 < value < math.inf else "must be above 0"


def _not_negative(value: float) -> str | None:
    return None if 0 <= value < math.inf else "must not be below 0"


def _zone(value: str) -> str | None:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return "is not a time zone that this machine knows, like Europe/Paris"
    return None


def _hour(value: str) -> str | None:
    found = _HOURS.match(value)
    return None if found and (found[1] != "24" or found[2] == "00") else "must be a time like 09:00"


def _digest(value: str) -> str | None:
    return None if not value or _DIGEST.match(value) else "must be sha256:, sha512: or blake3: and hexadecimal digits"


def _days(value: int) -> str | None:
    if value < RETRIEVAL_DAYS:
        return f"must be at least {RETRIEVAL_DAYS} (Data Act, Art. 25(2)(g))"
    return None


def _two(value: int) -> str | None:
    return None if value >= 2 else "must be at least 2: nobody deletes a tenant alone"


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """Whose end it is."""

    name: str = field(metadata=doc("short name, as in the migration plan", check=_filled))
    project_id: str = field(metadata=doc("id of the project", check=_filled))
    domain_id: str = field(default="", metadata=doc("id of its domain"))
    region: str = field(default="", metadata=doc("region"))


@dataclass(frozen=True, kw_only=True)
class Parties:
    """Who is responsible for the data (GDPR Art. 28)."""

    controller: str = field(metadata=doc("who decides about the data: the customer", check=_filled))
    processor: str = field(metadata=doc("who keeps the data for the customer: the provider", check=_filled))
    contract: str = field(metadata=doc("contract that ends", check=_filled))
    legal_basis: str = field(metadata=doc("why the data are erased, for example GDPR Art. 28(3)(g)", check=_filled))


@dataclass(frozen=True, kw_only=True)
class Decided:
    """The customer's decision (gate G1; Data Act Art. 25(3))."""

    choice: Literal["other_provider", "on_premises", "erase"] = field(
        metadata=doc("exactly one of the law's three; erase: what is not decided otherwise is deleted, not moved")
    )
    by: str = field(metadata=doc("who decided, for the customer", check=_filled))
    mandate: str = field(metadata=doc("what lets this person decide: position, power of attorney", check=_filled))
    at: str = field(metadata=doc("when", check=_when))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What becomes of something when the tenant ends."""

    choice: Literal["moved", "erased", "exported"] = field(
        metadata=doc(
            "moved: deleted once it is proven at the target; erased: deleted, not moved; exported: handed over"
        )
    )
    by: str = field(default="", metadata=doc("who decided; required unless moved"))
    at: str = field(default="", metadata=doc("when; required unless moved", check=_maybe_when))
    why: str = field(default="", metadata=doc("why"))
    what: str = field(default="", metadata=doc("exported: what was handed over, and in which format; required"))
    digest: str = field(default="", metadata=doc("exported: digest of it; required", check=_digest))
    handed_over: str = field(default="", metadata=doc("exported: when; required", check=_maybe_when))


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """The customer's word that a workload is right where it is now (gate G3)."""

    by: str = field(metadata=doc("who accepted", check=_filled))
    at: str = field(metadata=doc("when; the soak starts then", check=_when))
    note: str = field(default="", metadata=doc("test report, ticket"))


@dataclass(frozen=True, kw_only=True)
class Hold:
    """What must not be deleted for now: a dispute, an incident, an open request of a person, an invoice (gate G7)."""

    objects: list[str] = field(default_factory=list, metadata=doc("objects as kind/id"))
    workloads: list[str] = field(
        default_factory=list, metadata=doc("workloads: their servers, volumes and copies of these")
    )
    all: bool = field(default=False, metadata=doc("everything: nothing at all is deleted while it holds"))
    why: str = field(metadata=doc("why", check=_filled))
    by: str = field(default="", metadata=doc("who asked for it"))
    until: str = field(
        default="", metadata=doc("the last day on which it holds; empty: until it is taken out here", check=_maybe_when)
    )


@dataclass(frozen=True, kw_only=True)
class Notice:
    """The announcement of the erasure (gate G8)."""

    sent: str = field(default="", metadata=doc("when it was sent", check=_maybe_when))
    delivered: str = field(default="", metadata=doc("when it arrived; the days count from then", check=_maybe_when))
    receipt: str = field(default="", metadata=doc("proof of delivery"))
    days: int = field(
        default=SECNUMCLOUD_NOTICE_DAYS,
        metadata=doc("days between its delivery and the erasure; at least 21 for secnumcloud", check=_not_negative),
    )
    standard: Literal["none", "secnumcloud"] = field(
        default="none", metadata=doc("rules that the contract asks for: ANSSI SecNumCloud 3.2, or none of their own")
    )


@dataclass(frozen=True, kw_only=True)
class Switching:
    """The dates of the switch (Data Act Art. 25). Dates are whole days in `calendar.zone`."""

    asked: str = field(
        default="",
        metadata=doc("when the customer asked; 14 working days to say that it is not feasible", check=_maybe_date),
    )
    unfeasible: str = field(
        default="",
        metadata=doc("when the customer was told, with reasons, that 30 days are not feasible", check=_maybe_date),
    )
    notice_ends: str = field(
        default="",
        metadata=doc("end of the notice, at most 2 months after `asked` (Art. 25(2)(d))", check=_maybe_date),
    )
    transition_end: str = field(
        default="",
        metadata=doc(
            "end of the transition, at most 30 days after the notice; 7 months where not feasible (Art. 25(2)(a), (4))",
            check=_maybe_date,
        ),
    )
    extension_end: str = field(
        default="", metadata=doc("end of the customer's one extension (Art. 25(5))", check=_maybe_date)
    )
    retrieval_days: int = field(
        default=RETRIEVAL_DAYS,
        metadata=doc("days in which data can be fetched after that, at least 30 (Art. 25(2)(g))", check=_days),
    )
    agreed_erasure: str = field(
        default="", metadata=doc("a later day that both agreed on (Art. 25(2)(h))", check=_maybe_date)
    )


@dataclass(frozen=True, kw_only=True)
class Waived:
    """That the customer does without something, in writing."""

    by: str = field(metadata=doc("who decided", check=_filled))
    at: str = field(metadata=doc("when", check=_when))
    why: str = field(metadata=doc("why", check=_filled))


@dataclass(frozen=True, kw_only=True)
class Escrow:
    """The encrypted copy outside of the platform (gate G9)."""

    store: str = field(default="", metadata=doc("object store and bucket of the customer's, like s3://host/bucket"))
    recipients: list[str] = field(
        default_factory=list, metadata=doc("files of the certificates that it is encrypted for, beside the policy")
    )
    waiver: Waived | None = field(default=None, metadata=doc("that the customer wants none; null: it wants one"))


@dataclass(frozen=True, kw_only=True)
class Contract:
    """When it has to be over."""

    end: str = field(default="", metadata=doc("last day of the contract; nothing is erased after", check=_maybe_date))
    public: bool = field(default=False, metadata=doc("whether it is a French public contract"))
    returned: str = field(
        default="",
        metadata=doc(
            "public contract: when everything was returned; copies are destroyed within 3 months", check=_maybe_date
        ),
    )
    platform_end: str = field(default="", metadata=doc("last day of the platform", check=_maybe_date))
    margin_days: int = field(
        default=7, metadata=doc("days before the platform's end by which it must be done", check=_not_negative)
    )


@dataclass(frozen=True, kw_only=True)
class Approvals:
    """Who must sign the retirement plan (gate G11)."""

    needed: int = field(default=3, metadata=doc("different people who must sign", check=_two))
    roles: list[str] = field(
        default_factory=lambda: list(ROLES),
        metadata=doc("roles that must be among them: customer, operations, security"),
    )
    signers: str = field(
        default="allowed_signers", metadata=doc("file of allowed signers, beside the policy", check=_filled)
    )
    valid_days: float = field(default=30.0, metadata=doc("days after which a plan is no longer used", check=_positive))


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """Days on which nothing is deleted."""

    first: str = field(metadata=doc("first day", check=_date))
    last: str = field(metadata=doc("last day", check=_date))
    why: str = field(default="", metadata=doc("why"))


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """When people are there to watch a purge."""

    zone: str = field(default="Europe/Paris", metadata=doc("time zone of all dates", check=_zone))
    weekdays: list[int] = field(
        default_factory=lambda: [1, 2, 3, 4], metadata=doc("days of the week on which it may run, 1 is Monday")
    )
    start: str = field(default="09:00", metadata=doc("hour from which it may run", check=_hour))
    end: str = field(default="16:00", metadata=doc("hour until which it may run", check=_hour))
    holidays: Literal["france", "none"] = field(
        default="france", metadata=doc("public holidays on which nobody works; they count for working days too")
    )
    more_holidays: list[str] = field(default_factory=list, metadata=doc("more such days"))
    freeze: list[Freeze] = field(default_factory=list, metadata=doc("days on which nothing is deleted"))


@dataclass(frozen=True, kw_only=True)
class Executor:
    """What the credential of quarantine and purge must be."""

    roles: list[str] = field(
        default_factory=list, metadata=doc("roles that it may have; one more stops the run; empty: any of a project")
    )


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The whole document."""

    kind: str = field(metadata=doc(f"always `{KIND}`"))
    version: int = field(metadata=doc("version of this form"))
    tenant: Tenant = field(metadata=doc("whose end it is"))
    parties: Parties = field(metadata=doc("who is responsible for the data"))
    decision: Decided = field(metadata=doc("what the customer decided"))
    workloads: dict[str, Choice] = field(
        default_factory=dict, metadata=doc("workloads of the migration plan that are not simply moved, by name")
    )
    kinds: dict[str, Choice] = field(
        default_factory=dict,
        metadata=doc(f"kinds, like snapshots or backups: what becomes of all of them; not {', '.join(ONE_BY_ONE)}"),
    )
    objects: dict[str, dict[str, Choice]] = field(
        default_factory=dict, metadata=doc("single objects, by kind and id; goes before all else")
    )
    acceptances: dict[str, Acceptance] = field(
        default_factory=dict, metadata=doc("workloads that the customer accepted, by name")
    )
    holds: list[Hold] = field(default_factory=list, metadata=doc("what must not be deleted for now"))
    protected: dict[str, str] = field(
        default_factory=dict,
        metadata=doc("objects (kind/id) that are never deleted, and why: buckets of evidence and of audit logs"),
    )
    reader_hosts: Literal["last", "keep"] = field(
        default="last", metadata=doc("last: the reader hosts work on, and go after all other servers; keep: they stay")
    )
    notice: Notice = field(default_factory=Notice, metadata=doc("the announcement of the erasure"))
    switching: Switching = field(default_factory=Switching, metadata=doc("the dates of the switch"))
    soak_days: float = field(
        default=14.0,
        metadata=doc("days after the acceptance in which the source must have been silent", check=_not_negative),
    )
    cool_off_hours: float = field(
        default=72.0, metadata=doc("hours between quarantine and purge in which people can object", check=_positive)
    )
    escrow: Escrow = field(default_factory=Escrow, metadata=doc("the copy outside of the platform"))
    contract: Contract = field(default_factory=Contract, metadata=doc("when it has to be over"))
    approvals: Approvals = field(default_factory=Approvals, metadata=doc("who must sign"))
    limits: Limits = field(default_factory=Limits, metadata=doc("how much at once"))
    waivers: list[Waiver] = field(
        default_factory=list, metadata=doc(f"exceptions in writing, for the gates {', '.join(WAIVABLE)} only")
    )
    calendar: Calendar = field(default_factory=Calendar, metadata=doc("when it may run"))
    executor: Executor = field(default_factory=Executor, metadata=doc("the credential of quarantine and purge"))

    def digest(self) -> str:
        """`sha256:…` of the content, whatever its layout and comments."""
        return schema.digest(schema.dump(self))


def loads(text: str, what: str = "The retirement policy") -> Policy:
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
        raise InvalidInput(f"{what} is not valid", problems, hint=_HINT)
    return policy


def load(data: Any, what: str = "The retirement policy") -> Policy:
    """Plain data as a Policy; raises InvalidInput with all problems."""
    policy, problems = parse(data)
    if problems or policy is None:
        raise InvalidInput(f"{what} is not valid", problems, hint=_HINT)
    return policy


def parse(data: Any) -> tuple[Policy | None, list[Problem]]:
    """Plain data as a Policy, and all problems; the policy is None where there are any."""
    policy, problems = schema.load_partial(Policy, data)
    if isinstance(data, Mapping):
        if "kind" in data and data["kind"] != KIND:
            problems.append(Problem("kind", f"must be {KIND}: is this a retirement policy?"))
        if "version" in data and data["version"] != VERSION:
            problems.append(Problem("version", f"must be {VERSION}"))
    known = {problem.path for problem in problems}
    problems += [problem for problem in _rules(policy) if problem.path not in known]
    return (None if problems else policy), problems


def add_months(day: datetime.date, months: int) -> datetime.date:
    """The same day of a later month; its last day where it has no such day (Regulation 1182/71, Art. 3(2)(c))."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = (datetime.date(year + month // 11, (month + 1) % 12 + 1, 1) - datetime.timedelta(days=1)).day
    return datetime.date(year, month + 1, min(day.day, last))


def fault_of_key(key: str) -> str | None:
    """What is wrong with a name of an object, kind/id, if anything."""
    kind, slash, ident = key.partition("/")
    if not slash or not ident.strip():
        return f"{key!r} must be kind/id, like volumes/6f1e"
    if kind not in kinds.KINDS:
        near = difflib.get_close_matches(kind, list(kinds.KINDS), 1)
        return f"{kind!r} is no kind of object" + (f" (did you mean {near[0]}?)" if near else "")
    return None


def _day(value: Any) -> datetime.date | None:
    """The day of a value that is right; None of one that is not, or that is empty."""
    return datetime.date.fromisoformat(value) if isinstance(value, str) and value and _date(value) is None else None


def _rules(policy: Policy) -> Iterator[Problem]:
    yield from _choices(policy)
    yield from _switching(policy)
    yield from _holds(policy)
    yield from _waivers(policy)
    yield from _calendar(policy.calendar)
    notice = policy.notice
    if notice.standard == "secnumcloud" and isinstance(notice.days, int) and notice.days < SECNUMCLOUD_NOTICE_DAYS:
        yield Problem("notice.days", f"must be at least {SECNUMCLOUD_NOTICE_DAYS} (SecNumCloud 3.2, end of contract)")
    if notice.sent and notice.delivered and str(notice.delivered)[:10] < str(notice.sent)[:10]:
        yield Problem("notice.delivered", "is before notice.sent")
    if notice.delivered and not notice.receipt:
        yield Problem("notice.receipt", "must be set: what proves the delivery")
    if policy.contract.public and not policy.contract.returned and policy.contract.end == "":
        yield Problem("contract.returned", "must be set for a public contract: the three months count from it")
    for index, role in enumerate(policy.approvals.roles):
        if role not in ROLES:
            yield Problem(f"approvals.roles[{index}]", f"must be one of {', '.join(ROLES)}")
    roles = [role for role in policy.approvals.roles if isinstance(role, str)]
    if len(set(roles)) != len(roles):
        yield Problem("approvals.roles", "names a role twice")
    if isinstance(policy.approvals.needed, int) and policy.approvals.needed < len(roles):
        yield Problem("approvals.needed", f"must be at least {len(roles)}: one person for each role")
    yield from _limits(policy.limits)
    escrow = policy.escrow
    if escrow.store and not escrow.recipients:
        yield Problem("escrow.recipients", "must be set: whom the copy is encrypted for")


def _choices(policy: Policy) -> Iterator[Problem]:
    found: list[tuple[str, Choice]] = []
    for part in ("workloads", "kinds"):
        entries = getattr(policy, part)
        found += [(schema.join(part, key), each) for key, each in entries.items()] if isinstance(entries, dict) else []
    if isinstance(policy.kinds, dict):
        for kind in policy.kinds:
            where = schema.join("kinds", kind)
            fault = fault_of_key(f"{kind}/x")
            if fault:
                yield Problem(where, fault)
            elif kind in ONE_BY_ONE:
                yield Problem(where, f"{kind} are decided by workload or one by one, never all at once")
    if isinstance(policy.objects, dict):
        for kind, entries in policy.objects.items():
            for ident, choice in entries.items() if isinstance(entries, dict) else ():
                where = schema.join(schema.join("objects", kind), ident)
                fault = fault_of_key(f"{kind}/{ident}")
                if fault:
                    yield Problem(where, fault)
                found.append((where, choice))
    for where, choice in found:
        if not choice or not choice.choice or choice.choice == "moved":
            continue
        needs = ("by", "at") if choice.choice == "erased" else ("by", "at", "what", "digest", "handed_over")
        for key in needs:
            if isinstance(getattr(choice, key), str) and not getattr(choice, key).strip():
                yield Problem(
                    f"{where}.{key}", f"must be set: something is {choice.choice} only by a decision in writing"
                )
    if isinstance(policy.protected, dict):
        for key, why in policy.protected.items():
            fault = fault_of_key(key)
            if fault:
                yield Problem(schema.join("protected", key), fault)
            elif isinstance(why, str) and not why.strip():
                yield Problem(schema.join("protected", key), "must say why")


def _switching(policy: Policy) -> Iterator[Problem]:
    switching = policy.switching
    asked, told = _day(switching.asked), _day(switching.unfeasible)
    notice, transition = _day(switching.notice_ends), _day(switching.transition_end)
    if notice and not asked:
        yield Problem("switching.asked", "must be set: the notice counts from it")
    if asked and notice:
        last = add_months(asked, NOTICE_MONTHS)
        if notice > last:
            yield Problem("switching.notice_ends", f"must be {last} or earlier: two months (Data Act, Art. 25(2)(d))")
        if notice < asked:
            yield Problem("switching.notice_ends", "is before switching.asked")
    if transition and not notice:
        yield Problem("switching.notice_ends", "must be set: the transition counts from it")
    if transition and notice:
        last = add_months(notice, ALTERNATIVE_MONTHS) if told else notice + datetime.timedelta(days=TRANSITION_DAYS)
        if transition > last:
            rule = "seven months (Art. 25(4))" if told else "30 days (Data Act, Art. 25(2)(a)), unless not feasible"
            yield Problem("switching.transition_end", f"must be {last} or earlier: {rule}")
        if transition < notice:
            yield Problem("switching.transition_end", "is before switching.notice_ends")
    extension, agreed = _day(switching.extension_end), _day(switching.agreed_erasure)
    if extension and (not transition or extension < transition):
        yield Problem("switching.extension_end", "must be after switching.transition_end, which must be set")
    if told and asked and told < asked:
        yield Problem("switching.unfeasible", "is before switching.asked")
    ends = extension or transition
    days = switching.retrieval_days
    if agreed and ends and isinstance(days, int) and agreed < ends + datetime.timedelta(days=days):
        yield Problem("switching.agreed_erasure", "must not be before the end of the retrieval (Art. 25(2)(h))")


def _holds(policy: Policy) -> Iterator[Problem]:
    for index, hold in enumerate(policy.holds):
        if not hold:
            continue
        if hold.all is False and not hold.objects and not hold.workloads:
            yield Problem(f"holds[{index}]", "must name objects or workloads, or have all: true")
        for place, key in enumerate(hold.objects):
            fault = fault_of_key(key) if isinstance(key, str) else None
            if fault:
                yield Problem(f"holds[{index}].objects[{place}]", fault)


def _waivers(policy: Policy) -> Iterator[Problem]:
    for index, waiver in enumerate(policy.waivers):
        if not waiver:
            continue
        where = f"waivers[{index}]"
        if isinstance(waiver.gate, str) and waiver.gate not in WAIVABLE:
            yield Problem(f"{where}.gate", f"must be one of {', '.join(WAIVABLE)}: no other gate can be waived")
        for key in ("by", "why"):
            if isinstance(getattr(waiver, key), str) and not getattr(waiver, key).strip():
                yield Problem(f"{where}.{key}", "must not be empty")
        if isinstance(waiver.at, str) and _when(waiver.at):
            yield Problem(f"{where}.at", str(_when(waiver.at)))
        for place, name in enumerate(waiver.objects):
            fault = fault_of_key(name) if isinstance(name, str) else None
            if fault:
                yield Problem(f"{where}.objects[{place}]", fault)


def _calendar(calendar: Calendar) -> Iterator[Problem]:
    for index, day in enumerate(calendar.weekdays):
        if isinstance(day, int) and not 1 <= day <= 7:
            yield Problem(f"calendar.weekdays[{index}]", "must be from 1 (Monday) to 7 (Sunday)")
    for index, text in enumerate(calendar.more_holidays):
        if isinstance(text, str) and _date(text):
            yield Problem(f"calendar.more_holidays[{index}]", str(_date(text)))
    hours = [text for text in (calendar.start, calendar.end) if isinstance(text, str) and _hour(text) is None]
    if len(hours) == 2 and hours[0] >= hours[1]:
        yield Problem("calendar.end", "must be after calendar.start")
    for index, freeze in enumerate(calendar.freeze):
        first, last = (_day(freeze.first), _day(freeze.last)) if freeze else (None, None)
        if first and last and last < first:
            yield Problem(f"calendar.freeze[{index}].last", "is before its first day")


def _limits(limits: Limits) -> Iterator[Problem]:
    for key in ("canary", "objects_per_run", "objects_per_day", "gib_per_run"):
        value = getattr(limits, key)
        if isinstance(value, (int, float)) and not 0 < value < math.inf:
            yield Problem(f"limits.{key}", "must be above 0")
    for key in ("then_percent", "share_percent_per_day"):
        value = getattr(limits, key)
        if isinstance(value, (int, float)) and not 0 < value <= 100:
            yield Problem(f"limits.{key}", "must be above 0 and at most 100")
