# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An evidence directory and its plan as a migration leaves them: for tests of what reads them, and to look at.

python -m tests.samples DIRECTORY     writes evidence/, acme.plan.yml and evidence/report.html there
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import yaml

HOSTILE = "a b'\"{{ 7*7 }}/../é<script>alert(1)</script><img src=x onerror=alert(2)>\u202etxt.exe"
MIB, GIB = 1 << 20, 1 << 30


def root(seed: str) -> str:
    return "blake3:" + hashlib.sha256(seed.encode()).hexdigest()


def change(path: str, action: str, before: str | None, after: str | None) -> dict[str, Any]:
    sums = {"before": before, "after": after}
    return {"path": path, "action": action} | {name: text and root(text)[7:] for name, text in sums.items()}


def workload(source_name: str, number: int, **values: Any) -> dict[str, Any]:
    return {
        "source": {"id": f"5e2f{number:04d}-7c1e-4a53-9b0f-2f6f5cf1d0{number:02d}", "name": source_name},
        "move": "cold",
        "name": f"vm-{number}",
        "group": "web",
        "reader": "reader-1",
        "cpus": 2,
        "memory_mib": 2048,
        "disks": [{"volume": f"v-{number}-0", "size_gib": 8, "boot": True}],
        "nics": [{"mac": f"fa:16:3e:00:00:{number:02x}", "network": "net-1"}],
        "checks": [{"type": "http", "url": "http://10.20.0.11/", "expect": "ready"}],
        **values,
    }


def plan() -> dict[str, Any]:
    return {
        "plugin": "cloudexit.flexible_engine.plan",
        "version": 1,
        "tenant": {"name": "acme", "project_id": "0f3c5b7a9d1e4c2b", "region": "RegionOne"},
        "target": {"type": "vsphere", "datacenter": "DC0", "compute": "DC0_C0", "datastore": "LocalDS_0"},
        "readers": {"reader-1": {"server_id": "4b1d0000-0000-4000-8000-000000000001"}},
        "networks": {"net-1": {"name": "app", "target": "VM Network"}},
        "waves": {"wave_1": {"groups": ["web"]}, "wave_2": {"groups": ["db"]}},
        "workloads": {
            "web-1-5e2f0001": workload("web-1", 1),
            "web-2-5e2f0002": workload(HOSTILE, 2, name="web-2"),
            "web-3-5e2f0003": workload("web-3", 3),
            "db-1-5e2f0004": workload("db-1", 4, group="db", checks=[]),
            "build-5e2f0005": workload("build", 5, move="none", reason="Rebuilt from scratch at the target."),
        },
    }


def moved(number: int, *, equal: bool = True, check: bool = True) -> list[dict[str, Any]]:
    """The results of all acts on a workload that moved, as modules return them."""
    boot, data = root(f"boot {number}"), root(f"data {number}")
    scale = 1 + number / 3
    return [
        {
            "name": "source_server",
            "server_id": f"s-{number}",
            "seconds": 4.2 * scale,
            "stopped_at": "2026-11-20T21:00:04Z",
        },
        {"name": "disk_clone", "seconds": 9.5, "clones": [{"index": 0, "volume": "v", "clone": f"c-{number}"}]},
        {
            "name": "guest_adapt",
            "seconds": 23.8,
            "files": [
                change("/boot/initrd.img-6.1.0-35-amd64", "rebuilt", "i1", f"i2{number}"),
                change("/etc/fstab", "modified", "f1", f"f2{number}"),
                change("/etc/initramfs-tools/conf.d/cloudexit", "created", None, "c"),
                change("/etc/cloud/cloud.cfg.d/90_openstack.cfg", "removed", "o", None),
            ],
            "notes": ["open-vm-tools is wanted and not installed"],
        },
        {
            "name": "disk_pass",
            "seconds": 61.4 * scale,
            "vm_ref": f"vm-{60 + number}",
            "disks": [
                {
                    "label": "Boot disk",
                    "volume": f"3c9d{number:04d}-1111-4222-8333-444455556666",
                    "bytes": 8 * GIB,
                    "sent": 1217 * MIB,
                    "seconds": 58.1 * scale,
                    "manifest_before": root(f"before {number}"),
                    "manifest_source": boot,
                    "manifest_target": boot,
                    "equal": True,
                },
                {
                    "label": "Data disk",
                    "volume": f"3c9d{number:04d}-aaaa-4222-8333-444455556666",
                    "bytes": 20 * GIB,
                    "sent": 11_400 * MIB,
                    "seconds": 61.4 * scale,
                    "manifest_source": data,
                    "manifest_target": data if equal else root("something else"),
                    "equal": equal,
                },
            ],
        },
        {"name": "vsphere_vm", "seconds": 3.1, "boot_seconds": 18.4},
        {
            "name": "workload_check",
            "seconds": 20.2,
            "checked_at": f"2026-11-20T21:03:{7 + number:02d}Z",
            "checks": [
                {"name": "http http://10.20.0.11/", "ok": True, "seconds": 0.1, "detail": "200, holds 'ready'"},
                {
                    "name": "ssh systemctl is-system-running",
                    "ok": check,
                    "seconds": 1.2,
                    "detail": "running" if check else "degraded",
                },
            ],
        },
        {"name": "source_fence", "seconds": 0.4, "fenced": True},
    ]


def write(directory: Path, *, hostile: bool = True, broken: bool = False) -> tuple[Path, Path]:
    """Write the evidence directory and the plan; returns both paths."""
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.ledger import evidence

    document = plan()
    if not hostile:
        document["workloads"]["web-2-5e2f0002"]["source"]["name"] = "web-2"
    folder, file = directory / "evidence", directory / "acme.plan.yml"
    directory.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    runs = {"web-1-5e2f0001": moved(1), "web-2-5e2f0002": moved(2), "web-3-5e2f0003": moved(3)[:4]}
    if broken:
        runs["web-1-5e2f0001"], runs["web-2-5e2f0002"] = moved(1, check=False), moved(2, equal=False)
    for index, (key, results) in enumerate(runs.items()):
        acts = [
            evidence.Act(
                name=result["name"],
                changed=result["name"] != "workload_check",
                evidence=True,
                result={name: value for name, value in result.items() if name != "name"},
                time=f"2026-11-20T21:{index:02d}:{number:02d}.000000Z",
            )
            for number, result in enumerate(results)
        ]
        facts = {"source": document["workloads"][key]["source"], "target": document["target"], "group": "web"}
        evidence.record(str(folder / "ledger.jsonl"), "acme", key, acts, facts)
    return folder, file


def main() -> None:
    from tests.conftest import SOURCE_TREE

    sys.path.insert(0, str(SOURCE_TREE))
    from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import report

    folder, file = write(Path(sys.argv[1]), broken="--broken" in sys.argv)
    (folder / "report.html").write_text(report.build(str(folder), str(file)), encoding="utf-8")
    print(folder / "report.html")


if __name__ == "__main__":
    main()
