# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: two machines that really run in a real OpenStack are found, planned, moved, started and checked.

They go to Cloud Avenue, where their network is made first: they are seen through NAT and firewall of its edge. With
``--target vsphere`` they go to a vCenter.

``python3 -m tests.lab.demo`` leaves ``.lab/demo/`` with the plan, the evidence, ``report.html`` and ``summary.json``:
``workloads`` (each ``source_id``, ``target_ref``, ``disks[] {bytes, manifest_before, manifest_source, manifest_target,
equal}``, ``boot_seconds``, ``checks[] {name, ok}``, ``adapted_files``, ``hardware``) and ``second_run_changed``.
``manifest_source`` is of the bytes that were sent, ``manifest_target`` of those read back; ``manifest_before`` is of
the source's own bytes, before the guest was adapted on its clone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import hypervisor, openstack, packages, parts, seed, vcd, vcenter
from .operator import TARGET, Operator, Page, cloud_avenue, install
from .paths import DEFAULT_NAME, HOST, Instance, wait_for

MOVED = ("web-1", "web-2")
BOOT_TIMEOUT_S = 400
MANIFESTS = ("manifest_before", "manifest_source", "manifest_target")
INSIDE = "10.20.0.5"
"""The reader host's address, from which the security groups let people log in."""
ORDER = """\
- name: Public addresses for the edge
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Order them
      cloudexit.flexible_engine.cloudavenue_public_ip:
        edge: "{{ edge }}"
        count: 4
      register: ordered
    - name: Note them
      ansible.builtin.copy:
        content: "{{ ordered.addresses | to_json }}"
        dest: "{{ dest }}"
        mode: "0644"
"""


def _vcenter_writes(instance: Instance) -> Callable[[], dict[str, int]]:
    since = vcenter.now()
    return lambda: dict(vcenter.calls(instance, since)["write_methods"])


def _avenue_writes(instance: Instance) -> Callable[[], dict[str, int]]:
    since = time.time()

    def count() -> dict[str, int]:
        told = vcd.calls(instance, since)["write_methods"]
        return {name: number for name, number in told.items() if "/sessions" not in name}

    return count


@dataclass(frozen=True)
class Target:
    """What differs between targets: its name, what assess is told, what it has, and a count of writes from now on."""

    title: str
    told: Callable[[Instance], dict[str, Any]]
    machines: Callable[[Instance], list[dict[str, Any]]]
    writes: Callable[[Instance], Callable[[], dict[str, int]]]
    edge: bool
    """Whether the network is made too, and machines are reached through an edge."""


TARGETS = {
    "cloud_avenue": Target(
        "Cloud Avenue", cloud_avenue, lambda instance: vcd.Control(instance).machines()[1], _avenue_writes, edge=True
    ),
    "vsphere": Target(
        "vSphere",
        lambda dummy: TARGET,
        lambda instance: vcenter.Control(instance).machines()[1],
        _vcenter_writes,
        edge=False,
    ),
}


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
    public: str = ""
    index: str = ""
    watch: Watch | None = None


class Demo:
    """One run. Raises AssertionError naming what did not hold."""

    def __init__(self, instance: Instance, folder: Path, target: str) -> None:
        self.instance = instance
        self.folder = folder
        self.target = TARGETS[target]
        self.outside = vcd.Outside(instance)
        self.public: list[str] = []
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

    def run(self) -> Operator:
        """The whole story; who told it."""
        with contextlib.ExitStack() as stack:
            self.chapter("The lab comes up")
            parts.up(self.instance)
            seed.seed(self.instance)
            stack.enter_context(self.outside)
            return self._run()

    def _run(self) -> Operator:
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        self.chapter("The collection is built and installed")
        collections = install(self.folder / "collections", self.folder / "work")
        operator = Operator(self.instance, collections, self.folder, echo=sys.stdout)
        self.chapter("Two servers of the tenant really run")
        self._meet()
        self.chapter(f"The tenant is found, and its plan into {self.target.title} drafted")
        operator.assess(assess_target=self.target.told(self.instance)).ok()
        if self.target.edge:
            self.chapter("Public addresses are ordered")
            self._order(operator)
        self.chapter("A person edits the plan")
        operator.edit(self._edit)
        hosts = [operator.host(name) for name in MOVED]
        limit = ("--limit", ",".join(hosts))
        if self.target.edge:
            self._prepare(operator)
        self.chapter("What a migration would do")
        self._changes_nothing("migrate --check", lambda: operator.migrate(*limit, "--check", "--diff").ok())
        self.chapter("The migration")
        operator.migrate(*limit).ok()
        self.chapter("The machines run at the target and are what they were")
        self._verify(operator, hosts)
        self.chapter("A second run has nothing to do")
        second = self._changes_nothing("the second run", lambda: operator.migrate(*limit).ok()).changed
        if self.target.edge:
            second += self._changes_nothing("prepare again", lambda: operator.prepare().ok()).changed
        self.summary["second_run_changed"] = second
        if second:
            raise AssertionError(f"the second run changed {second}")
        self.chapter("The report")
        report = self.folder / "report.html"
        operator.run("report", extra={"plan": operator.plan_file.name, "dest": str(report)}).ok()
        operator.run("verify_ledger", extra={"ledger": str(operator.evidence / "ledger.jsonl")}).ok()
        self.chapter("")
        self.summary["seconds"]["all"] = round(time.monotonic() - self._began, 1)
        self.summary["report"] = str(report)
        (self.folder / "summary.json").write_text(json.dumps(self.summary, indent=2) + "\n")
        self._say(report)
        return operator

    def _meet(self) -> None:
        servers = {server["name"]: server for server in self.instance.env()["seed"]["servers"]}
        for name in MOVED:
            server = servers[name]
            hardware = self.instance.data / "nova" / "instances" / server["id"] / "server.json"
            mac = json.loads(hardware.read_text())["nics"][0]["mac"]
            ports = {side: hypervisor.ports(self.instance, side, mac) for side in ("source", "target")}
            pages = Page(ports["source"][80]), Page(ports["target"][80])
            self.machines.append(Machine(name, server["id"], *pages, ports["target"][22]))
        for machine in self.machines:
            with self.instance.step(f"waiting for {machine.name} to serve its page"):
                machine.index = wait_for(machine.source.get, BOOT_TIMEOUT_S, f"{machine.name}'s page", every=0.5)
            number, at, _boot = wait_for(machine.source.records, 60, f"{machine.name}'s records", every=0.5)[-1]
            print(f"    {machine.name}: {machine.source.base} answers; record {number} was written at {at}")
            machine.watch = Watch(machine.source)
            machine.watch.start()

    def _order(self, operator: Operator) -> None:
        """Have as many public addresses as the plan needs: one each for both machines, the NAT gateway, all others."""
        order, ordered = self.folder / "order.yml", self.folder / "public.json"
        order.write_text(ORDER)
        edge = self.target.told(self.instance)["edge"]
        operator.run(str(order), extra={"edge": edge, "dest": str(ordered)}).ok()
        self.public = json.loads(ordered.read_text())

    def _edit(self, plan: dict[str, Any]) -> None:
        if self.target.edge:
            self._edit_edge(plan)
        for machine in self.machines:
            workload = next(w for w in plan["workloads"].values() if w["source"]["id"] == machine.server_id)
            expect = machine.index.strip().splitlines()[-1].strip()
            workload["checks"] = [
                {"type": "tcp", "host": HOST, "port": machine.target_ssh, "timeout_s": BOOT_TIMEOUT_S},
                {"type": "http", "url": f"{machine.target.base}/", "expect": expect, "timeout_s": BOOT_TIMEOUT_S},
                {
                    "type": "ssh",
                    "host": HOST,
                    "port": machine.target_ssh,
                    "user": "root",
                    "key_file": str(self.instance.cache / "guests" / "id_ed25519"),
                    "command": "systemctl is-system-running --wait || true; cat /proc/cmdline",
                    "expect": "root=UUID=",
                    "timeout_s": BOOT_TIMEOUT_S,
                },
            ]

    def _edit_edge(self, plan: dict[str, Any]) -> None:
        """Which public address takes the place of which; the machines are seen at those that they get."""
        estate = json.loads((self.folder / "acme.estate.json").read_text())
        edge = plan["edge"]
        gateway = {rule["properties"]["floating_ip_address"]: None for rule in estate["resources"]["dnat_rules"]}
        old = sorted({**edge["public"], **gateway})
        edge["public"] = dict(zip(old, self.public, strict=False))
        edge["outbound"] = self.public[len(old)]
        for machine in self.machines:
            workload = next(w for w in plan["workloads"].values() if w["source"]["id"] == machine.server_id)
            (inner,) = workload["nics"][0]["addresses"]
            before = next(one["address"] for one in estate["floating_ips"] if one["fixed_address"] == inner)
            machine.public = edge["public"][before]
            machine.target = Page(self.outside.port(machine.public, 80))
            machine.target_ssh = self.outside.port(inner, 22, INSIDE)
            print(
                f"    {machine.name}: {before} becomes {machine.public}; its port 80 seen from the Internet is "
                f"{machine.target.base} here, and {inner} port 22 seen from {INSIDE} is port {machine.target_ssh}"
            )

    def _prepare(self, operator: Operator) -> None:
        self.chapter("What cannot be said exactly at the target is refused, until a person agrees")
        refused = self._changes_nothing("prepare --check", lambda: operator.prepare("--check"))
        agreed = sorted(set(re.findall(r"edge\.accepted: ([\w-]+): ", refused.output)))
        if agreed:
            operator.edit(lambda plan: plan["edge"].update(accepted=agreed))
        self.chapter("What the network at the target would be")
        self._changes_nothing("prepare --check", lambda: operator.prepare("--check", "--diff").ok())
        self.chapter("The network is made: networks, firewall, NAT; and proven")
        operator.prepare().ok()
        self.chapter("A second time there is nothing to prepare")
        again = self._changes_nothing("prepare again", lambda: operator.prepare().ok())
        if again.changed:
            raise AssertionError(f"prepare changed {again.changed} the second time")

    def _changes_nothing(self, what: str, act: Any) -> Any:
        """Run it and count what both clouds were asked to change."""
        since, written = time.time(), self.target.writes(self.instance)
        done = act()
        writes = {
            "OpenStack": openstack.calls(self.instance, since).writes_by_service(),
            self.target.title: written(),
        }
        if any(writes.values()):
            raise AssertionError(f"{what} asked the clouds for changes: {writes}")
        print(f"    {what}: no write call to OpenStack, none to {self.target.title}")
        return done

    def _verify(self, operator: Operator, hosts: Sequence[str]) -> None:
        results = {result["workload"]: result for result in operator.results()}
        for machine, host in zip(self.machines, hosts, strict=True):
            assert machine.watch is not None
            machine.watch.stop()
            self._same_machine(machine)
            hardware = self._hardware(machine, operator.plan()["workloads"][host])
            if self.target.edge:
                self._closed(machine)
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
                    "hardware": hardware,
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

    def _hardware(self, machine: Machine, workload: dict[str, Any]) -> dict[str, Any]:
        """The hardware that the target names is the plan's, and the guest runs on it."""
        (found,) = (
            vm
            for vm in self.target.machines(self.instance)
            if vm["extra_config"].get("cloudexit.source_id") == machine.server_id
        )
        (guest,) = (g for g in hypervisor.status(self.instance) if g["side"] == "target" and g["id"] == found["moref"])
        hardware = {
            "firmware": found["firmware"],
            "cpus": found["cpus"],
            "memory_mib": found["memory_mib"],
            "controllers": sorted({disk["controller"] for disk in found["disks"]}),
            "nics": [nic["type"] for nic in found["nics"]],
        }
        wanted = {
            **{key: workload[key] for key in ("firmware", "cpus", "memory_mib")},
            "controllers": ["pvscsi"],
            "nics": ["vmxnet3"],
        }
        report = guest["report"] or {}
        if hardware != wanted or (report.get("storage"), report.get("nic")) != ("vmw_pvscsi", "vmxnet3"):
            raise AssertionError(
                f"{machine.name}: {hardware} is not {wanted}, or the guest saw other hardware: {report}"
            )
        print(
            f"    {machine.name}: {self.target.title} names {hardware['firmware']}, pvscsi and vmxnet3; "
            f"the guest's kernel drives its disks with {report['storage']} and its card with {report['nic']}"
        )
        return hardware

    def _closed(self, machine: Machine) -> None:
        """Port 22 is open for its own network, and refused to the Internet, as the security group said."""
        with contextlib.suppress(ConnectionError):
            socket.create_connection((HOST, self.outside.port(machine.public, 22)), 10).close()
            raise AssertionError(f"{machine.name}: port 22 of {machine.public} takes a connection from the Internet")
        met = vcd.Control(self.instance).packet(vcd.INTERNET, machine.public, 22)["met"]
        print(f"    {machine.name}: {machine.public} port 22 is refused from the Internet: {', '.join(met)}")

    def _say(self, report: Path) -> None:
        print("\n" + "-" * 100)
        for workload in self.summary["workloads"]:
            disks = workload["disks"]
            size = sum(disk["bytes"] for disk in disks) / 1e9
            checks = sum(check["ok"] for check in workload["checks"])
            print(
                f"{workload['name']:8} -> {workload['target_ref']} {len(disks)} disks, {size:.1f} GB, proven; "
                f"served after {workload['boot_seconds']} s; {checks} of {len(workload['checks'])} checks; "
                f"{len(workload['adapted_files'])} files adapted"
            )
        print(f"second run: changed={self.summary['second_run_changed']}")
        print(f"all of it took {self.summary['seconds']['all']:.0f} s. Open the report: {report}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; 0 when everything held."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab.demo")
    parser.add_argument("--name", default=DEFAULT_NAME, help="the lab instance (default: %(default)s)")
    parser.add_argument("--target", choices=TARGETS, default="cloud_avenue", help="default: %(default)s")
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    args = parser.parse_args(argv)
    packages.require_host()
    instance = Instance(args.name)
    demo = Demo(instance, instance.root / "demo", args.target)
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
