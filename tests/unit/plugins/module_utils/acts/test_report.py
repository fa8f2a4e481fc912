# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: what it says of an evidence directory, and that nothing in it can act."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import report
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import evidence
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, NotFound
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.migration import (
    ReportData,
    Workload,
    duration_text,
    rate_text,
    render,
    size_text,
)
from tests import samples


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.stack: list[str] = []
        self.feed(source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "rect"):
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.stack:
            self.words.append(data)


@pytest.fixture
def moved(tmp_path: Path) -> tuple[str, str]:
    folder, file = samples.write(tmp_path)
    return str(folder), str(file)


@pytest.fixture
def broken(tmp_path: Path) -> tuple[str, str]:
    folder, file = samples.write(tmp_path, broken=True)
    return str(folder), str(file)


def test_what_moved_and_what_is_left(moved: tuple[str, str]) -> None:
    data = report.gather(*moved)
    assert {workload.key: workload.status for workload in data.workloads} == {
        "web-1-5e2f0001": "moved",
        "web-2-5e2f0002": "moved",
        "web-3-5e2f0003": "under_way",
        "db-1-5e2f0004": "planned",
        "build-5e2f0005": "stays",
    }
    first = data.workloads[0]
    assert (first.target_ref, first.wave, first.group, first.proven) == ("vm-61", "wave_1", "web", True)
    assert first.downtime == 184
    assert [step.seq for step in first.steps] == [1, 2, 3, 4, 5, 6, 7]
    page = Page(report.build(*moved))
    for text in (
        "OpenStack project 0f3c5b7a9d1e4c2b in RegionOne",
        "vSphere DC0 / DC0_C0",
        "2 of 4 workloads moved so far",
        "84.0 GiB",
        "/boot/initrd.img-6.1.0-35-amd64",
        "Rebuilt from scratch at the target.",
        "sound, 18 records",
        data.ledger_head,
    ):
        assert text in page.text


def test_the_same_evidence_gives_the_same_bytes(moved: tuple[str, str]) -> None:
    assert report.build(*moved) == report.build(*moved)


def test_bad_news_comes_first(broken: tuple[str, str]) -> None:
    data = report.gather(*broken)
    assert [workload.status for workload in data.workloads[:2]] == ["failed", "under_way"]
    high = [finding.text for finding in data.findings if finding.severity == "high"]
    assert high[0] == "The check ssh systemctl is-system-running failed: degraded"
    assert high[1].startswith("Data disk: what was read back from the target is not what was read")
    page = Page(report.build(*broken))
    assert "0 of 4 moved – attention is needed" in page.text
    assert page.text.index("degraded") < page.text.index("Workloads moved") + 2000


def test_a_ledger_that_was_changed_is_said_first(moved: tuple[str, str]) -> None:
    ledger = Path(moved[0]) / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace('"equal":true', '"equal":false', 1))
    page = Page(report.build(*moved))
    assert "The ledger is not sound: do not rely on this report" in page.text
    assert "does not match its hash" in page.text


def test_equal_is_not_believed_where_the_roots_differ(tmp_path: Path) -> None:
    folder, file = tmp_path / "evidence", tmp_path / "plan.yml"
    results = samples.moved(1, equal=False)
    results[3]["disks"][1]["equal"] = True
    acts = [evidence.Act(result["name"], True, result=result) for result in results]
    evidence.record(str(folder / "ledger.jsonl"), "acme", "web-1-5e2f0001", acts)
    samples.write(tmp_path / "other")
    file.write_bytes((tmp_path / "other" / "acme.plan.yml").read_bytes())
    assert report.gather(str(folder), str(file)).workloads[0].status == "under_way"


def test_a_sampled_disk_never_counts_as_equal(tmp_path: Path) -> None:
    """The workload has moved, and the page says of it what is known and what is not."""
    results = samples.moved(1)
    disk = results[3]["disks"][1]
    disk |= {"manifest_target": "", "equal": False, "proof": "sampled", "sample": {"read": 8192, "chunks": 163840}}
    ledger = str(tmp_path / "ledger.jsonl")
    acts = [evidence.Act(result["name"], True, result=result) for result in results]
    evidence.record(ledger, "acme", "web-1", acts)
    data = report.gather(str(tmp_path))
    (workload,) = data.workloads
    assert (workload.status, workload.proven) == ("moved", False)
    (finding,) = [one for one in data.findings if "sampled" in one.text]
    assert finding.severity == "medium" and "8192 of 163840 chunks" in finding.text
    page = Page(report.build(str(tmp_path)))
    assert "Everything that was planned has moved; 1 disk only sampled" in page.text
    assert "1 of 2 equal, 1 sampled" in page.text and "sampled: 8192 of 163840 chunks, none differs" in page.text
    assert "every byte is proven" not in page.text

    # what a record says beside two roots that differ is not believed
    disk |= {"manifest_target": samples.root("something else")}
    other = tmp_path / "other"
    acts = [evidence.Act(result["name"], True, result=result) for result in results]
    evidence.record(str(other / "ledger.jsonl"), "acme", "web-1", acts)
    assert report.gather(str(other)).workloads[0].status == "under_way"


def test_rolled_back_and_failed(tmp_path: Path) -> None:
    ledger = str(tmp_path / "ledger.jsonl")
    acts = [evidence.Act(result["name"], True, result=result) for result in samples.moved(1)]
    evidence.record(ledger, "acme", "web-1", [*acts, evidence.Act("source_fence", True, result={"fenced": False})])
    evidence.record(ledger, "acme", "web-2", [evidence.Act("disk_pass", True, result={"failed": True, "msg": "no"})])
    data = report.gather(str(tmp_path))
    assert [(workload.key, workload.status) for workload in data.workloads] == [
        ("web-1", "rolled_back"),
        ("web-2", "failed"),
    ]
    assert data.tenant == "acme"


def test_names_are_inert(moved: tuple[str, str]) -> None:
    source = report.build(*moved)
    page = Page(source)
    assert "<script>alert(1)</script>" in page.text  # as text
    assert {tag for tag, attrs in page.tags} <= {
        *("html", "head", "meta", "link", "title", "style", "body", "main", "header", "section", "h1", "h2", "h3", "p"),
        *("ul", "li", "span", "strong", "small", "svg", "rect", "div", "table", "thead", "tbody", "tr", "th", "td"),
        *("caption", "dl", "dt", "dd", "code", "b", "i", "a", "bdi", "br", "details", "summary"),
    }
    assert not [attrs for tag, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert "\u202e" not in source
    links = [value for tag, attrs in page.tags for name, value in attrs.items() if name in ("href", "src", "action")]
    assert all(link in ("data:,", *(f"#w{index}" for index in range(5))) for link in links)
    assert "http" not in source.replace("http-equiv", "").replace("http http://10.20.0.11/", "")


def test_every_name_is_escaped_wherever_it_comes_from() -> None:
    bad = '"><script>x</script>'
    data = ReportData(
        tenant=bad,
        source=bad,
        target=bad,
        as_of=bad,
        plan_digest=bad,
        ledger_head=bad,
        ledger_problems=[bad],
        workloads=[Workload(bad, "moved", bad, bad, bad, bad, bad, bad, bad, bad)],
    )
    assert "<script" not in render(data)


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        report.build(str(tmp_path))
    (tmp_path / "plan.yml").write_text("plugin: something.else\n")
    with pytest.raises(InvalidInput):
        report.build(str(tmp_path), str(tmp_path / "plan.yml"))


def test_a_plan_alone_says_what_is_left(tmp_path: Path) -> None:
    dummy, file = samples.write(tmp_path / "full")
    page = Page(report.build(str(tmp_path / "empty"), str(file)))
    assert "0 of 4 workloads moved so far" in page.text
    assert page.text.count("Run migrate for its wave.") == 4


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (150 << 20, "150 MiB"), (3 << 40, "3.0 TiB")],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.44, "0.4 s"), (59.4, "59 s"), (61, "1 min 1 s"), (3599.6, "1 h 0 min"), (7801, "2 h 10 min")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text


def test_rates() -> None:
    assert rate_text(118_000_000, 1) == "118 MB/s"
    assert rate_text(0, 1) == rate_text(1, 0) == "–"
