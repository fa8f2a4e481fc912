# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""object_escrow: every object is kept, restored and compared; a second run keeps nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import contents, stores
from tests.unit.openstack_http import FakeCloud
from tests.unit.plugins.modules.clouds import Call

OBJECTS = {"../é {{ x }}": b"x" * 100_000, "empty": b"", "plain": b"hello"}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    held = dict(OBJECTS)

    def entries(_place: Any) -> Iterator[contents.Entry]:
        for key, data in held.items():
            yield contents.Entry(key, "", len(data), str(hash(data)))

    def read(_place: Any, entry: contents.Entry) -> Iterator[bytes]:
        for start in range(0, entry.size, 30_000):
            yield held[entry.key][start : start + 30_000]

    monkeypatch.setattr(contents, "entries", entries)
    monkeypatch.setattr(contents, "read", read)
    monkeypatch.setattr(stores, "of", lambda objects, ref: ref)
    yield held


@pytest.fixture
def params(tmp_path: Path) -> Iterator[dict[str, Any]]:
    key, certificate = tmp_path / "k.pem", tmp_path / "c.pem"
    wanted = ["-x509", "-nodes", "-subj", "/CN=x", "-days", "2", "-keyout", str(key), "-out", str(certificate)]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(["openssl", "req", *wanted, *kind], check=True, capture_output=True)
    with FakeCloud() as cloud:
        yield {
            "auth": cloud.auth(),
            "region_name": "RegionOne",
            "tenant": "acme",
            "containers": ["files"],
            "store": {"place": str(tmp_path / "store")},
            "recipients": [certificate.read_text()],
            "key": key.read_text(),
        }


def test_check_keep_keep_again(
    call_module: Call, fake: dict[str, bytes], params: dict[str, Any], tmp_path: Path
) -> None:
    first = call_module("object_escrow", params, check=True, diff=True)
    assert first["changed"] and "containers/files: 3 objects, 100005 bytes" in first["diff"]["after"]
    assert not (tmp_path / "store").exists()
    done = call_module("object_escrow", params)
    (about,) = done["objects"]
    assert done["changed"] and about["manifest"] == about["restored"] and about["entries"] == 3
    index = json.loads((tmp_path / "store" / about["prefix"] / "escrow.json").read_text())
    assert {entry["key"] for entry in index["entries"]} == set(OBJECTS)
    assert not any(b"hello" in file.read_bytes() for file in (tmp_path / "store").rglob("*.cms"))
    again = call_module("object_escrow", params)
    assert not again["changed"] and again["objects"][0]["manifest"] == about["manifest"]
    # what changed is kept beside it
    fake["plain"] = b"changed"
    later = call_module("object_escrow", params)
    assert later["changed"] and later["objects"][0]["prefix"] != about["prefix"]
    assert (tmp_path / "store" / about["prefix"] / "escrow.json").exists()
