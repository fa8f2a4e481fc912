# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes in Flexible Engine's services by calls: deletes, and what a quarantine sets.

Written from the references. A delete takes the row out of the data, where nothing in its way is left (409 otherwise),
and answers with a job where the service does. Nothing here is shared with the collection.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

Rows = dict[str, list[dict[str, Any]]]
Row = dict[str, Any]
CSBS = "fc4d5750-22e7-4798-8a46-f48f62c4c1da"


@dataclass(frozen=True)
class Delete:
    """A delete call. id_field: dotted. blocked: the rows in its way, from all rows and its own. job: answers one."""

    service: str
    kind: str
    path: str
    id_field: str = "id"
    blocked: Callable[[Rows, Row], bool] | None = None
    also: Callable[[Rows, Row], None] | None = None
    job: bool = False
    needs: Mapping[str, str] = field(default_factory=dict)


def dig(row: Any, path: str) -> Any:
    """What is under a dotted path."""
    for part in path.split("."):
        row = row.get(part) if isinstance(row, dict) else None
    return row


def _any(kind: str, of: Callable[[Row, Row], bool]) -> Callable[[Rows, Row], bool]:
    return lambda rows, row: any(of(other, row) for other in rows.get(kind, []))


def _balanced(kind: str) -> Callable[[Rows, Row], bool]:
    return _any(kind, lambda other, row: {"id": row["id"]} in other.get("loadbalancers", []))


def _of(key: str) -> Callable[[Row, Row], bool]:
    return lambda other, row: other.get(key) == row["id"]


def _first(*checks: Callable[[Rows, Row], bool]) -> Callable[[Rows, Row], bool]:
    return lambda rows, row: any(check(rows, row) for check in checks)


def _take(kind: str, of: Callable[[Row, Row], bool]) -> Callable[[Rows, Row], None]:
    def take(rows: Rows, row: Row) -> None:
        rows[kind] = [other for other in rows.get(kind, []) if not of(other, row)]

    return take


def _deletes() -> tuple[Delete, ...]:
    d = Delete
    v1, v2, v3, scaling = "/v1/{p}", "/v2/{p}", "/v3/{p}", "/autoscaling-api/v1/{p}"
    cce = "/api/v3/projects/{p}/clusters"
    return (
        d("deh", "dedicated_hosts", "/v1.0/{p}/dedicated-hosts/{id}", "dedicated_host_id",
          lambda _rows, row: row.get("instance_total", 0) > 0),
        d("vbs", "volume_backups", f"{v2}/backups/{{id}}"),
        d("vbs", "volume_backup_policies", f"{v2}/backuppolicy/{{id}}", "backup_policy_id"),
        d("csbs", "server_backups", f"{v1}/providers/{CSBS}/checkpoints/{{id}}", "checkpoint_id"),
        d("csbs", "server_backup_policies", f"{v1}/policies/{{id}}"),
        d("cbr", "vaults", f"{v3}/vaults/{{id}}", also=_take("vault_backups", _of("vault_id"))),
        d("cbr", "vault_backups", f"{v3}/backups/{{id}}"),
        d("cbr", "vault_policies", f"{v3}/policies/{{id}}"),
        d("sdrs", "protection_groups", f"{v1}/server-groups/{{id}}",
          blocked=lambda _rows, row: row["status"] == "protected", job=True),
        d("ims", "private_images", "/v2/images/{id}"),
        d("vpc", "vpcs", f"{v1}/vpcs/{{id}}",
          blocked=_first(_any("vpc_subnets", _of("vpc_id")), _any("peerings", _peer), _own_tables),
          also=_take("route_tables", _of("vpc_id"))),
        d("vpc", "vpc_subnets", f"{v1}/vpcs/{{parent}}/subnets/{{id}}", needs={"parent": "vpc_id"},
          blocked=_any("turbo_shares", _of("subnet_id"))),
        d("vpc", "route_tables", f"{v1}/routetables/{{id}}",
          blocked=lambda _rows, row: bool(row.get("default") or row.get("subnets"))),
        d("vpc", "peerings", "/v2.0/vpc/peerings/{id}"),
        d("vpc", "public_ips", f"{v1}/publicips/{{id}}", blocked=lambda rows, row: bool(row.get("port_id"))
          or any(rule.get("floating_ip_id") == row["id"] for kind in ("snat_rules", "dnat_rules")
                 for rule in rows.get(kind, [])),
          also=lambda rows, row: [band.update(publicip_info=[]) for band in rows.get("bandwidths", [])] and None),
        d("vpc", "bandwidths", "/v2.0/{p}/bandwidths/{id}",
          blocked=lambda _rows, row: bool(row.get("publicip_info"))),
        d("vpc", "flow_logs", f"{v1}/fl/flow_logs/{{id}}"),
        d("vpcep", "endpoints", f"{v1}/vpc-endpoints/{{id}}"),
        d("vpcep", "endpoint_services", f"{v1}/vpc-endpoint-services/{{id}}"),
        d("nat", "nat_gateways", f"{v2}/nat_gateways/{{id}}",
          blocked=_first(_any("snat_rules", _of("nat_gateway_id")), _any("dnat_rules", _of("nat_gateway_id")))),
        d("nat", "snat_rules", f"{v2}/nat_gateways/{{parent}}/snat_rules/{{id}}", needs={"parent": "nat_gateway_id"}),
        d("nat", "dnat_rules", f"{v2}/nat_gateways/{{parent}}/dnat_rules/{{id}}", needs={"parent": "nat_gateway_id"}),
        d("elb", "classic_load_balancers", "/v1.0/{p}/elbaas/loadbalancers/{id}", job=True),
        d("elb", "shared_load_balancers", f"{v2}/elb/loadbalancers/{{id}}",
          also=_take("dedicated_load_balancers", lambda other, row: other["id"] == row["id"])),
        d("elb", "dedicated_load_balancers", f"{v3}/elb/loadbalancers/{{id}}",
          blocked=_first(_balanced("elb_listeners"), _balanced("elb_pools"))),
        d("elb", "elb_listeners", f"{v3}/elb/listeners/{{id}}"),
        d("elb", "elb_pools", f"{v3}/elb/pools/{{id}}", blocked=_any("elb_members", _of("_cluster"))),
        d("elb", "elb_members", f"{v3}/elb/pools/{{parent}}/members/{{id}}", needs={"parent": "_cluster"}),
        d("elb", "elb_certificates", f"{v3}/elb/certificates/{{id}}"),
        d("rds", "rds_instances", f"{v3}/instances/{{id}}", job=True,
          also=_take("rds_backups", lambda other, row: other["instance_id"] == row["id"] and other["type"] == "auto")),
        d("rds", "rds_backups", f"{v3}/backups/{{id}}", blocked=lambda _rows, row: row["type"] == "auto"),
        d("dds", "dds_instances", f"{v3}/instances/{{id}}"),
        d("gaussdb-nosql", "nosql_instances", f"{v3}/instances/{{id}}"),
        d("ddm", "ddm_instances", f"{v1}/instances/{{id}}"),
        d("dcs", "dcs_instances", f"{v2}/instances/{{id}}", "instance_id"),
        d("dms", "dms_instances", f"{v2}/instances/{{id}}", "instance_id"),
        d("cce", "cce_clusters", f"{cce}/{{id}}", "metadata.uid",
          also=_take("cce_nodes", lambda other, row: other["_cluster"] == row["metadata"]["uid"])),
        d("cce", "cce_nodes", f"{cce}/{{parent}}/nodes/{{id}}", "metadata.uid", needs={"parent": "_cluster"}),
        d("swr", "image_repositories", "/v2/manage/namespaces/{parent}/repos/{id}", "name",
          needs={"parent": "namespace"}),
        d("as", "scaling_groups", f"{scaling}/scaling_group/{{id}}", "scaling_group_id",
          lambda rows, row: any(o["_cluster"] == row["scaling_group_id"] for o in rows.get("scaling_instances", []))),
        d("as", "scaling_configurations", f"{scaling}/scaling_configuration/{{id}}", "scaling_configuration_id",
          lambda rows, row: any(group["scaling_configuration_id"] == row["scaling_configuration_id"]
                                for group in rows.get("scaling_groups", []))),
        d("as", "scaling_instances", f"{scaling}/scaling_group_instance/{{id}}", "instance_id"),
        d("sfs", "file_shares", f"{v2}/shares/{{id}}"),
        d("sfs-turbo", "turbo_shares", f"{v1}/sfs-turbo/shares/{{id}}"),
        d("ces", "alarms", "/V1.0/{p}/alarms/{id}", "alarm_id"),
        d("smn", "topics", f"{v2}/notifications/topics/{{id}}", "topic_urn"),
        d("lts", "log_groups", f"{v2}/groups/{{id}}", "log_group_id"),
        d("fgs", "functions", f"{v2}/fgs/functions/{{id}}", "func_urn"),
        d("css", "search_clusters", "/v1.0/{p}/clusters/{id}"),
        d("mrs", "data_clusters", "/v1.1/{p}/clusters/{id}", "clusterId"),
        d("dws", "warehouses", "/v1.0/{p}/clusters/{id}"),
        d("waf", "waf_hosts", f"{v1}/waf/instance/{{id}}"),
        d("rts", "rts_stacks", f"{v1}/stacks/{{parent}}/{{id}}", needs={"parent": "stack_name"}),
        d("orchestration", "stacks", f"{v1}/stacks/{{parent}}/{{id}}", needs={"parent": "stack_name"}),
        d("key-manager", "secrets", "/v1/secrets/{id}", "secret_ref"),
        d("dns", "dns_zones", "/v2/zones/{id}", also=_take("dns_records", _of("zone_id"))),
        d("dns", "dns_records", "/v2/zones/{parent}/recordsets/{id}", needs={"parent": "zone_id"}),
    )  # fmt: skip


def _peer(other: Row, row: Row) -> bool:
    return row["id"] in (other["request_vpc_info"]["vpc_id"], other["accept_vpc_info"]["vpc_id"])


def _own_tables(rows: Rows, row: Row) -> bool:
    return any(o["vpc_id"] == row["id"] and not o.get("default") for o in rows.get("route_tables", []))


DELETES: tuple[Delete, ...] = _deletes()


def path_pattern(service: str, path: str) -> re.Pattern[str]:
    """A path with {p}, {parent} and {id} as a regular expression."""
    text = re.escape(f"/{service}{path}")
    for name, group in (("p", "project"), ("parent", "parent"), ("id", "id")):
        text = text.replace(rf"\{{{name}\}}", rf"(?P<{group}>[^/]+)")
    return re.compile(text + "/?$")


_PATTERNS = [(one, path_pattern(one.service, one.path)) for one in DELETES]


@dataclass(frozen=True)
class Change:
    """A call that sets something of a row: what it sets, from the row and the body. method: of the call."""

    method: str
    service: str
    kind: str
    path: str
    id_field: str
    set: Callable[[Row, Any], bool]


def _scale(row: Row, body: Any) -> bool:
    told = {"pause": "PAUSED", "resume": "INSERVICE"}.get(body.get("action"))
    if told is not None:
        row["scaling_group_status"] = told
    return told is not None


def _schedule(row: Row, body: Any) -> bool:
    row["scheduled_policy"] = {**row["scheduled_policy"], **body["scheduled_policy"]}
    return True


def _operations(row: Row, body: Any) -> bool:
    told = {one["id"]: one["enabled"] for one in body["policy"]["scheduled_operations"]}
    for one in row.get("scheduled_operations", []):
        one["enabled"] = told.get(one["id"], one["enabled"])
    return True


def _unbind(row: Row, body: Any) -> bool:
    row["port_id"] = body["publicip"].get("port_id", "")
    return True


def _tables(row: Row, body: Any) -> bool:
    gone = body["routetable"]["subnets"]["disassociate"]
    row["subnets"] = [one for one in row["subnets"] if one["id"] not in gone]
    return True


def _update(key: str) -> Callable[[Row, Any], bool]:
    def change(row: Row, body: Any) -> bool:
        row.update(body[key])
        return True

    return change


def _stop_group(row: Row, body: Any) -> bool:
    row["status"] = "available"
    return "stop-server-group" in body


_SCALING = "/autoscaling-api/v1/{p}/scaling_group/{id}/action"
CHANGES: tuple[Change, ...] = (
    Change("POST", "as", "scaling_groups", _SCALING, "scaling_group_id", _scale),
    Change("PUT", "vbs", "volume_backup_policies", "/v2/{p}/backuppolicy/{id}", "backup_policy_id", _schedule),
    Change("PUT", "csbs", "server_backup_policies", "/v1/{p}/policies/{id}", "id", _operations),
    Change("PUT", "cbr", "vault_policies", "/v3/{p}/policies/{id}", "id", _update("policy")),
    Change("PUT", "elb", "elb_members", "/v3/{p}/elb/pools/{parent}/members/{id}", "id", _update("member")),
    Change("PUT", "vpc", "public_ips", "/v1/{p}/publicips/{id}", "id", _unbind),
    Change("PUT", "vpc", "vpcs", "/v1/{p}/vpcs/{id}", "id", _update("vpc")),
    Change("POST", "vpc", "route_tables", "/v1/{p}/routetables/{id}/action", "id", _tables),
    Change("POST", "sdrs", "protection_groups", "/v1/{p}/server-groups/{id}/action", "id", _stop_group),
)  # fmt: skip
_CHANGE_PATTERNS = [(one, path_pattern(one.service, one.path)) for one in CHANGES]
SINGLE = {"dns_zones": ("dns", "/v2/zones/{id}", "id"), "secrets": ("key-manager", "/v1/secrets/{id}", "secret_ref")}
"""Kinds whose objects are also shown one at a time, by themselves: service, path, what ends with the id."""

BELOW: dict[str, tuple[str, str]] = {
    # what hangs on one object and is no object of the estate: path, key
    "sdrs replications": ("/v1/{p}/replications", "replications"),
    "sdrs protected-instances": ("/v1/{p}/protected-instances", "protected_instances"),
    "elb listeners": ("/v1.0/{p}/elbaas/listeners", ""),
    "elb l7policies": ("/v3/{p}/elb/l7policies", "l7policies"),
}


@dataclass
class Told:
    """What a call came to. removed: a row that is gone now, for lists that are behind."""

    status: int
    body: Any = None
    code: str = ""
    said: str = ""
    kind: str = ""
    service: str = ""
    removed: Row | None = None


class Changes:
    """The state beside the rows: jobs, rows that old lists still show, what is in buckets."""

    def __init__(self) -> None:
        self.jobs: dict[str, int] = {}
        self.stores: dict[str, Bucket] = {}
        self.ghosts: list[tuple[str, str, Row, list[int]]] = []
        """Project, kind, row, and in how many more lists it is shown."""

    def meant(self, method: str, path: str) -> tuple[str, str] | None:
        """Service and kind of a call that changes something; None where it is none of these."""
        for one, regex in _PATTERNS if method == "DELETE" else ():
            if regex.match(path):
                return one.service, one.kind
        for change, regex in _CHANGE_PATTERNS:
            if change.method == method and regex.match(path):
                return change.service, change.kind
        if method == "POST" and path.endswith("/kms/schedule-key-deletion"):
            return "kms", "keys"
        if method == "DELETE" and re.match(r"^/cts/v1\.0/[^/]+/tracker/?$", path):
            return "cts", "trackers"
        return None

    def make(self, method: str, path: str, query: Mapping[str, str], body: Any, rows: Rows) -> Told:
        """Do it."""
        if method == "POST" and path.endswith("/kms/schedule-key-deletion"):
            return self._key(body, rows)
        if method == "DELETE" and path.startswith("/cts/"):
            rows["trackers"] = []
            return Told(204)
        for one, regex in _PATTERNS if method == "DELETE" else ():
            match = regex.match(path)
            if match:
                return self._delete(one, match.groupdict(), query, rows)
        for change, regex in _CHANGE_PATTERNS:
            match = regex.match(path)
            if match and change.method == method:
                return self._set(change, match.groupdict()["id"], body, rows)
        return Told(404)

    def _set(self, change: Change, ident: str, body: Any, rows: Rows) -> Told:
        row = next((one for one in rows.get(change.kind, []) if dig(one, change.id_field) == ident), None)
        if row is None:
            return Told(404, code=f"{change.service.upper()}.0404", said="not found")
        try:
            taken = change.set(row, body)
        except (KeyError, TypeError, AttributeError):
            taken = False
        return Told(200, {}) if taken else Told(400, code=f"{change.service.upper()}.0400", said="bad body")

    def _delete(self, one: Delete, named: Mapping[str, str], query: Mapping[str, str], rows: Rows) -> Told:
        ident = named["id"]
        there = [row for row in rows.get(one.kind, []) if _is(one, row, ident)]
        there = [row for row in there if all(row.get(key) == named[group] for group, key in one.needs.items())]
        if not there:
            return Told(404, code=f"{one.service.upper()}.0404", said=f"{ident} could not be found")
        row = there[0]
        flags = {name: value for name, value in query.items() if name.startswith("delete_") and value != "false"}
        if flags or query.get("force_delete") == "yes" or query.get("instance_delete") == "yes":
            raise AssertionError(f"a delete takes others along: {query}")
        if one.blocked is not None and one.blocked(rows, row):
            return Told(409, code=f"{one.service.upper()}.0409", said=f"{ident} is in use")
        rows[one.kind] = [other for other in rows[one.kind] if other not in there]
        if one.also is not None:
            one.also(rows, row)
        if one.job:
            job = uuid.uuid4().hex
            self.jobs[job] = 2
            return Told(200, {"job_id": job}, kind=one.kind, service=one.service, removed=row)
        return Told(204, kind=one.kind, service=one.service, removed=row)

    def _key(self, body: Any, rows: Rows) -> Told:
        days = str((body or {}).get("pending_days", ""))
        row = next((one for one in rows.get("keys", []) if one["key_id"] == (body or {}).get("key_id")), None)
        if row is None:
            return Told(404, code="KMS.0206", said="The key does not exist")
        if not days.isdigit() or not 7 <= int(days) <= 1096:
            return Told(400, code="KMS.0402", said="pending_days")
        if row["key_state"] == "4":
            return Told(409, code="KMS.0210", said="The key is pending deletion")
        row["key_state"] = "4"
        return Told(200, {"key_id": row["key_id"], "key_state": "4"})

    def job(self, path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        """The state of a job: RUNNING for a while; None where the path is none of a job."""
        match = re.search(r"/jobs/?([^/]*)$", path)
        ident = (match[1] if match else "") or query.get("id", "")
        if match is None or ident not in self.jobs:
            return None
        self.jobs[ident] -= 1
        status = "SUCCESS" if self.jobs[ident] <= 0 else "RUNNING"
        if path.startswith("/rds/"):
            return {"job": {"id": ident, "status": {"SUCCESS": "Completed"}.get(status, "Running")}}
        return {"job_id": ident, "status": status}

    def below(self, path: str) -> Any:
        """An empty list of what may hang on an object; None where the path is none of these."""
        for name, (where, key) in BELOW.items():
            if path_pattern(name.partition(" ")[0], where).match(path):
                return {key: []} if key else []
        if re.search(r"/stacks/[^/]+/[^/]+/resources/?$", path):
            return {"resources": []}
        return None

    def seen(self, project: str, kind: str, rows: list[Row]) -> list[Row]:
        """The rows of a list, with those that it still shows although they are gone."""
        shown = list(rows)
        for ghost in [one for one in self.ghosts if one[0] == project and one[1] == kind]:
            ghost[3][0] -= 1
            if ghost[3][0] < 0:
                self.ghosts.remove(ghost)
            elif ghost[2] not in shown:
                shown.append(ghost[2])
        return shown


def _is(one: Delete, row: Row, ident: str) -> bool:
    found = dig(row, one.id_field)
    if one.kind == "secrets":
        found = str(found).rpartition("/")[2]
    return found == ident or (one.kind == "functions" and str(found).removesuffix(":latest") == ident)


@dataclass
class Bucket:
    """What is in a bucket: versions (key, version, whether it is a delete marker), uploads, policy."""

    versions: list[tuple[str, str, bool]] = field(default_factory=list)
    uploads: list[tuple[str, str]] = field(default_factory=list)
    written: str = "2026-01-01T00:00:00.000Z"

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Bucket:
        """As many objects as the row says; with versions, an old one and a marker too. One upload was begun."""
        keys = [f"object-{number:06}" for number in range(int(row["objects"]))]
        kept = row.get("versioning") == "Enabled"
        made = [(key, f"v-{key}" if kept else "null", False) for key in keys]
        if kept:
            made += [("object-000000", "v-old", False), ("deleted & <gone>", "v-marker", True)]
        return cls(sorted(made), [("half done", "upload-1")])

    def page(self, query: Mapping[str, str]) -> str:
        """ListObjectVersions."""
        size = min(int(query.get("max-keys", 1000)), 1000)
        after = (query.get("key-marker", ""), query.get("version-id-marker", "\uffff"))
        rest = [one for one in self.versions if (one[0], one[1]) > after] if query.get("key-marker") else self.versions
        page, more = rest[:size], len(rest) > size
        text = "".join(
            f"<{tag}><Key>{_escape(key)}</Key><VersionId>{version}</VersionId>"
            f"<LastModified>{self.written}</LastModified></{tag}>"
            for key, version, marker in page
            for tag in ("DeleteMarker" if marker else "Version",)
        )
        following = ""
        if more:
            key, version, dummy = page[-1]
            following = (
                f"<NextKeyMarker>{_escape(key)}</NextKeyMarker><NextVersionIdMarker>{version}</NextVersionIdMarker>"
            )
        told = f"<IsTruncated>{str(more).lower()}</IsTruncated>{following}{text}"
        return f"<ListVersionsResult>{told}</ListVersionsResult>"

    def begun(self) -> str:
        """ListMultipartUploads."""
        text = "".join(f"<Upload><Key>{key}</Key><UploadId>{ident}</UploadId></Upload>" for key, ident in self.uploads)
        return f"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{text}</ListMultipartUploadsResult>"

    def delete(self, key: str, version: str) -> None:
        """One version; without a version where there are none, the object."""
        gone = {version or "null"}
        self.versions = [one for one in self.versions if one[0] != key or one[1] not in gone]

    def delete_many(self, raw: bytes) -> None:
        """DeleteObjects."""
        gone = set()
        for entry in ElementTree.fromstring(raw).iter("Object"):
            version = entry.findtext("VersionId") or "null"
            gone.add((entry.findtext("Key"), version))
        self.versions = [one for one in self.versions if (one[0], one[1]) not in gone]


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def policy(raw: bytes) -> Any:
    """The policy in a body; None where it is none."""
    try:
        return json.loads(raw)
    except ValueError:
        return None
