# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""discover_dependencies on a guest that runs, over SSH, and the assessment that then knows what was seen."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import observations
from tests.lab import hypervisor
from tests.lab.operator import Operator, Page
from tests.lab.paths import wait_for

pytestmark = pytest.mark.lab

SSH = "-o ControlMaster=no -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
"""No control socket, whose path would be too long in a folder of tests."""


def greeted(port: int) -> bool:
    """Whether an SSH server answers behind a forward."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def test_sockets_of_a_guest_that_runs(engineer: Operator) -> None:
    instance = engineer.instance
    server = next(s for s in instance.env()["seed"]["servers"] if s["name"] == "web-1")
    hardware = json.loads((instance.data / "nova" / "instances" / server["id"] / "server.json").read_text())
    ports = hypervisor.ports(instance, "source", hardware["nics"][0]["mac"])
    wait_for(Page(ports[80]).get, 240, "web-1 to serve its page", every=0.5)
    wait_for(lambda: greeted(ports[22]), 120, "web-1 to let people in", every=0.5)
    inventory = engineer.folder / "acme.fe.yml"
    compose: dict[str, Any] = {"ansible_host": "'127.0.0.1'", "ansible_port": str(ports[22]), "ansible_user": "'root'"}
    inventory.write_text(
        json.dumps({"plugin": "cloudexit.flexible_engine.source", "cloud": "acme", "compose": compose}), "utf-8"
    )
    with socket.create_connection(("127.0.0.1", ports[80])):  # somebody who calls its service while it is looked at
        engineer.run(
            "discover_dependencies",
            *("-i", inventory, "--limit", f"*{server['id'][:8]}*,web-1*"),
            *("--private-key", instance.cache / "guests" / "id_ed25519"),
            env={"ANSIBLE_SSH_ARGS": SSH},
            extra={"discover_dependencies_samples": 2, "discover_dependencies_interval_s": 1},
        ).ok()
    written = (engineer.folder / "acme.flows.json").read_bytes()
    flows = observations.loads(observations.Flows, written, "the flows")
    assert set(flows.servers) == {server["id"]}
    seen = flows.servers[server["id"]]
    assert seen.samples == 2 and set(server["addresses"]) <= set(seen.addresses)
    listening = {(entry.protocol, entry.port): entry.process for entry in seen.listeners}
    assert listening["tcp", 22] == "sshd" and listening["tcp", 80] == "busybox"
    assert [(p.port, p.seen) for p in seen.peers if p.direction == "in" and p.port == 80] == [(80, 2)]
    assert all(peer.port != 22 for peer in seen.peers), "the login that looks is left out"

    assert engineer.assess().ok().changed >= 0
    assert (engineer.folder / "acme.flows.json").read_bytes() == written
    assert engineer.assess().ok().changed == 0
