# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook portfolio: many tenants in one run, some of which fail; each is a row, and none stops the others."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.cloudexit.flexible_engine.plugins.module_utils.model import assessment as assessments
from tests.assessments import make
from tests.installed import ROOT, Playbook
from tests.lab.flexible_engine.tenants import Tenants

TODAY = "2027-02-01"


def write(path: Path, content: Any) -> Path:
    path.write_text(yaml.safe_dump(content))
    return path


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads((folder / "portfolio.json").read_text())["tenants"]}


def test_tenants_that_all_fail_are_all_there(playbook: Playbook, tmp_path: Path) -> None:
    """No cloud answers; one tenant was assessed before; a host has nothing but its name."""
    auth = {"auth_url": "http://127.0.0.1:9/v3", "username": "assessor", "password": "secret-of-acme"}
    inventory = write(
        tmp_path / "tenants.yml",
        {
            "tenants": {
                "hosts": {
                    "acme": {"assess_auth": auth},
                    "globex-host": {"assess_auth": auth, "assess_tenant": "globex"},
                    "in_no_clouds_yaml": None,
                    "Not A Name": {"assess_auth": auth},
                }
            }
        },
    )
    earlier = make(5, name="globex", hostile=False, partial=False)
    (tmp_path / "globex.assessment.json").write_text(assessments.to_text(earlier), encoding="utf-8")

    extra = {"portfolio_today": TODAY}
    first = playbook("portfolio", "-i", str(inventory), extra=extra).ok()
    found = rows(tmp_path)
    assert set(found) == {"acme", "globex", "in_no_clouds_yaml", "Not A Name"}
    assert {row["state"] for row in found.values()} == {"failed"}
    assert all(row["why"] for row in found.values())
    assert found["acme"]["why"].startswith("Read the tenant: ") and "Connection refused" in found["acme"]["why"]
    assert found["globex"]["earlier"] and found["globex"]["figures"]["workloads"] == 5
    assert "in_no_clouds_yaml" in found["in_no_clouds_yaml"]["why"]
    assert "assess_tenant must be set" in found["Not A Name"]["why"]
    assert "secret-of-acme" not in first.output + "".join(path.read_text() for path in tmp_path.glob("portfolio.*"))

    written = {path.name: path.read_bytes() for path in tmp_path.glob("portfolio.*")}
    assert set(written) == {"portfolio.en.html", "portfolio.fr.html", "portfolio.json", "portfolio.csv"}
    again = playbook("portfolio", "-i", str(inventory), extra=extra).ok()
    assert again.changed == 0
    assert {path.name: path.read_bytes() for path in tmp_path.glob("portfolio.*")} == written

    limited = playbook("portfolio", "-i", str(inventory), "--limit", "acme", extra=extra).ok()
    assert set(limited.recap) == {"acme"}
    found = rows(tmp_path)
    assert found["acme"]["state"] == "failed" and found["in_no_clouds_yaml"]["state"] == "not_assessed"
    assert found["globex"]["state"] == "assessed" and found["globex"]["earlier"]


def assess_all(playbook: Playbook, folder: Path, count: int, forks: int) -> None:
    with Tenants(count, servers=3, stall=5) as tenants:
        clouds = write(folder / "clouds.yaml", tenants.clouds())
        inventory = write(
            folder / "tenants.yml",
            {"tenants": {"hosts": dict.fromkeys(tenants.names), "vars": {"assess_languages": ["fr"]}}},
        )
        environment = {"OS_CLIENT_CONFIG_FILE": str(clouds)}

        def run(*arguments: str) -> Any:
            extra = {"portfolio_today": TODAY}
            options = {"env": environment, "extra": extra, "timeout": 1500}
            return playbook("portfolio", "-i", str(inventory), "--forks", str(forks), *arguments, **options).ok()

        run()
        found = rows(folder)
        assert set(found) == set(tenants.names), "no tenant is missing"
        for name, row in found.items():
            if name in tenants.wrong_password:
                assert row["state"] == "failed" and row["why"] and row["figures"] is None
            else:
                assert row["figures"]["workloads"] == 3, row
                if name not in tenants.without_images:
                    assert row["state"] == ("partial" if name in tenants.failing else "assessed"), row
                assert (row["state"] == "partial") == bool(row["figures"]["unread"]), row
        with (folder / "portfolio.csv").open(newline="", encoding="utf-8") as stream:
            assert len(list(csv.DictReader(stream))) == count
        written = {path: path.read_bytes() for path in sorted(folder.glob("*.*")) if path.suffix != ".pyc"}

        again = run()
        assert again.changed == 0
        assert {path: path.read_bytes() for path in written} == written
        assert tenants.server.calls and tenants.server.writes() == []


def test_ten_tenants(playbook: Playbook, tmp_path: Path) -> None:
    assess_all(playbook, tmp_path, 10, forks=4)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_tenants(playbook: Playbook, tmp_path: Path) -> None:
    assess_all(playbook, tmp_path, 100, forks=8)


def test_the_example_inventory_names_what_the_role_takes() -> None:
    example = yaml.safe_load((ROOT / "docs" / "examples" / "tenants.yml").read_text())["tenants"]
    specs = yaml.safe_load((ROOT / "roles" / "assess" / "meta" / "argument_specs.yml").read_text())
    options = set(specs["argument_specs"]["main"]["options"])
    used = {name for given in (example["vars"], *example["hosts"].values()) for name in given or {}}
    assert used and used <= options
    assert len(example["hosts"]) == 3
