# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accidents that destructive tools had, and why they cannot happen here: those that a plan can prevent.

Each test is named after the accident; what prevents the others is in the tests of the executor.
"""

from __future__ import annotations

import inspect
from dataclasses import fields, replace
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement as model
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import retirement_policy as policies
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning import closure, gates, timers
from tests.unit.plugins.module_utils.planning import retirements as r

LEAST: dict[str, Any] = schema.dump(r.policy(acceptances={}, escrow=policies.Escrow()))


def problems(**parts: Any) -> str:
    return "; ".join(str(problem) for problem in policies.parse({**LEAST, **parts})[1])


def test_cloud_nuke_812_a_deletion_that_cascades_to_what_is_protected_is_refused_when_planned() -> None:
    """An instance that was excluded went with an interface that was not."""
    case = r.case(protected={"volumes/v2": "evidence"})
    fates = case.fates()
    assert fates["servers/s1"] == "needed"
    kept = {f"{entry.kind}/{entry.id}": entry.detail for entry in case.draft().kept}
    assert "takes volumes/v2 along" in kept["servers/s1"]
    # a port that is held keeps its server, since the server's deletion takes it
    held = r.case(holds=[policies.Hold(objects=["ports/p1"], why="trace")])
    assert held.fates()["servers/s1"] == "needed"
    # and a balancer goes only with all its parts
    parts = {"load_balancers": [r.res("lb")], "lb_pools": [r.res("pool", "lb")], "lb_members": [r.res("m", "pool")]}
    balanced = r.case(resources=parts, protected={"lb_members/m": "x"}).fates()
    assert (balanced["load_balancers/lb"], balanced["lb_pools/pool"]) == ("needed", "needed")


def test_cloud_nuke_527_no_filter_is_forgotten_for_a_kind_since_there_are_none() -> None:
    """The age filter was not applied to all kinds."""
    for document in (policies.Policy, model.Retirement):
        keys = {path.rpartition(".")[2] for path, *rest in schema.describe(document)}
        assert not {"age", "older_than", "tags", "filter", "pattern", "regex", "match", "names", "include"} & keys
    for kind, row in closure.stages.ROWS.items():
        if not row.data or kind in e.kinds.TYPED or kind in ("secrets", "keys"):
            continue
        fate = r.case(resources={kind: [r.res("only")]}).fates()[f"{kind}/only"]
        assert fate == "undecided", kind


def test_cloud_nuke_1028_what_is_in_no_list_stays_whatever_the_other_lists_say() -> None:
    """An exclude-list replaced the include-list, as that had missed things."""
    nothing = r.case(plan=None, proofs={}, acceptances={}).fates()
    assert not {"moved", "erased", "exported", "residue"} & set(nothing.values())
    # a hold wins over every choice
    both = r.case(objects={"volumes": {"v1": r.ERASED}}, holds=[policies.Hold(objects=["volumes/v1"], why="x")]).fates()
    assert both["volumes/v1"] == "held"
    assert (
        r.case(objects={"volumes": {"v1": r.ERASED}}, protected={"volumes/v1": "x"}).fates()["volumes/v1"]
        == "protected"
    )


def test_custodian_4949_tags_that_could_not_be_read_are_no_untagged_objects() -> None:
    """After a network fault everything looked untagged, and was deleted."""
    blank = r.case(servers=[replace(r.SERVER, metadata={}, tags=[])])
    tagged = r.case(servers=[replace(r.SERVER, metadata={"keep": "yes"}, tags=["keep"])])
    assert blank.fates() == tagged.fates(), "no tag decides anything"
    # marks decide only that something may go with its source; without them it stays
    left = e.Snapshot(id="sn", volume_id="v1")
    assert r.case(snapshots=[left]).fates()["snapshots/sn"] == "undecided"
    for state in ("partial", "not_read"):
        with pytest.raises(InvalidInput, match="not read as a whole"):
            r.case(read={**r.READ, "volumes": state}).draft()


def test_custodian_4097_nothing_is_deleted_earlier_than_announced() -> None:
    """Marked objects went before their day."""
    case = r.case()
    line = timers.timeline(case.policy, moved=["web"])
    first = line.not_before
    assert first is not None
    assert line.why_not(timers.moment(first.at) - timers.DAY / 86400)
    assert not line.why_not(timers.moment(first.at))
    for name in ("switching", "notice"):
        empty = {"switching": policies.Switching(), "notice": policies.Notice()}[name]
        assert timers.timeline(replace(case.policy, **{name: empty})).state == "unknown"


def test_custodian_implicit_filters_drop_nothing_silently() -> None:
    """Objects that a hidden filter did not like were neither deleted nor told."""
    case = r.case(resources={"compute_quotas": [r.res("q")], "buckets": [r.res("b")], "ecs_servers": [r.res("s1")]})
    made = case.draft()
    told = [item.ref.key for item in made.items] + [f"{entry.kind}/{entry.id}" for entry in made.kept]
    there = [f"{kind}/{entry.id}" for kind in e.kinds.KINDS for entry in case.estate.of(kind)]
    assert sorted(told) == sorted(there)
    assert all(entry.reason for entry in made.kept)


def test_aws_nuke_443_a_name_decides_nothing() -> None:
    """Accounts were told apart by a word in their name."""
    for name in ("prod", "production", "delete-me", "tmp", "", "default"):
        server = replace(r.SERVER, name=name)
        assert r.case(servers=[server]).fates() == r.case().fates()
        assert r.case(servers=[server], proofs={}).fates()["servers/s1"] == "not_migrated"


def test_aws_nuke_520_no_dummy_makes_a_safeguard_happy() -> None:
    """People gave a made-up id to a list that must not be empty."""
    with pytest.raises(InvalidInput, match="is no object of the estate"):
        r.case(protected={"buckets/dummy": "x"}).draft()
    with pytest.raises(InvalidInput, match="is no object of the estate"):
        r.case(holds=[policies.Hold(objects=["volumes/000000"], why="x")]).draft()
    # and none of these lists has to have anything in it
    assert r.case(protected={}, holds=[]).draft().items


def test_a_fork_of_aws_nuke_removes_protections_here_there_is_no_switch_to_take_out() -> None:
    """A fork exists to run without the questions; a safe way that scripts can use is better."""
    words = ("force", "override", "skip", "ignore", "yes", "assume", "no_dry_run", "auto_approve")
    keys = {field.name for field in fields(gates.Facts)}
    for document in (policies.Policy, model.Retirement):
        keys |= {path.rpartition(".")[2] for path, *rest in schema.describe(document)}
    assert not {key for key in keys for word in words if word in key.split("_")}
    assert "force" not in inspect.signature(gates.judge).parameters


def test_project_cleanup_takes_a_project_by_its_name_we_take_its_id_and_compare_all_of_it() -> None:
    """A project may be given by its name, of which there may be two."""
    with pytest.raises(InvalidInput, match="is of project p, the estate of another"):
        r.case(tenant=replace(r.estate().tenant, project_id="another")).draft()
    case = r.case()
    there = replace(case, policy=replace(case.policy, tenant=policies.Tenant(name="acme", project_id="p", region="R2")))
    with pytest.raises(InvalidInput, match="the policy says R2, the estate R1"):
        there.draft()
    made = r.case().draft()
    assert {(item.ref.cloud, item.ref.region, item.ref.project) for item in made.items} == {("iam.example", "R1", "p")}


def test_ospurge_leaves_groups_in_use_behind_half_done_here_they_stay_on_purpose() -> None:
    """Partial failure: groups in use could not be deleted and the rest was gone."""
    other = e.Port(id="p9", network_id="n1", security_groups=["g1"], device_id="elsewhere", device_owner="odd")
    fates = r.case(ports=[*r.estate().ports, other]).fates()
    assert fates["ports/p9"] == fates["security_groups/g1"] == fates["networks/n1"] == "needed"
    assert fates["servers/s1"] == "moved"


def test_terraform_17599_a_protection_that_vanished_from_the_file_does_not_delete() -> None:
    """The protection was gone with the block that held it; here it protects, but nothing relies on it."""
    bucket = {"resources": {"buckets": [r.res("audit")]}}
    assert r.case(**bucket, protected={"buckets/audit": "logs"}).fates()["buckets/audit"] == "protected"
    assert r.case(**bucket).fates()["buckets/audit"] == "undecided"
    # a hold that is taken out of the policy after the signatures deletes nothing that the plan does not list
    held = r.case(holds=[policies.Hold(objects=["volumes/v1"], why="x")]).draft()
    assert held.item("volumes/v1") is None
    # and one that is added closes the gate of a plan that is signed
    found = gates.judge(
        r.case().draft(),
        r.policy(holds=[policies.Hold(objects=["volumes/v1"], why="x")]),
        gates.Facts(now=r.NOW),
    )
    assert [gate.open for gate in found if gate.name == "G7"] == [False]


def test_azcollection_383_a_part_never_takes_the_whole_along() -> None:
    """The deletion of a deployment removed the whole resource group."""
    servers = [r.SERVER, e.Server(id="s2")]
    stack = {"servers": servers, "resources": {"stacks": [r.res("st")]}}
    unread = r.case(**stack)
    assert unread.fates()["stacks/st"] == "unreadable", "what it takes along was not read"
    told = r.case(**stack, taken={"stacks/st": ["s1", "s2"]})
    assert told.fates()["stacks/st"] == "needed", "it would take along a server that stays"
    whole = r.case(servers=[r.SERVER], resources=stack["resources"], taken={"stacks/st": ["s1"]}).draft()
    item = whole.item("stacks/st")
    assert item is not None
    assert set(item.takes) == {"servers/s1", "volumes/v1", "volumes/v2", "ports/p1"}


def test_azcollection_virtual_machine_takes_disks_and_addresses_only_where_all_of_them_are_listed() -> None:
    """Deleting a machine removed disks, cards and public addresses by default."""
    undecided = [*r.estate().volumes, e.Volume(id="v3", attachments=[e.VolumeAttachment("s1")])]
    fates = r.case(volumes=undecided).fates()
    assert fates["servers/s1"] == "needed" and fates["volumes/v3"] == "not_verified"


def test_azure_locks_are_not_only_of_the_control_plane_the_data_is_the_object() -> None:
    """A lock on the account did not protect the blobs in it."""
    for kind in ("buckets", "containers", "file_shares"):
        case = r.case(resources={kind: [e.Resource(id="b", size_gib=7.0)]}, protected={f"{kind}/b": "x"})
        assert case.fates()[f"{kind}/b"] == "protected"


def test_atlassian_2022_ids_of_sites_where_apps_were_meant_are_refused() -> None:
    """Ids of one kind were given where another was meant; one call took both, and purged."""
    for wrong in ("servers/v1", "volumes/s1", "networks/p", "volumes/p"):
        kind, dummy, ident = wrong.partition("/")
        with pytest.raises(InvalidInput, match=f"{wrong} is no object of the estate"):
            r.case(objects={kind: {ident: r.ERASED}}).draft()
    assert "is no kind of object" in problems(objects={"projects": {"p": schema.dump(r.ERASED)}})
    made = r.case().draft()
    data = schema.dump(made)
    data["items"][0]["ref"]["kind"] = "projects"
    with pytest.raises(InvalidInput, match="is no kind of object"):
        model.load(data)
    # one tenant in one plan
    data = schema.dump(made)
    data["items"][1]["ref"]["project"] = "another"
    with pytest.raises(InvalidInput, match="not of the tenant's"):
        model.load(data)


def test_atlassian_2022_the_own_tools_are_not_in_the_list() -> None:
    """The tool for incidents was among what was deleted."""
    helper = e.Server(id="rd", volumes=[e.Attachment("rv", boot=True)])
    plan = replace(r.migration(web=r.workload(r.SERVER, reader="rd")), readers={"rd": plans.Reader(server_id="rd")})
    more = {"servers": [helper, r.SERVER], "volumes": [*r.estate().volumes, e.Volume(id="rv")], "plan": plan}
    assert r.case(**more, reader_hosts="keep").fates()["servers/rd"] == "protected"
    order = [item.ref.key for item in r.case(**more).draft().items if item.ref.kind == "servers"]
    assert order == ["servers/s1", "servers/rd"]


@pytest.mark.parametrize(
    "blank",
    [
        {"switching": {}},
        {"switching": {"transition_end": ""}},
        {"notice": {}},
        {"acceptances": {}},
        {"escrow": {}},
        {"workloads": {}},
        {"kinds": {}},
        {"objects": {}},
        {"holds": []},
        {"contract": {}},
        {"approvals": {}},
        {"limits": {}},
        {"executor": {}},
        {"calendar": {}},
    ],
)
def test_unisuper_2024_a_blank_parameter_never_deletes(blank: dict[str, Any]) -> None:
    """A parameter that was left blank gave a private cloud a fixed term, and at its end it was deleted."""
    policy = policies.load({**LEAST, **blank})
    made = replace(r.case(), policy=policy).draft()
    assert not made.items, "without an acceptance nothing goes"
    found = gates.judge(made, policy, gates.Facts(now=r.NOW))
    assert not all(gate.open for gate in found)
    line = timers.timeline(policy, moved=["web"])
    assert line.why_not(timers.moment("2099-01-01T00:00:00Z")), "no term comes about by itself"


@pytest.mark.parametrize("key", ["by", "at"])
def test_unisuper_2024_a_blank_decision_is_refused(key: str) -> None:
    choice = {**schema.dump(r.ERASED), key: ""}
    for part in (
        {"workloads": {"web": choice}},
        {"kinds": {"snapshots": choice}},
        {"objects": {"volumes": {"v1": choice}}},
    ):
        assert f".{key}: must be set" in problems(**part)
    for blank in ("", None, "all", "delete"):
        assert "decision.choice" in problems(decision={**LEAST["decision"], "choice": blank})


def test_google_2024_both_regions_are_not_the_same_plan() -> None:
    """Both regions went at once; one plan is for one region of one project."""
    data = schema.dump(r.case().draft())
    data["items"][0]["ref"]["region"] = "R2"
    with pytest.raises(InvalidInput, match="region"):
        model.load(data)


def test_an_empty_answer_with_200_is_not_an_empty_tenant() -> None:
    """A list that came back empty is a fault of the reading until the ledger says otherwise."""
    case = r.case(previous=r.estate())
    empty = replace(case.estate, volumes=[], servers=[], ports=[])
    with pytest.raises(InvalidInput, match="volumes/v1 was there before"):
        replace(case, estate=empty).draft()
