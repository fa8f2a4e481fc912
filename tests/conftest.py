# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share: the collection importable by its full name, modules called in-process, long tests held back."""

from __future__ import annotations

import os
import runpy
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAB = ROOT / ".lab"
SOURCE_TREE = LAB / "src"
COLLECTION = "ansible_collections.cloudexit.flexible_engine"


def _link_source_tree() -> None:
    """`.lab/src` holds the checkout under the name that Python and Ansible want."""
    link = SOURCE_TREE / "ansible_collections" / "cloudexit" / "flexible_engine"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(ROOT, link.parent))


# pytest-ansible (--ansible-unit-inject-only) reads this when it is configured, after this file is loaded.
_link_source_tree()
os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(SOURCE_TREE)
os.environ["ANSIBLE_HOME"] = str(LAB / "home" / ".ansible")
os.environ["ANSIBLE_LOCAL_TEMP"] = str(LAB / "home" / ".ansible" / "tmp")
for inherited in [name for name in os.environ if name.startswith(("OS_", "VMWARE_"))]:
    del os.environ[inherited]
if str(SOURCE_TREE) not in sys.path:
    sys.path.insert(0, str(SOURCE_TREE))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests marked `soak` run only when asked for."""
    if os.environ.get("CLOUDEXIT_SOAK") == "1":
        return
    skip = pytest.mark.skip(reason="soak test: make soak")
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(skip)


class ModuleExit(Exception):
    """How a module ended: its result."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(str(result.get("msg", "")))
        self.result = result


CallModule = Callable[..., dict[str, Any]]


@pytest.fixture
def call_module(monkeypatch: pytest.MonkeyPatch) -> CallModule:
    """Run a module's main() in this process.

    call_module("ledger_record", {"path": ...}, check=False, diff=False) returns what the module exits with, `failed`
    included; arguments go through the module's own argument spec.
    """
    from ansible.module_utils import basic
    from ansible.module_utils.testing import patch_module_args

    def ended(self: Any, **result: Any) -> None:
        self.do_cleanup_files()
        raise ModuleExit({"changed": False, **result})

    def failed(self: Any, msg: str = "", **result: Any) -> None:
        self.do_cleanup_files()
        raise ModuleExit({"changed": False, **result, "failed": True, "msg": msg})

    def call(name: str, params: Mapping[str, Any], *, check: bool = False, diff: bool = False) -> dict[str, Any]:
        internal = {"_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_remote_tmp": str(LAB / "home")}
        with (
            patch_module_args({**params, **internal}),
            mock.patch.multiple(basic.AnsibleModule, exit_json=ended, fail_json=failed),
            pytest.raises(ModuleExit) as caught,
        ):
            runpy.run_module(f"{COLLECTION}.plugins.modules.{name}", run_name="__main__", alter_sys=False)
        return caught.value.result

    return call


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; as root on a Debian it is installed when missing."""
    import subprocess

    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.skip("no Chromium, and it cannot be installed without root and apt-get")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"]
    if subprocess.run(install, env=env, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        subprocess.run(["apt-get", "update", "-qq"], env=env, check=True)
        subprocess.run(install, env=env, stdout=subprocess.DEVNULL, check=True)
    return shutil.which("chromium") or "/usr/bin/chromium"
