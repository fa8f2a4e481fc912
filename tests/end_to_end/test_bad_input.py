# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot work is refused before anything is changed, in words that name object, cause and next step."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vsphere import client, vmomi
from tests.end_to_end.steps import Watch, failure, plain, small
from tests.installed import Lab
from tests.lab import parts
from tests.lab.both_sides import api
from tests.lab.operator import TARGET, Operator, Played
from tests.lab.paths import Instance
from tests.lab.vcenter.service import Control

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("without_guests")]

GIB = 1 << 30
WRONG = "a-wrong-password-that-must-not-be-shown"


@pytest.fixture
def watch(planner: Operator) -> Iterator[Watch]:
    """Looks at both sides; at the end of the test nothing may have happened."""
    made = Watch(planner.instance)
    yield made
    made.nothing_happened()


# the plan itself


def test_all_problems_of_a_plan_in_one_refusal(planner: Operator, watch: Watch) -> None:
    networks = planner.plan()["networks"]
    app_net = next(network for network, about in networks.items() if about["name"] == "app-net")

    def spoil(plan: dict[str, Any]) -> None:
        plan["limits"]["workload_at_once"] = plan["limits"].pop("workloads_at_once")
        plan["networks"][app_net]["target"] = None
        del plan["target"]["datastore"]
        for entry in plan["workloads"].values():
            if entry["source"]["name"] == "db-1":
                entry["name"] = "Database"

    planner.edit(spoil)
    played = planner.migrate()

    text = plain(played)
    lines = planner.plan_file.read_text().splitlines()
    at = {line.strip(): number for number, line in enumerate(lines, 1)}
    assert f"limits.workload_at_once (line {at['workload_at_once: 4']})" in text
    assert "unknown key (did you mean workloads_at_once?)" in text
    assert f"networks.{app_net}.target (line {at['target: null']})" in text
    assert "must be set: the target network for 'app-net', which moving workloads use" in text
    assert "target.datastore" in text
    names = [f"line {number}" for number, line in enumerate(lines, 1) if line.strip() == "name: Database"]
    assert len(names) == 2
    assert names[-1] in text, "the second of the two names is pointed at"
    assert "docs/plan.md" in text
    assert "The inventory is no plan, or one that was refused: see the messages above." in text
    assert played.code != 0
    assert "TASK" not in text


# what both sides must have


def move_all(plan: dict[str, Any], instance: Instance, *hosts: str) -> None:
    """What a person writes who wants servers moved that the draft left where they are."""
    tenant = api(instance)
    (reader,) = plan["readers"]
    for host in hosts:
        entry = plan["workloads"][host]
        server = entry["source"]["id"]
        held = tenant.get("compute", f"/servers/{server}/os-volume_attachments")["volumeAttachments"]
        ports = tenant.get("network", "/ports", device_id=server)["ports"]
        entry.pop("reason")
        entry.update(
            move="cold",
            name=entry["source"]["name"],
            group=next(iter(plan["waves"].values()))["groups"][0],
            reader=reader,
            memory_mib=256,
            guest={"adapt": "none"},
            disks=[
                {"volume": one["volumeId"], "size_gib": 1, "boot": number == 0}
                for number, one in enumerate(sorted(held, key=lambda one: one["device"]))
            ],
            nics=[{"mac": port["mac_address"], "network": port["network_id"]} for port in ports],
        )


def foreign_machine(instance: Instance, name: str) -> str:
    """A machine of somebody else, in the folder where the plan wants its own; returns its id."""
    about = instance.env()["vcenter"]
    vim = vmomi.load().vim
    login = (about["host"], about["port"], about["user"], about["password"])
    with client.connect(*login, ca_file=about["ca_file"]) as session:
        (center,) = session.content.rootFolder.childEntity
        folder = center.vmFolder.CreateFolder(TARGET["folder"])
        (cluster,) = (one for one in center.hostFolder.childEntity if one.name == TARGET["compute"])
        files = vim.vm.FileInfo(vmPathName=f"[{TARGET['datastore']}]")
        config = vim.vm.ConfigSpec(name=name, memoryMB=4, numCPUs=1, guestId="otherGuest", files=files)
        task = folder.CreateVM_Task(config=config, pool=cluster.resourcePool, host=cluster.host[0])
        return str(session.wait(task, "make the foreign machine")._moId)


@dataclass(frozen=True)
class Refused:
    """One run of migrate in which every workload was refused, each for reasons of its own."""

    played: Played
    hosts: dict[str, str]
    volumes: dict[str, list[str]]
    foreign: str

    def said(self, name: str) -> str:
        """What a person reads of the server with this name."""
        return failure(self.played, self.hosts[name])


class TestRefused:
    """A plan that is well formed and cannot work: five reasons in four workloads, one run."""

    NEXT_STEP = "Nothing was changed. Correct the plan or what it names, then run again."

    @pytest.fixture(scope="class")
    @staticmethod
    def refused(
        lab: Lab, collections_path: Path, assessed: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Refused]:
        operator = Operator(lab.instance, collections_path, tmp_path_factory.mktemp("refused") / "acme")
        operator.plan_file.write_text((assessed / "acme.plan.yml").read_text())
        database = small(operator)
        hosts = {name: operator.host(name) for name in ("app-1", "shared-1", "vault-1")} | {"db-1": database}

        def want(plan: dict[str, Any]) -> None:
            move_all(plan, lab.instance, hosts["shared-1"], hosts["vault-1"])
            for about in plan["networks"].values():
                about["target"] = "VM Netwrok" if about["name"] == "app-net" else about["target"]
            plan["workloads"][database]["name"] = "Database"

        operator.edit(want)
        workloads = operator.plan()["workloads"]
        volumes = {name: [disk["volume"] for disk in workloads[host]["disks"]] for name, host in hosts.items()}
        Control(lab.instance).datastore(TARGET["datastore"], 2048 * GIB, GIB // 2)
        foreign = foreign_machine(lab.instance, "Database")
        watch = Watch(lab.instance)
        played = operator.migrate("--limit", ",".join(hosts.values()))
        watch.nothing_happened()
        assert not list(operator.folder.glob("evidence/workloads/*"))
        yield Refused(played, hosts, volumes, foreign)
        parts.restore(lab.instance)

    def test_every_workload(self, refused: Refused) -> None:
        recap = refused.played.recap
        assert refused.played.code != 0
        assert recap.keys() == set(refused.hosts.values())
        assert {(host.failed, host.changed) for host in recap.values()} == {(1, 0)}
        for name, host in refused.hosts.items():
            said = refused.said(name)
            assert said.startswith(f"{host}: See how far it is, and whether it can move: Workload {host} cannot be")
            assert said.endswith(self.NEXT_STEP)

    def test_network_that_is_not_there(self, refused: Refused) -> None:
        said = refused.said("app-1")
        assert "target.networks: no network 'VM Netwrok'; there are: " in said
        assert "VM Network" in said

    def test_disk_larger_than_what_is_free(self, refused: Refused) -> None:
        assert "disks[0]: needs 1.0 GiB, but 0.5 GiB are free in LocalDS_0" in refused.said("db-1")

    def test_name_that_somebody_else_has(self, refused: Refused) -> None:
        said = refused.said("db-1")
        assert f"name: the name 'Database' is taken in the target folder: {refused.foreign} has it" in said
        assert "Give the workload another target name in the plan" in said

    def test_volume_that_several_servers_may_have(self, refused: Refused) -> None:
        said = refused.said("shared-1")
        assert f"disks[1].volume: the volume {refused.volumes['shared-1'][1]} is multi-attached (2 attachments" in said
        assert "no network 'VM Netwrok'" in said, "all problems are told together"

    def test_volume_that_is_encrypted(self, refused: Refused) -> None:
        volume = refused.volumes["vault-1"][1]
        assert f"disks[1].volume: the volume {volume} is encrypted by the source cloud" in refused.said("vault-1")


# the reader host


def test_reader_that_is_switched_off(planner: Operator) -> None:
    host = small(planner)
    tenant = api(planner.instance)
    reader = planner.plan()["readers"]["reader-1"]["server_id"]
    tenant.post("compute", f"/servers/{reader}/action", {"os-stop": None})
    tenant.wait_status("compute", f"/servers/{reader}", "server", "SHUTOFF")
    watch = Watch(planner.instance)
    try:
        played = planner.migrate("--limit", host)
        watch.nothing_happened()
    finally:
        tenant.post("compute", f"/servers/{reader}/action", {"os-start": None})
        tenant.wait_status("compute", f"/servers/{reader}", "server", "ACTIVE")
    said = failure(played, host)
    assert f"Reader host reader-1 ({reader}) cannot take disks" in said
    assert "it is SHUTOFF" in said
    assert "Start it, or name another reader for the workload in the plan." in said


def test_reader_that_cannot_be_reached(planner: Operator, watch: Watch) -> None:
    host = small(planner)
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]

        def away(plan: dict[str, Any]) -> None:
            plan["readers"]["reader-1"]["connection"] = {"ansible_host": "127.0.0.1", "ansible_port": port}

        planner.edit(away)
        played = planner.migrate("--limit", host)
    text = plain(played)
    assert "See that the reader host is ready" in text
    assert "UNREACHABLE!" in text
    assert f"connect to host 127.0.0.1 port {port}: Connection refused" in text
    assert played.code != 0
    assert played.changed == 0


# credentials


def test_wrong_password_of_openstack(planner: Operator, watch: Watch, tmp_path: Path) -> None:
    host = small(planner)
    clouds = yaml.safe_load((planner.instance.dir / "clouds.yaml").read_text())
    clouds["clouds"]["acme"]["auth"]["password"] = WRONG
    file = tmp_path / "clouds.yaml"
    file.write_text(yaml.safe_dump(clouds))
    played = planner.migrate("-vvv", "--limit", host, env={"OS_CLIENT_CONFIG_FILE": str(file)})
    said = failure(played, host)
    assert "Cannot connect to cloud 'acme': the cloud refused the credential (HTTP 401" in said
    assert "Check the entry in clouds.yaml (OS_CLIENT_CONFIG_FILE)" in said
    assert WRONG not in played.output
    assert played.code != 0


def test_wrong_password_of_vcenter(planner: Operator, watch: Watch) -> None:
    host = small(planner)
    played = planner.migrate("-vvv", "--limit", host, env={"VMWARE_PASSWORD": WRONG})
    said = failure(played, host)
    about = planner.instance.env()["vcenter"]
    assert f"cannot log in to the vCenter at {about['host']}:{about['port']} as {about['user']}" in said
    assert "user name or password is wrong. Check the credential" in said
    assert WRONG not in played.output
    assert played.code != 0


# what would be done


def test_check_mode_tells_and_changes_nothing(planner: Operator, watch: Watch) -> None:
    """On a fresh tenant: two workloads that are off and one that runs."""
    hosts = {name: planner.host(name) for name in ("web-1", "app-1")} | {"db-1": small(planner)}
    played = planner.migrate("--check", "--diff", "--limit", ",".join(hosts.values())).ok()
    assert played.recap.keys() == set(hosts.values())
    assert all(recap.changed >= 5 for recap in played.recap.values())
    text = plain(played)
    workloads = planner.plan()["workloads"]
    for host in hosts.values():
        entry = workloads[host]
        for disk in entry["disks"]:
            assert f"+snapshot volume {disk['volume']}" in text
        assert f"+name: {entry['name']} +cpus: 1 +memory_mib: {entry['memory_mib']}" in text
        assert f"+++ after: machine of {host} @@ -1 +1 @@ -power: poweredOff +power: poweredOn" in text
        assert f"+++ after: server {entry['source']['id']} @@ -1 +1 @@ -fence: none +fence: ours" in text
    running = workloads[hosts["web-1"]]["source"]["id"]
    assert f"+++ after: server {running} @@ -1 +1 @@ -status: ACTIVE +status: SHUTOFF" in text
    assert text.count("-status: ACTIVE") == 1
    assert not planner.evidence.exists()
    assert not planner.state.exists()
