# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan into Cloud Avenue from a saved estate: drafted, filled in by people, drafted again, used as an inventory."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import plan as plans
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import schema
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.kinds import KINDS
from tests.installed import Playbook
from tests.integration.test_inventory import ansible, listed

IMAGE = {"os_distro": "debian", "os_version": "12", "hw_firmware_type": "bios"}
BOOK = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - cloudexit.flexible_engine.plan_draft:
        estate: acme.estate.json
        path: acme.plan.yml
        tenant: acme
        policy: acme.policy.yml
        target: {type: vcd, org: cav01ev01ocb0001234, vdc: acme-vdc, storage_profile: silver}
        reader: {server_id: r1}
      register: drafted
    - ansible.builtin.copy:
        content: "{{ drafted | to_json }}"
        dest: "{{ playbook_dir }}/result.json"
        mode: "0600"
"""
FILLED = (
    ('  name: ""\n', "  name: tn01e02ocb0001234spt101  # ordered in March\n"),
    ("203.0.113.7: null", "203.0.113.7: 198.51.100.10"),
    ("target: app\n", "target: front\n"),
)


def estate(*, disks: int, cpus: int = 2) -> e.Estate:
    """Two servers; a public address leads to the first, the last disk of the second is of `disks` GiB."""

    def server(name: str, *volumes: str) -> e.Server:
        return e.Server(
            id=f"{name}-id",
            name=name,
            status="ACTIVE",
            flavor=e.Flavor(name="m", vcpus=cpus, ram_mib=2048),
            volumes=[e.Attachment(volume, f"/dev/vd{'abc'[n]}", boot=not n) for n, volume in enumerate(volumes)],
            ports=[f"p-{name}"],
        )

    def volume(ident: str, size: int, kind: str) -> e.Volume:
        return e.Volume(id=ident, status="in-use", size_gib=size, type=kind, bootable=True, image_metadata=dict(IMAGE))

    def port(name: str, number: int) -> e.Port:
        address = e.FixedIp(ip=f"10.20.0.{number}", subnet_id="sn1")
        mac = f"fa:16:3e:00:00:{number:02x}"
        owner = "compute:nova"
        return e.Port(
            f"p-{name}", network_id="n1", device_id=f"{name}-id", device_owner=owner, mac=mac, fixed_ips=[address]
        )

    return e.Estate(
        kind=e.KIND,
        version=e.VERSION,
        tenant=e.Tenant(project_id="p", project_name="acme", region="eu-west-0"),
        read=dict.fromkeys(KINDS, "complete"),
        servers=[server("web", "v1"), server("db", "v2", "v3")],
        volumes=[volume("v1", 10, "SAS"), volume("v2", 10, "SAS"), volume("v3", disks, "SSD")],
        ports=[port("web", 11), port("db", 12)],
        networks=[e.Network(id="n1", name="app", project_id="p")],
        subnets=[e.Subnet(id="sn1", name="app", network_id="n1", cidr="10.20.0.0/24")],
        floating_ips=[e.FloatingIp("f1", "203.0.113.7", port_id="p-web")],
    )


def test_drafted_filled_in_and_drafted_again(playbook: Playbook, collections_path: Path, tmp_path: Path) -> None:
    file, plan_file, book = (tmp_path / name for name in ("acme.estate.json", "acme.plan.yml", "book.yml"))
    book.write_text(BOOK)
    (tmp_path / "acme.policy.yml").write_text(
        "version: 1\ndefault: target\nask: false\nstorage: {SAS: silver, SSD: gold}\n"
    )

    def drafted(found: e.Estate) -> tuple[plans.Plan | None, dict[str, object]]:
        file.write_text(json.dumps(schema.dump(found)))
        playbook(str(book)).ok()
        result = json.loads((tmp_path / "result.json").read_text())
        return (plans.loads(plan_file.read_text()) if not result["to_fill"] else None), result

    plan, first = drafted(estate(disks=100))
    assert plan is None and first["to_fill"] == [
        "edge.name: must be set: the edge gateway that the rest is about",
        'edge.public."203.0.113.7": must be set: the address of the edge that takes the place of 203.0.113.7',
    ]
    refused = ansible(collections_path, "ansible-inventory", "-i", plan_file, "--list")
    assert refused.returncode != 0 and "edge.name" in refused.stderr

    text = plan_file.read_text()
    for old, new in FILLED:
        assert text.count(old) == 1, (old, text)
        text = text.replace(old, new)
    plan_file.write_text(text)

    # the tenant has changed: what people filled in stands, the rest follows
    plan, second = drafted(estate(disks=200, cpus=4))
    assert plan is not None and second["conflicts"] == []
    assert plan.edge.name == "tn01e02ocb0001234spt101" and "# ordered in March" in plan_file.read_text()
    assert plan.edge.public == {"203.0.113.7": "198.51.100.10"} and plan.networks["n1"].target == "front"
    (db,) = (one for one in plan.moving().values() if one.source.name == "db")
    assert (db.cpus, db.nics[0].addresses) == (4, ["10.20.0.12"])
    assert [(disk.size_gib, disk.storage_profile) for disk in db.disks] == [(10, None), (200, "gold")]
    hosts = listed(ansible(collections_path, "ansible-inventory", "-i", plan_file, "--list"))
    assert len(hosts["target_vcd"]["hosts"]) == 2
    assert not drafted(estate(disks=200, cpus=4))[1]["changed"]

    # a disk that Cloud Avenue does not take: not moved, with the reason; and whoever plans it all the same is refused
    plan, large = drafted(estate(disks=2049, cpus=4))
    assert plan is not None
    (db,) = (one for one in plan.workloads.values() if one.source.name == "db")
    assert db.move == "none" and "larger than any disk of the target (2048 GiB)" in db.reason
    (finding,) = (one for one in large["findings"] if one["rule"] == "disk_over_limit")
    assert "another target" in finding["action"]
    plan_file.write_text(text.replace("size_gib: 100", "size_gib: 2049").replace("firmware: bios", "firmware: uefi", 1))
    refused = ansible(collections_path, "ansible-inventory", "-i", plan_file, "--list")
    assert refused.returncode != 0 and "2 problems" in refused.stderr and "choose a vSphere target" in refused.stderr
