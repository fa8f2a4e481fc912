# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it takes to translate 300 groups with 3,000 rules on 2,000 ports, and to prove that the same flows pass.

Two tenants made by chance from a seed: a *tidy* one (tiers that name each other, a few networks), and a *wild* one
(every group names many others, networks of all sizes, hardly two rules alike). Each runs in a process of its own; the
seconds are CPU seconds of one core, since other things may run on the machine. There is no peer.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.common import LAB, collection_env, row, say, write_result

GROUPS, RULES, PORTS = 300, 10, 2000
LIMIT_S = 60.0
MIB = 1 << 20


def tenant(kind: str, seed: int = 4) -> Any:
    """The firewall of a tenant; imported here, since only the measured process needs the collection."""
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import firewall as m

    rng = random.Random(f"{kind}-{seed}")
    wild = kind == "wild"
    networks = [f"10.{rng.randrange(256)}.{rng.randrange(256)}.0/{rng.choice([16, 20, 24, 28])}" for _n in range(800)]
    few = [0, 22, 80, 443, 3306, 5432, 8080, 9100]
    groups = []
    for number in range(GROUPS):
        rules = [
            m.SourceRule(id=f"rule-{number:04}-00", side="egress"),
            m.SourceRule(id=f"rule-{number:04}-01", side="egress", family=6),
        ]
        for place in range(2, RULES):
            first = rng.randrange(60000) if wild else rng.choice(few)
            last = first + (rng.randrange(500) if wild else 0)
            peer = f"group-{(rng.randrange(GROUPS) if wild else (number + place) % GROUPS):04}"
            by_group = rng.random() < 0.5
            remote = rng.choice(networks if wild else networks[:12]) if not by_group else ""
            rules.append(
                m.SourceRule(
                    id=f"rule-{number:04}-{place:02}",
                    side="egress" if wild and rng.random() < 0.3 else "ingress",
                    protocol=rng.choice([6, 6, 6, 17]),
                    first=first,
                    last=last,
                    remote=remote,
                    remote_group=peer if by_group else "",
                )
            )
        groups.append(m.SourceGroup(id=f"group-{number:04}", name=f"tier {number}", rules=rules))
    ports = [
        m.SourcePort(
            id=f"port-{number:05}",
            addresses=[f"172.16.{number // 250}.{number % 250 + 2}"],
            groups=sorted(
                {f"group-{n:04}" for n in (rng.sample(range(GROUPS), rng.randint(1, 3)) if wild else [number % GROUPS])}
            ),
        )
        for number in range(PORTS)
    ]
    return m.SourceFirewall(groups=groups, ports=ports)


def measure(kind: str) -> dict[str, Any]:
    """Translate, prove, break one rule and find it, in this process."""
    from dataclasses import replace

    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.equivalence import compare
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.firewall import translate

    source = tenant(kind)
    inside = ["172.16.0.0/16"]
    started = time.process_time()
    made = translate(source, prefix="bench", inside=inside)
    translated = time.process_time()
    verdict = compare(source, made.target)
    proven = time.process_time()
    assert verdict.equal, [str(one) for one in verdict.differences[:3]]
    wall = made.target.distributed
    assert wall is not None
    rules = list(wall.rules)
    del rules[len(rules) // 2]
    broken = compare(source, replace(made.target, distributed=replace(wall, rules=rules)))
    found = time.process_time()
    assert not broken.equal
    return {
        "translate_s": translated - started,
        "prove_s": proven - translated,
        "find_s": found - proven,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "source_rules": sum(len(group.rules) for group in source.groups),
        "rules": len(wall.rules),
        "ip_sets": len(made.target.groups),
        "profiles": len(made.target.profiles),
        "places": verdict.places,
        "services": verdict.services,
        "counterexample": str(broken.differences[0]),
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", choices=["tidy", "wild"], help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.measure:
        print(json.dumps(measure(chosen.measure)))
        return 0
    rows: list[dict[str, Any]] = []
    shown: dict[str, Any] = {}
    slow = False
    for kind in ("tidy", "wild"):
        say(f"equivalence: {kind} tenant")
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.equivalence", "--measure", kind],
            env=collection_env(),
            cwd=Path(LAB).parent,
            stdout=subprocess.PIPE,
            check=True,
        )
        told = json.loads(done.stdout)
        total = told["translate_s"] + told["prove_s"]
        slow |= total > LIMIT_S
        for what, value, unit in (
            ("translate", told["translate_s"], "s"),
            ("prove", told["prove_s"], "s"),
            ("translate and prove", total, "s"),
            ("find one removed rule", told["find_s"], "s"),
            ("peak memory", told["rss"] / MIB, "MiB"),
            ("rules of the target", told["rules"], ""),
        ):
            entry = row(f"{kind}: {what}", [(value, 0)], unit)
            rows.append({**entry, "peer": None})
        shown[kind] = {key: told[key] for key in told if not key.endswith("_s") and key != "rss"}
    conditions = {"groups": GROUPS, "ports": PORTS, "limit_s": LIMIT_S, **shown}
    write_result("equivalence", conditions, rows)
    if slow:
        say(f"  translating and proving took longer than {LIMIT_S:g} s")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
