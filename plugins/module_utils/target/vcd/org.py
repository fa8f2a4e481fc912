# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an organisation has: virtual data centers with what fits into them, catalogs, storage profiles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import query, tasks, wire, xml
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.xml import el

CATALOG = "application/vnd.vmware.admin.catalog+xml"


@dataclass(frozen=True)
class Profile:
    """A storage profile in a VDC; sizes in MiB, limit 0: none."""

    name: str
    href: str
    enabled: bool = True
    default: bool = False
    limit_mib: int = 0
    used_mib: int = 0

    @property
    def free_mib(self) -> int | None:
        """What is left; None where there is no limit."""
        return max(0, self.limit_mib - self.used_mib) if self.limit_mib else None


@dataclass(frozen=True)
class Vdc:
    """A virtual data center: what machines in it can use."""

    href: str
    name: str
    enabled: bool
    hardware_versions: tuple[int, ...]
    networks: Mapping[str, str]
    vapps: Mapping[str, str]
    profiles: Mapping[str, Profile]
    vm_quota: int
    links: tuple[xml.Link, ...]

    @property
    def uuid(self) -> str:
        """Its id."""
        return tasks.uuid_of(self.href)

    @property
    def urn(self) -> str:
        """Its id as the newer interface wants it."""
        return f"urn:vcloud:vdc:{self.uuid}"

    def hardware_version(self, wanted: int = 0) -> int:
        """The hardware version for a machine: `wanted`, or the newest up to 21. Refused where there is none."""
        known = self.hardware_versions
        best = wanted or max((one for one in known if one <= 21), default=0) or 19
        if known and best not in known:
            raise Refused(
                f"the VDC {self.name} does not know the hardware version vmx-{best:02d}",
                cause=f"it has {', '.join(f'vmx-{one:02d}' for one in known)}",
            )
        return best

    def profile(self, name: str = "") -> Profile:
        """A storage profile by name; "" is the default. InvalidInput with those that there are."""
        if name in self.profiles:
            found: Profile | None = self.profiles[name]
        else:
            found = None if name else next((one for one in self.profiles.values() if one.default), None)
            if found is None and not name and len(self.profiles) == 1:
                found = next(iter(self.profiles.values()))
        if found is None or not found.enabled:
            there = ", ".join(sorted(key for key, one in self.profiles.items() if one.enabled)) or "none"
            message = f"{name!r} is not one of the VDC {self.name}: {there}" if name else f"give one of {there}"
            raise InvalidInput("the storage profile is not there", [Problem("storage_profile", message)])
        return found


def vdc(session: Session, name: str) -> Vdc:
    """A VDC of the organisation by name. Raises NotFound with those that there are, Conflict for two."""
    what = f"cannot use the VDC {name}"
    rows = query.records(session, "orgVdc", what)
    found = [row for row in rows if row.get("name") == name and row.get("orgName", session.who.org) == session.who.org]
    if not found:
        there = ", ".join(sorted(row.get("name", "") for row in rows)) or "none"
        raise NotFound(what, cause=f"the organisation {session.who.org} has no VDC of that name (it has {there})")
    if len(found) > 1:
        raise Conflict(what, cause="there are several of that name")
    path = wire.path_of(found[0].get("href", ""), what).replace("/api/admin/vdc/", "/api/vdc/")
    tree = session.read(path, what)
    return Vdc(
        href=path,
        name=name,
        enabled=xml.text(tree, "IsEnabled") != "false",
        hardware_versions=_hardware(tree),
        networks=_named(tree, "AvailableNetworks", "Network"),
        vapps={
            xml.attribute(one, "name"): xml.attribute(one, "href")
            for one in _each(tree, "ResourceEntities", "ResourceEntity")
            if xml.attribute(one, "type").startswith("application/vnd.vmware.vcloud.vApp+")
        },
        profiles=_profiles(session, tree, path, what),
        vm_quota=xml.number(tree, "VmQuota"),
        links=tuple(xml.links(tree)),
    )


def _each(tree: xml.Tree, *path: str) -> list[xml.Tree]:
    inside = xml.child(tree, *path[:-1])
    return xml.children(inside, path[-1]) if inside is not None else []


def _named(tree: xml.Tree, *path: str) -> dict[str, str]:
    return {xml.attribute(one, "name"): xml.attribute(one, "href") for one in _each(tree, *path)}


def _hardware(tree: xml.Tree) -> tuple[int, ...]:
    texts = [
        (one.text or "") for one in _each(tree, "Capabilities", "SupportedHardwareVersions", "SupportedHardwareVersion")
    ]
    found = [re.fullmatch(r"\s*vmx-([0-9]{1,3})\s*", text) for text in texts]
    return tuple(sorted({int(one[1]) for one in found if one}))


def _profiles(session: Session, tree: xml.Tree, path: str, what: str) -> dict[str, Profile]:
    """Those of the VDC, with limit and use from the query service."""
    links = _named(tree, "VdcStorageProfiles", "VdcStorageProfile")
    uuid = tasks.uuid_of(path)
    rows = query.records(session, "orgVdcStorageProfile", what)
    known = {row.get("name", ""): row for row in rows if tasks.uuid_of(row.get("vdc", "")) in (uuid, "")}
    found = {}
    for name, href in links.items():
        row = known.get(name, {})
        found[name] = Profile(
            name,
            href,
            enabled=row.get("isEnabled", "true") != "false",
            default=row.get("isDefaultStorageProfile", "false") == "true",
            limit_mib=xml.whole(row.get("storageLimitMB", "0")),
            used_mib=xml.whole(row.get("storageUsedMB", "0")),
        )
    return found


def check_space(place: Vdc, wanted: Mapping[str, int], *, copies: int = 2) -> None:
    """Raise InvalidInput where profiles have less room than `wanted` (bytes by profile name, "" the default).

    copies: a template and the machine made from it are there at the same time.
    """
    sums: dict[str, int] = {}
    for name, size in wanted.items():
        profile = place.profile(name)
        sums[profile.name] = sums.get(profile.name, 0) + size * copies
    problems = []
    for name, size in sorted(sums.items()):
        free = place.profiles[name].free_mib
        if free is not None and size > free << 20:
            problems.append(
                Problem(name, f"{free >> 10} GiB are free, {-(-size >> 30)} GiB are needed (template and machine)")
            )
    if problems:
        raise InvalidInput(
            f"the VDC {place.name} has not enough storage",
            problems,
            hint="Raise the limit of the storage profile (cloudavenue_vdc, or in the portal), or choose another.",
        )


def organisation(session: Session) -> tuple[str, str]:
    """(href, name) of the organisation of the session."""
    what = f"cannot read the organisation {session.who.org}"
    tree = session.read("/api/org", what)
    for one in xml.children(tree, "Org"):
        if xml.attribute(one, "name").lower() == session.who.org.lower():
            return wire.path_of(xml.attribute(one, "href"), what), xml.attribute(one, "name")
    raise NotFound(what, cause="it is not among those that this user sees")


def find_catalog(session: Session, name: str) -> str:
    """The href of a catalog of the organisation, "" where there is none; those that others share do not count."""
    what = f"cannot look for the catalog {name}"
    rows = [row for row in query.records(session, "catalog", what, where={"name": name}) if row.get("name") == name]
    own = [row for row in rows if row.get("orgName", session.who.org).lower() == session.who.org.lower()]
    if len(own) > 1:
        raise Conflict(what, cause="there are several of that name")
    return wire.path_of(own[0].get("href", ""), what).replace("/api/admin/catalog/", "/api/catalog/") if own else ""


def ensure_catalog(
    session: Session, name: str, *, description: str = "", profile: Profile | None = None
) -> tuple[str, bool]:
    """(href, whether it was made) of a catalog. Its templates are billed storage: they are removed after use."""
    found = find_catalog(session, name)
    if found:
        return found, False
    what = f"cannot make the catalog {name}"
    href, dummy = organisation(session)
    place = xml.link(session.read(href, what), "add", CATALOG) or f"/api/admin/org/{tasks.uuid_of(href)}/catalogs"
    storage = None
    if profile:
        storage = el(
            "CatalogStorageProfiles", el("VdcStorageProfile", href=session.base + wire.path_of(profile.href, what))
        )
    body = el("AdminCatalog", el("Description", description), storage, name=name)
    try:
        answer, dummy_tasks = tasks.run(session, "POST", place, what, body=body, content_type=CATALOG)
    except Conflict:
        found = find_catalog(session, name)  # another process was quicker
        if not found:
            raise
        tasks.settled(session, found, what)
        return found, False
    made = wire.path_of(xml.attribute(answer.xml(), "href"), what).replace("/api/admin/catalog/", "/api/catalog/")
    tasks.settled(session, made, what)
    return made, True


def remove_catalog(session: Session, href: str) -> bool:
    """Remove a catalog with what is in it; False when it was gone."""
    what = "cannot remove the catalog"
    try:
        path = f"/api/admin/catalog/{tasks.uuid_of(href)}?recursive=true&force=true"
        tasks.run(session, "DELETE", path, what)
    except NotFound:
        return False
    return True
