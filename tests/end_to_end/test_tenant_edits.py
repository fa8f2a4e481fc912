# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thirty edits in the plan and ten changes in a real tenant: all stand, all are told, nothing else moves."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.tenants import Tenant
from tests.installed import Lab
from tests.lab.openstack import bulk
from tests.lab.openstack.rest import Api

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("without_guests")]

SHAPE = bulk.SMALL
GROUP = "shop-00-web"
COMMENT = "  # told on the phone: not before Friday, ask {{ nobody }}"


@pytest.fixture
def tenant(tenants: Lab, collections_path: Path, tmp_path: Path) -> Tenant:
    """The small tenant, assessed once."""
    bulk.seed(tenants.instance)
    made = Tenant(tenants, collections_path, SHAPE.name, tmp_path / "small")
    made.assess()
    return made


def blocks(text: str) -> dict[str, list[str]]:
    """The lines of each workload, by host, with the comment above it."""
    found: dict[str, list[str]] = {}
    host = ""
    above: list[str] = []
    inside = False
    for line in text.splitlines():
        if re.match(r"\S", line):
            inside, host, above = line.startswith("workloads:"), "", []
        elif inside and re.match(r"  #|$", line):
            above.append(line)
        elif inside:
            named = re.match(r"  ([A-Za-z0-9_.-]+):", line)
            host = named[1] if named else host
            found.setdefault(host, []).extend([*above, line])
            above = []
    return found


def diff(before: list[str], after: list[str]) -> list[str]:
    """What differs, as a person reads it."""
    return list(difflib.unified_diff(before, after, "before", "after", "", "", 0, ""))[2:]


def edited(text: str, hosts: list[str]) -> tuple[str, int]:
    """Thirty edits as people make them: values, values with a remark, and lines of comment. Returns how many."""
    lines, done, host, inside = [], 0, "", False
    for given in text.splitlines():
        line = given
        if re.match(r"\S", line):
            inside = line.startswith("workloads:")
        named = re.match(r"  ([A-Za-z0-9_.-]+):", line)
        if inside and named:
            host = named[1]
            if host in hosts[:10]:
                lines.append(COMMENT)
                done += 1
        if inside and host in hosts[:10]:
            for pattern, new in (
                (r"(    cpus: )\d+", r"\g<1>7"),
                (r"(    memory_mib: )\d+", r"\g<1>6144  # as agreed"),
            ):
                line, count = re.subn(pattern + r".*", new, line)
                done += count
        lines.append(line)
    return "\n".join(lines) + "\n", done


def change(tenant: Tenant, plan: dict[str, Any], hosts: list[str]) -> set[tuple[str, str, str]]:
    """Ten changes in the tenant, by its own user; returns what must be told: what happened, kind, id."""
    api = Api(tenant.lab.instance, SHAPE.user, SHAPE.password, SHAPE.name)
    estate = tenant.estate()
    project = f"/{estate['tenant']['project_id']}"

    def first(kind: str, **values: Any) -> dict[str, Any]:
        rows = estate.get(kind) or estate["resources"][kind]
        return next(row for row in rows if all(row[key] == value for key, value in values.items()))

    renamed, marked = (plan["workloads"][host]["source"]["id"] for host in hosts[10:12])
    api.put("compute", f"/servers/{renamed}", {"server": {"name": "another name"}})
    api.post("compute", f"/servers/{marked}/metadata", {"metadata": {"owner": "somebody else"}})
    volume = estate["volumes"][0]["id"]
    api.put("volume", f"{project}/volumes/{volume}", {"volume": {"name": "another disk"}})
    snapshot = estate["snapshots"][0]["id"]
    api.put("volume", f"{project}/snapshots/{snapshot}", {"snapshot": {"name": "keep this one"}})
    group = first("security_groups", name=GROUP)
    api.delete("network", f"/security-group-rules/{group['rules'][0]['id']}")
    body = {"security_group": {"name": "a new group {{ 1 }}"}}
    added_group = api.post("network", "/security-groups", body)["security_group"]["id"]
    network = api.post("network", "/networks", {"network": {"name": "a new network"}})["network"]["id"]
    router = estate["resources"]["routers"][0]["id"]
    api.put("network", f"/routers/{router}", {"router": {"name": "another router"}})
    unused = first("floating_ips", port_id=None)["id"]
    api.delete("network", f"/floatingips/{unused}")
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl other"
    api.post("compute", "/os-keypairs", {"keypair": {"name": "another", "type": "ssh", "public_key": key}})
    return {
        ("changed", "servers", renamed),
        ("changed", "servers", marked),
        ("changed", "volumes", volume),
        ("changed", "snapshots", snapshot),
        ("changed", "security_groups", group["id"]),
        ("added", "security_groups", added_group),
        ("added", "networks", network),
        ("changed", "routers", router),
        ("removed", "floating_ips", unused),
        ("added", "key_pairs", "another"),
    }


def test_edits_stand_and_changes_are_told(tenant: Tenant) -> None:
    file = tenant.folder / f"{SHAPE.name}.plan.yml"
    hosts = sorted(tenant.plan()["workloads"])
    moving = [host for host in hosts if tenant.plan()["workloads"][host]["move"] == "cold"]
    assert len(moving) >= 12, "too few servers of the small tenant are drafted to move"
    text, edits = edited(file.read_text(), moving)
    assert edits == 30
    file.write_text(text)
    asked = change(tenant, yaml.safe_load(text), moving)

    run = tenant.assess()

    after = file.read_text()
    loaded = yaml.safe_load(after)["workloads"]
    assert after.count(COMMENT) == 10
    assert after.count("6144  # as agreed") == 10
    for host in moving[:10]:
        assert (loaded[host]["cpus"], loaded[host]["memory_mib"]) == (7, 6144)
    told = {(found["op"], found["kind"], found["id"]) for found in tenant.assessment()["drift"]}
    told = {found for found in told if not found[1].endswith("_quotas")}
    assert told == asked

    # nothing else moves: whoever is not the renamed server has the same lines as before
    renamed = moving[10]
    before_blocks, after_blocks = blocks(text), blocks(after)
    assert after_blocks.keys() == before_blocks.keys()
    moved = {host: diff(before_blocks[host], after_blocks[host]) for host in before_blocks if host != renamed}
    assert {host: lines for host, lines in moved.items() if lines} == {}
    assert "another name" in "\n".join(after_blocks[renamed])
    assert run.calls.writes == []

    files = tenant.files()
    again = tenant.assess()
    assert again.played.changed == 0, again.played.output
    assert tenant.files() == files
