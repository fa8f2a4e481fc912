# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what is right, and every way to be wrong, all told at once."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.errors import InvalidInput

PLAN = """\
plugin: cloudexit.flexible_engine.plan
version: 1
tenant: {name: acme, project_id: p1, region: RegionOne, cloud: lab}
target:
  type: vsphere
  datacenter: DC0
  compute: DC0_C0
  datastore: LocalDS_0
  folder: cloudexit
readers:
  reader-1: {server_id: r1, connection: {ansible_connection: local}}
networks: {n1: {name: app, target: VM Network}}
waves: {wave_1: {groups: [web]}, wave_2: {groups: [db]}}
workloads:
  web-1:
    source: {id: s1, name: web-1}
    move: cold
    name: web-1
    group: web
    reader: reader-1
    cpus: 1
    memory_mib: 512
    disks: [{volume: v1, size_gib: 1, boot: true}]
    nics: [{mac: fa:16:3e:00:00:01, network: n1, addresses: [10.20.0.11]}]
    checks:
      - {type: tcp, port: 80}
      - {type: http, url: "http://127.0.0.1:8080/", expect: text}
      - {type: ssh, command: uptime, user: root}
  db-1:
    source: {id: s2, name: db-1}
    move: cold
    name: db-1
    group: db
    reader: reader-1
    cpus: 2
    memory_mib: 1024
    disks: [{volume: v2, size_gib: 1, boot: true}, {volume: v3, size_gib: 5, controller: nvme}]
    nics: [{mac: fa:16:3e:00:00:02, network: n1}]
  old-1:
    source: {id: s3, name: old-1}
    move: none
    reason: it is retired
"""


def problems(text: str) -> list[str]:
    try:
        plans.loads(text)
    except InvalidInput as exc:
        return [str(problem) for problem in exc.problems]
    return []


def broken(change: Callable[[dict[str, Any]], Any]) -> list[str]:
    """The problems of the plan after a change to its plain data."""
    data = copy.deepcopy(yaml.safe_load(PLAN))
    change(data)
    return [str(problem) for problem in plans.parse(data)[1]]


def test_a_plan() -> None:
    plan = plans.loads(PLAN)
    assert list(plan.moving()) == ["web-1", "db-1"]
    assert plan.wave_of(plan.workloads["db-1"]) == "wave_2"
    assert plan.workloads["web-1"].guest == plans.Guest(os="otherLinux64Guest", adapt="offline")
    assert plan.limits == plans.Limits(workloads_at_once=4, disks_per_reader=2, bandwidth_mib_s=0.0)
    assert plans.load(plans.dump(plan)) == plan


def test_digest_is_of_the_content() -> None:
    plan = plans.loads(PLAN)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", plan.digest())
    assert plans.loads("# a comment\n" + PLAN + "limits: {disks_per_reader: 2}\n").digest() == plan.digest()
    assert plans.loads(PLAN.replace("cpus: 2", "cpus: 4")).digest() != plan.digest()


def test_the_edge_of_a_plan_into_cloud_director() -> None:
    def edge(**keys: Any) -> list[str]:
        def change(data: dict[str, Any]) -> None:
            data["target"] = {"type": "vcd", "org": "o", "vdc": "v"}
            data["edge"] = {"name": "e", **keys}

        return [one for one in broken(change) if one.startswith("edge")]

    assert edge() == [] and edge(public={"203.0.113.7": "198.51.100.10"}, outbound="198.51.100.11") == []
    assert edge(name="", outbound="198.51.100.11") == [
        "edge.name: must be set: the edge gateway that the rest is about"
    ]
    assert edge(public={"203.0.113.7": None}) == [
        'edge.public."203.0.113.7": must be set: the address of the edge that takes the place of 203.0.113.7'
    ]
    assert "must be an IP address of the source" in edge(public={"web": "198.51.100.10"})[0]
    assert "'x' is not an IP address" in edge(public={"203.0.113.7": "x"})[0]
    assert (
        "takes the place of 203.0.113.7 already" in edge(public=dict.fromkeys(("203.0.113.7", "203.0.113.8"), "::1"))[0]
    )
    assert edge(outbound="x") == ["edge.outbound: must be an IP address"]


def set_at(*path: Any) -> Callable[[dict[str, Any]], Any]:
    """A change that sets the value at a path (the last argument)."""

    def change(data: Any) -> None:
        *keys, last, value = path
        for key in keys:
            data = data[key]
        data[last] = value

    return change


WEB = ("workloads", "web-1")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (set_at("plugin", "x"), "plugin: must be cloudexit.flexible_engine.plan: is this a plan?"),
        (set_at("version", 2), "version: must be 1"),
        (set_at("tenant", "name", ""), "tenant.name: must not be empty"),
        (set_at("target", "datastor", "x"), "target.datastor: unknown key (did you mean datastore?)"),
        (
            set_at("target", "zzz", "x"),
            "target.zzz: unknown key; known here: type, datacenter, compute, datastore, folder, org, vdc",
        ),
        (set_at("target", "type", "vc"), 'target.type: must be one of vsphere, vcd, not the text "vc"'),
        (set_at("target", "type", "vcd"), "target.org: must not be empty"),
        (set_at("target", "type", "vcd"), "target.datacenter: has no meaning for a target of type vcd"),
        (set_at("target", "vdc", "x"), "target.vdc: has no meaning for a target of type vsphere"),
        (set_at("edge", {"name": "e"}), "edge: has no meaning for a target of type vsphere"),
        (
            lambda d: d["workloads"]["web-1"]["disks"][0].update(storage_profile="gold"),
            "disks[0].storage_profile: has no meaning for a target of type vsphere",
        ),
        (lambda d: d["target"].pop("compute"), "target.compute: must not be empty"),
        (set_at("limits", {"workloads_at_once": 0}), "limits.workloads_at_once: must be greater than 0"),
        (set_at("limits", {"bandwidth_mib_s": -1}), "limits.bandwidth_mib_s: must be 0 or greater"),
        (
            set_at("limits", {"disks_per_reader": "2"}),
            'limits.disks_per_reader: must be a whole number, not the text "2"',
        ),
        (set_at("limits", {"disks_per_reader": True}), "limits.disks_per_reader: must be a whole number, not true"),
        (set_at("readers", "reader-1", "connection", {"a-b": 1}), "is not a host variable"),
        (set_at("readers", "db-1", {"server_id": "x"}), "readers.db-1: a workload has the same name"),
        (set_at("waves", "Wave 1", {"groups": []}), 'waves."Wave 1": is not a wave name'),
        (set_at("waves", "workloads", {"groups": []}), "waves.workloads: is not a wave name"),
        (
            set_at("waves", "wave_1", "groups", ["wbe"]),
            "waves.wave_1.groups[0]: no workload is in a group 'wbe' (did you mean 'web'?)",
        ),
        (
            set_at("waves", "wave_2", "groups", ["db", "web"]),
            "waves.wave_2.groups[1]: the group 'web' is already in waves.wave_1",
        ),
        (set_at("waves", "wave_2", "groups", []), "workloads.db-1.group: the group 'db' is in no wave"),
        (set_at("estate", {"digest": "abc"}), "estate.digest: must be sha256: or blake3:"),
        (set_at("networks", "n1", "target", None), "networks.n1.target: must be set: the target network for 'app'"),
        (set_at("networks", {}), "workloads.web-1.nics[0].network: networks has no 'n1'"),
        (
            set_at("workloads", "a b", {"source": {"id": "s9"}, "move": "none", "reason": "x"}),
            'workloads."a b": is not a host name',
        ),
        (set_at("workloads", "old-1", "reason", " "), "workloads.old-1.reason: must say why the workload is not moved"),
        (set_at("workloads", "old-1", "source", "id", "s1"), "the server 's1' is already at workloads.web-1.source.id"),
        (set_at(*WEB, "move", "warm"), 'workloads.web-1.move: must be one of cold, none, not the text "warm"'),
        (set_at(*WEB, "move", None), "workloads.web-1.move: must be one of cold, none, not nothing (null)"),
        (set_at(*WEB, "name", 7), "workloads.web-1.name: must be text, not the number 7: put it in quotes"),
        (set_at(*WEB, "name", "DB-1"), "the target name 'db-1' is already at workloads.web-1.name"),
        (set_at(*WEB, "name", "x" * 81), "workloads.web-1.name: has 81 characters; vSphere takes 80"),
        (
            set_at(*WEB, "name", "a/b"),
            "workloads.web-1.name: holds characters that vSphere does not take in a name: '/'",
        ),
        (set_at(*WEB, "name", ""), "workloads.web-1.name: must be set"),
        (set_at(*WEB, "group", ""), "workloads.web-1.group: must be set: the move group"),
        (
            set_at(*WEB, "reader", "reader1"),
            "workloads.web-1.reader: there is no reader 'reader1' (did you mean 'reader-1'?)",
        ),
        (set_at(*WEB, "reader", None), "workloads.web-1.reader: must be set"),
        (set_at(*WEB, "source", "id", "r1"), "workloads.web-1.reader: a reader cannot read its own disks"),
        (set_at(*WEB, "memory_mib", 510), "workloads.web-1.memory_mib: must be a multiple of 4"),
        (set_at(*WEB, "firmware", "uefi"), "workloads.web-1.firmware: must be one of bios, efi"),
        (set_at(*WEB, "disks", []), "workloads.web-1.disks: must hold at least the boot disk"),
        (set_at(*WEB, "disks", 0, "boot", False), "workloads.web-1.disks: no disk has boot: true"),
        (set_at(*WEB, "disks", 0, "size_gib", 0), "workloads.web-1.disks[0].size_gib: must be greater than 0"),
        (set_at(*WEB, "disks", 0, "volume", "v3"), "the volume 'v3' is already at workloads.web-1.disks[0].volume"),
        (
            set_at("workloads", "db-1", "disks", 1, "boot", True),
            "workloads.db-1.disks[1].boot: disks[0] is the boot disk already",
        ),
        (
            set_at(*WEB, "disks", 0, "controller", "virtio"),
            "workloads.web-1.disks[0].controller: must be one of pvscsi",
        ),
        (
            set_at(*WEB, "disks", [{"volume": f"x{n}", "size_gib": 1, "boot": n == 0} for n in range(61)]),
            "workloads.web-1.disks: 61 disks on pvscsi; a machine takes 60",
        ),
        (set_at(*WEB, "nics", 0, "mac", "FA:16:3E:00:00:01"), "workloads.web-1.nics[0].mac: must be a MAC address"),
        (set_at(*WEB, "nics", 0, "mac", "01:16:3e:00:00:01"), "workloads.web-1.nics[0].mac: is a group address"),
        (set_at(*WEB, "nics", 0, "mac", "fa:16:3e:00:00:02"), "the MAC address 'fa:16:3e:00:00:02' is already at"),
        (
            set_at(*WEB, "nics", 0, "addresses", ["10.20.0.300"]),
            "workloads.web-1.nics[0].addresses[0]: '10.20.0.300' is not an IP address",
        ),
        (
            set_at(*WEB, "checks", 0, "port", None),
            "workloads.web-1.checks[0].port: must be set for a check of type tcp",
        ),
        (set_at(*WEB, "checks", 0, "port", 70000), "workloads.web-1.checks[0].port: must be a port, 1 to 65535"),
        (
            set_at(*WEB, "checks", 0, "url", "http://x/"),
            "workloads.web-1.checks[0].url: has no meaning for a check of type tcp",
        ),
        (
            set_at(*WEB, "checks", 1, "url", "ftp://x/"),
            "workloads.web-1.checks[1].url: must begin with http:// or https://",
        ),
        (set_at(*WEB, "checks", 0, "type", "ping"), "workloads.web-1.checks[0].type: must be one of tcp, http, ssh"),
        (
            set_at("workloads", "db-1", "checks", [{"type": "tcp", "port": 5432}]),
            "workloads.db-1.checks[0].host: must be set: the workload has no address",
        ),
        (set_at("workloads", "x\n", {"source": {"id": "s9"}, "move": "none", "reason": "x"}), "is not a host name"),
        (set_at(*WEB, "nics", 0, "mac", "fa:16:3e:00:00:01\n"), "nics[0].mac: must be a MAC address"),
        (set_at("workloads", []), "workloads: must be a mapping, not a list"),
        (set_at("workloads", {}), "no workload is in a group"),
        (set_at("workloads", "web-1", "x"), 'workloads.web-1: must be a mapping, not the text "x"'),
        (set_at(*WEB, "disks", ["x"]), 'workloads.web-1.disks[0]: must be a mapping, not the text "x"'),
    ],
)
def test_what_can_be_wrong(change: Callable[[dict[str, Any]], Any], said: str) -> None:
    found = broken(change)
    assert any(said in problem for problem in found), found


def into_cloud_director(data: dict[str, Any]) -> None:
    data["target"] = {"type": "vcd", "org": "acme-org", "vdc": "acme-vdc"}


def test_a_plan_into_cloud_director() -> None:
    assert broken(into_cloud_director) == []

    def change(data: dict[str, Any]) -> None:
        into_cloud_director(data)
        data["target"]["vdc"] = " "
        web, db = data["workloads"]["web-1"], data["workloads"]["db-1"]
        web["disks"][0] |= {"size_gib": 2049, "datastore": "DS", "storage_profile": "gold"}
        web["nics"] = [{"mac": f"fa:16:3e:00:01:{n:02x}", "network": "n1"} for n in range(11)]
        web["checks"] = []
        web["decision"] = {"to": "vsphere"}
        db["disks"][0]["boot"], db["disks"][1]["boot"] = False, True
        db["decision"] = {"to": "cloud_avenue"}

    said = broken(change)
    assert [problem.partition(":")[0] for problem in said] == [
        "target.vdc",
        "workloads.web-1.decision.to",
        "workloads.web-1.disks[0].datastore",
        "workloads.web-1.disks[0].size_gib",
        "workloads.web-1.nics",
        "workloads.db-1.disks[1].boot",
    ]
    (large,) = [problem for problem in said if "size_gib" in problem]
    assert "Cloud Director takes 2048 at most; copy its files to smaller disks" in large
    assert "shrink it before, or choose a vSphere target" in large
    assert "a workload that moves goes to cloud_avenue" in said[1] and "smaller disks" in said[3]


def test_a_wrong_place_is_told_once_and_hides_nothing_else() -> None:
    def change(data: dict[str, Any]) -> None:
        data["target"].pop("datacenter")
        data["tenant"]["name"] = 5
        data["readers"] = "x"
        data["workloads"]["web-1"]["cpuss"] = 1
        data["workloads"]["web-1"]["disks"][0]["volume"] = "v2"
        data["workloads"]["web-1"]["nics"][0]["mac"] = None
        data["workloads"]["db-1"]["move"] = "hot"
        data["networks"]["n1"]["target"] = ""

    found = broken(change)
    paths = [problem.split(": ")[0] for problem in found]
    assert sorted(paths) == [
        "networks.n1.target",
        "readers",
        "target.datacenter",
        "tenant.name",
        "workloads.db-1.disks[0].volume",
        "workloads.db-1.move",
        "workloads.web-1.cpuss",
        "workloads.web-1.nics[0].mac",
    ]


def test_problems_come_in_the_order_of_the_lines() -> None:
    text = (
        PLAN.replace("  compute: DC0_C0\n", "")
        .replace("cpus: 2", "cpus: two")
        .replace("version: 1", "version: 1\nversion: 1")
    )
    assert problems(text) == [
        "version (line 2): is there twice, on lines 2 and 3",
        "target.compute (line 5): must not be empty",
        'workloads.db-1.cpus (line 35): must be a whole number, not the text "two"',
    ]


def test_what_the_error_looks_like() -> None:
    with pytest.raises(InvalidInput) as caught:
        plans.loads(PLAN.replace("LocalDS_0", '""').replace("group: db", "grupe: db"), "The plan acme.plan.yml")
    assert str(caught.value).splitlines() == [
        "The plan acme.plan.yml is not valid (4 problems):",
        "  - target.datastore (line 8): must not be empty",
        "  - waves.wave_2.groups[0] (line 13): no workload is in a group 'db'",
        "  - workloads.db-1.group (line 29): must be set: the move group",
        "  - workloads.db-1.grupe (line 33): unknown key (did you mean group?)",
        "The keys are described in docs/plan.md.",
    ]


@pytest.mark.parametrize("text", ["", "[]", "just text", "a: [", "plugin: cloudexit.flexible_engine.plan"])
def test_no_plan_at_all(text: str) -> None:
    assert problems(text)


def test_any_broken_piece_gives_problems_and_never_an_exception() -> None:
    """Replace each value of the document, one after the other, by values of every kind."""
    base = yaml.safe_load(PLAN)
    places: list[list[Any]] = []

    def walk(value: Any, path: list[Any]) -> None:
        if path:
            places.append(path)
        if isinstance(value, dict):
            for key, entry in value.items():
                walk(entry, [*path, key])
        elif isinstance(value, list):
            for index, entry in enumerate(value):
                walk(entry, [*path, index])

    walk(base, [])
    assert len(places) > 90
    for path in places:
        for wrong in (None, 3, -1.5, True, "", "{{ x }}", [], [None], {}, {"x": {}}, {3: 4}):
            data = copy.deepcopy(base)
            set_at(*path, wrong)(data)
            plan, found = plans.parse(data)
            assert plan is not None or found


def test_the_manual_is_that_of_the_schema() -> None:
    text = (Path(__file__).resolve().parents[5] / "docs" / "plan.md").read_text(encoding="utf-8")
    for path, kind, default, meaning in schema.describe(plans.Plan):
        row = f"| `{path}` | {kind} | {default} | {meaning} |"
        assert row in text, f"docs/plan.md lacks or differs in: {row}"
    known = {path for path, *_rest in schema.describe(plans.Plan)}
    listed = set(re.findall(r"^\| `([^`]+)` \|[^|]*\|[^|]*\|[^|]*\|$", text, re.M))
    assert listed == known


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("move: cold\n    name: web-1", "move: cold\n    decision: {to: vsphere}\n    name: web-1", None),
        (
            "move: cold\n    name: web-1",
            "move: cold\n    decision: {to: vsphere, answer: agreed}\n    name: web-1",
            None,
        ),
        (
            "move: cold\n    name: web-1",
            "move: cold\n    decision: {to: bleu}\n    name: web-1",
            "workloads.web-1.decision.to (line 18): bleu: a workload that moves goes to vsphere",
        ),
        (
            "move: cold\n    name: web-1",
            "move: cold\n    decision: {to: vsphere, answer: open}\n    name: web-1",
            "workloads.web-1.decision.answer (line 18): the customer has not answered yet",
        ),
        (
            "move: cold\n    name: web-1",
            "move: cold\n    decision: {to: vsphere, answer: refused}\n    name: web-1",
            "the customer refused",
        ),
        ("{groups: [web]}", "{groups: [web], start: 2026-12-05T20:00Z, hours: 4}", None),
        (
            "{groups: [web]}",
            "{groups: [web], start: 2026-13-05T20:00Z}",
            "waves.wave_1.start (line 13): must be a moment",
        ),
        ("{groups: [web]}", "{groups: [web], hours: -1}", "waves.wave_1.hours (line 13): must be 0 or greater"),
        ("version: 1", "version: 1\nobjects: {keys: {k1: {decision: recreate, note: x, target: y}}}", None),
        (
            "version: 1",
            "version: 1\nobjects: {keyz: {}}",
            "objects.keyz (line 3): is not a kind of objects (did you mean 'keys'?)",
        ),
        ("version: 1", "version: 1\nobjects: {keys: {k1: {}}}", "objects.keys.k1.decision (line 3): is missing"),
    ],
)
def test_decisions_windows_and_objects(old: str, new: str, problem: str | None) -> None:
    text = PLAN.replace(old, new, 1)
    assert text != PLAN
    if problem is None:
        assert plans.load(plans.dump(plans.loads(text))) == plans.loads(text)
        return
    with pytest.raises(InvalidInput) as caught:
        plans.loads(text)
    assert problem in "\n".join(map(str, caught.value.problems))
