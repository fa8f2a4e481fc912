# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paired measurements: ours and a peer's run alternate, each as a whole process, and ratios are taken pair by pair.

Every benchmark writes `.lab/bench/<name>.json`:

    {"name": ..., "machine": {...}, "conditions": {...},
     "rows": [{"what": ..., "ours": ..., "peer": ..., "unit": ..., "ratio": ...}]}

`ours` and `peer` are medians, `ratio` is the median of the pairs' ratios; it is above 1 where we are ahead. Where there
is no peer, `peer` and `ratio` are null.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
LAB = CHECKOUT / ".lab"
CACHE = LAB / "cache" / "bench"
RESULTS = LAB / "bench"
MEASURED = Path(__file__).with_name("measured.py")


def say(text: str) -> None:
    """A line for whoever watches."""
    print(text, flush=True)


@dataclass(frozen=True)
class Sample:
    """One run of a process and all its children: seconds of wall and CPU time, peak memory of its largest process.

    rss: bytes; a value below a bare interpreter's own size (about 10 MiB) cannot be seen, see measured.py.
    """

    wall: float
    cpu: float
    rss: int


def run(arguments: Sequence[str | Path], env: Mapping[str, str] | None = None, output: str = os.devnull) -> Sample:
    """Run a program to its end and measure it. RuntimeError with its last words when it fails."""
    log = LAB / "bench" / "last-error.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [str(argument) for argument in arguments]
    with tempfile.TemporaryDirectory() as folder, open(output, "wb") as out, open(log, "wb") as err:
        result = Path(folder) / "sample.json"
        command = [sys.executable, "-I", "-S", str(MEASURED), str(result), *words]
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err, check=False)
        if done.returncode:
            raise RuntimeError(f"{words[0]} failed ({done.returncode}): {log.read_text()[-2000:]}")
        return Sample(**json.loads(result.read_bytes()))


def paired(
    ours: Callable[[], Sample], peer: Callable[[], Sample], pairs: int, label: str = ""
) -> list[tuple[Sample, Sample]]:
    """(ours, peer) of `pairs` pairs; who goes first alternates, so that a trend of the machine favours nobody."""
    done = []
    for number in range(pairs):
        if number % 2:
            second = peer()
            first = ours()
        else:
            first = ours()
            second = peer()
        done.append((first, second))
        say(
            f"  {label} pair {number + 1}/{pairs}: wall {first.wall:.2f} s / {second.wall:.2f} s, "
            f"cpu {first.cpu:.2f} s / {second.cpu:.2f} s, load {os.getloadavg()[0]:.1f}"
        )
    return done


def row(what: str, pairs: Iterable[tuple[float, float]], unit: str, lower_is_better: bool = True) -> dict[str, Any]:
    """One row of a result from (ours, peer) pairs of numbers."""
    both = list(pairs)
    ratios = [(b / a if lower_is_better else a / b) for a, b in both if a and b]
    return {
        "what": what,
        "ours": round(median(a for a, _b in both), 4),
        "peer": round(median(b for _a, b in both), 4),
        "unit": unit,
        "ratio": round(median(ratios), 3) if ratios else None,
    }


def version_of(arguments: Sequence[str]) -> str:
    """The first line that a program says of itself, or an empty string."""
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return (done.stdout or done.stderr).strip().split("\n")[0]


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def write_result(name: str, conditions: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write the result file and say its rows."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    data = {"name": name, "machine": machine(), "conditions": dict(conditions), "rows": list(rows)}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(data, indent=2) + "\n")
    partial.replace(path)
    width = max((len(entry["what"]) for entry in rows), default=0)
    for entry in rows:
        ratio = "" if entry["ratio"] is None else f"ratio {entry['ratio']:g}"
        peer = "-" if entry["peer"] is None else f"{entry['peer']:g}"
        say(f"  {entry['what']:<{width}}  {entry['ours']:>12g}  {peer:>12}  {entry['unit']:<6} {ratio}")
    say(f"  written: {path.relative_to(CHECKOUT)}")
    return path


def python() -> str:
    """The interpreter that the collection runs with."""
    return sys.executable


def collection_env() -> dict[str, str]:
    """An environment in which the checkout can be imported as the collection."""
    return {**os.environ, "PYTHONPATH": str(LAB / "src")}
