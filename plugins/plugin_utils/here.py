# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module in the process of its own task, where it would run on this machine with this Python anyway.

As a process of its own a module costs about a second of CPU before it does anything: a Python starts, the module comes
in a zip file whose code is compiled again every time, and an SDK is imported. The process of a task is a fork of
ansible-playbook, which has imported all of that once, when it looked up the action plugin. What asks the APIs of two
clouds a few questions for each of many workloads would otherwise spend nine tenths of its time on starting.

Everything else is as it was: the module's own `main` runs, with its own argument spec, in a process that ends after the
task. Where the task is delegated, becomes another user, has an environment, is asynchronous, or goes to another machine
or another Python, the module is executed as any other.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase

COLLECTION = "cloudexit.flexible_engine"


def load(*libraries: str) -> None:
    """Import what the module will want; what is missing is its own affair to report."""
    for library in libraries:
        try:
            importlib.import_module(library)
        except ImportError:
            continue


class Here(ActionBase):
    """An action plugin that runs the module of its name. MODULE: the module, as imported."""

    TRANSFERS_FILES = False
    MODULE: t.ClassVar[t.Any] = None
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        if self._elsewhere(task_vars or {}):
            name = f"{COLLECTION}.{self.MODULE.__name__.rpartition('.')[2]}"
            return dict(
                self._execute_module(module_name=name, task_vars=task_vars, wrap_async=bool(self._task.async_val))
            )
        return call(self.MODULE, dict(self._task.args), check=self._task.check_mode, diff=bool(self._task.diff))

    def _elsewhere(self, task_vars: dict[str, t.Any]) -> bool:
        """Whether the module would run on another machine, by another Python, as another user, or in other ways."""
        task = self._task
        if task.async_val or task.delegate_to or self._play_context.become or any(task.environment or []):
            return True
        if self._connection.transport != "local":
            return True
        return str(self._templar.template(task_vars.get("ansible_python_interpreter", ""))) != sys.executable


def call(module: t.Any, args: dict[str, t.Any], *, check: bool, diff: bool) -> dict[str, t.Any]:
    """What the module's `main` exits with for these arguments, without what its `no_log` options hold."""

    def stand_in(argument_spec: dict[str, t.Any], **options: t.Any) -> _StandIn:
        nonlocal made
        made = _StandIn(argument_spec, args, check, diff, options)
        return made

    made: _StandIn | None = None
    name = module.__name__.rpartition(".")[2]
    proper = module.AnsibleModule
    module.AnsibleModule = stand_in
    try:
        module.main()
        result = {"failed": True, "msg": f"{name} ended without a result"}
    except _Ended as ended:
        result = ended.result
    except Exception as error:
        # the words of an unknown error may hold anything: it is told here, where secrets are taken out
        result = {
            "failed": True,
            "msg": f"{name} has a fault: {type(error).__name__}: {error}",
            "exception": traceback.format_exc(),
        }
    finally:
        module.AnsibleModule = proper
    if made is not None:
        result = {**result, "invocation": {"module_args": made.params}}
        if made.warnings:
            result["warnings"] = made.warnings
    return dict(remove_values(plain(result), made.secrets if made is not None else set()))


def plain(value: t.Any) -> t.Any:
    """Plain data as a module gets and gives it, that is, after a way through JSON; what is vaulted is deciphered."""
    return json.loads(json.dumps(value, default=str))


class _Ended(BaseException):
    """How the module ended. Not an Exception, so that no handler of the module's takes it for an error of its own."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        super().__init__()
        self.result = result


class _StandIn:
    """What a module of this collection uses of AnsibleModule."""

    def __init__(
        self,
        argument_spec: dict[str, t.Any],
        args: dict[str, t.Any],
        check: bool,
        diff: bool,
        options: dict[str, t.Any],
    ) -> None:
        self.check_mode = check
        self._diff = diff
        self.params: dict[str, t.Any] = {}
        self.warnings: list[str] = []
        wanted = {key: value for key, value in options.items() if key.startswith(("required_", "mutually_"))}
        valid = ArgumentSpecValidator(argument_spec, **wanted).validate(plain(args))
        self.secrets: set[str] = valid._no_log_values
        if valid.error_messages:
            self.fail_json(msg="; ".join(valid.error_messages))
        self.params = valid.validated_parameters
        if check and not options.get("supports_check_mode"):
            self.exit_json(skipped=True, msg="the module does not support check mode")

    def warn(self, warning: str) -> None:
        self.warnings.append(warning)

    def exit_json(self, **result: t.Any) -> t.NoReturn:
        raise _Ended({"changed": False, **result})

    def fail_json(self, msg: str, **result: t.Any) -> t.NoReturn:
        raise _Ended({"changed": False, **result, "failed": True, "msg": msg})
