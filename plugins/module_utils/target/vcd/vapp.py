# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vApps: the boxes that machines are in, their networks, and machines made from a template into them.

A vApp takes one task at a time, and its networks are replaced as a whole: so each change is made under its lock, on
what was read a moment ago.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    InvalidInput,
    NotFound,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    query,
    tasks,
    wire,
    xml,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    spec as specs,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    vm as vms,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.org import Vdc
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.spec import VmSpec
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.template import Template
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.vm import Vm
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.xml import Node, el

COMPOSE = "application/vnd.vmware.vcloud.composeVAppParams+xml"
RECOMPOSE = "application/vnd.vmware.vcloud.recomposeVAppParams+xml"
NETWORKS = "application/vnd.vmware.vcloud.networkConfigSection+xml"
LEASES = "application/vnd.vmware.vcloud.leaseSettingsSection+xml"
UNDEPLOY = "application/vnd.vmware.vcloud.undeployVAppParams+xml"
WRITES = 4
"""How often networks are written that another host's write takes away again."""


@dataclass(frozen=True)
class VApp:
    """A vApp as it is. networks: {name: href of the organisation's network, "" for one of its own}."""

    href: str
    name: str
    description: str
    status: int
    deployed: bool
    vms: tuple[Vm, ...]
    networks: Mapping[str, str]
    leases: tuple[int, int]
    tree: xml.Tree = field(repr=False, compare=False)

    @property
    def uuid(self) -> str:
        """Its id."""
        return tasks.uuid_of(self.href)

    def machine(self, name: str) -> Vm | None:
        """The machine of that name in it."""
        return next((one for one in self.vms if one.name == name), None)


def of(tree: xml.Tree) -> VApp:
    """A vApp from its element."""
    inside = xml.child(tree, "Children")
    section = xml.child(tree, "NetworkConfigSection")
    configs = xml.children(section, "NetworkConfig") if section is not None else []
    leases = xml.child(tree, "LeaseSettingsSection")
    return VApp(
        href=xml.attribute(tree, "href"),
        name=xml.attribute(tree, "name"),
        description=xml.text(tree, "Description"),
        status=xml.whole(xml.attribute(tree, "status"), 0),
        deployed=xml.attribute(tree, "deployed") == "true",
        vms=tuple(vms.of(one) for one in (xml.children(inside, "Vm") if inside is not None else [])),
        networks={
            xml.attribute(one, "networkName"): xml.attribute(xml.child(one, "Configuration", "ParentNetwork"), "href")
            for one in configs
            if xml.attribute(one, "networkName") != "none"
        },
        leases=(xml.number(leases, "DeploymentLeaseInSeconds"), xml.number(leases, "StorageLeaseInSeconds")),
        tree=tree,
    )


def get(session: Session, href: str) -> VApp:
    """A vApp by its href. Raises NotFound."""
    return of(session.read(href, f"cannot read the vApp {tasks.uuid_of(href)}"))


def find(session: Session, place: Vdc, name: str) -> VApp | None:
    """The vApp of that name in a VDC. Raises Conflict for several."""
    what = f"cannot look for the vApp {name}"
    rows = query.records(session, "vApp", what, where={"name": name})
    found = [row for row in rows if row.get("name") == name and tasks.uuid_of(row.get("vdc", "")) in ("", place.uuid)]
    if len(found) > 1:
        raise Conflict(what, cause=f"there are {len(found)} of that name in the VDC {place.name}")
    if not found:
        return None
    try:
        return get(session, found[0].get("href", ""))
    except (NotFound, Refused) as error:
        reason = wire.said(error)
        if reason is not None and reason.status in (403, 404):
            return None  # removed in between
        raise


def ensure(session: Session, place: Vdc, name: str, *, description: str = "") -> tuple[VApp, bool]:
    """(vApp, whether it was made): empty, switched off, with leases that never end."""
    with session.lock("vApp", f"{place.uuid} {name}"):
        found = find(session, place, name)
        made = found is None
        if found is None:
            what = f"cannot make the vApp {name}"
            body = el("ComposeVAppParams", el("Description", description), name=name, deploy=False, powerOn=False)
            try:
                answer, dummy = tasks.run(
                    session, "POST", f"{place.href}/action/composeVApp", what, body=body, content_type=COMPOSE
                )
                href = xml.attribute(answer.xml(), "href")
            except Conflict:
                other = find(session, place, name)  # a reader host was quicker: the lock is of this host alone
                if other is None:
                    raise
                made, href = False, other.href
            found = of(tasks.settled(session, href, what))
        changed = never_expires(session, found)
    return (get(session, found.href) if changed else found), made or changed


def never_expires(session: Session, vapp: VApp) -> bool:
    """Have its leases never end, so that it is neither stopped nor removed by itself; whether that changed."""
    if vapp.leases == (0, 0):
        return False
    what = f"cannot set the leases of {vapp.name}"
    body = el(
        "LeaseSettingsSection",
        el("ovf:Info", "Leases"),
        el("DeploymentLeaseInSeconds", 0),
        el("StorageLeaseInSeconds", 0),
        at={"ovf:required": False},
    )
    path = f"{wire.path_of(vapp.href, what)}/leaseSettingsSection/"
    tasks.run(session, "PUT", path, what, body=body, content_type=LEASES)
    return True


def missing_networks(vapp: VApp, wanted: Mapping[str, str]) -> dict[str, str]:
    """Networks of the organisation ({name: href}) that are not in it. Conflict where a name means another network."""
    for name, href in wanted.items():
        there = vapp.networks.get(name)
        if there is not None and tasks.uuid_of(there) != tasks.uuid_of(href):
            raise Conflict(
                f"the network {name} of the vApp {vapp.name} is another one than the plan's",
                cause=f"it hangs on {there or 'nothing'}",
            )
    return {name: href for name, href in wanted.items() if name not in vapp.networks}


def ensure_networks(session: Session, vapp: VApp, wanted: Mapping[str, str]) -> bool:
    """Have networks of the organisation ({name: href}) in it; those that are there stay. Whether any was missing.

    The section is replaced as a whole, without a version, and the lock is of this host alone: so it is read again after
    each write, and what another host's write took away, or what the server refused for it, is written again.
    """
    what = f"cannot add networks to the vApp {vapp.name}"
    if not missing_networks(vapp, wanted):
        return False
    with session.lock("vApp", vapp.uuid):
        for number, pause in enumerate(session.pace.pauses(1.0, 10.0)):
            now = of(tasks.settled(session, vapp.href, what))
            missing = missing_networks(now, wanted)
            if not missing:
                return number > 0
            if number == WRITES:
                raise Conflict(what, cause="what is added is taken away again and again", retryable=True)
            try:
                _add_networks(session, now, missing, what)
            except CloudExitError:
                if of(tasks.settled(session, vapp.href, what)).networks == now.networks:
                    raise
                session.pace.sleep(pause)
    raise AssertionError("pauses do not end")


def _add_networks(session: Session, vapp: VApp, missing: Mapping[str, str], what: str) -> None:
    section = xml.child(vapp.tree, "NetworkConfigSection")
    node = xml.copied(section) if section is not None else el("NetworkConfigSection", el("ovf:Info", "Networks"))
    node.attributes = {"ovf:required": "false"}
    node.children = [one for one in node.children if one.attributes.get("networkName") != "none"]
    node.children += [_bridged(session, name, href) for name, href in sorted(missing.items())]
    path = f"{wire.path_of(vapp.href, what)}/networkConfigSection/"
    tasks.run(session, "PUT", path, what, body=node, content_type=NETWORKS)


def _bridged(session: Session, name: str, href: str) -> Node:
    parent = session.base + wire.path_of(href, f"cannot use the network {name}")
    return el(
        "NetworkConfig",
        el(
            "Configuration",
            el("ParentNetwork", href=parent.replace("/api/admin/network/", "/api/network/")),
            el("FenceMode", "bridged"),
            el("RetainNetInfoAcrossDeployments", False),
        ),
        networkName=name,
    )


def add_machine(
    session: Session,
    vapp: VApp,
    source: Template,
    spec: VmSpec,
    *,
    storage_profile: str = "",
    timeout: float = 4 * 3600.0,
) -> Vm:
    """Make a machine from the template's (only) machine in a vApp; switched off, not customised.

    spec.description should name the workload (`vm.stamp`): it is there from the first moment on. storage_profile: href.
    Raises Conflict when the name is taken in the vApp.
    """
    what = f"cannot make {spec.name} in the vApp {vapp.name}"
    problems = specs.problems(spec)
    if problems:
        raise InvalidInput(f"the machine {spec.name} cannot be made", problems)
    if len(source.vms) != 1:
        raise Conflict(what, cause=f"the template {source.name} has {len(source.vms)} machines instead of one")
    with session.lock("vApp", vapp.uuid):
        now = of(tasks.settled(session, vapp.href, what))
        if now.machine(spec.name) is not None:
            raise Conflict(what, cause="the vApp has a machine of that name already")
        item = el(
            "SourcedItem",
            el("Source", href=session.base + wire.path_of(source.vms[0], what), name=spec.name),
            el(
                "VmGeneralParams",
                el("Name", spec.name),
                el("Description", spec.description),
                el("NeedsCustomization", False),
            ),
            el(
                "InstantiationParams",
                vms.network_section(spec.nics),
                vms.no_customization(spec.computer_name),
            ),
            *[
                el("NetworkAssignment", innerNetwork=name, containerNetwork=name)
                for name in dict.fromkeys(nic.network for nic in spec.nics if nic.network)
            ],
            el("StorageProfile", href=session.base + wire.path_of(storage_profile, what)) if storage_profile else None,
        )
        body = el("RecomposeVAppParams", item, el("AllEULAsAccepted", True))
        path = f"{wire.path_of(vapp.href, what)}/action/recomposeVApp"
        tasks.run(session, "POST", path, what, body=body, content_type=RECOMPOSE, timeout=timeout)
        made = of(tasks.settled(session, vapp.href, what)).machine(spec.name)
    if made is None:
        raise NotFound(what, cause="the task succeeded, but the machine is not there", retryable=True)
    return vms.get(session, made.href)


def delete(session: Session, vapp: VApp, *, timeout: float = 1800.0) -> bool:
    """Remove a vApp with all that is in it; it is switched off first. False when it was gone."""
    what = f"cannot remove the vApp {vapp.name}"
    path = wire.path_of(vapp.href, what)
    try:
        with session.lock("vApp", vapp.uuid):
            now = of(tasks.settled(session, vapp.href, what))
            if now.deployed:
                body = el("UndeployVAppParams", el("UndeployPowerAction", "powerOff"))
                undeploy = f"{path}/action/undeploy"
                tasks.run(session, "POST", undeploy, what, body=body, content_type=UNDEPLOY, timeout=timeout)
            tasks.run(session, "DELETE", path, what, timeout=timeout)
    except NotFound:
        return False
    return True
