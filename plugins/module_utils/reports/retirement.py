# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sheet that people read before they sign a retirement plan: what will be lost, what stays, from when until when.

It shows the plan's digest, which is what they sign. The same as plain text is the diff of the module that makes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.markup import joined, name, page, text
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.style import ASSESSED, STYLE
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.words import LANGUAGES, Language, Words

CHOICES: tuple[model.Choice, ...] = ("erased", "exported", "moved", "residue")
"""In the order in which people should look at them: what is nowhere else comes first."""


@dataclass(frozen=True)
class Last:
    """What is known of an object's last days: when it was written to, when it was backed up; empty: not known."""

    written: str = ""
    backed_up: str = ""


@dataclass(frozen=True)
class Judged:
    """A gate as it is now."""

    name: str
    open: bool
    why: str


@dataclass(frozen=True)
class Beside:
    """What the sheet shows besides the plan. zone: of the calendar. unknown: timers whose moment is not known yet.

    feasible_until: the last day to say that the transition is not feasible. last: by kind/id. notes: for people.
    """

    zone: str = "Europe/Paris"
    unknown: Sequence[str] = ()
    feasible_until: str = ""
    gates: Sequence[Judged] = ()
    last: Mapping[str, Last] = field(default_factory=dict)


def bounds(plan: model.Retirement) -> tuple[model.Timer | None, model.Timer | None]:
    """The last timer before which, and the first after which nothing is erased."""
    before = [timer for timer in plan.timers if timer.bound == "not_before"]
    after = [timer for timer in plan.timers if timer.bound == "not_after"]
    return (
        max(before, key=lambda timer: (timer.at, timer.rule), default=None),
        min(after, key=lambda timer: (timer.at, timer.rule), default=None),
    )


def crossing(plan: model.Retirement) -> bool:
    """Whether it may not be erased before it is too late."""
    before, after = bounds(plan)
    return before is not None and after is not None and before.at > after.at


# ---- plain text ----


def to_text(plan: model.Retirement) -> str:
    """The plan as lines that can be compared: one an object, in the plan's order, names that cannot break a line."""
    size = sum(item.ref.size_gib for item in plan.items)
    tenant = plan.tenant
    lines = [
        f"tenant {names.printable(tenant.name)}: project {names.printable(tenant.project_id)} in {tenant.region}",
        f"deletes {len(plan.items)} objects, {size:g} GiB; keeps {len(plan.kept)}",
    ]
    lines += [f"{timer.bound} {timer.at} {timer.rule}" for timer in plan.timers]
    if crossing(plan):
        lines.append("CONFLICT: it may not be erased before it is too late")
    lines += [
        f"waiver {waiver.gate} by {names.printable(waiver.by)}: {names.printable(waiver.why)}"
        for waiver in plan.waivers
    ]
    for item in plan.items:
        called = f" {names.printable(item.name)!r}" if item.name else ""
        gib = f" {item.ref.size_gib:g} GiB" if item.ref.size_gib else ""
        what = f"{item.stage} {names.printable(item.ref.key)}{called}{gib}"
        lines.append(f"delete {what}: {item.choice}, {names.printable(item.why, 300)}")
    for kept in plan.kept:
        if kept.reason != "not_an_object":
            called = f" {names.printable(kept.name)!r}" if kept.name else ""
            detail = f", {names.printable(kept.detail, 300)}" if kept.detail else ""
            lines.append(f"keep {names.printable(f'{kept.kind}/{kept.id}')}{called}: {kept.reason}{detail}")
    return "\n".join(lines) + "\n"


# ---- the page ----


@dataclass(frozen=True)
class _Page:
    plan: model.Retirement
    beside: Beside
    t: Words


def render(
    plan: model.Retirement, language: Language, beside: Beside | None = None, *, stem: str = "retirement"
) -> str:
    """The page. `stem`: how the names of the files beside it begin."""
    p = _Page(plan, beside or Beside(), Words(language))
    t = p.t
    sections = [
        (t("What will be lost"), _lost(p)),
        (t("What goes because nothing needs it"), _residue(p)),
        (t("What stays, and why"), _kept(p)),
        (t("From when until when"), _timers(p)),
        (t("Gates as they are now"), _gates(p)),
        (t("Exceptions"), _waivers(p)),
        (t("Before you sign"), _signing(p)),
    ]
    tongues = "".join(
        f'<a href="{text(f"{stem}.{other}.html")}" hreflang="{other}" lang="{other}">{other}</a>'
        for other in LANGUAGES
        if other != language
    )
    body = [
        f'<main class="wide"><nav class="tongues">{tongues}</nav>',
        _header(p),
        _cards(p),
        *(f"<section><h2>{text(title)}</h2>{content}</section>" for title, content in sections if content),
        f"<footer><p><code>{text(plan.digest())}</code></p></footer></main>",
    ]
    return page(f"{t('Retirement plan')} {plan.tenant.name}", joined(body), style=STYLE + ASSESSED, language=language)


def _header(p: _Page) -> str:
    t, plan = p.t, p.plan
    place = joined([name(plan.tenant.project_name or plan.tenant.project_id), text(plan.tenant.region)], " · ")
    verdicts = []
    if crossing(plan):
        verdicts.append(("bad", t("It may not be erased before it is too late: people must decide")))
    if p.beside.unknown:
        verdicts.append(("unknown", t("A date is lacking, so nothing can be erased")))
    only = sum(item.choice in ("erased", "exported") for item in plan.items)
    if only:
        verdicts.append(("bad", t.labelled(t("Not moved, and nowhere else afterwards"), t.count(only, "object"))))
    if not plan.items:
        verdicts.append(("plain", t("Nothing is deleted")))
    made = t("Made on {at}, valid until {end}.", at=t.moment(plan.made.at), end=t.moment(plan.expires))
    shown = "".join(f'<li class="verdict {kind}">{text(said)}</li>' for kind, said in verdicts)
    return (
        f'<header><p class="over">{text(t("Retirement plan"))}</p><h1>{name(plan.tenant.name)}</h1>'
        f'<p class="route">{place}</p>'
        + (f'<ul class="verdicts">{shown}</ul>' if shown else "")
        + f'<p class="quiet">{text(made)}</p></header>'
    )


def _cards(p: _Page) -> str:
    t, plan = p.t, p.plan
    before, after = bounds(plan)
    kept = sum(kept.reason != "not_an_object" for kept in plan.kept)
    cards = [
        (t("Deleted"), t.count(len(plan.items), "object"), ""),
        (t("Data deleted"), t.size(sum(item.ref.size_gib for item in plan.items)), ""),
        (t("Stays"), t.count(kept, "object"), ""),
        (t("Not before"), _local(p, before.at) if before else t("unknown"), before.rule if before else ""),
        (t("Not after"), _local(p, after.at) if after else t("no end is known"), after.rule if after else ""),
        (t("Quarantine before"), t.duration(round(plan.cool_off_hours * 3600)), ""),
    ]
    return (
        '<ul class="cards">'
        + "".join(
            f'<li><span class="label">{text(label)}</span><strong>{text(value)}</strong>'
            f'<span class="quiet">{text(note)}</span></li>'
            for label, value, note in cards
        )
        + "</ul>"
    )


def _local(p: _Page, at: str) -> str:
    """A moment on the wall clock of the zone; as it stands where it is none."""
    try:
        found = datetime.fromisoformat(at.replace("Z", "+00:00"))
    except ValueError:
        return at
    here = (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(ZoneInfo(p.beside.zone))
    return f"{p.t.day(here.date().isoformat())}, {here:%H:%M %Z}"


def _lost(p: _Page) -> str:
    """What holds data, what is nowhere else first, each with what can be restored of it."""
    t, parts = p.t, []
    for choice in CHOICES[:-1]:
        found = [item for item in p.plan.items if item.choice == choice]
        rows = []
        for item in sorted(found, key=lambda item: (-item.ref.size_gib, item.ref.key)):
            last = p.beside.last.get(item.ref.key, Last())
            rows.append(
                [
                    joined([name(item.name), f"<code>{text(item.ref.id)}</code>"], "<br>"),
                    text(t.kind(item.ref.kind)),
                    text(t.size(item.ref.size_gib)) if item.ref.size_gib else "",
                    text(t.moment(last.written)) if last.written else text(t("unknown")),
                    text(t.moment(last.backed_up)) if last.backed_up else text(t("unknown")),
                    _told(t, item.restorable),
                    _told(t, item.why),
                ]
            )
        size = sum(item.ref.size_gib for item in found)
        title = t.labelled(t(f"choice {choice}"), f"{t.count(len(found), 'object')}, {t.size(size)}")
        heads = [t("Object"), t("Kind"), t("Size"), t("Last write"), t("Last backup"), t("Can be restored"), t("Why")]
        parts.append(_table(title, heads, rows))
    return joined(parts)


def _residue(p: _Page) -> str:
    t = p.t
    rows = [
        [
            text(t.kind(item.ref.kind)),
            joined([name(item.name), f"<code>{text(item.ref.id)}</code>"], " "),
            _told(t, item.restorable),
            _told(t, item.why),
        ]
        for item in p.plan.items
        if item.choice == "residue"
    ]
    title = t.count(len(rows), "object")
    return _table(title, [t("Kind"), t("Object"), t("Can be restored"), t("Why")], rows)


def _kept(p: _Page) -> str:
    t = p.t
    rows = [
        [
            text(t.kind(kept.kind)),
            joined([name(kept.name), f"<code>{text(kept.id)}</code>"], " "),
            f'<span class="pill">{text(t(f"kept {kept.reason}"))}</span>',
            _told(t, kept.detail),
            text(t.day(kept.until)) if kept.until else "",
        ]
        for kept in p.plan.kept
        if kept.reason != "not_an_object"
    ]
    parts = len(p.plan.kept) - len(rows)
    note = t(
        "And {entries} that nothing is to be deleted for: quotas, details, parts.", entries=t.count(parts, "object")
    )
    return joined(
        [
            _table(t.count(len(rows), "object"), [t("Kind"), t("Object"), t("Reason"), t("Why"), t("Until")], rows),
            f'<p class="quiet">{text(note)}</p>' if parts else "",
        ]
    )


def _timers(p: _Page) -> str:
    t = p.t
    rows = [
        [
            f"<code>{text(timer.rule)}</code>",
            text(t(f"bound {timer.bound}")),
            joined([text(_local(p, timer.at)), f'<span class="quiet">{text(timer.at)}</span>'], "<br>"),
            _told(t, timer.basis),
        ]
        for timer in sorted(p.plan.timers, key=lambda timer: (timer.bound != "not_before", timer.at, timer.rule))
    ]
    lacking = "".join(f"<li>{_told(t, entry)}</li>" for entry in p.beside.unknown)
    asked = t(
        "The customer must know until {day} if the transition is not feasible.", day=t.day(p.beside.feasible_until)
    )
    return joined(
        [
            _table("", [t("Rule"), t("Bound"), t("Moment"), t("Basis")], rows),
            f"<p>{text(t('Not known yet'))}</p><ul>{lacking}</ul>" if lacking else "",
            f'<p class="quiet">{text(asked)}</p>' if p.beside.feasible_until else "",
        ]
    )


def _gates(p: _Page) -> str:
    t = p.t
    rows = [
        [
            text(gate.name),
            _state(t, gate.open),
            _told(t, gate.why),
        ]
        for gate in p.beside.gates
    ]
    return _table("", [t("Gate"), t("State"), t("Why")], rows)


def _state(t: Words, is_open: bool) -> str:
    said = t("It is open") if is_open else t("It is closed")
    return f'<span class="{"good" if is_open else "bad"}">{text(said)}</span>'


def _waivers(p: _Page) -> str:
    t = p.t
    rows = [
        [
            text(waiver.gate),
            text(", ".join(waiver.objects)) if waiver.objects else text(t("all objects")),
            joined([text(waiver.by), text(t.moment(waiver.at) if "T" in waiver.at else t.day(waiver.at))], "<br>"),
            text(waiver.why),
        ]
        for waiver in p.plan.waivers
    ]
    return _table("", [t("Gate"), t("Objects"), t("Who and when"), t("Why")], rows)


def _signing(p: _Page) -> str:
    t, approvals = p.t, p.plan.approvals
    roles = ", ".join(t(f"role {role}") for role in approvals.roles)
    said = [
        t("{people} different people must sign.", people=approvals.needed),
        t.labelled(t("Among them"), roles) if roles else "",
        t("What is signed is the file of the plan, byte for byte. Its digest is at the end of this page."),
        t("An API deletion is no sanitisation of media; there is no recycle bin."),
    ]
    return "".join(f"<p>{text(line)}</p>" for line in said if line)


def _told(t: Words, given: str) -> str:
    """Markup: texts of the plan that are joined by semicolons, each in the language of the page where it is known."""
    return "; ".join(t.told(part) for part in given.split("; ")) if given else ""


def _table(title: str, heads: Iterable[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; cells are markup. Nothing where there are no rows."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{text(entry)}</th>' for entry in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    caption = f"<caption>{text(title)}</caption>" if title else ""
    return f'<div class="scroll"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
