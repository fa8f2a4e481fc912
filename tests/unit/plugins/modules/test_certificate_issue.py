# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module certificate_issue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import samples
from tests.sealed import LEDGER, People, purge

TERMS = {"executed_by": "jean", "verified_by": "marie", "contract": None}


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    people = People(tmp_path)
    return {
        "evidence": str(tmp_path / "evidence"),
        "purpose": "erasure",
        "plan": str(purge(people, tmp_path / "evidence")),
        "signing_key": str(people.key(LEDGER)),
        "signers": str(people.file),
        "terms": TERMS,
    }


def test_issued_once(call_module: Any, given: dict[str, Any], tmp_path: Path) -> None:
    would = call_module("certificate_issue", given, check=True, diff=True)
    assert would["changed"]
    assert not (tmp_path / "evidence" / "certificates").exists()
    done = call_module("certificate_issue", given, diff=True)
    assert done["files"] == would["files"]
    assert done["path"] == str(tmp_path / "evidence" / "certificates" / f"{done['id']}.json")
    assert done["methods"] == {"api_deletion": 3}
    names = sorted(path.name for path in (tmp_path / "evidence" / "certificates").iterdir())
    parts = [f"{done['id']}.{part}" for part in ("en.html", "fr.html", "json")]
    assert names == sorted([*parts, *(f"{part}.sig" for part in parts)])
    assert (tmp_path / "evidence" / "verify.sh").exists()
    assert (tmp_path / "evidence" / "retirement" / "acme.retirement.json.alice.sig").exists()
    assert not call_module("certificate_issue", given)["changed"]
    only = call_module("certificate_issue", {**given, "languages": ["fr"]})
    assert (only["changed"], only["id"]) == (False, done["id"])


def test_what_refuses_it(call_module: Any, given: dict[str, Any]) -> None:
    told = call_module("certificate_issue", {**given, "left": ["volumes/v-7"]})
    assert told["failed"]
    assert told["error"] == "Refused"
    assert "volumes/v-7 is left" in told["msg"]
    told = call_module("certificate_issue", {**given, "terms": {}})
    assert told["failed"]
    assert "not known who executes it" in told["msg"]


def test_of_a_migration(call_module: Any, given: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "migrated"
    folder.mkdir()
    samples.write(folder)
    wanted = {
        **given,
        "evidence": str(folder / "evidence"),
        "purpose": "migration",
        "plan": str(folder / "acme.plan.yml"),
        "terms": {},
    }
    done = call_module("certificate_issue", wanted)
    assert (done["workloads"], done["methods"]) == (2, {})
    page = Path(done["path"]).with_suffix(".en.html").read_text()
    assert samples.HOSTILE not in page and "<script" not in page
    assert not call_module("certificate_issue", wanted)["changed"]
    ledger = folder / "evidence" / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace("vm-61", "vm-66"))
    told = call_module("certificate_issue", wanted)
    assert told["failed"]
    assert "does not match its hash" in told["msg"]
