# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only a live organisation can answer, asked with nothing but GET: for the first contact with one.

Names of rights are those of VMware's documentation of Cloud Director 10.6; a role may have others, or none that can be
read. What cannot be asked without changing something is a row too, and unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import CloudExitError
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.names import printable
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import (
    balancer,
    login,
    network,
    orange,
    org,
    query,
    wire,
    xml,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd.client import Session

Status = Literal["yes", "no", "unknown"]
"""yes, no: the server answered the question so; unknown: it could not be asked, or the answer does not tell."""

UPLOAD = "application/vnd.vmware.vcloud.uploadVAppTemplateParams+xml"
LOOKED_AT = 5
"""Machines and templates that are looked at for a link."""

RIGHTS: Sequence[tuple[str, str]] = (
    ("vApp Template / Media: Create / Upload", "uploading disks"),
    ("Catalog: Create / Delete a Catalog", "making the catalog for uploads"),
    ("vApp: Create / Reconfigure", "making vApps and machines"),
    ("vApp: Edit VM CPU", "the size of a machine"),
    ("vApp: Edit VM Memory", "the size of a machine"),
    ("vApp: Edit VM Hard Disk", "storage profiles of disks"),
    ("vApp: Edit VM Network", "cards and addresses"),
    ("vApp: Edit VM Properties", "name, description, guest system"),
    ("vApp: VM Boot Options", "firmware"),
    ("vApp: Power Operations", "starting and stopping"),
    ("vApp: Delete", "removing what was not finished"),
    ("vApp: Download", "reading disks back, which is the proof"),
    ("Organization vDC Network: Edit Properties", "prepare: networks"),
    ("Organization vDC Gateway: Configure Firewall", "prepare: rules of the edge"),
    ("Organization vDC Gateway: Configure NAT", "prepare: public addresses"),
    ("Organization vDC Gateway: Configure Static Routing", "prepare: routes"),
    ("Organization vDC Gateway: Configure Load Balancer", "load balancers"),
    ("Organization vDC Distributed Firewall: Configure Rules", "prepare: rules between networks"),
    ("VDC Group: Configure", "prepare: edge.vdc_group"),
)
"""Rights that a migration needs, and what for."""

TOKENS = "API Tokens: Manage"


@dataclass(frozen=True)
class Probe:
    """One question. of: the VDC, edge or group that it is about; asked: the calls; means: what follows from it."""

    probe: str
    question: str
    answer: str
    status: Status
    means: str
    of: str = ""
    asked: list[str] = field(default_factory=list)


# Answer, status, and what it means.
Said = tuple[str, Status, str]


def run(session: Session, cloud: orange.Orange | None) -> list[Probe]:
    """Ask everything. cloud: Orange's interface; None where the organisation is none of Cloud Avenue's."""
    return list(_Asker(session, cloud).rows())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _limit(number: int) -> str:
    return str(number) if number else "no limit"


class _Asker:
    def __init__(self, session: Session, cloud: orange.Orange | None) -> None:
        self._session = session
        self._cloud = cloud
        self._rights: set[str] | None = None

    def _row(self, probe: str, of: str, question: str, asked: str, ask: Callable[[], Said]) -> Probe:
        try:
            answer, status, means = ask()
        except CloudExitError as error:
            reason = wire.said(error)
            said = f"HTTP {reason.status} {reason.minor}".rstrip() if reason is not None else error.cause or str(error)
            answer, status = f"It cannot be read: {printable(said, 160).rstrip('.')}.", "unknown"
            means = "The user may not see it, or it is not there. Ask the administrator of the organisation."
        return Probe(probe, question, answer, status, means, printable(of), [one for one in asked.split("\n") if one])

    def rows(self) -> Iterator[Probe]:
        row = self._row
        yield row("versions", "", "Which versions of the interface are there?", "GET /api/versions", self._versions)
        current = f"GET {login.LOGIN}/current"
        yield row("session", "", "Who is logged in, how, and for how long?", current, self._who)
        rights = f"{current}\nGET /cloudapi/1.0.0/roles/{{id}}/rights"
        yield row("rights", "", "Has the user the rights that a migration needs?", rights, self._user_rights)
        yield row("api_tokens", "", "May the user log in with an API token?", rights, self._tokens)
        yield row("catalogs", "", "May the user make a catalog?", "GET /api/org/{id}", self._make_catalog)
        listed = "GET /api/query?type=catalog\nGET /api/catalog/{id}"
        yield row("upload", "", "May the user upload into a catalog?", listed, self._upload)
        looked = "GET /api/query?type=vm\nGET /api/query?type=vAppTemplate\nGET of some of them"
        yield row("download", "", "May the user download machines or templates?", looked, self._download)
        marks = "GET /api/query?type=vm\nGET /api/vApp/vm-{id}/metadata"
        yield row("metadata", "", "Can metadata of machines be read?", marks, self._metadata)
        yield row("firmware", "", "Can a machine with UEFI be told from one with BIOS?", "GET /api/versions", self._efi)
        for name in self._names("orgVdc"):
            yield from self._vdc(name)
        yield from self._edges()
        yield from self._groups()
        yield from self._orange()
        yield from self._not_asked()

    def _names(self, kind: str) -> list[str]:
        try:
            rows = query.records(self._session, kind, "cannot list what there is")
        except CloudExitError:
            return []
        return sorted({row.get("name", "") for row in rows if row.get("orgName", "") in ("", self._session.who.org)})

    # -- the session

    def _versions(self) -> Said:
        session = self._session
        answer = f"It offers {', '.join(session.versions[-8:])}; {session.version} is spoken."
        if session.older:
            return answer, "no", f"{session.older}. Moves work; tell what differs."
        return answer, "yes", "This is the version that this collection is made for."

    def _current(self) -> wire.Json:
        return self._session.get("sessions/current", "cannot read the session")

    def _who(self) -> Said:
        found, who = self._current(), self._session.who
        way = "a password" if who.password else "a service account" if who.token_file else "an API token"
        refs = wire.objects(found.get("roleRefs"))
        roles = ", ".join(printable(wire.ref(one)[1]) for one in refs) or "none that is told"
        idle = xml.whole(found.get("sessionIdleTimeoutMinutes"), 0)
        user = printable(wire.ref(found.get("user"))[1] or who.username)
        answer = f"{user}, with {way}; roles: {roles}; the session ends after {idle} minutes without a call."
        return answer, "yes", "Long transfers keep the session alive; when it ends all the same, they log in again."

    def _read_rights(self) -> set[str]:
        if self._rights is None:
            names: set[str] = set()
            for one in wire.objects(self._current().get("roleRefs")):
                path = f"roles/{wire.ref(one)[0]}/rights"
                rows = query.listed(self._session, path, "cannot list the rights of the role")
                names |= {wire.string(row.get("name")) for row in rows}
            self._rights = names
        return self._rights

    def _user_rights(self) -> Said:
        names = self._read_rights()
        if not names:
            return "No rights are told.", "unknown", "See the rows below, or have the role read by an administrator."
        lacking = [f"{name} ({purpose})" for name, purpose in RIGHTS if name not in names]
        if lacking:
            means = "Have these added to the role, or use another user. Compare names by hand where a role has others."
            return f"Of {len(RIGHTS)} it lacks {len(lacking)}: {'; '.join(lacking)}.", "no", means
        return f"All {len(RIGHTS)} are there, of {len(names)} in all.", "yes", "The user can migrate."

    def _tokens(self) -> Said:
        if not self._session.who.password:
            return "This session was made with a token.", "yes", "Use it: no password has to be kept anywhere."
        if TOKENS in self._read_rights():
            return f"The role has {TOKENS}.", "yes", "Make one in the portal and give it as api_token."
        return f"The role has no right {TOKENS}.", "no", "Log in with the password."

    # -- catalogs, machines

    def _make_catalog(self) -> Said:
        href, dummy = org.organisation(self._session)
        tree = self._session.read(href, "cannot read the organisation")
        if xml.link(tree, "add", org.CATALOG):
            return "Yes.", "yes", "The catalog for uploads is made when it is missing."
        return "No.", "no", "Have a catalog made, and name it in the plan (target.catalog)."

    def _upload(self) -> Said:
        rows = query.records(self._session, "catalog", "cannot list the catalogs")
        own = [
            row for row in rows if row.get("orgName", self._session.who.org).lower() == self._session.who.org.lower()
        ]
        if not own:
            return "There is no catalog of the organisation to look at.", "unknown", "The first upload tells."
        may = []
        for row in own[:LOOKED_AT]:
            path = wire.path_of(row.get("href", ""), "cannot read the catalog").replace("/api/admin/", "/api/")
            if xml.link(self._session.read(path, "cannot read the catalog"), "add", UPLOAD):
                may.append(printable(row.get("name", "")))
        if may:
            return f"Into {', '.join(may)}.", "yes", "Disks can be uploaded."
        return "Into none of those that were looked at.", "no", "Moves need the right to upload."

    def _download(self) -> Said:
        rows = query.records(self._session, "vm", "cannot list the machines", where={"isVAppTemplate": "false"})
        off = [row for row in rows if row.get("status") == "POWERED_OFF"]
        templates = query.records(self._session, "vAppTemplate", "cannot list the templates")
        looked = [*off[:LOOKED_AT], *templates[:LOOKED_AT]]
        for row in looked:
            tree = self._session.read(row.get("href", ""), "cannot read it")
            if any("enableDownload" in one.href or "disableDownload" in one.href for one in xml.links(tree)):
                return (
                    f"{printable(row.get('name', ''))} may be downloaded.",
                    "yes",
                    "Disks can be read back: the proof.",
                )
        if not looked:
            return "There is no machine that is off, and no template.", "unknown", "The first machine tells."
        return f"None of the {len(looked)} that were looked at offers it.", "no", "Without it no machine is proven."

    def _metadata(self) -> Said:
        rows = query.records(self._session, "vm", "cannot list the machines", where={"isVAppTemplate": "false"})
        means = "Whether it may be written shows with the first machine; its description names the workload until then."
        if not rows:
            return "There is no machine to look at.", "unknown", means
        path = wire.path_of(rows[0].get("href", ""), "cannot read the machine")
        tree = self._session.read(f"{path}/metadata", "cannot read the metadata")
        return f"Yes: {_count(len(xml.children(tree, 'MetadataEntry')), 'entry')}.", "yes", means

    def _efi(self) -> Said:
        if self._session.at_least("37.1"):
            return f"Version {self._session.version} shows it.", "yes", "The firmware of every machine is read back."
        return f"Version {self._session.version} does not show it.", "no", "Move servers with UEFI after a look at one."

    # -- virtual data centers

    def _vdc(self, name: str) -> Iterator[Probe]:
        what = f"cannot read the VDC {name}"
        row = self._row
        asked = "GET /api/query?type=orgVdc\nGET /api/vdc/{id}"
        try:
            place = org.vdc(self._session, name)
            tree = self._session.read(place.href, what)
        except CloudExitError as error:
            failed = error

            def told() -> Said:
                raise failed

            yield row("vdc", name, "What has the VDC?", asked, told)
            return

        def vdc() -> Said:
            cpu, memory = (xml.child(tree, "ComputeCapacity", kind) for kind in ("Cpu", "Memory"))
            free = f"{_limit(xml.number(cpu, 'Limit'))} MHz, {_limit(xml.number(memory, 'Limit'))} MB of memory"
            used = f"{xml.number(cpu, 'Used')} MHz and {xml.number(memory, 'Used')} MB are used"
            answer = f"{xml.text(tree, 'AllocationModel')}: {free}; {used}."
            if not place.enabled:
                return f"{answer} It is disabled.", "no", "Nothing can be made in it."
            return answer, "yes", "Compare it with what the assessment says that the tenant needs."

        yield row("vdc", name, "What has the VDC, and is it enabled?", asked, vdc)

        def making() -> Said:
            offered = {one.type.rpartition(".")[2].removesuffix("+xml") for one in place.links if one.rel == "add"}
            answer = f"It offers {', '.join(sorted(printable(one, 60) for one in offered if one)) or 'nothing'}."
            if "composeVAppParams" not in offered:
                return answer, "no", "No vApp can be made by this user."
            return answer, "yes", "vApps and machines can be made."

        yield row("make", name, "What may the user make in it?", asked, making)

        def quotas() -> Said:
            values = {kind: xml.number(tree, f"{kind}Quota") for kind in ("Vm", "Nic", "Network")}
            networks = xml.number(tree, "UsedNetworkCount")
            shown = ", ".join(f"{kind.lower()}s: {_limit(number)}" for kind, number in values.items())
            return (
                f"{shown}; {_count(networks, 'network')} in use.",
                "yes",
                "More than that is refused: order it before.",
            )

        yield row("quotas", name, "How many machines, cards and networks may it have?", asked, quotas)

        def hardware() -> Said:
            best = place.hardware_version()
            known = ", ".join(f"vmx-{one}" for one in place.hardware_versions) or "none that is told"
            found = self._session.read(f"{place.href}/hwv/vmx-{best:02d}", f"cannot read vmx-{best:02d}")
            systems = sum(1 for one in xml.walk(found, "supportedOperatingSystem"))
            most = f"{xml.number(found, 'maxCPUs')} CPUs, {xml.number(found, 'maxMemorySizeMb')} MB"
            answer = f"{known}; vmx-{best} takes {most} and knows {_count(systems, 'guest system')}."
            return answer, "yes", f"Machines are made with vmx-{best}."

        yield row("hardware", name, "Which hardware versions?", f"{asked}\nGET /api/vdc/{{id}}/hwv/vmx-NN", hardware)

        def storage() -> Said:
            shown = []
            for one in sorted(place.profiles.values(), key=lambda profile: profile.name):
                room = "no limit" if one.free_mib is None else f"{one.free_mib >> 10} GiB free"
                notes = [*(["default"] if one.default else []), *([] if one.enabled else ["disabled"]), room]
                shown.append(f"{printable(one.name)} ({', '.join(notes)})")
            if not any(one.enabled for one in place.profiles.values()):
                return f"{', '.join(shown) or 'None'}.", "no", "Order storage first."
            means = "While a workload is on its way it needs twice the size of its disks."
            return f"{', '.join(shown)}.", "yes", means

        profiles = f"{asked}\nGET /api/query?type=orgVdcStorageProfile"
        yield row("storage", name, "Which storage profiles, with how much room?", profiles, storage)

        def classes() -> Said:
            entries = xml.children(self._session.read(f"{place.href}/metadata", what), "MetadataEntry")
            found = {xml.text(one, "Key"): xml.text(one, "TypedValue", "Value") for one in entries}
            told = ", ".join(f"{key[3:]}: {printable(found[key])}" for key in sorted(found) if key.startswith("vdc"))
            if not told:
                return "It says nothing.", "unknown", "Ask Orange, or look at the order."
            return f"{told}.", "yes", "They decide what is billed, and which storage classes it may have."

        yield row("classes", name, "Which classes of Cloud Avenue?", "GET /api/vdc/{id}/metadata", classes)

    # -- network

    def _edges(self) -> Iterator[Probe]:
        asked = "GET /cloudapi/1.0.0/edgeGateways"
        found: list[network.EdgeGateway] = []

        def edges() -> Said:
            found.extend(network.edges(self._session))
            if not found:
                return "None.", "no", "Order one (cloudavenue_edge), or move into isolated networks."
            shown = ", ".join(f"{printable(one.name)} of {printable(one.owner_name)} ({one.status})" for one in found)
            return f"{shown}.", "yes", "One of these is edge.name of the plan."

        yield self._row("edges", "", "Which edge gateways are there?", asked, edges)
        for one in found:
            yield from self._edge(one)

    def _edge(self, one: network.EdgeGateway) -> Iterator[Probe]:
        session = self._session
        used_at = "GET /cloudapi/1.0.0/edgeGateways/{id}/usedIpAddresses"

        def addresses() -> Said:
            ranges = [
                f"{first} to {last}" if first != last else first for up in one.uplinks for first, last in up.ranges
            ]
            used = network.used_addresses(session, one.id)
            answer = f"{', '.join(ranges) or 'None'}; {len(used)} in use."
            if not ranges:
                return answer, "no", "Order public addresses (cloudavenue_public_ip)."
            return answer, "yes", "Those that are not used can take the place of the source's (edge.public)."

        yield self._row("public_addresses", one.name, "Which outside addresses has it?", used_at, addresses)

        def rules() -> Said:
            rows = network.read_edge(session, one.id).rules
            means = "They stay, in their order; ours go behind or before them (edge.rules)."
            return f"{_count(len(rows), 'rule')} of its firewall can be read.", "yes", means

        firewall = "GET /cloudapi/1.0.0/edgeGateways/{id}/firewall/rules"
        yield self._row("edge_firewall", one.name, "Can its firewall be read?", firewall, rules)

        def balancing() -> Said:
            there = balancer.state(session, one.id)
            if not there.enabled:
                return "It is switched off.", "no", "Only the provider can switch it on: ask Orange."
            groups = ", ".join(printable(group.name) for group in there.engines)
            answer = f"It is on; engine groups: {groups or 'none'}."
            if not groups:
                return answer, "no", "Without an engine group no virtual service can be made: ask Orange."
            return answer, "yes", "Load balancers can be made."

        alb = "GET /cloudapi/1.0.0/edgeGateways/{id}/loadBalancer\nGET …/serviceEngineGroups/assignments"
        yield self._row("load_balancing", one.name, "Is load balancing (ALB) there?", alb, balancing)

    def _groups(self) -> Iterator[Probe]:
        asked = "GET /cloudapi/1.0.0/vdcGroups"
        found: list[wire.Json] = []

        def groups() -> Said:
            found.extend(network.vdc_groups(self._session))
            if not found:
                means = (
                    "No distributed firewall: flows between networks behind one edge pass unseen. See edge.vdc_group."
                )
                return "None.", "no", means
            return (
                f"{', '.join(printable(wire.string(one.get('name'))) for one in found)}.",
                "yes",
                "See the next rows.",
            )

        yield self._row("vdc_groups", "", "Which data center groups are there?", asked, groups)
        for one in found:
            name, identity = wire.string(one.get("name")), wire.string(one.get("id"))

            def firewall(identity: str = identity) -> Said:
                there = network.read_distributed(self._session, identity)
                if there is None:
                    return "It is off.", "no", "Name the group in the plan (edge.vdc_group) to have it switched on."
                return (
                    f"It is on, with {_count(len(there.rules), 'rule')}.",
                    "yes",
                    "Rules between networks can be made.",
                )

            policies = "GET /cloudapi/1.0.0/vdcGroups/{id}/dfwPolicies\nGET …/dfwPolicies/default/rules"
            yield self._row("distributed_firewall", name, "Is the distributed firewall on?", policies, firewall)

    # -- Orange

    def _orange(self) -> Iterator[Probe]:
        cloud = self._cloud
        if cloud is None:
            answer = f"The organisation {printable(self._session.who.org)} has no name of Cloud Avenue's."
            yield Probe(
                "orange", "Does Orange's interface answer?", answer, "unknown", "Give core_api to have it asked."
            )
            return
        form = "the older form, on the console's host" if cloud.old else f"the form of 2026, at {cloud.wire.host}"

        def log_in() -> Said:
            found = orange.configuration(cloud)
            billing = printable(wire.string(found.get("internetBillingMode")) or "not told")
            answer = f"It answers ({form}); internet is billed by {billing}."
            if found.get("isSuspended") is True:
                return f"{answer} The organisation is suspended.", "no", "Nothing can be ordered."
            return answer, "yes", "VDCs, edges and public addresses can be looked at; ordering needs the same log-in."

        yield self._row("orange", "", "Does Orange's interface take the log-in?", "GET /configurations", log_in)

        def vdcs() -> Said:
            names = sorted(orange.vdcs(cloud))
            return f"{', '.join(map(printable, names)) or 'None'}.", "yes" if names else "no", "What was ordered."

        yield self._row("orange_vdcs", "", "Which VDCs does it know?", "GET /vdcs", vdcs)

        def t0s() -> Said:
            rows = orange.t0s(cloud)
            shown = ", ".join(f"{printable(name)} ({printable(klass)})" for name, klass in rows) or "None"
            return f"{shown}.", "yes" if rows else "no", "Edges hang on one of these; its class limits their number."

        yield self._row("t0", "", "Which T0 routers, of which class?", "GET /tier-0-vrfs", t0s)

        def addresses() -> Said:
            found = orange.public_addresses(cloud)
            shown = ", ".join(sorted(printable(one.address) for one in found)) or "None"
            return f"{shown}.", "yes" if found else "no", "Each public address of the source needs one of these."

        yield self._row("orange_addresses", "", "Which public addresses were ordered?", "GET /network", addresses)

    def _not_asked(self) -> Iterator[Probe]:
        """What no reading call tells."""
        rest = (
            ("jobs", "How does Orange's interface tell jobs?", "A job is seen after an order; there is one at a time."),
            ("metadata_write", "May metadata be written?", "The first machine of a migration tells."),
            ("upload_limits", "How long may an upload pause?", "The provider sets it; 60 minutes by default."),
            (
                "download_ranges",
                "Does a download serve parts of a file?",
                "If not, `verify: sampled` reads all of the disk.",
            ),
            (
                "mac",
                "May a machine keep the MAC address of the source?",
                "If it is refused, set keep_mac: false in the plan.",
            ),
            (
                "large_disks",
                "Do dedicated datastores take disks over 2 TiB?",
                "Plans refuse them until somebody has shown it.",
            ),
        )
        for probe, question, means in rest:
            yield Probe(probe, question, "It cannot be asked without changing something.", "unknown", means)
