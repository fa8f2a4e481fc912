# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is built and installed: whole, free of what runs made, and good for an execution environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import yaml

from tests.installed import BIN, ROOT, RUN, clean_env

NAME = "cloudexit.flexible_engine"


def command(collections: Path, *words: str, cwd: Path | None = None) -> str:
    """Run a tool of the environment; its output. Fails with what it said."""
    path = [str(BIN / words[0]), *words[1:]]
    done = subprocess.run(path, env=clean_env(collections), cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def artefact() -> Path:
    (found,) = (RUN / "dist").glob("*.tar.gz")
    return found


def test_what_is_installed_is_what_was_built(collections_path: Path, tmp_path: Path) -> None:
    galaxy = ["ansible-galaxy", "collection"]
    command(tmp_path, *galaxy, "install", str(artefact()), "--no-deps", "--offline", "-p", str(tmp_path))
    told = command(tmp_path, *galaxy, "verify", "--offline", NAME, "-p", str(tmp_path))
    assert "Successfully verified" in told


def test_nothing_that_runs_made_is_in_it(collections_path: Path) -> None:
    with tarfile.open(artefact()) as archive:
        names = archive.getnames()
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    for needed in ("plugins/modules/ledger_record.py", "playbooks/report.yml", "meta/runtime.yml", "requirements.txt"):
        assert needed in names
    assert not [name for name in names if name.startswith((".lab", ".git", "dist", "collections")) or ".pyc" in name]
    made = {name for name in names if "/" in name and name.endswith((".py", ".yml"))} - set(tracked)
    untracked = ["git", "ls-files", "--others", "--exclude-standard"]
    fresh = subprocess.run(untracked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    assert made <= set(fresh)


def test_a_builder_finds_what_it_needs(collections_path: Path) -> None:
    told = yaml.safe_load(command(collections_path, "ansible-builder", "introspect", str(collections_path)))
    found = {line.partition("#")[0].strip() for line in told["python"]}
    wanted = {line.strip() for line in (ROOT / "requirements.txt").read_text().splitlines() if line[:1].isalpha()}
    assert wanted - found == {"PyYAML>=6.0,<7"}  # which ansible-core brings
    assert any(line.startswith("mtools ") for line in told["system"])


def test_the_context_of_an_execution_environment(collections_path: Path, tmp_path: Path) -> None:
    for name in ("execution-environment.yml", "requirements.txt", "bindep.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "dist").mkdir()
    shutil.copy(artefact(), tmp_path / "dist")
    command(collections_path, "ansible-builder", "create", "-c", str(tmp_path / "context"), cwd=tmp_path)
    build = tmp_path / "context" / "_build"
    (collection,) = yaml.safe_load((build / "requirements.yml").read_text())["collections"]
    assert (build / collection["name"]).read_bytes() == artefact().read_bytes()


def test_it_runs_without_the_checkout(collections_path: Path, tmp_path: Path) -> None:
    program = f"import ansible_collections.{NAME}.plugins.module_utils.ledger.chain as it; print(it.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_env(collections_path, {"PYTHONPATH": str(collections_path)}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(collections_path))
