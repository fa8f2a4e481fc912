# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests signed with an access key and a secret key, where no password log-in is possible (single sign-on tenants).

`SDK-HMAC-SHA256` is what the services of Flexible Engine take, `AWS4-HMAC-SHA256` what its object storage takes.
Secrets stay in these objects; no message shows them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    NotFound,
)

ALGORITHM = "SDK-HMAC-SHA256"
V4 = "AWS4-HMAC-SHA256"
_STAMP = "%Y%m%dT%H%M%SZ"
_NAMES = {
    "access": ("access_key", "ak"),
    "secret": ("secret_key", "sk"),
    "token": ("security_token", "securitytoken"),
}


@dataclass(frozen=True)
class Keys:
    """An access key and its secret; a token with temporary ones."""

    access: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


def keys_of(auth: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Keys | None:
    """The keys in a credential (`access_key` and `secret_key`, or `ak` and `sk`; `security_token` with temporary ones).

    Where the credential holds nothing else that logs in either, those of the environment: `OS_ACCESS_KEY`,
    `OS_SECRET_KEY`, `OS_SECURITY_TOKEN`. None where there are none.
    """
    found = {what: next((str(auth[n]) for n in names if auth.get(n)), "") for what, names in _NAMES.items()}
    if not (found["access"] and found["secret"]):
        around = os.environ if environment is None else environment
        other = any(auth.get(name) for name in ("password", "token", "application_credential_secret"))
        if other or not (around.get("OS_ACCESS_KEY") and around.get("OS_SECRET_KEY")):
            return None
        return Keys(around["OS_ACCESS_KEY"], around["OS_SECRET_KEY"], around.get("OS_SECURITY_TOKEN", ""))
    return Keys(found["access"], found["secret"], found["token"])


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def _query(query: str) -> str:
    pairs = sorted((_encoded(name), _encoded(value)) for name, value in parse_qsl(query, keep_blank_values=True))
    return "&".join(f"{name}={value}" for name, value in pairs)


def _address(path: str) -> str:
    return "/".join(_encoded(unquote(part)) for part in path.split("/")) or "/"


def canonical(
    method: str, url: str, headers: Mapping[str, str], signed: Sequence[str], payload: str, slash: bool
) -> str:
    """The canonical request. slash: whether the path gets one at its end, as the gateway of the family wants."""
    split = urlsplit(url)
    path = _address(split.path)
    if slash and not path.endswith("/"):
        path += "/"
    lower = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    lines = "".join(f"{name}:{lower[name]}\n" for name in signed)
    return "\n".join([method.upper(), path, _query(split.query), lines, ";".join(signed), payload])


def signature(
    keys: Keys, method: str, url: str, headers: Mapping[str, str], body: bytes, moment: datetime
) -> dict[str, str]:
    """The headers that sign a request to a service: date, token and authorization. `headers` are signed with it."""
    stamp = moment.astimezone(timezone.utc).strftime(_STAMP)
    extra = {"X-Sdk-Date": stamp, **({"X-Security-Token": keys.token} if keys.token else {})}
    every = {**headers, **extra, "host": urlsplit(url).netloc}
    signed = sorted(name.lower() for name in every)
    text = canonical(method, url, every, signed, hashlib.sha256(body).hexdigest(), True)
    to_sign = "\n".join([ALGORITHM, stamp, hashlib.sha256(text.encode()).hexdigest()])
    made = hmac.new(keys.secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    said = f"{ALGORITHM} Access={keys.access}, SignedHeaders={';'.join(signed)}, Signature={made}"
    return {**extra, "Authorization": said}


def signature_v4(
    keys: Keys, method: str, url: str, moment: datetime, *, region: str, service: str = "s3", body: bytes = b""
) -> dict[str, str]:
    """The headers that sign a request to an S3 service."""
    stamp = moment.astimezone(timezone.utc).strftime(_STAMP)
    payload = hashlib.sha256(body).hexdigest()
    extra = {"x-amz-content-sha256": payload, "x-amz-date": stamp}
    if keys.token:
        extra["x-amz-security-token"] = keys.token
    every = {**extra, "host": urlsplit(url).netloc}
    signed = sorted(every)
    text = canonical(method, url, every, signed, payload, False)
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join([V4, stamp, scope, hashlib.sha256(text.encode()).hexdigest()])
    key = f"AWS4{keys.secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    made = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return {
        **extra,
        "Authorization": f"{V4} Credential={keys.access}/{scope}, SignedHeaders={';'.join(signed)}, Signature={made}",
    }


def now() -> datetime:
    """This moment."""
    return datetime.now(timezone.utc)


class Signer:
    """Signs each request of a `requests` session just before it is sent (it is what `requests` calls an auth)."""

    def __init__(
        self, keys: Keys, project_id: str = "", domain_id: str = "", clock: Callable[[], datetime] = now
    ) -> None:
        self.keys = keys
        self.project_id = project_id
        self.domain_id = domain_id
        self._clock = clock

    def __call__(self, request: Any) -> Any:
        body = request.body or b""
        headers = {"X-Project-Id": self.project_id} if self.project_id else {}
        if self.domain_id and not self.project_id:
            headers = {"X-Domain-Id": self.domain_id}
        content_type = request.headers.get("Content-Type")
        if content_type:
            headers["Content-Type"] = content_type if isinstance(content_type, str) else content_type.decode()
        raw = body.encode() if isinstance(body, str) else body
        request.headers.update(headers)
        request.headers.update(signature(self.keys, request.method, request.url, headers, raw, self._clock()))
        return request


@dataclass(frozen=True)
class Access:
    """What a log-in would have told: who and where. There is no catalogue."""

    project_id: str
    project_name: str = ""
    project_domain_id: str = ""


def session(auth: Mapping[str, Any], keys: Keys, *, verify: Any = True, timeout: float = 60.0) -> Any:
    """A keystoneauth session whose requests are signed, in the project that `auth` names.

    A project that is given by its name costs one call. Its `auth` has `get_access`, as that of a log-in.
    """
    from keystoneauth1 import session as sessions

    made = sessions.Session(auth=None, verify=verify, timeout=timeout, app_name="cloudexit")
    signer = Signer(keys, str(auth.get("project_id") or ""), str(auth.get("domain_id") or ""))
    made.session.auth = signer
    project = Access(str(auth.get("project_id") or ""), str(auth.get("project_name") or ""))
    if not project.project_id:
        project = _project(made, auth)
        signer.project_id = project.project_id
    made.auth = _plugin(project, str(auth.get("auth_url") or ""))
    return made


def _project(made: Any, auth: Mapping[str, Any]) -> Access:
    name = str(auth.get("project_name") or "")
    what = "Cannot log in with an access key"
    if not name or not auth.get("auth_url"):
        raise AuthFailed(what, cause="the credential names no project, or no auth_url", hint="Give project_id.")
    url = f"{str(auth['auth_url']).rstrip('/').removesuffix('/v3')}/v3/projects"
    answer = made.request(url, "GET", params={"name": name}, authenticated=False, raise_exc=False)
    status = int(answer.status_code)
    if status in (401, 403):
        raise AuthFailed(what, cause=f"the cloud refused the key (HTTP {status})", hint="Check the key and the clock.")
    if status >= 400:
        raise CloudExitError(what, cause=f"HTTP {status} for the list of projects", retryable=status >= 500)
    found = [row for row in answer.json().get("projects", []) if isinstance(row, dict) and row.get("name") == name]
    if not found:
        raise NotFound(what, cause=f"the key sees no project {name!r}", hint="Give project_id.")
    return Access(str(found[0].get("id", "")), name, str(found[0].get("domain_id", "")))


def _plugin(access: Access, auth_url: str) -> Any:
    from keystoneauth1 import plugin

    class Signed(plugin.BaseAuthPlugin):  # type: ignore[misc]  # keystoneauth1 ships no types
        """Says who it is and leaves the proof to the signature of each request."""

        def get_token(self, _session: Any, **_more: Any) -> None:
            return None

        def get_headers(self, _session: Any, **_more: Any) -> dict[str, str]:
            return {}

        def get_access(self, _session: Any, **_more: Any) -> Access:
            return access

        def get_project_id(self, _session: Any, **_more: Any) -> str:
            return access.project_id

        def get_endpoint(self, _session: Any, interface: Any = None, **_more: Any) -> str | None:
            return auth_url if interface is plugin.AUTH_INTERFACE else None

    return Signed()
