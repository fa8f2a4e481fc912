# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The portfolio page: all tenants on one page, with what is known of each, and what is not.

A tenant that failed is a row with its cause. Sums say what they are made of, and nothing is green for lack of data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, timezone
from urllib.parse import quote

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import portfolio as portfolios
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import assessment as pages
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.markup import joined, name, page, text
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.script import SCRIPT
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.style import ASSESSED, STYLE
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.tables import to_csv
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.words import (
    LANGUAGES,
    Language,
    Words,
)

STATES: tuple[portfolios.State, ...] = ("failed", "not_assessed", "partial", "assessed")
SIGNS: dict[str, str] = {"assessed": "✓", "partial": "±", "failed": "✗", "not_assessed": "?"}
IN_TIME: dict[str, tuple[str, str]] = {
    "yes": ("fits", "✓"),
    "at_risk": ("partial", "±"),
    "no": ("late", "✗"),
    "unknown": ("unknown", "?"),
}
LEAVES_ANYHOW = ("retire", "rebuild")
"""Destinations of workloads that are out without being moved."""


# ---- from assessments to figures ----


def tenant(
    given: str,
    assessment: assessments.Assessment | None,
    today: date,
    *,
    failure: str = "",
    earlier: bool = False,
    report: str = "",
) -> portfolios.Tenant:
    """A row of the portfolio. `failure`: why it could not be assessed now; `earlier`: the assessment is an old one."""
    if assessment is None:
        state: portfolios.State = "failed" if failure else "not_assessed"
        return portfolios.Tenant(name=given, state=state, why=failure)
    state = "failed" if failure else "assessed" if pages.complete(assessment) else "partial"
    found = figures(assessment)
    return portfolios.Tenant(
        name=given,
        state=state,
        why=failure,
        earlier=earlier or bool(failure),
        deadline=assessment.deadline,
        days_left=_days(assessment.deadline, today),
        in_time=_in_time(assessment, found, today),
        figures=found,
        report=report,
    )


def figures(assessment: assessments.Assessment) -> portfolios.Figures:
    """What an assessment comes to."""
    a = assessment
    moving = [w for w in a.workloads if w.move != "none"]
    without = sum(1 for w in moving if not w.wave)
    known = bool(a.waves) and not without
    return portfolios.Figures(
        project=a.tenant.project_name,
        region=a.tenant.region,
        target=a.target,
        workloads=len(a.workloads),
        cpus=sum(w.cpus for w in a.workloads),
        memory_mib=sum(w.memory_mib for w in a.workloads),
        disk_gib=sum(w.disk_gib for w in a.workloads),
        at_least=not pages.complete(a) or not pages.sized(a),
        **pages.by_readiness(a.workloads),
        moving=len(moving),
        moving_gib=sum(w.disk_gib for w in moving),
        objects=len(a.items),
        decisions=pages.waiting(a),
        unanswered=sum(w.answer == "open" for w in a.workloads),
        blockers=sum(finding.severity == "blocker" for finding in a.findings),
        unread=sorted(service.name for service in pages.unread(a)),
        to_fill=len(a.to_fill),
        changes=len(a.drift),
        waves=len(a.waves),
        without_wave=without,
        seconds=sum(wave.seconds for wave in a.waves),
        seconds_late=sum(wave.seconds_late for wave in a.waves),
        end=_end((wave.start, wave.seconds) for wave in a.waves) if known else "",
        end_late=_end((wave.start, wave.seconds_late) for wave in a.waves) if known else "",
    )


def _end(waves: Iterable[tuple[str, int]]) -> str:
    """When the last of the waves is over; empty where one has no window."""
    ends = []
    for start, seconds in waves:
        moment = _moment(start)
        if moment is None:
            return ""
        ends.append(moment + timedelta(seconds=seconds))
    return f"{max(ends):%Y-%m-%dT%H:%M:%SZ}" if ends else ""


def _moment(value: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found.astimezone(timezone.utc) if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _deadline(value: str) -> date | None:
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        return None


def _days(deadline: str, today: date) -> int | None:
    day = _deadline(deadline)
    return (day - today).days if day else None


def _in_time(a: assessments.Assessment, found: portfolios.Figures, today: date) -> portfolios.InTime:
    """Whether all of the tenant is out by its deadline. Yes only where nothing is open that could change it."""
    day = _deadline(a.deadline)
    if day is None:
        return "unknown"
    limit = datetime.combine(day, time.max, timezone.utc)
    end, late = _moment(found.end), _moment(found.end_late)
    if day < today or (end is not None and end > limit):
        return "no" if found.workloads or not pages.complete(a) else "unknown"
    staying = [w for w in a.workloads if w.move == "none" and w.destination not in LEAVES_ANYHOW]
    if late is None or staying or not pages.complete(a) or found.unanswered:
        return "unknown"
    return "at_risk" if late > limit or any(wave.fits is False for wave in a.waves) else "yes"


# ---- CSV ----


def csv_text(portfolio: portfolios.Portfolio) -> str:
    """One row a tenant."""
    names = [key for key in portfolios.Figures.__dataclass_fields__ if key != "unread"]
    heads = ["tenant", "state", "why", "earlier", "deadline", "days_left", "in_time", *names, "unread"]
    rows = []
    for row in portfolio.tenants:
        told = [getattr(row.figures, key) for key in names] if row.figures else [None] * len(names)
        unread = " ".join(row.figures.unread) if row.figures else None
        rows.append(
            [row.name, row.state, row.why, row.earlier, row.deadline, row.days_left, row.in_time, *told, unread]
        )
    return to_csv(heads, rows)


# ---- the page ----


def render(portfolio: portfolios.Portfolio, language: Language, *, stem: str = "portfolio") -> str:
    """The page. `stem`: how the names of the files beside it begin."""
    t = Words(language)
    files = {other: f"{stem}.{other}.html" for other in LANGUAGES}
    sections = [
        ("readiness", t("What can move"), _readiness(portfolio, t)),
        ("failed", t("What is missing"), _failed(portfolio, t)),
        ("tenants", t("Tenants"), _table(portfolio, t)),
    ]
    body = [
        f'<a class="skip" href="#main">{text(t("To the content"))}</a><main class="wide" id="main">{pages.HATCH}'
        f"{pages.tongues(t, files)}",
        _header(portfolio, t),
        _cards(portfolio, t),
        *(
            f'<section id="{anchor}"><h2>{text(title)}</h2>{content}</section>'
            for anchor, title, content in sections
            if content
        ),
        _footer(t, stem),
        "</main>",
    ]
    return page(t("Portfolio"), joined(body), style=STYLE + ASSESSED, language=language, script=SCRIPT)


def _header(portfolio: portfolios.Portfolio, t: Words) -> str:
    verdicts = "".join(f'<li class="verdict {kind}">{text(said)}</li>' for kind, said in _verdicts(portfolio, t))
    return (
        f'<header><p class="over">{text(t("Portfolio"))}</p>'
        f"<h1>{text(t.count(len(portfolio.tenants), 'tenant'))}</h1>"
        f'<ul class="verdicts">{verdicts}</ul>'
        f'<p class="quiet">{text(t("Days are counted from {day}.", day=t.day(portfolio.today)))}</p></header>'
    )


def _verdicts(portfolio: portfolios.Portfolio, t: Words) -> list[tuple[str, str]]:
    rows = portfolio.tenants
    states = Counter(row.state for row in rows)
    said = []
    if states["failed"]:
        said.append(("bad", t.labelled(t("Could not be assessed"), t.number(states["failed"]))))
    if states["not_assessed"]:
        said.append(("unknown", t.labelled(t("Not assessed yet"), t.number(states["not_assessed"]))))
    if states["partial"]:
        said.append(("unknown", t.labelled(t("Could be read in part only"), t.number(states["partial"]))))
    late = sum(row.in_time == "no" for row in rows)
    if late:
        said.append(("bad", t.labelled(t("Will not be out in time"), t.number(late))))
    undecided = sum(bool(row.figures and row.figures.decisions) for row in rows)
    if undecided:
        said.append(("plain", t.labelled(t("Tenants that wait for a decision"), t.number(undecided))))
    if said or not rows:
        return said
    if all(row.in_time == "yes" for row in rows):
        return [("good", t("All are assessed, and all will be out in time"))]
    return [("plain", t("All are assessed"))]


def _known(portfolio: portfolios.Portfolio) -> list[portfolios.Figures]:
    return [row.figures for row in portfolio.tenants if row.figures]


def _sum(portfolio: portfolios.Portfolio) -> dict[assessments.Readiness, int]:
    known = _known(portfolio)
    return {readiness: sum(getattr(found, readiness) for found in known) for readiness in pages.READINESS}


def _cards(portfolio: portfolios.Portfolio, t: Words) -> str:
    rows, known, found = portfolio.tenants, _known(portfolio), _sum(portfolio)
    whole = sum(found.values())
    of = f"<small> {text(t('of {n}', n=whole))}</small>"
    whole_known = len(known) == len(rows) and not any(found.at_least for found in known)
    less = "" if whole_known else f"<small> {text(t('at least'))}</small>"
    made = text(t("of {n}", n=t.count(len(known), "tenant")))
    dated = sorted((row.days_left, row.deadline, row.name) for row in rows if row.days_left is not None)
    left, day = ("–", text(t("No deadline is given.")))
    if dated:
        left = _left(t, dated[0][0])
        day = f"{name(dated[0][2])}, {text(t.day(dated[0][1]))}"
    ends = [found.end for found in known]
    last = text(t.labelled(t("the last ends"), t.day(max(ends)))) if known and all(ends) else text(t("end not known"))
    late = sum(found.seconds_late for found in known)
    states = Counter(row.state for row in rows)
    return pages.cards(
        [
            (
                text(t("Assessed")),
                f"{text(t.number(states['assessed']))}<small> {text(t('of {n}', n=len(rows)))}</small>",
                text(
                    t(
                        "{partial} in part, {failed} failed, {none} not yet",
                        partial=states["partial"],
                        failed=states["failed"],
                        none=states["not_assessed"],
                    )
                ),
            ),
            (text(t("Next deadline")), left, day),
            (
                text(t("Decisions wanted")),
                text(t.number(sum(found.decisions for found in known))) + less,
                text(t("in {n}", n=t.count(sum(bool(found.decisions) for found in known), "tenant"))),
            ),
            (text(t("Volumes")), pages.at_least(t, sum(found.disk_gib for found in known), whole_known), made),
            (
                text(t("Workloads")),
                text(t.number(whole)) + less,
                text(t.labelled(t("drafted to move"), t.number(sum(found.moving for found in known)))),
            ),
            (
                text(t("Ready")),
                f"{text(t.number(found['ready']))}{of}",
                text(t("and {n} with changes", n=found["ready_with_changes"])),
            ),
            (
                text(t("Not ready, or not known")),
                f"{text(t.number(found['not_ready'] + found['unknown']))}{of}",
                text(t("{n} of them for lack of data", n=found["unknown"])),
            ),
            (
                text(t("Time in waves")),
                text(t.duration(sum(found.seconds for found in known))) + less,
                f"{text(t('nine of ten take at most {time}', time=t.duration(late)))}<br>{last}",
            ),
        ]
    )


def _left(t: Words, days: int) -> str:
    if days < 0:
        return f'<span class="late-by">{text(t("{n} too late", n=t.count(-days, "day")))}</span>'
    return text(t.count(days, "day"))


def _readiness(portfolio: portfolios.Portfolio, t: Words) -> str:
    found = _sum(portfolio)
    missing = len(portfolio.tenants) - len(_known(portfolio))
    entries = "".join(
        f"<li>{pages.readiness_pill(readiness, t)} <b>{text(t.number(count))}</b></li>"
        for readiness, count in found.items()
    )
    if missing:
        said = t("Tenants without figures, not counted here")
        entries += f"<li>{pages.pill('unknown', '?')} {text(t.labelled(said, t.number(missing)))}</li>"
    return f'{pages.readiness_bar(found)}<ul class="legend">{entries}</ul>'


def _failed(portfolio: portfolios.Portfolio, t: Words) -> str:
    entries = []
    for row in portfolio.tenants:
        if row.state == "assessed":
            continue
        why = f"<p>{t.told(row.why)}</p>" if row.why else ""
        if row.figures and row.figures.unread:
            listed = ", ".join(name(service) for service in row.figures.unread)
            why += f"<p>{text(t.labelled(t('Not read'), ''))} {listed}</p>"
        if row.earlier:
            why += f"<p class=quiet>{text(t('The figures are those of an earlier assessment.'))}</p>"
        kind = "blocker" if row.state == "failed" else "warning gap"
        entries.append(
            (STATES.index(row.state), f'<li class="{kind}"><h3>{name(row.name)} {_state(row, t)}</h3>{why}</li>')
        )
    if not entries:
        return ""
    listed = "".join(entry for dummy, entry in sorted(entries, key=lambda entry: entry[0]))
    return f'<ul class="rules">{listed}</ul>'


def _state(row: portfolios.Tenant, t: Words) -> str:
    return pages.pill(row.state, f"{SIGNS[row.state]} {t(row.state)}")


def _table(portfolio: portfolios.Portfolio, t: Words) -> str:
    heads = [
        (t("Tenant"), False),
        (t("State"), False),
        (t("Workloads"), True),
        (t("Readiness"), False),
        (t("Decisions wanted"), True),
        (t("Volumes"), True),
        (t("Waves"), True),
        (t("Expected end"), False),
        (t("Deadline"), True),
    ]
    tools = pages.filter_tools(
        t,
        "t-tenants",
        [
            (t("State"), "s", [(state, t(state)) for state in STATES]),
            (t("In time"), "i", [(value, t(f"in time {value}")) for value in IN_TIME]),
        ],
    )
    rows = [_row(row, t) for row in portfolio.tenants]
    return tools + pages.table(heads, rows, label=t("Tenants"), identity="t-tenants", sortable=True)


def _row(row: portfolios.Tenant, t: Words) -> str:
    f = row.figures
    title = name(row.name)
    if row.report:
        title = f'<a href="{quote(f"{row.report}.assessment.{t.language}.html")}">{title}</a>'
    earlier = f"<br><span class=quiet>{text(t('figures from earlier'))}</span>" if row.earlier else ""
    due = f"<td class=num data-v=99999>{text(t('not known'))}</td>"
    if row.days_left is not None:
        due = pages.number_cell(
            f"{_left(t, row.days_left)}<br><span class=quiet>{text(t.day(row.deadline))}</span>", row.days_left
        )
    kind, sign = IN_TIME[row.in_time]
    in_time = pages.pill(kind, f"{sign} {t(f'in time {row.in_time}')}")
    head = f'<tr data-s="{row.state}" data-i="{row.in_time}"><th scope="row">{title}'
    if f is None:
        unknown = f"<td class=num data-v=-1><span class=quiet>{text(t('not known'))}</span></td>"
        flat = unknown.replace(" class=num data-v=-1", "")
        cells = f"<td>{_state(row, t)}</td>{unknown}{flat}{unknown}{unknown}{unknown}<td>{in_time}</td>{due}"
        return f"{head}</th>{cells}</tr>"
    place = " · ".join(text(part) for part in (f.project[:60], f.region) if part)
    found = {readiness: getattr(f, readiness) for readiness in pages.READINESS}
    told = "<br>".join(text(f"{pages.SIGNS[r]} {t.number(n)} {t(r)}") for r, n in found.items() if n)
    length = f"<br><span class=quiet>{text(t.duration(f.seconds))} – {text(t.duration(f.seconds_late))}</span>"
    end = ""
    if f.end:
        end = f"{text(t.day(f.end))}<br>"
        if f.end_late[:10] != f.end[:10]:
            end += f"<span class=quiet>{text(t('nine of ten by {day}', day=t.day(f.end_late)))}</span><br>"
    return (
        f"{head}<br><span class=quiet>{place}</span></th><td>{_state(row, t)}{earlier}</td>"
        f"{pages.number_cell(text(t.number(f.workloads)), f.workloads)}"
        f'<td class="end">{pages.readiness_bar(found)}<span class=quiet>{told}</span></td>'
        f"{pages.number_cell(text(t.number(f.decisions)), f.decisions)}"
        f"{pages.number_cell(pages.at_least(t, f.disk_gib, not f.at_least), f.disk_gib)}"
        f"{pages.number_cell(text(t.number(f.waves)) + (length if f.waves else ''), f.waves)}"
        f"<td>{end}{in_time}</td>{due}</tr>"
    )


def _footer(t: Words, stem: str) -> str:
    links = " · ".join(f'<a href="{quote(f"{stem}.{end}")}">{text(f"{stem}.{end}")}</a>' for end in ("csv", "json"))
    said = t("In time says yes only where all is read, decided and in a wave that has a window.")
    files = t.labelled(t("The same as tables and as data"), "")
    return f"<footer><p>{text(said)}</p><p>{text(files)} {links}</p></footer>"
