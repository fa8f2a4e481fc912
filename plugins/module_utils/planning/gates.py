# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gates before quarantine and purge: all must be open. What was not read closes its gate; nothing forces one.

Facts are plain data that somebody else collected; here they are judged. docs/decommission.md has the table of gates.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement_policy as policies
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.retirement import (
    Item,
    Retirement,
    Waiver,
    Who,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import stages, timers

Act = Literal["quarantine", "purge"]

SKEW_S = 300.0
"""Most that our clock and the cloud's may differ, seconds."""
FRESH_HOURS = 24
"""What was read longer ago than this is not of the day."""
FIRST_RULES = ("retrieval", "extension", "switching_notice", "agreed")
"""Timers that a quarantine waits for too: until then the customer can fetch its data."""

TITLES: dict[str, str] = {
    "G1": "the customer's decision is recorded",
    "G2": "the inventory is complete, twice the same, and nothing vanished or appeared",
    "G3": "everything that goes is accepted, handed over, or erased by a decision",
    "G4": "what moved was read again on the day, and is at the target",
    "G5": "the source was silent since the acceptance",
    "G6": "the time has come and is not over",
    "G7": "nothing is held",
    "G8": "the notice of the erasure was delivered, long enough ago",
    "G9": "the escrow copy exists and was restored once",
    "G10": "nothing is shared with another tenant",
    "G11": "enough people signed this plan",
    "G12": "everything is in quarantine, and the cool-off passed without complaint",
    "credential": "the credential can do this and no more",
    "calendar": "people are there to watch",
}
"""Every gate, in order."""

WAIVED = "an exception in the sealed plan stands for it, or for a part of it"

NEEDED: dict[Act, tuple[str, ...]] = {
    "quarantine": ("G1", "G2", "G3", "G5", "G6", "G7", "G10", "G11", "credential", "calendar"),
    "purge": tuple(TITLES),
}
"""The gates of each act."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What shows that a workload (or another object) is at the target.

    manifest: digest of what was read at the source. read_back: digest of what was read at the target then.
    volumes: ids of the volumes that it covers. target: where it is. at: when it was read back. day: when it was last
    read again; source_now: digest of the source then; target_now: whether it was at the target then, by its marks and
    checks.
    """

    manifest: str
    read_back: str
    volumes: tuple[str, ...] = ()
    target: str = ""
    at: str = ""
    day: str = ""
    source_now: str = ""
    target_now: bool = False

    @property
    def equal(self) -> bool:
        """Whether what came back is what was read."""
        return bool(self.manifest) and self.manifest == self.read_back


@dataclass(frozen=True, kw_only=True)
class EscrowCopy:
    """The copy outside of the platform: its manifest, and what a restore of it gave."""

    manifest: str
    restored: str
    restored_at: str
    lacking: tuple[str, ...] = ()
    """Objects (kind/id) that should be in it and are not."""


@dataclass(frozen=True, kw_only=True)
class Resting:
    """What the ledger says of the quarantine: since when it is complete, what is not in it, who objected."""

    plan: str
    since: str
    lacking: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Signed:
    """What the check of the seal gave: the digest that was signed, who signed (name, role), every problem."""

    digest: str
    people: tuple[tuple[str, str], ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that gates look at. None: it was not read, and that closes its gate.

    now: our clock, UTC. skew_s: the cloud's clock less ours. estate, again: digests of two readings of today.
    unread: kinds and services that are neither complete nor absent. vanished: objects of the plan that are not there
    and that no record of the ledger explains. appeared: objects that the plan does not know. undecided: workloads whose
    decision is open. proofs: by workload, or by kind/id. activity: for each object of the plan what was done to it
    since the acceptance; None where that could not be read. shared: for each object, who else uses it. done: objects
    that the ledger says are gone.
    """

    now: str
    skew_s: float | None = None
    estate: str | None = None
    again: str | None = None
    unread: Sequence[str] | None = None
    vanished: Sequence[str] | None = None
    appeared: Sequence[str] | None = None
    undecided: Sequence[str] | None = None
    proofs: Mapping[str, Proof] | None = None
    activity: Mapping[str, Sequence[str] | None] | None = None
    shared: Mapping[str, Sequence[str]] | None = None
    escrow: EscrowCopy | None = None
    signed: Signed | None = None
    resting: Resting | None = None
    who: Who | None = None
    done: Collection[str] = ()


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A gate: whether it is open, why (not), and on what evidence."""

    name: str
    open: bool
    why: str
    evidence: dict[str, Any] = field(default_factory=dict)


_Judged = tuple[str, dict[str, Any]]
"""Why it is closed (empty: it is open), and the evidence."""


def judge(plan: Retirement, policy: policies.Policy, facts: Facts, act: Act = "purge") -> list[Gate]:
    """All gates of an act, in order. policy: as it is today; exceptions count only as the sealed plan has them."""
    scene = _Scene(plan, policy, facts, act)
    found = []
    for name in NEEDED[act]:
        why, evidence = _GATES[name](scene)
        said = WAIVED if "waivers" in evidence else TITLES[name]
        found.append(Gate(name=name, open=not why, why=why or said, evidence=evidence))
    return found


def unread(estate: estates.Estate) -> list[str]:
    """Kinds and services of an estate that are neither complete nor absent."""
    states = {kind: estate.read.get(kind, "not_read") for kind in kinds.KINDS}
    states |= {f"service {service.name}": service.state for service in estate.services}
    return sorted(f"{name}: {state}" for name, state in states.items() if state not in ("complete", "absent"))


def vanished(before: estates.Estate, now: estates.Estate, recorded: Collection[str]) -> list[str]:
    """Objects (kind/id) of an earlier reading that are not there any more, and that no record explains.

    Empty is not absent: a list that came back shorter than it was is a fault of the reading until the ledger says
    otherwise. recorded: what the ledger says is gone.
    """
    return _unexplained(_keys(before) - _keys(now), recorded)


def changes(plan: Retirement, now: estates.Estate, recorded: Collection[str]) -> tuple[list[str], list[str]]:
    """What vanished since a plan was made without a record, and what appeared since; kind/id, sorted."""
    planned = {item.ref.key for item in plan.items}
    planned |= {f"{kept.kind}/{kept.id}" for kept in plan.kept if kept.reason != "not_an_object"}
    there = _keys(now)
    return _unexplained(planned - there, recorded), sorted(there - planned)


def _keys(estate: estates.Estate) -> set[str]:
    """The objects of an estate; what is no object comes and goes with one, or by itself."""
    nothing = stages.not_an_object(estate)
    return {
        f"{kind}/{entry.id}" for kind in kinds.KINDS for entry in estate.of(kind) if (kind, entry.id) not in nothing
    }


def _unexplained(gone: Collection[str], recorded: Collection[str]) -> list[str]:
    known = frozenset(recorded)
    return sorted(key for key in gone if not stages.faces([key]) & known)


def undecided(plan: plans.Plan | None) -> list[str]:
    """Workloads of a migration plan whose question to the customer is open."""
    if plan is None:
        return []
    return sorted(
        host for host, workload in plan.workloads.items() if workload.decision and workload.decision.answer == "open"
    )


def held(policy: policies.Policy, now: str) -> list[policies.Hold]:
    """The holds that hold at a moment; the last day of a hold counts."""
    zone = timers.zone_of(policy)
    at = timers.moment(now)
    return [hold for hold in policy.holds if not hold.until or at < timers.ends(hold.until, zone)]


@dataclass(frozen=True)
class _Scene:
    plan: Retirement
    policy: policies.Policy
    facts: Facts
    act: Act

    @property
    def left(self) -> list[Item]:
        """What is still to be deleted."""
        return [item for item in self.plan.items if item.ref.key not in self.facts.done]

    def waived(self, gate: str, keys: Collection[str]) -> tuple[set[str], list[Waiver]]:
        """Of some objects, those that exceptions of the sealed plan are not for; and the exceptions."""
        waivers = [waiver for waiver in self.plan.waivers if waiver.gate == gate]
        if any(not waiver.objects for waiver in waivers):
            return set(), waivers
        return set(keys) - {key for waiver in waivers for key in waiver.objects}, waivers


def _some(found: Sequence[str]) -> str:
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return ", ".join(found[:5]) + more


def _unread(what: str) -> _Judged:
    return f"{what} was not read", {}


def _exceptions(waivers: Sequence[Waiver]) -> dict[str, Any]:
    return {"waivers": [f"{waiver.by}, {waiver.at}: {waiver.why}" for waiver in waivers]} if waivers else {}


def _decision(scene: _Scene) -> _Judged:
    decided = scene.policy.decision
    evidence = {"choice": decided.choice, "by": decided.by, "mandate": decided.mandate, "at": decided.at}
    if not all(str(value).strip() for value in evidence.values()):
        return "the decision says not who, with what mandate, or when", evidence
    if timers.ends(decided.at, timers.zone_of(scene.policy), days=-1) > timers.moment(scene.facts.now):
        return f"the decision is of {decided.at}, which is yet to come", evidence
    if scene.policy.tenant.project_id != scene.plan.tenant.project_id:
        return "the policy is another tenant's", evidence
    return "", evidence


def _inventory(scene: _Scene) -> _Judged:
    facts = scene.facts
    evidence: dict[str, Any] = {"planned": scene.plan.made.estate, "estate": facts.estate, "again": facts.again}
    if not facts.estate or not facts.again:
        return _unread("the estate, twice,")
    if facts.estate != facts.again:
        return "two readings of the estate differ", evidence
    for found, words in (
        (facts.unread, "not complete"),
        (facts.vanished, "not there, and no record says why"),
        (facts.appeared, "not known to the plan"),
        (facts.undecided, "waiting for the customer's answer"),
    ):
        if found is None:
            return f"whether anything is {words} was not read", evidence
        if found:
            return f"{words}: {_some(list(found))}", {**evidence, "found": list(found)[:50]}
    if facts.skew_s is None:
        return _unread("the cloud's clock")
    return "", {**evidence, "objects": len(scene.plan.items) + len(scene.plan.kept)}


def _accepted(scene: _Scene) -> _Judged:
    """Each item once more by today's policy: a decision that was taken back closes it."""
    policy, proofs, bad = scene.policy, scene.facts.proofs, []
    counts: dict[str, int] = {}
    for item in scene.left:
        counts[item.choice] = counts.get(item.choice, 0) + 1
        if item.choice == "residue":
            continue
        key = proof_name(policy, item)
        if item.choice == "moved":
            if proofs is None:
                return _unread("the proofs of what moved")
            proof = proofs.get(key)
            if proof is None or not proof.equal:
                bad.append(f"{item.ref.key} is not proven at the target")
            elif key == item.workload and key not in policy.acceptances:
                bad.append(f"{item.ref.key} is not accepted any more")
            continue
        choice = choice_of(policy, item.ref.kind, item.ref.id, item.workload)
        if choice is None and policy.decision.choice == "erase" and item.choice == "erased":
            continue
        if choice is None or choice.choice != item.choice or not choice.by.strip() or not choice.at:
            bad.append(f"{item.ref.key} is not {item.choice} by the policy of today")
    evidence = {
        "choices": dict(sorted(counts.items())),
        "policy": policy.digest(),
        "sealed_policy": scene.plan.made.policy,
    }
    return (
        ("; ".join(bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else ""), evidence)
        if bad
        else ("", evidence)
    )


def choice_of(policy: policies.Policy, kind: str, ident: str, workload: str) -> policies.Choice | None:
    """What the policy says of an object; None: nothing of its own. A workload is its server and its volumes."""
    one = policy.objects.get(kind, {}).get(ident)
    whole = policy.workloads.get(workload) if kind in ("servers", "volumes") else None
    return one or whole or policy.kinds.get(kind)


def proof_name(policy: policies.Policy, item: Item) -> str:
    """What the proof of an item that moved is called: its workload, or itself where it was decided by itself."""
    alone = item.ref.id in policy.objects.get(item.ref.kind, {}) or item.ref.kind not in ("servers", "volumes")
    return item.ref.key if alone or not item.workload else item.workload


def _read_again(scene: _Scene) -> _Judged:
    facts = scene.facts
    moved: dict[str, list[str]] = {}
    for item in scene.left:
        if item.choice == "moved" and item.ref.kind in ("volumes", *_OTHERS_WITH_PROOF):
            moved.setdefault(proof_name(scene.policy, item), []).append(item.ref.key)
    left, waivers = scene.waived("G4", [key for keys in moved.values() for key in keys])
    names = sorted(name for name, keys in moved.items() if left & set(keys))
    if not names:
        return "", {"read_again": 0, **_exceptions(waivers)}
    if facts.proofs is None:
        return _unread("what was read again today")
    now, bad = timers.moment(facts.now), []
    for name in names:
        proof = facts.proofs.get(name)
        if proof is None or not proof.day:
            bad.append(f"{name} was not read again")
            continue
        age = now - timers.moment(proof.day)
        if not datetime.timedelta(0) <= age <= datetime.timedelta(hours=FRESH_HOURS):
            bad.append(f"{name} was read again at {proof.day}, which is not today")
        elif not proof.equal or proof.source_now != proof.manifest:
            bad.append(f"{name} differs from its manifest")
        elif not proof.target_now:
            bad.append(f"{name} is not at the target, or fails its checks")
    evidence = {
        "digests": {name: facts.proofs[name].source_now for name in names if name in facts.proofs},
        **_exceptions(waivers),
    }
    return _some(bad), evidence


_OTHERS_WITH_PROOF = tuple(kind for kind in kinds.KINDS if kind not in ("servers", "volumes", "ports"))


def _silent(scene: _Scene) -> _Judged:
    left, waivers = scene.waived("G5", [item.ref.key for item in scene.left if not item.works])
    evidence: dict[str, Any] = _exceptions(waivers)
    if not left:
        return "", evidence
    activity = scene.facts.activity
    if activity is None:
        return _unread("what was done to the source")
    blind = sorted(key for key in left if activity.get(key) is None)
    if blind:
        return f"what was done to {_some(blind)} was not read", evidence
    busy = sorted(key for key in left if activity[key])
    if busy:
        return f"not silent: {busy[0]}: {_some(list(activity[busy[0]] or ()))}" + (
            f"; and {len(busy) - 1} more objects" if len(busy) > 1 else ""
        ), evidence
    return "", {**evidence, "silent": len(left)}


def _time(scene: _Scene) -> _Judged:
    facts, plan = scene.facts, scene.plan
    if facts.skew_s is None:
        return _unread("the cloud's clock")
    if abs(facts.skew_s) > SKEW_S:
        return f"the clocks differ by {facts.skew_s:.0f} seconds", {"skew_s": facts.skew_s}
    moved = {item.workload for item in plan.items if item.choice == "moved" and item.workload}
    verified = facts.escrow.restored_at if facts.escrow is not None else ""
    line = timers.timeline(scene.policy, moved=moved, escrow_verified=verified)
    # a date that was moved after people had signed counts only where it makes it later
    both = timers.Timeline(tuple(dict.fromkeys([*line.timers, *plan.timers])), line.unknown, line.zone)
    if scene.act == "quarantine":
        both = timers.Timeline(
            tuple(timer for timer in both.timers if timer.rule in FIRST_RULES or timer.bound == "not_after"),
            tuple(text for text in both.unknown if text.partition(" ")[0] in FIRST_RULES),
            both.zone,
        )
    before, after = both.not_before, both.not_after
    evidence = {
        "now": facts.now,
        "zone": line.zone,
        "not_before": f"{before.at} {before.rule}" if before else "",
        "not_after": f"{after.at} {after.rule}" if after else "",
    }
    return both.why_not(timers.moment(facts.now)), evidence


def _not_held(scene: _Scene) -> _Judged:
    holds = held(scene.policy, scene.facts.now)
    evidence = {"holds": [f"{hold.why} (until {hold.until or 'further notice'})" for hold in holds]}
    for hold in holds:
        if hold.all:
            return f"everything is held: {hold.why}", evidence
        names = [item.ref.key for item in scene.left if item.ref.key in hold.objects or item.workload in hold.workloads]
        if names:
            return f"{_some(names)} held: {hold.why}", evidence
    protected = [item.ref.key for item in scene.left if item.ref.key in stages.faces(scene.policy.protected)]
    return (f"protected now: {_some(protected)}" if protected else ""), evidence


def _notice(scene: _Scene) -> _Judged:
    notice = scene.policy.notice
    evidence = {"sent": notice.sent, "delivered": notice.delivered, "receipt": notice.receipt, "days": notice.days}
    if not (notice.sent and notice.delivered and notice.receipt):
        return "the notice was not sent, not delivered, or nothing proves it", evidence
    over = timers.ends(notice.delivered, timers.zone_of(scene.policy), days=notice.days)
    if timers.moment(scene.facts.now) < over:
        return f"its {notice.days} days are over at {timers.text(over)}", evidence
    return "", evidence


def _escrow(scene: _Scene) -> _Judged:
    copy, policy = scene.facts.escrow, scene.policy
    data = [item.ref.key for item in scene.left if item.ref.kind in ("volumes", "buckets", "containers")]
    left, waivers = scene.waived("G9", data)
    if waivers and not left:
        return "", _exceptions(waivers)
    if copy is None:
        return "there is no escrow copy, and the sealed plan has no waiver", {"store": policy.escrow.store}
    evidence = {"manifest": copy.manifest, "restored_at": copy.restored_at, **_exceptions(waivers)}
    lacking = sorted(set(copy.lacking) & left)
    if not copy.manifest or copy.restored != copy.manifest or not copy.restored_at:
        return "the escrow copy was not restored, or what came back differs", evidence
    return (f"not in the escrow copy: {_some(lacking)}" if lacking else ""), evidence


def _not_shared(scene: _Scene) -> _Judged:
    shared = scene.facts.shared
    if shared is None:
        return _unread("who else uses objects of the plan")
    found = {item.ref.key: list(shared.get(item.ref.key, ())) for item in scene.left if shared.get(item.ref.key)}
    if found:
        key = sorted(found)[0]
        return f"{key} is used by {_some(found[key])}", {"shared": dict(sorted(found.items()))}
    return "", {"objects": len(scene.left)}


def _signed(scene: _Scene) -> _Judged:
    signed, plan = scene.facts.signed, scene.plan
    if signed is None:
        return _unread("the seal")
    names = {name for name, _role in signed.people}
    roles = {role for _name, role in signed.people}
    evidence = {"digest": signed.digest, "signed": [f"{name} ({role})" for name, role in sorted(signed.people)]}
    if signed.problems:
        return _some(list(signed.problems)), evidence
    if signed.digest != plan.digest():
        return "what was signed is another plan", evidence
    if len(names) < max(2, plan.approvals.needed):
        return f"{len(names)} people signed; {plan.approvals.needed} must", evidence
    lacking = sorted(set(plan.approvals.roles) - roles)
    if lacking:
        return f"nobody signed for {', '.join(lacking)}", evidence
    if timers.moment(scene.facts.now) >= timers.moment(plan.expires):
        return f"the plan was valid until {plan.expires}", evidence
    return "", evidence


def _rested(scene: _Scene) -> _Judged:
    resting, plan = scene.facts.resting, scene.plan
    if resting is None or not resting.since:
        return _unread("the ledger's record of the quarantine")
    evidence = {"since": resting.since, "cool_off_hours": plan.cool_off_hours}
    if resting.plan != plan.digest():
        return "the quarantine was of another plan", evidence
    if resting.lacking:
        return f"not in quarantine: {_some(list(resting.lacking))}", evidence
    if resting.complaints:
        return f"somebody objected: {_some(list(resting.complaints))}", evidence
    over = timers.moment(resting.since) + datetime.timedelta(hours=plan.cool_off_hours)
    if timers.moment(scene.facts.now) < over:
        return f"the cool-off is over at {timers.text(over)}", evidence
    return "", evidence


def _credential(scene: _Scene) -> _Judged:
    who, tenant = scene.facts.who, scene.plan.tenant
    if who is None:
        return _unread("whose credential it is")
    evidence = {"user": who.user_id, "scope": who.scope, "roles": sorted(who.roles)}
    if not who.user_id or who.user_id == scene.plan.made.user_id:
        return "it is the credential that made the plan, or nobody's", evidence
    if who.scope != "project" or who.domain_admin:
        return "it could do more than one project needs, or that cannot be ruled out", evidence
    if (who.cloud, who.region, who.project_id) != (tenant.cloud, tenant.region, tenant.project_id):
        return f"it is for {who.project_id} in {who.region} of {who.cloud}", evidence
    wanted = scene.policy.executor.roles
    more = sorted(set(who.roles) - set(wanted)) if wanted else []
    return (f"it has more roles than it should: {', '.join(more)}" if more else ""), evidence


def _attended(scene: _Scene) -> _Judged:
    evidence = {"now": scene.facts.now, "zone": scene.policy.calendar.zone}
    return timers.unattended(scene.policy.calendar, timers.moment(scene.facts.now)), evidence


_GATES: dict[str, Callable[[_Scene], _Judged]] = {
    "G1": _decision,
    "G2": _inventory,
    "G3": _accepted,
    "G4": _read_again,
    "G5": _silent,
    "G6": _time,
    "G7": _not_held,
    "G8": _notice,
    "G9": _escrow,
    "G10": _not_shared,
    "G11": _signed,
    "G12": _rested,
    "credential": _credential,
    "calendar": _attended,
}
