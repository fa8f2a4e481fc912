# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Buckets of the object storage: small signed requests, five a bucket, and answers in XML that may name no entities.

What is stored is taken from the bucket's own count (`storageinfo`); where a storage has none, objects are counted by
listing them, MAX_OBJECTS at most, and the bucket says so.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    NotFound,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import signing
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine.signing import Keys

MAX_OBJECTS = 10_000
"""Objects that are listed in a bucket that does not know how many it has."""

MAX_ANSWER = 16 << 20
"""Bytes of an answer that are read as XML."""

TOKEN_SECONDS = 900
"""How long temporary keys live: the shortest that the family allows."""


class Caller(Protocol):
    """Makes one call and gives the answer, whatever its status."""

    def __call__(self, method: str, url: str, **options: Any) -> Any: ...


@dataclass(frozen=True)
class Store:
    """An S3 endpoint. root: URL without a bucket. send(url, headers): one GET."""

    root: str
    region: str
    keys: Keys
    send: Callable[[str, Mapping[str, str]], Any]
    clock: Callable[[], datetime] = signing.now

    def get(self, bucket: str = "", query: Mapping[str, str] | None = None) -> Any:
        """One GET; the answer whatever its status."""
        url = bucket_url(self.root, bucket) + (f"?{urlencode(sorted(query.items()))}" if query else "")
        return self.send(url, signing.signature_v4(self.keys, "GET", url, self.clock(), region=self.region))


def bucket_url(root: str, bucket: str) -> str:
    """The URL of a bucket: as a sub-domain, or below the root where the host is an address or a gateway's path."""
    root = root.rstrip("/")
    split = urlsplit(root)
    if not bucket:
        return f"{root}/"
    host = split.hostname or ""
    try:
        ipaddress.ip_address(host)
        plain = True
    except ValueError:
        plain = host == "localhost" or split.path not in ("", "/")
    name = quote(bucket, safe="-_.~")
    return f"{root}/{name}" if plain else f"{split.scheme}://{name}.{split.netloc}/"


def read(
    call: Caller, root: str, iam: str, region: str, keys: Keys | None = None, only: str = ""
) -> list[dict[str, Any]]:
    """The buckets behind `root`, or one of them; with temporary keys from `iam` where none are given.

    call(method, url, **options) makes one call on a keystoneauth session.
    """
    if keys is None:
        keys = temporary_keys(lambda url, body: call("POST", url, json=body), iam)

    def send(url: str, headers: Mapping[str, str]) -> Any:
        # signed already: neither a token nor another signature
        return call("GET", url, headers=dict(headers), authenticated=False, requests_auth=as_it_is)

    return rows(Store(root, region or "region", keys, send), only=only)


def as_it_is(request: Any) -> Any:
    return request


def temporary_keys(request: Callable[[str, Any], Any], iam: str) -> Keys:
    """Keys of a short life for the token of a log-in. Nothing of them stays in the account.

    request(url, body) is a POST that carries the token.
    """
    url = f"{iam.rstrip('/')}/v3.0/OS-CREDENTIAL/securitytokens"
    identity = {"methods": ["token"], "token": {"duration_seconds": TOKEN_SECONDS}}
    answer = request(url, {"auth": {"identity": identity}})
    status = int(answer.status_code)
    what = "Cannot get temporary keys for the object storage"
    if status in (401, 403):
        raise Refused(what, cause=f"HTTP {status}", hint="Give access_key and secret_key.")
    if status >= 400:
        raise CloudExitError(what, cause=f"HTTP {status}", retryable=status >= 500)
    try:
        said = answer.json()["credential"]
        return Keys(str(said["access"]), str(said["secret"]), str(said.get("securitytoken") or ""))
    except (ValueError, KeyError, TypeError) as exc:
        raise CloudExitError(what, cause="the answer has no credential") from exc


def rows(
    store: Store, on_progress: Callable[[int], None] = lambda _count: None, only: str = ""
) -> list[dict[str, Any]]:
    """The account's buckets as raw rows, or the one that is named.

    What a bucket does not tell is missing in its row, and `not_read` names it.

    Raises where the list itself cannot be read.
    """
    found = []
    said = parsed(store.get(), "the list of buckets")
    if said.tag.rpartition("}")[2] != "ListAllMyBucketsResult":
        raise CloudExitError("Cannot read the list of buckets", cause="the answer is no list of buckets")
    names = [(child(entry, "Name"), child(entry, "CreationDate")) for entry in every(said, "Bucket")]
    for name, created in sorted(names):
        if name and only in ("", name):
            found.append(_bucket(store, name, created))
            on_progress(len(found))
    return found


def _bucket(store: Store, name: str, created: str) -> dict[str, Any]:
    row: dict[str, Any] = {"id": name, "name": name, "created": created}
    not_read: list[str] = []

    def ask(what: str, read: Callable[[], Any]) -> None:
        try:
            value = read()
        except NotFound:
            return
        except CloudExitError as error:
            not_read.append(f"{what}: {error.cause}")
            return
        row.update(value)

    ask("location", lambda: {"region": _text(parsed(store.get(name, {"location": ""}), "location"))})
    ask("versioning", lambda: {"versioning": child(parsed(store.get(name, {"versioning": ""}), "v"), "Status")})
    ask("policy", lambda: {"policy": _policy(store, name)})
    ask("contents", lambda: _contents(store, name))
    if not_read:
        row["not_read"] = not_read
    return row


def _policy(store: Store, name: str) -> Any:
    answer = good(store.get(name, {"policy": ""}), "policy")
    try:
        return json.loads(answer.content)
    except ValueError as exc:
        raise CloudExitError("Cannot read the policy", cause="the answer is not JSON") from exc


def _contents(store: Store, name: str) -> dict[str, Any]:
    try:
        said = parsed(store.get(name, {"storageinfo": ""}), "storageinfo")
        if said.tag.rpartition("}")[2] == "GetBucketStorageInfoResult":
            return {"bytes": _number(child(said, "Size")), "objects": _number(child(said, "ObjectNumber"))}
    except CloudExitError:
        pass
    return _counted(store, name)


def _counted(store: Store, name: str) -> dict[str, Any]:
    total = count = 0
    marker = ""
    while True:
        query = {"max-keys": "1000", **({"marker": marker} if marker else {})}
        page = parsed(store.get(name, query), "the list of objects")
        entries = every(page, "Contents")
        for entry in entries:
            total += _number(child(entry, "Size"))
            count += 1
        last = child(entries[-1], "Key") if entries else ""
        more = child(page, "IsTruncated") == "true" and last != marker and last != ""
        if not more:
            return {"bytes": total, "objects": count}
        if count >= MAX_OBJECTS:
            return {"bytes": total, "objects": count, "at_least": True}
        marker = last


def good(answer: Any, what: str) -> Any:
    status = int(answer.status_code)
    if status == 404:
        raise NotFound(f"Cannot read {what}", cause="HTTP 404")
    if status >= 400:
        code = ""
        with contextlib.suppress(CloudExitError):
            code = child(tree(answer.content), "Code")
        raise CloudExitError(
            f"Cannot read {what}", cause=f"HTTP {status}" + (f": {code[:80]}" if code else ""), retryable=status >= 500
        )
    return answer


def parsed(answer: Any, what: str) -> ElementTree.Element:
    return tree(good(answer, what).content)


def tree(content: bytes) -> ElementTree.Element:
    """The XML; what declares types or entities is refused before it is parsed."""
    if len(content) > MAX_ANSWER or b"<!DOCTYPE" in content.upper() or b"<!ENTITY" in content.upper():
        raise CloudExitError("Cannot read the answer", cause="the answer is too long, or declares entities")
    if content.lstrip()[:1] != b"<" or b"\x00" in content:
        raise CloudExitError("Cannot read the answer", cause="the answer is not XML")
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as exc:
        raise CloudExitError("Cannot read the answer", cause="the answer is not XML") from exc


def every(tree: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [entry for entry in tree.iter() if entry.tag.rpartition("}")[2] == name]


def child(tree: ElementTree.Element, name: str) -> str:
    return next((_text(entry) for entry in tree if entry.tag.rpartition("}")[2] == name), "")


def _text(entry: ElementTree.Element) -> str:
    return (entry.text or "").strip()


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
