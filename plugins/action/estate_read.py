# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name and tells how far the reading is, and for which busy service it waits."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()

MODULE = "cloudexit.flexible_engine.estate_read"
LOOK_S = 0.5
EVERY_S = 5.0


class ActionModule(ActionBase):
    """One task. Progress is told where the module runs on the controller, as it most often does."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        local = getattr(self._connection, "transport", "") == "local"
        if not local or self._task.async_val or args.get("progress_file"):
            return dict(
                self._execute_module(
                    module_name=MODULE, module_args=args, task_vars=task_vars, wrap_async=self._task.async_val
                )
            )
        handle, path = tempfile.mkstemp(prefix="cloudexit-", suffix=".progress")
        os.close(handle)
        lines = Lines(path, os.path.basename(str(args.get("path", ""))).partition(".")[0])
        lines.start()
        try:
            args["progress_file"] = path
            result = dict(self._execute_module(module_name=MODULE, module_args=args, task_vars=task_vars))
        finally:
            lines.stop()
            os.unlink(path)
        shown = (result.get("invocation") or {}).get("module_args")
        if isinstance(shown, dict):
            shown.pop("progress_file", None)
        return result


class Lines:
    """Watches the file and shows a line for each wait, and one every few seconds for all that was read."""

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name
        self._offset = 0
        self._counts: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._since = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Show what is left and end."""
        self._ended.set()
        self._thread.join(10.0)

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_S):
            self.look()
        self.look()

    def look(self) -> None:
        """Read what is new in the file, and show what is due."""
        try:
            with open(self._path, encoding="utf-8") as file:
                file.seek(self._offset)
                text = file.read()
        except (OSError, UnicodeDecodeError):
            return
        whole = text[: text.rfind("\n") + 1]
        self._offset += len(whole.encode("utf-8"))
        for line in whole.splitlines():
            self._take(json.loads(line))
        if time.monotonic() - self._since >= EVERY_S and self._counts != self._told:
            self._since = time.monotonic()
            self._told = dict(self._counts)
            told = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in self._counts.items() if count)
            display.display(f"{self._name}  {told or 'nothing yet'}")

    def _take(self, step: dict[str, Any]) -> None:
        kind = str(step["kind"])
        if "count" in step:
            self._counts[kind] = int(step["count"])
        elif float(step["wait"]) >= EVERY_S:
            display.display(f"{self._name}  {kind.replace('_', ' ')}: {step['why']}, waiting {step['wait']:.0f} s")
