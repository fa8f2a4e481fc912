# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the services of Flexible Engine are: `https://<host>.<region>.<suffix>`.

The catalogue of Keystone lacks services and names others by several types, so this table is what is gone by where the
catalogue says nothing. Paths of Flexible Engine's listings begin with the version (`/v1/{project_id}/vpcs`), since one
host serves several: an endpoint of these services is the *root* of its host, `root()` of what a catalogue says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

IAM = "iam"
_HOST = re.compile(r"^iam\.(?:(?P<region>[a-z]{2,}-[a-z]+-\d+)\.)?(?P<suffix>[a-z0-9-]+(?:\.[a-z0-9-]+)+)$")
_VERSION = re.compile(r"^v\d+(?:\.\d+)?$", re.IGNORECASE)
_BEFORE_VERSION = {"autoscaling-api": "as.", "api": "cce.", "rds": "rds."}
"""What these hosts put before the version; the paths of listings have it."""


@dataclass(frozen=True)
class Row:
    """A service: what its host begins with, whether there is one a region, the catalogue types that it may have."""

    service: str
    host: str
    types: tuple[str, ...]
    regional: bool = True


def _rows() -> tuple[Row, ...]:
    r = Row
    return (
        r("iam", "iam", ("iam",)),
        r("ecs", "ecs", ("ecs", "ecsv1")),
        r("bms", "bms", ("bms",)),
        r("deh", "deh", ("deh",)),
        r("evs", "evs", ("evs",)),
        r("vbs", "vbs", ("vbs", "vbsv2")),
        r("csbs", "csbs", ("csbs", "data-protect")),
        r("cbr", "cbr", ("cbr", "cbrv3")),
        r("sdrs", "sdrs", ("sdrs",)),
        r("ims", "ims", ("ims",)),
        r("vpc", "vpc", ("vpc", "vpcv1")),
        r("vpcep", "vpcep", ("vpcep",)),
        r("nat", "nat", ("nat", "natv2")),
        r("elb", "elb", ("elb", "elbv1", "elbv3")),
        r("rds", "rds", ("rds", "rdsv3")),
        r("dds", "dds", ("dds", "ddsv3")),
        r("nosql", "gaussdb-nosql", ("gaussdb-nosql", "nosql")),
        r("ddm", "ddm", ("ddm",)),
        r("dcs", "dcs", ("dcs", "dcsv1", "dcsv2")),
        r("dms", "dms", ("dms", "dmsv1", "dmsv2")),
        r("cce", "cce", ("cce", "ccev2.0")),
        r("swr", "swr-api", ("swr", "swrv2")),
        r("as", "as", ("as", "asv1")),
        r("sfs", "sfs", ("sfs", "sharev2")),
        r("sfs_turbo", "sfs-turbo", ("sfs-turbo", "sfsturbo")),
        r("obs", "oss", ("obs", "object", "oss")),
        r("kms", "kms", ("kms", "kmsv1")),
        r("ces", "ces", ("ces", "cesv1")),
        r("cts", "cts", ("cts", "ctsv2")),
        r("smn", "smn", ("smn", "smnv2")),
        r("lts", "lts", ("lts",)),
        r("fgs", "fgs", ("fgs", "functiongraph")),
        r("css", "css", ("css",)),
        r("mrs", "mrs", ("mrs",)),
        r("dws", "dws", ("dws", "dwsv1")),
        r("waf", "waf", ("waf",)),
        r("eps", "eps", ("eps",), False),
        r("tms", "tms", ("tms",), False),
        r("rts", "rts", ("rts",)),
    )


TABLE: dict[str, Row] = {row.service: row for row in _rows()}
"""The services that are read, by the name that kinds have for them; `iam` is for temporary keys."""

UNREAD: dict[str, tuple[str, ...]] = {
    "anti-ddos": ("antiddos", "anti-ddos"),
    "aom": ("aom",),
    "apig": ("apig",),
    "cse": ("cse",),
    "dcaas": ("dcaas",),
    "dis": ("dis", "disv2"),
    "dli": ("dli",),
    "drs": ("drs",),
    "mls": ("mls",),
    "modelarts": ("modelarts",),
    "premium-waf": ("premium-waf",),
    "sms": ("sms",),
}
"""Services that Flexible Engine may have and that nothing here lists, with their catalogue types: for the probes."""

OPENSTACK: dict[str, tuple[str, str, bool]] = {
    "compute": ("ecs", "/v2.1/{project_id}", True),
    "block_storage": ("evs", "/v3/{project_id}", True),
    "image": ("ims", "/v2", True),
    "network": ("vpc", "/v2.0", True),
    "load_balancer": ("elb", "/v2.0", True),
    "dns": ("dns", "/v2", False),
    "orchestration": ("rts", "/v1/{project_id}", True),
}
"""Where the OpenStack services are: host, path, and whether there is one a region."""


@dataclass(frozen=True)
class Place:
    """Where a cloud of the family is. region: empty where the URL names none. suffix: the domain of the cloud."""

    region: str
    suffix: str


def place(auth_url: str) -> Place | None:
    """The cloud that an identity URL (`https://iam.<region>.<suffix>/v3`) is of; None where it is of no such family."""
    try:
        host = (urlsplit(auth_url).hostname or "").lower()
    except ValueError:
        return None
    match = _HOST.match(host)
    return Place(match["region"] or "", match["suffix"]) if match else None


def url(service: str, auth_url: str, region: str = "") -> str | None:
    """The root of a service's host, without a slash at its end; None where it is not known.

    `region` wins over the one in `auth_url`: the identity service of one region serves all.
    """
    row = TABLE.get(service)
    return _host(row.host, auth_url, region, row.regional) if row else None


def openstack_url(service: str, auth_url: str, region: str, project_id: str) -> str | None:
    """The endpoint of an OpenStack service of Flexible Engine, version and project included; None where unknown."""
    if service not in OPENSTACK:
        return None
    host, path, regional = OPENSTACK[service]
    found = _host(host, auth_url, region, regional)
    return found + path.replace("{project_id}", project_id) if found else None


def unread_url(service: str, auth_url: str, region: str) -> str | None:
    """The root of the host of a service that nothing lists."""
    return _host("antiddos" if service == "anti-ddos" else service, auth_url, region, True)


def _host(host: str, auth_url: str, region: str, regional: bool) -> str | None:
    found = place(auth_url)
    if found is None or (regional and not (region or found.region)):
        return None
    return f"https://{host}.{region or found.region}.{found.suffix}" if regional else f"https://{host}.{found.suffix}"


def root(endpoint: str) -> str:
    """An endpoint without version, project and what follows them: what listing paths are appended to.

    `https://vpc.eu-west-0.example.com/v1/0d2c…` gives `https://vpc.eu-west-0.example.com`; a path before the version
    stays, as gateways put one there.
    """
    split = urlsplit(endpoint)
    kept: list[str] = []
    for part in split.path.split("/"):
        if _VERSION.match(part):
            break
        kept.append(part)
    else:
        return urlunsplit((split.scheme, split.netloc, split.path.rstrip("/"), "", ""))
    if kept[-1] in _BEFORE_VERSION and split.netloc.startswith(_BEFORE_VERSION[kept[-1]]):
        kept.pop()
    return urlunsplit((split.scheme, split.netloc, "/".join(kept).rstrip("/"), "", ""))
