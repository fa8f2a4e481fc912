# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move groups: what hard edges join is one group, whatever its size; soft edges join more up to the caps.

Names that people gave hold: two groups with different given names are never joined, and a hard edge between them is
told as a conflict.
"""

from __future__ import annotations

import heapq
import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import names
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.assessment import Edge, Group
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.schedule import Grouping

_IDENTITY = re.compile(r"-[0-9a-z]{8,32}\Z")
_NUMBERED = re.compile(r"[-_.]*\d+\Z")


@dataclass(frozen=True)
class Conflict:
    """A hard edge between two move groups whose names people gave."""

    edge: Edge
    a: str
    b: str


class MoveGroups(NamedTuple):
    """Groups, sorted by name; and hard edges that lead out of one because people said so."""

    groups: list[Group]
    conflicts: list[Conflict]


def move_groups(
    hosts: Collection[str],
    edges: Iterable[Edge],
    gib: Mapping[str, int],
    given: Mapping[str, str],
    grouping: Grouping,
    before: Mapping[str, str] | None = None,
) -> MoveGroups:
    """Every host in exactly one group. `gib`: size of each host's volumes. `given`: names that people gave, by host.

    `before`: the names that groups had, by host: a group keeps the one that most of its hosts had.
    The same input gives the same groups, in whatever order it comes.
    """
    known = set(hosts)
    between = sorted(
        (edge for edge in edges if edge.a in known and edge.b in known and edge.a != edge.b),
        key=lambda edge: (-edge.weight, edge.a, edge.b, edge.why, edge.directed, edge.detail),
    )
    clusters = _Clusters(known, gib, {host: name for host, name in given.items() if host in known and name})
    for edge in between:
        if edge.hard:
            clusters.join(edge.a, edge.b)
    _join_soft(clusters, between, grouping)
    _join_alike(clusters, between, grouping)
    return _named(clusters, between, gib, {host: name for host, name in (before or {}).items() if host in known})


class _Clusters:
    """Hosts in disjoint sets; each set goes by its smallest host."""

    def __init__(self, hosts: Collection[str], gib: Mapping[str, int], given: Mapping[str, str]) -> None:
        self._parent = {host: host for host in hosts}
        self.members = {host: [host] for host in hosts}
        self.gib = {host: gib.get(host, 0) for host in hosts}
        self.given = dict(given)
        by_name: dict[str, list[str]] = defaultdict(list)
        for host in sorted(given):
            by_name[given[host]].append(host)
        for named in by_name.values():
            for host in named[1:]:
                self.join(named[0], host)

    def find(self, host: str) -> str:
        root = host
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[host] != root:
            self._parent[host], host = root, self._parent[host]
        return root

    def may_join(self, a: str, b: str) -> bool:
        """Whether no two given names stand against it."""
        a, b = self.find(a), self.find(b)
        return a in self.members and (a == b or len({self.given.get(a), self.given.get(b)} - {None}) < 2)

    def join(self, a: str, b: str) -> str:
        """Make one set of the two, unless given names stand against it; the root of what `a` is in then."""
        if not self.may_join(a, b):
            return self.find(a)
        keep, gone = sorted((self.find(a), self.find(b)))
        if keep != gone:
            self._parent[gone] = keep
            self.members[keep] += self.members.pop(gone)
            self.gib[keep] += self.gib.pop(gone)
            if gone in self.given:
                self.given[keep] = self.given[gone]
        return keep

    def fit(self, a: str, b: str, grouping: Grouping) -> bool:
        """Whether the two sets together stay under the caps."""
        a, b = self.find(a), self.find(b)
        return (
            len(self.members[a]) + len(self.members[b]) <= grouping.max_workloads
            and self.gib[a] + self.gib[b] <= grouping.max_gib
        )


def _join_soft(clusters: _Clusters, edges: Iterable[Edge], grouping: Grouping) -> None:
    """Join the two sets that are tied most closely for what ties each of them at all, again and again.

    What has more neighbours than a group may hold cannot be with all of them; a monitoring server or a directory is
    such a thing, and does not draw a few of its clients into a group of its own.
    """
    neighbours: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        neighbours[edge.a].add(edge.b)
        neighbours[edge.b].add(edge.a)
    shared = {host for host, found in neighbours.items() if len(found) > grouping.max_workloads}
    ties: dict[str, Counter[str]] = defaultdict(Counter)
    volume: Counter[str] = Counter()
    for edge in edges:
        if edge.a in shared or edge.b in shared:
            continue
        a, b = clusters.find(edge.a), clusters.find(edge.b)
        volume[a] += edge.weight
        volume[b] += edge.weight
        if a != b:
            ties[a][b] += edge.weight
            ties[b][a] += edge.weight

    def closeness(a: str, b: str) -> float:
        return ties[a][b] / math.sqrt(volume[a] * volume[b])

    heap = [(-closeness(a, b), a, b) for a in ties for b in ties[a] if a < b]
    heapq.heapify(heap)
    while heap:
        negative, a, b = heapq.heappop(heap)
        # what was joined since has another closeness, and its own entry
        if b not in ties.get(a, ()) or -negative != closeness(a, b):
            continue
        if not clusters.may_join(a, b) or not clusters.fit(a, b, grouping):
            continue
        keep = clusters.join(a, b)
        gone = b if keep == a else a
        volume[keep] += volume.pop(gone)
        for other, weight in ties.pop(gone).items():
            del ties[other][gone]
            if other != keep:
                ties[keep][other] += weight
                ties[other][keep] += weight
        for other in ties[keep]:
            first, second = sorted((keep, other))
            heapq.heappush(heap, (-closeness(first, second), first, second))


def _join_alike(clusters: _Clusters, edges: Iterable[Edge], grouping: Grouping) -> None:
    """Hosts that nothing joins to anybody, and whose names differ by their number alone."""
    tied = {host for edge in edges for host in (edge.a, edge.b)}
    alike: dict[str, list[str]] = defaultdict(list)
    for root, members in clusters.members.items():
        if len(members) == 1 and root not in tied and root not in clusters.given:
            alike[_stem(_base(root))].append(root)
    for found in alike.values():
        found.sort(key=natural)
        first = found[0]
        for host in found[1:]:
            if clusters.fit(first, host, grouping):
                clusters.join(first, host)
            else:
                first = host


def _kept(clusters: _Clusters, before: Mapping[str, str]) -> dict[str, str]:
    """Names of the time before: of each, for the group that has most of the hosts that had it, and has few others."""
    sizes = Counter(before.values())
    kept = {}
    for root, members in clusters.members.items():
        votes = Counter(before[host] for host in members if host in before)
        for name, count in votes.items():
            if 2 * count > len(members) and 2 * count > sizes[name]:
                kept[root] = name
    return kept


def _named(clusters: _Clusters, edges: Iterable[Edge], gib: Mapping[str, int], before: Mapping[str, str]) -> MoveGroups:
    chosen = {root: name for root, name in clusters.given.items() if root in clusters.members}
    people = {names.slug(name) for name in chosen.values()}
    kept = _kept(clusters, before)
    chosen = {root: name for root, name in kept.items() if names.slug(name) not in people} | chosen
    # names as Ansible groups, where `-` and `_` are one
    taken = {names.slug(name) for name in chosen.values()}
    anchors = {root: min(members, key=natural) for root, members in clusters.members.items()}
    for root in sorted(clusters.members, key=lambda root: natural(anchors[root])):
        if root in chosen:
            continue
        anchor = anchors[root]
        wanted = itertools.chain(
            (_common(clusters.members[root]), _base(anchor), anchor),
            (f"{anchor[:50]}-{number}" for number in itertools.count(2)),
        )
        name = next(name for name in (names.slug(text, length=60) for text in wanted) if name not in taken)
        taken.add(name)
        chosen[root] = name
    of = {host: chosen[root] for root, members in clusters.members.items() for host in members}
    cut: Counter[str] = Counter()
    conflicts = []
    for edge in edges:
        a, b = of[edge.a], of[edge.b]
        if a != b:
            cut[a] += edge.weight
            cut[b] += edge.weight
            if edge.hard:
                conflicts.append(Conflict(edge, a, b))
    groups = [
        Group(
            name=name,
            hosts=sorted(clusters.members[root], key=natural),
            disk_gib=sum(gib.get(host, 0) for host in clusters.members[root]),
            cut=cut[name],
        )
        for root, name in chosen.items()
    ]
    conflicts.sort(key=lambda conflict: (conflict.edge.a, conflict.edge.b, conflict.edge.why))
    return MoveGroups(sorted(groups, key=lambda group: natural(group.name)), conflicts)


def _common(members: Iterable[str]) -> str:
    """What most of the members are called, their numbers left out; else what all their names begin with."""
    bases = sorted({host: _base(host) for host in members}.values())
    if len(bases) == 1:
        return bases[0]
    stems = Counter(_stem(base) for base in bases)
    stem, count = min(stems.items(), key=lambda pair: (-pair[1], pair[0]))
    if 2 * count > len(bases):
        return stem
    words = [base.split("-") for base in bases]
    shared = []
    for column in zip(*words, strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return "-".join(shared) or stem


def _base(host: str) -> str:
    """The host's name without the part of its id."""
    return _IDENTITY.sub("", host) or host


def _stem(base: str) -> str:
    """The name without the number at its end."""
    return _NUMBERED.sub("", base) or base


def natural(text: str) -> tuple[list[tuple[bool, int, str]], str]:
    """Sorts web-2 before web-10."""
    parts = re.split(r"(\d+)", text)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts if part], text
