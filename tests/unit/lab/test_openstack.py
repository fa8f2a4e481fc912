# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure parts of the lab's OpenStack."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.lab import attach_shim, parts, seed
from tests.lab.openstack import access, config, database, install, schema, services, state
from tests.lab.openstack.rest import Api
from tests.lab.paths import Instance


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = Instance("one", 30000, root=tmp_path)
    made.make_dirs()
    return made


# access logs


def _line(method: str, uri: str, host: str = "127.0.0.1:30003", at: float = 100.0) -> str:
    return f"{int(at * 1e6)}\t{method}\t{uri}\t200\t12\t{host}\topenstacksdk/4\n"


def test_only_what_customers_asked_is_counted(instance: Instance) -> None:
    (instance.logs / "access-nova.tsv").write_text(
        _line("GET", "/v2.1/servers")
        + _line("POST", "/v2.1/servers")
        + _line("POST", "/v2.1/servers", host="127.0.0.2:30003")
        + "*** a line of uWSGI ***\n"
        + _line("DELETE", "/v2.1/servers/1", at=99.0)
    )
    (instance.logs / "access-keystone.tsv").write_text(_line("POST", "/v3/auth/tokens") + _line("POST", "/v3/users"))
    found = access.calls(instance, since=100.0)
    assert found.summary() == {
        "calls": {"nova": 2, "keystone": 2},
        "writes": {"nova": 1, "keystone": 1},
        "total": 4,
    }
    assert sorted(c.uri for c in found.writes) == ["/v2.1/servers", "/v3/users"]
    assert found.all[0].seconds == 0.012


def test_a_log_line_that_breaks_off_is_skipped() -> None:
    assert access.parse("nova", "12345\tGET\t/x", "127.0.0.1:") is None


# configuration


def test_services_call_each_other_by_an_address_of_their_own(instance: Instance) -> None:
    for file in ("nova.conf", "cinder.conf"):
        sections = config._nova(instance) if file == "nova.conf" else config._cinder(instance, Path("/etc"))
        parsed = configparser.RawConfigParser()
        parsed.read_string(config.ini(sections))
        assert parsed["keystone_authtoken"]["auth_url"] == "http://127.0.0.2:30000/v3"
        assert "127.0.0.1:30001" not in config.ini({"DEFAULT": sections["DEFAULT"]}), "glance by the public address"


def test_nova_compute_is_told_of_no_database(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not {"database", "api_database"} & set(config._nova(instance))
    monkeypatch.setattr(install, "venv_dir", lambda _: Path("/venv"))
    listed = services.all_services(instance)
    assert not any("nova-db.conf" in a for a in listed["nova-compute"].argv)
    assert any("nova-db.conf" in a for a in listed["nova-conductor"].argv)


def test_clouds_yaml_is_also_json(instance: Instance) -> None:
    entry = config.cloud_entry(instance, username="u", password="p", project_name="x")
    clouds = json.loads(config.clouds_yaml(instance, {"x": entry}))["clouds"]
    assert set(clouds) == {"lab-admin", "x"}
    assert clouds["x"]["auth"]["auth_url"] == "http://127.0.0.1:30000/v3"


def test_booleans_are_lower_case_in_ini() -> None:
    assert config.ini({"a": {"b": True, "c": 1}}) == "[a]\nb = true\nc = 1\n"


def test_every_requirement_is_pinned() -> None:
    names = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in install.PINS.read_text().splitlines()
        if "==" in line
    }
    wanted = [line.partition("==") for line in install.REQUIREMENTS.read_text().splitlines() if "==" in line]
    assert wanted
    assert {name.lower() for name, dummy, dummy in wanted} <= names


# database


@pytest.mark.parametrize("text", ["", "a'b", "a\\b", "\\'", "'; DROP TABLE x; --"])
def test_quoted_text_stays_inside_its_quotes(text: str) -> None:
    quoted = database.quote(text)
    inner = quoted[1:-1].replace("\\\\", "").replace("''", "")
    assert quoted[0] == quoted[-1] == "'"
    assert "'" not in inner and "\\" not in inner


@pytest.mark.parametrize(("field", "value"), [("NULL", None), ("a\\tb", "a\tb"), ("\\\\n", "\\n"), ("\\n", "\n")])
def test_fields_of_the_client_are_read_as_they_were(field: str, value: str | None) -> None:
    assert database.unescape(field) == value


# saved states


def test_moving_a_state_when_ports_overlap() -> None:
    moves = [(b"h:10", b"h:11"), (b"h:11", b"h:12"), (b"/lab/one/", b"/lab/two/")]
    assert state._rewrite(b"h:10 h:11 h:12 /lab/one/x", moves) == b"h:11 h:12 h:12 /lab/two/x"


def test_a_state_of_the_same_instance_is_not_rewritten(instance: Instance) -> None:
    assert state._moves(instance, {"dir": str(instance.dir), "base_port": 30000}) == []


def test_restored_files_are_what_they_were(tmp_path: Path) -> None:
    saved, live = tmp_path / "saved", tmp_path / "live"
    (saved / "a").mkdir(parents=True)
    with open(saved / "a" / "disk", "wb") as f:
        f.write(b"data")
        f.truncate(64 << 20)
    (saved / "power").write_text("on\n")
    (saved / "server.json").write_text("{}")
    assert state.sync_tree(saved, live) == 3
    assert (live / "a" / "disk").stat().st_blocks * 512 < 1 << 20, "holes stay holes"
    assert state.sync_tree(saved, live) == 0, "what is the same is left alone"

    (live / "a" / "disk").write_bytes(b"changed")
    (live / "new").mkdir()
    (live / "new" / "file").touch()
    (live / "power").unlink()
    (live / "server.json").unlink()
    (live / "server.json").mkdir()
    (saved / "guest.json").touch()
    assert state.sync_tree(saved, live, ("guest.json",)) == 3
    assert sorted(os.listdir(live)) == ["a", "power", "server.json"]
    assert subprocess.run(["cmp", saved / "a" / "disk", live / "a" / "disk"], check=False).returncode == 0


def test_servers_that_are_no_servers_are_passed_over(instance: Instance) -> None:
    folder = instance.data / "nova" / "instances"
    (folder / "x").mkdir(parents=True)
    (folder / "x" / "server.json").write_text("{")
    assert list(state.servers(instance)) == []


def test_a_guest_whose_process_is_gone_does_not_run(tmp_path: Path) -> None:
    guest = tmp_path / "guest.json"
    guest.write_text(json.dumps({"state": "running", "pid": os.getpid()}))
    assert state.guest_runs(tmp_path)
    dead = subprocess.Popen(["true"])
    dead.wait()
    guest.write_text(json.dumps({"state": "running", "pid": dead.pid}))
    assert not state.guest_runs(tmp_path)
    guest.write_text(json.dumps({"state": "stopped", "pid": None}))
    assert not state.guest_runs(tmp_path)


def test_a_state_cannot_be_named_like_a_path(instance: Instance) -> None:
    with pytest.raises(SystemExit):
        parts.save(instance, "../x")


# the shim


def _server(instance: Instance, ident: str, *disks: dict[str, object]) -> Path:
    file = instance.data / "nova" / "instances" / ident / "server.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps({"uuid": ident, "disks": list(disks)}))
    part.replace(file)
    return file


def test_the_shim_wants_the_reader_hosts_volumes_but_not_their_boot_disks(instance: Instance) -> None:
    _server(
        instance,
        "reader",
        {"path": "/boot", "serial": "b", "boot_index": 0},
        {"path": "/data", "serial": "d", "boot_index": None},
        {"path": "/local", "serial": None, "boot_index": None},
    )
    _server(instance, "other", {"path": "/x", "serial": "x", "boot_index": None})
    shim = attach_shim.Shim(instance)
    assert shim.wanted() == {}
    instance.update_env(readers=["reader", "gone"])
    assert list(shim.wanted()) == [("reader", "d")]
    _server(instance, "reader")
    assert shim.wanted() == {}
    _server(instance, "reader", {"path": "/data", "serial": "d", "boot_index": None})
    assert list(shim.wanted()) == [("reader", "d")]
    shim.folder.mkdir(parents=True)
    (shim.folder / "release").touch()
    assert shim.wanted() == {}


def test_a_link_has_the_first_twenty_characters_of_the_volume() -> None:
    assert attach_shim.by_id_name("0123456789abcdef01234567") == "virtio-0123456789abcdef0123"


# the seed


def test_the_seed_is_what_the_tests_count_on() -> None:
    names = [s.name for s in seed.SERVERS]
    assert names[0] == "reader-1" and 9 <= len(names) <= 12
    assert names.count("db-1") == 2 and seed.HOSTILE_NAME in names
    addresses = [a for s in seed.SERVERS for a in s.addresses]
    assert len(addresses) == len(set(addresses))
    running = [s for s in seed.SERVERS if s.running and s.guest]
    assert [s.name for s in running] == ["web-1", "web-2"]
    assert {s.firmware for s in running} == {"bios", "uefi"}
    flavors = {name for name, *dummy in schema.FLAVORS}
    assert {s.flavor for s in seed.SERVERS} <= flavors
    assert {d.kind for s in seed.SERVERS for d in s.disks} <= set(schema.VOLUME_TYPES)


def test_the_lab_calls_by_the_internal_address(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Connection:
        def __init__(self, host: str, port: int, timeout: float) -> None:
            asked.append((host, port))
            raise ConnectionRefusedError

    monkeypatch.setattr("http.client.HTTPConnection", Connection)
    with pytest.raises(ConnectionRefusedError):
        Api(instance).get("compute", "/servers")
    assert asked == [("127.0.0.2", 30000)]
