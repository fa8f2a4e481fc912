# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""target_probe against the lab's Cloud Director: what an administrator and a reader are told; it only reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.target.vcd import probe
from tests.cloud_director import Director, director
from tests.lab.vcd import seed
from tests.unit.plugins.modules.clouds import Call

__all__ = ["director"]

UNASKED = {"jobs", "metadata_write", "upload_limits", "download_ranges", "mac", "large_disks"}


def asked(call_module: Call, director: Director, **params: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """The probes by name and what they are about; nothing but GET was sent after the log-in."""
    director.control.forget()
    result = call_module("target_probe", {**director.login, "core_api": director.url, **params}, check=True)
    assert "failed" not in result, result
    assert not result["changed"] and director.writes() == []
    sent = {(one["method"], one["path"]) for one in director.control.calls() if one["method"] != "GET"}
    assert {path for dummy, path in sent if "/sessions" not in path} <= {"/auth/v1/user/token"}, "log-ins alone"
    assert result["summary"] == {
        status: sum(one["status"] == status for one in result["probes"]) for status in ("yes", "no", "unknown")
    }
    assert len(result["told"]) == len(result["probes"]) and result["org"] == seed.ORG
    found = {(one["probe"], one["of"]): one for one in result["probes"]}
    assert len(found) == len(result["probes"])
    for one in found.values():
        assert one["question"].endswith("?") and one["answer"].endswith(".") and one["means"].endswith("."), one
        assert bool(one["asked"]) == (one["probe"] not in UNASKED), one
    return found


def test_an_administrator_of_a_new_organisation(call_module: Call, director: Director) -> None:
    found = asked(call_module, director)
    status = {key: one["status"] for key, one in found.items()}
    assert {key[0] for key, said in status.items() if said == "no"} == {"public_addresses", "orange_addresses"}
    assert {key[0] for key, said in status.items() if said == "unknown"} == {
        *UNASKED,
        "upload",
        "download",
        "metadata",
    }
    assert "39.1 is spoken" in found["versions", ""]["answer"]
    assert (
        "Organization Administrator" in found["session", ""]["answer"]
        and "30 minutes" in found["session", ""]["answer"]
    )
    assert found["rights", ""]["answer"].startswith(f"All {len(probe.RIGHTS)} are there")
    assert found["storage", seed.VDC]["answer"] == "gold (default, 4096 GiB free), silver (4096 GiB free)."
    assert "vmx-19 takes 128 CPUs" in found["hardware", seed.VDC]["answer"]
    assert "ServiceClass: STD" in found["classes", seed.LONE_VDC]["answer"]
    assert "composeVAppParams" in found["make", seed.VDC]["answer"]
    assert seed.GROUP in found["vdc_groups", ""]["answer"]
    assert "It is on" in found["distributed_firewall", seed.GROUP]["answer"]
    assert "seg-lab" in found["load_balancing", seed.EDGE]["answer"]
    assert f"{seed.T0} (VRF_STANDARD)" in found["t0", ""]["answer"]
    assert "the form of 2026" in found["orange", ""]["answer"]
    assert seed.PASSWORD not in json.dumps(list(found.values()))


def test_what_is_there_tells_more(call_module: Call, director: Director) -> None:
    director.machine("web-1", "server-1")
    found = asked(call_module, director)
    assert found["download", ""]["answer"] == "web-1 may be downloaded."
    assert found["upload", ""]["answer"] == "Into tests." and found["metadata", ""]["status"] == "yes"
    assert found["storage", seed.VDC]["answer"].startswith("gold (default, 4095 GiB free)")


def test_a_reader_is_told_what_it_lacks(call_module: Call, director: Director) -> None:
    director.machine("web-1", "server-1")
    reader = {"username": seed.READER, "password": seed.READER_PASSWORD, "interface": "console"}
    found = asked(call_module, director, **reader)
    status = {name: one["status"] for (name, dummy), one in found.items()}
    for name in ("rights", "catalogs", "upload", "download", "make"):
        assert status[name] == "no", name
    assert "vApp: Download (reading disks back, which is the proof)" in found["rights", ""]["answer"]
    assert "the older form" in found["orange", ""]["answer"]
    assert found["storage", seed.VDC]["status"] == "yes", "reading is allowed"


@pytest.mark.parametrize("path", ["roles/", "/api/vdc/", "edgeGateways", "vdcGroups", "configurations"])
def test_what_is_refused_is_a_row_too(call_module: Call, director: Director, path: str) -> None:
    director.control.faults(http={"status": 403, "minor": "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "match": path})
    found = asked(call_module, director)
    refused = [one for one in found.values() if "It cannot be read: HTTP 403" in one["answer"]]
    assert refused and {one["status"] for one in refused} == {"unknown"}
    assert found["versions", ""]["status"] == "yes"


def test_an_organisation_without_orange(call_module: Call, director: Director) -> None:
    """Its name is none of Cloud Avenue's: nobody is asked on the internet."""
    with director.connect() as session:
        rows = {one.probe: one for one in probe.run(session, None)}
    assert rows["orange"].status == "unknown" and "orange_vdcs" not in rows
