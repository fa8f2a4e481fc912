# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Buckets: what is read of them, what is not, and XML that means harm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError, Refused
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import signing, storage
from tests.lab.flexible_engine import Server, seed
from tests.lab.flexible_engine.shapes import ACCOUNT

KEYS = signing.Keys("A", "S")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(seed.data("p")) as started:
        yield started


def send(url: str, headers: Mapping[str, str]) -> Any:
    return requests.get(url, headers=dict(headers), timeout=10)


def store(server: Server, keys: signing.Keys = KEYS) -> storage.Store:
    return storage.Store(f"{server.url}/obs", "RegionOne", keys, send)


def test_buckets_are_read_with_what_they_hold(server: Server) -> None:
    audit, files = storage.rows(store(server))
    assert files == {
        "id": "acme-files",
        "name": "acme-files",
        "created": "2026-01-01T00:00:00.000Z",
        "region": "RegionOne",
        "versioning": "Enabled",
        "policy": {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}]},
        "bytes": 5 * 1024**3,
        "objects": 1200,
    }
    assert (audit["bytes"], audit["objects"], audit["region"]) == (4096, 2, "elsewhere"), "counted by listing"
    assert "policy" not in audit and "not_read" not in audit and audit["versioning"] == ""
    assert {call.method for call in server.calls} == {"GET"}


def test_counting_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = server.data[ACCOUNT]["buckets"][0]
    bucket["no_storageinfo"] = True
    assert storage.rows(store(server))[1]["objects"] == 1200, "two pages"
    monkeypatch.setattr(storage, "MAX_OBJECTS", 1000)
    row = storage.rows(store(server))[1]
    assert row["objects"] == 1000 and row["at_least"] is True


def test_a_bucket_that_refuses_says_so_and_the_others_are_read(server: Server) -> None:
    server.fault(service="obs", kind="bucket:acme-audit", status=403)
    audit, files = storage.rows(store(server))
    assert audit["not_read"] == [
        f"{what}: HTTP 403: AccessDenied" for what in ("location", "versioning", "policy", "contents")
    ]
    assert files["objects"] == 1200


@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 500}, {"nonsense": True}])
def test_a_list_that_fails_is_an_error_and_not_an_empty_one(server: Server, fault: dict[str, Any]) -> None:
    server.fault(service="obs", kind="buckets", **fault)
    with pytest.raises(CloudExitError) as caught:
        storage.rows(store(server))
    expected = f"HTTP {fault['status']}" if "status" in fault else "no list of buckets"
    assert expected in (caught.value.cause or "")


@pytest.mark.parametrize(
    "content",
    [
        b'<!DOCTYPE a [<!ENTITY b "c">]><ListAllMyBucketsResult>&b;</ListAllMyBucketsResult>',
        b'<?xml version="1.0"?><!doctype a SYSTEM "file:///etc/passwd"><a/>',
        b"<ListAllMyBucketsResult>",
        b"",
        b"{}",
        '<?xml version="1.0" encoding="utf-16"?><a/>'.encode("utf-16"),
        b"<a>" + b"x" * (storage.MAX_ANSWER + 1) + b"</a>",
    ],
    ids=["entity", "external", "cut", "empty", "json", "utf-16", "long"],
)
def test_xml_that_means_harm(content: bytes) -> None:
    answer = SimpleNamespace(status_code=200, content=content)
    with pytest.raises(CloudExitError):
        storage.rows(storage.Store("https://oss.example", "r", KEYS, lambda _url, _headers: answer))


@pytest.mark.parametrize(
    ("root", "bucket", "expected"),
    [
        ("https://oss.eu-west-0.example.com", "files", "https://files.oss.eu-west-0.example.com/"),
        ("https://oss.eu-west-0.example.com", "", "https://oss.eu-west-0.example.com/"),
        ("http://127.0.0.1:8080", "files", "http://127.0.0.1:8080/files"),
        ("http://localhost/obs", "files", "http://localhost/obs/files"),
        ("https://gateway.example.com/obs/", "files", "https://gateway.example.com/obs/files"),
        ("http://127.0.0.1:8080", "../x y", "http://127.0.0.1:8080/..%2Fx%20y"),
    ],
)
def test_where_a_bucket_is(root: str, bucket: str, expected: str) -> None:
    assert storage.bucket_url(root, bucket) == expected


def test_temporary_keys(server: Server) -> None:
    def post(url: str, body: Any) -> Any:
        return requests.post(url, json=body, headers={"X-Auth-Token": "t"}, timeout=10)

    keys = storage.temporary_keys(post, f"{server.url}/iam")
    assert keys.token and keys.access.startswith("TEMPORARY")
    assert len(storage.rows(store(server, keys))) == 2
    without = signing.Keys(keys.access, keys.secret)
    with pytest.raises(CloudExitError):
        storage.rows(store(server, without))
    assert server.writes() == []
    refused = SimpleNamespace(status_code=403, json=dict)
    with pytest.raises(Refused):
        storage.temporary_keys(lambda _url, _body: refused, "https://iam.example")
    empty = SimpleNamespace(status_code=201, json=dict)
    with pytest.raises(CloudExitError):
        storage.temporary_keys(lambda _url, _body: empty, "https://iam.example")
