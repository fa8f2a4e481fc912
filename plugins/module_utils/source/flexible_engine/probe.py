# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""First contact with a tenant: questions about its cloud that only the cloud can answer. Nothing is written.

Each probe stands alone; one that fails is an answer too. Evidence holds status codes, error codes and counts, never a
token, a signed link or what an object contains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.names import printable
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import pages
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud, scrub
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import (
    endpoints,
    listings,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.listings import Listing
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.services import Endpoint

Status = Literal["yes", "no", "unknown"]
"""yes, no: the cloud answered the question so; unknown: it could not be asked, or the answer does not tell."""

THROTTLE_CALLS = 30
"""Lists asked for at once where throttling is probed."""


@dataclass(frozen=True)
class Probe:
    """One question. answer: in words; evidence: what it is concluded from."""

    probe: str
    question: str
    answer: str
    status: Status
    evidence: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reply:
    """What a call gave. outcome: reachable, denied, not_found, throttled, failed, unreachable, no_answer."""

    outcome: str
    said: str
    data: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def run(cloud: Cloud, *, throttle: bool = False) -> list[Probe]:
    """Ask everything; `throttle` also makes THROTTLE_CALLS lists at once, which uses up a minute's allowance."""
    asker = _Asker(cloud)
    questions: list[Callable[[], Iterator[Probe]]] = [
        asker.token,
        asker.domain,
        asker.versions,
        asker.services,
        asker.hypervisor,
        asker.overviews,
        asker.image_download,
        asker.database_links,
    ]
    if throttle:
        questions.append(asker.throttling)
    return [probe for question in questions for probe in question()]


class _Asker:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._timeout = cloud.params.list_timeout

    def _call(self, method: str, url: str, **options: Any) -> Reply:
        try:
            answer = self._cloud.session.request(url, method, raise_exc=False, timeout=self._timeout, **options)
        except Exception as exc:
            if type(exc).__module__.partition(".")[0] not in ("keystoneauth1", "requests", "urllib3", "openstack"):
                raise
            return Reply(*_unreachable(exc))
        status = int(answer.status_code)
        said = pages.fault(answer) if status >= 400 else ""
        text = f"HTTP {status}" + (f": {printable(scrub(said), 120)}" if said else "")
        try:
            data = answer.json() if status < 400 else None
        except ValueError:
            data = None
        headers = {str(key).lower(): str(value) for key, value in answer.headers.items()}
        return Reply(_outcome(status), text, data, headers)

    def _list(self, service: str, path: str, **options: Any) -> Reply:
        endpoint = self._endpoint(service)
        if endpoint is None:
            return Reply("no_endpoint", "neither the catalogue nor the table of hosts has it")
        return self._call(
            options.pop("method", "GET"), endpoint.address(path, self._cloud.project_id), headers=_JSON, **options
        )

    def _endpoint(self, service: str) -> Endpoint | None:
        return self._cloud.catalogue.endpoint(service)

    def token(self) -> Iterator[Probe]:
        types = self._cloud.catalogue.types()
        project = printable(self._cloud.project_name or self._cloud.project_id)
        yield Probe(
            "token",
            "Does the credential log in to the project, and what does its catalogue name?",
            f"It logs in to {project}; the catalogue has {len(types)} types of services.",
            "yes",
            [printable(kind) for kind in types],
        )

    def domain(self) -> Iterator[Probe]:
        root = endpoints.root(self._cloud.catalogue.auth_url) or self._cloud.iam
        found = {}
        for what in ("projects", "domains"):
            reply = self._call("GET", f"{root}/v3/auth/{what}", headers=_JSON)
            rows = reply.data.get(what) if isinstance(reply.data, dict) else None
            found[what] = [printable(str(row.get("name", ""))) for row in rows or [] if isinstance(row, dict)]
            if rows is None:
                yield Probe(what, f"Which {what} does the credential see?", reply.said, "unknown", [reply.said])
                continue
            names = sorted(found[what])
            yield Probe(
                what, f"Which {what} does the credential see?", f"{len(names)}.", "yes" if names else "no", names
            )

    def versions(self) -> Iterator[Probe]:
        for service in ("compute", "block_storage", "image", "network"):
            endpoint = self._endpoint(service)
            question = f"Which versions does {service.replace('_', ' ')} say that it has?"
            if endpoint is None:
                yield Probe(f"versions_{service}", question, "There is no endpoint.", "unknown")
                continue
            reply = self._call("GET", endpoints.root(endpoint.url) + "/", headers=_JSON, authenticated=False)
            named = _versions(reply.data)
            answer = ", ".join(named) if named else f"It does not say ({reply.said})."
            yield Probe(f"versions_{service}", question, answer, "yes" if named else "unknown", [reply.said])

    def services(self) -> Iterator[Probe]:
        first: dict[str, Listing] = {}
        for row in listings.LISTINGS:
            if not row.per:
                first.setdefault(row.service, row)
        for service in endpoints.TABLE:
            listing = first.get(service)
            if listing is None or service == "obs":
                continue
            query = {listing.limit_name: "1"} if listing.limit_name and listing.method == "GET" else {}
            options: dict[str, Any] = {"params": {**listing.params, **query}}
            if listing.method != "GET":
                options = {"method": listing.method, "json": {**listing.body, "limit": "1"}}
            yield self._service(service, self._list(service, listing.path, **options))
        auth_url, region = self._cloud.catalogue.auth_url, self._cloud.region
        for service in endpoints.UNREAD:
            url = endpoints.unread_url(service, auth_url, region)
            if url:
                yield self._service(service, self._call("GET", url + "/", headers=_JSON))

    def _service(self, service: str, reply: Reply) -> Probe:
        words: dict[str, tuple[str, Status]] = {
            "reachable": ("It answers.", "yes"),
            "denied": ("It answers and denies access.", "yes"),
            "not_found": ("The host answers and does not know the list.", "unknown"),
            "throttled": ("It answers and is busy.", "yes"),
            "failed": ("It answers with an error.", "unknown"),
            "unknown_host": ("The host has no address.", "no"),
            "no_endpoint": ("The cloud has no such service here.", "no"),
        }
        answer, status = words.get(reply.outcome, ("It does not answer.", "unknown"))
        return Probe(f"service_{service}", f"Is {service} there, and may it be read?", answer, status, [reply.said])

    def hypervisor(self) -> Iterator[Probe]:
        question = "Do flavors say whether they are Xen or KVM?"
        reply = self._list("ecs", "/v1/{project_id}/cloudservers/flavors")
        rows = reply.data.get("flavors") if isinstance(reply.data, dict) else None
        if not isinstance(rows, list):
            yield Probe("hypervisor", question, "The list of flavors cannot be read.", "unknown", [reply.said])
            return
        counts: dict[str, int] = {}
        for row in rows:
            specs = row.get("os_extra_specs") if isinstance(row, dict) else None
            kind = specs.get("ecs:virtualization_env_types") if isinstance(specs, dict) else None
            name = {"FusionCompute": "Xen", "CloudCompute": "KVM"}.get(str(kind), printable(str(kind or "unsaid"), 40))
            counts[name] = counts.get(name, 0) + 1
        evidence = [f"{name}: {count} flavors" for name, count in sorted(counts.items())]
        said = any(name != "unsaid" for name in counts)
        yield Probe("hypervisor", question, "Yes." if said else "No.", "yes" if said else "no", evidence)

    def overviews(self) -> Iterator[Probe]:
        asked = {
            "eps": (
                "/v1.0/enterprise-projects/0/resources/filter",
                {"resource_types": ["ecs"], "limit": 1, "offset": 0},
            ),
            "tms": (
                "/v1.0/resource-instances/filter",
                {"project_id": self._cloud.project_id, "resource_types": ["ecs"], "tags": [], "limit": 1, "offset": 0},
            ),
        }
        for service, (path, body) in asked.items():
            reply = self._list(service, path, method="POST", json=body)
            yield self._overview(service, reply)
        place = endpoints.place(self._cloud.catalogue.auth_url)
        if place is not None:
            yield self._overview("rms", self._call("GET", f"https://rms.{place.suffix}/", headers=_JSON))

    def _overview(self, service: str, reply: Reply) -> Probe:
        known: dict[str, Status] = {"reachable": "yes", "denied": "yes", "unknown_host": "no", "no_endpoint": "no"}
        status = known.get(reply.outcome, "unknown")
        answer = {"yes": "It answers.", "no": "It is not there."}.get(status, "It cannot be told.")
        return Probe(
            f"overview_{service}", f"Can {service} list objects of many services?", answer, status, [reply.said]
        )

    def image_download(self) -> Iterator[Probe]:
        question = "Can the bytes of a private image be downloaded?"
        rows = self._list("ims", "/v2/cloudimages", params={"__imagetype": "private", "limit": "1"})
        images = rows.data.get("images") if isinstance(rows.data, dict) else None
        endpoint = self._endpoint("image")
        if not images or endpoint is None or not isinstance(images[0], dict):
            yield Probe("image_download", question, "There is no private image to try it with.", "unknown", [rows.said])
            return
        url = f"{endpoint.url}/images/{images[0].get('id', '')}/file"
        reply = self._call("GET", url, headers={"Range": "bytes=0-0"}, stream=True)
        status: Status = "yes" if reply.outcome == "reachable" else "no" if reply.outcome == "denied" else "unknown"
        if reply.outcome == "not_found":
            status = "no"
        answer = {"yes": "Yes.", "no": "No."}.get(status, "It cannot be told.")
        yield Probe("image_download", question, answer, status, [reply.said])

    def database_links(self) -> Iterator[Probe]:
        question = "Does RDS give links to the files of its backups?"
        reply = self._list("rds", "/v3/{project_id}/instances", params={"limit": "1"})
        rows = reply.data.get("instances") if isinstance(reply.data, dict) else None
        if not rows or not isinstance(rows[0], dict):
            yield Probe("database_links", question, "There is no database to try it with.", "unknown", [reply.said])
            return
        reply = self._list(
            "rds", "/v3/{project_id}/backups", params={"instance_id": str(rows[0].get("id", "")), "limit": "1"}
        )
        backups = reply.data.get("backups") if isinstance(reply.data, dict) else None
        if not backups or not isinstance(backups[0], dict):
            yield Probe("database_links", question, "There is no backup to try it with.", "unknown", [reply.said])
            return
        reply = self._list("rds", "/v3/{project_id}/backup-files", params={"backup_id": str(backups[0].get("id", ""))})
        files = reply.data.get("files") if isinstance(reply.data, dict) else None
        said = isinstance(files, list) and any(isinstance(file, dict) and file.get("download_link") for file in files)
        evidence = [reply.said, *([f"{len(files)} files"] if isinstance(files, list) else [])]
        yield Probe("database_links", question, "Yes." if said else "No.", "yes" if said else "no", evidence)

    def throttling(self) -> Iterator[Probe]:
        question = f"What happens after {THROTTLE_CALLS} lists at once?"
        for number in range(1, THROTTLE_CALLS + 1):
            reply = self._list("vpc", "/v1/{project_id}/vpcs", params={"limit": "1"})
            if reply.outcome == "throttled":
                shown = [
                    f"{name}: {value}"
                    for name, value in sorted(reply.headers.items())
                    if "retry" in name or "limit" in name
                ]
                yield Probe("throttling", question, f"Call {number} is refused.", "yes", [reply.said, *shown])
                return
            if reply.outcome != "reachable":
                yield Probe("throttling", question, "It cannot be told.", "unknown", [reply.said])
                return
        yield Probe("throttling", question, "All were answered.", "no", [f"{THROTTLE_CALLS} calls"])


_JSON = {"Accept": "application/json"}


def _outcome(status: int) -> str:
    if status < 400:
        return "reachable"
    if status in (401, 403):
        return "denied"
    if status == 404:
        return "not_found"
    return "throttled" if status == 429 else "failed"


def _unreachable(exc: BaseException) -> tuple[str, str]:
    """Why there was no answer."""
    names = []
    link: BaseException | None = exc
    while link is not None:
        names.append(type(link).__name__)
        link = link.__cause__ or link.__context__
    text = " ".join(names) + str(exc)
    if "NameResolution" in text or "Name or service not known" in text or "gaierror" in text:
        return "unknown_host", "the name of the host has no address"
    if any(name in ("ReadTimeout", "ConnectTimeout", "ConnectTimeoutError", "TimeoutError") for name in names):
        return "no_answer", "no answer in time"
    return "unreachable", "no connection"


def _versions(data: Any) -> list[str]:
    """Versions that a version document names, with the newest microversion."""
    rows = data.get("versions", data.get("version")) if isinstance(data, dict) else None
    rows = rows.get("values") if isinstance(rows, dict) and "values" in rows else rows
    found = []
    for row in rows if isinstance(rows, list) else [rows]:
        if isinstance(row, dict) and row.get("id"):
            newest = f" up to {printable(str(row['version']), 20)}" if row.get("version") else ""
            found.append(printable(str(row["id"]), 20) + newest)
    return sorted(found)
