# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judgement, the draft that is made from it, and the assessment that is told of the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.observations import Load, Metrics
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import draft as drafting
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import drift, emit, judge, policy

OPTIONS = drafting.Options(
    tenant="acme",
    datacenter="DC0",
    compute="C0",
    datastore="D0",
    default_network="VM Network",
    reader_server_id="r1",
)
READ: dict[str, e.ReadState] = dict.fromkeys(
    ("servers", "volumes", "snapshots", "images", "ports", "networks", "subnets", "security_groups", "floating_ips"),
    "complete",
)


def estate(*names: str, shared: bool = False, **changed: Any) -> e.Estate:
    """Servers s1, s2, … of these names, each with a disk of 10 GiB on a network of its own."""
    numbers = range(1, len(names) + 1)
    image = {"os_distro": "debian", "os_version": "12", "hw_firmware_type": "bios"}
    pair = [e.AddressPair("10.0.0.99")] if shared else []
    return replace(
        e.Estate(
            kind=e.KIND,
            version=e.VERSION,
            tenant=e.Tenant(project_id="p"),
            read=READ,
            servers=[
                e.Server(
                    id=f"s{n}",
                    name=name,
                    status="ACTIVE",
                    flavor=e.Flavor(name="m", vcpus=4, ram_mib=8192),
                    volumes=[e.Attachment(f"v{n}", "/dev/vda", True)],
                    ports=[f"p{n}"],
                )
                for n, name in zip(numbers, names, strict=True)
            ],
            volumes=[
                e.Volume(id=f"v{n}", status="in-use", size_gib=10, bootable=True, type="SSD", image_metadata=image)
                for n in numbers
            ],
            ports=[
                e.Port(
                    id=f"p{n}",
                    network_id="n0" if shared else f"n{n}",
                    device_id=f"s{n}",
                    mac=f"fa:16:3e:00:00:{n:02x}",
                    fixed_ips=[e.FixedIp(f"10.0.0.{n}")],
                    allowed_address_pairs=pair,
                )
                for n in numbers
            ],
            networks=[e.Network(id=f"n{n}", name=f"net {n}", project_id="p") for n in range(len(names) + 1)],
        ),
        **changed,
    )


def drafted(found: e.Estate, text: str = "version: 1\ndefault: target\nask: false\n", **more: Any) -> Any:
    given = judge.Inputs(policy=policy.loads(text), **more)
    judgement = judge.judge(found, drafting.inputs(OPTIONS, given))
    return judgement, drafting.draft(found, OPTIONS, judgement)


def test_the_policy_decides() -> None:
    text = """
version: 1
default: target
ask: false
destinations:
  - {id: old, when: {name: {glob: "old-*"}}, to: retire, reason: {en: Nobody uses it., fr: Personne ne s'en sert.}}
  - {id: db, when: {name: db}, to: rebuild, reason: A database service.}
answers:
  - {when: {name: old-2}, answer: refused}
  - {when: {name: db}, answer: agreed}
"""
    judgement, draft = drafted(estate("web", "old-1", "old-2", "db"), text)
    workloads = {w.source.name: w for w in draft.plan.workloads.values()}
    assert workloads["web"].move == "cold" and plans.loads(emit.to_text(draft.plan)) == draft.plan
    assert workloads["old-1"].reason.startswith(
        "the customer has not answered yet; proposed: it is retired. Nobody uses"
    )
    assert workloads["old-1"].decision.answer == "open"
    assert workloads["old-2"].reason.startswith("the customer refused: it is retired")
    assert workloads["db"].reason == "it is rebuilt as a service. A database service."
    assert workloads["db"].decision.to == "rebuild" and workloads["db"].move == "none"
    told = judge.assessment(estate("web", "old-1", "old-2", "db"), judgement, draft.plan, draft.plan)
    by_name = {w.name: w for w in told.workloads}
    assert [by_name[name].destination for name in ("web", "old-1", "db")] == ["vsphere", "retire", "rebuild"]
    assert by_name["old-1"].reasons_fr[0] == "Personne ne s'en sert." and by_name["old-1"].answer == "open"
    assert assessments.loads(assessments.to_text(told)) == told


def test_nobody_has_to_decide_without_a_policy() -> None:
    draft = drafting.draft(estate("web"), OPTIONS)
    (workload,) = list(draft.plan.workloads.values())
    assert workload.decision is None and workload.move == "cold" and "decision:\n" not in emit.to_text(draft.plan)


def test_sizes_and_storage() -> None:
    text = """
version: 1
default: target
ask: false
sizing: {mode: measured, comfort: 1.4, target_use: 70, min_samples: 10}
storage: {SSD: Gold}
"""
    load = Load(cpu_p95=25.0, memory_p95=25.0, samples=10)
    metrics = Metrics(kind="cloudexit.metrics", version=1, servers={"s1": load})
    _judgement, draft = drafted(estate("web", "db"), text, metrics=metrics)
    web, db = (next(w for w in draft.plan.workloads.values() if w.source.name == name) for name in ("web", "db"))
    assert (web.cpus, web.memory_mib, db.cpus, db.memory_mib) == (2, 4096, 4, 8192)
    assert web.disks[0].datastore == "Gold"
    written = emit.to_text(draft.plan, remarks=draft.remarks)
    assert "# cpus 4 → 2: 95 of 100 samples use at most 25 % (10 samples)" in written
    assert "# size as at the source: nobody measured it" in written


def test_waves_have_windows_and_forecasts() -> None:
    text = """
version: 1
default: target
ask: false
schedule:
  windows: [{start: 2026-12-05T20:00Z, hours: 4, name: First Night}, {start: 2026-12-12T20:00Z, hours: 2.5}]
  groups_per_team: 1
"""
    found = estate("web", "db")
    judgement, draft = drafted(found, text)
    assert [(name, w.start, w.hours) for name, w in draft.plan.waves.items()] == [
        ("first_night", "2026-12-05T20:00Z", 4.0),
        ("wave_2", "2026-12-12T20:00Z", 2.5),
    ]
    assert plans.loads(emit.to_text(draft.plan)) == draft.plan
    moved = replace(
        draft.plan,
        waves={
            "later": plans.Wave(
                groups=[g for w in draft.plan.waves.values() for g in w.groups], start="2027-01-01T00:00Z", hours=1
            )
        },
    )
    told = judge.assessment(found, judgement, moved, draft.plan)
    (wave,) = told.waves
    assert (wave.name, wave.start, wave.window_s, wave.workloads, wave.disk_gib) == (
        "later",
        "2027-01-01T00:00Z",
        3600,
        2,
        20,
    )
    assert 0 < wave.seconds <= wave.seconds_late and wave.fits is not None
    assert {w.wave for w in told.workloads} == {"later"} and {g.wave for g in told.groups} == {"later"}


def test_people_part_what_belongs_together() -> None:
    found = estate("one", "two", shared=True)
    judgement, draft = drafted(found)
    assert len({w.group for w in draft.plan.workloads.values()}) == 1 and len(judgement.groups) == 1
    hosts = list(draft.plan.workloads)
    workloads = {host: replace(w, group=f"g{n}") for n, (host, w) in enumerate(draft.plan.workloads.items())}
    plan = replace(draft.plan, workloads=workloads, waves={})
    told = judge.assessment(found, judgement, plan, draft.plan)
    (split,) = [finding for finding in told.findings if finding.rule == "group_split"]
    assert hosts[1] in split.seen and "10.0.0.99" in split.seen and split.seen_fr
    assert [group.cut > 0 for group in told.groups] == [True, True]
    assert not [
        f for f in judge.assessment(found, judgement, draft.plan, draft.plan).findings if f.rule == "group_split"
    ]


def test_people_name_workloads_and_sizes() -> None:
    found = estate("one", "two", shared=True)
    judgement, draft = drafted(found)
    (first, one), (second, two) = list(draft.plan.workloads.items())
    plan = replace(draft.plan, workloads={"mine": replace(one, cpus=32), second: two})
    told = judge.assessment(found, judgement, plan, draft.plan)
    assert [(w.host, w.cpus, w.target_cpus) for w in told.workloads] == [("mine", 4, 32), (second, 4, 4)]
    assert {edge.a for edge in told.edges} | {edge.b for edge in told.edges} == {"mine", second}
    assert told.groups[0].hosts == sorted(["mine", second]) and first not in assessments.to_text(told)
    assert told.plan == plan.digest() and told.estate == found.digest()


def test_a_plan_that_cannot_be_used() -> None:
    found = estate("one")
    judgement, draft = drafted(found)
    told = judge.assessment(found, judgement, None, draft.plan, to_fill=[plans.Problem("target", "is missing")])
    assert told.plan == "" and told.to_fill == ["target: is missing"] and len(told.workloads) == 1


def test_what_changes_did_to_the_plan() -> None:
    before = estate("one", "two", "three")
    judgement, first = drafted(before)
    one, two, _three = before.servers
    after = replace(
        before,
        servers=[replace(one, status="SHUTOFF", flavor=e.Flavor(vcpus=8, ram_mib=8192)), replace(two, locked=True)],
        volumes=[replace(before.volumes[0], size_gib=11), *before.volumes[1:], e.Volume(id="v9", name="loose")],
    )
    judgement, second = drafted(after)
    edited = dict(second.plan.workloads)
    host = next(host for host, w in edited.items() if w.source.id == "s2")
    edited[host] = replace(edited[host], cpus=99)
    gone = next(w for w in first.plan.workloads.values() if w.source.id == "s3")
    plan = replace(second.plan, workloads={**edited, "kept": gone})
    told = judge.assessment(after, judgement, plan, second.plan, drift=drift.drift(before, after))
    effects = {(change.kind, change.id, change.path): change.plan for change in told.drift}
    assert effects[("servers", "s1", "flavor.vcpus")] == "workload one-s1 follows"
    assert effects[("volumes", "v1", "size_gib")] == "workload one-s1 follows"
    assert effects[("servers", "s2", "locked")] == "workload two-s2 was edited: compare it"
    assert effects[("servers", "s3", "")] == "workload kept is kept in the plan, since it was edited"
    assert effects[("volumes", "v9", "")] == "decision: customer"
    (finding,) = [finding for finding in told.findings if finding.rule == "workload_gone"]
    assert finding.subject.id == "s3" and "kept" in finding.seen
    again = judge.assessment(after, judgement, second.plan, second.plan, drift=drift.drift(before, after))
    assert {c.plan for c in again.drift if c.id == "s3"} == {"removed from the plan"}


@pytest.mark.parametrize(
    ("changed", "kind", "ident", "decision"),
    [
        ({}, "networks", "n0", "translate"),
        ({"networks": [e.Network(id="x", shared=True, project_id="q")]}, "networks", "x", "leave"),
        ({"networks": [e.Network(id="x", external=True)]}, "networks", "x", "leave"),
        ({"images": [e.Image(id="i", visibility="public")]}, "images", "i", "leave"),
        ({"images": [e.Image(id="i", visibility="private")]}, "images", "i", "customer"),
        ({"ports": [e.Port(id="x")]}, "ports", "x", "leave"),
        ({"ports": [e.Port(id="x", device_id="d", device_owner="network:dhcp")]}, "ports", "x", "leave"),
        ({"floating_ips": [e.FloatingIp(id="f", address="203.0.113.1")]}, "floating_ips", "f", "replace"),
        ({"resources": {"secrets": [e.Resource(id="{{ x }}", name="a: b")]}}, "secrets", "{{ x }}", "recreate"),
    ],
)
def test_decisions_of_other_objects(changed: dict[str, Any], kind: str, ident: str, decision: str) -> None:
    found = estate("one", **changed)
    judgement, draft = drafted(found)
    assert draft.plan.objects[kind][ident].decision == decision
    assert plans.loads(emit.to_text(draft.plan)) == draft.plan
    told = judge.assessment(found, judgement, draft.plan, draft.plan)
    assert (kind, ident, decision) in {(item.kind, item.id, item.decision) for item in told.items}


def test_the_head_of_a_plan_is_told_anew() -> None:
    problems = [plans.Problem("a", "x"), plans.Problem("b", "y")]
    _judgement, draft = drafted(estate("one"))
    text = emit.to_text(draft.plan, to_fill=problems)
    assert emit.told(text, problems) == text
    assert emit.told(text, problems[1:]) == text.replace("#   a: x\n", "")
    assert emit.told(text, []) == emit.to_text(draft.plan)
    assert emit.told("x: 1\n", problems) == "x: 1\n"
    crlf = text.replace("\n", "\r\n")
    assert emit.told(crlf, problems) == crlf
