# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The assessment report: what it must say, in both languages; hostile names; the same bytes; its drawing."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import assessment as report
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import graph
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.words import Words
from tests.assessments import HOSTILE_NAMES, make

VOID = {"meta", "link", "input", "br"}
TAGS = {
    *("html", "head", "body", "meta", "link", "title", "style", "script", "main", "header", "footer", "nav", "section"),
    *("h1", "h2", "h3", "p", "ul", "ol", "li", "dl", "dt", "dd", "div", "a", "b", "br", "bdi", "span", "small", "i"),
    *("strong", "code", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "input", "label", "select"),
    *("option", "button", "svg", "g", "path", "rect", "circle", "text", "defs", "pattern"),
}


class Page(HTMLParser):
    """Tags with their attributes, the text by section, and whether every tag is closed where it must be."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self.open: list[str] = []
        self.at = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "section":
            self.at = dict(attrs).get("id") or ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.sections[self.at] = self.sections.get(self.at, "") + data

    def texts(self) -> str:
        return " ".join(self.sections.values())


def small(**changed: object) -> assessments.Assessment:
    """Two workloads, everything read, nothing open."""
    base = make(2, hostile=False, partial=False)
    workloads = [
        replace(w, readiness="ready", missing=[], answer="not_asked", destination="vsphere", move="cold", wave="wave_1")
        for w in base.workloads
    ]
    calm: dict[str, object] = {"workloads": workloads, "items": [], "findings": [], "drift": [], "to_fill": []}
    return replace(base, **(calm | changed))


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("servers", [0, 1, 12, 200])
def test_the_page_is_sound_whatever_the_names(language: report.Language, servers: int) -> None:
    source = report.render(make(servers), language, stem="acme")
    source.encode("utf-8")
    page = Page(source)
    assert page.open == []
    assert {tag for tag, dummy in page.tags} <= TAGS
    for tag, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on") or key in ("style", "src", "srcset", "action")]
        if "href" in attributes:
            target = attributes["href"] or ""
            assert target.startswith("#") or target == "data:," or re.fullmatch(r"acme\.[a-z.]+", target), (tag, target)
    identities = [attributes["id"] for dummy, attributes in page.tags if attributes.get("id")]
    assert len(identities) == len(set(identities))
    for dummy, attributes in page.tags:
        if (attributes.get("href") or "").startswith("#"):
            assert (attributes["href"] or "")[1:] in identities
    assert sum(tag == "script" for tag, dummy in page.tags) == 1
    assert all(char.isprintable() or char in "\n\u00a0\u202f" for char in source)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_same_assessment_gives_the_same_bytes(language: report.Language) -> None:
    assert report.render(make(40), language) == report.render(make(40), language)


def test_nothing_of_the_assessment_is_missing_in_the_page() -> None:
    a = make(60, hostile=False)
    page = Page(report.render(a, "en"))
    for w in a.workloads:
        assert w.name in page.sections["workloads"] and w.addresses[0] in page.sections["workloads"]
    for item in a.items:
        assert item.name in page.sections["objects"]
        assert (item.name in page.sections.get("behind", "")) == (item.decision == "leave")
        assert (item.name in page.sections["decide"]) == (item.decision == "customer")
    for group in a.groups:
        assert group.name in page.sections["groups"]
    for wave in a.waves:
        assert wave.name in page.sections["waves"]
    for change in a.drift:
        assert (change.name or change.id) in page.sections["drift"]
    for entry in a.to_fill:
        assert entry in page.sections["fill"]
    for finding in a.findings:
        where = {"blocker": "blocks", "warning": "warnings", "information": "information"}[finding.severity]
        assert finding.rule in page.sections[where] and finding.seen in page.sections[where]
        assert finding.action in page.sections[where]


def test_what_was_not_read_is_not_nothing() -> None:
    page = Page(report.render(make(5, hostile=False), "en"))
    for said in ("dns", "rds", "RDS databases", "quantum-annealer", "not read", "the service answered 503"):
        assert said in page.sections["unread"]
    assert "The cloud does not have here: waf" in page.sections["unread"]
    row = re.search(r"RDS databases(.*?)(?=RDS backups)", page.sections["objects"])
    assert row and "not read" in row[1] and "0" not in row[1]
    assert "Not all of the tenant could be read" in page.texts()


def test_good_is_said_only_where_everything_is_known_and_good() -> None:
    def verdicts(a: assessments.Assessment) -> list[str]:
        return re.findall(r'<li class="verdict (\w+)">', report.render(a, "en"))

    calm = small()
    assert verdicts(calm) == ["good"]
    first, second = calm.workloads
    assert "good" not in verdicts(small(workloads=[first, replace(second, readiness="unknown")]))
    assert "good" not in verdicts(small(workloads=[first, replace(second, readiness="ready_with_changes")]))
    assert "good" not in verdicts(small(workloads=[first, replace(second, answer="open")]))
    assert "good" not in verdicts(small(workloads=[]))
    assert verdicts(small(read={**calm.read, "snapshots": "partial"})) == ["unknown"]
    assert verdicts(small(services=[estates.Service("telepathy", "not_read", [])])) == ["unknown"]
    assert verdicts(small(services=[estates.Service("waf", "absent", [])])) == ["good"]


def test_sizes_that_are_not_known_are_not_nought() -> None:
    base = small()
    unsized = [replace(w, missing=["disks"], disk_gib=0) for w in base.workloads]
    page = Page(report.render(replace(base, workloads=unsized), "en"))
    assert "0\u00a0GiB" not in page.sections["workloads"] and "not known" in page.sections["workloads"]
    assert "<strong><small>not known</small></strong>" in report.render(replace(base, workloads=unsized), "en")
    one = replace(base, workloads=[replace(base.workloads[0], disk_gib=40), unsized[1]])
    assert "40\u00a0GiB<small> at least</small>" in report.render(one, "en")
    assert "at least" not in report.render(base, "en")
    assert "at least" in report.render(replace(base, read={**base.read, "volumes": "partial"}), "en")


def test_unknown_is_a_sign_and_a_word_and_never_green() -> None:
    source = report.render(small(workloads=[replace(w, readiness="unknown") for w in small().workloads]), "en")
    assert source.count('<span class="pill unknown">? unknown</span>') >= 3
    rects = re.findall(r'<rect class="(\w+)" x', source)
    assert rects == ["unknown"]
    green = re.findall(r"([^{}]*)\{[^{}]*var\(--good(?:-bg)?\)", source)
    assert green and not [selector for selector in green if "unknown" in selector or "not_read" in selector]


def test_french_says_it_in_french_and_marks_what_is_english() -> None:
    a = make(12, hostile=False)
    page = report.render(a, "fr")
    assert '<html lang="fr">' in page
    said = ("Rapport d&#x27;évaluation", "son volume est chiffré", "30\u00a0juin 2027", "L&#x27;étiquette le dit.")
    for text in said:
        assert text in page
    assert '<span lang="en">it becomes an address group</span>' in page
    assert "Tio" in page and "TiB" not in page
    assert 'lang="en"' not in report.render(a, "en").partition("<main")[2].replace('hreflang="en" lang="en"', "")


def test_links_to_what_is_beside_it_only_where_something_is() -> None:
    linked = report.render(make(3), "en", stem="acme")
    assert 'href="acme.assessment.fr.html" hreflang="fr" lang="fr"' in linked and 'href="acme.objects.csv"' in linked
    assert "acme.objects.csv" not in report.render(make(3), "en")
    assert 'href="a%22b%3Cc.objects.csv"' in report.render(make(3), "en", stem='a"b<c')


def test_a_wave_says_whether_it_fits() -> None:
    wave = assessments.Wave(
        name="wave_1", groups=["group-01"], workloads=2, disk_gib=100, start="2027-02-01T20:00:00Z", window_s=14400,
        seconds=3600, seconds_late=5400, rate_mib_s=80.0, measured=True, fits=True, bound_by="rate",
    )  # fmt: skip

    def said(**changed: object) -> str:
        return Page(report.render(small(waves=[replace(wave, **changed)]), "en")).sections["waves"]

    assert "✓ fits" in said() and "1\u00a0February 2027, 20:00\u00a0UTC" in said() and "measured" in said()
    assert "1\u00a0h 30\u00a0min" in said() and "the rate of the copy" in said()
    assert "✗ too long" in said(fits=False) and "✓ fits" not in said(fits=False)
    assert "? no window" in said(fits=None, start="") and "✓" not in said(fits=None, start="")
    alone = small(workloads=[replace(w, wave="") for w in small().workloads], waves=[wave])
    assert "in no wave; no time is counted for: 2" in Page(report.render(alone, "en")).sections["waves"]


# ---- the drawing ----


def drawn(a: assessments.Assessment) -> graph.Drawing:
    return graph.draw(a, Words("en"), "dependencies")


def angles(svg: str) -> list[float]:
    """The rays on which there is a label."""
    return sorted(float(found) % 360 for found in re.findall(r'transform="rotate\(([-\d.]+)\)', svg))


@pytest.mark.parametrize("servers", [2, 30, 200, 1000])
def test_labels_never_overlap(servers: int) -> None:
    drawing = drawn(make(servers))
    rays = angles(drawing.svg)
    size = re.search(r'width="(\d+)"', drawing.svg)
    assert size
    radius = int(size[1]) / 2 - graph.MARGIN
    assert len(rays) >= len(drawing.shown)
    between = [b - a for a, b in zip(rays, [*rays[1:], rays[0] + 360], strict=True)]
    assert math.radians(min(between)) * radius >= 12, "a label of 12 px needs as much of the ring"
    labels = re.findall(r"<text[^>]*>([^<]*)</text>", drawing.svg)
    assert max(map(len, labels)) <= graph.LABEL + len("&quot;") * 10 + 2


def test_every_workload_is_drawn_or_named_as_alone_and_every_edge_is_a_line() -> None:
    a = make(60, hostile=False)
    drawing = drawn(a)
    assert sorted([*drawing.shown, *drawing.alone]) == sorted(w.host for w in a.workloads)
    pairs = {frozenset((edge.a, edge.b)) for edge in a.edges}
    assert drawing.svg.count('class="edge') == len(pairs) and drawing.left_out == 0
    for edge in a.edges:
        assert {edge.a, edge.b} <= set(drawing.shown)
    hard = {frozenset((edge.a, edge.b)) for edge in a.edges if edge.hard}
    assert len(re.findall(r'class="edge[^"]*hard"', drawing.svg)) == len(hard) > 0
    page = Page(report.render(a, "en"))
    assert page.sections["graph"].count("must cut over together") == 1 + sum(edge.hard for edge in a.edges)


def test_the_drawing_takes_what_does_not_fit_together() -> None:
    base = small()
    host = base.workloads[0].host
    odd = [
        assessments.Edge(a=host, b=host, why="flow"),
        assessments.Edge(a=host, b="gone", why="flow"),
        assessments.Edge(a="gone", b="gone-too", why="dns"),
    ]
    drawing = drawn(replace(base, edges=odd, groups=[]))
    assert drawing.svg == "" and len(drawing.alone) == 2
    assert Page(report.render(replace(base, edges=odd, groups=[]), "en")).open == []
    other = base.workloads[1].host
    loose = drawn(replace(base, groups=[], edges=[assessments.Edge(a=host, b=other, why="flow", directed=True)]))
    assert loose.svg.count('class="tip"') == 1 and len(loose.shown) == 2


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, "e\u0301" * 100])
def test_a_label_is_short_and_on_one_line(name: str) -> None:
    label = graph.cut(name)
    assert "\n" not in label and all(char.isprintable() for char in label)
    assert len(label) <= 2 * graph.LABEL
    assert graph.cut("web-1") == "web-1" and graph.cut("x" * 25) == "x" * 23 + "…"
    assert len(graph.cut("名前" * 40)) == 12
