# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assessment and portfolio reports as people get them: written by the installed modules, opened in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import graph
from tests.assessments import HOSTILE_NAMES, make
from tests.installed import Alone

pytestmark = pytest.mark.chromium

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
WIDTHS = (1440, 360)
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - cloudexit.flexible_engine.assessment_report:
        assessment: "{{ item }}.assessment.json"
      loop: [acme, globex, initech]
    - cloudexit.flexible_engine.portfolio_report:
        directory: "."
        today: "2027-06-01"
        tenants:
          - {name: acme, assessment: acme.assessment.json}
          - {name: globex, assessment: globex.assessment.json}
          - {name: initech, assessment: initech.assessment.json, failure: "<b>wrong</b> password"}
          - {name: umbrella, assessment: umbrella.assessment.json}
"""
PAGES = [
    "acme.assessment.en.html",
    "acme.assessment.fr.html",
    "globex.assessment.en.html",
    "initech.assessment.fr.html",
    "portfolio.en.html",
    "portfolio.fr.html",
]


@dataclass
class Tab:
    """A page in the browser, and all that went wrong in it."""

    page: Page
    faults: list[str] = field(default_factory=list)

    def axe(self) -> list[str]:
        """What the accessibility check finds."""
        self.page.evaluate(AXE)
        found: dict[str, Any] = self.page.evaluate("axe.run()")
        return [f"{rule['id']}: {rule['nodes'][0]['html']}" for rule in found["violations"]]


class Open:
    """Opens pages; every tab of a test is closed with its browser."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def __call__(self, path: Path, *, width: int = 1440, script: bool = True, scheme: Any = "light") -> Tab:
        context = self._browser.new_context(
            viewport={"width": width, "height": 900}, java_script_enabled=script, color_scheme=scheme
        )
        tab = Tab(context.new_page())
        tab.page.on("console", lambda message: tab.faults.append(f"console: {message.text}"))
        tab.page.on("pageerror", lambda error: tab.faults.append(f"error: {error}"))
        tab.page.on("dialog", lambda dialog: (tab.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        tab.page.on(
            "request",
            lambda request: None if request.url in (path.as_uri(), "data:,") else tab.faults.append(request.url),
        )
        tab.page.goto(path.as_uri())
        return tab


@pytest.fixture(scope="module")
def browse(chromium: str) -> Iterator[Open]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield Open(browser)
        browser.close()


@pytest.fixture(scope="module")
def folder(collections_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports of a hostile tenant, a calm one and one of no server, and of the portfolio over them."""
    folder = tmp_path_factory.mktemp("reports")
    for name, document in (
        ("acme", make(60)),
        ("globex", make(12, name="globex", hostile=False, partial=False)),
        ("initech", make(0, name="initech")),
    ):
        (folder / f"{name}.assessment.json").write_text(assessments.to_text(document), encoding="utf-8")
    play = folder / "play.yml"
    play.write_text(PLAY)
    first = Alone(collections_path, folder).run(str(play), timeout=300).ok()
    assert first.recap["localhost"].changed == 2
    again = Alone(collections_path, folder).run(str(play), timeout=300).ok()
    assert again.recap["localhost"].changed == 0
    return folder


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_sound_at_both_widths(browse: Open, folder: Path, name: str) -> None:
    for width in WIDTHS:
        tab = browse(folder / name, width=width)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, "only tables scroll sideways"
        assert tab.page.locator("main h1").is_visible()
        assert tab.axe() == []
        assert tab.faults == []
        tab.page.context.close()


@pytest.mark.parametrize("name", ["acme.assessment.en.html", "portfolio.fr.html"])
def test_pages_in_the_dark(browse: Open, folder: Path, name: str) -> None:
    tab = browse(folder / name, scheme="dark")
    assert tab.axe() == [] and tab.faults == []
    tab.page.context.close()


def test_the_check_would_find_something(browse: Open, tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text("<!DOCTYPE html><html><p style='color:#ccc'>pale<img src=gone.png><script>nothere()</script>")
    tab = browse(path)
    found = {fault.partition(":")[0] for fault in tab.axe()}
    assert {"color-contrast", "html-has-lang", "image-alt"} <= found
    assert any("nothere" in fault for fault in tab.faults) and any("gone.png" in fault for fault in tab.faults)
    tab.page.context.close()


def test_tables_are_sorted_and_filtered_by_keyboard(browse: Open, folder: Path) -> None:
    tab = browse(folder / "acme.assessment.en.html")
    table = tab.page.locator("#t-workloads")
    rows = table.locator("tbody tr")
    assert rows.count() == 60

    button = table.get_by_role("button", name="Volumes")
    button.focus()
    tab.page.keyboard.press("Enter")
    head = table.locator("th", has=tab.page.get_by_role("button", name="Volumes"))
    assert head.get_attribute("aria-sort") == "ascending"
    sizes = table.locator("tbody tr td:nth-child(6)").evaluate_all("cells => cells.map(cell => Number(cell.dataset.v))")
    assert sizes == sorted(sizes) and len(set(sizes)) > 5
    tab.page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    sizes = table.locator("tbody tr td:nth-child(6)").evaluate_all("cells => cells.map(cell => Number(cell.dataset.v))")
    assert sizes == sorted(sizes, reverse=True)

    tools = tab.page.locator(".tools.filter[data-table=t-workloads]")
    tools.get_by_label("Readiness").select_option("unknown")
    unknown = sum(w.readiness == "unknown" for w in make(60).workloads)
    assert table.locator("tbody tr:visible").count() == unknown > 0
    assert tools.get_by_role("status").text_content() == f"{unknown} of 60 shown"
    tools.get_by_label("Search in the table").focus()
    tab.page.keyboard.type("no workload is called that")
    assert table.locator("tbody tr:visible").count() == 0
    assert tab.faults == []

    tab.page.goto((folder / "acme.assessment.en.html").as_uri())
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.className") == "skip"
    tab.page.context.close()


def test_the_drawing(browse: Open, folder: Path) -> None:
    tab = browse(folder / "acme.assessment.en.html")
    frame = tab.page.locator("#drawing")
    drawing = frame.locator("svg")
    fitted = drawing.evaluate("svg => svg.getBoundingClientRect().width")
    assert fitted <= frame.evaluate("frame => frame.clientWidth")
    zoom = tab.page.locator(".tools.zoom")
    zoom.get_by_role("button", name="Larger").press("Enter")
    assert drawing.evaluate("svg => svg.getBoundingClientRect().width") == pytest.approx(fitted * 1.25, abs=1)
    zoom.get_by_role("button", name="Full size").press("Enter")
    # every label within its own ray, whatever the name
    lengths = drawing.locator("text").evaluate_all("texts => texts.map(text => text.getComputedTextLength())")
    assert len(lengths) > 50 and max(lengths) < graph.MARGIN - 16
    heights = drawing.locator("text").evaluate_all("texts => texts.map(text => text.getBBox().height)")
    assert max(heights) <= 18

    choice = zoom.get_by_label("Show what joins")
    choice.select_option("0")
    lit = frame.locator(".edge.on").count()
    assert 0 < lit < frame.locator(".edge").count()
    assert frame.locator(".node.on").count() > 1
    choice.select_option("")
    assert frame.locator(".edge.on").count() == 0
    assert tab.faults == []
    tab.page.context.close()


@pytest.mark.parametrize("name", ["acme.assessment.fr.html", "portfolio.en.html"])
def test_pages_are_whole_without_their_script(browse: Open, folder: Path, name: str) -> None:
    tab = browse(folder / name, script=False)
    assert tab.page.locator(".tools:visible").count() == 0
    table = tab.page.locator("#t-workloads, #t-tenants")
    assert table.locator("tbody tr:visible").count() == (60 if name.startswith("acme") else 4)
    if name.startswith("acme"):
        assert tab.page.locator("#drawing svg").is_visible()
    assert tab.faults == []
    tab.page.context.close()


def test_hostile_names_are_text(browse: Open, folder: Path) -> None:
    tab = browse(folder / "acme.assessment.en.html")
    told = tab.page.locator("#t-workloads").text_content() or ""
    for name in HOSTILE_NAMES:
        shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)
        assert (shown if len(shown) <= 120 else shown[:119] + "…") in told
    assert tab.page.locator("main script, main img, main iframe, svg script").count() == 0
    portfolio = browse(folder / "portfolio.en.html")
    assert "<b>wrong</b> password" in (portfolio.page.locator("#failed").text_content() or "")
    assert tab.faults == [] and portfolio.faults == []
    tab.page.context.close()
    portfolio.page.context.close()


@pytest.mark.parametrize("name", ["acme.assessment.fr.html", "initech.assessment.fr.html", "portfolio.en.html"])
def test_pages_print(browse: Open, folder: Path, name: str) -> None:
    tab = browse(folder / name)
    printed = tab.page.pdf(format="A4", print_background=True)
    assert printed.startswith(b"%PDF") and printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") >= 1
    tab.page.emulate_media(media="print")
    assert tab.page.locator(".tools:visible, nav.tongues:visible").count() == 0
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 1440
    assert tab.faults == []
    tab.page.context.close()


def test_the_links_between_pages_lead_somewhere(browse: Open, folder: Path) -> None:
    for name in PAGES:
        tab = browse(folder / name)
        for link in tab.page.locator("a[href]").evaluate_all("links => links.map(link => link.getAttribute('href'))"):
            if not link.startswith("#"):
                assert (folder / link).exists(), f"{name} leads to {link}"
        tab.page.context.close()
