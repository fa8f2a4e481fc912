# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the house: who may know whom, and what every plugin, role and playbook brings with it.

docs/architecture.md says why.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
UTILS = PLUGINS / "module_utils"
NAME = "cloudexit.flexible_engine"
PACKAGE = f"ansible_collections.{NAME}.plugins.module_utils."

# Room: the rooms that it may know beside itself. Every file of module_utils is in one of them.
MAY_KNOW: dict[str, set[str]] = {
    "model": set(),
    "source": {"model"},
    "target": {"model"},
    "disk": {"model"},
    "guest": {"model"},
    "planning": {"model"},
    "ledger": {"model"},
    # Checks what acts does, so it shares nothing with it.
    "watch": set(),
    "reports": {"model"},
    "acts": {"model", "source", "target", "disk", "guest", "planning", "ledger", "reports"},
    # The door to Ansible: what modules have in common.
    "module": {"model"},
    "arguments": {"model", "acts", "source", "target"},
}
# Library: the only rooms that may import it.
ONLY_IN: dict[str, set[str]] = {
    "openstack": {"source", "watch"},
    "keystoneauth1": {"source"},
    "pyVmomi": {"target"},
    "pyVim": {"target"},
    "requests": {"target", "ledger"},
    "boto3": {"ledger"},
    "botocore": {"ledger"},
    "ansible": {"module", "arguments"},
}
KINDS = ("modules", "inventory", "lookup", "filter", "test", "callback", "connection")


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if path.name != "__init__.py")


def imports(path: Path) -> Iterator[str]:
    """Full names of all that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.relative_to(ROOT)}: import by full name, not relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(UTILS).parts[0].removesuffix(".py")


def broken_imports(room: str, names: Iterator[str]) -> list[str]:
    """The imports that a file of the room may not have."""
    found = []
    for name in names:
        library = name.partition(".")[0]
        if library in ONLY_IN and room not in ONLY_IN[library]:
            found.append(f"{name}: only {', '.join(sorted(ONLY_IN[library]))} may know {library}")
        if name.startswith(PACKAGE):
            other = name.removeprefix(PACKAGE).partition(".")[0]
            if other != room and other not in MAY_KNOW[room]:
                found.append(f"{name}: {room} may not know {other}")
        elif library in ("ansible_collections", "tests"):
            found.append(f"{name}: module_utils knows only module_utils")
    return found


@pytest.mark.parametrize("path", sources(UTILS), ids=lambda path: str(path.relative_to(UTILS)))
def test_who_may_know_whom(path: Path) -> None:
    room = room_of(path)
    assert room in MAY_KNOW, f"{room} is not a room of the house"
    assert broken_imports(room, imports(path)) == []


def test_the_import_test_can_fail() -> None:
    assert broken_imports("disk", iter([f"{PACKAGE}source.cloud.connect"])) != []
    assert broken_imports("acts", iter(["openstack.connect"])) != []
    assert broken_imports("model", iter(["ansible.module_utils.basic"])) != []
    assert broken_imports("ledger", iter([f"{PACKAGE}acts.report"])) != []
    assert broken_imports("watch", iter([f"{PACKAGE}ledger.chain.append"])) != []
    assert broken_imports("acts", iter([f"{PACKAGE}ledger.chain.append", "json"])) == []


def test_only_the_client_of_cloud_director_and_time_stamps_speak_by_requests() -> None:
    files = [path for path in sources(PLUGINS) if any(one.partition(".")[0] == "requests" for one in imports(path))]
    rooms = {path.relative_to(UTILS) for path in files if path.parent != UTILS / "target" / "vcd"}
    assert rooms == {Path("ledger", "timestamps.py")}


@pytest.mark.parametrize("path", sources(PLUGINS), ids=lambda path: str(path.relative_to(PLUGINS)))
def test_every_file_names_its_licence(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines()[:5] if not line.startswith("#!")]
    assert lines[1].startswith("# GNU General Public License v3.0+")
    assert lines[2] == "# SPDX-License-Identifier: GPL-3.0-or-later"


def test_nothing_that_is_shipped_knows_the_lab() -> None:
    knows = re.compile(r"tests[./]lab|\.lab/|\bvcsim\b|CLOUDEXIT_LAB", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("plugins", "roles", "playbooks")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".yml", ".yaml", ".j2", ".sh", ".md")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if knows.search(line)
    ]
    assert found == []


def plugins() -> list[tuple[str, str]]:
    return [(kind, path.stem) for kind in KINDS for path in sources(PLUGINS / kind)]


def ids(pair: object) -> str:
    return "-".join(pair) if isinstance(pair, tuple) else str(pair)


@cache
def documentation() -> dict[tuple[str, str], dict[str, Any]]:
    """What ansible-doc says of every plugin."""
    types = {"modules": "module"}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for kind in KINDS:
        names = [name for other, name in plugins() if other == kind]
        if not names:
            continue
        command = [str(Path(sys.executable).parent / "ansible-doc"), "--json", "-t", types.get(kind, kind)]
        command += [f"{NAME}.{name}" for name in names]
        env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".lab" / "src"), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        found |= {(kind, name): told[f"{NAME}.{name}"] for name in names if f"{NAME}.{name}" in told}
    return found


@pytest.mark.parametrize("plugin", plugins(), ids=ids)
def test_every_plugin_is_documented(plugin: tuple[str, str]) -> None:
    kind, name = plugin
    assert plugin in documentation(), f"ansible-doc does not know {name}"
    told = documentation()[plugin]
    doc = told["doc"]
    assert doc["short_description"]
    assert not doc["short_description"].endswith(".")
    assert doc["author"]
    assert told["examples"] and f"{NAME}.{name}" in told["examples"]
    for option, described in doc.get("options", {}).items():
        assert described["description"], f"{name}.{option} has no description"
    if kind == "modules":
        assert told["return"], "a module describes what it returns"
        attributes = doc.get("attributes", {})
        for attribute in ("check_mode", "diff_mode"):
            assert attributes.get(attribute, {}).get("support"), f"the attribute {attribute} is not declared"
        assert attributes["check_mode"]["support"] == "full"
        for value, described in told["return"].items():
            assert described["description"] and described["type"] and described["returned"], value


def groups() -> dict[str, list[str]]:
    found: dict[str, list[str]] = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]
    return found


def test_action_groups_hold_the_modules_that_log_in() -> None:
    fragments = {"source": ("openstack_auth",), "target": ("vsphere_auth", "vcd_auth", "target_auth")}
    for group, used in fragments.items():
        modules = {path.stem: path.read_text(encoding="utf-8") for path in sources(PLUGINS / "modules")}
        using = {name for name, text in modules.items() if any(f"{NAME}.{fragment}" in text for fragment in used)}
        assert set(groups()[group]) == using, f"meta/runtime.yml: the action group {group}"
        for name in using:
            attributes = documentation()[("modules", name)]["doc"]["attributes"]
            assert f"{NAME}.{group}" in attributes["action_group"]["membership"]


def test_action_plugins_belong_to_a_module() -> None:
    modules = {path.stem for path in sources(PLUGINS / "modules")}
    assert {path.stem for path in sources(PLUGINS / "action")} <= modules


@pytest.mark.parametrize("plugin", plugins(), ids=ids)
def test_every_plugin_has_a_unit_test(plugin: tuple[str, str]) -> None:
    kind, name = plugin
    assert (ROOT / "tests" / "unit" / "plugins" / kind / f"test_{name}.py").exists()


@cache
def exercised() -> str:
    """All that integration and end-to-end tests run: their own text, and the playbooks and roles that they name."""
    folders = [ROOT / "tests" / "integration", ROOT / "tests" / "end_to_end"]
    text = "\n".join(path.read_text(encoding="utf-8") for folder in folders for path in sorted(folder.rglob("*.py")))
    text += "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").glob("*.py")))
    for path in sorted((ROOT / "playbooks").glob("*.yml")):
        called = rf"\b(playbook|run|start|job)\([^()]*[\"']{path.stem}[\"']|\.{path.stem}\("
        if re.search(rf"{called}|{re.escape(NAME)}\.{path.stem}\b", text):
            text += path.read_text(encoding="utf-8")
    for role in sorted(path for path in (ROOT / "roles").glob("*") if path.is_dir()):
        if re.search(rf"\b{re.escape(NAME)}\.{role.name}\b", text):
            text += "\n".join(path.read_text(encoding="utf-8") for path in sorted(role.rglob("*.yml")))
    return text


@pytest.mark.parametrize("plugin", plugins(), ids=ids)
def test_every_plugin_has_an_integration_test(plugin: tuple[str, str]) -> None:
    assert f"{NAME}.{plugin[1]}" in exercised(), "no integration or end-to-end test runs it or a playbook with it"


def roles() -> list[Path]:
    return sorted(path for path in (ROOT / "roles").glob("*") if path.is_dir())


@pytest.mark.parametrize("role", roles(), ids=lambda role: role.name)
def test_every_role_says_what_it_takes(role: Path) -> None:
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    assert specs["main"]["short_description"]
    assert (role / "README.md").exists()
    assert (role / "tasks" / "main.yml").exists()
    defaults = role / "defaults" / "main.yml"
    if defaults.exists():
        public = {name for name in yaml.safe_load(defaults.read_text()) or {} if not name.startswith("_")}
        assert public <= set(specs["main"].get("options", {})), "defaults without a specification"
        assert all(name.startswith((f"{role.name}_", "cloudexit_")) for name in public)


def playbooks() -> list[Path]:
    return sorted((ROOT / "playbooks").glob("*.yml"))


@pytest.mark.parametrize("path", playbooks(), ids=lambda path: path.stem)
def test_every_playbook_says_how_it_is_run_and_is_in_the_readme(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "ansible-playbook" in text and f"{NAME}.{path.stem}" in text, "an example of its use, as a comment on top"
    assert f"{NAME}.{path.stem}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_there_is_something_for_the_changelog() -> None:
    fragments = list((ROOT / "changelogs" / "fragments").glob("*.yml"))
    released = ROOT / "changelogs" / "changelog.yaml"
    assert fragments or released.exists()
    sections = yaml.safe_load((ROOT / "changelogs" / "config.yaml").read_text())["sections"]
    allowed = {section for section, title in sections}
    for fragment in fragments:
        assert set(yaml.safe_load(fragment.read_text())) <= allowed | {"release_summary", "trivial"}, fragment.name


def test_what_is_needed_at_run_time_is_said_everywhere_alike() -> None:
    needed = (ROOT / "requirements.txt").read_text()
    assert yaml.safe_load((ROOT / "meta" / "execution-environment.yml").read_text())["dependencies"] == {
        "python": "requirements.txt",
        "system": "bindep.txt",
    }
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    assert galaxy["dependencies"] == {}
    environment = (ROOT / "execution-environment.yml").read_text()
    assert f"dist/cloudexit-flexible_engine-{galaxy['version']}.tar.gz" in environment
    packages = {"openstack": "openstacksdk", "keystoneauth1": "openstacksdk", "pyVmomi": "pyvmomi", "yaml": "PyYAML"}
    packages["botocore"] = "boto3"
    for name in {imported.partition(".")[0] for path in sources(UTILS) for imported in imports(path)}:
        if name not in sys.stdlib_module_names and name not in ("ansible", "ansible_collections", "zlib_ng"):
            assert packages.get(name, name) in needed, f"{name} is imported and not in requirements.txt"


def test_there_are_no_sanity_ignores() -> None:
    assert list((ROOT / "tests").rglob("ignore*.txt")) == []
