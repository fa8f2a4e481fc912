# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move groups: who moves together, how large a group may grow, what it is called, and that names of people hold."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.assessment import Edge
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.groups import (
    Conflict,
    MoveGroups,
    move_groups,
    natural,
)
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.schedule import Grouping

WIDE = Grouping(max_workloads=100, max_gib=100_000)


def host(name: str) -> str:
    return f"{name}-{sum(map(ord, name)):08x}"


def soft(a: str, b: str, weight: int = 1, **changed: Any) -> Edge:
    return Edge(a=host(a), b=host(b), why="flow", weight=weight, **changed)


def hard(a: str, b: str) -> Edge:
    return Edge(a=host(a), b=host(b), why="volume", weight=10, hard=True)


def made(
    found: Iterable[str],
    edges: Iterable[Edge],
    grouping: Grouping = WIDE,
    given: Mapping[str, str] | None = None,
    gib: int = 10,
    before: Mapping[str, str] | None = None,
) -> MoveGroups:
    hosts = [host(name) for name in found]
    given_ = {host(name): group for name, group in (given or {}).items()}
    before_ = {host(name): group for name, group in (before or {}).items()}
    return move_groups(hosts, list(edges), dict.fromkeys(hosts, gib), given_, grouping, before_)


def shown(groups: MoveGroups) -> dict[str, list[str]]:
    return {group.name: [entry.rpartition("-")[0] for entry in group.hosts] for group in groups.groups}


def test_nobody() -> None:
    assert made([], []) == MoveGroups([], [])


def test_who_is_tied_moves_together_and_who_is_not_moves_alone() -> None:
    found = made(["web-1", "db", "mail", "web-2"], [soft("web-1", "db"), soft("web-2", "db")])
    assert shown(found) == {"mail": ["mail"], "web": ["db", "web-1", "web-2"]}
    assert [(group.disk_gib, group.cut) for group in found.groups] == [(10, 0), (30, 0)]


def test_hard_edges_join_beyond_the_caps() -> None:
    chain = [hard(f"n-{n}", f"n-{n + 1}") for n in range(1, 6)]
    found = made([f"n-{n}" for n in range(1, 7)], chain, Grouping(max_workloads=2, max_gib=5))
    assert shown(found) == {"n": [f"n-{n}" for n in range(1, 7)]}


@pytest.mark.parametrize("grouping", [Grouping(max_workloads=3), Grouping(max_workloads=9, max_gib=39)])
def test_soft_edges_join_up_to_the_caps_and_what_is_cut_is_told(grouping: Grouping) -> None:
    edges = [soft("a", "b", 9), soft("b", "c", 9), soft("c", "d", 1), soft("d", "e", 9)]
    found = made("abcde", edges, grouping)
    assert [(group.hosts, group.cut) for group in found.groups] == [
        ([host("a"), host("b"), host("c")], 1),
        ([host("d"), host("e")], 1),
    ]


def test_the_closest_are_joined_first() -> None:
    """The heaviest edges lead to the hub; but for what they talk at all, the pairs are closer."""
    edges = [soft("hub", name, 5) for name in ("a", "b", "c", "d")] + [soft("a", "b", 4), soft("c", "d", 4)]
    found = made(["hub", "a", "b", "c", "d"], edges, Grouping(max_workloads=2))
    assert shown(found) == {"a": ["a", "b"], "c": ["c", "d"], "hub": ["hub"]}


def test_what_all_use_draws_nobody_to_itself() -> None:
    clients = [f"app-{n}" for n in range(6)]
    edges = [soft("monitor", name, 50) for name in clients] + [soft("app-0", "app-1"), soft("app-2", "app-3")]
    found = made(["monitor", *clients], edges, Grouping(max_workloads=5))
    assert shown(found)["monitor"] == ["monitor"]
    assert {frozenset(group) for group in shown(found).values()} >= {
        frozenset(["app-0", "app-1"]),
        frozenset(["app-2", "app-3"]),
    }
    assert next(group.cut for group in found.groups if group.name == "monitor") == 300


def test_given_names_hold() -> None:
    edges = [soft("a", "b", 99), soft("c", "a", 50), soft("d", "e")]
    found = made("abcde", edges, given={"a": "shop", "b": "Back office", "e": "shop"})
    assert shown(found) == {"Back office": ["b"], "shop": ["a", "c", "d", "e"]}
    assert found.conflicts == []
    assert [group.cut for group in found.groups] == [99, 99]


def test_a_given_group_is_never_split_and_takes_no_more_than_the_caps() -> None:
    edges = [soft("a", "d")]
    found = made("abcd", edges, Grouping(max_workloads=3), given=dict.fromkeys("abc", "shop"))
    assert shown(found) == {"shop": ["a", "b", "c"], "d": ["d"]}


def test_a_hard_edge_between_two_given_groups_is_a_conflict() -> None:
    edges = [hard("a", "b"), hard("b", "c")]
    found = made("abc", edges, given={"a": "one", "c": "two"})
    assert shown(found) == {"one": ["a", "b"], "two": ["c"]}
    assert found.conflicts == [Conflict(edges[1], "one", "two")]
    assert [group.cut for group in found.groups] == [10, 10]


def test_names_that_nobody_took_are_not_taken_twice() -> None:
    names_ = [f"web-{n}" for n in range(1, 7)]
    edges = [soft("web-1", "web-2"), soft("web-3", "web-4"), soft("web-5", "web-6")]
    assert set(shown(made(names_, edges))) == {"web", "web-3", "web-5"}
    given = made(names_, edges, given={"web-5": "web"})
    assert shown(given) == {"web": ["web-5", "web-6"], "web-1": ["web-1", "web-2"], "web-3": ["web-3", "web-4"]}


def test_two_groups_that_ansible_would_take_for_one() -> None:
    found = made(["web-1", "web-2"], [soft("web-1", "web-2")], given={})
    assert list(shown(found)) == ["web"]
    found = made(["web_1", "web-2", "web-3"], [soft("web-2", "web-3")], given={"web_1": "WEB"})
    assert set(shown(found)) == {"WEB", "web-2"}


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (["web-1", "web-2", "db-1"], "web"),
        (["shop-web-1", "shop-db-1"], "shop"),
        (["shop-web-1", "shop-web-2", "shop-db-1"], "shop-web"),
        (["alpha", "beta"], "alpha"),
        (["web01", "web02"], "web"),
        (["7", "8"], "7"),
        (["db-1"], "db-1"),
    ],
)
def test_readable_names(found: list[str], name: str) -> None:
    edges = [soft(found[0], other, 1) for other in found[1:]]
    assert list(shown(made(found, edges))) == [name]


def test_names_do_not_shift_when_the_tenant_grows() -> None:
    before = [f"{stem}-{n}" for stem in ("web", "api", "db") for n in (1, 2)]
    edges = [soft(f"{stem}-1", f"{stem}-2") for stem in ("web", "api", "db")]
    small = shown(made(before, edges))
    more = [*before, "aaa-1", "aaa-2", "web-3", "db-10"]
    edges += [soft("aaa-1", "aaa-2"), soft("web-3", "web-1"), soft("db-10", "db-2")]
    large = shown(made(more, edges))
    assert set(small) == {"web", "api", "db"}
    assert set(large) == {"web", "api", "db", "aaa"}
    assert all(set(small[name]) <= set(large[name]) for name in small)


def test_a_group_keeps_its_name_when_one_of_it_is_called_otherwise() -> None:
    names = ["shop-web-1", "shop-web-2", "shop-db-1", "other-1"]
    edges = [soft(names[0], other) for other in names[1:]]
    plain = list(shown(made(names, edges)))
    assert plain != ["shop"]
    before = dict.fromkeys(names, "shop")
    assert list(shown(made(names, edges, before=before))) == ["shop"]
    assert list(shown(made([*names, "new-1"], [*edges, soft(names[0], "new-1")], before=before))) == ["shop"]
    # not where people say another, where few of it had the name, or where half of those who had it are elsewhere
    assert list(shown(made(names, edges, before=before, given={"other-1": "desk"}))) == ["desk"]
    assert list(shown(made(names, edges, before={names[0]: "shop"}))) == plain
    gone = before | {f"gone-{n}": "shop" for n in range(4)}
    assert "shop" not in shown(made(list(gone), edges, before=gone))


def test_a_name_that_is_kept_is_taken_by_nobody_else() -> None:
    names = ["a-1", "a-2", "b-1", "b-2"]
    edges = [soft("a-1", "a-2"), soft("b-1", "b-2")]
    found = shown(made(names, edges, before={"b-1": "a", "b-2": "a"}))
    assert found["a"] == ["b-1", "b-2"] and len(found) == 2
    # and what people call so is theirs
    found = shown(made(names, edges, before={"b-1": "a", "b-2": "a"}, given={"a-1": "a"}))
    assert found["a"] == ["a-1", "a-2"] and len(found) == 2


def test_lonely_ones_of_one_kind_are_one_group_up_to_the_caps() -> None:
    found = made([f"job-{n}" for n in range(1, 24)] + ["mail"], [], Grouping(max_workloads=20))
    assert {name: len(group) for name, group in shown(found).items()} == {"job": 20, "job-21": 3, "mail": 1}
    assert shown(found)["job"][-1] == "job-20"


def test_hosts_that_are_not_there_count_for_nothing() -> None:
    assert shown(made(["a"], [soft("a", "gone"), hard("gone", "a")], given={"gone": "x"})) == {"a": ["a"]}


def test_natural_order_takes_any_text() -> None:
    assert sorted(["b²", "b10", "b2", "١٢", ""], key=natural) == ["", "b2", "b10", "b²", "١٢"]
    assert sorted(["a10", "a9", "a"], key=natural) == ["a", "a9", "a10"]


@pytest.mark.parametrize("seed", range(60))
def test_whatever_the_tenant_looks_like(seed: int) -> None:
    rng = random.Random(seed)
    count = rng.randrange(1, 60)
    identities = {f"{n:032x}": rng.choice(["web", "db", "", "é{{x}}", f"n-{n}", "web-1"]) for n in range(count)}
    hosts = list(names.host_keys(identities).values())
    edges = [
        Edge(a=a, b=b, why="flow", weight=rng.randrange(1, 9), hard=rng.random() < 0.1, directed=rng.random() < 0.5)
        for dummy in range(rng.randrange(3 * count))
        for a, b in [rng.choices(hosts, k=2)]
    ]
    gib = {entry: rng.randrange(200) for entry in hosts}
    given = {entry: rng.choice(["one", "two", "web"]) for entry in hosts if rng.random() < 0.2}
    grouping = Grouping(max_workloads=rng.randrange(1, 15), max_gib=rng.randrange(50, 1000))
    found = move_groups(hosts, edges, gib, given, grouping)

    # every host once; names unique, even as Ansible groups
    assert sorted(entry for group in found.groups for entry in group.hosts) == sorted(hosts)
    slugs = [names.group_name("group", group.name) for group in found.groups]
    assert len(set(slugs)) == len(slugs)
    home = {entry: group.name for group in found.groups for entry in group.hosts}
    assert all(home[entry] == name for entry, name in given.items())
    # hard edges lead out of a group only where people said so
    told = {(conflict.edge.a, conflict.edge.b) for conflict in found.conflicts}
    for edge in edges:
        if edge.hard and home[edge.a] != home[edge.b]:
            assert (edge.a, edge.b) in told
            assert {home[edge.a], home[edge.b]} <= set(given.values())
    # no soft joining beyond the caps: what is larger is given, or held together by hard edges alone
    for group in found.groups:
        if len(group.hosts) > grouping.max_workloads or group.disk_gib > grouping.max_gib:
            assert group.name in given.values() or _held(group.hosts, edges)
        assert group.disk_gib == sum(gib[entry] for entry in group.hosts)
        out = [edge.weight for edge in edges if (home[edge.a] == group.name) != (home[edge.b] == group.name)]
        assert group.cut == sum(out)
    # the order of what comes in does not matter
    again = move_groups(
        rng.sample(hosts, count),
        rng.sample(edges, len(edges)),
        gib,
        dict(rng.sample(sorted(given.items()), len(given))),
        grouping,
    )
    assert again == found


def _held(hosts: Iterable[str], edges: Iterable[Edge]) -> bool:
    left = set(hosts)
    reached = {min(left)}
    ties = [(edge.a, edge.b) for edge in edges if edge.hard]
    while more := {y for x, y in [*ties, *((b, a) for a, b in ties)] if x in reached} - reached:
        reached |= more
    return left <= reached


def test_a_thousand_are_quick() -> None:
    rng = random.Random(1)
    hosts = [f"web-{n}-{n:08x}" for n in range(1000)]
    edges = [
        Edge(a=a, b=b, why="flow", weight=rng.randrange(1, 9))
        for dummy in range(30_000)
        for a, b in [rng.sample(hosts, 2)]
    ]
    started = time.process_time()
    found = move_groups(hosts, edges, {}, {}, Grouping(max_workloads=100))
    assert time.process_time() - started < 20
    assert max(len(group.hosts) for group in found.groups) <= 100
