# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the services of a source cloud are, and plain calls to them on the one session of the cloud.

An endpoint comes from `<service>_endpoint_override` of clouds.yaml, else from the Keystone catalogue, else, for a cloud
of Flexible Engine's family, from the table of its hosts. No service is asked for its versions, except Nova for its
newest microversion.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import listings
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import endpoints
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import listings as family

Origin = Literal["override", "catalogue", "table"]

COMPUTE_MICROVERSION = (2, 79)
"""The newest Nova microversion whose answers we have read; a cloud that stops earlier is used at its own maximum."""

_VERSION = re.compile(r"/v\d+(?:\.\d+)?(?=/|$)", re.IGNORECASE)

SERVICES: dict[str, listings.Service] = {row.name: row for row in (*listings.SERVICES, *family.SERVICES)}
"""Every service that is read, by name."""


def known_types() -> frozenset[str]:
    """The types in a catalogue that something here reads, or that hold nothing of a tenant."""
    read = {kind for service in SERVICES.values() for kind in service.types}
    return frozenset(read) | listings.NOTHING_OF_A_TENANT


@dataclass(frozen=True)
class Endpoint:
    """A service of this cloud. url: what paths of its listings follow, without a slash at its end."""

    service: str
    url: str
    origin: Origin
    session: Any
    headers: Mapping[str, str]

    def address(self, path: str, project_id: str = "", parent: str = "") -> str:
        """The URL of a path; `{project_id}` and `{parent}` are put in."""
        return self.url + path.replace("{project_id}", project_id).replace("{parent}", quote(parent, safe=""))

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Any:
        """One call; the answer whatever its status. A token that has expired is renewed once."""
        options: dict[str, Any] = {"json": json} if json is not None else {}
        return self.session.request(
            url,
            method,
            params=dict(params or {}),
            headers={"Accept": "application/json", **self.headers, **(headers or {})},
            raise_exc=False,
            timeout=timeout,
            **options,
        )


class Catalogue:
    """The services of one authenticated project."""

    def __init__(
        self,
        *,
        session: Any,
        entries: Iterable[Mapping[str, Any]],
        config: Mapping[str, Any],
        project_id: str,
        region: str,
        interface: str = "public",
        auth_url: str = "",
    ) -> None:
        self._session = session
        self._config = config
        self._project_id = project_id
        self._region = region
        self.auth_url = auth_url
        self._urls: dict[str, str] = {}
        for entry in entries:
            url = _url(entry, interface, region)
            if url and isinstance(entry.get("type"), str):
                self._urls.setdefault(str(entry["type"]), url)

    def types(self) -> list[str]:
        """The types that the catalogue has here."""
        return sorted(self._urls)

    def endpoint(self, name: str) -> Endpoint | None:
        """The service of that name, or None where this cloud has none. No call is made."""
        service = SERVICES[name]
        for kind in (name, *service.types):
            override = self._config.get(f"{kind.replace('-', '_').replace('.', '_')}_endpoint_override")
            if override:
                return self._made(service, self._filled(str(override)), "override")
        for kind in service.types:
            if kind in self._urls:
                return self._made(service, self._urls[kind], "catalogue")
        if service.version:
            table = endpoints.openstack_url(name, self.auth_url, self._region, self._project_id)
        else:
            table = endpoints.url(name, self.auth_url, self._region)
        return self._made(service, table, "table") if table else None

    def _made(self, service: listings.Service, url: str, origin: Origin) -> Endpoint:
        if not service.version:
            url = endpoints.root(url)
        elif not _VERSION.search(urlsplit(url).path):
            url = f"{url.rstrip('/')}/{service.version.replace('{project_id}', self._project_id)}"
        return Endpoint(service.name, url.rstrip("/"), origin, self._session, {})

    def _filled(self, url: str) -> str:
        for name in ("project_id", "tenant_id"):
            url = url.replace(f"%({name})s", self._project_id).replace(f"$({name})s", self._project_id)
        return url


def _url(entry: Mapping[str, Any], interface: str, region: str) -> str:
    """The address of a catalogue entry in our region."""
    found = entry.get("endpoints")
    for endpoint in found if isinstance(found, list) else []:
        if not isinstance(endpoint, dict) or not isinstance(endpoint.get("url"), str):
            continue
        where = endpoint.get("region_id") or endpoint.get("region")
        if endpoint.get("interface") == interface and (not region or where in (None, "", "*", region)):
            return str(endpoint["url"])
    return ""


def with_microversion(endpoint: Endpoint, chosen: str = "", *, timeout: float = 30.0) -> Endpoint:
    """Nova with the newest microversion that it and we know (`chosen` stands, where it is given): one call.

    A catalogue that still names /v2 is followed to /v2.1 where that answers. Where Nova does not say what it can, it is
    used without a microversion.
    """
    split = urlsplit(endpoint.url)
    match = _VERSION.search(split.path)
    if match is None:
        return endpoint
    newer = split.path[: match.start()] + "/v2.1"
    asked = urlunsplit((split.scheme, split.netloc, newer + "/", "", ""))
    answer = endpoint.request("GET", asked, timeout=timeout)
    newest = _newest(answer) if int(answer.status_code) == 200 else None
    if newest is None:
        return _at(endpoint, endpoint.url, chosen)
    url = urlunsplit((split.scheme, split.netloc, newer + split.path[match.end() :], "", ""))
    best = ".".join(str(number) for number in min(newest, COMPUTE_MICROVERSION))
    return _at(endpoint, url, chosen or (best if newest > (2, 0) else ""))


def _at(endpoint: Endpoint, url: str, microversion: str) -> Endpoint:
    headers = (
        {"OpenStack-API-Version": f"compute {microversion}", "X-OpenStack-Nova-API-Version": microversion}
        if microversion
        else {}
    )
    return Endpoint(endpoint.service, url, endpoint.origin, endpoint.session, headers)


def _newest(answer: Any) -> tuple[int, int] | None:
    """The newest microversion that a version document names; (0, 0) where it names none; None where it is none."""
    try:
        version = answer.json()["version"]
        text = str(version.get("version") or "")
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    major, _dot, minor = text.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)
