# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the escrow refuses before a job is started; in check mode nothing is stored."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.plugins.module_utils.acts.variable import variable
from tests.unit.plugins.modules.clouds import Call

CLONES = [{"volume": v, "clone": v, "serials": ["no-such-serial"], "size": 1} for v in ("volume-a", "volume-b")]


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    key, certificate = tmp_path / "k.pem", tmp_path / "c.pem"
    wanted = ["-x509", "-nodes", "-subj", "/CN=x", "-days", "2", "-keyout", str(key), "-out", str(certificate)]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(["openssl", "req", *wanted, *kind], check=True, capture_output=True)
    return {
        "workload": variable(),
        "clones": CLONES,
        "store": {"place": str(tmp_path / "store")},
        "recipients": [certificate.read_text()],
        "key": key.read_text(),
        "state_dir": str(tmp_path / "state"),
    }


def test_disk_escrow_stores_nothing_in_check_mode(call_module: Call, tmp_path: Path, params: dict[str, Any]) -> None:
    assert call_module("disk_escrow", params, check=True) == {"changed": True}
    assert not (tmp_path / "store").exists() and not (tmp_path / "state").exists()


def test_disk_escrow_refuses_what_could_not_be_proven(call_module: Call, params: dict[str, Any]) -> None:
    result = call_module("disk_escrow", {**params, "device_timeout": 0.01})
    assert result["failed"] and "shows no device for clone volume-a" in result["msg"]
    result = call_module("disk_escrow", {**params, "recipients": ["nonsense"]}, check=True)
    assert result["failed"] and "no certificate" in result["msg"]
    result = call_module(
        "disk_escrow", {**params, "store": {"place": "s3:///x", "retain_until": "tomorrow"}}, check=True
    )
    assert result["failed"] and "retain_until" in result["msg"] and "s3://bucket" in result["msg"]
