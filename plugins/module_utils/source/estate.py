# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a tenant into an estate: list calls only, one a page, services at the same time.

A service that is down, forbidden or answers nonsense becomes a `not_read` finding; what it answered before that is kept
and called partial. A service that the cloud does not have is absent. The rest of the estate is complete.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds as kinds_of
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import convert, pages, services
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import complete, storage
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import listings as family
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.listings import (
    FLAVOR_SPECS,
    FLAVORS,
    OPENSTACK,
    REQUIRED,
    Listing,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.pages import (
    PAGE_SIZE,
    RETRY_SECONDS,
    Rows,
)

LISTINGS: tuple[Listing, ...] = (*OPENSTACK, *family.LISTINGS)
"""Everything that is read."""

THREADS = 12
"""Calls at the same time."""


@dataclass
class Reading:
    """An estate and what it took: HTTP calls, seconds, and the seconds that each service that was busy cost."""

    estate: model.Estate
    calls: int
    seconds: float
    waits: dict[str, float] = field(default_factory=dict)


def read(
    cloud: Cloud,
    *,
    kinds: Sequence[str] | None = None,
    page_size: int = PAGE_SIZE,
    threads: int = THREADS,
    retry_seconds: float = RETRY_SECONDS,
    on_progress: Callable[[str, int], None] | None = None,
    on_wait: Callable[[str, float, str], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Reading:
    """Read the cloud's project. `kinds` limits what is read. `on_progress(kind, objects so far)` is called a page,
    `on_wait(kind, seconds, why)` before waiting for a service that is busy.

    Never raises for a service that fails: that is a finding. Nothing is written to the cloud.
    """
    started = time.monotonic()

    def find(service: str) -> services.Endpoint | None:
        endpoint = cloud.service(service)
        if service == "compute":
            reader.count()
        return endpoint

    reader = pages.Reader(
        find,
        cloud.project_id,
        timeout=cloud.params.list_timeout,
        page_size=page_size,
        retry_seconds=retry_seconds,
        on_progress=on_progress or (lambda _kind, _count: None),
        on_wait=on_wait or (lambda _kind, _seconds, _why: None),
        sleep=sleep,
    )
    wanted = [listing for listing in LISTINGS if kinds is None or listing.kind in kinds]
    found = _all(cloud, reader, wanted, max(1, threads))
    _doubt(reader, wanted, found)
    _flavors(reader, found)
    unread = _unread(cloud) if kinds is None else []
    estate = _assemble(cloud, wanted, found, unread)
    if kinds is None:
        estate = replace(estate, findings=_sorted([*estate.findings, *complete.unexplained(estate)]))
    return Reading(estate, reader.calls, time.monotonic() - started, reader.waits)


def _sorted(findings: Iterable[model.Finding]) -> list[model.Finding]:
    return sorted(findings, key=lambda finding: (finding.rule, finding.subject.kind, finding.subject.id))


def _all(cloud: Cloud, reader: pages.Reader, wanted: Sequence[Listing], threads: int) -> dict[str, Rows]:
    """The rows of each kind: first the lists that stand for themselves, then those made for objects of the first."""
    found: dict[str, Rows] = {}

    def merge(listings: Sequence[Listing], results: Iterable[Rows]) -> None:
        for listing, rows in zip(listings, results, strict=True):
            if listing.kind in found:
                found[listing.kind].add(rows)
            else:
                found[listing.kind] = rows

    first = _in_turn([listing for listing in wanted if not listing.per and not listing.late])
    second = [listing for listing in wanted if listing.per or listing.late]

    def later(listing: Listing) -> Rows:
        return reader.of_parents(listing, _parents(reader, listing, found)) if listing.per else reader.list(listing)

    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="read") as pool:
        merge(
            first,
            pool.map(lambda row: _buckets(cloud, reader, row) if row.kind == "buckets" else reader.list(row), first),
        )
        merge(second, pool.map(later, second))
    return found


def _in_turn(listings: Sequence[Listing]) -> list[Listing]:
    """One list of each service, then the second of each, and so on: a service that stalls holds up only its own."""
    turn: dict[str, int] = {}
    places: list[tuple[int, int]] = []
    for index, listing in enumerate(listings):
        turn[listing.service] = turn.get(listing.service, 0) + 1
        places.append((turn[listing.service], index))
    return [listings[index] for _turn, index in sorted(places)]


def _buckets(cloud: Cloud, reader: pages.Reader, listing: Listing) -> Rows:
    """The buckets of the account: they speak S3, and want keys of their own."""

    def read_them(endpoint: services.Endpoint, call: pages.Caller) -> Iterable[dict[str, Any]]:
        return storage.read(call, endpoint.url, cloud.iam, cloud.region, cloud.keys)

    return reader.other(listing, read_them)


def _parents(reader: pages.Reader, listing: Listing, found: Mapping[str, Rows]) -> Rows:
    """The objects that a list is made for; read here where they were not asked for."""
    if listing.per in found:
        return found[listing.per]
    return reader.list(next(row for row in LISTINGS if row.kind == listing.per))


def _doubt(reader: pages.Reader, wanted: Sequence[Listing], found: Mapping[str, Rows]) -> None:
    """A list that came back empty although servers name what should be in it is asked for once more.

    One that stays empty counts as not read: empty is not absent. (Seen with Neutron, which answers the first requests
    after its start with 200 and lists without rows.)
    """
    servers = list(found["servers"].rows.values()) if "servers" in found else []
    named = {
        "ports": any(convert.macs(row) for row in servers),
        "volumes": any(row.get("os-extended-volumes:volumes_attached") for row in servers),
    }
    for listing in wanted:
        rows = found[listing.kind]
        if named.get(listing.kind) and not (rows.rows or rows.reason or rows.absent):
            rows.add(reader.list(listing))
            if not rows.rows:
                rows.reason = rows.reason or "the list came back empty, while servers name what should be in it"


def _flavors(reader: pages.Reader, found: dict[str, Rows]) -> None:
    """The flavors of servers that only name theirs (before microversion 2.47), with their extra specs."""
    servers = found.get("servers")
    named = {
        str(row["flavor"].get("id", ""))
        for row in (servers.rows.values() if servers else ())
        if isinstance(row.get("flavor"), dict) and "vcpus" not in row["flavor"]
    } - {""}
    if not named:
        return
    flavors = found["flavors"] = reader.list(FLAVORS)
    bare = {ident: row for ident, row in flavors.rows.items() if ident in named and "extra_specs" not in row}
    for ident in sorted(bare)[: pages.MAX_PARENTS]:
        specs = reader.list(FLAVOR_SPECS, ident)
        if specs.reason or specs.absent:
            break  # not for this role, or not in this cloud: extra specs are told where they are shown
        flavors.rows[ident] = {**bare[ident], "extra_specs": next(iter(specs.rows.values()), {})}


def _unread(cloud: Cloud) -> list[str]:
    """Types of the catalogue that nothing here reads."""
    return [kind for kind in cloud.catalogue.types() if kind not in services.known_types()]


def _state(rows: Rows, required: bool) -> model.ReadState:
    if rows.absent and not rows.reason:
        return "not_read" if required else "absent"
    if not rows.reason:
        return "complete"
    return "partial" if rows.rows else "not_read"


def _assemble(
    cloud: Cloud, wanted: Sequence[Listing], found: Mapping[str, Rows], unread: Sequence[str]
) -> model.Estate:
    by_kind: dict[str, list[Listing]] = {}
    for listing in wanted:
        by_kind.setdefault(listing.kind, []).append(listing)
    read: dict[str, model.ReadState] = {}
    findings: list[model.Finding] = []
    for kind, listings in by_kind.items():
        required = listings[0].service in REQUIRED and kind in kinds_of.TYPED
        read[kind] = _state(found[kind], required)
        if read[kind] in ("partial", "not_read"):
            findings.append(_not_read(kind, found[kind]))
    if "flavors" in found and found["flavors"].reason:
        findings.append(_not_read("flavors", found["flavors"]))
        read["servers"] = "partial" if read.get("servers") == "complete" else read["servers"]
    findings += [_unknown(kind) for kind in unread]

    def rows(kind: str) -> list[dict[str, Any]]:
        """The raw rows of a kind by their ids, which every row has."""
        return [{**row, "id": ident} for ident, row in sorted(found[kind].rows.items())] if kind in found else []

    project = cloud.project_id
    flavors = {str(row["id"]): row for row in rows("flavors")}
    volumes = [convert.volume(row) for row in rows("volumes")]
    servers = [convert.server(row, flavors) for row in rows("servers")]
    server_ids = {server.id for server in servers}
    ports = [
        convert.port(row)
        for row in rows("ports")
        if convert.owner(row) in ("", project) or str(row.get("device_id", "")) in server_ids
    ]
    macs = {str(row["id"]): convert.macs(row) for row in rows("servers")}
    places = convert.places(volumes)
    cards = convert.cards(ports)
    known = {volume.id: volume for volume in volumes}
    servers = [
        convert.with_attachments(server, known, places.get(server.id, []), cards.get(server.id, []), macs[server.id])
        for server in servers
    ]
    used_networks = {port.network_id for port in ports}
    networks = [
        network
        for network in (convert.network(row) for row in rows("networks"))
        if network.project_id in ("", project) or network.shared or network.external or network.id in used_networks
    ]
    network_ids = {network.id for network in networks}
    images = [convert.image(row) for row in rows("images")]
    used_images = {server.image_id for server in servers} | {v.image_metadata.get("image_id") for v in volumes}
    groups_in_use = {group for port in ports for group in port.security_groups}
    return model.Estate(
        kind=model.KIND,
        version=model.VERSION,
        tenant=model.Tenant(
            project_id=project,
            project_name=cloud.project_name,
            domain_id=cloud.project_domain_id,
            region=cloud.region,
        ),
        read=read,
        services=_services(wanted, read, unread),
        findings=_sorted(findings),
        servers=servers,
        volumes=volumes,
        snapshots=[convert.snapshot(row) for row in rows("snapshots")],
        images=[
            image
            for image in images
            if image.owner == project or image.id in used_images or image.visibility == "shared"
        ],
        ports=ports,
        networks=networks,
        subnets=[
            subnet
            for subnet in (convert.subnet(row) for row in rows("subnets"))
            if subnet.network_id in network_ids or not network_ids
        ],
        security_groups=[
            convert.group(row)
            for row in rows("security_groups")
            if convert.owner(row) in ("", project) or row["id"] in groups_in_use
        ],
        floating_ips=[convert.floating(row) for row in rows("floating_ips") if convert.owner(row) in ("", project)],
        resources=_resources(by_kind, found, read, project),
    )


def _resources(
    by_kind: Mapping[str, list[Listing]],
    found: Mapping[str, Rows],
    read: Mapping[str, model.ReadState],
    project: str,
) -> dict[str, list[model.Resource]]:
    resources: dict[str, list[model.Resource]] = {}
    for kind, listings in by_kind.items():
        if kind in kinds_of.TYPED or read[kind] not in ("complete", "partial"):
            continue
        listing = listings[0]
        resources[kind] = [
            convert.resource(listing, ident, row, project)
            for ident, row in sorted(found[kind].rows.items())
            if not listing.own or convert.owner(row) in ("", project)
        ]
    return resources


def _services(
    wanted: Sequence[Listing], read: Mapping[str, model.ReadState], unread: Sequence[str]
) -> list[model.Service]:
    kinds: dict[str, list[str]] = {}
    for listing in wanted:
        asked = kinds.setdefault(listing.service, [])
        if listing.kind not in asked:
            asked.append(listing.kind)
    return [
        *(model.Service(name, _together([read[kind] for kind in asked]), asked) for name, asked in kinds.items()),
        *(model.Service(kind, "not_read") for kind in unread),
    ]


def _together(states: Sequence[model.ReadState]) -> model.ReadState:
    """The state of a service: absent kinds do not count beside others."""
    there = {state for state in states if state != "absent"}
    if not there:
        return "absent"
    return there.pop() if len(there) == 1 else "partial"


def _not_read(kind: str, rows: Rows) -> model.Finding:
    row = kinds_of.KINDS.get(kind)
    title, title_fr = (row.title, row.title_fr) if row else (kind.replace("_", " "), kind.replace("_", " "))
    why = rows.reason or "the cloud's catalogue has no such service in this region"
    got = f"; {len(rows.rows)} were read before that" if rows.rows else ""
    got_fr = f" ; {len(rows.rows)} lus auparavant" if rows.rows else ""
    typed = kind in kinds_of.TYPED or row is None
    return model.Finding(
        rule="not_read",
        severity="blocker" if typed else "warning",
        subject=model.Subject(kind=kind),
        seen=f"{title} could not be read: {why}{got}",
        seen_fr=f"{title_fr} : lecture impossible ({why}){got_fr}",
        action="Nothing is concluded from their absence. Make the service readable and read the tenant again.",
        action_fr="Rien n'est conclu de leur absence. Rendre le service lisible, puis relire le tenant.",
        data_gap=True,
    )


def _unknown(kind: str) -> model.Finding:
    return model.Finding(
        rule="not_read",
        severity="warning",
        subject=model.Subject(kind="services", id=kind, name=kind),
        seen=f"The cloud has a service of the type {kind}, which nothing here reads.",
        seen_fr=f"Le cloud a un service de type {kind}, que rien ici ne lit.",
        action="Find out whether the tenant uses it, and what becomes of what is in it.",
        action_fr="Vérifier si le tenant l'utilise, et décider du sort de son contenu.",
        data_gap=True,
    )
