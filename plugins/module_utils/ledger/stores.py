# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where evidence is kept a second time: a directory, or a bucket of S3 whose objects nobody can remove before a date.

`copy` puts there what is new of an evidence directory, reads it back and compares it. Heads, certificates and sealed
plans that are there already are never replaced, and a ledger only by one that goes on from it: so a ledger that was
shortened or rewritten is found by copying it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import evidence
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
    Refused,
    Unreachable,
)

LEDGER = "ledger.jsonl"
FINAL = ("heads", "certificates", "retirement")
"""Folders of files that never change once they are there."""
LOOSE = ("allowed_signers", "tsa.pem", "verify.sh")
_KEY = re.compile(r"(?!/)[^\x00-\x1f\x7f\\]{1,900}")


class Store(Protocol):
    """A store of objects. Keys are `/`-separated, without a part that is empty, `.` or `..`."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    def put(self, key: str, data: bytes) -> None:
        """Keep it. Raises CloudExitError."""

    def get(self, key: str) -> bytes:
        """The object. Raises NotFound when there is none for certain, CloudExitError."""

    def keys(self, prefix: str) -> list[str]:
        """Keys that begin so, sorted. Raises CloudExitError."""

    def remove(self, key: str) -> None:
        """Remove it, if it is there. Raises CloudExitError."""


@dataclass(frozen=True)
class Directory:
    """A store in a directory, which is made when something is put there."""

    path: str

    @property
    def name(self) -> str:
        return self.path

    def put(self, key: str, data: bytes) -> None:
        evidence.write_atomic(self._file(key), data, 0o600)

    def get(self, key: str) -> bytes:
        found = evidence.read_bytes(self._file(key))
        if found is None:
            raise NotFound(f"There is no {key} in {self.path}")
        return found

    def keys(self, prefix: str) -> list[str]:
        found = []
        for folder, dummy, files in os.walk(self.path):
            below = os.path.relpath(folder, self.path)
            found += [name if below == "." else f"{below}/{name}" for name in files if not name.startswith(".part-")]
        return sorted(key for key in found if key.startswith(prefix))

    def remove(self, key: str) -> None:
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._file(key))
        except OSError as error:
            raise CloudExitError(f"Could not remove {key} from {self.path}", cause=error.strerror or "") from error

    def _file(self, key: str) -> str:
        return os.path.join(self.path, *_checked(key).split("/"))


@dataclass(frozen=True)
class S3:
    """A bucket of S3, or of a service that speaks it. It is used through boto3, which is needed for nothing else.

    prefix: in front of all keys. endpoint: URL of the service, AWS itself when empty. access_key, secret_key: left out,
    boto3 finds them its own way (environment, files, instance). ca_file: certificates of the service.
    retain_until: nothing that is put can be removed or replaced before, by anybody (object lock, COMPLIANCE); the
    bucket must have been made with object lock.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    ca_file: str = ""
    retain_until: datetime | None = None
    _clients: list[Any] = field(default_factory=list, repr=False, compare=False)

    @property
    def name(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def put(self, key: str, data: bytes) -> None:
        options: dict[str, Any] = {"ChecksumSHA256": base64.b64encode(hashlib.sha256(data).digest()).decode("ascii")}
        if self.retain_until is not None:
            options |= {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": self.retain_until}
        with self._told(key):
            done = self._client.put_object(Bucket=self.bucket, Key=self._key(key), Body=data, **options)
        if self.retain_until is None:
            return
        with self._told(key):
            version = {"VersionId": done["VersionId"]} if done.get("VersionId") else {}
            kept = self._client.get_object_retention(Bucket=self.bucket, Key=self._key(key), **version)["Retention"]
        if kept.get("Mode") != "COMPLIANCE" or int(kept["RetainUntilDate"].timestamp()) < int(
            self.retain_until.timestamp()
        ):
            raise Refused(f"{self.name} does not keep {key} until {self.retain_until}", cause=f"it says {kept}")

    def get(self, key: str) -> bytes:
        with self._told(key):
            data: bytes = self._client.get_object(Bucket=self.bucket, Key=self._key(key))["Body"].read()
        return data

    def keys(self, prefix: str) -> list[str]:
        start = f"{self.prefix}/" if self.prefix else ""
        found: list[str] = []
        with self._told(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=start + prefix)
            for page in pages:
                found += [str(entry["Key"])[len(start) :] for entry in page.get("Contents", [])]
        return sorted(found)

    def remove(self, key: str) -> None:
        with self._told(key):
            self._client.delete_object(Bucket=self.bucket, Key=self._key(key))

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{_checked(key)}" if self.prefix else _checked(key)

    @property
    def _client(self) -> Any:
        if not self._clients:
            try:
                import boto3
                from botocore.config import Config
            except ImportError as error:
                hint = "Install boto3 (requirements.txt) where this runs."
                raise CloudExitError("The Python library boto3 is missing", hint=hint) from error
            # services other than AWS know neither checksums that nobody asked for, nor hosts named after buckets
            config = Config(
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path"} if self.endpoint else {},
                retries={"mode": "standard", "max_attempts": 5},
                connect_timeout=20,
                read_timeout=120,
            )
            self._clients.append(
                boto3.client(
                    "s3",
                    endpoint_url=self.endpoint or None,
                    region_name=self.region or None,
                    aws_access_key_id=self.access_key or None,
                    aws_secret_access_key=self.secret_key or None,
                    verify=self.ca_file or None,
                    config=config,
                )
            )
        return self._clients[0]

    @contextlib.contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """What boto3 raises, as our errors."""
        dummy = self._client  # says what to do when boto3 is missing
        from botocore.exceptions import BotoCoreError, ClientError

        what = f"{self.name}: {key}"
        try:
            yield
        except ClientError as error:
            told = error.response.get("Error", {})
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
            cause = f"{told.get('Code', '')} {told.get('Message', '')}".strip() or f"HTTP {status}"
            if told.get("Code") == "NoSuchKey":
                raise NotFound(what, cause=cause) from error
            if status in (401, 403):
                raise AuthFailed(what, cause=cause, hint="Check the keys, and what they may do.") from error
            if "ObjectLock" in cause or "Bucket is missing" in cause:
                hint = "Object lock can only be switched on when a bucket is made."
                raise Refused(what, cause=cause, hint=hint) from error
            raise CloudExitError(what, cause=cause, retryable=status >= 500 or status == 429) from error
        except BotoCoreError as error:
            raise Unreachable(what, cause=str(error), retryable=True) from error


def copy(directory: str, store: Store, *, dry_run: bool = False, more: Sequence[str] = ()) -> list[str]:
    """Put into the store what is new of an evidence directory; returns the keys of that.

    more: heads that a dry run would have published, and which it tells too.
    Raises Conflict, before anything is put, when the store holds something else that does not change; CloudExitError
    when what was put does not read back the same.
    """
    wanted = _evidence(directory)
    there = set(store.keys(""))
    new: dict[str, bytes] = {}
    problems = []
    for key, data in wanted.items():
        held = store.get(key) if key in there else None
        if held == data:
            continue
        new[key] = data
        if key == LEDGER and held is not None and not data.startswith(held):
            problems.append(f"{key} does not go on from the copy: records were removed or rewritten")
        elif held is not None and key.partition("/")[0] in FINAL:
            problems.append(f"{key} is another one there")
    problems += [f"{key} is there and not here" for key in sorted(there - set(wanted)) if key.startswith("heads/")]
    if problems:
        raise Conflict(
            f"The evidence in {directory} is not that of {store.name}",
            cause="; ".join(problems[:10]),
            hint="Nothing was put there. Keep both as they are, and find out who wrote to them.",
        )
    for key, data in {} if dry_run else new.items():
        store.put(key, data)
        back = store.get(key)
        if hashlib.sha256(back).digest() != hashlib.sha256(data).digest():
            raise CloudExitError(f"{store.name} gives {key} back otherwise than it was put")
    return [*new, *(f"heads/{name}" for name in sorted(more) if dry_run)]


def _evidence(directory: str) -> dict[str, bytes]:
    """What is copied, the ledger first: a head never stands in a store without the records that it speaks of."""
    names = [LEDGER, *LOOSE]
    for folder in FINAL:
        with contextlib.suppress(FileNotFoundError):
            inside = sorted(os.listdir(os.path.join(directory, folder)))
            names += [f"{folder}/{name}" for name in inside if not name.startswith(".")]
    found = {name: evidence.read_bytes(os.path.join(directory, name)) for name in names}
    if found[LEDGER] is None:
        raise NotFound(f"There is no ledger in {directory}")
    return {name: data for name, data in found.items() if data is not None}


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key) or any(part in ("", ".", "..") for part in key.split("/")):
        raise InvalidInput("this is no key of an object", [Problem("key", repr(key))])
    return key
