# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dependencies as a drawing: workloads on a ring, those of a move group side by side, what joins them inside it.

Each label has a ray of its own, so that no two ever overlap, whatever the number: the ring grows. Groups that have most
to do with each other are neighbours. Workloads that nothing joins to anything are not on the ring.
"""

from __future__ import annotations

import math
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports import markup
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.reports.words import Words

SLOT = 14.5
"""Pixels of the ring that a label has."""
GAP = 0.8
"""Slots left free between two groups."""
LABEL = 24
"""Width of a label, in characters of ordinary width."""
MARGIN = 224
"""Pixels around the ring, for the labels."""
SMALLEST = 150
MOST_EDGES = 3000
SIGNS = {"ready": "✓", "ready_with_changes": "±", "not_ready": "✗", "unknown": "?"}


@dataclass(frozen=True)
class Drawing:
    """The picture, and what is not in it: hosts that nothing joins, joints beyond what can be drawn."""

    svg: str
    shown: Sequence[str]
    alone: Sequence[str]
    left_out: int


@dataclass(frozen=True)
class _Place:
    angle: float
    group: int


@dataclass(frozen=True)
class _Joint:
    """All edges between two workloads, taken together."""

    a: str
    b: str
    edges: Sequence[assessments.Edge]

    @property
    def hard(self) -> bool:
        return any(edge.hard for edge in self.edges)

    @property
    def weight(self) -> int:
        return sum(edge.weight for edge in self.edges)


def draw(assessment: assessments.Assessment, words: Words, title: str) -> Drawing:
    """The drawing of an assessment; `svg` is empty where nothing is joined to anything."""
    known = {workload.host: workload for workload in assessment.workloads}
    joints = _joints(assessment.edges, known)
    joined = {end for joint in joints for end in (joint.a, joint.b)}
    groups = _groups(assessment, known, joined)
    shown = [host for dummy, hosts in groups for host in hosts]
    alone = [workload.host for workload in assessment.workloads if workload.host not in set(shown)]
    if not shown:
        return Drawing("", [], alone, 0)
    groups = _ordered(groups, joints)
    places, heads, slots = _places(groups)
    radius = max(SMALLEST, slots * SLOT / math.tau)
    middles = {number: _middle(hosts, places) for number, (dummy, hosts) in enumerate(groups)}
    drawn = joints[:MOST_EDGES]
    numbers = {host: number for number, host in enumerate(shown)}
    parts = [
        *(_band(number, hosts, places, radius) for number, (dummy, hosts) in enumerate(groups)),
        *(_edge(joint, places, middles, radius, known, numbers, words) for joint in drawn),
        *(_tips(joint, places, radius, numbers) for joint in drawn),
        *(_head(name, angle, radius) for (name, dummy), angle in zip(groups, heads, strict=True)),
        *(_node(known[host], numbers[host], places[host].angle, radius, words) for host in numbers),
    ]
    size = math.ceil(2 * (radius + MARGIN))
    svg = (
        f'<svg width="{size}" height="{size}" viewBox="{-size / 2:g} {-size / 2:g} {size} {size}" role="img" '
        f'aria-label="{markup.text(title)}">{markup.joined(parts)}</svg>'
    )
    return Drawing(svg, shown, alone, len(joints) - len(drawn))


def _joints(edges: Iterable[assessments.Edge], known: Mapping[str, object]) -> list[_Joint]:
    """One for two workloads, hard and heavy ones first."""
    pairs: dict[tuple[str, str], list[assessments.Edge]] = defaultdict(list)
    for edge in edges:
        if edge.a in known and edge.b in known and edge.a != edge.b:
            pairs[min(edge.a, edge.b), max(edge.a, edge.b)].append(edge)
    joints = [_Joint(a, b, found) for (a, b), found in pairs.items()]
    return sorted(joints, key=lambda joint: (not joint.hard, -joint.weight, joint.a, joint.b))


def _groups(
    assessment: assessments.Assessment, known: Mapping[str, object], joined: set[str]
) -> list[tuple[str, list[str]]]:
    """Move groups with those of their workloads that are on the ring; workloads that no group names are the last."""
    groups: list[tuple[str, list[str]]] = []
    placed: set[str] = set()
    for group in sorted(assessment.groups, key=lambda group: group.name):
        hosts = sorted({host for host in group.hosts if host in known and host not in placed})
        if len(hosts) > 1 or joined.intersection(hosts):
            groups.append((group.name, hosts))
            placed.update(hosts)
    rest = sorted(joined - placed)
    return [*groups, ("–", rest)] if rest else groups


def _ordered(groups: Sequence[tuple[str, list[str]]], joints: Iterable[_Joint]) -> list[tuple[str, list[str]]]:
    """Groups around the ring: each beside the one that it has most to do with, as far as that is possible."""
    of = {host: number for number, (dummy, hosts) in enumerate(groups) for host in hosts}
    weights: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for joint in joints:
        a, b = of[joint.a], of[joint.b]
        if a != b:
            weights[a][b] += joint.weight
            weights[b][a] += joint.weight
    left = dict.fromkeys(sorted(range(len(groups)), key=lambda number: (-sum(weights[number].values()), number)))
    order: list[int] = []
    while left:
        near = weights[order[-1]] if order else {}
        candidates = [number for number in near if number in left]
        number = min(candidates, key=lambda other: (-near[other], other)) if candidates else next(iter(left))
        del left[number]
        order.append(number)
    return [groups[number] for number in order]


def _places(groups: Sequence[tuple[str, list[str]]]) -> tuple[dict[str, _Place], list[float], float]:
    """The angle of each workload, that of each group's name, and the slots around the ring."""
    slots = sum(1 + len(hosts) + GAP for dummy, hosts in groups)
    # a small ring has slots to spare
    step = math.tau / max(slots, SMALLEST * math.tau / SLOT)
    spare = (math.tau - step * slots) / len(groups)
    places: dict[str, _Place] = {}
    heads: list[float] = []
    angle = -math.pi / 2
    for number, (dummy, hosts) in enumerate(groups):
        # names are read downwards on both sides of the ring, the group's own first
        upwards = math.cos(angle + step * len(hosts) / 2) < 0
        if not upwards:
            heads.append(angle)
            angle += step
        for host in reversed(hosts) if upwards else hosts:
            places[host] = _Place(angle, number)
            angle += step
        if upwards:
            heads.append(angle)
            angle += step
        angle += step * GAP + spare
    return places, heads, slots


def _middle(hosts: Sequence[str], places: Mapping[str, _Place]) -> float:
    return (places[hosts[0]].angle + places[hosts[-1]].angle) / 2


def _span(hosts: Sequence[str], places: Mapping[str, _Place]) -> tuple[float, float]:
    ends = sorted((places[hosts[0]].angle, places[hosts[-1]].angle))
    return ends[0], ends[1]


def _at(angle: float, radius: float) -> str:
    return f"{radius * math.cos(angle):.1f} {radius * math.sin(angle):.1f}"


def _band(number: int, hosts: Sequence[str], places: Mapping[str, _Place], radius: float) -> str:
    (first, last), at = _span(hosts, places), radius + 9
    half = SLOT / radius * 0.4
    wide = int(last - first + 2 * half > math.pi)
    path = f"M{_at(first - half, at)}A{at:.1f} {at:.1f} 0 {wide} 1 {_at(last + half, at)}"
    return f'<path class="band c{number % 6}" d="{path}"/>'


def _edge(
    joint: _Joint,
    places: Mapping[str, _Place],
    middles: Mapping[int, float],
    radius: float,
    known: Mapping[str, assessments.Workload],
    numbers: Mapping[str, int],
    words: Words,
) -> str:
    a, b, inner = places[joint.a], places[joint.b], radius - 7
    start, end = _at(a.angle, inner), _at(b.angle, inner)
    if a.group == b.group:
        spread = abs(a.angle - b.angle)
        path = f"M{start}Q{_at((a.angle + b.angle) / 2, inner * max(0.35, 0.9 - 0.6 * spread))} {end}"
    else:
        apart = abs(middles[a.group] - middles[b.group])
        turn = inner * (0.85 - 0.5 * min(1.0, min(apart, math.tau - apart) / 1.5))
        path = f"M{start}C{_at(middles[a.group], turn)} {_at(middles[b.group], turn)} {end}"
    kinds = " ".join(["edge", *(["out"] if a.group != b.group else []), *(["hard"] if joint.hard else [])])
    width = 1 + min(1.5, math.log2(max(1, joint.weight)) / 4)
    return (
        f'<path class="{kinds}" data-a="{numbers[joint.a]}" data-b="{numbers[joint.b]}" stroke-width="{width:.1f}" '
        f'd="{path}"><title>{markup.text(_told(joint, known, words))}</title></path>'
    )


def _told(joint: _Joint, known: Mapping[str, assessments.Workload], words: Words) -> str:
    lines = [
        f"{known[edge.a].name or edge.a} {'→' if edge.directed else '–'} {known[edge.b].name or edge.b} "
        f"({words(f'why {edge.why}')}{f', {edge.detail}' if edge.detail else ''})"
        for edge in joint.edges[:6]
    ]
    return "; ".join([*lines, *(["…"] if len(joint.edges) > 6 else [])])


def _tips(joint: _Joint, places: Mapping[str, _Place], radius: float, numbers: Mapping[str, int]) -> str:
    """An arrow's tip at each end that is talked to."""
    found = []
    for end in dict.fromkeys(edge.b for edge in joint.edges if edge.directed):
        angle, inner, half = places[end].angle, radius - 6, 3.5 / radius
        path = f"M{_at(angle, inner)}L{_at(angle - half, inner - 9)}L{_at(angle + half, inner - 9)}Z"
        found.append(f'<path class="tip" data-a="{numbers[joint.a]}" data-b="{numbers[joint.b]}" d="{path}"/>')
    return "".join(found)


def _turned(angle: float, radius: float) -> tuple[str, str]:
    """The transformation that puts a label on its ray, and the end of the text that is at the ring."""
    degrees = math.degrees(angle)
    if math.cos(angle) >= -1e-9:
        return f"rotate({degrees:.2f}) translate({radius:.1f})", "start"
    return f"rotate({degrees:.2f}) translate({radius:.1f}) rotate(180)", "end"


def _head(name: str, angle: float, radius: float) -> str:
    where, anchor = _turned(angle, radius + 16)
    return f'<text class="head" transform="{where}" text-anchor="{anchor}" dy="4">{markup.text(cut(name))}</text>'


def _node(workload: assessments.Workload, number: int, angle: float, radius: float, words: Words) -> str:
    where, anchor = _turned(angle, radius)
    name, sign = markup.text(cut(workload.name or workload.host)), SIGNS[workload.readiness]
    label = f"{sign} {name}" if anchor == "start" else f"{name} {sign}"
    x = 16 if anchor == "start" else -16
    told = f"{markup.text(workload.name or workload.host)}: {markup.text(words(workload.readiness))}"
    return (
        f'<g class="node {workload.readiness}" data-n="{number}" transform="{where}"><title>{told}</title>'
        f'<circle class="dot" r="5"/><text x="{x}" text-anchor="{anchor}" dy="4">{label}</text></g>'
    )


def cut(text: str, width: int = LABEL) -> str:
    """A text that is no wider than `width` characters of ordinary width."""
    text = " ".join(markup.shown(" ".join(text.split())).split())
    kept: list[str] = []
    used = 0.0
    for char in text:
        used += _width(char)
        if used > width:
            return "".join(kept[:-1]) + "…"
        kept.append(char)
    return text


def _width(char: str) -> float:
    if unicodedata.combining(char):
        return 0
    if "\ufd40" <= char <= "\ufdff":  # ligatures of whole phrases
        return 12
    if char in "MWmw@%" or (char >= "\u0e00" and not "\u1e00" <= char <= "\u20ff"):
        return 2
    return 1.3 if char.isupper() or char in "<=>+~_#&" else 1
