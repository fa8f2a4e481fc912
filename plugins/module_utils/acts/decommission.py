# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A decommission: its documents, the facts that its gates look at, and its acts on the real cloud.

Everything that a gate needs is read here: the tenant twice, the ledger, the seal, who else uses an object, what was
done to it. What cannot be read stays None, and closes its gate (planning.gates).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property, lru_cache, partial
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import assess, retire
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import chain, journal, seal, signatures
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds, retirement, schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement_policy as policies
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import (
    CloudExitError,
    Conflict,
    InvalidInput,
    NotFound,
    Problem,
    Refused,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import (
    closure,
    gates,
    leftover,
    stages,
    timers,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import retirement as planning
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import sharing
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import Cloud
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.retire import Retiree

LEDGER = "ledger.jsonl"
STOP = "STOP"
FRESH_S = 600.0
"""Seconds for which a reading of the tenant counts within a run: at every boundary after that it is read anew."""
VERIFIED = ("source_verified", "target_verified")
"""Acts that tell that a workload that had moved was read again, on each side."""
ROLLED_BACK = ("source_unfence", "source_started")
"""Acts after which a copy proves nothing any more."""


@dataclass(frozen=True)
class Papers:
    """The documents of a decommission. policy_path: read anew whenever a hold is looked for. plan: None for a tenant
    that nothing of is moved. evidence: the directory of the ledger."""

    policy_path: str
    evidence: str
    plan: plans.Plan | None = None

    @property
    def policy(self) -> policies.Policy:
        """The policy as the file is now. Raises InvalidInput, NotFound."""
        return _policy(assess.read_text(self.policy_path, "retirement policy"), self.policy_path)

    @property
    def ledger(self) -> str:
        return os.path.join(self.evidence, LEDGER)

    @property
    def stop_file(self) -> str:
        """As long as it is there, nothing is called that changes something."""
        return os.path.join(self.evidence, STOP)

    def signers(self, policy: policies.Policy) -> str:
        """The file of allowed signers, beside the policy."""
        return os.path.join(os.path.dirname(os.path.abspath(self.policy_path)), policy.approvals.signers)

    def records(self) -> list[dict[str, Any]]:
        """The records of the ledger. Raises Refused where its chain is not sound; empty where there is none yet."""
        return records_of(self.ledger)


@lru_cache(maxsize=4)
def _policy(text: str, path: str) -> policies.Policy:
    """It is read before each call: what says the same is not parsed again."""
    return policies.loads(text, path)


def records_of(path: str) -> list[dict[str, Any]]:
    """The records of a ledger. Raises Refused where its chain is not sound; empty where there is none yet."""
    try:
        found = chain.verify(path)
    except NotFound:
        return []
    if not found.ok:
        raise Refused(
            f"The ledger {path} is not sound",
            cause="; ".join(map(str, found.problems[:3])),
            hint="Nothing is retired on the word of a ledger that somebody changed. Find out who wrote to it.",
        )
    return chain.read(path)


def papers(policy: str, evidence: str, plan: str = "") -> Papers:
    """The documents in these files. Raises InvalidInput with all problems, NotFound."""
    found = plans.loads(assess.read_text(plan, "plan"), f"The plan {plan}") if plan else None
    made = Papers(os.path.abspath(policy), os.path.abspath(evidence), found)
    policy_now = made.policy
    if found is not None and found.tenant.name != policy_now.tenant.name:
        raise InvalidInput(
            "Plan and policy are not of one tenant",
            [Problem("tenant.name", f"is {policy_now.tenant.name}, that of the plan is {found.tenant.name}")],
        )
    return made


# what the ledger tells


def proofs(records: Sequence[Mapping[str, Any]], plan: plans.Plan | None) -> dict[str, gates.Proof]:
    """What shows that a workload is at the target, by workload: its last copy that was not rolled back, and the last
    time that source and target were read again."""
    found: dict[str, gates.Proof] = {}
    for host in plan.workloads if plan is not None else {}:
        proof: gates.Proof | None = None
        for record in records:
            if record["workload"] != host:
                continue
            act, result = record["act"], record["result"]
            if act == "disk_pass" and isinstance(result.get("disks"), list) and not result.get("failed"):
                proof = _moved(result, str(record["time"]))
            elif act in ROLLED_BACK:
                proof = None
            elif proof is not None and act == "source_verified":
                proof = replace(proof, source_now=_roots(result.get("disks"), "manifest"), day=str(record["time"]))
            elif proof is not None and act == "target_verified":
                proof = replace(proof, target_now=result.get("phase") == "started")
        if proof is not None:
            found[host] = proof
    return found


def _moved(result: Mapping[str, Any], at: str) -> gates.Proof:
    disks = [disk for disk in result["disks"] if isinstance(disk, Mapping)]
    whole = all(disk.get("equal") is True and disk.get("proof", "full") == "full" for disk in disks) and bool(disks)
    manifest = _roots(disks, "manifest_before")
    return gates.Proof(
        manifest=manifest,
        read_back=manifest if whole else "",
        volumes=tuple(str(disk.get("volume")) for disk in disks),
        target=str(result.get("vm_ref", "")),
        at=at,
    )


def _roots(disks: Any, key: str) -> str:
    """One digest over the roots of all disks; empty where one is lacking."""
    if not isinstance(disks, list) or not all(isinstance(disk, Mapping) and disk.get(key) for disk in disks):
        return ""
    return schema.digest(sorted([str(disk.get("volume")), str(disk[key])] for disk in disks)) if disks else ""


def escrow_copy(records: Sequence[Mapping[str, Any]], data: Collection[str]) -> gates.EscrowCopy | None:
    """The copy outside of the platform, as the ledger tells it. data: keys of what should be in it."""
    kept: dict[str, tuple[str, str]] = {}
    last = ""
    for record in records:
        if record["act"] == "disk_escrow":
            for disk in record["result"].get("disks", []):
                sent, back = str(disk.get("manifest_source", "")), str(disk.get("manifest_target", ""))
                kept[f"volumes/{disk.get('volume')}"] = (sent, back)
        elif record["act"] == "object_escrow":
            for about in record["result"].get("objects", []):
                kept[str(about.get("object"))] = (str(about.get("manifest", "")), str(about.get("restored", "")))
        else:
            continue
        last = str(record["time"])
    if not kept:
        return None
    return gates.EscrowCopy(
        manifest=schema.digest({key: sent for key, (sent, _back) in kept.items()}),
        restored=schema.digest({key: back for key, (_sent, back) in kept.items()}),
        restored_at=last,
        lacking=tuple(sorted(set(data) - set(kept))),
    )


def recorded(records: Sequence[Mapping[str, Any]], there: Collection[str]) -> set[str]:
    """Keys of what the ledger explains that it is gone: deleted by a purge, whichever plan it was of, or with that.

    there: keys of the tenant as it is. Clouds take some of what goes along away later: Octavia removes the port of a
    balancer after the balancer, when the record of that one is written.
    """
    found: set[str] = set()
    takes: dict[str, set[str]] = {}
    for record in records:
        key, result = str(record["ids"].get("object", "")), record["result"]
        if record["act"] == "purge_intent":
            takes.setdefault(key, set()).update(result.get("takes", ()))
        elif record["act"] == "purge_outcome" and result.get("outcome") == "absent":
            found.add(key)
        elif record["act"] == "purge_outcome" and result.get("step") == "read_back":
            found.discard(key)
    along = set().union(*(takes.get(key, set()) for key in found))
    return found | (along - set(there))


def resting(records: Sequence[Mapping[str, Any]], plan: retirement.Retirement, digest: str) -> gates.Resting | None:
    """Since when everything is in quarantine: the end of the last quarantine of this plan that came to its end."""
    since = ""
    for record in records:
        if record["digests"].get("plan") != digest:
            continue
        act, result = str(record["act"]), record["result"]
        if act == "run_end" and result.get("of") == "quarantine" and not result.get("stopped"):
            since = str(record["time"])
        elif act == "run_begin" and result.get("of") in ("quarantine", "undo"):
            since = ""
    return gates.Resting(plan=plan.digest(), since=since) if since else None


# the sealed plan


@dataclass(frozen=True)
class Seal:
    """A retirement plan as its file is, and what the check of its signatures gave."""

    plan: retirement.Retirement
    digest: str
    signed: gates.Signed


def read_sealed(path: str, signers: str, policy: policies.Policy, who: retirement.Who | None, now: datetime) -> Seal:
    """The plan in a file and its signatures beside it. Raises InvalidInput, NotFound for what is no plan.

    A signature that does not count, and everything else that is wrong, is told in `signed`, which closes the gate.
    """
    try:
        with open(path, "rb") as stream:
            text = stream.read()
    except FileNotFoundError as exc:
        raise NotFound(f"There is no retirement plan {path}", hint="Make one: --tags plan.") from exc
    except OSError as exc:
        raise CloudExitError(f"Cannot read {path}", cause=exc.strerror or str(exc)) from exc
    plan = retirement.loads(text, f"The retirement plan {path}")
    problems: list[str] = []
    people: tuple[tuple[str, str], ...] = ()
    executor = {who.user_id, who.user_name} - {""} if who is not None else set()
    try:
        checked = seal.check(
            text, seal.signatures_of(path), signers, plan.approvals, now, {plan.made.user_id}, executor
        )
        people = tuple((one.person, one.role) for one in checked.people)
    except CloudExitError as error:
        problems = [str(error)]
    if plan.tenant.project_id != policy.tenant.project_id:
        problems.append(f"the plan is of project {plan.tenant.project_id}, the policy of {policy.tenant.project_id}")
    return Seal(plan, seal.digest(text), gates.Signed(digest=plan.digest(), people=people, problems=tuple(problems)))


# the facts


@dataclass
class Source:
    """The tenant at the source, read for the gates."""

    cloud: Cloud
    papers: Papers
    on_read: Callable[[str], None] = lambda _text: None
    clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    _read: tuple[float, estates.Estate, estates.Estate] | None = field(default=None, init=False)
    _seen: dict[str, Sequence[str] | None] | None = field(default=None, init=False)
    _shared: dict[str, list[str]] | None = field(default=None, init=False)
    _links: tuple[estates.Estate, dict[str, list[str]], closure.Links] | None = field(default=None, init=False)

    @cached_property
    def who(self) -> retirement.Who:
        return Retiree(self.cloud).who()

    def estate(self, *, twice: bool = True) -> tuple[estates.Estate, estates.Estate]:
        """Two readings of the tenant, not older than FRESH_S. Nothing is written to the cloud."""
        if self._read is None or time.monotonic() - self._read[0] > FRESH_S:
            self.on_read("reading the tenant")
            first = reading.read(self.cloud).estate
            again = reading.read(self.cloud).estate if twice else first
            self._read = (time.monotonic(), first, again)
            self._seen = None
        return self._read[1], self._read[2]

    def forget(self) -> None:
        """Have the tenant read anew."""
        self._read = None

    def facts(self, sealed: Seal) -> gates.Facts:
        """Everything that the gates look at. What the tenant is like is not older than FRESH_S, all else is of now."""
        plan, papers = sealed.plan, self.papers
        records = papers.records()
        estate, again = self.estate()
        known = {item.ref.key for item in plan.items} | {f"{kept.kind}/{kept.id}" for kept in plan.kept}
        nothing = stages.not_an_object(estate)
        there = {f"{kind}/{obj.id}": (kind, obj) for kind in kinds.KINDS for obj in estate.of(kind)}
        gone = recorded(records, there)
        faces = {key.partition("/")[2] for key in known}
        items = [item for item in plan.items if item.ref.key not in gone]
        data = {i.ref.key for i in plan.items if i.ref.kind in ("volumes", "buckets", "containers")}
        retiree = Retiree.of(self.cloud, plan)
        if self._seen is None:
            self.on_read("looking at what was done to it")
            self._seen = self._activity(retiree, sealed, items, there)
            self._shared = _or_none(lambda: sharing.read(self.cloud, estate))
        return gates.Facts(
            now=timers.text(self.clock()),
            skew_s=_or_none(partial(self._skew, retiree)),
            estate=estate.digest(),
            again=again.digest(),
            unread=gates.unread(estate),
            vanished=sorted(item.ref.key for item in items if item.ref.key not in there),
            appeared=sorted(
                key
                for key, (kind, obj) in there.items()
                if key not in known and (kind, obj.id) not in nothing and str(obj.id) not in faces
            ),
            undecided=gates.undecided(papers.plan),
            proofs=proofs(records, papers.plan),
            activity=self._seen,
            shared=self._shared,
            escrow=escrow_copy(records, data),
            signed=sealed.signed,
            resting=resting(records, plan, sealed.digest),
            who=_or_none(lambda: self.who),
            done=gone,
        )

    def _skew(self, retiree: Retiree) -> float:
        return (retiree.clock() - self.clock()).total_seconds()

    def _activity(
        self,
        retiree: Retiree,
        sealed: Seal,
        items: Sequence[retirement.Item],
        there: Mapping[str, tuple[str, Any]],
    ) -> dict[str, Sequence[str] | None]:
        """What was done to each object since its acceptance, or since our own last act on it."""
        policy, plan = self.papers.policy, sealed.plan
        told = journal.Journal(self.papers.ledger, plan.tenant.name, sealed.digest, "")
        zone = timers.zone_of(policy)
        planned = {item.ref.key for item in plan.items}
        found: dict[str, Sequence[str] | None] = {}
        for item in items:
            entry = there.get(item.ref.key)
            if entry is None:
                continue
            accepted = policy.acceptances.get(item.workload)
            since = timers.text(timers.ends(accepted.at, zone)) if accepted is not None else plan.made.at
            servers = [f"servers/{name}" for name in _texts(item.seen) if f"servers/{name}" in planned]
            since = max([since, *(told.touched(key) for key in (item.ref.key, *servers))], key=_instant)
            found[item.ref.key] = _or_none(partial(retiree.activity, item.ref, entry[1], since))
        return found

    def gates(self, sealed: Seal, act: gates.Act) -> list[gates.Gate]:
        """All gates of an act, judged on facts of now."""
        return gates.judge(sealed.plan, self.papers.policy, self.facts(sealed), act)

    def holds(self, plan: retirement.Retirement) -> set[str]:
        """Keys of the plan's objects that are held, by the policy as it is now."""
        policy = self.papers.policy
        found: set[str] = set(policy.protected)
        for hold in gates.held(policy, timers.text(self.clock())):
            found |= set(hold.objects)
            found |= {item.ref.key for item in plan.items if hold.all or item.workload in hold.workloads}
        return found

    def closure(self, ref: retirement.Reference) -> Collection[str]:
        """Keys of what would vanish with an object, by the last reading."""
        estate, _again = self.estate()
        taken = sharing.taken(self.cloud, estate)
        if self._links is None or self._links[0] is not estate or self._links[1] != taken:
            self._links = (estate, taken, closure.links(estate, taken))
        return self._links[2].closure(ref.key).taken


def _or_none(ask: Callable[[], Any]) -> Any:
    """What it answers; None where that cannot be read."""
    try:
        return ask()
    except CloudExitError:
        return None


def _texts(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        return set().union(*(_texts(entry) for entry in value.values()))
    if isinstance(value, (list, tuple)):
        return set().union(*(_texts(entry) for entry in value))
    return {value} if isinstance(value, str) else set()


def _instant(text: str) -> datetime:
    return journal.moment(text) if text else datetime.min.replace(tzinfo=timezone.utc)


# the acts


@dataclass(frozen=True)
class Draft:
    """A retirement plan that could be written. kept: it is the one that the file has, but for when it was made."""

    plan: retirement.Retirement
    text: str
    kept: bool


def draft(source: Source, path: str, previous: str = "", *, tool: str = "") -> Draft:
    """The retirement plan of the tenant as it is. previous: file of an earlier estate, to see what vanished since.

    One that says what the file says already, and has not expired, is not made anew: its signatures stay good. So does
    one that is being carried out. Raises InvalidInput with everything that forbids a plan, Conflict for one that has
    expired while its quarantine is in force.
    """
    papers, policy = source.papers, source.papers.policy
    records = papers.records()
    before = _before(path)
    if before is not None and _begun(papers, before):
        if _instant(before.expires) <= source.clock():
            raise Conflict(
                f"The retirement plan {path} has expired, and what it lists is in quarantine",
                hint="Take the quarantine back (--tags undo), then make a new plan and have it signed.",
            )
        return Draft(before, before.encode().decode(), True)
    estate, again = source.estate()
    now = source.clock()
    who = source.who
    data = {f"{kind}/{obj.id}" for kind in ("volumes", "buckets", "containers") for obj in estate.of(kind)}
    copy = escrow_copy(records, data)
    known = planning.Known(
        at=timers.text(now),
        user_id=who.user_id,
        ledger=str(records[-1]["hash"]) if records else chain.GENESIS,
        cloud=who.cloud,
        signers=signatures.read_signers(papers.signers(policy)).digest,
        proofs=proofs(records, papers.plan),
        shared=sharing.read(source.cloud, estate),
        taken=sharing.taken(source.cloud, estate),
        previous=assess.load_estate(previous) if previous else None,
        recorded=recorded(records, {f"{kind}/{obj.id}" for kind in kinds.KINDS for obj in estate.of(kind)}),
        escrow_verified=copy.restored_at if copy is not None else "",
        tool=tool,
    )
    made = planning.draft(estate, again, papers.plan, policy, known)
    if before is not None and _same(before, made) and _instant(before.expires) > now:
        return Draft(before, before.encode().decode(), True)
    return Draft(made, made.encode().decode(), False)


def _before(path: str) -> retirement.Retirement | None:
    try:
        with open(path, "rb") as stream:
            return retirement.loads(stream.read())
    except (FileNotFoundError, InvalidInput):
        return None


def _begun(papers: Papers, plan: retirement.Retirement) -> bool:
    """Whether it is being carried out: something is in quarantine, or gone, and not all of it is gone."""
    told = journal.Journal(papers.ledger, plan.tenant.name, plan.digest(), "")
    gone = [item for item in plan.items if told.done(item.ref)]
    return len(gone) < len(plan.items) and (bool(gone) or any(told.in_force(item.ref) for item in plan.items))


def _same(one: retirement.Retirement, other: retirement.Retirement) -> bool:
    """Whether they differ in nothing but when they were made, and what the ledger had recorded by then."""
    made = replace(other.made, at=one.made.at, ledger=one.made.ledger, tool=one.made.tool)
    return one == replace(other, made=made, expires=one.expires)


def switch(papers: Papers, more: Callable[[], str] = lambda: "") -> Callable[[], str]:
    """Why to stop: the stop file, or what else says so."""
    asked = retire.stop_file(papers.stop_file)
    return lambda: asked() or more()


def run(
    act: str,
    source: Source,
    path: str,
    *,
    on_progress: Callable[[retire.Progress], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> retire.Result:
    """Quarantine, undo or purge what the sealed plan in a file lists. What stopped it is in the result.

    Raises CloudExitError for documents that cannot be used; nothing was done then.
    """
    papers, policy = source.papers, source.papers.policy
    who = source.who
    os.makedirs(papers.evidence, exist_ok=True)

    def sealed() -> Seal:
        found = read_sealed(path, papers.signers(policy), papers.policy, who, source.clock())
        if found.digest != first.digest:
            raise Refused("The retirement plan was changed while it was carried out", hint="Find out by whom.")
        return found

    first = read_sealed(path, papers.signers(policy), policy, who, source.clock())
    plan = first.plan
    # what was put to rest can always be brought back: the ledger knows it by the digest of these very bytes
    if first.signed.problems and act != "undo":
        raise Refused(
            f"The retirement plan {path} is not sealed",
            cause="; ".join(first.signed.problems),
            hint="Have it signed as docs/decommission.md says, or make a new one.",
        )
    told = journal.Journal(papers.ledger, plan.tenant.name, first.digest, journal.new_run(source.clock()))
    retiree = Retiree.of(source.cloud, plan)
    stop = switch(papers)
    if act == "undo":
        return retire.undo(retiree, plan, told, stop=stop, on_progress=on_progress, sleep=sleep)

    def judged(which: gates.Act) -> Callable[[], Sequence[gates.Gate]]:
        return lambda: source.gates(sealed(), which)

    if act == "quarantine":
        return retire.quarantine(
            retiree,
            plan,
            told,
            gates=judged("quarantine"),
            stop=stop,
            holds=lambda: source.holds(plan),
            on_progress=on_progress,
            sleep=sleep,
        )
    return retire.purge(
        retiree,
        plan,
        told,
        gates=judged("purge"),
        stop=stop,
        holds=lambda: source.holds(plan),
        closure=lambda ref, obj: {*source.closure(ref), *retiree.takes(ref, obj)},
        on_progress=on_progress,
        sleep=sleep,
    )


def left(source: Source, plan: retirement.Retirement) -> dict[str, list[str]]:
    """What is left, by a fresh reading, as lists of kind/id: planned (should be gone), going (its service deletes it
    later), unknown (the plan does not know it), and billing (all that costs money as long as it is there).

    Raises CloudExitError where a part of the tenant could not be read.
    """
    source.forget()
    estate, _again = source.estate(twice=False)
    found = leftover.left(plan, estate)
    holes = [f"{one.kind} {one.name}".strip() for one in found if one.why == "unread"]
    if holes:
        raise CloudExitError("What is left cannot be told", cause=f"not read: {', '.join(holes[:5])}", retryable=True)

    def keys(why: str) -> list[str]:
        return [f"{one.kind}/{one.id}" for one in found if one.why == why]

    billing = [f"{one.kind}/{one.id}" for one in found if one.bills]
    return {"planned": keys("planned"), "going": keys("going"), "unknown": keys("new"), "billing": billing}


def evidence_of(evidence: str, host: str, fresh_hours: float, now: datetime | None = None) -> dict[str, Any]:
    """What the ledger holds of a workload: {disks, todo, escrow}; see the module evidence_info. Raises Refused."""
    records = [record for record in records_of(os.path.join(evidence, LEDGER)) if record["workload"] == host]
    at = now or datetime.now(timezone.utc)
    disks: list[Any] = []
    kept: set[str] = set()
    fresh: set[str] = set()
    for record in records:
        act, result = record["act"], record["result"]
        if act == "disk_pass" and isinstance(result.get("disks"), list):
            disks, fresh = result["disks"], set()
        elif act in ROLLED_BACK:
            disks = []
        elif act in VERIFIED and (at - journal.moment(record["time"])).total_seconds() < fresh_hours * 3600:
            fresh.add(act)
        elif act == "disk_escrow":
            kept |= {str(disk["volume"]) for disk in result.get("disks", []) if disk.get("equal")}
    return {
        "disks": disks,
        "todo": [act for act in VERIFIED if act not in fresh] if disks else [],
        "escrow": sorted(kept),
    }
