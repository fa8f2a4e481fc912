# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong in the middle of a migration: it is overcome, or told in clear words with nothing lost or left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.end_to_end.steps import CHUNK, MIB, Watch, failure, fill, held, job, machines, reach, small, workload
from tests.lab import openstack, vcenter
from tests.lab.both_sides import api, look
from tests.lab.operator import Operator
from tests.lab.vcenter.service import Control

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("without_guests")]

COPY = "Copy the disks into a machine at the target, and prove it"


@pytest.fixture
def control(mover: Operator) -> Iterator[Control]:
    """The lab's door to its vCenter, which is in good health again after the test."""
    made = Control(mover.instance)
    yield made
    made.faults()


def test_tokens_and_sessions_end_in_the_middle(mover: Operator, control: Control) -> None:
    """All of the cloud's tokens while clones are made, all of vCenter's sessions while the disk is sent."""
    instance = mover.instance
    host = small(mover)
    fill(mover, host, 32)
    watch = Watch(instance)
    control.faults(rate_mib_s=8)
    with held(instance, "cinder-scheduler"):
        running = mover.start("migrate", *mover.plan_arguments(), "--limit", host)
        reach(running, lambda: watch.asked("cinder", "POST", "/snapshots"), "a snapshot is asked for")
        openstack.revoke_tokens(instance)
    reach(running, lambda: sending(mover), "bytes are under way")
    assert control.end_sessions() >= 1  # the import's lease ends with its session, so the copy begins again
    running.wait(300).ok()

    result = watch.moved(mover, host)
    refused = [call for call in watch.calls().all if call.status == 401 and not call.uri.endswith("/auth/tokens")]
    assert refused, "no token was refused: the test shows nothing"
    assert result["acts"]["disk_pass"]["result"]["attempts"] == 2


def sending(operator: Operator) -> bool:
    """Whether some of the bytes are sent, and not all."""
    status = job(operator)
    return status.get("phase") == "copying" and 0 < sum(d["done"] for d in status["disks"]) < status["total"] // 2


def test_upload_is_cut_again_and_again_then_once(mover: Operator, control: Control) -> None:
    instance = mover.instance
    host = small(mover)
    fill(mover, host, 12)
    server = workload(mover, host)["source"]["id"]
    watch = Watch(instance)

    control.faults(cut_upload={"after": 4 * MIB, "times": 0})
    played = mover.migrate("--limit", host)

    said = failure(played, host)
    assert said.startswith(f"{host}: {COPY}: cannot send the disk to 127.0.0.1: the connection broke (")
    assert said.endswith(". Check host, port and network.")
    assert played.code != 0
    after = look(instance)
    assert (after.machines, after.leases, after.sessions) == ((), 0, 0)
    assert after.servers == {**watch.before.servers, server: "SHUTOFF"}
    assert vcenter.calls(instance)["by_method"]["ImportVApp"] == 3, "it was tried three times"
    # an error that may pass: the frozen clone waits for the next run, and carries our marks
    left = watch.left()
    assert left.keys() == {"volumes", "snapshots", "attachments", "devices"}
    (clone,) = left["volumes"]
    tenant = api(instance)
    found = tenant.get("volume", f"/{tenant.project_id}/volumes/{clone}")["volume"]
    assert found["metadata"]["cloudexit_tenant"] == "acme"

    control.faults(cut_upload={"after": 4 * MIB, "times": 1})
    mover.migrate("--limit", host).ok()
    result = watch.moved(mover, host)
    assert result["acts"]["disk_pass"]["result"]["attempts"] == 2
    assert len([c for c in watch.calls().writes if c.method == "POST" and c.uri.endswith("/snapshots")]) == 1


def test_flipped_bit_is_found_and_the_machine_is_not_started(mover: Operator, control: Control) -> None:
    instance = mover.instance
    host = small(mover)
    fill(mover, host, 8)
    server, volume = workload(mover, host)["source"]["id"], workload(mover, host)["disks"][0]["volume"]
    watch = Watch(instance)

    offset = 5 * MIB + 12345
    control.faults(corrupt_upload={"offset": offset, "times": 1})
    played = mover.migrate("--limit", host)

    said = failure(played, host)
    assert said == (
        f"{host}: {COPY}: What was read back of {host} is not what was sent: disk 1 (volume {volume}): 1 of 16384 "
        f"chunks of 64 KiB differ, the first are {offset // CHUNK}. The machine stays powered off and is not used. "
        "Run again to have it copied anew."
    )
    assert played.code != 0
    assert watch.left() == {}
    assert look(instance).servers == {**watch.before.servers, server: "SHUTOFF"}
    (machine,) = machines(instance)
    assert (machine["power"], machine["extra_config"]["cloudexit.state"]) == ("poweredOff", "imported")
    assert "PowerOnVM_Task" not in vcenter.calls(instance)["by_method"]

    mover.migrate("--limit", host).ok()
    watch.moved(mover, host)
    assert len(machines(instance)) == 1
    assert mover.migrate("--limit", host).ok().changed == 0


FAULTS: dict[str, dict[str, Any]] = {
    "the read-back is cut": {"cut_download": {"after": 2 * MIB, "times": 1}},
    "the lease never gets ready": {"lease": {"state": "initializing", "times": 1}},
    "the lease ends": {"lease": {"state": "ready", "times": 1}},
    "the host wants a length": {"refuse_chunked": True},
    "vCenter names no thumbprint": {"no_thumbprint": True},
    "the host is told as a star": {"star_url": True},
}


@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.replace(" ", "-"))
def test_overcome(mover: Operator, control: Control, fault: str) -> None:
    host = small(mover)
    fill(mover, host, 8)
    watch = Watch(mover.instance)
    control.faults(**FAULTS[fault])
    played = mover.migrate("--limit", host)
    control.faults()
    if played.code != 0:  # an error that is not one that may pass: the next run goes on
        assert failure(played, host)
        assert look(mover.instance).leases == 0
        mover.migrate("--limit", host).ok()
    watch.moved(mover, host)


@pytest.mark.soak
@pytest.mark.parametrize("service", ["nova-api", "cinder-api", "keystone"])
def test_service_that_is_away_for_a_while(mover: Operator, control: Control, service: str) -> None:
    """A service restarts while clones are made; what the first run does not overcome, the second does."""
    host = small(mover)
    watch = Watch(mover.instance)
    running = mover.start("migrate", *mover.plan_arguments(), "--limit", host)
    reach(running, lambda: watch.asked("cinder", "POST", "/snapshots"), "a snapshot is asked for")
    openstack.stop_service(mover.instance, service)
    openstack.start_service(mover.instance, service)
    played = running.wait(600)
    if played.code != 0:
        assert failure(played, host)
        mover.migrate("--limit", host).ok()
    watch.moved(mover, host)
