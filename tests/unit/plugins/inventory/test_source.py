# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of a cloud as inventory, against a cloud over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader
from ansible.template import Templar

from tests.unit.openstack_http import FakeCloud, ident

HOSTILE = "a b'\"{{ 7*7 }}/../é"
NAME = "cloudexit.flexible_engine.source"
Load = Callable[..., InventoryData]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCloud]:
    with FakeCloud("acme", "globex") as cloud:
        file = tmp_path / "clouds.yaml"
        file.write_text(json.dumps(cloud.clouds()))
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
        cloud.add_server("web-1", metadata={"group": "web"}, tags=["prod"])
        cloud.add_server(HOSTILE)
        cloud.add_server("db", "globex")
        yield cloud


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def run(name: str = "acme.fe.yml", **options: Any) -> InventoryData:
        path = tmp_path / name
        config = {"plugin": NAME, "cloud": "acme", **options}
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        inventory = InventoryData()
        plugin = inventory_loader.get(NAME)
        assert plugin.verify_file(str(path))
        plugin.parse(inventory, DataLoader(), str(path))
        if getattr(plugin, "_cache", None):  # as Ansible's inventory manager does
            plugin.update_cache_if_changed()
        inventory.reconcile_inventory()
        return inventory

    return run


def slug(name: str, made: str) -> str:
    return f"{name}-{ident(f'server {made}')[:8]}"


def hosts(inventory: InventoryData) -> set[str]:
    return set(inventory.hosts)


def known(inventory: InventoryData, host: str) -> dict[str, Any]:
    return dict(inventory.hosts[host].vars)


def test_servers_are_hosts(fake: FakeCloud, load: Load) -> None:
    inventory = load()
    web = slug("web-1", "web-1")
    assert hosts(inventory) == {web, slug("a-b-7-7-e", HOSTILE)}
    variables = known(inventory, web)
    assert variables["fe_id"] == ident("server web-1") and variables["fe_name"] == "web-1"
    assert variables["fe_status"] == "ACTIVE" and variables["fe_metadata"] == {"group": "web"}
    assert variables["fe_flavor"]["vcpus"] == 2 and variables["fe_tags"] == ["prod"]
    assert variables["fe_volumes"] == [ident("volume web-1")]
    assert variables["fe_project_name"] == "acme" and variables["fe_region"] == "RegionOne"
    assert variables["ansible_host"] == "10.20.0.11"
    assert fake.lists("servers") == 1 and not fake.writes()
    assert sum(fake.lists(kind) for kind in ("volumes", "ports", "images", "networks")) == 0


def test_what_the_cloud_says_is_no_template(fake: FakeCloud, load: Load) -> None:
    inventory = load(
        keyed_groups=[{"key": "fe_name", "prefix": "name"}], compose={"copied": "fe_name", "made": "'{{ 7*7 }}' ~ 1"}
    )
    variables = known(inventory, slug("a-b-7-7-e", HOSTILE))
    templar = Templar(DataLoader())
    assert templar.template(variables["fe_name"]) == HOSTILE
    assert templar.template(variables["copied"]) == HOSTILE
    named = [name for name in inventory.groups if name.startswith("name_a")]
    assert len(named) == 1 and "{" not in named[0] and "49" not in named[0]


def test_projects(fake: FakeCloud, load: Load) -> None:
    assert hosts(load(projects=["globex"])) == {slug("db", "db")}
    assert hosts(load(projects=[ident("project globex")])) == {slug("db", "db")}
    everything = load(projects=["all"], keyed_groups=[{"key": "fe_project_name", "prefix": "project"}])
    assert len(hosts(everything)) == 3
    assert [host.name for host in everything.groups["project_globex"].get_hosts()] == [slug("db", "db")]
    with pytest.raises(
        AnsibleParserError, match=r"There is no one project 'nowhere' in cloud 'acme': .* visible: acme, globex"
    ):
        load(projects=["nowhere"])


def test_a_project_that_cannot_be_read(fake: FakeCloud, load: Load) -> None:
    token = fake._identity

    def refuse(method: str, path: str, body: Any, given: str) -> Any:
        if body and body["auth"].get("scope", {}).get("project", {}).get("id") == ident("project globex"):
            return 401, {"error": {"message": "no role"}}, {}
        return token(method, path, body, given)

    fake._identity = refuse
    with pytest.raises(AnsibleParserError, match="The project globex cannot be read"):
        load(projects=["all"])
    assert len(hosts(load(projects=["all"], strict_projects=False))) == 2


def test_servers_that_cannot_be_read(fake: FakeCloud, load: Load) -> None:
    fake.fail["servers"] = 403
    with pytest.raises(AnsibleParserError, match="servers could not be read: HTTP 403"):
        load()
    assert hosts(load(strict_projects=False)) == set()


def test_wrong_credential(fake: FakeCloud, load: Load) -> None:
    with pytest.raises(AnsibleParserError) as caught:
        load(auth={"password": "PLANTED-secret"})
    assert "the cloud refused the credential" in str(caught.value) and "PLANTED" not in str(caught.value)


def test_options_may_be_templates(fake: FakeCloud, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANT", "acme")
    monkeypatch.setenv("PROJECT", "globex")
    inventory = load(cloud="{{ lookup('env', 'TENANT') }}", projects=["{{ lookup('env', 'PROJECT') }}"])
    assert hosts(inventory) == {slug("db", "db")}


def test_groups_and_compose(fake: FakeCloud, load: Load) -> None:
    inventory = load(
        strict=True,
        groups={"small": "fe_flavor.vcpus < 4"},
        compose={"ansible_user": "'debian'"},
        keyed_groups=[{"key": "fe_status | lower", "prefix": "status"}],
    )
    assert len(inventory.groups["small"].get_hosts()) == len(inventory.groups["status_active"].get_hosts()) == 2
    assert known(inventory, slug("web-1", "web-1"))["ansible_user"] == "debian"


def test_host_names(fake: FakeCloud, load: Load) -> None:
    twin = {"id": ident("server twin"), "name": "web-1"}
    fake.objects["acme"]["servers"].append(fake.objects["acme"]["servers"][0] | twin)
    assert hosts(load(hostnames=["name"])) == {slug("web-1", "web-1"), slug("web-1", "twin"), HOSTILE}
    assert hosts(load(hostnames=["id"])) == {ident("server web-1"), ident("server twin"), ident(f"server {HOSTILE}")}


def test_addresses(fake: FakeCloud, load: Load) -> None:
    addresses = fake.objects["acme"]["servers"][0]["addresses"]["app"]
    addresses.insert(0, {"addr": "2001:db8::1", "version": 6, "OS-EXT-IPS:type": "fixed"})
    addresses.append({"addr": "203.0.113.9", "version": 4, "OS-EXT-IPS:type": "floating"})
    web = slug("web-1", "web-1")
    assert known(load(), web)["ansible_host"] == "203.0.113.9"
    assert known(load(address="fixed"), web)["ansible_host"] == "10.20.0.11"
    assert "ansible_host" not in known(load(address="none"), web)


def test_cache(fake: FakeCloud, load: Load, tmp_path: Path) -> None:
    options = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    first = load(**options)
    calls = len(fake.calls)
    second = load(**options)
    assert len(fake.calls) == calls
    assert hosts(first) == hosts(second)
    for host in hosts(first):
        assert known(first, host) == known(second, host)
    hostile = known(second, slug("a-b-7-7-e", HOSTILE))
    assert Templar(DataLoader()).template(hostile["fe_name"]) == HOSTILE


def test_pages(fake: FakeCloud, load: Load) -> None:
    for number in range(10):
        fake.add_server(f"more-{number}")
    fake.calls.clear()
    assert len(hosts(load(page_size=5))) == 12
    assert fake.lists("servers") == 3


@pytest.mark.parametrize("name", ["source.yml", "my.source.yaml", "x.fe.yaml"])
def test_accepted_names(fake: FakeCloud, load: Load, name: str) -> None:
    assert len(hosts(load(name))) == 2


def test_other_names_are_left_to_others(tmp_path: Path) -> None:
    path = tmp_path / "acme.yml"
    path.write_text(f"plugin: {NAME}\n")
    assert not inventory_loader.get(NAME).verify_file(str(path))
