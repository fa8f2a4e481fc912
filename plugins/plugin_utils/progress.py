# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that a module on the controller writes into a file while it works, shown as they come."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()
LOOK_S = 0.5


def shown(run: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """What `run(file)` returns; every whole line that appears in the file meanwhile is displayed."""
    handle, path = tempfile.mkstemp(prefix="cloudexit-", suffix=".progress")
    os.close(handle)
    ended = threading.Event()
    offset = 0

    def look() -> None:
        nonlocal offset
        with open(path, "rb") as stream:
            stream.seek(offset)
            data = stream.read()
        whole = data[: data.rfind(b"\n") + 1]
        offset += len(whole)
        for line in whole.decode("utf-8", "replace").splitlines():
            display.display(line)

    def watch() -> None:
        while not ended.wait(LOOK_S):
            look()
        look()

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        result = run(path)
    finally:
        ended.set()
        thread.join(10.0)
        os.unlink(path)
    told = (result.get("invocation") or {}).get("module_args")
    if isinstance(told, dict):
        told.pop("progress_file", None)
    return result


class Shown(ActionBase):
    """Runs a module, and shows its lines where it runs on the controller, as it most often does."""

    module = ""
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        args = dict(self._task.args)

        def execute(file: str = "") -> dict[str, Any]:
            more = {"progress_file": file} if file else {}
            return dict(
                self._execute_module(
                    module_name=self.module,
                    module_args={**args, **more},
                    task_vars=task_vars,
                    wrap_async=self._task.async_val,
                )
            )

        local = getattr(self._connection, "transport", "") == "local"
        if not local or self._task.async_val or args.get("progress_file"):
            return execute()
        return shown(execute)
