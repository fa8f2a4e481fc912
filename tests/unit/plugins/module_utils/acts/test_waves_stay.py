# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant that grows by one server: the plan says what becomes of it, and no other group goes to another wave."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.acts import assess
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import estate as e
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model.kinds import TYPED
from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.planning.draft import Options

OPTIONS = Options(
    tenant="acme",
    datacenter="DC0",
    compute="C0",
    datastore="DS0",
    default_network="VM Network",
    reader_server_id="reader",
    reader_connection={"ansible_connection": "local"},
)


def estate(*names: str) -> e.Estate:
    """Servers that belong to the group that their metadata names, each with a disk and a port."""
    image = {"os_distro": "debian", "os_version": "12", "hw_firmware_type": "bios"}
    return e.Estate(
        kind=e.KIND,
        version=e.VERSION,
        tenant=e.Tenant(project_id="p"),
        read=dict.fromkeys(TYPED, "complete"),
        networks=[e.Network(id="n", name="app")],
        servers=[
            e.Server(
                id=name,
                name=name,
                status="ACTIVE",
                flavor=e.Flavor(vcpus=1, ram_mib=1024),
                volumes=[e.Attachment(volume_id=f"v-{name}", boot=True)],
                ports=[f"p-{name}"],
                metadata={"group": name.partition("-")[0]},
            )
            for name in sorted(names)
        ],
        volumes=[
            e.Volume(id=f"v-{name}", status="in-use", size_gib=5, bootable=True, image_metadata=image)
            for name in sorted(names)
        ],
        ports=[
            e.Port(id=f"p-{name}", network_id="n", device_id=name, mac=f"fa:16:3e:00:00:{number:02x}")
            for number, name in enumerate(sorted(names))
        ],
    )


def waves(folder: Path, found: e.Estate, force: bool = False) -> dict[str, str]:
    path = folder / "acme.plan.yml"
    assess.draft_plan(found, OPTIONS, str(path), force=force)
    read = yaml.safe_load(path.read_text())["waves"]
    return {group: name for name, wave in read.items() for group in wave["groups"]}


def test_one_more_server_moves_no_other_group(tmp_path: Path) -> None:
    names = [f"g{group}x-{number}" for group in range(12) for number in range(1 + group % 3)]
    before = waves(tmp_path, estate(*names))
    assert len(set(before.values())) == 4
    text = (tmp_path / "acme.plan.yml").read_text()
    assert waves(tmp_path, estate(*names)) == before
    assert (tmp_path / "acme.plan.yml").read_text() == text
    after = waves(tmp_path, estate(*names, "aaa-1"))
    assert {group: wave for group, wave in after.items() if group != "aaa"} == before
    assert "aaa" in after
    anew = waves(tmp_path, estate(*names, "aaa-1"), force=True)
    assert {group: wave for group, wave in anew.items() if group != "aaa"} != before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense: [",
        "waves: 7",
        "waves: {a: 1, b: {groups: x}, c: {groups: [[1]]}}",
        "[]",
        "workloads: {a: 1, b: {source: 2, group: c}, d: {source: {id: [1]}, group: {}}}",
    ],
)
def test_a_draft_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "acme.draft.yml").write_text(text)
    assert waves(tmp_path, estate("web-1")) == {"web": "wave_1"}


def test_a_server_that_is_renamed_renames_no_group(tmp_path: Path) -> None:
    found = estate("shop-web-1", "shop-web-2", "shop-db-3")
    rule = e.Rule(id="r", direction="ingress", ethertype="IPv4", remote_group_id="sg")
    found = dataclasses.replace(
        found,
        servers=[dataclasses.replace(server, metadata={}) for server in found.servers],
        ports=[dataclasses.replace(port, security_groups=["sg"]) for port in found.ports],
        security_groups=[e.SecurityGroup(id="sg", name="shop", rules=[rule])],
    )
    before = list(waves(tmp_path, found))
    assert len(before) == 1
    others = [dataclasses.replace(s, name="zzz") if s.name != "shop-db-3" else s for s in found.servers]
    after = dataclasses.replace(found, servers=others)
    assert list(waves(tmp_path, after)) == before
    assert list(waves(tmp_path, after, force=True)) != before, "without a draft before, the names are others"
