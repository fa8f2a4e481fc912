# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed requests, against published examples and against a server that checks them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import AuthFailed, NotFound
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import signing
from tests.lab.flexible_engine import Server, seed
from tests.lab.flexible_engine.server import Answer

PROJECT = "77b6a44cba5143ab91d13ab9a8ff44fd"
KEYS = signing.Keys("QTWAOYTTINDUT2QVKYUC", "a-secret")
URL = f"https://service.region.example.com/v1/{PROJECT}/vpcs?marker=13551d6b-755d-4757-b956-536f674975c0&limit=2"
MOMENT = datetime(2019, 11, 15, 3, 36, 55, tzinfo=timezone.utc)


def test_the_canonical_request_is_that_of_the_published_example() -> None:
    headers = {
        "Content-Type": "application/json",
        "Host": "service.region.example.com",
        "X-Sdk-Date": "20191115T033655Z",
    }
    signed = ["content-type", "host", "x-sdk-date"]
    text = signing.canonical("GET", URL, headers, signed, hashlib.sha256(b"").hexdigest(), True)
    # "Creating a To-Be-Signed String" of the API request signing guide shows this digest
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a"
    )


def test_the_signature_of_it() -> None:
    made = signing.signature(KEYS, "GET", URL, {"Content-Type": "application/json"}, b"", MOMENT)
    digest = "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a"
    to_sign = f"SDK-HMAC-SHA256\n20191115T033655Z\n{digest}"
    expected = hmac.new(b"a-secret", to_sign.encode(), hashlib.sha256).hexdigest()
    assert made["Authorization"] == (
        f"SDK-HMAC-SHA256 Access=QTWAOYTTINDUT2QVKYUC, SignedHeaders=content-type;host;x-sdk-date, Signature={expected}"
    )
    assert made["X-Sdk-Date"] == "20191115T033655Z" and "X-Security-Token" not in made
    temporary = signing.signature(signing.Keys("a", "s", "t"), "GET", URL, {}, b"", MOMENT)
    assert temporary["X-Security-Token"] == "t" and "host;x-sdk-date;x-security-token" in temporary["Authorization"]


def test_version_4_is_that_of_the_published_example() -> None:
    keys = signing.Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    made = signing.signature_v4(
        keys,
        "GET",
        "https://examplebucket.s3.amazonaws.com/?lifecycle",
        datetime(2013, 5, 24, tzinfo=timezone.utc),
        region="us-east-1",
    )
    # "Authenticating Requests: Using the Authorization Header" of the S3 API reference, GET Bucket Lifecycle
    assert made["Authorization"].endswith("Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")


def test_secrets_are_not_shown() -> None:
    assert "a-secret" not in repr(KEYS) and "tok" not in repr(signing.Keys("a", "s", "tok"))


@pytest.mark.parametrize(
    ("auth", "environment", "expected"),
    [
        ({"access_key": "A", "secret_key": "S"}, {}, signing.Keys("A", "S")),
        ({"ak": "A", "sk": "S", "security_token": "T"}, {}, signing.Keys("A", "S", "T")),
        ({"ak": "A"}, {}, None),
        ({}, {"OS_ACCESS_KEY": "A", "OS_SECRET_KEY": "S"}, signing.Keys("A", "S")),
        ({"password": "p"}, {"OS_ACCESS_KEY": "A", "OS_SECRET_KEY": "S"}, None),
        ({}, {}, None),
    ],
)
def test_where_keys_come_from(auth: dict[str, str], environment: dict[str, str], expected: signing.Keys | None) -> None:
    assert signing.keys_of(auth, environment) == expected


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(seed.data(PROJECT), whose=lambda _token: None, keys={"A": "S"}) as started:

        def extra(_method: str, path: str, query: Any, _body: Any, headers: Any) -> Answer | None:
            if path != "/v3/projects":
                return None
            if not headers.get("authorization", "").startswith("SDK-HMAC-SHA256 Access=A,"):
                return 401, {}, {}
            rows = [{"id": PROJECT, "name": "eu-west-0_acme", "domain_id": "d"}]
            return 200, {"projects": [row for row in rows if row["name"] == query.get("name")]}, {}

        started.extra = extra
        yield started


def test_a_server_that_checks_takes_signed_requests(server: Server) -> None:
    session = signing.session({"project_id": PROJECT}, signing.Keys("A", "S"))
    for path in (f"/vpc/v1/{PROJECT}/vpcs?limit=2&marker=", "/swr/v2/manage/repos?namespace=a b/é"):
        answer = session.request(server.url + path, "GET", raise_exc=False)
        assert answer.status_code in (200, 400) and "APIGW.0301" not in answer.text
    body = session.request(f"{server.url}/kms/v1.0/{PROJECT}/kms/list-keys", "POST", json={"limit": "10"})
    assert len(body.json()["key_details"]) == 1
    wrong = signing.session({"project_id": PROJECT}, signing.Keys("A", "no"))
    assert wrong.request(f"{server.url}/vpc/v1/{PROJECT}/vpcs", "GET", raise_exc=False).status_code == 401


def test_a_project_by_its_name(server: Server) -> None:
    auth = {"auth_url": f"{server.url}/v3", "project_name": "eu-west-0_acme"}
    session = signing.session(auth, signing.Keys("A", "S"))
    access = session.auth.get_access(session)
    assert (access.project_id, access.project_domain_id) == (PROJECT, "d")
    assert session.request(f"{server.url}/vpc/v1/{PROJECT}/vpcs", "GET").status_code == 200
    with pytest.raises(NotFound):
        signing.session({**auth, "project_name": "other"}, signing.Keys("A", "S"))
    with pytest.raises(AuthFailed):
        signing.session(auth, signing.Keys("B", "S"))
    with pytest.raises(AuthFailed):
        signing.session({"auth_url": server.url}, signing.Keys("A", "S"))
