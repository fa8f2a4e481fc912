# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: two machines that really run in a real OpenStack are found, planned, moved to vSphere, started and checked.

``python3 -m tests.lab.demo`` leaves ``.lab/demo/`` with the plan, the evidence, ``report.html`` and ``summary.json``:
``workloads`` (each ``source_id``, ``target_ref``, ``disks[] {bytes, manifest_before, manifest_source, manifest_target,
equal}``, ``boot_seconds``, ``checks[] {name, ok}``, ``adapted_files``) and ``second_run_changed``. ``manifest_source``
is of the bytes that were sent, ``manifest_target`` of the bytes read back; ``manifest_before`` is of the source's own
bytes, before the guest was adapted on its clone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import hypervisor, openstack, packages, parts, seed, vcenter
from .operator import Operator, Page, install
from .paths import DEFAULT_NAME, Instance, wait_for

MOVED = ("web-1", "web-2")
BOOT_TIMEOUT_S = 400
MANIFESTS = ("manifest_before", "manifest_source", "manifest_target")


@dataclass
class Watch:
    """Polls a source's page until it goes dark, so that the last record that it is known to have written is known."""

    page: Page
    last: tuple[int, str, str] | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to poll in the background."""
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while not self._stop.wait(1):
            records = self.page.records()
            if records:
                self.last = records[-1]

    def stop(self) -> None:
        """End polling."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)


@dataclass
class Machine:
    """A machine of the demo: its server at the source, what its page said, and its ports on both sides."""

    name: str
    server_id: str
    source: Page
    target: Page
    target_ssh: int
    index: str = ""
    watch: Watch | None = None


class Demo:
    """One run. Raises AssertionError naming what did not hold."""

    def __init__(self, instance: Instance, folder: Path) -> None:
        self.instance = instance
        self.folder = folder
        self.machines: list[Machine] = []
        self.summary: dict[str, Any] = {"workloads": [], "seconds": {}}
        self._began = time.monotonic()
        self._chapter = ("", self._began)

    def chapter(self, text: str) -> None:
        """Begin a part of the demo, and say how long the last one took."""
        now = time.monotonic()
        name, began = self._chapter
        if name:
            self.summary["seconds"][name] = round(now - began, 1)
        self._chapter = (text, now)
        if text:
            print(f"\n=== {text}   [{now - self._began:.0f} s]", flush=True)

    def run(self) -> None:
        """The whole story."""
        self.chapter("The lab comes up")
        parts.up(self.instance)
        seed.seed(self.instance)
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        self.chapter("The collection is built and installed")
        collections = install(self.folder / "collections", self.folder / "work")
        operator = Operator(self.instance, collections, self.folder, echo=sys.stdout)
        self.chapter("Two servers of the tenant really run")
        self._meet()
        self.chapter("The tenant is found, and its plan drafted")
        operator.assess().ok()
        self.chapter("A person edits the plan")
        operator.edit(self._edit)
        hosts = [operator.host(name) for name in MOVED]
        limit = ("--limit", ",".join(hosts))
        self.chapter("What a migration would do")
        self._changes_nothing("migrate --check", lambda: operator.migrate(*limit, "--check", "--diff").ok())
        self.chapter("The migration")
        operator.migrate(*limit).ok()
        self.chapter("The machines run at the target and are what they were")
        self._verify(operator, hosts)
        self.chapter("A second run has nothing to do")
        second = self._changes_nothing("the second run", lambda: operator.migrate(*limit).ok())
        self.summary["second_run_changed"] = second.changed
        if second.changed:
            raise AssertionError(f"the second run changed {second.changed}")
        self.chapter("The report")
        report = self.folder / "report.html"
        operator.run("report", extra={"plan": operator.plan_file.name, "dest": str(report)}).ok()
        operator.run("verify_ledger", extra={"ledger": str(operator.evidence / "ledger.jsonl")}).ok()
        self.chapter("")
        self.summary["seconds"]["all"] = round(time.monotonic() - self._began, 1)
        self.summary["report"] = str(report)
        (self.folder / "summary.json").write_text(json.dumps(self.summary, indent=2) + "\n")
        self._say(report)

    def _meet(self) -> None:
        servers = {server["name"]: server for server in self.instance.env()["seed"]["servers"]}
        for name in MOVED:
            server = servers[name]
            hardware = self.instance.data / "nova" / "instances" / server["id"] / "server.json"
            mac = json.loads(hardware.read_text())["nics"][0]["mac"]
            ports = {side: hypervisor.ports(self.instance, side, mac) for side in ("source", "target")}
            self.machines.append(
                Machine(name, server["id"], Page(ports["source"][80]), Page(ports["target"][80]), ports["target"][22])
            )
        for machine in self.machines:
            with self.instance.step(f"waiting for {machine.name} to serve its page"):
                machine.index = wait_for(machine.source.get, BOOT_TIMEOUT_S, f"{machine.name}'s page", every=0.5)
            number, at, _boot = wait_for(machine.source.records, 60, f"{machine.name}'s records", every=0.5)[-1]
            print(f"    {machine.name}: {machine.source.base} answers; record {number} was written at {at}")
            machine.watch = Watch(machine.source)
            machine.watch.start()

    def _edit(self, plan: dict[str, Any]) -> None:
        for machine in self.machines:
            workload = next(w for w in plan["workloads"].values() if w["source"]["id"] == machine.server_id)
            expect = machine.index.strip().splitlines()[-1].strip()
            workload["checks"] = [
                {"type": "tcp", "host": "127.0.0.1", "port": machine.target_ssh, "timeout_s": BOOT_TIMEOUT_S},
                {"type": "http", "url": f"{machine.target.base}/", "expect": expect, "timeout_s": BOOT_TIMEOUT_S},
                {
                    "type": "ssh",
                    "host": "127.0.0.1",
                    "port": machine.target_ssh,
                    "user": "root",
                    "key_file": str(self.instance.cache / "guests" / "id_ed25519"),
                    "command": "systemctl is-system-running --wait || true; cat /proc/cmdline",
                    "expect": "root=UUID=",
                    "timeout_s": BOOT_TIMEOUT_S,
                },
            ]

    def _changes_nothing(self, what: str, act: Any) -> Any:
        """Run it and count what both clouds were asked to change."""
        since, vcenter_since = time.time(), vcenter.now()
        done = act()
        writes = {
            "OpenStack": openstack.calls(self.instance, since).writes_by_service(),
            "vCenter": vcenter.calls(self.instance, vcenter_since)["write_methods"],
        }
        if any(writes.values()):
            raise AssertionError(f"{what} asked the clouds for changes: {writes}")
        print(f"    {what}: no write call to OpenStack, none to vCenter")
        return done

    def _verify(self, operator: Operator, hosts: Sequence[str]) -> None:
        results = {result["workload"]: result for result in operator.results()}
        for machine, host in zip(self.machines, hosts, strict=True):
            assert machine.watch is not None
            machine.watch.stop()
            self._same_machine(machine)
            acts = {name: act["result"] for name, act in results[host]["acts"].items()}
            disks = acts["disk_pass"]["disks"]
            if not all(disk["equal"] for disk in disks):
                raise AssertionError(f"{machine.name}: disks differ: {disks}")
            keys = ("volume", "bytes", "sent", "seconds", *MANIFESTS, "equal")
            self.summary["workloads"].append(
                {
                    "name": machine.name,
                    "source_id": machine.server_id,
                    "target_ref": acts["disk_pass"]["vm_ref"],
                    "disks": [{key: disk[key] for key in keys} for disk in disks],
                    "boot_seconds": acts["workload_check"]["boot_seconds"],
                    "checks": [{"name": c["name"], "ok": c["ok"]} for c in acts["workload_check"]["checks"]],
                    "adapted_files": [entry["path"] for entry in acts["guest_adapt"]["files"]],
                    "last_record": list(machine.watch.last or ()),
                }
            )

    def _same_machine(self, machine: Machine) -> None:
        """The page is the source's, and its records go on where the source's ended."""
        assert machine.watch is not None
        last = machine.watch.last
        if last is None:
            raise AssertionError(f"{machine.name}: no record was seen at the source")
        page = machine.target.get()
        if page != machine.index:
            raise AssertionError(f"{machine.name}: the page was {machine.index!r} and is {page!r}")

        def new() -> list[tuple[int, str, str]]:
            found = machine.target.records()
            return found if found and found[-1][2] != last[2] else []

        records = wait_for(new, 60, f"{machine.name}'s new records")
        if last not in records:
            raise AssertionError(f"{machine.name}: the record {last} of the source is lost")
        if [record[0] for record in records] != list(range(records[0][0], records[0][0] + len(records))):
            raise AssertionError(f"{machine.name}: there is a gap in the records")
        before = [record for record in records if record[2] == last[2]]
        print(
            f"    {machine.name}: same page; the source's last record {before[-1][0]} ({before[-1][1]}) is there, "
            f"and the target has written {len(records) - records.index(before[-1]) - 1} more"
        )

    def _say(self, report: Path) -> None:
        print("\n" + "-" * 100)
        for workload in self.summary["workloads"]:
            disks = workload["disks"]
            size = sum(disk["bytes"] for disk in disks) / 1e9
            checks = sum(check["ok"] for check in workload["checks"])
            print(
                f"{workload['name']:8} -> {workload['target_ref']:8} {len(disks)} disks, {size:.1f} GB, proven; "
                f"served after {workload['boot_seconds']} s; {checks} of {len(workload['checks'])} checks; "
                f"{len(workload['adapted_files'])} files adapted"
            )
        print(f"second run: changed={self.summary['second_run_changed']}")
        print(f"all of it took {self.summary['seconds']['all']:.0f} s. Open the report: {report}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; 0 when everything held."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab.demo")
    parser.add_argument("--name", default=DEFAULT_NAME, help="the lab instance (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    args = parser.parse_args(argv)
    packages.require_host()
    instance = Instance(args.name)
    demo = Demo(instance, instance.root / "demo")
    try:
        demo.run()
    except AssertionError as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    finally:
        for machine in demo.machines:
            if machine.watch is not None:
                machine.watch.stop()
        if not args.keep:
            demo.chapter("The lab goes down")
            parts.down(instance)
    return 0


if __name__ == "__main__":
    sys.exit(main())
