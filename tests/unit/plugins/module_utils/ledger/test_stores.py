# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store in a directory, and what copying into one finds. S3 is in tests/integration/test_stores.py."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain, stores
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    InvalidInput,
    NotFound,
)


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    folder = tmp_path / "evidence"
    for name in ("heads", "certificates", "workloads"):
        (folder / name).mkdir(parents=True)
        (folder / name / "00000002.json").write_text("{}")
    chain.append(str(folder / "ledger.jsonl"), [chain.Entry("acme", "web-1", "act") for dummy in range(2)])
    (folder / "verify.sh").write_text("#!/bin/sh\n")
    return folder


ALL = ["ledger.jsonl", "verify.sh", "heads/00000002.json", "certificates/00000002.json"]


def test_what_is_new_is_copied_the_ledger_first(evidence: Path, tmp_path: Path) -> None:
    store = stores.Directory(str(tmp_path / "copy"))
    assert stores.copy(str(evidence), store, dry_run=True) == ALL
    assert not (tmp_path / "copy").exists()
    assert stores.copy(str(evidence), store) == ALL
    assert stores.copy(str(evidence), store) == []
    assert store.keys("") == sorted(ALL)
    assert store.keys("heads/") == ["heads/00000002.json"]
    chain.append(str(evidence / "ledger.jsonl"), [chain.Entry("acme", "web-1", "more")])
    (evidence / "verify.sh").write_text("#!/bin/sh\n#\n")
    assert stores.copy(str(evidence), store) == ["ledger.jsonl", "verify.sh"]
    assert store.get("ledger.jsonl") == (evidence / "ledger.jsonl").read_bytes()


def test_what_does_not_go_on_from_the_copy_is_a_conflict(evidence: Path, tmp_path: Path) -> None:
    store = stores.Directory(str(tmp_path / "copy"))
    stores.copy(str(evidence), store)
    path = evidence / "ledger.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole.splitlines(keepends=True)[0])
    with pytest.raises(Conflict, match="records were removed or rewritten"):
        stores.copy(str(evidence), store)
    path.write_bytes(whole)
    (evidence / "certificates" / "00000002.json").write_text("{} ")
    with pytest.raises(Conflict, match=r"certificates/00000002.json is another one there"):
        stores.copy(str(evidence), store)
    (evidence / "certificates" / "00000002.json").write_text("{}")
    (evidence / "heads" / "00000002.json").unlink()
    with pytest.raises(Conflict, match=r"heads/00000002.json is there and not here"):
        stores.copy(str(evidence), store)


def test_what_reads_back_otherwise_is_told(evidence: Path, tmp_path: Path) -> None:
    class Bad(stores.Directory):
        def get(self, key: str) -> bytes:
            return super().get(key)[:-1]

    with pytest.raises(CloudExitError, match=r"gives ledger\.jsonl back otherwise"):
        stores.copy(str(evidence), Bad(str(tmp_path / "copy")))


@pytest.mark.parametrize("key", ["", "/etc/passwd", "a/../b", "a//b", "a/", "./a", "a\nb", "..", "a\\b"])
def test_a_key_stays_within_the_store(tmp_path: Path, key: str) -> None:
    with pytest.raises(InvalidInput):
        stores.Directory(str(tmp_path)).put(key, b"")


def test_what_is_not_there(tmp_path: Path) -> None:
    store = stores.Directory(str(tmp_path / "none"))
    assert store.keys("") == []
    store.remove("x")
    with pytest.raises(NotFound):
        store.get("x")
    with pytest.raises(NotFound, match="There is no ledger"):
        stores.copy(str(tmp_path), store)


def test_s3_without_boto3_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "boto3":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    store = stores.S3("bucket", secret_key="hunter2")
    with pytest.raises(CloudExitError, match="boto3 is missing"):
        store.keys("")
    assert "hunter2" not in repr(store)
