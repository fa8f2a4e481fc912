# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates, against the lab's Cloud Director."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import org, template
from tests.cloud_director import Director, cycle, director
from tests.lab.vcd import seed
from tests.unit.plugins.modules.clouds import Call

__all__ = ["director"]

NAME = "vcd_template"


@pytest.fixture
def ours(director: Director, tmp_path: Path) -> dict[str, Any]:
    """The options of a template whose package is on this host; its catalog is there."""
    descriptor, files = director.package("debian")
    for name, data in {"debian.ovf": descriptor, **files}.items():
        (tmp_path / name).write_bytes(data)
    with director.connect() as session:
        org.ensure_catalog(session, "images")
    return {"name": "debian", "tenant": "acme", "catalog": "images", "src": str(tmp_path / "debian.ovf")}


def row(director: Director) -> dict[str, Any]:
    (found,) = director.control.table("vapptemplate").values()
    return found


def test_a_template_comes_changes_and_goes(call_module: Call, director: Director, ours: dict[str, Any]) -> None:
    made = cycle(call_module, director, NAME, {**ours, "vdc": seed.VDC, "storage_profile": "silver"})
    first = row(director)
    assert (first["id"], first["status"]) == (made[1]["id"], 8) and "[cloudexit acme " in first["description"]
    assert director.control.table("storageprofile")[first["profile"]]["name"] == "silver"
    cycle(call_module, director, NAME, {**ours, "description": "Debian"})
    assert row(director)["id"] == first["id"] and row(director)["description"].startswith("Debian (content ")
    src = Path(ours["src"])
    src.write_bytes(src.read_bytes().replace(b"debian", b"DEBIAN", 1))
    other = cycle(call_module, director, NAME, ours)
    assert row(director)["id"] == other[1]["id"] != first["id"]
    assert row(director)["description"].startswith("Debian (content ")
    cycle(call_module, director, NAME, {**ours, "state": "absent"})
    assert director.control.table("vapptemplate") == {}
    assert director.control.table("catalogitem") == {}


def test_a_package_that_is_not_whole_is_told_before_anything_is_sent(
    call_module: Call, director: Director, ours: dict[str, Any], tmp_path: Path
) -> None:
    params = {**director.login, **ours}
    director.control.forget()
    (disk,) = tmp_path.glob("*.vmdk")
    data = disk.read_bytes()
    disk.write_bytes(data[:-1])
    assert f"has {len(data) - 1} bytes, and the descriptor says {len(data)}" in call_module(NAME, params)["msg"]
    disk.unlink()
    assert "is not beside it" in call_module(NAME, params)["msg"]
    src = Path(ours["src"])
    good = src.read_bytes()
    src.write_bytes(good.replace(disk.name.encode(), b"../secret"))
    assert "'../secret', which is not beside it" in call_module(NAME, params)["msg"]
    src.write_bytes(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    assert "is not taken" in call_module(NAME, params)["msg"]
    src.write_bytes(b"<a/>")
    assert "no OVF descriptor" in call_module(NAME, params)["msg"]
    assert "src" in call_module(NAME, {**params, "src": str(tmp_path / "none.ovf")})["msg"]
    assert director.writes() == []


def test_what_an_earlier_run_left_is_replaced_and_what_others_have_stays(
    call_module: Call, director: Director, ours: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = {**director.login, **ours}

    def dies(self: template.Transfer, *args: object, **options: object) -> None:
        self._end()  # as a process that is killed: nothing is cleaned up
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(template.Transfer, "send", dies)
        with pytest.raises(KeyboardInterrupt):
            call_module(NAME, params)
    assert row(director)["status"] != 8
    assert "not ours" in call_module(NAME, {**params, "tenant": "globex"})["msg"]
    cycle(call_module, director, NAME, ours)
    assert row(director)["status"] == 8
    for more in ({"state": "absent"}, {"description": "mine"}):
        assert "not ours" in call_module(NAME, {**params, **more, "tenant": "globex"})["msg"]
    assert not call_module(NAME, {**params, "tenant": "globex"})["changed"], "it is as it should be"
    assert "vcd_catalog" in call_module(NAME, {**params, "catalog": "nowhere"})["hint"]
    assert not call_module(NAME, {**params, "catalog": "nowhere", "state": "absent"})["changed"]


def test_an_upload_that_breaks_goes_on(call_module: Call, director: Director, ours: dict[str, Any]) -> None:
    director.control.faults(cut_upload={"after": 100, "times": 1})
    result = call_module(NAME, {**director.login, **ours})
    assert result["changed"] and row(director)["status"] == 8
