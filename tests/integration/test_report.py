# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as a person gets it: by the playbook, in a browser."""

from __future__ import annotations

import html
import subprocess
from pathlib import Path

import pytest

from tests import samples
from tests.installed import Playbook

BROWSER = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--log-level=0",
]


def browse(chromium: str, page: Path, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [chromium, *BROWSER, f"--user-data-dir={profile}", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.mark.chromium
def test_the_report_in_a_browser(playbook: Playbook, chromium: str, tmp_path: Path) -> None:
    samples.write(tmp_path)
    first = playbook("report", extra={"evidence": "evidence", "plan": "acme.plan.yml"}).ok()
    assert first.recap["localhost"].changed == 1
    again = playbook("report", extra={"evidence": "evidence", "plan": "acme.plan.yml"}).ok()
    assert again.recap["localhost"].changed == 0

    page = tmp_path / "evidence" / "report.html"
    shown = browse(chromium, page, tmp_path / "profile", "--dump-dom", "--virtual-time-budget=2000")
    assert [line for line in shown.stderr.splitlines() if "CONSOLE" in line] == []
    assert "2 of 4 workloads moved so far" in shown.stdout
    name = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in samples.HOSTILE)
    assert f"<bdi>{html.escape(name, quote=False)}</bdi>" in shown.stdout
    assert "<script" not in shown.stdout
    assert "<img" not in shown.stdout

    picture = tmp_path / "report.png"
    browse(
        chromium, page, tmp_path / "profile", f"--screenshot={picture}", "--window-size=1200,1600", "--hide-scrollbars"
    )
    assert picture.stat().st_size > 50_000  # a page that shows nothing is far smaller


@pytest.mark.chromium
def test_the_browser_test_would_see_an_error_and_a_script(chromium: str, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<p id=p>quiet</p><script>document.getElementById('p').textContent = 'ran'; nothere()</script>")
    shown = browse(chromium, page, tmp_path / "profile", "--dump-dom", "--virtual-time-budget=2000")
    assert "ran" in shown.stdout
    assert [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
