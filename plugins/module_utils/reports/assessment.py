# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The assessment report: what a tenant has, what can move, what blocks, what must be decided, and how long it takes.

One HTML page for the meeting with the customer, made from the assessment alone: the same document gives the same bytes.
It needs nothing but itself, and is whole without its script. What is not known is shown as that and is never green.
"""

from __future__ import annotations

import functools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import graph
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.markup import joined, name, page, text
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.script import SCRIPT
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.style import ASSESSED, STYLE
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.words import (
    LANGUAGES,
    NAMES,
    Language,
    Words,
)

READINESS: tuple[assessments.Readiness, ...] = ("ready", "ready_with_changes", "not_ready", "unknown")
SIGNS = graph.SIGNS
SUBJECTS = 12
"""Objects of a finding that are shown at once; the others unfold."""
MOST_ROWS = 2000
"""Rows of one table; what is beyond is in the tables beside the report."""


@dataclass(frozen=True)
class _Page:
    a: assessments.Assessment
    t: Words
    stem: str

    @functools.cached_property
    def by_rule(self) -> Mapping[tuple[str, str], Sequence[estates.Finding]]:
        return _by_rule(self.a.findings)


def render(assessment: assessments.Assessment, language: Language, *, stem: str = "") -> str:
    """The page. `stem`: how the names of the files beside it begin; empty where there are none."""
    p = _Page(assessment, Words(language), stem)
    sections = [
        ("readiness", p.t("What can move"), _readiness(p)),
        ("blocks", p.t("What blocks"), _rules(p, "blocker")),
        ("decide", p.t("What must be decided"), _decisions(p)),
        ("fill", p.t("What is still to be filled in"), _to_fill(p)),
        ("unread", p.t("What could not be read"), _unread(p)),
        ("workloads", p.t("Workloads"), _workloads(p)),
        ("graph", p.t("What depends on what"), _dependencies(p)),
        ("groups", p.t("Move groups"), _groups(p)),
        ("waves", p.t("Waves, and how long they take"), _waves(p)),
        ("objects", p.t("Everything else, and what becomes of it"), _objects(p)),
        ("behind", p.t("What will be left behind"), _behind(p)),
        ("warnings", p.t("What somebody must act on or know"), _rules(p, "warning")),
        ("information", p.t("For information"), _rules(p, "information")),
        ("drift", p.t("What changed since the reading before"), _drift(p)),
    ]
    present = [(anchor, title, body) for anchor, title, body in sections if body]
    contents = "".join(f'<li><a href="#{anchor}">{text(title)}</a></li>' for anchor, title, dummy in present)
    body = [
        f'<a class="skip" href="#main">{text(p.t("To the content"))}</a><main class="wide" id="main">',
        _header(p),
        _cards(p),
        f'<nav class="contents-box" aria-label="{text(p.t("Contents"))}"><section><ol class="contents">{contents}</ol>'
        "</section></nav>",
        *(f'<section id="{anchor}"><h2>{text(title)}</h2>{body}</section>' for anchor, title, body in present),
        _footer(p),
        "</main>",
    ]
    title = p.t("Assessment of {tenant}", tenant=assessment.name)
    return page(title, joined(body), style=STYLE + ASSESSED, language=language, script=SCRIPT)


def by_readiness(workloads: Iterable[assessments.Workload]) -> dict[assessments.Readiness, int]:
    """How many workloads there are of each readiness, all four of them."""
    found = Counter(workload.readiness for workload in workloads)
    return {readiness: found[readiness] for readiness in READINESS}


def unread(assessment: assessments.Assessment) -> list[estates.Service]:
    """The services that could not be read, or only in part."""
    return [service for service in assessment.services if service.state in ("not_read", "partial")]


def complete(assessment: assessments.Assessment) -> bool:
    """Whether all that the cloud has of the tenant was read."""
    return not unread(assessment) and not {"not_read", "partial"}.intersection(assessment.read.values())


def sized(assessment: assessments.Assessment) -> bool:
    """Whether the volumes of all workloads are known, so that their sum is one."""
    return assessment.read.get("volumes", "complete") == "complete" and not any(
        "disks" in w.missing for w in assessment.workloads
    )


def at_least(words: Words, gib: float, known: bool) -> str:
    """Markup of a sum of sizes; where not all that it is made of is known, it says so."""
    if known:
        return text(words.size(gib))
    if not gib:
        return f"<small>{text(words('not known'))}</small>"
    return f"{text(words.size(gib))}<small> {text(words('at least'))}</small>"


def _by_rule(findings: Iterable[estates.Finding]) -> dict[tuple[str, str], list[estates.Finding]]:
    found: dict[tuple[str, str], list[estates.Finding]] = defaultdict(list)
    for finding in findings:
        found[finding.severity, finding.rule].append(finding)
    return dict(sorted(found.items()))


# ---- the parts of pages that others use too ----


def pill(kind: str, label: str) -> str:
    """A label with a background; its words and sign say what the colour says."""
    return f'<span class="pill {kind}">{text(label)}</span>'


def readiness_pill(readiness: assessments.Readiness, words: Words) -> str:
    return pill(readiness, f"{SIGNS[readiness]} {words(readiness)}")


def readiness_bar(found: Mapping[assessments.Readiness, int]) -> str:
    """Shares of a whole as one bar. For the eye only: the numbers are in the text beside it."""
    whole = sum(found.values())
    if not whole:
        return ""
    at, rects = 0.0, []
    for readiness in READINESS:
        width = 1000 * found[readiness] / whole
        if width:
            rects.append(f'<rect class="{readiness}" x="{at:.1f}" width="{width:.1f}" height="22"/>')
        at += width
    return (
        f'<svg class="state" viewBox="0 0 1000 22" preserveAspectRatio="none" aria-hidden="true">{"".join(rects)}</svg>'
    )


HATCH = (
    '<svg width="0" height="0" class="sr" aria-hidden="true"><defs>'
    '<pattern id="hatch" class="hatch" width="8" height="8" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect width="8" height="8"/><path d="M0 0V8"/></pattern></defs></svg>'
)
"""The pattern of what is not known; once a page."""


def cards(entries: Iterable[tuple[str, str, str]]) -> str:
    """Key figures: label, value, remark, all as markup."""
    items = "".join(
        f'<li><span class="label">{label}</span><strong>{value}</strong><span class="quiet">{extra}</span></li>'
        for label, value, extra in entries
    )
    return f'<ul class="cards">{items}</ul>'


def table(
    heads: Sequence[tuple[str, bool]], rows: Iterable[str], *, label: str, identity: str = "", sortable: bool = False
) -> str:
    """A table that scrolls by itself where it is wider than the screen. heads: title, and whether it holds numbers."""
    head = "".join(f'<th scope="col"{" class=num" if number else ""}>{text(title)}</th>' for title, number in heads)
    kind = ' class="sortable"' if sortable else ""
    given = f' id="{identity}"' if identity else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(label)}"><table{kind}{given}>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def number_cell(shown: str, value: float) -> str:
    return f'<td class=num data-v="{value:g}">{shown}</td>'


def filter_tools(words: Words, table_id: str, choices: Iterable[tuple[str, str, Iterable[tuple[str, str]]]]) -> str:
    """Search and choices for a table; hidden until the script is there. choices: label, what of a row, its values."""
    selects = "".join(
        f'<label>{text(label)}<select data-by="{by}"><option value="">{text(words("all"))}</option>'
        + "".join(f'<option value="{text(value)}">{text(title)}</option>' for value, title in values)
        + "</select></label>"
        for label, by, values in choices
    )
    said = text(words("# of # shown"))
    return (
        f'<div class="tools filter" data-table="{table_id}" hidden><label>{text(words("Search in the table"))}'
        f'<input type="search" autocomplete="off"></label>{selects}<p role="status" data-text="{said}"></p></div>'
    )


def tongues(words: Words, files: Mapping[Language, str]) -> str:
    """Links to the same page in other languages."""
    links = "".join(
        f'<a href="{quote(files[language])}" hreflang="{language}" lang="{language}">{NAMES[language]}</a>'
        for language in LANGUAGES
        if language != words.language and language in files
    )
    return f'<nav class="tongues" aria-label="{text(words("Languages"))}">{links}</nav>' if links else ""


# ---- sections ----


def _header(p: _Page) -> str:
    a, t = p.a, p.t
    files = {language: f"{p.stem}.assessment.{language}.html" for language in LANGUAGES} if p.stem else {}
    place = [name(a.tenant.project_name or a.tenant.project_id), *([text(a.tenant.region)] if a.tenant.region else [])]
    target = f' <span aria-hidden="true" class="arrow">→</span> {text(t(f"target {a.target}"))}' if a.target else ""
    verdicts = "".join(f'<li class="verdict {kind}">{text(said)}</li>' for kind, said in _verdicts(p))
    until = text(t.labelled(t("To be left by"), t.day(a.deadline))) if a.deadline else text(t("No deadline is given."))
    return (
        f"{HATCH}{tongues(t, files)}"
        f'<header><p class="over">{text(t("Assessment report"))}</p><h1>{name(a.name)}</h1>'
        f'<p class="route">{" · ".join(place)}{target}</p><ul class="verdicts">{verdicts}</ul>'
        f'<p class="quiet">{until}</p></header>'
    )


def _verdicts(p: _Page) -> list[tuple[str, str]]:
    """What to take home, at most four sentences. Good only where everything is known to be good."""
    a, t = p.a, p.t
    found, whole = by_readiness(a.workloads), len(a.workloads)
    said = []
    if not complete(a):
        said.append(("unknown", t("Not all of the tenant could be read: there may be more than is listed here")))
    if found["not_ready"]:
        said.append(
            ("bad", t.labelled(t("Cannot move as they are"), t("{n} of {all}", n=found["not_ready"], all=whole)))
        )
    if found["unknown"]:
        said.append(
            (
                "unknown",
                t.labelled(t("Cannot be judged for lack of data"), t("{n} of {all}", n=found["unknown"], all=whole)),
            )
        )
    wanted = waiting(a)
    if wanted:
        said.append(("plain", t.labelled(t("Decisions wanted from the customer"), t.number(wanted))))
    if said:
        return said
    if not whole:
        return [("plain", t("There are no servers in this tenant"))]
    if found["ready"] == whole:
        return [("good", t("Everything is read, and every workload can move as it is"))]
    return [
        ("plain", t("Everything is read, and every workload can move, {n} with changes", n=found["ready_with_changes"]))
    ]


def waiting(a: assessments.Assessment) -> int:
    """Workloads and other objects that somebody must still decide about."""
    undecided = sum(w.answer in ("open", "refused") or w.destination == "customer" for w in a.workloads)
    return undecided + sum(item.decision == "customer" for item in a.items)


def _cards(p: _Page) -> str:
    a, t = p.a, p.t
    found, whole = by_readiness(a.workloads), len(a.workloads)
    moving = [w for w in a.workloads if w.move != "none"]
    of = f"<small> {text(t('of {n}', n=whole))}</small>"
    others = sum(1 for item in a.items if item.kind != "servers")
    expected, late = sum(w.seconds for w in a.waves), sum(w.seconds_late for w in a.waves)
    unplaced = sum(1 for w in moving if not w.wave)
    forecast = text(t.duration(expected)) if a.waves else "–"
    remark = text(t("nine of ten take at most {time}", time=t.duration(late))) if a.waves else ""
    if unplaced:
        remark = joined([remark, text(t("{n} more are in no wave", n=unplaced))], "<br>")
    return cards(
        [
            (
                text(t("Workloads")),
                text(t.number(whole)),
                text(f"{t.count(sum(w.cpus for w in a.workloads), 'vCPU')}, "
                     f"{t.size(sum(w.memory_mib for w in a.workloads) / 1024)} {t('of memory')}"),
            ),
            (
                text(t("Volumes")),
                at_least(t, sum(w.disk_gib for w in a.workloads), sized(a)),
                text(t.count(sum(w.disks for w in a.workloads), "volume")),
            ),
            (text(t("Ready")), f"{text(t.number(found['ready']))}{of}",
             text(t("and {n} with changes", n=found["ready_with_changes"]))),
            (text(t("Not ready")), f"{text(t.number(found['not_ready']))}{of}",
             text(t.labelled(t("rules that block"), t.number(len([key for key in p.by_rule if key[0] == "blocker"]))))),
            (text(t("Not known")), f"{text(t.number(found['unknown']))}{of}", text(t("for lack of data"))),
            (text(t("Drafted to move")), f"{text(t.number(len(moving)))}{of}",
             text(t.size(sum(w.disk_gib for w in moving)))),
            (text(t("Time in waves")), forecast, remark),
            (
                text(t("Other objects")),
                text(t.number(others)) + ("" if complete(a) else f"<small> {text(t('at least'))}</small>"),
                text(t.count(len({item.kind for item in a.items}), "kind")),
            ),
        ]
    )  # fmt: skip


def _readiness(p: _Page) -> str:
    t, found = p.t, by_readiness(p.a.workloads)
    whole = sum(found.values())
    if not whole:
        return f'<p class="quiet">{text(t("There are no servers in this tenant"))}.</p>'
    meanings = {
        "ready": t("All that matters is known, and nothing has to be changed."),
        "ready_with_changes": t("It can move; what changes is under what somebody must act on or know."),
        "not_ready": t("Something must be done before it can move."),
        "unknown": t("Facts are missing that a judgement needs. It counts as not ready until they are known."),
    }
    entries = "".join(
        f"<li>{readiness_pill(readiness, t)} <b>{text(t.number(found[readiness]))}</b> "
        f"({text(t.percent(round(100 * found[readiness] / whole)))})"
        f'<br><span class="quiet">{text(meanings[readiness])}</span></li>'
        for readiness in READINESS
    )
    missing = Counter(fact for w in p.a.workloads for fact in w.missing)
    facts = ""
    if missing:
        rows = "".join(
            f"<li>{text(t(f'fact {fact}'))} ({text(t.number(count))})</li>" for fact, count in sorted(missing.items())
        )
        facts = f"<h3>{text(t('What is not known'))}</h3><ul class=names>{rows}</ul>"
    return f'{readiness_bar(found)}<ul class="legend">{entries}</ul>{facts}'


def _rules(p: _Page, severity: str) -> str:
    found = [(rule, findings) for (level, rule), findings in p.by_rule.items() if level == severity]
    if not found:
        return f"<p>{text(p.t('Nothing.'))}</p>" if severity == "blocker" and complete(p.a) else ""
    found.sort(key=lambda entry: (-len(entry[1]), entry[0]))
    items = "".join(_rule(p, severity, rule, findings) for rule, findings in found)
    return f'<ul class="rules">{items}</ul>'


def _rule(p: _Page, severity: str, rule: str, findings: Sequence[estates.Finding]) -> str:
    t = p.t
    gap = any(finding.data_gap for finding in findings)
    said = {(f.seen, f.seen_fr) for f in findings}
    todo = dict.fromkeys((f.action, f.action_fr) for f in findings if f.action)
    if len(said) == 1:
        seen, seen_fr = next(iter(said))
        first = f"<p>{t.either(seen, seen_fr)}</p>"
        subjects = [_subject(t, f.subject) for f in findings]
    else:
        first = ""
        subjects = [f"{_subject(t, f.subject)} – {t.either(f.seen, f.seen_fr)}" for f in findings]
    actions = "".join(
        f"<p><b>{text(t.labelled(t('What to do'), ''))}</b>{t.either(action, action_fr)}</p>"
        for action, action_fr in list(todo)[:3]
    )
    label = t("data gap") if gap else t(severity)
    return (
        f'<li class="{severity}{" gap" if gap else ""}"><h3>{pill_tag(label)} <code>{text(rule)}</code> '
        f"<span class=quiet>{text(t.count(len(findings), 'finding'))}</span></h3>"
        f"{first}{actions}{_list(p, subjects)}</li>"
    )


def pill_tag(label: str) -> str:
    return f'<span class="tag">{text(label)}</span>'


def _subject(t: Words, subject: estates.Subject) -> str:
    if subject.name or subject.id:
        shown = name(subject.name or subject.id)
        return (
            shown if subject.kind == "servers" else f"{shown} <span class=quiet>({text(t.kind(subject.kind))})</span>"
        )
    return text(t.kind(subject.kind))


def _list(p: _Page, entries: Sequence[str]) -> str:
    def listed(part: Sequence[str]) -> str:
        return f"<ul class=names>{''.join(f'<li>{entry}</li>' for entry in part)}</ul>"

    if len(entries) <= SUBJECTS:
        return listed(entries)
    rest = entries[SUBJECTS:MOST_ROWS]
    more = p.t("{n} more", n=len(entries) - SUBJECTS)
    return f"{listed(entries[:SUBJECTS])}<details><summary>{text(more)}</summary>{listed(rest)}</details>"


def _decisions(p: _Page) -> str:
    t = p.t
    parts = []
    for answer, title in (
        ("open", t("No answer yet: these workloads wait")),
        ("refused", t("The customer said no to the proposal")),
    ):
        proposals: dict[str, list[assessments.Workload]] = defaultdict(list)
        for w in p.a.workloads:
            if w.answer == answer:
                proposals[w.destination].append(w)
        if proposals:
            entries = "".join(
                f"<li><b>{text(t.labelled(t('Proposed'), t(destination)))}</b> "
                f"<span class=quiet>{text(t.count(len(found), 'workload'))}</span>"
                f"{_list(p, [_with_reasons(t, w) for w in found])}</li>"
                for destination, found in sorted(proposals.items())
            )
            parts.append(f"<h3>{pill(answer, t(answer))} {text(title)}</h3><ul class=rules>{entries}</ul>")
    undecided = [w for w in p.a.workloads if w.destination == "customer" and w.answer not in ("open", "refused")]
    if undecided:
        parts.append(f"<h3>{text(t('The customer decides where these go'))}</h3>")
        parts.append(_list(p, [_with_reasons(t, w) for w in undecided]))
    items: dict[str, list[assessments.Item]] = defaultdict(list)
    for item in p.a.items:
        if item.decision == "customer":
            items[item.kind].append(item)
    if items:
        entries = "".join(
            f"<li><b>{text(t.kind(kind))}</b> <span class=quiet>{text(_stored(t, found))}</span> "
            f"{_notes(t, found)}{_list(p, [_item(t, item) for item in found])}</li>"
            for kind, found in items.items()
        )
        title = t("Objects that wait for the customer's word")
        parts.append(f"<h3>{text(title)}</h3><ul class=rules>{entries}</ul>")
    return "".join(parts)


def _with_reasons(t: Words, w: assessments.Workload) -> str:
    if t.language == "fr" and len(w.reasons_fr) == len(w.reasons):
        pairs = zip(w.reasons, w.reasons_fr, strict=True)
        reasons = "; ".join(t.either(reason, other if other != reason else "") for reason, other in pairs)
    else:
        reasons = "; ".join(t.told(reason) for reason in w.reasons)
    return name(w.name or w.host) + (f" <span class=quiet>– {reasons}</span>" if reasons else "")


def _stored(t: Words, items: Sequence[assessments.Item]) -> str:
    gib = sum(item.size_gib for item in items)
    return t.count(len(items), "object") + (f", {t.size(gib)}" if gib else "")


def _notes(t: Words, items: Sequence[assessments.Item]) -> str:
    notes = sorted({item.note for item in items if item.note})
    return "".join(f"<p>{t.told(note)}</p>" for note in notes[:3])


def _item(t: Words, item: assessments.Item) -> str:
    size = f" <span class=quiet>{text(t.size(item.size_gib))}</span>" if item.size_gib else ""
    return name(item.name or item.id) + size


def _to_fill(p: _Page) -> str:
    if not p.a.to_fill:
        return ""
    entries = "".join(f"<li><code>{p.t.told(entry)}</code></li>" for entry in p.a.to_fill[:MOST_ROWS])
    return f"<p>{text(p.t('The plan cannot be used before these places are filled in.'))}</p><ul>{entries}</ul>"


def _unread(p: _Page) -> str:
    a, t = p.a, p.t
    services = unread(a)
    kinds_left = [kind for kind, state in a.read.items() if state in ("not_read", "partial")]
    listed = {kind for service in services for kind in service.kinds}
    absent = [service.name for service in a.services if service.state == "absent"]
    because: dict[str, list[str]] = defaultdict(list)
    for finding in a.findings:
        if not finding.subject.id and finding.data_gap:
            because[finding.subject.kind].append(t.either(finding.seen, finding.seen_fr))
    rows = []
    for title, state, parts in [
        *((name(service.name), service.state, service.kinds) for service in services),
        *((text(t.kind(kind)), a.read[kind], [kind]) for kind in kinds_left if kind not in listed),
    ]:
        affected = [kind for kind in parts if a.read.get(kind) in ("not_read", "partial")]
        what = ", ".join(text(t.kind(kind)) for kind in affected) or text(t("nothing here can read it"))
        why = "<br>".join(dict.fromkeys(reason for kind in affected for reason in because[kind]))
        rows.append(
            f'<tr><th scope="row">{title}</th><td>{pill(state, t(f"read {state}"))}</td>'
            f"<td>{what}</td><td>{why}</td></tr>"
        )
    gone = ""
    if absent:
        gone = f'<p class="quiet">{text(t.labelled(t("The cloud does not have here"), ", ".join(sorted(absent))))}</p>'
    if not rows:
        return f"<p>{text(t('Every service that the cloud names was read completely.'))}</p>{gone}"
    heads = [(t("Service"), False), (t("State"), False), (t("Missing"), False), (t("Why"), False)]
    said = t("What these hold is not in this report. An empty list and one that could not be read are not the same.")
    return f"<p>{text(said)}</p>{table(heads, rows, label=t('What could not be read'))}{gone}"


def _workloads(p: _Page) -> str:
    a, t = p.a, p.t
    if not a.workloads:
        return ""
    heads = [
        (t("Workload"), False),
        (t("Readiness"), False),
        (t("System"), False),
        (t("vCPU"), True),
        (t("Memory"), True),
        (t("Volumes"), True),
        (t("Destination"), False),
        (t("Move group"), False),
        (t("Wave"), False),
    ]
    rows = [_workload(p, w) for w in a.workloads[:MOST_ROWS]]
    used = {w.destination for w in a.workloads}
    tools = filter_tools(
        t,
        "t-workloads",
        [
            (t("Readiness"), "r", [(readiness, t(readiness)) for readiness in READINESS]),
            (t("Destination"), "d", [(destination, t(destination)) for destination in sorted(used)]),
        ],
    )
    return (
        tools + table(heads, rows, label=t("Workloads"), identity="t-workloads", sortable=True) + _cut(p, a.workloads)
    )


def _cut(p: _Page, entries: Sequence[object]) -> str:
    if len(entries) <= MOST_ROWS:
        return ""
    said = p.t("{n} more are in the tables beside this report.", n=len(entries) - MOST_ROWS)
    return f'<p class="quiet">{text(said)}</p>'


def _workload(p: _Page, w: assessments.Workload) -> str:
    t = p.t
    missing = ""
    if w.missing:
        facts = ", ".join(text(t(f"fact {fact}")) for fact in w.missing)
        missing = f"<br><span class=quiet>{text(t.labelled(t('not known'), ''))}{facts}</span>"
    sure = f"<br><span class=quiet>{text(t('{n} of the facts', n=t.percent(w.confidence)))}</span>"
    cpus = _resized(t.number(w.cpus), t.number(w.target_cpus) if w.target_cpus else "")
    memory = _resized(t.size(w.memory_mib / 1024), t.size(w.target_memory_mib / 1024) if w.target_memory_mib else "")
    answer = "" if w.answer == "not_asked" else f"<br>{pill(w.answer, t(w.answer))}"
    moves = "" if w.move == "none" else f"<br><span class=quiet>{text(t('drafted to move'))}</span>"
    addresses = ", ".join(w.addresses[:4]) + (", …" if len(w.addresses) > 4 else "")
    size = t("not known") if "disks" in w.missing else t.size(w.disk_gib)
    os = text(w.os) if w.os else f"<span class=quiet>{text(t('not known'))}</span>"
    return (
        f'<tr data-r="{w.readiness}" data-d="{w.destination}"><th scope="row">{name(w.name or w.host)}'
        f"<br><span class=quiet>{text(addresses)}</span></th><td>{readiness_pill(w.readiness, t)}{sure}{missing}</td>"
        f"<td>{os}<br><span class=quiet>{text(w.status)}</span></td>{number_cell(cpus, w.cpus)}"
        f"{number_cell(memory, w.memory_mib)}"
        f"{number_cell(text(f'{w.disks} · {size}'), w.disk_gib)}"
        f"<td>{text(t(w.destination))}{answer}{moves}</td><td>{text(w.group or '–')}</td>"
        f"<td>{text(w.wave or '–')}</td></tr>"
    )


def _resized(before: str, after: str) -> str:
    return text(before) if after in ("", before) else f"{text(before)} → {text(after)}"


def _dependencies(p: _Page) -> str:
    a, t = p.a, p.t
    if not a.workloads:
        return ""
    if not a.edges:
        said = t("Nothing was found that joins workloads. That nothing is known does not mean that there is nothing.")
        return f"<p>{text(said)}</p>"
    title = t("Dependencies between workloads: {edges} between {n}. The table below says the same.",
              edges=t.count(len(a.edges), "dependency"), n=t.count(len(a.workloads), "workload"))  # fmt: skip
    told = t("Workloads stand on a ring, those of a move group side by side. Lines join what depends on each other.")
    drawing = graph.draw(a, t, title)
    known = {w.host: w for w in a.workloads}
    parts = []
    if drawing.svg:
        picks = "".join(
            f'<option value="{number}">{text(graph.cut(known[host].name or host, 50))}</option>'
            for number, host in enumerate(drawing.shown)
        )
        parts += [
            f"<p>{text(told)}</p>",
            _key(t),
            f'<div class="tools zoom" data-drawing="drawing" hidden><label>{text(t("Show what joins"))}<select>'
            f'<option value="">{text(t("all"))}</option>{picks}</select></label>'
            + "".join(
                f'<button type="button" data-act="{act}">{text(label)}</button>'
                for act, label in (
                    ("in", t("Larger")),
                    ("out", t("Smaller")),
                    ("fit", t("Fit to width")),
                    ("full", t("Full size")),
                )
            )
            + "</div>",
            '<div class="drawing" id="drawing" tabindex="0" role="region" '
            f'aria-label="{text(t("Drawing of the dependencies"))}">{drawing.svg}</div>',
        ]
    if drawing.left_out:
        parts.append(
            f"<p class=quiet>{text(t.labelled(t('Weaker dependencies that are not drawn'), str(drawing.left_out)))}</p>"
        )
    if drawing.alone:
        names = [name(known[host].name or host) for host in drawing.alone]
        said = t.labelled(t("Workloads that nothing known joins to another"), t.number(len(names)))
        parts.append(f"<details><summary>{text(said)}</summary>{_list(p, names)}</details>")
    rows = [_edge_row(t, edge, known) for edge in a.edges[:MOST_ROWS]]
    heads = [(t("From"), False), (t("To"), False), (t("Joined by"), False), (t("What"), False), (t("Weight"), True)]
    parts.append(
        f"<details><summary>{text(t('The dependencies as a table'))}</summary>"
        f"{table(heads, rows, label=t('The dependencies as a table'), sortable=True)}{_cut(p, a.edges)}</details>"
    )
    return "".join(parts)


def _key(t: Words) -> str:
    def line(kind: str, label: str) -> str:
        drawn = (
            f'<svg class="keyline" viewBox="0 0 44 12" aria-hidden="true"><path class="edge {kind}" d="M0 6H44"/></svg>'
        )
        return f"<li>{drawn}{text(label)}</li>"

    signs = "".join(f"<li>{readiness_pill(readiness, t)}</li>" for readiness in READINESS)
    return (
        f'<ul class="keys">{line("hard", t("must cut over together"))}{line("", t("inside a move group"))}'
        f"{line('out', t('between move groups'))}<li>▸ {text(t('talks to'))}</li>{signs}</ul>"
    )


def _edge_row(t: Words, edge: assessments.Edge, known: Mapping[str, assessments.Workload]) -> str:
    ends = [name(known[end].name or end) if end in known else name(end) for end in (edge.a, edge.b)]
    how = t("must cut over together") if edge.hard else ""
    why = text(t(f"why {edge.why}")) + (f"<br><span class=quiet>{text(how)}</span>" if how else "")
    arrow = "→ " if edge.directed else "– "
    return (
        f'<tr><th scope="row">{ends[0]}</th><td><span aria-hidden="true">{arrow}</span>{ends[1]}</td><td>{why}</td>'
        f"<td>{name(edge.detail)}</td>{number_cell(text(t.number(edge.weight)), edge.weight)}</tr>"
    )


def _groups(p: _Page) -> str:
    a, t = p.a, p.t
    if not a.groups:
        return ""
    known = {w.host: w for w in a.workloads}
    rows = []
    for group in a.groups[:MOST_ROWS]:
        members = [known[host] for host in group.hosts if host in known]
        found = by_readiness(members)
        states = ", ".join(f"{t.number(found[state])} {t(state)}" for state in READINESS if found[state])
        names = _list(p, [name(w.name or w.host) for w in members])
        rows.append(
            f'<tr><th scope="row">{name(group.name)}</th>'
            f"{number_cell(text(t.number(len(group.hosts))), len(group.hosts))}"
            f"{number_cell(text(t.size(group.disk_gib)), group.disk_gib)}<td>{text(states)}</td>"
            f"<td>{name(group.wave) if group.wave else '–'}</td>{number_cell(text(t.number(group.cut)), group.cut)}"
            f"<td><details><summary>{text(t.count(len(members), 'workload'))}</summary>{names}</details></td></tr>"
        )
    heads = [
        (t("Move group"), False),
        (t("Workloads"), True),
        (t("Volumes"), True),
        (t("Readiness"), False),
        (t("Wave"), False),
        (t("Dependencies that lead out"), True),
        (t("Which"), False),
    ]
    said = t(
        "Workloads of a move group cut over together. What leads out works across both sites until the other end moves."
    )
    return f"<p>{text(said)}</p>{table(heads, rows, label=t('Move groups'), sortable=True)}{_cut(p, a.groups)}"


def _waves(p: _Page) -> str:
    a, t = p.a, p.t
    moving = [w for w in a.workloads if w.move != "none"]
    unplaced = [w for w in moving if not w.wave]
    parts = []
    if a.waves:
        heads = [
            (t("Wave"), False),
            (t("Window"), False),
            (t("Workloads"), True),
            (t("To copy"), True),
            (t("Expected"), True),
            (t("Nine of ten at most"), True),
            (t("Fits"), False),
            (t("Bound by"), False),
        ]
        parts.append(table(heads, [_wave(t, wave) for wave in a.waves], label=t("Waves"), sortable=True))
        expected, late = sum(w.seconds for w in a.waves), sum(w.seconds_late for w in a.waves)
        total = t(
            "Together {expected}; nine of ten times at most {late}.",
            expected=t.duration(expected),
            late=t.duration(late),
        )
        parts.append(f"<p><b>{text(total)}</b></p>")
        if any(not wave.measured for wave in a.waves):
            said = t("Rates that are stated and not measured can be wrong by a lot: rehearse.")
            parts.append(f"<p class=quiet>{text(said)}</p>")
    elif not moving:
        return f"<p>{text(t('Nothing is drafted to move yet, so there is no forecast.'))}</p>" if a.workloads else ""
    if unplaced:
        said = t("Drafted to move, but in no wave; no time is counted for: {n}", n=t.count(len(unplaced), "workload"))
        parts.append(f"<p>{pill('unknown', '? ' + t('unknown'))} {text(said)}</p>")
        parts.append(_list(p, [name(w.name or w.host) for w in unplaced]))
    return "".join(parts)


def _wave(t: Words, wave: assessments.Wave) -> str:
    window = text(t.moment(wave.start)) if wave.start else f"<span class=quiet>{text(t('not set'))}</span>"
    if wave.window_s:
        window += f"<br><span class=quiet>{text(t.duration(wave.window_s))}</span>"
    if wave.fits is None:
        fits = pill("unknown", f"? {t('no window')}")
    else:
        fits = pill("fits", f"✓ {t('fits')}") if wave.fits else pill("late", f"✗ {t('too long')}")
    rate = ""
    if wave.rate_mib_s:
        how = t("measured") if wave.measured else t("stated")
        rate = f"{t.number(wave.rate_mib_s)} {'Mio' if t.language == 'fr' else 'MiB'}/s, {how}"
    groups = ", ".join(name(group) for group in wave.groups[:6]) + (", …" if len(wave.groups) > 6 else "")
    bound = text(t(f"bound {wave.bound_by}")) if wave.bound_by else "–"
    return (
        f'<tr><th scope="row">{name(wave.name)}<br><span class=quiet>{groups}</span></th><td>{window}</td>'
        f"{number_cell(text(t.number(wave.workloads)), wave.workloads)}"
        f"{number_cell(text(t.size(wave.disk_gib)), wave.disk_gib)}"
        f"{number_cell(text(t.duration(wave.seconds)), wave.seconds)}"
        f"{number_cell(text(t.duration(wave.seconds_late)), wave.seconds_late)}<td>{fits}</td>"
        f"<td>{bound}<br><span class=quiet>{text(rate)}</span></td></tr>"
    )


def _objects(p: _Page) -> str:
    a, t = p.a, p.t
    items: dict[str, list[assessments.Item]] = defaultdict(list)
    for item in a.items:
        items[item.kind].append(item)
    order = [
        kind
        for kind in kinds.KINDS
        if items.get(kind) or a.counts.get(kind) or a.read.get(kind) in ("not_read", "partial")
    ]
    order += sorted(kind for kind in items if kind not in kinds.KINDS)
    rows = [_kind_row(p, kind, items.get(kind, [])) for kind in order if kind != "servers"]
    if not rows:
        return ""
    none = sum(1 for kind, count in a.counts.items() if not count and a.read.get(kind) == "complete")
    heads = [
        (t("Kind"), False),
        (t("Found"), True),
        (t("What becomes of them"), False),
        (t("Stored"), True),
        (t("How, and which"), False),
    ]
    said = t("Read completely, and the tenant has none of them: {n} more", n=t.count(none, "kind")) if none else ""
    return f"{table(heads, rows, label=t('Everything else, and what becomes of it'), sortable=True)}" + (
        f"<p class=quiet>{text(said)}</p>" if said else ""
    )


def _kind_row(p: _Page, kind: str, items: Sequence[assessments.Item]) -> str:
    a, t = p.a, p.t
    state = a.read.get(kind, "complete")
    found = a.counts.get(kind, len(items))
    if state == "not_read":
        shown = number_cell(pill("not_read", f"? {t('read not_read')}"), -1)
    else:
        extra = f"<br>{pill('partial', t('read partial'))}" if state == "partial" else ""
        shown = number_cell(text(t.number(found)) + extra, found)
    row = kinds.KINDS.get(kind)
    if items:
        decided = Counter[str](item.decision for item in items)
        decisions = "<br>".join(
            f"{text(t(f'decision {decision}'))} ({text(t.number(decided[decision]))})"
            for decision in kinds.DECISIONS
            if decided[decision]
        )
        which = (
            f"{_notes(t, items)}<details><summary>{text(t.count(len(items), 'object'))}</summary>"
            f"{_list(p, [_item(t, item) for item in items])}</details>"
        )
    elif row and row.within:
        decisions, which = text(t("with their {kind}", kind=t.kind(row.within))), ""
    elif found and kind in ("volumes", "ports"):
        decisions, which = text(t("with their {kind}", kind=t.kind("servers"))), ""
    elif found:
        decisions, which = text(t("as the plan says")), ""
    else:
        decisions, which = "–", ""
    gib = sum(item.size_gib for item in items)
    stored = number_cell(text(t.size(gib)) if gib else "–", gib)
    return f'<tr><th scope="row">{text(t.kind(kind))}</th>{shown}<td>{decisions}</td>{stored}<td>{which}</td></tr>'


def _behind(p: _Page) -> str:
    t = p.t
    left: dict[str, list[assessments.Item]] = defaultdict(list)
    for item in p.a.items:
        if item.decision == "leave":
            left[item.kind].append(item)
    staying = [w for w in p.a.workloads if w.move == "none"]
    if not left and not staying:
        return ""
    entries = []
    if staying:
        entries.append(
            f"<li><b>{text(t('Workloads that are not drafted to move'))}</b> "
            f"<span class=quiet>{text(t.count(len(staying), 'workload'))}</span>"
            f"{_list(p, [_with_reasons(t, w) for w in staying])}</li>"
        )
    entries += [
        f"<li><b>{text(t.kind(kind))}</b> <span class=quiet>{text(_stored(t, found))}</span>{_notes(t, found)}"
        f"{_list(p, [_item(t, item) for item in found])}</li>"
        for kind, found in left.items()
    ]
    said = t("These stay in the source and go with it when it is given up. Say so now if something is missed.")
    return f'<p>{text(said)}</p><ul class="rules">{"".join(entries)}</ul>'


def _drift(p: _Page) -> str:
    a, t = p.a, p.t
    if not a.drift:
        return ""
    rows = []
    for change in a.drift[:MOST_ROWS]:
        what = f"<code>{text(change.path)}</code>" if change.path else "–"
        values = "–" if change.op != "changed" else f"{_value(change.before)} → {_value(change.after)}"
        rows.append(
            f'<tr><th scope="row">{name(change.name or change.id)}<br>'
            f"<span class=quiet>{text(t.kind(change.kind))}</span></th><td>{text(t(f'drift {change.op}'))}</td>"
            f"<td>{what}</td><td>{values}</td><td>{t.told(change.plan)}</td></tr>"
        )
    heads = [
        (t("Object"), False),
        (t("What happened"), False),
        (t("Where"), False),
        (t("Before and after"), False),
        (t("What that did to the plan"), False),
    ]
    return table(heads, rows, label=t("What changed since the reading before"), sortable=True) + _cut(p, a.drift)


def _value(value: Any) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    shown = shown if len(shown) <= 160 else f"{shown[:159]}…"
    return f"<code>{text(shown)}</code>"


def _footer(p: _Page) -> str:
    a, t = p.a, p.t
    digests = [(t("Estate"), a.estate), *([(t("Plan"), a.plan)] if a.plan else [])]
    facts = "".join(
        f"<div><dt>{text(label)}</dt><dd><code>{text(digest)}</code></dd></div>" for label, digest in digests
    )
    files = ""
    if p.stem:
        links = " · ".join(
            f'<a href="{quote(f"{p.stem}.{end}")}">{text(f"{p.stem}.{end}")}</a>'
            for end in ("workloads.csv", "findings.csv", "objects.csv", "assessment.json")
        )
        files = f"<p>{text(t.labelled(t('The same as tables and as data'), ''))} {links}</p>"
    said = t(
        "Made from what the APIs of the source cloud show, read-only. The same estate and plan give the same page."
    )
    return f'<footer><p>{text(said)}</p>{files}<dl class="facts wide">{facts}</dl></footer>'
