# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orange's own interface of Cloud Avenue: virtual data centers, edges, public addresses; what is ordered, in jobs.

Two forms: the one of 2026 with a host and a token of its own, and the older one on the console's host with the token of
Cloud Director. An organisation has one job at a time; who comes second waits.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    AuthFailed,
    CloudExitError,
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
    Timeout,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.names import printable
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import locks, wire, xml
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.wire import Answer, Json, Pace, Wire

CORE_API = "https://api1.cloudavenue.orange-business.com"
NEW = "/infrapicustomerproxy/v2.0"
NEW_JOBS = "/infrapicustomerproxy/v1.0/jobs"
OLD = "/api/customers/v2.0"
OLD_JOBS = "/api/customers/v1.0/jobs"
OLD_VERSION = "38.1"
EARLY_S = 30.0
TRIES = 4
JOB_S = 1800.0
BUSY_JOB = "cf-0002"
DONE, FAILED = "DONE", ("FAILED", "ERROR")
WAITING = ("CREATED", "PENDING", "IN_PROGRESS")

# The consoles: which names of organisations belong to which address.
CONSOLES: Sequence[tuple[str, str]] = (
    (r"cav01ev01ocb\d{7}", "https://console1.cloudavenue.orange-business.com"),
    (r"cav01iv02ocb\d{7}", "https://console2.cloudavenue.orange-business.com"),
    (r"cav02ev04ocb\d{7}", "https://console4.cloudavenue.orange-business.com"),
    (r"cav02iv05ocb\d{7}", "https://console5.cloudavenue-cha.itn.intraorange"),
    (r"cav01iv07ocb\d{7}", "https://console7.cloudavenue-vdr.itn.intraorange"),
    (r"cav01iv08ocb\d{7}", "https://console8.cloudavenue-vdr.itn.intraorange"),
    (r"cav0[0-2]vv09ocb\d{7}", "https://console9.cloudavenue.orange-business.com"),
)
SERVICE_CLASSES = ("ECO", "STD", "HP", "VOIP")
AVAILABILITY = ("ONE-ROOM", "DUAL-ROOM", "HA-DUAL-ROOM")
BILLING = ("PAYG", "DRAAS", "RESERVED")
STORAGE_BILLING = ("PAYG", "RESERVED")
PREFIXES = (25, 26, 27, 28)
RATES = (5, 25, 50, 75, 100, 150, 200, 250, 300, *range(400, 1001, 100), 2000, *range(3000, 6001, 1000))


def console(org: str) -> str:
    """The address of Cloud Director for an organisation, by its name; "" where it is none of Cloud Avenue's."""
    return next((url for pattern, url in CONSOLES if re.fullmatch(pattern, org)), "")


@dataclass(frozen=True)
class Job:
    """A job: its id, status, and what its steps say."""

    id: str
    name: str
    status: str
    details: tuple[str, ...]


class Orange:
    """A session with Orange's interface. Usable from several threads."""

    def __init__(
        self,
        line: Wire,
        org: str,
        username: str = "",
        password: str = "",
        *,
        session: Session | None = None,
    ) -> None:
        self.wire = line
        self.org = org
        self.pace = line.pace
        self._who = (username, password)
        self._session = session
        self._guard = threading.Lock()
        self._token = ""
        self._until = 0.0
        self._closed = False

    @property
    def old(self) -> bool:
        """Whether the older form is spoken, with the session of Cloud Director."""
        return self._session is not None

    def __repr__(self) -> str:
        return f"Orange({self.org}, {self.wire.host})"

    def __enter__(self) -> Orange:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections; never raises. The token ends by itself."""
        self._token = ""
        if self._session is None:
            with contextlib.suppress(Exception):
                self.wire.close()

    # -- calls

    def _bearer(self, refused: str = "") -> str:
        """A token that is good for some time; another one than `refused`."""
        with self._guard:
            if self._token and self._token != refused and self.pace.now() < self._until - EARLY_S:
                return self._token
            what = f"cannot log in to {self.wire.host} as {self._who[0]} of {self.org}"
            form = {
                "grant_type": "client_credentials",
                "client_id": self._who[0],
                "client_secret": self._who[1],
                "scope": f"tenant:{self.org}",
            }
            headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
            body = urllib.parse.urlencode(form).encode("ascii")
            answer = self._patient(
                lambda: self.wire.send("POST", "/auth/v1/user/token", what, headers=headers, body=body), repeat=True
            )
            if answer.status in (400, 401, 403):
                reason = wire.told(answer)
                raise AuthFailed(
                    what,
                    cause=f"the server answered {answer.status} {reason.minor} {reason.message}".rstrip(),
                    hint="User and password are those of Cloud Avenue's portal, and the organisation its long name.",
                ) from reason
            found = wire.judge(answer).json()
            token = wire.string(found.get("access_token"))
            if not re.fullmatch(r"[\x21-\x7e]{1,65536}", token):
                raise wire.not_understood(what, "it has no token")
            self._token = token
            self._until = self.pace.now() + max(EARLY_S + 1, float(xml.whole(found.get("expires_in"), 300)))
            return token

    def call(self, method: str, path: str, what: str, *, body: Json | None = None, jobs: bool = False) -> Answer:
        """One call, below the prefix of the form that is spoken; its answer, or its error.

        429 and 503 are waited for as they ask; a connection that broke is tried again for what changes nothing twice.
        """
        old = self.old
        prefix = (OLD_JOBS if old else NEW_JOBS) if jobs else (OLD if old else NEW)
        data = wire.dump_json(body) if body is not None else None
        headers = {"Accept": f"application/json;version={OLD_VERSION}" if old else "application/json"}
        if data is not None:
            headers["Content-Type"] = "application/json"

        def once(token: str) -> Answer:
            signed = {**headers, "Authorization": f"Bearer {token}"}
            return self.wire.send(method, prefix + path, what, headers=signed, body=data)

        def send() -> Answer:
            if self._session is not None:
                return self._session.authenticated(once)
            token = self._bearer()
            answer = once(token)
            return once(self._bearer(token)) if answer.status == 401 else answer

        return wire.judge(self._patient(send, repeat=method in ("GET", "PUT", "DELETE")))

    def _patient(self, send: Callable[[], Answer], *, repeat: bool) -> Answer:
        tries = 0
        for pause in self.pace.pauses(1.0, 30.0, 2.0):
            tries += 1
            try:
                answer = send()
            except Unreachable as error:
                if tries >= TRIES or not error.retryable or not (repeat or wire.never_left(error)):
                    raise
                self.pace.sleep(pause)
                continue
            if answer.status not in (429, 503) or tries >= TRIES:
                return answer
            self.pace.sleep(wire.retry_after(answer, pause))
        raise AssertionError("pauses do not end")

    # -- jobs

    def job(self, identity: str, what: str) -> Job:
        """A job by its id. The answer is a list with one element."""
        rows = wire.objects(self.call("GET", f"/{_part(identity)}", what, jobs=True).array())
        if not rows:
            raise NotFound(what, cause=f"the job {identity} is not there")
        one = rows[0]
        actions = wire.objects(one.get("actions"))
        details = tuple(wire.string(action.get("details")) for action in actions if action.get("details"))
        status = wire.string(one.get("status")).upper()
        return Job(identity, wire.string(one.get("name")), status, details)

    def run(self, method: str, path: str, what: str, *, body: Json | None = None, timeout: float = JOB_S) -> Job:
        """A change: ordered, and waited for. While another job of the organisation runs, it waits its turn."""
        with locks.hold(f"orange {self.org}", what, timeout=timeout, pace=self.pace):
            deadline = self.pace.now() + timeout
            for pause in self.pace.pauses(5.0, 15.0, 1.4):
                identity = self._order(method, path, what, body)
                if identity:
                    return self._wait(identity, what, deadline)
                if self.pace.now() + pause > deadline:
                    raise Timeout(
                        what,
                        cause=f"another job of the organisation {self.org} ran for more than {timeout:g} s",
                        hint="Cloud Avenue does one job of an organisation at a time. Try again later.",
                        retryable=True,
                    )
                self.pace.sleep(pause)
        raise AssertionError("pauses do not end")

    def _order(self, method: str, path: str, what: str, body: Json | None) -> str:
        """The id of the job; "" where another one runs, or the order was not taken."""
        try:
            answer = self.call(method, path, what, body=body)
        except CloudExitError as error:
            reason = wire.said(error)
            if reason is not None and (
                reason.minor.lower() == BUSY_JOB or "job already exists" in reason.message.lower()
            ):
                return ""
            raise
        return wire.string(answer.json().get("jobId")) if answer.body.strip() else ""

    def _wait(self, identity: str, what: str, deadline: float) -> Job:
        for pause in self.pace.pauses(1.0, 15.0, 1.5):
            found = self.job(identity, what)
            if found.status == DONE:
                return found
            if found.status in FAILED:
                said = "; ".join(printable(text, 200) for text in found.details) or "no cause was given"
                raise CloudExitError(
                    what, cause=f"the job {identity} failed: {said}", hint="Orange's support knows it."
                )
            if found.status not in WAITING:
                raise wire.not_understood(what, f"the job {identity} is {printable(found.status, 40)!r}")
            if self.pace.now() + pause > deadline:
                raise Timeout(what, cause=f"the job {identity} is still {found.status}", retryable=True)
            self.pace.sleep(pause)
        raise AssertionError("pauses do not end")


def connect(
    org: str,
    username: str,
    password: str,
    *,
    core_api: str = CORE_API,
    validate_certs: bool = True,
    ca_file: str | None = None,
    timeout: float = 60.0,
    pace: Pace | None = None,
) -> Orange:
    """A session with Orange's interface of 2026; the first call logs in."""
    missing = [
        Problem(name, f"is missing (or set CLOUDAVENUE_{name.upper()})")
        for name, value in (("org", org), ("username", username), ("password", password))
        if not value
    ]
    if missing:
        raise InvalidInput("the log-in to Cloud Avenue is not complete", missing)
    base = wire.base_url(core_api, "the address of Orange's interface")
    line = Wire(base, validate_certs=validate_certs, ca_file=ca_file, timeout=timeout, pace=pace)
    return Orange(line, org, username, password)


def of_session(session: Session) -> Orange:
    """Orange's interface in its older form, on the host and with the token of a Cloud Director session."""
    return Orange(session.wire, session.who.org, session=session)


def _part(text: str) -> str:
    return urllib.parse.quote(text, safe="")


# -- virtual data centers


@dataclass(frozen=True)
class Storage:
    """A storage class of a VDC: its name, GB, whether it is the default."""

    name: str
    limit_gb: int
    default: bool = False


@dataclass(frozen=True)
class VdcSpec:
    """A VDC as it is ordered. cpu_mhz: in total; memory_gb: in total."""

    name: str
    service_class: str
    availability: str
    billing: str
    storage_billing: str
    cpu_mhz: int
    memory_gb: int
    storage: tuple[Storage, ...]
    vcpu_mhz: int = 2200
    description: str = ""

    def problems(self) -> list[Problem]:
        """What Cloud Avenue would refuse."""
        found = []

        def one_of(name: str, value: str, known: Sequence[str]) -> None:
            if value not in known:
                found.append(Problem(name, f"{value!r} is not one of {', '.join(known)}"))

        if not re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", self.name):
            found.append(Problem("name", f"{self.name!r} is not 1 to 64 letters, digits, - and _"))
        one_of("service_class", self.service_class, SERVICE_CLASSES)
        one_of("availability", self.availability, AVAILABILITY)
        one_of("billing", self.billing, BILLING)
        one_of("storage_billing", self.storage_billing, STORAGE_BILLING)
        if self.service_class == "ECO" and self.availability == "HA-DUAL-ROOM":
            found.append(Problem("availability", "ECO is not offered as HA-DUAL-ROOM"))
        if self.service_class == "HP" and self.billing == "DRAAS":
            found.append(Problem("billing", "HP is not offered as DRAAS"))
        if self.service_class == "VOIP" and self.billing != "RESERVED":
            found.append(Problem("billing", "VOIP is offered as RESERVED only"))
        if not 1 <= self.memory_gb <= 5120:
            found.append(Problem("memory_gb", f"{self.memory_gb} is not between 1 and 5120"))
        low, high = (3000, 2_500_000) if self.billing == "RESERVED" else (5 * self.vcpu_mhz, 200 * self.vcpu_mhz)
        if not low <= self.cpu_mhz <= high:
            found.append(Problem("cpu_mhz", f"{self.cpu_mhz} is not between {low} and {high}"))
        if sum(one.default for one in self.storage) != 1:
            found.append(Problem("storage", "exactly one storage class is the default"))
        for one in self.storage:
            if not 100 <= one.limit_gb <= 81920:
                found.append(Problem(f"storage.{one.name}", f"{one.limit_gb} GB is not between 100 and 81920"))
        return found

    def body(self) -> Json:
        """It as it is sent."""
        return {
            "vdc": {
                "name": self.name,
                "description": self.description,
                "vdcServiceClass": self.service_class,
                "vdcDisponibilityClass": self.availability,
                "vdcBillingModel": self.billing,
                "vcpuInMhz2": self.vcpu_mhz,
                "cpuAllocated": self.cpu_mhz,
                "memoryAllocated": self.memory_gb,
                "vdcStorageBillingModel": self.storage_billing,
                "vdcStorageProfiles": [
                    {"class": one.name, "limit": one.limit_gb, "default": one.default} for one in self.storage
                ],
            }
        }


def vdcs(orange: Orange) -> dict[str, str]:
    """The VDCs of the organisation: {name: id}."""
    rows = wire.objects(orange.call("GET", "/vdcs", "cannot list the VDCs").array())
    return {wire.string(one.get("vdc_name")): wire.string(one.get("vdc_uuid")) for one in rows}


def vdc(orange: Orange, name: str) -> VdcSpec:
    """A VDC as it was ordered. Raises NotFound."""
    what = f"cannot read the VDC {name}"
    found = wire.mapping(orange.call("GET", f"/vdcs/{_part(name)}", what).json().get("vdc"))
    if not found:
        raise NotFound(what)
    return VdcSpec(
        name=wire.string(found.get("name")) or name,
        service_class=wire.string(found.get("vdcServiceClass")),
        availability=wire.string(found.get("vdcDisponibilityClass")),
        billing=wire.string(found.get("vdcBillingModel")),
        storage_billing=wire.string(found.get("vdcStorageBillingModel")),
        cpu_mhz=xml.whole(found.get("cpuAllocated")),
        memory_gb=xml.whole(found.get("memoryAllocated")),
        vcpu_mhz=xml.whole(found.get("vcpuInMhz2"), 2200),
        description=wire.string(found.get("description")),
        storage=tuple(
            Storage(wire.string(one.get("class")), xml.whole(one.get("limit")), one.get("default") is True)
            for one in wire.objects(found.get("vdcStorageProfiles"))
        ),
    )


def create_vdc(orange: Orange, spec: VdcSpec, *, timeout: float = JOB_S) -> Job:
    """Order a VDC. InvalidInput with everything that Cloud Avenue would refuse."""
    _check(spec)
    return orange.run("POST", "/vdcs", f"cannot order the VDC {spec.name}", body=spec.body(), timeout=timeout)


def update_vdc(orange: Orange, spec: VdcSpec, *, timeout: float = JOB_S) -> Job:
    """Change a VDC: sizes, storage, description."""
    _check(spec)
    what = f"cannot change the VDC {spec.name}"
    return orange.run("PUT", f"/vdcs/{_part(spec.name)}", what, body=spec.body(), timeout=timeout)


def delete_vdc(orange: Orange, name: str, *, timeout: float = JOB_S) -> Job:
    """Give a VDC back. It must be empty."""
    return orange.run("DELETE", f"/vdcs/{_part(name)}", f"cannot remove the VDC {name}", timeout=timeout)


def _check(spec: VdcSpec) -> None:
    problems = spec.problems()
    if problems:
        raise InvalidInput(f"the VDC {spec.name} cannot be ordered", problems)


# -- edges


@dataclass(frozen=True)
class Edge:
    """An edge as Orange sees it: bare id, name, whose it is, its T0 (by name) and Mbit/s (0: unknown)."""

    id: str
    name: str
    owner: str
    owner_type: str
    t0: str
    rate: int
    description: str = ""


def _edge(one: Json) -> Edge:
    return Edge(
        bare(wire.string(one.get("edgeId"))),
        wire.string(one.get("edgeName")),
        wire.string(one.get("ownerName")),
        wire.string(one.get("ownerType")),
        wire.string(one.get("tier0VrfId")),
        xml.whole(one.get("rateLimit")),
        wire.string(one.get("description")),
    )


def bare(identity: str) -> str:
    """An id without `urn:vcloud:gateway:`: Orange's interface does not know a URN."""
    return identity.rpartition(":")[2].lower()


def edges(orange: Orange) -> list[Edge]:
    """The edges of the organisation."""
    return [_edge(one) for one in wire.objects(orange.call("GET", "/edges", "cannot list the edges").array())]


def t0s(orange: Orange) -> list[tuple[str, str]]:
    """(name, class) of the T0 routers of the organisation."""
    what = "cannot list the T0 routers"
    found = []
    for one in orange.call("GET", "/tier-0-vrfs", what).array():
        row = wire.mapping(one)
        if not row and wire.string(one):  # only a name
            row = orange.call("GET", f"/tier-0-vrfs/{_part(wire.string(one))}", what).json()
        name = wire.string(row.get("tier0_vrf"))
        kind = wire.string(row.get("class_service")) or wire.string(row.get("tier0_class_service"))
        found.append((name, kind))
    return found


def create_edge(orange: Orange, owner: str, t0: str, *, group: bool = False, timeout: float = JOB_S) -> Edge:
    """Order an edge for a VDC, or a VDC group, at a T0 (by name); the edge that came of it."""
    what = f"cannot order an edge for {owner}"
    before = {one.id for one in edges(orange)}
    path = f"/{'vdc-groups' if group else 'vdcs'}/{_part(owner)}/edges"
    orange.run("POST", path, what, body={"tier0VrfId": t0}, timeout=timeout)
    made = [one for one in edges(orange) if one.id not in before]
    mine = [one for one in made if one.owner == owner] or made
    if len(mine) != 1:
        raise Conflict(what, cause=f"the job is done, and {len(mine)} new edges are there")
    return mine[0]


def set_rate(orange: Orange, edge: str, rate: int, *, timeout: float = JOB_S) -> Job:
    """Set the bandwidth of an edge, Mbit/s."""
    if rate not in RATES:
        raise InvalidInput("the bandwidth is not offered", [Problem("rate", f"{rate} is not one of {RATES}")])
    what = f"cannot set the bandwidth of the edge {edge}"
    return orange.run("PUT", f"/edges/{bare(edge)}", what, body={"rateLimit": rate}, timeout=timeout)


def delete_edge(orange: Orange, edge: str, *, timeout: float = JOB_S) -> Job:
    """Give an edge back."""
    return orange.run("DELETE", f"/edges/{bare(edge)}", f"cannot remove the edge {edge}", timeout=timeout)


# -- public addresses


@dataclass(frozen=True)
class Service:
    """A service at an edge: `internet` with an address, or `cav-services` with ranges."""

    id: str
    name: str
    edge: str
    edge_name: str
    address: str = ""
    announced: bool = False
    ranges: tuple[str, ...] = field(default_factory=tuple)


def services(orange: Orange) -> list[Service]:
    """All services at all edges, from the tree of networks."""
    answer = orange.call("GET", "/network", "cannot read the network")
    body = wire.load_json(answer.body, answer.what)
    roots = wire.objects(body) if isinstance(body, list) else [wire.mapping(body)]
    found: list[Service] = []
    for node, edge in _walk(roots, None, 0):
        kind = wire.string(node.get("type"))
        if kind == "service" and edge is not None:
            properties, at = wire.mapping(node.get("properties")), wire.mapping(edge.get("properties"))
            ranges = properties.get("ranges")
            found.append(
                Service(
                    wire.string(node.get("serviceId")),
                    wire.string(node.get("name")),
                    bare(wire.string(at.get("edgeUUID")) or wire.string(at.get("edgeUuid"))),
                    wire.string(edge.get("name")),
                    wire.string(properties.get("ip")),
                    properties.get("announced") is True,
                    tuple(wire.string(one) for one in ranges) if isinstance(ranges, list) else (),
                )
            )
    return found


def _walk(nodes: Sequence[Json], edge: Json | None, depth: int) -> Iterator[tuple[Json, Json | None]]:
    if depth > 10:
        return
    for node in nodes:
        here = node if wire.string(node.get("type")) == "edge-gateway" else edge
        yield node, here
        yield from _walk(wire.objects(node.get("children")), here, depth + 1)


def public_addresses(orange: Orange, edge: str = "") -> list[Service]:
    """The public addresses, by address; those of an edge, by its id."""
    found = [one for one in services(orange) if one.name == "internet" and one.address]
    mine = [one for one in found if not edge or one.edge == bare(edge)]
    return sorted(mine, key=lambda one: one.address)


def order_address(orange: Orange, edge: str, *, timeout: float = JOB_S) -> Service:
    """Order a public address for an edge; the address that came of it: of what is there now and was not before."""
    what = f"cannot order a public address for the edge {edge}"
    before = {one.id for one in public_addresses(orange)}
    body = {"networkType": "internet", "edgeGateway": bare(edge)}
    job = orange.run("POST", "/services", what, body=body, timeout=timeout)
    made = [one for one in public_addresses(orange, edge) if one.id not in before]
    if len(made) > 1:
        named = {text for detail in job.details for text in _addresses(detail)}
        made = [one for one in made if one.address in named]
    if len(made) != 1:
        raise Conflict(what, cause=f"the job {job.id} is done, and {len(made)} new addresses are there")
    return made[0]


def _addresses(text: str) -> list[str]:
    found = []
    for one in re.findall(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])", text):
        with contextlib.suppress(ValueError):
            found.append(str(ipaddress.ip_address(one)))
    return found


def enable_services(orange: Orange, edge: str, prefix: int = 27, *, timeout: float = JOB_S) -> Job:
    """Have Cloud Avenue's own services (mirrors, time, licences) reachable behind an edge."""
    if prefix not in PREFIXES:
        raise InvalidInput("the network is not offered", [Problem("prefix", f"{prefix} is not one of {PREFIXES}")])
    body = {"networkType": "cav-services", "edgeGateway": bare(edge), "properties": {"prefixLength": prefix}}
    return orange.run("POST", "/services", f"cannot enable the services of the edge {edge}", body=body, timeout=timeout)


def release(orange: Orange, service: str, *, timeout: float = JOB_S) -> Job:
    """Give a service (a public address) back, by its id."""
    return orange.run("DELETE", f"/services/{_part(service)}", f"cannot release the service {service}", timeout=timeout)


def configuration(orange: Orange) -> dict[str, Any]:
    """What Orange knows of the organisation."""
    return orange.call("GET", "/configurations", f"cannot read the organisation {orange.org}").json()
