# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assessments of tenants that do not exist, of any size: for tests of what reads them, and to look at.

python -m tests.assessments DIRECTORY [SERVERS]     writes assessments of a few tenants and all their reports there
"""

from __future__ import annotations

import itertools
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import kinds
from tests.samples import HOSTILE

HOSTILE_NAMES = (
    HOSTILE,
    '=HYPERLINK("http://203.0.113.9/","click")',
    "</script></style></svg></title><svg onload=alert(3)>",
    "]]><!--",
    "line\nbreak\ttab\x00nul\x1b[31mred",
    "\u202eevil\u2066\ufb01" + "\ud800",
    "é" * 300,
    "",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "javascript:alert(4)",
    '"><a href="http://203.0.113.9">x</a>',
    "{{ lookup('pipe', 'id') }}",
    "\ufdfd" * 30,
    "名前" * 40,
    "W" * 40,
)
ROLES = ("web", "app", "db", "cache", "batch", "mail", "proxy", "files")
SYSTEMS = ("debian 12", "ubuntu 22.04", "windows 2019", "rhel 7.9", "sles 12", "")
READINESS: tuple[assessments.Readiness, ...] = ("ready", "ready_with_changes", "not_ready", "unknown")
WHY: tuple[assessments.Why, ...] = ("security_group", "load_balancer", "volume", "address", "network", "dns", "flow")


def identity(rng: random.Random) -> str:
    return f"{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}-4000-8000-{rng.getrandbits(48):012x}"


def make(
    servers: int = 30,
    *,
    seed: int = 1,
    name: str = "acme",
    hostile: bool = True,
    deadline: str = "2027-06-30",
    partial: bool = True,
    group_size: int = 8,
) -> assessments.Assessment:
    """An assessment that is whole and consistent in itself. The same arguments give the same one."""
    rng = random.Random(f"{seed} {name} {servers}")
    given = [f"{rng.choice(ROLES)}-{number}" for number in range(1, servers + 1)]
    if hostile:
        for number, odd in enumerate(HOSTILE_NAMES[:servers]):
            given[number] = odd
    groups: list[list[str]] = []
    workloads: list[assessments.Workload] = []
    for number, title in enumerate(given):
        host = f"{'server' if hostile and number < len(HOSTILE_NAMES) else title}-{number:08x}"
        if not groups or len(groups[-1]) >= rng.randint(1, group_size):
            groups.append([])
        groups[-1].append(host)
        workloads.append(_workload(rng, number, title, host, f"group-{len(groups):02d}"))
    waves = _waves(rng, groups, workloads)
    wave_of = {group: wave.name for wave in waves for group in wave.groups}
    workloads = [replace(w, wave=wave_of.get(w.group, "") if w.move == "cold" else "") for w in workloads]
    gib = {w.host: w.disk_gib for w in workloads}
    items = _items(rng, servers, hostile)
    counts = {kind: 0 for kind in kinds.KINDS}
    for item in items:
        counts[item.kind] += 1
    counts |= {"servers": servers, "volumes": sum(w.disks for w in workloads), "ports": servers}
    read: dict[str, estates.ReadState] = dict.fromkeys(kinds.KINDS, "complete")
    services = [
        estates.Service(service, "complete", [k.name for k in kinds.KINDS.values() if k.service == service])
        for service in dict.fromkeys(kind.service for kind in kinds.KINDS.values())
    ]
    if partial:
        read |= {
            "rds_instances": "not_read",
            "rds_backups": "not_read",
            "dns_records": "partial",
            "waf_hosts": "absent",
        }
        states: dict[str, estates.ReadState] = {"rds": "not_read", "dns": "partial", "waf": "absent"}
        services = [replace(service, state=states.get(service.name, service.state)) for service in services]
        services.append(estates.Service("quantum-annealer" + (HOSTILE if hostile else ""), "not_read", []))
    items = [item for item in items if read[item.kind] in ("complete", "partial")]
    counts = {kind: count for kind, count in counts.items() if read[kind] in ("complete", "partial")}
    return assessments.Assessment(
        kind=assessments.KIND,
        version=assessments.VERSION,
        name=name,
        tenant=estates.Tenant(
            "0f3c5b7a9d1e4c2b8a7f6e5d4c3b2a19", HOSTILE if hostile else f"{name}-project", "", "eu-west-0"
        ),
        target="vsphere",
        deadline=deadline,
        estate="sha256:" + f"{rng.getrandbits(256):064x}",
        plan="sha256:" + f"{rng.getrandbits(256):064x}",
        read=read,
        services=services,
        counts=counts,
        workloads=workloads,
        edges=_edges(rng, groups, hostile),
        groups=[
            assessments.Group(
                name=f"group-{index:02d}",
                hosts=hosts,
                disk_gib=sum(gib[host] for host in hosts),
                wave=wave_of.get(f"group-{index:02d}", ""),
                cut=rng.randint(0, 4),
            )
            for index, hosts in enumerate(groups, 1)
        ],
        waves=waves,
        items=items,
        findings=_findings(rng, workloads, partial, hostile),
        drift=_drift(rng, workloads, hostile) if servers else [],
        to_fill=["target.datastore: must not be empty", 'networks."net-1".target: must not be empty'],
    )


def _workload(rng: random.Random, number: int, title: str, host: str, group: str) -> assessments.Workload:
    readiness = rng.choices(READINESS, (50, 25, 12, 13))[0]
    destination: assessments.Destination = rng.choice(("vsphere", "vsphere", "cloud_avenue", "retire", "customer"))
    answer: assessments.Answer = (
        rng.choice(("not_asked", "agreed", "open", "refused")) if number % 3 == 0 else "not_asked"
    )
    moving = (
        readiness in ("ready", "ready_with_changes") and destination == "vsphere" and answer in ("agreed", "not_asked")
    )
    cpus = rng.choice((1, 2, 4, 8, 16))
    return assessments.Workload(
        host=host,
        server_id=identity(rng),
        name=title,
        status=rng.choice(("ACTIVE", "ACTIVE", "SHUTOFF")),
        os="" if readiness == "unknown" else rng.choice(SYSTEMS[:-1]),
        cpus=cpus,
        memory_mib=cpus * 4096,
        target_cpus=max(1, cpus // rng.choice((1, 1, 2))),
        target_memory_mib=cpus * 4096,
        disks=(disks := rng.randint(1, 4)),
        disk_gib=disks * rng.choice((20, 40, 100, 500)),
        addresses=[f"10.{number >> 8}.{number & 255}.{rng.randint(2, 250)}"],
        readiness=readiness,
        confidence=rng.randint(30, 70) if readiness == "unknown" else rng.randint(80, 100),
        missing=["os", "firmware"] if readiness == "unknown" else [],
        destination=destination,
        answer=answer,
        reasons=["The tag says so."] if destination == "cloud_avenue" else [],
        reasons_fr=["L'étiquette le dit."] if destination == "cloud_avenue" else [],
        move="cold" if moving else "none",
        group=group,
    )


def _waves(
    rng: random.Random, groups: list[list[str]], workloads: list[assessments.Workload]
) -> list[assessments.Wave]:
    waves: list[assessments.Wave] = []
    for start in range(0, len(groups), 5):
        names = [f"group-{number:02d}" for number in range(start + 1, min(start + 5, len(groups)) + 1)]
        moving = [w for w in workloads if w.move == "cold" and w.group in names]
        if not moving:
            continue
        number = len(waves) + 1
        gib = sum(w.disk_gib for w in moving)
        seconds = round(600 * len(moving) / 4 + gib * 1024 / 100)
        window = 0 if number == 3 else 6 * 3600
        waves.append(
            assessments.Wave(
                name=f"wave_{number}",
                groups=names,
                workloads=len(moving),
                disk_gib=gib,
                start=""
                if not window
                else f"2027-{(number - 1) // 4 % 6 + 1:02d}-{(number - 1) % 4 * 7 + 2:02d}T20:00:00Z",
                window_s=window,
                seconds=seconds,
                seconds_late=round(seconds * 1.5),
                rate_mib_s=100.0,
                measured=rng.random() < 0.5,
                fits=None if not window else seconds * 1.5 <= window,
                bound_by=rng.choice(("rate", "slots", "workload")),
            )
        )
    return waves


def _edges(rng: random.Random, groups: list[list[str]], hostile: bool) -> list[assessments.Edge]:
    found: dict[tuple[str, str, str], assessments.Edge] = {}
    flat = [host for hosts in groups for host in hosts]
    for hosts in groups:
        for a, b in itertools.pairwise(hosts):
            hard = rng.random() < 0.2
            found[a, b, "volume" if hard else "security_group"] = assessments.Edge(
                a=a,
                b=b,
                why="volume" if hard else "security_group",
                hard=hard,
                directed=not hard,
                weight=rng.randint(1, 9),
                detail=rng.choice(HOSTILE_NAMES) if hostile else "sg-app: tcp 5432",
            )
    for dummy in range(len(flat) // 4):
        a, b = rng.choice(flat), rng.choice(flat)
        if a != b:
            why = rng.choice(WHY)
            found[a, b, why] = assessments.Edge(
                a=a, b=b, why=why, directed=why == "flow", weight=rng.randint(1, 20), detail="tcp 443"
            )
    return [found[key] for key in sorted(found)]


def _items(rng: random.Random, servers: int, hostile: bool) -> list[assessments.Item]:
    items = []
    for kind in kinds.KINDS.values():
        if kind.name in ("servers", "volumes", "ports") or kind.within:
            continue
        for number in range(rng.randint(0, 2 + servers // 20)):
            items.append(
                assessments.Item(
                    kind=kind.name,
                    id=identity(rng),
                    name=rng.choice(HOSTILE_NAMES) if hostile and rng.random() < 0.2 else f"{kind.name}-{number}",
                    decision=kind.decision,
                    note=kind.note,
                    size_gib=rng.choice((0.0, 0.0, 12.5, 800.0)) if kind.decision in ("leave", "customer") else 0.0,
                )
            )
    return items


def _findings(
    rng: random.Random, workloads: list[assessments.Workload], partial: bool, hostile: bool
) -> list[estates.Finding]:
    found = []
    for w in workloads:
        subject = estates.Subject("servers", w.server_id, w.name)
        if w.readiness == "not_ready":
            found.append(
                estates.Finding(
                    "volume_encrypted",
                    "blocker",
                    subject,
                    "its volume is encrypted",
                    "copy it to a volume that is not, or rebuild",
                    "son volume est chiffré",
                    "le copier vers un volume non chiffré, ou reconstruire",
                )
            )
        if w.readiness == "ready_with_changes":
            text = f"a rule names the group {rng.choice(HOSTILE_NAMES)}" if hostile else "a rule names a group"
            found.append(estates.Finding("rule_names_group", "warning", subject, text, "it becomes an address group"))
        if w.readiness == "unknown":
            found.append(
                estates.Finding(
                    "os_unknown",
                    "warning",
                    subject,
                    "its system is not known",
                    "look at the guest",
                    "son système est inconnu",
                    "examiner la machine",
                    True,
                )
            )
    if partial:
        about = estates.Subject("rds_instances")
        found.append(
            estates.Finding("not_read", "warning", about, "the service answered 503", "Read again.", "", "", True)
        )
        found.append(
            estates.Finding(
                "not_read", "warning", estates.Subject("services", "", "quantum-annealer"), "nothing reads it"
            )
        )
    found.append(
        estates.Finding("image_export", "information", estates.Subject("images", "i-1", "base"), "a public image")
    )
    return found


def _drift(rng: random.Random, workloads: list[assessments.Workload], hostile: bool) -> list[assessments.Change]:
    w = workloads[0]
    odd: Any = {"tags": [HOSTILE]} if hostile else ["a"]
    return [
        assessments.Change(
            op="added", kind="volumes", id=identity(rng), name="data-9", plan="a new object in the plan"
        ),
        assessments.Change(op="removed", kind="floating_ips", id=identity(rng), name="203.0.113.7"),
        assessments.Change(
            op="changed",
            kind="servers",
            id=w.server_id,
            name=w.name,
            path="flavor.ram_mib",
            before=4096,
            after=8192,
            plan="memory was edited in the plan: kept",
        ),
        assessments.Change(
            op="changed", kind="servers", id=w.server_id, name=w.name, path="metadata", before=None, after=odd
        ),
    ]


def main() -> None:
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import (
        assessment_report,
        portfolio_report,
    )

    folder = Path(sys.argv[1])
    servers = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    folder.mkdir(parents=True, exist_ok=True)
    tenants = []
    for index, name in enumerate(("acme", "globex", "initech", "umbrella", "hooli")):
        size = servers if index == 0 else 12 * index
        document = make(size, name=name, hostile=index < 2, partial=index % 2 == 0, deadline=f"2027-0{index + 1}-15")
        path = folder / f"{name}.assessment.json"
        path.write_text(assessments.to_text(document), encoding="utf-8")
        for file in assessment_report.files(assessment_report.load(str(path)), str(path)):
            file.write()
        tenants.append(portfolio_report.Given(name, str(path), "wrong password" if name == "hooli" else ""))
    tenants.append(portfolio_report.Given("nowhere", str(folder / "nowhere.assessment.json"), "Login failed: 401"))
    for file in portfolio_report.files(portfolio_report.gather(tenants, "2026-11-26"), str(folder)):
        file.write()
    print(folder / "acme.assessment.en.html", folder / "portfolio.en.html")


if __name__ == "__main__":
    main()
