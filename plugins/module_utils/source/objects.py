# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One object of a project by its typed reference: read as its service answers it, and as an estate has it.

An object is absent where its service says so of the id, and its list, which it gives whole, is without it. An empty
page, a host that is gone or a service that contradicts itself prove nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    Refused,
    Unreachable,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import Reference
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import (
    convert,
    deletions,
    listings,
    pages,
    stores,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud, translate
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.deletions import Deletion
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import (
    deletions as family_deletions,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.flexible_engine import (
    listings as family_listings,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.listings import Listing
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.pages import Rows, dig
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.rest import BadAnswer
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.services import Endpoint

ROWS: dict[str, Deletion] = {row.kind: row for row in (*deletions.OPENSTACK, *family_deletions.DELETIONS)}
"""How each kind is deleted. A kind that is neither here nor in NOT_OBJECTS is not deleted."""

NOT_OBJECTS: dict[str, str] = {**deletions.NOT_OBJECTS, **family_deletions.NOT_OBJECTS}
"""Kinds that are nothing by themselves: limits, measurements, second views. Nothing of them is deleted."""

READ_TRIES = 4
"""How often a read is tried before a service that does not answer is an error."""

LISTINGS: dict[str, list[Listing]] = {}
"""How each kind is listed; the first row says where its objects are."""
for _listing in (*listings.OPENSTACK, *family_listings.LISTINGS):
    LISTINGS.setdefault(_listing.kind, []).append(_listing)
_CONVERT: dict[str, Callable[[dict[str, Any]], Any]] = {
    "volumes": convert.volume,
    "snapshots": convert.snapshot,
    "images": convert.image,
    "ports": convert.port,
    "networks": convert.network,
    "subnets": convert.subnet,
    "security_groups": convert.group,
    "floating_ips": convert.floating,
}
_PLACE = re.compile(r"\{(\w+)\}")
_UNPUBLISHED = "APIGW.0101"
_OWNERS = ("project_id", "tenant_id", "owner", "os-vol-tenant-attr:tenant_id")


class Objects:
    """The objects of one project. Nothing is called when it is made; only `ask` can write.

    parents: for `kind/id` of what is a part of another object, the id of that.
    """

    def __init__(
        self, cloud: Cloud, parents: Mapping[str, str], *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.cloud = cloud
        self._parent_of = parents
        self.sleep = sleep
        self.host = (urlsplit(cloud.catalogue.auth_url).hostname or "").lower()
        self._endpoints: dict[str, Endpoint] = {}
        self._latest: tuple[str, object, dict[str, Any]] | None = None

    # reading

    def read(self, ref: Reference) -> object | None:
        """The object as a reading of the tenant gives it; None only where the service itself says that it is absent.

        That is: it says so of the id, and its list, which it gives whole, is without it. Where one of the two cannot
        be had, or where they say different things, it raises.
        """
        raw = self.raw(ref)
        if raw is None:
            return None
        obj = self._object(ref, raw)
        self._latest = (ref.key, obj, raw)
        return obj

    def origin(self, ref: Reference, obj: object) -> dict[str, Any]:
        """What its service answered when `obj` was read, where that was the latest reading; else what it answers now.

        Raises Refused where it is another project's, Conflict where it is not there.
        """
        self.own_place(ref)
        latest = self._latest
        known = latest is not None and latest[0] == ref.key and latest[1] is obj
        raw = latest[2] if latest is not None and known else self.there(ref)
        self.own(ref, raw)
        return raw

    def forget(self) -> None:
        """Something is about to be changed: what was read before tells nothing any more."""
        self._latest = None

    def raw(self, ref: Reference) -> dict[str, Any] | None:
        """The object as its service answers it, tidied as a row of its list is; None where it is certainly absent."""
        self.own_place(ref)
        row = ROWS.get(ref.kind, Deletion(ref.kind))
        found = self._single(ref, row) if row.path else self._listed(ref, row)
        if found is not None and _status(ref.kind, found) in row.ended:
            return None
        return found

    def _single(self, ref: Reference, row: Deletion) -> dict[str, Any] | None:
        listing, parent = LISTINGS[ref.kind][0], self._parent_of.get(ref.key, "")
        if listing.per and not parent:
            listed = self._listed(ref, row)
            if listed is None:
                return None
            parent = str(listed.get("_parent", ""))
        what = f"Read {label(ref)}"
        answer = self.ask(listing.service, "GET", row.path, what, names_of(ref, {"_parent": parent}))
        status = int(answer.status_code)
        if status == 404 and _UNPUBLISHED not in pages.fault(answer):
            if listing.one:
                # the service has one of it or none: there is no list; a host without the service has no words for it
                if not pages.fault(answer):
                    raise bad_answer(answer, what)
                return None
            if self._in_list(ref, row):
                raise Conflict(
                    what,
                    cause="the service does not find it, and has it in its list",
                    hint="Wait until the service agrees with itself, and run again.",
                    retryable=True,
                )
            return None
        if status != 200:
            raise bad_answer(answer, what)
        body = json_of(answer)
        found = dig(body, row.key) if row.key else body
        if not isinstance(found, dict):
            raise CloudExitError(what, cause="the answer holds no object", retryable=True)
        if listing.per:
            found = {**found, "_parent": parent}
        tidied = listing.convert(dict(found)) if listing.convert else found
        if tidied is None or pages.identity(listing, found, tidied) != ref.id:
            raise Conflict(what, cause="the answer is about another object")
        return tidied

    def _listed(self, ref: Reference, row: Deletion) -> dict[str, Any] | None:
        """The object from its list; that it is missing is believed when the list says so twice."""
        for dummy in range(2):
            rows = self._rows(ref, row)
            if ref.id in rows.rows:
                return rows.rows[ref.id]
        listing = LISTINGS[ref.kind][0]
        if listing.per and "?" in listing.path and ref.key not in self._parent_of:
            raise Unreachable(
                f"Read {label(ref)}",
                cause=f"it may outlive its {listing.per.replace('_', ' ')}, whose lists alone show it, and nobody told"
                " which of them that was",
            )
        return None

    def _in_list(self, ref: Reference, row: Deletion) -> bool:
        short = LISTINGS[ref.kind][0]
        if row.brief:
            short = replace(short, path=row.brief, params={}, convert=None)
        if row.by_id:
            short = replace(short, params={**short.params, row.by_id: ref.id})
        if short.per:
            return ref.id in self._rows(ref, row).rows
        return ref.id in self._complete(ref, self._reader().list(short)).rows

    def _rows(self, ref: Reference, row: Deletion) -> Rows:
        """All rows of a kind; raises where the list is not complete."""
        if ref.kind not in LISTINGS:
            raise Refused(f"{label(ref)} cannot be read", cause="nothing lists this kind")
        reader = self._reader()
        together: Rows | None = None
        for listing in LISTINGS[ref.kind]:
            narrow = replace(listing, params={**listing.params, row.by_id: ref.id}) if row.by_id else listing
            if listing.kind == "buckets":
                found = stores.buckets(self.cloud, reader, listing, ref.id)
            elif listing.per and "?" in listing.path and ref.key in self._parent_of:
                # what outlives its parent is listed although the parent is not
                found = reader.list(listing, self._parent_of[ref.key])
            elif listing.per:
                found = reader.of_parents(listing, self._parents(reader, listing, self._parent_of.get(ref.key, "")))
            else:
                found = reader.list(narrow)
            if together is None:
                together = found
            else:
                together.add(found)
        return self._complete(ref, together or Rows(absent=True))

    def _parents(self, reader: pages.Reader, listing: Listing, known: str) -> Rows:
        """What may hold it: the one that is known to, or all. One that is gone holds nothing."""
        together: Rows | None = None
        for above in LISTINGS[listing.per]:
            found = reader.list(above)
            if together is None:
                together = found
            else:
                together.add(found)
        if together is not None and known:
            together.rows = {ident: row for ident, row in together.rows.items() if ident == known}
        return together or Rows(absent=True)

    def below(self, ref: Reference, raw: Mapping[str, Any], path: str, key: str, id_field: str) -> list[dict[str, Any]]:
        """The rows of a list of what hangs on one object, whole; raises where it cannot be read."""
        what, names = f"Read what is below {label(ref)}", names_of(ref, raw)
        service = LISTINGS[ref.kind][0].service
        if id_field == "physical_resource_id":  # Heat gives them all at once, and some without an id
            answer = self.ask(service, "GET", path, what, names)
            found = dig(json_of(answer), key)
            if int(answer.status_code) != 200 or not isinstance(found, list):
                raise bad_answer(answer, what)
            return deletions.rows_of(found)
        placed = _PLACE.sub(lambda place: _placed(place[1], names, self.cloud.project_id), path)
        rows = self._reader().list(Listing(ref.kind, service, placed, key, id_field=id_field))
        if rows.reason or rows.absent:
            raise Unreachable(what, cause=rows.reason or "the cloud shows no such service", retryable=True)
        return list(rows.rows.values())

    @staticmethod
    def _complete(ref: Reference, rows: Rows) -> Rows:
        what = f"Read {label(ref)}"
        if rows.reason:
            raise Unreachable(what, cause=f"the list of {ref.kind} could not be read: {rows.reason}", retryable=True)
        if rows.absent:
            raise Unreachable(
                what,
                cause=f"the cloud shows no service that lists {ref.kind}",
                hint="A service that is gone says nothing about what was in it.",
            )
        return rows

    def _reader(self) -> pages.Reader:
        return pages.Reader(
            self._endpoint_or_none,
            self.cloud.project_id,
            timeout=self.cloud.params.list_timeout,
            sleep=self.sleep,
        )

    def _object(self, ref: Reference, raw: dict[str, Any]) -> object:
        if ref.kind == "servers":
            return self._server({**raw, "id": ref.id})
        if ref.kind in _CONVERT:
            return _CONVERT[ref.kind]({**raw, "id": ref.id})
        return convert.resource(LISTINGS[ref.kind][0], ref.id, raw, self.cloud.project_id)

    def _server(self, raw: dict[str, Any]) -> object:
        """A server with its volumes and ports, as a reading of the whole tenant joins them."""
        ident, what = str(raw["id"]), f"Read servers/{raw['id']}"
        reader = self._reader()
        if "os-extended-volumes:volumes_attached" in raw:
            held = [str(place.get("id")) for place in deletions.rows_of(raw["os-extended-volumes:volumes_attached"])]
            rows = [self._get("block_storage", f"/volumes/{quote(one, safe='')}", "volume", what) for one in held]
        else:
            ref = Reference(kind="volumes", cloud="", region="", project="", id="")
            rows = list(self._complete(ref, reader.list(LISTINGS["volumes"][0])).rows.values())
        volumes = [convert.volume(row) for row in rows]
        ref = Reference(kind="ports", cloud="", region="", project="", id="")
        listing = replace(LISTINGS["ports"][0], params={"device_id": ident})
        found = self._complete(ref, reader.list(listing)).rows
        ports = [convert.port({**row, "id": one}) for one, row in sorted(found.items())]
        server = convert.server(raw, self._flavors(raw, what))
        places = convert.places(volumes).get(ident, [])
        known = {volume.id: volume for volume in volumes}
        return convert.with_attachments(server, known, places, convert.cards(ports).get(ident, []), convert.macs(raw))

    def _flavors(self, raw: Mapping[str, Any], what: str) -> dict[str, dict[str, Any]]:
        """The flavor of a server that only names its own (before microversion 2.47)."""
        flavor = raw.get("flavor")
        ident = str(flavor.get("id", "")) if isinstance(flavor, dict) and "vcpus" not in flavor else ""
        if not ident:
            return {}
        try:
            found = self._get("compute", f"/flavors/{quote(ident, safe='')}", "flavor", what)
        except CloudExitError as error:
            if error.retryable:
                raise
            return {}
        if "extra_specs" not in found:
            specs = self._reader().list(listings.FLAVOR_SPECS, ident)
            found = {**found, "extra_specs": next(iter(specs.rows.values()), {})}
        return {ident: found}

    # calls

    def own_place(self, ref: Reference) -> None:
        here = (self.host, self.cloud.region, self.cloud.project_id)
        if (ref.cloud, ref.region, ref.project) != here:
            raise Refused(
                f"{label(ref)} is not touched",
                cause="it is of another cloud, region or project than the credential: "
                f"{ref.cloud}, {ref.region}, {ref.project} and not {', '.join(here)}",
            )
        if ref.kind not in kinds.KINDS or not ref.id:
            raise Refused(f"{label(ref)} is not touched", cause="it is no object of a kind that is known")

    def row(self, ref: Reference) -> Deletion:
        self.own_place(ref)
        row = ROWS.get(ref.kind)
        if row is None:
            why = NOT_OBJECTS.get(ref.kind, "nothing here deletes this kind")
            raise Refused(f"{label(ref)} is not deleted", cause=why)
        return row

    def own(self, ref: Reference, raw: Mapping[str, Any]) -> None:
        """Raises Refused for what another project owns."""
        for name in _OWNERS:
            owner = raw.get(name)
            if isinstance(owner, str) and owner and owner != self.cloud.project_id:
                raise Refused(f"{label(ref)} is not touched", cause=f"it belongs to another project ({owner})")

    def there(self, ref: Reference) -> dict[str, Any]:
        raw = self.raw(ref)
        if raw is None:
            raise Conflict(f"{label(ref)} is not there", cause="it was deleted by somebody else")
        return raw

    def _endpoint_or_none(self, service: str) -> Endpoint | None:
        if service not in self._endpoints:
            found = self.cloud.service(service)
            if found is None:
                return None
            self._endpoints[service] = found
        return self._endpoints[service]

    def endpoint(self, service: str, what: str) -> Endpoint:
        found = self._endpoint_or_none(service)
        if found is None:
            raise Unreachable(what, cause=f"the cloud shows no service {service}")
        return found

    def _get(self, service: str, path: str, key: str, what: str) -> dict[str, Any]:
        answer = self.ask(service, "GET", path, what, {})
        if int(answer.status_code) != 200:
            raise bad_answer(answer, what)
        found = dig(json_of(answer), key)
        if not isinstance(found, dict):
            raise CloudExitError(what, cause="the answer holds no object", retryable=True)
        return found

    def ask(self, service: str, method: str, path: str, what: str, names: Mapping[str, str], **options: Any) -> Any:
        """One call; the answer whatever its status. Reads are tried again where the service did not answer."""
        endpoint = self.endpoint(service, what)
        url = endpoint.url + _PLACE.sub(lambda found: _placed(found[1], names, self.cloud.project_id), path)
        tries = READ_TRIES if method == "GET" else 1
        for attempt in range(tries):
            try:
                answer = endpoint.request(method, url, timeout=self.cloud.params.timeout, **options)
            except Exception as exc:
                error = translate(exc, what)
                if not isinstance(error, CloudExitError) or not error.retryable or attempt == tries - 1:
                    raise error from exc
            else:
                if (int(answer.status_code) < 500 and int(answer.status_code) != 429) or attempt == tries - 1:
                    return answer
            self.sleep(0.5 * 2**attempt)
        raise Unreachable(what, cause="no answer", retryable=True)


def label(ref: Reference) -> str:
    return f"{ref.kind}/{ref.id}"


def names_of(ref: Reference, raw: Mapping[str, Any], arg: str = "") -> dict[str, str]:
    """What is put into paths and bodies: texts of the object by their keys, its id, its parent, what a step names."""
    head, dummy, tail = ref.id.rpartition("/")
    texts = {key: value for key, value in raw.items() if isinstance(value, str)}
    return {
        **texts,
        "id": ref.id,
        "project_id": ref.project,
        "parent": str(raw.get("_parent") or dig(dict(raw), LISTINGS[ref.kind][0].fields.get("parent", "-")) or ""),
        "arg": arg,
        "head": head,
        "tail": tail,
        "bare": ref.id.removesuffix(":latest"),
    }


def _placed(name: str, names: Mapping[str, str], project_id: str) -> str:
    value = project_id if name == "project_id" else names.get(name, "")
    if not value:
        raise Refused("A call is not made", cause=f"the object has no {name}, which belongs into its address")
    return quote(value, safe="")


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """A body or a query with what belongs into it."""
    if isinstance(value, dict):
        return {key: filled(entry, names) for key, entry in value.items()}
    if isinstance(value, list):
        return [filled(entry, names) for entry in value]
    return _PLACE.sub(lambda found: names.get(found[1], ""), value) if isinstance(value, str) else value


def _status(kind: str, raw: Mapping[str, Any]) -> str:
    path = LISTINGS[kind][0].fields.get("status", "status")
    return str(dig(dict(raw), path) or "")


def json_of(answer: Any) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def request_id_of(answer: Any) -> str:
    for name in ("x-openstack-request-id", "X-Request-Id", "x-compute-request-id", "x-amz-request-id", "x-trans-id"):
        found = answer.headers.get(name)
        if found:
            return str(found)[:100]
    return ""


def bad_answer(answer: Any, what: str) -> CloudExitError:
    said = pages.fault(answer)
    error = translate(BadAnswer(int(answer.status_code), said, request_id_of(answer)), what)
    return error if isinstance(error, CloudExitError) else CloudExitError(what, cause=said)
