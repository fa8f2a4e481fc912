# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that run in the process of their task: as they would alone, and only where they would run here anyway."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule, env_fallback

from ansible_collections.cloudexit.flexible_engine.plugins.plugin_utils import here

NAME = "ansible_collections.cloudexit.flexible_engine.plugins"
ROOT = Path(__file__).resolve().parents[4]
ACTIONS = sorted(
    path.stem for path in (ROOT / "plugins" / "action").glob("*.py") if "plugin_utils.here" in path.read_text()
)
SECRET = "a-secret-that-nobody-may-see"


def module(act: Callable[[Any], None], **options: Any) -> Any:
    """A module whose main makes its AnsibleModule and calls `act` with it."""
    made = SimpleNamespace(__name__=f"{NAME}.modules.sample", AnsibleModule=AnsibleModule)
    spec = {
        "name": {"type": "str", "required": True},
        "count": {"type": "int", "default": 1},
        "password": {"type": "str", "no_log": True, "fallback": (env_fallback, ["SAMPLE_PASSWORD"])},
    }
    made.main = lambda: act(made.AnsibleModule(argument_spec=spec, **{"supports_check_mode": True, **options}))
    return made


def test_result_is_what_the_module_exits_with() -> None:
    def act(found: Any) -> None:
        found.warn("mind the gap")
        found.exit_json(said=f"{found.params['name']} {found.params['count']}", check=found.check_mode, d=found._diff)

    sample = module(act)
    result = here.call(sample, {"name": "it", "count": "7"}, check=True, diff=False)
    assert result == {
        "changed": False,
        "said": "it 7",
        "check": True,
        "d": False,
        "warnings": ["mind the gap"],
        "invocation": {"module_args": {"name": "it", "count": 7, "password": None}},
    }
    assert sample.AnsibleModule is AnsibleModule, "the stand-in is gone"


def test_failure_is_the_modules() -> None:
    sample = module(lambda found: found.fail_json(msg="no", hint="try again", retryable=True))
    result = here.call(sample, {"name": "it"}, check=False, diff=False)
    assert (result["failed"], result["changed"]) == (True, False)
    assert (result["msg"], result["hint"], result["retryable"]) == ("no", "try again", True)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "missing required arguments: name"),
        ({"name": "it", "nmae": "x"}, "nmae. Supported parameters include: count, name, password."),
        ({"name": "it", "count": "many"}, "argument 'count' is of type"),
    ],
)
def test_wrong_arguments_never_reach_the_module(args: dict[str, Any], said: str) -> None:
    sample = module(lambda found: pytest.fail("it ran"))
    result = here.call(sample, args, check=False, diff=False)
    assert result["failed"] and said in result["msg"]


def test_module_without_check_mode_is_skipped_in_it() -> None:
    sample = module(lambda found: pytest.fail("it ran"), supports_check_mode=False)
    assert here.call(sample, {"name": "it"}, check=True, diff=False)["skipped"]


@pytest.mark.parametrize("given", ["argument", "environment"])
def test_secrets_are_taken_out(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    args = {"name": "it", **({"password": SECRET} if given == "argument" else {})}
    if given == "environment":
        monkeypatch.setenv("SAMPLE_PASSWORD", SECRET)

    def tell(found: Any) -> None:
        assert found.params["password"] == SECRET
        found.exit_json(said=[f"it is {SECRET}"])

    def fault(found: Any) -> None:
        raise ValueError(f"cannot use {found.params['password']}")

    for act in (tell, fault):
        result = here.call(module(act), args, check=False, diff=False)
        assert SECRET not in str(result)
    assert result["failed"]
    assert "sample has a fault: ValueError: cannot use ********" in result["msg"]
    assert "test_here.py" in result["exception"]


def test_ledger_is_written_as_by_the_module_alone(
    tmp_path: Path, call_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger_record = importlib.import_module(f"{NAME}.modules.ledger_record")
    monkeypatch.delitem(sys.modules, ledger_record.__name__)  # alone it is run afresh
    acts = [{"name": "disk_pass", "result": {"changed": True, "vm_ref": "vm-1"}}]
    kept = []
    for how in ("here", "alone"):
        args = {"path": str(tmp_path / how / "ledger.jsonl"), "tenant": "acme", "workload": "web-1", "acts": acts}
        if how == "here":
            result = here.call(ledger_record, args, check=False, diff=False)
        else:
            result = call_module("ledger_record", args)
        assert result["changed"], result
        text = (tmp_path / how / "ledger.jsonl").read_text()
        kept.append(({key: type(value) for key, value in result.items() if key != "invocation"}, text.count("\n")))
    assert kept[0] == kept[1]


@pytest.mark.parametrize("action", ACTIONS)
def test_modules_use_no_more_than_the_stand_in_has(action: str) -> None:
    found = importlib.import_module(f"{NAME}.action.{action}").ActionModule.MODULE
    assert found.__name__ == f"{NAME}.modules.{action}"
    has = {"params", "check_mode", "_diff", "warn", "exit_json", "fail_json"}
    assert has <= {*dir(here._StandIn), "params", "check_mode", "_diff"}
    for path in (Path(found.__file__), ROOT / "plugins" / "module_utils" / "module.py"):
        used = {
            node.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "module"
        }
        assert used <= has, f"{path.name} uses what the stand-in lacks"


def plugin(**changes: Any) -> here.Here:
    """An action plugin for a task that runs here, but for the changes."""
    task = {"async_val": 0, "delegate_to": None, "environment": [{}], "check_mode": False, "diff": False, "args": {}}
    task |= {key: value for key, value in changes.items() if key in task}
    made = object.__new__(here.Here)
    made._task = SimpleNamespace(**task)
    made._play_context = SimpleNamespace(become=changes.get("become", False))
    made._connection = SimpleNamespace(transport=changes.get("transport", "local"))
    made._templar = SimpleNamespace(template=lambda text: text)
    return made


@pytest.mark.parametrize(
    ("changes", "elsewhere"),
    [
        ({}, False),
        ({"transport": "ssh"}, True),
        ({"delegate_to": "bastion"}, True),
        ({"become": True}, True),
        ({"async_val": 30}, True),
        ({"environment": [{"https_proxy": "x"}]}, True),
    ],
    ids=str,
)
def test_only_what_would_run_here_does(changes: dict[str, Any], elsewhere: bool) -> None:
    assert plugin(**changes)._elsewhere({"ansible_python_interpreter": sys.executable}) is elsewhere


@pytest.mark.parametrize("python", ["/usr/bin/python3.99", "", "auto"])
def test_another_python_runs_the_module_alone(python: str) -> None:
    assert plugin()._elsewhere({"ansible_python_interpreter": python})
    assert plugin()._elsewhere({})
