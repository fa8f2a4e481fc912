# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a decommission may delete, decided object by object; and what of an object is compared before its turn.

An object goes only for a reason that is on record: it moved and that is proven and accepted, somebody decided it, or
nothing that stays uses it and it holds no data. Everything else stays and says why. What stays keeps all that it uses,
all whose deletion might take it along, and what works for it.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds, marks, names, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement_policy as policies
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput, Problem
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import closure, gates, stages, timers

_GIB = 1024.0**3
_SWITCHES = frozenset({"admin_state_up", "enable_state", "enabled", "is_enable", "locked", "weight"})
_OWN_MARKS = f"{marks.PREFIX}_"
_BY_ATTACHING = frozenset({"attached_mode", "readonly"})

_DEFAULT_GROUPS = frozenset({"default", "sys-default"})
_MADE_OF = ("instance_uuid", "instance_id", "volume_id", "snapshot_id", "backup_id", "__backup_id", "base_image_ref")
"""Properties of images that tell that they are copies (Nova's createImage, Cinder's upload, Image Management)."""
_OWNERS = ("project_id", "tenant_id")
_WHOLE_ACCOUNT = frozenset({"buckets", "image_repositories"})
_ALWAYS_ASKED = frozenset({"keys", "secrets"}) | _WHOLE_ACCOUNT
"""Kinds that go by a choice for the one object alone, whatever else was decided: what belongs to the whole account may
be another project's; a key is a ceremony of its own."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known besides the documents when a retirement plan is drafted.

    at: now, UTC. user_id: whose credential read the tenant. ledger: hash of its last record. cloud: host of the
    identity service. signers: digest of the file of allowed signers. proofs: of what moved, by workload or kind/id.
    shared: for objects, who else uses them, as it was read (members of images, rights on networks, grants of keys).
    taken: ids that the deletion of stacks takes along, by kind/id. previous: the last estate, and recorded: objects
    that the ledger says were deleted since. escrow_verified: when the escrow copy had been restored and compared.
    """

    at: str
    user_id: str
    ledger: str
    cloud: str
    signers: str
    proofs: Mapping[str, gates.Proof]
    shared: Mapping[str, Sequence[str]]
    taken: Mapping[str, Sequence[str]] = field(default_factory=dict)
    previous: estates.Estate | None = None
    recorded: Collection[str] = ()
    escrow_verified: str = ""
    tool: str = ""


def draft(
    estate: estates.Estate,
    again: estates.Estate,
    plan: plans.Plan | None,
    policy: policies.Policy,
    known: Known,
) -> model.Retirement:
    """The retirement plan. The same input gives the same bytes.

    estate, again: two readings of the tenant. plan: the migration plan; None for a tenant that is not moved. Raises
    InvalidInput with every reason why no plan can be made: readings that differ or have holes, objects that vanished
    without a record, names that nothing has.
    """
    problems = [*_holes(estate, again, policy, plan, known), *_strangers(estate, policy, plan, known)]
    if problems:
        raise InvalidInput(
            "No retirement plan can be made",
            problems,
            hint="Read the tenant again, and correct the policy; nothing was changed.",
        )
    return _Drafter(estate, plan, policy, known).made()


def _holes(
    estate: estates.Estate,
    again: estates.Estate,
    policy: policies.Policy,
    plan: plans.Plan | None,
    known: Known,
) -> Iterator[Problem]:
    """Why the readings cannot be relied upon."""
    for key in ("at", "user_id", "ledger", "cloud", "signers"):
        if not str(getattr(known, key)).strip():
            yield Problem(key, "is not known")
    project = estate.tenant.project_id
    for what, ident in (("policy", policy.tenant.project_id), ("migration plan", plan and plan.tenant.project_id)):
        if ident is not None and ident != project:
            yield Problem("tenant", f"the {what} is of project {ident}, the estate of {project}")
    for key in ("region", "domain_id"):
        wanted, found = getattr(policy.tenant, key), getattr(estate.tenant, key)
        if wanted and wanted != found:
            yield Problem(f"tenant.{key}", f"the policy says {wanted}, the estate {found or 'nothing'}")
    if not project or not estate.tenant.region:
        yield Problem("tenant", "the estate says not of which project and region it is")
    if estate.digest() != again.digest():
        yield Problem("estate", "two readings differ: wait until nothing changes any more")
    for text in gates.unread(estate):
        yield Problem("estate", f"was not read as a whole: {text}")
    if known.previous is not None:
        gone = gates.vanished(known.previous, estate, known.recorded)
        for key in gone[:50]:
            yield Problem("estate", f"{key} was there before, and no record of the ledger says that it was deleted")
        if len(gone) > 50:
            yield Problem("estate", f"and {len(gone) - 50} more vanished")


def _strangers(
    estate: estates.Estate, policy: policies.Policy, plan: plans.Plan | None, known: Known
) -> Iterator[Problem]:
    """Names in the policy that nothing has: what is misspelt protects nothing."""
    there = {f"{kind}/{entry.id}" for kind in kinds.KINDS for entry in estate.of(kind)} | set(known.recorded)
    named = [("protected", key) for key in policy.protected]
    named += [(f"holds[{index}]", key) for index, hold in enumerate(policy.holds) for key in hold.objects]
    named += [("objects", f"{kind}/{ident}") for kind, entries in policy.objects.items() for ident in entries]
    named += [(f"waivers[{index}]", key) for index, waiver in enumerate(policy.waivers) for key in waiver.objects]
    for where, key in named:
        if key not in there:
            yield Problem(where, f"{key} is no object of the estate")
    workloads = plan.workloads if plan is not None else {}
    hosts = [("workloads", host) for host in policy.workloads] + [("acceptances", host) for host in policy.acceptances]
    hosts += [(f"holds[{index}]", host) for index, hold in enumerate(policy.holds) for host in hold.workloads]
    for where, host in hosts:
        if host not in workloads:
            yield Problem(where, f"{host} is no workload of the migration plan")


@dataclass(frozen=True)
class _Go:
    choice: model.Choice
    why: str


@dataclass(frozen=True)
class _Stay:
    reason: str
    detail: str = ""
    until: str = ""


class _Drafter:
    def __init__(self, estate: estates.Estate, plan: plans.Plan | None, policy: policies.Policy, known: Known) -> None:
        self.estate, self.plan, self.policy, self.known = estate, plan, policy, known
        self.workloads = plan.workloads if plan is not None else {}
        self.links = closure.links(estate, known.taken)
        self.nothing = stages.not_an_object(estate)
        self.objects: dict[str, tuple[str, Any]] = {
            f"{kind}/{entry.id}": (kind, entry)
            for kind in kinds.KINDS
            for entry in estate.of(kind)
            if (kind, entry.id) not in self.nothing
        }
        self.protected = stages.faces(policy.protected)
        self.holds = [(hold, stages.faces(hold.objects)) for hold in gates.held(policy, known.at)]
        self.shared = {face: users for key, users in known.shared.items() for face in stages.faces([key]) if users}
        self.readers = self._helpers()
        self.boots = {
            f"volumes/{place.volume_id}": f"servers/{server.id}"
            for server in estate.servers
            for place in server.volumes
            if place.boot and f"servers/{server.id}" in self.readers
        }
        self.working = self._working()
        self.follows: dict[str, str] = {}
        self.workload_of = self._workloads()

    def made(self) -> model.Retirement:
        estate, policy, known = self.estate, self.policy, self.known
        verdicts = self._verdicts()
        going = {key for key, verdict in verdicts.items() if isinstance(verdict, _Go)}
        order, after = closure.order(going, self.links, self._readers())
        moved = {
            self.workload_of[key] for key in going if self._choice(verdicts[key]) == "moved" and self.workload_of[key]
        }
        now = timers.moment(known.at)
        waivers = list(policy.waivers)
        if policy.escrow.waiver is not None:
            given = policy.escrow.waiver
            waivers.append(model.Waiver(gate="G9", by=given.by, at=given.at, why=given.why))
        line = timers.timeline(policy, moved=moved, escrow_verified=known.escrow_verified)
        plan = model.Retirement(
            kind=model.KIND,
            version=model.VERSION,
            tenant=model.Tenant(
                name=policy.tenant.name,
                project_id=estate.tenant.project_id,
                project_name=estate.tenant.project_name,
                domain_id=estate.tenant.domain_id,
                region=estate.tenant.region,
                cloud=known.cloud,
            ),
            made=model.Made(
                at=known.at,
                user_id=known.user_id,
                estate=estate.digest(),
                plan=self.plan.digest() if self.plan is not None else "",
                policy=policy.digest(),
                ledger=known.ledger,
                tool=known.tool,
            ),
            expires=timers.text(now + datetime.timedelta(days=policy.approvals.valid_days)),
            cool_off_hours=policy.cool_off_hours,
            approvals=model.Approvals(
                needed=policy.approvals.needed, roles=list(policy.approvals.roles), signers=known.signers
            ),
            limits=policy.limits,
            timers=list(line.timers),
            waivers=waivers,
            items=[self._item(key, verdicts, after[key]) for key in order],
            kept=self._kept(verdicts),
        )
        return model.load(schema.dump(plan))

    def _helpers(self) -> set[str]:
        """Reader hosts that are nothing else: one that moves by itself is a workload like others."""
        moving = {workload.source.id for workload in self.workloads.values() if workload.move != "none"}
        return self._readers() - {f"servers/{ident}" for ident in moving}

    def _working(self) -> set[str]:
        """Reader hosts that are nothing else, their boot disks and ports, and the addresses that lead to those."""
        ports = {
            used for reader in self.readers for used in self.links.uses.get(reader, ()) if used.startswith("ports/")
        }
        addresses = {
            key
            for key in self.objects
            if key.startswith(("floating_ips/", "public_ips/")) and ports & self.links.uses.get(key, frozenset())
        }
        return self.readers | self.boots.keys() | ports | addresses

    def _readers(self) -> set[str]:
        readers = self.plan.readers.values() if self.plan is not None else ()
        return {f"servers/{reader.server_id}" for reader in readers}

    def _workloads(self) -> dict[str, str]:
        """The workload that an object belongs to: servers, their volumes, and copies of these; empty for none."""
        found: dict[str, str] = defaultdict(str)
        for host, workload in self.workloads.items():
            server = f"servers/{workload.source.id}"
            found[server] = host
            for used in sorted(self.links.uses.get(server, ())):
                if used.startswith("volumes/"):
                    found[used] = host
        for host, workload in self.workloads.items():
            for disk in workload.disks:
                found[f"volumes/{disk.volume}"] = host
        for dummy in range(2):  # an image of a snapshot
            for key, origins in self.links.made_of.items():
                hosts = sorted({found[origin] for origin in origins if found.get(origin)})
                if hosts and not found.get(key):
                    found[key] = hosts[0]
        return found

    def _verdicts(self) -> dict[str, _Go | _Stay]:
        """What becomes of each object, with what its staying makes others do."""
        verdicts = {key: self._verdict(key, kind, obj) for key, (kind, obj) in self.objects.items()}
        takers: dict[str, set[str]] = defaultdict(set)
        servants: dict[str, set[str]] = defaultdict(set)
        followers: dict[str, set[str]] = defaultdict(set)
        for key, taken in self.links.takes.items():
            for other in taken:
                takers[other].add(key)
        for key, served in self.links.serves.items():
            for other in served:
                servants[other].add(key)
        for key, other in self.follows.items():
            followers[other].add(key)
        for reader, users in self._reading().items():
            for user in users:
                followers[user].add(reader)
        queue = sorted(key for key, verdict in verdicts.items() if isinstance(verdict, _Stay))
        while queue:
            more: list[str] = []
            for key in queue:
                cause = verdicts[key]
                foreign = isinstance(cause, _Stay) and cause.reason == "foreign"
                label = self._label(key)
                reasons = [
                    (self.links.uses.get(key, frozenset()), f"{label}, which stays, uses it"),
                    (takers[key], f"its deletion takes {label} along, or may, and that stays"),
                    (followers[key], f"{label}, which it is there for, stays"),
                    (() if foreign else servants[key], f"it works for {label}, which stays"),
                ]
                for index, (others, detail) in enumerate(reasons):
                    for other in sorted(others):
                        verdict = verdicts.get(other)
                        if not isinstance(verdict, _Go) or (index == 3 and verdict.choice != "residue"):
                            continue
                        verdicts[other] = _Stay("shared" if foreign else "needed", detail)
                        more.append(other)
            queue = sorted(more)
        return verdicts

    def _reading(self) -> dict[str, set[str]]:
        """For each reader host, the servers whose disks it is to read."""
        found: dict[str, set[str]] = defaultdict(set)
        readers = self.plan.readers if self.plan is not None else {}
        for workload in self.workloads.values():
            if workload.move != "none" and workload.reader in readers:
                found[f"servers/{readers[str(workload.reader)].server_id}"].add(f"servers/{workload.source.id}")
        return found

    def _verdict(self, key: str, kind: str, obj: Any) -> _Go | _Stay:
        if key in self.protected:
            why = next(why for name, why in self.policy.protected.items() if key in stages.faces([name]))
            return _Stay("protected", why)
        fixed = _fixed(kind, obj)
        if fixed:
            return _Stay("protected", fixed)
        other = self._others(key, kind, obj)
        if other is not None:
            return other
        for hold, keys in self.holds:
            if hold.all or key in keys or self.workload_of[key] in hold.workloads:
                return _Stay("held", hold.why, hold.until)
        if key in self.links.untold:
            return _Stay("unreadable", "what its deletion takes along was not read")
        if key in self.links.unclaimed:
            what = names.printable(self.links.unclaimed[key])
            return _Stay("needed", f"{what} has it, which the estate does not show")
        return self._chosen(key, kind, obj)

    def _others(self, key: str, kind: str, obj: Any) -> _Stay | None:
        """Whose it is, where it is not the tenant's alone."""
        ours = self.estate.tenant.project_id
        if kind == "networks":
            if obj.external or (obj.project_id and obj.project_id != ours):
                return _Stay(
                    "foreign", "the cloud's own" if obj.external else f"of project {names.printable(obj.project_id)}"
                )
            if not obj.project_id:
                return _Stay("unreadable", "whose it is was not read")
        if kind == "subnets":
            above = self.objects.get(f"networks/{obj.network_id}")
            if above is None:
                return _Stay("foreign", "its network is not the tenant's")
            if isinstance(found := self._others(f"networks/{obj.network_id}", *above), _Stay):
                return _Stay(found.reason, f"its network: {found.detail}")
        if kind == "images" and obj.owner != ours:
            return _Stay(
                "foreign", f"of project {names.printable(obj.owner)}" if obj.owner else "nobody is known to own it"
            )
        if (kind == "networks" and obj.shared) or (kind == "images" and obj.visibility in ("public", "community")):
            return _Stay("shared", "with all projects")
        more = getattr(obj, "properties", {}) if kind not in kinds.TYPED else {}
        for owner in _OWNERS:
            if more.get(owner) not in (None, "", ours):
                return _Stay("foreign", f"of project {names.printable(str(more[owner]))}")
        others = sorted(set(_projects(more)) - {ours})
        if others:
            return _Stay("shared", f"with project {', '.join(map(names.printable, others))}")
        if key in self.shared:
            return _Stay("shared", f"with {', '.join(sorted(self.shared[key]))}")
        return None

    def _chosen(self, key: str, kind: str, obj: Any) -> _Go | _Stay:
        policy, row = self.policy, stages.ROWS[kind]
        explicit = policy.objects.get(kind, {}).get(str(obj.id))
        if explicit is not None:
            return self._by_choice(key, explicit, key)
        own = marks.Marks.from_metadata(obj.metadata) if kind in ("servers", "volumes", "snapshots") else None
        # a server that was moved carries the marks of its fence: it is what they name, and not made for it
        if own is not None and own.tenant == policy.tenant.name and own.source_id != str(obj.id):
            return self._own(key, own)
        if key in self.readers:
            if policy.reader_hosts == "keep":
                return _Stay("protected", "the policy keeps reader hosts")
            return _Go("residue", "the reader host of the migration")
        host = self.workload_of[key] if kind in ("servers", "volumes") else ""
        if key in self.boots:
            if policy.reader_hosts == "keep":
                return _Stay("protected", "the policy keeps reader hosts")
            self.follows[key] = self.boots[key]
            return _Go("residue", "the boot disk of the reader host")
        if host:
            return self._of_workload(key, host)
        choice = policy.kinds.get(kind)
        if choice is not None:
            if self._orphan(key, kind, obj):
                return _Stay("undecided", "it may be the last copy of what it was made of: decide it by itself")
            return self._by_choice(key, choice, key)
        if not row.data:
            return _Go("residue", "nothing that stays uses it")
        decision = policy.decision
        if decision.choice == "erase" and kind not in _ALWAYS_ASKED:
            return _Go("erased", f"{decision.by} decided on {decision.at} that everything is erased")
        return _Stay("undecided", "it holds data, and nobody decided what becomes of it")

    def _orphan(self, key: str, kind: str, obj: Any) -> bool:
        """Whether it is a copy of something that is not there any more. An image may be nobody's copy."""
        if kind not in closure.COPIES or self.links.made_of.get(key, frozenset()) & self.objects.keys():
            return False
        return kind not in ("images", "private_images") or any(obj.properties.get(word) for word in _MADE_OF)

    def _own(self, key: str, own: marks.Marks) -> _Go | _Stay:
        """What a migration made for itself goes with what it was made for, and not before."""
        sources = [f"{kind}/{own.source_id}" for kind in ("volumes", "servers", "snapshots")]
        source = next((name for name in sources if name in self.objects and name != key), "")
        if source:
            self.follows[key] = source
            return _Go("residue", f"made for the migration of {self._label(source)}")
        if any(name in self.known.recorded for name in sources):
            return _Go("residue", f"made for the migration of {names.printable(own.source_id)}, which is gone")
        return _Stay("undecided", "made for a migration, but what it was made of is not there")

    def _of_workload(self, key: str, host: str) -> _Go | _Stay:
        workload, policy = self.workloads[host], self.policy
        choice = policy.workloads.get(host)
        if choice is not None:
            return self._by_choice(key, choice, host)
        if workload.move == "none":
            decision = policy.decision
            if decision.choice == "erase":
                return _Go("erased", f"{decision.by} decided on {decision.at} that everything is erased")
            return _Stay("undecided", f"it is not moved: {names.printable(workload.reason)}")
        if workload.decision is not None and workload.decision.answer == "open":
            return _Stay("undecided", "the customer has not answered yet")
        return self._moved(key, host)

    def _by_choice(self, key: str, choice: policies.Choice, proof: str) -> _Go | _Stay:
        if choice.choice == "moved":
            return self._moved(key, proof)
        if not choice.by.strip() or not choice.at:
            return _Stay("undecided", "the decision says not who or when")
        reason = f": {choice.why}" if choice.why else ""
        if choice.choice == "erased":
            return _Go("erased", f"{choice.by} decided on {choice.at} that it is erased, not moved{reason}")
        if not (choice.digest and choice.handed_over and choice.what):
            return _Stay("undecided", "what was handed over, and when, is not on record")
        return _Go("exported", f"handed over on {choice.handed_over} as {choice.what}, {choice.digest}{reason}")

    def _moved(self, key: str, name: str) -> _Go | _Stay:
        proof = self.known.proofs.get(name)
        if proof is None or not proof.manifest:
            return _Stay("not_migrated", "nothing shows that it is at the target")
        if not proof.equal:
            return _Stay("not_verified", "what was read back at the target is not what was sent, or nothing was")
        if key.startswith("volumes/") and key.partition("/")[2] not in proof.volumes:
            return _Stay("not_verified", f"the proof of {name} does not cover it")
        where = f"to {names.printable(proof.target)}" if proof.target else "to the target"
        text = f"moved {where}, read back equal at {proof.at or 'a time that is not known'}"
        if name not in self.workloads:
            return _Go("moved", text)
        given = self.policy.acceptances.get(name)
        if given is None or timers.ends(given.at, timers.zone_of(self.policy), days=-1) > timers.moment(self.known.at):
            return _Stay("not_accepted", "nobody accepted it at the target yet")
        return _Go("moved", f"{text}, accepted by {given.by} on {given.at}")

    def _label(self, key: str) -> str:
        kind, obj = self.objects.get(key, ("", None))
        called = names.printable(name(kind, obj)) if obj is not None else ""
        return f"{key} ({called})" if called and called != key.partition("/")[2] else key

    @staticmethod
    def _choice(verdict: _Go | _Stay) -> str:
        return verdict.choice if isinstance(verdict, _Go) else ""

    def _item(self, key: str, verdicts: Mapping[str, _Go | _Stay], after: list[str]) -> model.Item:
        kind, obj = self.objects[key]
        verdict, row = verdicts[key], stages.ROWS[kind]
        if not isinstance(verdict, _Go) or row.stage is None:
            raise ValueError(key)
        copies = sorted(
            copy
            for copy, origins in self.links.made_of.items()
            if key in origins and isinstance(verdicts.get(copy), _Stay)
        )
        restorable = row.restorable + "".join(f"; {self._label(copy)} stays" for copy in copies)
        return model.Item(
            ref=model.Reference(
                kind=kind,
                cloud=self.known.cloud,
                region=self.estate.tenant.region,
                project=self.estate.tenant.project_id,
                id=str(obj.id),
                created=created(kind, obj),
                size_gib=size_gib(kind, obj),
            ),
            name=name(kind, obj),
            stage=row.stage,
            choice=verdict.choice,
            why=verdict.why,
            workload=self.workload_of[key],
            seen=seen(kind, obj),
            after=after,
            takes=[other for other in self.links.closure(key).taken if other in self.objects],
            restorable=restorable,
            works=key in self.working,
        )

    def _kept(self, verdicts: Mapping[str, _Go | _Stay]) -> list[model.Kept]:
        found = []
        for kind in kinds.KINDS:
            for obj in self.estate.of(kind):
                verdict = verdicts.get(f"{kind}/{obj.id}")
                if (kind, obj.id) in self.nothing:
                    verdict = _Stay("not_an_object", self.nothing[kind, obj.id])
                if isinstance(verdict, _Stay):
                    found.append(
                        model.Kept(
                            kind=kind,
                            id=str(obj.id),
                            name=name(kind, obj),
                            reason=verdict.reason,
                            detail=verdict.detail,
                            until=verdict.until,
                        )
                    )
        return found


def _fixed(kind: str, obj: Any) -> str:
    """Why an object can never be deleted by itself; empty where it can."""
    if kind in ("security_groups", "firewall_groups") and obj.name.casefold() in _DEFAULT_GROUPS:
        return "the project's default; it goes with the project"
    more = getattr(obj, "properties", {}) if kind not in kinds.TYPED else {}
    if kind == "keys" and (str(more.get("default_key_flag", "0")) == "1" or obj.name.endswith("/default")):
        return "a service's default key; it cannot be deleted"
    return ""


def _projects(value: Any) -> Iterator[str]:
    """Projects that are named anywhere in a value."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if key in _OWNERS and isinstance(entry, str) and entry:
                yield entry
            else:
                yield from _projects(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _projects(entry)


def name(kind: str, obj: Any) -> str:
    """The name of an object; a floating address is called by its address."""
    return str(obj.address if kind == "floating_ips" else obj.name)


def created(kind: str, obj: Any) -> str:
    """When an object was made, as its service writes it; empty where the estate does not know."""
    return str(getattr(obj, "created", ""))


def size_gib(kind: str, obj: Any) -> float:
    """What an object stores, GiB, to six places; 0 where it stores nothing or its service does not say.

    A server has the disk of its own that its flavor gives (0 where it boots from a volume).
    """
    if kind == "images":
        return round(float(obj.size_bytes) / _GIB, 6)
    if kind == "servers":
        return float(obj.flavor.disk_gib if obj.image_id is not None else 0)
    return round(float(getattr(obj, "size_gib", 0.0)), 6)


def seen(kind: str, obj: Any) -> dict[str, Any]:
    """What of an object must still be so just before its turn: plain data, lists sorted, nothing that is empty.

    Left out, as a quarantine or the cloud by itself changes it: every status; whether a server is locked, the addresses
    that Nova shows for it and the names of its security groups (its ports say more); security groups, port security
    and the switch of a port; device names of volumes and their order; what attaching writes into the metadata of a
    volume (attached_mode, readonly); our own marks (`cloudexit_…`); of other kinds their switches (admin_state_up,
    enabled, …) and a member's weight, at the top level. The name is there: who renames knows the name it gave.
    """
    made = _TYPED.get(kind, _resource)(obj)
    return {key: value for key, value in made.items() if value not in (None, "", [], {})}


def unlike(before: Mapping[str, Any], now: Mapping[str, Any], gone: Collection[str] = ()) -> list[str]:
    """What differs between two `seen` of one object, in words; `gone`: ids that this decommission has deleted.

    That a mention of a gone object has vanished is no difference; that one has appeared is.
    """
    ids = frozenset(gone)
    found = []
    for key in sorted({*before, *now}):
        was, is_now = _without(before.get(key), ids), _without(now.get(key), ids)
        appeared = ids & (_texts(now.get(key)) - _texts(before.get(key)))
        if was != is_now or appeared:
            found.append(f"{key} was {_shown(before.get(key))}, is {_shown(now.get(key))}")
    return found


def _server(obj: Any) -> dict[str, Any]:
    return {
        "name": obj.name,
        "flavor": [obj.flavor.name, obj.flavor.vcpus, obj.flavor.ram_mib, obj.flavor.disk_gib],
        "image": obj.image_id,
        "key": obj.key_name,
        "zone": obj.availability_zone,
        "metadata": _metadata(obj.metadata),
        "tags": sorted(obj.tags),
        "volumes": sorted(attachment.volume_id for attachment in obj.volumes),
        "ports": sorted(obj.ports),
    }


def _volume(obj: Any) -> dict[str, Any]:
    return {
        "name": obj.name,
        "size_gib": obj.size_gib,
        "type": obj.type,
        "bootable": obj.bootable,
        "encrypted": obj.encrypted,
        "multiattach": obj.multiattach,
        "zone": obj.availability_zone,
        "snapshot": obj.snapshot_id,
        "source": obj.source_volume_id,
        "metadata": _metadata(obj.metadata),
        "servers": sorted({place.server_id for place in obj.attachments}),
    }


def _snapshot(obj: Any) -> dict[str, Any]:
    return {
        "name": obj.name,
        "volume": obj.volume_id,
        "size_gib": obj.size_gib,
        "metadata": _metadata(obj.metadata),
    }


def _image(obj: Any) -> dict[str, Any]:
    return {
        "name": obj.name,
        "owner": obj.owner,
        "visibility": obj.visibility,
        "size_bytes": obj.size_bytes,
        "format": obj.disk_format,
    }


def _port(obj: Any) -> dict[str, Any]:
    return {
        "name": obj.name,
        "network": obj.network_id,
        "mac": obj.mac,
        "used_by": [{"id": obj.device_id, "as": obj.device_owner}] if obj.device_id else [],
        "addresses": sorted(f"{fixed.ip} {fixed.subnet_id}" for fixed in obj.fixed_ips),
        "pairs": sorted(f"{pair.ip} {pair.mac}".rstrip() for pair in obj.allowed_address_pairs),
    }


def _network(obj: Any) -> dict[str, Any]:
    return {"name": obj.name, "owner": obj.project_id, "shared": obj.shared, "external": obj.external}


def _subnet(obj: Any) -> dict[str, Any]:
    return {"name": obj.name, "network": obj.network_id, "cidr": obj.cidr, "gateway": obj.gateway}


def _group(obj: Any) -> dict[str, Any]:
    return {"name": obj.name, "rules": sorted(rule.id for rule in obj.rules)}


def _floating(obj: Any) -> dict[str, Any]:
    # what the address leads to is one thing, which goes as a whole when its port goes
    leads = [{"port": obj.port_id, "address": obj.fixed_address or ""}] if obj.port_id else []
    return {"name": obj.address, "network": obj.network_id, "leads_to": leads}


def _resource(obj: Any) -> dict[str, Any]:
    rest = {key: value for key, value in schema.dump(obj.properties).items() if key not in _SWITCHES}
    return {"name": obj.name, "size_gib": round(float(obj.size_gib), 6) or None, "parent": obj.parent, "is": rest}


_TYPED = {
    "servers": _server,
    "volumes": _volume,
    "snapshots": _snapshot,
    "images": _image,
    "ports": _port,
    "networks": _network,
    "subnets": _subnet,
    "security_groups": _group,
    "floating_ips": _floating,
}


def _metadata(values: Mapping[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in sorted(values.items())
        if not key.startswith(_OWN_MARKS) and key not in _BY_ATTACHING
    }


def _without(value: Any, gone: frozenset[str]) -> Any:
    """A value without what mentions a gone object: its id as a value, or an entry of a list that names it directly."""
    if isinstance(value, Mapping):
        kept = {key: _without(entry, gone) for key, entry in value.items()}
        return {key: entry for key, entry in kept.items() if entry not in (None, "", [], {})} or None
    if isinstance(value, (list, tuple)):
        entries = [_without(entry, gone) for entry in value if not _names(entry, gone)]
        return [entry for entry in entries if entry is not None] or None
    return None if isinstance(value, str) and (value in gone or not value) else value


def _names(entry: Any, gone: frozenset[str]) -> bool:
    return isinstance(entry, Mapping) and any(isinstance(text, str) and text in gone for text in entry.values())


def _texts(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        return set().union(*(map(_texts, value.values())), set())
    if isinstance(value, (list, tuple)):
        return set().union(*(map(_texts, value)), set())
    return {value} if isinstance(value, str) else set()


def _shown(value: Any) -> str:
    text = schema.canonical(value).decode("utf-8") if value is not None else "nothing"
    return text if len(text) <= 200 else text[:197] + "..."
