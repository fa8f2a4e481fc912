# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the evidence in a real S3 server with object lock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain, stores
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    Conflict,
    NotFound,
    Refused,
    Unreachable,
)
from tests.conftest import LAB
from tests.lab import s3

UNTIL = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Server]:
    with s3.running(LAB / "cache", tmp_path_factory.mktemp("s3")) as found:
        yield found


def client(server: s3.Server) -> Any:
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=s3.ACCESS_KEY,
        aws_secret_access_key=s3.SECRET_KEY,
    )


@pytest.fixture
def store(server: s3.Server, request: pytest.FixtureRequest) -> stores.S3:
    name = "t" + "".join(char for char in request.node.name if char.isalnum()).lower()[:50]
    client(server).create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return stores.S3(name, "acme", server.url, "us-east-1", s3.ACCESS_KEY, s3.SECRET_KEY, retain_until=UNTIL)


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    folder = tmp_path / "evidence"
    (folder / "heads").mkdir(parents=True)
    chain.append(str(folder / "ledger.jsonl"), [chain.Entry("acme", "web-1", "act") for dummy in range(3)])
    (folder / "heads" / "00000003.json").write_text("{}")
    (folder / "workloads").mkdir()
    (folder / "workloads" / "web-1.json").write_text("{}")
    return folder


def test_what_is_copied_cannot_be_removed_or_replaced(store: stores.S3, server: s3.Server, evidence: Path) -> None:
    assert stores.copy(str(evidence), store, dry_run=True) == ["ledger.jsonl", "heads/00000003.json"]
    assert store.keys("") == []
    assert stores.copy(str(evidence), store) == ["ledger.jsonl", "heads/00000003.json"]
    assert stores.copy(str(evidence), store) == []
    first = (evidence / "ledger.jsonl").read_bytes()
    chain.append(str(evidence / "ledger.jsonl"), [chain.Entry("acme", "web-1", "more")])
    assert stores.copy(str(evidence), store) == ["ledger.jsonl"]
    assert store.get("ledger.jsonl") == (evidence / "ledger.jsonl").read_bytes()
    raw = client(server)
    versions = raw.list_object_versions(Bucket=store.bucket, Prefix="acme/ledger.jsonl")["Versions"]
    assert len(versions) == 2
    from botocore.exceptions import ClientError

    for version in versions:
        place = {"Bucket": store.bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
        assert raw.get_object_retention(**place)["Retention"] == {"Mode": "COMPLIANCE", "RetainUntilDate": UNTIL}
        with pytest.raises(ClientError, match="object lock"):
            raw.delete_object(**place)
    oldest = min(versions, key=lambda one: one["Size"])
    kept = raw.get_object(Bucket=store.bucket, Key=oldest["Key"], VersionId=oldest["VersionId"])["Body"].read()
    assert kept == first


def test_a_shortened_ledger_is_found_by_its_copy(store: stores.S3, evidence: Path) -> None:
    stores.copy(str(evidence), store)
    path = evidence / "ledger.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    with pytest.raises(Conflict, match=r"ledger.jsonl does not go on from the copy"):
        stores.copy(str(evidence), store)
    (evidence / "heads" / "00000003.json").write_text("{} ")
    with pytest.raises(Conflict, match=r"heads/00000003.json is another one there"):
        stores.copy(str(evidence), store)


def test_what_the_escrow_needs_of_a_store(store: stores.S3) -> None:
    unlocked = replace(store, retain_until=None, _clients=[])
    large = bytes(range(256)) * (1 << 17)
    unlocked.put("acme/s-1/p-1/disk-0/0.cms", large)
    unlocked.put("acme/s-1/p-1/escrow.json", b"{}")
    assert unlocked.get("acme/s-1/p-1/disk-0/0.cms") == large
    assert unlocked.keys("acme/s-1/") == ["acme/s-1/p-1/disk-0/0.cms", "acme/s-1/p-1/escrow.json"]
    unlocked.remove("acme/s-1/p-1/escrow.json")
    unlocked.remove("acme/s-1/p-1/escrow.json")
    assert unlocked.keys("acme/s-1/p-1/e") == []
    with pytest.raises(NotFound):
        unlocked.get("acme/s-1/p-1/escrow.json")


def test_what_a_store_refuses(store: stores.S3, server: s3.Server) -> None:
    plain = replace(store, bucket="plain-bucket", _clients=[])
    client(server).create_bucket(Bucket="plain-bucket")
    with pytest.raises(Refused):
        plain.put("x", b"x")
    with pytest.raises(AuthFailed) as caught:
        replace(store, secret_key="another", _clients=[]).put("x", b"x")
    assert "another" not in str(caught.value) + repr(replace(store, secret_key="another"))
    with pytest.raises(CloudExitError, match="NoSuchBucket"):
        replace(store, bucket="no-such-bucket", _clients=[]).keys("")
    with pytest.raises(Unreachable):
        replace(store, endpoint="http://127.0.0.1:1", _clients=[]).keys("")
