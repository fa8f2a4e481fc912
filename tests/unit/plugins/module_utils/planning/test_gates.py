# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gates: one open case, and everything that closes each of them. What was not read closes it too."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement_policy as policies
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import gates
from tests.unit.plugins.module_utils.planning import retirements as r

ROOT = Path(__file__).resolve().parents[5]
ESCROW = policies.Escrow(store="s3://x/y", recipients=["c.pem"])
COPY = gates.EscrowCopy(manifest="sha256:m", restored="sha256:m", restored_at="2026-12-20T00:00:00Z")
WHO = model.Who(user_id="purger", cloud="iam.example", region="R1", project_id="p", roles=("retire",))
EARLY = "2027-01-30T09:00:00Z"
PEOPLE = (("anna", "customer"), ("bert", "operations"), ("carl", "security"))


def signed(digest: str, people: tuple[tuple[str, str], ...], problems: tuple[str, ...] = ()) -> gates.Signed:
    return gates.Signed(digest=digest, people=people, problems=problems)


def resting(plan: str, since: str, **changed: Any) -> gates.Resting:
    return gates.Resting(plan=plan, since=since, **changed)


class Scene:
    """A plan, a policy and facts with which everything is open."""

    def __init__(self, **changed: Any) -> None:
        case = r.case(escrow=ESCROW, escrow_verified=COPY.restored_at, **changed)
        self.policy, self.plan = case.policy, case.draft()
        keys = [item.ref.key for item in self.plan.items]
        self.facts = gates.Facts(
            now=r.NOW,
            skew_s=1.0,
            estate="sha256:e",
            again="sha256:e",
            unread=[],
            vanished=[],
            appeared=[],
            undecided=[],
            proofs=case.known.proofs,
            activity={key: [] for key in keys},
            shared={},
            escrow=COPY,
            signed=signed(self.plan.digest(), PEOPLE),
            resting=resting(self.plan.digest(), EARLY),
            who=WHO,
        )

    def closed(self, act: gates.Act = "purge", policy: policies.Policy | None = None, **facts: Any) -> dict[str, str]:
        found = gates.judge(self.plan, policy or self.policy, replace(self.facts, **facts), act)
        assert [gate.name for gate in found] == list(gates.NEEDED[act])
        json.dumps([gate.evidence for gate in found])
        assert all(gate.why for gate in found)
        return {gate.name: gate.why for gate in found if not gate.open}


SCENE = Scene()


def test_everything_is_open_for_purge_and_for_quarantine() -> None:
    assert SCENE.closed() == {}
    assert SCENE.closed("quarantine") == {}


def test_a_fact_that_was_not_read_closes_a_gate() -> None:
    closes = {
        "skew_s": {"G2", "G6"},
        "estate": {"G2"},
        "again": {"G2"},
        "unread": {"G2"},
        "vanished": {"G2"},
        "appeared": {"G2"},
        "undecided": {"G2"},
        "proofs": {"G3", "G4"},
        "activity": {"G5"},
        "shared": {"G10"},
        "escrow": {"G6", "G9"},
        "signed": {"G11"},
        "resting": {"G12"},
        "who": {"credential"},
    }
    optional = {field.name for field in fields(gates.Facts)} - {"now", "done"}
    assert set(closes) == optional
    for name, wanted in closes.items():
        assert set(SCENE.closed(**{name: None})) == wanted, name
    # with nothing read, what the policy alone says is all that is open
    nothing = gates.judge(SCENE.plan, SCENE.policy, gates.Facts(now=r.NOW))
    assert {gate.name for gate in nothing if gate.open} == {"G1", "G7", "G8", "calendar"}


def other(proof: dict[str, Any]) -> dict[str, gates.Proof]:
    return {"web": r.proof(r.SERVER, **proof)}


CLOSES: list[tuple[str, dict[str, Any], str]] = [
    ("G2", {"again": "sha256:f"}, "differ"),
    ("G2", {"unread": ["keys: partial"]}, "keys: partial"),
    ("G2", {"vanished": ["buckets/b"]}, "no record says why"),
    ("G2", {"appeared": ["servers/new"]}, "servers/new"),
    ("G2", {"undecided": ["db"]}, "db"),
    ("G3", {"proofs": {}}, "not proven"),
    ("G3", {"proofs": other({"read_back": "sha256:x"})}, "not proven"),
    ("G4", {"proofs": other({"day": ""})}, "not read again"),
    ("G4", {"proofs": other({"day": "2027-02-01T09:59:59Z"})}, "not today"),
    ("G4", {"proofs": other({"day": "2027-02-02T10:00:01Z"})}, "not today"),
    ("G4", {"proofs": other({"source_now": "sha256:x"})}, "differs"),
    ("G4", {"proofs": other({"target_now": False})}, "not at the target"),
    ("G6", {"skew_s": 301.0}, "clocks"),
    ("G6", {"skew_s": -301.0}, "clocks"),
    ("G6", {"now": "2026-12-21T10:00:00Z"}, "retrieval"),
    ("G9", {"escrow": replace(COPY, restored="sha256:x")}, "differs"),
    ("G9", {"escrow": replace(COPY, lacking=("volumes/v1",))}, "volumes/v1"),
    ("G10", {"shared": {"networks/n1": ["project other"]}}, "project other"),
    ("G11", {"signed": signed("sha256:other", PEOPLE)}, "another plan"),
    ("G11", {"signed": signed(SCENE.plan.digest(), PEOPLE, ("anna: the signature is wrong",))}, "anna"),
    ("G11", {"signed": signed(SCENE.plan.digest(), PEOPLE[:2])}, "2 people"),
    ("G11", {"signed": signed(SCENE.plan.digest(), (*PEOPLE[:2], ("anna", "security")))}, "2 people"),
    ("G11", {"signed": signed(SCENE.plan.digest(), (*PEOPLE[:2], ("dora", "operations")))}, "security"),
    ("G11", {"now": "2027-03-09T10:00:00Z"}, "valid until"),
    ("G12", {"resting": resting("sha256:other", "2027-01-01T00:00:00Z")}, "another plan"),
    ("G12", {"resting": resting(SCENE.plan.digest(), "")}, "not read"),
    ("G12", {"resting": resting(SCENE.plan.digest(), "2027-01-30T10:00:01Z")}, "over at"),
    ("G12", {"resting": resting(SCENE.plan.digest(), EARLY, lacking=("servers/s1",))}, "servers/s1"),
    ("G12", {"resting": resting(SCENE.plan.digest(), EARLY, complaints=("the shop is down",))}, "shop"),
    ("credential", {"who": replace(WHO, user_id="planner")}, "made the plan"),
    ("credential", {"who": replace(WHO, user_id="")}, "nobody"),
    ("credential", {"who": replace(WHO, domain_admin=True)}, "more than one project"),
    ("credential", {"who": replace(WHO, scope="domain")}, "more than one project"),
    ("credential", {"who": replace(WHO, project_id="q")}, "it is for q"),
    ("credential", {"who": replace(WHO, cloud="iam.other")}, "iam.other"),
    ("calendar", {"now": "2027-02-05T10:00:00Z"}, "days of the week"),
]


@pytest.mark.parametrize(("gate", "facts", "words"), CLOSES)
def test_each_gate_is_closed_by_what_it_is_there_for(gate: str, facts: dict[str, Any], words: str) -> None:
    closed = SCENE.closed(**facts)
    assert gate in closed
    assert words in closed[gate]


def test_an_object_that_is_busy_or_cannot_be_watched_closes_the_soak() -> None:
    activity = dict(SCENE.facts.activity or {})
    assert "written to" in SCENE.closed(activity={**activity, "volumes/v1": ["written to"]})["G5"]
    assert "not read" in SCENE.closed(activity={**activity, "volumes/v1": None})["G5"]
    del activity["ports/p1"]
    assert "ports/p1" in SCENE.closed(activity=activity)["G5"]
    # what is gone is not asked again
    assert "G5" not in SCENE.closed(activity=activity, done=["ports/p1"])


def test_a_reader_host_is_not_asked_for_silence() -> None:
    """What moved is read through it, on the day."""
    scene = Scene()
    scene.plan = replace(
        scene.plan, items=[replace(item, works=item.ref.key == "ports/p1") for item in scene.plan.items]
    )
    of_now = {"signed": signed(scene.plan.digest(), PEOPLE), "resting": resting(scene.plan.digest(), EARLY)}
    activity = dict(scene.facts.activity or {})
    assert scene.closed(**of_now, activity={**activity, "ports/p1": ["attached"]}) == {}
    assert scene.closed(**of_now, activity={**activity, "volumes/v1": ["attached"]}).keys() == {"G5"}


def test_the_policy_of_today_closes_what_was_open_when_it_was_sealed() -> None:
    def today(**changed: Any) -> dict[str, str]:
        return SCENE.closed(policy=replace(SCENE.policy, **changed))

    assert today(acceptances={}).keys() == {"G3", "G6"}
    assert today(holds=[policies.Hold(objects=["volumes/v1"], why="dispute")]) == {"G7": "volumes/v1 held: dispute"}
    assert today(holds=[policies.Hold(workloads=["web"], why="dispute")]).keys() == {"G7"}
    assert today(holds=[policies.Hold(all=True, why="dispute")]).keys() == {"G6", "G7"}
    assert today(holds=[policies.Hold(all=True, why="dispute", until="2027-02-01")]) == {}
    assert today(protected={"networks/n1": "evidence"}).keys() == {"G7"}
    assert today(notice=policies.Notice(sent="2026-12-01")).keys() == {"G6", "G8"}
    assert today(notice=replace(SCENE.policy.notice, receipt="")).keys() == {"G8"}
    assert today(notice=replace(SCENE.policy.notice, delivered="2027-01-20")).keys() == {"G6", "G8"}
    assert today(decision=replace(SCENE.policy.decision, at="2027-02-03")).keys() == {"G1"}
    assert today(decision=replace(SCENE.policy.decision, mandate=" ")).keys() == {"G1"}
    assert today(contract=policies.Contract(end="2027-01-31")).keys() == {"G6"}
    assert today(executor=policies.Executor(roles=["reader"])).keys() == {"credential"}


def test_a_date_that_was_moved_forward_after_the_signatures_does_not_count() -> None:
    early = policies.Switching(asked="2026-08-01", notice_ends="2026-08-02", transition_end="2026-08-03")
    moved = replace(
        SCENE.policy, switching=early, notice=replace(SCENE.policy.notice, sent="2026-01-01", delivered="2026-01-01")
    )
    assert "G6" in SCENE.closed(policy=moved, now="2026-12-22T10:00:00Z")
    # the sealed end stays as well
    scene = Scene(contract=policies.Contract(end="2027-01-31"))
    assert "contract_end" in scene.closed(policy=replace(scene.policy, contract=policies.Contract()))["G6"]


def test_a_conflict_is_told_with_both_sides() -> None:
    public = policies.Contract(public=True, returned="2026-09-01")
    why = Scene(contract=public).closed()["G6"]
    assert why.startswith("CONFLICT") and "retrieval" in why and "public_return" in why


def test_exceptions_count_only_as_the_sealed_plan_has_them() -> None:
    given = {"by": "Jeanne", "at": "2026-12-01", "why": "no counters"}
    waiver = [model.Waiver(gate="G5", **given), model.Waiver(gate="G4", objects=["volumes/v1", "volumes/v2"], **given)]
    facts = {"activity": None, "proofs": other({"day": ""})}
    assert SCENE.closed(policy=replace(SCENE.policy, waivers=waiver), **facts).keys() == {"G4", "G5"}
    scene = Scene(waivers=waiver)
    assert scene.closed(**facts) == {}
    # an exception for one object is for no other
    one = Scene(waivers=[replace(waiver[1], objects=["volumes/v1"])])
    assert one.closed(**{**facts, "activity": one.facts.activity}).keys() == {"G4"}
    # and none is for another gate, whoever wrote it into a plan
    forged = replace(SCENE.plan, waivers=[model.Waiver(gate=gate, **given) for gate in gates.TITLES])
    nothing = gates.judge(forged, SCENE.policy, gates.Facts(now=r.NOW))
    assert {gate.name for gate in nothing if gate.open} == {"G1", "G5", "G7", "G8", "calendar"} | {"G4", "G9"}


def test_an_escrow_that_the_customer_does_without_is_a_waiver_of_the_plan() -> None:
    case = r.case()
    scene = Scene()
    scene.plan, scene.policy = case.draft(), case.policy
    seal, rest = signed(scene.plan.digest(), PEOPLE), resting(scene.plan.digest(), EARLY)
    assert scene.closed(escrow=None, signed=seal, resting=rest) == {}


def test_what_is_only_erased_or_handed_over_needs_no_proof_but_its_decision_as_of_today() -> None:
    scene = Scene(workloads={"web": r.ERASED}, proofs={}, acceptances={})
    assert scene.closed(proofs={}) == {}
    assert scene.closed(policy=replace(scene.policy, workloads={})).keys() == {"G3"}
    exported = replace(r.ERASED, choice="exported", what="x", digest="sha256:1", handed_over="2026-12-01")
    assert scene.closed(policy=replace(scene.policy, workloads={"web": exported})).keys() == {"G3"}
    erase = policies.Decided(choice="erase", by="Jeanne", mandate="CIO", at="2026-10-01")
    everything = Scene(plan=None, proofs={}, acceptances={}, decision=erase)
    assert everything.closed(proofs={}) == {}
    assert everything.closed(policy=SCENE.policy, proofs={}).keys() == {"G3"}


def test_a_quarantine_waits_until_nothing_has_to_be_fetched_any_more_and_not_for_the_rest() -> None:
    early = "2026-12-22T10:00:00Z"
    assert "retrieval" in SCENE.closed("quarantine", now=early)["G6"]
    assert SCENE.closed("quarantine", escrow=None, resting=None) == {}


def test_a_quarantine_wants_the_source_silent_since_what_it_does_hides_what_was_before() -> None:
    assert SCENE.closed("quarantine", activity=None).keys() == {"G5"}


def test_vanished_tells_what_no_record_explains() -> None:
    rest = {"vpcs": [r.res("x"), r.res("y")], "routers": [r.res("x")], "keys": [r.res("k")], "metrics": [r.res("m")]}
    before, now = r.estate(resources=rest), r.estate(volumes=[])
    assert gates.vanished(before, now, []) == ["keys/k", "routers/x", "volumes/v1", "volumes/v2", "vpcs/y"]
    # one kind's record explains another's only where both show one object
    assert gates.vanished(before, now, ["routers/x", "routers/y", "snapshots/k", "volumes/v1"]) == [
        "keys/k",
        "volumes/v2",
    ]
    assert gates.vanished(now, before, []) == []


def test_changes_since_a_plan_are_what_vanished_without_a_record_and_what_is_new() -> None:
    plan = r.case().draft()
    now = r.estate(volumes=[], security_groups=[], resources={"keys": [r.res("new")], "metrics": [r.res("m")]})
    vanished = ["security_groups/g0", "security_groups/g1", "volumes/v1", "volumes/v2"]
    assert gates.changes(plan, now, []) == (vanished, ["keys/new"])
    assert gates.changes(plan, now, ["volumes/v1", "volumes/v2"]) == (vanished[:2], ["keys/new"])
    assert gates.changes(plan, r.estate(), []) == ([], [])


def test_undecided_tells_open_questions() -> None:
    asked = r.workload(r.SERVER, decision=plans.Decision(to="vsphere", answer="open"))
    assert gates.undecided(r.migration(web=asked, db=r.workload(r.SERVER))) == ["web"]
    assert gates.undecided(None) == []


def test_the_manual_has_every_gate() -> None:
    page = (ROOT / "docs" / "decommission.md").read_text(encoding="utf-8")
    for name, title in gates.TITLES.items():
        assert f"| {name} | {title} |" in page, name
