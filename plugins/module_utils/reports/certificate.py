# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate as a page to print on A4 and to frame: a first sheet that says it all, annexes that list it.

It is made from the certificate alone, so the same certificate gives the same bytes; it has no script and loads nothing.
It carries the SHA-256 of the signed data: what counts is the data, the page is how people read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import certificate as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.markup import joined, name, page, text
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.style import CERTIFIED
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.words import Language, Words

GIB = 1 << 30
MOST_TOTALS = 8
"""Rows of totals on the first sheet; more of them begin the annex instead, so that the sheet stays one."""

_SEAL = (
    '<svg class="seal" viewBox="0 0 120 120" aria-hidden="true"><g fill="none" stroke="currentColor">'
    + "".join(
        f'<ellipse cx="60" cy="60" rx="54" ry="30" stroke-width=".6" transform="rotate({turn} 60 60)"/>'
        for turn in range(0, 180, 12)
    )
    + '<circle cx="60" cy="60" r="56" stroke-width="1.5"/>'
    '<circle cx="60" cy="60" r="27" fill="#fff" stroke-width="1.5"/>'
    '<path d="M47 61l9 9 18-20" stroke-width="5" stroke-linecap="round" stroke-linejoin="round"/></g></svg>'
)


@dataclass(frozen=True)
class _Page:
    c: model.Certificate
    t: Words
    file: str
    digest: str


def render(certificate: model.Certificate, language: Language, *, file: str, digest: str) -> str:
    """The page. file, digest: name and `sha256:…` of the signed data that it shows."""
    p = _Page(certificate, Words(language), file, digest)
    annexes = [
        (p.t("What this states, and what it does not"), _statements(p)),
        (p.t("What was erased"), _assets(p)),
        (p.t("What was moved"), _moved(p)),
        (p.t("What stays, and why"), _kept(p)),
        (p.t("Conditions of the erasure"), _conditions(p)),
        (p.t("Where this comes from"), _origin(p)),
        (p.t("How to verify this without us"), _verify(p)),
    ]
    body = [
        '<main class="certificate">',
        _sheet(p),
        *(f'<section class="annex"><h2>{text(title)}</h2>{body}</section>' for title, body in annexes if body),
        "</main>",
    ]
    return page(f"{_title(p)} {certificate.id}", joined(body), style=CERTIFIED, language=language)


def _title(p: _Page) -> str:
    return p.t("Certificate of erasure") if p.c.purpose == "erasure" else p.t("Certificate of migration")


def _sheet(p: _Page) -> str:
    c, t = p.c, p.t
    place = [name(c.tenant.project_name or c.tenant.project_id), text(c.tenant.region), text(c.tenant.cloud)]
    count = t.count(len(c.assets), "object") if c.purpose == "erasure" else t.count(len(c.moved), "workload")
    size = sum(asset.size_gib for asset in c.assets) + sum(d.bytes for one in c.moved for d in one.disks) / GIB
    parties = [
        (t("Controller"), text(c.terms.controller)),
        (t("Processor"), text(c.terms.processor)),
        (t("Contract"), text(c.terms.contract)),
        (t("Legal basis"), text(c.terms.basis)),
        (t("Choice of the customer"), text(c.terms.choice)),
        (t("Begun"), text(t.moment(c.started))),
        (t("Ended"), text(t.moment(c.ended))),
    ]
    people = [
        *(
            (t(f"role {one.role}"), f"{name(one.person)}<br><code>{text(one.fingerprint)}</code>")
            for one in c.approvals
        ),
        (t("Executed by"), text(c.terms.executed_by)),
        (t("Verified by"), text(c.terms.verified_by)),
    ]
    return joined(
        [
            f'<article class="sheet">{_SEAL}<p class="over">cloudexit.flexible_engine</p><h1>{text(_title(p))}</h1>',
            f'<p class="tenant">{name(c.tenant.name)}</p><p class="place">{joined(place, " · ")}</p>',
            f'<p class="said">{text(c.statements[t.language][0])}</p>',
            f'<p class="sum"><strong>{text(count)}</strong> <span>{text(t.size(size))}</span></p>',
            _totals(p) if len(c.totals) <= MOST_TOTALS else "",
            _facts(parties),
            f'<div class="people">{_facts(people)}</div>',
            f"<footer><p>{text(t.labelled(t('Issued'), t.moment(c.issued)))} · {text(c.id)}</p>"
            f"<p><code>{text(p.digest)}</code></p></footer></article>",
        ]
    )


def _facts(entries: Iterable[tuple[str, str]]) -> str:
    """Labels and values (markup); those without a value are left out."""
    rows = "".join(f"<div><dt>{text(label)}</dt><dd>{value}</dd></div>" for label, value in entries if value)
    return f'<dl class="facts">{rows}</dl>' if rows else ""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; cells are markup. Nothing where there are no rows."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{text(title)}</th>' for title in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _totals(p: _Page) -> str:
    t = p.t
    rows = [
        [text(t.kind(one.kind)), text(t.number(one.count)), _size(p, one.size_gib), text(t(f"method {one.method}"))]
        for one in p.c.totals
    ]
    return _table([t("Kind"), t("Number"), t("Size"), t("Method")], rows)


def _size(p: _Page, gib: float) -> str:
    """A size; nothing for what stores nothing."""
    return text(p.t.size(gib)) if gib else ""


def _statements(p: _Page) -> str:
    terms, t = p.c.terms, p.t
    said = "".join(f"<p>{text(one)}</p>" for one in p.c.statements[t.language])
    media = f"<blockquote>{text(terms.media)}</blockquote>" if terms.media else ""
    quoted = (
        f"<p>{text(t('The operator of the infrastructure states of its storage media:'))}</p>{media}" if media else ""
    )
    facts = [
        (t("Announced"), text(t.day(terms.notice_sent))),
        (t("Data could be retrieved until"), text(t.day(terms.retrieval_until))),
        (t("Encrypted copy"), text(terms.escrow)),
        (t("Kept until"), text(t.day(terms.escrow_until))),
        (t("Backups of the provider"), text(terms.backups)),
        (t("Contact"), text(terms.contact)),
    ]
    return said + quoted + _facts(facts)


def _assets(p: _Page) -> str:
    t = p.t
    parts = [_totals(p)] if len(p.c.totals) > MOST_TOTALS else []
    for kind, group in groupby(sorted(p.c.assets, key=lambda one: one.kind), key=lambda one: one.kind):
        rows = [_asset(p, one) for one in group]
        heads = [t("Object"), t("Size"), t("Why it could go"), t("How, and when"), t("Verification")]
        parts.append(f"<h3>{text(t.kind(kind))}</h3>{_table(heads, rows)}")
    return joined(parts)


def _asset(p: _Page, one: model.Asset) -> list[str]:
    t = p.t
    made = text(t.labelled(t("made"), t.day(one.created))) if one.created else ""
    key = text(t.labelled(t("key"), one.key)) if one.key else ""
    covers = text(t.labelled(t("with it"), ", ".join(one.covers))) if one.covers else ""
    requests = f"<small>{text(', '.join(one.requests))}</small>" if one.requests else ""
    return [
        joined([name(one.name), f"<code>{text(one.id)}</code>", made, key, covers], "<br>"),
        _size(p, one.size_gib),
        joined([text(t(f"choice {one.choice}")), t.told(one.why)], "<br>"),
        joined([text(t(f"method {one.method}")), text(t.moment(one.started)), requests], "<br>"),
        joined(
            [
                text(t("read as absent")),
                text(t.moment(one.ended)),
                text(t.labelled(t("record"), t.number(one.record))),
                f"<small>{text(one.verified)}</small>",
            ],
            "<br>",
        ),
    ]


def _moved(p: _Page) -> str:
    t = p.t
    rows = [
        [
            joined([name(one.name or one.workload), f"<code>{text(one.source)}</code>"], "<br>"),
            joined([name(one.place), f"<code>{text(one.target)}</code>"], "<br>"),
            joined([_disk(p, disk) for disk in one.disks], "<br>"),
            joined([text(check) for check in one.checks], "<br>"),
            joined([text(t.moment(one.fenced)), text(t.labelled(t("record"), t.number(one.record)))], "<br>"),
        ]
        for one in p.c.moved
    ]
    heads = [t("Workload"), t("Target"), t("Disks and their proof"), t("Checks passed"), t("Source fenced")]
    others = [[name(key), t.told(why)] for key, why in sorted(p.c.others.items())]
    left = f"<h3>{text(t('Not certified'))}</h3>{_table([t('Workload'), t('Why')], others)}" if others else ""
    return _table(heads, rows) + left


def _disk(p: _Page, disk: model.Disk) -> str:
    t = p.t
    sampled = f" {text(disk.compared)}" if disk.compared else ""
    said = f'<b class="{disk.proof}">{text(t(f"proof {disk.proof}"))}{sampled}</b>'
    return f"{text(disk.label)}, {text(t.size(disk.bytes / GIB))}: {said}<br><code>{text(disk.manifest)}</code>"


def _kept(p: _Page) -> str:
    t = p.t
    rows = [
        [
            text(t.kind(one.kind)),
            joined([name(one.name), f"<code>{text(one.id)}</code>"], "<br>"),
            joined([text(t(f"kept {one.reason}")), t.told(one.detail)], "<br>"),
            text(t.day(one.until)) if one.until else "",
        ]
        for one in p.c.kept
    ]
    return _table([t("Kind"), t("Object"), t("Reason"), t("Until")], rows)


def _conditions(p: _Page) -> str:
    c, t = p.c, p.t
    gates = [
        [text(one.name), joined([t.told(one.why), _evidence(one)], "<br>"), text(t.moment(one.at))] for one in c.gates
    ]
    timers = [
        [text(one.rule), text(t(f"bound {one.bound}")), text(t.moment(one.at)), text(one.basis)] for one in c.timers
    ]
    waivers = [
        [
            text(one.gate),
            text(", ".join(one.objects)),
            joined([text(one.by), text(t.moment(one.at))], "<br>"),
            text(one.why),
        ]
        for one in c.waivers
    ]
    parts = [
        ("", _table([t("Condition"), t("Met, because"), t("Judged")], gates)),
        (t("Dates"), _table([t("Rule"), t("Bound"), t("Moment"), t("Basis")], timers)),
        (t("Waivers"), _table([t("Condition"), t("Objects"), t("By"), t("Why")], waivers)),
    ]
    return joined((f"<h3>{text(title)}</h3>" if title else "") + table for title, table in parts if table)


def _evidence(gate: model.Gate) -> str:
    told = ", ".join(f"{key}: {value}" for key, value in sorted(gate.evidence.items()))
    return f"<small>{text(told)}</small>" if told else ""


def _origin(p: _Page) -> str:
    c, t = p.c, p.t
    plan = c.plan
    entries = [
        (t("Ledger"), f"<code>{text(c.chain.ledger)}</code>"),
        (t("Last record"), f"{text(t.number(c.chain.records))} · <code>{text(c.chain.head)}</code>"),
        (t("Projects"), text(", ".join(c.scope.projects))),
        (t("Regions"), text(", ".join(c.scope.regions))),
        (t("Kinds of objects"), text(", ".join(t.kind(kind) for kind in c.scope.kinds))),
        (t("Runs"), text(", ".join(c.executed))),
    ]
    if plan is not None:
        entries += [
            (t("Sealed plan"), f"<code>{text(plan.digest)}</code>"),
            (t("made"), text(t.moment(plan.made))),
            (t("Could be used until"), text(t.moment(plan.expires))),
            (t("Inventory before"), f"<code>{text(plan.estate)}</code>"),
            (t("Migration plan"), f"<code>{text(plan.migration)}</code>" if plan.migration else ""),
            (t("Retirement policy"), f"<code>{text(plan.policy)}</code>" if plan.policy else ""),
            (t("Made with"), text(plan.tool)),
        ]
    return _facts(entries)


def _verify(p: _Page) -> str:
    t = p.t
    said = t(
        "The signed data are in {file}; the script verify.sh beside them checks the chain, the signatures and the time "
        "stamps with openssl and ssh-keygen alone.",
        file=p.file,
    )
    compare = t("Compare this with the SHA-256 of that file, and the fingerprints above with those that you know:")
    return (
        f"<p>{text(said)}</p><pre>sh verify.sh -s allowed_signers</pre>"
        f"<p>{text(compare)}</p><pre>{text(p.digest)}  {text(p.file)}</pre>"
    )
