# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant is retired: planned, signed, put to rest, brought back, put to rest again, deleted, certified. Two stories.

The first ends with nothing left; the second has much in it that must stay, and exactly what may go does.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source import estate as reading
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.source.cloud import SourceAuth, connect
from tests import sealed
from tests.lab import openstack, parts
from tests.lab import retire as tenants
from tests.lab.both_sides import disk_bytes
from tests.lab.flexible_engine import service
from tests.lab.openstack.config import REGION
from tests.lab.operator import TARGET, Operator, Played
from tests.retiring import ERASED, Desk, ago

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("without_guests")]

TERMS = {
    "controller": "Acme SA",
    "processor": "Orange Business",
    "contract": "FE-2019-0042",
    "basis": "GDPR art. 28(3)(g)",
    "choice": "erase",
    "executed_by": "Jean Martin",
    "verified_by": "Marie Duval",
    "notice_sent": ago(59),
}


class Retiring:
    """An operator's folder with the papers of a tenant, and one entry of clouds.yaml for each of its users."""

    def __init__(self, operator: Operator, tenant: tenants.Tenant) -> None:
        self.operator = operator
        self.tenant = tenant
        self.desk = Desk(operator.folder, tenant.name, tenant.project_id)
        self.clouds = operator.folder / "clouds.yaml"
        entries = yaml.safe_load(Path(operator.env["OS_CLIENT_CONFIG_FILE"]).read_text())
        for user in tenants.USERS:
            entries["clouds"][f"{tenant.name}-{user}"] = {"auth": tenant.auth(user), "region_name": REGION}
        self.clouds.write_text(yaml.safe_dump(entries))

    def playbook(self, name: str, *arguments: str, extra: Mapping[str, Any] | None = None) -> Played:
        """A playbook of the collection, as one of the tenant's own users."""
        env = {"OS_CLIENT_CONFIG_FILE": str(self.clouds)}
        return self.operator.run(name, *arguments, extra=extra, env=env)

    @property
    def variables(self) -> dict[str, Any]:
        """The variables of the role."""
        key = self.desk.people.key(sealed.LEDGER)
        return {
            **self.desk.variables(),
            "decommission_cloud": f"{self.tenant.name}-operator",
            "decommission_quarantine_cloud": f"{self.tenant.name}-purge",
            "decommission_purge_cloud": f"{self.tenant.name}-purge",
            "decommission_signing_key": str(key),
            "decommission_terms": TERMS,
            "decommission_state_dir": str(self.operator.state),
            "decommission_plan": self.operator.plan_file.name,
        }

    def run(self, *arguments: str, extra: Mapping[str, Any] | None = None) -> Played:
        """The playbook, as an operator types it."""
        given = ("-i", str(self.operator.plan_file), *arguments)
        return self.playbook("decommission", *given, extra={**self.variables, **(extra or {})})

    def step(self, tag: str, *arguments: str, extra: Mapping[str, Any] | None = None) -> Played:
        """One step of it."""
        return self.run("--tags", tag, *arguments, extra=extra)

    def estate(self) -> estates.Estate:
        """The tenant as it is."""
        with connect(SourceAuth(auth=self.tenant.auth("operator"), region_name=REGION)) as cloud:
            return reading.read(cloud).estate

    def writes(self, since: float) -> dict[str, Any]:
        """What OpenStack was asked to change since a moment."""
        return openstack.calls(self.operator.instance, since).writes_by_service()

    def plan(self) -> dict[str, Any]:
        """The retirement plan."""
        found: dict[str, Any] = json.loads(self.desk.path.read_text())
        return found


def now() -> str:
    """This moment, as the policy has it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def silence(operator: Operator, server: str) -> None:
    """The monitoring of the lab's Flexible Engine knows nothing of a server any more: it is off."""
    data = service.write_data(operator.instance)
    for rows in data.values():
        rows["datapoints"] = [row for row in rows.get("datapoints", []) if row["value"] != server]
    service.control(operator.instance).call("PUT", "data", data)


def keys_of(estate: estates.Estate) -> set[str]:
    """All objects of an estate, as kind/id."""
    return {f"{kind}/{obj.id}" for kind in estate.counts() for obj in estate.of(kind)}


def unlike(one: estates.Estate, other: estates.Estate) -> list[str]:
    """Every field of every object in which two readings differ.

    The addresses of a server are Nova's copy of what ports and floating addresses say, brought up to date when it
    comes to it; those are compared themselves.
    """
    found = []
    first, second = (estates.dump(estate) for estate in (one, other))
    for kind in sorted({*one.counts(), *other.counts()}):
        rows = [
            {row["id"]: row for row in (data.get(kind) or data["resources"].get(kind, []))} for data in (first, second)
        ]
        for ident in sorted({*rows[0], *rows[1]}):
            was, now = rows[0].get(ident, {}), rows[1].get(ident, {})
            found += [
                f"{kind}/{ident}.{key}: {was.get(key)!r} -> {now.get(key)!r}"
                for key in sorted({*was, *now})
                if was.get(key) != now.get(key) and (kind, key) != ("servers", "addresses")
            ]
    return found


def audit(folder: Path, somewhere: Path, certificate: Path) -> subprocess.CompletedProcess[str]:
    """An auditor verifies the evidence elsewhere, with nothing of ours installed."""
    shutil.copytree(folder, somewhere)
    stock = somewhere / "bin"
    stock.mkdir()
    for tool in ("sh", "sed", "awk", "sort", "cmp", "cut", "tr", "grep", "cat", "head", "tail", "wc", "rm", "mkdir"):
        (stock / tool).symlink_to(str(shutil.which(tool)))
    for tool in ("openssl", "ssh-keygen", "mktemp", "basename", "dirname", "uniq", "expr", "test", "printf", "env"):
        found = shutil.which(tool)
        if found:
            (stock / tool).symlink_to(found)
    script = somewhere / "certificates" / "verify.sh"
    if not script.exists():
        (script,) = somewhere.glob("**/verify.sh")
    return subprocess.run(
        ["sh", str(script)],
        cwd=script.parent,
        env={"PATH": str(stock), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )


def recipient(base: Path) -> tuple[str, str]:
    """A certificate of somebody whom an escrow is encrypted for, and its private key, as PEM."""
    files = base.with_suffix(".pem"), base.with_suffix(".key")
    wanted = ["-x509", "-nodes", "-subj", f"/CN={base.name}", "-days", "2", "-keyout", str(files[1])]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(["openssl", "req", *wanted, "-out", str(files[0]), *curve], check=True, capture_output=True)
    return files[0].read_text(), files[1].read_text()


def move(story: Retiring) -> tuple[dict[str, Any], str]:
    """Migrate all servers of the tenant but one, through which the others' disks are read.

    The workloads by host, and the id of that one.
    """
    operator, instance = story.operator, story.operator.instance
    names = {server.name: server.id for server in story.estate().servers}
    reader = names["server-2"]
    instance.update_env(readers=[*instance.env()["readers"], reader])
    for server in story.estate().servers:
        for number, attached in enumerate(server.volumes):
            with open(disk_bytes(instance, attached.volume_id), "r+b") as disk:
                disk.seek((16 + 64 * number) << 20)
                disk.write(random.Random(attached.volume_id).randbytes(5 << 20))
    connection = {"ansible_connection": "local"}
    told = {"name": "reader-1", "server_id": reader, "connection": connection}
    about = {"assess_cloud": f"{story.tenant.name}-operator", "assess_target": TARGET, "assess_reader": told}
    operator.plan_file = operator.folder / f"{story.tenant.name}.plan.yml"
    story.playbook("assess", extra={**about, "assess_tenant": story.tenant.name}).ok()

    def decide(plan: dict[str, Any]) -> None:
        for workload in plan["workloads"].values():
            if workload["move"] != "none":
                workload["guest"]["adapt"] = "none"

    operator.edit(decide)
    story.playbook("migrate", *operator.plan_arguments()).ok()
    assert story.playbook("migrate", *operator.plan_arguments()).ok().changed == 0
    workloads = operator.plan()["workloads"]
    return {host: workload for host, workload in workloads.items() if workload["move"] != "none"}, reader


def test_a_migrated_tenant_is_retired_and_nothing_is_left(operator: Operator, tmp_path: Path) -> None:
    parts.restore(operator.instance)
    tenant = tenants.make(operator.instance, f"gone-{int(time.time())}", servers=3)
    story = Retiring(operator, tenant)
    workloads, reader = move(story)
    assert len(workloads) == 2
    disks = {disk["volume"] for workload in workloads.values() for disk in workload["disks"]}
    before = story.estate()
    # idle ones, and what the reader host has beside its boot disk
    others = [volume.id for volume in before.volumes if volume.id not in disks and not volume.bootable]
    decided = {kind: dict.fromkeys(tenant.ids[kind], ERASED) for kind in ("secrets", "images")}
    story.desk.write(
        decision={"choice": "other_provider", "by": "Alice Durand", "mandate": "CIO", "at": ago(60)},
        acceptances={host: {"by": "Alice Durand", "at": now()} for host in workloads},
        objects={**decided, "volumes": dict.fromkeys(others, ERASED)},
        kinds=dict.fromkeys(("snapshots", "containers"), ERASED),
        limits={"objects_per_run": 25},
    )

    # the plan only reads, and comes out the same again
    began = time.time()
    service.control(operator.instance).forget()
    story.run().ok()
    again = story.run().ok()
    assert again.changed == 0 and story.writes(began) == {}
    asked = service.control(operator.instance).calls()
    assert asked and not any(call["write"] for call in asked)
    going = {f"{item['ref']['kind']}/{item['ref']['id']}": item["choice"] for item in story.plan()["items"]}
    moved = {f"volumes/{disk}" for disk in disks} | {f"servers/{w['source']['id']}" for w in workloads.values()}
    assert {key for key, choice in going.items() if choice == "moved"} == moved
    ours = {f"{kind}/{ident}" for kind, idents in tenant.ids.items() for ident in idents}
    assert ours - going.keys() <= {key for key in ours if key.startswith("key_pairs/")}

    # the disks of what moved and the tenant's files are kept for the customer
    certified, key = recipient(tmp_path / "customer")
    kept = {
        "store": {"place": str(tmp_path / "escrow")},
        "recipients": [certified],
        "key": key,
        "containers": tenant.ids["containers"],
    }
    recap = story.step("escrow", extra={"decommission_escrow": kept}).ok().recap
    assert recap["localhost"].changed == len(tenant.ids["containers"]) == 2
    assert all(recap[host].changed > 0 for host in workloads)
    assert story.step("escrow", extra={"decommission_escrow": kept}).ok().changed == 0

    # nobody signed: nothing happens
    began = time.time()
    assert "is not sealed" in story.step("quarantine").output
    story.desk.sign()
    assert story.step("purge").code != 0
    assert story.writes(began) == {}

    # to rest, exactly back, and to rest again
    story.step("quarantine").ok()
    resting = story.estate()
    assert {(server.status, server.locked) for server in resting.servers if server.id != reader} == {("SHUTOFF", True)}
    assert [(server.status, server.locked) for server in resting.servers if server.id == reader] == [("ACTIVE", False)]
    assert story.step("quarantine").ok().changed == 0
    # no signature is needed to bring back what was put to rest
    story.desk.unsign()
    story.step("undo").ok()
    story.desk.sign()
    assert unlike(before, story.estate()) == []
    assert story.step("undo").ok().changed == 0
    story.step("quarantine").ok()

    # on the day of the purge what moved is read again on both sides, through the reader host, which works until then
    began = time.time()
    refused = story.step("purge")
    assert refused.code != 0 and "closed: G4" in refused.output and story.writes(began) == {}
    story.step("verify").ok()
    assert story.step("verify").ok().changed == 0
    assert "'G12'" not in story.step("gates").ok().output.replace('"', "'")

    # the stop file stops it before the first call; without it everything goes, run by run as the limits let it, and
    # keys in a run of their own
    (story.desk.evidence / "STOP").write_text("somebody asked")
    began = time.time()
    assert "somebody asked" in story.step("purge").output and story.writes(began) == {}
    (story.desk.evidence / "STOP").unlink()
    first = story.step("purge").ok()
    gone = len(going) - len(keys_of(story.estate()) & going.keys())
    told = re.search(r"(\d+) objects are gone now", first.output)
    assert told is not None and 0 < int(told[1]) <= gone <= 25, "more than the limit, or than it says"
    for dummy in range(len(going) // 25 + 2):
        story.step("purge").ok()
    began = time.time()
    assert story.step("purge").ok().changed == 0 and story.writes(began) == {}
    left = keys_of(story.estate())
    assert not left & going.keys() and not left & ours

    # a certificate that anybody can verify
    story.step("certificate").ok()
    assert story.step("certificate").ok().changed == 0
    (certificate,) = (story.desk.evidence / "certificates").glob("*erasure*.json")
    done = audit(story.desk.evidence, tmp_path / "auditor", certificate)
    assert done.returncode == 0, done.stdout + done.stderr
    ledger = tmp_path / "auditor" / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"outcome":"absent"', b'"outcome":"absemt"', 1))
    shutil.rmtree(tmp_path / "auditor" / "bin")
    done = audit(tmp_path / "auditor", tmp_path / "again", certificate)
    assert done.returncode != 0


def test_of_a_mixed_tenant_exactly_what_may_go_goes(mover: Operator, tmp_path: Path) -> None:
    """One workload moved and is accepted; all others did not, one volume is held, an image is shared."""
    operator = mover
    host = operator.host("app-1")
    operator.migrate("--limit", host).ok()
    story = Retiring(operator, tenants.project(operator.instance, "acme"))
    moved = operator.plan()["workloads"][host]
    silence(operator, moved["source"]["id"])
    extra: dict[str, Any] = {}
    story.desk.write(
        decision={"choice": "other_provider", "by": "Alice Durand", "mandate": "CIO", "at": ago(60)},
        acceptances={host: {"by": "Alice Durand", "at": now()}},
        escrow={"store": "file", "recipients": ["customer.pem"]},
    )

    # what moved is read again on both sides, and kept in the escrow; neither leaves anything behind at the source
    before = keys_of(story.estate())
    people = {name: recipient(tmp_path / name) for name in ("customer", "operator")}
    extra["decommission_escrow"] = {
        "store": {"place": str(tmp_path / "escrow")},
        "recipients": [people["customer"][0], people["operator"][0]],
        "key": people["operator"][1],
    }
    for tag in ("verify", "escrow"):
        story.step(tag, "--limit", f"{host},localhost", extra=extra).ok()
        assert story.step(tag, "--limit", f"{host},localhost", extra=extra).ok().changed == 0
    assert keys_of(story.estate()) == before
    assert people["operator"][1] not in (story.desk.evidence / "ledger.jsonl").read_text()

    # what may go is what moved, and what nothing that stays needs
    story.run(extra=extra).ok()
    made = story.plan()
    going = {f"{item['ref']['kind']}/{item['ref']['id']}": item for item in made["items"]}
    server = f"servers/{moved['source']['id']}"
    volumes = {f"volumes/{disk['volume']}" for disk in moved["disks"]}
    assert {server, *volumes} <= set(going)
    assert {key for key in going if key.startswith(("servers/", "volumes/"))} == {server, *volumes}
    assert {item["choice"] for item in going.values()} <= {"moved", "residue"}
    reasons = {kept["reason"] for kept in made["kept"]}
    assert {"not_migrated", "needed", "foreign", "undecided", "protected"} <= reasons

    # a hold that comes after the signatures closes the gate
    story.desk.sign()
    story.desk.write(holds=[{"objects": [sorted(volumes)[0]], "why": "an investigation", "by": "Legal"}])
    began = time.time()
    refused = story.step("quarantine", extra=extra).output
    assert "an investigation" in refused, refused
    assert story.writes(began) == {}
    story.desk.write(holds=[])

    story.step("quarantine", extra=extra).ok()
    # the purge wants it read again on the day; a signature was enough for the rest
    story.step("purge", extra=extra).ok()
    after = keys_of(story.estate())
    gone = before - after
    assert gone <= set(going), "something went that was not in the plan"
    assert not after & set(going), "something of the plan is still there"
    assert story.step("purge", extra=extra).ok().changed == 0
