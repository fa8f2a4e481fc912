# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small workload there and back: told, moved, moved again, rolled back, refused, moved anew; and a move given up."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.pipeline import hash_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.disk.reader import open_source
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.manifest import Manifest
from tests.lab import openstack, vcenter
from tests.lab.both_sides import Sides, api, disk_bytes, left_behind, look
from tests.lab.operator import Operator
from tests.lab.paths import wait_for
from tests.lab.vcenter.service import Control

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("fresh_lab")]

MIB = 1 << 20


@pytest.fixture
def host(operator: Operator) -> str:
    """A workload of one disk without a system, that is not adapted; its source runs."""
    operator.assess().ok()
    workloads = operator.plan()["workloads"]
    named = {h: w for h, w in workloads.items() if w["source"]["name"] == "db-1" and len(w["disks"]) == 1}
    (found,) = named

    def keep(plan: dict[str, Any]) -> None:
        plan["workloads"][found]["guest"]["adapt"] = "none"

    operator.edit(keep)
    tenant = api(operator.instance)
    server = named[found]["source"]["id"]
    tenant.post("compute", f"/servers/{server}/action", {"os-start": None})
    tenant.wait_status("compute", f"/servers/{server}", "server", "ACTIVE")
    return str(found)


def entry(operator: Operator, host: str) -> dict[str, Any]:
    found: dict[str, Any] = operator.plan()["workloads"][host]
    return found


def server_of(operator: Operator, host: str) -> dict[str, Any]:
    answer = api(operator.instance).get("compute", f"/servers/{entry(operator, host)['source']['id']}")
    found: dict[str, Any] = answer["server"]
    return found


def machines(operator: Operator) -> list[dict[str, Any]]:
    return Control(operator.instance).machines()[1]


def writes(operator: Operator, since: tuple[float, str]) -> list[str]:
    asked = [f"{call.method} {call.uri}" for call in openstack.calls(operator.instance, since[0]).writes]
    return asked + list(vcenter.calls(operator.instance, since[1])["write_methods"])


def moment() -> tuple[float, str]:
    return time.time(), vcenter.now()


def test_there_and_back(operator: Operator, host: str) -> None:
    before = look(operator.instance)
    volume = entry(operator, host)["disks"][0]["volume"]

    since = moment()
    told = operator.migrate("--check", "--diff", "--limit", host).ok()
    assert told.recap[host].changed > 0 and writes(operator, since) == []
    for line in ("-status: ACTIVE", "+status: SHUTOFF", f"+snapshot volume {volume}", "+name: db-1", "+fence: ours"):
        assert f"\n{line}" in told.output
    assert look(operator.instance) == before and not operator.evidence.exists()

    moved = operator.migrate("--limit", host).ok()
    assert f"{host}  all 1.1 GB are at the target and proven" in moved.output
    _moved(operator, host, before, volume)

    since = moment()
    assert operator.migrate("--limit", host).ok().changed == 0
    assert writes(operator, since) == []

    assert operator.run("rollback", *operator.plan_arguments(), "--limit", host).ok().recap[host].changed > 0
    source = server_of(operator, host)
    assert (source["status"], source["locked"]) == ("ACTIVE", False)
    assert not any(key.startswith("cloudexit") for key in source["metadata"])
    assert [machine["power"] for machine in machines(operator)] == ["poweredOff"], "off, and kept"
    since = moment()
    assert operator.run("rollback", *operator.plan_arguments(), "--limit", host).ok().changed == 0
    assert writes(operator, since) == []

    refused = operator.migrate("--limit", host)
    assert refused.code != 0 and "a rollback kept its machine" in refused.output
    assert "migrate_replace_rolled_back" in refused.output
    assert writes(operator, since) == []

    with open(disk_bytes(operator.instance, volume), "r+b") as disk:
        disk.seek(500 * MIB)
        disk.write(b"written after the rollback")
    operator.migrate("--limit", host, extra={"migrate_replace_rolled_back": True}).ok()
    _moved(operator, host, before, volume)


def _moved(operator: Operator, host: str, before: Sides, volume: str) -> None:
    """One machine that is on, a fenced source, nothing left behind, and manifests that tell the source's very bytes."""
    after = look(operator.instance)
    assert left_behind(before, after) == {}
    assert [machine["power"] for machine in machines(operator)] == ["poweredOn"]
    source = server_of(operator, host)
    assert (source["status"], source["locked"]) == ("SHUTOFF", True)
    assert source["locked_reason"].startswith("cloudexit: moved to vsphere DC0")
    (result,) = (found for found in operator.results() if found["workload"] == host)
    (disk,) = result["acts"]["disk_pass"]["result"]["disks"]
    with open_source(str(disk_bytes(operator.instance, volume)), "raw") as stream:
        root = hash_source(stream).root
    assert disk["manifest_before"] == disk["manifest_source"] == disk["manifest_target"] == root
    assert Manifest.load(operator.evidence / "manifests" / host / "moved-0.manifest").root == root


def test_a_move_that_is_given_up_half_way_leaves_nothing(operator: Operator, host: str) -> None:
    """The operator's machine dies while the copy is under way; the next day they decide to stay."""
    before = look(operator.instance)
    volume = entry(operator, host)["disks"][0]["volume"]
    with open(disk_bytes(operator.instance, volume), "r+b") as disk:
        disk.write(os.urandom(64 * MIB))

    def slow(plan: dict[str, Any]) -> None:
        plan["limits"]["bandwidth_mib_s"] = 2

    operator.edit(slow)
    running = operator.start("migrate", *operator.plan_arguments(), "--limit", host)
    try:
        wait_for(lambda: _done(operator) > 4 * MIB or not running.alive(), 300, "bytes under way", every=0.1)
    finally:
        running.kill()
    first = _done(operator)
    wait_for(lambda: _done(operator) > first, 60, "the copy goes on by itself", every=0.1)

    back = operator.run("rollback", *operator.plan_arguments(), "--limit", host).ok()
    assert back.recap[host].changed > 0
    assert server_of(operator, host)["status"] == "ACTIVE"
    assert machines(operator) == []
    after = look(operator.instance)
    assert left_behind(before, after) == {}
    assert after.servers == before.servers


def _done(operator: Operator) -> int:
    """Bytes that the job on the reader host has come to."""
    for file in operator.state.glob("jobs/*/status.json"):
        status = json.loads(file.read_text())
        if status.get("phase") == "copying" and status.get("alive", True):
            return sum(int(disk["done"]) for disk in status["disks"])
    return 0
