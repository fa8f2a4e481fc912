# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: what moved, from where to where, how it was proven and what is left, as one HTML file.

The page needs nothing but itself: no script, no font, no picture from elsewhere, and it forbids itself to load any. It
is made from a ReportData alone, so the same data give the same bytes. Names come from clouds and are hostile: each is
escaped where it is printed and none is ever an anchor, a class or an attribute's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.markup import name as _name
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.markup import page
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.markup import text as _text
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.style import STYLE

Status = Literal["moved", "under_way", "rolled_back", "failed", "planned", "stays"]
Severity = Literal["high", "medium", "info"]

STATUS_TEXT: dict[str, str] = {
    "moved": "moved",
    "under_way": "under way",
    "rolled_back": "rolled back",
    "failed": "failed",
    "planned": "planned",
    "stays": "not moved",
}

ACT_TEXT: dict[str, str] = {
    "source_server": "stop the source",
    "source_stop": "stop the source",
    "disk_clone": "snapshot and clone",
    "guest_adapt": "adapt the guest",
    "disk_pass": "copy and read back",
    "disk_clone_removed": "remove the clones",
    "vsphere_vm": "start",
    "vcd_vm": "start",
    "workload_check": "check",
    "source_fence": "fence the source",
}


@dataclass(frozen=True)
class Disk:
    """One disk: bytes read, bytes sent, seconds of the pass, and the manifest roots that prove it.

    before: of the source before adaptation; empty when the disk was copied as it was. sample: (chunks compared, chunks
    with data) where the plan chose a sample; then nothing of `target` is known, and it is not proven.
    """

    label: str
    volume: str
    size: int
    sent: int = 0
    seconds: float = 0.0
    before: str = ""
    source: str = ""
    target: str = ""
    equal: bool = False
    sample: tuple[int, int] | None = None

    @property
    def told(self) -> str:
        """Its proof in words."""
        if self.sample is not None:
            return f"sampled: {self.sample[0]} of {self.sample[1]} chunks, none differs"
        return "equal" if self.proven else "not proven"

    @property
    def proven(self) -> bool:
        return self.equal and bool(self.source) and self.source == self.target


@dataclass(frozen=True)
class Check:
    """A check of the started machine."""

    name: str
    ok: bool
    seconds: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class FileChange:
    """A file that adaptation made, changed or removed, with its hash before and after (empty: it was not there)."""

    path: str
    before: str = ""
    after: str = ""
    action: str = ""


@dataclass(frozen=True)
class Step:
    """An act on a workload as the ledger has it."""

    act: str
    time: str
    seq: int | None
    seconds: float | None = None


@dataclass(frozen=True)
class Finding:
    """Something to know of, and what to do about it."""

    severity: Severity
    subject: str
    text: str
    next: str = ""


@dataclass(frozen=True)
class Workload:
    """One workload: what it was, what it is, and the evidence in between."""

    key: str
    status: Status
    source_name: str = ""
    source_id: str = ""
    target_name: str = ""
    target_ref: str = ""
    target_place: str = ""
    group: str = ""
    wave: str = ""
    reason: str = ""
    disks: Sequence[Disk] = ()
    checks: Sequence[Check] = ()
    files: Sequence[FileChange] = ()
    steps: Sequence[Step] = ()
    downtime: float | None = None
    boot: float | None = None

    @property
    def size(self) -> int:
        return sum(disk.size for disk in self.disks)

    @property
    def seconds(self) -> float:
        return max((disk.seconds for disk in self.disks), default=0.0)

    @property
    def proven(self) -> bool:
        return bool(self.disks) and all(disk.proven for disk in self.disks)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong as far as it was looked at: every disk is proven, or sampled as planned."""
        looked = bool(self.disks) and all(disk.proven or disk.sample is not None for disk in self.disks)
        return looked and all(check.ok for check in self.checks)


@dataclass(frozen=True)
class ReportData:
    """All that the page shows. as_of: time of the last ledger record."""

    tenant: str
    source: str = ""
    target: str = ""
    as_of: str = ""
    plan_digest: str = ""
    ledger_count: int = 0
    ledger_head: str = ""
    ledger_problems: Sequence[str] = ()
    workloads: Sequence[Workload] = ()
    findings: Sequence[Finding] = field(default_factory=tuple)


def size_text(size: int) -> str:
    """Bytes with a binary unit: `1.5 GiB`."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def rate_text(size: int, seconds: float) -> str:
    """Bytes in seconds as `118 MB/s` (decimal, as networks are sold); a dash when unknown."""
    return f"{size / seconds / 1e6:.0f} MB/s" if size > 0 and seconds > 0 else "–"


def duration_text(seconds: float | None) -> str:
    """Seconds as a person says them: `42 s`, `3 min 5 s`, `2 h 10 min`; a dash when unknown."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def render(data: ReportData) -> str:
    """The page."""
    body = [
        _header(data),
        _cards(data),
        _findings(data),
        _table(data),
        *(_details(index, workload) for index, workload in enumerate(data.workloads) if workload.steps),
        _left(data),
        _proofs(data),
    ]
    main = "\n".join(filter(None, body))
    return page(f"Migration of {data.tenant}", f"<main>\n{main}\n</main>", style=STYLE)


def _time(value: str) -> str:
    """An RFC 3339 time without fractions of a second."""
    day, dummy, clock = value.partition("T")
    return _text(f"{day} {clock[:8]} UTC") if clock else _text(value or "–")


def _digest(value: str) -> str:
    if not value:
        return '<span class="quiet">–</span>'
    figure = value.rpartition(":")[2]
    short = f"{figure[:10]}…" if len(figure) > 16 else value
    return f'<code title="{_text(value)}">{_text(short)}</code>'


def _mark(good: bool, text: str) -> str:
    return f'<span class="{"good" if good else "bad"}">{"✓" if good else "✗"} {_text(text)}</span>'


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _verdict(data: ReportData) -> tuple[str, str]:
    moving = [w for w in data.workloads if w.status != "stays"]
    moved = [w for w in moving if w.status == "moved"]
    if data.ledger_problems:
        return "bad", "The ledger is not sound: do not rely on this report"
    if any(finding.severity == "high" for finding in data.findings):
        return "bad", f"{len(moved)} of {len(moving)} moved – attention is needed"
    if moving and len(moved) == len(moving):
        sampled = sum(disk.sample is not None for workload in moved for disk in workload.disks)
        if sampled:
            return "plain", f"Everything that was planned has moved; {_plural(sampled, 'disk')} only sampled"
        return "good", "Everything that was planned has moved, and every byte is proven"
    return "plain", f"{len(moved)} of {_plural(len(moving), 'workload')} moved so far"


def _header(data: ReportData) -> str:
    kind, verdict = _verdict(data)
    route = " <span aria-hidden='true' class='arrow'>→</span> ".join(
        _name(end) for end in (data.source, data.target) if end
    )
    return (
        f'<header><p class="over">Migration report</p><h1>{_name(data.tenant)}</h1>'
        f'<p class="route">{route}</p>'
        f'<p class="verdict {kind}">{_text(verdict)}</p>'
        f'<p class="quiet">As of {_time(data.as_of)}, the last record in the ledger.</p></header>'
    )


def _cards(data: ReportData) -> str:
    moving = [w for w in data.workloads if w.status != "stays"]
    moved = [w for w in moving if w.status == "moved"]
    disks = [disk for w in data.workloads for disk in w.disks]
    proven = [disk for disk in disks if disk.proven]
    copied, sent = sum(disk.size for disk in disks), sum(disk.sent for disk in disks)
    busy = sum(disk.seconds for disk in disks)
    downtimes = [w.downtime for w in data.workloads if w.downtime is not None]
    checks = [check for w in data.workloads for check in w.checks]
    passed = sum(check.ok for check in checks)
    cards = [
        ("Workloads moved", f"{len(moved)}<small> of {len(moving)}</small>", _bar(len(moved), len(moving))),
        ("Disks proven equal", f"{len(proven)}<small> of {len(disks)}</small>", _bar(len(proven), len(disks))),
        ("Copied", _text(size_text(copied)), _text(f"{size_text(sent)} sent over the network" if sent else "")),
        ("Rate of a disk", _text(rate_text(copied, busy)), "hashed while it is read"),
        ("Longest downtime", _text(duration_text(max(downtimes, default=None))), "from stop to the last check"),
        ("Checks passed", f"{passed}<small> of {len(checks)}</small>", _bar(passed, len(checks))),
    ]
    items = "".join(
        f'<li><span class="label">{label}</span><strong>{value}</strong><span class="quiet">{extra}</span></li>'
        for label, value, extra in cards
    )
    return f'<ul class="cards">{items}</ul>'


def _bar(part: int, whole: int) -> str:
    width = round(100 * part / whole) if whole else 0
    return (
        '<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="rail" width="100" height="4" rx="2"/>'
        f'<rect class="fill" width="{width}" height="4" rx="2"/></svg>'
    )


def _findings(data: ReportData) -> str:
    broken = [Finding("high", "ledger", problem) for problem in data.ledger_problems[:20]]
    order = {"high": 0, "medium": 1, "info": 2}
    findings = sorted([*broken, *data.findings], key=lambda finding: order[finding.severity])
    if not findings:
        return '<section><h2>Findings</h2><p class="good">✓ None.</p></section>'
    alike: dict[tuple[Severity, str, str], list[str]] = {}
    for finding in findings:
        alike.setdefault((finding.severity, finding.text, finding.next), []).append(finding.subject)
    rows = "".join(
        f'<li class="{severity}"><span class="tag">{severity}</span>'
        f"<div><b>{_names(subjects)}</b> {_text(text)}{_next(following)}</div></li>"
        for (severity, text, following), subjects in alike.items()
    )
    return f'<section><h2>Findings</h2><ul class="findings">{rows}</ul></section>'


def _names(subjects: Sequence[str]) -> str:
    shown = ", ".join(_name(subject) for subject in subjects[:8])
    return f"{shown} and {len(subjects) - 8} more:" if len(subjects) > 8 else f"{shown}:"


def _next(text: str) -> str:
    return f'<br><span class="quiet">Next: {_text(text)}</span>' if text else ""


def _table(data: ReportData) -> str:
    rows = "".join(_row(index, workload) for index, workload in enumerate(data.workloads))
    if not rows:
        return '<section><h2>Workloads</h2><p class="quiet">None yet.</p></section>'
    head = "".join(
        f"<th{' class=num' if number else ''}>{name}</th>"
        for name, number in (
            ("Workload", False),
            ("State", False),
            ("Disks", True),
            ("Copy", True),
            ("Downtime", True),
            ("Proof", False),
            ("Checks", False),
        )
    )
    return (
        '<section><h2>Workloads</h2><div class="scroll"><table class="workloads">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _row(index: int, workload: Workload) -> str:
    name = _name(workload.source_name or workload.key)
    link = f'<a href="#w{index}">{name}</a>' if workload.steps else name
    goes = workload.target_name if workload.status != "stays" else ""
    to = f'<br><span class="quiet">→ {_name(goes)}</span>' if goes else ""
    equal = sum(disk.proven for disk in workload.disks)
    sampled = sum(disk.sample is not None for disk in workload.disks)
    told = f"{equal} of {len(workload.disks)} equal" + (f", {sampled} sampled" if sampled else "")
    plain = equal + sampled == len(workload.disks) and sampled > 0
    proof = (_text(told) if plain else _mark(workload.proven, told)) if workload.disks else "–"
    good = sum(check.ok for check in workload.checks)
    checks = _mark(good == len(workload.checks), f"{good} of {len(workload.checks)}") if workload.checks else "–"
    disks = f"{len(workload.disks)} · {_text(size_text(workload.size))}" if workload.disks else "–"
    return (
        f"<tr><td>{link}{to}</td><td>{_pill(workload.status)}</td><td class=num>{disks}</td>"
        f"<td class=num>{_text(rate_text(workload.size, workload.seconds))}</td>"
        f"<td class=num>{_text(duration_text(workload.downtime))}</td><td>{proof}</td><td>{checks}</td></tr>"
    )


def _pill(status: Status) -> str:
    return f'<span class="pill {status}">{STATUS_TEXT[status]}</span>'


def _details(index: int, workload: Workload) -> str:
    facts = [
        ("From", f"{_name(workload.source_name)} <code>{_text(workload.source_id)}</code>"),
        ("To", f"{_name(workload.target_name)} <code>{_text(workload.target_ref)}</code>"),
        ("Place", _name(workload.target_place)),
        ("Move group", _name(workload.group)),
        ("Wave", _name(workload.wave)),
        ("Downtime", _text(duration_text(workload.downtime))),
        ("Boot", _text(duration_text(workload.boot))),
    ]
    given = [workload.source_id, workload.target_name, workload.target_place, workload.group, workload.wave]
    shown = [fact for fact, there in zip(facts[:5], given, strict=True) if there]
    shown += [
        fact for fact, there in zip(facts[5:], (workload.downtime, workload.boot), strict=True) if there is not None
    ]
    grid = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in shown)
    parts = [
        f'<h3>{_name(workload.source_name or workload.key)} {_pill(workload.status)}</h3><dl class="facts">{grid}</dl>',
        _timeline(workload.steps),
        _disks(workload.disks),
        _checks(workload.checks),
        _files(workload.files),
    ]
    return f'<section class="detail" id="w{index}">{"".join(filter(None, parts))}</section>'


def _timeline(steps: Sequence[Step]) -> str:
    timed = [(step, step.seconds) for step in steps if step.seconds]
    total = sum(seconds for dummy, seconds in timed)
    picture = ""
    if total > 0:
        at, rects, keys = 0.0, [], []
        for number, (step, seconds) in enumerate(timed):
            width = max(1000 * seconds / total, 3)
            act = ACT_TEXT.get(step.act, step.act)
            told = f"{act}: {duration_text(seconds)}"
            rects.append(
                f'<rect class="c{number % 6}" x="{at:.1f}" width="{width:.1f}" height="18">'
                f"<title>{_text(told)}</title></rect>"
            )
            keys.append(f'<li><i class="c{number % 6}"></i>{_text(act)} <b>{_text(duration_text(seconds))}</b></li>')
            at += width
        picture = (
            f'<svg class="time" viewBox="0 0 {at:.1f} 18" preserveAspectRatio="none" role="img" '
            f'aria-label="time of each step">{"".join(rects)}</svg><ul class="keys">{"".join(keys)}</ul>'
        )
    recorded = ", ".join(f"{_text(step.act)} <b>#{step.seq}</b>" for step in steps if step.seq is not None)
    return f'{picture}<p class="quiet records">In the ledger: {recorded or "nothing yet"}</p>'


def _disks(disks: Sequence[Disk]) -> str:
    if not disks:
        return ""
    before = any(disk.before and disk.before != disk.source for disk in disks)
    rows = "".join(
        f"<tr><td>{_name(disk.label)}<br><code>{_text(disk.volume)}</code></td>"
        f"<td class=num>{_text(size_text(disk.size))}</td>"
        f"<td class=num>{_text(size_text(disk.sent)) if disk.sent else '–'}</td>"
        f"<td class=num>{_text(rate_text(disk.size, disk.seconds))}</td>"
        + (f"<td>{_digest(disk.before)}</td>" if before else "")
        + f"<td>{_digest(disk.source)}</td><td>{_digest(disk.target)}</td>"
        f"<td>{_text(disk.told) if disk.sample else _mark(disk.proven, disk.told)}</td></tr>"
        for disk in disks
    )
    head = "".join(
        f"<th{' class=num' if name in ('Size', 'Sent', 'Rate') else ''}>{name}</th>"
        for name in (
            "Disk",
            "Size",
            "Sent",
            "Rate",
            *(["Before adaptation"] if before else []),
            "Read",
            "Read back",
            "Proof",
        )
    )
    return (
        f'<div class="scroll"><table><caption>Disks</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _checks(checks: Sequence[Check]) -> str:
    rows = "".join(
        f"<tr><td>{_mark(check.ok, 'passed' if check.ok else 'failed')}</td><td>{_name(check.name)}</td>"
        f"<td>{_text(check.detail)}</td><td class=num>{_text(duration_text(check.seconds))}</td></tr>"
        for check in checks
    )
    return f"<div class=scroll><table><caption>Checks</caption><tbody>{rows}</tbody></table></div>" if rows else ""


def _files(files: Sequence[FileChange]) -> str:
    if not files:
        return ""
    rows = "".join(
        f"<tr><td><code>{_text(file.path)}</code></td><td>{_change(file)}</td>"
        f"<td>{_digest(file.before)}</td><td>{_digest(file.after)}</td></tr>"
        for file in files
    )
    return (
        f"<details{' open' if len(files) <= 12 else ''}>"
        f"<summary>{_plural(len(files), 'file')} adapted on the clone</summary>"
        '<div class="scroll"><table class="files"><thead><tr><th>File</th><th></th><th>Before</th><th>After</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div></details>"
    )


def _change(file: FileChange) -> str:
    if file.action:
        return _text(file.action)
    if file.before and file.after:
        return "modified"
    return "created" if file.after else "removed"


def _left(data: ReportData) -> str:
    items = list(_left_items(data.workloads))
    if not items:
        return ""
    rows = "".join(f"<tr><td>{name}</td><td>{_pill(status)}</td><td>{text}</td></tr>" for name, status, text in items)
    return f'<section><h2>What is left</h2><div class="scroll"><table><tbody>{rows}</tbody></table></div></section>'


def _left_items(workloads: Iterable[Workload]) -> Iterable[tuple[str, Status, str]]:
    texts: dict[str, str] = {
        "moved": "The source is stopped and fenced, and its disks are kept. Accept the move, or roll it back.",
        "under_way": "Run migrate again: it goes on where it stopped.",
        "rolled_back": "The source runs again; the copy at the target is off and kept.",
        "failed": "Look at the findings, then run migrate again.",
        "planned": "Run migrate for its wave.",
    }
    for workload in workloads:
        name = _name(workload.source_name or workload.key)
        yield (
            name,
            workload.status,
            _text(texts.get(workload.status) or workload.reason or "The plan leaves it where it is."),
        )


def _proofs(data: ReportData) -> str:
    state = (
        _mark(False, f"not sound: {_plural(len(data.ledger_problems), 'problem')}")
        if data.ledger_problems
        else _mark(True, f"sound, {_plural(data.ledger_count, 'record')}")
    )
    rows = [("Ledger", state), ("Head", f"<code class=whole>{_text(data.ledger_head)}</code>")]
    if data.plan_digest:
        rows.append(("Plan", f"<code class=whole>{_text(data.plan_digest)}</code>"))
    grid = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in rows)
    return (
        f'<section><h2>How to check this report</h2><dl class="facts wide">{grid}</dl>'
        "<p>Every act above is a record of the ledger, and each record holds the hash of the one before it. Compute "
        "them again with <code>ansible-playbook cloudexit.flexible_engine.verify_ledger</code>; give the head above as "
        "<code>-e head=…</code> to learn as well whether records were cut off since.</p>"
        "<p>A disk counts as proven when the manifest of what was read at the source and that of what was read back "
        "from the target, by separate code, have the same root: BLAKE3 over the hashes of all 64&nbsp;KiB chunks. "
        "Where a disk was adapted, the root before adaptation is the proof against the source. Of a disk that the plan "
        "has sampled, only chosen chunks were compared: it does not count as proven.</p></section>"
    )
