# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""assess against real OpenStack: what it writes, that it only reads, and that a second run changes nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as estates
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from tests.installed import Lab, Playbook
from tests.lab.openstack.access import calls

pytestmark = pytest.mark.lab

FILES = {
    "acme.estate.json",
    "acme.plan.yml",
    "acme.draft.yml",
    "acme.assessment.json",
    "acme.assessment.en.html",
    "acme.assessment.fr.html",
    "acme.workloads.csv",
    "acme.findings.csv",
    "acme.objects.csv",
}
"""What assess leaves of a tenant."""


def settings(lab: Lab, **changed: Any) -> dict[str, Any]:
    """What an operator gives assess for the lab's tenant."""
    return {
        "assess_cloud": lab.env["seed"]["tenant"],
        "assess_target": {
            "datacenter": "DC0",
            "compute": "DC0_C0",
            "datastore": "LocalDS_0",
            "network": "VM Network",
            "networks": {"db-net": "DC0_DVPG0"},
        },
        "assess_reader": {
            "server_id": lab.env["readers"][0],
            "connection": {"ansible_connection": "local"},
        },
    } | changed


def test_assess(lab: Lab, playbook: Playbook, tmp_path: Path) -> None:
    estate_file, plan_file = tmp_path / "acme.estate.json", tmp_path / "acme.plan.yml"
    started = time.time()

    checked = playbook("assess", "--check", "--diff", env=lab.environment, extra=settings(lab)).ok()
    assert checked.recap["localhost"].changed == 2 and "+plugin: cloudexit.flexible_engine.plan" in checked.output
    assert not estate_file.exists() and not plan_file.exists()

    first = playbook("assess", env=lab.environment, extra=settings(lab)).ok()
    assert first.recap["localhost"].changed == 3
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written.keys() == FILES

    second = playbook("assess", env=lab.environment, extra=settings(lab)).ok()
    assert second.recap["localhost"].changed == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == written

    seen = calls(lab.instance, started)
    assert seen.writes == []

    estate = estates.loads(written["acme.estate.json"])
    assert set(estate.read.values()) <= {"complete", "absent"}
    assert [f.rule for f in estate.findings] == ["dimension_unexplained"], "the seed has a metric of what nobody lists"
    seeded = {server["id"]: server for server in lab.env["seed"]["servers"]}
    assert seeded.keys() <= {server.id for server in estate.servers}
    plan = plans.loads(plan_file.read_text(encoding="utf-8"))
    assert plan.estate.digest == estate.digest()
    by_id = {workload.source.id: workload for workload in plan.workloads.values()}
    for identity, server in seeded.items():
        assert by_id[identity].source.name == server["name"]
        if by_id[identity].move == "cold":
            assert [address for nic in by_id[identity].nics for address in nic.addresses] == server["addresses"]

    named = {by_id[identity].source.name: by_id[identity] for identity in seeded}
    assert named["web-1"].move == "cold" and named["web-1"].firmware == "bios"
    assert named["web-2"].firmware == "efi" and named["web-2"].guest.os == "debian12_64Guest"
    assert [disk.boot for disk in named["web-1"].disks] == [True, False]
    assert named["reader-1"].reason == "it is the reader host of this plan"
    assert "can be attached to several servers at once" in named["shared-1"].reason
    assert "is encrypted" in named["vault-1"].reason
    assert "it boots from a local disk" in named["image-1"].reason
    assert {network.target for network in plan.networks.values()} == {"VM Network", "DC0_DVPG0"}


def test_an_edited_plan_is_kept(lab: Lab, playbook: Playbook, tmp_path: Path) -> None:
    extra = settings(lab, assess_cloud="empty")
    plan_file, draft_file = tmp_path / "empty.plan.yml", tmp_path / "empty.draft.yml"
    playbook("assess", env=lab.environment, extra=extra).ok()
    edited = (
        plan_file.read_text(encoding="utf-8").replace("bandwidth_mib_s: 0", "bandwidth_mib_s: 50") + "\n# approved\n"
    )
    plan_file.write_text(edited, encoding="utf-8")
    again = playbook("assess", env=lab.environment, extra=extra).ok()
    # the assessment names the digest of the plan; the plan itself stays as it is
    assert again.recap["localhost"].changed == 2 and "was there; what people wrote stands" in again.output
    assert plan_file.read_text(encoding="utf-8") == edited and "bandwidth_mib_s: 0\n" in draft_file.read_text()
    assert playbook("assess", env=lab.environment, extra=extra).ok().recap["localhost"].changed == 0


def test_an_empty_tenant(lab: Lab, playbook: Playbook, tmp_path: Path) -> None:
    extra = settings(lab, assess_cloud="empty", assess_dir="out", assess_tenant="none_yet")
    playbook("assess", env=lab.environment, extra=extra).ok()
    estate = estates.loads((tmp_path / "out" / "none_yet.estate.json").read_bytes())
    assert estate.servers == [] and set(estate.read.values()) <= {"complete", "absent"}
    assert plans.loads((tmp_path / "out" / "none_yet.plan.yml").read_text()).workloads == {}


def test_wrong_credentials(lab: Lab, playbook: Playbook, tmp_path: Path) -> None:
    secret = "PLANTED-secret-in-assess"
    clouds = json.loads(Path(lab.environment["OS_CLIENT_CONFIG_FILE"]).read_text())
    clouds["clouds"][lab.env["seed"]["tenant"]]["auth"]["password"] = secret
    file = tmp_path / "clouds.yaml"
    file.write_text(json.dumps(clouds))
    played = playbook("assess", "-vvvv", env={"OS_CLIENT_CONFIG_FILE": str(file)}, extra=settings(lab))
    assert played.code != 0
    assert "the cloud refused the credential (HTTP 401" in played.output and "clouds.yaml" in played.output
    assert secret not in played.output
    assert list(tmp_path.iterdir()) == [file]


def test_no_secret_is_shown(lab: Lab, playbook: Playbook, tmp_path: Path) -> None:
    clouds = json.loads(Path(lab.environment["OS_CLIENT_CONFIG_FILE"]).read_text())["clouds"]
    secret = clouds[lab.env["seed"]["tenant"]]["auth"]["password"]
    played = playbook("assess", "-vvvv", "--diff", env=lab.environment, extra=settings(lab)).ok()
    written = "".join(path.read_text(encoding="utf-8") for path in tmp_path.iterdir())
    assert secret not in played.output + written and "gAAAA" not in played.output + written


def test_a_name_that_files_cannot_have(lab: Lab, playbook: Playbook, tmp_path: Path) -> None:
    played = playbook("assess", env=lab.environment, extra=settings(lab, assess_tenant="../evil"))
    assert played.code != 0 and "assess_tenant must be set" in played.output
    assert list(tmp_path.iterdir()) == []


def test_the_environment_alone(lab: Lab, playbook: Playbook, tmp_path: Path) -> None:
    clouds = json.loads(Path(lab.environment["OS_CLIENT_CONFIG_FILE"]).read_text())["clouds"]
    entry = clouds[lab.env["seed"]["tenant"]]
    env = {f"OS_{name.upper()}": value for name, value in entry["auth"].items()}
    env |= {"OS_REGION_NAME": entry["region_name"]}
    extra = {key: value for key, value in settings(lab).items() if key != "assess_cloud"} | {"assess_tenant": "acme"}
    playbook("assess", env=env, extra=extra).ok()
    assert plans.loads((tmp_path / "acme.plan.yml").read_text(encoding="utf-8")).tenant.cloud is None


BOOK = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Read
      cloudexit.flexible_engine.estate_info:
        cloud: acme
        page_size: 3
      register: small_pages
    - name: Read
      cloudexit.flexible_engine.estate_info:
        cloud: acme
      register: large_pages
    - name: Compare
      ansible.builtin.assert:
        that:
          - small_pages.digest == large_pages.digest
          - small_pages.calls > large_pages.calls
          - large_pages.calls < 2 * large_pages.read | length
          - small_pages.estate.servers | length == small_pages.counts.servers
"""


def test_pages_of_real_services(lab: Lab, playbook: Playbook, tmp_path: Path) -> None:
    book = tmp_path / "book.yml"
    book.write_text(BOOK)
    playbook(str(book), env=lab.environment).ok()
