# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The retirement plan: what of an object is compared, and which objects may go."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement as documents
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement_policy as policies
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import retirement
from tests.unit.plugins.module_utils.planning import retirements as r

SERVER = model.Server(
    id="s1",
    name="web",
    status="ACTIVE",
    flavor=model.Flavor(name="m1", vcpus=2, ram_mib=4096, disk_gib=20),
    metadata={"team": "a", "cloudexit_run": "7"},
    security_groups=["default"],
    volumes=[model.Attachment("v2", "/dev/vdb"), model.Attachment("v1", "/dev/vda", boot=True)],
    ports=["p2", "p1"],
)
PORT = model.Port(
    id="p1",
    name="card",
    network_id="n1",
    mac="fa:16:3e:00:00:01",
    device_id="s1",
    device_owner="compute:nova",
    fixed_ips=[model.FixedIp("10.0.0.5", "sub1")],
    security_groups=["g1"],
)
MEMBER = model.Resource(
    id="m1", parent="pool1", properties={"address": "10.0.0.5", "admin_state_up": True, "weight": 1, "tags": ["x"]}
)


def test_what_a_quarantine_changes_is_not_compared() -> None:
    stopped = replace(SERVER, status="SHUTOFF", locked=True, security_groups=["closed"])
    assert retirement.seen("servers", stopped) == retirement.seen("servers", SERVER)
    closed = replace(PORT, security_groups=["closed"], admin_up=False, status="DOWN")
    assert retirement.seen("ports", closed) == retirement.seen("ports", PORT)
    off = replace(MEMBER, properties={**MEMBER.properties, "admin_state_up": False, "weight": 0})
    assert retirement.seen("lb_members", off) == retirement.seen("lb_members", MEMBER)


def test_the_order_of_an_answer_is_not_compared_but_its_content_is() -> None:
    seen = retirement.seen("servers", SERVER)
    assert retirement.seen("servers", replace(SERVER, ports=["p1", "p2"], volumes=SERVER.volumes[::-1])) == seen
    for change in ({"name": "x"}, {"ports": ["p1"]}, {"volumes": []}, {"metadata": {}}, {"tags": ["t"]}):
        now = retirement.seen("servers", replace(SERVER, **change))
        assert retirement.unlike(seen, now), change
    bigger = retirement.seen("volumes", model.Volume(id="v1", size_gib=11))
    assert retirement.unlike(retirement.seen("volumes", model.Volume(id="v1", size_gib=10)), bigger) == [
        "size_gib was 10, is 11"
    ]


def test_what_this_decommission_has_deleted_may_vanish_from_the_rest_and_nothing_else_may() -> None:
    attached = model.Volume(id="v1", size_gib=1, attachments=[model.VolumeAttachment("s1")])
    before, now = retirement.seen("volumes", attached), retirement.seen("volumes", replace(attached, attachments=[]))
    assert retirement.unlike(before, now, gone={"s1"}) == []
    assert retirement.unlike(before, now, gone={"s2"})
    # somebody attached it to another server, or to one that we had deleted
    other = retirement.seen("volumes", replace(attached, attachments=[model.VolumeAttachment("s9")]))
    assert retirement.unlike(before, other, gone={"s1"})
    assert retirement.unlike(now, before, gone={"s1"})
    free = retirement.seen("ports", replace(PORT, device_id="", device_owner=""))
    assert retirement.unlike(retirement.seen("ports", PORT), free, gone={"s1"}) == []
    leads = model.FloatingIp(id="f", address="198.51.100.1", port_id="p1", fixed_address="10.0.0.5")
    idle = replace(leads, port_id=None, fixed_address=None)
    seen = [retirement.seen("floating_ips", each) for each in (leads, idle)]
    assert retirement.unlike(*seen, gone={"p1"}) == [] != retirement.unlike(*seen)
    pool = model.Resource(id="p", properties={"members": [{"id": "m1"}, {"id": "m2"}], "vip_port_id": "p1", "n": 1})
    less = replace(pool, properties={"members": [{"id": "m2"}], "n": 1})
    seen = [retirement.seen("lb_pools", each) for each in (pool, less)]
    assert retirement.unlike(*seen, gone={"m1", "p1"}) == [] != retirement.unlike(*seen, gone={"m1"})


def test_every_kind_with_fields_of_its_own_is_compared_and_is_plain_data() -> None:
    everything = [
        SERVER,
        model.Volume(id="v"),
        model.Snapshot(id="s"),
        model.Image(id="i", size_bytes=3 << 29),
        PORT,
        model.Network(id="n"),
        model.Subnet(id="u"),
        model.SecurityGroup(id="g", rules=[model.Rule(id="r")]),
        model.FloatingIp(id="f", address="198.51.100.1"),
    ]
    for kind, obj in zip(model.kinds.TYPED, everything, strict=True):
        seen = retirement.seen(kind, obj)
        assert json.loads(json.dumps(seen)) == seen
        assert "status" not in seen
        retirement.created(kind, obj)
    assert retirement.name("floating_ips", everything[-1]) == "198.51.100.1"
    assert retirement.size_gib("images", everything[3]) == 1.5
    assert retirement.size_gib("servers", SERVER) == 0.0
    assert retirement.size_gib("servers", replace(SERVER, image_id="i")) == 20.0
    assert retirement.size_gib("buckets", model.Resource(id="b", size_gib=2.5)) == 2.5
    assert retirement.created("buckets", model.Resource(id="b", created="2020")) == "2020"


def fate(case: r.Case, key: str) -> str:
    return case.fates()[key]


def test_a_workload_that_moved_is_proven_and_accepted_goes_with_all_that_it_used() -> None:
    case = r.case()
    plan = case.draft()
    assert [(item.ref.key, item.choice) for item in plan.items] == [
        ("servers/s1", "moved"),
        ("volumes/v1", "moved"),
        ("volumes/v2", "moved"),
        ("ports/p1", "residue"),
        ("security_groups/g1", "residue"),
        ("subnets/u1", "residue"),
        ("networks/n1", "residue"),
    ]
    assert [(kept.id, kept.reason) for kept in plan.kept] == [("g0", "protected")]
    server = plan.item("servers/s1")
    assert server is not None
    assert server.takes == ["ports/p1", "volumes/v1", "volumes/v2"]
    assert server.why == "moved to vc/web, read back equal at 2026-12-01T00:00:00Z, accepted by Paul on 2026-12-05"
    assert plan.item("volumes/v1").after == ["servers/s1"]
    assert plan.timers and plan.waivers[0].gate == "G9"
    assert documents.loads(json.dumps(schema.dump(plan))).digest() == plan.digest()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"proofs": {}}, "not_migrated"),
        ({"proofs": {"web": r.proof(r.SERVER, manifest="", read_back="")}}, "not_migrated"),
        ({"proofs": {"web": r.proof(r.SERVER, read_back="sha256:other")}}, "not_verified"),
        ({"proofs": {"web": r.proof(r.SERVER, volumes=("v2",))}}, "not_verified"),
        ({"acceptances": {}}, "not_accepted"),
        ({"acceptances": {"web": policies.Acceptance(by="Paul", at="2027-02-03")}}, "not_accepted"),
        ({"plan": None, "acceptances": {}}, "undecided"),
        ({"plan": r.migration(web=r.workload(r.SERVER, move="none", reason="x"))}, "undecided"),
        ({"holds": [policies.Hold(workloads=["web"], why="dispute")]}, "held"),
        ({"holds": [policies.Hold(all=True, why="dispute")]}, "held"),
        ({"protected": {"volumes/v1": "evidence"}}, "protected"),
        ({"shared": {"volumes/v1": ["a transfer"]}}, "shared"),
    ],
)
def test_a_workload_stays_with_all_that_it_uses_and_says_why(changed: dict[str, Any], reason: str) -> None:
    case = r.case(**changed)
    fates = case.fates()
    assert fates["volumes/v1"] == reason
    assert not {"moved", "erased", "exported", "residue"} & set(fates.values())
    kept = {f"{entry.kind}/{entry.id}": entry for entry in case.draft().kept}
    assert "servers/s1" in kept["ports/p1"].detail or kept["ports/p1"].reason == reason


def test_a_hold_is_over_after_its_last_day() -> None:
    over = [policies.Hold(all=True, why="dispute", until="2027-02-01")]
    assert fate(r.case(holds=over), "servers/s1") == "moved"
    assert fate(r.case(holds=[replace(over[0], until="2027-02-02")]), "servers/s1") == "held"


def test_erased_and_exported_need_no_proof_and_copies_their_own_word() -> None:
    snapshot = model.Snapshot(id="sn", volume_id="v1")
    erased = {"workloads": {"web": r.ERASED}, "proofs": {}, "acceptances": {}, "snapshots": [snapshot]}
    fates = r.case(**erased).fates()
    assert (fates["snapshots/sn"], fates["volumes/v1"], fates["servers/s1"]) == ("undecided", "needed", "needed")
    fates = r.case(**erased, kinds={"snapshots": r.ERASED}).fates()
    assert (fates["snapshots/sn"], fates["volumes/v1"], fates["servers/s1"]) == ("erased", "erased", "erased")
    exported = replace(r.ERASED, choice="exported", what="qcow2", digest="sha256:1", handed_over="2026-12-01")
    plan = r.case(workloads={"web": exported}, proofs={}, acceptances={}).draft()
    assert plan.item("volumes/v1").choice == "exported"
    nothing = replace(exported, digest="")
    assert fate(r.case(workloads={"web": nothing}), "servers/s1") == "undecided"


def test_the_last_copy_is_never_chosen_with_its_kind() -> None:
    backups = [r.res("b1", "v1", volume_id="v1"), r.res("b2", "lost", volume_id="lost")]
    case = r.case(resources={"volume_backups": backups}, kinds={"volume_backups": r.ERASED})
    assert (fate(case, "volume_backups/b1"), fate(case, "volume_backups/b2")) == ("erased", "undecided")
    by_itself = r.case(resources={"volume_backups": backups}, objects={"volume_backups": {"b2": r.ERASED}})
    assert fate(by_itself, "volume_backups/b2") == "erased"
    # a backup that stays is named as what can be restored
    assert "volume_backups/b1 stays" in by_itself.draft().item("volumes/v1").restorable


def test_an_image_is_a_copy_only_where_it_says_so() -> None:
    images = [
        model.Image(id="up", owner="p"),
        model.Image(id="of", owner="p", properties={"instance_uuid": "s1"}),
        model.Image(id="lost", owner="p", properties={"instance_uuid": "s9"}),
    ]
    fates = r.case(images=images, kinds={"images": r.ERASED}).fates()
    assert (fates["images/up"], fates["images/of"], fates["images/lost"]) == ("erased", "erased", "undecided")


def test_a_tenant_that_is_only_erased_keeps_what_belongs_to_the_whole_account_and_its_keys() -> None:
    resources = {kind: [r.res("x")] for kind in ("buckets", "keys", "secrets", "rds_instances", "image_repositories")}
    case = r.case(
        plan=None,
        proofs={},
        acceptances={},
        resources=resources,
        decision=policies.Decided(choice="erase", by="Jeanne", mandate="CIO", at="2026-10-01"),
    )
    fates = case.fates()
    assert (fates["servers/s1"], fates["volumes/v1"], fates["rds_instances/x"]) == ("erased", "erased", "erased")
    for kind in ("buckets", "keys", "secrets", "image_repositories"):
        assert fates[f"{kind}/x"] == "undecided"


def test_a_key_goes_only_when_nothing_that_it_encrypts_stays() -> None:
    volumes = [replace(v, encrypted=True, metadata={"__system__cmkid": "k"}) for v in r.estate().volumes]
    chosen = {"objects": {"keys": {"k": r.ERASED}}, "volumes": volumes}
    keys = {"keys": [r.res("k")]}
    plan = r.case(**chosen, resources=keys).draft()
    assert plan.items[-1].ref.key == "keys/k"
    assert plan.items[-1].after == ["volumes/v1", "volumes/v2"]
    backup = {"volume_backups": [r.res("b", "v1", volume_id="v1")], **keys}
    assert fate(r.case(**chosen, resources=backup), "keys/k") == "needed"


def test_reader_hosts_go_last_or_stay_and_never_before_what_they_read() -> None:
    helper = model.Server(id="a0", name="reader", volumes=[model.Attachment("rv", boot=True)])
    plan = replace(r.migration(web=r.workload(r.SERVER, reader="rd")), readers={"rd": plans.Reader(server_id="a0")})
    more = {"servers": [helper, r.SERVER], "volumes": [*r.estate().volumes, model.Volume(id="rv")], "plan": plan}
    found = r.case(**more).draft()
    assert [i.ref.key for i in found.items if i.stage == "servers"] == ["servers/s1", "servers/a0"]
    assert fate(r.case(**more), "volumes/rv") == "residue"
    assert fate(r.case(**more, reader_hosts="keep"), "servers/a0") == "protected"
    assert fate(r.case(**more, proofs={}), "servers/a0") == "needed"
    # a disk with data on it is decided by people
    data = replace(helper, volumes=[*helper.volumes, model.Attachment("v9")])
    more |= {"servers": [data, r.SERVER], "volumes": [*more["volumes"], model.Volume(id="v9")]}
    assert (fate(r.case(**more), "volumes/v9"), fate(r.case(**more), "servers/a0")) == ("undecided", "needed")


def test_a_reader_host_works_until_its_turn_with_all_that_it_needs() -> None:
    helper = model.Server(id="a0", name="reader", volumes=[model.Attachment("rv", boot=True)], ports=["rp"])
    plan = replace(r.migration(web=r.workload(r.SERVER, reader="rd")), readers={"rd": plans.Reader(server_id="a0")})
    parts: dict[str, Any] = {
        "servers": [helper, r.SERVER],
        "volumes": [*r.estate().volumes, model.Volume(id="rv")],
        "ports": [*r.estate().ports, replace(r.estate().ports[0], id="rp", device_id="a0")],
        "floating_ips": [
            model.FloatingIp(id=f"f-{port}", address=f"198.51.100.{number}", port_id=port)
            for number, port in enumerate(("rp", "p1"))
        ],
    }
    working = {item.ref.key for item in r.case(**parts, plan=plan).draft().items if item.works}
    assert working == {"servers/a0", "volumes/rv", "ports/rp", "floating_ips/f-rp"}
    # a reader host that moves by itself is put to rest like others
    both = replace(plan, workloads={**plan.workloads, "rd": r.workload(helper)})
    assert not any(item.works for item in r.case(**parts, plan=both).draft().items)


def test_what_a_migration_left_behind_goes_with_what_it_was_made_for() -> None:
    own = {"cloudexit_tenant": "acme", "cloudexit_source_id": "v1"}
    left = {"snapshots": [model.Snapshot(id="sn", volume_id="v1", metadata=own)]}
    left["volumes"] = [*r.estate().volumes, model.Volume(id="cl", snapshot_id="sn", metadata=own)]
    plan = r.case(**left).draft()
    order = [item.ref.key for item in plan.items if item.stage == "volumes"]
    assert order == ["volumes/cl", "volumes/v2", "snapshots/sn", "volumes/v1"]
    assert fate(r.case(**left, proofs={}), "volumes/cl") == "needed"
    others = {**left, "snapshots": [replace(left["snapshots"][0], metadata={**own, "cloudexit_tenant": "else"})]}
    assert fate(r.case(**others), "snapshots/sn") == "undecided"


def test_the_fence_of_what_moved_does_not_make_it_something_made_for_a_migration() -> None:
    fenced = replace(r.SERVER, metadata={"cloudexit_tenant": "acme", "cloudexit_source_id": r.SERVER.id})
    assert fate(r.case(servers=[fenced]), f"servers/{r.SERVER.id}") == fate(r.case(), f"servers/{r.SERVER.id}")


def test_what_works_for_something_that_stays_stays() -> None:
    other = model.Server(id="s2", ports=["p2"])
    port = replace(r.estate().ports[0], id="p2", device_id="s2", fixed_ips=[model.FixedIp("10.0.0.6", "u1")])
    inner = model.Port(
        id="ri",
        network_id="n1",
        device_id="r1",
        device_owner="network:router_interface",
        fixed_ips=[model.FixedIp("10.0.0.1", "u1")],
    )
    addresses = [model.FloatingIp(id=f"f{p}", address=f"198.51.100.{p}", port_id=f"p{p}") for p in (1, 2)]
    parts = {
        "servers": [r.SERVER, other],
        "ports": [*r.estate().ports, port, inner],
        "floating_ips": addresses,
        "resources": {"routers": [r.res("r1")], "alarms": [r.res(f"a{s}", d=[{"value": s}]) for s in ("s1", "s2")]},
    }
    fates = r.case(**parts).fates()
    for key in ("routers/r1", "floating_ips/f2", "networks/n1", "subnets/u1", "alarms/as2"):
        assert fates[key] == "needed", key
    for key in ("servers/s1", "ports/p1", "floating_ips/f1", "alarms/as1"):
        assert fates[key] in ("moved", "residue"), key
    # people may choose that it goes all the same, but not what an address that stays cannot be without
    chosen = {"alarms": {"as2": r.ERASED}, "routers": {"r1": r.ERASED}}
    fates = r.case(**parts, objects=chosen).fates()
    assert (fates["alarms/as2"], fates["routers/r1"]) == ("erased", "needed")


def test_no_plan_is_made_of_readings_that_have_holes() -> None:
    case = r.case()

    def refused(known: retirement.Known = case.known, again: model.Estate = case.estate, **parts: Any) -> str:
        with pytest.raises(InvalidInput) as caught:
            retirement.draft(replace(case.estate, **parts), again, case.plan, case.policy, known)
        return "; ".join(str(problem) for problem in caught.value.problems)

    assert "two readings differ" in refused(again=replace(case.estate, volumes=[]))
    assert "volumes: partial" in refused(read={**r.READ, "volumes": "partial"})
    assert "keys: not_read" in refused(read={kind: "complete" for kind in r.READ if kind != "keys"})
    assert "service dns: not_read" in refused(services=[model.Service("dns", "not_read")])
    assert "is of project" in refused(tenant=model.Tenant(project_id="q", region="R1"))
    for key in ("at", "user_id", "ledger", "cloud", "signers"):
        assert f"{key}: is not known" in refused(known=replace(case.known, **{key: " "}))
    absent = replace(case.estate, read={**r.READ, "keys": "absent"})
    retirement.draft(absent, absent, case.plan, case.policy, case.known)


def test_names_that_nothing_has_are_refused_since_they_protect_nothing() -> None:
    case = r.case(
        holds=[policies.Hold(objects=["volumes/v7"], workloads=["wob"], why="x")],
        protected={"buckets/audit": "x"},
        workloads={"wbe": r.ERASED},
        objects={"volumes": {"v8": r.ERASED}},
        acceptances={"veb": policies.Acceptance(by="x", at="2026-12-05")},
    )
    with pytest.raises(InvalidInput) as caught:
        case.draft()
    text = "; ".join(str(problem) for problem in caught.value.problems)
    assert all(name in text for name in ("volumes/v7", "wob", "buckets/audit", "wbe", "volumes/v8", "veb"))


def test_objects_that_vanished_without_a_record_stop_everything() -> None:
    before = r.estate(resources={"buckets": [r.res("b")]})
    with pytest.raises(InvalidInput, match=r"buckets/b was there before") as caught:
        r.case(previous=before).draft()
    assert caught.value.hint
    r.case(previous=before, recorded=["buckets/b"]).draft()


def test_whose_an_object_is_and_who_else_uses_it() -> None:
    rest = {
        "routers": [r.res("theirs", project_id="q"), r.res("old", tenant_id="q"), r.res("ours", project_id="p")],
        "peerings": [r.res("both", accept={"deep": [{"tenant_id": "q"}]}), r.res("own", accept={"tenant_id": "p"})],
    }
    fates = r.case(resources=rest).fates()
    assert (fates["routers/theirs"], fates["routers/old"], fates["routers/ours"]) == ("foreign", "foreign", "residue")
    assert (fates["peerings/both"], fates["peerings/own"]) == ("shared", "residue")


def test_networks_and_images_of_others_stay_and_so_does_what_nobody_is_known_to_own() -> None:
    networks = [
        model.Network(id="ext", project_id="p", external=True),
        model.Network(id="theirs", project_id="q"),
        model.Network(id="whose"),
        model.Network(id="all", project_id="p", shared=True),
    ]
    subnets = [model.Subnet(id="lost", network_id="elsewhere"), model.Subnet(id="in", network_id="theirs")]
    images = [model.Image(id="theirs", owner="q"), model.Image(id="whose")]
    fates = r.case(networks=networks, subnets=subnets, images=images, ports=[], kinds={"images": r.ERASED}).fates()
    assert [fates[f"networks/{n.id}"] for n in networks] == ["foreign", "foreign", "unreadable", "shared"]
    assert [fates[f"subnets/{s.id}"] for s in subnets] == ["foreign", "foreign"]
    assert [fates[f"images/{i.id}"] for i in images] == ["foreign", "foreign"]


def test_an_open_question_keeps_a_workload_and_a_port_is_its_devices() -> None:
    asked = r.workload(r.SERVER, decision=plans.Decision(to="vsphere", answer="open"))
    assert fate(r.case(plan=r.migration(web=asked)), "servers/s1") == "undecided"
    # the server does not name its port, the port names the server
    silent = r.case(servers=[replace(r.SERVER, ports=[])])
    assert "ports/p1" in silent.draft().item("servers/s1").takes


def test_a_dedicated_host_stays_as_long_as_a_server_may_be_on_it() -> None:
    other = model.Server(id="s2")
    host = replace(r.res("deh"), properties={"instance_total": 1})
    both = {"servers": [r.SERVER, other], "resources": {"dedicated_hosts": [host]}}
    assert fate(r.case(**both), "dedicated_hosts/deh") == "needed"
    empty = {**both, "resources": {"dedicated_hosts": [replace(host, properties={"instance_total": 0})]}}
    assert fate(r.case(**empty), "dedicated_hosts/deh") != "needed"
    assert fate(r.case(servers=[r.SERVER], resources=both["resources"]), "dedicated_hosts/deh") != "needed"
