# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers (Swift) and buckets (S3): what is in them, who may read them, and emptying them for good.

A bucket is empty when no object, no version, no delete marker and no upload that was begun is left in it (S3 API:
ListObjectVersions, ListMultipartUploads, AbortMultipartUpload, DeleteObject with versionId). Swift keeps old versions
in the same container where `X-Versions-Enabled` is set (Object Storage API, "Object versioning").
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Answer, Reference
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import pages
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud, translate
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import signing, storage
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.listings import Listing
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.rest import BadAnswer
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.services import Endpoint

if TYPE_CHECKING:
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.objects import Objects

PAGE = 1000
"""Objects in one answer of a list."""


def buckets(cloud: Cloud, reader: pages.Reader, listing: Listing, only: str) -> pages.Rows:
    """One bucket out of the account's list, as a reading of the tenant has it."""

    def read_them(endpoint: Endpoint, call: pages.Caller) -> Iterable[dict[str, Any]]:
        return storage.read(call, endpoint.url, cloud.iam, cloud.region, cloud.keys, only)

    return reader.other(listing, read_them)


def change(objects: Objects, ref: Reference, step: str, on_progress: Callable[[int], None]) -> Answer:
    """`empty` or `delete` a bucket, or `empty` a container; a container is deleted like any other object."""
    if ref.kind == "buckets":
        bucket = Bucket(objects, ref.id)
        if step == "empty":
            return Answer(status=204, note=f"{bucket.empty(on_progress)} objects, versions and markers")
        answer = bucket.call("DELETE", what=f"delete of buckets/{ref.id}", good=(200, 204, 404))
        return Answer(status=int(answer.status_code), request_id=_id_of(answer))
    return Answer(status=204, note=f"{Container(objects, ref.id).empty(on_progress)} objects and versions")


class Bucket:
    """One bucket. Keys are those of the log-in, or temporary ones of its token."""

    def __init__(self, objects: Objects, name: str) -> None:
        endpoint = objects.endpoint("obs", f"Reach buckets/{name}")
        cloud = objects.cloud
        self.name = name
        self._session = endpoint.session
        self._timeout = cloud.params.timeout
        self._region = cloud.region or "region"
        self._url = storage.bucket_url(endpoint.url, name)
        keys = cloud.keys
        if keys is None:
            keys = storage.temporary_keys(
                lambda url, body: endpoint.session.request(url, "POST", json=body, raise_exc=False), cloud.iam
            )
        self._keys = keys

    def call(
        self,
        method: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        *,
        what: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        good: tuple[int, ...] = (200, 204),
    ) -> Any:
        """One signed call; raises where the status is not a good one."""
        url = self._url + ("/" if key and not self._url.endswith("/") else "") + quote(key, safe="-_.~/")
        url += f"?{urlencode(sorted(query.items()), quote_via=quote)}" if query else ""
        signed = signing.signature_v4(self._keys, method, url, signing.now(), region=self._region, body=body)
        options: dict[str, Any] = {"data": body} if body else {}
        try:
            answer = self._session.request(
                url,
                method,
                headers={**(headers or {}), **signed},
                authenticated=False,
                requests_auth=storage.as_it_is,
                raise_exc=False,
                timeout=self._timeout,
                **options,
            )
        except Exception as exc:
            raise translate(exc, what) from exc
        if int(answer.status_code) not in good:
            raise _bad(answer, what)
        return answer

    def versions(self) -> Iterator[tuple[str, str, str]]:
        """Key, version and moment of every version and delete marker; of a bucket without versions, of every object."""
        child = storage.child
        for entry in self.elements("Version", "DeleteMarker"):
            yield child(entry, "Key"), child(entry, "VersionId"), child(entry, "LastModified")

    def elements(self, *names: str) -> Iterator[Any]:
        """The elements of its list of versions that are called so."""
        query = {"versions": "", "max-keys": str(PAGE)}
        while True:
            page = storage.parsed(self.call("GET", "", query, what=self._what("list")), "versions")
            for entry in page.iter():
                if entry.tag.rpartition("}")[2] in names:
                    yield entry
            if storage.child(page, "IsTruncated") != "true":
                return
            following = {
                "key-marker": storage.child(page, "NextKeyMarker"),
                "version-id-marker": storage.child(page, "NextVersionIdMarker"),
            }
            following = {name: value for name, value in following.items() if value}
            if not following or all(query.get(name) == value for name, value in following.items()):
                raise CloudExitError(self._what("list"), cause="the pages do not end", retryable=True)
            query = {"versions": "", "max-keys": str(PAGE), **following}

    def uploads(self) -> list[tuple[str, str]]:
        """Key and id of uploads that were begun: one page."""
        page = storage.parsed(self.call("GET", "", {"uploads": ""}, what=self._what("list uploads of")), "uploads")
        return [
            (storage.child(entry, "Key"), storage.child(entry, "UploadId")) for entry in storage.every(page, "Upload")
        ]

    def empty(self, on_progress: Callable[[int], None]) -> int:
        """Delete every version, marker and upload; how many. Raises Conflict where it fills while it is emptied."""
        done = 0
        for dummy in range(3):
            for key, upload in self.uploads():
                self.call("DELETE", key, {"uploadId": upload}, what=self._what("abort uploads of"), good=(204, 404))
                done += 1
            found = list(self.versions())
            if not found and not self.uploads():
                return done
            for start in range(0, len(found), PAGE):
                self._delete(found[start : start + PAGE])
                done += len(found[start : start + PAGE])
                on_progress(done)
        raise Conflict(self._what("empty"), cause="something writes into it while it is emptied", retryable=True)

    def _delete(self, found: Sequence[tuple[str, str, str]]) -> None:
        """Delete up to a thousand versions in one call (S3 API: DeleteObjects); those that XML cannot name alone."""
        plain = []
        for key, version, dummy_at in found:
            if all(letter.isprintable() for letter in key):
                told = f"<VersionId>{escape(version)}</VersionId>" if version else ""
                plain.append(f"<Object><Key>{escape(key)}</Key>{told}</Object>")
            else:
                query = {"versionId": version} if version else {}
                self.call("DELETE", key, query, what=self._what("empty"), good=(200, 204, 404))
        if not plain:
            return
        body = f"<Delete><Quiet>true</Quiet>{''.join(plain)}</Delete>".encode()
        headers = {"Content-Type": "application/xml", "Content-MD5": _md5(body)}
        answer = self.call("POST", "", {"delete": ""}, what=self._what("empty"), body=body, headers=headers)
        failed = storage.every(storage.parsed(answer, "the deletion"), "Error") if answer.content else []
        if failed:
            codes = sorted({storage.child(entry, "Code") for entry in failed})
            raise CloudExitError(
                self._what("empty"), cause=f"{len(failed)} were not deleted: {', '.join(codes)[:200]}", retryable=True
            )

    def newest(self, since: str) -> int:
        """How many versions are newer than a moment (ISO 8601, UTC)."""
        return sum(1 for dummy_key, dummy_version, at in self.versions() if at[:19] > since[:19])

    def access(self) -> dict[str, Any]:
        """Who may use it: its policy (None where it has none) and its access list, as the service writes it."""
        answer = self.call("GET", "", {"policy": ""}, what=self._what("read the policy of"), good=(200, 404))
        policy = json.loads(answer.content) if int(answer.status_code) == 200 else None
        return {"policy": policy}

    def set_access(self, access: Mapping[str, Any]) -> Any:
        """Put a policy in its place, or take it away."""
        policy = access.get("policy")
        if policy is None:
            return self.call("DELETE", "", {"policy": ""}, what=self._what("close"), good=(200, 204, 404))
        body = json.dumps(policy, sort_keys=True).encode()
        headers = {"Content-Type": "application/json", "Content-MD5": _md5(body)}
        return self.call("PUT", "", {"policy": ""}, what=self._what("open"), body=body, headers=headers)

    def _what(self, act: str) -> str:
        return f"{act[:1].upper()}{act[1:]} buckets/{self.name}"


class Container:
    """One container of Swift."""

    READ, WRITE = "X-Container-Read", "X-Container-Write"

    def __init__(self, objects: Objects, name: str) -> None:
        self._objects = objects
        self.name = name
        self._what = f"containers/{name}"

    def call(self, method: str, key: str = "", *, params: Mapping[str, str] | None = None, **options: Any) -> Any:
        """One call; raises where the status is an error."""
        path = f"/{quote(self.name, safe='')}" + (f"/{quote(key, safe='/')}" if key else "")
        what = f"{method} {self._what}"
        path = path.replace("{", "%7B").replace("}", "%7D")  # a key is no place to put something into
        answer = self._objects.ask(
            "object_store",
            method,
            path.replace("{", "%7B").replace("}", "%7D"),
            what,
            {},
            params=params or {},
            **options,
        )
        if int(answer.status_code) >= 400 and not (method == "DELETE" and int(answer.status_code) == 404):
            raise _bad(answer, what)
        return answer

    def entries(self) -> Iterator[dict[str, Any]]:
        """Every object, and every version where it keeps them."""
        marker: dict[str, str] = {}
        versions = self.call("HEAD").headers.get("X-Versions-Enabled", "").lower() == "true"
        while True:
            params = {"format": "json", "limit": str(PAGE), **({"versions": ""} if versions else {}), **marker}
            answer = self.call("GET", params=params)
            page = [] if int(answer.status_code) == 204 else answer.json()
            if not page:
                return
            yield from page
            following = {"marker": str(page[-1]["name"])}
            if versions:
                following["version_marker"] = str(page[-1].get("version_id", "null"))
            if following == marker:
                raise CloudExitError(f"List {self._what}", cause="the pages do not end", retryable=True)
            marker = following

    def empty(self, on_progress: Callable[[int], None]) -> int:
        """Delete every object and version; how many. Raises Conflict where it fills while it is emptied."""
        done = 0
        for dummy in range(3):
            found = list(self.entries())
            if not found:
                return done
            for entry in found:
                version = str(entry.get("version_id") or "")
                params = {"version-id": version} if version else {}
                self.call("DELETE", str(entry["name"]), params=params)
                done += 1
                if done % PAGE == 0:
                    on_progress(done)
            on_progress(done)
        raise Conflict(f"Empty {self._what}", cause="something writes into it while it is emptied", retryable=True)

    def newest(self, since: str) -> int:
        """How many objects are newer than a moment (ISO 8601, UTC)."""
        return sum(1 for entry in self.entries() if str(entry.get("last_modified", ""))[:19] > since[:19])

    def access(self) -> dict[str, Any]:
        """Who may use it besides the project."""
        headers = self.call("HEAD").headers
        return {"read": headers.get(self.READ) or "", "write": headers.get(self.WRITE) or ""}

    def set_access(self, access: Mapping[str, Any]) -> Any:
        """Say who may use it."""
        headers = {self.READ: str(access["read"]), self.WRITE: str(access["write"])}
        return self.call("POST", headers=headers)


def of(objects: Objects, ref: Reference) -> Bucket | Container:
    """The store that a reference names."""
    return Bucket(objects, ref.id) if ref.kind == "buckets" else Container(objects, ref.id)


def _md5(body: bytes) -> str:
    """S3 wants it of some bodies; it proves nothing."""
    return b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _id_of(answer: Any) -> str:
    return str(answer.headers.get("x-amz-request-id") or answer.headers.get("x-trans-id") or "")[:100]


def _bad(answer: Any, what: str) -> CloudExitError:
    said = ""
    with contextlib.suppress(CloudExitError):
        said = storage.child(storage.tree(answer.content or b""), "Code")[:80]
    error = translate(BadAnswer(int(answer.status_code), said, _id_of(answer)), what)
    if said == "BucketNotEmpty":
        return Conflict(what, cause=said, retryable=True)
    return error if isinstance(error, CloudExitError) else CloudExitError(what, cause=said)
